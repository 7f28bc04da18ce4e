"""Family F: an error stays the error it is, is told once, and never looks like a success."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import anyio
import pytest

from tests.failures.stacks import Shape, bare, build, every, full, layered, layered_native, once
from tests.failures.wire import (
    App,
    BackgroundTask,
    ClientDisconnect,
    HTTPException,
    Mount,
    PlainTextResponse,
    Route,
    Source,
    StreamingResponse,
    Wire,
    chain,
    exchange,
    tick,
)
from tests.loops import turns

WHERE = pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])


class Fault(Exception):
    """An error of the user's own."""


class Stop(BaseException):
    """Something that no `except Exception` may catch."""


def raising(error: BaseException) -> Any:
    """Make an endpoint that raises."""

    async def endpoint(request: Any) -> Any:
        raise error

    return endpoint


def raising_dispatch(error: BaseException) -> Any:
    """Make a dispatch that raises."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        raise error

    return dispatch


def watching(seen: list[BaseException]) -> Any:
    """Make a dispatch that notes what passes through it."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except BaseException as exc:
            seen.append(exc)
            raise

    return dispatch


@full
def test_error_of_the_endpoint_arrives_as_itself(shape: Shape) -> None:
    """F1: the endpoint's exception arrives wrapped in an ExceptionGroup."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")
    seen: list[BaseException] = []

    stack = build(shape, raising(error), each=lambda _: watching(seen))
    exc = exchange(shape.loop, stack, wire)

    assert exc is error
    assert len(seen) == shape.depth
    assert all(passed is error for passed in seen)
    assert wire.status == 500
    assert wire.complete


@WHERE
@layered
def test_error_that_dispatch_handled_is_handled(shape: Shape, index: int) -> None:
    """F2: an exception that dispatch handled is raised again after the response."""
    wire = Wire(spec=shape.spec)

    async def handle(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Fault as exc:
            return PlainTextResponse(f"handled {exc}", 418)

    exc = exchange(shape.loop, build(shape, raising(Fault("mine")), at={index: handle}), wire)

    assert exc is None
    assert wire.status == 418
    assert wire.body == b"handled mine"
    assert wire.complete


def causes() -> list[tuple[Any, list[BaseException]]]:
    """Make endpoints whose error stands alone, has a cause, has a context; and those errors."""
    cause, error = KeyError("cause"), Fault("mine")

    async def plain(request: Any) -> Any:
        raise error

    async def caused(request: Any) -> Any:
        raise error from cause

    async def in_context(request: Any) -> Any:
        try:
            raise cause
        except KeyError:
            raise error  # noqa: B904

    return [(plain, [error]), (caused, [error, cause]), (in_context, [error, cause])]


@pytest.mark.parametrize("number", range(3), ids=["plain", "caused", "in-context"])
@layered
def test_cause_and_context_are_the_users_own(shape: Shape, number: int) -> None:
    """F3: the exception's context is polluted with the framework's internals."""
    endpoint, own = causes()[number]
    seen: list[BaseException] = []

    stack = build(shape, endpoint, each=lambda _: watching(seen))
    exc = exchange(shape.loop, stack, Wire(spec=shape.spec))

    shown = chain(exc)
    assert not any(isinstance(passed, anyio.EndOfStream | anyio.WouldBlock) for passed in shown)
    assert set(map(id, own)) <= set(map(id, shown))
    assert all(passed is own[0] for passed in seen)


@pytest.mark.parametrize("number", range(3), ids=["plain", "caused", "in-context"])
@layered
def test_cause_and_context_are_left_as_they_were(shape: Shape, number: int) -> None:
    """F3, and more: neither attribute is touched, shown in a traceback or not."""
    endpoint, own = causes()[number]

    exchange(shape.loop, build(bare(shape), endpoint), Wire(spec=shape.spec))
    before = (own[0].__cause__, own[0].__context__, own[0].__suppress_context__)
    exchange(shape.loop, build(shape, endpoint), Wire(spec=shape.spec))

    assert (own[0].__cause__, own[0].__context__, own[0].__suppress_context__) == before


@every
def test_exception_group_of_the_user_comes_out_as_it_went_in(shape: Shape) -> None:
    """F4: an ExceptionGroup raised by the user is collapsed into its only member."""
    group = ExceptionGroup("mine", [Fault("only")])
    seen: list[BaseException] = []

    stack = build(shape, raising(group), each=lambda _: watching(seen))
    exc = exchange(shape.loop, stack, Wire(spec=shape.spec))

    assert exc is group
    assert all(passed is group for passed in seen)
    assert len(group.exceptions) == 1


async def failing_cleanup() -> Any:
    """Stream, and raise on the way out."""
    try:
        for _ in range(Source.BOUND):
            yield b"piece"
            await turns()
    finally:
        raise RuntimeError("cleanup")


@WHERE
@layered
def test_error_of_dispatch_wins_over_a_failing_cleanup(shape: Shape, index: int) -> None:
    """F5: dispatch raises while the endpoint is still streaming and its cleanup raises too."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(failing_cleanup())

    async def give_up(request: Any, call_next: Any) -> Any:
        await call_next(request)
        await turns()
        raise error

    exc = exchange(shape.loop, build(shape, endpoint, at={index: give_up}), wire)

    assert exc is error
    assert wire.status == 500
    assert wire.violations == []


