"""The lint: what the ASGI specification forbids is raised where it is done, and nothing else is."""

import pytest

from lamella.applications import Lamella
from lamella.exceptions import ProtocolError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.lint import LintMiddleware
from lamella.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from lamella.routing import Mount, Route
from tests.failures.wire import Wire
from tests.failures.wire import exchange as on_wire
from tests.loops import BACKENDS, turns
from tests.parity.drive import answer, exchange, http_scope, lifetime, websocket_scope

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b""}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}
CONNECT, ACCEPT = {"type": "websocket.connect"}, {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
LEFT = {"type": "websocket.disconnect", "code": 1000}
TEXT = {"type": "websocket.send", "text": "a"}
GOT = {"type": "websocket.receive", "text": "a"}


async def passes(request, call_next):
    return await call_next(request)


def start(*headers, **fields):
    return {**START, "headers": list(headers), **fields}


def body(data, **fields):
    return {"type": "http.response.body", "body": data, **fields}


def sends(*messages):
    """An app that sends the messages."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


async def reads(scope, receive, send):
    """An app that reads until the client has left."""
    while not (await receive())["type"].endswith("disconnect"):
        pass


async def fault(app, scope, *incoming):
    """What the lint says, or None."""
    error = (await exchange(LintMiddleware(app), scope, incoming)).error
    assert error is None or isinstance(error, ProtocolError), repr(error)
    return error and str(error)


# -- what is right ---------------------------------------------------------------------------------

OFFERED = {
    f"http.response.{name}": {}
    for name in ("pathsend", "zerocopysend", "trailers", "early_hint", "push", "debug")
}
TRAILERS = {"type": "http.response.trailers", "headers": [(b"t", b"1")]}
RIGHT = {
    "plain": [START, END],
    "no headers": [{"type": "http.response.start", "status": 204}, {"type": "http.response.body"}],
    "pieces": [START, body(b"a", more_body=True), body(memoryview(b"b"), more_body=True), END],
    "length": [start((b"content-length", b"2")), body(b"a", more_body=True), body(b"b")],
    "no content": [start((b"content-length", b"9"), status=304), END],
    "generator": [{**START, "headers": iter([(b"content-length", b"9")])}, END],
    "path": [START, {"type": "http.response.pathsend", "path": "/a"}],
    "file": [START, {"type": "http.response.zerocopysend", "file": 0, "count": 1}],
    "hint": [{"type": "http.response.early_hint", "links": [b"a"]}, START, END],
    "push": [START, {"type": "http.response.push", "path": "/", "headers": []}, END],
    "debug": [{"type": "http.response.debug", "info": {}}, START, END],
    "trailers": [
        start(trailers=True),
        body(b"a"),
        {**TRAILERS, "more_trailers": True},
        TRAILERS,
    ],
}


@pytest.mark.parametrize("messages", RIGHT.values(), ids=list(RIGHT))
async def test_right_response_passes(messages):
    """Every message goes out as it is."""
    scope = http_scope("/", extensions=OFFERED)
    reply = await exchange(LintMiddleware(sends(*messages)), scope, [REQUEST])
    assert (None, messages) == (reply.error, reply.messages)


async def test_right_websocket_passes():
    """To its end, by either side."""

    async def app(scope, receive, send):
        await receive()
        await send({**ACCEPT, "subprotocol": "a", "headers": [(b"x", b"y")]})
        await receive()
        await send(TEXT)
        await send({"type": "websocket.send", "bytes": b"a", "text": None})
        await send({**CLOSE, "code": 1001, "reason": "r"})

    scope = {**websocket_scope("/"), "subprotocols": ["a"]}
    assert await fault(app, scope, CONNECT, GOT) is None


async def test_right_refusal_of_a_handshake_passes():
    """By a close, or by a response where the server takes one."""
    kind = "websocket.http.response"
    denial = [
        {**START, "type": f"{kind}.start", "status": 403},
        {"type": f"{kind}.body", "body": b"no"},
    ]
    offered = {**websocket_scope("/"), "extensions": {kind: {}}}
    assert await fault(sends(*denial), offered, CONNECT) is None
    assert await fault(sends(CLOSE), websocket_scope("/"), CONNECT) is None


def test_application_keeps_to_the_rules(tmp_path):
    """Whatever it sends, with layers of both kinds inside."""
    (tmp_path / "file").write_text("file" * 50_000)

    async def pieces():
        yield b"a"
        yield "b"

    made = {
        "plain": lambda: PlainTextResponse("a"),
        "empty": lambda: Response(status_code=204),
        "stream": lambda: StreamingResponse(pieces()),
        "file": lambda: FileResponse(tmp_path / "file"),
    }

    async def endpoint(request):
        return made[request.path_params["kind"]]()

    app = Lamella(
        routes=[Route("/{kind}", endpoint), Mount("/", app=LintMiddleware(sends(START, END)))],
        middleware=[
            Middleware(LintMiddleware),
            Middleware(BaseHTTPMiddleware, dispatch=passes),
            Middleware(LintMiddleware),
        ],
    )
    for kind in made:
        for method in ("GET", "HEAD", "POST"):
            answer(app, f"/{kind}", method)
    answer(app, "/a/b")
    answer(app, "/file", extensions={"http.response.pathsend": {}})
    assert lifetime(app).error is None


# -- what an app does wrong ------------------------------------------------------------------------

WRONG = {
    "no type": ([{}], "got None"),
    "no mapping": (["x"], "got 'x'"),
    "unknown": ([{"type": "http.response.begin"}], "got 'http.response.begin'"),
    "of another kind": ([ACCEPT], "got 'websocket.accept'"),
    "no status": ([{"type": "http.response.start"}], "'status'"),
    "status": ([start(status="200")], "'status'"),
    "low status": ([start(status=99)], "'status'"),
    "text for headers": ([{**START, "headers": [("a", "b")]}], "'headers'"),
    "triple": ([{**START, "headers": [(b"a", b"b", b"c")]}], "'headers'"),
    "upper case": ([start((b"A", b"b"))], "'headers'"),
    "no token": ([start((b"a b", b"c"))], "'headers'"),
    "line in a value": ([start((b"a", b"b\r\nc: d"))], "'headers'"),
    "text for a body": ([START, body("a")], "'body'"),
    "number for a flag": ([START, body(b"a", more_body=1)], "'more_body'"),
    "body first": ([END], "http.response.start before the body"),
    "two starts": ([START, START], "one http.response.start"),
    "after the end": ([START, END, END], "nothing after the last piece"),
    "no end": ([START, body(b"a", more_body=True)], "a whole response"),
    "nothing": ([], "a whole response"),
    "no trailers": ([start(trailers=True), END], "a whole response"),
    "trailers that nobody announced": ([START, END, TRAILERS], "start announced them"),
    "trailers too early": ([start(trailers=True), TRAILERS], "start announced them"),
    "too long": ([start((b"content-length", b"1")), body(b"ab")], "Content-Length"),
    "too short": ([start((b"content-length", b"3")), body(b"ab")], "Content-Length"),
    "no length": ([start((b"content-length", b"x"))], "Content-Length"),
    "two lengths": (
        [start((b"content-length", b"1"), (b"content-length", b"2"))],
        "Content-Length",
    ),
    "relative path": ([START, {"type": "http.response.pathsend", "path": "a"}], "'path'"),
    "late hint": ([START, {"type": "http.response.early_hint", "links": []}], "before http"),
}


@pytest.mark.parametrize(("messages", "told"), WRONG.values(), ids=list(WRONG))
async def test_wrong_response_is_told(messages, told):
    """With the app's name and what was expected."""
    text = await fault(sends(*messages), http_scope("/", extensions=OFFERED), REQUEST)
    assert told in text
    assert "sends.<locals>.app" in text


@pytest.mark.parametrize("kind", ["path", "file", "hint", "push", "debug", "trailers"])
async def test_extension_that_is_not_offered_is_told(kind):
    """The server would not understand."""
    text = await fault(sends(*RIGHT[kind]), http_scope("/"), REQUEST)
    assert "only where scope['extensions'] has 'http.response." in text


async def test_message_that_is_wrong_is_not_sent():
    """The server need not deal with it."""
    reply = await exchange(LintMiddleware(sends(START, body("a"))), http_scope("/"), [REQUEST])
    assert [START] == reply.messages


WRONG_SOCKETS = {
    "nothing": ([], "websocket.accept or websocket.close"),
    "send first": ([TEXT], "websocket.accept before"),
    "two accepts": ([ACCEPT, ACCEPT], "one websocket.accept"),
    "subprotocol": ([{**ACCEPT, "subprotocol": "x"}], "one of scope['subprotocols']"),
    "empty": ([ACCEPT, {"type": "websocket.send"}], "one of 'bytes' and 'text'"),
    "both": ([ACCEPT, {**TEXT, "bytes": b""}], "one of 'bytes' and 'text'"),
    "after the close": ([CLOSE, CLOSE], "after the end"),
    "close code": ([{**CLOSE, "code": 999}], "'code'"),
    "denial": ([{**START, "type": "websocket.http.response.start"}], "only where"),
}


@pytest.mark.parametrize(("messages", "told"), WRONG_SOCKETS.values(), ids=list(WRONG_SOCKETS))
async def test_wrong_websocket_is_told(messages, told):
    """As for a response."""
    assert told in await fault(sends(*messages), websocket_scope("/"), CONNECT)


DENIAL = {**START, "type": "websocket.http.response.start"}


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([DENIAL], "a whole response"),
        ([DENIAL, ACCEPT], "after websocket.http.response.start"),
        ([ACCEPT, DENIAL], "no response after websocket.accept"),
    ],
)
async def test_wrong_refusal_of_a_handshake_is_told(messages, told):
    """It is a response like another, in the place of the websocket."""
    scope = {**websocket_scope("/"), "extensions": {"websocket.http.response": {}}}
    assert told in await fault(sends(*messages), scope, CONNECT)


