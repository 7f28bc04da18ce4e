"""Family B: the client leaves, or the server cancels, at every single step of an exchange."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.failures.stacks import (
    LINKS,
    LOOPS,
    MAKES,
    SPECS,
    Shape,
    build,
    exhaustive,
    exhaustive_half,
    over,
    unwound,
)
from tests.failures.wire import (
    BackgroundTask,
    ClientDisconnect,
    JSONResponse,
    Mount,
    PlainTextResponse,
    Request,
    Route,
    ServerFault,
    Source,
    StreamingResponse,
    Wire,
    on_loop,
    serve,
    tick,
)
from tests.loops import DROPPED, peace, spawn, timeout, turns

CHUNKS = (b"one ", b"two ", b"three")


class Run:
    """One exchange of one of the apps below, with all that it leaves to be looked at."""

    def __init__(self, shape: Shape, **wire: Any) -> None:
        self.log: list[str] = []
        self.entered = 0
        self.left = 0
        self.background = 0
        self.wire = Wire(CHUNKS, method="POST", spec=shape.spec, **wire)
        self.most_runs = 1
        self.sources: list[Source] = []

    async def inside(self, request: Any) -> bytes:
        """Read the body in the endpoint, which is seen to be entered and left."""
        self.entered += 1
        try:
            body: bytes = await request.body()
            await turns()
            return body
        finally:
            self.left += 1
            with peace():
                await turns()

    def stream(self) -> Any:
        """Make a generator of four pieces that is seen to be closed."""
        self.sources.append(Source(4, pause=tick))
        return self.sources[-1].generator

    async def after(self) -> None:
        """Run in the background."""
        await turns()
        self.background += 1


Seen = list[tuple[Run, BaseException | None]]
"""Exchanges, with what each raised to the server."""


def plain(run: Run) -> Any:
    """Make an endpoint that reads the body and answers in one piece, with a background task."""

    async def endpoint(request: Any) -> Any:
        body = await run.inside(request)
        return JSONResponse({"size": len(body)}, background=BackgroundTask(run.after))

    return [Route("/", endpoint, methods=["POST"])]


def streaming(run: Run) -> Any:
    """Make an endpoint that reads the body and streams four pieces."""

    async def endpoint(request: Any) -> Any:
        await run.inside(request)
        return StreamingResponse(run.stream(), background=BackgroundTask(run.after))

    return [Route("/", endpoint, methods=["POST"])]


def echoing(run: Run) -> Any:
    """Make an endpoint that streams the body back while it comes in."""

    async def echo(request: Any) -> Any:
        run.entered += 1
        try:
            async for chunk in request.stream():
                yield chunk
        finally:
            run.left += 1

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(echo(request))

    return [Route("/", endpoint, methods=["POST"])]


def quiet(run: Run) -> Any:
    """Make an ASGI app that sends four pieces, and just ends when the client has left."""

    async def respond(request: Any, send: Any) -> None:
        await run.inside(request)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(1, 5):
            await send(
                {"type": "http.response.body", "body": b"%d" % number, "more_body": number < 4}
            )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await respond(Request(scope, receive), send)
        except (OSError, ClientDisconnect):
            return

    return [Mount("/", app=app)]


def responding(run: Run) -> Any:
    """Make an ASGI app that lets a streaming response of the framework do the work."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await run.inside(request)
        response = StreamingResponse(run.stream(), background=BackgroundTask(run.after))
        await response(scope, receive, send)

    return [Mount("/", app=app)]


BASIC_APPS = pytest.mark.parametrize("routes", [plain, streaming, quiet])
APPS = pytest.mark.parametrize("routes", [plain, streaming, echoing, quiet, responding])
MOST_STEPS = 500


def entered_layers(log: list[str]) -> int:
    """Count the layers that were entered."""
    return sum(event.startswith("in ") for event in log)


async def look(
    shape: Shape,
    routes: Callable[[Run], Any],
    run: Run,
    each: Callable[[int], Any] | None = None,
    **options: Any,
) -> BaseException | None:
    """Run one exchange and check all that must hold however it ends."""
    app = build(shape, routes=routes(run), log=run.log, each=each)
    exc = await serve(app, run.wire, **options)
    assert "No response" not in str(exc)
    if run.most_runs == 1:
        assert sorted(run.log) == sorted(unwound(entered_layers(run.log)))
    else:
        assert Counter(event.removeprefix("in ") for event in run.log if "in" in event) == Counter(
            event.removeprefix("out ") for event in run.log if "out" in event
        )
    assert run.entered == run.left <= run.most_runs**shape.depth
    assert run.background <= run.most_runs**shape.depth
    assert run.wire.kinds().count("start") <= 1
    assert run.wire.violations == []
    return exc


async def every_step(
    shape: Shape, routes: Callable[[Run], Any], step_of: str, **options: Any
) -> Seen:
    """Let the client leave at the k-th receive or send for each k that the exchange reaches."""
    seen: Seen = []
    for step in range(1, MOST_STEPS):
        run = Run(shape, **{f"leave_at_{step_of}": step})
        exc = await look(shape, routes, run, **options)
        assert exc is None or isinstance(exc, ClientDisconnect | OSError)
        if not run.wire.gone:
            assert run.wire.complete
            return seen
        seen.append((run, exc))
    raise AssertionError(f"no end of {step_of}: {run.wire.events[-20:]}")


