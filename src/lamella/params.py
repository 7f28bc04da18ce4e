"""What a parameter says of itself: where its value comes from, what it may be, how it is shown.

Floor 5. Names and keywords as FastAPI 0.165. These are the classes; the functions of the same names
in ``param_functions``, which type checkers take for a default value of any type, make them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypedDict

from lamella.concurrency import Limit
from lamella.exceptions import LamellaDeprecationWarning, StackError

if TYPE_CHECKING:
    import re

    from typing_extensions import Unpack

__all__ = [
    "REQUIRED",
    "Body",
    "Cookie",
    "Depends",
    "ExitScope",
    "File",
    "Form",
    "Header",
    "Param",
    "ParamOptions",
    "Path",
    "Query",
    "Security",
    "SecurityScopes",
    "Source",
]

Source = Literal["path", "query", "header", "cookie", "body", "form", "file"]
ExitScope = Literal["function", "request", "app"]


_OLDER_NAMES: Final = {"regex": "pattern", "example": "examples"}


def _warn_of(older: str, newer: str) -> None:
    """Warn where the user's own call is, past the functions of ``param_functions``."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("lamella."):
        frame, level = frame.f_back, level + 1
    warnings.warn(
        f"{older}= is deprecated: write {newer}= instead.",
        LamellaDeprecationWarning,
        stacklevel=level,
    )


class _Required:
    """The type of ``REQUIRED``."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""Stands for a default where there is none, as ``...`` does."""


class ParamOptions(TypedDict, total=False):
    """What every parameter may say, as keywords.

    Keys:
        default_factory: makes the value where the request has none, anew each time.
        validate_default: whether the value where the request has none is validated, too.
        alias: the name in the request; that of the function's parameter without it.
        validation_alias: as ``alias``, which it takes the place of; pydantic's ``AliasChoices``
            are several names, of which the first that the request has counts.
        gt, ge, lt, le: bounds of a number.
        multiple_of: what a number is a multiple of.
        allow_inf_nan: whether a float may be infinite or not a number.
        max_digits, decimal_places: of a decimal.
        min_length, max_length: of a text in characters, of bytes, or of a sequence in items.
        pattern: a regular expression that is found in the text.
        strict: whether a value must have its very type rather than one that can be converted.
        discriminator: the field that tells which model of a union it is.
        union_mode, fail_fast: as pydantic's ``Field`` has them; pydantic validates the value then.
        title, description, examples, openapi_examples, deprecated, json_schema_extra: for the
            OpenAPI document.
        regex, example: older names of ``pattern`` and ``examples``, which are deprecated.
        include_in_schema: whether the document shows the parameter.
    """

    default_factory: Callable[[], Any] | None
    validate_default: bool | None
    annotation: Any
    alias: str | None
    alias_priority: int | None
    validation_alias: Any
    serialization_alias: str | None
    title: str | None
    description: str | None
    gt: float | None
    ge: float | None
    lt: float | None
    le: float | None
    multiple_of: float | None
    allow_inf_nan: bool | None
    max_digits: int | None
    decimal_places: int | None
    min_length: int | None
    max_length: int | None
    pattern: str | re.Pattern[str] | None
    regex: str | None
    strict: bool | None
    discriminator: str | None
    union_mode: Literal["smart", "left_to_right"] | None
    fail_fast: bool | None
    examples: Sequence[Any] | None
    example: Any
    openapi_examples: Mapping[str, Mapping[str, Any]] | None
    deprecated: bool | str | None
    include_in_schema: bool
    json_schema_extra: Mapping[str, Any] | Callable[[dict[str, Any]], None] | None


class Param:
    """A parameter of an endpoint or of a dependency.

    Args:
        default: the value without one in the request. ``REQUIRED`` or ``...``: there must be one.
        options: see ``ParamOptions``.

    Raises:
        StackError: an option that no parameter has.
    """

    source: ClassVar[Source] = "query"
    default: Any = REQUIRED
    default_factory: Callable[[], Any] | None = None
    validate_default: bool | None = None
    annotation: Any = None
    alias: str | None = None
    alias_priority: int | None = None
    validation_alias: Any = None
    serialization_alias: str | None = None
    title: str | None = None
    description: str | None = None
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    multiple_of: float | None = None
    allow_inf_nan: bool | None = None
    max_digits: int | None = None
    decimal_places: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | re.Pattern[str] | None = None
    strict: bool | None = None
    discriminator: str | None = None
    union_mode: Literal["smart", "left_to_right"] | None = None
    fail_fast: bool | None = None
    examples: Sequence[Any] | None = None
    example: Any = REQUIRED
    openapi_examples: Mapping[str, Mapping[str, Any]] | None = None
    deprecated: bool | str | None = None
    include_in_schema: bool = True
    json_schema_extra: Mapping[str, Any] | Callable[[dict[str, Any]], None] | None = None

    def __init__(self, default: Any = REQUIRED, **options: Unpack[ParamOptions]) -> None:
        self.default = REQUIRED if default is ... else default
        given: dict[str, Any] = dict(options)
        for older, newer in _OLDER_NAMES.items():
            if given.get(older) is not None:
                _warn_of(older, newer)
        if "regex" in given:
            given.setdefault("pattern", given.pop("regex"))
        for name, value in given.items():
            if name not in ParamOptions.__annotations__:
                raise StackError(
                    f"Expected an option of {type(self).__name__}(...), got {name!r}; what only"
                    " the OpenAPI document shows goes into json_schema_extra={...}."
                )
            setattr(self, name, value)

    @property
    def names_in_request(self) -> tuple[str, ...]:
        """The names that the request has it under, the best first; none: the parameter's own."""
        alias = self.validation_alias
        choices = [alias] if isinstance(alias, str) else getattr(alias, "choices", ())
        if choices and all(isinstance(one, str) for one in choices):
            return tuple(choices)
        return () if self.alias is None else (self.alias,)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({said})"


