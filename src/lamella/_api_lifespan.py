"""The lifespan of a router of typed routes, and of those that are included in it.

Floor 6. Entered in this order: the one that was given, or else the functions of ``on_event``; then
those of included routers. Left in reverse.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lamella._lifespan import NoLifespan, goes_on, lifespan_context

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from lamella.types import Lifespan

__all__ = ["router_lifespan"]

_entering: ContextVar[list[Any] | None] = ContextVar("lamella.entering", default=None)


def router_lifespan(router: Any, given: Lifespan[Any] | None) -> Lifespan[Any]:
    """The whole lifespan of a router.

    Args:
        router: has ``included``, ``on_startup`` and ``on_shutdown``.
        given: what the user declared; None: the functions of ``on_event``.
    """
    own: Any = _events(router) if given is None else lifespan_context(given)

    @asynccontextmanager
    async def whole(app: Any) -> AsyncGenerator[Any, None]:
        async with AsyncExitStack() as stack:
            states = [await stack.enter_async_context(own(app))]
            with _entering_once() as entered:
                for inner in router.included:
                    if goes_on(inner) or any(one is inner for one in entered):
                        continue  # included twice
                    entered.append(inner)
                    states.append(await stack.enter_async_context(inner.lifespan_context(app)))
            state: dict[str, Any] = {}
            for one in reversed(states):
                state.update(one or {})
            yield state or None

    if given is not None:
        return whole
    none = NoLifespan(router)  # so that one can tell that none was given
    none.context = whole
    return none


@contextmanager
def _entering_once() -> Generator[list[Any], None, None]:
    """The routers entered so far, of the outermost one and of those included below it."""
    entered = _entering.get()
    if entered is not None:
        yield entered
        return
    entered = list[Any]()
    token = _entering.set(entered)
    try:
        yield entered
    finally:
        _entering.reset(token)


def _events(router: Any) -> Callable[[Any], Any]:
    @asynccontextmanager
    async def events(app: object) -> AsyncGenerator[None, None]:
        await _call_all(router.on_startup)
        try:
            yield
        finally:
            await _call_all(router.on_shutdown)

    return events


async def _call_all(functions: Iterable[Callable[[], Any]]) -> None:
    for function in functions:
        outcome = function()
        if inspect.isawaitable(outcome):
            await outcome
