"""Blocking code in threads: results, errors, ContextVars, cancellation, and what is closed."""

import asyncio
import contextlib
import gc
import threading
import weakref
from contextvars import ContextVar, copy_context
from functools import partial

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from lamella.concurrency import (
    create_collapsing_task_group,
    iterate_in_threadpool,
    run_in_threadpool,
    run_until_first_complete,
)
from lamella.exceptions import StarletteDeprecationWarning
from tests.loops import gather, spawn

pytestmark = pytest.mark.anyio

LIMIT = 10  # seconds until a thread that waits for a test gives up

name = ContextVar("name", default="default")
other = ContextVar("other")
unset = ContextVar("unset")


def in_main_thread():
    """Whether this runs where the event loop runs."""
    return threading.current_thread() is threading.main_thread()


async def turns(event):
    """Let the event loop run until a thread has set the event."""
    while not event.is_set():
        await anyio.lowlevel.checkpoint()


# run_in_threadpool


async def test_function_runs_in_a_thread_with_its_arguments():
    """Positional and by name, whatever the names are."""

    def func(*args, **kwargs):
        return args, kwargs, in_main_thread()

    expected = ((1, 2), {"args": 3, "kwargs": 4, "limiter": 5}, False)
    assert expected == await run_in_threadpool(func, 1, 2, args=3, kwargs=4, limiter=5)


async def test_error_of_the_function_arrives_as_it_is():
    """The very object, with the frame of the function in its traceback."""
    error = ValueError("no")

    def func():
        raise error

    with pytest.raises(ValueError) as caught:
        await run_in_threadpool(func)
    assert caught.value is error
    assert "func" == caught.traceback[-1].name


async def test_stop_iteration_becomes_an_error_and_no_hang():
    """A coroutine cannot raise it; `next()` without a default does so easily."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await run_in_threadpool(next, iter(()))


async def test_contextvar_set_in_the_thread_comes_back():
    """A layer sees what a synchronous endpoint set."""
    name.set("before")
    await run_in_threadpool(name.set, "after")
    assert "after" == name.get()


async def test_contextvar_set_before_an_error_comes_back():
    """Also the one who handles the error wants to know who the user was."""

    def func():
        name.set("after")
        raise ValueError

    with pytest.raises(ValueError):
        await run_in_threadpool(func)
    assert "after" == name.get()


async def test_contextvar_of_the_caller_is_seen_in_the_thread():
    """Downwards as well."""
    name.set("mine")
    assert "mine" == await run_in_threadpool(name.get)


async def test_only_changed_contextvars_are_set_in_the_caller():
    """What the function did not touch may have been changed meanwhile by the caller's own task."""
    name.set("before")
    context = copy_context()
    started, go_on = threading.Event(), threading.Event()

    def func():
        started.set()
        go_on.wait(LIMIT)
        other.set("thread")

    async def call():
        await run_in_threadpool(func)
        return name.get(), other.get()

    task = spawn(call(), context)
    await turns(started)
    context.run(name.set, "meanwhile")
    go_on.set()
    assert ("meanwhile", "thread") == await task


async def test_contextvar_set_and_reset_in_the_thread_leaves_no_trace():
    """The usual way to set one for a while."""

    def func():
        token = unset.set(1)
        unset.reset(token)

    await run_in_threadpool(func)
    assert unset not in copy_context()


async def test_values_are_compared_by_identity():
    """A value may be equal to the one before, or refuse to be compared."""

    class Touchy:
        __hash__ = None

        def __eq__(self, other):
            raise RuntimeError("not to be compared")

    name.set(first := Touchy())
    await run_in_threadpool(lambda: other.set(0))
    assert name.get() is first
    await run_in_threadpool(lambda: (name.set(Touchy()), other.set(False)))
    assert name.get() is not first
    assert other.get() is False


async def test_token_taken_before_the_call_can_be_reset_after_it():
    """The caller's context stays the one object that its tokens belong to."""
    name.set("outer")
    token = name.set("inner")
    await run_in_threadpool(name.set, "thread")
    name.reset(token)
    assert "outer" == name.get()


