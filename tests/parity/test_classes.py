"""What classes do when they are awaited or served, on both: the same effects and messages."""

import asyncio
import io
import tempfile
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parity.drive import ask, exchange, http_scope, request, websocket_scope
from tests.parity.frameworks import BOTH
from tests.parity.test_values import SPACES, agreeing, outcome

FRAMEWORKS = [SimpleNamespace(**(names | vars(fw))) for names, fw in zip(SPACES, BOTH, strict=True)]

few = settings(max_examples=40)


def same(live):
    """Fail unless a coroutine function of a framework gives or raises the same on both."""
    theirs, ours = (outcome(lambda fw=fw: asyncio.run(live(fw))) for fw in FRAMEWORKS)
    assert theirs == agreeing(theirs, ours)
    return theirs


async def told_by(awaitable):
    """What an awaitable gives, or the `repr` of what it raises."""
    try:
        return await awaitable
    except Exception as exc:
        return repr(exc)


# -- background tasks ------------------------------------------------------------------------------


def test_same_order_of_background_tasks():
    """Sync and async, those that a task adds, and none after one that fails."""

    async def live(fw):
        log = []

        async def note(*args, **kwargs):
            log.append((args, kwargs))

        def fail():
            raise LookupError("lost")

        tasks = fw.BackgroundTasks([fw.BackgroundTask(note, 1, a=2)])
        tasks.add_task(log.append, "sync")
        tasks.add_task(lambda: tasks.add_task(note, "added"))
        await tasks()
        failing = fw.BackgroundTasks([tasks, fw.BackgroundTask(fail), tasks])
        return await told_by(failing()), log

    assert "lost" in str(same(live))


# -- files and forms -------------------------------------------------------------------------------

FILE_STEPS = st.one_of(
    st.tuples(st.just("write"), st.binary(max_size=6)),
    st.tuples(st.just("read"), st.integers(-1, 9)),
    st.tuples(st.just("read")),
    st.tuples(st.just("seek"), st.integers(-1, 9)),
    st.tuples(st.just("close")),
)
FILES = {
    "in memory": lambda: tempfile.SpooledTemporaryFile(max_size=100),
    "moving to disk": lambda: tempfile.SpooledTemporaryFile(max_size=4),
    "of bytes": lambda: io.BytesIO(b"abc"),
}


@pytest.mark.parametrize("kind", FILES)
@given(steps=st.lists(FILE_STEPS, max_size=6), size=st.sampled_from([None, 0]))
@few
def test_same_file_after_any_steps(kind, steps, size):
    """Content, position, size, and the errors of a file that is closed."""

    async def live(fw):
        told = []
        with FILES[kind]() as file:
            upload = fw.UploadFile(file, size=size)
            for name, *args in steps:
                told.append(await told_by(getattr(upload, name)(*args)))
                told.append((upload.size, file.closed or file.tell()))
        return told

    same(live)


def test_same_files_closed_with_their_form():
    """All of them, and again; texts are left alone."""

    async def live(fw):
        files = [io.BytesIO(b"x") for _ in range(3)]
        first, second, third = map(fw.UploadFile, files)
        form = fw.FormData([("a", first), ("a", second), ("b", "text")], c=third)
        before = [file.closed for file in files]
        await form.close()
        await form.close()
        return before, [file.closed for file in files], len(form.getlist("a"))

    assert "True" in str(same(live))


# -- path parameters -------------------------------------------------------------------------------

PARAMETERS = {"str": "a/é ", "path": "a/ ", "int": "019-", "float": "019.-e", "uuid": "aF0-"}


def parameters_app(fw):
    """A path for each convertor; its answer tells the value, and the path made of it."""

    async def endpoint(request):
        (value,) = request.path_params.values()
        url = request.url_for(request.scope["route"].name, x=value)
        return fw.JSONResponse([type(value).__name__, str(value), str(url)])

    return fw.Starlette(
        routes=[
            fw.Route(f"/{kind}/{{x:{kind}}}/end", endpoint, name=kind)
            for kind in fw.CONVERTOR_TYPES
        ]
    )


@pytest.mark.parametrize("kind", PARAMETERS)
def test_same_parameter_of_any_path(kind):
    """Or no match."""
    apps = [parameters_app(fw) for fw in FRAMEWORKS]

    @few
    @given(st.text(PARAMETERS[kind], max_size=6))
    def run(text):
        theirs, ours = (ask(app, f"/{kind}/{text}/end").seen() for app in apps)
        assert theirs == ours

    run()


