"""`AsyncTestClient` on plain ASGI apps: the same as `TestClient`, in the event loop of the test.

Each claim runs on every event loop of the suite, and leaves no task behind.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import itertools
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from lamella.applications import Lamella
from lamella.exceptions import StarletteDeprecationWarning
from lamella.routing import WebSocketRoute
from lamella.testclient import (
    AsyncTestClient,
    WebSocketDenialResponse,
    WebSocketDisconnect,
)
from lamella.websockets import WebSocket
from tests.loops import BACKENDS, asyncio_only
from tests.raw_apps import (
    START,
    START_FAILED,
    STARTED,
    STOP_FAILED,
    STOPPED,
    accept,
    chunk,
    close,
    echo,
    hello,
    hello_with_lifespan,
    lifespan,
    refusal,
    refusal_body,
    says,
    silent,
    text,
    well_behaved,
)

pytestmark = pytest.mark.anyio

colour = contextvars.ContextVar("colour", default="none")


# -- the loop and the context of the test ----------------------------------------------------------


async def test_the_app_runs_in_the_loop_of_the_test() -> None:
    """An event of the test wakes the app, and the other way round."""
    asked, answered = anyio.Event(), anyio.Event()

    async def app(scope, receive, send):
        await asked.wait()
        answered.set()
        await hello(scope, receive, send)

    async with anyio.create_task_group() as group:
        client = AsyncTestClient(app)
        group.start_soon(client.get, "/")
        asked.set()
        await answered.wait()


async def test_the_app_sees_the_context_vars_of_the_test() -> None:
    """In requests, websockets and the lifespan; what the app sets stays with it."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["type"], colour.get()))
        colour.set("of the app")
        await {"http": hello}.get(scope["type"], echo)(scope, receive, send)

    colour.set("red")
    async with AsyncTestClient(app) as client:
        colour.set("green")
        await client.get("/")
        colour.set("blue")
        async with client.websocket_connect("/"):
            pass
        assert "blue" == colour.get()
    assert [("lifespan", "red"), ("http", "green"), ("websocket", "blue")] == seen


async def test_the_lifespan_begins_and_ends_in_one_task() -> None:
    """So that a task group, a cancel scope or a ContextVar may be held open in it."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            return await hello(scope, receive, send)
        token = colour.set("red")
        async with anyio.create_task_group() as group:
            await receive()
            group.start_soon(anyio.sleep_forever)
            await send({"type": STARTED})
            await receive()
            group.cancel_scope.cancel()
        colour.reset(token)
        await send({"type": STOPPED})

    async with AsyncTestClient(app) as client:
        assert "hello" == (await client.get("/")).text


async def test_a_client_may_be_left_in_another_task_than_it_was_entered_in() -> None:
    """As the fixtures of some test runners do."""
    client = AsyncTestClient(hello_with_lifespan)
    async with anyio.create_task_group() as group:
        group.start_soon(client.__aenter__)
    assert "hello" == (await client.get("/")).text
    async with anyio.create_task_group() as group:
        group.start_soon(client.__aexit__)


async def test_many_requests_run_at_once() -> None:
    """Each waits until all have come, so one after the other they would never end."""
    come, all_there = [], anyio.Event()
    texts = {}

    async def app(scope, receive, send):
        come.append(scope["path"])
        if len(come) == 10:
            all_there.set()
        await all_there.wait()
        await send(START)
        await send(chunk(scope["path"].encode()))

    client = AsyncTestClient(app)

    async def get(path: str) -> None:
        texts[path] = (await client.get(path)).text

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(get, f"/{number}")
    assert {f"/{number}": f"/{number}" for number in range(10)} == texts


@pytest.mark.parametrize("anyio_backend", [BACKENDS["asyncio"]], ids=["asyncio"])
async def test_tasks_that_begin_eagerly_are_served() -> None:
    """An app that never waits ends before its task is known."""
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("this Python has no eager tasks")

    async def app(scope, receive, send):
        raise LookupError

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        async with AsyncTestClient(hello_with_lifespan) as client:
            assert "hello" == (await client.get("/")).text
        with pytest.raises(LookupError):
            await AsyncTestClient(app).get("/")
    finally:
        loop.set_task_factory(None)


# -- the streamed response -------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def chunks_of(client: AsyncTestClient, path: str = "/"):
    """Give the chunks of a response as they come; closed, as trio asks it, before the response."""
    async with client.stream("GET", path) as response:
        async with contextlib.aclosing(response.aiter_raw()) as chunks:
            yield chunks


async def test_a_response_streams_while_the_app_runs() -> None:
    """The second chunk is made only when the test asks for it, having seen the first."""
    asked = anyio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send(chunk(b"first", True))
        await asked.wait()
        await send(chunk(b"second"))

    async with chunks_of(AsyncTestClient(app)) as chunks:
        assert b"first" == await anext(chunks)
        asked.set()
        assert b"second" == await anext(chunks)


async def test_an_endless_response_does_not_run_ahead_and_ends_when_it_is_left() -> None:
    """The app hears of it from `receive`, as with a server."""
    made, heard = [], []

    async def watch(receive, scope):
        heard.append(await receive())
        scope.cancel()

    async def app(scope, receive, send):
        await receive()
        await send(START)
        async with anyio.create_task_group() as group:
            group.start_soon(watch, receive, group.cancel_scope)
            for number in itertools.count():
                made.append(number)
                await send(chunk(b"data: %d\n\n" % number, True))

    async with chunks_of(AsyncTestClient(app)) as chunks:
        expected = [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
        assert expected == [await anext(chunks) for _ in range(3)]
    assert len(made) <= 4
    assert [{"type": "http.disconnect"}] == heard


async def test_an_app_whose_client_left_reads_the_disconnect_and_goes_on_to_its_end() -> None:
    """It is not cancelled, as no server does that."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(START)
        try:
            while True:
                await send(chunk(b"a", True))
        except OSError as exc:
            log.append(str(exc))
        log.append(await receive())
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        log.append("ended")

    async with AsyncTestClient(app).stream("GET", "/"):
        pass
    refused = "The client closed the response before its end; stop sending."
    assert [refused, {"type": "http.disconnect"}, "ended"] == log


