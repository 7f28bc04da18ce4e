"""Dates and times of day as texts and numbers say them: RFC 3339, seconds since 1970.

Floor 5, on ``_invalid``. What is taken, and the words for what is not, are those of pydantic 2.14
(whose parser is the crate speedate 0.17): the same texts, to the microsecond. Linear in the text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from lamella.injection._invalid import invalid, unreadable
from lamella.injection._mode import LAX

Number = Any  # an int, a float or a Decimal: they have no class in common

__all__ = [
    "CLOCK",
    "DAY_SIZE",
    "EXTRA",
    "NO_NAN",
    "TOO_SHORT",
    "Unreadable",
    "as_text",
    "decode_date",
    "decode_datetime",
    "decode_time",
    "why_no_clock",
]

DAY: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
CLOCK: Final = re.compile(
    r"(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:([Zz])|([+\-\u2212])(\d\d):?(\d\d))?", re.ASCII
)
WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
FRACTION: Final = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+)", re.ASCII)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM: Final = 20_000_000_000
"""A number of seconds beyond this, in the year 2603, is taken for milliseconds."""
FIRST_SECOND: Final = -62_167_219_200
FIRST_OF_YEAR_1: Final = -62_135_596_800_000_000
LAST_SECOND: Final = 253_402_300_799
DAY_SIZE: Final = 86_400_000_000

SEPARATORS: Final = frozenset("Tt _")

TOO_SHORT: Final = "input is too short"
EXTRA: Final = "unexpected extra characters at the end of the input"
NO_NAN: Final = "NaN values not permitted"
INEXACT: Final = "Datetimes provided to dates should have zero time - e.g. be exact dates"


class Unreadable(Exception):
    """A text or a number that names no point in time; the argument says why."""


class YearZeroError(Unreadable):
    """A point in time that is well-formed, but lies in a year that Python does not know."""

    def __init__(self, at_midnight: bool = True) -> None:
        super().__init__("year 0 is out of range")
        self.at_midnight = at_midnight


def decode_datetime(value: Any, mode: int = LAX) -> datetime:
    """Return a date and time of day.

    Args:
        value: one, a date, a text, or seconds since 1970 (milliseconds from 2e10 on).
        mode: how much of that is converted.

    Raises:
        Invalid: it is neither.
    """
    if isinstance(value, datetime):
        return value
    if mode == LAX:
        if isinstance(value, str | bytes):
            return datetime_in_text(as_text(value), value)
        if is_number(value):
            try:
                return from_number(value)
            except Unreadable as exc:
                raise not_a_datetime(exc, value) from None
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001 -- a date has no zone
    raise invalid("datetime_type", "Input should be a valid datetime", value)


def datetime_in_text(text: str, value: Any) -> datetime:
    """Read a date and time of day, a date, or a number."""
    try:
        return parse_datetime(text)
    except YearZeroError as exc:
        raise not_a_datetime(exc, value) from None
    except Unreadable:
        pass
    try:
        day = parse_date(text)
    except YearZeroError as exc:
        raise not_a_datetime(exc, value) from None
    except Unreadable as exc:
        why = str(exc)
        msg = f"Input should be a valid datetime or date, {why}"
        raise unreadable("datetime_from_date_parsing", msg, value, {"error": why}) from None
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 -- a date has no zone


def not_a_datetime(exc: Unreadable, value: Any) -> Exception:
    """Make the error for a number or a year that is out of range."""
    why = str(exc)
    msg = f"Input should be a valid datetime, {why}"
    return invalid("datetime_parsing", msg, value, {"error": why})


def decode_date(value: Any, mode: int = LAX) -> date:
    """Return a date.

    Args:
        value: one, a date and time or a number whose time of day is midnight, or a text.
        mode: how much of that is converted.

    Raises:
        Invalid: it is neither, or not midnight.
    """
    if type(value) is date:
        return value
    if mode == LAX:
        if isinstance(value, datetime):
            return whole_day(value, value)
        if isinstance(value, str | bytes):
            return date_in_text(as_text(value), value)
        if is_number(value):
            return date_from(from_number, value, value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise invalid("date_type", "Input should be a valid date", value)


def date_in_text(text: str, value: Any) -> date:
    """Read a date, or a date and time that is midnight."""
    if DAY.fullmatch(text):
        try:
            return parse_date(text)
        except Unreadable:
            pass
    return date_from(parse_datetime_or_midnight, text, value)


def date_from(read: Callable[[Any], datetime], source: Any, value: Any) -> date:
    """Read a moment that has to be midnight."""
    try:
        moment = read(source)
    except YearZeroError as exc:
        if not exc.at_midnight:
            raise invalid("date_from_datetime_inexact", INEXACT, value) from None
        why = str(exc)
        msg = f"Input should be a valid date in the format YYYY-MM-DD, {why}"
        raise unreadable("date_parsing", msg, value, {"error": why}) from None
    except Unreadable as exc:
        why = str(exc)
        msg = f"Input should be a valid date or datetime, {why}"
        raise unreadable("date_from_datetime_parsing", msg, value, {"error": why}) from None
    return whole_day(moment, value)


def whole_day(moment: datetime, value: Any) -> date:
    """Return the date of a midnight, and refuse another time of day."""
    if moment.time() != time():
        raise invalid("date_from_datetime_inexact", INEXACT, value)
    return moment.date()


def decode_time(value: Any, mode: int = LAX) -> time:
    """Return a time of day.

    Args:
        value: one, a text, or seconds since midnight.
        mode: how much of that is converted.

    Raises:
        Invalid: it is neither.
    """
    if isinstance(value, time):
        return value
    if mode != LAX or not (isinstance(value, str | bytes) or is_number(value)):
        raise invalid("time_type", "Input should be a valid time", value)
    try:
        return time_of_day(value) if is_number(value) else parse_clock(as_text(value))
    except Unreadable as exc:
        why = str(exc)
        msg = f"Input should be in a valid time format, {why}"
        raise unreadable("time_parsing", msg, value, {"error": why}) from None


def as_text(value: str | bytes) -> str:
    """Return a text; bytes that are no text become one that nobody can read as a time."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def is_number(value: Any) -> bool:
    """Tell whether a value counts seconds."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


# -- numbers -------------------------------------------------------------------------------------


def from_number(number: Number) -> datetime:
    """Return the moment that is so many seconds after 1970, in UTC."""
    if number != number:  # noqa: PLR0124 -- NaN alone differs from itself
        raise Unreadable(NO_NAN)
    if abs(number) > MILLISECONDS_FROM * 1_000_000_000:  # infinity too
        refuse_second(math.copysign(math.inf, number))
    micros = in_microseconds(number)
    refuse_second(micros // 1_000_000)
    if micros < FIRST_OF_YEAR_1:
        raise YearZeroError(not micros % DAY_SIZE)
    return EPOCH + timedelta(microseconds=micros)


def in_microseconds(number: Number) -> int:
    """Return a number of seconds, or of milliseconds if it is large, as microseconds."""
    unit = 1_000_000 if abs(number) <= MILLISECONDS_FROM else 1_000
    if isinstance(number, int):
        return number * unit
    whole: int = math.floor(number)
    return whole * unit + math.floor(float(number - whole) * unit + 0.5)


def refuse_second(second: float) -> None:
    """Refuse what lies outside of the years 0 to 9999."""
    if second > LAST_SECOND:
        raise Unreadable("dates after 9999 are not supported as unix timestamps")
    if second < FIRST_SECOND:
        raise Unreadable("dates before 0000 are not supported as unix timestamps")


def number_in(text: str) -> float | None:
    """Return the number that a text is, of 64 bits if it is whole, or None."""
    if len(text) > 600:  # no time, and no work for whoever sends one
        return None
    if WHOLE.fullmatch(text):
        number = int(text)
        return number if -(2**63) <= number < 2**63 else None
    return float(text) if FRACTION.fullmatch(text) else None


def time_of_day(seconds: Number) -> time:
    """Return the time of day so many seconds after midnight, in UTC."""
    if seconds != seconds:  # noqa: PLR0124 -- NaN alone differs from itself
        raise Unreadable(NO_NAN)
    if seconds < 0:
        raise Unreadable("time in seconds should be positive")
    if seconds >= 86_400 or (micros := round(seconds * 1_000_000)) >= 86_400_000_000:
        raise Unreadable("numeric times may not exceed 86,399 seconds")
    return (EPOCH + timedelta(microseconds=micros)).timetz()


# -- texts ---------------------------------------------------------------------------------------


def parse_date(text: str) -> date:
    """Read ``2020-01-31``, or a number of seconds."""
    if match := DAY.fullmatch(text):
        year, month, day = map(int, match.groups())
        try:
            return date(year, month, day)
        except ValueError:
            if not year and not why_no_date(text):
                raise YearZeroError from None
    elif WHOLE.fullmatch(text) and (number := number_in(text)) is not None:
        return from_number(number).date()
    raise Unreadable(why_no_date(text) or EXTRA)


def parse_datetime(text: str) -> datetime:
    """Read ``2020-01-31T23:59:59.5+01:00``, or a number of seconds."""
    if text[10:11] in SEPARATORS and DAY.match(text):
        wrong = why_no_date(text)
        if wrong:
            raise Unreadable(wrong)
        clock = parse_clock(text[11:])
        if text.startswith("0000"):
            raise YearZeroError(clock.replace(tzinfo=None) == time())
        return datetime.combine(parse_date(text[:10]), clock)
    if (number := number_in(text)) is not None:
        return from_number(number)
    raise Unreadable(why_no_date(text) or why_no_datetime(text))


def parse_datetime_or_midnight(text: str) -> datetime:
    """Read a date and time; the error of a text that names a date of the year 0 is its own."""
    if DAY.fullmatch(text):
        parse_date(text)
    return parse_datetime(text)


def why_no_datetime(text: str) -> str:
    """Say what is wrong behind the date."""
    if len(text) <= 10:
        return TOO_SHORT
    return "invalid datetime separator, expected `T`, `t`, `_` or space"


def parse_clock(text: str) -> time:
    """Read ``23:59:59.5+01:00``; seconds, their fraction and the zone may be absent."""
    match = CLOCK.fullmatch(text)
    if match is None:
        raise Unreadable(why_no_clock(text.encode(errors="surrogatepass")))
    hour, minute, second, fraction, zulu, sign, hours, minutes = match.groups()
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    try:
        zone = zone_of(sign, hours, minutes) if sign else UTC if zulu else None
        return time(int(hour), int(minute), int(second or 0), micros, zone)
    except ValueError:
        raise Unreadable(why_no_clock(text.encode())) from None


def zone_of(sign: str, hours: str, minutes: str) -> timezone:
    """Return the zone so far from UTC."""
    if int(minutes) > 59:
        raise ValueError(minutes)
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(offset if sign == "+" else -offset)


def digits(raw: bytes, at: int, why: str) -> int:
    """Return the two digits at a position, or refuse the text."""
    two = raw[at : at + 2]
    if len(two) < 2 or not two.isdigit():
        raise Unreadable(why)
    return int(two)


def why_no_date(text: str) -> str:
    """Say what is wrong with the first ten characters as a date, "" if it is nothing."""
    raw = text.encode(errors="surrogatepass")
    if len(raw) < 10:
        return TOO_SHORT
    if not raw[:4].isdigit():
        return "invalid character in year"
    if raw[4:5] != b"-":
        return "invalid date separator, expected `-`"
    if not raw[5:7].isdigit():
        return "invalid character in month"
    if raw[7:8] != b"-":
        return "invalid date separator, expected `-`"
    if not raw[8:10].isdigit():
        return "invalid character in day"
    year, month, day = int(raw[:4]), int(raw[5:7]), int(raw[8:10])
    if not 1 <= month <= 12:
        return "month value is outside expected range of 1-12"
    try:
        date(year or 400, month, day)
    except ValueError:
        return "day value is outside expected range"
    return ""


def why_no_clock(raw: bytes) -> str:
    """Say what is wrong with a time of day."""
    if len(raw) < 5:
        return TOO_SHORT
    try:
        hour = digits(raw, 0, "invalid character in hour")
        if raw[2:3] != b":":
            return "invalid time separator, expected `:`"
        minute = digits(raw, 3, "invalid character in minute")
        if hour > 23:
            return "hour value is outside expected range of 0-23"
        if minute > 59:
            return "minute value is outside expected range of 0-59"
        return why_no_zone(raw, behind_seconds(raw))
    except Unreadable as exc:
        return str(exc)


def behind_seconds(raw: bytes) -> int:
    """Return the position behind the seconds of a time of day and their fraction."""
    if raw[5:6] != b":":
        return 5
    if digits(raw, 6, "invalid character in second") > 59:
        raise Unreadable("second value is outside expected range of 0-59")
    if raw[8:9] not in (b".", b","):
        return 8
    count = len(raw) - 9 - len(raw[9:].lstrip(b"0123456789"))
    if not count:
        raise Unreadable("second fraction digits missing after `.`")
    return 9 + count


def why_no_zone(raw: bytes, at: int) -> str:
    """Say what is wrong with the zone of a time of day, or behind it."""
    if raw[at : at + 1] in (b"Z", b"z"):
        return EXTRA
    sign = next(
        (sign for sign in (b"+", b"-", "\u2212".encode()) if raw.startswith(sign, at)), None
    )
    if sign is None:
        return "invalid timezone sign"
    at += len(sign)
    hours = digits(raw, at, "invalid timezone hour")
    at += 3 if raw[at + 2 : at + 3] == b":" else 2
    if digits(raw, at, "invalid timezone minute") > 59:
        return "timezone minute value is outside expected range of 0-59"
    return "timezone offset must be less than 24 hours" if hours > 23 else EXTRA
