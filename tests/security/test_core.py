"""Rows of known vulnerabilities that concern no one part alone: routing, headers, redirects, logs.

What belongs to one part has its tests in the file of that part here, or beside its other tests.
"""

import ast
import asyncio
import json
import logging
import re
from http.cookies import CookieError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lamella
from lamella._url import location_of
from lamella.applications import Lamella
from lamella.datastructures import MutableHeaders
from lamella.exceptions import HTTPException
from lamella.middleware import Middleware
from lamella.middleware.access_log import AccessLogMiddleware
from lamella.middleware.cors import CORSMiddleware
from lamella.middleware.sessions import SessionMiddleware
from lamella.requests import Request, cookie_parser
from lamella.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from lamella.routing import Host, Mount, Route, Router, WebSocketRoute
from lamella.staticfiles import StaticFiles
from lamella.websockets import WebSocket
from tests.parity.drive import answer, ask, exchange, http_scope, websocket_scope

SOURCE = Path(lamella.__file__).parent


async def says_path(request):
    return PlainTextResponse(repr(request.path_params))


def test_the_threat_model_names_tests_that_there_are():
    """Each figure has one."""
    root = Path(__file__).resolve().parents[2]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (root / "THREAT_MODEL.md").read_text())
    assert len(named) > 10
    missing = [test for test in named if f"def {test[1]}(" not in (root / test[0]).read_text()]
    assert [] == missing


