"""Files as responses: the bytes that a plan names, and nothing else, whatever the file does."""

import asyncio
import os
import threading
from types import SimpleNamespace

import anyio
import pytest
from starlette import responses as starlette_responses

from lamella import _file_body, _file_response, responses
from lamella._file_body import file_pieces, stat_file
from lamella._ranges import FilePlan
from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import FileResponse
from lamella.routing import Route

CONTENT = bytes(range(256)) * 4
BOUNDARY = "b" * 26
MTIME_NS = 1_795_000_000_250_000_000
PATHSEND = {"http.response.pathsend": {}}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file with a known time, and a known multipart boundary for both frameworks."""
    monkeypatch.setattr(starlette_responses, "token_hex", lambda size: BOUNDARY)
    monkeypatch.setattr(_file_response, "secrets", SimpleNamespace(token_hex=lambda size: BOUNDARY))
    path = tmp_path / "some image.png"
    path.write_bytes(CONTENT)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return path


def scope_of(headers=None, *, kind="http", method="GET", spec="2.4", **more):
    """Make an ASGI scope."""
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": spec},
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "headers": pairs,
        **more,
    }
    if kind == "http":
        return {**scope, "method": method}
    return {**scope, "extensions": {"websocket.http.response": {}, **more.get("extensions", {})}}


async def drive(app, scope, on_send=None):
    """Run an app; what it sent, and what it raised or None."""
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)
        if on_send is not None:
            on_send(len(sent))

    try:
        await asyncio.wait_for(app(scope, receive, send), 10)
    except Exception as exc:
        return sent, exc
    return sent, None


def play(app, scope, on_send=None):
    sent, error = asyncio.run(drive(app, scope, on_send))
    assert error is None, repr(error)
    return sent


def answer(sent):
    """Tell what the client gets: status, headers sorted, body or path."""
    start, *bodies = sent
    if bodies[-1]["type"].endswith("pathsend"):
        assert 1 == len(bodies)
        return start["status"], sorted(start["headers"]), bodies[0]["path"]
    more = [message.get("more_body", False) for message in bodies]
    assert [True] * (len(bodies) - 1) + [False] == more
    return start["status"], sorted(start["headers"]), b"".join(body["body"] for body in bodies)


def both(make, scope):
    """What the client gets of both: theirs, ours."""
    return tuple(
        answer(play(make(m.FileResponse), scope)) for m in (starlette_responses, responses)
    )


def etag_of(path):
    response = starlette_responses.FileResponse(path, stat_result=path.stat())
    return response.headers["etag"]


# --- beside Starlette's

ARGUMENTS = {
    "plain": {},
    "status": {"status_code": 404},
    "headers": {"headers": {"X-One": "1", "Content-Length": "1024"}},
    "validators": {"headers": {"ETag": '"mine"', "Last-Modified": "never"}},
    "no-ranges": {"headers": {"accept-ranges": "none"}},
    "type": {"media_type": "text/csv"},
    "filename": {"filename": "a.csv"},
    "filename-odd": {"filename": 'ä "b".txt'},
    "inline": {"filename": "a.csv", "content_disposition_type": "inline"},
    "disposition": {"filename": "a", "headers": {"content-disposition": "inline"}},
}


@pytest.mark.parametrize("kind", ["GET", "HEAD", "POST", "get", "websocket"])
@pytest.mark.parametrize("name", ARGUMENTS)
def test_file_is_sent_as_starlette_sends_it(name, kind, file):
    """Every argument, every kind of request."""
    scope = scope_of(kind="websocket") if kind == "websocket" else scope_of(method=kind)
    theirs, ours = both(lambda cls: cls(file, **ARGUMENTS[name]), scope)
    assert theirs == ours


def test_headers_stand_in_the_order_of_starlette(file):
    """As they were before any layer looked."""
    scope = scope_of()
    theirs, ours = (
        play(m.FileResponse(file, headers={"x": "1"}), scope)[0]["headers"]
        for m in (starlette_responses, responses)
    )
    assert theirs == ours


RANGES = [
    "bytes=0-0",
    "bytes=0-",
    "bytes=-1",
    "bytes=-5000",
    "bytes=1000-5000",
    "bytes=1023-1023",
    "bytes=0-9,20-29",
    "bytes=0-9,5-20, 900-",
    "BYTES = 5-6",
    "bytes=1024-",
    "bytes=9-3",
    "bytes=x",
    "bytes=",
    "lines=0-1",
    "nonsense",
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 202, 2)),
]


@pytest.mark.parametrize("kind", ["GET", "HEAD", "POST", "websocket"])
@pytest.mark.parametrize("wanted", RANGES, ids=lambda text: text[:30])
def test_range_is_answered_as_starlette_answers_it(wanted, kind, file):
    """206 with the bytes, 400, 416, or all of it."""
    headers = {"range": wanted}
    scope = (
        scope_of(headers, kind="websocket")
        if kind == "websocket"
        else scope_of(headers, method=kind)
    )
    if kind == "websocket":
        # A denial is no answer to a GET: ranges do not count (RFC 9110 section 14.2).
        expected = answer(play(FileResponse(file), scope_of(kind="websocket")))
        assert expected == answer(play(FileResponse(file), scope))
        return
    theirs, ours = both(lambda cls: cls(file), scope)
    assert theirs == ours


@pytest.mark.parametrize("extensions", [{}, PATHSEND, None], ids=["none", "pathsend", "null"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("wanted", [None, "bytes=0-9", "bytes=0-9,20-29", "bytes=2000-", "x"])
def test_path_is_sent_where_the_server_can_and_all_is_wanted(wanted, method, extensions, file):
    """ASGI extension `http.response.pathsend`; a range has to be read here."""
    headers = {} if wanted is None else {"range": wanted}
    scope = scope_of(headers, method=method, extensions=extensions)
    ours = answer(play(FileResponse(file), scope))
    theirs = answer(
        play(starlette_responses.FileResponse(file), {**scope, "extensions": extensions or {}})
    )
    assert theirs == ours
    expects_path = extensions == PATHSEND and method == "GET" and wanted is None
    assert expects_path == (ours[2] == str(file))


def test_path_is_not_sent_on_a_websocket(file):
    """The extension is one of http."""
    scope = scope_of(kind="websocket", extensions=PATHSEND)
    sent = play(FileResponse(file), scope)
    kinds = {message["type"] for message in sent}
    assert {"websocket.http.response.start", "websocket.http.response.body"} == kinds
    assert CONTENT == answer(sent)[2]


@pytest.mark.parametrize("text", ["etag", "date", '"other"', "W/etag", "*", ""])
@pytest.mark.parametrize("name", ["plain", "validators"])
def test_if_range_decides_as_in_starlette(text, name, file):
    """The range counts while the file is the one the client knows."""
    date = starlette_responses.FileResponse(file, stat_result=file.stat()).headers["last-modified"]
    value = text.replace("etag", etag_of(file)).replace("date", date)
    scope = scope_of({"range": "bytes=1-2", "if-range": value})
    theirs, ours = both(lambda cls: cls(file, **ARGUMENTS[name]), scope)
    assert theirs == ours


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("wanted", [{}, {"range": "bytes=0-"}, {"range": "bytes=0-0"}])
def test_empty_file_is_answered_as_starlette_answers_it(wanted, method, file):
    """There is nothing to send, and no byte that a range could name."""
    file.write_bytes(b"")
    theirs, ours = both(lambda cls: cls(file), scope_of(wanted, method=method))
    assert theirs == ours


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 127, 128, 129])
def test_pieces_are_at_most_a_chunk(size, file):
    """Memory is bounded by `chunk_size`, a public attribute."""
    file.write_bytes(b"x" * size)

    class Small(FileResponse):
        chunk_size = 64

    sent = play(Small(file), scope_of())
    assert b"x" * size == answer(sent)[2]
    assert all(len(message["body"]) <= 64 for message in sent[1:])


def test_cap_on_ranges_of_a_subclass_counts(file):
    """`max_ranges` is a public attribute, too."""

    def make(cls):
        return type("Few", (cls,), {"max_ranges": 2})(file)

    for wanted in ("bytes=0-1,4-5", "bytes=0-1,4-5,8-9"):
        theirs, ours = both(make, scope_of({"range": wanted}))
        assert theirs == ours


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "path"])
def test_path_is_text_or_a_path(kind, file):
    """`os.PathLike` in Starlette's words."""
    theirs, ours = both(lambda cls: cls(kind(file)), scope_of())
    assert theirs == ours


