"""The websockets of `TestClient`, on plain ASGI apps: what the test sends, gets and waits for.

Each claim runs on asyncio and on trio. That they are as Starlette's is in `parity/test_testclient`.
"""

from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from lamella.applications import Lamella
from lamella.exceptions import UsageError
from lamella.routing import WebSocketRoute
from lamella.testclient import (
    TestClient,
    WebSocketDenialResponse,
    WebSocketDisconnect,
    WebSocketTestSession,
)
from lamella.websockets import WebSocket
from tests.raw_apps import (
    START,
    accept,
    chunk,
    close,
    data,
    echo,
    refusal,
    refusal_body,
    says,
    silent,
    text,
    well_behaved,
)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run a test once on each event loop that the client offers."""
    return request.param


def talk_to(app: Any, backend: str) -> WebSocketTestSession:
    return TestClient(app, backend=backend).websocket_connect("/ws")


@pytest.mark.parametrize("messages", [[accept(), text("a"), None], [accept(), text("a"), close()]])
def test_a_test_that_waits_for_an_app_that_has_ended_gets_an_error(backend, messages) -> None:
    """Starlette's client hangs."""
    with talk_to(says(*messages), backend) as websocket:
        assert "a" == websocket.receive_text()
        for _ in range(2):
            with pytest.raises(WebSocketDisconnect) as caught:
                websocket.receive_text()
            assert (1000 if close() in messages else 1006) == caught.value.code


def test_what_an_app_sent_before_it_ended_can_be_read_after_it(backend) -> None:
    """The end comes in its turn."""
    with talk_to(says(accept(), text("a"), data(b"b"), None), backend) as websocket:
        assert "a" == websocket.receive_text()
        assert b"b" == websocket.receive_bytes()


def test_an_app_that_returns_without_accepting_is_named_by_its_path(backend) -> None:
    """Starlette's client hangs."""
    text = "did not receive any answer to its handshake. The app returned from '/ws' without"
    with pytest.raises(AssertionError, match=text):
        talk_to(silent, backend).__enter__()


@pytest.mark.parametrize("body", [[], [refusal_body(b"a", True)]])
def test_an_app_that_ends_in_its_denial_is_an_error(backend, body) -> None:
    """Starlette's client hangs."""
    with pytest.raises(WebSocketDisconnect, match="ended without") as caught:
        talk_to(says(refusal(403), *body, None), backend).__enter__()
    assert not isinstance(caught.value, WebSocketDenialResponse)


def test_a_denial_is_a_response_and_a_disconnect(backend) -> None:
    """A test can catch it as the one and look at it as the other."""
    app = says(refusal(403, headers=[(b"x-a", b"1")]), refusal_body(b"n", True), refusal_body(b"o"))
    client = TestClient(app, backend=backend)
    with pytest.raises(WebSocketDisconnect) as caught:
        client.websocket_connect("/ws?a=1").__enter__()
    denial = caught.value
    assert isinstance(denial, WebSocketDenialResponse)
    assert isinstance(denial, httpx2.Response)
    assert (403, "1", "no") == (denial.status_code, denial.headers["x-a"], denial.text)
    assert (1006, "") == (denial.code, denial.reason)
    assert "The app refused the websocket: 403 Forbidden" == str(denial)
    with pytest.raises(httpx2.HTTPStatusError, match="ws://testserver/ws.a=1"):
        denial.raise_for_status()


def test_the_error_of_the_app_comes_out_where_the_test_waits(backend) -> None:
    """And only there: the end of the block does not raise it again."""
    error = LookupError("mine")
    with talk_to(says(accept(), error), backend) as websocket:
        with pytest.raises(LookupError) as caught:
            websocket.receive_text()
        assert caught.value is error
        with pytest.raises(WebSocketDisconnect):
            websocket.receive_text()


def test_the_error_of_the_app_comes_out_where_the_test_sends(backend) -> None:
    """It would otherwise send on to nobody."""
    with talk_to(says(accept(), text("a"), LookupError("mine")), backend) as websocket:
        websocket.receive_text()
        with pytest.raises(LookupError):
            for _ in range(1000):
                websocket.send_text("b")


def test_the_error_of_the_app_comes_out_at_the_end_of_the_block(backend) -> None:
    """Nobody has waited for the app."""
    with pytest.raises(LookupError, match="mine"):
        with talk_to(says(accept(), LookupError("mine")), backend):
            pass


