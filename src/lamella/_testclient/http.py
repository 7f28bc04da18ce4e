"""One HTTP request, as the app sees it: `HTTPRun` gives it `receive` and `send`.

Floor 9. Source: ASGI HTTP spec 2.4, and its extensions for trailers and debug.
"""

from __future__ import annotations

from typing import Any, Final

import anyio
import anyio.lowlevel

from lamella._testclient.run import ASGI3App, ClientLeftError, Run, given, require
from lamella.types import Message, Scope

RawHeaders = list[tuple[bytes, bytes]]
DEBUG: Final = "http.response.debug"
TRAILERS: Final = "http.response.trailers"


def check_raw(headers: Any) -> RawHeaders:
    """Check that headers are pairs of bytes; they stay the bytes that the app sent."""
    pairs: list[tuple[Any, Any]] = [(name, value) for name, value in headers]
    if not all(isinstance(part, bytes) for pair in pairs for part in pair):
        raise TypeError(f"Expected names and values of headers as bytes, got {pairs!r}.")
    return pairs


class HTTPRun(Run):
    """One run of the app for one request.

    `send` waits until the test has taken the chunk, so a response streams while the app runs.

    Args:
        body: the whole body of the request; or why there is none, which the app gets that asks.

    Attributes:
        answered: set when the response is started, or the app has ended.
        status: of the response, None before it is started.
        headers: of the response, as sent.
        extensions: for the response of httpx; trailers come late.
    """

    def __init__(self, app: ASGI3App, scope: Scope, body: bytes | Exception) -> None:
        super().__init__(app, scope)
        self.answered = anyio.Event()
        self.status: int | None = None
        self.headers: RawHeaders = []
        self.extensions: dict[str, Any] = {}
        self._body = body
        self._chunks_in, self._chunks_out = anyio.create_memory_object_stream[tuple[bytes, bool]](0)
        self._over = anyio.Event()  # the response has been taken to its end, or left
        self._request_read = False
        self._told_of_the_end = False
        self._body_ended = False
        self._left = False

    def finish(self) -> None:
        """Let go whoever waits for a response, or for more of it."""
        self._chunks_in.close()
        self.answered.set()

    async def receive(self) -> Message:
        """Give the whole body in one message, then `http.disconnect` once the response is over."""
        if not self._request_read:
            self._request_read = True
            return {"type": "http.request", "body": given(self._body)}
        # No checkpoint when it is over already: the app may ask under a cancelled scope. But one
        # that goes on asking must let the loop run.
        if not self._over.is_set():
            await self._over.wait()
        elif self._told_of_the_end:
            await anyio.lowlevel.checkpoint()
        self._told_of_the_end = True
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message of the app; types that are not known are ignored, as Starlette 1.10."""
        if self._left:
            await anyio.lowlevel.checkpoint()  # for an app that passes over the error and goes on
            raise ClientLeftError
        match message["type"]:
            case "http.response.start":
                self._start(message)
            case "http.response.body":
                await self._send_body(message)
            case "http.response.trailers":
                self._add_trailers(message)
            case "http.response.debug":
                self.extensions[DEBUG] = message["info"]
            case _:
                pass

    def _start(self, message: Message) -> None:
        require(self.status is None, "Got a second http.response.start; send one per request.")
        self.headers = check_raw(message.get("headers", ()))
        self.status = message["status"]
        if message.get("trailers", False):
            self.extensions[TRAILERS] = []
        self.answered.set()

    async def _send_body(self, message: Message) -> None:
        require(self.status is not None, "Got http.response.body before http.response.start.")
        text = "Got http.response.body after body completed: the last one was without more_body."
        require(not self._body_ended, text)
        body_ends = not message.get("more_body", False)
        item = (bytes(message.get("body", b"")), body_ends and TRAILERS not in self.extensions)
        try:
            await self._chunks_in.send(item)
        except anyio.BrokenResourceError:
            raise ClientLeftError from None
        self._body_ended = body_ends

    def _add_trailers(self, message: Message) -> None:
        trailers: RawHeaders | None = self.extensions.get(TRAILERS)
        if trailers is None:
            raise AssertionError(
                f"Got {TRAILERS} without declaring trailers; say `trailers: True` in"
                " http.response.start."
            )
        require(self._body_ended, f"Got {TRAILERS} before body completed.")
        require(not self._over.is_set(), f"Got {TRAILERS} after response completed.")
        trailers.extend(message.get("headers", ()))
        if not message.get("more_trailers", False):
            self._over.set()

    async def next_chunk(self) -> bytes | None:
        """Take the next chunk that is not empty; None when the app has ended."""
        while True:
            try:
                chunk, is_last = await self._chunks_out.receive()
            except anyio.EndOfStream:
                return None
            if is_last:
                self._over.set()
            if chunk and self.scope["method"] != "HEAD":
                return chunk

    async def close(self, grace: float = 0) -> None:
        """Wait for the app's end; if the response is not over, the client leaves it.

        Args:
            grace: seconds that an app which is left has for its end before it is cancelled. It
                reads `http.disconnect`, and `send` raises OSError. 0 cancels it at once.
        """
        try:
            if not self._over.is_set():
                await self._leave(grace)
            await self.wait_ended()
        finally:
            self._chunks_out.close()

    async def _leave(self, grace: float) -> None:
        self._left = True
        if not grace:
            self.cancel_scope.cancel()  # first, so that a waiting `send` is cancelled, not refused
        self._over.set()
        self._chunks_out.close()
        with anyio.CancelScope(shield=True):
            await self.wait_ended(grace)

    def abandon(self) -> None:
        """As `Run.abandon`; nobody reads the response."""
        super().abandon()
        self._chunks_out.close()

    async def abort(self) -> None:
        """Cancel the app in any case, and wait for its end."""
        self.cancel_scope.cancel()
        await self.close()
