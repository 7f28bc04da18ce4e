"""One websocket, as the app sees it: `WebSocketRun`; and what its messages hold.

Floor 9. Both sessions make and read messages with the functions here. Source: ASGI WebSocket spec
2.4, and its extension for denial responses.
"""

from __future__ import annotations

import functools
import json
import math
from typing import Any, Final, Literal, NamedTuple

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from lamella._testclient.run import ASGI3App, ClientLeftError, Run
from lamella.exceptions import UsageError
from lamella.types import Message, Scope
from lamella.websockets import WebSocketDisconnect

# Turns of the loop in which an app that is left may see it before it is cancelled: enough for a
# message to pass through a few tasks, and no time on the clock.
_TURNS: Final = 10
_ABNORMAL: Final = 1006  # RFC 6455 section 7.4.1: the connection ended without a close frame

JSONMode = Literal["text", "binary"]


class Denial(NamedTuple):
    """The HTTP response with which an app refused a websocket."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class WrongKindError(UsageError, KeyError):
    """A test reads text where the app sent bytes, or the other way round.

    A KeyError, as Starlette 1.10, which looks the kind up in the message.
    """

    def __str__(self) -> str:
        return str(self.args[0])


class WebSocketRun(Run):
    """One run of the app on a websocket scope.

    Messages wait without limit in both directions, as Starlette 1.10 has it: neither side waits
    for the other to take what it sends.
    """

    def __init__(self, app: ASGI3App, scope: Scope) -> None:
        super().__init__(app, scope)
        self._to_app, self._from_test = anyio.create_memory_object_stream[Message](math.inf)
        self._to_test, self._from_app = anyio.create_memory_object_stream[Message](math.inf)
        self._disconnect: Message | None = None  # as the test sent it
        self._close: WebSocketDisconnect | None = None  # as the app sent it
        self._answered = False
        self._accepted = False
        self._left = False
        self._told = False  # the test has been given the app's error
        self._token: anyio.lowlevel.EventLoopToken | None = None

    def finish(self) -> None:
        """Let go a test that waits for a message."""
        for stream in (self._to_test, self._to_app, self._from_test):
            stream.close()

    async def receive(self) -> Message:
        """Give the app the next message; once the test has left, its disconnect again."""
        try:
            return await self._from_test.receive()
        except anyio.EndOfStream:
            await anyio.lowlevel.checkpoint()  # for an app that goes on asking
            return self._disconnect or disconnect_message(_ABNORMAL)

    async def send(self, message: Message) -> None:
        """Take a message of the app; raise OSError once the test has left, or the app has ended."""
        if self._left or self.ended.is_set():
            await anyio.lowlevel.checkpoint()  # for an app that passes over the error and goes on
            raise ClientLeftError
        self._answered = True
        if message["type"] == "websocket.close":
            self._close = _closed(message)
        if self._token in (None, anyio.lowlevel.current_token()):
            await self._to_test.send(message)
            return
        # Of a websocket in another thread, as where one visitor's message goes to all others: the
        # stream belongs to the loop of this one.
        send = functools.partial(self._to_test.send, message)
        hop = functools.partial(anyio.from_thread.run, send, token=self._token)
        await anyio.to_thread.run_sync(hop)

    async def put(self, message: Message) -> BaseException | None:
        """Send the app a message; return its error instead if it has raised one.

        What is sent to an app that has returned is lost, as in Starlette 1.10.
        """
        error = self._news()
        if error is None and not self.ended.is_set():
            if message["type"] == "websocket.disconnect":
                self._disconnect = message
            self._to_app.send_nowait(message)
        await anyio.lowlevel.checkpoint()
        return error

    async def take(self, seconds: float | None = None) -> Message | BaseException:
        """Wait for the app's next message.

        Args:
            seconds: to wait at most, None for no limit.

        Returns:
            The message. Or, when there is none left and none can come: the app's error the first
            time, else WebSocketDisconnect, with the code of its close if it sent one, else 1006;
            AssertionError if it has sent nothing at all.

        Raises:
            TimeoutError: if none came in time.
        """
        with anyio.fail_after(seconds):
            if self._close is not None and not self._from_app.statistics().current_buffer_used:
                return self._end()
            try:
                return await self._from_app.receive()
            except anyio.EndOfStream:
                return self._end()

    async def take_data(self, seconds: float | None = None) -> Message | Denial | BaseException:
        """As `take`, but return WebSocketDisconnect for a close, and a denial as a whole."""
        outcome = await self.take(seconds)
        if isinstance(outcome, BaseException):
            return outcome
        if outcome["type"] == "websocket.close":
            return _closed(outcome)
        if outcome["type"] == "websocket.http.response.start":
            return await self._take_denial(outcome)
        return outcome

    async def handshake(self) -> Message | Denial | BaseException:
        """Ask to connect; return the app's websocket.accept, or why there is none."""
        self._token = anyio.lowlevel.current_token()
        outcome = await self.put({"type": "websocket.connect"}) or await self.take_data()
        if isinstance(outcome, Denial | BaseException):
            return outcome
        if outcome["type"] == "websocket.accept":
            self._accepted = True
            return outcome
        return AssertionError(
            "Expected websocket.accept, websocket.close or websocket.http.response.start from the"
            f" app, got {outcome!r}; accept the websocket first."
        )

    async def leave(self, grace: float = 0) -> BaseException | None:
        """Disconnect, and wait for the app's end; return its error unless the test has had it.

        Args:
            grace: seconds that the app has for its end before it is cancelled; with 0 it has a
                few turns of the loop.
        """
        if self._disconnect is None and not self.ended.is_set():
            self._disconnect = disconnect_message(1000 if self._accepted else _ABNORMAL)
            self._to_app.send_nowait(self._disconnect)
        self._to_app.close()
        try:
            with anyio.CancelScope(shield=True):
                await self._settle(grace)
        finally:
            self._from_app.close()
        return self._news()

    async def _settle(self, grace: float) -> None:
        if grace:
            self._left = True
            await self.wait_ended(grace)
        for _ in range(_TURNS):
            if not self.ended.is_set():
                await anyio.lowlevel.checkpoint()
        self._left = True
        await self.wait_ended(0)

    def abandon(self) -> None:
        """As `Run.abandon`; nobody takes a message."""
        super().abandon()
        self._from_app.close()

    def failure(self, wanted: bool) -> BaseException | None:
        """As `Run.failure`; an app that fell over the test's leaving has not failed."""
        error = super().failure(wanted)
        if isinstance(error, WebSocketDisconnect) and isinstance(error.__cause__, ClientLeftError):
            return None
        return error

    def _news(self) -> BaseException | None:
        """Tell the app's error once."""
        error = None if self._told else self.failure(wanted=True)
        self._told = self._told or error is not None
        return error

    def _end(self) -> BaseException:
        error = self._news() or self._close
        if error is None and not self._answered:
            return AssertionError(
                "The test client did not receive any answer to its handshake. The app returned from"
                f" {self.scope['path']!r} without sending websocket.accept or websocket.close."
            )
        return error or WebSocketDisconnect(_ABNORMAL, "The app ended without websocket.close.")

    async def _take_denial(self, start: Message) -> Denial | BaseException:
        body = b""
        while True:
            outcome = await self.take()
            if isinstance(outcome, BaseException):
                return outcome
            if outcome["type"] != "websocket.http.response.body":
                text = f"Expected websocket.http.response.body from the app, got {outcome!r}."
                return AssertionError(text)
            body += outcome.get("body", b"")
            if not outcome.get("more_body", False):
                return Denial(start["status"], list(start.get("headers", ())), body)


