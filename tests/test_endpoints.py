"""Endpoints as classes: which method answers, and what a websocket's messages are given as."""

import threading

import pytest

from lamella.applications import Lamella
from lamella.endpoints import HTTPEndpoint, WebSocketEndpoint
from lamella.engine.service import service_of
from lamella.engine.stack import explain
from lamella.exceptions import HTTPException, UsageError, WebSocketException, WrongPayloadError
from lamella.requests import Request
from lamella.responses import PlainTextResponse
from lamella.routing import Mount, Route, Router, WebSocketRoute
from lamella.websockets import WebSocket, WebSocketDisconnect
from tests.parity.drive import exchange, http_scope, request, websocket_scope

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1001, "reason": ""}
VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"]


class Things(HTTPEndpoint):
    """Some methods, one of them sync."""

    async def get(self, request):
        return PlainTextResponse(f"{request.method} {request.path_params}")

    def post(self, request):
        in_thread = threading.current_thread() is not threading.main_thread()
        return PlainTextResponse(f"thread {in_thread}")


def all_verbs():
    """An endpoint with every method there is."""

    async def tells(self, request):
        return PlainTextResponse("", headers={"x-verb": request.method})

    return type("All", (HTTPEndpoint,), {verb.lower(): tells for verb in VERBS})


def layered(app, count=1):
    """A route's app below dispatch layers, in an application."""

    async def layer(request, call_next):
        response = await call_next(request)
        response.headers["x-seen"] = type(response).__name__
        return response

    return Lamella(routes=[Route("/{n:int}", app)], middleware=[layer] * count)


def alone(cls):
    """A class as the whole app, as a server awaits it."""

    async def app(scope, receive, send):
        await cls(scope, receive, send)

    return app


# -- HTTPEndpoint ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
async def test_each_verb_has_its_method(verb):
    """Eight of them, as Starlette."""
    for app in (layered(all_verbs()), layered(all_verbs(), 0)):
        assert verb == (await request(app, "/1", verb)).headers["x-verb"]


async def test_get_answers_head_too():
    """Unless there is a `head`."""
    assert "HEAD {'n': 7}" == (await request(layered(Things), "/7", "HEAD")).text


async def test_sync_method_runs_in_a_thread():
    """It may block."""
    assert "thread True" == (await request(layered(Things), "/7", "POST")).text


@pytest.mark.parametrize(
    "verb",
    ["PUT", "BREW", "get", "__CLASS__", "_ANSWER", "DISPATCH", "METHOD_NOT_ALLOWED", "SCOPE", ""],
)
async def test_other_methods_are_a_405_whatever_the_class_has(verb):
    """A client's words are no attributes of the class (CVE-2026-48817)."""
    replies = [await request(app, "/7", verb) for app in (layered(Things), layered(Things, 0))]
    assert [(405, "GET, HEAD, POST")] * 2 == [
        (reply.status, reply.headers["allow"]) for reply in replies
    ]


async def test_405_is_answered_by_the_handlers_of_the_application():
    """Without an application it is plain."""

    async def handler(request, exc):
        return PlainTextResponse("ours", status_code=exc.status_code, headers=exc.headers)

    route = Route("/", Things)
    app = Lamella(routes=[route], exception_handlers={405: handler})
    assert "ours" == (await request(app, "/", "PUT")).text
    for bare in (alone(Things), Router([route])):
        reply = await request(bare, "/", "PUT")
        assert (405, "Method Not Allowed") == (reply.status, reply.text)
        assert "GET, HEAD, POST" == reply.headers["allow"]


async def test_methods_of_the_route_come_first():
    """As for functions."""
    router = Router([Route("/", Things, methods=["POST"])])
    assert 405 == (await request(router, "/", "GET")).status
    assert 200 == (await request(router, "/", "POST")).status


async def test_class_is_an_asgi_app():
    """A new object for each request."""
    seen = []

    class Sees(HTTPEndpoint):
        async def get(self, request):
            seen.append(self)
            return PlainTextResponse("ok")

    mounted = Router([Mount("/m", app=Sees)])
    layers = layered(Sees)
    for app, path in ((alone(Sees), "/"), (mounted, "/m/x"), (layers, "/1"), (layers, "/1")):
        assert "ok" == (await request(app, path)).text
    assert 4 == len(set(map(id, seen)))


async def test_class_is_entered_natively_below_dispatch_layers():
    """No task: the endpoint shares the layers' one Request, and they get its own response."""
    seen = []

    class Sees(HTTPEndpoint):
        async def get(self, request):
            seen.append(request)
            return PlainTextResponse("ok")

    async def layer(request, call_next):
        seen.append(request)
        response = await call_next(request)
        seen.append(type(response))
        return response

    app = Lamella(routes=[Route("/", Sees)], middleware=[layer])
    assert "ok" == (await request(app, "/")).text
    assert (seen[0] is seen[1], PlainTextResponse) == (True, seen[2])
    assert service_of(app.routes[0].app) is not None
    assert "bridged" not in explain(app.routes[0].app)


