"""opentelemetry-instrumentation-starlette: spans of one application, and of all."""

import pytest
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, get_current_span
from starlette import applications
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


async def read(request):
    get_current_span().set_attribute("seen", True)
    return PlainTextResponse(request.path_params["name"])


async def stream(request):
    async def pieces():
        yield "a"
        yield "b"

    return StreamingResponse(pieces())


async def fail(request):
    raise ValueError("no")


async def talk(websocket):
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


def made(four_layers):
    routes = [
        Route("/items/{name}", read),
        Route("/stream", stream),
        Route("/fail", fail),
        Mount("/inner", routes=[Route("/deep/{name}", read)]),
    ]
    # By its module, since the package puts a class of its own there.
    return applications.Starlette(routes=routes, middleware=four_layers)


def servers(exporter):
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER]


def test_an_application_gets_spans_by_the_path_of_its_routes(
    four_layers, exporter, provider, passed
):
    app = made(four_layers)
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    client = TestClient(app, raise_server_exceptions=False)
    assert "x" == passed(client.get("/items/x")).text
    assert "ab" == passed(client.get("/stream")).text
    assert "y" == passed(client.get("/inner/deep/y")).text
    first, second, third = servers(exporter)
    assert ["GET /items/{name}", "GET /stream", "GET /inner"] == [
        first.name,
        second.name,
        third.name,
    ]
    assert ("/items/{name}", 200, True) == (
        first.attributes["http.route"],
        first.attributes["http.status_code"],
        first.attributes["seen"],
    )


def test_an_error_marks_its_span(four_layers, exporter, provider):
    app = made(four_layers)
    StarletteInstrumentor.instrument_app(app, tracer_provider=provider)
    assert 500 == TestClient(app, raise_server_exceptions=False).get("/fail").status_code
    (span,) = servers(exporter)
    assert not span.status.is_ok
    assert "exception" in [event.name for event in span.events]


def test_all_applications_can_be_instrumented_and_no_more(four_layers, exporter, provider, passed):
    instrumentor = StarletteInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        passed(TestClient(made(four_layers)).get("/items/x"))
        assert ["GET /items/{name}"] == [span.name for span in servers(exporter)]
    finally:
        instrumentor.uninstrument()
    exporter.clear()
    passed(TestClient(made(four_layers)).get("/items/x"))
    assert [] == servers(exporter)
