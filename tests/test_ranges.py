"""Conditions, ranges and the plan of a file response, beside Starlette's own."""

import asyncio
import os
import pickle
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import starlette.responses
from hypothesis import given, settings
from hypothesis import strategies as st

from lamella._ranges import (
    MAX_RANGES,
    NOT_MODIFIED_HEADERS,
    FileFacts,
    FilePlan,
    MalformedRangeHeader,
    RangeNotSatisfiable,
    content_disposition,
    etag_for,
    file_facts,
    http_date,
    multipart_end,
    multipart_ranges,
    not_modified,
    parse_http_date,
    parse_range_header,
    plan_file,
    should_use_range,
)

PEER = starlette.responses.FileResponse
BOUNDARY = "0123456789abcdef0123456789"
CONTENT = bytes(range(100))
# A moment with a fraction, as file systems have it.
MTIME_NS = 1_700_000_000_123_456_789
SATURDAY = 784_111_777  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110

reproducible = settings(derandomize=True, deadline=None, max_examples=300)


def outcome(parse: Any, *args: Any) -> Any:
    """Give what a range parser returns, or which error it raises with what."""
    try:
        return parse(*args)
    except Exception as exc:
        return type(exc).__name__, vars(exc)


# --- the Range header


SAME_AS_STARLETTE = [
    "bytes=0-",
    "bytes=0-0",
    "bytes=0-9",
    "bytes=99-",
    "bytes=98-98",
    "bytes=100-",
    "bytes=100-200",
    "bytes=0-999",
    "bytes=-1",
    "bytes=-5",
    "bytes=-200",
    "bytes=-0",
    "bytes=5-2",
    "bytes=200-100",
    "bytes=0-1,2-3",
    "bytes=0-1,1-3",
    "bytes=0-1,3-4",
    "bytes=50-60,0-9",
    "bytes=0-9,0-9",
    "bytes=0-50,10-20,15-70",
    "bytes=-5,0-0",
    "bytes=0-9,5-2",
    "bytes=200-,300-",
    "bytes=",
    "bytes=,",
    "bytes=-",
    "bytes=0-1,,",
    "bytes=0-1,-",
    "bytes=5",
    "bytes=a-b",
    "bytes=abc,0-1",
    "bytes=0-1-2",
    "bytes=0-5;",
    "bytes==0-1",
    "bytes= 0 - 5 ",
    "bytes=\t0-1\t",
    " bytes =0-1",
    "BYTES=0-1",
    "bytes=007-009",
    "bytes",
    "",
    "=0-1",
    "items=0-1",
    "0-1",
    "bytes=" + ",".join(["0-0"] * 100),
    "bytes=" + ",".join(["0-0"] * 101),
    "bytes=" + "," * 101,
    "items=" + "," * 101,
]


@pytest.mark.parametrize("value", SAME_AS_STARLETTE, ids=lambda value: repr(value)[:40])
def test_range_header_is_read_as_starlette_reads_it(value: str) -> None:
    """A client that worked with a moved app goes on working."""
    assert outcome(PEER._parse_range_header, value, 100) == outcome(parse_range_header, value, 100)


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-0", "bytes=5-2", "bytes=-0", "bytes=9-,-0"])
def test_no_position_of_an_empty_file_can_be_satisfied(value: str) -> None:
    """There is no first byte to send; the size in the 416 is 0 (as Starlette 1.10)."""
    expected = ("RangeNotSatisfiable", {"max_size": 0})
    assert expected == outcome(parse_range_header, value, 0)
    assert expected == outcome(PEER._parse_range_header, value, 0)


