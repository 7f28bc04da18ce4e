"""Limit the size of request bodies.

Floor 5. Name and behaviour as Starlette 1.10; kept by the inbound, which counts the bytes as they
come, so a missing or false ``Content-Length`` changes nothing. The innermost limit counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lamella._headers import values_in
from lamella._outcomes import hold
from lamella.engine.edge import Sent
from lamella.engine.stack import Layer
from lamella.exceptions import BodyTooLargeError
from lamella.responses import PlainTextResponse

if TYPE_CHECKING:
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Scope

__all__ = ["MAX_BODY_SIZE_SCOPE_KEY", "RequestBodyLimitMiddleware", "RequestBodyLimitResponder"]

MAX_BODY_SIZE_SCOPE_KEY: Final = "lamella.max_body_size"
"""The scope key of the limit in force, in bytes."""


_is_length: Final = re.compile("[0-9]+").fullmatch
_MOST_DIGITS: Final = 19  # more than any limit has, and few enough to be a number at once

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
        _put_in_force(request, self.max_body_size)
        if request.exceeds_body_limit:
            request._direct = False  # a foreign app's response is not to be sent
        try:
            response = await self._inner(request)
        except BodyTooLargeError:
            if not request.exceeds_body_limit or _has_started(request):
                raise
            return _too_large()
        finally:
            if limit_around is None:
                scope.pop(MAX_BODY_SIZE_SCOPE_KEY, None)
            else:
                scope[MAX_BODY_SIZE_SCOPE_KEY] = limit_around
        if not request.exceeds_body_limit or isinstance(response, Sent):
            return response
        if response.status_code == 413 or response.exception is not None:
            return response
        hold(response, request)
        return _too_large()


# Starlette makes one for each request, by the same arguments. Here one serves them all.
RequestBodyLimitResponder = RequestBodyLimitMiddleware


def _put_in_force(request: Request[Any], max_body_size: int) -> None:
    """Set the limit, and set it in place of one further out, beyond foreign layers."""
    announced = _content_length(request.scope)
    request.limit_body(max_body_size, announced)
    around = request._around
    while around is not None:
        if around._body_limit is not None:
            around.limit_body(max_body_size, announced)
        around = around._around


def _too_large() -> Response:
    return PlainTextResponse("Content Too Large", 413)


def _has_started(request: Request[Any]) -> bool:
    exchange = request.exchange
    return exchange is not None and exchange.status is not None


def _content_length(scope: Scope) -> int:
    """The announced length; 0 if there is none or it is not 1*DIGIT (RFC 9110 section 8.6)."""
    announced = values_in(scope, b"content-length")
    if not announced or not _is_length(announced[0]):
        return 0
    return int(announced[0].lstrip("0")[:_MOST_DIGITS] or 0)
