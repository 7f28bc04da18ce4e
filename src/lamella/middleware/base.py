"""Dispatch layers: ``async def dispatch(request, call_next)`` as a plain await.

Floor 5. Names as Starlette 1.10. ``call_next`` is resolved once, when the layer is built: the
service face of what is inside, or a bridge to it. A layer makes no task and no queue.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from lamella._inspect import describe, is_async_callable
from lamella._outcomes import (
    answer,
    handlers_in,
    http_exception,
    taken_over,
)
from lamella.engine.bridge import Bridge
from lamella.engine.stack import Layer
from lamella.exceptions import HTTPException, NoResponseError, StackError
from lamella.requests import Request
from lamella.responses import Response
from lamella.types import ASGIApp

if TYPE_CHECKING:
    from lamella._outcomes import Handlers
    from lamella.types import ExceptionHandler

RequestResponseEndpoint = Callable[[Request[Any]], Awaitable[Response]]
DispatchFunction = Callable[[Request[Any], RequestResponseEndpoint], Awaitable[Response]]

__all__ = [
    "ASGIApp",
    "BaseHTTPMiddleware",
    "DispatchFunction",
    "Request",
    "RequestResponseEndpoint",
    "Response",
]


# Starlette's private names for what its layers are given. Many programs annotate or check by them;
# here it is the request and the response themselves.
_CachedRequest = Request
_StreamingResponse = Response

_UNANSWERED: Final = object()


class BaseHTTPMiddleware(Layer):
    """A layer with ``dispatch(request, call_next)``: override it, or give a function.

    ``call_next(request)`` passes that request inwards and gives the response, the endpoint's own
    object. It may be awaited again: the inside runs again, and a response that was not sent is
    closed first. Exceptions pass through as they are; an ``HTTPException`` raised in ``dispatch``
    is answered like one of an endpoint's.

    Args:
        app: what is inside.
        dispatch: an ``async def dispatch(request, call_next)``, instead of the method.

    Raises:
        StackError: ``dispatch`` is not async.
    """

    is_dispatch_layer = True

    def __init__(self, app: ASGIApp, dispatch: DispatchFunction | None = None) -> None:
        super().__init__(app)
        self.dispatch_func: DispatchFunction = self.dispatch if dispatch is None else dispatch
        check_dispatch(self.dispatch_func)

    @property
    def shown_as(self) -> object:
        """What stands for this layer where the stack is printed."""
        method = getattr(self.dispatch_func, "__self__", None)
        return self if method is self else self.dispatch_func

    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
        """Answer the request, usually by ``await call_next(request)``."""
        raise NotImplementedError(f"{describe(type(self))} must define `dispatch`.")

    async def respond(self, request: Request[Any]) -> Response:
        """The service face: run ``dispatch``."""
        request._direct = False
        response: Any = _UNANSWERED
        try:
            response = await self.dispatch_func(request, self._inner)
            # PERF: what an endpoint made and no layer replaced is ready for the layers outside.
            if response is request._claimed and not response._delicate:
                return response  # type: ignore[no-any-return]
        except Exception as exc:
            if response is _UNANSWERED:
                handler = handler_around(self._app, request, exc)
                if handler is None:
                    raise
                response = await answer(handler, request, exc)
        if not isinstance(response, Response):
            return await self._accepted(response, request)
        return await taken_over(response, request)

    async def _accepted(self, response: Any, request: Request[Any]) -> Response:
        """What `dispatch` returned, if it is a response of another kind: an ASGI app."""
        if not callable(response):
            raise NoResponseError(
                f"dispatch of {describe(self.shown_as)} returned {response!r}; return the Response"
                " from `await call_next(request)`, or your own."
            )
        return await Bridge(cast("ASGIApp", response)).run(request)


def check_dispatch(dispatch: Any) -> None:
    """Raise ``StackError`` unless this is an async function for a layer."""
    function = inspect.unwrap(dispatch) if callable(dispatch) else dispatch
    if not is_async_callable(function) and not is_async_callable(dispatch):
        raise StackError(
            f"Expected `async def dispatch(request, call_next)`, got {describe(dispatch)}, which is"
            " not async; write `async def` and `await call_next(request)`."
        )


def handler_around(app: object, request: Request[Any], exc: Exception) -> ExceptionHandler | None:
    """The handler for an exception raised in a layer, of the application that it belongs to.

    Args:
        app: what is inside the layer.
        request: the request that the layer answers.
        exc: what was raised.
    """
    handlers = _handlers_inside(app) or handlers_in(request.scope)
    if handlers is not None:
        return handlers.find(request, exc)
    return http_exception if isinstance(exc, HTTPException) else None


def _handlers_inside(app: object) -> Handlers | None:
    """The ``ExceptionMiddleware`` of the application that a layer belongs to."""
    while app is not None and not getattr(app, "is_router", False):
        if getattr(app, "is_exception_middleware", False):
            return app  # type: ignore[return-value]
        app = getattr(app, "app", None)
    return None
