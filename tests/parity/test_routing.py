"""One set of routes on Starlette and on lamella: the same answers to the same requests."""

import asyncio
import json

import pytest

from tests.parity.differences import check
from tests.parity.drive import exchange, request, websocket_scope
from tests.parity.frameworks import BOTH

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "BREW")
ROOTS = ("", "/pre", "/api")

PATHS = (
    "/",
    "",
    "//",
    "/nothing",
    "/nothing/",
    "/users",
    "/users/",
    "/users/me",
    "/users/me/",
    "/users/ann",
    "/users/ann%20lee",
    "/users/ann lee",
    "/users/a%2Fb",
    "/users/jörg",
    "/users/ann\n",
    "/users//",
    "/users/7/posts",
    "/users/x/posts",
    "/users/-7/posts",
    "/users/7/posts/",
    "/int/12",
    "/int/012",
    "/int/1.5",
    "/int/",
    "/float/1",
    "/float/1.5",
    "/float/-1.5",
    "/float/nan",
    "/uuid/0b1ad4e7-3a8b-4b2e-8a1f-0d7ab3e9c111",
    "/uuid/0B1AD4E7-3A8B-4B2E-8A1F-0D7AB3E9C111",
    "/uuid/no",
    "/files/",
    "/files",
    "/files/a/b/c.txt",
    "/files//a",
    "/files/../etc",
    "/a-b/mixed",
    "/a--b/mixed",
    "/-/mixed",
    "/closed/",
    "/closed",
    "/open",
    "/open/",
    "/any",
    "/sync",
    "/partial",
    "/method",
    "/class",
    "/instance",
    "/raw",
    "/raw/",
    "/raw/below/it",
    "/rawer",
    "/api",
    "/api/",
    "/api/items",
    "/api/items/",
    "/api/items/3",
    "/api/items/x",
    "/api/v1/deep",
    "/api/v1/deep/",
    "/api/v1",
    "/api/v1/",
    "/api/none",
    "/pre",
    "/pre/users",
    "/pre/api/items",
    "/t/acme/start",
    "/t/acme",
    "/t/acme/",
    "/t/acme/start/",
    "/first",
    "/both",
    "/sub/inside",
    "/sub/nothing",
    "/sub/inside/",
    "/sub",
    "/late",
    "/late/",
    "//evil.example/users",
    "//evil.example",
    "/users/me?x=1",
)


def told(fw):
    """An endpoint that tells everything a route says about the request."""

    def tell(request):
        scope = request.scope
        facts = {
            "method": scope["method"],
            "path": scope["path"],
            "root_path": scope["root_path"],
            "app_root_path": scope.get("app_root_path"),
            "params": {key: repr(value) for key, value in request.path_params.items()},
            "path_of_user": str(request.app.url_path_for("user", username="bob")),
            "url_of_user": str(request.url_for("user", username="bob")),
            "base": str(request.base_url),
        }
        return fw.PlainTextResponse(json.dumps(facts))

    return tell


def build(fw, *, catch_all=False):
    """One app of a bit of everything, whose last route may be a mount that takes what is left."""
    tell = told(fw)

    async def users(request):
        return tell(request)

    async def user(request):
        return tell(request)

    async def first(request):
        return fw.PlainTextResponse("first")

    async def second(request):
        return fw.PlainTextResponse("second")

    class Whole:
        """An ASGI app that is a class with `__await__`, as HTTPEndpoint is."""

        def __init__(self, scope, receive, send):
            self.args = scope, receive, send

        def __await__(self):
            return fw.PlainTextResponse("class")(*self.args).__await__()

    class Instance:
        async def __call__(self, scope, receive, send):
            await fw.PlainTextResponse("instance")(scope, receive, send)

        async def method(self, request):
            return tell(request)

    async def raw(scope, receive, send):
        text = f"{scope['path']} {scope['root_path']} {scope.get('app_root_path')}"
        await fw.PlainTextResponse(text)(scope, receive, send)

    inner = fw.Starlette(routes=[fw.Route("/inside", first)])
    tenants = [fw.Route("/start", users)]
    api = [
        fw.Route("/", first),
        fw.Route("/items", users, methods=["GET", "POST"]),
        fw.Route("/items/{item:int}", users),
        fw.Mount("/v1", routes=[fw.Route("/deep", users)], name="v1"),
    ]
    return fw.Starlette(
        routes=[
            fw.Host("files.example.org", app=raw),
            fw.Host("{tenant}.example.com", app=fw.Router(routes=[fw.Route("/", users)])),
            fw.Route("/", users),
            fw.Route("/users", users),
            fw.Route("/users", second, methods=["POST"]),
            fw.Route("/users/me", first, name="me"),
            fw.Route("/users/{username}", user),
            fw.Route("/users/{id:int}/posts", users, name="posts"),
            fw.Route("/int/{n:int}", users, name="int"),
            fw.Route("/float/{n:float}", users, name="float"),
            fw.Route("/uuid/{n:uuid}", users, name="uuid"),
            fw.Route("/files/{rest:path}", users, name="files"),
            fw.Route("/{one}-{two}/mixed", users, name="mixed"),
            fw.Route("/closed/", users, name="closed"),
            fw.Route("/open", users, name="open"),
            fw.Route("/any", users, methods=["PUT", "delete"], name="any"),
            fw.Route("/sync", tell, name="sync"),
            fw.Route("/method", Instance().method),
            fw.Route("/class", Whole),
            fw.Route("/instance", Instance()),
            fw.Mount("/raw", app=raw, name="raw"),
            fw.Mount("/api", routes=api, name="api"),
            fw.Mount("/t/{tenant}", routes=tenants, name="tenant"),
            fw.Route("/first", first, methods=["GET"]),
            fw.Route("/first", second, methods=["POST"], name="again"),
            fw.Mount("/sub", app=inner),
            *([fw.Mount("", routes=[fw.Route("/late", users)])] if catch_all else []),
        ]
    )


