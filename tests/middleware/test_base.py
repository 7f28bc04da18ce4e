"""Dispatch layers: what `call_next` gives, and what a layer may do with it."""

import contextvars
import functools

import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTask
from lamella.exceptions import HTTPException, StackError
from lamella.middleware import Middleware, base
from lamella.middleware.base import BaseHTTPMiddleware, check_dispatch
from lamella.requests import Request
from lamella.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from lamella.routing import Mount, Route, Router
from tests.parity.drive import answer, ask, http_scope

number = contextvars.ContextVar("number", default=0)


async def hello(request):
    """Answer a word."""
    return PlainTextResponse("hello")


class Passes:
    """A pure ASGI layer."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


def build(dispatch, endpoint=hello, *, between=(), **options):
    """One layer around one endpoint, and layers between them."""
    return Lamella(
        routes=[Route("/", endpoint, methods=["GET", "POST"])],
        middleware=[dispatch, *between],
        **options,
    )


BETWEEN = [[], [Middleware(Passes)]]
ways = pytest.mark.parametrize("between", BETWEEN, ids=["native", "bridged"])


def test_call_next_gives_the_endpoints_own_object():
    """So a JSONResponse stays one, and its body is there."""
    made, got = [], []

    async def endpoint(request):
        made.append(JSONResponse({"a": 1}))
        return made[0]

    async def layer(request, call_next):
        response = await call_next(request)
        got.append((response, response.body))
        return response

    answer(build(layer, endpoint))
    assert made[0] is got[0][0]
    assert b'{"a":1}' == got[0][1]


@ways
def test_body_is_there_after_call_next(between):
    """Of a response in one piece, below a foreign layer too."""
    got = []

    async def layer(request, call_next):
        response = await call_next(request)
        got.append(response.body)
        return response

    assert "hello" == answer(build(layer, between=between)).text
    assert [b"hello"] == got


@ways
def test_body_iterator_is_there_after_call_next(between):
    """Of every response, as Starlette's users expect."""

    async def layer(request, call_next):
        response = await call_next(request)
        pieces = [piece async for piece in response.body_iterator]
        return PlainTextResponse(b"<" + b"|".join(pieces) + b">")

    async def stream(request):
        return StreamingResponse(iter([b"a", b"b"]))

    assert "<hello>" == answer(build(layer, between=between)).text
    assert "<a|b>" == answer(build(layer, stream, between=between)).text


@ways
def test_request_given_to_call_next_is_the_one_passed_on(between):
    """What a layer puts on it is seen inside."""

    async def layer(request, call_next):
        request.state.user = "ann"
        request.scope["more"] = 1
        return await call_next(request)

    async def endpoint(request):
        return PlainTextResponse(f"{request.state.user} {request.scope['more']}")

    assert "ann 1" == answer(build(layer, endpoint, between=between)).text


def test_layers_and_endpoint_share_one_request():
    """The object itself, where no foreign layer stands between."""
    seen = []

    async def layer(request, call_next):
        seen.append(request)
        return await call_next(request)

    async def endpoint(request):
        seen.append(request)
        return Response()

    answer(build(layer, endpoint, between=[layer]))
    assert seen[0] is seen[1] is seen[2]


@ways
def test_body_read_in_a_layer_is_there_in_the_endpoint(between):
    """And again in the layer, after it."""
    seen = []

    async def layer(request, call_next):
        seen.append(await request.body())
        response = await call_next(request)
        seen.append(await request.body())
        return response

    async def endpoint(request):
        seen.append(await request.body())
        return Response()

    answer(build(layer, endpoint, between=between), method="POST", body=b"sent")
    assert [b"sent"] * 3 == seen


@ways
def test_context_flows_both_ways(between):
    """A ContextVar set in the endpoint is seen by the layer, and the other way round."""
    seen = []

    async def layer(request, call_next):
        number.set(1)
        response = await call_next(request)
        seen.append(number.get())
        return response

    async def endpoint(request):
        seen.append(number.get())
        number.set(2)
        return Response()

    answer(build(layer, endpoint, between=between))
    assert [1, 2] == seen


