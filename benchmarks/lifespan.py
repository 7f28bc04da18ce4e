"""An app started by the lifespan protocol, as a server starts it, and never shut down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.asgi import App, Message


def started(app: App) -> App:
    """The same app, once it has answered ``lifespan.startup``."""

    async def start() -> None:
        async with running(app):
            pass

    asyncio.run(start())
    return app


@asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    """Within it the app is started, and its lifespan waits for the end, which never comes.

    Raises:
        RuntimeError: it did not start; what it answered is in the text.
    """
    told: asyncio.Queue[Message] = asyncio.Queue()
    coming: list[Message] = [{"type": "lifespan.startup"}]

    async def receive() -> Message:
        if not coming:
            await asyncio.get_running_loop().create_future()
        return coming.pop()

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    lifespan = asyncio.ensure_future(app(scope, receive, told.put))
    # An app that ends without an answer has none to wait for.
    lifespan.add_done_callback(lambda done: told.put_nowait({"type": _why(done)}))
    try:
        answer = await told.get()
        if answer["type"] != "lifespan.startup.complete":
            raise RuntimeError(f"Expected {app!r} to start, got {answer!r}.")
        yield
    finally:
        lifespan.cancel()


def _why(done: asyncio.Future[Any]) -> str:
    return "cancelled" if done.cancelled() else repr(done.exception())
