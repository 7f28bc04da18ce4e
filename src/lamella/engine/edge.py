"""The edge: one Request in, one Response sent, and everything closed afterwards.

Floor 4. ``serve`` is entered once a request, by the outermost service face; and once more below
each foreign layer, where the messages go to that layer instead of the server.
"""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from lamella.engine.exchange import EDGE, Exchange, SendError, says_gone
from lamella.engine.loop import here
from lamella.requests import Request
from lamella.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lamella.types import Receive, Scope, Send

    Respond = Callable[[Request[Any]], Coroutine[Any, Any, Response]]


class Sent(Response):
    """What a link answers that has let a foreign app send straight: nothing is left to be sent."""


# A library's way: records go where the program sends them, and nowhere if it does not say; the
# server logs an unhandled error by itself.
logging.getLogger("lamella").addHandler(logging.NullHandler())
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
    request: Request[Any] = Request(scope, receive, send)
    request._started_at = perf_counter()
    request._direct = True
    scope[EDGE] = request
    if _Noting.places:
        request._place = here().place()
    error: BaseException | None = None  # what the response reports, or what went wrong instead
    response: Response | None = None
    try:
        response = await respond(request)
        exchange = request._exchange
        if _is_plain(response) and (
            exchange is None
            or (request._direct and exchange.status is None and type(response) is not Sent)
        ):
            await _send_plain(response, request, send)
        elif not isinstance(response, Sent):
            exchange = _exchange_of(request)
            error = exchange.take(response)
            response._ends_apart = not request._direct and exchange.ends_apart
            await response(scope, request.listen, exchange.send)
    except GeneratorExit:
        # The coroutine is thrown away: nothing may be awaited any more.
        for inbound in _exchange_of(request).inbounds:
            inbound.stop()
        raise
    except BaseException as exc:
        if error is None and not _exchange_of(request).explains(exc):
            error = exc
            if response is not None:
                await _tell_handlers(request, exc)
    if error is not None or request._exchange is not None:
        error = await _finish(request, _exchange_of(request), error)
    request._over = True
    if request._claimed is not None:
        request._claimed.give_back()
    scope[EDGE] = request._around  # or the scope and the request would hold each other
    if error is not None:
        try:
            raise error
        finally:
            error = None  # or its traceback would hold the frame that holds it


class _Noting:
    """Whether edges note where they begin: only where somebody may ask."""

    places = False


def note_places() -> None:
    """Have each edge from now on note the task and the cancel scope that it begins in."""
    _Noting.places = True


def begins_at(scope: Scope, place: tuple[int, int]) -> bool:
    """Whether the edge of a request began in this very task and cancel scope."""
    request: Any = scope.get(EDGE)
    return request is not None and request._place == place


def _exchange_of(request: Request[Any]) -> Exchange:
    return cast("Exchange", request.exchange)


def _is_plain(response: Response) -> bool:
    """Whether a response is two messages and nothing to be done about it."""
    return (
        not response._delicate
        and response.exception is None
        and type(response).__call__ is Response.__call__
    )


async def _send_plain(response: Response, request: Request[Any], send: Send) -> None:
    """Send a plain response. PERF: a tenth off a plain route, more off one that read a body."""
    exchange = request._exchange
    # A copy: a layer may change the message in place, and the response may be used again.
    status, headers = response.status_code, response.raw_headers.copy()
    try:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if exchange is not None:
            exchange.status = status
        await send({"type": "http.response.body", "body": response.body})
        if exchange is not None:
            exchange.count_whole(len(response.body))
    except OSError as exc:
        if not says_gone(exc):
            raise
        _exchange_of(request).left = True
        raise SendError(*exc.args) from exc


async def _finish(
    request: Request[Any], exchange: Exchange, error: BaseException | None
) -> BaseException | None:
    """End an exchange; the error to be raised."""
    if error is None and not exchange.client_left and exchange.owes_nothing:
        await exchange.end()  # PERF: of a request whose body was read, and no more
        return None
    return await _settle(request, exchange, error)


async def _settle(
    request: Request[Any], exchange: Exchange, error: BaseException | None
) -> BaseException | None:
    """Run what waits for the end, close what is open, log the outcome; the error to be raised."""
    exchange.cancelled = error is not None and here().is_cancellation(error)
    errors = [] if error is None else [error]
    if exchange.outer is None and exchange.client_left:
        _logger.debug("the client left before the response to %s was complete", _named(request))
    try:
        await exchange.tell(error)
    except BaseException as exc:
        errors.append(exc)
    errors += await exchange.close_held()
    if exchange.backgrounds and not exchange.cancelled:
        errors += await _run_backgrounds(request, exchange)
    # A background task may have called in again, or asked for the outcome.
    errors += await exchange.close_held()
    if exchange.exits:
        late = await exchange.close_exits(error)
        errors += late
        for raised in late:
            await _tell_handlers(request, raised)
    try:
        await exchange.tell(error)
    except BaseException as exc:
        errors.append(exc)
    for response in exchange.claimed:
        response.give_back()
    exchange.over = True
    exchange.feed = None  # it refers back to the request
    for resource in (*exchange.forms, *exchange.inbounds):
        try:
            await resource.close()
        except BaseException as exc:
            errors.append(exc)
    chosen = _chosen(errors)
    if exchange.outer is None and isinstance(chosen, Exception):
        _errors.error("unhandled error in %s", _named(request), exc_info=chosen)
    return chosen


async def _run_backgrounds(request: Request[Any], exchange: Exchange) -> list[BaseException]:
    """Run the background tasks; below layers once the server has had a turn, as Starlette 1.10."""
    errors: list[BaseException] = []
    try:
        if not request._direct:
            await here().turn()
        for background in exchange.backgrounds:
            try:
                await background()
            except Exception as exc:
                errors.append(exc)
                await _tell_handlers(request, exc)
    except BaseException as exc:
        errors.append(exc)
    return errors


async def _tell_handlers(request: Request[Any], exc: BaseException) -> None:
    """Tell the handlers of unhandled errors of one that comes too late to be answered."""
    if isinstance(exc, Exception):
        for told in reversed(request._error_handlers):
            await told(request, exc)


def _named(request: Request[Any]) -> str:
    """A request in a log record, without a client's control characters."""
    method = ascii(request.scope.get("method"))[1:-1]
    return f"{method} {request.scope.get('path')!r}"


def _chosen(errors: list[BaseException]) -> BaseException | None:
    """The one error to raise: a cancellation before all, else the first; the others are logged."""
    if not errors:
        return None
    chosen = errors[0]
    is_cancellation = here().is_cancellation
    for error in errors:
        if is_cancellation(error):
            chosen = error
            break
    for error in errors:
        if error is not chosen and not is_cancellation(error):
            _errors.error("an error while an exchange was closed", exc_info=error)
    return chosen
