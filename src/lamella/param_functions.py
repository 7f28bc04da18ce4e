"""Parameters as users write them: ``q: str = Query(min_length=3)``, ``Annotated[str, Query()]``.

Floor 5. Functions that make what is in ``params``, of the same names. They return ``Any``, so that
a type checker lets them stand as the default of a parameter of any type, as FastAPI's do.
"""

# The names are those of the classes.
# ruff: noqa: N802

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lamella.params import REQUIRED
from lamella.params import Body as _Body
from lamella.params import Cookie as _Cookie
from lamella.params import Depends as _Depends
from lamella.params import File as _File
from lamella.params import Form as _Form
from lamella.params import Header as _Header
from lamella.params import Path as _Path
from lamella.params import Query as _Query
from lamella.params import Security as _Security

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lamella.params import ExitScope, ParamOptions

__all__ = ["Body", "Cookie", "Depends", "File", "Form", "Header", "Path", "Query", "Security"]


def Path(default: Any = REQUIRED, **options: Unpack[ParamOptions]) -> Any:
    """A parameter in the path of the URL; see ``ParamOptions``."""
    return _Path(default, **options)


def Query(default: Any = REQUIRED, **options: Unpack[ParamOptions]) -> Any:
    """A parameter in the query string of the URL; see ``ParamOptions``."""
    return _Query(default, **options)


def Header(
    default: Any = REQUIRED, *, convert_underscores: bool = True, **options: Unpack[ParamOptions]
) -> Any:
    """A header of the request; underscores of its name are hyphens there."""
    return _Header(default, convert_underscores=convert_underscores, **options)


def Cookie(default: Any = REQUIRED, **options: Unpack[ParamOptions]) -> Any:
    """A cookie of the request; see ``ParamOptions``."""
    return _Cookie(default, **options)


def Body(
    default: Any = REQUIRED,
    *,
    embed: bool | None = None,
    media_type: str | None = None,
    **options: Unpack[ParamOptions],
) -> Any:
    """The body of the request, or one member of it; see ``params.Body``."""
    return _Body(default, embed=embed, media_type=media_type, **options)


def Form(
    default: Any = REQUIRED, *, media_type: str | None = None, **options: Unpack[ParamOptions]
) -> Any:
    """A field of a form, urlencoded or multipart; see ``ParamOptions``."""
    return _Form(default, media_type=media_type, **options)


def File(
    default: Any = REQUIRED, *, media_type: str | None = None, **options: Unpack[ParamOptions]
) -> Any:
    """A file of a multipart form: an ``UploadFile``, or ``bytes`` that are read at once."""
    return _File(default, media_type=media_type, **options)


def Depends(
    dependency: Callable[..., Any] | None = None,
    *,
    use_cache: bool = True,
    scope: ExitScope | None = None,
    inline: bool = False,
    max_concurrency: int | None = None,
) -> Any:
    """A value that a function makes; see ``params.Depends``."""
    return _Depends(
        dependency, use_cache=use_cache, scope=scope, inline=inline, max_concurrency=max_concurrency
    )


def Security(
    dependency: Callable[..., Any] | None = None,
    *,
    scopes: Sequence[str] | None = None,
    use_cache: bool = True,
    scope: ExitScope | None = None,
    inline: bool = False,
    max_concurrency: int | None = None,
) -> Any:
    """A dependency that asks for scopes of OAuth2; see ``params.Security``."""
    return _Security(
        dependency,
        scopes=scopes,
        use_cache=use_cache,
        scope=scope,
        inline=inline,
        max_concurrency=max_concurrency,
    )
