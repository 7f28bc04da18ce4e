"""The application: layers, handlers of errors, the debug page, and applications in applications."""

import asyncio
import functools
import threading

import pytest
from starlette import applications as starlette_applications
from starlette import middleware as starlette_middleware
from starlette import responses as starlette_responses
from starlette import routing as starlette_routing
from starlette.middleware import base as starlette_base

import lamella
from lamella.applications import Lamella, Starlette
from lamella.datastructures import State
from lamella.exceptions import HTTPException, NoResponseError, StackError
from lamella.middleware import Middleware, compose
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import PlainTextResponse, Response, StreamingResponse
from lamella.routing import Host, Mount, Route, Router
from tests.parity.drive import answer, ask, exchange, lifetime, websocket_scope


async def hello(request):
    """Answer a word."""
    return PlainTextResponse("hello")


async def fails(request):
    """Raise what nobody expects."""
    raise KeyError("lost")


async def aborts(request):
    """Raise an HTTP status."""
    raise HTTPException(418, "tea", headers={"x-pot": "1"})


def tag(word):
    """A layer that leaves a word in a header."""

    async def layer(request, call_next):
        response = await call_next(request)
        response.headers["x-tags"] = f"{word} {response.headers.get('x-tags', '')}".strip()
        return response

    return layer


class Pure:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


class Tag(BaseHTTPMiddleware):
    """A layer with a parameter."""

    def __init__(self, app, word):
        super().__init__(app)
        self.word = word

    async def dispatch(self, request, call_next):
        return await tag(self.word)(request, call_next)


# -- making one ------------------------------------------------------------------------------------


def test_lamella_is_starlette_with_more():
    """Moving is a changed import, and what asks for an application of Starlette's gets one."""
    assert (Lamella, Starlette) == (lamella.Lamella, lamella.Starlette)
    assert issubclass(Lamella, Starlette)


def test_application_starts_empty():
    """Every attribute that Starlette's users touch is there."""
    app = Lamella()
    assert (False, [], {}, [], None) == (
        app.debug,
        app.routes,
        app.exception_handlers,
        app.user_middleware,
        app.middleware_stack,
    )
    assert isinstance(app.state, State)
    assert isinstance(app.router, Router)
    assert 404 == answer(app, "/").status


def test_what_is_given_is_copied():
    """Lists and mappings belong to the caller."""
    routes, layers, handlers = [Route("/", hello)], [Middleware(Pure)], {404: hello}
    app = Lamella(routes=routes, middleware=layers, exception_handlers=handlers)
    routes.clear()
    layers.clear()
    handlers.clear()
    assert (1, 1, 1) == (len(app.routes), len(app.user_middleware), len(app.exception_handlers))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"error_responses": "somewhere"}, "'somewhere'"),
        ({"on_disconnect": "never"}, "'never'"),
    ],
)
def test_unknown_options_are_refused(options, word):
    """With what was expected and what came."""
    with pytest.raises(ValueError, match=word):
        Lamella(**options)


def test_request_knows_its_application():
    """As `request.app`; the innermost it came to stays, for streams and background tasks."""
    apps = []

    async def endpoint(request):
        apps.append(request.app)
        return Response()

    async def layer(request, call_next):
        apps.append(request.app)
        response = await call_next(request)
        apps.append(request.app)
        return response

    inner = Lamella(routes=[Route("/x", endpoint)])
    outer = Lamella(routes=[Mount("/m", app=inner)], middleware=[layer])
    answer(outer, "/m/x")
    assert [outer, inner, inner] == apps


def test_state_of_an_application_is_free():
    """Anything may be put there."""
    app = Lamella()
    app.state.db = "open"
    assert "open" == app.state.db


# -- layers ----------------------------------------------------------------------------------------


def test_layers_stand_in_the_order_of_the_list():
    """The outermost first."""
    app = Lamella(routes=[Route("/", hello)], middleware=[tag("1"), Middleware(Tag, "2"), tag("3")])
    assert "1 2 3" == answer(app).headers["x-tags"]


def test_add_middleware_adds_outside():
    """The last one added is the outermost, in every form that the list takes."""
    app = Lamella(routes=[Route("/", hello)], middleware=[tag("in")])
    app.add_middleware(Tag, "1")
    app.add_middleware(Tag, word="2")
    app.add_middleware(BaseHTTPMiddleware, dispatch=tag("3"))
    app.add_middleware(tag("4"))
    app.add_middleware(Middleware(Tag, "5"))
    app.add_middleware(compose(tag("6"), tag("7")))
    assert "6 7 5 4 3 2 1 in" == answer(app).headers["x-tags"]


