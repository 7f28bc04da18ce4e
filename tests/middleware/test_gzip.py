"""gzip: what is compressed and what is not; streams stay streams; nothing is left open."""

import asyncio
import gzip
import threading
import zlib

import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.gzip import (
    DEFAULT_EXCLUDED_CONTENT_TYPES,
    GZipMiddleware,
    GZipResponder,
    IdentityResponder,
    unattached_send,
)
from lamella.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from lamella.routing import Mount, Route
from tests.failures.wire import Wire
from tests.failures.wire import exchange as on_wire
from tests.loops import BACKENDS, peace, turns
from tests.parity.drive import answer, ask, request

TEXT = "worth compressing " * 100
RAW = TEXT.encode()
GZIP = [("accept-encoding", "gzip")]
START = {"type": "http.response.start", "status": 200, "headers": []}
PATHSEND, ZEROCOPY = "http.response.pathsend", "http.response.zerocopysend"


class Wraps:
    """A pure ASGI layer with a `send` of its own."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def own_send(message):
            await send(message)

        await self.app(scope, receive, own_send)


async def passes(request, call_next):
    return await call_next(request)


DISPATCH = Middleware(BaseHTTPMiddleware, dispatch=passes)
AROUND = {
    "alone": ([], []),
    "dispatch-outside": ([DISPATCH], []),
    "dispatch-inside": ([], [DISPATCH]),
    "wraps-outside": ([Middleware(Wraps)], []),
    "wraps-inside": ([], [Middleware(Wraps)]),
}
around = pytest.mark.parametrize("around", AROUND.values(), ids=list(AROUND))


def app_of(endpoint, around=AROUND["alone"], **settings):
    """An application whose only endpoint stands below the layer."""
    outside, inside = around
    layers = [*outside, Middleware(GZipMiddleware, **settings), *inside]
    return Lamella(routes=[Route("/", endpoint)], middleware=layers)


def foreign(*messages, **settings):
    """A pure ASGI app that sends the messages, below the layer."""

    async def app(scope, receive, send):
        for message in messages:
            await send(dict(message))

    layer = Middleware(GZipMiddleware, **settings)
    return Lamella(routes=[Mount("/", app=app)], middleware=[layer])


def returning(make):
    """An endpoint that returns what `make` makes."""

    async def endpoint(request):
        return make()

    return endpoint


def part(body, *, more=False):
    return {"type": "http.response.body", "body": body, "more_body": more}


def encoding(reply):
    return reply.headers.get("content-encoding")


# -- whole bodies ----------------------------------------------------------------------------------


@around
def test_whole_body_is_compressed_and_its_length_is_told(around):
    """With the status and headers it had."""
    endpoint = returning(lambda: PlainTextResponse(TEXT, 201, {"x-own": "1"}))
    reply = answer(app_of(endpoint, around), headers=GZIP)
    assert (201, "1", "gzip", "Accept-Encoding", str(len(reply.body))) == (
        reply.status,
        reply.headers["x-own"],
        encoding(reply),
        reply.headers["vary"],
        reply.headers["content-length"],
    )
    assert RAW == gzip.decompress(reply.body)


@around
def test_client_that_takes_no_gzip_gets_the_body_as_it_is(around):
    """And caches learn that others do not."""
    reply = answer(app_of(returning(lambda: PlainTextResponse(TEXT)), around))
    assert (None, "Accept-Encoding", TEXT) == (encoding(reply), reply.headers["vary"], reply.text)


@pytest.mark.parametrize("size", [499, 500])
def test_minimum_size_is_the_smallest_that_is_compressed(size):
    """In bytes."""
    reply = answer(app_of(returning(lambda: Response(b"x" * size))), headers=GZIP)
    assert ("gzip" if size == 500 else None) == encoding(reply)
    assert (size == 500) == ("vary" in reply.headers)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_body_may_be_any_bytes(kind):
    """As for a response itself."""

    def make():
        response = Response()
        response.body = kind(RAW)
        return response

    assert RAW == gzip.decompress(answer(app_of(returning(make)), headers=GZIP).body)


def test_level_is_the_one_that_was_given():
    """0 stores."""
    sizes = [
        len(answer(app_of(returning(lambda: Response(RAW)), compresslevel=n), headers=GZIP).body)
        for n in (0, 1, 9)
    ]
    assert sizes[0] > len(RAW) > sizes[1] >= sizes[2]


@pytest.mark.parametrize("stream", [False, True])
def test_large_body_is_compressed_in_a_thread(monkeypatch, stream):
    """The event loop goes on meanwhile."""
    threads = []

    class Compressor:
        def __init__(self, real):
            self._real = real

        def compress(self, data):
            threads.append((len(data), threading.current_thread() is threading.main_thread()))
            return self._real.compress(data)

        def flush(self, mode):
            return self._real.flush(mode)

    real = zlib.compressobj
    monkeypatch.setattr(zlib, "compressobj", lambda *args: Compressor(real(*args)))
    body = b"x" * 2000

    async def pieces():
        yield body
        yield b"y" * 10

    make = (lambda: StreamingResponse(pieces())) if stream else lambda: Response(body)
    whole = body + b"y" * 10 if stream else body
    for least, in_loop in ((2000, False), (2001, True)):
        threads.clear()
        app = app_of(returning(make), thread_minimum_size=least)
        assert whole == gzip.decompress(answer(app, headers=GZIP).body)
        assert (2000, in_loop) == threads[0]
        assert all(here for size, here in threads[1:])


# -- what is left as it is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"content-encoding": "br"}),
        (200, {"content-encoding": "identity"}),
        (200, {"cache-control": "no-transform"}),
        (200, {"cache-control": "public, No-Transform , max-age=1"}),
        (206, {"content-range": "bytes 0-9/20"}),
        (204, {}),
        (304, {}),
        *(
            (200, {"content-type": kind.replace("*", "x")})
            for kind in DEFAULT_EXCLUDED_CONTENT_TYPES
        ),
        (200, {"content-type": "Image/PNG; a=b"}),
        (200, {"content-type": "application/grpc+proto"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_response_is_left_as_it_is(status, headers, stream):
    """Not even its Vary is changed: it is the same for every client."""

    async def pieces():
        yield RAW

    def make():
        body = pieces() if stream else TEXT
        return (StreamingResponse if stream else PlainTextResponse)(body, status, headers)

    reply = answer(app_of(returning(make), minimum_size=0), headers=GZIP)
    assert RAW == reply.body
    assert headers.items() <= reply.headers.items()
    assert "vary" not in reply.headers


def test_excluded_types_may_be_others():
    """A text of them is read as a header's value would be."""
    png = returning(lambda: Response(RAW, media_type="image/png"))
    assert "gzip" == encoding(answer(app_of(png, exclude_content_types=()), headers=GZIP))
    app = app_of(png, exclude_content_types=("IMAGE/*; x",))
    assert encoding(answer(app, headers=GZIP)) is None


