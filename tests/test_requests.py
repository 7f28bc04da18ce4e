"""Requests: the scope and the body as Starlette reads them, and one body for all who read it."""

import asyncio
import contextlib
import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import requests as starlette_requests
from starlette.applications import Starlette
from starlette.routing import Mount as StarletteMount
from starlette.routing import Route as StarletteRoute

from lamella import formparsers, requests
from lamella.applications import Lamella
from lamella.exceptions import (
    BodyConsumedError,
    HTTPException,
    MultiPartException,
    UsageError,
)
from lamella.middleware import Middleware
from lamella.requests import ClientDisconnect, HTTPConnection, Request, cookie_parser
from lamella.responses import JSONResponse, PlainTextResponse
from lamella.routing import Mount, NoMatchFound, Route

MODULES = (starlette_requests, requests)


def scope_of(headers=(), **more):
    """Make an ASGI scope."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/a/b",
        "raw_path": b"/a/b",
        "root_path": "",
        "query_string": b"x=1&y=2&x=3",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("10.0.0.1", 1234),
        "server": ("example.org", 8000),
        **more,
    }


def incoming(*chunks, disconnect=False):
    """Make a `receive` of a body in chunks, the disconnect instead of the end if asked for."""
    messages = [
        {"type": "http.request", "body": chunk, "more_body": disconnect or at < len(chunks) - 1}
        for at, chunk in enumerate(chunks)
    ]
    if disconnect:
        messages.append({"type": "http.disconnect"})

    async def receive():
        if messages:
            return messages.pop(0)
        await asyncio.Event().wait()

    return receive


def messages_of(app, body):
    """What an app sends for a body after which the client leaves at once."""
    messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope_of(), receive, send))
    return sent


def both(look, *scopes):
    """Look at a request of both frameworks: theirs, ours; an error by its class and text."""
    results = []
    for module in MODULES:
        try:
            results.append(look(module.Request(*(dict(scope) for scope in scopes))))
        except Exception as exc:
            results.append((type(exc).__name__, str(exc)))
    return results


# --- what the scope says

SCOPES = {
    "plain": scope_of(),
    "host": scope_of([("host", "www.example.com:81")]),
    "host-default-port": scope_of([("host", "www.example.com:80")]),
    "https": scope_of(scheme="https", server=("example.org", 443)),
    "ipv6": scope_of([("host", "[::1]:80")]),
    "no-server": scope_of(server=None),
    "no-query": scope_of(query_string=b""),
    "root": scope_of(root_path="/under", path="/under/a"),
    "root-slash": scope_of(root_path="/under/", path="/under/a"),
    "app-root": scope_of(app_root_path="/app", root_path="/app/sub", path="/app/sub/a"),
    "odd-path": scope_of(path="/ä b/%", raw_path=b"/%C3%A4%20b/%25"),
    "odd-query": scope_of(query_string=b"a=%C3%A4+b&c&=d&&e=%zz"),
    "no-client": scope_of(client=None),
    "state": scope_of(state={"a": 1}),
    "params": scope_of(path_params={"id": 5}),
    "cookies": scope_of([("cookie", "a=1; b=2"), ("cookie", "b=3; c")]),
    "headers": scope_of([("x-a", "1"), ("x-b", "zwölf"), ("x-a", "2")]),
}
LOOKS = {
    "url": lambda request: str(request.url),
    "url-parts": lambda request: [request.url.hostname, request.url.port, request.url.path],
    "base-url": lambda request: str(request.base_url),
    "headers": lambda request: [request.headers.items(), request.headers.get("X-A")],
    "headers-all": lambda request: request.headers.getlist("x-a"),
    "query": lambda request: [request.query_params.multi_items(), str(request.query_params)],
    "path-params": lambda request: request.path_params,
    "cookies": lambda request: request.cookies,
    "client": lambda request: request.client and [request.client.host, request.client.port],
    "state": lambda request: (setattr(request.state, "b", 2), request.scope["state"])[1],
    "method": lambda request: request.method,
    "mapping": lambda request: [len(request), sorted(request), request["path"]],
    "get": lambda request: [request.get("path"), request.get("none"), "path" in request],
    "missing": lambda request: request["none"],
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", SCOPES)
def test_scope_is_read_as_starlette_reads_it(name, look):
    """The whole of what an endpoint looks at."""
    theirs, ours = both(LOOKS[look], SCOPES[name])
    assert theirs == ours


@pytest.mark.parametrize("host", ["a/b", "a@b", "a?b", "a#b", "a b", "", "a\\b", "a:99999", "ä"])
def test_host_that_is_none_does_not_change_the_path(host):
    """A check on `url.path` must look at what is routed."""
    request = Request(scope_of([("host", host)]))
    assert "/a/b" == request.url.path
    assert "example.org" == request.url.hostname


def test_properties_are_made_once():
    """The same object each time, as Starlette."""
    request = Request(scope_of())
    for name in ("url", "base_url", "headers", "query_params", "cookies", "state"):
        assert getattr(request, name) is getattr(request, name)


@pytest.mark.parametrize("name", ["session", "auth", "user"])
def test_what_a_layer_sets_is_there_or_names_the_layer(name):
    """Starlette's `AssertionError`, which does not vanish under -O here."""
    assert "it" == getattr(Request(scope_of(**{name: "it"})), name)
    with pytest.raises(AssertionError) as expected:
        getattr(starlette_requests.Request(scope_of()), name)
    with pytest.raises(UsageError) as actual:
        getattr(Request(scope_of()), name)
    layer = str(expected.value).split()[0]
    assert layer in str(actual.value)
    assert f"request.{name}" in str(actual.value)