def test_middleware_decorates_in_each_form():
    """With brackets, with "http", plain; the function stays what it was."""
    app = Lamella(routes=[Route("/", hello)])

    @app.middleware("http")
    async def one(request, call_next):
        return await tag("one")(request, call_next)

    @app.middleware
    async def two(request, call_next):
        return await tag("two")(request, call_next)

    app.middleware(tag("three"))
    assert ("one", "two") == (one.__name__, two.__name__)
    assert "three two one" == answer(app).headers["x-tags"]


def test_middleware_for_something_else_than_http_is_refused():
    """As Starlette had it: only "http"."""
    with pytest.raises(TypeError, match="'websocket'"):
        Lamella().middleware("websocket")


def test_middleware_of_a_function_that_is_not_async_is_refused():
    """Where it is written."""

    def layer(request, call_next):
        return None

    for add in (Lamella().middleware, Lamella().add_middleware):
        with pytest.raises(StackError, match="layer"):
            add(layer)


def test_layers_cannot_be_added_after_the_start():
    """The stack is folded by then; the error names the layer."""
    app = Lamella(routes=[Route("/", hello)])
    answer(app)

    async def late_layer(request, call_next):
        return await call_next(request)

    for add in (lambda: app.add_middleware(Tag, "x"), lambda: app.middleware(late_layer)):
        with pytest.raises(RuntimeError, match="Cannot add middleware after an application has"):
            add()
    with pytest.raises(RuntimeError, match="late_layer"):
        app.middleware("http")(late_layer)


def test_layers_cannot_be_added_after_the_lifespan_began_either():
    """That is the start, too."""
    app = Lamella()
    lifetime(app)
    with pytest.raises(RuntimeError, match="Tag"):
        app.add_middleware(Tag, "x")


def test_stack_is_built_once_for_all_requests():
    """Layers are made at the first request, and never again."""
    made = []

    class Counted(Pure):
        def __init__(self, app):
            super().__init__(app)
            made.append(self)

    app = Lamella(routes=[Route("/", hello)], middleware=[Middleware(Counted)])
    assert [] == made
    for _ in range(3):
        answer(app)
    assert 1 == len(made)


def test_stack_may_be_replaced_from_outside():
    """As tracing libraries do."""
    app = Lamella(routes=[Route("/", hello)])
    answer(app)
    calls = []
    inner = app.middleware_stack

    async def wrapped(scope, receive, send):
        calls.append(scope["type"])
        await inner(scope, receive, send)

    app.middleware_stack = wrapped
    assert "hello" == answer(app).text
    lifetime(app)
    assert ["http", "lifespan"] == calls
    app.middleware_stack = None  # built anew
    assert "hello" == answer(app).text
    assert ["http", "lifespan"] == calls


def test_build_middleware_stack_may_be_overridden():
    """As FastAPI does."""

    class Own(Lamella):
        def build_middleware_stack(self):
            return Tag(super().build_middleware_stack(), "own")

    assert "own" == answer(Own(routes=[Route("/", hello)])).headers["x-tags"]


def test_subclass_that_never_calls_init_works():
    """As FastAPI does: it sets everything itself."""

    class Own(Lamella):
        def __init__(self):
            self.debug = False
            self.state = State()
            self.router = Router([Route("/", hello)])
            self.exception_handlers = {}
            self.user_middleware = [Middleware(Tag, "own")]

    reply = answer(Own())
    assert ("hello", "own") == (reply.text, reply.headers["x-tags"])


@pytest.mark.parametrize("layers", [[], [tag("a")], [tag("a"), Middleware(Pure), tag("b")]])
def test_subclass_with_its_own_call_is_called_through_it(layers):
    """At the edge and mounted below layers."""
    calls = []

    class Own(Lamella):
        async def __call__(self, scope, receive, send):
            calls.append(scope["type"])
            await super().__call__(scope, receive, send)

    app = Own(routes=[Route("/x", hello)], middleware=layers)
    assert "hello" == answer(app, "/x").text
    assert "hello" == answer(Lamella(routes=[Mount("/m", app=app)], middleware=layers), "/m/x").text
    assert ["http", "http"] == calls


