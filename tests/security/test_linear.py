"""Time and memory of every parser that a client's bytes reach: linear, with small factors.

Python's own steps are counted, for two lengths. What happens inside regular expressions cannot be:
there 128 kB are parsed, for which anything quadratic would take several times the limit of 20 s.
Units are chosen to look like the beginning of what a parser waits for, again and again.
"""

import asyncio
import sys
import tracemalloc
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamella import _multipart, _ranges, formparsers
from lamella._headers import parse_host
from lamella._paths import compile_path
from lamella.datastructures import URL, Headers, QueryParams
from lamella.formparsers import FormParser
from lamella.middleware import cors
from lamella.middleware.gzip import takes_gzip
from lamella.requests import Request, cookie_parser
from lamella.responses import Response
from tests.parity.drive import http_scope

SIZE = 1 << 17
# Bytes held for each byte that came in, at the most; of a body that comes in byte by byte; and of a
# query, of which servers take 64 kB or so.
MEMORY = 64
MEMORY_OF_TINY_CHUNKS = 128
MEMORY_OF_QUERY = 256


def url_of(**scope):
    url = URL(scope={**http_scope(), **scope})
    return str(url), url.path, url.query, url.port, url.include_query_params(a="b")


def form_of(body):
    async def stream():
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async def parse():
        try:
            return await FormParser(Headers(), stream()).parse()
        except formparsers.MultiPartException:
            return None

    return asyncio.run(parse())


def multipart_of(body):
    parser = _multipart.MultipartBody("multipart/form-data; boundary=B")
    head = b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
    try:
        for piece in (head, body, b"\r\n--B--\r\n"):
            for _ in parser.feed(piece):
                pass
        parser.end()
    except formparsers.MultiPartException:
        pass


def ranges_of(value):
    try:
        _ranges.parse_range_header(value, 1 << 40, max_ranges=10**9)
    except (_ranges.MalformedRangeHeader, _ranges.RangeNotSatisfiable):
        pass


def matches(template):
    pattern, _, convertors = compile_path(template)
    return lambda path: pattern.params("/" + path, convertors)


PARSERS = {
    "cookies": (cookie_parser, [";", "=", "a;", "a=b;", 'a="\\"";', '"', "\\", "\\0", "\\012"]),
    "quoted cookie": (lambda text: cookie_parser(f'a="{text}"'), ['"', "\\", "\\0", "\\012", ";"]),
    "host": (parse_host, ["a", "%41", "%", "[", "::", "1.", "@", "a:", "9", "."]),
    "IP literal": (lambda text: parse_host(f"[{text}]"), ["a", ":", "::", "1.", "v1.", "["]),
    "other literal": (lambda text: parse_host(f"[v1.{text}"), ["a", ":", "."]),
    "port": (lambda text: parse_host(f"a:{text}"), ["0", "9", ":"]),
    "origin": (lambda text: cors._is_origin(f"https://{text}"), ["a", "-", "."]),
    "accept-encoding": (lambda text: takes_gzip([text]), ["gzip,", "a;q=0.5,", ",", ";", " "]),
    "range": (
        lambda text: ranges_of(f"bytes={text}"),
        ["0-1,", ",", "-", "9", "-,", "0-,", " \t", "-9,", "=", "9-8,", "0-0,2-2,", "x"],
    ),
    "if-none-match": (
        lambda text: _ranges.not_modified(text, None, '"x"', None),
        ['"a",', "W/", '"', ",", " ", '"" ', 'W/"a" , ', "\x80", "\t"],
    ),
    "if-modified-since": (
        _ranges.parse_http_date,
        ["a", "1", " ", "Thu, ", "01 Jan 1970 00:00:00 ", "+", ";"],
    ),
    "options": (
        lambda text: _multipart.parse_options(f"a/b;{text}"),
        [";", " ", ";a", ';a="', "\\", '"', ';a="\\"', "=", 'a="b";', "a*=b;"],
    ),
    "quoted option": (
        lambda text: _multipart.parse_options(f'a/b; x="{text}'),
        ["\\", '\\"', ";", '"', " ", '";x="'],
    ),
    "file name": (_multipart.bare_name, ["a:", "/", "\\", "..", "a", " ", "\0", "C:\\"]),
    "query": (
        lambda text: QueryParams(text.encode("latin-1")).multi_items(),
        ["&", "a&", "%FF&", "%", "+", "=", "\xff", "\xff&", "\xc3\xa9%", ";"],
    ),
    "URL path": (lambda text: url_of(path=text), ["?", "#", "\\", "a", "%", "/", "\0", "é"]),
    "URL query": (lambda text: url_of(query_string=text.encode("latin-1")), ["#", "\xff", "a&"]),
    "URL host": (
        lambda text: url_of(headers=[(b"host", text.encode("latin-1"))]),
        ["a", ":", "[", "@", "%41"],
    ),
    "urlencoded form": (
        lambda text: form_of(text.encode("latin-1")),
        ["&", "a&", "a=%FF&", "%FF", "%", "\xff%", "\xff%FF", "+", "=", "%4", "%%FF"],
    ),
    "multipart form": (
        lambda text: multipart_of(text.encode("latin-1")),
        ["\r", "\n", "\r\n", "\r\n-", "\r\n--", "\r\n--A", "--B", "\r\n--B\r", "\r\n--Bx", "\0"],
    ),
    **{
        f"path {template}": (matches(template), ["a", "-", "1", "1.", "a-", "/", "-1.2", "\n"])
        for template in (
            "/{a}-{b}-{c}-{d}",
            "/{a:path}-{b:path}/x",
            "/{a:float}{b:int}.{c:float}x",
            "/{a:int}",
            "/{a:float}",
            "/{a:path}",
        )
    },
}

