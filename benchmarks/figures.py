"""What a benchmark returns, and how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks.measure import Spread


@dataclass(frozen=True)
class Bar:
    """The largest median that will do, of the value itself or of its ratio to the reference."""

    limit: float
    of: Literal["value", "ratio"] = "value"


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    ``timings`` holds what was read off a clock or a counter before any difference or slope was
    taken from it, for the JSON file.
    """

    group: str
    what: str
    unit: str
    subject: Spread
    reference: Spread | None = None
    bare: Spread | None = None
    ratio: Spread | None = None
    bar: Bar | None = None
    timings: dict[str, Spread] = field(default_factory=dict)

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is no bar.

        Raises:
            ValueError: the bar is on a ratio that the figure does not have.
        """
        if self.bar is None:
            return None
        measured = self.subject if self.bar.of == "value" else self.ratio
        if measured is None:
            raise ValueError(f"Expected a ratio for the bar of {self.what!r}, got none.")
        return measured.median <= self.bar.limit

    @property
    def verdict(self) -> str:
        """``ok``, ``miss``, or nothing where there is no bar."""
        return {True: "ok", False: "miss", None: ""}[self.met]


# Beside lamella stands Starlette, unless the row names another.
HEADINGS = ("what", "unit", "lamella", "beside", "bare", "ratio", "bar", "")


def number(value: float) -> str:
    """A value with three digits that tell, without an exponent."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100 or value == round(value):
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def cell(spread: Spread | None) -> str:
    """The median with the range around it; the value alone where all rounds agree."""
    if spread is None:
        return ""
    if spread.minimum == spread.maximum:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.minimum)}..{number(spread.maximum)})"


def bar_cell(figure: Figure) -> str:
    """The bar with what it is on."""
    if figure.bar is None:
        return ""
    suffix = f" {figure.unit}" if figure.bar.of == "value" else " ratio"
    return f"<= {figure.bar.limit:.3g}{suffix}".removesuffix(" times")


def row(figure: Figure) -> tuple[str, ...]:
    """The cells of a figure, in the order of ``HEADINGS``."""
    return (
        figure.what,
        figure.unit,
        cell(figure.subject),
        cell(figure.reference),
        cell(figure.bare),
        cell(figure.ratio),
        bar_cell(figure),
        figure.verdict,
    )


def table(figures: Sequence[Figure]) -> str:
    """Aligned text, one heading per group with the command that makes it."""
    rows = [HEADINGS, *(row(figure) for figure in figures)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()

    lines = [line(HEADINGS), "  ".join("-" * width for width in widths)]
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            lines.append(f"# {command(group)}")
        lines.append(line(row(figure)))
    return "\n".join(lines)


def markdown(figures: Sequence[Figure]) -> str:
    """The same rows as a Markdown table, the command in the last column."""
    headings = [*HEADINGS[:-1], "met", "command"]
    lines = [
        f"| {' | '.join(headings)} |",
        "|---|---|" + "--:|" * 4 + "---|---|---|",
    ]
    for figure in figures:
        cells = [*row(figure), f"`{command(figure.group)}`"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def command(group: str) -> str:
    """The command that measures a group."""
    return f"python -m benchmarks {group}"


def as_json(figures: Sequence[Figure], machine: str) -> dict[str, Any]:
    """Everything measured, ready for ``json.dump``."""
    rows = [{**asdict(f), "met": f.met, "command": command(f.group)} for f in figures]
    return {"machine": machine, "figures": rows}