def test_router_of_an_application_may_be_replaced():
    """Before the start, as tests do."""
    app = Lamella()
    app.router = Router([Route("/", hello)])
    assert "hello" == answer(app).text


# -- explain ---------------------------------------------------------------------------------------


def test_explain_prints_the_stack_outermost_first():
    """A line a member: its name, how it is entered, and where the user's own stand."""
    app = Lamella(middleware=[Middleware(Pure), tag("a"), Middleware(Pure), Middleware(Tag, "b")])
    lines = [line.split() for line in app.explain().splitlines()]
    assert [
        ["ServerErrorMiddleware", "native"],
        ["Pure", "straight"],
        ["tag.<locals>.layer", "native"],
        ["Pure", "bridged"],
        ["Tag", "native"],
        ["ExceptionMiddleware", "native"],
        ["APIRouter", "native"],
    ] == [line[:2] for line in lines]
    assert ["test_applications.py" in " ".join(line) for line in lines] == [
        False,
        True,
        True,
        True,
        True,
        False,
        False,
    ]


def test_explain_shows_the_layers_of_a_composition():
    """A composition is no layer of its own."""
    app = Lamella(middleware=[compose(tag("a"), Middleware(Tag, "b"))])
    names = [line.split()[0] for line in app.explain().splitlines()]
    assert ["tag.<locals>.layer", "Tag"] == names[1:3]


def test_explain_builds_the_stack():
    """A wrong one fails there, so that it can be checked without a request."""

    def factory(app):
        return None

    with pytest.raises(StackError, match="factory"):
        Lamella(middleware=[Middleware(factory)]).explain()


# -- handlers of errors ----------------------------------------------------------------------------


class Lost(Exception):
    """An error of the tests' own."""


class Found(Lost):
    """A kind of it."""


def told(word, status=400, *, sync=False):
    """A handler that tells which it is, and where it runs."""

    async def handler(request, exc):
        return PlainTextResponse(f"{word} {exc}", status_code=status)

    def sync_handler(request, exc):
        main = threading.current_thread() is threading.main_thread()
        return PlainTextResponse(f"{word} {exc} {main}", status_code=status)

    return sync_handler if sync else handler


def raising(exc):
    """An application whose only route raises that."""

    async def endpoint(request):
        raise exc

    return [Route("/", endpoint)]


@pytest.mark.parametrize(
    ("exc", "handlers", "text"),
    [
        (HTTPException(418), {418: told("status")}, "status 418: I'm a Teapot"),
        (HTTPException(418), {HTTPException: told("class")}, "class 418: I'm a Teapot"),
        (
            HTTPException(418),
            {418: told("status"), HTTPException: told("class")},
            "status 418: I'm a Teapot",
        ),
        (HTTPException(418, "tea"), {404: told("other")}, "tea"),
        (Lost("x"), {Lost: told("lost")}, "lost x"),
        (Found("x"), {Lost: told("lost")}, "lost x"),
        (Found("x"), {Lost: told("lost"), Found: told("found")}, "found x"),
        (Lost("x"), {Lost: told("lost", sync=True)}, "lost x False"),
        (Lost("x"), {Lost: functools.partial(told("part"))}, "part x"),
    ],
)
def test_handler_is_found_by_status_then_by_class(exc, handlers, text):
    """The nearest class; sync ones run in a thread; nothing is raised to the server."""
    reply = answer(Lamella(routes=raising(exc), exception_handlers=handlers))
    assert text == reply.text


@pytest.mark.parametrize("key", [500, Exception])
@pytest.mark.parametrize("sync", [False, True])
def test_handler_of_500_answers_and_the_error_is_raised_on(key, sync):
    """The server logs it; test clients raise it."""
    app = Lamella(routes=raising(Lost("x")), exception_handlers={key: told("five", 503, sync=sync)})
    reply = ask(app)
    assert (503, True) == (reply.status, reply.text.startswith("five x"))
    assert "Lost('x')" == repr(reply.error)


def test_an_error_is_a_plain_500_without_a_handler():
    """Its text is not shown to the client."""
    reply = ask(Lamella(routes=raising(Lost("secret"))))
    assert (500, "Internal Server Error", "Lost('secret')") == (
        reply.status,
        reply.text,
        repr(reply.error),
    )


