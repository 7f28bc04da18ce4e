"""What goes out: ``Response`` and its kin.

Floor 3. Names and behaviour as Starlette 1.10. A response is a value until it is called as an ASGI
app, which the engine's edge does once. Header names and values are checked when they are set.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime, formatdate
from functools import lru_cache
from http.cookies import SimpleCookie
from mimetypes import guess_type as _guess_type
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast
from urllib.parse import quote

from lamella._file_body import file_pieces, stat_file
from lamella._headers import check_header
from lamella._ranges import (
    NOT_MODIFIED_HEADERS,
    FileFacts,
    content_disposition,
    etag_for,
    http_date,
    plan_file,
)
from lamella.concurrency import iterate_in_threadpool
from lamella.datastructures import URL, Headers, MutableHeaders
from lamella.engine.exchange import SendError, says_gone
from lamella.engine.inbound import Feed, Inbound
from lamella.engine.interrupt import Interrupt
from lamella.exceptions import ClientDisconnect, UsageError

if TYPE_CHECKING:
    from lamella._ranges import FilePlan
    from lamella.background import BackgroundTask
    from lamella.engine.inbound import HasInbound
    from lamella.types import Message, Receive, Scope, Send

Content = str | bytes | memoryview
SyncContentStream = Iterable[Content]
AsyncContentStream = AsyncIterable[Content]
ContentStream = AsyncContentStream | SyncContentStream
SameSite = Literal["lax", "strict", "none"]
_F = TypeVar("_F", bound=Callable[..., Any])

_BODILESS: Final = frozenset((204, 304))


def guess_type(url: str | os.PathLike[str], strict: bool = True) -> tuple[str | None, str | None]:
    """The media type and encoding that a file's name suggests (as ``mimetypes.guess_type``)."""
    return _guess_type(os.fsdecode(url), strict)


# Of a plain response: status, body and headers.
_Whole = tuple[int, bytes | memoryview, tuple[tuple[bytes, bytes], ...]]
_NATIVE: Final = "_lamella_native"


