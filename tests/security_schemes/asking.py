"""Asking a security scheme for the credentials of a request."""

import base64

from lamella.exceptions import HTTPException
from lamella.requests import HTTPConnection, Request
from tests.parity.drive import http_scope, websocket_scope


def request_of(*headers, query=b"", cookie=None):
    """A request with headers, pairs of text or bytes."""
    lines = [tuple(_raw(part) for part in header) for header in headers]
    if cookie is not None:
        lines.append((b"cookie", _raw(cookie)))
    return Request(http_scope(query=query) | {"headers": lines})


def _raw(text):
    return text.encode("latin-1") if isinstance(text, str) else text


def authorized(*values):
    """A request with as many `Authorization` headers."""
    return request_of(*(("authorization", value) for value in values))


def over_websocket(request):
    """The same headers, query and cookies, in a handshake."""
    scope = websocket_scope(query=request.scope["query_string"])
    return HTTPConnection(scope | {"headers": request.scope["headers"]})


def run(coroutine):
    """Run what waits for nothing; a scheme does not."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("it waited")


def ask(scheme, request, *more):
    """The value of a scheme; or the status, detail and challenge that it refuses with."""
    try:
        return run(scheme(request, *more))
    except HTTPException as exc:
        return exc.status_code, exc.detail, exc.headers["WWW-Authenticate"]


def basic(text):
    """The value of an `Authorization` header for name and password with a colon between."""
    raw = text.encode() if isinstance(text, str) else text
    return "Basic " + base64.b64encode(raw).decode()
