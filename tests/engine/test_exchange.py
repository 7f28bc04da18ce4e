"""What a request and its response hold until both are over."""

import logging

import pytest

from lamella.engine.exchange import Exchange, Outcome, SendError
from lamella.engine.inbound import Inbound
from lamella.exceptions import ClientDisconnect, ResponseStartedError
from lamella.responses import PlainTextResponse, StreamingResponse

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 201, "headers": []}


def body(content=b"", more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


class Server:
    """A `send` that records, and fails once it is told to."""

    def __init__(self):
        self.sent = []
        self.error = None

    async def __call__(self, message):
        if self.error is not None:
            raise self.error
        self.sent.append(message)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def exchange(server):
    return Exchange(server, None, 0.0)


class Source:
    """A source of body that logs when it is closed, and may fail then."""

    def __init__(self, log, name, error=None):
        self.log, self.name, self.error = log, name, error

    async def __aiter__(self):
        yield b""

    async def aclose(self):
        self.log.append(self.name)
        if self.error is not None:
            raise self.error


def outcome_without_time(outcome):
    assert outcome.seconds > 0
    return outcome._replace(seconds=0.0)


# --- sending


async def test_messages_pass_as_they_are_and_are_counted(exchange, server):
    """The very objects; nothing is complete before the last."""
    messages = [START, body(b"abc", more=True), body(b"de")]
    for message in messages:
        assert not exchange.complete
        await exchange.send(message)
    assert all(one is other for one, other in zip(messages, server.sent, strict=True))
    assert (201, 5, True) == (exchange.status, exchange.body_size, exchange.complete)


@pytest.mark.parametrize(
    ("message", "size", "complete"),
    [
        ({"type": "http.response.body"}, 0, True),
        (body(memoryview(b"abc")), 3, True),
        ({"type": "http.response.pathsend", "path": "x"}, 0, True),
        ({"type": "http.response.zerocopysend", "file": 1, "count": 7}, 7, True),
        ({"type": "http.response.zerocopysend", "file": 1, "more_body": True}, 0, False),
        ({"type": "http.response.debug", "info": {}}, 0, False),
        ({"type": "http.response.trailers", "headers": []}, 0, False),
    ],
)
async def test_each_kind_of_message_is_understood(message, size, complete, exchange, server):
    """Those of the extensions, too."""
    await exchange.send(START)
    await exchange.send(message)
    assert (size, complete) == (exchange.body_size, exchange.complete)
    assert message is server.sent[-1]


@pytest.mark.parametrize(
    "kind",
    ["http.response.body", "http.response.pathsend", "http.response.zerocopysend"],
)
async def test_body_before_the_start_is_refused(kind, exchange, server):
    """With a text that says what was expected."""
    with pytest.raises(ResponseStartedError, match=f"before {kind}"):
        await exchange.send({"type": kind, "body": b"", "path": "x", "file": 1})
    assert [] == server.sent


async def test_second_start_is_refused(exchange, server):
    """It names both."""
    await exchange.send(START)
    with pytest.raises(ResponseStartedError, match="status 500.*status 201"):
        await exchange.send({**START, "status": 500})
    assert [START] == server.sent


async def test_send_that_fails_says_that_the_client_left(exchange, server):
    """Spec 2.4; the `OSError` keeps what it said, and its cause."""
    server.error = BrokenPipeError(32, "pipe")
    with pytest.raises(SendError) as caught:
        await exchange.send(START)
    assert (32, "pipe") == caught.value.args
    assert server.error is caught.value.__cause__
    assert exchange.left
    assert exchange.client_left


async def test_other_errors_of_send_pass_as_they_are(exchange, server):
    """They are the server's, and no client's."""
    server.error = LookupError("server")
    with pytest.raises(LookupError):
        await exchange.send(START)
    assert not exchange.client_left


# --- the client


def chain(*errors):
    """Link errors by their causes; the first is raised."""
    for error, cause in zip(errors, errors[1:], strict=False):
        error.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("error", "says_left"),
    [
        (ClientDisconnect(), True),
        (SendError(), True),
        (chain(LookupError(), KeyError(), ClientDisconnect()), True),
        (ExceptionGroup("", [ClientDisconnect(), SendError()]), True),
        (ExceptionGroup("", [ExceptionGroup("", [ClientDisconnect()])]), True),
        (ExceptionGroup("", [ClientDisconnect(), LookupError()]), False),
        (OSError(), False),
        (LookupError(), False),
    ],
    ids=repr,
)
@pytest.mark.parametrize("left", [True, False])
def test_error_is_explained_only_by_a_client_that_did_leave(left, error, says_left, exchange):
    """A `ClientDisconnect` that somebody raised for nothing is an error."""
    exchange.left = left
    assert (left and says_left) == exchange.explains(error)