async def test_wrong_lifespan_is_told():
    """An answer that nobody asked for."""
    done = {"type": "lifespan.startup.complete"}
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    assert "one answer to lifespan.startup" in await fault(sends(done), scope)

    async def twice(scope, receive, send):
        await receive()
        await send(done)
        await send(done)

    text = await fault(twice, scope, {"type": "lifespan.startup"})
    assert "one answer to lifespan.startup" in text


# -- what a server does wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("type", "ftp"),
        ("asgi", None),
        ("http_version", "1"),
        ("method", "get"),
        ("scheme", ""),
        ("path", b"/"),
        ("raw_path", "/"),
        ("query_string", ""),
        ("headers", [("host", "a")]),
        ("headers", [(b"Host", b"a")]),
        ("client", ("a",)),
        ("server", ("a", "80")),
        ("state", []),
        ("extensions", ["http.response.push"]),
    ],
)
async def test_wrong_scope_is_told(key, value):
    """Before the app runs."""
    text = await fault(sends(START, END), {**http_scope("/"), key: value})
    assert "from the server" in text


async def test_scope_that_lacks_what_it_must_have_is_told():
    """And what it may lack is not asked for."""
    for key in ("http_version", "method", "path", "query_string", "headers"):
        scope = http_scope("/")
        del scope[key]
        assert f"Expected {key!r} in the http scope" in await fault(sends(START, END), scope)
    scope = http_scope("/")
    for key in (
        "asgi",
        "scheme",
        "raw_path",
        "root_path",
        "client",
        "server",
        "state",
        "extensions",
    ):
        del scope[key]
    assert await fault(sends(START, END), scope) is None
    scope = {"type": "websocket", "path": "/", "headers": []}
    assert await fault(sends(CLOSE), scope) is None


