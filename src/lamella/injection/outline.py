"""What a type declares: the classes, containers and unions that an annotation is made of.

Floor 5. Read once, when an app is built; what is compiled from annotations starts here.
"""

from __future__ import annotations

import collections
import dataclasses
import sys
import types
from collections import abc
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Protocol,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from lamella.exceptions import StackError

__all__ = [
    "ARRAYS",
    "MAPPINGS",
    "MISSING",
    "Field",
    "Outline",
    "bare",
    "class_of",
    "equals_default",
    "holds",
    "is_alias",
    "is_default",
    "is_pydantic",
    "members",
    "outline_of",
    "remembered",
]

ARRAYS: Final = frozenset(
    (
        list,
        set,
        frozenset,
        tuple,
        collections.deque,
        abc.Sequence,
        abc.MutableSequence,
        abc.Collection,
        abc.Iterable,
        abc.Iterator,
        abc.Generator,
        abc.Set,
        abc.MutableSet,
    )
)
MAPPINGS: Final = frozenset(
    (
        dict,
        collections.OrderedDict,
        collections.defaultdict,
        types.MappingProxyType,
        abc.Mapping,
        abc.MutableMapping,
    )
)
MISSING: Final = msgspec.NODEFAULT
"""Stands for a default where there is none."""

_T = TypeVar("_T")

Kind = Literal["struct", "dataclass", "attrs", "typed dict", "named tuple", "pydantic"]
_WRAPPERS: Final = (Annotated, Required, NotRequired, Final, ClassVar, dataclasses.InitVar)


class Field(NamedTuple):
    """One field of a class: its name, its key in JSON, its type and its default."""

    name: str
    key: str
    annotation: Any
    default: Any = MISSING
    default_factory: Any = MISSING


class Outline(NamedTuple):
    """What a class declares, in the order in which it is written.

    Attributes:
        cls: the class, without type arguments.
        kind: whose class it is.
        fields: without those of pydantic's models, which know theirs.
        tag: of a tagged Struct, the name of the field that says which it is, and its value.
        is_array: whether it is written as an array rather than an object.
        omits_defaults: whether it is written without the fields that have their default.
    """

    cls: type[Any]
    kind: Kind
    fields: tuple[Field, ...]
    tag: tuple[str, str | int] | None = None
    is_array: bool = False
    omits_defaults: bool = False


def remembered(question: Callable[[Any], _T]) -> Callable[[Any], _T]:
    """Make a question about a type that is answered at once when it is asked again.

    A program has the same few types in many routes. Not for what tells the members of a union in
    their order, since unions are equal whatever that is.
    """
    known = lru_cache(maxsize=2048)(question)

    @wraps(question)
    def ask(annotation: Any) -> _T:
        try:
            return known(annotation)
        except TypeError:  # not hashable
            return question(annotation)

    return ask


def bare(annotation: Any) -> Any:
    """A type without what only describes it: ``Annotated``, ``NewType``, ``type X = ...``."""
    while True:
        if get_origin(annotation) in _WRAPPERS:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            annotation = annotation.__bound__ or Any
        elif is_alias(annotation):
            annotation = annotation.__value__
        elif is_alias(get_origin(annotation)):
            alias, args = get_origin(annotation), get_args(annotation)
            annotation = _filled(
                alias.__value__, dict(zip(alias.__type_params__, args, strict=False))
            )
        else:
            return annotation


def members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; none of any other type."""
    found = bare(annotation)
    return get_args(found) if get_origin(found) in (Union, types.UnionType) else ()


@remembered
def class_of(annotation: Any) -> type[Any] | None:
    """The class with fields that a type is, without type arguments; None for any other type."""
    found = bare(annotation)
    cls = get_origin(found) or found
    return cls if isinstance(cls, type) and _kind(cls) is not None else None


def holds(annotation: Any, wanted: Callable[[Any], bool]) -> bool:
    """Whether a type, or one that it is made of, is what is wanted.

    Fields of classes are not looked into.
    """
    return _holds(annotation, wanted, {})


def _holds(annotation: Any, wanted: Callable[[Any], bool], seen: dict[int, Any]) -> bool:
    if id(annotation) in seen:  # a type that stands for one with itself within
        return False
    seen[id(annotation)] = annotation  # kept, so that no other type gets its id
    found = bare(annotation)
    return wanted(found) or any(_holds(part, wanted, seen) for part in get_args(found))


def equals_default(field: Field) -> Callable[[Any], bool] | None:
    """What tells whether a value equals the default of a field; None if it has none."""
    default, factory = field.default, field.default_factory
    if default is not MISSING:
        return lambda value: value == default
    return (lambda value: value == factory()) if factory is not MISSING else None


def is_default(field: Field) -> Callable[[Any], bool] | None:
    """What tells whether ``omit_defaults`` of msgspec leaves a value out; None if it never does."""
    default, factory = field.default, field.default_factory
    if default is not MISSING:
        return lambda value: value is default
    if factory in (list, dict, set):
        return lambda value: type(value) is factory and not value
    return None


def is_pydantic(cls: Any) -> bool:
    """Whether a class is a model or a dataclass of pydantic's."""
    return isinstance(cls, type) and hasattr(cls, "__pydantic_core_schema__")


