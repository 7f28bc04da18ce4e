"""What the engine needs of an event loop, on each of them."""

import asyncio
import subprocess
import sys

import anyio
import pytest
import trio

from lamella.engine.loop import ASYNCIO, calmly, here, settled, wake
from lamella.engine.on_trio import TRIO
from tests.loops import asyncio_only, never, on_trio, peace, spawn, turns

pytestmark = pytest.mark.anyio


# -- which loop it is ------------------------------------------------------------------------------


async def test_loop_that_runs_the_caller_is_found():
    """trio is imported by now, whichever runs."""
    assert here() is (TRIO if on_trio() else ASYNCIO)


async def test_loop_within_the_other_is_found():
    """An asyncio that runs inside a task of trio's, as trio-asyncio has it."""

    async def main():
        return here()

    if on_trio():
        loop = asyncio.new_event_loop()
        try:
            assert loop.run_until_complete(main()) is ASYNCIO
        finally:
            loop.close()
    assert here() is (TRIO if on_trio() else ASYNCIO)


@asyncio_only("trio is the guest here")
async def test_trio_that_is_a_guest_of_asyncio_is_found():
    """Its tasks run in callbacks of asyncio's loop, which is there to be asked, too."""
    ended = asyncio.get_running_loop().create_future()

    async def main():
        await trio.lowlevel.checkpoint()
        return here()

    trio.lowlevel.start_guest_run(
        main,
        run_sync_soon_threadsafe=asyncio.get_running_loop().call_soon_threadsafe,
        done_callback=ended.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    assert (await ended).unwrap() is TRIO
    assert here() is ASYNCIO


NO_TRIO = """
import asyncio, sys
from lamella import Lamella, Middleware, Route, StreamingResponse

class Foreign:
    def __init__(self, app):
        self.app = app
    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)

async def passes(request, call_next):
    return await call_next(request)

async def pieces():
    yield b"x"

async def endpoint(request):
    await request.is_disconnected()
    return StreamingResponse(pieces())

async def main():
    sent = []
    async def receive():
        await asyncio.Event().wait()
    async def send(message):
        sent.append(message.get("body"))
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "asgi": {}}
    await app(scope, receive, send)
    assert sent == [None, b"x", b""], sent

app = Lamella(routes=[Route("/", endpoint)], middleware=[passes, Middleware(Foreign)])
asyncio.run(main())
print("trio" in sys.modules)
"""


def test_trio_is_not_imported_by_a_program_that_does_not_use_it():
    """A stream, a bridge and a watch are served without it."""
    done = subprocess.run(
        [sys.executable, "-c", NO_TRIO], capture_output=True, text=True, check=False, timeout=20
    )
    assert (0, "False\n") == (done.returncode, done.stdout), done.stderr


# -- waiting for a task's end ----------------------------------------------------------------------


async def test_settled_waits_for_the_end_and_passes_a_cancellation_on():
    """The task's own error is not raised; the caller's cancellation is, once it is over."""
    log = []

    async def works():
        try:
            await never()
        finally:
            with peace():
                await turns(3)
            log.append("ended")

    task = here().spawn(works())
    waiting = spawn(settled(task))
    await turns(20)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ["ended"] == log
    assert task.done()


@asyncio_only("an error that comes out of a system task ends a run of trio's")
async def test_settled_is_done_with_a_task_that_failed():
    """Whose error is somebody else's."""

    async def fails():
        raise LookupError

    task = asyncio.create_task(fails())
    await settled(task)
    assert isinstance(task.exception(), LookupError)


async def test_ended_waits_no_longer_than_it_is_told():
    """The task goes on."""
    task = here().spawn(never())
    await here().ended(task, 0)
    assert not task.done()
    task.cancel()
    await here().ended(task)
    assert task.done()


# -- in peace from a cancellation that came before -------------------------------------------------


async def test_cancellation_that_came_before_does_not_strike_again():
    """A scope of anyio's or trio's cancels at every await."""
    log = []

    async def works():
        await turns(3)
        log.append("worked")

    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await never()
        finally:
            await calmly(works)
    assert ["worked"] == log


async def test_cancellation_that_comes_meanwhile_strikes():
    """Or a server could not stop what hangs in its cleaning up."""
    log = []

    async def hangs():
        log.append("begun")
        await never()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(calmly, hangs)
            while not log:
                await turns()
            scope.cancel()
    assert scope.cancelled_caught


# -- waiters ---------------------------------------------------------------------------------------


async def test_waiter_waits_until_it_is_woken_and_tells_what_happened():
    """To wake it again, or nobody, does nothing."""
    waiter = here().waiter()

    async def waits():
        return await waiter

    waiting = spawn(waits())
    await turns(5)
    assert not waiting.done()
    waiter.set_result("news")
    wake(waiter)
    wake(None)
    assert "news" == await waiting
    assert waiter.done()


async def test_waiter_whose_waiting_was_cancelled_may_be_woken():
    """Who wakes it does not know."""
    waiter = here().waiter()

    async def waits():
        await waiter

    waiting = spawn(waits())
    await turns(5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    wake(waiter)


# -- cancel scopes ---------------------------------------------------------------------------------


async def test_place_tells_scopes_that_are_left_open():
    before = here().place()
    with anyio.CancelScope():
        inside = here().place()
        assert inside != before
        async with anyio.create_task_group():
            assert here().place() != inside
        assert here().place() == inside
    assert here().place() == before


async def test_place_tells_tasks():
    found = []

    async def look():
        found.append(here().place())

    async with anyio.create_task_group() as group:
        found.append(here().place())
        group.start_soon(look)
    assert found[0] != found[1]
    await spawn(look())
    assert found[2] != found[0]
