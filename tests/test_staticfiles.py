"""``StaticFiles``: which file answers, how, and what a subclass may change."""

import asyncio
import mimetypes
import os
import threading

import pytest

from lamella.applications import Lamella
from lamella.engine.service import service_of
from lamella.exceptions import HTTPException, NoResponseError, UsageError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import FileResponse, PlainTextResponse, Response
from lamella.routing import Mount, Route
from lamella.staticfiles import NotModifiedResponse, StaticFiles
from tests.parity.drive import answer, ask, exchange, http_scope, lifetime, request, websocket_scope

MTIME_NS = 1_795_000_000_250_000_000
OLD = "Thu, 01 Jan 2026 00:00:00 GMT"
LATER = "Thu, 01 Jan 2037 00:00:00 GMT"


@pytest.fixture
def root(tmp_path):
    """A directory with a text, a page, and folders with and without an index."""
    root = tmp_path / "files"
    files = {
        "a.txt": "alpha",
        "page.html": "<p>",
        "empty.bin": "",
        "dir/index.html": "<index>",
        "dir/b.css": "b{}",
        "bare/c.txt": "c",
        "ä ö.txt": "umlauts",
        "archive.tar.gz": "zip",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return root


def mounted(app, **options):
    """An application with static files below ``/static``."""
    return Lamella(routes=[Mount("/static", app, name="static")], **options)


def files(root, **options):
    """An application with the files of a directory below ``/static``."""
    return mounted(StaticFiles(directory=root, **options))


def header(**headers):
    """Request headers as a scope has them."""
    return {"headers": [(name.replace("_", "-"), value) for name, value in headers.items()]}


class Passes(BaseHTTPMiddleware):
    """A layer that lets everything through and says that it saw it."""

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-seen"] = f"{type(response).__name__} {response.status_code}"
        return response


# --- what is served


def test_file_is_served_with_its_facts(root):
    reply = answer(files(root), "/static/a.txt")
    assert (200, b"alpha") == (reply.status, reply.body)
    assert "text/plain; charset=utf-8" == reply.headers["content-type"]
    assert "5" == reply.headers["content-length"]
    assert "bytes" == reply.headers["accept-ranges"]
    assert {"etag", "last-modified"} <= reply.headers.keys()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("dir/b.css", b"b{}"),
        ("ä ö.txt", b"umlauts"),
        ("empty.bin", b""),
        ("archive.tar.gz", b"zip"),
        ("dir/index.html", b"<index>"),
    ],
)
def test_files_below_and_of_any_name_are_served(root, path, body):
    reply = answer(files(root), f"/static/{path}")
    assert (200, body) == (reply.status, reply.body)


def test_head_gives_the_headers_alone(root):
    """And does not read the file."""
    reply = answer(files(root), "/static/a.txt", "HEAD")
    assert (200, b"", "5") == (reply.status, reply.body, reply.headers["content-length"])


@pytest.mark.parametrize("path", ["none.txt", "a.txt/b", "dir", "dir/", "bare/", "", "none/"])
def test_what_is_no_file_is_404(root, path):
    reply = answer(files(root), f"/static/{path}")
    assert (404, "Not Found") == (reply.status, reply.text)