def test_request_made_by_hand_has_the_send_of_the_one_around():
    """Layers make one of scope and receive; what is inside may have more to say than a response."""
    hint = {"type": "http.response.early_hint", "links": [b"</a>"]}

    async def app(scope, receive, send):
        await send(hint)
        await PlainTextResponse("hello")(scope, receive, send)

    async def layer(request, call_next):
        return await call_next(Request(request.scope, request.receive))

    reply = answer(Lamella(routes=[Mount("/", app=app)], middleware=[layer]))
    assert (hint, "hello") == (reply.messages[0], reply.text)


@ways
def test_call_next_may_be_awaited_again(between):
    """A retry: the inside runs again, and only the last response is sent."""
    runs = []

    async def layer(request, call_next):
        for _ in range(3):
            response = await call_next(request)
            if response.status_code != 503:
                break
        return response

    async def endpoint(request):
        runs.append(await request.body())
        return PlainTextResponse(
            "ok" if len(runs) == 3 else "no", status_code=[503, 503, 200][len(runs) - 1]
        )

    reply = answer(build(layer, endpoint, between=between), method="POST", body=b"b")
    assert ("ok", [b"b"] * 3) == (reply.text, runs)
    assert 1 == sum(m["type"] == "http.response.start" for m in reply.messages)


@ways
def test_call_next_may_be_tried_again_after_an_error(between):
    """An exception is no response: nothing was sent."""
    runs = []

    async def layer(request, call_next):
        try:
            return await call_next(request)
        except KeyError:
            return await call_next(request)

    async def endpoint(request):
        runs.append(1)
        if len(runs) == 1:
            raise KeyError("once")
        return PlainTextResponse("ok")

    assert "ok" == answer(build(layer, endpoint, between=between)).text


@ways
def test_exceptions_come_as_they_are(between):
    """No group, no other class, the object itself."""
    raised, caught = KeyError("lost"), []

    async def layer(request, call_next):
        try:
            return await call_next(request)
        except Exception as exc:
            caught.append(exc)
            return PlainTextResponse("sorry")

    async def endpoint(request):
        raise raised

    assert "sorry" == answer(build(layer, endpoint, between=between)).text
    assert caught[0] is raised


@ways
def test_layer_may_answer_by_itself(between):
    """And nothing inside runs."""
    runs = []

    async def layer(request, call_next):
        return PlainTextResponse("mine", status_code=203)

    async def endpoint(request):
        runs.append(1)
        return Response()

    reply = answer(build(layer, endpoint, between=between))
    assert (203, "mine", []) == (reply.status, reply.text, runs)


@ways
def test_background_tasks_run_when_the_layer_returns_another_response(between):
    """A layer that makes a new response loses none."""
    log = []

    async def after(word):
        log.append(word)

    async def layer(request, call_next):
        await call_next(request)
        return PlainTextResponse("new", background=BackgroundTask(after, "layer"))

    async def endpoint(request):
        return PlainTextResponse("old", background=BackgroundTask(after, "endpoint"))

    assert "new" == answer(build(layer, endpoint, between=between)).text
    assert ["endpoint", "layer"] == log


def test_dropped_stream_is_closed():
    """Its `finally` runs, although nobody read it."""
    log = []

    async def pieces():
        try:
            yield b"one"
            yield b"two"
        finally:
            log.append("closed")

    async def layer(request, call_next):
        response = await call_next(request)
        async for _ in response.body_iterator:
            break
        return PlainTextResponse("new")

    async def endpoint(request):
        return StreamingResponse(pieces())

    assert "new" == answer(build(layer, endpoint)).text
    assert ["closed"] == log


@pytest.mark.parametrize("where", ["before", "after"])
@ways
def test_http_exception_in_a_layer_is_answered(where, between):
    """It says which answer is meant, wherever it is raised; headers with it."""

    async def layer(request, call_next):
        if where == "after":
            await call_next(request)
        raise HTTPException(401, "who?", headers={"www-authenticate": "Basic"})

    reply = answer(build(layer, between=between))
    assert (401, "who?", "Basic") == (
        reply.status,
        reply.text,
        reply.headers["www-authenticate"],
    )


