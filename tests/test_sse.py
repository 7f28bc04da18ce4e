"""Server-sent events: the format, what may not be sent, silence, and how a stream ends."""

import json

import anyio
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamella._endpoint import request_response
from lamella.exceptions import LamellaError
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.gzip import GZipMiddleware
from lamella.sse import (
    EventSourceResponse,
    ServerSentEvent,
    end_event_streams,
    event_source,
    format_sse_event,
)
from tests.loops import cancelled, current, never, peace, spawn, turns, until, within
from tests.parity.drive import Reply, ask, http_scope, request


class Impatient(EventSourceResponse):
    ping_interval = 0


def compact(value):
    return json.dumps(value).encode()


def app_of(items, response_class=EventSourceResponse, **options):
    """An app whose one endpoint yields these, as a typed endpoint does."""

    async def endpoint(request):
        return event_source(items(), compact, response_class=response_class, **options)

    return request_response(endpoint)


def parsed(body):
    """The events of a stream as a browser reads them (HTML standard, section 9.2.6)."""
    events, event = [], {}
    for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        if line == "":
            if "data" in event:
                events.append({**event, "data": event["data"][:-1]})
            event = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            event["data"] = event.get("data", "") + value + "\n"
        elif name in ("event", "id", "retry"):
            event[name] = value
    return events


# -- one event -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, b"\n"),
        ({"data_str": ""}, b"data: \n\n"),
        ({"data_str": "one"}, b"data: one\n\n"),
        ({"data_str": "one\n"}, b"data: one\ndata: \n\n"),
        ({"data_str": "one\r\ntwo\rthree"}, b"data: one\ndata: two\ndata: three\n\n"),
        ({"data_str": "a\x0bb\x85\u2028"}, "data: a\x0bb\x85\u2028\n\n".encode()),
        ({"comment": "hi\nyou"}, b": hi\n: you\n\n"),
        ({"retry": 0}, b"retry: 0\n\n"),
        (
            {"data_str": "d", "event": "e", "id": "i", "retry": 5, "comment": "c"},
            b": c\nevent: e\ndata: d\nid: i\nretry: 5\n\n",
        ),
    ],
)
def test_an_event_is_written_as_the_html_standard_has_it(fields, expected):
    """Only CR, LF and both end a line."""
    assert expected == format_sse_event(**fields)


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("name", ["event", "id"])
def test_a_line_break_in_a_field_of_one_line_is_refused(name, line_break):
    text = f"a{line_break}data: forged"
    with pytest.raises(ValueError, match=f"SSE '{name}' must be a single line"):
        ServerSentEvent(data=1, **{name: text})
    with pytest.raises(ValueError, match=f"SSE '{name}' must be a single line"):
        format_sse_event(**{name: text})


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"id": "a\0b"}, "null characters"),
        ({"retry": -1}, "0 or more"),
        ({"retry": 1.5}, "1.5"),
        ({"retry": True}, "True"),
        ({"retry": "5"}, "'5'"),
        ({"event": 1}, "'event' to be a str"),
        ({"id": 1}, "'id' to be a str"),
        ({"comment": b"no"}, "'comment' to be a str"),
        ({"raw_data": {"a": 1}}, "'raw_data' to be a str"),
        ({"data": 0, "raw_data": ""}, "Cannot set both"),
    ],
)
def test_an_event_that_cannot_be_sent_is_refused_when_it_is_made(fields, text):
    with pytest.raises(ValueError, match=text) as caught:
        ServerSentEvent(**fields)
    assert isinstance(caught.value, LamellaError)


text = st.text(st.characters(codec="utf-8"))


@given(text, text.filter(lambda it: not {"\r", "\n"} & set(it)), text)
def test_no_value_begins_another_field_or_event(data, event, comment):
    """Whatever a client had them be, a browser reads one event."""
    sent = format_sse_event(data_str=data, event=event, comment=comment).decode()
    lines = data.replace("\r\n", "\n").replace("\r", "\n")
    assert [{"event": event, "data": lines}] == parsed(sent)


def test_a_lone_surrogate_breaks_no_stream():
    """A client can put one into JSON, and an endpoint may send it back."""
    assert b"data: a?\n\n" == format_sse_event(data_str="a\ud800")

    async def items():
        yield ServerSentEvent(data="\ud800")
        yield ServerSentEvent(raw_data="\ud800", event="\ud800", id="\ud800", comment="\ud800")

    body = ask(app_of(items)).body
    assert b'data: "\\ud800"\n\n: ?\nevent: ?\ndata: ?\nid: ?\n\n' == body


# -- the stream ------------------------------------------------------------------------------------


async def mixed():
    yield {"n": 1}
    yield ServerSentEvent(data={"n": 2}, event="special", id="7")
    yield ServerSentEvent(raw_data="<b>3</b>\nx")
    yield "text"


