"""One websocket: its states, its messages, and what may not go into them."""

import json

import pytest

from lamella.exceptions import (
    MalformedPayloadError,
    UsageError,
    WebSocketException,
    WrongPayloadError,
)
from lamella.responses import FileResponse, PlainTextResponse, StreamingResponse
from lamella.websockets import (
    WebSocket,
    WebSocketClose,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketState,
)
from tests.parity.drive import http_scope, websocket_scope

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
LEAVE = {"type": "websocket.disconnect", "code": 1001, "reason": "bye"}
DENIAL = {"websocket.http.response": {}}
HOSTILE = ["x\r\nset-cookie: a=b", "x\ny", "x\ry", "x\0y"]


def text(data):
    return {"type": "websocket.receive", "text": data}


def binary(data):
    return {"type": "websocket.receive", "bytes": data}


class Peer:
    """The server's side: what it will say, and what it was told."""

    def __init__(self, *incoming, fails_at=None, extensions=None, **scope):
        self.incoming = list(incoming)
        self.sent = []
        self.fails_at = fails_at
        scope = {**websocket_scope(**scope), "extensions": extensions}
        self.websocket = WebSocket(scope, self.receive, self.send)

    async def receive(self):
        return self.incoming.pop(0)

    async def send(self, message):
        if message["type"] == self.fails_at:
            raise OSError
        self.sent.append(message)


async def accepted(*incoming, **options):
    """A peer whose connection was accepted; what was sent for that is forgotten."""
    peer = Peer(CONNECT, *incoming, **options)
    await peer.websocket.accept()
    peer.sent.clear()
    return peer


# -- the states ------------------------------------------------------------------------------------


async def test_states_follow_the_messages():
    """Both sides' own."""
    peer = Peer(CONNECT, text("x"), LEAVE)
    websocket = peer.websocket
    seen = [(websocket.client_state, websocket.application_state)]
    for step in (websocket.accept, websocket.receive, websocket.close, websocket.receive):
        await step()
        seen.append((websocket.client_state, websocket.application_state))
    connecting, connected = WebSocketState.CONNECTING, WebSocketState.CONNECTED
    gone = WebSocketState.DISCONNECTED
    assert seen == [
        (connecting, connecting),
        (connected, connected),
        (connected, connected),
        (connected, gone),
        (gone, gone),
    ]


async def test_accept_takes_the_connect_unless_that_was_received():
    """Either may come first."""
    for early in (True, False):
        peer = Peer(CONNECT)
        if early:
            assert CONNECT == await peer.websocket.receive()
        await peer.websocket.accept("chat", [(b"x-a", b"1")])
        assert not peer.incoming
        assert peer.sent == [
            {"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-a", b"1")]}
        ]


@pytest.mark.parametrize("kind", ["http.request", "websocket.receive", "websocket.disconnect"])
async def test_server_that_begins_otherwise_is_an_error(kind):
    """The ASGI spec begins with `websocket.connect`."""
    with pytest.raises(RuntimeError, match=f'Expected ASGI message "websocket.connect".*{kind}'):
        await Peer({"type": kind}).websocket.receive()


async def test_server_that_goes_on_otherwise_is_an_error():
    """After the connect, only data and the disconnect."""
    peer = await accepted(CONNECT)
    with pytest.raises(RuntimeError, match='"websocket.receive" or "websocket.disconnect"'):
        await peer.websocket.receive()


@pytest.mark.parametrize("kind", ["websocket.send", "websocket.http.response.body", "nonsense"])
async def test_message_before_the_handshake_is_answered_is_an_error(kind):
    """Nothing reaches the server."""
    peer = Peer(CONNECT)
    with pytest.raises(RuntimeError, match='"websocket.accept", "websocket.close" or'):
        await peer.websocket.send({"type": kind})
    assert peer.sent == []


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.http.response.start"])
async def test_handshake_is_answered_once(kind):
    """What answers it cannot come later."""
    peer = await accepted()
    with pytest.raises(RuntimeError, match='"websocket.send" or "websocket.close"'):
        await peer.websocket.send({"type": kind})


