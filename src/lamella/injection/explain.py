"""The decoder of any type, which says everything that is wrong with a value.

Floor 5, on ``_containers``, ``_constraints`` and ``models``. It walks the annotation once, when an
application is built, and makes of it one function of nested functions. That function is the
reference: it decodes what comes as text, it decodes the JSON that msgspec's decoder refuses (a
number sent as a text, say), and it tells the errors, in the words of pydantic 2.14.
"""

from __future__ import annotations

import collections
import dataclasses
from collections import abc
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec

from lamella.exceptions import StackError
from lamella.injection._adapter import (
    adapter_decoder,
    asks_pydantic,
    is_pydantic_metadata,
    is_pydantic_type,
)
from lamella.injection._constraints import NONE, gather, limited
from lamella.injection._containers import (
    NO_MODEL,
    Member,
    array_decoder,
    is_list,
    is_mapping,
    mapping_decoder,
    optional_decoder,
    tagged_decoder,
    too_many,
    tuple_decoder,
    union_decoder,
)
from lamella.injection._invalid import MOST_ERRORS, Invalid, invalid, placed
from lamella.injection._mode import LAX, Decode, ShapeOf
from lamella.injection.models import family_of, field_names, split
from lamella.injection.outline import (
    ARRAYS,
    MAPPINGS,
    Outline,
    bare,
    class_of,
    members,
    outline_of,
)
from lamella.injection.scalars import (
    class_decoder,
    decode_any,
    decode_base64,
    label_of,
    literal_decoder,
)
from lamella.params import Param

__all__ = ["decoder"]
KINDS_OF_ARRAYS: Final[dict[Any, str]] = {
    tuple: "tuple",
    set: "set",
    abc.MutableSet: "set",
    frozenset: "frozenset",
    abc.Set: "frozenset",
    collections.deque: "deque",
}


class Making(NamedTuple):
    """What is known while one decoder is made.

    Attributes:
        made: the decoders of the classes that were met, for those that hold themselves.
        base64: whether bytes are base64, as msgspec writes them into JSON.
        shape_of: see ``decoder``.
    """

    made: dict[Any, Member]
    base64: bool
    shape_of: ShapeOf | None = None


def decoder(
    annotation: Any,
    info: Param | None = None,
    *,
    base64: bool = False,
    shape_of: ShapeOf | None = None,
) -> Decode:
    """Make the decoder of a type.

    Args:
        annotation: the type.
        info: the parameter whose type it is, for what that demands besides.
        base64: whether bytes are base64, rather than any text as UTF-8.
        shape_of: of a union of models, from one of them to what brings the value, a dict, into the
            form that this one takes.

    Returns:
        ``decode(value)``, from text or from parsed JSON to the value; it raises ``Invalid``.

    Raises:
        StackError: a type that nobody can read, or of which what is demanded makes no sense.
    """
    if family_of(annotation) == "pydantic" or asks_pydantic(info):
        return adapter_decoder(annotation, info)
    return member(annotation, Making({}, base64, shape_of), info).decode


def member(annotation: Any, making: Making, info: Param | None = None) -> Member:
    """Make the decoder of a type, with its name."""
    base, metadata = split(annotation)
    if is_pydantic_metadata(metadata) or is_pydantic_type(base):
        keys = frozenset(key for one in fields_of_pydantic(base) for key in one.names)
        return Member(adapter_decoder(annotation, info), named(base), keys, nests=True)
    if inner := members(base):
        return union(inner, metadata, making, info)
    made, limits = unlimited(base, making), gather(metadata, info)
    if limits == NONE:
        return made
    origin = get_origin(base) or base
    cls = origin if isinstance(origin, type) and origin not in (abc.Sequence, object) else None
    label = f"constrained-{made.label}" if cls in (int, str, float) else made.label
    decode = limited(made.decode, list if cls is abc.MutableSequence else cls, limits)
    return Member(decode, label, made.keys, made.nests)