def test_etag_becomes_weak_only_where_the_body_is_another():
    """RFC 9110 section 8.8.3.3."""
    app = app_of(returning(lambda: Response(RAW, headers={"etag": '"a"'})))
    assert 'W/"a"' == answer(app, headers=GZIP).headers["etag"]
    assert '"a"' == answer(app).headers["etag"]


@pytest.mark.parametrize("empty", [False, True])
def test_head_tells_what_get_does_but_for_the_length(empty):
    """It would be that of another body than GET's (RFC 9110 section 8.6)."""

    async def endpoint(request):
        headers = {"content-length": str(len(RAW)), "etag": '"a"'}
        return Response(b"" if empty and request.method == "HEAD" else RAW, headers=headers)

    app = app_of(endpoint)
    got, head = (answer(app, method=method, headers=GZIP) for method in ("GET", "HEAD"))
    del got.headers["content-length"]
    assert b"" == head.body
    expected = {name: value for name, value in got.headers.items() if name != "content-length"}
    assert expected == head.headers


# -- streams ---------------------------------------------------------------------------------------


@around
def test_stream_is_compressed_piece_by_piece(around):
    """Each piece can be read to its end before the next is made; an empty one is none."""

    def make():
        async def pieces():
            for piece in ("one", b"", memoryview(b"two"), b"three"):
                yield piece

        return StreamingResponse(pieces(), headers={"content-length": "11000"})

    reply = answer(app_of(returning(make), around), headers=GZIP)
    assert "content-length" not in reply.headers
    inflate = zlib.decompressobj(31)
    bodies = [m["body"] for m in reply.messages[1:]]
    pieces = [inflate.decompress(body) for body in bodies]
    assert [b"one", b"two", b"three"] == [piece for piece in pieces if piece]
    assert inflate.eof