async def test_response_to_the_handshake_has_a_body_and_then_an_end():
    """ASGI extension `websocket.http.response`."""
    peer = Peer(CONNECT)
    start = {"type": "websocket.http.response.start", "status": 403, "headers": []}
    await peer.websocket.send(start)
    assert WebSocketState.RESPONSE is peer.websocket.application_state
    with pytest.raises(RuntimeError, match='"websocket.http.response.body"'):
        await peer.websocket.send(start)
    body = {"type": "websocket.http.response.body", "body": b"", "more_body": True}
    await peer.websocket.send(body)
    await peer.websocket.send({**body, "more_body": False})
    assert WebSocketState.DISCONNECTED is peer.websocket.application_state
    with pytest.raises(WebSocketDisconnected):
        await peer.websocket.send(body)


async def test_closing_twice_is_an_error():
    """A `RuntimeError`, as of Starlette's."""
    peer = await accepted()
    await peer.websocket.close()
    with pytest.raises(WebSocketDisconnected, match="once a close message"):
        await peer.websocket.close()
    assert issubclass(WebSocketDisconnected, RuntimeError)


async def test_receiving_after_the_disconnect_is_an_error():
    """There is nothing to come."""
    peer = await accepted(LEAVE)
    assert LEAVE == await peer.websocket.receive()
    with pytest.raises(WebSocketDisconnected, match="once a disconnect message"):
        await peer.websocket.receive()


@pytest.mark.parametrize("name", ["receive_text", "receive_bytes", "receive_json"])
async def test_receiving_before_accepting_is_an_error(name):
    """It says what to do."""
    with pytest.raises(WebSocketDisconnected, match='Need to call "accept" first'):
        await getattr(Peer(CONNECT).websocket, name)()


async def test_closing_after_the_client_left_sends_nothing():
    """Servers differ in what they make of it; nobody is there."""
    peer = await accepted(LEAVE)
    with pytest.raises(WebSocketDisconnect):
        await peer.websocket.receive_text()
    await peer.websocket.close()
    assert peer.sent == []
    assert WebSocketState.DISCONNECTED is peer.websocket.application_state
    with pytest.raises(WebSocketDisconnected):
        await peer.websocket.close()


def test_it_serves_websockets_only():
    """Told at once."""
    with pytest.raises(UsageError, match="'websocket', got 'http'"):
        WebSocket(http_scope(), None, None)


# -- what comes and goes ---------------------------------------------------------------------------


async def test_each_kind_of_message_is_received():
    """Text, bytes, and JSON in both."""
    peer = await accepted(text("ü"), binary(b"\xff"), text('{"a": [1]}'), binary(b'"\xc3\xbc"'))
    websocket = peer.websocket
    assert "ü" == await websocket.receive_text()
    assert b"\xff" == await websocket.receive_bytes()
    assert {"a": [1]} == await websocket.receive_json()
    assert "ü" == await websocket.receive_json(mode="binary")


async def test_each_kind_of_message_is_sent():
    """JSON compact, in plain UTF-8."""
    peer = await accepted()
    await peer.websocket.send_text("ü")
    await peer.websocket.send_bytes(b"\xff")
    await peer.websocket.send_json({"ü": [1, None]})
    await peer.websocket.send_json("ü", mode="binary")
    assert peer.sent == [
        {"type": "websocket.send", "text": "ü"},
        {"type": "websocket.send", "bytes": b"\xff"},
        {"type": "websocket.send", "text": '{"ü":[1,null]}'},
        {"type": "websocket.send", "bytes": b'"\xc3\xbc"'},
    ]


async def test_mode_of_json_is_checked_before_anything_is_done():
    """Nothing is received or sent."""
    peer = await accepted(text("1"))
    for call in (peer.websocket.receive_json, lambda mode: peer.websocket.send_json(1, mode)):
        with pytest.raises(RuntimeError, match='"text" or "binary"'):
            await call(mode="other")
    assert (1, []) == (len(peer.incoming), peer.sent)


