"""FastAPI's security schemes and lamella's: the same credentials, refusals and models."""

import base64
import importlib

import fastapi.security
import pytest
from fastapi.encoders import jsonable_encoder
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import HTTPConnection as StarletteConnection

import lamella.security
from lamella.exceptions import HTTPException
from lamella.requests import HTTPConnection
from tests.parity.drive import http_scope

FLOWS = {
    "password": {"tokenUrl": "token", "scopes": {"me": "Read me"}},
    "implicit": {"authorizationUrl": "auth"},
}
SCHEMES = {
    "query": ("APIKeyQuery", {"name": "k"}),
    "header": ("APIKeyHeader", {"name": "X-K"}),
    "cookie": ("APIKeyCookie", {"name": "k"}),
    "base": ("HTTPBase", {"scheme": "other"}),
    "basic": ("HTTPBasic", {}),
    "basic realm": ("HTTPBasic", {"realm": "simple"}),
    "bearer": ("HTTPBearer", {}),
    "bearer format": ("HTTPBearer", {"bearerFormat": "JWT"}),
    "digest": ("HTTPDigest", {}),
    "oauth2 bare": ("OAuth2", {}),
    "oauth2": ("OAuth2", {"flows": FLOWS}),
    "password": ("OAuth2PasswordBearer", {"tokenUrl": "token"}),
    "password more": (
        "OAuth2PasswordBearer",
        {"tokenUrl": "token", "scopes": {"me": "Read me"}, "refreshUrl": "r"},
    ),
    "code": ("OAuth2AuthorizationCodeBearer", {"authorizationUrl": "auth", "tokenUrl": "token"}),
    "openid": ("OpenIdConnect", {"openIdConnectUrl": "/openid"}),
}
COMMON = [
    {},
    {"auto_error": False},
    {"scheme_name": "own", "description": "Words."},
]


def encoded(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


HEADERS = [
    None,
    "",
    "Basic",
    "Digest",
    "Bearer a.b.c",
    "bEaReR  a b ",
    "Bearer \xff",
    "Digest realm=x, nonce=y",
    "Other a",
    encoded("alice:wonderland"),
    encoded("alice:wonder:land").replace("Basic", "basic"),
    encoded(":"),
    encoded("alice"),
    encoded("alice:ü"),
    "Basic notabase64token",
    "Basic YTpi\xff",
]
REQUESTS = [
    *({"headers": [] if value is None else [("authorization", value)]} for value in HEADERS),
    {"headers": [("x-k", "secret")]},
    {"headers": [("X-K", "")]},
    {"query": b"k=secret"},
    {"query": b"k="},
    {"query": b"K=secret"},
    {"headers": [("cookie", "a=b; k=secret")]},
    {"headers": [("cookie", "k=one; k=two")]},
    {"headers": [("cookie", "k=")]},
]


def made(package, name, options):
    """A scheme of FastAPI or of lamella."""
    module = "http" if name == "HTTPBase" else None
    home = importlib.import_module(f"{package}.security.{module}") if module else None
    return getattr(home or importlib.import_module(f"{package}.security"), name)(**options)


def outcome(scheme, connection):
    """What it gives, as a plain value, or refuses with."""
    try:
        scheme(connection).send(None)
    except StopIteration as stop:
        return plain(stop.value)
    except (StarletteHTTPException, HTTPException) as exc:
        return exc.status_code, exc.detail, exc.headers
    raise AssertionError("it waited")


def plain(value):
    names = getattr(value, "__struct_fields__", None) or getattr(value, "model_fields_set", ())
    return {name: getattr(value, name) for name in names} or value


@pytest.mark.parametrize("common", COMMON, ids=["as it is", "no auto_error", "named"])
@pytest.mark.parametrize(("name", "options"), SCHEMES.values(), ids=list(SCHEMES))
def test_credentials_and_refusals_are_the_same(name, options, common):
    theirs, ours = (made(package, name, options | common) for package in ("fastapi", "lamella"))
    for request in REQUESTS:
        scope = http_scope(**request)
        assert outcome(theirs, StarletteConnection(scope)) == outcome(
            ours, HTTPConnection(scope)
        ), request


@pytest.mark.parametrize("common", COMMON, ids=["as it is", "no auto_error", "named"])
@pytest.mark.parametrize(("name", "options"), SCHEMES.values(), ids=list(SCHEMES))
def test_the_documents_say_the_same(name, options, common):
    theirs, ours = (made(package, name, options | common) for package in ("fastapi", "lamella"))
    model = jsonable_encoder(theirs.model, by_alias=True, exclude_none=True)
    for flow in model.get("flows", {}).values():
        flow.setdefault("scopes", {})
    assert model == ours.model
    assert (theirs.scheme_name, theirs.auto_error) == (ours.scheme_name, ours.auto_error)


# What is refused here and taken by FastAPI: scheme, request, what FastAPI gives, and why.
DIFFERENCES = [
    (
        "password",
        {"headers": [("authorization", "Bearer")]},
        "",
        "an empty token is none",
    ),
    (
        "bearer",
        {"headers": [("authorization", "Bearer a"), ("authorization", "Bearer b")]},
        {"scheme": "Bearer", "credentials": "a"},
        "a proxy may have checked the other one",
    ),
    (
        "header",
        {"headers": [("x-k", "a"), ("x-k", "b")]},
        "a",
        "as above",
    ),
    ("query", {"query": b"k=a&k=b"}, "b", "as above"),
    ("query", {"query": b"k=a%00"}, "a\0", "no key has control characters; databases fail on NUL"),
    (
        "basic",
        {"headers": [("authorization", "Basic YWxp!Y2U6YQ==")]},
        {"username": "alice", "password": "a"},
        "it is not base64",
    ),
    (
        "basic",
        {"headers": [("authorization", encoded("alice\n:a"))]},
        {"username": "alice\n", "password": "a"},
        "RFC 7617 section 2: no control characters",
    ),
]


@pytest.mark.parametrize(("scheme", "request_", "theirs", "why"), DIFFERENCES)
def test_what_is_refused_on_purpose(scheme, request_, theirs, why):
    name, options = SCHEMES[scheme]
    scope = http_scope(**request_)
    assert theirs == outcome(made("fastapi", name, options), StarletteConnection(scope))
    status, *_ = outcome(made("lamella", name, options), HTTPConnection(scope))
    assert 401 == status


def test_a_quote_in_the_realm_is_escaped_unlike_in_fastapi():
    scope = http_scope()
    challenges = [
        outcome(made(package, "HTTPBasic", {"realm": 'a"b'}), connection(scope))[2]
        for package, connection in (("fastapi", StarletteConnection), ("lamella", HTTPConnection))
    ]
    assert ['Basic realm="a"b"', r'Basic realm="a\"b"'] == [
        challenge["WWW-Authenticate"] for challenge in challenges
    ]


def test_every_name_is_there():
    names = {name for name in vars(fastapi.security) if name[0].isupper()}
    assert {name for name in names if name[0] != "_"} <= set(lamella.security.__all__)
