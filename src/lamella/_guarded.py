"""A frontend behind the dependencies of the routers that it was declared in.

Floor 6.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from lamella._api_route import endpoint_provider
from lamella._endpoint import Endpoint
from lamella._reply import reply_for
from lamella._typed_endpoint import TypedEndpoint
from lamella.injection.encode import ResponseOptions
from lamella.requests import Request
from lamella.responses import Response

if TYPE_CHECKING:
    from lamella._frontend import Frontend
    from lamella.engine.service import Respond

__all__ = ["guarded"]


def guarded(frontend: Frontend, dependencies: Sequence[Any]) -> Respond | None:
    """What answers for a frontend after its dependencies; None if it has none.

    Only GET and HEAD are served, and only for them are the dependencies called.
    """
    if not dependencies:
        return None

    async def serve(request: Request[Any], response: Response) -> Response:
        answer = await frontend.answer(request)
        answer.raw_headers.extend(response.raw_headers)
        return answer

    provider = endpoint_provider(frontend.path_format, serve, dependencies)
    reply = reply_for(
        provider,
        response_model=None,
        response_class=None,
        status_code=None,
        options=ResponseOptions(),
    )
    behind = Endpoint(TypedEndpoint(provider, reply, frontend.path_format, ()).__call__)

    def respond(request: Request[Any]) -> Coroutine[Any, Any, Response]:
        serves = request.scope["method"] in ("GET", "HEAD")
        return behind.respond(request) if serves else frontend.respond(request)

    return respond
