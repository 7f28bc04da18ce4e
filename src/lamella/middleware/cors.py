"""Cross-origin requests: who may read an answer, and who may open a websocket.

Floor 5. Names as Starlette 1.10; the protocol is the Fetch standard's (section "CORS protocol").
A page of another origin may send simple requests whatever this layer says; what it may do is read
the answer, send other requests, and use the user's credentials.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lamella._headers import encode_header, parse_host, values_in
from lamella._refusal import refuse_handshake
from lamella.datastructures import Headers, MutableHeaders
from lamella.engine.bridge import Bridge
from lamella.engine.stack import Layer
from lamella.exceptions import UsageError
from lamella.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ALL_METHODS", "SAFELISTED_HEADERS", "CORSMiddleware"]

ALL_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY")
"""What ``"*"`` stands for in ``allow_methods``."""

SAFELISTED_HEADERS: Final = {"Accept", "Accept-Language", "Content-Language", "Content-Type"}
"""Request headers that are always allowed."""

_ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
_ALLOW_CREDENTIALS: Final = "Access-Control-Allow-Credentials"
_VARY_OF_PREFLIGHT: Final = (
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers,"
    " Access-Control-Request-Private-Network"
)
_REFUSED: Final = "Disallowed CORS origin"
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}

# What may be sent back in a header: visible ASCII without a comma, as long as an origin can be.
_is_origin: Final = re.compile(r"[!-+\--~]{1,300}").fullmatch
# RFC 9110 section 5.6.2, or nothing, which may stand between two commas of a list (5.6.1).
_is_token_or_empty: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]*").fullmatch

_logger = logging.getLogger("lamella.middleware")


class CORSMiddleware(Layer):
    """Tells browsers which other origins may read answers, and refuses websockets of the rest.

    Args:
        app: what is inside.
        allow_origins: origins as browsers write them, ``https://example.org``, compared as they
            are; ``"*"`` for every origin, which then is allowed without credentials only.
        allow_methods: methods besides simple ones; ``"*"`` for ``ALL_METHODS``.
        allow_headers: request headers besides ``SAFELISTED_HEADERS``; ``"*"`` for any.
        allow_credentials: whether cookies and the like may be sent, and the answer be read.
        allow_origin_regex: matched against the whole origin; never matches ``null``.
        allow_private_network: whether public pages may ask a server in a private network.
        expose_headers: response headers that scripts may read.
        max_age: seconds that a browser may keep the answer to a preflight request.

    Raises:
        UsageError: a text where a list of texts is expected; ``null`` allowed with credentials.
        ValueError: a name that cannot stand in a header.

    Source: as Starlette 1.10, which sends part of the headers to origins that are not allowed,
        allows every origin with credentials for ``"*"``, and lets websockets of any origin through.
    """

    def __init__(
        self,
        app: ASGIApp,
        allow_origins: Collection[str] = (),
        allow_methods: Collection[str] = ("GET",),
        allow_headers: Collection[str] = (),
        allow_credentials: bool = False,
        allow_origin_regex: str | None = None,
        allow_private_network: bool = False,
        expose_headers: Collection[str] = (),
        max_age: int = 600,
    ) -> None:
        super().__init__(app)
        _check_list("allow_origins", allow_origins)
        _check_list("allow_methods", allow_methods)
        _check_list("allow_headers", allow_headers)
        _check_list("expose_headers", expose_headers)
        self.allow_all_origins = "*" in allow_origins
        _check_credentials(allow_origins, allow_credentials=allow_credentials)
        self.allow_credentials = allow_credentials and not self.allow_all_origins
        self.allow_origins = allow_origins
        self.allow_origin_regex = (
            None if allow_origin_regex is None else re.compile(allow_origin_regex)
        )
        self.allow_methods = ALL_METHODS if "*" in allow_methods else allow_methods
        self.allow_all_headers = "*" in allow_headers
        named = sorted(SAFELISTED_HEADERS | set(allow_headers))
        self.allow_headers = [name.lower() for name in named]
        self.allow_private_network = allow_private_network
        self.preflight_explicit_allow_origin = not self.allow_all_origins
        self.simple_headers = self._simple_headers(expose_headers)
        self.preflight_headers = self._preflight_headers(named, max_age)
        for name, value in (*self.simple_headers.items(), *self.preflight_headers.items()):
            encode_header(name, value)
        self._by_messages = self._bridge_to_own_methods()

    def _simple_headers(self, expose_headers: Collection[str]) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self.allow_all_origins:
            headers[_ALLOW_ORIGIN] = "*"
        if self.allow_credentials:
            headers[_ALLOW_CREDENTIALS] = "true"
        if expose_headers:
            headers["Access-Control-Expose-Headers"] = ", ".join(expose_headers)
        return headers

    def _preflight_headers(self, allow_headers: list[str], max_age: int) -> dict[str, str]:
        headers = {"Vary": _VARY_OF_PREFLIGHT}
        if self.allow_all_origins:
            headers[_ALLOW_ORIGIN] = "*"
        headers["Access-Control-Allow-Methods"] = ", ".join(self.allow_methods)
        headers["Access-Control-Max-Age"] = str(max_age)
        if not self.allow_all_headers:
            headers["Access-Control-Allow-Headers"] = ", ".join(allow_headers)
        if self.allow_credentials:
            headers[_ALLOW_CREDENTIALS] = "true"
        return headers

    def _bridge_to_own_methods(self) -> Bridge | None:
        """How a subclass is run that has a ``send`` or ``simple_response`` of its own."""
        cls = type(self)
        if (
            cls.send is CORSMiddleware.send
            and cls.simple_response is CORSMiddleware.simple_response
        ):
            return None
        return Bridge(self._simply)

    async def respond(self, request: Request[Any]) -> Response:
        """The service face."""
        given = values_in(request.scope, b"origin")
        origin = given[0] if given else None
        if origin is not None and _is_preflight(request):
            return self.preflight_response(request_headers=request.headers)
        try:
            if self._by_messages is not None:
                return await self._by_messages.respond(request)
            request._direct = False  # what a foreign app sends straight could not be changed
            response = await self._inner(request)
        except Exception:
            self._have_error_marked(request, origin)
            raise
        if origin is None:
            _vary_on_origin(response.raw_headers)
        else:
            self._mark(response, origin=origin)
        return response

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the lifespan through, and websockets of this site, of allowed ones or of no page.

        A browser opens a websocket to any site and sends the user's cookies along; no other layer
        stands between it and the application (RFC 6455 section 10.2).
        """
        if scope["type"] == "websocket" and not self._may_connect(scope):
            refusal = PlainTextResponse(_REFUSED, status_code=403)
            await refuse_handshake(refusal, _REFUSED, scope, receive, send)
            return
        await self._app(scope, receive, send)

    # -- the policy ----------------------------------------------------------------------------

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether the policy allows an origin, as it stands in the request."""
        if self.allow_all_origins or origin in self.allow_origins:
            return True
        regex = self.allow_origin_regex
        # `null` is what every sandboxed page calls itself: whoever means it has to list it.
        return regex is not None and origin != "null" and regex.fullmatch(origin) is not None

    def _allows(self, origin: str) -> bool:
        if self.allow_all_origins:
            return True
        return _is_origin(origin) is not None and self.is_allowed_origin(origin=origin)

    def _may_connect(self, scope: Scope) -> bool:
        origins = values_in(scope, b"origin")
        hosts = values_in(scope, b"host")
        if not origins or self._allows(origins[0]):
            return True
        return len(hosts) == 1 and _is_same_site(origins[0], hosts[0], scope)

    def _allows_headers(self, names: str) -> bool:
        if self.allow_all_headers:
            return all(_is_token_or_empty(name.strip(" \t")) for name in names.split(","))
        return all(name.strip().lower() in self.allow_headers for name in names.split(","))

    # -- preflight requests --------------------------------------------------------------------

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request: 200 ``OK``, or 400 with what was not allowed."""
        origin = request_headers["origin"]
        asked_headers = request_headers.get("access-control-request-headers")
        headers = dict(self.preflight_headers)
        failures: list[str] = []
        if not self._allows(origin):
            failures.append("origin")
            headers.pop(_ALLOW_CREDENTIALS, None)
        elif self.preflight_explicit_allow_origin:
            headers[_ALLOW_ORIGIN] = origin
        if request_headers["access-control-request-method"] not in self.allow_methods:
            failures.append("method")
        if asked_headers is not None:
            if not self._allows_headers(asked_headers):
                failures.append("headers")
            elif self.allow_all_headers:
                headers["Access-Control-Allow-Headers"] = asked_headers
        if request_headers.get("access-control-request-private-network") is not None:
            if self.allow_private_network:
                headers["Access-Control-Allow-Private-Network"] = "true"
            else:
                failures.append("private-network")
        if failures:
            return PlainTextResponse("Disallowed CORS " + ", ".join(failures), 400, headers)
        return PlainTextResponse("OK", 200, headers)

    # -- other requests ------------------------------------------------------------------------

    @staticmethod
    def allow_explicit_origin(headers: MutableHeaders, origin: str) -> None:
        """Set the response headers that allow one origin."""
        headers[_ALLOW_ORIGIN] = origin
        _vary_on_origin(headers.raw)

    def _mark(self, response: Response, origin: str | None) -> None:
        self._set_headers(response.headers, origin)

    def _set_headers(self, headers: MutableHeaders, origin: str | None) -> None:
        if origin is None or not self._allows(origin):
            _vary_on_origin(headers.raw)
            return
        headers.update(self.simple_headers)
        if self.allow_all_origins:
            _vary_on_origin(headers.raw)
        else:
            self.allow_explicit_origin(headers, origin)

    def _have_error_marked(self, request: Request[Any], origin: str | None) -> None:
        """Have the 500 of an error marked, so that scripts can read it, wherever it is made."""
        mark = partial(self._mark, origin=origin)
        exchange = request.exchange
        while exchange is not None:
            exchange.decorate_error(mark)
            exchange = exchange.outer  # beyond a foreign layer

    # -- for subclasses that work on messages --------------------------------------------------

    async def _simply(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.simple_response(scope, receive, send, request_headers=Headers(scope=scope))

    async def simple_response(
        self, scope: Scope, receive: Receive, send: Send, request_headers: Headers
    ) -> None:
        """Run what is inside, with ``send`` between; called only where a subclass overrides."""
        sender = partial(self.send, send=send, request_headers=request_headers)
        await self._app(scope, receive, sender)

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:
        """Send one message, its headers set; called only where a subclass overrides."""
        if message["type"] == "http.response.start":
            message["headers"] = list(message.get("headers", ()))
            self._set_headers(MutableHeaders(raw=message["headers"]), request_headers.get("origin"))
        await send(message)


def _is_preflight(request: Request[Any]) -> bool:
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _check_list(name: str, given: object) -> None:
    if isinstance(given, str):
        # Any part of a text is "in" it.
        raise UsageError(
            f"Expected {name} to be a list of texts, got {given!r}; write [{given!r}]."
        )


def _check_credentials(allow_origins: Collection[str], *, allow_credentials: bool) -> None:
    if not allow_credentials:
        return
    if "null" in allow_origins:
        raise UsageError(
            "Expected allow_origins without 'null' where allow_credentials=True: every site can"
            " make a page of origin null, which then acts as the user; take one of the two out."
        )
    if "*" in allow_origins:
        _logger.warning(
            "CORSMiddleware: allow_origins=['*'] allows every origin, but none with credentials,"
            " so allow_credentials=True has no effect; list the origins that may act as the user"
        )


def _vary_on_origin(headers: list[tuple[bytes, bytes]]) -> None:
    """Say that the response hangs on ``Origin`` (RFC 9110 section 12.5.5), once."""
    for name, _ in headers:
        if name == b"vary":
            break
    else:
        headers.append((b"vary", b"Origin"))
        return
    view = MutableHeaders(raw=headers)
    named = {field.strip().lower() for value in view.getlist("vary") for field in value.split(",")}
    if named.isdisjoint(("origin", "*")):
        view.add_vary_header("Origin")


def _is_same_site(origin: str, host: str, scope: Scope) -> bool:
    """Whether an origin is that of the ``Host`` that a handshake is sent to.

    A proxy that ends TLS makes ``ws`` of ``wss``, so a page of https may call what looks plain;
    a page of http is never of the same origin as a server of ``wss``.
    """
    scheme, _, authority = origin.lower().partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    if default is None or parse_host(host) is None:
        return False
    if scheme == "http" and scope.get("scheme") == "wss":
        return False
    return authority.removesuffix(default) == host.lower().removesuffix(default)
