"""The tea shop of `examples/shop` does what its pages say."""

import asyncio
import csv
import hashlib
import io
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from examples.shop import __main__ as shop_command
from examples.shop import basket, feed, files, layers, talk
from examples.shop.app import create_app
from examples.shop.catalogue import SIZES, TEAS, seeds
from examples.shop.opening import lifespan
from examples.shop.settings import Settings, settings_from
from examples.shop.store import OutOfStockError, Store, Wanted, open_store
from lamella.requests import ClientDisconnect
from lamella.testclient import TestClient
from lamella.websockets import WebSocketDisconnect

AUTHORIZED = {"Authorization": "Bearer secret"}
COUNT = len(TEAS) * len(SIZES)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A shop of its own for each test, without a rate limit."""
    return Settings(
        tmp_path / "shop.db", tmp_path / "photos", token="secret", secret="sign", rate=0
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of a shop that has started, and stops after the test."""
    with TestClient(create_app(settings)) as client:
        yield client


def order_body(**changes: Any) -> dict[str, Any]:
    """Return an order as a client sends it."""
    return {"customer": "Ada", "lines": [{"product_id": 3, "quantity": 2}], **changes}


# Products


def test_the_first_start_fills_the_catalogue_and_the_second_keeps_it(settings: Settings) -> None:
    """A restart must not double the products."""
    for _ in range(2):
        with TestClient(create_app(settings)) as client:
            assert COUNT == client.get("/api/products").json()["total"]


def test_products_come_in_pages(client: TestClient) -> None:
    """A page is 20 products; the one behind the last is empty."""
    first, last, beyond = (
        client.get("/api/products", params={"page": page}).json() for page in (1, 4, 5)
    )
    assert list(range(1, 21)) == [product["id"] for product in first["products"]]
    assert list(range(61, 81)) == [product["id"] for product in last["products"]]
    assert ([], 4) == (beyond["products"], beyond["pages"])


@pytest.mark.parametrize(("text", "found"), [("mint", 4), ("MINT", 4), ("%", 0), ("' OR 1", 0)])
def test_products_are_found_by_a_part_of_the_name(
    client: TestClient, text: str, found: int
) -> None:
    """What one looks for is a text, never a pattern and never SQL."""
    assert found == client.get("/api/products", params={"q": text}).json()["total"]


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "1.5", "٣", "9999999"])
def test_a_page_that_is_none_is_422(client: TestClient, page: str) -> None:
    """The answer says where it was looked for."""
    answer = client.get("/api/products", params={"page": page})
    assert 422 == answer.status_code
    assert [["query", "page"]] == [error["loc"] for error in answer.json()["detail"]]


def test_one_product(client: TestClient) -> None:
    """The first product is the first of the catalogue."""
    seed = seeds()[0]
    assert {
        "id": 1,
        "name": seed.name,
        "description": seed.description,
        "price_cents": seed.price_cents,
        "stock": seed.stock,
        "photo": None,
    } == client.get("/api/products/1").json()


def test_a_product_that_does_not_exist_is_404(client: TestClient) -> None:
    """The answer says which."""
    answer = client.get("/api/products/999")
    assert 404 == answer.status_code
    assert {"detail": "There is no product 999."} == answer.json()


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "٣", str(2**63), "9" * 5000])
def test_a_number_that_no_product_can_have_is_422(client: TestClient, number: str) -> None:
    """Those that SQLite cannot hold, too: it is never asked."""
    answer = client.get(f"/api/products/{number}")
    assert 422 == answer.status_code
    assert [["path", "product_id"]] == [error["loc"] for error in answer.json()["detail"]]


# Orders


def test_an_order_is_taken_confirmed_and_read_back(client: TestClient) -> None:
    """The way of an order: 201 and `received`, then `confirmed`; the stock is smaller."""
    answer = client.post("/api/orders", json=order_body(), headers=AUTHORIZED)
    order = answer.json()
    assert (201, "received") == (answer.status_code, order["state"])
    assert 2 * seeds()[2].price_cents == order["total_cents"]
    read_back = client.get(answer.headers["location"]).json()
    assert {**order, "state": "confirmed"} == read_back
    assert seeds()[2].stock - 2 == client.get("/api/products/3").json()["stock"]


