"""Responses: what goes out is what Starlette sends, save where more is refused or kept apart."""

import asyncio
import inspect
import json
import os
import pickle
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from http import cookies
from types import SimpleNamespace
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import background as starlette_background
from starlette import requests as starlette_requests
from starlette import responses as starlette_responses

from lamella import _json, background, requests, responses
from lamella.applications import Lamella
from lamella.exceptions import LamellaDeprecationWarning, UsageError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    ORJSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    UJSONResponse,
)
from lamella.routing import Mount, Route


def library(responses_module, background_module, requests_module):
    """Gather the modules of one framework under the same names."""
    names = {**vars(background_module), **vars(responses_module)}
    return SimpleNamespace(**{**names, "ClientDisconnect": requests_module.ClientDisconnect})


OURS = library(responses, background, requests)
THEIRS = library(starlette_responses, starlette_background, starlette_requests)


def scope_of(kind="http", method="GET", spec="2.4", headers=(), **more):
    """Make an ASGI scope."""
    scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": spec},
        "http_version": "1.1",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": list(headers),
        "client": ("10.0.0.1", 1234),
        "server": ("example.org", 80),
    }
    if kind == "http":
        scope["method"] = method
    else:
        scope["extensions"] = {"websocket.http.response": {}}
    return {**scope, **more}


async def drive(app, scope, *, leaves_after=None, send_fails_after=None):
    """Run an app against a scripted client; what it sent, and what it raised or None."""
    sent = []
    left = asyncio.Event()
    first = True

    async def receive():
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if send_fails_after is not None and len(sent) >= send_fails_after:
            raise OSError("gone")
        sent.append({**message, "headers": list(message.get("headers", ()))})
        if len(sent) == leaves_after:
            left.set()

    if leaves_after == 0:
        left.set()
    try:
        await asyncio.wait_for(app(scope, receive, send), 10)
    except Exception as exc:
        return sent, exc
    return sent, None


def play(app, scope=None, **options):
    """Run `drive` on a loop of its own and expect no error."""
    sent, error = asyncio.run(drive(app, scope or scope_of(), **options))
    assert error is None, repr(error)
    return sent


def both(make, scope=None, **options):
    """Play the same response of both frameworks: theirs, ours."""
    return play(make(THEIRS), scope, **options), play(make(OURS), scope, **options)


def body_of(sent):
    """Join the body; only the last message may say that it is the last."""
    start, *bodies = sent
    assert start["type"].endswith("http.response.start")
    more = [message.get("more_body", False) for message in bodies]
    assert [True] * (len(bodies) - 1) + [False] == more
    return b"".join(message["body"] for message in bodies)


def headers_of(sent):
    """Tell the headers of the start as they went out."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0]["headers"]]


# --- whole responses


class Custom(dict):
    """Headers of a mapping class of the user's own."""


async def pieces(*parts):
    for part in parts:
        yield part


WHOLE = {
    "nothing": lambda m: m.Response(),
    "none": lambda m: m.Response(None),
    "bytes": lambda m: m.Response(b"\x00\xff"),
    "str": lambda m: m.Response("grün"),
    "empty-str": lambda m: m.Response(""),
    "memoryview": lambda m: m.Response(memoryview(b"abc")),
    "memoryview-of-ints": lambda m: m.Response(memoryview(b"abcdefgh").cast("I")),
    "memoryview-strided": lambda m: m.Response(memoryview(b"abcdef")[::2]),
    "media-type": lambda m: m.Response("a,b", media_type="text/csv"),
    "media-type-charset": lambda m: m.Response("a", media_type="text/csv; Charset=ascii"),
    "media-type-other": lambda m: m.Response("a", media_type="application/xml"),
    "media-type-empty": lambda m: m.Response("a", media_type=""),
    "status": lambda m: m.Response("a", status_code=418),
    "status-unknown": lambda m: m.Response("a", 799),
    "no-content": lambda m: m.Response(status_code=204),
    "no-content-with-body": lambda m: m.Response("a", status_code=204),
    "not-modified": lambda m: m.PlainTextResponse("a", status_code=304),
    "early": lambda m: m.Response(status_code=103),
    "reset": lambda m: m.Response(status_code=205),
    "headers": lambda m: m.Response("a", headers={"X-One": "1", "x-TWO": "zwölf"}),
    "headers-empty": lambda m: m.PlainTextResponse("a", headers={}),
    "headers-of-a-class": lambda m: m.Response("a", headers=Custom({"X-One": "1"})),
    "length-given": lambda m: m.PlainTextResponse("a", headers={"Content-Length": "17"}),
    "type-given": lambda m: m.PlainTextResponse("a", headers={"CONTENT-TYPE": "x/y"}),
    "both-given": lambda m: m.HTMLResponse(
        "a", headers={"content-type": "x", "content-length": "1"}
    ),
    "given-for-204": lambda m: m.Response(status_code=204, headers={"content-length": "0"}),
    "html": lambda m: m.HTMLResponse("<p>ä</p>"),
    "html-status": lambda m: m.HTMLResponse("no", 404, {"x": "y"}),
    "text": lambda m: m.PlainTextResponse("ok"),
    "json": lambda m: m.JSONResponse({"a": [1, 2.5, None, True, "ä\u2028"], "b": {}}),
    "json-none": lambda m: m.JSONResponse(None),
    "json-str": lambda m: m.JSONResponse('a"\\\n'),
    "json-number": lambda m: m.JSONResponse(10**30),
    "json-float": lambda m: m.JSONResponse(-0.1e-200),
    "json-tuple": lambda m: m.JSONResponse(((), ("a",))),
    "json-keys": lambda m: m.JSONResponse({2: 1, None: 2, True: 3, 1.5: 4}),
    "json-subclasses": lambda m: m.JSONResponse(Custom(a=type("I", (int,), {})(3))),
    "json-type": lambda m: m.JSONResponse({}, media_type="application/problem+json"),
    "json-headers": lambda m: m.JSONResponse([], 201, {"Location": "/1"}),
    "json-not-modified": lambda m: m.JSONResponse([], 304),
    "redirect": lambda m: m.RedirectResponse("/there?a=b#c"),
    "redirect-status": lambda m: m.RedirectResponse("https://example.org/", 303),
    "redirect-quoted": lambda m: m.RedirectResponse('/ä b"<>\\^`{|}\r\nx: y%20'),
    "redirect-headers": lambda m: m.RedirectResponse("/", headers={"X": "1", "Location": "/no"}),
}


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_response_is_sent_as_starlette_sends_it(name, kind):
    """Every message: status, headers in their order, body."""
    theirs, ours = both(WHOLE[name], scope_of(kind))
    assert theirs == ours


