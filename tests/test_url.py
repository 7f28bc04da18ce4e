"""URLs: of a request, of a user, and those that routes build."""

import copy
import pickle
import re
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import datastructures as starlette_datastructures

from lamella import datastructures
from lamella._url import location_of
from lamella.datastructures import URL, Address, URLPath
from lamella.exceptions import UsageError

PARTS = [
    "scheme", "netloc", "path", "query", "fragment", "username", "password", "hostname", "port", "is_secure",
]  # fmt: skip

TEXTS = [
    "", "/", "/a/b?c=d#e", "a/b", "?a=1", "#f", "//host/path",
    "http://example.org", "https://example.org/", "https://example.org/a/b.html?c=d&e=f#g",
    "https://example.org:123/path", "https://user@example.org/", "https://user:secret@example.org:123/x",
    "https://u:p@[fe80::2]:12345/", "https://[fe80::2]/", "ws://h/s", "wss://h/s", "HTTP://Example.ORG/Path",
    "sqlite:////var/db.sqlite", "postgres://u:p@/db?host=/run", "mailto:a@b", "http://h/é?ü=ö",
    "http://h//double", "http://h/a;b=c?d=e;f", "/path/to/somewhere?abc=123", "data:text/plain,a",
]  # fmt: skip

CHANGES = [
    {"scheme": "http"}, {"path": "/new"}, {"path": "new"}, {"path": ""}, {"query": "x=1"}, {"query": ""},
    {"fragment": "f"}, {"netloc": "www.example.com"}, {"port": 8080}, {"port": None}, {"hostname": "h2"},
    {"hostname": "::1"}, {"hostname": "[::1]"}, {"hostname": None}, {"hostname": ""},
    {"hostname": "::1", "port": 1}, {"username": "u2"}, {"username": "u2", "password": "p2"},
    {"password": None}, {"username": None}, {"username": None, "password": None},
    {"hostname": "h2", "port": None, "username": None}, {"scheme": "https", "path": "/x", "query": "y=z"},
]  # fmt: skip

SCOPES = [
    {"path": "/path/to/somewhere", "query_string": b"abc=123", "headers": []},
    {"path": "/p", "headers": [], "server": ("example.org", 80), "scheme": "http"},
    {"path": "/p", "headers": [], "server": ("example.org", 123), "scheme": "https"},
    {"path": "/p", "headers": [], "server": ("example.org", 443), "scheme": "https", "query_string": b"a=b"},
    {"path": "/p", "headers": [], "server": ("::1", 80), "scheme": "http"},
    {"path": "/p", "headers": [], "server": ("::1", 8000), "scheme": "ws"},
    {"path": "/p", "headers": [(b"host", b"example.com")], "server": ("h", 80), "scheme": "https"},
    {"path": "/p", "headers": [(b"host", b"example.com:8000")], "server": ("h", 80)},
    {"path": "/p", "headers": [(b"host", b"[::1]:9")], "scheme": "wss"},
    {"path": "/p", "headers": [(b"accept", b"*/*"), (b"host", b"a"), (b"host", b"b")], "scheme": "http"},
    {"path": "/p", "headers": [(b"host", b"evil/x?y#z@h")], "server": ("h", 80), "scheme": "http"},
    {"path": "/p", "headers": [(b"host", b"a:99999")], "server": ("h", 81), "scheme": "http"},
    {"path": "/p", "headers": [(b"host", b"b\xe9d")], "server": ("h", 81), "scheme": "http"},
    {"path": "/p", "headers": [(b"host", b"bad host")]},
    {"path": "", "headers": [(b"host", b"h")], "scheme": "http"},
    {"path": "/a?b#c\\d", "headers": [(b"host", b"h")], "scheme": "http", "query_string": b"q"},
    {"path": "//evil.com/x", "headers": [(b"host", b"h")], "scheme": "http"},
    {"path": "//evil.com/x", "headers": []},
    {"path": "relative", "headers": [(b"host", b"h")], "scheme": "http"},
    {"path": "http://evil.com/x", "headers": [(b"host", b"h")], "scheme": "http"},
    {"path": "/é ü", "headers": [(b"host", b"h")], "scheme": "http", "query_string": "ä=ö".encode()},
    {"path": "/p", "headers": ((b"host", b"h"),), "scheme": "http"},
    {"path": "/p", "headers": [], "server": None},
]  # fmt: skip


