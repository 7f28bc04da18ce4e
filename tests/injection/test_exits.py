"""What stands behind a dependency's `yield`: that it runs, when, in which order, and what it sees."""

import gc
import logging
import weakref
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTask, BackgroundTasks
from lamella.engine.stack import Layer
from lamella.exceptions import HTTPException, LamellaError
from lamella.middleware import Middleware
from lamella.params import Depends
from lamella.requests import Request
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Mount
from lamella.testclient import TestClient
from tests.loops import never, peace, spawn, turns, until, wait, within
from tests.parity.drive import Reply, http_scope, request

pytestmark = pytest.mark.anyio

number: ContextVar[int] = ContextVar("number", default=0)


# -- dependencies that tell what happens to them ---------------------------------------------------


def tell(error: BaseException | None) -> str:
    if error is None:
        return "left"
    if isinstance(error, HTTPException):
        return f"left by {error.status_code}"
    return f"left by {type(error).__name__ if isinstance(error, Exception) else 'cancellation'}"


def traced(log: list[str], name: str, kind: str = "async") -> Any:
    """A dependency that yields its name."""

    async def in_loop():
        log.append(f"{name} entered")
        error: BaseException | None = None
        try:
            yield name
        except BaseException as exc:
            error = exc
            raise
        finally:
            with peace():
                await turns()  # an exit may await
            log.append(f"{name} {tell(error)}")

    def in_thread():
        log.append(f"{name} entered")
        error: BaseException | None = None
        try:
            yield name
        except BaseException as exc:
            error = exc
            raise
        finally:
            log.append(f"{name} {tell(error)}")

    return in_loop if kind == "async" else in_thread


KINDS = pytest.mark.parametrize("kind", ["async", "sync"])


def app_of(endpoint: Any, **options: Any) -> Lamella:
    """An application of one typed endpoint."""
    app = Lamella(**options)
    app.add_api_route("/", endpoint, methods=["GET", "POST"])
    return app


async def ask(app: Any, log: list[str], path: str = "/", **options: Any) -> Reply:
    """Serve one request, and note when its messages are sent."""
    reply = Reply()
    never_comes = anyio.Event()
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if waiting:
            return waiting.pop(0)
        await never_comes.wait()

    async def send(message):
        reply.messages.append(dict(message))
        if message["type"] == "http.response.start":
            log.append(f"sent {message['status']}")
        elif not message.get("more_body", False):
            log.append("sent all")

    try:
        await within(spawn(app(http_scope(path, **options), receive, send)))
    except Exception as exc:
        reply.error = exc
    return reply


# -- layers around ---------------------------------------------------------------------------------


class Native(Layer):
    async def respond(self, request):
        return await self._inner(request)


async def dispatch(request, call_next):
    return await call_next(request)


class Foreign:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def wrapped_send(message):
            await send(message)

        await self.app(scope, receive, wrapped_send)


STACKS = {
    "bare": [],
    "native": [Middleware(Native)],
    "dispatch": [dispatch],
    "foreign": [Middleware(Foreign)],
    "bridged": [dispatch, Middleware(Foreign)],
    "deep": [dispatch, Middleware(Foreign), Middleware(Native), dispatch, Middleware(Foreign)],
}
AROUND = pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)


# -- when ------------------------------------------------------------------------------------------


@AROUND
@KINDS
async def test_exits_run_after_the_response_in_reverse_order(layers, kind):
    log: list[str] = []
    outer = traced(log, "outer", kind)

    async def inner(value: Annotated[str, Depends(outer)]):
        log.append(f"inner entered with {value}")
        yield "inner"
        log.append("inner left")

    last = traced(log, "last", kind)

    async def endpoint(a: Annotated[str, Depends(inner)], b: Annotated[str, Depends(last)]):
        log.append("endpoint")
        return [a, b]

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.error is None
    assert reply.body == b'["inner","last"]'
    assert log == [
        "outer entered",
        "inner entered with outer",
        "last entered",
        "endpoint",
        "sent 200",
        "sent all",
        "last left",
        "inner left",
        "outer left",
    ]


