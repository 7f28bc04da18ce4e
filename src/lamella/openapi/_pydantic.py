"""What pydantic says of its own types, all of one document in one go.

Floor 7. pydantic is imported by the first type that is pydantic's, and not before.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from lamella.openapi.document import Schema

__all__ = [
    "Field",
    "Mode",
    "Wish",
    "fields_of",
    "generate",
    "has_computed_fields",
    "is_pydantic",
    "limited",
]

Mode = Literal["validation", "serialization"]
"""Whether a schema is of what is taken in, or of what is given out."""


class Wish(NamedTuple):
    """One schema that is asked for.

    Attributes:
        annotation: the type.
        mode: see ``Mode``.
        config: options of the model that it is a field of.
    """

    annotation: Any
    mode: Mode
    config: Any = None


class Field(NamedTuple):
    """One field of a model whose values are gathered from parameters.

    Attributes:
        name: in the model.
        alias: in the request.
        info: what pydantic knows of it.
        annotation: its type, with that.
        config: options of its model.
    """

    name: str
    alias: str
    info: Any
    annotation: Any
    config: Any


def is_pydantic(kind: type) -> bool:
    """Whether a class is pydantic's: a model, a dataclass of its own, or a type that it made."""
    return (
        hasattr(kind, "__pydantic_core_schema__")
        or hasattr(kind, "__get_pydantic_core_schema__")
        or kind.__module__.partition(".")[0]
        in ("pydantic", "pydantic_core", "pydantic_extra_types")
    )


def generate(wishes: Sequence[Wish], prefix: str) -> tuple[list[Schema], dict[str, Schema]]:
    """The schemas that are asked for, and the models that they refer to.

    Names that stand for two models get their modules in front; a model that is taken in otherwise
    than it is given out is two, ``-Input`` and ``-Output``.

    Args:
        wishes: all of one document.
        prefix: of references.
    """
    generator = _generator()(ref_template=f"{prefix}{{model}}")
    inputs = [(index, wish.mode, _core_schema(wish)) for index, wish in enumerate(wishes)]
    found, definitions = generator.generate_definitions(inputs)
    schemas = [dict(found[index, wish.mode]) for index, wish in enumerate(wishes)]
    return schemas, {str(name): dict(schema) for name, schema in definitions.items()}


def _core_schema(wish: Wish) -> Any:
    from pydantic import TypeAdapter

    own: Any = getattr(wish.annotation, "__dict__", {}).get("__pydantic_core_schema__")
    if isinstance(own, dict):  # of a model; one that waits for others has no dict yet
        return cast("Any", own)
    with warnings.catch_warnings():
        # An alias, say, means nothing in the middle of a type; the one who reads it did use it.
        warnings.simplefilter("ignore", _unused_attribute())
        return TypeAdapter[Any](wish.annotation, config=wish.config).core_schema


@functools.cache
def _unused_attribute() -> type[Warning]:
    import pydantic.warnings

    found: type[Warning] | None = getattr(
        pydantic.warnings, "UnsupportedFieldAttributeWarning", None
    )
    return found or UserWarning


@functools.cache
def _generator() -> type[Any]:
    """The generator of pydantic, with bytes as FastAPI 0.165 shows them."""
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        """Shows bytes by their media type, as OpenAPI 3.1 does, rather than by a format."""

        def bytes_schema(self, schema: Any) -> dict[str, Any]:
            shown = super().bytes_schema(schema)
            shown.pop("format", None)
            shown["contentMediaType"] = "application/octet-stream"
            option = "ser_json_bytes" if self.mode == "serialization" else "val_json_bytes"
            if getattr(self._config, option) == "base64":
                shown["contentEncoding"] = "base64"
            return shown

    return Generator


def fields_of(model: Any) -> list[Field]:
    """The fields of a model whose values are gathered from parameters."""
    return [
        Field(
            name,
            _alias_of(name, info, model.model_config),
            info,
            Annotated[info.annotation, info],
            None if _has_config(info.annotation) else model.model_config,
        )
        for name, info in model.model_fields.items()
    ]


def _alias_of(name: str, info: Any, config: Mapping[str, Any]) -> str:
    """The name in the request; of several choices the first."""
    if config.get("validate_by_alias") is False:
        return name
    alias = info.validation_alias
    alias = getattr(alias, "choices", [alias])[0]
    return alias if isinstance(alias, str) else info.alias or name


def _has_config(annotation: Any) -> bool:
    """Whether a type brings options of its own, so that none may be given for it."""
    kind: Any = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type):
        return False
    cls: type[Any] = kind
    return is_pydantic(cls) or issubclass(cls, dict) or dataclasses.is_dataclass(cls)


def limited(annotation: Any, limits: Mapping[str, Any]) -> Any:
    """A type with constraints, which pydantic puts where they belong."""
    from pydantic import fields

    return Annotated[annotation, fields.Field(**limits)] if limits else annotation


def has_computed_fields(annotation: Any) -> bool:
    """Whether a model anywhere in a type gives out fields that it does not take in."""
    return _has_computed_fields(annotation, set())


def _has_computed_fields(annotation: Any, known: set[Any]) -> bool:
    models = getattr(annotation, "model_fields", None)
    if not isinstance(annotation, type) or models is None:
        arguments = typing.get_args(annotation)
        return any(_has_computed_fields(argument, known) for argument in arguments)
    if annotation in known:
        return False
    known.add(annotation)
    computed: Any = getattr(annotation, "model_computed_fields", None)
    return bool(computed) or any(
        _has_computed_fields(field.annotation, known) for field in models.values()
    )
