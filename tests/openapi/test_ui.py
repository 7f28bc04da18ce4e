"""The document and its pages as they are served: by the own server alone, wherever that is."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lamella.applications import Starlette
from lamella.openapi import _assets
from lamella.openapi.ui import docs_routes
from lamella.routing import Mount
from lamella.testclient import TestClient
from tests.openapi.test_docs import HOSTILE, Elements

PAGES = ["/docs", "/redoc", "/scalar"]
HOSTILE_ROOTS = [
    "//evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    f"/{HOSTILE}",
    "/a b?c#d%2e'\"",
    "/tée",
    "javascript:alert(1)//",
]


def documented(**changes):
    """An application's facts, as FastAPI's defaults have them."""
    document = {"openapi": "3.1.0", "info": {"title": "Teas", "version": "1"}, "paths": {}}
    facts = {
        "title": "Teas",
        "openapi_url": "/openapi.json",
        "docs_url": "/docs",
        "redoc_url": "/redoc",
        "scalar_url": "/scalar",
        "swagger_ui_oauth2_redirect_url": "/docs/oauth2-redirect",
        "swagger_ui_init_oauth": None,
        "swagger_ui_parameters": None,
        "root_path_in_servers": True,
        "openapi": lambda: document,
    }
    return SimpleNamespace(**{**facts, **changes})


def client_of(app=None, root_path="", **changes):
    routes = docs_routes(app or documented(**changes))
    return TestClient(Starlette(routes=routes), root_path=root_path)


@pytest.fixture
def without_extra(monkeypatch):
    """As if the package with the files were not there."""
    _assets.find_assets.cache_clear()
    monkeypatch.setattr(_assets, "_PACKAGE", "lamella_has_no_such_package")
    yield
    _assets.find_assets.cache_clear()


# -- which routes there are ------------------------------------------------------------------------


def test_routes_have_the_names_and_paths_of_fastapi():
    routes = {route.name: route.path for route in docs_routes(documented())}
    expected = {
        "openapi": "/openapi.json",
        "swagger_ui_html": "/docs",
        "swagger_ui_redirect": "/docs/oauth2-redirect",
        "redoc_html": "/redoc",
        "scalar_html": "/scalar",
    }
    assert expected.items() <= routes.items()
    assert not any(route.include_in_schema for route in docs_routes(documented()))


@pytest.mark.parametrize("off", [None, ""])
@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("docs_url", ["/docs", "/docs/oauth2-redirect"]),
        ("redoc_url", ["/redoc"]),
        ("scalar_url", ["/scalar"]),
        ("swagger_ui_oauth2_redirect_url", ["/docs/oauth2-redirect"]),
        ("openapi_url", ["/openapi.json", "/docs/oauth2-redirect", *PAGES]),
    ],
)
def test_what_is_off_is_not_there(name, off, paths):
    client = client_of(**{name: off})
    everything = ["/openapi.json", "/docs/oauth2-redirect", *PAGES]
    gone = [path for path in everything if client.get(path).status_code == 404]
    assert sorted(paths) == sorted(gone)


def test_pages_may_be_anywhere():
    client = client_of(docs_url="/", redoc_url="/a/b/", openapi_url="/v1/api.json")
    for path in ("/", "/a/b/"):
        page = client.get(path)
        assert 200 == page.status_code
        assert "/v1/api.json" in page.text
        scripts = [url for url in Elements(page.text).values("script", "src") if url]
        assert scripts
        assert {200} == {client.get(url).status_code for url in scripts}


# -- the document ----------------------------------------------------------------------------------


def test_the_document_is_sent_as_json():
    app = documented()
    response = client_of(app).get("/openapi.json")
    assert app.openapi() == response.json()
    assert "application/json" == response.headers["content-type"]


def test_a_document_may_be_awaited():
    async def openapi():
        return {"openapi": "3.1.0"}

    assert {"openapi": "3.1.0"} == client_of(openapi=openapi).get("/openapi.json").json()


def test_a_client_that_has_the_document_is_told_so():
    client = client_of()
    first = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"if-none-match": first.headers["etag"]})
    assert (304, b"") == (again.status_code, again.content)
    assert first.headers["etag"] == again.headers["etag"]
    other = client.get("/openapi.json", headers={"if-none-match": '"other"'})
    assert 200 == other.status_code


def test_another_document_is_seen_at_once():
    """`app.openapi` may be replaced, and so may what it gives."""
    app = documented()
    client = client_of(app)
    before = client.get("/openapi.json")
    app.openapi = lambda: {"openapi": "3.1.0", "info": {"title": "Coffees"}}
    after = client.get("/openapi.json", headers={"if-none-match": before.headers["etag"]})
    assert "Coffees" == after.json()["info"]["title"]


def servers_for(client):
    return client.get("/openapi.json").json().get("servers")


def test_the_root_path_is_the_first_server():
    app = documented(openapi=lambda: {"servers": [{"url": "https://a.test"}]})
    assert [{"url": "/api"}, {"url": "https://a.test"}] == servers_for(client_of(app, "/api/"))
    assert [{"url": "https://a.test"}] == servers_for(client_of(app))


def test_a_root_path_that_is_a_server_already_is_not_named_twice():
    app = documented(openapi=lambda: {"servers": [{"url": "https://a.test"}, {"url": "/api"}]})
    assert [{"url": "https://a.test"}, {"url": "/api"}] == servers_for(client_of(app, "/api"))


def test_the_root_path_is_left_out_where_it_is_not_wanted():
    assert servers_for(client_of(root_path="/api", root_path_in_servers=False)) is None


def test_one_root_path_is_not_seen_by_another_request():
    """A client may be able to choose it: neither documents nor memory may add up."""
    document = {"servers": [{"url": "https://a.test"}]}
    app = documented(openapi=lambda: document)
    routes = docs_routes(app)
    for number in range(100):
        client = TestClient(Starlette(routes=routes), root_path=f"/{number}")
        assert f"/{number}" == servers_for(client)[0]["url"]
    assert [{"url": "https://a.test"}] == servers_for(TestClient(Starlette(routes=routes)))
    assert {"servers": [{"url": "https://a.test"}]} == document
    assert len(routes[0].endpoint.__self__._published._bodies) < 10


@pytest.mark.parametrize("root_path", HOSTILE_ROOTS)
def test_a_root_path_leads_to_no_other_host(root_path):
    """Some servers and proxies take it from a header."""
    url = servers_for(client_of(root_path=root_path))[0]["url"]
    assert re.fullmatch(r"/(?!/)[\x21-\x7e]*", url)
    assert "\\" not in url


# -- the pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/docs/oauth2-redirect"])
def test_a_page_has_no_script_and_no_style_in_itself(path):
    """So it works under any policy that lets it load files of its own server."""
    found = Elements(client_of(swagger_ui_init_oauth={"clientId": "a"}).get(path).text).found
    for tag, attributes in found:
        assert "style" not in {tag, *attributes}
        assert not any(name.startswith("on") for name in attributes)
        if tag == "script" and not attributes.get("src"):
            inert = (
                attributes.get("type") == "application/json" or "data-configuration" in attributes
            )
            assert inert


@pytest.mark.parametrize("root_path", ["", "/api", *HOSTILE_ROOTS])
@pytest.mark.parametrize("path", [*PAGES, "/docs/oauth2-redirect"])
def test_a_page_loads_files_of_its_own_server_alone(path, root_path):
    page = Elements(client_of(root_path=root_path).get(path).text)
    urls = [*page.values("script", "src"), *page.values("link", "href")]
    urls += page.values("redoc", "spec-url")
    loaded = [url for url in urls if url]
    assert loaded
    for url in loaded:
        assert re.fullmatch(r"/(?!/)[\x21-\x7e]*", url)
        assert "\\" not in url


@pytest.mark.parametrize("path", PAGES)
def test_every_file_of_a_page_is_there(path):
    client = client_of()
    page = Elements(client.get(path).text)
    for tag, attribute, media_type in (
        ("script", "src", "text/javascript"),
        ("link", "href", ("text/css", "image/svg+xml")),
    ):
        for url in filter(None, page.values(tag, attribute)):
            response = client.get(url)
            assert 200 == response.status_code
            assert response.headers["content-type"].startswith(media_type)
            assert response.content


@pytest.mark.parametrize("path", [*PAGES, "/docs/oauth2-redirect"])
def test_a_page_says_what_it_may_do(path):
    policy = client_of().get(path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


def test_a_page_may_ask_what_its_document_names():
    document = {
        "servers": [{"url": "https://a.test"}],
        "info": {"description": "![](http://b.test/)"},
    }
    client = client_of(
        openapi=lambda: document, swagger_ui_parameters={"url": "https://c.test/openapi.json"}
    )
    policy = client.get("/docs").headers["content-security-policy"]
    assert "connect-src 'self' https://a.test https://c.test;" in policy
    assert "img-src 'self' data: blob: http://b.test https://a.test https://c.test;" in policy
    assert (
        "connect-src 'self' https://a.test;"
        in client.get("/redoc").headers["content-security-policy"]
    )


def settings_of(page):
    (text,) = re.findall(r'<script type="application/json" id="settings">(.*?)</script>', page)
    return json.loads(text)


def test_swagger_ui_is_started_with_what_the_application_says():
    client = client_of(
        root_path="/api",
        swagger_ui_parameters={"deepLinking": False, "syntaxHighlight": {"theme": "obsidian"}},
        swagger_ui_init_oauth={"clientId": "shop"},
    )
    settings = settings_of(client.get("/docs").text)
    assert {
        "url": "/api/openapi.json",
        "dom_id": "#swagger-ui",
        "layout": "BaseLayout",
        "deepLinking": False,
        "showExtensions": True,
        "showCommonExtensions": True,
        "syntaxHighlight": {"theme": "obsidian"},
    } == settings["options"]
    assert "/api/docs/oauth2-redirect" == settings["oauth2RedirectPath"]
    assert {"clientId": "shop"} == settings["oauth"]


def test_pages_say_what_tests_of_fastapi_programs_look_for():
    """Read by programs, not by the browser: it stands in a comment."""
    client = client_of(
        swagger_ui_parameters={"syntaxHighlight": False}, swagger_ui_init_oauth={"appName": "Teas"}
    )
    page = client.get("/docs").text
    for text in (
        "<title>Teas - Swagger UI</title>",
        "swagger-ui-dist",
        "const ui = SwaggerUIBundle({",
        "url: '/openapi.json',",
        '"syntaxHighlight": false',
        '"showCommonExtensions": true,',
        "oauth2RedirectUrl: window.location.origin + '/docs/oauth2-redirect'",
        "SwaggerUIBundle.presets.apis,",
        'ui.initOAuth({"appName": "Teas"})',
    ):
        assert text in page
    assert "<title>Teas - ReDoc</title>" in client.get("/redoc").text
    assert "window.opener.swaggerUIRedirectOauth2" in client.get("/docs/oauth2-redirect").text


def test_without_a_redirect_page_none_is_named():
    page = client_of(swagger_ui_oauth2_redirect_url=None).get("/docs").text
    assert "oauth2RedirectUrl" not in page
    assert settings_of(page)["oauth2RedirectPath"] is None


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "hostile",
    [
        {"title": HOSTILE},
        {"openapi_url": "/{x}.json"},
        {"swagger_ui_parameters": {HOSTILE: HOSTILE}},
        {"swagger_ui_init_oauth": {"appName": HOSTILE}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_no_text_of_an_application_breaks_out_of_its_place(path, hostile):
    assert Elements(client_of().get(path).text).tags == (
        Elements(client_of(**hostile).get(path).text).tags
    )


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("root_path", HOSTILE_ROOTS)
def test_no_root_path_breaks_out_of_its_place(path, root_path):
    assert Elements(client_of().get(path).text).tags == (
        Elements(client_of(root_path=root_path).get(path).text).tags
    )


def test_pages_of_a_mounted_application_ask_below_the_mount():
    inner = Starlette(routes=docs_routes(documented()))
    client = TestClient(Starlette(routes=[Mount("/sub", inner)]))
    page = client.get("/sub/docs").text
    assert "/sub/openapi.json" == settings_of(page)["options"]["url"]
    assert [{"url": "/sub"}] == client.get("/sub/openapi.json").json()["servers"]
    urls = [url for url in Elements(page).values("script", "src") if url]
    assert {200} == {client.get(url).status_code for url in urls}


def test_a_head_of_a_page_is_answered():
    response = client_of().head("/docs")
    assert (200, b"") == (response.status_code, response.content)


# -- the files -------------------------------------------------------------------------------------


def script_url(client):
    return next(url for url in Elements(client.get("/docs").text).values("script", "src") if url)


def test_a_file_is_kept_for_ever_by_its_content():
    client = client_of()
    response = client.get(script_url(client))
    assert "public, max-age=31536000, immutable" == response.headers["cache-control"]
    again = client.get(script_url(client), headers={"if-none-match": response.headers["etag"]})
    assert 304 == again.status_code


def test_a_file_of_another_version_is_not_kept():
    """While servers change one by one, a page of the one asks the other for its files."""
    client = client_of()
    response = client.get("/docs/assets/0123456789abcdef/swagger-ui-dist.js")
    assert (200, "no-cache") == (response.status_code, response.headers["cache-control"])


@pytest.mark.parametrize(
    "name", ["other.js", "..", "swagger_bundle.js", "%2e%2e", "..%2f..%2fui.py", "__init__.py"]
)
def test_nothing_else_is_served(name):
    assert 404 == client_of().get(f"/docs/assets/0123456789abcdef/{name}").status_code


def test_the_package_with_the_files_is_not_imported():
    """Importing it reads all of them and makes templates of them."""
    code = (
        "import sys; from lamella.openapi._assets import find_assets;"
        "assert find_assets(); assert 'offapi' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=15)


# -- without the extra -----------------------------------------------------------------------------


@pytest.mark.usefixtures("without_extra")
@pytest.mark.parametrize("path", [*PAGES, "/docs/oauth2-redirect"])
def test_without_the_extra_a_page_says_what_to_install(path):
    response = client_of(root_path="/api", title=HOSTILE).get(path)
    assert 501 == response.status_code
    assert "text/html; charset=utf-8" == response.headers["content-type"]
    assert "no-store" == response.headers["cache-control"]
    assert 'pip install "lamella[docs]"' in response.text
    page = Elements(response.text)
    assert ["/api/openapi.json"] == page.values("a", "href")
    assert "script" not in page.tags
    assert "img" not in page.tags


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_the_document_is_there_and_files_are_not():
    client = client_of()
    assert 200 == client.get("/openapi.json").status_code
    assert 404 == client.get("/docs/assets/0123456789abcdef/redoc.js").status_code


def test_an_extra_that_lacks_files_counts_as_none(monkeypatch):
    """An older one: better a page that says so than one that stays blank."""
    _assets.find_assets.cache_clear()
    monkeypatch.setattr(_assets, "_FILES", {"redoc.js": "no-such-file.js"})
    assert 501 == client_of().get("/redoc").status_code
    _assets.find_assets.cache_clear()
