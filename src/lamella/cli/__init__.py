"""The command line: ``lamella``, which is ``python -m lamella``.

Floor 9. Standard library only, so that it works wherever the package does.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lamella.cli.as_starlette import run_as_starlette
from lamella.cli.openapi import run_openapi

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
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["openapi"]:
        run_openapi(words[1:])
        return
    options, program, is_module = _split(words)
    parser = argparse.ArgumentParser(
        prog="lamella",
        usage="%(prog)s --as-starlette (-m module | script.py) ...\n"
        "       %(prog)s openapi module:app",
        description="Run a program for Starlette, as `python` would, on lamella; or print the"
        " OpenAPI document of an application.",
    )
    parser.add_argument(
        "--as-starlette",
        action="store_true",
        help="`import starlette` means lamella, in the program and in the processes it starts",
    )
    given = parser.parse_args(options)
    if not given.as_starlette:
        parser.error("expected --as-starlette and a program to run, or openapi and an application")
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
