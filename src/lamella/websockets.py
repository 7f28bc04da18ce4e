"""One websocket: ``WebSocket``, its states, and what ends it.

Floor 3. Names and behaviour as Starlette 1.10, over the messages of the ASGI WebSocket spec. What
a client sends is never an error of the server: a message of the wrong kind is an exception that,
if nobody catches it, closes with the code that says so (RFC 6455 section 7.4.1).
"""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from lamella._handshake import close_message, may_deny
from lamella._headers import check_header
from lamella.exceptions import MalformedPayloadError, UsageError, WrongPayloadError
from lamella.requests import HTTPConnection, StateT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lamella.responses import Response
    from lamella.types import Message, Receive, Scope, Send

__all__ = [
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
]


class WebSocketState(enum.Enum):
    """How far one side of a websocket is."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    RESPONSE = 3


# What the application may send in each state, and the state after it.
_MAY_SEND: Final = {
    WebSocketState.CONNECTING: {
        "websocket.accept": WebSocketState.CONNECTED,
        "websocket.close": WebSocketState.DISCONNECTED,
        "websocket.http.response.start": WebSocketState.RESPONSE,
    },
    WebSocketState.CONNECTED: {
        "websocket.send": WebSocketState.CONNECTED,
        "websocket.close": WebSocketState.DISCONNECTED,
    },
    WebSocketState.RESPONSE: {"websocket.http.response.body": WebSocketState.RESPONSE},
}
_MAY_RECEIVE: Final = {
    WebSocketState.CONNECTING: {"websocket.connect": WebSocketState.CONNECTED},
    WebSocketState.CONNECTED: {
        "websocket.receive": WebSocketState.CONNECTED,
        "websocket.disconnect": WebSocketState.DISCONNECTED,
    },
}


class WebSocketDisconnect(Exception):
    """The client left, or the connection broke.

    Args:
        code: the close code of RFC 6455 section 7.4; 1006 for a connection that broke.
        reason: the client's text, "" without one.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class WebSocketDisconnected(RuntimeError):
    """A websocket is used that is over, or one that was not accepted yet."""


