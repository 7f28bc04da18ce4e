"""What a layer or a handler makes instead of the endpoint: the layers outside see what goes out."""

import asyncio
import gzip

import pytest

from lamella.applications import Lamella
from lamella.authentication import AuthenticationBackend, AuthenticationError
from lamella.background import BackgroundTask
from lamella.exceptions import HTTPException
from lamella.middleware import Middleware
from lamella.middleware.authentication import AuthenticationMiddleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.gzip import GZipMiddleware
from lamella.requests import Request
from lamella.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from lamella.routing import Route
from tests.failures.wire import Wire
from tests.failures.wire import exchange as on_wire
from tests.loops import BACKENDS, turns
from tests.parity.drive import answer, request

TEXT = "worth compressing " * 100


async def plain(request):
    return PlainTextResponse("plain")


async def fails(request):
    raise HTTPException(418)


class Refuses(AuthenticationBackend):
    async def authenticate(self, conn):
        raise AuthenticationError


def by_layer(make, *outside):
    async def dispatch(request, call_next):
        return make()

    layers = [*outside, Middleware(BaseHTTPMiddleware, dispatch=dispatch)]
    return Lamella(routes=[Route("/", plain)], middleware=layers)


def by_layer_after_the_endpoint(make, *outside):
    async def dispatch(request, call_next):
        await call_next(request)
        return make()

    layers = [*outside, Middleware(BaseHTTPMiddleware, dispatch=dispatch)]
    return Lamella(routes=[Route("/", plain)], middleware=layers)


def by_authentication(make, *outside):
    layer = Middleware(AuthenticationMiddleware, Refuses(), lambda conn, exc: make())
    return Lamella(routes=[Route("/", plain)], middleware=[*outside, layer])


def by_handler(make, *outside):
    handlers = {418: lambda request, exc: make()}
    return Lamella(routes=[Route("/", fails)], middleware=outside, exception_handlers=handlers)


def by_handler_of_an_error_in_a_layer(make, *outside):
    async def dispatch(request, call_next):
        raise HTTPException(418)

    handlers = {418: lambda request, exc: make()}
    layers = [*outside, Middleware(BaseHTTPMiddleware, dispatch=dispatch)]
    return Lamella(routes=[Route("/", plain)], middleware=layers, exception_handlers=handlers)


MAKERS = (
    by_layer,
    by_layer_after_the_endpoint,
    by_authentication,
    by_handler,
    by_handler_of_an_error_in_a_layer,
)
makers = pytest.mark.parametrize("app_of", MAKERS)


async def marks(request, call_next):
    """Set a header of this request's own."""
    response = await call_next(request)
    response.headers.append("x-asked", request.query_params.get("n", ""))
    return response


async def retries(request, call_next):
    await call_next(request)
    return await call_next(request)


async def by_another_request(request, call_next):
    """As some layers written for Starlette do."""
    return await call_next(Request(request.scope, request.receive))


def asked(reply):
    return [value.decode() for name, value in reply.start["headers"] if name == b"x-asked"]


# -- one object for many requests ------------------------------------------------------------------


@makers
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    "outside",
    [[marks], [retries, marks], [marks, by_another_request], [by_another_request, marks]],
)
def test_object_made_once_is_marked_for_one_request_alone(app_of, background, outside):
    """What another request's layers set, a cookie perhaps, is nobody else's."""
    ran = []
    task = BackgroundTask(ran.append, 1) if background else None
    constant = PlainTextResponse("constant", background=task)
    app = app_of(lambda: constant, *(Middleware(BaseHTTPMiddleware, d) for d in outside))
    for number in ("1", "2"):
        reply = answer(app, query=b"n=" + number.encode())
        assert ("constant", [number]) == (reply.text, asked(reply))
    assert ("x-asked" in constant.headers) is False
    assert (background and 2 * (1 + (retries in outside))) == len(ran)