@pytest.mark.parametrize("cls", ["HTTPConnection", "Request"])
@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_scope_of_another_kind_is_refused(cls, kind):
    """As Starlette: a connection may be a websocket, a request may not."""
    for module in MODULES:
        make = getattr(module, cls)
        if (cls, kind) == ("HTTPConnection", "websocket"):
            assert "/a/b" == make(scope_of(type=kind)).url.path
        else:
            with pytest.raises(AssertionError):
                make(scope_of(type=kind))


def test_requests_are_equal_only_to_themselves():
    """They are mappings, but not compared by what they hold; and they can be keys."""
    scope = scope_of()
    one, other = HTTPConnection(scope), HTTPConnection(scope)
    assert one != other
    assert 2 == len({one, other})
    assert isinstance(Request(scope), HTTPConnection)


def test_app_is_that_of_the_scope():
    """`KeyError` outside of any, as Starlette."""
    for module in MODULES:
        assert "app" == module.Request(scope_of(app="app")).app
        with pytest.raises(KeyError):
            _ = module.Request(scope_of()).app


def test_signatures_are_those_of_starlette():
    """No argument is called otherwise, or stands elsewhere."""
    for cls in (starlette_requests.HTTPConnection, starlette_requests.Request):
        ours = getattr(requests, cls.__name__)
        for name, member in vars(cls).items():
            if name.startswith("_") and name != "__init__":
                continue
            assert hasattr(ours, name), name
            if inspect.isfunction(member):
                expected, actual = inspect.signature(member), inspect.signature(getattr(ours, name))
                assert list(expected.parameters) == list(actual.parameters), name
                assert [
                    p.default for p in expected.parameters.values() if not callable(p.default)
                ] == [p.default for p in actual.parameters.values() if not callable(p.default)], (
                    name
                )


# --- cookies

COOKIE_LINES = [
    "",
    ";",
    "a",
    "a=1",
    " a = 1 ; b=2;;",
    "a=1; a=2",
    "a=b=c",
    "=v",
    "=__Host-a=b",
    "__Host-a=b",
    'a="quoted"',
    'a="qu\\"ot\\\\ed\\073\\011"',
    'a="',
    'a=""',
    'a="x',
    "a=\\073",
    "a=1, b=2",
    "a=\xe4",
    "$Version=1; a=1",
    "a=%20; b=+",
    "a=1;b=2;c",
    "\t a\t=\t1",
]


@pytest.mark.parametrize("line", COOKIE_LINES)
def test_cookies_are_parsed_as_starlette_parses_them(line):
    """Pieces without a name included."""
    assert starlette_requests.cookie_parser(line) == cookie_parser(line)


@given(st.text(alphabet=st.sampled_from('ab=; "\\0173,\t\xe4'), max_size=30))
def test_any_cookies_are_parsed_as_starlette_parses_them(line):
    """Of the characters that mean something."""
    assert starlette_requests.cookie_parser(line) == cookie_parser(line)


def test_cookie_without_a_name_cannot_take_the_name_of_another():
    """CVE-2023-23934: `=__Host-a=b` is no `__Host-a`."""
    assert {"": "__Host-a=b"} == cookie_parser("=__Host-a=b")


