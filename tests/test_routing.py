"""Routes: what matches, what answers, and how routes may be changed under a running app."""

import asyncio
import contextlib
import copy
import functools
import re

import pytest

from lamella import applications, background, middleware, routing
from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.convertors import Convertor, register_url_convertor
from lamella.engine.service import service_of
from lamella.exceptions import (
    HTTPException,
    NoResponseError,
    StackError,
)
from lamella.middleware import Middleware, compose
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.exceptions import ExceptionMiddleware
from lamella.responses import PlainTextResponse, Response, StreamingResponse
from lamella.routing import (
    BaseRoute,
    Host,
    Match,
    Mount,
    NoMatchFound,
    Route,
    Router,
    WebSocketRoute,
    compile_path,
    get_name,
    replace_params,
    request_response,
    websocket_session,
)
from tests.parity.drive import answer, ask, exchange, http_scope, lifetime, websocket_scope


def say(word, name=None):
    """An endpoint that answers a word."""

    async def endpoint(request):
        return PlainTextResponse(word)

    endpoint.__name__ = name or word
    return endpoint


async def params(request):
    """Answer the path parameters."""
    return PlainTextResponse(repr(request.path_params))


async def raw(scope, receive, send):
    """A pure ASGI app that tells where it is."""
    text = f"{scope['root_path']}|{scope['path']}"
    await PlainTextResponse(text)(scope, receive, send)


def tag(word):
    """A layer that leaves a word in a header of the response."""

    async def layer(request, call_next):
        response = await call_next(request)
        response.headers["x-tags"] = f"{word} {response.headers.get('x-tags', '')}".strip()
        return response

    return layer


def as_foreign(app):
    """The same app, of which nothing but the ASGI call is known."""

    async def called(scope, receive, send):
        await app(scope, receive, send)

    return called


class Pure:
    """A pure ASGI layer that leaves a word in a header."""

    def __init__(self, app, word="pure"):
        self.app = app
        self.word = word

    async def __call__(self, scope, receive, send):
        async def own_send(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-pure", self.word.encode())]
            await send(message)

        await self.app(scope, receive, own_send)


# -- Route -----------------------------------------------------------------------------------------


def test_first_full_match_wins():
    """The order of declaration is the order of trying."""
    router = Router([Route("/{any}", say("one")), Route("/fixed", say("two"))])
    assert "one" == answer(router, "/fixed").text
    router = Router([Route("/fixed", say("two")), Route("/{any}", say("one"))])
    assert "two" == answer(router, "/fixed").text


def test_full_match_is_before_an_earlier_partial_match():
    """A method that an earlier route refuses may be another route's."""
    router = Router([Route("/a", say("get")), Route("/{x}", say("post"), methods=["POST"])])
    assert "post" == answer(router, "/a", "POST").text


def test_first_partial_match_tells_the_methods():
    """405 with `Allow` (RFC 9110 section 15.5.6), sorted so that it is always the same."""
    router = Router(
        [Route("/a", say("x"), methods=["put", "GET"]), Route("/a", say("y"), methods=["POST"])]
    )
    reply = answer(router, "/a", "DELETE")
    assert 405 == reply.status
    assert "GET, HEAD, PUT" == reply.headers["allow"]
    assert "Method Not Allowed" == reply.text


def test_405_in_an_application_goes_through_its_handlers():
    """As an exception, so that a handler of 405 answers and knows the headers."""

    async def handler(request, exc):
        return PlainTextResponse("mine", status_code=405, headers=exc.headers)

    app = Lamella(routes=[Route("/", say("x"))], exception_handlers={405: handler})
    reply = answer(app, "/", "POST")
    assert (405, "mine", "GET, HEAD") == (reply.status, reply.text, reply.headers["allow"])


def test_404_in_an_application_goes_through_its_handlers():
    """As an exception, so that a handler of 404 answers."""

    async def handler(request, exc):
        return PlainTextResponse("mine", status_code=404)

    app = Lamella(exception_handlers={404: handler})
    assert "mine" == answer(app, "/nothing").text


def test_404_of_a_router_alone_is_a_plain_answer():
    """There is nobody to handle an exception."""
    reply = answer(Router(), "/nothing")
    assert (404, "Not Found") == (reply.status, reply.text)


def test_head_is_answered_for_get_routes():
    """Servers cut the body; the headers are those of GET (RFC 9110 section 9.3.2)."""
    route = Route("/", say("hello"))
    assert {"GET", "HEAD"} == route.methods
    reply = answer(Router([route]), "/", "HEAD")
    assert (200, "5") == (reply.status, reply.headers["content-length"])


def test_methods_are_upper_case_and_without_get_there_is_no_head():
    """`methods=["post"]` means POST."""
    assert {"POST"} == Route("/", say("x"), methods=["post"]).methods


def test_class_and_object_endpoints_take_every_method():
    """They are ASGI apps and look at the method themselves."""
    route = Route("/", raw)
    assert {"GET", "HEAD"} == route.methods  # a function is an endpoint, whatever its parameters

    class App:
        async def __call__(self, scope, receive, send):
            await PlainTextResponse(scope["method"])(scope, receive, send)

    route = Route("/", App())
    assert route.methods is None
    assert "BREW" == answer(Router([route]), "/", "BREW").text


def test_partial_and_method_endpoints_are_functions():
    """`functools.partial` at any depth, and bound methods."""

    async def greet(word, request):
        return PlainTextResponse(word)

    class Shop:
        async def open(self, request):
            return PlainTextResponse("open")

    partial = functools.partial(functools.partial(greet), "hi")
    router = Router([Route("/p", partial, name="p"), Route("/m", Shop().open)])
    assert "hi" == answer(router, "/p").text
    assert "open" == answer(router, "/m").text


def test_sync_endpoints_run_in_a_thread():
    """They may block."""
    import threading

    def endpoint(request):
        return PlainTextResponse(str(threading.current_thread() is threading.main_thread()))

    assert "False" == answer(Router([Route("/", endpoint)]), "/").text


def test_parameters_are_converted():
    """Each by its convertor."""
    router = Router(
        [
            Route("/i/{n:int}", params, name="i"),
            Route("/f/{n:float}", params, name="f"),
            Route("/u/{n:uuid}", params, name="u"),
            Route("/p/{n:path}", params, name="p"),
            Route("/two/{a}-{b}", params, name="two"),
        ]
    )
    assert "{'n': 7}" == answer(router, "/i/7").text
    assert "{'n': 1.5}" == answer(router, "/f/1.5").text
    assert "{'n': 'a/b'}" == answer(router, "/p/a/b").text
    assert "{'a': 'x', 'b': 'y'}" == answer(router, "/two/x-y").text
    assert "UUID" in answer(router, "/u/0b1ad4e7-3a8b-4b2e-8a1f-0d7ab3e9c111").text
    assert 404 == answer(router, "/i/x").status


def test_parameter_that_no_convertor_can_take_is_no_match():
    """More digits than Python converts are a 404 and no error."""
    router = Router([Route("/{n:int}", params)])
    assert 404 == answer(router, "/" + "9" * 5000).status


@pytest.mark.parametrize("path", ["/admin\n", "/admin\r", "/admin\x00", "/admin "])
def test_trailing_control_characters_are_no_match(path):
    """A path that only looks like another is another."""
    assert 404 == answer(Router([Route("/admin", say("x"))]), path).status


def test_own_convertors_are_used():
    """`register_url_convertor` as Starlette has it."""

    class Hex(Convertor):
        regex = "[0-9a-f]+"

        def convert(self, value):
            return int(value, 16)

        def to_string(self, value):
            return format(value, "x")

    register_url_convertor("hexnumber", Hex())
    router = Router([Route("/{n:hexnumber}", params, name="hex")])
    assert "{'n': 255}" == answer(router, "/ff").text
    assert "/ff" == router.url_path_for("hex", n=255)


def test_outer_parameters_are_kept():
    """Mounts add theirs to those further out; an inner one of the same name wins."""
    inner = [Route("/{b}", params)]
    router = Router([Mount("/{a}", routes=[Mount("/{c}", routes=inner)])])
    assert "{'a': 'x', 'c': 'y', 'b': 'z'}" == answer(router, "/x/y/z").text


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Route("a", say("x")), AssertionError, ["Routed paths must start with '/'", "'a'"]),
        (lambda: Route("/a", "text"), TypeError, ["function", "'/a'", "'text'"]),
        (lambda: Route("/a", say("x"), methods="GET"), TypeError, ["list", "'GET'"]),
        (lambda: Route("/a", say("x"), on_disconnect="stop"), ValueError, ["'finish'", "'stop'"]),
        (lambda: Router(on_disconnect="stop"), ValueError, ["'finish'", "'stop'"]),
        (lambda: Mount("/a"), AssertionError, ["app", "routes", "'/a'"]),
        (lambda: Mount("a", app=raw), AssertionError, ["start with '/'", "'a'"]),
        (lambda: Host("/a", app=raw), AssertionError, ["Host must not start with '/'"]),
        (lambda: Route("/{a}/{a}", say("x")), ValueError, ["a"]),
        (lambda: Route("/{a:nokind}", say("x")), AssertionError, ["nokind"]),
        (lambda: Router(lifespan=1), TypeError, ["lifespan=", "asynccontextmanager"]),
    ],
)
def test_wrong_declarations_say_what_was_expected(make, error, words):
    """Where it is written, of the class that Starlette raises, with what was given."""
    with pytest.raises(error) as caught:
        make()
    text = str(caught.value)
    assert [] == [word for word in words if word not in text]


