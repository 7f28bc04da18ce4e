"""What is wrong with a value: the exception that carries it, and the errors in it.

Floor 5, below all of ``injection``. Types, texts and the order of the keys are pydantic's (2.14),
since those are what clients of such applications know.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["MOST_ERRORS", "NOT_UNICODE", "Invalid", "Loc", "invalid", "placed", "unreadable"]

Loc = tuple[str | int, ...]

MOST_ERRORS: Final = 1000
"""How many errors are told of one value, lest a long list of wrong items fill the memory."""


NOT_UNICODE: Final = "Input should be a valid string, unable to parse raw data as a unicode string"


class Invalid(Exception):
    """A value that does not fit its type.

    Args:
        errors: one dict each of ``type``, ``loc`` (a tuple, relative to the value), ``msg``,
            ``input`` and, for some types, ``ctx``. ``input`` is the value as it was: it may be
            bytes, NaN or an object that JSON has no form for. ``ctx["error"]`` may be an exception.
    """

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.errors = errors


def invalid(
    type: str, msg: str, value: Any, ctx: dict[str, Any] | None = None, loc: Loc = ()
) -> Invalid:
    """Make the exception for a single error.

    Args:
        type: pydantic's name of the error.
        msg: its text.
        value: what was given.
        ctx: the figures of the text.
        loc: where, below the value.
    """
    error: dict[str, Any] = {"type": type, "loc": loc, "msg": msg, "input": value}
    if ctx is not None:
        error["ctx"] = ctx
    return Invalid([error])


def placed(errors: Iterable[dict[str, Any]], *front: str | int) -> list[dict[str, Any]]:
    """Put names in front of the place of each error.

    Args:
        errors: those of a part.
        front: where that part is.
    """
    return [{**error, "loc": (*front, *error["loc"])} for error in errors]


def unreadable(type: str, msg: str, value: Any, ctx: dict[str, Any] | None = None) -> Invalid:
    """Make the exception for a text that cannot be read as what is wanted.

    Args:
        type: pydantic's name of the error.
        msg: its text.
        value: the text.
        ctx: the figures of ``msg``.
    """
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return invalid("string_unicode", NOT_UNICODE, value)
    return invalid(type, msg, value, ctx)
