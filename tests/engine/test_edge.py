"""The edge: one response sent, and everything else in its order."""

import errno
import logging

import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.engine.edge import serve
from lamella.engine.stack import link
from lamella.exceptions import ClientDisconnect, ResponseStartedError
from lamella.middleware import Middleware
from lamella.responses import PlainTextResponse, Response, StreamingResponse
from lamella.routing import Route
from tests.loops import never
from tests.parity.drive import Reply, http_scope, request

pytestmark = pytest.mark.anyio


async def run(respond, *, messages=None, refuses=False, scope=None):
    """Serve a service face; the reply, and what was raised on it."""
    reply = Reply()
    sent = {"type": "http.request", "body": b"sent", "more_body": False}
    waiting = [sent] if messages is None else messages

    async def receive():
        if not waiting:
            await never()  # the client stays
        return waiting.pop(0)

    async def send(message):
        if refuses:
            raise OSError("gone")
        reply.messages.append(dict(message))

    try:
        await serve(respond, scope or http_scope(), receive, send)
    except BaseException as exc:
        reply.error = exc
    return reply


async def test_response_is_sent_once():
    """Start and body."""

    async def respond(request):
        return PlainTextResponse("hello")

    reply = await run(respond)
    assert ["http.response.start", "http.response.body"] == [m["type"] for m in reply.messages]
    assert ("hello", None) == (reply.text, reply.error)


async def test_order_is_stack_sending_callbacks_background_tasks():
    """What runs after the response runs after it."""
    log = []

    async def after():
        log.append("background")

    async def respond(request):
        async def pieces():
            log.append("sending")
            yield b"x"

        async def told(outcome):
            log.append("callback")

        request.after_response(told)
        log.append("stack")
        return StreamingResponse(pieces(), background=BackgroundTask(after))

    await run(respond)
    assert ["stack", "sending", "callback", "background"] == log


async def test_outcome_is_told():
    """Status, size, and that all is well."""
    outcomes = []

    async def respond(request):
        request.after_response(outcomes.append)
        return PlainTextResponse("hello", status_code=201)

    await run(respond)
    (outcome,) = outcomes
    assert (201, 5, False, None) == (
        outcome.status,
        outcome.body_size,
        outcome.client_left,
        outcome.exception,
    )


async def test_error_of_the_stack_is_raised_and_nothing_sent(caplog):
    """The outermost layer answers; the edge only passes on."""

    async def respond(request):
        raise KeyError("lost")

    reply = await run(respond)
    assert ([], "KeyError('lost')") == (reply.messages, repr(reply.error))
    assert ["lamella.error"] == [record.name for record in caplog.records]


async def test_error_of_a_stream_cuts_the_response_off():
    """No last message, and the error itself."""

    async def respond(request):
        async def pieces():
            yield b"half"
            raise KeyError("lost")

        return StreamingResponse(pieces())

    reply = await run(respond)
    assert (b"half", False, "KeyError('lost')") == (
        reply.body,
        reply.complete,
        repr(reply.error),
    )


async def test_error_that_a_response_carries_is_raised_after_it_was_sent():
    """The 500 of an unhandled error."""
    error = KeyError("lost")

    async def respond(request):
        response = PlainTextResponse("sorry", status_code=500)
        response.exception = error
        return response

    reply = await run(respond)
    assert ("sorry", True) == (reply.text, reply.complete)
    assert error is reply.error


async def test_error_of_a_background_task_is_raised():
    """The response is out by then."""

    async def after():
        raise KeyError("after")

    async def respond(request):
        return PlainTextResponse("hello", background=BackgroundTask(after))

    reply = await run(respond)
    assert ("hello", "KeyError('after')") == (reply.text, repr(reply.error))


async def test_first_error_is_raised_and_others_are_logged(caplog):
    """None is lost."""

    async def after():
        raise KeyError("after")

    async def respond(request):
        response = PlainTextResponse("sorry", background=BackgroundTask(after))
        response.exception = KeyError("first")
        return response

    reply = await run(respond)
    assert "KeyError('first')" == repr(reply.error)
    logged = [repr(record.exc_info[1]) for record in caplog.records]
    assert "KeyError('after')" in logged


async def test_client_that_left_is_quiet(caplog):
    """No traceback, no 500: it is an outcome."""
    caplog.set_level(logging.INFO)
    outcomes = []

    async def respond(request):
        request.after_response(outcomes.append)
        await request.body()
        return Response()

    reply = await run(respond, messages=[{"type": "http.disconnect"}])
    assert ([], None, []) == (reply.messages, reply.error, caplog.records)
    assert outcomes[0].client_left


async def test_client_disconnect_of_ones_own_is_an_error():
    """Only a client that did leave explains it."""

    async def respond(request):
        raise ClientDisconnect

    assert isinstance((await run(respond)).error, ClientDisconnect)


