"""Security schemes: dependencies that take credentials from a request, and check JWTs.

Floor 6. Names, keywords and behaviour as FastAPI 0.165; ``JWT``, ``JWTBearer`` and
``compare_secrets`` are lamella's own.
"""

from lamella.security.api_key import APIKeyCookie, APIKeyHeader, APIKeyQuery
from lamella.security.base import SecurityBase, compare_secrets
from lamella.security.http import (
    HTTPAuthorizationCredentials,
    HTTPBase,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    HTTPDigest,
)
from lamella.security.jwt import JWT, JWTBearer
from lamella.security.oauth2 import (
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OAuth2PasswordRequestFormStrict,
    SecurityScopes,
)
from lamella.security.open_id_connect_url import OpenIdConnect

__all__ = [
    "JWT",
    "APIKeyCookie",
    "APIKeyHeader",
    "APIKeyQuery",
    "HTTPAuthorizationCredentials",
    "HTTPBase",
    "HTTPBasic",
    "HTTPBasicCredentials",
    "HTTPBearer",
    "HTTPDigest",
    "JWTBearer",
    "OAuth2",
    "OAuth2AuthorizationCodeBearer",
    "OAuth2PasswordBearer",
    "OAuth2PasswordRequestForm",
    "OAuth2PasswordRequestFormStrict",
    "OpenIdConnect",
    "SecurityBase",
    "SecurityScopes",
    "compare_secrets",
]