@pytest.fixture(scope="module")
def apps():
    """The app on both."""
    return [build(fw) for fw in BOTH]


@pytest.fixture(scope="module")
def catching():
    """The app with a mount that takes what is left, on both."""
    return [build(fw, catch_all=True) for fw in BOTH]


def compare(apps, scopes):
    """What each app answers to each scope."""

    async def run(app):
        return {name: (await request(app, **scope)).seen() for name, scope in scopes.items()}

    return [asyncio.run(run(app)) for app in apps]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_same_answer_to_every_method(apps, path):
    """Status, headers in their order, body and error."""
    scopes = {method: {"path": path, "method": method} for method in METHODS}
    check(f"path {path!r}", *compare(apps, scopes))


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_same_answer_where_a_mount_takes_what_is_left(catching, path):
    """A full match of the last route is before a partial match of an earlier one."""
    scopes = {method: {"path": path, "method": method} for method in ("GET", "POST")}
    check(f"catch-all path {path!r}", *compare(catching, scopes))


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_same_answer_below_a_root_path(apps, path):
    """Both kinds of server: those that leave the root path in the path, and those that do not."""
    scopes = {}
    for root in ROOTS[1:]:
        scopes[root] = {"path": path, "root_path": root}
        scopes[root + " in path"] = {"path": root + path, "root_path": root}
    check(f"root path {path!r}", *compare(apps, scopes))


HOSTS = (
    "files.example.org",
    "files.example.org:8000",
    "FILES.example.org",
    "acme.example.com",
    "a.b.example.com",
    "example.com",
    ".example.com",
    "acme.example.com.evil.example",
    "[::1]:80",
    "",
)


@pytest.mark.parametrize("host", HOSTS, ids=repr)
def test_same_answer_to_every_host(apps, host):
    """Hosts are routes too."""
    scopes = {
        path: {"path": path, "headers": [("host", host)]} for path in ("/", "/users", "/nothing")
    }
    check(f"host {host!r}", *compare(apps, scopes))


@pytest.mark.parametrize(
    "query", [b"", b"a=1&b=2", b"next=//evil.example", b"\xc3\xbc=%20+"], ids=repr
)
def test_same_answer_with_a_query(apps, query):
    """The query is no part of matching."""
    scopes = {path: {"path": path, "query": query} for path in ("/users", "/nothing")}
    check(f"query {query!r}", *compare(apps, scopes))


@pytest.mark.parametrize("path", ["/users", "/nothing", "/raw/x", "/sub/nothing", "/api/none"])
def test_same_answer_to_a_websocket_without_a_route(apps, path):
    """It is closed, or refused."""

    async def run(app):
        reply = await exchange(app, websocket_scope(path), [{"type": "websocket.connect"}])
        return reply.seen()

    check(f"websocket {path!r}", *[asyncio.run(run(app)) for app in apps])


URLS = (
    ("users", {}),
    ("user", {"username": "bob"}),
    ("user", {"username": "a b/ü"}),
    ("user", {}),
    ("user", {"username": "bob", "more": 1}),
    ("user", {"name": "bob"}),
    ("posts", {"id": 3}),
    ("int", {"n": 3}),
    ("int", {"n": -3}),
    ("float", {"n": 1.5}),
    ("float", {"n": 1e300}),
    ("uuid", {"n": "0b1ad4e7-3a8b-4b2e-8a1f-0d7ab3e9c111"}),
    ("files", {"rest": "a/b"}),
    ("files", {"rest": ""}),
    ("mixed", {"one": "a", "two": "b"}),
    ("raw", {"path": "/x/y"}),
    ("raw", {"path": "x"}),
    ("raw", {}),
    ("api:users", {}),
    ("api", {"path": "/z"}),
    ("api:v1:users", {}),
    ("api:v1:nothing", {}),
    ("tenant:users", {"tenant": "acme"}),
    ("tenant:users", {}),
    ("tenant", {"tenant": "acme", "path": "/q"}),
    ("me", {}),
    ("first", {}),
    ("again", {}),
    ("Whole", {}),
    ("Instance", {}),
    ("method", {}),
    ("nothing", {}),
)


@pytest.mark.parametrize(("name", "params"), URLS, ids=str)
def test_same_path_for_a_name(apps, name, params):
    """And the same error for a name or parameters that no route has."""

    def path_for(app):
        try:
            url = app.url_path_for(name, **params)
        except Exception as exc:
            return type(exc).__name__, str(exc)
        return url, url.protocol, url.host

    check(f"url {name} {params}", *[path_for(app) for app in apps])
