"""OpenTelemetry: one server span a request, and spans of the parts of its work.

Floor 6. Name, arguments and attributes as Starlette 1.10, by the semantic conventions for HTTP
server spans. The span is current for everything inside, streams and background tasks included, and
ends when the response was sent.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lamella._headers import values_in
from lamella._tracing import TRACED_SCOPE_KEY, Operation
from lamella.engine.stack import Layer
from lamella.exceptions import (
    HTTPException,
    RequestValidationError,
    UsageError,
    WebSocketException,
    WebSocketRequestValidationError,
)
from lamella.requests import HTTPConnection
from lamella.routing import Mount
from lamella.websockets import WebSocketDisconnect

try:
    from opentelemetry import context, propagate, trace
    from opentelemetry.propagators.textmap import Getter
    from opentelemetry.trace import SpanKind, StatusCode
except ModuleNotFoundError as _exc:
    if _exc.name != "opentelemetry":  # installed, but something that it needs is not
        raise
    raise ImportError(
        "lamella.middleware.opentelemetry needs opentelemetry-api; install it with: pip install"
        ' "lamella[opentelemetry]"'
    ) from None

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from opentelemetry import metrics
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from lamella.engine.exchange import Outcome
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = ["OpenTelemetryMiddleware"]

# What says no more than that the client asked for something it cannot have.
_ANSWERS: Final = (
    HTTPException,
    RequestValidationError,
    WebSocketException,
    WebSocketRequestValidationError,
)
_LEFT_AS_AGREED: Final = (1000, 1001)  # codes of a websocket's close (RFC 6455 section 7.4.1)

# Those of RFC 9110 and RFC 5789; what else a client makes up must not become the name of a span.
_METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)


class OpenTelemetryMiddleware(Layer):
    """Makes a span of each request, named by method and route: ``GET /users/{id}``.

    The parent is taken from the request's headers by the global propagator. Status 500 and more and
    exceptions are errors; a client that left is the attribute ``lamella.client_left``. Where
    several such layers are around a request, the outermost does it.

    Args:
        app: what is inside.
        excluded_urls: regular expressions, as a sequence or as text with commas; a URL that one of
            them is found in is not traced.
        tracer_provider: the global one without it.
        meter_provider: for Starlette's signature; nothing is measured.
        websockets: make a span of each websocket too; it lasts as long as the websocket.
        operation_spans: make a span of each part of the work on a typed endpoint, too:
            `lamella.dependencies`, `lamella.endpoint` and `lamella.serialization`.

    Raises:
        UsageError: one of ``excluded_urls`` is no regular expression.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        excluded_urls: str | Sequence[str] = (),
        tracer_provider: TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        websockets: bool = False,
        operation_spans: bool = False,
    ) -> None:
        super().__init__(app)
        if isinstance(excluded_urls, str):
            excluded_urls = [part.strip() for part in excluded_urls.split(",")]
        self._excluded_urls = [_compiled(pattern) for pattern in excluded_urls if pattern]
        self._tracer_provider = tracer_provider or trace.get_tracer_provider()
        self._websockets = websockets
        self._operation_spans = operation_spans
        self._tracer: Tracer | None = None

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        scope = request.scope
        if TRACED_SCOPE_KEY in scope:  # by a layer further out, or by this one, called in again
            return await self._inner(request)
        if not self._traces(request):
            scope[TRACED_SCOPE_KEY] = None
            try:
                return await self._inner(request)
            finally:
                del scope[TRACED_SCOPE_KEY]
        scope[TRACED_SCOPE_KEY] = traced = self._started(request)
        request.after_response(partial(traced.end_by, request))
        try:
            return await self._inner(request)
        except Exception as exc:
            exchange = request.exchange
            if exchange is None or not exchange.explains(exc):
                traced.fail(exc)
            raise

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Trace a websocket, if this is asked for; the lifespan passes."""
        if not self._websockets or scope["type"] != "websocket" or TRACED_SCOPE_KEY in scope:
            await self._app(scope, receive, send)
            return
        conn: HTTPConnection[Any] = HTTPConnection(scope)
        traced = self._started(conn) if self._traces(conn) else None
        scope[TRACED_SCOPE_KEY] = traced
        try:
            await self._app(scope, receive, send)
        except Exception as exc:
            if traced is not None:
                traced.fail(exc)
            raise
        finally:
            if traced is not None:
                traced.end()
                traced.leave()
            scope.pop(TRACED_SCOPE_KEY, None)

    def _traces(self, conn: HTTPConnection[Any]) -> bool:
        if isinstance(self._tracer_provider, trace.NoOpTracerProvider):
            return False
        if not self._excluded_urls:
            return True
        url = str(conn.url)
        return not any(pattern.search(url) for pattern in self._excluded_urls)

    def _started(self, conn: HTTPConnection[Any]) -> _Traced:
        if self._tracer is None:  # not sooner: a provider may be set up after the stack was built
            version = sys.modules["lamella"].__version__
            self._tracer = self._tracer_provider.get_tracer("lamella", version)
        around = context.get_current()
        inside = propagate.extract(conn.scope, around, _headers)
        span = self._tracer.start_span(
            _named(conn.scope), inside, SpanKind.SERVER, attributes=_attributes(conn)
        )
        inside = trace.set_span_in_context(span, inside)
        context.attach(inside)
        traced = _Traced(conn, span, around, inside)
        if self._operation_spans:
            traced.operation = partial(_Part, self._tracer)
        return traced


class _Traced:
    """One request or websocket, its span, and the contexts around and inside of it.

    Attributes:
        operation: makes spans of the parts of its work, if this is asked for.
    """

    __slots__ = ("_around", "_conn", "_error", "_inside", "_span", "operation")

    def __init__(
        self, conn: HTTPConnection[Any], span: Span, around: Context, inside: Context
    ) -> None:
        self._conn = conn
        self._span = span
        self._around = around
        self._inside = inside
        self._error: Exception | None = None
        self.operation: Operation | None = None

    def fail(self, exc: Exception) -> None:
        """Record an exception, once."""
        if exc is not self._error:
            self._error = exc
            self._span.record_exception(exc)
            self._span.set_attribute("error.type", type(exc).__qualname__)
            self._span.set_status(StatusCode.ERROR, f"{type(exc).__name__}: {exc}")

    def end_by(self, request: Request[Any], outcome: Outcome) -> None:
        """End the span by what became of the request."""
        status = outcome.status
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if outcome.client_left:
            self._span.set_attribute("lamella.client_left", True)
        if isinstance(outcome.exception, Exception):
            self.fail(outcome.exception)
        elif status is not None and status >= 500 and self._error is None:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)
        self.end()
        # Later: background tasks come first, and what they start belongs to this trace.
        request.after_response(self.leave)

    def end(self) -> None:
        """Name the span by the route, with parameters in place of their values, and end it."""
        path = _route_path(self._conn.scope)
        if path is not None:
            self._span.update_name(f"{_named(self._conn.scope)} {path}")
            self._span.set_attribute("http.route", path)
        self._span.end()

    def leave(self, outcome: Outcome | None = None) -> None:
        """Go back to the context that was around."""
        self._conn.scope.pop(TRACED_SCOPE_KEY, None)
        # Not by a token, which is refused where another layer runs the inside in a task of its own.
        if context.get_current() is self._inside:
            context.attach(self._around)


class _Part:
    """The span of one part of a request's work, and a ``with`` in which it is current."""

    __slots__ = ("_around", "_attributes", "_inside", "_name", "_span", "_tracer")

    def __init__(self, tracer: Tracer, name: str, function: Callable[..., Any] | None) -> None:
        self._tracer = tracer
        self._name = f"lamella.{name}"
        self._attributes = {} if function is None else {"code.function.name": _full_name(function)}

    def __enter__(self) -> None:
        self._span = self._tracer.start_span(self._name, attributes=self._attributes)
        self._around = context.get_current()
        self._inside = trace.set_span_in_context(self._span, self._around)
        context.attach(self._inside)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(exc, Exception) and not _is_answer(exc):
            self._span.set_attribute("error.type", type(exc).__qualname__)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
        if context.get_current() is self._inside:
            context.attach(self._around)


