"""From the routes of an application to its OpenAPI document.

Floor 7. Nothing is read here but what the routes say of themselves, so any route will do that has
the attributes of ``TypedRoute``; all others are left out.
"""

from __future__ import annotations

import http.client
import inspect
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from lamella.injection.provider import Provider
from lamella.openapi._bodies import request_body
from lamella.openapi._merge import merge, without_none
from lamella.openapi._parameters import operation_parameters, security_of, taken_by
from lamella.openapi.schema import PREFIX, Schemas
from lamella.params import REQUIRED
from lamella.responses import JSONResponse
from lamella.sse import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from lamella.openapi.document import (
        Components,
        Document,
        MediaType,
        Operation,
        PathItem,
        Response,
        Schema,
    )

__all__ = ["TypedRoute", "generate"]

METHODS_WITH_BODY: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"})
_RANGES: Final[Mapping[str, str]] = {
    "1XX": "Information",
    "2XX": "Success",
    "3XX": "Redirection",
    "4XX": "Client Error",
    "5XX": "Server Error",
    "DEFAULT": "Default Response",
}
_EVENT: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "data": {"type": "string"},
        "event": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer", "minimum": 0},
    },
}
_INVALID: Final = "422"
_INVALID_SCHEMAS: Final[Mapping[str, Any]] = {
    "ValidationError": {
        "title": "ValidationError",
        "type": "object",
        "properties": {
            "loc": {
                "title": "Location",
                "type": "array",
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            },
            "msg": {"title": "Message", "type": "string"},
            "type": {"title": "Error Type", "type": "string"},
            "input": {"title": "Input"},
            "ctx": {"title": "Context", "type": "object"},
        },
        "required": ["loc", "msg", "type"],
    },
    "HTTPValidationError": {
        "title": "HTTPValidationError",
        "type": "object",
        "properties": {
            "detail": {
                "title": "Detail",
                "type": "array",
                "items": {"$ref": f"{PREFIX}ValidationError"},
            }
        },
    },
}


class TypedRoute(Protocol):
    """What a route says of itself.

    Attributes:
        path, path_format: with parameters as "{name:convertor}", and as "{name}".
        methods: in upper case; HEAD is shown only where there is no GET.
        endpoint: the function.
        unique_id: the operation id.
        tags, summary, description, response_description, deprecated, openapi_extra: shown as they
            are.
        callbacks: routes of the client.
        responses: status code, range or "default" to a response, with the type as "model".
        status_code, response_class: of the response, None for those that are usual.
        response_annotation: type of what it returns; ``REQUIRED`` if it says none.
        stream: how what it yields is sent; None for an endpoint that returns.
        stream_item: type of what it yields; ``REQUIRED`` if it says none.
        provider: what the endpoint and its dependencies take.
    """

    path: str
    path_format: str
    name: str
    methods: Collection[str]
    endpoint: Callable[..., Any]
    include_in_schema: bool
    unique_id: str
    tags: Sequence[str | Enum]
    summary: str | None
    description: str
    response_description: str
    deprecated: bool | None
    openapi_extra: Mapping[str, Any] | None
    callbacks: Sequence[Any] | None
    responses: Mapping[int | str, Mapping[str, Any]]
    status_code: int | None
    response_class: type[Any] | None
    response_annotation: Any
    stream: str | None
    stream_item: Any
    provider: Provider


class _Work:
    """What grows while the routes are read."""

    def __init__(self, *, separate: bool) -> None:
        self.schemas = Schemas(separate=separate)
        self.security_schemes: dict[str, Any] = {}
        self.operation_ids: set[str] = set()
        self.may_be_invalid = False


