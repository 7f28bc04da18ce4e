"""One application on Starlette and on lamella: the same messages to the same websockets."""

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module

import pytest

from tests.parity.differences import check
from tests.parity.drive import exchange, lifetime, request, websocket_scope
from tests.parity.frameworks import BOTH

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}

# What the client says between its connect and its leaving.
SCRIPTS = {
    "nothing": [],
    "text": [{"type": "websocket.receive", "text": '{"ü": [1]}'}],
    "bytes": [{"type": "websocket.receive", "bytes": b'"\xc3\xbc"'}],
    "both": [
        {"type": "websocket.receive", "text": "1", "bytes": None},
        {"type": "websocket.receive", "bytes": b"2", "text": None},
    ],
    "no json": [{"type": "websocket.receive", "text": "{"}],
}
SERVERS = ("denial", "plain")


class Lost(Exception):
    """An error of the tests' own."""


def sockets(fw):
    """Websocket endpoints, by name."""

    def names(module, *wanted):
        found = import_module(f"{fw.package}.{module}")
        return [getattr(found, name) for name in wanted]

    (disconnect,) = names("websockets", "WebSocketDisconnect")
    (base,) = names("endpoints", "WebSocketEndpoint")

    async def only_accepts(websocket):
        await websocket.accept()

    async def never_answers(websocket):
        pass

    async def accepts_with_more(websocket):
        await websocket.accept("chat", headers=[(b"x-a", b"1")])
        await websocket.close(4000, "bye")

    async def accepts_hostile_header(websocket):
        await websocket.accept(headers=[(b"x-a", b"1\r\nset-cookie: a=b")])

    async def accepts_hostile_subprotocol(websocket):
        await websocket.accept("chat\r\nset-cookie: a=b")

    async def closes_first(websocket):
        await websocket.close(1008)

    async def closes_with_much_to_say(websocket):
        await websocket.accept()
        await websocket.close(1000, "ü" * 100)

    async def closes_twice(websocket):
        await websocket.accept()
        await websocket.close()
        await websocket.close()

    async def sends_first(websocket):
        await websocket.send_text("x")

    async def reads_first(websocket):
        await websocket.receive_text()

    async def denies(websocket):
        await websocket.send_denial_response(fw.PlainTextResponse("no", status_code=403))

    async def responds(websocket):
        response = fw.PlainTextResponse("no", status_code=403)
        await response(websocket.scope, websocket.receive, websocket.send)

    async def reads_text(websocket):
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    async def reads_bytes(websocket):
        await websocket.accept()
        await websocket.send_bytes(await websocket.receive_bytes())

    async def reads_json(websocket):
        await websocket.accept()
        await websocket.send_json(await websocket.receive_json())

    async def reads_binary_json(websocket):
        await websocket.accept()
        await websocket.send_json(await websocket.receive_json("binary"), "binary")

    async def iterates(websocket):
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_json({"text": text})

    async def catches_disconnect(websocket):
        await websocket.accept()
        try:
            while True:
                await websocket.receive()
                await websocket.receive_text()
        except disconnect as exc:
            raise Lost(exc.code, exc.reason) from None
        except RuntimeError as exc:
            raise Lost(str(exc)) from None

    async def closes_after_leaving(websocket):
        await websocket.accept()
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
        await websocket.close()

    async def tells_the_scope(websocket):
        await websocket.accept()
        url = websocket.url_for("tells_the_scope", n=8)
        told = [str(websocket.url), str(url), websocket.path_params, dict(websocket.headers)]
        await websocket.send_json(told)
        await websocket.close()

    def raises(exc, *, accepts=False):
        async def endpoint(websocket):
            if accepts:
                await websocket.accept()
            raise exc

        return endpoint

    class Events(base):
        encoding = "json"

        async def on_receive(self, websocket, data):
            await websocket.send_json(data)

        async def on_disconnect(self, websocket, close_code):
            if close_code == 1001:
                await websocket.send_text("unheard")

    class Texts(base):
        encoding = "text"

    class Anything(base):
        async def on_receive(self, websocket, data):
            await websocket.send_text(repr(data))

    async def pure(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})

    class Pure:
        async def __call__(self, scope, receive, send):
            await pure(scope, receive, send)

    found = [value for value in list(locals().values()) if asyncio.iscoroutinefunction(value)]
    named = {endpoint.__name__: endpoint for endpoint in found if endpoint is not pure}
    headers = {"x-why": "secret"}
    return named | {
        "class of JSON": Events,
        "class of text": Texts,
        "class of anything": Anything,
        "pure app": Pure(),
        "HTTPException": raises(fw.HTTPException(401, "who?", headers)),
        "HTTPException after accepting": raises(fw.HTTPException(403, "no"), accepts=True),
        "WebSocketException": raises(fw.WebSocketException(1008, "no")),
        "WebSocketException after accepting": raises(fw.WebSocketException(4001), accepts=True),
        "handled": raises(KeyError("x")),
        "handled after accepting": raises(KeyError("x"), accepts=True),
        "unhandled": raises(Lost("x")),
        "unhandled after accepting": raises(Lost("x"), accepts=True),
    }


