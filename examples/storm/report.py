"""The table, and whether the run was good."""

from collections.abc import Callable
from typing import NamedTuple

from .side import Result


class Row(NamedTuple):
    """One row: a label, a value for each run, and which way is better (-1 less, 1 more)."""

    label: str
    value: Callable[[Result], float]
    better: int = 0
    form: str = ",.0f"


ROWS = [
    Row("healthy exchanges", lambda r: len(r.meter.seconds), 1),
    Row("healthy answers lost", lambda r: r.meter.lost, -1),
    Row("requests/s", lambda r: len(r.meter.seconds) / r.elapsed if r.elapsed else 0, 1),
    Row("latency p50, ms", lambda r: r.meter.percentile(0.50) * 1000, -1, ",.1f"),
    Row("latency p99, ms", lambda r: r.meter.percentile(0.99) * 1000, -1, ",.1f"),
    Row("server CPU, s", lambda r: r.cpu, 0, ",.1f"),
    Row("rude exchanges", lambda r: r.meter.rude.total()),
]

LOG_ROWS = [
    Row("tracebacks in the log", lambda r: r.tracebacks, -1),
    Row("unexpected ERROR lines", lambda r: len(r.errors), -1),
    Row("tasks leaked", lambda r: r.leaked.get("tasks", 0), -1),
    Row("descriptors leaked", lambda r: r.leaked.get("descriptors", 0), -1),
    Row("async generators leaked", lambda r: r.leaked.get("generators", 0), -1),
    Row("feed subscribers left", lambda r: r.leaked.get("subscribers", 0), -1),
    Row("requests still in flight", lambda r: r.leaked.get("in_flight", 0), -1),
    Row("cut-off uploads left", lambda r: r.left_behind, -1),
    Row("memory before, MB", lambda r: r.rss.get("before", 0), -1, ",.1f"),
    Row("memory peak, MB", lambda r: r.rss.get("peak", 0), -1, ",.1f"),
    Row("memory after, MB", lambda r: r.rss.get("after", 0), -1, ",.1f"),
    Row("in flight at SIGTERM", lambda r: r.ending.in_flight if r.ending else 0),
    Row("  of them answered", lambda r: r.ending.answered if r.ending else 0, 1),
]


def failures(result: Result) -> list[str]:
    """Return what was wrong with a run; a good one gives an empty list."""
    found = [f"the run broke off: {result.broken}"] if result.broken else []
    if result.meter.lost:
        found.append(f"{result.meter.lost} healthy answers lost")
    if not result.meter.seconds:
        found.append("no healthy exchange at all")
    found += [f"{count} {name} leaked" for name, count in result.leaked.items() if count]
    if result.tracebacks:
        found.append(f"{result.tracebacks} tracebacks in the server's log")
    if result.errors:
        found.append(f"{len(result.errors)} ERROR lines, the first: {result.errors[0][:120]}")
    if result.left_behind:
        found.append(f"{result.left_behind} cut-off uploads left in the folder")
    if result.books:
        found.append(f"the books do not add up: {result.books}")
    return found + ending_failures(result)


def ending_failures(result: Result) -> list[str]:
    """Return what was wrong with how the server ended."""
    if result.ending is None or (
        result.ending.answered == result.ending.in_flight and result.ending.stopped
    ):
        return []
    return [f"at SIGTERM: {reason}" for reason in result.ending.reasons[:3]] or ["did not stop"]


def exit_code(results: list[Result]) -> int:
    """Return 1 if the run that is judged, the first, was not good."""
    return 1 if failures(results[0]) else 0


def table(results: list[Result]) -> str:
    """Return the report: one column for each run; `*` marks the better value of two."""
    kinds = sorted({kind for result in results for kind in result.meter.rude})
    rude = [rude_row(kind) for kind in kinds]
    lines = [f"{'':28}" + "".join(f"{result.framework:>15} " for result in results)]
    lines += [line(row, results) for row in (*ROWS, *rude, *LOG_ROWS)]
    return "\n".join(lines)


def rude_row(kind: str) -> Row:
    """Return the row of one kind of rudeness."""
    return Row(f"  {kind}", lambda result: result.meter.rude[kind])


def line(row: Row, results: list[Result]) -> str:
    """Return one row of the table."""
    values = [row.value(result) for result in results]
    best = winner(values, row.better)
    cells = (
        f"{format(value, row.form):>15}{'*' if best == column else ' '}"
        for column, value in enumerate(values)
    )
    return f"{row.label:28}" + "".join(cells).rstrip()


def winner(values: list[float], better: int) -> int | None:
    """Return the column of the better of two values; None if there is no such thing."""
    if not better or len(values) != 2 or values[0] == values[1]:
        return None
    return values.index(max(values) if better > 0 else min(values))


def summary(results: list[Result]) -> str:
    """Return who won, if two ran, and what was wrong."""
    lines = []
    if len(results) == 2:
        lines.append(contest(results))
    for result in results:
        found = failures(result)
        lines.append(f"{result.framework}: {'good' if not found else 'NOT good'}")
        lines += [f"  {failure}" for failure in found]
        lines += [f"  lost: {reason}" for reason in result.meter.reasons]
    return "\n".join(lines)


def contest(results: list[Result]) -> str:
    """Return how often each run had the better value, and how the speeds compare."""
    rows = [row for row in (*ROWS, *LOG_ROWS) if row.better]
    best = [winner([row.value(result) for result in results], row.better) for row in rows]
    rates = [ROWS[2].value(result) for result in results]
    factor = f", {rates[0] / rates[1]:.1f} times as many requests/s" if all(rates) else ""
    return (
        f"* {results[0].framework} is better in {best.count(0)} rows,"
        f" {results[1].framework} in {best.count(1)}{factor}"
    )
