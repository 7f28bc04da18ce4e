"""Family J: what a layer costs in tasks, memory, garbage and traceback lines."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import traceback
import tracemalloc
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from tests.failures.stacks import (
    FOREIGN,
    FULL,
    LAYERED,
    Shape,
    bare,
    build,
    every,
    layered,
    layered_native,
    native,
    over,
    pass_on,
)
from tests.failures.wire import (
    BackgroundTask,
    BaseHTTPMiddleware,
    JSONResponse,
    Middleware,
    PlainTextResponse,
    Source,
    StreamingResponse,
    Wire,
    exchange,
    on_loop,
    serve,
)
from tests.loops import on_trio, turns

CHUNKS = (b"one ", b"two ", b"three")


async def plain(request: Any) -> Any:
    """Read the body, answer in one piece."""
    return JSONResponse({"size": len(await request.body())})


async def stream(request: Any) -> Any:
    """Read the body, answer in four pieces."""
    await request.body()
    return StreamingResponse(Source(4).generator)


@contextlib.contextmanager
def small_heap() -> Iterator[None]:
    """Let the collector look only at what is made from here on, so that it is quick."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


# -- tasks ---------------------------------------------------------------------------------------------


class Tasks(trio.abc.Instrument):  # type: ignore[misc]
    """Counts the tasks made while it is in force.

    On asyncio by a factory of the loop and by `Task` itself, on trio as an instrument of the loop.
    """

    def __init__(self) -> None:
        self.made = 0

    def task_spawned(self, task: Any) -> None:
        """Count a task of trio's."""
        self.made += 1

    @contextlib.contextmanager
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Count from here on."""
        if on_trio():
            trio.lowlevel.add_instrument(self)
            yield
            trio.lowlevel.remove_instrument(self)
            return
        tasks = self
        plain_task = asyncio.Task

        class Counted(plain_task):  # type: ignore[misc, valid-type]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                tasks.made += 1
                super().__init__(*args, **kwargs)

        loop = asyncio.get_running_loop()
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "Task", Counted)
            patch.setattr(asyncio.tasks, "Task", Counted)
            loop.set_task_factory(lambda loop, coro, **options: Counted(coro, loop=loop, **options))
            try:
                yield
            finally:
                loop.set_task_factory(None)


def tasks_made(shape: Shape, endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    """Count the tasks that one request makes, beside the server's own."""

    async def main() -> int:
        app = build(shape, endpoint)
        await serve(app, Wire(CHUNKS, method="POST", spec=shape.spec))
        tasks = Tasks()
        wire = Wire(CHUNKS, method="POST", spec=shape.spec)
        request = app(wire.scope, wire.receive, wire.send)
        with tasks.counted(monkeypatch):
            await request
        assert wire.complete
        return tasks.made

    return on_loop(shape.loop, main())


