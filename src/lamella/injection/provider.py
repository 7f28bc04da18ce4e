"""What is known of a function that asks for values: the outcome of reading its signature.

Floor 5. An endpoint and each of its dependencies is a ``Provider``; what it asks of the request is
a ``Parameter``. Plans are made of these, and the OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from lamella.concurrency import Limit
from lamella.params import REQUIRED, ExitScope, Param

__all__ = [
    "Kind",
    "Parameter",
    "Provider",
    "Special",
    "flat_parameters",
    "flat_providers",
    "hashable",
]

Kind = Literal["coroutine", "function", "inline", "async generator", "generator"]
Special = Literal[
    "request", "websocket", "connection", "response", "background_tasks", "security_scopes"
]


@dataclass(slots=True, eq=False)
class Parameter:
    """One value that a function asks of the request.

    Attributes:
        name: of the function's parameter.
        alias: in the request; of a header with its hyphens.
        others: the names after that one that the request may have it under instead.
        annotation: its type, with ``Annotated`` around it if there is one.
        type: the same without ``Annotated``.
        info: source, constraints and what documents it.
        default: the value without one in the request, or ``REQUIRED``.
        is_model: whether the values of a model's fields are gathered into it (query, header,
            cookie, form).
        is_sequence: whether it takes every value of its name rather than the last.
        is_inferred: whether its source follows from its type alone.
    """

    name: str
    alias: str
    annotation: Any
    type: Any
    info: Param
    default: Any = REQUIRED
    is_model: bool = False
    is_sequence: bool = False
    is_inferred: bool = False
    others: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether a request without it is refused."""
        return self.default is REQUIRED and self.info.default_factory is None

    @property
    def source(self) -> str:
        """Where it is in the request, as errors name it: forms and files are the body."""
        source = self.info.source
        return "body" if source in ("form", "file") else source


@dataclass(slots=True, eq=False)
class Provider:
    """A function that makes a value, and what it asks for to do so.

    Attributes:
        call: the function, class or callable.
        name: of the parameter that its value is for; None if it is called for its effect alone.
        kind: how it is called.
        parameters: what it asks of the request.
        dependencies: what it asks of other providers, in the order of its parameters.
        specials: parameters that are given the request, the response or the like.
        wanted: parameters of a type that only a layer outside can give, and that type.
        optional: those of them that have a default, for a layer that has nothing to give.
        use_cache: whether its value is made once a request.
        scope: when what stands behind its ``yield`` runs; None if there is no ``yield``.
        limit: of how many there may be at once.
        own_scopes: scopes of OAuth2 that the wish for it names.
        scopes: these and those of the wishes further out that led here.
    """

    call: Callable[..., Any]
    name: str | None
    kind: Kind
    parameters: list[Parameter] = field(default_factory=list[Parameter])
    dependencies: list[Provider] = field(default_factory=list["Provider"])
    specials: dict[str, Special] = field(default_factory=dict[str, Special])
    wanted: dict[str, Any] = field(default_factory=dict[str, Any])
    optional: set[str] = field(default_factory=set[str])
    use_cache: bool = True
    scope: ExitScope | None = None
    limit: Limit | None = None
    own_scopes: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    @property
    def yields(self) -> bool:
        """Whether there is something behind a ``yield`` that runs at an exit."""
        return self.kind in ("async generator", "generator")

    def has_default(self, name: str) -> bool:
        """Whether a parameter that a layer gives can do without."""
        return name in self.optional or any(
            one.name == name and not one.required for one in self.parameters
        )


def flat_providers(provider: Provider) -> Iterator[Provider]:
    """A provider and all that it depends on, dependencies first; some more than once."""
    for dependency in provider.dependencies:
        yield from flat_providers(dependency)
    yield provider


def flat_parameters(provider: Provider) -> list[Parameter]:
    """What a provider and all that it depends on ask of the request, dependencies first."""
    return [parameter for one in flat_providers(provider) for parameter in one.parameters]


def hashable(call: Callable[..., Any]) -> Any:
    """What a callable is known by in a dictionary: itself, or its identity if it has no hash."""
    try:
        hash(call)
    except TypeError:
        return id(call)
    return call