@pytest.mark.parametrize(
    ("name", "messages", "data"),
    [
        ("iter_text", [text("a"), text("")], ["a", ""]),
        ("iter_bytes", [binary(b"a"), binary(b"")], [b"a", b""]),
        ("iter_json", [text("1"), text("[]")], [1, []]),
    ],
)
async def test_iterating_ends_when_the_client_leaves(name, messages, data):
    """Quietly: that is how connections end."""
    peer = await accepted(*messages, LEAVE)
    assert data == [item async for item in getattr(peer.websocket, name)()]


async def test_disconnect_tells_code_and_reason():
    """1005 is what the ASGI spec has for a close without a code."""
    peer = await accepted(LEAVE)
    with pytest.raises(WebSocketDisconnect) as caught:
        await peer.websocket.receive_text()
    assert (1001, "bye", "1001: bye") == (
        caught.value.code,
        caught.value.reason,
        str(caught.value),
    )
    peer = await accepted({"type": "websocket.disconnect"})
    with pytest.raises(WebSocketDisconnect) as caught:
        await peer.websocket.receive_bytes()
    assert (1005, "") == (caught.value.code, caught.value.reason)


@pytest.mark.parametrize("kind", ["websocket.accept", "websocket.send", "websocket.close"])
async def test_connection_that_breaks_is_a_disconnect(kind):
    """`send` raises `OSError` (ASGI spec 2.4); 1006 is the code for no close at all."""
    peer = Peer(CONNECT, fails_at=kind)
    with pytest.raises(WebSocketDisconnect) as caught:
        await peer.websocket.accept()
        await peer.websocket.send_text("x")
        await peer.websocket.close()
    assert 1006 == caught.value.code
    assert isinstance(caught.value.__cause__, OSError)
    assert WebSocketState.DISCONNECTED is peer.websocket.application_state


# -- what a client may send ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("receive_text", binary(b"x"), 1003),
        ("receive_text", {**binary(b"x"), "text": None}, 1003),
        ("receive_bytes", text("x"), 1003),
        ("receive_bytes", {**text("x"), "bytes": None}, 1003),
        ("receive_json", binary(b"1"), 1003),
        ("iter_text", binary(b"x"), 1003),
    ],
)
async def test_message_of_the_other_kind_is_the_clients_error(name, message, code):
    """An exception that closes with 1003 if nobody catches it; not a KeyError (SECURITY: ws)."""
    peer = await accepted(message, text("1"), binary(b"1"))
    with pytest.raises(WrongPayloadError, match="Expected (text|bytes) .* but got") as caught:
        if name.startswith("iter"):
            await anext(getattr(peer.websocket, name)())
        else:
            await getattr(peer.websocket, name)()
    assert code == caught.value.code
    assert isinstance(caught.value, WebSocketException | RuntimeError)
    assert "1" == await peer.websocket.receive_text()  # whoever catches it may go on


BAD_JSON = ["", "{", "{'a': 1}", "nope", "[" * 200_000, "1" * 10_000, "\ud800"]


@pytest.mark.parametrize("data", BAD_JSON, ids=range(len(BAD_JSON)))
async def test_message_that_is_not_json_is_the_clients_error(data):
    """A `json.JSONDecodeError`, as Starlette's, that closes with 1003."""
    peer = await accepted(text(data))
    with pytest.raises(MalformedPayloadError) as caught:
        await peer.websocket.receive_json()
    assert 1003 == caught.value.code
    assert isinstance(caught.value, json.JSONDecodeError)
    assert "Malformed JSON data received" in caught.value.reason


async def test_message_that_is_not_utf8_has_a_code_of_its_own():
    """RFC 6455 section 7.4.1: 1007."""
    peer = await accepted(binary(b'"\xff"'))
    with pytest.raises(MalformedPayloadError, match="byte 1 is not UTF-8") as caught:
        await peer.websocket.receive_json(mode="binary")
    assert 1007 == caught.value.code


# -- what may not go out ---------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_header_that_could_split_the_handshake_is_refused(hostile):
    """Nothing is sent, and the connection may still be accepted otherwise."""
    for pair in ((b"x-a", hostile.encode()), (hostile.encode(), b"x"), (b"", b"x")):
        peer = Peer(CONNECT)
        with pytest.raises(ValueError, match="header"):
            await peer.websocket.accept(headers=[pair])
        assert peer.sent == []
        await peer.websocket.accept()


