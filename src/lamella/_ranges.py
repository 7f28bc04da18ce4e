"""Conditional requests and byte ranges, as pure functions over header values.

Floor 0: nothing of the package is imported here, no file is opened and no
message is sent. ``plan_file`` decides how a file answers one request; the
response class carries the plan out. Every parser is linear in its input and
bounded in memory, and no header a client can send makes one raise anything but
``MalformedRangeHeader`` and ``RangeNotSatisfiable``.

Behaviour is Starlette 1.10's, down to the bytes on the wire, except:

* several ranges of which one can be satisfied are answered with those that can
  (RFC 9110 section 14.1.2), where Starlette answers 416;
* positions are ASCII digits only: no sign, no ``_``, no digits of other scripts.
  Any number of them is understood, since a position beyond the file needs no
  exact value;
* a suffix range of an empty file gets the whole, empty file: it is satisfiable,
  and there is no Content-Range that could say so;
* ``If-None-Match`` and ``If-Modified-Since`` are answered with 304, for GET and HEAD
  and a base status of 200 (in Starlette only ``StaticFiles`` does that).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple
from urllib.parse import quote

MAX_RANGES: Final = 100
"""Ranges understood in one Range header; with more, the header is ignored."""

NOT_MODIFIED_HEADERS: Final = frozenset(
    {"cache-control", "content-location", "date", "etag", "expires", "vary"}
)
"""Names of the response headers that a 304 keeps (RFC 9110 section 15.4.5)."""

# Longer than any file offset: 2**64 has 20 digits.
_MAX_DIGITS = 20
_MAX_DATE_LENGTH = 64
_OWS = " \t"
_READ_METHODS = frozenset({"GET", "HEAD"})

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, start=1)}

# Possessive throughout: a run once taken is never given back, so that no input backtracks.
_ENTITY_TAG = re.compile(r'[ \t,]*+(?:W/)?("[\x21\x23-\x7e\x80-\xff]*+")[ \t]*+(?=,|\Z)')
_ZONE = r"[ ]*(?:GMT|UTC|UT|Z|(?P<sign>[+-])(?P<zone_hours>\d{2}):?(?P<zone_minutes>\d{2}))"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})"
_DATE = r"(?:[a-z]{3,9},?[ ]*)?(?P<day>\d{1,2})[ -](?P<month>[a-z]{3})[ -](?P<year>\d{4}|\d{2})"
_DATE_FORMATS = (
    # IMF-fixdate, the RFC 850 form, and what lies between the two; then asctime.
    re.compile(rf"{_DATE}[ ]+{_CLOCK}(?:{_ZONE})?", re.ASCII | re.IGNORECASE),
    re.compile(
        rf"[a-z]{{3}}[ ]+(?P<month>[a-z]{{3}})[ ]+(?P<day>\d\d?)[ ]+{_CLOCK}[ ]+(?P<year>\d{{4}})",
        re.ASCII | re.IGNORECASE,
    ),
)


class MalformedRangeHeader(Exception):
    """The Range header cannot be read; the answer is a 400.

    Args:
        content: what is wrong with it, sent to the client as text.
    """

    __module__ = "lamella.responses"  # where it is found

    def __init__(self, content: str = "Malformed range header.") -> None:
        super().__init__(content)
        self.content = content


class RangeNotSatisfiable(Exception):
    """No range that was asked for lies within the file; the answer is a 416.

    Args:
        max_size: size of the file in bytes, for ``Content-Range: bytes */{max_size}``.
    """

    __module__ = "lamella.responses"

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.max_size = max_size


def parse_range_header(
    value: str, size: int, *, max_ranges: int = MAX_RANGES
) -> list[tuple[int, int]]:
    """Read a Range header for a file of ``size`` bytes.

    Parts that are not ranges at all are passed over, as in Starlette 1.10, and
    so are those that begin beyond the end of the file as long as another one
    remains (RFC 9110 section 14.1.2).

    Args:
        value: the header's value, such as ``bytes=0-99,-5``.
        size: of the file, in bytes.
        max_ranges: with more parts than this the header is ignored.

    Returns:
        ``(start, end)`` pairs, ``end`` not included, ascending, with a gap between
        any two: overlapping and adjacent ranges are merged. Empty when the whole
        file is to be sent: too many ranges, or a suffix of an empty file.

    Raises:
        MalformedRangeHeader: another unit than bytes, no range in it, or a range
            that ends before it starts.
        RangeNotSatisfiable: every range begins beyond the end of the file.
    """
    unit, equals, ranges = value.partition("=")
    if not equals:
        raise MalformedRangeHeader
    if unit.strip(_OWS).lower() != "bytes":
        raise MalformedRangeHeader("Only support bytes range")
    if ranges.count(",") >= max_ranges:
        return []
    specs = [spec for part in ranges.split(",") if (spec := _range_spec(part)) is not None]
    if not specs:
        raise MalformedRangeHeader("Range header: range must be requested")
    if size == 0 and any(first is None and last for first, last in specs):
        return []
    found = [pair for spec in specs if (pair := _within(spec, size)) is not None]
    if not found:
        raise RangeNotSatisfiable(size)
    return _merged(found)


def _range_spec(part: str) -> tuple[int | None, int | None] | None:
    """Read ``first-``, ``first-last`` or ``-suffix``; None for what is none of them."""
    first, dash, last = part.partition("-")
    first, last = first.strip(_OWS), last.strip(_OWS)
    if not dash or not (first or last):
        return None
    if not all(digits == "" or (digits.isascii() and digits.isdigit()) for digits in (first, last)):
        return None
    return _position(first), _position(last)


def _position(digits: str) -> int | None:
    """Turn ASCII digits into a number, at most one that no file reaches."""
    if not digits:
        return None
    significant = digits.lstrip("0")
    # int() refuses more than 4,300 digits, and is quadratic up to there.
    return 10**_MAX_DIGITS if len(significant) > _MAX_DIGITS else int(significant or "0")


def _within(spec: tuple[int | None, int | None], size: int) -> tuple[int, int] | None:
    """Cut one range to the file; None when nothing of it lies inside."""
    first, last = spec
    if first is None:
        start, end = max(size - (last or 0), 0), size
    else:
        start, end = first, size if last is None else min(last + 1, size)
    if start >= size:
        return None
    if start >= end:
        raise MalformedRangeHeader("Range header: start must be less than end")
    return start, end


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sort ranges and join those that touch."""
    ranges.sort()
    merged = [ranges[0]]
    for start, end in ranges:
        last_start, last_end = merged[-1]
        if start <= last_end:
            merged[-1] = (last_start, max(last_end, end))
        else:
            merged.append((start, end))
    return merged


