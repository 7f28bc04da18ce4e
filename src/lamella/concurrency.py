"""Blocking code, run in threads so that the event loop stays free.

Floor 1. What the code sets in ContextVars comes back to the caller, as if it had been called in
place; so a layer sees what a synchronous endpoint set. The threads are anyio's: one pool of 40 for
an event loop unless the application changes anyio's default limiter.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context, ContextVar, Token, copy_context
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from lamella.exceptions import StarletteDeprecationWarning

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

    from anyio.abc import TaskGroup

__all__ = ["Limit", "iterate_in_threadpool", "run_in_threadpool", "run_until_first_complete"]

P = ParamSpec("P")
T = TypeVar("T")

# Pairs of a variable and its new value; _NOTHING where it has none any more.
_Changes = list[tuple[ContextVar[Any], Any]]
_NOTHING = object()


async def run_in_threadpool(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread and give back what it returns or raises.

    It runs in a copy of the caller's context. The ContextVars that it changes there are changed in
    the caller's context afterwards, also when it raises.

    Cancellation: anyio's scopes wait until the function is done, since a thread cannot be stopped;
    a bare `task.cancel()` does not wait, and then no ContextVar comes back.

    Source: as Starlette 1.10, which drops the ContextVars.
    """
    changes: _Changes = []
    outcome: _Outcome = []
    try:
        await anyio.to_thread.run_sync(_call, changes, outcome, func, args, kwargs)
    finally:
        for var, value in changes:
            var.set(value)
    return cast("T", _told(outcome))


# What came of a call, in a list that is emptied. A future, or the frame of the thread, would keep
# an error, and the error that frame or the one that awaits the future: a circle that holds the
# request until the collector runs. Besides, trio refuses a coroutine that is returned.
_Outcome = list[tuple[Any, Exception | None]]


def _told(outcome: _Outcome) -> Any:
    result, error = outcome.pop()
    if error is not None:
        try:
            raise error
        finally:
            del error
    return result