@pytest.mark.parametrize("hostile", [*HOSTILE, "", "a b", "a,b", "ü", b"chat\n", 1])
async def test_subprotocol_that_is_no_token_is_refused(hostile):
    """RFC 6455 section 4.2.2."""
    peer = Peer(CONNECT)
    with pytest.raises(ValueError, match="Expected a subprotocol"):
        await peer.websocket.accept(subprotocol=hostile)
    assert peer.sent == []


async def test_headers_of_a_message_made_by_hand_are_checked_too():
    """`send` is public."""
    peer = Peer(CONNECT)
    await peer.websocket.receive()
    with pytest.raises(ValueError, match="header"):
        await peer.websocket.send({"type": "websocket.accept", "headers": [(b"a", b"b\r\n")]})
    assert WebSocketState.CONNECTING is peer.websocket.application_state


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        (None, ""),
        ("bye", "bye"),
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("ü" * 100, "ü" * 61),
        ("😀" * 100, "😀" * 30),
        ("\ud800", "\ud800"),
        (["a", "list"], ["a", "list"]),
    ],
    ids=range(8),
)
async def test_close_reason_fits_a_control_frame(reason, sent):
    """RFC 6455 section 5.5: 125 bytes with the code. FastAPI gives it lists, which are let be."""
    peer = await accepted()
    await peer.websocket.close(1008, reason)
    messages = []

    async def send(message):
        messages.append(message)

    await WebSocketClose(1008, reason)(websocket_scope(), None, send)
    assert peer.sent == messages == [{"type": "websocket.close", "code": 1008, "reason": sent}]


# -- the denial ------------------------------------------------------------------------------------


async def pieces():
    yield "a"
    yield "b"


@pytest.mark.parametrize("make", [str, pieces, "file"], ids=["plain", "stream", "file"])
async def test_denial_response_is_sent_where_the_server_takes_it(make, tmp_path):
    """ASGI extension `websocket.http.response`."""
    peer = Peer(CONNECT, extensions=DENIAL)
    await peer.websocket.receive()
    if make == "file":
        path = tmp_path / "denial.txt"
        path.write_text("ab")
        response = FileResponse(path, status_code=401)
    elif make is pieces:
        response = StreamingResponse(pieces(), status_code=401)
    else:
        response = PlainTextResponse("ab", status_code=401)
    await peer.websocket.send_denial_response(response)
    start, *bodies = peer.sent
    assert ("websocket.http.response.start", 401) == (start["type"], start["status"])
    assert {"websocket.http.response.body"} == {message["type"] for message in bodies}
    assert b"ab" == b"".join(message.get("body", b"") for message in bodies)
    assert WebSocketState.DISCONNECTED is peer.websocket.application_state


@pytest.mark.parametrize("extensions", [{}, None, {"other": {}}])
async def test_denial_response_is_an_error_where_the_server_does_not_take_it(extensions):
    """Nothing is sent, so it can be closed instead."""
    peer = Peer(CONNECT, extensions=extensions)
    await peer.websocket.receive()
    with pytest.raises(RuntimeError, match="doesn't support the Websocket Denial Response"):
        await peer.websocket.send_denial_response(PlainTextResponse("no", 403))
    assert peer.sent == []


# -- the connection --------------------------------------------------------------------------------


async def test_it_reads_its_scope_as_requests_do():
    """Headers, query, cookies, path parameters, state."""
    peer = Peer(
        path="/chat",
        query=b"a=1",
        headers=[("cookie", "k=v"), ("x-a", "1")],
        path_params={"room": 7},
    )
    websocket = peer.websocket
    websocket.state.user = "ann"
    assert "ws://testserver/chat?a=1" == str(websocket.url)
    assert ({"k": "v"}, "1", "1") == (
        websocket.cookies,
        websocket.headers["x-a"],
        websocket.query_params["a"],
    )
    assert ({"room": 7}, "websocket", "ann") == (
        websocket.path_params,
        websocket["type"],
        websocket.state.user,
    )
    assert websocket == websocket
    assert websocket != WebSocket(websocket.scope, peer.receive, peer.send)