def test_endpoint_that_returns_no_response_is_named():
    """With its file, so that it is found."""

    async def forgetful(request):
        return None

    reply = ask(Lamella(routes=[Route("/", forgetful)]))
    assert 500 == reply.status
    assert isinstance(reply.error, NoResponseError)
    assert "forgetful" in str(reply.error)
    assert "test_routing.py" in str(reply.error)


def test_names_equality_and_repr():
    """What a program may compare and print."""
    endpoint = say("list_users")
    assert "list_users" == Route("/u", endpoint).name == get_name(endpoint)
    assert "App" == get_name(type("App", (), {})())
    assert Route("/u", endpoint) == Route("/u", endpoint)
    assert Route("/u", endpoint) != Route("/v", endpoint)
    assert Route("/u", endpoint) != Route("/u", endpoint, methods=["POST"])
    assert "Route(path='/u', name='list_users', methods=['GET', 'HEAD'])" == repr(
        Route("/u", endpoint)
    )
    assert Mount("/m", app=raw) == Mount("/m/", app=raw)
    assert Host("h", app=raw) == Host("h", app=raw)
    assert Router([Route("/u", endpoint)]) == Router([Route("/u", endpoint)])
    assert repr(Mount("/m", app=raw, name="n")).startswith("Mount(path='/m', name='n', app=")
    assert repr(Host("h", app=raw)).startswith("Host(host='h', name='', app=")
    route = Route("/u", endpoint)
    assert route in {route}


def test_include_in_schema_is_kept():
    """Schema generators read it."""
    assert Route("/", say("x")).include_in_schema
    assert not Route("/", say("x"), include_in_schema=False).include_in_schema


def test_request_response_is_an_app():
    """A function as an ASGI app of its own, as Starlette names it."""
    assert "x" == answer(request_response(say("x"))).text


def test_compile_path_and_replace_params_are_offered():
    """FastAPI imports them from here."""
    regex, template, convertors = compile_path("/u/{id:int}")
    assert ("/u/{id}", ["id"]) == (template, list(convertors))
    assert regex.match("/u/3")
    assert ("/u/3", {"x": 1}) == replace_params(template, convertors, {"id": 3, "x": 1})


def test_route_alone_is_an_app():
    """It answers what it matches, and 404 and 405 otherwise."""
    route = Route("/here", say("here"))
    assert "here" == answer(route, "/here").text
    assert 404 == answer(route, "/there").status
    assert 405 == answer(route, "/here", "POST").status


def test_route_alone_closes_a_websocket():
    """It serves none."""
    reply = asyncio.run(exchange(Route("/here", say("x")), websocket_scope("/here")))
    assert ["websocket.close"] == [message["type"] for message in reply.messages]


def test_base_route_leaves_everything_to_its_subclass():
    """`matches` and `url_path_for` have no meaning of their own."""
    with pytest.raises(NotImplementedError):
        BaseRoute().matches({})
    with pytest.raises(NotImplementedError):
        BaseRoute().url_path_for("x")


# -- what a scope gets -----------------------------------------------------------------------------


def test_scope_tells_router_route_endpoint_and_parameters():
    """What Starlette's users and tracing tools read."""
    seen = {}

    async def endpoint(request):
        seen.update(request.scope)
        return Response()

    route = Route("/u/{id:int}", endpoint)
    router = Router([route])
    answer(router, "/u/3")
    assert router is seen["router"]
    assert route is seen["route"]
    assert endpoint is seen["endpoint"]
    assert {"id": 3} == seen["path_params"]


def test_mount_moves_the_root_path_and_leaves_the_path():
    """As the ASGI spec has it: the path stays whole."""
    router = Router([Mount("/a", routes=[Mount("/b", app=raw)])])
    assert "/a/b|/a/b/c" == answer(router, "/a/b/c").text
    assert "/pre/a/b|/pre/a/b/c" == answer(router, "/pre/a/b/c", root_path="/pre").text


def test_mount_matches_at_a_boundary_of_segments():
    """`/static2` is not below `/static`."""
    router = Router([Mount("/static", app=raw)])
    assert 404 == answer(router, "/static2/x").status
    assert "/static|/static/x" == answer(router, "/static/x").text
    assert 307 == answer(router, "/static").status


def test_mount_gives_its_routes_and_refuses_none():
    """`routes` of an app that has none is empty."""
    route = Route("/x", say("x"))
    assert [route] == Mount("/a", routes=[route]).routes
    assert [] == Mount("/a", app=raw).routes
    assert [route] == Host("h", app=Router([route])).routes


def test_mount_with_layers_still_gives_its_routes():
    """The routes are those of the app within the layers."""
    route = Route("/x", say("x"))
    assert [route] == Mount("/a", routes=[route], middleware=[tag("a")]).routes


def test_a_retry_from_outside_of_a_mount_matches_the_outer_path_again():
    """As in Starlette the scope stays what the mount made of it, for streams; a retry still works."""
    seen = []

    async def layer(request, call_next):
        seen.append(request.scope["root_path"])
        await call_next(request)
        seen.append(request.scope["root_path"])
        return await call_next(request)

    router = Router([Mount("/a", app=raw)], middleware=[layer])
    assert "/a|/a/b" == answer(router, "/a/b").text
    assert ["", "/a"] == seen


@pytest.mark.parametrize("layers", [[], [tag("a")]], ids=["no layer", "layer"])
@pytest.mark.parametrize("foreign", [False, True], ids=["native", "foreign"])
def test_stream_and_background_task_of_a_mounted_app_see_that_app(foreign, layers):
    """They run when the response is on its way: another app's `state` would be wrong data."""
    seen = []

    def look(request, where):
        seen.append((where, request.app.title, request.scope["root_path"], request.path_params))

    async def endpoint(request):
        async def pieces():
            look(request, "stream")
            yield b"x"

        async def work():
            look(request, "background")

        return StreamingResponse(pieces(), background=BackgroundTask(work))

    inner = Lamella(routes=[Route("/{x}", endpoint)])
    inner.title = "inner"
    outer = Lamella(routes=[Mount("/sub", app=as_foreign(inner) if foreign else inner)])
    outer.title = "outer"
    app = Lamella(routes=[Mount("/app", app=outer, middleware=layers)], middleware=layers)
    app.title = "outermost"
    assert "x" == answer(app, "/app/sub/1").text
    expected = [(where, "inner", "/app/sub", {"x": "1"}) for where in ("stream", "background")]
    assert expected == seen


