"""`TestClient` on plain ASGI apps: what it gives the app, what it makes of the answer.

Each claim runs on asyncio and on trio. That it does as Starlette's is in `parity/test_testclient`.
"""

import asyncio
import concurrent.futures
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
import starlette.testclient

from lamella._testclient.http import HTTPRun
from lamella._testclient.run import Run
from lamella.exceptions import StarletteDeprecationWarning
from lamella.testclient import (
    TestClient,
)
from tests.raw_apps import (
    START,
    START_FAILED,
    STARTED,
    STOP_FAILED,
    STOPPED,
    TRAILING,
    chunk,
    hello,
    hello_with_lifespan,
    lifespan,
    sends,
    silent,
    trailers,
    well_behaved,
)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run a test once on each event loop that the client offers."""
    return request.param


@pytest.fixture
def make(backend: str) -> Callable[..., TestClient]:
    """Give a maker of clients on the event loop of the test."""
    return partial(TestClient, backend=backend)


# ---------------------------------------------------------------- the streamed response


def test_a_response_streams_while_the_app_runs(make) -> None:
    """The second chunk is made only when the test asks for it, having seen the first."""
    asked = None

    async def app(scope, receive, send):
        nonlocal asked
        if scope["type"] == "lifespan":
            asked = anyio.Event()
            return await well_behaved(scope, receive, send)
        await send(START)
        await send(chunk(b"first", True))
        await asked.wait()
        await send(chunk(b"second"))

    with make(app) as client, client.stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert b"first" == next(chunks)
        client.portal.call(asked.set)
        assert [b"second"] == list(chunks)


def test_an_app_waits_in_send_until_its_chunk_is_taken(make) -> None:
    """Back pressure: an endless response does not run ahead of the test."""
    begun = []

    async def app(scope, receive, send):
        await send(START)
        for number in itertools.count():
            begun.append(number)
            await send(chunk(b"%d " % number, True))

    with make(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert [b"0 ", b"1 ", b"2 "] == [next(chunks), next(chunks), next(chunks)]
        assert len(begun) <= 4
    assert len(begun) <= 4


def test_leaving_a_stream_early_cancels_the_app_and_waits_for_its_cleanup(make) -> None:
    """Nothing of the app is left running when the `with` is over."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        try:
            await send(chunk(b"first", True))
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            log.append("cancelled")
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                log.append("cleaned up")

    with make(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert b"first" == next(chunks)
    assert ["cancelled", "cleaned up"] == log


def test_what_an_app_does_shielded_after_the_client_left_ends_at_once(make) -> None:
    """It reads `http.disconnect` and its sends raise OSError, where Starlette's client hangs."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(START)
        with anyio.CancelScope(shield=True):
            for number in range(3):
                try:
                    await send(chunk(b"%d" % number, True))
                except OSError as exc:
                    log.append(str(exc))
            log.append(await receive())

    with make(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert b"0" == next(chunks)
    refused = "The client closed the response before its end; stop sending."
    assert [refused, refused, {"type": "http.disconnect"}] == log


def test_background_work_is_done_when_the_response_has_been_read(make) -> None:
    """A test that has its response can look at what came of it."""
    log = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        await anyio.lowlevel.checkpoint()
        log.append("done")

    make(app).get("/")
    assert ["done"] == log


def test_leaving_after_the_last_chunk_does_not_cancel_background_work(make, monkeypatch) -> None:
    """The client left no response unread, so to the app it is not gone."""
    log, released = [], None

    async def app(scope, receive, send):
        nonlocal released
        if scope["type"] == "lifespan":
            released = anyio.Event()
            return await well_behaved(scope, receive, send)
        await hello(scope, receive, send)
        await released.wait()
        log.append("done")

    with make(app) as client:
        close = HTTPRun.close

        async def release_and_close(run):
            released.set()
            await close(run)

        # The work ends only when the client has left and waits for it.
        monkeypatch.setattr(HTTPRun, "close", release_and_close)
        with client.stream("GET", "/") as response:
            chunks = response.iter_raw()
            assert b"hello" == next(chunks)
    assert ["done"] == log


def test_trailers_sent_after_the_client_left_are_refused_as_the_body_is(make) -> None:
    """Only that the client is gone is wrong with them."""
    log = []

    async def app(scope, receive, send):
        await send(TRAILING)
        with anyio.CancelScope(shield=True):
            for message in (chunk(b"a"), trailers()):
                try:
                    await send(message)
                except OSError:
                    log.append(message["type"])

    with make(app).stream("GET", "/"):
        pass
    assert ["http.response.body", "http.response.trailers"] == log


def test_a_client_used_without_with_can_be_closed(make) -> None:
    """Responses that have been read are no longer on its account."""
    client = make(hello)
    client.get("/")
    client.close()
    assert client.is_closed


def test_leaving_the_client_cancels_responses_that_are_still_open(make) -> None:
    """A stream that a test forgot to close does not keep the client from ending."""
    log = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        await send(START)
        try:
            await send(chunk(b"", True))
        except anyio.get_cancelled_exc_class():
            log.append(scope["path"])
            raise

    with make(app) as client:
        for path in ("/1", "/2"):
            client.send(client.build_request("GET", path), stream=True)
    assert ["/1", "/2"] == sorted(log)


def test_leaving_the_client_cancels_background_work_of_an_open_response(make) -> None:
    """The response is over, the app is not, and nobody reads on."""
    log = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        await hello(scope, receive, send)
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            log.append("cancelled")
            raise

    with make(app) as client:
        chunks = client.send(client.build_request("GET", "/"), stream=True).iter_raw()
        assert b"hello" == next(chunks)
    assert ["cancelled"] == log


def test_trailers_are_there_when_the_body_has_been_read(make) -> None:
    """They come after the body, so the list is filled late."""
    app = sends(TRAILING, chunk(b"a"), trailers((b"sum", b"1")))
    with make(app).stream("GET", "/") as response:
        response.read()
        assert [(b"sum", b"1")] == response.extensions["http.response.trailers"]


@pytest.mark.parametrize("value", ["caf\u00e9".encode("latin-1"), "caf\u00e9".encode()])
def test_response_headers_stay_the_bytes_that_were_sent(make, value: bytes) -> None:
    """HTTP allows them, servers send them; Starlette's client breaks on them."""
    response = make(sends({**START, "headers": [(b"X-Name", value)]}, chunk(b""))).get("/")
    assert [(b"X-Name", value)] == response.headers.raw
    assert "caf\u00e9" == response.headers["x-name"]


def test_response_headers_that_are_text_are_refused(make) -> None:
    """A server would fail on them, so a test shall not pass."""
    with pytest.raises(TypeError, match="as bytes, got .*'x-a', 'b'"):
        make(sends({**START, "headers": [("x-a", "b")]})).get("/")


# ---------------------------------------------------------------- errors


def test_an_app_that_answers_nothing_is_named_by_its_request(make) -> None:
    """The one who reads the failed test sees which call went wrong."""
    text = "TestClient did not receive any response. The app returned from POST http://testserver/x"
    with pytest.raises(AssertionError, match=re.escape(text)):
        make(silent).post("/x")


def test_the_apps_own_exception_object_comes_out(make) -> None:
    """Not a copy, not a group: its traceback leads into the app."""
    error = LookupError("mine")

    async def app(scope, receive, send):
        raise error

    with pytest.raises(LookupError) as caught:
        make(app).get("/")
    assert caught.value is error
    assert "app" == caught.traceback[-1].name


@pytest.mark.parametrize("raising", [True, False])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), pytest.fail.Exception("no")])
def test_what_is_no_exception_comes_out_and_the_client_goes_on(make, error, raising) -> None:
    """`pytest.fail` in an app fails the test with its text, and the event loop survives."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        if scope["path"] == "/bad":
            raise error
        await hello(scope, receive, send)

    with make(app, raise_server_exceptions=raising) as client:
        with pytest.raises(type(error)) as caught:
            client.get("/bad")
        assert caught.value is error
        assert "hello" == client.get("/good").text


def test_an_app_that_is_cancelled_by_itself_is_told_as_starlette_tells_it() -> None:
    """The test's thread has no event loop, so the cancellation comes as that of a future."""

    async def app(scope, receive, send):
        raise asyncio.CancelledError

    for client_class in (starlette.testclient.TestClient, TestClient):
        with pytest.raises(concurrent.futures.CancelledError):
            client_class(app).get("/")


