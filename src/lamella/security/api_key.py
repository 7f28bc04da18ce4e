"""API keys, in the query string, in a header or in a cookie.

Floor 6. Names and behaviour as FastAPI 0.165.
"""

from __future__ import annotations

from typing import Any, Literal

from lamella._headers import check_header, values_in
from lamella.requests import HTTPConnection
from lamella.security.base import SecurityBase, only_value, scheme_model

__all__ = ["APIKeyBase", "APIKeyCookie", "APIKeyHeader", "APIKeyQuery"]


class APIKeyBase(SecurityBase):
    """What the three have in common.

    Args:
        location: "query", "header" or "cookie".
        name: of the parameter, header or cookie that has the key.
        description: for the OpenAPI document.
        scheme_name: see ``SecurityBase``; the name of the class without it.
        auto_error: see ``SecurityBase``.
    """

    def __init__(
        self,
        location: Literal["query", "header", "cookie"],
        name: str,
        description: str | None,
        scheme_name: str | None,
        auto_error: bool,
    ) -> None:
        self.model = scheme_model("apiKey", description, **{"in": location}, name=name)
        self.scheme_name = scheme_name or type(self).__name__
        self.auto_error = auto_error
        self._name = name

    def make_authenticate_headers(self) -> dict[str, str]:
        """The headers of a 401; one needs a challenge, and none is registered for API keys."""
        return {"WWW-Authenticate": "APIKey"}

    def check_api_key(self, api_key: str | None) -> str | None:
        """Give a key that is there.

        Raises:
            HTTPException: it is None or empty, and ``auto_error`` is True.
        """
        return self._given(api_key)


class APIKeyQuery(APIKeyBase):
    """An API key in the query string; it ends up in logs, so prefer a header.

    The value is the key as sent. Several keys are none.

    Args:
        name: of the query parameter.
        scheme_name: see ``SecurityBase``; ``APIKeyQuery`` without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.
    """

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__("query", name, description, scheme_name, auto_error)

    async def __call__(self, request: HTTPConnection[Any]) -> str | None:
        """Read the key of a request."""
        return self.check_api_key(only_value(request.query_params.getlist(self._name)))


class APIKeyHeader(APIKeyBase):
    """An API key in a header.

    The value is the key as sent. Several keys are none.

    Args:
        name: of the header, in any case.
        scheme_name: see ``SecurityBase``; ``APIKeyHeader`` without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.

    Raises:
        ValueError: the name is not one that a header can have.
    """

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        check_header(name, "")
        super().__init__("header", name, description, scheme_name, auto_error)
        self._raw_name = name.lower().encode("ascii")

    async def __call__(self, request: HTTPConnection[Any]) -> str | None:
        """Read the key of a request."""
        return self.check_api_key(only_value(values_in(request.scope, self._raw_name)))


class APIKeyCookie(APIKeyBase):
    """An API key in a cookie.

    The value is the key as sent. Of several cookies of that name, which browsers may have for
    several paths, it is the last.

    Args:
        name: of the cookie.
        scheme_name: see ``SecurityBase``; ``APIKeyCookie`` without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.
    """

    def __init__(
        self,
        *,
        name: str,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        super().__init__("cookie", name, description, scheme_name, auto_error)

    async def __call__(self, request: HTTPConnection[Any]) -> str | None:
        """Read the key of a request."""
        return self.check_api_key(only_value([request.cookies.get(self._name, "")]))