MIXED = (
    b'data: {"n": 1}\n\n'
    b'event: special\ndata: {"n":2}\nid: 7\n\n'
    b"data: <b>3</b>\ndata: x\n\n"
    b'data: "text"\n\n'
)


def mixed_sync():
    yield {"n": 1}
    yield ServerSentEvent(data={"n": 2}, event="special", id="7")
    yield ServerSentEvent(raw_data="<b>3</b>\nx")
    yield "text"


@pytest.mark.parametrize("items", [mixed, mixed_sync, lambda: list(mixed_sync())])
def test_each_item_becomes_an_event(items):
    """One that is no event is data, in the JSON of its declared type."""
    reply = ask(app_of(items))
    assert MIXED == reply.body
    assert reply.complete
    assert (200, "text/event-stream; charset=utf-8") == (
        reply.status,
        reply.headers["content-type"],
    )
    assert "no-cache" == reply.headers["cache-control"]
    assert "no" == reply.headers["x-accel-buffering"]
    assert "content-length" not in reply.headers


def test_json_of_more_than_one_line_is_more_than_one_line_of_data():
    async def endpoint(request):
        return event_source([{"n": 1}], lambda item: json.dumps(item, indent=1).encode())

    body = ask(request_response(endpoint)).text
    assert 'data: {\ndata:  "n": 1\ndata: }\n\n' == body
    assert {"n": 1} == json.loads(parsed(body)[0]["data"])


def test_status_headers_and_class_are_the_endpoints():
    class Own(EventSourceResponse):
        media_type = "text/event-stream; v=2"

        def __init__(self, content, status_code=201):
            super().__init__(content, status_code)

    reply = ask(app_of(list, Own))
    assert (201, "text/event-stream; v=2; charset=utf-8") == (
        reply.status,
        reply.headers["content-type"],
    )
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "yes", "x-own": "1"}
    reply = ask(app_of(list, status_code=202, headers=headers))
    assert 202 == reply.status
    assert ("no-store", "yes", "1") == tuple(
        reply.headers[name] for name in ("cache-control", "x-accel-buffering", "x-own")
    )


class Point(msgspec.Struct):
    x: int


class Model(pydantic.BaseModel):
    x: float


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("text", '"text"'),
        (0, "0"),
        (Point(1), '{"x":1}'),
        (Model(x=1.5), '{"x":1.5}'),
        ([Model(x=1), Point(2)], '[{"x":1.0},{"x":2}]'),
        (float("nan"), "null"),
        ("a\nb", '"a\\nb"'),
    ],
)
def test_data_is_sent_as_json(data, expected):
    """Models of pydantic by their own means."""
    reply = ask(app_of(lambda: [ServerSentEvent(data=data)]))
    assert f"data: {expected}\n\n" == reply.text


def test_a_response_made_by_hand_sends_text_as_it_is():
    """As FastAPI's, which is a plain stream then; and what is no text, as an event."""

    async def endpoint(request):
        items = [b": hello\n\n", "data: 1\n\n", ServerSentEvent(data=2), {"n": 3}]
        return EventSourceResponse(items, headers={"x-own": "1"})

    reply = ask(request_response(endpoint))
    assert b': hello\n\ndata: 1\n\ndata: 2\n\ndata: {"n":3}\n\n' == reply.body
    assert ("1", "no-cache") == (reply.headers["x-own"], reply.headers["cache-control"])


def test_an_event_that_was_changed_to_what_may_not_be_sent_is_not():
    """The stream is broken off, and not ended as if it were whole."""
    event = ServerSentEvent(data=1)
    event.event = "a\ndata: forged"
    reply = ask(app_of(lambda: [event]))
    assert b"" == reply.body
    assert not reply.complete
    assert isinstance(reply.error, ValueError)


def test_data_that_is_no_json_says_so():
    reply = ask(app_of(lambda: [ServerSentEvent(data=object())]))
    assert (False, TypeError) == (reply.complete, type(reply.error))
    assert "Expected data that can be sent as JSON, got object" in str(reply.error)


def test_a_response_class_may_put_events_of_its_own_around():
    """It is given events as they are sent, and what it makes of them is sent."""

    class Framed(EventSourceResponse):
        def __init__(self, content):
            super().__init__(self.framed(content))

        async def framed(self, events):
            yield ": begin\n\n"
            async for event in events:
                yield event
            yield ServerSentEvent(event="end", data=None)

    assert b": begin\n\n" + MIXED + b"event: end\n\n" == ask(app_of(mixed, Framed)).body


@pytest.mark.parametrize("items", ["async", "sync"])
def test_an_error_in_the_middle_breaks_the_stream_off(items):
    """A client must see that there was more; what was made before has been sent."""
    closed = []

    async def fails():
        try:
            yield 1
            raise LookupError("broken")
        finally:
            closed.append(True)

    def fails_sync():
        try:
            yield 1
            raise LookupError("broken")
        finally:
            closed.append(True)

    reply = ask(app_of(fails if items == "async" else fails_sync))
    assert (b"data: 1\n\n", False) == (reply.body, reply.complete)
    assert isinstance(reply.error, LookupError)
    assert [True] == closed


