"""``Host``: a host name and the app that serves it.

Floor 6. Name and behaviour as Starlette 1.10; found in ``routing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lamella._headers import parse_host
from lamella._paths import PathPattern, compile_path, replace_params
from lamella._route import BaseRoute, Match, NoMatchFound, first_url, path_params_of
from lamella.datastructures import Headers, URLPath
from lamella.exceptions import UsageError

if TYPE_CHECKING:
    import re

    from lamella.convertors import Convertor
    from lamella.types import ASGIApp, Scope

__all__ = ["Host"]


class Host(BaseRoute):
    """A host name and the app that serves it.

    Args:
        host: may have parameters, "{tenant}.example.org".
        app: an ASGI app.
        name: the prefix of names below it, "host:route".
        lifespan: see ``Mount``.
    """

    __module__ = "lamella.routing"  # where it is found
    host: str
    name: str | None
    host_regex: PathPattern | re.Pattern[str]
    host_format: str
    param_convertors: dict[str, Convertor[Any]]
    lifespan: bool | None = None
    is_mount = True

    def __init__(
        self, host: str, app: ASGIApp, name: str | None = None, *, lifespan: bool | None = None
    ) -> None:
        if host.startswith("/"):
            raise UsageError(f"Host must not start with '/', got {host!r}.")
        self.host = host
        self.app = app
        self.name = name
        self.lifespan = lifespan
        self.host_regex, self.host_format, self.param_convertors = compile_path(host)

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the app, if it has any."""
        return cast("list[BaseRoute]", getattr(self.app, "routes", []))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the ``Host`` header without its port."""
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        host = _host_name(Headers(scope=scope).get("host", ""))
        if host is None:
            return Match.NONE, {}
        if isinstance(self.host_regex, PathPattern):
            params = self.host_regex.params(host, self.param_convertors)
        else:
            params = path_params_of(self.host_regex, host, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        path_params = {**scope.get("path_params", {}), **params}
        return Match.FULL, {"path_params": path_params, "endpoint": self.app}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of the route of that name at this host."""
        if self.name is not None and name == self.name and "path" in path_params:
            path = path_params.pop("path")
            host, rest = replace_params(self.host_format, self.param_convertors, path_params)
            if not rest:
                return URLPath(path=path, host=host)
        elif self.name is None or name.startswith(self.name + ":"):
            inner_name = name if self.name is None else name[len(self.name) + 1 :]
            host, rest = replace_params(self.host_format, self.param_convertors, path_params)
            url = first_url(self.routes, inner_name, rest)
            if url is not None:
                return URLPath(path=str(url), protocol=url.protocol, host=host)
        raise NoMatchFound(name, path_params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and self.host == other.host and self.app == other.app

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        name = self.name or ""
        return f"{type(self).__name__}(host={self.host!r}, name={name!r}, app={self.app!r})"


def _host_name(header: str) -> str | None:
    """The name in a ``Host`` header, without any port, in lower case; None if it holds none."""
    parsed = parse_host(header)
    return None if parsed is None else parsed.host.lower()