def test_leaving_an_app_that_others_cancel_at_the_same_time_is_no_error() -> None:
    """As what watches for the client does: of two cancellations at once either may come out."""

    async def leave() -> BaseException | None:
        async def app(scope, receive, send):
            run.cancel_scope.cancel()
            raise asyncio.CancelledError  # which does not say whose it is

        run = Run(app, {"type": "http"})
        with pytest.raises(asyncio.CancelledError):
            await run.serve()
        return run.error

    assert asyncio.run(leave()) is None


@pytest.mark.parametrize("moment", ["serve", "wait"])
def test_an_interrupted_request_cancels_its_app(make, monkeypatch, moment: str) -> None:
    """Ctrl-C while the app is started or waited for leaves no app behind, and is what comes out."""
    log = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return await well_behaved(scope, receive, send)
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            log.append("ended")
            raise LookupError from None

    with make(app) as client:
        start_task_soon = client.portal.start_task_soon

        def interrupted(function, *arguments, **options):
            future = start_task_soon(function, *arguments, **options)
            if function.__name__ == moment:
                raise KeyboardInterrupt
            return future

        monkeypatch.setattr(client.portal, "start_task_soon", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.get("/")
    assert ["ended"] == log


@pytest.mark.parametrize("app", [None, "module:app", 3, object()])
def test_an_app_that_is_not_callable_is_refused_at_once(app: Any) -> None:
    """The mistake is in the line that makes the client, not in the first request."""
    with pytest.raises(
        TypeError, match=r"Expected an ASGI app, .*got .*give the test client the app"
    ):
        TestClient(app)


@pytest.mark.parametrize("url", ["ftp://testserver/", "ws://testserver/", "wss://testserver/"])
def test_other_schemes_than_http_are_refused_by_name(make, url: str) -> None:
    """The text holds the URL, which may have come from a redirect."""
    with pytest.raises(httpx2.UnsupportedProtocol, match=f"http or https URL, got '{url}'"):
        make(hello).get(url)


def test_a_timeout_is_warned_about_and_ignored(make) -> None:
    """There is no network to wait for; as Starlette, with the same class of warning."""
    with pytest.warns(
        StarletteDeprecationWarning,
        match="^You should not use the 'timeout' argument with the TestClient",
    ):
        assert "hello" == make(hello).request("GET", "/", timeout=5).text


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([START, START], "Got a second http.response.start"),
        ([chunk(b"")], "Got http.response.body before http.response.start"),
        ([START, chunk(b""), chunk(b"")], "Got http.response.body after body completed"),
        ([START, trailers()], "without declaring trailers; say `trailers: True`"),
        ([TRAILING, trailers()], "before body completed"),
        ([TRAILING, chunk(b""), trailers(), trailers()], "after response completed"),
    ],
)
def test_a_message_out_of_turn_is_refused_with_its_name(make, messages: Any, text: str) -> None:
    """The error is raised in the app's `send`, and says what came and when."""
    with pytest.raises(AssertionError, match=text):
        make(sends(*messages)).get("/")