def test_foreign_app_that_is_mounted_keeps_its_scope_until_it_ends():
    """It goes on behind its response, and its scope must not be changed under it."""
    seen = []
    owner = object()

    async def app(scope, receive, send):
        scope["app"] = owner
        await PlainTextResponse("x")(scope, receive, send)
        seen.append((scope["app"] is owner, scope["root_path"]))

    answer(Lamella(routes=[Mount("/sub", app=app)], middleware=[tag("a")]), "/sub/x")
    assert [(True, "/sub")] == seen


def test_a_retry_matches_again_where_the_server_gave_no_root_path():
    """It is optional in the ASGI spec, and empty then."""
    seen = []

    async def layer(request, call_next):
        await call_next(request)
        seen.append(request.scope["root_path"])
        return await call_next(request)

    scope = http_scope("/a/b")
    del scope["root_path"]
    router = Router([Mount("/a", routes=[Route("/b", say("b"))])], middleware=[layer])
    reply = asyncio.run(exchange(router, scope))
    assert ("b", ["/a"]) == (reply.text, seen)


def test_host_matches_without_its_port():
    """And its parameters are path parameters."""
    router = Router([Host("{tenant}.example.org", app=Router([Route("/", params)]))])
    reply = answer(router, "/", headers=[("host", "acme.example.org:8000")])
    assert "{'tenant': 'acme'}" == reply.text
    assert 404 == answer(router, "/", headers=[("host", "example.org")]).status
    assert 404 == answer(router, "/", headers=[("host", "a.example.org.evil.example")]).status


# -- url_path_for ----------------------------------------------------------------------------------


def test_url_path_for_takes_the_first_of_the_name_with_these_parameters():
    """Two routes may have one name and different parameters."""
    router = Router(
        [
            Route("/u", say("u"), name="u"),
            Route("/u/{id:int}", params, name="u"),
            Mount("/m", routes=[Route("/in/{x}", params, name="in")], name="m"),
            Mount("/n", routes=[Route("/in", params, name="in")]),
            Host("{h}.example.org", app=Router([Route("/at", params, name="at")]), name="h"),
        ]
    )
    assert "/u" == router.url_path_for("u")
    assert "/u/3" == router.url_path_for("u", id=3)
    assert "/m/in/y" == router.url_path_for("m:in", x="y")
    assert "/m/z" == router.url_path_for("m", path="/z")
    assert "/n/in" == router.url_path_for("in")
    url = router.url_path_for("h:at", h="acme")
    assert ("/at", "acme.example.org") == (url, url.host)
    url = router.url_path_for("h", h="acme", path="/p")
    assert ("/p", "acme.example.org") == (url, url.host)


@pytest.mark.parametrize(
    ("name", "given"),
    [("nothing", {}), ("u", {}), ("u", {"id": 1, "x": 2}), ("m", {}), ("m:nothing", {})],
)
def test_url_path_for_a_route_that_is_not_there(name, given):
    """The error names the name and the parameters."""
    router = Router(
        [Route("/u/{id:int}", params, name="u"), Mount("/m", routes=[], name="m")],
    )
    with pytest.raises(NoMatchFound) as caught:
        router.url_path_for(name, **given)
    asked = ", ".join(given)
    assert f'No route exists for name "{name}" and params "{asked}".' == str(caught.value)


def test_url_path_for_takes_parameters_of_any_name():
    """A parameter may be called `name`, or `self`."""
    router = Router([Route("/{name}/{self}", params, name="x")])
    assert "/a/b" == router.url_path_for("x", **{"name": "a", "self": "b"})


# -- redirect_slashes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/with", "/with/"),
        ("/without/", "/without"),
        ("/with ü", None),
        ("/p/x", None),
        ("/b/ö x/", "/b/%C3%B6%20x"),
        ("/b/x%3F/", "/b/x%253F"),
        ("/b/a?b/", "/b/a%3Fb"),
        ("/nothing/", None),
    ],
)
def test_redirect_is_relative_to_the_host(path, location):
    """307 keeps method and body; what matches neither way is a 404."""
    router = Router(
        [
            Route("/with/", say("x")),
            Route("/without", say("x"), methods=["POST"]),
            Route("/b/{x}", params),
        ]
    )
    reply = answer(router, path)
    if location is None:
        assert 307 != reply.status
    else:
        assert (307, location) == (reply.status, reply.headers["location"])


def test_redirect_keeps_the_query():
    """As it was sent."""
    router = Router([Route("/a/", say("x"))])
    reply = answer(router, "/a", query=b"x=1&next=//evil.example")
    assert "/a/?x=1&next=//evil.example" == reply.headers["location"]


@pytest.mark.parametrize("byte", [0x80, 0xE9, 0xFF])
def test_redirect_keeps_the_bytes_of_a_query(byte):
    """They need not be UTF-8; decoded and encoded as two things, they would be others."""
    router = Router([Route("/a/", say("x"))])
    reply = answer(router, "/a", query=b"x=%41&y=" + bytes([byte]))
    assert f"/a/?x=%41&y=%{byte:02X}" == reply.headers["location"]


@pytest.mark.parametrize("surrogate", ["\ud800", "\udc80", "\udcff"])
def test_redirect_of_a_path_that_cannot_be_encoded_is_no_500(surrogate):
    """A server that decodes with `surrogateescape` passes it on; it is the client's doing."""
    app = Lamella(routes=[Route("/b/{x}", params)])
    scope = {**http_scope("/b/x"), "path": f"/b/{surrogate}/"}
    reply = asyncio.run(exchange(app, scope))
    assert reply.error is None
    assert reply.status in (307, 400, 404)
    assert reply.headers.get("location", "").isascii()


def test_redirect_keeps_the_root_path():
    """The path holds it, as servers give it."""
    router = Router([Mount("/api", routes=[Route("/a", say("x"))])])
    assert "/api/a" == answer(router, "/api/a/").headers["location"]
    reply = answer(router, "/pre/api/a/", root_path="/pre")
    assert "/pre/api/a" == reply.headers["location"]


@pytest.mark.parametrize(
    "path", ["//evil.example/", "//evil.example//", "///evil.example/", "/\\evil.example/"]
)
def test_redirect_never_leaves_the_host(path):
    """A path that a browser would read as another host must not become a Location."""
    from urllib.parse import urljoin

    router = Router([Route(path.rstrip("/"), say("x"))])
    reply = answer(router, path)
    assert 307 == reply.status
    location = reply.headers["location"]
    target = urljoin("http://testserver/here", location.replace("\\", "/"))
    assert target.startswith("http://testserver/"), location


def test_redirect_goes_by_the_path_below_the_root_path():
    """A root path that ends in a slash is not what the slash is about."""
    app = Lamella(routes=[Route("/", say("home"))])
    reply = answer(app, "/sub/", root_path="/sub/")
    assert (307, "/sub//") == (reply.status, reply.headers["location"])
    assert "home" == answer(app, "/sub//", root_path="/sub/").text


def test_redirect_ignores_the_host_header():
    """It is the client's word."""
    router = Router([Route("/a", say("x"))])
    reply = answer(router, "/a/", headers=[("host", "evil.example")])
    assert "/a" == reply.headers["location"]


def test_redirect_can_be_switched_off():
    """`redirect_slashes=False`."""
    assert 404 == answer(Router([Route("/a", say("x"))], redirect_slashes=False), "/a/").status


def test_default_serves_what_no_route_matches():
    """An app instead of the 404, for websockets too."""
    calls = []

    async def default(scope, receive, send):
        calls.append(scope["type"])
        if scope["type"] == "http":
            await PlainTextResponse("default")(scope, receive, send)

    router = Router([Route("/a", say("x"))], default=default)
    assert "default" == answer(router, "/b").text
    asyncio.run(exchange(router, websocket_scope("/b")))
    assert ["http", "websocket"] == calls


