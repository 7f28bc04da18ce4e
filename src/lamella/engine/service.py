"""The contract: ``Service``, what can answer a Request with a Response.

Floor 4. A service is an instance of ``Service``, never something that happens to have a method. It
has both faces; which ASGI callable belongs to which service method is a mark on the function, so
that a subclass which overrides the callable has lost its service face: its own code must run.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lamella.engine.edge import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

    Respond = Callable[[Request[Any]], Coroutine[Any, Any, Response]]

_F = TypeVar("_F", bound="Callable[..., Any]")
_TWIN = "_lamella_service_twin"


def twin_of(respond: str) -> Callable[[_F], _F]:
    """Mark an ASGI method as the ASGI face of the service method named ``respond``."""

    def mark(function: _F) -> _F:
        # With the function itself, since `functools.wraps` copies marks to what wraps it.
        setattr(function, _TWIN, (respond, function))
        return function

    return mark


class Service:
    """A component with two faces. Subclass it and define ``respond``.

    ``respond`` answers with a value and must not send. Override ``connect`` if the component lets
    websockets or the lifespan through. Overriding ``__call__`` gives the service face up.
    """

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """Answer a request: ``async def`` it, or give the coroutine of another service.

        Args:
            request: the one Request of this exchange.

        Returns:
            The response, not sent yet.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define `respond(request)`.")

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a scope that is not HTTP (websocket, lifespan)."""
        raise TypeError(
            f"Expected a scope of type 'http', got {scope['type']!r}:"
            f" {type(self).__qualname__} serves nothing else."
        )

    @twin_of("respond")
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI face."""
        if scope["type"] == "http":
            await serve(self.respond, scope, receive, send)
        else:
            await self.connect(scope, receive, send)


def service_of(app: ASGIApp) -> Respond | None:
    """The service face of an ASGI app, or None if it has none.

    Args:
        app: a ``Service``, or a bound method of one that is marked by ``twin_of``.
    """
    if inspect.ismethod(app):
        owner: object = app.__self__
        function: object = app.__func__
    else:
        owner = app
        function = type(app).__call__
    twin: tuple[str, object] | None = getattr(function, _TWIN, None)
    if not isinstance(owner, Service) or twin is None or twin[1] is not function:
        return None
    return cast("Respond", getattr(owner, twin[0]))
