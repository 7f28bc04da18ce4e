"""Dicts and lists of JSON: what becomes of values there, and how two are laid over each other.

Floor 7. Knows JSON alone, nothing of OpenAPI.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypeGuard, cast

import msgspec

from lamella.encoders import jsonable_encoder

__all__ = ["as_json", "merge", "without_none"]


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Lay a mapping over a dict, in place: dicts are merged, lists joined, else above wins.

    Args:
        below: is changed.
        above: is not.
    """
    for key, value in above.items():
        old = below.get(key)
        if _is_dict(old) and isinstance(value, Mapping):
            merge(old, cast("Mapping[str, Any]", value))
        elif _is_list(old) and _is_list(value):
            below[key] = [*old, *value]
        else:
            below[key] = value


def _is_dict(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def without_none(value: Any) -> Any:
    """A copy as JSON has it, without the members of objects that are None.

    The null of a list is kept. Source: as FastAPI 0.165, which writes no null member anywhere.
    """
    if type(value) is str:  # PERF: most of a document
        return value
    if _is_dict(value):
        return {
            key if type(key) is str else str(jsonable_encoder(key)): without_none(item)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list | tuple):
        return [without_none(item) for item in cast("Iterable[Any]", value)]
    if type(value) in (bool, int, float):
        return value
    return jsonable_encoder(value, exclude_none=True)


def as_json(value: Any) -> Any:
    """A value as JSON has it: of an enum its value, of a date its text, of bytes their UTF-8.

    JSON has no infinity: that is None.

    Raises:
        TypeError: JSON has nothing like it.
    """
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return as_json(value.value)
    if _is_dict(value):
        return {str(as_json(key)): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in cast("Iterable[Any]", value)]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dt.timedelta):
        return _duration(value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(mode="json", by_alias=True)
    return msgspec.to_builtins(value, str_keys=True, enc_hook=str)


def _duration(value: dt.timedelta) -> str:
    """In ISO 8601, with days, hours, minutes and seconds, as pydantic writes it."""
    sign, value = ("-", -value) if value.days < 0 else ("", value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{value.days}D" if value.days else ""
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    parts = [(hours, "H"), (minutes, "M")]
    time = "".join(f"{count}{unit}" for count, unit in parts if count)
    if seconds or fraction:
        time += f"{seconds}{fraction}S"
    if not days and not time:
        return "PT0S"
    return f"{sign}P{days}{'T' if time else ''}{time}"
