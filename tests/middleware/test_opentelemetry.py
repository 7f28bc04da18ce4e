"""One server span a request: when it begins and ends, what it says, and what is current inside."""

import asyncio

import pytest
from opentelemetry import baggage, metrics, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.exceptions import HTTPException, UsageError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.opentelemetry import OpenTelemetryMiddleware
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route, Router
from tests.parity.drive import ask, exchange, http_scope, lifetime, request, websocket_scope

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{PARENT}-01")


class Recorder:
    """A provider, and the spans that have ended by it."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("tests")

    @property
    def spans(self):
        return {span.name: span for span in self.exporter.get_finished_spans()}

    @property
    def span(self):
        """The one server span."""
        (span,) = [span for span in self.spans.values() if span.kind is SpanKind.SERVER]
        return span

    @property
    def said(self):
        return dict(self.span.attributes)


@pytest.fixture
def recorder():
    """Give a provider of the test's own."""
    recorder = Recorder()
    yield recorder
    recorder.provider.shutdown()


def layer_of(recorder, **options):
    return Middleware(OpenTelemetryMiddleware, tracer_provider=recorder.provider, **options)


def app_of(recorder, endpoint, *layers, outside=(), path="/", **options):
    routes = [Route(path, endpoint, methods=["GET", "POST"])]
    return Lamella(routes=routes, middleware=[*outside, layer_of(recorder, **options), *layers])


async def plain(request):
    return PlainTextResponse("ok")


def answering(status):
    async def endpoint(request):
        return PlainTextResponse(status_code=status)

    return endpoint


# -- what it says ----------------------------------------------------------------------------------


def test_span_says_what_came_in_and_what_went_out(recorder):
    """By the names of the semantic conventions."""
    app = app_of(recorder, plain, path="/users/{name}")
    ask(app, "/users/ada", query=b"a=b", headers=[("host", "a.org:81"), ("user-agent", "tests")])
    assert "GET /users/{name}" == recorder.span.name
    assert SpanKind.SERVER is recorder.span.kind
    assert StatusCode.UNSET is recorder.span.status.status_code
    assert ("lamella", ()) == (recorder.span.instrumentation_scope.name, recorder.span.events)
    assert recorder.said == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/users/{name}",
        "url.path": "/users/ada",
        "url.query": "a=b",
        "url.scheme": "http",
        "server.address": "a.org",
        "server.port": 81,
        "client.address": "192.0.2.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "tests",
    }


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (204, StatusCode.UNSET, None),
        (404, StatusCode.UNSET, None),
        (499, StatusCode.UNSET, None),
        (500, StatusCode.ERROR, "500"),
        (503, StatusCode.ERROR, "503"),
    ],
)
def test_status_of_500_and_more_is_an_error(recorder, status, code, kind):
    """One of 400 is the client's."""
    ask(app_of(recorder, answering(status)))
    assert status == recorder.said["http.response.status_code"]
    assert code is recorder.span.status.status_code
    assert kind == recorder.said.get("error.type")


async def aborts(request):
    raise HTTPException(403)


def test_exception_that_was_answered_is_no_error(recorder):
    """It is how the endpoint answers."""
    ask(app_of(recorder, aborts))
    assert 403 == recorder.said["http.response.status_code"]
    assert () == recorder.span.events


async def fails(request):
    raise LookupError("lost")


async def fails_in_stream(request):
    async def pieces():
        yield b"a"
        raise LookupError("lost")

    return StreamingResponse(pieces())


@pytest.mark.parametrize(("endpoint", "status"), [(fails, 500), (fails_in_stream, 200)])
def test_unhandled_exception_is_recorded_once(recorder, endpoint, status):
    """Also one that a stream raised when the response had begun."""
    assert LookupError is type(ask(app_of(recorder, endpoint)).error)
    assert status == recorder.said["http.response.status_code"]
    assert "LookupError" == recorder.said["error.type"]
    assert (StatusCode.ERROR, "LookupError: lost") == (
        recorder.span.status.status_code,
        recorder.span.status.description,
    )
    (event,) = recorder.span.events
    assert "lost" == event.attributes["exception.message"]


