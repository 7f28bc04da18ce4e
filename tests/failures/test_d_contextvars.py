"""Family D: ContextVars flow down, and up, and nowhere else."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest

from tests.failures.stacks import LAYERED, Shape, build, every, layered, over
from tests.failures.wire import (
    BackgroundTask,
    JSONResponse,
    Middleware,
    PlainTextResponse,
    Source,
    StreamingResponse,
    Wire,
    exchange,
    on_loop,
    serve,
)
from tests.loops import gather, turns

value: ContextVar[str] = ContextVar("value", default="unset")
trail: ContextVar[tuple[str, ...]] = ContextVar("trail", default=())


class SeesAfter:
    """A pure ASGI layer that notes what it sees once the app below has ended."""

    def __init__(self, app: Any, seen: list[str]) -> None:
        self.app = app
        self.seen = seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
        self.seen.append(value.get())


class SetsAndResets:
    """A pure ASGI layer that sets a value for what is below, and takes it back."""

    def __init__(self, app: Any, ends: list[str]) -> None:
        self.app = app
        self.ends = ends

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        token = value.set("from below")
        try:
            await self.app(scope, receive, send)
        finally:
            value.reset(token)
            self.ends.append(value.get())


async def sets(request: Any) -> Any:
    """Answer, having set the value."""
    value.set("from the endpoint")
    return PlainTextResponse("done")


@layered
def test_value_set_in_the_endpoint_is_seen_in_dispatch(shape: Shape) -> None:
    """D1: a ContextVar set in the endpoint is not visible in dispatch after call_next."""
    seen: list[str] = []

    async def look(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        seen.append(value.get())
        return response

    exchange(shape.loop, build(shape, sets, each=lambda _: look), Wire(spec=shape.spec))

    assert seen == ["from the endpoint"] * shape.depth


@layered
def test_value_set_after_a_turn_of_the_loop_is_seen_in_dispatch(shape: Shape) -> None:
    """D1: the same when the endpoint gives way to the loop around it, and streams."""
    seen: list[str] = []

    async def endpoint(request: Any) -> Any:
        await turns()
        value.set("from the endpoint")
        await turns()
        return StreamingResponse(Source(2).generator)

    async def look(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        seen.append(value.get())
        return response

    exchange(shape.loop, build(shape, endpoint, each=lambda _: look), Wire(spec=shape.spec))

    assert seen == ["from the endpoint"] * shape.depth


@layered
def test_value_set_before_an_error_is_seen_in_dispatch(shape: Shape) -> None:
    """D1, and more: an error that passes a layer brings the values with it."""
    seen: list[str] = []

    async def endpoint(request: Any) -> Any:
        value.set("from the endpoint")
        raise LookupError("gone")

    async def look(request: Any, call_next: Any) -> Any:
        try:
            return await call_next(request)
        finally:
            seen.append(value.get())

    exchange(shape.loop, build(shape, endpoint, each=lambda _: look), Wire(spec=shape.spec))

    assert seen == ["from the endpoint"] * shape.depth


@layered
def test_value_set_in_dispatch_is_seen_below_and_in_the_stream(shape: Shape) -> None:
    """D2: a ContextVar set in dispatch is not visible in the endpoint or its stream."""

    async def set_it(request: Any, call_next: Any) -> Any:
        value.set("from dispatch")
        return await call_next(request)

    async def stream() -> Any:
        yield value.get().encode()
        await turns()
        yield b", " + value.get().encode()

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(stream(), headers={"seen": value.get()})

    wire = Wire(spec=shape.spec)
    exchange(shape.loop, build(shape, endpoint, at={0: set_it}), wire)

    assert wire.header("seen") == ["from dispatch"]
    assert wire.body == b"from dispatch, from dispatch"


@every
def test_value_set_in_the_endpoint_is_seen_by_asgi_middleware_above(shape: Shape) -> None:
    """D3: one dispatch layer hides the endpoint's ContextVar from pure ASGI middleware above."""
    seen: list[str] = []

    stack = build(shape, sets, outside=[Middleware(SeesAfter, seen)])
    exchange(shape.loop, stack, Wire(spec=shape.spec))

    assert seen == ["from the endpoint"]