def fields_of_pydantic(base: Any) -> list[Any]:
    """Return the fields of a model of pydantic's, none of another type."""
    return field_names(base) if is_pydantic_type(base) and class_of(base) is not None else []


def named(base: Any) -> str:
    """Name a type in the place of an error."""
    return getattr(base, "__name__", None) or str(base)


def unlimited(base: Any, making: Making) -> Member:
    """Make the decoder of a type of which nothing is demanded."""
    if class_of(base) is not None or bare(base) is not base:
        return recursive(base, making)
    origin, arguments = get_origin(base), get_args(base)
    if origin is Literal:
        told = ",".join(repr(value) for value in arguments)
        return Member(literal_decoder(arguments), f"literal[{told}]")
    if base in ARRAYS or origin in ARRAYS:
        return array(base, arguments, making)
    if base in MAPPINGS or origin in MAPPINGS:
        return mapping(arguments, making)
    if base is bytes and making.base64:
        return Member(decode_base64, "bytes")
    decode = class_decoder(base)
    if decode is None:
        raise StackError(f"Expected a type that can be read from JSON, got {base!r}.")
    return Member(decode, label_of(base))


def recursive(base: Any, making: Making) -> Member:
    """Make the decoder of a class or of a named type, which may hold itself."""
    if base in making.made:
        return making.made[base]
    inner: list[Decode] = []

    def decode_later(value: Any, mode: int = LAX) -> Any:
        return inner[0](value, mode)

    cls = class_of(base)
    if cls is None:
        making.made[base] = Member(decode_later, named(base), nests=True)
        found = member(bare(base), making)
    else:
        keys = frozenset(field.alias for field in field_names(base))
        making.made[base] = Member(decode_later, cls.__name__, keys, nests=True)
        found = Member(model_decoder(base, making), cls.__name__, keys, nests=True)
    inner.append(found.decode)
    making.made[base] = found
    return found


def array(base: Any, arguments: tuple[Any, ...], making: Making) -> Member:
    """Make the decoder of an array."""
    kind = KINDS_OF_ARRAYS.get(get_origin(base) or base, "list")
    if kind == "tuple" and is_fixed(base, arguments):
        items = [member(one, making) for one in arguments if one != ()]
        told = ", ".join(one.label for one in items)
        return Member(tuple_decoder([one.decode for one in items]), f"tuple[{told}]", nests=True)
    item = member(arguments[0], making) if arguments else Member(decode_any, "any")
    tail = ", ..." if kind == "tuple" else ""
    return Member(array_decoder(kind, item.decode), f"{kind}[{item.label}{tail}]", nests=True)


def is_fixed(base: Any, arguments: tuple[Any, ...]) -> bool:
    """Tell whether a tuple has a type for each of its items."""
    return get_origin(base) is not None and ... not in arguments


def mapping(arguments: tuple[Any, ...], making: Making) -> Member:
    """Make the decoder of a mapping."""
    if not arguments:
        return Member(mapping_decoder(decode_any, decode_any), "dict[any,any]", nests=True)
    key, item = (member(one, making) for one in (arguments if len(arguments) > 1 else [Any, Any]))
    label = f"dict[{key.label},{item.label}]"
    return Member(mapping_decoder(key.decode, item.decode), label, nests=True)


# -- unions --------------------------------------------------------------------------------------


def union(
    inner: tuple[Any, ...], metadata: tuple[Any, ...], making: Making, info: Param | None
) -> Member:
    """Make the decoder of a union."""
    others = [one for one in inner if split(one)[0] not in (None, NoneType, msgspec.UnsetType)]
    if len(others) == 1:  # what is demanded of it or None is demanded of it
        found = member(Annotated[others[0], *metadata] if metadata else others[0], making, info)
    else:
        decode = several(others, making, getattr(info, "discriminator", None))
        found = Member(limited(decode, None, gather(metadata, info)), "union", nests=True)
    if not any(split(one)[0] in (None, NoneType) for one in inner):
        return found
    label = f"nullable[{found.label}]"
    return Member(optional_decoder(found.decode), label, found.keys, found.nests)


