"""What is left out of a response: the options of a route, and what they mean one level further in.

Floor 5. Words and meanings as pydantic's ``model_dump``, which FastAPI 0.165 hands them to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from lamella.exceptions import StackError

__all__ = ["IncEx", "ResponseOptions", "as_pydantic_takes", "narrowed", "narrowed_to_items"]

IncEx = Collection[Any] | Mapping[Any, Any]
"""Names that are kept or left out, or names with what is kept or left out within them.

``"__all__"`` stands for every item of a list, or value of a dict.
"""

_ALL = "__all__"


class ResponseOptions(NamedTuple):
    """What is left out of a response, and under which names the rest stands.

    Attributes:
        include: the fields that are kept, by their names in Python; None: all.
        exclude: those that are left out.
        by_alias: whether fields are under their alias rather than their name.
        exclude_unset: whether fields that nobody set are left out. pydantic's models know theirs.
            Of a dict that is returned for another class they are those that it lacks; of an
            instance, those that have their default.
        exclude_defaults: whether fields that equal their default are left out.
        exclude_none: whether fields that are None are left out.
    """

    include: IncEx | None = None
    exclude: IncEx | None = None
    by_alias: bool = True
    exclude_unset: bool = False
    exclude_defaults: bool = False
    exclude_none: bool = False


def as_pydantic_takes(chosen: IncEx | None) -> IncEx | None:
    """The same names in a set, if they are in a list or the like."""
    if chosen is None or issubclass(type(chosen), (set, dict)):
        return chosen
    return set(chosen)


def narrowed(
    name: Any, include: IncEx | None, exclude: IncEx | None
) -> tuple[bool, IncEx | None, IncEx | None]:
    """Tell what the two mean for one field, or one key of a dict.

    Returns:
        Whether it is kept, and the include and exclude that hold within it.
    """
    within, without = _found(name, include), _found(name, exclude)
    kept = (include is None or within is not False) and without is not True
    return kept, _further(within), _further(without)


def narrowed_to_items(
    include: IncEx | None, exclude: IncEx | None
) -> tuple[IncEx | None, IncEx | None]:
    """Tell what the two mean for each item of a list.

    Raises:
        StackError: they name something else than all items.
    """
    for chosen in (include, exclude):
        if chosen is not None and set(chosen) - {_ALL}:
            raise StackError(
                f"Expected include and exclude of a list to name '{_ALL}', as in"
                f" {{'{_ALL}': {{'name'}}}}, got {chosen!r}."
            )
    _, within, without = narrowed(_ALL, include, exclude)
    return within, without


def _found(name: Any, chosen: IncEx | None) -> Any:
    """What is said of a name: True: of the whole; False: nothing; or what is chosen within it."""
    if chosen is None:
        return False
    if not isinstance(chosen, Mapping):
        return name in chosen or _ALL in chosen
    names: Mapping[Any, Any] = chosen  # pyright: ignore[reportUnknownVariableType]
    found = names.get(name, names.get(_ALL, False))
    return True if found is ... or found is None else found


def _further(found: Any) -> IncEx | None:
    return None if isinstance(found, bool) else found
