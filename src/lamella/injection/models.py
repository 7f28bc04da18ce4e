"""Whose types these are: which validate themselves, which have fields, which are single values.

Floor 5, on ``outline`` and ``scalars``. Everything here is asked when an application is built.
"""

from __future__ import annotations

import collections
from collections import abc
from collections.abc import Iterator
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
)

import msgspec

from lamella.exceptions import StackError
from lamella.injection._adapter import is_pydantic_metadata, is_pydantic_type
from lamella.injection.outline import (
    ARRAYS,
    MAPPINGS,
    MISSING,
    bare,
    class_of,
    members,
    outline_of,
    remembered,
)
from lamella.injection.scalars import class_decoder
from lamella.params import REQUIRED

__all__ = [
    "Family",
    "ModelField",
    "family_of",
    "field_names",
    "is_model",
    "is_read_by_json",
    "is_scalar",
    "is_sequence",
    "split",
    "walk",
]

Family = Literal["scalar", "pydantic", "msgspec"]
SEQUENCES: Final = (list, tuple, set, frozenset, collections.deque, abc.Sequence)
WRAPPERS: Final = (Required, NotRequired, Final)


class ModelField(NamedTuple):
    """One field of a model.

    Attributes:
        name: of the attribute.
        alias: the key in the request.
        annotation: the type.
        required: whether there is no default.
        default: ``lamella.params.REQUIRED`` where there is none, or a function makes it.
        names: all keys that are taken, the first that is there counting.
        choices: those of them that pydantic's ``AliasChoices`` name.
    """

    name: str
    alias: str
    annotation: Any
    required: bool
    default: Any
    names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type without what describes it, and the metadata that stood in ``Annotated``.

    Args:
        annotation: any type; ``NewType`` and the like are seen through, recursive
            ``type X = ...`` is not.
    """
    metadata: tuple[Any, ...] = ()
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *more = get_args(annotation)
            metadata = (*more, *metadata)
        elif origin in WRAPPERS:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            annotation = annotation.__bound__ or Any
        else:
            return annotation, metadata


def walk(annotation: Any, seen: set[Any] | None = None) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Tell every type in a tree of types, each with its metadata; fields of models too.

    Args:
        annotation: the root.
        seen: the classes that were told already.

    Raises:
        StackError: a type that nobody can read.
    """
    seen = set() if seen is None else seen
    base, metadata = split(annotation)
    yield base, metadata
    if is_pydantic_metadata(metadata) or is_pydantic_type(base):
        return
    if class_of(base) is not None or bare(base) is not base:
        if base not in seen:
            seen.add(base)
            inner = (
                [bare(base)]
                if class_of(base) is None
                else [field.annotation for field in outline_of(base).fields]
            )
            for part in inner:
                yield from walk(part, seen)
        return
    for part in parts_of(base):
        yield from walk(part, seen)


def parts_of(base: Any) -> tuple[Any, ...]:
    """Return the types that an array, a mapping or a union is made of, () of a single value."""
    if base is msgspec.UnsetType or get_origin(base) is Literal:
        return ()
    if members(base):
        return members(base)
    if base in ARRAYS or base in MAPPINGS:
        return ()
    if get_origin(base) in ARRAYS or get_origin(base) in MAPPINGS:
        return tuple(part for part in get_args(base) if part is not ...)
    try:
        known = class_decoder(base) is not None
    except TypeError:  # not hashable: no type at all
        known = False
    if not known:
        raise StackError(
            f"Expected a type that can be read from JSON, got {shown(base)}; write a"
            " msgspec.Struct, a pydantic model, a dataclass, or a type made of str, int, list,"
            " dict and such."
        )
    return ()


def shown(base: Any) -> str:
    """Name a type in an error."""
    if isinstance(base, type):
        return f"{base.__module__}.{base.__qualname__}"
    return repr(base)


def family_of(annotation: Any) -> Family:
    """Tell who decodes a type.

    Args:
        annotation: any type.

    Returns:
        "pydantic" if some of it is pydantic's and nothing a Struct or a class of attrs, which
        pydantic does not know; "msgspec" if there are models or mappings in it; else "scalar".

    Raises:
        StackError: a type that nobody can read.
    """
    return _family(annotation)


@remembered
def _family(annotation: Any) -> Family:
    nodes = list(walk(annotation))
    bases = [base for base, _ in nodes]
    kinds = {
        outline_of(base).kind
        for base in bases
        if class_of(base) is not None and not is_pydantic_type(base)
    }
    theirs = any(
        is_pydantic_type(base) or is_pydantic_metadata(metadata) for base, metadata in nodes
    )
    if theirs and not kinds & {"struct", "attrs"}:
        return "pydantic"
    mapped = any(base in MAPPINGS or get_origin(base) in MAPPINGS for base in bases)
    return "msgspec" if kinds or theirs or mapped else "scalar"


