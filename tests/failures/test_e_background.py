"""Family E: background tasks and callbacks run once, after the response, whatever happens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.failures.stacks import Shape, build, every, layered, once, silent
from tests.failures.wire import (
    BackgroundTask,
    BackgroundTasks,
    ClientDisconnect,
    JSONResponse,
    Mount,
    PlainTextResponse,
    Source,
    StreamingResponse,
    Wire,
    exchange,
    tick,
)
from tests.loops import never, turns

KINDS = pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])


def respond(streams: bool, background: Any) -> Any:
    """Make a response with a background task."""
    if streams:
        return StreamingResponse(Source(3).generator, background=background)
    return JSONResponse({"done": True}, background=background)


@KINDS
@every
def test_response_is_complete_while_the_background_task_runs(shape: Shape, streams: bool) -> None:
    """E1: the response is held back until its background task has finished."""
    wire = Wire(spec=shape.spec)

    async def after() -> None:
        await wire.until_event("complete")
        wire.note("background")

    async def endpoint(request: Any) -> Any:
        return respond(streams, BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.events.index("complete") < wire.events.index("background")


@KINDS
@every
def test_background_task_starts_after_the_last_byte(shape: Shape, streams: bool) -> None:
    """E2: the background task starts before the last byte was sent."""
    wire = Wire(spec=shape.spec, lag=3)

    async def after() -> None:
        wire.note("background")

    async def endpoint(request: Any) -> Any:
        return respond(streams, BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.events.index("complete") < wire.events.index("background")


@every
def test_background_task_waits_for_a_slow_client(shape: Shape) -> None:
    """E2, and more: it waits for the client to take what send() holds back."""
    wire = Wire(spec=shape.spec, slow=True)

    async def after() -> None:
        wire.note("background")

    async def endpoint(request: Any) -> Any:
        return respond(True, BackgroundTask(after))

    async def client(wire: Wire) -> None:
        for _ in range(3):
            for _ in range(20):
                await turns()
            wire.note("takes")
            await wire.read()

    exc = exchange(shape.loop, build(shape, endpoint), wire, client)

    assert exc is None
    assert wire.events.count("takes") == 3
    assert wire.events.index("complete") < wire.events.index("background")
    assert wire.events.index("background") > wire.events.index("takes") + 2


@KINDS
@every
def test_background_task_outlives_a_client_that_closes_at_once(shape: Shape, streams: bool) -> None:
    """E3: background task cancelled when the client closes right after the response."""
    wire = Wire(spec=shape.spec)
    steps: list[str] = []

    async def after() -> None:
        steps.append("begin")
        wire.leave()
        for _ in range(10):
            await turns()
        steps.append("end")

    async def endpoint(request: Any) -> Any:
        return respond(streams, BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert steps == ["begin", "end"]


@silent
def test_background_task_of_a_plain_response_runs_without_its_client(shape: Shape) -> None:
    """E4: background task not run when the client was gone before the response."""
    wire = Wire(spec=shape.spec)
    steps: list[str] = []

    async def after() -> None:
        await turns()
        steps.append("background")

    async def endpoint(request: Any) -> Any:
        wire.leave()
        return respond(False, BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert steps == ["background"]


@pytest.mark.parametrize("at", [1, 2, 3])
@KINDS
@every
def test_background_task_runs_wherever_the_client_leaves(
    shape: Shape, streams: bool, at: int
) -> None:
    """E4, and more: it runs at either spec, for a stream too, once, to its end."""
    wire = Wire(spec=shape.spec, leave_at_send=at)
    steps: list[str] = []

    async def after() -> None:
        await turns()
        steps.append("background")

    async def endpoint(request: Any) -> Any:
        return respond(streams, BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert steps == ["background"]


def noting(steps: list[str], name: str) -> Any:
    """Make a background task that notes its name when it has run."""

    async def after() -> None:
        await turns()
        steps.append(name)

    return BackgroundTask(after)


@KINDS
@layered
def test_background_tasks_of_endpoint_and_layers_run_once(shape: Shape, streams: bool) -> None:
    """E5: a task that dispatch puts on response.background is dropped, or replaces another."""
    steps: list[str] = []

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.background = noting(steps, f"layer {index}")
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        return respond(streams, noting(steps, "endpoint"))

    exc = exchange(shape.loop, build(shape, endpoint, each=each), Wire(spec=shape.spec))

    assert exc is None
    assert sorted(steps) == sorted(["endpoint", *(f"layer {i}" for i in range(shape.depth))])


@KINDS
@layered
def test_background_tasks_run_inside_out(shape: Shape, streams: bool) -> None:
    """E5, and more: the endpoint's first, the outermost layer's last."""
    steps: list[str] = []

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.background = noting(steps, f"layer {index}")
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        tasks = BackgroundTasks()
        tasks.add_task(noting(steps, "endpoint, first"))
        tasks.add_task(noting(steps, "endpoint, second"))
        return respond(streams, tasks)

    exchange(shape.loop, build(shape, endpoint, each=each), Wire(spec=shape.spec))

    assert steps == [
        "endpoint, first",
        "endpoint, second",
        *(f"layer {index}" for index in reversed(range(shape.depth))),
    ]


@layered
def test_background_task_that_layers_combine_runs_once(shape: Shape) -> None:
    """E5, and more: a layer that adds to response.background by hand doubles nothing."""
    steps: list[str] = []

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            tasks = BackgroundTasks()
            if response.background is not None:
                tasks.add_task(response.background)
            tasks.add_task(noting(steps, f"layer {index}"))
            response.background = tasks
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        return respond(False, noting(steps, "endpoint"))

    exchange(shape.loop, build(shape, endpoint, each=each), Wire(spec=shape.spec))

    assert steps == ["endpoint", *(f"layer {index}" for index in reversed(range(shape.depth)))]


@KINDS
@every
def test_error_in_a_background_task_reaches_the_server(shape: Shape, streams: bool) -> None:
    """E6: an exception in a background task is swallowed."""
    wire = Wire(spec=shape.spec)
    error = LookupError("in the background")

    async def after() -> None:
        raise error

    async def endpoint(request: Any) -> Any:
        return respond(streams, BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is error
    assert wire.status == 200
    assert wire.complete
    assert wire.violations == []


@layered
def test_error_in_one_background_task_does_not_lose_the_others(shape: Shape) -> None:
    """E6, and more: the tasks of the layers still run when the endpoint's failed."""
    steps: list[str] = []
    error = LookupError("in the background")

    async def after() -> None:
        raise error

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.background = noting(steps, f"layer {index}")
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        return respond(False, BackgroundTask(after))

    exc = exchange(shape.loop, build(shape, endpoint, each=each), Wire(spec=shape.spec))

    assert exc is error
    assert steps == [f"layer {index}" for index in reversed(range(shape.depth))]


@pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])
@KINDS
@layered
def test_background_task_of_a_discarded_response_runs(
    shape: Shape, streams: bool, index: int
) -> None:
    """E7: the endpoint's background task is lost when dispatch discards its response."""
    wire = Wire(spec=shape.spec)
    steps: list[str] = []

    async def replace(request: Any, call_next: Any) -> Any:
        await call_next(request)
        return PlainTextResponse("mine")

    async def endpoint(request: Any) -> Any:
        return respond(streams, noting(steps, "endpoint"))

    exc = exchange(shape.loop, build(shape, endpoint, at={index: replace}), wire)

    assert exc is None
    assert wire.body == b"mine"
    assert steps == ["endpoint"]


@KINDS
@layered
def test_call_next_in_a_background_task_leaves_nothing_behind(shape: Shape, streams: bool) -> None:
    """E7, and more: a layer answers from its cache and refreshes it in the background."""
    wire = Wire(spec=shape.spec)
    source = Source(3)
    steps: list[str] = []

    async def endpoint(request: Any) -> Any:
        if streams:
            return StreamingResponse(source.generator, background=noting(steps, "endpoint"))
        return JSONResponse({"fresh": True}, background=noting(steps, "endpoint"))

    async def from_cache(request: Any, call_next: Any) -> Any:
        async def refresh() -> None:
            response = await call_next(request)
            steps.append(f"refreshed {response.status_code}")

        return PlainTextResponse("stale", background=BackgroundTask(refresh))

    exc = exchange(shape.loop, build(shape, endpoint, at={0: from_cache}), wire)

    assert wire.body == b"stale"
    if streams:
        # There is no client any more, and a stream may find that out.
        assert exc is None or isinstance(exc, ClientDisconnect)
        assert source.over or source.opened == 0
    else:
        assert exc is None
        assert "refreshed 200" in steps