# -- routing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["/{a}-{b}-{c}-{d}", "/{a}-{b}-{c}-{d}/end", "/x{a}y{b}x{c}y"])
@pytest.mark.parametrize("unit", ["-", "a-", "xy", "/", "a"])
def test_route_match_is_not_polynomial(template, unit):
    """CVE-2024-45296, CVE-2026-4867: through an application, its slash redirect and a host, with a
    path as long as servers take; Starlette needs over half a minute for 1,000 bytes."""
    host = Host("{a}.{b}.{c}.example", Router([Route(template, says_path)]))
    app = Lamella(routes=[Mount("/m", routes=[Route(template, says_path)]), host])
    path = unit * (65_000 // len(unit))
    for start in ("/", "/m/"):
        reply = answer(app, start + path, headers=[("host", f"{'a.' * 5000}example")])
        assert reply.status in {200, 307, 404}


async def accepts(websocket):
    await websocket.accept()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\0", "\x0b", "\u2028", "\x85", " ", "%0A"])
def test_trailing_newline_does_not_match(tmp_path, end):
    """CVE-2021-44420: of a path, a parameter, a mount, a host, a method, a file, a websocket."""
    (tmp_path / "a.txt").write_text("a")
    routes = [
        Route("/admin", says_path, methods=["GET"]),
        Route("/int/{x:int}", says_path),
        Route("/float/{x:float}", says_path),
        Route("/uuid/{x:uuid}", says_path),
        Mount("/mount", routes=[Route("/", says_path), Route("/in", says_path)]),
        Mount("/files", StaticFiles(directory=tmp_path)),
        WebSocketRoute("/ws", accepts),
        Host("good.example", Router([Route("/at", says_path)])),
    ]
    app = Lamella(routes=routes)
    uuid = "12345678-1234-1234-1234-123456789012"
    paths = ["/admin", "/int/1", "/float/1.5", f"/uuid/{uuid}", "/mount/in", "/files/a.txt"]
    for path in paths:
        assert 200 == answer(app, path).status
        assert 404 == answer(app, path + end).status
    for path in (f"/mount{end}/in", f"/mount{end}", f"/mount/{end}", f"/files{end}/a.txt"):
        assert 404 == answer(app, path).status
    assert 405 == answer(app, "/admin", method="GET" + end).status
    assert 200 == answer(app, "/at", headers=[("host", "good.example")]).status
    if end.isascii():
        assert 404 == answer(app, "/at", headers=[("host", f"good.example{end}")]).status
    connect = [{"type": "websocket.connect"}]
    reply = asyncio.run(exchange(app, websocket_scope("/ws" + end), connect))
    assert "websocket.close" == reply.messages[0]["type"]


@pytest.mark.parametrize("digits", [4301, 60_000])
@pytest.mark.parametrize("kind", ["int", "float"])
def test_convertors_huge(kind, digits):
    """As Werkzeug's pull request 3238: no match, and no 500; in a websocket and a host too."""
    template = f"/{{x:{kind}}}"
    app = Lamella(
        routes=[
            Route(template, says_path),
            Mount(template, routes=[Route("/", says_path)]),
            WebSocketRoute(template, accepts),
            Host(f"{{x:{kind}}}.example", Router([Route("/", says_path)])),
        ]
    )
    number = "9" * digits
    for path in (f"/{number}", f"/{number}/"):
        assert 404 == answer(app, path).status
    assert 404 == answer(app, "/", headers=[("host", f"{number}.example")]).status
    reply = asyncio.run(exchange(app, websocket_scope(f"/{number}"), []))
    assert (["websocket.close"], None) == ([m["type"] for m in reply.messages], reply.error)


def test_regular_expressions_have_no_dollar_sign():
    """CVE-2015-5144, CVE-2021-44420: it matches before a newline at the end, too."""
    found = []
    for path, node in source():
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            for text in ast.walk(node):
                if isinstance(text, ast.Constant) and isinstance(text.value, (str, bytes)):
                    value = text.value.decode() if isinstance(text.value, bytes) else text.value
                    if re.search(r"(?<!\\)(?:\\\\)*\$", re.sub(r"\[[^\]]*\]", "", value)):
                        found.append((path.name, text.value))
    assert [] == found


def test_checks_do_not_vanish_under_python_O():
    """An `assert` is no check."""
    assert [] == [path.name for path, node in source() if isinstance(node, ast.Assert)]


def source():
    """Every node of the package's syntax, with its file."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            yield path, node


# -- headers ---------------------------------------------------------------------------------------


async def pieces():
    yield b""


def hints(value):
    return asyncio.run(pushing().send_early_hints("</a>", value))


def push(value):
    return asyncio.run(pushing().send_push_promise(value))


def pushing():
    async def send(message):
        raise AssertionError(f"sent {message!r}")

    extensions = {"http.response.early_hint": {}, "http.response.push": {}}
    return Request(http_scope(extensions=extensions), send=send)


def accept(**options):
    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        raise AssertionError(f"sent {message!r}")

    return asyncio.run(WebSocket(websocket_scope(), receive, send).accept(**options))


def nothing(scope, receive, send):
    raise AssertionError


DOORS = {
    "response": lambda v: Response(headers={"x": v}),
    "response, name": lambda v: Response(headers={v: "x"}),
    "stream": lambda v: StreamingResponse(pieces(), headers={"x": v}),
    "file": lambda v: FileResponse("x", headers={"x": v}),
    "redirect": lambda v: RedirectResponse("/", headers={"x": v}),
    "JSON": lambda v: JSONResponse({}, headers={"x": v}),
    "media type": lambda v: Response(media_type=v),
    "text media type": lambda v: HTMLResponse("", media_type=f"text/x{v}"),
    "media type of a stream": lambda v: StreamingResponse(pieces(), media_type=v),
    "media type of a file": lambda v: FileResponse("x", media_type=v),
    "disposition": lambda v: FileResponse("x", filename="x", content_disposition_type=v),
    "set": lambda v: Response().headers.__setitem__("x", v),
    "set, name": lambda v: Response().headers.__setitem__(v, "x"),
    "append": lambda v: Response().headers.append("x", v),
    "setdefault": lambda v: Response().headers.setdefault("x", v),
    "update": lambda v: Response().headers.update({"x": v}),
    "union": lambda v: MutableHeaders() | {"x": v},
    "union in place": lambda v: MutableHeaders().__ior__({"x": v}),
    "made": lambda v: MutableHeaders({"x": v}),
    "vary": lambda v: Response().headers.add_vary_header(v),
    "cookie path": lambda v: Response().set_cookie("a", path=v),
    "cookie domain": lambda v: Response().set_cookie("a", domain=v),
    "cookie expires": lambda v: Response().set_cookie("a", expires=v),
    "cookie same site": lambda v: Response().set_cookie("a", samesite=v),
    "deleted cookie path": lambda v: Response().delete_cookie("a", path=v),
    "deleted cookie domain": lambda v: Response().delete_cookie("a", domain=v),
    "exception": lambda v: HTTPException(400, headers={"x": v}),
    "exception, name": lambda v: HTTPException(400, headers={v: "x"}),
    "websocket": lambda v: accept(headers=[(b"x", v.encode())]),
    "websocket, name": lambda v: accept(headers=[(v.encode(), b"x")]),
    "subprotocol": lambda v: accept(subprotocol=v),
    "early hint": hints,
    "push promise": push,
    "exposed header": lambda v: CORSMiddleware(nothing, expose_headers=[v]),
    "allowed header": lambda v: CORSMiddleware(nothing, allow_headers=[v]),
    "allowed method": lambda v: CORSMiddleware(nothing, allow_methods=[v]),
    "session cookie": lambda v: SessionMiddleware(nothing, "key", session_cookie=v),
    "session path": lambda v: SessionMiddleware(nothing, "key", path=v),
    "session domain": lambda v: SessionMiddleware(nothing, "key", domain=v),
}


@pytest.mark.parametrize("value", ["x\r\nset-cookie: a=b", "x\ny", "x\ry", "x\0y"])
@pytest.mark.parametrize("door", DOORS)
def test_no_door_lets_a_line_end_into_a_header(door, value):
    """CVE-2012-2374, CVE-2016-9964, CVE-2020-7695, CVE-2026-22779: refused where it is given."""
    with pytest.raises(ValueError):
        DOORS[door](value)


@pytest.mark.parametrize(
    "door", ["cookie path", "cookie domain", "cookie expires", "session path", "session domain"]
)
def test_set_cookie_attribute_injection(door):
    """A `;` would begin another attribute."""
    with pytest.raises(ValueError):
        DOORS[door]("/; domain=evil.example")


@pytest.mark.parametrize("name", ["a b", "a;b", "a=b", "a,b", "", "a\r\nb", "a\0", "ä", '"a"'])
def test_cookie_name_is_a_token(name):
    """RFC 6265 section 4.1.1."""
    response = Response()
    with pytest.raises(CookieError):
        response.set_cookie(name, "x")
    assert not [pair for pair in response.raw_headers if pair[0] == b"set-cookie"]


@given(st.text(st.characters(max_codepoint=255), max_size=20))
@settings(max_examples=60)
def test_cookie_value_stays_in_its_cookie(value):
    """Whatever it is: it is quoted, or it is refused where the library refuses it."""
    response = Response()
    try:
        response.set_cookie("a", value)
    except CookieError as exc:
        assert "control character" in str(exc).lower()
        return
    line = dict(response.raw_headers)[b"set-cookie"].decode("latin-1")
    assert ["Path=/", "SameSite=lax"] == line.split("; ")[-2:]
    assert 2 == line.count(";")
    assert not set("\r\n\0") & set(line)


def test_forwarded_headers_are_ignored():
    """GHSA-hm36-ffrh-c77c: what a client says of itself is not known; a server that was told whom
    to believe puts it into the scope."""

    async def tells(request):
        seen = [request.url, request.base_url, request.client.host, request.url_for("tells")]
        return PlainTextResponse(" ".join(map(str, seen)))

    app = Lamella(routes=[Route("/", tells, name="tells")])
    names = [
        "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto",
        "x-forwarded-prefix", "x-forwarded-server", "x-forwarded-scheme", "x-forwarded-ssl",
        "x-real-ip", "x-host", "x-original-url", "x-rewrite-url", "x-original-host", "x-script-name",
        "x-http-method-override", "front-end-https", "via", "x-url-scheme",
    ]  # fmt: skip
    plain = answer(app).text
    for name in names:
        headers = [(name, "for=evil.example;host=evil.example;proto=https"), (name, "evil.example")]
        assert plain == answer(app, headers=headers).text


@pytest.mark.parametrize(
    ("line", "cookies"),
    [
        ("=__Host-x=bad", {"": "__Host-x=bad"}),
        ("__Host-x", {"": "__Host-x"}),
        (" = ; ;;", {}),
        ("a=1,csrftoken=bad", {"a": "1,csrftoken=bad"}),
        ('a="1,csrftoken=bad"', {"a": "1,csrftoken=bad"}),
        ("a=1 csrftoken=bad", {"a": "1 csrftoken=bad"}),
        ("a=1\tcsrftoken=bad", {"a": "1\tcsrftoken=bad"}),
        ("a=[b=c]", {"a": "[b=c]"}),
        ("CSRFToken=bad", {"CSRFToken": "bad"}),
    ],
)
def test_cookie_is_one_strict_pair(line, cookies):
    """CVE-2023-23934, CVE-2016-7401: none takes the name of another."""
    assert cookies == cookie_parser(line)


# -- redirects -------------------------------------------------------------------------------------


@given(st.text(st.sampled_from("/\\.:@%?#&\t\r\n\0 aé\u3002\uff0f"), max_size=12), st.binary())
@settings(max_examples=200)
def test_location_stays_on_the_origin(rest, query):
    """CVE-2020-28724, CVE-2017-7233, CVE-2017-7234, CVE-2014-3730, CVE-2015-0220: of any path."""
    location = location_of(f"/{rest}", query)
    assert re.match(r"/(?![/\\])", location)
    assert location.isascii() and location.isprintable() and " " not in location
    assert "\\" not in location


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example/x", "///evil.example/x"])
@pytest.mark.parametrize("root", ["", "//evil.example", "/\\evil.example"])
def test_slash_redirect_stays_on_the_origin(path, root):
    """A route for any path matches these too, with a slash more."""
    app = Lamella(routes=[Route("/{p:path}/", says_path)])
    reply = answer(app, root + path, root_path=root, headers=[("host", "evil.example")])
    assert 307 == reply.status
    assert re.match(r"/(?![/\\])", reply.headers["location"])
    assert "\\" not in reply.headers["location"]


# -- bodies ----------------------------------------------------------------------------------------


async def echoes(request):
    return JSONResponse(await request.json())


ECHO = Lamella(routes=[Route("/", echoes, methods=["POST"])])


@pytest.mark.parametrize(
    "escape", ["\\ud800", "\\udfff", "x\\udc00\\ud800y", "\\ud83d\\ud83d\\ude00"]
)
def test_json_that_came_in_goes_out(escape):
    """JSON alone can bring in half a character, which no UTF-8 has; it goes out as it came."""
    body = f'{{"{escape}":["{escape}"]}}'.encode()
    reply = answer(ECHO, method="POST", body=body)
    assert (200, json.loads(body)) == (reply.status, json.loads(reply.body))


def test_json_that_came_in_by_a_websocket_goes_out():
    """As text and as bytes."""
    sent = []

    async def talk():
        incoming = [{"type": "websocket.receive", "text": '"\\ud800"'}] * 2
        incoming.insert(0, {"type": "websocket.connect"})

        async def receive():
            return incoming.pop(0)

        async def send(message):
            sent.append(message)

        websocket = WebSocket(websocket_scope(), receive, send)
        await websocket.accept()
        for mode in ("text", "binary"):
            await websocket.send_json(await websocket.receive_json(), mode)

    asyncio.run(talk())
    assert ('"\\ud800"', b'"\\ud800"') == (sent[1]["text"], sent[2]["bytes"])


@pytest.mark.parametrize(
    "body",
    [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"9" * 1_000_000, b'"\xff"', b"\xef\xbb\xbf\xef\xbb\xbf1"],
    ids=["brackets", "braces", "digits", "no UTF-8", "two marks"],
)  # fmt: skip
def test_hostile_json_is_a_400(body):
    """Too deep, too long a number, no UTF-8."""
    reply = ask(ECHO, method="POST", body=body)
    assert (400, None) == (reply.status, reply.error)
    assert len(reply.body) < 200


@pytest.mark.parametrize(
    "length",
    ["-1", "0", "", "+5", "5 ", "0x5", "1_0", "\u0665".encode().decode("latin-1")],
)
def test_length_that_is_announced_changes_nothing(length):
    """CVE-2026-53540, CVE-2026-33034, CVE-2026-5766: bytes are counted as they come."""
    app = Lamella(
        routes=[Route("/", echoes, methods=["POST"], max_body_size=10)],
    )
    for body, status in ((b"[1]", 200), (b"[" + b"1," * 10 + b"1]", 413)):
        reply = answer(app, method="POST", body=body, headers=[("content-length", length)])
        assert status == reply.status


# -- sessions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["set", "nested", "clear", "replace"])
def test_session_cookie_always_comes_with_vary(change):
    """CVE-2026-35192, CVE-2023-30861, CVE-2014-1418: no cache gives it to somebody else."""

    async def fill(request):
        request.session["list"] = [1]
        return PlainTextResponse("")

    async def alter(request):
        if change == "set":
            request.scope["session"]["x"] = 1
        elif change == "nested":
            request.scope["session"]["list"].append(2)
        elif change == "clear":
            request.scope["session"].clear()
        else:
            request.scope["session"] = {"new": 1}
        return PlainTextResponse("", headers={"vary": "Accept"})

    layer = Middleware(SessionMiddleware, secret_key="for tests")
    app = Lamella(routes=[Route("/fill", fill), Route("/alter", alter)], middleware=[layer])
    cookie = answer(app, "/fill").headers["set-cookie"].partition(";")[0]
    headers = answer(app, "/alter", headers=[("cookie", cookie)]).headers
    assert "set-cookie" in headers
    assert "Accept, Cookie" == headers["vary"]


# -- logs ------------------------------------------------------------------------------------------

FORGED = "1.2.3.4\r\nforged \x1b[2J\u2028\x85\x00"


def test_no_text_of_a_client_forges_a_log_line(caplog):
    """CVE-2020-7694: path, method, and the client's host, which a proxy may hand on."""

    async def fails(request):
        raise LookupError("ours")

    app = Lamella(
        routes=[Route("/{p:path}", fails, methods=None)],
        middleware=[Middleware(AccessLogMiddleware)],
    )
    app.router.routes[0].methods = None
    with caplog.at_level(logging.DEBUG):
        ask(app, f"/{FORGED}", f"GET{FORGED}", client=(FORGED, 1))
    lines = [record.getMessage() for record in caplog.records]
    assert {"lamella.access", "lamella.error"} <= {record.name for record in caplog.records}
    for line in lines:
        assert line.isprintable(), line


# -- who reads slowly ------------------------------------------------------------------------------


class Blocked:
    """A client that takes the start and one piece, and then nothing; it counts what was read."""

    def __init__(self):
        self.given = 0
        self.taken = 0

    async def receive(self):
        await asyncio.Event().wait()

    async def send(self, message):
        self.taken += len(message.get("body", b""))
        if self.taken:
            await asyncio.Event().wait()

    async def serve(self, app):
        task = asyncio.create_task(app(http_scope(), self.receive, self.send))
        given = -1
        while given != self.given or not self.taken:  # until it stands still
            given = self.given
            for _ in range(50):
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])


