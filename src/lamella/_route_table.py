"""A list of routes that knows when it changed.

Floor 0. Programs append to, insert into, sort and replace the routes of a running application; an
index over them has to notice. Routes may also be given another path: ``routes_changed`` says so.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_CHANGING: Final = (
    "__delitem__",
    "__iadd__",
    "__imul__",
    "__setitem__",
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
)
_changes = 0


def routes_changed() -> None:
    """Make every index over routes be built anew at its next use."""
    global _changes  # noqa: PLW0603 - one number for all, compared and never trusted for more
    _changes += 1


def changes() -> int:
    """How many changes there have been to any routes: equal numbers mean no change between."""
    return _changes


class RouteTable(list[_T]):
    """A list whose every change is noticed."""


def _noticed(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def noticed(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        finally:
            routes_changed()  # after the change, or an index could be built in between

    return noticed


for _name in _CHANGING:
    setattr(RouteTable, _name, _noticed(getattr(list, _name)))
