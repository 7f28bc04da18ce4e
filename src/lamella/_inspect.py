"""Questions about the callables that users hand over.

Floor 0. Asked when an app is built or an error is worded, never once per request.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

if sys.version_info >= (3, 14):
    from inspect import iscoroutinefunction
else:
    # Before 3.14 this one also knows the older mark that mocks and decorators put on a function.
    from asyncio import iscoroutinefunction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from typing_extensions import TypeIs

    _T = TypeVar("_T")
    _Async = Callable[..., Awaitable[_T]]

__all__ = ["describe", "is_async_callable"]


@overload
def is_async_callable(obj: _Async[_T]) -> TypeIs[_Async[_T]]: ...
@overload
def is_async_callable(obj: Any) -> TypeIs[_Async[Any]]: ...
def is_async_callable(obj: Any) -> Any:
    """Tell whether calling this gives a coroutine.

    True for an `async def`, a `functools.partial` of one at any depth, and an object whose class
    has an async `__call__`. An ordinary function that returns an awaitable is not recognised.

    Source: as Starlette 1.10, which says so of the class, too, whose objects are async.
    """
    obj = _unwrap_partial(obj)
    # Of the type, as Python calls it: a class whose objects are async is itself called like any.
    cls: type = type(obj)  # pyright: ignore[reportUnknownVariableType]
    called = getattr(cls, "__call__", None)  # noqa: B004 - it is looked into
    return any(map(iscoroutinefunction, (obj, called)))  # pyright: ignore[reportDeprecated]


def _unwrap_partial(obj: Any) -> Any:
    while isinstance(obj, functools.partial):
        obj = obj.func  # pyright: ignore[reportUnknownMemberType]
    return obj  # pyright: ignore[reportUnknownVariableType]


def describe(obj: object) -> str:
    """Name a user's function, class or object as errors do: `` `qualname` (file.py:12) ``.

    The path is the one of a traceback, relative to the working directory where it lies below.
    A partial is named by its function, a decorated function by the one inside, an object by its
    class. What has no source is named alone. Never raises.
    """
    try:
        return _describe(obj)
    except Exception:
        # It words errors; a second one would hide the first.
        return f"a `{type(obj).__name__}` object"


def _describe(obj: Any) -> str:
    obj = _unwrap_partial(obj)
    if inspect.isroutine(obj):
        obj = inspect.unwrap(obj)
        return f"`{_name(obj)}`{_place(obj)}"
    if inspect.isclass(obj):
        return f"`{_name(obj)}`{_place(obj)}"
    if type(obj).__module__ == "builtins":
        return f"`{reprlib.repr(obj)}`"
    return f"a `{_name(type(obj))}` object{_place(type(obj))}"


def _name(obj: Any) -> str:
    return str(getattr(obj, "__qualname__", None) or type(obj).__qualname__)


def _place(obj: Any) -> str:
    """Where the source stands, in brackets with a blank before, or nothing."""
    function = inspect.unwrap(getattr(obj, "__func__", obj))
    code = getattr(function, "__code__", None)
    if code is not None:
        return f" ({_shorten(code.co_filename)}:{code.co_firstlineno})"
    try:
        file = inspect.getsourcefile(obj)
        line = inspect.getsourcelines(obj)[1]
    except (OSError, TypeError):
        return ""
    return f" ({_shorten(file)}:{line})" if file else ""


def _shorten(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file