UNITS = ["a=b;", ";", "=", "a", '"', '\\"', "\\", '="', 'a="\\', "\\1", " ", "a=\t", "; ;"]


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("unit", UNITS)
def test_hostile_cookies_take_linear_time(unit, quoted):
    """Of a megabyte; anything quadratic would pass the limit of 20 s by far."""
    line = unit * (1_000_000 // len(unit))
    cookies = cookie_parser(f'a="{line}"' if quoted else line)
    assert sum(map(len, cookies.values())) <= len(line) + 2


def test_many_cookie_headers_take_linear_time():
    """Each is parsed once, and none is joined to the others."""
    request = Request(scope_of([("cookie", f"c{number}={number}") for number in range(100_000)]))
    assert 100_000 == len(request.cookies)


# --- the body


async def outcome_of(work):
    """What a coroutine gives, or the class and text of its error; JSON errors say more here."""
    try:
        return await work
    except json.JSONDecodeError as exc:
        return "JSONDecodeError", exc.doc, exc.pos
    except Exception as exc:
        return type(exc).__name__, str(exc)


async def read_body(request):
    return await request.body()


async def read_twice(request):
    return [await request.body(), await request.body()]


async def read_stream(request):
    return [chunk async for chunk in request.stream()]


async def body_then_stream(request):
    return [await request.body(), [chunk async for chunk in request.stream()]]


async def read_json(request):
    first = await request.json()
    return [first, await request.json() is first]


async def body_then_json(request):
    return [await request.body(), await request.json()]


async def raw(request):
    return [await request.receive() for _ in range(2)]


READS = [read_body, read_twice, read_stream, body_then_stream, read_json, body_then_json]
BODIES = {
    "json": (b'{"a": ', b"[1, 2]}"),
    "one": (b'"\xc3\xa4"',),
    "empty": (b"",),
    "holes": (b"", b"1", b"", b"2", b""),
}


@pytest.mark.parametrize("disconnect", [False, True])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("read", READS)
def test_body_is_read_as_starlette_reads_it(read, body, disconnect):
    """Whole or in pieces, and cut off by a client that leaves."""

    async def main(module):
        receive = incoming(*BODIES[body], disconnect=disconnect)
        return await outcome_of(read(module.Request(scope_of(), receive)))

    theirs, ours = (asyncio.run(main(module)) for module in MODULES)
    assert theirs == ours


@pytest.mark.parametrize("body", BODIES)
def test_raw_messages_are_those_of_the_server(body):
    """`request.receive` for whoever wants them; empty pieces in the middle are left out."""

    async def main():
        receive = Request(scope_of(), incoming(*BODIES[body])).receive
        messages = [await receive()]
        while messages[-1]["more_body"]:
            messages.append(await receive())
        return messages

    messages = asyncio.run(main())
    assert b"".join(BODIES[body]) == b"".join(message["body"] for message in messages)
    assert {"http.request"} == {message["type"] for message in messages}


def test_body_that_was_streamed_is_not_there_again():
    """The error names who has it, and is Starlette's `RuntimeError`."""

    async def taker(request):
        async for _ in request.stream():
            pass

    async def main():
        request = Request(scope_of(), incoming(b"abc", b"def"))
        await taker(request)
        for read in (read_body, read_stream, read_json):
            with pytest.raises(
                BodyConsumedError, match=r"^Stream consumed: .*taker.* has streamed 6 bytes"
            ):
                await read(request)

    assert issubclass(BodyConsumedError, RuntimeError)
    asyncio.run(main())


def test_body_of_which_a_part_was_streamed_is_not_given_in_part():
    """Starlette gives what is left as if it were all."""

    async def main():
        request = Request(scope_of(), incoming(b"abc", b"def"))
        stream = request.stream()
        assert b"abc" == await anext(stream)
        await stream.aclose()
        with pytest.raises(BodyConsumedError, match="has streamed 3 bytes"):
            await request.body()

    asyncio.run(main())


def test_request_of_the_same_scope_and_receive_shares_the_body():
    """As a layer that makes a request of its own does it."""

    async def main():
        request = Request(scope_of(), incoming(b"abc", b"def"))
        other = Request(request.scope, request.receive)
        return [await other.body(), await request.body()]

    assert [b"abcdef"] * 2 == asyncio.run(main())


@pytest.mark.parametrize("reads", [read_body, read_stream])
@pytest.mark.parametrize("own_request", [False, True])
def test_response_may_listen_after_the_body_was_read(own_request, reads):
    """As those of event sources do; the client's leaving is all that it wants to know."""
    heard = []

    class Listening(PlainTextResponse):
        async def __call__(self, scope, receive, send):
            heard.append(await receive())
            await super().__call__(scope, receive, send)

    async def endpoint(request):
        await reads(request)
        return Listening("ok")

    async def app(scope, receive, send):
        request = Request(scope, receive, send)
        await (await endpoint(request))(scope, receive, send)

    async def layer(request, call_next):
        return await call_next(request)

    for layers in ([], [layer]):
        route = Mount("/", app) if own_request else Route("/a/b", endpoint, methods=["POST"])
        reply = messages_of(Lamella(routes=[route], middleware=layers), b"abc")
        assert b"ok" == reply[1]["body"]
    assert [{"type": "http.disconnect"}] * 2 == heard


@pytest.mark.parametrize("own_request", [False, True])
def test_another_function_may_wait_for_the_disconnect_after_the_body_was_streamed(own_request):
    """What watches for it in a task of its own has read nothing itself."""
    heard = []

    async def watch(request):
        heard.append(await request.receive())

    async def endpoint(request):
        await read_stream(request)
        await watch(request)
        return PlainTextResponse()

    async def app(scope, receive, send):
        request = Request(scope, receive, send)
        await (await endpoint(request))(scope, receive, send)

    route = Mount("/", app) if own_request else Route("/a/b", endpoint, methods=["POST"])
    messages_of(Lamella(routes=[route]), b"abc")
    assert [{"type": "http.disconnect"}] == heard


@pytest.mark.parametrize("reads", [None, read_body, read_stream])
@pytest.mark.parametrize("in_a_layer", [False, True])
def test_receive_of_an_endpoint_begins_with_a_body_that_a_layer_read(in_a_layer, reads):
    """It hands it to an ASGI app, maybe, which needs the body; what it read itself is over."""
    seen = []

    async def layer(request, call_next):
        if in_a_layer:
            await request.body()
        return await call_next(request)

    async def endpoint(request):
        if reads is not None:
            await reads(request)
        message = {}
        while message.get("type") != "http.disconnect":
            message = await request.receive()
            seen.append(message.get("body", message["type"]))
        return PlainTextResponse()

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=[layer])
    messages_of(app, b"abc")
    assert [*([] if reads else [b"abc"]), "http.disconnect"] == seen


def test_empty_body_may_be_streamed_again():
    """Nobody lost anything."""

    async def main():
        request = Request(scope_of(), incoming(b""))
        return [await read_stream(request), await read_stream(request), await read_body(request)]

    assert [[b""], [b""], b""] == asyncio.run(main())


def test_bodies_read_at_the_same_time_are_the_same():
    """One of them receives, the others wait for it."""

    async def main():
        request = Request(scope_of(), incoming(b"abc", b"def"))
        return await asyncio.gather(*(request.body() for _ in range(5)))

    assert [b"abcdef"] * 5 == asyncio.run(main())


@pytest.mark.parametrize("body", [b"", b"{", b"{'a': 1}", b'{"a": 1}x', b"[1,]", b"\xef\xbb\xbf"])
def test_what_is_no_json_is_the_error_of_the_standard_library(body):
    """Users catch it; as Starlette."""

    async def main(module):
        return await outcome_of(module.Request(scope_of(), incoming(body)).json())

    theirs, ours = (asyncio.run(main(module)) for module in MODULES)
    assert "JSONDecodeError" == theirs[0]
    assert theirs == ours