def _call(
    changes: _Changes,
    outcome: _Outcome,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    # Taken in the thread, since anyio changes a variable of its own on the way there.
    before = copy_context()
    try:
        outcome.append((func(*args, **kwargs), None))
    except Exception as exc:
        outcome.append((None, exc))
    finally:
        changes += _changes(before, copy_context())


def _changes(before: Context, after: Context) -> _Changes:
    """List what differs by identity; `==` of a user's values may lie, cost or raise."""
    return [(var, now) for var, now in after.items() if before.get(var, _NOTHING) is not now]


async def iterate_in_threadpool(iterator: Iterable[T]) -> AsyncGenerator[T, None]:
    """Take the items of a blocking iterable, each step in a thread.

    All steps run in one context of the iterator's own, so a generator may reset a ContextVar that
    it set some steps before. Between steps, changes go both ways: the consumer sees what the
    iterator set, the iterator what the consumer set.

    Whoever stops early must call `aclose()`: it calls the iterator's `close()`, if it has one, in a
    thread and in that same context. An iterator that came to its end is not closed.

    Cancellation: the running step ends and the iterator is closed before the cancellation goes on.

    Source: as Starlette 1.10, which leaves the iterator open and drops the ContextVars.
    """
    steps = Steps(iterator)
    try:
        while (item := await steps.run(steps.advance)) is not _NOTHING:
            yield item
    finally:
        if steps.can_close():
            with anyio.CancelScope(shield=True):
                await steps.run(steps.close)


class Steps(Generic[T]):
    """A blocking iterator with its context; one step at a time, each in a thread."""

    def __init__(self, iterable: Iterable[T]) -> None:
        self._iterable = iterable
        # A generator is its own iterator; other iterables may block already in `iter()`.
        self._iterator: Any = iterable if isinstance(iterable, Iterator) else None
        self._ended = False
        self._context: Context | None = None
        self._changes: _Changes = []
        # What the consumer's context was when both were last in step.
        self._seen = Context()
        self._tokens: dict[ContextVar[Any], Token[Any]] = {}
        # A task that is cancelled in mid-step goes on to close while the step still runs.
        self._lock = Lock()

    async def run(
        self, step: Callable[[], Any], limiter: anyio.CapacityLimiter | None = None
    ) -> Any:
        """Run one step in a thread and bring its ContextVars here.

        Args:
            step: the step.
            limiter: of threads; anyio's own without it.
        """
        outcome: _Outcome = []
        try:
            await anyio.to_thread.run_sync(self._enter, step, outcome, limiter=limiter)
        finally:
            self._carry_back()
        return _told(outcome)

    def advance(self) -> Any:
        """Give the next item, or _NOTHING at the end: StopIteration cannot leave a coroutine."""
        if self._iterator is None:
            self._iterator = iter(self._iterable)
        item = next(self._iterator, _NOTHING)
        self._ended = item is _NOTHING
        return item

    def can_close(self) -> bool:
        """Tell whether there is something to close: an ended generator has nothing."""
        return (
            not self._ended
            and hasattr(self._iterator, "close")
            and getattr(self._iterator, "gi_frame", self) is not None
        )

    def close(self) -> None:
        """Close the iterator."""
        self._iterator.close()

    def _enter(self, step: Callable[[], Any], outcome: _Outcome) -> None:
        """Run a step in the iterator's context; here is a copy of the consumer's."""
        with self._lock:
            here = copy_context()
            if self._context is None:
                self._context = copy_context()
            else:
                for var, value in _changes(self._seen, here):
                    self._context.run(var.set, value)
            before = self._context.copy()
            try:
                outcome.append((self._context.run(step), None))
            except Exception as exc:
                outcome.append((None, exc))
            finally:
                self._changes = _changes(before, self._context)
                self._changes += [(v, _NOTHING) for v in before if v not in self._context]
                for var, value in self._changes:
                    if value is not _NOTHING:
                        var.set(value)
                self._seen = copy_context()

    def _carry_back(self) -> None:
        changes, self._changes = self._changes, []
        for var, value in changes:
            if value is not _NOTHING:
                self._tokens.setdefault(var, var.set(value))
            elif var in self._tokens:
                # Another task than the one that took the earlier steps cannot reset.
                with suppress(ValueError):
                    var.reset(self._tokens.pop(var))


class Limit:
    """At most so many at once, in each event loop.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._semaphores: RunVar[anyio.Semaphore] = RunVar(f"lamella.limit.{id(self)}")

    def semaphore(self) -> anyio.Semaphore:
        """That of the event loop that runs, to be entered."""
        found = self._semaphores.get(None)
        if found is None:
            found = anyio.Semaphore(self._most)
            self._semaphores.set(found)
        return found


async def run_until_first_complete(
    *args: tuple[Callable[..., Coroutine[Any, Any, Any]], dict[str, Any]],
) -> None:
    """Run several async functions at once until one is done, then cancel the others.

    Args:
        *args: pairs of a function and its keyword arguments.

    Raises:
        BaseExceptionGroup: more than one of them raised. A single exception is raised as it is.

    Source: as Starlette 1.10, where it is deprecated; use a task group of anyio.
    """
    warnings.warn(
        # Begins as in Starlette, so that filters for it go on working.
        "run_until_first_complete is deprecated and will be removed in a future version."
        " Use anyio.create_task_group() instead.",
        StarletteDeprecationWarning,
        stacklevel=2,
    )

    async def run(func: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        await func()
        group.cancel_scope.cancel()

    async with create_collapsing_task_group() as group:
        for func, kwargs in args:
            group.start_soon(run, functools.partial(func, **kwargs))


@asynccontextmanager
async def create_collapsing_task_group() -> AsyncGenerator[TaskGroup, None]:
    """A task group of anyio that raises a single exception as it is, and several as a group.

    Source: as Starlette 1.10, where it is found in the private module `_utils`.
    """
    try:
        async with anyio.create_task_group() as group:
            yield group
        return
    except BaseExceptionGroup as raised:
        error, *others = raised.exceptions
        if others:
            raise
    # Out here the group is no longer being handled, so it does not become the context.
    raise error
