"""The test clients, which call an ASGI app without a server: `TestClient`, `AsyncTestClient`.

Floor 9. `TestClient` is for a synchronous test, with Starlette 1.10's contract: a `Client` of
httpx2, else of httpx, whose transport runs the app in an event loop of its own thread (an anyio
blocking portal). `AsyncTestClient` runs it in the event loop of an asynchronous test. Both take
any ASGI app, open no socket, and are made of `_testclient`, where the other one stands.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict

from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.streams.stapled import StapledObjectStream

from lamella._exception_handler import RAISE_DISCONNECT
from lamella._testclient.async_client import AsyncTestClient, AsyncWebSocketTestSession
from lamella._testclient.http import HTTPRun
from lamella._testclient.http_client import (
    AppTransport,
    HandshakeError,
    WebSocketDenialResponse,
    accepted,
    handshake,
    httpx,
    own_headers,
    warn_of_timeout,
)
from lamella._testclient.lifespan import LifespanRun
from lamella._testclient.run import (
    ASGI2App,
    ASGI3App,
    ASGIInstance,
    as_asgi3,
    given,
)
from lamella._testclient.websocket import (
    JSONMode,
    WebSocketRun,
    bytes_message,
    bytes_of,
    disconnect_message,
    json_message,
    json_of,
    text_message,
    text_of,
)
from lamella.exceptions import UsageError
from lamella.types import ASGIApp, Message, Scope
from lamella.websockets import WebSocketDisconnect

__all__ = [
    "ASGI2App",
    "ASGI3App",
    "ASGIInstance",
    "AsyncTestClient",
    "AsyncWebSocketTestSession",
    "TestClient",
    "WebSocketDenialResponse",
    "WebSocketDisconnect",
    "WebSocketTestSession",
]

_PortalFactory = Callable[[], AbstractContextManager[BlockingPortal]]

# What one `with` sets; put back after it, since the same client may be entered inside another.
_ENTERED = ("portal", "task", "stream_send", "stream_receive", "exit_stack", "_lifespan")


class _AsyncBackend(TypedDict):
    backend: str
    backend_options: dict[str, Any]


class WebSocketTestSession:
    """The test's end of a websocket: `with client.websocket_connect(url) as websocket:`.

    The app runs from the beginning of the block; entering it raises what `websocket_connect`
    tells. At its end the client closes with 1000, the app is cancelled if it does not end by that,
    and its error is raised. Inside, `send*` and `receive*` raise the error that the app has
    raised, and `receive*` raises WebSocketDisconnect when the app has closed or ended.

    Args:
        app: the ASGI 3 app.
        scope: of type websocket.
        portal_factory: gives the portal into the event loop to run the app in.

    Attributes:
        accepted_subprotocol: the one that the app chose, None without one.
        extra_headers: what the app sent with websocket.accept, pairs of bytes.
        portal: the portal, inside `with`.
        exit_stack: what the end of `with` does.
    """

    accepted_subprotocol: str | None = None
    extra_headers: list[tuple[bytes, bytes]] | None = None
    portal: BlockingPortal
    exit_stack: contextlib.ExitStack

    def __init__(self, app: ASGI3App, scope: Scope, portal_factory: _PortalFactory) -> None:
        self.app = app
        self.scope = scope
        self.portal_factory = portal_factory
        self._run: WebSocketRun | None = None
        self._task: Future[None] | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.portal = stack.enter_context(self.portal_factory())
            self._run = run = self.portal.call(WebSocketRun, self.app, self.scope)
            stack.callback(self._leave, run)
            self._task = self.portal.start_task_soon(run.serve)
            accept = accepted(self.portal.call(run.handshake), self.scope)
            self.accepted_subprotocol = accept.get("subprotocol")
            self.extra_headers = accept.get("headers")
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None:
        return self.exit_stack.__exit__(exc_type, exc_value, traceback)

    def send(self, message: Message) -> None:
        """Send the app an ASGI message."""
        run = self._entered
        given(self.portal.call(run.put, message))

    def send_text(self, data: str) -> None:
        """Send the app a text."""
        self.send(text_message(data))

    def send_bytes(self, data: bytes) -> None:
        """Send the app bytes."""
        self.send(bytes_message(data))

    def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send the app a value as JSON, in a text or in bytes (`mode="binary"`)."""
        self.send(json_message(data, mode))

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Tell the app that the client has closed; code and reason of RFC 6455 section 7."""
        self.send(disconnect_message(code, reason))

    def receive(self, *, timeout: float | None = None) -> Message:
        """Wait for the app's next ASGI message, a close included.

        Args:
            timeout: seconds to wait at most, None for no limit.

        Raises:
            TimeoutError: if none came in time.
        """
        run = self._entered
        return given(self.portal.call(run.take, timeout))

    def receive_text(self, *, timeout: float | None = None) -> str:
        """Wait for the app's next message, a text; `timeout` as in `receive`."""
        return text_of(self._data(timeout))

    def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Wait for the app's next message, bytes; `timeout` as in `receive`."""
        return bytes_of(self._data(timeout))

    def receive_json(self, mode: JSONMode = "text", *, timeout: float | None = None) -> Any:
        """Wait for the app's next message, JSON in a text or in bytes (`mode="binary"`)."""
        return json_of(self._data(timeout), mode)

    @property
    def _entered(self) -> WebSocketRun:
        if self._run is None:
            raise UsageError(
                "Expected the websocket to be open; write"
                " `with client.websocket_connect(url) as websocket:`."
            )
        return self._run

    def _data(self, timeout: float | None) -> Message:
        run = self._entered
        return accepted(self.portal.call(run.take_data, timeout), self.scope)

    def _leave(self, run: WebSocketRun) -> None:
        if self._task is None:  # interrupted while it was being started
            self.portal.call(run.abandon)
            return
        given(self.portal.call(run.leave))


