"""What all schemes share."""

import inspect

import pytest

from lamella.exceptions import HTTPException
from lamella.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPBase,
    HTTPBasic,
    HTTPBearer,
    HTTPDigest,
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OpenIdConnect,
    SecurityBase,
    SecurityScopes,
    compare_secrets,
)
from lamella.security.base import get_authorization_scheme_param
from tests.security_schemes.asking import ask, authorized, over_websocket, request_of, run

# Each with a request that has its credentials.
SCHEMES = {
    "query": (APIKeyQuery, {"name": "k"}, request_of(query=b"k=v")),
    "header": (APIKeyHeader, {"name": "X-K"}, request_of(("x-k", "v"))),
    "cookie": (APIKeyCookie, {"name": "k"}, request_of(cookie="k=v")),
    "base": (HTTPBase, {"scheme": "other"}, authorized("other v")),
    "basic": (HTTPBasic, {}, authorized("Basic YTpi")),
    "bearer": (HTTPBearer, {}, authorized("Bearer v")),
    "digest": (HTTPDigest, {}, authorized("Digest v")),
    "oauth2": (OAuth2, {}, authorized("Bearer v")),
    "password": (OAuth2PasswordBearer, {"tokenUrl": "token"}, authorized("Bearer v")),
    "code": (
        OAuth2AuthorizationCodeBearer,
        {"authorizationUrl": "auth", "tokenUrl": "token"},
        authorized("Bearer v"),
    ),
    "openid": (OpenIdConnect, {"openIdConnectUrl": "/openid"}, authorized("Bearer v")),
}
every_scheme = pytest.mark.parametrize(
    ("cls", "options", "request_"), SCHEMES.values(), ids=list(SCHEMES)
)


@every_scheme
def test_no_credentials_are_a_401_with_a_challenge(cls, options, request_):
    status, detail, challenge = ask(cls(**options), request_of())
    assert (401, "Not authenticated") == (status, detail)
    assert challenge


@every_scheme
def test_without_auto_error_no_credentials_are_none(cls, options, request_):
    assert ask(cls(**options, auto_error=False), request_of()) is None


@every_scheme
def test_a_websocket_is_asked_as_a_request_is(cls, options, request_):
    scheme = cls(**options)
    assert ask(scheme, request_)
    assert ask(scheme, request_) == ask(scheme, over_websocket(request_))


@every_scheme
def test_the_error_can_be_overridden(cls, options, request_):
    class Teapot(cls):
        def make_not_authenticated_error(self):
            return HTTPException(418, "no", {"WWW-Authenticate": "Tea"})

    assert (418, "no", "Tea") == ask(Teapot(**options), request_of())


@every_scheme
def test_the_challenge_can_be_overridden(cls, options, request_):
    class Tea(cls):
        def make_authenticate_headers(self):
            return {"WWW-Authenticate": "Tea"}

    assert (401, "Not authenticated", "Tea") == ask(Tea(**options), request_of())


@every_scheme
def test_a_scheme_has_the_name_of_its_class_or_its_own(cls, options, request_):
    class Sub(cls):
        pass

    assert cls.__name__ == cls(**options).scheme_name
    assert "Sub" == Sub(**options).scheme_name
    assert "own" == cls(**options, scheme_name="own").scheme_name


@every_scheme
def test_the_model_is_what_the_document_says(cls, options, request_):
    """A plain dict without fields of None; the description only where there is one."""
    model = cls(**options).model
    assert type(model) is dict
    assert None not in model.values()
    described = cls(**options, description="Words.").model
    assert model | {"description": "Words."} == described
    assert isinstance(cls(**options), SecurityBase)


@every_scheme
def test_a_scheme_is_an_async_callable_that_waits_for_nothing(cls, options, request_):
    scheme = cls(**options)
    assert inspect.iscoroutinefunction(scheme.__call__)
    assert run(scheme(request_))


def test_a_scheme_of_ones_own_needs_no_constructor():
    class Own(SecurityBase):
        model = {"type": "mutualTLS"}
        scheme_name = "own"

        async def __call__(self, request):
            raise self.make_not_authenticated_error()

    assert (401, "Not authenticated", "Bearer") == ask(Own(), request_of())


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        (None, ("", "")),
        ("", ("", "")),
        ("Bearer", ("Bearer", "")),
        ("Bearer ", ("Bearer", "")),
        ("Bearer a", ("Bearer", "a")),
        ("bEARER   a  b ", ("bEARER", "a  b")),
        (" a", ("", "a")),
    ],
)
def test_the_header_is_split_at_its_first_blank(header, parts):
    assert parts == get_authorization_scheme_param(header)


@pytest.mark.parametrize("secret", ["", "abc", "pässwörd", "密", "\ud800", b"\xff", b""])
def test_equal_secrets_are_equal(secret):
    assert compare_secrets(secret, secret) is True
    assert compare_secrets(secret, "x") is False
    assert compare_secrets("x", secret) is False


def test_secrets_are_compared_as_utf_8():
    assert compare_secrets("é", "é".encode())
    assert not compare_secrets("é", "é".encode("latin-1"))
    assert not compare_secrets("e\u0301", "\u00e9")


def test_secrets_are_compared_in_constant_time(monkeypatch):
    """Whatever they are, it is the function of the standard library that compares them."""
    seen = []
    monkeypatch.setattr("secrets.compare_digest", lambda a, b: seen.append((a, b)))
    compare_secrets("a", b"b")
    assert [(b"a", b"b")] == seen


def test_scopes_are_a_list_and_a_text():
    scopes = SecurityScopes(["a", "b"])
    assert (["a", "b"], "a b") == (scopes.scopes, scopes.scope_str)
    assert ([], "") == (SecurityScopes().scopes, SecurityScopes().scope_str)
