"""Durations as texts and numbers say them: ISO 8601, days and hours, seconds.

Floor 5, on ``_times``. What is taken, and the words for what is not, are those of pydantic 2.14, as
there.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from lamella.injection._invalid import invalid, unreadable
from lamella.injection._mode import LAX
from lamella.injection._times import (
    CLOCK,
    DAY_SIZE,
    EXTRA,
    NO_NAN,
    TOO_SHORT,
    Unreadable,
    as_text,
    why_no_clock,
)

__all__ = ["decode_timedelta"]

DIGITS: Final = re.compile(r"\d*", re.ASCII)
AMOUNT: Final = re.compile(r"(\d+)(?:[.,](\d*))?", re.ASCII)
DAYS: Final = re.compile(r"(\d+) ?[dD](?:ays?|AYS?|(?![aA])),? ?", re.ASCII)

LONGEST: Final = 999_999_999
MOST_HOURS: Final = 2_400_000_000
DATE_UNITS: Final = {"Y": 365, "M": 30, "W": 7, "D": 1}
TIME_UNITS: Final = {"H": 3600, "M": 60, "S": 1}
TOO_MANY_HOURS: Final = "durations may not exceed 999,999,999 hours"
TOO_LONG: Final = "durations may not exceed 999,999,999 days"


def decode_timedelta(value: Any, mode: int = LAX) -> timedelta:
    """Return a duration.

    Args:
        value: one, a text (``P1DT2H``, ``1 day, 2:03:04``), or a number of seconds.
        mode: how much of that is converted.

    Raises:
        Invalid: it is neither, or beyond 999,999,999 days.
    """
    if isinstance(value, timedelta):
        return value
    if mode != LAX or not isinstance(value, str | bytes | int | float | Decimal):
        raise invalid("time_delta_type", "Input should be a valid timedelta", value)
    try:
        if isinstance(value, str | bytes):
            return parse_duration(as_text(value))
        return duration_of(value)
    except Unreadable as exc:
        why = str(exc)
        msg = f"Input should be a valid timedelta, {why}"
        raise unreadable("time_delta_parsing", msg, value, {"error": why}) from None


def duration_of(seconds: Any) -> timedelta:
    """Return so many seconds as a duration."""
    if seconds != seconds:  # noqa: PLR0124 -- NaN alone differs from itself
        raise Unreadable(NO_NAN)
    if abs(seconds) >= (LONGEST + 1) * 86_400:
        raise Unreadable(TOO_LONG)
    return timedelta(seconds=float(seconds) if isinstance(seconds, Decimal) else seconds)


def parse_duration(text: str) -> timedelta:
    """Read ``-P1DT2H``, ``3 days, 12:03:04`` or ``26:03``."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    size = len(rest.encode(errors="surrogatepass"))
    if rest.startswith("P"):
        micros = iso_duration(rest[1:])
    elif "d" in rest.lower() or size < 5:
        micros = days_and_hours(rest)
    else:
        micros = clock_duration(rest, MOST_HOURS)
    if micros >= (LONGEST + 1) * DAY_SIZE:
        raise Unreadable(TOO_LONG)
    days, micros = divmod(micros, DAY_SIZE)
    length = timedelta(days=days, microseconds=micros)
    return -length if text.startswith("-") else length


def iso_duration(text: str) -> int:
    """Read what stands behind the P, in microseconds."""
    micros, at, in_time, fraction = 0, 0, False, None
    while at < len(text):
        if text[at] == "T":
            if in_time:
                raise Unreadable("`t` character repeated in duration")
            in_time, at = True, at + 1
            continue
        amount = AMOUNT.match(text, at)
        if amount is None:
            raise Unreadable("invalid digit in duration")
        whole = count(amount[1])
        if fraction is not None:
            raise Unreadable("quantity fraction invalid in duration")
        fraction, at = amount[2], amount.end() + 1
        size = unit_size(text[at - 1 : at], in_time)
        micros += whole * size + part_of(fraction, size)
    if len(text) < 2:
        raise Unreadable(TOO_SHORT)
    return micros


def unit_size(letter: str, in_time: bool) -> int:
    """Return the microseconds of a unit."""
    units, second = (TIME_UNITS, 1_000_000) if in_time else (DATE_UNITS, DAY_SIZE)
    size = units.get(letter, 0) * second
    if not size:
        part = "time" if in_time else "date"
        raise Unreadable(f"quantity invalid in {part} part of duration")
    return size


def days_and_hours(text: str) -> int:
    """Read ``3 days, 12:03:04``, in microseconds."""
    if not text:
        raise Unreadable(TOO_SHORT)
    if not ("0" <= text[0] <= "9"):
        raise Unreadable("invalid digit in duration")
    digits, match = DIGITS.match(text), DAYS.match(text)
    days = count(digits[0] if digits else "")
    if match is None:
        raise Unreadable('"day" identifier in duration not correctly formatted')
    rest = text[match.end() :]
    return days * DAY_SIZE + (clock_duration(rest, 23) if rest else 0)


def clock_duration(text: str, most_hours: int) -> int:
    """Read ``26:03:04.5``, in microseconds."""
    head, colon, tail = text.partition(":")
    if len(text.encode(errors="surrogatepass")) < 5:
        raise Unreadable(TOO_SHORT)
    size = len(head.encode(errors="surrogatepass"))
    if not colon or (size <= 10 and not DIGITS.fullmatch(head)):
        raise Unreadable("invalid character in hour")
    if size > 10 or int(head or 0) > MOST_HOURS:
        raise Unreadable(TOO_MANY_HOURS)
    clock = f"00:{tail[:12]}"  # to the microsecond, what is behind it is not looked at
    match = CLOCK.fullmatch(clock)
    if match is None or match[5] or match[6] or int(match[2]) > 59 or int(match[3] or 0) > 59:
        why = why_no_clock(clock.encode(errors="surrogatepass"))
        raise Unreadable(EXTRA if "timezone" in why else why)
    if int(head or 0) > most_hours:
        raise Unreadable(TOO_MANY_HOURS)
    seconds = int(head or 0) * 3600 + int(match[2]) * 60 + int(match[3] or 0)
    return seconds * 1_000_000 + int((match[4] or "0")[:6].ljust(6, "0"))


def count(amount: str) -> int:
    """Return a number of units, of at most 32 bits: that is more than any duration has."""
    if len(amount) > 20 or int(amount) >= 2**32:
        raise Unreadable("a numeric value in the duration is too large")
    return int(amount)


def part_of(fraction: str | None, size: int) -> int:
    """Return the fraction of a unit, as microseconds."""
    if not fraction:
        return 0
    shown = fraction[:12]
    return int(int(shown) * size / 10 ** len(shown) + 0.5)
