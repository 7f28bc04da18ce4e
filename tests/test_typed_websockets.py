"""Typed endpoints of websockets: parameters, dependencies, and what runs when they end."""

from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTasks
from lamella.exceptions import (
    DependencyError,
    LamellaError,
    WebSocketException,
    WebSocketRequestValidationError,
)
from lamella.params import Cookie, Depends, Header, Query, Security, SecurityScopes
from lamella.requests import HTTPConnection, Request
from lamella.routing import APIRouter, Mount
from lamella.testclient import TestClient
from lamella.websockets import WebSocket, WebSocketDisconnect
from tests.loops import never, peace, spawn, turns, wait
from tests.parity.drive import Reply, exchange, websocket_scope

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
number: ContextVar[int] = ContextVar("number", default=0)


def app_of(session: Any, path: str = "/", **options: Any) -> Lamella:
    app = Lamella()
    app.add_api_websocket_route(path, session, **options)
    return app


async def talk(app: Any, path: str = "/", *texts: str, **scope: Any) -> Reply:
    """Connect, say these, and leave."""
    said = [{"type": "websocket.receive", "text": text} for text in texts]
    return await exchange(app, websocket_scope(path, **scope), [CONNECT, *said])


def told(reply: Reply) -> list[str]:
    """What the server said."""
    return [message["text"] for message in reply.messages if "text" in message]


async def say(socket: WebSocket, *values: Any) -> None:
    await socket.accept()
    for value in values:
        await socket.send_text(str(value))
    await socket.close()


# -- parameters ------------------------------------------------------------------------------------


async def test_parameters_are_read_as_those_of_requests_are():
    async def session(
        socket: WebSocket,
        item_id: int,
        q: int,
        session: Annotated[str, Cookie()],
        x_token: Annotated[list[str], Header()],
        tags: Annotated[list[int], Query()],
        limit: int = 10,
    ):
        await say(socket, item_id + q, session, x_token, tags, limit)

    reply = await talk(
        app_of(session, "/{item_id}"),
        "/3",
        query=b"q=4&tags=1&tags=2",
        headers=[("cookie", "session=s"), ("x-token", "a"), ("x-token", "b")],
    )
    assert reply.error is None
    assert told(reply) == ["7", "s", "['a', 'b']", "[1, 2]", "10"]


async def test_plain_session_is_given_the_websocket():
    async def session(websocket):
        await say(websocket, "plain")

    assert told(await talk(app_of(session))) == ["plain"]


async def test_value_that_does_not_fit_closes_the_handshake():
    called = []

    async def session(socket: WebSocket, item_id: int):
        called.append(item_id)

    reply = await talk(app_of(session, "/{item_id}"), "/x")
    assert [message["type"] for message in reply.messages] == ["websocket.close"]
    assert reply.messages[0]["code"] == 1008
    assert called == []


async def test_handler_is_given_what_does_not_fit():
    seen = []

    async def session(socket: WebSocket, item_id: int, q: int): ...

    app = app_of(session, "/{item_id}")

    @app.exception_handler(WebSocketRequestValidationError)
    async def handle(socket, exc):
        seen.append(exc)
        await socket.close(1003)

    reply = await talk(app, "/x")
    assert reply.messages[0]["code"] == 1003
    assert sorted(error["loc"] for error in seen[0].errors()) == [
        ("path", "item_id"),
        ("query", "q"),
    ]
    assert seen[0].endpoint_ctx["path"] == "WS /{item_id}"
    assert seen[0].endpoint_ctx["file"] == __file__


async def test_parameters_of_a_prefix():
    router = APIRouter(prefix="/rooms/{room}")

    @router.websocket("/{name}")
    async def session(socket: WebSocket, room: int, name: str):
        await say(socket, room, name)

    app = Lamella()
    app.include_router(router, prefix="/v1")
    assert told(await talk(app, "/v1/rooms/3/me")) == ["3", "me"]


