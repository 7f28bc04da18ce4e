"""The innermost layer: exceptions of endpoints answered by handlers.

Floor 5. Names and behaviour as Starlette 1.10. Its handlers also serve the layers further out and
the routes' own layers, wherever an exception is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lamella._exception_handler import (
    ExceptionHandlers,
    StatusHandlers,
    wrap_app_handling_exceptions,
)
from lamella._outcomes import HANDLERS, answer, http_exception, lookup
from lamella.engine.stack import Layer
from lamella.exceptions import HTTPException, ResponseStartedError, StackError, WebSocketException
from lamella.websockets import WebSocket, WebSocketState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

__all__ = ["ExceptionHandlers", "ExceptionMiddleware", "HTTPException", "StatusHandlers"]


class ExceptionMiddleware(Layer):
    """Answers exceptions by handlers, looked up by status, then by class.

    Args:
        app: what is inside.
        handlers: status code or exception class to ``handler(request, exc)``, sync or async.
        debug: kept for Starlette's signature.
        server_error: makes the 500 response of an exception that no handler is for; without it
            such an exception passes on.
    """

    is_exception_middleware = True

    def __init__(
        self,
        app: ASGIApp,
        handlers: Mapping[Any, ExceptionHandler] | None = None,
        debug: bool = False,
        server_error: ExceptionHandler | None = None,
    ) -> None:
        super().__init__(app)
        self.debug = debug
        self.server_error = server_error
        self._status_handlers: StatusHandlers = {}
        self._exception_handlers: ExceptionHandlers = {
            HTTPException: self.http_exception,
            WebSocketException: self.websocket_exception,
        }
        for key, handler in (handlers or {}).items():
            self.add_exception_handler(key, handler)

    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler
    ) -> None:
        """Register a handler for a status code or for an exception class and its subclasses."""
        if isinstance(exc_class_or_status_code, int):
            self._status_handlers[exc_class_or_status_code] = handler
        else:
            key = cast("Any", exc_class_or_status_code)
            if not isinstance(key, type) or not issubclass(key, Exception):
                raise StackError(
                    "Expected a status code or an Exception class as the key of an exception"
                    f" handler, got {key!r}."
                )
            self._exception_handlers[key] = handler

    def registered(self, exc: Exception) -> ExceptionHandler | None:
        """The handler registered for an exception, or None."""
        return lookup(self._status_handlers, self._exception_handlers, exc)

    def find(self, request: Request[Any], exc: Exception) -> ExceptionHandler | None:
        """The handler for an exception of a request, or None if it goes unhandled."""
        handler = self.registered(exc)
        if handler is None and self.server_error is not None:
            exchange = request.exchange
            if exchange is None or (exchange.status is None and not exchange.explains(exc)):
                return self.server_error
        return handler

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        scope = request.scope
        outer = scope.get(HANDLERS)
        scope[HANDLERS] = self
        try:
            return await self._inner(request)
        except Exception as exc:
            handler = self.find(request, exc)
            if handler is None:
                raise
            check_not_started(request, exc)
            return await answer(handler, request, exc)
        finally:
            if outer is not None:  # an application mounted in another: its handlers end here
                scope[HANDLERS] = outer

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket, whose exceptions the handlers answer; let the lifespan through."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        outer = scope.get(HANDLERS)
        scope[HANDLERS] = self
        websocket: WebSocket[Any] = WebSocket(scope, receive, send)
        try:
            await wrap_app_handling_exceptions(self._app, websocket)(scope, receive, send)
        finally:
            if outer is not None:
                scope[HANDLERS] = outer

    async def http_exception(self, request: Request[Any], exc: Exception) -> Response:
        """Answer an ``HTTPException`` that no handler of the application is for."""
        return http_exception(request, exc)

    async def websocket_exception(self, websocket: WebSocket[Any], exc: Exception) -> None:
        """Close a websocket with the code of a ``WebSocketException``, unless it is closed."""
        state = getattr(websocket, "application_state", None)
        if isinstance(exc, WebSocketException) and state is not WebSocketState.DISCONNECTED:
            await websocket.close(code=exc.code, reason=exc.reason)


def check_not_started(request: Request[Any], exc: Exception) -> None:
    """Raise unless a response may still be made.

    Raises:
        ResponseStartedError: a foreign app has sent the start of one already; caused by ``exc``.
    """
    exchange = request.exchange
    if exchange is not None and exchange.status is not None:
        raise ResponseStartedError(
            "Caught handled exception, but response already started."
        ) from exc
