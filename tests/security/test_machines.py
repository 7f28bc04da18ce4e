"""State machines: any calls in any order, and what must hold after each of them.

Of the headers of a response, of a websocket, and of a whole exchange between a server, layers and
an endpoint. Sessions have theirs in `tests/middleware/test_sessions.py`.
"""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lamella.applications import Lamella
from lamella.datastructures import MutableHeaders
from lamella.exceptions import ClientDisconnect, HTTPException
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.lint import LintMiddleware
from lamella.responses import PlainTextResponse, StreamingResponse
from lamella.routing import Route
from lamella.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from tests.parity.drive import http_scope, websocket_scope

STEPS = settings(max_examples=40, stateful_step_count=15)

# -- headers ---------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "A", "set-cookie", "Vary", "x-" * 3, "", "a b", "a\n", "é", ":a"])
VALUES = st.sampled_from(["", "1", "a, b", " x ", "é", "€", "a\r\nb: c", "a\nb", "a\0", "\ud800"])
TOKEN = set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


def is_right(name, value):
    """What may go into a header."""
    if not name or not set(name.lower()) <= TOKEN:
        return False
    return not set(value) & set("\r\n\0") and all(ord(character) < 256 for character in value)


class Headers(RuleBasedStateMachine):
    """Against a list of pairs: what is refused changes nothing, what is taken is there."""

    def __init__(self):
        super().__init__()
        self.headers = MutableHeaders()
        self.model = []

    def change(self, call, pairs, model):
        """Make a change; the model is what is to come of it if all pairs may be added."""
        if all(is_right(*pair) for pair in pairs):
            call()
            self.model = model
            return
        try:
            call()
        except ValueError:
            return
        raise AssertionError(f"took {pairs!r}")

    def without(self, name):
        return [pair for pair in self.model if pair[0] != name.lower()]

    def first(self, name):
        return [value for key, value in self.model if key == name.lower()][:1]

    def replaced(self, name, value):
        """The first of a name is replaced where it stands, the others go."""
        places = [at for at, (key, _) in enumerate(self.model) if key == name.lower()]
        if not places:
            return [*self.model, (name.lower(), value)]
        model = self.without(name)
        before = len([pair for pair in self.model[: places[0]] if pair[0] != name.lower()])
        return [*model[:before], (name.lower(), value), *model[before:]]

    @rule(name=NAMES, value=VALUES)
    def sets(self, name, value):
        self.change(
            lambda: self.headers.__setitem__(name, value),
            [(name, value)],
            self.replaced(name, value),
        )

    @rule(name=NAMES, value=VALUES)
    def appends(self, name, value):
        self.change(
            lambda: self.headers.append(name, value),
            [(name, value)],
            [*self.model, (name.lower(), value)],
        )

    @rule(name=NAMES, value=VALUES)
    def sets_default(self, name, value):
        found = self.first(name)
        self.change(
            lambda: self.headers.setdefault(name, value),
            [] if found else [(name, value)],
            self.model if found else [*self.model, (name.lower(), value)],
        )

    @rule(name=NAMES)
    def deletes(self, name):
        del self.headers[name]
        self.model = self.without(name)

    @rule(value=VALUES)
    def varies(self, value):
        joined = ", ".join([*[v for key, v in self.model if key == "vary"], value])
        self.change(
            lambda: self.headers.add_vary_header(value),
            [("vary", value)],
            self.replaced("vary", joined),
        )

    @invariant()
    def is_the_model(self):
        assert self.model == list(self.headers.items())
        assert len(self.model) == len(self.headers)
        for name in ("a", "Vary", "a b", "é"):
            assert self.first(name) == self.headers.getlist(name)[:1]
            assert (name in self.headers) == bool(self.first(name))

    @invariant()
    def can_be_sent(self):
        for name, value in self.headers.raw:
            assert name and set(name.decode()) <= TOKEN
            assert not set(value) & set(b"\r\n\0")


TestHeaders = Headers.TestCase
TestHeaders.settings = STEPS

# -- websockets ------------------------------------------------------------------------------------


class Refused(Exception):
    """The server's side of a websocket was told something out of turn."""


