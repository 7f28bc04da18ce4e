"""The HTTP client below both test clients: httpx2, else httpx; what goes to it and comes from it.

Floor 9. A request becomes a scope here, and a run of the app becomes a response.
"""

from __future__ import annotations

import dataclasses
import importlib
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote, urljoin, urlsplit

from lamella._testclient.http import DEBUG, TRAILERS, HTTPRun, check_raw
from lamella._testclient.run import ASGI3App
from lamella._testclient.websocket import Denial
from lamella.exceptions import StarletteDeprecationWarning
from lamella.types import Message, Scope
from lamella.websockets import WebSocketDisconnect

__all__ = [
    "AppTransport",
    "HandshakeError",
    "WebSocketDenialResponse",
    "accepted",
    "handshake",
    "httpx",
    "own_headers",
    "warn_of_timeout",
]


def _import_http_client() -> ModuleType:
    """Import httpx2, else httpx; without either an ImportError says what to install."""
    for name in ("httpx2", "httpx"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as exc:
            if exc.name != name:  # installed, but something that it needs is not
                raise
    raise ImportError(
        'lamella.testclient needs httpx2; install it with: pip install "lamella[testclient]"'
    )


if TYPE_CHECKING:
    import httpx2 as httpx
else:
    httpx = _import_http_client()

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_WEBSOCKET_SCHEMES: Final = ("ws", "wss")
_HANDSHAKE: Final = {
    "connection": "upgrade",
    "sec-websocket-key": "testserver==",
    "sec-websocket-version": "13",
}


class WebSocketDenialResponse(httpx.Response, WebSocketDisconnect):  # type: ignore[misc]
    """The HTTP response with which an app refused a websocket, raised by `websocket_connect`.

    It has the response's status, headers and body, and the code of a connection that never was.

    Source: as Starlette 1.10; ASGI spec, "WebSocket Denial Response" extension.
    """

    __module__ = "lamella.testclient"  # where it is found

    code = 1006
    reason = ""

    def __str__(self) -> str:
        return f"The app refused the websocket: {self.status_code} {self.reason_phrase}".rstrip()


class HandshakeError(httpx.UnsupportedProtocol):
    """How a transport gives the scope of a websocket to `websocket_connect`.

    Elsewhere it is the error that it says: an HTTP request for a websocket URL.
    """

    def __init__(self, request: httpx.Request, scope: Scope) -> None:
        super().__init__(
            f"Expected an http or https URL, got '{request.url}'; use `websocket_connect` for it.",
            request=request,
        )
        self.scope = scope


@dataclasses.dataclass(eq=False)
class AppTransport:
    """What the transports of both clients know of the app and of the caller."""

    websocket_extensions: ClassVar[tuple[str, ...]] = ("websocket.http.response",)

    app: ASGI3App
    raise_server_exceptions: bool
    root_path: str
    client: tuple[str, int]
    app_state: dict[str, Any]

    def http_scope(self, request: httpx.Request) -> Scope:
        """Build the scope of an HTTP request; ASGI HTTP spec, "HTTP Connection Scope".

        Raises:
            HandshakeError: the URL is one of a websocket.
            httpx.UnsupportedProtocol: it is of another scheme than these.
        """
        scheme = request.url.scheme
        if scheme not in _DEFAULT_PORTS:
            raise httpx.UnsupportedProtocol(
                f"Expected an http or https URL, got {str(request.url)!r}.", request=request
            )
        if scheme in _WEBSOCKET_SCHEMES:
            raise HandshakeError(request, self._websocket_scope(request))
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "extensions": {DEBUG: {}, TRAILERS: {}},
            **self._connection(request),
        }

    def _websocket_scope(self, request: httpx.Request) -> Scope:
        """Build the scope of a websocket; ASGI WebSocket spec, "WebSocket Connection Scope"."""
        offered = request.headers.get("sec-websocket-protocol")
        return {
            "type": "websocket",
            "subprotocols": [name.strip() for name in offered.split(",")] if offered else [],
            "extensions": {name: {} for name in self.websocket_extensions},
            **self._connection(request),
        }

    def _connection(self, request: httpx.Request) -> Scope:
        """What the scopes of both kinds say."""
        url, headers = request.url, request.headers
        raw_headers = [
            (name.lower().encode(), text.encode()) for name, text in headers.multi_items()
        ]
        if "host" not in headers:
            raw_headers.insert(0, (b"host", url.netloc))
        port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        return {
            "scheme": url.scheme,
            "server": [url.raw_host.decode("ascii"), port],
            "client": self.client,
            "root_path": self.root_path,
            "path": unquote(url.path),  # once more than httpx does it: as Starlette 1.10
            "raw_path": url.raw_path.split(b"?", 1)[0],
            "query_string": url.query,
            "headers": raw_headers,
            "state": self.app_state.copy(),
        }

    def response(
        self,
        run: HTTPRun,
        request: httpx.Request,
        stream: httpx.SyncByteStream | httpx.AsyncByteStream,
    ) -> httpx.Response:
        """Make the response that a run has started, or has ended without.

        Raises:
            AssertionError: if the app returned without answering, and `raise_server_exceptions`.
        """
        if run.status is None:
            if self.raise_server_exceptions:
                raise AssertionError(
                    "TestClient did not receive any response. The app returned from "
                    f"{request.method} {request.url} without sending http.response.start."
                )
            return httpx.Response(500, stream=httpx.ByteStream(b""), request=request)
        extensions = run.extensions
        response = httpx.Response(
            run.status, headers=run.headers, stream=stream, request=request, extensions=extensions
        )
        debug_info = extensions.get(DEBUG, {})
        for name in ("template", "context"):
            if name in debug_info:
                setattr(response, name, debug_info[name])
        return response


