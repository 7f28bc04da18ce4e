"""Work that is done once the response has been sent.

Floor 1. A task is data until somebody awaits it; the edge does, after the last byte.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, ParamSpec

from lamella._inspect import is_async_callable
from lamella.concurrency import run_in_threadpool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BackgroundTask", "BackgroundTasks"]

P = ParamSpec("P")


class BackgroundTask:
    """One call to make later.

    Args:
        func: awaited if it is async, else run in the thread pool, so it may block.
        *args: given to func.
        **kwargs: given to func.

    Source: as Starlette 1.10; besides, a coroutine that an ordinary function returns is awaited.
    """

    def __init__(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.is_async = is_async_callable(func)

    async def __call__(self) -> None:
        """Make the call; what func raises goes to the caller."""
        if self.is_async:
            await self.func(*self.args, **self.kwargs)
            return
        result = await run_in_threadpool(self.func, *self.args, **self.kwargs)
        if iscoroutine(result):
            await result


class BackgroundTasks(BackgroundTask):
    """Several tasks, run one after the other in the order they were added.

    Args:
        tasks: the first ones; the sequence is copied.

    Source: as Starlette 1.10. A task that raises ends the row: later ones are not run.
    """

    def __init__(self, tasks: Sequence[BackgroundTask] | None = None) -> None:
        self.tasks = list(tasks) if tasks else []

    def add_task(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add one call to the end; the arguments are those of `BackgroundTask`."""
        self.tasks.append(BackgroundTask(func, *args, **kwargs))

    async def __call__(self) -> None:
        """Run them all, those too that a running task adds."""
        for task in self.tasks:
            await task()
