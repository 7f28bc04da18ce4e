"""Forms: what they are read as, within which limits, and that no file is left behind."""

import asyncio
import sys
import tempfile
import threading
from contextlib import aclosing
from pathlib import Path
from unittest import mock

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import formparsers as starlette_formparsers

from lamella import _multipart, formparsers
from lamella._multipart import MultipartBody, Parts, bare_name, parse_options, size_text
from lamella.datastructures import FormData, Headers, UploadFile
from lamella.exceptions import HTTPException, StarletteDeprecationWarning, UsageError
from lamella.formparsers import (
    FormMessage,
    FormParser,
    MultiPartException,
    MultiPartParser,
    MultipartPart,
)

MULTIPART = "multipart/form-data; boundary=B"
INVALID = "Invalid multipart data."
CUT_OFF = "The multipart data ends before its last boundary."
NO_NAME = 'The Content-Disposition header field "name" must be provided.'


def part(name, content=b"", *, filename=None, headers=()):
    """One part, as bytes, with the boundary before it."""
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    lines = [f"Content-Disposition: {disposition}", *headers]
    return b"--B\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n"


def body_of(*parts):
    """A whole body."""
    return b"".join(parts) + b"--B--\r\n"


async def stream_of(chunks):
    """A body as a stream; what is given that is no bytes is raised."""
    for chunk in chunks:
        if not isinstance(chunk, bytes):
            raise chunk
        yield chunk


def cut(body, size):
    """A body in chunks of one size."""
    return [body[at : at + size] for at in range(0, len(body), size)]


async def parse(chunks, content_type=MULTIPART, **limits):
    """Read a body, given as chunks or as a stream."""
    headers = Headers(raw=[(b"content-type", content_type.encode("latin-1"))])
    kind = FormParser if "urlencoded" in content_type else MultiPartParser
    stream = stream_of(chunks) if isinstance(chunks, list) else chunks
    async with aclosing(stream):
        return await kind(headers, stream, **limits).parse()


def told(form):
    """A form in a way that can be compared; its files are closed."""
    items = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            content = value.file.read()
            value.file.close()
            assert value.size == len(content)
            items.append((name, value.filename, content, value.headers.raw))
        else:
            items.append((name, value))
    return items


def read(body, content_type=MULTIPART, *, size=None, **limits):
    """What a body is read as: its items, or the text of the error."""
    chunks = [body] if size is None else cut(body, size)

    async def main():
        try:
            return told(await parse(chunks, content_type, **limits))
        except MultiPartException as exc:
            assert 400 == exc.status_code
            return exc.message

    return asyncio.run(main())


def file(name, filename, content, content_type=None, raw=None):
    """A file as `told` tells it."""
    raw = f'form-data; name="{name}"; filename="{filename}"'.encode() if raw is None else raw
    headers = [(b"content-disposition", raw)]
    if content_type:
        headers.append((b"content-type", content_type))
    return name, filename, content, headers


# --- multipart

