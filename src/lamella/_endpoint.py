"""Functions as ASGI apps: ``func(request) -> Response`` and ``func(websocket)``.

Floor 6. What ``routing`` makes of the endpoints it is given; the first kind has a service face.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from lamella._exception_handler import wrap_app_handling_exceptions
from lamella._inspect import describe, is_async_callable
from lamella._outcomes import answer, claim, handlers_in, settle
from lamella.concurrency import run_in_threadpool
from lamella.engine.bridge import Bridge
from lamella.engine.service import Service
from lamella.exceptions import HTTPException, NoResponseError, UsageError
from lamella.responses import PlainTextResponse, Response
from lamella.websockets import WebSocket

if TYPE_CHECKING:
    from lamella.requests import Request
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "Endpoint",
    "get_name",
    "is_function",
    "method_not_allowed",
    "request_response",
    "websocket_session",
]


class Endpoint(Service):
    """A function ``func(request) -> Response`` as a service.

    Args:
        func: sync ones run in the thread pool.
        handles: whether what it raises is answered right here, inside the route's own layers.
    """

    def __init__(self, func: Callable[[Request[Any]], Any], *, handles: bool = True) -> None:
        self.func = func
        self._handles = handles
        call: Any = func if is_async_callable(func) else functools.partial(_in_thread, func)
        self._call: Callable[[Request[Any]], Awaitable[Any]] = call

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        request._passages += 1
        if request._given_inbound is not None:
            request.rewind()
        exchange = request._exchange
        if exchange is not None and (exchange.held or exchange.exits):
            await exchange.drop_held()  # a retry: what the first run made is not sent
        try:
            response = await self._call(request)
        except Exception as exc:
            handlers = handlers_in(request.scope) if self._handles else None
            handler = None if handlers is None else handlers.find(request, exc)
            if handler is None:
                raise
            return await answer(handler, request, exc)
        finally:
            request._passages += 1
        if not isinstance(response, Response):
            response = await self._accepted(response, request)
        if not request._direct:
            if response._sends_itself:
                return await Bridge(response).run(request)
            response = claim(response, request)
        elif response._delicate or response._pristine is not None:
            response = claim(response, request)
        if response._delicate:
            await settle(response, request)
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
    return Endpoint(func)


def websocket_session(func: Callable[[WebSocket[Any]], Awaitable[None]]) -> ASGIApp:
    """An ASGI app, for websockets, of an async function."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        websocket: WebSocket[Any] = WebSocket(scope, receive, send)

        async def session(scope: Scope, receive: Receive, send: Send) -> None:
            running: object = func(websocket)
            if not inspect.isawaitable(running):
                raise UsageError(
                    f"Expected the websocket endpoint {describe(func)} to be async, got"
                    f" {running!r} from it; write `async def`."
                )
            await running

        await wrap_app_handling_exceptions(session, websocket)(scope, receive, send)

    return app


async def method_not_allowed(allowed: Iterable[str], scope: Scope) -> Response:
    """405 with ``Allow`` (RFC 9110 section 15.5.6): in an application for its handlers to answer.

    Raises:
        HTTPException: it is inside an application.
    """
    headers = {"Allow": ", ".join(allowed)}
    if "app" in scope:
        raise HTTPException(status_code=405, headers=headers)
    return PlainTextResponse("Method Not Allowed", status_code=405, headers=headers)


def get_name(endpoint: Callable[..., Any]) -> str:
    """The name a route has without ``name=``."""
    return str(getattr(endpoint, "__name__", endpoint.__class__.__name__))


def is_function(endpoint: Any) -> bool:
    """Whether an endpoint is a function or a method, perhaps inside partials, and no ASGI app."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func  # pyright: ignore[reportUnknownMemberType]
    return inspect.isfunction(endpoint) or inspect.ismethod(endpoint)