NO_JSON = [
    b"{",
    b"\xff",
    b'"\xed\xa0\x80"',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 5_000,
    '{"a": 1}'.encode("utf-16"),
    '{"a": 1}'.encode("utf-32-le"),
]


@pytest.mark.parametrize("body", NO_JSON, ids=lambda body: repr(body[:8]))
def test_what_is_no_json_is_a_400_over_an_application(body):
    """It is the client's doing; UTF-8 alone is read (RFC 8259 section 8.1)."""

    async def endpoint(request):
        return JSONResponse(await request.json())

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])])
    sent = asyncio.run(serve(app, scope_of(), body))
    assert 400 == sent[0]["status"]
    assert sent[1]["body"].startswith(b"The request body is not JSON: ")
    assert len(sent[1]["body"]) < 200


@pytest.mark.parametrize("name", ["receive", "send"])
def test_channel_that_was_not_given_says_so(name):
    """As Starlette."""

    async def main(module):
        extensions = {"http.response.push": {}}
        request = module.Request(scope_of(extensions=extensions))
        work = request.body() if name == "receive" else request.send_push_promise("/")
        return await outcome_of(work)

    theirs, ours = (asyncio.run(main(module)) for module in MODULES)
    assert theirs == ours
    assert "RuntimeError" == ours[0]


def test_request_made_by_hand_has_no_response_to_wait_for():
    """`after_response` belongs to an application."""
    with pytest.raises(RuntimeError, match="made by hand"):
        Request(scope_of()).after_response(print)


# --- forms

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"


def form_of(body, content_type=URLENCODED, **limits):
    """Read a form that came in two pieces; its fields, or its error's status and text."""

    async def main():
        headers = [] if content_type is None else [("content-type", content_type)]
        half = len(body) // 2
        receive = incoming(body[:half], body[half:])
        try:
            async with Request(scope_of(headers), receive).form(**limits) as form:
                return form.multi_items()
        except HTTPException as exc:
            return exc.status_code, exc.detail

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", []),
        (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        (b"a", [("a", "")]),
        (b"a&b=", [("a", ""), ("b", "")]),
        (b"=x", [("", "x")]),
        (b"=", [("", "")]),
        (b"a==b", [("a", "=b")]),
        (b"&&a=1&&b=2&&", [("a", "1"), ("b", "2")]),
        (b"a=b;c=d", [("a", "b;c=d")]),
        (b"a+b=%41%zz%", [("a b", "A%zz%")]),
        (b"%C3%A9=%F0%9F%A6%86", [("é", "🦆")]),
        (b"a=%FF%00", [("a", "\ufffd\0")]),
        (b"a=\xc3\xa9", [("a", "Ã©")]),
        (b"a=1\r\n&b=2", [("a", "1\r\n"), ("b", "2")]),
    ],
)
def test_form_is_read_as_starlette_reads_it(body, fields):
    """Found with Starlette 1.10 and python-multipart; only `&` separates."""
    assert fields == form_of(body)


def multipart_of(*fields):
    """A multipart body; a field is a name and its text, or bytes for a file."""
    parts = [
        f'--B\r\nContent-Disposition: form-data; name="{name}"'.encode()
        + (b'; filename="f.txt"' if isinstance(value, bytes) else b"")
        + b"\r\n\r\n"
        + (value if isinstance(value, bytes) else value.encode())
        + b"\r\n"
        for name, value in fields
    ]
    return b"".join(parts) + b"--B--\r\n"


def test_form_is_read_once():
    """Every layer gets the same object; by hand `async with` closes it."""

    async def main():
        request = Request(scope_of([("content-type", URLENCODED)]), incoming(b"a=1"))
        first = await request.form()
        async with request.form() as second:
            assert first is second
        assert b"a=1" == await request.body()
        await request.close()

    asyncio.run(main())


def test_form_made_by_hand_is_closed_by_its_block():
    """There is no exchange that would do it."""

    async def main():
        body = multipart_of(("f", b"content"))
        request = Request(scope_of([("content-type", MULTIPART)]), incoming(body))
        await request.close()
        async with request.form() as form:
            assert b"content" == await form["f"].read()
        assert form["f"].file.closed

    asyncio.run(main())


@pytest.mark.parametrize(
    ("content_type", "is_read"),
    [
        (URLENCODED + "; charset=utf-8", True),
        (URLENCODED.upper(), True),
        (" " + URLENCODED + " ;", True),
        (URLENCODED + ';;;=="\\', True),
        (URLENCODED + ";charset=undefined", True),
        (URLENCODED + "/x", False),
        (URLENCODED + ", text/plain", False),
        (";" + URLENCODED, False),
        ("text/plain", False),
        ("", False),
        ("\xff\xfe", False),
        (";", False),
        ("/", False),
        (None, False),
    ],
)  # fmt: skip
def test_malformed_content_type_is_a_form_or_is_none_and_never_an_error(content_type, is_read):
    """Whatever is no form gives an empty one, as in Starlette."""
    assert ([("a", "1")] if is_read else []) == form_of(b"a=1", content_type)


