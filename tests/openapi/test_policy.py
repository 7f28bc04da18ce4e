"""What a page may do is what its document needs, and nothing of it ends up elsewhere."""

import pytest

from lamella.openapi._policy import connections, pictures, policy


def directives(text):
    """A policy as a dict of its directives."""
    return dict(part.strip().split(" ", 1) for part in text.split(";"))


def test_without_a_reason_only_the_own_server_is_asked():
    found = directives(policy())
    assert "'none'" == found["default-src"]
    assert "'self'" == found["script-src"] == found["style-src"] == found["connect-src"]
    assert "'self' data: blob:" == found["img-src"]
    assert "'none'" == found["frame-ancestors"] == found["base-uri"] == found["form-action"]
    assert "unsafe" not in policy()


def test_style_attributes_are_allowed_alone():
    """Neither style elements nor scripts are, with them."""
    found = directives(policy(style_attributes=True))
    assert "'unsafe-inline'" == found.pop("style-src-attr")
    assert "unsafe" not in str(found)


def test_servers_may_be_asked_and_may_send_pictures():
    found = directives(
        policy(connect={"https://b.test", "https://a.test"}, images={"https://c.test"})
    )
    assert "'self' https://a.test https://b.test" == found["connect-src"]
    assert "'self' blob: https://a.test https://b.test" == found["media-src"]
    assert "'self' data: blob: https://a.test https://b.test https://c.test" == found["img-src"]


def test_servers_are_found_wherever_a_document_names_them():
    document = {
        "servers": [{"url": "https://a.test/v1"}, {"url": "/v2"}, {"url": "HTTPS://b.test:8443"}],
        "paths": {
            "/x": {
                "servers": [{"url": "http://c.test"}],
                "get": {"servers": [{"url": "https://d.test/"}]},
            }
        },
    }
    expected = {"https://a.test", "https://b.test:8443", "http://c.test", "https://d.test"}
    assert expected == connections(document)


def test_tokens_are_fetched_from_where_the_document_says():
    flow = {
        "authorizationUrl": "https://login.test/authorize",
        "tokenUrl": "https://token.test/token",
        "refreshUrl": "https://refresh.test/token",
    }
    schemes = {
        "oauth": {"type": "oauth2", "flows": {"authorizationCode": flow}},
        "openid": {"type": "openIdConnect", "openIdConnectUrl": "https://openid.test/.well-known"},
    }
    expected = {"https://token.test", "https://refresh.test", "https://openid.test"}
    assert expected == connections({"components": {"securitySchemes": schemes}})


def test_documents_that_the_options_name_may_be_fetched():
    options = {"urls": [{"url": "https://a.test/one.json", "name": "one"}], "deepLinking": True}
    assert {"https://a.test"} == connections({}, options)


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("https://{region}.a.test:{port}/v1", {"https:"}),
        ("{protocol}://a.test", {"http:", "https:"}),
        ("https://tée.test", {"https:"}),
        ("http://[::1]:8000", {"http:"}),
        ("wss://a.test/feed", {"wss://a.test"}),
        ("https://user:secret@a.test", {"https:"}),
        ("https://a.test; script-src *", {"https:"}),
        ("https://a.test\r\nset-cookie: a=b", {"https:"}),
        ("https://a.test 'unsafe-inline'", {"https:"}),
        ("javascript:alert(1)", set()),
        ("//a.test", set()),
        ("{base}/v1", set()),
        ("", set()),
        (None, set()),
        (7, set()),
    ],
)
def test_an_origin_is_named_as_a_policy_can_name_it(url, origins):
    """Whatever a document holds, it writes no directive and no header."""
    assert origins == connections({"servers": [{"url": url}]})


def test_pictures_are_found_in_texts_and_as_the_logo():
    document = {
        "info": {
            "description": "![a](https://a.test/a.png) ![b]( <https://b.test/b.png> 'b')",
            "x-logo": {"url": "https://logo.test/logo.png"},
        },
        "tags": [{"description": '<p><img alt="" src="https://c.test/c.png"></p>'}],
        "paths": {"/x": {"get": {"description": "[no](https://d.test/d.png) ![e](/e.png)"}}},
    }
    expected = {"https://a.test", "https://b.test", "https://c.test", "https://logo.test"}
    assert expected == pictures(document)


@pytest.mark.parametrize(
    "document",
    [
        {"servers": "x", "paths": [1], "components": 7, "info": None},
        {"servers": {"a": "b"}, "paths": {"/x": None}, "components": {"securitySchemes": [None]}},
        {"servers": [None], "components": {"securitySchemes": {"a": {"flows": "x"}}}},
        {"info": {"x-logo": "x"}},
        {},
    ],
)
def test_a_document_of_any_shape_is_taken(document):
    """It may be a user's own, and the page that shows it has to come up."""
    assert set() == connections(document) == pictures(document)
