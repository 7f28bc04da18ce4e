"""The OpenAPI 3.1 document, as types of its dicts.

Floor 7. Names and meanings as the OpenAPI Specification 3.1; the ``itemSchema`` of a media type is
that of 3.2. A schema is any JSON Schema (draft 2020-12), so ``Schema`` is a plain dict.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

__all__ = [
    "Callback",
    "Components",
    "Document",
    "Example",
    "Info",
    "MediaType",
    "Operation",
    "Parameter",
    "ParameterPlace",
    "PathItem",
    "RequestBody",
    "Response",
    "Schema",
    "SecurityRequirement",
    "Server",
    "Tag",
]

Schema: TypeAlias = dict[str, Any]
SecurityRequirement: TypeAlias = dict[str, list[str]]
PathItem: TypeAlias = dict[str, Any]
"""Methods in lower case to operations, and what holds for all of them."""
Callback: TypeAlias = dict[str, PathItem]
"""Expressions that give a URL to what is sent there."""
ParameterPlace = Literal["path", "query", "header", "cookie"]


class Contact(TypedDict, total=False):
    """Whom to ask."""

    name: str
    url: str
    email: str


class License(TypedDict, total=False):
    """Under which terms the interface may be used."""

    name: str
    identifier: str
    url: str


class Info(TypedDict, total=False):
    """What the document is about."""

    title: str
    summary: str
    description: str
    termsOfService: str
    contact: Contact
    license: License
    version: str


class Server(TypedDict, total=False):
    """Where the paths begin."""

    url: str
    description: str
    variables: dict[str, Any]


class ExternalDocs(TypedDict, total=False):
    """Where to read on."""

    url: str
    description: str


class Tag(TypedDict, total=False):
    """A heading that operations stand under."""

    name: str
    description: str
    externalDocs: ExternalDocs


class Example(TypedDict, total=False):
    """A value shown to the reader."""

    summary: str
    description: str
    value: Any
    externalValue: str


class MediaType(TypedDict, total=False):
    """A body in one format; ``itemSchema`` is of each item of a stream."""

    schema: Schema
    itemSchema: Schema
    example: Any
    examples: dict[str, Example]
    encoding: dict[str, Any]


class _ParameterPlace(TypedDict):
    name: str
    required: bool
    schema: Schema


_ParameterIn = TypedDict("_ParameterIn", {"in": ParameterPlace})


class Parameter(_ParameterPlace, _ParameterIn, total=False):
    """A value of the path, the query string, a header or a cookie."""

    description: str
    deprecated: bool
    example: Any
    examples: dict[str, Example]


class RequestBody(TypedDict, total=False):
    """What a request carries, by media type."""

    description: str
    content: dict[str, MediaType]
    required: bool


class Response(TypedDict, total=False):
    """What a response carries, by media type."""

    description: str
    headers: dict[str, Any]
    content: dict[str, MediaType]
    links: dict[str, Any]


class Operation(TypedDict, total=False):
    """One method of one path."""

    tags: list[str]
    summary: str
    description: str
    externalDocs: ExternalDocs
    operationId: str
    parameters: list[Parameter]
    requestBody: RequestBody
    responses: dict[str, Response]
    callbacks: dict[str, Callback]
    deprecated: bool
    security: list[SecurityRequirement]
    servers: list[Server]


class Components(TypedDict, total=False):
    """What other parts of the document refer to by name."""

    schemas: dict[str, Schema]
    securitySchemes: dict[str, dict[str, Any]]


class Document(TypedDict, total=False):
    """The whole."""

    openapi: str
    info: Info
    servers: list[Server]
    paths: dict[str, PathItem]
    webhooks: dict[str, PathItem]
    components: Components
    security: list[SecurityRequirement]
    tags: list[Tag]
    externalDocs: ExternalDocs
