"""The schemes of HTTP's own ``Authorization`` header: Basic, Bearer, Digest.

Floor 6. Names and behaviour as FastAPI 0.165.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final

from msgspec import Struct

from lamella._headers import encode_header
from lamella.requests import HTTPConnection
from lamella.security.base import SecurityBase, credentials_of, quoted, scheme_model

__all__ = [
    "HTTPAuthorizationCredentials",
    "HTTPBase",
    "HTTPBasic",
    "HTTPBasicCredentials",
    "HTTPBearer",
    "HTTPDigest",
]

_HIDDEN: Final = "**********"


class HTTPBasicCredentials(Struct, kw_only=True):
    """What ``HTTPBasic`` gives. Its ``repr`` does not show the password, since logs have it.

    Attributes:
        username: ASCII without colon and control characters, may be empty.
        password: ASCII without control characters, may be empty.
    """

    username: str
    password: str

    def __repr__(self) -> str:
        return f"HTTPBasicCredentials(username={self.username!r}, password={_HIDDEN!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich prints."""
        return [("username", self.username), ("password", _HIDDEN)]


class HTTPAuthorizationCredentials(Struct, kw_only=True):
    """What ``HTTPBearer`` and ``HTTPDigest`` give. Its ``repr`` does not show the credentials.

    Attributes:
        scheme: as sent, in any case.
        credentials: what follows it, not empty; any Latin-1 text without control characters.
    """

    scheme: str
    credentials: str

    def __repr__(self) -> str:
        return f"HTTPAuthorizationCredentials(scheme={self.scheme!r}, credentials={_HIDDEN!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich prints."""
        return [("scheme", self.scheme), ("credentials", _HIDDEN)]


class HTTPBase(SecurityBase):
    """A scheme of the ``Authorization`` header; the value has whichever scheme was sent.

    Args:
        scheme: a name that is registered with IANA, for challenge and OpenAPI document.
        scheme_name: see ``SecurityBase``; the name of the class without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.

    Raises:
        ValueError: the name cannot stand in a header.
    """

    def __init__(
        self,
        *,
        scheme: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        encode_header("www-authenticate", scheme)
        self.model = scheme_model("http", description, scheme=scheme)
        self.scheme_name = scheme_name or type(self).__name__
        self.auto_error = auto_error

    def make_authenticate_headers(self) -> dict[str, str]:
        """The headers of a 401: a challenge of the scheme's name."""
        return {"WWW-Authenticate": str(self.model["scheme"]).title()}

    # Its subclasses give credentials of several types.
    async def __call__(self, request: HTTPConnection[Any]) -> Any:
        """Read the credentials of a request: ``HTTPAuthorizationCredentials``."""
        return self._credentials(request)

    def _credentials(
        self, request: HTTPConnection[Any], wanted: str | None = None
    ) -> HTTPAuthorizationCredentials | None:
        scheme, credentials = credentials_of(request)
        if not credentials or (wanted is not None and scheme.lower() != wanted):
            return self._given(None)
        return HTTPAuthorizationCredentials(scheme=scheme, credentials=credentials)


class HTTPBasic(HTTPBase):
    """Name and password, sent with each request (RFC 7617), as ``HTTPBasicCredentials``.

    What is not base64, not ASCII, has no colon or has control characters is refused also without
    ``auto_error``. Compare with ``compare_secrets``.

    Args:
        scheme_name: see ``SecurityBase``; ``HTTPBasic`` without it.
        realm: what the browser shows when it asks for them.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.

    Raises:
        ValueError: the realm cannot stand in a header.
    """

    def __init__(
        self,
        *,
        scheme_name: str | None = None,
        realm: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(
            scheme="basic",
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
        )
        if realm is not None:
            encode_header("www-authenticate", realm)
        self.realm = realm

    def make_authenticate_headers(self) -> dict[str, str]:
        """The headers of a 401: the challenge, with the realm if there is one."""
        realm = f" realm={quoted(self.realm)}" if self.realm else ""
        return {"WWW-Authenticate": f"Basic{realm}"}

    async def __call__(self, request: HTTPConnection[Any]) -> HTTPBasicCredentials | None:
        """Read the credentials of a request."""
        scheme, param = credentials_of(request)
        if scheme.lower() != "basic":
            return self._given(None)
        try:
            text = b64decode(param, validate=True).decode("ascii")
        except ValueError as exc:
            raise self.make_not_authenticated_error() from exc
        username, colon, password = text.partition(":")
        if not colon or not text.isprintable():
            raise self.make_not_authenticated_error()
        return HTTPBasicCredentials(username=username, password=password)


class HTTPBearer(HTTPBase):
    """A bearer token (RFC 6750), as ``HTTPAuthorizationCredentials``. Nothing is checked of it.

    Args:
        bearerFormat: what it is, for the OpenAPI document; say "JWT".
        scheme_name: see ``SecurityBase``; ``HTTPBearer`` without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.
    """

    def __init__(
        self,
        *,
        bearerFormat: str | None = None,  # noqa: N803 - as OpenAPI spells it
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(
            scheme="bearer",
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
        )
        if bearerFormat is not None:
            self.model["bearerFormat"] = bearerFormat

    async def __call__(self, request: HTTPConnection[Any]) -> HTTPAuthorizationCredentials | None:
        """Read the token of a request."""
        return self._credentials(request, "bearer")


class HTTPDigest(HTTPBase):
    """What a client says for Digest (RFC 7616), as ``HTTPAuthorizationCredentials``.

    Nothing is checked of it, and the challenge has no nonce: subclass it for both.

    Args:
        scheme_name: see ``SecurityBase``; ``HTTPDigest`` without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.
    """

    def __init__(
        self,
        *,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__(
            scheme="digest",
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
        )

    async def __call__(self, request: HTTPConnection[Any]) -> HTTPAuthorizationCredentials | None:
        """Read the credentials of a request."""
        return self._credentials(request, "digest")