@pytest.mark.parametrize(
    ("changes", "kind", "place"),
    [
        ({"customer": ""}, "string_too_short", ["customer"]),
        ({"customer": 7}, "string_type", ["customer"]),
        ({"lines": []}, "too_short", ["lines"]),
        (
            {"lines": [{"product_id": 1, "quantity": 0}]},
            "greater_than_equal",
            ["lines", 0, "quantity"],
        ),
        ({"lines": [{"product_id": 1}]}, "missing", ["lines", 0, "quantity"]),
        (
            {"lines": [{"product_id": 2**70, "quantity": 1}]},
            "less_than_equal",
            ["lines", 0, "product_id"],
        ),
        ({"discount": 100}, "extra_forbidden", ["discount"]),
    ],
)
def test_an_order_that_is_not_valid_is_422(
    client: TestClient, changes: dict[str, Any], kind: str, place: list[str | int]
) -> None:
    """The answer names what is wrong and where it stands."""
    answer = client.post("/api/orders", json=order_body(**changes), headers=AUTHORIZED)
    assert 422 == answer.status_code
    (error,) = answer.json()["detail"]
    assert (kind, ["body", *place]) == (error["type"], error["loc"])


def test_an_order_that_is_not_json_is_422(client: TestClient) -> None:
    """Half an object is the client's mistake."""
    headers = {**AUTHORIZED, "Content-Type": "application/json"}
    answer = client.post("/api/orders", content=b'{"cust', headers=headers)
    assert (422, "json_invalid") == (answer.status_code, answer.json()["detail"][0]["type"])


def test_an_order_of_what_does_not_exist_is_409(client: TestClient) -> None:
    """The order is well-formed; the shop just does not have it."""
    order = order_body(lines=[{"product_id": 999, "quantity": 1}])
    answer = client.post("/api/orders", json=order, headers=AUTHORIZED)
    assert (409, {"detail": "There is no product 999."}) == (answer.status_code, answer.json())


def test_an_order_of_another_type_is_415(client: TestClient) -> None:
    """A form that a foreign page sends is not read as JSON."""
    answer = client.post("/api/orders", content=json.dumps(order_body()), headers=AUTHORIZED)
    assert 415 == answer.status_code


def test_too_much_json_is_413(client: TestClient) -> None:
    """It is refused by its length, before it is read."""
    order = order_body(customer="A" * layers.BodyAudit.MAX_SIZE)
    assert 413 == client.post("/api/orders", json=order, headers=AUTHORIZED).status_code


def test_json_without_a_length_is_411(client: TestClient) -> None:
    """Otherwise nobody could tell how much memory it takes."""
    headers = {**AUTHORIZED, "Content-Type": "application/json"}
    answer = client.post("/api/orders", content=iter([b"{}"]), headers=headers)
    assert 411 == answer.status_code


def test_an_order_of_more_than_there_is_is_409_and_takes_nothing(client: TestClient) -> None:
    """The first line would have been possible; it is undone with the second."""
    lines = [{"product_id": 1, "quantity": 1}, *[{"product_id": 2, "quantity": 99}] * 6]
    answer = client.post("/api/orders", json=order_body(lines=lines), headers=AUTHORIZED)
    assert 409 == answer.status_code
    assert "Of product 2 there are 5 left, not 99." == answer.json()["detail"]
    assert seeds()[0].stock == client.get("/api/products/1").json()["stock"]
    assert seeds()[1].stock == client.get("/api/products/2").json()["stock"]


def test_an_order_that_does_not_exist_is_404(client: TestClient) -> None:
    """A well-formed id that nobody has; another is not even looked for."""
    answer = client.get("/api/orders/00000000-0000-4000-8000-000000000000")
    assert 404 == answer.status_code
    assert 422 == client.get("/api/orders/1").status_code


