"""Family I: time limits, cancel scopes, and tasks around call_next and below it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
import trio

from tests.failures.stacks import (
    LAYERED_ONCE,
    ONCE,
    Shape,
    build,
    every,
    layered,
    layered_once,
    over,
    unwound,
    without_trio,
)
from tests.failures.wire import (
    JSONResponse,
    Mount,
    PlainTextResponse,
    Source,
    StreamingResponse,
    Wire,
    exchange,
    on_loop,
    serve,
    tick,
)
from tests.loops import cancelled, gather, never, on_trio, spawn, timeout, turns, wait

CHUNKS = (b"one ", b"two ", b"three")
WHERE = pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])


# -- limits that fire ----------------------------------------------------------------------------------


class Slow:
    """An endpoint that waits for ever, and what becomes of it; it fires the layer's limit."""

    def __init__(self) -> None:
        self.fire: Callable[[], object] | None = None
        self.steps: list[str] = []

    async def __call__(self, request: Any) -> Any:
        """Wait, having fired the limit around this."""
        self.steps.append("entered")
        try:
            assert self.fire is not None
            self.fire()
            await never()
        except cancelled():
            self.steps.append("cancelled")
            raise
        finally:
            self.steps.append("left")


class AsAsgi:
    """The same endpoint as an ASGI app."""

    def __init__(self, slow: Slow) -> None:
        self.slow = slow

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.slow(None)


def own_timeout(slow: Slow) -> Any:
    """Limit call_next by what the loop itself has: asyncio.timeout() or trio.fail_after()."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        try:
            async with timeout(None) as reschedule:
                slow.fire = lambda: reschedule(0)
                return await call_next(request)
        except TimeoutError:
            return PlainTextResponse("too late", 504)

    return dispatch


def anyio_deadline(slow: Slow) -> Any:
    """Limit call_next by the deadline of anyio.fail_after()."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        try:
            with anyio.fail_after(None) as scope:
                slow.fire = lambda: setattr(scope, "deadline", 0)
                return await call_next(request)
        except TimeoutError:
            return PlainTextResponse("too late", 504)

    return dispatch


def anyio_cancel(slow: Slow) -> Any:
    """Limit call_next by a cancel scope that is cancelled."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        with anyio.CancelScope() as scope:
            slow.fire = scope.cancel
            return await call_next(request)
        return PlainTextResponse("too late", 504)

    return dispatch


def soon(callback: Callable[[], object]) -> None:
    """Call back in the next turn of asyncio's loop."""
    asyncio.get_running_loop().call_soon(callback)


