"""What the policy layers refuse, leave out and leave alone, whatever a client sends."""

import asyncio
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamella.applications import Lamella
from lamella.exceptions import UsageError
from lamella.middleware import Middleware
from lamella.middleware.cors import CORSMiddleware
from lamella.middleware.gzip import GZipMiddleware, takes_gzip
from lamella.middleware.httpsredirect import HTTPSRedirectMiddleware
from lamella.middleware.trustedhost import TrustedHostMiddleware
from lamella.responses import PlainTextResponse, Response
from lamella.routing import Route
from tests.parity.drive import answer, exchange, websocket_scope

ALLOWED, EVIL = "https://allowed.example", "https://evil.example"
TEXT = "worth compressing " * 100
DENIAL = "websocket.http.response"


async def endpoint(request):
    return PlainTextResponse(TEXT)


def app_with(cls, **settings):
    routes = [Route("/", endpoint, methods=["GET", "POST"])]
    return Lamella(routes=routes, middleware=[Middleware(cls, **settings)])


def cors_headers(reply):
    return {
        name: value for name, value in reply.headers.items() if name.startswith("access-control")
    }


# -- CORS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{"allow_origins": [ALLOWED]}, {"allow_origin_regex": ALLOWED}]
)
@pytest.mark.parametrize(
    "origin",
    [
        EVIL,
        "null",
        ALLOWED.upper(),
        f"{ALLOWED}/",
        f"{ALLOWED}.evil.example",
        f"{ALLOWED}\n",
        f"{ALLOWED}:443",
        f"x{ALLOWED}",
        f"{ALLOWED},{EVIL}",
        f"{ALLOWED} {EVIL}",
        "",
        "https://allowed\0.example",
    ],
)
def test_cors_disallowed_origin_gets_no_cors_header(settings, origin):
    """Above all none that allows credentials."""
    app = app_with(CORSMiddleware, allow_credentials=True, expose_headers=["x-own"], **settings)
    assert {} == cors_headers(answer(app, headers=[("origin", origin)]))


def test_cors_disallowed_origin_gets_no_credentials_in_a_preflight():
    """A browser that asks learns what is allowed in general, and nothing for itself."""
    app = app_with(CORSMiddleware, allow_origins=[ALLOWED], allow_credentials=True)
    headers = [("origin", EVIL), ("access-control-request-method", "GET")]
    reply = answer(app, method="OPTIONS", headers=headers)
    assert 400 == reply.status
    assert not {"access-control-allow-origin", "access-control-allow-credentials"} & {
        *reply.headers
    }


@pytest.mark.parametrize("path", ["/", "/nowhere"])
@pytest.mark.parametrize("cookie", [[], [("cookie", "session=1")]])
def test_cors_star_with_credentials_is_not_reflect_all(path, cookie):
    """Or any site could act as the user and read what it gets."""
    app = app_with(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
    reply = answer(app, path, headers=[("origin", EVIL), *cookie])
    assert {"access-control-allow-origin": "*"} == cors_headers(reply)
    asks = [("origin", EVIL), ("access-control-request-method", "GET")]
    preflight = answer(app, path, "OPTIONS", headers=asks)
    assert (200, "*") == (preflight.status, preflight.headers["access-control-allow-origin"])
    assert "access-control-allow-credentials" not in preflight.headers


@pytest.mark.parametrize(
    "names",
    ["x a", "x:a", 'x"', "x\0", "x\x7f", "x,\x0by", "x;a", "ü", "x/y", "x\nset-cookie: a=1"],
)
def test_cors_mirrored_request_headers_are_tokens(names):
    """What is sent back is a list of names or is not sent back."""
    app = app_with(CORSMiddleware, allow_origins=["*"], allow_headers=["*"])
    headers = [
        ("origin", EVIL),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", names),
    ]
    reply = answer(app, method="OPTIONS", headers=headers)
    assert (400, "Disallowed CORS headers") == (reply.status, reply.text)
    assert "access-control-allow-headers" not in reply.headers


@given(origin=st.text(st.characters(max_codepoint=255), max_size=400), names=st.text(max_size=50))
def test_cors_never_fails_whatever_the_headers_hold(origin, names):
    """No header of a client can end a header of ours, nor make a 500."""
    app = app_with(CORSMiddleware, allow_origin_regex=r"(?s).*", allow_headers=["*"])
    headers = [
        ("origin", origin),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", names.encode("latin-1", "replace").decode("latin-1")),
    ]
    assert answer(app, method="OPTIONS", headers=headers).status in (200, 400)
    assert 200 == answer(app, headers=headers).status


def test_cors_regex_never_allows_null():
    """Every site can make a page of origin null; whoever means it lists it."""
    app = app_with(CORSMiddleware, allow_origin_regex=".*", allow_credentials=True)
    assert {} == cors_headers(answer(app, headers=[("origin", "null")]))
    app = app_with(CORSMiddleware, allow_origins=["null"])
    reply = answer(app, headers=[("origin", "null")])
    assert "null" == reply.headers["access-control-allow-origin"]


def test_cors_null_with_credentials_is_refused_when_the_app_is_built():
    """It would let every site act as the user."""
    with pytest.raises(UsageError, match="'null'"):
        CORSMiddleware(endpoint, allow_origins=["null"], allow_credentials=True)


@pytest.mark.parametrize("name", ["allow_origins", "allow_methods", "allow_headers"])
def test_cors_text_for_a_list_is_refused(name):
    """Every part of a text is "in" it: https://allowed, http and e."""
    with pytest.raises(UsageError, match=name):
        CORSMiddleware(endpoint, **{name: ALLOWED})


def test_cors_private_network_is_off_unless_said():
    """A public page has no business in a private network."""
    app = app_with(CORSMiddleware, allow_origins=["*"])
    headers = [
        ("origin", EVIL),
        ("access-control-request-method", "GET"),
        ("access-control-request-private-network", "true"),
    ]
    reply = answer(app, method="OPTIONS", headers=headers)
    assert (400, "Disallowed CORS private-network") == (reply.status, reply.text)


# -- websockets ------------------------------------------------------------------------------------


async def accepts(scope, receive, send):
    await send({"type": "websocket.accept"})


def connect(app, headers, *, denial=False, scheme="ws"):
    """The messages that a handshake is answered with."""
    scope = websocket_scope("/", headers=headers)
    scope |= {"scheme": scheme, "extensions": {DENIAL: {}} if denial else {}}
    reply = asyncio.run(exchange(app, scope, [{"type": "websocket.connect"}]))
    assert reply.error is None
    return reply.messages


def refused(messages, status):
    """Whether a handshake was refused by a response with that status, or by a close."""
    if messages[0]["type"] == "websocket.close":
        return len(messages) == 1 and messages[0]["code"] == 1008
    kinds = [message["type"] for message in messages]
    assert [f"{DENIAL}.start", f"{DENIAL}.body"] == kinds
    return messages[0]["status"] == status


@pytest.mark.parametrize("denial", [True, False])
@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        ("site.example", EVIL, "ws"),
        ("site.example", "null", "ws"),
        ("site.example", "", "ws"),
        ("site.example", "https://site.example.evil.example", "ws"),
        ("site.example", "https://site.example:8443", "ws"),
        ("site.example:8000", "https://site.example", "ws"),
        ("site.example", "http://site.example", "wss"),
        ("site.example", "site.example", "ws"),
        ("site.example", "ftp://site.example", "ws"),
        ("a b", "http://a b", "ws"),
    ],
)
def test_ws_cross_origin_is_refused_by_the_cors_policy(host, origin, scheme, denial):
    """A browser opens a websocket to any site, with the user's cookies, and asks nobody."""
    app = CORSMiddleware(accepts, allow_origins=[ALLOWED])
    headers = [("host", host), ("origin", origin)]
    messages = connect(app, headers, denial=denial, scheme=scheme)
    assert refused(messages, 403)
    assert denial == (messages[0]["type"] != "websocket.close")


@pytest.mark.parametrize(
    ("host", "origin", "scheme"),
    [
        ("site.example", ALLOWED, "ws"),
        ("site.example", None, "ws"),
        ("site.example", "http://site.example", "ws"),
        ("site.example", "https://site.example", "wss"),
        ("site.example", "https://site.example", "ws"),
        ("SITE.example", "https://site.EXAMPLE", "ws"),
        ("site.example:443", "https://site.example", "wss"),
        ("localhost:8000", "http://localhost:8000", "ws"),
        ("[::1]:8000", "http://[::1]:8000", "ws"),
    ],
)
def test_ws_of_the_site_itself_of_an_allowed_one_and_of_no_page_is_served(host, origin, scheme):
    """A proxy that ends TLS shows the application ws where the page is of https."""
    app = CORSMiddleware(accepts, allow_origins=[ALLOWED])
    headers = [("host", host)] + ([] if origin is None else [("origin", origin)])
    assert [{"type": "websocket.accept"}] == connect(app, headers, scheme=scheme)


def test_ws_with_two_hosts_is_not_of_the_same_site():
    """Which of the two the page meant is not known."""
    app = CORSMiddleware(accepts)
    headers = [("host", "site.example"), ("host", "b"), ("origin", "http://site.example")]
    assert refused(connect(app, headers), 403)


@pytest.mark.parametrize("denial", [True, False])
@pytest.mark.parametrize("hosts", [["evil.example"], [], ["good.example", "evil.example"], ["a/b"]])
def test_ws_trusted_host_refusal(hosts, denial):
    """With a response only where the server said that it takes one."""
    app = TrustedHostMiddleware(accepts, allowed_hosts=["good.example"])
    scope = websocket_scope("/")
    scope["headers"] = [(b"host", host.encode()) for host in hosts]
    scope["extensions"] = {DENIAL: {}} if denial else {}
    reply = asyncio.run(exchange(app, scope, [{"type": "websocket.connect"}]))
    assert reply.error is None
    assert refused(reply.messages, 400)


def test_ws_https_redirect_without_denial_extension():
    """It is closed; with the extension it is sent to wss."""
    app = HTTPSRedirectMiddleware(accepts)
    headers = [("host", "good.example")]
    assert ["websocket.close"] == [m["type"] for m in connect(app, headers)]
    messages = connect(app, headers, denial=True)
    assert refused(messages, 307)
    assert (b"location", b"wss://good.example/") in messages[0]["headers"]


# -- hosts -----------------------------------------------------------------------------------------


def scope_headers(*hosts):
    return [("host", host) for host in hosts]


def test_duplicate_host_is_refused_by_trusted_host():
    """Another reader may take the other one (RFC 9112 section 3.2)."""
    app = app_with(TrustedHostMiddleware, allowed_hosts=["good.example"])
    for hosts in (("good.example", "evil.example"), ("good.example", "good.example")):
        assert 400 == answer(app, headers=scope_headers(*hosts)).status


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "goodXexample",
        "evil.example/good.example",
        "good.example@evil.example",
        "good.example#",
        "good.example\n",
        "good.example:80:80",
        "good.example.",
        " good.example",
        "",
        "xgood.example",
        ".below.example",
    ],
)
@pytest.mark.parametrize("debug", [True, False])
def test_other_host_is_refused(host, debug):
    """Compared letter by letter, in debug mode too."""
    layer = Middleware(TrustedHostMiddleware, allowed_hosts=["good.example", "*.other.example"])
    app = Lamella(debug=debug, routes=[Route("/", endpoint)], middleware=[layer])
    reply = answer(app, headers=scope_headers(host))
    assert (400, "Invalid host header") == (reply.status, reply.text)


@given(host=st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_host_is_served_or_refused(host):
    """Never a 500, and never a redirect to a host that is not allowed."""
    app = app_with(TrustedHostMiddleware, allowed_hosts=["www.good.example"])
    assert answer(app, headers=scope_headers(host)).status in (200, 307, 400)


@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("[::1]:80", "https://[::1]/"),
        ("[::1]:443", "https://[::1]/"),
        ("[::1]", "https://[::1]/"),
        ("[::1]:81", "https://[::1]:81/"),
        ("127.0.0.1:80", "https://127.0.0.1/"),
        ("good.example:00080", "https://good.example/"),
    ],
)
def test_https_redirect_ipv6_default_port(host, location):
    """An address keeps its brackets."""
    app = app_with(HTTPSRedirectMiddleware)
    reply = answer(app, headers=scope_headers(host))
    assert (307, location) == (reply.status, reply.headers["location"])


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "/@evil.example", "/a//b"])
@pytest.mark.parametrize("host", ["good.example", "evil.example@", "good.example/", "a b", ""])
def test_https_redirect_stays_on_its_host(path, host):
    """Neither the path nor a malformed Host makes it go elsewhere."""
    app = app_with(HTTPSRedirectMiddleware)
    location = answer(app, path, headers=scope_headers(host)).headers["location"]
    assert location.startswith(("https://good.example/", "https://testserver/"))


