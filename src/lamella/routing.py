"""Routes: which endpoint serves which path.

Floor 6. Names and behaviour as Starlette 1.10. Every route has both faces. What they have in common
is in ``_route``, the way to one of many in ``_finder``, the lifespan in ``_lifespan``. The typed
ones, ``APIRoute``, ``APIRouter`` and their kin, stand in modules of their own above this one, and
are imported when they are first asked for here.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from lamella._endpoint import (
    Endpoint,
    get_name,
    is_function,
    method_not_allowed,
    request_response,
    websocket_session,
)
from lamella._finder import RouteFinder
from lamella._host import Host
from lamella._inspect import describe
from lamella._lifespan import LifespanContext, NoLifespan, lifespan_context, serve_lifespan
from lamella._paths import (
    PARAM_FORMAT_REGEX,
    PARAM_REGEX,
    PathPattern,
    compile_path,
    get_route_path,
    replace_params,
)
from lamella._route import (
    ON_DISCONNECT,
    BaseRoute,
    Match,
    NoMatchFound,
    OnDisconnect,
    check_path,
    checked_policy,
    first_url,
    path_params_of,
    wrapped,
)
from lamella.convertors import Convertor
from lamella.datastructures import URLPath
from lamella.endpoints import native
from lamella.engine.edge import serve
from lamella.engine.interrupt import Interrupt
from lamella.engine.service import twin_of
from lamella.engine.stack import link
from lamella.exceptions import ClientDisconnect, StackError, UsageError
from lamella.requests import Request
from lamella.responses import Response

if TYPE_CHECKING:
    from lamella._api_route import (
        APIRoute,
        APIWebSocketRoute,
        RouteOptions,
        SharedOptions,
        generate_unique_id,
    )
    from lamella._api_router import APIRouter
    from lamella.engine.service import Respond
    from lamella.types import ASGIApp, Lifespan, Receive, Scope, Send
    from lamella.websockets import WebSocket

__all__ = [
    "PARAM_FORMAT_REGEX",
    "PARAM_REGEX",
    "APIRoute",
    "APIRouter",
    "APIWebSocketRoute",
    "BaseRoute",
    "Host",
    "Match",
    "Mount",
    "NoMatchFound",
    "OnDisconnect",
    "Route",
    "RouteOptions",
    "Router",
    "SharedOptions",
    "WebSocketRoute",
    "checked_policy",
    "compile_path",
    "generate_unique_id",
    "get_name",
    "replace_params",
    "request_response",
    "websocket_session",
]

# Starlette's private name, by which packages and tests ask for a router without a lifespan.
_DefaultLifespan = NoLifespan

_TYPED = {
    "APIRoute": "_api_route",
    "APIRouter": "_api_router",
    "APIWebSocketRoute": "_api_route",
    "RouteOptions": "_api_route",
    "SharedOptions": "_api_route",
    "generate_unique_id": "_api_route",
}


def __getattr__(name: str) -> Any:
    if name not in _TYPED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"lamella.{_TYPED[name]}"), name)
    globals()[name] = value
    return value


# PERF: an enum's member is looked up through its metaclass, a global is not.
_NONE = Match.NONE
_PARTIAL = Match.PARTIAL
_FULL = Match.FULL


class Route(BaseRoute):
    """A path and the endpoint that serves it.

    Args:
        path: starts with "/"; "{name}" and "{name:convertor}" are parameters.
        endpoint: a function of the request, sync or async, or an ASGI app (a class too).
        methods: upper or lower case; GET for functions, any for apps. GET includes HEAD.
        name: for ``url_path_for``; the endpoint's name without it.
        include_in_schema: kept for schema generators.
        middleware: layers around this endpoint alone, the outermost first.
        max_body_size: bytes; a larger request body is a 413.
        on_disconnect: "cancel" cancels the endpoint when the client leaves, "finish" lets it
            finish. None: as the router or the application says.

    Raises:
        StackError: a path, endpoint or layer that cannot work.
    """

    matches_by_path = True
    path: str
    endpoint: Callable[..., Any]
    name: str
    methods: set[str] | None = None
    path_regex: PathPattern | re.Pattern[str]
    path_format: str
    param_convertors: dict[str, Convertor[Any]]
    include_in_schema: bool = True
    on_disconnect: OnDisconnect | None = None

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
        middleware: Sequence[Any] | None = None,
        max_body_size: int | None = None,
        on_disconnect: OnDisconnect | None = None,
    ) -> None:
        self.check_path(path, endpoint)
        if not callable(endpoint):
            raise StackError(f"Expected a function or an ASGI app for {path!r}, got {endpoint!r}.")
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint) if name is None else name
        self.include_in_schema = include_in_schema
        self.on_disconnect = checked_policy(on_disconnect)
        if is_function(endpoint):
            app: ASGIApp = request_response(endpoint)
            methods = ["GET"] if methods is None else methods
        else:
            answer = native(endpoint)
            app = endpoint if answer is None else Endpoint(answer, handles=False)
        self.app = wrapped(app, middleware, max_body_size, f"Route({path!r})")
        self.methods = None if methods is None else _method_set(methods)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    def check_path(self, path: str, endpoint: object) -> None:
        """Raise ``UsageError`` for a path that no request can have."""
        check_path(path, describe(endpoint))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match path and method; a wrong method alone is ``Match.PARTIAL``."""
        if scope["type"] != "http":
            return _NONE, {}
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        pattern = self.path_regex
        if type(pattern) is PathPattern:  # PERF: a call here takes 40 ns
            params = pattern.params(path, self.param_convertors)
        else:
            params = _path_params(self, path)
        if params is None:
            return _NONE, {}
        outer = scope.get("path_params")
        if outer:
            params = {**outer, **params}
        child_scope: Scope = {"endpoint": self.endpoint, "path_params": params}
        if self.methods and scope["method"] not in self.methods:
            return _PARTIAL, child_scope
        return _FULL, child_scope

    plain_matches = matches  # by which the router can tell that it is the class's own

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path with these parameters filled in, if this route has that name."""
        if name != self.name or path_params.keys() != self.param_convertors.keys():
            raise NoMatchFound(name, path_params)
        path, _ = replace_params(self.path_format, self.param_convertors, path_params)
        return URLPath(path=path, protocol="http")

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """Answer, or 405 with ``Allow`` (RFC 9110 section 15.5.6)."""
        scope = request.scope
        if self.methods and scope["method"] not in self.methods:
            return method_not_allowed(sorted(self.methods), scope)
        inner = self._inner if self.app is self._linked else self._link()
        policy = self.on_disconnect or scope.get(ON_DISCONNECT)
        if policy == "cancel":
            return _cancelled_with_client(inner, request)
        return inner(request)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Route)
            and self.path == other.path
            and self.endpoint == other.endpoint
            and self.methods == other.methods
        )

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        methods = sorted(self.methods or ())
        return f"{type(self).__name__}(path={self.path!r}, name={self.name!r}, methods={methods!r})"


class WebSocketRoute(BaseRoute):
    """A path and the endpoint that serves websockets there.

    Args:
        path: starts with "/"; "{name}" and "{name:convertor}" are parameters.
        endpoint: an async function of the websocket, or an ASGI app (a class too).
        name: for ``url_path_for``; the endpoint's name without it.
        middleware: layers around this endpoint alone, the outermost first.

    Raises:
        StackError: an endpoint or layer that cannot work.
    """

    matches_by_path = True
    path: str
    endpoint: Callable[..., Any]
    name: str
    path_regex: PathPattern | re.Pattern[str]
    path_format: str
    param_convertors: dict[str, Convertor[Any]]

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        middleware: Sequence[Any] | None = None,
    ) -> None:
        check_path(path, describe(endpoint))
        if not callable(endpoint):
            raise StackError(f"Expected a function or an ASGI app for {path!r}, got {endpoint!r}.")
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint) if name is None else name
        app = websocket_session(endpoint) if is_function(endpoint) else endpoint
        self.app = wrapped(app, middleware, None, f"WebSocketRoute({path!r})")
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path of a websocket."""
        if scope["type"] != "websocket":
            return _NONE, {}
        params = _path_params(self, get_route_path(scope))
        if params is None:
            return _NONE, {}
        path_params = {**scope.get("path_params", {}), **params}
        return _FULL, {"endpoint": self.endpoint, "path_params": path_params}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path with these parameters filled in, if this route has that name."""
        if name != self.name or path_params.keys() != self.param_convertors.keys():
            raise NoMatchFound(name, path_params)
        path, _ = replace_params(self.path_format, self.param_convertors, path_params)
        return URLPath(path=path, protocol="websocket")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, WebSocketRoute)
            and self.path == other.path
            and self.endpoint == other.endpoint
        )

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}(path={self.path!r}, name={self.name!r})"


class Mount(BaseRoute):
    """A prefix and the app that serves everything below it.

    Args:
        path: the prefix; may have parameters.
        app: an ASGI app. Either this or ``routes``.
        routes: the routes of a router made for them.
        name: the prefix of names below it, "mount:route".
        middleware: layers around all of it, the outermost first.
        max_body_size: bytes; a larger request body is a 413.
        lifespan: whether the app's lifespan is served with that of the application around it.
            None: if it is an application or a router of lamella.

    Raises:
        StackError: neither app nor routes, or a layer that cannot work.
    """

    matches_by_path = True
    path: str
    name: str | None
    path_regex: PathPattern | re.Pattern[str]
    path_format: str
    param_convertors: dict[str, Convertor[Any]]
    lifespan: bool | None = None
    is_mount = True

    def __init__(
        self,
        path: str,
        app: ASGIApp | None = None,
        routes: Sequence[BaseRoute] | None = None,
        name: str | None = None,
        *,
        middleware: Sequence[Any] | None = None,
        max_body_size: int | None = None,
        lifespan: bool | None = None,
    ) -> None:
        if path != "":
            check_path(path, "Mount")
        if app is None and routes is None:
            raise UsageError(f"Either 'app=...', or 'routes=' must be specified for {path!r}.")
        self.path = path.rstrip("/")
        self._base_app: ASGIApp = Router(routes=routes) if app is None else app
        self.app = wrapped(self._base_app, middleware, max_body_size, f"Mount({path!r})")
        self.name = name
        self.lifespan = lifespan
        self.path_regex, self.path_format, self.param_convertors = compile_path(
            self.path + "/{path:path}"
        )

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the mounted app, if it has any."""
        return cast("list[BaseRoute]", getattr(self._base_app, "routes", []))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the prefix at a boundary of path segments."""
        if scope["type"] not in ("http", "websocket"):
            return _NONE, {}
        route_path = get_route_path(scope)
        params = _path_params(self, route_path)
        if params is None:
            return _NONE, {}
        rest = "/" + params.pop("path")
        root_path = scope.get("root_path", "")
        return _FULL, {
            "path_params": {**scope.get("path_params", {}), **params},
            # The outermost root path, which `url_for` builds on, whatever is mounted below.
            "app_root_path": scope.get("app_root_path", root_path),
            "root_path": root_path + route_path[: len(route_path) - len(rest)],
            "endpoint": self.app,
        }

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path below this mount of the route of that name."""
        if self.name is not None and name == self.name and "path" in path_params:
            path_params["path"] = path_params["path"].lstrip("/")
            path, rest = replace_params(self.path_format, self.param_convertors, path_params)
            if not rest:
                return URLPath(path=path)
        elif self.name is None or name.startswith(self.name + ":"):
            inner_name = name if self.name is None else name[len(self.name) + 1 :]
            return self._path_below(name, inner_name, path_params)
        raise NoMatchFound(name, path_params)

    def _path_below(self, name: str, inner_name: str, path_params: dict[str, Any]) -> URLPath:
        inner_path = path_params.get("path")
        path_params["path"] = ""
        prefix, rest = replace_params(self.path_format, self.param_convertors, path_params)
        if inner_path is not None:
            rest["path"] = inner_path
        url = first_url(self.routes, inner_name, rest)
        if url is None:
            raise NoMatchFound(name, path_params)
        return URLPath(path=prefix.rstrip("/") + str(url), protocol=url.protocol)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mount) and self.path == other.path and self.app == other.app

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        name = self.name or ""
        return f"{type(self).__name__}(path={self.path!r}, name={name!r}, app={self.app!r})"