@pytest.mark.parametrize("handled", [True, False])
async def test_an_app_that_does_not_end_is_cancelled_when_its_grace_is_over(handled: bool) -> None:
    """A test does not hang on it, even if it passes over what it is told."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        try:
            while handled:
                with contextlib.suppress(OSError):
                    await send(chunk(b"a", True))
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    async with AsyncTestClient(app, grace=0.01).stream("GET", "/"):
        pass
    assert ["ended"] == log


async def test_an_app_that_falls_over_the_clients_leaving_has_not_failed() -> None:
    """A server passes over what its own `send` raised."""

    async def app(scope, receive, send):
        await send(START)
        while True:
            await send(chunk(b"a", True))

    async with AsyncTestClient(app).stream("GET", "/"):
        pass


async def test_an_app_that_fails_after_the_client_left_fails_the_test() -> None:
    """As it does before that."""

    async def app(scope, receive, send):
        await receive()
        await send(START)
        await receive()
        raise LookupError

    with pytest.raises(LookupError):
        async with AsyncTestClient(app).stream("GET", "/"):
            pass


async def test_a_request_that_is_cancelled_is_a_client_that_left() -> None:
    """The app knows, and the test is not held up by it."""
    log = []

    asked = anyio.Event()

    async def app(scope, receive, send):
        await receive()
        asked.set()
        log.append(await receive())

    client = AsyncTestClient(app)
    with anyio.move_on_after(0) as scope:
        await client.get("/")
    assert scope.cancelled_caught
    async with anyio.create_task_group() as group:
        group.start_soon(client.get, "/")
        await asked.wait()
        group.cancel_scope.cancel()
    assert [{"type": "http.disconnect"}] * 2 == log


async def test_background_work_is_done_when_the_response_has_been_read() -> None:
    """A test that has its response can look at what came of it."""
    log = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        log.append("done")

    await AsyncTestClient(app).get("/")
    assert ["done"] == log


async def test_cancelling_a_test_that_waits_for_background_work_cancels_that() -> None:
    """Structured: what was started in a cancelled block is over when the block is."""
    log = []
    begun = anyio.Event()

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    async with anyio.create_task_group() as group:
        group.start_soon(AsyncTestClient(app).get, "/")
        await begun.wait()
        group.cancel_scope.cancel()
    assert ["ended"] == log


async def test_leaving_the_client_ends_responses_that_are_still_open() -> None:
    """A stream that a test forgot to close does not outlive it."""
    log = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        await hello(scope, receive, send) if scope["path"] == "/whole" else await send(START)
        try:
            await anyio.sleep_forever()
        finally:
            log.append(scope["path"])

    async with AsyncTestClient(app) as client:
        for path in ("/part", "/whole"):
            response = await client.send(client.build_request("GET", path), stream=True)
        chunks = response.aiter_raw()
        assert b"hello" == await anext(chunks)
    assert ["/part", "/whole"] == sorted(log)
    await chunks.aclose()


async def test_closing_a_client_that_was_not_entered_ends_open_responses() -> None:
    """As httpx closes its connections."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    client = AsyncTestClient(app)
    await client.send(client.build_request("GET", "/"), stream=True)
    await client.aclose()
    assert ["ended"] == log


