"""The bridge: a foreign ASGI app as a service.

Floor 4. Below a dispatch layer a foreign app runs in one task of its own, in a copy of the caller's
context whose changes are brought back, so ContextVars flow both ways. Its messages are handed over
one at a time: a body message is acknowledged when the next is asked for, so the app is never ahead
of the client.
With no dispatch layer outside it the app is called straight, on the edge's own ``send``.
"""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from lamella._file_body import message_pieces
from lamella._inspect import describe
from lamella.engine.contexts import Fork
from lamella.engine.edge import Sent
from lamella.engine.exchange import Exchange
from lamella.engine.inbound import Feed
from lamella.engine.loop import here, settled, wake
from lamella.exceptions import ClientDisconnect, NoResponseError, ResponseStartedError
from lamella.responses import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from types import TracebackType
    from typing import Protocol

    from lamella.engine.loop import Loop, Task, Waiter
    from lamella.requests import Request
    from lamella.types import ASGIApp, Message, Receive, Scope, Send

    class Recode(Protocol):
        """What changes the bytes of a body, piece by piece."""

        async def __call__(self, data: bytes, *, last: bool) -> bytes:
            """Give what is sent instead."""
            ...


GRACE: Final = 5.0
"""Seconds that an app whose response was dropped has to end by itself before it is cancelled."""

_BODY: Final = frozenset(
    ("http.response.body", "http.response.pathsend", "http.response.zerocopysend")
)
_logger = logging.getLogger("lamella.engine")


class Bridge:
    """Runs a foreign app for a layer.

    Args:
        app: the ASGI app; it has no service face.
    """

    __slots__ = ("app",)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def respond(self, request: Request[Any]) -> Response:
        """Run the app until its response has begun; what an earlier run made is dropped first."""
        exchange = request.exchange
        if exchange is not None and exchange.held:
            await exchange.drop_held()
        return await self.run(request)

    async def run(self, request: Request[Any]) -> Response:
        """Run the app until its response has begun.

        Returns:
            A complete response if the app's first body message was its last, else one whose
            ``body_iterator`` draws from the app.

        Raises:
            BaseException: what the app raised before it started a response, as it is.
            ClientDisconnect: the app ended without a response since the client left.
            NoResponseError: the app ended without a response although the client is there; not
                where it was called straight, outside of an application.
        """
        exchange = request.exchange
        if exchange is None:
            exchange = Exchange(request._send, None, time.perf_counter())
        exchange.feed = feed = Feed(request, self.app, listens=isinstance(self.app, Response))
        if request._direct:
            await self.app(request.scope, feed.receive, exchange.send)
            if exchange.status is None and "app" in request.scope:
                raise await _no_response(self.app, request)
            # With no application around nobody would answer that: the server does, and tells of it.
            return Sent()
        run = _Run(self.app, request, exchange, feed)
        response = await run.head()
        response.exception, exchange.failure = exchange.failure, None
        run.announced = response.exception
        exchange.keep(response)
        if exchange.over:
            await exchange.finish_late()
            raise ClientDisconnect
        return response