def test_empty_stream_is_an_empty_gzip_file():
    """So that it can be read."""

    def make():
        async def pieces():
            return
            yield b""

        return StreamingResponse(pieces())

    assert b"" == gzip.decompress(answer(app_of(returning(make)), headers=GZIP).body)


def test_stream_that_announces_little_is_left_as_it_is():
    """As a body of that size would be."""
    make = lambda: StreamingResponse(iter([b"abc"]), headers={"content-length": "3"})
    reply = answer(app_of(returning(make)), headers=GZIP)
    assert (b"abc", "3", None) == (reply.body, reply.headers["content-length"], encoding(reply))


@pytest.mark.parametrize("length", ["x", "\xb2", "-1", "9" * 30, ""])
def test_announced_length_may_be_nonsense(length):
    """An application may pass on what it got."""
    make = lambda: StreamingResponse(iter([RAW]), headers={"content-length": length})
    assert RAW == gzip.decompress(answer(app_of(returning(make)), headers=GZIP).body)


@around
def test_stream_that_fails_is_cut_off(around):
    """Without the end that would make it look whole, and with its own error."""

    def make():
        async def pieces():
            yield b"some"
            raise LookupError("in the middle")

        return StreamingResponse(pieces())

    reply = ask(app_of(returning(make), around), headers=GZIP)
    inflate = zlib.decompressobj(31)
    assert (b"some", False) == (inflate.decompress(reply.body), inflate.eof)
    assert (False, "LookupError") == (reply.complete, type(reply.error).__name__)


@pytest.mark.parametrize("loop", BACKENDS)
@pytest.mark.parametrize("spec", ["2.3", "2.4"])
@around
def test_source_is_closed_when_the_client_leaves(around, spec, loop):
    """In the task that ran it, before the exchange is over."""
    wire = Wire(spec=spec, leave_at_send=3, headers=[(b"accept-encoding", b"gzip")])

    async def pieces():
        try:
            while True:
                yield RAW
                await turns()
        finally:
            with peace():
                await turns()
            wire.note("closed")

    app = app_of(returning(lambda: StreamingResponse(pieces())), around)
    assert on_wire(loop, app, wire) is None
    assert 1 == wire.events.count("closed")


@pytest.mark.parametrize("loop", BACKENDS)
def test_source_of_a_stream_that_never_began_is_closed(loop):
    """The client left before."""
    wire = Wire(leave_at_receive=1, headers=[(b"accept-encoding", b"gzip")])
    closed = []

    class Source:
        def __aiter__(self):
            raise AssertionError("begun")

        async def aclose(self):
            closed.append(True)

    app = app_of(returning(lambda: StreamingResponse(Source())))
    assert on_wire(loop, app, wire) is None
    assert [True] == closed


def test_layer_outside_reads_the_compressed_stream():
    """It is the response's body now."""

    async def reads(request, call_next):
        response = await call_next(request)
        body = b"".join([piece async for piece in response.body_iterator])
        return Response(gzip.decompress(body))

    make = lambda: StreamingResponse(iter([RAW, b"!"]))
    outside = [Middleware(BaseHTTPMiddleware, dispatch=reads)]
    assert RAW + b"!" == answer(app_of(returning(make), (outside, [])), headers=GZIP).body


@pytest.mark.parametrize("loop", BACKENDS)
def test_endless_stream_that_a_layer_outside_reads_ends_with_the_client(loop):
    """The layer is not left reading for ever."""
    wire = Wire(headers=[(b"accept-encoding", b"gzip")])

    async def pieces():
        try:
            while True:
                yield RAW
                await turns()
        finally:
            wire.note("closed")

    async def reads(request, call_next):
        response = await call_next(request)
        count = 0
        async for _ in response.body_iterator:
            count += 1
            if count == 3:
                wire.leave()
        return response

    outside = [Middleware(BaseHTTPMiddleware, dispatch=reads)]
    app = app_of(returning(lambda: StreamingResponse(pieces())), (outside, []))
    assert on_wire(loop, app, wire) is None
    assert "closed" in wire.events


