"""starlette-context: data of a request, everywhere in it, by a ContextVar."""

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette_context import context, plugins
from starlette_context.middleware import ContextMiddleware, RawContextMiddleware


async def read_inside(request, call_next):
    """A layer inside of the context, which sees it on both ways."""
    context["inside"] = "in"
    response = await call_next(request)
    response.headers["x-inside"] = f"{context['inside']} {context['endpoint']}"
    return response


async def show(request):
    context["endpoint"] = "seen"
    return JSONResponse({**context.data})


def show_in_thread(request):
    context["endpoint"] = "thread"
    return PlainTextResponse(context["X-Request-ID"])


async def stream(request):
    context["endpoint"] = "stream"

    async def pieces():
        yield context["X-Request-ID"]
        yield context["endpoint"]

    return StreamingResponse(pieces())


later = []


async def leave_work(request):
    def note():
        later.append(context["X-Request-ID"])

    async def note_async():
        note()

    context["endpoint"] = "later"
    tasks = BackgroundTasks([BackgroundTask(note), BackgroundTask(note_async)])
    return PlainTextResponse("later", background=tasks)


async def fail(request):
    context["endpoint"] = "fail"
    raise ValueError(context["X-Request-ID"])


@pytest.fixture(params=[ContextMiddleware, RawContextMiddleware])
def client(request, four_layers):
    given = (plugins.RequestIdPlugin(), plugins.CorrelationIdPlugin(validate=False))
    layers = [
        *four_layers[:2],
        Middleware(request.param, plugins=given),
        *four_layers[2:],
        Middleware(BaseHTTPMiddleware, dispatch=read_inside),
    ]
    paths = {"/": show, "/thread": show_in_thread, "/stream": stream, "/later": leave_work}
    routes = [Route(path, endpoint) for path, endpoint in {**paths, "/fail": fail}.items()]

    async def told(request, exc):
        return PlainTextResponse(f"failed {exc}", 400)

    handlers = {ValueError: told}
    return TestClient(Starlette(routes=routes, middleware=layers, exception_handlers=handlers))


ID = "0a1b2c3d4e5f40718293a4b5c6d7e8f9"


def test_the_endpoint_sees_what_layers_left(client, passed):
    response = passed(client.get("/", headers={"x-request-id": ID, "x-correlation-id": "c"}))
    assert {
        "X-Request-ID": ID,
        "X-Correlation-ID": "c",
        "inside": "in",
        "endpoint": "seen",
    } == response.json()
    assert (ID, "c") == (response.headers["x-request-id"], response.headers["x-correlation-id"])
    assert "in seen" == response.headers["x-inside"]


def test_a_request_without_an_id_gets_one(client, passed):
    ids = {passed(client.get("/")).headers["x-request-id"] for _ in range(2)}
    assert 2 == len(ids)


def test_a_wrong_id_is_refused(client):
    assert 400 == client.get("/", headers={"x-request-id": "nonsense"}).status_code


def test_threads_and_handlers_see_it(client, passed):
    headers = {"x-request-id": ID}
    assert ID == passed(client.get("/thread", headers=headers)).text
    assert f"failed {ID}" == client.get("/fail", headers=headers).text


def test_streams_see_it(client, passed):
    headers = {"x-request-id": ID}
    assert ID + "stream" == passed(client.get("/stream", headers=headers)).text


def test_background_tasks_see_it(client, passed):
    passed(client.get("/later", headers={"x-request-id": ID}))
    assert [ID, ID] == [later.pop(), later.pop()]


def test_two_requests_do_not_mix(client):
    first = client.get("/", headers={"x-request-id": ID, "x-correlation-id": "1"}).json()
    second = client.get("/", headers={"x-correlation-id": "2"}).json()
    assert ("1", "2") == (first["X-Correlation-ID"], second["X-Correlation-ID"])
    assert first["X-Request-ID"] != second["X-Request-ID"]
