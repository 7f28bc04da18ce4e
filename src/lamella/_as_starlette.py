"""Software made for Starlette, on lamella: ``import starlette`` gives lamella's modules.

Floor 9: it loads any module of the package, by name and when it is asked for. The modules are the
same objects under both names, so nothing runs twice and ``isinstance`` holds across them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from lamella._reexports import lend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["install_as_starlette"]

# The version whose names lamella offers, for software that looks at it.
STARLETTE_VERSION: Final = "1.10.0"
_NAMES: Final = """
    _exception_handler _utils applications authentication background concurrency config convertors
    datastructures endpoints exceptions formparsers middleware middleware.authentication
    middleware.base middleware.body_limit middleware.cors middleware.errors middleware.exceptions
    middleware.gzip middleware.httpsredirect middleware.opentelemetry middleware.sessions
    middleware.trustedhost middleware.wsgi requests responses routing schemas staticfiles status
    templating testclient types websockets
"""
# Its modules. One that lamella lacks is told apart from one that never existed.
STARLETTE_MODULES: Final = frozenset(f"starlette.{name}" for name in _NAMES.split())
_MARK: Final = "__provided_by__"  # `_lifespan` looks for it, too
_OURS: Final = "lamella"


def install_as_starlette() -> None:
    """Make ``import starlette``, and all below it, mean lamella from here on.

    Call it before anything imports Starlette: first thing in the program, above the import of
    FastAPI or of whatever else is made for Starlette. A second call does nothing. Whether
    Starlette is installed makes no difference, and ``importlib.metadata`` goes on telling what is.

    ``starlette`` itself is a module of its own, whose ``__version__`` is that of the Starlette
    whose names lamella has; each ``starlette.x`` is the very module ``lamella.x``. Once it is
    imported, the lifespans of mounted applications are run only where ``lifespan=True`` says so.

    Raises:
        RuntimeError: Starlette's own modules are imported already; it names who did.
    """
    loaded = sys.modules.get("starlette")
    if loaded is not None and not hasattr(loaded, _MARK):
        raise RuntimeError(
            "Expected install_as_starlette() before anything imports Starlette, but it is imported"
            f" already, by {_named(_importers())}; make this call the first thing that the program"
            " does, above those imports."
        )
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds lamella's modules under Starlette's names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "starlette":
            root = sys.modules[_OURS]
            spec = ModuleSpec(fullname, _Root(), origin=root.__file__, is_package=True)
            # Where its files are: tools list a package's modules by it, or watch what they do.
            spec.submodule_search_locations = list(root.__path__)
            return spec
        if not fullname.startswith("starlette.") or path is None:
            return None
        ours = _ours(fullname, path)
        if ours is not None:
            spec = ModuleSpec(fullname, _Alias(), origin=ours.origin)
            # For the empty module, by which another thread may look for what is in a package.
            spec.submodule_search_locations = ours.submodule_search_locations
            return spec
        if fullname in STARLETTE_MODULES:
            raise ModuleNotFoundError(
                f"lamella stands in for Starlette here, and has no module for {fullname!r}.",
                name=fullname,
            )
        return None


def _ours(fullname: str, path: Sequence[str]) -> ModuleSpec | None:
    """Find lamella's module, without an import: finders run under the lock of all imports."""
    name = _OURS + fullname.removeprefix("starlette")
    found = (finder.find_spec(name, path, None) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None), None)


class _Root(Loader):
    """Fills the module ``starlette``, which is none of lamella's: its version is another."""

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = "Starlette's names, provided by lamella."
        module.__file__ = sys.modules[_OURS].__file__
        names = {"__version__": STARLETTE_VERSION, _MARK: _OURS, "__getattr__": _submodule}
        vars(module).update(names)


def _submodule(name: str) -> ModuleType:
    """A module below ``starlette`` that a program does not import, since another one did.

    Which those are would differ, as lamella's modules import others than Starlette's.
    """
    missing = f"module 'starlette' has no attribute {name!r}"
    if f"starlette.{name}" not in STARLETTE_MODULES:
        raise AttributeError(missing)
    try:
        return import_module(f"starlette.{name}")
    except ImportError as exc:
        raise AttributeError(missing) from exc


class _Alias(Loader):
    """Puts lamella's module in the place of the empty one that the import system made.

    That one is given up, so the real one keeps its own ``__name__`` and ``__spec__``. It gets the
    names that Starlette's imports from its other modules.
    """

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        sys.modules[name] = ours = import_module(_OURS + name.removeprefix("starlette"))
        lend(ours)


def _importers() -> Iterator[str]:
    """The packages that hold something of Starlette's, in the order of their import."""
    modules: list[tuple[str, Any]] = list(sys.modules.items())
    for name, module in modules:
        package = name.partition(".")[0]
        values = list(vars(module).values()) if isinstance(module, ModuleType) else []
        if package != "starlette" and any(map(_is_starlettes, values)):
            yield package


def _is_starlettes(value: Any) -> bool:
    home: Any = ""
    try:
        if isinstance(value, ModuleType):
            home = value.__name__
        elif isinstance(value, (type, FunctionType)):
            home = value.__module__
    except Exception:
        return False  # a program's own class may answer in any way
    return isinstance(home, str) and home.partition(".")[0] == "starlette"


def _named(packages: Iterator[str]) -> str:
    names = [
        "the program itself (`__main__`)" if name == "__main__" else f"`{name}`"
        for name in dict.fromkeys(packages)
    ]
    return ", ".join(names[:3]) or "something that kept nothing of it"