ONE = body_of(part("a", b"v"))
FORMS = {
    "field": (ONE, [("a", "v")]),
    "empty field": (body_of(part("a")), [("a", "")]),
    "several": (
        body_of(part("a", b"1"), part("b", b"\xc3\xa9"), part("a", b"2")),
        [("a", "1"), ("b", "é"), ("a", "2")],
    ),
    "file": (
        body_of(part("f", b"\0\xff", filename="x.png", headers=["Content-Type: image/png"])),
        [file("f", "x.png", b"\0\xff", b"image/png")],
    ),
    "empty file": (body_of(part("f", b"", filename="")), [file("f", "", b"")]),
    "both": (
        body_of(part("f", b"one", filename="f"), part("a", b"1"), part("f", b"two", filename="g")),
        [file("f", "f", b"one"), ("a", "1"), file("f", "g", b"two")],
    ),
    "line ends within": (
        body_of(part("f", b"\r\n\r\r\n-\r\n--\r\n\r", filename="f")),
        [file("f", "f", b"\r\n\r\r\n-\r\n--\r\n\r")],
    ),
    "no part": (b"--B--\r\n", []),
    "no bytes": (b"", []),
    "line ends before": (b"\r\n\n\r" + ONE, [("a", "v")]),
    "no line end after": (ONE[:-2], [("a", "v")]),
    "more after": (ONE + b"--B\r\nmore", [("a", "v")]),
    "name of one character beyond ASCII": (body_of(part("é", b"v")), [("é", "v")]),
    "not UTF-8": (
        ONE.replace(b'"a"', b'"\xe9"').replace(b"\r\nv\r\n", b"\r\n\xe9\r\n"),
        [("é", "é")],
    ),
    "header in lower case": (ONE.replace(b"Content-Disp", b"content-disp"), [("a", "v")]),
    "other headers": (
        body_of(part("f", b"v", filename="f", headers=["X-One: 1", "X-Two:2"])),
        [("f", "f", b"v", [*file("f", "f", b"")[3], (b"x-one", b"1"), (b"x-two", b"2")])],
    ),
    "token": (ONE.replace(b'"a"', b"a"), [("a", "v")]),
    "spaces": (ONE.replace(b' name="a"', b'name = "a" ;'), [("a", "v")]),
    "escapes": (ONE.replace(b'"a"', b'"a\\"b\\\\c\\d"'), [('a"b\\c\\d', "v")]),
    "percent": (ONE.replace(b'"a"', b'"a%22%0D"'), [("a%22%0D", "v")]),
    "empty name": (ONE.replace(b'"a"', b'""'), [("", "v")]),
}  # fmt: skip
REFUSED = {
    "no boundary": (b"a", INVALID),
    "another boundary": (ONE.replace(b"--B", b"--C"), INVALID),
    "text before": (b"x\r\n" + ONE, INVALID),
    "half a boundary": (b"-", CUT_OFF),
    "no name": (ONE.replace(b'name="a"', b'="a"'), NO_NAME),
    "no disposition": (b"--B\r\nX: y\r\n\r\nv\r\n--B--\r\n", INVALID),
    "no headers": (b"--B\r\n\r\nv\r\n--B--\r\n", INVALID),
    "two dispositions": (
        body_of(part("a", b"v", headers=['Content-Disposition: form-data; name="b"'])),
        INVALID,
    ),
    "attachment": (ONE.replace(b"form-data", b"attachment"), INVALID),
    "bare line feeds": (ONE.replace(b"\r\n", b"\n"), INVALID),
    "bare line feed in a header": (body_of(part("a", b"v", headers=["X: a\nb"])), INVALID),
    "bare carriage return": (body_of(part("a", b"v", headers=["X: a\rb"])), INVALID),
    "line feed before a name": (ONE.replace(b"Content", b"\nContent"), INVALID),
    "line feed after a name": (ONE.replace(b"ition:", b"ition\n:"), INVALID),
    "zero byte": (ONE.replace(b'"a"', b'"a\0"'), INVALID),
    "header without colon": (body_of(part("a", b"v", headers=["X"])), INVALID),
    "text after a boundary": (ONE.replace(b"v\r\n--B", b"v\r\n--Bx"), INVALID),
    "wrong length": (body_of(part("a", b"v", headers=["Content-Length: 5"])), INVALID),
    "cut in the last boundary": (ONE[:-3], CUT_OFF),
    "cut in a file": (part("f", b"half", filename="f")[:-4], CUT_OFF),
    "cut in a head": (part("a")[:20], CUT_OFF),
    "cut between parts": (part("a", b"v"), CUT_OFF),
    "only line ends": (b"\r\n" * 40_000, INVALID),
}


@pytest.mark.parametrize(("body", "expected"), FORMS.values(), ids=FORMS)
def test_multipart_form_is_read(body, expected):
    assert expected == read(body)


