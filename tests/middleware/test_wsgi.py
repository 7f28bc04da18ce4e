"""A WSGI app under ASGI: what it is given, and what becomes of what it gives."""

import asyncio
import contextvars
import io
import sys
import threading
from wsgiref.validate import validator

import anyio
import pytest

from lamella.applications import Lamella
from lamella.exceptions import NoResponseError, UsageError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.body_limit import RequestBodyLimitMiddleware
from lamella.middleware.wsgi import IN_MEMORY, WSGIMiddleware, WSGIResponder, build_environ
from lamella.routing import Mount
from tests.parity.drive import ask, exchange, http_scope, lifetime, request, websocket_scope

TEXT = [("Content-Type", "text/plain")]


def hello(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"hello"]


def echo(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def serve(app, path="/", method="GET", **scope):
    """Serve one request by a WSGI app."""
    return ask(WSGIMiddleware(app), path, method, **scope)


def environ_of(path="/", **scope):
    """What an app is given."""
    given = {}

    def app(environ, start_response):
        given.update(environ)
        start_response("200 OK", [])
        return []

    assert serve(app, path, **scope).error is None
    return given


# -- the response ----------------------------------------------------------------------------------


def test_response_is_what_the_app_gave():
    """Names of headers in lower case, as ASGI has them."""
    reply = serve(hello)
    assert (200, b"hello", True) == (reply.status, reply.body, reply.complete)
    assert [(b"content-type", b"text/plain")] == reply.start["headers"]


def test_app_that_checks_its_server_finds_nothing_wrong():
    """The standard library's validator knows PEP 3333."""

    def app(environ, start_response):
        body = environ["wsgi.input"]
        pieces = [body.read(2), body.readline(3), body.readline(), *body.readlines(), *body]
        start_response("201 Created", TEXT)
        return pieces

    reply = serve(
        validator(app),
        "/a/b",
        "POST",
        body=b"ab1\n2\n3\n4",
        root_path="/a",
        query=b"x=1",
        headers=[("content-length", "9"), ("content-type", "text/plain")],
    )
    assert reply.error is None
    assert (201, b"ab1\n2\n3\n4") == (reply.status, reply.body)


def by_generator(environ, start_response):
    start_response("200 OK", [])
    yield b""
    yield b"a"
    yield b"b"


def by_write(environ, start_response):
    write = start_response("200 OK", [])
    write(b"a")
    return [b"b"]


class ByClass:
    """An app whose object is its own response."""

    def __init__(self, environ, start_response):
        start_response("200 OK", [])

    def __iter__(self):
        return iter((b"a", b"b"))


@pytest.mark.parametrize("app", [by_generator, by_write, ByClass])
def test_body_is_sent_piece_by_piece(app):
    """Whichever way it is given; a generator calls start_response with its first piece."""
    reply = serve(app)
    assert (b"ab", True) == (reply.body, reply.complete)
    bodies = [message["body"] for message in reply.messages[1:]]
    assert [b"a", b"b", b""] == bodies


def test_status_may_change_until_the_first_piece():
    """That is what exc_info is for; the error is the server's to log."""

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("503 Sorry", [], sys.exc_info())
        yield b"sorry"

    reply = serve(app)
    assert (503, b"sorry", True) == (reply.status, reply.body, reply.complete)
    assert (LookupError, "lost") == (type(reply.error), str(reply.error))


def test_error_after_the_first_piece_cuts_the_response_off():
    """The client must not take it for whole."""

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("500 Lost", [], sys.exc_info())

    reply = serve(app)
    assert (200, b"a", False) == (reply.status, reply.body, reply.complete)
    assert LookupError is type(reply.error)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [LookupError, SystemExit])
async def test_error_of_the_app_passes_as_it_is(kind):
    """In no group, whatever it is."""
    error = kind()

    def app(environ, start_response):
        raise error

    async def receive():
        return {"type": "http.request"}

    with pytest.raises(kind) as caught:
        await WSGIMiddleware(app)(http_scope(), receive, None)
    assert error is caught.value


def test_iterable_is_closed():
    """In its own thread, whether it came to its end or broke."""
    ran = []

    class Pieces:
        def __init__(self, error):
            self.error = error
            ran.append(("made", threading.get_ident()))

        def __iter__(self):
            yield b"a"
            if self.error is not None:
                raise self.error

        def close(self):
            ran.append(("closed", threading.get_ident()))

    for error in (None, LookupError("lost")):
        ran.clear()

        def app(environ, start_response, error=error):
            start_response("200 OK", [])
            return Pieces(error)

        assert error is serve(app).error
        assert ["made", "closed"] == [name for name, _ in ran]
        assert 1 == len({thread for _, thread in ran} - {threading.get_ident()})


