"""``python -m benchmarks``: measure, print the table, say which bars are met."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    bridges,
    documents,
    imports,
    layers,
    memory,
    plain,
    routes,
    streaming,
    tasks,
    typed,
    wire,
)
from benchmarks.figures import Figure, as_json, command, markdown, table
from benchmarks.frameworks import APPLICATIONS, Pair, load
from benchmarks.machine import machine
from benchmarks.measure import FULL, QUICK, Effort, Say

Measure = Callable[[Pair, Effort, Say], list[Figure]]

GROUPS: dict[str, Measure] = {
    "tasks": tasks.measure,
    "layers": layers.measure,
    "bridges": bridges.measure,
    "memory": memory.measure,
    "plain": plain.measure,
    "routes": routes.measure,
    "typed": typed.measure,
    "documents": documents.measure,
    "imports": imports.measure,
    "streaming": streaming.measure,
    "wire": wire.measure,
}

CRASHED = 1
MISSED = 3


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="lamella, other frameworks and a bare ASGI app, side by side in one run.",
        epilog=f"Exit code: 0; {CRASHED} if a benchmark crashed; "
        f"{MISSED} with --check if a bar was missed.",
    )
    result.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}")
    result.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    result.add_argument("--check", action="store_true", help="fail when a bar is missed")
    result.add_argument("--markdown", action="store_true", help="print a Markdown table")
    result.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    result.add_argument(
        "--subject",
        choices=tuple(APPLICATIONS),
        default="lamella",
        help="what to measure; starlette gives the noise of the method against itself",
    )
    return result


def run(names: Sequence[str], pair: Pair, effort: Effort, say: Say) -> tuple[list[Figure], bool]:
    """Measure group after group; a crash is printed, and the others go on.

    Returns:
        The figures, and whether something crashed.
    """
    figures: list[Figure] = []
    crashed = False
    for name in names:
        try:
            figures += GROUPS[name](pair, effort, say)
        except Exception:
            crashed = True
            say(f"{name}: crashed")
            traceback.print_exc()
    return figures, crashed


def exit_code(figures: Sequence[Figure], crashed: bool, check: bool) -> int:
    """What the shell is told."""
    if crashed:
        return CRASHED
    return MISSED if check and any(figure.met is False for figure in figures) else 0


def progress(text: str) -> None:
    """Say on standard error what is being measured; standard output is for the table."""
    print(f"... {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = parser().parse_args(arguments)
    unknown = [name for name in options.groups if name not in GROUPS]
    if unknown:
        parser().error(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    pair = Pair(load(options.subject), load("starlette"))
    effort = QUICK if options.quick else FULL
    names = options.groups or list(GROUPS)
    line = machine()
    print(line, flush=True)
    figures, crashed = run(names, pair, effort, progress)
    print()
    print(markdown(figures) if options.markdown else table(figures))
    missed = [figure for figure in figures if figure.met is False]
    for figure in missed:
        print(f"missed: {figure.what} ({command(figure.group)})")
    if options.json:
        options.json.write_text(json.dumps(as_json(figures, line), indent=1) + "\n")
    return exit_code(figures, crashed, options.check)


if __name__ == "__main__":
    sys.exit(main())
