"""Single values: what a text, or a value of JSON, is as an int, a bool, a UUID and such.

Floor 5, on ``_times`` and ``_durations``. What is taken, and the words for what is not, are what
pydantic 2.14 has (``validate_python`` of a ``TypeAdapter``), of which nothing is imported here.
Every decoder is linear in the text. Each is called ``decode(value, mode)``, see ``_mode``, and
raises ``Invalid`` for what it does not take.
"""

from __future__ import annotations

import ipaddress
import math
import sys
from base64 import b64decode
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import NoneType
from typing import Any, Final
from uuid import UUID

from lamella.datastructures import UploadFile
from lamella.injection._durations import decode_timedelta
from lamella.injection._invalid import NOT_UNICODE, Invalid, invalid, unreadable
from lamella.injection._mode import EXACT, LAX, STRICT, Decode
from lamella.injection._times import decode_date, decode_datetime, decode_time

__all__ = [
    "DECODERS",
    "LABELS",
    "class_decoder",
    "decode_any",
    "decode_base64",
    "decode_bool",
    "decode_bytes",
    "decode_decimal",
    "decode_finite_decimal",
    "decode_float",
    "decode_int",
    "decode_none",
    "decode_str",
    "decode_upload",
    "decode_uuid",
    "enum_decoder",
    "identity",
    "label_of",
    "literal_decoder",
]

# What pydantic takes off both ends of a number: White_Space of Unicode, which, other than what
# str.strip() knows, does not hold the separators 1C to 1F.
SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
MOST_DIGITS: Final = 4300
TRUTH: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}
NO_INT: Final = "Input should be a valid integer, unable to parse string as an integer"
NO_FLOAT: Final = "Input should be a valid number, unable to parse string as a number"
NO_BOOL: Final = "Input should be a valid boolean, unable to interpret input"
HUGE: Final = "Unable to parse input string as an integer, exceeded maximum size"
NOT_FINITE: Final = "Input should be a finite number"
NO_DECIMAL: Final = "Decimal input should be an integer, float, string or Decimal object"


def identity(value: Any) -> Any:
    """Return the value: the decoder of a text that may be any text."""
    return value


def decode_any(value: Any, mode: int = LAX) -> Any:
    """Return the value, whatever it is.

    Raises:
        Invalid: the very type is asked for, and nothing is of the type ``Any``.
    """
    if mode == EXACT:
        raise invalid("any_type", "Input should be of one type", value)
    return value


def decode_none(value: Any, mode: int = LAX) -> None:
    """Return None, which no text stands for."""
    if value is not None:
        raise invalid("none_required", "Input should be None", value)


def decode_str(value: Any, mode: int = LAX) -> str:
    """Return a text; bytes are taken if they are UTF-8."""
    if isinstance(value, str):
        return value
    if mode == LAX and isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise invalid("string_unicode", NOT_UNICODE, value) from None
    raise invalid("string_type", "Input should be a valid string", value)


def decode_bytes(value: Any, mode: int = LAX) -> bytes:
    """Return bytes; a text is taken as its UTF-8."""
    if isinstance(value, bytes):
        return value
    if mode == LAX and isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise invalid("string_unicode", NOT_UNICODE, value) from None
    raise invalid("bytes_type", "Input should be a valid bytes", value)


def decode_base64(value: Any, mode: int = LAX) -> bytes:
    """Return bytes, read from base64: their form in JSON, as msgspec writes it."""
    if not isinstance(value, str) or mode == EXACT:
        return decode_bytes(value, mode)
    try:
        return b64decode(value.encode(errors="surrogatepass"), validate=True)
    except ValueError as exc:
        why = str(exc)
        ctx = {"encoding": "base64", "encoding_error": why}
        msg = f"Data should be valid base64: {why}"
        raise invalid("bytes_invalid_encoding", msg, value, ctx) from None


# -- numbers -------------------------------------------------------------------------------------


def decode_int(value: Any, mode: int = LAX) -> int:
    """Return a whole number.

    Args:
        value: one; a text (`` 1_000 ``, ``+1``, ``1.0``) of at most 4,300 digits, since reading
            them takes quadratic time; a float without a fraction.
        mode: how much of that is converted.
    """
    # PERF: almost every number of a request is such a text.
    if value.__class__ is str and value.isdecimal() and value.isascii() and len(value) < 20:
        if mode == LAX:
            return int(value)
    elif value.__class__ is int:
        return value
    return other_int(value, mode)


