"""What is told to all who listen: news of orders, and the talk at the counter."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

BACKLOG = 100  # items that wait for one slow subscriber; beyond them it is let go

Item = TypeVar("Item")


class Feed(Generic[Item]):
    """Hands everything that is sent to all who listen at that moment."""

    def __init__(self) -> None:
        """Start with no subscriber."""
        self._subscribers: set[asyncio.Queue[Item | None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Return how many listen."""
        return len(self._subscribers)

    @contextmanager
    def subscribe(self) -> Generator[asyncio.Queue[Item | None], None, None]:
        """Give a queue that gets every item until the block ends; None is the last one."""
        queue: asyncio.Queue[Item | None] = asyncio.Queue(BACKLOG)
        if self._closed:
            queue.put_nowait(None)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)

    def send(self, item: Item) -> None:
        """Send an item to every subscriber; never waits."""
        for queue in list(self._subscribers):
            if queue.full():
                self._let_go(queue)
            else:
                queue.put_nowait(item)

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        for queue in list(self._subscribers):
            self._let_go(queue)

    def _let_go(self, queue: asyncio.Queue[Item | None]) -> None:
        """End one stream after the items that it already has."""
        self._subscribers.discard(queue)
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(None)
