"""`AsyncTestClient`: call an ASGI app from an asynchronous test, in the test's own event loop.

Floor 9. The client is an `AsyncClient` of httpx2, else of httpx, whose transport runs the app in
tasks of its own. No task group is held open: a fixture may leave the client in another task than
the one that entered it, and a request needs no `async with` around the client.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from lamella._testclient.http import HTTPRun
from lamella._testclient.http_client import (
    AppTransport,
    HandshakeError,
    accepted,
    handshake,
    httpx,
    own_headers,
    warn_of_timeout,
)
from lamella._testclient.lifespan import LifespanRun
from lamella._testclient.run import Run, as_asgi3, given
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
from lamella.engine.loop import Task, here
from lamella.types import ASGIApp, Message, Scope

_GRACE: Final = 5.0
_RUNNING: Final[dict[Run, Task | None]] = {}  # an event loop itself holds tasks weakly


def _start(run: Run) -> None:
    """Run the app in a task of its own, in a copy of the caller's context."""
    _RUNNING[run] = None
    task = here().spawn(_serve(run))
    if run in _RUNNING:  # it has not ended at once, as a task of an eager loop may
        _RUNNING[run] = task


async def _serve(run: Run) -> None:
    try:
        await run.serve()
    finally:
        del _RUNNING[run]


class _ResponseStream(httpx.AsyncByteStream):
    """The body of a response, as the test reads it."""

    def __init__(self, transport: _Transport, run: HTTPRun) -> None:
        self._transport = transport
        self._run = run

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks that are not empty, then wait for the app's end and raise its error."""
        while (chunk := await self._run.next_chunk()) is not None:
            yield chunk
        await self.aclose()

    async def aclose(self) -> None:
        """See the app end, left by the client if its response is not over; raise its error."""
        try:
            await self._run.close(self._transport.grace)
        finally:
            self._transport.streams.discard(self)
        given(self._run.failure(self._transport.raise_server_exceptions))

    async def abort(self) -> None:
        """See the app end, cancelled in any case, and raise its error."""
        await self._run.abort()
        await self.aclose()


@dataclasses.dataclass(eq=False)
class _Transport(AppTransport, httpx.AsyncBaseTransport):
    """Hand requests to an app, and keep account of the responses that are not closed yet."""

    grace: float
    streams: set[_ResponseStream] = dataclasses.field(default_factory=set["_ResponseStream"])

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Run the app until its response is started; the rest runs as the body is read."""
        scope = self.http_scope(request)
        run = HTTPRun(self.app, scope, await request.aread())
        stream = _ResponseStream(self, run)
        self.streams.add(stream)
        _start(run)
        try:
            await run.answered.wait()
        except BaseException:
            with contextlib.suppress(Exception):  # the cancellation is what the test has to get
                await stream.aclose()
            raise
        if run.status is None:
            await stream.aclose()
        return self.response(run, request, stream)

    async def aclose(self) -> None:
        """Cancel every app whose response is not closed, and wait for its end."""
        async with contextlib.AsyncExitStack() as stack:
            for stream in self.streams:
                stack.push_async_callback(stream.abort)


class AsyncWebSocketTestSession:
    """The test's end of a websocket; `AsyncTestClient.websocket_connect` gives it.

    Its methods are those of `WebSocketTestSession`, awaited. Each raises what the app has raised,
    and `receive*` raises WebSocketDisconnect when the app has closed or ended.

    Attributes:
        scope: of the websocket.
        accepted_subprotocol: the one that the app chose, None without one.
        extra_headers: what the app sent with websocket.accept, pairs of bytes.
    """

    __module__ = "lamella.testclient"  # where it is found

    def __init__(self, run: WebSocketRun, accept: Message) -> None:
        self.scope: Scope = run.scope
        self.accepted_subprotocol: str | None = accept.get("subprotocol")
        self.extra_headers: list[tuple[bytes, bytes]] | None = accept.get("headers")
        self._run = run

    async def send(self, message: Message) -> None:
        """Send the app an ASGI message."""
        given(await self._run.put(message))

    async def send_text(self, data: str) -> None:
        """Send the app a text."""
        await self.send(text_message(data))

    async def send_bytes(self, data: bytes) -> None:
        """Send the app bytes."""
        await self.send(bytes_message(data))

    async def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send the app a value as JSON, in a text or in bytes (`mode="binary"`)."""
        await self.send(json_message(data, mode))

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Tell the app that the client has closed; code and reason of RFC 6455 section 7."""
        await self.send(disconnect_message(code, reason))

    async def receive(self) -> Message:
        """Wait for the app's next ASGI message, a close included."""
        return given(await self._run.take())

    async def receive_text(self) -> str:
        """Wait for the app's next message, a text."""
        return text_of(await self._data())

    async def receive_bytes(self) -> bytes:
        """Wait for the app's next message, bytes."""
        return bytes_of(await self._data())

    async def receive_json(self, mode: JSONMode = "text") -> Any:
        """Wait for the app's next message, JSON in a text or in bytes (`mode="binary"`)."""
        return json_of(await self._data(), mode)

    async def _data(self) -> Message:
        return accepted(await self._run.take_data(), self.scope)