def test_exception_that_a_layer_outside_answered_is_recorded(recorder):
    """Nobody else may tell of it."""

    async def catches(request, call_next):
        try:
            return await call_next(request)
        except LookupError:
            return PlainTextResponse("sorry", 503)

    outside = [Middleware(BaseHTTPMiddleware, dispatch=catches)]
    assert ask(app_of(recorder, fails, outside=outside)).error is None
    assert 503 == recorder.said["http.response.status_code"]
    assert "LookupError" == recorder.said["error.type"]
    assert 1 == len(recorder.span.events)


def test_client_that_left_is_no_error(recorder):
    """It is told as what it is."""

    async def endpoint(request):
        await request.body()

    reply = asyncio.run(
        exchange(app_of(recorder, endpoint), http_scope(), [{"type": "http.disconnect"}])
    )
    assert reply.error is None
    assert True is recorder.said["lamella.client_left"]
    assert "http.response.status_code" not in recorder.said
    assert StatusCode.UNSET is recorder.span.status.status_code
    assert () == recorder.span.events


def test_client_that_left_in_mid_stream_is_no_error(recorder):
    """The server's `send` says so."""

    async def endpoint(request):
        async def pieces():
            while True:
                yield b"a"

        return StreamingResponse(pieces())

    sent = []

    async def send(message):
        sent.append(message)
        if len(sent) == 3:
            raise OSError("gone")

    async def receive():
        await asyncio.Event().wait()

    asyncio.run(app_of(recorder, endpoint)(http_scope(), receive, send))
    assert (True, 200) == (
        recorder.said["lamella.client_left"],
        recorder.said["http.response.status_code"],
    )
    assert StatusCode.UNSET is recorder.span.status.status_code


def test_cancelled_request_ends_its_span(recorder):
    """The server shuts down; the endpoint did nothing wrong."""

    async def run():
        waiting = asyncio.Event()

        async def endpoint(request):
            waiting.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(request(app_of(recorder, endpoint)))
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    assert StatusCode.UNSET is recorder.span.status.status_code


@pytest.mark.parametrize(
    ("method", "name", "said", "original"),
    [
        ("GET", "GET /", "GET", None),
        ("get", "GET /", "GET", "get"),
        ("BREW", "HTTP /", "_OTHER", "BREW"),
        ("x" * 1000, "HTTP /", "_OTHER", "x" * 1000),
    ],
)
def test_method_that_a_client_made_up_names_no_span(recorder, method, name, said, original):
    """Each would be a series of its own where spans are counted."""
    ask(app_of(recorder, plain), method=method)
    assert name == recorder.span.name
    assert said == recorder.said["http.request.method"]
    assert original == recorder.said.get("http.request.method_original")


async def foreign(scope, receive, send):
    """A pure ASGI app."""
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b"a"})


ROUTES = [
    Route("/", plain),
    Mount("/api", app=Router([Route("/", plain), Route("/users/{name}", plain)])),
    Mount("/app", app=Lamella(routes=[Route("/{x}", plain)])),
    Mount("/raw", app=foreign),
]


@pytest.mark.parametrize("root_path", ["", "/root"])
@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/api/", "/api/"),
        ("/api/users/ada", "/api/users/{name}"),
        ("/api/none", "/api"),
        ("/app/1", "/app/{x}"),
        ("/raw/a/b", "/raw"),
        ("/none", None),
    ],
)
def test_span_is_named_by_the_route_from_the_root_on(recorder, path, route, root_path):
    """What was mounted is part of it; what matched no route has only its method."""
    app = Lamella(routes=ROUTES, middleware=[layer_of(recorder)])
    ask(app, root_path + path, root_path=root_path)
    route = None if route is None else root_path + route
    assert route == recorder.said.get("http.route")
    assert ("GET" if route is None else f"GET {route}") == recorder.span.name