@pytest.mark.parametrize("value", ["bytes=-5", "bytes=0-0,-5", "bytes=-0,-1"])
def test_suffix_of_an_empty_file_is_all_of_it(value: str) -> None:
    """RFC 9110 14.1.2 calls it satisfiable, and no Content-Range can say so."""
    assert [] == parse_range_header(value, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-1,200-300", [(0, 2)]),
        ("bytes=200-300,0-1", [(0, 2)]),
        ("bytes=-0,0-1", [(0, 2)]),
        ("bytes=100-,-1,500-", [(99, 100)]),
        ("bytes=0-1,200-300,5-6", [(0, 2), (5, 7)]),
        ("bytes=200-100,0-1", [(0, 2)]),
    ],
)
def test_one_satisfiable_range_of_several_is_enough(
    value: str, expected: list[tuple[int, int]]
) -> None:
    """RFC 9110 14.1.2; Starlette 1.10 answers 416."""
    assert expected == parse_range_header(value, 100)
    assert outcome(PEER._parse_range_header, value, 100)[0] == "RangeNotSatisfiable"


@pytest.mark.parametrize("part", ["+1-5", "1_0-20", "٣-٥", "²-5", "1-+5", "0--5", "--5", "0x1-5"])
def test_positions_are_ascii_digits(part: str) -> None:
    """What int() would take beside them is not a range (RFC 9110 14.1.1)."""
    expected = ("MalformedRangeHeader", {"content": "Range header: range must be requested"})
    assert expected == outcome(parse_range_header, f"bytes={part}", 100)
    assert [(7, 8)] == parse_range_header(f"bytes={part},7-7", 100)


@pytest.mark.parametrize("count", [21, 4_301, 1_000_000])
def test_positions_of_any_length_are_understood(count: int) -> None:
    """int() raises beyond 4,300 digits and is quadratic before; neither may be felt."""
    huge = "9" * count
    assert [(5, 100)] == parse_range_header(f"bytes=5-{huge}", 100)
    assert [(0, 100)] == parse_range_header(f"bytes=-{huge}", 100)
    assert [(7, 9)] == parse_range_header(f"bytes={'0' * count}7-8", 100)
    assert ("RangeNotSatisfiable", {"max_size": 100}) == outcome(
        parse_range_header, f"bytes={huge}-{huge}", 100
    )


def test_number_of_ranges_is_capped() -> None:
    """Over the cap the header is ignored, as Starlette's `max_ranges` does."""
    spread = [f"{2 * n}-{2 * n}" for n in range(MAX_RANGES + 1)]
    assert MAX_RANGES == PEER.max_ranges
    assert MAX_RANGES == len(parse_range_header("bytes=" + ",".join(spread[:-1]), 1_000))
    assert [] == parse_range_header("bytes=" + ",".join(spread), 1_000)
    assert [] == parse_range_header("bytes=0-0,2-2", 1_000, max_ranges=1)


positions = st.integers(0, 130)
specs = st.one_of(
    st.builds("{}-{}".format, positions, positions),
    st.builds("{}-".format, positions),
    st.builds("-{}".format, positions),
    st.sampled_from(["", "-", "x", "1", "1-2-3", " 4 - 9 "]),
)


@reproducible
@given(st.lists(specs, min_size=1, max_size=8).map(",".join), st.integers(1, 120))
def test_any_ranges_are_those_of_starlette_unless_it_refuses_too_much(
    value: str, size: int
) -> None:
    """The one allowed difference: Starlette says 416 although a range begins inside."""
    ours = outcome(parse_range_header, f"bytes={value}", size)
    theirs = outcome(PEER._parse_range_header, f"bytes={value}", size)
    if ours != theirs:
        assert theirs == ("RangeNotSatisfiable", {"max_size": size})
        starts = [start for start, _ in PEER._parse_ranges(value, size)]
        assert any(start < size for start in starts)


@reproducible
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), min_size=1, max_size=20))
def test_merged_ranges_are_ordered_apart_and_the_same_bytes(pairs: list[tuple[int, int]]) -> None:
    """The invariant the multipart answer rests on, checked against a set of positions."""
    header = "bytes=" + ",".join(f"{start}-{start + extra}" for start, extra in pairs)
    merged = parse_range_header(header, 100)
    wanted = {byte for start, extra in pairs for byte in range(start, start + extra + 1)}
    assert wanted == {byte for start, end in merged for byte in range(start, end)}
    assert all(end < start for (_, end), (start, _) in zip(merged, merged[1:], strict=False))


