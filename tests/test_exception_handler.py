"""Exceptions below the ASGI face: answered by the handlers of the application, or raised on."""

import threading

import anyio
import anyio.to_thread
import pytest

from lamella._exception_handler import wrap_app_handling_exceptions
from lamella.applications import Lamella
from lamella.exceptions import HTTPException, NoResponseError, WebSocketException, WrongPayloadError
from lamella.middleware import Middleware
from lamella.middleware.exceptions import ExceptionMiddleware
from lamella.requests import Request
from lamella.responses import JSONResponse, PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route, Router, WebSocketRoute
from lamella.testclient import TestClient
from lamella.websockets import WebSocket, WebSocketDisconnect
from tests.parity.drive import exchange, request, websocket_scope

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1001, "reason": ""}
STARTED = {"type": "http.response.start", "status": 200, "headers": []}


class Lost(Exception):
    """An error of the tests' own."""


def closed(code, reason=""):
    return [{"type": "websocket.close", "code": code, "reason": reason}]


async def connect(app, *incoming, path="/ws", denial=True):
    """Open a websocket, say all this, and leave."""
    scope = websocket_scope(path)
    scope["extensions"] = {"websocket.http.response": {}} if denial else {}
    return await exchange(app, scope, [CONNECT, *incoming, LEAVE])


def serving(endpoint, *, handlers=None, middleware=(), layers=()):
    """An application with one websocket."""
    route = WebSocketRoute("/ws", endpoint, middleware=[Middleware(layer) for layer in layers])
    return Lamella(
        routes=[route],
        exception_handlers=handlers or {},
        middleware=[Middleware(layer) for layer in middleware],
    )


def raising(exc, *, accepts=False, closes=False):
    """A websocket endpoint that raises."""

    async def endpoint(websocket):
        if accepts:
            await websocket.accept()
        if closes:
            await websocket.close(4000)
        raise exc

    return endpoint


# -- HTTP, as FastAPI calls it ---------------------------------------------------------------------


def by_hand(endpoint):
    """An ASGI endpoint that makes its own Request and wraps what it does."""

    async def app(scope, receive, send):
        made = Request(scope, receive, send)

        async def inner(scope, receive, send):
            await endpoint(made, scope, receive, send)

        await wrap_app_handling_exceptions(inner, made)(scope, receive, send)

    return app


def hosting(endpoint, **options):
    return Lamella(routes=[Mount("/", app=by_hand(endpoint))], **options)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_handler_answers_what_an_asgi_endpoint_raises(count):
    """It is called with the endpoint's own Request, below dispatch layers as well."""
    seen = []

    async def endpoint(made, scope, receive, send):
        seen.append(made)
        raise Lost("x")

    async def handler(made, exc):
        seen.append(made)
        return PlainTextResponse(f"{exc!r} {await made.body()}", status_code=400)

    async def layer(made, call_next):
        response = await call_next(made)
        response.headers["x-layer"] = str(response.status_code)
        return response

    app = hosting(endpoint, exception_handlers={Lost: handler}, middleware=[layer] * count)
    reply = await request(app, "/", "POST", body=b"body")
    assert (400, "Lost('x') b'body'", None) == (reply.status, reply.text, reply.error)
    assert seen[0] is seen[1]
    assert ("400" if count else None) == reply.headers.get("x-layer")


async def test_handler_is_found_by_status_then_by_class():
    """And the default one answers an HTTPException."""

    async def endpoint(made, scope, receive, send):
        raise HTTPException(int(scope["path"][1:]), "detail")

    async def handler(made, exc):
        return PlainTextResponse("by status", status_code=404)

    def sync_handler(made, exc):
        in_thread = threading.current_thread() is not threading.main_thread()
        return PlainTextResponse(f"by class {in_thread}", status_code=exc.status_code)

    app = hosting(endpoint, exception_handlers={404: handler, HTTPException: sync_handler})
    assert "by status" == (await request(app, "/404")).text
    assert "by class True" == (await request(app, "/410")).text
    reply = await request(hosting(endpoint), "/410")
    assert (410, "detail") == (reply.status, reply.text)


