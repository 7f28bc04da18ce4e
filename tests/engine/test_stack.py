"""Stacks: folded inside out, linked once, printed outermost first."""

import pytest

from lamella.engine.bridge import Bridge
from lamella.engine.service import Service
from lamella.engine.stack import explain, fold, link
from lamella.exceptions import StackError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import PlainTextResponse
from lamella.routing import Route, Router
from tests.parity.drive import answer


async def hello(request):
    """Answer a word."""
    return PlainTextResponse("hello")


async def dispatch(request, call_next):
    """Pass the request on."""
    return await call_next(request)


async def foreign(scope, receive, send):
    """Answer a word."""
    await PlainTextResponse("foreign")(scope, receive, send)


class Pure:
    """A pure ASGI layer."""

    def __init__(self, app, word=""):
        self.app = app
        self.word = word

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


class Hidden:
    """A pure ASGI layer that does not tell what is inside."""

    def __init__(self, app):
        self.inner = app

    async def __call__(self, scope, receive, send):
        await self.inner(scope, receive, send)


def test_link_to_a_service_is_its_bound_method():
    """No closure, and nothing in between."""
    router = Router()
    assert router.respond == link(router)


def test_link_to_anything_else_is_a_bridge():
    """Made when the stack is built."""
    respond = link(foreign)
    assert isinstance(respond.__self__, Bridge)
    assert foreign is respond.__self__.app


def test_fold_builds_inside_out():
    """The first declaration is the outermost; arguments go after the app."""
    made = []

    def layer(app, *args, **kwargs):
        made.append((app, args, kwargs))
        return Pure(app)

    outermost = fold(foreign, [(layer, ("a",), {}), (layer, (), {"b": 1})])
    assert foreign is made[0][0]
    assert [((), {"b": 1}), (("a",), {})] == [entry[1:] for entry in made]
    assert foreign is outermost.app.app


def test_fold_of_nothing_is_the_app():
    """The app itself."""
    assert foreign is fold(foreign, [])


def test_fold_takes_any_iterable_once():
    """A generator, too."""
    assert "foreign" == answer(fold(foreign, (Middleware(Pure) for _ in range(3)))).text


def test_fold_refuses_a_layer_that_gives_no_app():
    """It names the factory and what it gave."""

    def forgetful(app):
        return None

    with pytest.raises(StackError, match=r"forgetful.*test_stack\.py.*None"):
        fold(foreign, [Middleware(forgetful)])


def test_fold_refuses_a_service_that_does_not_know_its_inside():
    """`super().__init__(app)` was forgotten."""

    class Forgetful(Service):
        def __init__(self, app):
            pass

    with pytest.raises(StackError, match=r"Forgetful.*test_stack\.py.*super"):
        fold(foreign, [Middleware(Forgetful)])


def test_error_of_a_layers_own_init_passes():
    """It is the user's."""

    def broken(app):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fold(foreign, [Middleware(broken)])


def rows(app):
    """The lines of an explanation, in words."""
    return [line.split() for line in explain(app).splitlines()]


def test_explain_of_a_native_stack():
    """Our own members have no place; the user's do."""
    app = BaseHTTPMiddleware(Router([Route("/", hello)]), dispatch=dispatch)
    lines = rows(app)
    assert ["dispatch", "native"] == lines[0][:2]
    assert "test_stack.py:" in lines[0][2]
    assert ["Router", "native"] == lines[1]


def test_explain_tells_bridged_from_straight():
    """A foreign member is bridged below a dispatch layer, straight where none stands outside."""
    app = Pure(BaseHTTPMiddleware(Pure(foreign), dispatch=dispatch))
    assert [
        ["Pure", "straight"],
        ["dispatch", "native"],
        ["Pure", "bridged"],
        ["foreign", "straight"],
    ] == [line[:2] for line in rows(app)]


def test_explain_ends_where_a_member_hides_its_inside():
    """It tells what it knows."""
    assert ["Hidden"] == [line[0] for line in rows(Hidden(Router()))]


def test_explain_lines_stand_in_columns():
    """Names padded to the longest."""
    text = explain(BaseHTTPMiddleware(Router(), dispatch=dispatch))
    assert 1 == len({line.index("native") for line in text.splitlines()})