def test_websocket_without_a_route_is_closed():
    """Before it was accepted, so the server answers 403."""
    reply = asyncio.run(exchange(Router([Route("/a", say("x"))]), websocket_scope("/a")))
    assert [{"type": "websocket.close", "code": 1000, "reason": ""}] == reply.messages


# -- duplicates ------------------------------------------------------------------------------------


def test_two_routes_of_one_path_and_method_are_refused_with_both_names():
    """The second would never be reached; both functions and their file are told."""

    async def list_users(request):
        return Response()

    async def all_users(request):
        return Response()

    for kind in (Router, Lamella):
        with pytest.raises(StackError) as caught:
            kind(routes=[Route("/u", list_users), Route("/u", all_users)])
        text = str(caught.value)
        for word in ("list_users", "all_users", "'/u'", "GET", "test_routing.py"):
            assert word in text


def test_one_path_with_other_methods_is_no_duplicate():
    """GET and POST of one path are usual."""
    router = Router([Route("/u", say("get")), Route("/u", say("post"), methods=["POST"])])
    assert ["get", "post"] == [answer(router, "/u", method).text for method in ("GET", "POST")]


def test_duplicates_below_a_mount_are_refused_too():
    """They are a router's routes."""
    with pytest.raises(StackError):
        Mount("/m", routes=[Route("/u", say("a")), Route("/u", say("b"))])


def test_the_same_route_twice_is_no_duplicate():
    """It answers the same whichever is taken."""
    route = Route("/u", say("u"))
    assert "u" == answer(Router([route, route]), "/u").text


# -- middleware= -----------------------------------------------------------------------------------


class Tag(BaseHTTPMiddleware):
    """A layer as a class with a parameter."""

    def __init__(self, app, word="class"):
        super().__init__(app)
        self.word = word

    async def dispatch(self, request, call_next):
        return await tag(self.word)(request, call_next)