async def test_what_no_handler_is_for_is_raised_as_it_is():
    """The very object; the edge answers 500."""
    exc = Lost("x")

    async def endpoint(made, scope, receive, send):
        raise exc

    reply = await request(hosting(endpoint), "/")
    assert (500, True) == (reply.status, reply.error is exc)
    outside = await request(by_hand(endpoint), "/")
    assert ([], True) == (outside.messages, outside.error is exc)


@pytest.mark.parametrize("count", [0, 1])
async def test_handled_exception_after_the_start_is_an_error_that_says_so(count):
    """No second response can be sent."""

    async def endpoint(made, scope, receive, send):
        await send(STARTED)
        raise HTTPException(418)

    async def layer(made, call_next):
        return await call_next(made)

    reply = await request(hosting(endpoint, middleware=[layer] * count), "/")
    assert isinstance(reply.error, RuntimeError)
    assert "Caught handled exception, but response already started." == str(reply.error)
    assert isinstance(reply.error.__cause__, HTTPException)


async def test_unhandled_error_inside_is_answered_once_where_it_should_be():
    """With `error_responses="inside"` the layers see the 500."""
    seen = []

    async def endpoint(made, scope, receive, send):
        raise Lost("x")

    async def layer(made, call_next):
        response = await call_next(made)
        seen.append((response.status_code, repr(response.exception)))
        return response

    app = hosting(endpoint, middleware=[layer], error_responses="inside")
    reply = await request(app, "/")
    assert (500, Lost) == (reply.status, type(reply.error))
    assert [(500, "Lost('x')")] == seen


# -- websockets: what closes them ------------------------------------------------------------------

WHEN = pytest.mark.parametrize("accepts", [False, True])


@WHEN
async def test_websocket_exception_closes_with_its_code(accepts):
    """Before it is accepted and after."""
    reply = await connect(serving(raising(WebSocketException(1008, "no"), accepts=accepts)))
    assert closed(1008, "no") == reply.messages[accepts:]
    assert reply.error is None


async def test_http_exception_before_accepting_is_an_http_answer():
    """Where the server takes one; otherwise it is closed, which is a 403 for the client."""
    app = serving(raising(HTTPException(401, "who?", {"www-authenticate": "Basic"})))
    start, body = (await connect(app)).messages
    assert ("websocket.http.response.start", 401) == (start["type"], start["status"])
    assert (b"www-authenticate", b"Basic") in start["headers"]
    assert ("websocket.http.response.body", b"who?") == (body["type"], body["body"])
    assert closed(1008, "who?") == (await connect(app, denial=False)).messages


@pytest.mark.parametrize(("status", "code"), [(400, 1008), (403, 1008), (500, 1011), (503, 1011)])
async def test_http_exception_after_accepting_closes(status, code):
    """There is no HTTP any more: the client's errors are 1008, the server's 1011."""
    reply = await connect(serving(raising(HTTPException(status, "why"), accepts=True)))
    assert (closed(code, "why"), None) == (reply.messages[1:], reply.error)


@pytest.mark.parametrize("sync", [False, True])
@WHEN
async def test_handler_of_the_application_gets_the_websocket(accepts, sync):
    """It may close it, and return nothing."""
    seen = []

    async def handler(websocket, exc):
        seen.append((type(websocket), websocket.path_params, exc))
        await websocket.close(4321, str(exc))

    def sync_handler(websocket, exc):
        seen.append((type(websocket), websocket.path_params, exc))
        return JSONResponse({}, status_code=503)

    exc = Lost("x")
    handlers = {Lost: sync_handler if sync else handler}
    reply = await connect(serving(raising(exc, accepts=accepts), handlers=handlers))
    assert [(WebSocket, {}, exc)] == seen
    assert reply.error is None
    expected = {
        (False, False): closed(4321, "x"),
        (False, True): closed(4321, "x"),
        (True, True): closed(1011),
    }
    if sync and not accepts:
        assert 503 == reply.messages[0]["status"]
    else:
        assert expected[sync, accepts] == reply.messages[accepts:]


