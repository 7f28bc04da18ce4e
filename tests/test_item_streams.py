"""Responses made of what an endpoint yields: lines of JSON, and text as it is."""

import contextvars
import json

import anyio
import pytest

from lamella._endpoint import request_response
from lamella._item_streams import json_lines, raw_stream
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import StreamingResponse
from tests.loops import spawn, turns, until, within
from tests.parity.drive import ask, http_scope

word = contextvars.ContextVar("word", default="none")


def encode(item):
    return json.dumps(item).encode()


def app_of(make, *args, **options):
    async def endpoint(request):
        return make(*args, **options)

    return request_response(endpoint)


async def items():
    for number in range(3):
        yield {"n": number}


def items_sync():
    for number in range(3):
        yield {"n": number}


LINES = b'{"n": 0}\n{"n": 1}\n{"n": 2}\n'


@pytest.mark.parametrize("make", [items, items_sync, lambda: list(items_sync())])
def test_each_item_is_a_line_of_json(make):
    """Each a message of its own, as soon as it is there."""

    async def endpoint(request):
        return json_lines(make(), encode)

    reply = ask(request_response(endpoint))
    assert (200, "application/jsonl", LINES) == (
        reply.status,
        reply.headers["content-type"],
        reply.body,
    )
    assert [b'{"n": 0}\n', b'{"n": 1}\n', b'{"n": 2}\n', b""] == [
        message["body"] for message in reply.messages[1:]
    ]
    assert reply.complete


def test_status_headers_and_media_type_are_the_endpoints():
    app = app_of(
        json_lines, [], encode, status_code=202, headers={"x-own": "1"}, media_type="application/x"
    )
    reply = ask(app)
    assert (202, "1", "application/x") == (
        reply.status,
        reply.headers["x-own"],
        reply.headers["content-type"],
    )
    assert (b"", True) == (reply.body, reply.complete)


def test_raw_items_go_out_as_they_are():
    reply = ask(app_of(raw_stream, ["a", b"b", "ä"]))
    assert (200, "abä") == (reply.status, reply.text)
    assert "content-type" not in reply.headers


def test_raw_items_have_the_class_that_the_route_names():
    """Which is given no more than what the route says."""

    class Picture(StreamingResponse):
        media_type = "image/png"

        def __init__(self, content):
            super().__init__(content, status_code=206)

    reply = ask(app_of(raw_stream, [b"png"], response_class=Picture))
    assert (206, "image/png", b"png") == (reply.status, reply.headers["content-type"], reply.body)
    reply = ask(app_of(raw_stream, [b"png"], status_code=203, headers={"x-own": "1"}))
    assert (203, "1") == (reply.status, reply.headers["x-own"])


def test_an_item_that_cannot_be_encoded_breaks_the_stream_off():
    """And the generator is closed."""
    closed = []

    async def odd():
        try:
            yield 1
            yield object()
        finally:
            closed.append(True)

    async def endpoint(request):
        return json_lines(odd(), encode)

    reply = ask(request_response(endpoint))
    assert (b"1\n", False, TypeError) == (reply.body, reply.complete, type(reply.error))
    assert [True] == closed


def test_a_sync_generator_is_closed_when_an_item_cannot_be_encoded():
    closed = []

    def odd():
        try:
            yield object()
            yield 1
        finally:
            closed.append(True)

    async def endpoint(request):
        return json_lines(odd(), encode)

    reply = ask(request_response(endpoint))
    assert (b"", False, [True]) == (reply.body, reply.complete, closed)


def test_items_that_cannot_be_closed_are_left():
    class Items:
        count = 0

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.count += 1
            if self.count > 2:
                raise StopAsyncIteration
            return self.count

    assert b"1\n2\n" == ask(app_of(json_lines, Items(), encode)).body


def test_context_variables_of_a_layer_are_seen_to_the_end():
    """Also what it resets when the response has returned to it."""

    async def layer(request, call_next):
        token = word.set("layer")
        try:
            return await call_next(request)
        finally:
            word.reset(token)

    async def seen():
        yield word.get()
        yield word.get()

    async def endpoint(request):
        return json_lines(seen(), encode)

    app = BaseHTTPMiddleware(request_response(endpoint), layer)
    assert b'"layer"\n"layer"\n' == ask(app).body


@pytest.mark.anyio
@pytest.mark.parametrize("make", [json_lines, raw_stream])
async def test_a_generator_that_waits_for_nothing_can_be_cancelled(make):
    """The others have a turn between two items; else one endless stream would stop the server."""

    async def endless():
        while True:
            yield "1"

    sent = []

    async def receive():
        await anyio.Event().wait()

    async def send(message):
        sent.append(message)

    app = app_of(make, endless(), *([encode] if make is json_lines else []))
    scope = http_scope() | {"asgi": {"version": "3.0", "spec_version": "2.4"}}
    job = spawn(app(scope, receive, send))
    await until(lambda: len(sent) > 3)
    job.cancel()
    await until(job.done)
    assert job.cancelled()


@pytest.mark.anyio
async def test_nothing_is_made_ahead_of_a_client_that_reads_slowly():
    made, may_send = [], anyio.Semaphore(0)

    async def endless():
        while True:
            made.append(len(made))
            yield made[-1]

    leaves = anyio.Event()

    async def receive():
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        await may_send.acquire()

    app = app_of(json_lines, endless(), encode)
    job = spawn(app(http_scope(), receive, send))
    for count in range(4):
        await turns(20)
        assert count == len(made)
        may_send.release()
    leaves.set()
    await within(job)
    assert 3 == len(made)
