"""Sessions, authentication, WSGI apps and tracing on both: the same cookies, answers and spans."""

import asyncio
import base64
import importlib
import inspect
import json
import warnings

import pytest
from itsdangerous import TimestampSigner
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.parity.differences import check
from tests.parity.drive import ask, exchange, http_scope, raised, websocket_scope
from tests.parity.frameworks import BOTH

KEY = "a key of the tests"
NOW = 1_700_000_000


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Sign at one time, so that the same session is the same cookie."""
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: NOW)


def of(fw, module):
    """A module of a framework; Starlette's of WSGI warns, since it goes away."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"{fw.package}.{module}")


def on_both(act):
    return [act(fw) for fw in BOTH]


# -- sessions --------------------------------------------------------------------------------------


class Signer(TimestampSigner):
    """One that signs at the time of `clock`."""

    def get_timestamp(self):
        return NOW


def signed(content):
    return Signer(KEY).sign(base64.b64encode(content)).decode()


COOKIES = {
    "none": None,
    "flat": signed(b'{"a": 1}'),
    "nested": signed(b'{"b": [1]}'),
    "emptied": signed(b"{}"),
    "forged": signed(b'{"a": 1}') + "x",
    "unsigned": base64.b64encode(b'{"a": 1}').decode(),
    "junk no base64": Signer(KEY).sign("e").decode(),
    "junk no JSON": signed(b"{"),
    "junk list": signed(b"[1]"),
    "junk null": signed(b"null"),
}

ACTIONS = {
    "ignore": lambda request: None,
    "touch": lambda request: request.session,
    "look": lambda request: request.session.get("a"),
    "look by the scope": lambda request: request.scope["session"].get("a"),
    "set": lambda request: request.session.__setitem__("a", 2),
    "set by the scope": lambda request: request.scope["session"].__setitem__("a", 2),
    "update": lambda request: request.session.update(x=1),
    "setdefault": lambda request: request.session.setdefault("a", 3),
    "pop": lambda request: request.session.pop("a", None),
    "pop by the scope": lambda request: request.scope["session"].pop("a", None),
    "clear": lambda request: request.session.clear(),
    "set and clear": lambda request: (request.session.update(x=1), request.session.clear()),
    "change inside": lambda request: request.session.get("b", []).append(2),
    "replace": lambda request: request.scope.__setitem__("session", {"x": 1}),
}

OPTIONS = {
    "plain": {},
    "all": {
        "session_cookie": "other",
        "max_age": None,
        "path": "/a",
        "same_site": "strict",
        "https_only": True,
        "domain": "example.org",
        "partitioned": True,
    },
}


def session_app(fw, action, options):
    async def endpoint(request):
        action(request)
        return fw.PlainTextResponse("ok", headers={"vary": "accept"})

    layer = fw.Middleware(of(fw, "middleware.sessions").SessionMiddleware, KEY, **options)
    return fw.Starlette(routes=[fw.Route("/", endpoint)], middleware=[layer])


def with_cookie(value, name="session"):
    return {} if value is None else {"headers": [("cookie", f"{name}={value}")]}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("cookie", COOKIES)
@pytest.mark.parametrize("action", ACTIONS)
def test_session_is_sent_when_and_as_starlette_sends_it(action, cookie, options):
    """The whole response, to the byte of its cookie."""
    name = OPTIONS[options].get("session_cookie", "session")
    replies = on_both(
        lambda fw: ask(
            session_app(fw, ACTIONS[action], OPTIONS[options]),
            **with_cookie(COOKIES[cookie], name),
        ).seen()
    )
    check(f"session {action} {cookie} {options}", *replies)


@pytest.mark.parametrize("content", [{"a": 1}, {"ü": ["\u2028", None, 1.5]}, {"x": "y" * 3000}])
def test_cookie_of_the_one_is_read_by_the_other(content):
    """So sessions survive a move, and a move back."""
    for writer, reader in (BOTH, BOTH[::-1]):
        reply = ask(session_app(writer, lambda request: request.session.update(content), {}))
        cookie = reply.headers["set-cookie"].partition(";")[0].removeprefix("session=")
        read = []
        app = session_app(reader, lambda request, read=read: read.append({**request.session}), {})
        ask(app, **with_cookie(cookie))
        assert [content] == read


@pytest.mark.parametrize("action", ["nothing", "set before", "set after"])
@pytest.mark.parametrize("cookie", ["none", "flat", "forged"])
def test_websocket_gets_the_session(action, cookie):
    """What it is told of it."""

    async def app(scope, receive, send):
        if action == "set before":
            scope["session"]["x"] = 1
        await send({"type": "websocket.accept"})
        if action == "set after":
            scope["session"]["x"] = 1
        await send({"type": "websocket.send", "text": json.dumps(scope["session"])})

    def talk(fw):
        layer = of(fw, "middleware.sessions").SessionMiddleware(app, KEY)
        scope = websocket_scope(**with_cookie(COOKIES[cookie]))
        messages = asyncio.run(exchange(layer, scope)).messages
        messages[0].setdefault("headers", [])
        return messages

    check(f"session websocket {action} {cookie}", *on_both(talk))


