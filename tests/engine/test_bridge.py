"""The bridge: a foreign app below a dispatch layer, its messages, its context and its end."""

import asyncio
import contextvars

import anyio
import pytest

from lamella.engine import bridge
from lamella.exceptions import ClientDisconnect, NoResponseError, ResponseStartedError
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import PlainTextResponse
from lamella.routing import Mount, Router
from tests.loops import cancelled, current, never, peace, spawn, timeout, turns
from tests.parity.drive import exchange, http_scope, request

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}
word = contextvars.ContextVar("word", default="unset")


def body(data, *, more=False):
    """A body message."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def passes(request, call_next):
    """Pass the request on."""
    return await call_next(request)


def below(app, dispatch=passes):
    """A foreign app below one dispatch layer."""
    return BaseHTTPMiddleware(app, dispatch=dispatch)


def sends(*messages):
    """An app that sends these messages."""

    async def scripted_app(scope, receive, send):
        for message in messages:
            await send(message)

    return scripted_app


# -- messages --------------------------------------------------------------------------------------


async def test_one_piece_becomes_a_whole_response():
    """Its body is there at once."""
    got = []

    async def dispatch(request, call_next):
        response = await call_next(request)
        got.append((response.status_code, response.body, response.headers["x"]))
        return response

    reply = await request(below(sends(START, body(b"all")), dispatch))
    assert ([(200, b"all", "y")], b"all", True) == (got, reply.body, reply.complete)


async def test_several_pieces_pass_one_by_one():
    """With what their messages say."""
    reply = await request(below(sends(START, body(b"a", more=True), body(b"b"))))
    assert [b"a", b"b"] == [m["body"] for m in reply.messages[1:]]
    assert [True, False] == [m.get("more_body", False) for m in reply.messages[1:]]


async def test_app_is_never_ahead_of_the_client():
    """A piece is sent on before the next is asked for."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        for piece in (b"a", b"b", b"c"):
            log.append(f"app {piece}")
            await send(body(piece, more=True))
        await send(body(b""))

    async def own_send(message):
        log.append(f"sent {message.get('body')}")

    async def receive():
        await never()

    await below(app)(http_scope(), receive, own_send)
    assert log.index("sent b'a'") < log.index("app b'b'")
    assert log.index("sent b'b'") < log.index("app b'c'")


async def test_status_and_headers_may_be_changed():
    """They go out as the layer left them."""

    async def dispatch(request, call_next):
        response = await call_next(request)
        response.status_code = 299
        response.headers["x"] = "z"
        return response

    reply = await request(below(sends(START, body(b"a", more=True), body(b"b")), dispatch))
    assert (299, "z", b"ab") == (reply.status, reply.headers["x"], reply.body)


async def test_headers_of_any_iterable_are_taken():
    """The ASGI spec says iterable."""
    start = {**START, "headers": ([b"a", b"1"] for _ in range(2))}
    reply = await request(below(sends(start, body(b""))))
    assert [(b"a", b"1")] * 2 == reply.start["headers"]


async def test_body_without_its_keys_is_empty_and_last():
    """Both have defaults."""
    reply = await request(below(sends(START, {"type": "http.response.body"})))
    assert (b"", True) == (reply.body, reply.complete)


async def test_trailers_follow_the_body():
    """If the start announced them."""
    trailers = {"type": "http.response.trailers", "headers": [(b"t", b"1")], "more_trailers": False}
    reply = await request(below(sends({**START, "trailers": True}, body(b"a"), trailers)))
    assert "http.response.trailers" == reply.messages[-1]["type"]
    assert [(b"t", b"1")] == reply.messages[-1]["headers"]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([body(b"x")], ["http.response.start", "http.response.body"]),
        ([START, START], ["second", "200"]),
        ([START, body(b"a"), body(b"b")], ["no more body"]),
    ],
    ids=["body first", "two starts", "body after the last"],
)
async def test_messages_in_a_wrong_order_are_refused(messages, words):
    """In the app that sends them, as a RuntimeError."""
    raised = []

    async def app(scope, receive, send):
        try:
            for message in messages:
                await send(message)
        except RuntimeError as exc:
            raised.append(exc)
            raise

    reply = await request(below(app))
    assert isinstance(raised[0], ResponseStartedError)
    assert raised[0] is reply.error
    assert [] == [word for word in words if word not in str(raised[0])]


async def test_app_that_ends_without_a_response_is_named():
    """With its file; it is no client that left."""

    async def forgetful_app(scope, receive, send):
        """Do nothing."""

    reply = await request(below(forgetful_app))
    assert isinstance(reply.error, NoResponseError)
    assert "forgetful_app" in str(reply.error)
    assert "test_bridge.py" in str(reply.error)


async def test_app_that_ends_in_the_middle_is_named():
    """The client sees a cut."""
    reply = await request(below(sends(START, body(b"half", more=True))))
    assert (b"half", False) == (reply.body, reply.complete)
    assert isinstance(reply.error, NoResponseError)
    assert "scripted_app" in str(reply.error)