def own_headers(headers: httpx._types.HeaderTypes | None) -> httpx.Headers:
    """Return the headers that a client sends with every request."""
    own = httpx.Headers(headers)
    own.setdefault("user-agent", "testclient")
    return own


def warn_of_timeout(options: dict[str, Any]) -> None:
    """Warn if a request is given a `timeout`."""
    if options.get("timeout", httpx.USE_CLIENT_DEFAULT) is not httpx.USE_CLIENT_DEFAULT:
        # The first sentence is Starlette's: filters of warnings are written by it.
        text = (
            "You should not use the 'timeout' argument with the TestClient."
            " It is ignored, as no network is involved; leave it out."
        )
        warnings.warn(text, StarletteDeprecationWarning, stacklevel=3)


def handshake(
    url: str, subprotocols: Sequence[str] | None, options: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Make the URL and the options of the GET request that asks for a websocket.

    Raises:
        RuntimeError: if the URL is of another scheme than ws and wss.
    """
    url = urljoin("ws://testserver", url)
    if urlsplit(url).scheme not in _WEBSOCKET_SCHEMES:
        raise RuntimeError(f"Expected a path, or a ws or wss URL, got {url!r}.")
    headers = httpx.Headers(options.get("headers"))
    for name, text in _HANDSHAKE.items():
        headers.setdefault(name, text)
    if subprotocols:
        headers.setdefault("sec-websocket-protocol", ", ".join(subprotocols))
    return url, {**options, "headers": headers}


def accepted(outcome: Message | Denial | BaseException, scope: Scope) -> Message:
    """Return a message of the app on a websocket's scope, or raise what came instead.

    Raises:
        WebSocketDenialResponse: the app refused the websocket with an HTTP response.
        WebSocketDisconnect: it closed.
        BaseException: it raised.
    """
    if isinstance(outcome, BaseException):
        raise outcome
    if isinstance(outcome, Denial):
        raise WebSocketDenialResponse(
            outcome.status,
            headers=check_raw(outcome.headers),
            content=outcome.body,
            request=httpx.Request("GET", _url_of(scope), headers=scope["headers"]),
        )
    return outcome


def _url_of(scope: Scope) -> httpx.URL:
    host, port = scope["server"]
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    return httpx.URL(
        scheme=scope["scheme"], host=host, port=port, raw_path=scope["raw_path"] + query
    )
