"""Requests per second on the wire: uvicorn and a load generator, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.frameworks import Pair
from benchmarks.imports import environment
from benchmarks.measure import Effort, Say, Spread, ratios, rotated

COUNTS = (0, 1, 5, 8, 16)
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Server:
    """A running server process and the port it listens on."""

    process: int
    port: int

    def processor_seconds(self) -> float | None:
        """Time its main thread was running so far; None where the system does not tell.

        Source: ``/proc/<pid>/schedstat``, first field, in nanoseconds (Linux).
        """
        try:
            line = Path(f"/proc/{self.process}/schedstat").read_text()
        except OSError:
            return None
        return int(line.split()[0]) / 1e9


@dataclass(frozen=True)
class Load:
    """What one run of the load generator gave."""

    per_second: float
    processor_us: float | None


@contextmanager
def server(name: str, layers: int, seconds: float, places: dict[str, str]) -> Iterator[Server]:
    """A server process for the time of the block.

    Raises:
        RuntimeError: it did not start; its own words are on standard error.
    """
    command = [sys.executable, "-m", "benchmarks.wire_server", name, str(layers), str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, env=places, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError(f"Expected {name} to serve, got exit {process.wait(10)}.")
        yield Server(process.pid, int(line))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if process.stdout:
            process.stdout.close()


def loaded(target: Server, effort: Effort, places: dict[str, str]) -> Load:
    """Run the load generator against ``target`` and read what the server spent meanwhile."""
    numbers = (target.port, effort.wire_connections, effort.wire_seconds, effort.wire_requests)
    before = target.processor_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.wire_load", *map(str, numbers)],
        cwd=ROOT,
        env=places,
        stdout=subprocess.PIPE,
        text=True,
        timeout=effort.wire_seconds * 2 + 30,
        check=True,
    )
    after = target.processor_seconds()
    result = json.loads(done.stdout)
    spent = None
    if before is not None and after is not None:
        spent = (after - before) / result["all"] * 1e6
    return Load(result["requests"] / result["seconds"], spent)


def measure(pair: Pair, effort: Effort, say: Say, counts: tuple[int, ...] = COUNTS) -> list[Figure]:
    """Two rows for each number of layers; the bare app is the same in all rows."""
    places = environment(pair)
    names = {"subject": pair.subject.name, "reference": pair.reference.name, "bare": "bare"}
    cases = [("bare", 0)]
    for count in counts:
        cases += [("subject", count), ("reference", count)]
    loads: dict[tuple[str, int], list[Load]] = {case: [] for case in cases}
    for number in range(effort.wire_rounds):
        for role, count in rotated(cases, number):
            name = names[role]
            say(f"wire: round {number + 1} of {effort.wire_rounds}, {name}, {count} layers")
            with server(name, count, effort.wire_seconds * 2 + 60, places) as target:
                loads[role, count].append(loaded(target, effort, places))
    rates = {case: [load.per_second for load in many] for case, many in loads.items()}
    spent = {
        case: [load.processor_us for load in many if load.processor_us is not None]
        for case, many in loads.items()
    }
    figures = _figures(rates, counts, "on the wire", "requests/s")
    if all(spent.values()):
        figures += _figures(spent, counts, "processor time of the server per request", "us")
    return figures


def _figures(
    values: Mapping[tuple[str, int], list[float]], counts: tuple[int, ...], what: str, unit: str
) -> list[Figure]:
    """One row for each number of layers."""
    return [
        Figure(
            "wire",
            f"{what}, through {count} idle dispatch layers",
            unit,
            subject=Spread.of(values["subject", count]),
            reference=Spread.of(values["reference", count]),
            bare=Spread.of(values["bare", 0]),
            ratio=Spread.of(ratios(values["subject", count], values["reference", count])),
        )
        for count in counts
    ]