@reproducible
@given(st.text(max_size=200), st.integers(0, 50))
def test_no_header_raises_anything_else(value: str, size: int) -> None:
    """Bad input from the network is a 4xx, never a 500."""
    for text in (value, f"bytes={value}"):
        got = outcome(parse_range_header, text, size)
        assert isinstance(got, list) or got[0] in {"MalformedRangeHeader", "RangeNotSatisfiable"}


def test_errors_have_the_names_and_arguments_of_starlette() -> None:
    """Code that catches or raises them moves unchanged."""
    for ours, theirs in (
        (MalformedRangeHeader, starlette.responses.MalformedRangeHeader),
        (RangeNotSatisfiable, starlette.responses.RangeNotSatisfiable),
    ):
        assert ours.__name__ == theirs.__name__
    assert vars(starlette.responses.MalformedRangeHeader()) == vars(MalformedRangeHeader())
    assert MalformedRangeHeader("no").content == "no"
    assert RangeNotSatisfiable(max_size=7).max_size == 7
    assert pickle.loads(pickle.dumps(RangeNotSatisfiable(7))).max_size == 7


# --- validators and dates


def peer_headers(mtime: float, size: int) -> Mapping[str, str]:
    """Give the headers Starlette's FileResponse derives from a stat result."""
    stat_result: Any = SimpleNamespace(st_mtime=mtime, st_size=size)
    return PEER("x.bin", stat_result=stat_result).headers


@reproducible
@given(st.one_of(st.floats(-6e10, 2.5e11), st.integers(0, 2**33)), st.integers(min_value=0))
def test_etag_and_date_of_a_file_are_those_of_starlette(mtime: float, size: int) -> None:
    """The same validators, so that every cache outlives the move."""
    theirs = peer_headers(mtime, size)
    assert theirs["etag"] == etag_for(mtime, size)
    assert theirs["last-modified"] == http_date(mtime)


def test_http_date_is_the_example_of_the_rfc() -> None:
    """RFC 9110 5.6.7, against a slip shared with the peer."""
    assert http_date(SATURDAY) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("timestamp", [1e18, -1e18, float("inf"), float("nan")])
def test_time_that_no_date_can_say_is_the_epoch(timestamp: float) -> None:
    """A file with a broken time is still served."""
    assert http_date(timestamp) == "Thu, 01 Jan 1970 00:00:00 GMT"


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "sun, 06 nov 1994 08:49:37 gmt",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 8:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 09:49:37 +01:00",
        "Sun, 06 Nov 1994 03:19:37 -0530",
        "  Sun, 06 Nov 1994 08:49:37 GMT\t",
        "Sun, 06 Nov 1994 08:49:37 GMT; length=1234",
    ],
)
def test_dates_are_read_in_every_form_in_use(text: str) -> None:
    """The three forms of RFC 9110 5.6.7 and what real clients send beside them."""
    assert parse_http_date(text) == SATURDAY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "yesterday",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nok 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9900",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994",
        "Sun, 06 Nov ١٩٩٤ 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        " " * 1_000_000 + "x",
    ],
    ids=lambda text: text[:40],
)
def test_what_is_not_a_date_is_none(text: str) -> None:
    """A condition that cannot be read has to be ignored (RFC 9110 13.1.3)."""
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    ("this_year", "two_digits", "year"),
    [
        (1994, "94", 1994),
        (2026, "76", 2076),
        (2026, "77", 1977),
        (2026, "00", 2000),
        (2099, "01", 2001),
    ],
)
def test_two_digit_years_are_at_most_fifty_years_ahead(
    this_year: int, two_digits: str, year: int
) -> None:
    """RFC 9110 5.6.7 has recipients complete them so."""
    short = f"Sunday, 06-Nov-{two_digits} 08:49:37 GMT"
    full = f"Sun, 06 Nov {year} 08:49:37 GMT"
    assert parse_http_date(full) == parse_http_date(short, this_year=this_year)


