"""The size of request bodies: counted as they come, whatever their header says."""

import asyncio

import pytest
from starlette.middleware import body_limit as starlette_body_limit

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.exceptions import BodyTooLargeError, HTTPException
from lamella.middleware import Middleware, body_limit
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY, RequestBodyLimitMiddleware
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route

TOO_LARGE = (413, b"Content Too Large")
FALSE_LENGTHS = [None, b"1", b"0", b"-1", b"x", b"", b"10, 10", b"\xb2", b"1e3", b"+5"]


def scope_of(length=None, path="/"):
    """Make the scope of a POST; `length` is the Content-Length as sent."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [] if length is None else [(b"content-length", length)],
    }


async def drive(app, scope, chunks):
    """Run an app; what it sent, what it raised, and how many chunks it took."""
    sent, taken = [], 0

    async def receive():
        nonlocal taken
        if taken == len(chunks):
            await asyncio.Event().wait()
        taken += 1
        return {"type": "http.request", "body": chunks[taken - 1], "more_body": taken < len(chunks)}

    async def send(message):
        sent.append(message)

    try:
        await asyncio.wait_for(app(scope, receive, send), 10)
    except Exception as exc:
        return sent, exc, taken
    return sent, None, taken


def play(app, *chunks, length=None, path="/"):
    """Tell the status and the body of the one answer that went out, without any error."""
    sent, error, _ = asyncio.run(drive(app, scope_of(length, path), chunks or (b"",)))
    assert error is None, repr(error)
    assert ["http.response.start"] == [m["type"] for m in sent if "start" in m["type"]]
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])


async def whole(request):
    return PlainTextResponse(await request.body())


async def streamed(request):
    return PlainTextResponse(b"".join([chunk async for chunk in request.stream()]))


async def unread(request):
    return PlainTextResponse("unread")


async def foreign(scope, receive, send):
    """Read all, then answer with it, as a pure ASGI app."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def foreign_unread(scope, receive, send):
    """Answer at once, as a pure ASGI app."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"unread"})


async def passes(request, call_next):
    return await call_next(request)


class Wraps:
    """A pure ASGI layer with closures of its own."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def own_receive():
            return await receive()

        async def own_send(message):
            await send(message)

        await self.app(scope, own_receive, own_send)


DISPATCH = Middleware(BaseHTTPMiddleware, dispatch=passes)
WRAPS = Middleware(Wraps)
AROUND = {
    "alone": ([], []),
    "dispatch-outside": ([DISPATCH], []),
    "dispatch-inside": ([], [DISPATCH]),
    "wraps-outside": ([WRAPS], []),
    "wraps-inside": ([], [WRAPS]),
    "all": ([DISPATCH, WRAPS], [WRAPS, DISPATCH]),
}
ROUTES = [
    Route("/whole", whole, methods=["POST"]),
    Route("/streamed", streamed, methods=["POST"]),
    Route("/unread", unread, methods=["POST"]),
    Mount("/foreign-unread", app=foreign_unread),
    Mount("/foreign", app=foreign),
]
READERS = ["/whole", "/streamed", "/foreign/"]
OTHERS = ["/unread", "/foreign-unread/", "/nowhere"]


def app_with(limit, around="alone", **options):
    outside, inside = AROUND[around]
    layer = Middleware(RequestBodyLimitMiddleware, max_body_size=limit)
    return Lamella(routes=ROUTES, middleware=[*outside, layer, *inside], **options)


@pytest.mark.parametrize("length", FALSE_LENGTHS)
@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize("around", AROUND)
def test_body_over_the_limit_is_413_whatever_its_length_says(around, path, length):
    """Missing, false or malformed: the bytes are counted."""
    assert TOO_LARGE == play(
        app_with(10, around), b"12345", b"67890", b"1", length=length, path=path
    )


