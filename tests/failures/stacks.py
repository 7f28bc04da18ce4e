"""Stacks of n dispatch layers, of every make and with every kind of link.

A link is ``native`` (the layers stand next to each other) or bridged: each dispatch layer has a
pure ASGI layer right inside, which passes ``receive`` and ``send`` on as they are (``pass``) or
wraps both in closures (``wrap``; there one stands outermost, too).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from itertools import product
from typing import Any

import pytest

from tests.failures.wire import App, BaseHTTPMiddleware, Middleware, Route

Dispatch = Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]


@dataclass(frozen=True)
class Shape:
    """What a stack is made of, and under which server it runs."""

    depth: int
    link: str
    made: str
    spec: str
    loop: str

    def __str__(self) -> str:
        """Name the shape in a test's id."""
        return f"{self.depth}-{self.link}-{self.made}-{self.spec}-{self.loop}"


LINKS = ("native", "pass", "wrap")
MAKES = ("subclass", "function")
SPECS = ("2.3", "2.4")
LOOPS = ("asyncio", "uvloop")
DEPTHS = (1, 4, 8, 16)

STACKS = [(0, "native"), *((depth, link) for link in LINKS for depth in DEPTHS)]
SERVERS = list(product(MAKES, SPECS, LOOPS))


def _spread(per_stack: int) -> list[Shape]:
    """Give each stack some of the 8 servers: a pair of opposites first, another one each time."""
    shapes = []
    for number, (depth, link) in enumerate(STACKS):
        first = number % 4
        order = [first, 7 - first, (first + 1) % 4, 7 - (first + 1) % 4]
        order += [server for server in range(8) if server not in order]
        shapes += [Shape(depth, link, *SERVERS[server]) for server in order[:per_stack]]
    return shapes


TRIO_STACKS = [(0, "native"), *((depth, link) for link in LINKS for depth in (1, 4))]


def _on_trio(per_stack: int) -> list[Shape]:
    """Give some stacks of each link so many servers on trio, another one first each time."""
    servers = list(product(MAKES, SPECS))
    return [
        Shape(depth, link, *servers[(first, 3 - first, first ^ 1, 3 - (first ^ 1))[which]], "trio")
        for number, (depth, link) in enumerate(TRIO_STACKS)
        for first in (number % 4,)
        for which in range(per_stack)
    ]


def without_trio(shapes: Sequence[Shape]) -> list[Shape]:
    """Leave trio out, for tests of what asyncio alone has."""
    return [shape for shape in shapes if shape.loop != "trio"]


def _layered(shapes: Sequence[Shape]) -> list[Shape]:
    return [shape for shape in shapes if shape.depth]


FULL = _spread(8) + _on_trio(4)
"""Every stack under every server."""

EVERY = _spread(2) + _on_trio(2)
"""Every stack, each make, spec and loop with every stack, the combinations spread over them."""

LAYERED = _layered(EVERY)
"""``EVERY`` without the bare app."""

ONCE = _spread(1) + _on_trio(1)
"""Every stack once."""

LAYERED_ONCE = _layered(ONCE)

SILENT = list(dict.fromkeys(replace(shape, spec="2.3") for shape in EVERY))
"""``EVERY`` at spec 2.3, where ``send`` is silent about a client that has left."""

LAYERED_SILENT = _layered(SILENT)

NATIVE = [
    Shape(depth, "native", made, spec, loop)
    for depth in (0, *DEPTHS)
    for made, spec, loop in SERVERS
] + [shape for shape in _on_trio(4) if shape.link == "native"]
"""Native stacks only, under every server."""

LAYERED_NATIVE = _layered(NATIVE)

EXHAUSTIVE = [
    Shape(depth, link, MAKES[(number + spec + loop) % 2], SPECS[spec], LOOPS[loop])
    for number, (depth, link) in enumerate(
        [
            *((depth, "native") for depth in (0, 1, 4, 8, 16)),
            *((depth, link) for link in ("pass", "wrap") for depth in (1, 4)),
        ]
    )
    for spec in (0, 1)
    for loop in (0, 1)
]
"""For tests that try every step: each link at 4 layers, native at every depth, every server."""

EXHAUSTIVE_HALF = EXHAUSTIVE[::4] + EXHAUSTIVE[3::4] + _on_trio(1)
"""The same with two servers each, opposites of one another; one on trio."""

EXHAUSTIVE += _on_trio(2)


def over(shapes: Sequence[Shape]) -> pytest.MarkDecorator:
    """Run a test once for each shape."""
    return pytest.mark.parametrize("shape", shapes, ids=str)


