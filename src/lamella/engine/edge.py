"""The edge: one Request in, one Response sent, and everything closed afterwards.

Floor 4. ``serve`` is entered once a request, by the outermost service face; and once more below
each foreign layer, where the messages go to that layer instead of the server.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from lamella.engine.exchange import EXCHANGE, Exchange, exchange_of
from lamella.requests import Request
from lamella.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lamella.types import Receive, Scope, Send

    Respond = Callable[[Request[Any]], Awaitable[Response]]

SENT: Final = Response()
"""What a link answers that has let a foreign app send straight: nothing is left to be sent."""

_logger = logging.getLogger("lamella.engine")
_errors = logging.getLogger("lamella.error")


async def serve(respond: Respond, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one HTTP request through a service face.

    Order: the stack, sending, callbacks of ``after_response``, background tasks, and then whatever
    is still open is closed.

    Args:
        respond: the service face of the outermost component.
        scope: the ASGI scope, of type ``http``.
        receive: the ASGI ``receive``.
        send: the ASGI ``send``.

    Raises:
        BaseException: what the stack, the stream or a background task raised and nobody handled.
            A client that left is no error.
    """
    exchange = Exchange(send, exchange_of(scope))
    request: Request[Any] = Request(scope, receive, exchange.send)
    scope[EXCHANGE] = exchange
    request._exchange = exchange
    exchange.request = request
    request._direct = True
    error: Exception | BaseException | None = None  # what the response reports, or what went wrong instead
    try:
        response = await respond(request)
        if response is not SENT:
            if response.background is not None or response._sources:
                exchange.hold(response)
            if response.exception is not None:
                error, response.exception = response.exception, None
                if exchange.outer is not None:
                    exchange.outer.failure = error
            if response._stream is None and type(response).__call__ is Response.__call__:
                await exchange.send_whole(response.status_code, response.raw_headers, response.body)
            else:
                await response(scope, request.receive, exchange.send)
    except BaseException as exc:
        if error is None and not exchange.explains(exc):
            error = exc
    if error is not None or exchange.unfinished:
        error = await _finish(exchange, error)
    # All of these refer back to the exchange.
    exchange.request = exchange.feed = None
    scope[EXCHANGE] = exchange.outer
    if error is not None:
        try:
            raise error
        finally:
            error = None  # or its traceback would hold the frame that holds it


async def _finish(exchange: Exchange, error: BaseException | None) -> BaseException | None:
    """Run what waits for the end, close what is open, log the outcome; the error to be raised."""
    outermost = exchange.outer is None
    exchange.cancelled = isinstance(error, asyncio.CancelledError)
    errors = [] if error is None else [error]
    if outermost and exchange.client_left:
        _logger.debug("the client left before the response was complete")
    try:
        await exchange.tell(error)
    except BaseException as exc:
        errors.append(exc)
    errors += await exchange.close_held()
    if not exchange.cancelled:
        for background in exchange.backgrounds:
            try:
                await background()
            except BaseException as exc:
                errors.append(exc)
    for inbound in exchange.inbounds:
        try:
            await inbound.close()
        except BaseException as exc:
            errors.append(exc)
    return _chosen(errors, outermost=outermost)


def _chosen(errors: list[BaseException], *, outermost: bool) -> BaseException | None:
    """The one error to raise: a cancellation before all, else the first; the others are logged."""
    if not errors:
        return None
    chosen = errors[0]
    for error in errors:
        if isinstance(error, asyncio.CancelledError):
            chosen = error
            break
    for error in errors:
        if error is not chosen and not isinstance(error, asyncio.CancelledError):
            _errors.error("an error while an exchange was closed", exc_info=error)
    if outermost and isinstance(chosen, Exception):
        _errors.error("unhandled error", exc_info=chosen)
    return chosen
