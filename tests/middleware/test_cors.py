"""CORS: headers on every answer, the 500 of an error too; and what subclasses may override."""

import asyncio
import logging

import pytest

from lamella.applications import Lamella
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.middleware.cors import ALL_METHODS, CORSMiddleware
from lamella.middleware.errors import ServerErrorMiddleware
from lamella.requests import Request
from lamella.responses import FileResponse, PlainTextResponse, StreamingResponse
from lamella.routing import Mount, Route, request_response
from tests.parity.drive import answer, ask, exchange, http_scope, websocket_scope

SITE = "https://site.example"
FROM_SITE = [("origin", SITE)]
ALLOWS = "access-control-allow-origin"


class Wraps:
    """A pure ASGI layer with a `send` of its own."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def own_send(message):
            await send(message)

        await self.app(scope, receive, own_send)


async def passes(request, call_next):
    return await call_next(request)


DISPATCH = Middleware(BaseHTTPMiddleware, dispatch=passes)
WRAPS = Middleware(Wraps)
CORS = Middleware(CORSMiddleware, allow_origins=[SITE], allow_credentials=True)
STACKS = {
    "alone": [CORS],
    "dispatch-outside": [DISPATCH, CORS],
    "wraps-outside": [WRAPS, CORS],
    "wraps-outside-twice": [WRAPS, DISPATCH, WRAPS, CORS],
    "wraps-inside": [CORS, WRAPS],
    "dispatch-inside": [CORS, DISPATCH],
}
stacks = pytest.mark.parametrize("stack", STACKS.values(), ids=list(STACKS))


async def plain(request):
    return PlainTextResponse("plain")


async def fails(request):
    raise LookupError("own")


async def foreign(scope, receive, send):
    await send({"type": "http.response.start", "status": 299, "headers": [(b"X-Own", b"1")]})
    await send({"type": "http.response.body", "body": b"foreign"})


async def foreign_fails(scope, receive, send):
    raise LookupError("own")


ROUTES = [
    Route("/plain", plain),
    Route("/fails", fails),
    Mount("/foreign-fails", app=foreign_fails),
    Mount("/foreign", app=foreign),
]


# -- every answer ----------------------------------------------------------------------------------


@stacks
@pytest.mark.parametrize("path", ["/plain", "/foreign/", "/nowhere"])
def test_every_answer_is_marked(stack, path):
    """Whoever makes it."""
    headers = answer(Lamella(routes=ROUTES, middleware=stack), path, headers=FROM_SITE).headers
    assert (SITE, "true", "Origin") == (
        headers[ALLOWS],
        headers["access-control-allow-credentials"],
        headers["vary"],
    )


@stacks
@pytest.mark.parametrize("path", ["/fails", "/foreign-fails/"])
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("origin", [SITE, "https://other.example", None])
def test_error_that_passes_by_is_answered_with_the_headers(stack, path, debug, origin):
    """F9: a script that may read the answer may read what went wrong, the debug page too."""
    app = Lamella(routes=ROUTES, middleware=stack, debug=debug)
    reply = ask(app, path, headers=[] if origin is None else [("origin", origin)])
    assert (500, "LookupError") == (reply.status, type(reply.error).__name__)
    assert (SITE if origin == SITE else None) == reply.headers.get(ALLOWS)
    assert "Origin" == reply.headers["vary"]
    assert debug == ("LookupError" in reply.text)


@stacks
def test_answer_of_a_handler_for_500_is_marked(stack):
    """And keeps its own headers."""

    async def handler(request, exc):
        return PlainTextResponse("handled", 500, {"vary": "Accept", "x-own": "1"})

    app = Lamella(routes=ROUTES, middleware=stack, exception_handlers={Exception: handler})
    reply = ask(app, "/fails", headers=FROM_SITE)
    assert (500, b"handled", SITE, "Accept, Origin", "1") == (
        reply.status,
        reply.body,
        reply.headers[ALLOWS],
        reply.headers["vary"],
        reply.headers["x-own"],
    )


def test_error_of_an_app_mounted_with_layers_of_its_own_is_marked_by_both():
    """Once each, and once only where both say the same."""
    inner = Lamella(routes=ROUTES, middleware=[WRAPS, CORS])
    app = Lamella(routes=[Mount("/in", app=inner)], middleware=[WRAPS, CORS])
    reply = ask(app, "/in/fails", headers=FROM_SITE)
    assert 500 == reply.status
    assert [SITE] == [v.decode() for k, v in reply.start["headers"] if k.decode() == ALLOWS]
    assert [b"Origin"] == [v for k, v in reply.start["headers"] if k == b"vary"]


def test_error_without_anybody_to_answer_it_passes():
    """As it is."""
    reply = ask(CORSMiddleware(request_response(fails), allow_origins=["*"]), headers=FROM_SITE)
    assert ([], "LookupError('own')") == (reply.messages, repr(reply.error))


def test_error_that_a_layer_outside_answers_is_that_layers_affair():
    """What it answers later is not marked for a request that failed before."""
    calls = []

    async def unsteady(request):
        calls.append(1)
        if len(calls) == 1:
            raise LookupError
        return PlainTextResponse("second", headers={"vary": "origin"})

    async def retries(request, call_next):
        try:
            return await call_next(request)
        except LookupError:
            return await call_next(request)

    app = Lamella(
        routes=[Route("/", unsteady)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=retries), CORS],
    )
    reply = answer(app, headers=FROM_SITE)
    assert ("second", SITE, "origin") == (reply.text, reply.headers[ALLOWS], reply.headers["vary"])


def test_response_stays_the_endpoints_own_object(tmp_path):
    """Its headers are changed, and nothing else."""
    made, seen = [], []
    (tmp_path / "file").write_text("file")

    async def dispatch(request, call_next):
        seen.append(await call_next(request))
        return seen[-1]

    async def pieces():
        yield b"piece"

    async def endpoint(request):
        kinds = {
            "plain": lambda: PlainTextResponse("x"),
            "stream": lambda: StreamingResponse(pieces()),
            "file": lambda: FileResponse(tmp_path / "file"),
        }
        made.append(kinds[request.path_params["kind"]]())
        return made[-1]

    outside = Middleware(BaseHTTPMiddleware, dispatch=dispatch)
    app = Lamella(routes=[Route("/{kind}", endpoint)], middleware=[outside, CORS])
    for kind in ("plain", "stream", "file"):
        assert SITE == answer(app, f"/{kind}", headers=FROM_SITE).headers[ALLOWS]
    assert [id(response) for response in made] == [id(response) for response in seen]


def test_response_that_is_used_again_is_marked_for_one_request_only():
    """An endpoint may return a constant of its module."""
    constant = PlainTextResponse("constant")

    async def endpoint(request):
        return constant

    app = Lamella(routes=[Route("/", endpoint)], middleware=[CORS])
    assert SITE == answer(app, headers=FROM_SITE).headers[ALLOWS]
    assert {"content-length", "content-type", "vary"} == {*answer(app).headers}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([], "Origin"),
        (["Accept"], "Accept, Origin"),
        (["Accept", "Cookie"], "Accept, Cookie, Origin"),
        (["origin"], "origin"),
        (["Accept, ORIGIN"], "Accept, ORIGIN"),
        (["*"], "*"),
    ],
)
def test_vary_names_the_origin_once(given, sent):
    """Whether or not the request has one, since a cache asks before it knows."""

    async def endpoint(request):
        response = PlainTextResponse("x")
        for value in given:
            response.headers.append("vary", value)
        return response

    app = Lamella(routes=[Route("/", endpoint)], middleware=[CORS])
    for headers in (FROM_SITE, [], [("origin", "https://other.example")]):
        assert sent == answer(app, headers=headers).headers["vary"]


# -- preflight requests ----------------------------------------------------------------------------


def preflight(app, method="GET", *more):
    headers = [*FROM_SITE, ("access-control-request-method", method), *more]
    return answer(app, "/plain", "OPTIONS", headers=headers)


def test_preflight_is_answered_without_the_application():
    """Which may not even have the path."""

    async def never(scope, receive, send):
        raise AssertionError("asked")

    app = CORSMiddleware(never, allow_origins=[SITE], allow_methods=["*"], max_age=7)
    for method in ALL_METHODS:
        reply = preflight(app, method)
        assert (200, "OK", "7") == (
            reply.status,
            reply.text,
            reply.headers["access-control-max-age"],
        )
    reply = preflight(app, "CUSTOM")
    assert (400, "Disallowed CORS method") == (reply.status, reply.text)


def test_preflight_tells_all_that_is_wrong():
    """In Starlette's words."""
    app = CORSMiddleware(plain, allow_origins=["https://another.example"])
    asked = ("access-control-request-headers", "x-a, x-b")
    private = ("access-control-request-private-network", "true")
    reply = preflight(app, "PUT", asked, private)
    assert (400, "Disallowed CORS origin, method, headers, private-network") == (
        reply.status,
        reply.text,
    )


