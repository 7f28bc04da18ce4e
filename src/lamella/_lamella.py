"""The application: typed endpoints, their document and its pages, under a stack of layers.

Floor 8. ``Lamella`` is ``Starlette`` with what FastAPI 0.165 has under its names; so moving from
either is a changed import. Users find it in ``applications``.
"""

from __future__ import annotations

import warnings
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, cast

from lamella._api_route import APIRoute, APIWebSocketRoute, given_by
from lamella._api_router import APIRouter, Verbs, bind_routes, shared_providers
from lamella._inspect import describe
from lamella.applications import Starlette
from lamella.engine.stack import fold
from lamella.exception_handlers import (
    http_exception_handler,
    http_problem_handler,
    request_validation_exception_handler,
    request_validation_problem_handler,
    server_error_problem_handler,
    websocket_request_validation_exception_handler,
)
from lamella.exceptions import (
    DependencyError,
    HTTPException,
    LamellaDeprecationWarning,
    RequestValidationError,
    StackError,
    UsageError,
    WebSocketRequestValidationError,
)
from lamella.injection.exits import close_after
from lamella.injection.overrides import overrides_in, overriding
from lamella.injection.plan import compile_plan
from lamella.injection.provider import Provider
from lamella.injection.resolve import Solved, solve
from lamella.injection.shared import Shared
from lamella.injection.signature import wish_for
from lamella.openapi.ui import docs_routes
from lamella.openapi.utils import get_openapi
from lamella.params import Depends
from lamella.requests import HTTPConnection
from lamella.routing import Mount, Route
from lamella.telemetry import telemetry_layer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lamella._api_route import SharedOptions
    from lamella._frontend import Fallback
    from lamella.middleware import Middleware
    from lamella.middleware.base import DispatchFunction
    from lamella.responses import Response
    from lamella.routing import BaseRoute, OnDisconnect, Router
    from lamella.staticfiles import PathLike
    from lamella.types import ASGIApp, ExceptionHandler, Lifespan, Scope

__all__ = ["AppOptions", "Lamella"]

_F = TypeVar("_F", bound=Callable[..., Any])


class AppOptions(TypedDict, total=False):
    """What an application may say beside its routes and layers.

    Keys:
        title, version, summary, description, terms_of_service, contact, license_info,
            openapi_tags, servers, openapi_external_docs: for the OpenAPI document.
        openapi_url: where the document is served; None: nowhere, and no pages then.
        docs_url, redoc_url, scalar_url: where the pages are served; None: nowhere.
        swagger_ui_oauth2_redirect_url, swagger_ui_init_oauth, swagger_ui_parameters: of the page
            at ``docs_url``.
        separate_input_output_schemas: whether a model has two schemas where they differ.
        webhooks: routes that the document describes as webhooks.
        dependencies, responses, callbacks, tags, deprecated, include_in_schema,
            generate_unique_id_function, form_limits, strict_content_type: of all typed routes; see
            ``SharedOptions``.
        default_response_class: of typed routes that do not say.
        redirect_slashes: see ``Router``.
        root_path: the prefix that a proxy takes away.
        root_path_in_servers: whether the document has it among its servers.
        on_startup, on_shutdown: functions without arguments; ``lifespan`` takes their place.
        problem_details: whether errors are answered as RFC 9457 has them.
        telemetry: options of the spans that are sent to OpenTelemetry; False: none are.
    """

    title: str
    version: str
    summary: str | None
    description: str
    terms_of_service: str | None
    contact: Mapping[str, Any] | None
    license_info: Mapping[str, Any] | None
    openapi_tags: Sequence[Mapping[str, Any]] | None
    servers: Sequence[Mapping[str, Any]] | None
    openapi_external_docs: Mapping[str, Any] | None
    openapi_url: str | None
    docs_url: str | None
    redoc_url: str | None
    scalar_url: str | None
    swagger_ui_oauth2_redirect_url: str | None
    swagger_ui_init_oauth: Mapping[str, Any] | None
    swagger_ui_parameters: Mapping[str, Any] | None
    separate_input_output_schemas: bool
    webhooks: APIRouter | None
    dependencies: Sequence[Any] | None
    responses: Mapping[int | str, Mapping[str, Any]] | None
    callbacks: Sequence[BaseRoute] | None
    tags: Sequence[Any] | None
    deprecated: bool | None
    include_in_schema: bool
    generate_unique_id_function: Callable[[APIRoute], str] | None
    form_limits: Mapping[str, int | float | None] | None
    strict_content_type: bool | None
    default_response_class: type[Response] | None
    redirect_slashes: bool
    root_path: str
    root_path_in_servers: bool
    on_startup: Sequence[Callable[[], Any]] | None
    on_shutdown: Sequence[Callable[[], Any]] | None
    problem_details: bool
    telemetry: Any