LAYERS = [
    [],
    [Middleware(AccessLogMiddleware)],
    [Middleware(SessionMiddleware, secret_key="x"), Middleware(CORSMiddleware)],
]


@pytest.mark.parametrize("layers", LAYERS, ids=["no layer", "dispatch", "native"])
def test_blocked_reader_of_a_stream_holds_64_kb(layers):
    """Nothing is made ahead of the client: of a stream, one piece."""
    client = Blocked()

    async def makes():
        while True:
            client.given += 65536
            yield b"x" * 65536

    async def endpoint(request):
        return StreamingResponse(makes())

    asyncio.run(client.serve(Lamella(routes=[Route("/", endpoint)], middleware=layers)))
    assert (65536, 65536) == (client.given, client.taken)


@pytest.mark.parametrize("layers", LAYERS, ids=["no layer", "dispatch", "native"])
def test_blocked_reader_of_a_file_holds_64_kb(layers, tmp_path):
    """CVE-2015-0221: of a file, one chunk, whatever its lines are."""
    (tmp_path / "big").write_bytes(b"x" * (1 << 20))
    client = Blocked()

    async def endpoint(request):
        return FileResponse(tmp_path / "big")

    asyncio.run(client.serve(Lamella(routes=[Route("/", endpoint)], middleware=layers)))
    assert 65536 == client.taken
