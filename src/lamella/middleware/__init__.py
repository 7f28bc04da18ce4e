"""The declaration of a layer: ``Middleware``; and ``compose``, several layers as one.

Floor 0: declarations only. The layers stand in the modules beside this one.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, cast

from lamella._inspect import describe, is_async_callable
from lamella.exceptions import StackError

if TYPE_CHECKING:
    from lamella.middleware.composition import compose

__all__ = ["Middleware", "compose"]

P = ParamSpec("P")

# Laxer than `types.ASGIApp` on purpose: real layers are typed with scopes of their own, which the
# strict alias would refuse.
_App = Callable[..., Awaitable[Any]]


class _LayerFactory(Protocol[P]):
    def __call__(self, app: _App, /, *args: P.args, **kwargs: P.kwargs) -> _App: ...


# Starlette's name for it, which typed code imports.
_MiddlewareFactory = _LayerFactory


class Middleware(Generic[P]):
    """A layer to be built: its class (or factory) and the arguments after ``app``.

    Args:
        cls: called as ``cls(app, *args, **kwargs)`` when the stack is built.
        args: positional arguments.
        kwargs: keyword arguments.

    Raises:
        StackError: an instance instead of a class, or arguments that the class does not take.
    """

    composed: list[Middleware[...]] | None = None  # what `compose` made one of

    def __init__(self, cls: _LayerFactory[P], *args: P.args, **kwargs: P.kwargs) -> None:
        self.cls = cls
        self.args = args
        self.kwargs = kwargs
        _check_factory(cls, args, kwargs)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.cls, self.args, self.kwargs))

    def __repr__(self) -> str:
        name = getattr(self.cls, "__name__", type(self.cls).__name__)
        args, kwargs = cast("tuple[tuple[Any, ...], dict[str, Any]]", (self.args, self.kwargs))
        given = [repr(value) for value in args]
        given += [f"{key}={value!r}" for key, value in kwargs.items()]
        return f"{type(self).__name__}({', '.join([name, *given])})"


def _check_factory(cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Find a wrong declaration where it is written, not when the first request comes."""
    if not callable(cls):
        raise StackError(f"Expected a middleware class in Middleware(...), got {cls!r}.")
    if inspect.isroutine(cls) and is_async_callable(cls):
        raise StackError(
            f"Expected a middleware class in Middleware(...), got the async function"
            f" {describe(cls)}; give a dispatch function as it is, without Middleware(...)."
        )
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):
        return  # some callables do not tell; they fail when the stack is built
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as exc:
        raise StackError(_misfit(cls, signature, exc)) from None


def _misfit(cls: Any, signature: inspect.Signature, exc: TypeError) -> str:
    if not inspect.isclass(cls) and not inspect.isroutine(cls) and not hasattr(cls, "func"):
        name = type(cls).__name__
        return (
            f"Expected a middleware class in Middleware(...), got {describe(cls)}, an instance;"
            f" write Middleware({name}, ...) with the class and its arguments after `app`."
        )
    name = getattr(cls, "__name__", type(cls).__name__)
    return f"Expected arguments that {describe(cls)} takes, {name}{signature}: {exc}."


def __getattr__(name: str) -> Any:
    # `compose` stands above the layers it composes, this declaration below them.
    if name == "compose":
        return import_module("lamella.middleware.composition").compose
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
