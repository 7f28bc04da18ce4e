"""From a Python type to its JSON Schema, without pydantic.

Floor 7. The schemas are those that pydantic 2.14 gives in FastAPI 0.165, so that clients generated
from them stay the same. A class with fields becomes a reference; ``Models`` keeps it. What is
pydantic's own is left to pydantic.
"""

from __future__ import annotations

import datetime as dt
import decimal
import inspect
import ipaddress
import pathlib
import re
import typing
import uuid
from collections import abc
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Protocol, TypeVar, Union, cast

import msgspec

from lamella.datastructures import UploadFile
from lamella.injection.outline import (
    ARRAYS,
    MAPPINGS,
    MISSING,
    Field,
    Outline,
    class_of,
    outline_of,
)
from lamella.openapi._limits import describe, limit, limits_of
from lamella.openapi._merge import as_json
from lamella.openapi._pydantic import Mode, is_pydantic

if TYPE_CHECKING:
    from lamella.openapi.document import Schema

__all__ = [
    "Models",
    "add_title",
    "component_schema",
    "title_of",
    "title_of_class",
    "type_schema",
    "unwrapped",
    "without_none_type",
]

_NAMES: Final[Mapping[type, str]] = {
    str: "string",
    bytes: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
}
_SCALARS: Final[Mapping[type, Schema]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    complex: {"type": "string"},
    str: {"type": "string"},
    bytes: {"type": "string", "contentMediaType": "application/octet-stream"},
    UploadFile: {"type": "string", "contentMediaType": "application/octet-stream"},
    NoneType: {"type": "null"},
    dt.datetime: {"type": "string", "format": "date-time"},
    dt.date: {"type": "string", "format": "date"},
    dt.time: {"type": "string", "format": "time"},
    dt.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    pathlib.PurePath: {"type": "string", "format": "path"},
    re.Pattern: {"type": "string", "format": "regex"},
    ipaddress.IPv4Address: {"type": "string", "format": "ipv4"},
    ipaddress.IPv6Address: {"type": "string", "format": "ipv6"},
    ipaddress.IPv4Network: {"type": "string", "format": "ipv4network"},
    ipaddress.IPv6Network: {"type": "string", "format": "ipv6network"},
    ipaddress.IPv4Interface: {"type": "string", "format": "ipv4interface"},
    ipaddress.IPv6Interface: {"type": "string", "format": "ipv6interface"},
}
_SETS: Final = frozenset({set, frozenset, abc.Set, abc.MutableSet})
_ARRAYS: Final = ARRAYS | {abc.AsyncIterable, abc.AsyncIterator, abc.AsyncGenerator}
_WRAPPERS: Final = frozenset(
    getattr(typing, name)
    for name in ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")
    if hasattr(typing, name)
)


class Models(Protocol):
    """Who keeps what the document's schemas refer to."""

    def component(self, kind: Any, mode: Mode) -> Schema:
        """A reference to an enum, to a class with fields or to what ``type`` names."""
        ...

    def foreign(self, annotation: Any, mode: Mode) -> Schema:
        """The schema of a type that is pydantic's."""
        ...

    def later(self, call: Callable[[], None]) -> None:
        """Have something called when all references are written."""
        ...


def type_schema(annotation: Any, mode: Mode, models: Models) -> Schema:
    """The schema of any type; what nobody knows may be anything.

    Args:
        annotation: the type, maybe ``Annotated``.
        mode: whether it is taken in or given out.
        models: keeps what is referred to.
    """
    kind, metadata = unwrapped(annotation)
    if any(type(item).__module__.partition(".")[0] == "pydantic" for item in metadata):
        return models.foreign(annotation, mode)
    limits: dict[str, Any] = {}
    for item in metadata:
        limits.update(limits_of(item))
    schema = _limited(kind, limits, mode, models)
    for item in metadata:
        describe(schema, item)
    return schema


