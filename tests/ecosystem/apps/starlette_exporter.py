"""starlette-exporter: a metric for each request, by the path of its route."""

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette_exporter import PrometheusMiddleware, handle_metrics


async def read(request):
    if request.path_params["number"] == 404:
        raise HTTPException(404)
    return PlainTextResponse(f"{request.path_params['number']}")


async def fail(request):
    raise ValueError("no")


@pytest.fixture
def client(four_layers):
    for collector in list(REGISTRY._collector_to_names):
        REGISTRY.unregister(collector)
    PrometheusMiddleware._metrics = {}
    inner = Starlette(routes=[Route("/deep/{name}", read_name)])
    routes = [
        Route("/items/{number:int}", read, methods=["GET", "POST"]),
        Route("/fail", fail),
        Route("/metrics", handle_metrics),
        Mount("/inner", inner),
    ]
    options = {"app_name": "shop", "group_paths": True, "prefix": "shop"}
    layers = [*four_layers[:2], Middleware(PrometheusMiddleware, **options), *four_layers[2:]]
    return TestClient(Starlette(routes=routes, middleware=layers), raise_server_exceptions=False)


async def read_name(request):
    return PlainTextResponse(request.path_params["name"])


def count(client, **labels):
    labels = {"app_name": "shop", "method": "GET", **labels}
    return REGISTRY.get_sample_value("shop_requests_total", labels)


def test_requests_are_counted_by_the_path_of_their_route(client, passed):
    assert ["1", "2"] == [passed(client.get(f"/items/{number}")).text for number in (1, 2)]
    client.post("/items/3")
    client.get("/items/404")
    client.get("/inner/deep/x")
    assert 2 == count(client, path="/items/{number:int}", status_code="200")
    assert 1 == count(client, path="/items/{number:int}", status_code="200", method="POST")
    assert 1 == count(client, path="/items/{number:int}", status_code="404")
    assert 1 == count(client, path="/inner/deep/{name}", status_code="200")


def test_errors_are_counted(client):
    assert 500 == client.get("/fail").status_code
    assert 1 == count(client, path="/fail", status_code="500")


def test_the_metrics_can_be_read(client, passed):
    client.get("/items/1")
    text = passed(client.get("/metrics")).text
    assert 'shop_requests_total{app_name="shop",method="GET",path="/items/{number:int}"' in text
    assert "shop_request_duration_seconds_bucket" in text
    assert 'shop_requests_in_progress{app_name="shop",method="GET"} 1.0' in text
