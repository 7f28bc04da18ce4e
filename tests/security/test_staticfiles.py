"""Static files and hostile paths: nothing outside, nothing odd, one URL a file, never a 500."""

import asyncio
import os
import socket
import threading
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lamella import staticfiles
from lamella.applications import Lamella
from lamella.routing import Mount
from lamella.staticfiles import StaticFiles
from tests.parity.drive import answer, ask, exchange, http_scope, request

SECRET = b"secret"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with files, and beside it what must not be served."""
    place = tmp_path_factory.mktemp("place")
    for name, text in {
        "static/a.txt": b"a",
        "static/dir/b.txt": b"b",
        "static/dir/index.html": b"index",
        "static/404.html": b"missing",
        "static2/c.txt": SECRET,
        "static_private/c.txt": SECRET,
        "secret.txt": SECRET,
    }.items():
        path = place / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(text)
    (place / "static" / "to_file").symlink_to(place / "secret.txt")
    (place / "static" / "to_folder").symlink_to(place / "static2")
    (place / "static" / "to_nothing").symlink_to(place / "nothing")
    (place / "static" / "to_itself").symlink_to(place / "static" / "to_itself")
    return place


def apps(place):
    """Each way to serve the directory."""
    root = place / "static"
    return [
        Lamella(routes=[Mount("/s", StaticFiles(directory=root, html=html, follow_symlink=follow))])
        for html in (False, True)
        for follow in (False, True)
    ]


def served(app, path):
    """Answer for a path that may not even be text, as a lenient server passes it on."""
    return asyncio.run(exchange(app, {**http_scope("/"), "path": path}))


OUTSIDE = [
    "../secret.txt",
    "..%2fsecret.txt",
    "..%2Fsecret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "dir/../../secret.txt",
    "dir/..%2f..%2fsecret.txt",
    "./../secret.txt",
    "dir/./../../secret.txt",
    "..\\secret.txt",
    "..%5csecret.txt",
    "dir\\..\\..\\secret.txt",
    "../static2/c.txt",
    "../static_private/c.txt",
    "../nothing.txt",
    "..",
    "../",
    "../..",
    "....//secret.txt",
    "..%00/secret.txt",
    "..;/secret.txt",
    "/etc/passwd",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "///etc/passwd",
    "C:/Windows/win.ini",
    "C:\\Windows\\win.ini",
    "c:secret.txt",
    "//server/share/x",
    "\\\\server\\share\\x",
    "%5c%5cserver%5cshare%5cx",
    "\\\\?\\C:\\x",
    "\\\\.\\pipe\\x",
    "//?/C:/x",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_path_that_leads_out_is_404(place, path):
    """CVE-2023-29159, CVE-2017-16762; whether something is there or not (CVE-2025-69226)."""
    full = os.path.realpath(place / "secret.txt")
    for app in apps(place):
        for asked in (f"/s/{unquote(path)}", f"/s/{unquote(path)}".replace("secret.txt", full)):
            reply = answer(app, asked)
            assert 404 == reply.status
            assert SECRET not in reply.body
    plain = answer(apps(place)[0], "/s/none.txt").seen()
    assert plain == answer(apps(place)[0], f"/s/{unquote(path)}").seen()


def test_absolute_path_of_the_file_itself_is_404(place):
    """The second part of a join of paths wins if it is absolute."""
    for name in ("secret.txt", "static/a.txt"):
        asked = f"/s/{place / name}"
        assert [404] * 4 == [answer(app, asked).status for app in apps(place)]


class Untouched(os.PathLike):
    """A directory that must not be asked for anything."""

    def __fspath__(self):
        raise AssertionError("the disk is about to be touched")


@pytest.mark.parametrize("path", OUTSIDE)
def test_disk_is_not_asked_about_paths_that_lead_out(path):
    """CVE-2026-48818: on Windows to resolve a UNC path is to log in at another machine."""
    app = StaticFiles()
    app.all_directories = [Untouched()]
    path = unquote(path)
    if not path.lower().startswith(("c:/", "c:secret", "....", "..;")):  # plain names, but there
        assert ("", None) == app.lookup_path(path)
        assert ("", None) == app.lookup_path(app.get_path({"path": f"/{path}"}))
    with pytest.raises(AssertionError, match="about to be touched"):
        app.lookup_path("a.txt")


@pytest.mark.parametrize(
    "name",
    [
        "C:",
        "C:x",
        "a.txt::$DATA",
        "a:b",
        "a.txt.",
        "a.txt ",
        "...",
        "CON",
        "con",
        "CON.txt",
        "nul.tar.gz",
        "aux",
        "PRN .txt",
        "com1",
        "COM9.log",
        "LPT¹",
        "conin$",
        "CONOUT$",
        "a\\b",
        "\\",
        "..",
        ".",
        "",
        "a/b",
        "a\0b",
    ],
)
def test_names_that_mean_more_on_windows_are_refused_there(name):
    """CVE-2025-66221: devices; a drive, a stream, and other spellings of a name."""
    assert not staticfiles._is_plain(name, windows=True)


@pytest.mark.parametrize(
    "name", ["a.txt", ".well-known", "console.js", "com.css", "lpt10", "null", "a b", "..a", "ä"]
)
def test_plain_names_are_plain_everywhere(name):
    """A word that begins as a device does is none."""
    assert staticfiles._is_plain(name, windows=True)
    assert staticfiles._is_plain(name, windows=False)


@pytest.mark.parametrize("name", ["to_file", "to_folder/c.txt", "to_nothing", "to_itself"])
def test_link_that_leads_out_is_as_if_it_were_not_there(place, name):
    """CVE-2025-69226: not even whether it leads to something."""
    app = apps(place)[0]
    assert answer(app, "/s/none").seen() == answer(app, f"/s/{name}").seen()


def test_followed_links_do_not_open_the_rest(place):
    """CVE-2024-23334: a path is held to the directory whether links are followed or not."""
    app = StaticFiles(directory=place / "static", follow_symlink=True)
    for path in ("../secret.txt", "to_folder/../secret.txt", "dir/../../secret.txt"):
        assert ("", None) == app.lookup_path(path)
        assert 404 == ask(app, f"/{path}").error.status_code
    assert app.lookup_path("to_folder/c.txt")[1] is not None


def test_directory_whose_name_goes_on_is_another(place):
    """CVE-2023-29159: ``static2`` begins as ``static`` does."""
    app = StaticFiles(directory=place / "static")
    app.get_path = lambda scope: "../static2/c.txt"
    assert 404 == ask(app, "/").error.status_code
    (place / "static" / "beside").symlink_to(place / "static2" / "c.txt")
    try:
        assert ("", None) == app.lookup_path("beside")
    finally:
        (place / "static" / "beside").unlink()


@pytest.mark.parametrize(
    "path",
    [
        "//a.txt",
        "/./a.txt",
        "/dir/../a.txt",
        "/none/../a.txt",
        "/a.txt/",
        "/a.txt//",
        "/a.txt/.",
        "/%2e/a.txt",
        "/dir//b.txt",
        "/dir/./b.txt",
        "/dir/b.txt/",
        "/dir%5cb.txt",
        "/dir\\b.txt",
        "/.",
        "/dir/.",
        "/dir//",
        "/dir/../dir/",
    ],
)
def test_static_one_url_per_file(place, path):
    """Else rules for URLs, of a proxy or a layer, do not hold for the file."""
    for app in apps(place):
        assert 404 == answer(app, f"/s{unquote(path)}").status


@pytest.mark.parametrize(
    "path",
    [
        "a\0.txt",
        "\0",
        "a.txt\0",
        "a.txt\0.png",
        "x" * 256,
        "x" * 5000,
        "x/" * 3000,
        "dir/" + "x" * 255 + "/b",
        "\ud800",
        "a\udcff.txt",
        "a.txt\n",
        "\r\n",
        "a.txt ",
        "a.txt.",
        "%",
        "%00",
        "*",
        "?",
        "~",
        "~root",
        "$HOME",
        "`id`",
        "|",
        "CON",
        "nul.txt",
        "a.txt::$DATA",
    ],
)
def test_odd_name_is_404(place, path):
    """Never a 500: NUL, overlong, no text in UTF-8, blanks and dots at the end."""
    for app in apps(place):
        assert 404 == served(app, f"/s/{path}").status


def test_static_html_overlong_dir_index(tmp_path):
    """A directory whose own path is just short enough, and that of its index is not."""
    longest = os.pathconf(tmp_path, "PC_PATH_MAX")
    root = os.path.realpath(tmp_path)
    depth, rest = divmod(longest - len(root.encode()) - 8, 201)
    path = "/".join(["d" * 200] * depth + (["d" * (rest - 1)] if rest > 1 else []))
    here = os.open(root, os.O_RDONLY)
    try:
        for name in path.split("/"):
            os.mkdir(name, dir_fd=here)
            inner = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    app = StaticFiles(directory=tmp_path, html=True)
    with pytest.raises(OSError, match="too long"):
        Path(f"{root}/{path}/index.html").stat()
    assert Path(f"{root}/{path}").is_dir()
    assert 404 == ask(app, f"/{path}/").error.status_code


@pytest.fixture
def odd(tmp_path):
    """A directory with things that are no files."""
    os.mkfifo(tmp_path / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(tmp_path / "socket"))  # an absolute path may be too long for one
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "zero").symlink_to("/dev/zero")
    yield tmp_path
    server.close()


@pytest.mark.parametrize("name", ["fifo", "socket", "null", "zero"])
@pytest.mark.parametrize("follow", [False, True])
def test_what_is_no_regular_file_is_404(odd, name, follow):
    """At once: opening a FIFO would hang, and ``/dev/zero`` has no end."""
    app = StaticFiles(directory=odd, follow_symlink=follow)
    assert 404 == ask(app, f"/{name}").error.status_code


def test_fifo_in_place_of_an_index_or_a_page_is_404(tmp_path):
    os.mkfifo(tmp_path / "index.html")
    os.mkfifo(tmp_path / "404.html")
    app = StaticFiles(directory=tmp_path, html=True)
    for path in ("/", "/none", "/index.html", "/404.html"):
        assert 404 == ask(app, path).error.status_code


@pytest.mark.parametrize(
    "folder", ["evil.example", "\\evil.example", "a\nb", "?x", "ä", "a b", "@"]
)
def test_redirect_stays_on_the_origin(tmp_path, folder):
    """CVE-2021-21330, CVE-2023-28370: no host, no scheme, whatever the path is."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "index.html").write_text("index")
    apps = [
        StaticFiles(directory=tmp_path, html=True),
        Lamella(routes=[Mount("/s", StaticFiles(directory=tmp_path, html=True))]),
    ]
    hosts = [("host", "evil.example")]
    redirects = 0
    for app, prefix in zip(apps, ("", "/s"), strict=True):
        for start in ("/", "//", "/\\", "///"):
            reply = ask(app, f"{prefix}{start}{folder}", headers=hosts)
            if reply.error is not None or reply.status == 404:
                continue
            location = reply.headers["location"]
            redirects += 1
            assert 307 == reply.status
            assert location.startswith(f"{prefix}/")
            assert "//" not in location.partition("?")[0]
            assert "\\" not in location
            assert location.isascii()
            assert location.isprintable()
    assert redirects == (0 if "\\" in folder else 2)


