"""The live feed: one server-sent event for each new order."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from lamella.requests import Request
from lamella.responses import StreamingResponse

HEARTBEAT = 15.0  # seconds; silent connections are cut by many proxies after 30 or 60
BACKLOG = 100  # events that wait for one slow subscriber; beyond them it is let go

CLOSED = ""


class Feed:
    """Hands every published event to all who listen at that moment."""

    def __init__(self) -> None:
        """Start with no subscriber."""
        self._subscribers: set[asyncio.Queue[str]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Return how many listen."""
        return len(self._subscribers)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[str]]:
        """Give a queue that gets every event until the block ends; `CLOSED` is the last one."""
        queue: asyncio.Queue[str] = asyncio.Queue(BACKLOG)
        if self._closed:
            queue.put_nowait(CLOSED)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)

    def publish(self, name: str, data: object) -> None:
        """Send an event with a name and JSON data to every subscriber; never waits."""
        self.send(f"event: {name}\ndata: {json.dumps(data)}\n\n")

    def send(self, event: str) -> None:
        """Send a text, not empty, to every subscriber; never waits."""
        if event == CLOSED:
            return
        for queue in list(self._subscribers):
            if queue.full():
                self._let_go(queue)
            else:
                queue.put_nowait(event)

    def close(self) -> None:
        """End every stream, now and from now on."""
        self._closed = True
        for queue in list(self._subscribers):
            self._let_go(queue)

    def _let_go(self, queue: asyncio.Queue[str]) -> None:
        """End one stream after the events that it already has."""
        self._subscribers.discard(queue)
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(CLOSED)


async def stream(feed: Feed, heartbeat: float = HEARTBEAT) -> AsyncIterator[str]:
    """Yield the events of a feed, and a comment whenever `heartbeat` seconds pass without one."""
    with feed.subscribe() as queue:
        yield ": welcome\n\n"
        while True:
            try:
                async with asyncio.timeout(heartbeat):
                    event = await queue.get()
            except TimeoutError:
                event = ": still here\n\n"
            if event == CLOSED:
                return
            yield event


async def events(request: Request) -> StreamingResponse:
    """GET /events: the feed, for as long as the client listens."""
    return StreamingResponse(
        stream(request.app.state.feed),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )
