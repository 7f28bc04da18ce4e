"""The layers that keep a policy, on both: the same answers to the same requests."""

import asyncio
import inspect
from importlib import import_module

import pytest

from tests.parity.differences import check
from tests.parity.drive import exchange, request, websocket_scope
from tests.parity.frameworks import BOTH

CLASSES = {
    "cors": ("middleware.cors", "CORSMiddleware"),
    "gzip": ("middleware.gzip", "GZipMiddleware"),
    "host": ("middleware.trustedhost", "TrustedHostMiddleware"),
    "https": ("middleware.httpsredirect", "HTTPSRedirectMiddleware"),
    "limit": ("middleware.body_limit", "RequestBodyLimitMiddleware"),
}

TEXT = "a text that is long enough to be worth it; " * 40
ALLOWED, OTHER = "https://allowed.example", "https://other.example"


# -- what is inside --------------------------------------------------------------------------------


def app_of(fw, tmp_path, kind, **settings):
    """An application with one layer, and every kind of response below it."""

    async def plain(request):
        return fw.PlainTextResponse(TEXT)

    async def small(request):
        return fw.PlainTextResponse("small", headers={"vary": "Cookie"})

    async def varies(request):
        response = fw.PlainTextResponse(TEXT, headers={"vary": "Cookie"})
        response.headers.append("vary", "Accept-Language")
        return response

    async def stream(request):
        async def pieces():
            for piece in (b"one", b"two", b"three"):
                yield piece

        return fw.StreamingResponse(pieces(), media_type="text/plain")

    async def events(request):
        return fw.StreamingResponse(iter([b"data: 1\n\n"]), media_type="text/event-stream")

    async def encoded(request):
        return fw.PlainTextResponse(TEXT, headers={"content-encoding": "br"})

    async def image(request):
        return fw.Response(TEXT, media_type="image/png")

    async def empty(request):
        return fw.Response(status_code=204)

    async def tagged(request):
        return fw.PlainTextResponse(TEXT, headers={"etag": '"strong"'})

    async def kept(request):
        return fw.PlainTextResponse(TEXT, headers={"cache-control": "public, no-transform"})

    async def file(request):
        path = tmp_path / "file.txt"
        path.write_text(TEXT)
        headers = {"etag": '"file"', "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        return import_module(f"{fw.package}.responses").FileResponse(path, headers=headers)

    async def own_cors(request):
        return fw.PlainTextResponse("own", headers={"access-control-allow-origin": "x"})

    async def missing(request):
        raise fw.HTTPException(404, TEXT)

    async def foreign(scope, receive, send):
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": TEXT.encode()})

    async def echo(request):
        return fw.PlainTextResponse(await request.body())

    endpoints = (
        plain,
        small,
        varies,
        stream,
        events,
        encoded,
        image,
        empty,
        tagged,
        kept,
        own_cors,
        missing,
        echo,
    )
    methods = ["GET", "POST", "OPTIONS"]
    routes = [fw.Route(f"/{each.__name__}", each, methods=methods) for each in endpoints]
    routes.append(fw.Route("/file", file))
    routes.append(fw.Mount("/foreign", app=foreign))
    module, name = CLASSES[kind]
    cls = getattr(import_module(f"{fw.package}.{module}"), name)
    return fw.Starlette(routes=routes, middleware=[fw.Middleware(cls, **settings)])


def compare(case, tmp_path, kind, settings, path, **asked):
    """Ask both the same, and look the case up."""
    apps = [app_of(fw, tmp_path, kind, **settings) for fw in BOTH]
    check(case, *[asyncio.run(request(app, path, **asked)).seen() for app in apps])


# -- CORS ------------------------------------------------------------------------------------------

POLICIES = {
    "list": {"allow_origins": [ALLOWED]},
    "list with credentials": {
        "allow_origins": [ALLOWED],
        "allow_credentials": True,
        "expose_headers": ["X-One", "X-Two"],
        "allow_methods": ["GET", "PATCH"],
        "allow_headers": ["X-Own"],
    },
    "regex": {"allow_origin_regex": r"https://[a-z]+\.example", "max_age": 5},
    "part of regex": {"allow_origin_regex": r"https://allowed", "allow_credentials": True},
    "any": {"allow_origins": ["*"], "allow_methods": ["*"], "allow_headers": ["*"]},
    "any with credentials": {"allow_origins": ["*"], "allow_credentials": True},
    "private": {"allow_origins": ["*"], "allow_private_network": True},
}
NULL = [("origin", "null")]
FROM_ALLOWED, FROM_OTHER = [("origin", ALLOWED)], [("origin", OTHER)]
ASKS = [("access-control-request-method", "PATCH"), ("access-control-request-headers", "x-own, a")]
PREFLIGHTS = {
    "none": [],
    "get": [("access-control-request-method", "GET")],
    "patch": ASKS,
    "private": [*ASKS[:1], ("access-control-request-private-network", "true")],
}
ORIGINS = {"none": [], "allowed": FROM_ALLOWED, "other": FROM_OTHER, "null": NULL}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("path", ["/plain", "/varies", "/own_cors", "/foreign/", "/nowhere"])
def test_same_answer_to_a_request_of_another_origin(tmp_path, policy, origin, path):
    """Headers in their order."""
    case = f"cors {policy} {origin} {path}"
    compare(case, tmp_path, "cors", POLICIES[policy], path, headers=ORIGINS[origin])


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("preflight", PREFLIGHTS)
def test_same_answer_to_a_preflight_request(tmp_path, policy, origin, preflight):
    """Which is one only with an origin and a method that is asked for."""
    case = f"preflight {policy} {origin} {preflight}"
    headers = ORIGINS[origin] + PREFLIGHTS[preflight]
    compare(case, tmp_path, "cors", POLICIES[policy], "/plain", method="OPTIONS", headers=headers)


# -- gzip ------------------------------------------------------------------------------------------

ACCEPTS = {
    "nothing": [],
    "gzip": [("accept-encoding", "gzip")],
    "browser": [("accept-encoding", "gzip, deflate, br, zstd")],
    "weighed": [("accept-encoding", "br;q=1.0, gzip;q=0.8")],
    "identity": [("accept-encoding", "identity")],
    "refused": [("accept-encoding", "gzip;q=0")],
    "any": [("accept-encoding", "*")],
    "other word": [("accept-encoding", "notgzip")],
}
GZIPPED = (
    "/plain",
    "/small",
    "/varies",
    "/stream",
    "/events",
    "/encoded",
    "/image",
    "/empty",
    "/tagged",
    "/kept",
    "/file",
    "/missing",
    "/foreign/",
)


@pytest.mark.parametrize("path", GZIPPED)
@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("settings", [{}, {"minimum_size": 0, "compresslevel": 1}])
def test_same_bytes_compressed(tmp_path, path, accept, settings):
    """To the byte: the same compressor with the same flushes."""
    case = f"gzip {path} {accept} {'all' if settings else 'default'}"
    compare(case, tmp_path, "gzip", settings, path, headers=ACCEPTS[accept])


# -- hosts -----------------------------------------------------------------------------------------

HOST_POLICIES = {
    "any": {},
    "one": {"allowed_hosts": ["example.org", "[::1]"]},
    "below": {"allowed_hosts": ["*.example.org"]},
    "www": {"allowed_hosts": ["www.example.org"]},
    "www without redirect": {"allowed_hosts": ["www.example.org"], "www_redirect": False},
}
HOSTS = (
    "example.org",
    "EXAMPLE.org:8000",
    "www.example.org",
    "a.b.example.org",
    "notexample.org",
    "example.org.evil.example",
    "example.org@evil.example",
    "example.org/evil",
    "example.org.",
    "[::1]:80",
    "::1",
    "",
    "example.org:65536",
)


@pytest.mark.parametrize("policy", HOST_POLICIES)
@pytest.mark.parametrize("host", HOSTS)
def test_same_hosts_are_served(tmp_path, policy, host):
    """And the same are redirected."""
    case = f"host {policy} {host!r}"
    compare(case, tmp_path, "host", HOST_POLICIES[policy], "/small", headers=[("host", host)])


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", [*HOSTS, "example.org:80", "example.org:0443", "example.org:81"])
def test_same_redirect_to_https(tmp_path, scheme, host):
    """With query and path as they came."""
    case = f"https {scheme} {host!r}"
    asked = {"headers": [("host", host)], "scheme": scheme, "query": b"a=%20&b"}
    compare(case, tmp_path, "https", {}, "/small", **asked)


# -- websockets ------------------------------------------------------------------------------------

SOCKETS = {
    "cors allowed": ("cors", POLICIES["list"], "ws", {"headers": FROM_ALLOWED}),
    "cors other": ("cors", POLICIES["list"], "ws", {"headers": FROM_OTHER}),
    "cors none": ("cors", POLICIES["list"], "ws", {}),
    "cors any": ("cors", POLICIES["any"], "ws", {"headers": FROM_OTHER}),
    "host allowed": ("host", HOST_POLICIES["one"], "ws", {"headers": [("host", "example.org")]}),
    "host other": ("host", HOST_POLICIES["one"], "ws", {"headers": [("host", "other.org")]}),
    "https wss": ("https", {}, "wss", {}),
    "https ws": ("https", {}, "ws", {}),
    "gzip": ("gzip", {}, "ws", {}),
    "limit": ("limit", {"max_body_size": 1}, "ws", {}),
}
OFFERS = {"denial": {"websocket.http.response": {}}, "nothing": {}}


@pytest.mark.parametrize("socket", SOCKETS)
@pytest.mark.parametrize("offer", OFFERS)
def test_same_websockets_are_served(socket, offer):
    """By an app that accepts; refused with a response where the server takes one."""
    kind, settings, scheme, asked = SOCKETS[socket]

    async def accepts(scope, receive, send):
        await send({"type": "websocket.accept"})

    def messages(fw):
        module, name = CLASSES[kind]
        app = getattr(import_module(f"{fw.package}.{module}"), name)(accepts, **settings)
        scope = {**websocket_scope("/", **asked), "extensions": OFFERS[offer], "scheme": scheme}
        reply = asyncio.run(exchange(app, scope, [{"type": "websocket.connect"}]))
        return reply.messages, reply.error

    check(f"socket {socket} {offer}", *[messages(fw) for fw in BOTH])


# Every case that the table of differences may speak of.
CASES = [
    *(f"cors {policy} {origin} /plain" for policy in POLICIES for origin in ORIGINS),
    *(f"preflight {policy} {origin} get" for policy in POLICIES for origin in ORIGINS),
    *(f"gzip {path} {accept} all" for path in GZIPPED for accept in ACCEPTS),
    *(f"host {policy} {host!r}" for policy in HOST_POLICIES for host in HOSTS),
    *(f"https http {host!r}" for host in HOSTS),
    *(f"socket {socket} {offer}" for socket in SOCKETS for offer in OFFERS),
]

# -- body limit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"12345", b"123456"])
@pytest.mark.parametrize("length", [None, "6", "5", "x"])
@pytest.mark.parametrize("path", ["/echo", "/small"])
def test_same_bodies_are_taken(tmp_path, body, length, path):
    """Whatever the length was said to be."""
    case = f"limit {path} {len(body)} {length}"
    headers = [] if length is None else [("content-length", length)]
    asked = {"method": "POST", "body": body, "headers": headers}
    compare(case, tmp_path, "limit", {"max_body_size": 5}, path, **asked)


# -- signatures ------------------------------------------------------------------------------------


def signature_of(fw, kind):
    """Name, kind and default of each parameter of a class."""
    module, name = CLASSES[kind]
    cls = getattr(import_module(f"{fw.package}.{module}"), name)
    return [(p.name, p.kind, p.default) for p in inspect.signature(cls).parameters.values()]


@pytest.mark.parametrize("kind", CLASSES)
def test_same_signature(kind):
    """A declaration that is right for the one is right for the other."""
    theirs, ours = (signature_of(fw, kind) for fw in BOTH)
    assert theirs == ours


@pytest.mark.parametrize("name", ["GZipResponder", "IdentityResponder"])
def test_same_signature_of_a_responder(name):
    """Software on top makes these by itself."""
    theirs, ours = (
        [
            (p.name, p.kind, p.default)
            for p in inspect.signature(
                getattr(import_module(f"{fw.package}.middleware.gzip"), name)
            ).parameters.values()
        ]
        for fw in BOTH
    )
    assert theirs == ours