def told(url):
    """Everything that a URL says of itself."""
    return [str(url), *(getattr(url, part) for part in PARTS)]


def scope_with(path="/", host=None, **more):
    """A scope of a server on 127.0.0.1:8000."""
    headers = [] if host is None else [(b"host", host)]
    return {
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "path": path,
        "headers": headers,
        **more,
    }


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_taken_apart_as_in_starlette(text):
    """All parts, and the text itself."""
    assert told(starlette_datastructures.URL(text)) == told(URL(text))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("change", CHANGES, ids=repr)
def test_parts_are_replaced_as_in_starlette(text, change):
    """Links that an app builds must not change when it moves."""
    theirs = starlette_datastructures.URL(text).replace(**change)
    ours = URL(text).replace(**change)
    assert str(theirs) == str(ours)


@pytest.mark.parametrize("text", TEXTS)
def test_query_is_changed_as_in_starlette(text):
    """The three methods, with values that are no text and with names that stand there already."""

    def results(module):
        url = module.URL(text + ("&" if "?" in text else "?") + "a=1&a=2&b=&c=x%20y+z")
        return [
            url.include_query_params(a=3, d="ä&="),
            url.include_query_params(),
            url.replace_query_params(a=None, e=True),
            url.replace_query_params(),
            url.remove_query_params("a"),
            url.remove_query_params(["a", "b", "nope"]),
        ]

    theirs, ours = results(starlette_datastructures), results(datastructures)
    assert [str(url) for url in theirs] == [str(url) for url in ours]


@pytest.mark.parametrize("scope", SCOPES, ids=repr)
def test_url_of_a_scope_is_that_of_starlette(scope):
    """With Host header, without, with a bad one; all schemes and default ports."""
    theirs = starlette_datastructures.URL(scope=dict(scope))
    assert told(theirs) == told(URL(scope=dict(scope)))


@pytest.mark.parametrize(
    "components",
    [
        {"scheme": "https", "netloc": "example.org", "path": "/a", "query": "b=c", "fragment": "d"},
        {"scheme": "http", "hostname": "::1", "port": 8000, "path": "x"},
        {"path": "/only"},
        {"netloc": "h", "path": "//p"},
        {"scheme": "https", "username": "u", "password": "p", "hostname": "h"},
    ],
    ids=repr,
)
def test_url_is_made_of_components_as_in_starlette(components):
    """The third way to make one."""
    theirs = starlette_datastructures.URL(**components)
    assert told(theirs) == told(URL(**components))


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "/a", "scope": scope_with()},
        {"url": "/a", "path": "/b"},
        {"scope": scope_with(), "path": "/b"},
        {"url": "/a", "scope": scope_with(), "path": "/b"},
    ],
    ids=["url and scope", "url and components", "scope and components", "all"],
)
def test_two_sources_at_once_are_refused_as_in_starlette(arguments):
    """It is an AssertionError there; this one is raised under `python -O` as well."""
    with pytest.raises(AssertionError):
        starlette_datastructures.URL(**arguments)
    with pytest.raises(UsageError, match=r"replace\(\)"):
        URL(**arguments)


def test_password_is_masked_in_repr_only():
    """A repr goes to logs."""
    url = URL("https://user:s3cret@example.org/?s3cret")
    assert "URL('https://user:********@example.org/?s3cret')" == repr(url)
    assert "https://user:s3cret@example.org/?s3cret" == str(url)


