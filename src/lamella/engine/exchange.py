"""One exchange: what a request and its response hold until both are over.

Floor 1. Layers and the bridge leave with it what has to be closed, run or told when the response
is out. Most requests leave nothing, so it is made when something first has to be kept.
"""

from __future__ import annotations

import inspect
import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from lamella._inspect import describe
from lamella.engine.contexts import kept
from lamella.engine.loop import calmly, here
from lamella.exceptions import ClientDisconnect, ResponseStartedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lamella.engine.inbound import Feed, Inbound
    from lamella.types import Message, Send

EDGE: Final = "lamella.edge"
"""The scope key of the request that the innermost edge made."""

_logger = logging.getLogger("lamella.engine")


class Outcome(NamedTuple):
    """How an exchange ended, as ``Request.after_response`` tells it.

    Attributes:
        status: the status code that was sent, or None when no response was started.
        body_size: bytes of body handed to the server.
        seconds: from the request's arrival at lamella to the last byte handed to the server.
        client_left: whether the client was found gone before the last byte.
        exception: the unhandled exception, if there was one.
    """

    status: int | None
    body_size: int
    seconds: float
    client_left: bool
    exception: BaseException | None


OutcomeCallback = "Callable[[Outcome], Awaitable[None] | None]"


class SendError(OSError):
    """The server's ``send`` raised: the client is gone (ASGI HTTP spec 2.4)."""


def says_gone(exc: OSError) -> bool:
    """Whether an ``OSError`` of ``send`` says that nobody is there.

    An error of a file or of another system call, as a layer's own ``send`` may raise it, has a
    number and is no ``ConnectionError``.
    """
    return exc.errno is None or isinstance(exc, ConnectionError)