class WebSocket(HTTPConnection[StateT]):
    """One websocket connection.

    Accept it before anything else is sent or received. An exception closes it: an
    ``HTTPException`` before it is accepted is an HTTP answer, a ``WebSocketException`` its code.

    Args:
        scope: the ASGI scope, of type ``websocket``.
        receive: the ASGI ``receive``.
        send: the ASGI ``send``.

    Attributes:
        client_state: what the client has sent so far.
        application_state: what was sent to it.

    Source: ASGI WebSocket spec; as Starlette 1.10.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope)
        if scope["type"] != "websocket":
            raise UsageError(f"Expected a scope of type 'websocket', got {scope['type']!r}.")
        self._receive = receive
        self._send = send
        self.client_state = WebSocketState.CONNECTING
        self.application_state = WebSocketState.CONNECTING

    # -- messages ------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """The client's next message, in the order that the ASGI spec says.

        Raises:
            WebSocketDisconnected: the client's disconnect was received already.
            RuntimeError: the server sent a message out of order.
        """
        allowed = _MAY_RECEIVE.get(self.client_state)
        if allowed is None:
            raise WebSocketDisconnected(
                'Cannot call "receive" once a disconnect message has been received.'
            )
        message = await self._receive()
        kind = message["type"]
        if kind not in allowed:
            raise RuntimeError(f"Expected ASGI message {_listed(allowed)}, but got {kind!r}")
        self.client_state = allowed[kind]
        return message

    async def send(self, message: Message) -> None:
        """Send a message, in the order that the ASGI spec says.

        Raises:
            WebSocketDisconnect: the connection broke (code 1006).
            WebSocketDisconnected: a close was sent already.
            RuntimeError: the message cannot follow what was sent before.
            ValueError: a header or subprotocol that could split the handshake.
        """
        allowed = _MAY_SEND.get(self.application_state)
        if allowed is None:
            raise WebSocketDisconnected('Cannot call "send" once a close message has been sent.')
        kind = message["type"]
        if kind not in allowed:
            raise RuntimeError(f"Expected ASGI message {_listed(allowed)}, but got {kind!r}")
        if kind == "websocket.accept":
            _check_accept(message)
        self.application_state = allowed[kind]
        if kind == "websocket.http.response.body" and not message.get("more_body", False):
            self.application_state = WebSocketState.DISCONNECTED
        try:
            await self._send(message)
        except OSError as exc:
            self.application_state = WebSocketState.DISCONNECTED
            raise WebSocketDisconnect(code=1006) from exc

    # -- the handshake and the end -------------------------------------------------------------

    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Accept the connection.

        Args:
            subprotocol: one of ``scope["subprotocols"]``, which the client offers.
            headers: more headers of the answer, names in lower case.

        Raises:
            ValueError: a header or subprotocol that could split the handshake.
            WebSocketDisconnect: the connection broke (code 1006).
        """
        if self.client_state is WebSocketState.CONNECTING:
            await self.receive()
        pairs = [] if headers is None else list(headers)
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": pairs})

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the connection; nothing is sent to a client that left before.

        Args:
            code: close code of RFC 6455 section 7.4.
            reason: text for the client, cut to the 123 bytes of UTF-8 that a frame has for it.

        Raises:
            WebSocketDisconnected: it was closed already.
        """
        left = self.client_state is WebSocketState.DISCONNECTED
        if left and self.application_state in _MAY_SEND:
            self.application_state = WebSocketState.DISCONNECTED
            return
        await self.send(close_message(code, reason))

    async def send_denial_response(self, response: Response) -> None:
        """Answer the handshake with an HTTP response instead of accepting it.

        Raises:
            RuntimeError: the server has no extension ``websocket.http.response``; close instead.
        """
        if not may_deny(self.scope):
            raise RuntimeError(
                "The server doesn't support the Websocket Denial Response extension."
            )
        await response(self.scope, self.receive, self.send)

    # -- what the client says ------------------------------------------------------------------

    async def receive_text(self) -> str:
        """The client's next message as text.

        Raises:
            WebSocketDisconnect: the client left.
            WrongPayloadError: the message is binary; closes with 1003 if nobody catches it.
            WebSocketDisconnected: the connection was not accepted, or is over.
        """
        return cast("str", await self._payload("text"))

    async def receive_bytes(self) -> bytes:
        """The client's next message as bytes.

        Raises:
            WebSocketDisconnect: the client left.
            WrongPayloadError: the message is text; closes with 1003 if nobody catches it.
            WebSocketDisconnected: the connection was not accepted, or is over.
        """
        return cast("bytes", await self._payload("bytes"))

    async def receive_json(self, mode: str = "text") -> Any:
        """The client's next message, parsed as JSON.

        Args:
            mode: "text" or "binary", the kind of message that holds it.

        Raises:
            WebSocketDisconnect: the client left.
            WrongPayloadError: the message is of the other kind; closes with 1003.
            MalformedPayloadError: it is not JSON. A ``json.JSONDecodeError``; closes with 1003,
                or 1007 if it is not even UTF-8, if nobody catches it.
            WebSocketDisconnected: the connection was not accepted, or is over.
            RuntimeError: another mode.
        """
        _check_mode(mode)
        return parse_json(await self._payload("text" if mode == "text" else "bytes"))

    async def _payload(self, kind: str) -> Any:
        if self.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnected('WebSocket is not connected. Need to call "accept" first.')
        message = await self.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
        return payload(message, kind)

    async def iter_text(self) -> AsyncGenerator[str, None]:
        """Iterate over the client's messages as text, until it leaves."""
        try:
            while True:
                yield await self.receive_text()
        except WebSocketDisconnect:
            pass

    async def iter_bytes(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the client's messages as bytes, until it leaves."""
        try:
            while True:
                yield await self.receive_bytes()
        except WebSocketDisconnect:
            pass

    async def iter_json(self) -> AsyncGenerator[Any, None]:
        """Iterate over the client's messages, parsed as JSON, until it leaves."""
        try:
            while True:
                yield await self.receive_json()
        except WebSocketDisconnect:
            pass

    # -- what is said to it --------------------------------------------------------------------

    async def send_text(self, data: str) -> None:
        """Send a text message; raises as ``send``."""
        await self.send({"type": "websocket.send", "text": data})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; raises as ``send``."""
        await self.send({"type": "websocket.send", "bytes": data})

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON; raises as ``send``.

        Args:
            data: what ``json.dumps`` takes.
            mode: "text" or "binary", the kind of message.
        """
        _check_mode(mode)
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        # A lone surrogate, which only JSON can bring in, has no UTF-8, but an escape in JSON.
        encoded = text.encode("utf-8", "backslashreplace")
        if mode == "text":
            await self.send_text(encoded.decode("utf-8"))
        else:
            await self.send_bytes(encoded)


class WebSocketClose:
    """An ASGI app that closes a websocket.

    Args:
        code: close code of RFC 6455 section 7.4.
        reason: text for the client, cut to the 123 bytes of UTF-8 that a frame has for it.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close it."""
        await send(close_message(self.code, self.reason))


def payload(message: Message, kind: str) -> Any:
    """What a ``websocket.receive`` message holds.

    Args:
        message: the message.
        kind: "text" or "bytes".

    Raises:
        WrongPayloadError: it holds the other kind.
    """
    found = message.get(kind)
    if found is None:
        other = "bytes" if kind == "text" else "text"
        raise WrongPayloadError(f"Expected {kind} websocket messages, but got {other}")
    return found


def parse_json(data: str | bytes) -> Any:
    """What a client's message says in JSON.

    Raises:
        MalformedPayloadError: it is not JSON in UTF-8.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        return json.loads(text)
    except UnicodeDecodeError as exc:
        raise MalformedPayloadError(f"byte {exc.start} is not UTF-8", code=1007) from None
    except json.JSONDecodeError as exc:
        raise MalformedPayloadError(exc.msg, exc.doc, exc.pos) from None
    except (RecursionError, ValueError):
        # Thousands of brackets, or of digits.
        reason = "it is nested too deeply, or a number is too long"
        raise MalformedPayloadError(reason) from None


def _check_mode(mode: str) -> None:
    if mode not in ("text", "binary"):
        raise RuntimeError('The "mode" argument should be "text" or "binary".')


def _check_accept(message: Message) -> None:
    for name, value in message.get("headers") or ():
        check_header(name, value)
    subprotocol = message.get("subprotocol")
    if subprotocol is not None:
        _check_subprotocol(subprotocol)


def _check_subprotocol(subprotocol: str) -> None:
    try:
        check_header(subprotocol, "")  # a token, as the name of a header is (RFC 6455 4.2.2)
    except (TypeError, ValueError):
        _refuse_subprotocol(subprotocol)


def _refuse_subprotocol(subprotocol: object) -> NoReturn:
    raise UsageError(
        "Expected a subprotocol of one or more letters, digits and !#$%&'*+-.^_`|~ (an RFC 9110"
        f" token), got {subprotocol!r}; give one of scope['subprotocols']."
    )


def _listed(kinds: Iterable[str]) -> str:
    *others, last = [f'"{kind}"' for kind in kinds]
    return f"{', '.join(others)} or {last}" if others else last