def other_int(value: Any, mode: int) -> int:
    """Return the whole number that a value is which is neither an int nor a few digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if mode == LAX:
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, str | bytes):
            return int_in_text(value)
        if isinstance(value, float | Decimal):
            return int_of(value)
    raise invalid("int_type", "Input should be a valid integer", value)


def int_in_text(value: str | bytes) -> int:
    """Read a whole number."""
    text = (value if isinstance(value, str) else value.decode(errors="replace")).strip(SPACE)
    sign, text = (text[:1], text[1:]) if text[:1] in ("+", "-") else ("", text)
    digits, dot, zeros = text.partition(".")
    if digits.startswith("0"):  # underscores among the zeros in front are not looked at
        digits = digits.lstrip("0_") or (digits[-1:] if dot or digits[-1] == "0" else "_")
    well_formed = digits.replace("_", "0").isdecimal() and digits.isascii()
    if not well_formed or (dot and (not zeros or zeros.strip("0"))):
        raise unreadable("int_parsing", NO_INT, value)
    if len(digits) - digits.count("_") > MOST_DIGITS:
        raise unreadable("int_parsing_size", HUGE, value)
    try:
        return int(sign + digits)
    except ValueError:  # two underscores, or one at an end; or Python's own limit is a lower one
        most = sys.get_int_max_str_digits()
        if 0 < most < len(digits) - digits.count("_"):
            raise unreadable("int_parsing_size", HUGE, value) from None
        raise unreadable("int_parsing", NO_INT, value) from None


def int_of(value: float | Decimal) -> int:
    """Return a float or a decimal that has no fraction as a whole number of 64 bits."""
    if not math.isfinite(value):
        raise invalid("finite_number", NOT_FINITE, value)
    if value != (value.to_integral_value() if isinstance(value, Decimal) else value // 1):
        msg = "Input should be a valid integer, got a number with a fractional part"
        raise invalid("int_from_float", msg, value)
    if isinstance(value, float) and not -(2.0**63) < value <= 2.0**63:
        raise invalid("int_parsing_size", HUGE, value)
    if isinstance(value, Decimal) and value.adjusted() > MOST_DIGITS:
        raise invalid("int_parsing_size", HUGE, value)
    return int(value)


def decode_float(value: Any, mode: int = LAX) -> float:
    """Return a float; a text may be ``nan`` or ``inf``, which ``allow_inf_nan=False`` refuses."""
    if value.__class__ is float:
        return value
    if mode == LAX and isinstance(value, str | bytes):
        return float_in_text(value)
    if isinstance(value, float | int | Decimal) and mode != EXACT:
        if mode == STRICT and isinstance(value, bool | Decimal):
            raise invalid("float_type", "Input should be a valid number", value)
        try:
            return float(value)
        except OverflowError:
            pass
    raise invalid("float_type", "Input should be a valid number", value)


def float_in_text(value: str | bytes) -> float:
    """Read a float."""
    text = value if isinstance(value, str) else value.decode(errors="replace")
    if "_" in text:  # then nothing is taken off the ends
        spoiled = "__" in text or text.startswith("_") or text.endswith("_")
        text = "" if spoiled else text.replace("_", "")
    else:
        text = text.strip(SPACE)
    if not text.isascii() or text != text.strip():
        raise unreadable("float_parsing", NO_FLOAT, value)
    try:
        return float(text)
    except ValueError:
        raise unreadable("float_parsing", NO_FLOAT, value) from None


def decode_bool(value: Any, mode: int = LAX) -> bool:
    """Return a truth value; 1, t, true, y, yes, on and their opposites are taken in any case."""
    if isinstance(value, bool):
        return value
    if mode == LAX:
        if isinstance(value, str | bytes):
            text = value if isinstance(value, str) else value.decode(errors="replace")
            found = TRUTH.get(text.lower()) if len(text) <= 5 and text.isascii() else None
            if found is None:
                raise unreadable("bool_parsing", NO_BOOL, value)
            return found
        if isinstance(value, int | float) and value in (0, 1):
            return bool(value)
        if isinstance(value, int | float) and -(2**63) <= value < 2**63 and not value % 1:
            raise invalid("bool_parsing", NO_BOOL, value)
    raise invalid("bool_type", "Input should be a valid boolean", value)


def decode_decimal(value: Any, mode: int = LAX) -> Decimal:
    """Return a decimal number, which may be infinite or not a number."""
    if isinstance(value, Decimal):
        return value
    if mode == LAX and isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return Decimal(str(value) if isinstance(value, float) else value)
        except (InvalidOperation, ValueError):
            raise invalid("decimal_parsing", "Input should be a valid decimal", value) from None
    raise invalid("decimal_type", NO_DECIMAL, value)


def decode_finite_decimal(value: Any, mode: int = LAX) -> Decimal:
    """Return a decimal number."""
    number = decode_decimal(value, mode)
    if not number.is_finite():
        raise invalid("finite_number", NOT_FINITE, value)
    return number


# -- identifiers, paths, addresses, files ---------------------------------------------------------


def decode_uuid(value: Any, mode: int = LAX) -> UUID:
    """Return a UUID: 32 hexadecimal digits, with or without hyphens, in braces, as a URN."""
    if isinstance(value, UUID):
        return value
    if mode != LAX or not isinstance(value, str | bytes):
        raise invalid("uuid_type", "UUID input should be a string, bytes or UUID object", value)
    if isinstance(value, bytes) and len(value) == 16:
        return UUID(bytes=value)
    text = value if isinstance(value, str) else value.decode(errors="replace")
    groups = uuid_groups(text)
    if groups is None:
        why = (
            why_no_uuid(text)
            if text is value
            else f"invalid length: expected 16 bytes, found {len(value)}"
        )
        msg = f"Input should be a valid UUID, {why}"
        raise unreadable("uuid_parsing", msg, value, {"error": why})
    return UUID(hex=groups)


HEX: Final = frozenset("0123456789abcdefABCDEF")
GROUPS: Final = (8, 4, 4, 4, 12)


def uuid_groups(text: str) -> str | None:
    """Return the 32 digits of a UUID, or None."""
    inner = uuid_inside(text)
    if len(inner) == 36 and (inner[8], inner[13], inner[18], inner[23]) == ("-",) * 4:
        inner = f"{inner[:8]}{inner[9:13]}{inner[14:18]}{inner[19:23]}{inner[24:]}"
    elif inner is not text:
        return None
    return inner if len(inner) == 32 and HEX.issuperset(inner) else None


def uuid_inside(text: str) -> str:
    """Return what is in the braces, or behind ``urn:uuid:``, if there is such."""
    if text.startswith("{") and text.endswith("}"):
        return text[1:-1]
    return text.removeprefix("urn:uuid:")


def why_no_uuid(text: str) -> str:
    """Say what is wrong with a UUID, as the crate uuid does."""
    inner = uuid_inside(text)
    start = text.index(inner)
    odd = next((at for at, letter in enumerate(inner) if letter not in HEX and letter != "-"), None)
    if odd is not None:
        at = len(text[: start + odd].encode(errors="surrogatepass"))
        return f"invalid character: found `{inner[odd]}` at {at}"
    groups = inner.split("-")
    if len(groups) == 1 and inner is text:
        return f"invalid length: found {len(inner)}"
    if len(groups) != 5:
        return f"invalid group count: expected 5, found {len(groups)}"
    for number, (group, size) in enumerate(zip(groups, GROUPS, strict=True)):
        if len(group) != size:
            return f"invalid group length in group {number}: expected {size}, found {len(group)}"
    return "invalid group length"


def path_decoder(cls: type[PurePath]) -> Decode:
    """Make the decoder of a class of paths; nothing is looked up in the file system."""

    def decode_path(value: Any, mode: int = LAX) -> PurePath:
        if isinstance(value, cls):
            return value
        if mode != LAX or not isinstance(value, str):
            raise invalid("path_type", f"Input is not a valid path for {cls!r}", value)
        return cls(value)

    return decode_path


def address_decoder(cls: type[Any], type: str, name: str) -> Decode:
    """Make the decoder of a class of ``ipaddress``."""

    def decode_address(value: Any, mode: int = LAX) -> Any:
        if isinstance(value, cls):
            return value
        try:
            if mode == LAX and isinstance(value, str | int | bytes):
                return cls(int(value) if isinstance(value, bool) else value)
        except ValueError:
            pass
        raise invalid(type, f"Input is not a valid {name}", value)

    return decode_address


def decode_upload(value: Any, mode: int = LAX) -> UploadFile:
    """Return a file that was sent in a form."""
    if isinstance(value, UploadFile):
        return value
    exc = ValueError(f"Expected UploadFile, received: {type(value)}")
    raise invalid("value_error", f"Value error, {exc}", value, {"error": exc})


# -- enumerations --------------------------------------------------------------------------------


def either(values: list[Any]) -> str:
    """Say a list of values: ``1``, ``1 or 2``, ``1, 2 or 3``."""
    *first, last = (repr(value) for value in values)
    return f"{', '.join(first)} or {last}" if first else last


def literal_decoder(values: tuple[Any, ...]) -> Decode:
    """Make the decoder of ``Literal[...]``, which takes its very values."""
    known: dict[Any, Any] = {}
    for value in values:
        known.setdefault((value.__class__, value), value)
    loose = {value: value for value in reversed(values)}
    expected = either(list(values))

    def decode_literal(value: Any, mode: int = LAX) -> Any:
        try:
            if (found := known.get((value.__class__, value), known)) is not known:
                return found
            if mode != EXACT and not isinstance(value, str) and value in loose:
                return loose[value]
        except TypeError:  # not hashable
            pass
        ctx = {"expected": expected}
        raise invalid("literal_error", f"Input should be {expected}", value, ctx)

    return decode_literal


def enum_decoder(cls: type[Enum]) -> Decode:
    """Make the decoder of an enumeration, by value; ``_missing_`` of the class is asked."""
    expected = either([member.value for member in cls.__members__.values()])
    known = {m.value: m for m in cls if isinstance(m.value, str)}
    convert = next((decode for base, decode in MIXED.items() if issubclass(cls, base)), None)

    def decode_enum(value: Any, mode: int = LAX) -> Enum:
        if isinstance(value, cls):
            return value
        if mode == LAX:
            try:
                if value.__class__ is str and value in known:
                    return known[value]
                return cls(value if convert is None else convert(value))
            except (ValueError, TypeError, Invalid):
                pass
        raise invalid("enum", f"Input should be {expected}", value, {"expected": expected})

    return decode_enum


MIXED: Final[Mapping[type, Decode]] = {int: decode_int, float: decode_float, str: decode_str}


# -- tables --------------------------------------------------------------------------------------

DECODERS: Final[Mapping[Any, Decode]] = {
    str: decode_str,
    int: decode_int,
    float: decode_float,
    bool: decode_bool,
    bytes: decode_bytes,
    Decimal: decode_finite_decimal,
    UUID: decode_uuid,
    datetime: decode_datetime,
    date: decode_date,
    time: decode_time,
    timedelta: decode_timedelta,
    None: decode_none,
    NoneType: decode_none,
    Any: decode_any,
    object: decode_any,
    **{
        cls: path_decoder(cls)
        for cls in (Path, PurePath, PosixPath, PurePosixPath, PureWindowsPath, WindowsPath)
    },
    **{
        getattr(ipaddress, f"IPv{version}{name}"): address_decoder(
            getattr(ipaddress, f"IPv{version}{name}"),
            f"ip_v{version}_{name.lower()}",
            f"IPv{version} {name.lower()}",
        )
        for version in (4, 6)
        for name in ("Address", "Network", "Interface")
    },
}
"""The decoders of the types that are known by themselves."""

LABELS: Final[Mapping[Any, str]] = {None: "none", NoneType: "none", Any: "any", object: "any"}


def class_decoder(cls: Any) -> Decode | None:
    """Return the decoder of a single value's class, None if it is not the class of one.

    Args:
        cls: a class, or ``Any`` or None.
    """
    if cls in DECODERS:
        return DECODERS[cls]
    if isinstance(cls, type) and issubclass(cls, Enum) and len(cls.__members__):
        return enum_decoder(cls)
    if isinstance(cls, type) and issubclass(cls, UploadFile):
        return decode_upload
    return None


def label_of(cls: Any) -> str:
    """Return the name by which an error in a union tells which member it is of.

    Args:
        cls: as for ``class_decoder``.
    """
    if cls in LABELS:
        return LABELS[cls]
    if isinstance(cls, type) and issubclass(cls, Enum):
        kinds = {int: "int-", str: "str-", float: "float-"}
        kind = next((name for base, name in kinds.items() if issubclass(cls, base)), "")
        return f"{kind}enum[{cls.__name__}]"
    return str(cls.__name__).lower() if cls in DECODERS else str(cls.__name__)
