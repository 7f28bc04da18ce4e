"""``get_openapi``: the document of some routes, under FastAPI's name and options.

Floor 7. Documents are made in ``generate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, cast

from lamella.openapi.generate import generate

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lamella.openapi.document import Document

__all__ = ["OpenAPIOptions", "get_openapi"]


class OpenAPIOptions(TypedDict, total=False):
    """What is said of an application as a whole.

    Keys:
        openapi_version: of the specification, "3.1.0".
        summary, description, terms_of_service, contact, license_info: about the application.
        webhooks: routes of the clients.
        tags: what is said of each tag.
        servers: where the paths begin.
        separate_input_output_schemas: whether a model that is given out otherwise than it is taken
            in has two schemas (true).
        external_docs: where to read on.
    """

    openapi_version: str
    summary: str | None
    description: str | None
    webhooks: Iterable[Any] | None
    tags: Sequence[Mapping[str, Any]] | None
    servers: Sequence[Mapping[str, Any]] | None
    terms_of_service: str | None
    contact: Mapping[str, Any] | None
    license_info: Mapping[str, Any] | None
    separate_input_output_schemas: bool
    external_docs: Mapping[str, Any] | None


def get_openapi(
    *, title: str, version: str, routes: Iterable[Any], **options: Unpack[OpenAPIOptions]
) -> dict[str, Any]:
    """Make the OpenAPI document of some routes.

    Args:
        title: of the application.
        version: of the application.
        routes: those that are not typed, and mounts, are left out.
        options: see ``OpenAPIOptions``.

    Returns:
        The document, plain JSON.

    Source: as FastAPI 0.165.
    """
    about = {
        "summary": options.get("summary"),
        "description": options.get("description"),
        "termsOfService": options.get("terms_of_service"),
        "contact": options.get("contact"),
        "license": options.get("license_info"),
    }
    document: dict[str, Any] = {
        "openapi": options.get("openapi_version", "3.1.0"),
        "info": {"title": title, "version": version, **_said(about)},
    }
    document |= _said(
        {
            "servers": options.get("servers"),
            "tags": options.get("tags"),
            "externalDocs": options.get("external_docs"),
        }
    )
    return generate(
        cast("Document", document),
        routes,
        options.get("webhooks") or (),
        separate=options.get("separate_input_output_schemas", True),
    )


def _said(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is neither None nor empty."""
    return {key: value for key, value in about.items() if value}