def cancelled_task(slow: Slow) -> Any:
    """Limit call_next by cancelling the task that awaits it."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        task = spawn(call_next(request))
        # Not at once: the task that is cancelled must not be the one that runs.
        slow.fire = task.cancel if on_trio() else lambda: soon(task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return PlainTextResponse("too late", 504)

    return dispatch


LIMITS = pytest.mark.parametrize(
    "limit", [own_timeout, anyio_deadline, anyio_cancel, cancelled_task]
)


@LIMITS
@WHERE
@layered
def test_time_limit_around_call_next_cancels_the_endpoint(
    shape: Shape, index: int, limit: Callable[[Slow], Any]
) -> None:
    """I1: a time limit around call_next answers 504 but the endpoint runs on."""
    log: list[str] = []
    wire = Wire(spec=shape.spec)
    slow = Slow()

    async def endpoint(request: Any) -> Any:
        return await slow(request)

    exc = exchange(shape.loop, build(shape, endpoint, at={index: limit(slow)}, log=log), wire)

    assert exc is None
    assert slow.steps == ["entered", "cancelled", "left"]
    assert wire.status == 504
    assert wire.complete
    assert log == unwound(shape.depth)


@LIMITS
@layered
def test_time_limit_around_call_next_cancels_an_asgi_app(
    shape: Shape, limit: Callable[[Slow], Any]
) -> None:
    """I1: the same for an ASGI app below."""
    wire = Wire(spec=shape.spec)
    slow = Slow()

    stack = build(shape, routes=[Mount("/", app=AsAsgi(slow))], at={0: limit(slow)})
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert slow.steps == ["entered", "cancelled", "left"]
    assert wire.status == 504


@over(without_trio(LAYERED_ONCE))
def test_wait_for_around_call_next_cancels_the_endpoint(shape: Shape) -> None:
    """I1, and more: asyncio.wait_for(), which has its own task on Python 3.11."""
    wire = Wire(spec=shape.spec)
    slow = Slow()
    slow.fire = lambda: None

    async def limit(request: Any, call_next: Any) -> Any:
        try:
            return await asyncio.wait_for(call_next(request), 0.05)
        except TimeoutError:
            return PlainTextResponse("too late", 504)

    async def endpoint(request: Any) -> Any:
        return await slow(request)

    exc = exchange(shape.loop, build(shape, endpoint, at={0: limit}), wire, threads=True)

    assert exc is None
    assert slow.steps == ["entered", "cancelled", "left"]
    assert wire.status == 504


async def race(request: Any, call_next: Any) -> Any:
    """Answer, or give up as soon as the client has left, in the way of many LLM servers."""

    async def watch() -> None:
        while not await request.is_disconnected():
            await turns()

    answer = spawn(call_next(request))
    watcher = spawn(watch())
    await wait([answer, watcher], first=True)
    if answer.done():
        watcher.cancel()
        return answer.result()
    answer.cancel()
    await wait([answer])
    return PlainTextResponse("client closed request", 499)


@WHERE
@layered
def test_race_against_the_disconnect_cancels_the_endpoint(shape: Shape, index: int) -> None:
    """I2: racing call_next against a disconnect watch leaves the endpoint running."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    slow = Slow()
    slow.fire = wire.leave

    async def endpoint(request: Any) -> Any:
        return await slow(request)

    exchange(shape.loop, build(shape, endpoint, at={index: race}), wire)

    assert slow.steps == ["entered", "cancelled", "left"]
    assert wire.sent == []


@layered
def test_race_that_the_answer_wins_delivers_it(shape: Shape) -> None:
    """I2, and more: the client that stays gets the whole answer to its whole body."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec, lag=1)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(await request.body())

    exc = exchange(shape.loop, build(shape, endpoint, each=lambda _: race), wire)

    assert exc is None
    assert wire.body == b"".join(CHUNKS)


@pytest.mark.parametrize("listens", [False, True], ids=["deaf", "listening"])
@every
def test_server_cancelling_in_mid_stream_cancels_an_asgi_app(shape: Shape, listens: bool) -> None:
    """B2, and more: the app sees the CancelledError itself, and is not given time to end."""
    wire = Wire(spec=shape.spec)
    ends: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"piece", "more_body": True})
        listener = spawn(receive()) if listens else None
        wire.note("waiting")
        try:
            await never()
        except BaseException as exc:
            ends.append(type(exc) is cancelled())
            raise
        finally:
            if listener is not None:
                listener.cancel()

    def at_turn(turn: int, task: Any) -> None:
        if "waiting" in wire.events and wire.pieces and not task.cancelling():
            task.cancel()

    stack = build(shape, routes=[Mount("/", app=app)])
    exc = exchange(shape.loop, stack, wire, at_turn=at_turn)

    assert isinstance(exc, asyncio.CancelledError)
    assert ends == [True]


# -- other tasks, and limits that do not fire ------------------------------------------------------------


async def in_task(request: Any, call_next: Any) -> Any:
    """Await call_next in a task."""
    return await spawn(call_next(request))


async def in_gather(request: Any, call_next: Any) -> Any:
    """Await call_next in a gather, next to something else."""
    response, _ = await asyncio.gather(call_next(request), asyncio.sleep(0))
    return response


async def in_task_group(request: Any, call_next: Any) -> Any:
    """Await call_next in a task of a task group."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call_next(request))
        group.create_task(asyncio.sleep(0))
    return task.result()


