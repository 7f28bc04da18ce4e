"""Family A: a response gets lost between the layers, or is missed where none is due."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.failures.stacks import (
    EVERY,
    LAYERED,
    Shape,
    build,
    by_hand,
    every,
    full,
    layered,
    over,
    unwound,
    without_trio,
)
from tests.failures.wire import (
    ClientDisconnect,
    JSONResponse,
    Middleware,
    Mount,
    PlainTextResponse,
    Source,
    StreamingResponse,
    Wire,
    chain,
    exchange,
)
from tests.loops import turns

CHUNKS = (b"one ", b"two ", b"three")


@full
def test_client_gone_before_a_response_raises_no_runtime_error(shape: Shape) -> None:
    """A1: the client leaves before the response starts; the endpoint then returns a response."""
    log: list[str] = []
    wire = Wire(spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        wire.leave()
        return PlainTextResponse("late")

    exc = exchange(shape.loop, build(shape, endpoint, log=log), wire)

    assert not isinstance(exc, RuntimeError)
    assert log == unwound(shape.depth)
    assert wire.sent == []


@every
def test_client_gone_after_its_upload_raises_no_runtime_error(shape: Shape) -> None:
    """A1: as above, after the endpoint has read the body and polled for the disconnect."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        body = await request.body()
        wire.leave()
        await request.is_disconnected()
        await turns()
        return JSONResponse({"size": len(body)})

    exc = exchange(shape.loop, build(shape, endpoint, log=log), wire)

    assert not isinstance(exc, RuntimeError)
    assert log == unwound(shape.depth)


