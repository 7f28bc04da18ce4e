"""Starlette's client and ours on the same app: all that either side can see of a call is the same.

The apps are plain ASGI and of neither framework. Each case runs on asyncio and on trio.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import pytest
import starlette.testclient

import lamella.testclient
from lamella._exception_handler import RAISE_DISCONNECT
from lamella.testclient import TestClient
from tests.parity.differences import check
from tests.raw_apps import (
    START,
    START_FAILED,
    STARTED,
    STOP_FAILED,
    STOPPED,
    TRAILING,
    accept,
    chunk,
    close,
    debug,
    echo,
    failing,
    failing_after_end,
    failing_after_start,
    hello,
    hello_with_lifespan,
    lifespan,
    refusal,
    refusal_body,
    says,
    sends,
    silent,
    text,
    trailers,
    well_behaved,
)


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run a test once on each event loop that the clients offer."""
    return request.param


class Witness:
    """An app around an app: notes the scopes, what was received and what was raised inside."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seen: list[Any] = []

    async def __call__(self, scope, receive, send):
        self.seen.append({**scope, "state": dict(scope.get("state", {}))})
        if "extensions" in scope:  # one of ours changes nothing for an app that does not know it
            extensions = {**scope["extensions"]}
            extensions.pop(RAISE_DISCONNECT, None)
            self.seen[-1]["extensions"] = extensions

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
        outcome["raised"] = raised(exc)
    else:
        outcome["result"] = describe(result) if isinstance(result, httpx2.Response) else result
    outcome["cookies"] = sorted((c.name, c.value, c.path) for c in client.cookies.jar)
    return outcome


def raised(exc: BaseException) -> dict[str, Any]:
    """Tell an error: its class and those it derives from, by name, and what it says."""
    kinds = [kind.__name__ for kind in type(exc).__mro__]
    if isinstance(exc, httpx2.Response):
        told = exc.status_code, exc.headers.raw, exc.content
        return {"kinds": kinds, "response": told, "is disconnect": "WebSocketDisconnect" in kinds}
    return {"kinds": kinds, "said": [getattr(exc, name, None) for name in ("code", "reason")]}


def alike(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Call our error by the class of theirs, if it is a kind of that."""
    theirs_raised, ours_raised = theirs.get("raised"), ours.get("raised")
    if theirs_raised and ours_raised and theirs_raised["kinds"][0] in ours_raised["kinds"]:
        return {**ours, "raised": {**ours_raised, "kinds": theirs_raised["kinds"]}}
    return ours


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


def talk(*steps: Any, url: str = "/ws", **options: Any) -> Any:
    """Make a call that opens a websocket and calls these methods of it, in turn.

    A method whose name stands in a list may raise.
    """

    def call(client: Any) -> list[Any]:
        arguments = {name: value() if callable(value) else value for name, value in options.items()}
        with client.websocket_connect(url, **arguments) as websocket:
            seen = [(websocket.accepted_subprotocol, websocket.extra_headers)]
            for step in steps:
                seen.append(take_step(websocket, *(step if isinstance(step, tuple) else (step,))))
        return seen

    return call


def take_step(websocket: Any, name: Any, *arguments: Any) -> Any:
    if isinstance(name, str):
        return getattr(websocket, name)(*arguments)
    try:
        return getattr(websocket, name[0])(*arguments)
    except Exception as exc:
        return type(exc).__name__, getattr(exc, "code", None), getattr(exc, "reason", None)


def sends_and_fails(client: Any) -> None:
    with client.websocket_connect("/ws"):
        raise ZeroDivisionError


async def failing_on_text(scope, receive, send):
    await receive()
    await send(accept())
    await receive()
    raise LookupError("from the app")


async def sleeping(scope, receive, send):
    await receive()
    await send(accept())
    await anyio.sleep_forever()


