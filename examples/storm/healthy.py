"""What healthy clients do all day: errands that check every byte of what they get.

Each `visit` is one errand of one client; it raises `Lost` if an answer is not exactly what it has
to be. What the layers do is checked on every answer: a request that got the answer of another
would be noticed by its id, a lost header by its name.
"""

import asyncio
import csv
import hashlib
import io
import json
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from examples import shop
from examples.shop.catalogue import Seed, seeds

from .client import JSON, PATIENCE, Client, expect
from .process import TOKEN
from .wire import Connection, Lost, request_bytes

SEEDS: list[Seed] = seeds()
MANUAL = (Path(shop.__file__).parent / "manual.pdf").read_bytes()
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def catalogue_bytes() -> bytes:
    """Return what the download of the catalogue has to be."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(["id", "name", "description", "price_cents"])
    rows.writerows((i, s.name, s.description, s.price_cents) for i, s in enumerate(seeds(), 1))
    return text.getvalue().encode()


CATALOGUE = catalogue_bytes()


def photo_bytes(number: int) -> bytes:
    """Return the photo of that number: 1 kB to 1 MB of noise, always the same."""
    noise = random.Random(number)
    return noise.randbytes(1024 << noise.randrange(11))


def check_product(product: dict[str, Any], seed: Seed) -> None:
    """Check a product against the catalogue."""
    expect("name", seed.name, product["name"])
    expect("description", seed.description, product["description"])
    expect("price", seed.price_cents, product["price_cents"])
    if not isinstance(product["stock"], int) or product["stock"] < 0:
        raise Lost(f"stock: {product['stock']!r}")


def sha256(data: bytes) -> str:
    """Return the digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


async def place_order(client: Client) -> dict[str, Any]:
    """Order one to three teas, and check the order that comes back."""
    ids = client.choices.sample(range(1, len(SEEDS) + 1), client.choices.randint(1, 3))
    wanted = [{"product_id": i, "quantity": client.choices.randint(1, 5)} for i in ids]
    customer = f"{client.name} № {client.asked} <&>"
    body = json.dumps({"customer": customer, "lines": wanted}, ensure_ascii=False).encode()
    answer = await client.ask(
        "POST",
        "/api/orders",
        headers={"Content-Type": JSON, **AUTHORIZED},
        body=body,
        expected=201,
    )
    expect("order: digest", sha256(body), answer.headers.get("x-body-sha256"))
    order: dict[str, Any] = json.loads(answer.body)
    lines: list[dict[str, Any]] = [
        {**want, "name": SEEDS[i - 1].name, "price_cents": SEEDS[i - 1].price_cents}
        for i, want in zip(ids, wanted, strict=True)
    ]
    total = sum(line["quantity"] * line["price_cents"] for line in lines)
    expect("order: address", f"/api/orders/{order['id']}", answer.headers.get("location"))
    expect("order: customer", customer, order["customer"])
    expect("order: lines", lines, order["lines"])
    expect("order: total", total, order["total_cents"])
    return order


async def visit_product(client: Client) -> None:
    """GET one product."""
    number = client.choices.randint(1, len(SEEDS))
    product = await client.ask_json("GET", f"/api/products/{number}")
    expect("id", number, product["id"])
    check_product(product, SEEDS[number - 1])


async def visit_list(client: Client) -> None:
    """GET a page of the products, of all or of those with a word in the name."""
    word = client.choices.choice(["", "tea", "mint", "1 kg", "OOLONG", "%", "é"])
    matching = [(i, s) for i, s in enumerate(SEEDS, 1) if word.lower() in s.name.lower()]
    page = client.choices.randint(1, 5)
    quoted = word.replace("%", "%25").replace(" ", "+").replace("é", "%C3%A9")
    found = await client.ask_json("GET", f"/api/products?q={quoted}&page={page}")
    expect("total", len(matching), found["total"])
    due = matching[(page - 1) * 20 : page * 20]
    expect("ids", [i for i, _ in due], [product["id"] for product in found["products"]])
    for product, (_, seed) in zip(found["products"], due, strict=True):
        check_product(product, seed)


async def visit_order(client: Client) -> None:
    """POST an order and read it back until it is confirmed."""
    order = await place_order(client)
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        found = await client.ask_json("GET", f"/api/orders/{order['id']}")
        expect("order read back", {**order, "state": found["state"]}, found)
        if found["state"] == "confirmed":
            return
        await asyncio.sleep(0.01)
    raise Lost(f"order {order['id']} was never confirmed")


async def visit_photo(client: Client) -> None:
    """PUT a photo, and GET it back."""
    body = photo_bytes(client.choices.randrange(64))
    number = client.choices.randint(1, len(SEEDS))
    kept = await client.ask_json(
        "PUT",
        f"/api/products/{number}/photo",
        headers={"Content-Type": "image/png", **AUTHORIZED},
        body=body,
        chunk_size=client.choices.choice([0, 1000, 70_000]),
    )
    expect("photo: digest", sha256(body), kept["sha256"])
    expect("photo: size", len(body), kept["size"])
    answer = await client.ask("GET", kept["photo"])
    expect("photo: type", "image/png", answer.headers.get("content-type"))
    expect("photo: bytes", sha256(body), sha256(answer.body))


