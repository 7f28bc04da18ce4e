"""lamella: an ASGI web framework whose HTTP middleware cannot lose a response.

The usual names are here and are imported when they are first used, so that ``import lamella``
stays quick. Each is documented in the module that it comes from.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

__version__: Final = "0.1.0"

if TYPE_CHECKING:
    from lamella._as_starlette import install_as_starlette
    from lamella.applications import Lamella, Starlette
    from lamella.background import BackgroundTask, BackgroundTasks
    from lamella.controllers import Controller
    from lamella.datastructures import UploadFile
    from lamella.endpoints import HTTPEndpoint, WebSocketEndpoint
    from lamella.exceptions import ClientDisconnect, HTTPException, WebSocketException
    from lamella.middleware import Middleware
    from lamella.middleware.base import BaseHTTPMiddleware
    from lamella.middleware.composition import compose
    from lamella.param_functions import (
        Body,
        Cookie,
        Depends,
        File,
        Form,
        Header,
        Path,
        Query,
        Security,
    )
    from lamella.requests import HTTPConnection, Request
    from lamella.responses import (
        FileResponse,
        HTMLResponse,
        JSONResponse,
        PlainTextResponse,
        RedirectResponse,
        Response,
        StreamingResponse,
    )
    from lamella.routing import APIRouter, Host, Mount, Route, Router, WebSocketRoute
    from lamella.websockets import WebSocket, WebSocketDisconnect

_HOMES: Final = {
    "_as_starlette": ("install_as_starlette",),
    "applications": ("Lamella", "Starlette"),
    "background": ("BackgroundTask", "BackgroundTasks"),
    "controllers": ("Controller",),
    "datastructures": ("UploadFile",),
    "endpoints": ("HTTPEndpoint", "WebSocketEndpoint"),
    "exceptions": ("ClientDisconnect", "HTTPException", "WebSocketException"),
    "middleware": ("Middleware",),
    "middleware.base": ("BaseHTTPMiddleware",),
    "middleware.composition": ("compose",),
    "param_functions": (
        "Body",
        "Cookie",
        "Depends",
        "File",
        "Form",
        "Header",
        "Path",
        "Query",
        "Security",
    ),
    "requests": ("HTTPConnection", "Request"),
    "responses": (
        "FileResponse",
        "HTMLResponse",
        "JSONResponse",
        "PlainTextResponse",
        "RedirectResponse",
        "Response",
        "StreamingResponse",
    ),
    "routing": ("APIRouter", "Host", "Mount", "Route", "Router", "WebSocketRoute"),
    "websockets": ("WebSocket", "WebSocketDisconnect"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "APIRouter",
    "BackgroundTask",
    "BackgroundTasks",
    "BaseHTTPMiddleware",
    "Body",
    "ClientDisconnect",
    "Controller",
    "Cookie",
    "Depends",
    "File",
    "FileResponse",
    "Form",
    "HTMLResponse",
    "HTTPConnection",
    "HTTPEndpoint",
    "HTTPException",
    "Header",
    "Host",
    "JSONResponse",
    "Lamella",
    "Middleware",
    "Mount",
    "Path",
    "PlainTextResponse",
    "Query",
    "RedirectResponse",
    "Request",
    "Response",
    "Route",
    "Router",
    "Security",
    "Starlette",
    "StreamingResponse",
    "UploadFile",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketEndpoint",
    "WebSocketException",
    "WebSocketRoute",
    "compose",
    "install_as_starlette",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
