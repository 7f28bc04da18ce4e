"""Errors, their handlers, debug answers and lifespans on both."""

import asyncio
import contextlib
import warnings

import pytest

from tests.parity.differences import check
from tests.parity.drive import lifetime, request
from tests.parity.frameworks import BOTH


class Lost(Exception):
    """An error of the tests' own."""


class Found(Lost):
    """A kind of it."""


def answer_with(fw, word, status=500, *, sync=False):
    """An exception handler that tells which it is and what it got."""

    async def handler(request, exc):
        return fw.PlainTextResponse(
            f"{word}: {type(exc).__name__} {exc} at {request.url.path}", status_code=status
        )

    def sync_handler(request, exc):
        return fw.PlainTextResponse(f"{word}: {type(exc).__name__} {exc}", status_code=status)

    return sync_handler if sync else handler


def failing(fw):
    async def handler(request, exc):
        raise Found("in the handler")

    return handler


def by_status(fw):
    return {404: answer_with(fw, "404", 404), 405: answer_with(fw, "405", 405)}


def by_class(fw):
    return {Lost: answer_with(fw, "lost", 400), fw.HTTPException: answer_with(fw, "http", 499)}


def by_kind(fw):
    return {Lost: answer_with(fw, "lost"), Found: answer_with(fw, "found", sync=True)}


def by_status_and_class(fw):
    return {418: answer_with(fw, "status", 418), fw.HTTPException: answer_with(fw, "class", 419)}


def by_500(fw):
    return {500: answer_with(fw, "five hundred")}


def by_exception(fw):
    return {Exception: answer_with(fw, "exception", 503, sync=True)}


def by_both(fw):
    return {500: answer_with(fw, "500"), Exception: answer_with(fw, "exception"), **by_class(fw)}


def failing_for_class(fw):
    return {Lost: failing(fw), Found: answer_with(fw, "found")}


def failing_for_500(fw):
    return {500: failing(fw)}


def nothing(fw):
    return {}


HANDLERS = (
    nothing,
    by_status,
    by_class,
    by_kind,
    by_status_and_class,
    by_500,
    by_exception,
    by_both,
    failing_for_class,
    failing_for_500,
)
PATHS = (
    "/",
    "/lost",
    "/found",
    "/teapot",
    "/conflict",
    "/five",
    "/stream",
    "/sync",
    "/none",
    "/raw",
    "/mounted/lost",
    "/mounted/teapot",
    "/mounted/none",
    "/inner/lost",
    "/inner/teapot",
    "/inner/none",
)


