"""What came in: ``HTTPConnection`` and ``Request``.

Floor 2. Names and behaviour as Starlette 1.10, over one owner of the body stream: every layer and
the endpoint share one ``Request``, so ``body``, ``json``, ``form`` and ``stream`` agree at every
depth. Nothing here sends a response.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, NoReturn, cast
from urllib.parse import unquote_plus

from lamella.datastructures import (
    URL,
    Address,
    FormData,
    Headers,
    QueryParams,
    State,
    UploadFile,
)
from lamella.engine.exchange import EDGE, Exchange
from lamella.engine.inbound import Feed, Inbound, Reader
from lamella.exceptions import ClientDisconnect, HTTPException, MalformedJSONError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
    from types import TracebackType

    from typing_extensions import TypeVar

    from lamella.engine.exchange import Outcome
    from lamella.types import Message, Receive, Scope, Send

    StateT = TypeVar("StateT", bound=Mapping[str, Any] | State, default=State)
else:
    from typing import TypeVar

    StateT = TypeVar("StateT")

__all__ = ["ClientDisconnect", "HTTPConnection", "Request", "cookie_parser"]

_PUSHED_HEADERS = (
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "user-agent",
)
_FIELD = re.compile(rb"[^&]+")
_ESCAPED = re.compile(r"\\(?:([0-3][0-7]{2})|(.))", re.DOTALL)


def cookie_parser(cookie_string: str) -> dict[str, str]:
    """Parse a ``Cookie`` header's value (RFC 6265 section 4.2.1), as browsers and Starlette do.

    A piece without ``=`` has the empty name. Quoted values are unquoted. Never raises.
    """
    cookies: dict[str, str] = {}
    for piece in cookie_string.split(";"):
        name, separator, value = piece.partition("=")
        if not separator:
            name, value = "", piece
        name, value = name.strip(), value.strip()
        if name or value:
            cookies[name] = _unquoted(value)
    return cookies


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return _ESCAPED.sub(lambda found: _unescaped(found[1], found[2]), value[1:-1])


def _unescaped(octal: str | None, character: str) -> str:
    return character if octal is None else chr(int(octal, 8))


class HTTPConnection(Mapping[str, Any], Generic[StateT]):
    """What ``Request`` and ``WebSocket`` have in common: the scope, read conveniently.

    Args:
        scope: the ASGI connection scope, of type ``http`` or ``websocket``.
        receive: not used; for Starlette's signature.
    """

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        if scope["type"] not in ("http", "websocket"):
            raise UsageError(
                f"Expected a scope of type 'http' or 'websocket', got {scope['type']!r}."
            )
        self.scope = scope

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)

    # Two connections are equal only if they are one, whatever their scopes hold.
    __eq__ = object.__eq__
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]

    @property
    def app(self) -> Any:
        """The application that serves this connection (``scope["app"]``)."""
        return self.scope["app"]

    @property
    def url(self) -> URL:
        """The full URL as the client sees it, as far as the server knows."""
        if not hasattr(self, "_url"):
            self._url = URL(scope=self.scope)
        return self._url

    @property
    def base_url(self) -> URL:
        """The URL of the application's root, ending in ``/``; without query."""
        if not hasattr(self, "_base_url"):
            root = self.scope.get("app_root_path", self.scope.get("root_path", ""))
            scope = dict(self.scope)
            scope["path"] = root if root.endswith("/") else root + "/"
            scope["root_path"] = root
            scope["query_string"] = b""
            self._base_url = URL(scope=scope)
        return self._base_url

    @property
    def headers(self) -> Headers:
        """The request headers, case-insensitive."""
        if not hasattr(self, "_headers"):
            self._headers = Headers(scope=self.scope)
        return self._headers

    @property
    def query_params(self) -> QueryParams:
        """The parsed query string."""
        if not hasattr(self, "_query_params"):
            self._query_params = QueryParams(self.scope.get("query_string", b""))
        return self._query_params

    @property
    def path_params(self) -> dict[str, Any]:
        """The parameters of the matched route, converted."""
        return cast("dict[str, Any]", self.scope.get("path_params", {}))

    @property
    def cookies(self) -> dict[str, str]:
        """The request's cookies by name."""
        if not hasattr(self, "_cookies"):
            cookies: dict[str, str] = {}
            for header in self.headers.getlist("cookie"):
                cookies.update(cookie_parser(header))
            self._cookies = cookies
        return self._cookies

    @property
    def client(self) -> Address | None:
        """The client's address, or None where the server does not know it."""
        address = self.scope.get("client")
        return None if address is None else Address(*address)

    @property
    def session(self) -> dict[str, Any]:
        """The session that ``SessionMiddleware`` put into the scope."""
        return cast("dict[str, Any]", self._from_layer("session", "SessionMiddleware"))

    @property
    def auth(self) -> Any:
        """The credentials that ``AuthenticationMiddleware`` put into the scope."""
        return self._from_layer("auth", "AuthenticationMiddleware")

    @property
    def user(self) -> Any:
        """The user that ``AuthenticationMiddleware`` put into the scope."""
        return self._from_layer("user", "AuthenticationMiddleware")

    def _from_layer(self, key: str, layer: str) -> Any:
        if key not in self.scope:
            raise UsageError(
                f"Expected scope[{key!r}], which {layer} sets; "
                f"install {layer} to access request.{key}."
            )
        return self.scope[key]

    @property
    def state(self) -> StateT:
        """What layers and the endpoint of this request leave for each other, by attribute."""
        if not hasattr(self, "_state"):
            self._state = State(self.scope.setdefault("state", {}))
        return cast("StateT", self._state)

    def url_for(self, name: str, /, **path_params: Any) -> URL:
        """The absolute URL of a named route.

        Raises:
            NoMatchFound: no route has that name and exactly these parameters.
        """
        provider = self.scope.get("router") or self.scope.get("app")
        if provider is None:
            raise RuntimeError(
                "Expected to run inside an application or router, which `url_for` asks for the"
                " route; the scope has neither."
            )
        path = provider.url_path_for(name, **path_params)
        return cast("URL", path.make_absolute_url(self.base_url))


