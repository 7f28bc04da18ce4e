"""Work that outlives its exchange, or is ended while it goes on: it ends, and says so."""

import anyio
import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.engine import bridge
from lamella.engine.edge import serve
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route
from tests.loops import alive, asyncio_only, cancelled, current, never, peace, spawn, turns, until
from tests.parity.drive import http_scope, request

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": []}


def body(data, *, more=False):
    """A body message."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def passes(request, call_next):
    """Pass the request on."""
    return await call_next(request)


async def ignores(message):
    """A `send` that takes everything."""


async def ended(task):
    """Wait for a task's end, within bounds; tell whether it came, and end it if it did not."""
    await until(lambda: not alive(task))
    return True


class Late:
    """A layer that answers 504 while its `call_next` goes on; the inside waits for `go`."""

    def __init__(self):
        self.begun = anyio.Event()
        self.go = anyio.Event()
        self.call = None

    async def layer(self, request, call_next):
        self.call = spawn(call_next(request))
        await self.begun.wait()
        return PlainTextResponse("late", status_code=504)

    async def wait(self):
        self.begun.set()
        await self.go.wait()


# -- a task that outlives the exchange -------------------------------------------------------------


async def test_foreign_app_that_begins_its_response_late_is_ended():
    """Nobody would ever take its message: it would wait for good, with the request in its hands."""
    late, tasks, log = Late(), [], []

    async def app(scope, receive, send):
        tasks.append(current())
        await late.wait()
        try:
            await send(START)
            await send(body(b"x", more=True))
            await never()
        finally:
            log.append("ended")

    reply = await request(Lamella(routes=[Mount("/", app=app)], middleware=[late.layer]))
    assert (504, None) == (reply.status, reply.error)
    late.go.set()
    assert await ended(tasks[0])
    assert await ended(late.call)
    assert ["ended"] == log
    late.call.exception()


async def test_foreign_app_that_answers_whole_but_late_is_ended():
    """Its last message needs somebody to take it, too; then it goes on to its end."""
    late, tasks, log = Late(), [], []

    async def app(scope, receive, send):
        tasks.append(current())
        await late.wait()
        await send(START)
        await send(body(b"all"))
        log.append("background")

    await request(Lamella(routes=[Mount("/", app=app)], middleware=[late.layer]))
    late.go.set()
    assert await ended(tasks[0])
    assert await ended(late.call)
    assert ["background"] == log
    late.call.exception()


async def test_background_task_of_an_endpoint_that_answers_late_runs():
    """What was promised to be done is done, whether the response is sent or not."""
    late, log = Late(), []

    async def work():
        log.append("background")

    async def endpoint(request):
        await late.wait()
        return PlainTextResponse("x", background=BackgroundTask(work))

    reply = await request(Lamella(routes=[Route("/", endpoint)], middleware=[late.layer]))
    assert (504, []) == (reply.status, log)
    late.go.set()
    assert await ended(late.call)
    assert ["background"] == log
    late.call.exception()


async def test_stream_of_an_endpoint_that_answers_late_is_closed():
    """Nobody will draw from it; what it holds open must not stay open."""
    late, log = Late(), []

    class Source:
        def __aiter__(self):
            return self

        async def __anext__(self):
            return b"x"

        async def aclose(self):
            log.append("closed")

    async def endpoint(request):
        await late.wait()
        return StreamingResponse(Source())

    await request(Lamella(routes=[Route("/", endpoint)], middleware=[late.layer]))
    late.go.set()
    assert await ended(late.call)
    assert ["closed"] == log
    late.call.exception()


# -- a task of a foreign app that outlives the app -------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([START], body(b"x", more=True)),
        ([START], body(b"x")),
        ([START, body(b"a", more=True)], body(b"x", more=True)),
        ([START, body(b"all")], {"type": "http.response.trailers", "headers": []}),
        ([], START),
    ],
    ids=["body", "last body", "second body", "trailers", "start"],
)
async def test_send_after_the_app_returned_raises_oserror(before, after):
    """Nobody is there to take the message: waiting for that would be for good."""
    go, children, log = anyio.Event(), [], []

    async def app(scope, receive, send):
        async def child():
            await go.wait()
            try:
                await send(after)
            except OSError:
                log.append("refused")

        children.append(spawn(child()))
        for message in before:
            await send(message)

    await request(Lamella(routes=[Mount("/", app=app)], middleware=[passes]))
    go.set()
    assert await ended(children[0])
    assert ["refused"] == log


async def test_send_that_waits_when_the_app_returns_is_let_go():
    """A task of the app's own, in the middle of its message."""
    sending, children, log = anyio.Event(), [], []

    async def app(scope, receive, send):
        async def child():
            sending.set()
            try:
                while True:
                    await send(body(b"x", more=True))
            except OSError:
                log.append("refused")

        await send(START)
        children.append(spawn(child()))
        await sending.wait()

    await request(Lamella(routes=[Mount("/", app=app)], middleware=[passes]))
    assert await ended(children[0])
    assert ["refused"] == log