@pytest.mark.parametrize(("body", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_multipart_form_is_refused(body, expected):
    """A 400: what a client sends is never an error of the server."""
    assert expected == read(body)


@pytest.mark.parametrize(
    "body", [body for body, _ in (FORMS | REFUSED).values()], ids=FORMS | REFUSED
)
def test_how_a_body_is_cut_makes_no_difference(body):
    """At every single place, into single bytes, and with empty chunks between."""
    body = body[:2000]
    whole = read(body)
    assert whole == read(body, size=1)

    async def main():
        results = []
        for at in range(len(body)):
            try:
                form = await parse([body[:at], b"", body[at:]])
                results.append(told(form))
            except MultiPartException as exc:
                results.append(exc.message)
        return results

    assert [whole] * len(body) == asyncio.run(main())


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ('multipart/form-data; boundary="B"', [("a", "v")]),
        ("multipart/form-data;BOUNDARY=B;", [("a", "v")]),
        ("multipart/form-data; charset=utf-8 ; boundary = B", [("a", "v")]),
        ('multipart/form-data; charset="UTF-8"; boundary=B', [("a", "v")]),
        ("multipart/form-data", "Missing boundary in multipart."),
        ("", "Missing boundary in multipart."),
        ("multipart/form-data; boundary", "Missing boundary in multipart."),
        ("multipart/form-data; boundary=", INVALID),
        ("multipart/form-data; boundary=C", INVALID),
        ("multipart/form-data; boundary=\xff", INVALID),
        ('multipart/form-data; boundary="B "', INVALID),
        ('multipart/form-data; boundary="B\r\n"', INVALID),
        ("multipart/form-data; boundary=" + "B" * 257, INVALID),
    ],
)
def test_boundary_is_what_the_content_type_says(content_type, expected):
    assert expected == read(ONE, content_type)


def test_boundary_of_256_characters_is_taken():
    """The most that Starlette takes."""
    boundary = "B" * 256
    body = ONE.replace(b"--B", b"--" + boundary.encode())
    assert [("a", "v")] == read(body, f"multipart/form-data; boundary={boundary}")


@pytest.mark.parametrize(
    ("charset", "content", "expected"),
    [
        ("utf-8", b"\xc4\x99", "ę"),
        ("UTF8", b"\xc4\x99", "ę"),
        ("utf-8", b"\xe9", "é"),
        ("us-ascii", b"a", "a"),
        ("iso-8859-1", b"\xc4\x99", "\xc4\x99"),
        ("l1", b"\xc4\x99", "\xc4\x99"),
        ("windows-1252", b"\x80", "€"),
        ("windows-1252", b"\x81", "\x81"),
        ("unknown", b"\xc4\x99", "ę"),
        ("unknown", b"\xe9", "é"),
    ],
)
def test_charset_is_that_of_the_content_type(charset, content, expected, monkeypatch):
    """One that is not taken is UTF-8. What is not in it is read as Latin-1, which loses nothing."""
    monkeypatch.setattr(_multipart, "_asked", {})  # other tests may have asked too often
    body = body_of(part("a", content))
    assert [("a", expected)] == read(body, f"{MULTIPART}; charset={charset}")


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("a/b", {}),
        ("a/b; c=d", {"c": "d"}),
        ('a/b;c="d;e";F=g', {"c": "d;e", "f": "g"}),
        ('a/b; c="d\\"e\\\\f\\g"', {"c": 'd"e\\f\\g'}),
        ('a/b; c="d', {"c": "d"}),
        ('a/b; c="d\\', {"c": "d"}),
        ('a/b; c="d" junk; e=f', {"c": "d", "e": "f"}),
        ("a/b; c = d e ;", {"c": "d e"}),
        ("a/b; c; =d;; e=", {"": "d", "e": ""}),
        ("a/b; c=1; c=2", {"c": "2"}),
        ("a/b; c*=UTF-8''x", {"c*": "UTF-8''x"}),
        ('a/b; c*="x; c=evil"', {"c*": "x; c=evil"}),
        (";c=d", {"c": "d"}),
        ("a/b; c=d" + ";" * 30 + "; e=f; g=h", {"c": "d", "e": "f"}),
    ],
)
def test_options_of_a_header_are_split(value, options):
    """RFC 9110 section 5.6.6, and whatever else comes."""
    kind, found = parse_options(value)
    assert ("" if value.startswith(";") else "a/b", options) == (kind, found)