async def empty_receive() -> NoReturn:
    """The ``receive`` of a Request that was made without one."""
    raise RuntimeError("Receive channel has not been made available")


async def empty_send(message: Message) -> NoReturn:
    """The ``send`` of a Request that was made without one."""
    raise RuntimeError("Send channel has not been made available")


class Request(HTTPConnection[StateT]):
    """One HTTP request, shared by all layers and the endpoint.

    Args:
        scope: the ASGI scope, of type ``http``.
        receive: the ASGI ``receive``. A ``Request`` made of another one's ``scope`` and
            ``receive`` shares its body.
        send: the ASGI ``send``, used for push promises and early hints only.
    """

    _given_inbound: Inbound | None = None
    _given_feed: Feed | None = None
    _form: FormData | None = None
    _exchange: Exchange | None = None
    # When the edge made this request, by `time.perf_counter`; None for one made by hand.
    _started_at: float | None = None
    # Whether no dispatch layer stands between the edge and whoever has this request, so that a
    # foreign app may send its messages straight.
    _direct = False
    # Whether the edge is done with this request; a task may have outlived that.
    _over = False
    # The response of the endpoint, to be given back as it was.
    _claimed: Any = None

    def __init__(
        self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send
    ) -> None:
        if scope["type"] != "http":
            raise UsageError(f"Expected a scope of type 'http', got {scope['type']!r}.")
        self.scope = scope
        self._raw_receive = receive
        self._raw_send = send
        # The request of the edge that this one was made in or below.
        self._around: Request[Any] | None = scope.get(EDGE)

    @property
    def exchange(self) -> Exchange | None:
        """What this request and its response hold; None outside of any edge."""
        if self._exchange is None:
            outer = None if self._around is None else self._around.exchange
            if self._started_at is None:
                return outer
            self._exchange = Exchange(self._raw_send, outer, self._started_at)
            self._exchange.over = self._over
        return self._exchange

    @property
    def _send(self) -> Send:
        exchange = None if self._started_at is None else self.exchange
        return self._raw_send if exchange is None else exchange.send

    @property
    def method(self) -> str:
        """The HTTP method in upper case."""
        return cast("str", self.scope["method"])

    # -- the inbound ---------------------------------------------------------------------------

    @property
    def inbound(self) -> Inbound:
        """The one owner of this request's ``receive``."""
        if self._given_inbound is None:
            self._given_inbound = self._own(self._raw_receive, self._feed_around())
        return self._given_inbound

    def _feed_around(self) -> Feed | None:
        """What the ``receive`` of this request draws from, if foreign code stands in between."""
        around = self._around
        if around is None:
            return None
        if self._started_at is None:
            return around.feed
        exchange = around.exchange
        return None if exchange is None else exchange.feed

    def _own(self, receive: Receive, feed: Feed | None) -> Inbound:
        """The inbound that owns ``receive``: the one it belongs to already, or a new one."""
        own = getattr(receive, "__self__", None)
        if isinstance(own, Feed):
            if own.shared:
                return own.inbound
            feed = own
        inbound = Inbound(receive, feed)
        exchange = self.exchange
        if exchange is not None:
            exchange.own(inbound)
        return inbound

    @property
    def feed(self) -> Feed:
        """The inbound as this request's own ``receive``."""
        if self._given_feed is None:
            self._given_feed = Feed(self.inbound, None, shared=True)
        return self._given_feed

    @property
    def receive(self) -> Receive:
        """The ASGI ``receive`` of this request, going on where the body stands."""
        return self.feed.receive

    @property
    def _receive(self) -> Receive:
        return self.feed.receive

    @_receive.setter
    def _receive(self, receive: Receive) -> None:
        # A replay of the body made by hand: its messages come first, and the client's leaving is
        # still known from the inbound it replaces.
        self._given_inbound = self._own(receive, Feed(self.inbound, None, shared=True))
        self._given_feed = None

    @property
    def _stream_consumed(self) -> bool:
        return self.inbound.consumed

    # -- the body ------------------------------------------------------------------------------

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the body as it comes in; the last item is ``b""``.

        A body read whole before is one item. What is streamed is not kept: whoever reads later
        gets ``BodyConsumedError``, a ``RuntimeError``, which names the function that streamed.

        Raises:
            ClientDisconnect: the client left before the last byte.
        """
        inbound = self.inbound
        if inbound.body is not None:
            yield inbound.body
            yield b""
            return
        caller = sys._getframe(1)
        inbound.claim(caller.f_code)
        reader = Reader(caller.f_code, caller.f_lineno)
        while (chunk := await inbound.take(reader)) is not None:
            yield chunk
        yield b""

    async def body(self) -> bytes:
        """The whole body; kept, so that every later reader gets it too.

        Raises:
            ClientDisconnect: the client left before the last byte.
            BodyConsumedError: a part of the body was streamed away before.
        """
        return await self.inbound.read()

    async def json(self) -> Any:
        """The body parsed as JSON; parsed once.

        Raises:
            MalformedJSONError: the body is not JSON in UTF-8. It is a ``json.JSONDecodeError``,
                and a 400 if nobody catches it.
        """
        if not hasattr(self, "_json"):
            self._json = _parsed(await self.body())
        return self._json

    def form(
        self,
        *,
        max_files: float = 1000,
        max_fields: float = 1000,
        max_part_size: int = 1024 * 1024,
    ) -> _Form:
        """The body parsed as a form; ``await`` it, or use it as ``async with``, which closes it.

        Args:
            max_files: the most files accepted.
            max_fields: the most fields accepted.
            max_part_size: the largest field accepted, in bytes.

        Raises:
            HTTPException: 400 for a form over a limit, 415 for a form this version cannot read.
        """
        return _Form(self, max_fields, max_part_size)

    async def _get_form(self, max_fields: float, max_part_size: int) -> FormData:
        if self._form is None:
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "application/x-www-form-urlencoded":
                body = await self.body()
                self._form = FormData(list(_fields(body, max_fields, max_part_size)))
            elif kind == "multipart/form-data":
                raise HTTPException(
                    415, "Expected application/x-www-form-urlencoded, got multipart/form-data."
                )
            else:
                self._form = FormData()
        return self._form

    async def close(self) -> None:
        """Close the files of the form, if it was read."""
        if self._form is not None:
            await self._form.close()

    # -- the client ----------------------------------------------------------------------------

    async def is_disconnected(self) -> bool:
        """Whether the client left. Does not wait, and never loses a piece of the body."""
        if self.exchange is not None:
            return await self.inbound.is_disconnected()
        try:
            return await self.inbound.is_disconnected()
        finally:
            await self.inbound.close()  # made by hand: there is no edge to end the watch

    async def disconnected(self) -> None:
        """Wait until the client left."""
        await self.inbound.wait_disconnected()

    def after_response(self, callback: Callable[[Outcome], Awaitable[None] | None]) -> None:
        """Call ``callback(outcome)`` once this exchange is over, however it ended.

        Args:
            callback: sync or async; gets an ``Outcome`` (status, body_size in bytes, seconds,
                client_left, exception). An error in it is logged and changes nothing.

        Raises:
            RuntimeError: this Request is not being served by an application.
        """
        exchange = self.exchange
        if exchange is None:
            raise RuntimeError(
                "Expected a request that an application serves; this one was made by hand, so"
                " there is no response to wait for."
            )
        exchange.call_after(callback)

    async def send_push_promise(self, path: str) -> None:
        """Promise a resource (ASGI extension ``http.response.push``); nothing without it."""
        if "http.response.push" in self._extensions:
            headers = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name in _PUSHED_HEADERS
                for value in self.headers.getlist(name)
            ]
            await self._send({"type": "http.response.push", "path": path, "headers": headers})

    async def send_early_hints(self, link: str, /, *additional_links: str) -> None:
        """Send 103 Early Hints (RFC 8297) where the server offers it; nothing otherwise.

        Args:
            link: the value of a ``Link`` header.
            additional_links: more of them.
        """
        if "http.response.early_hint" in self._extensions:
            links = [value.encode("latin-1") for value in (link, *additional_links)]
            await self._send({"type": "http.response.early_hint", "links": links})

    @property
    def _extensions(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.scope.get("extensions") or {})


class _Form:
    """What ``Request.form`` gives: awaitable, and an async context manager."""

    __slots__ = ("_max_fields", "_max_part_size", "_request")

    def __init__(self, request: Request[Any], max_fields: float, max_part_size: int) -> None:
        self._request = request
        self._max_fields = max_fields
        self._max_part_size = max_part_size

    def __await__(self) -> Generator[Any, None, FormData]:
        return self._request._get_form(self._max_fields, self._max_part_size).__await__()

    async def __aenter__(self) -> FormData:
        return await self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._request.close()


def _fields(
    body: bytes, max_fields: float, max_size: int
) -> Iterator[tuple[str, str | UploadFile]]:
    """The fields of an urlencoded form (WHATWG URL 5.1), within limits, empty ones left out."""
    for number, found in enumerate(_FIELD.finditer(body)):
        if number >= max_fields:
            raise HTTPException(400, f"Too many fields. Maximum number of fields is {max_fields}.")
        name, _, value = found[0].partition(b"=")
        if len(name) + len(value) > max_size:
            raise HTTPException(400, f"Field exceeded maximum size of {max_size} bytes.")
        yield unquote_plus(name.decode("latin-1")), unquote_plus(value.decode("latin-1"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise MalformedJSONError(f"byte {exc.start} is not UTF-8") from None
    except json.JSONDecodeError as exc:
        reason = f"{exc.msg} (line {exc.lineno}, column {exc.colno})"
        raise MalformedJSONError(reason, exc.doc, exc.pos) from None
    except (RecursionError, ValueError):
        # Thousands of brackets, or of digits: a client's doing, and not one of ours.
        reason = "it is nested too deeply, or a number is too long"
        raise MalformedJSONError(reason) from None
