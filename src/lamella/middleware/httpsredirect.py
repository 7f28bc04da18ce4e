"""Send clients that came without TLS to the same URL with it.

Floor 5. Name and behaviour as Starlette 1.10. What counts is the scope's scheme: a server behind a
proxy has to be told whose ``X-Forwarded-Proto`` it may believe, and then sets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lamella._headers import parse_host
from lamella._refusal import refuse_handshake
from lamella.datastructures import URL
from lamella.engine.stack import Layer
from lamella.responses import PlainTextResponse, RedirectResponse

if TYPE_CHECKING:
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import Receive, Scope, Send

__all__ = ["HTTPSRedirectMiddleware"]

_SECURE: Final = {"http": "https", "websocket": "wss"}
_ARE_SECURE: Final = ("https", "wss")
_DEFAULT_PORTS: Final = (80, 443)


class HTTPSRedirectMiddleware(Layer):
    """Answers ``http`` and ``ws`` with 307 to ``https`` and ``wss``.

    Host and port are the request's, without a port of 80 or 443; without a valid Host header they
    are the server's, and without either the answer is 400. A websocket is redirected where the
    server takes a response to a handshake, and closed (1008) where it does not.

    Args:
        app: what is inside.
    """

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        if request.scope.get("scheme") in _ARE_SECURE:
            return await self._inner(request)
        return _redirect(request.scope)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the lifespan through, and websockets that use TLS."""
        if scope["type"] == "websocket" and scope.get("scheme") not in _ARE_SECURE:
            await refuse_handshake(_redirect(scope), "Use wss", scope, receive, send)
            return
        await self._app(scope, receive, send)


def _redirect(scope: Scope) -> Response:
    """The redirect of a request, to nowhere else than where it was sent to."""
    url = URL(scope=scope)
    host = parse_host(url.netloc)
    if host is None:
        return PlainTextResponse("Invalid host header", status_code=400)
    has_default_port = host.port is not None and int(host.port) in _DEFAULT_PORTS
    netloc = host.host if has_default_port else host.authority
    return RedirectResponse(url.replace(scheme=_SECURE[scope["type"]], netloc=netloc))
