"""What a client, or a mistake, may try with a session."""

import base64
import json

import pytest
from itsdangerous import Signer, TimestampSigner

from lamella.applications import Lamella
from lamella.exceptions import UsageError
from lamella.middleware import Middleware
from lamella.middleware.sessions import SessionMiddleware
from lamella.responses import JSONResponse
from lamella.routing import Route
from tests.parity.drive import ask

KEY = "a key of the tests"


async def endpoint(request):
    return JSONResponse(request.session)


async def fill(request):
    request.session["a"] = "x" * int(request.query_params["size"])
    return JSONResponse({})


def app_of(**options):
    routes = [Route("/", endpoint), Route("/fill", fill)]
    options = {"secret_key": KEY} | options
    return Lamella(routes=routes, middleware=[Middleware(SessionMiddleware, **options)])


def read(cookie):
    """The session that a cookie is taken for."""
    reply = ask(app_of(), headers=[("cookie", f"session={cookie}")])
    assert reply.error is None
    assert 200 == reply.status
    return json.loads(reply.body)


def refused(**options):
    app = app_of(**options)
    with pytest.raises(UsageError) as caught:
        app.build_middleware_stack()
    return str(caught.value)


JUNK = {
    "empty": b"",
    "no base64": b"!",
    "cut base64": b"eyJhIjogMX",
    "no UTF-8": base64.b64encode(b"\xff\xfe\xfd"),
    "no JSON": base64.b64encode(b"{"),
    "null": base64.b64encode(b"null"),
    "a list": base64.b64encode(b'[["a", 1]]'),
    "a text": base64.b64encode(b'"a"'),
    "a number": base64.b64encode(b"1"),
    "a number of many digits": base64.b64encode(b'{"a": ' + b"9" * 5000 + b"}"),
    "deep": base64.b64encode(b'{"a": ' + b"[" * 100_000),
    "half a surrogate": base64.b64encode(b'{"a": '),
    "another's pickle": base64.b64encode(b"\x80\x04}."),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_that_is_validly_signed_is_an_empty_session(junk):
    """The key may have signed something else; a 500 would lock that browser out for good."""
    assert {} == read(TimestampSigner(KEY).sign(junk).decode())


GOOD = TimestampSigner(KEY).sign(base64.b64encode(b'{"a": 1}')).decode()


def test_cookie_that_was_signed_is_taken():
    """Or none of the tests here could fail."""
    assert {"a": 1} == read(GOOD)


@pytest.mark.parametrize("position", range(len(GOOD)))
def test_cookie_that_was_changed_is_an_empty_session(position):
    """At any place: content, time and signature."""
    changed = "A" if GOOD[position] != "A" else "B"
    if position == len(GOOD) - 1:
        changed = "!"  # the last character of base64 has bits that count for nothing
    assert {} == read(GOOD[:position] + changed + GOOD[position + 1 :])


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "null",
        "\xff.\xfe.\xfd",
        "x" * 60_000,
        "." * 60_000,
        base64.b64encode(b'{"a": 1}').decode(),
        Signer(KEY).sign(base64.b64encode(b'{"a": 1}')).decode(),
        TimestampSigner("another key").sign(base64.b64encode(b'{"a": 1}')).decode(),
        TimestampSigner(KEY, salt=b"another").sign(base64.b64encode(b'{"a": 1}')).decode(),
    ],
)
def test_cookie_that_is_not_signed_is_an_empty_session(cookie):
    """With no key, another key, no time, or by another part of the application."""
    assert {} == read(cookie)


@pytest.mark.parametrize("key", ["", " ", "\n", None])
def test_empty_key_is_refused_when_the_stack_is_built(key):
    """Anybody could sign a session; None is an environment variable that is not set."""
    assert "secret_key" in refused(secret_key=key)


@pytest.mark.parametrize(
    "text", ["a; secure", "a\r\nset-cookie: b=1", "a\nb", "a\0b", "a\x7fb", "ü", "\u2028"]
)
@pytest.mark.parametrize("attribute", ["path", "domain", "session_cookie", "same_site"])
def test_attribute_that_could_end_the_cookie_is_refused_when_the_stack_is_built(attribute, text):
    """It would add attributes, or headers."""
    assert repr(text) in refused(**{attribute: text})


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a,b", "a/b", '"a"', "(a)", "a\t"])
def test_name_that_no_cookie_can_have_is_refused_when_the_stack_is_built(name):
    """RFC 6265 section 4.1.1: a token."""
    assert repr(name) in refused(session_cookie=name)


@pytest.mark.parametrize("attribute", ["path", "session_cookie"])
def test_attribute_set_later_is_checked_when_it_is_used(attribute):
    """No header is split by it."""
    layer = SessionMiddleware(Lamella(routes=[Route("/fill", fill)]), KEY)
    setattr(layer, attribute, "a\r\nset-cookie: b=1")
    reply = ask(layer, "/fill", query=b"size=1")
    assert UsageError is type(reply.error)
    assert [] == reply.messages


@pytest.mark.parametrize(
    "options",
    [
        {"session_cookie": "__Host-a"},
        {"session_cookie": "__host-a"},
        {"session_cookie": "__Secure-a"},
        {"session_cookie": "__Host-a", "https_only": True, "path": "/a"},
        {"session_cookie": "__Host-a", "https_only": True, "domain": "a.org"},
    ],
)
def test_prefixed_name_demands_what_the_prefix_promises(options):
    """Browsers would throw the cookie away (RFC 6265bis section 4.1.3)."""
    assert "Expected" in refused(**options)


@pytest.mark.parametrize("name", ["__Host-a", "__Secure-a"])
def test_prefixed_name_over_https_works(name):
    """With all that it promises."""
    reply = ask(app_of(session_cookie=name, https_only=True), "/fill", query=b"size=1")
    assert reply.headers["set-cookie"].startswith(f"{name}=")


@pytest.mark.parametrize("options", [{"same_site": "none"}, {"partitioned": True}])
def test_cookie_that_browsers_refuse_is_logged_when_the_stack_is_built(options, caplog):
    """They want it secure."""
    ask(app_of(**options))
    (record,) = caplog.records
    assert "https_only=True" in record.getMessage()
    caplog.clear()
    ask(app_of(**options, https_only=True))
    assert [] == caplog.records


def test_session_too_big_for_a_browser_is_logged(caplog):
    """It would be lost in silence; clients that are no browsers may take it, so it is sent."""
    verdicts = set()
    for size in range(3020, 3040):
        caplog.clear()
        reply = ask(app_of(), "/fill", query=b"size=%d" % size)
        pair = reply.headers["set-cookie"].partition(";")[0]
        assert (len(pair) - len("=") > 4096) == bool(caplog.records)
        verdicts.add(bool(caplog.records))
    assert {True, False} == verdicts


def test_bad_cookies_are_not_logged(caplog):
    """A client could fill the disk (CVE-2025-69230)."""
    read("x" * 5000)
    assert [] == caplog.records
