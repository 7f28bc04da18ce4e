"""Check a server and an application against the ASGI specification, message by message.

Floor 5. For tests and for development: put it around an application, or between two layers, and
whoever breaks the rules gets a ``ProtocolError`` where it does so. Source: the ASGI specification
3.0 with its HTTP, websocket, lifespan and extension parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, cast

from lamella._headers import check_header
from lamella._inspect import describe
from lamella.engine.exchange import EDGE
from lamella.exceptions import ProtocolError

if TYPE_CHECKING:
    from lamella.requests import Request
    from lamella.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LintMiddleware"]

_Check = Callable[[Any], bool]
_SERVER: Final = "the server"


class LintMiddleware:
    """Raises a ``ProtocolError`` for what the ASGI specification forbids.

    What the server is to blame for is raised from the call with a wrong scope, or from
    ``receive``; what the application is to blame for, from ``send`` or at its end.

    Args:
        app: what is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        _check_fields(_SERVER, scope, _SCOPES, "scope")
        name = describe(self.app)
        conversation = _CONVERSATIONS[scope["type"]](scope, name)
        left = False

        async def checked_receive() -> Message:
            message = await receive()
            _check_fields(_SERVER, message, _RECEIVED[scope["type"]], "message")
            conversation.received(message)
            return message

        async def checked_send(message: Message) -> None:
            nonlocal left
            _check_fields(name, message, _SENT[scope["type"]], "message")
            conversation.check_offered(message)
            conversation.sent(message)
            try:
                await send(message)
            except OSError:
                left = True  # ASGI HTTP spec 2.4
                raise

        await self.app(scope, checked_receive, checked_send)
        if not left and not _client_left(scope):
            conversation.ended()


# -- fields ----------------------------------------------------------------------------------------


def _is(*kinds: type) -> _Check:
    # A bool is an int to Python, and to nobody who reads a number.
    return lambda value: isinstance(value, kinds) and (bool in kinds or type(value) is not bool)


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _is_headers(value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return isinstance(value, Iterable)  # it can be looked at only once, and not by us
    return all(_is_header(pair) for pair in cast("Iterable[Any]", value))


def _is_header(pair: Any) -> bool:
    name, value = pair
    if not isinstance(name, bytes) or not isinstance(value, bytes) or name != name.lower():
        return False
    try:
        check_header(name.removeprefix(b":"), value)
    except ValueError:
        return False
    return True


def _is_address(value: Any) -> bool:
    return len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int | None)


def _is_status(value: Any) -> bool:
    return isinstance(value, int) and 100 <= value <= 999


def _is_close_code(value: Any) -> bool:
    return isinstance(value, int) and 1000 <= value <= 4999


def _is_absolute(value: Any) -> bool:
    return isinstance(value, str) and PurePath(value).is_absolute()


def _is_list_of(kind: type) -> _Check:
    return lambda value: all(isinstance(item, kind) for item in value)


_text, _flag, _number = _is(str), _is(bool), _is(int)
_bytes = _is(bytes, bytearray, memoryview)
_optional_text = _or_none(_text)
_mapping = _is(Mapping)

