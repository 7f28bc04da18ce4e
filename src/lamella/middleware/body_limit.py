"""Limit the size of request bodies.

Floor 5. Name and behaviour as Starlette 1.10; kept by the inbound, which counts the bytes as they
come, so a missing or false ``Content-Length`` changes nothing. The innermost limit counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lamella.engine.service import Service
from lamella.engine.stack import link
from lamella.exceptions import HTTPException

if TYPE_CHECKING:
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = ["MAX_BODY_SIZE_SCOPE_KEY", "RequestBodyLimitMiddleware"]

MAX_BODY_SIZE_SCOPE_KEY: Final = "lamella.max_body_size"
"""The scope key of the limit in force, in bytes."""


class RequestBodyLimitMiddleware(Service):
    """Answer a body of more than ``max_body_size`` bytes with 413 (RFC 9110 section 15.5.14).

    Args:
        app: what is inside.
        max_body_size: bytes.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.max_body_size = max_body_size
        self._inner = link(app)

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        request.scope[MAX_BODY_SIZE_SCOPE_KEY] = self.max_body_size
        inbound = request.inbound
        inbound.limit = self.max_body_size
        inbound.content_length = _content_length(request)
        response = await self._inner(request)
        if inbound.exceeds_limit:
            raise HTTPException(413, "Content Too Large")
        return response

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let websockets and the lifespan through."""
        await self.app(scope, receive, send)


def _content_length(request: Request[Any]) -> int | None:
    """The announced length; None if there is none or it is not 1*DIGIT (RFC 9110 section 8.6)."""
    announced = request.headers.get("content-length", "")
    if not announced.isascii() or not announced.isdigit() or len(announced) > 18:
        return None
    return int(announced)
