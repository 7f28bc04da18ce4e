"""OAuth2: its flows for the OpenAPI document, and the form of its password flow.

Floor 6. Names and behaviour as FastAPI 0.165.
"""

# Annotations are evaluated here, once; as text they would be in each program that uses a form.
from collections.abc import Mapping
from typing import Annotated, Any, Final

from lamella._headers import values_in
from lamella.exceptions import UsageError
from lamella.param_functions import Form
from lamella.params import SecurityScopes
from lamella.requests import HTTPConnection
from lamella.security.base import SecurityBase, bearer_token, only_value, scheme_model

__all__ = [
    "OAuth2",
    "OAuth2AuthorizationCodeBearer",
    "OAuth2PasswordBearer",
    "OAuth2PasswordRequestForm",
    "OAuth2PasswordRequestFormStrict",
    "SecurityScopes",
]

# RFC 6749 section 4, and OpenAPI 3.1 section 4.8.29: what each flow has to tell.
_FLOWS: Final = {
    "implicit": ("authorizationUrl",),
    "password": ("tokenUrl",),
    "clientCredentials": ("tokenUrl",),
    "authorizationCode": ("authorizationUrl", "tokenUrl"),
}


class OAuth2PasswordRequestForm:
    """The form by which a client asks for a token with name and password.

    Use it as a dependency: ``form: Annotated[OAuth2PasswordRequestForm, Depends()]``.

    Args:
        grant_type: "password" or absent.
        username: of the resource owner.
        password: of the resource owner.
        scope: what the token shall be for: names with blanks between them.
        client_id: of the client; HTTP Basic is the better place for it.
        client_secret: of the client; as ``client_id``.

    Attributes:
        scopes: the names in ``scope``, a list.

    Source: RFC 6749 section 4.3.2.
    """

    def __init__(
        self,
        *,
        grant_type: Annotated[str | None, Form(pattern="^password$")] = None,
        username: Annotated[str, Form()],
        password: Annotated[str, Form(json_schema_extra={"format": "password"})],
        scope: Annotated[str, Form()] = "",
        client_id: Annotated[str | None, Form()] = None,
        client_secret: Annotated[str | None, Form(json_schema_extra={"format": "password"})] = None,
    ) -> None:
        self.grant_type = grant_type
        self.username = username
        self.password = password
        self.scopes = scope.split()
        self.client_id = client_id
        self.client_secret = client_secret


class OAuth2PasswordRequestFormStrict(OAuth2PasswordRequestForm):
    """The same form, in which ``grant_type`` has to be there, as the RFC has it.

    Args:
        grant_type: "password".
        username: see ``OAuth2PasswordRequestForm``, as all others.
        password: of the resource owner.
        scope: what the token shall be for.
        client_id: of the client.
        client_secret: of the client.
    """

    def __init__(
        self,
        grant_type: Annotated[str, Form(pattern="^password$")],
        username: Annotated[str, Form()],
        password: Annotated[str, Form()],
        scope: Annotated[str, Form()] = "",
        client_id: Annotated[str | None, Form()] = None,
        client_secret: Annotated[str | None, Form()] = None,
    ) -> None:
        super().__init__(
            grant_type=grant_type,
            username=username,
            password=password,
            scope=scope,
            client_id=client_id,
            client_secret=client_secret,
        )


class OAuth2(SecurityBase):
    """OAuth2 with flows of your own; the value is the whole ``Authorization`` header.

    Args:
        flows: the OAuth Flows Object of the OpenAPI document: flow to its fields. A flow's
            ``scopes`` are {} without any.
        scheme_name: see ``SecurityBase``; the name of the class without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.

    Raises:
        UsageError: a flow that OAuth2 does not have, one that lacks a URL, or scopes that are not
            a mapping.
    """

    def __init__(
        self,
        *,
        flows: Mapping[str, Mapping[str, Any]] | None = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        checked = {name: _checked_flow(name, fields) for name, fields in (flows or {}).items()}
        self.model = scheme_model("oauth2", description, flows=checked)
        self.scheme_name = scheme_name or type(self).__name__
        self.auto_error = auto_error

    async def __call__(self, request: HTTPConnection[Any]) -> str | None:
        """Read the ``Authorization`` header of a request."""
        return self._given(only_value(values_in(request.scope, b"authorization")))


class OAuth2PasswordBearer(OAuth2):
    """A bearer token that was got for name and password; the value is the token.

    Args:
        tokenUrl: where ``OAuth2PasswordRequestForm`` is sent; relative to the document's server.
        scheme_name: see ``SecurityBase``; ``OAuth2PasswordBearer`` without it.
        scopes: name to description of what a token may be for.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.
        refreshUrl: where a new token is got for an old one.

    Raises:
        UsageError: scopes that are not a mapping.
    """

    def __init__(
        self,
        tokenUrl: str,  # noqa: N803 - as OpenAPI spells it
        scheme_name: str | None = None,
        scopes: Mapping[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
        refreshUrl: str | None = None,  # noqa: N803
    ) -> None:
        flow = {"tokenUrl": tokenUrl, "refreshUrl": refreshUrl, "scopes": scopes}
        super().__init__(
            flows={"password": flow},
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
        )

    async def __call__(self, request: HTTPConnection[Any]) -> str | None:
        """Read the token of a request."""
        return self._given(bearer_token(request))


class OAuth2AuthorizationCodeBearer(OAuth2):
    """A bearer token that was got for a code from an authorization server; the value is the token.

    Args:
        authorizationUrl: the page where a user agrees.
        tokenUrl: where the token is got.
        refreshUrl: where a new token is got for an old one.
        scheme_name: see ``SecurityBase``; ``OAuth2AuthorizationCodeBearer`` without it.
        scopes: name to description of what a token may be for.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.

    Raises:
        UsageError: scopes that are not a mapping.
    """

    def __init__(
        self,
        authorizationUrl: str,  # noqa: N803 - as OpenAPI spells it
        tokenUrl: str,  # noqa: N803
        refreshUrl: str | None = None,  # noqa: N803
        scheme_name: str | None = None,
        scopes: Mapping[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
    ) -> None:
        flow = {
            "authorizationUrl": authorizationUrl,
            "tokenUrl": tokenUrl,
            "refreshUrl": refreshUrl,
            "scopes": scopes,
        }
        super().__init__(
            flows={"authorizationCode": flow},
            scheme_name=scheme_name,
            description=description,
            auto_error=auto_error,
        )

    async def __call__(self, request: HTTPConnection[Any]) -> str | None:
        """Read the token of a request."""
        return self._given(bearer_token(request))


def _checked_flow(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """One OAuth Flow Object, without the fields that are None."""
    if name not in _FLOWS:
        raise UsageError(f"Expected a flow of OAuth2, one of {', '.join(_FLOWS)}, got {name!r}.")
    flow = {key: value for key, value in fields.items() if value is not None}
    scopes = flow.setdefault("scopes", {})
    if not isinstance(scopes, Mapping):
        raise UsageError(
            f"Expected the scopes of an OAuth2 flow with a description each, got {scopes!r}; write"
            ' scopes={"items:read": "Read items"}.'
        )
    for field in _FLOWS[name]:
        if field not in flow:
            raise UsageError(
                f"Expected {field!r} in the {name!r} flow of OAuth2, got {sorted(flow)}."
            )
    return flow
