"""The JSON Schemas of one document: asked for one by one, made all at once.

Floor 7. pydantic is asked for its types in one go, so that it can name their models; all others are
walked here. Whoever asks for a schema gets an empty dict, which is filled when all are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from lamella.injection.decode import family_of
from lamella.openapi._components import PREFIX, Components, type_key
from lamella.openapi._limits import describe, limits_of, said
from lamella.openapi._merge import as_json
from lamella.openapi._pydantic import Mode, Wish, generate, has_computed_fields, limited
from lamella.openapi._types import add_title, type_schema, unwrapped
from lamella.params import REQUIRED

if TYPE_CHECKING:
    from lamella.openapi.document import Schema
    from lamella.params import Param

__all__ = ["PREFIX", "Mode", "Schemas"]


_BUILTIN: Final = (str, int, float, bool)


class _Wanted(NamedTuple):
    """One schema that was asked for, and the dict that waits for it."""

    target: Schema
    annotation: Any
    mode: Mode
    info: Param | None
    default: Any
    title: str
    is_property: bool
    is_foreign: bool
    is_titled: bool
    config: Any

    @property
    def key(self) -> tuple[Any, Mode]:
        """What tells it from others; those with the same key have the same schema."""
        key = type_key(self.annotation)
        return (key if self.config is None else (key, id(self.config)), self.mode)


class Schemas:
    """The schemas of one document.

    Args:
        separate: whether a model that is given out otherwise than it is taken in has two.
    """

    def __init__(self, *, separate: bool = True) -> None:
        self._separate = separate
        self._wanted: list[_Wanted] = []
        self._named: list[tuple[str, Schema, Schema]] = []
        self._later: list[Callable[[], None]] = []
        self._families: dict[Any, bool] = {}

    def add(
        self,
        annotation: Any,
        mode: Mode,
        title: str,
        *,
        info: Param | None = None,
        default: Any = REQUIRED,
        is_property: bool = False,
        config: Any = None,
    ) -> Schema:
        """Ask for the schema of a type.

        Args:
            annotation: the type.
            mode: whether it is taken in or given out.
            title: what it is called if nothing else says so, and it refers to nothing that does.
            info: what is said of it, and its constraints.
            default: the value where there is none in the request.
            is_property: whether it is a property of an object, which has no title where its type
                may have one of its own.
            config: options of pydantic for its type, if it is a field of a model.

        Returns:
            An empty dict, which ``complete`` fills.
        """
        target: Schema = {}
        foreign = config is not None or self._is_foreign(annotation)
        is_titled = bool(said("title", info, unwrapped(annotation)[1]))
        if info is not None and foreign:
            limits = limits_of(info)
            if info.discriminator is not None:
                limits["discriminator"] = info.discriminator
            annotation = limited(annotation, limits)
        elif info is not None:
            annotation = Annotated[annotation, info]
        if not self._separate and not (foreign and has_computed_fields(annotation)):
            mode = "validation"
        self._wanted.append(
            _Wanted(
                target,
                annotation,
                mode,
                info,
                default,
                title,
                is_property,
                foreign,
                is_titled,
                config,
            )
        )
        return target

    def add_named(self, name: str, schema: Schema) -> Schema:
        """Put a schema among those that have a name.

        Returns:
            What refers to it, when ``complete`` was called; the name is numbered if another schema
            has it.
        """
        reference: Schema = {"$ref": ""}
        self._named.append((name, schema, reference))
        return reference

    def later(self, call: Callable[[], None]) -> None:
        """Have something called when all schemas are filled."""
        self._later.append(call)

    def complete(self) -> dict[str, Schema]:
        """Fill all schemas.

        Returns:
            What they refer to, by name.
        """
        known: dict[tuple[Any, Mode], Schema] = {}
        walk = Components(known)
        bases = self._walk(walk)
        definitions: dict[str, Schema] = {}
        wishes = {
            one.key: Wish(one.annotation, one.mode, one.config)
            for one in self._wanted
            if one.is_foreign
        }
        wishes |= {key: Wish(kind, key[1]) for key, kind in walk.unknown.items()}
        if wishes:
            schemas, definitions = generate(list(wishes.values()), PREFIX)
            known.update(zip(wishes, schemas, strict=True))
        if walk.unknown:
            walk = Components(known)
            bases = self._walk(walk)
        for definition in definitions.values():
            if "description" in definition:
                definition["description"] = definition["description"].split("\f")[0]
        named = {**definitions, **walk.complete(definitions)}
        for one, base in zip(self._wanted, bases, strict=True):
            _fill(one, known[one.key] if base is None else base)
        for name, schema, reference in self._named:
            reference["$ref"] = PREFIX + _free_name(name, schema, named)
        for call in self._later:
            call()
        return named

    def _walk(self, components: Components) -> list[Schema | None]:
        """The schemas of all types that are not pydantic's, in the order they were asked for."""
        return [
            None if one.is_foreign else type_schema(one.annotation, one.mode, components)
            for one in self._wanted
        ]

    def _is_foreign(self, annotation: Any) -> bool:
        if annotation in _BUILTIN:  # PERF: most of all types
            return False
        key = type_key(annotation)
        if key not in self._families:
            self._families[key] = family_of(annotation) == "pydantic"
        return self._families[key]


def _fill(wanted: _Wanted, base: Mapping[str, Any]) -> None:
    """Write a schema, and what is said besides the type."""
    target, info = wanted.target, wanted.info
    target.update(base)
    if info is not None:
        describe(target, info)
    if wanted.default is not REQUIRED:
        target["default"] = as_json(wanted.default)
    if wanted.is_property:
        add_title(target, wanted.title)
    elif "$ref" not in target and not wanted.is_titled:
        target["title"] = wanted.title.title().replace("_", " ")


def _free_name(name: str, schema: Schema, named: dict[str, Schema]) -> str:
    """Put a schema under its name, or under one with a number if another schema has it."""
    shown, count = name, 1
    while named.setdefault(shown, schema) != schema:
        count += 1
        shown = f"{name}__{count}"
    return shown