# -- cancellation ----------------------------------------------------------------------------------


async def test_cancelling_the_caller_in_the_grace_of_a_dropped_app_ends_the_app(monkeypatch):
    """The grace is for an app to end in peace; a server that stops cuts it short, and waits."""
    monkeypatch.setattr(bridge, "GRACE", 3600.0)
    dropped, tasks, log = anyio.Event(), [], []

    async def app(scope, receive, send):
        tasks.append(current())
        await send(START)
        try:
            await send(body(b"x", more=True))
        except OSError:
            dropped.set()
        try:
            await never()
        finally:
            with peace():
                await turns()
            log.append("ended")

    async def instead(request, call_next):
        await call_next(request)
        await turns()
        return PlainTextResponse("instead")

    served = Lamella(routes=[Mount("/", app=app)], middleware=[instead])
    task = spawn(served(http_scope(), never, ignores))
    await dropped.wait()
    await turns()
    task.cancel()
    assert await ended(task)
    log.append("served")
    assert await ended(tasks[0])
    assert ["ended", "served"] == log
    assert task.cancelled()


@asyncio_only("a scope of trio's stays cancelled, so its app cannot swallow anything")
@pytest.mark.parametrize("swallowed", [1, 2, 5])
@pytest.mark.parametrize("when", ["before the start", "while streaming"])
async def test_each_cancellation_of_the_caller_reaches_the_app(when, swallowed):
    """An app that swallows some can still be cancelled, or a server could not stop."""
    waits, tasks = [], []

    async def app(scope, receive, send):
        tasks.append(current())
        if when == "while streaming":
            await send(START)
            await send(body(b"x", more=True))
        for number in range(swallowed + 1):
            waits.append(number)
            try:
                await never()
            except cancelled():
                if number == swallowed:
                    raise

    served = Lamella(routes=[Mount("/", app=app)], middleware=[passes])
    task = spawn(served(http_scope(), never, ignores))
    try:
        for number in range(swallowed + 1):
            await until(lambda number=number: number in waits)
            assert not task.done()
            task.cancel()
        assert await ended(task)
    finally:
        while not tasks[0].done():  # only where a cancellation did not reach it
            tasks[0].cancel()
            await turns()
    assert task.cancelled()


# -- a coroutine that is thrown away ---------------------------------------------------------------


class Pause:
    """Wait for nothing, once, as a coroutine that is driven by hand sees it."""

    def __await__(self):
        yield


@asyncio_only("what a coroutine yields to trio, trio alone can answer")
@pytest.mark.parametrize("where", ["layer", "endpoint", "stream"])
async def test_coroutine_that_is_closed_ends_at_once(where):
    """As a loop that is torn down does it: awaiting then is a RuntimeError of the language."""
    begun, log = [], []

    async def pause(here):
        if here == where:
            begun.append(here)
            await Pause()

    async def later(*_):
        log.append("later")
        await Pause()

    async def layer(request, call_next):
        request.after_response(later)
        await pause("layer")
        return await call_next(request)

    async def pieces():
        yield b"x"
        await pause("stream")

    async def endpoint(request):
        await pause("endpoint")
        return StreamingResponse(pieces(), background=BackgroundTask(later))

    app = Lamella(routes=[Route("/", endpoint)], middleware=[layer])
    coroutine = app(http_scope(), never, ignores)
    for _ in range(20):
        coroutine.send(None)
        if begun:
            break
    assert [where] == begun
    coroutine.close()
    assert [] == log


@asyncio_only("what a coroutine yields to trio, trio alone can answer")
async def test_coroutine_that_is_closed_above_a_foreign_app_ends_at_once():
    """The app cannot be waited for then; it is cancelled all the same."""
    begun, tasks = anyio.Event(), []

    async def app(scope, receive, send):
        tasks.append(current())
        begun.set()
        await never()

    served = Lamella(routes=[Mount("/", app=app)], middleware=[passes])
    coroutine = served(http_scope(), never, ignores)
    coroutine.send(None)
    await begun.wait()
    coroutine.close()
    assert await ended(tasks[0])
    assert tasks[0].cancelled() or tasks[0].exception() is None


def test_error_of_the_edge_that_is_no_generatorexit_still_runs_what_waits():
    """A control for the above: only a coroutine that is thrown away skips it."""
    log = []

    async def later(outcome):
        log.append(type(outcome.exception))

    async def respond(request):
        request.after_response(later)
        raise KeyboardInterrupt

    async def main():
        with pytest.raises(KeyboardInterrupt):
            await serve(respond, http_scope(), never, ignores)

    coroutine = main()
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert [KeyboardInterrupt] == log
