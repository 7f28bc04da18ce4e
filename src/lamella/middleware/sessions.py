"""A session that lives in a signed cookie.

Floor 5. Names, arguments and cookie as Starlette 1.10, so sessions survive a move in either
direction: base64 of JSON with the time, signed with HMAC. It is signed and not secret: its user can
read it.
"""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final, Literal, Self, cast

from lamella._headers import check_header, values_in
from lamella.datastructures import MutableHeaders
from lamella.engine.stack import Layer
from lamella.exceptions import UsageError
from lamella.requests import HTTPConnection

try:
    from itsdangerous import TimestampSigner
    from itsdangerous.exc import BadSignature
except ModuleNotFoundError as _exc:
    if _exc.name != "itsdangerous":  # installed, but something that it needs is not
        raise
    raise ImportError(
        "lamella.middleware.sessions needs itsdangerous; install it with: pip install"
        ' "lamella[sessions]"'
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable

    from lamella.datastructures import Secret
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Session", "SessionMiddleware"]

COOKIE_SIZE: Final = 4096
"""Bytes of name and value that browsers store (RFC 6265 section 6.1); what is longer is lost."""

_LONG_AGO: Final = "expires=Thu, 01 Jan 1970 00:00:00 GMT; "
_logger = logging.getLogger("lamella.sessions")


class Session(dict[str, Any]):
    """A session: a dict that knows whether it was looked at and whether it was changed.

    Attributes:
        accessed: whether anybody looked; the response then depends on the cookie.
        modified: whether a key was set or removed; the session is then sent.

    A change inside a value, as ``session["cart"].append(1)``, is found when the response is made.
    """

    accessed = False
    modified = False
    # A missing key was to be popped: this tells of the session, yet is no access in Starlette.
    _missed = False
    # Whether the cookie is decided on, so that what changes from now on is lost; None for one that
    # is not a layer's own.
    _sent: bool | None = None

    def mark_accessed(self) -> None:
        """Note that somebody looked."""
        self.accessed = True

    def mark_modified(self) -> None:
        """Note a change."""
        self.accessed = self.modified = True
        if self._sent:
            self._sent = False  # said once
            _logger.warning(
                "a session was changed after its response had begun: the change is lost;"
                " change it before the response is returned, or the websocket accepted",
                stacklevel=3,
            )

    def __setitem__(self, key: str, value: Any) -> None:
        self.mark_modified()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self.mark_modified()
        super().__delitem__(key)

    def __ior__(self, other: Any, /) -> Self:  # type: ignore[override,misc]
        self.mark_modified()
        return super().__ior__(other)

    def clear(self) -> None:
        """Remove everything; the browser is told to forget the cookie."""
        self.mark_modified()
        super().clear()

    def pop(self, key: str, *default: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Remove a key; a missing one changes nothing."""
        if super().__contains__(key):
            self.mark_modified()
        else:
            self._missed = True
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        """Remove the last key."""
        self.mark_accessed()
        item = super().popitem()
        self.mark_modified()
        return item

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Set a key that is missing."""
        self.mark_accessed()
        if not super().__contains__(key):
            self.mark_modified()
        return super().setdefault(key, default)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several keys."""
        self.mark_modified()
        super().update(*args, **kwargs)


_READING: Final = (
    *("__contains__", "__eq__", "__getitem__", "__iter__", "__len__", "__ne__", "__or__"),
    *("__repr__", "__reversed__", "__ror__", "copy", "get", "items", "keys", "values"),
)


def _marking(name: str) -> Callable[..., Any]:
    """A method of dict that notes that somebody looked."""
    method = getattr(dict, name)

    def read(self: Session, *args: Any) -> Any:
        self.accessed = True
        return method(self, *args)

    read.__name__, read.__doc__ = name, method.__doc__
    return read


# However it is looked at, by `request.session` or by the scope: CVE-2026-27205 was a `len`.
for _name in _READING:
    setattr(Session, _name, _marking(_name))


class SessionMiddleware(Layer):
    """Gives each request and websocket a ``Session`` as ``scope["session"]``.

    The cookie is sent if the session was changed, with the response or with the acceptance of a
    websocket. Its age counts from its last change. ``Vary: Cookie`` is set if it was looked at.

    Args:
        app: what is inside.
        secret_key: signs the cookie; whoever has it can write sessions. 32 random bytes as text,
            ``secrets.token_urlsafe(32)``, kept outside of the code.
        session_cookie: the cookie's name.
        max_age: seconds that a session is accepted for; None for as long as the browser runs.
        path: the path the cookie is sent for.
        same_site: "lax", "strict" or "none"; browsers take "none" with ``https_only`` alone.
        https_only: the cookie is sent over https only.
        domain: the domain the cookie is sent to; this host alone without one.
        partitioned: keep it apart for each top-level site (CHIPS).

    Raises:
        ValueError: an empty key, or a name, path or domain that no cookie can have; also
            ``__Host-`` and ``__Secure-`` names without what they demand (RFC 6265bis 4.1.3).
    """

    is_dispatch_layer = True

    def __init__(
        self,
        app: ASGIApp,
        secret_key: str | Secret,
        session_cookie: str = "session",
        max_age: int | None = 14 * 24 * 60 * 60,
        path: str = "/",
        same_site: Literal["lax", "strict", "none"] = "lax",
        https_only: bool = False,
        domain: str | None = None,
        partitioned: bool = False,
    ) -> None:
        super().__init__(app)
        self.signer = TimestampSigner(_checked_key(secret_key))
        self.session_cookie = session_cookie
        self.max_age = max_age
        self.path = path
        self.security_flags = _flags(same_site, https_only, domain, partitioned)
        self._line("null")  # so that what is wrong is found now

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        request._direct = False  # the response of a foreign app gets its cookie, too
        session, stored = self._read(request)
        session._sent = False
        request.scope["session"] = session
        response = await self._inner(request)
        session = _current(request.scope, session)
        if session.accessed or session._missed:
            response.headers.add_vary_header("Cookie")
        if session.accessed or session.modified:
            self._write(session, stored, response.headers)
        session._sent = True
        return response

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give a websocket its session; the lifespan passes."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        session, stored = self._read(HTTPConnection(scope))
        session._sent = False
        scope["session"] = session

        async def send_with_cookie(message: Message) -> None:
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                current = _current(scope, session)
                message = {**message, "headers": list(message.get("headers", ()))}
                self._write(current, stored, MutableHeaders(raw=message["headers"]))
                current._sent = True
            await send(message)

        await self._app(scope, receive, send_with_cookie)

    # -- the cookie ----------------------------------------------------------------------------

    def _read(self, conn: HTTPConnection[Any]) -> tuple[Session, bytes]:
        """The session that came in and its JSON; empty ones for a cookie that is none of ours."""
        # PERF: most requests have no session, and many an endpoint asks for no other cookie.
        if not any(self.session_cookie in value for value in values_in(conn.scope, b"cookie")):
            return Session(), b""
        cookie = conn.cookies.get(self.session_cookie)
        if cookie is None:
            return Session(), b""
        try:
            stored = b64decode(self.signer.unsign(cookie.encode(), max_age=self.max_age))
            content = json.loads(stored)
        except (BadSignature, ValueError, RecursionError):
            return Session(), b""
        if not isinstance(content, dict):
            return Session(), b""
        return Session(cast("dict[str, Any]", content)), stored

    def _write(self, session: Session, stored: bytes, headers: MutableHeaders) -> None:
        """Add the cookie to the headers of a response if the session is not what came in."""
        if not session.modified and not (session.accessed and _is_nested(stored)):
            return
        content = json.dumps(session).encode() if session else b""
        if session.modified or content != stored:
            if content:
                value = self.signer.sign(b64encode(content)).decode()
                headers.append("Set-Cookie", self._line(value))
            elif stored:
                headers.append("Set-Cookie", self._line("null"))

    def _line(self, value: str) -> str:
        """The Set-Cookie line for a value; "null" has the browser forget the cookie.

        Raises:
            ValueError: a name or an attribute that no cookie can have.
        """
        name, path, flags = self.session_cookie, self.path, self.security_flags
        _check_name(name, path, flags)
        _check_attribute("path", path)
        size = len(name) + len(value)
        if size > COOKIE_SIZE:
            _logger.warning(
                "a session of %d bytes is more than the %d that browsers store, and will be lost;"
                " keep a key in the session, and the rest in a database",
                size,
                COOKIE_SIZE,
            )
        if value == "null":
            life = _LONG_AGO
        else:
            life = "" if self.max_age is None else f"Max-Age={self.max_age}; "
        return f"{name}={value}; path={path}; {life}{flags}"


def _current(scope: Scope, session: Session) -> Session:
    """The session to be sent: a dict that an endpoint put in its place counts as changed.

    Those of other layers do not count; one of this kind may stand further in.
    """
    found = scope.get("session")
    if type(found) is dict:
        found = Session(cast("dict[str, Any]", found))
    elif type(found) is not Session or found._sent is not None:
        return session
    found.mark_modified()
    return found


def _is_nested(stored: bytes) -> bool:
    """Whether the JSON of a session has values that can be changed in place."""
    return b"[" in stored or b"{" in stored[1:]


def _checked_key(secret_key: object) -> str:
    # What is None is meant to be read from somewhere and is not there; as text it were "None".
    key = "" if secret_key is None else str(secret_key)
    if not key.strip():
        raise UsageError(
            "Expected a secret_key that nobody can guess for SessionMiddleware, got an empty one;"
            ' make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return key


def _flags(same_site: str, https_only: bool, domain: str | None, partitioned: bool) -> str:
    """What follows name, path and age on the Set-Cookie line.

    Raises:
        ValueError: a domain or same_site that could end the cookie or the header.
    """
    if same_site not in ("lax", "strict", "none"):
        raise UsageError(f"Expected same_site to be 'lax', 'strict' or 'none', got {same_site!r}.")
    if (same_site == "none" or partitioned) and not https_only:
        _logger.warning(
            "browsers refuse a session cookie that is same_site='none' or partitioned without"
            " https_only=True"
        )
    flags = "httponly; samesite=" + same_site
    if https_only:
        flags += "; secure"
    if domain is not None:
        _check_attribute("domain", domain)
        flags += f"; domain={domain}"
    return flags + "; partitioned" if partitioned else flags


def _check_attribute(what: str, value: str) -> None:
    """Refuse text that could end the attribute, the cookie or the header (RFC 6265 4.1.1)."""
    if ";" in value or not value.isascii() or not value.isprintable():
        raise UsageError(
            f"Expected the {what} of a session cookie in printable ASCII without ';', got"
            f" {value!r}."
        )


def _check_name(name: str, path: str, flags: str) -> None:
    """Refuse a name that no cookie can have, or that browsers take from other cookies only."""
    try:
        check_header(name, "")
    except ValueError:
        raise UsageError(
            "Expected a name of letters, digits and !#$%&'*+-.^_`|~ for the session cookie, got"
            f" {name!r}."
        ) from None
    lower = name.lower()
    if not lower.startswith(("__host-", "__secure-")):
        return
    if "secure" not in flags.split("; "):
        raise UsageError(f"Expected https_only=True for the session cookie {name!r}.")
    if lower.startswith("__host-") and (path != "/" or "; domain=" in flags):
        raise UsageError(f"Expected path='/' and no domain for the session cookie {name!r}.")
