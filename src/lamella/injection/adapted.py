"""What pydantic makes of a value that is returned: is it valid, and what does it show of itself.

Floor 5. The only place that asks pydantic to write; it is imported for a type of its own alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lamella.exceptions import StackError
from lamella.injection._invalid import Invalid
from lamella.injection.selection import ResponseOptions

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["pydantic_json", "pydantic_objects", "pydantic_values"]


def pydantic_json(annotation: Any, options: ResponseOptions) -> Callable[[Any], bytes]:
    """Compile what validates a value and writes it as JSON.

    Args:
        annotation: a type that pydantic knows.
        options: what is left out.

    Returns:
        A function of the value. It raises ``Invalid`` if the value does not fit.

    Raises:
        StackError: a type that pydantic does not know.
    """
    adapter, validate = _adapted(annotation)
    keywords = options._asdict()
    return lambda value: adapter.serializer.to_json(validate(value), **keywords)


def pydantic_objects(annotation: Any, options: ResponseOptions) -> Callable[[Any], Any]:
    """Compile what validates a value and turns it into dicts, lists, texts and so on.

    Args and errors as ``pydantic_json``.
    """
    adapter, validate = _adapted(annotation)
    keywords: dict[str, Any] = options._asdict()
    return lambda value: adapter.serializer.to_python(validate(value), mode="json", **keywords)


def pydantic_values(annotation: Any) -> Callable[[Any], Any]:
    """Compile what validates a value and leaves it a value of its type.

    Args and errors as ``pydantic_json``.
    """
    return _adapted(annotation)[1]


def _adapted(annotation: Any) -> tuple[TypeAdapter[Any], Callable[[Any], Any]]:
    from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except PydanticSchemaGenerationError as exc:
        raise StackError(
            f"Expected a type that pydantic knows, got {annotation!r}; write response_model=None"
            " to return anything."
        ) from exc

    def validate(value: Any) -> Any:
        try:
            # Looked up anew: it is replaced when types that a model names are defined later.
            return adapter.validator.validate_python(value, from_attributes=True)
        except ValidationError as exc:
            raise Invalid([dict(error) for error in exc.errors(include_url=False)]) from None

    return adapter, validate
