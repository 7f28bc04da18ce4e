"""``jsonable_encoder``: any value as one that JSON can say.

Floor 5. Name, keywords and results as FastAPI 0.165. What knows its own JSON, as models of pydantic
and of msgspec do, is asked for it; pydantic is never imported here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
import ipaddress
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import Path, PurePath
from re import Pattern
from types import GeneratorType
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from lamella.injection._invalid import Invalid
from lamella.injection.projection import projector
from lamella.injection.selection import IncEx, ResponseOptions, as_pydantic_takes

__all__ = [
    "ENCODERS_BY_TYPE",
    "decimal_encoder",
    "foreign",
    "isoformat",
    "jsonable",
    "jsonable_encoder",
]

_NATIVE: Final = frozenset((str, int, float, bool, type(None)))


class _Rules(NamedTuple):
    """What holds at every depth of a value."""

    by_alias: bool = True
    exclude_unset: bool = False
    exclude_defaults: bool = False
    exclude_none: bool = False
    custom: Mapping[Any, Callable[[Any], Any]] = {}
    sqlalchemy_safe: bool = True


_NO_RULES: Final = _Rules()
_Way = Callable[[Any, _Rules, "IncEx | None", "IncEx | None"], Any]


def jsonable_encoder(
    obj: Any,
    include: IncEx | None = None,
    exclude: IncEx | None = None,
    by_alias: bool = True,
    exclude_unset: bool = False,
    exclude_defaults: bool = False,
    exclude_none: bool = False,
    custom_encoder: Mapping[Any, Callable[[Any], Any]] | None = None,
    sqlalchemy_safe: bool = True,
) -> Any:
    """Turn a value into dicts, lists, texts, numbers, booleans and None.

    Args:
        obj: the value.
        include: the fields of a model, or keys of a dict, that are kept; all others go.
        exclude: those that go.
        by_alias: whether fields are under their alias rather than their own name.
        exclude_unset: whether fields that nobody set go. Which those are pydantic's models know; of
            a Struct, a field that has its default counts as one.
        exclude_defaults: whether fields that equal their default go.
        exclude_none: whether fields and items of dicts that are None go.
        custom_encoder: what turns a value of a type into another, by type; before all else, but
            not within models, which know their own.
        sqlalchemy_safe: whether the keys that begin with ``_sa`` go, under which SQLAlchemy keeps
            its own things.

    Raises:
        ValueError: a value that is neither one of those nor can be taken apart, or one that holds
            itself.

    Source: as FastAPI 0.165; beyond it, Structs, attrs classes with slots, and a custom encoder
    within dataclasses.
    """
    rules = _Rules(
        by_alias,
        exclude_unset,
        exclude_defaults,
        exclude_none,
        custom_encoder or {},
        sqlalchemy_safe,
    )
    try:
        return _encoded(obj, rules, as_pydantic_takes(include), as_pydantic_takes(exclude))
    except RecursionError as exc:
        raise ValueError(
            f"Expected a value that JSON can hold, got one of type {type(obj).__name__} that holds"
            " itself, or is nested too deep; leave out the way back with exclude=, or return a"
            " model."
        ) from exc


def jsonable(obj: Any) -> Any:
    """``jsonable_encoder`` without any option."""
    return jsonable_encoder(obj) if type(obj) not in _NATIVE else obj


def decimal_encoder(dec_value: Decimal) -> int | float:
    """A whole number as int, if it is written without decimals; else as float."""
    exponent = dec_value.as_tuple().exponent
    whole = isinstance(exponent, int) and exponent >= 0
    return int(dec_value) if whole else float(dec_value)


def isoformat(o: dt.date | dt.time) -> str:
    """A date or a time as text (ISO 8601)."""
    return o.isoformat()


def _value_of(obj: Any) -> Any:
    return obj.value


ENCODERS_BY_TYPE: dict[type[Any], Callable[[Any], Any]] = {
    bytes: bytes.decode,
    dt.date: isoformat,
    dt.datetime: isoformat,
    dt.time: isoformat,
    dt.timedelta: dt.timedelta.total_seconds,
    Decimal: decimal_encoder,
    Enum: _value_of,
    frozenset: list,
    deque: list,
    GeneratorType: list,
    ipaddress.IPv4Address: str,
    ipaddress.IPv4Interface: str,
    ipaddress.IPv4Network: str,
    ipaddress.IPv6Address: str,
    ipaddress.IPv6Interface: str,
    ipaddress.IPv6Network: str,
    Path: str,
    Pattern: lambda o: o.pattern,
    set: list,
    UUID: str,
}
"""What makes JSON of a value that is no collection and no model, by type."""

_EXACTLY: Final[dict[type[Any], Callable[[Any], Any]]] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
}
# By name, since whoever has a value of one has imported it already.
_AS_TEXT: Final = frozenset(
    (
        "pydantic.color.Color",
        "pydantic_extra_types.color.Color",
        "pydantic.networks.NameEmail",
        "pydantic.types.SecretStr",
        "pydantic.types.SecretBytes",
        "pydantic.networks.AnyUrl",
        "pydantic.networks._BaseUrl",
        "pydantic.networks._BaseMultiHostUrl",
        "pydantic_core._pydantic_core.Url",
        "pydantic_core._pydantic_core.MultiHostUrl",
    )
)
_PYDANTIC_MODEL: Final = "pydantic.main.BaseModel"
_PYDANTIC_UNDEFINED: Final = "pydantic_core._pydantic_core.PydanticUndefinedType"


def _encoded(
    obj: Any, rules: _Rules, include: IncEx | None = None, exclude: IncEx | None = None
) -> Any:
    if rules.custom:
        encoder = _custom_encoder(obj, rules.custom)
        if encoder is not None:
            return encoder(obj)
    return obj if type(obj) in _NATIVE else _way(type(obj))(obj, rules, include, exclude)


def _custom_encoder(
    obj: Any, custom: Mapping[Any, Callable[[Any], Any]]
) -> Callable[[Any], Any] | None:
    exact = custom.get(type(obj))
    if exact is not None:
        return exact
    return next((encoder for cls, encoder in custom.items() if isinstance(obj, cls)), None)


def _find_way(cls: type[Any]) -> _Way:
    """How values of a class are encoded. The order is FastAPI's: a str that is an Enum is one."""
    names = {f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__}
    if _PYDANTIC_MODEL in names:
        return _pydantic_model
    if dataclasses.is_dataclass(cls):
        return _dataclass
    if issubclass(cls, msgspec.Struct):
        return _struct
    if issubclass(cls, Enum):
        return _leaf_way(_value_of)
    if issubclass(cls, PurePath):
        return _leaf_way(str)
    if issubclass(cls, (str, int, float)):
        return _leaf_way(_itself)
    if _PYDANTIC_UNDEFINED in names:
        return _leaf_way(_nothing)
    if issubclass(cls, dict):
        return _mapping
    if issubclass(cls, (list, set, frozenset, GeneratorType, tuple, deque)):
        return _sequence
    return _way_of_leaf(cls, names)


