"""The one owner of ``receive``: the body, its position, the disconnect and who waits for it.

Floor 1. An ``Inbound`` alone reads from the server (ASGI HTTP spec, "Request" and "Disconnect").
``Feed`` is how a foreign app reads through it. Neither reads ahead unless somebody asked to be
told of a client that leaves, and then at most ``READ_AHEAD`` bytes.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from zlib import crc32

from lamella._inspect import describe
from lamella.engine.loop import here, settled, wake
from lamella.exceptions import BodyConsumedError, BodyTooLargeError, ClientDisconnect

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from lamella.engine.loop import Task, Waiter
    from lamella.types import Message, Receive

    Told = Callable[[Exception | None], None]

READ_AHEAD: Final = 64 * 1024
"""Bytes of body kept while watching for a disconnect, when nobody reads the body."""


class Reader(NamedTuple):
    """The function that streams a body, as errors name it."""

    code: CodeType
    line: int

    def __str__(self) -> str:
        return f"`{self.code.co_qualname}` ({self.code.co_filename}:{self.line})"


class Inbound:
    """What comes in on one exchange.

    Args:
        receive: the ASGI ``receive`` to own; nobody else may await it from now on.
        feed: of the inbound further out, if there is one, which ``receive`` is or draws from: it
            tells whether the client left, and is given back a body that was read whole through it.

    Attributes:
        body: the whole body once somebody asked for it whole, else None.
        form: the form that the body was parsed as, for every later reader; or what the request
            keeps in its place.
        disconnected: whether the client is known to be gone.
        limit: the most bytes of body accepted; more is a 413. None: no limit.
        content_length: what the request's header announced, where a limit was set.
    """

    __slots__ = (
        "_ahead",
        "_checksum",
        "_chunks",
        "_closed",
        "_complete",
        "_failure",
        "_farewell",
        "_feed",
        "_reader",
        "_reading",
        "_receive",
        "_received",
        "_refused",
        "_repeats",
        "_subscribers",
        "_taken",
        "_waiters",
        "_watcher",
        "body",
        "content_length",
        "disconnected",
        "form",
        "limit",
    )

    def __init__(self, receive: Receive, feed: Feed | None = None) -> None:
        self._feed = feed
        self._receive = receive
        self._chunks: deque[bytes] = deque()
        self._ahead = 0
        self._received = 0
        self._refused = False
        self._complete = False
        self._closed = False
        self._repeats = False
        self._reading = False
        self._taken = 0
        self._checksum = 0
        self._reader: object = None
        self._waiters: tuple[Waiter, ...] = ()
        self._subscribers: tuple[Told, ...] = ()
        self._watcher: Task | None = None
        self._failure: Exception | None = None
        self._farewell: Message | None = None
        self.body: bytes | None = None
        self.form: object = None
        self.disconnected = False
        self.limit: int | None = None
        self.content_length: int | None = None

    @property
    def inbound(self) -> Inbound:
        """Itself, so that a feed may draw from it as from a request."""
        return self

    # -- the body ------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """Read the whole body and keep it for every later reader.

        Raises:
            ClientDisconnect: the client left before the last byte.
            BodyConsumedError: a part of the body was streamed away before.
            BodyTooLargeError: the body is larger than ``limit``.
        """
        while self.body is None:
            if self._taken:
                raise self._consumed()
            self._check_limit()
            if self._complete:
                self.body = b"".join(self._chunks)
                self._chunks.clear()
                self._ahead = 0
                self._give_back(self.body)
                break
            if self.disconnected:
                raise ClientDisconnect
            await self._pull()
        return self.body

    async def take(self, reader: object) -> bytes | None:
        """Take the next piece of the body away; None after the last one.

        Args:
            reader: who takes it, for the error that a later one may get: a ``Reader``, or an app.

        Raises:
            ClientDisconnect: the client left before the last byte.
            BodyTooLargeError: the body is larger than ``limit``.
        """
        while True:
            self._check_limit()
            if self._chunks:
                chunk = self._chunks.popleft()
                self._ahead -= len(chunk)
                self._taken += len(chunk)
                self._reader = reader
                self._wake()
                return chunk
            if self._complete:
                if self.body and not self._taken:  # read whole meanwhile, and nothing given yet
                    self._taken = len(self.body)
                    return self.body
                return None
            if self.disconnected:
                raise ClientDisconnect
            await self._pull()

    def claim(self, code: CodeType | None = None) -> None:
        """Raise ``BodyConsumedError`` if a part of the body is gone already.

        Args:
            code: of who asks; a function may go on where it stopped itself.
        """
        kept = self.body is not None
        if (
            self._taken
            and not kept
            and (code is None or getattr(self._reader, "code", None) is not code)
        ):
            raise self._consumed()

    @property
    def consumed(self) -> bool:
        """Whether the body was read to its end."""
        return self.body is not None or (self._complete and not self._chunks)

    @property
    def exceeds_limit(self) -> bool:
        """Whether the request announced more than ``limit`` allows, or somebody found more.

        What was read ahead by a watch, and nobody asked for, does not count.
        """
        if self.limit is None:
            return False
        if self._refused or (self.content_length or 0) > self.limit:
            return True
        return self.body is not None and len(self.body) > self.limit

    def _check_limit(self) -> None:
        limit = self.limit
        if limit is not None and (self._received > limit or (self.content_length or 0) > limit):
            self._refused = True
            raise BodyTooLargeError

    def _consumed(self) -> BodyConsumedError | ClientDisconnect:
        if self.disconnected and not self._complete:
            return ClientDisconnect()  # there would be nothing more to read in any case
        reader = self._reader if isinstance(self._reader, Reader) else describe(self._reader)
        return BodyConsumedError(
            # Starlette's words first: programs look for them.
            f"Stream consumed: {reader} has streamed {self._taken} bytes of the request body away;"
            " read it there with `await request.body()`, which keeps it for every later reader."
        )

    def restore(self, body: bytes) -> None:
        """Keep a body that was taken whole by somebody who needs it no more."""
        self.body = body
        self._taken = 0
        self._give_back(body)

    def _give_back(self, body: bytes) -> None:
        """Tell the inbounds further out of a body that was read whole through them."""
        checksum = crc32(body)
        feed = self._feed
        while feed is not None and feed.inbound._was_handed_on(len(body), checksum):
            inbound = feed.inbound
            inbound.body = body
            inbound._taken = 0
            feed = inbound._feed

    def _was_handed_on(self, size: int, checksum: int) -> bool:
        whole = self.body is None and self._complete and not self._chunks
        return whole and self._taken == size and self._checksum == checksum

    # -- the disconnect ------------------------------------------------------------------------

    async def is_disconnected(self) -> bool:
        """Tell whether the client left, without waiting and without losing any of the body."""
        if self.disconnected:
            return True
        feed = self._feed
        if feed is not None and (feed.ended or await feed.inbound.is_disconnected()):
            self._leave()
        elif feed is None:
            self.watch()
            await here().turn()  # the watcher's turn
        return self.disconnected

    async def wait_disconnected(self) -> None:
        """Wait until the client left.

        Raises:
            Exception: the server's ``receive`` failed, so that nobody can tell.
        """
        await _told(self, self)

    def subscribe(self, callback: Told) -> None:
        """Call ``callback`` (cheap, must not raise) when the client leaves.

        Args:
            callback: called with None; or with the error, if the server cannot be watched.
        """
        if not self._subscribers and self._feed is not None:
            self._feed.subscribe(self._tell)
        self._subscribers += (callback,)

    def unsubscribe(self, callback: Told) -> None:
        """Forget a callback of ``subscribe``; unknown ones are ignored."""
        if callback in self._subscribers:
            self._subscribers = tuple(held for held in self._subscribers if held != callback)
            if not self._subscribers and self._feed is not None:
                self._feed.unsubscribe(self._tell)

    def watch(self) -> None:
        """Make sure that a client's leaving is noticed from now on: one task a request.

        The outermost inbound alone watches. One further in must not read ahead: what it took,
        whoever is further out could not read any more.
        """
        feed = self._feed
        if feed is not None:
            feed.inbound.watch()
            if feed.ended or feed.inbound.disconnected:
                self._leave()
        elif self._closed:
            self._leave()  # nobody would end a watcher any more
        elif self._watcher is None and not self.disconnected:
            self._watcher = here().spawn(self._watch())

    async def _watch(self) -> None:
        try:
            while not self.disconnected and not self._repeats:
                if self._ahead >= READ_AHEAD and not self._complete:
                    await self._news()
                else:
                    await self._pull()
        except Exception as exc:
            # No reason to fail a response; but nobody is to wait for the client in vain.
            self._failure = exc
            self._tell(exc)

    def _leave(self) -> None:
        if not self.disconnected:
            self.disconnected = True
            self._wake()
            self._tell(None)

    def _tell(self, failure: Exception | None) -> None:
        if failure is None and not self.disconnected:
            self._leave()
            return
        for callback in self._subscribers:
            callback(failure)

    @property
    def failure(self) -> Exception | None:
        """Why the client cannot be watched any more, if so: the server's error."""
        return self._failure if self._feed is None else self._feed.inbound.failure

    def stop(self) -> Task | None:
        """End the watcher, if there is one, and have no other; the task that is ending."""
        self._closed = True
        watcher, self._watcher = self._watcher, None
        if watcher is None or watcher.done():
            return None
        watcher.cancel()
        return watcher

    async def close(self) -> None:
        """End the watcher, if there is one, and wait for its end."""
        watcher = self.stop()
        if watcher is not None:
            await settled(watcher)

    # -- the server ----------------------------------------------------------------------------

    async def _pull(self) -> None:
        """Take in one message; or, when another task is at it, wait until it did."""
        if self._reading:
            await self._news()
            return
        self._reading = True
        try:
            message = await self._receive()
            self._take_in(message)
        finally:
            self._reading = False
            self._wake()

    def _take_in(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.disconnect":
            self._farewell = message
            self._leave()
        elif kind == "http.request":
            if self._complete:
                # A `receive` that says the same thing for ever, as hand-made replays do: it has
                # no more news, so watching it would only spin.
                self._repeats = True
                return
            chunk: bytes = message.get("body", b"")
            if chunk:
                self._chunks.append(chunk)
                self._ahead += len(chunk)
                self._received += len(chunk)
            self._complete = not message.get("more_body", False)

    async def _news(self) -> None:
        waiter = here().waiter()
        self._waiters += (waiter,)
        await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            wake(waiter)

    # -- for feeds -----------------------------------------------------------------------------

    def farewell(self) -> Message:
        """The ``http.disconnect`` that the server sent, if it was that, with all that it says."""
        return self._farewell or {"type": "http.disconnect"}

    async def take_for(self, feed: Feed) -> tuple[bytes, bool]:
        """Take the next piece for a foreign app: the bytes, and whether more follow."""
        if self.body is not None:
            return self.body, False
        chunk = await self.take(feed.reader)
        if chunk is None:
            return b"", False
        self._checksum = crc32(chunk, self._checksum)
        return chunk, bool(self._chunks) or not self._complete


class HasInbound(Protocol):
    """A request, or an inbound itself."""

    @property
    def inbound(self) -> Inbound:
        """What comes in on its exchange."""
        ...


class Feed:
    """An inbound as the ``receive`` of a foreign app (or of whoever wants messages).

    An app is given a body again that somebody read whole; a ``shared`` feed goes on where the
    request stands. After ``end`` the app is told that the client left, whatever the client does.

    Args:
        source: the request whose inbound the messages come from, once the first is asked for.
        reader: who reads, for errors: None for the request's own.
        shared: whether a Request made of this feed shares the inbound: so for a request's own
            ``receive``, not for a foreign app's, which may be told to end alone.
        listens: whether it is for a response, which has no business with the body.

    Attributes:
        replays: whether a body that was read whole is given again.
        claims: whether a body that somebody else has streamed away is an error, or is passed over.
    """

    __slots__ = (
        "_callbacks",
        "_reads",
        "_source",
        "claims",
        "ended",
        "exhausted",
        "heard",
        "reader",
        "replays",
        "shared",
    )

    def __init__(
        self, source: HasInbound, reader: object, *, shared: bool = False, listens: bool = False
    ) -> None:
        self._source = source
        self.reader = reader
        self.shared = shared
        self.replays = not shared and not listens
        self.claims = not listens
        self.ended = False
        self.exhausted = False
        self.heard = False
        self._reads = False
        self._callbacks: tuple[Told, ...] = ()

    @property
    def inbound(self) -> Inbound:
        """Where the messages come from."""
        return self._source.inbound

    async def receive(self) -> Message:
        """Receive the next message (ASGI HTTP spec): ``http.request`` or ``http.disconnect``.

        Raises:
            BodyConsumedError: the body was streamed away by somebody else.
        """
        inbound = self.inbound
        if not self._reads:
            if self.claims:
                inbound.claim(sys._getframe(1).f_code if self.shared else None)
            self._reads = True
        if inbound.consumed and not self.replays:
            self.exhausted = True
        if not self.ended and not self.exhausted:
            try:
                body, more = await inbound.take_for(self)
            except ClientDisconnect:
                self.heard = True
                return inbound.farewell()
            self.exhausted = not more
            return {"type": "http.request", "body": body, "more_body": more}
        if not self.ended and not inbound.disconnected:
            await _told(self, inbound)
        self.heard = True
        return inbound.farewell()

    def end(self) -> bool:
        """Tell the app that the client left; whether it heard, then or before."""
        self.ended = True
        self._tell(None)
        return self.heard

    def subscribe(self, callback: Told) -> None:
        """Call ``callback`` when the client leaves or the feed ends; see ``Inbound.subscribe``."""
        if not self._callbacks:
            self.inbound.subscribe(self._tell)
        self._callbacks += (callback,)

    def unsubscribe(self, callback: Told) -> None:
        """Forget a callback of ``subscribe``; unknown ones are ignored."""
        if callback in self._callbacks:
            self._callbacks = tuple(held for held in self._callbacks if held != callback)
            if not self._callbacks:
                self.inbound.unsubscribe(self._tell)

    def _tell(self, failure: Exception | None) -> None:
        self.heard = self.heard or bool(self._callbacks)
        for callback in self._callbacks:
            callback(failure)


async def _told(source: Inbound | Feed, inbound: Inbound) -> None:
    """Wait until a source tells that the client left."""
    told = here().waiter()

    def tell(failure: Exception | None) -> None:
        if not told.done():
            told.set_result(failure)

    source.subscribe(tell)
    inbound.watch()
    try:
        if inbound.disconnected:
            return
        failure: Exception | None = inbound.failure or await told
    finally:
        source.unsubscribe(tell)
    if failure is not None:
        raise failure
