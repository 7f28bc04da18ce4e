"""sentry-sdk: its integrations patch Starlette's classes when it starts."""

import pytest
import sentry_sdk
from fastapi import FastAPI
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import Transport
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


class Kept(Transport):
    """What would be sent."""

    def __init__(self, options=None):
        super().__init__(options)
        self.envelopes = []

    def capture_envelope(self, envelope):
        self.envelopes.append(envelope)


class Broken(Exception):
    pass


@pytest.fixture
def kept():
    transport = Kept()
    integrations = [
        StarletteIntegration(failed_request_status_codes={503}, middleware_spans=True),
        FastApiIntegration(failed_request_status_codes={503}),
    ]
    sentry_sdk.init(
        dsn="http://key@localhost/1",
        transport=transport,
        traces_sample_rate=1.0,
        integrations=integrations,
    )
    assert "starlette" in sentry_sdk.get_client().integrations
    yield transport
    sentry_sdk.get_client().close()


def items(kept, kind):
    return [
        item.payload.json
        for envelope in kept.envelopes
        for item in envelope.items
        if item.type == kind
    ]


async def fail(request):
    await request.json()
    raise Broken("no")


def fail_in_thread(request):
    raise Broken("thread")


async def read(request):
    sentry_sdk.set_tag("seen", "yes")
    return PlainTextResponse(request.path_params["name"])


async def unavailable(request):
    raise HTTPException(503)


@pytest.fixture
def client(kept, four_layers):
    inner = Starlette(routes=[Route("/deep/{name}", read)])
    routes = [
        Route("/fail/{name}", fail, methods=["POST"]),
        Route("/thread", fail_in_thread),
        Route("/read/{name}", read),
        Route("/unavailable", unavailable),
        Mount("/inner", inner),
    ]

    async def told(request, exc):
        return JSONResponse({"told": str(exc)}, 400)

    app = Starlette(routes=routes, middleware=four_layers, exception_handlers={KeyError: told})
    return TestClient(app, raise_server_exceptions=False)


def test_an_error_is_reported_once_with_its_request(client, kept):
    assert 500 == client.post("/fail/x?q=1", json={"a": 1}).status_code
    (event,) = items(kept, "event")
    assert "Broken" == event["exception"]["values"][-1]["type"]
    assert "/fail/{name}" == event["transaction"]
    assert ({"a": 1}, "POST", "q=1") == (
        event["request"]["data"],
        event["request"]["method"],
        event["request"]["query_string"],
    )


def test_an_error_in_a_thread_is_reported(client, kept):
    assert 500 == client.get("/thread").status_code
    (event,) = items(kept, "event")
    assert "thread" == event["exception"]["values"][-1]["value"]


def test_a_status_that_counts_as_failure_is_reported(client, kept):
    assert 503 == client.get("/unavailable").status_code
    (event,) = items(kept, "event")
    assert "HTTPException" == event["exception"]["values"][-1]["type"]


def test_requests_are_traced_with_their_layers(client, kept, passed):
    assert "x" == passed(client.get("/read/x")).text
    assert "y" == passed(client.get("/inner/deep/y")).text
    first, second = items(kept, "transaction")
    assert "/read/{name}" == first["transaction"]
    assert "yes" == first["tags"]["seen"]
    operations = [span["op"] for span in first["spans"]]
    assert "middleware.starlette" in operations
    assert not items(kept, "event")


def test_fastapi_is_reported_too(kept, four_layers):
    app = FastAPI(middleware=four_layers)

    @app.post("/items/{item_id}")
    async def fail(item_id: int, body: dict):
        raise Broken("no")

    client = TestClient(app, raise_server_exceptions=False)
    assert 500 == client.post("/items/1", json={"a": 1}).status_code
    (event,) = items(kept, "event")
    assert {"a": 1} == event["request"]["data"]
    (transaction,) = items(kept, "transaction")
    assert "/items/{item_id}" == transaction["transaction"]
