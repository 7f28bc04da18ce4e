"""``Jinja2Templates``: pages, what is escaped in them, and what a test client is told."""

import importlib
import subprocess
import sys

import jinja2
import pytest

from lamella import templating
from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.engine.edge import serve
from lamella.exceptions import UsageError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.requests import Request
from lamella.responses import HTMLResponse, PlainTextResponse
from lamella.routing import Mount, Route
from lamella.templating import Jinja2Templates
from lamella.testclient import TestClient
from tests.parity.drive import answer, http_scope

DEBUG = {"http.response.debug": {}}
EVIL = "<script>&'\""


@pytest.fixture
def folder(tmp_path):
    """A directory with templates."""
    for name, text in {
        "page.html": "<p>{{ name }}</p>",
        "link.html": "{{ url_for('home') }} {{ url_for('user', name='ann') }}",
        "base.html": "<b>{% block body %}{% endblock %}</b>",
        "child.html": "{% extends 'base.html' %}{% block body %}{{ name }}{% endblock %}",
        "sub/inner.html": "inner {{ name }}",
        "who.html": "{{ request.url.path }} {{ user }}",
        "broken.html": "{% if %}",
    }.items():
        path = tmp_path / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "templates"


@pytest.fixture
def templates(folder):
    """The templates of that directory."""
    return Jinja2Templates(directory=folder)


def request_for(path="/"):
    """A request made by hand."""
    return Request(http_scope(path))


def app_of(endpoint, *layers):
    """An application whose one page an endpoint gives."""

    async def user(request):
        raise NotImplementedError

    routes = [Route("/", endpoint, name="home"), Route("/users/{name}", user, name="user")]
    return Lamella(routes=routes, middleware=[Middleware(layer) for layer in layers])


def page(templates, name="page.html", context=None, **options):
    """An endpoint that renders a template."""

    async def endpoint(request):
        return templates.TemplateResponse(request, name, context, **options)

    return endpoint


class Passes(BaseHTTPMiddleware):
    """A layer that lets everything through and says that it saw it."""

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-seen"] = response.body.decode()
        return response


class Pure:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


# --- pages


def test_page_is_rendered(templates):
    reply = answer(app_of(page(templates, context={"name": "Ann"})), "/")
    assert (200, "<p>Ann</p>") == (reply.status, reply.text)
    assert "text/html; charset=utf-8" == reply.headers["content-type"]


def test_arguments_of_a_response_are_taken(templates):
    ran = []
    endpoint = page(
        templates,
        status_code=418,
        headers={"x-one": "1"},
        media_type="application/xhtml+xml",
        background=BackgroundTask(ran.append, "after"),
    )
    reply = answer(app_of(endpoint), "/")
    assert (418, "1") == (reply.status, reply.headers["x-one"])
    assert "application/xhtml+xml" == reply.headers["content-type"]
    assert ["after"] == ran


@pytest.mark.parametrize(
    ("name", "text"), [("child.html", "<b>Ann</b>"), ("sub/inner.html", "inner Ann")]
)
def test_templates_extend_and_lie_in_folders(templates, name, text):
    assert text == answer(app_of(page(templates, name, {"name": "Ann"})), "/").text


def test_request_is_in_the_context(templates):
    reply = answer(app_of(page(templates, "who.html", {"user": "Ann"})), "/")
    assert "/ Ann" == reply.text


def test_urls_of_routes_are_built(templates):
    reply = answer(app_of(page(templates, "link.html")), "/")
    assert "http://testserver/ http://testserver/users/ann" == reply.text


def test_urls_are_built_below_a_mount_and_a_root_path(templates):
    """A name is looked up in the outermost application."""
    inner = Route("/", page(templates, "link.html"), name="inner")
    app = app_of(page(templates))
    app.routes.append(Mount("/sub", routes=[inner]))
    reply = answer(app, "/api/sub/", root_path="/api")
    assert "http://testserver/api/ http://testserver/api/users/ann" == reply.text


def test_several_directories_are_looked_through_in_order(folder, tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "page.html").write_text("first {{ name }}")
    templates = Jinja2Templates(directory=[str(tmp_path / "first"), folder])
    assert "first Ann" == answer(app_of(page(templates, context={"name": "Ann"})), "/").text
    assert "<b></b>" == answer(app_of(page(templates, "child.html")), "/").text


