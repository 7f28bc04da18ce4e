"""Layers that several routes share: those of a router that was included in another.

Floor 6. They are built once, so that one that counts requests counts those of all routes; which
route is inside is known when the request comes.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from lamella.engine.edge import serve
from lamella.engine.service import Service, twin_of
from lamella.engine.stack import fold, link

if TYPE_CHECKING:
    from lamella.engine.service import Respond
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = ["LayerGroup"]


class LayerGroup:
    """Layers around more than one route.

    Args:
        layers: declarations, the outermost first.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = list(layers)
        # Layers in between may have made a copy of the scope, but they keep what is in it.
        self.key = f"lamella.inside.{id(self)}"
        self.stack: ASGIApp = fold(_Inside(self.key), self.layers)
        self.respond: Respond = link(self.stack)

    def around(self, app: ASGIApp) -> ASGIApp:
        """A route's app inside of these layers."""
        return _Around(self, app)


class _Around(Service):
    """Enters the layers of a group, and tells what is inside of them this time."""

    is_router = True  # what is inside is not found by its attribute `app`

    def __init__(self, group: LayerGroup, app: ASGIApp) -> None:
        self._group = group
        self._app = app
        self._inner = link(app)

    @property
    def routes(self) -> list[Any]:
        """The routes inside, if it is a router that is there."""
        return getattr(self._app, "routes", [])

    @property
    def inside(self) -> tuple[Sequence[Any], ASGIApp]:
        """The layers as they were declared, and what is inside of them."""
        return self._group.layers, self._app

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face."""
        request.scope[self._group.key] = self
        return self._group.respond(request)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket."""
        scope[self._group.key] = self
        await self._group.stack(scope, receive, send)

    def inner(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face of what is inside."""
        return self._inner(request)

    @twin_of("inner")
    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is inside."""
        if scope["type"] == "http":
            await serve(self._inner, scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Inside(Service):
    """The innermost of a group's layers: whatever the request is for."""

    def __init__(self, key: str) -> None:
        self._key = key

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face."""
        around: _Around = request.scope[self._key]
        return around.inner(request)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket."""
        around: _Around = scope[self._key]
        await around.app(scope, receive, send)