async def test_below_a_mount():
    async def session(socket: WebSocket, name: str):
        await say(socket, name)

    app = Lamella(routes=[Mount("/x", app_of(session, "/{name}"))])
    assert told(await talk(app, "/x/me")) == ["me"]


# -- dependencies ----------------------------------------------------------------------------------


async def test_dependencies_are_called_in_order_and_once():
    log: list[str] = []

    async def of_app():
        log.append("app")

    async def of_router():
        log.append("router")

    async def of_route():
        log.append("route")

    async def shared(conn: HTTPConnection):
        log.append("shared")
        return conn.url.path

    def sync(a: Annotated[str, Depends(shared)]):
        log.append("sync")
        return a

    router = APIRouter(dependencies=[Depends(of_router)])

    @router.websocket("/", dependencies=[Depends(of_route)])
    async def session(
        socket: WebSocket, a: Annotated[str, Depends(sync)], b: Annotated[str, Depends(shared)]
    ):
        log.append("session")
        await say(socket, a, b)

    app = Lamella(dependencies=[Depends(of_app)])
    app.include_router(router)
    assert told(await talk(app)) == ["/", "/"]
    assert log == ["app", "router", "route", "shared", "sync", "session"]


async def test_dependency_may_talk_on_the_websocket():
    async def greet(socket: WebSocket):
        await socket.accept()
        await socket.send_text("hello")
        return socket

    async def session(socket: WebSocket, same: Annotated[WebSocket, Depends(greet)]):
        await socket.send_text(str(same is socket))
        await socket.close()

    assert told(await talk(app_of(session))) == ["hello", "True"]


async def test_dependency_that_refuses_closes_the_handshake():
    async def refuses():
        raise WebSocketException(4001, "who?")

    async def session(socket: WebSocket, a: Annotated[None, Depends(refuses)]): ...

    reply = await talk(app_of(session))
    (message,) = reply.messages
    assert (message["type"], message["code"]) == ("websocket.close", 4001)


async def test_security_scopes():
    async def user(scopes: SecurityScopes):
        return scopes.scope_str

    async def session(socket: WebSocket, a: Annotated[str, Security(user, scopes=["x", "y"])]):
        await say(socket, a)

    assert told(await talk(app_of(session))) == ["x y"]


async def test_overrides():
    async def dep():
        return "own"

    async def session(socket: WebSocket, a: Annotated[str, Depends(dep)]):
        await say(socket, a)

    app = app_of(session)
    app.dependency_overrides[dep] = lambda: "other"
    assert told(await talk(app)) == ["other"]
    with app.override({dep: lambda: "block"}):
        assert told(await talk(app)) == ["block"]


async def test_variables_of_dependencies_are_seen():
    def sets():
        number.set(4)

    async def session(socket: WebSocket, a: Annotated[None, Depends(sets)]):
        await say(socket, number.get())

    assert told(await talk(app_of(session))) == ["4"]


# -- exits -----------------------------------------------------------------------------------------


def traced(log: list[str], name: str, kind: str = "async") -> Any:
    def tell(exc: BaseException) -> str:
        return type(exc).__name__ if isinstance(exc, Exception) else "cancellation"

    async def in_loop():
        log.append(f"{name} entered")
        try:
            yield name
        except BaseException as exc:
            with peace():
                await turns()
            log.append(f"{name} left by {tell(exc)}")
            raise
        log.append(f"{name} left")

    def in_thread():
        log.append(f"{name} entered")
        try:
            yield name
        except BaseException as exc:
            log.append(f"{name} left by {tell(exc)}")
            raise
        log.append(f"{name} left")

    return in_loop if kind == "async" else in_thread


KINDS = pytest.mark.parametrize("kind", ["async", "sync"])


