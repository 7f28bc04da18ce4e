"""A scripted ASGI server and its client, for one HTTP exchange.

A ``Wire`` builds the scope, gives ``receive`` from a script, checks and records what is sent, and
keeps one list of ``events`` in which its own steps and a test's notes stand in the order they
happened. The client may leave at the k-th ``receive``, at the k-th ``send``, at the k-th turn of
the loop, or whenever a test says so; it may read slowly, too. Nothing here sleeps: what waits,
waits for an event, and ``serve`` counts the turns of the loop, so that a hang is a failure that
tells where every task stands.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import anyio
import trio
import uvloop

from tests.loops import gather, peace, seed_trio, spawn, turns, wait

# Another framework with the same names (`starlette`) shows that a test of an open mode can fail.
FRAMEWORK = os.environ.get("FAILURES_FRAMEWORK", "lamella")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
T = TypeVar("T")


def load(module: str) -> Any:
    """Import a module of the framework that is tested."""
    return importlib.import_module(f"{FRAMEWORK}.{module}")


_applications = load("applications")
App = getattr(_applications, "Lamella", _applications.Starlette)
Route = load("routing").Route
Mount = load("routing").Mount
Middleware = load("middleware").Middleware
BaseHTTPMiddleware = load("middleware.base").BaseHTTPMiddleware
Request = load("requests").Request
ClientDisconnect = load("requests").ClientDisconnect
HTTPException = load("exceptions").HTTPException
BackgroundTask = load("background").BackgroundTask
BackgroundTasks = load("background").BackgroundTasks
Response = load("responses").Response
FileResponse = load("responses").FileResponse
HTMLResponse = load("responses").HTMLResponse
JSONResponse = load("responses").JSONResponse
PlainTextResponse = load("responses").PlainTextResponse
RedirectResponse = load("responses").RedirectResponse
StreamingResponse = load("responses").StreamingResponse

ASYNCIO_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

TURNS = 4000
"""Turns of the loop that one exchange may take."""

SETTLING_TURNS = 3
"""Turns that a cancelled helper task may need to end after the app has returned."""

SECONDS = 10
"""Seconds that an exchange with threads may take."""


class Hang(AssertionError):
    """An exchange did not end within its turns of the loop."""


class Leak(AssertionError):
    """An exchange left a task behind."""


class ClientGone(OSError):
    """What ``send`` raises at spec 2.4 once the client has left."""


class ServerFault(Exception):
    """What a server that is itself broken raises."""


class Violation(RuntimeError):
    """A message that an ASGI server must refuse."""


class Wire:
    """One exchange as the server and its client see it.

    Args:
        chunks: pieces of the request body, one ``http.request`` each; none is an empty body.
        spec: ASGI HTTP spec version; from 2.4 on ``send`` raises once the client has left.
        extensions: names offered in ``scope["extensions"]``.
        live: the body comes by ``feed`` instead of ``chunks``.
        slow: each body message is sent only when the client ``read`` it.
        lag: turns of the loop that each ``receive`` and ``send`` takes.
        drain: turns of the loop that ``send`` takes after the message is out.
        leave_at_receive: the client leaves as the k-th ``receive`` is called, counted from 1.
        leave_at_send: the client leaves as the k-th ``send`` is called, counted from 1.
        fault_at_receive: the k-th ``receive`` raises ``ServerFault``, and each one after it.
        fault_at_send: the same for ``send``.

    Attributes:
        events: what happened, in order: ``receive X`` and ``send X`` (short message types),
            ``left``, ``complete``, and whatever a test notes.
        sent: the messages that the server took, in order.
        lost: the messages that were sent when the client had left (below spec 2.4).
        violations: the messages that the server refused.
        gone: whether the client has left.
        complete: whether the whole response was sent.
        faults: how often ``ServerFault`` was raised.
    """

    def __init__(
        self,
        chunks: Iterable[bytes] = (),
        *,
        method: str = "GET",
        path: str = "/",
        query: bytes = b"",
        headers: Iterable[tuple[bytes, bytes]] = (),
        spec: str = "2.3",
        extensions: Iterable[str] = (),
        live: bool = False,
        slow: bool = False,
        lag: int = 0,
        drain: int = 0,
        leave_at_receive: int | None = None,
        leave_at_send: int | None = None,
        fault_at_receive: int | None = None,
        fault_at_send: int | None = None,
    ) -> None:
        self.spec = spec
        self.raises = tuple(map(int, spec.split("."))) >= (2, 4)
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": spec},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"wire.test"), *headers],
            "client": ("192.0.2.1", 49152),
            "server": ("192.0.2.2", 80),
            "state": {},
            "extensions": {name: {} for name in extensions},
        }
        self.events: list[str] = []
        self.sent: list[Message] = []
        self.lost: list[Message] = []
        self.violations: list[Message] = []
        self.gone = False
        self.complete = False
        self.turns = 0
        self.receives = 0
        self.sends = 0
        self._body = [(chunk, True) for chunk in chunks]
        if self._body:
            self._body[-1] = (self._body[-1][0], False)
        elif not live:
            self._body = [(b"", False)]
        self._body_given = False
        self._slow = slow
        self._reads = 0
        self._taken = 0
        self._lag = lag
        self._drain = drain
        self._leave_at_receive = leave_at_receive
        self._leave_at_send = leave_at_send
        self._fault_at_receive = fault_at_receive or sys.maxsize
        self._fault_at_send = fault_at_send or sys.maxsize
        self.faults = 0
        self._changed = anyio.Event()

    # -- what the test and the client do ---------------------------------------------------------

    def note(self, event: str) -> None:
        """Write an event of the test's own between those of the wire."""
        self.events.append(event)
        self._news()

    async def until(self, claim: Callable[[], object]) -> None:
        """Wait until a claim about the wire holds."""
        while not claim():
            await self._changed.wait()

    async def until_event(self, event: str) -> None:
        """Wait until an event has happened."""
        await self.until(lambda: event in self.events)

    def leave(self) -> None:
        """The client goes away, now."""
        if not self.gone:
            self.gone = True
            self.note("left")

    def feed(self, chunk: bytes, *, more: bool = True) -> None:
        """The client sends another piece of the body."""
        self._body.append((chunk, more))
        self._news()

    async def read(self) -> None:
        """The slow client takes the next body message; waits until there is one."""
        self._reads += 1
        wanted = self._reads
        self._news()
        await self.until(lambda: self._taken >= wanted or self.complete or self.gone)

    def _news(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    # -- what the app is given ---------------------------------------------------------------------

    async def receive(self) -> Message:
        """Give the next message of the script; the disconnect for ever once there is one."""
        self.receives += 1
        if self.receives == self._leave_at_receive:
            self.leave()
        await self._linger(self._lag)
        self._fail(self.receives, self._fault_at_receive)
        await self.until(self._has_message)
        if self.gone or self.complete:
            self.note("receive disconnect")
            return {"type": "http.disconnect"}
        chunk, more = self._body.pop(0)
        self._body_given = not more
        self.note("receive request")
        return {"type": "http.request", "body": chunk, "more_body": more}

    def _has_message(self) -> bool:
        return self.gone or self.complete or (bool(self._body) and not self._body_given)

    async def send(self, message: Message) -> None:
        """Take one message of the app, as a strict server does."""
        self.sends += 1
        if self.sends == self._leave_at_send:
            self.leave()
        await self._linger(self._lag)
        self._fail(self.sends, self._fault_at_send)
        if self.gone:
            self._lose(message)
            return
        self._check(message)
        self._record(message)
        if self._slow and message["type"] == "http.response.body" and not self.complete:
            await self._hand_over(message)
        await self._linger(self._drain)

    def _fail(self, number: int, fault_at: int) -> None:
        if number >= fault_at:
            self.faults += 1
            raise ServerFault(f"fault at {number}")

    def _lose(self, message: Message) -> None:
        self.lost.append(message)
        if self.raises:
            raise ClientGone("the client has left")

    async def _hand_over(self, message: Message) -> None:
        wanted = self._taken + 1
        await self.until(lambda: self._reads >= wanted or self.gone)
        if self.gone:
            self._lose(message)
            return
        self._taken = wanted
        self.note("read")

    def _record(self, message: Message) -> None:
        self.sent.append(dict(message))
        kind = message["type"].removeprefix("http.response.")
        self.note(f"send {kind}")
        if self._ends(message):
            self.complete = True
            self.note("complete")

    def _ends(self, message: Message) -> bool:
        kind = message["type"].removeprefix("http.response.")
        trailers = any(sent.get("trailers") for sent in self.sent)
        if kind == "trailers":
            return not message.get("more_trailers", False)
        if kind == "pathsend":
            return not trailers
        return (
            kind in ("body", "zerocopysend")
            and not message.get("more_body", False)
            and not trailers
        )

    def _check(self, message: Message) -> None:
        kind = message["type"].removeprefix("http.response.")
        started = self.started
        ended = self.complete or any(
            sent["type"] == "http.response.body" and not sent.get("more_body", False)
            for sent in self.sent
        )
        if kind in ("start", "debug", "early_hint"):
            wrong = started
        elif kind == "push":
            wrong = self.complete
        elif kind == "trailers":
            wrong = not started or self.complete
        elif kind in ("body", "pathsend", "zerocopysend"):
            wrong = not started or ended
        else:
            wrong = True
        if wrong:
            self.violations.append(message)
            raise Violation(f"unexpected ASGI message {message['type']!r} now")
        if kind == "body" and not isinstance(message.get("body", b""), bytes):
            self.violations.append(message)
            raise Violation(f"a body of type {type(message['body']).__name__}")

    async def _linger(self, count: int) -> None:
        await turns(count)

    # -- what the client got ---------------------------------------------------------------------

    def kinds(self) -> list[str]:
        """Short types of the messages sent, in order."""
        return [message["type"].removeprefix("http.response.") for message in self.sent]

    @property
    def started(self) -> bool:
        """Whether a response was started."""
        return "start" in self.kinds()

    @property
    def start(self) -> Message:
        """The one start message."""
        starts = [message for message in self.sent if message["type"] == "http.response.start"]
        assert len(starts) == 1, f"{len(starts)} starts among {self.kinds()}"
        return starts[0]

    @property
    def status(self) -> int:
        """Status code of the response."""
        status: int = self.start["status"]
        return status

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Header lines of the response, in order."""
        return [(bytes(name), bytes(value)) for name, value in self.start.get("headers", [])]

    def header(self, name: str) -> list[str]:
        """All values of one header."""
        wanted = name.lower().encode()
        return [value.decode() for key, value in self.raw_headers if key.lower() == wanted]

    @property
    def pieces(self) -> list[bytes]:
        """Body messages that are not empty, in order."""
        bodies = [
            message.get("body", b"")
            for message in self.sent
            if message["type"] == "http.response.body"
        ]
        return [body for body in bodies if body]

    @property
    def body(self) -> bytes:
        """The body of the response, as far as it came."""
        return b"".join(self.pieces)


# -- running -------------------------------------------------------------------------------------

AtTurn = Callable[[int, Any], object]


async def serve(
    app: ASGI,
    wire: Wire,
    client: Callable[[Wire], Coroutine[Any, Any, object]] | None = None,
    *,
    limit: int = TURNS,
    at_turn: AtTurn | None = None,
    threads: bool = False,
    alone: bool = True,
) -> BaseException | None:
    """Run one exchange to its end and return what the app raised to the server.

    Args:
        app: the ASGI app.
        wire: the exchange.
        client: what the client does meanwhile; dropped when the app has ended.
        limit: how many turns of the loop the exchange may take.
        at_turn: called with the number of the turn (from 0) and the app's task, before each turn.
        threads: the app uses threads, so seconds are counted and not turns.
        alone: no other exchange runs on this loop, so tasks that are left behind are this one's.

    Raises:
        Hang: the exchange did not end.
        Leak: the app left a task behind.
    """
    before = _running()
    task = spawn(app(wire.scope, wire.receive, wire.send))
    helpers = [spawn(client(wire))] if client else []
    if threads:
        await wait([task], timeout=SECONDS)
    else:
        await _turn(task, wire, limit, at_turn)
    if not task.done():
        where = _whereabouts(_running().values())
        raise Hang(f"no end after {wire.turns} turns; events: {wire.events[-20:]}\n{where}")
    await _drop(helpers)
    if alone:
        await _check_left(before)
    if task.cancelled():
        try:
            task.result()
        except asyncio.CancelledError as exc:
            return exc
    error: BaseException | None = task.exception()
    return error


async def _turn(task: Any, wire: Wire, limit: int, at_turn: AtTurn | None) -> None:
    while not task.done() and wire.turns < limit:
        if at_turn is not None:
            at_turn(wire.turns, task)
        wire.turns += 1
        await turns()


async def _drop(helpers: list[Any]) -> None:
    for helper in helpers:
        helper.cancel()
    for result in await gather(*helpers, return_exceptions=True):
        if isinstance(result, Exception):
            raise result


def _running() -> dict[int, Any]:
    """The coroutine of each task that runs, by the task's id."""
    return {task.id: task.coro for task in anyio.get_running_tasks()}


async def _check_left(known: dict[int, Any]) -> None:
    for _ in range(SETTLING_TURNS):
        if _running().keys() <= known.keys():
            return
        await turns()
    left = [coroutine for id_, coroutine in _running().items() if id_ not in known]
    if left:
        raise Leak(f"{len(left)} tasks left behind:\n{_whereabouts(left)}")


def _whereabouts(coroutines: Iterable[Any]) -> str:
    lines = []
    for coroutine in coroutines:
        where = []
        inner = coroutine
        while getattr(inner, "cr_frame", None) is not None:
            where.append(f"{inner.cr_code.co_filename}:{inner.cr_frame.f_lineno}")
            inner = inner.cr_await
        lines.append(f"  {coroutine!r} at {where[-1] if where else 'its end'}")
    return "\n".join(sorted(lines))


def on_loop(loop_name: str, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a new loop, and fail when the loop had to complain of anything."""
    if loop_name == "trio":
        seed_trio()
        return trio.run(lambda: main)
    loop = ASYNCIO_LOOPS[loop_name]()
    complaints: list[str] = []
    loop.set_exception_handler(
        lambda _, context: complaints.append(f"{context['message']}: {context.get('exception')!r}")
    )
    try:
        result = loop.run_until_complete(main)
    finally:
        _close(loop)
    assert complaints == []
    return result


def _close(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(100):
        tasks = asyncio.all_tasks(loop)
        if not tasks:
            break
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def exchange(
    loop_name: str,
    app: ASGI,
    wire: Wire,
    client: Callable[[Wire], Coroutine[Any, Any, object]] | None = None,
    **options: Any,
) -> BaseException | None:
    """Run one exchange on a loop of its own; see ``serve``."""
    return on_loop(loop_name, serve(app, wire, client, **options))


def chain(exc: BaseException | None) -> list[BaseException]:
    """An exception and what it was caused by or arose from, as a traceback shows them."""
    found: list[BaseException] = []
    while exc is not None and not any(exc is known for known in found):
        found.append(exc)
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    return found


# -- a body that is watched ------------------------------------------------------------------------


class RanOn(AssertionError):
    """A stream that should have been stopped was pulled again and again."""


class Source:
    """An async generator for a response body, which tells how it was treated.

    Args:
        count: pieces to make; None makes them for ever, up to ``BOUND``.
        pause: awaited after each piece was taken.
        fail_at: raise ``error`` instead of making the piece of this number, counted from 1.

    Attributes:
        generator: the generator itself, held so that nothing but ``aclose`` closes it.
        made: how many pieces were made.
        opened: how often the generator's block was entered.
        closing: how often its ``finally`` was reached.
        closed: how often its ``finally``, which awaits, has run to the end.
    """

    BOUND = 1000

    def __init__(
        self,
        count: int | None = 4,
        *,
        pause: Callable[[], Awaitable[object]] | None = None,
        fail_at: int | None = None,
        error: BaseException | None = None,
        note: Callable[[str], object] | None = None,
    ) -> None:
        self.count = count
        self.pause = pause
        self.fail_at = fail_at
        self.error = error
        self.made = 0
        self.opened = 0
        self.closing = 0
        self.closed = 0
        self.note = note or (lambda event: None)
        self.generator = self._pieces()

    async def _pieces(self) -> Any:
        self.opened += 1
        try:
            while self.count is None or self.made < self.count:
                if self.made >= self.BOUND:
                    raise RanOn(f"{self.made} pieces were pulled")
                self.made += 1
                if self.made == self.fail_at and self.error is not None:
                    raise self.error
                self.note(f"made {self.made}")
                yield self.piece(self.made)
                if self.pause is not None:
                    await self.pause()
        finally:
            self.closing += 1
            with peace():
                await turns()
            self.closed += 1
            self.note("closed")

    @staticmethod
    def piece(number: int) -> bytes:
        """The piece of a number, counted from 1."""
        return b"piece %d;" % number

    @property
    def whole(self) -> bytes:
        """The body when nothing is missing."""
        assert self.count is not None
        return b"".join(map(self.piece, range(1, self.count + 1)))

    @property
    def ended(self) -> bool:
        """Whether the block, if it was entered, was left, be it by a second interruption."""
        return self.opened == self.closing and (not self.opened or self.generator.ag_frame is None)

    @property
    def over(self) -> bool:
        """Whether the generator is closed, and its ``finally`` has run if its block was entered."""
        return self.generator.ag_frame is None and self.closed == self.opened


def tick() -> Awaitable[None]:
    """One turn of the loop, as a pause between pieces."""
    return turns()