@AROUND
@KINDS
async def test_exits_of_scope_function_run_before_the_response(layers, kind):
    log: list[str] = []
    short, long = traced(log, "short", kind), traced(log, "long", kind)

    async def endpoint(
        a: Annotated[str, Depends(short, scope="function")], b: Annotated[str, Depends(long)]
    ):
        return [a, b]

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.error is None
    assert log == [
        "short entered",
        "long entered",
        "short left",
        "sent 200",
        "sent all",
        "long left",
    ]


@AROUND
async def test_background_tasks_run_before_the_exits(layers):
    """They may use what the dependency gave."""
    log: list[str] = []
    session = traced(log, "session")

    async def late(what: str) -> None:
        log.append(f"background {what}")

    async def adds(tasks: BackgroundTasks) -> None:
        tasks.add_task(late, "of a dependency")

    async def endpoint(
        tasks: BackgroundTasks,
        a: Annotated[str, Depends(session)],
        b: Annotated[None, Depends(adds)],
    ):
        tasks.add_task(late, "of the endpoint")
        return a

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.error is None
    assert log == [
        "session entered",
        "sent 200",
        "sent all",
        "background of a dependency",
        "background of the endpoint",
        "session left",
    ]


@AROUND
async def test_background_tasks_of_a_response_run_before_the_exits(layers):
    log: list[str] = []
    session = traced(log, "session")

    async def endpoint(tasks: BackgroundTasks, a: Annotated[str, Depends(session)]):
        tasks.add_task(log.append, "added")
        return PlainTextResponse("x", background=BackgroundTask(log.append, "given"))

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.error is None
    assert sorted(log[3:5]) == ["added", "given"]
    assert log[5:] == ["session left"]


@AROUND
async def test_stream_is_sent_before_the_exits(layers):
    log: list[str] = []
    session = traced(log, "session")

    async def endpoint(a: Annotated[str, Depends(session)]):
        async def stream():
            for piece in (b"one", b"two"):
                log.append(piece.decode())
                yield piece

        return StreamingResponse(stream())

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.body == b"onetwo"
    assert log.index("session left") > log.index("two")
    assert log[-1] == "session left"


@AROUND
async def test_endpoint_that_yields_has_its_dependencies_until_its_end(layers):
    log: list[str] = []
    session = traced(log, "session")

    async def endpoint(a: Annotated[str, Depends(session)]):
        for index in range(2):
            log.append(f"item {index}")
            yield index

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.body == b"0\n1\n"
    assert [one for one in log if not one.startswith("sent")] == [
        "session entered",
        "item 0",
        "item 1",
        "session left",
    ]


# -- after errors ----------------------------------------------------------------------------------


@AROUND
@KINDS
async def test_exits_see_the_error_of_the_endpoint(layers, kind):
    log: list[str] = []
    outer, inner = traced(log, "outer", kind), traced(log, "inner", kind)

    async def endpoint(a: Annotated[str, Depends(outer)], b: Annotated[str, Depends(inner)]):
        raise LookupError

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert type(reply.error) is LookupError
    assert reply.status == 500
    assert log[:4] == [
        "outer entered",
        "inner entered",
        "inner left by LookupError",
        "outer left by LookupError",
    ]


@AROUND
@KINDS
@pytest.mark.parametrize("scope", ["request", "function"])
async def test_exits_see_an_http_exception(layers, kind, scope):
    log: list[str] = []
    session = traced(log, "session", kind)

    async def endpoint(a: Annotated[str, Depends(session, scope=scope)]):
        raise HTTPException(418)

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.error is None
    assert log == ["session entered", "session left by 418", "sent 418", "sent all"]


