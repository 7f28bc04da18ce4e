"""Family H: what the server is sent is what it would be sent without the layers."""

from __future__ import annotations

import os
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.failures.stacks import LAYERED_ONCE, Shape, bare, build, every, layered, over
from tests.failures.wire import (
    FileResponse,
    HTMLResponse,
    HTTPException,
    JSONResponse,
    Mount,
    PlainTextResponse,
    RedirectResponse,
    Response,
    Route,
    Source,
    StreamingResponse,
    Wire,
    exchange,
    tick,
)
from tests.loops import turns

WHERE = pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])


# -- streaming -----------------------------------------------------------------------------------------


def has_pieces(wire: Wire, number: int) -> bool:
    """Tell whether the client has got so many pieces."""
    return len(wire.pieces) >= number


@every
def test_piece_reaches_the_client_before_the_next_is_made(shape: Shape) -> None:
    """H1: streaming responses are buffered by the middleware."""
    wire = Wire(spec=shape.spec)

    async def pieces() -> Any:
        for number in range(1, 5):
            yield Source.piece(number)
            await wire.until(partial(has_pieces, wire, number))

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(pieces())

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.pieces == [Source.piece(number) for number in range(1, 5)]
    assert wire.complete


@every
def test_headers_reach_the_client_before_the_first_piece_is_made(shape: Shape) -> None:
    """H1, and more: the start is not held back for the body."""
    wire = Wire(spec=shape.spec)

    async def pieces() -> Any:
        await wire.until_event("send start")
        yield b"piece"

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(pieces())

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.body == b"piece"


@pytest.mark.parametrize("pause", [tick, None], ids=["ticking", "tight"])
@every
def test_slow_client_slows_the_generator(shape: Shape, pause: Any) -> None:
    """H2: a slow client does not slow the generator: each layer holds a chunk."""
    wire = Wire(spec=shape.spec, slow=True)
    source = Source(30, pause=pause)
    ahead: list[int] = []

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    async def client(wire: Wire) -> None:
        for taken in range(30):
            for _ in range(60):
                await turns()
            ahead.append(source.made - taken)
            await wire.read()

    exc = exchange(shape.loop, build(shape, endpoint), wire, client)

    assert exc is None
    assert len(ahead) == 30
    assert max(ahead) <= 2
    assert wire.body == source.whole


async def replace(request: Any, call_next: Any) -> Any:
    """Run what is inside, and answer something else."""
    await call_next(request)
    return PlainTextResponse("mine")


@pytest.mark.parametrize("pause", [tick, None], ids=["ticking", "tight"])
@WHERE
@layered
def test_endless_stream_that_is_discarded_stops(shape: Shape, index: int, pause: Any) -> None:
    """H3: dispatch discards an endless stream: the request never ends, or the loop is blocked."""
    wire = Wire(spec=shape.spec)
    source = Source(None, pause=pause)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint, at={index: replace}), wire)

    assert exc is None
    assert wire.body == b"mine"
    assert source.made < Source.BOUND


@WHERE
@layered
def test_endless_asgi_app_that_is_discarded_stops(shape: Shape, index: int) -> None:
    """H3: the same for an ASGI app that sends for as long as it may."""
    wire = Wire(spec=shape.spec)
    ends: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(Source.BOUND):
                await send({"type": "http.response.body", "body": b"more", "more_body": True})
            ends.append("ran on")
        except BaseException as exc:
            ends.append(type(exc))
            raise

    stack = build(shape, routes=[Mount("/", app=app)], at={index: replace})
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert wire.body == b"mine"
    assert len(ends) == 1
    assert ends != ["ran on"]


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@WHERE
@layered
def test_finite_response_that_is_discarded_leaves_nothing_behind(
    shape: Shape, index: int, streams: bool
) -> None:
    """H4: dispatch discards a finite response: a task is left pending."""
    wire = Wire(spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(Source(3).generator) if streams else JSONResponse([1, 2])

    exc = exchange(shape.loop, build(shape, endpoint, at={index: replace}), wire)

    assert exc is None
    assert wire.body == b"mine"
    assert wire.complete
    assert wire.violations == []


@pytest.mark.parametrize("count", [None, 3], ids=["endless", "finite"])
@WHERE
@layered
def test_stream_that_is_discarded_is_closed(shape: Shape, index: int, count: Any) -> None:
    """H17: a stream that dispatch discards is left to the garbage collector."""
    wire = Wire(spec=shape.spec)
    source = Source(count, pause=tick)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint, at={index: replace}), wire)

    assert exc is None
    assert source.over


