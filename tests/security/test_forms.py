"""Hostile forms over an application: each is a form or a 400, soon, and nothing is left of it.

A row is an advisory of a form parser or of a framework, and what it asks of every other one.
"""

import asyncio
import encodings
import json
import threading
import tracemalloc

import pytest

from lamella import _multipart, formparsers
from lamella.applications import Lamella
from lamella.datastructures import UploadFile
from lamella.formparsers import MultiPartParser
from lamella.responses import JSONResponse
from lamella.routing import Route

MULTIPART = "multipart/form-data; boundary=B"
URLENCODED = "application/x-www-form-urlencoded"
CHUNK = 64 * 1024


def part(disposition=b'name="a"', content=b"v", headers=b""):
    """One part with the boundary before it."""
    head = b"--B\r\nContent-Disposition: form-data; " + disposition + b"\r\n" + headers
    return head + b"\r\n" + content + b"\r\n"


FILE = b'name="f"; filename="f.bin"'


async def endpoint(request):
    """Answer with the form, files by name and content."""
    form = await request.form()
    items = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            items.append([name, value.filename, (await value.read()).decode("latin-1")])
        else:
            items.append([name, value])
    return JSONResponse(items)


class Client:
    """Posts a body and stays; what it got, and how much of the body was asked for."""

    def __init__(self, chunks, content_type=MULTIPART):
        self.chunks = iter(chunks)
        self.taken = 0
        self.sent = []
        self.content_type = content_type.encode("latin-1")

    async def receive(self):
        chunk = next(self.chunks, None)
        self.taken += len(chunk or b"")
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(self, message):
        self.sent.append(message)

    def post(self, app_endpoint=endpoint):
        """Status and body of the answer."""
        app = Lamella(routes=[Route("/", app_endpoint, methods=["POST"])])
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", self.content_type)],
        }
        asyncio.run(app(scope, self.receive, self.send))
        return self.sent[0]["status"], self.sent[1]["body"].decode()


def post(body, content_type=MULTIPART, *, size=CHUNK):
    """Post a body in chunks; status and body of the answer."""
    chunks = (body[at : at + size] for at in range(0, len(body), size))
    return Client(chunks, content_type).post()


def repeated(start, unit, times):
    """Chunks of a long body, which is never there as a whole."""
    yield start
    block = unit * max(1, CHUNK // len(unit))
    for _ in range(times * len(unit) // len(block)):
        yield block


# --- names that the client chooses


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        (b"../../etc/passwd", "passwd"),
        (b"/etc/passwd", "passwd"),
        (b"..\\\\..\\\\boot.ini", "boot.ini"),
        (b"C:\\\\x\\\\y.txt", "y.txt"),
        (b"C:y.txt", "y.txt"),
        (b"..", ""),
        (b"plain.txt", "plain.txt"),
    ],
)
def test_upload_filename_is_a_bare_name(filename, expected):
    """CVE-2021-28658, CVE-2021-31542, CVE-2026-24486: joined to a folder it stays in there."""
    status, body = post(part(b'name="f"; filename="%s"' % filename, b"") + b"--B--")
    assert (200, f'[["f","{expected}",""]]') == (status, body)