@pytest.mark.parametrize(
    "unit",
    [";", '"', ";a", ';a="', '\\"', ';a="\\"', "; ", "=", ";a=b", " ", ';a="b"c', "\\", ";a ="],
)
def test_options_take_linear_time(unit):
    """CVE-2024-24762, CVE-2026-28356: a megabyte, and the test ends."""
    for start in ("", ";", ';a="', ";a"):
        kind, options = parse_options(start + unit * 200_000)
        assert len(kind) + len(options) >= 0


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("a.txt", "a.txt"),
        ("ä ö.txt", "ä ö.txt"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\dir\\a.txt", "a.txt"),
        ("C:a.txt", "a.txt"),
        ("x/C:D:a.txt", "a.txt"),
        ("..\\../a", "a"),
        ("Screenshot 12:30:45.png", "Screenshot 12:30:45.png"),
        ("a\0b\r\n\x7f.txt", "ab.txt"),
        ("..", ""),
        (".\0.", ""),
        ("a/..", ""),
        (". .", ""),
        ("dir/", ""),
        ("", ""),
        (".profile", ".profile"),
        ("a..b", "a..b"),
        ("C:", ""),
    ],
)
def test_filename_is_a_bare_name(filename, expected):
    """Whatever the client's system is, and whatever the client wants."""
    assert expected == bare_name(filename)


@given(st.text())
def test_bare_name_of_any_text_is_no_path(filename):
    """And is the same when it is taken again."""
    name = bare_name(filename)
    assert not set(name) & set("/\\\0\r\n") and name not in {".", ".."}
    assert name == bare_name(name)


# --- limits

LIMITS = {
    "files": (part("f", b"x", filename="f"), {"max_files": 2}, "Too many files. Maximum number of files is 2."),
    "fields": (part("a", b"x"), {"max_fields": 2}, "Too many fields. Maximum number of fields is 2."),
}  # fmt: skip


@pytest.mark.parametrize(("one", "limits", "expected"), LIMITS.values(), ids=LIMITS)
def test_limits_of_a_multipart_form_are_exact(one, limits, expected):
    """Files are no fields, and fields are no files."""
    assert 2 == len(read(body_of(one, one), **limits))
    assert expected == read(body_of(one, one, one), **limits)
    other = part("o", b"x") if "max_files" in limits else part("o", b"x", filename="o")
    assert 5 == len(read(body_of(one, other, other, one, other), **limits))


@pytest.mark.parametrize("size", [1, 7, None])
def test_size_of_a_field_is_limited_and_that_of_a_file_is_not(size):
    """As in Starlette; `max_body_size` limits both."""
    over = "Part exceeded maximum size of 10 bytes."
    assert [("a", "x" * 10)] == read(body_of(part("a", b"x" * 10)), size=size, max_part_size=10)
    assert over == read(body_of(part("a", b"x" * 11)), size=size, max_part_size=10)
    big = body_of(part("f", b"x" * 11, filename="f"))
    assert [file("f", "f", b"x" * 11)] == read(big, size=size, max_part_size=10)


@pytest.mark.parametrize("kind", [MULTIPART, "application/x-www-form-urlencoded"])
def test_fields_together_are_limited(kind, monkeypatch):
    """CVE-2025-69228: one running total, which does not start again with each field."""
    monkeypatch.setattr(formparsers._Limited, "max_text_size", 100)
    fields = [part(f"a{n}", b"x" * 10) for n in range(11)]
    body = b"&".join([b"a=" + b"x" * 8] * 11) if "url" in kind else body_of(*fields)
    expected = "Fields exceeded maximum size of 100 bytes in all."
    assert expected == read(body, kind, max_part_size=50)
    assert 11 == len(read(body, kind, max_part_size=200))


def test_headers_of_a_part_are_limited():
    """CVE-2026-42561: in number and in size."""
    headers = [f"X-{number}: y" for number in range(8)]
    assert [("a", "v")] == read(body_of(part("a", b"v", headers=headers[:7])))
    assert INVALID == read(body_of(part("a", b"v", headers=headers)))
    assert [("a", "v")] == read(body_of(part("a", b"v", headers=["X: " + "y" * 4000])))
    for size in (1, None):
        line = "X: " + "y" * 4221
        assert [("a", "v")] == read(body_of(part("a", b"v", headers=[line])), size=size)
        assert INVALID == read(body_of(part("a", b"v", headers=[line + "y"])), size=size)
    assert INVALID == read(body_of(part("a" * 4300, b"v")))