def test_options_without_an_asked_method_is_a_request_like_others():
    """The application answers it."""
    app = Lamella(routes=[Route("/", plain, methods=["OPTIONS"])], middleware=[CORS])
    assert "plain" == answer(app, method="OPTIONS", headers=FROM_SITE).text
    asked = [("access-control-request-method", "GET")]
    assert "plain" == answer(app, method="OPTIONS", headers=asked).text


# -- declarations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"expose_headers": ["x\n"]}, {"allow_headers": ["x\r"]}, {"allow_methods": ["\0"]}],
)
def test_name_that_cannot_stand_in_a_header_is_refused_when_the_app_is_built(settings):
    """Not with a 500 for every request."""
    with pytest.raises(ValueError, match="Expected header"):
        CORSMiddleware(plain, **settings)


def test_any_origin_with_credentials_is_told_in_the_log(caplog):
    """The setting has no effect, and whoever wrote it should know."""
    with caplog.at_level(logging.WARNING, "lamella.middleware"):
        CORSMiddleware(plain, allow_origins=["*"], allow_credentials=True)
    assert ["lamella.middleware"] == [record.name for record in caplog.records]
    assert "allow_credentials=True has no effect" in caplog.text


def test_origins_may_be_added_while_it_runs():
    """The list that was given is the one that is asked."""
    origins = []
    app = CORSMiddleware(request_response(plain), allow_origins=origins)
    assert ALLOWS not in answer(app, headers=FROM_SITE).headers
    origins.append(SITE)
    assert SITE == answer(app, headers=FROM_SITE).headers[ALLOWS]