async def test_the_body_of_a_request_may_be_made_by_an_asynchronous_generator() -> None:
    """It runs in the task of the test, before the app does."""
    tasks = []

    async def app(scope, receive, send):
        tasks.append(anyio.get_current_task().id)
        await send(START)
        await send(chunk((await receive())["body"]))

    async def produce():
        tasks.append(anyio.get_current_task().id)
        yield b"one "
        yield b"two"

    response = await AsyncTestClient(app).post("/", content=produce())
    assert "one two" == response.text
    assert anyio.get_current_task().id == tasks[0] != tasks[1]


async def test_an_error_in_making_the_body_is_raised_and_the_app_not_run() -> None:
    """It is the test's own."""
    ran = []

    async def app(scope, receive, send):
        ran.append(scope)

    async def break_off():
        yield b"one"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await AsyncTestClient(app).post("/", content=break_off())
    assert [] == ran


# -- errors ----------------------------------------------------------------------------------------


async def test_the_apps_own_exception_object_comes_out() -> None:
    """Not a copy, not a group: its traceback leads into the app."""
    error = LookupError("mine")

    async def app(scope, receive, send):
        raise error

    with pytest.raises(LookupError) as caught:
        await AsyncTestClient(app).get("/")
    assert caught.value is error
    assert "app" == caught.traceback[-1].name
    response = await AsyncTestClient(app, raise_server_exceptions=False).get("/")
    assert 500 == response.status_code


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), pytest.fail.Exception("no")])
async def test_what_is_no_exception_comes_out_and_the_loop_goes_on(error) -> None:
    """`pytest.fail` in an app fails the test with its text."""

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send(accept())
        raise error

    client = AsyncTestClient(app, raise_server_exceptions=False)
    with pytest.raises(type(error)) as caught:
        await client.get("/")
    assert caught.value is error
    with pytest.raises(type(error)) as caught:
        async with client.websocket_connect("/") as websocket:
            await websocket.receive_text()
    assert caught.value is error


@asyncio_only("a cancellation of trio cannot be raised by hand")
async def test_an_app_that_is_cancelled_by_itself_does_not_cancel_the_test() -> None:
    """It comes as an error, of the class that `TestClient` has for it."""

    async def app(scope, receive, send):
        raise asyncio.CancelledError

    with pytest.raises(concurrent.futures.CancelledError, match="not by the test client"):
        await AsyncTestClient(app).get("/")


async def test_a_timeout_is_warned_about_and_ignored() -> None:
    """`anyio.fail_after` is what limits the time."""
    with pytest.warns(StarletteDeprecationWarning, match="You should not use the 'timeout'"):
        assert "hello" == (await AsyncTestClient(hello).get("/", timeout=5)).text


async def test_an_app_that_is_not_callable_is_refused_at_once() -> None:
    """The mistake is in the line that makes the client, not in the first request."""
    with pytest.raises(TypeError, match=r"Expected an ASGI app"):
        AsyncTestClient("module:app")


# -- the lifespan ----------------------------------------------------------------------------------


async def test_each_entry_runs_a_lifespan_and_without_one_there_is_none() -> None:
    """As with `TestClient`; entries may lie in each other."""
    runs = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            return await hello(scope, receive, send)
        number = len(runs)
        runs.append(f"start {number}")
        await well_behaved(scope, receive, send)
        runs.append(f"stop {number}")

    client = AsyncTestClient(app)
    assert "hello" == (await client.get("/")).text
    assert [] == runs
    async with client as entered:
        assert entered is client
        async with client:
            pass
        assert "hello" == (await client.get("/")).text
    assert ["start 0", "start 1", "stop 1", "stop 0"] == runs


