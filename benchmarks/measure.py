"""Interleaved timing and the few statistics the tables need."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.asgi import Case, Inbound, discard, exchange

Key = TypeVar("Key", bound=Hashable)
Say = Callable[[str], None]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# Nothing that is timed here ever waits, so the thread's own processor time is the time it takes;
# it leaves out when another process had the core. Where it ticks too coarsely, the wall clock.
FINE = time.get_clock_info("thread_time").resolution <= 1e-6
clock_ns = time.thread_time_ns if FINE else time.perf_counter_ns


@dataclass(frozen=True)
class Effort:
    """How long to measure. Counts are rounds unless the name says otherwise."""

    rounds: int
    block_seconds: float
    memory_rounds: int
    memory_requests: int
    import_rounds: int
    build_rounds: int
    wire_rounds: int
    wire_seconds: float
    wire_requests: int
    wire_connections: int


FULL = Effort(
    rounds=101,
    block_seconds=0.005,
    memory_rounds=5,
    memory_requests=200,
    import_rounds=21,
    build_rounds=9,
    wire_rounds=5,
    wire_seconds=3.0,
    wire_requests=500_000,
    wire_connections=32,
)
QUICK = Effort(
    rounds=15,
    block_seconds=0.003,
    memory_rounds=2,
    memory_requests=200,
    import_rounds=5,
    build_rounds=3,
    wire_rounds=1,
    wire_seconds=1.0,
    wire_requests=200_000,
    wire_connections=32,
)


@dataclass(frozen=True)
class Spread:
    """Minimum, median and maximum over the rounds."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(min(values), statistics.median(values), max(values))


def slope(xs: Sequence[int], ys: Sequence[float]) -> float:
    """Least-squares slope of ``ys`` over ``xs``: what one more of x costs."""
    return statistics.linear_regression(xs, ys).slope


def slopes(series: Mapping[int, Sequence[float]]) -> list[float]:
    """One slope per round out of, for every x, one value per round."""
    xs = sorted(series)
    return [slope(xs, ys) for ys in zip(*(series[x] for x in xs), strict=True)]


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The quotient of each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def differences(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """The difference of each round."""
    return [a - b for a, b in zip(above, below, strict=True)]


def rotated(keys: Sequence[Key], by: int) -> list[Key]:
    """``keys`` starting at another one, so that nobody always runs after the same neighbour."""
    by %= len(keys)
    return [*keys[by:], *keys[:by]]


def interleaved(
    cases: Mapping[Key, Case], effort: Effort, loop_factory: LoopFactory | None = None
) -> dict[Key, list[float]]:
    """Time every case once per round, in one event loop: asyncio's own unless one is given.

    Every case is checked for its answer first. A round runs one block of calls for each case, so
    slow drift of the machine meets all of them alike; a block is as many calls as fit in
    ``effort.block_seconds``.

    Returns:
        For each case the microseconds per call, one value per round.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_interleaved(cases, effort))


async def _interleaved(cases: Mapping[Key, Case], effort: Effort) -> dict[Key, list[float]]:
    calls: dict[Key, int] = {}
    for key, case in cases.items():
        await exchange(case)
        await _block(case, 8)
        estimate = await _block(case, 5)
        calls[key] = max(3, min(5000, round(effort.block_seconds * 1e6 / estimate)))
    times: dict[Key, list[float]] = {key: [] for key in cases}
    for number in range(effort.rounds):
        gc.collect()
        for key in rotated(list(cases), number):
            # A few calls untimed: the block before belonged to another framework.
            await _block(cases[key], max(2, calls[key] // 10))
            times[key].append(await _block(cases[key], calls[key]))
    return times


async def _block(case: Case, calls: int) -> float:
    """Microseconds per call over ``calls`` calls in a row."""
    app = case.app
    scope, sent = case.scope(), case.sent
    started = clock_ns()
    for _ in range(calls):
        # A state of its own, as from a server: some frameworks keep things in it.
        await app({**scope, "state": {}}, Inbound(sent), discard)
    return (clock_ns() - started) / calls / 1000