# -- subclasses ------------------------------------------------------------------------------------


def built(cls, around, **settings):
    outside, inside = around
    return Lamella(routes=ROUTES, middleware=[*outside, Middleware(cls, **settings), *inside])


AROUND = {
    "alone": ([], []),
    "dispatch-outside": ([DISPATCH], []),
    "wraps-outside": ([WRAPS], []),
    "dispatch-inside": ([], [DISPATCH]),
}
around = pytest.mark.parametrize("around", AROUND.values(), ids=list(AROUND))


@around
def test_own_is_allowed_origin_decides(around):
    """For answers, preflight requests and websockets."""

    class Own(CORSMiddleware):
        def is_allowed_origin(self, origin):
            return origin.endswith(".example") or super().is_allowed_origin(origin)

    app = built(Own, around)
    assert SITE == answer(app, "/plain", headers=FROM_SITE).headers[ALLOWS]
    assert 200 == preflight(app).status
    other = answer(app, "/plain", headers=[("origin", "https://site.test")])
    assert ALLOWS not in other.headers


@around
def test_own_preflight_response_is_sent(around):
    """As it is."""

    class Own(CORSMiddleware):
        def preflight_response(self, request_headers):
            response = super().preflight_response(request_headers)
            response.headers["x-asked-by"] = request_headers["Origin"]
            return response

    assert SITE == preflight(built(Own, around)).headers["x-asked-by"]


