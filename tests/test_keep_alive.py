"""A stream that is never silent for long: nothing of it is lost, made ahead or left open."""

import asyncio
import contextvars
import math

import anyio
import pytest
import trio
from trio.testing import MockClock

from lamella._keep_alive import SILENCE, KeptAlive, end_streams
from tests.loops import asyncio_only, cancelled, current, peace, spawn, turns, until

LONG = 3600
pytestmark = pytest.mark.anyio
word = contextvars.ContextVar("word", default="none")


async def counted(count):
    for number in range(count):
        yield number


async def heard(stream):
    """The next item, however often there is silence before it."""
    for _ in range(1000):
        item = await anext(stream, "end")
        if item is not SILENCE:
            return item
    raise AssertionError("silent for ever")


class Slow:
    """Items that come when they are let."""

    def __init__(self):
        self.let = anyio.Event()
        self.left = []
        self.tasks = []

    async def __aiter__(self):
        try:
            for number in range(3):
                self.tasks.append(current())
                await self.let.wait()
                yield number
        except BaseException as exc:
            self.left.append(type(exc))
            raise
        finally:
            self.tasks.append(current())
            with peace():
                await turns()
            self.left.append("closed")


# -- items and silence -----------------------------------------------------------------------------


async def test_items_that_come_at_once_come_as_they_are():
    stream = KeptAlive(counted(3), LONG)
    assert [0, 1, 2] == [item async for item in stream]
    await stream.aclose()


async def test_silence_is_told_until_the_item_is_there_which_is_not_lost():
    slow = Slow()
    stream = KeptAlive(slow.__aiter__(), 0)
    assert [SILENCE] * 3 == [await anext(stream) for _ in range(3)]
    slow.let.set()
    assert [0, 1, 2, "end"] == [await heard(stream) for _ in range(4)]
    await stream.aclose()
    assert ["closed"] == slow.left


async def test_an_item_that_came_between_is_given_at_once():
    slow = Slow()
    stream = KeptAlive(slow, 0)
    assert SILENCE is await anext(stream)
    slow.let.set()
    await turns(5)
    assert 0 == await anext(stream)
    await stream.aclose()


def test_silence_is_told_each_time_the_seconds_are_over():
    """On a clock that moves when everybody waits; it counts from the last item."""

    async def items():
        yield "first"
        await trio.sleep(40)
        yield "second"

    async def main():
        stream, told = KeptAlive(items(), 15), []
        async for item in stream:
            told.append((trio.current_time() - began, item))
        await stream.aclose()
        return told

    clock = MockClock(autojump_threshold=0)
    began = clock.current_time()
    told = trio.run(main, clock=clock)
    assert [(0, "first"), (15, SILENCE), (30, SILENCE), (40, "second")] == told


async def test_without_a_limit_silence_is_never_told():
    slow = Slow()
    stream = KeptAlive(slow, math.inf)
    first = spawn(anext(stream))
    await turns(5)
    assert not first.done()
    slow.let.set()
    assert 0 == await first
    await stream.aclose()


async def test_nothing_is_made_ahead():
    """Whoever made items that nobody wants, would make them for ever."""
    made = []

    async def items():
        while True:
            made.append(len(made))
            yield made[-1]

    stream = KeptAlive(items(), LONG)
    assert (0, 1) == (await anext(stream), await anext(stream))
    await turns(5)
    assert [0, 1] == made
    await stream.aclose()


# -- one task --------------------------------------------------------------------------------------


async def test_one_task_makes_all_items_and_closes_them():
    slow = Slow()
    stream = KeptAlive(slow, 0)
    assert SILENCE is await anext(stream)
    slow.let.set()
    assert [0, 1] == [await heard(stream), await heard(stream)]
    await stream.aclose()
    assert 1 == len({id(task) for task in slow.tasks})
    assert current() is not slow.tasks[0]


async def test_a_cancel_scope_may_be_open_while_items_are_given():
    """Stepped by the task that sends, it would be left in another order than it was entered."""

    async def items():
        with anyio.CancelScope() as scope:
            yield "inside"
            scope.cancel()
            await anyio.sleep(LONG)
        yield "outside"

    stream = KeptAlive(items(), LONG)
    with anyio.CancelScope():
        assert "inside" == await anext(stream)
    assert "outside" == await anext(stream)
    await stream.aclose()


async def test_context_variables_stay_from_the_first_step_to_the_last():
    async def items():
        yield word.get()
        token = word.set("mine")
        try:
            yield word.get()
        finally:
            word.reset(token)

    word.set("asked")
    stream = KeptAlive(items(), LONG)
    assert "asked" == await anext(stream)
    word.set("changed since")
    assert "mine" == await anext(stream)
    await stream.aclose()
    assert "changed since" == word.get()


