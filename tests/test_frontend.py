"""Frontends: files below a path where no route is, their fallbacks, and what nobody gets."""

import pytest

from lamella._frontend import Frontends, frontend
from lamella.applications import Starlette
from lamella.exceptions import UsageError
from lamella.responses import PlainTextResponse
from lamella.routing import Mount, Route, Router, WebSocketRoute
from tests.parity.drive import ask, exchange, websocket_scope

PAGE = [("accept", "text/html")]


def write(folder, **files):
    """Write files; "__" in a name stands for "/", and "_" for "."."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder.mkdir(exist_ok=True)
    return folder


async def plain(request):
    return PlainTextResponse("route")


def served(*frontends, routes=()):
    """An application with routes, and frontends where they are not."""
    router = Router(routes=[*routes])
    router.default = found = Frontends(router.default)
    for each in frontends:
        found.add(each)
    return Starlette(routes=[Mount("/", router)])


def app_of(folder, path="/", routes=(), **options):
    return served(frontend(path, directory=folder, **options), routes=routes)


def got(app, path, method="GET", headers=(), **scope):
    reply = ask(app, path, method, headers=headers, **scope)
    assert reply.error is None, reply.error
    return reply.status, reply.text


# -- files -----------------------------------------------------------------------------------------


def test_files_are_served_with_what_static_files_have(tmp_path):
    """Entity tags, conditions, HEAD."""
    app = app_of(write(tmp_path, assets__app_js="let x"))
    reply = ask(app, "/assets/app.js")
    assert (200, "let x") == (reply.status, reply.text)
    etag = reply.headers["etag"]
    assert 304 == ask(app, "/assets/app.js", headers=[("if-none-match", etag)]).status
    head = ask(app, "/assets/app.js", "HEAD")
    assert (200, "5") == (head.status, head.headers["content-length"])


def test_a_directory_is_its_index_below_a_slash(tmp_path):
    """So that relative links in it work."""
    app = app_of(write(tmp_path, index_html="home", about__index_html="about"))
    assert (200, "home") == got(app, "/")
    assert (200, "about") == got(app, "/about/")
    redirect = ask(app, "/about", query=b"a=b")
    assert (307, "/about/?a=b") == (redirect.status, redirect.headers["location"])


def test_a_frontend_below_a_path_has_that_path_too(tmp_path):
    """At a boundary of segments."""
    app = app_of(write(tmp_path, index_html="home", x_txt="x"), "/app/")
    assert (200, "home") == got(app, "/app/")
    assert "/app/" == ask(app, "/app").headers["location"]
    assert (200, "x") == got(app, "/app/x.txt")
    assert (404, "Not Found") == got(app, "/application", headers=PAGE)
    assert (404, "Not Found") == got(app, "/", headers=PAGE)


def test_a_root_path_is_not_looked_up(tmp_path):
    app = app_of(write(tmp_path, x_txt="x"), "/app")
    assert (200, "x") == got(app, "/proxy/app/x.txt", root_path="/proxy")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed_for_files_and_else_not_found(tmp_path, method):
    """A fallback is no resource."""
    app = app_of(write(tmp_path, index_html="home", x_txt="x"), fallback="index.html")
    for path in ("/", "/x.txt"):
        reply = ask(app, path, method)
        assert (405, "GET, HEAD") == (reply.status, reply.headers["allow"])
    assert 404 == got(app, "/client/route", method, headers=PAGE)[0]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/a/../../secret.txt",
        "/..\\secret.txt",
        "//secret.txt",
        "/./x.txt",
        "/x.txt/",
        "/x.txt\0",
        "/" + 300 * "x",
    ],
)
def test_nothing_outside_and_nothing_by_another_url(tmp_path, path):
    """What leads nowhere gets the fallback, as anything else that is missing."""
    write(tmp_path, secret_txt="secret")
    dist = write(tmp_path / "dist", x_txt="x", index_html="shell")
    app = app_of(dist)
    assert 404 == got(app, path)[0]
    assert (200, "shell") == got(app, path, headers=PAGE)


def test_a_link_that_leads_out_is_not_followed(tmp_path):
    write(tmp_path, secret_txt="secret")
    dist = write(tmp_path / "dist")
    (dist / "link.txt").symlink_to(tmp_path / "secret.txt")
    assert 404 == got(app_of(dist), "/link.txt")[0]


# -- fallbacks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/html", 200),
        ("application/xhtml+xml", 200),
        ("image/png, TEXT/HTML ; q=0.8", 200),
        ("text/html; charset=utf-8; q=0.8", 200),
        ("text/html; q=wat", 200),
        ("text/html;q=", 200),
        ("text/html; q=0", 404),
        ("text/html; q=0.000, */*", 404),
        ("application/xhtml+xml; Q=0., */*; q=1", 404),
        ("*/*", 404),
        ("application/json", 404),
        ("", 404),
        (";;,,", 404),
    ],
)
def test_the_index_stands_for_pages_alone(tmp_path, accept, status):
    """A script or an image that is missing must not be a page."""
    app = app_of(write(tmp_path, index_html="shell"), fallback="index.html")
    expected = (200, "shell") if status == 200 else (404, "Not Found")
    assert expected == got(app, "/users/jane.doe", headers=[("accept", accept)])


def test_the_index_is_sent_for_head_too(tmp_path):
    app = app_of(write(tmp_path, index_html="shell"), fallback="index.html")
    reply = ask(app, "/none", "HEAD", headers=PAGE)
    assert (200, "5", b"") == (reply.status, reply.headers["content-length"], reply.body)


def test_the_page_of_404_stands_for_everything(tmp_path):
    app = app_of(write(tmp_path, **{"404_html": "missing"}), fallback="404.html")
    assert (404, "missing") == got(app, "/assets/none.js")


def test_auto_takes_404_then_the_index_then_neither(tmp_path):
    app = app_of(write(tmp_path))
    assert (404, "Not Found") == got(app, "/none", headers=PAGE)
    write(tmp_path, index_html="shell")
    assert (200, "shell") == got(app, "/none", headers=PAGE)
    assert (404, "Not Found") == got(app, "/none")
    write(tmp_path, **{"404_html": "missing"})
    assert (404, "missing") == got(app, "/none", headers=PAGE)


def test_no_fallback_is_a_plain_404(tmp_path):
    files = {"404_html": "missing", "index_html": "shell"}
    app = app_of(write(tmp_path, **files), fallback=None)
    assert (404, "Not Found") == got(app, "/none", headers=PAGE)


# -- beside routes ---------------------------------------------------------------------------------


def test_routes_come_first_and_their_redirects_too(tmp_path):
    """Also with another method: that is the route's to refuse."""
    dist = write(tmp_path, api="file", dir__index_html="file")
    app = app_of(dist, routes=[Route("/api", plain), Route("/dir/", plain)])
    assert (200, "route") == got(app, "/api")
    assert 405 == ask(app, "/api", "POST").status
    assert (200, "route") == got(app, "/dir/")
    assert (307, "/dir/") == (
        ask(app, "/dir").status,
        ask(app, "/dir").headers["location"],
    )