ENDLESS = {
    "line ends before": (b"", b"\r\n" * 1000),
    "text before": (b"", b"x" * 2000),
    "header": (b"--B\r\nX: ", b"y" * 2000),
    "headers": (b"--B\r\n", b"X: y\r\n" * 300),
    "continued header": (b"--B\r\nX: y\r\n", b" y\r\n" * 500),
    "field": (part("a")[:-2], b"x" * 2000),
    "fields": (b"", part("a") * 50),
    "files": (b"", part("f", filename="f") * 50),
    "text after": (ONE, b"x" * 2000),
    "boundaries after": (ONE, b"\r\n--B\r\n" * 300),
}  # fmt: skip


@pytest.mark.parametrize(("start", "unit"), ENDLESS.values(), ids=ENDLESS)
def test_endless_body_is_left_early(start, unit):
    """No more is read than what a limit allows, and a little."""
    pulled = []

    async def endless():
        yield start
        while True:
            pulled.append(len(unit))
            yield unit

    async def main():
        with pytest.raises(MultiPartException):
            await parse(endless(), max_part_size=50_000)

    asyncio.run(main())
    assert sum(pulled) < 150_000


def test_urlencoded_body_that_is_endless_is_left_early():
    """CVE-2026-54283: limits hold for either kind of form."""
    for unit in (b"a=1&" * 100, b"x" * 1000):
        pulled = []

        async def endless(unit=unit, pulled=pulled):
            while True:
                pulled.append(len(unit))
                yield unit

        async def main(stream):
            with pytest.raises(MultiPartException):
                await parse(stream, URLENCODED, max_part_size=50_000)

        asyncio.run(main(endless()))
        assert sum(pulled) < 60_000


@pytest.mark.parametrize(
    ("size", "expected"),
    [(3, "3 bytes"), (1023, "1023 bytes"), (1024, "1KB"), (1025, "1025 bytes"), (2**20, "1024KB")],
)
def test_limit_is_told_as_in_starlette(size, expected):
    """In whole KB, if it is so many."""
    assert expected == size_text(size)


# --- urlencoded

URLENCODED = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("size", [1, 2, 3, None])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"&&a=1&b&=c&&d==&", [("a", "1"), ("b", ""), ("", "c"), ("d", "=")]),
        (b"a+=%41%z&c=%C3%A9", [("a ", "A%z"), ("c", "é")]),
        (b"a=b;c=d", [("a", "b;c=d")]),
        (b"abcd=efgh", [("abcd", "efgh")]),
        (b"abcd=efghi", "Field exceeded maximum size of 8 bytes."),
        (b"abcdefgh", [("abcdefgh", "")]),
        (b"abcdefghi", "Field exceeded maximum size of 8 bytes."),
        (b"a&b&c&d&e", [(name, "") for name in "abcde"]),
        (b"a&b&c&d&e&f", "Too many fields. Maximum number of fields is 5."),
    ],
)
def test_urlencoded_form_is_read_however_it_is_cut(body, expected, size):
    assert expected == read(body, URLENCODED, size=size, max_fields=5, max_part_size=8)


def test_field_over_its_own_limit_says_so_even_if_it_is_over_that_of_all(monkeypatch):
    """That is the limit to be raised, and the text that programs look for."""
    monkeypatch.setattr(formparsers._Limited, "max_text_size", 10)
    told = read(b"a=" + b"x" * 20, URLENCODED, max_part_size=5)
    assert "Field exceeded maximum size of 5 bytes." == told


# --- any bytes

pieces = st.sampled_from(
    [
        b"--B",
        b"--B\r\n",
        b"--B--",
        b"\r\n",
        b"\r",
        b"\n",
        b"-",
        b" ",
        b":",
        b"=",
        b"&",
        b'"',
        b"\0",
        b'Content-Disposition: form-data; name="a"',
        b"Content-Disposition",
        b"; filename=x",
        b"Content-Length: 1",
        b"\r\n\r\n",
        b"\xff",
        b"value",
        part("a", b"v"),
        part("f", b"v", filename="f"),
    ]  # fmt: skip
)
bodies = st.one_of(
    st.lists(pieces, max_size=12).map(b"".join),
    st.lists(pieces, max_size=6).map(lambda found: b"--B\r\n" + b"".join(found) + b"\r\n--B--"),
    st.binary(max_size=60),
)


