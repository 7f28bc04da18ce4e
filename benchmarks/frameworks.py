"""The frameworks under measurement, each as one namespace of the names they share."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

APPLICATIONS = {"lamella": "Lamella", "starlette": "Starlette"}


@dataclass(frozen=True)
class Framework:
    """The names of one framework that the benchmarks use.

    Every name is typed ``Any``: what is measured is chosen by name when the program starts.
    """

    name: str
    application_name: str
    application: Any
    route: Any
    mount: Any
    middleware: Any
    base_http_middleware: Any
    json_response: Any
    streaming_response: Any
    directory: Path


@dataclass(frozen=True)
class Pair:
    """What is measured, and what stands beside it."""

    subject: Framework
    reference: Framework

    @property
    def both(self) -> tuple[Framework, Framework]:
        """The two, in the order in which a round runs them."""
        return (self.subject, self.reference)


def load(name: str) -> Framework:
    """Import a framework by its package name.

    Args:
        name: a key of ``APPLICATIONS``.

    Raises:
        SystemExit: the package is not installed, or is not known here.
    """
    if name not in APPLICATIONS:
        known = ", ".join(APPLICATIONS)
        raise SystemExit(f"Expected a framework out of {known}, got {name!r}.")
    try:
        package = importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
        raise SystemExit(
            f"Expected the package {name!r} to be importable, got {exc}; "
            f"install it, or set PYTHONPATH=src in a source tree."
        ) from exc
    routing = importlib.import_module(f"{name}.routing")
    responses = importlib.import_module(f"{name}.responses")
    return Framework(
        name=name,
        application_name=APPLICATIONS[name],
        application=getattr(importlib.import_module(f"{name}.applications"), APPLICATIONS[name]),
        route=routing.Route,
        mount=routing.Mount,
        middleware=importlib.import_module(f"{name}.middleware").Middleware,
        base_http_middleware=importlib.import_module(f"{name}.middleware.base").BaseHTTPMiddleware,
        json_response=responses.JSONResponse,
        streaming_response=responses.StreamingResponse,
        directory=Path(str(package.__file__)).resolve().parent.parent,
    )


def version_of(distribution: str) -> str:
    """Version of an installed distribution, or what its absence means.

    A package run from its source tree has no metadata; its ``__version__`` is used then.
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        pass
    try:
        module = importlib.import_module(distribution)
    except ModuleNotFoundError:
        return "not installed"
    return f"{getattr(module, '__version__', 'unversioned')} (source tree)"