async def test_app_that_ends_since_the_client_left_is_quiet():
    """There is nobody to tell."""

    async def app(scope, receive, send):
        message = await receive()
        assert message["type"] == "http.disconnect"

    reply = await exchange(below(app), http_scope(), [{"type": "http.disconnect"}])
    assert ([], None) == (reply.messages, reply.error)


async def test_layer_learns_that_the_client_left():
    """As `ClientDisconnect`, not as a missing response."""
    caught = []

    async def app(scope, receive, send):
        await receive()

    async def dispatch(request, call_next):
        try:
            return await call_next(request)
        except Exception as exc:
            caught.append(exc)
            raise

    await exchange(below(app, dispatch), http_scope(), [{"type": "http.disconnect"}])
    assert [ClientDisconnect] == [type(exc) for exc in caught]


# -- errors ----------------------------------------------------------------------------------------


async def test_error_before_the_start_comes_out_of_call_next():
    """The object itself, with a traceback that shows the app and not the engine."""
    raised, caught = KeyError("lost"), []

    async def app(scope, receive, send):
        raise raised

    async def dispatch(request, call_next):
        try:
            return await call_next(request)
        except KeyError as exc:
            caught.append(exc)
            return PlainTextResponse("sorry")

    assert "sorry" == (await request(below(app, dispatch))).text
    assert caught[0] is raised


async def test_error_after_the_start_cuts_the_response_off():
    """And is raised to the server, as it is."""

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"half", more=True))
        raise KeyError("lost")

    reply = await request(below(app))
    assert (b"half", False, "KeyError('lost')") == (
        reply.body,
        reply.complete,
        repr(reply.error),
    )


async def test_error_after_the_last_body_is_raised():
    """The response is whole; a background task of the app failed, say."""

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"all"))
        raise KeyError("late")

    reply = await request(below(app))
    assert (b"all", True, "KeyError('late')") == (
        reply.body,
        reply.complete,
        repr(reply.error),
    )


# -- contexts --------------------------------------------------------------------------------------


async def test_what_an_app_sets_is_seen_outside():
    """And the other way round."""
    seen = []

    async def app(scope, receive, send):
        seen.append(word.get())
        word.set("app")
        await sends(START, body(b""))(scope, receive, send)

    async def dispatch(request, call_next):
        word.set("layer")
        response = await call_next(request)
        seen.append(word.get())
        return response

    await request(below(app, dispatch))
    assert ["layer", "app"] == seen


async def test_what_is_set_while_streaming_is_seen_too():
    """Also after the start."""

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"a", more=True))
        word.set("late")
        await send(body(b"b"))

    await request_in_this_task(below(app))
    assert "late" == word.get()
    word.set("unset")


async def request_in_this_task(app):
    """Serve a request without a task of its own, so that the context is this one's."""

    async def receive():
        await never()

    async def send(message):
        pass

    await app(http_scope(), receive, send)


async def test_what_an_app_resets_is_reset_outside():
    """A foreign layer that puts a variable back leaves nothing of it behind, set before or not."""
    other = contextvars.ContextVar("other", default="none")

    async def app(scope, receive, send):
        tokens = word.set("app"), other.set("app")
        await sends(START, body(b"a", more=True), body(b"b"))(scope, receive, send)
        word.reset(tokens[0])
        other.reset(tokens[1])

    word.set("caller")
    await request_in_this_task(below(app))
    assert ("caller", "none") == (word.get(), other.get())
    word.set("unset")


async def test_app_that_goes_on_sees_what_it_began_with():
    """The layer resets its variable as soon as the response has begun."""
    seen = []

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"a", more=True))
        seen.append(word.get())
        await send(body(b"b"))
        seen.append(word.get())

    async def dispatch(request, call_next):
        token = word.set("layer")
        try:
            return await call_next(request)
        finally:
            word.reset(token)

    reply = await request(below(app, dispatch))
    assert (["layer", "layer"], None) == (seen, reply.error)


async def test_token_of_the_layer_can_be_reset_after_the_bridge():
    """What the app had of it does not matter."""
    seen = []

    async def dispatch(request, call_next):
        token = word.set("layer")
        try:
            return await call_next(request)
        finally:
            word.reset(token)
            seen.append(word.get())

    reply = await request(below(sends(START, body(b"a", more=True), body(b"b")), dispatch))
    assert (["unset"], b"ab", None) == (seen, reply.body, reply.error)


# -- dropped responses -----------------------------------------------------------------------------


async def test_dropped_app_sees_a_disconnect_and_is_awaited():
    """It may end in peace."""
    log = []

    async def app(scope, receive, send):
        await receive()
        await send(START)
        log.append((await receive())["type"])
        await turns()
        log.append("cleaned")

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("instead")

    reply = await request(below(app, dispatch))
    assert "instead" == reply.text
    assert ["http.disconnect", "cleaned"] == log


