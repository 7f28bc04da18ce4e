"""Compress responses for clients that take gzip.

Floor 5. Names as Starlette 1.10. ``GZipMiddleware`` works on responses; the responders do the same
on messages, for software that runs or extends them by name.

A page that shows a secret next to text of the client's choice must not be compressed: its length
tells the secret, letter by letter (BREACH). Exclude it, or mask the secret anew in each response.
"""

from __future__ import annotations

import os
import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

import anyio
import anyio.lowlevel
import anyio.to_thread

from lamella._file_response import FileResponse, _offers_pathsend
from lamella._streaming import encoded
from lamella.datastructures import Headers, MutableHeaders
from lamella.engine.bridge import BridgedResponse
from lamella.engine.stack import Layer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from lamella._streaming import AsyncContentStream
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "DEFAULT_EXCLUDED_CONTENT_TYPES",
    "GZipMiddleware",
    "GZipResponder",
    "IdentityResponder",
    "unattached_send",
]

DEFAULT_EXCLUDED_CONTENT_TYPES: Final = (
    "application/grpc",
    "application/gzip",
    "application/x-gzip",
    "application/zip",
    "audio/*",
    "font/woff",
    "font/woff2",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/event-stream",
    "video/*",
)
"""What is compressed already, or has to be passed on event by event."""

_THREAD_MINIMUM_SIZE: Final = 128 * 1024
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
# Without content, or a part of one (RFC 9110 sections 15.3.5, 15.3.7 and 15.4.5).
_LEFT_ALONE: Final = (204, 206, 304)
_BODIES: Final = (
    "http.response.body",
    "http.response.pathsend",
    "http.response.zerocopysend",
)
# Of what clients send in `Accept-Encoding`; some servers take headers of any size.
_LONGEST_KEPT: Final = 256
# RFC 9110 section 12.4.2: 0 to 1, at most three decimals.
_is_weight: Final = re.compile(r"[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)").fullmatch

_limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("lamella.gzip")


class GZipMiddleware(Layer):
    """Compresses what a client that takes gzip asked for.

    Left as they are: bodies that are small, encoded already or of an excluded type, parts (206),
    what has no content (204, 304), what must not be transformed (``Cache-Control: no-transform``),
    and files that the server sends by itself (ASGI extension ``http.response.pathsend``).
    A stream stays one: each piece goes out compressed before the next is asked for.

    Args:
        app: what is inside.
        minimum_size: bytes; a body that is known to be smaller is left as it is.
        compresslevel: 0 to 9, fast to small.
        thread_minimum_size: bytes; what is larger is compressed in a thread, since the event loop
            would stand still for some milliseconds.
        exclude_content_types: media types, or ``type/*`` for all of a kind.

    Source: as Starlette 1.10, RFC 9110 sections 8.4 and 12.5.3; an ETag becomes a weak one.
    """

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int = 500,
        compresslevel: int = 9,
        thread_minimum_size: int = _THREAD_MINIMUM_SIZE,
        *,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        super().__init__(app)
        self.minimum_size = minimum_size
        self.compresslevel = compresslevel
        self.thread_minimum_size = thread_minimum_size
        self.exclude_content_types = _media_types(exclude_content_types)

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        request._direct = False  # what a foreign app sends straight could not be compressed
        response = await self._inner(request)
        if response._unsettled:
            await response.settle(request.scope)
        if not self._may_compress(response, request.scope):
            return response
        headers = response.headers
        headers.add_vary_header("Accept-Encoding")
        if takes_gzip(request.headers.getlist("accept-encoding")):
            _set_encoding(headers, "gzip")
            await self._compress(response, is_head=request.scope.get("method") == "HEAD")
        return response

    def _may_compress(self, response: Response, scope: Scope) -> bool:
        return (
            self._is_large_enough(response, scope)
            and not _is_sent_otherwise(response, scope)
            and _is_compressible(response.status_code, response.headers)
            and not _is_excluded(response.headers, self.exclude_content_types)
        )

    def _is_large_enough(self, response: Response, scope: Scope) -> bool:
        is_whole = response._stream is None and not isinstance(response, FileResponse)
        if is_whole and (response.body or scope.get("method") != "HEAD"):
            return len(response.body) >= self.minimum_size
        announced = response.headers.get("content-length", "")
        return not (announced.isascii() and announced.isdigit()) or (
            len(announced) > 18 or int(announced) >= self.minimum_size
        )

    async def _compress(self, response: Response, *, is_head: bool) -> None:
        """Put the compressed body in the place of the body."""
        headers = response.headers
        gzip = _Gzip(self.compresslevel, self.thread_minimum_size)
        if is_head and response._stream is None:
            del headers["content-length"]  # it would be that of another body than GET's
            response.body = b""
        elif response._stream is not None or isinstance(response, FileResponse):
            del headers["content-length"]
            reader = response._read_by
            pieces = response.body_iterator if response._stream is None else response._stream
            compressed = _compressed(pieces, gzip, response.charset)
            if isinstance(response, BridgedResponse):
                response.recode(gzip.add, compressed)
            else:
                response.body_iterator = compressed
            response._read_by = reader
        else:
            response.body = await gzip.add(response.body, last=True)
            _set_length(headers, response)


