"""Run by Python at its start, in processes started below ``python -m lamella --as-starlette``.

Floor 9. Python runs one module of this name, the first on its path, so this one hands on to the
next.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path

SWITCH = "LAMELLA_AS_STARLETTE"


def _start() -> None:
    here = Path(__file__).resolve().parent
    _run_next([path for path in sys.path if Path(path).resolve() != here])
    # Another interpreter, which has no lamella, is left alone.
    if os.environ.get(SWITCH) == "1" and find_spec("lamella") is not None:
        import_module("lamella").install_as_starlette()


def _run_next(path: list[str]) -> None:
    """Run the `sitecustomize` that this one hides, if there is one."""
    spec = PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


if __name__ == "sitecustomize":  # imported by Python itself, not as a module of lamella
    _start()
