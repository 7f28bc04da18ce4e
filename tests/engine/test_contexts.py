"""What goes on after the layers have returned sees the ContextVars that it began with."""

import contextvars

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.engine.contexts import Fork, InContext, steps
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Route
from tests.parity.drive import request

pytestmark = pytest.mark.anyio

word = contextvars.ContextVar("word", default="unset")


def below(endpoint, *layers):
    """An application of one endpoint below a layer that sets the variable and resets it."""

    async def setting(request, call_next):
        token = word.set("layer")
        try:
            return await call_next(request)
        finally:
            word.reset(token)

    return Lamella(routes=[Route("/", endpoint)], middleware=[setting, *layers])


@pytest.mark.parametrize("sync", [False, True])
async def test_stream_sees_what_a_layer_reset_before(sync):
    """Its first piece and its last, and its cleanup."""
    seen = []

    async def pieces():
        try:
            for _ in range(2):
                seen.append(word.get())
                await anyio.lowlevel.checkpoint()
                yield "a"
        finally:
            await anyio.lowlevel.checkpoint()
            seen.append(word.get())

    def sync_pieces():
        for _ in range(3):
            seen.append(word.get())
            yield "a"

    async def endpoint(request):
        return StreamingResponse(sync_pieces() if sync else pieces())

    reply = await request(below(endpoint))
    assert (["layer"] * 3, None) == (seen, reply.error)


async def test_token_is_reset_in_the_context_that_it_was_made_in():
    """From one piece of a stream to another, and in its cleanup."""
    own = contextvars.ContextVar("own")

    async def pieces():
        token = own.set(1)
        try:
            yield "a"
            yield "b"
        finally:
            own.reset(token)

    async def endpoint(request):
        return StreamingResponse(pieces())

    async def first_piece_only(request, call_next):
        response = await call_next(request)
        async for piece in response.body_iterator:
            return PlainTextResponse(piece)

    for layers, text in ([], "ab"), ([first_piece_only], "a"):
        reply = await request(below(endpoint, *layers))
        assert (text, None) == (reply.text, reply.error)


@pytest.mark.parametrize("sync", [False, True])
async def test_background_task_sees_what_a_layer_reset_before(sync):
    """That of the endpoint's response; that of a layer's own runs as that layer left things."""
    seen = []

    async def task(name):
        seen.append((name, word.get()))

    def sync_task(name):
        seen.append((name, word.get()))

    async def endpoint(request):
        return PlainTextResponse(background=BackgroundTask(sync_task if sync else task, "endpoint"))

    async def adding(request, call_next):
        await call_next(request)
        return PlainTextResponse(background=BackgroundTask(task, "layer"))

    await request(below(endpoint, adding))
    assert [("endpoint", "layer"), ("layer", "layer")] == seen


async def test_wrapper_of_a_layer_runs_as_the_layer_left_things():
    """Only what the endpoint streams keeps the endpoint's context."""
    seen = []

    async def pieces():
        seen.append(word.get())
        yield "a"

    async def endpoint(request):
        return StreamingResponse(pieces())

    async def wrapping(request, call_next):
        token = word.set("wrapping")
        response = await call_next(request)
        inner = response.body_iterator

        async def wrapped():
            seen.append(word.get())
            async for piece in inner:
                yield piece

        response.body_iterator = wrapped()
        word.reset(token)
        return response

    await request(Lamella(routes=[Route("/", endpoint)], middleware=[wrapping]))
    assert ["unset", "wrapping"] == seen


async def test_steps_give_the_value_and_raise_the_error():
    """As the awaitable itself would."""
    context = contextvars.copy_context()

    async def asked(fails):
        word.set("inside")
        await anyio.to_thread.run_sync(int)
        if fails:
            raise LookupError("inside")
        return word.get()

    assert "inside" == await steps(lambda: asked(False), context)
    with pytest.raises(LookupError, match="inside"):
        await steps(lambda: asked(True), context)
    assert ("unset", "inside") == (word.get(), context[word])


async def test_steps_pass_a_cancellation_on():
    """And what is done about it may wait."""
    log = []

    async def awaited(function, context):
        await steps(function, context)

    async def waiting():
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            log.append(word.get())

    context = contextvars.copy_context()
    context.run(word.set, "inside")
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(awaited, waiting, context)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert ["inside"] == log


def test_steps_thrown_away_close_what_they_run():
    """Without an event loop to wait in."""
    log = []

    class Once:
        def __await__(self):
            yield "asked"

    async def waiting():
        try:
            await Once()
        finally:
            log.append(word.get())

    context = contextvars.copy_context()
    context.run(word.set, "inside")
    running = steps(waiting, context)
    assert "asked" == running.send(None)
    running.close()
    assert ["inside"] == log


async def test_iterator_without_aclose_is_closed_by_doing_nothing():
    """An async iterator need not have one."""

    class Plain:
        def __aiter__(self):
            return self

        async def __anext__(self):
            raise StopAsyncIteration

    stream = InContext(Plain())
    assert [] == [piece async for piece in stream]
    await stream.aclose()


async def test_fork_brings_back_what_changed_and_no_more():
    """A value that the caller has changed meanwhile stays, unless the app changed it too."""
    kept, mine = contextvars.ContextVar("kept"), contextvars.ContextVar("mine")
    kept.set("before")
    mine.set("before")
    fork = Fork()
    mine.set("meanwhile")
    fork.context.run(word.set, "there")
    fork.bring_back()
    assert ("before", "meanwhile", "there") == (kept.get(), mine.get(), word.get())
    word.set("unset")


async def test_fork_leaves_what_the_caller_has_set_since():
    """What is undone there is undone here only if it is still what came from there."""
    fork = Fork()
    token = fork.context.run(word.set, "there")
    fork.bring_back()
    word.set("here")
    fork.context.run(word.reset, token)
    fork.bring_back()
    assert "here" == word.get()
    word.set("unset")


async def test_fork_may_be_brought_back_to_another_task():
    """Where a token of the first cannot be used."""
    fork = Fork()
    token = fork.context.run(word.set, "there")
    contextvars.copy_context().run(fork.bring_back)
    fork.context.run(word.reset, token)
    other = contextvars.copy_context()
    other.run(word.set, "there")
    other.run(fork.bring_back)
    assert "there" == other[word]


async def test_fork_takes_along_what_changed_here_and_no_more():
    fork = Fork()
    fork.context.run(word.set, "there")
    other = contextvars.ContextVar("other")
    other.set("here")
    fork.take_along()
    assert ("there", "here") == (fork.context[word], fork.context[other])


async def test_fork_does_not_bring_back_what_it_took_along():
    """Or it would undo what the caller has set since."""
    fork = Fork()
    word.set("first")
    fork.take_along()
    word.set("second")
    fork.bring_back()
    assert "second" == word.get()
    assert "first" == fork.context[word]
    word.set("unset")
