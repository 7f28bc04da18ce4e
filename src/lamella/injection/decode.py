"""From what the network sends to typed values: a text, a JSON body, a parsed value.

Floor 5, on ``explain``. Made once a parameter, when the application is built. A JSON body of models
goes from its bytes straight into msgspec's decoder; what that one refuses is parsed again and
decoded by ``explain``, which takes what clients of pydantic's applications are used to send (a
number in a text) and says what is wrong with the rest. Types of pydantic's are validated by it.

Whatever comes in, the outcome is a value or ``Invalid``, in bounded time and memory: malformed
JSON, other encodings, NaN, numbers beyond all bounds, unpaired surrogates, endless nesting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import Any, Final

import msgspec

from lamella.injection._adapter import asks_pydantic, is_pydantic_metadata
from lamella.injection._constraints import NONE, ends_at_newline, gather, is_demand, words_of
from lamella.injection._invalid import Invalid, invalid
from lamella.injection.explain import Making, decoder, member, unset_fields
from lamella.injection.models import (
    Family,
    ModelField,
    family_of,
    field_names,
    is_model,
    is_read_by_json,
    is_scalar,
    is_sequence,
    split,
    walk,
)
from lamella.injection.outline import Outline, class_of, members, outline_of
from lamella.injection.scalars import decode_any, decode_str, identity
from lamella.params import Form, Param

__all__ = [
    "Family",
    "Invalid",
    "ModelField",
    "family_of",
    "field_names",
    "identity",
    "is_model",
    "is_read_by_json",
    "is_scalar",
    "is_sequence",
    "json_decoder",
    "object_decoder",
    "read_json",
    "text_decoder",
]

DEEPEST: Final = 200
"""How deep arrays and objects may be nested in a value whose errors are told, as in pydantic."""

NESTED_TOO_DEEPLY: Final = "Expected values nested less deeply"
AT_BYTE: Final = re.compile(
    r"(?:JSON is malformed: )?(.*?)(?: - at .*)?(?: \(byte (\d+)\))?", re.DOTALL
)


def text_decoder(annotation: Any, info: Param | None = None) -> Callable[[Any], Any]:
    """Make the decoder of a parameter in the path, the query, a header, a cookie or a form.

    Args:
        annotation: its type.
        info: what is demanded of it besides.

    Returns:
        A function from its text to the value; it takes a list of texts where
        ``is_sequence(annotation)``, and an ``UploadFile`` or bytes where the type is such. It
        raises ``Invalid``. ``identity`` if every text is a value, which need not be called then.

    Raises:
        StackError: a type that nobody can read, or of which what is demanded makes no sense.
    """
    if isinstance(annotation, type) and says_nothing(info):
        return _text_decoder_of_class(annotation, isinstance(info, Form))
    decode = decoder(annotation, info)
    if isinstance(info, Form):  # which may send a file where a text is wanted
        return decode
    base, metadata = split(annotation)
    others = [one for one in members(base) if one is not NoneType]
    plain = gather(metadata) == NONE and not is_pydantic_metadata(metadata)
    if len(others) == 1 and plain:  # nobody sends None
        return identity if decoder(others[0], info) is decode_str else decode
    return identity if decode is decode_str else decode


def json_decoder(annotation: Any, info: Param | None = None) -> Callable[[bytes], Any]:
    """Make the decoder of a whole JSON body.

    Args:
        annotation: its type.
        info: what is demanded of it besides.

    Returns:
        A function from the bytes to the value. It raises ``Invalid``, for malformed JSON with one
        error of the type ``json_invalid`` whose place is the position of it.

    Raises:
        StackError: a type that nobody can read, or of which what is demanded makes no sense.
    """
    if isinstance(annotation, type) and says_nothing(info):
        return _json_decoder_of_class(annotation)
    return make_json_decoder(annotation, info)


def make_json_decoder(annotation: Any, info: Param | None = None) -> Callable[[bytes], Any]:
    """Make one, of any type; see ``json_decoder``."""
    native = family_of(annotation) == "msgspec"
    decode = decoder(annotation, info, base64=native)
    if decode is decode_any:
        return read_json
    odd = oddities(annotation, info, native)
    fast = None if odd is None else native_decoder(annotation, decode)

    def decode_slowly(body: bytes) -> Any:
        return decode_parsed(read_json(body), decode)

    if fast is None or odd is None:
        return decode_slowly
    return guarded(fast, odd, decode_slowly) if odd else either(fast, decode_slowly)


def object_decoder(annotation: Any, info: Param | None = None) -> Callable[[Any], Any]:
    """Make the decoder of a value that is parsed already.

    Args:
        annotation: its type.
        info: what is demanded of it besides; and whether bytes in models are base64, as in JSON,
            or texts, as in a form.

    Returns:
        A function from a member of a JSON body, or from a dict of texts and lists of texts for a
        model of parameters, to the value. It raises ``Invalid``.

    Raises:
        StackError: a type that nobody can read, or of which what is demanded makes no sense.
    """
    in_json = info is None or info.source == "body"
    if isinstance(annotation, type) and says_nothing(info):
        return _object_decoder_of_class(annotation, in_json)
    return make_object_decoder(annotation, info, in_json)


def make_object_decoder(annotation: Any, info: Param | None, in_json: bool) -> Callable[[Any], Any]:
    """Make one, of any type; see ``object_decoder``."""
    native = in_json and family_of(annotation) == "msgspec"
    decode = decoder(annotation, info, base64=native)
    if decode is decode_any:
        return identity
    if native and oddities(annotation, info, native) == ():
        return converting(annotation, decode)

    def decode_object(value: Any) -> Any:
        return decode_parsed(value, decode)

    return decode_object


def says_nothing(info: Param | None) -> bool:
    """Tell whether a parameter demands nothing beyond its type."""
    return info is None or (
        info.discriminator is None and gather((), info) == NONE and not asks_pydantic(info)
    )


# A program has the same few models in many routes.
@lru_cache(maxsize=1024)
def _text_decoder_of_class(cls: type[Any], in_form: bool) -> Callable[[Any], Any]:
    decode = decoder(cls)
    return identity if decode is decode_str and not in_form else decode


@lru_cache(maxsize=1024)
def _json_decoder_of_class(cls: type[Any]) -> Callable[[bytes], Any]:
    return make_json_decoder(cls)


@lru_cache(maxsize=1024)
def _object_decoder_of_class(cls: type[Any], in_json: bool) -> Callable[[Any], Any]:
    return make_object_decoder(cls, None, in_json)


def decode_parsed(value: Any, decode: Callable[[Any], Any]) -> Any:
    """Decode a parsed value, and refuse to tell the errors of one that is nested endlessly."""
    try:
        return decode(value)
    except Invalid:
        if is_deep(value):
            raise malformed(0, NESTED_TOO_DEEPLY) from None
        raise
    except RecursionError:
        raise malformed(0, NESTED_TOO_DEEPLY) from None


def is_deep(value: Any) -> bool:
    """Tell whether a value is nested more deeply than an error can show."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