async def test_text_of_an_exception_is_not_told_unless_it_is_meant_to_be():
    """A handler chose the response; the exception's own text may be a secret."""

    async def handler(websocket, exc):
        return PlainTextResponse("ours", status_code=400)

    app = serving(raising(Lost("secret"), accepts=True), handlers={Lost: handler})
    assert closed(1008) == (await connect(app)).messages[1:]


async def test_handler_that_returns_something_else_is_named():
    """As for requests."""

    async def handler(websocket, exc):
        return 1

    reply = await connect(serving(raising(Lost()), handlers={Lost: handler}))
    assert isinstance(reply.error, NoResponseError)
    assert "handler" in str(reply.error)


async def test_stream_is_a_denial_too():
    """Any response will do."""

    async def pieces():
        yield "a"
        yield "b"

    async def handler(websocket, exc):
        return StreamingResponse(pieces(), status_code=403)

    reply = await connect(serving(raising(Lost()), handlers={Lost: handler}))
    assert b"ab" == b"".join(message.get("body", b"") for message in reply.messages)


async def test_error_in_the_midst_of_a_denial_is_an_error_that_says_so():
    """As for a response that has started."""

    async def endpoint(websocket):
        await websocket.send({**STARTED, "type": "websocket.http.response.start"})
        raise HTTPException(418)

    reply = await connect(serving(endpoint))
    assert isinstance(reply.error, RuntimeError)
    assert "already started" in str(reply.error)


@pytest.mark.parametrize("exc", [HTTPException(418), WebSocketException(4001)])
async def test_websocket_that_is_closed_already_is_closed_once(exc):
    """Nobody is there to be told."""
    reply = await connect(serving(raising(exc, accepts=True, closes=True)))
    assert (closed(4000), None) == (reply.messages[1:], reply.error)


@pytest.mark.parametrize("exc", [Lost("x"), WebSocketDisconnect(4002)])
@WHEN
async def test_what_no_handler_is_for_is_raised(exc, accepts):
    """A disconnect, too, if nobody has left."""
    reply = await connect(serving(raising(exc, accepts=accepts)))
    assert reply.error is exc


async def test_exceptions_outside_of_an_application_are_raised():
    """As in Starlette; but what a client sent is never an error of the server."""
    exc = WebSocketException(1008)
    assert exc is (await connect(Router([WebSocketRoute("/ws", raising(exc))]))).error

    async def reads(websocket):
        await websocket.accept()
        await websocket.receive_json()

    router = Router([WebSocketRoute("/ws", reads)])
    reply = await connect(router, {"type": "websocket.receive", "text": "{"})
    assert (1003, None) == (reply.messages[-1]["code"], reply.error)


# -- websockets: a client's doing ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["receive_text", "receive_bytes", "receive_json"])
async def test_client_that_leaves_is_no_error(name):
    """There is no traceback in the server's log for it."""

    async def endpoint(websocket):
        await websocket.accept()
        await getattr(websocket, name)()

    reply = await connect(serving(endpoint))
    assert (["websocket.accept"], None) == ([m["type"] for m in reply.messages], reply.error)


async def test_test_client_is_told_that_a_disconnect_was_let_pass():
    """Tests written for Starlette expect the exception where they leave their websocket."""

    async def endpoint(websocket):
        await websocket.accept()
        await websocket.receive_text()

    client = TestClient(serving(endpoint))

    def leave():
        with client.websocket_connect("/ws"):
            pass

    with pytest.raises(WebSocketDisconnect):
        await anyio.to_thread.run_sync(leave)


async def test_client_that_leaves_a_task_group_is_no_error():
    """A group of nothing else."""

    async def endpoint(websocket):
        await websocket.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(websocket.receive_text)

    assert (await connect(serving(endpoint))).error is None

    async def fails(websocket):
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as exc:
            raise ExceptionGroup("both", [exc, Lost()]) from None

    assert isinstance((await connect(serving(fails))).error, ExceptionGroup)