def test_orders_at_the_same_time_never_sell_a_piece_twice(tmp_path: Path) -> None:
    """Fifty orders of 20 for a stock of 500: half of them get theirs."""

    async def scene() -> None:
        async with open_store(tmp_path / "shop.db") as store:
            outcomes = await asyncio.gather(
                *(store.place_order("Ada", [Wanted(1, 20)]) for _ in range(50)),
                return_exceptions=True,
            )
            refused = [one for one in outcomes if isinstance(one, OutOfStockError)]
            product = await store.product(1)
            assert (25, 0) == (len(refused), product.stock if product else None)

    asyncio.run(scene())


def test_a_cancelled_order_leaves_nothing_behind(tmp_path: Path) -> None:
    """Cancelled at each of its first steps, it is undone, and the next one can be placed."""

    async def scene() -> None:
        async with open_store(tmp_path / "shop.db") as store:
            for steps in range(6):
                task = asyncio.create_task(store.place_order("Ada", [Wanted(1, 1)]))
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                outcome = (await asyncio.gather(task, return_exceptions=True))[0]
                assert isinstance(outcome, asyncio.CancelledError)
            assert [] == await store.unconfirmed()
            await store.place_order("Ada", [Wanted(1, 1)])
            product = await store.product(1)
            assert product is not None
            assert seeds()[0].stock - 1 == product.stock

    asyncio.run(scene())


def test_orders_that_a_crash_left_unconfirmed_are_confirmed_at_the_start(
    settings: Settings,
) -> None:
    """The process may die between the answer and the confirmation."""

    async def crash() -> str:
        async with open_store(settings.database) as store:
            return (await store.place_order("Ada", [Wanted(1, 1)])).id

    order_id = asyncio.run(crash())
    with TestClient(create_app(settings)) as client:
        assert "confirmed" == client.get(f"/api/orders/{order_id}").json()["state"]


# The page, the downloads, the photos


def test_the_page_shows_products_the_feed_and_the_download(client: TestClient) -> None:
    """All that `/` promises."""
    answer = client.get("/")
    assert "text/html; charset=utf-8" == answer.headers["content-type"]
    for part in ("Assam, 50 g", 'id="feed"', 'href="/catalogue.csv"', "/static/shop.js"):
        assert part in answer.text
    assert "EventSource" in client.get("/static/shop.js").text


