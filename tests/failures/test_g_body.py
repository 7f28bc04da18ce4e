"""Family G: the request body, and the request itself, on their way through the layers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from tests.failures.stacks import LAYERED, Shape, build, every, layered, over, pass_on
from tests.failures.wire import (
    Middleware,
    Mount,
    PlainTextResponse,
    Request,
    Route,
    Source,
    StreamingResponse,
    Wire,
    exchange,
    tick,
)
from tests.loops import DROPPED, never, turns

pytestmark = DROPPED

CHUNKS = (b'{"a": ', b"1, ", b'"b": 2}')
WHOLE = b"".join(CHUNKS)
FORM = (b"name=Ada&", b"year=18", b"15&name=Grace")
FORM_TYPE = (b"content-type", b"application/x-www-form-urlencoded")
WHERE = pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])


def upload(shape: Shape, chunks: Any = CHUNKS, **options: Any) -> Wire:
    """Make a POST with a body."""
    return Wire(chunks, method="POST", spec=shape.spec, **options)


async def echo(request: Any) -> Any:
    """Answer with the body."""
    return PlainTextResponse(await request.body())


async def echo_pieces(request: Any) -> Any:
    """Answer with the body as it was streamed."""
    return PlainTextResponse(b"".join([chunk async for chunk in request.stream()]))


async def echo_json(request: Any) -> Any:
    """Answer with the body, decoded and encoded again."""
    return PlainTextResponse(json.dumps(await request.json()))


async def echo_asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body, as a pure ASGI app."""
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request", message
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


ECHOES = [
    Route("/", echo, methods=["POST"]),
    Route("/", echo_pieces, methods=["POST"]),
    Route("/", echo_json, methods=["POST"]),
    Mount("/", app=echo_asgi),
]
READERS = pytest.mark.parametrize("route", ECHOES, ids=["body", "stream", "json", "asgi"])


@READERS
@layered
def test_every_layer_and_the_endpoint_read_the_same_body(shape: Shape, route: Any) -> None:
    """G1: reading the body in dispatch hangs the endpoint."""
    wire = upload(shape)
    seen: list[bytes] = []

    async def read(request: Any, call_next: Any) -> Any:
        seen.append(await request.body())
        return await call_next(request)

    exc = exchange(shape.loop, build(shape, routes=[route], each=lambda _: read), wire)

    assert exc is None
    assert seen == [WHOLE] * shape.depth
    assert wire.body == WHOLE


@WHERE
@layered
def test_body_read_in_one_layer_is_read_again_below_and_above(shape: Shape, index: int) -> None:
    """G1: the same when only one layer reads it, as JSON, with a stream for an answer."""
    wire = upload(shape)
    seen: list[Any] = []

    async def read(request: Any, call_next: Any) -> Any:
        seen.append(await request.json())
        response = await call_next(request)
        seen.append(await request.json())
        return response

    async def endpoint(request: Any) -> Any:
        body = await request.body()
        return StreamingResponse(iter([body]))

    stack = build(shape, endpoint, at={index: read})
    exc = exchange(shape.loop, stack, wire, threads=True)

    assert exc is None
    assert seen == [{"a": 1, "b": 2}] * 2
    assert wire.body == WHOLE


async def echo_form(request: Any) -> Any:
    """Answer with the fields of the form."""
    form = await request.form()
    return PlainTextResponse(repr(form.multi_items()))


FIELDS = repr([("name", "Ada"), ("year", "1815"), ("name", "Grace")]).encode()


@WHERE
@layered
def test_form_read_in_dispatch_is_there_for_the_endpoint(shape: Shape, index: int) -> None:
    """G2: request.form() in dispatch leaves the endpoint an empty form, silently."""
    wire = upload(shape, FORM, headers=[FORM_TYPE])
    seen: list[Any] = []

    async def read(request: Any, call_next: Any) -> Any:
        seen.append((await request.form()).getlist("name"))
        return await call_next(request)

    exc = exchange(shape.loop, build(shape, echo_form, at={index: read}), wire)

    assert exc is None
    assert seen == [["Ada", "Grace"]]
    assert wire.body == FIELDS


@layered
def test_form_read_in_every_layer_is_the_same(shape: Shape) -> None:
    """G2, and more: each layer reads it, and the raw body is there as well."""
    wire = upload(shape, FORM, headers=[FORM_TYPE])
    seen: list[Any] = []

    async def read(request: Any, call_next: Any) -> Any:
        seen.append((await request.form())["year"])
        response = await call_next(request)
        seen.append((await request.form())["year"])
        seen.append(await request.body())
        return response

    exc = exchange(shape.loop, build(shape, echo_form, each=lambda _: read), wire)

    assert exc is None
    assert sorted(map(str, seen)) == sorted(
        map(str, ["1815", "1815", b"".join(FORM)] * shape.depth)
    )
    assert wire.body == FIELDS


