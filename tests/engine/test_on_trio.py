"""The whole on trio: what asyncio's tests do not show, and where trio differs on purpose."""

import contextlib
import contextvars
import logging
import math
import time

import anyio
import hypercorn.config
import hypercorn.trio
import pytest
import starlette.responses
import trio

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.engine.inbound import Inbound
from lamella.engine.interrupt import Interrupt
from lamella.engine.on_trio import TRIO
from lamella.middleware import Middleware
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route
from lamella.testclient import TestClient
from tests.loops import peace, seed_trio
from tests.parity.drive import http_scope

START = {"type": "http.response.start", "status": 200, "headers": []}
word = contextvars.ContextVar("word", default="unset")


class Foreign:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


async def passes(request, call_next):
    """Pass the request on."""
    return await call_next(request)


NATIVE = [passes, passes]
BRIDGED = [passes, Middleware(Foreign), passes, Middleware(Foreign)]
STACKS = pytest.mark.parametrize("layers", [[], NATIVE, BRIDGED], ids=["bare", "native", "bridged"])


def run(main, *args):
    """Run on trio, its tasks in the same order each time; a hang is a failure."""

    async def within_bounds():
        with trio.fail_after(10):
            return await main(*args)

    seed_trio()
    return trio.run(within_bounds)


class Stream:
    """An endless body, and what becomes of it.

    Its cleaning up awaits; in a shield only if a cancellation struck the generator itself.
    """

    def __init__(self, pause=trio.lowlevel.checkpoint):
        self.pause = pause
        self.began = trio.Event()
        self.closed = trio.Event()
        self.task = None

    async def pieces(self):
        self.task = trio.lowlevel.current_task()
        try:
            while True:
                yield b"piece\n"
                self.began.set()
                await self.pause()
        finally:
            assert self.task is trio.lowlevel.current_task()
            with peace():
                await trio.lowlevel.checkpoint()
            self.closed.set()


# -- a client in the same process ------------------------------------------------------------------


async def whole(request):
    """Answer in one piece, the body that came."""
    return PlainTextResponse(await request.body())


async def streamed(request):
    """Answer in pieces."""

    async def pieces():
        async for chunk in request.stream():
            await trio.sleep(0)
            yield chunk

    return StreamingResponse(pieces())


def threaded(request):
    """Answer in pieces that are made in a thread."""
    return StreamingResponse(iter([b"he", b"llo"]))


async def theirs(request):
    """Answer with Starlette's response, which opens a task group of its own."""

    async def pieces():
        yield b"he"
        await trio.sleep(0)
        yield b"llo"

    return starlette.responses.StreamingResponse(pieces())


async def mounted(scope, receive, send):
    """Answer as a pure ASGI app."""
    await (await theirs(None))(scope, receive, send)


@STACKS
@pytest.mark.parametrize("path", ["/whole", "/streamed", "/threaded", "/theirs", "/mounted"])
def test_every_kind_of_response_is_delivered(path, layers):
    """Natively and through bridges."""
    routes = [
        *(
            Route(f"/{f.__name__}", f, methods=["POST"])
            for f in (whole, streamed, threaded, theirs)
        ),
        Mount("/mounted", app=mounted),
    ]
    app = Lamella(routes=routes, middleware=layers)
    with TestClient(app, backend="trio") as client:
        assert "hello" == client.post(path, content=b"hello").text


def test_lifespan_runs_in_the_same_trio():
    """Its nursery is there for the requests."""
    log = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        async with trio.open_nursery() as nursery:
            yield {"start": nursery.start_soon}
            nursery.cancel_scope.cancel()
        log.append("stopped")

    async def endpoint(request):
        done = trio.Event()

        async def work():
            done.set()

        request.state.start(work)
        await done.wait()
        return PlainTextResponse("done")

    app = Lamella(routes=[Route("/", endpoint)], lifespan=lifespan, middleware=BRIDGED)
    with TestClient(app, backend="trio") as client:
        assert "done" == client.get("/").text
    assert ["stopped"] == log