# -- authentication --------------------------------------------------------------------------------


def auth_app(fw, on_error=None):
    auth = of(fw, "authentication")

    class Backend(auth.AuthenticationBackend):
        async def authenticate(self, conn):
            token = conn.headers.get("authorization")
            if token == "bad":
                raise auth.AuthenticationError("wrong ü")
            if token == "lost":
                raise LookupError("no database")
            if token is None:
                return None
            return auth.AuthCredentials(token.split()), auth.SimpleUser(token)

    def told(request):
        user = request.user
        return fw.JSONResponse(
            [user.display_name, user.identity, user.is_authenticated, request.auth.scopes]
        )

    async def told_async(request):
        return told(request)

    class Methods:
        @auth.requires("read")
        async def show(self, request):
            return told(request)

    routes = [
        fw.Route("/", told, name="home"),
        fw.Route("/read", auth.requires("read")(told)),
        fw.Route("/read/async", auth.requires("read")(told_async)),
        fw.Route("/both", auth.requires(["read", "write"], status_code=404)(told)),
        fw.Route("/none", auth.requires([])(told)),
        fw.Route("/away", auth.requires("read", redirect="home")(told)),
        fw.Route("/away/async", auth.requires("read", 401, "home")(told_async)),
        fw.Route("/lost", auth.requires("read", redirect="nowhere")(told)),
        fw.Route("/method", Methods().show),
    ]
    layer = fw.Middleware(
        of(fw, "middleware.authentication").AuthenticationMiddleware,
        backend=Backend(),
        on_error=on_error and (lambda conn, exc: fw.JSONResponse({"error": str(exc)}, 401)),
    )
    return fw.Starlette(routes=routes, middleware=[layer])


AUTH_PATHS = (
    *("/", "/read", "/read/async", "/both", "/none", "/away", "/away/async", "/lost"),
    *("/method", "/nowhere"),
)
TOKENS = (None, "", "read", "write", "read write", "bad", "lost")


@pytest.mark.parametrize("on_error", [False, True])
@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("path", AUTH_PATHS)
def test_authentication_lets_the_same_through(path, token, on_error):
    """With the same answers to the others; a NoMatchFound is worded by each."""
    headers = [] if token is None else [("authorization", token)]
    theirs, ours = on_both(
        lambda fw: ask(auth_app(fw, on_error), path, headers=headers, query=b"a=b").seen()
    )
    if theirs[-1] is not None and theirs[-1][0] == "NoMatchFound":
        theirs, ours = [(*reply[:-1], reply[-1][0]) for reply in (theirs, ours)]
    check(f"auth {path} {token!r} {on_error}", theirs, ours)


@pytest.mark.parametrize("token", TOKENS)
def test_websocket_is_authenticated_alike(token):
    """By the layer and by `requires`."""

    def talk(fw):
        auth = of(fw, "authentication")

        @auth.requires("read")
        async def endpoint(websocket):
            await websocket.accept()

        async def app(scope, receive, send):
            await endpoint(of(fw, "websockets").WebSocket(scope, receive, send))

        layer = auth_app(fw).user_middleware[0]
        headers = [] if token is None else [("authorization", token)]
        scope = websocket_scope(headers=headers)
        reply = asyncio.run(
            exchange(layer.cls(app, **layer.kwargs), scope, [{"type": "websocket.connect"}])
        )
        return reply.messages, raised(reply.error)

    check(f"auth websocket {token!r}", *on_both(talk))


# -- WSGI ------------------------------------------------------------------------------------------


def whole(environ, start_response):
    start_response("201 Created", [("X-One", " 1 "), ("X-One", "2")])
    return [b"a", b"b"]


