"""From an exception to the response that answers it.

Floor 5. Shared by the layers, the routes and ``middleware.exceptions``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from lamella._inspect import describe, is_async_callable
from lamella.concurrency import run_in_threadpool
from lamella.engine.bridge import Bridge, BridgedResponse
from lamella.exceptions import HTTPException, NoResponseError
from lamella.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamella.requests import Request
    from lamella.types import ExceptionHandler, Scope

_LONGEST_TRACEBACK: Final = 1000  # frames; as deep as the default recursion limit

HANDLERS: Final = "lamella.exception_handlers"
"""The scope key of the ``ExceptionMiddleware`` that a request came through last."""


class Handlers(Protocol):
    """Whoever knows which handler answers an exception."""

    def find(self, request: Request[Any], exc: Exception) -> ExceptionHandler | None:
        """The handler for an exception, or None if it goes unhandled."""
        ...

    def registered(self, exc: Exception) -> ExceptionHandler | None:
        """The handler registered for an exception, or None."""
        ...


def lookup(
    status_handlers: Mapping[int, ExceptionHandler],
    exception_handlers: Mapping[Any, ExceptionHandler],
    exc: Exception,
) -> ExceptionHandler | None:
    """The handler for an exception: by its status first, then by its classes, nearest first."""
    if isinstance(exc, HTTPException) and exc.status_code in status_handlers:
        return status_handlers[exc.status_code]
    for kind in type(exc).__mro__:
        if kind in exception_handlers:
            return exception_handlers[kind]
    return None


def handlers_in(scope: Scope) -> Handlers | None:
    """The handlers of the application that a request is in, or None outside of any."""
    return cast("Handlers | None", scope.get(HANDLERS))


async def answer(handler: ExceptionHandler, request: Request[Any], exc: Exception) -> Response:
    """Run a handler, sync ones in the thread pool.

    Raises:
        NoResponseError: the handler returned something else than a response.
    """
    response = await run_handler(handler, request, exc)
    if not isinstance(response, Response):
        raise NoResponseError(
            f"Expected a Response from the exception handler {describe(handler)}, got {response!r}."
        )
    _shorten(exc)
    return await taken_over(response, request)


def claim(response: Response, request: Request[Any]) -> Response:
    """An endpoint's response for this request and its layers alone; see ``Response.claimed``."""
    mine = response.claimed()
    _remember(mine, request)
    return mine


async def taken_over(response: Response, request: Request[Any]) -> Response:
    """What a layer or a handler returned, ready for the layers further out to look at and change.

    Of one that it made itself they get a copy, since it may be one object for many requests; and
    if it sends itself, it is run, so that they see what it sends.
    """
    if request._direct and not response._delicate:
        return response  # nobody is there to change it
    if request._started_at is None and request.exchange is None:
        return response  # nobody serves this request
    if _is_ready(response, request):
        hold(response, request)
        return response
    if response._sends_itself and not request._direct:
        return await Bridge(response).run(request)
    response = response.copied()
    _remember(response, request)
    if response._delicate:
        await settle(response, request)
    return response


def _is_ready(response: Response, request: Request[Any]) -> bool:
    """Whether a response came from further in, and not from who returned it."""
    if response is request._claimed or isinstance(response, BridgedResponse):
        return True
    exchange = request._exchange if request._started_at is not None else request.exchange
    return exchange is not None and any(mine is response for mine in exchange.claimed)


def _remember(response: Response, request: Request[Any]) -> None:
    """Note that a response is this exchange's own, to be given back when it is over."""
    if request._claimed is None and request._started_at is not None:
        request._claimed = response
        return
    exchange = request.exchange  # of a request made by hand, or one whose inside runs again
    if exchange is not None:
        exchange.claimed += (response,)


async def settle(response: Response, request: Request[Any]) -> None:
    """Make a response ready that is more than two messages: a stream, a file, a background task."""
    await response.settle(request.scope)
    hold(response, request)
    if not request._direct:
        response._read_by = request
        response._keep_context()


def hold(response: Response, request: Request[Any]) -> None:
    """Leave what a response carries with the exchange, so that no layer can lose it."""
    exchange = request.exchange
    if exchange is not None:
        exchange.hold(response)


async def run_handler(handler: ExceptionHandler, conn: Any, exc: Exception) -> Any:
    """Run a handler for a request or a websocket, sync ones in the thread pool."""
    call = cast("Any", handler)
    if is_async_callable(call):
        outcome = await call(conn, exc)
    else:
        outcome = await run_in_threadpool(call, conn, exc)
    _shorten(exc)
    return outcome


def _shorten(exc: Exception) -> None:
    """Drop the traceback of an exception object that is raised again and again: it only grows.

    That of an ``HTTPException`` at once, as Starlette 1.10; any other may be reported later.
    """
    if isinstance(exc, HTTPException):
        exc.__traceback__ = None
        return
    traceback = exc.__traceback__
    for _ in range(_LONGEST_TRACEBACK):
        if traceback is None:
            return
        traceback = traceback.tb_next
    exc.__traceback__ = None


def http_exception(request: Request[Any], exc: Exception) -> Response:
    """Answer an ``HTTPException`` with its status, detail and headers."""
    if not isinstance(exc, HTTPException):
        raise TypeError(f"Expected an HTTPException, got {exc!r}.")
    if exc.status_code in (204, 304):
        return Response(status_code=exc.status_code, headers=exc.headers)
    return PlainTextResponse(exc.detail, status_code=exc.status_code, headers=exc.headers)