@pytest.mark.parametrize("name", WHOLE)
def test_attributes_are_those_of_starlette(name):
    """Layers look at them."""
    theirs, ours = WHOLE[name](THEIRS), WHOLE[name](OURS)
    for attribute in ("status_code", "media_type", "charset", "body", "raw_headers", "background"):
        assert getattr(theirs, attribute) == getattr(ours, attribute), attribute
    assert theirs.headers.items() == ours.headers.items()


def test_websocket_is_answered_by_a_denial():
    """ASGI extension `websocket.http.response`."""
    sent = play(PlainTextResponse("no", 403), scope_of("websocket"))
    assert ["websocket.http.response.start", "websocket.http.response.body"] == [
        message["type"] for message in sent
    ]


@pytest.mark.parametrize(("status", "code"), [(403, 1008), (200, 1008), (503, 1011)])
@pytest.mark.parametrize("extensions", [None, {}, {"http.response.pathsend": {}}])
def test_websocket_is_closed_where_no_denial_is_taken(status, code, extensions, tmp_path):
    """The server would refuse the messages; a stream is closed all the same, and the task run."""
    (tmp_path / "a.txt").write_text("a")
    events = []

    class Pieces:
        def __aiter__(self):
            return self

        async def aclose(self):
            events.append("closed")

    async def after():
        events.append("after")

    for response in (
        PlainTextResponse("no", status),
        StreamingResponse(Pieces(), status, background=after),
        FileResponse(tmp_path / "a.txt", status),
    ):
        sent = play(response, scope_of("websocket", extensions=extensions))
        assert [("websocket.close", code)] == [(m["type"], m["code"]) for m in sent]
    assert ["closed", "after"] == events


def test_signatures_are_those_of_starlette():
    """Moving is a changed import: no argument is called otherwise, or stands elsewhere."""
    for name in (
        "Response",
        "HTMLResponse",
        "PlainTextResponse",
        "JSONResponse",
        "RedirectResponse",
        "StreamingResponse",
        "FileResponse",
        "Response.set_cookie",
        "Response.delete_cookie",
        "Response.init_headers",
        "Response.render",
        "FileResponse.set_stat_headers",
        "StreamingResponse.stream_response",
        "StreamingResponse.listen_for_disconnect",
    ):
        theirs, ours = (
            inspect.signature(eval(name, dict(vars(library)))) for library in (THEIRS, OURS)
        )
        kept = [(p.name, p.kind, p.default) for p in theirs.parameters.values()]
        assert kept == [(p.name, p.kind, p.default) for p in ours.parameters.values()], name


def test_every_public_name_is_there():
    """Those that Starlette's module defines itself, and the aliases of its annotations."""
    own = {
        name
        for name, value in vars(starlette_responses).items()
        if not name.startswith("_")
        and getattr(value, "__module__", "") == starlette_responses.__name__
    }
    own |= {"Content", "SyncContentStream", "AsyncContentStream", "ContentStream"}
    own -= {"MalformedRangeHeader", "RangeNotSatisfiable"}  # only raised and caught inside
    assert set() == own - set(vars(responses))


@pytest.mark.parametrize(
    "name", [name for name in responses.__all__ if isinstance(getattr(responses, name), type)]
)
def test_classes_are_at_home_where_they_are_found(name):
    """Names in tracebacks and pickles are the public ones, however the module is divided."""
    cls = getattr(responses, name)
    assert ("lamella.responses", name) == (cls.__module__, cls.__qualname__)
    assert cls is pickle.loads(pickle.dumps(cls))


def test_response_can_be_pickled():
    """A cache may do so."""
    response = JSONResponse({"a": 1}, headers={"x-one": "1"})
    found = pickle.loads(pickle.dumps(response))
    assert (b'{"a":1}', "1") == (found.body, found.headers["x-one"])


def test_subclass_sets_media_type_and_charset():
    """The usual way to a response class of one's own."""

    def make(m):
        class Latin(m.Response):
            media_type = "text/x-latin"
            charset = "latin-1"

        return Latin("grün")

    theirs, ours = both(make)
    assert theirs == ours
    assert b"gr\xfcn" == body_of(ours)


def test_subclass_renders_content_of_its_own():
    """`render` is a public hook; an `__init__` that calls nothing but `init_headers` is common."""

    def make(m):
        class Lines(m.Response):
            media_type = "text/plain"

            def render(self, content):
                return "\n".join(content).encode()

        class Bare(m.Response):
            def __init__(self):
                self.status_code = 200
                self.body = b"x"
                self.background = None
                self.init_headers({"a": "b"})

        return [Lines(["a", "b"]), Bare()]

    for index in (0, 1):
        theirs, ours = both(lambda m, index=index: make(m)[index])
        assert theirs == ours