def test_http_exception_in_a_layer_without_an_application_is_answered():
    """A stack made by hand has no handlers."""

    async def layer(request, call_next):
        raise HTTPException(401, "who?")

    app = BaseHTTPMiddleware(Router([Route("/", hello)]), dispatch=layer)
    assert (401, "who?") == (answer(app).status, answer(app).text)


def test_foreign_response_of_a_dispatch_is_run():
    """Any ASGI app may be returned, as from Starlette's layers: its own responses, say."""
    from starlette.responses import PlainTextResponse as Theirs

    async def layer(request, call_next):
        await call_next(request)
        return Theirs("theirs", status_code=202)

    reply = answer(build(layer, between=[]))
    assert (202, "theirs") == (reply.status, reply.text)


def test_dispatch_is_given_in_each_form():
    """A method, a function, a partial, an object with an async call, a bound method."""

    class Method(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    async def function(request, call_next):
        return await call_next(request)

    async def more(word, request, call_next):
        return await call_next(request)

    class Callable:
        async def __call__(self, request, call_next):
            return await call_next(request)

        async def method(self, request, call_next):
            return await call_next(request)

    for given in (
        Middleware(Method),
        function,
        functools.partial(more, "x"),
        Callable(),
        Callable().method,
        Middleware(BaseHTTPMiddleware, function),
        Middleware(BaseHTTPMiddleware, dispatch=Callable()),
    ):
        assert "hello" == answer(build(given)).text


def test_dispatch_given_to_a_subclass_is_before_its_method():
    """As Starlette has it."""

    class Layer(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return PlainTextResponse("method")

    async def function(request, call_next):
        return PlainTextResponse("function")

    assert "function" == answer(build(Middleware(Layer, dispatch=function))).text


def test_dispatch_func_and_app_are_there():
    """Names of Starlette's that subclasses use; a replaced app is entered."""
    router = Router([Route("/", hello)])
    layer = BaseHTTPMiddleware(router, dispatch=lambda_layer)
    assert router is layer.app
    assert lambda_layer is layer.dispatch_func
    layer.app = Router()
    assert 404 == answer(layer).status


async def lambda_layer(request, call_next):
    """Pass the request on."""
    return await call_next(request)


def test_layer_without_dispatch_says_so_when_it_is_used():
    """By hand, where no declaration was checked."""
    layer = BaseHTTPMiddleware(Router())
    reply = ask(layer)
    assert isinstance(reply.error, NotImplementedError)
    assert "BaseHTTPMiddleware" in str(reply.error)


def test_dispatch_that_is_not_async_is_refused():
    """When the layer is made."""

    def layer(request, call_next):
        return None

    with pytest.raises(StackError, match="test_base.py"):
        BaseHTTPMiddleware(Router(), dispatch=layer)
    for wrong in (layer, 3, "text"):
        with pytest.raises(StackError, match="async def dispatch"):
            check_dispatch(wrong)


def test_subclass_that_overrides_call_is_called_through_it():
    """Its own code must run, below another layer too; `super().__call__` goes on."""
    calls = []

    class Own(BaseHTTPMiddleware):
        async def __call__(self, scope, receive, send):
            calls.append(scope["type"])
            await super().__call__(scope, receive, send)

        async def dispatch(self, request, call_next):
            return await call_next(request)

    app = build(lambda_layer, between=[Middleware(Own), lambda_layer])
    assert "hello" == answer(app).text
    assert ["http"] == calls


def test_scope_is_not_left_with_a_request_that_holds_it():
    """A finished exchange is free without the garbage collector."""
    import asyncio

    from tests.parity.drive import exchange

    scope = http_scope()
    asyncio.run(
        exchange(
            build(lambda_layer), scope, [{"type": "http.request", "body": b"", "more_body": False}]
        )
    )
    assert scope["lamella.edge"] is None


def test_request_and_response_are_what_starlettes_private_names_mean():
    """Programs annotate and check by them what their layers are given."""
    seen = []

    async def dispatch(request, call_next):
        response = await call_next(request)
        seen.extend((request, response))
        return response

    answer(build(dispatch))
    request, response = seen
    assert isinstance(request, base._CachedRequest)
    assert isinstance(response, base._StreamingResponse)
