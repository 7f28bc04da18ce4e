"""The application: routes under a stack of layers.

Floor 8. Names and behaviour as Starlette 1.10. ``Lamella``, which has typed endpoints on top,
stands in a module of its own above this one, and is imported when it is first asked for here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from lamella._inspect import describe, is_async_callable
from lamella.datastructures import State
from lamella.engine.edge import serve
from lamella.engine.service import Service, twin_of
from lamella.engine.stack import explain, fold, link
from lamella.exceptions import StackError, UsageError
from lamella.middleware import Middleware
from lamella.middleware.body_limit import RequestBodyLimitMiddleware
from lamella.middleware.composition import declaration_of, declarations
from lamella.middleware.errors import ServerErrorMiddleware
from lamella.middleware.exceptions import ExceptionMiddleware
from lamella.routing import Router, checked_policy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
    from typing import ParamSpec

    from lamella._lamella import AppOptions, Lamella
    from lamella.datastructures import URLPath
    from lamella.engine.service import Respond
    from lamella.middleware import _LayerFactory
    from lamella.middleware.base import DispatchFunction
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.routing import BaseRoute, OnDisconnect
    from lamella.types import ASGIApp, ExceptionHandler, Lifespan, Receive, Scope, Send
    from lamella.websockets import WebSocket

    P = ParamSpec("P")
    _D = TypeVar("_D", bound=DispatchFunction)

__all__ = ["AppOptions", "AppType", "Lamella", "Starlette"]

AppType = TypeVar("AppType", bound="Starlette")


def __getattr__(name: str) -> Any:
    if name not in ("AppOptions", "Lamella"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module("lamella._lamella"), name)
    globals()[name] = value
    return value


class Starlette(Service):
    """An ASGI application.

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
        error_responses: "outside": an unhandled error passes through every layer as an exception
            and becomes a 500 outside of them. "inside": it becomes the 500 response right around
            the routes, with the error on ``response.exception``, and every layer sees it.

    Raises:
        StackError: a layer, route, handler or option that cannot work.
    """

    # What stands here too is for subclasses that never call `__init__`.
    root_path = ""
    middleware_stack: ASGIApp | None = None
    max_body_size: int | None = None
    on_disconnect: OnDisconnect | None = None
    error_responses: Literal["outside", "inside"] = "outside"
    router: Router
    _linked: ASGIApp | None = None
    _inner: Respond

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
    ) -> None:
        if error_responses not in ("outside", "inside"):
            raise UsageError(
                f"Expected error_responses to be 'outside' or 'inside', got {error_responses!r}."
            )
        self.debug = debug
        self.state = State()
        self.max_body_size = max_body_size
        self.on_disconnect = checked_policy(on_disconnect)
        self.error_responses = error_responses
        self.router = Router(routes, lifespan=lifespan, on_disconnect=on_disconnect)
        self.exception_handlers: dict[Any, ExceptionHandler] = dict(exception_handlers or {})
        self.user_middleware: list[Middleware[...]] = declarations(
            middleware, "middleware= of the application"
        )
        self.middleware_stack = None

    # -- the stack -----------------------------------------------------------------------------

    def build_middleware_stack(self) -> ASGIApp:
        """Fold the layers around the router; done once, before the first request."""
        server_error: ExceptionHandler | None = None
        handlers: dict[Any, ExceptionHandler] = {}
        for key, handler in self.exception_handlers.items():
            if key in (500, Exception):
                server_error = handler
            else:
                handlers[key] = handler
        # Declared like any other: error reporters hook into declarations to get at the classes.
        innermost = Middleware(ExceptionMiddleware, handlers=handlers, debug=self.debug)
        exceptions = cast("ExceptionMiddleware", fold(self.router, [innermost]))
        app = fold(exceptions, self.user_middleware)
        if self.max_body_size is not None:
            app = RequestBodyLimitMiddleware(app, max_body_size=self.max_body_size)
        declared = Middleware(ServerErrorMiddleware, handler=server_error, debug=self.debug)
        outermost = cast("ServerErrorMiddleware", fold(app, [declared]))
        if self.error_responses == "inside":
            exceptions.server_error = outermost.answer
        return outermost

    def _built(self) -> ASGIApp:
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        return self.middleware_stack

    def explain(self) -> str:
        """The stack as built, one line a member, outermost first: native, bridged or straight."""
        return explain(self.middleware_stack or self.build_middleware_stack())

    # -- the faces -----------------------------------------------------------------------------

    @twin_of("respond")
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI face."""
        if scope["type"] == "http":
            await serve(self.respond, scope, receive, send)
        else:
            if self.root_path:
                scope["root_path"] = self.root_path
            scope["app"] = self
            await self._built()(scope, receive, send)

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face: so an application mounted in another is entered by a plain await."""
        if self.root_path:
            request.scope["root_path"] = self.root_path
        request.scope["app"] = self
        stack = self.middleware_stack
        if stack is None or stack is not self._linked:
            stack = self._built()
            self._inner = link(stack)
            self._linked = stack
        return self._inner(request)

    # -- building it up ------------------------------------------------------------------------

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes, in the order they are tried."""
        return self.router.routes

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the first route of that name which takes exactly these parameters."""
        return self.router.url_path_for(name, **path_params)

    def mount(
        self, path: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None
    ) -> None:
        """Serve everything below a path by an app, as a ``Mount``."""
        # A router of a library's own may have the method as Starlette has it.
        more = {} if lifespan is None else {"lifespan": lifespan}
        self.router.mount(path, app=app, name=name, **more)

    def host(
        self, host: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None
    ) -> None:
        """Serve a host by an app, as a ``Host``."""
        more = {} if lifespan is None else {"lifespan": lifespan}
        self.router.host(host, app=app, name=name, **more)

    def add_middleware(
        self, middleware_class: _LayerFactory[P], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Add a layer outside of all the others.

        Args:
            middleware_class: the class, and after it its arguments after ``app``; or, without
                arguments, a layer in any form that ``middleware=`` takes.
            args: positional arguments.
            kwargs: keyword arguments.

        Raises:
            RuntimeError: the application has started.
            StackError: arguments that the class does not take.
        """
        given: Any = middleware_class
        if isinstance(given, Middleware) or is_async_callable(given):
            self._add(given)
        else:
            self._add(Middleware(middleware_class, *args, **kwargs))

    @overload
    def middleware(self, layer: Literal["http"]) -> Callable[[_D], _D]: ...
    @overload
    def middleware(self, layer: _D) -> _D: ...
    def middleware(self, layer: Any) -> Any:
        """Add a plain function layer outside of all the others.

        ``app.middleware(fn)``, or as a decorator: ``@app.middleware``, ``@app.middleware("http")``.
        """
        if layer == "http":
            return self.middleware
        if isinstance(layer, str):
            raise StackError(f"Expected a layer, or 'http', in app.middleware(...), got {layer!r}.")
        self._add(layer)
        return layer

    def _add(self, layer: Any) -> None:
        if self.middleware_stack is not None:
            raise RuntimeError(
                "Cannot add middleware after an application has started;"
                f" add {describe(getattr(layer, 'cls', layer))} before."
            )
        self.user_middleware.insert(0, declaration_of(layer, "the application"))

    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler
    ) -> None:
        """Register a handler for a status code or for an exception class and its subclasses."""
        self.exception_handlers[exc_class_or_status_code] = handler

    def add_route(
        self,
        path: str,
        route: Callable[[Request[Any]], Awaitable[Response] | Response],
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> None:
        """Add a ``Route``."""
        self.router.add_route(
            path, route, methods=methods, name=name, include_in_schema=include_in_schema
        )

    def add_websocket_route(
        self,
        path: str,
        route: Callable[[WebSocket[Any]], Awaitable[None]],
        name: str | None = None,
    ) -> None:
        """Add a ``WebSocketRoute``."""
        self.router.add_websocket_route(path, route, name=name)