# ---------------------------------------------------------------- lifespan and portal


def test_inside_with_all_requests_share_one_event_loop_with_the_lifespan(make) -> None:
    """What the lifespan opens, such as a pool of connections, works in requests."""
    tokens = []

    async def app(scope, receive, send):
        tokens.append(anyio.lowlevel.current_token())
        await hello_with_lifespan(scope, receive, send)

    with make(app) as client:
        client.get("/")
        client.get("/")
    client.get("/")
    assert tokens[0] == tokens[1] == tokens[2]
    assert tokens[3] != tokens[0]


def test_the_portal_is_there_inside_with_only(make) -> None:
    """`client.portal` is how a test runs its own code beside the app."""
    client = make(hello_with_lifespan)
    assert client.portal is None
    with client as entered:
        assert entered is client
        assert client.portal.call(anyio.get_current_task).name
        assert not client.task.done()
    assert client.portal is None
    assert client.task.done()


def test_a_client_can_be_entered_again(make) -> None:
    """A fixture may hand one client to many tests; each entry runs the lifespan anew."""
    runs = []

    async def app(scope, receive, send):
        runs.append("start")
        await well_behaved(scope, receive, send)
        runs.append("stop")

    client = make(app)
    for _ in range(2):
        with client:
            runs.append("inside")
    assert ["start", "inside", "stop"] * 2 == runs