FORMS = {
    "function": (lambda: tag("f"), "f", None),
    "class": (lambda: Middleware(Tag, "c"), "c", None),
    "class with keyword": (lambda: Middleware(Tag, word="k"), "k", None),
    "dispatch": (lambda: Middleware(BaseHTTPMiddleware, dispatch=tag("d")), "d", None),
    "compose": (lambda: compose(tag("x"), Middleware(Tag, "y")), "x y", None),
    "pure": (lambda: Middleware(Pure, "p"), None, "p"),
    "factory": (lambda: Middleware(lambda app, word: Pure(app, word), "q"), None, "q"),
    "partial": (lambda: functools.partial(tag("part")), "part", None),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("place", ["route", "mount", "router", "application"])
def test_layers_in_every_form_and_place(form, place):
    """One list, whatever it belongs to."""
    make, tags, pure = form
    if place == "route":
        app = Router([Route("/m/x", say("x"), middleware=[make()])])
    elif place == "mount":
        app = Router([Mount("/m", routes=[Route("/x", say("x"))], middleware=[make()])])
    elif place == "router":
        app = Router([Route("/m/x", say("x"))], middleware=[make()])
    else:
        app = Lamella(routes=[Route("/m/x", say("x"))], middleware=[make()])
    reply = answer(app, "/m/x")
    assert ("x", tags, pure) == (
        reply.text,
        reply.headers.get("x-tags"),
        reply.headers.get("x-pure"),
    )


def test_layers_nest_from_application_to_route():
    """The outermost first: application, router of a mount, route."""
    app = Lamella(
        routes=[
            Mount(
                "/m",
                app=Router(
                    [Route("/x", say("x"), middleware=[tag("4"), tag("5")])], middleware=[tag("3")]
                ),
                middleware=[tag("2")],
            )
        ],
        middleware=[tag("1")],
    )
    assert "1 2 3 4 5" == answer(app, "/m/x").headers["x-tags"]


def test_layers_of_a_route_do_not_see_a_wrong_method():
    """They stand around the endpoint."""
    reply = answer(Router([Route("/", say("x"), middleware=[tag("t")])]), "/", "POST")
    assert (405, None) == (reply.status, reply.headers.get("x-tags"))


def test_layers_of_a_router_see_what_no_route_matches():
    """A 404 passes through them."""
    reply = answer(Router(middleware=[tag("t")]), "/nothing")
    assert (404, "t") == (reply.status, reply.headers.get("x-tags"))


def test_exception_in_a_layer_of_a_route_is_handled():
    """By the handlers of the application it is in."""

    async def layer(request, call_next):
        raise KeyError("layer")

    async def handler(request, exc):
        return PlainTextResponse("handled", status_code=400)

    app = Lamella(
        routes=[Route("/", say("x"), middleware=[layer])], exception_handlers={KeyError: handler}
    )
    assert (400, "handled") == (answer(app).status, answer(app).text)


def test_layers_of_a_route_see_the_response_of_its_handlers():
    """A handled error of the endpoint is a response to the layers around it."""
    from lamella.exceptions import HTTPException

    async def endpoint(request):
        raise HTTPException(418)

    app = Lamella(routes=[Route("/", endpoint, middleware=[tag("seen")])])
    assert (418, "seen") == (answer(app).status, answer(app).headers["x-tags"])


@pytest.mark.parametrize("place", ["route", "mount", "router", "application"])
def test_max_body_size_answers_413(place):
    """Wherever it is said; a body of just that size passes."""

    async def size(request):
        return PlainTextResponse(str(len(await request.body())))

    route = Route("/m/x", size, methods=["POST"])
    if place == "route":
        app = Lamella(routes=[Route("/m/x", size, methods=["POST"], max_body_size=4)])
    elif place == "mount":
        below = [Route("/x", size, methods=["POST"])]
        app = Lamella(routes=[Mount("/m", routes=below, max_body_size=4)])
    elif place == "router":
        app = Lamella(routes=[Mount("", app=Router([route], max_body_size=4))])
    else:
        app = Lamella(routes=[route], max_body_size=4)
    assert (200, "4") == (answer(app, "/m/x", "POST", body=b"1234").status,) + (
        answer(app, "/m/x", "POST", body=b"1234").text,
    )
    assert 413 == answer(app, "/m/x", "POST", body=b"12345").status


def test_inner_max_body_size_counts():
    """A route that takes uploads may allow more than the application."""

    async def size(request):
        return PlainTextResponse(str(len(await request.body())))

    app = Lamella(routes=[Route("/", size, methods=["POST"], max_body_size=8)], max_body_size=2)
    assert "5" == answer(app, "/", "POST", body=b"12345").text


# -- on_disconnect ---------------------------------------------------------------------------------


def left_in_endpoint(app):
    """Whether the endpoint was cancelled, when the client leaves while it waits."""
    log = []

    async def run():
        entered, go = asyncio.Event(), asyncio.Event()

        async def endpoint(request):
            entered.set()
            try:
                await asyncio.wait_for(go.wait(), 5)
                log.append("finished")
            except asyncio.CancelledError:
                log.append("cancelled")
                raise
            return Response()

        built = app(endpoint)
        first = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            if first:
                return first.pop(0)
            await entered.wait()
            return {"type": "http.disconnect"}

        async def let_go():
            await entered.wait()
            for _ in range(30):  # more turns than a cancellation takes to arrive
                await asyncio.sleep(0)
            go.set()

        async def send(message):
            log.append(message["type"])

        helper = asyncio.ensure_future(let_go())
        await asyncio.wait_for(built(http_scope("/m/x"), receive, send), 10)
        await helper

    asyncio.run(run())
    return log[0]


@pytest.mark.parametrize(
    ("app", "outcome"),
    [
        (lambda e: Lamella(routes=[Route("/m/x", e)]), "finished"),
        (lambda e: Lamella(routes=[Route("/m/x", e)], on_disconnect="cancel"), "cancelled"),
        (lambda e: Lamella(routes=[Route("/m/x", e, on_disconnect="cancel")]), "cancelled"),
        (
            lambda e: Lamella(
                routes=[Route("/m/x", e, on_disconnect="finish")], on_disconnect="cancel"
            ),
            "finished",
        ),
        (lambda e: Router([Route("/m/x", e)], on_disconnect="cancel"), "cancelled"),
        (
            lambda e: Lamella(
                routes=[Mount("/m", app=Router([Route("/x", e)], on_disconnect="cancel"))]
            ),
            "cancelled",
        ),
        (
            lambda e: Lamella(
                routes=[Mount("/m", app=Router([Route("/x", e)], on_disconnect="finish"))],
                on_disconnect="cancel",
            ),
            "finished",
        ),
        (
            lambda e: Lamella(
                routes=[Mount("/m", routes=[Route("/x", e)])], on_disconnect="cancel"
            ),
            "cancelled",
        ),
    ],
)
def test_innermost_on_disconnect_counts(app, outcome):
    """Application, router, route: the nearest to the endpoint that says anything."""
    assert outcome == left_in_endpoint(app)


# -- routes that change under a running app --------------------------------------------------------


def test_routes_may_be_changed_after_the_first_request():
    """Appended, inserted, sorted, reversed, popped, removed, assigned, cleared: each is noticed."""
    one, two = Route("/{x}", say("one")), Route("/a", say("two"))
    router = Router([one])

    def text():
        return answer(router, "/a").text

    assert "one" == text()
    router.routes.append(two)
    assert "one" == text()
    router.routes.reverse()
    assert "two" == text()
    router.routes.sort(key=lambda route: route.path, reverse=True)
    assert "one" == text()
    assert one is router.routes.pop(0)
    assert "two" == text()
    router.routes.insert(0, one)
    assert "one" == text()
    router.routes.remove(one)
    assert "two" == text()
    router.routes[0] = one
    assert "one" == text()
    router.routes[:] = [two]
    assert "two" == text()
    router.routes += [one]
    assert "two" == text()
    del router.routes[0]
    assert "one" == text()
    router.routes = [two, one]
    assert "two" == text()
    router.routes.extend([one])
    router.routes *= 1
    assert "two" == text()
    router.routes.clear()
    assert 404 == answer(router, "/a").status
    router.add_route("/a", say("three"))
    assert "three" == text()
    router.mount("/m", raw)
    assert "/m|/m/x" == answer(router, "/m/x").text
    router.host("h.example", raw)
    assert "|/q" == answer(router, "/q", headers=[("host", "h.example")]).text


def test_routes_of_an_application_may_be_changed_too():
    """`app.routes` is the router's own list."""
    app = Lamella()
    assert 404 == answer(app, "/a").status
    app.routes.append(Route("/a", say("a")))
    assert "a" == answer(app, "/a").text
    app.add_route("/b", say("b"), methods=["POST"], name="bee")
    assert "b" == answer(app, "/b", "POST").text
    assert "/b" == app.url_path_for("bee")
    app.mount("/m", raw, name="m")
    assert "/m|/m/" == answer(app, "/m/").text
    app.host("h.example", raw)
    assert "|/q" == answer(app, "/q", headers=[("host", "h.example")]).text


def test_routes_of_a_mounted_router_may_be_changed_too():
    """However deep it is."""
    inner = Router()
    app = Lamella(routes=[Mount("/m", app=inner)])
    assert 404 == answer(app, "/m/a").status
    inner.routes.append(Route("/a", say("a")))
    assert "a" == answer(app, "/m/a").text


@pytest.mark.parametrize("change", ["extend", "+=", "slice"])
def test_request_served_in_the_middle_of_a_change_leaves_nothing_stale(change):
    """A thread, or a generator of routes, may let one in: what it finds is not for good."""
    app = Lamella(routes=[Route("/a", say("a"))])
    statuses, second, third = [], Route("/b", say("b")), Route("/c", say("c"))

    def more():
        yield second
        statuses.append(answer(app, "/a").status)
        yield third

    routes = app.routes
    if change == "extend":
        routes.extend(more())
    elif change == "+=":
        routes += more()
    else:
        routes[len(routes) :] = more()
    assert [200] == statuses
    assert ["a", "b", "c"] == [answer(app, path).text for path in ("/a", "/b", "/c")]


def test_list_of_routes_is_copied():
    """What was given belongs to the caller."""
    given = [Route("/a", say("a"))]
    router = Router(given)
    given.clear()
    assert "a" == answer(router, "/a").text


def test_path_of_a_route_may_be_given_anew_from_outside():
    """As libraries do that add a prefix to routes they did not make."""
    route = Route("/a/{x}", params)
    router = Router([Route("/z", say("z")), route])
    assert "{'x': 'q'}" == answer(router, "/a/q").text
    route.path = "/b/{n:int}"
    route.path_regex, route.path_format, route.param_convertors = compile_path(route.path)
    assert 404 == answer(router, "/a/q").status
    assert "{'n': 3}" == answer(router, "/b/3").text
    assert "/b/3" == router.url_path_for("params", n=3)


def test_app_of_a_route_may_be_replaced_from_outside():
    """As tracing libraries do that wrap `route.app`."""
    route = Route("/", say("one"))
    router = Router([route])
    assert "one" == answer(router).text
    route.app = Pure(route.app, "wrapped")
    reply = answer(router)
    assert ("one", "wrapped") == (reply.text, reply.headers["x-pure"])


def test_app_of_a_mount_may_be_replaced_from_outside():
    """The same for mounts and hosts."""
    mount, host = Mount("/m", app=raw), Host("h.example", app=raw)
    router = Router([mount, host])
    assert "/m|/m/x" == answer(router, "/m/x").text
    mount.app = request_response(say("new"))
    host.app = request_response(say("host"))
    assert "new" == answer(router, "/m/x").text
    assert "host" == answer(router, "/x", headers=[("host", "h.example")]).text


def test_stack_of_a_router_may_be_replaced_from_outside():
    """As libraries do that wrap `router.middleware_stack`."""
    router = Router([Route("/", say("x"))])
    assert "x" == answer(router).text
    router.middleware_stack = Pure(router.middleware_stack, "stack")
    assert "stack" == answer(router).headers["x-pure"]


def test_methods_of_a_route_may_be_changed_from_outside():
    """They are read at each request."""
    route = Route("/", say("x"))
    router = Router([route])
    assert 405 == answer(router, "/", "POST").status
    route.methods = {"POST"}
    assert 200 == answer(router, "/", "POST").status


def test_default_of_a_router_may_be_replaced_from_outside():
    """It is read at each request."""
    router = Router()
    assert 404 == answer(router, "/x").status
    router.default = request_response(say("new"))
    assert "new" == answer(router, "/x").text


# -- subclasses ------------------------------------------------------------------------------------


class SetFromOutside(Route):
    """A route that never calls `Route.__init__` and sets everything itself."""

    def __init__(self, path, endpoint, *, methods=None):
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.methods = set(methods or ["GET"])
        self.app = request_response(endpoint)


def test_route_that_never_calls_init_works():
    """As FastAPI's routes are made."""
    router = Router([SetFromOutside("/u/{id:int}", params), SetFromOutside("/x", say("x"))])
    assert "{'id': 3}" == answer(router, "/u/3").text
    assert 405 == answer(router, "/x", "HEAD").status
    assert 405 == answer(router, "/x", "POST").status
    assert 307 == answer(router, "/x/").status
    assert "/u/3" == router.url_path_for("params", id=3)
    app = Lamella(routes=list(router.routes), on_disconnect="cancel")
    assert "x" == answer(app, "/x").text


def test_route_whose_app_sends_itself_works_under_layers():
    """A closure over `scope, receive, send` as FastAPI sets it."""

    class Closure(Route):
        def __init__(self, path):
            async def app(scope, receive, send):
                await PlainTextResponse("closure")(scope, receive, send)

            self.path = path
            self.endpoint = app
            self.name = "closure"
            self.path_regex, self.path_format, self.param_convertors = compile_path(path)
            self.methods = {"GET"}
            self.app = app

    for layers in ([], [tag("a")], [tag("a"), Middleware(Pure), tag("b")]):
        app = Lamella(routes=[Closure("/c")], middleware=layers)
        assert "closure" == answer(app, "/c").text


def test_mount_that_never_calls_init_works():
    """The same for mounts."""

    class Below(Mount):
        def __init__(self, path, app):
            self.path = path
            self.app = self._base_app = app
            self.name = None
            self.path_regex, self.path_format, self.param_convertors = compile_path(
                path + "/{path:path}"
            )

    assert "/m|/m/x" == answer(Router([Below("/m", raw)]), "/m/x").text


@pytest.mark.parametrize("layers", [[], [tag("a")]], ids=["bare", "layered"])
def test_overridden_handle_is_called(layers):
    """As FastAPI's and many others' routes do; with layers outside, by a bridge."""
    calls = []

    class Counting(Route):
        async def handle(self, scope, receive, send):
            calls.append(scope["path_params"])
            await super().handle(scope, receive, send)

    app = Lamella(routes=[Counting("/{x}", say("x"))], middleware=layers)
    assert "x" == answer(app, "/q").text
    assert [{"x": "q"}] == calls


def test_overridden_matches_is_asked_whatever_the_path():
    """Such a route may match by anything, so the index cannot leave it out."""

    class ByHeader(Route):
        def matches(self, scope):
            wanted = dict(scope["headers"]).get(b"x-version")
            if wanted == self.path.encode():
                return Match.FULL, {"endpoint": self.endpoint, "path_params": {}}
            return Match.NONE, {}

    router = Router(
        [ByHeader("/two", say("two")), Route("/a", say("one")), ByHeader("/three", say("three"))]
    )
    assert "one" == answer(router, "/a").text
    assert "two" == answer(router, "/a", headers=[("x-version", "/two")]).text
    assert "three" == answer(router, "/zzz", headers=[("x-version", "/three")]).text


def test_matches_may_call_that_of_its_base():
    """To refuse some of what the path matches."""

    class Odd(Route):
        def matches(self, scope):
            match, child = super().matches(scope)
            if match is Match.FULL and child["path_params"]["n"] % 2 == 0:
                return Match.NONE, {}
            return match, child

    router = Router([Odd("/{n:int}", say("odd")), Route("/{n:int}", say("even"))])
    assert ["odd", "even"] == [answer(router, path).text for path in ("/1", "/2")]


def test_own_kind_of_base_route():
    """`matches` and `handle` are all that a router needs."""

    class Everything(BaseRoute):
        def matches(self, scope):
            return Match.FULL, {"answer": 42}

        async def handle(self, scope, receive, send):
            await PlainTextResponse(str(scope["answer"]))(scope, receive, send)

        def url_path_for(self, name, /, **path_params):
            raise NoMatchFound(name, path_params)

    for layers in ([], [tag("a")]):
        assert "42" == answer(Lamella(routes=[Everything()], middleware=layers), "/any").text
    assert "42" == answer(Everything(), "/any").text


def test_websocket_scope_reaches_a_route_that_matches_it():
    """Through `handle`, with what `matches` said."""

    class Socket(BaseRoute):
        def matches(self, scope):
            if scope["type"] != "websocket":
                return Match.NONE, {}
            return Match.FULL, {"endpoint": self, "path_params": {"a": 1}}

        async def handle(self, scope, receive, send):
            await send({"type": "websocket.close", "code": 4000 + scope["path_params"]["a"]})

    app = Lamella(routes=[Route("/ws", say("x")), Mount("/m", routes=[Socket()]), Socket()])
    for path in ("/ws", "/m/x"):
        reply = asyncio.run(exchange(app, websocket_scope(path)))
        assert 4001 == reply.messages[0]["code"]


# -- WebSocketRoute --------------------------------------------------------------------------------


def tell(code):
    """A websocket endpoint that closes with a code, and tells the path parameters."""

    async def socket(websocket):
        reason = ",".join(f"{name}={value}" for name, value in websocket.path_params.items())
        await websocket.close(code, reason)

    return socket


def closed(app, path, **scope):
    """The code and the reason that a websocket is closed with."""
    scope = websocket_scope(path, **scope)
    reply = asyncio.run(exchange(app, scope, [{"type": "websocket.connect"}]))
    assert reply.error is None
    (message,) = reply.messages
    return message["code"], message["reason"]


def test_first_websocket_route_that_matches_wins():
    """Routes for requests are none of its candidates, nor the other way round."""
    router = Router(
        [
            Route("/a", say("http")),
            WebSocketRoute("/a", tell(4001)),
            WebSocketRoute("/{x}", tell(4002)),
            WebSocketRoute("/{n:int}/deep", tell(4003)),
            Mount("/m/{k}", routes=[WebSocketRoute("/{x}", tell(4004))]),
            Host("{h}.example.org", Router([WebSocketRoute("/{x:path}", tell(4005))])),
        ]
    )
    assert (4001, "") == closed(router, "/a")
    assert (4002, "x=b") == closed(router, "/b")
    assert (4003, "n=7") == closed(router, "/7/deep")
    assert (4004, "k=1,x=2") == closed(router, "/m/1/2")
    host = [("host", "H.example.org:80")]
    assert (4005, "h=h,x=x/y") == closed(router, "/x/y", headers=host)
    for path in ("/x/deep", "/", "/a/", "/7/deep\n"):
        assert 1000 == closed(router, path)[0]
    assert "http" == answer(router, "/a").text
    assert 404 == answer(router, "/b").status


def test_websocket_is_not_redirected_for_a_slash():
    """Nothing in the handshake would be followed."""
    assert 1000 == closed(Router([WebSocketRoute("/a", tell(4001))]), "/a/")[0]


def test_finding_a_websocket_route_does_not_ask_every_route(monkeypatch):
    """The index serves both kinds."""
    asked = []
    matches = WebSocketRoute.matches

    def counting(self, scope):
        asked.append(self.path)
        return matches(self, scope)

    monkeypatch.setattr(WebSocketRoute, "matches", counting)
    router = Router([WebSocketRoute(f"/r{number}/{{x}}", tell(4001)) for number in range(500)])
    assert (4001, "x=1") == closed(router, "/r321/1")
    assert ["/r321/{x}"] == asked


def test_layers_of_a_websocket_route_are_around_it_alone():
    """Pure ones; dispatch layers let it through."""
    seen = []

    class Sees:
        def __init__(self, app, word):
            self.app = app
            self.word = word

        async def __call__(self, scope, receive, send):
            seen.append(self.word)
            await self.app(scope, receive, send)

    def layers(word):
        return [Middleware(Sees, word + "1"), tag("x"), Middleware(Sees, word + "2")]

    router = Router(
        [
            Mount(
                "/m",
                routes=[WebSocketRoute("/a", tell(4001), middleware=layers("route"))],
                middleware=layers("mount"),
            ),
            WebSocketRoute("/b", tell(4002)),
        ],
        middleware=layers("router"),
    )
    assert 4002 == closed(router, "/b")[0]
    assert ["router1", "router2"] == seen
    assert 4001 == closed(router, "/m/a")[0]
    assert ["router1", "router2", "mount1", "mount2", "route1", "route2"] == seen[2:]


def test_websocket_route_takes_an_asgi_app():
    """A class's object, or a class whose objects can be awaited."""

    class App:
        async def __call__(self, scope, receive, send):
            await send({"type": "websocket.close", "code": 4001, "reason": scope["path"]})

    assert (4001, "/a") == closed(Router([WebSocketRoute("/a", App())]), "/a")


def test_websocket_route_takes_partials_and_methods():
    """They are functions."""

    class Chat:
        async def join(self, websocket, code=4001):
            await websocket.close(code, "joined")

    join = functools.partial(Chat().join, code=4002)
    router = Router([WebSocketRoute("/a", Chat().join), WebSocketRoute("/b", join, name="b")])
    assert (4001, "joined") == closed(router, "/a")
    assert (4002, "joined") == closed(router, "/b")


def test_websocket_endpoint_that_is_not_async_is_told_so():
    """It is named."""

    def endpoint(websocket):
        return None

    reply = asyncio.run(exchange(Router([WebSocketRoute("/", endpoint)]), websocket_scope()))
    assert "endpoint" in str(reply.error)
    assert "`async def`" in str(reply.error)


def test_websocket_route_has_a_url():
    """With the scheme of websockets."""
    route = WebSocketRoute("/a/{n:int}", tell(4001), name="chat")
    app = Lamella(routes=[Mount("/m", routes=[route], name="m")])
    url = app.url_path_for("m:chat", n=7)
    assert ("/m/a/7", "websocket") == (url, url.protocol)
    assert "wss://example.org/m/a/7" == str(url.make_absolute_url("https://example.org"))
    for name, params in (("other", {"n": 7}), ("chat", {}), ("chat", {"n": 7, "m": 8})):
        with pytest.raises(NoMatchFound):
            route.url_path_for(name, **params)


def test_websocket_routes_compare_and_print():
    """As Starlette's."""
    endpoint = tell(4001)
    route = WebSocketRoute("/a", endpoint)
    assert route == WebSocketRoute("/a", endpoint, name="other")
    assert route not in (WebSocketRoute("/b", endpoint), WebSocketRoute("/a", tell(1)), 1)
    assert "WebSocketRoute(path='/a', name='socket')" == repr(route)
    assert 1 == len({route, route})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: WebSocketRoute("a", tell(1)), ["'/'", "'a'"]),
        (lambda: WebSocketRoute("/a", 1), ["'/a'", "1"]),
        (lambda: WebSocketRoute("/a", tell(1), middleware=[1]), ["WebSocketRoute('/a')", "1"]),
        (
            lambda: WebSocketRoute("/{a}/{a}", tell(1)),
            ["Duplicated param name a at path /{a}/{a}; rename"],
        ),
    ],
)
def test_wrong_websocket_route_is_told_when_it_is_made(make, words):
    """With what is wrong."""
    with pytest.raises((TypeError, AssertionError)) as caught:
        make()
    assert all(word in str(caught.value) for word in words)


