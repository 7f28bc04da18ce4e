"""What tests need of an event loop, the same on asyncio, uvloop and trio.

On asyncio a job is a plain `asyncio.Task`. On trio it is a system task with that interface, which
says of a cancellation that it was an `asyncio.CancelledError`, since trio's own cannot be made.
"""

import asyncio
import contextlib
import importlib.util
import math
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextvars import Context, copy_context
from typing import Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint

# One line a backend: the name shown in test ids, and what anyio's plugin is given.
BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
if importlib.util.find_spec("uvloop") is None:
    del BACKENDS["uvloop"]

# trio warns of an async generator that is left before its end, as `request.stream()` may be.
DROPPED = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")


def asyncio_only(reason: str) -> pytest.MarkDecorator:
    """Mark a test that is about what trio does not have, and say why."""
    assert reason
    names = [name for name, (backend, _) in BACKENDS.items() if backend == "asyncio"]
    return pytest.mark.parametrize("anyio_backend", [BACKENDS[name] for name in names], ids=names)


def seed_trio() -> None:
    """Have trio run the tasks in the same order each time, which it draws by lot.

    trio has this for tests under hypothesis, which has switched it on; `TRIO_SEED` tries another.
    """
    run = importlib.import_module("trio._core._run")
    assert run._ALLOW_DETERMINISTIC_SCHEDULING
    run._r.seed(int(os.environ.get("TRIO_SEED", "0")))


def on_trio() -> bool:
    """Whether the caller runs on trio."""
    return trio.lowlevel.in_trio_task()


async def turns(count: int = 1) -> None:
    """Let every other task run, so often."""
    for _ in range(count):
        await checkpoint()


async def never() -> None:
    """Wait for what does not come."""
    await anyio.Event().wait()


def cancelled() -> type[BaseException]:
    """The class of a cancellation on this loop."""
    return anyio.get_cancelled_exc_class()


def current() -> Any:
    """The task that runs."""
    return trio.lowlevel.current_task() if on_trio() else asyncio.current_task()


class Job:
    """A task on trio, with the interface of asyncio's."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: Context | None) -> None:
        self._coroutine = coroutine
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._result: Any = None
        self._error: BaseException | None = None
        task = trio.lowlevel.spawn_system_task(self._run, name=coroutine.__qualname__)
        task.context = copy_context() if context is None else context

    async def _run(self) -> None:
        try:
            with self._scope:
                self._result = await self._coroutine
        except BaseException as exc:
            self._error = exc
        finally:
            self._ended.set()
            del self  # or the error would hold this frame, that the job, and that the error

    def done(self) -> bool:
        return self._ended.is_set()

    def cancelled(self) -> bool:
        return self._scope.cancelled_caught

    def cancel(self) -> bool:
        self._scope.cancel()
        return not self.done()

    def cancelling(self) -> int:
        return int(self._scope.cancel_called)

    def exception(self) -> BaseException | None:
        if self.cancelled():
            raise asyncio.CancelledError
        return self._error

    def result(self) -> Any:
        error = self.exception()
        if error is not None:
            raise error
        return self._result

    def __await__(self) -> Any:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        try:
            await self._ended.wait()
        except trio.Cancelled:
            self.cancel()
            with trio.CancelScope(shield=True):
                await self._ended.wait()
            raise
        return self.result()


def spawn(coroutine: Coroutine[Any, Any, Any], context: Context | None = None) -> Any:
    """Run a coroutine as a task beside the caller."""
    if on_trio():
        return Job(coroutine, context)
    return asyncio.get_running_loop().create_task(coroutine, context=context)


async def wait(jobs: Iterable[Any], timeout: float = math.inf, *, first: bool = False) -> None:
    """Wait until all jobs are done, or the first, or so many seconds are over; raise nothing."""
    jobs = list(jobs)
    if not jobs:
        return
    if not on_trio():
        when = asyncio.FIRST_COMPLETED if first else asyncio.ALL_COMPLETED
        await asyncio.wait(jobs, timeout=None if timeout == math.inf else timeout, return_when=when)
        return
    with trio.move_on_after(timeout):
        if not first:
            for job in jobs:
                await job._ended.wait()
            return
        async with trio.open_nursery() as nursery:

            async def end(job: Job) -> None:
                await job._ended.wait()
                nursery.cancel_scope.cancel()

            for job in jobs:
                nursery.start_soon(end, job)


async def within(job: Any, timeout: float = 5) -> Any:
    """The result of a job; an error if it takes longer than so many seconds."""
    with anyio.fail_after(timeout):
        return await job


async def gather(*tasks: Any, return_exceptions: bool = False, timeout: float = math.inf) -> list:
    """The results of jobs and coroutines, run beside each other."""
    jobs = [spawn(task) if asyncio.iscoroutine(task) else task for task in tasks]
    with anyio.fail_after(None if timeout == math.inf else timeout):
        await wait(jobs)
    results = []
    for job in jobs:
        error = asyncio.CancelledError() if job.cancelled() else job.exception()
        if error is not None and not return_exceptions:
            raise error
        results.append(job.result() if error is None else error)
    return results


@contextlib.asynccontextmanager
async def timeout(seconds: float | None) -> AsyncIterator[Callable[[float], object]]:
    """The time limit that the loop itself has, a `TimeoutError` in the end; and how to move it."""
    if on_trio():
        with anyio.fail_after(seconds) as scope:
            yield lambda when: setattr(scope, "deadline", when)
    else:
        async with asyncio.timeout(seconds) as limit:
            yield limit.reschedule


def peace() -> contextlib.AbstractContextManager[object]:
    """What a `finally` block needs to await after a cancellation: on trio a shield."""
    if isinstance(sys.exception(), trio.Cancelled):
        return trio.CancelScope(shield=True)
    return contextlib.nullcontext()


async def until(claim: Callable[[], object], count: int = 1000) -> None:
    """Let the other tasks run until a claim holds."""
    for _ in range(count):
        if claim():
            return
        await checkpoint()
    raise AssertionError(f"not so after {count} turns")


def alive(task: Any) -> bool:
    """Whether a job, or what `current` gave, has not ended yet."""
    if isinstance(task, trio.lowlevel.Task):
        return any(task.coro is running.coro for running in anyio.get_running_tasks())
    return not task.done()
