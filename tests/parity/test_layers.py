"""Responses and errors through 0 to 3 layers on both: the client gets the same."""

import asyncio
from contextvars import ContextVar

import pytest

from tests.parity.differences import check
from tests.parity.drive import request
from tests.parity.frameworks import BOTH


class Shop:
    """What one case may use: the framework's names, and a log of what ran."""

    def __init__(self, fw):
        self.fw = fw
        self.log = []


class Lost(Exception):
    """An error of the tests' own."""


class Found(Lost):
    """A kind of it."""


# -- endpoints -------------------------------------------------------------------------------------


def plain(shop):
    async def endpoint(request):
        return shop.fw.PlainTextResponse("hello", headers={"x-one": "1"})

    return endpoint


def made(shop):
    async def endpoint(request):
        response = shop.fw.Response(b"\x00\xff", status_code=201, media_type="image/x")
        response.set_cookie("a", "1", path="/p", httponly=True)
        response.set_cookie("b", "2", max_age=5)
        response.set_cookie("c", max_age=0, expires="Thu, 01 Jan 2026 00:00:00 GMT")
        response.headers.append("vary", "accept")
        return response

    return endpoint


def sync(shop):
    def endpoint(request):
        return shop.fw.HTMLResponse("<p>ü</p>")

    return endpoint


def moved(shop):
    async def endpoint(request):
        return shop.fw.RedirectResponse("/else where?ü=1", status_code=303)

    return endpoint


def empty(shop):
    async def endpoint(request):
        return shop.fw.Response(status_code=204)

    return endpoint


def unmodified(shop):
    async def endpoint(request):
        return shop.fw.Response(status_code=304, headers={"etag": '"x"'})

    return endpoint


def json_(shop):
    async def endpoint(request):
        return shop.fw.JSONResponse({"a": [1, 2.5, None, True, "ü"]}, status_code=202)

    return endpoint


def stream(shop):
    async def pieces():
        for piece in (b"one", "two", b"", b"three"):
            yield piece

    async def endpoint(request):
        return shop.fw.StreamingResponse(pieces(), media_type="text/plain")

    return endpoint


def iterator(shop):
    async def endpoint(request):
        return shop.fw.StreamingResponse(iter(["one", "two"]), headers={"content-length": "6"})

    return endpoint


def empty_stream(shop):
    async def pieces():
        return
        yield b""

    async def endpoint(request):
        return shop.fw.StreamingResponse(pieces())

    return endpoint


def background(shop):
    async def after(word):
        shop.log.append(word)

    async def endpoint(request):
        shop.log.append("endpoint")
        return shop.fw.PlainTextResponse("ok", background=shop.fw.BackgroundTask(after, "after"))

    return endpoint


def body(shop):
    async def endpoint(request):
        return shop.fw.PlainTextResponse(await request.body())

    return endpoint


def foreign(shop):
    class Endpoint:
        async def __call__(self, scope, receive, send):
            await send({"type": "http.response.start", "status": 299, "headers": [(b"x", b"y")]})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await send({"type": "http.response.body", "body": b"b"})

    return Endpoint()


def returns_app(shop):
    async def inner(scope, receive, send):
        await send({"type": "http.response.start", "status": 298, "headers": []})
        await send({"type": "http.response.body", "body": b"app"})

    async def endpoint(request):
        return inner

    return endpoint


def aborts(shop):
    async def endpoint(request):
        raise shop.fw.HTTPException(418, "tea", headers={"x-pot": "1"})

    return endpoint


def aborts_bare(shop):
    async def endpoint(request):
        raise shop.fw.HTTPException(409)

    return endpoint


def aborts_empty(shop):
    async def endpoint(request):
        raise shop.fw.HTTPException(204, headers={"x-pot": "1"})

    return endpoint


def aborts_sync(shop):
    def endpoint(request):
        raise shop.fw.HTTPException(418)

    return endpoint


def fails(shop):
    async def endpoint(request):
        raise Lost("in the endpoint")

    return endpoint


def fails_kind(shop):
    async def endpoint(request):
        raise Found("in the endpoint")

    return endpoint


def fails_early_in_stream(shop):
    async def pieces():
        raise Lost("at once")
        yield b""

    async def endpoint(request):
        return shop.fw.StreamingResponse(pieces())

    return endpoint


def fails_in_stream(shop):
    async def pieces():
        yield b"some"
        raise Lost("in the middle")

    async def endpoint(request):
        return shop.fw.StreamingResponse(pieces())

    return endpoint


def fails_in_background(shop):
    async def after():
        raise Lost("afterwards")

    async def endpoint(request):
        return shop.fw.PlainTextResponse("ok", background=shop.fw.BackgroundTask(after))

    return endpoint


def silent(shop):
    class Endpoint:
        async def __call__(self, scope, receive, send):
            """End without a response."""

    return Endpoint()


ENDPOINTS = (
    plain,
    made,
    sync,
    moved,
    empty,
    unmodified,
    json_,
    stream,
    iterator,
    empty_stream,
    background,
    body,
    foreign,
    returns_app,
    aborts,
    aborts_bare,
    aborts_empty,
    aborts_sync,
    fails,
    fails_kind,
    fails_early_in_stream,
    fails_in_stream,
    fails_in_background,
    silent,
)