class _Run:
    """One run of a foreign app: its task, and the one message that waits."""

    __slots__ = (
        "_acknowledged",
        "_app",
        "_arrived",
        "_dropped",
        "_error",
        "_exchange",
        "_feed",
        "_fork",
        "_forward",
        "_given",
        "_loop",
        "_message",
        "_request",
        "_task",
        "announced",
        "complete",
        "start",
    )

    def __init__(self, app: ASGIApp, request: Request[Any], exchange: Exchange, feed: Feed) -> None:
        self._app = app
        self._exchange = exchange
        self._request: Request[Any] | None = request
        self._feed = feed
        self._forward = request._send
        self._message: Message | None = None
        self._error: BaseException | None = None
        self._dropped = False
        self._given = False
        self._arrived: Waiter | None = None
        self._acknowledged: tuple[Waiter, ...] = ()
        self.start: Message | None = None
        self.complete = False
        # The error that the app's 500 response reports: whoever answers that instead handled it.
        self.announced: Exception | None = None
        self._loop: Loop = here()
        self._fork = Fork()
        self._task: Task = self._loop.spawn(self._run(request.scope), self._fork.context)

    # -- the app's side ------------------------------------------------------------------------

    async def _run(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._feed.receive, self._send)
        except BaseException as exc:
            self._error = self._loop.portable(exc)
        finally:
            wake(self._arrived)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._dropped and self._task.done():
            raise OSError(f"The response is over; nobody is there to send {kind} to.")
        if kind == "http.response.start":
            if self.start is not None:
                raise ResponseStartedError(
                    f"Expected one http.response.start from {describe(self._app)}, got a second"
                    f" (status {message['status']}); send one response a request."
                )
            self.start = message
            wake(self._arrived)
        elif kind in _BODY or kind == "http.response.trailers":
            await self._hand_over(message, kind)
        else:
            await self._forward(message)

    async def _hand_over(self, message: Message, kind: str) -> None:
        """Hand a message of the response over and wait until it is on its way to the client."""
        if self.start is None:
            raise ResponseStartedError(f"Expected http.response.start before {kind}.")
        while self._message is not None and not self._dropped:
            await self._until_acknowledged()  # another task of the app is sending too
        last = kind == "http.response.pathsend" or not message.get("more_body", False)
        if self.complete and kind in _BODY:
            raise ResponseStartedError(
                f"Expected no more body from {describe(self._app)}, got {kind} after the last one."
            )
        if kind in _BODY and last:
            self.complete = True
        if not self._dropped:
            self._message = message
            wake(self._arrived)
            while self._message is message and not self._dropped:
                await self._until_acknowledged()
        if self._dropped and not last:
            raise OSError("The response was dropped by a layer; there is nobody to send it to.")

    async def _until_acknowledged(self) -> None:
        acknowledged = self._loop.waiter()
        self._acknowledged += (acknowledged,)
        await acknowledged

    # -- the layer's side ----------------------------------------------------------------------

    async def head(self) -> Response:
        """Wait for the start of the response."""
        try:
            while self.start is None and not self._task.done():
                # Not by `_news`: the whole time that the app takes, its frame would be held.
                self._arrived = self._loop.waiter()
                await self._arrived
        except GeneratorExit:
            self._task.cancel()  # the caller is thrown away: nothing may be awaited any more
            raise
        except BaseException:
            await self._cancel()
            raise
        self._fork.bring_back()
        if self.start is None:
            self._dropped = True
            await self._raise()
            request, self._request = self._request, None
            raise await _no_response(self._app, cast("Request[Any]", request))
        self._request = None
        return BridgedResponse(self, self.start, self._message if self.complete else None)

    async def next(self) -> Message | None:
        """The app's next message of the response, or None when the app ended.

        Raises:
            BaseException: what the app raised.
        """
        if self._given:
            self.acknowledge()
        while self._message is None:
            if self._task.done():
                self._fork.bring_back()
                await self._raise()
                return None
            await self._news()
        self._given = True
        return self._message

    def acknowledge(self) -> None:
        """Let the app go on: what it sent is on its way."""
        self._message = None
        self._given = False
        if self._acknowledged:
            acknowledged, self._acknowledged = self._acknowledged, ()
            for waiter in acknowledged:
                wake(waiter)

    async def _news(self) -> None:
        self._arrived = self._loop.waiter()
        await self._arrived

    async def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error.with_traceback(_below_engine(error.__traceback__))
            finally:
                error = None  # or its traceback would hold the frame that holds it

    async def cut_off(self) -> Exception:
        """What to raise for a response that the app left unfinished."""
        if await self._feed.inbound.is_disconnected():
            return ClientDisconnect()
        return NoResponseError(
            f"Expected the rest of a response from {describe(self._app)}, but it ended in the"
            " middle; its last http.response.body must say more_body=False."
        )

    async def _cancel(self) -> None:
        # Without `feed.end`: an edge further in would take it for its client's leaving.
        self._task.cancel()
        # A scope of anyio's strikes at each await; the app's cleaning up is disturbed once.
        with self._loop.calm():
            await settled(self._task)
        self._error = None

    async def _until_ended(self) -> None:
        """Wait for the task's end; a cancellation that comes meanwhile cancels it, too."""
        try:
            while not self._task.done():
                await self._news()
        except BaseException as exc:
            if self._loop.is_cancellation(exc):
                await self._cancel()
            raise

    async def give_up(self) -> None:
        """Cancel the app with its caller; one whose client left is left to end by itself."""
        if not self._feed.inbound.disconnected:
            await self._cancel()

    async def end(self) -> None:
        """Wait for the app's end: after its response was sent, or without it being sent.

        Raises:
            BaseException: what the app raised after a response that it had sent whole.
        """
        self._dropped = True  # whatever it sends from now on, in a task of its own perhaps
        whole = self.complete  # what it completes in its cleaning up, nobody has sent
        if not self._task.done():
            if self._exchange.cancelled:
                await self._cancel()
            elif whole:
                self.acknowledge()
                await self._until_ended()
            else:
                await self._drop()
        self._fork.bring_back()
        self.acknowledge()
        announced, self.announced = self.announced, None
        if announced is not None and self._error is announced:
            self._error = None
        if whole:
            await self._raise()
        elif self._error is not None:
            error, self._error = self._error, None
            quiet = isinstance(error, OSError | ClientDisconnect)
            if not quiet and not self._loop.is_cancellation(error):
                _logger.error("an app failed after its response was dropped", exc_info=error)

    async def _drop(self) -> None:
        """End an app whose response nobody reads to its end."""
        sends = self._message is not None
        heard = self._feed.end() or sends
        self.acknowledge()
        try:
            if heard:
                await self._loop.ended(self._task, GRACE)
        finally:
            if not self._task.done():
                self._task.cancel()
            await self._until_ended()


