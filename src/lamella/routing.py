"""Routes: which endpoint serves which path.

Floor 6. Names and behaviour as Starlette 1.10. The first declared match wins, yet finding it costs
the same however many routes there are: an index narrows the candidates, and each candidate's own
``matches`` decides. Every route has both faces.
"""

from __future__ import annotations

import functools
import inspect
import traceback
import warnings
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import quote, quote_from_bytes

from lamella._index import RouteIndex
from lamella._inspect import describe, is_async_callable
from lamella._outcomes import answer, handlers_in
from lamella._paths import PathPattern, compile_path, get_route_path, replace_params
from lamella._route_table import RouteTable, changes, routes_changed
from lamella.concurrency import run_in_threadpool
from lamella.convertors import Convertor
from lamella.datastructures import Headers, URLPath
from lamella.engine.bridge import Bridge
from lamella.engine.edge import serve
from lamella.engine.interrupt import Interrupt
from lamella.engine.service import Service, twin_of
from lamella.engine.stack import fold, link
from lamella.exceptions import (
    ClientDisconnect,
    HTTPException,
    NoResponseError,
    StackError,
    StarletteDeprecationWarning,
    UsageError,
)
from lamella.middleware.base import hold
from lamella.middleware.body_limit import RequestBodyLimitMiddleware
from lamella.middleware.composition import declarations
from lamella.requests import Request
from lamella.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lamella.engine.service import Respond
    from lamella.types import ASGIApp, Lifespan, Receive, Scope, Send

__all__ = [
    "BaseRoute",
    "Host",
    "Match",
    "Mount",
    "NoMatchFound",
    "Route",
    "Router",
    "compile_path",
    "get_name",
    "replace_params",
    "request_response",
]

OnDisconnect = Literal["finish", "cancel"]
_ON_DISCONNECT = "lamella.on_disconnect"
_OUTSIDE = "lamella.outside"
# What a mount, and the application mounted there, change in the scope.
_CHANGED_BELOW = ("app", "root_path", "path_params", _ON_DISCONNECT)


class NoMatchFound(Exception):
    """No route has the name and exactly the parameters that a URL was asked for."""

    def __init__(self, name: str, path_params: dict[str, Any]) -> None:
        params = ", ".join(path_params)
        super().__init__(f'No route exists for name "{name}" and params "{params}".')


class Match(Enum):
    """How far a route matches: not at all, all but the method, fully."""

    NONE = 0
    PARTIAL = 1
    FULL = 2


# PERF: an enum's member is looked up through its metaclass, a global is not.
_PARTIAL = Match.PARTIAL
_FULL = Match.FULL


# -- endpoints -------------------------------------------------------------------------------------


class _Endpoint(Service):
    """A function ``func(request) -> Response`` as a service."""

    def __init__(self, func: Callable[[Request[Any]], Any]) -> None:
        self.func = func
        call: Any = func if is_async_callable(func) else functools.partial(_in_thread, func)
        self._call: Callable[[Request[Any]], Awaitable[Any]] = call

    async def respond(self, request: Request[Any]) -> Response:
        exchange = request._exchange
        if exchange is not None and exchange.held:
            await exchange.drop_held()  # a retry: what the first run made is not sent
        try:
            response = await self._call(request)
        except Exception as exc:
            handlers = handlers_in(request.scope)
            handler = None if handlers is None else handlers.find(request, exc)
            if handler is None:
                raise
            response = await answer(handler, request, exc)
        if not isinstance(response, Response):
            response = await self._accepted(response, request)
        if not request._direct:
            if response._sends_itself:
                return await Bridge(response).run(request)
            request._claimed = response = response.claimed()
        elif response._delicate or response._pristine is not None:
            request._claimed = response = response.claimed()
        if response._delicate:
            await response.settle(request.scope)
            hold(response, request)
            if not request._direct:
                response._read_by = request
            if request._over and request.exchange is not None:
                await request.exchange.finish_late()
        return response

    async def _accepted(self, response: Any, request: Request[Any]) -> Response:
        """What the function returned, if it is a response of another kind: an ASGI app."""
        if not callable(response):
            raise NoResponseError(
                f"Expected a Response from the endpoint {describe(self.func)}, got {response!r};"
                " return a Response on every path through it."
            )
        return await Bridge(cast("ASGIApp", response)).run(request)


