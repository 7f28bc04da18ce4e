"""A multipart body as it comes in: the heads of its parts, and their bytes.

Floor 2. RFC 7578, over the push parser of the optional package `multipart`, which does no I/O.
`MultipartBody` is fed bytes and gives events; `Parts` pulls what it feeds. At most one chunk is
held, and whatever a client sends is either parts or a `MultiPartException`.
"""

from __future__ import annotations

import codecs
import importlib
import math
import re
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lamella.datastructures import Headers
from lamella.exceptions import MultiPartException, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = [
    "MAX_PART_SIZE",
    "Head",
    "MultipartBody",
    "Part",
    "Parts",
    "bare_name",
    "check_part_size",
    "parse_options",
    "size_text",
]

MAX_PART_SIZE: Final = 1024 * 1024

# Beside the limits that a caller sets. A part needs two or three headers; a body needs nothing
# before its first boundary and nothing after its last.
_MAX_HEADERS: Final = 8
_MAX_HEADER_SIZE: Final = 4096 + 128
_MAX_SILENCE: Final = 64 * 1024
_STEP: Final = 64 * 1024
_MAX_OPTIONS: Final = 32

_INVALID: Final = "Invalid multipart data."
# RFC 2046 section 5.1.1 allows fewer characters, but clients differ. A line end is never one.
_is_boundary = re.compile(r"[ -~]{0,255}[!-~]").fullmatch

# The client names a codec, and Python knows some that are not for text. So these are all; Python is
# asked for other spellings of them alone, and not often: it keeps each name that it did not find,
# for ever (`encodings._cache`).
_CHARSETS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "iso8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
}

_MOST_ASKED: Final = 64
_LONGEST_CHARSET: Final = 40
_asked: dict[str, str] = {}