def test_url_equals_what_reads_the_same():
    """A URL or a text, as in Starlette; and for that it has no hash."""
    assert URL("/a") == URL("/a") == "/a"
    assert URL("/a") != URL("/b")
    assert URL("/a") != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(URL("/a"))


def test_url_may_be_made_of_a_url():
    """A base URL is often the one or the other."""
    assert "/a" == str(URL(URL("/a")))


def test_subclass_stays_one_when_changed():
    """`replace` gives what it was called on."""

    class Link(URL):
        pass

    assert isinstance(Link("/a").replace(path="/b"), Link)
    assert "Link('/b?c=d')" == repr(Link("/b").include_query_params(c="d"))


def test_url_survives_copy_and_pickle():
    """URLs are kept in sessions and caches."""
    url = URL(scope=scope_with("/a?b", host=b"h"))
    for twin in (copy.copy(url), copy.deepcopy(url), pickle.loads(pickle.dumps(url))):
        assert told(url) == told(twin)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.com/admin", b"evil.com?x", b"evil.com#x", b"evil.com\\x", b"evil.com/admin?", b"user@evil.com",
        b"evil.com:80/admin#", b"evil.com:8000:9", b"[::1", b"a]b", b"", b" ", b"\t", b"a b", b"\xff", b"a\0b",
        b"evil.com\r\nx: y", b"[::1]/x", b"http://evil.com", b"/", b"//", b"?", b"#", b"a%", b"a" * 70_000 + b"/",
    ],
)  # fmt: skip
def test_bad_host_moves_neither_path_nor_authority(host):
    """CVE-2026-48710: a check on url.path must see what is routed; the server's name is used."""
    url = URL(scope=scope_with("/admin/users", host=host, query_string=b"a=b"))
    assert "http://127.0.0.1:8000/admin/users?a=b" == str(url)
    assert ("127.0.0.1:8000", "/admin/users", "a=b") == (url.netloc, url.path, url.query)


@pytest.mark.parametrize("host", [None, b"example.com"])
@pytest.mark.parametrize(
    "path", ["@evil.com/", ".evil.com/", ":80@evil.com", "evil.com", "http://evil.com/x"]
)
def test_path_without_a_leading_slash_stays_in_the_path(path, host):
    """CVE-2026-54282: glued to the host it would change where the URL leads."""
    url = URL(scope=scope_with(path, host=host))
    assert f"/{path}" == url.path == urlsplit(str(url)).path
    assert (host or b"127.0.0.1:8000").decode() == url.netloc == urlsplit(str(url)).netloc


@pytest.mark.parametrize(
    "path", ["//evil.com/x", "///x", "http://evil.com/", "javascript:alert(1)", "x:y"]
)
def test_path_of_a_scope_without_any_host_gives_no_host(path):
    """Such a scope gives a relative URL, and a browser must read it as a path."""
    url = URL(scope={"path": path, "headers": []})
    again = urlsplit(str(url))
    assert ("", "") == (again.scheme, again.netloc) == (url.scheme, url.netloc)
    assert path.lstrip("/") == unquote(again.path).lstrip("/")


@pytest.mark.parametrize("path", ["/ad\nmin", "/ad\rmin", "/ad\tmin", "/\x00", "/a\x7f", "/a\x1fb"])
def test_control_characters_of_a_path_are_kept_in_sight(path):
    """Parsers drop them in silence, so that `/ad<TAB>min` would read `/admin`."""
    url = URL(scope=scope_with(path))
    assert path == unquote(url.path)
    assert url.path == urlsplit(str(url)).path
    assert not re.search(r"[\x00-\x1f\x7f]", str(url))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a=\xc3\xa9", "a=é"),
        (b"a=\xff", "a=%FF"),
        (b"a=\xc3\xa9&b=\xff", "a=%C3%A9&b=%FF"),
        (b"a=#b", "a=%23b"),
        (b"a=\r\nb\0", "a=%0D%0Ab%00"),
        (b"??", "??"),
        (b"a=%zz%", "a=%zz%"),
    ],
)
def test_odd_query_string_gives_a_query_and_no_error(raw, expected):
    """A client sends any bytes; Starlette raises for those that are not UTF-8."""
    url = URL(scope=scope_with("/p", host=b"h", query_string=raw))
    assert expected == url.query == urlsplit(str(url)).query


