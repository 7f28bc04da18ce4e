"""A plain JSON route without layers, above the bare ASGI app."""

from __future__ import annotations

from benchmarks.asgi import Case, bare
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Pair
from benchmarks.measure import Effort, Say, Spread, differences, interleaved, ratios
from benchmarks.stacks import layered


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """Time of a request less the bare app's, and the time as it is."""
    say("plain: a JSON route without layers")
    cases = {
        "subject": Case(layered(pair.subject, 0)),
        "reference": Case(layered(pair.reference, 0)),
        "bare": Case(bare),
    }
    times = interleaved(cases, effort)
    above = {role: differences(times[role], times["bare"]) for role in ("subject", "reference")}
    timings = {role: Spread.of(values) for role, values in times.items()}
    return [
        Figure(
            "plain",
            "a plain JSON route, above the bare app",
            "us",
            subject=Spread.of(above["subject"]),
            reference=Spread.of(above["reference"]),
            ratio=Spread.of(ratios(above["subject"], above["reference"])),
            bar=Bar(0.5, of="ratio"),
            timings=timings,
        ),
        Figure(
            "plain",
            "a plain JSON route, in process",
            "us",
            subject=timings["subject"],
            reference=timings["reference"],
            bare=timings["bare"],
            ratio=Spread.of(ratios(times["subject"], times["reference"])),
        ),
    ]
