"""Family C: the client leaves, and those below the layers are to learn of it and to stop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio.to_thread
import pytest

from tests.failures.stacks import (
    Shape,
    build,
    every,
    layered,
    layered_once,
    layered_silent,
    once,
    silent,
    unwound,
)
from tests.failures.wire import (
    App,
    BackgroundTask,
    ClientDisconnect,
    JSONResponse,
    Mount,
    PlainTextResponse,
    Route,
    ServerFault,
    Source,
    StreamingResponse,
    Wire,
    exchange,
    load,
    tick,
)
from tests.loops import cancelled, never, peace, spawn, turns

CHUNKS = (b"one ", b"two ", b"three")
WHOLE = b"".join(CHUNKS)
POLLS = 10


async def polled(request: Any) -> bool:
    """Poll a few times, with a turn of the loop between."""
    for _ in range(POLLS):
        if await request.is_disconnected():
            return True
        await turns()
    return False


# -- asking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [(), CHUNKS], ids=["unread", "read"])
@every
def test_is_disconnected_turns_true_below_the_layers(shape: Shape, chunks: Any) -> None:
    """C1: request.is_disconnected() in the endpoint never turns True below a layer."""
    wire = Wire(chunks, method="POST", spec=shape.spec)
    seen: list[bool] = []

    async def endpoint(request: Any) -> Any:
        if chunks:
            await request.body()
        seen.append(await polled(request))
        wire.leave()
        seen.append(await polled(request))
        return PlainTextResponse("late")

    exchange(shape.loop, build(shape, endpoint), wire)

    assert seen == [False, True]


@every
def test_is_disconnected_turns_true_on_a_server_that_takes_a_turn(shape: Shape) -> None:
    """C1, and more: True even where each receive() gives way to the loop first (granian)."""
    wire = Wire(spec=shape.spec, lag=3)
    seen: list[bool] = []

    async def endpoint(request: Any) -> Any:
        wire.leave()
        seen.append(await polled(request))
        return PlainTextResponse("late")

    exchange(shape.loop, build(shape, endpoint), wire)

    assert seen == [True]


@layered
def test_is_disconnected_turns_true_in_every_layer(shape: Shape) -> None:
    """C1, and more: each layer sees that the client left, before and after call_next."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    before: list[bool] = []
    after: list[bool] = []

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            before.append(await request.is_disconnected())
            response = await call_next(request)
            after.append(await polled(request))
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        wire.leave()
        return PlainTextResponse("late")

    exchange(shape.loop, build(shape, endpoint, each=each), wire)

    assert before == [False] * shape.depth
    assert after == [True] * shape.depth


@every
def test_is_disconnected_loses_nothing_of_the_body(shape: Shape) -> None:
    """C2: request.is_disconnected() in the endpoint swallows a body chunk."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        polls = [await request.is_disconnected() for _ in range(5)]
        body = await request.body()
        assert not any([*polls, await request.is_disconnected()])
        return PlainTextResponse(body)

    exchange(shape.loop, build(shape, endpoint), wire)

    assert wire.body == WHOLE


@every
def test_is_disconnected_between_chunks_loses_nothing_of_the_body(shape: Shape) -> None:
    """C2: the same, polled between the chunks of stream()."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        chunks = []
        async for chunk in request.stream():
            assert not await polled(request)
            chunks.append(chunk)
        return PlainTextResponse(b"".join(chunks))

    exchange(shape.loop, build(shape, endpoint), wire)

    assert wire.body == WHOLE


@pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])
@layered
def test_is_disconnected_in_dispatch_leaves_the_body_to_the_endpoint(
    shape: Shape, index: int
) -> None:
    """C3: request.is_disconnected() in dispatch steals the body from the endpoint."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def poll(request: Any, call_next: Any) -> Any:
        assert not await polled(request)
        return await call_next(request)

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(await request.body())

    exchange(shape.loop, build(shape, endpoint, at={index: poll}), wire)

    assert wire.body == WHOLE


@layered
def test_polls_on_the_side_leave_the_body_to_the_endpoint(shape: Shape) -> None:
    """C3, and more: a task in a layer that polls all the while takes nothing away."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec, lag=1)

    async def poll(request: Any, call_next: Any) -> Any:
        task = spawn(polled(request))
        try:
            return await call_next(request)
        finally:
            task.cancel()

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(await request.body())

    exchange(shape.loop, build(shape, endpoint, each=lambda _: poll), wire)

    assert wire.body == WHOLE