def _native(call: _F) -> _F:
    """Mark a ``__call__`` that sends what the attributes of its response say."""
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
    # Whether a subclass's own `__call__` says what goes out, as those of event sources do.
    _sends_itself = False
    _headers: MutableHeaders | None = None
    # Where the body comes from, if not from `body`; and everything it ever came from, to be closed.
    _stream: AsyncContentStream | None = None
    _sources: tuple[AsyncContentStream, ...] = ()
    # Whose client a layer that reads the stream must not outlive.
    _read_by: HasInbound | None = None
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
        return bytes(_encoded(content, self.charset))

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Set ``raw_headers`` from the given ones, the body's length and the media type."""
        body: bytes | None = getattr(self, "body", None)
        length = None
        if body is not None and self.status_code >= 200 and self.status_code not in _BODILESS:
            length = len(body)
        added = _added_headers(length, self.media_type, self.charset)
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
        cls._sends_itself = not hasattr(cls.__call__, _NATIVE)

    def claimed(self) -> Response:
        """This response, for one request and its layers to change.

        An object that an endpoint returns for many requests is given back as it was when each is
        over, and copied for those that come meanwhile, so that no request sees what the layers of
        another did to it.
        """
        if self._pristine is not None:
            copy = self._copied()
            copy.give_back()
            return copy
        headers = tuple(self.raw_headers)
        if self._delicate:
            self._pristine = {**self.__dict__, "raw_headers": headers}
        else:  # PERF: what a layer can change of a plain one, a third of the time
            self._pristine = self.status_code, getattr(self, "body", b""), headers
        return self

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
            partitioned: keep it apart for each top-level site (CHIPS).

        Raises:
            ValueError: an attribute that could end the cookie or the header.
        """
        cookie: SimpleCookie = SimpleCookie()
        cookie[key] = value
        pieces = [cookie[key].OutputString()]
        if domain:
            pieces.append(f"Domain={_attribute('domain', domain)}")
        if expires is not None and expires != "":
            pieces.append(f"expires={_attribute('expires', _cookie_date(expires))}")
        if httponly:
            pieces.append("HttpOnly")
        if max_age is not None:
            pieces.append(f"Max-Age={int(max_age)}")
        if partitioned:
            pieces.append("Partitioned")
        if path:
            pieces.append(f"Path={_attribute('path', path)}")
        if samesite is not None:
            if samesite.lower() not in ("lax", "strict", "none"):
                raise UsageError(
                    f"Expected samesite to be 'strict', 'lax' or 'none', got {samesite!r}."
                )
            pieces.append(f"SameSite={samesite}")
        if secure:
            pieces.append("Secure")
        line = "; ".join(pieces)
        check_header("set-cookie", line)
        self.raw_headers.append((b"set-cookie", line.encode("latin-1")))

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
            return _once(self.body)
        return self._stream if self._read_by is None else _Watched(self._stream, self._read_by)

    @body_iterator.setter
    def body_iterator(self, content: AsyncContentStream) -> None:
        self._replace_stream(content)

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
                    await close()
                except BaseException as exc:
                    error = error or exc
        if error is not None:
            raise error

    async def settle(self, scope: Scope) -> None:
        """Find out status and headers as far as they hang on the request (files and ranges)."""

    # -- the ASGI face -------------------------------------------------------------------------

    @_native
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response (ASGI HTTP spec), then run its background task.

        Raises:
            ClientDisconnect: a stream's client left, where ``send`` says so (spec 2.4).
        """
        if scope["type"] == "websocket":
            send = _denial(send)
        if self._stream is None:
            await self._send_whole(send)
        else:
            await self._send_stream(scope, receive, send)
        if self.background is not None:
            await self.background()

    async def _send_whole(self, send: Send) -> None:
        await send(self._start())
        await send({"type": "http.response.body", "body": self.body})

    def _start(self) -> Message:
        # A copy: a pure ASGI layer may change the list, and this object may be sent again.
        headers = self.raw_headers.copy()
        return {"type": "http.response.start", "status": self.status_code, "headers": headers}

    async def stream_response(self, send: Send) -> None:
        """Send start, every piece of ``body_iterator``, and the last message."""
        await send(self._start())
        async for chunk in self.body_iterator if self._stream is None else self._stream:
            data = _encoded(chunk, self.charset)
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        feed = getattr(receive, "__self__", None)
        awaits = True
        try:
            if isinstance(feed, Feed) and feed.shared:
                await self._stream_until_left(feed.inbound, send)
            elif scope["type"] == "websocket" or _send_tells(scope):
                await self.stream_response(_telling(send))
            else:
                inbound = Inbound(receive, feed if isinstance(feed, Feed) else None)
                try:
                    await self._stream_until_left(inbound, _telling(send))
                finally:
                    await inbound.close()
        except SendError as exc:
            raise ClientDisconnect from exc
        except asyncio.CancelledError:
            await self._give_up()
            raise
        except GeneratorExit:
            awaits = False  # the sending is thrown away: nothing may be awaited any more
            raise
        finally:
            if awaits:
                await self.aclose()

    async def _give_up(self) -> None:
        """Pass a cancellation of the sending on to whoever makes the body."""

    async def _stream_until_left(self, inbound: Inbound, send: Send) -> None:
        # A client that has left already is not streamed to: its stream never begins.
        if not await inbound.is_disconnected():
            with Interrupt(inbound):
                await self.stream_response(send)


class _Watched:
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
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await close()


class HTMLResponse(Response):
    """A page."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """Plain text."""

    media_type = "text/plain"


def _json_encoder() -> Callable[[Any], str]:
    """``json.dumps`` as Starlette calls it, its encoder made once and not at every call.

    PERF: 0.3 us instead of 1.0 us for a small object.
    """
    whole = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return whole.encode
    quote_text = json.encoder.encode_basestring
    pieces = make(None, whole.default, quote_text, None, ":", ",", False, False, False)

    def encode(content: Any) -> str:
        try:
            return "".join(pieces(content, 0))
        except RecursionError:
            return whole.encode(content)  # which says it if a value holds itself

    return encode


_encode_json = _json_encoder()


class JSONResponse(Response):
    """JSON, compact, UTF-8.

    Raises:
        TypeError: a value that JSON cannot hold.
        ValueError: NaN or infinity (RFC 8259 section 6).
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        # PERF: `super()` takes 40 ns more.
        Response.__init__(self, content, status_code, headers, media_type, background)

    def render(self, content: Any) -> bytes:
        """Encode the content as JSON."""
        return _encode_json(content).encode("utf-8")