def silent(environ, start_response):
    return []


def early(environ, start_response):
    return [b"body"]


@pytest.mark.parametrize("app", [silent, early])
def test_app_that_never_starts_its_response_is_named(app):
    """There is no status to be sent."""
    reply = serve(app)
    assert [] == reply.messages
    assert NoResponseError is type(reply.error)
    assert app.__name__ in str(reply.error)


@pytest.mark.parametrize("piece", ["text", 1, bytearray(b"a"), memoryview(b"a")])
def test_piece_that_is_no_bytes_is_refused(piece):
    """The app is named."""

    def wrong(environ, start_response):
        start_response("200 OK", [])
        return [piece]

    reply = serve(wrong)
    assert [] == reply.messages
    assert TypeError is type(reply.error)
    assert "wrong" in str(reply.error)


@pytest.mark.parametrize("status", ["", "OK", "20", "2000 OK", "0 OK", "099 Low", "-12", "２00 OK"])
def test_status_that_is_none_is_refused(status):
    """Before anything is sent."""

    def app(environ, start_response):
        start_response(status, [])
        return []

    reply = serve(app)
    assert [] == reply.messages
    assert ValueError is type(reply.error)
    assert repr(status) in str(reply.error)


@pytest.mark.parametrize(("status", "code"), [("204", 204), ("404 Not Found", 404), ("299 ", 299)])
def test_reason_of_a_status_may_be_missing(status, code):
    """ASGI has no place for it anyway."""

    def app(environ, start_response):
        start_response(status, [])
        return []

    assert code == serve(app).status


def test_second_start_is_refused():
    """Unless it reports an error."""

    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("201 Created", [])
        return []

    reply = serve(app)
    assert [] == reply.messages
    assert RuntimeError is type(reply.error)


# -- the request -----------------------------------------------------------------------------------


def test_environ_is_that_of_the_spec():
    """Text throughout; the port too, which is a number for `build_environ` as in Starlette."""
    given = environ_of("/a/b c", root_path="/a", query=b"q=%20", headers=[("x-one", "1")])
    names = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "SERVER_PORT")
    assert ["/a", "/b c", "q=%20", "GET", "80"] == [given[name] for name in names]
    assert ("1", "192.0.2.1") == (given["HTTP_X_ONE"], given["REMOTE_ADDR"])
    assert ("http", True) == (given["wsgi.url_scheme"], given["wsgi.input_terminated"])


@pytest.mark.parametrize(
    ("root_path", "path", "path_info"),
    [
        ("", "/", "/"),
        ("", "", ""),
        ("/a", "/a", ""),
        ("/a", "/a/", "/"),
        ("/a", "/a/b", "/b"),
        ("/a", "/ab", "/ab"),
        ("/ü", "/ü/ö", "/ö"),
    ],
)
def test_path_is_split_at_a_boundary_of_segments(root_path, path, path_info):
    """And both parts are bytes as text."""
    environ = build_environ(http_scope(path, root_path=root_path), b"")
    assert root_path.encode().decode("latin-1") == environ["SCRIPT_NAME"]
    assert path_info.encode().decode("latin-1") == environ["PATH_INFO"]


def test_headers_of_one_name_are_joined():
    """Cookies by what separates cookies."""
    headers = [("accept", "a"), ("cookie", "b=1"), ("accept", "c"), ("cookie", "d=2")]
    environ = build_environ(http_scope(headers=headers), b"")
    assert ("a,c", "b=1; d=2") == (environ["HTTP_ACCEPT"], environ["HTTP_COOKIE"])


