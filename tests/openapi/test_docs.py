"""Pages of one's own: what FastAPI's functions say, they say, and nothing breaks out of them."""

import inspect
import json
import re
from html.parser import HTMLParser

import fastapi.openapi.docs
import pytest

from lamella.openapi import docs
from lamella.openapi.docs import (
    get_redoc_html,
    get_scalar_html,
    get_swagger_ui_html,
    get_swagger_ui_oauth2_redirect_html,
    swagger_ui_default_parameters,
)

HOSTILE = "\"'`</script><script>alert(1)</script>--><img src=x onerror=alert(1)>&\u2028\u2029\\"


class Elements(HTMLParser):
    """The elements of a page, with their attributes, as a browser finds them."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.texts = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        tag = self.found[-1][0] if self.found else ""
        self.texts[tag] = self.texts.get(tag, "") + data

    @property
    def tags(self):
        return [tag for tag, _ in self.found]

    def values(self, tag, attribute):
        return [attributes.get(attribute) for name, attributes in self.found if name == tag]


def text_of(response):
    return bytes(response.body).decode()


def essence(page):
    """What a page of FastAPI's says to Swagger UI, whatever stands between it."""
    call = re.search(r"const ui = SwaggerUIBundle\(\{(.*)\}\)(.*?)</script>", page, re.DOTALL)
    return [re.sub(r"\s+", "", part) for part in call.groups()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"oauth2_redirect_url": "/docs/oauth2-redirect"},
        {"init_oauth": {"clientId": "shop", "scopes": ["a", "b"]}},
        {"swagger_ui_parameters": {"syntaxHighlight": False}},
        {"swagger_ui_parameters": {"syntaxHighlight": {"theme": "obsidian"}}},
        {"swagger_ui_parameters": {"deepLinking": False, "url": "/other.json"}},
        {"swagger_ui_parameters": {"custom": "<b>&"}},
    ],
)
def test_swagger_ui_is_told_what_fastapi_tells_it(options):
    given = {"openapi_url": "/openapi.json", "title": "Teas", **options}
    theirs = fastapi.openapi.docs.get_swagger_ui_html(**given)
    assert essence(text_of(theirs)) == essence(text_of(get_swagger_ui_html(**given)))


@pytest.mark.parametrize(
    "name", ["get_swagger_ui_html", "get_redoc_html", "get_swagger_ui_oauth2_redirect_html"]
)
def test_parameters_and_defaults_are_those_of_fastapi(name):
    """All but the icon, which is theirs on their server."""
    ours = inspect.signature(getattr(docs, name)).parameters
    theirs = inspect.signature(getattr(fastapi.openapi.docs, name)).parameters
    assert [(one.name, one.kind) for one in theirs.values()] == [
        (one.name, one.kind) for one in ours.values()
    ]
    for parameter in theirs:
        if not parameter.endswith("favicon_url"):
            assert theirs[parameter].default == ours[parameter].default


def test_the_default_options_are_those_of_fastapi():
    theirs = fastapi.openapi.docs.swagger_ui_default_parameters
    assert theirs == swagger_ui_default_parameters


def test_the_defaults_are_not_changed_by_a_page():
    before = dict(swagger_ui_default_parameters)
    get_swagger_ui_html(openapi_url="/", title="", swagger_ui_parameters={"deepLinking": False})
    assert before == swagger_ui_default_parameters


def test_files_of_ones_own_are_loaded():
    swagger = Elements(
        text_of(
            get_swagger_ui_html(
                openapi_url="/openapi.json",
                title="Teas",
                swagger_js_url="/static/ui.js",
                swagger_css_url="/static/ui.css",
                swagger_favicon_url="/static/icon.png",
            )
        )
    )
    redoc = Elements(
        text_of(
            get_redoc_html(
                openapi_url="/openapi.json",
                title="Teas",
                redoc_js_url="/static/redoc.js",
                redoc_favicon_url="/static/icon.png",
                with_google_fonts=False,
            )
        )
    )
    scalar = Elements(
        text_of(
            get_scalar_html(
                openapi_url="/openapi.json", title="Teas", scalar_js_url="/static/scalar.js"
            )
        )
    )
    assert ["/static/icon.png", "/static/ui.css"] == swagger.values("link", "href")
    assert ["/static/ui.js", None] == swagger.values("script", "src")
    assert ["/static/icon.png"] == redoc.values("link", "href")
    assert ["/static/redoc.js"] == redoc.values("script", "src")
    assert ["/openapi.json"] == redoc.values("redoc", "spec-url")
    assert ["/static/scalar.js", None] == scalar.values("script", "src")