async def test_error_after_the_client_left_is_an_error():
    """Only the disconnect itself is quiet."""

    async def endpoint(websocket):
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            raise Lost from None

    assert isinstance((await connect(serving(endpoint))).error, Lost)


async def test_handler_for_disconnects_is_called():
    """Whoever wants to know is told."""
    seen = []

    async def handler(websocket, exc):
        seen.append(exc.code)

    async def endpoint(websocket):
        await websocket.accept()
        await websocket.receive_text()

    await connect(serving(endpoint, handlers={WebSocketDisconnect: handler}))
    assert [1001] == seen


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("receive_text", {"bytes": b"x"}),
        ("receive_bytes", {"text": "x"}),
        ("receive_json", {"text": "{"}),
        ("receive_json", {"bytes": b"{}"}),
    ],
)
async def test_wrong_message_closes_cleanly(name, message):
    """1003, and no error of the server (SECURITY: ws_wrong_payload_closes_cleanly)."""

    async def endpoint(websocket):
        await websocket.accept()
        await getattr(websocket, name)()

    reply = await connect(serving(endpoint), {"type": "websocket.receive", **message})
    assert (1003, None) == (reply.messages[-1]["code"], reply.error)


async def test_wrong_message_may_be_caught():
    """And the conversation goes on."""

    async def endpoint(websocket):
        await websocket.accept()
        try:
            await websocket.receive_json()
        except WrongPayloadError as exc:
            await websocket.send_text(exc.reason)
        await websocket.close()

    reply = await connect(serving(endpoint), {"type": "websocket.receive", "text": "{"})
    kinds = [message["type"] for message in reply.messages]
    assert ["websocket.accept", "websocket.send", "websocket.close"] == kinds


async def leave_at(app, step, *, silent=False):
    """Serve a websocket whose client leaves at that `send`; what was raised, and what was sent."""
    incoming, sent = [CONNECT, {"type": "websocket.receive", "text": "x"}], []

    async def receive():
        return incoming.pop(0) if incoming else LEAVE

    async def send(message):
        if len(sent) >= step and not silent:
            raise OSError("gone")
        sent.append(message["type"])

    scope = {**websocket_scope("/ws"), "extensions": {"websocket.http.response": {}}}
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("exc", [HTTPException(403), WebSocketException(4000), Lost()])
@WHEN
async def test_client_that_leaves_while_an_exception_is_answered_is_no_error(accepts, exc):
    """Whether a response is sent, a stream or a close, and by whom."""

    async def pieces():
        yield "a"
        yield "b"

    async def streams(websocket, exc):
        return StreamingResponse(pieces(), status_code=403)

    async def closes(websocket, exc):
        await websocket.close(4001)

    for handlers in ({Lost: streams}, {Lost: closes}):
        for step in range(3):
            await leave_at(serving(raising(exc, accepts=accepts), handlers=handlers), step)