def test_leap_second_is_a_time() -> None:
    """The grammar allows :60 (RFC 9110 5.6.7), the calendar of Python does not."""
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == 1_483_228_799


@reproducible
@given(st.integers(-60_000_000_000, 250_000_000_000))
def test_written_dates_are_read_back(timestamp: int) -> None:
    """Last-Modified comes back as If-Modified-Since."""
    assert parse_http_date(http_date(timestamp)) == timestamp
    assert parse_http_date(formatdate(timestamp, usegmt=True)) == timestamp


@reproducible
@given(st.text(st.sampled_from("SunNov, 0123456789:-+GMT;\x00é"), max_size=70))
def test_no_text_makes_the_date_reader_raise(text: str) -> None:
    """Bad input from the network is ignored, never a 500."""
    assert parse_http_date(text) is None or isinstance(parse_http_date(text), int)


# --- conditions

ETAG = '"abc"'
DATE = http_date(SATURDAY)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, True),
        (ETAG, True),
        (DATE, True),
        ('"other"', False),
        ('W/"abc"', False),
        ("abc", False),
        (http_date(SATURDAY + 1), False),
        (http_date(SATURDAY - 1), False),
        ("Sunday, 06-Nov-94 08:49:37 GMT", False),
        ('"abc", "other"', False),
        ("", False),
    ],
)
def test_if_range_has_to_match_to_the_letter(value: str | None, expected: bool) -> None:
    """Bytes of another version must never be glued to the client's (RFC 9110 13.1.5)."""
    assert expected == should_use_range(value, ETAG, DATE)


def test_weak_etag_of_the_file_never_matches_if_range() -> None:
    """If-Range asks for strong comparison (RFC 9110 13.1.5)."""
    assert not should_use_range('W/"abc"', 'W/"abc"', None)
    assert not should_use_range("", None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"abc"', True),
        ('W/"abc"', True),
        ("*", True),
        (" * ", True),
        ('"x", "abc"', True),
        ('"x","abc","y"', True),
        ('W/"x" , W/"abc"', True),
        (', ,"abc",', True),
        ('"a,b", "abc"', True),
        ('"é", "abc"', True),
        ('"x"', False),
        ("abc", False),
        ('w/"abc"', False),
        ('W/ "abc"', False),
        ('"abc', False),
        ('abc"', False),
        ('"x,"abc"', False),
        ('"x""abc"', False),
        ('"x" "abc"', False),
        ('"a b", "abc"', False),
        ('*, "x"', False),
        ('""', False),
        ("", False),
        (",", False),
    ],
)
def test_if_none_match_compares_weakly_and_reads_lists(value: str, expected: bool) -> None:
    """RFC 9110 13.1.2: commas belong to a tag, garbage ends the list."""
    assert expected == not_modified(value, None, ETAG, DATE)
    assert expected == not_modified(value, None, f"W/{ETAG}", DATE)


def test_empty_tag_is_a_tag() -> None:
    """RFC 9110 8.8.3 allows it, and its own examples have it."""
    assert not_modified('""', None, '""', None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DATE, True),
        ("Sunday, 06-Nov-94 08:49:37 GMT", True),
        (http_date(SATURDAY + 1), True),
        (http_date(SATURDAY - 1), False),
        ("garbage", False),
        ("", False),
    ],
)
def test_if_modified_since_compares_times(value: str, expected: bool) -> None:
    """RFC 9110 13.1.3; what is not a date is ignored."""
    assert expected == not_modified(None, value, ETAG, DATE)


def test_if_none_match_wins_over_if_modified_since() -> None:
    """RFC 9110 13.2.2: the date is not looked at, whatever it says."""
    assert not not_modified('"other"', DATE, ETAG, DATE)
    assert not not_modified("", DATE, ETAG, DATE)
    assert not_modified(ETAG, http_date(0), ETAG, DATE)