async def test_client_known_gone_after_the_last_message_was_there_for_all_of_it(exchange):
    """Whoever leaves later has everything."""

    async def receive():
        return {"type": "http.disconnect"}

    inbound = Inbound(receive)
    exchange.own(inbound)
    await exchange.send(START)
    await exchange.send(body(b"a"))
    inbound.disconnected = True
    assert not exchange.client_left


async def test_client_known_gone_before_the_last_message_was_not(exchange):
    """Where `send` says nothing, the inbound does."""

    async def receive():
        return {"type": "http.disconnect"}

    inbound = Inbound(receive)
    exchange.own(inbound)
    await exchange.send(START)
    inbound.disconnected = True
    await exchange.send(body(b"a"))
    assert exchange.client_left


# --- what is held


async def test_held_responses_are_closed_once_the_newest_first(exchange):
    """Holding one twice is holding it once."""
    log = []
    responses = [StreamingResponse(Source(log, name)) for name in "abc"]
    for response in [*responses, responses[0]]:
        exchange.hold(response)
    assert [] == await exchange.close_held()
    assert ["c", "b", "a"] == log
    assert [] == await exchange.close_held()
    assert ["c", "b", "a"] == log


async def test_every_held_response_is_closed_although_some_fail(exchange):
    """The errors are given back, in the order they came."""
    log = []
    errors = {"a": LookupError("a"), "c": KeyboardInterrupt("c")}
    for name in "abc":
        exchange.keep(StreamingResponse(Source(log, name, errors.get(name))))
    assert [errors["c"], errors["a"]] == await exchange.close_held()
    assert ["c", "b", "a"] == log


async def test_background_tasks_are_taken_over_in_their_order(exchange):
    """No layer can lose one, and none runs twice."""
    log = []

    async def work():
        log.append("work")

    async def other():
        log.append("other")

    first, second = PlainTextResponse(), PlainTextResponse()
    first.background, second.background = work, other
    exchange.hold(first)
    exchange.hold(second)
    exchange.hold(first)
    for background in exchange.backgrounds:
        await background()
    assert ["work", "other"] == log
    assert (None, None) == (first.background, second.background)


async def test_dropping_logs_what_fails_to_close_and_raises_what_is_no_exception(exchange, caplog):
    """A retry goes on; a cancellation does not."""
    exchange.keep(StreamingResponse(Source([], "a", LookupError("a"))))
    with caplog.at_level(logging.ERROR, "lamella.engine"):
        await exchange.drop_held()
    assert [LookupError] == [record.exc_info[0] for record in caplog.records]
    exchange.keep(StreamingResponse(Source([], "b", KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        await exchange.drop_held()


def test_error_that_a_response_reports_is_taken_from_it(exchange, server):
    """So that it is raised once; an exchange further out hears of it."""
    inner = Exchange(server, exchange, 0.0)
    response = PlainTextResponse("Internal Server Error", 500)
    response.exception = error = LookupError()
    assert error is inner.take(response)
    assert response.exception is None
    assert error is exchange.failure
    assert inner.take(response) is None


# --- telling


async def test_outcome_says_what_was_sent(exchange):
    """To every callback, sync or async, in order, once."""
    told = []

    async def waits(outcome):
        told.append(("async", outcome_without_time(outcome)))

    exchange.call_after(lambda outcome: told.append(("sync", outcome_without_time(outcome))))
    exchange.call_after(waits)
    await exchange.send(START)
    await exchange.send(body(b"abc"))
    error = LookupError()
    await exchange.tell(error)
    expected = Outcome(201, 3, 0.0, False, error)
    assert [("sync", expected), ("async", expected)] == told
    await exchange.tell(None)
    assert 2 == len(told)


async def test_outcome_of_nothing_has_no_status(exchange):
    """The request was cancelled, say."""
    told = []
    exchange.call_after(told.append)
    await exchange.tell(None)
    assert (None, 0, False, None) == (*told[0][:2], *told[0][3:])


async def test_callback_that_fails_is_logged_and_the_others_run(exchange, caplog):
    """It changes nothing; the log names it."""
    told = []

    def fails_to_count(outcome):
        raise LookupError("own")

    async def fails_later(outcome):
        raise KeyError("later")

    for callback in (fails_to_count, fails_later, told.append):
        exchange.call_after(callback)
    with caplog.at_level(logging.ERROR, "lamella.engine"):
        await exchange.tell(None)
    assert 1 == len(told)
    assert [LookupError, KeyError] == [record.exc_info[0] for record in caplog.records]
    assert "fails_to_count" in caplog.records[0].getMessage()


async def test_callbacks_belong_to_the_outermost_exchange(exchange, server):
    """Only there it is known what the client got."""
    told = []
    middle = Exchange(server, exchange, 0.0)
    Exchange(server, middle, 0.0).call_after(told.append)
    await middle.tell(None)
    assert [] == told
    await exchange.tell(None)
    assert 1 == len(told)
