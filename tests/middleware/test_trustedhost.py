"""Known hosts are served, others get 400, and a name that lacks www. is redirected."""

import asyncio

import pytest

from lamella.applications import Lamella
from lamella.exceptions import UsageError
from lamella.middleware import Middleware
from lamella.middleware.trustedhost import TrustedHostMiddleware
from lamella.responses import PlainTextResponse
from lamella.routing import Route
from tests.parity.drive import answer, exchange, http_scope


async def endpoint(request):
    return PlainTextResponse("served")


def app_with(**settings):
    layer = Middleware(TrustedHostMiddleware, **settings)
    return Lamella(routes=[Route("/a", endpoint)], middleware=[layer])


def status(app, host):
    return answer(app, "/a", headers=[("host", host)]).status


@pytest.mark.parametrize(
    ("pattern", "served", "refused"),
    [
        ("example.org", ["EXAMPLE.org", "example.org:81"], ["a.example.org", "example.org:8o"]),
        ("a.org", ["a.org:65536", "a.org:100000"], ["a.org:", "a.org:" + "1" * 100_000]),
        ("Example.ORG", ["example.org"], ["example.com"]),
        ("*.example.org", ["a.example.org", "a.b.example.org"], ["example.org", "aexample.org"]),
        ("[::1]", ["[::1]", "[::1]:8000"], ["[::2]", "::1"]),
        ("*", ["any", "other"], []),
    ],
)
def test_hosts_that_a_pattern_covers_are_served(pattern, served, refused):
    """In any case, with any port."""
    app = app_with(allowed_hosts=[pattern])
    assert {200} == {status(app, host) for host in served}
    assert {400} >= {status(app, host) for host in refused}


def test_any_host_is_served_by_default():
    """Missing and malformed ones too: the layer has no opinion."""
    layer = TrustedHostMiddleware(app_with())
    assert ["*"] == layer.allowed_hosts
    assert 200 == status(layer, "a b")


def test_missing_host_is_refused():
    """HTTP/1.0 clients know none; RFC 9112 section 3.2 wants one since."""
    scope = http_scope("/a")
    scope["headers"] = []
    reply = asyncio.run(exchange(app_with(allowed_hosts=["example.org"]), scope))
    assert (400, "Invalid host header") == (reply.status, reply.text)


@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("example.org", "http://www.example.org/a?b=1"),
        ("EXAMPLE.org:81", "http://www.EXAMPLE.org:81/a?b=1"),
    ],
)
def test_name_that_lacks_www_is_redirected(host, location):
    """With path, query and port."""
    app = app_with(allowed_hosts=["www.example.org"])
    reply = answer(app, "/a", query=b"b=1", headers=[("host", host)])
    assert (307, location) == (reply.status, reply.headers["location"])


def test_no_redirect_leads_to_a_port_that_cannot_be():
    """Nor to another host than the one that was asked for, as the server's own name would be."""
    assert 400 == status(app_with(allowed_hosts=["www.a.org"]), "a.org:65536")


def test_redirect_to_www_may_be_turned_off():
    """It is refused then like others."""
    assert 400 == status(app_with(allowed_hosts=["www.a.org"], www_redirect=False), "a.org")


@pytest.mark.parametrize("pattern", ["a.*", "*a.org", "*.*.org", "**", "a*b"])
def test_star_elsewhere_than_in_front_of_a_dot_is_refused(pattern):
    """When the app is built; what it should mean nobody can tell."""
    with pytest.raises(UsageError, match="wildcard patterns must be like"):
        TrustedHostMiddleware(endpoint, allowed_hosts=[pattern])


def test_text_for_a_list_is_refused():
    """Its letters would be the hosts."""
    with pytest.raises(UsageError, match=r"write \['example.org'\]"):
        TrustedHostMiddleware(endpoint, allowed_hosts="example.org")


def test_hosts_may_be_changed_while_it_runs():
    """As on Starlette's."""
    layer = TrustedHostMiddleware(app_with(), allowed_hosts=["a.org"])
    layer.allowed_hosts.append("b.org")
    assert 200 == status(layer, "b.org")


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_is_allowed_passes_untouched(kind):
    """The lifespan has no host."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    call = ({"type": kind, "headers": [(b"host", b"a.org")]}, object(), object())
    asyncio.run(TrustedHostMiddleware(app, allowed_hosts=["a.org"])(*call))
    assert [call] == seen


def test_host_that_is_not_allowed_does_not_reach_the_app():
    """Neither its body nor its endpoint."""

    async def never(scope, receive, send):
        raise AssertionError("asked")

    assert 400 == status(TrustedHostMiddleware(never, allowed_hosts=["a.org"]), "b.org")