@pytest.mark.parametrize(
    "path",
    [
        "/uuid/0B1ad4e7-3a8b-4b2e-8a1f-0d7ab3e9c111/end",
        "/uuid/0b1ad4e73a8b4b2e8a1f0d7ab3e9c111/end",
        "/upper/ABC/end",
        "/upper/abc/end",
        "/float/0.10/end",
        "/int/000/end",
    ],
)
def test_same_parameter_of_a_path(path, monkeypatch):
    """With a convertor of one's own."""

    def told(fw):
        class Upper(fw.Convertor):
            regex = "[A-Z]+"

            def convert(self, value):
                return value.lower()

            def to_string(self, value):
                return value.upper()

        monkeypatch.setitem(fw.CONVERTOR_TYPES, "upper", None)  # is taken back with it
        fw.register_url_convertor("upper", Upper())
        return ask(parameters_app(fw), path).seen()

    theirs, ours = map(told, FRAMEWORKS)
    assert theirs == ours


# -- routes ----------------------------------------------------------------------------------------


def tells(fw):
    """An ASGI app that answers requests, and closes websockets."""

    async def app(scope, receive, send):
        told = fw.JSONResponse([scope["path"], scope.get("path_params")])
        if scope["type"] == "websocket":
            told = fw.WebSocketClose(1001, told.body.decode())
        await told(scope, receive, send)

    return app


def own_route(fw):
    """A route that is none of the framework's."""

    class Own(fw.BaseRoute):
        def matches(self, scope):
            if scope["path"] != "/own":
                return fw.Match.NONE, {}
            return fw.Match.FULL, {"path_params": {"x": 1}}

        def url_path_for(self, name, /, **path_params):
            if name != "own" or path_params:
                raise fw.NoMatchFound(name, path_params)
            return fw.URLPath("/own")

        async def handle(self, scope, receive, send):
            await tells(fw)(scope, receive, send)

    return Own()


ROUTES = {
    "own": own_route,
    "Route": lambda fw: fw.Route("/own", lambda request: fw.Response(request.url.path)),
    "Route of POST": lambda fw: fw.Route("/own", print, methods=["POST"]),
    "WebSocketRoute": lambda fw: fw.WebSocketRoute("/own", fw.WebSocketClose(1001, "gone")),
    "Mount": lambda fw: fw.Mount("/own", routes=[fw.Route("/", lambda r: fw.Response("in"))]),
    "Host": lambda fw: fw.Host("testserver", tells(fw)),
    "Router": lambda fw: fw.Router([own_route(fw)], redirect_slashes=False),
    "application": lambda fw: fw.Starlette(routes=[own_route(fw)]),
}


@pytest.mark.parametrize("scope", [http_scope, websocket_scope])
@pytest.mark.parametrize("path", ["/own", "/other"])
@pytest.mark.parametrize("name", ROUTES)
def test_same_answer_of_a_route_by_itself(name, path, scope):
    """Each is an ASGI app; what it does not match is a 404, or closes."""
    told = [
        asyncio.run(exchange(ROUTES[name](fw), scope(path), [first_message(scope)])).seen()
        for fw in FRAMEWORKS
    ]
    assert told[0] == told[1]


def first_message(scope):
    if scope is http_scope:
        return {"type": "http.request", "body": b"", "more_body": False}
    return {"type": "websocket.connect"}


def test_same_urls_of_a_route_of_ones_own():
    """Found through what is around it."""

    async def live(fw):
        app = fw.Starlette(routes=[fw.Mount("/in", routes=[own_route(fw)], name="m")])
        return app.url_path_for("m:own"), app.url_path_for("m:other")

    assert "NoMatchFound" in str(same(live))


# -- the body --------------------------------------------------------------------------------------


def piece(body, more_body=True):
    return {"type": "http.request", "body": body, "more_body": more_body}


LEFT = {"type": "http.disconnect"}
INCOMING = {
    "whole": [piece(b"abc", more_body=False)],
    "pieces": [piece(b"ab"), piece(b""), piece(b"c", more_body=False)],
    "nothing": [{"type": "http.request"}],
    "left at once": [LEFT],
    "left in between": [piece(b"ab"), LEFT],
}


@pytest.mark.parametrize("name", INCOMING)
@pytest.mark.parametrize("read", ["body", "json", "stream", "form"])
def test_same_body_of_a_request_by_hand(name, read):
    """Or ClientDisconnect, which can be caught."""

    async def live(fw):
        messages = iter(INCOMING[name])

        async def receive():
            return next(messages)

        request = fw.Request(http_scope("/", "POST"), receive)
        if read == "stream":
            return [piece async for piece in request.stream()]
        return await getattr(request, read)()

    told = same(live)
    assert ("ClientDisconnect" in str(told)) == (name.startswith("left") and read != "form")


