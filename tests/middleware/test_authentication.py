"""A backend is asked once, and its answer stands in the scope."""

import asyncio

import pytest

from lamella.applications import Lamella
from lamella.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from lamella.exceptions import HTTPException, NoResponseError, StackError, UsageError
from lamella.middleware import Middleware
from lamella.middleware.authentication import AuthenticationMiddleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import JSONResponse, PlainTextResponse
from lamella.routing import Mount, Route
from tests.parity.drive import ask, exchange, lifetime, websocket_scope


class Token(AuthenticationBackend):
    """The token is the name; "bad" is wrong, "lost" breaks."""

    async def authenticate(self, conn):
        name = conn.headers.get("authorization")
        if name is None:
            return None
        if name == "bad":
            raise AuthenticationError("wrong token")
        if name == "lost":
            raise LookupError("no database")
        return AuthCredentials(["known"]), SimpleUser(name)


async def who(request):
    return JSONResponse([request.user.display_name, request.auth.scopes])


async def foreign(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["user"].display_name.encode()})


def app_of(*layers, **options):
    options = {"backend": Token()} | options
    layer = Middleware(AuthenticationMiddleware, **options)
    routes = [Route("/", who), Mount("/foreign", app=foreign)]
    return Lamella(routes=routes, middleware=[layer, *layers])


def asking(token):
    return {} if token is None else {"headers": [("authorization", token)]}


@pytest.mark.parametrize(("token", "told"), [("ada", b'["ada",["known"]]'), (None, b'["",[]]')])
def test_endpoint_finds_user_and_credentials(token, told):
    """Those without credentials are a user too."""
    assert told == ask(app_of(), **asking(token)).body


def test_mounted_asgi_app_finds_the_user():
    """It is entered straight, on the server's own send."""
    assert b"ada" == ask(app_of(), "/foreign/", **asking("ada")).body
    layer = AuthenticationMiddleware(foreign, Token())
    assert b"ada" == ask(layer, **asking("ada")).body


def test_wrong_credentials_are_a_400_with_the_text_of_the_error():
    """Unless it is told otherwise."""
    reply = ask(app_of(), **asking("bad"))
    assert (400, "wrong token", None) == (reply.status, reply.text, reply.error)


def test_answer_to_wrong_credentials_can_be_chosen():
    """A 401 with a challenge, say; layers outside see it as a response."""
    seen = []

    def on_error(conn, exc):
        headers = {"www-authenticate": "Bearer"}
        return JSONResponse({"error": str(exc), "at": conn.url.path}, 401, headers=headers)

    async def dispatch(request, call_next):
        response = await call_next(request)
        seen.append(response.status_code)
        return response

    app = app_of(on_error=on_error)
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    reply = ask(app, **asking("bad"))
    assert (401, "Bearer") == (reply.status, reply.headers["www-authenticate"])
    assert '{"error":"wrong token","at":"/"}' == reply.text
    assert [401] == seen


def test_answer_may_be_any_asgi_app():
    """As a response of another framework is."""

    def on_error(conn, exc):
        conn.scope["user"] = SimpleUser("nobody")
        return foreign

    assert b"nobody" == ask(app_of(on_error=on_error), **asking("bad")).body


def test_other_error_of_the_backend_is_an_unhandled_one():
    """That the database is away says nothing of the credentials."""
    reply = ask(app_of(), **asking("lost"))
    assert (500, LookupError) == (reply.status, type(reply.error))


async def passes(request, call_next):
    return await call_next(request)


@pytest.mark.parametrize("outside", [[], [passes]])
@pytest.mark.parametrize("by", ["backend", "on_error"])
def test_http_exception_is_answered(by, outside):
    """With its status, as one of a dispatch layer, and by the handlers of the application."""

    class Raises(AuthenticationBackend):
        async def authenticate(self, conn):
            raise HTTPException(401, "who") if by == "backend" else AuthenticationError("wrong")

    def on_error(conn, exc):
        raise HTTPException(401, "who")

    app = app_of(backend=Raises(), on_error=on_error)
    for layer in outside:
        app.middleware(layer)
    reply = ask(app)
    assert (401, "who", None) == (reply.status, reply.text, reply.error)
    app = app_of(backend=Raises(), on_error=on_error)
    app.add_exception_handler(401, lambda request, exc: PlainTextResponse("handled", 402))
    assert (402, "handled") == (ask(app).status, ask(app).text)
    reply = ask(AuthenticationMiddleware(foreign, Raises(), on_error))
    assert (401, "who", None) == (reply.status, reply.text, reply.error)


