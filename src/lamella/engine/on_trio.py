"""What the engine needs of an event loop, as trio has it.

Floor 1. Nothing here is used before the program itself runs on trio: lamella does not need trio.
A task of the engine must be free of the caller's cancel scopes, as it may end after the call that
made it; so it is a system task with a scope of its own. What differs from asyncio is trio's rule
that a cancelled block stays cancelled: whatever awaits in it is cancelled again, unless shielded.
"""

from __future__ import annotations

import asyncio
import math
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import TracebackType

    import trio

    from lamella.types import Message, Send


def runs_here() -> bool:
    """Whether it is trio that runs the caller; either loop may be a guest inside the other."""
    import trio

    try:
        if asyncio.current_task() is not None:
            return False
    except RuntimeError:
        pass
    return trio.lowlevel.in_trio_task()


class Waiter:
    """What happens once, and who waits for it."""

    __slots__ = ("_event", "_result")

    def __init__(self) -> None:
        import trio

        self._event = trio.Event()
        self._result: Any = None

    def done(self) -> bool:
        """Whether it has happened."""
        return self._event.is_set()

    def set_result(self, result: Any, /) -> None:
        """Let it happen."""
        self._result = result
        self._event.set()

    def __await__(self) -> Generator[Any, None, Any]:
        yield from self._event.wait().__await__()
        return self._result


class Task:
    """A coroutine in a system task; it must keep its errors, as one that came out ends the run.

    Args:
        coroutine: what to run.
        context: the context object to run in.

    Attributes:
        ended: set at its end.
    """

    __slots__ = ("_scope", "ended")

    def __init__(self, coroutine: Coroutine[Any, Any, None], context: Context) -> None:
        import trio

        self.ended = trio.Event()
        self._scope = trio.CancelScope()
        name = getattr(coroutine, "__qualname__", None)
        trio.lowlevel.spawn_system_task(self._run, coroutine, name=name, context=context)

    async def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            with self._scope:
                await coroutine
        finally:
            self.ended.set()

    def done(self) -> bool:
        """Whether it has ended."""
        return self.ended.is_set()

    def cancel(self) -> None:
        """Cancel what it does, until its end."""
        self._scope.cancel()


class Block:
    """The block of a ``with`` statement, which another task may cancel."""

    __slots__ = ("_scope", "_task")

    def __init__(self) -> None:
        import trio

        self._task = trio.lowlevel.current_task()
        self._scope = trio.CancelScope()
        self._scope.__enter__()

    def stop(self) -> bool:
        """Cancel the block from outside; False when it is the block's own task that asks."""
        import trio

        if trio.lowlevel.current_task() is self._task:
            return False
        self._scope.cancel()
        return True

    def end(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Leave the block; whether ``exc`` was no more than its being stopped."""
        import trio

        if not trio.lowlevel.in_trio_task() or trio.lowlevel.current_task() is not self._task:
            return False  # its coroutine is thrown away
        return bool(self._scope.__exit__(kind, exc, traceback))


class Trio:
    """See ``loop.Loop``."""

    def waiter(self) -> Waiter:
        """A new waiter."""
        return Waiter()

    def spawn(self, coroutine: Coroutine[Any, Any, None], context: Context | None = None) -> Task:
        """Start a task, in a copy of the caller's context or in the one given."""
        return Task(coroutine, copy_context() if context is None else context)

    def block(self) -> Block:
        """Begin a block that may be stopped."""
        return Block()

    def calm(self) -> trio.CancelScope:
        """A scope in which a cancellation that came before does not strike again."""
        import trio

        return trio.CancelScope(shield=trio.current_effective_deadline() == -math.inf)

    def place(self) -> tuple[int, int]:
        """The task that runs and the innermost cancel scope in it, to compare with another time."""
        import trio

        task = trio.lowlevel.current_task()
        # trio does not tell the scope in public; where it is not found, all scopes are one.
        return id(task), id(getattr(task, "_cancel_status", None))

    async def turn(self) -> None:
        """Let the other tasks run up to where they wait for news.

        A channel's ``receive`` gives up its turn once although it has something, and tasks take
        their turns in any order.
        """
        import trio

        for _ in range(4):
            await trio.lowlevel.checkpoint()

    def heedful(self, send: Send) -> Send:
        """A ``send`` that ends a block that was stopped meanwhile.

        A server's may return at once, or raise, when the client is gone; on trio, a task that
        waits for nothing is not cancelled, and a stream of that kind would go on for ever.
        """
        import trio

        async def send_and_look(message: Message) -> None:
            try:
                await send(message)
            finally:
                await trio.lowlevel.checkpoint()

        return send_and_look

    async def ended(self, task: Any, seconds: float = math.inf) -> None:
        """Wait for a task's end, for some seconds at most."""
        import trio

        with trio.move_on_after(seconds):
            await task.ended.wait()

    def portable(self, exc: BaseException) -> BaseException | None:
        """What of an error may be raised in another task: a cancellation is its own task's."""
        import trio

        if not self.is_cancellation(exc):
            return exc
        if isinstance(exc, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", exc)
            return group.split(trio.Cancelled)[1]
        return None

    def is_cancellation(self, exc: BaseException) -> bool:
        """Whether an error is a cancellation, or holds one."""
        import trio

        if isinstance(exc, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", exc)
            return group.subgroup(trio.Cancelled) is not None
        return isinstance(exc, trio.Cancelled)


TRIO = Trio()