async def visit_catalogue(client: Client) -> None:
    """GET the catalogue as CSV."""
    answer = await client.ask("GET", "/catalogue.csv")
    expect("catalogue: type", "text/csv; charset=utf-8", answer.headers.get("content-type"))
    expect("catalogue: bytes", CATALOGUE, answer.body)


async def visit_manual(client: Client) -> None:
    """GET or HEAD the whole manual."""
    method = client.choices.choice(["GET", "HEAD"])
    answer = await client.ask(method, "/manual.pdf")
    expect("manual: type", "application/pdf", answer.headers.get("content-type"))
    expect("manual: length", str(len(MANUAL)), answer.headers.get("content-length"))
    expect("manual: bytes", MANUAL if method == "GET" else b"", answer.body)


async def visit_range(client: Client) -> None:
    """GET a part of the manual, or one that it does not have."""
    size = len(MANUAL)
    first = client.choices.randrange(size)
    last = client.choices.randrange(first, size)
    text, start, stop = client.choices.choice(
        [
            (f"{first}-{last}", first, last + 1),
            (f"{first}-", first, size),
            (f"-{size - first}", first, size),
            (f"{size}-", 0, 0),
        ]
    )
    status = 206 if stop else 416
    wanted = {"Range": f"bytes={text}"}
    answer = await client.ask("GET", "/manual.pdf", headers=wanted, expected=status)
    span = f"{start}-{stop - 1}" if stop else "*"
    expect("range", f"bytes {span}/{size}", answer.headers.get("content-range"))
    if stop:
        expect("range: bytes", MANUAL[start:stop], answer.body)


async def visit_page(client: Client) -> None:
    """GET the page and what it shows itself with."""
    answer = await client.ask("GET", "/")
    text = answer.body.decode()
    expect("page: type", "text/html; charset=utf-8", answer.headers.get("content-type"))
    for needed in ("</html>", "cardamom, ginger, clove &amp; pepper", 'id="feed"'):
        if needed not in text:
            raise Lost(f"page: no {needed!r}")
    script = await client.ask("GET", "/static/shop.js")
    if b"EventSource" not in script.body:
        raise Lost("page: no script")


async def visit_refusals(client: Client) -> None:
    """Ask for what the shop must refuse; a right refusal is a right answer."""
    order = json.dumps({"customer": "", "lines": []}).encode()
    typed = {"Content-Type": JSON}
    for method, path, headers, body, status in (
        ("GET", "/api/products/999999", {}, b"", 404),
        ("DELETE", "/api/orders", AUTHORIZED, b"", 405),
        ("POST", "/api/orders", typed, order, 401),
        ("POST", "/api/orders", {**typed, **AUTHORIZED}, order, 422),
        ("POST", "/api/orders", {**typed, **AUTHORIZED}, b"{", 422),
        ("GET", "/api/products?page=0", {}, b"", 422),
    ):
        refused = await client.ask_json(method, path, headers=headers, body=body, expected=status)
        if not refused["detail"]:
            raise Lost(f"{method} {path}: {status} without a reason")


async def visit_feed(client: Client) -> None:
    """Listen to the feed, order, and wait for the event of that order."""
    async with asyncio.timeout(PATIENCE):
        listener = await Connection.open(client.port)
    try:
        async with asyncio.timeout(PATIENCE):
            await listener.send(request_bytes("GET", "/events"))
            head = await listener.head()
            expect("feed: status", 200, head.status)
            pieces = listener.body("GET", head)
            expect("feed: welcome", b": welcome\n\n", await anext(pieces))
            order = await place_order(client)
            due = f'{{"id":"{order["id"]}","state":"confirmed"}}'
            event = f"event: order\ndata: {due}\n\n".encode()
            while await anext(pieces) != event:
                pass
            await pieces.aclose()
    except (TimeoutError, StopAsyncIteration):
        raise Lost("feed: the event of the order did not come") from None
    finally:
        listener.close()


VISITS: list[tuple[Callable[[Client], Awaitable[None]], int]] = [
    (visit_product, 30),
    (visit_list, 15),
    (visit_order, 10),
    (visit_photo, 4),
    (visit_catalogue, 5),
    (visit_manual, 5),
    (visit_range, 8),
    (visit_page, 5),
    (visit_refusals, 4),
    (visit_feed, 4),
]


async def behave(client: Client, stop: asyncio.Event) -> None:
    """Make one visit after another until `stop`; count what goes wrong, and carry on."""
    visits, weights = zip(*VISITS, strict=True)
    while not stop.is_set():
        visit = client.choices.choices(visits, weights)[0]
        try:
            await visit(client)
        except (Lost, OSError, KeyError, TypeError, ValueError) as exc:
            client.meter.lose(f"{visit.__name__}: {str(exc) or type(exc).__name__}")
            client.hang_up()
            await asyncio.sleep(0.01)  # a server that is gone refuses at once, again and again
        if client.choices.random() < 0.02:
            client.hang_up()
    client.hang_up()