@pytest.mark.parametrize(
    "more",
    [
        b"; filename*=UTF-8''evil.txt",
        b"; name*=UTF-8''evil",
        b'; filename*="x; filename=evil.txt"',
        b"; FileName*=UTF-8''evil.txt",
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_extended_parameters_are_ignored(more, before):
    """CVE-2026-53537, RFC 7578 section 4.2: what another reader sees must be what is seen here."""
    disposition = b"x=y" + more + b"; " + FILE if before else FILE + more
    assert (200, '[["f","f.bin","v"]]') == post(part(disposition) + b"--B--")


@pytest.mark.parametrize(
    "charset",
    ["undefined", "utf-8\0", "idna", "punycode", "utf-7", "utf-16", "zlib", "rot13", "hex",
     "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "base64", "bz2", "quopri", "uu",
     "\xff", "x" * 5000, "../../x", ""],
)  # fmt: skip
def test_odd_charset_of_a_multipart_form_chooses_no_codec(charset):
    """Some of Python's fail in ways of theirs."""
    status, body = post(part(content=b"\xff+AAA-") + b"--B--", f"{MULTIPART}; charset={charset}")
    assert (200, [["a", "\xff+AAA-"]]) == (status, json.loads(body))


def test_charsets_that_a_client_makes_up_do_not_fill_the_memory(monkeypatch):
    """Python keeps each name that it was asked for and does not know, for ever."""
    monkeypatch.setattr(_multipart, "_asked", {})
    kept = set(encodings._cache)
    for number in range(200):
        post(part() + b"--B--", f"{MULTIPART}; charset=made-up-{number}")
        post(part() + b"--B--", f"{MULTIPART}; charset={number}{'x' * 5000}")
    assert len(set(encodings._cache) - kept) <= 64


# --- what is cut off


BODY = part(FILE, b"whole file") + part() + b"--B--\r\n"


@pytest.mark.parametrize("at", range(1, len(BODY) - 2))
def test_cut_off_part_or_file_is_never_delivered_as_whole(at):
    """CVE-2024-30251 too: every loop ends where the body does."""
    status, body = post(BODY[:at])
    assert (400, "The multipart data ends before its last boundary.") == (status, body)


# --- limits


@pytest.mark.parametrize(
    ("unit", "content_type"),
    [
        (part(), MULTIPART),
        (part(FILE), MULTIPART),
        (b"a=1&", URLENCODED),
        (b"a&", URLENCODED),
    ],
)
def test_number_of_parts_is_limited(unit, content_type):
    """CVE-2023-30798, CVE-2023-25577, CVE-2023-25578, CVE-2026-54283: by default, and at once."""
    client = Client(repeated(b"", unit, 100_000), content_type)
    status, body = client.post()
    assert (400, True) == (status, body.startswith("Too many "))
    assert client.taken <= 1001 * len(unit) + CHUNK


@pytest.mark.parametrize(
    ("start", "content_type"),
    [(part()[:-3], MULTIPART), (b"", URLENCODED), (b"a=", URLENCODED)],
)
def test_field_is_not_held_beyond_its_limit(start, content_type):
    """CVE-2024-47874, CVE-2026-34517: counted where bytes arrive, and left at once."""
    client = Client(repeated(start, b"x", 100 << 20), content_type)
    tracemalloc.start()
    try:
        status, body = client.post()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (400, True) == (status, body.endswith(" exceeded maximum size of 1024KB."))
    assert client.taken <= (1 << 20) + 2 * CHUNK
    assert peak < 8 << 20


@pytest.mark.parametrize("content_type", [MULTIPART, URLENCODED])
def test_fields_together_are_not_held_beyond_a_limit(content_type):
    """CVE-2024-49767, CVE-2025-69228: 1,000 fields of 1 MiB would be a gigabyte."""
    field = b"x" * (1000 << 10)
    unit = b"a=" + field + b"&" if content_type == URLENCODED else part(content=field)
    client = Client([unit] * 100, content_type)
    status, body = client.post()
    assert (400, "Fields exceeded maximum size of 16384KB in all.") == (status, body)
    assert client.taken <= 18 << 20


@pytest.mark.parametrize("unit", [b"X: y\r\n", b" y\r\n", b"X", b"\r\n", b"\n", b"\r", b"\0"])
def test_headers_of_a_part_are_limited(unit):
    """CVE-2026-42561, CVE-2026-34516: in number and in size."""
    client = Client(repeated(b"--B\r\nX: y\r\n", unit, 100 << 20))
    assert (400, "Invalid multipart data.") == client.post()
    assert client.taken <= 3 * CHUNK


@pytest.mark.parametrize("unit", [b"\r\n", b"\n", b"x", b"\r", b"--", b"--B", b"\r\n--", b"\0"])
@pytest.mark.parametrize("where", ["before", "after"])
def test_what_stands_outside_of_parts_is_limited(unit, where, caplog):
    """CVE-2024-53981, GHSA-mj87-hwqh-73pj, CVE-2025-47287: passed over at once, and not logged."""
    start = b"" if where == "before" else part() + b"--B--\r\n"
    client = Client(repeated(start, unit, 100 << 20))
    status, body = client.post()
    assert (400, True) == (status, body in {"Invalid multipart data.", "not reached"})
    assert client.taken <= 3 * CHUNK
    assert [] == caplog.records


# --- time


@pytest.mark.parametrize(
    "unit",
    [b"\r", b"\n", b"\r\n", b"\r\n-", b"\r\n--", b"\r\n--A", b"--B", b"-", b"\0", b"\r\r\n--"],
)
@pytest.mark.parametrize("size", [7, CHUNK])
def test_content_like_a_boundary_takes_linear_time(unit, size):
    """CVE-2023-46136, CVE-2025-69229: many tiny chunks too. The test ends."""
    content = b"x" + unit * ((size * 20_000 if size == 7 else 4 << 20) // len(unit))
    status, body = post(part(FILE, content) + b"--B--", size=size)
    assert (200, [["f", "f.bin", content.decode()]]) == (status, json.loads(body))


@pytest.mark.parametrize(
    "value",
    [
        b'name="' + b"\\" * 4000,
        b"name=" + b'"' * 4000,
        b"name=a" + b";" * 4000,
        b"name=a" + b"; " * 2000,
        b"name=a" + b';x="' * 1000,
        b"name=a" + b';x="\\"' * 600,
        b"name=" + b" " * 4000 + b"a",
        b"name=a;" + b"x" * 4000,
        b"name=a;" + b" " * 4000 + b"=",
    ],
)
def test_options_of_a_header_take_linear_time(value):
    """CVE-2024-24762, CVE-2026-28356: in each of 1,000 parts, and in the Content-Type."""
    status, _ = post(part(value) * 1000 + b"--B--")
    assert 200 == status
    long = (value * 20).decode()
    status, _ = post(part() + b"--B--", f"{MULTIPART}; {long}; boundary=B")
    assert status in {200, 400}


def test_only_an_ampersand_separates_fields():
    """CVE-2026-53538: what another reader sees must be what is seen here."""
    assert (200, '[["a","1;b=2"]]') == post(b"a=1;b=2", URLENCODED)


@pytest.mark.parametrize("unit", [b"&", b"=", b"%", b"+", b"%4", b"%00", b"a=%FF"])
def test_urlencoded_form_takes_linear_time(unit):
    """CVE-2026-53539: many megabytes of one thing, in chunks of any size."""
    for size, times in ((1, 50_000), (CHUNK, 1_000_000)):
        assert post(unit * times, URLENCODED, size=size)[0] in {200, 400}


# --- files


def test_spool_is_rolled_to_disk_off_the_event_loop(monkeypatch):
    """CVE-2025-54121: a slow disk must not stop the others."""
    rolled_in = []

    class Spool(formparsers.SpooledTemporaryFile):
        def rollover(self):
            rolled_in.append(threading.current_thread())
            super().rollover()

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", Spool)
    content = b"x" * (MultiPartParser.spool_max_size + 1)
    assert 200 == post(part(FILE, content) + b"--B--")[0]
    assert 1 == len(rolled_in) and threading.current_thread() not in rolled_in


def test_upload_is_not_held_in_memory(monkeypatch):
    """32 MiB of file, and a few of memory; as parts, less than one."""

    async def sizes(request):
        size = 0
        async for one in request.parts():
            async for chunk in one:
                size += len(chunk)
        return JSONResponse(size)

    async def size_of_file(request):
        return JSONResponse((await request.form())["f"].size)

    for app_endpoint, most in ((size_of_file, 8 << 20), (sizes, 1 << 20)):
        chunks = [part(FILE, b"")[:-2], *[b"x" * CHUNK] * 512, b"\r\n--B--"]
        client = Client(chunks)
        tracemalloc.start()
        try:
            assert (200, str(32 << 20)) == client.post(app_endpoint)
            assert tracemalloc.get_traced_memory()[1] < most
        finally:
            tracemalloc.stop()
