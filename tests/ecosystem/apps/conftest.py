"""What the programs share: four dispatch layers, and the check that they run on what they should."""

import os
import time

import pytest
import starlette.routing
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware


def pytest_sessionstart():
    """Fail at once where the programs would test another framework than they are meant to."""
    expected = os.environ.get("TESTED_ON", "starlette")
    assert expected == starlette.routing.Route.__module__.partition(".")[0]


async def note_time(request, call_next):
    """As access logs and metrics do."""
    started = time.perf_counter()
    response = await call_next(request)
    response.headers["x-seconds"] = f"{time.perf_counter() - started:.3f}"
    return response


async def leave_state(request, call_next):
    """As authentication does."""
    request.state.visitor = request.headers.get("x-visitor", "nobody")
    response = await call_next(request)
    response.headers["x-visitor"] = request.state.visitor
    return response


async def read_body(request, call_next):
    """As signature checks do."""
    body = await request.body()
    response = await call_next(request)
    response.headers["x-body-size"] = str(len(body))
    return response


async def watch_errors(request, call_next):
    """As error reporters do."""
    try:
        return await call_next(request)
    except Exception as exc:
        request.scope["failed"] = exc
        raise


@pytest.fixture
def four_layers():
    """Declarations of four dispatch layers, outermost first."""
    functions = (note_time, leave_state, read_body, watch_errors)
    return [Middleware(BaseHTTPMiddleware, dispatch=function) for function in functions]


@pytest.fixture
def passed():
    """Check that a response came through all four layers."""

    def check(response, *, body_size=0, visitor="nobody"):
        assert float(response.headers["x-seconds"]) < 20
        assert (visitor, str(body_size)) == (
            response.headers["x-visitor"],
            response.headers["x-body-size"],
        )
        return response

    return check