# For each type the fields it may have: what a value must be, and whether it must be there.
_Fields = dict[str, tuple[_Check, bool]]
_ANY: Final[_Fields] = {"type": (_text, True)}
_CONNECTION: Final[_Fields] = {
    **_ANY,
    "asgi": (_mapping, False),  # it must be there, but test clients leave it out
    "http_version": (lambda value: value in ("1.0", "1.1", "2", "3"), True),
    "scheme": (lambda value: isinstance(value, str) and bool(value), False),
    "path": (_text, True),
    "raw_path": (_or_none(_is(bytes)), False),
    "query_string": (_is(bytes), True),
    "root_path": (_text, False),
    "headers": (_is_headers, True),
    "client": (_or_none(_is_address), False),
    "server": (_or_none(_is_address), False),
    "state": (_mapping, False),
    "extensions": (_or_none(_mapping), False),
}
_SCOPES: Final[dict[str, _Fields]] = {
    "http": {
        **_CONNECTION,
        "method": (lambda value: isinstance(value, str) and value == value.upper(), True),
    },
    "websocket": {
        **_CONNECTION,
        "http_version": (_CONNECTION["http_version"][0], False),
        "query_string": (_or_none(_is(bytes)), False),
        "subprotocols": (_is_list_of(str), False),
    },
    "lifespan": {**_ANY, "asgi": (_mapping, False), "state": (_mapping, False)},
}
_RECEIVED: Final[dict[str, dict[str, _Fields]]] = {
    "http": {
        "http.request": {**_ANY, "body": (_bytes, False), "more_body": (_flag, False)},
        "http.disconnect": _ANY,
    },
    "websocket": {
        "websocket.connect": _ANY,
        "websocket.receive": {
            **_ANY,
            "bytes": (_or_none(_bytes), False),
            "text": (_optional_text, False),
        },
        "websocket.disconnect": {
            **_ANY,
            "code": (_number, False),
            "reason": (_optional_text, False),
        },
    },
    "lifespan": {"lifespan.startup": _ANY, "lifespan.shutdown": _ANY},
}
_RESPONSE: Final[dict[str, _Fields]] = {
    "http.response.start": {
        **_ANY,
        "status": (_is_status, True),
        "headers": (_is_headers, False),
        "trailers": (_flag, False),
    },
    "http.response.body": {**_ANY, "body": (_bytes, False), "more_body": (_flag, False)},
}
_FAILED: Final[_Fields] = {**_ANY, "message": (_text, False)}
_SENT: Final[dict[str, dict[str, _Fields]]] = {
    "http": {
        **_RESPONSE,
        "http.response.trailers": {
            **_ANY,
            "headers": (_is_headers, False),
            "more_trailers": (_flag, False),
        },
        "http.response.pathsend": {**_ANY, "path": (_is_absolute, True)},
        "http.response.zerocopysend": {
            **_ANY,
            "file": (lambda value: isinstance(value, int) or hasattr(value, "fileno"), True),
            "offset": (_or_none(_number), False),
            "count": (_or_none(_number), False),
            "more_body": (_flag, False),
        },
        "http.response.push": {**_ANY, "path": (_text, True), "headers": (_is_headers, True)},
        "http.response.early_hint": {**_ANY, "links": (_is_list_of(bytes), True)},
        "http.response.debug": {**_ANY, "info": (_mapping, True)},
    },
    "websocket": {
        "websocket.accept": {
            **_ANY,
            "subprotocol": (_optional_text, False),
            "headers": (_is_headers, False),
        },
        "websocket.send": {
            **_ANY,
            "bytes": (_or_none(_bytes), False),
            "text": (_optional_text, False),
        },
        "websocket.close": {
            **_ANY,
            "code": (_is_close_code, False),
            "reason": (_optional_text, False),
        },
        **{f"websocket.{kind}": fields for kind, fields in _RESPONSE.items()},
    },
    "lifespan": {
        "lifespan.startup.complete": _ANY,
        "lifespan.startup.failed": _FAILED,
        "lifespan.shutdown.complete": _ANY,
        "lifespan.shutdown.failed": _FAILED,
    },
}


def _check_fields(who: str, given: Any, known: Mapping[str, _Fields], what: str) -> None:
    """Check a scope or a message by itself.

    Raises:
        ProtocolError: it is no mapping, of no known type, or one of its fields is wrong.
    """
    kind = cast("Mapping[str, Any]", given).get("type") if isinstance(given, Mapping) else given
    if not isinstance(kind, str) or kind not in known:
        raise ProtocolError(f"Expected a {what} of {_listed(known)} from {who}, got {kind!r}.")
    for name, (check, required) in known[kind].items():
        if name not in given:
            if required:
                raise ProtocolError(f"Expected {name!r} in the {kind} {what} from {who}.")
        elif not _holds(check, given[name]):
            raise ProtocolError(
                f"Expected another {name!r} in the {kind} {what} from {who} than"
                f" {given[name]!r}; see the ASGI specification."
            )


