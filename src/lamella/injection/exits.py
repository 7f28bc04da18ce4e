"""What stands behind the ``yield`` of dependencies: kept while it is due, run in reverse order.

Floor 5. An exit sees the error that ended what it was there for, and may raise its own.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from lamella._inspect import describe
from lamella.concurrency import Limit, Steps
from lamella.engine.contexts import Fork, steps
from lamella.engine.edge import begins_at
from lamella.engine.loop import here
from lamella.exceptions import SwallowedError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from lamella.requests import Request

__all__ = ["Exits", "close_after", "context_maker"]


class Exits:
    """The exits that are due, of one request and one scope.

    They run in a context of their own, which is kept in step with that of the endpoint: what layers
    around it have reset meanwhile they see all the same, and may reset what was set at the
    beginning, whichever task they run in.
    """

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._fork: Fork | None = None
        self._is_left = False
        # Where the first one was entered that holds a cancel scope open.
        self._place: tuple[int, int] | None = None

    async def enter(self, manager: AbstractAsyncContextManager[Any]) -> Any:
        """Enter a context manager whose exit will be run; its value."""
        if self._fork is None:
            self._fork = Fork()
        else:
            self._fork.take_along()
        place = here().place()
        try:
            value = await steps(manager.__aenter__, self._fork.context)
        finally:
            self._fork.bring_back()
        if here().place() == place:
            self._stack.push_async_exit(_Calm(manager))
        else:
            # Within a shield, the scope that it holds open could not be left.
            self._stack.push_async_exit(manager.__aexit__)
            self._place = self._place or place
        return value

    def can_wait(self, request: Request[Any]) -> bool:
        """Whether they may run when the layers around have returned.

        A cancel scope, or task group, that a dependency holds open is to be left before those that
        were open before it, and by the task that opened it.
        """
        return self._place is None or begins_at(request.scope, self._place)

    def leave(self) -> None:
        """Say that the endpoint has ended well, and what runs from now on is not its own."""
        if self._fork is not None:
            self._fork.take_along()
        self._is_left = True

    async def close(self, exc: BaseException | None) -> bool:
        """Run the exits, the newest first, in peace from a cancellation that came before.

        Args:
            exc: the error that ended it all; the exits see it at their ``yield``.

        Returns:
            Whether one of them caught the error and raised none.

        Raises:
            BaseException: what an exit raised.
        """
        fork = self._fork
        if fork is None:
            return False
        kind = None if exc is None else type(exc)
        traceback = None if exc is None else exc.__traceback__
        if not self._is_left:
            fork.take_along()
        try:
            leave = partial(self._stack.__aexit__, kind, exc, traceback)
            return bool(await steps(leave, fork.context))
        finally:
            fork.bring_back()
            exc = traceback = None  # or the error would hold this frame, and that the error


async def close_after(exc: BaseException, *due: Exits | None) -> None:
    """Run the exits that are due after an error.

    Raises:
        SwallowedError: one of them caught the error and raised none.
        BaseException: what one of them raised instead.
    """
    cause = exc
    for exits in due:
        if exits is None:
            continue
        try:
            swallowed = await exits.close(cause)
        except BaseException as raised:
            cause = raised
        else:
            if swallowed:
                cause = SwallowedError(
                    f"Expected the error {exc!r} of the endpoint to be raised on, got a dependency"
                    " with `yield` that caught it: raising an exception and a dependency with"
                    " yield go together only if the dependency raises it again."
                )
                cause.__cause__ = exc
    if cause is not exc:
        raise cause


class _Calm:
    """The exit of a context manager, in peace from a cancellation that came before."""

    def __init__(self, manager: AbstractAsyncContextManager[Any]) -> None:
        self._manager = manager

    async def __call__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        with here().calm():
            return await self._manager.__aexit__(kind, exc, traceback)


def context_maker(
    call: Callable[..., Any], *, is_async: bool, limit: Limit | None = None
) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """From a generator function to one that makes context managers; sync ones run in threads."""
    if limit is not None:
        enter = context_maker(call, is_async=is_async)

        @asynccontextmanager
        async def make_limited(**kwargs: Any) -> AsyncGenerator[Any, None]:
            async with limit.semaphore(), enter(**kwargs) as value:
                yield value

        return make_limited
    if is_async:
        return asynccontextmanager(call)

    def make(**kwargs: Any) -> AbstractAsyncContextManager[Any]:
        return _InThread(call, kwargs)

    return make


class _InThread:
    """The context manager of a sync generator, each step of which runs in a thread.

    All of them run in one context, so that it may reset what it set.
    """

    def __init__(self, call: Callable[..., Any], kwargs: dict[str, Any]) -> None:
        self._call = call
        self._generator = call(**kwargs)
        self._steps = Steps[Any](self._generator)

    async def __aenter__(self) -> Any:
        try:
            return await self._steps.run(lambda: _step(self._generator.__next__))
        except _Ended:
            raise UsageError(
                f"Expected one `yield` in the dependency {describe(self._call)}, got none; yield on"
                " every path through it."
            ) from None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        generator = self._generator
        # A thread of its own: those of the pool may all wait for what this exit gives back.
        apart = anyio.CapacityLimiter(1)
        try:
            if exc is None:
                await self._steps.run(lambda: _step(generator.__next__), apart)
            else:
                await self._steps.run(lambda: _thrown(generator, exc), apart)
        except _Ended:
            return exc is not None
        except BaseException as raised:
            if raised is exc:
                return False
            raise
        await self._steps.run(generator.close)
        raise UsageError(
            f"Expected one `yield` in the dependency {describe(self._call)}, got a second."
        )


class _Ended(Exception):
    """A generator came to its end; ``StopIteration`` cannot leave a coroutine."""


def _step(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except StopIteration:
        raise _Ended from None


def _thrown(generator: Any, exc: BaseException) -> Any:
    try:
        return generator.throw(exc)
    except StopIteration as stop:
        if stop is exc:
            raise
        raise _Ended from None