def test_websocket_routes_are_added_by_method():
    """To a router, and to an application."""
    app = Lamella()
    app.add_websocket_route("/a", tell(4001), name="a")
    app.router.add_websocket_route("/b", tell(4002))
    assert [4001, 4002] == [closed(app, path)[0] for path in ("/a", "/b")]
    assert "/a" == app.url_path_for("a")


def test_websocket_route_alone_is_an_app():
    """A contrived case, but Starlette has it."""
    route = WebSocketRoute("/a", tell(4001))
    assert [4001, 1000] == [closed(route, path)[0] for path in ("/a", "/b")]
    assert (404, "Not Found") == ((reply := answer(route, "/a")).status, reply.text)


# -- what other packages lean on -------------------------------------------------------------------


def from_outside(cls, path, app, **attributes):
    """A route whose `__init__` never runs, as FastAPI makes its own."""
    route = cls.__new__(cls)
    route.path, route.app, route.endpoint, route.name = path, app, app, "outside"
    route.path_regex, route.path_format, route.param_convertors = compile_path(path)
    for name, value in attributes.items():
        setattr(route, name, value)
    return route


def test_routes_work_without_their_init():
    """All attributes are set from outside."""

    class Own(Route):
        def __init__(self):
            pass

    route = from_outside(Own, "/a/{x}", request_response(params), methods={"GET"})
    socket = from_outside(WebSocketRoute, "/a/{x}", websocket_session(tell(4001)))
    app = Lamella(routes=[route, socket], middleware=[tag("a")])
    assert ("{'x': '1'}", "a") == ((r := answer(app, "/a/1")).text, r.headers["x-tags"])
    assert 405 == answer(app, "/a/1", "POST").status
    assert (4001, "x=1") == closed(app, "/a/1")
    assert ["/a/1", "/a/1"] == [r.url_path_for("outside", x=1) for r in (route, socket)]
    route.methods = None
    assert 200 == answer(app, "/a/1", "POST").status
    route.app = request_response(say("other"))
    socket.app = websocket_session(tell(4002))
    assert ("other", 4002) == (answer(app, "/a/1").text, closed(app, "/a/1")[0])


