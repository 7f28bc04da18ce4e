"""`TestClient` on plain ASGI apps: what it gives the app, what it makes of the answer.

Each claim runs on asyncio and on trio. The parity part makes the same calls through Starlette's
client and through ours, on the same app, and compares all that either side can see.
"""

import asyncio
import concurrent.futures
import inspect
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
import starlette.testclient

from lamella.exceptions import StarletteDeprecationWarning
from lamella.testclient import TestClient

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain")],
}


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run a test once on each event loop that the client offers."""
    return request.param


@pytest.fixture
def make(backend: str) -> Callable[..., TestClient]:
    """Give a maker of clients on the event loop of the test."""
    return partial(TestClient, backend=backend)


def chunk(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def sends(*messages: dict[str, Any]):
    """Make an app that reads one message, then sends these."""

    async def app(scope, receive, send):
        await receive()
        for message in messages:
            await send(message)

    return app


hello = sends(START, chunk(b"hello"))


async def hello_with_lifespan(scope, receive, send):
    if scope["type"] == "http":
        await hello(scope, receive, send)
    else:
        await well_behaved(scope, receive, send)


async def well_behaved(scope, receive, send):
    """Answer the two lifespan messages, then return."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def silent(scope, receive, send):
    await receive()


async def failing(scope, receive, send):
    raise LookupError("from the app")


async def failing_after_start(scope, receive, send):
    await send(START)
    raise LookupError("from the app")


async def failing_after_end(scope, receive, send):
    await send(START)
    await send(chunk(b"all of it"))
    raise LookupError("from the app")


def lifespan(*answers: Any):
    """Make an app that at each lifespan message sends the next answer, or raises or returns it."""

    async def app(scope, receive, send):
        for answer in answers:
            await receive()
            for step in answer if isinstance(answer, list) else [answer]:
                if isinstance(step, Exception):
                    raise step
                if step is not None:
                    await send({"type": step, "message": "the text"})

    return app


STARTED, STOPPED = "lifespan.startup.complete", "lifespan.shutdown.complete"
START_FAILED, STOP_FAILED = "lifespan.startup.failed", "lifespan.shutdown.failed"


# ---------------------------------------------------------------- parity with Starlette 1.10


class Witness:
    """An app around an app: notes the scopes, what was received and what was raised inside."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seen: list[Any] = []

    async def __call__(self, scope, receive, send):
        self.seen.append({**scope, "state": dict(scope.get("state", {}))})

        async def noting_receive():
            message = await receive()
            self.seen.append(message)
            return message

        async def noting_send(message):
            try:
                await send(message)
            except Exception as exc:
                self.seen.append(type(exc))
                raise

        try:
            await self.app(scope, noting_receive, noting_send)
        except BaseException as exc:
            self.seen.append(type(exc))
            raise


def observe(client_class: Any, app: Any, call: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Make one call and tell everything that the two sides saw of it."""
    witness = Witness(app)
    client = client_class(app if isinstance(app, type) else witness, **options)
    outcome: dict[str, Any] = {"app": witness.seen}
    try:
        result = call(client)
    except BaseException as exc:
        outcome["raised"] = type(exc)
    else:
        outcome["result"] = describe(result) if isinstance(result, httpx2.Response) else result
    outcome["cookies"] = sorted((c.name, c.value, c.path) for c in client.cookies.jar)
    return outcome


def describe(response: httpx2.Response) -> dict[str, Any]:
    return {
        "status": response.status_code,
        "headers": response.headers.raw,
        "body": response.content,
        "url": str(response.url),
        "history": [(r.status_code, r.content) for r in response.history],
        "extensions": response.extensions,
        "template": getattr(response, "template", None),
        "context": getattr(response, "context", None),
        "closed": response.is_closed,
        "reason": response.reason_phrase,
        "version": response.http_version,
    }


def in_with(call: Any) -> Any:
    def call_in_with(client: Any) -> Any:
        with client:
            return call(client)

    return call_in_with


def nothing(client: Any) -> None:
    """Do nothing between entering and leaving."""


def get(client: Any) -> Any:
    return client.get("/")


def read_part(client: Any) -> bytes:
    with client.stream("GET", "/") as response:
        chunks = response.iter_raw()  # kept, since dropping it closes the response
        return next(chunks)


def read_nothing(client: Any) -> int:
    with client.stream("GET", "/") as response:
        return response.status_code


