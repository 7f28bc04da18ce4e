"""Tasks that one request creates on its way through the layers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple, Unpack

from benchmarks.asgi import App, Case, bare, exchange, wrapped
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Pair
from benchmarks.measure import Effort, Say, Spread
from benchmarks.stacks import bridged, layered

Arguments = TypeVarTuple("Arguments")

LAYERS = 16
PAIRS = 8


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that notices every task, whoever made it and however.

    A task is stepped through ``call_soon``, so one made past the task factory is seen as well;
    one that ran eagerly to its end is seen by the factory. Only what is both goes unseen.
    """

    def __init__(self) -> None:
        """Start with nothing seen."""
        super().__init__()
        # The tasks themselves, not their ids: an id is used again once its task is gone.
        self.seen: set[asyncio.Task[Any]] = set()
        self.set_task_factory(self._make)

    def _make(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
        self.seen.add(task)
        return task

    def call_soon(
        self,
        callback: Callable[[Unpack[Arguments]], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Schedule as the base class does, and note the task that is stepped, if it is one."""
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, asyncio.Task):
            self.seen.add(owner)
        return super().call_soon(callback, *args, context=context)


def created(app: App) -> int:
    """Number of tasks that the second request to ``app`` creates (the first may build things)."""
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        loop = runner.get_loop()
        runner.run(exchange(Case(app)))
        if not isinstance(loop, CountingLoop):
            raise TypeError(f"Expected the counting loop, got {loop!r}.")
        loop.seen.clear()
        runner.run(exchange(Case(app)))
        # One of them is the task in which the request was made.
        return len(loop.seen) - 1


def measure(pair: Pair, _effort: Effort, say: Say) -> list[Figure]:
    """Count tasks for a native stack and, without a bar, for one that is bridged at every turn."""
    say(f"tasks: one request through {LAYERS} layers")
    native = [Spread.of([created(layered(f, LAYERS))]) for f in pair.both]
    mixed = [Spread.of([created(bridged(f, PAIRS))]) for f in pair.both]
    floor = Spread.of([created(wrapped(bare, LAYERS))])
    return [
        Figure(
            "tasks",
            f"tasks created by a request through {LAYERS} native layers",
            "tasks",
            subject=native[0],
            reference=native[1],
            bare=floor,
            bar=Bar(0),
        ),
        Figure(
            "tasks",
            f"the same with {PAIRS} dispatch layers, a pure ASGI layer inside each",
            "tasks",
            subject=mixed[0],
            reference=mixed[1],
            bare=floor,
        ),
    ]