@STACKS
def test_client_that_leaves_in_mid_stream_closes_the_stream(layers):
    """In the task that ran it, and its cleaning up may await."""
    streams = []

    async def endpoint(request):
        streams.append(Stream())
        return StreamingResponse(streams[-1].pieces())

    app = Lamella(routes=[Route("/", endpoint)], middleware=layers)
    client = TestClient(app, backend="trio")
    with client.stream("GET", "/") as response:
        assert "piece" == next(response.iter_lines())
    assert streams[0].closed.is_set()


# -- a real server ---------------------------------------------------------------------------------


async def answers_of(app, talk):
    """Serve an app by hypercorn on a free port of this machine while a client talks to it."""
    config = hypercorn.config.Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = 1
    config.accesslog = None
    config.errorlog = logging.getLogger("tests.hypercorn")
    stop = trio.Event()
    async with trio.open_nursery() as nursery:

        async def serve(task_status):
            with contextlib.suppress(BaseExceptionGroup):
                await hypercorn.trio.serve(
                    app, config, shutdown_trigger=stop.wait, task_status=task_status
                )

        binds = await nursery.start(lambda task_status: serve(task_status))
        host, _, port = binds[0].removeprefix("http://").partition(":")
        try:
            stream = await trio.open_tcp_stream(host, int(port))
            async with stream:
                await talk(stream)
        finally:
            stop.set()


@STACKS
def test_client_of_a_server_that_leaves_closes_the_stream(layers, caplog):
    """A real disconnect, seen by the one watcher, stops what streams and what is bridged."""
    source, outcomes = None, []

    async def endpoint(request):
        nonlocal source
        source = Stream()
        request.after_response(outcomes.append)
        return StreamingResponse(source.pieces())

    async def main():
        app = Lamella(routes=[Route("/", endpoint)], middleware=layers)
        before = set(system_tasks())

        async def talk(stream):
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            received = b""
            while b"piece" not in received:
                received += await stream.receive_some()
            await stream.aclose()
            await source.closed.wait()
            while not outcomes:
                await trio.sleep(0)

        await answers_of(app, talk)
        return set(system_tasks()) - before

    assert set() == run(main)
    assert [(200, True)] == [(outcome.status, outcome.client_left) for outcome in outcomes]
    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


def system_tasks():
    """The tasks besides those that the test itself has."""
    for nursery in trio.lowlevel.current_root_task().child_nurseries:
        yield from nursery.child_tasks


# -- cancellation ----------------------------------------------------------------------------------


async def never():
    """A `receive` of a client that stays, and says nothing."""
    await trio.sleep_forever()


@STACKS
def test_cancelled_request_closes_its_stream_and_comes_out_cancelled(layers):
    """The cleaning up awaits in peace, callbacks run, background tasks do not."""
    log = []

    async def main():
        source = Stream()

        async def told(outcome):
            await trio.lowlevel.checkpoint()
            log.append(type(outcome.exception).__name__)

        async def background():
            log.append("background")

        async def endpoint(request):
            request.after_response(told)
            task = BackgroundTask(background)
            return StreamingResponse(source.pieces(), background=task)

        async def send(message):
            if message.get("body"):
                scope.cancel()
            await trio.lowlevel.checkpoint()

        app = Lamella(routes=[Route("/", endpoint)], middleware=layers)
        before = set(system_tasks())
        with trio.CancelScope() as scope:
            await app(http_scope(), never, send)
        assert scope.cancelled_caught
        assert source.closed.is_set()
        assert set(system_tasks()) == before

    run(main)
    assert ["Cancelled"] == log


