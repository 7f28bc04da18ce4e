"""Names that Starlette 1.10's modules import from one another, and programs import from there.

Floor 9. ``from starlette.applications import Request`` works with Starlette, where the import is
incidental. lamella's modules have what they define, and the re-exports that are in wide use; as
Starlette's they get the rest, from here.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["RE_EXPORTS", "lend"]

_CALL: Final = " types:Receive types:Scope types:Send"
_APP: Final = f"{_CALL} types:ASGIApp"
_LAYER: Final = f"{_APP} types:Message"

# Module to the names it is lent, each with the module that has it.
RE_EXPORTS: Final = {
    "applications": "datastructures:URLPath requests:Request responses:Response routing:BaseRoute"
    f" types:ExceptionHandler types:Lifespan{_APP}",
    "datastructures": "_utils:parse_host_header types:Scope",
    "endpoints": "exceptions:HTTPException responses:PlainTextResponse status types:Message"
    f"{_CALL}",
    "middleware.authentication": f"authentication:AuthenticationBackend{_APP}",
    "middleware.base": "_utils:create_collapsing_task_group requests:ClientDisconnect types:Message"
    f"{_CALL}",
    "middleware.body_limit": f"datastructures:Headers exceptions:HTTPException{_LAYER}",
    "middleware.cors": f"responses:Response{_LAYER}",
    "middleware.errors": "_utils:is_async_callable concurrency:run_in_threadpool requests:Request"
    f" types:ExceptionHandler{_LAYER}",
    "middleware.exceptions": "requests:Request responses:PlainTextResponse responses:Response"
    f" types:ExceptionHandler{_APP}",
    "middleware.gzip": _LAYER,
    "middleware.httpsredirect": _APP,
    "middleware.opentelemetry": f"datastructures:URL{_LAYER}",
    "middleware.sessions": f"datastructures:Secret{_LAYER}",
    "middleware.trustedhost": "_utils:parse_host_header datastructures:Headers responses:Response"
    f"{_APP}",
    "middleware.wsgi": "_utils:create_collapsing_task_group exceptions:StarletteDeprecationWarning"
    f"{_CALL}",
    "requests": f"types:Message{_CALL}",
    "responses": "_utils:create_collapsing_task_group background:BackgroundTask"
    " datastructures:Headers datastructures:MutableHeaders requests:ClientDisconnect types:Message"
    f"{_CALL}",
    "routing": "_exception_handler:wrap_app_handling_exceptions _utils:is_async_callable"
    " _utils:parse_host_header concurrency:run_in_threadpool convertors:CONVERTOR_TYPES"
    " datastructures:Headers datastructures:URL exceptions:HTTPException"
    " exceptions:StarletteDeprecationWarning middleware:Middleware"
    " middleware.body_limit:RequestBodyLimitMiddleware responses:PlainTextResponse"
    " responses:RedirectResponse types:Lifespan websockets:WebSocket websockets:WebSocketClose"
    f"{_APP}",
    "schemas": "requests:Request routing:BaseRoute",
    "staticfiles": f"datastructures:URL websockets:WebSocketClose{_CALL}",
    "templating": f"background:BackgroundTask datastructures:URL{_CALL}",
    "testclient": "_utils:is_async_callable exceptions:StarletteDeprecationWarning types:Receive"
    " types:Send",
    "websockets": f"responses:Response types:Message{_CALL}",
}


def lend(module: ModuleType) -> None:
    """Give one of lamella's modules the names that Starlette's of the same name imports."""
    package, _, short = module.__name__.partition(".")
    for path in RE_EXPORTS.get(short, "").split():
        name = path.rpartition(":")[2]
        if name not in vars(module):
            setattr(module, name, resolve_name(f"{package}.{path}"))
