"""The outermost layer: what nobody handled becomes a 500, and is raised on."""

import asyncio

import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.errors import ServerErrorMiddleware
from lamella.requests import Request
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route, request_response
from tests.parity.drive import answer, ask, exchange, http_scope, request, websocket_scope


async def fails(request):
    """Raise what nobody expects."""
    raise KeyError("lost")


async def foreign_fails(scope, receive, send):
    """The same, as an ASGI app."""
    raise KeyError("lost")


async def starts_and_fails(scope, receive, send):
    """An ASGI app that fails in the middle of its response."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise KeyError("lost")


APPS = [request_response(fails), foreign_fails]
apps = pytest.mark.parametrize("app", APPS, ids=["native", "foreign"])


@apps
def test_unhandled_error_is_a_500_and_is_raised(app):
    """The client gets an answer, the server the error."""
    reply = ask(ServerErrorMiddleware(app))
    assert (500, "Internal Server Error", "KeyError('lost')") == (
        reply.status,
        reply.text,
        repr(reply.error),
    )


@apps
@pytest.mark.parametrize("sync", [False, True])
def test_handler_makes_the_answer(app, sync):
    """Async, or sync in a thread."""

    async def handler(request, exc):
        return PlainTextResponse(f"{request.method} {exc!r}", status_code=503)

    def sync_handler(request, exc):
        return PlainTextResponse(f"{request.method} {exc!r}", status_code=503)

    reply = ask(ServerErrorMiddleware(app, handler=sync_handler if sync else handler))
    assert (503, "GET KeyError('lost')", "KeyError('lost')") == (
        reply.status,
        reply.text,
        repr(reply.error),
    )


@apps
def test_debug_is_before_the_handler(app):
    """The page, with the error's own words."""

    async def handler(request, exc):
        return PlainTextResponse("never")

    layer = ServerErrorMiddleware(app, handler=handler, debug=True)
    page = ask(layer, headers=[("accept", "text/html")])
    text = ask(layer)
    assert ("text/html; charset=utf-8", "text/plain; charset=utf-8") == (
        page.headers["content-type"],
        text.headers["content-type"],
    )
    assert "KeyError" in page.text
    assert "KeyError" in text.text


def test_raised_error_keeps_its_traceback():
    """It leads to the line that raised it."""
    reply = ask(ServerErrorMiddleware(request_response(fails)))
    names = []
    entry = reply.error.__traceback__
    while entry is not None:
        names.append(entry.tb_frame.f_code.co_name)
        entry = entry.tb_next
    assert "fails" == names[-1]


def test_started_response_gets_no_second_start():
    """It is cut off where it stands: no last message."""
    reply = ask(ServerErrorMiddleware(starts_and_fails))
    assert (200, b"half", False, "KeyError('lost')") == (
        reply.status,
        reply.body,
        reply.complete,
        repr(reply.error),
    )


def test_other_scopes_pass():
    """Websockets and the lifespan have no 500."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(exchange(ServerErrorMiddleware(app), websocket_scope()))
    asyncio.run(exchange(ServerErrorMiddleware(app), {"type": "lifespan"}))
    assert ["websocket", "lifespan"] == seen


def test_error_of_a_websocket_is_raised():
    """As it is."""
    reply = asyncio.run(exchange(ServerErrorMiddleware(foreign_fails), websocket_scope()))
    assert ("KeyError('lost')", []) == (repr(reply.error), reply.messages)


def test_methods_for_subclasses_are_there():
    """Names of Starlette's: the pages by themselves."""
    layer = ServerErrorMiddleware(foreign_fails)
    request = Request(http_scope(headers=[("accept", "text/html")]))
    error = KeyError("lost")
    assert "KeyError" in layer.generate_html(error)
    assert "KeyError" in layer.generate_html(error, limit=2)
    assert "KeyError" in layer.generate_plain_text(error)
    assert 500 == layer.debug_response(request, error).status_code
    assert b"Internal Server Error" == layer.error_response(request, error).body


def test_error_response_may_be_overridden():
    """A subclass words its own."""

    class Own(ServerErrorMiddleware):
        def error_response(self, request, exc):
            return PlainTextResponse("own", status_code=500)

    assert "own" == ask(Own(foreign_fails)).text


def test_app_may_be_replaced():
    """The link is made anew."""
    layer = ServerErrorMiddleware(foreign_fails)

    async def fine(request):
        return PlainTextResponse("fine")

    layer.app = request_response(fine)
    assert "fine" == answer(layer).text


def test_error_below_a_dispatch_layer_is_answered():
    """The layer in between sees it pass."""
    seen = []

    async def dispatch(request, call_next):
        try:
            return await call_next(request)
        except KeyError as exc:
            seen.append(exc)
            raise

    for app in APPS:
        reply = ask(ServerErrorMiddleware(BaseHTTPMiddleware(app, dispatch=dispatch)))
        assert 500 == reply.status
        assert seen.pop() is reply.error


def failing_late(where):
    """An endpoint that answers, and fails when the response is under way or sent."""

    async def fail():
        raise LookupError(where)

    async def pieces():
        yield "a"
        await fail()

    async def foreign(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await fail()

    async def endpoint(request):
        if where == "background":
            return PlainTextResponse("whole", background=BackgroundTask(fail))
        return StreamingResponse(pieces())

    return Mount("/", foreign) if where == "foreign" else Route("/", endpoint)


async def passing(request, call_next):
    return await call_next(request)


@pytest.mark.parametrize("layers", [[], [passing]], ids=["direct", "layer"])
@pytest.mark.parametrize("where", ["background", "stream", "foreign"])
def test_handler_is_told_of_what_comes_too_late_to_be_answered(where, layers):
    """Applications report errors there. What it returns is dropped."""
    told = []

    async def handler(request, exc):
        told.append((request.url.path, exc))

    app = Lamella(
        routes=[failing_late(where)], middleware=layers, exception_handlers={Exception: handler}
    )
    reply = asyncio.run(request(app))
    assert 200 == reply.messages[0]["status"]
    assert [("/", reply.error)] == told
    assert isinstance(reply.error, LookupError)


def test_handler_that_fails_too_late_is_logged(caplog):
    """The error that it was told of goes on, and what it makes is closed."""

    async def pieces():
        yield "never"

    def handler(request, exc):
        if exc.args == ("background",):
            raise RuntimeError("the handler itself")
        return StreamingResponse(pieces())

    for where in ("background", "stream"):
        app = Lamella(routes=[failing_late(where)], exception_handlers={500: handler})
        reply = asyncio.run(request(app))
        assert isinstance(reply.error, LookupError)
    assert ["the handler itself"] == [
        str(record.exc_info[1]) for record in caplog.records if "handler" in record.message
    ]
