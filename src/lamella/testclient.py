"""`TestClient`: call an ASGI app from a synchronous test, with Starlette 1.10's contract.

Floor 9. The client is a `Client` of httpx2, else of httpx, whose transport runs the app in an event
loop of its own thread (an anyio blocking portal). It takes any ASGI app and never opens a socket.

Who does what, from the test to the app:

* `TestClient` holds the portal and the lifespan;
* `_Transport` turns a request into a scope;
* `_ResponseStream`, in the test's thread, starts the app, pulls the body and sees the app end;
* `_AppRun`, in the loop, gives the app `receive` and `send`; a chunk goes when it is pulled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import math
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, cast
from urllib.parse import unquote

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.streams.stapled import StapledObjectStream

from lamella._inspect import describe, is_async_callable
from lamella.exceptions import StarletteDeprecationWarning
from lamella.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ASGI2App", "ASGI3App", "ASGIInstance", "TestClient"]


def _import_http_client() -> ModuleType:
    """Import httpx2, else httpx; without either an ImportError says what to install."""
    for name in ("httpx2", "httpx"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name != name:  # installed, but something that it needs is not
                raise
    raise ImportError(
        'lamella.testclient needs httpx2; install it with: pip install "lamella[testclient]"'
    )


if TYPE_CHECKING:
    import httpx2 as httpx
else:
    httpx = _import_http_client()

ASGIInstance = Callable[[Receive, Send], Awaitable[None]]
ASGI2App = Callable[[Scope], ASGIInstance]
ASGI3App = Callable[[Scope, Receive, Send], Awaitable[None]]
_RawHeaders = list[tuple[bytes, bytes]]
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_DEBUG: Final = "http.response.debug"
_TRAILERS: Final = "http.response.trailers"
_CLIENT_LEFT: Final = "The client closed the response before its end; stop sending."

# What one `with` sets; put back after it, since the same client may be entered inside another.
_ENTERED: Final = ("portal", "task", "stream_send", "stream_receive", "exit_stack")


class _AsyncBackend(TypedDict):
    backend: str
    backend_options: dict[str, Any]


def _as_asgi3(app: ASGIApp) -> ASGI3App:
    """Return `app` itself, or for an ASGI 2 app a callable that takes all three at once."""
    if not callable(app):
        raise TypeError(
            "Expected an ASGI app, a callable as `async def app(scope, receive, send)`, "
            f"got {describe(app)}; give TestClient the app object itself."
        )
    awaited_at_once = hasattr(app, "__await__") if inspect.isclass(app) else is_async_callable(app)
    if awaited_at_once:
        return app
    asgi2_app = cast("ASGI2App", app)

    async def call_twice(scope: Scope, receive: Receive, send: Send) -> None:
        await asgi2_app(scope)(receive, send)

    return call_twice


def _require(condition: bool, text: str) -> None:
    """Refuse a message that is out of turn; as Starlette 1.10, with an AssertionError."""
    if not condition:
        raise AssertionError(text)


def _check_raw(headers: Any) -> _RawHeaders:
    """Check that headers are pairs of bytes; they stay the bytes that the app sent."""
    pairs: list[tuple[Any, Any]] = [(name, value) for name, value in headers]
    if not all(isinstance(part, bytes) for pair in pairs for part in pair):
        raise TypeError(f"Expected names and values of headers as bytes, got {pairs!r}.")
    return pairs


class _AppRun:
    """One run of the app for one request; made and used in the loop only.

    `send` waits until the test has taken the chunk, so a response streams while the app runs.
    Source: ASGI HTTP spec 2.4, and its extensions for trailers and debug.
    """

    def __init__(self, app: ASGI3App, scope: Scope, request: httpx.Request) -> None:
        self.app = app
        self.scope = scope
        self.request = request
        self.answered = anyio.Event()  # the response is started, or the app has ended
        self.status: int | None = None
        self.headers: _RawHeaders = []
        self.extensions: dict[str, Any] = {}  # for the httpx.Response; trailers come late
        self.error: BaseException | None = None
        self.cancel_scope = anyio.CancelScope()
        self.chunks_in, self.chunks_out = anyio.create_memory_object_stream[tuple[bytes, bool]](0)
        self._over = anyio.Event()  # the response has been taken to its end, or left
        self._request_read = False
        self._body_ended = False
        self._left = False

    async def serve(self) -> None:
        """Run the app to its end, and keep its error for the test's thread."""
        try:
            with self.cancel_scope:
                async with self.chunks_in:
                    await self.app(self.scope, self.receive, self.send)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as exc:  # a SystemExit let through would end the portal
            self.error = exc
        finally:
            self.answered.set()

    async def receive(self) -> Message:
        """Give the whole body in one message, then `http.disconnect` once the response is over."""
        if self._request_read:
            # No checkpoint when the event is set: the app may ask under a cancelled scope.
            if not self._over.is_set():
                await self._over.wait()
            return {"type": "http.disconnect"}
        body = self.request.read()
        self._request_read = True
        return {"type": "http.request", "body": body}

    async def send(self, message: Message) -> None:
        """Take a message of the app; types that are not known are ignored, as Starlette 1.10."""
        if self._left:
            raise OSError(_CLIENT_LEFT)
        match message["type"]:
            case "http.response.start":
                self._start(message)
            case "http.response.body":
                await self._send_body(message)
            case "http.response.trailers":
                self._add_trailers(message)
            case "http.response.debug":
                self.extensions[_DEBUG] = message["info"]
            case _:
                pass

    def _start(self, message: Message) -> None:
        _require(self.status is None, "Got a second http.response.start; send one per request.")
        self.headers = _check_raw(message.get("headers", ()))
        self.status = message["status"]
        if message.get("trailers", False):
            self.extensions[_TRAILERS] = []
        self.answered.set()

    async def _send_body(self, message: Message) -> None:
        _require(self.status is not None, "Got http.response.body before http.response.start.")
        _require(not self._body_ended, "Got http.response.body after the one without more_body.")
        body_ends = not message.get("more_body", False)
        item = (bytes(message.get("body", b"")), body_ends and _TRAILERS not in self.extensions)
        try:
            await self.chunks_in.send(item)
        except anyio.BrokenResourceError:
            raise OSError(_CLIENT_LEFT) from None
        self._body_ended = body_ends

    def _add_trailers(self, message: Message) -> None:
        trailers: _RawHeaders | None = self.extensions.get(_TRAILERS)
        if trailers is None:
            raise AssertionError(f"Got {_TRAILERS}; announce it in http.response.start: trailers.")
        _require(self._body_ended, f"Got {_TRAILERS} before the end of the body.")
        _require(not self._over.is_set(), f"Got {_TRAILERS} after the one without more_trailers.")
        trailers.extend(message.get("headers", ()))
        if not message.get("more_trailers", False):
            self._over.set()

    async def next_chunk(self) -> bytes | None:
        """Take one chunk of the body; None when the app has ended."""
        try:
            chunk, is_last = await self.chunks_out.receive()
        except anyio.EndOfStream:
            return None
        if is_last:
            self._over.set()
        return chunk

    def leave(self) -> None:
        """Cancel the app unless its response is over; what it still does meets a client gone."""
        if not self._over.is_set():
            self._left = True
            self.cancel_scope.cancel()  # first, so that a waiting `send` is cancelled, not refused
            self._over.set()
            self.chunks_out.close()