@WHERE
@layered
def test_stream_that_a_new_response_takes_over_arrives(shape: Shape, index: int) -> None:
    """H17, and more: body_iterator of a response may be streamed by another response."""
    wire = Wire(spec=shape.spec)
    source = Source(4)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    async def rebuild(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        return StreamingResponse(response.body_iterator, 201, {"x-rebuilt": "yes"})

    exc = exchange(shape.loop, build(shape, endpoint, at={index: rebuild}), wire)

    assert exc is None
    assert wire.status == 201
    assert wire.header("x-rebuilt") == ["yes"]
    assert wire.body == source.whole
    assert source.over


# -- the same on the wire --------------------------------------------------------------------------------


def cookies(request: Any) -> Any:
    """Answer with headers that come twice."""
    response = PlainTextResponse("cookies", headers={"X-Mixed-Case": "kept"})
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    response.headers.append("link", "</a>")
    response.headers.append("link", "</b>")
    return response


def forbidden(request: Any) -> Any:
    """Refuse."""
    raise HTTPException(403, headers={"x-why": "test"})


ANSWERS: dict[str, Any] = {
    "text": lambda request: PlainTextResponse("hello"),
    "html": lambda request: HTMLResponse("<p>hello</p>", 201),
    "json": lambda request: JSONResponse({"hello": ["world", 1, None]}),
    "bytes": lambda request: Response(b"\x00\xff", media_type="application/octet-stream"),
    "empty": lambda request: Response(),
    "no-content": lambda request: Response(status_code=204),
    "not-modified": lambda request: Response(status_code=304, headers={"etag": '"1"'}),
    "redirect": lambda request: RedirectResponse("/elsewhere?a=b"),
    "own-length": lambda request: Response(b"12345", headers={"content-length": "5"}),
    "cookies": cookies,
    "forbidden": forbidden,
    "stream": lambda request: StreamingResponse(Source(4).generator, media_type="text/plain"),
    "stream-length": lambda request: StreamingResponse(
        Source(1).generator, headers={"content-length": "8"}
    ),
    "empty-stream": lambda request: StreamingResponse(Source(0).generator),
    "file": lambda request: FileResponse(__file__),
    "range": lambda request: FileResponse(__file__),
}


def ask(name: str, shape: Shape) -> Wire:
    """Make the request for an answer of ``ANSWERS``, or for what no route answers."""
    headers = [(b"range", b"bytes=5-14")] if name == "range" else []
    method = {"head": "HEAD", "not-allowed": "DELETE"}.get(name, "GET")
    path = {"not-found": "/nowhere", "slash": "/text/"}.get(
        name, f"/{name}" if name in ANSWERS else "/text"
    )
    return Wire(method=method, path=path, headers=headers, spec=shape.spec)


def answer(name: str, shape: Shape) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Tell what arrives: status, header lines, body."""

    def made_async(make: Any) -> Any:
        async def endpoint(request: Any) -> Any:
            return make(request)

        return endpoint

    routes = [Route(f"/{key}", made_async(make)) for key, make in ANSWERS.items()]
    wire = ask(name, shape)
    threads = name in ("file", "range")
    exc = exchange(shape.loop, build(shape, routes=routes), wire, threads=threads)
    assert exc is None
    assert wire.complete
    assert wire.violations == []
    return wire.status, wire.raw_headers, wire.body


@pytest.mark.parametrize("name", [*ANSWERS, "head", "not-found", "not-allowed", "slash"])
@over(LAYERED_ONCE)
def test_layers_leave_the_response_as_it_is(shape: Shape, name: str) -> None:
    """H5: the middleware changes the response on the wire (headers, cookies, length, body)."""
    assert answer(name, shape) == answer(name, bare(shape))


async def adds_header(request: Any, call_next: Any) -> Any:
    """Add a header to the response."""
    response = await call_next(request)
    response.headers.append("x-added", "yes")
    return response


class OwnCall(PlainTextResponse):  # type: ignore[misc]
    """A response with an ASGI face of its own, as event source responses have."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 207, "headers": [(b"x-own", b"1")]})
        for piece, more in ((b"own ", True), (b"body", False)):
            await send({"type": "http.response.body", "body": piece, "more_body": more})
        if self.background is not None:
            await self.background()


@every
def test_response_with_a_call_of_its_own_is_decorated(shape: Shape) -> None:
    """H5, and more: what a layer adds is on a response whose __call__ sends its own start."""
    wire = Wire(spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        return OwnCall("ignored")

    exc = exchange(shape.loop, build(shape, endpoint, each=lambda _: adds_header), wire)

    assert exc is None
    assert wire.status == 207
    assert wire.header("x-own") == ["1"]
    assert wire.header("x-added") == ["yes"] * shape.depth
    assert wire.body == b"own body"


@WHERE
@layered
def test_response_with_a_call_of_its_own_is_read_as_it_is_sent(shape: Shape, index: int) -> None:
    """H5, and more: body_iterator gives what the response's own __call__ sends, status too."""
    wire = Wire(spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        return OwnCall("ignored")

    async def read(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        body = b"".join([bytes(piece) async for piece in response.body_iterator])
        return PlainTextResponse(b"<" + body + b">", response.status_code)

    exc = exchange(shape.loop, build(shape, endpoint, at={index: read}), wire)

    assert exc is None
    assert wire.status == 207
    assert wire.body == b"<own body>"


@layered
def test_asgi_app_that_a_layer_returns_is_decorated(shape: Shape) -> None:
    """H5, and more: a layer may return any ASGI app for a response."""
    wire = Wire(spec=shape.spec)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 207, "headers": []})
        await send({"type": "http.response.body", "body": b"app"})

    async def give(request: Any, call_next: Any) -> Any:
        return app

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse("not reached")

    stack = build(shape, endpoint, each=lambda _: adds_header, at={-1: give})
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert wire.status == 207
    assert wire.body == b"app"
    assert wire.header("x-added") == ["yes"] * (shape.depth - 1)


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@layered
def test_asgi_app_around_the_response_arrives(shape: Shape, streams: bool) -> None:
    """H5, and more: a layer may return an ASGI app that sends the response it was given."""
    wire = Wire(spec=shape.spec)
    source = Source(3)

    async def surround(request: Any, call_next: Any) -> Any:
        response = await call_next(request)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            async def louder(message: Any) -> None:
                if "body" in message:
                    message = {**message, "body": bytes(message["body"]).upper()}
                await send(message)

            await response(scope, receive, louder)

        return app

    async def endpoint(request: Any) -> Any:
        if streams:
            return StreamingResponse(source.generator)
        return PlainTextResponse(source.whole)

    exc = exchange(shape.loop, build(shape, endpoint, each=lambda _: surround), wire)

    assert exc is None
    assert wire.status == 200
    assert wire.body == source.whole.upper()
    assert wire.complete


# -- other messages ------------------------------------------------------------------------------------


PATHSEND = "http.response.pathsend"


@every
def test_pathsend_is_passed_on(shape: Shape, tmp_path: Path) -> None:
    """H6: http.response.pathsend (FileResponse on granian) breaks in the middleware."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"content")
    wire = Wire(spec=shape.spec, extensions=[PATHSEND])

    async def endpoint(request: Any) -> Any:
        return FileResponse(path)

    stack = build(shape, endpoint, each=lambda _: adds_header)
    exc = exchange(shape.loop, stack, wire, threads=True)

    assert exc is None
    assert wire.kinds() == ["start", "pathsend"]
    assert wire.sent[-1] == {"type": PATHSEND, "path": str(path)}
    assert wire.header("x-added") == ["yes"] * shape.depth
    assert wire.header("content-length") == ["7"]


@WHERE
@layered
def test_body_iterator_of_a_sent_path_gives_bytes(shape: Shape, index: int, tmp_path: Path) -> None:
    """H7: response.body_iterator yields a dict (pathsend message) to a middleware."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"content" * 30_000)
    wire = Wire(spec=shape.spec, extensions=[PATHSEND])
    pieces: list[Any] = []

    async def endpoint(request: Any) -> Any:
        return FileResponse(path)

    async def read(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        pieces.extend([piece async for piece in response.body_iterator])
        return PlainTextResponse("read")

    stack = build(shape, endpoint, at={index: read})
    exc = exchange(shape.loop, stack, wire, threads=True)

    assert exc is None
    assert {type(piece) for piece in pieces} <= {bytes, memoryview}
    assert b"".join(pieces) == b"content" * 30_000
    assert wire.body == b"read"


@layered
def test_body_put_in_place_of_a_file_is_sent_instead_of_its_path(
    shape: Shape, tmp_path: Path
) -> None:
    """H7, and more: a layer's own body wins over pathsend."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"content")
    wire = Wire(spec=shape.spec, extensions=[PATHSEND])

    async def endpoint(request: Any) -> Any:
        return FileResponse(path)

    async def louder(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        inner = response.body_iterator

        async def pieces() -> Any:
            async for piece in inner:
                yield bytes(piece).upper()

        response.body_iterator = pieces()
        return response

    stack = build(shape, endpoint, each=lambda _: louder)
    exc = exchange(shape.loop, stack, wire, threads=True)

    assert exc is None
    assert wire.body == b"CONTENT"
    assert wire.complete


def sends(*messages: Any) -> Any:
    """Make a mounted ASGI app that sends the messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(deepcopy(message))

    return [Mount("/", app=app)]


START = {"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]}
BODY = {"type": "http.response.body", "body": b"done"}


@every
def test_debug_message_is_passed_on(shape: Shape) -> None:
    """H8: http.response.debug is not passed on."""
    debug = {"type": "http.response.debug", "info": {"template": "a"}}
    wire = Wire(spec=shape.spec, extensions=["http.response.debug"])

    exc = exchange(shape.loop, build(shape, routes=sends(debug, START, BODY)), wire)

    assert exc is None
    assert wire.kinds()[:3] == ["debug", "start", "body"]
    assert wire.kinds().count("debug") == 1
    assert wire.sent[0] == debug


EARLY_HINT = "http.response.early_hint"


@every
def test_early_hints_reach_the_client_at_once(shape: Shape) -> None:
    """H9: http.response.early_hint is not passed on."""
    wire = Wire(spec=shape.spec, extensions=[EARLY_HINT])

    async def endpoint(request: Any) -> Any:
        await request.send_early_hints("</a.css>; rel=preload")
        await wire.until_event("send early_hint")
        await request.send_early_hints("</b.css>; rel=preload", "</c.css>; rel=preload")
        await wire.until(lambda: wire.events.count("send early_hint") == 2)
        return PlainTextResponse("done")

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.kinds()[:4] == ["early_hint", "early_hint", "start", "body"]
    assert [message["links"] for message in wire.sent[:2]] == [
        [b"</a.css>; rel=preload"],
        [b"</b.css>; rel=preload", b"</c.css>; rel=preload"],
    ]


@every
def test_early_hints_of_an_asgi_app_reach_the_client_at_once(shape: Shape) -> None:
    """H9: the same for an ASGI app below."""
    wire = Wire(spec=shape.spec, extensions=[EARLY_HINT])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": EARLY_HINT, "links": [b"</a.css>"]})
        await wire.until_event("send early_hint")
        await send(START)
        await send(BODY)

    exc = exchange(shape.loop, build(shape, routes=[Mount("/", app=app)]), wire)

    assert exc is None
    assert wire.kinds()[:3] == ["early_hint", "start", "body"]


PUSH = "http.response.push"


@every
def test_push_promise_reaches_the_server(shape: Shape) -> None:
    """H10: http.response.push (Request.send_push_promise) fails below a layer."""
    wire = Wire(spec=shape.spec, extensions=[PUSH], headers=[(b"accept", b"text/css")])

    async def endpoint(request: Any) -> Any:
        await request.send_push_promise("/style.css")
        return PlainTextResponse("done")

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert wire.kinds() == ["push", "start", "body"]
    assert wire.sent[0]["path"] == "/style.css"
    assert (b"accept", b"text/css") in wire.sent[0]["headers"]


@layered
def test_layer_may_send_hints_and_pushes(shape: Shape) -> None:
    """H9 and H10, and more: a layer may send both, before call_next."""
    wire = Wire(spec=shape.spec, extensions=[PUSH, EARLY_HINT])

    async def tell(request: Any, call_next: Any) -> Any:
        await request.send_early_hints("</a.css>")
        await request.send_push_promise("/a.css")
        return await call_next(request)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse("done")

    exc = exchange(shape.loop, build(shape, endpoint, each=lambda _: tell), wire)

    assert exc is None
    assert wire.kinds() == ["early_hint", "push"] * shape.depth + ["start", "body"]


TRAILERS = {
    "type": "http.response.trailers",
    "headers": [(b"x-checksum", b"abc")],
    "more_trailers": False,
}


@pytest.mark.parametrize("pieces", [1, 3])
@every
def test_trailers_follow_the_body(shape: Shape, pieces: int) -> None:
    """H11: response trailers are dropped."""
    wire = Wire(spec=shape.spec, extensions=["http.response.trailers"])
    bodies = [
        {"type": "http.response.body", "body": b"x", "more_body": number < pieces}
        for number in range(1, pieces + 1)
    ]

    routes = sends({**START, "trailers": True}, *bodies, TRAILERS)
    exc = exchange(shape.loop, build(shape, routes=routes), wire)

    assert exc is None
    assert wire.start["trailers"] is True
    assert wire.body == b"x" * pieces
    assert wire.kinds()[-1] == "trailers"
    assert wire.sent[-1]["headers"] == TRAILERS["headers"]
    assert wire.complete


@layered
def test_trailers_follow_a_body_that_a_layer_changed(shape: Shape) -> None:
    """H11, and more: layers that add headers and wrap the body keep them."""
    wire = Wire(spec=shape.spec, extensions=["http.response.trailers"])

    async def change(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers.append("x-added", "yes")
        inner = response.body_iterator

        async def louder() -> Any:
            async for piece in inner:
                yield bytes(piece).upper()

        response.body_iterator = louder()
        return response

    first = {"type": "http.response.body", "body": b"one ", "more_body": True}
    second = {"type": "http.response.body", "body": b"two"}
    routes = sends({**START, "trailers": True}, first, second, TRAILERS)
    exc = exchange(shape.loop, build(shape, routes=routes, each=lambda _: change), wire)

    assert exc is None
    assert wire.body == b"ONE TWO"
    assert wire.header("x-added") == ["yes"] * shape.depth
    assert wire.kinds()[-1] == "trailers"
    assert wire.complete


@every
def test_zerocopysend_reaches_the_server(shape: Shape, tmp_path: Path) -> None:
    """H12: http.response.zerocopysend fails below a layer."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"content")
    wire = Wire(spec=shape.spec, extensions=["http.response.zerocopysend"])
    file = os.open(path, os.O_RDONLY)
    message = {
        "type": "http.response.zerocopysend",
        "file": file,
        "offset": 0,
        "count": 7,
        "more_body": False,
    }
    try:
        exc = exchange(shape.loop, build(shape, routes=sends(START, message)), wire)
    finally:
        os.close(file)

    assert exc is None
    assert wire.kinds() == ["start", "zerocopysend"]
    assert wire.sent[-1] == message


@layered
def test_header_is_added_to_a_start_without_headers(shape: Shape) -> None:
    """H13: KeyError when http.response.start has no headers."""
    wire = Wire(spec=shape.spec)

    routes = sends({"type": "http.response.start", "status": 200}, BODY)
    exc = exchange(shape.loop, build(shape, routes=routes, each=lambda _: adds_header), wire)

    assert exc is None
    assert wire.header("x-added") == ["yes"] * shape.depth
    assert wire.body == b"done"


@pytest.mark.parametrize("make", [tuple, iter, dict.fromkeys], ids=["tuple", "iterator", "keys"])
@layered
def test_header_is_added_to_any_iterable_of_headers(shape: Shape, make: Any) -> None:
    """H14: headers given as any iterable (ASGI allows it) cannot be changed in dispatch."""
    wire = Wire(spec=shape.spec)
    headers = make([(b"x-own", b"1"), (b"x-own", b"2")])

    routes = sends({"type": "http.response.start", "status": 200, "headers": headers}, BODY)
    exc = exchange(shape.loop, build(shape, routes=routes, each=lambda _: adds_header), wire)

    assert exc is None
    assert wire.header("x-own") == ["1", "2"]
    assert wire.header("x-added") == ["yes"] * shape.depth


@layered
def test_second_start_is_an_error_that_says_so(shape: Shape) -> None:
    """H15: an app that starts the response twice (MCP SSE)."""
    wire = Wire(spec=shape.spec)
    first = {"type": "http.response.body", "body": b"one", "more_body": True}

    exc = exchange(shape.loop, build(shape, routes=sends(START, first, START, BODY)), wire)

    assert exc is not None
    assert "http.response.start" in str(exc)
    assert wire.kinds().count("start") == 1
    assert wire.violations == []


@pytest.mark.parametrize("late", [START, BODY], ids=["start", "body"])
@layered
def test_message_after_the_end_is_an_error_that_says_so(shape: Shape, late: Any) -> None:
    """H15, and more: a start or a body after a complete response is reported, too."""
    wire = Wire(spec=shape.spec)

    exc = exchange(shape.loop, build(shape, routes=sends(START, BODY, late)), wire)

    assert exc is not None
    assert late["type"] in str(exc)
    assert wire.body == b"done"
    assert wire.violations == []


@layered
def test_message_that_an_app_reuses_is_not_changed(shape: Shape) -> None:
    """H13, and more: a header added by a layer stays out of the app's own message."""
    start = {"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start)
        await send(BODY)

    stack = build(shape, routes=[Mount("/", app=app)], each=lambda _: adds_header)
    for _ in range(2):
        wire = Wire(spec=shape.spec)
        exc = exchange(shape.loop, stack, wire)
        assert exc is None
        assert wire.header("x-added") == ["yes"] * shape.depth
    assert start["headers"] == [(b"x-own", b"1")]


# -- the response as a value ---------------------------------------------------------------------------


@every
def test_call_next_gives_the_body_of_a_complete_response(shape: Shape) -> None:
    """After call_next, response.body is there for a complete response, native or bridged."""
    wire = Wire(spec=shape.spec)
    bodies: list[bytes] = []

    async def look(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        bodies.append(response.body)
        return response

    async def endpoint(request: Any) -> Any:
        return JSONResponse({"a": 1})

    exc = exchange(shape.loop, build(shape, endpoint, each=lambda _: look), wire)

    assert exc is None
    assert bodies == [b'{"a":1}'] * shape.depth
    assert wire.body == b'{"a":1}'


@every
def test_call_next_gives_the_body_of_an_asgi_app_that_answers_at_once(shape: Shape) -> None:
    """After call_next, response.body is there for an ASGI app's only body message."""
    wire = Wire(spec=shape.spec)
    bodies: list[bytes] = []

    async def look(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        bodies.append(response.body)
        return response

    exc = exchange(shape.loop, build(shape, routes=sends(START, BODY), each=lambda _: look), wire)

    assert exc is None
    assert bodies == [b"done"] * shape.depth
    assert wire.body == b"done"


@over([shape for shape in LAYERED_ONCE if shape.link == "native"])
def test_call_next_gives_the_endpoints_own_object(shape: Shape) -> None:
    """Natively, call_next gives the very response that the endpoint returned."""
    wire = Wire(spec=shape.spec)
    made = JSONResponse({"a": 1})
    seen: list[Any] = []

    async def look(request: Any, call_next: Any) -> Any:
        seen.append(await call_next(request))
        return seen[-1]

    async def endpoint(request: Any) -> Any:
        return made

    exchange(shape.loop, build(shape, endpoint, each=lambda _: look), wire)

    assert [response is made for response in seen] == [True] * shape.depth


@pytest.mark.parametrize("name", ["text", "json", "stream", "file"])
@layered
def test_body_iterator_works_on_every_response(shape: Shape, name: str) -> None:
    """body_iterator may be read, wrapped and set on any response, in every layer."""
    wire = Wire(spec=shape.spec)
    expected = answer(name, bare(shape))[2].upper()

    async def louder(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        inner = response.body_iterator

        async def pieces() -> Any:
            async for piece in inner:
                yield bytes(piece).upper()

        response.body_iterator = pieces()
        return response

    async def endpoint(request: Any) -> Any:
        return ANSWERS[name](request)

    stack = build(shape, endpoint, each=lambda _: louder)
    exc = exchange(shape.loop, stack, wire, threads=True)

    assert exc is None
    assert wire.body == expected
    assert wire.complete


@layered
def test_body_changed_in_place_is_sent_with_its_length(shape: Shape) -> None:
    """A layer that reads the body and returns a new response with another body is believed."""
    wire = Wire(spec=shape.spec)

    async def wrap(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        body = b"".join([bytes(piece) async for piece in response.body_iterator])
        return PlainTextResponse(b"<" + body + b">", response.status_code)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse("x", 202)

    exc = exchange(shape.loop, build(shape, endpoint, each=lambda _: wrap), wire)

    assert exc is None
    assert wire.status == 202
    assert wire.body == b"<" * shape.depth + b"x" + b">" * shape.depth
    assert wire.header("content-length") == [str(2 * shape.depth + 1)]