def _holds(check: _Check, value: Any) -> bool:
    try:
        return check(value)
    except (TypeError, ValueError, LookupError):
        return False


def _listed(kinds: Iterable[str]) -> str:
    return " or ".join(kinds)


# -- conversations ---------------------------------------------------------------------------------


class _Conversation:
    """What was said on one scope so far; it raises for what may not be said now."""

    # Messages that the server has to offer, and the extension that does.
    _extensions: ClassVar[Mapping[str, str]] = {}

    def __init__(self, scope: Scope, app: str) -> None:
        self._scope = scope
        self._app = app
        self._gone = False

    def received(self, message: Message) -> None:
        """Check a message of the server."""

    def sent(self, message: Message) -> None:
        """Check a message of the application."""

    def ended(self) -> None:
        """Check what is missing at the end."""

    def check_offered(self, message: Message) -> None:
        """Check that the server takes messages of an extension."""
        kind = message["type"]
        extension = self._extensions.get(kind)
        if extension is not None and extension not in (self._scope.get("extensions") or {}):
            self._blame_app(f"{kind} only where scope['extensions'] has {extension!r}")

    def _blame_app(self, expected: str) -> NoReturn:
        raise ProtocolError(f"Expected {expected}; {self._app} did otherwise.")

    def _blame_server(self, expected: str) -> NoReturn:
        raise ProtocolError(f"Expected {expected}; {_SERVER} did otherwise.")


def _client_left(scope: Scope) -> bool:
    """Whether the engine knows it, where the layer stands in a stack: it need not receive it."""
    request: Request[Any] | None = scope.get(EDGE)
    exchange = None if request is None else request.exchange
    return exchange is not None and exchange.client_left


