"""Values of which a request may have several, and those that are gathered into a model.

Floor 5. Query strings, headers, cookies and forms are mappings here; a name may come twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lamella.datastructures import FormData, Headers, UploadFile
from lamella.params import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamella.injection.plan import Read

__all__ = ["ABSENT", "field_value", "gathered_fields", "is_absent", "list_of"]

ABSENT: Final = object()
"""Stands for the value of what a request lacks."""


def list_of(source: Any, alias: str) -> list[Any]:
    """All values of a name."""
    getlist = getattr(source, "getlist", None)
    if getlist is None:
        value = source.get(alias)
        return [] if value is None else [value]
    return list(getlist(alias))


def gathered_fields(read: Read, source: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a model's fields, all others of the source, and names by which they came."""
    hyphens = getattr(read.parameter.info, "convert_underscores", False)
    found: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    taken: set[str] = set()
    is_headers = isinstance(source, Headers)
    for field in read.fields:
        alias = field.alias.replace("_", "-") if is_headers and hyphens else field.alias
        if alias != field.alias:
            renamed[field.alias] = alias
            taken.add(field.alias.lower())
        taken.add(alias.lower() if is_headers else alias)
        value = field_value(source, alias, several=field.several)
        if value is not ABSENT:
            found[field.alias] = value
    for name in dict.fromkeys(source):
        if name not in taken:
            values = list_of(source, name)
            found[name] = values[0] if len(values) == 1 else values
    return found, renamed


def field_value(source: Any, alias: str, *, several: bool) -> Any:
    """All values of a name, or the last; ``ABSENT`` if there is none."""
    values = list_of(source, alias)
    if isinstance(source, FormData):
        values = [value for value in values if not _is_empty_file(value)]
    if not values:
        return ABSENT
    if several:
        return values
    return ABSENT if isinstance(source, FormData) and values[-1] == "" else values[-1]


def is_absent(read: Read, gathered: Mapping[str, Any], source: Any) -> bool:
    """Whether nothing is there of a model that need not be; an empty field of a form is there."""
    if read.default is REQUIRED and read.make_default is None:
        return False
    found: Any = source if isinstance(source, FormData) else gathered
    return not any(field.alias in found for field in read.fields)


def _is_empty_file(value: Any) -> bool:
    """Whether it is what browsers send when no file was chosen."""
    return isinstance(value, UploadFile) and not value.filename and not value.size
