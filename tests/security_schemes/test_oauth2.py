"""OAuth2: tokens, flows, and the form of the password flow."""

import inspect
import typing

import pytest

from lamella import params
from lamella.exceptions import UsageError
from lamella.security import (
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OAuth2PasswordRequestFormStrict,
    SecurityScopes,
)
from tests.security_schemes.asking import ask, authorized

REFUSED = (401, "Not authenticated", "Bearer")
BEARERS = [
    OAuth2PasswordBearer(tokenUrl="token"),
    OAuth2AuthorizationCodeBearer(authorizationUrl="auth", tokenUrl="token"),
]


@pytest.mark.parametrize("scheme", BEARERS)
@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer a.b.c", "a.b.c"),
        ("bearer  a ", "a"),
        ("Bearer", REFUSED),
        ("Bearer  ", REFUSED),
        ("Basic a", REFUSED),
        ("", REFUSED),
        ("Bearer a\0", REFUSED),
    ],
)
def test_a_bearer_token_is_given_without_its_scheme(scheme, value, token):
    assert token == ask(scheme, authorized(value))


def test_without_a_flow_known_the_whole_header_is_given():
    assert "Other a b" == ask(OAuth2(), authorized("Other a b"))


def test_the_flows_are_what_the_document_says():
    assert {"type": "oauth2", "flows": {}} == OAuth2().model
    scopes = {"me": "Read me"}
    assert {
        "type": "oauth2",
        "flows": {"password": {"tokenUrl": "t", "scopes": scopes}},
    } == OAuth2PasswordBearer("t", scopes=scopes).model
    assert {
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": "a",
                "tokenUrl": "t",
                "refreshUrl": "r",
                "scopes": {},
            }
        },
    } == OAuth2AuthorizationCodeBearer("a", "t", "r").model
    refreshing = OAuth2PasswordBearer("t", refreshUrl="r").model["flows"]["password"]
    assert {"tokenUrl": "t", "refreshUrl": "r", "scopes": {}} == refreshing


def test_flows_of_ones_own_are_left_as_they_are():
    flows = {
        "implicit": {"authorizationUrl": "a", "x-own": [1]},
        "clientCredentials": {"tokenUrl": "t", "scopes": {"s": "d"}, "refreshUrl": None},
    }
    assert {
        "implicit": {"authorizationUrl": "a", "x-own": [1], "scopes": {}},
        "clientCredentials": {"tokenUrl": "t", "scopes": {"s": "d"}},
    } == OAuth2(flows=flows).model["flows"]
    assert "scopes" not in flows["implicit"]


@pytest.mark.parametrize(
    ("flows", "words"),
    [
        ({"pasword": {"tokenUrl": "t"}}, "one of implicit, password.*'pasword'"),
        ({"password": {}}, "'tokenUrl' in the 'password' flow"),
        ({"password": {"tokenUrl": None}}, "'tokenUrl' in the 'password' flow"),
        ({"authorizationCode": {"tokenUrl": "t"}}, "'authorizationUrl' in"),
        ({"password": {"tokenUrl": "t", "scopes": ["a"]}}, r"got \['a'\]; write scopes="),
    ],
)
def test_a_flow_that_is_wrong_is_refused_when_the_scheme_is_made(flows, words):
    with pytest.raises(UsageError, match=words):
        OAuth2(flows=flows)


def test_the_form_gives_scopes_as_a_list():
    form = OAuth2PasswordRequestForm(username="alice", password="secret", scope=" a  b:c ")
    assert ["a", "b:c"] == form.scopes
    assert ("alice", "secret") == (form.username, form.password)
    assert (None, None, None) == (form.grant_type, form.client_id, form.client_secret)
    assert [] == OAuth2PasswordRequestForm(username="", password="").scopes


def test_the_strict_form_is_one_too():
    form = OAuth2PasswordRequestFormStrict("password", "alice", "secret", "a", "id", "hidden")
    assert isinstance(form, OAuth2PasswordRequestForm)
    assert ("password", ["a"]) == (form.grant_type, form.scopes)
    assert ("id", "hidden") == (form.client_id, form.client_secret)
    with pytest.raises(TypeError, match="grant_type"):
        OAuth2PasswordRequestFormStrict(username="alice", password="secret")


@pytest.mark.parametrize("cls", [OAuth2PasswordRequestForm, OAuth2PasswordRequestFormStrict])
def test_every_field_of_the_form_is_one_of_a_form(cls):
    fields = inspect.signature(cls).parameters
    names = ["grant_type", "username", "password", "scope", "client_id", "client_secret"]
    assert names == list(fields)
    infos = {name: typing.get_args(field.annotation)[1] for name, field in fields.items()}
    assert {params.Form} == {type(info) for info in infos.values()}
    assert "^password$" == infos["grant_type"].pattern


def test_a_secret_is_not_in_what_is_logged():
    form = OAuth2PasswordRequestForm(username="a", password="wonderland", client_secret="hidden")
    assert "wonderland" not in repr(form)
    assert "hidden" not in repr(form)


def test_the_scopes_are_the_class_that_injection_knows():
    assert SecurityScopes is params.SecurityScopes
