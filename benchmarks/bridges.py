"""What one more bridge costs: a pure ASGI layer inside each dispatch layer."""

from __future__ import annotations

from benchmarks.asgi import Case
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Pair
from benchmarks.measure import Effort, Say, Spread, interleaved, ratios, slopes
from benchmarks.stacks import bridged, layered

COUNTS = (0, 1, 4, 8)


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """Slope over pairs of layers, against the reference's dispatch layer alone."""
    say(f"bridges: a request through {', '.join(map(str, COUNTS))} bridged pairs")
    cases: dict[tuple[str, int], Case] = {}
    for count in COUNTS:
        cases["subject, pairs", count] = Case(bridged(pair.subject, count))
        cases["reference, layers", count] = Case(layered(pair.reference, count))
        cases["reference, pairs", count] = Case(bridged(pair.reference, count))
    times = interleaved(cases, effort)
    kinds = dict.fromkeys(kind for kind, _ in cases)
    slope = {kind: slopes({count: times[kind, count] for count in COUNTS}) for kind in kinds}
    subject = slope["subject, pairs"]
    timings = {f"{kind}, {count}": Spread.of(t) for (kind, count), t in times.items()}
    return [
        Figure(
            "bridges",
            "one more bridge (Starlette: a dispatch layer alone)",
            "us",
            subject=Spread.of(subject),
            reference=Spread.of(slope["reference, layers"]),
            ratio=Spread.of(ratios(subject, slope["reference, layers"])),
            bar=Bar(1 / 3, of="ratio"),
            timings=timings,
        ),
        Figure(
            "bridges",
            "the same pair of layers on both",
            "us",
            subject=Spread.of(subject),
            reference=Spread.of(slope["reference, pairs"]),
            ratio=Spread.of(ratios(subject, slope["reference, pairs"])),
        ),
    ]