def test_redirect_below_a_root_path_with_two_slashes_stays(tmp_path):
    """The root path comes from a proxy, or from the client of a bad one."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "index.html").write_text("index")
    app = StaticFiles(directory=tmp_path, html=True)
    reply = answer(app, "//evil.example/d", root_path="//evil.example")
    assert "/.//evil.example/d/" == reply.headers["location"]


PATHS = st.text(st.sampled_from("/.\\%: \0aτ-~\ud800") | st.characters(), max_size=12)


@given(PATHS)
@example("../secret.txt")
@example("to_folder/c.txt")
def test_no_path_leads_out_or_fails(place, path):
    """Whatever a client asks for."""
    for app in apps(place):
        reply = served(app, f"/s/{path}")
        assert reply.status in {200, 307, 404}
        if "to_" not in path:
            assert SECRET not in reply.body


def test_many_slow_lookups_do_not_block_the_loop(place, monkeypatch):
    """Another request is answered while one waits for the disk."""
    entered, release = threading.Event(), threading.Event()
    app = StaticFiles(directory=place / "static")
    really = app.lookup_path

    def slow(path):
        if path == "a.txt":
            entered.set()
            release.wait(10)
        return really(path)

    monkeypatch.setattr(app, "lookup_path", slow)

    async def main():
        first = asyncio.create_task(request(app, "/a.txt"))
        while not entered.is_set():
            await asyncio.sleep(0)
        second = await request(app, "/dir/b.txt")
        assert not first.done()
        release.set()
        return second.body, (await first).body

    assert (b"b", b"a") == asyncio.run(main())