class Asgi2Echo:
    """A websocket app of ASGI 2."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive, send):
        await echo(self.scope, receive, send)


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
    "websocket": case(echo, talk(("send_text", "a"), "receive_text")),
    "websocket, bytes": case(echo, talk(("send_bytes", b"a"), "receive_bytes")),
    "websocket, json": case(echo, talk(("send_json", {"a": "\u00e9"}), "receive_json")),
    "websocket, json in bytes": case(
        echo, talk(("send_json", ["\u00e9"], "binary"), ("receive_json", "binary"))
    ),
    "websocket, json as text": case(echo, talk(("send_json", [1, None]), "receive_text")),
    "websocket, raw": case(
        echo, talk(("send", {"type": "websocket.receive", "bytes": b"a", "text": None}), "receive")
    ),
    "websocket, bytes for text": case(echo, talk(("send_bytes", b"a"), "receive_text")),
    "websocket, text for bytes": case(echo, talk(("send_text", "a"), "receive_bytes")),
    "websocket, no json": case(echo, talk(("send_text", "{"), "receive_json")),
    "websocket, many": case(
        echo, talk(*[("send_text", str(n)) for n in range(50)], *["receive_text"] * 50)
    ),
    "websocket, query": case(echo, talk(url="/ws/\u00e9%20?a=1&b=%20#fragment")),
    "websocket, params": case(echo, talk(params={"a": "1"})),
    "websocket, relative": case(echo, talk(url="ws"), base_url="http://example.org/base"),
    "websocket, absolute": case(echo, talk(url="wss://example.org:444/ws")),
    "websocket, secure": case(echo, talk(url="wss://example.org/ws")),
    "websocket, ipv6": case(echo, talk(url="ws://[::1]:8000/ws")),
    "websocket, root path": case(echo, talk(), root_path="/mounted"),
    "websocket, client": case(echo, talk(), client=("192.0.2.1", 1234)),
    "websocket, headers": case(echo, talk(headers=lambda: dict(OWN_HEADERS)), headers={"x-c": "1"}),
    "websocket, headers of the handshake": case(
        echo, talk(headers=lambda: {"sec-websocket-key": "own", "connection": "own"})
    ),
    "websocket, cookies": case(echo, talk(), cookies={"a": "1"}),
    "websocket, auth": case(echo, talk(auth=("user", "word"))),
    "websocket, subprotocols": case(says(accept("b")), talk(subprotocols=["a", "b"])),
    "websocket, subprotocols refused": case(says(accept()), talk(subprotocols=("a",))),
    "websocket, headers of the answer": case(
        says(accept(headers=[(b"x-a", b"1"), (b"X-A", b"2")])), talk()
    ),
    "websocket, closed by the app": case(
        says(accept(), text("a"), close(code=3001, reason="why")),
        talk("receive_text", "receive_text"),
    ),
    "websocket, closed by the app plainly": case(says(accept(), close()), talk("receive_json")),
    "websocket, closed by the app, caught": case(
        says(accept(), close(code=3001, reason="why")), talk((["receive_bytes"],))
    ),
    "websocket, closed by the app, raw": case(says(accept(), close(code=3001)), talk("receive")),
    "websocket, closed by the test": case(echo, talk(("close", 3001, "why"))),
    "websocket, closed by the test plainly": case(echo, talk("close")),
    "websocket, sends after the app has ended": case(
        says(accept(), close(), None), talk("receive", ("send_text", "a"), ("close",))
    ),
    "websocket, refused": case(says(close(code=3001, reason="why")), talk()),
    "websocket, refused plainly": case(says(close()), talk()),
    "websocket, denied": case(
        says(refusal(403, headers=[(b"x-a", b"1")]), refusal_body(b"no", True), refusal_body(b"!")),
        talk(),
    ),
    "websocket, denied with another message": case(
        says(refusal(403, headers=[]), text("a")), talk()
    ),
    "websocket, fails before it accepts": case(failing, talk()),
    "websocket, fails after it refused": case(says(close(), LookupError()), talk()),
    "websocket, fails after it accepted": case(says(accept(), LookupError()), talk()),
    "websocket, fails while the test waits": case(
        says(accept(), text("a"), LookupError()), talk("receive_text", "receive_text")
    ),
    "websocket, fails at a message": case(
        failing_on_text, talk(("send_text", "a"), "receive_text")
    ),
    "websocket, fails at the disconnect": case(failing_on_text, talk()),
    "websocket, fails quietly": case(failing, talk(), **QUIET),
    "websocket, left": case(sleeping, talk()),
    "websocket, the test fails": case(echo, sends_and_fails),
    "websocket, both fail": case(failing_on_text, sends_and_fails),
    "websocket, asgi 2": case(Asgi2Echo, talk(("send_text", "a"), "receive_text")),
    "websocket in with": case(echo, in_with(talk(("send_text", "a"), "receive_text"))),
    "websocket, sent to before it accepts": case(says(text("a")), talk()),
}


@pytest.mark.parametrize("name", CASES)
def test_starlette_and_we_show_the_same_on_both_sides(name: str, backend: str) -> None:
    """Moving from Starlette is a changed import, for test suites too."""
    app, call, options = CASES[name]
    options = {**options, "backend": backend}
    theirs = observe(starlette.testclient.TestClient, app, call, options)
    ours = observe(TestClient, app, call, options)
    check(f"client {name}", theirs, alike(theirs, ours))


def test_the_two_clients_have_the_same_signatures() -> None:
    """A call that is right for the one is right for the other."""
    names = "__init__ request get post stream send lifespan websocket_connect".split()
    for name in names:
        ours, theirs = (
            [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
            for function in (
                getattr(TestClient, name),
                getattr(starlette.testclient.TestClient, name),
            )
        )
        assert theirs == ours, name


@pytest.mark.parametrize("name", ["TestClient", "WebSocketTestSession", "WebSocketDenialResponse"])
def test_every_public_name_of_starlettes_class_is_there(name: str) -> None:
    """Whatever a test suite calls."""
    theirs, ours = getattr(starlette.testclient, name), getattr(lamella.testclient, name)
    public = [name for name in dir(theirs) if not name.startswith("_")]
    assert [] == [name for name in public if not hasattr(ours, name)]


def test_a_session_takes_the_same_arguments() -> None:
    """Some of ours take a `timeout` besides, by its name only."""
    theirs, ours = (
        starlette.testclient.WebSocketTestSession,
        lamella.testclient.WebSocketTestSession,
    )
    for name in [name for name in vars(theirs) if not name.startswith("_")]:
        mine = [
            (p.name, p.default)
            for p in inspect.signature(getattr(ours, name)).parameters.values()
            if p.kind is not p.KEYWORD_ONLY
        ]
        signature = inspect.signature(getattr(theirs, name))
        assert [(p.name, p.default) for p in signature.parameters.values()] == mine, name


def test_a_header_of_the_client_replaces_its_user_agent_in_any_case_of_letters() -> None:
    """Starlette's client sends two user agents here; the second one is never wanted."""
    given = {"User-Agent": "mine"}
    witness = Witness(hello)
    TestClient(witness, headers=given).get("/")
    agents = [value for name, value in witness.seen[0]["headers"] if name == b"user-agent"]
    assert [b"mine"] == agents
    assert {"User-Agent": "mine"} == given
