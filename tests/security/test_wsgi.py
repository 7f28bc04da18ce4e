"""What a client, or a WSGI app, may try across the bridge from ASGI."""

import asyncio
import threading

import pytest

from lamella.applications import Lamella
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.wsgi import WSGIMiddleware, build_environ
from lamella.routing import Mount
from tests.parity.drive import ask, exchange, http_scope

REQUEST = {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize(
    "name", ["x_real_ip", "x_real-ip", "x-real_ip", "X_REAL_IP", "content_length", "content_type"]
)
def test_header_with_an_underscore_takes_no_name_of_another(name):
    """As Django's CVE-2026-3902: a proxy removes the one with the hyphen alone."""
    headers = [("x-real-ip", "192.0.2.1"), ("content-type", "a/b"), ("content-length", "0")]
    environ = build_environ(http_scope(headers=[*headers, (name, "forged")]), b"")
    assert "192.0.2.1" == environ["HTTP_X_REAL_IP"]
    assert ("a/b", "0") == (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"])
    assert "forged" not in "".join(map(str, environ.values()))


@pytest.mark.parametrize("name", ["proxy", "Proxy", "PROXY"])
def test_proxy_header_does_not_become_the_proxy(name):
    """CVE-2016-5385: HTTP_PROXY is where libraries look for one to call out by."""
    scope = http_scope()
    scope["headers"] = [(name.encode(), b"http://192.0.2.66")]
    assert "HTTP_PROXY" not in build_environ(scope, b"")


@pytest.mark.parametrize("query", [b"q=\xc3\xbc", b"\xff\x00", bytes(range(256))])
def test_query_that_is_not_ascii_is_passed_on(query):
    """Servers do; a client chooses it, so it must not be a 500."""
    given = []

    def app(environ, start_response):
        given.append(environ["QUERY_STRING"].encode("latin-1"))
        start_response("200 OK", [])
        return []

    assert 200 == ask(WSGIMiddleware(app), query=query).status
    assert [query] == given


def test_headers_of_one_name_are_joined_in_linear_time():
    """A million short ones take no longer than they are long (Django's CVE-2025-14550)."""
    scope = http_scope()
    scope["headers"] = [(b"a", b"1")] * 200_000
    assert 399_999 == len(build_environ(scope, b"")["HTTP_A"])


@pytest.mark.parametrize(
    "header",
    [
        ("x", "a\r\nset-cookie: b=1"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("x\r\ny", "a"),
        ("x y", "a"),
        ("x:", "a"),
        ("", "a"),
    ],
)
def test_header_of_the_app_cannot_split_the_response(header):
    """What an app puts there may come from its client."""

    def app(environ, start_response):
        start_response("200 OK", [header])
        return [b"a"]

    reply = ask(WSGIMiddleware(app))
    assert [] == reply.messages
    assert ValueError is type(reply.error)


@pytest.mark.parametrize("status", ["200 OK\r\nset-cookie: b=1", "200 OK\nx", "200\r\n"])
def test_status_of_the_app_cannot_split_the_response(status):
    """Its reason goes nowhere, and is refused all the same."""

    def app(environ, start_response):
        start_response(status, [])
        return []

    reply = ask(WSGIMiddleware(app))
    assert [] == reply.messages
    assert ValueError is type(reply.error)


async def passes(request, call_next):
    return await call_next(request)


@pytest.mark.parametrize("layers", [[], [Middleware(BaseHTTPMiddleware, dispatch=passes)]])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_cut_off_upload_does_not_reach_the_app(count, layers):
    """It would store half a file as a whole one; and nobody is left to be answered."""
    ran = []

    def app(environ, start_response):
        ran.append(environ)

    stack = Lamella(routes=[Mount("/", app=WSGIMiddleware(app))], middleware=layers)
    parts = [{"type": "http.request", "body": b"x", "more_body": True}] * count
    messages = [*parts, {"type": "http.disconnect"}]
    for served in (stack, WSGIMiddleware(app)):
        reply = asyncio.run(exchange(served, http_scope(method="POST"), messages))
        assert ([], None) == (reply.messages, reply.error)
    assert [] == ran


class Endless:
    """An app whose body never ends; it counts what it made, and tells when it was closed."""

    def __init__(self):
        self.made = 0
        self.closed = threading.Event()

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return self

    def __iter__(self):
        while True:
            self.made += 1
            yield b"x" * 65536

    def close(self):
        self.closed.set()


class Client:
    """Takes some messages, then acts; at most one message is made ahead of it, or it says so."""

    def __init__(self, app, takes, act):
        self.app, self.left, self.act = app, takes, act
        self.gone = asyncio.Event()
        self.first = [REQUEST, REQUEST]  # one more than there are: it is passed over

    async def receive(self):
        if self.first:
            return self.first.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if message["type"] == "http.response.body":
            self.left -= 1
            if self.left < 0:
                await self.act(self)


def end(app, takes, act, *, cancel=False, layers=()):
    """Serve an endless body to a client; the error it ended with."""
    mounted = WSGIMiddleware(app)
    stack = Lamella(routes=[Mount("/", app=mounted)], middleware=layers) if layers else mounted

    async def run():
        client = Client(app, takes, act)
        task = asyncio.create_task(stack(http_scope(), client.receive, client.send))
        if cancel:
            await client.gone.wait()
            task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.done()
        return None if task.cancelled() else task.exception()

    error = asyncio.run(run())
    assert app.closed.wait(10)
    return error


async def stops(client):
    client.gone.set()
    await asyncio.Event().wait()


async def raises(client):
    raise OSError("gone")


async def swallows(client):
    client.gone.set()


LAYERS = [[], [Middleware(BaseHTTPMiddleware, dispatch=passes)]]


@pytest.mark.parametrize("layers", LAYERS)
def test_slow_client_is_not_sent_ahead_of(layers):
    """One that stops reading holds a chunk or two, not all that the app can make."""
    app = Endless()
    end(app, 2, stops, cancel=True, layers=layers)
    assert app.made <= 5


@pytest.mark.parametrize("layers", LAYERS)
def test_app_ends_when_its_client_left_and_the_server_says_so(layers):
    """By an error of `send`, as ASGI HTTP spec 2.4 has it."""
    app = Endless()
    error = end(app, 2, raises, layers=layers)
    assert error is None or isinstance(error, OSError)
    assert app.made <= 5


def test_app_ends_when_its_client_left_and_the_server_says_nothing():
    """Many drop in silence what is sent to one who left: a thread would be lost to each of them."""
    app = Endless()
    assert end(app, 2, swallows) is None