def test_missing_validators_never_make_a_304() -> None:
    """Without a tag or a date there is nothing to compare with."""
    assert not not_modified(None, None, ETAG, DATE)
    assert not not_modified(ETAG, None, None, DATE)
    assert not not_modified(None, DATE, ETAG, None)
    assert not not_modified(None, DATE, ETAG, "garbage")


@pytest.mark.parametrize(
    "unit", ['"', ",", " ", "W/", 'W/"', '"a', '", "', " ,", '"a" ', '"a",', "*"]
)
def test_long_if_none_match_takes_linear_time(unit: str) -> None:
    """A megabyte of any of these ends at once; backtracking would pass the test's time limit."""
    value = unit * (1_000_000 // len(unit))
    assert not not_modified(value, None, ETAG, DATE)
    assert not not_modified(f'"x{value}', None, ETAG, DATE)


# --- what is put on the wire


@reproducible
@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 10**9)), max_size=20),
    st.text("abc0123", min_size=1, max_size=70),
    st.sampled_from(["text/plain; charset=utf-8", "image/png", "x/\xe9"]),
)
def test_multipart_layout_is_that_of_starlette(
    pairs: list[tuple[int, int]], boundary: str, content_type: str
) -> None:
    """Part for part the same bytes, and the same Content-Length."""
    ranges = [(start, start + length) for start, length in pairs]
    length, header = multipart_ranges(ranges, boundary, 10**13, content_type)
    peer_length, peer_header = PEER.generate_multipart(
        PEER("x", stat_result=Path().stat()), ranges, boundary, 10**13, content_type
    )
    assert peer_length == length
    assert [peer_header(*pair) for pair in ranges] == [header(*pair) for pair in ranges]


def test_multipart_length_is_the_length_of_the_body() -> None:
    """Against a slip shared with the peer: the body is built and measured."""
    ranges = [(0, 10), (95, 100)]
    length, header = multipart_ranges(ranges, BOUNDARY, 100, "text/plain")
    body = b"".join(header(start, end) + CONTENT[start:end] + b"\r\n" for start, end in ranges)
    assert len(body + multipart_end(BOUNDARY)) == length
    assert header(95, 100) == (
        b"--0123456789abcdef0123456789\r\n"
        b"Content-Type: text/plain\r\nContent-Range: bytes 95-99/100\r\n\r\n"
    )


@reproducible
@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["attachment", "inline"]))
def test_content_disposition_is_that_of_starlette(name: str, kind: str) -> None:
    """The name a download gets does not change with the move."""
    response = PEER("x", filename=name, content_disposition_type=kind)
    assert response.headers["content-disposition"] == content_disposition(kind, name)


@pytest.mark.parametrize(
    "name", ["a\r\nset-cookie: x=1", 'a"; filename="b', "a\x00b", "ü\n", "\udcff"]
)
def test_file_name_cannot_leave_its_value(name: str) -> None:
    """Names come from users: no line end, quote or lone surrogate gets through."""
    value = content_disposition("attachment", name)
    start = "attachment; filename*=utf-8''"
    assert value.startswith(start)
    assert value.isascii()
    assert not set(value.removeprefix(start)) & set("\r\n\x00\"'; ")


# --- the plan, played beside Starlette's FileResponse


class Answer(NamedTuple):
    """What a client gets."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def request_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Encode headers as a scope has them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def starlette_answer(path: Path, method: str, headers: Mapping[str, str], **options: Any) -> Answer:
    """Run Starlette's real FileResponse and gather its messages."""
    messages: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("not read at spec version 2.4")

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": method,
        "headers": request_headers(headers),
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }
    asyncio.run(PEER(path, **options)(scope, receive, send))
    start, *bodies = messages
    assert [True] * (len(bodies) - 1) + [False] == [body.get("more_body", False) for body in bodies]
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(start["status"], pairs, b"".join(body["body"] for body in bodies))