def test_the_page_escapes_all_it_shows(client: TestClient) -> None:
    """Names, descriptions, and what somebody looks for."""
    text = client.get("/", params={"q": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "Nana mint &lt; 24 hours" in client.get("/", params={"q": "mint"}).text


def test_the_catalogue_is_csv(client: TestClient) -> None:
    """Every product, with its commas and quotes."""
    answer = client.get("/catalogue.csv")
    head, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert ["id", "name", "description", "price_cents"] == head
    due = [[str(i), s.name, s.description, str(s.price_cents)] for i, s in enumerate(seeds(), 1)]
    assert due == rows
    assert 'attachment; filename="catalogue.csv"' == answer.headers["content-disposition"]


def test_the_manual_comes_whole_and_in_parts(client: TestClient) -> None:
    """So that a download which was cut off can go on."""
    manual = files.MANUAL.read_bytes()
    assert manual == client.get("/manual.pdf").content
    part = client.get("/manual.pdf", headers={"Range": "bytes=100-199"})
    assert (206, manual[100:200]) == (part.status_code, part.content)
    assert f"bytes 100-199/{len(manual)}" == part.headers["content-range"]
    beyond = client.get("/manual.pdf", headers={"Range": f"bytes={len(manual)}-"})
    assert 416 == beyond.status_code


def put_photo(client: TestClient, body: Any, media_type: str = "image/png", number: int = 5) -> Any:
    """Send a photo."""
    headers = {**AUTHORIZED, "Content-Type": media_type}
    return client.put(f"/api/products/{number}/photo", content=body, headers=headers)


def test_a_photo_is_kept_and_shown(client: TestClient) -> None:
    """Its digest is its name."""
    answer = put_photo(client, PNG)
    digest = hashlib.sha256(PNG).hexdigest()
    address = f"/photos/{digest}.png"
    kept = {"photo": address, "size": len(PNG), "sha256": digest}
    assert (200, kept) == (answer.status_code, answer.json())
    shown = client.get(address)
    assert ("image/png", PNG) == (shown.headers["content-type"], shown.content)
    assert address == client.get("/api/products/5").json()["photo"]
    assert address in client.get("/").text


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_photo_that_is_too_big_is_413_and_leaves_nothing(
    client: TestClient, settings: Settings, in_chunks: bool
) -> None:
    """With or without a Content-Length: the bytes count."""
    body = bytes(files.MAX_PHOTO_SIZE + 1)
    answer = put_photo(client, iter([body[:-1], body[-1:]]) if in_chunks else body)
    assert 413 == answer.status_code
    assert [] == list(settings.photos.iterdir())


def test_a_photo_of_another_type_is_415(client: TestClient) -> None:
    """No HTML, no SVG: nothing that could run in the shop's name."""
    assert 415 == put_photo(client, b"<svg/>", "image/svg+xml").status_code


def test_a_photo_of_no_product_is_404(client: TestClient) -> None:
    """There must be something to show."""
    assert 404 == put_photo(client, PNG, number=999).status_code


@pytest.mark.parametrize("name", ["x.png", "..%2Fshop.db", "0" * 64 + ".png", "0" * 64])
def test_a_photo_that_does_not_exist_is_404(client: TestClient, name: str) -> None:
    """Nothing but photos comes out of the folder, and nothing from outside it."""
    assert 404 == client.get(f"/photos/{name}").status_code


def test_a_photo_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    """The client went away in the middle."""

    async def cut_off() -> AsyncIterator[bytes]:
        yield PNG
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        asyncio.run(files.keep(cut_off(), tmp_path, ".png"))
    assert [] == list(tmp_path.iterdir())


# The feed


class Exchange:
    """One request, driven message by message, to look at an answer that does not end."""

    def __init__(self, app: Any, method: str, path: str, *parts: bytes, **headers: str) -> None:
        """Prepare a request that sends `parts` and then stays."""
        self.app = app
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for part in parts:
            self.to_app.put_nowait({"type": "http.request", "body": part, "more_body": True})

    def end(self) -> None:
        """Say that the body is complete."""
        self.to_app.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        """Go away."""
        self.to_app.put_nowait({"type": "http.disconnect"})

    def start(self) -> asyncio.Task[None]:
        """Let the app work."""
        return asyncio.create_task(self.app(self.scope, self.to_app.get, self.from_app.put))

    async def body(self) -> bytes:
        """Return the next part of the answer's body."""
        while (message := await self.from_app.get())["type"] != "http.response.body":
            pass
        return bytes(message["body"])


def test_a_new_order_is_one_event_and_who_leaves_is_forgotten(settings: Settings) -> None:
    """The feed as a browser sees it."""

    async def scene() -> None:
        app = create_app(settings)
        async with lifespan(app):
            listener = Exchange(app, "GET", "/events")
            listener.end()
            listening = listener.start()
            assert b": welcome\n\n" == await listener.body()
            assert 1 == len(app.state.feed)
            store: Store = app.state.store
            order = await store.place_order("Ada", [Wanted(1, 1)])
            body = json.dumps(order_body()).encode()
            buyer = Exchange(
                app,
                "POST",
                "/api/orders",
                body,
                content_type="application/json",
                content_length=str(len(body)),
                authorization="Bearer secret",
            )
            buyer.end()
            await buyer.start()
            bought = json.loads(await buyer.body())
            assert order.id != bought["id"]
            due = f'{{"id":"{bought["id"]}","state":"confirmed"}}'
            assert f"event: order\ndata: {due}\n\n".encode() == await listener.body()
            listener.leave()
            await listening
            assert 0 == len(app.state.feed)

    asyncio.run(scene())


def test_an_upload_that_is_cut_off_ends_quietly(settings: Settings) -> None:
    """A client that leaves is no error of the shop: no exception reaches the server."""

    async def scene() -> None:
        app = create_app(settings)
        async with lifespan(app):
            upload = Exchange(
                app,
                "PUT",
                "/api/products/1/photo",
                PNG,
                content_type="image/png",
                authorization="Bearer secret",
            )
            upload.leave()
            await upload.start()
            assert [] == list(settings.photos.iterdir())

    asyncio.run(scene())


def test_a_shop_that_stops_does_not_wait_for_its_listeners(client: TestClient) -> None:
    """Closing ends the streams that are open, and those that begin later."""
    app: Any = client.app
    with client.stream("GET", "/events") as response:
        lines = response.iter_lines()
        assert ": welcome" == next(lines)
        assert client.portal is not None
        client.portal.call(app.state.feed.close)
        assert [""] == list(lines)
    assert ": welcome\n\n" == client.get("/events").text
    assert 0 == len(app.state.feed)


def test_a_listener_that_is_too_slow_is_let_go() -> None:
    """It gets what waits for it, and then the end; nobody else notices."""

    async def scene() -> None:
        source = feed.Feed[int]()
        with source.subscribe() as slow:
            for number in range(feed.BACKLOG + 1):
                source.send(number)
            assert 0 == len(source)
            events = [slow.get_nowait() for _ in range(slow.qsize())]
            assert (feed.BACKLOG, None) == (len(events), events[-1])

    asyncio.run(scene())


# The layers


def test_every_answer_has_what_the_layers_add(client: TestClient) -> None:
    """An error has it as well."""
    for path in ("/", "/api/products/999", "/nowhere"):
        headers = client.get(path, headers={"X-Request-ID": "mine-1"}).headers
        assert "mine-1" == headers["x-request-id"]
        assert "nosniff" == headers["x-content-type-options"]
        assert headers["server-timing"].startswith("app;dur=")
        assert "Accept-Language" in headers["vary"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a,b"])
def test_a_request_id_that_is_none_is_replaced(client: TestClient, given: str) -> None:
    """What a client sends goes into the log, so it must be harmless."""
    assert 32 == len(
        client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"]
    )


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "é"}])
def test_writing_without_the_token_is_401(client: TestClient, headers: dict[str, str]) -> None:
    """Reading needs none."""
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = client.post("/api/orders", json=order_body(), headers=encoded)
    assert (401, "Bearer") == (answer.status_code, answer.headers["www-authenticate"])
    assert 200 == client.get("/api/products").status_code


