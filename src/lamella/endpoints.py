"""Endpoints as classes: a method for each HTTP method, or for each event of a websocket.

Floor 6. Names and behaviour as Starlette 1.10: a new object for each request or connection. A
client's words are looked up in a table of verbs, never among the attributes of the class.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from lamella._endpoint import method_not_allowed
from lamella._inspect import describe, is_async_callable
from lamella.concurrency import run_in_threadpool
from lamella.exceptions import UsageError, WrongPayloadError
from lamella.requests import Request
from lamella.responses import Response
from lamella.websockets import (
    WebSocket,
    WebSocketDisconnect,
    WebSocketState,
    parse_json,
    payload,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from lamella.types import Message, Receive, Scope, Send

__all__ = ["HTTPEndpoint", "Request", "WebSocketEndpoint", "native"]

_VERBS: Final = {
    "GET": "get",
    "HEAD": "head",
    "POST": "post",
    "PUT": "put",
    "PATCH": "patch",
    "DELETE": "delete",
    "OPTIONS": "options",
    "QUERY": "query",
}
_INTERNAL_ERROR: Final = 1011


class HTTPEndpoint:
    """An endpoint with a method for each HTTP method it serves.

    Define ``get``, ``head``, ``post``, ``put``, ``patch``, ``delete``, ``options`` or ``query``,
    each ``(self, request) -> Response``, sync or async. ``get`` answers HEAD, too. Others are 405.

    Args:
        scope: the ASGI scope, of type ``http``.
        receive: the ASGI ``receive``.
        send: the ASGI ``send``.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise UsageError(f"Expected a scope of type 'http', got {scope['type']!r}.")
        self.scope = scope
        self.receive = receive
        self.send = send

    # Of one that was made of a request: most never look, and what these hold takes its time.
    _request: Request[Any]

    @cached_property
    def receive(self) -> Receive:
        """The ASGI ``receive``."""
        return self._request.receive

    @cached_property
    def send(self) -> Send:
        """The ASGI ``send``."""
        return self._request._send

    @cached_property
    def _allowed_methods(self) -> list[str]:
        return [verb for verb in _VERBS if self._method_for(verb) is not None]

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        """Serve the request by its ASGI messages."""
        request: Request[Any] = Request(self.scope, self.receive, self.send)
        response = await self._answer(request)
        await response(self.scope, self.receive, self.send)

    async def method_not_allowed(self, request: Request[Any]) -> Response:
        """Answer 405 with ``Allow`` (RFC 9110 section 15.5.6)."""
        return await method_not_allowed(self._allowed_methods, self.scope)

    def _method_for(self, verb: str) -> Callable[[Request[Any]], Any] | None:
        name = _VERBS.get(verb)
        if name is None:
            return None
        found: Callable[[Request[Any]], Any] | None = getattr(self, name, None)
        return self._method_for("GET") if found is None and verb == "HEAD" else found

    async def _answer(self, request: Request[Any]) -> Any:
        method: Any = self._method_for(request.method) or self.method_not_allowed
        function = getattr(method, "__func__", None)
        if is_async_callable(method) if function is None else _is_async(function):
            return await method(request)
        return await run_in_threadpool(method, request)


def native(endpoint: object) -> Callable[[Request[Any]], Awaitable[Any]] | None:
    """The function that an ``HTTPEndpoint`` class stands for, so that it has a service face.

    None for everything else, and for a class that serves the ASGI messages in its own way.
    """
    if not isinstance(endpoint, type) or not issubclass(endpoint, HTTPEndpoint):
        return None
    cls: type[HTTPEndpoint] = endpoint
    own = (cls.dispatch, cls.__await__) != (HTTPEndpoint.dispatch, HTTPEndpoint.__await__)
    if own or type(cls).__call__ is not type.__call__:
        return None

    async def answer(request: Request[Any]) -> Any:
        return await _made(cls, request)._answer(request)

    return answer


def _made(cls: type[HTTPEndpoint], request: Request[Any]) -> HTTPEndpoint:
    """The object that serves a request. PERF: without its ``receive`` twice as fast."""
    if cls.__init__ is not HTTPEndpoint.__init__ or cls.__new__ is not object.__new__:
        return cls(request.scope, request.receive, request._send)
    endpoint = cls.__new__(cls)
    endpoint.scope = request.scope
    endpoint._request = request
    return endpoint


# PERF: looking takes longer than all the rest; there are as many as methods of classes.
_is_async = lru_cache(maxsize=1024)(is_async_callable)


class WebSocketEndpoint:
    """An endpoint with a method for each event of a websocket.

    Define ``on_connect``, ``on_receive`` and ``on_disconnect`` as they are needed.

    Args:
        scope: the ASGI scope, of type ``websocket``.
        receive: the ASGI ``receive``.
        send: the ASGI ``send``.

    Attributes:
        encoding: what ``on_receive`` gets: "text", "bytes", "json" (of text or bytes), or None for
            text or bytes as they come. Other messages close with 1003 (RFC 6455 section 7.4.1).
    """

    encoding: ClassVar[Literal["text", "bytes", "json"] | None] = None

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise UsageError(f"Expected a scope of type 'websocket', got {scope['type']!r}.")
        if self.encoding not in ("text", "bytes", "json", None):
            raise UsageError(
                f"Expected encoding to be 'text', 'bytes', 'json' or None, got {self.encoding!r}"
                f" in {describe(type(self))}."
            )
        self.scope = scope
        self.receive = receive
        self.send = send

    def __await__(self) -> Generator[Any, None, None]:
        return self.dispatch().__await__()

    async def dispatch(self) -> None:
        """Serve the connection until it is over."""
        websocket: WebSocket[Any] = WebSocket(self.scope, self.receive, self.send)
        await self.on_connect(websocket)
        close_code = 1000
        try:
            while (message := await websocket.receive())["type"] == "websocket.receive":
                await self.on_receive(websocket, await self.decode(websocket, message))
            close_code = int(message.get("code") or 1000)
        except WebSocketDisconnect as exc:
            close_code = exc.code
            raise
        except Exception:
            close_code = _INTERNAL_ERROR
            raise
        finally:
            await self.on_disconnect(websocket, close_code)

    async def decode(self, websocket: WebSocket[Any], message: Message) -> Any:
        """What a message holds, as ``encoding`` says.

        Raises:
            WrongPayloadError: it holds something else; the websocket was closed with 1003.
        """
        try:
            return self._decoded(message)
        except WrongPayloadError as exc:
            if websocket.application_state is not WebSocketState.DISCONNECTED:
                await websocket.close(code=exc.code)
            raise

    def _decoded(self, message: Message) -> Any:
        if self.encoding in ("text", "bytes"):
            return payload(message, self.encoding)
        text = message.get("text")
        data = payload(message, "bytes") if text is None else text
        return parse_json(data) if self.encoding == "json" else data

    async def on_connect(self, websocket: WebSocket[Any]) -> None:
        """Accept the connection, or override this."""
        await websocket.accept()

    async def on_receive(self, websocket: WebSocket[Any], data: Any) -> None:
        """Override this to handle a message."""

    async def on_disconnect(self, websocket: WebSocket[Any], close_code: int) -> None:
        """Override this to handle the end, with the code it was closed with."""
