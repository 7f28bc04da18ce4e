"""What an endpoint and its dependencies take, outside of the body, and which credentials.

Floor 7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from lamella.injection.outline import MISSING, class_of, is_pydantic, outline_of
from lamella.injection.signature import annotation_parts
from lamella.openapi._limits import said
from lamella.openapi._pydantic import fields_of
from lamella.openapi._types import without_none_type
from lamella.params import REQUIRED, Body
from lamella.security.base import SecurityBase

if TYPE_CHECKING:
    from lamella.injection.provider import Parameter, Provider
    from lamella.openapi.document import Parameter as ParameterObject
    from lamella.openapi.document import ParameterPlace, Schema, SecurityRequirement
    from lamella.openapi.schema import Schemas

__all__ = ["Taken", "model_of", "operation_parameters", "security_of", "taken_by"]

_PLACES: Final = ("path", "query", "header", "cookie")


class Taken(NamedTuple):
    """What a request is read for.

    Attributes:
        outside: parameters that are not in the body, by place.
        body: those in the body, each name once.
        providers: the endpoint and all that it depends on, outermost first.
    """

    outside: list[Parameter]
    body: list[Parameter]
    providers: list[Provider]


def taken_by(provider: Provider, given: Collection[Any] = ()) -> Taken:
    """Gather what an endpoint and its dependencies take, the endpoint's own first.

    Args:
        provider: the endpoint's.
        given: types that layers around the route give, which no client sends.
    """
    providers = list(_outermost_first(provider, set()))
    found = [
        parameter
        for one in providers
        for parameter in one.parameters
        if not (given and isinstance(parameter.type, type) and parameter.type in given)
    ]
    body = {one.name: one for one in found if isinstance(one.info, Body)}
    outside = [one for one in found if not isinstance(one.info, Body)]
    outside.sort(key=lambda one: _PLACES.index(one.info.source))
    return Taken(outside, list(body.values()), providers)


def _outermost_first(provider: Provider, seen: set[Any]) -> Iterator[Provider]:
    key = (id(provider.call), provider.scopes)
    if key in seen:
        return
    seen.add(key)
    yield provider
    if provider.scope != "app":  # which reads no request
        for dependency in provider.dependencies:
            yield from _outermost_first(dependency, seen)


# -- parameters ------------------------------------------------------------------------------------


def operation_parameters(
    parameters: Iterable[Parameter], schemas: Schemas
) -> list[ParameterObject]:
    """Describe the parameters outside of the body; of two with one name that which is required."""
    shown = [
        one
        for parameter in parameters
        if parameter.info.include_in_schema
        for one in _described(parameter, schemas)
    ]
    found = {(one["in"], one["name"]): one for one in shown}
    found.update({(one["in"], one["name"]): one for one in shown if one["required"]})
    return list(found.values())


def _described(parameter: Parameter, schemas: Schemas) -> Iterator[ParameterObject]:
    if parameter.is_model:
        yield from _of_model(parameter, schemas)
        return
    info = parameter.info
    schema = schemas.add(
        parameter.annotation,
        "validation",
        parameter.alias,
        info=info,
        default=parameter.default,
    )
    metadata = annotation_parts(parameter.annotation)[1]
    shown = _object(parameter.alias, info.source, parameter.required, schema)
    _describe(shown, info, metadata)
    if info.openapi_examples:
        shown["examples"] = cast("Any", info.openapi_examples)
    elif info.example is not REQUIRED:
        shown["example"] = info.example
    yield shown


def _object(name: str, place: Any, required: bool, schema: Schema) -> ParameterObject:
    return {
        "name": name,
        "in": cast("ParameterPlace", place),
        "required": required,
        "schema": schema,
    }


def _describe(shown: ParameterObject, info: Any, metadata: Sequence[Any]) -> None:
    description = said("description", info, metadata)
    if description:
        shown["description"] = description
    if said("deprecated", info, metadata):
        shown["deprecated"] = True


def model_of(parameter: Parameter) -> Any:
    """The model whose fields are gathered from several values, without None."""
    return annotation_parts(without_none_type(parameter.type))[0]


def _of_model(parameter: Parameter, schemas: Schemas) -> Iterator[ParameterObject]:
    """One parameter for each field of the model."""
    model = model_of(parameter)
    optional = model is not parameter.type and not parameter.required
    hyphens = getattr(parameter.info, "convert_underscores", False)
    describe = _pydantic_fields if is_pydantic(class_of(model)) else _own_fields
    for field in describe(model, schemas):
        replaced = hyphens and field.alias == field.name
        name = field.alias.replace("_", "-") if replaced else field.alias
        required = field.required and not optional
        shown = _object(name, parameter.info.source, required, field.schema)
        _describe(shown, None, field.metadata)
        yield shown


class _Field(NamedTuple):
    """One field of a model, as a parameter of its own."""

    name: str
    alias: str
    required: bool
    schema: Schema
    metadata: Sequence[Any]


def _pydantic_fields(model: Any, schemas: Schemas) -> Iterator[_Field]:
    for field in fields_of(model):
        schema = schemas.add(field.annotation, "validation", field.alias, config=field.config)
        yield _Field(field.name, field.alias, field.info.is_required(), schema, (field.info,))


def _own_fields(model: Any, schemas: Schemas) -> Iterator[_Field]:
    for field in outline_of(model).fields:
        required = field.default is MISSING and field.default_factory is MISSING
        default = REQUIRED if field.default is MISSING else field.default
        schema = schemas.add(field.annotation, "validation", field.key, default=default)
        metadata = annotation_parts(field.annotation)[1]
        yield _Field(field.name, field.key, required, schema, metadata)


# -- credentials -----------------------------------------------------------------------------------


def security_of(
    providers: Iterable[Provider],
) -> tuple[dict[str, Mapping[str, Any]], list[SecurityRequirement]]:
    """The security schemes of an operation by name, and what it asks of each.

    Scopes of one scheme that is asked for several times are merged.
    """
    schemes: dict[str, Mapping[str, Any]] = {}
    required: SecurityRequirement = {}
    for provider in providers:
        scheme: Any = provider.call
        if not isinstance(scheme, SecurityBase):
            continue
        schemes[scheme.scheme_name] = scheme.model
        scopes = required.setdefault(scheme.scheme_name, [])
        scopes += [scope for scope in provider.scopes if scope not in scopes]
    return schemes, [{name: scopes} for name, scopes in required.items()]