async def in_anyio_group(request: Any, call_next: Any) -> Any:
    """Await call_next in a task of anyio's task group."""
    responses = []

    async def run() -> None:
        responses.append(await call_next(request))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
    return responses[0]


async def in_shield(request: Any, call_next: Any) -> Any:
    """Await call_next in a shield."""
    return await asyncio.shield(call_next(request))


async def in_wait_for(request: Any, call_next: Any) -> Any:
    """Await call_next under asyncio.wait_for()."""
    return await asyncio.wait_for(call_next(request), 60)


async def plain(request: Any) -> Any:
    """Answer in one piece."""
    return JSONResponse({"size": len(await request.body())})


async def stream(request: Any) -> Any:
    """Answer in four pieces."""
    await request.body()
    return StreamingResponse(Source(4, pause=tick).generator)


async def asgi_stream(scope: Any, receive: Any, send: Any) -> None:
    """Answer in four pieces, as an ASGI app with a task group that sends from a child task."""
    body = b""
    while len(body) < len(b"".join(CHUNKS)):
        body += (await receive())["body"]

    async def respond() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(1, 5):
            piece = {"body": Source.piece(number), "more_body": number < 4}
            await send({"type": "http.response.body", **piece})
        group.cancel_scope.cancel()

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with anyio.create_task_group() as group:
        group.start_soon(respond)
        await listen()


ENDPOINTS = pytest.mark.parametrize("endpoint", [plain, stream, asgi_stream])


def check(shape: Shape, endpoint: Any, dispatch: Any) -> None:
    """Check that the whole response arrives when every layer is made of a dispatch."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    if endpoint is asgi_stream:
        stack = build(shape, routes=[Mount("/", app=endpoint)], each=lambda _: dispatch, log=log)
    else:
        stack = build(shape, endpoint, each=lambda _: dispatch, log=log)

    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert wire.status == 200
    assert wire.body == (b'{"size":13}' if endpoint is plain else Source(4).whole)
    assert wire.complete
    assert log == unwound(shape.depth)


@ENDPOINTS
@pytest.mark.parametrize("dispatch", [in_task, in_anyio_group])
@layered_once
def test_call_next_in_another_task_delivers_the_response(
    shape: Shape, endpoint: Any, dispatch: Any
) -> None:
    """I3: call_next awaited from another task (create_task, a task group)."""
    check(shape, endpoint, dispatch)


@ENDPOINTS
@pytest.mark.parametrize("dispatch", [in_gather, in_task_group, in_shield, in_wait_for])
@over(without_trio(LAYERED_ONCE))
def test_call_next_in_another_task_of_asyncio_delivers_the_response(
    shape: Shape, endpoint: Any, dispatch: Any
) -> None:
    """I3: call_next awaited from another task, by the means of asyncio."""
    check(shape, endpoint, dispatch)


async def under_timeout(request: Any, call_next: Any) -> Any:
    """Give call_next a time limit of the loop's own."""
    async with timeout(60):
        return await call_next(request)


async def under_fail_after(request: Any, call_next: Any) -> Any:
    """Give call_next a time limit of anyio's."""
    with anyio.fail_after(60):
        return await call_next(request)


async def under_move_on_after(request: Any, call_next: Any) -> Any:
    """Give call_next a softer time limit of anyio's."""
    with anyio.move_on_after(60):
        return await call_next(request)


async def beside_a_watcher(request: Any, call_next: Any) -> Any:
    """Run something next to call_next in anyio's task group, and stop it afterwards."""
    async with anyio.create_task_group() as group:
        group.start_soon(never)
        response = await call_next(request)
        group.cancel_scope.cancel()
    return response


async def nested(request: Any, call_next: Any) -> Any:
    """Nest all of them."""
    with anyio.CancelScope(), anyio.fail_after(60):
        async with timeout(60), anyio.create_task_group() as group:
            group.start_soon(turns)
            return await call_next(request)


