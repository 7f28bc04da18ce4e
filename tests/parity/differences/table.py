"""What a row of the table of differences is, and how rows stand together."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One difference on purpose: what the page says of it, and what holds it.

    Attributes:
        case: what it is about, which no other row says.
        starlette: what Starlette 1.10 does.
        lamella: what lamella does.
        why: the reason.
        cases: a regex for the names of parity cases that differ so; "" for none.
        holds: whether what the two gave in such a case differs as the row says.
        checked_by: tests that show it, `file::function` below `tests/`, with spaces between.
    """

    case: str
    starlette: str
    lamella: str
    why: str
    cases: str = ""
    holds: Callable[[Any, Any], bool] | None = None
    checked_by: str = ""


class Section(NamedTuple):
    """A part of the page: its heading, its rows, and what is said behind them."""

    title: str
    rows: tuple[Difference, ...]
    after: str = ""
