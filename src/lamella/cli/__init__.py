"""The command line of ``python -m lamella``.

Floor 9. Standard library only, so that it works wherever the package does.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lamella.cli.as_starlette import run_as_starlette

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line.

    Args:
        arguments: what stands behind the program's name; without them those of the process.

    Raises:
        SystemExit: the command line is wrong (code 2), or what it runs ends so.
    """
    options, program, is_module = _split(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m lamella",
        usage="%(prog)s --as-starlette (-m module | script.py) ...",
        description="Run a program for Starlette, as `python` would, on lamella.",
    )
    parser.add_argument(
        "--as-starlette",
        action="store_true",
        help="`import starlette` means lamella, in the program and in the processes it starts",
    )
    given = parser.parse_args(options)
    if not given.as_starlette:
        parser.error("expected --as-starlette and a program to run")
    if not program:
        parser.error("expected a program to run: `-m module ...` or `script.py ...`")
    run_as_starlette(program, is_module=is_module)


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str], bool]:
    """Our options, the program with its own, and whether it is a module.

    By hand, since `argparse` takes a "--" out of what it was told to leave alone.
    """
    for place, word in enumerate(arguments):
        if word == "-m":
            return arguments[:place], arguments[place + 1 :], True
        if not word.startswith("-"):
            return arguments[:place], arguments[place:], False
    return arguments, [], False