async def test_send_that_raises_means_that_the_client_left():
    """ASGI HTTP spec 2.4; plain responses and streams."""

    async def plain(request):
        return PlainTextResponse("hello")

    async def stream(request):
        return StreamingResponse(iter([b"a", b"b"]))

    for respond in (plain, stream):
        assert (await run(respond, refuses=True)).error is None


async def test_oserror_of_ones_own_is_an_error():
    """A lost database connection is no client that left."""

    async def respond(request):
        raise OSError("database")

    assert "OSError('database')" == repr((await run(respond)).error)


LOST_FILE = FileNotFoundError(errno.ENOENT, "No such file or directory", "access.log")


@pytest.mark.parametrize("kind", ["plain", "counted", "stream"])
async def test_oserror_of_a_layers_own_send_is_an_error(kind, caplog):
    """A file it cannot open is no client that left: the error would vanish without a trace."""

    async def respond(request):
        if kind == "counted":
            request.after_response(lambda outcome: None)
        return StreamingResponse(iter([b"a"])) if kind == "stream" else PlainTextResponse("a")

    async def send(message):
        raise LOST_FILE

    async def receive():
        await never()

    with pytest.raises(FileNotFoundError) as caught:
        await serve(respond, http_scope(), receive, send)
    assert caught.value is LOST_FILE
    assert [LOST_FILE] == [record.exc_info[1] for record in caplog.records]


@pytest.mark.parametrize("dispatch", [False, True], ids=["straight", "bridged"])
async def test_oserror_of_a_foreign_layers_send_is_the_error_of_the_500(dispatch):
    """Not a response that is missing: that would blame the layer for something else."""

    async def passes(request, call_next):
        return await call_next(request)

    def writes(app):
        async def layer(scope, receive, send):
            async def own_send(message):
                raise LOST_FILE

            await app(scope, receive, own_send)

        return layer

    async def endpoint(request):
        return PlainTextResponse("a")

    around = [passes] if dispatch else []
    app = Lamella(routes=[Route("/", endpoint)], middleware=[*around, Middleware(writes), *around])
    reply = await request(app)
    assert (500, LOST_FILE) == (reply.status, reply.error)


@pytest.mark.parametrize(
    "error",
    [OSError(), OSError("gone"), BrokenPipeError(errno.EPIPE, "x"), ConnectionResetError()],
    ids=repr,
)
async def test_oserror_that_says_no_more_or_names_a_connection_is_a_client_that_left(error, caplog):
    """The ASGI spec asks servers for no more than an OSError; each has its own."""
    outcomes = []

    async def respond(request):
        request.after_response(outcomes.append)
        return PlainTextResponse("a")

    async def send(message):
        raise error

    async def receive():
        await never()

    await serve(respond, http_scope(), receive, send)
    assert [True] == [outcome.client_left for outcome in outcomes]
    assert [] == caplog.records


async def test_callback_that_a_background_task_registers_is_called():
    """The outcome is known by then: there is nothing to wait for, and nothing to be ignored."""
    log = []

    async def respond(request):
        async def work():
            log.append("background")
            request.after_response(lambda outcome: log.append(outcome.status))

        return PlainTextResponse("x", status_code=201, background=BackgroundTask(work))

    assert (await run(respond)).error is None
    assert ["background", 201] == log


async def test_callback_after_the_exchange_is_called_or_refused():
    """A task that outlived it is not left waiting for an outcome that is over."""
    requests, log = [], []

    async def respond(request):
        requests.append(request)
        return PlainTextResponse("x", status_code=201)

    await run(respond)
    try:
        requests[0].after_response(lambda outcome: log.append(True))
    except RuntimeError:
        log.append("refused")
    assert 1 == len(log)


async def test_response_that_starts_twice_is_refused():
    """Each start after the first, and bodies before it."""

    class Twice(Response):
        async def __call__(self, scope, receive, send):
            await super().__call__(scope, receive, send)
            await send({"type": "http.response.start", "status": 201, "headers": []})

    class Bodily(Response):
        async def __call__(self, scope, receive, send):
            await send({"type": "http.response.body", "body": b""})

    for kind in (Twice, Bodily):

        async def respond(request, kind=kind):
            return kind()

        reply = await run(respond)
        assert isinstance(reply.error, ResponseStartedError)
        assert isinstance(reply.error, RuntimeError)


async def test_edge_within_an_edge_is_told_apart():
    """The scope knows the innermost, and forgets it afterwards."""
    scope = http_scope()
    seen = []

    async def inner(request):
        seen.append(request)
        return PlainTextResponse("inner")

    async def respond(request):
        seen.append(request)

        async def app(scope, receive, send):
            await serve(inner, scope, receive, send)

        response = await link(app)(request)
        assert scope["lamella.edge"] is request
        return response

    reply = await run(respond, scope=scope)
    assert "inner" == reply.text
    assert seen[0] is not seen[1]
    assert scope["lamella.edge"] is None
