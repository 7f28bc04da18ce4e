"""The documentation pages in a real browser that reaches nothing but their own server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.servers.running import TOKEN, Server, running
from tests.servers.test_browser import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

# Of a layer around the application, over the pages' own: no script or style in a page.
STRICT = (
    "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none';"
    " img-src 'self' data:; font-src 'self' data:"
)
# ReDoc and Scalar try whether they may make functions of texts, and do without if not.
PROBE = ("script-src", "eval")
# Scalar writes line numbers of its samples into attributes, and the samples have none without.
LINE_NUMBERS = ("style-src-attr", "inline")
WATCH = """
document.addEventListener("securitypolicyviolation", (event) => {
  window.seen = [...(window.seen || []), [event.violatedDirective, event.blockedURI]];
});
"""

pytestmark = [
    pytest.mark.timeout(120),  # a browser is started
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="needs Chromium: apt install chromium, or set CHROMIUM to its path",
    ),
]


@pytest.fixture(scope="module", params=["", STRICT], ids=["own policy", "strict layer"])
def policy(request: pytest.FixtureRequest) -> str:
    """What a layer around the application adds to the policy of its pages."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(policy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The application over uvicorn, which logs no traceback whatever the browser does."""
    folder, app = tmp_path_factory.mktemp("docs"), "tests.servers.docs_app:app"
    with running("uvicorn-httptools", 1, folder, app, POLICY=policy) as server:
        yield server
    assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A browser for all tests; each has a context of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shop, whose layers are around its pages."""
    with running("uvicorn-h11", 1, tmp_path_factory.mktemp("shop")) as server:
        yield server
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def page(browser: "Browser", server: Server) -> "Iterator[Page]":
    """A page of the application."""
    with cut_off(browser, server) as page:
        yield page


@pytest.fixture
def shop_page(browser: "Browser", shop: Server) -> "Iterator[Page]":
    """A page of the shop."""
    with cut_off(browser, shop) as page:
        yield page


@contextmanager
def cut_off(browser: "Browser", server: Server) -> "Iterator[Page]":
    """A page without the network: it asks for nothing elsewhere, and has no error."""
    context = browser.new_context(locale="en-GB", base_url=server.url)
    context.add_init_script(WATCH)
    foreign: list[str] = []
    errors: list[str] = []

    def only_own(route: "Route") -> None:
        if route.request.url.startswith((server.url, "data:", "blob:")):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    context.route("**/*", only_own)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert [] == foreign
    # What the policy keeps back is looked at by `violations`.
    assert [] == [text for text in errors if "Content Security Policy" not in text]


def violations(page: "Page") -> set[tuple[str, str]]:
    """What the page did, or wanted to load, that its policies forbid."""
    return {tuple(pair) for pair in page.evaluate("window.seen || []")}


@pytest.mark.parametrize("root", ["", "/below"])
def test_swagger_ui_executes_a_request(page: "Page", root: str) -> None:
    """Try it out, Execute: also below a mount, where the server of the document is the mount."""
    page.goto(f"{root}/docs")
    page.locator("#operations-teas-read_tea .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    if root:
        page.locator(".servers select").select_option(root)
    with page.expect_response("**/teas/assam") as asked:
        page.get_by_role("button", name="Execute").click()
    assert asked.value.url.endswith(f"{root}/teas/assam")
    shown = page.locator(".live-responses-table")
    expect(shown.locator(".response-col_status").last).to_contain_text("200")
    expect(shown).to_contain_text('"name": "assam"')
    assert set() == violations(page)


def test_swagger_ui_logs_in_by_the_page_for_oauth2(page: "Page") -> None:
    """The code comes back to a window of its own, as it was sent, and the request has the token."""
    page.goto("/docs")
    page.locator(".auth-wrapper .authorize").click()
    with page.expect_popup():
        page.locator(".auth-btn-wrapper .authorize").click()
    page.get_by_text("Logout").wait_for()
    page.locator(".auth-btn-wrapper .btn-done").click()
    page.locator("#operations-teas-add_tea .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("201")
    assert set() == violations(page)


def test_an_answer_to_another_question_is_not_used(page: "Page") -> None:
    """Somebody else may have sent the browser back (RFC 6749 section 10.12)."""
    tokens: list[str] = []
    page.on("request", lambda asked: tokens.append(asked.url) if "/token" in asked.url else None)
    page.goto("/docs")
    page.locator(".auth-wrapper .authorize").click()
    page.evaluate("""() => {
        const open = window.open;
        window.open = (url) => open("/docs/oauth2-redirect?code=stolen&state=other");
    }""")
    page.locator(".auth-btn-wrapper .authorize").click()
    expect(page.locator(".auth-container .errors")).to_contain_text("not the one that was sent")
    assert [] == tokens


def test_a_redirect_page_that_nobody_waits_for_says_so(page: "Page") -> None:
    """As when the page that asked was closed meanwhile."""
    page.goto("/docs/oauth2-redirect?code=a&state=b")
    expect(page.locator("body")).to_contain_text("No window of Swagger UI waits")
    assert set() == violations(page)


@pytest.mark.parametrize("root", ["", "/below"])
def test_redoc_shows_an_operation_and_finds_one(page: "Page", root: str) -> None:
    """It sends no requests; what it is for is reading."""
    page.goto(f"{root}/redoc")
    page.get_by_text("+ Show").first.click()
    expect(page.locator("body")).to_contain_text("/teas/{name}")
    expect(page.locator("body")).to_contain_text('"name": "assam"')
    page.get_by_text("Search").first.click()
    page.keyboard.type("add")
    expect(page.get_by_test_id("search-dialog")).to_contain_text("Add a tea")
    assert is_styled(page)
    assert violations(page) <= {PROBE}


@pytest.mark.parametrize("root", ["", "/below"])
def test_scalar_executes_a_request(page: "Page", policy: str, root: str) -> None:
    """Test Request, Send."""
    page.goto(f"{root}/scalar")
    page.get_by_role("button", name="Test Request").first.click()
    with page.expect_response("**/teas/assam") as asked:
        page.get_by_role("button", name="Send").first.click()
    assert asked.value.url.endswith(f"{root}/teas/assam")
    expect(page.locator("body")).to_contain_text("200 OK")
    assert is_styled(page)
    assert violations(page) <= ({PROBE, LINE_NUMBERS} if policy else {PROBE})


def is_styled(page: "Page") -> bool:
    """Whether the styles are there that the page makes for itself."""
    count = "document.adoptedStyleSheets.reduce((sum, sheet) => sum + sheet.cssRules.length, 0)"
    return bool(page.evaluate(count) > 50)


def test_the_policy_would_keep_a_foreign_file_back(page: "Page") -> None:
    """The tests above must be able to fail: what is forbidden is seen."""
    page.goto("/docs")
    page.evaluate("""() => new Promise((resolve) => {
        document.addEventListener("securitypolicyviolation", resolve);
        const image = new Image();
        image.src = "https://elsewhere.invalid/a.png";
    })""")
    assert ("img-src", "https://elsewhere.invalid/a.png") in violations(page)


# The shop


def test_swagger_ui_orders_with_the_token_of_the_shop(shop_page: "Page") -> None:
    """Authorize, Try it out, Execute: the document has all that it takes."""
    page = shop_page
    page.goto("/docs")
    page.locator(".auth-wrapper .authorize").click()
    page.locator(".auth-container input").fill(TOKEN)
    page.locator(".auth-btn-wrapper .authorize").click()
    page.locator(".auth-btn-wrapper .btn-done").click()
    page.locator("#operations-orders-new_order .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    order = '{"customer": "Grace", "lines": [{"product_id": 1, "quantity": 2}]}'
    page.locator(".body-param textarea").fill(order)
    with page.expect_response("**/api/orders") as asked:
        page.get_by_role("button", name="Execute").click()
    assert 201 == asked.value.status
    shown = page.locator(".live-responses-table")
    expect(shown).to_contain_text('"customer": "Grace"')
    expect(shown).to_contain_text("location: /api/orders/")
    assert set() == violations(page)


def test_redoc_shows_the_shop(shop_page: "Page") -> None:
    """The endpoints by their tags, and what the order of a client looks like."""
    shop_page.goto("/redoc")
    expect(shop_page.locator("body")).to_contain_text("/api/products/{product_id}/photo")
    shop_page.get_by_text("+ Show").nth(1).click()
    expect(shop_page.locator("body")).to_contain_text('"customer": "Ada"')
    assert is_styled(shop_page)
    assert violations(shop_page) <= {PROBE}


def test_scalar_asks_the_shop(shop_page: "Page") -> None:
    """Test Request, Send."""
    shop_page.goto("/scalar")
    shop_page.get_by_role("button", name="Test Request").first.click()
    with shop_page.expect_response("**/api/products*") as asked:
        shop_page.get_by_role("button", name="Send").first.click()
    assert 200 == asked.value.status
    expect(shop_page.locator("body")).to_contain_text("200 OK")
    assert is_styled(shop_page)
    assert violations(shop_page) <= {PROBE}
