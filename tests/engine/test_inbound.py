"""The owner of `receive`: one body for all, bounded reading ahead, and who hears of the client."""

from collections import deque

import anyio
import pytest

from lamella.engine.inbound import READ_AHEAD, Feed, Inbound
from lamella.exceptions import BodyConsumedError, ClientDisconnect, HTTPException
from tests import loops
from tests.loops import gather, spawn, wait, within

pytestmark = pytest.mark.anyio

GONE = {"type": "http.disconnect"}


class Server:
    """A `receive` that counts what is taken, and waits where there is nothing."""

    def __init__(self, *chunks, more=False):
        self.messages = deque(
            {"type": "http.request", "body": chunk, "more_body": more or at < len(chunks) - 1}
            for at, chunk in enumerate(chunks)
        )
        self.taken = 0
        self.inside = 0
        self.news = anyio.Event()

    def say(self, message):
        self.messages.append(message)
        self.news.set()

    async def receive(self):
        assert self.inside == 0, "two tasks in `receive` at once"
        self.inside += 1
        try:
            while not self.messages:
                self.news = anyio.Event()
                await self.news.wait()
            message = self.messages.popleft()
        finally:
            self.inside -= 1
        if isinstance(message, Exception):
            raise message
        self.taken += 1
        return message


async def turns(count=20):
    """Let every other task run."""
    await loops.turns(count)


@pytest.fixture
async def opened(no_task_left):
    """Make inbounds that are closed at the end."""
    made = []

    def make(*chunks, more=False, **options):
        server = Server(*chunks, more=more)
        inbound = Inbound(server.receive, **options)
        made.append(inbound)
        return server, inbound

    yield make
    for inbound in made:
        await inbound.close()


async def test_nothing_is_read_before_somebody_asks(opened):
    """A server may still be refused the body, by a 413 say."""
    server, inbound = opened(b"a", b"b")
    await turns()
    assert 0 == server.taken
    assert not inbound.consumed


async def test_taking_reads_no_further_than_it_must(opened):
    """One message a piece: the server's back pressure holds."""
    server, inbound = opened(b"a", b"b", b"c")
    for count, chunk in enumerate((b"a", b"b", b"c"), 1):
        assert chunk == await inbound.take("reader")
        await turns()
        assert count == server.taken
    assert await inbound.take("reader") is None
    assert 3 == server.taken
    assert inbound.consumed


