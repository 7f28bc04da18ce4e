"""A block that ends when the client leaves, and for that reason alone."""

import asyncio
import math

import anyio
import pytest

from lamella.engine.inbound import Inbound
from lamella.engine.interrupt import Interrupt
from tests import loops
from tests.loops import cancelled, current, never, on_trio, peace, spawn, timeout, wait

pytestmark = pytest.mark.anyio


class Client:
    """A client that leaves when a test says so."""

    def __init__(self):
        self.left = anyio.Event()

    async def receive(self):
        await self.left.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
async def client():
    return Client()


@pytest.fixture
async def inbound(client, no_task_left):
    inbound = Inbound(client.receive)
    yield inbound
    await inbound.close()


async def turns(count=10):
    """Let every other task run."""
    await loops.turns(count)


def no_trace(inbound):
    """Tell that neither the task nor the inbound remembers a block."""
    if on_trio():
        is_cancelled = anyio.current_effective_deadline() == -math.inf
    else:
        is_cancelled = current().cancelling() > 0
    return not is_cancelled and inbound._subscribers == ()


async def test_block_ends_when_the_client_leaves_and_no_error_comes_out(client, inbound):
    """The task goes on behind it."""
    with Interrupt(inbound) as interrupt:
        client.left.set()
        await never()
    assert interrupt.fired
    assert no_trace(inbound)
    await turns()


async def test_block_that_ends_by_itself_is_left_alone(client, inbound):
    """Also if the client leaves right behind it."""
    with Interrupt(inbound) as interrupt:
        await turns()
    assert not interrupt.fired
    assert no_trace(inbound)
    client.left.set()
    await turns()
    assert not interrupt.fired


async def test_finally_of_the_block_may_await_in_peace(client, inbound):
    """One cancellation, not one at every await."""
    log = []
    with Interrupt(inbound):
        try:
            client.left.set()
            await never()
        finally:
            with peace():
                await turns()
            log.append("cleaned")
    assert ["cleaned"] == log


async def test_error_of_the_block_comes_out(client, inbound):
    """Before the client left, and in the cleaning after it."""
    with pytest.raises(LookupError, match="before"), Interrupt(inbound):
        raise LookupError("before")
    with pytest.raises(LookupError, match="after"), Interrupt(inbound) as interrupt:
        client.left.set()
        try:
            await never()
        finally:
            raise LookupError("after")
    assert interrupt.fired
    assert no_trace(inbound)
    await turns()


async def test_block_that_swallows_the_cancellation_leaves_no_trace(client, inbound):
    """The task is not cancelled for whoever asks later."""
    with Interrupt(inbound) as interrupt:
        client.left.set()
        try:
            await never()
        except cancelled():
            pass
    assert interrupt.fired
    assert no_trace(inbound)
    async with timeout(5):
        await turns()


@pytest.mark.parametrize("order", ["before", "after", "alone"])
async def test_cancellation_from_elsewhere_passes(order, client, inbound):
    """Whether the client leaves, too, or not."""
    entered = anyio.Event()

    async def work():
        with Interrupt(inbound):
            entered.set()
            try:
                await never()
            finally:
                with peace():
                    await turns(5)

    task = spawn(work())
    await entered.wait()
    if order == "before":
        task.cancel()
        client.left.set()
    elif order == "after":
        client.left.set()
        await turns(3)
        task.cancel()
    else:
        task.cancel()
    await wait([task])
    assert task.cancelled()


async def test_timeout_around_the_block_is_still_a_timeout(inbound):
    """`asyncio.timeout` counts cancellations the same way; a scope of trio's lies outside."""
    with pytest.raises(TimeoutError):
        async with timeout(0):
            with Interrupt(inbound):
                await never()
    assert no_trace(inbound)


async def test_timeout_within_the_block_is_still_a_timeout(inbound):
    """And the block goes on behind it."""
    with Interrupt(inbound) as interrupt:
        with pytest.raises(TimeoutError):
            async with timeout(0):
                await never()
        await turns()
    assert not interrupt.fired


async def test_blocks_within_each_other_end_together(client, inbound):
    """A stream in an endpoint that is interrupted itself."""
    log = []
    with Interrupt(inbound) as outer:
        with Interrupt(inbound) as inner:
            client.left.set()
            await never()
        log.append("between")
        await never()
    assert (True, True) == (outer.fired, inner.fired)
    assert no_trace(inbound)


async def test_block_that_reads_the_disconnect_itself_is_told_by_the_reading(client, inbound):
    """By `ClientDisconnect`, which says more than a cancellation."""
    client.left.set()
    with Interrupt(inbound) as interrupt:
        inbound._leave()
        await turns()
    assert not interrupt.fired


async def test_watch_that_fails_does_not_end_the_block():
    """A broken `receive` does not say that the client left."""

    async def receive():
        raise LookupError("server")

    inbound = Inbound(receive)
    with Interrupt(inbound) as interrupt:
        await turns()
    assert not interrupt.fired
    await inbound.close()


def test_outside_of_a_task_it_says_so():
    """There would be nothing to cancel."""

    async def receive():
        raise LookupError

    errors = []

    def callback(loop):
        try:
            Interrupt(Inbound(receive)).__enter__()
        except RuntimeError as exc:
            errors.append(str(exc))
        loop.stop()

    loop = asyncio.new_event_loop()
    loop.call_soon(callback, loop)
    loop.run_forever()
    loop.close()
    assert 1 == len(errors)
    assert "in a task" in errors[0]