@pytest.mark.parametrize(
    ("body", "limits", "expected"),
    [
        (b"a=1&b=2", {"max_fields": 2}, [("a", "1"), ("b", "2")]),
        (b"&a=1&&b=2&", {"max_fields": 2}, [("a", "1"), ("b", "2")]),
        (b"", {"max_fields": 0}, []),
        (b"a=1&b=2", {"max_fields": float("inf")}, [("a", "1"), ("b", "2")]),
        (b"a=1&b=2&c", {"max_fields": 2}, "Too many fields. Maximum number of fields is 2."),
        (b"a", {"max_fields": 0}, "Too many fields. Maximum number of fields is 0."),
        (b"ab=cd", {"max_part_size": 4}, [("ab", "cd")]),
        (b"ab=cd", {"max_part_size": 3}, "Field exceeded maximum size of 3 bytes."),
        (b"a=1&abcd", {"max_part_size": 3}, "Field exceeded maximum size of 3 bytes."),
    ],
)
def test_limits_of_a_form_are_exact(body, limits, expected):
    """A field's size is that of its name and value as sent."""
    assert (expected if isinstance(expected, list) else (400, expected)) == form_of(body, **limits)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 4),
        ({"max_files": 2, "max_fields": 2, "max_part_size": 3}, 4),
        ({"max_files": 1}, (400, "Too many files. Maximum number of files is 1.")),
        ({"max_fields": 1}, (400, "Too many fields. Maximum number of fields is 1.")),
        ({"max_part_size": 2}, (400, "Part exceeded maximum size of 2 bytes.")),
    ],
)
def test_limits_reach_the_multipart_parser(limits, expected):
    """All three; what they count is told with the parser's tests."""
    body = multipart_of(("a", "123"), ("f", b"1234"), ("b", ""), ("g", b""))
    found = form_of(body, MULTIPART, **limits)
    assert expected == (len(found) if isinstance(found, list) else found)


@pytest.mark.parametrize("unit", [b"a=1&", b"a&", b"=&", b"&", b"%", b"a=%41", b"+"])
def test_hostile_form_takes_linear_time(unit):
    """Of many times 100,000 fields, or of one that is long: a 400 or a form, and soon."""
    result = form_of(unit * 1_000_000)
    assert result == [] or 400 == result[0] or 1 == len(result)


def test_form_of_100_000_fields_is_refused_over_an_application():
    """A 400, not a 500 and not a form."""

    async def endpoint(request):
        return JSONResponse(len(await request.form()))

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])])
    body = b"&".join(b"f%d=v" % number for number in range(100_000))
    sent = asyncio.run(serve(app, scope_of([("content-type", URLENCODED)]), body))
    assert (400, b"Too many fields. Maximum number of fields is 1000.") == (
        sent[0]["status"],
        sent[1]["body"],
    )


def test_names_of_starlettes_module_are_found_here():
    """Packages import them from `requests`."""
    for name in ("FormData", "Headers", "URL", "QueryParams", "State", "Address", "HTTPException"):
        assert getattr(starlette_requests, name).__name__ == getattr(requests, name).__name__
    assert [] == [name for name in requests.__all__ if not hasattr(requests, name)]
    assert requests.MultiPartParser is formparsers.MultiPartParser


def test_form_may_be_set_from_outside():
    """And is read with `getattr`, before and after."""

    async def main():
        request = Request(scope_of([("content-type", MULTIPART)]), incoming(b"no form"))
        assert request._form is None
        with pytest.raises(MultiPartException):
            await request.form()
        assert request._form is None
        request._form = form = requests.FormData([("a", "1")])
        assert [form, form] == [await request.form(), request._form]
        async with Request(request.scope, request.receive).form() as shared:
            assert form is shared

    asyncio.run(main())


def test_replay_made_by_hand_may_say_that_the_stream_is_unread():
    """As a monitoring package does it after it has read the body."""

    async def main():
        request = Request(scope_of([("content-type", URLENCODED)]), incoming(b"a=1"))
        body = await request.body()
        request._receive = incoming(body)
        request._stream_consumed = False
        assert request._stream_consumed is False
        assert [("a", "1")] == (await request.form()).multi_items()
        assert request._stream_consumed is True

    asyncio.run(main())


def test_form_is_read_from_the_body_that_was_kept():
    """And leaves it there."""

    async def main(content_type, body):
        request = Request(scope_of([("content-type", content_type)]), incoming(body))
        assert body == await request.body()
        assert "1" == (await request.form())["a"]
        assert [body, b""] == [chunk async for chunk in request.stream()]
        await request.close()

    asyncio.run(main(URLENCODED, b"a=1"))
    asyncio.run(main(MULTIPART, multipart_of(("a", "1"), ("f", b"content"))))


def test_body_after_a_multipart_form_is_an_error_that_names_the_reader():
    """Its files went to disk; and nothing must not look like an empty body."""

    async def reads_the_form(request):
        return await request.form()

    async def main():
        body = multipart_of(("a", "1"))
        request = Request(scope_of([("content-type", MULTIPART)]), incoming(body[:9], body[9:]))
        form = await reads_the_form(request)
        for read in (request.body, request.json, anext_of(request.stream)):
            with pytest.raises(BodyConsumedError, match="reads_the_form.*test_requests.py"):
                await read()
        with pytest.raises(BodyConsumedError, match="reads_the_form"):
            request.parts()
        assert form is await request.form()

    asyncio.run(main())


def anext_of(stream):
    """Make a function that reads a stream's first item."""

    async def read():
        return [chunk async for chunk in stream()]

    return read


def test_form_after_a_part_of_the_body_was_streamed_is_an_error():
    """Also in the function that streamed it: the rest is no form."""

    async def main():
        body = multipart_of(("a", "1"))
        request = Request(scope_of([("content-type", MULTIPART)]), incoming(body[:9], body[9:]))
        async for _ in request.stream():
            break
        for read in (request.form, request.parts):
            with pytest.raises(BodyConsumedError, match="main"):
                await read()

    asyncio.run(main())