# -- layers ----------------------------------------------------------------------------------------


def passes(shop):
    async def dispatch(request, call_next):
        shop.log.append("in")
        response = await call_next(request)
        shop.log.append("out")
        return response

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def marks(shop):
    class Marks(shop.fw.BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            response = await call_next(request)
            response.headers["x-marked"] = str(response.status_code)
            response.headers.append("x-more", "1")
            if "etag" in response.headers:
                del response.headers["etag"]
            return response

    return shop.fw.Middleware(Marks)


def pure(shop):
    class Pure:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            async def own_send(message):
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"x-pure", b"1")]
                await send(message)

            await self.app(scope, receive, own_send)

    return shop.fw.Middleware(Pure)


def rewraps(shop):
    async def dispatch(request, call_next):
        response = await call_next(request)
        pieces = [piece async for piece in response.body_iterator]
        pieces = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]
        return shop.fw.Response(
            b"[" + b"".join(pieces) + b"]",
            status_code=response.status_code,
            media_type="text/x",
        )

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def answers(shop):
    async def dispatch(request, call_next):
        return shop.fw.PlainTextResponse("from the layer", status_code=203)

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def replaces(shop):
    async def dispatch(request, call_next):
        await call_next(request)
        return shop.fw.PlainTextResponse("instead")

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def catches(shop):
    async def dispatch(request, call_next):
        try:
            return await call_next(request)
        except Lost as exc:
            return shop.fw.PlainTextResponse(f"caught {exc}", status_code=500)

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def reads(shop):
    async def dispatch(request, call_next):
        shop.log.append(await request.body())
        return await call_next(request)

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def breaks(shop):
    async def dispatch(request, call_next):
        raise Lost("in the layer")

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def breaks_after(shop):
    async def dispatch(request, call_next):
        await call_next(request)
        raise Lost("in the layer, after")

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def aborts_in_layer(shop):
    async def dispatch(request, call_next):
        raise shop.fw.HTTPException(401, "layer")

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


def returns_none(shop):
    async def dispatch(request, call_next):
        await call_next(request)

    return shop.fw.Middleware(shop.fw.BaseHTTPMiddleware, dispatch=dispatch)


STACKS = (
    (),
    (passes,),
    (marks,),
    (pure,),
    (reads,),
    (rewraps,),
    (answers,),
    (replaces,),
    (catches,),
    (breaks,),
    (breaks_after,),
    (aborts_in_layer,),
    (returns_none,),
    (pure, pure),
    (passes, marks),
    (marks, pure),
    (pure, marks),
    (marks, answers),
    (catches, breaks),
    (passes, reads, marks),
    (marks, pure, marks),
    (pure, marks, pure),
    (marks, rewraps, passes),
)


def stack_name(stack):
    """The layers, outermost first."""
    return "+".join(layer.__name__ for layer in stack) or "bare"


def run(fw, endpoint, stack, method="GET", **options):
    """What the client and the server saw, and what ran."""
    shop = Shop(fw)
    app = fw.Starlette(
        routes=[fw.Route("/", endpoint(shop), methods=["GET", "POST"])],
        middleware=[layer(shop) for layer in stack],
        **options,
    )
    reply = asyncio.run(request(app, "/", method, body=b"sent"))
    return reply.seen(), shop.log


@pytest.mark.parametrize("stack", STACKS, ids=stack_name)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.__name__)
def test_same_answer_through_layers(endpoint, stack):
    """Status, headers in their order, body, whether it was whole, and the error."""
    name = f"layers {stack_name(stack)} {endpoint.__name__}"
    check(name, *[run(fw, endpoint, stack) for fw in BOTH])


@pytest.mark.parametrize("stack", STACKS[:6], ids=stack_name)
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
@pytest.mark.parametrize("endpoint", [plain, stream, body, aborts])
def test_same_answer_to_other_methods(endpoint, method, stack):
    """HEAD has no body of its own making here: servers cut it."""
    name = f"methods {method} {stack_name(stack)} {endpoint.__name__}"
    check(name, *[run(fw, endpoint, stack, method) for fw in BOTH])


# -- what else goes through layers -----------------------------------------------------------------

word: ContextVar[str] = ContextVar("word", default="none")
SETTERS = ("layer", "endpoint", "sync endpoint")


@pytest.mark.parametrize("setter", SETTERS)
def test_same_contextvars_around_an_endpoint(setter):
    """What is set outside is seen inside; and what is set inside, outside?"""

    def run(fw):
        seen = []

        def enters():
            seen.append(word.get())
            if "endpoint" in setter:
                word.set("endpoint's")
            return fw.PlainTextResponse()

        async def endpoint(request):
            return enters()

        def sync_endpoint(request):
            return enters()

        async def dispatch(request, call_next):
            if setter == "layer":
                word.set("layer's")
            response = await call_next(request)
            seen.append(word.get())
            return response

        app = fw.Starlette(
            routes=[fw.Route("/", sync_endpoint if "sync" in setter else endpoint)],
            middleware=[fw.Middleware(fw.BaseHTTPMiddleware, dispatch=dispatch)],
        )
        asyncio.run(request(app))
        return seen

    check(f"contextvar of {setter}", *map(run, BOTH))