@given(bodies, st.sampled_from([MULTIPART, URLENCODED]), st.integers(1, 9))
def test_any_bytes_are_a_form_or_are_refused_however_they_are_cut(body, kind, size):
    """Never another exception, and never another result."""
    limits = {"max_fields": 3, "max_part_size": 8}
    whole = read(body, kind, **limits)
    assert isinstance(whole, str | list)
    assert whole == read(body, kind, size=size, **limits)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_any_content_type_is_read_or_refused(text):
    """Its options are the client's to choose."""
    assert isinstance(read(ONE, "multipart/form-data" + text), str | list)


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), max_size=6), st.integers(1, 50))
def test_what_was_put_into_a_form_comes_out(contents, size):
    """Content that holds the boundary cannot be sent in it."""
    contents = [(is_file, content.replace(b"--B", b"")) for is_file, content in contents]
    body = body_of(*(part("n", c, filename="f" if is_file else None) for is_file, c in contents))
    found = read(body, f"{MULTIPART}; charset=latin-1", size=size)
    assert [content for _, content in contents] == [
        item[2] if len(item) == 4 else item[1].encode("latin-1") for item in found
    ]


# --- files


DESCRIPTORS = Path("/proc/self/fd")


def is_open(path):
    """Whether this process holds a temporary file, which has no name or a deleted one."""
    return tempfile.gettempdir() in path and ("deleted" in path or "#" in path)


def open_files():
    """Temporary files on the disk that this process holds."""
    found = []
    for entry in DESCRIPTORS.iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:
            continue
    return [path for path in found if is_open(path)]


BIG = b"x" * 3000


class Spool(tempfile.SpooledTemporaryFile):
    """A spool that rolls early, and tells what happens to it."""

    made = []
    failing = ""

    def __init__(self, max_size=0):
        super().__init__(max_size=1000)
        self.rolled_in = None
        Spool.made.append(self)

    def rollover(self):
        self.rolled_in = threading.current_thread()
        super().rollover()

    def write(self, data):
        if "write" == Spool.failing and self._rolled:
            raise OSError("disk full")
        return super().write(data)

    def close(self):
        super().close()
        if "close" == Spool.failing:
            raise OSError("disk gone")

    def seek(self, *args):
        if "seek" == Spool.failing:
            raise OSError("disk gone")
        return super().seek(*args)


@pytest.fixture
def spools(monkeypatch):
    """The spools made in a test; the name in the module is what is replaced."""
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Spool)
    monkeypatch.setattr(Spool, "made", [])
    monkeypatch.setattr(Spool, "failing", "")
    return Spool


@pytest.mark.anyio
async def test_file_moves_to_disk_in_a_thread(spools):
    """CVE-2025-54121: a disk must not stop the event loop. A small file stays in memory."""
    body = body_of(part("f", BIG, filename="f"), part("g", b"small", filename="g"))
    form = await parse(cut(body, 500))
    first, second = spools.made
    assert threading.current_thread() is not first.rolled_in
    assert [True, False] == [first._rolled, second._rolled]
    assert [BIG, b"small"] == [await form["f"].read(), await form["g"].read()]
    await form.close()
    assert [True, True] == [spool.closed for spool in spools.made]


FAILURES = {
    "cut off": ([], "", MultiPartException),
    "invalid": ([b"\r\n--Bx"], "", MultiPartException),
    "over a limit": ([b"\r\n" + part("a") * 3], "", MultiPartException),
    "stream fails": ([RuntimeError("lost")], "", RuntimeError),
    "disk full": ([BIG], "write", OSError),
    "stream and disk": ([RuntimeError("lost")], "close", RuntimeError),
    "disk gone": ([b"\r\n--B--"], "seek", OSError),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("rest", "failing", "expected"), FAILURES.values(), ids=FAILURES)
async def test_no_file_is_left_when_reading_fails(rest, failing, expected, spools):
    """In memory or on disk, complete or not; and the error is the one that happened."""
    spools.failing = failing
    chunks = [part("s", b"small", filename="s"), part("f", BIG, filename="f")[:-2], *rest]
    if failing == "seek":
        chunks = chunks[1:]
    with pytest.raises(expected):
        await parse(chunks, max_fields=2)
    assert spools.made
    assert [True] * len(spools.made) == [spool.closed for spool in spools.made]


