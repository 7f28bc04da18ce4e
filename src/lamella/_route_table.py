"""A list of routes that knows when it changed.

Floor 0. Programs append to, insert into, sort and replace the routes of a running application; an
index over them has to notice. Routes may also be given another path: ``routes_changed`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])

_changes = 0


def routes_changed() -> None:
    """Make every index over routes be built anew at its next use."""
    global _changes  # noqa: PLW0603 - one number for all, compared and never trusted for more
    _changes += 1


def changes() -> int:
    """How many changes there have been to any routes: equal numbers mean no change between."""
    return _changes


def _noticed(method: _F) -> _F:
    @wraps(method)
    def noticed(*args: Any, **kwargs: Any) -> Any:
        routes_changed()
        return method(*args, **kwargs)

    return noticed  # type: ignore[return-value]


class RouteTable(list[_T]):
    """A list whose every change is noticed."""

    append = _noticed(list[_T].append)
    clear = _noticed(list[_T].clear)
    extend = _noticed(list[_T].extend)
    insert = _noticed(list[_T].insert)
    pop = _noticed(list[_T].pop)
    remove = _noticed(list[_T].remove)
    reverse = _noticed(list[_T].reverse)
    sort = _noticed(list[_T].sort)
    __delitem__ = _noticed(list[_T].__delitem__)
    __iadd__ = _noticed(list[_T].__iadd__)
    __imul__ = _noticed(list[_T].__imul__)
    __setitem__ = _noticed(list[_T].__setitem__)