@pytest.mark.parametrize("path", ["a.txt", "none.txt", "dir/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "get"])
def test_other_methods_are_405(root, path, method):
    """ASGI's methods are in upper case; RFC 9110 section 15.5.6 wants ``Allow``."""
    reply = answer(files(root), f"/static/{path}", method)
    assert (405, "GET, HEAD") == (reply.status, reply.headers["allow"])


def test_it_is_an_app_of_its_own(root):
    """Without a mount, and without an application to answer its errors."""
    app = StaticFiles(directory=root)
    assert b"alpha" == answer(app, "/a.txt").body
    error = ask(app, "/none").error
    assert (HTTPException, 404) == (type(error), error.status_code)


def test_it_is_served_below_a_root_path(root):
    """Which a proxy has stripped, and the server put back."""
    reply = answer(files(root), "/api/static/a.txt", root_path="/api")
    assert b"alpha" == reply.body


def test_websocket_is_closed(root):
    reply = asyncio.run(exchange(files(root), websocket_scope("/static/a.txt")))
    assert [{"type": "websocket.close", "code": 1000, "reason": ""}] == reply.messages


def test_lifespan_is_refused(root):
    """As by every app that has none."""
    reply = lifetime(StaticFiles(directory=root))
    assert TypeError is type(reply.error)
    assert "StaticFiles" in str(reply.error)


def test_url_of_a_file_is_built_by_name(root):
    path = files(root).url_path_for("static", path="/dir/b.css")
    assert "/static/dir/b.css" == path


@pytest.mark.anyio
async def test_files_are_served_on_every_event_loop(root):
    """The work on the disk is done in threads of the loop's own."""
    (root / "long.bin").write_bytes(b"x" * 200_000)
    app = files(root, html=True)
    assert b"alpha" == (await request(app, "/static/a.txt")).body
    assert b"x" * 200_000 == (await request(app, "/static/long.bin")).body
    assert 404 == (await request(app, "/static/none")).status


# --- conditions and ranges


def test_copy_that_is_good_is_304(root):
    app = files(root)
    first = answer(app, "/static/a.txt")
    etag, date = first.headers["etag"], first.headers["last-modified"]
    for condition in (
        {"if_none_match": etag},
        {"if_none_match": f'"x", W/{etag}'},
        {"if_none_match": "*"},
        {"if_modified_since": date},
        {"if_modified_since": LATER},
        {"if_none_match": etag, "if_modified_since": OLD},
    ):
        for method in ("GET", "HEAD"):
            reply = answer(app, "/static/a.txt", method, **header(**condition))
            assert (304, b"", etag) == (reply.status, reply.body, reply.headers["etag"])
            assert "content-length" not in reply.headers


@pytest.mark.parametrize(
    "condition",
    [
        {"if_none_match": '"other"'},
        {"if_none_match": '"other"', "if_modified_since": LATER},
        {"if_modified_since": OLD},
        {"if_modified_since": "yesterday"},
    ],
)
def test_copy_that_is_old_is_replaced(root, condition):
    reply = answer(files(root), "/static/a.txt", **header(**condition))
    assert (200, b"alpha") == (reply.status, reply.body)


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=1-3", 206, b"lph"),
        ("bytes=-2", 206, b"ha"),
        ("bytes=9-", 416, b""),
        ("lines=1-", 400, b"Only support bytes range"),
    ],
)
def test_range_is_answered(root, wanted, status, body):
    reply = answer(files(root), "/static/a.txt", **header(range=wanted))
    assert (status, body) == (reply.status, reply.body)


def test_304_comes_before_a_range(root):
    """RFC 9110 section 13.2.2."""
    reply = answer(files(root), "/static/a.txt", **header(range="bytes=0-1", if_none_match="*"))
    assert 304 == reply.status


def test_file_that_changed_has_another_tag(root):
    app = files(root)
    before = answer(app, "/static/a.txt").headers["etag"]
    (root / "a.txt").write_text("alphabet")
    reply = answer(app, "/static/a.txt", **header(if_none_match=before))
    assert (200, b"alphabet") == (reply.status, reply.body)


def test_server_may_send_the_file_itself(root):
    """By the extension for it; the path is absolute."""
    app = files(root)
    reply = answer(app, "/static/a.txt", extensions={"http.response.pathsend": {}})
    sent = {"type": "http.response.pathsend", "path": os.path.realpath(root / "a.txt")}
    assert [sent] == reply.messages[1:]


# --- html


@pytest.fixture
def site(root):
    """The directory with a page for what is missing."""
    (root / "404.html").write_text("<missing>")
    return root


def test_directory_is_answered_with_its_index(site):
    reply = answer(files(site, html=True), "/static/dir/")
    assert (200, b"<index>") == (reply.status, reply.body)
    assert reply.headers["content-type"].startswith("text/html")