class _ResponseStream(httpx.SyncByteStream):
    """One run of the app, as the test's thread sees it; made, the response is started."""

    def __init__(self, transport: _Transport, request: httpx.Request) -> None:
        self._transport = transport
        self._request = request
        self._task: Future[None] | None = None
        scope = transport.scope_of(request)
        with contextlib.ExitStack() as stack:
            self._portal = stack.enter_context(transport.portal_factory())
            self._run = self._portal.call(_AppRun, transport.app, scope, request)
            stack.push(self._end)
            self._task = self._portal.start_task_soon(self._run.serve)
            self._portal.call(self._run.answered.wait)
            self._exit_stack = stack.pop_all()
        transport.streams.add(self)

    def response(self) -> httpx.Response:
        """Build the response, which pulls its body from here.

        Raises:
            AssertionError: if the app returned without answering.
            Exception: the app's own, raised before it answered.
        """
        run, request = self._run, self._request
        if run.status is None:
            self.close()
            if self._transport.raise_server_exceptions:
                raise AssertionError(
                    "TestClient did not receive any response. The app returned from "
                    f"{request.method} {request.url} without sending http.response.start."
                )
            return httpx.Response(500, stream=httpx.ByteStream(b""), request=request)
        extensions = run.extensions
        response = httpx.Response(
            run.status, headers=run.headers, stream=self, request=request, extensions=extensions
        )
        debug_info = extensions.get(_DEBUG, {})
        for name in ("template", "context"):
            if name in debug_info:
                setattr(response, name, debug_info[name])
        return response

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks that are not empty, then wait for the app's end and raise its error."""
        while (chunk := self._portal.call(self._run.next_chunk)) is not None:
            if chunk and self._request.method != "HEAD":
                yield chunk
        self.close()

    def close(self) -> None:
        """See the app end, cancelled if its response is not over, and raise its error."""
        self._exit_stack.close()

    def abort(self) -> None:
        """See the app end, cancelled in any case, and raise its error."""
        self._portal.call(self._run.cancel_scope.cancel)
        self.close()

    def _end(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if self._task is None or not self._task.done():
            self._portal.call(self._run.leave)
        if self._task is None:  # interrupted while it was being started
            return
        wait_for_futures([self._task])
        self._run.chunks_out.close()
        self._transport.streams.discard(self)
        if exc_type is None:
            self._raise_error(self._task)

    def _raise_error(self, task: Future[None]) -> None:
        """Raise what the app raised; what is no `Exception`, such as SystemExit, in any case."""
        error = self._run.error
        wanted = self._transport.raise_server_exceptions
        if error is not None and (wanted or not isinstance(error, Exception)):
            raise error
        if wanted:
            task.result()  # raises if the task was cancelled, and not by us


@dataclasses.dataclass(eq=False)
class _Transport(httpx.BaseTransport):
    """Hand requests to an app, and keep account of the responses that are not closed yet."""

    app: ASGI3App
    portal_factory: Callable[[], AbstractContextManager[BlockingPortal]]
    raise_server_exceptions: bool
    root_path: str
    client: tuple[str, int]
    app_state: dict[str, Any]
    streams: set[_ResponseStream] = dataclasses.field(default_factory=set["_ResponseStream"])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Run the app until its response is started; the rest runs as the body is read."""
        if request.url.scheme not in _DEFAULT_PORTS:
            raise httpx.UnsupportedProtocol(
                f"Expected an http or https URL, got {str(request.url)!r}.", request=request
            )
        return _ResponseStream(self, request).response()

    def scope_of(self, request: httpx.Request) -> Scope:
        """Build the scope of an HTTP request; ASGI HTTP spec, "HTTP Connection Scope"."""
        url, headers = request.url, request.headers
        raw_headers = [
            (name.lower().encode(), text.encode()) for name, text in headers.multi_items()
        ]
        if "host" not in headers:
            raw_headers.insert(0, (b"host", url.netloc))
        port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "server": [url.raw_host.decode("ascii"), port],
            "client": self.client,
            "root_path": self.root_path,
            "path": unquote(url.path),  # once more than httpx does it: as Starlette 1.10
            "raw_path": url.raw_path.split(b"?", 1)[0],
            "query_string": url.query,
            "headers": raw_headers,
            "state": self.app_state.copy(),
            "extensions": {_DEBUG: {}, _TRAILERS: {}},
        }

    def close(self) -> None:
        """Cancel every app whose response is not closed, and wait for its end."""
        with contextlib.ExitStack() as stack:
            for stream in self.streams:
                stack.callback(stream.abort)


class TestClient(httpx.Client):
    """A client that calls an ASGI app in process; as Starlette 1.10, WebSockets left out.

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
    """

    __test__ = False  # pytest collects classes of this name
    task: Future[None]
    portal: BlockingPortal | None = None

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
        self.app = _as_asgi3(app)
        self.app_state: dict[str, Any] = {}
        factory, raises = self._portal_factory, raise_server_exceptions
        transport = _Transport(self.app, factory, raises, root_path, client, self.app_state)
        own_headers = httpx.Headers(headers)
        own_headers.setdefault("user-agent", "testclient")
        super().__init__(
            base_url=base_url,
            headers=own_headers,
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
            if kwargs.get("timeout", httpx.USE_CLIENT_DEFAULT) is not httpx.USE_CLIENT_DEFAULT:
                text = "TestClient ignores `timeout`, no network is involved; leave it out."
                warnings.warn(text, StarletteDeprecationWarning, stacklevel=2)
            return super().request(*args, **kwargs)

    def __enter__(self) -> Self:
        outer = {name: value for name, value in vars(self).items() if name in _ENTERED}
        with contextlib.ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal(**self.async_backend))
            stack.callback(vars(self).update, {"portal": None, **outer})
            self.portal = portal
            to_client = anyio.create_memory_object_stream[Message | None](math.inf)
            to_app = anyio.create_memory_object_stream[Message](math.inf)
            self.stream_send = StapledObjectStream(*to_client)
            self.stream_receive = StapledObjectStream(*to_app)
            for stream in (self.stream_send, self.stream_receive):
                stack.callback(portal.call, stream.aclose)  # ends an app that waits for more
            self.task = portal.start_task_soon(self.lifespan)
            portal.call(self.wait_startup)
            stack.callback(portal.call, self.wait_shutdown)
            stack.callback(self._transport.close)
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(self, *args: object) -> None:
        self.exit_stack.close()

    async def lifespan(self) -> None:
        """Run the app on a lifespan scope, to its end."""
        scope: Scope = {"type": "lifespan", "state": self.app_state}
        send = self.stream_send.send
        try:
            await self.app(scope, self.stream_receive.receive, send)
        finally:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await send(None)

    async def wait_startup(self) -> None:
        """Ask the app to start and wait until it has.

        Raises:
            Exception: the app's own.
            RuntimeError: if the app says that it failed, and raises nothing.
            TypeError: if the app returns and says nothing.
            AssertionError: if the app sends something else than an answer.
        """
        await self._ask("startup")

    async def wait_shutdown(self) -> None:
        """Ask the app to shut down and wait until it has; raises as `wait_startup` does."""
        await self._ask("shutdown")

    async def _ask(self, phase: str) -> None:
        await self.stream_receive.send({"type": f"lifespan.{phase}"})
        message = await self.stream_send.receive()
        expected = f"Expected lifespan.{phase}.complete or lifespan.{phase}.failed from the app, "
        if message is None:
            self.task.result()  # raises the app's error; the task ended as it sent None
            raise TypeError(f"{expected}but it returned; it has to answer lifespan.{phase} first.")
        if message["type"] == f"lifespan.{phase}.failed":
            await self._raise_failure(phase, message.get("message", ""))
        _require(message["type"] == f"lifespan.{phase}.complete", f"{expected}got {message!r}.")

    async def _raise_failure(self, phase: str, text: str) -> None:
        """Wait for the app's end, and raise its error, else one with the text that it sent."""
        # If the app waits for another message, that wait ends with EndOfStream.
        await self.stream_receive.send_stream.aclose()
        while await self.stream_send.receive() is not None:
            pass
        with contextlib.suppress(anyio.EndOfStream):
            self.task.result()
        raise RuntimeError(f"The app sent lifespan.{phase}.failed: {text or 'it gave no message'}")
