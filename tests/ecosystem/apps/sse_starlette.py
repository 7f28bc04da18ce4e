"""sse-starlette: events from a generator, and a client that goes away."""

import anyio
import pytest
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient


@pytest.fixture
def log():
    return []


@pytest.fixture
def app(log, four_layers):
    async def ticks(request):
        async def events():
            for number in range(3):
                yield {"event": "tick", "id": str(number), "data": f"{number}\nmore"}
            yield ServerSentEvent("bye", event="end")
            log.append("sent")

        async def after():
            log.append("after")

        return EventSourceResponse(events(), headers={"x-kind": "ticks"}, background=after)

    async def endless(request):
        async def events():
            try:
                while True:
                    yield {"data": "again"}
                    await anyio.lowlevel.checkpoint()
            finally:
                log.append("closed")

        async def left(message):
            log.append("left")

        return EventSourceResponse(events(), client_close_handler_callable=left)

    async def failing(request):
        async def events():
            yield {"data": "first"}
            raise ValueError("no more")

        return EventSourceResponse(events())

    async def upload(request):
        async with request.form() as form:
            content = await form["file"].read()

        async def events():
            yield {"data": content.decode()}

        return EventSourceResponse(events())

    routes = [
        Route("/ticks", ticks),
        Route("/endless", endless),
        Route("/failing", failing),
        Route("/upload", upload, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=four_layers)


def test_events_arrive_as_they_were_sent(app, passed, log):
    response = passed(TestClient(app).get("/ticks"))
    assert "text/event-stream; charset=utf-8" == response.headers["content-type"]
    assert ("no-store", "ticks") == (response.headers["cache-control"], response.headers["x-kind"])
    events = response.text.split("\r\n\r\n")
    assert "id: 1\r\nevent: tick\r\ndata: 1\r\ndata: more" == events[1]
    assert "event: end\r\ndata: bye" == events[3]
    assert ["sent", "after"] == log


@pytest.mark.parametrize("layers", [0, 2])
def test_events_may_follow_an_upload(app, four_layers, layers):
    """They listen for the client's leaving on the channel that the form came on."""
    app = Starlette(routes=app.routes, middleware=four_layers[:layers])
    response = TestClient(app).post("/upload", files={"file": b"content"})
    assert "data: content\r\n\r\n" == response.text


def test_head_sends_no_events(app, passed, log):
    assert "" == passed(TestClient(app).head("/ticks")).text


def test_an_error_in_the_events_reaches_the_server(app):
    with pytest.raises(ValueError, match="no more"):
        TestClient(app).get("/failing")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_client_that_goes_away_ends_the_events(app, log, backend):
    sent = []

    async def visit():
        gone = anyio.Event()
        body = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            if body:
                return body.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if len(sent) == 4:
                gone.set()

        scope = {"type": "http", "method": "GET", "path": "/endless", "headers": []}
        with anyio.fail_after(10):
            await app({**scope, "query_string": b"", "asgi": {"version": "3.0"}}, receive, send)

    # A loop of its own ends with the task that the package leaves there to watch the server.
    anyio.run(visit, backend=backend)
    assert b"data: again\r\n\r\n" == sent[1]["body"]
    assert {"closed", "left"} == set(log)