def test_environment_of_ones_own_is_used_as_it_is(folder):
    env = jinja2.Environment(loader=jinja2.FileSystemLoader(folder))
    templates = Jinja2Templates(env=env)
    assert env is templates.env
    assert f"<p>{EVIL}</p>" == templates.get_template("page.html").render(name=EVIL)
    assert "http://testserver/ " in answer(app_of(page(templates, "link.html")), "/").text


def test_url_for_of_ones_own_is_kept(folder):
    env = jinja2.Environment(loader=jinja2.DictLoader({"a": "{{ url_for('x') }}"}))
    env.globals["url_for"] = str.upper
    templates = Jinja2Templates(env=env)
    assert "X" == templates.get_template("a").render()


def test_filters_are_added_to_the_environment(folder):
    (folder / "loud.html").write_text("{{ name | loud }}")
    templates = Jinja2Templates(directory=folder)
    templates.env.filters["loud"] = str.upper
    assert "ANN" == answer(app_of(page(templates, "loud.html", {"name": "ann"})), "/").text


def test_a_subclass_may_render_otherwise(folder):
    """``get_template`` is what TemplateResponse asks."""

    class Themed(Jinja2Templates):
        def get_template(self, name):
            return super().get_template(f"sub/{name}")

    templates = Themed(directory=folder)
    assert "inner Ann" == answer(app_of(page(templates, "inner.html", {"name": "Ann"})), "/").text


# --- what is escaped


@pytest.mark.parametrize(
    "name",
    ["a.html", "a.HTM", "a.xhtml", "a.xml", "a.svg", "a", "a.html.j2", "a.jinja", "a.xml.jinja2"],
)
def test_what_is_put_into_markup_is_escaped(folder, name):
    (folder / name).write_text("{{ name }}")
    rendered = Jinja2Templates(folder).get_template(name).render(name=EVIL)
    assert "&lt;script&gt;&amp;&#39;&#34;" == rendered


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.js", "a.md", "a.txt.j2", "a.css.jinja"])
def test_what_is_put_into_plain_text_is_not_escaped(folder, name):
    (folder / name).write_text("{{ name }}")
    assert EVIL == Jinja2Templates(folder).get_template(name).render(name=EVIL)


def test_text_without_a_name_is_escaped(templates):
    assert "&lt;" == templates.env.from_string("{{ x }}").render(x="<")


# --- the context


def test_context_given_is_not_changed(templates):
    """Else a dict shared by two requests would keep the first request for the second."""
    shared = {"user": "Ann"}
    first = templates.TemplateResponse(request_for("/1"), "who.html", shared)
    second = templates.TemplateResponse(request_for("/2"), "who.html", shared)
    assert {"user": "Ann"} == shared
    assert [b"/1 Ann", b"/2 Ann"] == [first.body, second.body]


def test_request_in_the_context_wins(templates):
    """As in Starlette: what is given is kept."""
    given = {"request": request_for("/given")}
    response = templates.TemplateResponse(request_for("/"), "who.html", given)
    assert response.body.startswith(b"/given")


def test_context_processors_add_to_every_context(folder):
    def user(request):
        return {"user": request.url.path}

    templates = Jinja2Templates(folder, context_processors=[user, lambda request: {"name": 1}])
    response = templates.TemplateResponse(request_for("/x"), "who.html", {"user": "given"})
    assert b"/x /x" == response.body
    assert {"request", "user", "name"} == response.context.keys()


def test_list_of_context_processors_is_kept(folder):
    """Instrumentation appends to it."""
    processors = [lambda request: {"user": "first"}]
    templates = Jinja2Templates(folder, context_processors=processors)
    assert processors is templates.context_processors
    templates.context_processors.append(lambda request: {"user": "added"})
    assert b"/ added" == templates.TemplateResponse(request_for(), "who.html").body


def test_init_may_be_replaced(folder, monkeypatch):
    """As instrumentation does it, on the class."""
    really = Jinja2Templates.__init__

    def instrumented(self, *args, **kwargs):
        kwargs.setdefault("context_processors", []).append(lambda request: {"user": "traced"})
        really(self, *args, **kwargs)

    monkeypatch.setattr(Jinja2Templates, "__init__", instrumented)
    templates = Jinja2Templates(directory=folder)
    assert b"/ traced" == templates.TemplateResponse(request_for(), "who.html").body


# --- what a test client is told