@AROUND
@KINDS
async def test_exits_run_when_a_value_does_not_fit(layers, kind):
    """A dependency that was entered before is left again."""
    log: list[str] = []
    session = traced(log, "session", kind)

    async def endpoint(a: Annotated[str, Depends(session)], q: int):
        log.append("endpoint")

    await ask(app_of(endpoint, middleware=layers), log, query=b"q=x")
    assert log == [
        "session entered",
        "session left by RequestValidationError",
        "sent 422",
        "sent all",
    ]


@AROUND
@KINDS
async def test_exits_run_when_a_later_dependency_fails(layers, kind):
    log: list[str] = []
    session = traced(log, "session", kind)

    async def refuses(a: Annotated[str, Depends(session)]):
        raise HTTPException(401)

    async def endpoint(a: Annotated[str, Depends(refuses)]):
        log.append("endpoint")

    await ask(app_of(endpoint, middleware=layers), log)
    assert log == ["session entered", "session left by 401", "sent 401", "sent all"]


@KINDS
async def test_dependency_that_fails_before_its_yield_has_no_exit(kind):
    log: list[str] = []
    session = traced(log, "session", kind)

    async def failing():
        if log:
            raise HTTPException(503)
        yield

    async def endpoint(a: Annotated[str, Depends(session)], b: Annotated[None, Depends(failing)]):
        log.append("endpoint")

    await ask(app_of(endpoint), log)
    assert log == ["session entered", "session left by 503", "sent 503", "sent all"]


@AROUND
@KINDS
async def test_exits_see_an_error_in_the_midst_of_a_stream(layers, kind):
    log: list[str] = []
    session = traced(log, "session", kind)

    async def endpoint(a: Annotated[str, Depends(session)]):
        async def stream():
            yield b"one"
            raise LookupError

        return StreamingResponse(stream())

    reply = await ask(app_of(endpoint, middleware=layers), log)
    assert type(reply.error) is LookupError
    assert not reply.complete
    assert log[-1] == "session left by LookupError"


async def test_error_of_a_response_that_cannot_be_made_is_seen():
    log: list[str] = []
    session = traced(log, "session")

    async def endpoint(a: Annotated[str, Depends(session)]) -> int:
        return "no number"  # type: ignore[return-value]

    reply = await ask(app_of(endpoint), log)
    assert reply.status == 500
    assert log[:2] == ["session entered", "session left by ResponseValidationError"]


# -- what exits do about it ------------------------------------------------------------------------


def converting(kind: str, to: BaseException | None) -> Any:
    """A dependency that catches an error and raises another, or none."""

    async def in_loop():
        try:
            yield "x"
        except LookupError:
            if to is not None:
                raise to from None

    def in_thread():
        try:
            yield "x"
        except LookupError:
            if to is not None:
                raise to from None

    return in_loop if kind == "async" else in_thread


SCOPES = pytest.mark.parametrize("scope", ["request", "function"])


@AROUND
@KINDS
@SCOPES
async def test_exit_may_turn_an_error_into_an_http_exception(layers, kind, scope):
    converts = converting(kind, HTTPException(404, "not there"))

    async def endpoint(a: Annotated[str, Depends(converts, scope=scope)]):
        raise LookupError

    reply = await ask(app_of(endpoint, middleware=layers), [])
    assert reply.error is None
    assert reply.status == 404
    assert reply.body == b'{"detail":"not there"}'


@KINDS
async def test_exits_further_out_see_what_an_exit_raised(kind):
    log: list[str] = []
    outer = traced(log, "outer", kind)
    converts = converting(kind, HTTPException(404))

    async def endpoint(a: Annotated[str, Depends(outer)], b: Annotated[str, Depends(converts)]):
        raise LookupError

    await ask(app_of(endpoint), log)
    assert log[:2] == ["outer entered", "outer left by 404"]