class Websocket(RuleBasedStateMachine):
    """A server that takes nothing out of turn, and an endpoint that does what it likes."""

    def __init__(self):
        super().__init__()
        scope = {**websocket_scope(), "extensions": {"websocket.http.response": {}}}
        self.websocket = WebSocket(scope, self.receive, self.send)
        self.connected = self.accepted = self.denied = self.closed = self.left = False
        self.breaks = False
        self.incoming = None

    async def receive(self):
        message, self.incoming = self.incoming, None
        if message is None:
            message = {"type": "websocket.receive", "text": "1"}
        if not self.connected:
            message = {"type": "websocket.connect"}
        self.connected = True
        self.left = self.left or message["type"] == "websocket.disconnect"
        return message

    async def send(self, message):
        kind = message["type"]
        if self.breaks:
            raise OSError("broken")
        if self.closed:
            raise Refused(f"{kind} after the end")
        if kind == "websocket.accept":
            self.turn(kind, not self.accepted and not self.denied)
            self.accepted = True
        elif kind == "websocket.send":
            self.turn(kind, self.accepted)
        elif kind == "websocket.close":
            self.turn(kind, not self.denied and not self.left)
            assert len(message["reason"].encode("utf-8", "replace")) <= 123
            self.closed = True
        elif kind == "websocket.http.response.start":
            self.turn(kind, not self.accepted and not self.denied)
            self.denied = True
        else:
            self.turn(kind, self.denied)
            self.closed = not message.get("more_body", False)

    def turn(self, kind, allowed):
        if not allowed:
            raise Refused(f"{kind} out of turn")

    def does(self, coroutine):
        """Run what never waits; what the class is documented to raise is no failure."""
        try:
            coroutine.send(None)
        except StopIteration:
            pass
        except (WebSocketDisconnect, RuntimeError):
            pass
        else:
            raise AssertionError("waits")

    @rule()
    def accepts(self):
        if not self.connected or self.websocket.client_state is not WebSocketState.CONNECTING:
            self.does(self.websocket.accept())

    @rule(reason=st.sampled_from([None, "", "x", "é" * 100, "x" * 122 + "€"]))
    def closes(self, reason):
        self.does(self.websocket.close(1000, reason))

    @rule(how=st.sampled_from(["send_text", "send_json"]))
    def sends(self, how):
        self.does(getattr(self.websocket, how)("x"))

    @rule()
    def sends_bytes(self):
        self.does(self.websocket.send_bytes(b"x"))

    @rule(how=st.sampled_from(["receive", "receive_text", "receive_bytes", "receive_json"]))
    def receives(self, how):
        self.does(getattr(self.websocket, how)())

    @rule()
    def denies(self):
        self.does(self.websocket.send_denial_response(PlainTextResponse("no", 403)))

    @precondition(lambda self: not self.left)
    @rule(
        message=st.sampled_from(
            [
                {"type": "websocket.receive", "bytes": b"\xff"},
                {"type": "websocket.receive", "text": "["},
                {"type": "websocket.receive"},
                {"type": "websocket.disconnect", "code": 1001},
                {"type": "websocket.disconnect"},
            ]
        )
    )
    def client_says(self, message):
        self.incoming = message

    @rule()
    def connection_breaks(self):
        self.breaks = True

    @invariant()
    def states_are_true(self):
        client, application = self.websocket.client_state, self.websocket.application_state
        assert self.connected == (client is not WebSocketState.CONNECTING)
        assert self.left == (client is WebSocketState.DISCONNECTED)
        if self.closed:
            assert application is WebSocketState.DISCONNECTED
        elif not self.breaks and not self.left:
            if self.accepted:
                assert application is WebSocketState.CONNECTED
            else:
                assert application is not WebSocketState.CONNECTED


TestWebsocket = Websocket.TestCase
TestWebsocket.settings = STEPS

# -- a whole exchange ------------------------------------------------------------------------------

CLIENT = st.lists(st.sampled_from([b"", b"a", b"bc"]), max_size=3)
INSIDE = st.lists(
    st.sampled_from(["body", "stream", "turn", "poll", "form", "json", "raise", "refuse"]),
    max_size=4,
)
ANSWER = st.sampled_from(["plain", "stream", "empty stream", "failing stream", "foreign", "none"])
LAYER = st.sampled_from(["passes", "reads before", "reads after", "answers", "twice", "drains"])


