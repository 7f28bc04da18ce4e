"""Work after the response: which calls, in which order, and where."""

import functools
import threading
from contextvars import ContextVar

import pytest
from starlette import background as starlette_background

from lamella import background
from lamella.background import BackgroundTask, BackgroundTasks

pytestmark = pytest.mark.anyio

number = ContextVar("number", default=0)


def in_main_thread():
    """Whether this runs where the event loop runs."""
    return threading.current_thread() is threading.main_thread()


async def test_async_function_is_awaited_with_its_arguments():
    """On the event loop, as it is."""
    calls = []

    async def func(*args, **kwargs):
        calls.append((args, kwargs, in_main_thread()))

    await BackgroundTask(func, 1, a=2)()
    assert [((1,), {"a": 2}, True)] == calls


async def test_ordinary_function_runs_in_a_thread():
    """It may block: mails, files, old libraries."""
    calls = []

    def func(*args, **kwargs):
        calls.append((args, kwargs, in_main_thread()))

    await BackgroundTask(func, 1, a=2)()
    assert [((1,), {"a": 2}, False)] == calls


async def test_argument_may_have_any_name():
    """`func` and `self` are names that users give to their parameters too."""
    calls = []

    def record(**kwargs):
        calls.append(kwargs)

    tasks = BackgroundTasks()
    tasks.add_task(record, name=1, task=2, args=3)
    await tasks()
    assert [{"name": 1, "task": 2, "args": 3}] == calls


@pytest.mark.parametrize(
    "make",
    [lambda f: functools.partial(f), lambda f: lambda *args: f(*args)],
    ids=["partial", "lambda"],
)
async def test_coroutine_of_a_function_in_disguise_is_awaited(make):
    """A coroutine that nobody awaits is work that is lost, with a warning somewhere."""
    calls = []

    async def func(value):
        calls.append((value, in_main_thread()))

    await BackgroundTask(make(func), 1)()
    assert [(1, True)] == calls


async def test_tasks_run_in_order_one_after_the_other():
    """Each sees what the one before has done; one that is added meanwhile runs too."""
    calls = []

    async def add(value):
        calls.append(value)
        if value == 2:
            tasks.add_task(calls.append, 4)

    tasks = BackgroundTasks([BackgroundTask(add, 1)])
    tasks.add_task(add, 2)
    tasks.add_task(calls.append, 3)
    await tasks()
    assert [1, 2, 3, 4] == calls


async def test_list_of_tasks_is_copied():
    """The list given is the caller's."""
    first = [BackgroundTask(print)]
    BackgroundTasks(first).add_task(print)
    assert 1 == len(first)


async def test_task_that_raises_ends_the_row_and_tells():
    """As in Starlette: the server sees the error, later tasks do not run."""
    calls = []

    async def fail():
        raise ValueError("no")

    tasks = BackgroundTasks([BackgroundTask(fail), BackgroundTask(calls.append, 1)])
    with pytest.raises(ValueError, match="no"):
        await tasks()
    assert [] == calls


async def test_contextvar_set_by_one_task_is_seen_by_the_next():
    """In a thread or not, they run in one context."""
    seen = []

    async def look():
        seen.append(number.get())

    tasks = BackgroundTasks()
    tasks.add_task(number.set, 5)
    tasks.add_task(look)
    await tasks()
    assert [5] == seen


async def test_call_can_be_replaced_on_the_class(monkeypatch):
    """Tracing does so; tasks inside a row go through it too."""
    calls = []
    original = BackgroundTask.__call__

    async def traced(self):
        calls.append(self.func)
        await original(self)

    monkeypatch.setattr(BackgroundTask, "__call__", traced)
    tasks = BackgroundTasks()
    tasks.add_task(in_main_thread)
    await tasks()
    await BackgroundTask(len, "a")()
    assert [in_main_thread, len] == calls


async def test_subclass_may_override_add_task_and_call():
    """FastAPI's does, and reads `tasks`."""

    class Own(BackgroundTasks):
        def add_task(self, func, *args, **kwargs):
            return super().add_task(func, *args, **kwargs)

        async def __call__(self):
            for task in self.tasks:
                await task()

    calls = []
    tasks = Own()
    tasks.add_task(calls.append, 1)
    await tasks()
    assert [1] == calls


def test_attributes_are_those_of_starlette():
    """Tools read them to name a task."""

    async def func():
        pass

    def told(module):
        task = module.BackgroundTask(func, 1, a=2)
        return [task.func, task.args, task.kwargs, task.is_async, module.BackgroundTasks().tasks]

    assert told(starlette_background) == told(background)
    assert issubclass(BackgroundTasks, BackgroundTask)