@every
def test_no_background_task_starts_after_a_cancellation(shape: Shape) -> None:
    """E3, and more: a server that cancels while one task runs does not wait for the others."""
    wire = Wire(spec=shape.spec)
    steps: list[str] = []

    async def first() -> None:
        wire.note("first")
        await never()

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.background = noting(steps, f"layer {index}")
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        return respond(False, BackgroundTasks([BackgroundTask(first), noting(steps, "second")]))

    def at_turn(turn: int, task: Any) -> None:
        if "first" in wire.events and not task.cancelling():
            task.cancel()

    exc = exchange(shape.loop, build(shape, endpoint, each=each), wire, at_turn=at_turn)

    assert isinstance(exc, asyncio.CancelledError)
    assert wire.complete
    assert steps == []


@every
def test_background_task_of_a_response_used_again_runs_each_time(shape: Shape) -> None:
    """E5, and more: a response that an endpoint returns for each request keeps its task."""
    steps: list[str] = []
    kept = JSONResponse({"kept": True}, background=noting(steps, "background"))

    async def endpoint(request: Any) -> Any:
        return kept

    stack = build(shape, endpoint)
    for _ in range(3):
        wire = Wire(spec=shape.spec)
        assert exchange(shape.loop, stack, wire) is None
        assert wire.complete

    assert steps == ["background"] * 3


# -- after_response ----------------------------------------------------------------------------------