@BASIC_APPS
@exhaustive
def test_client_leaving_at_every_receive_breaks_nothing(
    shape: Shape, routes: Callable[[Run], Any]
) -> None:
    """B1: the client disconnects at every receive (POST, 3 chunks in, 4 out)."""
    seen = on_loop(shape.loop, every_step(shape, routes, "receive"))

    assert len(seen) >= len(CHUNKS)


@BASIC_APPS
@exhaustive
def test_client_leaving_at_every_send_breaks_nothing(
    shape: Shape, routes: Callable[[Run], Any]
) -> None:
    """B1: the client disconnects at every send (POST, 3 chunks in, 4 out)."""
    seen = on_loop(shape.loop, every_step(shape, routes, "send"))

    assert len(seen) >= 2


async def leave_at_every_turn(shape: Shape, routes: Callable[[Run], Any]) -> Seen:
    """Let the client leave before the k-th turn of the loop, for each k up to the last."""
    seen: Seen = []
    for step in range(MOST_STEPS):
        run = Run(shape)

        def at_turn(turn: int, task: Any, run: Run = run, step: int = step) -> None:
            if turn == step:
                run.wire.leave()

        exc = await look(shape, routes, run, at_turn=at_turn)
        assert exc is None or isinstance(exc, ClientDisconnect | OSError)
        if not run.wire.gone:
            return seen
        seen.append((run, exc))
    raise AssertionError(f"no end of the exchange unless the client leaves: {run.wire.events}")


@BASIC_APPS
@exhaustive
def test_client_leaving_at_every_turn_of_the_loop_breaks_nothing(
    shape: Shape, routes: Callable[[Run], Any]
) -> None:
    """B1: the client disconnects between any two steps of the loop."""
    seen = on_loop(shape.loop, leave_at_every_turn(shape, routes))

    assert len(seen) >= 2


@DROPPED
@APPS
@exhaustive_half
def test_client_leaving_anywhere_is_quiet_and_closes_all(
    shape: Shape, routes: Callable[[Run], Any]
) -> None:
    """B1, and more: nothing is raised to the server, and every generator entered is closed."""

    async def main() -> Seen:
        receives = await every_step(shape, routes, "receive")
        return receives + await every_step(shape, routes, "send")

    for run, exc in on_loop(shape.loop, main()):
        assert exc is None
        assert all(source.ended for source in run.sources)
        assert run.log == unwound(entered_layers(run.log))


async def cancel_at_every_turn(shape: Shape, routes: Callable[[Run], Any], **options: Any) -> Seen:
    """Cancel the app before the k-th turn of the loop, for each k that the exchange reaches."""
    seen: Seen = []
    for step in range(MOST_STEPS):
        run = Run(shape, lag=1)
        cancelled = False

        def at_turn(turn: int, task: Any, step: int = step) -> None:
            nonlocal cancelled
            if turn == step:
                cancelled = task.cancel()

        exc = await look(shape, routes, run, at_turn=at_turn, **options)
        if not cancelled:
            assert exc is None
            assert run.wire.complete
            return seen
        if exc is None and shape.loop == "trio":
            assert run.wire.complete  # nothing more was awaited
            continue
        seen.append((run, exc))
    raise AssertionError(f"no end of the exchange unless it is cancelled: {run.wire.events[-20:]}")


@BASIC_APPS
@exhaustive
def test_cancellation_at_every_turn_comes_out_as_itself(
    shape: Shape, routes: Callable[[Run], Any]
) -> None:
    """B2: the server cancels the request (shutdown, timeout) at every step of the loop."""
    seen = on_loop(shape.loop, cancel_at_every_turn(shape, routes))

    assert [type(exc) for _, exc in seen] == [asyncio.CancelledError] * len(seen)
    assert len(seen) > len(CHUNKS)


@DROPPED
@APPS
@exhaustive_half
def test_cancellation_at_every_turn_unwinds_inside_out_and_closes_the_stream(
    shape: Shape, routes: Callable[[Run], Any]
) -> None:
    """B2, and more: layers end in order, and a generator that was entered is closed at the end."""
    seen = on_loop(shape.loop, cancel_at_every_turn(shape, routes))

    for run, _ in seen:
        assert all(source.ended for source in run.sources)
        assert run.log == unwound(entered_layers(run.log))
        assert run.wire.complete or run.background == 0


async def fault_at_every_step(shape: Shape, routes: Callable[[Run], Any], step_of: str) -> Seen:
    """Let the server fail from the k-th receive or send on, for each k that is reached."""
    seen: Seen = []
    for step in range(1, MOST_STEPS):
        run = Run(shape, **{f"fault_at_{step_of}": step})
        exc = await look(shape, routes, run)
        if not run.wire.faults:
            return seen
        seen.append((run, exc))
    raise AssertionError(f"no end of {step_of}: {run.wire.events[-20:]}")


