"""Bounds, lengths and patterns: what a value must be besides being of its type.

Floor 5, on ``_invalid``. They are read from the parameter (``Query(gt=0)``), from
``annotated_types`` and from ``msgspec.Meta``; those in pydantic's own metadata are pydantic's to
check. Which is checked first, and the words, are those of pydantic 2.14.

A pattern is the developer's, never a client's. It is searched by ``re``, which backtracks, where
pydantic has a matcher that does not: a pattern with nested repetitions can be made slow by a long
text, so give ``max_length`` with it, which is checked first.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sized
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from lamella.exceptions import StackError
from lamella.injection._invalid import invalid
from lamella.injection._mode import LAX, STRICT, Decode
from lamella.injection.scalars import decode_decimal
from lamella.params import Param

__all__ = ["NONE", "Limits", "ends_at_newline", "gather", "limited", "words_of"]

Test = Callable[[Any, Any], None]
"""Takes the decoded value and what was given; raises ``Invalid``."""


class Limits(NamedTuple):
    """What is demanded of a value besides its type; see ``params.ParamOptions``."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | re.Pattern[str] | None = None
    strict: bool | None = None
    allow_inf_nan: bool | None = None
    max_digits: int | None = None
    decimal_places: int | None = None
    predicates: tuple[Any, ...] = ()


NONE: Final = Limits()
NAMES: Final = Limits._fields[:-1]

BOUNDS: Final = frozenset(("gt", "ge", "lt", "le"))
NUMBER: Final = BOUNDS | {"multiple_of"}
SIZE: Final = frozenset(("min_length", "max_length"))
POSSIBLE: Final[tuple[tuple[type, frozenset[str]], ...]] = (
    (Enum, NUMBER | SIZE),
    (bool, NUMBER),
    (int, NUMBER | {"allow_inf_nan"}),
    (float, NUMBER | {"allow_inf_nan"}),
    (Decimal, NUMBER | {"allow_inf_nan", "max_digits", "decimal_places"}),
    (str, BOUNDS | SIZE | {"pattern"}),
    (bytes, BOUNDS | SIZE),
    (datetime, BOUNDS),
    (date, BOUNDS),
    (time, BOUNDS),
    (timedelta, BOUNDS),
    (UUID, frozenset()),
)
"""What can be demanded of a type; of one that is not listed, everything that Python can compute."""

NAMES_OF_ARRAYS: Final[dict[Any, str]] = {
    list: "List",
    tuple: "Tuple",
    set: "Set",
    frozenset: "Frozenset",
    dict: "Dictionary",
}
FITS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    name: getattr(operator, name) for name in ("gt", "ge", "lt", "le")
}
WORDS: Final = {
    "gt": ("greater_than", "greater than"),
    "ge": ("greater_than_equal", "greater than or equal to"),
    "lt": ("less_than", "less than"),
    "le": ("less_than_equal", "less than or equal to"),
}


def gather(metadata: Iterable[Any], info: Param | None = None) -> Limits:
    """Read what the metadata of a type and its parameter demand.

    Args:
        metadata: what stands in ``Annotated[...]`` behind the type; the last word counts.
        info: the parameter, whose word counts more.
    """
    found: dict[str, Any] = {}
    predicates: list[Any] = []
    for one in (*metadata, *([info] if info is not None else ())):
        if not (is_demand(one) or isinstance(one, Param)):
            continue
        for name in NAMES:
            value = getattr(one, name, None)
            if value is not None and not (name == "min_length" and value == 0):
                found[name] = value
        if callable(getattr(one, "func", None)):
            predicates.append(one)
    if not found and not predicates:
        return NONE
    return Limits(**found, predicates=tuple(predicates))


def is_demand(one: Any) -> bool:
    """Tell whether something in ``Annotated[...]`` is of those who demand."""
    return isinstance(one, msgspec.Meta) or type(one).__module__ == "annotated_types"


def limited(decode: Decode, base: Any, limits: Limits) -> Decode:
    """Make the decoder that checks, besides.

    Args:
        decode: the decoder of the type.
        base: the type: a class, ``Any``, or None for a union.
        limits: what is demanded.

    Raises:
        StackError: nothing of that type could be compared, measured or matched like that.
    """
    if limits == NONE:
        return decode
    check_possible(base, limits)
    if base is Decimal and limits.allow_inf_nan:
        decode = decode_decimal
    tests = tuple(tests_of(base, limits))
    # What is inside of an array or an object has a type of its own, which says how strict it is.
    single = base is None or any(issubclass(base, cls) for cls, _ in POSSIBLE)
    least = STRICT if limits.strict and single else LAX
    first = sized_before(base, limits)

    def decode_limited(value: Any, mode: int = LAX) -> Any:
        if first is not None:
            first(value, value)
        decoded = decode(value, max(mode, least))
        for test in tests:
            test(decoded, value)
        return decoded

    return decode_limited