@pytest.mark.parametrize("content", [{"a": 1}, 5, object(), bytearray(b"a")])
def test_content_of_a_wrong_type_is_refused_when_the_response_is_made(content):
    """In the endpoint that made it, with its line in the traceback; as Starlette, which says less."""
    with pytest.raises(AttributeError):
        starlette_responses.Response(content)
    with pytest.raises(AttributeError):
        Response(content)


def test_headers_changed_later_go_out():
    """`headers` is a view of `raw_headers`, not a copy."""

    def make(m):
        response = m.PlainTextResponse("a", headers={"x-old": "1", "x-gone": "1"})
        response.headers["X-Old"] = "2"
        response.headers.append("x-new", "3")
        response.headers.setdefault("x-new", "4")
        response.headers.add_vary_header("Cookie")
        del response.headers["x-gone"]
        response.raw_headers.append((b"x-raw", b"5"))
        response.status_code = 201
        return response

    theirs, ours = both(make)
    assert theirs == ours


# --- headers that could split a response

BREAKING = ["a\r\nx: y", "a\n", "\r", "a\0b"]


@pytest.mark.parametrize("value", BREAKING)
@pytest.mark.parametrize(
    "cls", [Response, HTMLResponse, PlainTextResponse, JSONResponse], ids=lambda cls: cls.__name__
)
def test_header_value_that_could_end_its_line_is_refused(cls, value):
    """RFC 9110 section 5.5; Starlette hands it to the server."""
    with pytest.raises(ValueError, match="x-user"):
        cls("a", headers={"x-user": value})


@pytest.mark.parametrize("value", BREAKING)
@pytest.mark.parametrize("name", ["x-user", "content-type", "location"])
def test_header_set_later_is_checked_too(name, value):
    """Whichever way it comes in."""
    response = PlainTextResponse("a")
    before = list(response.raw_headers)
    for change in (
        lambda: response.headers.__setitem__(name, value),
        lambda: response.headers.append(name, value),
        lambda: response.headers.update({name: value}),
    ):
        with pytest.raises(ValueError, match=name):
            change()
    assert before == response.raw_headers


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "ä", "a\0"])
def test_header_name_that_is_no_token_is_refused(name):
    """RFC 9110 section 5.1."""
    with pytest.raises(ValueError, match="header name"):
        Response("a", headers={name: "1"})


@pytest.mark.parametrize("value", BREAKING)
@pytest.mark.parametrize(
    "make",
    [
        lambda value: Response("a", media_type="text/plain" + value),
        lambda value: StreamingResponse(pieces(), media_type=value),
        lambda value: FileResponse("x", media_type=value),
        lambda value: FileResponse("x", headers={"etag": value}),
        lambda value: RedirectResponse("/", headers={"x": value}),
    ],
    ids=["media-type", "stream", "file", "file-header", "redirect"],
)
def test_no_argument_lets_a_line_end_through(make, value):
    """A media type and a file's headers may hold what a client sent, too."""
    with pytest.raises(ValueError, match="CR, LF and NUL"):
        make(value)


def test_value_beyond_latin_1_is_refused_when_it_is_set():
    """There is no way to send it; as Starlette."""
    for cls in (starlette_responses.Response, Response):
        with pytest.raises(UnicodeEncodeError):
            cls("a", headers={"x": "€"})


@given(st.text(max_size=40))
def test_redirect_never_ends_its_line(target):
    """Every text becomes one header value, the one that Starlette sends."""
    try:
        expected = starlette_responses.RedirectResponse(target).headers["location"]
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            RedirectResponse(target)
    else:
        actual = RedirectResponse(target).headers["location"]
        assert expected == actual
        assert not set("\r\n\0") & set(actual)


# --- JSON


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("inside", [lambda v: v, lambda v: [v], lambda v: {"a": [{"b": v}]}])
def test_json_cannot_hold_what_is_no_number(value, inside):
    """RFC 8259 section 6; as Starlette."""
    for cls in (starlette_responses.JSONResponse, JSONResponse):
        with pytest.raises(ValueError, match="not JSON compliant"):
            cls(inside(value))


def circular(kind):
    """Make a value that holds itself."""
    items: list = []
    value = {"dict": {"a": items}, "list": items, "long": items}[kind]
    items += [[1], value, {"b": value}] if kind == "long" else [value]
    return value


@pytest.mark.parametrize("kind", ["dict", "list", "long"])
def test_json_value_that_holds_itself_is_an_error_that_says_so(kind):
    """As `json.dumps`, and not an exhausted stack."""
    for cls in (starlette_responses.JSONResponse, JSONResponse):
        with pytest.raises(ValueError, match="Circular reference"):
            cls(circular(kind))


def test_json_encoder_works_again_after_a_value_that_holds_itself():
    """The encoder is shared by all responses."""
    with pytest.raises(ValueError, match="Circular reference"):
        JSONResponse(circular("dict"))
    assert b'{"a":1}' == JSONResponse({"a": 1}).body


def test_json_value_that_is_used_twice_is_not_circular():
    """The same object in two places is fine."""
    shared = {"a": 1}
    assert b'[{"a":1},{"a":1}]' == JSONResponse([shared, shared]).body


@pytest.mark.parametrize("value", [object(), {1, 2}, b"a", {(1,): 1}, datetime(2026, 1, 1)])
def test_json_says_what_it_cannot_hold(value):
    """A `TypeError`, as `json.dumps`."""
    with pytest.raises(TypeError) as expected:
        starlette_responses.JSONResponse(value)
    with pytest.raises(TypeError) as actual:
        JSONResponse(value)
    assert str(expected.value) == str(actual.value)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(JSON_VALUES)
