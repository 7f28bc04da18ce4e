"""ContextVars where the work of a request goes on after the layers around it have returned.

Floor 1. A layer may set a variable, await ``call_next`` and reset it. What runs later, a stream, a
background task or the rest of a foreign app, is to see the value all the same; so it has a copy of
the context that it began in. What a foreign app sets is brought back to its caller.
"""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator
    from contextvars import Context, Token

_UNSET: Final = object()


@coroutine
def steps(make: Callable[[], Awaitable[Any]], context: Context) -> Generator[Any, Any, Any]:
    """Await something every step of which runs in a context, in the task that awaits this.

    Args:
        make: called in the context; gives the awaitable.
        context: must not be entered already.
    """
    run = context.run
    awaited: Any = run(make).__await__()
    try:  # PERF: a piece of a stream that is there at once takes this one step
        found = run(awaited.__next__)
    except StopIteration as stop:
        return stop.value
    value: Any
    while True:
        try:
            sent = yield found
        except GeneratorExit:
            run(awaited.close)
            raise
        except BaseException as exc:
            step, value = awaited.throw, exc
        else:
            step, value = awaited.send, sent
        try:
            found = run(step, value)
        except StopIteration as stop:
            return stop.value
        finally:
            value = None  # or an error would hold the frame that holds it


class InContext:
    """An async iterable that is drawn from and closed in a copy of the context of now."""

    def __init__(self, iterable: Any) -> None:
        self._context = copy_context()
        self._source = iterable
        self._begun = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __anext__(self) -> Awaitable[Any]:
        if not self._begun:
            self._begun = True
            self._source = aiter(self._source)
        return steps(self._source.__anext__, self._context)

    async def aclose(self) -> None:
        """Close it, if it can be closed."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await steps(close, self._context)


def kept(function: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """A function that runs in a copy of the context of now, whenever it is called."""
    context = copy_context()

    async def call() -> None:
        await steps(function, context)

    return call


class Fork:
    """A context beside the caller's: a copy of it, from which changes are brought back.

    Attributes:
        context: for a foreign app, or for what is begun and ended at different times.
    """

    __slots__ = ("_known", "_seen", "_tokens", "context")

    def __init__(self) -> None:
        self.context = copy_context()
        self._known = self._seen = self.context.copy()
        self._tokens: dict[ContextVar[Any], Token[Any]] = {}

    def bring_back(self) -> None:
        """Set here what was set there since the last time, and undo what was undone there."""
        before, self._known = self._known, self.context.copy()
        for variable, value in self._known.items():
            if before.get(variable, _UNSET) is not value:
                self._tokens[variable] = variable.set(value)
        for variable, token in list(self._tokens.items()):
            if variable not in self._known:
                del self._tokens[variable]
                if variable.get(_UNSET) is before.get(variable):
                    _reset(variable, token)
        self._seen = copy_context()

    def take_along(self) -> None:
        """Set there what was set here since the last time."""
        before, self._seen = self._seen, copy_context()
        for variable, value in self._seen.items():
            if before.get(variable, _UNSET) is not value:
                self.context.run(variable.set, value)
        self._known = self.context.copy()


def _reset(variable: ContextVar[Any], token: Token[Any]) -> None:
    try:
        variable.reset(token)
    except ValueError:
        return  # it was brought back to another task, which has ended