def test_copy_of_a_mount_may_be_put_elsewhere():
    """FastAPI makes one for each place a router is included in."""
    inner = Router([Route("/x", say("x"), name="x"), WebSocketRoute("/ws", tell(4001))])
    first = Mount("/a/{n}", app=inner, name="m", middleware=[tag("layer")])
    second = copy.copy(first)
    second.path = "/b"
    second.path_regex, second.path_format, second.param_convertors = compile_path("/b/{path:path}")
    app = Lamella(routes=[first, second])
    for path in ("/a/1", "/b"):
        assert "layer" == answer(app, f"{path}/x").headers["x-tags"]
        assert 4001 == closed(app, f"{path}/ws")[0]
    assert ["/a/1/x", "/b/x"] == [first.url_path_for("m:x", n=1), second.url_path_for("m:x")]


def test_patterns_may_be_regular_expressions():
    """`path_regex` is public, and Starlette's is one."""
    app = Lamella(
        routes=[
            from_outside(
                Route,
                "/a/{n:int}",
                request_response(params),
                methods={"GET"},
                path_regex=re.compile("^/a/(?P<n>[0-9]+)$"),
            ),
            from_outside(
                WebSocketRoute,
                "/a/{n:int}",
                websocket_session(tell(4001)),
                path_regex=re.compile("^/a/(?P<n>[0-9]+)$"),
            ),
            Mount("/m", routes=[Route("/x", params)]),
            Host("{h}.org", Router([Route("/{y:path}", params)])),
        ]
    )
    app.routes[2].path_regex = re.compile("^/n(?P<path>/.*)$")
    app.routes[2].param_convertors = compile_path("/m/{path:path}")[2]
    app.routes[3].host_regex = re.compile("^(?P<h>[a-z]+)[.]org$", re.IGNORECASE)
    assert "{'n': 7}" == answer(app, "/a/7").text
    assert (4001, "n=7") == closed(app, "/a/7")
    assert [404, 404, 404] == [
        answer(app, path).status for path in ("/a/x", "/m/x", "/a/" + "1" * 5000)
    ]
    assert "{'h': 'example', 'y': 'z'}" == answer(app, "/z", headers=[("host", "Example.org")]).text


def test_names_of_the_module_are_looked_up_when_a_route_is_made(monkeypatch):
    """Packages that watch endpoints put functions of their own in their place."""
    made = []

    def watching(original):
        def make(func):
            made.append(func)
            return original(func)

        return make

    for name in ("request_response", "websocket_session"):
        monkeypatch.setattr(routing, name, watching(getattr(routing, name)))
    endpoint, socket = say("x"), tell(4001)
    app = Lamella(routes=[Route("/", endpoint), WebSocketRoute("/", socket)])
    assert [endpoint, socket] == made
    assert ("x", 4001) == (answer(app, "/").text, closed(app, "/")[0])


