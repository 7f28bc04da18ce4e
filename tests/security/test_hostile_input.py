"""Whatever a client sends, an application with everything in it answers or refuses.

Never a 500, never an error to the server, never a message out of turn, one log record at most, and
nothing left on disk. The parsers by themselves have tests of this kind in their own files.
"""

import tempfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.parity.drive import http_scope, websocket_scope
from tests.security.target import ORIGIN, attack, attack_scope, messages_of, target


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The application, and a folder for temporary files of its own, which stays empty."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "file.txt").write_text("0123456789" * 10)
    (folder / "sub").mkdir()
    (folder / "sub" / "index.html").write_text("index")
    spool = tmp_path_factory.mktemp("spool")
    before, tempfile.tempdir = tempfile.tempdir, str(spool)
    yield target(folder)
    tempfile.tempdir = before
    assert [] == list(spool.iterdir())


PLACES = [
    "/form", "/parts", "/json", "/stream", "/next", "/file", "/verbs", "/told/", "/i/", "/f/",
    "/u/", "/p/", "/m/", "/n/", "/slash", "/static/", "/static/file.txt", "/static/sub", "/wsgi/",
    "/", "",
]  # fmt: skip

# Characters that mean something to one parser or another, more often than others do.
ODD = st.sampled_from("/.-:%?#@\\;,=\"'&+* \t\0\r\n[]{}()<>٣ß\u2028\x7f\x85ÿ019azA")
TEXT = st.text(ODD | st.characters(codec="utf-8"), max_size=20)
BYTES = st.binary(max_size=20) | TEXT.map(lambda text: text.encode("utf-8"))

HEADERS = {
    b"accept": [b"text/html", b"*/*"],
    b"accept-encoding": [b"gzip", b"gzip;q=0", b"*;q=0.1, identity;q=0"],
    b"authorization": [b"Bearer x", b"Basic !!!", b"Bearer"],
    b"content-length": [b"-1", b"0", b"99999999999999999999", b"+1", b"1_0", b"\xb2"],
    b"content-type": [
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=B",
        b'multipart/form-data; boundary="',
        b"multipart/form-data; boundary=B; charset=undefined",
        b"application/json; charset=utf-7",
    ],
    b"cookie": [b"a=b", b"=session=x", b'seen="\\012\\"', b"session=", b"session=e30=.x.y"],
    b"host": [b"a.example.org", b"[::1]:80", b"a@b", b"[", b"a:99999", b"/", b"xn--"],
    b"if-match": [b"*"],
    b"if-modified-since": [b"Thu, 01 Jan 1970 00:00:00 GMT", b"Thu, 99 Foo 0000 99:99:99 +9999"],
    b"if-none-match": [b"*", b'W/"a", "b"', b'"'],
    b"if-range": [b'"a"', b"Thu, 01 Jan 1970 00:00:00 GMT"],
    b"origin": [ORIGIN.encode(), b"null", b"https://a.example.net", b"https://a.example.net\0"],
    b"access-control-request-method": [b"GET", b"get"],
    b"access-control-request-headers": [b"x", b"x,\r\ny"],
    b"access-control-request-private-network": [b"true"],
    b"range": [b"bytes=0-", b"bytes=-5", b"bytes=0-1,5-9", b"bytes=9-0", b"bytes=" + b"9" * 50],
    b"transfer-encoding": [b"chunked"],
    b"x_real_ip": [b"1"],
    b"x-forwarded-for": [b"1.2.3.4"],
    b"x-forwarded-host": [b"evil.example"],
    b"x-forwarded-proto": [b"https"],
}


@st.composite
def headers(draw):
    """Pairs, of names that something is done with."""
    names = draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=5))
    return [(name, draw(st.sampled_from(HEADERS[name]) | BYTES)) for name in names]


def as_servers_do(headers):
    """Without what no server lets through; else the judge would blame it."""
    return [(name, value.translate(None, b"\r\n\0")) for name, value in headers]


PIECES = st.lists(
    BYTES
    | st.sampled_from(
        [
            b"--B\r\n",
            b'Content-Disposition: form-data; name="a"\r\n',
            b'Content-Disposition: form-data; name="f"; filename="../x"\r\n',
            b"\r\n",
            b"--B--",
            b"a=b&",
            b"%00=%ff&;",
            b'{"a": [',
            b"]}",
            b"1e999",
            b'"\\ud800"',
            b"[" * 2000,
        ]
    ),
    max_size=6,
)