@pytest.mark.parametrize("length", FALSE_LENGTHS)
@pytest.mark.parametrize("path", READERS)
@pytest.mark.parametrize("around", AROUND)
def test_body_of_exactly_the_limit_passes(around, path, length):
    """A header that is no length announces nothing (RFC 9110 section 8.6)."""
    chunks = (b"12345", b"67890")
    assert (200, b"1234567890") == play(app_with(10, around), *chunks, length=length, path=path)


@pytest.mark.parametrize("length", [b"11", b"0" * 30 + b"11", b"9" * 5000])
@pytest.mark.parametrize("path", [*READERS, *OTHERS])
@pytest.mark.parametrize("around", AROUND)
def test_body_announced_over_the_limit_is_413_whether_it_is_read_or_not(around, path, length):
    """Before a byte of it is taken; a foreign app's own answer is not sent."""
    app = app_with(10, around)
    sent, error, taken = asyncio.run(drive(app, scope_of(length, path), [b"x" * 11]))
    assert (None, 0) == (error, taken)
    assert [413] == [message["status"] for message in sent if "status" in message]
    assert b"Content Too Large" == b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize("path", OTHERS[:2])
@pytest.mark.parametrize("around", AROUND)
def test_body_that_nobody_reads_is_not_read(around, path):
    """Whether it would be too large is not known then, and costs nothing."""
    app = app_with(10, around)
    sent, error, taken = asyncio.run(drive(app, scope_of(None, path), [b"x" * 11]))
    assert (None, 0) == (error, taken)
    assert 200 == sent[0]["status"]


@pytest.mark.parametrize("around", AROUND)
def test_body_that_only_a_watch_for_the_client_read_is_let_through(around):
    """Whether a watch is the first to see it is chance, and must not decide."""

    async def endpoint(request):
        assert not await request.is_disconnected()
        return PlainTextResponse("unread")

    outside, inside = AROUND[around]
    layer = Middleware(RequestBodyLimitMiddleware, max_body_size=10)
    routes = [Route("/", endpoint, methods=["POST"])]
    app = Lamella(routes=routes, middleware=[*outside, layer, *inside])
    assert (200, b"unread") == play(app, b"x" * 11)


def test_reading_stops_at_once():
    """Not when all of it has come in."""
    chunks = [b"x" * 4] * 100
    for path in READERS:
        _, _, taken = asyncio.run(drive(app_with(10), scope_of(None, path), chunks))
        assert 3 == taken, path


def test_limit_of_zero_lets_an_empty_body_through():
    """And nothing else."""
    assert (200, b"") == play(app_with(0), b"", path="/whole")
    assert (200, b"") == play(app_with(0), b"", path="/whole", length=b"0")
    assert TOO_LARGE == play(app_with(0), b"1", path="/whole")


@pytest.mark.parametrize("app", [foreign, foreign_unread])
@pytest.mark.parametrize("length", [None, b"11", b"10", b"3"])
def test_layer_around_a_bare_asgi_app_answers_as_starlette_does(app, length):
    """With no application around it that would answer an exception."""
    results = []
    for cls in (starlette_body_limit.RequestBodyLimitMiddleware, RequestBodyLimitMiddleware):
        for body in (b"x" * 11, b"x" * 10):
            results.append(play(cls(app, 10), body, length=length))
    assert results[:2] == results[2:]


def test_handler_of_the_application_answers_what_an_endpoint_reads():
    """The 413 is an `HTTPException` there."""

    async def handler(request, exc):
        return PlainTextResponse(f"at most 10, {exc.status_code}", 413)

    app = app_with(10, exception_handlers={413: handler})
    assert (413, b"at most 10, 413") == play(app, b"x" * 11, path="/whole")