# -- errors ----------------------------------------------------------------------------------------


async def test_an_error_comes_after_the_items_as_it_is_and_once():
    error = LookupError("broken")

    async def items():
        yield 1
        raise error

    stream = KeptAlive(items(), LONG)
    assert 1 == await anext(stream)
    with pytest.raises(LookupError) as caught:
        await anext(stream)
    assert error is caught.value
    assert "end" == await anext(stream, "end")
    await stream.aclose()


async def test_an_error_of_the_cleanup_is_raised_by_the_closing():
    async def items():
        try:
            yield 1
        finally:
            raise LookupError("cleanup")

    stream = KeptAlive(items(), LONG)
    await anext(stream)
    with pytest.raises(LookupError, match="cleanup"):
        await stream.aclose()


@asyncio_only("on trio, a cancellation is nobody's to raise")
async def test_a_cancellation_out_of_the_items_is_passed_on():
    async def items():
        yield 1
        raise asyncio.CancelledError

    stream = KeptAlive(items(), LONG)
    await anext(stream)
    with pytest.raises(asyncio.CancelledError):
        await anext(stream)
    await stream.aclose()


# -- the end ---------------------------------------------------------------------------------------


async def test_closing_cancels_the_making_of_an_item_and_waits_until_all_is_closed():
    slow = Slow()
    stream = KeptAlive(slow, 0)
    assert SILENCE is await anext(stream)
    await stream.aclose()
    assert [cancelled(), "closed"] == slow.left
    assert "end" == await anext(stream, "end")


async def test_closing_between_two_items_cancels_nothing():
    slow = Slow()
    slow.let.set()
    stream = KeptAlive(slow, LONG)
    assert 0 == await anext(stream)
    await stream.aclose()
    assert [GeneratorExit, "closed"] == slow.left


async def test_closing_is_done_though_the_items_ignore_the_cancellation():
    async def items():
        try:
            await anyio.sleep(LONG)
        except cancelled():
            pass
        yield "still here"

    stream = KeptAlive(items(), 0)
    assert SILENCE is await anext(stream)
    await stream.aclose()


async def test_closing_what_was_never_drawn_from_closes_the_items():
    class Items:
        closed = False

        def __aiter__(self):
            raise AssertionError("nobody asked for any")

        async def aclose(self):
            self.closed = True

    items = Items()
    await KeptAlive(items, LONG).aclose()
    assert items.closed
    await KeptAlive(object(), LONG).aclose()


async def test_items_that_cannot_be_closed_are_left():
    class Items:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return 1

    stream = KeptAlive(Items(), LONG)
    assert 1 == await anext(stream)
    await stream.aclose()


async def test_closing_when_all_was_given_does_nothing():
    stream = KeptAlive(counted(1), LONG)
    assert [0] == [item async for item in stream]
    await stream.aclose()
    await stream.aclose()


async def test_one_who_is_cancelled_while_waiting_can_still_close():
    slow = Slow()
    stream = KeptAlive(slow, LONG)
    with anyio.CancelScope() as scope:
        job = spawn(until(lambda: slow.tasks))
        later = spawn(_cancel_after(job, scope))
        await anext(stream)
    await later
    assert scope.cancelled_caught
    await stream.aclose()
    assert [cancelled(), "closed"] == slow.left


async def _cancel_after(job, scope):
    await job
    scope.cancel()


async def test_all_streams_of_a_loop_can_be_ended():
    """Those who draw from them are told that there is no more; nothing is cancelled yet."""
    slow = Slow()
    waiting, between = KeptAlive(slow, LONG), KeptAlive(counted(9), LONG)
    job = spawn(heard(waiting))
    assert 0 == await anext(between)
    await until(lambda: slow.tasks)
    assert 2 == end_streams()
    assert "end" == await job
    assert "end" == await anext(between, "end")
    assert [] == slow.left
    await waiting.aclose()
    await between.aclose()
    assert 0 == end_streams()


@asyncio_only("a callback of the loop")
async def test_streams_can_be_ended_from_outside_of_a_task():
    """As a handler of a signal is called."""
    stream = KeptAlive(counted(9), LONG)
    assert 0 == await anext(stream)
    ended = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: ended.set_result(end_streams()))
    assert 1 == await ended
    assert "end" == await anext(stream, "end")
    await stream.aclose()


async def test_streams_of_other_threads_are_let_alone():
    """Their loops are not this one's to wake."""
    stream = KeptAlive(counted(9), LONG)
    assert 0 == await anext(stream)
    assert 0 == await anyio.to_thread.run_sync(end_streams)
    assert 1 == await anext(stream)
    await stream.aclose()
