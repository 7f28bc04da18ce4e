"""OpenID Connect, as far as the OpenAPI document needs it.

Floor 6. Names and behaviour as FastAPI 0.165.
"""

from __future__ import annotations

from typing import Any

from lamella._headers import values_in
from lamella.requests import HTTPConnection
from lamella.security.base import SecurityBase, only_value, scheme_model

__all__ = ["OpenIdConnect"]


class OpenIdConnect(SecurityBase):
    """OpenID Connect; the value is the whole ``Authorization`` header.

    It tells clients where the provider describes itself. It does not ask the provider anything:
    check tokens in a subclass, or use ``JWTBearer`` with this as its ``scheme``.

    Args:
        openIdConnectUrl: of the provider's ``/.well-known/openid-configuration``.
        scheme_name: see ``SecurityBase``; ``OpenIdConnect`` without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.
    """

    def __init__(
        self,
        *,
        openIdConnectUrl: str,  # noqa: N803 - as OpenAPI spells it
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        self.model = scheme_model("openIdConnect", description, openIdConnectUrl=openIdConnectUrl)
        self.scheme_name = scheme_name or type(self).__name__
        self.auto_error = auto_error

    async def __call__(self, request: HTTPConnection[Any]) -> str | None:
        """Read the ``Authorization`` header of a request."""
        return self._given(only_value(values_in(request.scope, b"authorization")))