@pytest.mark.parametrize("endpoint", [plain, stream])
@layered_native
def test_tasks_do_not_grow_with_native_layers(
    shape: Shape, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J1: every layer costs tasks: one for the app, and one more for every receive()."""
    assert tasks_made(shape, endpoint, monkeypatch) <= tasks_made(
        bare(shape), endpoint, monkeypatch
    )


@native
def test_plain_response_makes_no_task(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """J1, and more: a request that is answered in one piece makes no task at all."""
    assert tasks_made(shape, plain, monkeypatch) == 0


@pytest.mark.parametrize("endpoint", [plain, stream])
@over([shape for shape in FULL if not shape.depth])
def test_bare_app_makes_at_most_one_task(
    shape: Shape, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J1, and more: one watcher for a stream, no task for anything else."""
    assert tasks_made(shape, endpoint, monkeypatch) <= 1


@pytest.mark.parametrize("endpoint", [plain, stream])
@layered
def test_bridged_layer_makes_one_task(
    shape: Shape, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """J1, and more: a bridged link has one task, and one watcher serves the whole request."""
    allowed = 1 + (shape.depth if shape.link in FOREIGN else 0)

    assert tasks_made(shape, endpoint, monkeypatch) <= allowed


# -- memory --------------------------------------------------------------------------------------------


WAITING = 20


def held(shape: Shape, foreign: int = 0) -> float:
    """Measure the bytes that one request holds while it waits in the endpoint.

    Args:
        shape: the stack.
        foreign: further pure ASGI layers, of the kind of the shape's links.
    """

    async def main() -> float:
        release = asyncio.Event()
        waiting = 0

        async def endpoint(request: Any) -> Any:
            nonlocal waiting
            waiting += 1
            await release.wait()
            return PlainTextResponse("done")

        inside = [Middleware(FOREIGN[shape.link]) for _ in range(foreign)]
        app = build(shape, endpoint, inside=inside)

        async def wave(count: int) -> tuple[int, list[Any]]:
            nonlocal waiting
            release.clear()
            waiting = 0
            wires = [Wire(spec=shape.spec) for _ in range(count)]
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            tasks = [asyncio.ensure_future(app(w.scope, w.receive, w.send)) for w in wires]
            while waiting < count:
                await asyncio.sleep(0)
            gc.collect()
            after = tracemalloc.get_traced_memory()[0]
            release.set()
            await asyncio.gather(*tasks)
            return after - before, wires

        await wave(WAITING)
        size, wires = await wave(WAITING)
        assert all(wire.complete for wire in wires)
        return size / WAITING

    with small_heap():
        tracemalloc.start()
        try:
            return on_loop(shape.loop, main())
        finally:
            tracemalloc.stop()


KIB = 1024


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("made", ["subclass", "function"])
def test_waiting_request_holds_little_memory_per_native_layer(depth: int, made: str) -> None:
    """J2: memory held per layer while a request waits in the endpoint."""
    shape = Shape(depth, "native", made, "2.3", "asyncio")

    assert (held(shape) - held(bare(shape))) / depth <= 1 * KIB


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("link", ["pass", "wrap"])
def test_waiting_request_holds_little_memory_per_bridged_layer(depth: int, link: str) -> None:
    """J2: the same for a bridged layer, with its task, beside what the foreign layer holds."""
    only_foreign = Shape(0, link, "function", "2.3", "asyncio")
    shape = Shape(depth, link, "function", "2.3", "asyncio")

    assert (held(shape) - held(only_foreign, depth)) / depth <= 4 * KIB


# -- garbage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@every
def test_error_leaves_nothing_unclosed(shape: Shape, streams: bool) -> None:
    """J3: memory object streams are left unclosed when the endpoint raises (ResourceWarning)."""
    source = Source(4, fail_at=2, error=LookupError("mine"))

    async def endpoint(request: Any) -> Any:
        if streams:
            return StreamingResponse(source.generator)
        raise LookupError("mine")

    with small_heap(), warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        exc = exchange(shape.loop, build(shape, endpoint), Wire(spec=shape.spec))
        gc.collect()

    assert isinstance(exc, LookupError)


class Precious:
    """What a request holds."""


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """Keep the cyclic collector off, and the log, whose records keep errors alive."""
    gc.disable()
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        gc.enable()


def freed(shape: Shape, endpoint: Any, **wire: Any) -> list[bool]:
    """Tell, for each object that the endpoint let a request hold, whether it is gone."""
    references: list[Any] = []

    async def keeping(request: Any) -> Any:
        request.state.precious = Precious()
        references.append(weakref.ref(request.state.precious))
        return await endpoint(request)

    async def main() -> list[bool]:
        app = build(shape, keeping)
        await serve(app, Wire(CHUNKS, method="POST", spec=shape.spec, **wire))
        references.clear()
        with no_collector():
            await serve(app, Wire(CHUNKS, method="POST", spec=shape.spec, **wire))
            await turns()
            return [reference() is None for reference in references]

    return on_loop(shape.loop, main())


async def with_background(request: Any) -> Any:
    """Answer, with something to do afterwards."""
    return PlainTextResponse("done", background=BackgroundTask(turns))


@pytest.mark.parametrize("endpoint", [plain, stream, with_background])
@every
def test_what_a_request_held_is_freed_without_the_collector(shape: Shape, endpoint: Any) -> None:
    """J4: what a request held is freed only by the cyclic garbage collector."""
    assert freed(shape, endpoint) == [True]


async def fails(request: Any) -> Any:
    """Fail."""
    raise LookupError("mine")


async def polls(request: Any) -> Any:
    """Look for the disconnect, and stream."""
    await request.is_disconnected()
    return StreamingResponse(Source(4).generator)


@pytest.mark.parametrize("endpoint", [fails, polls])
@every
def test_what_a_failed_request_held_is_freed_without_the_collector(
    shape: Shape, endpoint: Any
) -> None:
    """J4, and more: after an unhandled error, and after a watch for the disconnect."""
    assert freed(shape, endpoint) == [True]


@pytest.mark.parametrize("leave", ["leave_at_receive", "leave_at_send"])
@every
def test_what_an_aborted_request_held_is_freed_without_the_collector(
    shape: Shape, leave: str
) -> None:
    """J4, and more: after a client that left in mid-upload, or in mid-stream."""
    endpoint = plain if leave == "leave_at_receive" else stream

    assert freed(shape, endpoint, **{leave: 3}) == [True]


# -- tracebacks ----------------------------------------------------------------------------------------


class DoesNothing(BaseHTTPMiddleware):  # type: ignore[misc]
    """A layer as a user writes it, with no frame of the tests' own."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        """Pass on."""
        return await call_next(request)


def frames(shape: Shape) -> int:
    """Count the frames of the traceback that reaches the server."""
    layers: list[Any] = []
    for _ in range(shape.depth):
        if shape.made == "subclass":
            layers.append(Middleware(DoesNothing))
        else:
            layers.append(Middleware(BaseHTTPMiddleware, dispatch=pass_on))
        if shape.link in FOREIGN:
            layers.append(Middleware(FOREIGN[shape.link]))
    exc = exchange(shape.loop, build(bare(shape), fails, inside=layers), Wire(spec=shape.spec))
    assert isinstance(exc, LookupError)
    return len(traceback.extract_tb(exc.__traceback__))


@over([shape for shape in LAYERED if shape.depth > 1])
def test_traceback_grows_by_few_frames_a_layer(shape: Shape) -> None:
    """J5: tracebacks grow with every layer (noise in the logs)."""
    one = Shape(1, shape.link, shape.made, shape.spec, shape.loop)

    assert frames(shape) - frames(one) <= 3 * (shape.depth - 1)


@layered_native
def test_traceback_grows_by_two_frames_a_native_layer(shape: Shape) -> None:
    """J5, and more: a layer's own dispatch, and one frame of the framework."""
    assert frames(shape) - frames(bare(shape)) <= 2 * shape.depth