@pytest.mark.parametrize(
    "scheme", ["", "javascript:", "ht tp", "http://evil.com/?", "é", "1x", "a\n"]
)
def test_scheme_that_is_none_becomes_http(scheme):
    """Some servers take it from a header of a proxy; it stands first in the text."""
    url = URL(scope=scope_with("/p", host=b"h", scheme=scheme))
    assert "http://h/p" == str(url)


def test_scheme_of_another_protocol_is_kept_in_lower_case():
    """A valid one has no default port."""
    assert "foo+bar://127.0.0.1:8000/" == str(URL(scope=scope_with(scheme="FOO+bar")))


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (("/run/app.sock", None), "/p"),
        (("h", None), "http://h/p"),
        (["h", 80], "http://h/p"),
        (("bad host/x", 80), "/p"),
        (("", 80), "/p"),
        (("fe80::1%eth0", 80), "/p"),
        (("[::1]", 9), "http://[::1]:9/p"),
    ],
)
def test_server_that_is_no_host_is_left_out(server, expected):
    """A unix socket has a path for a name, and no port."""
    assert expected == str(
        URL(scope={"path": "/p", "headers": [], "scheme": "http", "server": server})
    )


def test_headers_given_as_an_iterator_are_still_there_for_the_next():
    """ASGI allows any iterable; it can be read once."""
    scope = scope_with("/p")
    scope["headers"] = iter([(b"host", b"h"), (b"x-a", b"1")])
    assert "http://h/p" == str(URL(scope=scope))
    assert "1" == datastructures.Headers(scope=scope)["x-a"]


def test_scope_without_headers_is_one_with_none():
    """ASGI HTTP specification: optional, empty if missing."""
    assert "http://h:1/p" == str(URL(scope={"path": "/p", "server": ("h", 1)}))


def test_path_replaced_in_a_relative_url_gives_no_host():
    """The path is often a part of what a client sent."""
    assert "/%2Fevil.com/x" == str(URL("/a").replace(path="//evil.com/x"))


def test_user_text_that_is_no_url_raises_when_asked_for_a_part():
    """It can be shown still, as Starlette does."""
    assert "http://[" == str(URL("http://["))
    with pytest.raises(ValueError, match="IPv6"):
        URL("http://[").path


hosts = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.text(alphabet="a.:/?#@\\[]%1 ", max_size=12).map(str.encode),
    st.sampled_from([b"h", b"h:80", b"[::1]:1", b"a.b"]),
)
paths = st.one_of(
    st.text(max_size=20),
    st.text(alphabet="/\\:@?#%. a\t\r\n\0é", max_size=12),
    st.text(alphabet="/\\:@?#%. a\t\r\n\0é", max_size=12).map("/".__add__),
)
servers = st.one_of(
    st.none(),
    st.tuples(st.text(max_size=8), st.one_of(st.none(), st.integers(0, 65535))),
    st.just(("127.0.0.1", 8000)),
)


@given(
    hosts,
    paths,
    st.binary(max_size=16),
    servers,
    st.sampled_from(["http", "https", "ws", "x y", "a"]),
)
def test_url_of_any_scope_says_what_is_routed_and_reads_back_the_same(
    host, path, query, server, scheme
):
    """Path as routed but for what is escaped; the text parsed elsewhere gives the same parts."""
    scope = {"path": path, "query_string": query, "server": server, "scheme": scheme, "headers": []}
    if host is not None:
        scope["headers"] = [(b"host", host)]
    url = URL(scope=scope)
    assert url.components == urlsplit(str(url))
    assert unquote(path).lstrip("/") == unquote(url.path).lstrip("/")
    if re.fullmatch(r"/(?!/)[^\x00-\x1f?#\\\x7f]*", path):
        assert path == url.path
    assert not url.fragment


