"""URLs: built from the parts of a scope, taken apart and changed.

Floor 1, offered to users by `datastructures`. A URL of a request is never glued together and parsed
again to learn its parts: what `path` says is what was routed, whatever the Host header holds. Its
text is escaped so far that parsing it elsewhere gives the same parts.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl, quote, quote_from_bytes, urlencode, urlsplit

from lamella._headers import parse_host
from lamella.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lamella.types import Scope

__all__ = ["URL", "Address", "URLPath", "decode_query", "location_of"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PLAIN_SCHEMES = {"http": "http", "websocket": "ws"}
_SECURE_SCHEMES = {"http": "https", "websocket": "wss"}
_AUTHORITY = frozenset({"username", "password", "hostname", "port"})
_MASK = "********"

_is_scheme = re.compile(r"[a-z][a-z0-9+.\-]*").fullmatch

# What ends a path or a query, what browsers read as a slash, and what `urlsplit` drops in silence.
_PATH_BREAKERS = re.compile(r"[\x00-\x1f?#\\\x7f]")
_QUERY_BREAKERS = re.compile(r"[\x00-\x1f#\x7f]")
_NOT_ASCII = {byte: f"%{byte:02X}" for byte in range(0x80, 0x100)}


class Address(NamedTuple):
    """One end of a connection.

    Attributes:
        host: IP address or name.
        port: 0 to 65535.
    """

    host: str
    port: int


Address.__module__ = "lamella.datastructures"  # where it is found


def decode_query(raw: bytes) -> str:
    """Give a query string as text, whatever bytes a client sent; never raises.

    UTF-8 is decoded. Where the bytes are not UTF-8, all that are not ASCII are percent-encoded, so
    parsing gives U+FFFD for the bad ones and keeps the rest.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1").translate(_NOT_ASCII)


def location_of(path: str, query_string: bytes = b"") -> str:
    """Write where a redirect to another path of this origin leads (RFC 9110 section 10.2.2).

    Without scheme and host, so no Host header is reflected, and no path is read as another host.

    Args:
        path: from the first slash on, decoded as `scope["path"]` is.
        query_string: encoded as `scope["query_string"]` is.
    """
    location = quote(path, safe="/:@!$&'()*+,;=~", errors="replace")
    if path.startswith("//"):
        location = f"/.{location}"
    query = quote_from_bytes(query_string, safe="/:@!$&'()*+,;=~?%[]")
    return f"{location}?{query}" if query else location