def played(plan: FilePlan, base: list[tuple[str, str]], method: str) -> Answer:
    """Carry a plan out as a response class would."""
    if plan.text is not None:
        body = plan.text.encode()
        fresh = {**dict(plan.headers), "content-length": str(plan.content_length)}
        return Answer(plan.status, list({**fresh, "content-type": TEXT}.items()), body)
    headers = {**dict(base), **dict(plan.headers)}
    parts: list[bytes] = []
    for start, end in plan.ranges:
        if plan.part_header is None:
            parts.append(CONTENT[start:end])
        else:
            parts += [plan.part_header(start, end), CONTENT[start:end], b"\r\n"]
    if plan.boundary is not None and method != "HEAD":
        parts.append(multipart_end(plan.boundary))
    assert str(plan.content_length) == headers["content-length"]
    return Answer(plan.status, list(headers.items()), b"".join(parts))


TEXT = "text/plain; charset=utf-8"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of 100 bytes with a known time, and a known multipart boundary."""
    monkeypatch.setattr(starlette.responses, "token_hex", lambda size: BOUNDARY)
    file = tmp_path / "data.png"
    file.write_bytes(CONTENT)
    os.utime(file, ns=(MTIME_NS, MTIME_NS))
    return file


def facts_of(path: Path) -> FileFacts:
    """Take the facts of the test's file as a response would."""
    stat = path.stat()
    return file_facts(stat.st_size, stat.st_mtime, "image/png")


FACTS = file_facts(100, MTIME_NS / 1e9, "image/png")
assert FACTS.etag is not None
assert FACTS.last_modified is not None

REQUESTS: list[dict[str, str]] = [
    {},
    {"range": "bytes=0-9"},
    {"range": "bytes=10-10"},
    {"range": "bytes=-7"},
    {"range": "bytes=50-"},
    {"range": "bytes=0-99"},
    {"range": "bytes=0-9,20-29"},
    {"range": "bytes=90-,0-0,40-50"},
    {"range": "bytes=0-9,5-20"},
    {"range": "bytes=0-9,10-20"},
    {"range": "bytes=100-"},
    {"range": "bytes=-0"},
    {"range": "bytes=9-3"},
    {"range": "bytes=x"},
    {"range": "lines=0-1"},
    {"range": "nonsense"},
    {"range": ""},
    {"range": "bytes=" + ",".join(["0-0"] * 101)},
    {"range": "bytes=0-9", "if-range": "*"},
    {"range": "bytes=0-9", "if-range": '"other"'},
    {"range": "bytes=0-9", "if-range": FACTS.etag},
    {"range": "bytes=0-9,20-29", "if-range": FACTS.etag},
    {"range": "bytes=0-9", "if-range": "W/" + FACTS.etag},
    {"range": "bytes=0-9", "if-range": FACTS.last_modified},
    {"range": "bytes=0-9", "if-range": http_date(0)},
    {"range": "bytes=100-", "if-range": '"other"'},
    {"if-range": FACTS.etag},
]