def test_the_audit_sees_the_body_that_the_endpoint_reads(client: TestClient) -> None:
    """The layer reads it first; the endpoint reads it again."""
    answer = client.post("/api/orders", json=order_body(), headers=AUTHORIZED)
    assert 201 == answer.status_code
    sent = answer.request.content
    assert hashlib.sha256(sent).hexdigest() == answer.headers["x-body-sha256"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-CH, en;q=0.5", "de"),
        ("en;q=0.2, fr; q=0.9", "fr"),
        ("ja, *", "en"),
        ("de;q=x", "en"),
        ("," * 5000, "en"),
    ],
)
def test_the_language_is_the_one_the_client_likes(
    client: TestClient, accepted: str, language: str
) -> None:
    """Whatever the header says, it is one of ours."""
    answer = client.get("/", headers={"Accept-Language": accepted})
    assert language == answer.headers["content-language"]
    assert f'<html lang="{language}">' in answer.text


def test_too_many_requests_are_429(settings: Settings) -> None:
    """One in a hundred seconds: the second is too early, and is told how long to wait."""
    slow = replace(settings, rate=0.01)
    with TestClient(create_app(slow)) as client:
        first, second = (client.get("/static/shop.css") for _ in range(2))
    assert (200, 429) == (first.status_code, second.status_code)
    assert "100" == second.headers["retry-after"]


