"""Traces of an application: when there are any, of what, and what costs nothing without."""

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from lamella import telemetry
from lamella._tracing import TRACED_SCOPE_KEY, operation_of
from lamella.applications import Starlette
from lamella.engine.stack import fold
from lamella.exceptions import (
    HTTPException,
    RequestValidationError,
    UsageError,
    WebSocketException,
)
from lamella.middleware.opentelemetry import OpenTelemetryMiddleware
from lamella.responses import PlainTextResponse
from lamella.routing import Mount, Route, WebSocketRoute
from lamella.telemetry import TelemetryLayer, telemetry_layer
from lamella.websockets import WebSocketDisconnect
from tests.parity.drive import answer, ask, exchange, lifetime, websocket_scope


class Recorder:
    """A provider, and the spans that have ended by it."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self):
        return self.exporter.get_finished_spans()

    @property
    def names(self):
        return [span.name for span in self.spans]


@pytest.fixture
def recorder():
    """Give a provider of the test's own."""
    recorder = Recorder()
    yield recorder
    recorder.provider.shutdown()


def traced(routes, options):
    """An application inside the layer that it has by these options."""
    layer = telemetry_layer(options)
    return fold(Starlette(routes=routes), [] if layer is None else [layer])


def do_nothing():
    """A part of the work."""


async def working(request):
    """An endpoint whose parts are traced as those of a typed one."""
    operation = operation_of(request.scope)
    if operation is None:
        return PlainTextResponse("not traced")
    with operation("dependencies", do_nothing):
        pass
    with operation("endpoint", do_nothing), operation("serialization", None):
        pass
    return PlainTextResponse("traced")


ROUTES = [Route("/items/{id}", working)]


# -- what is traced --------------------------------------------------------------------------------


def test_a_request_and_the_parts_of_its_work_are_traced(recorder):
    """Each part is a span inside that of the request, or of the part around it."""
    app = traced(ROUTES, {"tracer_provider": recorder.provider})
    assert "traced" == answer(app, "/items/1").text
    parts = ["lamella.dependencies", "lamella.serialization", "lamella.endpoint"]
    assert [*parts, "GET /items/{id}"] == recorder.names
    dependencies, serialization, endpoint, server = recorder.spans
    assert SpanKind.SERVER is server.kind
    assert "/items/{id}" == server.attributes["http.route"]
    assert {server.context.span_id} == {
        dependencies.parent.span_id,
        endpoint.parent.span_id,
    }
    assert endpoint.context.span_id == serialization.parent.span_id
    assert {"code.function.name": f"{__name__}.do_nothing"} == dict(endpoint.attributes)
    assert {} == dict(serialization.attributes)


def test_the_parts_are_not_traced_where_they_are_not_wanted(recorder):
    options = {"tracer_provider": recorder.provider, "operation_spans": False}
    assert "not traced" == answer(traced(ROUTES, options), "/items/1").text
    assert ["GET /items/{id}"] == recorder.names


def test_an_object_that_is_called_is_named_by_its_class(recorder):
    class Dependency:
        def __call__(self):
            pass

    async def endpoint(request):
        with operation_of(request.scope)("dependencies", Dependency()):
            return PlainTextResponse()

    answer(traced([Route("/", endpoint)], {"tracer_provider": recorder.provider}))
    name = recorder.spans[0].attributes["code.function.name"]
    assert f"{__name__}.{Dependency.__qualname__}" == name


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LookupError("x"), "LookupError"),
        (WebSocketDisconnect(1006), "WebSocketDisconnect"),
        (WebSocketDisconnect(1001), None),
        (HTTPException(404), None),
        (WebSocketException(1008), None),
        (RequestValidationError([]), None),
    ],
)
def test_a_part_that_fails_is_an_error_unless_it_answers_the_client(recorder, error, kind):
    """What a client asked for wrongly is not this program's fault."""
    tried = []

    async def endpoint(request):
        with operation_of(request.scope)("endpoint", None):
            tried.append(True)
            raise error

    ask(traced([Route("/", endpoint)], {"tracer_provider": recorder.provider}))
    assert [True] == tried
    (part,) = [span for span in recorder.spans if span.name == "lamella.endpoint"]
    assert kind == part.attributes.get("error.type")
    assert (StatusCode.UNSET if kind is None else StatusCode.ERROR) is part.status.status_code


@pytest.mark.anyio
async def test_a_websocket_is_traced(recorder):
    seen = []

    async def endpoint(websocket):
        with operation_of(websocket.scope)("endpoint", None):
            seen.append(trace.get_current_span().is_recording())
        await websocket.accept()

    app = traced([WebSocketRoute("/ws", endpoint)], {"tracer_provider": recorder.provider})
    await exchange(app, websocket_scope("/ws"), [{"type": "websocket.connect"}])
    assert ["lamella.endpoint", "GET /ws"] == recorder.names
    assert [True] == seen


def test_the_lifespan_is_not_traced(recorder):
    app = traced(ROUTES, {"tracer_provider": recorder.provider})
    assert "lifespan.shutdown.complete" == lifetime(app).messages[-1]["type"]
    assert [] == recorder.names


def test_one_span_for_an_application_in_an_application(recorder):
    """And the parts as the outer one says."""
    options = {"tracer_provider": recorder.provider}
    inner = traced(ROUTES, options)
    assert "traced" == answer(traced([Mount("/in", inner)], options), "/in/items/1").text
    assert ["GET /in/items/{id}"] == [n for n in recorder.names if n.startswith("GET")]
    assert 4 == len(recorder.names)


