"""Import time over bare asyncio, each in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Framework, Pair
from benchmarks.measure import Effort, Say, Spread, ratios, rotated

BAR = Bar(60)

# The clock runs inside the child: starting and ending an interpreter is not an import.
TIMED = """\
{before}
import time
started = time.perf_counter()
{statement}
print(time.perf_counter() - started)
"""


def milliseconds(statement: str, before: str, environment: dict[str, str]) -> float:
    """Milliseconds of ``statement`` in a new interpreter that has run ``before``.

    Raises:
        RuntimeError: the interpreter failed; its own words are in the text.
    """
    code = TIMED.format(statement=statement, before=before)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"Expected {statement!r} to run, got:\n{done.stderr}")
    return float(done.stdout) * 1000


def environment(pair: Pair) -> dict[str, str]:
    """This environment, with both packages to be found and compiled files kept."""
    result = dict(os.environ)
    result.pop("PYTHONDONTWRITEBYTECODE", None)
    places = dict.fromkeys(str(framework.directory) for framework in pair.both)
    result["PYTHONPATH"] = os.pathsep.join([*places, result.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )
    return result


def statements(framework: Framework, full: bool) -> str:
    """What a user would write: the package alone, or with its application class.

    Starlette's package is empty, so its application comes from its module.
    """
    if not full:
        return f"import {framework.name}"
    module = "starlette.applications" if framework.name == "starlette" else framework.name
    return f"from {module} import {framework.application_name}"


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """Both ways to import, alternating with the import of asyncio itself."""
    say("imports: each in a fresh interpreter")
    cases = {"asyncio": ("import asyncio", "")}
    for full in (False, True):
        cases[f"subject, {full}"] = (statements(pair.subject, full), "import asyncio")
        cases[f"reference, {full}"] = (statements(pair.reference, full), "import asyncio")
    places = environment(pair)
    for statement, before in cases.values():
        # Writes the compiled files and warms the file cache.
        milliseconds(statement, before, places)
    times: dict[str, list[float]] = {key: [] for key in cases}
    for number in range(effort.import_rounds):
        for key in rotated(list(cases), number):
            times[key].append(milliseconds(*cases[key], places))
    return [_figure(pair, times, full) for full in (False, True)]


def _figure(pair: Pair, times: dict[str, list[float]], full: bool) -> Figure:
    subject, reference = times[f"subject, {full}"], times[f"reference, {full}"]
    return Figure(
        "imports",
        f"`{statements(pair.subject, full)}` after `import asyncio` (bare: that itself)",
        "ms",
        subject=Spread.of(subject),
        reference=Spread.of(reference),
        bare=Spread.of(times["asyncio"]),
        ratio=Spread.of(ratios(subject, reference)),
        bar=BAR,
        timings={key: Spread.of(values) for key, values in times.items()},
    )
