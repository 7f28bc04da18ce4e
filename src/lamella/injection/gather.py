"""Values of which a request may have several, and those that are gathered into a model.

Floor 5. Query strings, headers, cookies and forms are mappings here; a name may come twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lamella.datastructures import FormData, Headers, UploadFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lamella.injection.read import Gathered, Read

__all__ = ["ABSENT", "field_value", "gathered_fields", "is_absent", "list_of", "under_its_name"]

ABSENT: Final = object()
"""Stands for the value of what a request lacks."""


def under_its_name(read: Read, source: Any) -> Read:
    """How an argument is read under the name that the source has it by; the best if by none."""
    if isinstance(source, bytes) or not hasattr(source, "keys"):
        return read
    several = read.parameter.is_sequence
    names = (read, *read.others)
    return next((one for one in names if _has(source, one.alias, several)), read)


def list_of(source: Any, alias: str) -> list[Any]:
    """All values of a name."""
    getlist = getattr(source, "getlist", None)
    if getlist is None:
        value = source.get(alias)
        return [] if value is None else [value]
    return list(getlist(alias))


def gathered_fields(
    fields: Iterable[Gathered], source: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Gather a model.

    Args:
        fields: of the model.
        source: a query string, headers, cookies or a form.

    Returns:
        The values of the fields and all others of the source, and the names in the source of those
        that have another for the model.
    """
    found: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    taken: set[str] = set()
    for field in fields:
        name, alias = field.names[0]
        for other in field.names:
            if _has(source, other[1], field.several):
                name, alias = other
                break
            if isinstance(source, FormData):
                taken.add(other[1])  # it may be there, empty
        value = field_value(source, alias, several=field.several)
        if value is not ABSENT:
            found[name] = value
        taken.add(alias)
        taken.update(one for one, other in field.names if one != other)
        if name != alias:
            renamed[name] = alias
    if isinstance(source, Headers):
        taken = {name.lower() for name in taken}
    for name in dict.fromkeys(source):
        if name not in taken:
            values = list_of(source, name)
            found[name] = values[0] if len(values) == 1 else values
    return found, renamed


def field_value(source: Any, alias: str, *, several: bool) -> Any:
    """All values of a name, or one; ``ABSENT`` if there is none."""
    values = list_of(source, alias)
    if isinstance(source, FormData):
        values = [value for value in values if not _is_empty_file(value)]
    if not values:
        return ABSENT
    if several:
        return values
    value = values[0 if isinstance(source, Headers) else -1]
    return ABSENT if isinstance(source, FormData) and value == "" else value


def is_absent(read: Read, source: Any) -> bool:
    """Whether nothing is there of a model that need not be; an empty field of a form is there."""
    if not read.may_lack or (read.takes_others and len(source) > 0):
        return False
    return not any(alias in source for field in read.fields for _, alias in field.names)


def _has(source: Any, alias: str, several: bool) -> bool:
    """Whether there is a value of a name; an empty field of a form is none."""
    if isinstance(source, FormData):
        return field_value(source, alias, several=several) is not ABSENT
    return alias in source


def _is_empty_file(value: Any) -> bool:
    """Whether it is what browsers send when no file was chosen."""
    return isinstance(value, UploadFile) and not value.filename and not value.size