async def test_class_takes_no_more_of_a_request_than_it_asks_for():
    """Whatever it holds of the body and of the exchange would be made for each request."""
    seen = []

    class Plain(HTTPEndpoint):
        async def get(self, request):
            seen.append((request._given_inbound, request._exchange))
            return PlainTextResponse("")

        async def post(self, request):
            message = await self.receive()
            await self.send({"type": "http.response.debug", "info": {}})
            return PlainTextResponse(message["body"])

    app = Lamella(routes=[Route("/", Plain)])
    await request(app, "/")
    assert [(None, None)] == seen
    reply = await request(app, "/", "POST", body=b"body")
    assert (["http.response.debug", "http.response.start"], b"body") == (
        [message["type"] for message in reply.messages[:2]],
        reply.body,
    )


@pytest.mark.parametrize("made", ["__init__", "__new__"])
async def test_class_that_is_made_in_its_own_way_gets_all(made):
    """Scope, `receive` and `send`, as Starlette gives them."""
    seen = []

    def noted(self, *given):
        seen.append(len(given))
        return object.__new__(self) if made == "__new__" else HTTPEndpoint.__init__(self, *given)

    async def get(self, request):
        return PlainTextResponse("ok")

    app = Lamella(routes=[Route("/", type("Own", (HTTPEndpoint,), {made: noted, "get": get}))])
    assert ("ok", [3]) == ((await request(app, "/")).text, seen)


async def test_method_may_be_any_callable():
    """One that cannot be looked up by its value, too."""

    class Answers:
        __hash__ = None

        async def __call__(self, request):
            return PlainTextResponse(request.method)

    class Things(HTTPEndpoint):
        get = Answers()

    assert "GET" == (await request(Lamella(routes=[Route("/", Things)]), "/")).text


@pytest.mark.parametrize("own", ["dispatch", "await", "metaclass"])
async def test_class_that_serves_by_itself_is_called_by_its_asgi_face(own):
    """What it overrides has to run."""
    calls = []

    class Kind(type):
        def __call__(cls, *args):
            calls.append("metaclass")
            return super().__call__(*args)

    class Own(HTTPEndpoint, metaclass=Kind if own == "metaclass" else type):
        async def get(self, request):
            return PlainTextResponse("ok")

        if own == "dispatch":

            async def dispatch(self):
                calls.append("dispatch")
                await super().dispatch()

        if own == "await":

            def __await__(self):
                calls.append("await")
                return super().__await__()

    assert service_of(Route("/", Own).app) is None
    assert "ok" == (await request(layered(Own), "/1")).text
    assert [own] == calls


@pytest.mark.parametrize("count", [0, 2])
async def test_error_of_a_method_is_answered_by_handlers(count):
    """An HTTPException, a class, and nothing at all."""

    class Fails(HTTPEndpoint):
        async def get(self, request):
            raise {1: HTTPException(418), 2: KeyError("x"), 3: OSError()}[request.path_params["n"]]

    async def handler(request, exc):
        return PlainTextResponse("key", status_code=400)

    app = layered(Fails, count)
    app.add_exception_handler(KeyError, handler)
    assert 418 == (await request(app, "/1")).status
    assert (400, "key") == ((reply := await request(app, "/2")).status, reply.text)
    reply = await request(app, "/3")
    assert (500, OSError) == (reply.status, type(reply.error))


async def test_layers_of_the_route_see_the_error():
    """As in Starlette, where a class answers no exception by itself."""
    seen = []

    class Fails(HTTPEndpoint):
        async def get(self, request):
            raise HTTPException(418)

    class Sees:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            try:
                await self.app(scope, receive, send)
            except HTTPException as exc:
                seen.append(exc.status_code)
                raise

    app = Lamella(routes=[Mount("/", app=Sees(Route("/", Fails).app))])
    assert 418 == (await request(app, "/")).status
    assert [418] == seen


def test_each_class_serves_its_own_kind():
    """Told at once."""
    with pytest.raises(UsageError, match="'http', got 'websocket'"):
        HTTPEndpoint(websocket_scope(), None, None)
    with pytest.raises(UsageError, match="'websocket', got 'http'"):
        WebSocketEndpoint(http_scope(), None, None)


def test_request_is_found_here_too():
    """Libraries import it from here."""
    from lamella import endpoints

    assert endpoints.Request is Request


# -- WebSocketEndpoint -----------------------------------------------------------------------------


def logging(encoding=None, fails=None):
    """An endpoint that logs its events, and raises at one of them."""
    log = []

    class Logs(WebSocketEndpoint):
        async def on_connect(self, websocket):
            log.append("connect")
            if fails and fails[0] == "connect":
                raise fails[1]
            await websocket.accept()

        async def on_receive(self, websocket, data):
            log.append(data)
            if fails and fails[0] == "receive":
                raise fails[1]

        async def on_disconnect(self, websocket, close_code):
            log.append(close_code)

    Logs.encoding = encoding
    return Logs, log