async def test_sends_of_a_dropped_app_raise_oserror():
    """As a server's do when the client is gone (ASGI HTTP spec 2.4)."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                await send(body(b"x", more=True))
        except OSError as exc:
            log.append(type(exc).__name__)
            raise

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("instead")

    reply = await request(below(app, dispatch))
    assert ("instead", None, ["OSError"]) == (reply.text, reply.error, log)


async def test_whole_response_that_is_dropped_is_no_error():
    """The app's last send returns; what it does then runs to its end."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"all"))
        await turns()
        log.append("background")

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("instead")

    reply = await request(below(app, dispatch))
    assert ("instead", None, ["background"]) == (reply.text, reply.error, log)


async def test_dropped_app_that_does_not_end_is_cancelled_after_the_grace(monkeypatch):
    """Nothing is left running."""
    monkeypatch.setattr(bridge, "GRACE", 0.0)
    log = []

    async def app(scope, receive, send):
        await send(START)
        try:
            await receive()
            await receive()
            await never()
        except cancelled():
            log.append("cancelled")
            raise

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("instead")

    reply = await request(below(app, dispatch))
    assert ("instead", None, ["cancelled"]) == (reply.text, reply.error, log)


async def test_dropped_app_that_only_waits_is_cancelled_at_once():
    """It asks for nothing, so it could not learn that it was dropped."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        try:
            await never()
        finally:
            log.append("ended")

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("instead")

    reply = await request(below(app, dispatch))
    assert ("instead", None, ["ended"]) == (reply.text, reply.error, log)


async def test_dropped_app_that_answers_while_it_is_cancelled_is_no_error():
    """Its cancellation is not that of whoever dropped it."""
    log = []

    async def app(scope, receive, send):
        await send(START)
        try:
            await never()
        finally:
            await send(body(b"too late"))
            log.append("ended")

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("instead")

    reply = await request(below(app, dispatch))
    assert ("instead", None, ["ended"]) == (reply.text, reply.error, log)


async def test_error_of_a_dropped_app_is_logged(caplog):
    """It has no response to fail."""

    async def app(scope, receive, send):
        await send(START)
        try:
            await send(body(b"x", more=True))
        except OSError:
            raise KeyError("cleaning") from None

    async def dispatch(request, call_next):
        await call_next(request)
        return PlainTextResponse("instead")

    reply = await request(below(app, dispatch))
    assert ("instead", None) == (reply.text, reply.error)
    assert ["KeyError('cleaning')"] == [repr(r.exc_info[1]) for r in caplog.records]


async def test_retry_ends_the_first_run_before_the_second_begins():
    """Two runs never stand beside each other."""
    log = []

    async def app(scope, receive, send):
        log.append("begins")
        try:
            await send(START)
            await send(body(b"a", more=True))
            await send(body(b"b"))
        finally:
            log.append("ends")

    async def dispatch(request, call_next):
        await call_next(request)
        log.append("again")
        return await call_next(request)

    reply = await request(below(app, dispatch))
    assert (b"ab", ["begins", "again", "ends", "begins", "ends"]) == (reply.body, log)


# -- cancellation ----------------------------------------------------------------------------------


async def test_cancelling_the_caller_cancels_the_app_and_waits_for_it():
    """Also while it cleans up."""
    log = []

    async def app(scope, receive, send):
        try:
            await never()
        finally:
            with peace():
                await turns()
            log.append("cleaned")

    async def dispatch(request, call_next):
        try:
            async with timeout(0):
                return await call_next(request)
        except TimeoutError:
            log.append("timeout")
            return PlainTextResponse("late", status_code=504)

    reply = await request(below(app, dispatch))
    assert (504, ["cleaned", "timeout"]) == (reply.status, log)


async def test_cancel_scope_around_the_caller_disturbs_the_cleaning_up_of_the_app_once():
    """anyio's scopes cancel again at each await of the caller, which only waits by then."""
    log = []

    async def app(scope, receive, send):
        try:
            outer.cancel()
            await never()
        finally:
            with peace():
                await turns(5)
            log.append("cleaned up")

    async def receive():
        await never()

    async def send(message):
        raise AssertionError(message)

    with anyio.CancelScope() as outer:
        await below(app)(http_scope(), receive, send)
    assert ["cleaned up"] == log


async def test_cancelled_exchange_ends_the_app():
    """The server stops: the stream is cut, the app has ended when `serve` returns."""
    log, sending = [], anyio.Event()

    async def app(scope, receive, send):
        try:
            await send(START)
            await send(body(b"a", more=True))
            sending.set()
            await never()
        finally:
            log.append("ended")

    async def receive():
        await never()

    async def send(message):
        pass

    task = spawn(below(app)(http_scope(), receive, send))
    await sending.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["ended"] == log


# -- straight --------------------------------------------------------------------------------------


async def test_without_a_dispatch_layer_outside_there_is_no_task():
    """The app is called straight, on the edge's own send."""
    tasks = []

    async def app(scope, receive, send):
        tasks.append(current())
        await sends(START, body(b"x"))(scope, receive, send)

    async def in_this_task(layers):
        await request_in_this_task(Router([Mount("", app=app)], middleware=layers))
        return tasks[-1] is current()

    assert await in_this_task([])
    assert not await in_this_task([passes])