async def _compressed(
    pieces: AsyncContentStream, gzip: _Gzip, charset: str
) -> AsyncGenerator[bytes, None]:
    async for piece in pieces:  # closed with the response
        data = encoded(piece, charset)
        if data:
            yield await gzip.add(data, last=False)
    yield await gzip.add(b"", last=True)


class _Gzip:
    """One body being compressed; nothing is allocated before its first byte."""

    def __init__(self, level: int, thread_minimum_size: int) -> None:
        self._level = level
        self._thread_minimum_size = thread_minimum_size
        self._compressor: zlib._Compress | None = None

    async def add(self, data: bytes | memoryview, *, last: bool) -> bytes:
        """Compress a piece, so that a client can read it to its end at once."""
        if len(data) < self._thread_minimum_size:
            return self._add(data, last)
        return await anyio.to_thread.run_sync(self._add, data, last, limiter=_threads())

    def _add(self, data: bytes | memoryview, last: bool) -> bytes:
        if self._compressor is None:
            self._compressor = zlib.compressobj(self._level, zlib.DEFLATED, _GZIP_FORMAT)
        rest = zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH
        return self._compressor.compress(data) + self._compressor.flush(rest)


def _threads() -> anyio.CapacityLimiter:
    """The threads that compress: as many as can run, and none of those that endpoints run in."""
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(os.cpu_count() or 1)
        _limiter.set(limiter)
        return limiter


# -- what may be compressed, and for whom ----------------------------------------------------------


def takes_gzip(accepted: Iterable[str]) -> bool:
    """Whether values of ``Accept-Encoding`` allow gzip and do not like it less than no encoding.

    Args:
        accepted: the value of each header of that name.

    Source: RFC 9110 section 12.5.3; an encoding with a weight that is no weight is not accepted.
    """
    text = ",".join(accepted)
    return _takes_gzip(text) if len(text) <= _LONGEST_KEPT else _takes_gzip.__wrapped__(text)


# PERF: clients send few different texts. Bounded in number and in length, since they choose them.
@lru_cache(maxsize=64)
def _takes_gzip(accepted: str) -> bool:
    weights: dict[str, float] = {}
    for element in accepted.lower().split(","):
        coding, *parameters = (part.strip(" \t") for part in element.split(";"))
        weights.setdefault("gzip" if coding == "x-gzip" else coding, _weight(parameters))
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(parameters: list[str]) -> float:
    if not parameters:
        return 1.0
    match = _is_weight(parameters[0]) if len(parameters) == 1 else None
    return 0.0 if match is None else float(match[1])


def _is_sent_otherwise(response: Response, scope: Scope) -> bool:
    """Whether the server sends it from a file, or its own code does what nobody can tell."""
    if isinstance(response, BridgedResponse):
        message = response._run._message
        return message is not None and message["type"] == "http.response.pathsend"
    if isinstance(response, FileResponse):
        return response._stream is None and _offers_pathsend(scope)
    return response._sends_itself


def _is_compressible(status: int, headers: Headers) -> bool:
    if status < 200 or status in _LEFT_ALONE or "content-encoding" in headers:
        return False
    directives = ",".join(headers.getlist("cache-control")).lower().split(",")
    return "no-transform" not in (directive.strip() for directive in directives)


def _is_excluded(headers: Headers, media_types: tuple[str, ...]) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith("application/grpc+"):
        media_type = "application/grpc"
    return media_type in media_types or f"{media_type.partition('/')[0]}/*" in media_types


def _media_types(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.partition(";")[0].strip().lower() for text in given)