def test_a_client_entered_twice_shuts_both_lifespans_down(make) -> None:
    """The outer lifespan is taken up again when the inner one is over."""
    runs = []

    async def app(scope, receive, send):
        if scope["type"] == "http":
            return await hello(scope, receive, send)
        number = len(runs)
        runs.append(f"start {number}")
        await well_behaved(scope, receive, send)
        runs.append(f"stop {number}")

    client = make(app)
    with client:
        outer = client.portal
        with client:
            assert client.portal is not outer
        assert client.portal is outer
        assert "hello" == client.get("/").text
    assert client.portal is None
    assert ["start 0", "start 1", "stop 1", "stop 0"] == runs


def test_a_lifespan_that_waits_for_more_is_ended_after_the_shutdown(make) -> None:
    """The example app of the ASGI spec, but for its `return`."""
    ended = []

    async def app(scope, receive, send):
        try:
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
        finally:
            ended.append(message["type"])

    with make(app):
        pass
    assert ["lifespan.shutdown"] == ended


def test_the_phases_of_the_lifespan_may_be_asked_for_by_hand(make) -> None:
    """As Starlette's client has it; the app here answers whatever comes."""
    asked = []

    async def app(scope, receive, send):
        while True:
            message = await receive()
            asked.append(message["type"].removeprefix("lifespan."))
            await send({"type": message["type"] + ".complete"})

    with make(app) as client:
        client.portal.call(client.wait_shutdown)
        client.portal.call(client.wait_startup)
    assert ["startup", "shutdown", "startup", "shutdown"] == asked


def test_a_lifespan_that_ends_after_the_client_leaves_no_error_in_its_future(make) -> None:
    """It has answered the shutdown; that nobody listens any more is not its fault."""

    async def app(scope, receive, send):
        await well_behaved(scope, receive, send)
        while client.stream_send.send_stream.statistics().open_send_streams:
            await anyio.lowlevel.checkpoint()

    client = make(app)
    with client:
        pass
    assert client.task.result() is None


def test_each_request_gets_a_shallow_copy_of_the_lifespan_state(make) -> None:
    """ASGI lifespan spec, "Lifespan State": a key set by a request stays with it."""
    shared, seen = [], []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = shared
            return await well_behaved(scope, receive, send)
        seen.append(scope["state"].copy())
        scope["state"]["mine"] = 1
        scope["state"]["shared"].append(1)
        await hello(scope, receive, send)

    with make(app) as client:
        client.get("/")
        client.get("/")
        assert {"shared": shared} == client.app_state
    assert [{"shared": shared}, {"shared": shared}] == seen
    assert [1, 1] == shared


async def failing_in_a_loop(scope, receive, send):
    """Report a failed startup and wait for what comes, which is nothing."""
    while True:
        await receive()
        await send({"type": START_FAILED, "message": "the text"})


FAILS_TWICE = lifespan([START_FAILED, START_FAILED])


@pytest.mark.parametrize("app", [FAILS_TWICE, lifespan(START_FAILED), failing_in_a_loop])
def test_a_failed_startup_without_an_error_raises_its_message(make, app: Any) -> None:
    """Starlette's client goes on as if started, and then hangs."""
    with pytest.raises(RuntimeError, match=r"The app sent lifespan\.startup\.failed: the text"):
        make(app).__enter__()


def test_a_failed_shutdown_without_an_error_raises_its_message(make) -> None:
    """Starlette's client passes over it."""
    client = make(lifespan(STARTED, STOP_FAILED)).__enter__()
    with pytest.raises(RuntimeError, match=r"The app sent lifespan\.shutdown\.failed: the text"):
        client.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("app", "text"),
    [
        (lifespan(None), r"Expected lifespan\.startup\.complete or .* but it returned"),
        (
            lifespan(STOPPED),
            r"Expected lifespan\.startup\.complete or .* got \{'type': 'lifespan\.sh",
        ),
        (lifespan(STARTED), r"Expected lifespan\.shutdown\.complete or .* but it returned"),
        (lifespan(STARTED, STARTED), r"Expected lifespan\.shutdown\.complete or .* got \{'type'"),
    ],
)
def test_a_lifespan_that_gives_no_answer_is_told_which_one_was_due(make, app, text) -> None:
    """The text names the message that the app did not send."""
    with pytest.raises((AssertionError, TypeError), match=text):
        with make(app):
            pass