@pytest.mark.anyio
async def test_no_file_is_left_when_reading_is_cancelled(spools):
    """While it waits for the client."""

    async def waiting():
        yield part("f", BIG, filename="f")[:-2]
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await parse(waiting())
    assert [True] == [spool.closed for spool in spools.made]


def test_no_file_is_left_when_the_task_is_cancelled_while_a_thread_writes(spools, monkeypatch):
    """A bare `cancel()` does not wait for the thread, which may be about to make the file."""
    running, go_on = threading.Event(), threading.Event()
    rollover = Spool.rollover

    def slow(self):
        running.set()
        assert go_on.wait(10)
        rollover(self)

    monkeypatch.setattr(Spool, "rollover", slow)

    async def main():
        chunks = [part("f", BIG, filename="f")]
        task = asyncio.create_task(parse(chunks))
        while not running.is_set():
            await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (spool,) = spools.made
    assert [True, True] == [spool._rolled, spool.closed]


class Waiting:
    """A client that sends one chunk and then nothing."""

    def __init__(self, chunk):
        self.chunks = [chunk]

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.chunks:
            return self.chunks.pop()
        return await asyncio.Event().wait()


def test_no_file_is_left_when_the_coroutine_is_thrown_away(spools):
    """It may not await any more."""
    stream = Waiting(part("f", b"small", filename="f")[:-2])
    parsing = MultiPartParser(Headers({"content-type": MULTIPART}), stream).parse()

    async def main():
        parsing.send(None)
        spools.made[0]._rolled = True  # whose closing would be awaited, otherwise
        parsing.close()

    asyncio.run(main())
    assert [True] == [spool.closed for spool in spools.made]


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="what is open is read from Linux")
@pytest.mark.anyio
async def test_no_temporary_file_stays_open(monkeypatch):
    """With the real class: seen from the system, neither a file nor a descriptor is left."""
    monkeypatch.setattr(MultiPartParser, "spool_max_size", 1000)
    before = open_files()
    form = await parse(cut(body_of(part("f", BIG, filename="f")), 700))
    assert len(before) + 1 == len(open_files())
    await form.close()
    await form.close()
    with pytest.raises(MultiPartException):
        await parse(cut(part("f", BIG, filename="f"), 700))
    assert before == open_files()


def test_spool_size_is_the_attribute_of_the_class(spools, monkeypatch):
    """Applications set it there."""
    given = []
    monkeypatch.setattr(
        formparsers, "SpooledTemporaryFile", lambda max_size: given.append(max_size) or Spool()
    )
    assert 1024 * 1024 == MultiPartParser.spool_max_size
    monkeypatch.setattr(MultiPartParser, "spool_max_size", 5)
    read(body_of(part("f", b"x", filename="f")))
    assert [5] == given


# --- parts as a stream


def parts_of(chunks, **limits):
    """The parts of a body."""
    waiting = iter(chunks)

    async def pull():
        return next(waiting, None)

    return Parts(MULTIPART, pull, **limits)


