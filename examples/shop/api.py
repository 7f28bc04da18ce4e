"""Products and orders as JSON: typed endpoints, which /docs shows and lets one try."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from lamella import (
    APIRouter,
    BackgroundTasks,
    Depends,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
)
from lamella.sse import EventSourceResponse, ServerSentEvent

from .files import PHOTO_SUFFIXES, keep
from .models import Health, KeptPhoto, NewOrder, ProductPage, Refusal, Search
from .needs import FeedDep, SettingsDep, StoreDep, may_write
from .opening import confirm
from .reading import media_type
from .store import PAGE_SIZE, Order, Product

Responses = dict[int | str, dict[str, Any]]


def refusals(*codes: int) -> Responses:
    """Describe the statuses with which an endpoint, or a layer around it, refuses."""
    return {code: {"model": Refusal} for code in codes}


PHOTO_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in PHOTO_SUFFIXES
        },
    }
}
ORDERED: Responses = {
    201: {
        "description": "The order, received",
        "headers": {"Location": {"description": "Its address", "schema": {"type": "string"}}},
        "links": {
            "order": {"operationId": "order", "parameters": {"order_id": "$response.body#/id"}}
        },
    }
}

router = APIRouter(responses=refusals(429))


async def product_of(
    product_id: Annotated[int, Path(ge=1, le=999_999)], store: StoreDep
) -> Product:
    """Return the product that the path names, or answer 404."""
    found = await store.product(product_id)
    if found is None:
        raise HTTPException(404, f"There is no product {product_id}.")
    return found


ProductDep = Annotated[Product, Depends(product_of)]


@router.get("/api/products", tags=["products"])
async def products(wanted: Annotated[Search, Query()], store: StoreDep) -> ProductPage:
    """Return a page of the products, or of those with `q` in the name."""
    found, total = await store.search(wanted.q, wanted.page)
    return ProductPage(found, wanted.page, pages=-(-total // PAGE_SIZE), total=total)


@router.get("/api/products/{product_id}", tags=["products"], responses=refusals(404))
async def product(product: ProductDep) -> Product:
    """Return one product."""
    return product


@router.put(
    "/api/products/{product_id}/photo",
    tags=["products"],
    dependencies=[Depends(may_write)],
    responses=refusals(401, 404, 413, 415),
    openapi_extra=PHOTO_BODY,
)
async def put_photo(
    request: Request, product: ProductDep, store: StoreDep, settings: SettingsDep
) -> KeptPhoto:
    """Keep the body as the product's photo, written to disk while it comes in."""
    suffix = PHOTO_SUFFIXES.get(media_type(request))
    if suffix is None:
        raise HTTPException(415, f"Send a photo as one of {', '.join(PHOTO_SUFFIXES)}.")
    photo = await keep(request.stream(), settings.photos, suffix)
    address = f"/photos/{photo.name}"
    await store.set_photo(product.id, address)
    return KeptPhoto(address, photo.size, photo.sha256)


@router.post(
    "/api/orders",
    tags=["orders"],
    status_code=201,
    dependencies=[Depends(may_write)],
    responses={**ORDERED, **refusals(401, 409, 411, 413, 415)},
)
async def new_order(
    wish: NewOrder, store: StoreDep, feed: FeedDep, response: Response, tasks: BackgroundTasks
) -> Order:
    """Take an order; it is confirmed once the answer is on its way."""
    taken = await store.place_order(wish.customer, wish.lines)
    response.headers["Location"] = f"/api/orders/{taken.id}"
    tasks.add_task(confirm, store, feed, taken.id)
    return taken


@router.get("/api/orders/{order_id}", tags=["orders"], responses=refusals(404))
async def order(order_id: UUID, store: StoreDep) -> Order:
    """Return one order with its lines."""
    found = await store.order(str(order_id))
    if found is None:
        raise HTTPException(404, f"There is no order {order_id}.")
    return found


@router.get("/events", tags=["orders"], response_class=EventSourceResponse)
async def events(feed: FeedDep) -> AsyncIterator[ServerSentEvent]:
    """Tell of every order that is confirmed, for as long as the client listens."""
    with feed.subscribe() as heard:
        yield ServerSentEvent(comment="welcome")
        while (news := await heard.get()) is not None:
            yield ServerSentEvent(event="order", data=news)


@router.get("/healthz", tags=["shop"])
async def health(request: Request, store: StoreDep) -> Health:
    """Tell whether the shop works, how many requests it answers, and how many listen."""
    await store.product(1)
    state = request.app.state
    return Health("ok", state.in_flight.count, len(state.feed) + len(state.talk))