class Conversation:
    """One exchange, of what hypothesis chose, with a judge on either side."""

    def __init__(self, pieces, leaves, inside, ending, layers, spec):
        self.incoming = [
            {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
        ]
        if not leaves:
            self.incoming.append({"type": "http.request", "body": b"", "more_body": False})
        self.leaves = leaves
        self.inside = inside
        self.ending = ending
        self.opened = self.closed = 0
        self.sent = []
        self.scope = {**http_scope(method="POST"), "asgi": {"version": "3.0", "spec_version": spec}}
        self.app = LintMiddleware(
            Lamella(
                routes=[Route("/", self.endpoint, methods=["POST"])],
                middleware=[Middleware(BaseHTTPMiddleware, self.layer(kind)) for kind in layers],
            )
        )
        self.end = asyncio.Event()

    async def receive(self):
        if self.incoming:
            return self.incoming.pop(0)
        if not self.leaves:
            await self.end.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)

    async def endpoint(self, request):
        for step in self.inside:
            if step == "raise":
                raise LookupError("the endpoint's own")
            if step == "refuse":
                raise HTTPException(418)
            if step == "turn":
                await asyncio.sleep(0)
            elif step == "poll":
                await request.is_disconnected()
            elif step == "stream":
                async for _ in request.stream():
                    break
            else:
                await getattr(request, step)()
        return self.answer()

    def answer(self):
        if self.ending == "plain":
            return PlainTextResponse("plain")
        if self.ending == "foreign":
            return self.foreign
        if self.ending == "none":
            return None
        return StreamingResponse(self.pieces())

    async def pieces(self):
        self.opened += 1
        try:
            if self.ending != "empty stream":
                yield b"1"
                await asyncio.sleep(0)
                yield b"2"
            if self.ending == "failing stream":
                raise LookupError("the stream's own")
        finally:
            self.closed += 1

    async def foreign(self, scope, receive, send):
        self.opened += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"1", "more_body": True})
            await send({"type": "http.response.body", "body": b"2"})
        finally:
            self.closed += 1

    def layer(self, kind):
        async def dispatch(request, call_next):
            if kind == "reads before":
                await request.body()
            if kind == "answers":
                await call_next(request)
                return PlainTextResponse("layer")
            response = await call_next(request)
            if kind == "twice":
                response = await call_next(request)
            elif kind == "reads after":
                await request.body()
            elif kind == "drains":
                content = [piece async for piece in response.body_iterator]
                return PlainTextResponse(b"".join(map(bytes, content)))
            return response

        return dispatch

    async def run(self):
        task = asyncio.create_task(self.app(self.scope, self.receive, self.send))
        await asyncio.wait([task], timeout=5)
        assert task.done()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left
        return task.exception()


@given(
    pieces=CLIENT,
    leaves=st.booleans(),
    inside=INSIDE,
    ending=ANSWER,
    layers=st.lists(LAYER, max_size=3),
    spec=st.sampled_from(["2.0", "2.4"]),
)
@settings(max_examples=300)
def test_any_exchange_is_answered_cut_off_or_left(pieces, leaves, inside, ending, layers, spec):
    """One of three, and never two of them: a whole answer, one that is seen to be cut off with an
    error for the server, or none to a client that left. Nothing stays open."""

    async def main():
        conversation = Conversation(pieces, leaves, inside, ending, layers, spec)
        return conversation, await conversation.run()

    conversation, error = asyncio.run(main())
    assert conversation.opened == conversation.closed
    assert not isinstance(error, AssertionError)
    assert "ProtocolError" != type(error).__name__
    kinds = [message["type"] for message in conversation.sent]
    assert kinds[:1] in ([], ["http.response.start"])
    bodies = [message for message in conversation.sent if message["type"] == "http.response.body"]
    is_whole = bool(bodies) and not bodies[-1].get("more_body", False)
    if not leaves:
        assert is_whole or error is not None
    assert not isinstance(error, ClientDisconnect)
    own = not {"answers", "drains"} & set(layers)  # nobody answers in the place of the endpoint
    if own and ending == "failing stream" and kinds and conversation.sent[0]["status"] == 200:
        assert not is_whole
        assert leaves or isinstance(error, LookupError)