def generate(
    document: Document,
    routes: Iterable[Any],
    webhooks: Iterable[Any] = (),
    *,
    separate: bool = True,
) -> dict[str, Any]:
    """Add to a document what routes say.

    Args:
        document: what is said of the application as a whole.
        routes: of the application, in the order they are tried.
        webhooks: routes of the clients.
        separate: whether a model that is given out otherwise than it is taken in has two schemas.

    Returns:
        The document, plain JSON. No object in it has a member that is null.
    """
    work = _Work(separate=separate)
    document["paths"] = _path_items(routes, work)
    named = _path_items(webhooks, work)
    if named:
        document["webhooks"] = named
    schemas = work.schemas.complete()
    if work.may_be_invalid:
        schemas.update(_INVALID_SCHEMAS)
    components: Components = {}
    if schemas:
        components["schemas"] = {name: schemas[name] for name in sorted(schemas)}
    if work.security_schemes:
        components["securitySchemes"] = work.security_schemes
    if components:
        document["components"] = components
    return cast("dict[str, Any]", without_none(document))


def _typed(routes: Iterable[Any]) -> Iterator[TypedRoute]:
    for route in routes:
        if isinstance(getattr(route, "provider", None), Provider) and hasattr(route, "unique_id"):
            yield route


def _path_items(routes: Iterable[Any], work: _Work) -> dict[str, PathItem]:
    items: dict[str, PathItem] = {}
    for route in _typed(routes):
        item = _path_item(route, work)
        if item:
            items.setdefault(route.path_format, {}).update(item)
    return items


def _path_item(route: TypedRoute, work: _Work) -> PathItem:
    if not route.include_in_schema:
        return {}
    methods = sorted(method.upper() for method in route.methods)
    if "GET" in methods and "HEAD" in methods:
        methods.remove("HEAD")  # which comes with every GET
    return {method.lower(): _operation(route, method, work) for method in methods}


def _operation(route: TypedRoute, method: str, work: _Work) -> Operation:
    operation = _heading(route, work)
    taken = taken_by(route.provider, getattr(route, "given", ()))
    schemes, security = security_of(taken.providers)
    if security:
        operation["security"] = security
        work.security_schemes.update(schemes)
    parameters = operation_parameters(taken.outside, work.schemas)
    if parameters:
        operation["parameters"] = parameters
    # Its schemas are in the document even where it is not shown, as in FastAPI 0.165.
    body = request_body(taken.body, route.unique_id, work.schemas)
    if body is not None and method in METHODS_WITH_BODY:
        operation["requestBody"] = body
    if route.callbacks:
        operation["callbacks"] = {
            callback.name: {callback.path: _path_item(callback, work)}
            for callback in _typed(route.callbacks)
        }
    responses = operation["responses"] = _responses(route, work.schemas)
    if (taken.outside or taken.body) and not {_INVALID, "4XX", "default"} & responses.keys():
        responses[_INVALID] = _invalid_response()
        work.may_be_invalid = True
    if route.openapi_extra:
        # What it says of a schema stands above that, which is filled only then.
        work.schemas.later(partial(_add_extra, operation, route.openapi_extra))
    return operation


def _add_extra(operation: Operation, extra: Mapping[str, Any]) -> None:
    # Other operations may have the same schemas.
    changed = cast("dict[str, Any]", deepcopy(operation))
    merge(changed, extra)
    operation.update(cast("Operation", changed))


def _heading(route: TypedRoute, work: _Work) -> Operation:
    """What an operation is called."""
    operation: Operation = {}
    if route.tags:
        operation["tags"] = [str(tag.value) if isinstance(tag, Enum) else tag for tag in route.tags]
    operation["summary"] = route.summary or route.name.replace("_", " ").title()
    description = (route.description or "").split("\f")[0].strip()
    if description:
        operation["description"] = description
    operation["operationId"] = _operation_id(route, work.operation_ids)
    if route.deprecated:
        operation["deprecated"] = True
    return operation


def _operation_id(route: TypedRoute, known: set[str]) -> str:
    operation_id = route.unique_id
    if operation_id in known:
        function = inspect.unwrap(route.endpoint)
        message = (
            f"Duplicate Operation ID {operation_id} for function"
            f" {getattr(function, '__name__', type(function).__name__)}"
        )
        file = getattr(function, "__globals__", {}).get("__file__")
        warnings.warn(f"{message} at {file}" if file else message, stacklevel=2)
    known.add(operation_id)
    return operation_id


# -- responses -------------------------------------------------------------------------------------