class AsyncTestClient(httpx.AsyncClient):
    """A client that calls an ASGI app in the event loop of the test, asyncio's or trio's.

    `async with AsyncTestClient(app) as client:` runs the lifespan, in one task. Without it there
    is none. `async with client.stream(...)` reads a response while the app runs. Leaving it before
    the end is a client that disconnects: the app reads `http.disconnect`, its `send` raises
    OSError, and if it has not ended after `grace` seconds it is cancelled. So is a request that is
    cancelled, as by `anyio.fail_after`.

    The app runs in a copy of the test's context, so it sees the test's ContextVars. A request
    raises what the app raises, before or after its response, and an AssertionError if the app
    answers nothing; without `raise_server_exceptions` the answer to both is 500.

    Args:
        app: an ASGI 3 app, or an ASGI 2 one (called with the scope, then with receive and send).
        base_url: what relative URLs are joined to; it gives scheme, host and port.
        raise_server_exceptions: whether requests raise what the app raises.
        root_path: of the scope.
        cookies: sent with every request, as are those that responses set.
        headers: sent with every request; without `user-agent` that one is `testclient`.
        follow_redirects: whether redirects are followed.
        client: host and port of the caller, as the scope tells them.
        grace: seconds that an app has for its end once the client has left; 0 cancels it at once.

    Attributes:
        app_state: the lifespan's `state`; each request gets a shallow copy.

    Raises:
        TypeError: if `app` is not callable.
    """

    __module__ = "lamella.testclient"  # where it is found
    __test__ = False  # pytest collects classes of this name

    def __init__(
        self,
        app: ASGIApp,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        cookies: httpx._types.CookieTypes | None = None,
        headers: httpx._types.HeaderTypes | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
        *,
        grace: float = _GRACE,
    ) -> None:
        self.app = as_asgi3(app)
        self.app_state: dict[str, Any] = {}
        self._grace = grace
        self._entered: list[contextlib.AsyncExitStack] = []
        raises = raise_server_exceptions
        transport = _Transport(self.app, raises, root_path, client, self.app_state, grace)
        super().__init__(
            base_url=base_url,
            headers=own_headers(headers),
            cookies=cookies,
            follow_redirects=follow_redirects,
            transport=transport,
        )

    if not TYPE_CHECKING:
        # Typed by inheritance, so that the signature is the one of the httpx that is installed.
        @functools.wraps(httpx.AsyncClient.request)
        async def request(self, *args: Any, **kwargs: Any) -> httpx.Response:
            warn_of_timeout(kwargs)
            return await super().request(*args, **kwargs)

    @contextlib.asynccontextmanager
    async def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> AsyncGenerator[AsyncWebSocketTestSession]:
        """Open a websocket: `async with client.websocket_connect("/ws") as websocket:`.

        At the end of the block the client closes with 1000, and the app has `grace` seconds for
        its end before it is cancelled.

        Args:
            url: a path, at `ws://testserver`, or a ws or wss URL.
            subprotocols: what is offered.
            kwargs: as of a GET request: headers, cookies, params, auth.

        Raises:
            WebSocketDisconnect: the app closed instead of accepting.
            WebSocketDenialResponse: it answered with an HTTP response, which this is, too.
            AssertionError: it returned, and did neither.
            RuntimeError: the URL is of another scheme.
            Exception: the app's own, also at the end of the block.
        """
        url, options = handshake(url, subprotocols, kwargs)
        run = WebSocketRun(self.app, await self._websocket_scope(url, options))
        _start(run)
        try:
            accept = accepted(await run.handshake(), run.scope)
            yield AsyncWebSocketTestSession(run, accept)
        finally:
            given(await run.leave(self._grace))

    async def _websocket_scope(self, url: str, options: dict[str, Any]) -> Scope:
        try:
            await super().request("GET", url, **options)
        except HandshakeError as exc:
            return exc.scope
        raise RuntimeError("Expected the request for a websocket to end in its handshake.")

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            run = LifespanRun(self.app, self.app_state)
            _start(run)
            stack.push_async_callback(run.wait_ended)
            stack.callback(run.hang_up)
            given(await run.ask("startup"))
            stack.push_async_callback(_shut_down, run)
            stack.push_async_callback(self._transport.aclose)
            self._entered.append(stack.pop_all())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._entered.pop().aclose()


async def _shut_down(run: LifespanRun) -> None:
    given(await run.ask("shutdown"))
