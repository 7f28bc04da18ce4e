"""The shop: its routes, its layers, and what starts and stops with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lamella.applications import Starlette
from lamella.middleware import Middleware
from lamella.middleware.sessions import SessionMiddleware
from lamella.routing import Mount, Route, WebSocketRoute

from . import api, basket, feed, files, layers, pages, talk
from .errors import EXCEPTION_HANDLERS
from .settings import Settings
from .store import open_store

ROUTES = [
    Route("/", pages.home),
    Route("/api/products", api.products),
    Route("/api/products/{id:int}", api.product),
    Route("/api/products/{id:int}/photo", files.put_photo, methods=["PUT"]),
    Route("/api/orders", api.new_order, methods=["POST"]),
    Route("/api/orders/{id:uuid}", api.order),
    Route("/catalogue.csv", files.catalogue),
    Route("/manual.pdf", files.manual),
    Route("/photos/{name}", files.photo),
    Route("/events", feed.events),
    Route("/healthz", api.health),
    Route("/basket", basket.add, methods=["POST"]),
    Route("/basket/empty", basket.empty, methods=["POST"]),
    Route("/staff", pages.staff),
    Route("/staff/sign-in", basket.sign_in, methods=["POST"]),
    Route("/staff/sign-out", basket.sign_out, methods=["POST"]),
    Route("/staff/photo", files.upload_photo, methods=["POST"]),
    WebSocketRoute("/talk", talk.talk),
    Mount("/static", files.STATIC, name="static"),
]


def create_app(settings: Settings) -> Starlette:
    """Return the shop as an ASGI app."""
    in_flight = layers.Counter()
    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(layers.RequestId),
            Middleware(layers.AccessLog),
            Middleware(layers.Timing),
            Middleware(layers.SecurityHeaders),
            Middleware(layers.InFlight, counter=in_flight),
            Middleware(layers.RateLimit, rate=settings.rate),
            Middleware(SessionMiddleware, secret_key=settings.secret),
            Middleware(layers.TokenAuth, token=settings.token),
            Middleware(layers.Locale),
            Middleware(layers.BodyAudit),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.in_flight = in_flight
    app.state.feed = feed.Feed()
    app.state.talk = feed.Feed()
    return app


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the database, finish what a crash left undone, and close it all in the end."""
    settings: Settings = app.state.settings
    settings.photos.mkdir(parents=True, exist_ok=True)
    async with open_store(settings.database) as store:
        app.state.store = store
        for order_id in await store.unconfirmed():
            await api.confirm(app, order_id)
        yield
