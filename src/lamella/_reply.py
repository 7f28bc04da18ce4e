"""From what a typed endpoint returns to the response.

Floor 6. A ``Response`` goes out as it is. Anything else is encoded by the type that the endpoint
declares, and never with a field that the type lacks.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Iterator,
)
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Union, cast

from lamella._inspect import describe
from lamella._item_streams import json_lines, raw_stream
from lamella._json import encode
from lamella._response import json_response
from lamella.encoders import jsonable_encoder
from lamella.exceptions import DependencyError, StackError
from lamella.injection.decode import family_of
from lamella.injection.encode import ResponseOptions, json_encoder, object_encoder, untyped_json
from lamella.injection.signature import annotation_parts, read_signature
from lamella.params import REQUIRED
from lamella.responses import Response, StreamingResponse
from lamella.sse import EventSourceResponse, event_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from lamella.injection.provider import Provider
    from lamella.injection.resolve import Solved

__all__ = ["Reply", "reply_for"]

_BODILESS: Final = frozenset((204, 205, 304))
_STREAMS: Final = (
    AsyncGenerator,
    AsyncIterator,
    AsyncIterable,
    Generator,
    Iterator,
    Iterable,
)


@dataclass(eq=False)
class Reply:
    """How the response of a route is made.

    Attributes:
        endpoint: the function.
        model: the declared type of what it returns; ``REQUIRED`` if there is none.
        stream: "jsonl", "sse" or "raw" for an endpoint that yields; None for one that returns.
        item: the declared type of what it yields; ``REQUIRED`` if there is none.
        response_class: None for JSON.
        status_code: None for that of the class.
        options: what of a model is shown.
    """

    endpoint: Callable[..., Any]
    model: Any
    stream: str | None
    item: Any
    response_class: type[Response] | None
    status_code: int | None
    options: ResponseOptions

    def __post_init__(self) -> None:
        self._is_usual = self.response_class is None and self.status_code in (None, 200)

    @cached_property
    def encode(self) -> Callable[[Any], bytes]:
        """From a value, or an item of a stream, to JSON."""
        if self.stream is not None and self.item is REQUIRED:
            return _item_json
        return json_encoder(self.model if self.stream is None else self.item, self.options)

    @cached_property
    def _content(self) -> Callable[[Any], Any]:
        return object_encoder(self.model, self.options)

    def prepare(self) -> None:
        """Compile what encodes, so that a type that cannot be is found when the app is built.

        Raises:
            StackError: a type, or an option, that has no meaning for it.
        """
        _ = self.encode if self.response_class is None or self.stream is not None else self._content

    def make(self, value: Any, solved: Solved | None) -> Response:
        """The response of a value that is none itself.

        Raises:
            ResponseValidationError: it does not fit the declared type.
        """
        if self._is_usual and solved is None:
            return json_response(self.encode(value))
        status_code, background = self.status_code, None
        if solved is not None:
            background = solved.background
            if solved.response is not None and solved.response.status_code:
                status_code = solved.response.status_code
        if self.response_class is None:
            response = Response(
                self.encode(value),
                200 if status_code is None else status_code,
                None,
                "application/json",
                background,
            )
        else:
            given: dict[str, Any] = {} if status_code is None else {"status_code": status_code}
            response = self.response_class(self._content(value), **given, background=background)
        if response.status_code < 200 or response.status_code in _BODILESS:
            self._empty(response)
        return self._with_headers(response, solved)

    def _empty(self, response: Response) -> None:
        """Take the body from a response whose status has none (RFC 9110 section 6.4.1)."""
        response.body = b""
        response.raw_headers[:] = [
            pair for pair in response.raw_headers if pair[0] != b"content-length"
        ]

    def _with_headers(self, response: Response, solved: Solved | None) -> Response:
        if solved is not None and solved.response is not None:
            response.raw_headers.extend(solved.response.raw_headers)
        return response

    def open_stream(self, items: Any, solved: Solved | None) -> Response:
        """The response of an endpoint that yields."""
        status_code = self.status_code
        if solved is not None and solved.response is not None and solved.response.status_code:
            status_code = solved.response.status_code
        cls = cast("Any", self.response_class)
        if self.stream == "sse":
            response = event_source(
                items,
                self.encode,
                encode_data=_item_json,
                response_class=cls,
                status_code=status_code,
            )
        elif self.stream == "jsonl":
            response = json_lines(items, self.encode, status_code=status_code or 200)
        else:
            response = raw_stream(items, response_class=cls, status_code=status_code)
        if solved is not None and solved.background is not None:
            response.background = solved.background
        return self._with_headers(response, solved)


def _item_json(value: Any) -> bytes:
    """An item without a declared type; NaN and infinity are null, since a stream goes on."""
    try:
        return untyped_json(value)
    except ValueError:
        return encode(_without_nan(jsonable_encoder(value))).encode("utf-8", "backslashreplace")


def _without_nan(value: Any) -> Any:
    """A value of JSON with null for numbers that it does not have, and names for such keys."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        parts: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {_key(key): _without_nan(item) for key, item in parts.items()}
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return [_without_nan(item) for item in items]
    return value