def build(fw, handlers, **options):
    """Routes that raise, here and in what is mounted."""

    def raises(exc, *, sync=False):
        async def endpoint(request):
            raise exc()

        def sync_endpoint(request):
            raise exc()

        return sync_endpoint if sync else endpoint

    async def pieces():
        yield b"one"
        raise Lost("in the stream")

    async def stream(request):
        return fw.StreamingResponse(pieces())

    class Raw:
        async def __call__(self, scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise fw.HTTPException(400)

    def lost():
        return Lost("lost")

    def teapot():
        return fw.HTTPException(418, "tea", headers={"x-pot": "1"})

    below = [fw.Route("/lost", raises(lost)), fw.Route("/teapot", raises(teapot))]
    return fw.Starlette(
        routes=[
            fw.Route("/", raises(lost), methods=["POST"]),
            fw.Route("/lost", raises(lost)),
            fw.Route("/found", raises(lambda: Found("found"))),
            fw.Route("/teapot", raises(teapot)),
            fw.Route("/conflict", raises(lambda: fw.HTTPException(409))),
            fw.Route("/five", raises(lambda: fw.HTTPException(500, "told"))),
            fw.Route("/sync", raises(lost, sync=True)),
            fw.Route("/stream", stream),
            fw.Route("/raw", Raw()),
            fw.Mount("/mounted", routes=below),
            fw.Mount(
                "/inner",
                app=fw.Starlette(
                    routes=below, exception_handlers={418: answer_with(fw, "inner", 418)}
                ),
            ),
        ],
        exception_handlers=handlers(fw),
        **options,
    )


@pytest.mark.parametrize("handlers", HANDLERS, ids=lambda handlers: handlers.__name__)
@pytest.mark.parametrize("path", PATHS)
def test_same_answer_to_an_error(path, handlers):
    """Which handler is taken, what it is given, and what is raised on to the server."""
    name = f"errors {path} {handlers.__name__}"
    check(name, *[asyncio.run(request(build(fw, handlers), path)).seen() for fw in BOTH])


@pytest.mark.parametrize("path", ["/lost", "/teapot", "/stream", "/inner/lost", "/five"])
def test_same_start_of_a_debug_answer(path):
    """The page is another; status, type and error are the same."""

    def run(fw):
        reply = asyncio.run(
            request(build(fw, by_500, debug=True), path, headers=[("accept", "text/html")])
        )
        return reply.status, reply.headers.get("content-type"), str(reply.error), reply.complete

    check(f"debug {path}", *map(run, BOTH))


def raises_alone(request):
    raise Lost("alone")


def raises_while_handling(request):
    try:
        raise Found("first")
    except Found:
        raise Lost("second")  # noqa: B904 - that is what is looked at


def raises_from(request):
    try:
        raise Found("first")
    except Found as exc:
        raise Lost("second") from exc


CHAINS = (raises_alone, raises_while_handling, raises_from)


@pytest.mark.parametrize("endpoint", CHAINS, ids=lambda endpoint: endpoint.__name__)
def test_same_chain_of_an_error_below_a_layer(endpoint, caplog):
    """What the error says came before it; and what is logged of it."""

    async def dispatch(request, call_next):
        return await call_next(request)

    def run(fw):
        caplog.clear()
        layers = [fw.Middleware(fw.BaseHTTPMiddleware, dispatch=dispatch)]
        app = fw.Starlette(routes=[fw.Route("/", endpoint)], middleware=layers)
        error = asyncio.run(request(app)).error
        chain = [type(link).__name__ for link in (error, error.__context__, error.__cause__)]
        return chain, [(record.name, record.levelname) for record in caplog.records]

    check(f"chain {endpoint.__name__}", *map(run, BOTH))


# -- lifespans -------------------------------------------------------------------------------------


def no_lifespan(fw):
    return {}


def stateless(fw):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        app.state.seen = ["start"]
        yield
        app.state.seen.append("stop")

    return {"lifespan": lifespan}


def stateful(fw):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        app.state.seen = ["start"]
        yield {"db": "open"}

    return {"lifespan": lifespan}


def generator(fw):
    def lifespan(app):
        app.state.seen = ["start"]
        yield
        app.state.seen.append("stop")

    return {"lifespan": lifespan}


def async_generator(fw):
    async def lifespan(app):
        app.state.seen = ["start"]
        yield
        app.state.seen.append("stop")

    return {"lifespan": lifespan}


def fails_at_start(fw):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        raise Lost("start")
        yield

    return {"lifespan": lifespan}


def fails_at_stop(fw):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield
        raise Lost("stop")

    return {"lifespan": lifespan}


LIFESPANS = (
    no_lifespan,
    stateless,
    stateful,
    generator,
    async_generator,
    fails_at_start,
    fails_at_stop,
)


@pytest.mark.parametrize("layers", [0, 1], ids=["bare", "layered"])
@pytest.mark.parametrize("lifespan", LIFESPANS, ids=lambda lifespan: lifespan.__name__)
def test_same_messages_of_a_lifespan(lifespan, layers):
    """Start, state, stop, and what a failure says."""

    async def dispatch(request, call_next):
        return await call_next(request)

    def run(fw):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            app = fw.Starlette(
                middleware=[fw.Middleware(fw.BaseHTTPMiddleware, dispatch=dispatch)] * layers,
                **lifespan(fw),
            )
        states = []

        async def during(scope):
            states.append(dict(scope["state"]))

        reply = lifetime(app, during=during)
        types = [(m["type"], "Lost" in m.get("message", "")) for m in reply.messages]
        warned = [warning.category.__name__ for warning in caught]
        seen = getattr(app.state, "seen", None)
        return types, repr(reply.error), states, seen, warned

    check(f"lifespan {lifespan.__name__}", *map(run, BOTH))


def test_a_lifespan_with_state_needs_a_server_that_takes_it():
    """The same failure on a server without `state`."""

    def run(fw):
        app = fw.Starlette(**stateful(fw))

        async def bare(scope, receive, send):
            del scope["state"]
            await app(scope, receive, send)

        reply = lifetime(bare)
        return [m["type"] for m in reply.messages], repr(reply.error)

    check("lifespan without state", *map(run, BOTH))
