"""The declaration of a layer, and every wrong use of the list: found early, told by name."""

import functools

import pytest

import lamella.middleware
from lamella.applications import Lamella
from lamella.exceptions import NoResponseError, StackError
from lamella.middleware import Middleware, compose
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import PlainTextResponse, Response
from lamella.routing import Mount, Route, Router
from tests.parity.drive import answer, ask


class Pure:
    """A pure ASGI layer with arguments."""

    def __init__(self, app, word="w", *, level=1):
        self.app = app
        self.word = word
        self.level = level

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


class Timing(BaseHTTPMiddleware):
    """A dispatch layer with an argument that is required."""

    def __init__(self, app, name):
        super().__init__(app)
        self.name = name

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-timing"] = self.name
        return response


async def hello(request):
    """Answer a word."""
    return PlainTextResponse("hello")


# -- the declaration -------------------------------------------------------------------------------


def test_declaration_keeps_class_and_arguments():
    """As attributes, and in the order in which it unpacks."""
    declared = Middleware(Pure, "x", level=2)
    cls, args, kwargs = declared
    assert (Pure, ("x",), {"level": 2}) == (cls, tuple(args), kwargs)
    assert (cls, args, kwargs) == (declared.cls, declared.args, declared.kwargs)


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (Middleware(Pure), "Middleware(Pure)"),
        (Middleware(Pure, "x", level=2), "Middleware(Pure, 'x', level=2)"),
        (Middleware(functools.partial(Pure, level=2)), "Middleware(partial)"),
    ],
)
def test_repr_is_as_it_is_written(declared, text):
    """So that a list of layers can be read."""
    assert text == repr(declared)


def test_declarations_may_be_made_of_subclasses():
    """The repr names the class."""

    class Own(Middleware):
        pass

    assert "Own(Pure)" == repr(Own(Pure))


def test_factories_and_partials_are_declared_too():
    """Whatever gives an app for an app."""

    def factory(app, word):
        return Pure(app, word)

    app = Lamella(
        routes=[Route("/", hello)],
        middleware=[
            Middleware(factory, "x"),
            Middleware(functools.partial(Pure, level=3)),
            Middleware(lambda app: app),
        ],
    )
    assert "hello" == answer(app).text


def test_other_frameworks_declarations_are_taken():
    """A program half moved has Starlette's own `Middleware` in its list."""
    from starlette.middleware import Middleware as TheirMiddleware

    app = Lamella(routes=[Route("/", hello)], middleware=[TheirMiddleware(Timing, name="x")])
    assert "x" == answer(app).headers["x-timing"]


def test_starlettes_own_dispatch_layers_work():
    """As foreign layers, whatever they cost."""
    from starlette.middleware.base import BaseHTTPMiddleware as TheirBase

    class Theirs(TheirBase):
        async def dispatch(self, request, call_next):
            response = await call_next(request)
            response.headers["x-theirs"] = "1"
            return response

    app = Lamella(
        routes=[Route("/", hello)],
        middleware=[Middleware(Timing, "a"), Middleware(Theirs), Middleware(Timing, "b")],
    )
    reply = answer(app)
    assert ("hello", "1", "a") == (reply.text, reply.headers["x-theirs"], reply.headers["x-timing"])


def test_module_offers_no_more_than_it_says():
    """`compose` is loaded when it is asked for; another name is an AttributeError."""
    assert compose is lamella.middleware.compose
    with pytest.raises(AttributeError, match="nothing"):
        _ = lamella.middleware.nothing


# -- every wrong use of the list -------------------------------------------------------------------


def sync_layer(request, call_next):
    """Not async."""


async def takes_one(request):
    """Not a layer."""


class SyncDispatch(BaseHTTPMiddleware):
    """Its dispatch is not async."""

    def dispatch(self, request, call_next):
        """Return nothing to await."""


class NoDispatch(BaseHTTPMiddleware):
    """It forgot its dispatch."""


class ForgotSuper(BaseHTTPMiddleware):
    """It never told its base what is inside."""

    def __init__(self, app):
        self.word = "x"

    async def dispatch(self, request, call_next):
        return await call_next(request)


def gives_none(app):
    """A factory that forgot to return."""


