"""Products and orders as JSON."""

import logging
from typing import Annotated

import msgspec
from msgspec import Meta

from lamella.applications import Starlette
from lamella.background import BackgroundTask
from lamella.exceptions import HTTPException
from lamella.requests import Request
from lamella.responses import JSONResponse

from .reading import media_type, page_number
from .store import PAGE_SIZE, Product, Store, Wanted

log = logging.getLogger("shop")


class NewLine(msgspec.Struct, forbid_unknown_fields=True):
    """One product of a new order."""

    product_id: Annotated[int, Meta(ge=1, le=1_000_000)]
    quantity: Annotated[int, Meta(ge=1, le=99)]


class NewOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends to order."""

    customer: Annotated[str, Meta(min_length=1, max_length=80)]
    lines: Annotated[list[NewLine], Meta(min_length=1, max_length=20)]


async def products(request: Request) -> JSONResponse:
    """GET /api/products?q=&page=: a page of the products, or of those with `q` in the name."""
    store: Store = request.app.state.store
    page = page_number(request)
    found, total = await store.search(request.query_params.get("q", ""), page)
    return JSONResponse(
        {
            "products": msgspec.to_builtins(found),
            "page": page,
            "pages": -(-total // PAGE_SIZE),
            "total": total,
        }
    )


async def product(request: Request) -> JSONResponse:
    """GET /api/products/{id}: one product."""
    return JSONResponse(msgspec.to_builtins(await product_of(request)))


async def new_order(request: Request) -> JSONResponse:
    """POST /api/orders: take an order; it is confirmed once the answer is on its way."""
    store: Store = request.app.state.store
    if media_type(request) != "application/json":
        raise HTTPException(415, "Send the order as application/json.")
    wish = msgspec.json.decode(await request.body(), type=NewOrder)
    wanted = [Wanted(line.product_id, line.quantity) for line in wish.lines]
    order = await store.place_order(wish.customer, wanted)
    return JSONResponse(
        msgspec.to_builtins(order),
        status_code=201,
        headers={"Location": f"/api/orders/{order.id}"},
        background=BackgroundTask(confirm, request.app, order.id),
    )


async def confirm(app: Starlette, order_id: str) -> None:
    """Confirm an order and tell everybody who listens to the feed."""
    await app.state.store.confirm(order_id)
    app.state.feed.publish("order", {"id": order_id, "state": "confirmed"})
    log.info("order %s confirmed", order_id)


async def order(request: Request) -> JSONResponse:
    """GET /api/orders/{id}: one order with its lines."""
    store: Store = request.app.state.store
    order_id = str(request.path_params["id"])
    found = await store.order(order_id)
    if found is None:
        raise HTTPException(404, f"There is no order {order_id}.")
    return JSONResponse(msgspec.to_builtins(found))


async def health(request: Request) -> JSONResponse:
    """GET /healthz: whether the shop works, how many requests it answers, how many listen."""
    state = request.app.state
    store: Store = state.store
    await store.product(1)
    listening = len(state.feed) + len(state.talk)
    return JSONResponse(
        {"status": "ok", "in_flight": state.in_flight.count, "listening": listening}
    )


async def product_of(request: Request) -> Product:
    """Return the product that the path names, or answer 404."""
    store: Store = request.app.state.store
    product_id: int = request.path_params["id"]
    found = await store.product(product_id)
    if found is None:
        raise HTTPException(404, f"There is no product {product_id}.")
    return found
