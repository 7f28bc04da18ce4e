"""``lamella openapi main:app``: print the OpenAPI document of an application.

Floor 9.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import sys
from contextlib import redirect_stdout
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

__all__ = ["run_openapi"]


def run_openapi(arguments: Sequence[str]) -> None:
    """Print a document, or write it to a file.

    Args:
        arguments: what stands behind ``openapi`` on the command line.

    Raises:
        SystemExit: the command line is wrong (code 2), or there is no such application or no way
            to write its document (code 1, with one line that says so).
    """
    given = _parser().parse_args(arguments)
    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path.cwd()))
    # What the program prints while it is imported is no part of the document.
    with redirect_stdout(sys.stderr):
        document = _document_of(_find(given.app), given.app)
    text = _as_yaml(document) if given.format == "yaml" else _as_json(document)
    if given.output is None:
        sys.stdout.buffer.write(text.encode())
        return
    try:
        Path(given.output).write_text(text, encoding="utf-8")
    except OSError as exc:
        _fail(f"Expected to write to {given.output!r}: {exc.strerror}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lamella openapi", description="Print the OpenAPI document of an application."
    )
    parser.add_argument("app", help="module and name of the application, such as main:app")
    parser.add_argument(
        "--format", choices=("json", "yaml"), default="json", help="json unless given"
    )
    parser.add_argument("--output", metavar="FILE", help="a file to write it to")
    return parser


def _find(place: str) -> Any:
    """The application at ``module:name``."""
    module_name, colon, name = place.partition(":")
    if not (module_name and colon and name):
        _fail(f"Expected module:name, such as main:app, got {place!r}.")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{module_name}.".startswith(f"{exc.name}."):
            raise  # one that the module itself asks for
        _fail(f"Expected a module {module_name!r} here or in the path of Python, found none.")
    try:
        return attrgetter(name)(module)
    except AttributeError:
        _fail(f"Expected {name!r} in module {module_name!r}, found no such name.")


def _document_of(app: Any, place: str) -> dict[str, Any]:
    openapi = getattr(app, "openapi", None)
    if isinstance(app, type) or not callable(openapi):
        what = f"the class {app.__name__}" if isinstance(app, type) else type(app).__name__
        _fail(f"Expected a Lamella application at {place}, got {what}.")
    found: Any = openapi()
    if inspect.isawaitable(found):
        found = asyncio.run(_result(found))
    if not isinstance(found, dict):
        _fail(f"Expected openapi() of {place} to return a dict, got {type(found).__name__}.")
    return cast("dict[str, Any]", found)


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _as_yaml(document: dict[str, Any]) -> str:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ModuleNotFoundError:
        _fail('--format yaml needs PyYAML; install it with: pip install "lamella[schemas]"')
    # By way of JSON, so that it has nothing that YAML alone could say.
    plain = json.loads(json.dumps(document))
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    return text


def _fail(message: str) -> NoReturn:
    sys.exit(f"lamella openapi: {message}")
