"""Refuse a websocket's handshake: with a response where the server takes one, else by closing.

Floor 5. Shared by the layers that have a policy for websockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamella._handshake import close_message, may_deny

if TYPE_CHECKING:
    from lamella.responses import Response
    from lamella.types import Receive, Scope, Send

__all__ = ["refuse_handshake"]


async def refuse_handshake(
    response: Response, reason: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send the response if the server offers ``websocket.http.response``, else close with 1008.

    A server turns a close before the handshake's end into a 403 (ASGI websocket spec, "Close").

    Args:
        response: what the client gets where it can get a response.
        reason: text for the close, at most 123 bytes of UTF-8.
        scope: of type ``websocket``, the handshake not answered yet.
        receive: the ASGI ``receive``.
        send: the ASGI ``send``.
    """
    if may_deny(scope):
        await response(scope, receive, send)
    else:
        await send(close_message(1008, reason))
