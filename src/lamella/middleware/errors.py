"""The outermost layer: unhandled exceptions answered with 500, or the debug page.

Floor 5. Names and behaviour as Starlette 1.10. The exception goes on to the server once the
response was sent, so that servers log it and test clients raise it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lamella._debug_page import render_html, render_text
from lamella._inspect import describe
from lamella._outcomes import answer, run_handler
from lamella.engine.stack import Layer
from lamella.responses import HTMLResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from lamella.requests import Request
    from lamella.types import ASGIApp, ExceptionHandler

__all__ = ["ServerErrorMiddleware"]

_errors = logging.getLogger("lamella.error")


class ServerErrorMiddleware(Layer):
    """Answers what nobody handled.

    Args:
        app: what is inside.
        handler: ``handler(request, exc)`` for the 500, sync or async; "Internal Server Error"
            without one.
        debug: show the debug page instead. Never in production: it shows source and variables.
    """

    def __init__(
        self, app: ASGIApp, handler: ExceptionHandler | None = None, debug: bool = False
    ) -> None:
        super().__init__(app)
        self.handler = handler
        self.debug = debug

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        if self.handler is not None and self.tell not in request._error_handlers:
            request._error_handlers += (self.tell,)
        try:
            return await self._inner(request)
        except Exception as exc:
            exchange = request.exchange
            if exchange is not None and exchange.explains(exc):
                raise  # nobody to answer
            if exchange is not None and exchange.status is not None:
                await self.tell(request, exc)
                raise
            return await self.answer(request, exc)

    async def tell(self, request: Request[Any], exc: Exception) -> None:
        """Call the handler for an error that comes too late to be answered, as Starlette 1.10.

        What it returns is dropped, and what it raises is logged.
        """
        if self.handler is None:
            return
        try:
            made = await run_handler(self.handler, request, exc)
            if isinstance(made, Response):
                await made.aclose()
        except Exception:
            _errors.exception("the handler %s failed", describe(self.handler))

    async def answer(self, request: Request[Any], exc: Exception) -> Response:
        """The 500 response of an exception; it carries the exception to the edge."""
        if self.debug:
            response = self.debug_response(request, exc)
        elif self.handler is None:
            response = self.error_response(request, exc)
        else:
            response = await answer(self.handler, request, exc)
        response.exception = exc
        exchange = request.exchange
        if exchange is not None:
            exchange.decorate(response)
        return response

    def debug_response(self, request: Request[Any], exc: Exception) -> Response:
        """The debug page, or its text for clients that do not ask for HTML."""
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(self.generate_html(exc), status_code=500)
        return PlainTextResponse(self.generate_plain_text(exc), status_code=500)

    def error_response(self, request: Request[Any], exc: Exception) -> Response:
        """The answer without a handler."""
        return PlainTextResponse("Internal Server Error", status_code=500)

    def generate_html(self, exc: Exception, limit: int = 7) -> str:
        """The debug page; ``limit`` is the lines of source shown around each line."""
        return render_html(exc, limit=limit)

    def generate_plain_text(self, exc: Exception) -> str:
        """The traceback as text."""
        return render_text(exc)
