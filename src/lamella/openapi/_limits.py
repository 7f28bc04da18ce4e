"""What ``Annotated`` and ``params`` say of a type besides the type, in JSON Schema.

Floor 7. ``Annotated`` may hold ``params``, ``msgspec.Meta`` or ``annotated_types``: they all name
their constraints alike. Source: as pydantic 2.14 writes them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from lamella.openapi._merge import as_json

if TYPE_CHECKING:
    from lamella.openapi.document import Schema

__all__ = ["LIMITS", "describe", "limit", "limits_of", "said"]

LIMITS: Final = (
    "gt",
    "ge",
    "lt",
    "le",
    "multiple_of",
    "min_length",
    "max_length",
    "pattern",
)
"""The constraints that JSON Schema has."""

_OF_NUMBERS: Final = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "multiple_of": "multipleOf",
}
_OF_TEXT: Final = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
_KEYWORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "number": _OF_NUMBERS,
    "integer": _OF_NUMBERS,
    "string": _OF_TEXT,
    "array": {"min_length": "minItems", "max_length": "maxItems"},
    "object": {"min_length": "minProperties", "max_length": "maxProperties"},
}
_ELSEWHERE: Final = {"min_length": "minLength", "max_length": "maxLength"}
_TIMES: Final = (dt.date, dt.time, dt.timedelta)


def limits_of(item: Any) -> dict[str, Any]:
    """The constraints that something in ``Annotated``, or a parameter, names."""
    found = {name: getattr(item, name, None) for name in LIMITS}
    return {
        name: value for name, value in found.items() if value is not None and not callable(value)
    }


def limit(kind: Any, schema: Schema, limits: Mapping[str, Any]) -> None:
    """Write constraints into the schema of a type, in place.

    One that the type does not have is written under its own name, as pydantic does.

    Args:
        kind: the type, not a union with None.
        schema: of that type.
        limits: the constraints.
    """
    if isinstance(kind, type) and issubclass(kind, _TIMES):
        return  # JSON Schema compares numbers alone
    if isinstance(kind, type) and issubclass(kind, Decimal):
        _limit_decimal(schema, limits)
        return
    keywords = _KEYWORDS.get(schema.get("type", ""), {})
    for name, value in limits.items():
        key = keywords.get(name) or _ELSEWHERE.get(name, name)
        schema[key] = getattr(value, "pattern", None) or as_json(value)


def _limit_decimal(schema: Schema, limits: Mapping[str, Any]) -> None:
    """It is a number or a text; of the text nothing can be said."""
    for member in cast("list[Schema]", schema.get("anyOf", [])):
        if member.get("type") == "number":
            for name in limits.keys() & _OF_NUMBERS.keys():
                member[_OF_NUMBERS[name]] = float(limits[name])


def describe(schema: Schema, item: Any) -> None:
    """Write title, description, examples and the like into a schema, in place.

    Args:
        schema: is changed.
        item: a parameter, ``msgspec.Meta`` or the like.
    """
    for name in ("title", "description", "examples"):
        value = getattr(item, name, None)
        if value is not None and not callable(value) and (value or name != "title"):
            schema[name] = as_json(value)
    deprecated = getattr(item, "deprecated", None)
    if deprecated:
        schema["deprecated"] = True
    elif deprecated is False:
        schema.pop("deprecated", None)
    for name in ("json_schema_extra", "extra_json_schema"):
        extra: Mapping[str, Any] | Callable[[Schema], None] | None = getattr(item, name, None)
        if callable(extra):
            extra(schema)
        elif extra:
            schema.update(cast("dict[str, Any]", as_json(extra)))


def said(name: str, info: Any, metadata: Sequence[Any]) -> Any:
    """What a parameter says under a name; if it says nothing, what stands before it in Annotated.

    Args:
        name: "title", "description" or "deprecated".
        info: the parameter.
        metadata: what ``Annotated`` holds.
    """
    for item in (info, *reversed(metadata)):
        value = getattr(item, name, None)
        if value is not None and not callable(value):
            return value
    return None