async def test_calls_at_the_same_time_do_not_see_each_others_contextvars():
    """Each request has its own."""
    barrier = threading.Barrier(5)
    seen = {}

    def func(value):
        name.set(value)
        barrier.wait(LIMIT)
        return name.get()

    async def call(value):
        seen[value] = (await run_in_threadpool(func, value), name.get())

    name.set("before")
    async with anyio.create_task_group() as group:
        for value in range(5):
            group.start_soon(call, value)
    assert {value: (value, value) for value in range(5)} == seen
    assert "before" == name.get()


async def test_thread_can_call_back_into_the_event_loop():
    """anyio.from_thread works inside, as in Starlette, and its ContextVars stay in the coroutine."""

    async def coroutine():
        name.set("coroutine")
        return in_main_thread()

    name.set("before")
    assert await run_in_threadpool(anyio.from_thread.run, coroutine)
    assert "before" == name.get()


async def test_thread_does_not_take_itself_for_a_part_of_the_event_loop():
    """What anyio tells the thread must not be carried to the caller, nor the other way."""
    await run_in_threadpool(name.set, "x")
    await anyio.lowlevel.checkpoint()
    assert 5 == await run_in_threadpool(anyio.run, partial(anyio.to_thread.run_sync, lambda: 5))
    await anyio.lowlevel.checkpoint()


async def test_cancelled_scope_waits_for_the_function_and_keeps_its_contextvars():
    """A thread cannot be stopped; what it did is done."""
    started, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def func():
        started.set()
        go_on.wait(LIMIT)
        name.set("after")
        ended.set()

    async def cancel(scope):
        await turns(started)
        scope.cancel()
        go_on.set()

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel, scope)
            await run_in_threadpool(func)
    assert ended.is_set()
    assert "after" == name.get()


async def test_function_is_not_started_in_a_cancelled_scope():
    """As any await of anyio."""
    calls = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await run_in_threadpool(calls.append, 1)
    assert [] == calls


async def test_what_a_call_used_is_freed_without_the_collector():
    """Bodies and files are big."""

    class Value:
        pass

    def fail(value):
        raise ValueError

    gc.disable()
    try:
        value = Value()
        alive = weakref.ref(value)
        await run_in_threadpool(id, value)
        with contextlib.suppress(ValueError):
            await run_in_threadpool(fail, value)
        with contextlib.suppress(ValueError):
            await anext(iterate_in_threadpool(map(fail, [value])))
        del value
        # The worker lets go of the last call when it takes the next.
        await run_in_threadpool(int)
        assert alive() is None
    finally:
        gc.enable()


# iterate_in_threadpool


class Source:
    """A blocking iterator that notes how it is used."""

    def __init__(self, size=3, error=None):
        self.size = size
        self.error = error
        self.taken = 0
        self.in_main = []
        self.closed = 0

    def __iter__(self):
        self.in_main.append(in_main_thread())
        return self

    def __next__(self):
        self.in_main.append(in_main_thread())
        if self.taken == self.size:
            raise self.error or StopIteration
        self.taken += 1
        return self.taken

    def close(self):
        self.in_main.append(in_main_thread())
        self.closed += 1


def generate(log, size=3):
    """A generator that notes how it ends."""
    try:
        yield from range(size)
    except BaseException as exc:
        log.append(type(exc))
        raise
    finally:
        log.append(in_main_thread())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: [1, 2, 3], [1, 2, 3]),
        (list, []),
        (lambda: (x for x in "ab"), ["a", "b"]),
        (lambda: [None, StopIteration, 0], [None, StopIteration, 0]),
        (lambda: {"a": 1}, ["a"]),
        (Source, [1, 2, 3]),
    ],
)
async def test_items_of_any_iterable_come_in_order(make, expected):
    """None and the like are items, not the end."""
    assert expected == [item async for item in iterate_in_threadpool(make())]


async def test_every_step_runs_in_a_thread():
    """`iter()` as well: a query may run there."""
    source = Source()
    async for _ in iterate_in_threadpool(source):
        pass
    assert {False} == set(source.in_main)


async def test_it_takes_no_step_ahead():
    """Back pressure: what is not asked for is not made."""
    source = Source()
    stream = iterate_in_threadpool(source)
    taken = [source.taken]
    for _ in range(2):
        await anext(stream)
        taken.append(source.taken)
    await stream.aclose()
    assert [0, 1, 2] == taken