async def test_connection_that_breaks_under_a_raw_app_is_no_error():
    """It lets pass what `send` raised; an error of a file is another matter."""

    async def raw(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x"})

    def missing(message=None):
        raise FileNotFoundError(2, "no such file")

    async def misses(scope, receive, send):
        await send({"type": "websocket.accept"})
        missing()

    def logging(app):
        async def layer(scope, receive, send):
            await app(scope, receive, missing)

        return layer

    for step in range(2):
        await leave_at(Lamella(routes=[Mount("/", app=raw)]), step)
    with pytest.raises(FileNotFoundError):
        await leave_at(Lamella(routes=[Mount("/", app=misses)]), 2)
    with pytest.raises(FileNotFoundError):
        await leave_at(Lamella(routes=[Mount("/", app=raw)], middleware=[Middleware(logging)]), 2)


async def test_nothing_is_sent_to_a_client_that_left_before_the_answer():
    """Neither a response nor a close: servers differ in what they make of it."""

    async def endpoint(websocket):
        for _ in range(3):
            await websocket.receive()
        raise HTTPException(403)

    assert [] == await leave_at(serving(endpoint), 9, silent=True)


async def test_wrong_message_in_a_task_group_closes_cleanly():
    """One task reads and another writes: so a group is what comes out."""

    async def endpoint(websocket):
        await websocket.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(websocket.receive_bytes)

    async def fails(websocket):
        await websocket.accept()
        raise ExceptionGroup("both", [WrongPayloadError("x"), Lost()])

    incoming = {"type": "websocket.receive", "text": "x"}
    for app in (serving(endpoint), Router([WebSocketRoute("/ws", endpoint)])):
        reply = await connect(app, incoming)
        assert (1003, None) == (reply.messages[-1]["code"], reply.error)
    assert isinstance((await connect(serving(fails), incoming)).error, ExceptionGroup)


async def test_handler_may_return_any_app():
    """Also where it cannot be sent, so that a close stands for it."""

    async def handler(websocket, exc):
        return accepting

    async def accepting(scope, receive, send):
        await send({"type": "websocket.accept"})

    app = serving(raising(Lost()), handlers={Lost: handler})
    assert ["websocket.accept"] == [message["type"] for message in (await connect(app)).messages]
    assert closed(1008) == (await connect(app, denial=False)).messages


# -- websockets: exceptions of layers --------------------------------------------------------------


def failing_layer(exc, *, after=False):
    """A pure ASGI layer that raises before or after what is inside."""

    class Fails:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            if scope["type"] == "websocket" and not after:
                raise exc
            await self.app(scope, receive, send)
            if scope["type"] == "websocket":
                raise exc

    return Fails


async def accepts_only(websocket):
    await websocket.accept()


async def accepts_and_closes(websocket):
    await websocket.accept()
    await websocket.close(4000)


async def test_exception_of_a_routes_layer_is_answered_as_the_connection_stands():
    """The handlers know by the messages how far it is, though the layer made no WebSocket."""
    exc = HTTPException(403, "no")
    reply = await connect(serving(accepts_only, layers=[failing_layer(exc)]))
    assert 403 == reply.messages[0]["status"]
    reply = await connect(serving(accepts_only, layers=[failing_layer(exc, after=True)]))
    assert (closed(1008, "no"), None) == (reply.messages[1:], reply.error)
    reply = await connect(serving(accepts_and_closes, layers=[failing_layer(exc, after=True)]))
    assert (closed(4000), None) == (reply.messages[1:], reply.error)


async def test_exception_of_an_outer_layer_is_beyond_the_handlers():
    """As in Starlette: they are inside of the application's layers."""
    exc = WebSocketException(1008)
    reply = await connect(serving(accepts_only, middleware=[failing_layer(exc)]))
    assert (reply.messages, reply.error) == ([], exc)


async def test_application_mounted_in_another_has_its_own_handlers():
    """And the outer one its own again beside it."""

    def told(code):
        async def handler(websocket, exc):
            await websocket.close(code)

        return handler

    inner = serving(raising(Lost()), handlers={Lost: told(4001)})
    plain = serving(raising(Lost()))
    outer = Lamella(
        routes=[
            Mount("/inner", app=inner),
            Mount("/plain", app=plain),
            WebSocketRoute("/ws", raising(Lost())),
        ],
        exception_handlers={Lost: told(4002)},
    )
    codes = {
        path: (await connect(outer, path=path)).messages[0]["code"]
        for path in ("/inner/ws", "/plain/ws", "/ws")
    }
    assert {"/inner/ws": 4001, "/plain/ws": 4002, "/ws": 4002} == codes


async def test_layer_alone_lets_everything_else_through():
    """The lifespan, and a websocket that raises nothing."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    layer = ExceptionMiddleware(app)
    for scope in (websocket_scope(), {"type": "lifespan"}):
        await exchange(layer, scope)
    assert ["websocket", "lifespan"] == seen


async def test_route_is_served_for_both_kinds_at_one_path():
    """HTTP and websockets are routed apart."""

    async def endpoint(made):
        return PlainTextResponse("http")

    app = Lamella(routes=[Route("/ws", endpoint), WebSocketRoute("/ws", accepts_and_closes)])
    assert "http" == (await request(app, "/ws")).text
    assert closed(4000) == (await connect(app)).messages[1:]