@pytest.mark.parametrize("status", [200, 404, 206])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "get"])
@pytest.mark.parametrize("headers", REQUESTS, ids=lambda headers: repr(headers)[:60])
def test_plan_answers_as_starlette_does(
    path: Path, method: str, headers: dict[str, str], status: int
) -> None:
    """Status, headers and body are those that Starlette's FileResponse sends."""
    facts = facts_of(path)
    base = starlette_answer(path, "GET", {}, status_code=200).headers
    plan = plan_file(method, headers, facts, make_boundary=lambda: BOUNDARY, status=status)
    expected = starlette_answer(path, method, headers, status_code=status)
    actual = played(plan, base, method)
    if plan.text is None:
        assert expected == actual
    else:
        assert (expected.status, expected.body) == (actual.status, actual.body)
        assert sorted(expected.headers) == sorted(actual.headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", [{}, {"range": "bytes=0-"}], ids=["whole", "range"])
def test_plan_for_an_empty_file_is_that_of_starlette(
    path: Path, method: str, headers: dict[str, str]
) -> None:
    """Nothing to send is a length of 0, and any position in it a 416."""
    path.write_bytes(b"")
    plan = plan_file(method, headers, facts_of(path), make_boundary=str)
    expected = starlette_answer(path, method, headers)
    assert (expected.status, expected.body) == (plan.status, b"")
    assert dict(expected.headers)["content-length"] == str(plan.content_length)
    assert plan.ranges == ()


def plan(headers: Mapping[str, str], **options: Any) -> FilePlan:
    """Plan a GET, with no multipart answer in sight."""
    options = {"method": "GET", "facts": FACTS, "make_boundary": lambda: 1 / 0, **options}
    return plan_file(headers=headers, **options)


COPIES_THAT_ARE_GOOD: list[dict[str, str]] = [
    {"if-none-match": FACTS.etag},
    {"if-none-match": f'W/{FACTS.etag}, "x"'},
    {"if-none-match": "*"},
    {"if-modified-since": FACTS.last_modified},
    {"if-modified-since": "Fri, 31 Dec 2100 00:00:00 GMT"},
    {"if-none-match": FACTS.etag, "range": "bytes=0-9"},
    {"if-none-match": FACTS.etag, "range": "bytes=900-"},
    {"if-none-match": FACTS.etag, "range": "bytes=0-9", "if-range": '"other"'},
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "head"])
@pytest.mark.parametrize("headers", COPIES_THAT_ARE_GOOD, ids=repr)
def test_copy_that_is_still_good_is_answered_with_304(method: str, headers: dict[str, str]) -> None:
    """A difference on purpose; conditions come before ranges (RFC 9110 13.2.2)."""
    assert FilePlan(304) == plan(headers, method=method)


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 200), ("GET", 404), ("GET", 206), ("HEAD", 500)]
)
def test_conditions_count_for_a_read_that_succeeds_alone(method: str, status: int) -> None:
    """An error page with a good copy is still an error (RFC 9110 13.2.1)."""
    got = plan({"if-none-match": "*"}, method=method, status=status)
    assert status == got.status


def test_copy_that_is_stale_is_sent_anew() -> None:
    """Neither condition holds: the whole file, or the range asked for."""
    stale = {"if-none-match": '"other"', "if-modified-since": FACTS.last_modified or ""}
    assert FilePlan(200, ranges=((0, 100),), content_length=100) == plan(stale)
    assert plan({**stale, "range": "bytes=0-4"}).ranges == ((0, 5),)


def test_validators_set_by_the_user_are_the_ones_compared() -> None:
    """They are what clients send back; without any there are no conditions."""
    own = FACTS._replace(etag='W/"own"', last_modified=None)
    assert plan({"if-none-match": '"own"'}, facts=own).status == 304
    assert plan({"if-modified-since": DATE}, facts=own).status == 200
    assert plan({"range": "bytes=0-4", "if-range": 'W/"own"'}, facts=own).status == 200


def test_boundary_is_made_for_a_multipart_answer_alone() -> None:
    """Randomness costs a system call, and most requests have no range."""
    for headers in ({}, {"range": "bytes=0-1"}, {"range": "bytes=x"}, {"if-none-match": "*"}):
        plan(headers)
    with pytest.raises(ZeroDivisionError):
        plan({"range": "bytes=0-1,5-6"})


def test_cap_on_ranges_can_be_set() -> None:
    """FileResponse.max_ranges is an attribute that subclasses set, as in Starlette."""
    assert plan({"range": "bytes=0-1,5-6"}, max_ranges=1).status == 200


def test_headers_a_304_keeps_are_those_of_starlette() -> None:
    """RFC 9110 15.4.5 names them."""
    from starlette.staticfiles import NotModifiedResponse

    assert frozenset(NotModifiedResponse.NOT_MODIFIED_HEADERS) == NOT_MODIFIED_HEADERS
