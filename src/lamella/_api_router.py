"""Routers of typed routes: the decorators, and how one router is included in another.

Floor 6. Names and behaviour as FastAPI 0.165. Layers of a router stay with its routes when it is
included.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from lamella._api_lifespan import router_lifespan
from lamella._api_route import (
    APIRoute,
    APIWebSocketRoute,
    SharedOptions,
    check_options,
    check_path_names,
    given_by,
)
from lamella._frontend import Frontends, frontend
from lamella._guarded import guarded
from lamella._host import Host
from lamella._layer_group import LayerGroup
from lamella._route import BaseRoute
from lamella.exceptions import StackError
from lamella.middleware.composition import declarations
from lamella.params import REQUIRED
from lamella.routing import Mount, Route, Router, WebSocketRoute

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from typing_extensions import Unpack

    from lamella._api_route import RouteOptions
    from lamella._connection import HTTPConnection
    from lamella._frontend import Fallback, Frontend
    from lamella.injection.provider import Provider
    from lamella.responses import Response
    from lamella.staticfiles import PathLike
    from lamella.types import ASGIApp, Lifespan

__all__ = ["APIRouter", "Verbs", "bind_routes", "shared_providers"]

_DEEPEST: Final = 100  # layers around what is mounted
_F = TypeVar("_F", bound=Callable[..., Any])
# Options of routers that a route of theirs has if it says nothing itself.
_INHERITED = (
    "deprecated",
    "generate_unique_id_function",
    "max_body_size",
    "on_disconnect",
    "response_class",
    "strict_content_type",
)


def _of_method(method: str, options: RouteOptions) -> RouteOptions:
    options["methods"] = [method]  # the dict is the call's own
    return options


class Verbs:
    """The decorators by which endpoints are added; routers and applications have them."""

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], **options: Unpack[RouteOptions]
    ) -> None:
        """Add a typed route; see ``RouteOptions``."""
        raise NotImplementedError

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        name: str | None = None,
        *,
        dependencies: Sequence[Any] | None = None,
        middleware: Sequence[Any] | None = None,
    ) -> None:
        """Add a typed route for websockets."""
        raise NotImplementedError

    def api_route(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for ``methods=``, GET without them; see ``RouteOptions``."""

        def add(endpoint: _F) -> _F:
            self.add_api_route(path, endpoint, **options)
            return endpoint

        return add

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for GET and HEAD; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("GET", options))

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for PUT; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("PUT", options))

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for POST; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("POST", options))

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for DELETE; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("DELETE", options))

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for OPTIONS; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("OPTIONS", options))

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for HEAD alone; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("HEAD", options))

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for PATCH; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("PATCH", options))

    def trace(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
        """Add a typed route for TRACE; see ``RouteOptions``."""
        return self.api_route(path, **_of_method("TRACE", options))

    def websocket(
        self,
        path: str,
        name: str | None = None,
        *,
        dependencies: Sequence[Any] | None = None,
        middleware: Sequence[Any] | None = None,
    ) -> Callable[[_F], _F]:
        """Add a typed route for websockets."""

        def add(endpoint: _F) -> _F:
            self.add_api_websocket_route(
                path, endpoint, name, dependencies=dependencies, middleware=middleware
            )
            return endpoint

        return add

    websocket_route = websocket


class APIRouter(Verbs, Router):
    """A group of typed routes, to be included in an application or in another router.

    Args:
        prefix: of the paths of the routes that are added to it; starts with "/".
        routes: in the order they are tried.
        redirect_slashes: see ``Router``.
        default: see ``Router``.
        default_response_class: of routes that do not say.
        route_class: what typed routes are made of.
        lifespan: see ``Router``; entered inside that of what includes this router.
        on_startup: functions without arguments, called when the lifespan starts.
        on_shutdown: functions without arguments, called when it ends.
        options: see ``SharedOptions``.

    Raises:
        StackError: a prefix, route or layer that cannot work.
    """

    __module__ = "lamella.routing"  # where it is found

    def __init__(
        self,
        *,
        prefix: str = "",
        routes: Sequence[BaseRoute] | None = None,
        redirect_slashes: bool = True,
        default: ASGIApp | None = None,
        default_response_class: type[Response] | None = None,
        route_class: type[APIRoute] = APIRoute,
        lifespan: Lifespan[Any] | None = None,
        on_startup: Sequence[Callable[[], Any]] | None = None,
        on_shutdown: Sequence[Callable[[], Any]] | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        _check_prefix(prefix)
        check_options(options, "APIRouter", shared=True)
        self.layers = declarations(options.pop("middleware", None), "middleware= of APIRouter")
        super().__init__(
            routes,
            redirect_slashes,
            default,
            lifespan,
            on_disconnect=options.get("on_disconnect"),
        )
        # The layers around each of its routes wherever it is included, and around itself.
        self.group = LayerGroup(self.layers) if self.layers else None
        if self.group is not None:
            self.middleware_stack = self.group.around(self.app)
        self.prefix = prefix
        self.route_class = route_class
        self.default_response_class = default_response_class
        self.on_startup = list(on_startup or ())
        self.on_shutdown = list(on_shutdown or ())
        self.included: list[APIRouter] = []
        self._frontends: list[tuple[Frontend, Sequence[Any]]] = []
        self.shared_options: SharedOptions = options
        self.tags = list(options.get("tags") or ())
        self.dependencies = list(options.get("dependencies") or ())

    # -- adding routes -------------------------------------------------------------------------

    def route(
        self,
        path: str,
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> Callable[[_F], _F]:
        """Add a plain route, for a function of the request; see ``Router.add_route``."""

        def add(endpoint: _F) -> _F:
            self.add_route(path, endpoint, methods, name, include_in_schema)
            return endpoint

        return add

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], **options: Unpack[RouteOptions]
    ) -> None:
        """Add a typed route; see ``RouteOptions``."""
        cls: type[APIRoute] = (
            cast("Any", options).pop("route_class_override", None) or self.route_class
        )
        check_options(options, endpoint)
        merged = _merged(self._as_options(), options)
        route = cls(self.prefix + path, endpoint, **merged)
        check_path_names(path, route.provider, endpoint)
        self.routes.append(route)

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        name: str | None = None,
        *,
        dependencies: Sequence[Any] | None = None,
        middleware: Sequence[Any] | None = None,
    ) -> None:
        """Add a typed route for websockets."""
        route = APIWebSocketRoute(
            self.prefix + path,
            endpoint,
            name=name,
            dependencies=[*self.dependencies, *(dependencies or ())],
            middleware=middleware,
        )
        check_path_names(path, route.provider, endpoint)
        self.routes.append(route)

    def _as_options(self) -> RouteOptions:
        options = cast("RouteOptions", dict(self.shared_options))
        options["response_class"] = self.default_response_class
        options["tags"], options["dependencies"] = self.tags, self.dependencies
        return options

    def include_router(
        self,
        router: Router,
        *,
        prefix: str = "",
        default_response_class: type[Response] | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        """Add copies of another router's routes.

        Args:
            router: whose routes; those added to it later are not.
            prefix: of their paths; starts with "/".
            default_response_class: of routes that do not say.
            options: see ``SharedOptions``; layers stand outside of those of the router.

        Raises:
            StackError: a prefix that cannot work, or a router that includes itself.
        """
        _check_prefix(prefix)
        check_options(options, "include_router", shared=True)
        if router is self:
            raise StackError("Expected another router to be included, got the router itself.")
        layers = declarations(options.pop("middleware", None), "middleware= of include_router")
        groups = [LayerGroup(layers)] if layers else []
        inner = getattr(router, "group", None)
        if inner is not None:
            groups.append(inner)
        merged = cast("RouteOptions", dict(options))
        merged["response_class"] = default_response_class
        if isinstance(router, APIRouter):
            # What the router's routes did not say themselves, it says for them.
            merged = _merged(merged, {"response_class": router.default_response_class})
            self.included.append(router)
        merged = _merged(self._as_options(), merged)
        for route in list(router.routes):
            if not prefix and not getattr(route, "path", "/"):
                name = getattr(route, "name", "unknown")
                raise StackError(
                    f"Prefix and path cannot be both empty (path operation: {name}); give"
                    " include_router a prefix, or the route a path."
                )
            self.routes.append(_included(route, self.prefix + prefix, merged, groups))

        outer = [*self.dependencies, *(options.get("dependencies") or ())]
        for one, dependencies in getattr(router, "_frontends", ()):
            self._serve(one.below(self.prefix + prefix), [*outer, *dependencies])

    def frontend(
        self,
        path: str,
        *,
        directory: PathLike,
        fallback: Fallback = "auto",
        check_dir: bool | Literal["auto"] = "auto",
        stacklevel: int = 1,
    ) -> None:
        """Serve the files that a build tool made, where no route is; see ``_frontend.frontend``.

        Args:
            path: starts with "/".
            directory: where the files are.
            fallback: what is sent for what is missing: "404.html", "index.html", None for a plain
                404, or "auto" for the first of these that is there.
            check_dir: whether the directory has to be there already; "auto": unless the
                environment variable ``LAMELLA_ENV`` is "development".
            stacklevel: whose line a warning names.

        Raises:
            UsageError: a path or a fallback that cannot work.
            RuntimeError: the directory or the fallback is not there.
        """
        served = frontend(
            path,
            directory=directory,
            fallback=fallback,
            check_dir=check_dir,
            stacklevel=stacklevel + 1,
        )
        self._serve(served.below(self.prefix), self.dependencies)

    def _serve(self, served: Frontend, dependencies: Sequence[Any]) -> None:
        self._frontends.append((served, dependencies))
        default = self.default
        if not isinstance(default, Frontends):
            self.default = default = Frontends(default)
        default.add(served, guarded(served, dependencies))

    # -- the lifespan --------------------------------------------------------------------------

    def _whole_lifespan(self, given: Lifespan[Any] | None) -> Lifespan[Any]:
        return router_lifespan(self, given)

    def on_event(self, event_type: str) -> Callable[[_F], _F]:
        """Add a function to be called when the lifespan starts ("startup") or ends ("shutdown").

        A lifespan that is given to the application takes its place.
        """
        return self.on_event_above(event_type)

    def on_event_above(self, event_type: str) -> Callable[[_F], _F]:
        """As ``on_event``, for who is called by the user itself."""
        warnings.warn(
            "on_event is deprecated, use lifespan event handlers instead: lifespan= with an async"
            " context manager.",
            DeprecationWarning,
            stacklevel=3,
        )
        if event_type not in ("startup", "shutdown"):
            raise StackError(f"Expected 'startup' or 'shutdown', got {event_type!r}.")

        def add(function: _F) -> _F:
            self.add_event_handler(event_type, function)
            return function

        return add

    def add_event_handler(self, event_type: str, func: Callable[[], Any]) -> None:
        """Add a function to be called at "startup" or "shutdown"; see ``on_event``."""
        (self.on_startup if event_type == "startup" else self.on_shutdown).append(func)


def _included(
    route: BaseRoute, prefix: str, outer: RouteOptions, groups: Sequence[LayerGroup]
) -> BaseRoute:
    """A copy of a route below a prefix, with what the routers around it say."""
    if isinstance(route, APIRoute):
        options = _merged(outer, route.options)
        return type(route)(
            prefix + route.path, route.endpoint, groups=(*groups, *route.groups), **options
        )
    if isinstance(route, APIWebSocketRoute):
        return APIWebSocketRoute(
            prefix + route.path,
            route.endpoint,
            name=route.name,
            dependencies=[*(outer.get("dependencies") or ()), *route.dependencies],
            middleware=route.middleware,
            groups=(*groups, *route.groups),
        )
    if isinstance(route, Route | WebSocketRoute | Mount | Host):
        return _moved(route, prefix, groups)
    return route


def _moved(
    route: Route | WebSocketRoute | Mount | Host, prefix: str, groups: Sequence[LayerGroup]
) -> BaseRoute:
    """A copy of a route that is not typed, below a prefix; a host has none."""
    copy: Any
    if isinstance(route, Mount):
        copy = Mount(prefix + route.path, route._base_app, name=route.name, lifespan=route.lifespan)
    elif isinstance(route, Route):
        copy = type(route)(
            prefix + route.path,
            route.endpoint,
            methods=route.methods,
            name=route.name,
            include_in_schema=route.include_in_schema,
            on_disconnect=route.on_disconnect,
        )
    elif isinstance(route, Host):
        copy = Host(route.host, route.app, name=route.name, lifespan=route.lifespan)
    else:
        copy = type(route)(prefix + route.path, route.endpoint, name=route.name)
    app = route.app  # with the layers of its own
    for group in reversed(groups):
        app = group.around(app)
    copy.app = app
    return cast("BaseRoute", copy)


def _merged(outer: RouteOptions, inner: RouteOptions) -> RouteOptions:
    """What a route says, and what is said around it."""
    merged: dict[str, Any] = dict(inner)
    for name in ("tags", "dependencies", "callbacks"):
        both = [*(cast("Any", outer).get(name) or ()), *(merged.get(name) or ())]
        merged[name] = both or None
    merged["responses"] = {**(outer.get("responses") or {}), **(merged.get("responses") or {})}
    limits: dict[str, Any] = {**(outer.get("form_limits") or {})}
    limits.update(merged.get("form_limits") or {})
    merged["form_limits"] = limits or None
    for name in _INHERITED:
        if merged.get(name) is None:
            merged[name] = cast("Any", outer).get(name)
    merged["include_in_schema"] = outer.get("include_in_schema", True) and merged.get(
        "include_in_schema", True
    )
    if "response_model" in merged and merged["response_model"] is REQUIRED:
        del merged["response_model"]
    return cast("RouteOptions", merged)


def _check_prefix(prefix: str) -> None:
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise StackError(
            f"A path prefix must start with '/' and must not end with '/', got {prefix!r}."
        )


def bind_routes(routes: Sequence[BaseRoute], given: Collection[Any]) -> None:
    """Make the plans of all typed routes, within layers that give these types.

    Raises:
        DependencyError: a parameter that nobody gives.
    """
    _leave_head_to_its_own(routes)
    for route in routes:
        if isinstance(route, APIRoute | APIWebSocketRoute):
            route.bind(given)
        elif isinstance(route, Mount | Host):
            _bind_mounted(route, given)


def _leave_head_to_its_own(routes: Sequence[BaseRoute]) -> None:
    """Take HEAD from the routes for GET whose path has a route for HEAD itself."""
    typed = [route for route in routes if isinstance(route, APIRoute)]
    own = {route.path for route in typed if "HEAD" in (route.options.get("methods") or ())}
    for route in typed if own else ():
        if route.path in own and "HEAD" not in (route.options.get("methods") or ()):
            route.methods = {one for one in route.methods or () if one != "HEAD"}


def shared_providers(routes: Sequence[BaseRoute], conn: HTTPConnection) -> Iterator[Provider]:
    """The dependencies of scope "app" of all typed routes; an application below has its own."""
    for route in routes:
        planned: Any = getattr(route, "typed_endpoint", None) or getattr(
            route, "typed_session", None
        )
        if planned is not None:
            for call in planned.plan_for(conn).calls:
                if call.kind == "app":
                    yield call.provider
        elif isinstance(route, Mount | Host):
            inner, _ = _inside(route.app)
            if isinstance(inner, Router):
                yield from shared_providers(inner.routes, conn)


def _bind_mounted(route: Mount | Host, given: Collection[Any]) -> None:
    inner, around = _inside(route.app)
    if isinstance(inner, Router):
        _, own = _inside(inner.middleware_stack)
        bind_routes(inner.routes, {*given, *around, *own})
    elif inner is not None:
        inner.bind_endpoints({*given, *around})


def _inside(app: Any) -> tuple[Any, set[Any]]:
    """The router or application inside of layers, if there is one, and what the layers give."""
    given: set[Any] = set()
    for _ in range(_DEEPEST):
        if app is None or isinstance(app, Router) or hasattr(app, "bind_endpoints"):
            break
        if hasattr(app, "inside"):
            layers, app = app.inside
            given.update(given_by(layers))
        else:
            given.update(given_by([app]))
            app = getattr(app, "app", None)
    return app, given