def test_the_icon_is_in_the_page_itself():
    page = Elements(text_of(get_redoc_html(openapi_url="/", title="", with_google_fonts=False)))
    assert page.values("link", "href")[0].startswith("data:image/svg+xml,")


def test_fonts_of_google_are_loaded_unless_told_otherwise():
    page = text_of(get_redoc_html(openapi_url="/", title=""))
    assert "https://fonts.googleapis.com/" in page


def test_scalar_takes_options():
    page = get_scalar_html(
        openapi_url="/openapi.json", title="", scalar_parameters={"theme": "moon"}
    )
    (options,) = re.findall(r"createApiReference\('#scalar', (.*)\)", text_of(page))
    assert {"url": "/openapi.json", "theme": "moon"} == json.loads(options)


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (get_swagger_ui_html, "title"),
        (get_swagger_ui_html, "openapi_url"),
        (get_swagger_ui_html, "swagger_js_url"),
        (get_swagger_ui_html, "swagger_css_url"),
        (get_swagger_ui_html, "swagger_favicon_url"),
        (get_swagger_ui_html, "oauth2_redirect_url"),
        (get_swagger_ui_html, "init_oauth"),
        (get_swagger_ui_html, "swagger_ui_parameters"),
        (get_redoc_html, "title"),
        (get_redoc_html, "openapi_url"),
        (get_redoc_html, "redoc_js_url"),
        (get_redoc_html, "redoc_favicon_url"),
        (get_scalar_html, "title"),
        (get_scalar_html, "openapi_url"),
        (get_scalar_html, "scalar_js_url"),
        (get_scalar_html, "scalar_favicon_url"),
        (get_scalar_html, "scalar_parameters"),
    ],
)
def test_no_text_breaks_out_of_its_place(make, where):
    """A title often comes from a configuration, a root path from a proxy."""
    is_dict = where in ("init_oauth", "swagger_ui_parameters", "scalar_parameters")
    plain = {"openapi_url": "/openapi.json", "title": "Teas"}
    hostile = text_of(make(**{**plain, where: {HOSTILE: HOSTILE} if is_dict else HOSTILE}))
    harmless = text_of(make(**{**plain, where: {"a": "a"} if is_dict else "a"}))
    assert Elements(harmless).tags == Elements(hostile).tags
    assert "\u2028" not in "".join(re.findall(r"<script>(.*?)</script>", hostile, re.DOTALL))


def test_a_hostile_url_is_still_the_same_url():
    """Escaping must not change what is asked for."""
    page = text_of(get_swagger_ui_html(openapi_url="/a'b\"c\\d<e>&f.json", title=""))
    (quoted,) = re.findall(r"^url: '(.*)',$", page, re.MULTILINE)
    assert "/a'b\"c\\d<e>&f.json" == json.loads(f'"{quoted}"')


def test_an_option_that_json_cannot_hold_is_refused():
    with pytest.raises((TypeError, ValueError)):
        get_swagger_ui_html(
            openapi_url="/", title="", swagger_ui_parameters={"onComplete": object()}
        )


def test_the_oauth2_page_reports_to_the_window_that_opened_it():
    page = text_of(get_swagger_ui_oauth2_redirect_html())
    assert "window.opener.swaggerUIRedirectOauth2" in page
    assert ["script"] == [tag for tag in Elements(page).tags if tag == "script"]


def test_pages_are_html_in_utf_8():
    page = get_swagger_ui_html(openapi_url="/", title="Tées")
    assert "text/html; charset=utf-8" == page.headers["content-type"]
    assert "<title>Tées</title>" in text_of(page)
