"""What all security schemes share: reading credentials, refusing, comparing secrets.

Floor 6. Names and behaviour as FastAPI 0.165; the models of the schemes are plain dicts.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, TypeVar

from lamella._headers import values_in
from lamella.exceptions import HTTPException
from lamella.requests import HTTPConnection

__all__ = [
    "SecurityBase",
    "bearer_token",
    "compare_secrets",
    "credentials_of",
    "get_authorization_scheme_param",
    "only_value",
    "quoted",
    "scheme_model",
]

_T = TypeVar("_T")


class SecurityBase:
    """A security scheme: a dependency whose value is the credentials of a request.

    A subclass sets these attributes and defines ``async def __call__(self, request)``.

    Attributes:
        model: the Security Scheme Object that the OpenAPI document has for it.
        scheme_name: its name in that document.
        auto_error: whether a request without credentials is answered with 401, rather than giving
            None to who depends on it.

    Source: as FastAPI 0.165; OpenAPI 3.1 section 4.8.27.
    """

    model: dict[str, Any]
    scheme_name: str
    auto_error: bool = True

    def make_authenticate_headers(self) -> dict[str, str]:
        """The headers of a 401: the challenge that tells what credentials would do."""
        return {"WWW-Authenticate": "Bearer"}

    def make_not_authenticated_error(self) -> HTTPException:
        """The answer to a request without credentials; override it for another one."""
        return HTTPException(401, "Not authenticated", self.make_authenticate_headers())

    def _given(self, credentials: _T | None) -> _T | None:
        """Give credentials that are there and not empty, and else None, or raise the 401."""
        if credentials:
            return credentials
        if self.auto_error:
            raise self.make_not_authenticated_error()
        return None


def scheme_model(kind: str, description: str | None, **fields: Any) -> dict[str, Any]:
    """Make a Security Scheme Object, without the fields that are None."""
    model = {"type": kind, "description": description, **fields}
    return {name: value for name, value in model.items() if value is not None}


def only_value(values: Sequence[str]) -> str:
    """Give the one value that there is.

    Returns:
        "" if there is none; if there are several, since whoever stands in front of the application
        may have looked at another one; and if it holds control characters (U+0000 to U+001F,
        U+007F), which no credentials have.
    """
    if len(values) != 1:
        return ""
    (value,) = values
    # PERF: most values need no look at each character.
    if value.isprintable():
        return value
    return "" if any(char < " " or char == "\x7f" for char in value) else value


def get_authorization_scheme_param(authorization_header_value: str | None) -> tuple[str, str]:
    """Split the value of an ``Authorization`` header at its first blank.

    Returns:
        The scheme as sent, and what follows it; each "" where it is absent.

    Source: as FastAPI 0.165, where it is found in ``security.utils``; RFC 9110 section 11.4.
    """
    scheme, _, param = (authorization_header_value or "").partition(" ")
    return scheme, param.strip()


def credentials_of(request: HTTPConnection[Any]) -> tuple[str, str]:
    """Read the one ``Authorization`` header of a request: its scheme and what follows it."""
    return get_authorization_scheme_param(only_value(values_in(request.scope, b"authorization")))


def bearer_token(request: HTTPConnection[Any]) -> str:
    """Read the bearer token of a request (RFC 6750 section 2.1), "" without one."""
    scheme, token = credentials_of(request)
    return token if scheme.lower() == "bearer" else ""


def quoted(text: str) -> str:
    r"""Write a text as a quoted-string (RFC 9110 section 5.6.4): `"` and `\` escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def compare_secrets(given: str | bytes, expected: str | bytes) -> bool:
    """Tell whether two secrets are the same, in a time that does not tell where they differ.

    Args:
        given: what a client sent; any text, also beyond ASCII.
        expected: what it has to be. Only its length can be guessed from the time.
    """
    return secrets.compare_digest(_as_bytes(given), _as_bytes(expected))


def _as_bytes(secret: str | bytes) -> bytes:
    # Half a surrogate pair can be in a text that came as JSON, and is no reason to fail.
    return secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
