"""Traces without further ado: what an application sends to OpenTelemetry if it is set up.

Floor 6. Nothing is imported here, and no request costs more than a look, before the program has set
a tracer provider up; it may do so at any time. ``middleware.opentelemetry`` makes the spans.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypedDict

from lamella._tracing import TRACED_SCOPE_KEY
from lamella.engine.stack import Layer
from lamella.exceptions import UsageError
from lamella.middleware import Middleware

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from opentelemetry.trace import TracerProvider

    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = ["TelemetryConfig", "TelemetryLayer", "telemetry_layer"]

# The instrumentations that others make of an application have spans of this kind of scope.
_OTHERS: Final = "opentelemetry.instrumentation."


class TelemetryConfig(TypedDict, total=False):
    """What an application sends to OpenTelemetry: ``Lamella(telemetry={...})``.

    Keys:
        tracer_provider: the global one without it.
        tracing: whether requests and websockets are traced; True.
        operation_spans: whether the parts of the work on a typed endpoint are, too; True.
        exclude: called with a scope; what it says True to is not traced.

    Source: as FastAPI 0.165, which measures and logs, too.
    """

    tracer_provider: TracerProvider | None
    tracing: bool
    operation_spans: bool
    exclude: Callable[[Scope], bool] | None


# What FastAPI has besides; taken where it is turned off, since it is off here.
_NOT_HERE: Final = ("meter_provider", "logger_provider", "metrics", "logs", "auto_configure")


def telemetry_layer(options: TelemetryConfig | bool | None = None) -> Middleware[...] | None:
    """The layer that an application has outside of all others, or None if it needs none.

    Args:
        options: what is traced; None and True for what is usual, False for nothing.

    Raises:
        UsageError: an option that there is not.
    """
    if options is False:
        return None
    given: dict[str, Any] = {} if options is None or options is True else {**options}
    for name, value in given.items():
        if name not in TelemetryConfig.__annotations__ and (value or name not in _NOT_HERE):
            known = ", ".join(TelemetryConfig.__annotations__)
            raise UsageError(
                f"Expected telemetry= to have {known}, got {name!r}; lamella sends traces only, so"
                " leave it out, and measure by an instrumentation of your own."
            )
    if not given.get("tracing", True) or find_spec("opentelemetry") is None:
        return None
    return Middleware(
        TelemetryLayer,
        tracer_provider=given.get("tracer_provider"),
        operation_spans=given.get("operation_spans", True),
        exclude=given.get("exclude"),
    )


class TelemetryLayer(Layer):
    """Traces requests and websockets as long as there is a tracer provider.

    Where an instrumentation by others is around a request or inside of this layer, it does it.

    Args:
        app: what is inside.
        tracer_provider: the global one without it, from when it is set up on.
        operation_spans: whether the parts of the work on a typed endpoint are traced.
        exclude: called with a scope; what it says True to is not traced.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tracer_provider: TracerProvider | None = None,
        operation_spans: bool = True,
        exclude: Callable[[Scope], bool] | None = None,
    ) -> None:
        super().__init__(app)
        self._given = tracer_provider
        self._operation_spans = operation_spans
        self._exclude = exclude
        self._provider: Any = None  # that of `_tracing`
        self._tracing: Any = None
        self._found_none_by: Any = None
        self._by_others = _is_instrumented(app)

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face."""
        tracing = self._now(request.scope)
        if tracing is None:
            return self._inner(request)
        if self._exclude is not None and self._exclude(request.scope):
            return self._untraced(request)
        found: Coroutine[Any, Any, Response] = tracing.respond(request)
        return found

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Trace a websocket; the lifespan passes."""
        tracing = self._now(scope) if scope["type"] == "websocket" else None
        if tracing is None or (self._exclude is not None and self._exclude(scope)):
            await self._app(scope, receive, send)
        else:
            await tracing.connect(scope, receive, send)

    async def _untraced(self, request: Request[Any]) -> Response:
        request.scope[TRACED_SCOPE_KEY] = None  # nor by an application mounted further in
        try:
            return await self._inner(request)
        finally:
            del request.scope[TRACED_SCOPE_KEY]

    def _now(self, scope: Scope) -> Any:
        """The layer that traces this, or None if nothing does, or something further out."""
        trace = sys.modules.get("opentelemetry.trace")
        if trace is None or TRACED_SCOPE_KEY in scope or self._by_others:
            return None
        find = trace.get_tracer_provider
        # PERF: 0.1 us while none is set up, and not the 0.5 us of asking, which is what counts if
        # this private name goes away.
        if find is self._found_none_by and getattr(trace, "_TRACER_PROVIDER", find) is None:
            return None
        provider = self._given or find()
        if provider is not self._provider:
            if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
                # The first stands for one that is not set up.
                self._found_none_by = find if self._given is None else None
                return None
            self._provider, self._tracing = provider, self._by(provider)
        return None if _traced_by_others(trace) else self._tracing

    def _by(self, provider: TracerProvider) -> Any:
        # Not imported sooner, as it takes 30 ms which most programs would spend in vain.
        module = importlib.import_module("lamella.middleware.opentelemetry")
        return module.OpenTelemetryMiddleware(
            self._app,
            tracer_provider=provider,
            websockets=True,
            operation_spans=self._operation_spans,
        )


def _is_instrumented(app: Any) -> bool:
    """Whether one of the layers is an instrumentation by others."""
    while app is not None:
        if type(app).__module__.startswith(_OTHERS):
            return True
        app = getattr(app, "app", None) if not getattr(app, "is_router", False) else None
    return False


def _traced_by_others(trace: Any) -> bool:
    """Whether the current span is of an instrumentation by others, for this very request."""
    scope = getattr(trace.get_current_span(), "instrumentation_scope", None)
    return scope is not None and str(scope.name).startswith(_OTHERS)
