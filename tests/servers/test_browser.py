"""The shop in a real browser: headless Chromium over uvicorn."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.servers.running import TOKEN, Server, running, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A PNG of one red pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
    "78da63f8cfc000000301010018dd8db00000000049454e44ae426082"
)

pytestmark = [
    pytest.mark.timeout(120),  # a browser is started
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="needs Chromium: apt install chromium, or set CHROMIUM to its path",
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shop over uvicorn, which logs no traceback whatever the browser does."""
    with running("uvicorn-httptools", 1, tmp_path_factory.mktemp("browser")) as server:
        yield server
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def page(server: Server) -> "Iterator[Page]":
    """A fresh browser that shows the shop's page, without an error on its console."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(locale="en-GB", base_url=server.url)
        page.set_default_timeout(20_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda said: errors.append(said.text) if said.type == "error" else None,
        )
        page.goto("/")
        yield page
        browser.close()
        assert [] == errors


def test_shop_in_a_browser(page: "Page", server: Server, tmp_path: Path) -> None:
    """Page, basket, WebSocket, feed and upload work, and going away leaves nothing behind."""
    assert page.title() == "The tea shop"
    assert page.locator("main table tr").count() == 20

    page.locator('button[name="product_id"][value="3"]').click()
    page.locator("#basket li", has_text="1 × Assam, 250 g").wait_for()

    page.locator('#say input[name="text"]').fill("Good morning")
    page.locator("#say button").click()
    page.locator("#talk li", has_text="Good morning").wait_for()

    order = {"customer": "Ada", "lines": [{"product_id": 1, "quantity": 1}]}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=server.url) as client:
        answer = client.post("/api/orders", json=order, headers=headers).json()
    page.locator("#feed li", has_text=f"{answer['id'][:8]} confirmed").wait_for()

    page.goto("/staff")
    page.locator('input[name="token"]').fill(TOKEN)
    page.locator("button").click()
    photo = tmp_path / "pixel.png"
    photo.write_bytes(PIXEL)
    page.locator('input[name="product_id"]').fill("1")
    page.locator('input[name="photo"]').set_input_files(photo)
    page.locator("button", has_text="Send").click()
    image = page.locator("main table img")
    image.wait_for()
    assert image.evaluate("image => image.complete && image.naturalWidth") == 1

    page.goto("about:blank")

    def is_idle() -> bool:
        with httpx.Client(base_url=server.url) as client:
            return client.get("/healthz").json() == {
                "status": "ok",
                "in_flight": 1,
                "listening": 0,
            }

    wait_until(is_idle, "the feeds to end with the page")
