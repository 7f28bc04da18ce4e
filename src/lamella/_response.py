"""``Response``: a whole response, and what all kinds of it share.

Floor 3. A response is a value until it is called as an ASGI app, which the engine's edge does once.
Header names and values are checked when they are set.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeVar, cast

from lamella._cookies import cookie_line
from lamella._handshake import close_code, close_message, denying, may_deny
from lamella._headers import check_header
from lamella._streaming import AsyncContentStream, Watched, encoded, once, stream_to
from lamella.datastructures import MutableHeaders
from lamella.engine.contexts import InContext
from lamella.engine.exchange import SendError
from lamella.engine.loop import calmly, here
from lamella.exceptions import ClientDisconnect

if TYPE_CHECKING:
    from lamella.background import BackgroundTask
    from lamella.engine.inbound import HasInbound
    from lamella.types import Message, Receive, Scope, Send

__all__ = ["Response", "SameSite", "added_headers", "json_response", "native"]

SameSite = Literal["lax", "strict", "none"]
_F = TypeVar("_F", bound=Callable[..., Any])

_BODILESS: Final = frozenset((204, 304))
_LONGEST_KEPT: Final = 256  # of a media type, in characters
# Of a plain response: status, body and headers.
_Whole = tuple[int, bytes | memoryview, tuple[tuple[bytes, bytes], ...]]
_JSON: Final = (b"content-type", b"application/json")
_MANY: Final = 2048
_LENGTHS: Final = [(b"content-length", b"%d" % size) for size in range(_MANY)]
_NATIVE: Final = "_lamella_native"


def native(call: _F) -> _F:
    """Mark what sends no more and no less than the attributes of its response say."""
    setattr(call, _NATIVE, True)
    return call


class Response:
    """A whole response: status, headers and body.

    Args:
        content: the body; ``str`` is encoded with ``charset``.
        status_code: the HTTP status.
        headers: names and values; ``content-length`` and ``content-type`` are added if missing.
        media_type: the content type; ``text/*`` gets the charset.
        background: run after the response was sent.

    Attributes:
        exception: the unhandled exception that this response reports, if any. The edge raises it
            to the server once the response was sent.

    Raises:
        ValueError: a header name or value that could split the response (RFC 9110 section 5.5).
    """

    __module__ = "lamella.responses"  # where it is found
    media_type: str | None = None
    charset: str = "utf-8"
    status_code: int
    body: bytes | memoryview
    raw_headers: list[tuple[bytes, bytes]]
    exception: Exception | None = None
    # Whether there is more to it than two messages: a background task, a stream, a file.
    _delicate = False
    _background: Callable[[], Awaitable[None]] | None = None
    # What it was when its endpoint returned it first.
    _pristine: _Whole | dict[str, Any] | None = None
    # Whether a subclass's own code says what goes out, as that of event sources does.
    _sends_itself = False
    _headers: MutableHeaders | None = None
    # Where the body comes from, if not from `body`; and everything it ever came from, to be closed.
    _stream: AsyncContentStream | None = None
    _sources: tuple[AsyncContentStream, ...] = ()
    # Whose client a layer that reads the stream must not outlive.
    _read_by: HasInbound | None = None
    # Whether the end is a message of its own, as it is below a dispatch layer of Starlette's: what
    # compares messages expects it, wherever more is to be done than to send two of them.
    _ends_apart = False
    # Whether `settle` has to run before a layer may look at the status and the headers.
    _unsettled = False

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self._delicate = False  # PERF: found faster on the instance; each layer looks
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        if background is not None:
            self.background = background
        self.body = self.render(content)
        self.init_headers(headers)

    def render(self, content: Any) -> bytes | memoryview:
        """Turn the content into the bytes of the body."""
        if content is None:
            return b""
        if isinstance(content, bytes):
            return content
        if isinstance(content, memoryview):
            view = cast("memoryview[int]", content)
            return view.cast("B") if view.c_contiguous else view.tobytes()
        if isinstance(content, str):
            return content.encode(self.charset)
        return bytes(encoded(content, self.charset))

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set ``raw_headers`` from the given ones, the body's length and the media type."""
        body: bytes | None = getattr(self, "body", None)
        length = None
        if body is not None and self.status_code >= 200 and self.status_code not in _BODILESS:
            length = len(body)
        added = added_headers(length, self.media_type, self.charset)
        if not headers:
            self.raw_headers = list(added)
            return
        raw: list[tuple[bytes, bytes]] = []
        for name, value in headers.items():
            check_header(name, value)
            raw.append((name.lower().encode("latin-1"), value.encode("latin-1")))
        given = {name for name, _ in raw}
        self.raw_headers = raw + [pair for pair in added if pair[0] not in given]

    @property
    def headers(self) -> MutableHeaders:
        """The response headers, case-insensitive; changes go out."""
        found = self._headers
        if found is None:
            found = self._headers = MutableHeaders(raw=self.raw_headers)
        return found

    @property
    def background(self) -> Callable[[], Awaitable[None]] | None:
        """What is run after the response was sent."""
        return self._background

    @background.setter
    def background(self, task: Callable[[], Awaitable[None]] | None) -> None:
        self._background = task
        if task is not None:
            self._delicate = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        ways = cls.__call__, cls.stream_response
        cls._sends_itself = not all(hasattr(way, _NATIVE) for way in ways)

    def claimed(self) -> Response:
        """This response, for one request and its layers to change.

        An object that an endpoint returns for many requests is given back as it was when each is
        over, and copied for those that come meanwhile, so that no request sees what the layers of
        another did to it.
        """
        if self._pristine is not None:
            return self.copied()
        headers = tuple(self.raw_headers)
        if self._delicate:
            self._pristine = {**self.__dict__, "raw_headers": headers}
        else:  # PERF: what a layer can change of a plain one, a third of the time
            self._pristine = self.status_code, getattr(self, "body", b""), headers
        return self

    def copied(self) -> Response:
        """A copy for one request, as this was before another request's layers changed it."""
        copy = self._copied()
        copy.give_back()
        return copy

    def _copied(self) -> Response:
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.raw_headers = list(self.raw_headers)
        copy._headers = None
        return copy

    def give_back(self) -> None:
        """Undo what a request and its layers changed."""
        pristine, self._pristine = self._pristine, None
        if isinstance(pristine, tuple):
            self.status_code, self.body, headers = pristine
            if self._delicate:
                self._background = self._stream = self._read_by = None
                self._sources = ()
                self._delicate = False
        elif pristine is not None:
            self.__dict__.clear()
            self.__dict__.update(pristine)
            headers = pristine["raw_headers"]
        else:
            return
        self.raw_headers = list(headers)
        self._headers = None  # a view of the list that was changed

    # -- cookies -------------------------------------------------------------------------------

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: int | None = None,
        expires: datetime | str | int | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: SameSite | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Add a ``Set-Cookie`` header (RFC 6265 section 4.1).

        Args:
            key: the cookie's name, an RFC 9110 token.
            value: its value, quoted where it has to be.
            max_age: seconds to live.
            expires: a date, or seconds from now.
            path: the path it is sent for.
            domain: the domain it is sent to.
            secure: only over https.
            httponly: not for scripts.
            samesite: "lax", "strict" or "none".
            partitioned: keep it apart for each top-level site (CHIPS); from Python 3.14 on.

        Raises:
            ValueError: an attribute that could end the cookie or the header; a partitioned one
                before Python 3.14.
        """
        line = cookie_line(
            key,
            value,
            max_age=max_age,
            expires=expires,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.raw_headers.append((b"set-cookie", line))

    def delete_cookie(
        self,
        key: str,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: SameSite | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Make the client forget a cookie; path and domain must be those it was set with."""
        self.set_cookie(
            key,
            max_age=0,
            expires=0,
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )

    # -- the body as a stream ------------------------------------------------------------------

    @property
    def body_iterator(self) -> AsyncContentStream:
        """The body, piece by piece, whatever kind of response this is.

        Set it to send something else: the old one may be drawn from, and is closed in the end.
        A ``content-length`` that was set stays; change it if the length changes.
        """
        if self._stream is None:
            return once(self.body)
        return self._stream if self._read_by is None else Watched(self._stream, self._read_by)

    @body_iterator.setter
    def body_iterator(self, content: AsyncContentStream) -> None:
        self._replace_stream(content)

    def _keep_context(self) -> None:
        """Have the stream run in the context of now, whatever the layers reset before."""
        stream = self._stream
        if stream is not None:
            self._stream = kept = InContext(stream)
            self._sources = tuple(kept if one is stream else one for one in self._sources)

    def _replace_stream(self, content: AsyncContentStream) -> None:
        self._stream = content
        self._sources += (content,)
        self._read_by = None
        self._delicate = True

    async def aclose(self) -> None:
        """Close everything the body ever came from, the newest first, whether it was sent or not.

        Raises:
            BaseException: the first error that a source's own cleanup raised.
        """
        sources, self._sources = self._sources, ()
        error: BaseException | None = None
        for source in reversed(sources):
            close = getattr(source, "aclose", None)
            if close is not None:
                try:
                    # What follows an error may follow a cancellation.
                    await (close() if error is None else calmly(close))
                except BaseException as exc:
                    error = error or exc
        if error is not None:
            raise error

    async def settle(self, scope: Scope) -> None:
        """Find out status and headers as far as they hang on the request (files and ranges)."""

    # -- the ASGI face -------------------------------------------------------------------------

    @native
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response (ASGI HTTP spec), then run its background task.

        The handshake of a websocket is answered with it where the server takes that, else closed.

        Raises:
            ClientDisconnect: a stream's client left, where ``send`` says so (spec 2.4).
        """
        is_websocket = scope["type"] == "websocket"
        # A scope without "asgi", which every server's has, was made by hand: nothing can crash.
        if is_websocket and "asgi" in scope and not may_deny(scope):
            await self.aclose()
            await send(close_message(close_code(self.status_code), None))
        elif self._stream is None:
            await self._send_whole(denying(send) if is_websocket else send)
        else:
            await self._send_stream(scope, receive, denying(send) if is_websocket else send)
        if self.background is not None:
            await self.background()

    async def _send_whole(self, send: Send) -> None:
        await send(self._start())
        if not self._ends_apart:
            await send({"type": "http.response.body", "body": self.body})
            return
        if self.body:
            await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self) -> Message:
        # A copy: a pure ASGI layer may change the list, and this object may be sent again.
        headers = self.raw_headers.copy()
        return {"type": "http.response.start", "status": self.status_code, "headers": headers}

    @native
    async def stream_response(self, send: Send) -> None:
        """Send start, every piece of ``body_iterator``, and the last message."""
        await send(self._start())
        async for chunk in self.body_iterator if self._stream is None else self._stream:
            data = encoded(chunk, self.charset)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        awaits = True
        try:
            await stream_to(self.stream_response, scope, receive, send)
        except SendError as exc:
            self._raise_left(exc)
        except GeneratorExit:
            awaits = False  # the sending is thrown away: nothing may be awaited any more
            raise
        except BaseException as exc:
            if here().is_cancellation(exc):
                await self._give_up()
                await calmly(self.aclose)
            raise
        finally:
            if awaits:
                await self.aclose()

    def _raise_left(self, exc: SendError) -> NoReturn:
        """Say that the client left; ``exc`` is what ``send`` raised."""
        raise ClientDisconnect from exc

    async def _give_up(self) -> None:
        """Pass a cancellation of the sending on to whoever makes the body."""


def json_response(body: bytes, status_code: int = 200) -> Response:
    """A response of JSON that is encoded already. PERF: a third of the time of ``Response()``."""
    response = object.__new__(Response)
    response._delicate = False
    response.status_code = status_code
    response.media_type = "application/json"
    response.body = body
    size = len(body)
    length = _LENGTHS[size] if size < _MANY else (b"content-length", b"%d" % size)
    response.raw_headers = [length, _JSON]
    return response


def added_headers(
    length: int | None, media_type: str | None, charset: str
) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that a response has unless it is given others."""
    # A media type may be a client's own, that of a file it sent before.
    if media_type is not None and len(media_type) > _LONGEST_KEPT:
        return _added_headers.__wrapped__(length, media_type, charset)
    return _added_headers(length, media_type, charset)


@lru_cache(maxsize=1024)  # PERF: 0.2 us less
def _added_headers(
    length: int | None, media_type: str | None, charset: str
) -> tuple[tuple[bytes, bytes], ...]:
    added: list[tuple[bytes, bytes]] = []
    if length is not None:
        added.append((b"content-length", b"%d" % length))
    if media_type is not None:
        if media_type.startswith("text/") and "charset=" not in media_type.lower():
            media_type += "; charset=" + charset
        check_header("content-type", media_type)
        added.append((b"content-type", media_type.encode("latin-1")))
    return tuple(added)