# -- waiting ---------------------------------------------------------------------------------------


@every
def test_blocked_receive_gives_the_disconnect(shape: Shape) -> None:
    """C4: an endpoint blocked in receive() does not learn of the disconnect."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    seen: list[Any] = []

    async def endpoint(request: Any) -> Any:
        await request.body()
        wire.note("reading")
        seen.append(await request.receive())
        return PlainTextResponse("late")

    async def client(wire: Wire) -> None:
        await wire.until_event("reading")
        await turns()
        wire.leave()

    exchange(shape.loop, build(shape, endpoint), wire, client)

    assert seen == [{"type": "http.disconnect"}]


@every
def test_blocked_receive_of_an_asgi_app_gives_the_disconnect(shape: Shape) -> None:
    """C4: the same for an ASGI app below, which is told again at each further receive()."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive() for _ in range(5)])

    async def client(wire: Wire) -> None:
        await wire.until(lambda: len(wire.events) == len(CHUNKS))
        await turns()
        wire.leave()

    exchange(shape.loop, build(shape, routes=[Mount("/", app=app)]), wire, client)

    assert b"".join(message["body"] for message in seen[:3]) == WHOLE
    assert [message["type"] for message in seen[3:]] == ["http.disconnect"] * 2


@every
def test_upload_cut_off_raises_client_disconnect_in_the_stream(shape: Shape) -> None:
    """C4, and more: whoever streams the body learns by ClientDisconnect, after what came."""
    wire = Wire(live=True, method="POST", spec=shape.spec)
    seen: list[Any] = []

    async def endpoint(request: Any) -> Any:
        try:
            async for chunk in request.stream():
                seen.append(chunk)
                wire.note("chunk")
        except ClientDisconnect as exc:
            seen.append(type(exc))
        return PlainTextResponse("late")

    async def client(wire: Wire) -> None:
        wire.feed(b"one")
        await wire.until_event("chunk")
        wire.leave()

    exchange(shape.loop, build(shape, endpoint), wire, client)

    assert seen == [b"one", ClientDisconnect]


@every
def test_disconnected_waits_for_the_client_to_leave(shape: Shape) -> None:
    """request.disconnected() waits, at any depth and without taking from the body."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    seen: list[str] = []

    async def endpoint(request: Any) -> Any:
        watch = spawn(request.disconnected())
        await turns()
        assert await request.body() == WHOLE
        assert not watch.done()
        wire.leave()
        await watch
        seen.append("endpoint")
        return PlainTextResponse("late")

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert seen == ["endpoint"]


@layered
def test_disconnected_tells_all_who_wait(shape: Shape) -> None:
    """Every layer and the endpoint may wait in request.disconnected() at once."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    told: list[int] = []

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            async def watch() -> None:
                await request.disconnected()
                told.append(index)

            task = spawn(watch())
            response = await call_next(request)
            await task
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        await request.body()
        await turns()
        assert told == []
        wire.leave()
        await request.disconnected()
        return PlainTextResponse("late")

    exc = exchange(shape.loop, build(shape, endpoint, each=each), wire)

    assert exc is None
    assert sorted(told) == list(range(shape.depth))