def check_possible(base: Any, limits: Limits) -> None:
    """Refuse what cannot be demanded of a type."""
    if not isinstance(base, type):
        return
    known = next((names for cls, names in POSSIBLE if issubclass(base, cls)), None)
    if base in NAMES_OF_ARRAYS:
        known = SIZE
    demanded = {name for name in NAMES if getattr(limits, name) is not None} - {"strict"}
    if known is not None and (wrong := sorted(demanded - known)):
        able = ", ".join(sorted(known)) or "nothing"
        raise StackError(
            f"Expected a type that {wrong[0]}= can be demanded of, got {base.__name__};"
            f" of that one it can be: {able}."
        )


def tests_of(base: Any, limits: Limits) -> Iterable[Test]:
    """Make the checks, in the order in which pydantic has them."""
    if limits.allow_inf_nan is False:
        yield test_finite
    if limits.max_digits is not None or limits.decimal_places is not None:
        yield digits_test(limits.max_digits, limits.decimal_places)
    if limits.multiple_of is not None:
        yield multiple_test(cast(base, limits.multiple_of))
    for name in ("le", "lt", "ge", "gt"):
        if (bound := getattr(limits, name)) is not None:
            yield bound_test(name, cast(base, bound))
    yield from size_tests(base, limits)
    if limits.pattern is not None:
        yield pattern_test(limits.pattern)
    for predicate in limits.predicates:
        yield predicate_test(predicate)


def cast(base: Any, bound: Any) -> Any:
    """Return a bound as the type that it bounds, as the figures of an error tell it."""
    if base is float and isinstance(bound, int | float):
        return float(bound)
    if base is Decimal and isinstance(bound, int | float):
        return Decimal(str(bound))
    if base is int and isinstance(bound, float) and bound.is_integer():
        return int(bound)
    return bound


# -- bounds --------------------------------------------------------------------------------------


def bound_test(name: str, bound: Any) -> Test:
    """Make the check of one bound; a value that compares with nothing, as NaN, is refused."""
    type_, words = WORDS[name]
    told = bound if isinstance(bound, int | float | Decimal | str) else in_words(bound)
    msg, ctx, limit = f"Input should be {words} {in_words(bound)}", {name: told}, comparable(bound)
    fits = FITS[name]
    convert = comparable if isinstance(bound, datetime | time) else None

    def test_bound(decoded: Any, given: Any) -> None:
        try:
            if fits(decoded if convert is None else convert(decoded), limit):
                return
        except TypeError:  # the member of a union of which this cannot be demanded
            return
        except ArithmeticError:  # a decimal that is NaN
            pass
        # Of a duration pydantic shows the value that it was read as.
        raise invalid(type_, msg, decoded if isinstance(decoded, timedelta) else given, dict(ctx))

    return test_bound


