"""What all routes are: they match scopes, handle them, and know the URLs that lead to them.

Floor 6. The kinds of routes are in ``routing``, which offers the public names of this module, too.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

from lamella._paths import PathPattern
from lamella._route_table import routes_changed
from lamella.engine.edge import serve
from lamella.engine.service import Service, twin_of
from lamella.engine.stack import fold, link
from lamella.exceptions import UsageError
from lamella.middleware.body_limit import RequestBodyLimitMiddleware
from lamella.middleware.composition import declarations
from lamella.responses import PlainTextResponse
from lamella.websockets import WebSocketClose

if TYPE_CHECKING:
    import re

    from lamella.convertors import Convertor
    from lamella.datastructures import URLPath
    from lamella.engine.service import Respond
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = ["ON_DISCONNECT", "BaseRoute", "Match", "NoMatchFound", "OnDisconnect"]

OnDisconnect = Literal["finish", "cancel"]
ON_DISCONNECT: Final = "lamella.on_disconnect"
"""The scope key of the policy for a client that leaves."""


class NoMatchFound(Exception):
    """No route has the name and exactly the parameters that a URL was asked for."""

    __module__ = "lamella.routing"  # where it is found

    def __init__(self, name: str, path_params: dict[str, Any]) -> None:
        params = ", ".join(path_params)
        super().__init__(f'No route exists for name "{name}" and params "{params}".')


class Match(Enum):
    """How far a route matches: not at all, all but the method, fully."""

    __module__ = "lamella.routing"  # where it is found

    NONE = 0
    PARTIAL = 1
    FULL = 2


class BaseRoute(Service):
    """What a router can hold: it matches scopes and handles them.

    Subclasses that override ``handle`` are called through it, like any foreign ASGI app.
    """

    __module__ = "lamella.routing"  # where it is found

    app: ASGIApp
    # Whether `matches`, as this very class defines it, says no to every path that `path_regex`
    # does not match: so an index may leave the route out.
    matches_by_path = False
    # Links are made at first use and made anew when `app` is replaced, since subclasses may set
    # everything from outside without ever calling `__init__`.
    _linked: ASGIApp | None = None
    _inner: Respond

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("path", "path_regex", "param_convertors"):
            routes_changed()
        object.__setattr__(self, name, value)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route serves a scope, and what it adds to the scope if it does."""
        raise NotImplementedError

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the route of that name.

        Raises:
            NoMatchFound: it is not this one.
        """
        raise NotImplementedError

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face, entered after ``matches``."""
        return self._link()(request)

    def _link(self) -> Respond:
        app = self.app
        if app is not self._linked:
            self._inner = link(app)
            self._linked = app
        return self._inner

    @twin_of("respond")
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI face, entered after ``matches``."""
        if scope["type"] == "http":
            await serve(self.respond, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A route may be used as an app of its own: it answers 404 for what it does not match."""
        match, child_scope = self.matches(scope)
        if match is Match.NONE:
            if scope["type"] == "http":
                await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)
            elif scope["type"] == "websocket":
                await WebSocketClose()(scope, receive, send)
            return
        scope.update(child_scope)
        await self.handle(scope, receive, send)


# -- paths -----------------------------------------------------------------------------------------


def pattern_of(route: BaseRoute) -> PathPattern | None:
    """A route's pattern for the index; None if only its own ``matches`` can tell."""
    if not _matches_by_path(route):
        return None
    pattern: object = getattr(route, "path_regex", None)  # may have been set from outside
    return pattern if isinstance(pattern, PathPattern) else None


def plain_pattern_of(route: BaseRoute) -> PathPattern | None:
    """The pattern that, with the methods, is all that the route's own ``matches`` looks at."""
    cls = type(route)
    own = getattr(cls, "plain_matches", None)
    return pattern_of(route) if own is not None and own is cls.matches else None


def _matches_by_path(route: BaseRoute) -> bool:
    """What the class says that defines ``matches``; nothing for one that merely inherits it."""
    for cls in type(route).__mro__:
        if "matches" in vars(cls):
            return bool(vars(cls).get("matches_by_path", False))
    return False


def path_params_of(
    pattern: re.Pattern[str], path: str, convertors: Mapping[str, Convertor[Any]]
) -> dict[str, Any] | None:
    """As ``PathPattern.params``, with a regular expression that somebody set in its place."""
    found = pattern.match(path)
    if found is None:
        return None
    try:
        return {name: convertors[name].convert(text) for name, text in found.groupdict().items()}
    except ValueError:
        return None


def first_url(
    routes: Iterable[BaseRoute], name: str, path_params: Mapping[str, Any]
) -> URLPath | None:
    """The path of the first route of that name which takes exactly these parameters, or None."""
    for route in routes:
        try:
            return route.url_path_for(name, **path_params)
        except NoMatchFound:
            pass
    return None


# -- what declarations are checked for -------------------------------------------------------------


def check_path(path: str, what: str) -> None:
    """Raise ``UsageError`` unless a path starts with a slash."""
    if not path.startswith("/"):
        raise UsageError(f"Routed paths must start with '/', got {path!r} for {what}.")


def checked_policy(policy: OnDisconnect | None) -> OnDisconnect | None:
    """An ``on_disconnect`` policy, if it is one.

    Raises:
        UsageError: it is not.
    """
    if policy not in (None, "finish", "cancel"):
        raise UsageError(f"Expected on_disconnect to be 'finish' or 'cancel', got {policy!r}.")
    return policy


def wrapped(
    app: ASGIApp, middleware: Sequence[Any] | None, max_body_size: int | None, where: str
) -> ASGIApp:
    """An app inside the layers declared for it, the outermost first, and inside its body limit."""
    app = fold(app, declarations(middleware, f"middleware= of {where}"))
    if max_body_size is not None:
        app = RequestBodyLimitMiddleware(app, max_body_size=max_body_size)
    return app
