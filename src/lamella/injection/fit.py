"""Whether a value that an endpoint returned fits its type, and what it becomes then.

Floor 5. As lax as FastAPI: texts are read as numbers, times and so on where these are declared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from lamella.injection._invalid import Invalid, invalid
from lamella.injection.adapted import pydantic_values
from lamella.injection.explain import decoder
from lamella.injection.outline import bare, is_pydantic

__all__ = ["converter", "fitting", "items_of", "known_to_msgspec", "text"]

_IN_JSON: Final = (str, int, float, bytes, type(None), list, tuple, set, frozenset, Mapping)
_PLACE: Final = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


def fitting(annotation: Any, *, strict: bool = False) -> Callable[[Any], Any]:
    """Compile what turns a value into one of a type.

    Args:
        annotation: the type; there is no class with fields in it.
        strict: whether the value must have the very type.

    Returns:
        A function of the value; it raises ``Invalid`` if the value does not fit.

    Raises:
        StackError: a type that nobody knows.
    """
    if bare(annotation) in (Any, object):
        return _any
    return converter(annotation, strict=strict)


def converter(annotation: Any, *, strict: bool = False) -> Callable[[Any], Any]:
    """Compile what converts with msgspec.

    Args:
        annotation: any type.
        strict: whether the value must have the very type.
    """
    decode = decoder(annotation)
    if not known_to_msgspec(annotation):
        return decode
    # PERF: msgspec reads a type anew at each call unless it is that of a field.
    around, convert = _around(annotation), msgspec.convert

    def fit(value: Any) -> Any:
        try:
            return convert(
                (value,), around, strict=strict, from_attributes=True, dec_hook=_foreign
            ).value
        except msgspec.ValidationError as exc:
            if strict:
                raise _misfit(str(exc), value) from None
            said = str(exc)
        if _is_lazy(value):
            return fit(list(value))
        if isinstance(value, _IN_JSON):
            return decode(value)
        raise _misfit(said, value)

    return fit


def _around(annotation: Any) -> Any:
    fields = [("value", annotation)]
    return msgspec.defstruct("_Around", fields, array_like=True, gc=False)


def known_to_msgspec(annotation: Any) -> bool:
    """Whether msgspec can make a value of a type."""
    try:
        msgspec.msgpack.Decoder(annotation)
    except (TypeError, NameError, NotImplementedError, RecursionError):
        return False
    return True


def items_of(value: Any) -> Iterable[Any]:
    """The items of a list, or of whatever else can be iterated and is no text and no object.

    Raises:
        Invalid: it is none.
    """
    if isinstance(value, (list, tuple, set, frozenset)) or _is_lazy(value):
        return cast("Iterable[Any]", value)
    raise invalid("list_type", "Input should be a valid list", value)


def text(value: Any) -> Any:
    """A value with the bytes in it as text, which is what they are in JSON to FastAPI.

    Raises:
        UnicodeDecodeError: bytes that are none.
    """
    parts: Any = value
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    if isinstance(value, Mapping):
        return {text(key): text(item) for key, item in parts.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [text(item) for item in parts]
    return value


def _any(value: Any) -> Any:
    return value


def _is_lazy(value: Any) -> bool:
    """Whether a value gives items without being a collection that msgspec knows."""
    known = (str, bytes, bytearray, memoryview, Mapping, list, tuple, set, frozenset)
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    return issubclass(kind, Iterable) and not issubclass(kind, known) and not is_pydantic(kind)


def _foreign(cls: Any, value: Any) -> Any:
    """Make a value of a type that msgspec itself does not know; the hook for its converter."""
    if isinstance(cls, type) and isinstance(value, cls):
        return value
    try:
        return _foreign_decoder(cls)(value)
    except Invalid as exc:
        raise ValueError(exc.errors[0]["msg"]) from None


def _make_foreign_decoder(cls: Any) -> Callable[[Any], Any]:
    return pydantic_values(cls) if is_pydantic(cls) else decoder(cls)


_foreign_decoder: Final[Callable[..., Callable[[Any], Any]]] = lru_cache(maxsize=512)(
    _make_foreign_decoder
)


def _misfit(said: str, value: Any) -> Invalid:
    """Say what msgspec says of an object that is no model and stands for one."""
    msg, _, place = said.partition(" - at `$[0]")
    loc: list[str | int] = []
    for name, index in _PLACE.findall(place):
        loc.append(name or (int(index) if index.isdigit() else "[...]"))
        value = _part(value, loc[-1])
    missing = re.fullmatch("Object missing required field `(.*)`", msg)
    if missing:
        return invalid("missing", "Field required", value, loc=(*loc, missing[1]))
    return invalid("value_error", msg, value, loc=tuple(loc))


def _part(value: Any, name: str | int) -> Any:
    """What stands under a name or an index of a value, as far as it can be told."""
    parts: Any = value
    if isinstance(value, Mapping):
        return parts.get(name)
    if isinstance(name, int):
        return parts[name] if isinstance(value, (list, tuple)) and name < len(parts) else None
    return getattr(value, name, None)