async def _in_thread(func: Callable[[Request[Any]], Any], request: Request[Any]) -> Any:
    return await run_in_threadpool(func, request)


def request_response(
    func: Callable[[Request[Any]], Awaitable[Response] | Response],
) -> ASGIApp:
    """An ASGI app of a function; sync functions run in the thread pool."""
    return _Endpoint(func)


def get_name(endpoint: Callable[..., Any]) -> str:
    """The name a route has without ``name=``."""
    return str(getattr(endpoint, "__name__", endpoint.__class__.__name__))


def _is_function(endpoint: Any) -> bool:
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    return inspect.isfunction(endpoint) or inspect.ismethod(endpoint)


def _check_path(path: str, what: str) -> None:
    if not path.startswith("/"):
        raise UsageError(f"Routed paths must start with '/', got {path!r} for {what}.")


# -- routes ----------------------------------------------------------------------------------------


class BaseRoute(Service):
    """What a router can hold: it matches scopes and handles them.

    Subclasses that override ``handle`` are called through it, like any foreign ASGI app.
    """

    app: ASGIApp
    # Links are made at first use and made anew when `app` is replaced, since subclasses may set
    # everything from outside without ever calling `__init__`.
    _linked: ASGIApp | None = None
    _inner: Respond

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("path", "path_regex", "param_convertors"):
            routes_changed()
        object.__setattr__(self, name, value)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route serves a scope, and what it adds to the scope if it does."""
        raise NotImplementedError

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the route of that name.

        Raises:
            NoMatchFound: it is not this one.
        """
        raise NotImplementedError

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face, entered after ``matches``."""
        return self._link()(request)

    def _link(self) -> Respond:
        app = self.app
        if app is not self._linked:
            self._inner = link(app)
            self._linked = app
        return self._inner

    @twin_of("respond")
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI face, entered after ``matches``."""
        if scope["type"] == "http":
            await serve(self.respond, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A route may be used as an app of its own: it answers 404 for what it does not match."""
        match, child_scope = self.matches(scope)
        if match is Match.NONE:
            if scope["type"] == "http":
                await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        scope.update(child_scope)
        await self.handle(scope, receive, send)


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

    path: str
    endpoint: Callable[..., Any]
    name: str
    methods: set[str] | None = None
    path_regex: PathPattern
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
        _check_path(path, describe(endpoint))
        if not callable(endpoint):
            raise StackError(f"Expected a function or an ASGI app for {path!r}, got {endpoint!r}.")
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint) if name is None else name
        self.include_in_schema = include_in_schema
        self.on_disconnect = checked_policy(on_disconnect)
        if _is_function(endpoint):
            app: ASGIApp = request_response(endpoint)
            methods = ["GET"] if methods is None else methods
        else:
            app = endpoint
        self.app = _wrapped(app, middleware, max_body_size, f"Route({path!r})")
        self.methods = None if methods is None else _method_set(methods)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match path and method; a wrong method alone is ``Match.PARTIAL``."""
        if scope["type"] != "http":
            return Match.NONE, {}
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        params = self.path_regex.params(path, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        outer = scope.get("path_params")
        if outer:
            params = {**outer, **params}
        child_scope: Scope = {"endpoint": self.endpoint, "path_params": params}
        if self.methods and scope["method"] not in self.methods:
            return _PARTIAL, child_scope
        return _FULL, child_scope

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
            return _method_not_allowed(self.methods, "app" in scope)
        inner = self._inner if self.app is self._linked else self._link()
        policy = self.on_disconnect or scope.get(_ON_DISCONNECT)
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


class Mount(BaseRoute):
    """A prefix and the app that serves everything below it.

    Args:
        path: the prefix; may have parameters.
        app: an ASGI app. Either this or ``routes``.
        routes: the routes of a router made for them.
        name: the prefix of names below it, "mount:route".
        middleware: layers around all of it, the outermost first.
        max_body_size: bytes; a larger request body is a 413.

    Raises:
        StackError: neither app nor routes, or a layer that cannot work.
    """

    path: str
    name: str | None
    path_regex: PathPattern
    path_format: str
    param_convertors: dict[str, Convertor[Any]]

    def __init__(
        self,
        path: str,
        app: ASGIApp | None = None,
        routes: Sequence[BaseRoute] | None = None,
        name: str | None = None,
        *,
        middleware: Sequence[Any] | None = None,
        max_body_size: int | None = None,
    ) -> None:
        if path != "":
            _check_path(path, "Mount")
        if app is None and routes is None:
            raise UsageError(f"Either 'app=...', or 'routes=' must be specified for {path!r}.")
        self.path = path.rstrip("/")
        self._base_app: ASGIApp = Router(routes=routes) if app is None else app
        self.app = _wrapped(self._base_app, middleware, max_body_size, f"Mount({path!r})")
        self.name = name
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
            return Match.NONE, {}
        route_path = get_route_path(scope)
        params = self.path_regex.params(route_path, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        rest = "/" + params.pop("path")
        root_path = scope.get("root_path", "")
        return Match.FULL, {
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
        for route in self.routes:
            try:
                url = route.url_path_for(inner_name, **rest)
            except NoMatchFound:
                continue
            return URLPath(path=prefix.rstrip("/") + str(url), protocol=url.protocol)
        raise NoMatchFound(name, path_params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mount) and self.path == other.path and self.app == other.app

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        name = self.name or ""
        return f"{type(self).__name__}(path={self.path!r}, name={name!r}, app={self.app!r})"


class Host(BaseRoute):
    """A host name and the app that serves it.

    Args:
        host: may have parameters, "{tenant}.example.org".
        app: an ASGI app.
        name: the prefix of names below it, "host:route".
    """

    host: str
    name: str | None
    host_regex: PathPattern
    host_format: str
    param_convertors: dict[str, Convertor[Any]]

    def __init__(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        if host.startswith("/"):
            raise UsageError(f"Host must not start with '/', got {host!r}.")
        self.host = host
        self.app = app
        self.name = name
        self.host_regex, self.host_format, self.param_convertors = compile_path(host)

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the app, if it has any."""
        return cast("list[BaseRoute]", getattr(self.app, "routes", []))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the ``Host`` header without its port."""
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        host = Headers(scope=scope).get("host", "").split(":")[0]
        params = self.host_regex.params(host, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        path_params = {**scope.get("path_params", {}), **params}
        return Match.FULL, {"path_params": path_params, "endpoint": self.app}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the route of that name at this host."""
        if self.name is not None and name == self.name and "path" in path_params:
            path = path_params.pop("path")
            host, rest = replace_params(self.host_format, self.param_convertors, path_params)
            if not rest:
                return URLPath(path=path, host=host)
        elif self.name is None or name.startswith(self.name + ":"):
            inner_name = name if self.name is None else name[len(self.name) + 1 :]
            host, rest = replace_params(self.host_format, self.param_convertors, path_params)
            for route in self.routes:
                try:
                    url = route.url_path_for(inner_name, **rest)
                except NoMatchFound:
                    continue
                return URLPath(path=str(url), protocol=url.protocol, host=host)
        raise NoMatchFound(name, path_params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and self.host == other.host and self.app == other.app

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        name = self.name or ""
        return f"{type(self).__name__}(host={self.host!r}, name={name!r}, app={self.app!r})"


# -- the router ------------------------------------------------------------------------------------


class Router(Service):
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
    on_disconnect: OnDisconnect | None = None

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
        self.routes = [] if routes is None else list(routes)
        self.redirect_slashes = redirect_slashes
        self.default: ASGIApp = self.not_found if default is None else default
        self.lifespan_context: Lifespan[Any] = _lifespan_context(lifespan)
        self.on_disconnect = checked_policy(on_disconnect)
        self.middleware_stack: ASGIApp = _wrapped(self.app, middleware, max_body_size, "Router")

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes, in the order they are tried; may be changed at any time."""
        return self._routes

    @routes.setter
    def routes(self, routes: Iterable[BaseRoute]) -> None:
        routes_changed()
        self._routes: list[BaseRoute] = RouteTable(routes)

    # -- the faces -----------------------------------------------------------------------------

    _linked: ASGIApp | None = None
    _inner: Respond

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
            scope.setdefault("router", self)
            await self._connect_to_route(scope, receive, send)

    def respond_from_routes(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """Answer from the first route that matches fully, else partially, else the default."""
        scope = request.scope
        if "router" not in scope:
            scope["router"] = self
        if _OUTSIDE in scope:
            _step_out(self, scope)
        if self.on_disconnect is not None:
            scope[_ON_DISCONNECT] = self.on_disconnect
        index = self._index
        if index is None or self._indexed_at != changes():
            index = self._index_routes()
        partial: tuple[BaseRoute, Respond, Scope] | None = None
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        for route, respond in index.candidates(path):
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

    async def _respond_without_route(self, request: Request[Any]) -> Response:
        if self.redirect_slashes:
            redirect = self._slash_redirect(request.scope)
            if redirect is not None:
                return redirect
        return await link(self.default)(request)

    async def _connect_to_route(self, scope: Scope, receive: Receive, send: Send) -> None:
        for route in self.routes:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                scope["route"] = route
                scope.update(child_scope)
                await route.handle(scope, receive, send)
                return
        await self.default(scope, receive, send)

    # -- finding the route ---------------------------------------------------------------------

    _index: RouteIndex[tuple[BaseRoute, Respond]] | None = None
    _indexed_at = -1

    def _index_routes(self) -> RouteIndex[tuple[BaseRoute, Respond]]:
        self._indexed_at = changes()
        self._index = RouteIndex(
            [((route, link(route.handle)), _pattern_of(route)) for route in self.routes]
        )
        return self._index

    def _slash_redirect(self, scope: Scope) -> Response | None:
        path: str = scope["path"]
        if scope["type"] != "http" or get_route_path(scope) == "/":
            return None
        other = path.rstrip("/") if path.endswith("/") else path + "/"
        moved = {**scope, "path": other}
        index = self._index or self._index_routes()
        routes = index.candidates(get_route_path(moved))
        if all(route.matches(moved)[0] is Match.NONE for route, _ in routes):
            return None
        # Relative (RFC 9110 section 10.2.2), so that no Host header is reflected; "/." keeps a
        # path that begins with two slashes from being read as another host.
        query = quote_from_bytes(scope.get("query_string", b""), safe="/:@!$&'()*+,;=~?%[]")
        location = quote(other, safe="/:@!$&'()*+,;=~", errors="replace")
        location = ("/." if other.startswith("//") else "") + location
        return RedirectResponse(location + ("?" + query if query else ""))

    @twin_of("respond_not_found")
    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What ``default`` is without another: 404, or a closed websocket."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        else:
            await serve(self.respond_not_found, scope, receive, send)

    async def respond_not_found(self, request: Request[Any]) -> Response:
        """404: inside an application as an exception, so that its handlers answer."""
        if "app" in request.scope:
            raise HTTPException(status_code=404)
        return PlainTextResponse("Not Found", status_code=404)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the first route of that name which takes exactly these parameters.

        Raises:
            NoMatchFound: there is none.
        """
        for route in self.routes:
            try:
                return route.url_path_for(name, **path_params)
            except NoMatchFound:
                pass
        raise NoMatchFound(name, path_params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Router) and self.routes == other.routes

    __hash__ = Service.__hash__

    # -- adding routes -------------------------------------------------------------------------

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Serve everything below a path by an app."""
        self.routes.append(Mount(path, app=app, name=name))

    def host(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        """Serve a host by an app."""
        self.routes.append(Host(host, app=app, name=name))

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

    # -- the lifespan --------------------------------------------------------------------------

    async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan (ASGI lifespan spec): enter the context, wait, leave it."""
        started = False
        await receive()
        try:
            async with self.lifespan_context(scope.get("app")) as state:
                if state is not None:
                    _share_state(scope, state)
                await send({"type": "lifespan.startup.complete"})
                started = True
                await receive()
        except BaseException:
            kind = "shutdown" if started else "startup"
            text = traceback.format_exc()
            await send({"type": f"lifespan.{kind}.failed", "message": text})
            raise
        await send({"type": "lifespan.shutdown.complete"})


def _step_in(router: Router, scope: Scope) -> None:
    """Note what a router found, before what is mounted in it changes the scope.

    It is not put back when the response returns: streams and background tasks of what is mounted
    run later, and want its own app and root path.
    """
    found = {key: scope[key] for key in _CHANGED_BELOW if key in scope}
    scope[_OUTSIDE] = {**scope.get(_OUTSIDE, {}), router: found}


def _step_out(router: Router, scope: Scope) -> None:
    """Give a router what it found at first, if a layer around it has called in again."""
    found = scope[_OUTSIDE].get(router)
    if found is not None:
        for key in _CHANGED_BELOW:
            scope.pop(key, None)
        scope.update(found)


def _pattern_of(route: BaseRoute) -> PathPattern | None:
    """A route's pattern for the index; None if only its own ``matches`` can tell."""
    if type(route).matches not in (Route.matches, Mount.matches):
        return None
    pattern: object = getattr(route, "path_regex", None)  # may have been set from outside
    return pattern if isinstance(pattern, PathPattern) else None


def _share_state(scope: Scope, state: Mapping[str, Any]) -> None:
    if "state" not in scope:
        raise RuntimeError('The server does not support "state" in the lifespan scope.')
    scope["state"].update(state)


@asynccontextmanager
async def _no_lifespan(app: object) -> AsyncGenerator[None, None]:
    yield


def _lifespan_context(lifespan: Any) -> Any:
    """A lifespan in any of the forms that Starlette takes, as a context manager's factory."""
    if lifespan is None:
        return _no_lifespan
    if inspect.isasyncgenfunction(lifespan):
        _warn_of_generator("async generator")
        return asynccontextmanager(lifespan)
    if inspect.isgeneratorfunction(lifespan):
        _warn_of_generator("generator")
        return functools.partial(_lifted, contextmanager(lifespan))
    if not callable(lifespan):
        raise StackError(
            f"Expected lifespan= to be an @asynccontextmanager function, got {lifespan!r}."
        )
    return lifespan


def _warn_of_generator(kind: str) -> None:
    warnings.warn(
        f"{kind} function lifespans are deprecated, "
        "use an @contextlib.asynccontextmanager function instead",
        StarletteDeprecationWarning,
        stacklevel=_level_of_user(),
    )


def _level_of_user() -> int:
    """The ``stacklevel``, for who calls this, of the nearest line outside of the package."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("lamella."):
        level, frame = level + 1, frame.f_back
    return level


@asynccontextmanager
async def _lifted(context: Callable[[Any], Any], app: Any) -> AsyncGenerator[Any, None]:
    with context(app) as state:
        yield state


# -- what routes and routers share -----------------------------------------------------------------


def _wrapped(
    app: ASGIApp, middleware: Sequence[Any] | None, max_body_size: int | None, where: str
) -> ASGIApp:
    app = fold(app, declarations(middleware, f"middleware= of {where}"))
    if max_body_size is not None:
        app = RequestBodyLimitMiddleware(app, max_body_size=max_body_size)
    return app


def checked_policy(policy: OnDisconnect | None) -> OnDisconnect | None:
    """An ``on_disconnect`` policy, if it is one.

    Raises:
        UsageError: it is not.
    """
    if policy not in (None, "finish", "cancel"):
        raise UsageError(f"Expected on_disconnect to be 'finish' or 'cancel', got {policy!r}.")
    return policy


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


async def _method_not_allowed(methods: set[str], in_application: bool) -> Response:
    headers = {"Allow": ", ".join(sorted(methods))}
    if in_application:
        raise HTTPException(status_code=405, headers=headers)
    return PlainTextResponse("Method Not Allowed", status_code=405, headers=headers)


async def _cancelled_with_client(inner: Respond, request: Request[Any]) -> Response:
    """Answer, unless the client leaves: then what is inside is cancelled."""
    with Interrupt(request.inbound):
        return await inner(request)
    raise ClientDisconnect
