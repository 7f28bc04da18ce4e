"""The innermost layer: exceptions answered by handlers."""

import asyncio
import traceback

import pytest

from lamella._outcomes import HANDLERS
from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.exceptions import HTTPException, ResponseStartedError, StackError, WebSocketException
from lamella.middleware.exceptions import ExceptionMiddleware
from lamella.requests import Request
from lamella.responses import FileResponse, PlainTextResponse
from lamella.routing import Mount, Route, request_response
from lamella.testclient import TestClient
from tests.parity.drive import answer, ask, exchange, http_scope, websocket_scope


class Lost(Exception):
    """An error of the tests' own."""


class Found(Lost):
    """A kind of it."""


def native(exc):
    """An app with a service face that raises."""

    async def endpoint(request):
        raise exc

    return request_response(endpoint)


def foreign(exc):
    """An ASGI app that raises."""

    async def app(scope, receive, send):
        raise exc

    return app


def told(word, *, sync=False):
    """A handler that tells which it is."""

    async def handler(request, exc):
        return PlainTextResponse(f"{word} {exc}")

    def sync_handler(request, exc):
        return PlainTextResponse(f"{word} {exc}")

    return sync_handler if sync else handler


makes = pytest.mark.parametrize("make", [native, foreign])


@makes
@pytest.mark.parametrize("sync", [False, True])
def test_handler_of_the_nearest_class_answers(make, sync):
    """Nothing is raised on."""
    handlers = {Exception: told("any"), Lost: told("lost", sync=sync)}
    assert "lost x" == answer(ExceptionMiddleware(make(Found("x")), handlers)).text
    handlers[Found] = told("found", sync=sync)
    assert "found x" == answer(ExceptionMiddleware(make(Found("x")), handlers)).text
    assert "any 'x'" == answer(ExceptionMiddleware(make(KeyError("x")), handlers)).text


@makes
def test_error_without_a_handler_passes(make):
    """As it is, and nothing is sent."""
    reply = ask(ExceptionMiddleware(make(Lost("x"))))
    assert ("Lost('x')", []) == (repr(reply.error), reply.messages)


@makes
def test_http_exception_has_a_handler_from_the_start(make):
    """Status, detail and headers."""
    exc = HTTPException(418, "tea", headers={"x-pot": "1"})
    reply = answer(ExceptionMiddleware(make(exc)))
    assert (418, "tea", "1") == (reply.status, reply.text, reply.headers["x-pot"])


@makes
@pytest.mark.parametrize("status", [204, 304])
def test_status_without_a_body_has_none(make, status):
    """RFC 9110 sections 15.3.5 and 15.4.5; headers go with it."""
    exc = HTTPException(status, "ignored", headers={"x-pot": "1"})
    reply = answer(ExceptionMiddleware(make(exc)))
    assert (status, b"", "1") == (reply.status, reply.body, reply.headers["x-pot"])


def test_status_is_before_class():
    """As Starlette has it."""
    handlers = {HTTPException: told("class"), 418: told("status")}
    reply = answer(ExceptionMiddleware(native(HTTPException(418, "tea")), handlers))
    assert "status 418: tea" == reply.text


def test_handlers_may_be_added_later():
    """By status and by class."""
    layer = ExceptionMiddleware(native(Lost("x")))
    layer.add_exception_handler(Lost, told("lost"))
    assert "lost x" == answer(layer).text
    layer = ExceptionMiddleware(native(HTTPException(418)))
    layer.add_exception_handler(418, told("tea"))
    assert "tea 418: I'm a Teapot" == answer(layer).text


@pytest.mark.parametrize("key", ["404", int, KeyboardInterrupt, None])
def test_wrong_key_is_refused(key):
    """Only a status or a class of Exception can be raised here."""
    with pytest.raises(StackError, match="status code or an Exception class"):
        ExceptionMiddleware(foreign(Lost()), handlers={key: told("x")})