def assert_answered(reply, lines):
    """What holds of every answer, whatever was asked."""
    assert reply.error is None
    assert 200 <= reply.status < 500
    assert [] == lines
    assert reply.complete
    for name, value in reply.start["headers"]:
        assert name == name.lower()
        assert not set(name + value) & set(b"\r\n\0")


@given(place=st.sampled_from(PLACES), method=st.sampled_from(["GET", "POST"]), headers=headers())
@settings(max_examples=80)
def test_any_header_of_a_lax_server_is_answered(app, place, method, headers):
    """With line ends in it, which no server is known to let through."""
    reply, lines = attack(app.app, place, method, headers=headers)
    assert_answered(reply, lines)


@given(
    place=st.sampled_from(PLACES),
    rest=TEXT,
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE", "__CLASS__", "TRACE", "É"]),
    query=BYTES,
    headers=headers().map(as_servers_do),
    body=PIECES,
    root_path=st.sampled_from(["", "/root", "//evil.example"]),
    spec=st.sampled_from(["2.0", "2.3", "2.4"]),
)
@settings(max_examples=150)
@example("/next", "", "GET", b"next=//evil.example\r\nx:%20y", [], [], "", "2.3")
@example("/static/sub", "", "GET", b"\xff", [], [], "//evil.example", "2.3")
@example("/json", "", "POST", b"", [], [b'"\\ud800"'], "", "2.3")
@example("/json", "", "POST", b"", [], [b"9" * 5000], "", "2.3")
@example("/i/", "9" * 5000, "GET", b"", [], [], "", "2.3")
@example("/f/", "9" * 5000, "GET", b"", [], [], "", "2.3")
def test_any_request_is_answered(app, place, rest, method, query, headers, body, root_path, spec):
    """Of any method, path, query, headers and body."""
    reply, lines = attack(
        app,
        root_path + place + rest,
        method,
        query=query,
        headers=headers,
        body=body,
        root_path=root_path,
        asgi={"version": "3.0", "spec_version": spec},
    )
    assert_answered(reply, lines)


@given(
    path=st.sampled_from(["/ws/json", "/ws/a", "/ws/", "/told/a"]),
    headers=headers(),
    incoming=st.lists(
        st.fixed_dictionaries(
            {"type": st.just("websocket.receive")},
            optional={"text": TEXT | st.none(), "bytes": BYTES | st.none()},
        ),
        max_size=4,
    ),
    code=st.sampled_from([None, 1000, 1005, 1006, 4999]),
    extensions=st.sampled_from([None, {}, {"websocket.http.response": {}}]),
)
@settings(max_examples=80)
def test_any_websocket_is_served_or_refused(app, path, headers, incoming, code, extensions):
    """Of any path, headers and messages, one of which may hold neither text nor bytes."""
    scope = websocket_scope(path)
    scope |= {"extensions": extensions, "headers": scope["headers"] + headers}
    leave = {"type": "websocket.disconnect"} | ({} if code is None else {"code": code})
    messages = [{"type": "websocket.connect"}, *incoming, leave]
    # The server is not what is tested, and one that says nonsense is worth a test.
    reply, lines = attack_scope(app.app, scope, messages)
    assert reply.error is None
    assert [] == lines
    kinds = [message["type"] for message in reply.messages]
    assert kinds
    assert kinds.count("websocket.accept") + kinds.count("websocket.http.response.start") <= 1
    assert "websocket.close" not in kinds[:-1]


@given(
    body=PIECES,
    at=st.integers(0, 6),
    place=st.sampled_from(PLACES[:5]),
    headers=headers().map(as_servers_do),
)
@settings(max_examples=80)
def test_client_that_leaves_anywhere_is_quiet(app, body, at, place, headers):
    """In mid-upload or after it: no error, no record, and no answer that is cut and reads whole."""
    scope = http_scope(place, "POST")
    scope["headers"] += headers
    messages = [*messages_of(body)[:-1][:at], {"type": "http.disconnect"}]
    reply, lines = attack_scope(app, scope, messages)
    assert reply.error is None
    assert [] == lines
