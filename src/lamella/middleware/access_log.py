"""One log record a request.

Floor 5. Standard logging, logger ``lamella.access``, level INFO.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from lamella.middleware.base import BaseHTTPMiddleware

if TYPE_CHECKING:
    from lamella.engine.exchange import Outcome
    from lamella.middleware.base import RequestResponseEndpoint
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp

__all__ = ["AccessLogMiddleware"]


class AccessLogMiddleware(BaseHTTPMiddleware):
    """Logs each exchange when it is over: what was sent, how long it took, whether it was cut off.

    Args:
        app: what is inside.
        logger: the name of the logger.
    """

    def __init__(self, app: ASGIApp, logger: str = "lamella.access") -> None:
        super().__init__(app)
        self._logger = logging.getLogger(logger)

    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
        """Have the exchange logged when it is over."""
        if self._logger.isEnabledFor(logging.INFO):
            client = request.client
            host = "-" if client is None else client.host
            # All three may be a client's text, the host if a proxy hands on what it was told: no
            # control character of them gets into the log.
            host, method = ascii(host)[1:-1], ascii(request.method)[1:-1]
            request.after_response(partial(self._log, host, method, request.scope.get("path", "")))
        return await call_next(request)

    def _log(self, host: str, method: str, path: str, outcome: Outcome) -> None:
        self._logger.info(
            "%s %s %r %s %d bytes %.1f ms%s",
            host,
            method,
            path,
            "-" if outcome.status is None else outcome.status,
            outcome.body_size,
            outcome.seconds * 1000,
            " client left" if outcome.client_left else "",
        )