def comparable(value: Any) -> Any:
    """Return a moment that can be compared with any other: one without a zone counts as in UTC."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if isinstance(value, time):
        offset = value.utcoffset() or timedelta()
        since = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second)
        return since + timedelta(microseconds=value.microsecond) - offset
    return value


def in_words(bound: Any) -> str:
    """Say a bound: numbers without an exponent, moments as ISO 8601, durations in units."""
    if isinstance(bound, float) and math.isfinite(bound):
        return str(int(bound)) if bound.is_integer() else f"{Decimal(repr(bound)):f}"
    if isinstance(bound, datetime | date | time):
        return bound.isoformat().replace("+00:00", "Z")
    if isinstance(bound, timedelta):
        return duration_in_words(bound)
    return str(bound)


def duration_in_words(length: timedelta) -> str:
    """Say a duration: ``1 day and 2 hours``."""
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    counted = (
        (length.days, "day"),
        (hours, "hour"),
        (minutes, "minute"),
        (seconds, "second"),
        (length.microseconds, "microsecond"),
    )
    parts = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in counted if count]
    return " and ".join(parts) or "0 seconds"


def multiple_test(step: Any) -> Test:
    """Make the check that a number is a multiple, to nine digits of a float."""
    told = step if isinstance(step, int | float | Decimal) else str(step)
    msg, ctx = f"Input should be a multiple of {in_words(step)}", {"multiple_of": told}

    def test_multiple(decoded: Any, given: Any) -> None:
        if isinstance(decoded, int | float | Decimal) and not is_multiple(decoded, step):
            raise invalid("multiple_of", msg, given, dict(ctx))

    return test_multiple


def is_multiple(number: Any, step: Any) -> bool:
    """Tell whether a number is a multiple; NaN and infinity are let pass, as by pydantic."""
    if not math.isfinite(number):
        return True
    try:
        rest = number % step
    except ArithmeticError:  # more digits lie between them than a decimal has
        return False
    if not isinstance(number, float):
        return not rest
    near = abs(number) / 1e9
    return bool(abs(rest) <= near or abs(rest - step) <= near)


def test_finite(decoded: Any, given: Any) -> None:
    """Refuse NaN and infinity."""
    if isinstance(decoded, float | Decimal) and not math.isfinite(decoded):
        raise invalid("finite_number", "Input should be a finite number", given)


def digits_test(most: int | None, places: int | None) -> Test:
    """Make the check of how many digits a decimal has."""

    def test_digits(decoded: Any, given: Any) -> None:
        if not isinstance(decoded, Decimal) or not decoded.is_finite():
            return
        before, behind = digit_counts(decoded)
        if (most is not None and before + behind > most) or (places or 0) < behind:
            before, behind = digit_counts(decoded, trimmed=True)
        if most is not None and before + behind > most:
            refuse_digits("decimal_max_digits", "max_digits", most, given)
        if places is not None and behind > places:
            refuse_digits("decimal_max_places", "decimal_places", places, given)
        if most is not None and places is not None and before > most - places:
            refuse_digits("decimal_whole_digits", "whole_digits", most - places, given)

    return test_digits


def digit_counts(number: Decimal, *, trimmed: bool = False) -> tuple[int, int]:
    """Return the digits of a decimal before and behind the point; a leading zero is none.

    Args:
        number: it, finite.
        trimmed: whether zeros at the end are left out.
    """
    _, digits, exponent = number.as_tuple()
    size, exponent = len(digits), int(exponent)
    while trimmed and size > 1 and not digits[size - 1]:
        size, exponent = size - 1, exponent + 1
    if exponent >= 0:
        return size + exponent, 0
    return max(size + exponent, 0), -exponent


UNITS: Final = {
    "max_digits": ("digit", " in total"),
    "decimal_places": ("decimal place", ""),
    "whole_digits": ("digit", " before the decimal point"),
}


def refuse_digits(type: str, name: str, most: int, given: Any) -> None:
    """Say that a decimal has too many digits."""
    unit, where = UNITS[name]
    msg = f"Decimal input should have no more than {most} {unit}{'' if most == 1 else 's'}{where}"
    raise invalid(type, msg, given, {name: most})


# -- lengths -------------------------------------------------------------------------------------


def size_tests(base: Any, limits: Limits) -> Iterable[Test]:
    """Make the checks of the length."""
    least, most = limits.min_length, limits.max_length
    if base is str or base is bytes:
        kind = "string" if base is str else "bytes"
        if least is not None:
            yield short_test(kind, least)
        if most is not None:
            yield long_test(kind, most)
        return
    name = name_of(base)
    if least is not None:
        yield few_test(name, least)
    if most is not None:
        yield many_test(name, most, counted=base not in (set, frozenset, dict))


def name_of(base: Any) -> str:
    """Return the word for an array in an error."""
    return NAMES_OF_ARRAYS.get(base) or (
        "Deque" if base.__class__ is type and base.__name__ == "deque" else "Value"
    )


def in_units(kind: str, count: int) -> str:
    """Say a length: ``3 characters``, ``1 byte``."""
    unit = "character" if kind == "string" else "byte"
    return f"{count} {unit}{'' if count == 1 else 's'}"


def short_test(kind: str, least: int) -> Test:
    """Make the check that a text or bytes are not too short."""
    subject = "String" if kind == "string" else "Data"
    msg = f"{subject} should have at least {in_units(kind, least)}"

    def test_short(decoded: Any, given: Any) -> None:
        if len(decoded) < least:
            raise invalid(f"{kind}_too_short", msg, given, {"min_length": least})

    return test_short


def long_test(kind: str, most: int) -> Test:
    """Make the check that a text or bytes are not too long."""
    subject = "String" if kind == "string" else "Data"
    msg = f"{subject} should have at most {in_units(kind, most)}"

    def test_long(decoded: Any, given: Any) -> None:
        if len(decoded) > most:
            raise invalid(f"{kind}_too_long", msg, given, {"max_length": most})

    return test_long


def few_test(name: str, least: int) -> Test:
    """Make the check that there are not too few items."""

    def test_few(decoded: Any, given: Any) -> None:
        if isinstance(decoded, Sized) and len(decoded) < least:
            size = len(decoded)
            items = "item" if least == 1 else "items"
            msg = f"{name} should have at least {least} {items} after validation, not {size}"
            ctx = {"field_type": name, "min_length": least, "actual_length": size}
            raise invalid("too_short", msg, given, ctx)

    return test_few


def many_test(name: str, most: int, *, counted: bool) -> Test:
    """Make the check that there are not too many items."""

    def test_many(decoded: Any, given: Any) -> None:
        if isinstance(decoded, Sized) and len(decoded) > most:
            size = len(decoded) if counted else None
            items = "item" if most == 1 else "items"
            told = "more" if size is None else size
            msg = f"{name} should have at most {most} {items} after validation, not {told}"
            ctx = {"field_type": name, "max_length": most, "actual_length": size}
            raise invalid("too_long", msg, given, ctx)

    return test_many


def sized_before(base: Any, limits: Limits) -> Test | None:
    """Make the check of the items' number before any is looked at, where all of them count."""
    if limits.max_length is None or base in (set, frozenset, dict):
        return None
    name = name_of(base)
    if base not in NAMES_OF_ARRAYS and name != "Deque":
        return None
    test = many_test(name, limits.max_length, counted=True)

    def test_before(value: Any, given: Any) -> None:
        if isinstance(value, list | tuple):
            test(value, given)

    return test_before