full = over(FULL)
every = over(EVERY)
layered = over(LAYERED)
once = over(ONCE)
layered_once = over(LAYERED_ONCE)
exhaustive = over(EXHAUSTIVE)
exhaustive_half = over(EXHAUSTIVE_HALF)
silent = over(SILENT)
layered_silent = over(LAYERED_SILENT)
native = over(NATIVE)
layered_native = over(LAYERED_NATIVE)


def bare(shape: Shape) -> Shape:
    """Give the app without layers, made and served as a shape is."""
    return replace(shape, depth=0, link="native")


class Passes:
    """A pure ASGI layer that hands on what it got."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Wraps:
    """A pure ASGI layer with a ``receive`` and a ``send`` of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def own_receive() -> Any:
            return await receive()

        async def own_send(message: Any) -> None:
            await send(message)

        await self.app(scope, own_receive, own_send)


FOREIGN = {"pass": Passes, "wrap": Wraps}


async def pass_on(request: Any, call_next: Any) -> Any:
    """The dispatch that does nothing."""
    return await call_next(request)


def traced(inner: Dispatch, index: int, log: list[str]) -> Dispatch:
    """Log a layer's entry and its exit, however it goes out."""

    @wraps(inner)
    async def dispatch(request: Any, call_next: Any) -> Any:
        log.append(f"in {index}")
        try:
            return await inner(request, call_next)
        finally:
            log.append(f"out {index}")

    return dispatch


def unwound(depth: int) -> list[str]:
    """The log of ``depth`` layers that were each entered and left once."""
    return [
        *(f"in {index}" for index in range(depth)),
        *(f"out {index}" for index in reversed(range(depth))),
    ]


def layer(made: str, index: int, inner: Dispatch) -> Any:
    """Declare one dispatch layer: a class named ``Layer<index>``, or the function itself."""
    if made == "function":
        return Middleware(BaseHTTPMiddleware, dispatch=inner)

    async def dispatch(self: Any, request: Any, call_next: Any) -> Any:
        return await inner(request, call_next)

    return Middleware(type(f"Layer{index}", (BaseHTTPMiddleware,), {"dispatch": dispatch}))


def layers(
    shape: Shape,
    each: Callable[[int], Dispatch] | None = None,
    at: dict[int, Dispatch] | None = None,
    log: list[str] | None = None,
) -> list[Any]:
    """Declare the layers of a shape, outermost first; see ``build``."""
    special = {index % shape.depth: inner for index, inner in (at or {}).items()}
    declared: list[Any] = []
    if shape.link == "wrap":
        declared.append(Middleware(Wraps))
    for index in range(shape.depth):
        inner = special.get(index) or (each(index) if each else pass_on)
        if log is not None:
            inner = traced(inner, index, log)
        declared.append(layer(shape.made, index, inner))
        if shape.link in FOREIGN:
            declared.append(Middleware(FOREIGN[shape.link]))
    return declared


def build(
    shape: Shape,
    endpoint: Any = None,
    *,
    each: Callable[[int], Dispatch] | None = None,
    at: dict[int, Dispatch] | None = None,
    log: list[str] | None = None,
    routes: Sequence[Any] | None = None,
    outside: Sequence[Any] = (),
    inside: Sequence[Any] = (),
    **options: Any,
) -> Any:
    """Build an app of a shape.

    Args:
        shape: the stack.
        endpoint: what answers GET and POST of ``/``, unless ``routes`` are given.
        each: the dispatch of the layer of an index; 0 is the outermost. Default: ``pass_on``.
        at: the dispatch of some layers by index, -1 being the innermost, over ``each``.
        log: where each layer logs its entry and exit.
        routes: the routes, when one endpoint is not enough.
        outside: declared layers around all of the shape's.
        inside: declared layers within all of the shape's.
        options: further arguments of the application class.
    """
    if routes is None:
        routes = [Route("/", endpoint, methods=["GET", "POST"])]
    declared = [*outside, *layers(shape, each, at, log), *inside]
    return App(routes=routes, middleware=declared, **options)


def by_hand(
    shape: Shape,
    app: Any,
    *,
    each: Callable[[int], Dispatch] | None = None,
    at: dict[int, Dispatch] | None = None,
    log: list[str] | None = None,
) -> Any:
    """Nest the layers of a shape around an ASGI app, with no application class; see ``build``."""
    for declared in reversed(layers(shape, each, at, log)):
        cls, args, kwargs = declared
        app = cls(app, *args, **kwargs)
    return app
