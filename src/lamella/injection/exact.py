"""Whether a value is what its type declares, class for class, so that it can be encoded as it is.

Floor 5. PERF: looking at the classes takes a fifth of what encoding takes; copying the fields that
are declared takes several times that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args, get_origin

import msgspec

from lamella.injection.outline import Outline, bare, class_of, is_alias, members, outline_of
from lamella.injection.projection import holds_classes

__all__ = ["exactness"]

Check = Callable[[Any], bool]
# True: a value of that class is exact whatever it holds. False: none ever is.
_Verdict = Check | bool

_KINDS: Final = frozenset(("struct", "dataclass", "attrs"))
_ARRAYS: Final = frozenset((list, tuple, set, frozenset))
_SCALARS: Final = frozenset((str, int, float, bool, type(None), msgspec.UnsetType))


def exactness(annotation: Any) -> Check | None:
    """Compile what tells whether msgspec may encode a value of a type as it is.

    It may if every class with fields that is declared in it is the very class of what is there.

    Args:
        annotation: the type.

    Returns:
        The function; None if no value ever is.
    """
    table = _table((annotation,), {})
    return _in_table(table) if table else None


def _table(annotations: tuple[Any, ...], made: dict[Any, _Verdict]) -> dict[type[Any], _Verdict]:
    """What to ask of a value of each class that one of several types declares."""
    found: dict[type[Any], _Verdict] = {}
    for annotation in annotations:
        if is_alias(annotation):
            if annotation in made:
                continue  # it may hold itself: that is not looked into
            made[annotation] = False
        one = bare(annotation)
        within = members(one)
        if within:
            found.update(_table(within, made))
            continue
        cls = get_origin(one) or one
        verdict = _verdict(one, cls, made) if isinstance(cls, type) else False
        if verdict is not False:
            found[cls] = verdict
    return found


def _verdict(annotation: Any, cls: type[Any], made: dict[Any, _Verdict]) -> _Verdict:
    if class_of(annotation) is not None:
        return _of_class(annotation, made)
    if not holds_classes(annotation):
        return cls in _SCALARS
    args = get_args(annotation)
    if cls is dict:
        return _of_items(args[1], made, _values)
    if cls in _ARRAYS and (len(args) == 1 or args[-1] is Ellipsis):
        return _of_items(args[0], made, iter)
    return False


def _of_class(annotation: Any, made: dict[Any, _Verdict]) -> _Verdict:
    if annotation in made:
        return made[annotation]
    outline = outline_of(annotation)
    if not _is_plain(outline):
        return False
    checks: list[tuple[str, Check]] = []

    def is_exact(value: Any) -> bool:
        for name, check in checks:  # noqa: SIM110 - PERF: `all` takes longer
            if not check(getattr(value, name, None)):
                return False
        return True

    made[annotation] = is_exact  # filled below: a field may be of this very class
    for field in outline.fields:
        if not holds_classes(field.annotation):
            continue
        table = _table((field.annotation,), made)
        if not table:
            checks[:] = [("__class__", _never)]  # for what has got hold of it meanwhile
            made[annotation] = False
            return False
        checks.append((field.name, _in_table(table)))
    made[annotation] = is_exact if checks else True
    return made[annotation]


def _is_plain(outline: Outline) -> bool:
    """Whether msgspec writes the declared fields of such an instance, and no others."""
    if outline.kind not in _KINDS:
        return False
    # One that may have been given more attributes: msgspec writes these too.
    return outline.kind != "attrs" or not outline.cls.__dictoffset__


def _of_items(annotation: Any, made: dict[Any, _Verdict], items: Callable[[Any], Any]) -> _Verdict:
    table = _table((annotation,), made)
    if not table:
        return False
    if len(table) == 1 and True in table.values():
        (cls,) = table

        def are_of_class(value: Any) -> bool:
            for item in items(value):  # noqa: SIM110 - PERF: `all` takes twice the time
                if type(item) is not cls:
                    return False
            return True

        return are_of_class
    check = _in_table(table)
    return lambda value: all(map(check, items(value)))


def _values(value: dict[Any, Any]) -> Any:
    return value.values()


def _never(_: Any) -> bool:
    return False


def _in_table(table: dict[type[Any], _Verdict]) -> Check:
    if len(table) == 1:
        ((cls, verdict),) = table.items()
        if isinstance(verdict, bool):
            return lambda value: type(value) is cls
        check = verdict
        return lambda value: type(value) is cls and check(value)

    def is_exact(value: Any) -> bool:
        found = table.get(type(value), False)  # pyright: ignore[reportUnknownArgumentType]
        return found if isinstance(found, bool) else found(value)

    return is_exact