def test_root_is_answered_with_its_index(site):
    (site / "index.html").write_text("<home>")
    app = files(site, html=True)
    assert b"<home>" == answer(app, "/static/").body
    assert b"<home>" == answer(StaticFiles(directory=site, html=True), "/").body


def test_directory_without_a_slash_is_redirected(site):
    """So that links in the page that are relative lead to where they should."""
    reply = answer(files(site, html=True), "/static/dir")
    assert (307, "/static/dir/") == (reply.status, reply.headers["location"])


def test_redirect_keeps_query_and_root_path(site):
    app = files(site, html=True)
    reply = answer(app, "/api/static/dir", root_path="/api", query=b"a=%20b&c")
    assert "/api/static/dir/?a=%20b&c" == reply.headers["location"]


def test_directory_without_an_index_is_missing(site):
    for path in ("bare", "bare/"):
        reply = answer(files(site, html=True), f"/static/{path}")
        assert (404, b"<missing>") == (reply.status, reply.body)


def test_missing_file_is_answered_with_the_page_for_it(site):
    app = files(site, html=True)
    for path in ("none", "a.txt/b", "none/", "x" * 300, "\x00"):
        reply = answer(app, f"/static/{path}")
        assert (404, b"<missing>") == (reply.status, reply.body)
        assert reply.headers["content-type"].startswith("text/html")


def test_page_for_what_is_missing_has_no_conditions(site):
    """RFC 9110 section 13.2.1: they count where the answer would be a 2xx."""
    app = files(site, html=True)
    reply = answer(app, "/static/none", **header(if_none_match="*", range="bytes=0-1"))
    assert (404, b"<missing>") == (reply.status, reply.body)


def test_without_such_a_page_it_is_a_plain_404(root):
    assert "Not Found" == answer(files(root, html=True), "/static/none").text


def test_index_and_page_do_not_count_outside_of_html(site):
    (site / "index.html").write_text("<home>")
    for path in ("", "dir/", "dir", "none"):
        assert "Not Found" == answer(files(site), f"/static/{path}").text


def test_index_that_is_a_directory_is_none(site):
    (site / "odd" / "index.html").mkdir(parents=True)
    for path in ("odd", "odd/"):
        assert 404 == answer(files(site, html=True), f"/static/{path}").status


# --- where the files are