def test_json_of_any_value_is_that_of_starlette(value):
    """Byte for byte, and it can be read back."""
    expected = starlette_responses.JSONResponse(value).body
    assert expected == JSONResponse(value).body
    assert value == json.loads(expected)


def test_json_without_the_c_encoder_is_the_same(monkeypatch):
    """Other Pythons have none."""
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    encode = _json.make_encoder()
    assert '{"a":["ä",1.5,null]}' == encode({"a": ["ä", 1.5, None]})


def test_json_dumps_in_place_of_the_usual_one_is_used(monkeypatch):
    """To watch it, or to encode otherwise: `mock.patch("....responses.json.dumps")`."""
    with mock.patch("lamella.responses.json.dumps", wraps=json.dumps) as watched:
        assert b'{"a":"\xc3\xa4"}' == JSONResponse({"a": "ä"}).body
    expected = {"ensure_ascii": False, "allow_nan": False, "indent": None}
    watched.assert_called_once_with({"a": "ä"}, **expected, separators=(",", ":"))
    assert b"1" == JSONResponse(1).body
    watched.assert_called_once()
    other = SimpleNamespace(dumps=lambda content, **options: "other")
    monkeypatch.setattr(responses, "json", other)
    assert b"other" == JSONResponse(1).body


# --- cookies

MORNING = datetime(2026, 11, 22, 7, 8, 9, tzinfo=timezone.utc)

COOKIES = {
    "plain": {},
    "empty": {"value": ""},
    "max-age": {"max_age": 3600},
    "max-age-zero": {"max_age": 0},
    "max-age-negative": {"max_age": -1},
    "expires-date": {"expires": MORNING},
    "expires-seconds": {"expires": 60},
    "expires-zero": {"expires": 0},
    "expires-past": {"expires": -60},
    "expires-text": {"expires": "Sun, 22 Nov 2026 07:08:09 GMT"},
    "expires-empty": {"expires": ""},
    "path": {"path": "/a/b"},
    "path-none": {"path": None},
    "path-empty": {"path": ""},
    "path-blank": {"path": "/a b"},
    "domain": {"domain": "example.org"},
    "domain-empty": {"domain": ""},
    "secure": {"secure": True},
    "httponly": {"httponly": True},
    "samesite-strict": {"samesite": "strict"},
    "samesite-none": {"samesite": "none", "secure": True},
    "samesite-upper": {"samesite": "LAX"},
    "samesite-absent": {"samesite": None},
    "all": {
        "value": "v",
        "max_age": 1,
        "expires": MORNING,
        "path": "/p",
        "domain": "d.example",
        "secure": True,
        "httponly": True,
        "samesite": "strict",
    },
    "value-blank": {"value": "a b"},
    "value-quotes": {"value": 'a"b\\c'},
    "value-semicolon": {"value": "a; Path=/; b"},
    "value-comma": {"value": "a,b"},
    "value-controls": {"value": "a\r\nb\0c\x7f"},
    "value-latin-1": {"value": "grün"},
    "value-token": {"value": "!#$%&'*+-.^_`|~:"},
}


@pytest.fixture
def still(monkeypatch):
    """Let the clock stand, for dates that are seconds from now."""
    monkeypatch.setattr(time, "time", lambda: 1_795_000_000.25)


@pytest.mark.parametrize("name", COOKIES)
def test_cookie_is_that_of_starlette(name, still):
    """Every argument, and the order of the attributes."""

    def make(m):
        response = m.Response()
        response.set_cookie("name", **COOKIES[name])
        return response

    theirs, ours = both(make)
    assert theirs == ours
    assert "set-cookie" == headers_of(ours)[-1][0]


def test_attributes_stand_in_the_order_of_the_standard_library(still):
    """Written out, so that both frameworks cannot change alike unseen."""
    response = Response()
    response.set_cookie("name", **COOKIES["all"])
    assert response.headers["set-cookie"] == (
        "name=v; Domain=d.example; expires=Sun, 22 Nov 2026 07:08:09 GMT; HttpOnly; Max-Age=1;"
        " Path=/p; SameSite=strict; Secure"
    )


@pytest.mark.parametrize(
    "arguments",
    [{}, {"path": "/p"}, {"domain": "d.example"}, {"secure": True, "httponly": True},
     {"samesite": "none"}, {"samesite": None}],
    ids=str,
)  # fmt: skip
def test_deleted_cookie_is_that_of_starlette(arguments, still):
    """It is found by its path and domain."""

    def make(m):
        response = m.Response()
        response.delete_cookie("name", **arguments)
        return response

    theirs, ours = both(make)
    assert theirs == ours


def test_each_cookie_is_a_header_of_its_own():
    """They cannot be joined (RFC 6265 section 3)."""

    def make(m):
        response = m.Response()
        for name in ("a", "b", "a"):
            response.set_cookie(name, "1")
        return response

    theirs, ours = both(make)
    assert theirs == ours
    assert 3 == len([name for name, _ in headers_of(ours) if name == "set-cookie"])


def test_partitioned_cookie_is_set_from_python_3_14_on(monkeypatch):
    """As in Starlette, whose cookies are those of the standard library."""
    monkeypatch.setattr("lamella._cookies._HAS_PARTITIONED", True)
    response = Response()
    response.set_cookie("a", "b", partitioned=True, secure=True)
    assert "a=b; Partitioned; Path=/; SameSite=lax; Secure" == response.headers["set-cookie"]
    response = Response()
    response.delete_cookie("a", partitioned=True)
    assert "; Partitioned; Path=/" in response.headers["set-cookie"]