def _full_name(function: Callable[..., Any]) -> str:
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _is_answer(exc: Exception) -> bool:
    if isinstance(exc, WebSocketDisconnect):
        return exc.code in _LEFT_AS_AGREED
    return isinstance(exc, _ANSWERS)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise UsageError(
            f"Expected regular expressions in excluded_urls, got {pattern!r}: {exc}."
        ) from None


class _Headers(Getter[Any]):
    """Headers of a scope as propagators read them: by name, and few of them."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        return values_in(carrier, key.lower().encode("latin-1", "replace")) or None

    def keys(self, carrier: Scope) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier.get("headers", ())]


_headers: Final = _Headers()


def _method(scope: Scope) -> str:
    """The method as the conventions have it: a known one in capitals, or ``_OTHER``."""
    method = str(scope.get("method", "GET")).upper()  # a websocket's handshake is a GET
    return method if method in _METHODS else "_OTHER"


def _named(scope: Scope) -> str:
    """What the name of a span begins with."""
    method = _method(scope)
    return "HTTP" if method == "_OTHER" else method


def _attributes(conn: HTTPConnection[Any]) -> dict[str, str | int]:
    """What is known of a request when it comes in."""
    scope, url = conn.scope, conn.url
    host, port, server = url.hostname, url.port, scope.get("server")
    if port is None and server is not None:
        port = server[1]
    method, original = _method(scope), scope.get("method")
    known: dict[str, Any] = {
        "http.request.method": method,
        "http.request.method_original": None if original == method else original,
        "url.path": scope.get("path", ""),
        "url.scheme": scope.get("scheme", "http"),
        "url.query": url.query or None,
        "server.address": host,
        "server.port": None if host is None else port,
        "network.protocol.version": scope.get("http_version") or None,
        "client.address": None if conn.client is None else conn.client.host,
        "user_agent.original": conn.headers.get("user-agent") or None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _route_path(scope: Scope) -> str | None:
    """The path of the route that was found, from the root on; None if it has none."""
    route = scope.get("route")
    root_path: str = scope.get("root_path", "")
    if isinstance(route, Mount):
        return root_path or "/"
    path_format = getattr(route, "path_format", None)
    return root_path.rstrip("/") + path_format or "/" if isinstance(path_format, str) else None