@pytest.mark.parametrize("step_of", ["receive", "send"])
@pytest.mark.parametrize("routes", [plain, streaming])
@exhaustive_half
def test_server_failing_anywhere_is_reported_and_closes_all(
    shape: Shape, routes: Callable[[Run], Any], step_of: str
) -> None:
    """B1, and more: an error of the server's own comes out as itself, and all is closed."""
    seen = on_loop(shape.loop, fault_at_every_step(shape, routes, step_of))

    assert len(seen) >= 2
    for run, exc in seen:
        # A receive() that fails in the watch for the disconnect is as good as a disconnect.
        assert isinstance(exc, ServerFault) or (exc is None and step_of == "receive")
        assert run.log == unwound(entered_layers(run.log))
        assert all(source.ended for source in run.sources)


# -- layers that do more than pass on ------------------------------------------------------------------


async def discards(request: Any, call_next: Any) -> Any:
    """Answer something else."""
    await call_next(request)
    return PlainTextResponse("mine")


async def begins_and_discards(request: Any, call_next: Any) -> Any:
    """Look at the first piece of the body, and answer something else."""
    response = await call_next(request)
    async for _ in response.body_iterator:
        break
    return PlainTextResponse("mine")


async def reads(request: Any, call_next: Any) -> Any:
    """Read the whole body of the response, and send it in one piece."""
    response = await call_next(request)
    return PlainTextResponse(b"".join([bytes(piece) async for piece in response.body_iterator]))


async def wraps(request: Any, call_next: Any) -> Any:
    """Put a generator around the body."""
    response = await call_next(request)
    inner = response.body_iterator

    async def pieces() -> Any:
        async for piece in inner:
            yield piece

    response.body_iterator = pieces()
    return response


async def rebuilds(request: Any, call_next: Any) -> Any:
    """Stream the body in a response of the layer's own."""
    response = await call_next(request)
    return StreamingResponse(response.body_iterator)


async def retries(request: Any, call_next: Any) -> Any:
    """Run the inside twice, and send what the second run gave."""
    await request.body()
    await call_next(request)
    return await call_next(request)


async def limits(request: Any, call_next: Any) -> Any:
    """Run the inside under time limits and next to a task."""
    with anyio.fail_after(60):
        async with timeout(60), anyio.create_task_group() as group:
            group.start_soon(turns)
            return await call_next(request)


async def spawns(request: Any, call_next: Any) -> Any:
    """Run the inside in a task."""
    return await spawn(call_next(request))


async def watches(request: Any, call_next: Any) -> Any:
    """Wait for the client to leave while the inside runs."""
    watch = spawn(request.disconnected())
    try:
        return await call_next(request)
    finally:
        watch.cancel()


async def hands_on(request: Any, call_next: Any) -> Any:
    """Pass a request of the layer's own on."""
    return await call_next(Request({**request.scope}, request.receive))


BUSY = [
    discards,
    begins_and_discards,
    reads,
    wraps,
    rebuilds,
    retries,
    limits,
    spawns,
    watches,
    hands_on,
]
BUSY_SHAPES = [
    Shape(2, link, MAKES[number % 2], SPECS[number % 2], LOOPS[(number + turn) % 2])
    for turn, link in enumerate(LINKS)
    for number in range(2)
]


def busy_routes(dispatch: Any, routes: Callable[[Run], Any]) -> Callable[[Run], Any]:
    """Make the routes of an app whose endpoint a retrying layer may run again."""

    def make(run: Run) -> Any:
        if dispatch is retries:
            run.most_runs = 2
        return routes(run)

    return make


@pytest.mark.parametrize("routes", [plain, streaming, quiet])
@pytest.mark.parametrize("dispatch", BUSY)
@over(BUSY_SHAPES)
def test_client_leaving_anywhere_under_busy_layers_is_quiet_and_closes_all(
    shape: Shape, dispatch: Any, routes: Callable[[Run], Any]
) -> None:
    """B1, and more: whatever the layers do with the response, nothing is raised or left open."""

    async def main() -> Seen:
        made = busy_routes(dispatch, routes)
        each = {"each": lambda _: dispatch}
        receives = await every_step(shape, made, "receive", **each)
        return receives + await every_step(shape, made, "send", **each)

    for run, exc in on_loop(shape.loop, main()):
        assert exc is None
        assert all(source.ended for source in run.sources)


@pytest.mark.parametrize("routes", [plain, streaming, quiet])
@pytest.mark.parametrize("dispatch", BUSY)
@over(BUSY_SHAPES)
def test_cancellation_anywhere_under_busy_layers_comes_out_and_closes_all(
    shape: Shape, dispatch: Any, routes: Callable[[Run], Any]
) -> None:
    """B2, and more: whatever the layers do, the CancelledError comes out and all is closed."""
    made = busy_routes(dispatch, routes)

    seen = on_loop(shape.loop, cancel_at_every_turn(shape, made, each=lambda _: dispatch))

    for run, exc in seen:
        assert type(exc) is asyncio.CancelledError
        assert all(source.ended for source in run.sources)