def test_a_bucket_fills_up_again_and_each_client_has_one(settings: Settings) -> None:
    """Time is a function, so the test need not wait."""
    now = [0.0]
    limit = layers.RateLimit(create_app(settings), rate=1, clock=lambda: now[0])
    assert [True, True, False] == [limit.take("a") for _ in range(3)]
    assert limit.take("b")
    now[0] = 1.0
    assert [True, False] == [limit.take("a") for _ in range(2)]


def test_the_rate_limit_forgets_old_clients(settings: Settings) -> None:
    """Otherwise addresses could fill the memory."""
    limit = layers.RateLimit(create_app(settings), rate=1)
    limit.MAX_CLIENTS = 10
    for number in range(20):
        limit.take(str(number))
    assert [str(number) for number in range(10, 20)] == list(limit.buckets)


def test_health_counts_itself_and_nothing_else(client: TestClient) -> None:
    """The pure ASGI layer counts in and out."""
    for _ in range(3):
        assert {"status": "ok", "in_flight": 1, "listening": 0} == client.get("/healthz").json()


# Refusals, settings


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/static/nowhere", 404),
        ("POST", "/", 405),
        ("DELETE", "/api/products/1", 405),
        ("GET", "/api/orders", 405),
    ],
)
def test_what_is_not_there_is_refused_in_json(
    client: TestClient, method: str, path: str, status: int
) -> None:
    """The router's own refusals have the shape of all others."""
    answer = client.request(method, path, headers=AUTHORIZED)
    assert status == answer.status_code
    assert ["detail"] == list(answer.json())
    assert ("allow" in answer.headers) == (status == 405)


def test_an_error_of_ours_is_a_500_that_tells_nothing(settings: Settings) -> None:
    """The details are for the log."""
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        app.state.store = None
        answer = client.get("/api/products/1")
    assert 500 == answer.status_code
    assert {"detail": "Something broke on our side."} == answer.json()


def test_settings_come_from_the_environment() -> None:
    """And have defaults; a token is made up if there is none."""
    environ = {"SHOP_DB": "a", "SHOP_PHOTOS": "b", "SHOP_TOKEN": "c", "SHOP_SECRET": "d"}
    given = settings_from({**environ, "SHOP_RATE": "4"})
    assert Settings(Path("a"), Path("b"), "c", "d", 4.0) == given
    first, second = (settings_from({}) for _ in range(2))
    assert (Path("shop.db"), 50.0) == (first.database, first.rate)
    assert first.token != second.token


def test_a_rate_that_is_no_number_is_refused_at_the_start() -> None:
    """And named."""
    with pytest.raises(ValueError, match="SHOP_RATE"):
        settings_from({"SHOP_RATE": "fast"})


# The command


def test_a_port_that_is_taken_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("sys.argv", ["shop", "--port", str(port)])
        with pytest.raises(SystemExit, match=rf"Cannot listen on 127.0.0.1:{port}: .*--port"):
            shop_command.main()


def test_a_missing_package_is_said_with_the_install_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything else is tried."""
    monkeypatch.setattr("sys.argv", ["shop"])
    monkeypatch.setattr(shop_command, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install uvicorn websockets aiosqlite jinja2 "):
        shop_command.main()


# Pages with forms, the session, and the talk


def test_static_page_is_served(client: TestClient) -> None:
    """By its name, and nothing beside the folder."""
    assert "About the tea shop" in client.get("/static/about.html").text
    assert 404 == client.get("/static/../app.py").status_code
    assert 404 == client.get("/static/%2e%2e/app.py").status_code


def test_basket_fills_and_empties(client: TestClient) -> None:
    """The basket is the visitor's own, kept in a signed cookie."""
    for _ in range(2):
        page = client.post("/basket", data={"product_id": "1"})
    assert "<li>2 &times; Assam, 50 g</li>" in page.text
    assert "<li>" not in client.post("/basket/empty").text


