"""A connection's scope, read conveniently: what ``Request`` and ``WebSocket`` have in common.

Floor 2. Names and behaviour as Starlette 1.10, where they are found in ``requests``; users find
them there here too. Nothing here receives or sends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, cast

from lamella.datastructures import URL, Address, Headers, QueryParams, State
from lamella.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import TypeVar

    from lamella.types import Receive, Scope

    StateT = TypeVar("StateT", bound=Mapping[str, Any] | State, default=State)
else:
    from typing import TypeVar

    StateT = TypeVar("StateT")

__all__ = ["HTTPConnection", "StateT", "cookie_parser"]

_ESCAPED = re.compile(r"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)


def cookie_parser(cookie_string: str) -> dict[str, str]:
    """Parse a ``Cookie`` header's value (RFC 6265 section 4.2.1), as browsers and Starlette do.

    A piece without ``=`` has the empty name. Quoted values are unquoted. Never raises.
    """
    cookies: dict[str, str] = {}
    for piece in cookie_string.split(";"):
        name, separator, value = piece.partition("=")
        if not separator:
            name, value = "", piece
        name, value = name.strip(), value.strip()
        if name or value:
            cookies[name] = _unquoted(value)
    return cookies


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(lambda found: _unescaped(found[1], found[2]), value[1:-1])


def _unescaped(octal: str | None, character: str) -> str:
    return character if octal is None else chr(int(octal, 8))


class HTTPConnection(Mapping[str, Any], Generic[StateT]):
    """What ``Request`` and ``WebSocket`` have in common: the scope, read conveniently.

    Args:
        scope: the ASGI connection scope, of type ``http`` or ``websocket``.
        receive: not used; for Starlette's signature.
    """

    __module__ = "lamella.requests"  # where it is found

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        if scope["type"] not in ("http", "websocket"):
            raise UsageError(
                f"Expected a scope of type 'http' or 'websocket', got {scope['type']!r}."
            )
        self.scope = scope

    def provide(self, value: object, kind: type | None = None) -> None:
        """Give a value to the dependencies and endpoints further in that ask for its type.

        For layers that say so by ``provides = kind``: what asks for it without one around it is an
        error when the application is built.

        Args:
            value: is given to each parameter of its type.
            kind: the type that it is given for, if that is another than its own.
        """
        self.scope.setdefault("lamella.provided", {})[kind or type(value)] = value

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)

    # Two connections are equal only if they are one, whatever their scopes hold.
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]

    @property
    def app(self) -> Any:
        """The application that serves this connection (``scope["app"]``)."""
        return self.scope["app"]

    @property
    def url(self) -> URL:
        """The full URL as the client sees it, as far as the server knows."""
        if not hasattr(self, "_url"):
            self._url = URL(scope=self.scope)
        return self._url

    @property
    def base_url(self) -> URL:
        """The URL of the application's root, ending in ``/``; without query."""
        if not hasattr(self, "_base_url"):
            root = self.scope.get("app_root_path", self.scope.get("root_path", ""))
            scope = dict(self.scope)
            scope["path"] = root if root.endswith("/") else root + "/"
            scope["root_path"] = root
            scope["query_string"] = b""
            self._base_url = URL(scope=scope)
        return self._base_url

    @property
    def headers(self) -> Headers:
        """The request headers, case-insensitive."""
        if not hasattr(self, "_headers"):
            self._headers = Headers(scope=self.scope)
        return self._headers

    @property
    def query_params(self) -> QueryParams:
        """The parsed query string."""
        if not hasattr(self, "_query_params"):
            self._query_params = QueryParams(self.scope.get("query_string", b""))
        return self._query_params

    @property
    def path_params(self) -> dict[str, Any]:
        """The parameters of the matched route, converted."""
        return cast("dict[str, Any]", self.scope.get("path_params", {}))

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies by name."""
        if not hasattr(self, "_cookies"):
            cookies: dict[str, str] = {}
            for header in self.headers.getlist("cookie"):
                cookies.update(cookie_parser(header))
            self._cookies = cookies
        return self._cookies

    @property
    def client(self) -> Address | None:
        """The client's address, or None where the server does not know it."""
        address = self.scope.get("client")
        return None if address is None else Address(*address)

    @property
    def session(self) -> dict[str, Any]:
        """The session that ``SessionMiddleware`` put into the scope."""
        session = self._from_layer("session", "SessionMiddleware")
        if hasattr(session, "mark_accessed"):  # one of another layer may be a plain dict
            session.mark_accessed()
        return cast("dict[str, Any]", session)

    @property
    def auth(self) -> Any:
        """The credentials that ``AuthenticationMiddleware`` put into the scope."""
        return self._from_layer("auth", "AuthenticationMiddleware")

    @property
    def user(self) -> Any:
        """The user that ``AuthenticationMiddleware`` put into the scope."""
        return self._from_layer("user", "AuthenticationMiddleware")

    def _from_layer(self, key: str, layer: str) -> Any:
        if key not in self.scope:
            raise UsageError(
                f"Expected scope[{key!r}], which {layer} sets; "
                f"install {layer} to access request.{key}."
            )
        return self.scope[key]

    @property
    def state(self) -> StateT:
        """What layers and the endpoint of this request leave for each other, by attribute."""
        if not hasattr(self, "_state"):
            self._state = State(self.scope.setdefault("state", {}))
        return cast("StateT", self._state)

    def url_for(self, name: str, /, **path_params: Any) -> URL:
        """The absolute URL of a named route.

        Raises:
            NoMatchFound: no route has that name and exactly these parameters.
        """
        provider = self.scope.get("router") or self.scope.get("app")
        if provider is None:
            raise RuntimeError(
                # Starlette's words first: programs look for them.
                "The `url_for` method can only be used inside a Starlette application or with a"
                " router. It is asked for the route, and the scope has neither."
            )
        path = provider.url_path_for(name, **path_params)
        return cast("URL", path.make_absolute_url(self.base_url))