def test_form_that_could_not_be_read_is_refused_again():
    """A layer may swallow the error; the endpoint must not get a 500 for it."""

    async def swallow(request, call_next):
        with contextlib.suppress(HTTPException):
            await request.form(max_fields=1)
        return await call_next(request)

    async def endpoint(request):
        return JSONResponse(len(await request.form()))

    for content_type, body in (
        (URLENCODED, b"a&b"),
        (MULTIPART, multipart_of(("a", ""), ("b", ""))),
    ):
        app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=[swallow])
        sent = asyncio.run(serve(app, scope_of([("content-type", content_type)]), body))
        assert (400, b"Too many fields. Maximum number of fields is 1.") == (
            sent[0]["status"],
            sent[1]["body"],
        )


@pytest.mark.parametrize("slow", [True, False], ids=["client is slow", "disk is slow"])
def test_two_who_ask_for_the_form_at_once_get_the_same(slow, monkeypatch):
    """Dependencies may run at the same time."""
    monkeypatch.setattr(requests.MultiPartParser, "spool_max_size", 1)

    async def main():
        body = multipart_of(("f", b"content"))
        receive = slowly(body) if slow else incoming(body)
        request = Request(scope_of([("content-type", MULTIPART)]), receive)

        async def read():
            return await request.form()

        first, second = await asyncio.gather(read(), read())
        assert first is second
        await first.close()

    asyncio.run(main())


def slowly(body):
    """Make a `receive` that gives a byte at a time, and lets others run before each."""
    waiting = list(body)

    async def receive():
        await asyncio.sleep(0)
        byte = bytes([waiting.pop(0)])
        return {"type": "http.request", "body": byte, "more_body": bool(waiting)}

    return receive


def test_reading_of_a_form_that_was_cancelled_is_not_waited_for():
    """Whoever waited for it is told that the body is gone."""

    async def main():
        body = multipart_of(("f", b"content"))
        request = Request(scope_of([("content-type", MULTIPART)]), slowly(body))

        async def read():
            return await request.form()

        tasks = [asyncio.create_task(read()) for _ in range(2)]
        for _ in range(5):
            await asyncio.sleep(0)
        tasks[0].cancel()
        with pytest.raises(BodyConsumedError, match="read"):
            await tasks[1]
        assert tasks[0].cancelled()

    asyncio.run(main())


class Foreign:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@pytest.mark.parametrize("foreign", [[], [Foreign], [Foreign, Foreign]])
def test_form_read_in_a_layer_is_the_same_in_the_endpoint(foreign):
    """The very files; behind foreign layers too, through which nothing comes any more."""
    seen = []

    async def outer(request, call_next):
        async with request.form() as form:
            seen.append(form["f"])
        response = await call_next(request)
        seen.append((await request.form())["f"])
        return response

    async def endpoint(request):
        form = await request.form()
        seen.append(form["f"])
        return PlainTextResponse(await form["f"].read())

    async def background():
        seen.append(seen[0].file.closed)

    async def with_task(request, call_next):
        response = await call_next(request)
        response.background = background
        return response

    middleware = [with_task, outer, *map(Middleware, foreign)]
    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=middleware)
    body = multipart_of(("f", b"content"))
    sent = asyncio.run(serve(app, scope_of([("content-type", MULTIPART)]), body[:60], body[60:]))
    assert (200, b"content") == (sent[0]["status"], b"".join(m["body"] for m in sent[1:]))
    first, *same, closed_in_background = seen
    assert [first] * 2 == same
    assert [False, True] == [closed_in_background, first.file.closed]


def test_form_below_a_layer_that_streamed_is_an_error_behind_foreign_layers_too():
    """There is no form further out that could be given instead."""

    async def streams(request, call_next):
        async for _ in request.stream():
            pass
        return await call_next(request)

    async def endpoint(request):
        await request.form()

    middleware = [streams, Middleware(Foreign)]
    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=middleware)
    scope = scope_of([("content-type", MULTIPART)])
    with pytest.raises(BodyConsumedError, match="streams"):
        asyncio.run(serve(app, scope, multipart_of(("a", "1"))))


def test_foreign_app_below_a_form_gets_an_error_that_names_the_reader():
    """Never silence. What was read with `body()` before, it gets whole."""

    async def foreign(scope, receive, send):
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def app_of(*names):
        async def layer(request, call_next):
            for name in names:
                await getattr(request, name)()
            return await call_next(request)

        return Lamella(routes=[Mount("/", foreign)], middleware=[layer])

    scope, body = scope_of([("content-type", MULTIPART)]), multipart_of(("f", b"content"))
    sent = asyncio.run(serve(app_of("body", "form"), dict(scope), body))
    assert body == b"".join(message["body"] for message in sent[1:])
    with pytest.raises(BodyConsumedError, match="layer"):
        asyncio.run(serve(app_of("form"), dict(scope), body))


@pytest.mark.parametrize("how", ["answers", "fails", "closes twice", "leaves it", "retries"])
def test_files_of_a_form_are_closed_when_the_exchange_is_over(how):
    """Whatever the endpoint does; and not before, though the inside may run again."""
    files = []

    async def again(request, call_next):
        await call_next(request)
        return await call_next(request)

    async def endpoint(request):
        form = await request.form()
        files.append(form["f"].file)
        assert not form["f"].file.closed
        if how == "fails":
            raise HTTPException(418)
        if how == "closes twice":
            await form.close()
            await form.close()
        return PlainTextResponse("")

    middleware = [again] if how == "retries" else []
    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=middleware)
    body = multipart_of(("f", b"content"))
    sent = asyncio.run(serve(app, scope_of([("content-type", MULTIPART)]), body))
    assert (418 if how == "fails" else 200) == sent[0]["status"]
    assert [True] * (2 if how == "retries" else 1) == [file.closed for file in files]