async def test_error_of_the_iterator_arrives_after_the_items_before_it():
    """The very object; the iterator is closed then."""
    error = OSError("gone")
    source = Source(size=2, error=error)
    items = []
    with pytest.raises(OSError) as caught:
        async for item in iterate_in_threadpool(source):
            items.append(item)
    assert ([1, 2], 1) == (items, source.closed)
    assert caught.value is error


async def test_what_cannot_be_iterated_is_a_type_error():
    """At the first step, as in Starlette."""
    with pytest.raises(TypeError, match="not iterable"):
        await anext(iterate_in_threadpool(5))


async def test_closing_early_closes_the_iterator_in_a_thread():
    """A client that leaves must not keep a file or a cursor open."""
    log = []
    source = Source()
    for stream in (iterate_in_threadpool(generate(log)), iterate_in_threadpool(source)):
        await anext(stream)
        await stream.aclose()
        await stream.aclose()
    assert [GeneratorExit, False] == log
    assert (1, {False}) == (source.closed, set(source.in_main))


async def test_iterator_that_came_to_its_end_is_left_as_it_is():
    """A generator has ended by itself; a file or buffer is the user's, as in Starlette."""
    log, source = [], Source()
    for iterable in (generate(log), source):
        async for _ in iterate_in_threadpool(iterable):
            pass
    assert ([False], 0) == (log, source.closed)


async def test_closing_before_the_first_step_takes_no_step():
    """Nothing was opened."""
    source = Source()
    await iterate_in_threadpool(source).aclose()
    assert (0, []) == (source.taken, source.in_main)


async def test_closing_an_iterable_without_close_does_nothing():
    """Most have none: lists, maps, files of others."""
    stream = iterate_in_threadpool([1, 2])
    assert 1 == await anext(stream)
    await stream.aclose()


async def test_error_in_closing_arrives():
    """It would be lost otherwise."""

    class Broken(Source):
        def close(self):
            raise OSError("disk gone")

    stream = iterate_in_threadpool(Broken())
    await anext(stream)
    with pytest.raises(OSError, match="disk gone"):
        await stream.aclose()


async def test_iterator_is_closed_when_the_consumer_is_cancelled_between_steps():
    """The usual end of a stream whose client left."""
    log = []
    with anyio.CancelScope() as scope:
        async with contextlib.aclosing(iterate_in_threadpool(generate(log))) as stream:
            async for _ in stream:
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert [GeneratorExit, False] == log


@pytest.mark.parametrize("how", ["scope", "task"])
async def test_iterator_is_closed_when_the_consumer_is_cancelled_in_mid_step(how):
    """By anyio or by a bare task.cancel(): the step ends first, since two threads cannot share it."""
    started, go_on, log = threading.Event(), threading.Event(), []

    def source():
        try:
            yield 1
            token = unset.set("inside")
            started.set()
            go_on.wait(LIMIT)
            log.append("step ended")
            yield 2
        finally:
            unset.reset(token)
            log.append("closed")

    async def consume(scope):
        try:
            with scope:
                async with contextlib.aclosing(iterate_in_threadpool(source())) as stream:
                    async for _ in stream:
                        pass
        finally:
            log.append(unset in copy_context())

    scope = anyio.CancelScope()
    task = spawn(consume(scope))
    await turns(started)
    task.cancel() if how == "task" else scope.cancel()
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    assert (False, []) == (task.done(), log)
    go_on.set()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert ["step ended", "closed", False] == log


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # trio says so
async def test_generator_that_was_dropped_is_closed_by_the_event_loop():
    """Not at once, but before the loop ends; nobody called aclose()."""
    ended = threading.Event()

    def source():
        try:
            yield 1
            yield 2
        finally:
            ended.set()

    stream = iterate_in_threadpool(source())
    await anext(stream)
    del stream
    gc.collect()
    await turns(ended)


async def test_contextvar_set_in_a_step_is_there_in_the_next_and_for_the_consumer():
    """As if the loop were an ordinary one."""

    def source():
        name.set("first")
        yield name.get()
        yield name.get()
        name.set("third")
        yield name.get()

    name.set("before")
    seen = [(item, name.get()) async for item in iterate_in_threadpool(source())]
    assert [("first", "first"), ("first", "first"), ("third", "third")] == seen


async def test_contextvar_set_by_the_consumer_is_there_in_the_next_step():
    """Both ways: a layer may set one between two chunks."""

    def source():
        while True:
            yield name.get()

    name.set("a")
    stream = iterate_in_threadpool(source())
    seen = [await anext(stream)]
    name.set("b")
    seen.append(await anext(stream))
    await stream.aclose()
    assert ["a", "b"] == seen


