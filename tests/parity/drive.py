"""A minimal ASGI server for tests: one scope in, the messages sent and the error raised out."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import anyio

from tests.loops import spawn, within

TURNS_SECONDS = 10


@dataclass
class Reply:
    """What came out of one exchange: the messages that were sent, and what was raised."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def start(self):
        """The one start message."""
        starts = [m for m in self.messages if m["type"] == "http.response.start"]
        assert len(starts) == 1, f"{len(starts)} starts among {self.messages}; {self.error!r}"
        return starts[0]

    @property
    def status(self):
        """Status code."""
        return self.start["status"]

    @property
    def headers(self):
        """Header name to value, the last of each name."""
        return {name.decode(): value.decode() for name, value in self.start["headers"]}

    @property
    def body(self):
        """The whole body."""
        return b"".join(
            m.get("body", b"") for m in self.messages if m["type"] == "http.response.body"
        )

    @property
    def text(self):
        """The whole body as text."""
        return self.body.decode()

    @property
    def complete(self):
        """Whether the last body message said that it was the last."""
        bodies = [m for m in self.messages if m["type"] == "http.response.body"]
        return bool(bodies) and not bodies[-1].get("more_body", False)

    def seen(self):
        """What a client and a server see of it, in a form that can be compared."""
        if not self.messages or self.messages[0]["type"] != "http.response.start":
            return self.messages, raised(self.error)
        # Starlette joins `Allow` out of a set, in the order of that run's hashes.
        headers = [
            (name, b", ".join(sorted(value.split(b", "))) if name == b"allow" else value)
            for name, value in self.start["headers"]
        ]
        head = self.start["status"], headers
        return *head, self.body, self.complete, raised(self.error)


def raised(error):
    """An error in a form that can be compared."""
    return None if error is None else (type(error).__name__, str(error))


def http_scope(path="/", method="GET", *, headers=(), query=b"", root_path="", **more):
    """An HTTP scope as a server gives it; headers as pairs of text."""
    lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    if not any(name == b"host" for name, _ in lines):
        lines.insert(0, (b"host", b"testserver"))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": root_path,
        "headers": lines,
        "client": ("192.0.2.1", 50000),
        "server": ("testserver", 80),
        "state": {},
        "extensions": {},
        **more,
    }


def websocket_scope(path="/", **more):
    """A websocket scope as a server gives it."""
    scope = http_scope(path, **more)
    for key in ("method", "extensions"):
        del scope[key]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}


async def exchange(app, scope, incoming=()):
    """Serve one scope; ``incoming`` are the messages to be received, then a disconnect."""
    reply = Reply()
    waiting = list(incoming)
    never = anyio.Event()

    async def receive():
        if waiting:
            return waiting.pop(0)
        if scope["type"] == "http":
            await never.wait()  # the client stays as long as the exchange lasts
        return {"type": f"{scope['type']}.disconnect"}

    async def send(message):
        reply.messages.append(dict(message))

    try:
        await within(spawn(app(scope, receive, send)), TURNS_SECONDS)
    except Exception as exc:
        reply.error = exc
    return reply


async def request(app, path="/", method="GET", *, body=b"", **scope):
    """Serve one HTTP request."""
    first = {"type": "http.request", "body": body, "more_body": False}
    return await exchange(app, http_scope(path, method, **scope), [first])


def ask(app, path="/", method="GET", *, body=b"", **scope):
    """Serve one HTTP request on a loop of its own; what was raised is on the reply."""
    return asyncio.run(request(app, path, method, body=body, **scope))


def answer(app, path="/", method="GET", *, body=b"", **scope):
    """Serve one HTTP request on a loop of its own; what was raised is raised here."""
    reply = ask(app, path, method, body=body, **scope)
    if reply.error is not None:
        raise reply.error
    return reply


async def live(app, during=None, *, scope=None):
    """Serve the lifespan: start, ``during``, stop."""
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}} | (scope or {})
    reply = Reply()
    started = anyio.Event()

    async def receive():
        if not reply.messages and not started.is_set():
            started.set()
            return {"type": "lifespan.startup"}
        if during is not None:
            await during(scope)
        return {"type": "lifespan.shutdown"}

    async def send(message):
        reply.messages.append(dict(message))

    try:
        await within(spawn(app(scope, receive, send)), TURNS_SECONDS)
    except Exception as exc:
        reply.error = exc
    return reply


def lifetime(app, **options):
    """Serve the lifespan on a loop of its own."""
    return asyncio.run(live(app, **options))