@pytest.mark.parametrize(
    "layers", [(), (Passes,), (Passes, Passes), (Pure,), (Passes, Pure), (Pure, Passes)]
)
def test_test_client_is_told_template_and_context(templates, layers):
    """Under any layers; the message comes before the response."""
    app = app_of(page(templates, context={"name": "Ann"}), *layers)
    response = TestClient(app).get("/")
    assert "<p>Ann</p>" == response.text
    assert "page.html" == response.template.name
    assert {"request", "name"} == response.context.keys()
    assert (response.headers.get("x-seen") == "<p>Ann</p>") == (Passes in layers)


def test_message_is_sent_only_where_it_is_offered(templates):
    app = app_of(page(templates), Passes)
    kinds = [message["type"] for message in answer(app, "/").messages]
    assert ["http.response.start", "http.response.body"] == kinds
    kinds = [message["type"] for message in answer(app, "/", extensions=DEBUG).messages]
    assert ["http.response.debug", "http.response.start", "http.response.body"] == kinds


def test_page_is_a_value_for_layers(templates):
    """A layer may change it, and see what it was made of."""

    class Changes(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            response = await call_next(request)
            assert isinstance(response, HTMLResponse)
            seen.append((response.template.name, response.context["name"]))
            response.status_code = 203
            response.headers["x-template"] = response.template.name
            return response

    seen = []
    reply = answer(app_of(page(templates, context={"name": "Ann"}), Changes), "/")
    assert (203, "page.html", "<p>Ann</p>") == (
        reply.status,
        reply.headers["x-template"],
        reply.text,
    )
    assert [("page.html", "Ann")] == seen


def test_layer_that_answers_otherwise_sends_no_message(templates):
    """What was rendered does not go out."""

    class Replaces(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            await call_next(request)
            return PlainTextResponse("other")

    reply = answer(app_of(page(templates), Replaces), "/", extensions=DEBUG)
    assert ["http.response.start", "http.response.body"] == [m["type"] for m in reply.messages]


def test_page_is_an_asgi_app(templates):
    """It sends itself when it is called as one."""

    async def app(scope, receive, send):
        response = templates.TemplateResponse(Request(scope), "page.html", {"name": "Ann"})
        await response(scope, receive, send)

    reply = answer(app, "/", extensions=DEBUG)
    assert "<p>Ann</p>" == reply.text
    assert "http.response.debug" == reply.messages[0]["type"]


def test_page_is_served_by_any_service(templates):
    """Without an application around it, and with no extensions at all."""

    async def respond(request):
        return templates.TemplateResponse(request, "page.html", {"name": "Ann"})

    async def app(scope, receive, send):
        await serve(respond, {**scope, "extensions": None}, receive, send)

    assert "<p>Ann</p>" == answer(app, "/").text


# --- mistakes


@pytest.mark.parametrize(
    "arguments", [{}, {"directory": "x", "env": jinja2.Environment()}, {"directory": []}]
)
def test_one_of_directory_and_environment_is_needed(arguments):
    text = "either 'directory' or 'env' arguments must be passed"
    with pytest.raises(UsageError, match=text):
        Jinja2Templates(**arguments)


def test_async_context_processor_is_told_when_it_is_declared(folder):
    async def user(request):
        raise NotImplementedError

    with pytest.raises(UsageError, match="context processor that is not async, got.*user"):
        Jinja2Templates(folder, context_processors=[user])


def test_arguments_in_the_old_order_are_told(templates):
    """The name first, and the request in the context: Starlette before 0.29."""
    with pytest.raises(UsageError, match="write TemplateResponse\\(request, 'page.html', context"):
        templates.TemplateResponse("page.html", {"request": request_for()})


def test_url_without_a_request_is_told(templates):
    with pytest.raises(UsageError, match="Expected `request` in the context of 'link.html'"):
        templates.get_template("link.html").render()


def test_missing_template_is_named(templates):
    with pytest.raises(jinja2.TemplateNotFound, match="none.html"):
        templates.TemplateResponse(request_for(), "none.html")


def test_broken_template_names_its_line(templates):
    with pytest.raises(jinja2.TemplateSyntaxError) as caught:
        templates.get_template("broken.html")
    assert ("broken.html", 1) == (caught.value.name, caught.value.lineno)


def test_without_jinja2_the_import_says_what_to_install():
    """In one line that can be copied."""
    code = "import sys; sys.modules['jinja2'] = None; import lamella.templating"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: lamella.templating needs jinja2")
    assert 'pip install "lamella[templates]"' in last


def test_error_inside_jinja2_is_not_hidden(monkeypatch):
    """It is installed, but something that it needs is not."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "jinja2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "markupsafe", None)
    with pytest.raises(ModuleNotFoundError, match="markupsafe"):
        importlib.reload(templating)
