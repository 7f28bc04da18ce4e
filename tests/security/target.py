"""An application with one of everything that reads what a client sends, for tests to attack.

Whatever comes in, it has to answer what is right or refuse it: `attack` is one request and says
what came of it, `LintMiddleware` being the judge of the messages.
"""

import asyncio
import logging

from lamella.applications import Lamella
from lamella.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from lamella.datastructures import UploadFile
from lamella.endpoints import HTTPEndpoint, WebSocketEndpoint
from lamella.middleware import Middleware
from lamella.middleware.authentication import AuthenticationMiddleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.cors import CORSMiddleware
from lamella.middleware.gzip import GZipMiddleware
from lamella.middleware.lint import LintMiddleware
from lamella.middleware.sessions import SessionMiddleware
from lamella.middleware.wsgi import WSGIMiddleware
from lamella.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from lamella.routing import Host, Mount, Route, WebSocketRoute
from lamella.staticfiles import StaticFiles
from tests.parity.drive import exchange, http_scope

ORIGIN = "https://allowed.example"


class Backend(AuthenticationBackend):
    async def authenticate(self, conn):
        given = conn.headers.get("authorization")
        if given is None:
            return None
        if not given.startswith("Bearer "):
            raise AuthenticationError("Expected a bearer token.")
        return AuthCredentials(["known"]), SimpleUser(given[7:])


async def looks_at_all(request, call_next):
    """What a layer may look at, it looks at."""
    seen = [
        str(request.url),
        request.url.hostname,
        request.url.port,
        request.url.include_query_params(a="b"),
        request.url.replace(port=1, scheme="https"),
        request.base_url,
        request.cookies,
        request.query_params.multi_items(),
        request.client,
        dict(request.headers),
        await request.is_disconnected(),
    ]
    response = await call_next(request)
    response.headers["x-seen"] = str(len(repr(seen)))
    return response


async def tells_all(request):
    """What an endpoint may ask for, it asks for."""
    session = request.session
    session["visits"] = min(int(session.get("visits", 0)) + 1, 9)
    answer = PlainTextResponse(
        repr(
            (
                request.path_params,
                request.url_for("told", a="x"),
                request.user.display_name,
                request.query_params,
                request.cookies,
                request.headers.getlist("accept"),
            )
        )
    )
    answer.set_cookie("seen", request.cookies.get("seen", ""))
    return answer


async def reads_form(request):
    items = []
    async with request.form() as form:
        for name, value in form.multi_items():
            is_file = isinstance(value, UploadFile)
            items.append([name, await value.read() if is_file else value])
    return PlainTextResponse(repr(items))


async def reads_parts(request):
    items = []
    async for part in request.parts():
        items.append((part.name, part.filename, part.content_type))
    return PlainTextResponse(repr(items))


async def reads_json(request):
    return PlainTextResponse(ascii(await request.json()))


async def reads_stream(request):
    async def echo():
        async for chunk in request.stream():
            yield chunk

    return StreamingResponse(echo())


async def redirects(request):
    return RedirectResponse(request.query_params.get("next", "/"))


class Verbs(HTTPEndpoint):
    def get(self, request):
        return JSONResponse(dict(request.query_params))


class Talks(WebSocketEndpoint):
    encoding = "json"

    async def on_receive(self, websocket, data):
        await websocket.send_json(data)


async def talks_by_hand(websocket):
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())


def wsgi(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [ascii(sorted(map(repr, environ.items()))).encode()]


def target(folder):
    """The application; its files are in the folder."""

    async def sends_file(request):
        return FileResponse(folder / "file.txt")

    def each(path, endpoint, methods=("GET", "POST", "PUT", "DELETE")):
        return Route(path, endpoint, methods=methods)

    app = Lamella(
        routes=[
            each("/form", reads_form),
            each("/parts", reads_parts),
            each("/json", reads_json),
            each("/stream", reads_stream),
            each("/next", redirects),
            each("/file", sends_file),
            Route("/verbs", Verbs),
            Route("/told/{a}", tells_all, name="told"),
            Route("/i/{x:int}", tells_all),
            Route("/f/{x:float}", tells_all),
            Route("/u/{x:uuid}", tells_all),
            Route("/p/{x:path}", tells_all),
            Route("/m/{a}-{b}-{c}.{d}", tells_all),
            Route("/n/{a:int}{b:float}-{c:path}", tells_all),
            Route("/slash/", tells_all),
            Mount("/static", StaticFiles(directory=folder, html=True)),
            Mount("/wsgi", WSGIMiddleware(wsgi)),
            WebSocketRoute("/ws/json", Talks),
            WebSocketRoute("/ws/{a}", talks_by_hand),
            Host("{name}.example.org", Lamella(routes=[Route("/", tells_all)])),
        ],
        middleware=[
            Middleware(GZipMiddleware, minimum_size=0),
            Middleware(
                CORSMiddleware,
                allow_origins=[ORIGIN],
                allow_origin_regex="https://.*[.]example[.]net",
                allow_headers=["*"],
                allow_credentials=True,
            ),
            Middleware(SessionMiddleware, secret_key="for tests"),
            Middleware(
                AuthenticationMiddleware,
                backend=Backend(),
                on_error=lambda conn, exc: PlainTextResponse("who?", 401),
            ),
            Middleware(BaseHTTPMiddleware, dispatch=looks_at_all),
        ],
    )
    # So that the route is found at every host.
    app.router.routes[-1].app.router.routes.append(Route("/told/{a}", tells_all, name="told"))
    return LintMiddleware(app)


class Records(logging.Handler):
    """What is logged, by anybody, as more than a detail."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


def attack(app, path, method="GET", *, body=(), headers=(), **scope):
    """Send one request; the reply and the lines that were logged.

    Args:
        body: pieces.
        headers: pairs of bytes, as they come.
    """
    scope = http_scope(path, method, **scope)
    scope["headers"] += headers
    return attack_scope(app, scope, messages_of(body))


def messages_of(pieces):
    """A body as the messages of a server."""
    pieces = list(pieces)
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    return [*messages, {"type": "http.request", "body": b"", "more_body": False}]


def attack_scope(app, scope, incoming):
    """Serve a scope; the reply and the lines that were logged."""
    records, root = Records(), logging.getLogger()
    level = root.level
    root.addHandler(records)
    root.setLevel(logging.INFO)
    try:
        return asyncio.run(exchange(app, scope, incoming)), records.lines
    finally:
        root.setLevel(level)
        root.removeHandler(records)