def test_partitioned_cookie_is_refused_before_python_3_14(monkeypatch):
    """The same program sets the same cookies on both."""
    monkeypatch.setattr("lamella._cookies._HAS_PARTITIONED", False)
    response = Response()
    with pytest.raises(ValueError, match=r"^Partitioned cookies are only supported in Python 3.14"):
        response.set_cookie("a", "b", partitioned=True)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("name", ["a b", "a;b", "a=b", "", "a\r\n", "ä", "expires", "Path"])
def test_cookie_name_that_is_no_token_is_refused(name):
    """As Starlette, by the same class."""
    for cls in (starlette_responses.Response, Response):
        with pytest.raises(cookies.CookieError):
            cls().set_cookie(name, "v")


@pytest.mark.parametrize("character", [";", "\r", "\n", "\0", "\t", "\x1f", "\x7f"])
@pytest.mark.parametrize("name", ["path", "domain", "expires"])
def test_attribute_that_could_end_itself_is_refused(name, character):
    """What a client chose (a path, say) must not add attributes; Starlette lets it through."""
    response = Response()
    with pytest.raises(ValueError, match=name):
        response.set_cookie("a", "b", **{name: f"/x{character}Secure"})
    assert ["content-length"] == response.headers.keys()


@pytest.mark.parametrize("samesite", ["", "Lax; Secure", "off"])
def test_unknown_samesite_is_refused_however_python_runs(samesite):
    """Starlette's `AssertionError` vanishes under -O; ours is one, and a `ValueError`."""
    with pytest.raises(AssertionError):
        starlette_responses.Response().set_cookie("a", samesite=samesite)
    with pytest.raises(UsageError, match="samesite"):
        Response().set_cookie("a", samesite=samesite)


def test_naive_date_is_refused():
    """It would be sent as if it were GMT; as Starlette."""
    for cls in (starlette_responses.Response, Response):
        with pytest.raises(ValueError):
            cls().set_cookie("a", expires=datetime(2026, 1, 1))
        with pytest.raises(ValueError):
            cls().set_cookie("a", expires=MORNING.astimezone(timezone(timedelta(hours=2))))


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=40))
def test_no_cookie_value_can_end_its_line_or_its_cookie(value):
    """It is quoted as Starlette does it, and comes back as it was."""
    theirs, ours = starlette_responses.Response(), Response()
    theirs.set_cookie("a", value)
    ours.set_cookie("a", value)
    assert theirs.raw_headers == ours.raw_headers
    line = ours.headers["set-cookie"]
    assert not set("\r\n\0") & set(line)
    pair = line.removesuffix("; Path=/; SameSite=lax")
    assert ";" not in pair


# --- streams


class Iterable:
    """An async iterable that is no generator, and counts how it is closed."""

    def __init__(self, *parts):
        self.parts = parts
        self.closed = 0

    def __aiter__(self):
        return pieces(*self.parts)

    async def aclose(self):
        self.closed += 1


def sync_pieces(*parts):
    yield from parts


STREAMS = {
    "async": lambda m: m.StreamingResponse(pieces(b"a", b"", "grün", memoryview(b"c"))),
    "async-empty": lambda m: m.StreamingResponse(pieces()),
    "async-iterable": lambda m: m.StreamingResponse(Iterable(b"a", b"b")),
    "sync": lambda m: m.StreamingResponse(sync_pieces(b"a", "grün")),
    "list": lambda m: m.StreamingResponse([b"a", b"b"]),
    "list-empty": lambda m: m.StreamingResponse([]),
    "text": lambda m: m.StreamingResponse("abc"),
    "type": lambda m: m.StreamingResponse([b"a"], 202, {"X": "y"}, "text/csv"),
    "length": lambda m: m.StreamingResponse([b"a"], headers={"content-length": "1"}),
    "no-content": lambda m: m.StreamingResponse([], 204),
}


