"""Every error the shop answers with, as one shape of JSON: `{"error": {"status", "message"}}`."""

from collections.abc import Awaitable, Callable

import msgspec

from lamella.exceptions import HTTPException
from lamella.requests import Request
from lamella.responses import JSONResponse

from .store import OutOfStockError, UnknownProductError


def problem(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error response with a status and a sentence for people."""
    return JSONResponse({"error": {"status": status, "message": message}}, status, headers)


async def http_error(request: Request, exc: HTTPException) -> JSONResponse:
    """Answer what a route or the router refused: 404, 405 and the like."""
    return problem(exc.status_code, exc.detail, dict(exc.headers or {}))


async def not_json(request: Request, exc: msgspec.DecodeError) -> JSONResponse:
    """Answer a body that is not JSON at all."""
    return problem(400, f"The body is not JSON: {exc}")


async def not_valid(request: Request, exc: msgspec.ValidationError) -> JSONResponse:
    """Answer JSON of the wrong shape; the message says what was expected, and where."""
    return problem(422, str(exc))


async def unknown_product(request: Request, exc: UnknownProductError) -> JSONResponse:
    """Answer an order of something the shop does not have."""
    return problem(422, str(exc))


async def out_of_stock(request: Request, exc: OutOfStockError) -> JSONResponse:
    """Answer an order of more than there is."""
    return problem(409, str(exc))


async def broken(request: Request, exc: Exception) -> JSONResponse:
    """Answer any other error: ours, so the details go to the log and not to the client."""
    return problem(500, "Something broke on our side.")


EXCEPTION_HANDLERS: dict[type[Exception], Callable[..., Awaitable[JSONResponse]]] = {
    HTTPException: http_error,
    msgspec.DecodeError: not_json,
    msgspec.ValidationError: not_valid,
    UnknownProductError: unknown_product,
    OutOfStockError: out_of_stock,
    Exception: broken,
}