def test_the_frontend_with_the_longest_path_serves(tmp_path):
    """Whatever it has, and of equal ones the first."""
    site = write(tmp_path / "site", index_html="site", admin__x_txt="site's")
    admin = write(tmp_path / "admin", index_html="admin")
    app = served(
        frontend("/", directory=site),
        frontend("/admin", directory=admin),
        frontend("/admin", directory=site),
    )
    assert (200, "admin") == got(app, "/admin/none", headers=PAGE)
    assert 404 == got(app, "/admin/x.txt")[0]
    assert (200, "site") == got(app, "/none", headers=PAGE)


def test_a_frontend_can_be_put_below_another_path(tmp_path):
    """As that of a router which is included with a prefix."""
    inner = frontend("/ui", directory=write(tmp_path, index_html="ui"))
    outer = inner.below("/parent").below("/prefix")
    assert ("/prefix/parent/ui", "/ui") == (outer.path, inner.path)
    assert "/prefix/parent/ui/{path}" == outer.path_format
    assert (200, "ui") == got(served(outer), "/prefix/parent/ui/")
    found = Frontends(PlainTextResponse())
    found.add(outer)
    assert [outer] == list(found)


def test_something_may_answer_in_a_frontends_stead(tmp_path):
    """It may run dependencies first."""
    inner = frontend("/", directory=write(tmp_path, x_txt="x"))
    seen = []

    async def guarded(request):
        seen.append(request.url.path)
        return await inner.respond(request)

    router = Router()
    router.default = found = Frontends(router.default)
    found.add(inner, guarded)
    assert (200, "x") == got(Starlette(routes=[Mount("/", router)]), "/x.txt")
    assert ["/x.txt"] == seen


