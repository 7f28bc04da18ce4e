"""One exchange without a server: scope, receive, send, and the bare app that answers it."""

from __future__ import annotations

import asyncio
import json
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


def scope_for(path: str, query: bytes = b"", method: str = "GET", sent: bytes = b"") -> Scope:
    """A scope as uvicorn makes it (ASGI HTTP spec 2.3) with a browser's first headers.

    Args:
        path: without the query.
        query: what stands after the question mark.
        method: in capitals.
        sent: the request's body, which is JSON; without one the headers speak of none.
    """
    described = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(sent)).encode()),
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"user-agent", b"benchmarks"),
            (b"accept", b"*/*"),
            *(described if sent else ()),
        ],
        "state": {},
    }


class Inbound:
    """A ``receive`` for one request: its body at once, then silence from a client that stays."""

    __slots__ = ("_body", "_told")

    def __init__(self, body: bytes = b"") -> None:
        """Start with the body not yet read."""
        self._body = body
        self._told = False

    async def __call__(self) -> Message:
        """The only body message at first, then nothing until the caller is cancelled."""
        if self._told:
            await asyncio.get_running_loop().create_future()
        self._told = True
        return {"type": "http.request", "body": self._body, "more_body": False}


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
    """One thing to call: an app, what it is asked and the body that proves it answered."""

    app: App
    path: str = "/"
    body: bytes = BODY
    query: bytes = b""
    method: str = "GET"
    sent: bytes = b""

    def scope(self) -> Scope:
        """The scope of one request for it."""
        return scope_for(self.path, self.query, self.method, self.sent)

    def answered_by(self, body: bytes) -> bool:
        """Whether a body is the expected one, or the same JSON in other words."""
        return body == self.body or _parsed(body) == _parsed(self.body) is not None


def _parsed(body: bytes) -> Any:
    """What a body says as JSON; None where it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None


async def exchange(case: Case) -> None:
    """Run one request and check the answer, so that no error page is ever timed.

    Raises:
        RuntimeError: the status is not 200, or the body is another one.
    """
    status, body = await answer(case)
    if status != 200 or not case.answered_by(body):
        raise RuntimeError(
            f"Expected 200 and {case.body[:60]!r} for {case.path}, "
            f"got {status} and {body[:60]!r} from {case.app!r}."
        )


async def answer(case: Case) -> tuple[int | None, bytes]:
    """Run one request; the status, None without one, and the whole body."""
    sent: list[Message] = []

    async def collect(message: Message) -> None:
        sent.append(dict(message))

    async with asyncio.timeout(10):
        await case.app(case.scope(), Inbound(case.sent), collect)
    status = sent[0].get("status") if sent else None
    return status, b"".join(message.get("body", b"") for message in sent)
