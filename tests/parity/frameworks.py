"""The two frameworks under one set of names."""

from importlib import import_module
from types import SimpleNamespace

NAMES = {
    "applications": ["Starlette"],
    "background": ["BackgroundTask"],
    "config": ["Config", "Environ"],
    "exceptions": ["HTTPException", "WebSocketException"],
    "middleware": ["Middleware"],
    "middleware.base": ["BaseHTTPMiddleware"],
    "middleware.errors": ["ServerErrorMiddleware"],
    "middleware.exceptions": ["ExceptionMiddleware"],
    "requests": ["Request"],
    "responses": [
        "HTMLResponse",
        "JSONResponse",
        "PlainTextResponse",
        "RedirectResponse",
        "Response",
        "StreamingResponse",
    ],
    "schemas": ["OpenAPIResponse", "SchemaGenerator"],
    "staticfiles": ["StaticFiles"],
    "templating": ["Jinja2Templates"],
    "routing": ["Host", "Match", "Mount", "NoMatchFound", "Route", "Router"],
}


def framework(package):
    """The public names of a framework, in one place."""
    found = {
        name: getattr(import_module(f"{package}.{module}"), name)
        for module, names in NAMES.items()
        for name in names
    }
    return SimpleNamespace(package=package, **found)


STARLETTE = framework("starlette")
LAMELLA = framework("lamella")
BOTH = (STARLETTE, LAMELLA)
