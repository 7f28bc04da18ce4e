"""A WSGI app (PEP 3333) as an ASGI app: one request, one thread.

Floor 5. Names as Starlette 1.10. The app starts when its request is there as a whole, and is given
no more than the client takes: a chunk is asked for when the one before was sent. No thread waits
for an upload, and none outlives a client that left by more than a chunk.
"""

from __future__ import annotations

import re
import sys
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import anyio
import anyio.from_thread
import anyio.to_thread

from lamella._headers import encode_header
from lamella._inspect import describe
from lamella.exceptions import NoResponseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lamella.types import Message, Receive, Scope, Send

    Headers = Iterable[tuple[str, str]]

__all__ = ["WSGIMiddleware", "WSGIResponder", "build_environ"]

IN_MEMORY: Final = 1024 * 1024
"""Bytes of a request body kept in memory; a longer one is put into a temporary file."""


_is_status = re.compile(r"[1-9][0-9]{2}(?: .*)?", re.ASCII).fullmatch


class WSGIMiddleware:
    """Serves HTTP by a WSGI app; a websocket is refused. Mount it, or serve it by itself.

    Args:
        app: the WSGI app, ``app(environ, start_response)``.
        workers: threads at most; requests beyond wait for one. They are apart from those that
            sync endpoints run in, so slow clients of one do not hold up the other.

    Raises:
        ValueError: not one worker.
    """

    def __init__(self, app: Callable[..., Any], workers: int = 40) -> None:
        if workers < 1:
            raise UsageError(f"Expected at least one worker for WSGIMiddleware, got {workers!r}.")
        self.app = app
        self._limiter = anyio.CapacityLimiter(workers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI face.

        Raises:
            Exception: what the app raised, or reported to ``start_response`` as ``exc_info``.
        """
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] == "http":
            await WSGIResponder(self.app, scope, self._limiter)(receive, send)
        else:
            raise UsageError(
                f"Expected a scope of type 'http', got {scope['type']!r}: a WSGI app serves"
                " nothing else."
            )


class WSGIResponder:
    """One request to a WSGI app.

    Args:
        app: the WSGI app.
        scope: the ASGI scope, of type ``http``.
        limiter: bounds the threads; anyio's default one without it.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        scope: Scope,
        limiter: anyio.CapacityLimiter | None = None,
    ) -> None:
        self.app = app
        self.scope = scope
        self.exc_info: Any = None
        self._limiter = limiter
        self._start: Message | None = None
        self._started = False
        self._over = False
        self._watched = False

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Read the request, run the app, send its response.

        Cancellation: the app's iterable is closed before its next chunk; a thread cannot be ended
        sooner. Nothing is sent if the client leaves in mid-upload: the app does not run.
        """
        with cast("BinaryIO", SpooledTemporaryFile(max_size=IN_MEMORY)) as body:
            size = await _store(body, receive)
            if size is None:
                return
            environ = _completed(build_environ(self.scope, body), size)
            self._receive, self._send = receive, send
            error = await self._run_in_thread(environ)
        if error is None and self.exc_info is not None:
            error = self.exc_info[1].with_traceback(self.exc_info[2])
        if error is not None:
            raise error

    async def _run_in_thread(self, environ: dict[str, Any]) -> BaseException | None:
        """Run the app to its end; what it raised, out of the task group that would wrap it."""
        try:
            async with anyio.create_task_group() as self._group:
                try:
                    await anyio.to_thread.run_sync(self._run, environ, limiter=self._limiter)
                except anyio.get_cancelled_exc_class():
                    raise
                except BaseException as exc:
                    return exc
                finally:
                    self._group.cancel_scope.cancel()
        finally:
            self._over = True
        return None

    # -- in the thread -------------------------------------------------------------------------

    def _run(self, environ: dict[str, Any]) -> None:
        chunks = self.app(environ, self.start_response)
        try:
            for chunk in chunks:
                if chunk:
                    self.write(chunk)
            self._deliver(b"", more=False)
        except _ClientLeftError:
            return
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def start_response(
        self, status: str, response_headers: Headers, exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Take status and headers; they are sent with the first chunk (PEP 3333).

        Raises:
            ValueError: a status that is none, or a header that could split the response.
            RuntimeError: a second call without ``exc_info``.
        """
        if exc_info is not None:
            if self._started:
                raise exc_info[1].with_traceback(exc_info[2])
            self.exc_info = exc_info
        elif self._start is not None:
            raise RuntimeError(
                f"Expected one call of start_response from {describe(self.app)}, got a second"
                f" with {status!r}; pass exc_info to put an error in the place of the first."
            )
        if _is_status(status) is None:
            raise ValueError(
                f"Expected a status as '200 OK' from {describe(self.app)}, got {status!r}."
            )
        headers = [encode_header(name.strip(), value.strip()) for name, value in response_headers]
        self._start = {"type": "http.response.start", "status": int(status[:3]), "headers": headers}
        return self.write

    def write(self, chunk: object) -> None:
        """Send a chunk of the body, and wait until it was sent.

        Raises:
            OSError: the client left.
        """
        if not isinstance(chunk, bytes):
            raise TypeError(f"Expected bytes in the body from {describe(self.app)}, got {chunk!r}.")
        self._deliver(chunk, more=True)

    def _deliver(self, chunk: bytes, *, more: bool) -> None:
        if self._start is None:
            raise NoResponseError(
                f"Expected {describe(self.app)} to call start_response before it gives a body."
            )
        if self._over:
            raise _ClientLeftError("The client left; there is nobody to send the response to.")
        anyio.from_thread.run(self._pass_on, chunk, more)

    # -- in the event loop ---------------------------------------------------------------------

    async def _pass_on(self, chunk: bytes, more: bool) -> None:
        if not self._started:
            self._started = True
            await self._send(cast("Message", self._start))
        elif more and not self._watched:
            # Servers drop silently what is sent to one who left: an endless body would go on.
            self._watched = True
            self._group.start_soon(self._watch)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._over = True


