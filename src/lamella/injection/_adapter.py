"""pydantic's own validation, for the types that are pydantic's.

Floor 5, on ``_invalid``. pydantic is imported when the first such type is met, which is when the
application is built, and never if there is none.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Annotated, Any, Final

from lamella.datastructures import UploadFile
from lamella.exceptions import StackError
from lamella.injection._invalid import MOST_ERRORS, Invalid, invalid
from lamella.injection._mode import EXACT, LAX, Decode
from lamella.params import Param

__all__ = ["adapter_decoder", "asks_pydantic", "is_pydantic_metadata", "is_pydantic_type"]

# What a parameter says that pydantic's Field says in the same word.
SAID: Final = (
    "gt",
    "ge",
    "lt",
    "le",
    "multiple_of",
    "allow_inf_nan",
    "max_digits",
    "decimal_places",
    "min_length",
    "max_length",
    "pattern",
    "strict",
    "discriminator",
    "union_mode",
    "fail_fast",
)
HOOKS: Final = ("__get_pydantic_core_schema__", "__pydantic_core_schema__")
PACKAGES: Final = frozenset(("pydantic", "pydantic_core"))


def is_pydantic_type(cls: Any) -> bool:
    """Tell whether pydantic alone knows how to read a type.

    Args:
        cls: a class, a generic one with its arguments, or anything else that is annotated.

    Raises:
        StackError: a model of pydantic's first version.
    """
    if isinstance(cls, type) and any(
        base.__module__.startswith("pydantic.v1.") for base in cls.__mro__
    ):
        raise StackError(
            f"Expected a model of pydantic 2, got {cls.__qualname__} of pydantic.v1;"
            " derive it from pydantic.BaseModel."
        )
    if isinstance(cls, type) and UploadFile in cls.__mro__:
        return False  # which tells pydantic, too
    return (
        any(hasattr(cls, hook) for hook in HOOKS)
        or getattr(cls, "__module__", "").partition(".")[0] in PACKAGES
    )


def is_pydantic_metadata(metadata: Iterable[Any]) -> bool:
    """Tell whether something in ``Annotated[...]`` is for pydantic.

    Args:
        metadata: what stands behind the type.
    """
    return any(
        hasattr(one, HOOKS[0]) or type(one).__module__.partition(".")[0] in PACKAGES
        for one in metadata
        if not isinstance(one, Param)
    )


def asks_pydantic(info: Param | None) -> bool:
    """Tell whether a parameter demands what pydantic alone can do, whatever its type.

    Args:
        info: the parameter.
    """
    return info is not None and (info.union_mode == "left_to_right" or bool(info.fail_fast))


def adapter_decoder(annotation: Any, info: Param | None = None) -> Decode:
    """Make the decoder of a type that pydantic validates.

    Args:
        annotation: the type.
        info: what the parameter demands besides.

    Returns:
        ``decode(value, mode)``, which validates as FastAPI 0.165 does: ``validate_python`` in lax
        mode with ``from_attributes``.

    Raises:
        StackError: pydantic cannot make a schema of it.
    """
    from pydantic import Field, TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    demands = {name: getattr(info, name) for name in SAID if getattr(info, name, None) is not None}
    wanted: Any = Annotated[annotation, Field(**demands)] if demands else annotation
    try:
        with warnings.catch_warnings():
            # Of an alias in Annotated[...], which is the parameter's business.
            warnings.simplefilter("ignore")
            adapter: TypeAdapter[Any] = TypeAdapter(wanted)
    except (PydanticUserError, TypeError, NameError) as exc:
        said = str(exc).partition("\n")[0]
        raise StackError(
            f"Expected a type that pydantic can read, got {annotation!r}: {said}"
        ) from exc
    validate = adapter.validate_python

    def decode_by_pydantic(value: Any, mode: int = LAX) -> Any:
        if mode == EXACT and not (isinstance(annotation, type) and isinstance(value, annotation)):
            raise invalid("is_instance_of", f"Input should be an instance of {annotation}", value)
        try:
            return validate(value, from_attributes=True)
        except ValidationError as exc:
            found = exc.errors(include_url=False)
        raise Invalid([dict(error) for error in found[:MOST_ERRORS]])

    return decode_by_pydantic
