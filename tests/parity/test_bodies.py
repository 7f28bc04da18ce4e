"""A body that is read in a layer, in the endpoint, and in the layer again, on both."""

import asyncio
from contextlib import aclosing

import pytest

from tests.parity.differences import check
from tests.parity.drive import exchange, http_scope
from tests.parity.frameworks import BOTH

INCOMING = (
    {"type": "http.request", "body": b"one ", "more_body": True},
    {"type": "http.request", "body": b"two", "more_body": False},
)


async def unread(request):
    """Leave it alone."""


async def whole(request):
    """Read it whole; it is kept."""
    return await request.body()


async def streamed(request):
    """Take it away piece by piece."""
    return b"".join([piece async for piece in request.stream()])


async def begun(request):
    """Take the first piece away."""
    async with aclosing(request.stream()) as stream:
        return await anext(stream)


async def received(request):
    """Take it away by messages, as a pure ASGI app does."""
    body, more = b"", True
    while more:
        message = await request.receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


BEFORE = (unread, whole, streamed, begun)
INSIDE = (unread, whole, streamed, begun, received)
AFTER = (unread, whole, streamed)
CASES = [
    f"body {before.__name__}, {inside.__name__}, {after.__name__}"
    for before in BEFORE
    for inside in INSIDE
    for after in AFTER
]


async def outcome(read, request):
    """What a read gave, or the kind of its error and how its text begins."""
    try:
        return await read(request)
    except RuntimeError as exc:
        return type(exc).__name__, str(exc).partition(":")[0]


@pytest.mark.parametrize("after", AFTER, ids=lambda read: read.__name__)
@pytest.mark.parametrize("inside", INSIDE, ids=lambda read: read.__name__)
@pytest.mark.parametrize("before", BEFORE, ids=lambda read: read.__name__)
def test_same_body_for_each_that_reads_it(before, inside, after):
    """Before the endpoint, in it, and after it."""

    def run(fw):
        seen = {}

        async def endpoint(request):
            seen["inside"] = await outcome(inside, request)
            return fw.PlainTextResponse()

        async def dispatch(request, call_next):
            seen["before"] = await outcome(before, request)
            response = await call_next(request)
            seen["after"] = await outcome(after, request)
            return response

        layer = fw.Middleware(fw.BaseHTTPMiddleware, dispatch=dispatch)
        app = fw.Starlette(routes=[fw.Route("/", endpoint, methods=["POST"])], middleware=[layer])
        reply = asyncio.run(exchange(app, http_scope(method="POST"), INCOMING))
        return seen, reply.seen()

    case = f"body {before.__name__}, {inside.__name__}, {after.__name__}"
    check(case, *map(run, BOTH))