@pytest.mark.parametrize(
    "layers", ["none", "leaves its block", "in its block", "has it", "by hand"]
)
@pytest.mark.parametrize("fails", [False, True])
def test_block_of_the_endpoint_closes_the_files_unless_somebody_wants_them(layers, fails):
    """Early, as where they are large; a layer that still has the form is not left without it."""
    seen = []

    async def layer(request, call_next):
        if layers == "leaves its block":
            async with request.form():
                pass
        if layers == "in its block":
            async with request.form() as form:
                response = await call_next(request)
                assert not form["f"].file.closed
            assert not form["f"].file.closed
            return response
        if layers == "has it":
            await request.form()
        return await call_next(request)

    async def endpoint(request):
        made = Request(request.scope, request.receive) if layers == "by hand" else request
        try:
            async with made.form() as form:
                seen.append(form["f"].file)
                assert b"content" == await form["f"].read()
                if fails:
                    raise HTTPException(418)
        finally:
            seen.append(form["f"].file.closed)
        return PlainTextResponse("")

    middleware = [] if layers == "none" else [layer]
    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=middleware)
    body = multipart_of(("f", b"content"))
    sent = asyncio.run(serve(app, scope_of([("content-type", MULTIPART)]), body))
    assert (418 if fails else 200) == sent[0]["status"]
    file, closed = seen
    assert closed == (not fails and layers not in ("in its block", "has it"))
    assert file.closed


@pytest.mark.parametrize("size", [7, 2 * 1024 * 1024], ids=["in memory", "on disk"])
def test_endpoint_finds_the_files_at_their_beginning(size):
    """A layer that has read one would leave it empty otherwise, and nobody would be told."""
    content = b"x" * size
    seen = []

    async def again(request, call_next):
        for _ in range(2):
            assert content == await (await request.form())["f"].read()
            response = await call_next(request)
        return response

    async def endpoint(request):
        half = await (await request.form())["f"].read(size // 2)
        seen.append(half + await (await request.form())["f"].read())  # who reads goes on
        return PlainTextResponse("")

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=[again])
    asyncio.run(serve(app, scope_of([("content-type", MULTIPART)]), multipart_of(("f", content))))
    assert [content] * 2 == seen


def test_file_whose_name_a_text_has_too_is_closed():
    """The last value of a name is not all that it has."""
    seen = []

    async def endpoint(request):
        seen.append((await request.form()).getlist("f")[0].file)
        return PlainTextResponse("")

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])])
    body = multipart_of(("f", b"content"), ("f", "text"))
    asyncio.run(serve(app, scope_of([("content-type", MULTIPART)]), body))
    assert seen[0].closed


@pytest.mark.parametrize("reader", ["layer", "run"])
def test_function_that_streams_again_for_another_run_is_told_that_it_did(reader):
    """Not nothing, in silence: it is one function, but what it reads is gone."""

    async def whole(request):
        return b"".join([chunk async for chunk in request.stream()])

    async def layer(request, call_next):
        if reader == "layer":
            await whole(request)
        else:
            await call_next(request)
        return await call_next(request)

    async def endpoint(request):
        return PlainTextResponse(await whole(request))

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])], middleware=[layer])
    with pytest.raises(BodyConsumedError, match="whole"):
        asyncio.run(serve(app, scope_of(), b"body"))


def test_client_that_leaves_in_mid_form_is_quiet(caplog):
    """Nothing is answered, nothing raised, nothing logged as an error."""

    async def endpoint(request):
        await request.form()

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])])
    body = multipart_of(("f", b"content"))
    sent = []

    async def send(message):
        sent.append(message)

    async def main():
        scope = scope_of([("content-type", MULTIPART)])
        await app(scope, incoming(body[:-20], disconnect=True), send)

    asyncio.run(main())
    assert ([], []) == (sent, [r for r in caplog.records if r.levelname in {"WARNING", "ERROR"}])


# --- parts


def test_parts_are_read_without_a_form():
    """From the client, or from the body that was kept, as often as one likes."""

    async def names(request):
        return [(part.name, await part.text()) async for part in request.parts()]

    async def main():
        body = multipart_of(("a", "1"), ("f", b"content"))
        scope = scope_of([("content-type", MULTIPART)])
        expected = [("a", "1"), ("f", "content")]
        request = Request(scope, incoming(body[:40], body[40:]))
        assert expected == await names(request)
        for read in (request.form, request.body):
            with pytest.raises(BodyConsumedError, match="names"):
                await read()
        request = Request(scope, incoming(body[:40], body[40:]))
        await request.body()
        assert [expected] * 2 == [await names(request), await names(request)]

    asyncio.run(main())


def test_parts_are_pulled_one_message_at_a_time():
    """The client sends as fast as the parts are read."""
    body = multipart_of(("f", b"x" * 1000))
    messages = [
        {"type": "http.request", "body": body[at : at + 100], "more_body": True}
        for at in range(0, 1000, 100)
    ]

    async def receive():
        return messages.pop(0)

    async def main():
        request = Request(scope_of([("content-type", MULTIPART)]), receive)
        parts = request.parts()
        assert 10 == len(messages)
        part = await anext(parts)
        before = len(messages)
        await anext(part)
        assert before - 1 <= len(messages) >= 8

    asyncio.run(main())


