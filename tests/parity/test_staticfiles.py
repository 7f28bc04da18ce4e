"""One directory served by Starlette and by lamella: the same answers to the same requests."""

import asyncio
import os

import pytest

from tests.parity.differences import check
from tests.parity.drive import ask, exchange, http_scope, websocket_scope
from tests.parity.frameworks import BOTH

MTIME_NS = 1_795_000_000_250_000_000
DATE = "Thu, 19 Nov 2026 10:26:40 GMT"

FILES = {
    "a.txt": "alpha",
    "page.html": "<p>",
    "empty.bin": "",
    "index.html": "<home>",
    "dir/index.html": "<index>",
    "dir/b.css": "b{}",
    "bare/c.txt": "c",
    "ä ö.txt": "umlauts",
    "archive.tar.gz": "zip",
    "404.html": "<missing>",
    "no_suffix": "none",
    ".hidden": "dot",
}

PATHS = (
    "/a.txt",
    "/page.html",
    "/empty.bin",
    "/ä ö.txt",
    "/archive.tar.gz",
    "/no_suffix",
    "/.hidden",
    "/dir/b.css",
    "/dir/index.html",
    "/404.html",
    "/",
    "",
    "/dir",
    "/dir/",
    "/bare",
    "/bare/",
    "/bare/c.txt",
    "/none",
    "/none/",
    "/dir/none",
    "/a.txt/below",
    "/A.TXT",
    "/fifo",
    "/inside",
    "/outside",
    "/dangling",
    "/itself",
    "/../secret.txt",
    "/dir/../../secret.txt",
    "/\\..\\secret.txt",
    "/C:/a.txt",
    "/a.txt\x00",
    "/" + "x" * 300,
    "//a.txt",
    "/./a.txt",
    "/dir/../a.txt",
    "/dir//b.css",
    "/a.txt/",
    "/dir/b.css/",
    "/dir/.",
    "/.",
    "/dir//",
)

OPTIONS = {
    "plain": {},
    "html": {"html": True},
    "links": {"follow_symlink": True},
    "html links": {"html": True, "follow_symlink": True},
}

METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "get", "BREW")

REQUESTS = {
    "etag": [("if-none-match", "{etag}")],
    "weak etag": [("if-none-match", '"x",\tW/{etag}')],
    "any etag": [("if-none-match", " * ")],
    "other etag": [("if-none-match", '"x"')],
    "date": [("if-modified-since", DATE)],
    "later": [("if-modified-since", "Thu, 01 Jan 2037 00:00:00 GMT")],
    "earlier": [("if-modified-since", "Thu, 01 Jan 2015 00:00:00 GMT")],
    "no date": [("if-modified-since", "yesterday")],
    "etag before date": [("if-none-match", '"x"'), ("if-modified-since", DATE)],
    "range": [("range", "bytes=1-2")],
    "ranges": [("range", "bytes=0-0,3-")],
    "range behind": [("range", "bytes=900-")],
    "no range": [("range", "bytes")],
    "range and etag": [("range", "bytes=1-2"), ("if-none-match", "{etag}")],
    "range of another": [("range", "bytes=1-2"), ("if-range", '"x"')],
}

CASES = [
    *(f"static {options} {path[:20]!r}" for options in OPTIONS for path in PATHS),
    *(f"static method {method} {path}" for method in METHODS for path in ("/a.txt", "/dir")),
    *(f"static request {name} {path}" for name in REQUESTS for path in ("/a.txt", "/none")),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A directory of files, links and a FIFO, with a secret beside it."""
    place = tmp_path_factory.mktemp("parity")
    root = place / "files"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
    (place / "secret.txt").write_text("secret")
    os.utime(place / "secret.txt", ns=(MTIME_NS, MTIME_NS))
    (root / "inside").symlink_to(root / "a.txt")
    (root / "outside").symlink_to(place / "secret.txt")
    (root / "dangling").symlink_to(place / "nothing")
    (root / "itself").symlink_to(root / "itself")
    os.mkfifo(root / "fifo")
    return root


def app_of(fw, root, options):
    """An application that serves the directory below ``/s``."""
    static = fw.StaticFiles(directory=root, **options)
    return fw.Starlette(routes=[fw.Mount("/s", static, name="static")])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:20])
@pytest.mark.parametrize("options", OPTIONS)
def test_same_answer(root, path, options):
    """Every path, in every way of serving."""
    answers = (ask(app_of(fw, root, OPTIONS[options]), f"/s{path}").seen() for fw in BOTH)
    check(f"static {options} {path[:20]!r}", *answers)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/a.txt", "/none", "/dir/", "/dir"])
def test_same_answer_to_every_method(root, path, method):
    """HEAD has the headers of GET; most others are 405."""
    answers = (ask(app_of(fw, root, {"html": True}), f"/s{path}", method).seen() for fw in BOTH)
    check(f"static method {method} {path}", *answers)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("path", ["/a.txt", "/none", "/dir/"])
def test_same_answer_to_conditions_and_ranges(root, path, name, monkeypatch):
    """Of the file, of the page for what is missing, and of an index."""
    monkeypatch.setattr("starlette.responses.token_hex", lambda size: "b" * 2 * size)
    monkeypatch.setattr("lamella._file_response.secrets.token_hex", lambda size: "b" * 2 * size)
    apps = [app_of(fw, root, {"html": True}) for fw in BOTH]
    etag = dict(ask(apps[0], f"/s{path}").start["headers"])[b"etag"].decode()
    headers = [(key, value.format(etag=etag)) for key, value in REQUESTS[name]]
    answers = (ask(app, f"/s{path}", headers=headers).seen() for app in apps)
    check(f"static request {name} {path}", *answers)


@pytest.mark.parametrize("path", ["/a.txt", "/dir", "/none"])
def test_same_answer_without_an_application(root, path):
    """An HTTPException goes to the server."""
    answers = (ask(fw.StaticFiles(directory=root), path).seen() for fw in BOTH)
    check(f"static alone {path}", *answers)


def test_same_answer_to_a_websocket(root):
    """It is closed before it is accepted."""
    answers = [
        asyncio.run(exchange(app_of(fw, root, {}), websocket_scope("/s/a.txt"))).messages
        for fw in BOTH
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("check_dir", [False, True])
@pytest.mark.parametrize("directory", ["none", "a.txt"])
def test_same_error_for_a_wrong_directory(root, directory, check_dir):
    """A RuntimeError, at the declaration or at the first request."""

    def error(fw):
        try:
            app = fw.StaticFiles(directory=root / directory, check_dir=check_dir)
        except RuntimeError:
            return "declared"
        return type(ask(app, "/a.txt").error).__name__

    theirs, ours = map(error, BOTH)
    assert theirs == ours == ("declared" if check_dir else "RuntimeError")


@pytest.mark.parametrize("path", ["/", "/a.txt", "/dir/b.css", "/dir/", "", "/a/b/c"])
def test_same_path_is_looked_up(root, path):
    """What a subclass that overrides ``get_response`` is given."""
    scope = http_scope(f"/s{path}", root_path="/s")
    theirs, ours = (fw.StaticFiles(directory=root).get_path(dict(scope)) for fw in BOTH)
    assert theirs == ours