@KINDS
@SCOPES
async def test_error_that_an_exit_swallows_is_told(kind, scope):
    """There is no response then, and the reason would be hard to find."""
    swallows = converting(kind, None)

    async def endpoint(a: Annotated[str, Depends(swallows, scope=scope)]):
        raise LookupError("from the endpoint")

    reply = await ask(app_of(endpoint), [])
    assert reply.status == 500
    assert isinstance(reply.error, LamellaError)
    assert "raising an exception and a dependency with yield" in str(reply.error)
    assert isinstance(reply.error.__cause__, LookupError)


@KINDS
async def test_exits_further_out_see_that_an_error_was_swallowed(kind):
    """So a transaction further out is not committed."""
    log: list[str] = []
    outer = traced(log, "outer")
    swallows = converting(kind, None)

    async def endpoint(
        a: Annotated[str, Depends(outer)],
        b: Annotated[str, Depends(swallows, scope="function")],
    ):
        raise LookupError

    await ask(app_of(endpoint), log)
    assert log[1].startswith("outer left by ")


@AROUND
@KINDS
async def test_error_of_an_exit_before_the_response_is_a_500(layers, kind):
    async def in_loop():
        yield
        raise OverflowError

    def in_thread():
        yield
        raise OverflowError

    call = in_loop if kind == "async" else in_thread

    async def endpoint(a: Annotated[None, Depends(call, scope="function")]): ...

    reply = await ask(app_of(endpoint, middleware=layers), [])
    assert reply.status == 500
    assert type(reply.error) is OverflowError


async def test_http_exception_of_an_exit_before_the_response_is_answered():
    async def checks():
        yield
        raise HTTPException(409, "conflict")

    async def endpoint(a: Annotated[None, Depends(checks, scope="function")]): ...

    reply = await ask(app_of(endpoint), [])
    assert (reply.error, reply.status) == (None, 409)


@AROUND
@KINDS
async def test_error_of_an_exit_after_the_response_is_raised_and_logged(layers, kind, caplog):
    log: list[str] = []
    outer = traced(log, "outer")

    async def in_loop():
        yield
        raise OverflowError

    def in_thread():
        yield
        raise OverflowError

    call = in_loop if kind == "async" else in_thread

    async def endpoint(a: Annotated[str, Depends(outer)], b: Annotated[None, Depends(call)]): ...

    with caplog.at_level(logging.ERROR, "lamella.error"):
        reply = await ask(app_of(endpoint, middleware=layers), log)
    assert reply.status == 200
    assert reply.complete
    assert type(reply.error) is OverflowError
    assert "unhandled error in GET '/'" in caplog.text
    assert log[-1] == "outer left by OverflowError"


async def test_generator_with_two_yields_is_told():
    async def twice():
        yield
        yield

    async def endpoint(a: Annotated[None, Depends(twice, scope="function")]): ...

    reply = await ask(app_of(endpoint), [])
    assert reply.status == 500
    assert isinstance(reply.error, RuntimeError | LamellaError)


async def test_sync_generator_with_two_yields_is_told():
    closed = []

    def twice():
        try:
            yield
            yield
        finally:
            closed.append(True)

    async def endpoint(a: Annotated[None, Depends(twice, scope="function")]): ...

    reply = await ask(app_of(endpoint), [])
    assert isinstance(reply.error, LamellaError)
    assert "twice" in str(reply.error)
    assert closed == [True]


@KINDS
async def test_generator_without_a_yield_on_this_path_is_told(kind):
    async def in_loop():
        if kind == "":
            yield

    def in_thread():
        if kind == "":
            yield

    call = in_loop if kind == "async" else in_thread

    async def endpoint(a: Annotated[None, Depends(call)]): ...

    reply = await ask(app_of(endpoint), [])
    assert reply.status == 500
    assert isinstance(reply.error, RuntimeError | LamellaError)


# -- when the client leaves, and when the request is cancelled -------------------------------------