CASES, MEMORY_CASES = [], []
for name, (parse, units) in PARSERS.items():
    most = MEMORY_OF_QUERY if name.startswith(("query", "URL")) else MEMORY
    for unit in units:
        CASES.append(pytest.param(parse, unit, id=f"{name}-{unit!a}"))
        MEMORY_CASES.append(pytest.param(parse, unit, most, id=f"{name}-{unit!a}"))


def steps(function, argument):
    """Lines of Python that a call runs, and functions that it calls, those in C too."""
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(trace)
    try:
        function(argument)
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


@pytest.mark.parametrize(("parse", "unit"), CASES)
def test_twice_the_input_takes_twice_the_steps(parse, unit):
    """At most, and a hundred to begin with."""
    parse(unit)  # what is done once
    once, twice = (steps(parse, unit * (size // len(unit))) for size in (500, 1000))
    assert twice <= 2.2 * once + 100
    assert once <= 60 * 500 + 500


@pytest.mark.parametrize(("parse", "unit", "most"), MEMORY_CASES)
def test_128_kb_are_parsed_in_bounded_memory(parse, unit, most):
    """And in bounded time: a test that takes 20 s fails."""
    text = unit * (SIZE // len(unit))
    tracemalloc.start()
    try:
        parse(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= most * SIZE


@pytest.mark.parametrize("unit", ["%", "%FF", "\xff%", "%%FF", "%z", "\xff", "+"])
def test_escapes_of_a_form_take_no_step_of_python(unit):
    """`urllib.parse` takes several each, and 10 s for the 16 MiB that a form may have."""
    form = PARSERS["urlencoded form"][0]
    once, twice = (steps(form, "a=" + unit * (size // len(unit))) for size in (2000, 4000))
    # One for each would be 500 more at least; where the pieces are cut makes a few.
    assert abs(twice - once) < 100


# Pieces of escapes and of characters, which are put together and cut in any way.
ESCAPES = st.sampled_from(
    [*(b"%", b"C", b"3", b"F", b"8", b"2", b"E", b"+", b"a", b"%C3", b"%A9", b"%E2%82", b"%AC"),
     *(b"%F0", b"%80", b"%00", b"\xff", b"\xc3", b"\xa9", b"\xe2", b"\x82")]
)  # fmt: skip


@given(st.lists(ESCAPES, max_size=12).map(b"".join), st.integers(3, 9))
def test_escapes_of_a_form_are_read_as_by_urllib(text, step):
    """However long the pieces are in which it is done."""
    before, formparsers._STEP = formparsers._STEP, step
    try:
        read = formparsers._unquoted(bytearray(text))
    finally:
        formparsers._STEP = before
    assert unquote_plus(text.decode("latin-1")) == read


# -- whole bodies ----------------------------------------------------------------------------------

JSON = [
    "[],",
    "{},",
    '{"":0},',
    "0,",
    "1000,",
    "1.5,",
    '"\\ud83d\\ude00",',
    "[[[[[]]]]],",
    '{"":{}},',
]


def reads(what, body, content_type):
    """Memory that reading a body takes at the most."""

    async def main():
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            return messages.pop()

        scope = http_scope(method="POST", headers=[("content-type", content_type)])
        await what(Request(scope, receive))

    tracemalloc.start()
    try:
        asyncio.run(main())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("unit", JSON)
def test_json_takes_bounded_memory(unit):
    """Objects are larger than their text; CVE-2018-1000656 was of an encoding besides."""
    body = f"[{unit * (SIZE // len(unit))}0]".encode()
    assert reads(lambda request: request.json(), body, "application/json") <= MEMORY * len(body)


@pytest.mark.parametrize("name", ["name=a", "name=a;filename=b"])
def test_parts_take_bounded_memory(name):
    """A part of next to nothing is a field, or a file, with all that belongs to it."""
    part = f"--B\r\nContent-Disposition:form-data;{name}\r\n\r\n\r\n".encode()
    body = part * 1000 + b"--B--"

    async def read(request):
        async with request.form() as form:
            assert 1000 == len(form.multi_items())

    assert reads(read, body, "multipart/form-data;boundary=B") <= MEMORY * len(body)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_chunks_of_any_size_take_bounded_memory(size):
    """A server may hand on what came in as it came in."""
    chunk, left = b"x" * size, [SIZE // size]

    async def receive():
        left[0] -= 1
        return {"type": "http.request", "body": chunk, "more_body": left[0] > 0}

    async def main():
        assert SIZE // size * size == len(await Request(http_scope(method="POST"), receive).body())

    tracemalloc.start()
    try:
        asyncio.run(main())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= MEMORY_OF_TINY_CHUNKS * SIZE


def test_separators_alone_are_limited_too():
    """CVE-2026-54283: a body of `&` has no field, and is held all the same."""
    sent = [0]

    async def stream():
        while sent[0] < 100 << 20:
            sent[0] += 65536
            yield b"&" * 65536

    async def main():
        with pytest.raises(formparsers.MultiPartException, match="16384KB in all"):
            await FormParser(Headers(), stream()).parse()

    asyncio.run(main())
    assert sent[0] <= (16 << 20) + 65536


# -- what is kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "see",
    [
        parse_host,
        lambda text: takes_gzip([text]),
        lambda text: Response(b"", media_type=text),
        lambda text: url_of(headers=[(b"host", text.encode())]),
        lambda text: url_of(path=f"/{text}"),
        cookie_parser,
    ],
    ids=["host", "accept-encoding", "media type", "host of a URL", "path of a URL", "cookie"],
)
def test_nothing_large_is_kept_of_a_client(see):
    """What is remembered to save time is few in number, and short: there are servers that take
    headers of any size."""
    see("warm")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(100):
            see(f"{number}{'a' * 100_000}")
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept < 100_000
