"""The layers that every request passes, outermost first.

Each has one `dispatch`: what stands before `await call_next(request)` happens on the way in,
what stands after it on the way out. One, `InFlight`, is written in pure ASGI, to show that both
kinds go into one stack; another, `StaffOnly`, is around single routes.
"""

import hashlib
import logging
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import quote
from uuid import uuid4

from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from lamella.middleware.sessions import SessionMiddleware
from lamella.requests import Request
from lamella.responses import Response
from lamella.types import ASGIApp, Receive, Scope, Send

from .errors import refusal
from .reading import media_type
from .settings import Settings

access_log = logging.getLogger("shop.access")
audit_log = logging.getLogger("shop.audit")


class RequestId(BaseHTTPMiddleware):
    """Gives every request a name; a client or a proxy may have given it one already."""

    VALID = re.compile(r"[A-Za-z0-9._-]{1,64}")

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Keep the id on `request.state` and send it back."""
        given = request.headers.get("x-request-id", "")
        request.state.request_id = given if self.VALID.fullmatch(given) else uuid4().hex
        response = await call_next(request)
        response.headers["X-Request-ID"] = request.state.request_id
        return response


class AccessLog(BaseHTTPMiddleware):
    """Logs a line for every answer."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Log method, path, status and id once the answer starts."""
        response = await call_next(request)
        access_log.info(
            "%s %s %d %s",
            request.method,
            quote(request.url.path),  # no control characters in the log
            response.status_code,
            request.state.request_id,
        )
        return response


class Timing(BaseHTTPMiddleware):
    """Tells the client how long the shop took: browsers show it with the request."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Add Server-Timing, in milliseconds until the answer starts."""
        started = time.perf_counter()
        response = await call_next(request)
        response.headers["Server-Timing"] = f"app;dur={(time.perf_counter() - started) * 1000:.1f}"
        return response


class SecurityHeaders(BaseHTTPMiddleware):
    """Tells browsers to be strict."""

    HEADERS = {
        "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Add the headers that the answer does not have yet."""
        response = await call_next(request)
        for name, value in self.HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class RateLimit(BaseHTTPMiddleware):
    """Lets each client make `rate` requests a second, and twice that at once."""

    MAX_CLIENTS = 10_000  # remembered; the one unseen for longest is forgotten first

    def __init__(
        self, app: ASGIApp, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Set the rate; 0 means no limit. `clock` returns seconds."""
        super().__init__(app)
        self.rate = rate
        self.burst = max(1.0, rate * 2)
        self.clock = clock
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Answer 429 to a client whose bucket is empty."""
        if self.rate and not self.take(request.client.host if request.client else "unknown"):
            wait = str(math.ceil(1 / self.rate))
            return refusal(429, f"Slow down, please: wait {wait} s.", {"Retry-After": wait})
        return await call_next(request)

    def take(self, client: str) -> bool:
        """Take a token out of the client's bucket, if there is one."""
        now = self.clock()
        tokens, filled_at = self.buckets.pop(client, (self.burst, now))
        tokens = min(self.burst, tokens + (now - filled_at) * self.rate)
        allowed = tokens >= 1
        self.buckets[client] = (tokens - allowed, now)
        if len(self.buckets) > self.MAX_CLIENTS:
            self.buckets.popitem(last=False)
        return allowed


class StaffOnly(BaseHTTPMiddleware):
    """Lets those pass who signed in, before anything they send is read. Around single routes."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Answer 403 to visitors."""
        if not request.session.get("staff", False):
            return refusal(403, "This is for the staff: sign in first, at /staff.")
        return await call_next(request)


class Locale(BaseHTTPMiddleware):
    """Chooses the language of the answer."""

    LANGUAGES = ("en", "de", "fr")

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Keep the language on `request.state` and say it in the answer."""
        request.state.locale = self.choose(request.headers.get("accept-language", ""))
        response = await call_next(request)
        response.headers["Content-Language"] = request.state.locale
        response.headers.add_vary_header("Accept-Language")
        return response

    def choose(self, accepted: str) -> str:
        """Return the language that the client likes best, or the first of ours."""
        likes: dict[str, float] = {}
        for item in accepted[:200].lower().replace(" ", "").split(","):
            name, _, weight = item.partition(";q=")
            likes.setdefault(name.partition("-")[0], quality(weight))
        return max(self.LANGUAGES, key=lambda language: likes.get(language, 0.0))


def quality(weight: str) -> float:
    """Return the number behind `q=`: 1 if there is none, 0 if it is not one."""
    if not weight:
        return 1.0
    return float(weight) if re.fullmatch(r"[01](\.[0-9]{0,3})?", weight) else 0.0


class BodyAudit(BaseHTTPMiddleware):
    """Notes how long each JSON body was and what it was, before anybody acts on it."""

    MAX_SIZE = 64 * 1024  # bytes
    LENGTH = re.compile(r"[0-9]{1,12}")

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Hash the body and send the digest back; the endpoint reads the same body again."""
        if media_type(request) != "application/json":
            return await call_next(request)
        length = request.headers.get("content-length", "")
        if not self.LENGTH.fullmatch(length):
            return refusal(411, "Say how long the JSON is: send Content-Length.")
        if int(length) > self.MAX_SIZE:
            return refusal(413, f"JSON may have {self.MAX_SIZE} bytes at most.")
        body = await request.body()
        digest = hashlib.sha256(body).hexdigest()
        audit_log.info("%s %d bytes, sha256 %s", request.state.request_id, len(body), digest)
        response = await call_next(request)
        response.headers["X-Body-SHA256"] = digest
        return response


class InFlight:
    """Counts the requests that are being answered, until their last byte is sent. Pure ASGI."""

    def __init__(self, app: ASGIApp, counter: "Counter") -> None:
        """Count in `counter`."""
        self.app = app
        self.counter = counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request in, run it, count it out."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        self.counter.count += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.counter.count -= 1


class Counter:
    """A number that layers and endpoints share."""

    count = 0


def stack(settings: Settings, in_flight: Counter) -> "list[Middleware[...]]":
    """Return what every request passes, outermost first."""
    return [
        Middleware(RequestId),
        Middleware(AccessLog),
        Middleware(Timing),
        Middleware(SecurityHeaders),
        Middleware(InFlight, counter=in_flight),
        Middleware(RateLimit, rate=settings.rate),
        Middleware(SessionMiddleware, secret_key=settings.secret),
        Middleware(Locale),
        Middleware(BodyAudit),
    ]