@every
def test_disconnected_given_up_leaves_the_body_readable(shape: Shape) -> None:
    """A wait in request.disconnected() that is cancelled takes nothing with it."""
    wire = Wire(live=True, method="POST", spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        watch = spawn(request.disconnected())
        await turns()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        wire.note("given up")
        return PlainTextResponse(await request.body())

    async def client(wire: Wire) -> None:
        await wire.until_event("given up")
        wire.feed(b"one ")
        wire.feed(b"two", more=False)

    exc = exchange(shape.loop, build(shape, endpoint), wire, client)

    assert exc is None
    assert wire.body == b"one two"


@pytest.mark.parametrize("watched", ["disconnected", "receive"])
@every
def test_wait_for_the_disconnect_ends_when_the_server_fails(shape: Shape, watched: str) -> None:
    """A server whose receive() raises leaves nobody waiting for a disconnect for ever."""
    wire = Wire([b"one"], method="POST", spec=shape.spec, fault_at_receive=2)

    async def endpoint(request: Any) -> Any:
        await request.body()
        await (request.disconnected() if watched == "disconnected" else request.receive())
        return PlainTextResponse("late")

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None or isinstance(exc, ServerFault)


@every
def test_watching_reads_only_so_much_of_the_body_ahead(shape: Shape) -> None:
    """C3, and more: a watch for the disconnect does not pull a large upload into memory."""
    size = 16 * 1024
    wire = Wire([b"x" * size] * 100, method="POST", spec=shape.spec)
    asked: list[int] = []

    async def endpoint(request: Any) -> Any:
        for _ in range(300):
            await request.is_disconnected()
            await turns()
        asked.append(wire.receives)
        return PlainTextResponse(str(len(await request.body())))

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert asked[0] <= 6
    assert wire.body == str(100 * size).encode()


# -- streams that are to stop -----------------------------------------------------------------------


@every
def test_endless_stream_stops_when_the_client_leaves(shape: Shape) -> None:
    """C5: client leaves mid-stream: the endless generator below the layers runs on for ever."""
    log: list[str] = []
    wire = Wire(spec=shape.spec, leave_at_send=4)
    source = Source(None, pause=tick)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint, log=log), wire)

    assert exc is None or isinstance(exc, ClientDisconnect | OSError)
    assert log == unwound(shape.depth)
    assert wire.pieces == [source.piece(1), source.piece(2)]


@pytest.mark.parametrize("at", [1, 2], ids=["at-start", "at-first-piece"])
@every
def test_endless_stream_stops_when_the_client_leaves_early(shape: Shape, at: int) -> None:
    """C5: the same, as the response starts, or as the first piece is sent."""
    wire = Wire(spec=shape.spec, leave_at_send=at)
    source = Source(None, pause=tick)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None or isinstance(exc, ClientDisconnect | OSError)
    assert wire.pieces == []


async def leave_after_first(wire: Wire) -> None:
    """Take the first piece, then go away while the generator is silent."""
    await wire.until_event("send body")
    await turns()
    wire.leave()


@silent
def test_silent_stream_stops_when_the_client_leaves(shape: Shape) -> None:
    """C5: the same, while the generator waits for something that never comes."""
    wire = Wire(spec=shape.spec)
    source = Source(None, pause=never)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint), wire, leave_after_first)

    assert exc is None or isinstance(exc, ClientDisconnect)
    assert source.closing == 1


@every
def test_silent_stream_stops_at_either_spec(shape: Shape) -> None:
    """C5, and more: at spec 2.4 too, where no send tells of it while the generator waits."""
    wire = Wire(spec=shape.spec)
    source = Source(None, pause=never)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exc = exchange(shape.loop, build(shape, endpoint), wire, leave_after_first)

    assert exc is None
    assert source.over


