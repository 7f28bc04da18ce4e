"""What one more dispatch layer costs when it does nothing."""

from __future__ import annotations

from benchmarks.asgi import Case, bare, wrapped
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Pair
from benchmarks.measure import Effort, Say, Spread, differences, interleaved, ratios, slopes
from benchmarks.stacks import layered

COUNTS = (0, 1, 4, 8, 16)


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """Slope over the number of layers, the first one, and the whole request under most of them."""
    say(f"layers: a request through {', '.join(map(str, COUNTS))} dispatch layers")
    cases: dict[tuple[str, int], Case] = {}
    for count in COUNTS:
        cases["subject", count] = Case(layered(pair.subject, count))
        cases["reference", count] = Case(layered(pair.reference, count))
        cases["bare", count] = Case(wrapped(bare, count))
    times = interleaved(cases, effort)
    roles = ("subject", "reference", "bare")
    by_role = {role: {count: times[role, count] for count in COUNTS} for role in roles}
    # From the first layer on: what the first takes besides, once a request, is a row of its own.
    slope = {
        role: slopes({count: series[count] for count in COUNTS if count})
        for role, series in by_role.items()
    }
    first = {role: differences(series[1], series[0]) for role, series in by_role.items()}
    most = {role: series[COUNTS[-1]] for role, series in by_role.items()}
    return [
        Figure(
            "layers",
            "one more native dispatch layer (bare: a pure ASGI layer)",
            "us",
            subject=Spread.of(slope["subject"]),
            reference=Spread.of(slope["reference"]),
            bare=Spread.of(slope["bare"]),
            ratio=Spread.of(ratios(slope["subject"], slope["reference"])),
            bar=Bar(0.20),
            timings={f"{role}, {count}": Spread.of(t) for (role, count), t in times.items()},
        ),
        Figure(
            "layers",
            "the first native dispatch layer",
            "us",
            subject=Spread.of(first["subject"]),
            reference=Spread.of(first["reference"]),
            bare=Spread.of(first["bare"]),
            ratio=Spread.of(ratios(first["subject"], first["reference"])),
        ),
        Figure(
            "layers",
            f"a JSON request through {COUNTS[-1]} of them, in process",
            "us",
            subject=Spread.of(most["subject"]),
            reference=Spread.of(most["reference"]),
            bare=Spread.of(most["bare"]),
            ratio=Spread.of(ratios(most["subject"], most["reference"])),
        ),
    ]
