"""Path parameters: text in a URL path to a value, and back.

Floor 0. Routing reads `CONVERTOR_TYPES` when a route is made, so what is registered or replaced
there before counts.
"""

from __future__ import annotations

import math
import re
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from lamella.exceptions import UsageError

__all__ = [
    "CONVERTOR_TYPES",
    "Convertor",
    "FloatConvertor",
    "IntegerConvertor",
    "PathConvertor",
    "StringConvertor",
    "UUIDConvertor",
    "register_url_convertor",
]

T = TypeVar("T")

# Python refuses longer ones by default, as `int()` takes quadratic time; here it is not a setting.
_MOST_DIGITS = 4300

# What `int()` and `float()` would take beyond ASCII digits: blanks, underscores, other digits.
_find_odd = re.compile(r"[^!-~]|_").search


class Convertor(Generic[T]):
    """Base of all convertors; a subclass sets `regex` and both methods.

    `regex` is matched against the whole of the text that stands in the place of the parameter.
    `convert` is called with text that matched. **If it raises ValueError, the route does not
    match**, as if the regex had not; so it refuses what a regex cannot say, and what a client
    sends is never an error of the server. Any other exception passes.

    Source: as Starlette 1.10, where a ValueError becomes a 500.
    """

    regex: ClassVar[str] = ""

    def convert(self, value: str) -> T:
        """Give the value that this text stands for.

        Raises:
            ValueError: there is none; the route does not match.
        """
        raise NotImplementedError

    def to_string(self, value: T) -> str:
        """Give the text for a value, as it goes into a URL path.

        Raises:
            UsageError: a path cannot hold this value.
        """
        raise NotImplementedError


class StringConvertor(Convertor[str]):
    """`{name}` or `{name:str}`: one segment, not empty, any character but `/`."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Give the text itself."""
        return value

    def to_string(self, value: str) -> str:
        """Give the text itself.

        Raises:
            UsageError: it is empty, or holds `/`.
        """
        text = str(value)
        if not text or "/" in text:
            raise UsageError(
                "Expected a text of one character or more without '/' for a str path parameter, "
                f"got {text!r}; declare the parameter as {{name:path}} to hold several segments."
            )
        return text


class PathConvertor(Convertor[str]):
    """`{name:path}`: all that is left, slashes too, or nothing."""

    regex = ".*"

    def convert(self, value: str) -> str:
        """Give the text itself."""
        return str(value)

    def to_string(self, value: str) -> str:
        """Give the text itself."""
        return str(value)


class IntegerConvertor(Convertor[int]):
    """`{name:int}`: ASCII digits, no sign."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        """Give the number.

        Raises:
            ValueError: more than 4,300 characters, or not an integer in ASCII. Whether a sign is
                fine is left to `regex`, so that a subclass may allow one.
        """
        if len(value) > _MOST_DIGITS or _find_odd(value):
            raise ValueError(f"expected at most {_MOST_DIGITS} ASCII digits")
        return int(value)

    def to_string(self, value: int) -> str:
        """Give the decimal digits.

        Raises:
            UsageError: the number is negative.
        """
        number = int(value)
        if number < 0:
            raise UsageError(
                f"Expected an integer of 0 or more for an int path parameter, got {number}; "
                "register a convertor of your own to allow a sign."
            )
        return str(number)


class FloatConvertor(Convertor[float]):
    """`{name:float}`: ASCII digits, then perhaps a point and more digits; no sign, no exponent."""

    regex = r"[0-9]+(\.[0-9]+)?"

    def convert(self, value: str) -> float:
        """Give the number, always a finite one.

        Raises:
            ValueError: it is beyond the range of a float, or not a number in ASCII.
        """
        number = float(value)
        if not math.isfinite(number) or _find_odd(value):
            raise ValueError("expected a finite number in ASCII digits")
        return number

    def to_string(self, value: float) -> str:
        """Give the number in decimal digits, 20 of them at most after the point.

        Raises:
            UsageError: it is negative, infinite or not a number.
        """
        number = float(value)
        if not math.isfinite(number) or number < 0:
            raise UsageError(
                f"Expected a finite number of 0 or more for a float path parameter, got {number}; "
                "register a convertor of your own to allow a sign."
            )
        return f"{number:.20f}".rstrip("0").rstrip(".")


class UUIDConvertor(Convertor[UUID]):
    """`{name:uuid}`: 32 hexadecimal digits in either case, with or without the four hyphens."""

    regex = "-?".join(f"[0-9a-fA-F]{{{size}}}" for size in (8, 4, 4, 4, 12))

    def convert(self, value: str) -> UUID:
        """Give the UUID.

        Raises:
            ValueError: the text is not one.
        """
        if _find_odd(value):
            raise ValueError("expected a UUID in ASCII")
        return UUID(value)

    def to_string(self, value: UUID) -> str:
        """Give the text with hyphens, in lower case."""
        return str(value)


CONVERTOR_TYPES: dict[str, Convertor[Any]] = {
    "str": StringConvertor(),
    "path": PathConvertor(),
    "int": IntegerConvertor(),
    "float": FloatConvertor(),
    "uuid": UUIDConvertor(),
}


def register_url_convertor(key: str, convertor: Convertor[Any]) -> None:
    """Offer a convertor as `{name:key}` to the routes made from now on; it may replace one."""
    CONVERTOR_TYPES[key] = convertor