def _set_encoding(headers: MutableHeaders, encoding: str) -> None:
    """Say that the content is encoded, and what no longer holds for it."""
    headers["content-encoding"] = encoding
    # Positions and equality byte for byte are those of the content without encoding.
    del headers["accept-ranges"]
    etag = headers.get("etag", "")
    if etag.startswith('"'):
        headers["etag"] = f"W/{etag}"


def _set_length(headers: MutableHeaders, response: Response) -> None:
    """Announce the length, unless trailers follow, which only a body without a length can have."""
    if isinstance(response, BridgedResponse) and response._head.get("trailers"):
        del headers["content-length"]
    else:
        headers["content-length"] = str(len(response.body))


# -- the same on messages --------------------------------------------------------------------------


async def unattached_send(message: Message) -> NoReturn:
    """The ``send`` of a responder that does not run."""
    raise RuntimeError("Expected a responder that is being called as an ASGI app.")


class IdentityResponder:
    """A pure ASGI layer for one exchange that compresses by ``apply_compression``: not at all.

    Args:
        app: what is inside.
        minimum_size: as for ``GZipMiddleware``.
        exclude_content_types: as for ``GZipMiddleware``.
    """

    content_encoding: str

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int,
        *,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        self.app = app
        self.minimum_size = minimum_size
        self.exclude_content_types = _media_types(exclude_content_types)
        self.send: Send = unattached_send
        self.initial_message: Message = {}
        self.started = False
        # A subclass may set one of these to have the response left as it is.
        self.content_encoding_set = False
        self.content_type_is_excluded = False
        self.partial_response = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        self.send = send
        await self.app(scope, receive, self.send_with_compression)

    async def send_with_compression(self, message: Message) -> None:
        """Take one message of the app; the start is kept until the first piece of the body."""
        kind = message["type"]
        if kind == "http.response.start":
            self._look_at(message)
            if self._is_left_alone:
                await self.send(self.initial_message)
        elif kind not in _BODIES or self._is_left_alone:
            await self.send(message)
        elif kind == "http.response.body":
            await self._send_body(message)
        else:
            if not self.started:
                self.started = True
                await self.send(self.initial_message)
            await self.send(message)

    @property
    def _is_left_alone(self) -> bool:
        return self.content_encoding_set or self.content_type_is_excluded or self.partial_response

    def _look_at(self, start: Message) -> None:
        self.initial_message = {**start, "headers": list(start.get("headers", ()))}
        headers = Headers(raw=self.initial_message["headers"])
        self.content_encoding_set = "content-encoding" in headers
        self.content_type_is_excluded = _is_excluded(headers, self.exclude_content_types)
        self.partial_response = not _is_compressible(start["status"], headers)

    async def _send_body(self, message: Message) -> None:
        body, more = message.get("body", b""), message.get("more_body", False)
        if self.started:
            data = await self.apply_compression(body, more_body=more)
            await self.send({**message, "body": data})
            return
        self.started = True
        if more or len(body) >= self.minimum_size:
            data = await self.apply_compression(body, more_body=more)
            self._set_headers(body, data, more_body=more)
            message = {**message, "body": data}
        await self.send(self.initial_message)
        await self.send(message)

    def _set_headers(self, body: bytes, data: bytes, *, more_body: bool) -> None:
        headers = MutableHeaders(raw=self.initial_message["headers"])
        headers.add_vary_header("Accept-Encoding")
        if data == body:
            return
        _set_encoding(headers, self.content_encoding)
        if more_body or self.initial_message.get("trailers", False):
            del headers["content-length"]
        else:
            headers["content-length"] = str(len(data))

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        """Compress one piece of the body; the last one when ``more_body`` is false."""
        return body


class GZipResponder(IdentityResponder):
    """A pure ASGI layer for one exchange that compresses, whatever the client accepts.

    Args:
        app: what is inside.
        minimum_size: as for ``GZipMiddleware``, as is all the rest.
        compresslevel: 0 to 9.
        thread_minimum_size: bytes.
        exclude_content_types: media types.
    """

    content_encoding = "gzip"

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int,
        compresslevel: int = 9,
        *,
        thread_minimum_size: int = _THREAD_MINIMUM_SIZE,
        exclude_content_types: tuple[str, ...] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        super().__init__(app, minimum_size, exclude_content_types=exclude_content_types)
        self.compresslevel = compresslevel
        self.thread_minimum_size = thread_minimum_size
        self._gzip = _Gzip(compresslevel, thread_minimum_size)

    async def apply_compression(self, body: bytes, *, more_body: bool) -> bytes:
        """Compress one piece of the body."""
        return await self._gzip.add(body, last=not more_body)