async def streams_all(request: Any, call_next: Any) -> Any:
    """Stream the whole body away, and go on."""
    assert b"".join([chunk async for chunk in request.stream()]) == WHOLE
    return await call_next(request)


async def streams_some(request: Any, call_next: Any) -> Any:
    """Look at the first piece of the body, and go on."""
    async for chunk in request.stream():
        assert chunk == CHUNKS[0]
        break
    return await call_next(request)


async def streams_none(request: Any, call_next: Any) -> Any:
    """Make the stream without reading of it, and go on."""
    stream = request.stream()
    await stream.aclose()
    return await call_next(request)


async def echo_raw(request: Any) -> Any:
    """Answer with the body, read message by message."""
    body, more = b"", True
    while more:
        message = await request.receive()
        assert message["type"] == "http.request", message
        body, more = body + message["body"], message["more_body"]
    return PlainTextResponse(body)


def reporting(read: Any) -> tuple[Any, list[Exception]]:
    """Make a route that reads the body, keeps the error that this gives, and answers a 400."""
    errors: list[Exception] = []

    async def endpoint(request: Any) -> Any:
        try:
            return await read(request)
        except Exception as exc:
            errors.append(exc)
            return PlainTextResponse("no body", 400)

    return Route("/", endpoint, methods=["POST"]), errors


ENDPOINTS = pytest.mark.parametrize("read", [echo, echo_pieces, echo_json, echo_raw])


@ENDPOINTS
@WHERE
@layered
def test_body_streamed_away_in_dispatch_is_an_error_not_an_empty_body(
    shape: Shape, index: int, read: Any
) -> None:
    """G3: request.stream() consumed in dispatch leaves the endpoint an empty body, silently."""
    wire = upload(shape)
    route, errors = reporting(read)

    stack = build(shape, routes=[route], at={index: streams_all})
    exchange(shape.loop, stack, wire)

    assert wire.body in (WHOLE, b"no body")
    assert (wire.status == 400) == bool(errors)
    assert all("stream" in str(error) for error in errors)


@ENDPOINTS
@WHERE
@layered
def test_body_streamed_in_part_in_dispatch_is_an_error_not_a_short_body(
    shape: Shape, index: int, read: Any
) -> None:
    """G4: request.stream() read partly in dispatch (sniffing) leaves a truncated body, silently."""
    wire = upload(shape)
    route, errors = reporting(read)

    stack = build(shape, routes=[route], at={index: streams_some})
    exchange(shape.loop, stack, wire)

    assert wire.body in (WHOLE, b"no body")
    assert (wire.status == 400) == bool(errors)
    assert all("stream" in str(error) for error in errors)


@pytest.mark.parametrize("dispatch", [streams_all, streams_some])
@WHERE
@layered
def test_error_for_a_streamed_body_names_the_layer(shape: Shape, index: int, dispatch: Any) -> None:
    """G3 and G4, and more: the error says who streamed it, and is a RuntimeError."""
    wire = upload(shape)
    route, errors = reporting(echo)

    exchange(shape.loop, build(shape, routes=[route], at={index: dispatch}), wire)

    assert len(errors) == 1
    assert isinstance(errors[0], RuntimeError)
    assert dispatch.__name__ in str(errors[0])


@READERS
@layered
def test_body_of_which_nothing_was_read_is_left_whole(shape: Shape, route: Any) -> None:
    """G4, and more: a stream that was made and not read takes nothing away."""
    wire = upload(shape)

    stack = build(shape, routes=[route], each=lambda _: streams_none)
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert wire.body == WHOLE


@layered
def test_empty_body_streamed_away_is_an_empty_body(shape: Shape) -> None:
    """G3, and more: no error where there was nothing to take."""
    wire = Wire(method="POST", spec=shape.spec)

    async def stream(request: Any, call_next: Any) -> Any:
        assert [chunk async for chunk in request.stream() if chunk] == []
        return await call_next(request)

    exc = exchange(shape.loop, build(shape, echo, each=lambda _: stream), wire)

    assert exc is None
    assert wire.status == 200
    assert wire.body == b""


async def reads_after(request: Any, call_next: Any) -> Any:
    """Read the body when the response is there."""
    response = await call_next(request)
    request.app.state.seen.append(await request.body())
    return response


