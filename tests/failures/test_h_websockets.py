"""Family H, websockets: dispatch layers are for requests, and let these pass as they are."""

from __future__ import annotations

from typing import Any, cast

from tests.failures.stacks import Shape, build, every
from tests.failures.wire import HTTPException, Message, Mount, Wire, exchange, load, turns

WebSocketRoute = load("routing").WebSocketRoute
WebSocketException = load("exceptions").WebSocketException

LEAVE = {"type": "websocket.disconnect", "code": 1001, "reason": ""}


class Socket:
    """A websocket as the server sees it: what the client says, and what it is told."""

    def __init__(self, spec: str, *said: str, path: str = "/ws", breaks: bool = False) -> None:
        self.scope = {
            **Wire(path=path, spec=spec).scope,
            "type": "websocket",
            "scheme": "ws",
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        del self.scope["method"]
        texts = [{"type": "websocket.receive", "text": text} for text in said]
        self.incoming: list[Message] = [{"type": "websocket.connect"}, *texts, LEAVE]
        self.sent: list[Message] = []
        self.events: list[str] = []
        self.turns = 0
        self._breaks = breaks

    async def receive(self) -> Message:
        """Give the client's next message."""
        await turns()
        return self.incoming.pop(0)

    async def send(self, message: Message) -> None:
        """Take a message; a connection that broke says so (ASGI spec 2.4)."""
        await turns()
        if self._breaks and message["type"] == "websocket.send":
            raise OSError("the connection broke")
        self.sent.append(message)

    @property
    def kinds(self) -> list[str]:
        """Short types of the messages sent, in order."""
        return [message["type"].removeprefix("websocket.") for message in self.sent]


def run(shape: Shape, endpoint: Any, socket: Socket, **options: Any) -> tuple[Any, list[str]]:
    """Serve one websocket below the layers of a shape: what was raised, and what layers did."""
    log: list[str] = []
    route = WebSocketRoute("/ws", endpoint)
    app = build(shape, routes=[Mount("/m", routes=[route]), route], log=log, **options)
    return exchange(shape.loop, app, cast("Any", socket)), log


async def echo(websocket: Any) -> None:
    """Say everything twice, until the client leaves."""
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text * 2)


@every
def test_websocket_passes_through_the_layers(shape: Shape) -> None:
    """H16: WebSockets below dispatch-style middleware."""
    for path in ("/ws", "/m/ws"):
        socket = Socket(shape.spec, "a", "b", path=path)

        exc, log = run(shape, echo, socket)

        assert exc is None
        assert log == []
        assert socket.kinds == ["accept", "send", "send"]
        assert [message["text"] for message in socket.sent[1:]] == ["aa", "bb"]


@every
def test_websocket_that_no_route_is_for_is_closed(shape: Shape) -> None:
    """H16, and more: it is refused by the router, not by a layer."""
    socket = Socket(shape.spec, path="/nowhere")

    exc, log = run(shape, echo, socket)

    assert (exc, log, socket.kinds) == (None, [], ["close"])


@every
def test_exception_of_a_websocket_is_answered_below_the_layers(shape: Shape) -> None:
    """H16, and more: by the handlers, as it is without layers."""

    async def refuses(websocket: Any) -> None:
        raise HTTPException(403)

    async def closes(websocket: Any) -> None:
        await websocket.accept()
        raise WebSocketException(4001, "no")

    refused, closed = Socket(shape.spec), Socket(shape.spec)

    assert run(shape, refuses, refused) == (None, [])
    assert run(shape, closes, closed) == (None, [])
    assert refused.kinds == ["http.response.start", "http.response.body"]
    assert refused.sent[0]["status"] == 403
    assert closed.sent[1:] == [{"type": "websocket.close", "code": 4001, "reason": "no"}]


@every
def test_error_of_a_websocket_is_raised_to_the_server_as_it_is(shape: Shape) -> None:
    """H16, and more: the very object, and nothing is sent for it."""
    error = KeyError("x")

    async def fails(websocket: Any) -> None:
        await websocket.accept()
        raise error

    socket = Socket(shape.spec)

    exc, log = run(shape, fails, socket)

    assert exc is error
    assert (log, socket.kinds) == ([], ["accept"])


@every
def test_websocket_whose_client_leaves_is_no_error(shape: Shape) -> None:
    """H16, and more: whether it says so, or the connection breaks."""

    async def reads(websocket: Any) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())

    for breaks in (False, True):
        socket = Socket(shape.spec, "a", breaks=breaks)

        exc, log = run(shape, reads, socket)

        assert (exc, log) == (None, [])
        assert socket.kinds == (["accept"] if breaks else ["accept", "send"])
