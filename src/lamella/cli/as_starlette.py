"""``python -m lamella --as-starlette``: run a program with lamella in the place of Starlette.

Floor 9.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lamella._as_starlette import install_as_starlette
from lamella.cli.startup.sitecustomize import SWITCH

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_as_starlette"]


def run_as_starlette(program: Sequence[str], *, is_module: bool) -> None:
    """Run a program as ``python`` would, with ``import starlette`` giving lamella.

    The Python processes that the program starts have it, too: the workers and reloaders of servers
    are processes of their own.

    Args:
        program: a module's name or a file, and the program's arguments.
        is_module: whether it is a module's name.
    """
    install_as_starlette()
    _tell_children()
    sys.argv = list(program)
    if is_module:
        runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        return
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(program[0]).resolve().parent)
    runpy.run_path(program[0], run_name="__main__")


def _tell_children() -> None:
    """Have the Python processes started from here run `startup/sitecustomize.py` first."""
    folder = str(Path(__file__).with_name("startup"))
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if folder not in others:
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *others])
    os.environ[SWITCH] = "1"