@pytest.mark.parametrize(
    ("app", "error", "text"),
    [
        (lifespan(ValueError("own")), ValueError, "own"),
        (lifespan(START_FAILED), RuntimeError, r"lifespan\.startup\.failed: the text"),
        (lifespan([START_FAILED, KeyError("own")]), KeyError, "own"),
        (lifespan(None), TypeError, "it returned"),
        (lifespan(STARTED, STOP_FAILED), RuntimeError, r"lifespan\.shutdown\.failed: the text"),
        (lifespan(STARTED, ValueError("own")), ValueError, "own"),
        (lifespan(STARTED), TypeError, "it returned"),
        (lifespan(STARTED, STARTED), AssertionError, r"Expected lifespan\.shutdown\.complete or"),
    ],
)
async def test_a_lifespan_that_fails_is_raised(app: Any, error: Any, text: str) -> None:
    """At the beginning of the block or at its end."""
    with pytest.raises(error, match=text):
        async with AsyncTestClient(app):
            pass


async def test_the_lifespan_is_shut_down_after_an_error_of_the_test() -> None:
    """The resources of the app are given back."""
    ended = []

    async def app(scope, receive, send):
        await well_behaved(scope, receive, send)
        ended.append("shutdown")

    with pytest.raises(ZeroDivisionError):
        async with AsyncTestClient(app):
            raise ZeroDivisionError
    assert ["shutdown"] == ended


async def test_cancelling_the_test_cancels_the_lifespan() -> None:
    """It is not left running, and does not hold the test up."""
    log = []

    async def app(scope, receive, send):
        try:
            await receive()
            await send({"type": STARTED})
            await receive()
        finally:
            log.append("ended")

    with anyio.CancelScope() as scope:
        async with AsyncTestClient(app):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert ["ended"] == log


async def test_a_startup_that_waits_for_ever_is_cancelled_with_the_test() -> None:
    """`anyio.fail_after` around it is enough."""
    log = []

    async def app(scope, receive, send):
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    with pytest.raises(TimeoutError):
        with anyio.fail_after(0.01):
            await AsyncTestClient(app).__aenter__()
    assert ["ended"] == log


async def test_requests_get_the_state_of_the_lifespan() -> None:
    """A shallow copy, each."""
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            scope["state"]["a"] = 1
            return await well_behaved(scope, receive, send)
        seen.append(dict(scope["state"]))
        scope["state"]["b"] = 2
        await {"http": hello, "websocket": echo}[scope["type"]](scope, receive, send)

    async with AsyncTestClient(app) as client:
        await client.get("/")
        async with client.websocket_connect("/"):
            pass
        assert {"a": 1} == client.app_state
    assert [{"a": 1}, {"a": 1}] == seen


# -- websockets ------------------------------------------------------------------------------------


async def test_a_websocket_sends_and_receives() -> None:
    """Every kind of message."""
    async with AsyncTestClient(echo).websocket_connect("/ws") as websocket:
        await websocket.send_text("a")
        assert "a" == await websocket.receive_text()
        await websocket.send_bytes(b"b")
        assert b"b" == await websocket.receive_bytes()
        await websocket.send_json({"c": "\u00e9"})
        assert {"c": "\u00e9"} == await websocket.receive_json()
        await websocket.send_json([1], mode="binary")
        assert [1] == await websocket.receive_json(mode="binary")
        await websocket.send({"type": "websocket.receive", "text": "d"})
        assert {"type": "websocket.send", "text": "d"} == await websocket.receive()
        assert "/ws" == websocket.scope["path"]


async def test_a_websocket_tells_what_was_accepted() -> None:
    """Before the first message."""
    app = says(accept("b", headers=[(b"x-a", b"1")]))
    client = AsyncTestClient(app)
    async with client.websocket_connect("/", ["a", "b"]) as websocket:
        assert "b" == websocket.accepted_subprotocol
        assert [(b"x-a", b"1")] == websocket.extra_headers
        assert ["a", "b"] == websocket.scope["subprotocols"]


async def test_a_refused_websocket_raises() -> None:
    """A close and a denial, as with `TestClient`."""
    with pytest.raises(WebSocketDisconnect) as caught:
        async with AsyncTestClient(says(close(code=3001, reason="why"))).websocket_connect("/"):
            pass
    assert (3001, "why") == (caught.value.code, caught.value.reason)
    app = says(refusal(403), refusal_body(b"no"))
    with pytest.raises(WebSocketDenialResponse) as caught:
        async with AsyncTestClient(app).websocket_connect("/"):
            pass
    assert (403, "no") == (caught.value.status_code, caught.value.text)


@pytest.mark.parametrize("messages", [[accept(), None], [accept(), close()]])
async def test_a_test_that_waits_for_an_app_that_has_ended_gets_an_error(messages) -> None:
    """Nothing hangs."""
    async with AsyncTestClient(says(*messages)).websocket_connect("/") as websocket:
        with pytest.raises(WebSocketDisconnect) as caught:
            await websocket.receive_text()
    assert (1000 if close() in messages else 1006) == caught.value.code


