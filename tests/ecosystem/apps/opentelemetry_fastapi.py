"""opentelemetry-instrumentation-fastapi: spans of requests, websockets and background tasks."""

import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from fastapi.testclient import TestClient
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, get_current_span


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def log():
    return []


@pytest.fixture
def app(exporter, four_layers, log):
    app = FastAPI(middleware=four_layers)

    @app.get("/items/{item_id}")
    async def read(item_id: int, tasks: BackgroundTasks):
        get_current_span().set_attribute("seen", item_id)
        tasks.add_task(log.append, "after")
        return {"id": item_id}

    @app.get("/fail")
    def fail():
        raise ValueError("no")

    @app.websocket("/talk")
    async def talk(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    yield app
    FastAPIInstrumentor.uninstrument_app(app)


def servers(exporter):
    return [span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER]


def test_requests_get_spans_and_their_background_tasks_run(app, exporter, passed, log):
    client = TestClient(app)
    assert {"id": 3} == passed(client.get("/items/3")).json()
    assert 422 == passed(client.get("/items/x")).status_code
    first, second = servers(exporter)
    assert ("GET /items/{item_id}", "GET /items/{item_id}") == (first.name, second.name)
    assert (200, 3) == (first.attributes["http.status_code"], first.attributes["seen"])
    assert 422 == second.attributes["http.status_code"]
    assert ["after"] == log


def test_an_error_marks_its_span(app, exporter):
    assert 500 == TestClient(app, raise_server_exceptions=False).get("/fail").status_code
    (span,) = servers(exporter)
    assert not span.status.is_ok
    assert "exception" in [event.name for event in span.events]


def test_a_websocket_gets_a_span(app, exporter):
    with TestClient(app).websocket_connect("/talk") as websocket:
        websocket.send_text("hi")
        assert "hi" == websocket.receive_text()
    (span,) = servers(exporter)
    assert "/talk" in span.name


def test_an_application_can_be_left_alone_again(app, exporter, passed):
    FastAPIInstrumentor.uninstrument_app(app)
    passed(TestClient(app).get("/items/3"))
    assert [] == servers(exporter)