def test_an_error_of_the_test_is_the_context_of_the_apps(backend) -> None:
    """Both are in the report, and the app's is nearly always the reason of the other."""
    with pytest.raises(LookupError) as caught:
        with talk_to(says(accept(), LookupError("mine")), backend):
            raise ZeroDivisionError
    assert isinstance(caught.value.__context__, ZeroDivisionError)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), pytest.fail.Exception("no")])
def test_what_is_no_exception_comes_out_of_a_websocket_and_the_client_goes_on(
    backend, error
) -> None:
    """`pytest.fail` in an app fails the test with its text, and the event loop survives."""

    async def app(scope, receive, send):
        if scope["type"] == "websocket" and scope["path"] == "/bad":
            raise error
        await echo(scope, receive, send)

    with TestClient(app, backend=backend) as client:
        with pytest.raises(type(error)) as caught:
            client.websocket_connect("/bad").__enter__()
        assert caught.value is error
        with client.websocket_connect("/good") as websocket:
            websocket.send_text("a")
            assert "a" == websocket.receive_text()


def test_an_app_is_told_of_the_end_before_it_is_cancelled(backend) -> None:
    """What it does about it without waiting is done."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(accept())
        log.append(await receive())
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    with talk_to(app, backend):
        pass
    assert [{"type": "websocket.disconnect", "code": 1000, "reason": None}, "ended"] == log


def test_what_a_websocket_app_does_shielded_after_the_end_ends_at_once(backend) -> None:
    """It reads the disconnect again and its sends raise OSError, where Starlette's client hangs."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(accept())
        with anyio.CancelScope(shield=True):
            with pytest.raises(OSError):
                while True:
                    await send(text("a"))
                    await anyio.lowlevel.checkpoint()
            for _ in range(3):
                log.append((await receive())["code"])

    with talk_to(app, backend) as websocket:
        websocket.receive_text()
        websocket.close(3001)
    assert [3001, 3001, 3001] == log


def test_an_app_that_falls_over_the_tests_leaving_has_not_failed(backend) -> None:
    """Its `send` breaks as under a server, and `WebSocket` says so."""
    log = []

    async def app(scope, receive, send):
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        with anyio.CancelScope(shield=True):
            try:
                while True:
                    await websocket.send_text("a")
                    await anyio.lowlevel.checkpoint()
            except WebSocketDisconnect as exc:
                log.append(exc.code)
                raise

    with talk_to(app, backend) as websocket:
        websocket.receive_text()
    assert [1006] == log


async def shout(websocket: WebSocket) -> None:
    """An endpoint as most are: it knows nothing of the end."""
    await websocket.accept()
    while True:
        await websocket.send_text((await websocket.receive_text()).upper())


def test_an_endpoint_that_lets_the_disconnect_pass_raises_it_in_the_test(backend) -> None:
    """Tests written for Starlette's client expect it; under a server it is no error."""
    app = Lamella(routes=[WebSocketRoute("/ws", shout)])
    with pytest.raises(WebSocketDisconnect) as caught:
        with talk_to(app, backend) as websocket:
            websocket.send_text("a")
            assert "A" == websocket.receive_text()
    assert 1000 == caught.value.code


def test_a_test_may_limit_the_time_it_waits(backend) -> None:
    """An app that waits for the test that waits for the app would hang both."""
    with talk_to(echo, backend) as websocket:
        for wait in (websocket.receive, websocket.receive_text, websocket.receive_json):
            with pytest.raises(TimeoutError):
                wait(timeout=0)
        websocket.send_bytes(b"a")
        assert b"a" == websocket.receive_bytes(timeout=10)


def test_a_message_of_the_other_kind_is_told(backend) -> None:
    """A KeyError, as Starlette's, that says more than 'text'."""
    with talk_to(echo, backend) as websocket:
        websocket.send_bytes(b"a")
        with pytest.raises(KeyError, match=r"^Expected text from the app, got \{.*b'a'"):
            websocket.receive_text()


def test_a_mode_of_json_is_text_or_binary(backend) -> None:
    """Starlette's client takes any other word for binary."""
    with talk_to(echo, backend) as websocket:
        with pytest.raises(UsageError, match='Expected the mode "text" or "binary", got \'bytes\''):
            websocket.send_json(1, mode="bytes")


def test_a_session_that_is_not_entered_says_so() -> None:
    """The `with` is easily forgotten."""
    websocket = TestClient(echo).websocket_connect("/ws")
    for call in (websocket.receive, websocket.receive_text, websocket.close):
        with pytest.raises(UsageError, match="write `with client.websocket_connect"):
            call()