class _Response:
    """The messages of one response, of a request or of a handshake that is refused."""

    def __init__(self, blame: Callable[[str], NoReturn], *, has_body: bool) -> None:
        self._blame = blame
        self._has_body = has_body
        self._left: int | None = None
        self._trailers = False
        self.started = False
        self.complete = False
        self.over = False

    def start(self, message: Message) -> None:
        if self.started:
            self._blame("one http.response.start a response")
        self.started = True
        self._trailers = message.get("trailers", False)
        self._has_body = self._has_body and message["status"] not in (204, 304)
        headers = message.get("headers", ())
        if isinstance(headers, list | tuple):
            self._announce(cast("Iterable[tuple[bytes, bytes]]", headers))

    def _announce(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lengths = [value for name, value in headers if name == b"content-length"]
        if lengths and self._has_body:
            if not lengths[0].isdigit() or len(set(lengths)) > 1:
                self._blame(f"a Content-Length of digits, not {lengths!r}")
            self._left = int(lengths[0])

    def body(self, size: int | None, *, more: bool) -> None:
        """Count a piece of the body; None where its size is not known."""
        if not self.started:
            self._blame("http.response.start before the body")
        if self.complete:
            self._blame("nothing after the last piece of the body")
        self.complete = not more
        self.over = self.complete and not self._trailers
        if size is None:
            self._left = None
        elif self._left is not None:
            self._left -= size
            if self._left < 0 or (self.complete and self._left):
                self._blame("a body as long as its Content-Length says")

    def trailers(self, message: Message) -> None:
        if not self._trailers or not self.complete or self.over:
            self._blame("trailers after the body of a response whose start announced them")
        self.over = not message.get("more_trailers", False)


class _HTTP(_Conversation):
    _extensions: ClassVar = {
        f"http.response.{name}": f"http.response.{name}"
        for name in ("pathsend", "zerocopysend", "push", "early_hint", "debug", "trailers")
    }

    def __init__(self, scope: Scope, app: str) -> None:
        super().__init__(scope, app)
        self._request_over = False
        self._response = _Response(self._blame_app, has_body=scope["method"] != "HEAD")

    def received(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self._gone = True
        elif self._gone or self._request_over:
            self._blame_server("no http.request after the last one, or after http.disconnect")
        else:
            self._request_over = not message.get("more_body", False)

    def sent(self, message: Message) -> None:
        kind, response = message["type"], self._response
        if kind == "http.response.start":
            response.start(message)
        elif kind == "http.response.body":
            response.body(len(message.get("body", b"")), more=message.get("more_body", False))
        elif kind == "http.response.pathsend":
            response.body(None, more=False)
        elif kind == "http.response.zerocopysend":
            response.body(message.get("count"), more=message.get("more_body", False))
        elif kind == "http.response.trailers":
            response.trailers(message)
        elif kind != "http.response.push" and response.started:
            self._blame_app(f"{kind} before http.response.start")

    def ended(self) -> None:
        if not self._response.over and not self._gone:
            self._blame_app("a whole response before the end")


class _WebSocket(_Conversation):
    _extensions: ClassVar = {
        f"websocket.http.response.{name}": "websocket.http.response" for name in ("start", "body")
    }

    def __init__(self, scope: Scope, app: str) -> None:
        super().__init__(scope, app)
        self._connected = self._accepted = self._closed = False
        self._denial = _Response(self._blame_app, has_body=True)

    def received(self, message: Message) -> None:
        kind = message["type"]
        if (kind == "websocket.connect") == self._connected:
            self._blame_server("websocket.connect first, and once")
        if self._gone and kind != "websocket.disconnect":
            self._blame_server("nothing but websocket.disconnect after websocket.disconnect")
        self._connected = True
        if kind == "websocket.receive":
            if not self._accepted:
                self._blame_server("websocket.receive after websocket.accept")
            if not _has_one_payload(message):
                self._blame_server("one of 'bytes' and 'text' in websocket.receive")
        self._gone = self._gone or kind == "websocket.disconnect"

    def sent(self, message: Message) -> None:
        kind = message["type"]
        if self._closed:
            self._blame_app(f"no {kind} after the end of the connection")
        if kind.startswith("websocket.http.response."):
            self._deny(message)
        elif self._denial.started:
            self._blame_app(f"no {kind} after websocket.http.response.start")
        elif kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._closed = True
        elif not self._accepted:
            self._blame_app("websocket.accept before websocket.send")
        elif not _has_one_payload(message):
            self._blame_app("one of 'bytes' and 'text' in websocket.send")

    def _accept(self, message: Message) -> None:
        if self._accepted:
            self._blame_app("one websocket.accept")
        self._accepted = True
        chosen = message.get("subprotocol")
        if chosen is not None and chosen not in self._scope.get("subprotocols", ()):
            self._blame_app(f"one of scope['subprotocols'], not {chosen!r}")

    def _deny(self, message: Message) -> None:
        if self._accepted:
            self._blame_app("no response after websocket.accept")
        if message["type"].endswith("start"):
            self._denial.start(message)
        else:
            self._denial.body(len(message.get("body", b"")), more=message.get("more_body", False))
        self._closed = self._denial.over

    def ended(self) -> None:
        if self._accepted or self._closed or self._gone:
            return
        if self._denial.started:
            self._blame_app("a whole response before the end")
        self._blame_app("websocket.accept or websocket.close before the end")


class _Lifespan(_Conversation):
    def __init__(self, scope: Scope, app: str) -> None:
        super().__init__(scope, app)
        self._asked: list[str] = []
        self._answered: list[str] = []

    def received(self, message: Message) -> None:
        kind = message["type"].removeprefix("lifespan.")
        if kind in self._asked or (kind == "shutdown" and "startup" not in self._asked):
            self._blame_server("lifespan.startup, then lifespan.shutdown, each once")
        self._asked.append(kind)

    def sent(self, message: Message) -> None:
        kind = message["type"].split(".")[1]
        if kind not in self._asked or kind in self._answered:
            self._blame_app(f"one answer to lifespan.{kind}, after it was received")
        self._answered.append(kind)


def _has_one_payload(message: Message) -> bool:
    return (message.get("bytes") is None) != (message.get("text") is None)


_CONVERSATIONS: Final[Mapping[str, type[_Conversation]]] = {
    "http": _HTTP,
    "websocket": _WebSocket,
    "lifespan": _Lifespan,
}