@AROUND
@KINDS
async def test_exits_run_when_the_client_leaves_in_the_midst_of_a_stream(layers, kind):
    log: list[str] = []
    session = traced(log, "session", kind)
    left = anyio.Event()

    async def endpoint(a: Annotated[str, Depends(session)]):
        async def stream():
            try:
                while True:
                    yield b"piece"
                    await turns()
            finally:
                log.append("stream closed")

        return StreamingResponse(stream())

    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if waiting:
            return waiting.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.body":
            left.set()

    app = app_of(endpoint, middleware=layers)
    await within(spawn(app(http_scope(), receive, send)))
    assert log[0] == "session entered"
    assert log[1] == "stream closed"
    assert log[2].startswith("session left")
    assert len(log) == 3


@AROUND
async def test_exits_run_when_send_says_that_the_client_is_gone(layers):
    """As servers of ASGI HTTP spec 2.4 do."""
    log: list[str] = []
    session = traced(log, "session")

    async def endpoint(a: Annotated[str, Depends(session)]):
        return "x"

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        raise OSError

    app = app_of(endpoint, middleware=layers)
    await within(spawn(app(http_scope(), receive, send)))
    assert log[0] == "session entered"
    assert log[1].startswith("session left")


@AROUND
@KINDS
async def test_exits_run_when_the_task_of_the_request_is_cancelled(layers, kind):
    log: list[str] = []
    session = traced(log, "session", kind)
    entered = anyio.Event()

    async def endpoint(a: Annotated[str, Depends(session)]):
        entered.set()
        await never()

    job = spawn(request(app_of(endpoint, middleware=layers)))
    await entered.wait()
    job.cancel()
    await wait([job], 5)
    assert log == ["session entered", "session left by cancellation"]


@AROUND
@KINDS
async def test_exits_run_when_a_scope_around_the_request_is_cancelled(layers, kind):
    """anyio's scopes cancel again at each await, which an exit must not feel."""
    log: list[str] = []
    session = traced(log, "session", kind)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        raise AssertionError(message)

    with anyio.CancelScope() as scope:

        async def endpoint(a: Annotated[str, Depends(session)]):
            scope.cancel()
            await never()

        await app_of(endpoint, middleware=layers)(http_scope(), receive, send)
    assert scope.cancelled_caught
    assert log == ["session entered", "session left by cancellation"]


@KINDS
async def test_exits_run_when_the_request_is_cancelled_while_a_later_dependency_waits(kind):
    log: list[str] = []
    session = traced(log, "session", kind)
    entered = anyio.Event()

    async def waits():
        entered.set()
        await never()

    async def endpoint(a: Annotated[str, Depends(session)], b: Annotated[None, Depends(waits)]): ...

    job = spawn(request(app_of(endpoint)))
    await entered.wait()
    job.cancel()
    await wait([job], 5)
    assert log == ["session entered", "session left by cancellation"]


@AROUND
@KINDS
async def test_exits_run_when_the_request_is_cancelled_in_the_midst_of_a_stream(layers, kind):
    log: list[str] = []
    session = traced(log, "session", kind)
    begun = anyio.Event()

    async def endpoint(a: Annotated[str, Depends(session)]):
        async def stream():
            yield b"piece"
            begun.set()
            await never()

        return StreamingResponse(stream())

    job = spawn(request(app_of(endpoint, middleware=layers)))
    await begun.wait()
    job.cancel()
    await wait([job], 5)
    assert log[0] == "session entered"
    assert log[1].startswith("session left")
    assert len(log) == 2


@AROUND
async def test_exits_run_when_the_endpoint_is_cancelled_with_its_client(layers):
    log: list[str] = []
    session = traced(log, "session")
    gone = anyio.Event()
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if waiting:
            return waiting.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message): ...

    async def endpoint(a: Annotated[str, Depends(session)]):
        gone.set()
        await never()

    app = app_of(endpoint, middleware=layers, on_disconnect="cancel")
    await within(spawn(app(http_scope(), receive, send)))
    assert log == ["session entered", "session left by cancellation"]