async def play(app, *incoming, path="/"):
    """Connect, say all this, and leave."""
    app = alone(app) if isinstance(app, type) else app
    return await exchange(app, websocket_scope(path), [CONNECT, *incoming, LEAVE])


def received(**data):
    return {"type": "websocket.receive", **data}


async def test_default_methods_accept_and_do_nothing():
    """So that only what is needed has to be written."""
    reply = await play(WebSocketEndpoint, received(text="x"))
    assert ["websocket.accept"] == [message["type"] for message in reply.messages]
    assert reply.error is None


@pytest.mark.parametrize(
    ("encoding", "message", "data"),
    [
        ("text", {"text": "ü"}, "ü"),
        ("text", {"text": "", "bytes": None}, ""),
        ("bytes", {"bytes": b"\xff"}, b"\xff"),
        ("json", {"text": "[1]"}, [1]),
        ("json", {"bytes": b'"\xc3\xbc"', "text": None}, "ü"),
        (None, {"text": "a"}, "a"),
        (None, {"bytes": b"a"}, b"a"),
    ],
)
async def test_messages_come_as_the_encoding_says(encoding, message, data):
    """Then the end, with the client's code."""
    cls, log = logging(encoding)
    reply = await play(cls, received(**message))
    assert (["connect", data, 1001], None) == (log, reply.error)


WRONG = [
    ("text", {"bytes": b"x"}, 1003),
    ("bytes", {"text": "x"}, 1003),
    ("json", {"text": "{"}, 1003),
    ("json", {"text": "[" * 200_000}, 1003),
    ("json", {"bytes": b"\xff"}, 1007),
    (None, {}, 1003),
]


@pytest.mark.parametrize(("encoding", "message", "code"), WRONG, ids=range(len(WRONG)))
async def test_message_of_another_kind_closes(encoding, message, code):
    """In an application quietly; alone the server is told, as by Starlette (a RuntimeError)."""
    cls, log = logging(encoding)
    app = Lamella(routes=[WebSocketRoute("/ws", cls)])
    for served, path, raised in ((cls, "/", WrongPayloadError), (app, "/ws", type(None))):
        reply = await play(served, received(**message), path=path)
        assert [{"type": "websocket.close", "code": code, "reason": ""}] == reply.messages[1:]
        assert isinstance(reply.error, raised)
    assert ["connect", 1011] * 2 == log


@pytest.mark.parametrize("exc", [OSError("x"), KeyError("x")])
async def test_error_of_on_receive_ends_with_1011_and_is_raised(exc):
    """An error of the server (RFC 6455 section 7.4.1)."""
    cls, log = logging(fails=("receive", exc))
    reply = await play(cls, received(text="x"))
    assert (["connect", "x", 1011], exc) == (log, reply.error)


async def test_connection_that_breaks_ends_with_its_code():
    """1006; in an application it is no error of the server's."""
    codes = []

    class Echo(WebSocketEndpoint):
        async def on_receive(self, websocket, data):
            await websocket.send_text(data)

        async def on_disconnect(self, websocket, close_code):
            codes.append(close_code)

    def broken(app):
        async def served(scope, receive, send):
            async def failing(message):
                if message["type"] == "websocket.send":
                    raise OSError
                await send(message)

            await app(scope, receive, failing)

        return served

    reply = await play(broken(Echo), received(text="x"))
    assert (1006, WebSocketDisconnect) == (reply.error.code, type(reply.error))
    reply = await play(broken(Lamella(routes=[WebSocketRoute("/", Echo)])), received(text="x"))
    assert ([1006, 1006], None) == (codes, reply.error)


async def test_error_of_on_connect_is_raised_without_an_end():
    """Nothing had begun."""
    cls, log = logging(fails=("connect", WebSocketException(4000, "no")))
    app = Lamella(routes=[WebSocketRoute("/", cls)])
    reply = await play(app)
    assert ["connect"] == log
    assert [{"type": "websocket.close", "code": 4000, "reason": "no"}] == reply.messages


async def test_decode_may_be_called_with_a_websocket_that_is_closed():
    """It is not closed twice."""
    sent = []

    async def receive():
        return CONNECT

    async def send(message):
        sent.append(message["type"])

    class Texts(WebSocketEndpoint):
        encoding = "text"

    endpoint = Texts(websocket_scope(), receive, send)
    websocket = WebSocket(endpoint.scope, receive, send)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="Expected text websocket messages, but got bytes"):
            await endpoint.decode(websocket, received(bytes=b"x"))
    assert ["websocket.close"] == sent


def test_encoding_that_there_is_not_is_refused():
    """An AssertionError, as of Starlette's, but before the first message."""

    class Odd(WebSocketEndpoint):
        encoding = "xml"

    with pytest.raises(AssertionError, match="'xml' in `.*Odd`"):
        Odd(websocket_scope(), None, None)