@pytest.mark.anyio
async def test_websockets_are_not_a_frontends(tmp_path):
    async def endpoint(websocket):
        await websocket.accept()

    app = app_of(write(tmp_path, index_html="x"), routes=[WebSocketRoute("/ws", endpoint)])
    reply = await exchange(app, websocket_scope("/ws"), [{"type": "websocket.connect"}])
    assert ["websocket.accept"] == [message["type"] for message in reply.messages]
    reply = await exchange(app, websocket_scope("/none"), [{"type": "websocket.connect"}])
    assert ["websocket.close"] == [message["type"] for message in reply.messages]


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "app"])
def test_a_path_has_to_start_with_a_slash(tmp_path, path):
    with pytest.raises(UsageError, match="start with '/'"):
        frontend(path, directory=tmp_path)


def test_an_unknown_fallback_is_refused(tmp_path):
    with pytest.raises(AssertionError, match=r"fallback.*'other'"):
        frontend("/", directory=tmp_path, fallback="other")


@pytest.mark.parametrize("check_dir", [True, "auto"])
def test_a_missing_directory_is_refused_when_it_is_declared(tmp_path, monkeypatch, check_dir):
    """With the place that was looked at: a relative path counts from the working directory."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match="does not exist") as caught:
        frontend("/", directory="missing", check_dir=check_dir)
    assert "'missing'" in str(caught.value)
    assert str(tmp_path / "missing") in str(caught.value)


def test_in_development_a_missing_directory_is_warned_of(tmp_path, monkeypatch):
    """The frontend may be built later; unless the program insists."""
    monkeypatch.setenv("LAMELLA_ENV", "development")
    with pytest.warns(UserWarning, match="does not exist") as warned:
        frontend("/", directory=tmp_path / "missing")
    assert __file__ == warned[0].filename
    frontend("/", directory=write(tmp_path / "there"), fallback="index.html")
    with pytest.raises(RuntimeError, match="does not exist"):
        frontend("/", directory=tmp_path / "missing", check_dir=True)


def test_without_a_check_a_missing_directory_is_an_error_of_the_request(tmp_path):
    """And none any more when it is there."""
    app = app_of(tmp_path / "dist", check_dir=False)
    reply = ask(app, "/x.txt")
    assert 500 == reply.status
    assert "does not exist" in str(reply.error)
    write(tmp_path / "dist", x_txt="x")
    assert (200, "x") == got(app, "/x.txt")


@pytest.mark.parametrize("fallback", ["index.html", "404.html"])
def test_a_missing_fallback_is_refused_if_it_is_named(tmp_path, monkeypatch, fallback):
    monkeypatch.chdir(write(tmp_path).parent)
    with pytest.raises(RuntimeError, match=fallback) as caught:
        frontend("/", directory=tmp_path.name, fallback=fallback)
    assert f"directory '{tmp_path.name}'" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    app = app_of(tmp_path, fallback=fallback, check_dir=False)
    assert fallback in str(ask(app, "/none", headers=PAGE).error)