def etag_for(mtime: float, size: int) -> str:
    """Make the strong entity tag of a file, quotes included.

    The value is that of Starlette 1.10, so that caches outlive a move.

    Args:
        mtime: time of the last change, seconds since the epoch, as ``st_mtime`` has it.
        size: in bytes.
    """
    digest = hashlib.md5(f"{mtime}-{size}".encode(), usedforsecurity=False)
    return f'"{digest.hexdigest()}"'


def http_date(timestamp: float) -> str:
    """Write a time as an IMF-fixdate (RFC 9110 section 5.6.7).

    Args:
        timestamp: seconds since the epoch; parts of a second are dropped. A time
            that a date cannot say (file systems hold such) is the epoch.
    """
    try:
        moment = datetime.fromtimestamp(timestamp, UTC)
    except (OverflowError, ValueError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year:04} "
        f"{moment.hour:02}:{moment.minute:02}:{moment.second:02} GMT"
    )


def parse_http_date(value: str, *, this_year: int | None = None) -> int | None:
    """Read a date in any of the three HTTP forms, and in some that are nearly so.

    Understood: IMF-fixdate, RFC 850 and asctime dates (RFC 9110 section 5.6.7);
    also without the weekday, in any case, with a numeric zone or none (GMT is
    meant), and with parameters after a ``;``, which old browsers add.

    Args:
        value: the header's value; more than 64 characters are not a date.
        this_year: what two-digit years are relative to; by default the present one.

    Returns:
        Whole seconds since the epoch, or None for what is not a date.
    """
    if len(value) > _MAX_DATE_LENGTH:
        return None
    text = value.partition(";")[0].strip(_OWS)
    for pattern in _DATE_FORMATS:
        if match := pattern.fullmatch(text):
            return _timestamp(match, this_year)
    return None


def _timestamp(match: re.Match[str], this_year: int | None) -> int | None:
    """Turn the named groups of a date into seconds; None when there is no such day."""
    month = _MONTH_NUMBERS.get(match["month"].lower())
    if month is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == len("YY"):
        year = _full_year(year, time.gmtime().tm_year if this_year is None else this_year)
    clock = int(match["hour"]), int(match["minute"]), min(int(match["second"]), 59)
    try:
        moment = datetime(year, month, int(match["day"]), *clock, tzinfo=_zone(match))
        return int(moment.timestamp())
    except (ValueError, OverflowError):
        return None