@layered
def test_body_is_read_in_dispatch_after_the_endpoint_read_it(shape: Shape) -> None:
    """G5: request.body() in dispatch after call_next: 'RuntimeError: Stream consumed'."""
    wire = upload(shape)

    stack = build(shape, echo, each=lambda _: reads_after)
    stack.state.seen = []
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert stack.state.seen == [WHOLE] * shape.depth
    assert wire.body == WHOLE


async def ignores(request: Any) -> Any:
    """Answer without a look at the body."""
    return PlainTextResponse("done")


async def ignores_and_streams(request: Any) -> Any:
    """Stream an answer without a look at the body."""
    return StreamingResponse(Source(2).generator)


@WHERE
@layered
def test_body_is_read_in_dispatch_after_the_endpoint_did_not(shape: Shape, index: int) -> None:
    """G6: request.body() in dispatch after call_next when the endpoint did not read it."""
    wire = upload(shape)

    stack = build(shape, ignores, at={index: reads_after})
    stack.state.seen = []
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert stack.state.seen == [WHOLE]
    assert wire.complete


@pytest.mark.parametrize("endpoint", [ignores, ignores_and_streams])
@layered
def test_body_is_read_in_every_layer_after_the_endpoint_did_not(
    shape: Shape, endpoint: Any
) -> None:
    """G6, and more: in every layer, and while a stream waits to be sent."""
    wire = upload(shape)

    stack = build(shape, endpoint, each=lambda _: reads_after)
    stack.state.seen = []
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert stack.state.seen == [WHOLE] * shape.depth
    assert wire.complete


@layered
def test_upload_passes_untouched_layers_chunk_by_chunk(shape: Shape) -> None:
    """G7: uploads are buffered by layers that do not touch the body."""
    wire = Wire(live=True, method="POST", spec=shape.spec)
    seen: list[bytes] = []

    async def endpoint(request: Any) -> Any:
        async for chunk in request.stream():
            if chunk:
                seen.append(chunk)
                wire.note(f"chunk {len(seen)}")
        return PlainTextResponse("done")

    async def client(wire: Wire) -> None:
        for number, chunk in enumerate(CHUNKS, 1):
            wire.feed(chunk, more=number < len(CHUNKS))
            await wire.until_event(f"chunk {number}")

    exc = exchange(shape.loop, build(shape, endpoint), wire, client)

    assert exc is None
    assert seen == list(CHUNKS)
    assert wire.body == b"done"


@layered
def test_upload_is_not_read_ahead(shape: Shape) -> None:
    """G7, and more: the server is asked for a chunk only when the endpoint wants it."""
    wire = upload(shape)
    asked: list[int] = []

    async def endpoint(request: Any) -> Any:
        asked.append(wire.receives)
        async for _ in request.stream():
            for _ in range(5):
                await turns()
            asked.append(wire.receives)
        return PlainTextResponse("done")

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert asked[: len(CHUNKS) + 1] == [0, 1, 2, 3]


class Replay:
    """The widespread `receive` that gives a body read in dispatch once more, and for ever."""

    made: ClassVar[list[Replay]] = []
    BOUND = 10

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.calls = 0
        self.made.append(self)

    async def __call__(self) -> Any:
        self.calls += 1
        if self.calls > self.BOUND:
            await never()
        return {"type": "http.request", "body": self.body, "more_body": False}


@pytest.fixture(autouse=True)
def no_replay_is_asked_for_ever() -> Iterator[None]:
    """Check that whoever watches a replay for the disconnect gives up soon."""
    Replay.made.clear()
    yield
    assert [replay.calls for replay in Replay.made if replay.calls > Replay.BOUND] == []


async def replaying(request: Any, call_next: Any) -> Any:
    """Read the body and put a replay in its place, the way that old advice has it."""
    request._receive = Replay(await request.body())
    return await call_next(request)


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@WHERE
@layered
def test_replay_through_receive_keeps_working(shape: Shape, index: int, streams: bool) -> None:
    """G8: replaying the body through request._receive: 'Unexpected message received'."""
    wire = upload(shape)

    async def endpoint(request: Any) -> Any:
        body = await request.body()

        async def pieces() -> Any:
            for start in range(0, len(body), 5):
                yield body[start : start + 5]
                await turns()

        return StreamingResponse(pieces()) if streams else PlainTextResponse(body)

    exc = exchange(shape.loop, build(shape, endpoint, at={index: replaying}), wire)

    assert exc is None
    assert wire.body == WHOLE
    assert wire.complete


@WHERE
@layered
def test_replay_of_another_body_is_what_the_endpoint_reads(shape: Shape, index: int) -> None:
    """G8, and more: a receive put in place before the body is read is the one that is used."""
    wire = upload(shape)

    async def replace(request: Any, call_next: Any) -> Any:
        request._receive = Replay(b"another")
        return await call_next(request)

    exc = exchange(shape.loop, build(shape, echo, at={index: replace}), wire)

    assert exc is None
    assert wire.body == b"another"


