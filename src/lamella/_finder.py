"""Finding the route: which one of many serves a scope, and what answers when none does.

Floor 6. The first declared match wins, yet finding it costs the same however many routes there
are: an index narrows the candidates, and each candidate's own ``matches`` decides.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lamella._index import RouteIndex
from lamella._paths import get_route_path
from lamella._route import (
    ON_DISCONNECT,
    BaseRoute,
    Match,
    NoMatchFound,
    OnDisconnect,
    first_url,
    pattern_of,
    plain_pattern_of,
)
from lamella._route_table import RouteTable, changes, routes_changed
from lamella._url import location_of
from lamella.engine.edge import serve
from lamella.engine.service import Service, twin_of
from lamella.engine.stack import link
from lamella.exceptions import HTTPException
from lamella.responses import PlainTextResponse, RedirectResponse, Response
from lamella.websockets import WebSocketClose

if TYPE_CHECKING:
    from lamella._paths import PathPattern
    from lamella.datastructures import URLPath
    from lamella.engine.service import Respond
    from lamella.requests import Request
    from lamella.types import ASGIApp, Receive, Scope, Send

    _Entry = tuple[BaseRoute, Respond, PathPattern | None]

__all__ = ["RouteFinder"]

_OUTSIDE = "lamella.outside"
# What a mount, and the application mounted there, change in the scope.
_CHANGED_BELOW = ("app", "root_path", "path_params", ON_DISCONNECT)

# PERF: an enum's member is looked up through its metaclass, a global is not.
_NONE = Match.NONE
_PARTIAL = Match.PARTIAL
_FULL = Match.FULL


class RouteFinder(Service):
    """A list of routes, and the way to the one that serves a scope.

    Args:
        routes: in the order they are tried; the first full match wins.
        redirect_slashes: redirect a path that only matches with, or without, a slash at its end.
        default: the app for what no route matches; 404 without it.
        on_disconnect: for routes that do not say.
    """

    on_disconnect: OnDisconnect | None = None
    _index: RouteIndex[_Entry] | None = None
    _indexed_at = -1

    def __init__(
        self,
        routes: Iterable[BaseRoute],
        redirect_slashes: bool,
        default: ASGIApp | None,
        on_disconnect: OnDisconnect | None,
    ) -> None:
        self.routes = list(routes)
        self.redirect_slashes = redirect_slashes
        self.default: ASGIApp = self.not_found if default is None else default
        self.on_disconnect = on_disconnect

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes, in the order they are tried; may be changed at any time."""
        return self._routes

    @routes.setter
    def routes(self, routes: Iterable[BaseRoute]) -> None:
        routes_changed()
        self._routes: list[BaseRoute] = RouteTable(routes)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the first route of that name which takes exactly these parameters.

        Raises:
            NoMatchFound: there is none.
        """
        found = first_url(self.routes, name, path_params)
        if found is None:
            raise NoMatchFound(name, path_params)
        return found

    # -- the way to the route ------------------------------------------------------------------

    def respond_from_routes(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """Answer from the first route that matches fully, else partially, else the default."""
        scope = request.scope
        if "router" not in scope:
            scope["router"] = self
        if _OUTSIDE in scope:
            _step_out(self, scope)
        policy = self.on_disconnect
        if policy is not None and (policy != "finish" or ON_DISCONNECT in scope):
            scope[ON_DISCONNECT] = policy
        index = self._index
        if index is None or self._indexed_at != changes():
            index = self._index_routes()
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        return self._respond_from(index.candidates(path), path, request)

    def _respond_from(
        self, candidates: Sequence[_Entry], path: str, request: Request[Any]
    ) -> Coroutine[Any, Any, Response]:
        scope = request.scope
        partial: tuple[BaseRoute, Respond, Scope] | None = None
        for route, respond, pattern in candidates:
            if pattern is not None:
                # PERF: what `Route.matches` does, without the objects it has to give back.
                known: Any = route
                params = pattern.params(path, known.param_convertors)
                if params is None:
                    continue
                if not known.methods or scope["method"] in known.methods:
                    outer = scope.get("path_params")
                    scope["path_params"] = {**outer, **params} if outer else params
                    scope["route"] = route
                    scope["endpoint"] = known.endpoint
                    return respond(request)
            match, child_scope = route.matches(scope)
            if match is _FULL:
                break
            if match is _PARTIAL and partial is None:
                partial = route, respond, child_scope
        else:
            if partial is None:
                return self._respond_without_route(request)
            route, respond, child_scope = partial
        scope["route"] = route
        if "root_path" in child_scope:
            _step_in(self, scope)
        scope.update(child_scope)
        return respond(request)

    async def connect_to_route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket by the first route that matches fully, else by the default."""
        scope.setdefault("router", self)
        for route, *_ in self._candidates(scope):
            match, child_scope = route.matches(scope)
            if match is _FULL:
                scope["route"] = route
                scope.update(child_scope)
                await route.handle(scope, receive, send)
                return
        await self.default(scope, receive, send)

    def _candidates(self, scope: Scope) -> Sequence[_Entry]:
        index = self._index
        if index is None or self._indexed_at != changes():
            index = self._index_routes()
        return index.candidates(get_route_path(scope))

    def _index_routes(self) -> RouteIndex[_Entry]:
        self._indexed_at = changes()
        self._index = RouteIndex(
            [
                ((route, link(route.handle), plain_pattern_of(route)), pattern_of(route))
                for route in self.routes
            ]
        )
        return self._index

    # -- without a route -----------------------------------------------------------------------

    async def _respond_without_route(self, request: Request[Any]) -> Response:
        if self.redirect_slashes:
            redirect = self._slash_redirect(request.scope)
            if redirect is not None:
                return redirect
        return await link(self.default)(request)

    def _slash_redirect(self, scope: Scope) -> Response | None:
        path: str = scope["path"]
        route_path = get_route_path(scope)
        if scope["type"] != "http" or route_path == "/":
            return None
        other = path.rstrip("/") if route_path.endswith("/") else path + "/"
        moved = {**scope, "path": other}
        if all(route.matches(moved)[0] is _NONE for route, *_ in self._candidates(moved)):
            return None
        return RedirectResponse(location_of(other, scope.get("query_string", b"")))

    @twin_of("respond_not_found")
    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What ``default`` is without another: 404, or a closed websocket."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        else:
            await serve(self.respond_not_found, scope, receive, send)

    async def respond_not_found(self, request: Request[Any]) -> Response:
        """404: inside an application as an exception, so that its handlers answer."""
        if "app" in request.scope:
            raise HTTPException(status_code=404)
        return PlainTextResponse("Not Found", status_code=404)


def _step_in(router: RouteFinder, scope: Scope) -> None:
    """Note what a router found, before what is mounted in it changes the scope.

    It is not put back when the response returns: streams and background tasks of what is mounted
    run later, and want its own app and root path.
    """
    found = {key: scope[key] for key in _CHANGED_BELOW if key in scope}
    scope[_OUTSIDE] = {**scope.get(_OUTSIDE, {}), router: found}


def _step_out(router: RouteFinder, scope: Scope) -> None:
    """Give a router what it found at first, if a layer around it has called in again."""
    found = scope[_OUTSIDE].get(router)
    if found is not None:
        for key in _CHANGED_BELOW:
            scope.pop(key, None)
        scope.update(found)
