"""Serve known hosts only: a Host header is the client's word, and URLs are made of it.

Floor 5. Name and behaviour as Starlette 1.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lamella._headers import parse_host, values_in
from lamella._refusal import refuse_handshake
from lamella.datastructures import URL
from lamella.engine.stack import Layer
from lamella.exceptions import UsageError
from lamella.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = ["ENFORCE_DOMAIN_WILDCARD", "TrustedHostMiddleware"]

ENFORCE_DOMAIN_WILDCARD: Final = "Domain wildcard patterns must be like '*.example.com'."
_INVALID: Final = "Invalid host header"


class TrustedHostMiddleware(Layer):
    """Answers requests and websockets for any other host with 400 ``Invalid host header``.

    So it does for a Host header that is missing, that stands twice, or that follows not its
    grammar (RFC 9112 section 3.2). Any port is as good as another.

    Args:
        app: what is inside.
        allowed_hosts: names without a port, addresses of IPv6 in brackets, compared in any case;
            ``*.example.com`` for the names below ``example.com``; ``*``, the default, for any.
        www_redirect: whether to redirect (307) where ``www.`` before the name makes it an allowed
            one.

    Raises:
        UsageError: a text instead of a list; a ``*`` elsewhere than in front of a dot.
    """

    def __init__(
        self, app: ASGIApp, allowed_hosts: Sequence[str] | None = None, www_redirect: bool = True
    ) -> None:
        super().__init__(app)
        patterns = ["*"] if allowed_hosts is None else allowed_hosts
        if isinstance(patterns, str):
            raise UsageError(
                f"Expected allowed_hosts to be a list of texts, got {patterns!r};"
                f" write [{patterns!r}]."
            )
        for pattern in patterns:
            _check_pattern(pattern)
        self.allowed_hosts = [pattern.lower() for pattern in patterns]
        self.allow_any = "*" in patterns
        self.www_redirect = www_redirect

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        if not self.allow_any:
            refusal = self._refusal(request.scope)
            if refusal is not None:
                return refusal
        return await self._inner(request)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the lifespan through, and websockets of allowed hosts."""
        if scope["type"] == "websocket" and not self.allow_any:
            refusal = self._refusal(scope)
            if refusal is not None:
                await refuse_handshake(refusal, _INVALID, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """What to answer instead of the application, or None for an allowed host."""
        given = values_in(scope, b"host")
        parsed = parse_host(given[0]) if len(given) == 1 else None
        if parsed is not None:
            host = parsed.host.lower()
            if _is_covered(host, self.allowed_hosts):
                return None
            has_www = f"www.{host}" in self.allowed_hosts
            if self.www_redirect and has_www and parsed.is_valid_port:
                return RedirectResponse(URL(scope=scope).replace(netloc=f"www.{parsed.authority}"))
        return PlainTextResponse(_INVALID, status_code=400)


def _is_covered(host: str, patterns: list[str]) -> bool:
    return host in patterns or any(
        pattern.startswith("*") and host.endswith(pattern[1:]) for pattern in patterns
    )


def _check_pattern(pattern: str) -> None:
    if "*" in pattern[1:] or (pattern.startswith("*") and pattern[1:2] not in ("", ".")):
        raise UsageError(f"{ENFORCE_DOMAIN_WILDCARD} Got {pattern!r}.")