# -- when the response is another in the end -------------------------------------------------------


@pytest.mark.parametrize("between", [[], [Middleware(Foreign)]], ids=["native", "bridged"])
async def test_exits_of_the_first_run_come_before_the_second_run(between):
    """A layer that tries again: the inside runs anew, with what it depends on."""
    log: list[str] = []
    session = traced(log, "session")

    async def twice(request, call_next):
        await call_next(request)
        return await call_next(request)

    async def endpoint(a: Annotated[str, Depends(session)]):
        log.append("endpoint")
        return a

    reply = await ask(app_of(endpoint, middleware=[twice, *between]), log)
    assert reply.error is None
    once = ["session entered", "endpoint"]
    assert log[:6] == [*once, "session left", *once, "sent 200"]
    assert log[6:] == ["sent all", "session left"]


@pytest.mark.parametrize("between", [[], [Middleware(Foreign)]], ids=["native", "bridged"])
async def test_exits_run_when_a_layer_answers_something_else(between):
    log: list[str] = []
    session = traced(log, "session")

    async def replaces(request, call_next):
        await call_next(request)
        return PlainTextResponse("other", 202)

    async def endpoint(a: Annotated[str, Depends(session)]):
        return a

    reply = await ask(app_of(endpoint, middleware=[replaces, *between]), log)
    assert reply.error is None
    assert reply.text == "other"
    assert log.count("session left") == 1


@pytest.mark.parametrize("between", [[], [Middleware(Foreign)]], ids=["native", "bridged"])
async def test_exits_run_when_a_layer_drops_a_stream(between):
    log: list[str] = []
    session = traced(log, "session")

    async def replaces(request, call_next):
        await call_next(request)
        return PlainTextResponse("other", 202)

    async def endpoint(a: Annotated[str, Depends(session)]):
        async def stream():
            try:
                while True:
                    yield b"piece"
                    await turns()
            finally:
                log.append("stream closed")

        return StreamingResponse(stream())

    reply = await ask(app_of(endpoint, middleware=[replaces, *between]), log)
    assert reply.text == "other"
    assert log.count("session left") == 1


@pytest.mark.parametrize("between", [[], [Middleware(Foreign)]], ids=["native", "bridged"])
async def test_exits_run_when_a_layer_fails_after_the_endpoint(between):
    log: list[str] = []
    session = traced(log, "session")

    async def fails(request, call_next):
        await call_next(request)
        raise OverflowError

    async def endpoint(a: Annotated[str, Depends(session)]):
        return a

    reply = await ask(app_of(endpoint, middleware=[fails, *between]), log)
    assert reply.status == 500
    assert [one for one in log if one.startswith("session left")] != []


async def test_exits_run_below_a_mount():
    log: list[str] = []
    session = traced(log, "session")

    async def endpoint(a: Annotated[str, Depends(session)]):
        return a

    app = Lamella(routes=[Mount("/inner", app_of(endpoint))], middleware=[dispatch])
    reply = await ask(app, log, "/inner/")
    assert reply.error is None
    assert log == ["session entered", "sent 200", "sent all", "session left"]


async def test_exits_run_for_an_endpoint_that_is_called_without_a_server():
    """As a subclass of `APIRoute` may call the handler it was given."""
    log: list[str] = []
    session = traced(log, "session")

    async def endpoint(a: Annotated[str, Depends(session)]):
        return a

    app = app_of(endpoint)
    handler = app.routes[0].get_route_handler()
    response = await handler(Request({**http_scope(), "path_params": {}, "app": app}))
    assert response.body == b'"session"'
    assert log == ["session entered", "session left"]


# -- ContextVars -----------------------------------------------------------------------------------


