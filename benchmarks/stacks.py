"""The apps that are measured, built alike on either framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.asgi import CONTENT, App, PassThrough
from benchmarks.frameworks import Framework


def idle_layer(framework: Framework) -> Any:
    """A dispatch layer class that only awaits what is inside."""
    base: Any = framework.base_http_middleware

    class Idle(base):  # type: ignore[misc]
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            return await call_next(request)

    return Idle


def json_endpoint(framework: Framework) -> Any:
    """An endpoint that answers with the small JSON document."""
    response = framework.json_response

    async def endpoint(request: Any) -> Any:
        return response(CONTENT)

    return endpoint


def layered(framework: Framework, layers: int, endpoint: Any = None) -> App:
    """An app of one route under ``layers`` dispatch layers that do nothing."""
    idle = idle_layer(framework)
    middleware = [framework.middleware(idle) for _ in range(layers)]
    return application(framework, endpoint, middleware)


def bridged(framework: Framework, pairs: int) -> App:
    """An app of one route under ``pairs`` of a dispatch layer and a pure ASGI layer inside it."""
    idle = idle_layer(framework)
    middleware = []
    for _ in range(pairs):
        middleware += [framework.middleware(idle), framework.middleware(PassThrough)]
    return application(framework, None, middleware)


def application(framework: Framework, endpoint: Any, middleware: Iterable[Any]) -> App:
    """An app with ``/`` as its one route; the JSON endpoint unless another is given."""
    route = framework.route("/", endpoint or json_endpoint(framework))
    app: App = framework.application(routes=[route], middleware=list(middleware))
    return app
