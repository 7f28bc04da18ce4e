"""The shop: typed endpoints, pages, and the layers around them all."""

from lamella import Lamella

from . import api, layers, pages
from .errors import EXCEPTION_HANDLERS
from .opening import furnish, lifespan
from .settings import Settings

TAGS = [
    {"name": "products", "description": "Teas, in several sizes, and their photos."},
    {"name": "orders", "description": "To order, and to hear of orders."},
    {"name": "shop", "description": "How the shop itself is."},
]


def create_app(settings: Settings) -> Lamella:
    """Return the shop as an ASGI app."""
    in_flight = layers.Counter()
    app = Lamella(
        title="The tea shop",
        version="1.0",
        summary="Twenty teas, four sizes.",
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: route.name,
        routes=pages.ROUTES,
        middleware=layers.stack(settings, in_flight),
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )
    app.openapi_version = "3.2.0"  # for the feed: 3.1 has no word for streams
    app.include_router(api.router)
    furnish(app, settings, in_flight)
    return app