@pytest.mark.parametrize("around", ["alone", "dispatch-outside", "dispatch-inside"])
def test_answer_of_an_endpoint_that_swallowed_the_error_is_replaced(around):
    """It worked with half a body; what it would have sent is closed."""
    closed = []

    class Source:
        async def __aiter__(self):
            yield b"half"

        async def aclose(self):
            closed.append(True)

    async def endpoint(request):
        try:
            await request.body()
        except Exception:
            return StreamingResponse(Source())

    outside, inside = AROUND[around]
    layer = Middleware(RequestBodyLimitMiddleware, max_body_size=10)
    app = Lamella(
        routes=[Route("/", endpoint, methods=["POST"])], middleware=[*outside, layer, *inside]
    )
    assert TOO_LARGE == play(app, b"x" * 11)
    assert [True] == closed


def test_error_of_the_endpoint_is_not_hidden_by_the_limit():
    """A 500 is reported to the server, as without the layer."""

    async def endpoint(request):
        raise LookupError("own")

    layer = Middleware(RequestBodyLimitMiddleware, max_body_size=10)
    app = Lamella(routes=[Route("/", endpoint, methods=["POST"])], middleware=[layer])
    sent, error, _ = asyncio.run(drive(app, scope_of(b"11"), [b"x" * 11]))
    assert LookupError is type(error)
    assert 1 == len([message for message in sent if "status" in message])