@makers
def test_object_made_once_is_marked_for_one_of_two_requests_at_a_time(app_of):
    """Both have it in hand."""
    constant = PlainTextResponse("constant")

    async def slowly(request, call_next):
        response = await call_next(request)
        response.headers["x-asked"] = request.query_params["n"]
        await turns(3)
        return response

    app = app_of(lambda: constant, Middleware(BaseHTTPMiddleware, dispatch=slowly))

    async def both():
        return await asyncio.gather(*(request(app, query=b"n=%d" % n) for n in (1, 2)))

    assert [["1"], ["2"]] == [asked(reply) for reply in asyncio.run(both())]


@makers
def test_object_made_once_is_compressed_for_those_who_take_it(app_of):
    """And is as it was for the others."""
    constant = PlainTextResponse(TEXT)
    app = app_of(lambda: constant, Middleware(GZipMiddleware))
    for _ in range(2):
        reply = answer(app, headers=[("accept-encoding", "gzip")])
        assert TEXT.encode() == gzip.decompress(reply.body)
        assert TEXT == answer(app).text


def test_response_of_the_endpoint_keeps_what_every_layer_did_to_it():
    """However the request was passed on, and whichever run's response is returned."""

    async def first_of_two(request, call_next):
        first = await call_next(request)
        await call_next(request)
        return first

    def app_with(*dispatches):
        layers = [Middleware(BaseHTTPMiddleware, dispatch=dispatch) for dispatch in dispatches]
        return Lamella(routes=[Route("/", plain)], middleware=layers)

    for between in (by_another_request, first_of_two, retries):
        reply = answer(app_with(marks, between, marks), query=b"n=1")
        assert ["1", "1"] == asked(reply)


# -- what hangs on the request ---------------------------------------------------------------------


@makers
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([("range", "bytes=0-1")], 206),
        ([("range", "bytes=9-")], 416),
        ([("if-none-match", "*")], 304),
    ],
)
def test_file_is_settled_before_layers_outside_look(app_of, headers, status, tmp_path):
    """So that they see the status that goes out, and no header of theirs is lost."""
    (tmp_path / "file").write_bytes(b"file")
    seen = []

    async def looks(request, call_next):
        response = await call_next(request)
        seen.append(response.status_code)
        response.headers["x-asked"] = "yes"
        return response

    outside = Middleware(BaseHTTPMiddleware, dispatch=looks)
    app = app_of(lambda: FileResponse(tmp_path / "file"), outside)
    for _ in range(2):
        reply = answer(app, headers=headers)
        assert (status, ["yes"], [status]) == (reply.status, asked(reply), seen)
        seen.clear()


class SendsItself(Response):
    """A response whose own code says what goes out, as those of event sources do."""

    def render(self, content):
        return b"not sent"

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b"own"})


class StreamsItself(StreamingResponse):
    """A stream with a way of its own."""

    async def stream_response(self, send):
        await send({"type": "http.response.start", "status": 202, "headers": []})
        await send({"type": "http.response.body", "body": b"own"})


@makers
@pytest.mark.parametrize("kind", [SendsItself, StreamsItself])
def test_response_that_sends_itself_is_marked(app_of, kind):
    """By what it sends: its attributes say nothing."""
    seen = []

    async def looks(request, call_next):
        response = await call_next(request)
        seen.append(response.status_code)
        return response

    outside = [Middleware(BaseHTTPMiddleware, dispatch=dispatch) for dispatch in (marks, looks)]
    reply = answer(app_of(lambda: kind(iter(())), *outside), query=b"n=1")
    assert (202, b"own", ["1"], [202]) == (reply.status, reply.body, asked(reply), seen)


@pytest.mark.parametrize("loop", BACKENDS)
@makers
def test_endless_stream_that_a_layer_outside_reads_ends_with_the_client(app_of, loop):
    """As that of an endpoint."""
    wire = Wire()

    async def pieces():
        try:
            while True:
                yield b"piece"
                await turns()
        finally:
            wire.note("closed")

    async def reads(request, call_next):
        response = await call_next(request)
        count = 0
        async for _ in response.body_iterator:
            count += 1
            if count == 3:
                wire.leave()
        return response

    app = app_of(
        lambda: StreamingResponse(pieces()), Middleware(BaseHTTPMiddleware, dispatch=reads)
    )
    assert on_wire(loop, app, wire) is None
    assert 1 == wire.events.count("closed")