def cut_short(error: BaseException) -> Any:
    """Make an ASGI app that fails after two pieces."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in (1, 2):
            await send(
                {
                    "type": "http.response.body",
                    "body": Source.piece(number),
                    "more_body": True,
                }
            )
        raise error

    return Mount("/", app=app)


def streaming_until(error: BaseException) -> Any:
    """Make a route whose stream fails at its third piece."""

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(Source(4, fail_at=3, error=error).generator)

    return Route("/", endpoint)


@pytest.mark.parametrize("make", [streaming_until, cut_short])
@every
def test_error_in_mid_stream_leaves_the_response_unfinished(shape: Shape, make: Any) -> None:
    """F6: an exception mid-stream is sent to the client as a complete (truncated) response."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")

    exc = exchange(shape.loop, build(shape, routes=[make(error)]), wire)

    assert exc is error
    assert wire.status == 200
    assert wire.pieces == [Source.piece(1), Source.piece(2)]
    assert not wire.complete
    assert wire.violations == []


@WHERE
@layered
def test_error_in_a_layers_own_generator_leaves_the_response_unfinished(
    shape: Shape, index: int
) -> None:
    """F6, and more: the same when a generator around the body fails; the body is closed."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")
    source = Source(None)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    async def fail_at_third(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        inner = response.body_iterator

        async def pieces() -> Any:
            for _ in range(2):
                yield await anext(inner)
            raise error

        response.body_iterator = pieces()
        return response

    exc = exchange(shape.loop, build(shape, endpoint, at={index: fail_at_third}), wire)

    assert exc is error
    assert wire.pieces == [Source.piece(1), Source.piece(2)]
    assert not wire.complete
    assert source.over


@pytest.mark.parametrize("make", [streaming_until, cut_short])
@WHERE
@layered
def test_reading_a_body_cut_by_an_error_raises_it(shape: Shape, index: int, make: Any) -> None:
    """F7: dispatch reading response.body_iterator takes a body cut by an error for a whole one."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")
    seen: list[Any] = []

    async def read(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        try:
            async for piece in response.body_iterator:
                seen.append(bytes(piece))
        except Fault as exc:
            seen.append(exc)
        return PlainTextResponse("read", 502)

    exc = exchange(shape.loop, build(shape, routes=[make(error)], at={index: read}), wire)

    assert seen == [Source.piece(1), Source.piece(2), error]
    assert wire.status == 502
    assert exc is None


def refuse(before: bool) -> Any:
    """Make a dispatch that raises an HTTPException before or after what is inside."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        if not before:
            await call_next(request)
        raise HTTPException(403, "not you", {"x-why": "test"})

    return dispatch


async def fine(request: Any) -> Any:
    """Answer."""
    return PlainTextResponse("fine")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@WHERE
@layered
def test_http_exception_in_dispatch_has_its_own_status(
    shape: Shape, index: int, before: bool
) -> None:
    """F8: HTTPException raised in dispatch becomes a 500."""
    wire = Wire(spec=shape.spec)

    exc = exchange(shape.loop, build(shape, fine, at={index: refuse(before)}), wire)

    assert exc is None
    assert wire.status == 403
    assert wire.body == b"not you"
    assert wire.header("x-why") == ["test"]


@WHERE
@layered
def test_registered_handlers_answer_what_a_layer_raises(shape: Shape, index: int) -> None:
    """F8, and more: a handler for an exception class or a status serves layers, too."""

    async def fail(request: Any, call_next: Any) -> Any:
        raise Fault("mine")

    async def on_fault(request: Any, exc: Exception) -> Any:
        return PlainTextResponse(f"handled {exc}", 418)

    async def on_forbidden(request: Any, exc: Exception) -> Any:
        return PlainTextResponse("handled 403", 451)

    handlers = {Fault: on_fault, 403: on_forbidden}
    for dispatch, status, body in (
        (fail, 418, b"handled mine"),
        (refuse(True), 451, b"handled 403"),
    ):
        wire = Wire(spec=shape.spec)
        stack = build(shape, fine, at={index: dispatch}, exception_handlers=handlers)
        exc = exchange(shape.loop, stack, wire)
        assert exc is None
        assert wire.status == status
        assert wire.body == body


@layered
def test_http_exception_of_the_endpoint_is_a_response_for_the_layers(shape: Shape) -> None:
    """F8, and more: what an endpoint raises is answered inside, so layers see the response."""
    statuses: list[int] = []
    wire = Wire(spec=shape.spec)

    async def look(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        statuses.append(response.status_code)
        response.headers["x-seen"] = "yes"
        return response

    stack = build(shape, raising(HTTPException(409)), each=lambda _: look)
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert statuses == [409] * shape.depth
    assert wire.status == 409
    assert wire.header("x-seen") == ["yes"]


def decorating(index: int) -> Any:
    """Make a dispatch that adds a header to every response, and notes its exception."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers.append("x-layer", str(index))
        request.app.state.seen.append(response.exception)
        return response

    return dispatch


@layered
def test_500_passes_every_layer_when_errors_are_answered_inside(shape: Shape) -> None:
    """F9: the 500 response bypasses every middleware (no CORS, no request id)."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")

    stack = build(shape, raising(error), each=decorating, error_responses="inside")
    stack.state.seen = []
    exchange(shape.loop, stack, wire)

    assert wire.status == 500
    assert wire.complete
    assert wire.header("x-layer") == [str(index) for index in reversed(range(shape.depth))]
    assert len(stack.state.seen) == shape.depth
    assert all(seen is error for seen in stack.state.seen)


@layered
def test_error_of_a_layer_is_a_response_for_the_layers_around_it(shape: Shape) -> None:
    """F9, and more: errors answered inside: what a layer raises is a 500 for those outside it."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")

    stack = build(
        shape, fine, each=decorating, at={-1: raising_dispatch(error)}, error_responses="inside"
    )
    stack.state.seen = []
    exchange(shape.loop, stack, wire)

    assert wire.status == 500
    assert wire.violations == []
    assert wire.header("x-layer") == [str(index) for index in reversed(range(shape.depth - 1))]


