"""Faces: who has a service face, and who has lost it."""

import asyncio
import functools

import pytest

from lamella.applications import Lamella
from lamella.engine.service import Service, service_of, twin_of
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import PlainTextResponse
from lamella.routing import Host, Mount, Route, Router, request_response
from tests.parity.drive import answer, ask, exchange, websocket_scope


class Word(Service):
    """A service that answers a word."""

    async def respond(self, request):
        return PlainTextResponse("word")


async def endpoint(request):
    """Answer nothing much."""
    return PlainTextResponse("endpoint")


async def foreign(scope, receive, send):
    """A pure ASGI app."""


def test_service_has_both_faces():
    """A service is an ASGI app, too."""
    word = Word()
    assert word.respond == service_of(word)
    assert "word" == answer(word).text


@pytest.mark.parametrize(
    "app",
    [
        Lamella(),
        Router(),
        BaseHTTPMiddleware(foreign, dispatch=endpoint),
        request_response(endpoint),
        Router().app,
        Router().not_found,
        Route("/", endpoint).handle,
        Mount("/m", app=foreign).handle,
        Host("h", app=foreign).handle,
    ],
    ids=lambda app: getattr(app, "__qualname__", type(app).__name__),
)
def test_members_of_a_stack_have_a_service_face(app):
    """Objects, and their marked methods."""
    assert service_of(app) is not None


def test_marked_method_leads_to_its_own_twin():
    """`app` and `not_found` of a router are two faces of two things."""
    router = Router()
    assert router.respond_from_routes == service_of(router.app)
    assert router.respond_not_found == service_of(router.not_found)
    assert router.respond == service_of(router)


class OwnCall(Word):
    """A service that overrides its ASGI face."""

    async def __call__(self, scope, receive, send):
        await PlainTextResponse("call")(scope, receive, send)


class Looks:
    """It has a `respond`, yet is none of ours."""

    async def respond(self, request):
        return PlainTextResponse("looks")

    async def __call__(self, scope, receive, send):
        await PlainTextResponse("call")(scope, receive, send)


class OwnHandle(Route):
    """A route that overrides `handle`."""

    async def handle(self, scope, receive, send):
        await super().handle(scope, receive, send)


@pytest.mark.parametrize(
    "app",
    [
        foreign,
        OwnCall(),
        Looks(),
        Looks().__call__,
        OwnHandle("/", endpoint).handle,
        functools.partial(foreign),
        lambda scope, receive, send: foreign(scope, receive, send),
        OwnCall,
    ],
    ids=repr,
)
def test_others_are_foreign(app):
    """By kind, never by having a method: what was overridden has to run."""
    assert service_of(app) is None


def test_overridden_call_runs_under_layers():
    """As the foreign app it is."""

    async def dispatch(request, call_next):
        return await call_next(request)

    assert "call" == answer(BaseHTTPMiddleware(OwnCall(), dispatch=dispatch)).text


def test_override_that_is_marked_again_keeps_the_face():
    """Who knows what they do may say so."""

    class Marked(Word):
        @twin_of("respond")
        async def __call__(self, scope, receive, send):
            """Never run below a layer."""

    assert service_of(Marked()) is not None


def test_mark_on_something_else_than_a_service_is_no_face():
    """Two conditions, not one."""

    class Marked:
        @twin_of("respond")
        async def __call__(self, scope, receive, send):
            """Do nothing."""

    assert service_of(Marked()) is None


def test_override_of_respond_is_taken():
    """The service face is a method like any other."""

    class Other(Word):
        async def respond(self, request):
            response = await super().respond(request)
            response.headers["x-other"] = "1"
            return response

    assert "1" == answer(Other()).headers["x-other"]


def test_service_without_respond_says_so():
    """With its name."""

    class Empty(Service):
        pass

    reply = ask(Empty())
    assert isinstance(reply.error, NotImplementedError)
    assert "Empty" in str(reply.error)


def test_service_serves_nothing_but_http_unless_it_connects():
    """The error names the type and the class."""
    reply = asyncio.run(exchange(Word(), websocket_scope()))
    assert isinstance(reply.error, TypeError)
    assert "'websocket'" in str(reply.error)
    assert "Word" in str(reply.error)