def read_all(client: Any) -> list[bytes]:
    with client.stream("GET", "/") as response:
        return list(response.iter_raw())


def produce() -> Iterator[bytes]:
    yield b"one "
    yield b"two"


async def produce_async():
    yield b"one"


def break_off() -> Iterator[bytes]:
    yield b"one"
    raise ZeroDivisionError


def read_stream(client: Any) -> list[bytes]:
    with client.stream("GET", "/") as response:
        return list(response.stream)


async def redirecting(scope, receive, send):
    message = await receive()
    if scope["path"] == "/end":
        await send(START)
        await send(chunk(scope["method"].encode() + b" " + message["body"]))
        return
    status = int(scope["path"][1:])
    headers = [(b"location", b"/end"), (b"set-cookie", b"seen=yes; Path=/")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send(chunk(b"moved"))


async def reading_twice(scope, receive, send):
    await receive()
    await send(START)
    await send(chunk(b"all"))
    await receive()
    await receive()


async def asking_under_cancelled_scope(scope, receive, send):
    """Poll for the client's going away in the way that does not wait."""
    await receive()
    for when in ("before", "after"):
        with anyio.CancelScope() as cancel_scope:
            cancel_scope.cancel()
            await receive()
        if when == "before":
            await send(START)
            await send(chunk(b"all"))


async def waiting_for_disconnect(scope, receive, send):
    await receive()
    await send(START)
    await receive()


def write_state(scope):
    scope["state"]["count"] = scope["state"].get("count", 0) + 1
    scope["state"].setdefault("shared", []).append("once")


async def with_state(scope, receive, send):
    if scope["type"] == "lifespan":
        write_state(scope)
        await well_behaved(scope, receive, send)
    else:
        write_state(scope)
        await hello(scope, receive, send)


class Asgi2:
    """An app of ASGI 2: the class is called with the scope, the instance with the channels."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive, send):
        await receive()
        await send(START)
        await send(chunk(self.scope["path"].encode()))


class Awaitable3:
    """A class whose instances are awaited: ASGI 3 although it is no coroutine function."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.run = hello(scope, receive, send)

    def __await__(self):
        return self.run.__await__()


TRAILING = {**START, "trailers": True}


def trailers(*pairs: tuple[bytes, bytes], more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.trailers", "headers": list(pairs), "more_trailers": more}


def debug(**info: Any) -> dict[str, Any]:
    return {"type": "http.response.debug", "info": info}


def case(app: Any, call: Any = get, **options: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Put one case together: the app, what is called, and the options of the client."""
    return app, call, options


def url(text: str, **options: Any) -> tuple[Any, Any, dict[str, Any]]:
    return case(hello, lambda c: c.get(text), **options)


def post(**arguments: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Make the arguments anew for each client where they are made by a function."""
    return case(
        hello,
        lambda c: c.post("/", **{k: v() if callable(v) else v for k, v in arguments.items()}),
    )


def answer(*messages: Any, call: Any = get) -> tuple[Any, Any, dict[str, Any]]:
    return case(sends(*messages), call)


def phases(*answers: Any, call: Any = nothing) -> tuple[Any, Any, dict[str, Any]]:
    return case(lifespan(*answers), in_with(call))


def without_host(client: Any) -> Any:
    request = client.build_request("GET", "/")
    del request.headers["host"]
    return client.send(request)


def get_twice(client: Any) -> dict[str, Any]:
    get(client)
    get(client)
    return dict(client.app_state)


A, A_MORE, B = chunk(b"a"), chunk(b"a", True), chunk(b"b")
BARE = {"type": "http.response.start", "status": 204}
HEADERS = [("X-A", "1"), ("x-b", "2"), ("X-A", "3"), ("Host", "h")]
OWN_HEADERS = {"X-Two": "2", "user-agent": "mine", "x-one": "1"}
QUIET = {"raise_server_exceptions": False}

CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "get": case(hello),
    "head": case(hello, lambda c: c.head("/")),
    "options": case(hello, lambda c: c.options("*")),
    "query": url("/p?b=2&a=%20&a=\u00e9#fragment"),
    "params": case(hello, lambda c: c.get("/p?old=1", params={"new": ["1", "2"]})),
    "escaped path": url("/a%20b/%2F/\u00e9/%2541"),
    "no path": url("https://example.org"),
    "port": url("http://example.org:8000/x"),
    "ipv6": url("http://[::1]:8000/"),
    "idna": url("https://b\u00fccher.example/"),
    "base url": url("x", base_url="https://example.org:444/base"),
    "base url, absolute path": url("/x", base_url="http://a/base/"),
    "root path": case(hello, root_path="/mounted"),
    "client": case(hello, client=("192.0.2.1", 1234)),
    "client headers": case(hello, headers=OWN_HEADERS),
    "client cookies": case(hello, cookies={"a": "1"}),
    "request headers": case(hello, lambda c: c.get("/", headers=HEADERS)),
    "raw request headers": case(hello, lambda c: c.get("/", headers=[(b"x-a", b"\xe9")])),
    "no host header": case(hello, without_host),
    "auth": post(auth=("user", "word")),
    "json": post(json={"a": [1, "\u00e9"]}),
    "form": post(data={"a": ["1", "2"], "b": "x y"}),
    "content": post(content="t\u00e9xt"),
    "generator content": post(content=produce),
    "async generator content": post(content=produce_async),
    "generator content that fails": post(content=break_off),
    "redirect": case(redirecting, lambda c: c.post("/303", content="x")),
    "redirect with body": case(redirecting, lambda c: c.post("/307", content="x")),
    "redirect with spent body": case(redirecting, lambda c: c.post("/307", content=produce())),
    "redirect not followed": case(redirecting, lambda c: c.get("/302"), follow_redirects=False),
    "redirect left": case(redirecting, lambda c: c.get("/302", follow_redirects=False)),
    "chunks": answer(START, A_MORE, chunk(b"", True), B, call=read_all),
    "chunks, as they come": answer(START, A_MORE, chunk(b"", True), B, call=read_stream),
    "chunks, head": answer(START, A_MORE, B, call=lambda c: c.head("/")),
    "bytearray body": answer(START, chunk(bytearray(b"a"))),
    "start without headers": answer(BARE),
    "body without keys": answer(START, {"type": "http.response.body"}),
    "repeated headers": answer({**START, "headers": [(b"X-A", b"1"), (b"x-a", b"2")]}, A),
    "body not ended": answer(START, A_MORE),
    "body not begun": answer(START),
    "unknown status": answer({**START, "status": 299}, A),
    "unknown message": answer({"type": "http.response.pathsend"}, START, A),
    "second start": answer(START, START),
    "body before start": answer(A),
    "body after the end": answer(START, A, B),
    "no status": answer({"type": "http.response.start"}),
    "body is text": answer(START, {"type": "http.response.body", "body": "text"}),
    "trailers": answer(TRAILING, A, trailers((b"t", b"1"), more=True), trailers((b"u", b"2"))),
    "trailers missing": answer(TRAILING, A),
    "trailers not announced": answer(START, A, trailers()),
    "trailers before the end": answer(TRAILING, A_MORE, trailers()),
    "trailers after trailers": answer(TRAILING, A, trailers(), trailers()),
    "debug": answer(debug(template="t", context={"a": 1}), START, A),
    "debug, other info": answer(debug(other=1), START, A),
    "debug without info": answer({"type": "http.response.debug"}, START),
    "silent": case(silent),
    "silent, quiet": case(silent, **QUIET),
    "fails": case(failing),
    "fails, quiet": case(failing, **QUIET),
    "fails after start": case(failing_after_start),
    "fails after start, quiet": case(failing_after_start, **QUIET),
    "fails after the end": case(failing_after_end),
    "fails after the end, quiet": case(failing_after_end, **QUIET),
    "fails after the end, streamed": case(failing_after_end, read_all),
    "fails after the end, read in part": case(failing_after_end, read_part),
    "receives after the end": case(reading_twice),
    "asks under a cancelled scope": case(asking_under_cancelled_scope),
    "left before the body": case(hello, read_nothing),
    "left while the app sends": answer(START, A_MORE, A_MORE, B, call=read_part),
    "left while the app receives": case(waiting_for_disconnect, read_nothing),
    "class of asgi 2": case(Asgi2, lambda c: c.get("/path")),
    "awaitable class of asgi 3": case(Awaitable3),
    "in with": case(hello_with_lifespan, in_with(get)),
    "state": case(with_state, in_with(get_twice)),
    "state without with": case(with_state, get_twice),
    "no lifespan": case(failing, in_with(get)),
    "lifespan returns at once": phases(None),
    "startup fails": phases(ValueError()),
    "startup fails and tells": phases([START_FAILED, ValueError()]),
    "startup answered wrongly": phases(STOPPED),
    "lifespan returns before the shutdown": phases(STARTED),
    "lifespan fails before the shutdown": phases([STARTED, ValueError()]),
    "shutdown fails": phases(STARTED, ValueError()),
    "shutdown fails and tells": phases(STARTED, [STOP_FAILED, KeyError()]),
    "shutdown answered wrongly": phases(STARTED, STARTED),
    "fails after the shutdown": phases(STARTED, [STOPPED, ValueError()]),
    "test fails inside with": phases(STARTED, STOPPED, call=lambda c: 1 / 0),
}


@pytest.mark.parametrize("name", CASES)
def test_starlette_and_we_show_the_same_on_both_sides(name: str, backend: str) -> None:
    """Moving from Starlette is a changed import, for test suites too."""
    app, call, options = CASES[name]
    options = {**options, "backend": backend}
    theirs = observe(starlette.testclient.TestClient, app, call, options)
    ours = observe(TestClient, app, call, options)
    assert theirs == ours


def test_the_two_clients_have_the_same_signatures() -> None:
    """A call that is right for the one is right for the other."""
    for name in ("__init__", "request", "get", "post", "stream", "send", "lifespan"):
        ours, theirs = (
            [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
            for function in (
                getattr(TestClient, name),
                getattr(starlette.testclient.TestClient, name),
            )
        )
        assert theirs == ours, name


def test_every_public_name_of_starlettes_client_is_there_but_for_websockets() -> None:
    """The one thing left out is left out whole, not stubbed."""
    public = [name for name in dir(starlette.testclient.TestClient) if not name.startswith("_")]
    missing = [name for name in public if not hasattr(TestClient, name)]
    assert ["websocket_connect"] == missing


def test_a_header_of_the_client_replaces_its_user_agent_in_any_case_of_letters() -> None:
    """Starlette's client sends two user agents here; the second one is never wanted."""
    given = {"User-Agent": "mine"}
    witness = Witness(hello)
    TestClient(witness, headers=given).get("/")
    agents = [value for name, value in witness.seen[0]["headers"] if name == b"user-agent"]
    assert [b"mine"] == agents
    assert {"User-Agent": "mine"} == given


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

        def release_and_wait(futures):
            client.portal.call(released.set)
            return concurrent.futures.wait(futures)

        # The work ends only when the client has left and waits for it.
        monkeypatch.setattr("lamella.testclient.wait_for_futures", release_and_wait)
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
            for message in (A, trailers()):
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
    with pytest.raises(TypeError, match=r"Expected an ASGI app, .*got .*give TestClient the app"):
        TestClient(app)


@pytest.mark.parametrize("url", ["ftp://testserver/", "ws://testserver/"])
def test_other_schemes_than_http_are_refused_by_name(make, url: str) -> None:
    """The text holds the URL, which may have come from a redirect."""
    with pytest.raises(httpx2.UnsupportedProtocol, match=f"http or https URL, got '{url}'"):
        make(hello).get(url)


def test_a_timeout_is_warned_about_and_ignored(make) -> None:
    """There is no network to wait for; as Starlette, with the same class of warning."""
    with pytest.warns(StarletteDeprecationWarning, match="TestClient ignores `timeout`"):
        assert "hello" == make(hello).request("GET", "/", timeout=5).text


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([START, START], "Got a second http.response.start"),
        ([chunk(b"")], "Got http.response.body before http.response.start"),
        ([START, chunk(b""), chunk(b"")], "Got http.response.body after the one without more_body"),
        ([START, trailers()], "announce it in http.response.start"),
        ([TRAILING, trailers()], "before the end of the body"),
        ([TRAILING, chunk(b""), trailers(), trailers()], "after the one without more_trailers"),
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
from lamella.testclient import TestClient

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})

print(TestClient.__base__.__module__.split(".")[0], TestClient(app).get("/").text)
"""


def run_without(modules: str) -> subprocess.CompletedProcess[str]:
    """Make one call in a new process in which these modules cannot be imported."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT + ONE_CALL, modules]
    return subprocess.run(command, capture_output=True, text=True, timeout=15)


@pytest.mark.parametrize(("without", "used"), [("none", "httpx2"), ("httpx2", "httpx")])
def test_httpx2_is_taken_first_and_httpx_without_it(without: str, used: str) -> None:
    """Either is enough, and neither choice warns."""
    process = run_without(without)
    assert ("", f"{used} ab\n") == (process.stderr, process.stdout)


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
