"""Clients without TLS are sent to the same URL with it."""

import asyncio

import pytest

from lamella.applications import Lamella
from lamella.middleware import Middleware
from lamella.middleware.httpsredirect import HTTPSRedirectMiddleware
from lamella.responses import PlainTextResponse
from lamella.routing import Mount, Route
from tests.parity.drive import answer, exchange, http_scope


async def endpoint(request):
    return PlainTextResponse("served")


APP = Lamella(
    routes=[Mount("/in", routes=[Route("/a", endpoint, methods=["GET", "POST"])])],
    middleware=[Middleware(HTTPSRedirectMiddleware)],
)


@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("example.org", "https://example.org/in/a?b=%20"),
        ("example.org:80", "https://example.org/in/a?b=%20"),
        ("example.org:443", "https://example.org/in/a?b=%20"),
        ("example.org:8080", "https://example.org:8080/in/a?b=%20"),
        ("not a host", "https://testserver/in/a?b=%20"),
    ],
)
def test_request_is_redirected_to_the_same_url(host, location):
    """Method and body are kept by 307; a malformed Host is not believed."""
    for method in ("GET", "POST"):
        reply = answer(APP, "/in/a", method, query=b"b=%20", headers=[("host", host)])
        assert (307, location) == (reply.status, reply.headers["location"])


def test_request_with_tls_is_served():
    """The scheme is the server's word."""
    assert "served" == answer(APP, "/in/a", scheme="https").text


@pytest.mark.parametrize("scheme", ["http", "HTTPS", "ftp", None])
def test_every_other_scheme_is_redirected(scheme):
    """Rather than to serve what may be without TLS."""
    scope = http_scope("/in/a", scheme=scheme)
    if scheme is None:
        del scope["scheme"]
    assert 307 == asyncio.run(exchange(APP, scope)).status


def test_request_without_any_host_is_refused():
    """There is nowhere to send it to."""
    scope = http_scope("/in/a", headers=[("host", "a b")], server=None)
    reply = asyncio.run(exchange(APP, scope))
    assert (400, "Invalid host header") == (reply.status, reply.text)


def test_root_path_stays_in_front():
    """The client knows the whole path only."""
    reply = answer(APP, "/pre/in/a", root_path="/root", headers=[("host", "a.org")])
    assert "https://a.org/pre/in/a" == reply.headers["location"]


@pytest.mark.parametrize(
    "scope", [{"type": "lifespan"}, {"type": "websocket", "scheme": "wss"}], ids=["lifespan", "wss"]
)
def test_what_needs_no_redirect_passes_untouched(scope):
    """The same three objects."""
    seen = []

    async def app(*call):
        seen.append(call)

    call = (scope, object(), object())
    asyncio.run(HTTPSRedirectMiddleware(app)(*call))
    assert [call] == seen
