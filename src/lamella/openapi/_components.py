"""What the schemas of a document refer to, and the names that it has there.

Floor 7. A class is named as it is called; with its module in front if another one is called so,
too; with ``-Input`` and ``-Output`` if it is given out otherwise than it is taken in.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lamella.openapi._types import component_schema, title_of_class

if TYPE_CHECKING:
    from lamella.openapi._pydantic import Mode
    from lamella.openapi.document import Schema

__all__ = ["PREFIX", "Components", "type_key"]

PREFIX: Final = "#/components/schemas/"
_SUFFIX: Final[Mapping[str, str]] = {"validation": "-Input", "serialization": "-Output"}


class _Component(NamedTuple):
    """One class in one mode."""

    kind: Any
    mode: Mode
    schema: Schema


def type_key(kind: Any) -> Any:
    """What tells a type from all others, order of unions included."""
    if isinstance(kind, type):
        return kind
    try:
        hash(kind)
    except TypeError:  # something in Annotated
        return id(kind)
    return (repr(kind), kind)


class Components:
    """The classes that one walk over a document's types met; a ``Models``.

    Args:
        foreign: the schemas of pydantic's types, by key and mode, as far as they are known.
    """

    def __init__(self, foreign: Mapping[tuple[Any, Mode], Schema]) -> None:
        self.unknown: dict[tuple[Any, Mode], Any] = {}
        self._foreign = foreign
        self._found: dict[tuple[Any, Mode], _Component] = {}
        self._references: list[tuple[Schema, Any, Mode]] = []
        self._later: list[Callable[[], None]] = []
        self._split: set[Any] = set()
        self._long: set[Any] = set()
        self._numbered: dict[Any, int] = {}

    def component(self, kind: Any, mode: Mode) -> Schema:
        """A reference to a class; its text is written by ``complete``."""
        key = type_key(kind)
        if (key, mode) not in self._found:
            # Known before it is read, since it may refer to itself.
            schema: Schema = {}
            self._found[key, mode] = _Component(kind, mode, schema)
            schema.update(component_schema(kind, mode, self))
        reference: Schema = {"$ref": ""}
        self._references.append((reference, key, mode))
        return reference

    def foreign(self, annotation: Any, mode: Mode) -> Schema:
        """The schema of a type of pydantic's; if it is not known yet, any, and kept as unknown."""
        key = (type_key(annotation), mode)
        known = self._foreign.get(key)
        if known is None:
            self.unknown[key] = annotation
            return {}
        return dict(known)

    def later(self, call: Callable[[], None]) -> None:
        """Have something called when all references are written."""
        self._later.append(call)

    def complete(self, taken: Mapping[str, Schema]) -> dict[str, Schema]:
        """Choose all names, and write the references.

        Args:
            taken: what has a name already.
        """
        self._write()
        while self._split_modes() or self._lengthen(taken):
            self._write()
        for call in self._later:
            call()
        return {
            self._name(key, mode): component.schema
            for (key, mode), component in self._found.items()
        }

    def _write(self) -> None:
        for reference, key, mode in self._references:
            reference["$ref"] = PREFIX + self._name(key, mode)

    def _name(self, key: Any, mode: Mode) -> str:
        kind = self._found[key, mode].kind
        name = _long_name(kind) if key in self._long else title_of_class(kind)
        count = self._numbered.get(key)
        suffix = _SUFFIX[mode] if key in self._split else ""
        return _as_name(name) + ("" if count is None else f"__{count}") + suffix

    def _split_modes(self) -> bool:
        """Give those two names whose schemas differ; whether there are such."""
        found = {
            key
            for key, mode in self._found
            if mode == "validation" and key not in self._split and self._differs(key)
        }
        self._split |= found
        return bool(found)

    def _differs(self, key: Any) -> bool:
        given = self._found.get((key, "serialization"))
        return given is not None and given.schema != self._found[key, "validation"].schema

    def _lengthen(self, taken: Mapping[str, Schema]) -> bool:
        """Give those a longer name that share one with something else; whether there are such."""
        by_name: dict[str, list[tuple[Any, Schema]]] = {}
        for (key, mode), component in self._found.items():
            by_name.setdefault(self._name(key, mode), []).append((key, component.schema))
        changed = False
        for name, entries in by_name.items():
            schemas = [schema for _, schema in entries]
            if name in taken:
                schemas.append(taken[name])
            if any(schema != schemas[0] for schema in schemas[1:]):
                self._tell_apart([key for key, _ in entries])
                changed = True
        return changed

    def _tell_apart(self, keys: list[Any]) -> None:
        for index, key in enumerate(dict.fromkeys(keys)):
            if key in self._long:
                self._numbered[key] = self._numbered.get(key, 0) + index + 1
            self._long.add(key)


def _long_name(kind: Any) -> str:
    origin = typing.get_origin(kind) or kind
    place = f"{origin.__module__}.{getattr(origin, '__qualname__', title_of_class(origin))}"
    return place.replace(".", "__") + title_of_class(kind).removeprefix(title_of_class(origin))


def _as_name(text: str) -> str:
    """What OpenAPI allows as the name of a component."""
    return re.sub(r"[^a-zA-Z0-9.\-_]", "_", text)