@AROUND
@KINDS
async def test_exit_may_reset_a_variable(layers, kind):
    seen = []

    async def in_loop():
        token = number.set(1)
        yield
        seen.append(number.get())
        number.reset(token)

    def in_thread():
        token = number.set(1)
        yield
        seen.append(number.get())
        number.reset(token)

    call = in_loop if kind == "async" else in_thread

    async def endpoint(a: Annotated[None, Depends(call)]):
        seen.append(number.get())

    reply = await ask(app_of(endpoint, middleware=layers), [])
    assert reply.error is None
    assert seen == [1, 1]


@KINDS
async def test_exit_may_reset_a_variable_after_an_error(kind):
    seen = []

    async def in_loop():
        token = number.set(1)
        try:
            yield
        finally:
            number.reset(token)

    def in_thread():
        token = number.set(1)
        try:
            yield
        finally:
            number.reset(token)

    call = in_loop if kind == "async" else in_thread

    async def endpoint(a: Annotated[None, Depends(call)]):
        raise HTTPException(404)

    async def looks(request, call_next):
        response = await call_next(request)
        seen.append(number.get())
        return response

    reply = await ask(app_of(endpoint, middleware=[looks]), [])
    assert (reply.error, reply.status) == (None, 404)
    assert seen == [0]


@KINDS
async def test_layer_sees_the_variable_that_a_dependency_set(kind):
    """Its exit runs after the response, so it is still set."""
    seen = []

    async def in_loop():
        number.set(1)
        yield

    def in_thread():
        number.set(1)
        yield

    call = in_loop if kind == "async" else in_thread

    async def endpoint(a: Annotated[None, Depends(call)]): ...

    async def looks(request, call_next):
        response = await call_next(request)
        seen.append(number.get())
        return response

    await ask(app_of(endpoint, middleware=[looks]), [])
    assert seen == [1]


@KINDS
async def test_exit_sees_the_variable_that_a_layer_around_has_reset(kind):
    """As a stream and a background task do: the number of the request, for a line of a log."""
    seen = []

    async def in_loop():
        yield
        seen.append(number.get())

    def in_thread():
        yield
        seen.append(number.get())

    call = in_loop if kind == "async" else in_thread

    async def numbers(request, call_next):
        token = number.set(7)
        try:
            return await call_next(request)
        finally:
            number.reset(token)

    async def endpoint(a: Annotated[None, Depends(call)]): ...

    await ask(app_of(endpoint, middleware=[numbers]), [])
    assert seen == [7]


@KINDS
async def test_exit_sees_the_variable_that_the_endpoint_set(kind):
    seen = []

    async def in_loop():
        yield
        seen.append(number.get())

    def in_thread():
        yield
        seen.append(number.get())

    call = in_loop if kind == "async" else in_thread

    async def endpoint(a: Annotated[None, Depends(call)]):
        number.set(5)

    await ask(app_of(endpoint), [])
    assert seen == [5]


@KINDS
async def test_layer_may_await_the_inside_in_another_task(kind):
    """As `asyncio.wait_for` does before Python 3.12: the exit may reset its variable all the same."""
    seen = []

    async def in_loop():
        token = number.set(1)
        yield
        seen.append(number.get())
        number.reset(token)

    def in_thread():
        token = number.set(1)
        yield
        seen.append(number.get())
        number.reset(token)

    call = in_loop if kind == "async" else in_thread

    async def in_a_task(request, call_next):
        return await within(spawn(call_next(request)))

    async def endpoint(a: Annotated[None, Depends(call)]):
        return number.get()

    reply = await ask(app_of(endpoint, middleware=[in_a_task]), [])
    assert reply.error is None
    assert reply.body == b"1"
    assert seen == [1]


# -- task groups -----------------------------------------------------------------------------------


async def with_group():
    async with anyio.create_task_group() as group:
        yield group
        group.cancel_scope.cancel()


