"""Errors, all in lamella's own shape of JSON: `{"detail": ...}`."""

from collections.abc import Awaitable, Callable

from lamella.requests import Request
from lamella.responses import JSONResponse

from .store import UnavailableError


def refusal(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error response with a status and a sentence for people."""
    return JSONResponse({"detail": detail}, status, headers)


async def unavailable(request: Request, exc: UnavailableError) -> JSONResponse:
    """Answer an order of what the shop does not have."""
    return refusal(409, str(exc))


async def broken(request: Request, exc: Exception) -> JSONResponse:
    """Answer any other error: ours, so the details go to the log and not to the client."""
    return refusal(500, "Something broke on our side.")


EXCEPTION_HANDLERS: dict[type[Exception], Callable[..., Awaitable[JSONResponse]]] = {
    UnavailableError: unavailable,
    Exception: broken,
}
