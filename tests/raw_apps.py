"""Plain ASGI apps for tests of the clients: what each sends, or fails to send."""

from typing import Any

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain")],
}


def chunk(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def sends(*messages: dict[str, Any]):
    """Make an app that reads one message, then sends these."""

    async def app(scope, receive, send):
        await receive()
        for message in messages:
            await send(message)

    return app


hello = sends(START, chunk(b"hello"))


async def hello_with_lifespan(scope, receive, send):
    if scope["type"] == "http":
        await hello(scope, receive, send)
    else:
        await well_behaved(scope, receive, send)


async def well_behaved(scope, receive, send):
    """Answer the two lifespan messages, then return."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def silent(scope, receive, send):
    await receive()


async def failing(scope, receive, send):
    raise LookupError("from the app")


async def failing_after_start(scope, receive, send):
    await send(START)
    raise LookupError("from the app")


async def failing_after_end(scope, receive, send):
    await send(START)
    await send(chunk(b"all of it"))
    raise LookupError("from the app")


def lifespan(*answers: Any):
    """Make an app that at each lifespan message sends the next answer, or raises or returns it."""

    async def app(scope, receive, send):
        for answer in answers:
            await receive()
            for step in answer if isinstance(answer, list) else [answer]:
                if isinstance(step, Exception):
                    raise step
                if step is not None:
                    await send({"type": step, "message": "the text"})

    return app


STARTED, STOPPED = "lifespan.startup.complete", "lifespan.shutdown.complete"
START_FAILED, STOP_FAILED = "lifespan.startup.failed", "lifespan.shutdown.failed"

TRAILING = {**START, "trailers": True}


def trailers(*pairs: tuple[bytes, bytes], more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.trailers", "headers": list(pairs), "more_trailers": more}


def debug(**info: Any) -> dict[str, Any]:
    return {"type": "http.response.debug", "info": info}


# -- websockets ------------------------------------------------------------------------------------


def accept(subprotocol: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "websocket.accept", "subprotocol": subprotocol, **more}


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": data}


def data(data: bytes) -> dict[str, Any]:
    return {"type": "websocket.send", "bytes": data}


def close(**more: Any) -> dict[str, Any]:
    return {"type": "websocket.close", **more}


def refusal(status: int, **more: Any) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, **more}


def refusal_body(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": body, "more_body": more}


def says(*messages: Any):
    """Make an app that takes the connect, sends these, and then waits for the disconnect.

    An exception among them is raised, and at None the app returns.
    """

    async def app(scope, receive, send):
        await receive()
        for message in messages:
            if isinstance(message, BaseException):
                raise message
            if message is None:
                return
            await send(message)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    return app


async def echo(scope, receive, send):
    """Accept, and send back what comes, until the disconnect."""
    if scope["type"] == "lifespan":
        return await well_behaved(scope, receive, send)
    await receive()
    await send(accept())
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