ENDPOINTS = tuple(sockets(BOTH[0]))
CASES = [
    f"websocket {endpoint}, {script}, {server}"
    for endpoint in ENDPOINTS
    for script in SCRIPTS
    for server in SERVERS
]


def app_of(fw, endpoint, *, layers=0):
    """An application with one websocket, and handlers for some of its errors."""

    async def layer(request, call_next):
        raise Lost("not for websockets")

    async def handler(websocket, exc):
        await websocket.close(4002, str(exc))

    route = import_module(f"{fw.package}.routing").WebSocketRoute("/{n:int}", endpoint)
    route.name = "tells_the_scope"
    return fw.Starlette(
        routes=[fw.Mount("/m", routes=[route]), route],
        middleware=[fw.Middleware(fw.BaseHTTPMiddleware, dispatch=layer)] * layers,
        exception_handlers={KeyError: handler},
    )


def serve(app, script, server, path="/7"):
    """One connection, and what came of it."""
    scope = websocket_scope(path)
    scope["extensions"] = {"websocket.http.response": {}} if server == "denial" else {}
    return asyncio.run(exchange(app, scope, [CONNECT, *SCRIPTS[script], LEAVE])).seen()


@pytest.mark.parametrize("case", CASES)
def test_same_messages_to_a_websocket(case):
    """And the same error to the server."""
    name, script, server = case.removeprefix("websocket ").split(", ")
    replies = [serve(app_of(fw, sockets(fw)[name]), script, server) for fw in BOTH]
    check(case, *replies)


@pytest.mark.parametrize("path", ["/7", "/m/7", "/x", "/7/", "/", "/m"])
@pytest.mark.parametrize("layers", [0, 3])
def test_same_messages_below_layers_and_mounts(path, layers):
    """Dispatch layers are for requests alone."""
    replies = [
        serve(app_of(fw, sockets(fw)["tells_the_scope"], layers=layers), "nothing", "plain", path)
        for fw in BOTH
    ]
    check(f"websocket at {path} below {layers}", *replies)


# -- endpoints as classes --------------------------------------------------------------------------

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "QUERY", "get", "BREW", "DISPATCH")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("inside", ["application", "router"])
def test_same_answer_of_an_endpoint_that_is_a_class(method, inside):
    """Async, sync, missing, and raising methods."""

    def app_with(fw):
        class Things(import_module(f"{fw.package}.endpoints").HTTPEndpoint):
            async def get(self, request):
                return fw.PlainTextResponse(request.method)

            def post(self, request):
                return fw.PlainTextResponse("sync")

            async def delete(self, request):
                raise fw.HTTPException(409)

            async def query(self, request):
                raise Lost("x")

        app = fw.Starlette if inside == "application" else fw.Router
        return app(routes=[fw.Route("/", Things)])

    replies = [asyncio.run(request(app_with(fw), "/", method)).seen() for fw in BOTH]
    check(f"class {inside} {method}", *replies)


# -- lifespans -------------------------------------------------------------------------------------

LIFESPANS = (
    "plain",
    "with state",
    "failing start",
    "failing stop",
    "mounted",
    "mounted, by hand",
    "mounted, failing start",
)


def life(fw, case):
    """What a lifespan logs and sends."""
    log = []

    def noted(name, *, state=None, fails=None):
        @asynccontextmanager
        async def lifespan(app):
            log.append(f"+{name}")
            if fails == "start":
                raise Lost(name)
            yield state
            log.append(f"-{name}")
            if fails == "stop":
                raise Lost(name)

        return lifespan

    fails = case.rpartition("failing ")[2]
    routes, lifespan = [], noted("outer", fails=None if "mounted" in case else fails)
    if case == "with state":
        lifespan = noted("outer", state={"a": 1})
    if "mounted" in case:
        inner = fw.Starlette(lifespan=noted("inner", fails=fails))
        routes = [fw.Mount("/", app=inner)]
    if case == "mounted, by hand":

        @asynccontextmanager
        async def lifespan(app):
            log.append("+outer")
            async with inner.router.lifespan_context(inner):
                yield
            log.append("-outer")

    reply = lifetime(fw.Starlette(routes=routes, lifespan=lifespan))
    error = None if reply.error is None else (type(reply.error).__name__, str(reply.error))
    return log, [message["type"] for message in reply.messages], error


@pytest.mark.parametrize("case", LIFESPANS)
def test_same_lifespan(case):
    """The messages, the order, and the error."""
    check(f"lifespan {case}", *[life(fw, case) for fw in BOTH])
