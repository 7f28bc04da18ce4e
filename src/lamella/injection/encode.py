"""From what an endpoint returns to JSON, by the type that it declares.

Floor 5, on ``encoders``. Three ways: without a type as FastAPI's ``jsonable_encoder``; with one
that is pydantic's by pydantic; else by msgspec. In the latter two no field goes out that the type
lacks, at any depth. NaN and infinity are refused where there is no type, as Starlette does, and
null where there is one, as both libraries write them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any, Final

import msgspec

from lamella._json import encode
from lamella.encoders import foreign, jsonable
from lamella.exceptions import ResponseValidationError
from lamella.injection._invalid import Invalid, placed
from lamella.injection.adapted import pydantic_json, pydantic_objects
from lamella.injection.decode import family_of
from lamella.injection.exact import exactness
from lamella.injection.fit import fitting, known_to_msgspec, text
from lamella.injection.outline import bare, holds
from lamella.injection.projection import holds_classes, projector
from lamella.injection.selection import ResponseOptions, as_pydantic_takes
from lamella.params import REQUIRED

__all__ = ["ResponseOptions", "json_encoder", "object_encoder"]

_ALL: Final = ResponseOptions()
_NO_TYPES: Final = (None, REQUIRED, inspect.Parameter.empty)
_SAFE: Final = frozenset((str, int, bool, type(None)))
# The types that any plain dict or list is of.
_OF_ANYTHING: Final[dict[type[Any], tuple[Any, ...]]] = {
    dict: (dict, dict[str, Any], dict[str, object], dict[Any, Any], Any, object),
    list: (list, list[Any], list[object]),
}
_encode: Final = msgspec.json.Encoder(enc_hook=foreign).encode


def json_encoder(annotation: Any, options: ResponseOptions = _ALL) -> Callable[[Any], bytes]:
    """Compile what turns the values that an endpoint returns into JSON.

    Args:
        annotation: the declared type; ``REQUIRED``, None or ``inspect.Parameter.empty`` for none,
            and then the options mean nothing, as in FastAPI.
        options: what is left out.

    Returns:
        A function of a value. It raises ``ResponseValidationError`` for one that does not fit the
        type, and ``ValueError`` or ``TypeError`` for one that JSON cannot hold or that holds
        itself.

    Raises:
        StackError: a type or an option that has no meaning here.
    """
    if _is_none(annotation):
        return untyped_json
    if options == _ALL and isinstance(annotation, type):
        return _json_encoder_of_class(annotation)
    return _json_encoder(annotation, options)


def _json_encoder(annotation: Any, options: ResponseOptions) -> Callable[[Any], bytes]:
    options = _as_sets(options)
    if family_of(annotation) == "pydantic":
        return _checked(pydantic_json(annotation, options))
    show = _shown(annotation, options)
    slowly = _checked(lambda value: _written(show(value)))
    is_exact = _exactness(annotation) if options == _ALL else None
    return slowly if is_exact is None else _exactly(is_exact, slowly)


@lru_cache(maxsize=1024)  # a program has the same few models in many routes
def _json_encoder_of_class(cls: type[Any]) -> Callable[[Any], bytes]:
    return _json_encoder(cls, _ALL)


def object_encoder(annotation: Any, options: ResponseOptions = _ALL) -> Callable[[Any], Any]:
    """Compile what turns the values that an endpoint returns into dicts, lists, texts and so on.

    For responses that write them in their own way; see ``json_encoder``.
    """
    if _is_none(annotation):
        return jsonable
    options = _as_sets(options)
    if family_of(annotation) == "pydantic":
        return _checked(pydantic_objects(annotation, options))
    show = _shown(annotation, options)
    slowly = _checked(lambda value: _builtins(show(value)))
    is_exact = _exactness(annotation) if options == _ALL else None
    if is_exact is None:
        return slowly
    return _checked(lambda value: _builtins(value) if is_exact(value) else slowly(value))


def untyped_json(value: Any) -> bytes:
    """Encode a value without a declared type, as FastAPI does.

    Raises:
        ValueError: NaN or infinity, or a value that JSON cannot hold or that holds itself.
        TypeError: a dict with keys that JSON cannot hold.
    """
    try:
        if is_plain(value):
            encoded = _encode(value)
            # FastAPI drops keys that begin so: they are SQLAlchemy's. PERF: `in` takes 0.2 us.
            if encoded.find(b'"_sa') < 0:
                return encoded
    except (UnicodeEncodeError, RecursionError):
        pass  # a lone surrogate; a value that holds itself, which is said below
    return encode(jsonable(value)).encode("utf-8", "backslashreplace")


def is_plain(value: Any) -> bool:
    """Whether msgspec writes a value as ``json`` does: no types but JSON's own, no NaN.

    PERF: this and msgspec take half as long as ``json``.
    """
    kind = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or (type(item) not in _SAFE and not is_plain(item)):
                return False
        return True
    if kind is list or kind is tuple:
        for item in value:  # noqa: SIM110 - PERF: `all` takes longer
            if type(item) not in _SAFE and not is_plain(item):
                return False
        return True
    return isfinite(value) if kind is float else kind in _SAFE


def _shown(annotation: Any, options: ResponseOptions) -> Callable[[Any], Any]:
    chosen = options.include is not None or options.exclude is not None
    if chosen or holds_classes(annotation) or not known_to_msgspec(annotation):
        return projector(annotation, options)
    return _leaf(annotation)


def _checked(encoder: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An encoder whose errors are those of a response."""

    def encode_checked(value: Any) -> Any:
        try:
            return encoder(value)
        except Invalid as exc:
            errors = placed(exc.errors, "response")
            raise ResponseValidationError(errors, body=value) from None
        except RecursionError as exc:
            raise ValueError(
                f"Expected a value that JSON can hold, got one of type {type(value).__name__} that"
                " holds itself, or is nested too deep."
            ) from exc

    return encode_checked


