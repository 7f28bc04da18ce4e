"""Who asks is found out by a backend, once for each request and websocket.

Floor 6. Name and behaviour as Starlette 1.10: the answer stands in the scope as ``auth`` and
``user``, where ``request.auth``, ``request.user`` and ``requires`` find it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from lamella._inspect import describe, is_async_callable
from lamella._outcomes import answer, taken_over
from lamella.authentication import AuthCredentials, AuthenticationError, UnauthenticatedUser
from lamella.engine.bridge import Bridge
from lamella.engine.stack import Layer
from lamella.exceptions import NoResponseError, StackError, UsageError
from lamella.middleware.base import handler_around
from lamella.requests import HTTPConnection
from lamella.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from lamella.authentication import AuthenticationBackend
    from lamella.requests import Request
    from lamella.types import ASGIApp, Receive, Scope, Send

    OnError = Callable[[HTTPConnection[Any], AuthenticationError], Response]

__all__ = ["AuthenticationMiddleware"]


class AuthenticationMiddleware(Layer):
    """Runs a backend and leaves credentials and user in the scope.

    An ``AuthenticationError`` of the backend is answered by ``on_error``, and any other exception
    like one of a dispatch layer: an ``HTTPException`` with its status. A websocket is closed with
    1000 (before it was accepted: a 403), and other errors pass on.

    Args:
        app: what is inside.
        backend: finds out who asks.
        on_error: ``on_error(conn, exc)``, sync, makes the answer to wrong credentials; without it
            the text of the error with status 400.

    Raises:
        StackError: a backend that is a class or has no ``authenticate``, or an async ``on_error``.
    """

    def __init__(
        self,
        app: ASGIApp,
        backend: AuthenticationBackend,
        on_error: OnError | None = None,
    ) -> None:
        super().__init__(app)
        _check(backend, on_error)
        self.backend = backend
        self.on_error: OnError = self.default_on_error if on_error is None else on_error

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        try:
            refusal = await self._refusal(request)
        except Exception as exc:
            handler = handler_around(self._app, request, exc)
            if handler is None:
                raise
            return await answer(handler, request, exc)
        return await self._inner(request) if refusal is None else refusal

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Authenticate a websocket; the lifespan passes."""
        if scope["type"] == "websocket":
            conn: HTTPConnection[Any] = HTTPConnection(scope)
            try:
                await self._authenticate(conn)
            except AuthenticationError as exc:
                self.on_error(conn, exc)  # it may log; a websocket has no use for its response
                await send({"type": "websocket.close", "code": 1000})
                return
        await self._app(scope, receive, send)

    async def _refusal(self, request: Request[Any]) -> Response | None:
        """Authenticate a request; what to answer instead of the application, or None."""
        try:
            await self._authenticate(request)
        except AuthenticationError as exc:
            response: Any = self.on_error(request, exc)
            if isinstance(response, Response):
                return await taken_over(response, request)
            if not callable(response):
                raise NoResponseError(
                    "Expected a Response from on_error of AuthenticationMiddleware,"
                    f" {describe(self.on_error)}, got {response!r}."
                ) from exc
            # A response of another kind: an ASGI app.
            return await Bridge(cast("ASGIApp", response)).run(request)
        return None

    async def _authenticate(self, conn: HTTPConnection[Any]) -> None:
        found: Any = await self.backend.authenticate(conn)
        if found is None:
            found = AuthCredentials(), UnauthenticatedUser()
        if not isinstance(found, tuple | list) or len(found) != 2:  # pyright: ignore[reportUnknownArgumentType]
            raise UsageError(
                f"Expected `authenticate` of {describe(self.backend)} to return credentials and"
                f" user, or None, got {found!r}."
            )
        conn.scope["auth"], conn.scope["user"] = found

    @staticmethod
    def default_on_error(conn: HTTPConnection[Any], exc: Exception) -> Response:
        """The answer without ``on_error``: the text of the error, status 400."""
        return PlainTextResponse(str(exc), status_code=400)


def _check(backend: object, on_error: object) -> None:
    if inspect.isclass(backend) or not callable(getattr(backend, "authenticate", None)):
        raise StackError(
            "Expected the backend of AuthenticationMiddleware to be an object with"
            f" `async def authenticate(conn)`, got {describe(backend)}; give an instance."
        )
    if is_async_callable(on_error):
        raise StackError(
            f"Expected on_error of AuthenticationMiddleware to be a plain function, got"
            f" {describe(on_error)}, which is async; write `def`, and ask in the backend."
        )