@layered
def test_token_is_reset_around_call_next(shape: Shape) -> None:
    """D4: ContextVar.reset(token) fails around call_next."""
    ends: list[str] = []

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            before = value.get()
            token = value.set(f"layer {index}")
            try:
                return await call_next(request)
            finally:
                value.reset(token)
                assert value.get() == before
                ends.append(before)

        return dispatch

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse(value.get())

    wire = Wire(spec=shape.spec)
    exc = exchange(shape.loop, build(shape, endpoint, each=each), wire)

    assert exc is None
    assert ends == [*(f"layer {index}" for index in reversed(range(shape.depth - 1))), "unset"]
    assert wire.body == f"layer {shape.depth - 1}".encode()


@layered
def test_token_is_reset_in_an_asgi_layer_below(shape: Shape) -> None:
    """D4: the same in an ASGI layer below the dispatch layers."""
    ends: list[str] = []

    async def endpoint(request: Any) -> Any:
        await turns()
        return StreamingResponse(Source(2).generator, headers={"seen": value.get()})

    wire = Wire(spec=shape.spec)
    stack = build(shape, endpoint, inside=[Middleware(SetsAndResets, ends)])
    exc = exchange(shape.loop, stack, wire)

    assert exc is None
    assert ends == ["unset"]
    assert wire.header("seen") == ["from below"]


@over([shape for shape in LAYERED if shape.depth > 1])
def test_values_set_by_inner_layers_are_seen_by_outer_ones(shape: Shape) -> None:
    """D5: the value set by an inner dispatch is not visible in an outer dispatch."""
    seen: dict[int, tuple[str, ...]] = {}

    def each(index: int) -> Any:
        async def dispatch(request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            seen[index] = trail.get()
            trail.set((*trail.get(), f"layer {index}"))
            return response

        return dispatch

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse("done")

    exchange(shape.loop, build(shape, endpoint, each=each), Wire(spec=shape.spec))

    inside_out = [f"layer {index}" for index in reversed(range(shape.depth))]
    assert [seen[index] for index in reversed(range(shape.depth))] == [
        tuple(inside_out[:count]) for count in range(shape.depth)
    ]


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@every
def test_value_set_in_the_endpoint_is_seen_by_its_background_task(
    shape: Shape, streams: bool
) -> None:
    """D6: a ContextVar set in the endpoint is lost to its background task."""
    seen: list[str] = []

    async def after() -> None:
        seen.append(value.get())

    async def endpoint(request: Any) -> Any:
        value.set("from the endpoint")
        task = BackgroundTask(after)
        if streams:
            return StreamingResponse(Source(2).generator, background=task)
        return JSONResponse({}, background=task)

    exchange(shape.loop, build(shape, endpoint), Wire(spec=shape.spec))

    assert seen == ["from the endpoint"]


@every
def test_values_do_not_leak_into_the_next_request(shape: Shape) -> None:
    """D7: ContextVars leak from one request into the next."""
    seen: list[str] = []

    async def endpoint(request: Any) -> Any:
        seen.append(value.get())
        return await sets(request)

    async def main() -> None:
        app = build(shape, endpoint)
        for _ in range(3):
            await serve(app, Wire(spec=shape.spec))
        seen.append(value.get())

    on_loop(shape.loop, main())

    assert seen == ["unset"] * 4


@layered
def test_values_of_concurrent_requests_stay_apart(shape: Shape) -> None:
    """D7, and more: nor between requests that run at the same time."""

    async def set_it(request: Any, call_next: Any) -> Any:
        token = value.set(request.query_params["name"])
        await turns()
        try:
            response = await call_next(request)
            await turns()
            assert trail.get() == (request.query_params["name"],)
            return response
        finally:
            value.reset(token)

    async def endpoint(request: Any) -> Any:
        for _ in range(int(request.query_params["name"])):
            await turns()
        trail.set((value.get(),))
        return PlainTextResponse(value.get())

    async def main() -> list[bytes]:
        app = build(shape, endpoint, each=lambda _: set_it)
        wires = [Wire(spec=shape.spec, query=b"name=%d" % number) for number in range(8)]
        results = await gather(*(serve(app, wire, alone=False) for wire in wires))
        assert results == [None] * 8
        return [wire.body for wire in wires]

    assert on_loop(shape.loop, main()) == [b"%d" % number for number in range(8)]