def _key(key: Any) -> Any:
    return _NAMES.get(repr(key), key) if isinstance(key, float) else key


_NAMES: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}  # as `json` has them


def reply_for(
    provider: Provider,
    *,
    response_model: Any,
    response_class: type[Response] | None,
    status_code: int | None,
    options: ResponseOptions,
) -> Reply:
    """How the response of an endpoint is made.

    Args:
        provider: the endpoint.
        response_model: as declared for the route; ``REQUIRED``: as its return annotation says;
            None: no type.
        response_class: None for JSON.
        status_code: None for that of the class.
        options: what of a model is shown.

    Raises:
        DependencyError: a type that cannot be written as JSON.
    """
    endpoint = provider.call
    stream, item = None, REQUIRED
    model = _return_annotation(endpoint) if response_model is REQUIRED else response_model
    if provider.yields:
        stream = _stream_kind(endpoint, response_class)
        item, model = _item_of(model), REQUIRED
    elif model is None or _is_response(model):
        model = REQUIRED
    declared = model if stream is None else item
    if declared is not REQUIRED:
        _check(declared, endpoint)
        if status_code is not None and (status_code < 200 or status_code in _BODILESS):
            raise DependencyError(
                f"Status code {status_code} must not have a response body, got the type"
                f" {declared!r} for {describe(endpoint)}; take it out, or choose another status."
            )
    return Reply(endpoint, model, stream, item, response_class, status_code, options)


def _return_annotation(endpoint: Callable[..., Any]) -> Any:
    annotation = read_signature(endpoint).return_annotation
    if annotation is inspect.Signature.empty or annotation is None:
        return None
    return annotation


def _is_response(model: Any) -> bool:
    kind, _ = annotation_parts(model)
    kind = typing.get_origin(kind) or kind
    return isinstance(kind, type) and issubclass(kind, Response)


def _stream_kind(endpoint: Callable[..., Any], response_class: type[Response] | None) -> str:
    if response_class is None:
        return "jsonl"
    if issubclass(response_class, EventSourceResponse):
        return "sse"
    if issubclass(response_class, StreamingResponse):
        return "raw"
    raise DependencyError(
        f"Expected the response class of {describe(endpoint)}, which yields, to be a"
        f" StreamingResponse, got {response_class.__name__}; without one it sends JSON lines."
    )


def _item_of(model: Any) -> Any:
    """The type of the items, from `AsyncIterable[Item]` and the like."""
    kind, _ = annotation_parts(model)
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in _STREAMS and arguments:
        return REQUIRED if arguments[0] is Any else arguments[0]
    return REQUIRED


def _check(model: Any, endpoint: Callable[..., Any]) -> None:
    kind, _ = annotation_parts(model)
    members = typing.get_args(kind) if typing.get_origin(kind) in (Union, UnionType) else (kind,)
    try:
        for member in members:
            family_of(object() if _is_response(member) else member)
        family_of(model)
    except StackError as exc:
        raise DependencyError(
            f"Expected the return type of {describe(endpoint)} to be one that can be written as"
            f" JSON, got {model!r}: {exc}\nWrite response_model=None if it returns responses, or"
            " response_model=... with the type."
        ) from exc
