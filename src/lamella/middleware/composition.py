"""Several layers as one, and every form that a layer may be declared in.

Floor 5.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from lamella._inspect import describe, is_async_callable
from lamella.engine.service import Service
from lamella.engine.stack import fold
from lamella.exceptions import StackError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware, check_dispatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lamella.types import ASGIApp


def compose(*layers: Any) -> Middleware[...]:
    """Several layers as one, usable wherever a layer is.

    Args:
        layers: from the outermost to the innermost; each a ``Middleware``, a plain
            ``async def layer(request, call_next)``, or the result of another ``compose``.

    Raises:
        StackError: something else than a layer.
    """
    declared = declarations(layers, "compose(...)")

    def composed(app: ASGIApp) -> ASGIApp:
        return fold(app, declared)

    layer = Middleware(composed)
    layer.composed = declared
    return layer


def declarations(layers: Iterable[Any] | None, where: str) -> list[Middleware[...]]:
    """Declarations of layers given in any form.

    Args:
        layers: each a ``Middleware`` or an async function; None for none.
        where: how the error names the place.

    Raises:
        StackError: something else than a layer.
    """
    return [declaration_of(layer, where) for layer in layers or ()]


def declaration_of(layer: Any, where: str) -> Middleware[...]:
    """One declaration; see ``declarations``."""
    if inspect.isclass(layer):
        raise StackError(
            f"Expected a declared layer in {where}, got the class {describe(layer)}; write"
            f" Middleware({layer.__name__}, ...) with its arguments after `app`."
        )
    if isinstance(layer, Service) or hasattr(layer, "app"):
        name = type(layer).__name__
        raise StackError(
            f"Expected a declared layer in {where}, got {describe(layer)}, an instance; write"
            f" Middleware({name}, ...) with the class and its arguments after `app`."
        )
    if hasattr(layer, "cls") and hasattr(layer, "kwargs"):
        return _checked(cast("Middleware[...]", layer))
    if is_async_callable(layer):
        _check_takes_two(layer, where)
        return Middleware(BaseHTTPMiddleware, dispatch=layer)
    if callable(layer):
        check_dispatch(layer)
    raise StackError(
        f"Expected a layer in {where}, got {layer!r}; give Middleware(...) or an"
        " `async def layer(request, call_next)`."
    )


def _checked(declaration: Middleware[...]) -> Middleware[...]:
    cls: Any = declaration.cls
    if inspect.isclass(cls) and issubclass(cls, BaseHTTPMiddleware):
        args, kwargs = cast("tuple[tuple[Any, ...], dict[str, Any]]", tuple(declaration)[1:])
        given = kwargs.get("dispatch") or cls.dispatch
        own_init = cls.__init__ is not BaseHTTPMiddleware.__init__
        if given is BaseHTTPMiddleware.dispatch and not args and not own_init:
            raise StackError(
                f"Expected {describe(cls)} to define `async def dispatch(self, request, call_next)`"
                " or to be given `dispatch=`; it has neither."
            )
        check_dispatch(given)
    return declaration


def _check_takes_two(function: Any, where: str) -> None:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise StackError(
            f"Expected a layer `async def layer(request, call_next)` in {where}, got"
            f" {describe(function)}, which takes {inspect.signature(function)}."
        ) from None
    except ValueError:
        return