def test_background_task_runs_once():
    """After the compressed response was sent."""
    ran = []

    async def work():
        ran.append(True)

    make = lambda: PlainTextResponse(TEXT, background=BackgroundTask(work))
    answer(app_of(returning(make)), headers=GZIP)
    assert [True] == ran


def test_response_that_is_used_again_is_compressed_each_time():
    """And is as it was for whoever takes no gzip."""
    constant = PlainTextResponse(TEXT)
    app = app_of(returning(lambda: constant))
    for _ in range(2):
        assert RAW == gzip.decompress(answer(app, headers=GZIP).body)
        assert (TEXT, None) == (answer(app).text, encoding(answer(app)))


# -- files -----------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "file.txt"
    file.write_bytes(RAW * 100)
    return file


@around
def test_file_is_compressed_as_it_is_read(path, around):
    """Its ranges are those of another body."""
    reply = answer(app_of(returning(lambda: FileResponse(path)), around), headers=GZIP)
    assert RAW * 100 == gzip.decompress(reply.body)
    assert not {"content-length", "accept-ranges"} & {*reply.headers}
    assert reply.headers["etag"].startswith('W/"')


def test_range_of_a_file_is_left_as_it_is(path):
    """It is a part of the file, not of what is compressed of it."""
    app = app_of(returning(lambda: FileResponse(path)), minimum_size=0)
    reply = answer(app, headers=[*GZIP, ("range", "bytes=0-9")])
    assert (206, RAW[:10], None) == (reply.status, reply.body, encoding(reply))


def test_copy_that_the_client_holds_is_not_sent_again(path):
    """The weak tag of the compressed file is the file's own."""
    app = app_of(returning(lambda: FileResponse(path)))
    etag = answer(app, headers=GZIP).headers["etag"]
    reply = answer(app, headers=[*GZIP, ("if-none-match", etag)])
    assert (304, b"") == (reply.status, reply.body)


def test_small_file_is_left_as_it_is(tmp_path):
    """Its length is known."""
    (tmp_path / "small").write_text("small")
    reply = answer(app_of(returning(lambda: FileResponse(tmp_path / "small"))), headers=GZIP)
    assert (b"small", None) == (reply.body, encoding(reply))


def test_head_of_a_file_is_that_of_the_compressed_one(path):
    """Without a length."""
    app = app_of(returning(lambda: FileResponse(path)))
    reply = answer(app, method="HEAD", headers=GZIP)
    assert (b"", "gzip", None) == (reply.body, encoding(reply), reply.headers.get("content-length"))


def test_file_that_the_server_sends_by_itself_is_left_to_it(path):
    """That is faster than to compress it anew each time."""
    app = app_of(returning(lambda: FileResponse(path)))
    for method in ("GET", "HEAD"):
        reply = answer(app, method=method, headers=GZIP, extensions={PATHSEND: {}})
        assert {None} == {encoding(reply), reply.headers.get("vary")}
        assert str(len(RAW) * 100) == reply.headers["content-length"]


def test_file_that_a_layer_inside_returns_is_compressed(path):
    """Though nobody has settled it."""

    async def instead(request, call_next):
        return FileResponse(path)

    inside = [Middleware(BaseHTTPMiddleware, dispatch=instead)]
    reply = answer(app_of(returning(Response), ([], inside)), headers=GZIP)
    assert RAW * 100 == gzip.decompress(reply.body)


# -- foreign apps ----------------------------------------------------------------------------------


def test_foreign_app_is_compressed_with_nothing_outside():
    """It cannot send straight to the server then."""
    reply = answer(foreign(START, part(RAW)), headers=GZIP)
    assert (RAW, str(len(reply.body))) == (
        gzip.decompress(reply.body),
        reply.headers["content-length"],
    )


def test_foreign_stream_is_compressed_piece_by_piece():
    """The app is never ahead of the client."""
    reply = answer(foreign(START, part(b"one", more=True), part(b"two")), headers=GZIP)
    inflate = zlib.decompressobj(31)
    assert [b"one", b"two"] == [inflate.decompress(m["body"]) for m in reply.messages[1:3]]
    assert b"onetwo" == gzip.decompress(reply.body)


