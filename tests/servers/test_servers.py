"""The shop over real servers: uvicorn, granian and hypercorn; HTTP/1.1 and HTTP/2."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from examples import shop
from tests.servers.running import TOKEN, WIRES, Server, running, wait_until

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
MANUAL = (Path(shop.__file__).parent / "manual.pdf").read_bytes()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 5000  # 1.3 MB: spooled to disk as it comes
ORDER = {"customer": "Ada", "lines": [{"product_id": 3, "quantity": 2}]}

pytestmark = pytest.mark.timeout(60)  # a server is started, and stopped


@pytest.fixture(scope="module", params=WIRES, ids=lambda wire: f"{wire[0]}-http{wire[1]}")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server for the tests of this file, which logs no traceback whatever they do."""
    name, http = request.param
    with running(name, http, tmp_path_factory.mktemp(name)) as server:
        yield server
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client that speaks the version of HTTP under test."""
    with server.client() as client:
        yield client


def in_flight(server: Server) -> int:
    """Return how many requests the shop is answering, this one included."""
    with server.client() as client:
        count: int = client.get("/healthz").json()["in_flight"]
        return count


def test_page_and_what_it_needs_are_served(client: httpx.Client, server: Server) -> None:
    """The page is made of a template; its script is a static file with an ETag."""
    page = client.get("/", headers={"accept-language": "de"})
    assert (200, f"HTTP/{server.http}" + (".1" if server.http == 1 else "")) == (
        page.status_code,
        page.http_version,
    )
    assert "An der Theke" in page.text
    (address,) = re.findall(r'<script src="([^"]+)"', page.text)
    script = client.get(address)
    assert (200, "text/javascript; charset=utf-8") == (
        script.status_code,
        script.headers["content-type"],
    )
    again = client.get(address, headers={"if-none-match": script.headers["etag"]})
    assert (304, b"") == (again.status_code, again.content)


def test_file_is_sent_whole_and_in_part(client: httpx.Client) -> None:
    """Granian sends the file by itself (pathsend) under the same layers."""
    whole = client.get("/manual.pdf")
    assert (200, MANUAL) == (whole.status_code, whole.content)
    part = client.get("/manual.pdf", headers={"range": "bytes=10-19"})
    assert (206, MANUAL[10:20]) == (part.status_code, part.content)


def test_order_is_read_back(client: httpx.Client) -> None:
    """A JSON body goes in, and what came of it is there to be asked for."""
    answer = client.post("/api/orders", json=ORDER, headers=AUTHORIZED)
    assert 201 == answer.status_code
    assert answer.json()["id"] == client.get(answer.headers["location"]).json()["id"]


def takes_early_answers(server: Server) -> bool:
    """Whether a server goes on when a request was answered before its body has come.

    hypercorn drops the connection over HTTP/2: a KeyError in its `protocol.h2`, for an empty body
    as well, whose end is a message of its own.
    """
    return server.name != "hypercorn" or server.http != 2


def test_typed_endpoints_answer_what_does_not_fit(client: httpx.Client, server: Server) -> None:
    """Body, query, path and token: each is refused by what the endpoint declares."""
    order = {"customer": "", "lines": [{"product_id": 1}]}
    refused = client.post("/api/orders", json=order, headers=AUTHORIZED)
    assert (422, "application/json") == (refused.status_code, refused.headers["content-type"])
    assert [
        ("string_too_short", ["body", "customer"]),
        ("missing", ["body", "lines", 0, "quantity"]),
    ] == [(error["type"], error["loc"]) for error in refused.json()["detail"]]
    broken = client.post(
        "/api/orders", content=b"{", headers={**AUTHORIZED, "Content-Type": "application/json"}
    )
    assert (422, "json_invalid") == (broken.status_code, broken.json()["detail"][0]["type"])
    assert 422 == client.get("/api/products", params={"page": "0"}).status_code
    assert 422 == client.get("/api/products/x").status_code
    if takes_early_answers(server):
        stranger = client.post("/api/orders", json=ORDER)
        assert (401, "Bearer") == (stranger.status_code, stranger.headers["www-authenticate"])


@pytest.mark.parametrize("path", ["/api/products", "/api/products/1", "/openapi.json", "/docs"])
def test_head_of_typed_endpoints_is_get_without_the_body(
    client: httpx.Client, server: Server, path: str
) -> None:
    """With the length that the body of a GET would have."""
    if server.name == "granian" and server.http == 2:
        pytest.skip("granian sends the body that a HEAD over HTTP/2 must not have; httpx hangs up")
    whole, head = client.get(path), client.head(path)
    assert (200, b"") == (head.status_code, head.content)
    assert str(len(whole.content)) == head.headers["content-length"]
    assert whole.headers["content-type"] == head.headers["content-type"]


def test_upload_form_keeps_the_file(client: httpx.Client, server: Server) -> None:
    """Signed in by the session's cookie, the staff uploads a photo, spooled as it comes in."""
    if takes_early_answers(server):
        photo = ("tea.png", PNG[:9], "image/png")
        assert 403 == client.post("/staff/photo", files={"photo": photo}).status_code
    assert 303 == client.post("/staff/sign-in", data={"token": TOKEN}).status_code
    answer = client.post(
        "/staff/photo",
        data={"product_id": "7"},
        files={"photo": ("../../tea.png", PNG, "image/png")},
    )
    assert (303, "/") == (answer.status_code, answer.headers["location"])
    address = client.get("/api/products/7").json()["photo"]
    assert f"/photos/{hashlib.sha256(PNG).hexdigest()}.png" == address
    assert PNG == client.get(address).content