@pytest.mark.parametrize(
    ("scope", "incoming", "told"),
    [
        ("http", [{"type": "http.request", "body": "a"}], "'body'"),
        ("http", [CONNECT], "got 'websocket.connect'"),
        ("http", [REQUEST, REQUEST], "after the last one"),
        ("websocket", [GOT], "websocket.connect first"),
        ("websocket", [CONNECT, CONNECT], "websocket.connect first, and once"),
        ("websocket", [CONNECT, GOT], "after websocket.accept"),
        ("websocket", [CONNECT, {**LEFT, "code": "1000"}], "'code'"),
    ],
)
async def test_wrong_message_of_the_server_is_told(scope, incoming, told):
    """To the app that receives it."""
    scope = http_scope("/") if scope == "http" else websocket_scope("/")
    text = await fault(reads, scope, *incoming)
    assert told in text
    assert "the server" in text


async def test_client_that_left_needs_no_answer():
    """Nobody would get it."""
    assert await fault(reads, http_scope("/"), REQUEST, GONE) is None
    assert await fault(reads, websocket_scope("/"), CONNECT, LEFT) is None


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_client_that_left_in_mid_answer_needs_no_more_of_it(kind):
    """So `send` says, and the app ends by itself."""
    messages = [START, body(b"a", more_body=True)] if kind == "http" else []

    async def app(scope, receive, send):
        try:
            for message in messages or [ACCEPT]:
                await send(message)
        except OSError:
            return

    async def gone(message):
        raise OSError

    scope = http_scope("/") if kind == "http" else websocket_scope("/")
    await LintMiddleware(app)(scope, None, gone)


@pytest.mark.parametrize("how", [{"leave_at_send": 2}, {"leave_at_receive": 2}])
@pytest.mark.parametrize("spec", ["2.3", "2.4"])
@pytest.mark.parametrize("inside", [[], [Middleware(BaseHTTPMiddleware, dispatch=passes)]])
@pytest.mark.parametrize("loop", BACKENDS)
def test_stream_whose_client_left_is_no_fault_within_a_stack(loop, inside, spec, how):
    """The engine ends it, and nothing is received that the layer could see."""

    async def pieces():
        while True:
            yield b"piece"
            await turns()

    async def endpoint(request):
        return StreamingResponse(pieces())

    layers = [Middleware(LintMiddleware), *inside]
    app = Lamella(routes=[Route("/", endpoint)], middleware=layers)
    assert on_wire(loop, app, Wire(spec=spec, **how)) is None


async def test_error_of_the_app_passes_as_it_is():
    """What is missing then is a consequence."""

    async def fails(scope, receive, send):
        raise LookupError("own")

    error = (await exchange(LintMiddleware(fails), http_scope("/"))).error
    assert "LookupError('own')" == repr(error)
