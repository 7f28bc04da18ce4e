"""Basic, Bearer, Digest."""

import copy
import pickle

import pytest

from lamella.security import (
    HTTPAuthorizationCredentials,
    HTTPBase,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    HTTPDigest,
)
from tests.security_schemes.asking import ask, authorized, basic, request_of


def credentials(scheme, text):
    return HTTPAuthorizationCredentials(scheme=scheme, credentials=text)


@pytest.mark.parametrize(
    ("text", "username", "password"),
    [
        ("alice:wonderland", "alice", "wonderland"),
        ("alice:a:b:c", "alice", "a:b:c"),
        (":", "", ""),
        ("alice:", "alice", ""),
        (":secret", "", "secret"),
        ("a b: c ~", "a b", " c ~"),
    ],
)
def test_name_and_password_are_split_at_the_first_colon(text, username, password):
    expected = HTTPBasicCredentials(username=username, password=password)
    assert expected == ask(HTTPBasic(), authorized(basic(text)))
    assert expected == ask(HTTPBasic(), authorized(basic(text).replace("Basic", "bAsIc")))


MALFORMED = {
    "no base64": "Basic notabase64token",
    "blanks inside": "Basic YWxp Y2U6YQ==",
    "garbage between": "Basic YWxp!Y2U6YQ==",
    "garbage behind": "Basic YTpi====x",
    "of URLs": "Basic Pz8_Oj8_",
    "no padding": "Basic YTpiYw",
    "nothing": "Basic",
    "blank": "Basic  ",
    "no colon": basic("alice"),
    "UTF-8": basic("alice:pässword"),
    "no UTF-8": basic(b"alice:\xff"),
    "NUL": basic("alice\0:a"),
    "a line's end": basic("alice:a\r\nb"),
    "DEL": basic("alice:a\x7f"),
    "Latin-1": b"Basic \xe9\xff",
}


@pytest.mark.parametrize("value", MALFORMED.values(), ids=list(MALFORMED))
@pytest.mark.parametrize("auto_error", [True, False])
def test_what_is_not_of_basic_is_refused_in_any_case(value, auto_error):
    """Somebody tries to be known, so an endpoint must not take it for nobody."""
    refused = (401, "Not authenticated", "Basic")
    assert refused == ask(HTTPBasic(auto_error=auto_error), authorized(value))


@pytest.mark.parametrize("value", ["Bearer YTpi", "", "Basic\tYTpi", "BasicYTpi"])
def test_another_scheme_is_none_of_basic(value):
    assert (401, "Not authenticated", "Basic") == ask(HTTPBasic(), authorized(value))
    assert ask(HTTPBasic(auto_error=False), authorized(value)) is None


@pytest.mark.parametrize(
    ("realm", "challenge"),
    [
        (None, "Basic"),
        ("", "Basic"),
        ("simple", 'Basic realm="simple"'),
        ('the "inner" \\ ring', r'Basic realm="the \"inner\" \\ ring"'),
    ],
)
def test_the_realm_is_in_the_challenge(realm, challenge):
    assert (401, "Not authenticated", challenge) == ask(HTTPBasic(realm=realm), request_of())


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: b", "\0", "密"])
def test_a_challenge_that_cannot_be_sent_is_refused_when_the_scheme_is_made(text):
    with pytest.raises(ValueError, match="www-authenticate"):
        HTTPBasic(realm=text)
    with pytest.raises(ValueError, match="www-authenticate"):
        HTTPBase(scheme=text)


@pytest.mark.parametrize(("cls", "name"), [(HTTPBearer, "Bearer"), (HTTPDigest, "Digest")])
def test_the_credentials_are_what_follows_the_scheme(cls, name):
    assert credentials(name, "a.b") == ask(cls(), authorized(f"{name} a.b"))
    assert credentials(name.upper(), "a b") == ask(cls(), authorized(f"{name.upper()}  a b "))
    assert credentials(name, "\xff") == ask(cls(), authorized(f"{name} \xff"))


@pytest.mark.parametrize(("cls", "name"), [(HTTPBearer, "Bearer"), (HTTPDigest, "Digest")])
@pytest.mark.parametrize(
    "value", ["{}", "{} ", "{}x a", "Other a", "", "{}\ta", "{} a\0", "{} \x7f"]
)
def test_what_is_not_of_the_scheme_is_no_credentials(cls, name, value):
    request = authorized(value.format(name))
    assert (401, "Not authenticated", name) == ask(cls(), request)
    assert ask(cls(auto_error=False), request) is None


def test_the_base_takes_any_scheme_and_says_which_it_was():
    """As FastAPI's: a subclass, or the endpoint, looks at it."""
    assert credentials("X", "a") == ask(HTTPBase(scheme="other"), authorized("X a"))
    assert (401, "Not authenticated", "Other") == ask(HTTPBase(scheme="other"), request_of())


@pytest.mark.parametrize(
    ("scheme", "model"),
    [
        (HTTPBase(scheme="Other"), {"type": "http", "scheme": "Other"}),
        (HTTPBasic(realm="r"), {"type": "http", "scheme": "basic"}),
        (HTTPDigest(), {"type": "http", "scheme": "digest"}),
        (HTTPBearer(), {"type": "http", "scheme": "bearer"}),
        (
            HTTPBearer(bearerFormat="JWT"),
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        ),
    ],
)
def test_the_model_says_which_scheme(scheme, model):
    assert model == scheme.model


@pytest.mark.parametrize(
    "value",
    [
        HTTPBasicCredentials(username="alice", password="wonderland"),
        HTTPAuthorizationCredentials(scheme="Bearer", credentials="wonderland"),
    ],
)
def test_secrets_are_not_in_what_is_logged(value):
    for text in (repr(value), str(value), f"{[value]}", str(list(value.__rich_repr__()))):
        assert "wonderland" not in text
        assert "**********" in text
    assert "alice" in repr(value) or "Bearer" in repr(value)


def test_credentials_are_values():
    one = credentials("a", "b")
    assert one == credentials("a", "b") == copy.copy(one) == pickle.loads(pickle.dumps(one))
    assert one != credentials("a", "c")
    assert one != HTTPBasicCredentials(username="a", password="b")
    with pytest.raises(TypeError):
        HTTPBasicCredentials("a", "b")