@KINDS
async def test_exits_run_in_reverse_order_when_the_session_ends(kind):
    log: list[str] = []
    first, second = traced(log, "first", kind), traced(log, "second", kind)

    async def session(
        socket: WebSocket, a: Annotated[str, Depends(first)], b: Annotated[str, Depends(second)]
    ):
        await say(socket, a, b)
        log.append("session ended")

    reply = await talk(app_of(session))
    assert reply.error is None
    assert log == [
        "first entered",
        "second entered",
        "session ended",
        "second left",
        "first left",
    ]


@KINDS
async def test_exits_of_scope_function_run_first(kind):
    log: list[str] = []
    short, long = traced(log, "short", kind), traced(log, "long", kind)

    async def session(
        socket: WebSocket,
        a: Annotated[str, Depends(short, scope="function")],
        b: Annotated[str, Depends(long)],
    ):
        await say(socket)

    await talk(app_of(session))
    assert log == ["short entered", "long entered", "short left", "long left"]


@KINDS
async def test_exits_see_that_the_client_left(kind):
    log: list[str] = []
    dep = traced(log, "dep", kind)

    async def session(socket: WebSocket, a: Annotated[str, Depends(dep)]):
        await socket.accept()
        while True:
            await socket.receive_text()

    reply = await talk(app_of(session), "/", "one")
    assert log == ["dep entered", "dep left by WebSocketDisconnect"]
    assert reply.error is None or isinstance(reply.error, WebSocketDisconnect)


@KINDS
async def test_exits_see_the_error_of_the_session(kind):
    log: list[str] = []
    dep = traced(log, "dep", kind)

    async def session(socket: WebSocket, a: Annotated[str, Depends(dep)]):
        await socket.accept()
        raise LookupError

    reply = await talk(app_of(session))
    assert type(reply.error) is LookupError
    assert log == ["dep entered", "dep left by LookupError"]


@KINDS
async def test_exits_run_when_a_value_does_not_fit(kind):
    log: list[str] = []
    dep = traced(log, "dep", kind)

    async def session(socket: WebSocket, a: Annotated[str, Depends(dep)], q: int): ...

    await talk(app_of(session))
    assert log == ["dep entered", "dep left by WebSocketRequestValidationError"]


@KINDS
async def test_exits_run_when_a_later_dependency_refuses(kind):
    log: list[str] = []
    dep = traced(log, "dep", kind)

    async def refuses(a: Annotated[str, Depends(dep)]):
        raise WebSocketException(1008)

    async def session(socket: WebSocket, a: Annotated[str, Depends(refuses)]): ...

    reply = await talk(app_of(session))
    assert reply.messages[0]["code"] == 1008
    assert log == ["dep entered", "dep left by WebSocketException"]


@KINDS
async def test_exits_run_when_the_session_is_cancelled(kind):
    log: list[str] = []
    dep = traced(log, "dep", kind)
    begun = anyio.Event()

    async def session(socket: WebSocket, a: Annotated[str, Depends(dep)]):
        begun.set()
        await never()

    async def receive():
        return CONNECT

    async def send(message): ...

    job = spawn(app_of(session)(websocket_scope(), receive, send))
    await begun.wait()
    job.cancel()
    await wait([job], 5)
    assert log == ["dep entered", "dep left by cancellation"]


async def test_exit_may_turn_an_error_into_a_close():
    async def converts():
        try:
            yield
        except LookupError:
            raise WebSocketException(4004) from None

    async def session(socket: WebSocket, a: Annotated[None, Depends(converts)]):
        await socket.accept()
        raise LookupError

    reply = await talk(app_of(session))
    assert reply.error is None
    assert reply.messages[-1]["code"] == 4004


async def test_error_that_an_exit_swallows_is_told():
    async def swallows():
        try:
            yield
        except LookupError:
            pass

    async def session(socket: WebSocket, a: Annotated[None, Depends(swallows)]):
        raise LookupError

    reply = await talk(app_of(session))
    assert isinstance(reply.error, LamellaError)
    assert "raising an exception and a dependency with yield" in str(reply.error)