@pytest.mark.parametrize("error_responses", [None, "inside"], ids=["default", "inside"])
@every
def test_error_handler_of_the_user_makes_the_500(shape: Shape, error_responses: Any) -> None:
    """F9, and more: the handler for Exception answers, however errors pass the layers."""
    wire = Wire(spec=shape.spec)
    options = {"error_responses": error_responses} if error_responses else {}

    async def on_error(request: Any, exc: Exception) -> Any:
        return PlainTextResponse(f"sorry: {exc}", 500)

    stack = build(
        shape, raising(Fault("mine")), exception_handlers={Exception: on_error}, **options
    )
    exchange(shape.loop, stack, wire)

    assert wire.status == 500
    assert wire.body == b"sorry: mine"


@pytest.mark.parametrize("lag", [0, 1])
@every
def test_base_exception_of_the_user_comes_out_as_itself(shape: Shape, lag: int) -> None:
    """F10: a BaseException of the user's own is wrapped or replaced."""
    wire = Wire(spec=shape.spec, lag=lag)
    error = Stop("mine")
    seen: list[BaseException] = []

    stack = build(shape, raising(error), each=lambda _: watching(seen))
    exc = exchange(shape.loop, stack, wire)

    assert exc is error
    assert all(passed is error for passed in seen)
    assert len(seen) == shape.depth