def test_add_exception_handler_counts_until_the_start():
    """By status and by class."""
    app = Lamella(routes=[*raising(Lost("x")), Route("/tea", aborts)])
    app.add_exception_handler(Lost, told("lost"))
    app.add_exception_handler(418, told("tea"))
    assert ["lost x", "tea 418: tea"] == [answer(app, path).text for path in ("/", "/tea")]


@pytest.mark.parametrize("key", ["404", KeyboardInterrupt, None, hello])
def test_key_that_is_no_status_and_no_exception_is_refused(key):
    """When the stack is built, with the key."""
    app = Lamella(exception_handlers={key: told("x")})
    with pytest.raises(StackError, match="status code or an Exception class"):
        app.explain()


def test_handler_that_returns_no_response_is_named():
    """With its file."""

    async def forgetful_handler(request, exc):
        return None

    reply = ask(Lamella(routes=raising(Lost()), exception_handlers={Lost: forgetful_handler}))
    assert 500 == reply.status
    assert isinstance(reply.error, NoResponseError)
    assert "forgetful_handler" in str(reply.error)
    assert "test_applications.py" in str(reply.error)


def test_error_in_a_handler_is_unhandled_and_keeps_its_cause():
    """The first error stands in the context of the second."""

    async def handler(request, exc):
        raise ValueError("in the handler")

    reply = ask(Lamella(routes=raising(Lost("x")), exception_handlers={Lost: handler}))
    assert (500, "ValueError('in the handler')") == (reply.status, repr(reply.error))
    assert isinstance(reply.error.__context__, Lost)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_exception_raised_in_a_layer_is_handled(depth):
    """By the same handlers, at every depth; layers outside of it see the response."""

    async def breaks(request, call_next):
        raise Lost("layer")

    layers = [tag(str(number)) for number in range(depth)] + [breaks]
    app = Lamella(
        routes=[Route("/", hello)], middleware=layers, exception_handlers={Lost: told("lost")}
    )
    reply = answer(app)
    assert ("lost layer", depth > 0) == (reply.text, "x-tags" in reply.headers)


def test_unhandled_error_passes_every_layer_as_an_exception():
    """So that `try/except` of a layer sees it."""
    seen = []

    async def layer(request, call_next):
        try:
            return await call_next(request)
        except KeyError as exc:
            seen.append(exc)
            raise

    app = Lamella(routes=[Route("/", fails)], middleware=[layer, Middleware(Pure), layer])
    reply = ask(app)
    assert 500 == reply.status
    assert [reply.error, reply.error] == seen


def test_errors_inside_become_a_response_around_the_routes():
    """`error_responses="inside"`: every layer sees the 500, and the error is still raised on."""
    seen = []

    async def layer(request, call_next):
        response = await call_next(request)
        seen.append((response.status_code, repr(response.exception)))
        response.headers["x-request-id"] = "7"
        return response

    app = Lamella(
        routes=[Route("/", fails), Route("/tea", aborts)],
        middleware=[layer, layer],
        error_responses="inside",
        exception_handlers={500: told("five", 500)},
    )
    reply = ask(app)
    assert ("five 'lost'", "7") == (reply.text, reply.headers["x-request-id"])
    assert "KeyError('lost')" == repr(reply.error)
    assert [(500, "KeyError('lost')")] * 2 == seen
    seen.clear()
    assert 418 == answer(app, "/tea").status
    assert [(418, "None")] * 2 == seen


def test_error_that_a_layer_answers_otherwise_is_not_raised_on():
    """Inside mode: who gives another response has handled it."""

    async def layer(request, call_next):
        response = await call_next(request)
        return PlainTextResponse("sorry") if response.exception else response

    app = Lamella(routes=[Route("/", fails)], middleware=[layer], error_responses="inside")
    assert (200, "sorry") == (answer(app).status, answer(app).text)


def test_error_in_a_layer_outside_of_the_500_is_still_answered():
    """Inside mode leaves the outermost layer in its place."""

    async def breaks(request, call_next):
        raise Lost("layer")

    reply = ask(Lamella(routes=[Route("/", hello)], middleware=[breaks], error_responses="inside"))
    assert (500, "Lost('layer')") == (reply.status, repr(reply.error))