@pytest.mark.parametrize("url", ["http://testserver/ws", "ftp://testserver/"])
def test_a_websocket_of_another_scheme_is_refused(url: str) -> None:
    """Before anything is asked of the app."""
    with pytest.raises(RuntimeError, match=f"Expected a path, or a ws or wss URL, got '{url}'"):
        TestClient(silent).websocket_connect(url)


def test_a_transport_that_is_not_the_clients_own_cannot_open_a_websocket() -> None:
    """Some tests put another one into its place."""
    client = TestClient(echo)
    client._transport = httpx2.MockTransport(lambda request: httpx2.Response(200))
    with pytest.raises(RuntimeError, match="Expected the request for a websocket to end in its"):
        client.websocket_connect("/ws")


def test_the_headers_given_for_a_websocket_stay_as_they_are(backend) -> None:
    """Of any kind that httpx takes; Starlette's client adds to the dict, and fails at a list."""
    seen = []

    async def app(scope, receive, send):
        seen.append([pair for pair in scope["headers"] if pair[0].startswith(b"x-")])
        await echo(scope, receive, send)

    given = [("X-A", "1"), ("x-a", "2")]
    with TestClient(app, backend=backend).websocket_connect("/", headers=given):
        pass
    assert [[(b"x-a", b"1"), (b"x-a", b"2")]] == seen
    assert [("X-A", "1"), ("x-a", "2")] == given


def test_cookies_that_a_response_sets_are_sent_with_a_websocket(backend) -> None:
    """One logs in by a request, and then opens the websocket."""
    cookies = []

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            cookies.append(dict(scope["headers"]).get(b"cookie"))
            return await echo(scope, receive, send)
        await send({**START, "headers": [(b"set-cookie", b"session=1; Path=/")]})
        await send(chunk(b""))

    client = TestClient(app, backend=backend)
    client.get("/")
    with client.websocket_connect("/ws"):
        pass
    assert [b"session=1"] == cookies


def test_two_websockets_are_open_at_once(backend) -> None:
    """In one event loop inside `with`, so that the app can hand messages from one to the other."""
    others = {}

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        await receive()
        others[scope["path"]] = send
        await send(accept())
        while (message := await receive())["type"] == "websocket.receive":
            for path, other in others.items():
                if path != scope["path"]:
                    await other(text(message["text"]))

    with TestClient(app, backend=backend) as client:
        with client.websocket_connect("/a") as a, client.websocket_connect("/b") as b:
            a.send_text("from a")
            assert "from a" == b.receive_text(timeout=10)
            b.send_text("from b")
            assert "from b" == a.receive_text(timeout=10)


def test_what_is_sent_on_behalf_of_an_app_that_has_ended_is_refused(backend) -> None:
    """The app has handed its `send` on, as in a chat; nobody takes what comes by it now."""
    handed_on, log = [], []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        if scope["path"] == "/first":
            handed_on.append(send)
            return await says(accept(), None)(scope, receive, send)
        await receive()
        with pytest.raises(OSError):
            await handed_on[0](text("a"))
        log.append("refused")
        await send(accept())
        await receive()

    with TestClient(app, backend=backend) as client:
        with client.websocket_connect("/first"), client.websocket_connect("/second"):
            assert ["refused"] == log


def test_an_interrupted_handshake_cancels_its_app(backend, monkeypatch) -> None:
    """Ctrl-C while the app is started leaves no app behind, and is what comes out."""
    log = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        try:
            await anyio.sleep_forever()
        finally:
            log.append("ended")

    with TestClient(app, backend=backend) as client:
        start_task_soon = client.portal.start_task_soon

        def interrupted(function, *arguments, **options):
            future = start_task_soon(function, *arguments, **options)
            if function.__name__ == "serve":
                raise KeyboardInterrupt
            return future

        monkeypatch.setattr(client.portal, "start_task_soon", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.websocket_connect("/ws").__enter__()
    assert ["ended"] == log


def test_one_websocket_is_sent_to_by_the_app_of_another(backend) -> None:
    """Each runs in a thread of its own if the client is not entered, and none is to be lost."""
    visitors = []

    async def app(scope, receive, send):
        await receive()
        await send(accept())
        visitors.append(send)
        while (message := await receive())["type"] == "websocket.receive":
            for visitor in visitors:
                await visitor(text(message["text"]))

    client = TestClient(app, backend=backend)
    with client.websocket_connect("/a") as one, client.websocket_connect("/b") as other:
        for number in range(50):
            one.send_text(f"{number}")
            assert (f"{number}", f"{number}") == (one.receive_text(), other.receive_text())
