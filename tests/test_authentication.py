"""Users, credentials and what `requires` lets through."""

import asyncio
import functools
import inspect

import pytest

from lamella.applications import Lamella
from lamella.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
    has_required_scope,
    requires,
)
from lamella.exceptions import StackError, UsageError
from lamella.requests import HTTPConnection, Request
from lamella.responses import PlainTextResponse
from lamella.routing import Route
from lamella.websockets import WebSocket
from tests.parity.drive import ask, exchange, http_scope, websocket_scope


def with_scopes(*scopes):
    """A layer that grants scopes to everybody."""

    async def dispatch(request, call_next):
        request.scope["auth"] = AuthCredentials(scopes)
        return await call_next(request)

    return dispatch


class Methods:
    """Endpoints that are methods."""

    @requires("read")
    async def get(self, request):
        return PlainTextResponse("let through")

    @requires("read")
    def get_sync(self, request):
        return PlainTextResponse("let through")


@requires("read")
async def plain(request):
    return PlainTextResponse("let through")


@requires("read")
def sync(request):
    return PlainTextResponse("let through")


@requires("read")
async def second(number, request):
    return PlainTextResponse("let through")


async def by_name(request):
    return await second(number=1, request=request)


async def by_position(request):
    return await second(1, request)


async def home(request):
    return PlainTextResponse("home")


ENDPOINTS = {
    "async": plain,
    "sync": sync,
    "method": Methods().get,
    "sync method": Methods().get_sync,
    "second by name": by_name,
    "second by position": by_position,
}


def app_of(endpoint, *scopes):
    routes = [Route("/", endpoint), Route("/h", home)]
    return Lamella(routes=routes, middleware=[with_scopes(*scopes)])


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_endpoint_runs_for_those_who_have_the_scope(endpoint):
    """However it is written and called."""
    assert "let through" == ask(app_of(endpoint, "read", "write")).text


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
@pytest.mark.parametrize("scopes", [(), ("write",), ("rea",), ("read ",), ("READ",)])
def test_endpoint_does_not_run_for_those_who_lack_the_scope(endpoint, scopes):
    """The whole name counts."""
    reply = ask(app_of(endpoint, *scopes))
    assert (403, "Forbidden") == (reply.status, reply.text)


@pytest.mark.parametrize(
    ("granted", "status"), [(("a", "b"), 200), (("b", "a", "c"), 200), (("a",), 404), ((), 404)]
)
def test_every_one_of_several_scopes_is_needed(granted, status):
    """And the status of the refusal can be chosen."""
    endpoint = requires(("a", "b"), status_code=404)(home)
    assert status == ask(app_of(endpoint, *granted)).status


def test_refusal_may_be_a_redirect_that_tells_where_from():
    """For a page to log in at, which comes back to `next`."""
    for name in (requires("read", redirect="home")(sync), requires("read", redirect="home")(plain)):
        reply = ask(app_of(name), query=b"a=b&c=%C3%BC")
        assert 303 == reply.status
        asked = "http%3A%2F%2Ftestserver%2F%3Fa%3Db%26c%3D%25C3%25BC"
        assert f"http://testserver/h?next={asked}" == reply.headers["location"]


def test_scopes_are_those_when_it_was_decorated():
    """The list may go on to be something else."""
    scopes = ["a"]
    endpoint = requires(scopes)(home)
    scopes.clear()
    assert 403 == ask(app_of(endpoint)).status


def test_decorated_function_keeps_what_it_is():
    """Name, text and signature; and sync functions stay sync, so they go on running in a thread."""

    @requires("a")
    def endpoint(request: Request, number: int = 1) -> PlainTextResponse:
        """Text."""

    assert ("endpoint", "Text.") == (endpoint.__name__, endpoint.__doc__)
    assert ["request", "number"] == list(inspect.signature(endpoint).parameters)
    assert not inspect.iscoroutinefunction(endpoint)
    assert inspect.iscoroutinefunction(plain)