@around
def test_own_allow_explicit_origin_is_used(around):
    """It gets the headers of the response."""

    class Own(CORSMiddleware):
        @staticmethod
        def allow_explicit_origin(headers, origin):
            headers["x-allowed"] = origin

    reply = answer(built(Own, around, allow_origins=[SITE]), "/plain", headers=FROM_SITE)
    assert SITE == reply.headers["x-allowed"]
    assert ALLOWS not in reply.headers


@around
@pytest.mark.parametrize("path", ["/plain", "/foreign/"])
def test_own_send_sees_every_message(around, path):
    """Written for Starlette, where the layer works on messages."""
    seen = []

    class Own(CORSMiddleware):
        async def send(self, message, send, request_headers):
            seen.append((message["type"], request_headers.get("origin")))
            await super().send(message, send, request_headers)

    reply = answer(built(Own, around, allow_origins=[SITE]), path, headers=FROM_SITE)
    assert SITE == reply.headers[ALLOWS]
    assert [("http.response.start", SITE), ("http.response.body", SITE)] == seen


@around
def test_own_simple_response_runs_the_inside(around):
    """With a `send` of its own."""

    class Own(CORSMiddleware):
        async def simple_response(self, scope, receive, send, request_headers):
            async def louder(message):
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"x-own", b"1")]
                await send(message)

            await super().simple_response(scope, receive, louder, request_headers=request_headers)

    app = built(Own, around, allow_origins=[SITE])
    reply = answer(app, "/plain", headers=FROM_SITE)
    assert ("1", SITE) == (reply.headers["x-own"], reply.headers[ALLOWS])
    assert SITE == ask(app, "/fails", headers=FROM_SITE).headers[ALLOWS]


@around
def test_own_call_runs(around):
    """It is a pure ASGI layer then."""

    class Own(CORSMiddleware):
        async def __call__(self, scope, receive, send):
            if scope["type"] == "http" and scope["path"] == "/plain":
                await self.app(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)

    app = built(Own, around, allow_origins=[SITE])
    assert ALLOWS not in answer(app, "/plain", headers=FROM_SITE).headers
    assert SITE == answer(app, "/nowhere", headers=FROM_SITE).headers[ALLOWS]


# -- the rest --------------------------------------------------------------------------------------


def test_layer_is_native():
    """A plain await, with the one request of the exchange."""
    seen = []

    async def endpoint(request):
        seen.append((asyncio.current_task(), request))
        return PlainTextResponse()

    async def dispatch(request, call_next):
        seen.append((asyncio.current_task(), request))
        return await call_next(request)

    outside = Middleware(BaseHTTPMiddleware, dispatch=dispatch)
    answer(Lamella(routes=[Route("/", endpoint)], middleware=[outside, CORS]), headers=FROM_SITE)
    assert seen[0] == seen[1]
    assert isinstance(seen[0][1], Request)


def test_lifespan_passes():
    """It has no origin."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    call = ({"type": "lifespan"}, object(), object())
    asyncio.run(CORSMiddleware(app)(*call))
    assert [call] == seen


def test_headers_of_a_scope_may_be_any_iterable():
    """As the ASGI spec says; the next reader still finds them."""
    seen = []

    async def endpoint(request):
        seen.append(request.headers["origin"])
        return PlainTextResponse()

    app = ServerErrorMiddleware(CORSMiddleware(request_response(endpoint), allow_origins=[SITE]))
    scope = http_scope("/")
    scope["headers"] = iter([(b"origin", SITE.encode())])
    reply = asyncio.run(exchange(app, scope))
    assert (SITE, [SITE]) == (reply.headers[ALLOWS], seen)


def test_own_policy_holds_for_websockets():
    """By the same method."""

    class Own(CORSMiddleware):
        def is_allowed_origin(self, origin):
            return origin == SITE

    async def accepts(scope, receive, send):
        await send({"type": "websocket.accept"})

    def first(origin):
        scope = websocket_scope("/", headers=[("origin", origin)])
        return asyncio.run(exchange(Own(accepts), scope)).messages[0]["type"]

    assert "websocket.accept" == first(SITE)
    assert "websocket.close" == first("https://other.example")