def _exactly(
    is_exact: Callable[[Any], bool], slowly: Callable[[Any], bytes]
) -> Callable[[Any], bytes]:
    """An encoder that leaves values to msgspec that hold no more than what is declared."""

    def encode_exact(value: Any) -> bytes:
        try:
            if is_exact(value):
                return _encode(value)
        except (UnicodeEncodeError, RecursionError):
            pass
        return slowly(value)

    return encode_exact


def _exactness(annotation: Any) -> Callable[[Any], bool] | None:
    kind = _kind_of_anything(annotation)
    if kind is None:
        return exactness(annotation)
    return lambda value: type(value) is kind and is_plain(value)


def _kind_of_anything(annotation: Any) -> type[Any] | None:
    found = bare(annotation)
    return next((cls for cls, names in _OF_ANYTHING.items() if found in names), None)


def _leaf(annotation: Any) -> Callable[[Any], Any]:
    """What fits a value to a type without classes.

    Bytes in what is declared no further, or by themselves, are text, as in FastAPI; else base64, as
    they are read.
    """
    fit = fitting(annotation)
    wanted = _may_be_bytes if family_of(annotation) == "scalar" else _may_hold_anything
    if not holds(annotation, wanted):
        return fit

    def fit_with_text(value: Any) -> Any:
        fitted = msgspec.to_builtins(fit(value), builtin_types=(bytes,), enc_hook=foreign)
        return text(fitted)

    return fit_with_text


def _may_hold_anything(found: Any) -> bool:
    return found in (Any, object, dict, list, tuple, set, frozenset)


def _may_be_bytes(found: Any) -> bool:
    return found is bytes or _may_hold_anything(found)


def _written(shown: Any) -> bytes:
    try:
        return _encode(shown)
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8, but an escape in JSON
        return encode(_builtins(shown)).encode("utf-8", "backslashreplace")


def _builtins(shown: Any) -> Any:
    return msgspec.to_builtins(shown, str_keys=True, enc_hook=foreign)


def _is_none(annotation: Any) -> bool:
    return any(annotation is one for one in _NO_TYPES)


def _as_sets(options: ResponseOptions) -> ResponseOptions:
    return options._replace(
        include=as_pydantic_takes(options.include), exclude=as_pydantic_takes(options.exclude)
    )