# --- conditions


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("condition", ["if-none-match", "if-modified-since"])
@pytest.mark.parametrize("wanted", [{}, {"range": "bytes=0-1"}])
def test_copy_that_is_still_good_is_answered_with_304(method, condition, wanted, file):
    """RFC 9110 section 13; Starlette's FileResponse sends the file again."""
    known = FileResponse(file, stat_result=file.stat()).headers
    value = known["etag" if condition == "if-none-match" else "last-modified"]
    scope = scope_of({condition: value, **wanted}, method=method)
    status, headers, body = answer(play(FileResponse(file, headers={"x": "1"}), scope))
    assert (304, b"") == (status, body)
    names = {name for name, _ in headers}
    assert {b"etag"} <= names
    assert set() == names & {b"content-length", b"content-type", b"x", b"content-range"}


def test_copy_that_is_stale_is_sent_anew(file):
    """Even where the date alone would say otherwise."""
    known = FileResponse(file, stat_result=file.stat()).headers
    scope = scope_of({"if-none-match": '"old"', "if-modified-since": known["last-modified"]})
    assert (200, CONTENT) == answer(play(FileResponse(file), scope))[::2]


# --- what is missing, or changes


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_file_that_is_missing_is_an_error_before_the_start(method, tmp_path):
    """So that the answer can still be a 500; class and text are Starlette's."""
    scope = scope_of(method=method)
    path = tmp_path / "none"
    results = [
        asyncio.run(drive(m.FileResponse(path), scope)) for m in (starlette_responses, responses)
    ]
    for sent, error in results:
        assert [] == sent
        assert RuntimeError is type(error)
    assert str(results[0][1]) == str(results[1][1])


