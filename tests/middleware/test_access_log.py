"""One log record a request, whatever becomes of it."""

import asyncio
import logging
import re

import pytest

from lamella.applications import Lamella
from lamella.middleware import Middleware
from lamella.middleware.access_log import AccessLogMiddleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route

LOGGER = "lamella.access"


def scope_of(path="/", method="GET", client=("10.0.0.1", 1234)):
    """Make an ASGI scope."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": b"",
        "root_path": "",
        "query_string": b"secret=1",
        "headers": [],
        "client": client,
    }


async def drive(app, scope, send_fails_after=None):
    """Run an app; the error it raised or None."""
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if len(sent) == send_fails_after:
            raise OSError("gone")
        sent.append(message)

    try:
        await asyncio.wait_for(app(scope, receive, send), 10)
    except Exception as exc:
        return exc
    return None


async def text(request):
    return PlainTextResponse("hello")


async def stream(request):
    async def parts():
        for _ in range(3):
            yield b"1234"

    return StreamingResponse(parts())


async def fails(request):
    raise LookupError("own")


async def breaks(request):
    async def parts():
        yield b"1234"
        raise LookupError("own")

    return StreamingResponse(parts())


async def foreign(scope, receive, send):
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b"ab", "more_body": True})
    await send({"type": "http.response.body", "body": b"cd"})


ROUTES = [
    Route("/text", text, methods=["GET", "POST"]),
    Route("/stream", stream),
    Route("/fails", fails),
    Route("/breaks", breaks),
    Mount("/foreign", app=foreign),
]


async def passes(request, call_next):
    return await call_next(request)


def app_of(*inside, **options):
    layers = [Middleware(AccessLogMiddleware, **options), *inside]
    return Lamella(routes=ROUTES, middleware=layers)


@pytest.fixture
def lines(caplog):
    """Give a function that tells what was logged, the time taken out."""
    caplog.set_level(logging.INFO, LOGGER)

    def told():
        found = [record for record in caplog.records if record.name == LOGGER]
        assert {"INFO"} >= {record.levelname for record in found}
        return [re.sub(r"\d+\.\d ms", "T ms", record.getMessage()) for record in found]

    return told


@pytest.mark.parametrize("inside", [[], [Middleware(BaseHTTPMiddleware, dispatch=passes)]])
@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/text", "10.0.0.1 GET '/text' 200 5 bytes T ms"),
        ("/stream", "10.0.0.1 GET '/stream' 200 12 bytes T ms"),
        ("/foreign/", "10.0.0.1 GET '/foreign/' 202 4 bytes T ms"),
        ("/nowhere", "10.0.0.1 GET '/nowhere' 404 9 bytes T ms"),
        ("/fails", "10.0.0.1 GET '/fails' 500 21 bytes T ms"),
        ("/breaks", "10.0.0.1 GET '/breaks' 200 4 bytes T ms"),
    ],
)
def test_each_request_is_one_record_of_what_was_sent(path, line, inside, lines):
    """Answered, not found, failed before the start or after it."""
    error = asyncio.run(drive(app_of(*inside), scope_of(path)))
    assert (path in ("/fails", "/breaks")) == (error is not None)
    assert [line] == lines()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_client_that_left_is_told(count, lines):
    """What it was sent is counted up to then."""
    error = asyncio.run(drive(app_of(), scope_of("/stream"), count))
    assert error is None
    (line,) = lines()
    assert line.endswith(" client left")
    assert "10.0.0.1 GET '/stream' 200 " in line


def test_client_and_status_that_are_not_known_are_dashes(lines):
    """A server on a socket of the machine knows no client; a cancelled request has no status."""
    asyncio.run(drive(app_of(), scope_of("/text", client=None)))

    async def cancelled():
        waiting = asyncio.Event()

        async def wait(request, call_next):
            waiting.set()
            await asyncio.Event().wait()

        app = app_of(Middleware(BaseHTTPMiddleware, dispatch=wait))
        task = asyncio.create_task(drive(app, scope_of("/text")))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert [
        "- GET '/text' 200 5 bytes T ms",
        "10.0.0.1 GET '/text' - 0 bytes T ms",
    ] == lines()


@pytest.mark.parametrize("path", ["/a\r\n10.0.0.2 GET '/forged'", "/\x1b[2J", "/\0", "/\u2028"])
def test_path_cannot_forge_a_record(path, lines):
    """CVE-2020-7694: control characters of the client's choosing."""
    asyncio.run(drive(app_of(), scope_of(path)))
    (line,) = lines()
    assert line.isprintable()


def test_query_is_not_logged(lines):
    """It may hold a secret."""
    asyncio.run(drive(app_of(), scope_of("/text")))
    assert "secret" not in lines()[0]


def test_logger_can_be_named(caplog):
    """One an application has already."""
    caplog.set_level(logging.INFO, "mine")
    asyncio.run(drive(app_of(logger="mine"), scope_of("/text")))
    assert ["mine"] == [record.name for record in caplog.records]


def test_logger_that_is_off_costs_nothing(caplog):
    """No callback is left with the exchange."""
    caplog.set_level(logging.WARNING, LOGGER)
    exchanges = []

    async def looks(request, call_next):
        exchanges.append(request._exchange)
        return await call_next(request)

    asyncio.run(drive(app_of(Middleware(BaseHTTPMiddleware, dispatch=looks)), scope_of("/text")))
    assert [None] == exchanges
    assert [] == caplog.records


@pytest.mark.parametrize(
    "method", ["GET X\r\n10.0.0.2 DELETE '/FORGED'", "\x1b[2J", "\0", "\u2028"]
)
@pytest.mark.parametrize("path", ["/text", "/fails"])
def test_method_cannot_forge_a_record(path, method, lines, caplog):
    """It is the client's text as much as the path is; that of an unhandled error is a record too."""
    app = Lamella(
        routes=[Route("/text", text, methods=[method]), Route("/fails", fails, methods=[method])],
        middleware=[Middleware(AccessLogMiddleware)],
    )
    asyncio.run(drive(app, scope_of(path, method=method)))
    (line,) = lines()
    assert line.isprintable()
    messages = [record.getMessage() for record in caplog.records]
    assert (2 if path == "/fails" else 1) == len(messages)
    assert [] == [message for message in messages if not message.isprintable()]