def _zone(match: re.Match[str]) -> timezone:
    """Give the zone of a date: UTC unless it is written as a number."""
    groups = match.groupdict()
    if not groups.get("sign"):
        return UTC
    offset = timedelta(hours=int(groups["zone_hours"]), minutes=int(groups["zone_minutes"]))
    return timezone(-offset if groups["sign"] == "-" else offset)


def _full_year(two_digits: int, this_year: int) -> int:
    """Complete a two-digit year: never over 50 years ahead (RFC 9110 section 5.6.7)."""
    year = this_year - this_year % 100 + two_digits
    return year - 100 if year > this_year + 50 else year


def should_use_range(if_range: str | None, etag: str | None, last_modified: str | None) -> bool:
    """Tell whether If-Range lets the Range header count (RFC 9110 section 13.1.5).

    Args:
        if_range: the header's value, or None when there is none.
        etag: the entity tag of the file as it is now.
        last_modified: its Last-Modified value.

    Returns:
        True without the header, or when it equals one of the two to the letter;
        a weak tag never does (as Starlette 1.10).
    """
    if if_range is None:
        return True
    return not if_range.startswith("W/") and if_range in (etag, last_modified)


def not_modified(
    if_none_match: str | None,
    if_modified_since: str | None,
    etag: str | None,
    last_modified: str | None,
) -> bool:
    """Tell whether the client's copy is still good, so that a 304 will do.

    If-None-Match decides alone where it is present, by weak comparison
    (RFC 9110 sections 13.1.2 and 13.2.2); else If-Modified-Since does
    (section 13.1.3). A value that cannot be read never makes a 304.

    Args:
        if_none_match: that header's value or None: ``*``, or entity tags.
        if_modified_since: that header's value or None.
        etag: the entity tag of the file, or None when it has none.
        last_modified: its Last-Modified value, or None when it has none.
    """
    if if_none_match is not None:
        if if_none_match.strip(_OWS) == "*":
            return True
        return etag is not None and etag.removeprefix("W/") in _entity_tags(if_none_match)
    if if_modified_since is None or last_modified is None:
        return False
    since, modified = parse_http_date(if_modified_since), parse_http_date(last_modified)
    return since is not None and modified is not None and modified <= since


def _entity_tags(value: str) -> Iterable[str]:
    """Yield the quoted parts of a list of entity tags, up to the first that is none."""
    position = 0
    while match := _ENTITY_TAG.match(value, position):
        yield match[1]
        position = match.end()


def multipart_ranges(
    ranges: Sequence[tuple[int, int]], boundary: str, size: int, content_type: str
) -> tuple[int, Callable[[int, int], bytes]]:
    r"""Lay out a ``multipart/byteranges`` body (RFC 9110 section 14.6).

    On the wire, as in Starlette 1.10: for each range its header, its bytes and
    ``\r\n``; after the last one ``multipart_end(boundary)``.

    Args:
        ranges: ``(start, end)`` pairs, ``end`` not included.
        boundary: without the leading dashes.
        size: of the whole file, in bytes.
        content_type: of the file.

    Returns:
        The length of the whole body in bytes, and a function that gives the
        header to send before the bytes of the range ``(start, end)``.
    """
    opening = f"--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes "

    def part_header(start: int, end: int) -> bytes:
        return f"{opening}{start}-{end - 1}/{size}\r\n\r\n".encode("latin-1")

    parts = sum(len(part_header(start, end)) + end - start + 2 for start, end in ranges)
    return parts + len(multipart_end(boundary)), part_header


def multipart_end(boundary: str) -> bytes:
    """Give the line that closes a multipart body; nothing follows it."""
    return f"--{boundary}--".encode("latin-1")


def content_disposition(disposition_type: str, filename: str) -> str:
    """Make a Content-Disposition value that names a file (RFC 6266).

    A name with anything but plain ASCII letters, digits and ``_.-~/`` is sent
    percent-encoded as ``filename*``, as in Starlette 1.10: quotes and line ends
    cannot leave the value. What has no UTF-8 form becomes ``?``.

    Args:
        disposition_type: ``attachment`` or ``inline``.
        filename: any text.
    """
    quoted = quote(filename, errors="replace")
    if quoted == filename:
        return f'{disposition_type}; filename="{filename}"'
    return f"{disposition_type}; filename*=utf-8''{quoted}"


class FileFacts(NamedTuple):
    """What is known of a file before it is opened; see ``file_facts``.

    Attributes:
        size: in bytes.
        content_type: the value of the response's Content-Type.
        etag: the value of the response's ETag, None when it has none.
        last_modified: the value of the response's Last-Modified, None when it has none.
    """

    size: int
    content_type: str
    etag: str | None
    last_modified: str | None