def test_backend_is_asked_once_for_each_request():
    """And not for the lifespan."""
    asked = []

    class Counting(Token):
        async def authenticate(self, conn):
            asked.append(conn)
            return await super().authenticate(conn)

    app = app_of(backend=Counting())
    lifetime(app)
    assert [] == asked
    ask(app)
    ask(app)
    assert 2 == len(asked)


def test_backend_reads_the_body_without_taking_it_away():
    """The endpoint reads the same."""

    class Signed(AuthenticationBackend):
        async def authenticate(self, conn):
            return AuthCredentials(), SimpleUser((await conn.body()).decode())

    async def endpoint(request):
        return PlainTextResponse(request.user.display_name.encode() + await request.body())

    layer = Middleware(AuthenticationMiddleware, backend=Signed())
    app = Lamella(routes=[Route("/", endpoint, methods=["POST"])], middleware=[layer])
    assert b"abab" == ask(app, method="POST", body=b"ab").body


# -- websockets ------------------------------------------------------------------------------------


async def talk(scope, receive, send):
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["user"].display_name})


def served(token, **options):
    app = AuthenticationMiddleware(talk, Token(), **options)
    incoming = [{"type": "websocket.connect"}]
    return asyncio.run(exchange(app, websocket_scope(**asking(token)), incoming))


@pytest.mark.parametrize(("token", "text"), [("ada", "ada"), (None, "")])
def test_websocket_finds_the_user(token, text):
    """Its handshake has headers as any request."""
    assert {"type": "websocket.send", "text": text} == served(token).messages[1]


def test_websocket_with_wrong_credentials_is_refused():
    """`on_error` hears of it, its response has nowhere to go."""
    heard = []
    reply = served("bad", on_error=lambda conn, exc: heard.append((type(conn).__name__, str(exc))))
    assert [{"type": "websocket.close", "code": 1000}] == reply.messages
    assert [("HTTPConnection", "wrong token")] == heard


def test_other_error_of_the_backend_goes_to_the_server_of_a_websocket():
    """As for a request."""
    assert LookupError is type(served("lost").error)


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [Token, None, object(), lambda conn: None])
def test_backend_that_is_none_is_refused_when_the_stack_is_built(backend):
    """The class instead of an instance, most of all."""
    with pytest.raises(StackError, match="give an instance"):
        AuthenticationMiddleware(foreign, backend)


def test_async_on_error_is_refused_when_the_stack_is_built():
    """Nobody would await it."""

    async def on_error(conn, exc):
        """Never called."""

    with pytest.raises(StackError, match=r"on_error.*plain function.*on_error"):
        AuthenticationMiddleware(foreign, Token(), on_error)


def test_on_error_that_returns_no_response_is_named():
    """It is likely that a `return` is missing."""

    def on_error(conn, exc):
        """Forget to return."""

    reply = ask(app_of(on_error=on_error), **asking("bad"))
    assert (500, NoResponseError) == (reply.status, type(reply.error))
    assert "on_error" in str(reply.error)


def test_backend_may_return_a_list():
    """It is two things as well as a tuple."""

    class Lists(AuthenticationBackend):
        async def authenticate(self, conn):
            return [AuthCredentials(["listed"]), SimpleUser("ada")]

    assert b'["ada",["listed"]]' == ask(app_of(backend=Lists())).body


@pytest.mark.parametrize("answer", ["ada", SimpleUser("ada"), (), (1, 2, 3), True])
def test_backend_that_returns_something_else_is_named(answer):
    """Two letters of a text would be taken for credentials and user."""

    class Odd(AuthenticationBackend):
        async def authenticate(self, conn):
            return answer

    reply = ask(app_of(backend=Odd()))
    assert UsageError is type(reply.error)
    assert "Odd" in str(reply.error)
    assert 500 == reply.status
