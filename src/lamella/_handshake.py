"""How a websocket's handshake is refused: by a response if the server takes one, else closed.

Floor 0. ASGI WebSocket spec, "Close", and its extension "WebSocket Denial Response".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lamella.types import Message, Scope, Send

__all__ = ["close_code", "close_message", "denying", "may_deny"]

# RFC 6455 section 5.5: a control frame holds 125 bytes, and two of them are the code.
_LONGEST_REASON: Final = 123
_POLICY_VIOLATION: Final = 1008
_INTERNAL_ERROR: Final = 1011


def may_deny(scope: Scope) -> bool:
    """Whether the server takes an HTTP response to a handshake (``websocket.http.response``)."""
    return "websocket.http.response" in (scope.get("extensions") or {})


def denying(send: Send) -> Send:
    """A ``send`` by which a response answers a handshake."""

    async def deny(message: Message) -> None:
        if message["type"].startswith("http.response."):
            message = {**message, "type": "websocket." + message["type"]}
        await send(message)

    return deny


def close_code(status: int) -> int:
    """What stands for an HTTP status where no response can be given (RFC 6455 section 7.4.1)."""
    return _INTERNAL_ERROR if status >= 500 else _POLICY_VIOLATION


def close_message(code: int, reason: str | None) -> Message:
    """The message that closes, with a reason that fits into a frame.

    Frameworks on top give other things than text for a reason; these are left as they are.
    """
    text = reason or ""
    if isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raw = text.encode("utf-8", "replace")
        if len(raw) > _LONGEST_REASON:
            text = raw[:_LONGEST_REASON].decode("utf-8", "ignore")
    return {"type": "websocket.close", "code": code, "reason": text}
