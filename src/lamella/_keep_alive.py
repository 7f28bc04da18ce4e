"""A stream that is never silent for long: where nothing comes for a while, it says so.

Floor 2. Waiting for an item must not be given up to send a ping, since that would end a generator.
So the items are made in a task, one for the whole stream: from the first step to the closing it is
the same one, with the same ContextVars and cancel scopes, and still nothing is made ahead.
"""

from __future__ import annotations

from contextvars import copy_context
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

import anyio

from lamella.engine.loop import calmly, here, settled, wake

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from lamella.engine.loop import Task, Waiter

SILENCE: Final = object()
"""What stands for an item that has not come yet."""

_NOTHING: Final = object()

# Those that have begun and are not closed, by the thread of their event loop: what ends them may be
# a callback of the loop or a signal handler, which run in no task.
_open: dict[int, set[KeptAlive]] = {}


class KeptAlive:
    """The items of an async iterable, and ``SILENCE`` each time none came for some seconds.

    Close it in the end, whether or not it was drawn from: this waits until the items are closed.

    Args:
        items: is drawn from and closed in a task of its own, in a copy of the context in which
            the first item is asked for.
        seconds: how long to wait for an item; ``math.inf`` for as long as it takes.
    """

    def __init__(self, items: AsyncIterable[Any], seconds: float) -> None:
        self._items = items
        self._seconds = seconds
        self._task: Task | None = None
        self._item: Any = _NOTHING  # made, and not taken yet
        self._error: BaseException | None = None
        self._made_all = False
        self._stopped = False
        self._wish: Waiter | None = None  # what the task waits for between two items
        self._news: Waiter | None = None  # what whoever asked for an item waits for

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._stopped:
            raise StopAsyncIteration
        self._ask()
        if self._item is _NOTHING and not self._made_all:
            self._news = here().waiter()
            with anyio.move_on_after(self._seconds):
                await self._news
        return self._taken()

    def _ask(self) -> None:
        if self._task is None:
            self._task = here().spawn(self._make(), copy_context())
            _open.setdefault(get_ident(), set()).add(self)
        elif self._wish is not None:
            wish, self._wish = self._wish, None
            wake(wish)

    def _taken(self) -> Any:
        if self._stopped:
            raise StopAsyncIteration
        if self._item is not _NOTHING:
            item, self._item = self._item, _NOTHING
            return item
        if not self._made_all:
            return SILENCE
        self._raise_error()
        raise StopAsyncIteration

    async def _make(self) -> None:
        try:
            await self._make_items()
        except BaseException as exc:
            self._error = here().portable(exc)
        finally:
            self._made_all = True
            wake(self._news)

    async def _make_items(self) -> None:
        iterator = aiter(self._items)
        try:
            async for item in iterator:
                self._item = item
                if self._stopped:
                    return
                self._wish = wish = here().waiter()
                wake(self._news)
                await wish
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await calmly(close)

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # or it would hold this frame, which holds it

    def _forget(self) -> None:
        streams = _open.get(get_ident(), set())
        streams.discard(self)
        if not streams:
            _open.pop(get_ident(), None)

    def end(self) -> None:
        """End it as if there were no more items; whoever draws from it closes it then."""
        self._stopped = True
        wake(self._news)

    async def aclose(self) -> None:
        """Stop the making of an item, if one is being made, and close the items.

        Raises:
            BaseException: what their own cleanup raised.
        """
        self._stopped = True
        if self._task is None:
            close = getattr(self._items, "aclose", None)
            if close is not None:
                await close()
            return
        self._forget()
        if self._wish is not None:
            wake(self._wish)
        elif not self._made_all:
            self._task.cancel()
        await settled(self._task)
        if self._error is not None and here().is_cancellation(self._error):
            self._error = None
        self._raise_error()


def end_streams() -> int:
    """End every stream that has begun in this thread's event loop; how many there were."""
    streams = list(_open.get(get_ident(), ()))
    for stream in streams:
        stream.end()
    return len(streams)