def test_what_is_excluded_is_not_traced_further_in_either(recorder):
    seen = []

    def exclude(scope):
        seen.append(scope["path"])
        return scope["path"].endswith("/1")

    inner = traced(ROUTES, {"tracer_provider": recorder.provider})
    options = {"tracer_provider": recorder.provider, "exclude": exclude}
    app = traced([Mount("/in", inner)], options)
    assert "not traced" == answer(app, "/in/items/1").text
    assert [] == recorder.names
    assert "traced" == answer(app, "/in/items/2").text
    assert 4 == len(recorder.names)
    assert ["/in/items/1", "/in/items/2"] == seen


@pytest.mark.anyio
async def test_an_excluded_websocket_is_not_traced(recorder):
    async def endpoint(websocket):
        assert operation_of(websocket.scope) is None
        await websocket.accept()

    options = {"tracer_provider": recorder.provider, "exclude": lambda scope: True}
    app = traced([WebSocketRoute("/ws", endpoint)], options)
    reply = await exchange(app, websocket_scope("/ws"), [{"type": "websocket.connect"}])
    assert ["websocket.accept"] == [message["type"] for message in reply.messages]
    assert [] == recorder.names


def test_a_scope_that_is_served_again_is_traced_again(recorder):
    """Nothing of the first time is left in it."""
    app = traced(ROUTES, {"tracer_provider": recorder.provider})
    for _ in range(2):
        answer(app, "/items/1")
    assert 8 == len(recorder.names)


# -- whether anything is ---------------------------------------------------------------------------


def test_the_global_provider_is_taken_from_when_it_is_there(recorder, monkeypatch):
    """A program may set it up in its lifespan, when the stack has been built."""
    app = traced(ROUTES, None)
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    assert "not traced" == answer(app, "/items/1").text
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: recorder.provider)
    assert "traced" == answer(app, "/items/1").text
    assert 4 == len(recorder.names)
    other = Recorder()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: other.provider)
    answer(app, "/items/1")
    assert (4, 4) == (len(recorder.names), len(other.names))


def test_a_provider_that_does_nothing_is_none():
    options = {"tracer_provider": trace.NoOpTracerProvider()}
    assert "not traced" == answer(traced(ROUTES, options), "/items/1").text


@pytest.mark.parametrize("options", [False, {"tracing": False}])
def test_there_is_no_layer_where_it_is_turned_off(options):
    assert telemetry_layer(options) is None


@pytest.mark.parametrize("options", [None, True, {}, {"metrics": False, "auto_configure": False}])
def test_there_is_a_layer_where_nothing_else_is_said(options):
    """What FastAPI has besides may be turned off, as it is here."""
    assert telemetry_layer(options).cls is TelemetryLayer


def test_there_is_no_layer_without_opentelemetry(monkeypatch):
    monkeypatch.setattr(telemetry, "find_spec", lambda name: None)
    assert telemetry_layer(None) is None


@pytest.mark.parametrize("options", [{"tracer": 1}, {"metrics": True}])
def test_an_option_that_there_is_not_is_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        telemetry_layer(options)


def test_opentelemetry_is_not_imported_for_it():
    """It takes longer than all of lamella."""
    code = (
        "import asyncio, sys\n"
        "from lamella.engine.stack import fold\n"
        "from lamella.responses import PlainTextResponse\n"
        "from lamella.telemetry import telemetry_layer\n"
        "app = fold(PlainTextResponse('ok'), [telemetry_layer(None)])\n"
        "sent = []\n"
        "async def send(message): sent.append(message)\n"
        "scope = {'type': 'http', 'method': 'GET', 'path': '/', 'headers': []}\n"
        "asyncio.run(app(scope, None, send))\n"
        "assert 200 == sent[0]['status'], sent\n"
        "assert 'opentelemetry.trace' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# -- beside instrumentations by others -------------------------------------------------------------


def test_where_others_trace_the_request_there_is_no_second_span(recorder, monkeypatch):
    """Theirs may be around the application, or one of its layers."""
    tracer = recorder.provider.get_tracer("opentelemetry.instrumentation.asgi")
    app = traced(ROUTES, {"tracer_provider": recorder.provider})
    with tracer.start_as_current_span("theirs", kind=SpanKind.SERVER):
        assert "not traced" == answer(app, "/items/1").text
    assert ["theirs"] == recorder.names

    class Theirs:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    Theirs.__module__ = "opentelemetry.instrumentation.asgi"
    inside = Theirs(Starlette(routes=ROUTES))
    layer = telemetry_layer({"tracer_provider": recorder.provider})
    assert "not traced" == answer(fold(inside, [layer]), "/items/1").text
    assert ["theirs"] == recorder.names


def test_where_the_programs_own_layer_traces_there_is_no_second_span(recorder):
    app = traced(ROUTES, {"tracer_provider": recorder.provider})
    app = OpenTelemetryMiddleware(app, tracer_provider=recorder.provider)
    assert "not traced" == answer(app, "/items/1").text
    assert ["GET /items/{id}"] == recorder.names


def test_the_key_in_the_scope_is_the_one_that_is_documented():
    assert "lamella.opentelemetry" == TRACED_SCOPE_KEY
    assert operation_of({}) is None
    assert operation_of({TRACED_SCOPE_KEY: None}) is None