def test_several_directories_are_looked_through_in_order(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("second")
    (other / "only.txt").write_text("only here")
    app = files([root, str(other)])
    assert b"alpha" == answer(app, "/static/a.txt").body
    assert b"only here" == answer(app, "/static/only.txt").body
    assert 404 == answer(app, "/static/none").status


def test_index_may_be_in_a_later_directory(root, tmp_path):
    late = tmp_path / "late" / "bare"
    late.mkdir(parents=True)
    (late / "index.html").write_text("<late>")
    app = files([root, tmp_path / "late"], html=True)
    assert b"<late>" == answer(app, "/static/bare/").body


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that brings files, in two folders."""
    for name, text in {
        "__init__.py": "",
        "statics/p.txt": "from statics",
        "assets/p.txt": "from assets",
        "single.py": "",
    }.items():
        path = tmp_path / "site" / "lamella_test_package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return "lamella_test_package"


def test_package_brings_files(package):
    assert b"from statics" == answer(StaticFiles(packages=[package]), "/p.txt").body
    app = StaticFiles(packages=[(package, "assets")])
    assert b"from assets" == answer(app, "/p.txt").body


def test_directory_comes_before_packages(root, package):
    (root / "p.txt").write_text("from directory")
    app = StaticFiles(directory=root, packages=[package])
    assert b"from directory" == answer(app, "/p.txt").body
    assert root == app.all_directories[0]


@pytest.mark.parametrize(
    "wrong",
    ["lamella_no_such_package", "lamella_no_such_package.inner", ("lamella_test_package", "none")],
)
def test_package_that_is_not_there_is_told(package, wrong):
    with pytest.raises(UsageError, match="could not be found") as caught:
        StaticFiles(packages=[wrong])
    assert (wrong if isinstance(wrong, str) else wrong[1]) in str(caught.value)


def test_package_without_a_place_is_told(tmp_path, monkeypatch):
    """A namespace package lies in several."""
    (tmp_path / "lamella_test_namespace").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="lamella_test_namespace.*could not be found"):
        StaticFiles(packages=["lamella_test_namespace"])


def test_missing_directory_is_told_when_it_is_declared(root):
    for wrong in (root / "none", root / "a.txt", [root, root / "none"]):
        with pytest.raises(RuntimeError, match="does not exist"):
            StaticFiles(directory=wrong)


def test_missing_directory_is_told_at_the_first_request(root):
    """With ``check_dir=False`` it may be made later; until then a 404 would hide it."""
    app = StaticFiles(directory=root / "late", check_dir=False)
    error = ask(app, "/a.txt").error
    assert RuntimeError is type(error)
    assert f"'{root / 'late'}' does not exist" in str(error)
    assert not app.config_checked
    (root / "late").mkdir()
    assert 404 == ask(app, "/a.txt").error.status_code
    assert app.config_checked


def test_file_in_place_of_a_directory_is_told(root):
    app = StaticFiles(directory=root / "a.txt", check_dir=False)
    assert "is not a directory" in str(ask(app, "/x").error)


def test_without_any_directory_nothing_is_found():
    """A subclass may find its files elsewhere."""
    app = StaticFiles()
    assert 404 == ask(app, "/a.txt").error.status_code
    assert [] == app.all_directories


# --- links


def test_link_inside_is_followed(root):
    (root / "link.txt").symlink_to(root / "a.txt")
    assert b"alpha" == answer(files(root), "/static/link.txt").body


@pytest.fixture
def outside(tmp_path):
    """A directory beside, with a file."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o.txt").write_text("outside")
    return outside


def test_link_that_leads_out_is_followed_if_wanted(root, outside):
    (root / "file").symlink_to(outside / "o.txt")
    (root / "folder").symlink_to(outside)
    for path in ("file", "folder/o.txt"):
        assert b"outside" == answer(files(root, follow_symlink=True), f"/static/{path}").body
        assert 404 == answer(files(root), f"/static/{path}").status


def test_directory_may_itself_be_a_link(root, tmp_path):
    """As a deployment's ``current`` is, which may be moved at any time."""
    (tmp_path / "current").symlink_to(root)
    for follow in (False, True):
        app = files(tmp_path / "current", follow_symlink=follow)
        assert b"alpha" == answer(app, "/static/a.txt").body


# --- under layers


def test_layers_see_the_file_response(root):
    """Settled: with the status that goes out."""
    app = Lamella(
        routes=[Mount("/static", StaticFiles(directory=root))], middleware=[Middleware(Passes)]
    )
    reply = answer(app, "/static/a.txt")
    assert ("FileResponse 200", b"alpha") == (reply.headers["x-seen"], reply.body)
    reply = answer(app, "/static/a.txt", **header(range="bytes=0-1"))
    assert ("FileResponse 206", b"al") == (reply.headers["x-seen"], reply.body)
    reply = answer(app, "/static/a.txt", **header(if_none_match="*"))
    assert "NotModifiedResponse 304" == reply.headers["x-seen"]
    assert "PlainTextResponse 404" == answer(app, "/static/none").headers["x-seen"]


def test_link_to_it_is_native(root):
    """A layer around it is a plain await."""
    app = Passes(StaticFiles(directory=root))
    assert service_of(app.app) is not None
    assert "FileResponse 200" == answer(app, "/a.txt").headers["x-seen"]


# --- subclasses


def test_subclass_with_its_own_call_runs_it(root):
    """Below a layer too."""

    class Counts(StaticFiles):
        called = 0

        async def __call__(self, scope, receive, send):
            self.called += 1
            await super().__call__(scope, receive, send)

    app = Counts(directory=root)
    assert service_of(app) is None
    assert b"alpha" == answer(Passes(app), "/a.txt").body
    assert b"alpha" == answer(app, "/a.txt").body
    assert 2 == app.called