class ReplaysForEver:
    """A pure ASGI layer whose receive gives the whole body at every call."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await self.app(scope, Replay(body), send)


@pytest.mark.parametrize("place", ["around", "outside", "inside"])
@every
def test_asgi_layer_that_replays_for_ever_keeps_working(shape: Shape, place: str) -> None:
    """G8, and more: the same by a pure ASGI layer; a watch for the disconnect does not spin."""
    wire = upload(shape)

    async def endpoint(request: Any) -> Any:
        body = await request.body()
        assert not await request.is_disconnected()
        return StreamingResponse(Source(4, pause=tick).generator, headers={"x": str(len(body))})

    declared = [Middleware(ReplaysForEver)]
    stack = build(
        shape,
        endpoint,
        outside=declared if place == "outside" else [],
        inside=declared if place == "inside" else [],
    )
    if place == "around":
        stack = ReplaysForEver(stack)
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert wire.header("x") == [str(len(WHOLE))]
    assert wire.body == Source(4).whole
    assert wire.complete


async def at_other(request: Any) -> Any:
    """Answer at another path."""
    return PlainTextResponse(b"other: " + await request.body())


TWO_PATHS = [
    Route("/", echo, methods=["GET", "POST"]),
    Route("/other", at_other, methods=["GET", "POST"]),
]


@WHERE
@layered
def test_rewritten_scope_is_the_one_that_is_routed(shape: Shape, index: int) -> None:
    """G9: the request given to call_next is ignored (rewritten scope has no effect)."""
    wire = upload(shape)

    async def rewrite(request: Any, call_next: Any) -> Any:
        scope = {**request.scope, "path": "/other", "raw_path": b"/other"}
        return await call_next(Request(scope, request.receive))

    exc = exchange(shape.loop, build(shape, routes=TWO_PATHS, at={index: rewrite}), wire)

    assert exc is None
    assert wire.body == b"other: " + WHOLE


@WHERE
@layered
def test_rewritten_receive_is_the_one_that_is_read(shape: Shape, index: int) -> None:
    """G9: the same for the receive of a new request."""
    wire = upload(shape)

    async def rewrite(request: Any, call_next: Any) -> Any:
        body = await request.body()
        return await call_next(Request(request.scope, Replay(body.upper())))

    exc = exchange(shape.loop, build(shape, echo, at={index: rewrite}), wire)

    assert exc is None
    assert wire.body == WHOLE.upper()


@layered
def test_each_layer_may_pass_on_a_request_of_its_own(shape: Shape) -> None:
    """G9, and more: layer upon layer, with a stream and its client's leaving unharmed."""
    wire = upload(shape)

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            headers = [*request.scope["headers"], (b"x-layer", b"%d" % index)]
            inner = Request({**request.scope, "headers": headers}, request.receive)
            return await call_next(inner)

        return dispatch

    async def endpoint(request: Any) -> Any:
        body = await request.body()

        async def pieces() -> Any:
            yield body
            await turns()
            yield ",".join(request.headers.getlist("x-layer")).encode()

        return StreamingResponse(pieces())

    exc = exchange(shape.loop, build(shape, endpoint, each=each), wire)

    assert exc is None
    assert wire.body == WHOLE + ",".join(map(str, range(shape.depth))).encode()


@WHERE
@layered
def test_scope_changed_in_place_is_seen_below(shape: Shape, index: int) -> None:
    """G9, and more: changing request.scope itself works as well."""
    wire = upload(shape)

    async def rewrite(request: Any, call_next: Any) -> Any:
        request.scope["path"] = "/other"
        return await call_next(request)

    exc = exchange(shape.loop, build(shape, routes=TWO_PATHS, at={index: rewrite}), wire)

    assert exc is None
    assert wire.body == b"other: " + WHOLE


# -- trying again ------------------------------------------------------------------------------------


class Fault(Exception):
    """A failure that may pass."""


async def retry_on_error(request: Any, call_next: Any) -> Any:
    """Read the body, so that it is kept, and try up to three times."""
    await request.body()
    for _ in range(2):
        try:
            return await call_next(request)
        except Fault:
            continue
    return await call_next(request)


async def retry_on_503(request: Any, call_next: Any) -> Any:
    """Read the body, so that it is kept, and try again while the answer is a 503."""
    await request.body()
    while True:
        response = await call_next(request)
        if response.status_code != 503:
            return response


