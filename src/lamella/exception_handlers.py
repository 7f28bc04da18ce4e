"""Handlers of the errors of typed applications: answers in JSON.

Floor 5. Names and answers as FastAPI 0.165; and the same as problem details (RFC 9457).
"""

from __future__ import annotations

from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from lamella._json import encode
from lamella.encoders import jsonable_encoder
from lamella.exceptions import (
    HTTPException,
    RequestValidationError,
    WebSocketRequestValidationError,
)
from lamella.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamella.requests import Request
    from lamella.websockets import WebSocket

__all__ = [
    "http_exception_handler",
    "http_problem_handler",
    "request_validation_exception_handler",
    "request_validation_problem_handler",
    "server_error_problem_handler",
    "websocket_request_validation_exception_handler",
]

# Characters of JSON, in the answer to one request: of what came, and of what is encoded to find out
# how large it is.
_MOST_SHOWN = 64 * 1024
_MOST_ENCODED = 4 * 1024 * 1024
_BODILESS = frozenset((204, 205, 304))
_LONGEST_REASON = 120  # bytes; RFC 6455 section 5.5 leaves 123


async def http_exception_handler(request: Request[Any], exc: Exception) -> Response:
    """Answer an ``HTTPException`` with ``{"detail": ...}``."""
    error = cast("HTTPException", exc)
    if error.status_code < 200 or error.status_code in _BODILESS:
        return Response(status_code=error.status_code, headers=error.headers)
    return JSONResponse(
        {"detail": jsonable_encoder(error.detail)},
        status_code=error.status_code,
        headers=error.headers,
    )


async def request_validation_exception_handler(request: Request[Any], exc: Exception) -> Response:
    """Answer a ``RequestValidationError`` with 422 and ``{"detail": [...]}``."""
    errors = cast("RequestValidationError", exc).errors()
    return JSONResponse({"detail": _shown(errors)}, status_code=422)


async def websocket_request_validation_exception_handler(
    websocket: WebSocket[Any], exc: Exception
) -> None:
    """Close a websocket whose handshake does not fit, with 1008 and what is wrong."""
    errors = cast("WebSocketRequestValidationError", exc).errors()
    said = [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors]
    reason = "; ".join(said).encode()[:_LONGEST_REASON].decode(errors="ignore")
    await websocket.close(code=1008, reason=reason)


# -- problem details -------------------------------------------------------------------------------


async def http_problem_handler(request: Request[Any], exc: Exception) -> Response:
    """Answer an ``HTTPException`` with problem details (RFC 9457)."""
    error = cast("HTTPException", exc)
    if error.status_code < 200 or error.status_code in _BODILESS:
        return Response(status_code=error.status_code, headers=error.headers)
    return _problem(error.status_code, error.detail, error.headers)


async def request_validation_problem_handler(request: Request[Any], exc: Exception) -> Response:
    """Answer a ``RequestValidationError`` with problem details, the errors in ``errors``."""
    errors = cast("RequestValidationError", exc).errors()
    detail = "The request does not fit what is expected; see errors."
    return _problem(422, detail, None, errors=_shown(errors))


async def server_error_problem_handler(request: Request[Any], exc: Exception) -> Response:
    """Answer an unhandled error with problem details that say nothing of it."""
    return _problem(500, None, None)


def _problem(
    status_code: int, detail: Any, headers: Mapping[str, str] | None, **more: Any
) -> Response:
    title = HTTPStatus(status_code).phrase if status_code in _KNOWN else "Error"
    content: dict[str, Any] = {"type": "about:blank", "title": title, "status": status_code}
    if isinstance(detail, str):
        if detail and detail != title:
            content["detail"] = detail
    elif isinstance(detail, dict):
        # Members of the problem's own (RFC 9457 section 3.2); those of the standard stay ours.
        content = {**jsonable_encoder(detail), **content}
    elif detail is not None:
        content["errors"] = jsonable_encoder(detail)
    content.update(more)
    return JSONResponse(
        content,
        status_code=status_code,
        headers=headers,
        media_type="application/problem+json",
    )


_KNOWN = frozenset(status.value for status in HTTPStatus)


def _shown(errors: Any) -> list[Any]:
    """Errors as JSON; what a client sent may hold what JSON has no word for.

    Each repeats what came, and may do so as often as there are fields. What would make the answer
    large is null.
    """
    shown: list[Any] = []
    inputs = _Inputs()
    for error in errors:
        told = {key: value for key, value in dict(error).items() if key != "input"}
        content: dict[str, Any] = _as_json(told)
        if "input" in error:
            content["input"] = inputs.shown(error["input"])
        # In the order in which pydantic has them.
        shown.append({key: content[key] for key in error if key in content})
    return shown


class _Inputs:
    """What came, as JSON, as long as there is room for it in an answer."""

    def __init__(self) -> None:
        self._left = _MOST_SHOWN
        self._work = _MOST_ENCODED
        self._known: dict[int, tuple[Any, int]] = {}  # by identity: all of them live meanwhile

    def shown(self, value: Any) -> Any:
        """A value as JSON, or None if there is no room for it."""
        if id(value) not in self._known:
            if self._work <= 0 or self._left <= 0:
                return None
            content = _as_json(value)
            size = len(encode(content))
            self._work -= size
            self._known[id(value)] = (content if size <= _MOST_SHOWN else None), size
        content, size = self._known[id(value)]
        if size > self._left:
            return None
        self._left -= size
        return content


def _as_json(value: Any) -> Any:
    return _finite(jsonable_encoder(value, custom_encoder={bytes: _text}))


def _text(value: bytes) -> str:
    """Bytes that came from anywhere."""
    return value.decode(errors="replace")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if _is_dict(value):
        return {key: _finite(one) for key, one in value.items()}
    if _is_list(value):
        return [_finite(one) for one in value]
    return value


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    return isinstance(value, dict)