def test_subclass_answers_what_is_missing(root):
    """The usual way to serve an application that finds its own way in the browser."""
    (root / "index.html").write_text("<spa>")

    class Spa(StaticFiles):
        async def get_response(self, path, scope):
            try:
                return await super().get_response(path, scope)
            except HTTPException as exc:
                if exc.status_code != 404:
                    raise
                return await super().get_response("index.html", scope)

    app = mounted(Spa(directory=root, html=True))
    for path in ("users/7", "users/7/", "none//x", "../x"):
        assert b"<spa>" == answer(app, f"/static/{path}").body
    assert b"alpha" == answer(app, "/static/a.txt").body
    assert 405 == answer(app, "/static/a.txt", "POST").status


def test_subclass_chooses_the_path(root):
    """By ``get_path``, from anything in the scope."""

    class Branded(StaticFiles):
        def get_path(self, scope):
            return f"dir{os.sep}{super().get_path(scope)}"

    assert b"b{}" == answer(mounted(Branded(directory=root)), "/static/b.css").body


def test_subclass_adds_headers(root):
    class Cached(StaticFiles):
        def file_response(self, *args, **kwargs):
            response = super().file_response(*args, **kwargs)
            response.headers["cache-control"] = "max-age=60"
            return response

    app = mounted(Cached(directory=root))
    for condition, status in (({}, 200), ({"if_none_match": "*"}, 304)):
        reply = answer(app, "/static/a.txt", **header(**condition))
        assert (status, "max-age=60") == (reply.status, reply.headers["cache-control"])


def test_subclass_decides_what_is_not_modified(root):
    """In both directions; nobody asks again behind its back."""

    def subclass(verdict):
        class Decides(StaticFiles):
            def is_not_modified(self, response_headers, request_headers):
                seen.append((response_headers["etag"], request_headers.get("if-none-match")))
                return verdict

        return mounted(Decides(directory=root))

    seen = []
    assert 200 == answer(subclass(False), "/static/a.txt", **header(if_none_match="*")).status
    assert 304 == answer(subclass(True), "/static/a.txt").status
    assert ["*", None] == [wanted for _, wanted in seen]


def test_subclass_finds_the_file(root):
    """``lookup_path`` may look anywhere, and is called in a thread."""
    threads = []

    class Elsewhere(StaticFiles):
        def lookup_path(self, path):
            threads.append(threading.current_thread() is threading.main_thread())
            full = root / "a.txt"
            return str(full), full.stat()

    assert b"alpha" == answer(mounted(Elsewhere()), "/static/anything").body
    assert [False] == threads


def test_subclass_that_returns_nothing_is_named(root):
    class Forgets(StaticFiles):
        async def get_response(self, path, scope):
            pass

    error = ask(mounted(Forgets(directory=root)), "/static/a.txt").error
    assert NoResponseError is type(error)
    assert "Forgets.get_response" in str(error)


def test_subclass_may_return_any_response(root):
    """One and the same for every request, too."""
    shared = PlainTextResponse("shared")

    class Shares(StaticFiles):
        async def get_response(self, path, scope):
            return shared

    app = Lamella(
        routes=[Mount("/static", Shares(directory=root))], middleware=[Middleware(Passes)]
    )
    replies = [answer(app, "/static/x") for _ in range(2)]
    assert ["PlainTextResponse 200"] * 2 == [reply.headers["x-seen"] for reply in replies]
    assert "x-seen" not in shared.headers


def test_configuration_is_checked_once(root):
    class Checks(StaticFiles):
        checks = 0

        async def check_config(self):
            self.checks += 1
            await super().check_config()

    app = Checks(directory=root)
    for _ in range(3):
        answer(app, "/a.txt")
    assert 1 == app.checks