def outline_of(annotation: Any) -> Outline:
    """Read what a class with fields declares.

    Args:
        annotation: the class, with type arguments if it has parameters.

    Raises:
        StackError: a name in its annotations that nothing stands behind.
    """
    return _outline_of_class(annotation) if isinstance(annotation, type) else _read(annotation)


def _read(annotation: Any) -> Outline:
    found = bare(annotation)
    cls = class_of(found)
    kind = None if cls is None else _kind(cls)
    if cls is None or kind is None:
        raise StackError(f"Expected a class with fields, got {annotation!r}.")
    try:
        return _READERS[kind](found, cls)
    except NameError as exc:
        raise StackError(
            f"Expected the annotations of {cls.__module__}.{cls.__qualname__} to name types that"
            f" its module has, got {exc.name!r}; define or import it there, not only for type"
            " checkers."
        ) from exc


# A program has the same few models in many routes.
_outline_of_class = lru_cache(maxsize=1024)(_read)


def _kind(cls: Any) -> Kind | None:
    bases = cls.__mro__
    if is_pydantic(cls):
        return "pydantic"
    if dict in bases and hasattr(cls, "__required_keys__"):  # of typing_extensions, too
        return "typed dict"
    if dataclasses.is_dataclass(cls):
        return "dataclass"
    if hasattr(cls, "__attrs_attrs__"):
        return "attrs"
    if issubclass(cls, msgspec.Struct):
        return "struct"
    return "named tuple" if tuple in bases and hasattr(cls, "_fields") else None


def _pydantic(annotation: Any, cls: type[Any]) -> Outline:
    return Outline(cls, "pydantic", ())


def _struct(annotation: Any, cls: type[Any]) -> Outline:
    config = cls.__struct_config__
    fields = tuple(
        Field(field.name, field.encode_name, field.type, field.default, field.default_factory)
        for field in msgspec.structs.fields(annotation)
    )
    tag = None if config.tag is None else (config.tag_field, config.tag)
    return Outline(cls, "struct", fields, tag, config.array_like, config.omit_defaults)


def _dataclass(annotation: Any, cls: type[Any]) -> Outline:
    hints = _hints(annotation, cls)
    fields = tuple(
        Field(
            field.name,
            field.name,
            hints[field.name],
            MISSING if field.default is dataclasses.MISSING else field.default,
            MISSING if field.default_factory is dataclasses.MISSING else field.default_factory,
        )
        for field in dataclasses.fields(cls)
    )
    return Outline(cls, "dataclass", fields)


def _attrs(annotation: Any, cls: type[Any]) -> Outline:
    hints = _hints(annotation, cls)
    fields = tuple(
        _attrs_field(attribute, hints)
        for attribute in cls.__attrs_attrs__
        if not attribute.name.startswith("_")  # as msgspec, to which those are private
    )
    return Outline(cls, "attrs", fields)


def _attrs_field(attribute: Any, hints: Mapping[str, Any]) -> Field:
    annotation = hints.get(attribute.name, attribute.type or Any)
    factory = getattr(attribute.default, "factory", MISSING)
    if factory is not MISSING:
        made = MISSING if attribute.default.takes_self else factory
        return Field(attribute.name, attribute.name, annotation, MISSING, made)
    nothing = sys.modules["attr"].NOTHING
    default = MISSING if attribute.default is nothing else attribute.default
    return Field(attribute.name, attribute.name, annotation, default)


def _typed_dict(annotation: Any, cls: type[Any]) -> Outline:
    hints = _hints(annotation, cls)
    return Outline(cls, "typed dict", tuple(Field(name, name, hints[name]) for name in hints))


def _named_tuple(annotation: Any, cls: Any) -> Outline:
    hints = _hints(annotation, cls)
    fields = tuple(Field(name, name, hints.get(name, Any)) for name in cls._fields)
    return Outline(cls, "named tuple", fields, is_array=True)


_READERS: Final[dict[Kind, Callable[[Any, Any], Outline]]] = {
    "pydantic": _pydantic,
    "struct": _struct,
    "dataclass": _dataclass,
    "attrs": _attrs,
    "typed dict": _typed_dict,
    "named tuple": _named_tuple,
}


def _hints(annotation: Any, cls: type[Any]) -> dict[str, Any]:
    """The types of a class's fields, with its type arguments put in."""
    hints = get_type_hints(cls, include_extras=True)
    arguments = _arguments(annotation)
    return {name: _filled(hint, arguments) for name, hint in hints.items()} if arguments else hints


def _arguments(annotation: Any) -> dict[Any, Any]:
    """What stands for each type parameter of a generic class and of those that it comes from."""
    cls, args = get_origin(annotation) or annotation, get_args(annotation)
    found = dict(zip(getattr(cls, "__parameters__", ()), args, strict=False))
    for base in getattr(cls, "__orig_bases__", ()):
        if get_args(base) and get_origin(base) not in (Generic, Protocol):
            found.update(_arguments(_filled(base, found)))
    return found


def _filled(annotation: Any, arguments: Mapping[Any, Any]) -> Any:
    """A type with what stands for its type parameters put in."""
    if isinstance(annotation, TypeVar):
        return arguments.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if not parameters or not arguments:
        return annotation
    return annotation[tuple(arguments.get(one, one) for one in parameters)]


def is_alias(annotation: Any) -> bool:
    """Whether a type is the name of another: ``type X = ...``, which may be in it itself."""
    return type(annotation).__name__ == "TypeAliasType" and hasattr(annotation, "__value__")