class BridgedResponse(Response):
    """The response of a foreign app, drawn from it as it is sent.

    ``body`` is there if the app sent it in one message.
    """

    def __init__(self, run: _Run, start: Message, only: Message | None) -> None:
        self._run = run
        self._head = start
        self.status_code = start["status"]
        self.raw_headers = _pairs(start.get("headers", ()))
        self._sources = (_Ending(run),)
        if only is not None and only["type"] == "http.response.body":
            self.body = only.get("body", b"")
        else:
            self._stream = _chunks(run)
            self._sources += (self._stream,)
        self._delicate = True
        self._drawn = self._stream
        self._recode: Recode | None = None

    def recode(self, recode: Recode, stream: AsyncGenerator[bytes, None]) -> None:
        """Change the bytes of the body on their way, and leave the app's messages what they are.

        Args:
            recode: given the bytes of each message, and whether they are the last.
            stream: what comes of it, for whoever reads ``body_iterator``.
        """
        if self._stream is self._drawn and self._recode is None:
            self._recode, self._drawn = recode, stream
        self.body_iterator = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the app sent, with all that its messages say: so by its own means."""
        await super().__call__(scope, receive, send)

    def _start(self) -> Message:
        return {**self._head, "status": self.status_code, "headers": self.raw_headers}

    async def _send_whole(self, send: Send) -> None:
        await super()._send_whole(send)
        await self._send_trailers(send)

    async def stream_response(self, send: Send) -> None:
        """Send the app's own messages, or the pieces of a ``body_iterator`` that replaced them."""
        if self._stream is not self._drawn:
            await super().stream_response(send)
        else:
            await send(self._start())
            await self._pass_on(send)
        await self._send_trailers(send)

    async def _give_up(self) -> None:
        await self._run.give_up()

    async def _pass_on(self, send: Send) -> None:
        """Send the messages that carry the body, as they are."""
        while (message := await self._run.next()) is not None:
            if self._recode is None or message["type"] not in _BODY:
                await send(message)
            else:
                await self._send_recoded(message, self._recode, send)
            if self._run.complete:
                return
        raise await self._run.cut_off()

    async def _send_recoded(self, message: Message, recode: Recode, send: Send) -> None:
        last = self._run.complete
        body = b""
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
        else:
            async with aclosing(message_pieces(message)) as pieces:
                async for piece in pieces:
                    data = await recode(piece, last=False)
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        data = await recode(body, last=last)
        await send({"type": "http.response.body", "body": data, "more_body": not last})

    async def _send_trailers(self, send: Send) -> None:
        if not self._head.get("trailers"):
            return
        while (message := await self._run.next()) is not None:
            if message["type"] == "http.response.trailers":
                await send(message)
                if not message.get("more_trailers", False):
                    return


class _Ending:
    """A run as something to be closed with its response."""

    __slots__ = ("_run",)

    def __init__(self, run: _Run) -> None:
        self._run = run

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _chunks(self._run)

    async def aclose(self) -> None:
        await self._run.end()


async def _chunks(run: _Run) -> AsyncGenerator[bytes, None]:
    """The body of a run's response in bytes, whatever messages carry it."""
    while not run.complete or run._message is not None:
        message = await run.next()
        if message is None:
            if not run.complete:
                raise await run.cut_off()
            return
        async with aclosing(message_pieces(message)) as pieces:
            async for piece in pieces:
                yield piece
        if run.complete:
            return


async def _no_response(app: ASGIApp, request: Request[Any]) -> Exception:
    """What to raise for an app that ended without a response."""
    if await request.is_disconnected():
        return ClientDisconnect()
    return NoResponseError(
        f"Expected a response from {describe(app)}, but it ended without sending"
        " http.response.start; send a response on every path through it."
    )


def _pairs(headers: Iterable[Iterable[bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of any iterable kind (ASGI HTTP spec) as a list that can be changed."""
    return [(bytes(name), bytes(value)) for name, value in headers]


def _below_engine(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the engine's own frames, which say nothing to its reader."""
    kept: TracebackType | None = None
    frames: list[TracebackType] = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    for entry in reversed(frames):
        module = entry.tb_frame.f_globals.get("__name__", "")
        if not module.startswith("lamella.engine."):
            entry.tb_next = kept
            kept = entry
    return kept
