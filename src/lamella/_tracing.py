"""Where the parts of a request's work are traced, for the code that does them.

Floor 0. A layer further out leaves what traces in the scope; nothing here knows OpenTelemetry.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lamella.types import Scope

__all__ = ["TRACED_SCOPE_KEY", "Operation", "operation_of"]

TRACED_SCOPE_KEY: Final = "lamella.opentelemetry"
"""The scope key by which a layer further in sees that the request is seen to."""

Operation = Callable[[str, Callable[..., Any] | None], AbstractContextManager[object]]
"""Given the name of a part and the function it is done for: a ``with`` that traces it."""


def operation_of(scope: Scope) -> Operation | None:
    """What traces the parts of this request's work, or None where they are not traced.

    ::

        operation = operation_of(request.scope)
        if operation is not None:
            with operation("endpoint", function):
                ...
    """
    traced = scope.get(TRACED_SCOPE_KEY)
    return None if traced is None else traced.operation
