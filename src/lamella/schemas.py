"""``SchemaGenerator``: an OpenAPI document from the docstrings of endpoints.

Floor 7. Names and behaviour as Starlette 1.10. Reading docstrings and writing YAML need the extra
``schemas``.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from lamella._inspect import describe
from lamella.exceptions import UsageError
from lamella.responses import Response
from lamella.routing import Host, Mount, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lamella.requests import Request
    from lamella.routing import BaseRoute

__all__ = ["BaseSchemaGenerator", "EndpointInfo", "OpenAPIResponse", "SchemaGenerator"]

_METHODS: Final = ("get", "post", "put", "patch", "delete", "options", "query")
_QUERY_SINCE: Final = (3, 2)  # the version of OpenAPI that knows the method QUERY

_version_of = re.compile(r"(\d+)\.(\d+)").match


@functools.cache
def _yaml() -> Any:
    """PyYAML; without it an ImportError says what to install."""
    try:
        return importlib.import_module("yaml")
    except ModuleNotFoundError as exc:
        if exc.name != "yaml":
            raise
        raise ImportError(
            'lamella.schemas needs PyYAML; install it with: pip install "lamella[schemas]"'
        ) from None


class OpenAPIResponse(Response):
    """An OpenAPI document, a dict, as YAML.

    Raises:
        UsageError: it is not a dict.
        ImportError: PyYAML is missing.
    """

    media_type = "application/vnd.oai.openapi"

    def render(self, content: Any) -> bytes:
        """Write the document as YAML."""
        if not isinstance(content, dict):
            raise UsageError(f"Expected the OpenAPI document as a dict, got {content!r}.")
        text: str = _yaml().dump(content, default_flow_style=False)
        return text.encode("utf-8")


class EndpointInfo(NamedTuple):
    """One operation.

    Attributes:
        path: with parameters as `{name}`.
        http_method: in lower case.
        func: the function or method that has the docstring.
    """

    path: str
    http_method: str
    func: Callable[..., Any]


class BaseSchemaGenerator:
    """What generators of documents share; define ``get_schema``."""

    def get_schema(self, routes: Sequence[BaseRoute]) -> dict[str, Any]:
        """The document of these routes."""
        raise NotImplementedError(f"{describe(type(self))} must define `get_schema`.")

    def get_endpoints(self, routes: Sequence[BaseRoute]) -> list[EndpointInfo]:
        """Every operation of routes that belong into a schema, mounted ones included."""
        found: list[EndpointInfo] = []
        for route in routes:
            if isinstance(route, Mount | Host):
                prefix = _without_convertors(route.path) if isinstance(route, Mount) else ""
                inner = self.get_endpoints(route.routes or [])
                found += [info._replace(path=prefix + info.path) for info in inner]
            elif isinstance(route, Route) and route.include_in_schema:
                path = _without_convertors(route.path)
                found += [EndpointInfo(path, *operation) for operation in _operations(route)]
        return found

    def parse_docstring(self, func_or_method: Callable[..., Any]) -> dict[str, Any]:
        """What the docstring of an endpoint says: YAML, behind the last ``---`` if there is one.

        Returns:
            The YAML as a dict; an empty one for a docstring in words.

        Raises:
            ValueError: what stands behind ``---`` is not YAML.
            ImportError: PyYAML is missing.
        """
        mark, text = (func_or_method.__doc__ or "").rpartition("---")[1:]
        if not text:
            return {}
        yaml = _yaml()
        try:
            parsed = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            if not mark:
                return {}
            raise ValueError(
                f"Expected YAML behind '---' in the docstring of {describe(func_or_method)}: {exc}"
            ) from exc
        return cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}

    def OpenAPIResponse(self, request: Request[Any]) -> Response:  # noqa: N802 - Starlette's name
        """Answer a request with the document of its application."""
        return OpenAPIResponse(self.get_schema(routes=request.app.routes))


class SchemaGenerator(BaseSchemaGenerator):
    """Makes an OpenAPI document: a base, and the operations that docstrings describe.

    Args:
        base_schema: the document without its operations; it is not changed. Operations with the
            method QUERY are left out where its version is below 3.2.
    """

    def __init__(self, base_schema: dict[str, Any]) -> None:
        self.base_schema = base_schema

    def get_schema(self, routes: Sequence[BaseRoute]) -> dict[str, Any]:
        """The document of these routes."""
        given: dict[str, dict[str, Any]] = self.base_schema.get("paths") or {}
        paths = {path: dict(operations) for path, operations in given.items()}
        version = _version_of(str(self.base_schema.get("openapi", "")))
        knows_query = version is not None and tuple(map(int, version.groups())) >= _QUERY_SINCE
        for endpoint in self.get_endpoints(routes):
            if endpoint.http_method != "query" or knows_query:
                parsed = self.parse_docstring(endpoint.func)
                if parsed:
                    paths.setdefault(endpoint.path, {})[endpoint.http_method] = parsed
        return {**self.base_schema, "paths": paths}


def _operations(route: Route) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The methods of a route, in lower case, each with what serves it."""
    endpoint: Any = route.endpoint
    while isinstance(endpoint, functools.partial):
        endpoint = cast("Any", endpoint.func)
    if inspect.isroutine(endpoint):
        for method in sorted(route.methods or {"GET"}):
            if method != "HEAD":
                yield method.lower(), endpoint
    else:
        for method in _METHODS:
            if hasattr(endpoint, method):
                yield method, getattr(endpoint, method)


def _without_convertors(path: str) -> str:
    """A path as OpenAPI writes it: `{id}` for `{id:int}`."""
    return re.sub(r":[^{}]*}", "}", path)
