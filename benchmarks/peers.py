"""The frameworks with typed programs, as far as they are installed, and their rows of a table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks.asgi import App
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Pair
from benchmarks.measure import Say, Spread, ratios

# The name in the table, the module in `typed_apps`, the package without which it is left out.
PEERS = (
    ("Starlette", "on_starlette", "starlette"),
    ("FastAPI", "on_fastapi", "fastapi"),
    ("Litestar", "on_litestar", "litestar"),
    ("BlackSheep", "on_blacksheep", "blacksheep"),
    ("Falcon", "on_falcon", "falcon"),
    ("Falcon with msgspec", "on_falcon_msgspec", "falcon"),
)
SUBJECTS = {"lamella": "on_lamella", "starlette": "on_starlette"}
SUBJECT = "subject"

# By name, in the order of the rounds.
Taken = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Peer:
    """One framework's program. The name is ``SUBJECT`` if it is what is measured."""

    name: str
    make: Callable[..., App]
    by_hand: bool
    document: str


def having(program: str, pair: Pair) -> list[Peer]:
    """The subject and what is installed beside it, those of them that have such a program.

    Empty if the subject has none: there is nothing to compare then.

    Args:
        program: the name of a function that `typed_apps` describes.
    """
    missing = absent()
    rows = [(name, module) for name, module, package in PEERS if package not in missing]
    ours = _peer(SUBJECT, SUBJECTS[pair.subject.name], program)
    theirs = [_peer(name, module, program) for name, module in rows]
    return [peer for peer in (ours, *theirs) if peer] if ours else []


def absent() -> list[str]:
    """Packages of the others that are not installed."""
    packages = dict.fromkeys(package for *_, package in PEERS)
    return [package for package in packages if find_spec(package) is None]


def announce(say: Say, what: str) -> None:
    """Say what is measured next, and who is missing from it."""
    missing = absent()
    say(f"{what}; not installed, so left out: {', '.join(missing)}" if missing else what)


def beside(
    about: tuple[str, str, str],
    peers: Sequence[Peer],
    taken: Taken,
    bar: Bar,
    timings: Mapping[str, Spread],
) -> list[Figure]:
    """One row for each framework beside the subject, the quickest first; that one has the bar.

    A bar on a ratio passes over the frameworks whose program works by hand, and is left out with
    those that are not installed: one of them might be the quickest.

    Args:
        about: group, what was measured, unit.
        peers: the subject and the others.
        taken: what each took.
        bar: of the value or of the ratio.
        timings: as in ``Figure``.
    """
    group, what, unit = about
    ours = Spread.of(taken[SUBJECT])
    theirs = [peer for peer in peers if peer.name != SUBJECT]
    theirs.sort(key=lambda peer: median(taken[peer.name]))
    compared = [peer for peer in theirs if bar.of == "value" or not (peer.by_hand or absent())]
    figures = [
        Figure(
            group,
            f"{what}; beside {peer.name}",
            unit,
            subject=ours,
            reference=Spread.of(taken[peer.name]),
            ratio=Spread.of(ratios(taken[SUBJECT], taken[peer.name])),
            bar=bar if peer in compared[:1] else None,
            timings=dict(timings),
        )
        for peer in theirs
    ]
    if figures:
        return figures
    held = bar if bar.of == "value" else None
    return [Figure(group, what, unit, ours, bar=held, timings=dict(timings))]


def _peer(name: str, module: str, program: str) -> Peer | None:
    programs: Any = importlib.import_module(f"benchmarks.typed_apps.{module}")
    if not hasattr(programs, program):
        return None
    by_hand = program in getattr(programs, "BY_HAND", ())
    return Peer(name, getattr(programs, program), by_hand, getattr(programs, "DOCUMENT", ""))