def file_facts(size: int, mtime: float, content_type: str) -> FileFacts:
    """Gather the facts of a file from its ``st_size`` and ``st_mtime``.

    A response whose user has set an ETag or Last-Modified of their own builds
    ``FileFacts`` from those instead, for they are what clients send back.
    """
    return FileFacts(size, content_type, etag_for(mtime, size), http_date(mtime))


class FilePlan(NamedTuple):
    """How a file answers one request.

    Attributes:
        status: the base status (200 by default), 206, 304, 400 or 416.
        headers: (lower-case name, value) pairs to set on the answer, in the place
            of those of the same name. On a 304 keep none of the others but
            ``NOT_MODIFIED_HEADERS``; on a 400 or 416 keep none at all.
        ranges: ``(start, end)`` pairs to send, ``end`` not included; empty when no
            byte of the file is sent.
        content_length: of the answer to a GET, in bytes; None for a 304.
        text: of a 400 or 416, to be sent as plain text; None when the file is answered.
        boundary: of a multipart answer, else None.
        part_header: gives the header of each part of a multipart answer, else None.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    ranges: tuple[tuple[int, int], ...] = ()
    content_length: int | None = None
    text: str | None = None
    boundary: str | None = None
    part_header: Callable[[int, int], bytes] | None = None


def plan_file(
    method: str,
    headers: Mapping[str, str],
    facts: FileFacts,
    *,
    make_boundary: Callable[[], str],
    status: int = 200,
    max_ranges: int = MAX_RANGES,
    conditions: bool = True,
) -> FilePlan:
    """Decide how a file answers a request, in the order of RFC 9110 section 13.2.2.

    Conditions and ranges count for GET and HEAD and a base status of 200 alone.
    Unlike Starlette 1.10's FileResponse, which leaves that to StaticFiles, a copy
    that is still good is answered with 304.

    Args:
        method: of the request, in any case.
        headers: of the request, by lower-case name.
        facts: of the file.
        make_boundary: called for a multipart answer alone: a random token.
        status: of an answer that sends the whole file.
        max_ranges: see ``parse_range_header``.
        conditions: whether a copy that is still good makes a 304.
    """
    method = method.upper()
    whole = _whole_plan(facts, status, method)
    if status != 200 or method not in _READ_METHODS:
        return whole
    if conditions and not_modified(
        headers.get("if-none-match"),
        headers.get("if-modified-since"),
        facts.etag,
        facts.last_modified,
    ):
        return FilePlan(304)
    wanted = headers.get("range")
    if wanted is None or not should_use_range(
        headers.get("if-range"), facts.etag, facts.last_modified
    ):
        return whole
    try:
        ranges = parse_range_header(wanted, facts.size, max_ranges=max_ranges)
    except MalformedRangeHeader as exc:
        return FilePlan(400, content_length=len(exc.content.encode()), text=exc.content)
    except RangeNotSatisfiable as exc:
        content_range = ("content-range", f"bytes */{exc.max_size}")
        return FilePlan(416, (content_range,), content_length=0, text="")
    if not ranges:
        return whole
    plan = (
        _single_plan(ranges, facts)
        if len(ranges) == 1
        else _multi_plan(ranges, facts, make_boundary())
    )
    return plan._replace(ranges=()) if method == "HEAD" else plan


def _whole_plan(facts: FileFacts, status: int, method: str) -> FilePlan:
    """Plan to send all of the file, from the first byte to the last."""
    ranges = () if method == "HEAD" or facts.size == 0 else ((0, facts.size),)
    return FilePlan(status, ranges=ranges, content_length=facts.size)


def _single_plan(ranges: Sequence[tuple[int, int]], facts: FileFacts) -> FilePlan:
    """Plan to send one range (RFC 9110 section 15.3.7.1)."""
    ((start, end),) = ranges
    length = end - start
    headers = (
        ("content-range", f"bytes {start}-{end - 1}/{facts.size}"),
        ("content-length", str(length)),
    )
    return FilePlan(206, headers, ((start, end),), length)


def _multi_plan(ranges: Sequence[tuple[int, int]], facts: FileFacts, boundary: str) -> FilePlan:
    """Plan to send several ranges, each a part (RFC 9110 section 15.3.7.2)."""
    length, part_header = multipart_ranges(ranges, boundary, facts.size, facts.content_type)
    headers = (
        ("content-type", f"multipart/byteranges; boundary={boundary}"),
        ("content-length", str(length)),
    )
    return FilePlan(206, headers, tuple(ranges), length, boundary=boundary, part_header=part_header)