def _responses(route: TypedRoute, schemas: Schemas) -> dict[str, Response]:
    status = str(route.status_code or _usual_status(route.response_class))
    response: Response = {"description": route.response_description}
    if route.status_code is None or _may_have_body(route.status_code):
        content = _content(route, schemas)
        if content:
            response["content"] = content
    responses: dict[str, Response] = {status: response}
    for key, more in route.responses.items():
        _add_response(route, str(key), more, responses, schemas)
    return responses


def _invalid_response() -> Response:
    schema = {"$ref": f"{PREFIX}HTTPValidationError"}
    return {"description": "Validation Error", "content": {"application/json": {"schema": schema}}}


def _usual_status(cls: type[Any] | None) -> int:
    """The status code that a class of responses has unless it is told."""
    if cls is None:
        return 200
    parameter = inspect.signature(cls.__init__).parameters.get("status_code")
    return parameter.default if parameter and isinstance(parameter.default, int) else 200


def _may_have_body(status_code: int) -> bool:
    return status_code >= 200 and status_code not in (204, 205, 304)


def _content(route: TypedRoute, schemas: Schemas) -> dict[str, MediaType]:
    """What the usual response carries, by media type."""
    if route.stream == "jsonl":
        item = _item_schema(route, schemas)
        return {"application/jsonl": {"itemSchema": {} if item is None else item}}
    if route.stream == "sse":
        return {"text/event-stream": {"itemSchema": _event(_item_schema(route, schemas))}}
    cls = JSONResponse if route.response_class is None else route.response_class
    if not cls.media_type:
        return {}
    schema: Schema = {"type": "string"}
    if issubclass(cls, JSONResponse):
        schema = {}
        if route.response_annotation is not REQUIRED:
            schema = schemas.add(
                route.response_annotation, "serialization", f"Response_{route.unique_id}"
            )
    return {cls.media_type: {"schema": schema}}


def _item_schema(route: TypedRoute, schemas: Schemas) -> Schema | None:
    item = route.stream_item
    if item is REQUIRED or (isinstance(item, type) and issubclass(item, ServerSentEvent)):
        return None
    return schemas.add(item, "serialization", f"StreamItem_{route.unique_id}")


def _event(item: Schema | None) -> Schema:
    """A server-sent event whose data is JSON of a type."""
    event = deepcopy(dict(_EVENT))
    if item is not None:
        event["required"] = ["data"]
        event["properties"]["data"] = {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": item,
        }
    return event


def _add_response(
    route: TypedRoute,
    key: str,
    more: Mapping[str, Any],
    responses: dict[str, Response],
    schemas: Schemas,
) -> None:
    """Add what ``responses=`` says of one status code to what is known of it."""
    added = deepcopy({key: value for key, value in more.items() if key != "model"})
    model = more.get("model")
    if model:
        content: dict[str, Any] = added.setdefault("content", {})
        media = content.setdefault(_media_type(route, key), {})
        schema = schemas.add(model, "serialization", f"Response_{key}_{route.unique_id}")
        _combine(media, schema, schemas)
    code = key.upper()
    response = cast("dict[str, Any]", responses.setdefault(code.replace("DEFAULT", "default"), {}))
    known = response.get("description")
    usual = _RANGES.get(code) or (http.client.responses.get(int(code)) if code.isdigit() else None)
    merge(response, added)
    response["description"] = added.get("description") or known or usual or "Additional Response"


def _media_type(route: TypedRoute, key: str) -> str:
    """The format of a model in ``responses=``: that of the route, as in FastAPI 0.165.

    But what refuses a stream is no stream: it is answered in JSON.
    """
    if route.response_class is None or (route.stream is not None and not key.startswith("2")):
        return "application/json"
    return route.response_class.media_type or "application/json"


def _combine(media: dict[str, Any], schema: Schema, schemas: Schemas) -> None:
    """Lay the schema of a model over one that is written out."""
    written = media.get("schema")
    media["schema"] = schema
    if not written:
        return

    def write() -> None:
        above = dict(schema)
        schema.clear()
        schema.update(deepcopy(written))
        merge(schema, above)

    schemas.later(write)