def test_messages_of_a_foreign_app_stay_what_they_are():
    """Each with its own part of the body, an empty one too, and the last one ends it."""
    bodies = part(b"one", more=True), part(b"", more=True), part(b"two")
    reply = answer(foreign(START, *bodies), headers=GZIP)
    inflate = zlib.decompressobj(31)
    sent = [part(inflate.decompress(m["body"]), more=m["more_body"]) for m in reply.messages[1:]]
    assert list(bodies) == sent
    assert inflate.eof


def test_file_between_the_messages_of_a_foreign_app_is_compressed_with_them(path):
    """As the bytes that it stands for."""
    with path.open("rb") as file:
        copies = {"type": ZEROCOPY, "file": file, "more_body": True}
        reply = answer(foreign(START, part(b"one", more=True), copies, part(b"")), headers=GZIP)
    assert b"one" + path.read_bytes() == zlib.decompress(reply.body, 31)


def test_layer_outside_reads_the_compressed_pieces_of_a_foreign_app():
    """Whatever the messages were."""

    async def reads(request, call_next):
        response = await call_next(request)
        return Response(b"".join([piece async for piece in response.body_iterator]))

    app = foreign(START, part(b"one", more=True), part(b"two"))
    reply = answer(BaseHTTPMiddleware(app, reads), headers=GZIP)
    assert b"onetwo" == zlib.decompress(reply.body, 31)


@pytest.mark.parametrize("more", [False, True])
def test_trailers_of_a_foreign_app_follow(more):
    """After a body without a length."""
    trailers = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]}
    bodies = [part(RAW, more=True), part(b"")] if more else [part(RAW)]
    headers = [(b"content-length", b"%d" % len(RAW))]
    app = foreign({**START, "headers": headers, "trailers": True}, *bodies, trailers)
    reply = answer(app, headers=GZIP)
    assert trailers == reply.messages[-1]
    assert RAW == gzip.decompress(reply.body)
    assert "content-length" not in reply.headers


@around
def test_file_is_left_to_the_server_wherever_its_message_comes_from(path, around):
    """A foreign layer has made messages of it, or a foreign app has sent none but them."""
    sends = {"type": PATHSEND, "path": str(path)}
    for app in (app_of(returning(lambda: FileResponse(path)), around), foreign(START, sends)):
        reply = answer(app, headers=GZIP, extensions={PATHSEND: {}})
        assert sends == reply.messages[1]
        assert {None} == {encoding(reply), reply.headers.get("vary")}


def test_open_file_of_a_foreign_app_is_read_and_compressed(path):
    """It is what comes instead of bytes, and there may be more of them."""
    with path.open("rb") as file:
        copies = {"type": ZEROCOPY, "file": file, "offset": 18, "count": 18}
        reply = answer(foreign(START, copies), headers=GZIP, extensions={ZEROCOPY: {}})
    assert RAW[18:36] == gzip.decompress(reply.body)


def test_response_with_a_call_of_its_own_is_compressed():
    """What it sends is what counts, as for event sources."""

    class Own(Response):
        async def __call__(self, scope, receive, send):
            await send({**START, "headers": [(b"content-type", b"text/x")]})
            await send(part(RAW))

    assert RAW == gzip.decompress(answer(app_of(returning(Own)), headers=GZIP).body)


def test_stream_that_sends_its_pieces_in_its_own_way_is_compressed():
    """They need not be bytes: some streams find out their status with the first of them."""

    class Own(StreamingResponse):
        async def stream_response(self, send):
            async for status, piece in self.body_iterator:
                await send({**START, "status": status})
                await send(part(piece))

    async def pieces():
        yield 207, RAW

    reply = answer(app_of(returning(lambda: Own(pieces()))), headers=GZIP)
    assert (207, RAW) == (reply.status, gzip.decompress(reply.body))


# -- responders ------------------------------------------------------------------------------------


def responder(cls, *messages, **settings):
    """A responder around a pure ASGI app that sends the messages."""

    async def app(scope, receive, send):
        for message in messages:
            await send(dict(message))

    return cls(app, settings.pop("minimum_size", 500), **settings)


