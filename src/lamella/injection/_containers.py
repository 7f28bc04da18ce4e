"""Arrays, mappings and unions: values that are made of others.

Floor 5, on ``_invalid``. Each decoder tells the errors of all its parts, up to ``MOST_ERRORS``,
with their places; the words are those of pydantic 2.14.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeGuard

from lamella.injection._invalid import MOST_ERRORS, Invalid, invalid, placed
from lamella.injection._mode import EXACT, LAX, STRICT, Decode

__all__ = [
    "ARRAY_CLASSES",
    "Member",
    "array_decoder",
    "is_list",
    "is_mapping",
    "mapping_decoder",
    "optional_decoder",
    "tagged_decoder",
    "tuple_decoder",
    "union_decoder",
]

SEVERAL: Final = (list, tuple, set, frozenset, collections.deque)
ARRAY_CLASSES: Final[Mapping[str, tuple[Any, str, str]]] = {
    "list": (list, "list_type", "list"),
    "tuple": (tuple, "tuple_type", "tuple"),
    "set": (set, "set_type", "set"),
    "frozenset": (frozenset, "frozen_set_type", "frozenset"),
    "deque": (collections.deque, "deque_type", "deque"),
}
MOST_OF_MEMBER: Final = 50
"""How many errors are told of a value as one member of a union: those of unions in it multiply."""
NO_MODEL: Final = "Input should be a valid dictionary or object to extract fields from"


def is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether a value is what an object of JSON is parsed to, or like it."""
    return isinstance(value, Mapping)


