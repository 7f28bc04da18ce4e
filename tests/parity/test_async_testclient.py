"""`AsyncTestClient` on the same app as `TestClient`: all that either side can see is the same.

The cases are those of the parity of `TestClient` with Starlette's.
"""

import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from lamella.testclient import (
    AsyncTestClient,
    AsyncWebSocketTestSession,
    TestClient,
    WebSocketTestSession,
)
from tests.parity.test_testclient import CASES, observe


class Blocking:
    """An `AsyncTestClient` that is called as a `TestClient` is, on an event loop of its own."""

    def __init__(self, app: Any, backend: str, **options: Any) -> None:
        self.exit_stack = contextlib.ExitStack()
        self.portal = self.exit_stack.enter_context(start_blocking_portal(backend))
        self.client = AsyncTestClient(app, grace=0, **options)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        return functools.partial(self.call, value) if inspect.iscoroutinefunction(value) else value

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return self.portal.call(functools.partial(function, *args, **kwargs))

    def __enter__(self) -> None:
        self.entered = self.portal.wrap_async_context_manager(self.client)
        self.entered.__enter__()

    def __exit__(self, *args: Any) -> Any:
        return self.entered.__exit__(*args)

    @contextlib.contextmanager
    def stream(self, *args: Any) -> Iterator[Any]:
        with self.portal.wrap_async_context_manager(self.client.stream(*args)) as response:
            blocking = BlockingResponse(self, response)
            yield blocking
            for chunks in blocking.opened:
                self.call(chunks.aclose)

    @contextlib.contextmanager
    def websocket_connect(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        session = self.client.websocket_connect(*args, **kwargs)
        with self.portal.wrap_async_context_manager(session) as websocket:
            yield BlockingWebSocket(self, websocket)


class BlockingResponse:
    """A streamed response, read as that of a `TestClient`."""

    def __init__(self, client: Blocking, response: httpx2.Response) -> None:
        self.client = client
        self.response = response
        self.status_code = response.status_code
        self.opened: list[Any] = []

    def iter_raw(self) -> Iterator[bytes]:
        return self.iterate(self.response.aiter_raw())

    @property
    def stream(self) -> Iterator[bytes]:
        return self.iterate(self.response.stream)

    def iterate(self, chunks: Any) -> Iterator[bytes]:
        chunks = self.client.portal.call(aiter, chunks)
        self.opened.append(chunks)
        while (chunk := self.client.call(anext, chunks, None)) is not None:
            yield chunk


class BlockingWebSocket(Blocking):
    """A websocket, used as that of a `TestClient`."""

    def __init__(self, client: Blocking, websocket: AsyncWebSocketTestSession) -> None:
        self.portal = client.portal
        self.client = websocket


# What differs between the two is said in docs/testing.md, and shown below.
OTHERWISE = {
    "generator content": "an AsyncClient of httpx takes asynchronous content",
    "async generator content": "as above",
    "generator content that fails": "as above",
    "redirect with spent body": "as above",
}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", [name for name in CASES if name not in OTHERWISE])
def test_both_clients_show_the_same_on_both_sides(name: str, backend: str) -> None:
    """All cases of the parity with Starlette, once more."""
    app, call, options = CASES[name]
    options = {**options, "backend": backend}
    expected = observe(TestClient, app, call, options)
    clients: list[Blocking] = []

    def make(app: Any, **options: Any) -> Blocking:
        clients.append(Blocking(app, **options))
        return clients[0]

    try:
        assert expected == observe(make, app, call, options)
    finally:
        clients[0].exit_stack.close()


def test_the_two_clients_have_the_same_methods() -> None:
    """What is known of the one is known of the other."""

    def parameters(cls: type, name: str) -> list[Any]:
        signature = inspect.signature(getattr(cls, name))
        return [(p.name, p.default) for p in signature.parameters.values()]

    ours = dict(parameters(AsyncTestClient, "__init__"))
    theirs = dict(parameters(TestClient, "__init__"))
    assert {"grace"} == ours.keys() - theirs.keys()
    assert {"backend", "backend_options"} == theirs.keys() - ours.keys()
    for name in ("request", "get", "post", "stream", "websocket_connect"):
        assert parameters(TestClient, name) == parameters(AsyncTestClient, name), name
    public = {name for name in vars(WebSocketTestSession) if not name.startswith("_")}
    assert public - {"portal", "exit_stack"} <= {
        *dir(AsyncWebSocketTestSession),
        *AsyncWebSocketTestSession.__annotations__,
        "accepted_subprotocol",
        "extra_headers",
    }