@pytest.mark.parametrize(
    ("content_type", "limits", "expected"),
    [
        (MULTIPART, {}, (200, b"2")),
        (MULTIPART, {"max_parts": 1}, (400, b"Too many parts. Maximum number of parts is 1.")),
        (MULTIPART, {"max_part_size": 6}, (400, b"Part exceeded maximum size of 6 bytes.")),
        ("multipart/form-data", {}, (400, b"Missing boundary in multipart.")),
        (
            URLENCODED,
            {},
            (415, b"Expected multipart/form-data, got 'application/x-www-form-urlencoded'."),
        ),
        ("", {}, (415, b"Expected multipart/form-data, got ''.")),
    ],
)
def test_parts_that_cannot_be_read_are_refused(content_type, limits, expected):
    """Where a form of another type is empty, parts are a 415: there are none."""

    async def endpoint(request):
        return PlainTextResponse(str(len([part async for part in request.parts(**limits)])))

    app = Lamella(routes=[Route("/a/b", endpoint, methods=["POST"])])
    body = multipart_of(("a", "1"), ("f", b"content"))
    sent = asyncio.run(serve(app, scope_of([("content-type", content_type)]), body))
    assert expected == (sent[0]["status"], sent[1]["body"])


async def serve(app, scope, *chunks):
    """Run an app; what it sent."""
    sent = []

    async def send(message):
        sent.append(message)

    await asyncio.wait_for(app(scope, incoming(*chunks or (b"",)), send), 10)
    return sent


# --- the client


def test_is_disconnected_turns_true_when_the_client_leaves():
    """And stays so; before, nothing of the body is lost by asking."""

    async def main():
        request = Request(scope_of(), incoming(b"abc", b"def"))
        assert not await request.is_disconnected()
        assert b"abcdef" == await request.body()
        await request.inbound.close()
        left = Request(scope_of(), incoming(disconnect=True))
        answers = [await left.is_disconnected(), await left.is_disconnected()]
        await asyncio.wait_for(left.disconnected(), 5)
        with pytest.raises(ClientDisconnect):
            await left.body()
        return answers

    assert [True, True] == asyncio.run(main())


@pytest.mark.parametrize("extensions", [None, {}, {"http.response.push": {}}], ids=str)
def test_push_promise_is_that_of_starlette(extensions):
    """With the headers that are worth repeating; nothing without the extension."""
    headers = [
        ("user-agent", "x"), ("accept", "a/b"), ("accept", "c/d"), ("cookie", "secret"),
        ("accept-language", "de"), ("cache-control", "no-cache"), ("accept-encoding", "gzip"),
    ]  # fmt: skip

    async def main(module):
        sent = []

        async def send(message):
            sent.append(message)

        given = extensions if module is requests else extensions or {}
        request = module.Request(scope_of(headers, extensions=given), incoming(), send)
        await request.send_push_promise("/style.css")
        return [{**message, "headers": sorted(message["headers"])} for message in sent]

    theirs, ours = (asyncio.run(main(module)) for module in MODULES)
    assert theirs == ours
    assert bool(extensions) == bool(ours)


@pytest.mark.parametrize("extensions", [None, {}, {"http.response.early_hint": {}}], ids=str)
def test_early_hints_are_those_of_starlette(extensions):
    """RFC 8297, as an ASGI extension."""

    async def main(module):
        sent = []

        async def send(message):
            sent.append(message)

        given = extensions if module is requests else extensions or {}
        request = module.Request(scope_of(extensions=given), incoming(), send)
        await request.send_early_hints("</a>; rel=preload", "</ä>")
        return sent

    theirs, ours = (asyncio.run(main(module)) for module in MODULES)
    assert theirs == ours
    assert bool(extensions) == bool(ours)


# --- url_for

HANDLERS = {
    Starlette: (StarletteRoute, StarletteMount),
    Lamella: (Route, Mount),
}


@pytest.mark.parametrize("headers", [[], [("host", "www.example.com")]], ids=["server", "host"])
@pytest.mark.parametrize("root", ["", "/under"])
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("home", {}),
        ("item", {"id": 7}),
        ("sub:leaf", {"name": "a b"}),
        ("sub:leaf", {"name": "ä"}),
        ("sub", {"path": "/x/y"}),
    ],
)
def test_url_for_is_that_of_starlette(name, params, root, headers):
    """Absolute, under the application's root, from within a mounted route, too."""
    results = []
    for app_class, (route, mount) in HANDLERS.items():
        seen = []

        async def endpoint(request, seen=seen, name=name):
            seen.append(str(request.url_for(name, **params)))
            from starlette.responses import Response

            return (
                Response()
                if type(request).__module__.startswith("starlette")
                else PlainTextResponse()
            )

        routes = [
            route("/", endpoint, name="home"),
            route("/items/{id:int}", endpoint, name="item"),
            mount("/sub", routes=[route("/{name}", endpoint, name="leaf")], name="sub"),
        ]
        app = app_class(routes=routes)
        for path in ("/items/1", "/sub/x"):
            scope = scope_of(
                headers, method="GET", path=root + path, raw_path=(root + path).encode(),
                root_path=root,
            )  # fmt: skip
            asyncio.run(serve(app, scope))
        results.append(seen)
    assert results[0] == results[1]
    assert 2 == len(results[1])


def test_url_for_a_route_that_is_none_says_so():
    """And outside of an application there is nobody to ask."""
    with pytest.raises(RuntimeError, match=r"^The `url_for` method can only be used inside a"):
        Request(scope_of()).url_for("home")
    app = Lamella(routes=[Route("/", read_body, name="home")])
    with pytest.raises(NoMatchFound):
        Request(scope_of(app=app)).url_for("nowhere")