def test_basket_is_kept_in_the_session(client: httpx.Client) -> None:
    """Two visitors have two baskets."""
    for _ in range(2):
        client.post("/basket", data={"product_id": "1"})
    assert "<li>2 &times; Assam, 50 g</li>" in client.get("/").text
    client.cookies.clear()
    assert "&times; Assam, 50 g</li>" not in client.get("/").text


def test_websocket_echoes(server: Server) -> None:
    """What one says both hear; a visitor who goes away is let go."""
    address = f"ws://127.0.0.1:{server.port}/talk"
    with connect(address, proxy=None) as one, connect(address, proxy=None) as other:
        one.send("Good morning")
        assert ("Good morning", "Good morning") == (one.recv(10), other.recv(10))
        other.send("Tea?")
        assert ("Tea?", "Tea?") == (one.recv(10), other.recv(10))


def test_websocket_nobody_serves_is_refused(server: Server) -> None:
    """The handshake fails with a status, whatever the server can say."""
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://127.0.0.1:{server.port}/nowhere", proxy=None),
    ):
        pass
    assert refused.value.response.status_code in (403, 404)


def test_feed_tells_of_an_order_and_ends_with_its_client(server: Server) -> None:
    """The event comes while the stream is open; when the client leaves nothing goes on."""
    with server.client() as listener, listener.stream("GET", "/events") as feed:
        assert "text/event-stream; charset=utf-8" == feed.headers["content-type"]
        lines = feed.iter_lines()
        assert ": welcome" == next(lines)
        with server.client() as other:
            order = other.post("/api/orders", json=ORDER, headers=AUTHORIZED).json()
        data = next(line for line in lines if line.startswith("data:"))
        assert order["id"] == json.loads(data.removeprefix("data:"))["id"]
        assert in_flight(server) >= 2
    # The connection is closed by now; over HTTP/2 the client would only have stopped reading.
    wait_until(lambda: in_flight(server) == 1, "the feed to end with its client")


def test_upload_cut_off_leaves_nothing_behind(server: Server) -> None:
    """A client that leaves in the middle of a photo: no file, no request that goes on."""
    folder = server.log.parent / "photos"
    before = set(folder.iterdir())

    def half() -> Iterator[bytes]:
        yield PNG[:100_000]
        raise ConnectionAbortedError

    headers = {**AUTHORIZED, "Content-Type": "image/png", "Content-Length": str(len(PNG))}
    with server.client() as client, pytest.raises(ConnectionAbortedError):
        client.put("/api/products/9/photo", content=half(), headers=headers)
    wait_until(lambda: in_flight(server) == 1, "the upload to be given up")
    assert before == set(folder.iterdir())
