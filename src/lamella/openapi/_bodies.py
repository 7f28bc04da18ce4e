"""What a request carries: JSON or a form.

Floor 7. Several parameters are the members of one object, which is named after the operation. Of a
form whose fields are gathered into models, the object is all of these at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from lamella.injection.outline import is_pydantic, members, outline_of
from lamella.injection.plan import is_embedded
from lamella.openapi._parameters import model_of
from lamella.openapi._pydantic import fields_of
from lamella.openapi._types import title_of
from lamella.params import REQUIRED, Body, File, Form

if TYPE_CHECKING:
    from lamella.injection.provider import Parameter
    from lamella.openapi.document import MediaType, RequestBody, Schema
    from lamella.openapi.schema import Schemas

__all__ = ["request_body"]


def request_body(
    parameters: Sequence[Parameter], unique_id: str, schemas: Schemas
) -> RequestBody | None:
    """Describe the body of a request; None if nobody reads it.

    Args:
        parameters: what is read from it.
        unique_id: of the operation; names the object that has them as members.
        schemas: of the document.
    """
    if not parameters:
        return None
    name = f"Body_{unique_id}"
    first = parameters[0]
    body: RequestBody = {}
    if is_embedded(list(parameters)):
        media: MediaType = {"schema": _members_schema(parameters, name, schemas)}
        required = any(one.required for one in parameters)
        media_type = _media_type(parameters)
    else:
        media = _whole(first, name, schemas)
        required = first.required
        media_type = cast("Body", first.info).media_type
    if required:
        body["required"] = True
    body["content"] = {media_type: media}
    return body


def _whole(parameter: Parameter, name: str, schemas: Schemas) -> MediaType:
    """A body that is one value."""
    info = parameter.info
    media: MediaType = {}
    if parameter.is_model and _may_be_none(parameter):
        media["schema"] = _form_schema([parameter], name, schemas)
    else:
        media["schema"] = schemas.add(
            parameter.annotation,
            "validation",
            parameter.alias,
            info=info,
            default=parameter.default,
        )
    if info.openapi_examples:
        media["examples"] = cast("Any", info.openapi_examples)
    elif info.example is not REQUIRED:
        media["example"] = info.example
    return media


def _media_type(parameters: Sequence[Parameter]) -> str:
    """That of files if there are any, else that of forms, else that all of them name."""
    infos = [cast("Body", one.info) for one in parameters]
    if any(isinstance(info, File) for info in infos):
        return File.media_type
    forms = [info for info in infos if isinstance(info, Form)]
    named = {info.media_type for info in forms or infos}
    if forms and File.media_type in named:
        return File.media_type
    if len(named) == 1:
        return named.pop()
    return Form.media_type if forms else Body.media_type


def _members_schema(parameters: Sequence[Parameter], name: str, schemas: Schemas) -> Schema:
    if any(one.is_model for one in parameters):
        return _form_schema(parameters, name, schemas)
    schema: Schema = {
        "title": name,
        "type": "object",
        "properties": {one.alias: _member(one, one.alias, schemas) for one in parameters},
    }
    required = [one.alias for one in parameters if one.required]
    if required:
        schema["required"] = required
    return schemas.add_named(name, schema)


def _member(parameter: Parameter, title: str, schemas: Schemas) -> Schema:
    return schemas.add(
        parameter.annotation,
        "validation",
        title,
        info=parameter.info,
        default=parameter.default,
        is_property=True,
    )


# -- forms whose fields are gathered into models ---------------------------------------------------


def _form_schema(parameters: Sequence[Parameter], name: str, schemas: Schemas) -> Schema:
    properties: dict[str, Schema] = {}
    required: list[str] = []
    conditions: list[Schema] = []
    for parameter in parameters:
        if parameter.is_model:
            conditions += _model_conditions(parameter, schemas)
            continue
        member = _member(parameter, parameter.name, schemas)
        if parameter.alias in properties:  # under another name, in a dependency
            conditions.append({"properties": {parameter.alias: member}})
        else:
            properties[parameter.alias] = member
        if parameter.required and parameter.alias not in required:
            required.append(parameter.alias)
    schema: Schema = {"title": name, "type": "object", "allOf": conditions}
    if properties:
        schema["properties"] = properties
    if required:
        schema["required"] = required
    return schemas.add_named(name, schema)


def _model_conditions(parameter: Parameter, schemas: Schemas) -> list[Schema]:
    """What a form fulfils that a model is gathered from.

    A model that may be None is absent where none of its fields is there, since a form has no null.
    """
    schema = schemas.add(
        parameter.annotation,
        "validation",
        parameter.name,
        info=parameter.info,
        is_property=True,
    )
    if not _may_be_none(parameter):
        return [schema]
    schemas.later(partial(_forbid_null, schema, title_of(parameter.name)))
    absent = _absence(parameter)
    if parameter.required:
        return [{"not": absent}, schema]
    return [{"anyOf": [absent, schema]}]


def _may_be_none(parameter: Parameter) -> bool:
    return type(None) in members(parameter.type)


def _forbid_null(schema: Schema, title: str) -> None:
    choices: list[Schema] = schema.get("anyOf", [])
    schema["anyOf"] = [choice for choice in choices if choice.get("type") != "null"]
    schema.setdefault("title", title)


def _absence(parameter: Parameter) -> Schema:
    """What a form fulfils that has none of a model's fields."""
    model = model_of(parameter)
    models = list(members(model)) or [model]
    if any(_knows_all_fields(one) for one in models):
        return {"maxProperties": 0}
    names = sorted({name for one in models for name in _field_names(one)})
    return {"not": {"anyOf": [{"required": [name]} for name in names]}} if names else {}


def _knows_all_fields(model: Any) -> bool:
    """Whether a model refuses, or takes, fields that it does not name."""
    config = getattr(model, "__struct_config__", None)
    if config is not None:
        return bool(config.forbid_unknown_fields)
    return getattr(model, "model_config", {}).get("extra") in ("allow", "forbid")


def _field_names(model: Any) -> list[str]:
    if is_pydantic(model):
        return [field.alias for field in fields_of(model)]
    return [field.key for field in outline_of(model).fields]