@ENDPOINTS
@pytest.mark.parametrize(
    "dispatch", [under_timeout, under_fail_after, under_move_on_after, beside_a_watcher, nested]
)
@layered_once
def test_limit_that_does_not_fire_changes_nothing(
    shape: Shape, endpoint: Any, dispatch: Any
) -> None:
    """I4: a cancel scope or timeout around call_next that does not fire."""
    check(shape, endpoint, dispatch)


@contextlib.asynccontextmanager
async def own_group() -> AsyncIterator[Callable[[Any], object]]:
    """A task group of the loop's own: asyncio's, or trio's nursery."""
    if on_trio():
        async with trio.open_nursery() as nursery:
            yield nursery.start_soon
    else:
        async with asyncio.TaskGroup() as group:
            yield lambda function: group.create_task(function())


@every
def test_limits_inside_the_endpoint_are_its_own(shape: Shape) -> None:
    """I5: time limits and task groups inside the endpoint misfire below the layers."""
    steps: list[str] = []

    async def endpoint(request: Any) -> Any:
        try:
            async with timeout(0):
                await never()
        except TimeoutError:
            steps.append("timeout")
        with anyio.move_on_after(0) as scope:
            await never()
        if scope.cancelled_caught:
            steps.append("move_on_after")
        async with anyio.create_task_group() as group:
            group.start_soon(never)
            await turns()
            group.cancel_scope.cancel()
        steps.append("anyio group")
        try:
            async with own_group() as start:
                start(never)
                raise LookupError
        except* LookupError:
            steps.append("own group")
        await turns()
        return StreamingResponse(Source(3, pause=tick).generator)

    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert steps == ["timeout", "move_on_after", "anyio group", "own group"]
    assert wire.body == Source(3).whole


@every
def test_limit_inside_a_stream_is_its_own(shape: Shape) -> None:
    """I5: the same inside the generator of the response's body."""

    async def pieces() -> Any:
        for number in range(1, 4):
            try:
                async with timeout(0):
                    await never()
            except TimeoutError:
                yield Source.piece(number)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(pieces())

    wire = Wire(spec=shape.spec)
    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.body == Source(3).whole


CLIENTS = 100


@over([shape for shape in ONCE if shape.depth <= 8])
def test_hundred_requests_through_one_stack_stay_apart(shape: Shape) -> None:
    """I6: concurrent requests through the same middleware instances mix up."""

    async def name_it(request: Any, call_next: Any) -> Any:
        name = request.query_params["name"]
        await turns()
        response = await call_next(request)
        response.headers["x-name"] = name
        return response

    async def endpoint(request: Any) -> Any:
        name = request.query_params["name"]
        body = await request.body()
        for _ in range(int(name) % 7):
            await turns()
        if int(name) % 2:
            return PlainTextResponse(body + name.encode())

        async def pieces() -> Any:
            for part in (body, name.encode()):
                yield part
                await turns()

        return StreamingResponse(pieces())

    def wire_of(number: int) -> Wire:
        aborted: dict[int, dict[str, Any]] = {
            0: {"leave_at_receive": 2},
            5: {"leave_at_send": 1},
            10: {"leave_at_send": 2},
        }
        return Wire(
            [b"%d " % number, b"x"],
            method="POST",
            query=b"name=%d" % number,
            spec=shape.spec,
            lag=number % 3,
            **aborted.get(number % 15, {}),
        )

    async def main() -> list[Wire]:
        app = build(shape, endpoint, each=lambda _: name_it)
        wires = [wire_of(number) for number in range(CLIENTS)]
        await gather(*(serve(app, wire, alone=False, limit=40_000) for wire in wires))
        return wires

    for number, wire in enumerate(on_loop(shape.loop, main())):
        assert wire.violations == []
        if wire.gone:
            continue
        assert wire.complete
        assert wire.body == b"%d x%d" % (number, number)
        assert wire.header("x-name") == [str(number)] * min(1, shape.depth)