class RedirectResponse(Response):
    """A redirect, 307 unless another status is given."""

    def __init__(
        self,
        url: str | URL,
        status_code: int = 307,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        super().__init__(b"", status_code, headers, None, background)
        self.headers["location"] = quote(str(url), safe=":/%#?=@[]!$&'()*+,;")


class StreamingResponse(Response):
    """A response whose body is made while it is sent.

    Args:
        content: an async iterable, or a sync one, which is then iterated in the thread pool.
        status_code: the HTTP status.
        headers: names and values.
        media_type: the content type.
        background: run after the response was sent.
    """

    def __init__(
        self,
        content: ContentStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if isinstance(content, AsyncIterable):
            self.body_iterator = content
        else:
            self.body_iterator = iterate_in_threadpool(content)
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        self.background = background
        self.init_headers(headers)

    async def listen_for_disconnect(self, receive: Receive) -> None:
        """Wait for ``http.disconnect`` (for subclasses written for Starlette)."""
        while (await receive())["type"] != "http.disconnect":
            pass


class FileResponse(Response):
    """A file, with conditions and ranges (RFC 9110 sections 13 and 14).

    Status and headers are settled when the endpoint returns it, so layers see what goes out. A
    copy that the client holds is answered with 304, unlike Starlette's.

    Args:
        path: of the file.
        status_code: the HTTP status; conditions and ranges count for 200 alone.
        headers: names and values.
        media_type: the content type; guessed from the name without it.
        background: run after the response was sent.
        filename: offered to the client, in ``content-disposition``.
        stat_result: of the file, if it is known already.
        content_disposition_type: "attachment" or "inline".

    Raises:
        RuntimeError: when it is settled: there is no such file, or it is no regular one.
    """

    chunk_size = 64 * 1024
    max_ranges = 100
    _delicate = True
    _unsettled = True
    _plan: FilePlan

    def __init__(
        self,
        path: str | os.PathLike[str],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
        filename: str | None = None,
        stat_result: os.stat_result | None = None,
        content_disposition_type: str = "attachment",
    ) -> None:
        self.path = path
        self.status_code = status_code
        self.filename = filename
        guessed = guess_type(filename or path)[0]
        self.media_type = media_type or guessed or "application/octet-stream"
        self.background = background
        self.init_headers(headers)
        self.headers.setdefault("accept-ranges", "bytes")
        if filename is not None:
            disposition = content_disposition(content_disposition_type, filename)
            self.headers.setdefault("content-disposition", disposition)
        self.stat_result = stat_result
        if stat_result is not None:
            self.set_stat_headers(stat_result)

    def set_stat_headers(self, stat_result: os.stat_result) -> None:
        """Set length, date and tag, where they are not set."""
        size, mtime = stat_result.st_size, stat_result.st_mtime
        self.headers.setdefault("content-length", str(size))
        self.headers.setdefault("last-modified", http_date(mtime))
        self.headers.setdefault("etag", etag_for(mtime, size))

    async def settle(self, scope: Scope) -> None:
        """Look at the file and at the request's conditions and ranges, once."""
        if not self._unsettled:
            return
        found = self.stat_result or await stat_file(self.path)
        self.set_stat_headers(found)
        get = self.headers.get
        facts = FileFacts(found.st_size, get("content-type", ""), get("etag"), get("last-modified"))
        is_http = scope["type"] == "http"
        self._plan = plan = plan_file(
            scope["method"] if is_http else "",
            Headers(scope=scope),
            facts,
            make_boundary=lambda: secrets.token_hex(13),
            status=self.status_code,
            max_ranges=self.max_ranges,
        )
        self._unsettled = False
        self.status_code = plan.status
        if plan.text is not None:
            self.raw_headers[:] = _added_headers(len(plan.text), "text/plain", self.charset)
        elif plan.status == 304:
            kept = [pair for pair in self.raw_headers if pair[0].decode() in NOT_MODIFIED_HEADERS]
            self.raw_headers[:] = kept
        for name, value in plan.headers:
            self.headers[name] = value

    @property
    def body_iterator(self) -> AsyncContentStream:
        """The bytes that go out, read from the file."""
        if self._stream is not None:
            return self._stream if self._read_by is None else _Watched(self._stream, self._read_by)
        if self._unsettled:
            raise RuntimeError(
                "Expected a settled FileResponse; `await response.settle(scope)` before reading"
                " its body_iterator outside of an application."
            )
        pieces = self._pieces()
        self._sources += (pieces,)
        return pieces

    @body_iterator.setter
    def body_iterator(self, content: AsyncContentStream) -> None:
        self._replace_stream(content)

    def _pieces(self) -> AsyncContentStream:
        if self._plan.text is not None:
            return _once(self._plan.text.encode(self.charset))
        return file_pieces(self.path, self._plan, self.chunk_size)

    @_native
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, by the server's own means where it offers them (pathsend extension)."""
        if self._unsettled:
            # Called as an app, it may answer many requests, each with conditions of its own.
            response = self._copied()
            await response.settle(scope)
            await response(scope, receive, send)
            return
        plan = self._plan
        if self._stream is None and (plan.text or not plan.ranges):
            self.body = b"" if plan.text is None else plan.text.encode(self.charset)
        elif self._stream is None:
            is_whole = plan.status != 206
            if is_whole and _offers_pathsend(scope):
                await send(self._start())
                await send({"type": "http.response.pathsend", "path": _absolute(self.path)})
                if self.background is not None:
                    await self.background()
                return
            self.body_iterator = self._pieces()
        await super().__call__(scope, receive, send)


@lru_cache(maxsize=1024)
def _added_headers(
    length: int | None, media_type: str | None, charset: str
) -> tuple[tuple[bytes, bytes], ...]:
    """The headers that a response has unless it is given others. PERF: cached, 0.2 us less."""
    added: list[tuple[bytes, bytes]] = []
    if length is not None:
        added.append((b"content-length", b"%d" % length))
    if media_type is not None:
        if media_type.startswith("text/") and "charset=" not in media_type.lower():
            media_type += "; charset=" + charset
        check_header("content-type", media_type)
        added.append((b"content-type", media_type.encode("latin-1")))
    return tuple(added)


def _absolute(path: str | os.PathLike[str]) -> str:
    """A path as the pathsend extension wants it (ASGI extensions, "Path Send")."""
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - must not look at the disk


def _encoded(content: Content, charset: str) -> bytes | memoryview:
    return content if isinstance(content, bytes | memoryview) else content.encode(charset)


async def _once(body: bytes | memoryview) -> AsyncIterator[Content]:
    yield body


def _attribute(name: str, value: str) -> str:
    if ";" in value or any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(
            f"Expected a cookie's {name} without ';' and control characters, got {value!r}."
        )
    return value


def _cookie_date(expires: datetime | str | int) -> str:
    if isinstance(expires, datetime):
        return format_datetime(expires, usegmt=True)
    if isinstance(expires, int):
        return formatdate(time.time() + expires, usegmt=True)
    return expires


def _send_tells(scope: Scope) -> bool:
    """Whether ``send`` raises for a client that left (ASGI HTTP spec 2.4)."""
    version = scope.get("asgi", {}).get("spec_version", "2.0")
    return tuple(map(int, version.split("."))) >= (2, 4)


def _offers_pathsend(scope: Scope) -> bool:
    """Whether the server sends files itself, which it does not for a websocket's denial."""
    offered: Mapping[str, Any] = scope.get("extensions") or {}
    return scope["type"] == "http" and "http.response.pathsend" in offered


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


def _denial(send: Send) -> Send:
    """Answer a websocket's handshake (ASGI extension ``websocket.http.response``)."""

    async def deny(message: Message) -> None:
        if message["type"].startswith("http.response."):
            message = {**message, "type": "websocket." + message["type"]}
        await send(message)

    return deny