class Exchange:
    """The state of one exchange at one edge.

    Args:
        send: the ASGI ``send`` of this edge.
        outer: the exchange further out, where a foreign layer stands between two edges.
        started_at: when the request came in, by ``time.perf_counter``.

    Attributes:
        outer: the exchange further out, where a foreign layer stands between two edges.
        status: of the response, once it was started.
        body_size: bytes of body sent so far.
        complete: whether the last body message was handed to the server.
        left: whether the client was found gone before that.
        cancelled: whether the exchange ends because it was cancelled.
        over: whether the edge is done with it; ``finish_late`` sees to what is kept later.
        failure: the exception of a 500 response that an edge further in is sending through a
            foreign app; the bridge puts it on the response that comes out.
        feed: of the foreign app that runs for this exchange, if one does.
        held: responses that were made, in order: each is closed when the exchange is over.
        backgrounds: background tasks of all responses, in the order the responses were made.
        claimed: responses of handlers, to be given back as they were when the exchange is over.
        inbounds: every inbound made for this exchange.
        forms: those whose files are closed at the very end, after background tasks.
        exits: what dependencies left to be run after the background tasks.
    """

    feed: Feed | None = None
    status: int | None = None
    body_size = 0
    complete = False
    left = False
    cancelled = False
    over = False
    failure: Exception | None = None
    # Tuples: most exchanges leave them empty.
    held: tuple[Any, ...] = ()
    backgrounds: tuple[Callable[[], Awaitable[None]], ...] = ()
    claimed: tuple[Any, ...] = ()
    inbounds: tuple[Inbound, ...] = ()
    forms: tuple[Any, ...] = ()
    exits: tuple[Any, ...] = ()
    _decorators: tuple[Callable[[Any], None], ...] = ()
    _callbacks: tuple[Callable[[Outcome], Awaitable[None] | None], ...] = ()

    def __init__(self, send: Send, outer: Exchange | None, started_at: float) -> None:
        self._send = send
        self.outer = outer
        self.started_at = started_at

    # -- what is left with the exchange --------------------------------------------------------

    def hold(self, response: Any) -> None:
        """Keep a response that goes on to a layer: its background task, its sources of body.

        The task will run in the context of now, whatever the layers reset before.
        """
        background = response.background
        if background is not None:
            self.backgrounds += (kept(background),)
            response.background = None
        if not any(held is response for held in self.held):
            self.keep(response)

    def keep(self, response: Any) -> None:
        """Close a response when the exchange is over, or before the inside runs again."""
        self.held += (response,)

    def run_later(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task in the background, in the context of now, as those of the response."""
        self.backgrounds += (kept(task),)

    def own(self, inbound: Inbound) -> None:
        """Close an inbound when the exchange is over."""
        self.inbounds += (inbound,)

    def take(self, response: Any) -> BaseException | None:
        """Keep the response that is about to be sent; the error that it reports, if it does."""
        if response.background is not None or response._sources:
            self.hold(response)
        error: Exception | None = response.exception
        if error is not None:
            response.exception = None
            if self.outer is not None:
                self.outer.failure = error
        return error

    @property
    def ends_apart(self) -> bool:
        """Whether the end of a whole response goes out as a message of its own (`Response`)."""
        outermost = self.outer is None or self.outer.complete
        return outermost and bool(self.backgrounds or self.inbounds)

    async def finish_late(self) -> None:
        """Close and run what a task has left that outlived the exchange: nobody else will."""
        errors = await self.close_held()
        backgrounds, self.backgrounds = self.backgrounds, ()
        for background in backgrounds:
            await background()
        errors += await self.close_exits(None)
        if errors:
            raise errors[0]

    async def close_exits(self, error: BaseException | None) -> list[BaseException]:
        """Run the exits, those of the last run first; what they raised.

        Args:
            error: what ended the exchange, if it was an error; they see it.
        """
        errors: list[BaseException] = []
        due, self.exits = self.exits, ()
        for exits in reversed(due):
            try:
                await exits.close(error)
            except BaseException as exc:
                if exc is not error:
                    errors.append(exc)
        return errors

    async def close_held(self) -> list[BaseException]:
        """Close every response held, the newest first; the errors that this gave."""
        errors: list[BaseException] = []
        held, self.held = self.held, ()
        for response in reversed(held):
            try:
                await (calmly(response.aclose) if self.cancelled else response.aclose())
            except BaseException as exc:
                if here().is_cancellation(exc):
                    self.cancelled = True  # so what is still open is cancelled and not waited for
                errors.append(exc)
        return errors

    async def drop_held(self) -> None:
        """Close every response held, since the inside runs again: none of them will be sent.

        Raises:
            BaseException: a cancellation that came meanwhile; errors of the closing are logged.
        """
        for error in await self.close_held() + await self.close_exits(None):
            if not isinstance(error, Exception):
                raise error
            _logger.error("a response that was dropped failed to close", exc_info=error)

    def decorate_error(self, decorator: Callable[[Any], None]) -> None:
        """Have the 500 response of an unhandled error changed, by a layer that it passes by.

        Args:
            decorator: called with the response; the innermost layer's first.
        """
        self._decorators += (decorator,)

    def decorate(self, response: Any) -> None:
        """Run what ``decorate_error`` was given on the response of the error."""
        decorators, self._decorators = self._decorators, ()
        for decorator in decorators:
            decorator(response)

    def call_after(self, callback: Callable[[Outcome], Awaitable[None] | None]) -> None:
        """Call back with the ``Outcome`` when the outermost exchange is over."""
        exchange = self
        while exchange.outer is not None:
            exchange = exchange.outer
        if exchange.over:
            raise RuntimeError(
                "Expected a request whose exchange goes on; this one is over, so there is no"
                " outcome to wait for any more."
            )
        exchange._callbacks += (callback,)

    async def tell(self, exception: BaseException | None) -> None:
        """Run the callbacks of ``call_after``; an error in one is logged, the others run."""
        callbacks, self._callbacks = self._callbacks, ()
        if not callbacks:
            return
        seconds = perf_counter() - self.started_at
        outcome = Outcome(self.status, self.body_size, seconds, self.left, exception)
        for callback in callbacks:
            try:
                told = callback(outcome)
                if inspect.isawaitable(told):
                    with here().calm():
                        await told
            except Exception:
                _logger.exception("after_response callback %s failed", describe(callback))

    # -- what is sent --------------------------------------------------------------------------

    @property
    def client_left(self) -> bool:
        """Whether the client is known to have left before the response was complete."""
        if self.inbounds and not self.left and not self.complete:
            self.left = any(inbound.disconnected for inbound in self.inbounds)
        return self.left

    async def send(self, message: Message) -> None:
        """Send one message to the server and keep count of it.

        Raises:
            ResponseStartedError: a second start, or a body before the start.
            OSError: the server found the client gone (ASGI HTTP spec 2.4).
        """
        kind = message["type"]
        if kind == "http.response.body":
            self._check_started(kind)
            self.body_size += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._finish()
        elif kind == "http.response.start":
            if self.status is not None:
                raise ResponseStartedError(
                    f"Expected one http.response.start, got a second (status {message['status']})"
                    f" after the first (status {self.status}); send one response a request."
                )
            self.status = message["status"]
        elif kind == "http.response.pathsend":
            self._check_started(kind)
            self._finish()
        elif kind == "http.response.zerocopysend":
            self._check_started(kind)
            self.body_size += message.get("count") or 0
            if not message.get("more_body", False):
                self._finish()
        try:
            await self._send(message)
        except OSError as exc:
            if not says_gone(exc):
                raise
            self.left = True
            raise SendError(*exc.args) from exc

    def explains(self, exc: BaseException) -> bool:
        """Whether an exception says no more than that the client left, and the client did leave."""
        return self.client_left and _says_left(exc)

    def count_whole(self, body_size: int) -> None:
        """Note that a response that was started has gone out whole, without ``send``."""
        self.body_size = body_size
        self._finish()

    async def end(self) -> None:
        """End what owes nothing to anybody."""
        self.over = True
        self.feed = None  # it refers back to the request
        for inbound in self.inbounds:
            await inbound.close()

    @property
    def owes_nothing(self) -> bool:
        """Whether nothing was left here that has to be run, closed or told."""
        return not (
            self.held
            or self.backgrounds
            or self.exits
            or self.claimed
            or self.forms
            or self._callbacks
        )

    def _finish(self) -> None:
        if self.inbounds:
            self.left = self.client_left
        self.complete = True

    def _check_started(self, kind: str) -> None:
        if self.status is None:
            raise ResponseStartedError(
                f"Expected http.response.start before {kind}; the response was not started."
            )


def _says_left(exc: BaseException) -> bool:
    if isinstance(exc, BaseExceptionGroup):  # of a task group in a layer or an endpoint
        group = cast("BaseExceptionGroup[BaseException]", exc)
        return all(_says_left(member) for member in group.exceptions)
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, ClientDisconnect | SendError):
            return True
        cause = cause.__cause__
    return False