@remembered
def is_model(annotation: Any) -> bool:
    """Tell whether a type is a class with fields, of any family.

    Args:
        annotation: any type.
    """
    base, metadata = split(annotation)
    return class_of(base) is not None and not _has_json(metadata)


def is_read_by_json(annotation: Any) -> bool:
    """Tell whether a value is read from a text of JSON: pydantic's ``Json``.

    Args:
        annotation: any type.
    """
    return _has_json(split(annotation)[1])


def _has_json(metadata: tuple[Any, ...]) -> bool:
    return any(
        type(one).__name__ == "Json" and type(one).__module__ == "pydantic.types"
        for one in metadata
    )


@remembered
def is_sequence(annotation: Any) -> bool:
    """Tell whether a parameter of the type takes every value of its name, rather than one.

    Args:
        annotation: any type; a union does if one of its members does. Source: as FastAPI 0.165.
    """
    base = bare(annotation)
    if is_read_by_json(annotation):
        return False
    if inner := members(base):
        return any(is_sequence(member) for member in inner)
    cls = get_origin(base) or base
    if not isinstance(cls, type) or issubclass(cls, str | bytes) or is_model(cls):
        return False
    return issubclass(cls, SEQUENCES)


def is_scalar(annotation: Any) -> bool:
    """Tell whether a parameter of the type is read from the query if nothing else is said.

    Args:
        annotation: any type; a union is if all of its members are. Source: as FastAPI 0.165.
    """
    base = bare(annotation)
    if inner := members(base):
        return all(is_scalar(member) for member in inner)
    cls = get_origin(base) or base
    return not (is_model(base) or is_sequence(base) or cls in MAPPINGS or cls in ARRAYS)


def field_names(annotation: Any) -> list[ModelField]:
    """List the fields of a model.

    Args:
        annotation: a class with fields of any family, or a union of such and None, whose fields
            are told together.

    Raises:
        StackError: it is no such class.
    """
    base, _ = split(annotation)
    models = [one for one in members(base) if split(one)[0] is not type(None)] or [base]
    found: dict[str, ModelField] = {}
    for model in models:
        cls = class_of(model)
        fields = pydantic_fields(cls) if is_pydantic_type(cls) else native_fields(model)
        for field in fields:
            found.setdefault(field.alias, field)
    return list(found.values())


def native_fields(model: Any) -> Iterator[ModelField]:
    """Tell the fields of a model that is not pydantic's."""
    outline = outline_of(model)
    optional: frozenset[str] = getattr(outline.cls, "__optional_keys__", frozenset())
    defaults: dict[str, Any] = getattr(outline.cls, "_field_defaults", {})
    for field in outline.fields:
        default = defaults.get(field.name, field.default)
        bound = default is MISSING and field.default_factory is MISSING
        required = bound and field.name not in optional
        told = REQUIRED if default is MISSING else default
        yield ModelField(field.name, field.key, field.annotation, required, told, (field.key,))


def pydantic_fields(cls: Any) -> Iterator[ModelField]:
    """Tell the fields of a model or a dataclass of pydantic's."""
    fields = getattr(cls, "model_fields", None) or getattr(cls, "__pydantic_fields__", {})
    config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", {})
    by_name = config.get("validate_by_name", config.get("populate_by_name", False))
    for name, field in fields.items():
        names = pydantic_names(name, field)
        if config.get("validate_by_alias") is False:
            names = [name]
        elif by_name and name not in names:
            names.append(name)
        required = field.is_required()
        default = REQUIRED if required or field.default_factory is not None else field.default
        kind = field.annotation
        if _has_json(tuple(field.metadata)):
            kind = Annotated[kind, *field.metadata]
        choices = tuple(alias_choices(field.validation_alias))
        yield ModelField(name, names[0], kind, required, default, tuple(names), choices)


def pydantic_names(name: str, field: Any) -> list[str]:
    """Return the keys that a field of pydantic's is read from."""
    alias = field.validation_alias
    if isinstance(alias, str):
        return [alias]
    return alias_choices(alias) or [field.alias or name]


def alias_choices(alias: Any) -> list[str]:
    """Return the keys that an ``AliasChoices`` names, none if there are paths among them."""
    choices: list[Any] = list(getattr(alias, "choices", ()))
    return choices if all(isinstance(one, str) for one in choices) else []