_OF_ROUTES = (
    "dependencies",
    "responses",
    "callbacks",
    "tags",
    "deprecated",
    "include_in_schema",
    "generate_unique_id_function",
    "form_limits",
    "strict_content_type",
)


class Lamella(Verbs, Starlette):
    """An ASGI application of typed endpoints.

    What of its errors nobody handles is answered in JSON, as FastAPI does; in text, as Starlette
    does, if it was given routes of plain endpoints alone. The document and its pages are served
    after all routes, so that they never take the place of one.

    Args:
        debug: show the debug page for unhandled errors. Never in production.
        routes: in the order they are tried; the first full match wins.
        middleware: layers, the outermost first; each a ``Middleware``, a plain
            ``async def layer(request, call_next)`` or the result of ``compose``.
        exception_handlers: status code or exception class to ``handler(request, exc)``. That of
            500 or ``Exception`` makes the response of unhandled errors, which are raised on.
        lifespan: an async context manager of the app, entered at start and left at shutdown.
        max_body_size: bytes; a larger request body is a 413.
        on_disconnect: "finish" lets an endpoint finish when its client leaves, "cancel" cancels
            it. Routers and routes may say otherwise.
        error_responses: see ``Starlette``.
        options: see ``AppOptions``.

    Attributes:
        dependency_overrides: function to the one that is called in its place, for all requests.
        openapi_schema: the document, once it was made; may be replaced, or set to None.
        webhooks: a router, to which routes are added that the document describes as webhooks.

    Raises:
        StackError: a layer, route, handler or option that cannot work.
    """

    __module__ = "lamella.applications"
    openapi_version = "3.1.0"
    # What stands here too is for subclasses that never call `__init__`.
    dependency_overrides: dict[Any, Callable[..., Any]] | None = None
    shared: Shared | None = None
    _problems = False
    _plain = True
    _telemetry: Any = False
    _binding = False
    _given: frozenset[Any] = frozenset()
    router: APIRouter

    def __init__(
        self,
        debug: bool = False,
        routes: Sequence[BaseRoute] | None = None,
        middleware: Sequence[Middleware[...] | DispatchFunction] | None = None,
        exception_handlers: Mapping[Any, ExceptionHandler] | None = None,
        lifespan: Lifespan[Any] | None = None,
        *,
        max_body_size: int | None = None,
        on_disconnect: OnDisconnect = "finish",
        error_responses: Literal["outside", "inside"] = "outside",
        **options: Unpack[AppOptions],
    ) -> None:
        _check_options(options)
        super().__init__(
            debug,
            middleware=middleware,
            exception_handlers=exception_handlers,
            max_body_size=max_body_size,
            on_disconnect=on_disconnect,
            error_responses=error_responses,
        )
        self._document(options)
        if "root_path" in options:
            warnings.warn(
                "root_path= is deprecated: the server knows the prefix that a proxy takes away;"
                " tell it, as `fastapi run --root-path` did: `uvicorn --root-path /api ...`.",
                LamellaDeprecationWarning,
                stacklevel=2,
            )
        self.root_path = options.get("root_path", "")
        self.dependency_overrides = {}
        self.shared = Shared()
        self._plain = routes is not None
        self._problems = options.get("problem_details", False)
        self._telemetry = options.get("telemetry")
        given: dict[str, Any] = dict(options)
        of_routes = cast(
            "SharedOptions", {name: given[name] for name in _OF_ROUTES if name in given}
        )
        of_routes["on_disconnect"] = on_disconnect
        self.router = APIRouter(  # pyright: ignore[reportIncompatibleVariableOverride]
            routes=routes,
            redirect_slashes=options.get("redirect_slashes", True),
            default_response_class=options.get("default_response_class"),
            lifespan=lifespan,
            on_startup=options.get("on_startup"),
            on_shutdown=options.get("on_shutdown"),
            **of_routes,
        )
        self.webhooks = options.get("webhooks") or APIRouter()

    def _document(self, options: AppOptions) -> None:
        """Set what the document and its pages say."""
        self.title = options.get("title", "Lamella")
        self.version = options.get("version", "0.1.0")
        self.summary = options.get("summary")
        self.description = options.get("description", "")
        self.terms_of_service = options.get("terms_of_service")
        self.contact = options.get("contact")
        self.license_info = options.get("license_info")
        self.openapi_tags = options.get("openapi_tags")
        self.servers = list(options.get("servers") or ())
        self.openapi_external_docs = options.get("openapi_external_docs")
        self.openapi_url = options.get("openapi_url", "/openapi.json")
        self.docs_url = options.get("docs_url", "/docs")
        self.redoc_url = options.get("redoc_url", "/redoc")
        self.scalar_url = options.get("scalar_url", "/scalar")
        self.swagger_ui_oauth2_redirect_url = options.get(
            "swagger_ui_oauth2_redirect_url", "/docs/oauth2-redirect"
        )
        self.swagger_ui_init_oauth = options.get("swagger_ui_init_oauth")
        self.swagger_ui_parameters = options.get("swagger_ui_parameters")
        self.separate_input_output_schemas = options.get("separate_input_output_schemas", True)
        self.root_path_in_servers = options.get("root_path_in_servers", True)
        self.openapi_schema: dict[str, Any] | None = None

    # -- building it up ------------------------------------------------------------------------

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a typed route; see ``RouteOptions``."""
        self.router.add_api_route(path, endpoint, **options)

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
        self.router.add_api_websocket_route(
            path, endpoint, name, dependencies=dependencies, middleware=middleware
        )

    def include_router(
        self,
        router: Router,
        *,
        prefix: str = "",
        default_response_class: type[Response] | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        """Add copies of a router's routes; see ``APIRouter.include_router``."""
        self.router.include_router(
            router, prefix=prefix, default_response_class=default_response_class, **options
        )

    def frontend(
        self,
        path: str,
        *,
        directory: PathLike,
        fallback: Fallback = "auto",
        check_dir: bool | Literal["auto"] = "auto",
    ) -> None:
        """Serve the files that a build tool made, where no route is; as ``APIRouter.frontend``."""
        self.router.frontend(
            path, directory=directory, fallback=fallback, check_dir=check_dir, stacklevel=2
        )

    def exception_handler(
        self, exc_class_or_status_code: int | type[Exception]
    ) -> Callable[[_F], _F]:
        """Register a handler, as a decorator, for a status code or for an exception class."""

        def add(handler: _F) -> _F:
            self.add_exception_handler(exc_class_or_status_code, cast("Any", handler))
            return handler

        return add

    def on_event(self, event_type: str) -> Callable[[_F], _F]:
        """Add a function to be called at "startup" or "shutdown". ``lifespan=`` is better."""
        on_event: Callable[[str], Callable[[_F], _F]] = self.router.on_event_above
        return on_event(event_type)

    def build_middleware_stack(self) -> ASGIApp:
        """Make the plans of all typed endpoints, and fold the layers around the router.

        Raises:
            DependencyError: a parameter that nobody gives.
        """
        self.bind_endpoints(())
        if self._is_typed():
            self._add_pages()
            for kind, handler in self._handlers():
                self.exception_handlers.setdefault(kind, handler)
        stack = super().build_middleware_stack()
        layer = telemetry_layer(self._telemetry) if self._is_typed() else None
        return stack if layer is None else fold(stack, [layer])

    def bind_endpoints(self, given: Collection[Any]) -> None:
        """Make the plans of all typed endpoints, within layers outside that give these types.

        Raises:
            DependencyError: a parameter that nobody gives.
        """
        if self._binding:
            return  # mounted in itself
        self._given |= frozenset(given)
        self._binding = True
        try:
            bind_routes(self.routes, {*self._given, *given_by(self.user_middleware)})
        finally:
            self._binding = False

    def _add_pages(self) -> None:
        """Serve the document and its pages, where no route of the user's is.

        After all of them, but before an app that is mounted at the root, which has every path.
        """
        routes = self.router.routes
        known = {getattr(route, "path", None) for route in routes}
        at_root = (i for i, one in enumerate(routes) if isinstance(one, Mount) and not one.path)
        place = next(at_root, len(routes))
        pages = [one for one in docs_routes(self) if getattr(one, "path", None) not in known]
        routes[place:place] = pages

    def shared_providers(self) -> Iterator[Provider]:
        """The dependencies of scope "app" that the endpoints need."""
        conn = HTTPConnection({"type": "http", "app": self})
        return shared_providers(self.routes, conn)

    def _is_typed(self) -> bool:
        """Whether there is a typed endpoint, or no plain one that would say otherwise."""
        if any(isinstance(one, APIRoute | APIWebSocketRoute) for one in self.routes):
            return True
        return not self._plain and not any(isinstance(one, Route) for one in self.routes)

    def _handlers(self) -> Iterator[tuple[Any, Any]]:
        problems = self._problems
        yield HTTPException, http_problem_handler if problems else http_exception_handler
        yield (
            RequestValidationError,
            request_validation_problem_handler
            if problems
            else request_validation_exception_handler,
        )
        yield WebSocketRequestValidationError, websocket_request_validation_exception_handler
        if problems and Exception not in self.exception_handlers:
            yield 500, server_error_problem_handler

    # -- the document --------------------------------------------------------------------------

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made at first and kept in ``openapi_schema``."""
        if self.openapi_schema is None:
            if self.middleware_stack is None:
                # What layers give is not shown. Of a mistake one hears when the app is built.
                with suppress(DependencyError):
                    self.bind_endpoints(())
            self.openapi_schema = get_openapi(
                title=self.title,
                version=self.version,
                openapi_version=self.openapi_version,
                summary=self.summary,
                description=self.description,
                routes=self.routes,
                webhooks=self.webhooks.routes,
                tags=self.openapi_tags,
                servers=self.servers,
                terms_of_service=self.terms_of_service,
                contact=self.contact,
                license_info=self.license_info,
                separate_input_output_schemas=self.separate_input_output_schemas,
                external_docs=self.openapi_external_docs,
            )
        return self.openapi_schema

    # -- dependencies --------------------------------------------------------------------------

    @contextmanager
    def override(self, overrides: Mapping[Any, Callable[..., Any]]) -> Generator[None, None, None]:
        """Put others in the place of dependencies, in this block and in the tasks it starts.

        Unlike ``dependency_overrides``, what other tasks do meanwhile is not changed.

        Args:
            overrides: each dependency and what is called instead.
        """
        with overriding(self, overrides):
            yield

    @asynccontextmanager
    async def resolve(self, dependency: Callable[..., Any] | Depends) -> AsyncGenerator[Any, None]:
        """The value of a dependency, outside of any request: in a script, a task, a test.

        Args:
            dependency: a function that asks nothing of a request, nor do those it depends on; or
                ``Depends(function, scope="app")`` for what the application has once.

        Raises:
            DependencyError: it asks for something of a request.
        """
        wish = dependency if isinstance(dependency, Depends) else Depends(dependency)
        value = wish_for(wish, ())
        value.name = "value"
        scope: Scope = {
            "type": "http",
            "app": self,
            "headers": [],
            "query_string": b"",
            "path_params": {},
        }
        plan = compile_plan(
            Provider(_keep, None, "coroutine", dependencies=[value]), overrides=overrides_in(scope)
        )
        for call in plan.calls:
            _check_needs_no_request(call.provider)
        solved = Solved()
        try:
            await solve(plan, HTTPConnection(scope), solved, self.shared)
            yield solved.kwargs["value"]
            for exits in (solved.for_function, solved.for_request):
                if exits is not None:
                    await exits.close(None)
        except BaseException as exc:
            await close_after(exc, solved.for_function, solved.for_request)
            raise


async def _keep(value: Any) -> Any:
    """Stands for an endpoint where there is none."""
    return value


def _check_needs_no_request(provider: Provider) -> None:
    needed = [one.name for one in provider.parameters if one.required or one.source == "body"]
    asked = [*needed, *provider.specials, *provider.wanted]
    if asked:
        raise DependencyError(
            f"Expected a dependency that needs no request, got {asked[0]!r} in"
            f" {describe(provider.call)}; override it, or call it in an endpoint."
        )


def _check_options(options: AppOptions) -> None:
    for name in options:
        if name not in AppOptions.__annotations__:
            raise StackError(
                f"Expected an option of the application, got {name!r}; see"
                " lamella.applications.AppOptions for all there are."
            )
    for name in ("openapi_url", "docs_url", "redoc_url", "scalar_url"):
        url = cast("Any", options).get(name)
        if url and not url.startswith("/"):
            raise UsageError(f"Expected {name} to start with '/', got {url!r}.")
