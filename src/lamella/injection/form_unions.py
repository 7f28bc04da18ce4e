"""Unions of models of which a form has the fields.

Floor 5, on ``explain``. A form does not tell a list of one item from a text, nor an empty field
from one that was left out: what it has means another thing to each model of the union.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Union, cast

from lamella.datastructures import FormData
from lamella.injection._containers import is_list
from lamella.injection.decode import decode_parsed
from lamella.injection.explain import decoder
from lamella.injection.gather import gathered_fields
from lamella.injection.models import family_of, split
from lamella.injection.outline import class_of, members

if TYPE_CHECKING:
    from lamella.injection._mode import ShapeOf
    from lamella.injection.read import Gathered
    from lamella.params import Param

__all__ = ["form_union_decoder"]


def form_union_decoder(
    annotation: Any, info: Param, fields_of: Callable[[Any], tuple[Gathered, ...]]
) -> Callable[[Any], Any]:
    """Make the decoder of a union of models.

    Args:
        annotation: the union.
        info: what is demanded of it besides.
        fields_of: tells how a model's fields are gathered.

    Returns:
        A function from all that a form has, by name, to the value. It raises ``Invalid``.

    Raises:
        StackError: a type that nobody can read, or of which what is demanded makes no sense.
    """

    def shape_of(model: Any) -> Callable[[Any], Any]:
        fields = fields_of(model)
        return lambda value: _shaped(value, fields)

    if family_of(annotation) == "pydantic":
        decode = decoder(_with_shapes(annotation, shape_of), info)
    else:
        decode = decoder(annotation, info, shape_of=shape_of)
    return lambda value: decode_parsed(value, decode)


def _shaped(value: Any, fields: tuple[Gathered, ...]) -> Any:
    """What a form has, as a model takes it."""
    if type(value) is not dict:  # a validator made something else of it
        return value
    given = cast("dict[str, Any]", value)
    pairs: list[tuple[str, Any]] = []
    for name, several in given.items():
        pairs += [(name, one) for one in (several if is_list(several) else [several])]
    shaped, _ = gathered_fields(fields, FormData(pairs))
    # No form has these: a validator put them there.
    shaped.update((name, one) for name, one in given.items() if one is None or one == [])
    return shaped


def _with_shapes(annotation: Any, shape_of: ShapeOf) -> Any:
    """A union of pydantic's models, each of which has what it gets shaped."""
    from pydantic import BeforeValidator, Tag

    base, metadata = split(annotation)
    choices: list[Any] = []
    for choice in members(base):
        model, said = split(choice)
        if class_of(model) is None:
            choices.append(choice)
            continue
        # Errors have the model's name in their place, as without the shape.
        tags = [one for one in said if isinstance(one, Tag)] or [Tag(model.__name__)]
        choices.append(Annotated[choice, BeforeValidator(shape_of(choice)), tags[-1]])
    union: Any = Union[tuple(choices)]  # noqa: UP007 - as many as there are
    return Annotated[union, *metadata] if metadata else union