# -- below layers ----------------------------------------------------------------------------------


async def passing(request, call_next):
    return await call_next(request)


@pytest.mark.parametrize("layers", [1, 3])
def test_layers_pass_it_on_as_it_is(layers):
    app = app_of(mixed)
    for _ in range(layers):
        app = BaseHTTPMiddleware(app, passing)
    assert (MIXED, True) == (ask(app).body, ask(app).complete)


def test_gzip_lets_events_through_at_once():
    """Compressed, they would wait for one another."""
    app = GZipMiddleware(app_of(mixed), minimum_size=1)
    assert MIXED == ask(app, headers=[("accept-encoding", "gzip")]).body


# -- silence ---------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("layered", [False, True])
async def test_a_comment_is_sent_while_nothing_comes(layered):
    """The generator is not disturbed: it goes on where it waits."""
    ready, tasks = anyio.Event(), set()

    async def items():
        for number in range(2):
            tasks.add(current())
            yield number
            await ready.wait()

    app = app_of(items, Impatient)
    if layered:
        app = BaseHTTPMiddleware(app, passing)
    client = Client()
    job = spawn(client.get(app))
    await until(lambda: client.body.count(b": ping\n\n") > 2)
    ready.set()
    await within(job)
    assert b"data: 0\n\ndata: 1\n\n" == client.body.replace(b": ping\n\n", b"")
    assert client.reply.complete
    assert 1 == len(tasks)


@pytest.mark.anyio
async def test_no_comment_is_sent_where_items_come():
    reply = await request(app_of(mixed))
    assert MIXED == reply.body


def test_the_interval_is_a_class_attribute():
    """15 seconds, as the HTML standard advises."""
    assert 15 == EventSourceResponse.ping_interval

    class Silent(EventSourceResponse):
        ping_interval = None

    assert MIXED == ask(app_of(mixed, Silent)).body


# -- the end ---------------------------------------------------------------------------------------


class Client:
    """A client that stays until it is told to leave."""

    def __init__(self):
        self.leaves = anyio.Event()
        self.reply = Reply()
        self._asked = False

    @property
    def body(self):
        return self.reply.body

    async def get(self, app):
        await app(http_scope(), self._receive, self._send)

    async def _receive(self):
        if not self._asked:
            self._asked = True
            return {"type": "http.request"}
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.reply.messages.append(message)


@pytest.mark.anyio
@pytest.mark.parametrize("layered", [False, True])
@pytest.mark.parametrize("waits", [False, True], ids=["busy", "idle"])
async def test_when_the_client_leaves_the_items_are_closed_in_their_own_task(layered, waits):
    """Whether they wait for something or come without end."""
    left = []

    async def items():
        mine = current()
        try:
            while True:
                yield 1
                if waits:
                    await never()
        except (GeneratorExit, cancelled()) as exc:
            left.append((type(exc), current() is mine))
            raise
        finally:
            with peace():
                await turns()
            left.append("closed")

    app = app_of(items)
    if layered:
        app = BaseHTTPMiddleware(app, passing)
    client = Client()
    job = spawn(client.get(app))
    await until(lambda: client.body)
    client.leaves.set()
    await within(job)
    (kind, is_mine), closed = left
    assert kind in ((cancelled(),) if waits else (GeneratorExit, cancelled()))
    assert (True, "closed") == (is_mine, closed)
    assert not client.reply.complete


@pytest.mark.anyio
async def test_when_the_request_is_cancelled_the_items_are_closed():
    left = []

    async def items():
        try:
            yield 1
            await never()
        finally:
            left.append("closed")

    client = Client()
    job = spawn(client.get(app_of(items)))
    await until(lambda: client.body)
    job.cancel()
    await until(job.done)
    assert job.cancelled()
    assert ["closed"] == left


@pytest.mark.anyio
async def test_a_dispatch_layer_that_discards_the_stream_closes_it():
    """It never began; there is nothing to wait for."""
    begun = []

    async def items():
        begun.append(True)
        yield 1

    async def other(request, call_next):
        await call_next(request)
        return EventSourceResponse(["data: other\n\n"])

    reply = await request(BaseHTTPMiddleware(app_of(items), other))
    assert (b"data: other\n\n", []) == (reply.body, begun)


@pytest.mark.anyio
async def test_at_shutdown_streams_end_as_if_their_endpoints_were_done():
    """A client sees a whole response, and connects again by itself."""
    left = []

    async def items():
        try:
            yield 1
            await never()
        finally:
            left.append("closed")

    client = Client()
    job = spawn(client.get(app_of(items)))
    await until(lambda: client.body)
    assert 1 == end_event_streams()
    await within(job)
    assert client.reply.complete
    assert ["closed"] == left
    assert 0 == end_event_streams()