# Possessive throughout, and never failing from one `;` to the next, so the time is linear.
_OPTION = re.compile(
    r""";\s*+ (?P<name>[^=;"\s]*+) \s*+
    (?: =\s*+ (?: "(?P<quoted>(?:[^"\\]++|(?:\\.)++)*+)"? | (?P<plain>[^;]*+) ) )?
    [^;]*+""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r'\\(["\\])')
_DELIMITING = re.compile(rb"[\r\n\0]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FOLDERS = re.compile(r"\A(?:.*[/\\])?(?:[A-Za-z]:)*", re.DOTALL)


def parse_options(value: str) -> tuple[str, dict[str, str]]:
    """Split a header's value such as ``form-data; name="a"`` (RFC 9110 section 5.6.6).

    Of a quote that is not closed the rest is the value; of a name that stands twice the last value
    counts; of more than 32 options the rest does not. Never raises. Linear in the text's length.

    Returns:
        What stands before the first ``;`` and the options, names in lower case. ``filename*`` is an
        option of that name and nothing more (RFC 7578 section 4.2).
    """
    kind, semicolon, rest = value.partition(";")
    options: dict[str, str] = {}
    for found in islice(_OPTION.finditer(semicolon + rest), _MAX_OPTIONS):
        name, quoted, plain = found["name"], found["quoted"], found["plain"]
        if quoted is not None:
            options[name.lower()] = _ESCAPED.sub(r"\1", quoted) if "\\" in quoted else quoted
        elif plain is not None:
            options[name.lower()] = plain.strip()
    return kind.strip().lower(), options


def bare_name(filename: str) -> str:
    """The last component of a file name that a client gave, for any system.

    Folders and a drive letter are left out, and so are control characters; what consists of dots
    and blanks alone becomes "". The name may still be that of a file which exists.
    """
    name = _FOLDERS.sub("", _CONTROL.sub("", filename))
    return name if name.strip(". ") else ""


def size_text(size: float) -> str:
    """A number of bytes as limits name it: in KB (of 1,024 bytes) where it has no remainder."""
    whole = size >= 1024 and size % 1024 == 0
    return f"{int(size // 1024)}KB" if whole else f"{size} bytes"


def _other_spelling(charset: str) -> str:
    """The charset of `_CHARSETS` that Python knows by this name, else UTF-8."""
    if charset not in _asked:
        if len(_asked) >= _MOST_ASKED or len(charset) > _LONGEST_CHARSET:
            return "utf-8"
        try:
            name = codecs.lookup(charset).name
        except (LookupError, ValueError):
            name = ""
        _asked[charset] = _CHARSETS.get(name, "utf-8")
    return _asked[charset]


class Head(NamedTuple):
    """What stands before the content of a part.

    Attributes:
        name: of the field.
        filename: without any folder; None for a part that is no file.
        headers: pairs of lower-case name and value, Latin-1 bytes.
        disposition: the value of Content-Disposition.
    """

    name: str
    filename: str | None
    headers: list[tuple[bytes, bytes]]
    disposition: bytes


class MultipartBody:
    """Turns the bytes of one body into events: a `Head`, `bytes` of content, None at a part's end.

    How the bytes are cut into chunks makes no difference to the parts.

    Args:
        content_type: the Content-Type of the request, which names the boundary; and a charset,
            perhaps, that counts if it is UTF-8, ASCII, Latin-1 or windows-1252.

    Raises:
        MultiPartException: no boundary, or one that cannot be.
        ImportError: the package `multipart` is not installed.
    """

    def __init__(self, content_type: str) -> None:
        options = parse_options(content_type)[1]
        boundary = options.get("boundary")
        if boundary is None:
            raise MultiPartException("Missing boundary in multipart.")
        if _is_boundary(boundary) is None:
            raise MultiPartException(_INVALID)
        charset = options.get("charset", "utf-8").lower()
        self._charset = _CHARSETS.get(charset) or _other_spelling(charset)
        self._opening = b"--" + boundary.encode("ascii")
        self._held = b""
        self._begun = False
        # Bytes since the last event: what stands outside of parts, or in their headers.
        self._silence = 0
        parser, self._error = _library()
        self._parser: Any = parser(
            boundary,
            # Two more, as it counts half of a line end too if a chunk ends there.
            max_header_size=_MAX_HEADER_SIZE + 2,
            max_header_count=_MAX_HEADERS,
            # So that nothing is lost, whatever it is; it is decoded here.
            header_charset="latin-1",
        )

    def feed(self, chunk: bytes) -> Iterator[Head | bytes | None]:
        """Take in a chunk, of any size; parse it as far as events are asked for.

        Raises:
            MultiPartException: the body is not multipart data.
        """
        for start in range(0, len(chunk), _STEP):
            yield from self._events(chunk[start : start + _STEP])

    def _events(self, chunk: bytes) -> Iterator[Head | bytes | None]:
        self._silence += len(chunk)
        if not self._begun:
            chunk = self._begin(chunk)
        try:
            for event in self._parser.parse(chunk) if chunk else ():
                self._silence = 0
                yield event if event is None or isinstance(event, bytes) else self._head(event)
        except self._error as exc:
            raise MultiPartException(_INVALID) from exc
        if self._silence > _MAX_SILENCE:
            raise MultiPartException(_INVALID)

    def _begin(self, chunk: bytes) -> bytes:
        """Hold bytes back until they are the first boundary; line ends before it are left out."""
        held = (self._held + chunk).lstrip(b"\r\n")
        if len(held) < len(self._opening):
            self._held = held
            if not self._opening.startswith(held):
                raise MultiPartException(_INVALID)
            return b""
        if not held.startswith(self._opening):
            raise MultiPartException(_INVALID)
        self._begun = True
        return held

    def _head(self, segment: Any) -> Head:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in segment.headerlist
        ]
        dispositions = [value for name, value in headers if name == b"content-disposition"]
        if len(dispositions) != 1:
            raise MultiPartException(_INVALID)
        options = parse_options(dispositions[0].decode("latin-1"))[1]
        if "name" not in options:
            raise MultiPartException(
                'The Content-Disposition header field "name" must be provided.'
            )
        filename = options.get("filename")
        if filename is not None:
            filename = bare_name(self.decode(filename.encode("latin-1")))
        name = self.decode(options["name"].encode("latin-1"))
        return Head(name, filename, headers, dispositions[0])

    def end(self) -> None:
        """The body has ended. One of no bytes at all is a form without parts.

        Raises:
            MultiPartException: the last boundary did not come, so a part may be cut off.
        """
        if not self._begun and not self._held:
            return
        try:
            self._parser.close()
        except self._error as exc:
            raise MultiPartException("The multipart data ends before its last boundary.") from exc

    def decode(self, content: bytes | bytearray) -> str:
        """Bytes as text in the charset of the body; as Latin-1 if they are not in it."""
        try:
            return content.decode(self._charset)
        except UnicodeDecodeError:
            return content.decode("latin-1")


@cache
def _library() -> tuple[type[Any], type[Exception]]:
    """The parser's class and that of its errors."""
    try:
        library: Any = importlib.import_module("multipart")
    except ModuleNotFoundError:
        library = None
    # Another package has a module of that name too.
    if not hasattr(library, "PushMultipartParser"):
        raise ImportError(
            "Reading a multipart form needs multipart;"
            ' install it with: pip install "lamella[multipart]"'
        )

    class Parser(library.PushMultipartParser):  # type: ignore[misc]
        """Refuses a header line for what it is, not for where a chunk happens to end in it."""

        def _on_segment_headerline(self, line: bytes) -> None:
            if len(line) > _MAX_HEADER_SIZE or _DELIMITING.search(line):
                raise library.ParserError("Malformed segment header")
            super()._on_segment_headerline(line)  # pyright: ignore[reportUnknownMemberType]

    return Parser, library.MultipartError


class Part:
    """One part of a multipart body, while it comes in; iterate over it for its bytes.

    It can be read once, and only until the next part is asked for. What is not read is skipped.

    Attributes:
        name: of the field.
        filename: the file's name without any folder, as the client gave it; None for a part that
            is no file.
        headers: those of the part.
        size: bytes that were read or skipped so far.
        complete: whether it was read to its end.
    """

    def __init__(self, head: Head, parts: Parts) -> None:
        self.name = head.name
        self.filename = head.filename
        self.headers = Headers(raw=head.headers)
        self.complete = False
        self.size = 0
        self._parts = parts

    @property
    def content_type(self) -> str | None:
        """The Content-Type of the part, as the client gave it; None without one."""
        return self.headers.get("content-type")

    def __aiter__(self) -> Part:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._parts.next_of(self)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def read(self, limit: float = MAX_PART_SIZE) -> bytes:
        """What is left of the part, whole.

        Args:
            limit: the most bytes accepted.

        Raises:
            MultiPartException: there is more.
        """
        content = bytearray()
        async for chunk in self:
            check_part_size(len(content) + len(chunk), limit)
            content += chunk
        return bytes(content)

    async def text(self, limit: float = MAX_PART_SIZE) -> str:
        """What is left of the part, as text in the charset of the body; arguments as `read`."""
        return self._parts.decode(await self.read(limit))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, filename={self.filename!r})"