def _read(request: httpx.Request) -> bytes | Exception:
    """The body of a request. In the test's thread: a file must not block the app's event loop."""
    try:
        return request.read()
    except Exception as exc:
        return exc  # as Starlette 1.10, which reads when the app asks


class _ResponseStream(httpx.SyncByteStream):
    """One run of the app, as the test's thread sees it; made, the response is started."""

    def __init__(self, transport: _Transport, request: httpx.Request) -> None:
        self._transport = transport
        self._task: Future[None] | None = None
        scope = transport.http_scope(request)
        body = _read(request)
        with contextlib.ExitStack() as stack:
            self._portal = stack.enter_context(transport.portal_factory())
            self.run = self._portal.call(HTTPRun, transport.app, scope, body)
            stack.push(self._end)
            self._task = self._portal.start_task_soon(self.run.serve)
            self._portal.call(self.run.answered.wait)
            self._exit_stack = stack.pop_all()
        transport.streams.add(self)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks that are not empty, then wait for the app's end and raise its error."""
        while (chunk := self._portal.call(self.run.next_chunk)) is not None:
            yield chunk
        self.close()

    def close(self) -> None:
        """See the app end, cancelled if its response is not over, and raise its error."""
        self._exit_stack.close()

    def abort(self) -> None:
        """See the app end, cancelled in any case, and raise its error."""
        self._portal.call(self.run.abort)
        self.close()

    def _end(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if self._task is None:  # interrupted while it was being started
            self._portal.call(self.run.abandon)
            return
        self._portal.call(self.run.close)
        self._transport.streams.discard(self)
        if exc_type is None:
            given(self.run.failure(self._transport.raise_server_exceptions))


@dataclasses.dataclass(eq=False)
class _Transport(AppTransport, httpx.BaseTransport):
    """Hand requests to an app, and keep account of the responses that are not closed yet."""

    # Tests written for Starlette expect the WebSocketDisconnect that an endpoint lets pass.
    websocket_extensions = (*AppTransport.websocket_extensions, RAISE_DISCONNECT)

    portal_factory: _PortalFactory
    streams: set[_ResponseStream] = dataclasses.field(default_factory=set["_ResponseStream"])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Run the app until its response is started; the rest runs as the body is read."""
        stream = _ResponseStream(self, request)
        if stream.run.status is None:
            stream.close()
        return self.response(stream.run, request, stream)

    def close(self) -> None:
        """Cancel every app whose response is not closed, and wait for its end."""
        with contextlib.ExitStack() as stack:
            for stream in self.streams:
                stack.callback(stream.abort)


class TestClient(httpx.Client):
    """A client that calls an ASGI app in process, from a synchronous test.

    `with TestClient(app) as client:` runs the lifespan, and all requests in one event loop. Without
    `with` there is no lifespan, and each request has an event loop of its own. `client.stream(...)`
    reads a response while the app runs; leaving it before the end cancels the app.

    A request raises what the app raises, before or after its response, and an AssertionError if
    the app answers nothing; without `raise_server_exceptions` the answer to both is 500.

    Args:
        app: an ASGI 3 app, or an ASGI 2 one (called with the scope, then with receive and send).
        base_url: what relative URLs are joined to; it gives scheme, host and port.
        raise_server_exceptions: whether requests raise what the app raises.
        root_path: of the scope.
        backend: `asyncio` or `trio`.
        backend_options: for `anyio.run`, such as `{"use_uvloop": True}`.
        cookies: sent with every request, as are those that responses set.
        headers: sent with every request; without `user-agent` that one is `testclient`.
        follow_redirects: whether redirects are followed.
        client: host and port of the caller, as the scope tells them.

    Attributes:
        app_state: the lifespan's `state`; each request gets a shallow copy.
        portal: the portal into the app's event loop inside `with`, else None.
        task: the future of the lifespan's run, inside `with`.

    Raises:
        TypeError: if `app` is not callable.

    Source: as Starlette 1.10.
    """

    __test__ = False  # pytest collects classes of this name
    task: Future[None]
    portal: BlockingPortal | None = None
    stream_send: StapledObjectStream[Message | None]
    stream_receive: StapledObjectStream[Message]
    exit_stack: contextlib.ExitStack
    _lifespan: LifespanRun

    def __init__(
        self,
        app: ASGIApp,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Literal["asyncio", "trio"] = "asyncio",
        backend_options: dict[str, Any] | None = None,
        cookies: httpx._types.CookieTypes | None = None,
        headers: httpx._types.HeaderTypes | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        self.async_backend = _AsyncBackend(backend=backend, backend_options=backend_options or {})
        self.app = as_asgi3(app)
        self.app_state: dict[str, Any] = {}
        factory, raises = self._portal_factory, raise_server_exceptions
        transport = _Transport(self.app, raises, root_path, client, self.app_state, factory)
        super().__init__(
            base_url=base_url,
            headers=own_headers(headers),
            cookies=cookies,
            follow_redirects=follow_redirects,
            transport=transport,
        )

    @contextlib.contextmanager
    def _portal_factory(self) -> Generator[BlockingPortal]:
        if self.portal is not None:
            yield self.portal
        else:
            with start_blocking_portal(**self.async_backend) as portal:
                yield portal

    if not TYPE_CHECKING:
        # Typed by inheritance, so that the signature is the one of the httpx that is installed.
        @functools.wraps(httpx.Client.request)
        def request(self, *args: Any, **kwargs: Any) -> httpx.Response:  # noqa: D102 - httpx has it
            warn_of_timeout(kwargs)
            return super().request(*args, **kwargs)

    def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> WebSocketTestSession:
        """Open a websocket: `with client.websocket_connect("/ws") as websocket:`.

        Args:
            url: a path, at `ws://testserver`, or a ws or wss URL.
            subprotocols: what is offered.
            kwargs: as of a GET request: headers, cookies, params, auth.

        Returns:
            The session, whose app starts when it is entered. Entering it raises
            WebSocketDisconnect if the app closes instead of accepting, WebSocketDenialResponse if
            it answers with an HTTP response, AssertionError if it returns and does neither, and
            the app's own error.

        Raises:
            RuntimeError: the URL is of another scheme.

        Source: as Starlette 1.10.
        """
        url, options = handshake(url, subprotocols, kwargs)
        try:
            super().request("GET", url, **options)
        except HandshakeError as exc:
            return WebSocketTestSession(self.app, exc.scope, self._portal_factory)
        raise RuntimeError("Expected the request for a websocket to end in its handshake.")

    def __enter__(self) -> Self:
        outer = {name: value for name, value in vars(self).items() if name in _ENTERED}
        with contextlib.ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal(**self.async_backend))
            stack.callback(vars(self).update, {"portal": None, **outer})
            self.portal = portal
            run = self._lifespan = portal.call(LifespanRun, self.app, self.app_state)
            self.stream_send, self.stream_receive = run.to_client, run.to_app
            stack.callback(portal.call, run.hang_up)  # ends an app that waits for more
            self.task = portal.start_task_soon(self.lifespan)
            given(portal.call(run.ask, "startup"))
            stack.callback(lambda: given(portal.call(run.ask, "shutdown")))
            stack.callback(self._transport.close)
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(self, *args: object) -> None:
        self.exit_stack.close()

    async def lifespan(self) -> None:
        """Run the app on a lifespan scope, to its end; raise its error."""
        await self._lifespan.serve()
        if isinstance(self._lifespan.error, Exception):  # others would end the portal
            raise self._lifespan.error

    async def wait_startup(self) -> None:
        """Ask the app to start and wait until it has.

        Raises:
            Exception: the app's own.
            RuntimeError: if the app says that it failed, and raises nothing.
            TypeError: if the app returns and says nothing.
            AssertionError: if the app sends something else than an answer.
        """
        given(await self._lifespan.ask("startup"))

    async def wait_shutdown(self) -> None:
        """Ask the app to shut down and wait until it has; raises as `wait_startup` does."""
        given(await self._lifespan.ask("shutdown"))