def test_scope_with_little_in_it_is_served(recorder):
    """As some servers and tests give it."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    app = OpenTelemetryMiddleware(foreign, tracer_provider=recorder.provider)
    for _ in range(2):
        asyncio.run(exchange(app, scope))
    assert 2 == len(recorder.exporter.get_finished_spans())
    assert recorder.said == {
        "http.request.method": "GET",
        "http.response.status_code": 202,
        "url.path": "/",
        "url.scheme": "http",
    }


# -- what it belongs to ----------------------------------------------------------------------------


def test_parent_is_what_the_headers_say(recorder):
    """And the baggage is there inside."""
    seen = []

    async def endpoint(request):
        seen.append(baggage.get_baggage("a"))
        return PlainTextResponse()

    ask(app_of(recorder, endpoint), headers=[TRACEPARENT, ("baggage", "a=b")])
    assert (TRACE, PARENT) == (
        f"{recorder.span.context.trace_id:032x}",
        f"{recorder.span.parent.span_id:016x}",
    )
    assert recorder.span.parent.is_remote
    assert ["b"] == seen


@pytest.mark.parametrize("value", ["", "x", "00-0-0-0", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_malformed_parent_is_none(recorder, value):
    """A client may send anything."""
    assert 200 == ask(app_of(recorder, plain), headers=[("traceparent", value)]).status
    assert recorder.span.parent is None


class Wraps:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, lambda message: send(message))


async def passes(request, call_next):
    return await call_next(request)


DISPATCH = Middleware(BaseHTTPMiddleware, dispatch=passes)
WRAPS = Middleware(Wraps)
AROUND = [[], [DISPATCH], [WRAPS], [WRAPS, DISPATCH], [DISPATCH, WRAPS]]


@pytest.mark.parametrize("outside", AROUND)
@pytest.mark.parametrize("inside", AROUND)
def test_spans_made_inside_are_children(recorder, inside, outside):
    """In a layer, the endpoint, the stream and the background task."""

    def make(name):
        with recorder.tracer.start_as_current_span(name):
            pass

    async def dispatch(request, call_next):
        make("layer")
        return await call_next(request)

    async def endpoint(request):
        make("endpoint")

        async def pieces():
            make("stream")
            yield b"a"

        async def after():
            make("background")

        return StreamingResponse(pieces(), background=BackgroundTask(after))

    layers = [*inside, Middleware(BaseHTTPMiddleware, dispatch=dispatch)]
    ask(app_of(recorder, endpoint, *layers, outside=outside))
    children = {
        name for name, span in recorder.spans.items() if span.parent == recorder.span.context
    }
    assert {"layer", "endpoint", "stream", "background"} == children


def test_span_ends_when_the_response_was_sent(recorder):
    """Its time is what the client waited, without what is done afterwards."""
    seen = []

    async def endpoint(request):
        async def pieces():
            seen.append("GET /" in recorder.spans)
            yield b"a"

        async def after():
            seen.append("GET /" in recorder.spans)

        return StreamingResponse(pieces(), background=BackgroundTask(after))

    ask(app_of(recorder, endpoint))
    assert [False, True] == seen


def test_what_was_current_outside_is_current_again(recorder):
    """A request made inside another, in the same task, comes back to it."""
    inner = app_of(recorder, plain, path="/inner")
    names = []

    def current():
        return getattr(trace.get_current_span(), "name", None)

    async def endpoint(asked):
        names.append(current())
        await request(inner, "/inner")
        names.append(current())
        return PlainTextResponse()

    async def run():
        await app_of(recorder, endpoint, path="/outer")(http_scope("/outer"), None, send)
        names.append(current())

    async def send(message):
        """Nobody looks."""

    asyncio.run(run())
    assert ["GET", "GET", None] == names
    inner_span, outer_span = recorder.spans["GET /inner"], recorder.spans["GET /outer"]
    assert outer_span.context == inner_span.parent


def test_layer_that_runs_the_inside_in_a_task_of_its_own_has_its_own_context(recorder):
    """It is left alone, though the span ends there."""
    names = []

    class Tasks:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await asyncio.create_task(self.app(scope, receive, send))

    async def dispatch(request, call_next):
        with recorder.tracer.start_as_current_span("outside"):
            response = await call_next(request)
            names.append(trace.get_current_span().name)
            return response

    outside = [Middleware(BaseHTTPMiddleware, dispatch=dispatch), Middleware(Tasks)]
    ask(app_of(recorder, plain, outside=outside))
    assert ["outside"] == names
    assert recorder.spans["outside"].context == recorder.span.parent


def test_request_whose_inside_runs_again_has_one_span(recorder):
    """It is one request still."""
    runs = []

    async def retry(request, call_next):
        await call_next(request)
        return await call_next(request)

    async def endpoint(request):
        runs.append(trace.get_current_span().get_span_context().span_id)
        return PlainTextResponse()

    ask(app_of(recorder, endpoint, outside=[Middleware(BaseHTTPMiddleware, dispatch=retry)]))
    assert [recorder.span.context.span_id] * 2 == runs
    assert 1 == len(recorder.exporter.get_finished_spans())


def test_of_several_layers_the_outermost_makes_the_span(recorder):
    """As with an application mounted in another."""
    inner = app_of(recorder, plain, layer_of(recorder))
    app = Lamella(routes=[Mount("/a", app=inner)], middleware=[layer_of(recorder)])
    ask(app, "/a/")
    assert ["GET /a/"] == list(recorder.spans)


# -- what is not traced ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("excluded", "traced"),
    [
        ((), True),
        ("", True),
        (",", True),
        ("/other", True),
        ("/health", False),
        ("/a, /health/$", False),
        (["/a", r"^http://testserver/health/$"], False),
    ],
)
def test_excluded_url_is_not_traced(recorder, excluded, traced):
    """Nor by a layer further in."""
    layer = layer_of(recorder, excluded_urls=excluded)
    app = Lamella(routes=[Mount("/health", app=app_of(recorder, plain))], middleware=[layer])
    scope = http_scope("/health/")
    assert 200 == asyncio.run(exchange(app, scope)).status
    assert traced == bool(recorder.spans)
    assert [] == [key for key in scope if "telemetry" in key]


def test_wrong_expression_is_refused_when_the_stack_is_built(recorder):
    """With what is wrong with it."""
    with pytest.raises(UsageError, match=r"excluded_urls.*got '\(': .*unterminated"):
        OpenTelemetryMiddleware(foreign, excluded_urls=["/a", "("])


def test_nothing_is_made_for_a_provider_that_makes_nothing():
    """Tracing that is switched off costs no exchange either."""
    exchanges = []

    async def endpoint(request):
        exchanges.append(request._exchange)
        return PlainTextResponse()

    layer = Middleware(OpenTelemetryMiddleware, tracer_provider=trace.NoOpTracerProvider())
    reply = ask(Lamella(routes=[Route("/", endpoint)], middleware=[layer]))
    assert 200 == reply.status
    assert [None] == exchanges


def test_global_provider_counts_without_one(recorder, monkeypatch):
    """Though it is set up when the stack is built already."""
    proxy = trace.ProxyTracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: proxy)
    app = OpenTelemetryMiddleware(foreign, meter_provider=metrics.NoOpMeterProvider())
    monkeypatch.setattr(trace.ProxyTracerProvider, "get_tracer", recorder.provider.get_tracer)
    ask(app)
    assert "GET" == recorder.span.name


def test_lifespan_passes(recorder):
    """It is no request."""
    kinds = [message["type"] for message in lifetime(app_of(recorder, plain)).messages]
    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == kinds
    assert {} == recorder.spans


# -- websockets ------------------------------------------------------------------------------------


async def talk(scope, receive, send):
    scope["current"].append(trace.get_current_span().is_recording())
    await send({"type": "websocket.accept"})


async def breaks(scope, receive, send):
    raise LookupError("lost")


def talk_to(app, **options):
    layer = OpenTelemetryMiddleware(app, **options)
    current = []
    scope = websocket_scope("/a", current=current)
    reply = asyncio.run(exchange(layer, scope))
    assert "lamella.opentelemetry" not in scope
    return reply, current


def test_websocket_is_not_traced_unless_it_is_asked_for(recorder):
    """It may last for days, and its span is told when it ends."""
    assert [False] == talk_to(talk, tracer_provider=recorder.provider)[1]
    assert {} == recorder.spans


def test_websocket_has_a_span_where_it_is_asked_for(recorder):
    """As long as it lasts."""
    options = {"tracer_provider": recorder.provider, "websockets": True}
    reply, current = talk_to(talk, **options)
    assert [True] == current
    assert reply.error is None
    assert ("GET", "ws", "/a") == (
        recorder.span.name,
        recorder.said["url.scheme"],
        recorder.said["url.path"],
    )
    recorder.exporter.clear()
    assert [] == talk_to(talk, **options, excluded_urls="/b")[1][1:]
    assert "GET" == recorder.span.name
    recorder.exporter.clear()
    assert [False] == talk_to(talk, **options, excluded_urls="/a")[1]
    assert LookupError is type(talk_to(breaks, **options, excluded_urls="/a")[0].error)
    assert {} == recorder.spans


def test_error_of_a_websocket_is_recorded(recorder):
    """And goes to the server."""
    reply, _ = talk_to(breaks, tracer_provider=recorder.provider, websockets=True)
    assert LookupError is type(reply.error)
    assert "LookupError" == recorder.said["error.type"]
    assert ["exception"] == [event.name for event in recorder.span.events]