def test_handler_gets_the_one_request():
    """So it can read the body that the endpoint read."""
    seen = []

    async def endpoint(request):
        seen.append(request)
        await request.body()
        raise Lost

    async def handler(request, exc):
        seen.append(request)
        return PlainTextResponse(await request.body())

    layer = ExceptionMiddleware(request_response(endpoint), {Lost: handler})
    assert "sent" == answer(layer, method="POST", body=b"sent").text
    assert seen[0] is seen[1]


def test_answer_to_a_started_response_is_refused_with_its_cause():
    """It cannot be sent; the error that wanted it is the cause."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise Lost("x")

    reply = ask(ExceptionMiddleware(app, {Lost: told("lost")}))
    assert isinstance(reply.error, ResponseStartedError)
    assert "Lost('x')" == repr(reply.error.__cause__)
    assert ["http.response.start"] == [m["type"] for m in reply.messages]


def test_server_error_answers_what_no_handler_does():
    """The 500 right around the routes; HTTP statuses keep theirs."""

    async def server_error(request, exc):
        return PlainTextResponse(f"server {exc}", status_code=500)

    layer = ExceptionMiddleware(native(Lost("x")), server_error=server_error)
    assert (500, "server x") == (answer(layer).status, answer(layer).text)
    layer = ExceptionMiddleware(native(HTTPException(418)), server_error=server_error)
    assert 418 == answer(layer).status


def test_other_scopes_pass():
    """To the app inside."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    layer = ExceptionMiddleware(app)
    asyncio.run(exchange(layer, websocket_scope()))
    asyncio.run(exchange(layer, {"type": "lifespan"}))
    assert ["websocket", "lifespan"] == seen


@pytest.mark.parametrize(
    ("exc", "code"), [(WebSocketException(4001, "no"), 4001), (HTTPException(403), 1008)]
)
def test_default_handlers_close_a_websocket(exc, code):
    """More of that in `tests/test_exception_handler.py`."""
    reply = asyncio.run(exchange(ExceptionMiddleware(foreign(exc)), websocket_scope()))
    assert (["websocket.close"], code) == (
        [message["type"] for message in reply.messages],
        reply.messages[0]["code"],
    )
    assert reply.error is None


def test_handlers_of_the_layer_outside_are_put_back_after_a_websocket():
    """For what is beside the one inside."""
    seen = []

    async def looks(scope, receive, send):
        seen.append(scope.get(HANDLERS))

    async def outside(scope, receive, send):
        await looks(scope, receive, send)
        await inner(scope, receive, send)
        await looks(scope, receive, send)

    inner = ExceptionMiddleware(looks)
    outer = ExceptionMiddleware(outside)
    asyncio.run(exchange(outer, websocket_scope()))
    assert [outer, inner, outer] == seen


def test_app_may_be_replaced():
    """The link is made anew."""
    layer = ExceptionMiddleware(foreign(Lost()))
    layer.app = native(HTTPException(418))
    assert 418 == answer(layer).status


def test_default_handlers_can_be_called():
    """Names of Starlette's that applications wrap."""
    layer = ExceptionMiddleware(foreign(Lost()))
    closed = []

    class Socket:
        async def close(self, code, reason):
            closed.append((code, reason))

    async def run():
        response = await layer.http_exception(Request(http_scope()), HTTPException(418, "tea"))
        await layer.websocket_exception(Socket(), WebSocketException(1008, "no"))
        return response

    response = asyncio.run(run())
    assert (418, b"tea") == (response.status_code, response.body)
    assert [(1008, "no")] == closed


def test_handled_error_does_not_gather_tracebacks():
    """An exception object that is raised for every request stays small."""
    exc = Lost("one object")
    layer = ExceptionMiddleware(native(exc), {Lost: told("lost")})
    for _ in range(600):
        answer(layer)
    frames = list(traceback.walk_tb(exc.__traceback__))
    assert len(frames) <= 1000


def frames_of(exc):
    """Name the functions that a traceback tells of."""
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(exc.__traceback__)]


async def deep_endpoint(request):
    raise Lost("deep")


async def deep_app(scope, receive, send):
    raise Lost("deep")


DEEP = {"native": Route("/", deep_endpoint), "foreign": Mount("/", app=deep_app)}