@pytest.mark.parametrize("where", ["before the start", "in mid-stream"])
def test_time_limit_around_a_bridge_ends_the_app(where):
    """The app is outside of the limit's scope, as a task of its own; it is cancelled all the same."""
    log = []

    async def app(scope, receive, send):
        try:
            if where == "in mid-stream":
                await send(START)
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await trio.sleep_forever()
        finally:
            log.append("ended")

    async def limit(request, call_next):
        with trio.move_on_after(0.01):
            response = await call_next(request)
            return PlainTextResponse(b"".join([bytes(p) async for p in response.body_iterator]))
        log.append("too late")
        return PlainTextResponse("too late", status_code=504)

    served = Lamella(routes=[Mount("/", app=app)], middleware=[limit])
    assert 504 == TestClient(served, backend="trio").get("/").status_code
    assert {"ended", "too late"} == set(log)


def test_error_of_a_nursery_in_a_cancelled_app_is_not_lost():
    """trio groups it with the cancellation, which must not be raised in another task."""
    groups = []

    async def app(scope, receive, send):
        async def fails():
            try:
                await trio.sleep_forever()
            finally:
                raise LookupError("cleaning")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)
            nursery.start_soon(trio.sleep_forever)

    async def main():
        task = TRIO.spawn(bridged())
        await trio.testing.wait_all_tasks_blocked()
        task.cancel()
        await TRIO.ended(task)

    async def bridged():
        try:
            await app({}, None, None)
        except BaseException as exc:
            groups.append(TRIO.portable(exc))
            assert TRIO.is_cancellation(exc) == (groups[0] is not exc)

    run(main)
    assert [LookupError] == [type(exc) for exc in groups[0].exceptions]


def test_error_passes_through_bridges_as_it_is():
    """In no group; the same object."""
    error = LookupError("mine")

    async def endpoint(request):
        async with anyio.create_task_group():
            pass
        raise error

    app = Lamella(routes=[Route("/", endpoint)], middleware=BRIDGED)
    with pytest.raises(LookupError) as caught:
        TestClient(app, backend="trio").get("/")
    assert caught.value is error


def test_run_that_ends_takes_the_rest_of_an_app_with_it():
    """A program may stop in the middle of a request."""
    log = []

    async def app(scope, receive, send):
        try:
            await send(START)
            await trio.sleep_forever()
        finally:
            log.append("ended")

    async def late(request, call_next):
        await call_next(request)
        log.append("started")
        await trio.sleep_forever()

    async def main():
        served = Lamella(routes=[Mount("/", app=app)], middleware=[late])

        async def exchange():
            await served(http_scope(), never, trio.sleep)

        trio.lowlevel.spawn_system_task(exchange)
        await trio.testing.wait_all_tasks_blocked()

    run(main)
    assert {"started", "ended"} == set(log)


# -- differences on purpose ------------------------------------------------------------------------


@pytest.mark.parametrize("shielded", [False, True])
def test_finally_of_a_stopped_block_awaits_in_a_shield_alone(shielded):
    """A scope of trio's stays cancelled; on asyncio the cancellation comes once."""
    log = []

    async def receive():
        return {"type": "http.disconnect"}

    async def main():
        inbound = Inbound(receive)
        with Interrupt(inbound) as interrupt:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=shielded):
                    await trio.lowlevel.checkpoint()
                    log.append("cleaned")
        assert interrupt.fired
        assert trio.current_effective_deadline() > time.monotonic() - math.inf
        await inbound.close()

    run(main)
    assert (["cleaned"] if shielded else []) == log


def test_stream_that_awaits_nothing_is_stopped():
    """Its server's send may await nothing either, when the client is gone."""

    async def nothing():
        return None

    async def main():
        source, sent, left = Stream(nothing), [], trio.Event()

        async def endpoint(request):
            return StreamingResponse(source.pieces())

        async def receive():
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if len(sent) == 3:
                left.set()

        await Lamella(routes=[Route("/", endpoint)])(http_scope(), receive, send)
        assert source.closed.is_set()

    run(main)
