"""What a response streams, and how it ends when the client leaves.

Floor 2. A stream is pulled, piece by piece, and stopped by an ``Interrupt``; what ``send`` says
about a client that left is told apart from what the stream itself raises.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from lamella.engine.exchange import SendError, says_gone
from lamella.engine.inbound import Feed, Inbound
from lamella.engine.interrupt import Interrupt
from lamella.engine.loop import here
from lamella.exceptions import ClientDisconnect

if TYPE_CHECKING:
    from lamella.engine.inbound import HasInbound
    from lamella.types import Message, Receive, Scope, Send

Content = str | bytes | memoryview
SyncContentStream = Iterable[Content]
AsyncContentStream = AsyncIterable[Content]
ContentStream = AsyncContentStream | SyncContentStream

_Stream = Callable[["Send"], Awaitable[None]]


def encoded(content: Content, charset: str) -> bytes | memoryview:
    """A piece of a body as bytes."""
    return content if isinstance(content, bytes | memoryview) else content.encode(charset)


async def once(body: bytes | memoryview) -> AsyncIterator[Content]:
    """A body as a stream of one piece."""
    yield body


class Watched:
    """A stream for a layer to read: it ends with the client, as it does at the edge."""

    def __init__(self, stream: AsyncContentStream, request: HasInbound) -> None:
        self._iterator = aiter(stream)
        self._request = request

    def __aiter__(self) -> AsyncIterator[Content]:
        return self

    async def __anext__(self) -> Content:
        inbound = self._request.inbound
        with Interrupt(inbound):
            if not inbound.disconnected:
                return await anext(self._iterator)
        raise ClientDisconnect

    async def aclose(self) -> None:
        """Close the stream that is read."""
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()


async def stream_to(stream: _Stream, scope: Scope, receive: Receive, send: Send) -> None:
    """Run what streams a body until it is done or the client has left.

    Args:
        stream: sends the response, start and body, by the ``send`` that it is given.
        scope: the ASGI scope, of an HTTP request or of a websocket's handshake.
        receive: the ASGI ``receive``; watched for a disconnect where ``send`` does not tell it.
        send: the ASGI ``send``.

    Raises:
        SendError: the server's ``send`` found the client gone.
        ClientDisconnect: the client was seen to leave.
    """
    feed = getattr(receive, "__self__", None)
    if isinstance(feed, Feed) and feed.shared:
        await _until_left(stream, feed.inbound, send)
    elif scope["type"] == "websocket" or _send_tells(scope):
        await stream(_telling(send))
    else:
        inbound = Inbound(receive, feed if isinstance(feed, Feed) else None)
        try:
            await _until_left(stream, inbound, _telling(send))
        finally:
            await inbound.close()


async def _until_left(stream: _Stream, inbound: Inbound, send: Send) -> None:
    # A client that has left already is not streamed to: its stream never begins.
    if not await inbound.is_disconnected():
        with Interrupt(inbound):
            await stream(here().heedful(send))


def _send_tells(scope: Scope) -> bool:
    """Whether ``send`` raises for a client that left (ASGI HTTP spec 2.4)."""
    version = scope.get("asgi", {}).get("spec_version", "2.0")
    return tuple(map(int, version.split("."))) >= (2, 4)


def _telling(send: Send) -> Send:
    """A ``send`` whose errors can be told from the stream's own."""

    async def tell(message: Message) -> None:
        try:
            await send(message)
        except OSError as exc:
            if not says_gone(exc):
                raise
            raise SendError(*exc.args) from exc

    return tell