TWO = body_of(
    part("f", b"0123456789", filename="dir/f.txt", headers=["Content-Type: text/plain"]),
    part("a", b"\xc3\xa9"),
    part("z"),
)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, 4, 10_000])
async def test_parts_come_with_their_bytes(size):
    found = []
    async for one in parts_of(cut(TWO, size)):
        content = b"".join([chunk async for chunk in one])
        found.append((one.name, one.filename, one.content_type, content, one.size, one.complete))
    assert found == [
        ("f", "f.txt", "text/plain", b"0123456789", 10, True),
        ("a", None, None, b"\xc3\xa9", 2, True),
        ("z", None, None, b"", 0, True),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("size", [1, 4, 10_000])
async def test_part_may_be_skipped_or_left_half_way(size):
    names = []
    async for one in parts_of(cut(TWO, size)):
        names.append(one.name)
        if one.filename is not None:
            async for chunk in one:
                assert b"0" == chunk[:1]
                break
    assert ["f", "a", "z"] == names


@pytest.mark.anyio
async def test_part_is_read_whole_or_as_text():
    parts = parts_of(cut(TWO, 3))
    first = await anext(parts)
    assert b"0123456789" == await first.read(10)
    assert [b"", ""] == [await first.read(), await first.text()]
    assert "é" == await (await anext(parts)).text()


@pytest.mark.anyio
async def test_part_that_was_left_says_so():
    """Its bytes are gone; nothing must not look like the end of it."""
    parts = parts_of([TWO])
    first = await anext(parts)
    await anext(parts)
    with pytest.raises(UsageError, match=r"got Part\(name='f', filename='f.txt'\), which was left"):
        await first.read()


@pytest.mark.anyio
async def test_limits_of_parts_hold_for_what_is_skipped_too():
    over = "Part exceeded maximum size of 9 bytes."
    cases = [
        (parts_of([TWO], max_parts=2), "Too many parts. Maximum number of parts is 2."),
        (parts_of([TWO], max_part_size=9), over),
        (parts_of([TWO[:-10]]), CUT_OFF),
        (parts_of([TWO[:60]]), CUT_OFF),
        (parts_of([b"x", TWO]), INVALID),
    ]
    for parts, expected in cases:
        with pytest.raises(MultiPartException) as caught:
            async for _ in parts:
                pass
        assert expected == caught.value.message
    with pytest.raises(MultiPartException, match=over):
        await (await anext(parts_of([TWO]))).read(9)


@pytest.mark.anyio
async def test_no_more_is_read_than_is_asked_for():
    """Back pressure: the client sends as fast as the parts are read."""
    pulled = []

    waiting = iter(cut(TWO, 30))

    async def pull():
        pulled.append(True)
        return next(waiting)

    parts = Parts(MULTIPART, pull)
    assert [] == pulled
    first = await anext(parts)
    heads = len(pulled)
    await anext(first)
    assert heads <= len(pulled) <= heads + 1 < len(cut(TWO, 30))


# --- names


def test_public_names_are_those_of_starlette():
    """Moving is a changed import."""
    theirs = {
        name
        for name, value in vars(starlette_formparsers).items()
        if getattr(value, "__module__", None) == "starlette.formparsers"
        and not name.startswith("_")
    }
    assert theirs <= set(formparsers.__all__)
    assert formparsers.SpooledTemporaryFile is tempfile.SpooledTemporaryFile


def test_form_message_is_deprecated():
    """Its members are there all the same."""
    assert [1, 2, 3, 4, 5] == [message.value for message in FormMessage]
    with pytest.warns(StarletteDeprecationWarning, match="`FormMessage` is deprecated"):
        assert FormMessage.END is FormMessage(5)


def test_part_is_there_for_parsers_of_ones_own():
    """Fields and defaults as Starlette's."""
    theirs, ours = starlette_formparsers.MultipartPart(), MultipartPart()
    assert vars(theirs) == vars(ours)
    ours.data += b"x"
    assert bytearray() == MultipartPart().data


def test_error_is_one_and_an_answer():
    """Outside of an application it is caught by its name, inside it is a 400."""
    error = MultiPartException("no")
    assert ("no", "no", "no", 400) == (error.message, str(error), error.detail, error.status_code)
    assert isinstance(error, HTTPException)


@pytest.mark.parametrize("module", [None, mock.NonCallableMagicMock(spec=["MultipartParser"])])
def test_without_the_package_the_error_says_what_to_install(module, monkeypatch):
    """Also with another package of that name. An urlencoded form needs none."""
    monkeypatch.setitem(sys.modules, "multipart", module)
    monkeypatch.setattr(_multipart, "_library", _multipart._library.__wrapped__)
    with pytest.raises(ImportError) as caught:
        read(ONE)
    assert str(caught.value).endswith('pip install "lamella[multipart]"')
    assert [("a", "1")] == read(b"a=1", URLENCODED)


def test_form_of_another_class_is_made_when_the_name_is_replaced(monkeypatch):
    """The form is made of the name in the module."""
    monkeypatch.setattr(formparsers, "FormData", lambda items: FormData([*items, ("more", "1")]))
    assert [("a", "v"), ("more", "1")] == read(ONE)


def test_chunk_of_any_size_is_parsed_in_steps():
    """A body that was read whole is not copied whole."""
    body = MultipartBody(MULTIPART)
    sizes = [
        len(e)
        for e in body.feed(body_of(part("f", b"x" * 300_000, filename="f")))
        if isinstance(e, bytes)
    ]
    assert 300_000 == sum(sizes) and max(sizes) <= _multipart._STEP
