"""API keys."""

import pytest

from lamella.security import APIKeyCookie, APIKeyHeader, APIKeyQuery
from lamella.security.api_key import APIKeyBase
from tests.security_schemes.asking import ask, request_of

REFUSED = (401, "Not authenticated", "APIKey")


@pytest.mark.parametrize(
    ("scheme", "location"),
    [
        (APIKeyQuery(name="Key"), "query"),
        (APIKeyHeader(name="Key"), "header"),
        (APIKeyCookie(name="Key"), "cookie"),
    ],
)
def test_the_model_says_where_the_key_is(scheme, location):
    assert {"type": "apiKey", "in": location, "name": "Key"} == scheme.model


@pytest.mark.parametrize(
    ("query", "key"),
    [
        (b"key=secret", "secret"),
        (b"a=b&key=s%20%C3%A9", "s é"),
        (b"key=%FF", "\ufffd"),
        (b"key=", REFUSED),
        (b"Key=secret", REFUSED),
        (b"key=one&key=two", REFUSED),
        (b"key=same&key=same", REFUSED),
        (b"key=a%00b", REFUSED),
        (b"key=a%0D%0Ab", REFUSED),
        (b"key=%7F", REFUSED),
    ],
)
def test_a_key_in_the_query(query, key):
    assert key == ask(APIKeyQuery(name="key"), request_of(query=query))


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([("x-key", "secret")], "secret"),
        ([("x-key", b"\xff\xa0")], "\xff\xa0"),
        ([("x-key", "")], REFUSED),
        ([("x-keys", "secret")], REFUSED),
        ([("x-key", "one"), ("x-key", "two")], REFUSED),
        ([("x-key", "a\0b")], REFUSED),
        ([("x-key", "a\tb")], REFUSED),
    ],
)
def test_a_key_in_a_header(headers, key):
    assert key == ask(APIKeyHeader(name="X-Key"), request_of(*headers))


@pytest.mark.parametrize(
    ("cookie", "key"),
    [
        ("key=secret", "secret"),
        ("a=b; key=secret; c=d", "secret"),
        ("key=one; key=two", "two"),
        ('key="a b"', "a b"),
        ("key=", REFUSED),
        ("key", REFUSED),
        (r'key="\000"', REFUSED),
        ("key=a\x01", REFUSED),
    ],
)
def test_a_key_in_a_cookie(cookie, key):
    assert key == ask(APIKeyCookie(name="key"), request_of(cookie=cookie))


@pytest.mark.parametrize("name", ["", "a b", "a\r\nb", "é"])
def test_a_header_that_cannot_be_is_refused_when_the_scheme_is_made(name):
    with pytest.raises(ValueError, match="header name"):
        APIKeyHeader(name=name)


def test_a_scheme_of_ones_own_checks_a_key():
    """As FastAPI's, whose base class programs build upon."""

    class Path(APIKeyBase):
        def __init__(self):
            super().__init__("query", "k", None, None, auto_error=True)

        async def __call__(self, request):
            return self.check_api_key(request.url.path.strip("/"))

    assert REFUSED == ask(Path(), request_of())
    assert "k" == Path().check_api_key("k")