@pytest.mark.parametrize("size", [1, 1000, READ_AHEAD - 1, READ_AHEAD, READ_AHEAD + 1])
async def test_watching_stops_at_the_bound_exactly(size, opened):
    """It takes no message once so much is kept; so at most one message goes over it."""
    server, inbound = opened(*[b"x" * size] * (READ_AHEAD // size + 10), more=True)
    inbound.watch()
    await turns(READ_AHEAD // size + 30)
    assert -(-READ_AHEAD // size) == server.taken
    assert inbound._ahead == server.taken * size
    assert inbound._ahead - size < READ_AHEAD


async def test_watching_goes_on_as_far_as_what_is_taken(opened):
    """Each piece that a reader takes makes room for as much."""
    server, inbound = opened(*[b"x" * READ_AHEAD] * 5, more=True)
    inbound.watch()
    for count in range(1, 5):
        await turns()
        assert count == server.taken
        assert READ_AHEAD == len(await inbound.take("reader"))


async def test_watching_sees_the_end_of_a_body_that_fills_the_bound(opened):
    """The disconnect comes after it, and is waited for."""
    server, inbound = opened(b"x" * READ_AHEAD)
    inbound.watch()
    await turns()
    server.say(GONE)
    await turns()
    assert inbound.disconnected


async def test_body_read_whole_while_watching_is_whole(opened):
    """However much of it had been kept."""
    parts = [bytes([number]) * 30_000 for number in range(10)]
    server, inbound = opened(*parts)
    inbound.watch()
    await turns()
    assert b"".join(parts) == await inbound.read()
    assert 0 == inbound._ahead
    server.say(GONE)
    await within(inbound.wait_disconnected())


async def test_one_task_watches_however_many_ask(opened):
    """One a request."""
    _, inbound = opened(b"", more=True)
    before = len(anyio.get_running_tasks())
    for _ in range(5):
        inbound.watch()
        assert not await inbound.is_disconnected()
    assert before + 1 == len(anyio.get_running_tasks())
    await inbound.close()
    assert before == len(anyio.get_running_tasks())


async def test_who_waits_for_the_client_after_the_end_is_told_at_once(opened):
    """A task that outlived its request: a watcher made for it would be left behind."""
    server, inbound = opened(b"a")
    feed = Feed(inbound, "app")
    assert b"a" == await inbound.read()
    await feed.receive()
    await inbound.close()
    before = len(anyio.get_running_tasks())
    assert GONE == await feed.receive()
    await inbound.wait_disconnected()
    assert before == len(anyio.get_running_tasks())


async def test_repeating_receive_is_not_asked_for_ever(opened):
    """A replay made by hand says the same each time: watching it would only spin."""
    calls = 0

    async def replay():
        nonlocal calls
        calls += 1
        return {"type": "http.request", "body": b"abc", "more_body": False}

    inbound = Inbound(replay)
    inbound.watch()
    await turns(50)
    assert 2 == calls
    assert b"abc" == await inbound.read()
    await inbound.close()


async def test_readers_in_two_tasks_take_turns(opened):
    """Nobody else is in `receive` while one is; the server checks it."""
    server, inbound = opened(more=True)
    readers = [spawn(inbound.take("reader")) for _ in range(2)]
    inbound.watch()
    await turns()
    server.say({"type": "http.request", "body": b"1", "more_body": True})
    await turns()
    server.say({"type": "http.request", "body": b"2", "more_body": True})
    assert [b"1", b"2"] == sorted(await gather(*readers))


async def test_reader_that_is_cancelled_leaves_the_rest_to_others(opened):
    """It held the `receive`; the next one takes it over."""
    server, inbound = opened(more=True)
    first, second = (spawn(inbound.read()) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    server.say({"type": "http.request", "body": b"abc", "more_body": False})
    assert b"abc" == await within(second)


async def test_client_that_leaves_ends_every_reader(opened):
    """All who wait are told, by the same error."""
    server, inbound = opened(b"a", more=True)
    tasks = [spawn(inbound.read()) for _ in range(3)]
    await turns()
    server.say(GONE)
    results = await gather(*tasks, return_exceptions=True)
    assert [ClientDisconnect] * 3 == list(map(type, results))
    assert await inbound.is_disconnected()


async def test_body_that_came_before_the_client_left_is_whole(opened):
    """What has been received stays."""
    server, inbound = opened(b"a", b"b")
    server.say(GONE)
    inbound.watch()
    await within(inbound.wait_disconnected())
    assert b"ab" == await inbound.read()


async def test_callbacks_are_called_once_in_order_and_not_when_they_are_gone(opened):
    """An unknown one may be given back, too."""
    server, inbound = opened(more=True)
    told = []
    callbacks = [lambda failure, n=n: told.append((n, failure)) for n in range(3)]
    for callback in callbacks:
        inbound.subscribe(callback)
    inbound.unsubscribe(callbacks[1])
    inbound.unsubscribe(callbacks[1])
    inbound.watch()
    server.say(GONE)
    server.say(GONE)
    await turns()
    assert [(0, None), (2, None)] == told


async def test_server_that_fails_is_told_to_whoever_waits(opened):
    """Not a hang, and no reason to fail a response that is on its way."""
    server, inbound = opened(more=True)
    waiting = spawn(inbound.wait_disconnected())
    await turns()
    server.say(LookupError("server"))
    with pytest.raises(LookupError, match="server"):
        await within(waiting)
    assert not inbound.disconnected


async def test_wait_that_is_given_up_leaves_no_callback(opened):
    """Or they would add up."""
    _, inbound = opened(more=True)
    waiting = spawn(inbound.wait_disconnected())
    await turns()
    waiting.cancel()
    await wait([waiting])
    assert () == inbound._subscribers


# --- the limit


@pytest.mark.parametrize(
    ("limit", "announced", "chunks", "fits"),
    [
        (3, None, (b"ab", b"c"), True),
        (3, None, (b"ab", b"cd"), False),
        (3, 4, (b"a",), False),
        (3, 3, (b"abc",), True),
        (3, 1, (b"abcd",), False),
        (0, None, (b"",), True),
        (0, None, (b"a",), False),
        (None, 10**9, (b"abcd",), True),
    ],
)
@pytest.mark.parametrize("how", ["read", "take"])
async def test_limit_is_exact(how, limit, announced, chunks, fits, opened):
    """Of what was announced and of what came, the larger."""
    _, inbound = opened(*chunks)
    inbound.limit, inbound.content_length = limit, announced

    async def all_of_it():
        if how == "read":
            return await inbound.read()
        taken = b""
        while (chunk := await inbound.take("reader")) is not None:
            taken += chunk
        return taken

    if fits:
        assert b"".join(chunks) == await all_of_it()
        assert not inbound.exceeds_limit
    else:
        with pytest.raises(HTTPException) as caught:
            await all_of_it()
        assert 413 == caught.value.status_code
        assert inbound.exceeds_limit


# --- feeds


async def test_feed_gives_an_app_a_body_that_was_read_whole(opened):
    """In one message, as often as there are feeds."""
    _, inbound = opened(b"a", b"b")
    assert b"ab" == await inbound.read()
    for _ in range(2):
        feed = Feed(inbound, "app")
        assert {"type": "http.request", "body": b"ab", "more_body": False} == await feed.receive()
        assert feed.exhausted


async def test_feed_hands_on_one_message_at_a_time(opened):
    """And the end with the last piece."""
    server, inbound = opened(b"a", b"b")
    feed = Feed(inbound, "app")
    assert {"type": "http.request", "body": b"a", "more_body": True} == await feed.receive()
    assert 1 == server.taken
    assert {"type": "http.request", "body": b"b", "more_body": False} == await feed.receive()


async def test_feed_of_a_body_that_was_streamed_away_says_who_has_it(opened):
    """Instead of an empty body."""
    _, inbound = opened(b"abc", more=True)
    await inbound.take("somebody")
    with pytest.raises(BodyConsumedError, match="streamed 3 bytes"):
        await Feed(inbound, "app").receive()


@pytest.mark.parametrize("how", ["leaves", "ends", "cut-off"])
async def test_feed_waits_after_the_body_until_the_client_leaves(how, opened):
    """Or until it is told to end: then the app hears the same."""
    server, inbound = opened(b"a", more=how == "cut-off")
    feed = Feed(inbound, "app")
    await feed.receive()
    waiting = spawn(feed.receive())
    await turns()
    assert not waiting.done()
    if how == "ends":
        assert feed.end()
    else:
        server.say(GONE)
    assert GONE == await within(waiting)
    assert GONE == await feed.receive()
    assert feed.heard
    assert (how != "ends") == inbound.disconnected


async def test_feed_that_ended_before_anybody_asked_was_not_heard(opened):
    """Whoever ended it may have to cancel the app."""
    _, inbound = opened(b"a")
    feed = Feed(inbound, "app")
    assert not feed.end()
    assert GONE == await feed.receive()
    assert feed.heard


async def test_body_read_whole_through_feeds_is_known_further_out(opened):
    """So a layer outside of a foreign one reads it again."""
    _, outer = opened(b"abc", b"def")
    feed = Feed(outer, "app")
    inner = Inbound(feed.receive, feed)
    assert b"abcdef" == await inner.read()
    assert b"abcdef" == outer.body == await outer.read()


async def test_body_that_a_foreign_layer_changed_is_not_given_back(opened):
    """It is not the one that came in; the same length is not enough."""
    _, outer = opened(b"abc")
    feed = Feed(outer, "app")

    async def receive():
        return {**await feed.receive(), "body": b"xyz"}

    inner = Inbound(receive, feed)
    assert b"xyz" == await inner.read()
    assert outer.body is None
    with pytest.raises(BodyConsumedError):
        await outer.read()


async def test_inner_inbound_asks_the_outer_one_about_the_client(opened):
    """It never reads ahead itself; ending its feed ends it alone."""
    server, outer = opened(b"a", more=True)
    feed = Feed(outer, "app")
    inner = Inbound(feed.receive, feed)
    told = []
    inner.subscribe(told.append)
    assert not await inner.is_disconnected()
    assert inner._watcher is None
    feed.end()
    assert [None] == told
    assert inner.disconnected
    assert not outer.disconnected
    other = Inbound(feed.receive, Feed(outer, "other"))
    server.say(GONE)
    await turns()
    assert await other.is_disconnected()


# --- readers beside each other


async def whole(inbound):
    """Read it whole."""
    return await inbound.read()


async def streamed(inbound):
    """Stream it, as a request does."""
    chunks = []
    while (chunk := await inbound.take("stream")) is not None:
        chunks.append(chunk)
    return b"".join(chunks)


async def handed(inbound):
    """Take it as a foreign app does."""
    feed = Feed(inbound, "app")
    chunks, more = [], True
    while more:
        message = await feed.receive()
        chunks.append(message["body"])
        more = message["more_body"]
    return b"".join(chunks)


@pytest.mark.parametrize("other", [streamed, handed])
@pytest.mark.parametrize("first", ["whole", "other"])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_body_read_whole_beside_another_reader_is_not_lost(count, first, other, opened):
    """Each gets all of it, or an error that says who has it: never an empty body."""
    server, inbound = opened(more=True)
    readers = [whole, other] if first == "whole" else [other, whole]
    tasks = [spawn(reader(inbound)) for reader in readers]
    await turns()
    for left in reversed(range(count)):
        server.say({"type": "http.request", "body": b"hello", "more_body": left > 0})
        await turns()
    got = await gather(*tasks, return_exceptions=True)
    bodies = [result for result in got if not isinstance(result, BodyConsumedError)]
    assert bodies
    assert [b"hello" * count] * len(bodies) == bodies


async def test_body_cut_off_while_it_was_streamed_stays_cut_off(opened):
    """Whoever reads next learns that the client left, not that somebody streamed the rest."""
    server, inbound = opened(b"a", more=True)
    server.say(GONE)
    assert b"a" == await inbound.take("reader")
    with pytest.raises(ClientDisconnect):
        await inbound.take("reader")
    with pytest.raises(ClientDisconnect):
        await inbound.read()
    with pytest.raises(ClientDisconnect):
        inbound.claim()
