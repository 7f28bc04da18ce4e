"""Limit the size of request bodies.

Floor 5. Name and behaviour as Starlette 1.10; kept by the inbound, which counts the bytes as they
come, so a missing or false ``Content-Length`` changes nothing. The innermost limit counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lamella._outcomes import hold
from lamella.engine.edge import Sent
from lamella.engine.stack import Layer
from lamella.exceptions import BodyTooLargeError
from lamella.responses import PlainTextResponse

if TYPE_CHECKING:
    from lamella.engine.inbound import Inbound
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp

__all__ = ["MAX_BODY_SIZE_SCOPE_KEY", "RequestBodyLimitMiddleware", "RequestBodyLimitResponder"]

MAX_BODY_SIZE_SCOPE_KEY: Final = "lamella.max_body_size"
"""The scope key of the limit in force, in bytes."""


# What software on top looks for, by the names that Starlette 1.10 has.
_RequestBodyTooLarge = BodyTooLargeError


class _RequestBodyLimitResponseSent(Exception):  # pyright: ignore[reportUnusedClass]
    """Never raised: a response that is not to be sent is a value, and is replaced."""


class RequestBodyLimitMiddleware(Layer):
    """Answer a body of more than ``max_body_size`` bytes with 413 (RFC 9110 section 15.5.14).

    Args:
        app: what is inside.
        max_body_size: bytes.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        super().__init__(app)
        self.max_body_size = max_body_size

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        scope = request.scope
        limit_around = scope.get(MAX_BODY_SIZE_SCOPE_KEY)
        scope[MAX_BODY_SIZE_SCOPE_KEY] = self.max_body_size
        inbound = request.inbound
        _put_in_force(inbound, self.max_body_size)
        inbound.content_length = _content_length(request)
        if inbound.exceeds_limit:
            request._direct = False  # a foreign app's response is not to be sent
        try:
            response = await self._inner(request)
        except BodyTooLargeError:
            if not inbound.exceeds_limit or _has_started(request):
                raise
            return _too_large()
        finally:
            if limit_around is None:
                del scope[MAX_BODY_SIZE_SCOPE_KEY]
            else:
                scope[MAX_BODY_SIZE_SCOPE_KEY] = limit_around
        if not inbound.exceeds_limit or isinstance(response, Sent) or response.status_code == 413:
            return response
        if response.exception is not None:
            return response
        hold(response, request)
        return _too_large()


# Starlette makes one for each request, by the same arguments. Here one serves them all.
RequestBodyLimitResponder = RequestBodyLimitMiddleware


def _put_in_force(inbound: Inbound, max_body_size: int) -> None:
    """Set the limit, and set it in place of one further out, beyond foreign layers."""
    inbound.limit = max_body_size
    feed = inbound._feed
    while feed is not None:
        outer = feed.inbound
        if outer.limit is not None:
            outer.limit = max_body_size
        feed = outer._feed


def _too_large() -> Response:
    return PlainTextResponse("Content Too Large", 413)


def _has_started(request: Request[Any]) -> bool:
    exchange = request.exchange
    return exchange is not None and exchange.status is not None


def _content_length(request: Request[Any]) -> int | None:
    """The announced length; None if there is none or it is not 1*DIGIT (RFC 9110 section 8.6)."""
    announced = request.headers.get("content-length", "")
    if not announced.isascii() or not announced.isdigit() or len(announced) > 18:
        return None
    return int(announced)