# -- JSON ----------------------------------------------------------------------------------------

_parse = msgspec.json.Decoder().decode


def read_json(body: bytes) -> Any:
    """Parse JSON.

    Args:
        body: UTF-8. NaN and numbers that no float can hold are refused, as RFC 8259 demands.

    Raises:
        Invalid: it is malformed; one error of the type ``json_invalid``.
    """
    try:
        return _parse(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        refused = exc
    raise what_is_malformed(body, refused)


def what_is_malformed(body: bytes, refused: Exception) -> Invalid:
    """Make the error for malformed JSON: in the words of Python's ``json`` where it agrees."""
    try:
        json.loads(body.decode(), parse_constant=refuse_constant)
    except json.JSONDecodeError as exc:
        return malformed(exc.pos, exc.msg)
    except UnicodeDecodeError as exc:
        return malformed(exc.start, "Invalid UTF-8")
    except RecursionError:
        return malformed(0, NESTED_TOO_DEEPLY)
    except ValueError:
        pass  # a constant that is none, a number with too many digits
    if isinstance(refused, RecursionError):
        return malformed(0, NESTED_TOO_DEEPLY)
    found = AT_BYTE.fullmatch(str(refused))
    why, at = found.groups() if found else (str(refused), None)
    if why == "Input data was truncated":
        why = "Unpaired surrogate"
    return malformed(int(at or 0), f"{why[:1].upper()}{why[1:]}")


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity."""
    raise ValueError(name)


def malformed(position: int, why: str) -> Invalid:
    """Make the error for malformed JSON."""
    return invalid("json_invalid", "JSON decode error", {}, {"error": why}, (position,))


# -- msgspec -------------------------------------------------------------------------------------


def oddities(annotation: Any, info: Param | None, base64: bool) -> tuple[bytes, ...] | None:
    """Tell what in a body msgspec's decoder reads otherwise than ``explain``.

    Args:
        annotation: the type.
        info: what is demanded of it besides.
        base64: whether bytes are base64.

    Returns:
        What a body may have in it if it is read otherwise, in lower case. None if that cannot be
        told by looking: there is metadata that msgspec does not know, or a field that a client
        must not set.
    """
    if not says_nothing(info):
        return None
    found: set[bytes] = set()
    for base, metadata in walk(annotation):
        if is_pydantic_metadata(metadata) or (base is bytes and not base64):
            return None
        if any(not isinstance(one, msgspec.Meta) and is_demand(one) for one in metadata):
            return None
        if class_of(base) is not None and differs(outline_of(base)):
            return None
        if base is Decimal:  # msgspec takes NaN and infinity
            found |= {b"nan", b"inf", b"\\u"}
        # msgspec lets a newline follow.
        if ends_at_newline(words_of(gather(metadata).pattern or "")):
            found |= {b"\\n", b"\\u"}
    return tuple(sorted(found))


def differs(outline: Outline) -> bool:
    """Tell whether msgspec makes an instance of a class otherwise than by calling it."""
    return bool(unset_fields(outline)) or outline.kind == "attrs"


def native_decoder(annotation: Any, decode: Callable[[Any], Any]) -> Callable[[bytes], Any] | None:
    """Make msgspec's decoder; None for a type that it does not know."""
    try:
        return msgspec.json.Decoder(annotation, dec_hook=hook()).decode
    except TypeError:
        return None


def hook() -> Callable[[Any, Any], Any]:
    """Make the function that decodes, inside of msgspec's types, those that it does not know."""
    made: dict[Any, Callable[[Any], Any]] = {}

    def decode_foreign(cls: Any, value: Any) -> Any:
        decode = made.get(cls)
        if decode is None:
            decode = made[cls] = member(cls, Making({}, base64=True)).decode
        return decode(value)

    return decode_foreign


def either(fast: Callable[[bytes], Any], slow: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Make the decoder that tries msgspec's and explains what that one refuses."""

    def decode_body(body: bytes) -> Any:
        try:
            return fast(body)
        except Exception:  # noqa: S110 -- a user's class may raise anything: the slow way does again
            pass
        return slow(body)

    return decode_body


def guarded(
    fast: Callable[[bytes], Any], odd: tuple[bytes, ...], slow: Callable[[bytes], Any]
) -> Callable[[bytes], Any]:
    """Make the decoder that goes the slow way if there is something odd in the body."""
    decode_body = either(fast, slow)

    def decode_guarded(body: bytes) -> Any:
        lower = body.lower()
        for one in odd:
            if one in lower:
                return slow(body)
        return decode_body(body)

    return decode_guarded


def converting(annotation: Any, decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make the decoder of parsed values that tries msgspec's and explains what that one refuses."""
    convert, foreign = msgspec.convert, hook()

    def decode_object(value: Any) -> Any:
        try:
            return convert(value, annotation, dec_hook=foreign)
        except Exception:  # noqa: S110 -- as in a body that is JSON as a whole
            pass
        return decode_parsed(value, decode)

    return decode_object