@given(st.binary())
def test_query_of_any_bytes_can_be_changed(query):
    """`include_query_params` is used on what clients send; no name that was there is lost."""
    url = URL(scope=scope_with(query_string=query))
    changed = url.include_query_params(**{"\N{SNOWMAN}": 1})
    before = [
        item for item in parse_qsl(url.query, keep_blank_values=True) if item[0] != "\N{SNOWMAN}"
    ]
    assert [*before, ("\N{SNOWMAN}", "1")] == parse_qsl(changed.query, keep_blank_values=True)


PATHS = ["", "/", "/a/b", "a/b", "//evil.com/x", "///x", "/a\\b", "\\\\x", "/a?b=c#d", "/é"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("protocol", ["", "http", "websocket"])
@pytest.mark.parametrize("host", ["", "other.org", "other.org:81"])
def test_url_path_is_that_of_starlette(path, protocol, host):
    """The text, the two attributes, and the absolute URL on each kind of base."""

    def results(module):
        url_path = module.URLPath(path, protocol, host)
        bases = [
            "",
            "/base",
            "http://h",
            "https://h/",
            "https://h:1/below/",
            "ws://h/a",
            "wss://u:p@h/a?b#c",
        ]
        absolute = [
            str(url_path.make_absolute_url(base))
            for text in bases
            for base in (text, module.URL(text))
        ]
        return [str(url_path), url_path.protocol, url_path.host, *absolute]

    theirs, ours = results(starlette_datastructures), results(datastructures)
    differing = {(mine, other) for other, mine in zip(theirs, ours, strict=True) if mine != other}
    # Where neither base nor route has a host, a path must not make one.
    assert all(other.startswith("//") and not mine.startswith("//") for mine, other in differing)


def test_url_path_with_an_unknown_protocol_is_refused():
    """AssertionError in Starlette, so of that kind here."""
    with pytest.raises(UsageError, match="got 'ftp'"):
        URLPath("/a", protocol="ftp")


def test_url_path_is_a_text_that_survives_copy_and_pickle():
    """It is put into templates, responses and caches."""
    url_path = URLPath("/a", protocol="http", host="h")
    assert isinstance(url_path, str)
    for twin in (copy.copy(url_path), pickle.loads(pickle.dumps(url_path))):
        assert ("/a", "http", "h") == (str(twin), twin.protocol, twin.host)


def test_address_is_a_pair_with_names():
    """As `request.client`."""
    address = Address("h", 1)
    assert ("h", 1) == address
    assert ("h", 1) == (address.host, address.port)
    assert starlette_datastructures.Address._fields == Address._fields


# --- redirects to paths of the same origin


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/a/", b"", "/a/"),
        ("/a", b"x=%20&y", "/a?x=%20&y"),
        ("//evil.example/", b"", "/.//evil.example/"),
        ("///evil.example", b"", "/.///evil.example"),
        ("/\\evil.example", b"", "/%5Cevil.example"),
        ("/a\r\nset-cookie: b", b"", "/a%0D%0Aset-cookie:%20b"),
        ("/a?b#c", b"d#e\n", "/a%3Fb%23c?d%23e%0A"),
        ("/ä", "ü".encode(), "/%C3%A4?%C3%BC"),
        ("/\ud800", b"\xff", "/%3F?%FF"),
    ],
)
def test_location_stays_on_the_origin(path, query, location):
    """CVE-2021-21330, CVE-2017-7233: whatever a client asked for."""
    assert location == location_of(path, query)
    parts = urlsplit(location)
    assert ("", "") == (parts.scheme, parts.netloc)