@pytest.mark.parametrize(("number", "status"), [("999", 404), ("x", 422), ("", 422), ("٣", 422)])
def test_only_products_go_into_the_basket(client: TestClient, number: str, status: int) -> None:
    """What the form names has to be there."""
    assert status == client.post("/basket", data={"product_id": number}).status_code


def test_basket_holds_so_many_products(client: TestClient) -> None:
    """So that the cookie stays small."""
    for number in range(1, basket.MOST + 1):
        client.post("/basket", data={"product_id": str(number)}, follow_redirects=False)
    answer = client.post("/basket", data={"product_id": str(basket.MOST + 1)})
    assert (409, "A basket holds 20 products.") == (
        answer.status_code,
        answer.json()["detail"],
    )


def test_a_cookie_that_was_changed_is_no_session(client: TestClient) -> None:
    """Whoever signs in by hand is a visitor all the same."""
    client.post("/staff/sign-in", data={"token": "secret"})
    assert "Sign out" in client.get("/staff").text
    signed = client.cookies["session"]
    client.cookies.clear()
    client.cookies.set("session", "A" + signed[1:])
    assert "Sign in" in client.get("/staff").text


def test_staff_signs_in_and_out(client: TestClient) -> None:
    """With the shop's token; another one is refused."""
    assert 403 == client.post("/staff/sign-in", data={"token": "guess"}).status_code
    assert "Sign out" in client.post("/staff/sign-in", data={"token": "secret"}).text
    assert "Sign in" in client.post("/staff/sign-out").text


def test_staff_uploads_a_photo_by_form(client: TestClient) -> None:
    """What a browser sends; the name that it gives is not looked at."""
    client.post("/staff/sign-in", data={"token": "secret"})
    page = client.post(
        "/staff/photo",
        data={"product_id": "2"},
        files={"photo": ("/etc/passwd", PNG, "image/png")},
    )
    assert f'<img src="/photos/{hashlib.sha256(PNG).hexdigest()}.png"' in page.text


@pytest.mark.parametrize(
    ("number", "media_type", "status"),
    [("2", "text/html", 415), ("999", "image/png", 404), ("x", "image/png", 422)],
)
def test_a_photo_that_does_not_fit_is_refused(
    client: TestClient, number: str, media_type: str, status: int
) -> None:
    """Another type, and a product that is none."""
    client.post("/staff/sign-in", data={"token": "secret"})
    files = {"photo": ("tea", PNG, media_type)}
    answer = client.post("/staff/photo", data={"product_id": number}, files=files)
    assert status == answer.status_code


def test_upload_form_is_for_the_staff(client: TestClient) -> None:
    """A visitor's photo is not even read; the API's token does not help."""
    files = {"photo": ("tea.png", PNG, "image/png")}
    for headers in ({}, AUTHORIZED):
        answer = client.post("/staff/photo", data={"product_id": "2"}, files=files, headers=headers)
        assert 403 == answer.status_code
    assert 403 == client.post("/staff/sign-out").status_code


def test_all_hear_what_one_says(client: TestClient) -> None:
    """The one who says it too; and nobody hears more than so much."""
    with client.websocket_connect("/talk") as one, client.websocket_connect("/talk") as other:
        one.send_text("Good morning")
        assert ("Good morning", "Good morning") == (one.receive_text(), other.receive_text())
        other.send_text("x" * 500)
        assert "x" * talk.LONGEST == one.receive_text()
    assert 0 == client.get("/healthz").json()["listening"]


def test_talk_ends_when_the_shop_closes(settings: Settings) -> None:
    """With the code of a server that goes away."""
    app = create_app(settings)
    with TestClient(app) as client, client.websocket_connect("/talk") as visitor:
        visitor.send_text("Still open?")
        assert "Still open?" == visitor.receive_text()
        assert client.portal is not None
        client.portal.call(app.state.talk.close)
        with pytest.raises(WebSocketDisconnect) as closed:
            visitor.receive_text()
    assert (1001, "The shop closes.") == (closed.value.code, closed.value.reason)