def test_partial_of_an_async_function_is_async():
    """The signature of a partial is that of what is left."""
    endpoint = requires("read")(functools.partial(second.__wrapped__, 1))
    assert "let through" == ask(app_of(endpoint, "read")).text


@pytest.mark.parametrize("endpoint", [lambda: None, lambda req: None, lambda self, ws: None])
def test_function_without_the_parameter_is_refused_where_it_is_decorated(endpoint):
    """Not at its first request."""
    with pytest.raises(StackError, match=r"named 'request' or 'websocket'.*<lambda>"):
        requires("read")(endpoint)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((None,), {}), (("text",), {}), ((), {"request": 1})]
)
def test_endpoint_called_without_a_request_is_told_so(args, kwargs):
    """Some decorator between passes other things; it must not run unchecked."""
    with pytest.raises(UsageError, match=r"sync.* to be called with a Request, got"):
        sync(*args, **kwargs)
    with pytest.raises(AssertionError):  # the class that Starlette raises
        asyncio.run(plain(*args, **kwargs))


# -- websockets ------------------------------------------------------------------------------------


@requires("read")
async def talk(websocket):
    await websocket.accept()
    await websocket.send_text("let through")


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize(
    ("scopes", "kinds"),
    [
        (["read"], ["websocket.accept", "websocket.send"]),
        (["write"], ["websocket.close"]),
        ([], ["websocket.close"]),
    ],
)
def test_websocket_is_closed_before_it_is_accepted(scopes, kinds, by_name):
    """A server answers that with 403."""

    async def app(scope, receive, send):
        websocket = WebSocket({**scope, "auth": AuthCredentials(scopes)}, receive, send)
        if by_name:
            await talk(websocket=websocket)
        else:
            await talk(websocket)

    incoming = [{"type": "websocket.connect"}]
    reply = asyncio.run(exchange(app, websocket_scope(), incoming))
    assert reply.error is None
    assert kinds == [message["type"] for message in reply.messages]


def test_websocket_endpoint_called_with_a_request_is_told_so():
    """A class of its own each."""
    with pytest.raises(UsageError, match="to be called with a WebSocket, got"):
        asyncio.run(talk(Request(http_scope())))


# -- users and credentials -------------------------------------------------------------------------


def test_users_tell_who_they_are():
    """The two that come with lamella."""
    ada, nobody = SimpleUser("ada"), UnauthenticatedUser()
    assert (True, "ada", "ada") == (ada.is_authenticated, ada.display_name, ada.identity)
    assert (False, "", "") == (nobody.is_authenticated, nobody.display_name, nobody.identity)
    assert isinstance(ada, BaseUser)
    assert isinstance(nobody, BaseUser)


@pytest.mark.parametrize("name", ["is_authenticated", "display_name", "identity"])
def test_user_without_a_property_names_it(name):
    """The class is the user's own."""

    class Own(BaseUser):
        """It defines nothing."""

    with pytest.raises(NotImplementedError, match=f"Own.*{name}"):
        getattr(Own(), name)


def test_backend_without_authenticate_names_it():
    """The class is the user's own."""

    class Own(AuthenticationBackend):
        """It defines nothing."""

    with pytest.raises(NotImplementedError, match="Own.*authenticate"):
        asyncio.run(Own().authenticate(HTTPConnection(http_scope())))


def test_credentials_copy_their_scopes():
    """Two requests share no list."""
    scopes = ["a"]
    credentials = AuthCredentials(scopes)
    credentials.scopes.append("b")
    assert (["a"], ["a", "b"], []) == (scopes, credentials.scopes, AuthCredentials().scopes)


@pytest.mark.parametrize(
    ("granted", "needed", "expected"),
    [([], [], True), (["a"], [], True), (["a"], ["a"], True), (["a"], ["a", "b"], False)],
)
def test_required_scopes_are_all_needed(granted, needed, expected):
    """None needed is none lacked."""
    conn = HTTPConnection({**http_scope(), "auth": AuthCredentials(granted)})
    assert expected == has_required_scope(conn, needed)