def test_folder_is_no_file(tmp_path):
    """Nor is a pipe, which would block a thread for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        sent, error = asyncio.run(drive(FileResponse(path), scope_of()))
        assert [] == sent
        assert f"File at path {path} is not a file." == str(error)


def test_file_that_is_gone_after_it_was_looked_at_is_an_error(file):
    """With facts that were known before, nobody looks again until it is opened."""
    response = FileResponse(file, stat_result=file.stat())
    file.unlink()
    sent, error = asyncio.run(drive(response, scope_of()))
    assert (FileNotFoundError, []) == (type(error), sent)


@pytest.mark.parametrize("wanted", [None, "bytes=10-19", "bytes=0-9,20-29"])
@pytest.mark.parametrize("size", [1024, 1024 * 256])
def test_file_that_was_put_in_its_place_is_not_sent_under_its_tag(wanted, size, file):
    """A cache would keep the one as the other; deployments replace files while they are served."""
    file.write_bytes(b"x" * size)
    other = file.with_name("other")
    other.write_bytes(b"y" * 2 * size)
    response = FileResponse(file, stat_result=file.stat())
    other.replace(file)
    scope = scope_of({} if wanted is None else {"range": wanted})
    sent, error = asyncio.run(drive(response, scope))
    assert (RuntimeError, []) == (type(error), sent)
    assert "was replaced by another one" in str(error)


@pytest.mark.parametrize("size", [1024, 1024 * 256])
def test_file_that_was_written_anew_is_sent(size, file):
    """One of the same length: mostly the same bytes, put there by a rename."""
    file.write_bytes(b"x" * size)
    other = file.with_name("other")
    other.write_bytes(b"x" * size)
    response = FileResponse(file, stat_result=file.stat())
    other.replace(file)
    sent, error = asyncio.run(drive(response, scope_of()))
    assert (None, b"x" * size) == (error, b"".join(m.get("body", b"") for m in sent))


BIG = CONTENT * 256
"""More than is read ahead by what buffers a file."""


def test_file_that_grows_is_sent_up_to_the_length_announced(file):
    """A server takes more for the next answer on the connection; Starlette sends it."""
    file.write_bytes(BIG)

    def grow(count):
        if count == 2:
            with file.open("ab") as opened:
                opened.write(b"x" * 100)

    status, headers, body = answer(play(FileResponse(file), scope_of(), grow))
    assert (200, BIG) == (status, body)
    assert (b"content-length", b"%d" % len(BIG)) in headers


@pytest.mark.parametrize(
    "wanted", [{}, {"range": "bytes=10-250000"}, {"range": "bytes=0-9,20-250000"}]
)
def test_file_that_shrinks_is_an_error_and_never_a_whole_answer(wanted, file):
    """The client must be able to tell; Starlette ends it as if it were whole."""
    file.write_bytes(BIG)

    def shrink(count):
        if count == 2:
            os.truncate(file, 70_000)

    sent, error = asyncio.run(drive(FileResponse(file), scope_of(wanted), shrink))
    assert RuntimeError is type(error)
    assert "It was changed while it was sent" in str(error)
    assert all(message["more_body"] for message in sent[1:])
    announced = int(dict(sent[0]["headers"])[b"content-length"])
    assert sum(len(message["body"]) for message in sent[1:]) < announced


def test_wrong_facts_do_not_send_more_than_announced(file):
    """`stat_result` is the user's."""
    facts = file.stat()
    file.write_bytes(CONTENT * 2)
    assert CONTENT == answer(play(FileResponse(file, stat_result=facts), scope_of()))[2]


