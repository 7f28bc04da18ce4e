"""How one argument is read from a request, as plans have it.

Floor 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lamella.injection._invalid import invalid
from lamella.injection.provider import Parameter
from lamella.params import REQUIRED

__all__ = ["Decode", "Gathered", "Quick", "Read", "decode_absent"]

Decode = Callable[[Any], Any]


class Gathered(NamedTuple):
    """One field of a model that is gathered from several values.

    Attributes:
        names: each for the model and in the request, the best first.
        several: whether it takes every value of its name.
        wants_bytes: whether a file is read for it.
    """

    names: tuple[tuple[str, str], ...]
    several: bool
    wants_bytes: bool


class Read(NamedTuple):
    """How one argument is read.

    Attributes:
        name: of the argument.
        alias: in the request.
        decode: from the text to the value; None if the text is the value.
        default: the value of an absent one; ``REQUIRED`` if it must be there.
        make_default: makes that value anew, if it could be changed by who gets it.
        place: where it is, as an error says it.
        parameter: all that is known of it.
        fields: of a model that is gathered from several values.
        decode_json: from the bytes of a body that is all of it.
        wants_bytes: whether a file is read for it.
        others: how it is read under the other names that it may have, the best first.
        may_lack: whether a model is left out where the request has nothing of it.
        takes_others: whether what the model does not name is something of it, too.
        is_union: whether it is a union of models, to which all that a form has is given.
    """

    name: str
    alias: str
    decode: Decode | None
    default: Any
    make_default: Callable[[], Any] | None
    place: tuple[str, ...]
    parameter: Parameter
    fields: tuple[Gathered, ...] = ()
    decode_json: Decode | None = None
    wants_bytes: bool = False
    others: tuple[Read, ...] = ()
    may_lack: bool = False
    takes_others: bool = False
    is_union: bool = False


Quick = tuple[str, str, Decode | None, Read]


def decode_absent(read: Read) -> Any:
    """The value of what the request lacks.

    Raises:
        Invalid: it is required.
    """
    if read.make_default is not None:
        return read.make_default()
    if read.default is REQUIRED:
        raise invalid("missing", "Field required", None)
    return read.default