class Parts:
    """The parts of a multipart body, in order, as they come in; an async iterator.

    Args:
        content_type: the Content-Type of the request.
        pull: gives the next chunk of the body, None at its end.
        max_parts: the most parts accepted, files and others.
        max_part_size: the largest part accepted, in bytes.

    Raises:
        MultiPartException: as `MultipartBody`; while iterating, for a body that is not multipart
            data, that is cut off, or that is over a limit.
    """

    def __init__(
        self,
        content_type: str,
        pull: Callable[[], Awaitable[bytes | None]],
        *,
        max_parts: float = 1000,
        max_part_size: float = math.inf,
    ) -> None:
        self._body = MultipartBody(content_type)
        self._pull = pull
        self._max_parts = max_parts
        self._max_part_size = max_part_size
        self._events: Iterator[Head | bytes | None] = iter(())
        self._part: Part | None = None
        self._count = 0

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> Part:
        left = self._part
        while self._part is not None:  # what nobody has read of it
            await self.next_of(self._part)
        if left is not None:
            left.complete = False
        head = await self._next()
        if not isinstance(head, Head):
            raise StopAsyncIteration
        self._count += 1
        if self._count > self._max_parts:
            raise MultiPartException(
                f"Too many parts. Maximum number of parts is {self._max_parts}."
            )
        self._part = Part(head, self)
        return self._part

    async def next_of(self, part: Part) -> bytes | None:
        """The next bytes of a part, None at its end."""
        if part.complete:
            return None
        if part is not self._part:
            raise UsageError(
                f"Expected the part that is being read, got {part!r}, which was left when the next"
                " part was asked for; read what is needed of a part before going on."
            )
        content = await self._next()
        if not isinstance(content, bytes):
            part.complete = True
            self._part = None
            return None
        part.size += len(content)
        check_part_size(part.size, self._max_part_size)
        return content

    async def _next(self) -> Head | bytes | None:
        """The next event; None too when the body has ended."""
        while True:
            for event in self._events:
                return event
            chunk = await self._pull()
            if chunk is None:
                self._body.end()
                return None
            self._events = self._body.feed(chunk)

    def decode(self, content: bytes) -> str:
        """Bytes as text in the charset of the body."""
        return self._body.decode(content)


def check_part_size(size: float, limit: float) -> None:
    """Refuse a part that is larger than a limit, in bytes."""
    if size > limit:
        raise MultiPartException(f"Part exceeded maximum size of {size_text(limit)}.")