WRONG = {
    "class without Middleware": (lambda: [Pure], ["Pure", "class", "Middleware(Pure, ...)"]),
    "dispatch class without Middleware": (lambda: [Timing], ["Timing", "Middleware(Timing, ...)"]),
    "instance": (lambda: [Pure(None)], ["Pure", "instance", "Middleware(Pure, ...)"]),
    "instance of a dispatch class": (
        lambda: [Timing(hello, "x")],
        ["Timing", "instance", "Middleware(Timing, ...)"],
    ),
    "instance in Middleware": (
        lambda: [Middleware(Pure(None))],
        ["Pure", "instance", "Middleware(Pure, ...)"],
    ),
    "missing argument": (lambda: [Middleware(Timing)], ["Timing", "name"]),
    "misspelt argument": (lambda: [Middleware(Pure, levle=1)], ["Pure", "levle"]),
    "too many arguments": (lambda: [Middleware(Pure, 1, 2, 3)], ["Pure", "too many"]),
    "argument twice": (lambda: [Middleware(Pure, "x", word="y")], ["Pure", "word"]),
    "misspelt argument of a base": (
        lambda: [Middleware(BaseHTTPMiddleware, dispach=hello)],
        ["BaseHTTPMiddleware", "dispach"],
    ),
    "function that is not async": (lambda: [sync_layer], ["sync_layer", "async def"]),
    "dispatch that is not async": (
        lambda: [Middleware(BaseHTTPMiddleware, dispatch=sync_layer)],
        ["sync_layer", "async def"],
    ),
    "method that is not async": (
        lambda: [Middleware(SyncDispatch)],
        ["SyncDispatch.dispatch", "async def"],
    ),
    "no dispatch": (lambda: [Middleware(NoDispatch)], ["NoDispatch", "dispatch"]),
    "function of one argument": (lambda: [takes_one], ["takes_one", "call_next"]),
    "async function in Middleware": (
        lambda: [Middleware(takes_one)],
        ["takes_one", "without Middleware(...)"],
    ),
    "factory that gives None": (lambda: [Middleware(gives_none)], ["gives_none", "None"]),
    "forgot super().__init__": (lambda: [Middleware(ForgotSuper)], ["ForgotSuper", "super()"]),
}
PLAIN = {
    "text": (lambda: ["text"], ["'text'", "Middleware(...)"]),
    "None": (lambda: [None], ["None", "Middleware(...)"]),
    "number in Middleware": (lambda: [Middleware(3)], ["3", "class"]),
    "no list": (lambda: [[Middleware(Pure)]], ["Middleware(...)"]),
}
ABOVE = ("misspelt argument of a base",)  # the class named is not the user's

PLACES = {
    "application": lambda layers: Lamella(middleware=layers()).explain(),
    "router": lambda layers: Router(middleware=layers()),
    "route": lambda layers: Route("/", hello, middleware=layers()),
    "mount": lambda layers: Mount("/", routes=[], middleware=layers()),
    "compose": lambda layers: Lamella(middleware=[compose(*layers())]).explain(),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_layer_is_told_by_name_and_file(place, mistake):
    """When the stack is declared or built, never at a request; a TypeError as Python's own."""
    layers, words = WRONG[mistake]
    with pytest.raises(StackError) as caught:
        place(layers)
    text = str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert [] == [word for word in words if word not in text], text
    assert mistake in ABOVE or "test_middleware.py:" in text


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("mistake", PLAIN)
def test_what_is_no_layer_at_all_is_told(place, mistake):
    """With what was given, and what is due."""
    layers, words = PLAIN[mistake]
    with pytest.raises(StackError) as caught:
        place(layers)
    text = str(caught.value)
    assert [] == [word for word in words if word not in text], text


@pytest.mark.parametrize("place", ["application", "router", "mount", "route"])
def test_place_of_a_wrong_layer_is_told(place):
    """An application has many lists of layers."""
    with pytest.raises(StackError, match=f"(?i){place}"):
        PLACES[place](lambda: [Pure])


@pytest.mark.parametrize("given", [None, "text", 3, {"a": 1}])
def test_dispatch_that_returns_no_response_is_told(given):
    """At the request, with the function, its file and what it returned."""

    async def forgetful(request, call_next):
        await call_next(request)
        return given

    class Forgetful(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            await call_next(request)
            return given

    for layer, name in ((forgetful, "forgetful"), (Middleware(Forgetful), "Forgetful")):
        reply = ask(Lamella(routes=[Route("/", hello)], middleware=[layer]))
        assert 500 == reply.status
        assert isinstance(reply.error, NoResponseError)
        assert isinstance(reply.error, RuntimeError)
        for word in (name, repr(given), "call_next", "test_middleware.py:"):
            assert word in str(reply.error)


def test_duplicate_routes_are_told():
    """Both functions with their files; see the tests of routing for the rest."""

    async def first(request):
        return Response()

    async def second(request):
        return Response()

    with pytest.raises(StackError) as caught:
        Lamella(routes=[Route("/a", first), Route("/a", second)])
    assert ["first", "second", "test_middleware.py:"] == [
        word for word in ("first", "second", "test_middleware.py:") if word in str(caught.value)
    ]