@pytest.mark.parametrize("spec", ["2.0", "2.3", "2.4", "2.10", "2.4.1"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("name", STREAMS)
def test_stream_is_sent_as_starlette_sends_it(name, kind, spec):
    """Every piece a message, the end a message of its own."""
    theirs, ours = both(STREAMS[name], scope_of(kind, spec=spec))
    assert theirs == ours


def test_stream_of_a_scope_without_versions_is_sent():
    """An older server says nothing."""
    scope = scope_of()
    del scope["asgi"]
    theirs, ours = both(STREAMS["async"], scope)
    assert theirs == ours


def test_subclass_with_a_charset_of_its_own_streams_in_it():
    """Text is encoded piece by piece."""

    def make(m):
        class Latin(m.StreamingResponse):
            charset = "latin-1"
            media_type = "text/plain"

        return Latin(pieces("ü"))

    theirs, ours = both(make)
    assert theirs == ours
    assert b"\xfc" == body_of(ours)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_send_that_fails_ends_a_stream_by_client_disconnect(count):
    """Spec 2.4: an `OSError` of `send` says that the client is gone; the class is Starlette's."""
    source = Iterable(b"a", b"b")
    scope = scope_of(spec="2.4")
    make = lambda m: m.StreamingResponse(Iterable(b"a", b"b"))
    theirs, their_error = asyncio.run(drive(make(THEIRS), scope, send_fails_after=count))
    ours, error = asyncio.run(drive(StreamingResponse(source), scope, send_fails_after=count))
    assert THEIRS.ClientDisconnect is type(their_error)
    assert OURS.ClientDisconnect is type(error)
    assert theirs == ours
    assert 1 == source.closed


def test_error_of_the_source_itself_is_not_taken_for_a_client_that_left():
    """An `OSError` of a disk is none of the client's; Starlette calls it `ClientDisconnect`."""

    async def broken():
        yield b"a"
        raise OSError("disk")

    sent, error = asyncio.run(drive(StreamingResponse(broken()), scope_of(spec="2.4")))
    assert "disk" == str(error)
    assert 2 == len(sent)
    assert sent[-1]["more_body"]


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_error_in_a_stream_leaves_the_body_unfinished(spec):
    """The client must be able to tell that there is more."""

    async def broken():
        yield b"a"
        raise LookupError("inside")

    for cls in (starlette_responses.StreamingResponse, StreamingResponse):
        sent, error = asyncio.run(drive(cls(broken()), scope_of(spec=spec)))
        assert LookupError is type(error)
        assert [True] == [message["more_body"] for message in sent[1:]]


def test_stream_stops_when_the_client_leaves_silently():
    """Spec 2.3: `send` says nothing, `receive` does; the generator runs its `finally`."""
    ended = []

    async def endless():
        try:
            while True:
                yield b"a"
                await asyncio.sleep(0)
        finally:
            ended.append(True)

    app = StreamingResponse(endless())
    _, error = asyncio.run(drive(app, scope_of(spec="2.3"), leaves_after=3))
    assert error is None
    assert [True] == ended


def test_stream_does_not_begin_for_a_client_that_has_left():
    """Spec 2.3 again; what it would have drawn from is closed all the same."""
    source = Iterable(b"a")
    app = StreamingResponse(source)
    sent, error = asyncio.run(drive(app, scope_of(spec="2.3"), leaves_after=0))
    assert ([], None) == (sent, error)
    assert 1 == source.closed


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_source_of_a_stream_is_closed_at_the_end(kind, spec):
    """Once, in the task that drew from it."""
    source = Iterable(b"a")
    play(StreamingResponse(source), scope_of(kind, spec=spec))
    assert 1 == source.closed


def test_every_source_is_closed_although_one_fails():
    """The newest first; the first error comes out."""
    order = []

    class Source(Iterable):
        async def aclose(self):
            order.append(self.parts[0])
            raise LookupError(self.parts[0])

    response = StreamingResponse(Source("first"))
    response.body_iterator = Source("second")
    response.body_iterator = Iterable("third")
    with pytest.raises(LookupError, match="second"):
        asyncio.run(response.aclose())
    assert ["second", "first"] == order
    asyncio.run(response.aclose())
    assert ["second", "first"] == order


def test_listen_for_disconnect_waits_for_the_disconnect():
    """Subclasses written for Starlette call it."""
    messages = [{"type": "http.request"}, {"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    asyncio.run(StreamingResponse([]).listen_for_disconnect(receive))
    assert [] == messages


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_own_stream_response_of_a_subclass_is_what_is_sent(spec):
    """It is a public hook."""

    def make(m):
        class Twice(m.StreamingResponse):
            async def stream_response(self, send):
                await send({"type": "http.response.start", "status": 299, "headers": []})
                async for part in self.body_iterator:
                    await send({"type": "http.response.body", "body": part * 2, "more_body": True})
                await send({"type": "http.response.body", "body": b""})

        return Twice(pieces(b"a", b"b"))

    theirs, ours = both(make, scope_of(spec=spec))
    assert theirs == ours
    assert b"aabb" == body_of(ours)


# --- background tasks

MAKERS = {
    "whole": lambda m, task: m.PlainTextResponse("a", background=task),
    "json": lambda m, task: m.JSONResponse("a", background=task),
    "redirect": lambda m, task: m.RedirectResponse("/", background=task),
    "stream": lambda m, task: m.StreamingResponse([b"a"], background=task),
}


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("name", MAKERS)
def test_background_task_runs_after_the_last_message(name, kind, spec):
    """As Starlette: the client has everything by then."""
    results = []
    for library in (THEIRS, OURS):
        log = []

        async def app(scope, receive, send, library=library, log=log):
            async def logged(message):
                log.append(message["type"])
                await send(message)

            async def work(word):
                log.append(word)

            task = library.BackgroundTask(work, "task")
            await MAKERS[name](library, task)(scope, receive, logged)

        play(app, scope_of(kind, spec=spec))
        results.append(log)
    assert results[0] == results[1]
    assert "task" == results[1][-1]


def test_background_may_be_set_later():
    """Layers add tasks of their own."""
    ran = []
    response = PlainTextResponse("a")
    assert response.background is None

    async def work():
        ran.append(True)

    response.background = background.BackgroundTask(work)
    play(response)
    assert [True] == ran


# --- the body as a stream, on every kind


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "digits.txt"
    path.write_bytes(b"0123456789")
    return path


KINDS = {
    "response": lambda path: Response("0123456789"),
    "html": lambda path: HTMLResponse("0123456789"),
    "text": lambda path: PlainTextResponse("0123456789"),
    "json": lambda path: JSONResponse(123456789),
    "view": lambda path: Response(memoryview(b"0123456789")),
    "none": lambda path: Response(status_code=204),
    "redirect": lambda path: RedirectResponse("/"),
    "stream": lambda path: StreamingResponse([b"01234", b"56789"]),
    "file": lambda path: FileResponse(path),
}


async def joined(iterator):
    return b"".join([bytes(part) async for part in iterator])


@pytest.mark.parametrize("name", KINDS)
def test_body_iterator_gives_what_would_be_sent(name, file):
    """A layer need not know what kind of response it has."""

    async def main():
        response = KINDS[name](file)
        await response.settle(scope_of())
        return await joined(response.body_iterator)

    assert body_of(play(KINDS[name](file))) == asyncio.run(main())


@pytest.mark.parametrize("name", KINDS)
def test_body_iterator_that_is_set_is_sent(name, file):
    """Drawing from the old one, which is closed in the end."""

    async def app(scope, receive, send):
        response = KINDS[name](file)
        await response.settle(scope)
        old = response.body_iterator

        async def doubled():
            async for part in old:
                yield bytes(part) * 2

        response.body_iterator = doubled()
        if "content-length" in response.headers:
            response.headers["content-length"] = "20"
        await response(scope, receive, send)

    expected = body_of(play(KINDS[name](file)))
    actual = body_of(play(app))
    assert len(expected) * 2 == len(actual)
    assert sorted(expected * 2) == sorted(actual)


def test_body_iterator_of_a_whole_response_may_be_read_twice():
    """The body is still there."""
    response = PlainTextResponse("abc")

    async def main():
        return await joined(response.body_iterator), await joined(response.body_iterator)

    assert (b"abc", b"abc") == asyncio.run(main())
    assert b"abc" == body_of(play(response))


def test_unsettled_file_says_what_to_do():
    """Which bytes go out hangs on the request."""
    with pytest.raises(RuntimeError, match="settle"):
        _ = FileResponse("x").body_iterator


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_stream_that_a_layer_reads_ends_with_the_client(kind, file):
    """Whatever response it was put on: it may be endless, and nobody is there for it."""
    drawn, ended = [], []

    async def endless():
        try:
            for number in range(1000):
                drawn.append(number)
                yield b"a"
                await asyncio.sleep(0)
        finally:
            ended.append(True)

    async def endpoint(request):
        if kind == "stream":
            return StreamingResponse(endless())
        response = FileResponse(file)
        response.body_iterator = endless()
        return response

    async def reads(request, call_next):
        response = await call_next(request)
        return Response(b"".join([part async for part in response.body_iterator]))

    app = Lamella(routes=[Route("/", endpoint)], middleware=[reads])
    sent, error = asyncio.run(drive(app, scope_of(spec="2.3"), leaves_after=0))
    assert ([], None, [True]) == (sent, error, ended)
    assert len(drawn) < 100


def pathsend(path):
    """Send a file to a server that can send files itself; the message that names it."""
    scope = scope_of(extensions={"http.response.pathsend": {}})
    (message,) = (m for m in play(FileResponse(path), scope) if "path" in m)
    return message["path"]


def test_path_given_as_bytes_is_sent_as_its_text(file):
    """The server opens what it is told; the `repr` of bytes is no file."""
    assert str(file) == pathsend(os.fsencode(file)) == pathsend(str(file)) == pathsend(file)


def test_relative_path_is_sent_as_an_absolute_one(file, monkeypatch):
    """As the pathsend extension asks: the server may stand in another directory."""
    monkeypatch.chdir(file.parent)
    assert str(file) == pathsend(file.name)


# --- one object for many requests


def counting(index):
    """Make a layer that changes all it can of the response."""

    async def dispatch(request, call_next):
        response = await call_next(request)
        tag = request.headers["x-tag"]
        response.headers.append(f"x-layer-{index}", tag)
        response.headers["x-last"] = tag
        response.set_cookie("tag", tag)
        response.status_code += 1
        if "content-length" in response.headers:
            del response.headers["content-length"]
        old = response.body_iterator

        async def tagged():
            async for part in old:
                yield part
            yield f"[{index}:{tag}]".encode()

        response.body_iterator = tagged()
        await asyncio.sleep(0)
        return response

    return Middleware(BaseHTTPMiddleware, dispatch=dispatch)


class Reused:
    """A stream that can be sent as often as one likes."""

    def __aiter__(self):
        return pieces(b"0123", b"456789")


SHARED = {
    "response": lambda path: Response("0123456789"),
    "json": lambda path: JSONResponse(123456789, headers={"x-own": "1"}),
    "empty": lambda path: Response(),
    "redirect": lambda path: RedirectResponse("/"),
    "stream": lambda path: StreamingResponse(Reused()),
    "file": lambda path: FileResponse(path, headers={"x-own": "1"}),
}


def in_app(response, layers):
    async def endpoint(request):
        return response

    return Lamella(routes=[Route("/", endpoint)], middleware=layers)


def tagged_scope(number):
    return scope_of(headers=[(b"x-tag", b"%d" % number)])


def seen(sent):
    """Tell what a client got, without the dates of the file system."""
    return sent[0]["status"], headers_of(sent), body_of(sent)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("together", [True, False], ids=["together", "in-turn"])
@pytest.mark.parametrize("name", SHARED)
def test_object_returned_for_many_requests_is_the_same_for_each(name, together, layers, file):
    """No request sees what a layer did to the response of another."""
    app = in_app(SHARED[name](file), [counting(index) for index in range(layers)])

    async def main():
        numbers = range(5)
        if together:
            return await asyncio.gather(*(drive(app, tagged_scope(n)) for n in numbers))
        return [await drive(app, tagged_scope(n)) for n in numbers]

    results = asyncio.run(main())
    assert [None] * 5 == [error for _, error in results]
    for number, (sent, _) in enumerate(results):
        fresh = in_app(SHARED[name](file), [counting(index) for index in range(layers)])
        assert seen(play(fresh, tagged_scope(number))) == seen(sent)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_changes_of_the_endpoint_itself_to_its_shared_object_are_sent(layers):
    """It may be made once and filled for each request: an older state would be another's answer."""
    response = PlainTextResponse("0")
    numbers = iter(range(1, 10))

    async def endpoint(request):
        number = str(next(numbers))
        response.headers["x-number"] = number
        response.body = number.encode()
        return response

    async def passes(request, call_next):
        return await call_next(request)

    app = Lamella(routes=[Route("/", endpoint)], middleware=[passes] * layers)
    got = [play(app) for _ in range(4)]
    assert [b"1", b"2", b"3", b"4"] == [body_of(sent) for sent in got]
    told = [dict(sent[0]["headers"])[b"x-number"] for sent in got]
    assert [b"1", b"2", b"3", b"4"] == told


def test_shared_file_answers_each_request_with_its_own_range(file):
    """Whichever was asked for first."""
    app = in_app(FileResponse(file), [])
    bodies = [
        body_of(play(app, scope_of(headers=[(b"range", asked)] if asked else [])))
        for asked in (b"bytes=0-1", b"", b"bytes=5-", b"bytes=0-1")
    ]
    assert [b"01", b"0123456789", b"56789", b"01"] == bodies


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "by-hand"])
def test_object_called_as_an_app_answers_many_requests(name, mounted, file):
    """`Mount("/x", app=PlainTextResponse("ok"))` is in use; so is a file in its place."""
    response = SHARED[name](file)
    app = Lamella(routes=[Mount("/", app=response)]) if mounted else response
    ranged = scope_of(headers=[(b"range", b"bytes=2-3")])
    expected = seen(play(SHARED[name](file)))
    assert [expected] * 2 == [seen(play(app)) for _ in range(2)]
    if name == "file":
        assert b"23" == body_of(play(app, ranged))
    assert expected == seen(play(app))


def test_background_task_of_a_shared_object_runs_for_each_request():
    """It belongs to the response, not to its first request."""
    ran = []

    async def work():
        ran.append(True)

    response = PlainTextResponse("a", background=background.BackgroundTask(work))
    for layers in ([], [counting(0)]):
        ran.clear()
        app = in_app(response, layers)
        for _ in range(3):
            play(app, tagged_scope(1))
        assert [True] * 3 == ran


@pytest.mark.parametrize("how", ["plain", "layered", "mounted"])
def test_pure_asgi_layer_that_changes_the_headers_in_place_changes_one_response(how):
    """Many do it: the list in the message must not be the one that the object keeps."""

    def adds(app):
        async def layer(scope, receive, send):
            async def changed(message):
                if message["type"] == "http.response.start":
                    message["headers"].append((b"x-added", b"1"))
                await send(message)

            await app(scope, receive, changed)

        return layer

    response = PlainTextResponse("a")
    layers = [Middleware(adds), *([counting(0)] if how == "layered" else [])]
    app = in_app(response, layers)
    if how == "mounted":
        app = Lamella(routes=[Mount("/", app=response)], middleware=layers)
    first, second = (headers_of(play(app, tagged_scope(1))) for _ in range(2))
    assert first == second


# --- what a layer builds anew


def test_response_built_of_another_ones_parts_keeps_them():
    """Body, status and headers of one are what the next takes."""

    def make(m):
        old = m.JSONResponse({"a": 1}, 201, {"x": "1"})
        return m.Response(old.body, old.status_code, dict(old.headers), old.media_type)

    theirs, ours = both(make)
    assert theirs == ours


def test_headers_given_as_our_own_headers_are_taken_with_their_repeats():
    """`Response(headers=old.headers)` keeps every cookie."""

    def make(m):
        old = m.Response("a")
        old.set_cookie("a", "1")
        old.set_cookie("b", "2")
        return m.Response("bb", headers=old.headers)

    assert issubclass(type(Response().headers), Mapping)
    theirs, ours = both(make)
    assert theirs == ours


@pytest.mark.parametrize("url", ["a.css", "dir/a.tar.gz", "a", "", "a.HTML"])
def test_guess_type_is_that_of_starlette(url):
    """Type and encoding by the name."""
    assert starlette_responses.guess_type(url) == responses.guess_type(url)


def stand_in(monkeypatch, package, dumps, **names):
    """Put a module in the place of one that need not be installed."""
    monkeypatch.setitem(sys.modules, package, SimpleNamespace(dumps=dumps, **names))


def test_orjson_writes_with_keys_that_are_no_text_and_arrays_of_numpy(monkeypatch):
    """The options are those that FastAPI gives it."""
    calls = []
    options = {"OPT_NON_STR_KEYS": 4, "OPT_SERIALIZE_NUMPY": 16}
    dumps = lambda content, option: calls.append((content, option)) or b"{}"  # noqa: E731
    stand_in(monkeypatch, "orjson", dumps, **options)
    with pytest.warns(LamellaDeprecationWarning, match="ORJSONResponse") as caught:
        response = ORJSONResponse({1: 2}, 201, {"x": "y"})
    assert __file__ == caught[0].filename
    assert [({1: 2}, 20)] == calls
    assert (201, b"{}", "y") == (response.status_code, response.body, response.headers["x"])
    assert "application/json" == response.headers["content-type"]


def test_ujson_writes_plain_utf8(monkeypatch):
    stand_in(monkeypatch, "ujson", lambda content, ensure_ascii: f"{content} {ensure_ascii}")
    with pytest.warns(LamellaDeprecationWarning, match="UJSONResponse") as caught:
        response = UJSONResponse("ä")
    assert __file__ == caught[0].filename
    assert "ä False".encode() == response.body


@pytest.mark.parametrize(("cls", "package"), [(ORJSONResponse, "orjson"), (UJSONResponse, "ujson")])
@pytest.mark.filterwarnings("ignore::lamella.exceptions.LamellaDeprecationWarning")
def test_without_the_package_the_error_says_what_to_install(cls, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"pip install {package}$"):
        cls({})