def test_error_after_the_response_began_passes_as_it_is_when_errors_are_answered_inside():
    """It cannot be answered any more, and nobody has handled it."""

    async def begins(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Lost("late")

    reply = ask(Lamella(routes=[Mount("/", app=begins)], error_responses="inside"))
    assert (200, "Lost('late')") == (reply.status, repr(reply.error))


# -- debug -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind", "word"),
    [
        ("text/html,*/*", "text/html; charset=utf-8", "<html"),
        ("application/json", "text/plain; charset=utf-8", "Traceback"),
    ],
)
def test_debug_shows_the_error(accept, kind, word):
    """As a page to browsers, as text to others, before any handler of 500; it is raised on."""
    app = Lamella(debug=True, routes=[Route("/", fails)], exception_handlers={500: told("never")})
    reply = ask(app, headers=[("accept", accept)])
    assert (500, kind) == (reply.status, reply.headers["content-type"])
    assert word in reply.text
    assert "KeyError" in reply.text
    assert "KeyError('lost')" == repr(reply.error)


def test_debug_leaves_handled_errors_alone():
    """They are answers."""
    assert "tea" == answer(Lamella(debug=True, routes=[Route("/", aborts)])).text


# -- other scopes ----------------------------------------------------------------------------------


def test_websocket_passes_through_dispatch_layers():
    """They are for HTTP; pure ASGI layers see it."""
    seen = []

    class Sees(Pure):
        async def __call__(self, scope, receive, send):
            seen.append((scope["type"], scope["app"]))
            await self.app(scope, receive, send)

    async def socket(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})

    app = Lamella(routes=[Mount("/ws", app=socket)], middleware=[tag("a"), Middleware(Sees)])
    reply = asyncio.run(exchange(app, websocket_scope("/ws/x"), [{"type": "websocket.connect"}]))
    assert ["websocket.accept", "websocket.close"] == [m["type"] for m in reply.messages]
    assert [("websocket", app)] == seen


def test_lifespan_passes_through_every_layer():
    """Pure ASGI layers see it."""
    seen = []

    class Sees(Pure):
        async def __call__(self, scope, receive, send):
            seen.append(scope["type"])
            await self.app(scope, receive, send)

    reply = lifetime(Lamella(middleware=[tag("a"), Middleware(Sees)]))
    assert (["lifespan"], 2) == (seen, len(reply.messages))


# -- applications in applications ------------------------------------------------------------------

TAGS = {"bare": "", "layer": "a", "pure": "", "mixed": "a b"}
STACKS = {
    "bare": [],
    "layer": [tag("a")],
    "pure": [Middleware(Pure)],
    "mixed": [tag("a"), Middleware(Pure), tag("b")],
}


async def where(request):
    """Tell where the request is, and what it brought."""
    body = (await request.body()).decode()
    return PlainTextResponse(
        f"{request.scope['path']} {request.scope['root_path']} {request.url_for('where')} {body}"
    )


async def starlette_where(request):
    """The same for the other framework."""
    body = (await request.body()).decode()
    return starlette_responses.PlainTextResponse(
        f"{request.scope['path']} {request.scope['root_path']} {request.url_for('where')} {body}"
    )


def starlette_app(routes, **options):
    """A real Starlette application under a layer of its own."""

    async def dispatch(request, call_next):
        response = await call_next(request)
        response.headers["x-starlette"] = "1"
        return response

    layer = starlette_middleware.Middleware(starlette_base.BaseHTTPMiddleware, dispatch=dispatch)
    return starlette_applications.Starlette(routes=routes, middleware=[layer], **options)