def echo(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def generated(environ, start_response):
    start_response("200 OK", [])
    yield b"a"
    yield b"b"


def reports(environ, start_response):
    try:
        raise LookupError("lost")
    except LookupError as exc:
        start_response("500 Lost", [], (type(exc), exc, exc.__traceback__))
    return [b"sorry"]


def breaks(environ, start_response):
    raise LookupError("lost")


def breaks_later(environ, start_response):
    start_response("200 OK", [])
    yield b"a"
    raise LookupError("lost")


def nothing(environ, start_response):
    start_response("204 No Content", [])
    return []


@pytest.mark.parametrize(
    "app",
    [whole, echo, generated, reports, breaks, breaks_later, nothing],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_wsgi_app_answers_the_same(app, method):
    """And its errors reach the server."""
    replies = on_both(
        lambda fw: ask(
            of(fw, "middleware.wsgi").WSGIMiddleware(app), method=method, body=b"body"
        ).seen()
    )
    check(f"wsgi {app.__name__} {method}", *replies)


SCOPES = {
    "plain": {},
    "mounted": {"path": "/a/b", "root_path": "/a", "query": b"x=%20"},
    "beside": {"path": "/ab", "root_path": "/a"},
    "unicode": {"path": "/ü/ö", "root_path": "/ü"},
    "headers": {
        "headers": [("accept", "a"), ("x-y", "b"), ("accept", "c"), ("content-length", "1")]
    },
    "no addresses": {"client": None, "server": None},
    "https": {"scheme": "https", "http_version": "2", "method": "PUT"},
    "underscore": {"headers": [("x_y", "a"), ("x-y", "b")]},
    "proxy": {"headers": [("proxy", "a")]},
    "cookies": {"headers": [("cookie", "a=1"), ("cookie", "b=2")]},
    "query": {"query": b"\xff"},
}


@pytest.mark.parametrize("name", SCOPES)
def test_environ_is_the_same(name):
    """The body apart, which is a file on both."""

    def environ(fw):
        build = of(fw, "middleware.wsgi").build_environ
        try:
            found = build(http_scope(**SCOPES[name]), b"body")
        except Exception as exc:
            return type(exc).__name__
        assert b"body" == found.pop("wsgi.input").read()
        return found

    check(f"environ {name}", *on_both(environ))


# -- tracing ---------------------------------------------------------------------------------------


def span_of(fw, path, method, headers):
    """What a request's span says."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def plain(request):
        return fw.PlainTextResponse("ok")

    async def stops(request):
        raise fw.HTTPException(404)

    async def fails(request):
        raise LookupError("lost")

    async def unavailable(request):
        return fw.PlainTextResponse("", 503)

    routes = [
        fw.Route("/users/{name}", plain, methods=["GET", "POST"]),
        fw.Route("/stops", stops),
        fw.Route("/fails", fails),
        fw.Route("/unavailable", unavailable),
        fw.Mount("/api", app=fw.Router([fw.Route("/{x:int}", plain)])),
    ]
    layer = fw.Middleware(
        of(fw, "middleware.opentelemetry").OpenTelemetryMiddleware,
        tracer_provider=provider,
        excluded_urls="/excluded",
    )
    app = fw.Starlette(routes=routes, middleware=[layer])
    ask(app, path, method, headers=headers, query=b"a=b")
    return [
        {
            **span.attributes,
            "name": span.name,
            "kind": span.kind,
            "status": (span.status.status_code, span.status.description),
            "events": [event.name for event in span.events],
            "parent": span.parent and span.parent.span_id,
        }
        for span in exporter.get_finished_spans()
    ]


REQUESTS = {
    "route": ("/users/ada", "GET", []),
    "route post": ("/users/ada", "POST", [("user-agent", "tests"), ("user-agent", "more")]),
    "not allowed": ("/users/ada", "DELETE", []),
    "mounted": ("/api/1", "GET", [("host", "example.org:8000")]),
    "mounted nowhere": ("/api/x", "GET", []),
    "nowhere": ("/nowhere", "GET", []),
    "parent": (
        "/users/ada",
        "GET",
        [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
    ),
    "stops": ("/stops", "GET", []),
    "unavailable": ("/unavailable", "GET", []),
    "excluded": ("/excluded", "GET", []),
    "fails": ("/fails", "GET", []),
    "made-up method": ("/users/ada", "BREW", []),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_span_says_the_same(name):
    """Name, attributes, status and parent."""
    check(f"span {name}", *on_both(lambda fw: span_of(fw, *REQUESTS[name])))


# -- signatures ------------------------------------------------------------------------------------

PUBLIC = {
    "authentication": [
        *("AuthCredentials", "AuthenticationBackend", "AuthenticationError", "BaseUser"),
        *("SimpleUser", "UnauthenticatedUser", "has_required_scope", "requires"),
    ],
    "middleware.authentication": ["AuthenticationMiddleware"],
    "middleware.opentelemetry": ["OpenTelemetryMiddleware"],
    "middleware.sessions": ["Session", "SessionMiddleware"],
    "middleware.wsgi": ["WSGIMiddleware", "WSGIResponder", "build_environ"],
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in PUBLIC.items() for name in names]
)
def test_arguments_of_starlette_are_taken(module, name):
    """In its order, with its defaults; more may follow."""
    theirs, ours = on_both(lambda fw: getattr(of(fw, module), name))
    if issubclass(theirs, dict | Exception) if inspect.isclass(theirs) else False:
        assert theirs.__mro__[1:] == ours.__mro__[1:]
        return
    taken = [
        [(p.name, p.kind, p.default) for p in inspect.signature(each).parameters.values()]
        for each in (theirs, ours)
    ]
    assert taken[0] == taken[1][: len(taken[0])]
    assert all(default is not inspect.Parameter.empty for *_, default in taken[1][len(taken[0]) :])


CASES = [
    *(
        f"session {action} {cookie} {options}"
        for action in ACTIONS
        for cookie in COOKIES
        for options in OPTIONS
    ),
    *(f"session websocket {action} none" for action in ("nothing", "set before", "set after")),
    *(f"environ {name}" for name in SCOPES),
    *(f"span {name}" for name in REQUESTS),
]