# --- under layers


def under(dispatch, response):
    async def endpoint(request):
        return response()

    layers = [Middleware(BaseHTTPMiddleware, dispatch=dispatch)]
    return Lamella(routes=[Route("/", endpoint)], middleware=layers)


def test_layer_sees_the_status_and_headers_that_go_out(file):
    """They are settled when the endpoint has returned."""
    seen = []

    async def dispatch(request, call_next):
        response = await call_next(request)
        seen.append((response.status_code, response.headers["content-range"], type(response)))
        return response

    sent = play(under(dispatch, lambda: FileResponse(file)), scope_of({"range": "bytes=1-2"}))
    assert [(206, "bytes 1-2/1024", FileResponse)] == seen
    assert CONTENT[1:3] == answer(sent)[2]


def test_missing_file_is_an_exception_that_a_layer_can_catch(tmp_path):
    """It comes out of `call_next`, not after the start."""

    async def dispatch(request, call_next):
        try:
            return await call_next(request)
        except RuntimeError as exc:
            return responses.PlainTextResponse(str(exc).replace(str(tmp_path), ""), 404)

    sent = play(under(dispatch, lambda: FileResponse(tmp_path / "no")), scope_of())
    assert (404, b"File at path /no does not exist.") == answer(sent)[::2]


def test_background_task_runs_after_every_kind_of_answer(file):
    """Whole, in part, by its path, refused, or not at all since the client has it."""
    etag = FileResponse(file, stat_result=file.stat()).headers["etag"]
    asked = [
        scope_of(),
        scope_of(method="HEAD"),
        scope_of({"range": "bytes=0-1"}),
        scope_of(extensions=PATHSEND),
        scope_of({"if-none-match": etag}),
    ]
    ran = []

    async def work(number):
        ran.append(number)

    for number, scope in enumerate(asked):
        play(FileResponse(file, background=BackgroundTask(work, number)), scope)
    assert list(range(len(asked))) == ran


# --- the pieces themselves

pytestmark = pytest.mark.filterwarnings("error")


def plan_of(*ranges, boundary=None):
    header = None if boundary is None else lambda start, end: f"<{start}-{end}>".encode()
    return FilePlan(206, (), tuple(ranges), None, None, boundary, header)


async def gathered(path, plan, chunk_size=64):
    found = path.stat() if plan.ranges else None
    return [piece async for piece in file_pieces(path, plan, chunk_size, found)]


def test_pieces_are_those_of_the_plan(file):
    """In its order, with the header of each part, and the end of the last."""

    async def main():
        plain = await gathered(file, plan_of((0, 100), (10, 12)))
        parts = await gathered(file, plan_of((0, 2), (4, 5), boundary="B"))
        return plain, b"".join(parts)

    plain, parts = asyncio.run(main())
    assert [CONTENT[0:64], CONTENT[64:100], CONTENT[10:12]] == plain
    assert b"<0-2>\x00\x01\r\n<4-5>\x04\r\n--B--" == parts


def test_file_of_which_nothing_is_sent_is_not_opened(tmp_path):
    """For a HEAD, a 304 or an empty file."""
    assert [] == asyncio.run(gathered(tmp_path / "none", plan_of()))