async def test_error_of_an_exit_is_raised_and_the_others_run():
    log: list[str] = []
    outer = traced(log, "outer")

    async def fails():
        yield
        raise OverflowError

    async def session(
        socket: WebSocket, a: Annotated[str, Depends(outer)], b: Annotated[None, Depends(fails)]
    ):
        await say(socket)

    reply = await talk(app_of(session))
    assert type(reply.error) is OverflowError
    assert log == ["outer entered", "outer left by OverflowError"]


async def test_error_of_an_exit_of_scope_function_is_seen_by_those_of_the_request():
    log: list[str] = []
    outer = traced(log, "outer")

    async def fails():
        yield
        raise OverflowError

    async def session(
        socket: WebSocket,
        a: Annotated[str, Depends(outer)],
        b: Annotated[None, Depends(fails, scope="function")],
    ):
        await say(socket)

    await talk(app_of(session))
    assert log == ["outer entered", "outer left by OverflowError"]


async def test_dependency_may_hold_a_task_group():
    log: list[str] = []

    async def tasks():
        async with anyio.create_task_group() as group:
            yield group
            group.cancel_scope.cancel()

    async def work():
        log.append("begun")
        try:
            await never()
        finally:
            log.append("ended")

    async def session(socket: WebSocket, group: Annotated[Any, Depends(tasks)]):
        group.start_soon(work)
        await turns(3)
        await say(socket)

    reply = await talk(app_of(session))
    assert reply.error is None
    assert log == ["begun", "ended"]


@KINDS
async def test_exit_may_reset_a_variable(kind):
    async def in_loop():
        token = number.set(1)
        yield
        number.reset(token)

    def in_thread():
        token = number.set(1)
        yield
        number.reset(token)

    call = in_loop if kind == "async" else in_thread

    async def session(socket: WebSocket, a: Annotated[None, Depends(call)]):
        await say(socket, number.get())

    reply = await talk(app_of(session))
    assert reply.error is None
    assert told(reply) == ["1"]


# -- mistakes --------------------------------------------------------------------------------------


async def test_background_tasks_run_after_the_session():
    log: list[str] = []

    async def dep(tasks: BackgroundTasks):
        tasks.add_task(log.append, "task")

    async def session(socket: WebSocket, a: Annotated[None, Depends(dep)]):
        await say(socket)
        log.append("session")

    await talk(app_of(session))
    assert log == ["session", "task"]


async def test_session_that_is_not_async():
    def session(socket: WebSocket): ...

    reply = await talk(app_of(session))
    assert "async def" in str(reply.error)
    assert "test_typed_websockets.py" in str(reply.error)


def test_dependency_that_needs_a_request():
    async def dep(request: Request): ...

    async def session(socket: WebSocket, a: Annotated[None, Depends(dep)]): ...

    with pytest.raises(DependencyError) as caught:
        app_of(session).build_middleware_stack()
    text = str(caught.value)
    assert f"test_typed_websockets.py:{dep.__code__.co_firstlineno}" in text
    assert len(text.splitlines()) <= 6


def test_parameter_of_the_path_that_the_session_lacks():
    async def session(name: str): ...

    with pytest.raises(DependencyError, match="'item_id'"):
        Lamella().websocket("/{item_id}")(session)


def test_two_at_once_in_the_test_client():
    rooms: list[WebSocket] = []

    async def session(socket: WebSocket, name: str):
        await socket.accept()
        rooms.append(socket)
        try:
            async for text in socket.iter_text():
                for one in rooms:
                    await one.send_text(f"{name}: {text}")
        finally:
            rooms.remove(socket)

    with (
        TestClient(app_of(session, "/{name}")) as client,
        client.websocket_connect("/a") as first,
        client.websocket_connect("/b") as second,
    ):
        second.send_text("hello")
        assert first.receive_text() == second.receive_text() == "b: hello"
        first.send_text("bye")
        assert first.receive_text() == second.receive_text() == "a: bye"