_way: Final[Callable[..., _Way]] = lru_cache(maxsize=1024)(_find_way)


def _way_of_leaf(cls: type[Any], names: set[str]) -> _Way:
    encoder = ENCODERS_BY_TYPE.get(cls)
    if encoder is None:
        known = (way for base, way in ENCODERS_BY_TYPE.items() if issubclass(cls, base))
        encoder = next(known, str if names & _AS_TEXT else None)
    if encoder is None:
        return _by_parts
    return _leaf_way(encoder)


def _leaf_way(encoder: Callable[[Any], Any]) -> _Way:
    """What encodes a value that has no parts to be left out."""

    def encode_leaf(obj: Any, rules: _Rules, include: IncEx | None, exclude: IncEx | None) -> Any:
        return encoder(obj)

    return encode_leaf


def _itself(obj: Any) -> Any:
    return obj


def _nothing(_: Any) -> None:
    return None


def _mapping(
    obj: Mapping[Any, Any], rules: _Rules, include: IncEx | None, exclude: IncEx | None
) -> dict[Any, Any]:
    safe, keeps_none, custom = rules.sqlalchemy_safe, not rules.exclude_none, rules.custom
    found: dict[Any, Any] = {}
    for key, value in obj.items():
        if include is not None and key not in include:
            continue
        if exclude is not None and key in exclude:
            continue
        if value is None and not keeps_none:
            continue
        if safe and isinstance(key, str) and key.startswith("_sa"):
            continue
        name = _encoded(key, rules) if custom or type(key) is not str else key
        found[name] = value if type(value) in _NATIVE and not custom else _encoded(value, rules)
    return found