def _closed(message: Message) -> WebSocketDisconnect:
    return WebSocketDisconnect(message.get("code", 1000), message.get("reason", ""))


def text_message(data: str) -> Message:
    """Make the message that gives the app a text."""
    return {"type": "websocket.receive", "text": data}


def bytes_message(data: bytes) -> Message:
    """Make the message that gives the app bytes."""
    return {"type": "websocket.receive", "bytes": data}


def json_message(data: Any, mode: JSONMode) -> Message:
    """Make the message that gives the app a value as JSON, in a text or in bytes."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    return text_message(text) if _is_text(mode) else bytes_message(text.encode())


def disconnect_message(code: int, reason: str | None = None) -> Message:
    """Make the message that tells the app that the client has closed."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def text_of(message: Message) -> str:
    """Read a text that the app sent."""
    return str(_payload(message, "text"))


def bytes_of(message: Message) -> bytes:
    """Read bytes that the app sent."""
    return bytes(_payload(message, "bytes"))


def json_of(message: Message, mode: JSONMode) -> Any:
    """Read JSON that the app sent in a text or in bytes."""
    return json.loads(text_of(message) if _is_text(mode) else bytes_of(message).decode())


def _payload(message: Message, kind: str) -> Any:
    payload = message.get(kind)
    if payload is None:
        raise WrongKindError(f"Expected {kind} from the app, got {message!r}; read what it sends.")
    return payload


def _is_text(mode: JSONMode) -> bool:
    if mode not in ("text", "binary"):
        raise UsageError(f'Expected the mode "text" or "binary", got {mode!r}.')
    return mode == "text"