class URL:
    """A URL that does not change; its methods give a new one.

    Args:
        url: the text, absolute or not.
        scope: the ASGI scope of a request; its Host header counts if it is a valid one, else
            `scope["server"]`; without either the URL has neither scheme nor host.
        **components: `scheme`, `netloc`, `path`, `query`, `fragment`, `username`, `password`,
            `hostname`, `port`.

    Raises:
        UsageError: more than one of the three is given.

    From a scope, `path` is `scope["path"]`, where `?`, `#`, backslash and control characters are
    percent-encoded and a leading slash is put where it is missing.

    Source: as Starlette 1.10, which leaves control characters and raises for a query not in UTF-8.
    """

    __module__ = "lamella.datastructures"  # where it is found

    def __init__(self, url: str = "", scope: Scope | None = None, **components: Any) -> None:
        if bool(url) + (scope is not None) + bool(components) > 1:
            raise UsageError(
                "Expected one of url, scope and components, got more; "
                "make the URL from one, then change it with replace()."
            )
        self._components: SplitResult | None = None
        if scope is not None:
            self._components = _split_scope(scope)
            self._url = _join_escaped(self._components)
        elif components:
            self._url = str(URL().replace(**components))
        else:
            self._url = str(url)

    @property
    def components(self) -> SplitResult:
        """All parts, as `urllib.parse.urlsplit` gives them.

        Raises:
            ValueError: a text given by the user is not a URL, such as `http://[`.
        """
        if self._components is None:
            self._components = urlsplit(self._url)
        return self._components

    @property
    def scheme(self) -> str:
        """Lower case, without the colon; "" in a relative URL."""
        return self.components.scheme

    @property
    def netloc(self) -> str:
        """User, password, host and port, as they stand; "" in a relative URL."""
        return self.components.netloc

    @property
    def path(self) -> str:
        """From the host to the query; not percent-decoded, except that a server has done so."""
        return self.components.path

    @property
    def query(self) -> str:
        """Without the question mark; "" without one."""
        return self.components.query

    @property
    def fragment(self) -> str:
        """Without the hash sign; "" without one."""
        return self.components.fragment

    @property
    def username(self) -> str | None:
        """From the netloc; None without one."""
        return self.components.username

    @property
    def password(self) -> str | None:
        """From the netloc; None without one."""
        return self.components.password

    @property
    def hostname(self) -> str | None:
        """Lower case, an IPv6 address without brackets; None without one."""
        return self.components.hostname

    @property
    def port(self) -> int | None:
        """As written; None where the URL names none.

        Raises:
            ValueError: it is not a number of 0 to 65535.
        """
        return self.components.port

    @property
    def is_secure(self) -> bool:
        """True for https and wss."""
        return self.scheme in {"https", "wss"}

    def replace(self, **kwargs: Any) -> URL:
        """Give a URL with other parts; names as for the class.

        A part given as None is taken out, except the hostname, which then stays as it is. An IPv6
        hostname may come without brackets.
        """
        parts = {key: kwargs.pop(key) for key in _AUTHORITY.intersection(kwargs)}
        if parts:
            kwargs["netloc"] = self._replace_authority(**parts)
        components = self.components._replace(**kwargs)
        if components.path.startswith("//") and not (components.netloc or components.scheme):
            components = components._replace(path=_hide_authority(components.path))
        return type(self)(components.geturl())

    def _replace_authority(self, **parts: Any) -> str:
        hostname = parts.get("hostname")
        netloc = _host_of(self.netloc) if hostname is None else _bracket(hostname)
        port = parts.get("port", self.port)
        username = parts.get("username", self.username)
        password = parts.get("password", self.password)
        if port is not None:
            netloc = f"{netloc}:{port}"
        if username is None:
            return netloc
        return f"{username}@{netloc}" if password is None else f"{username}:{password}@{netloc}"

    def include_query_params(self, **kwargs: Any) -> URL:
        """Give a URL with these parameters; each takes the place of all of its name."""
        items = [(key, value) for key, value in self._query_items() if key not in kwargs]
        return self._with_query([*items, *kwargs.items()])

    def replace_query_params(self, **kwargs: Any) -> URL:
        """Give a URL with these parameters and no others."""
        return self._with_query(kwargs.items())

    def remove_query_params(self, keys: str | Sequence[str]) -> URL:
        """Give a URL without the parameters of this name or these names."""
        removed = {keys} if isinstance(keys, str) else set(keys)
        return self._with_query(item for item in self._query_items() if item[0] not in removed)

    def _query_items(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query, keep_blank_values=True)

    def _with_query(self, items: Iterable[tuple[str, Any]]) -> URL:
        return self.replace(query=urlencode([(key, str(value)) for key, value in items]))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    # As in Starlette: it equals any text that reads the same, so it has no hash of its own.
    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        shown = self.replace(password=_MASK) if self.password else self
        return f"{type(self).__name__}({str(shown)!r})"