@pytest.mark.parametrize("name", ["x-forwarded-proto", "forwarded", "x-forwarded-ssl"])
def test_https_redirect_believes_the_server_alone(name):
    """A header is the client's word until a server was told whom to believe."""
    app = app_with(HTTPSRedirectMiddleware)
    assert 307 == answer(app, headers=[(name, "https"), (name, "proto=https")]).status


# -- gzip ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accepted",
    [
        [],
        [""],
        ["gzip;q=0"],
        ["gzip;q=0.000"],
        ["gzip; q=0"],
        ["gzip ;Q=0.0"],
        ["notgzip"],
        ["gzipped"],
        ["identity"],
        ["br, gzip2"],
        ["gzip;q=x"],
        ["gzip;q=2"],
        ["gzip;q=-1"],
        ["gzip;q=0.0001"],
        ["gzip;q=1;q=1"],
        ["gzip;x=1"],
        ["*;q=0"],
        ["gzip;q=0, *"],
        ["br;q=1", "gzip;q=0"],
        ["identity;q=1, gzip;q=0.5"],
        ["gzip;q=inf"],
        ["gzip;q=1e0"],
        ["gzip gzip"],
    ],
)
def test_gzip_only_when_accepted(accepted):
    """The header is a list of words with weights, and read as one."""
    assert not takes_gzip(accepted)
    app = app_with(GZipMiddleware)
    reply = answer(app, headers=[("accept-encoding", value) for value in accepted])
    assert "content-encoding" not in reply.headers
    assert TEXT == reply.text


@pytest.mark.parametrize(
    "accepted",
    [
        ["gzip"],
        ["GZip"],
        ["x-gzip"],
        ["*"],
        ["*;q=0.1"],
        ["gzip;q=0.001"],
        ["gzip;q=1."],
        ["gzip;q=1.000"],
        ["br , gzip"],
        ["br,,gzip,"],
        ["br", "gzip"],
        ["identity;q=0.5, gzip;q=1"],
        ["identity;q=0, *;q=0.1"],
        ["deflate\t,\tgzip ; q=0.5"],
    ],
)
def test_gzip_when_accepted(accepted):
    """In each way that RFC 9110 section 12.5.3 allows."""
    assert takes_gzip(accepted)
    app = app_with(GZipMiddleware)
    reply = answer(app, headers=[("accept-encoding", value) for value in accepted])
    assert "gzip" == reply.headers["content-encoding"]
    assert TEXT.encode() == gzip.decompress(reply.body)


@given(accepted=st.lists(st.text(max_size=40), max_size=5))
def test_gzip_reads_any_accept_encoding(accepted):
    """Without an error."""
    assert takes_gzip(accepted) in (True, False)


@pytest.mark.parametrize("status", [204, 304])
def test_gzip_leaves_bodiless_alone(status):
    """Not even the header of an empty gzip file is content that they may have."""

    async def empty(request):
        return Response(status_code=status, headers={"etag": '"x"'})

    layer = Middleware(GZipMiddleware, minimum_size=0)
    app = Lamella(routes=[Route("/", empty)], middleware=[layer])
    reply = answer(app, headers=[("accept-encoding", "gzip")])
    assert (status, b"", {"etag": '"x"'}) == (reply.status, reply.body, reply.headers)


def test_gzip_changes_a_strong_etag():
    """Two bodies that differ have no strong tag in common (RFC 9110 section 8.8.1)."""

    async def tagged(request):
        return PlainTextResponse(TEXT, headers={"etag": request.query_params["tag"]})

    app = Lamella(routes=[Route("/", tagged)], middleware=[Middleware(GZipMiddleware)])
    for given_tag, sent in (('"a"', 'W/"a"'), ('W/"a"', 'W/"a"')):
        query = f"tag={given_tag}".encode()
        reply = answer(app, query=query, headers=[("accept-encoding", "gzip")])
        assert sent == reply.headers["etag"]
        assert given_tag == answer(app, query=query).headers["etag"]
