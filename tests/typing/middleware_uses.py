"""Uses of layers that a type checker sees: right ones, and wrong ones marked with what they are.

Read by `mypy --strict`, never run. A line that ends in `# wrong` must have an error, others none.
"""

from lamella.applications import Lamella
from lamella.middleware import Middleware, compose
from lamella.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from lamella.requests import Request
from lamella.responses import PlainTextResponse, Response
from lamella.routing import Mount, Route, Router
from lamella.types import ASGIApp, Receive, Scope, Send


class Pure:
    """A pure ASGI layer."""

    def __init__(self, app: ASGIApp, word: str, *, level: int = 1) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Timing(BaseHTTPMiddleware):
    """A dispatch layer."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        super().__init__(app)
        self.name = name

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-timing"] = self.name
        return response


async def layer(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """A function as a layer."""
    return await call_next(request)


async def endpoint(request: Request) -> Response:
    """An async endpoint."""
    return PlainTextResponse("hello")


def sync_endpoint(request: Request) -> Response:
    """A sync endpoint."""
    return PlainTextResponse("hello")


def factory(app: ASGIApp, level: int) -> ASGIApp:
    """A function that makes a layer."""
    return app


Middleware(Pure, "x")
Middleware(Pure, "x", level=2)
Middleware(Pure, word="x")
Middleware(Timing, name="x")
Middleware(factory, level=1)
Middleware(BaseHTTPMiddleware, dispatch=layer)
compose(Middleware(Timing, "x"), layer)

Middleware(Pure)  # wrong
Middleware(Pure, 3)  # wrong
Middleware(Pure, "x", levle=2)  # wrong
Middleware(Pure, "x", level="high")  # wrong
Middleware(Timing, name=3)  # wrong
Middleware(Timing, "x", "y")  # wrong
Middleware(factory, levle=1)  # wrong
Middleware(BaseHTTPMiddleware, dispach=layer)  # wrong

app = Lamella(
    routes=[
        Route("/", endpoint, middleware=[layer]),
        Route("/sync", sync_endpoint),
        Mount("/m", app=Router([Route("/", endpoint)])),
    ],
    middleware=[Middleware(Timing, "x"), layer, compose(layer, layer)],
)
app.add_middleware(Timing, name="x")
app.add_middleware(Pure, "x", level=1)
app.add_middleware(Timing, nmae="x")  # wrong
app.add_middleware(Pure)  # wrong


@app.middleware("http")
async def decorated(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """A decorated layer keeps its type."""
    return await call_next(request)


@app.middleware
async def decorated_plainly(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """A decorated layer keeps its type."""
    return await call_next(request)


app.middleware("websocket")  # wrong