def test_a_client_whose_startup_failed_can_be_used_without_with(make) -> None:
    """Nothing of the failed entry is left in it."""
    calls = []

    async def app(scope, receive, send):
        calls.append(scope["type"])
        if scope["type"] == "lifespan":
            raise ValueError
        await hello(scope, receive, send)

    client = make(app)
    with pytest.raises(ValueError):
        client.__enter__()
    assert client.portal is None
    assert "hello" == client.get("/").text
    assert ["lifespan", "http"] == calls


def test_cookies_that_a_response_sets_are_sent_by_the_next_request(make) -> None:
    """Logging in is a request as any other."""

    async def app(scope, receive, send):
        headers = [
            (b"set-cookie", b"session=1; Path=/"),
            (b"x-sent", dict(scope["headers"]).get(b"cookie", b"")),
        ]
        await send({**START, "headers": headers})

    client = make(app)
    assert ["", "session=1"] == [client.get("/").headers["x-sent"] for _ in range(2)]


def test_backend_options_reach_the_event_loop() -> None:
    """The loop that the app is served with is the one to test it on."""
    pytest.importorskip("uvloop", reason="uvloop does not run on every platform")
    loops = []

    async def app(scope, receive, send):
        loops.append(type(asyncio.get_running_loop()).__module__)
        await hello(scope, receive, send)

    TestClient(app, backend_options={"use_uvloop": True}).get("/")
    assert ["uvloop"] == loops


# ---------------------------------------------------------------- httpx2, else httpx

WITHOUT = """
import sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
"""
ONE_CALL = """
import anyio
from lamella.testclient import AsyncTestClient, TestClient, WebSocketDenialResponse

async def app(scope, receive, send):
    kind = "http" if scope["type"] == "http" else "websocket.http"
    await send({"type": f"{kind}.response.start", "status": 200, "headers": []})
    await send({"type": f"{kind}.response.body", "body": b"a", "more_body": True})
    await send({"type": f"{kind}.response.body", "body": b"b"})

async def call():
    print(AsyncTestClient.__base__.__module__, (await AsyncTestClient(app).get("/")).text)

print(TestClient.__base__.__module__, TestClient(app).get("/").text)
anyio.run(call)
try:
    TestClient(app).websocket_connect("/").__enter__()
except WebSocketDenialResponse as denial:
    print(WebSocketDenialResponse.__bases__[0].__module__, denial.text)
"""


def run_without(modules: str) -> subprocess.CompletedProcess[str]:
    """Make one call in a new process in which these modules cannot be imported."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT + ONE_CALL, modules]
    return subprocess.run(command, capture_output=True, text=True, timeout=15)


@pytest.mark.parametrize(("without", "used"), [("none", "httpx2"), ("httpx2", "httpx")])
def test_httpx2_is_taken_first_and_httpx_without_it(without: str, used: str) -> None:
    """Either is enough, and neither choice warns."""
    process = run_without(without)
    printed = re.sub(r"\._\w+", "", process.stdout)
    assert ("", f"{used} ab\n" * 3) == (process.stderr, printed)


def test_without_both_the_import_error_names_the_install_command() -> None:
    """One line, last in the traceback."""
    expected = (
        "ImportError: lamella.testclient needs httpx2; "
        'install it with: pip install "lamella[testclient]"'
    )
    process = run_without("httpx2,httpx")
    assert expected == process.stderr.splitlines()[-1]


def test_a_broken_httpx2_is_not_passed_over() -> None:
    """Its own error says what is missing; httpx in its place would hide that."""
    process = run_without("httpx2._client")
    assert 1 == process.returncode
    assert "httpx2._client" in process.stderr.splitlines()[-1]