class URLPath(str):  # noqa: SLOT000 - users may set attributes, as on Starlette's
    r"""A path made by `url_path_for`, with the protocol and host that its route demands.

    Args:
        path: the path; a second leading slash and every backslash are percent-encoded, since they
            would make a host of the first segment.
        protocol: "http", "websocket", or "" for either.
        host: a host with or without port, or "".

    Raises:
        UsageError: the protocol is another.

    Source: as Starlette 1.10.
    """

    __module__ = "lamella.datastructures"  # where it is found

    protocol: Literal["http", "websocket", ""]
    host: str

    def __new__(
        cls, path: str, protocol: Literal["http", "websocket", ""] = "", host: str = ""
    ) -> Self:
        """Make the text and keep the other two."""
        if protocol not in {"http", "websocket", ""}:
            raise UsageError(f"Expected protocol 'http', 'websocket' or '', got {protocol!r}.")
        path = path.replace("\\", "%5C")
        self = super().__new__(cls, _hide_authority(path) if path.startswith("//") else path)
        self.protocol = protocol
        self.host = host
        return self

    def make_absolute_url(self, base_url: str | URL) -> URL:
        """Give the URL of this path below the path of another, which gives what this lacks.

        The scheme is that of the protocol, secure if the base is; host and port are those of the
        route if it demands any.
        """
        base = URL(base_url) if isinstance(base_url, str) else base_url
        schemes = _SECURE_SCHEMES if base.is_secure else _PLAIN_SCHEMES
        return URL(
            scheme=schemes.get(self.protocol, base.scheme),
            netloc=self.host or base.netloc,
            path=base.path.rstrip("/") + str(self),
        )


def _split_scope(scope: Scope) -> SplitResult:
    scheme = scope.get("scheme", "http")
    if scheme not in _DEFAULT_PORTS:
        # A proxy header may have set it, and it stands first in the text.
        scheme = scheme.lower() if _is_scheme(scheme.lower()) else "http"
    path = _escape(_PATH_BREAKERS, scope["path"])
    if path and path[0] != "/":
        path = f"/{path}"
    query = _escape(_QUERY_BREAKERS, decode_query(scope.get("query_string", b"")))
    netloc = _host_header(scope) or _server(scope.get("server"), scheme)
    if netloc:
        return SplitResult(scheme, netloc, path, query, "")
    if path.startswith("//"):
        path = _hide_authority(path)
    return SplitResult("", "", path, query, "")


def _join_escaped(parts: SplitResult) -> str:
    """Give the text of parts that are escaped already."""
    text = f"{parts.scheme}://{parts.netloc}{parts.path}" if parts.netloc else parts.path
    return f"{text}?{parts.query}" if parts.query else text


def _escape(breakers: re.Pattern[str], text: str) -> str:
    return breakers.sub(lambda match: f"%{ord(match[0]):02X}", text)


def _hide_authority(path: str) -> str:
    """Percent-encode the second of two leading slashes, so that no host is read from a path."""
    return f"/%2F{path[2:]}"


def _host_header(scope: Scope) -> str:
    """Give the first Host header if it is a valid one, else ""."""
    headers: Sequence[tuple[bytes, bytes]] = scope.get("headers", ())
    if not isinstance(headers, (list, tuple)):
        # Any iterable is allowed, and the next reader wants it too.
        headers = scope["headers"] = list(headers)
    for name, value in headers:
        if name == b"host":
            host = parse_host(value.decode("latin-1"))
            return host.authority if host is not None and host.is_valid_port else ""
    return ""


def _server(server: Sequence[Any] | None, scheme: str) -> str:
    """Give `scope["server"]` as a netloc; "" for none, or for the path of a unix socket."""
    if server is None:
        return ""
    host = parse_host(_bracket(server[0]))
    if host is None:
        return ""
    port = server[1]
    return host.host if port in {None, _DEFAULT_PORTS.get(scheme)} else f"{host.host}:{port}"


def _bracket(hostname: str) -> str:
    """Put an IPv6 address into brackets; give other names, and ones in brackets, as they are."""
    try:
        IPv6Address(hostname)
    except AddressValueError:
        return hostname
    return f"[{hostname}]"


def _host_of(netloc: str) -> str:
    """Give the host of a netloc as written, an IP literal with its brackets."""
    host = netloc.rpartition("@")[2]
    return host if host.endswith("]") else host.rsplit(":", 1)[0]