class Router(RouteFinder):
    """Finds the route of a request.

    Args:
        routes: in the order they are tried; the first full match wins.
        redirect_slashes: redirect a path that only matches with, or without, a slash at its end.
        default: the app for what no route matches; 404 without it.
        lifespan: an async context manager of the app, entered at start and left at shutdown.
        middleware: layers around the routes, the outermost first.
        max_body_size: bytes; a larger request body is a 413.
        on_disconnect: see ``Route``; for routes that do not say.

    Raises:
        StackError: two routes of which the second can never match, or a layer that cannot work.
    """

    is_router = True
    _linked: ASGIApp | None = None
    _inner: Respond

    def __init__(
        self,
        routes: Sequence[BaseRoute] | None = None,
        redirect_slashes: bool = True,
        default: ASGIApp | None = None,
        lifespan: Lifespan[Any] | None = None,
        *,
        middleware: Sequence[Any] | None = None,
        max_body_size: int | None = None,
        on_disconnect: OnDisconnect | None = None,
    ) -> None:
        _check_duplicates(routes or ())
        super().__init__(routes or (), redirect_slashes, default, checked_policy(on_disconnect))
        self.lifespan_context = self._whole_lifespan(lifespan)
        self.middleware_stack: ASGIApp = wrapped(self.app, middleware, max_body_size, "Router")

    # -- the faces -----------------------------------------------------------------------------

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face: the router's own layers, then its routes."""
        stack = self.middleware_stack
        if stack is not self._linked:
            self._inner = link(stack)
            self._linked = stack
        return self._inner(request)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket or the lifespan."""
        await self.middleware_stack(scope, receive, send)

    @twin_of("respond_from_routes")
    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The routes, without the router's own layers."""
        if scope["type"] == "http":
            await serve(self.respond_from_routes, scope, receive, send)
        elif scope["type"] == "lifespan":
            scope.setdefault("router", self)
            await self.lifespan(scope, receive, send)
        else:
            await self.connect_to_route(scope, receive, send)

    # -- the lifespan --------------------------------------------------------------------------

    def _whole_lifespan(self, given: Lifespan[Any] | None) -> Lifespan[Any]:
        """What the router's lifespan is if this one was given to it."""
        return NoLifespan(self) if given is None else lifespan_context(given)

    @property
    def lifespan_context(self) -> Lifespan[Any]:
        """The context manager of the lifespan, called with the application; may be replaced.

        Whoever enters it by hand, inside the lifespan of an application that this router is
        mounted in, has started it: it is not entered again.
        """
        return self._lifespan_context

    @lifespan_context.setter
    def lifespan_context(self, context: Lifespan[Any]) -> None:
        kept = context if isinstance(context, NoLifespan) else LifespanContext(self, context)
        self._lifespan_context: Lifespan[Any] = kept

    async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan, this router's and then those of what is mounted in it."""
        await serve_lifespan(self, scope, receive, send)

    # -- adding routes -------------------------------------------------------------------------

    def mount(
        self, path: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None
    ) -> None:
        """Add a ``Mount``."""
        self.routes.append(Mount(path, app=app, name=name, lifespan=lifespan))

    def host(
        self, host: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None
    ) -> None:
        """Add a ``Host``."""
        self.routes.append(Host(host, app=app, name=name, lifespan=lifespan))

    def add_route(
        self,
        path: str,
        endpoint: Callable[[Request[Any]], Awaitable[Response] | Response],
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> None:
        """Add a ``Route``."""
        self.routes.append(
            Route(path, endpoint, methods=methods, name=name, include_in_schema=include_in_schema)
        )

    def add_websocket_route(
        self,
        path: str,
        endpoint: Callable[[WebSocket[Any]], Awaitable[None]],
        name: str | None = None,
    ) -> None:
        """Add a ``WebSocketRoute``."""
        self.routes.append(WebSocketRoute(path, endpoint, name=name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Router) and self.routes == other.routes

    __hash__ = RouteFinder.__hash__


def _path_params(route: Route | WebSocketRoute | Mount, path: str) -> dict[str, Any] | None:
    """The parameters of a path that matches, converted; None for one that does not."""
    pattern = route.path_regex
    if isinstance(pattern, PathPattern):
        return pattern.params(path, route.param_convertors)
    return path_params_of(pattern, path, route.param_convertors)


def _method_set(methods: Collection[str]) -> set[str]:
    if isinstance(methods, str):
        raise StackError(f"Expected methods to be a list of names, got the text {methods!r}.")
    upper = {method.upper() for method in methods}
    return upper | {"HEAD"} if "GET" in upper else upper


def _check_duplicates(routes: Iterable[BaseRoute]) -> None:
    """Refuse a route that can never match, since an earlier one has its path and its methods."""
    seen: dict[tuple[str, str], Route] = {}
    for route in routes:
        if type(route) is not Route:
            continue
        for method in sorted(route.methods or ("",)):
            earlier = seen.setdefault((route.path, method), route)
            if earlier is not route:
                raise StackError(
                    f"Expected each path and method once, got {method or 'any method'}"
                    f" {route.path!r} twice: {describe(earlier.endpoint)} serves it, so"
                    f" {describe(route.endpoint)} never would; remove one, or change its path."
                )


async def _cancelled_with_client(inner: Respond, request: Request[Any]) -> Response:
    """Answer, unless the client leaves: then what is inside is cancelled."""
    with Interrupt(request.inbound):
        return await inner(request)
    raise ClientDisconnect
