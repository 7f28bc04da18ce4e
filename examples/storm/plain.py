"""The shop's API as plain endpoints, for Starlette, which has no typed ones.

All else, pages, files, layers and store, is the shop's own. With lamella this runs as well.
"""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from examples.shop import layers, pages
from examples.shop.errors import EXCEPTION_HANDLERS, refusal
from examples.shop.feed import Feed
from examples.shop.files import PHOTO_SUFFIXES, keep
from examples.shop.models import Health, KeptPhoto, NewOrder, News, ProductPage, Search
from examples.shop.opening import confirm, furnish, lifespan
from examples.shop.reading import media_type
from examples.shop.settings import Settings
from examples.shop.store import PAGE_SIZE, Product, Store
from lamella.applications import Starlette
from lamella.background import BackgroundTask
from lamella.exceptions import HTTPException
from lamella.requests import Request
from lamella.responses import JSONResponse, Response, StreamingResponse
from lamella.routing import Route

Endpoint = Callable[[Request], Awaitable[Response]]


def writing(endpoint: Endpoint) -> Endpoint:
    """Refuse those who lack the token."""

    async def checked(request: Request) -> Response:
        settings: Settings = request.app.state.settings
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {settings.token}".encode()):
            raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
        return await endpoint(request)

    return checked


def as_json(value: object, status: int = 200, **options: Any) -> JSONResponse:
    """Answer with a value of any type."""
    return JSONResponse(msgspec.to_builtins(value), status, **options)


async def products(request: Request) -> Response:
    """GET /api/products?q=&page=."""
    store: Store = request.app.state.store
    wanted = msgspec.convert(dict(request.query_params), Search, strict=False)
    found, total = await store.search(wanted.q, wanted.page)
    return as_json(ProductPage(found, wanted.page, -(-total // PAGE_SIZE), total))


async def product(request: Request) -> Response:
    """GET /api/products/{product_id}."""
    return as_json(await product_of(request))


async def product_of(request: Request) -> Product:
    """Return the product that the path names, or answer 404."""
    store: Store = request.app.state.store
    found = await store.product(request.path_params["product_id"])
    if found is None:
        raise HTTPException(404)
    return found


@writing
async def put_photo(request: Request) -> Response:
    """PUT /api/products/{product_id}/photo."""
    store: Store = request.app.state.store
    settings: Settings = request.app.state.settings
    product = await product_of(request)
    suffix = PHOTO_SUFFIXES.get(media_type(request))
    if suffix is None:
        raise HTTPException(415)
    photo = await keep(request.stream(), settings.photos, suffix)
    address = f"/photos/{photo.name}"
    await store.set_photo(product.id, address)
    return as_json(KeptPhoto(address, photo.size, photo.sha256))


@writing
async def new_order(request: Request) -> Response:
    """POST /api/orders."""
    store: Store = request.app.state.store
    wish = msgspec.json.decode(await request.body(), type=NewOrder)
    taken = await store.place_order(wish.customer, wish.lines)
    return as_json(
        taken,
        201,
        headers={"Location": f"/api/orders/{taken.id}"},
        background=BackgroundTask(confirm, store, request.app.state.feed, taken.id),
    )


async def order(request: Request) -> Response:
    """GET /api/orders/{order_id}."""
    store: Store = request.app.state.store
    found = await store.order(str(request.path_params["order_id"]))
    if found is None:
        raise HTTPException(404)
    return as_json(found)


async def events(request: Request) -> Response:
    """GET /events."""
    feed: Feed[News] = request.app.state.feed
    return StreamingResponse(lines(feed), media_type="text/event-stream")


async def lines(feed: Feed[News]) -> AsyncIterator[str]:
    """Yield the events of the feed."""
    with feed.subscribe() as heard:
        yield ": welcome\n\n"
        while (news := await heard.get()) is not None:
            yield f"event: order\ndata: {msgspec.json.encode(news).decode()}\n\n"


async def health(request: Request) -> Response:
    """GET /healthz."""
    state = request.app.state
    return as_json(Health("ok", state.in_flight.count, len(state.feed) + len(state.talk)))


async def not_valid(request: Request, exc: msgspec.DecodeError) -> Response:
    """Answer JSON, or a query, that does not fit."""
    return refusal(422, str(exc))


async def http_error(request: Request, exc: HTTPException) -> Response:
    """Answer what an endpoint or the router refused."""
    return refusal(exc.status_code, exc.detail, dict(exc.headers or {}))


API = [
    Route("/api/products", products),
    Route("/api/products/{product_id:int}", product),
    Route("/api/products/{product_id:int}/photo", put_photo, methods=["PUT"]),
    Route("/api/orders", new_order, methods=["POST"]),
    Route("/api/orders/{order_id:uuid}", order),
    Route("/events", events),
    Route("/healthz", health),
]
HANDLERS: dict[type[Exception], Callable[..., Awaitable[Response]]] = {
    **EXCEPTION_HANDLERS,
    HTTPException: http_error,
    msgspec.DecodeError: not_valid,
}


def create_app(settings: Settings) -> Starlette:
    """Return the shop as an ASGI app."""
    in_flight = layers.Counter()
    app = Starlette(
        routes=[*API, *pages.ROUTES],
        middleware=layers.stack(settings, in_flight),
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    furnish(app, settings, in_flight)
    return app