@READERS
@WHERE
@layered
def test_call_next_runs_the_inside_again_after_a_failure(
    shape: Shape, index: int, route: Any
) -> None:
    """G10: call_next cannot be called again after a failure (retry middleware)."""
    wire = upload(shape)
    tries: list[int] = []

    if isinstance(route, Mount):

        async def app(scope: Any, receive: Any, send: Any) -> None:
            tries.append(1)
            if len(tries) < 3:
                raise Fault
            await echo_asgi(scope, receive, send)

        routes = [Mount("/", app=app)]
    else:

        async def endpoint(request: Any) -> Any:
            tries.append(1)
            response = await route.endpoint(request)
            if len(tries) < 3:
                raise Fault
            return response

        routes = [Route("/", endpoint, methods=["POST"])]

    exc = exchange(shape.loop, build(shape, routes=routes, at={index: retry_on_error}), wire)

    assert exc is None
    assert len(tries) == 3
    assert wire.status == 200
    assert wire.body == WHOLE
    assert wire.complete


@layered
def test_body_that_the_endpoint_read_is_there_again_for_the_retry(shape: Shape) -> None:
    """G10, and more: the retrying layer need not read the body if the endpoint keeps it."""
    wire = upload(shape)
    tries: list[bytes] = []

    async def retry(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except Fault:
            return await call_next(request)

    async def endpoint(request: Any) -> Any:
        tries.append(await request.body())
        if len(tries) < 2:
            raise Fault
        return PlainTextResponse(tries[-1])

    exc = exchange(shape.loop, build(shape, endpoint, at={0: retry}), wire)

    assert exc is None
    assert tries == [WHOLE] * 2
    assert wire.body == WHOLE


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@WHERE
@layered
def test_call_next_runs_the_inside_again_after_a_response(
    shape: Shape, index: int, streams: bool
) -> None:
    """G11: call_next cannot be called again after a response (retry on 503)."""
    wire = upload(shape)
    events: list[str] = []
    sources: list[Source] = []

    async def endpoint(request: Any) -> Any:
        number = len(sources) + 1
        events.append(f"try {number}")
        source = Source(3, note=lambda event: events.append(f"{event} of {number}"))
        sources.append(source)
        status = 503 if number < 3 else 200
        assert await request.body() == WHOLE
        if streams:
            return StreamingResponse(source.generator, status)
        return PlainTextResponse(f"answer {number}", status)

    exc = exchange(shape.loop, build(shape, endpoint, at={index: retry_on_503}), wire)

    assert exc is None
    assert len(sources) == 3
    assert wire.status == 200
    assert wire.body == (sources[-1].whole if streams else b"answer 3")
    assert wire.complete
    if streams:
        assert all(source.over for source in sources)


@layered
def test_dropped_response_is_closed_before_the_inside_runs_again(shape: Shape) -> None:
    """G11, and more: the stream of the dropped response is over when the endpoint is back."""
    wire = upload(shape)
    sources: list[Source] = []
    over: list[bool] = []

    async def endpoint(request: Any) -> Any:
        over.extend(source.over for source in sources[-1:])
        sources.append(Source(3))
        return StreamingResponse(sources[-1].generator, 503 if len(sources) < 3 else 200)

    async def retry(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        while response.status_code == 503:
            async for _ in response.body_iterator:
                break
            response = await call_next(request)
        return response

    exc = exchange(shape.loop, build(shape, endpoint, at={0: retry}), wire)

    assert exc is None
    assert over == [True, True]
    assert wire.body == sources[-1].whole


@over([shape for shape in LAYERED if shape.depth <= 4])
def test_retry_in_every_layer_delivers_the_last_answer(shape: Shape) -> None:
    """G11, and more: each layer tries twice, the outermost until it is well."""
    wire = upload(shape)
    tries: list[int] = []

    async def twice(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        if response.status_code == 503:
            response = await call_next(request)
        return response

    async def endpoint(request: Any) -> Any:
        tries.append(1)
        assert await request.body() == WHOLE
        status = 503 if len(tries) < 2**shape.depth else 200
        return PlainTextResponse(f"answer {len(tries)}", status)

    stack = build(shape, endpoint, each=lambda _: twice, at={0: retry_on_503})
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert len(tries) == 2**shape.depth
    assert wire.body == b"answer %d" % len(tries)


@every
def test_body_of_a_control_request_arrives_whole(shape: Shape) -> None:
    """The control for this family: nothing is done to the body, and it is all there."""
    wire = upload(shape)

    exc = exchange(shape.loop, build(shape, echo, each=lambda _: pass_on), wire)

    assert exc is None
    assert wire.body == WHOLE
