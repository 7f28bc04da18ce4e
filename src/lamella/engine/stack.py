"""The stack: layers folded once, inside out; and how it prints.

Floor 4. Each link is native (the inner component has a service face) or bridged (it has not), and
that is settled here, when the stack is built. What is wrong with a layer is said here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lamella._inspect import describe
from lamella.engine.bridge import Bridge
from lamella.engine.service import Service, service_of
from lamella.exceptions import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lamella.engine.service import Respond
    from lamella.types import ASGIApp, Receive, Scope, Send


def link(app: ASGIApp) -> Respond:
    """How a service enters what is inside it: natively, or by a bridge."""
    return service_of(app) or Bridge(app).respond


class Layer(Service):
    """A layer's base: it knows what is inside it, and lets websockets and the lifespan through.

    Define ``respond`` and await ``self._inner(request)`` in it. ``app`` may be replaced later.

    Args:
        app: what is inside.
    """

    _app: ASGIApp
    _inner: Respond

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    @property
    def app(self) -> ASGIApp:
        """What is inside this layer."""
        return self._app

    @app.setter
    def app(self, app: ASGIApp) -> None:
        self._app = app
        self._inner = link(app)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let websockets and the lifespan through."""
        await self._app(scope, receive, send)


def fold(app: ASGIApp, layers: Iterable[Any]) -> ASGIApp:
    """Build layers around an app.

    Args:
        app: the innermost component.
        layers: declarations (class, positional and keyword arguments), the outermost first.

    Returns:
        The outermost component.

    Raises:
        StackError: a layer that gave no ASGI app.
    """
    for declaration in reversed(list(layers)):
        cls, args, kwargs = declaration
        layer = cls(app, *args, **kwargs)
        if not callable(layer):
            raise StackError(
                f"Expected the middleware {describe(cls)} to give an ASGI app, got {layer!r};"
                " return the app from it."
            )
        if isinstance(layer, Service) and not hasattr(layer, "app"):
            raise StackError(
                f"Expected the layer {describe(cls)} to know what is inside it; call"
                " super().__init__(app) in its __init__."
            )
        app = cast("ASGIApp", layer)
    return app


def explain(app: ASGIApp) -> str:
    """The stack as built, one line a member, the outermost first.

    Each line says how the member is entered: ``native``, ``bridged`` (a foreign app below a
    dispatch layer: one task a request) or ``straight`` (a foreign app with none outside it).
    """
    rows = list(_members(app))
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:<{width}}  {how:<8}  {where}".rstrip() for name, how, where in rows)


def _members(app: ASGIApp | None) -> Iterator[tuple[str, str, str]]:
    dispatched = False
    while app is not None:
        native = service_of(app) is not None
        name, where = _named(app)
        if native:
            yield name, "native", where
        else:
            yield name, "bridged" if dispatched else "straight", where
        dispatched = native and (dispatched or getattr(app, "is_dispatch_layer", False))
        app = getattr(app, "app", None) if not getattr(app, "is_router", False) else None


def _named(app: Any) -> tuple[str, str]:
    """A member's name and where its source stands, the latter for the user's own."""
    text = describe(getattr(app, "shown_as", app))
    name, _, where = text.partition(" (")
    name = name.removeprefix("a ").removesuffix(" object").strip("`")
    own = type(app).__module__.partition(".")[0] == "lamella" and not hasattr(app, "shown_as")
    return name, "" if own else where.removesuffix(")")