class Told:
    """Callbacks that keep what they were told, and when."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.outcomes: list[tuple[str, Any]] = []

    def callback(self, who: str) -> Any:
        """Make a callback for one who asks."""

        def tell(outcome: Any) -> None:
            self.outcomes.append((who, outcome))
            self.wire.note(f"told {who}")

        return tell

    def each(self, index: int) -> Any:
        """Ask in each layer, before call_next."""

        async def dispatch(request: Any, call_next: Any) -> Any:
            request.after_response(self.callback(f"layer {index}"))
            return await call_next(request)

        return dispatch

    def names(self, shape: Shape) -> list[str]:
        """Tell who is to be called."""
        return ["endpoint", *(f"layer {index}" for index in range(shape.depth))]

    def check(self, shape: Shape) -> Any:
        """Check that each was called once with the same outcome, and give that."""
        assert sorted(who for who, _ in self.outcomes) == sorted(self.names(shape))
        first = self.outcomes[0][1]
        assert all(outcome == first for _, outcome in self.outcomes)
        assert first.seconds >= 0
        return first


@KINDS
@every
def test_after_response_tells_how_it_went(shape: Shape, streams: bool) -> None:
    """request.after_response(): asked from the endpoint and every layer, each is told once."""
    wire = Wire(spec=shape.spec)
    told = Told(wire)

    async def endpoint(request: Any) -> Any:
        request.after_response(told.callback("endpoint"))
        if streams:
            return StreamingResponse(Source(3).generator, 202)
        return PlainTextResponse("12345", 202)

    exc = exchange(shape.loop, build(shape, endpoint, each=told.each), wire)
    outcome = told.check(shape)

    assert exc is None
    assert outcome.status == 202
    assert outcome.body_size == len(wire.body) > 0
    assert outcome.client_left is False
    assert outcome.exception is None
    assert wire.events.index("complete") < wire.events.index("told endpoint")


@every
def test_after_response_may_be_asynchronous(shape: Shape) -> None:
    """request.after_response(): a callback that is a coroutine function is awaited."""
    seen: list[int] = []

    async def callback(outcome: Any) -> None:
        await turns()
        seen.append(outcome.status)

    async def endpoint(request: Any) -> Any:
        request.after_response(callback)
        return PlainTextResponse("done")

    exc = exchange(shape.loop, build(shape, endpoint), Wire(spec=shape.spec))

    assert exc is None
    assert seen == [200]


@every
def test_after_response_tells_of_an_unhandled_error(shape: Shape) -> None:
    """request.after_response(): the exception, and the 500 that was sent for it."""
    wire = Wire(spec=shape.spec)
    told = Told(wire)
    error = LookupError("gone")

    async def endpoint(request: Any) -> Any:
        request.after_response(told.callback("endpoint"))
        raise error

    exc = exchange(shape.loop, build(shape, endpoint, each=told.each), wire)
    outcome = told.check(shape)

    assert exc is error
    assert outcome.status == wire.status == 500
    assert outcome.exception is error
    assert outcome.client_left is False


@every
def test_after_response_tells_of_an_error_in_mid_stream(shape: Shape) -> None:
    """request.after_response(): the exception, the status and the bytes that got out."""
    wire = Wire(spec=shape.spec)
    told = Told(wire)
    source = Source(4, fail_at=3, error=LookupError("gone"))

    async def endpoint(request: Any) -> Any:
        request.after_response(told.callback("endpoint"))
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint, each=told.each), wire)
    outcome = told.check(shape)

    assert exc is source.error
    assert outcome.exception is source.error
    assert outcome.status == 200
    assert outcome.body_size == len(wire.body) == 2 * len(source.piece(1))


@pytest.mark.parametrize("at", [1, 4])
@every
def test_after_response_tells_of_a_client_that_left(shape: Shape, at: int) -> None:
    """request.after_response(): a client that left is no exception, but is told."""
    wire = Wire(spec=shape.spec, leave_at_send=at)
    told = Told(wire)
    source = Source(None, pause=tick)

    async def endpoint(request: Any) -> Any:
        request.after_response(told.callback("endpoint"))
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint, each=told.each), wire)
    outcome = told.check(shape)

    assert exc is None
    assert outcome.client_left is True
    assert outcome.exception is None


@every
def test_after_response_tells_of_an_aborted_upload(shape: Shape) -> None:
    """request.after_response(): no status when nothing was sent."""
    wire = Wire([b"one", b"two"], method="POST", spec=shape.spec, leave_at_receive=2)
    told = Told(wire)

    async def endpoint(request: Any) -> Any:
        request.after_response(told.callback("endpoint"))
        return PlainTextResponse(await request.body())

    exc = exchange(shape.loop, build(shape, endpoint, each=told.each), wire)
    outcome = told.check(shape)

    assert exc is None
    assert outcome.client_left is True
    assert outcome.status is None
    assert outcome.body_size == 0
    assert outcome.exception is None


@every
def test_after_response_runs_for_a_cancelled_request(shape: Shape) -> None:
    """request.after_response(): a request that the server cancels is over, too."""
    wire = Wire(spec=shape.spec)
    told = Told(wire)

    async def endpoint(request: Any) -> Any:
        request.after_response(told.callback("endpoint"))
        wire.note("inside")
        await never()

    def at_turn(turn: int, task: Any) -> None:
        if "inside" in wire.events and not task.cancelling():
            task.cancel()

    exc = exchange(shape.loop, build(shape, endpoint, each=told.each), wire, at_turn=at_turn)
    outcome = told.check(shape)

    assert isinstance(exc, asyncio.CancelledError)
    assert outcome.client_left is False
    assert outcome.status is None


@layered
def test_after_response_tells_a_layer_above_an_asgi_app(shape: Shape) -> None:
    """request.after_response(): the response of a foreign app is counted as any other."""
    wire = Wire(spec=shape.spec)
    told = Told(wire)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 203, "headers": []})
        for piece in (b"123", b"4567"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    exc = exchange(shape.loop, build(shape, routes=[Mount("/", app=app)], each=told.each), wire)

    assert exc is None
    assert sorted(who for who, _ in told.outcomes) == sorted(told.names(shape)[1:])
    assert {outcome.status for _, outcome in told.outcomes} == {203}
    assert {outcome.body_size for _, outcome in told.outcomes} == {7}


@once
def test_after_response_that_fails_spares_the_others(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """request.after_response(): an error in one callback is logged, and the others still run."""
    wire = Wire(spec=shape.spec)
    told = Told(wire)

    def fails(outcome: Any) -> None:
        raise LookupError("in a callback")

    async def endpoint(request: Any) -> Any:
        request.after_response(fails)
        request.after_response(told.callback("endpoint"))
        return PlainTextResponse("done")

    exc = exchange(shape.loop, build(shape, endpoint, each=told.each), wire)
    told.check(shape)

    assert exc is None
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].exc_info is not None