def several(others: list[Any], making: Making, discriminator: str | None) -> Decode:
    """Make the decoder of a union of two types or more besides None."""
    tags = [tags_of(one, discriminator) for one in others]
    named_by = {name for name, _ in tags if name is not None}
    tagged = [at for at, (name, _) in enumerate(tags) if name is not None]
    if len(named_by) != 1 or len(tagged) < 2:
        return union_decoder([choice(one, making) for one in others])
    choices = {tag: choice(others[at], making).decode for at in tagged for tag in tags[at][1]}
    decode = tagged_decoder(named_by.pop(), choices)
    rest = [one for at, one in enumerate(others) if at not in tagged]
    if not rest:
        return decode
    objects = Member(decode, "tagged-union", nests=True)
    return union_decoder([objects, *(member(one, making) for one in rest)])


def choice(annotation: Any, making: Making) -> Member:
    """Make the decoder of one type of a union."""
    found = member(annotation, making)
    if making.shape_of is None or not found.keys:
        return found
    shape, decode = making.shape_of(annotation), found.decode

    def decode_shaped(value: Any, mode: int = LAX) -> Any:
        return decode(shape(value) if is_mapping(value) else value, mode)

    return found._replace(decode=decode_shaped)


def tags_of(annotation: Any, discriminator: str | None) -> tuple[str | None, tuple[Any, ...]]:
    """Return the key by which a model says which one it is, and what it says; None without."""
    base, _ = split(annotation)
    if class_of(base) is None or is_pydantic_type(base):
        return None, ()
    outline = outline_of(base)
    if outline.tag is not None and not outline.is_array:
        return outline.tag[0], (outline.tag[1],)
    for field in outline.fields if discriminator else ():
        kind = bare(field.annotation)
        if field.key == discriminator and get_origin(kind) is Literal:
            return discriminator, get_args(kind)
    return None, ()


# -- classes with fields -------------------------------------------------------------------------


class Slot(NamedTuple):
    """One field of a class: its name there, its key in JSON, its decoder, whether it has to be."""

    name: str
    key: str
    decode: Decode
    required: bool


def model_decoder(base: Any, making: Making) -> Decode:
    """Make the decoder of a class with fields.

    Args:
        base: the class, with its type arguments.
        making: what is known.
    """
    outline = outline_of(base)
    slots = tuple(slots_of(base, outline, making))
    closed = forbids_others(outline)
    build = builder_of(outline)
    classes: tuple[type[Any], ...] = () if build is dict else (outline.cls,)

    def decode_model(value: Any, mode: int = LAX) -> Any:
        if isinstance(value, classes):
            return value
        # Within a union an object is of a model only if nothing that is no object fits.
        given = given_fields(value, outline, slots) if mode == LAX else None
        if given is None:
            raise no_model(outline, value)
        arguments = decode_fields(value, given, outline, slots, mode, closed)
        try:
            return build(**arguments)
        except (ValueError, TypeError, AssertionError) as exc:
            raise refused(exc, value) from exc

    return decode_model


def builder_of(outline: Outline) -> Callable[..., Any]:
    """Return what makes an instance of its fields."""
    return dict if outline.kind == "typed dict" else outline.cls


def slots_of(base: Any, outline: Outline, making: Making) -> list[Slot]:
    """List the fields that are given to a class when one is made."""
    required = {field.name: field.required for field in field_names(base)}
    unset = unset_fields(outline)
    renamed = {
        one.name: one.alias
        for one in getattr(outline.cls, "__attrs_attrs__", ())
        if outline.kind == "attrs"
    }
    return [
        Slot(
            renamed.get(field.name, field.name),
            field.key,
            member(field.annotation, making).decode,
            required[field.name],
        )
        for field in outline.fields
        if field.name not in unset
    ]


def unset_fields(outline: Outline) -> frozenset[str]:
    """Return the fields that a class sets itself (``init=False``), which no client may."""
    if outline.kind == "dataclass":
        inner = dataclasses.fields(outline.cls)
    elif outline.kind == "attrs":
        inner = outline.cls.__attrs_attrs__
    else:
        return frozenset()
    return frozenset(field.name for field in inner if not field.init)


