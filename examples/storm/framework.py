"""Which framework the shop's imports mean.

The shop says `from lamella.routing import Route`. In the process of a Starlette run, that gives
Starlette's, so both run the very same files, but for the API: see plain.py.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class StarletteForLamella(MetaPathFinder, Loader):
    """Finds `starlette.x` when asked for `lamella.x`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Claim lamella and what is in it."""
        if fullname.partition(".")[0] != "lamella":
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return Starlette's module of that name."""
        module = importlib.import_module(spec.name.replace("lamella", "starlette", 1))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing, since the module has run already; give it back its own spec."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


def use_starlette() -> None:
    """Let `lamella` mean Starlette in this process. To be called before lamella is imported.

    Raises:
        RuntimeError: If lamella has been imported already.
    """
    if "lamella" in sys.modules:
        raise RuntimeError("Expected a process without lamella, but it is imported already.")
    sys.meta_path.insert(0, StarletteForLamella())