def unwrapped(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type in ``Annotated``, ``NewType``, ``Required`` and the like, and what stands beside."""
    metadata: tuple[Any, ...] = ()
    if type(annotation) is type:  # PERF: most of all types
        return annotation, metadata
    while True:
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            metadata = (*annotation.__metadata__, *metadata)
            annotation = annotation.__origin__
        elif origin in _WRAPPERS:
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            annotation = annotation.__bound__ or Any
        else:
            return annotation, metadata


def _limited(kind: Any, limits: Mapping[str, Any], mode: Mode, models: Models) -> Schema:
    members = _members(kind)
    if not limits:
        return _kind_schema(kind, members, mode, models)
    rest = without_none_type(kind)
    if rest is not kind:  # they are of the value that is not null
        return _either([_limited(rest, limits, mode, models), {"type": "null"}])
    schema = _kind_schema(kind, members, mode, models)
    limit(kind, schema, limits)
    return schema


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, UnionType) else ()


def without_none_type(kind: Any) -> Any:
    """A union without None; any other type as it is."""
    members = _members(kind)
    rest = tuple(member for member in members if member not in (None, NoneType))
    return Union[rest] if rest and len(rest) < len(members) else kind  # noqa: UP007


def _kind_schema(kind: Any, members: tuple[Any, ...], mode: Mode, models: Models) -> Schema:
    if type(kind) is type and kind in _SCALARS:  # PERF: most of all types
        return dict(_SCALARS[kind])
    origin = typing.get_origin(kind) or kind
    if members:
        return _union(members, mode, models)
    if origin is Literal:
        return _literal(typing.get_args(kind))
    if hasattr(origin, "__value__"):  # made by a ``type`` statement
        return models.component(kind, mode)
    if not isinstance(origin, type):
        return {"type": "null"} if kind is None else {}
    if is_pydantic(origin):
        return models.foreign(kind, mode)
    if issubclass(origin, Enum) or class_of(kind) is not None:
        return models.component(kind, mode)
    return _class_schema(cast("type[Any]", origin), typing.get_args(kind), mode, models)


def _class_schema(cls: type, args: tuple[Any, ...], mode: Mode, models: Models) -> Schema:
    if cls is decimal.Decimal:
        text: Schema = {"type": "string"}
        return text if mode == "serialization" else {"anyOf": [{"type": "number"}, text]}
    if cls is tuple:
        return _tuple(args, mode, models)
    if cls in _ARRAYS:
        item = type_schema(args[0], mode, models) if args else {}
        unique: Schema = {"uniqueItems": True} if cls in _SETS else {}
        return {"type": "array", **unique, "items": item}
    if cls in MAPPINGS:
        return _mapping(args, mode, models)
    for base in cls.__mro__:
        if base in _SCALARS:
            return dict(_SCALARS[base])
    return {}


def _tuple(args: tuple[Any, ...], mode: Mode, models: Models) -> Schema:
    if not args or (len(args) == 2 and args[1] is ...):
        return {"type": "array", "items": type_schema(args[0], mode, models) if args else {}}
    items = [] if args == ((),) else [type_schema(one, mode, models) for one in args]
    count = len(items)
    return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}


def _mapping(args: tuple[Any, ...], mode: Mode, models: Models) -> Schema:
    key, value = args if len(args) == 2 else (str, Any)
    values = type_schema(value, mode, models)
    keys = type_schema(key, mode, models)
    schema: Schema = {"type": "object"}
    pattern = keys.pop("pattern", None)
    if pattern is not None:
        schema["patternProperties"] = {pattern: values}
    else:
        schema["additionalProperties"] = values or True
    if keys.get("type") == "string":
        del keys["type"]  # every name is a text
    elif "$ref" not in keys:
        return schema
    if keys:
        schema["propertyNames"] = keys
    return schema


def _literal(values: Sequence[Any]) -> Schema:
    plain = [as_json(value) for value in values]
    schema: Schema = {"const": plain[0]} if len(plain) == 1 else {"enum": plain}
    return {**schema, **_common_type(plain)}


def _common_type(values: Sequence[Any]) -> Schema:
    """The type that all of some values of JSON have, if it is one."""
    if list(values) == [None]:
        return {"type": "null"}
    names = {_NAMES.get(kind) for kind in map(type, values)}
    name = names.pop() if len(names) == 1 else None
    return {} if name is None else {"type": name}


# -- unions ----------------------------------------------------------------------------------------


def _union(members: tuple[Any, ...], mode: Mode, models: Models) -> Schema:
    rest = tuple(member for member in members if member not in (None, NoneType))
    null: list[Schema] = [{"type": "null"}] if len(rest) < len(members) else []
    found = [type_schema(member, mode, models) for member in rest]
    tags = [_tag(member) for member in rest]
    if len(rest) > 1 and all(tag is not None for tag in tags):
        found = [_tagged(found, cast("list[tuple[str, str | int]]", tags), models)]
    return _either([*found, *null])


def _either(schemas: Sequence[Schema]) -> Schema:
    """A schema that is any of these; each is named once, and none is a choice by itself."""
    flat: list[Schema] = []
    for schema in schemas:
        choices: list[Schema] = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
        flat += [choice for choice in choices if choice not in flat or "$ref" in choice]
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _tag(kind: Any) -> tuple[str, str | int] | None:
    cls = unwrapped(kind)[0]
    cls = typing.get_origin(cls) or cls
    if not isinstance(cls, type) or not issubclass(cls, msgspec.Struct):
        return None
    config = cls.__struct_config__
    return None if config.array_like or config.tag is None else (str(config.tag_field), config.tag)


def _tagged(schemas: list[Schema], tags: list[tuple[str, str | int]], models: Models) -> Schema:
    """The union of Structs that a field tells apart."""
    mapping: dict[str, str] = {}

    def write() -> None:
        for (_, tag), schema in zip(tags, schemas, strict=True):
            mapping[str(tag)] = schema["$ref"]

    models.later(write)
    return {"oneOf": schemas, "discriminator": {"propertyName": tags[0][0], "mapping": mapping}}


# -- what is referred to ---------------------------------------------------------------------------


def component_schema(kind: Any, mode: Mode, models: Models) -> Schema:
    """The schema of what has a name: an enum, a class with fields, a ``type`` statement."""
    origin = typing.get_origin(kind) or kind
    if hasattr(origin, "__value__"):
        return type_schema(_alias_value(kind), mode, models)
    if issubclass(origin, Enum):
        return _enum(origin)
    outline = outline_of(kind)
    if outline.is_array:
        return _array(outline, mode, models)
    return _object(kind, outline, mode, models)


def _alias_value(kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is None:
        return kind.__value__
    value = origin.__value__
    return value[typing.get_args(kind)] if getattr(value, "__parameters__", ()) else value


def _enum(cls: type[Enum]) -> Schema:
    values = [as_json(member) for member in cls]
    schema: Schema = {"title": cls.__name__, "enum": values, **_common_type(values)}
    if issubclass(cls, str | int):
        schema["type"] = "string" if issubclass(cls, str) else "integer"
    return _with_docstring(schema, cls)


def _with_docstring(schema: Schema, cls: type) -> Schema:
    text = cls.__dict__.get("__doc__")
    generated = f"{cls.__name__}("  # what dataclasses write
    if text and not text.startswith(generated) and text != "An enumeration.":
        schema["description"] = inspect.cleandoc(text).split("\f")[0]
    return schema


def _object(kind: Any, outline: Outline, mode: Mode, models: Models) -> Schema:
    cls = outline.cls
    properties: dict[str, Schema] = {}
    required: list[str] = []
    if outline.tag is not None:
        key, value = outline.tag
        properties[key] = {"title": title_of(key), **_literal([value])}
        required.append(key)
    for field in outline.fields:
        properties[field.key] = _property(field, outline, mode, models)
        if _is_required(field, cls):
            required.append(field.key)
    schema: Schema = {"title": title_of_class(kind), "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if _forbids_more(cls):
        schema["additionalProperties"] = False
    return _with_docstring(schema, cls)


def _forbids_more(cls: Any) -> bool:
    config = getattr(cls, "__struct_config__", None)
    return config is not None and config.forbid_unknown_fields


def _is_required(field: Field, cls: Any) -> bool:
    keys: Any = getattr(cls, "__required_keys__", None)
    if keys is not None:
        return field.name in keys
    defaults: Any = getattr(cls, "_field_defaults", {})
    return (
        field.default is MISSING and field.default_factory is MISSING and field.name not in defaults
    )


def _property(field: Field, outline: Outline, mode: Mode, models: Models) -> Schema:
    schema = type_schema(_set_type(field.annotation), mode, models)
    if outline.cls.__dict__.get("_field_defaults", {}).get(field.name, MISSING) is not MISSING:
        schema["default"] = as_json(outline.cls._field_defaults[field.name])
    elif field.default not in (MISSING, msgspec.UNSET):
        schema["default"] = as_json(field.default)
    elif outline.kind == "struct" and field.default_factory in (list, dict, set, frozenset):
        # A literal [] or {} as a default, which msgspec makes anew for each.
        schema["default"] = as_json(cast("Callable[[], Any]", field.default_factory)())
    add_title(schema, field.key)
    return schema


def _set_type(annotation: Any) -> Any:
    """A type without msgspec's sign for a field that is absent."""
    members = _members(annotation)
    rest = tuple(member for member in members if member is not msgspec.UnsetType)
    return Union[rest] if rest and len(rest) < len(members) else annotation  # noqa: UP007


def _array(outline: Outline, mode: Mode, models: Models) -> Schema:
    """A named tuple, or a Struct that is written as an array."""
    items: list[Schema] = []
    least = 0
    if outline.tag is not None:
        items.append(_literal([outline.tag[1]]))
        least = 1
    for field in outline.fields:
        items.append(_property(field, outline, mode, models))
        if _is_required(field, outline.cls):
            least = len(items)
    return {"type": "array", "prefixItems": items, "minItems": least, "maxItems": len(items)}


# -- titles ----------------------------------------------------------------------------------------


def title_of(name: str) -> str:
    """What a name is called where nobody says: ``item_id`` is "Item Id"."""
    return name.replace("_", " ").title().strip()


def add_title(schema: Schema, name: str) -> None:
    """Give a property the title of its name, unless it has one or refers to what has one."""
    if "title" in schema or "$ref" in schema:
        return
    choices: list[Schema] = schema.get("anyOf", [])
    if len(choices) == 2 and "$ref" in choices[0] and choices[1] == {"type": "null"}:
        return
    schema["title"] = title_of(name)


def title_of_class(kind: Any) -> str:
    """The name of a class, with the types that it is made for."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return title_of_class(args[0])
    if origin is None or not args:
        return str(getattr(kind, "__name__", kind))
    name = "Union" if origin is UnionType else getattr(origin, "__name__", str(origin))
    return f"{name}[{', '.join(title_of_class(one) for one in args)}]"
