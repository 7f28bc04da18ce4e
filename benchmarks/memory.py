"""Memory that a request holds while it waits in the endpoint, per layer above it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks.asgi import (
    App,
    Case,
    Inbound,
    Receive,
    Scope,
    Send,
    bare,
    discard,
    exchange,
    scope_for,
    wrapped,
)
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Framework, Pair
from benchmarks.measure import Effort, Say, Spread, ratios, slopes
from benchmarks.stacks import json_endpoint, layered

COUNTS = (0, 8, 16)


class Gate:
    """Where requests wait; shut and opened by the measurement."""

    def __init__(self) -> None:
        """Start open and empty."""
        self.waiting = 0
        self._event: asyncio.Event | None = None

    def shut(self) -> None:
        """Hold everyone who comes from now on."""
        self.waiting = 0
        self._event = asyncio.Event()

    def open(self) -> None:
        """Let everyone go on."""
        if self._event is not None:
            self._event.set()
        self._event = None

    async def wait(self) -> None:
        """Wait while the gate is shut."""
        if self._event is not None:
            self.waiting += 1
            await self._event.wait()


def waiting_app(framework: Framework, gate: Gate, layers: int) -> App:
    """An app whose endpoint waits at the gate and then answers as the JSON endpoint does."""
    answer = json_endpoint(framework)

    async def endpoint(request: Any) -> Any:
        await gate.wait()
        return await answer(request)

    return layered(framework, layers, endpoint)


def waiting_bare(gate: Gate, layers: int) -> App:
    """The bare app waiting at the gate, inside pure ASGI layers."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await bare(scope, receive, send)

    return wrapped(app, layers)


async def held(app: App, gate: Gate, requests: int) -> float:
    """KiB per request while ``requests`` of them wait at the gate, by tracemalloc."""
    for _ in range(3):
        await exchange(Case(app))
    scope = scope_for("/")
    gate.shut()
    # A full collection empties the free lists too: nothing is taken from them unseen.
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        calls = [asyncio.ensure_future(_call(app, dict(scope))) for _ in range(requests)]
        async with asyncio.timeout(30):
            while gate.waiting < requests:
                await asyncio.sleep(0)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gate.open()
    async with asyncio.timeout(30):
        await asyncio.gather(*calls)
    return (after - before) / requests / 1024


async def _call(app: App, scope: Scope) -> None:
    await app(scope, Inbound(), discard)


def series(build: Callable[[Gate, int], App], effort: Effort) -> dict[int, list[float]]:
    """For each number of layers, KiB per waiting request, one value per round."""
    gate = Gate()
    apps = {count: build(gate, count) for count in COUNTS}
    result: dict[int, list[float]] = {count: [] for count in COUNTS}
    for _ in range(effort.memory_rounds):
        for count, app in apps.items():
            result[count].append(asyncio.run(held(app, gate, effort.memory_requests)))
    return result


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """Slope of the memory over the number of layers, and what the request holds without any."""
    say(f"memory: {effort.memory_requests} requests waiting in the endpoint")
    held_by = {
        "subject": series(lambda gate, n: waiting_app(pair.subject, gate, n), effort),
        "reference": series(lambda gate, n: waiting_app(pair.reference, gate, n), effort),
        "bare": series(waiting_bare, effort),
    }
    slope = {role: slopes(by_count) for role, by_count in held_by.items()}
    none = {role: by_count[0] for role, by_count in held_by.items()}
    return [
        Figure(
            "memory",
            "held by a request waiting in the endpoint, per layer (bare: a pure ASGI layer)",
            "KiB",
            subject=Spread.of(slope["subject"]),
            reference=Spread.of(slope["reference"]),
            bare=Spread.of(slope["bare"]),
            ratio=Spread.of(ratios(slope["subject"], slope["reference"])),
            bar=Bar(1.0),
            timings={
                f"{role}, {count}": Spread.of(values)
                for role, by_count in held_by.items()
                for count, values in by_count.items()
            },
        ),
        Figure(
            "memory",
            "held by the same request without any layer",
            "KiB",
            subject=Spread.of(none["subject"]),
            reference=Spread.of(none["reference"]),
            bare=Spread.of(none["bare"]),
            ratio=Spread.of(ratios(none["subject"], none["reference"])),
        ),
    ]
