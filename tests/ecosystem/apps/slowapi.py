"""slowapi: limits by decorator and by layer, on Starlette and on FastAPI."""

import pytest
from fastapi import FastAPI
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware
from slowapi.util import get_remote_address
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient


def limited(app, limiter):
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return TestClient(app)


def test_a_decorated_endpoint_is_limited(four_layers, passed):
    limiter = Limiter(key_func=get_remote_address, headers_enabled=True)

    @limiter.limit("2/minute")
    async def home(request: Request):
        return PlainTextResponse("home")

    @limiter.limit("1/minute")
    def in_thread(request: Request):
        return PlainTextResponse("thread")

    routes = [Route("/", home), Route("/thread", in_thread)]
    client = limited(Starlette(routes=routes, middleware=four_layers), limiter)
    replies = [passed(client.get("/")) for _ in range(3)]
    assert [200, 200, 429] == [reply.status_code for reply in replies]
    assert ["1", "0", "0"] == [reply.headers["x-ratelimit-remaining"] for reply in replies]
    assert {"error": "Rate limit exceeded: 2 per 1 minute"} == replies[2].json()
    assert [200, 429] == [client.get("/thread").status_code for _ in range(2)]


@pytest.mark.parametrize("layer", [SlowAPIMiddleware, SlowAPIASGIMiddleware])
def test_a_layer_limits_every_route_but_those_exempt(four_layers, passed, layer):
    limiter = Limiter(key_func=get_remote_address, default_limits=["1/minute"])

    async def home(request: Request):
        return PlainTextResponse("home")

    @limiter.exempt
    async def health(request: Request):
        return PlainTextResponse("well")

    routes = [Route("/", home), Route("/health", health)]
    layers = [*four_layers, Middleware(layer)]
    client = limited(Starlette(routes=routes, middleware=layers), limiter)
    assert [200, 429] == [passed(client.get("/")).status_code for _ in range(2)]
    assert [200, 200] == [passed(client.get("/health")).status_code for _ in range(2)]


def test_fastapi_is_limited_too(four_layers, passed):
    limiter = Limiter(key_func=get_remote_address)
    app = FastAPI(middleware=four_layers)

    @app.get("/items/{item_id}")
    @limiter.limit("1/minute")
    async def read(request: Request, item_id: int):
        return {"id": item_id}

    client = limited(app, limiter)
    assert [200, 429] == [passed(client.get("/items/1")).status_code for _ in range(2)]
