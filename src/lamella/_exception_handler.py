"""Exceptions of what has an ASGI face alone, answered by the handlers of the application.

Floor 5. Under the private name that FastAPI 0.165 imports, as Starlette 1.10 has it. On the service
face exceptions are answered without it; websockets have no other face, so it is theirs, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from lamella._handshake import close_code, close_message, may_deny
from lamella._inspect import describe
from lamella._outcomes import answer, handlers_in, run_handler
from lamella.concurrency import run_in_threadpool
from lamella.engine.exchange import SendError, says_gone
from lamella.exceptions import (
    ClientDisconnect,
    HTTPException,
    NoResponseError,
    ResponseStartedError,
    WrongPayloadError,
)
from lamella.types import ExceptionHandler
from lamella.websockets import WebSocket, WebSocketDisconnect, WebSocketState

if TYPE_CHECKING:
    from lamella.requests import Request
    from lamella.types import ASGIApp, Message, Receive, Scope, Send

# `run_in_threadpool` is a name of Starlette's module, and used where handlers are run: `_outcomes`.
__all__ = [
    "RAISE_DISCONNECT",
    "ExceptionHandlers",
    "StatusHandlers",
    "run_in_threadpool",
    "wrap_app_handling_exceptions",
]

ExceptionHandlers = dict[Any, ExceptionHandler]
StatusHandlers = dict[int, ExceptionHandler]

RAISE_DISCONNECT: Final = "lamella.raise_disconnect"
"""The ASGI extension of a test client that is to be told of a ``WebSocketDisconnect`` which nobody
caught, as tests written for Starlette expect it. To a server that is no error."""

_STARTED: Final = "Caught handled exception, but response already started."

# What a message says about the side that sent it.
_CLIENT: Final = {
    "websocket.connect": WebSocketState.CONNECTED,
    "websocket.disconnect": WebSocketState.DISCONNECTED,
}
_APPLICATION: Final = {
    "websocket.accept": WebSocketState.CONNECTED,
    "websocket.close": WebSocketState.DISCONNECTED,
    "websocket.http.response.start": WebSocketState.RESPONSE,
}


def wrap_app_handling_exceptions(app: ASGIApp, conn: Request[Any] | WebSocket[Any]) -> ASGIApp:
    """An app whose exceptions are answered by the handlers of the application it runs in.

    Args:
        app: what may raise.
        conn: the request or websocket that handlers are called with.

    Returns:
        An ASGI app. It raises what no handler is for, and ``ResponseStartedError``, a
        ``RuntimeError``, if a response was started when a handled exception came.
    """
    if isinstance(conn, WebSocket):
        return _Session(app, conn)

    async def wrapped_app(scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sender(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await app(scope, receive, sender)
        except Exception as exc:
            handler = _handler_for(exc, scope)
            if handler is None:
                raise
            if started:
                raise ResponseStartedError(_STARTED) from exc
            response = await answer(handler, conn, exc)
            await response(scope, receive, sender)

    return wrapped_app


def _handler_for(exc: Exception, scope: Scope) -> ExceptionHandler | None:
    handlers = handlers_in(scope)
    return None if handlers is None else handlers.registered(exc)


class _Session:
    """An app that serves one websocket; what it raises closes that, one way or the other."""

    def __init__(self, app: ASGIApp, websocket: WebSocket[Any]) -> None:
        self._app = app
        self._websocket = websocket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it.

        Raises:
            Exception: what the app raised, unless a handler is for it, or it says no more than
                that the client left, and the client did leave.
        """
        try:
            await self._serve(scope, *self._observed(receive, send))
        except Exception as exc:
            if RAISE_DISCONNECT in (scope.get("extensions") or {}) or not self._explains(exc):
                raise

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as raised:
            exc = _wrong_payload_in(raised) or raised
            handler = _handler_for(exc, scope)
            if handler is not None:
                await self._answer(handler, exc, scope, receive, send)
            elif isinstance(exc, WrongPayloadError) and handlers_in(scope) is None:
                await self._close(send, exc.code, exc.reason)
            else:
                raise

    def _observed(self, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Keep the states by the messages: the app may have a WebSocket of its own, or none."""
        websocket = self._websocket

        async def observed_receive() -> Message:
            message = await receive()
            websocket.client_state = _CLIENT.get(message["type"], websocket.client_state)
            return message

        async def observed_send(message: Message) -> None:
            state = _APPLICATION.get(message["type"], websocket.application_state)
            websocket.application_state = state
            try:
                await send(message)
            except OSError as exc:
                if not says_gone(exc):
                    raise
                websocket.application_state = WebSocketState.DISCONNECTED
                raise SendError(*exc.args) from exc

        return observed_receive, observed_send

    async def _answer(
        self, handler: ExceptionHandler, exc: Exception, scope: Scope, receive: Receive, send: Send
    ) -> None:
        websocket = self._websocket
        response = await run_handler(handler, websocket, exc)
        if response is None:
            return
        if not callable(response):
            raise NoResponseError(
                f"Expected a Response or None from the exception handler {describe(handler)} for a"
                f" websocket, got {response!r}."
            )
        if websocket.application_state is WebSocketState.RESPONSE:
            raise ResponseStartedError(_STARTED) from exc
        connecting = websocket.application_state is WebSocketState.CONNECTING
        if connecting and may_deny(scope) and not self._is_over:
            await cast("ASGIApp", response)(scope, receive, send)
        else:
            reason = exc.detail if isinstance(exc, HTTPException) else ""
            await self._close(send, close_code(getattr(response, "status_code", 403)), reason)

    async def _close(self, send: Send, code: int, reason: str) -> None:
        if not self._is_over:
            await send(close_message(code, reason))

    @property
    def _is_over(self) -> bool:
        websocket = self._websocket
        return WebSocketState.DISCONNECTED in (websocket.client_state, websocket.application_state)

    def _explains(self, exc: Exception) -> bool:
        """Whether an exception says no more than that the client left, and the client did."""
        return self._is_over and _says_left(exc)


def _says_left(exc: BaseException) -> bool:
    if isinstance(exc, BaseExceptionGroup):  # of a task group in a layer or an endpoint
        group = cast("BaseExceptionGroup[BaseException]", exc)
        return all(_says_left(member) for member in group.exceptions)
    return isinstance(exc, WebSocketDisconnect | SendError | ClientDisconnect)


def _wrong_payload_in(exc: BaseException) -> WrongPayloadError | None:
    """What a client did wrong, if the group of a task group holds nothing else of an error."""
    if not isinstance(exc, ExceptionGroup):
        return None
    group = cast("ExceptionGroup[Exception]", exc)
    wrong, others = group.split(WrongPayloadError)
    if wrong is None or (others is not None and not _says_left(others)):
        return None
    found: Exception = wrong
    while isinstance(found, ExceptionGroup):
        found = cast("ExceptionGroup[Exception]", found).exceptions[0]
    return cast("WrongPayloadError", found)