async def forgets_to_return(request: Any, call_next: Any) -> Any:
    """Run what is inside, and forget the rest."""
    await call_next(request)


@WHERE
@layered
def test_dispatch_that_returns_nothing_is_named(shape: Shape, index: int) -> None:
    """F11: dispatch that forgets to return a response fails with "'NoneType' is not callable"."""
    wire = Wire(spec=shape.spec)
    name = f"Layer{index % shape.depth}" if shape.made == "subclass" else "forgets_to_return"

    exc = exchange(shape.loop, build(shape, fine, at={index: forgets_to_return}), wire)

    assert isinstance(exc, Exception)
    assert name in str(exc)
    assert "None" in str(exc)
    assert wire.status == 500


@pytest.mark.parametrize("pause", [tick, None], ids=["ticking", "tight"])
@WHERE
@layered
def test_response_that_dispatch_gave_up_is_closed(shape: Shape, index: int, pause: Any) -> None:
    """F12: dispatch raises after call_next: the unused response's generator is left open."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")
    source = Source(None, pause=pause)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    async def give_up(request: Any, call_next: Any) -> Any:
        await call_next(request)
        raise error

    exc = exchange(shape.loop, build(shape, endpoint, at={index: give_up}), wire)

    assert exc is error
    assert wire.status == 500
    assert source.over


@layered
def test_response_that_dispatch_read_in_part_is_closed(shape: Shape) -> None:
    """F12, and more: the same after dispatch has begun to read the stream."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")
    source = Source(None, pause=tick)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    async def give_up(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        async for _ in response.body_iterator:
            raise error

    exc = exchange(shape.loop, build(shape, endpoint, at={0: give_up}), wire)

    assert exc is error
    assert wire.status == 500
    assert source.opened == 1
    assert source.over


@layered
def test_error_in_a_mounted_application_reaches_the_server(shape: Shape) -> None:
    """F13: an exception in a mounted sub-application is hidden."""
    wire = Wire(spec=shape.spec)
    error = Fault("mine")
    inner = App(routes=[Route("/", raising(error))])

    exc = exchange(shape.loop, build(shape, routes=[Mount("/", app=inner)]), wire)

    assert exc is error
    assert wire.status == 500
    assert wire.complete
    assert wire.violations == []


# -- what is logged ----------------------------------------------------------------------------------


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Give the framework's own log records."""
    return [record for record in caplog.records if record.name.split(".")[0] == "lamella"]


def error_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Give the log records of any origin from WARNING up."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("how", ["upload", "plain", "stream"])
@every
def test_client_that_leaves_is_one_debug_record(
    shape: Shape, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that leaves is logged once, at DEBUG, under `lamella`; nothing is an error."""
    caplog.set_level(logging.DEBUG, "lamella")
    chunks = [b"one", b"two"] if how == "upload" else ()
    wire = Wire(
        chunks,
        method="POST",
        spec=shape.spec,
        leave_at_receive=2 if how == "upload" else None,
        leave_at_send=3 if how == "stream" else None,
    )

    async def endpoint(request: Any) -> Any:
        if how == "upload":
            return PlainTextResponse(await request.body())
        if how == "plain":
            wire.leave()
            await request.is_disconnected()
            return PlainTextResponse("late")
        return StreamingResponse(Source(None, pause=tick).generator)

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert error_records(caplog) == []
    assert [record.levelname for record in records(caplog)] == ["DEBUG"]


@every
def test_disconnect_that_follows_a_complete_response_is_no_client_that_left(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """Servers say http.disconnect once all is sent; that is neither told nor logged."""
    caplog.set_level(logging.DEBUG, "lamella")
    wire = Wire([b"one", b"two"], method="POST", spec=shape.spec, drain=5)
    outcomes: list[Any] = []
    steps: list[str] = []

    async def after() -> None:
        await turns()
        steps.append("background")

    async def endpoint(request: Any) -> Any:
        request.after_response(outcomes.append)
        await request.is_disconnected()
        source = Source(3, pause=tick)
        return StreamingResponse(source.generator, background=BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.body == Source(3).whole
    assert wire.complete
    assert steps == ["background"]
    assert [outcome.client_left for outcome in outcomes] == [False]
    assert records(caplog) == []


@every
def test_answered_request_logs_nothing(shape: Shape, caplog: pytest.LogCaptureFixture) -> None:
    """No record at any level for a request that went well."""
    caplog.set_level(logging.DEBUG, "lamella")
    wire = Wire([b"one", b"two"], method="POST", spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        await request.is_disconnected()
        return StreamingResponse(Source(3).generator, headers={"x": str(await request.body())})

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.complete
    assert records(caplog) == []


def frames(record: logging.LogRecord) -> int:
    """Count the frames of a record's traceback."""
    assert record.exc_info is not None
    return len(traceback.extract_tb(record.exc_info[2]))


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@every
def test_unhandled_error_is_one_error_record_with_its_traceback(
    shape: Shape, streams: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """An unhandled error is logged once, with a traceback, whatever the depth."""
    caplog.set_level(logging.DEBUG, "lamella")
    wire = Wire(spec=shape.spec)
    error = Fault("mine")
    source = Source(4, fail_at=3, error=error)

    async def endpoint(request: Any) -> Any:
        if streams:
            return StreamingResponse(source.generator)
        raise error

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is error
    assert [record.levelname for record in error_records(caplog)] == ["ERROR"]
    (record,) = [record for record in records(caplog) if record.levelname == "ERROR"]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@layered_native
def test_logged_traceback_has_two_frames_a_layer(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback in the log has at most two frames for each native layer."""
    counted = []
    for this in (bare(shape), shape):
        caplog.clear()
        exchange(this.loop, build(this, raising(Fault("mine"))), Wire(spec=shape.spec))
        (record,) = error_records(caplog)
        counted.append(frames(record))

    # A class made by `stacks.layer` has one frame more, since its dispatch calls another.
    allowed = 3 if shape.made == "subclass" else 2
    assert counted[1] - counted[0] <= allowed * shape.depth


@once
def test_error_answered_inside_is_one_error_record(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that is answered inside is logged once, too."""
    stack = build(shape, raising(Fault("mine")), error_responses="inside")

    exchange(shape.loop, stack, Wire(spec=shape.spec))

    assert [record.levelname for record in error_records(caplog)] == ["ERROR"]


@layered
def test_handled_disconnect_is_not_logged_as_an_error(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """A layer that catches ClientDisconnect and answers nobody makes no noise either."""
    caplog.set_level(logging.DEBUG, "lamella")
    wire = Wire([b"one", b"two"], method="POST", spec=shape.spec, leave_at_receive=2)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(await request.body())

    async def catch(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except ClientDisconnect:
            return PlainTextResponse("nobody hears", 499)

    exc = exchange(shape.loop, build(shape, endpoint, at={0: catch}), wire)

    assert exc is None
    assert error_records(caplog) == []
    assert [record.levelname for record in records(caplog)] == ["DEBUG"]
