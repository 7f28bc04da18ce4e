"""prometheus-fastapi-instrumentator: the same for FastAPI."""

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator, metrics


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def client(registry, four_layers):
    app = FastAPI(middleware=four_layers)
    router = APIRouter(prefix="/items")

    @router.get("/{item_id}")
    def read(item_id: int):
        if item_id == 404:
            raise HTTPException(404)
        return {"id": item_id}

    @app.get("/fail")
    def fail():
        raise ValueError("no")

    app.include_router(router)
    meter = Instrumentator(registry=registry, should_group_status_codes=False)
    meter.add(metrics.default(registry=registry))
    meter.instrument(app).expose(app)
    return TestClient(app, raise_server_exceptions=False)


def test_requests_are_counted_by_the_path_of_their_route(client, registry, passed):
    for number in (1, 2, 404):
        passed(client.get(f"/items/{number}"))
    labels = {"handler": "/items/{item_id}", "method": "GET"}
    found = [
        registry.get_sample_value("http_requests_total", {**labels, "status": status})
        for status in ("200", "404")
    ]
    assert [2, 1] == found


def test_errors_and_unknown_paths_are_counted(client, registry):
    assert [500, 404] == [client.get(path).status_code for path in ("/fail", "/nowhere")]
    labels = {"handler": "/fail", "method": "GET", "status": "500"}
    assert 1 == registry.get_sample_value("http_requests_total", labels)


def test_the_metrics_can_be_read(client, passed):
    client.get("/items/1")
    response = passed(client.get("/metrics"))
    assert 'http_requests_total{handler="/items/{item_id}",method="GET",status="200"} 1.0' in (
        response.text
    )