async def test_an_app_that_returns_without_accepting_is_named_by_its_path() -> None:
    """Nothing hangs here either."""
    with pytest.raises(AssertionError, match="answer to its handshake. The app returned from '/w'"):
        async with AsyncTestClient(silent).websocket_connect("/w"):
            pass


async def test_a_test_that_waits_in_vain_can_be_cancelled() -> None:
    """And the message that comes afterwards is not lost."""
    async with AsyncTestClient(echo).websocket_connect("/") as websocket:
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.01):
                await websocket.receive_text()
        await websocket.send_text("a")
        assert "a" == await websocket.receive_text()


async def test_the_app_of_a_websocket_that_is_left_goes_on_to_its_end() -> None:
    """It reads the disconnect, its sends break, and it is not cancelled."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(accept())
        log.append(await receive())
        try:
            await send(text("a"))
        except OSError:
            log.append("refused")
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        log.append("ended")

    async with AsyncTestClient(app).websocket_connect("/"):
        pass
    told = {"type": "websocket.disconnect", "code": 1000, "reason": None}
    assert [told, "refused", "ended"] == log


@pytest.mark.parametrize("grace", [0, 0.01])
async def test_an_app_that_does_not_see_its_websocket_end_is_cancelled(grace: float) -> None:
    """A test does not hang on it."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(accept())
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    async with AsyncTestClient(app, grace=grace).websocket_connect("/"):
        pass
    assert ["ended"] == log


async def test_the_error_of_a_websocket_app_comes_out_once() -> None:
    """Where the test waits, else at the end of the block."""
    client = AsyncTestClient(says(accept(), LookupError("mine")))
    async with client.websocket_connect("/") as websocket:
        with pytest.raises(LookupError):
            await websocket.receive_text()
    with pytest.raises(LookupError):
        async with client.websocket_connect("/"):
            pass


async def test_an_app_that_sends_without_end_ends_with_its_websocket() -> None:
    """One that never asks hears of it by its `send`."""

    async def app(scope, receive, send):
        await receive()
        await send(accept())
        while True:
            await send(text("tick"))
            await anyio.lowlevel.checkpoint()

    async with AsyncTestClient(app).websocket_connect("/") as websocket:
        assert ["tick"] * 3 == [await websocket.receive_text() for _ in range(3)]


async def test_an_endpoint_that_lets_the_disconnect_pass_has_not_failed() -> None:
    """As under a server; `TestClient` raises it, for Starlette's sake."""

    async def shout(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text((await websocket.receive_text()).upper())

    client = AsyncTestClient(Lamella(routes=[WebSocketRoute("/ws", shout)]))
    async with client.websocket_connect("/ws") as websocket:
        await websocket.send_text("a")
        assert "A" == await websocket.receive_text()


async def test_cancelling_the_test_ends_its_websocket() -> None:
    """The app reads a disconnect, and nothing is left."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(accept())
        log.append(await receive())

    with anyio.CancelScope() as scope:
        async with AsyncTestClient(app).websocket_connect("/"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert ["websocket.disconnect"] == [message["type"] for message in log]


async def test_websockets_and_requests_run_beside_each_other() -> None:
    """In one loop: a request hands a message to a websocket that waits."""
    waiting = {}

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await waiting["send"](text((await receive())["body"].decode()))
            await send(START)
            return await send(chunk(b""))
        await receive()
        waiting["send"] = send
        await send(accept())
        await receive()

    client = AsyncTestClient(app)
    got = []
    async with client.websocket_connect("/") as websocket:

        async def take() -> None:
            got.append(await websocket.receive_text())

        async with anyio.create_task_group() as group:
            group.start_soon(take)
            await client.post("/", content=b"news")
    assert ["news"] == got


async def test_a_websocket_of_another_scheme_is_refused() -> None:
    """Before anything is asked of the app."""
    with pytest.raises(RuntimeError, match="Expected a path, or a ws or wss URL, got 'http:"):
        async with AsyncTestClient(silent).websocket_connect("http://testserver/"):
            pass


async def test_a_transport_that_is_not_the_clients_own_cannot_open_a_websocket() -> None:
    """Some tests put another one into its place."""
    client = AsyncTestClient(echo)
    client._transport = httpx2.MockTransport(lambda request: httpx2.Response(200))
    with pytest.raises(RuntimeError, match="Expected the request for a websocket to end in its"):
        async with client.websocket_connect("/ws"):
            pass