@full
def test_client_gone_before_a_stream_raises_no_runtime_error(shape: Shape) -> None:
    """A2: the client leaves before the response starts; the endpoint then returns a stream."""
    log: list[str] = []
    wire = Wire(spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        wire.leave()
        return StreamingResponse(Source(4).generator)

    exc = exchange(shape.loop, build(shape, endpoint, log=log), wire)

    assert not isinstance(exc, RuntimeError)
    assert log == unwound(shape.depth)
    assert wire.sent == []


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@every
def test_client_gone_before_the_response_is_quiet(shape: Shape, streams: bool) -> None:
    """A1 and A2, and more: nothing reaches the server, at spec 2.4 either."""
    wire = Wire(spec=shape.spec)
    source = Source(4)

    async def endpoint(request: Any) -> Any:
        wire.leave()
        return StreamingResponse(source.generator) if streams else PlainTextResponse("late")

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.sent == []
    assert not streams or source.over


@over(without_trio(EVERY))
def test_cancellation_from_inside_the_endpoint_reaches_the_server(shape: Shape) -> None:
    """A3: the endpoint awaits something cancelled: the real CancelledError is lost."""
    log: list[str] = []

    async def endpoint(request: Any) -> Any:
        cancelled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled

    exc = exchange(shape.loop, build(shape, endpoint, log=log), Wire(spec=shape.spec))

    assert any(isinstance(cause, asyncio.CancelledError) for cause in chain(exc))
    assert log == unwound(shape.depth)


@over(without_trio(LAYERED))
def test_cancellation_from_inside_is_seen_by_a_layer(shape: Shape) -> None:
    """A3, and more: a layer can catch that CancelledError as itself."""
    seen: list[BaseException] = []

    async def endpoint(request: Any) -> Any:
        raise asyncio.CancelledError("from inside")

    async def catch(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except asyncio.CancelledError as exc:
            seen.append(exc)
            return PlainTextResponse("caught", 503)

    wire = Wire(spec=shape.spec)
    exc = exchange(shape.loop, build(shape, endpoint, at={0: catch}), wire)

    assert exc is None
    assert len(seen) == 1
    assert wire.status == 503


async def waits_and_ends(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app that waits for its client, and ends quietly when that has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def tries_and_ends(scope: Any, receive: Any, send: Any) -> None:
    """The same, with a last try to say something."""
    await waits_and_ends(scope, receive, send)
    try:
        await send({"type": "http.response.start", "status": 200, "headers": []})
    except OSError:
        return


@pytest.mark.parametrize("app", [waits_and_ends, tries_and_ends])
@every
def test_app_that_ends_quietly_without_its_client_raises_nothing(shape: Shape, app: Any) -> None:
    """A4: an ASGI app below ends without responding because the client left (MCP, SSE)."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def client(wire: Wire) -> None:
        await wire.until(lambda: wire.events.count("receive request") == len(CHUNKS))
        wire.leave()

    stack = build(shape, routes=[Mount("/", app=app)], log=log)
    exc = exchange(shape.loop, stack, wire, client)

    assert exc is None
    assert log == unwound(shape.depth)
    assert wire.sent == []
    assert wire.violations == []


@layered
def test_app_that_ends_without_responding_is_reported(shape: Shape) -> None:
    """A5: an ASGI app below ends without responding although the client is there."""

    async def forgets(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    wire = Wire(spec=shape.spec)
    exc = exchange(shape.loop, build(shape, routes=[Mount("/", app=forgets)]), wire)

    assert isinstance(exc, Exception) or wire.status >= 500


class EndsQuietly:
    """A pure ASGI layer that takes a client that left for the end."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:
            return


@every
def test_upload_aborted_below_a_layer_that_handles_it_raises_nothing(shape: Shape) -> None:
    """A6: upload aborted mid-body, and an ASGI layer below catches ClientDisconnect and ends."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec, leave_at_receive=2)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(await request.body())

    stack = build(shape, endpoint, log=log, inside=[Middleware(EndsQuietly)])
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert log == unwound(shape.depth)
    assert wire.sent == []


@pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])
@layered
def test_client_disconnect_is_caught_as_itself_in_dispatch(shape: Shape, index: int) -> None:
    """A7: ClientDisconnect raised by the endpoint's body read is not catchable in dispatch."""
    seen: list[BaseException] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec, leave_at_receive=3)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(await request.body())

    async def catch(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Exception as exc:
            seen.append(exc)
            raise

    exchange(shape.loop, build(shape, endpoint, at={index: catch}), wire)

    assert [type(exc) for exc in seen] == [ClientDisconnect]
    assert wire.sent == []


@every
def test_aborted_upload_is_quiet(shape: Shape) -> None:
    """A7, and more: a ClientDisconnect that nobody catches is no error for the server."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec, leave_at_receive=2)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(await request.body())

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.sent == []
    assert wire.lost == []


# -- layers without an application ---------------------------------------------------------------------


@pytest.mark.parametrize("app", [waits_and_ends, tries_and_ends])
@every
def test_layers_nested_by_hand_are_as_quiet(shape: Shape, app: Any) -> None:
    """A4: the same with layers nested by hand around the ASGI app, and no application class."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def client(wire: Wire) -> None:
        await wire.until(lambda: wire.events.count("receive request") == len(CHUNKS))
        wire.leave()

    exc = exchange(shape.loop, by_hand(shape, app, log=log), wire, client)

    assert exc is None
    assert log == unwound(shape.depth)
    assert wire.sent == []


@every
def test_layers_nested_by_hand_pass_a_response_on(shape: Shape) -> None:
    """A5: the control for that: a response passes such layers whole, with what they add."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b"".join([(await receive())["body"] for _ in CHUNKS])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b" end"})

    async def adds(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers.append("x-added", "yes")
        return response

    exc = exchange(shape.loop, by_hand(shape, app, each=lambda _: adds, log=log), wire)

    assert exc is None
    assert log == unwound(shape.depth)
    assert wire.body == b"".join(CHUNKS) + b" end"
    assert wire.header("x-added") == ["yes"] * shape.depth


@every
def test_error_below_layers_nested_by_hand_arrives_as_itself(shape: Shape) -> None:
    """A5: an error passes such layers as it is, and they send no 500 of their own."""
    error = LookupError("mine")
    wire = Wire(spec=shape.spec)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    exc = exchange(shape.loop, by_hand(shape, app), wire)

    assert exc is error
    assert wire.sent == []