def is_list(value: Any) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Tell whether a value is what an array of JSON is parsed to, or a tuple."""
    return isinstance(value, list | tuple)


class Member(NamedTuple):
    """A type that is one of a union.

    Attributes:
        decode: its decoder.
        label: its name in the place of an error.
        keys: of a model, those of its fields: of several models that a value fits, the one with
            the most is meant.
        nests: whether it may hold others of its union.
    """

    decode: Decode
    label: str
    keys: frozenset[str] = frozenset()
    nests: bool = False


def array_decoder(kind: str, item: Decode) -> Decode:
    """Make the decoder of an array whose items are all of one type.

    Args:
        kind: a key of ``ARRAY_CLASSES``.
        item: the decoder of the items.
    """
    cls, type_, name = ARRAY_CLASSES[kind]
    msg = f"Input should be a valid {name}"
    hashed = kind in ("set", "frozenset")

    def decode_array(value: Any, mode: int = LAX) -> Any:
        if value.__class__ is not cls and (mode == EXACT and value.__class__ is not list):
            raise invalid(type_, msg, value)
        if not isinstance(value, SEVERAL):
            raise invalid(type_, msg, value)
        items = decode_items(value, item, mode)
        if hashed:
            check_hashable(items)
        return items if kind == "list" else cls(items)  # pyright: ignore[reportUnknownVariableType]

    return decode_array


def decode_items(values: Any, item: Decode, mode: int) -> list[Any]:
    """Decode each item; the errors of all are told."""
    items: list[Any] = []
    errors: list[dict[str, Any]] = []
    for at, value in enumerate(values):
        try:
            items.append(item(value, mode))
        except Invalid as exc:
            errors += placed(exc.errors, at)
            if len(errors) >= MOST_ERRORS:
                break
    if errors:
        raise Invalid(errors[:MOST_ERRORS])
    return items


def check_hashable(items: list[Any]) -> None:
    """Refuse the first item that no set can hold."""
    for at, one in enumerate(items):
        try:
            hash(one)
        except TypeError:
            msg = "Set items should be hashable"
            raise invalid("set_item_not_hashable", msg, one, loc=(at,)) from None


def tuple_decoder(items: Sequence[Decode]) -> Decode:
    """Make the decoder of a tuple that has a type for each of its items.

    Args:
        items: their decoders.
    """
    count = len(items)

    def decode_tuple(value: Any, mode: int = LAX) -> tuple[Any, ...]:
        if not isinstance(value, SEVERAL):
            raise invalid("tuple_type", "Input should be a valid tuple", value)
        given = as_list(value)
        if len(given) > count:
            raise too_many("Tuple", count, given, value)
        decoded: list[Any] = []
        errors: list[dict[str, Any]] = []
        for at, item in enumerate(items):
            try:
                if at >= len(given):
                    raise invalid("missing", "Field required", value)
                decoded.append(item(given[at], mode))
            except Invalid as exc:
                errors += placed(exc.errors, at)
        if errors:
            raise Invalid(errors[:MOST_ERRORS])
        return tuple(decoded)

    return decode_tuple


def as_list(value: Any) -> list[Any]:
    """Return the items of what is iterated."""
    return list(value)


def too_many(name: str, most: int, given: Sequence[Any], value: Any) -> Invalid:
    """Make the error for an array with more items than there are types for."""
    items = "item" if most == 1 else "items"
    msg = f"{name} should have at most {most} {items} after validation, not {len(given)}"
    ctx = {"field_type": name, "max_length": most, "actual_length": len(given)}
    return invalid("too_long", msg, value, ctx)


def mapping_decoder(key: Decode, item: Decode) -> Decode:
    """Make the decoder of a mapping.

    Args:
        key: the decoder of its keys, which are texts in JSON.
        item: the decoder of its values.
    """

    def decode_mapping(value: Any, mode: int = LAX) -> dict[Any, Any]:
        if not is_mapping(value):
            raise invalid("dict_type", "Input should be a valid dictionary", value)
        decoded: dict[Any, Any] = {}
        errors: list[dict[str, Any]] = []
        for name, one in value.items():
            before = len(errors)
            try:
                at = key(name, mode)
            except Invalid as exc:
                errors += placed(exc.errors, name, "[key]")
            try:
                inner = item(one, mode)
            except Invalid as exc:
                errors += placed(exc.errors, name)
            if len(errors) >= MOST_ERRORS:
                break
            if len(errors) == before:
                decoded[at] = inner  # pyright: ignore[reportPossiblyUnboundVariable]
        if errors:
            raise Invalid(errors[:MOST_ERRORS])
        return decoded

    return decode_mapping


def optional_decoder(decode: Decode) -> Decode:
    """Make the decoder of a type or None.

    Args:
        decode: the decoder of the type.
    """

    def decode_optional(value: Any, mode: int = LAX) -> Any:
        return None if value is None else decode(value, mode)

    return decode_optional


def union_decoder(choices: Sequence[Member]) -> Decode:
    """Make the decoder of a union: the member that a value belongs to most closely.

    Args:
        choices: its members. What is the very type of one is of that; then what is it without
            being read; then what can be read as it, the first of them, but of models the one that
            has the most of the value's keys.
    """

    def decode_union(value: Any, mode: int = LAX) -> Any:
        found: dict[int, list[dict[str, Any]]] = {}
        for level in (EXACT, STRICT, LAX):
            if level < mode:
                break
            found.clear()
            for at in in_order(choices, value):
                try:
                    return choices[at].decode(value, level)
                except Invalid as exc:
                    found[at] = exc.errors[:MOST_OF_MEMBER]
        errors = [error for at in sorted(found) for error in placed(found[at], choices[at].label)]
        raise Invalid(errors[:MOST_ERRORS])

    if sum(choice.nests for choice in choices) < 2:
        return decode_union
    return once(decode_union)


def in_order(choices: Sequence[Member], value: Any) -> Sequence[int]:
    """Return the members to try, models with the most keys of the value first."""
    if not is_mapping(value) or not any(choice.keys for choice in choices):
        return range(len(choices))
    return sorted(range(len(choices)), key=lambda at: -len(choices[at].keys & value.keys()))


def once(decode: Decode) -> Decode:
    """Make the decoder that looks at no part of a value twice.

    Where several members of a union hold the union again, each level of a deep value would be
    tried as each of them, hence its innermost part two to the power of its depth times.

    Args:
        decode: the decoder of the union.
    """
    around = threading.local()

    def decode_once(value: Any, mode: int = LAX) -> Any:
        known: dict[tuple[int, int], tuple[bool, Any]] | None = getattr(around, "known", None)
        if known is None:
            around.known = {}
            try:
                return decode(value, mode)
            finally:
                around.known = None
        # The outermost value holds all others, hence no two have the same id.
        key = (id(value), mode)
        if key not in known:
            try:
                known[key] = True, decode(value, mode)
            except Invalid as exc:
                known[key] = False, exc.errors
        fits, outcome = known[key]
        if fits:
            return outcome
        raise Invalid(outcome)

    return decode_once


def tagged_decoder(discriminator: str, choices: Mapping[Any, Decode]) -> Decode:
    """Make the decoder of a union whose members say which they are.

    Args:
        discriminator: the key that says it.
        choices: the decoder of the member for each tag.
    """
    expected = ", ".join(repr(str(tag)) if isinstance(tag, str) else str(tag) for tag in choices)
    name = repr(discriminator)

    def decode_tagged(value: Any, mode: int = LAX) -> Any:
        if not is_mapping(value):
            raise invalid("model_attributes_type", NO_MODEL, value)
        if discriminator not in value:
            msg = f"Unable to extract tag using discriminator {name}"
            raise invalid("union_tag_not_found", msg, value, {"discriminator": name})
        tag = value[discriminator]
        decode = choices.get(tag) if isinstance(tag, str | int) else None
        if decode is None:
            msg = (
                f"Input tag '{shortened(tag)}' found using {name} does not match any of the"
                f" expected tags: {expected}"
            )
            ctx = {"discriminator": name, "tag": shortened(tag), "expected_tags": expected}
            raise invalid("union_tag_invalid", msg, value, ctx)
        try:
            return decode(value, mode)
        except Invalid as exc:
            raise Invalid(placed(exc.errors, tag)) from None

    return decode_tagged


def shortened(tag: Any) -> str:
    """Say a tag that a client made up, of which an error shows a part."""
    said = tag if isinstance(tag, str) else repr(tag)
    return said if len(said) <= 200 else f"{said[:200]}..."