class Path(Param):
    """A parameter in the path of the URL, always required."""

    source: ClassVar[Source] = "path"


class Query(Param):
    """A parameter in the query string of the URL."""

    source: ClassVar[Source] = "query"


class Header(Param):
    """A header of the request.

    Args:
        default: see ``Param``.
        convert_underscores: whether the underscores of the name are hyphens in the header's.
        options: see ``ParamOptions``.
    """

    source: ClassVar[Source] = "header"

    def __init__(
        self,
        default: Any = REQUIRED,
        *,
        convert_underscores: bool = True,
        **options: Unpack[ParamOptions],
    ) -> None:
        super().__init__(default, **options)
        self.convert_underscores = convert_underscores


class Cookie(Param):
    """A cookie of the request."""

    source: ClassVar[Source] = "cookie"


class Body(Param):
    """The body of the request, or one member of it.

    Args:
        default: see ``Param``.
        embed: whether a single one is the member of an object that has the parameter's name, as
            several are.
        media_type: what the OpenAPI document names.
        options: see ``ParamOptions``.
    """

    source: ClassVar[Source] = "body"
    media_type = "application/json"

    def __init__(
        self,
        default: Any = REQUIRED,
        *,
        embed: bool | None = None,
        media_type: str | None = None,
        **options: Unpack[ParamOptions],
    ) -> None:
        super().__init__(default, **options)
        self.embed = embed
        if media_type is not None:
            self.media_type = media_type


class Form(Body):
    """A field of a form, urlencoded or multipart."""

    source: ClassVar[Source] = "form"
    media_type = "application/x-www-form-urlencoded"


class File(Form):
    """A file of a multipart form: an ``UploadFile``, or ``bytes`` that are read at once."""

    source: ClassVar[Source] = "file"
    media_type = "multipart/form-data"


class Depends:
    """A value that a function makes: a dependency.

    Args:
        dependency: the function, class or callable. None: the class that is the annotation.
        use_cache: whether it is made once a request, however many ask for it.
        scope: when what stands behind its ``yield`` runs. "request": after the response has been
            sent. "function": before. "app": when the application ends; it is made in the lifespan.
            None: "request" for those that yield.
        inline: whether a sync one is called in the event loop rather than in the thread pool.
            For what neither blocks nor computes for long.
        max_concurrency: how many of it there may be at once, in one event loop, from the beginning
            to behind its ``yield``; further requests wait. None: any number.
    """

    scopes: Sequence[str] = ()

    def __init__(
        self,
        dependency: Callable[..., Any] | None = None,
        *,
        use_cache: bool = True,
        scope: ExitScope | None = None,
        inline: bool = False,
        max_concurrency: int | None = None,
    ) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise StackError(f"Expected max_concurrency to be 1 or more, got {max_concurrency!r}.")
        if dependency is not None and not callable(dependency):
            raise StackError(
                f"Expected a function, a class or a callable in Depends(...), got {dependency!r}."
            )
        if scope not in (None, "function", "request", "app"):
            raise StackError(
                "Expected the scope of a dependency to be 'function', 'request' or 'app',"
                f" got {scope!r}."
            )
        self.dependency = dependency
        self.use_cache = use_cache
        self.scope: ExitScope | None = scope
        self.inline = inline
        self.limit = None if max_concurrency is None else Limit(max_concurrency)

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({said})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.dependency, self.use_cache, self.scope, tuple(self.scopes)))


class Security(Depends):
    """A dependency that asks for scopes of OAuth2.

    Args:
        dependency: see ``Depends``.
        scopes: the names of the scopes; ``SecurityScopes`` gathers them along the way here.
        use_cache: see ``Depends``.
        scope: see ``Depends``.
        inline: see ``Depends``.
        max_concurrency: see ``Depends``.
    """

    def __init__(
        self,
        dependency: Callable[..., Any] | None = None,
        *,
        scopes: Sequence[str] | None = None,
        use_cache: bool = True,
        scope: ExitScope | None = None,
        inline: bool = False,
        max_concurrency: int | None = None,
    ) -> None:
        super().__init__(
            dependency,
            use_cache=use_cache,
            scope=scope,
            inline=inline,
            max_concurrency=max_concurrency,
        )
        if isinstance(scopes, str):
            raise StackError(
                f"Expected scopes to be a list of names in Security(...), got {scopes!r}."
            )
        self.scopes = tuple(scopes or ())


class SecurityScopes:
    """The scopes of OAuth2 that led to a dependency: ask for it by this type.

    Args:
        scopes: names, outermost first, each once.

    Attributes:
        scopes: the same, as a list.
        scope_str: the same, with blanks between them.
    """

    def __init__(self, scopes: Sequence[str] | None = None) -> None:
        self.scopes = list(scopes or ())
        self.scope_str = " ".join(self.scopes)
