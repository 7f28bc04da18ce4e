"""OpenID Connect."""

from lamella.security import OpenIdConnect
from tests.security_schemes.asking import ask, authorized


def test_the_whole_header_is_given():
    scheme = OpenIdConnect(openIdConnectUrl="/openid")
    assert "Bearer a.b" == ask(scheme, authorized("Bearer a.b"))
    assert (401, "Not authenticated", "Bearer") == ask(scheme, authorized(""))


def test_the_model_says_where_the_provider_describes_itself():
    scheme = OpenIdConnect(openIdConnectUrl="/openid")
    assert {"type": "openIdConnect", "openIdConnectUrl": "/openid"} == scheme.model
