"""One exchange without a server: scope, receive, send, and the bare app that answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTENT = {"message": "Hello, world!"}
BODY = b'{"message":"Hello, world!"}'
CHUNK = b"0123456789abcdef" * 4
CHUNKS = 100


def scope_for(path: str) -> dict[str, Any]:
    """A GET scope as uvicorn makes it (ASGI HTTP spec 2.3) with a browser's first headers."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"user-agent", b"benchmarks"),
            (b"accept", b"*/*"),
        ],
        "state": {},
    }


class Inbound:
    """A ``receive`` for one request: an empty body, then silence from a client that stays."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        """Start with the body not yet read."""
        self._told = False

    async def __call__(self) -> Message:
        """The only body message at first, then nothing until the caller is cancelled."""
        if self._told:
            await asyncio.get_running_loop().create_future()
        self._told = True
        return {"type": "http.request", "body": b"", "more_body": False}


async def discard(message: Message) -> None:
    """A ``send`` that takes everything at once."""


async def bare(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The floor: the JSON answer as two ready messages."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-length", str(len(BODY)).encode()),
                (b"content-type", b"application/json"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": BODY})


async def bare_stream(_scope: Scope, _receive: Receive, send: Send) -> None:
    """The floor of streaming: the chunks sent one by one, nobody watching the client."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"text/plain; charset=utf-8")],
        }
    )
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class PassThrough:
    """A pure ASGI layer that does nothing."""

    def __init__(self, app: App) -> None:
        """Stand around ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app inside with the same three things."""
        await self.app(scope, receive, send)


def wrapped(app: App, layers: int) -> App:
    """``app`` inside ``layers`` pure ASGI layers that do nothing."""
    for _ in range(layers):
        app = PassThrough(app)
    return app


@dataclass(frozen=True)
class Case:
    """One thing to call: an app, the path asked for and the body that proves it answered."""

    app: App
    path: str = "/"
    body: bytes = BODY


async def exchange(case: Case) -> None:
    """Run one request and check the answer, so that no error page is ever timed.

    Raises:
        RuntimeError: the status is not 200, or the body is another one.
    """
    sent: list[Message] = []

    async def collect(message: Message) -> None:
        sent.append(dict(message))

    async with asyncio.timeout(10):
        await case.app(scope_for(case.path), Inbound(), collect)
    status = sent[0].get("status") if sent else None
    body = b"".join(message.get("body", b"") for message in sent)
    if status != 200 or body != case.body:
        raise RuntimeError(
            f"Expected 200 and {case.body[:60]!r} for {case.path}, "
            f"got {status} and {body[:60]!r} from {case.app!r}."
        )
