"""Several layers as one: order, nesting, and where a composition may stand."""

import pytest

from lamella.applications import Lamella
from lamella.engine.service import service_of
from lamella.exceptions import StackError
from lamella.middleware import Middleware, compose
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.composition import declaration_of, declarations
from lamella.responses import PlainTextResponse
from lamella.routing import Mount, Route, Router
from tests.parity.drive import answer


async def hello(request):
    """Answer a word."""
    return PlainTextResponse("hello")


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


def tags(*layers):
    """What the layers of an application leave."""
    return answer(Lamella(routes=[Route("/", hello)], middleware=layers)).headers.get("x-tags")


def test_composed_layers_keep_their_order():
    """The outermost first, as in a list."""
    assert "1 2 3 4" == tags(tag("1"), compose(tag("2"), tag("3")), tag("4"))


def test_compositions_nest():
    """To any depth."""
    assert "1 2 3 4 5" == tags(
        compose(tag("1"), compose(tag("2"), compose(tag("3")), compose()), tag("4")), tag("5")
    )


def test_composition_of_nothing_is_nothing():
    """It may come out of a condition."""
    assert tags(compose()) is None


def test_composition_takes_every_form():
    """A declared class, a function, a pure layer, another composition."""
    composed = compose(
        Middleware(BaseHTTPMiddleware, dispatch=tag("1")), tag("2"), Middleware(Pure), tag("3")
    )
    assert "1 2 3" == tags(composed)


def test_composition_may_stand_in_several_stacks():
    """It is a declaration: each stack has layers of its own."""
    composed = compose(tag("1"), tag("2"))
    app = Lamella(
        routes=[Route("/", hello, middleware=[composed])], middleware=[composed, composed]
    )
    assert "1 2 1 2 1 2" == answer(app).headers["x-tags"]


@pytest.mark.parametrize(
    "app",
    [
        lambda layer: Lamella(routes=[Route("/", hello)], middleware=[layer]),
        lambda layer: Router([Route("/", hello)], middleware=[layer]),
        lambda layer: Router([Route("/", hello, middleware=[layer])]),
        lambda layer: Router([Mount("", routes=[Route("/", hello)], middleware=[layer])]),
    ],
    ids=["application", "router", "route", "mount"],
)
def test_composition_stands_wherever_a_layer_does(app):
    """In every list."""
    assert "1 2" == answer(app(compose(tag("1"), tag("2")))).headers["x-tags"]


def test_composition_is_built_around_any_app():
    """By hand, as `Middleware` is."""
    cls, args, kwargs = compose(tag("1"), tag("2"))
    app = cls(Router([Route("/", hello)]), *args, **kwargs)
    assert service_of(app) is not None
    assert "1 2" == answer(app).headers["x-tags"]


def test_wrong_member_is_told_when_it_is_composed():
    """Not when the application is made."""
    with pytest.raises(StackError, match=r"compose\(\.\.\.\)"):
        compose(Pure)


def test_declarations_of_none_are_none():
    """`middleware=None` is the default."""
    assert [] == declarations(None, "here")


def test_a_declaration_is_taken_as_it_is():
    """The object itself, so that it can be compared."""
    declared = Middleware(Pure)
    assert declared is declaration_of(declared, "here")