def test_responder_compresses_whatever_the_client_takes():
    """Whoever makes one has looked at that."""
    reply = answer(responder(GZipResponder, START, part(RAW)))
    assert ("gzip", "Accept-Encoding", str(len(reply.body))) == (
        encoding(reply),
        reply.headers["vary"],
        reply.headers["content-length"],
    )
    assert RAW == gzip.decompress(reply.body)


def test_responder_compresses_a_stream_message_by_message():
    """One for one."""
    messages = [START, part(b"one", more=True), part(b"", more=True), part(b"two")]
    reply = answer(responder(GZipResponder, *messages))
    inflate = zlib.decompressobj(31)
    assert [b"one", b"", b"two"] == [inflate.decompress(m["body"]) for m in reply.messages[1:]]
    assert (True, True) == (inflate.eof, reply.complete)


def test_identity_responder_says_that_others_get_another_body():
    """And changes nothing else."""
    reply = answer(responder(IdentityResponder, START, part(RAW)))
    assert ([(b"vary", b"Accept-Encoding")], RAW) == (reply.start["headers"], reply.body)


@pytest.mark.parametrize("cls", [GZipResponder, IdentityResponder])
@pytest.mark.parametrize(
    "start",
    [
        {**START, "headers": [(b"content-encoding", b"br")]},
        {**START, "headers": [(b"content-type", b"image/png")]},
        {**START, "headers": [(b"cache-control", b"no-transform")]},
        {**START, "status": 206},
        {**START, "status": 204},
    ],
)
def test_responder_leaves_a_response_as_it_is(cls, start):
    """Its start goes out at once, not with the first piece of the body."""
    messages = [start, part(RAW, more=True), part(b"")]
    assert messages == answer(responder(cls, *messages)).messages


def test_responder_leaves_small_bodies_files_and_other_messages_as_they_are(path):
    """In their order."""
    hint = {"type": "http.response.early_hint", "links": []}
    sends = {"type": PATHSEND, "path": str(path)}
    for messages in ([hint, START, part(b"small")], [START, sends]):
        assert messages == answer(responder(GZipResponder, *messages)).messages


def test_own_apply_compression_is_used():
    """Other encodings are written so."""

    class Reversing(IdentityResponder):
        content_encoding = "reverse"

        async def apply_compression(self, body, *, more_body):
            return body[::-1]

    reply = answer(responder(Reversing, START, part(b"abc"), minimum_size=0))
    assert (b"cba", "reverse", "3") == (
        reply.body,
        encoding(reply),
        reply.headers["content-length"],
    )


def test_own_send_with_compression_may_leave_a_response_alone():
    """By the attribute that says why, once it has seen the start."""

    class Selective(GZipResponder):
        async def send_with_compression(self, message):
            await super().send_with_compression(message)
            if message["type"] == "http.response.start":
                self.content_encoding_set = True
                await self.send(self.initial_message)

    messages = [START, part(RAW)]
    assert messages == answer(responder(Selective, *messages)).messages


def test_responder_that_does_not_run_sends_nothing():
    """It says so."""
    with pytest.raises(RuntimeError, match="being called"):
        asyncio.run(unattached_send({}))


# -- the rest --------------------------------------------------------------------------------------


def test_error_passes():
    """As it is."""

    async def fails(request):
        raise LookupError("own")

    assert "LookupError('own')" == repr(ask(app_of(fails), headers=GZIP).error)


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_what_is_no_http_passes_untouched(kind):
    """The same three objects."""
    seen = []

    async def app(*call):
        seen.append(call)

    call = ({"type": kind}, object(), object())
    asyncio.run(GZipMiddleware(app)(*call))
    assert [call] == seen


def test_requests_at_the_same_time_have_compressors_of_their_own():
    """Also where they share the threads."""

    async def endpoint(request):
        async def pieces():
            for _ in range(5):
                yield request.query_params["n"].encode() * 3000
                await turns()

        return StreamingResponse(pieces())

    async def main():
        app = app_of(endpoint, thread_minimum_size=1000)
        asked = [request(app, query=b"n=%d" % n, headers=GZIP) for n in range(8)]
        return await asyncio.gather(*asked)

    for n, reply in enumerate(asyncio.run(main())):
        assert b"%d" % n * 15000 == gzip.decompress(reply.body)
