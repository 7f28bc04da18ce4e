"""Who asks, and what they may do: users, credentials, backends and ``requires``.

Floor 6. Names and behaviour as Starlette 1.10. A backend says who asks; the layer of
``middleware.authentication`` runs it and leaves the answer in the scope; ``requires`` looks there.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlencode

from lamella._inspect import describe, is_async_callable
from lamella.exceptions import HTTPException, StackError, UsageError
from lamella.requests import HTTPConnection, Request
from lamella.responses import RedirectResponse
from lamella.websockets import WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lamella.responses import Response

__all__ = [
    "AuthCredentials",
    "AuthenticationBackend",
    "AuthenticationError",
    "BaseUser",
    "SimpleUser",
    "UnauthenticatedUser",
    "has_required_scope",
    "requires",
]

_P = ParamSpec("_P")
_C = TypeVar("_C", bound="HTTPConnection[Any]")


class AuthenticationError(Exception):
    """Raise it in a backend for credentials that are wrong; its text is shown to the client."""


class AuthenticationBackend:
    """Finds out who asks. Subclass it and define ``authenticate``."""

    async def authenticate(
        self, conn: HTTPConnection[Any]
    ) -> tuple[AuthCredentials, BaseUser] | None:
        """Read the credentials of a request or websocket.

        Args:
            conn: the connection; it has headers and cookies, and no body.

        Returns:
            Credentials and user, or None for one who gave none.

        Raises:
            AuthenticationError: credentials that are wrong; the layer answers it.
        """
        raise NotImplementedError(f"{describe(type(self))} must define `authenticate`.")


class AuthCredentials:
    """What one who asks may do.

    Args:
        scopes: names of permissions, as ``requires`` asks for them.
    """

    def __init__(self, scopes: Sequence[str] | None = None) -> None:
        self.scopes = list(scopes or ())


class BaseUser:
    """One who asks, as ``request.user`` tells. Subclass it and define what is needed."""

    @property
    def is_authenticated(self) -> bool:
        """Whether it is known who this is."""
        raise NotImplementedError(f"{describe(type(self))} must define `is_authenticated`.")

    @property
    def display_name(self) -> str:
        """The name to be shown."""
        raise NotImplementedError(f"{describe(type(self))} must define `display_name`.")

    @property
    def identity(self) -> str:
        """What tells this user from all others."""
        raise NotImplementedError(f"{describe(type(self))} must define `identity`.")


class SimpleUser(BaseUser):
    """A user who is a name and nothing more.

    Args:
        username: name and identity.
    """

    def __init__(self, username: str) -> None:
        self.username = username

    @property
    def is_authenticated(self) -> bool:
        """True."""
        return True

    @property
    def display_name(self) -> str:
        """The name."""
        return self.username

    @property
    def identity(self) -> str:
        """The name."""
        return self.username


class UnauthenticatedUser(BaseUser):
    """Somebody who gave no credentials."""

    @property
    def is_authenticated(self) -> bool:
        """False."""
        return False

    @property
    def display_name(self) -> str:
        """Empty."""
        return ""

    @property
    def identity(self) -> str:
        """Empty."""
        return ""


def has_required_scope(conn: HTTPConnection[Any], scopes: Sequence[str]) -> bool:
    """Whether the credentials of a connection have every one of these scopes."""
    granted = conn.auth.scopes
    return all(scope in granted for scope in scopes)


def requires(
    scopes: str | Sequence[str], status_code: int = 403, redirect: str | None = None
) -> Callable[[Callable[_P, Any]], Callable[_P, Any]]:
    """Let an endpoint run only for those whose credentials have the scopes.

    The endpoint, a function or a method, has a parameter named ``request`` or ``websocket``. A
    request without the scopes gets the status or the redirect; a websocket is closed.

    Args:
        scopes: one name, or several, all of which are needed.
        status_code: the answer to one who lacks them.
        redirect: the name of a route to send them to instead, with 303 and with the URL that was
            asked for as the query parameter ``next``.

    Raises:
        StackError: the endpoint has neither parameter; raised where it is decorated.

    Source: as Starlette 1.10.
    """
    needed = [scopes] if isinstance(scopes, str) else list(scopes)

    def decorate(func: Callable[_P, Any]) -> Callable[_P, Any]:
        name, position = _connection_parameter(func)

        @functools.wraps(func)
        async def for_websocket(*args: _P.args, **kwargs: _P.kwargs) -> None:
            websocket = _given(WebSocket, args[position:], kwargs.get(name), func)
            if has_required_scope(websocket, needed):
                await func(*args, **kwargs)
            else:
                await websocket.close()

        @functools.wraps(func)
        async def for_async(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            request = _given(Request, args[position:], kwargs.get(name), func)
            if has_required_scope(request, needed):
                return await func(*args, **kwargs)
            return _refusal(request, status_code, redirect)

        @functools.wraps(func)
        def for_sync(*args: _P.args, **kwargs: _P.kwargs) -> Any:
            request = _given(Request, args[position:], kwargs.get(name), func)
            if has_required_scope(request, needed):
                return func(*args, **kwargs)
            return _refusal(request, status_code, redirect)

        if name == "websocket":
            return for_websocket
        return for_async if is_async_callable(func) else for_sync

    return decorate


def _connection_parameter(func: Callable[..., Any]) -> tuple[str, int]:
    """Name and position of the parameter that the connection comes in by."""
    for position, name in enumerate(inspect.signature(func).parameters):
        if name in ("request", "websocket"):
            return name, position
    raise StackError(
        "Expected a parameter named 'request' or 'websocket' on the endpoint that `requires`"
        f" decorates, got {describe(func)} without one; add it."
    )


def _given(kind: type[_C], args: tuple[Any, ...], named: Any, func: Callable[..., Any]) -> _C:
    """The connection an endpoint is called with: by name, or as the first of these arguments."""
    found: Any = args[0] if named is None and args else named
    if not isinstance(found, kind):
        raise UsageError(
            f"Expected {describe(func)}, which `requires` decorates, to be called with a"
            f" {kind.__name__}, got {found!r}."
        )
    return found


def _refusal(request: Request[Any], status_code: int, redirect: str | None) -> Response:
    """The answer to one who lacks a scope.

    Raises:
        HTTPException: without a redirect.
    """
    if redirect is None:
        raise HTTPException(status_code=status_code)
    asked = urlencode({"next": str(request.url)})
    return RedirectResponse(f"{request.url_for(redirect)}?{asked}", status_code=303)
