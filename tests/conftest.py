"""Fixtures and checks that every test shares."""

import inspect
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, settings

from tests.loops import BACKENDS, seed_trio

# The same examples every time and no limit on the time of one, so that a verdict does not depend
# on the machine or on what ran before.
settings.register_profile(
    "lamella",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("lamella")

# Turns of the loop that a finished request may need until its last task has ended.
SETTLING_TURNS = 10


@pytest.fixture(params=list(BACKENDS.values()), ids=list(BACKENDS))
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run each async test once on every event loop of `BACKENDS`."""
    seed_trio()
    return request.param


def running_tasks() -> dict[int, str]:
    """Tell the tasks of the running loop, id to name, without those of anyio's own test runner."""
    return {
        task.id: task.name or "?"
        for task in anyio.get_running_tasks()
        if not task.coro.__qualname__.startswith("TestRunner.")
    }


@pytest.fixture
async def no_task_left() -> AsyncIterator[None]:
    """Fail a test that leaves a task behind; every async test has this."""
    before = running_tasks()
    yield
    for _ in range(SETTLING_TURNS):
        left = {id_: name for id_, name in running_tasks().items() if id_ not in before}
        if not left:
            return
        await anyio.lowlevel.checkpoint()
    pytest.fail(f"tasks left running by the test: {', '.join(left.values())}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give every async test the check that it leaves no task behind."""
    if (
        isinstance(item, pytest.Function)
        and item.get_closest_marker("anyio")
        and inspect.iscoroutinefunction(item.obj)
    ):
        item.fixturenames.append("no_task_left")