@pytest.mark.parametrize("stack", STACKS)
def test_lamella_in_lamella(stack):
    """Entered by a plain await, its own handlers and layers count."""
    layers, tags = STACKS[stack], TAGS[stack]
    inner = Lamella(
        routes=[Route("/x", where, methods=["POST"]), Route("/tea", aborts)],
        middleware=layers,
        exception_handlers={418: told("inner", 418), 404: told("missing", 404)},
    )
    outer = Lamella(
        routes=[Mount("/m", app=inner)],
        middleware=layers,
        exception_handlers={418: told("outer", 418), 404: told("outer", 404)},
    )
    reply = answer(outer, "/m/x", "POST", body=b"sent")
    assert "/m/x /m http://testserver/m/x sent" == reply.text
    assert f"{tags} {tags}".strip() == reply.headers.get("x-tags", "")
    assert "inner 418: tea" == answer(outer, "/m/tea").text
    assert "missing 404: Not Found" == answer(outer, "/m/none").text
    assert "outer 404: Not Found" == answer(outer, "/none").text


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_unhandled_error_of_a_mounted_application_is_answered_once(layers):
    """One 500, of the inner application, and the error itself is raised on."""
    inner = Lamella(routes=[Route("/x", fails)], exception_handlers={500: told("inner", 500)})
    outer = Lamella(
        routes=[Mount("/m", app=inner)],
        middleware=layers,
        exception_handlers={500: told("outer", 500)},
    )
    reply = ask(outer, "/m/x")
    assert (500, "inner 'lost'", "KeyError('lost')") == (
        reply.status,
        reply.text,
        repr(reply.error),
    )


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_starlette_in_lamella(layers):
    """A foreign application, as it is, below any layers."""
    inner = starlette_app(
        [starlette_routing.Route("/x", starlette_where, methods=["POST"], name="where")]
    )
    app = Lamella(routes=[Mount("/m", app=inner)], middleware=layers)
    reply = answer(app, "/m/x", "POST", body=b"sent")
    assert "/m/x /m http://testserver/m/x sent" == reply.text
    assert "1" == reply.headers["x-starlette"]
    assert 404 == answer(app, "/m/none").status
    assert "GET, HEAD" != answer(app, "/m/x").headers["allow"]


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_error_of_a_starlette_application_in_lamella(layers):
    """Answered once, raised on as it is."""

    async def endpoint(request):
        raise KeyError("lost")

    inner = starlette_app([starlette_routing.Route("/x", endpoint)])
    reply = ask(Lamella(routes=[Mount("/m", app=inner)], middleware=layers), "/m/x")
    assert (500, True, "KeyError('lost')") == (reply.status, reply.complete, repr(reply.error))


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
def test_lamella_in_starlette(layers):
    """As any ASGI app, under Starlette's own layers."""
    inner = Lamella(
        routes=[Route("/x", where, methods=["POST"]), Route("/fails", fails)], middleware=layers
    )
    app = starlette_app([starlette_routing.Mount("/m", app=inner)])
    reply = answer(app, "/m/x", "POST", body=b"sent")
    assert "/m/x /m http://testserver/m/x sent" == reply.text
    assert "1" == reply.headers["x-starlette"]
    assert 404 == answer(app, "/m/none").status
    reply = ask(app, "/m/fails")
    assert (500, "KeyError('lost')") == (reply.status, repr(reply.error))


@pytest.mark.parametrize("layers", STACKS.values(), ids=STACKS)
@pytest.mark.parametrize("outer", ["lamella", "starlette"])
def test_stream_of_an_application_in_another(outer, layers):
    """Piece by piece, whole, and its background task after it."""
    log = []

    async def pieces():
        for piece in (b"one", b"two", b"three"):
            yield piece

    async def after():
        log.append("after")

    async def endpoint(request):
        from lamella.background import BackgroundTask

        return StreamingResponse(pieces(), background=BackgroundTask(after))

    inner = Lamella(routes=[Route("/x", endpoint)], middleware=layers)
    if outer == "lamella":
        app = Lamella(routes=[Mount("/m", app=inner)], middleware=layers)
    else:
        app = starlette_app([starlette_routing.Mount("/m", app=inner)])
    reply = answer(app, "/m/x")
    assert (b"onetwothree", True, ["after"]) == (reply.body, reply.complete, log)


def test_starlette_at_a_host():
    """Hosts hold foreign applications, too."""
    inner = starlette_app([starlette_routing.Route("/", starlette_where, name="where")])
    app = Lamella(routes=[Host("s.example", app=inner)], middleware=[tag("a")])
    assert 200 == answer(app, headers=[("host", "s.example")]).status
    assert 404 == answer(app).status


def test_the_built_in_layers_are_declared_as_any_other(monkeypatch):
    """Error reporters hook into declarations, to get at every class of a stack."""
    declared = []
    declare = Middleware.__init__

    def noted(self, cls, *args, **kwargs):
        declared.append(cls.__name__)
        declare(self, cls, *args, **kwargs)

    monkeypatch.setattr(Middleware, "__init__", noted)
    Lamella().build_middleware_stack()
    assert ["ExceptionMiddleware", "ServerErrorMiddleware"] == declared