async def test_contextvar_can_be_reset_in_a_later_step():
    """All steps run in one context: a token of the first is good in the last."""

    def source():
        name_token, unset_token = name.set("inside"), unset.set("inside")
        yield name.get(), unset.get()
        name.reset(name_token)
        unset.reset(unset_token)
        yield name.get(), unset.get(None)

    name.set("before")
    seen = [(item, name.get(), unset.get(None)) async for item in iterate_in_threadpool(source())]
    assert [(("inside",) * 2, "inside", "inside"), (("before", None), "before", None)] == seen
    assert unset not in copy_context()


async def test_contextvar_can_be_reset_when_closed_by_another_task():
    """A server closes a stream from another task; the value that only it had set stays there."""
    log = []

    def source():
        token = unset.set("inside")
        try:
            yield 1
        finally:
            unset.reset(token)
            log.append("reset")

    stream = iterate_in_threadpool(source())
    await anext(stream)
    async with anyio.create_task_group() as group:
        group.start_soon(stream.aclose)
    assert ["reset"] == log


async def test_contextvar_set_before_an_error_in_a_step_comes_back():
    """As with a function."""

    def source():
        yield 1
        name.set("after")
        raise ValueError

    with pytest.raises(ValueError):
        async for _ in iterate_in_threadpool(source()):
            pass
    assert "after" == name.get()


async def test_two_iterators_keep_their_contextvars_apart_until_they_are_asked():
    """Each has a context of its own."""

    def source(value):
        other.set(value)
        yield other.get()
        yield other.get()

    async def consume(value):
        return [item async for item in iterate_in_threadpool(source(value))]

    results = await gather(consume(1), consume(2))
    assert [[1, 1], [2, 2]] == results


# run_until_first_complete


async def test_first_to_end_cancels_the_others():
    """A websocket's reader and writer: when one is done, so is the other."""
    log = []

    async def ends(value):
        log.append(value)

    async def waits():
        try:
            await anyio.sleep_forever()
        finally:
            log.append("cancelled")

    with pytest.warns(StarletteDeprecationWarning, match="run_until_first_complete"):
        await run_until_first_complete((waits, {}), (ends, {"value": 1}))
    assert [1, "cancelled"] == log


@pytest.mark.filterwarnings("ignore::lamella.exceptions.StarletteDeprecationWarning")
async def test_single_error_arrives_without_a_group_and_with_its_cause():
    """`except ValueError` around it works, and the traceback tells all."""

    async def fails():
        try:
            raise KeyError("first")
        except KeyError as exc:
            raise ValueError("no") from exc

    with pytest.raises(ValueError, match="no") as caught:
        await run_until_first_complete((fails, {}), (anyio.sleep_forever, {}))
    assert isinstance(caught.value.__cause__, KeyError)
    assert not isinstance(caught.value.__context__, BaseExceptionGroup)


@pytest.mark.filterwarnings("ignore::lamella.exceptions.StarletteDeprecationWarning")
async def test_several_errors_arrive_in_a_group():
    """None is more important than the other."""

    async def fails(error):
        raise error

    with pytest.raises(ExceptionGroup) as caught:
        await run_until_first_complete(
            (fails, {"error": ValueError()}), (fails, {"error": KeyError()})
        )
    assert {ValueError, KeyError} == {type(exc) for exc in caught.value.exceptions}


# create_collapsing_task_group


async def test_single_error_of_a_collapsing_group_is_raised_as_it_is():
    """Whether it came from the block or from a task; what the block waited for is cancelled."""

    async def fails():
        raise KeyError("task")

    with pytest.raises(ValueError, match="block") as of_block:
        async with create_collapsing_task_group():
            raise ValueError("block")
    with pytest.raises(KeyError, match="task"):
        async with create_collapsing_task_group() as group:
            group.start_soon(fails)
            await anyio.sleep_forever()
    assert of_block.value.__context__ is None


async def test_collapsing_group_without_an_error_waits_for_its_tasks():
    """As any task group."""
    log = []

    async def notes():
        await anyio.lowlevel.checkpoint()
        log.append("done")

    async with create_collapsing_task_group() as group:
        group.start_soon(notes)
    assert ["done"] == log