@pytest.mark.parametrize("index", [0, -1], ids=["outermost", "innermost"])
@layered_silent
def test_endless_stream_that_a_layer_reads_stops_when_the_client_leaves(
    shape: Shape, index: int
) -> None:
    """C5, and more: a layer that buffers the body is not left reading for ever."""
    wire = Wire(spec=shape.spec)
    source = Source(None, pause=tick)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    async def buffer(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        pieces = []
        async for piece in response.body_iterator:
            pieces.append(piece)
            if len(pieces) == 3:
                wire.leave()
        return PlainTextResponse(b"".join(pieces))

    exc = exchange(shape.loop, build(shape, endpoint, at={index: buffer}), wire)

    assert exc is None
    assert source.made < Source.BOUND
    assert source.over


async def wrapping(request: Any, call_next: Any) -> Any:
    """Wrap the body in a generator of the layer's own, kept where the test finds it."""
    response = await call_next(request)

    async def wrapper(inner: Any) -> Any:
        request.app.opened += 1
        try:
            async for chunk in inner:
                yield chunk
        finally:
            with peace():
                await turns()
            request.app.closed += 1

    response.body_iterator = wrapper(response.body_iterator)
    request.app.kept.append(response.body_iterator)
    return response


def counting(app: Any) -> Any:
    """Give the app the counters of ``wrapping``."""
    app.opened, app.closed, app.kept = 0, 0, []
    return app


@layered
def test_generator_around_body_iterator_is_closed(shape: Shape) -> None:
    """C6: a generator that a middleware wrapped around response.body_iterator is not closed."""
    wire = Wire(spec=shape.spec, leave_at_send=4)
    source = Source(None, pause=tick)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    app = counting(build(shape, endpoint, each=lambda _: wrapping))
    exchange(shape.loop, app, wire)

    assert app.opened == app.closed == shape.depth
    assert all(wrapper.ag_frame is None for wrapper in app.kept)
    assert source.over


@layered_silent
def test_generator_around_a_silent_stream_is_closed(shape: Shape) -> None:
    """C6: the same, while the innermost generator waits for something that never comes."""
    wire = Wire(spec=shape.spec)
    source = Source(None, pause=never)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    app = counting(build(shape, endpoint, each=lambda _: wrapping))
    exchange(shape.loop, app, wire, leave_after_first)

    assert app.opened == app.closed == shape.depth
    assert source.over


@pytest.mark.parametrize("pause", [tick, None], ids=["ticking", "tight"])
@every
def test_generator_is_closed_in_the_context_it_ran_in(shape: Shape, pause: Any) -> None:
    """C7: ContextVar token of a streaming generator reset in a foreign context."""
    current: ContextVar[str] = ContextVar("current", default="none")
    wire = Wire(spec=shape.spec, leave_at_send=4, lag=1)
    ends: list[str] = []

    async def pieces() -> Any:
        token = current.set("streaming")
        try:
            for _ in range(Source.BOUND):
                yield b"piece"
                if pause is not None:
                    await pause()
        finally:
            try:
                current.reset(token)
                ends.append("reset")
            except ValueError as exc:
                ends.append(str(exc))

    generator = pieces()

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(generator)

    exchange(shape.loop, build(shape, endpoint), wire)

    assert ends == ["reset"]


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@once
def test_client_gone_during_a_threaded_endpoint_raises_no_runtime_error(
    shape: Shape, streams: bool
) -> None:
    """C8: a synchronous endpoint (threadpool) below the layers while the client leaves."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    entered, left = threading.Event(), threading.Event()

    def endpoint(request: Any) -> Any:
        entered.set()
        assert left.wait(5)
        return StreamingResponse(iter([b"a", b"b"])) if streams else PlainTextResponse("late")

    async def client(wire: Wire) -> None:
        await anyio.to_thread.run_sync(entered.wait, 5)
        wire.leave()
        left.set()

    exc = exchange(shape.loop, build(shape, endpoint, log=log), wire, client, threads=True)

    assert not isinstance(exc, RuntimeError)
    assert log == unwound(shape.depth)
    assert wire.sent == []


@pytest.mark.parametrize("pause", [tick, None], ids=["ticking", "tight"])
@every
def test_stream_is_closed_when_the_client_left(shape: Shape, pause: Any) -> None:
    """C9: client leaves mid-stream: the generator is left to the garbage collector."""
    wire = Wire(spec=shape.spec, leave_at_send=4, lag=1)
    source = Source(None, pause=pause)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exchange(shape.loop, build(shape, endpoint), wire)

    assert source.over
    assert source.opened == 1


@silent
def test_silent_stream_is_closed_when_the_client_left(shape: Shape) -> None:
    """C9: the same, while the generator waits for something that never comes."""
    wire = Wire(spec=shape.spec)
    source = Source(None, pause=never)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    exchange(shape.loop, build(shape, endpoint), wire, leave_after_first)

    assert source.over
    assert source.opened == 1


@every
def test_iterator_with_aclose_is_closed_when_the_client_left(shape: Shape) -> None:
    """C9, and more: not only generators: whatever has an aclose() is closed, once."""
    wire = Wire(spec=shape.spec, leave_at_send=4)

    class Pieces:
        closed = 0

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            await turns()
            return b"piece"

        async def aclose(self) -> None:
            await turns()
            self.closed += 1

    pieces = Pieces()

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(pieces)

    exc = exchange(shape.loop, build(shape, endpoint), wire)

    assert exc is None
    assert pieces.closed == 1


@every
def test_slow_client_that_leaves_stops_the_stream(shape: Shape) -> None:
    """C9, and more: the client leaves while send() is held up by its slow reading."""
    wire = Wire(spec=shape.spec, slow=True)
    source = Source(None)

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(source.generator)

    async def client(wire: Wire) -> None:
        await wire.read()
        await wire.until(lambda: wire.events.count("send body") >= 2)
        wire.leave()

    exc = exchange(shape.loop, build(shape, endpoint), wire, client)

    assert exc is None
    assert source.over
    assert source.made <= 3


@every
def test_stream_of_an_asgi_app_tells_it_that_the_client_left(shape: Shape) -> None:
    """C9, and more: an app that awaits a response itself catches ClientDisconnect at spec 2.4."""
    wire = Wire(spec=shape.spec, leave_at_send=3)
    source = Source(None, pause=tick)
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await StreamingResponse(source.generator)(scope, receive, send)
            seen.append("returned")
        except ClientDisconnect:
            seen.append("ClientDisconnect")

    exc = exchange(shape.loop, build(shape, routes=[Mount("/", app=app)]), wire)

    assert exc is None
    assert source.over
    if shape.spec == "2.4":
        assert seen == ["ClientDisconnect"]
    else:
        assert seen == ["returned"]


# -- on_disconnect="cancel" -------------------------------------------------------------------------


def on_app(shape: Shape, endpoint: Any) -> Any:
    """Ask for the cancellation on the application."""
    return build(shape, endpoint, on_disconnect="cancel")


def on_router(shape: Shape, endpoint: Any) -> Any:
    """Ask for the cancellation on a mounted router."""
    router = load("routing").Router(
        routes=[Route("/", endpoint, methods=["POST"])], on_disconnect="cancel"
    )
    return build(shape, routes=[Mount("/", app=router)])


def on_route(shape: Shape, endpoint: Any) -> Any:
    """Ask for the cancellation on the route."""
    route = Route("/", endpoint, methods=["POST"], on_disconnect="cancel")
    return build(shape, routes=[route])


WHERE = pytest.mark.parametrize("where", [on_app, on_router, on_route])


async def leave_once_inside(wire: Wire) -> None:
    """Go away as soon as the endpoint says that it is inside."""
    await wire.until_event("inside")
    await turns()
    wire.leave()


@WHERE
@every
def test_client_that_leaves_cancels_the_endpoint(shape: Shape, where: Callable[..., Any]) -> None:
    """on_disconnect="cancel": the endpoint is cancelled, and its finally may await in peace."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    seen: list[str] = []

    async def endpoint(request: Any) -> Any:
        await request.body()
        wire.note("inside")
        try:
            await never()
        except cancelled():
            seen.append("cancelled")
            raise
        finally:
            with peace():
                await turns(3)
            seen.append("finally")

    exc = exchange(shape.loop, where(shape, endpoint), wire, leave_once_inside)

    assert exc is None
    assert seen == ["cancelled", "finally"]
    assert wire.sent == []


@WHERE
@once
def test_endpoint_whose_client_stays_is_not_cancelled(
    shape: Shape, where: Callable[..., Any]
) -> None:
    """on_disconnect="cancel": nothing changes for a client that stays."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        body = await request.body()
        for _ in range(5):
            await turns()
        return PlainTextResponse(body)

    exc = exchange(shape.loop, where(shape, endpoint), wire)

    assert exc is None
    assert wire.body == WHOLE
    assert wire.complete


@WHERE
@once
def test_background_tasks_run_after_a_cancelled_endpoint(
    shape: Shape, where: Callable[..., Any]
) -> None:
    """on_disconnect="cancel": a response made in spite of it has its background task run."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    seen: list[str] = []

    async def after() -> None:
        await turns()
        seen.append("background")

    async def endpoint(request: Any) -> Any:
        wire.note("inside")
        try:
            await never()
        except cancelled():
            seen.append("cancelled")
            return PlainTextResponse("late", background=BackgroundTask(after))

    exc = exchange(shape.loop, where(shape, endpoint), wire, leave_once_inside)

    assert exc is None
    assert seen == ["cancelled", "background"]


@pytest.mark.parametrize(("outer", "inner"), [("cancel", "finish"), ("finish", "cancel")])
@once
def test_nearest_on_disconnect_wins(shape: Shape, outer: str, inner: str) -> None:
    """on_disconnect: a route that says otherwise than the application is believed."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    steps: list[str] = []

    async def endpoint(request: Any) -> Any:
        wire.note("inside")
        try:
            for _ in range(50):
                await turns()
            steps.append("finish")
        except cancelled():
            steps.append("cancel")
            raise
        return PlainTextResponse("late")

    route = Route("/", endpoint, methods=["POST"], on_disconnect=inner)
    stack = build(shape, routes=[route], on_disconnect=outer)
    exc = exchange(shape.loop, stack, wire, leave_once_inside)

    assert exc is None
    assert steps == [inner]


@layered_once
def test_layers_see_a_cancelled_endpoint_as_a_client_that_left(shape: Shape) -> None:
    """on_disconnect="cancel": a layer around it catches ClientDisconnect, no CancelledError."""
    log: list[str] = []
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)
    seen: list[BaseException] = []

    async def endpoint(request: Any) -> Any:
        wire.note("inside")
        await never()

    async def catch(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except BaseException as exc:
            seen.append(exc)
            raise

    stack = build(shape, endpoint, at={0: catch}, log=log, on_disconnect="cancel")
    exc = exchange(shape.loop, stack, wire, leave_once_inside)

    assert exc is None
    assert [type(exc) for exc in seen] == [ClientDisconnect]
    assert log == unwound(shape.depth)


@once
def test_server_cancelling_an_interruptible_endpoint_comes_out_as_itself(shape: Shape) -> None:
    """on_disconnect="cancel": a cancellation by the server is not taken for a client's leaving."""
    wire = Wire(CHUNKS, method="POST", spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        wire.note("inside")
        await never()

    def at_turn(turn: int, task: Any) -> None:
        if "inside" in wire.events and not task.cancelling():
            task.cancel()

    stack = build(shape, endpoint, on_disconnect="cancel")
    exc = exchange(shape.loop, stack, wire, at_turn=at_turn)

    assert isinstance(exc, asyncio.CancelledError)


@once
def test_server_cancelling_what_the_client_has_interrupted_comes_out_too(shape: Shape) -> None:
    """on_disconnect="cancel": the server's cancellation is kept apart from the client's leaving."""
    wire = Wire(spec=shape.spec)

    async def endpoint(request: Any) -> Any:
        wire.note("inside")
        try:
            await never()
        finally:
            wire.note("finally")
            with peace():
                await turns(100)

    def at_turn(turn: int, task: Any) -> None:
        if wire.events[-1:] == ["finally"]:
            wire.note("cancel")
            task.cancel()

    stack = build(shape, endpoint, on_disconnect="cancel")
    exc = exchange(shape.loop, stack, wire, leave_once_inside, at_turn=at_turn)

    assert isinstance(exc, asyncio.CancelledError)


@once
def test_unknown_on_disconnect_is_refused(shape: Shape) -> None:
    """A misspelt on_disconnect fails when the app is made, and says what is allowed."""

    async def endpoint(request: Any) -> Any:
        return JSONResponse({})

    with pytest.raises(ValueError, match="cancel"):
        App(routes=[Route("/", endpoint)], on_disconnect="cancle")