def test_methods_give_what_starlette_gives(root):
    """``get_path`` the path with the system's separators, ``lookup_path`` a path and its facts."""
    app = StaticFiles(directory=root)
    paths = {"/": ".", "": ".", "/a.txt": "a.txt", "/dir/": "dir", "/dir/b.css": "dir/b.css"}
    paths |= {"a.txt": "a.txt"}  # an ASGI server gives none such, a hand-made scope may
    for path, expected in paths.items():
        assert expected.replace("/", os.sep) == app.get_path({"path": path})
    full, found = app.lookup_path("dir/b.css")
    assert (os.path.realpath(root / "dir" / "b.css"), 3) == (full, found.st_size)
    assert os.path.realpath(root / "dir" / "b.css") == app.lookup_path("./dir/b.css")[0]
    assert ("", None) == app.lookup_path("none")
    response = app.file_response(full, found, http_scope("/"), status_code=404)
    assert (FileResponse, 404) == (type(response), response.status_code)


def test_not_modified_response_keeps_what_a_304_may_have():
    """RFC 9110 section 15.4.5."""
    given = Response("text", headers={"etag": '"1"', "vary": "x", "x-other": "1"}).headers
    response = NotModifiedResponse(given)
    assert (304, b"") == (response.status_code, response.body)
    assert [("etag", '"1"'), ("vary", "x")] == response.headers.items()


# --- the disk


def test_disk_is_touched_in_threads_alone(root, monkeypatch):
    """A slow disk holds up one request, not all of them."""
    (root / "index.html").write_text("<home>")
    on_loop = []

    def watch(module, name):
        really = getattr(module, name)

        def watched(*args, **kwargs):
            if threading.current_thread() is loop_thread:
                on_loop.append(name)
            return really(*args, **kwargs)

        monkeypatch.setattr(module, name, watched)

    app = mounted(StaticFiles(directory=root, html=True))
    loop_thread = threading.main_thread()
    for name in ("stat", "lstat", "open", "access"):
        watch(os, name)
    for name in ("realpath", "abspath", "isdir", "isfile", "exists"):
        watch(os.path, name)
    for path in ("a.txt", "dir", "dir/", "", "none"):
        ask(app, f"/static/{path}")
    monkeypatch.undo()
    assert [] == on_loop


def test_types_of_files_are_known_before_the_first_request(root, monkeypatch):
    """Python reads them from files when they are first asked for."""
    monkeypatch.setattr(mimetypes, "inited", False)
    StaticFiles(directory=root)
    assert mimetypes.inited


def test_file_that_may_not_be_read_is_401(root, monkeypatch):
    """As Starlette answers for a directory; found before the response has begun."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert 401 == answer(files(root), "/static/a.txt").status


def test_directory_that_may_not_be_entered_is_401(root, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError

    monkeypatch.setattr(StaticFiles, "lookup_path", refuse)
    assert 401 == answer(files(root), "/static/a.txt").status


def test_broken_disk_is_an_error(root, monkeypatch):
    """Which is no fault of the client's."""

    def fail(*args, **kwargs):
        raise TimeoutError

    monkeypatch.setattr(StaticFiles, "lookup_path", fail)
    reply = ask(files(root), "/static/a.txt")
    assert (500, TimeoutError) == (reply.status, type(reply.error))


def test_routes_beside_it_work(root):
    """It takes its own prefix alone."""

    async def home(request):
        return PlainTextResponse(str(request.url_for("static", path="a.txt")))

    app = Lamella(
        routes=[
            Route("/", home),
            Mount("/static", StaticFiles(directory=root), name="static"),
        ]
    )
    assert "http://testserver/static/a.txt" == answer(app, "/").text


def test_modification_time_of_any_age_is_served(root):
    """Before the epoch, too, as some archives have it."""
    os.utime(root / "a.txt", (-86400, -86400))
    reply = answer(files(root), "/static/a.txt")
    assert "Wed, 31 Dec 1969 00:00:00 GMT" == reply.headers["last-modified"]