# -- patterns and predicates ---------------------------------------------------------------------


def pattern_test(pattern: str | re.Pattern[str]) -> Test:
    """Make the check that a pattern is found in a text."""
    search = (compiled(pattern) if isinstance(pattern, str) else pattern).search
    words = words_of(pattern)
    msg, ctx = f"String should match pattern '{words}'", {"pattern": words}

    def test_pattern(decoded: Any, given: Any) -> None:
        if isinstance(decoded, str) and search(decoded) is None:
            raise invalid("string_pattern_mismatch", msg, given, dict(ctx))

    return test_pattern


def words_of(pattern: str | re.Pattern[str]) -> str:
    """Return a regular expression as it is written."""
    return pattern if isinstance(pattern, str) else pattern.pattern


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern so that ``$`` is the end of the text, not the newline before it.

    Raises:
        StackError: it is no regular expression.
    """
    try:
        return re.compile(pattern if not ends_at_newline(pattern) else whole_end(pattern))
    except re.error as exc:
        raise StackError(f"Expected a regular expression, got pattern={pattern!r}: {exc}.") from exc


def ends_at_newline(pattern: str) -> bool:
    """Tell whether a pattern has a ``$`` that ``re`` lets stand before a final newline.

    Args:
        pattern: a regular expression. One with flags in it is left as it is, since ``(?m)``
            means the newline.
    """
    return "$" in pattern and whole_end(pattern) != pattern and "(?m" not in pattern


def whole_end(pattern: str) -> str:
    r"""Return a pattern with ``\Z`` for each ``$`` that is neither escaped nor in a class."""
    pieces: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        piece = pattern[at : at + 2] if pattern[at] == "\\" else pattern[at]
        at += len(piece)
        first = pieces[-1:] == ["["] or pieces[-2:] == ["[", "^"]  # where "]" is a letter
        in_class = (in_class and (piece != "]" or first)) or piece == "["
        pieces.append(r"\Z" if piece == "$" and not in_class else piece)
    return "".join(pieces)


def predicate_test(predicate: Any) -> Test:
    """Make the check of an ``annotated_types.Predicate``."""
    func = predicate.func
    name = getattr(func, "__qualname__", None) or repr(func)
    msg = f"Predicate '{name.rpartition('<locals>.')[2]}' failed"

    def test_predicate(decoded: Any, given: Any) -> None:
        if not func(decoded):
            raise invalid("predicate_failed", msg, given)

    return test_predicate
