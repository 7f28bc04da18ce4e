"""What a visitor has put into the basket: kept in the session, a signed cookie."""

import hmac

from lamella.exceptions import HTTPException
from lamella.requests import Request
from lamella.responses import RedirectResponse, Response

from .settings import Settings
from .store import Product, Store

MOST = 20  # products in a basket, so that the cookie stays small


async def add(request: Request) -> Response:
    """POST /basket: one more of the product that the form names."""
    store: Store = request.app.state.store
    async with request.form(max_fields=4) as form:
        product_id = str(form.get("product_id", ""))
    if not (product_id.isascii() and product_id.isdigit() and len(product_id) <= 6):
        raise HTTPException(422, f"Expected a product's number, got {product_id[:20]!r}.")
    if await store.product(int(product_id)) is None:
        raise HTTPException(404, f"There is no product {product_id}.")
    basket: dict[str, int] = request.session.get("basket", {})
    if product_id not in basket and len(basket) >= MOST:
        raise HTTPException(409, f"A basket holds {MOST} products.")
    request.session["basket"] = {**basket, product_id: min(basket.get(product_id, 0) + 1, 99)}
    return RedirectResponse("/", status_code=303)


async def empty(request: Request) -> Response:
    """POST /basket/empty: start again."""
    request.session.pop("basket", None)
    return RedirectResponse("/", status_code=303)


async def contents(request: Request) -> list[tuple[Product, int]]:
    """Return the products of the basket and how many of each; those no longer sold are left out."""
    store: Store = request.app.state.store
    basket: dict[str, int] = request.session.get("basket", {})
    found = [(await store.product(int(product_id)), count) for product_id, count in basket.items()]
    return [(product, count) for product, count in found if product is not None]


async def sign_in(request: Request) -> Response:
    """POST /staff/sign-in: with the shop's token, become one of the staff."""
    settings: Settings = request.app.state.settings
    async with request.form(max_fields=4) as form:
        token = str(form.get("token", ""))
    if not hmac.compare_digest(token.encode(), settings.token.encode()):
        raise HTTPException(403, "That is not the shop's token.")
    request.session["staff"] = True
    return RedirectResponse("/staff", status_code=303)


async def sign_out(request: Request) -> Response:
    """POST /staff/sign-out: be a visitor again."""
    request.session.clear()
    return RedirectResponse("/staff", status_code=303)
