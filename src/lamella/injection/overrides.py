"""Other functions in the place of dependencies, as tests want it.

Floor 5. ``app.dependency_overrides`` holds for all requests of an application. ``overriding`` holds
for the task that enters it, and those that it starts: two tests at once do not see each other's.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from lamella.types import Scope

__all__ = ["overrides_in", "overriding"]

# For each application, by identity.
_here: ContextVar[dict[int, Mapping[Any, Callable[..., Any]]] | None] = ContextVar(
    "lamella.overrides", default=None
)
# PERF: a look at a ContextVar less, as long as no block is entered at all.
_blocks = 0


def overrides_in(scope: Scope) -> Mapping[Any, Callable[..., Any]] | None:
    """What stands in for dependencies in a request; None, or nothing, if nothing does."""
    app = scope.get("app")
    declared: Mapping[Any, Callable[..., Any]] | None = getattr(app, "dependency_overrides", None)
    if not _blocks:
        return declared
    local = _here.get()
    if local is None or id(app) not in local:
        return declared
    return {**(declared or {}), **local[id(app)]}


@contextmanager
def overriding(
    app: Any, overrides: Mapping[Any, Callable[..., Any]]
) -> Generator[None, None, None]:
    """Put others in the place of an application's dependencies, in this block and what it starts.

    Args:
        app: the application.
        overrides: each dependency and what is called instead.
    """
    global _blocks  # noqa: PLW0603 - how many there are anywhere; which hold is in `_here`
    before = _here.get() or {}
    _blocks += 1
    token = _here.set({**before, id(app): {**before.get(id(app), {}), **overrides}})
    try:
        yield
    finally:
        _blocks -= 1
        _here.reset(token)