def test_methods_replaced_on_classes_take_effect(monkeypatch):
    """For all objects, those made before among them."""
    calls = []

    def watch(cls, name):
        original = getattr(cls, name)

        if asyncio.iscoroutinefunction(original):

            async def watched(self, *args, **kwargs):
                calls.append(f"{cls.__name__}.{name}")
                return await original(self, *args, **kwargs)
        else:

            def watched(self, *args, **kwargs):
                calls.append(f"{cls.__name__}.{name}")
                return original(self, *args, **kwargs)

        monkeypatch.setattr(cls, name, watched)

    async def endpoint(request):
        return PlainTextResponse("x", background=BackgroundTask(calls.append, "task"))

    inner = Lamella(routes=[Route("/", endpoint), WebSocketRoute("/ws", tell(4001))])
    watch(applications.Starlette, "__call__")
    watch(middleware.Middleware, "__init__")
    watch(background.BackgroundTask, "__call__")
    watch(ExceptionMiddleware, "__init__")
    app = Lamella(routes=[Mount("/m", app=inner)], middleware=[Middleware(Pure)])
    assert ("x", 4001) == (answer(app, "/m/").text, closed(app, "/m/ws")[0])
    assert {
        "Starlette.__call__": 4,
        "ExceptionMiddleware.__init__": 2,
        "BackgroundTask.__call__": 1,
        "task": 1,
    } == {call: calls.count(call) for call in calls if call != "Middleware.__init__"}
    assert "Middleware.__init__" in calls


def test_handlers_rewritten_in_the_layer_are_used(monkeypatch):
    """`ExceptionMiddleware._exception_handlers` is a dict by class; a library wraps each of them."""
    seen = []
    original = ExceptionMiddleware.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        for kind, handler in list(self._exception_handlers.items()):
            self._exception_handlers[kind] = watching(handler)

    def watching(handler):
        async def watched(conn, exc):
            seen.append(type(exc).__name__)
            return await handler(conn, exc)

        return watched

    async def fails(request):
        raise HTTPException(418)

    async def socket(websocket):
        raise HTTPException(403)

    monkeypatch.setattr(ExceptionMiddleware, "__init__", init)
    app = Lamella(routes=[Route("/", fails), WebSocketRoute("/", socket)])
    assert (418, 1008) == (answer(app, "/").status, closed(app, "/")[0])
    assert ["HTTPException", "HTTPException"] == seen


def test_private_names_of_starlette_are_where_they_are_looked_for():
    """They are the package's own."""
    from lamella import _exception_handler, _inspect, _paths, _utils, concurrency

    assert _utils.get_route_path is _paths.get_route_path
    assert _utils.is_async_callable is _inspect.is_async_callable
    assert _utils.create_collapsing_task_group is concurrency.create_collapsing_task_group
    assert _exception_handler.run_in_threadpool is concurrency.run_in_threadpool
    assert callable(_exception_handler.wrap_app_handling_exceptions)


def test_router_with_its_own_call_is_foreign():
    """What overrides `__call__` has to be called by it."""
    calls = []

    class Counting(Router):
        async def __call__(self, scope, receive, send):
            calls.append(scope["type"])
            await super().__call__(scope, receive, send)

    router = Counting([Route("/x", say("x"))])
    assert service_of(router) is None
    app = Lamella(routes=[Mount("/m", app=router)], middleware=[tag("a")])
    assert "x" == answer(app, "/m/x").text
    assert ["http"] == calls


def test_subclass_that_overrides_app_is_called_through_it():
    """`Router.app` is public, and libraries override it."""
    calls = []

    class Own(Router):
        async def app(self, scope, receive, send):
            calls.append(scope["type"])
            await super().app(scope, receive, send)

    router = Own([Route("/x", say("x"))])
    assert "x" == answer(router, "/x").text
    assert ["http"] == calls


def test_subclass_that_overrides_not_found_is_called_through_it():
    """`Router.not_found` is public."""

    class Own(Router):
        async def not_found(self, scope, receive, send):
            await PlainTextResponse("own", status_code=404)(scope, receive, send)

    assert "own" == answer(Own(), "/x").text


# -- the lifespan ----------------------------------------------------------------------------------


def log_of(make):
    """Serve a lifespan of a form: what it logged, and the messages."""
    log = []
    reply = lifetime(Router(lifespan=make(log)))
    return log, [message["type"] for message in reply.messages], reply.error


def context_manager(log):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        log.append("start")
        yield
        log.append("stop")

    return lifespan


def class_of_context_manager(log):
    class Life:
        def __init__(self, app):
            pass

        async def __aenter__(self):
            log.append("start")

        async def __aexit__(self, *exc):
            log.append("stop")

    return Life


@pytest.mark.parametrize("make", [context_manager, class_of_context_manager])
def test_lifespan_is_entered_and_left(make):
    """Anything that gives an async context manager."""
    complete = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert (["start", "stop"], complete, None) == log_of(make)


def generator(log):
    def lifespan(app):
        log.append("start")
        yield
        log.append("stop")

    return lifespan


def async_generator(log):
    async def lifespan(app):
        log.append("start")
        yield
        log.append("stop")

    return lifespan


@pytest.mark.parametrize("make", [generator, async_generator])
def test_generator_functions_are_lifespans(make):
    """They say the same in one line less."""
    log, types, error = log_of(make)
    assert (["start", "stop"], 2, None) == (log, len(types), error)


def test_state_of_a_lifespan_is_shared():
    """What it yields is put into the server's state."""

    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield {"db": "open"}

    states = []

    async def during(scope):
        states.append(dict(scope["state"]))

    lifetime(Router(lifespan=lifespan), during=during)
    assert [{"db": "open"}] == states


def test_generator_lifespans_share_state_too():
    """Whatever the form."""

    def lifespan(app):
        yield {"db": "open"}

    states = []

    async def during(scope):
        states.append(dict(scope["state"]))

    lifetime(Router(lifespan=lifespan), during=during)
    assert [{"db": "open"}] == states


@pytest.mark.parametrize("when", ["start", "stop"])
def test_failing_lifespan_says_so_and_raises(when):
    """The server gets the message with the traceback, and the error."""

    @contextlib.asynccontextmanager
    async def lifespan(app):
        if when == "start":
            raise KeyError("lost")
        yield
        raise KeyError("lost")

    reply = lifetime(Router(lifespan=lifespan))
    kind = {"start": "startup", "stop": "shutdown"}[when]
    assert f"lifespan.{kind}.failed" == reply.messages[-1]["type"]
    assert "KeyError: 'lost'" in reply.messages[-1]["message"]
    assert isinstance(reply.error, KeyError)


def test_lifespan_of_an_application_gets_the_application():
    """So that it can put things into `app.state`."""
    apps = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        apps.append(app)
        yield

    app = Lamella(lifespan=lifespan, middleware=[tag("a"), Middleware(Pure)])
    reply = lifetime(app)
    assert [app] == apps
    assert reply.error is None


def test_lifespan_context_may_be_replaced_from_outside():
    """As libraries do that wrap `router.lifespan_context`."""
    log = []
    router = Router()
    router.lifespan_context = context_manager(log)
    lifetime(router)
    assert ["start", "stop"] == log


# -- cost ------------------------------------------------------------------------------------------


def test_matching_does_not_ask_every_route():
    """Many routes cost no more calls than few."""
    asked = []

    original = Route.matches

    def counting(self, scope):
        asked.append(self.path)
        return original(self, scope)

    routes = [Route(f"/r{number}/{{id}}", params, name=str(number)) for number in range(200)]
    router = Router(routes)
    answer(router, "/r1/x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Route, "matches", counting)
        router.routes = list(router.routes)
        assert "{'id': 'x'}" == answer(router, "/r199/x").text
    assert ["/r199/{id}"] == asked


def test_a_path_that_no_route_has_does_not_ask_every_route_either():
    """Neither for the match nor for a redirect: 404s are what scanners ask for."""
    asked = []

    original = Route.matches

    def counting(self, scope):
        asked.append(self.path)
        return original(self, scope)

    router = Router([Route(f"/r{number}/{{id}}", params, name="r") for number in range(200)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Route, "matches", counting)
        assert 404 == answer(router, "/nothing").status
    assert len(asked) < 5