def test_scope_without_addresses_is_served():
    """As a server on a socket of the machine gives it."""
    given = environ_of(client=None, server=None)
    assert ("localhost", "80") == (given["SERVER_NAME"], given["SERVER_PORT"])
    assert "REMOTE_ADDR" not in given
    assert "0" == environ_of(server=("/run/socket", None))["SERVER_PORT"]


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY, IN_MEMORY + 1])
def test_body_is_there_as_a_whole_and_its_length_is_told(size):
    """However it came in; a long one lies in a file meanwhile."""
    body = bytes(range(256)) * (size // 256 + 1)
    chunks = [body[:size][at : at + 100_000] for at in range(0, size, 100_000)] or [b""]
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request"})
    seen = []

    def app(environ, start_response):
        seen.append(environ.get("CONTENT_LENGTH"))
        return echo(environ, start_response)

    for headers, length in (
        ([], str(size) if size else None),
        ([("content-length", "7")], str(size)),
    ):
        scope = http_scope(method="POST", headers=headers)
        reply = asyncio.run(exchange(WSGIMiddleware(app), scope, messages))
        assert body[:size] == reply.body
        assert length == seen.pop()


def test_environ_takes_bytes_or_a_file():
    """The one as Starlette, the other as the responder needs it."""
    assert b"a" == build_environ(http_scope(), b"a")["wsgi.input"].read()
    file = io.BytesIO()
    assert file is build_environ(http_scope(), file)["wsgi.input"]


def test_app_sees_the_context_of_the_request():
    """Of layers outside."""
    variable = contextvars.ContextVar("variable")

    def app(environ, start_response):
        start_response("200 OK", [])
        return [variable.get().encode()]

    async def dispatch(request, call_next):
        variable.set("set outside")
        return await call_next(request)

    layer = Middleware(BaseHTTPMiddleware, dispatch=dispatch)
    stack = Lamella(routes=[Mount("/", app=WSGIMiddleware(app))], middleware=[layer])
    assert b"set outside" == ask(stack).body


# -- with the rest ---------------------------------------------------------------------------------


async def passes(request, call_next):
    return await call_next(request)


@pytest.mark.parametrize("layers", [[], [Middleware(BaseHTTPMiddleware, dispatch=passes)]])
def test_app_is_mounted_as_any_asgi_app(layers):
    """Straight, and by a bridge below a dispatch layer."""
    app = Lamella(routes=[Mount("/app", app=WSGIMiddleware(by_generator))], middleware=layers)
    assert (200, b"ab") == (ask(app, "/app/x").status, ask(app, "/app/x").body)
    assert 404 == ask(app, "/").status


def test_limit_of_the_body_holds():
    """It is counted before the app runs."""
    limit = Middleware(RequestBodyLimitMiddleware, max_body_size=10)
    app = Lamella(routes=[Mount("/", app=WSGIMiddleware(echo))], middleware=[limit])
    assert b"x" * 10 == ask(app, "/", "POST", body=b"x" * 10).body
    assert 413 == ask(app, "/", "POST", body=b"x" * 11).status


def test_requests_beyond_the_workers_wait():
    """And are served then."""
    running, most = [], []

    def app(environ, start_response):
        running.append(1)
        most.append(len(running))
        start_response("200 OK", [])
        yield b"a"
        running.pop()

    layer = WSGIMiddleware(app, workers=1)

    async def three():
        return await asyncio.gather(*(request(layer) for _ in range(3)))

    assert [b"a"] * 3 == [reply.body for reply in asyncio.run(three())]
    assert [1] * 3 == most


def test_not_one_worker_is_refused():
    """Nothing would ever run."""
    with pytest.raises(ValueError, match="at least one worker"):
        WSGIMiddleware(hello, workers=0)


def test_responder_needs_no_layer():
    """As Starlette's, by itself."""

    async def app(scope, receive, send):
        await WSGIResponder(hello, scope)(receive, send)

    assert b"hello" == ask(app).body


@pytest.mark.anyio
async def test_it_runs_on_every_event_loop():
    """Streaming too, which has a task of its own to see the client leave."""
    sent = []
    incoming = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if incoming:
            return incoming.pop()
        await anyio.sleep_forever()

    async def send(message):
        sent.append(message)

    with anyio.fail_after(10):
        await WSGIMiddleware(by_generator)(http_scope(), receive, send)
    assert b"ab" == b"".join(message.get("body", b"") for message in sent)


def test_websocket_is_refused():
    """A client may ask for one anywhere."""
    reply = asyncio.run(exchange(WSGIMiddleware(hello), websocket_scope()))
    assert [{"type": "websocket.close", "code": 1000}] == reply.messages
    assert reply.error is None


def test_lifespan_is_none_of_its_business():
    """Servers go on without."""
    reply = lifetime(WSGIMiddleware(hello))
    assert UsageError is type(reply.error)
    assert [] == reply.messages
