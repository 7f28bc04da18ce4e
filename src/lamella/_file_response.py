"""``FileResponse``: a file, with conditions and ranges (RFC 9110 sections 13 and 14).

Floor 3. What is sent is decided by ``_ranges``, which knows no disk, and read by ``_file_body``.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from mimetypes import guess_type as _guess_type
from typing import TYPE_CHECKING, Any, NoReturn

from lamella._file_body import file_pieces, stat_file
from lamella._ranges import (
    NOT_MODIFIED_HEADERS,
    FileFacts,
    content_disposition,
    etag_for,
    http_date,
    plan_file,
)
from lamella._response import Response, added_headers, native
from lamella._streaming import AsyncContentStream, Watched, once
from lamella.datastructures import Headers

if TYPE_CHECKING:
    from lamella._ranges import FilePlan
    from lamella.background import BackgroundTask
    from lamella.engine.exchange import SendError
    from lamella.types import Message, Receive, Scope, Send

__all__ = ["FileResponse", "guess_type"]


def guess_type(url: str | os.PathLike[str], strict: bool = True) -> tuple[str | None, str | None]:
    """The media type and encoding that a file's name suggests (as ``mimetypes.guess_type``)."""
    return _guess_type(os.fsdecode(url), strict)


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

    __module__ = "lamella.responses"  # where it is found
    chunk_size = 64 * 1024
    max_ranges = 100
    # Whether conditions of the request count; not where they were looked at already.
    _conditions = True
    _delicate = True
    _unsettled = True
    _plan: FilePlan
    _found: os.stat_result
    # The pieces of the file, as long as no layer has put another stream in their place.
    _own: AsyncContentStream | None = None

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
        self._found = found = self.stat_result or await stat_file(self.path)
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
            conditions=self._conditions,
        )
        self._unsettled = False
        self.status_code = plan.status
        if plan.text is not None:
            self.raw_headers.clear()
        elif plan.status == 304:
            kept = [pair for pair in self.raw_headers if pair[0].decode() in NOT_MODIFIED_HEADERS]
            self.raw_headers[:] = kept
        for name, value in plan.headers:
            self.headers[name] = value
        if plan.text is not None:
            self.raw_headers += added_headers(len(plan.text), "text/plain", self.charset)

    @property
    def body_iterator(self) -> AsyncContentStream:
        """The bytes that go out, read from the file."""
        if self._stream is not None:
            return self._stream if self._read_by is None else Watched(self._stream, self._read_by)
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
            return once(self._plan.text.encode(self.charset))
        return file_pieces(self.path, self._plan, self.chunk_size, self._found)

    @native
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
            self._own = self._stream
        await super().__call__(scope, receive, send)

    async def _send_whole(self, send: Send) -> None:
        await send(self._start())
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    @native
    async def stream_response(self, send: Send) -> None:
        """Send the file; its last piece is the last message."""
        left = self._plan.content_length
        if left is None or self._stream is not self._own or self._stream is None:
            await super().stream_response(send)
            return
        start: Message | None = self._start()
        async for piece in self._stream:
            if start is not None:  # the file was opened: it could be gone by now
                await send(start)
                start = None
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})

    def _raise_left(self, exc: SendError) -> NoReturn:
        raise exc.__cause__ or exc  # what `send` raised, as it is


def _absolute(path: str | os.PathLike[str]) -> str:
    """A path as the pathsend extension wants it (ASGI extensions, "Path Send")."""
    text = os.fsdecode(path)
    # Only a relative one needs the working directory, which is a call of the system.
    return text if os.path.isabs(text) else os.path.abspath(text)  # noqa: PTH100, PTH117


def _offers_pathsend(scope: Scope) -> bool:
    """Whether the server sends files itself, which it does not for a websocket's denial."""
    offered: Mapping[str, Any] = scope.get("extensions") or {}
    return scope["type"] == "http" and "http.response.pathsend" in offered
