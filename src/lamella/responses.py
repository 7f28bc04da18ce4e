"""What goes out: ``Response`` and its kin.

Floor 3. Names and behaviour as Starlette 1.10. The base is in ``_response``, files are in
``_file_response``; the other kinds are here.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import AsyncIterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lamella._file_response import FileResponse, guess_type
from lamella._json import dumps, encode
from lamella._ranges import MalformedRangeHeader, RangeNotSatisfiable
from lamella._response import Response, SameSite
from lamella._streaming import AsyncContentStream, Content, ContentStream, SyncContentStream
from lamella.concurrency import iterate_in_threadpool
from lamella.datastructures import URL
from lamella.exceptions import LamellaDeprecationWarning

if TYPE_CHECKING:
    from lamella.background import BackgroundTask
    from lamella.sse import EventSourceResponse as EventSourceResponse  # noqa: PLC0414
    from lamella.types import Receive

__all__ = [
    "AsyncContentStream",
    "Content",
    "ContentStream",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "MalformedRangeHeader",
    "ORJSONResponse",
    "PlainTextResponse",
    "RangeNotSatisfiable",
    "RedirectResponse",
    "Response",
    "SameSite",
    "StreamingResponse",
    "SyncContentStream",
    "UJSONResponse",
    "guess_type",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Find ``EventSourceResponse``, which FastAPI has here too; it stands on this module."""
        if name != "EventSourceResponse":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = importlib.import_module("lamella.sse").EventSourceResponse
        globals()[name] = value
        return value


class HTMLResponse(Response):
    """A page."""

    media_type = "text/html"


class PlainTextResponse(Response):
    """Plain text."""

    media_type = "text/plain"


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
        if json.dumps is dumps:
            # A lone surrogate, which only JSON can bring in, has no UTF-8, but an escape in JSON.
            return encode(content).encode("utf-8", "backslashreplace")
        # Somebody has put another in its place: to watch it, or to encode otherwise.
        text = json.dumps(
            content, ensure_ascii=False, allow_nan=False, indent=None, separators=(",", ":")
        )
        return text.encode("utf-8", "backslashreplace")


class ORJSONResponse(JSONResponse):
    """JSON that orjson writes. Deprecated: it warns when one is made.

    Raises:
        ImportError: orjson is not installed.

    Source: as FastAPI 0.165. A declared return type is written faster than by this.
    """

    def __init__(self, content: Any, *args: Any, **kwargs: Any) -> None:
        _warn_of("ORJSONResponse")
        super().__init__(content, *args, **kwargs)

    def render(self, content: Any) -> bytes:
        """Encode the content, with keys of dicts that are no text, and arrays of numpy."""
        orjson = _imported("orjson", "ORJSONResponse")
        written: bytes = orjson.dumps(
            content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
        )
        return written


class UJSONResponse(JSONResponse):
    """JSON that ujson writes. Deprecated: it warns when one is made.

    Raises:
        ImportError: ujson is not installed.

    Source: as FastAPI 0.165. A declared return type is written faster than by this.
    """

    def __init__(self, content: Any, *args: Any, **kwargs: Any) -> None:
        _warn_of("UJSONResponse")
        super().__init__(content, *args, **kwargs)

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        text: str = _imported("ujson", "UJSONResponse").dumps(content, ensure_ascii=False)
        return text.encode("utf-8")


def _warn_of(name: str) -> None:
    warnings.warn(
        f"{name} is deprecated: declare a return type instead, and what the endpoint returns is"
        " written faster; or return a JSONResponse.",
        LamellaDeprecationWarning,
        stacklevel=3,
    )


def _imported(package: str, name: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as exc:
        if exc.name != package:  # installed, but something that it needs is not
            raise
        raise ImportError(
            f"{name} needs {package}; install it with: pip install {package}"
        ) from None


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