@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize("own", [False, True], ids=["default", "own handler"])
@pytest.mark.parametrize("kind", DEEP)
def test_error_behind_a_500_keeps_its_traceback(kind, own, where, caplog):
    """For the layers, for the log and for the server: it is all there is to find the cause."""
    seen = []

    async def server_error(request, exc):
        return PlainTextResponse("sorry", status_code=500)

    async def look(request, call_next):
        response = await call_next(request)
        seen.append(frames_of(response.exception)[-1])
        return response

    app = Lamella(
        routes=[DEEP[kind]],
        middleware=[look],
        error_responses=where,
        exception_handlers={500: server_error} if own else {},
    )
    reply = ask(app)
    name = f"deep_{'endpoint' if kind == 'native' else 'app'}"
    assert (500, name) == (reply.status, frames_of(reply.error)[-1])
    assert ([name] if where == "inside" else []) == seen
    (record,) = (record for record in caplog.records if record.name == "lamella.error")
    assert name == frames_of(record.exc_info[1])[-1]


@pytest.mark.parametrize("kind", DEEP)
def test_handled_error_keeps_its_traceback_for_whoever_reports_it_later(kind):
    """A background task, a queue of log records: they look at it after the handler has answered."""
    reported = []

    async def report(exc):
        reported.append(frames_of(exc)[-1])

    async def handler(request, exc):
        return PlainTextResponse("sorry", 400, background=BackgroundTask(report, exc))

    app = Lamella(routes=[DEEP[kind]], exception_handlers={Lost: handler})
    assert "sorry" == answer(app).text
    assert [f"deep_{'endpoint' if kind == 'native' else 'app'}"] == reported


@pytest.mark.parametrize("when", ["before", "after"])
def test_handlers_of_a_mounted_app_do_not_answer_for_layers_around_it(when):
    """Such a layer is the outer app's: whether it fails before or after the app within it."""

    async def endpoint(request):
        return PlainTextResponse("fine")

    async def layer(request, call_next):
        if when == "after":
            await call_next(request)
        raise Lost("x")

    inner = Lamella(routes=[Route("/", endpoint)], exception_handlers={Lost: told("inner")})
    outer = Lamella(
        routes=[Mount("/sub", app=inner, middleware=[layer])],
        exception_handlers={Lost: told("outer")},
    )
    assert "outer x" == answer(outer, "/sub/").text


@pytest.mark.parametrize("status", [404, 500])
def test_response_that_a_handler_returns_again_is_as_it_was(status):
    """One object for all requests: what the layers of one did to it the next does not get."""
    shared = PlainTextResponse("Sorry", status_code=status)

    async def handler(request, exc):
        return shared

    async def failing(request):
        raise RuntimeError

    async def marking(request, call_next):
        response = await call_next(request)
        response.headers.append("x-mark", request.url.path)
        return response

    app = Lamella(
        routes=[Route("/failing", failing)],
        middleware=[marking],
        exception_handlers={404: handler, RuntimeError: handler},
    )
    client = TestClient(app)
    for _ in range(2):
        path = "/failing" if status == 500 else "/none"
        assert [path] == client.get(path).headers.get_list("x-mark")
    assert "x-mark" not in shared.headers


def test_file_that_a_handler_returns_is_settled_for_the_layers(tmp_path):
    """A layer sees the status and the length that go out."""
    page = tmp_path / "sorry.html"
    page.write_text("Sorry")
    seen = []

    async def handler(request, exc):
        return FileResponse(page, status_code=404)

    async def looking(request, call_next):
        response = await call_next(request)
        seen.append((response.status_code, response.headers.get("content-length")))
        return response

    app = Lamella(middleware=[looking], exception_handlers={404: handler})
    answer = TestClient(app).get("/none")
    assert ([(404, "5")], "Sorry") == (seen, answer.text)


def test_http_exception_that_was_answered_keeps_nothing_alive():
    """It may be one object for all requests; nobody looks for the cause of a 401."""
    refused = HTTPException(401)

    async def endpoint(request):
        raise refused

    assert 401 == answer(Lamella(routes=[Route("/", endpoint)])).status
    assert refused.__traceback__ is None