@pytest.mark.parametrize("body", [b"", b"12345", b"123456"])
@pytest.mark.parametrize("length", [None, "5", "6"])
@pytest.mark.parametrize("name", ["RequestBodyLimitMiddleware", "RequestBodyLimitResponder"])
def test_same_limit_of_a_body(name, body, length):
    """Around an app of ASGI messages."""

    def told(fw):
        async def echo(scope, receive, send):
            text = await fw.Request(scope, receive).body()
            await fw.Response(text)(scope, receive, send)

        headers = [] if length is None else [("content-length", length)]
        limited = getattr(fw, name)(echo, max_body_size=5)
        return asyncio.run(request(limited, "/", "POST", body=body, headers=headers)).seen()

    theirs, ours = map(told, FRAMEWORKS)
    assert theirs == ours


# -- responses as apps -----------------------------------------------------------------------------

RESPONSES = {
    "304": lambda fw: fw.NotModifiedResponse(fw.Headers({"etag": '"x"', "a": "b"})),
    "plain": lambda fw: fw.PlainTextResponse("é", 201, {"a": "b"}),
    "json": lambda fw: fw.JSONResponse({"a": None}),
    "html": lambda fw: fw.HTMLResponse("<p>"),
    "redirect": lambda fw: fw.RedirectResponse("/a b"),
    "stream": lambda fw: fw.StreamingResponse(iter(["a", b"b", memoryview(b"c")])),
    "openapi": lambda fw: fw.OpenAPIResponse({"a": [1]}),
    "close": lambda fw: fw.WebSocketClose(1001, "gone"),
    "close, no reason": lambda fw: fw.WebSocketClose(),
}


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("scope", [http_scope, websocket_scope])
def test_same_messages_of_a_response_by_itself(name, scope):
    """To a request, and to a websocket that a server lets it deny."""
    offered = {"extensions": {"websocket.http.response": {}}}
    told = [
        asyncio.run(exchange(RESPONSES[name](fw), {**scope(), **offered}, [])).messages
        for fw in FRAMEWORKS
    ]
    assert told[0] == told[1]


# -- websockets ------------------------------------------------------------------------------------

WEBSOCKET_STEPS = st.one_of(
    st.tuples(st.sampled_from(["accept", "receive", "receive_text", "close"])),
    st.tuples(st.just("accept"), st.sampled_from([None, "sub"]), st.just([(b"a", b"b")])),
    st.tuples(st.just("send_text"), st.just("x")),
    st.tuples(st.just("send_json"), st.just({"a": 1}), st.sampled_from(["text", "binary"])),
    st.tuples(st.just("close"), st.just(1001), st.sampled_from([None, "gone"])),
    st.tuples(st.just("send"), st.just({"type": "websocket.close", "code": 1000})),
)
CONNECT, TEXT, GONE = (
    {"type": "websocket.connect"},
    {"type": "websocket.receive", "text": "t"},
    {"type": "websocket.disconnect", "code": 1001, "reason": "bye"},
)


@few
@given(
    st.sampled_from([[CONNECT, TEXT], [CONNECT, TEXT, TEXT], [CONNECT, TEXT, GONE], [TEXT]]),
    st.lists(WEBSOCKET_STEPS, max_size=7),
)
def test_same_websocket_after_any_steps(incoming, steps):
    """What is given, raised and sent, and the states of both sides."""

    async def live(fw):
        messages, sent = iter([*incoming, GONE, GONE, GONE, GONE, GONE]), []

        async def receive():
            return next(messages)

        async def send(message):
            # That nothing closes again once the client has left is in the table of differences.
            if "DISCONNECTED" != websocket.client_state.name or "close" not in message["type"]:
                sent.append(message)

        websocket = fw.WebSocket(websocket_scope(), receive, send)
        told = []
        for name, *args in steps:
            told.append(await told_by(getattr(websocket, name)(*args)))
            told.append([websocket.client_state.name, websocket.application_state.name])
        return told, sent

    same(live)


# -- schemas ---------------------------------------------------------------------------------------


def test_same_endpoints_for_a_generator_of_ones_own():
    """A path, a method in lower case, a function."""

    async def live(fw):
        class Names(fw.BaseSchemaGenerator):
            def get_schema(self, routes):
                found = self.get_endpoints(routes)
                assert all(type(info) is fw.EndpointInfo for info in found)
                return sorted((info.path, info.http_method, info.func.__name__) for info in found)

        def get(request):
            raise NotImplementedError

        routes = [fw.Route("/{a:int}/b", get, methods=["GET", "PUT"]), own_route(fw)]
        return Names().get_schema([*routes, fw.Mount("/in/{x}", routes=routes)])

    assert "/in/{x}/{a}/b" in str(same(live))
