"""What the engine needs of an event loop: a waiter, a task, a block that can be stopped.

Floor 1. ``here`` gives the loop that runs the caller. asyncio's own objects serve as they are;
``on_trio`` has the others. The native path asks for none of this.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from lamella.engine.on_trio import TRIO, runs_here

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from lamella.types import Send


class Waiter(Protocol):
    """What happens once, and who waits for it; asyncio's ``Future`` is one."""

    def done(self) -> bool:
        """Whether it has happened, or nobody waits any more."""
        ...

    def set_result(self, result: Any, /) -> None:
        """Let it happen."""
        ...

    def __await__(self) -> Generator[Any, None, Any]: ...


class Task(Protocol):
    """What runs besides the caller; asyncio's ``Task`` is one."""

    def done(self) -> bool:
        """Whether it has ended."""
        ...

    def cancel(self) -> object:
        """Cancel it: on asyncio once, on trio until its end."""
        ...


class Block(Protocol):
    """The block of a ``with`` statement, which another task may cancel."""

    def stop(self) -> bool:
        """Cancel the block from outside; False when it is the block's own task that asks."""
        ...

    def end(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Leave the block; whether ``exc`` was no more than its being stopped."""
        ...


class Loop(Protocol):
    """An event loop, as far as the engine uses one."""

    def waiter(self) -> Waiter:
        """A new waiter."""
        ...

    def spawn(
        self, coroutine: Coroutine[Any, Any, None], context: contextvars.Context | None = None
    ) -> Task:
        """Start a task, in a copy of the caller's context or in the one given."""
        ...

    def block(self) -> Block:
        """Begin a block that may be stopped."""
        ...

    def calm(self) -> AbstractContextManager[object]:
        """A ``with`` in which a cancellation that came before does not strike again."""
        ...

    def place(self) -> tuple[int, int]:
        """The task that runs and the innermost cancel scope in it, to compare with another time."""
        ...

    def turn(self) -> Awaitable[None]:
        """Let the other tasks run up to where they wait for news."""
        ...

    def heedful(self, send: Send) -> Send:
        """A ``send`` that ends a block that was stopped meanwhile."""
        ...

    def ended(self, task: Any, seconds: float = ...) -> Awaitable[object]:
        """Wait for a task's end, for some seconds at most."""
        ...

    def portable(self, exc: BaseException) -> BaseException | None:
        """What of an error may be raised in another task."""
        ...

    def is_cancellation(self, exc: BaseException) -> bool:
        """Whether an error is a cancellation, or holds one."""
        ...


def here() -> Loop:
    """The loop that runs the caller. trio is not imported unless the program has done it."""
    return TRIO if "trio" in sys.modules and runs_here() else ASYNCIO


def wake(waiter: Waiter | None) -> None:
    """Let it happen, if anybody waits for it."""
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def calmly(function: Callable[[], Awaitable[object]]) -> None:
    """Await what a function gives, in peace from a cancellation that came before."""
    with here().calm():
        await function()


async def settled(task: Task) -> None:
    """Wait for a task's end, whatever happens to the caller meanwhile.

    A cancellation that arrives while waiting cancels the task too, and is raised once it is done.
    """
    loop = here()
    cancelled: BaseException | None = None
    while not task.done():
        try:
            if cancelled is None:
                await loop.ended(task)
            else:
                with loop.calm():
                    await loop.ended(task)
        except BaseException as exc:
            if not loop.is_cancellation(exc):
                raise
            task.cancel()
            cancelled = exc
    if cancelled is not None:
        raise cancelled


class _Asyncio:
    """See ``Loop``."""

    _CALM: Final = nullcontext()

    def waiter(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    def spawn(
        self, coroutine: Coroutine[Any, Any, None], context: contextvars.Context | None = None
    ) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        if context is None:
            return loop.create_task(coroutine)
        return asyncio.Task(coroutine, loop=loop, context=context)

    def block(self) -> _AsyncioBlock:
        return _AsyncioBlock()

    def calm(self) -> AbstractContextManager[object]:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return self._CALM
        if task is None or not task.cancelling():
            return self._CALM
        # asyncio cancels once, but a scope of anyio's does it again and again, as trio does.
        return anyio.CancelScope(shield=True)

    def place(self) -> tuple[int, int]:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return 0, 0  # stepped by hand
        # anyio does not tell the scope in public; where it is not found, all scopes are one.
        states = getattr(sys.modules.get("anyio._backends._asyncio"), "_task_states", None)
        state = None if states is None else states.get(task)
        # By identity: who keeps it must not keep the task, and by that whatever it failed with.
        return id(task), id(getattr(state, "cancel_scope", None))

    def turn(self) -> Awaitable[None]:
        return asyncio.sleep(0)

    def heedful(self, send: Send) -> Send:
        return send

    def ended(self, task: Any, seconds: float | None = None) -> Awaitable[object]:
        return asyncio.wait((task,), timeout=seconds)

    def portable(self, exc: BaseException) -> BaseException:
        return exc

    def is_cancellation(self, exc: BaseException) -> bool:
        return isinstance(exc, asyncio.CancelledError)


class _AsyncioBlock:
    """The block of a ``with``: stopped by one cancellation, as ``asyncio.timeout`` does it."""

    __slots__ = ("_cancelling", "_stopped", "_task")

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Expected to run in a task of an event loop; there is none.")
        self._task = task
        self._cancelling = task.cancelling()
        self._stopped = False

    def stop(self) -> bool:
        if asyncio.current_task() is self._task:
            return False
        self._stopped = True
        self._task.cancel()
        return True

    def end(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not self._stopped:
            return False
        return self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError


ASYNCIO: Final = _Asyncio()