def forbids_others(outline: Outline) -> bool:
    """Tell whether a class takes no keys but those of its fields."""
    if outline.kind == "struct":
        return bool(outline.cls.__struct_config__.forbid_unknown_fields)
    return outline.kind == "named tuple"


def given_fields(
    value: Any, outline: Outline, slots: tuple[Slot, ...]
) -> Mapping[Any, tuple[Any, Any]] | None:
    """Return what is given: for each key its value and its place; None if it is no such value."""
    if is_mapping(value) and (not outline.is_array or outline.kind == "named tuple"):
        return {key: (one, key) for key, one in value.items()}
    if not outline.is_array or not is_list(value):
        return None
    keys = [slot.key for slot in slots]
    if outline.tag is not None:
        keys.insert(0, outline.tag[0])
    if outline.kind == "named tuple" and len(value) > len(keys):
        raise too_many("NamedTuple", len(keys), value, value)
    return {key: (one, at) for at, (key, one) in enumerate(zip(keys, value, strict=False))}


def decode_fields(
    value: Any,
    given: Mapping[Any, tuple[Any, Any]],
    outline: Outline,
    slots: tuple[Slot, ...],
    mode: int,
    closed: bool,
) -> dict[str, Any]:
    """Decode each field; the errors of all are told, those of unknown keys last."""
    arguments: dict[str, Any] = {}
    errors = tag_errors(given, outline)
    for at, slot in enumerate(slots):
        if slot.key in given:
            one, place = given[slot.key]
            try:
                arguments[slot.name] = slot.decode(one, mode)
            except Invalid as exc:
                errors += placed(exc.errors, place)
        elif slot.required:
            place = at if is_list(value) else slot.key
            errors += invalid("missing", "Field required", value, loc=(place,)).errors
    if closed:
        known: set[str] = {slot.key for slot in slots}
        if outline.tag is not None:
            known.add(outline.tag[0])
        for key, (one, place) in given.items():
            if key not in known and len(errors) < MOST_ERRORS:
                msg = "Extra inputs are not permitted"
                errors += invalid("extra_forbidden", msg, one, loc=(place,)).errors
    if errors:
        raise Invalid(errors[:MOST_ERRORS])
    return arguments


def tag_errors(given: Mapping[Any, tuple[Any, Any]], outline: Outline) -> list[dict[str, Any]]:
    """Tell that a value says it is another class."""
    if outline.tag is None or outline.tag[0] not in given:
        return []
    name, tag = outline.tag
    said, place = given[name]
    if said == tag:
        return []
    expected = repr(tag)
    msg, ctx = f"Input should be {expected}", {"expected": expected}
    return invalid("literal_error", msg, said, ctx, (place,)).errors


def no_model(outline: Outline, value: Any) -> Invalid:
    """Make the error for what is not an object at all."""
    name = outline.cls.__name__
    if outline.kind == "typed dict":
        return invalid("dict_type", "Input should be a valid dictionary", value)
    if outline.kind == "dataclass":
        msg = f"Input should be a dictionary or an instance of {name}"
        return invalid("dataclass_type", msg, value, {"class_name": name})
    if outline.kind == "named tuple":
        msg = f"Input should be a tuple, list, dictionary or an instance of {name}"
        return invalid("named_tuple_type", msg, value, {"class_name": name})
    if outline.is_array:
        return invalid("list_type", "Input should be a valid list", value)
    return invalid("model_attributes_type", NO_MODEL, value)


def refused(exc: Exception, value: Any) -> Invalid:
    """Make the error for what a class refuses itself, in ``__post_init__`` or a validator."""
    if isinstance(exc, AssertionError):
        return invalid("assertion_error", f"Assertion failed, {exc}", value, {"error": exc})
    return invalid("value_error", f"Value error, {exc}", value, {"error": exc})