def test_short_file_is_one_message_and_one_visit_to_a_thread(file, monkeypatch):
    """So is a short range of a long one; most files are short."""
    visits = []
    really = _file_body.anyio.to_thread.run_sync

    async def visit(function, *args, **options):
        visits.append(function.__name__)
        return await really(function, *args, **options)

    monkeypatch.setattr(_file_body.anyio.to_thread, "run_sync", visit)
    for headers, expected in ({}, CONTENT), ({"range": "bytes=100-199"}, CONTENT[100:200]):
        response = FileResponse(file, stat_result=file.stat())
        sent = play(response, scope_of(headers))
        assert [{"type": "http.response.body", "body": expected, "more_body": False}] == sent[1:]
    assert ["_read_at_once"] * 2 == visits


def test_short_file_that_shrinks_is_an_error(file):
    """As a long one: what was announced is not there."""
    response = FileResponse(file, stat_result=file.stat())
    os.truncate(file, 10)
    sent, error = asyncio.run(drive(response, scope_of()))
    assert RuntimeError is type(error)
    assert f"{len(CONTENT) - 10} bytes are missing" in str(error)
    assert [] == sent


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_error_of_send_is_raised_as_it_is(spec, file):
    """As Starlette's; the edge of an application knows that it says no more than who left."""
    gone = OSError("gone")

    def leave(count):
        if count == 2:
            raise gone

    sent, error = asyncio.run(drive(FileResponse(file), scope_of(spec=spec), leave))
    assert gone is error


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1, 128 * 1024])
def test_last_piece_of_a_file_is_the_last_message(size, file):
    """Without an empty one after it."""
    file.write_bytes(b"x" * size)
    bodies = [(len(m["body"]), m["more_body"]) for m in play(FileResponse(file), scope_of())[1:]]
    whole, rest = divmod(size, FileResponse.chunk_size)
    sizes = [FileResponse.chunk_size] * whole + [rest] * bool(rest)
    assert bodies == [(size, place < len(sizes)) for place, size in enumerate(sizes, 1)]


def test_stream_that_a_layer_put_in_place_of_the_file_is_sent_to_its_end(file):
    """Its length is not that of the file."""

    async def replace(request, call_next):
        response = await call_next(request)
        pieces = response.body_iterator

        async def twice():
            async for piece in pieces:
                yield piece
                yield piece

        response.body_iterator = twice()
        del response.headers["content-length"]
        return response

    async def endpoint(request):
        return FileResponse(file)

    app = Lamella(
        routes=[Route("/", endpoint)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=replace)],
    )
    assert (200, CONTENT * 2) == answer(play(app, scope_of()))[::2]


def test_conditions_that_were_looked_at_already_do_not_count(file):
    """By static files, where a subclass may decide otherwise."""
    response = FileResponse(file)
    response._conditions = False
    assert 200 == answer(play(response, scope_of({"if-none-match": "*"})))[0]


@pytest.mark.parametrize("how", ["end", "close", "error", "cancel"])
def test_file_is_closed_however_the_sending_ends(how, file, monkeypatch):
    """At once, not when the garbage is collected."""
    opened = []
    really = anyio.open_file

    async def opening(path, mode):
        opened.append(await really(path, mode))
        return opened[-1]

    monkeypatch.setattr(anyio, "open_file", opening)

    async def main():
        end = 200 if how != "error" else len(CONTENT) + 100
        pieces = file_pieces(file, plan_of((0, end)), 64, file.stat())
        await anext(pieces)
        if how == "end":
            assert 136 == len(b"".join([piece async for piece in pieces]))
        elif how == "close":
            await pieces.aclose()
        elif how == "error":
            with pytest.raises(RuntimeError, match="100 bytes are missing"):
                _ = [piece async for piece in pieces]
        else:
            with pytest.raises(asyncio.CancelledError):
                await pieces.athrow(asyncio.CancelledError())
        assert [True] == [one.wrapped.closed for one in opened]

    asyncio.run(main())


def test_files_are_looked_at_in_threads(file, monkeypatch):
    """A slow disk holds up one request, not all."""
    threads = []
    really = os.stat

    def stat(path):
        threads.append(threading.current_thread() is threading.main_thread())
        return really(path)

    monkeypatch.setattr(_file_body.os, "stat", stat)
    found = asyncio.run(stat_file(file))
    monkeypatch.undo()
    assert 1024 == found.st_size
    assert [False] == threads