def _sequence(
    obj: Iterable[Any], rules: _Rules, include: IncEx | None, exclude: IncEx | None
) -> list[Any]:
    if rules.custom:
        return [_encoded(item, rules, include, exclude) for item in obj]
    return [
        item if type(item) in _NATIVE else _way(type(item))(item, rules, include, exclude)  # pyright: ignore[reportUnknownArgumentType]
        for item in obj
    ]


def _pydantic_model(obj: Any, rules: _Rules, include: IncEx | None, exclude: IncEx | None) -> Any:
    dumped = obj.model_dump(
        mode="json",
        include=include,
        exclude=exclude,
        by_alias=rules.by_alias,
        exclude_unset=rules.exclude_unset,
        exclude_none=rules.exclude_none,
        exclude_defaults=rules.exclude_defaults,
    )
    within = _Rules(exclude_none=rules.exclude_none, sqlalchemy_safe=rules.sqlalchemy_safe)
    return _encoded(dumped, within)


def _dataclass(
    obj: Any, rules: _Rules, include: IncEx | None, exclude: IncEx | None
) -> dict[Any, Any]:
    fields = {field.name: getattr(obj, field.name) for field in dataclasses.fields(obj)}
    return _mapping(fields, rules, include, exclude)


def _struct(obj: Any, rules: _Rules, include: IncEx | None, exclude: IncEx | None) -> Any:
    options = ResponseOptions(include, exclude, *rules[:4])
    if include is None and exclude is None:
        project = _struct_projector(type(obj), options)
    else:
        project = projector(type(obj), options)
    try:
        shown = project(obj)
    except Invalid as exc:
        raise ValueError(
            f"Expected the fields of {type(obj).__name__} to be what it declares, got {exc.errors}."
        ) from exc
    return msgspec.to_builtins(shown, str_keys=True, enc_hook=foreign)


_struct_projector: Final[Callable[..., Callable[[Any], Any]]] = lru_cache(maxsize=512)(projector)


def foreign(obj: Any) -> Any:
    """What msgspec may write in place of a value that it does not know; a hook for its encoders.

    Raises:
        ValueError: a value that JSON cannot hold.
    """
    for kind in (str, int, float):  # msgspec writes these themselves, but none of their subclasses
        if isinstance(obj, kind) and not isinstance(obj, Enum):
            return _EXACTLY[kind](obj)
    return jsonable_encoder(obj)


def _by_parts(obj: Any, rules: _Rules, include: IncEx | None, exclude: IncEx | None) -> Any:
    """What no other way is known for: as a mapping, as pairs, or as the object's attributes.

    Or as what it says that it is: proxies, and the UUIDs of asyncpg, say that of another class.
    """
    way = _by_parts if obj.__class__ is type(obj) else _way(obj.__class__)
    if way is not _by_parts:
        return way(obj, rules, include, exclude)
    return _mapping(_parts(obj), rules, include, exclude)


def _parts(obj: Any) -> dict[Any, Any]:
    try:
        return dict(obj)
    except Exception as exc:  # what an `__iter__` of anybody's raises
        first = exc
    with suppress(Exception):  # what a `__dict__` of anybody's raises
        return dict(vars(obj))  # pyright: ignore[reportUnknownArgumentType]
    fields: Any = getattr(obj, "__attrs_attrs__", None)
    if fields is not None:
        return {field.name: getattr(obj, field.name) for field in fields}
    raise ValueError(
        f"Expected a value that JSON can hold, or an object with attributes, got"
        f" {type(obj).__name__}: {obj!r:.100}{_advice(obj)}"
    ) from first


def _advice(obj: Any) -> str:
    if inspect.isawaitable(obj):
        return "; is an await missing?"
    return "; is it for an endpoint that yields?" if hasattr(obj, "__aiter__") else ""