class _ClientLeftError(OSError):
    """Ends an app whose client left."""


async def _store(body: BinaryIO, receive: Receive) -> int | None:
    """Write a request body to a file; its size in bytes, or None if the client left in mid-body."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > IN_MEMORY:
            await anyio.to_thread.run_sync(body.write, chunk)
        else:
            body.write(chunk)
        more = message.get("more_body", False)
    body.seek(0)
    return size


def _completed(environ: dict[str, Any], size: int) -> dict[str, Any]:
    """What the spec asks for beyond `build_environ`: text for the port, the length as it is."""
    environ["SERVER_PORT"] = str(environ["SERVER_PORT"] or 0)
    environ["wsgi.input_terminated"] = True
    if size or "CONTENT_LENGTH" in environ:
        environ["CONTENT_LENGTH"] = str(size)
    return environ


def build_environ(scope: Scope, body: bytes | BinaryIO) -> dict[str, Any]:
    """Make the ``environ`` of PEP 3333 from a scope.

    Bytes become text as Latin-1. A header whose name has an underscore is left out, since it would
    take the name of the one with a hyphen; and ``Proxy``, since ``HTTP_PROXY`` names the proxy that
    many libraries call out by (CVE-2016-5385).

    Args:
        scope: of type ``http``.
        body: the request body, or a file that it is read from.

    Source: as Starlette 1.10.
    """
    script_name = _native(scope.get("root_path", ""))
    path_info = _native(scope["path"])
    if path_info == script_name or path_info.startswith(script_name.rstrip("/") + "/"):
        path_info = path_info[len(script_name) :]
    server = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": server[1],
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body) if isinstance(body, bytes) else body,
        "wsgi.errors": sys.stdout,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope.get("client"):
        environ["REMOTE_ADDR"] = scope["client"][0]
    return environ | _header_variables(scope.get("headers", ()))


def _header_variables(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by the names of PEP 3333; those of one name joined."""
    found: dict[str, list[str]] = {}
    for raw_name, value in headers:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if b"_" in raw_name or name == "PROXY":
            continue
        if name not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
            name = f"HTTP_{name}"
        found.setdefault(name, []).append(value.decode("latin-1"))
    joints = {"HTTP_COOKIE": "; "}  # RFC 9113 section 8.2.3
    return {name: joints.get(name, ",").join(values) for name, values in found.items()}


def _native(text: str) -> str:
    """Text as PEP 3333 has it: the bytes of its UTF-8, each as one character."""
    return text.encode().decode("latin-1")