@AROUND
@SCOPES
async def test_dependency_may_hold_a_task_group(layers, scope):
    ran = []

    async def work():
        ran.append("begun")
        try:
            await never()
        finally:
            ran.append("ended")

    async def endpoint(group: Annotated[Any, Depends(with_group, scope=scope)]):
        group.start_soon(work)
        await until(lambda: ran)
        return "x"

    reply = await ask(app_of(endpoint, middleware=layers), [])
    assert reply.error is None
    assert reply.body == b'"x"'
    assert ran == ["begun", "ended"]


@AROUND
async def test_task_group_of_a_dependency_lives_while_the_response_is_sent(layers):
    async def endpoint(group: Annotated[Any, Depends(with_group)]):
        async def stream():
            done = anyio.Event()
            group.start_soon(set_it, done)
            await done.wait()
            yield b"done"

        return StreamingResponse(stream())

    async def set_it(event):
        event.set()

    reply = await ask(app_of(endpoint, middleware=layers), [])
    assert reply.error is None
    assert reply.body == b"done"


@AROUND
async def test_error_in_a_task_group_of_a_dependency_cancels_the_endpoint(layers):
    async def work():
        raise LookupError

    async def endpoint(group: Annotated[Any, Depends(with_group)]):
        group.start_soon(work)
        await never()

    reply = await ask(app_of(endpoint, middleware=layers), [])
    assert reply.status == 500
    assert isinstance(reply.error, BaseExceptionGroup)


async def with_scope(request, call_next):
    """A layer that limits the time."""
    with anyio.fail_after(60):
        return await call_next(request)


async def in_another_task(request, call_next):
    """A layer that runs the inside beside something else."""
    responses = []

    async def run():
        responses.append(await call_next(request))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    return responses[0]


@pytest.mark.parametrize("layer", [with_scope, in_another_task])
@pytest.mark.parametrize("between", [[], [Middleware(Foreign)]], ids=["native", "bridged"])
@SCOPES
async def test_dependency_may_hold_a_task_group_within_a_layer_that_does(layer, between, scope):
    """Scopes have to be left in reverse order, so its exit does not wait for the response."""
    ran = []

    async def work():
        ran.append("begun")
        try:
            await never()
        finally:
            ran.append("ended")

    async def endpoint(group: Annotated[Any, Depends(with_group, scope=scope)]):
        group.start_soon(work)
        await until(lambda: ran)
        return "x"

    reply = await ask(app_of(endpoint, middleware=[dispatch, layer, *between]), [])
    assert reply.error is None
    assert reply.body == b'"x"'
    assert ran == ["begun", "ended"]


def test_task_group_of_a_dependency_lives_for_a_test_client_as_well():
    """Its tasks have a scope around them that is not the application's."""

    async def endpoint(group: Annotated[Any, Depends(with_group)]):
        async def stream():
            done = anyio.Event()
            group.start_soon(set_it, done)
            await done.wait()
            yield b"done"

        return StreamingResponse(stream())

    async def set_it(event):
        event.set()

    app = app_of(endpoint, middleware=[dispatch])
    assert TestClient(app).get("/").content == b"done"
    with TestClient(app) as client:
        assert client.get("/").content == b"done"


# -- nothing is held -------------------------------------------------------------------------------


class Held:
    """What a dependency gives."""


@AROUND
@KINDS
@pytest.mark.parametrize("outcome", ["well", "error"])
async def test_nothing_is_held_after_the_request(layers, kind, outcome):
    """Neither by the plan nor by a circle that waits for the collector."""
    made = []

    def new() -> Held:
        held = Held()
        made.append(weakref.ref(held))
        return held

    async def in_loop():
        yield new()

    def in_thread():
        yield new()

    call = in_loop if kind == "async" else in_thread

    async def endpoint(held: Annotated[Any, Depends(call)]):
        if outcome == "error":
            raise HTTPException(404)

    app = app_of(endpoint, middleware=layers)
    await request(app)  # what is made at first
    made.clear()
    gc.collect()
    gc.disable()
    try:
        await request(app)
        await turns(3)
        assert [ref() for ref in made] == [None]
    finally:
        gc.enable()