def test_answer_that_had_begun_is_not_begun_again():
    """What was sent cannot be taken back; the client sees that it is cut off."""

    async def begins(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await receive()
        await send({"type": "http.response.body", "body": b"b"})

    app = RequestBodyLimitMiddleware(begins, 10)
    sent, error, _ = asyncio.run(drive(app, scope_of(), [b"x" * 11]))
    assert 413 == error.status_code
    assert [200] == [message["status"] for message in sent if "status" in message]
    assert sent[-1]["more_body"]


def nested(outer, inner, between=()):
    layers = [
        Middleware(RequestBodyLimitMiddleware, max_body_size=outer),
        *between,
        Middleware(RequestBodyLimitMiddleware, max_body_size=inner),
    ]
    return Lamella(routes=ROUTES, middleware=layers)


@pytest.mark.parametrize(
    "between",
    [(), (DISPATCH,), (WRAPS,), (WRAPS, DISPATCH, WRAPS)],
    ids=["next", "dispatch", "wraps", "all"],
)
@pytest.mark.parametrize(("outer", "inner"), [(5, 10), (100, 10), (10, 10)])
@pytest.mark.parametrize("path", ["/whole", "/foreign/"])
def test_innermost_limit_counts(path, outer, inner, between):
    """One route may take more, or less, than the application does."""
    app = nested(outer, inner, between)
    assert (200, b"x" * 10) == play(app, b"x" * 10, path=path, length=b"10")
    assert TOO_LARGE == play(app, b"x" * 11, path=path)
    assert TOO_LARGE == play(app, b"x" * 11, path=path, length=b"11")


def test_limit_in_force_is_found_in_the_scope():
    """For whoever reads the body by other means."""
    seen = []

    async def endpoint(request):
        seen.append(request.scope[MAX_BODY_SIZE_SCOPE_KEY])
        return PlainTextResponse()

    layers = [Middleware(RequestBodyLimitMiddleware, max_body_size=size) for size in (5, 10)]
    app = Lamella(routes=[Route("/", endpoint, methods=["POST"])], middleware=layers)
    play(app)
    assert [10] == seen


@pytest.mark.parametrize("around", [{}, {MAX_BODY_SIZE_SCOPE_KEY: 10}])
def test_limit_in_the_scope_is_put_back_when_the_layer_is_done(around):
    """The scope may be somebody else's, and a limit of theirs in it."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope[MAX_BODY_SIZE_SCOPE_KEY])
        await foreign(scope, receive, send)

    for chunk, status in ((b"12345", 200), (b"123456", 413)):
        scope = {**scope_of(), **around}
        layer = RequestBodyLimitMiddleware(app, max_body_size=5)
        sent, error, _ = asyncio.run(drive(layer, scope, [chunk]))
        assert (status, None) == (sent[0]["status"], error)
        assert around.get(MAX_BODY_SIZE_SCOPE_KEY) == scope.get(MAX_BODY_SIZE_SCOPE_KEY)
    assert [5, 5] == seen


def test_layer_alone_adds_nothing_to_what_a_foreign_app_and_a_server_say():
    """The disconnect arrives as it was sent; what the app leaves out, the server tells."""
    disconnect = {"type": "http.disconnect", "reason": "timeout"}
    received = []

    async def app(scope, receive, send):
        received.append(await receive())

    async def receive():
        return disconnect

    layer = RequestBodyLimitMiddleware(app, max_body_size=5)
    asyncio.run(layer(scope_of(), receive, None))
    assert received[0] is disconnect


def test_layers_outside_see_the_413():
    """As a response: it can be counted and given headers."""
    seen = []

    async def dispatch(request, call_next):
        response = await call_next(request)
        seen.append(response.status_code)
        return response

    layers = [
        Middleware(BaseHTTPMiddleware, dispatch=dispatch),
        Middleware(RequestBodyLimitMiddleware, max_body_size=10),
    ]
    app = Lamella(routes=ROUTES, middleware=layers)
    assert TOO_LARGE == play(app, b"x" * 11, path="/whole")
    assert TOO_LARGE == play(app, b"x" * 11, path="/unread", length=b"11")
    assert [413, 413] == seen


def test_background_task_runs_once_the_answer_was_sent():
    """The layer is not in its way."""
    ran = []

    async def work():
        ran.append(True)

    async def endpoint(request):
        return PlainTextResponse(await request.body(), background=BackgroundTask(work))

    layer = Middleware(RequestBodyLimitMiddleware, max_body_size=10)
    app = Lamella(routes=[Route("/", endpoint, methods=["POST"])], middleware=[layer])
    assert (200, b"ok") == play(app, b"ok")
    assert [True] == ran


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_http_passes_untouched(kind):
    """Messages of a websocket have limits of the server."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    call = ({"type": kind}, object(), object())
    asyncio.run(RequestBodyLimitMiddleware(app, 10)(*call))
    assert [call] == seen


@pytest.mark.parametrize("path", ["/whole", "/streamed"])
def test_error_is_one_that_can_be_caught_by_name(path):
    """Ours, and the name that frameworks on top look for."""
    seen = []

    async def looks(request, call_next):
        try:
            return await call_next(request)
        except HTTPException as exc:
            seen.append(exc)
            raise

    layers = [
        Middleware(RequestBodyLimitMiddleware, max_body_size=10),
        Middleware(BaseHTTPMiddleware, dispatch=looks),
        Middleware(ReadsBelow),
    ]
    assert TOO_LARGE == play(Lamella(routes=ROUTES, middleware=layers), b"x" * 11, path=path)
    assert [BodyTooLargeError] == [type(exc) for exc in seen]
    assert isinstance(seen[0], body_limit._RequestBodyTooLarge)
    assert issubclass(body_limit._RequestBodyLimitResponseSent, Exception)


class ReadsBelow:
    """A pure ASGI layer that reads the body by itself."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await self.app(scope, receive, send)


@pytest.mark.parametrize("length", [None, b"11"])
def test_error_out_of_a_group_is_answered(length):
    """A layer that reads in a task group of its own may take it out, as FastAPI's does."""

    class Unwraps:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            try:
                await self.app(scope, receive, send)
            except ExceptionGroup as group:
                matched, rest = group.split(body_limit._RequestBodyTooLarge)
                assert rest is None
                raise matched.exceptions[0] from group

    async def grouped(scope, receive, send):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(foreign(scope, receive, send))

    app = RequestBodyLimitMiddleware(Unwraps(grouped), 10)
    assert TOO_LARGE == play(app, b"x" * 11, length=length)
