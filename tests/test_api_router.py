"""Routers of typed routes: what `include_router` keeps, merges and puts around."""

from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import msgspec
import pytest

from lamella.applications import Lamella
from lamella.engine.stack import Layer
from lamella.exceptions import HTTPException, StackError
from lamella.middleware import Middleware
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.params import Depends
from lamella.requests import Request
from lamella.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from lamella.routing import APIRoute, APIRouter, Host, Mount, Route, Router, WebSocketRoute
from lamella.websockets import WebSocket
from tests.parity.drive import exchange, live, request, websocket_scope

pytestmark = pytest.mark.anyio


async def value_of(app: Any, path: str = "/", **options: Any) -> Any:
    reply = await request(app, path, **options)
    assert reply.error is None
    assert reply.status == 200, reply.text
    return msgspec.json.decode(reply.body)


def hello() -> str:
    return "hello"


# -- paths -----------------------------------------------------------------------------------------


async def test_prefixes_add_up():
    inner = APIRouter(prefix="/inner")
    inner.get("/x")(hello)
    outer = APIRouter(prefix="/outer")
    outer.include_router(inner, prefix="/of-inner")
    app = Lamella()
    app.include_router(outer, prefix="/of-outer")
    assert await value_of(app, "/of-outer/outer/of-inner/inner/x") == "hello"


async def test_prefix_with_a_parameter():
    router = APIRouter(prefix="/users/{user_id}")

    @router.get("/items/{item_id}")
    async def endpoint(user_id: int, item_id: str):
        return [user_id, item_id]

    app = Lamella()
    app.include_router(router, prefix="/{region}")
    assert await value_of(app, "/eu/users/3/items/x") == [3, "x"]


async def test_empty_path_below_a_prefix():
    router = APIRouter(prefix="/items")
    router.get("")(hello)
    app = Lamella()
    app.include_router(router)
    assert await value_of(app, "/items") == "hello"


def test_empty_path_without_a_prefix():
    router = APIRouter()
    router.add_api_route("", hello)
    with pytest.raises(StackError, match=r"Prefix and path cannot be both empty.*hello"):
        Lamella().include_router(router)


@pytest.mark.parametrize("prefix", ["items", "/items/", "/"])
def test_prefix_that_cannot_work(prefix):
    with pytest.raises(StackError, match="prefix must"):
        APIRouter(prefix=prefix)
    with pytest.raises(StackError, match="prefix must"):
        APIRouter().include_router(APIRouter(), prefix=prefix)


def test_router_in_itself():
    router = APIRouter()
    with pytest.raises(StackError, match="itself"):
        router.include_router(router)


async def test_first_declared_wins_across_routers():
    first, second = APIRouter(), APIRouter()
    first.get("/users/me")(lambda: "me")
    second.get("/users/{name}")(lambda name: name)
    app = Lamella()
    app.include_router(first)
    app.include_router(second)
    assert await value_of(app, "/users/me") == "me"
    assert await value_of(app, "/users/other") == "other"


async def test_router_included_twice():
    router = APIRouter()
    router.get("/x")(hello)
    app = Lamella()
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    assert await value_of(app, "/a/x") == await value_of(app, "/b/x") == "hello"


async def test_url_path_for_finds_included_routes():
    router = APIRouter(prefix="/items")

    @router.get("/{item_id}", name="item")
    async def endpoint(item_id: int): ...

    app = Lamella()
    app.include_router(router, prefix="/v1")
    assert app.url_path_for("item", item_id=3) == "/v1/items/3"


async def test_routes_that_are_not_typed_are_included():
    async def plain(request):
        return PlainTextResponse(request.url.path)

    async def session(socket):
        await socket.accept()
        await socket.close()

    router = Router(
        routes=[
            Route("/plain", plain),
            WebSocketRoute("/ws", session),
            Mount("/mount", routes=[Route("/plain", plain)]),
            Host("other", app=Router(routes=[Route("/plain", plain)])),
        ]
    )
    app = Lamella()
    app.include_router(router, prefix="/x")
    assert (await request(app, "/x/plain")).text == "/x/plain"
    assert (await request(app, "/x/mount/plain")).text == "/x/mount/plain"
    assert (await request(app, "/plain", headers=[("host", "other")])).text == "/plain"
    reply = await exchange(app, websocket_scope("/x/ws"), [{"type": "websocket.connect"}])
    assert [message["type"] for message in reply.messages] == [
        "websocket.accept",
        "websocket.close",
    ]


async def test_methods():
    router = APIRouter()
    for method in ("get", "put", "post", "delete", "options", "patch", "trace"):
        getattr(router, method)("/x")(lambda method=method: method)
    router.head("/head")(hello)
    app = Lamella()
    app.include_router(router)
    for method in ("get", "put", "post", "delete", "options", "patch", "trace"):
        assert await value_of(app, "/x", method=method.upper()) == method
    assert (await request(app, "/head", "HEAD")).status == 200
    assert (await request(app, "/head", "GET")).status == 405


async def test_api_route_with_several_methods():
    app = Lamella()

    @app.api_route("/", methods=["GET", "PUT"])
    async def endpoint(request: Request):
        return request.method

    assert await value_of(app, method="PUT") == "PUT"
    assert await value_of(app) == "GET"
    assert (await request(app, method="POST")).status == 405


# -- options ---------------------------------------------------------------------------------------


def test_tags_responses_and_dependencies_merge():
    def of_app(): ...
    def of_include(): ...
    def of_router(): ...
    def of_route(): ...

    router = APIRouter(
        tags=["router"],
        responses={404: {"description": "router"}, 409: {"description": "router"}},
        dependencies=[Depends(of_router)],
    )
    router.get(
        "/",
        tags=["route"],
        responses={409: {"description": "route"}},
        dependencies=[Depends(of_route)],
    )(hello)
    app = Lamella(dependencies=[Depends(of_app)], responses={500: {"description": "app"}})
    app.include_router(
        router,
        tags=["include"],
        responses={404: {"description": "include"}, 410: {"description": "include"}},
        dependencies=[Depends(of_include)],
    )
    (route,) = app.routes
    assert route.tags == ["include", "router", "route"]
    assert {code: said["description"] for code, said in route.responses.items()} == {
        500: "app",
        404: "router",
        410: "include",
        409: "route",
    }
    calls = [depends.dependency for depends in route.dependencies]
    assert calls == [of_app, of_include, of_router, of_route]


@pytest.mark.parametrize("saying", range(4), ids=["route", "router", "include", "app"])
def test_nearest_to_the_route_says(saying):
    """Those further in say nothing, those further out something else."""
    said = [None] * saying + [HTMLResponse] + [PlainTextResponse] * (3 - saying)
    router = APIRouter(default_response_class=said[1])
    router.get("/", response_class=said[0])(hello)
    app = Lamella(default_response_class=said[3])
    app.include_router(router, default_response_class=said[2])
    assert app.routes[0].response_class is HTMLResponse


def test_route_that_is_not_in_the_schema_of_any_level():
    for level in range(3):
        router = APIRouter(include_in_schema=level != 1)
        router.get("/", include_in_schema=level != 0)(hello)
        app = Lamella()
        app.include_router(router, include_in_schema=level != 2)
        assert not app.routes[0].include_in_schema


def test_deprecated_router():
    router = APIRouter(deprecated=True)
    router.get("/a")(hello)
    router.get("/b", deprecated=False)(hello)
    app = Lamella()
    app.include_router(router)
    assert [route.deprecated for route in app.routes] == [True, False]


async def test_max_body_size_of_the_nearest():
    router = APIRouter(max_body_size=3)

    async def size(request: Request):
        return len(await request.body())

    router.post("/router")(size)
    router.post("/route", max_body_size=6)(size)
    app = Lamella()
    app.include_router(router)
    assert (await request(app, "/router", "POST", body=b"1234")).status == 413
    assert await value_of(app, "/route", method="POST", body=b"1234") == 4
    assert (await request(app, "/route", "POST", body=b"1234567")).status == 413


def test_class_of_routes_is_kept():
    class Own(APIRoute): ...

    router = APIRouter(route_class=Own)
    router.get("/")(hello)
    outer = APIRouter()
    outer.include_router(router)
    app = Lamella()
    app.include_router(outer)
    assert type(app.routes[0]) is Own


async def test_route_class_may_put_something_around_the_handler():
    class Timed(APIRoute):
        def get_route_handler(self):
            inner = super().get_route_handler()

            async def handler(request):
                response = await inner(request)
                response.headers["x-timed"] = "yes"
                return response

            return handler

    router = APIRouter(route_class=Timed)

    @router.get("/")
    async def endpoint(a: Annotated[str, Depends(hello)]):
        return a

    app = Lamella()
    app.include_router(router)
    reply = await request(app)
    assert (reply.headers["x-timed"], reply.body) == ("yes", b'"hello"')


def test_unknown_option():
    with pytest.raises(StackError, match="'sumary'"):
        Lamella().get("/", sumary="x")(hello)


def test_text_as_tags():
    with pytest.raises(StackError, match="tags to be a list"):
        Lamella().get("/", tags="items")(hello)


def test_unknown_option_of_a_router():
    with pytest.raises(StackError, match="'tag'"):
        APIRouter(tag=["x"])
    with pytest.raises(StackError, match="'tag'"):
        Lamella().include_router(APIRouter(), tag=["x"])


# -- layers ----------------------------------------------------------------------------------------


def noting(log: list[str], name: str) -> Any:
    async def layer(request, call_next):
        log.append(name)
        response = await call_next(request)
        log.append(f"after {name}")
        return response

    return layer


class Pure:
    """A pure ASGI layer, for websockets as well."""

    built: list[str] = []  # noqa: RUF012

    def __init__(self, app: Any, log: list[str], name: str) -> None:
        self.app = app
        self.log = log
        self.name = name
        self.built.append(name)

    async def __call__(self, scope, receive, send):
        self.log.append(self.name)
        await self.app(scope, receive, send)
        self.log.append(f"after {self.name}")


async def test_layers_stand_in_the_order_of_what_declares_them():
    log: list[str] = []
    inner = APIRouter(middleware=[noting(log, "inner 1"), noting(log, "inner 2")])
    inner.get("/", middleware=[noting(log, "route")])(lambda: log.append("endpoint"))
    outer = APIRouter(middleware=[noting(log, "outer")])
    outer.include_router(inner, middleware=[noting(log, "include inner")])
    app = Lamella(middleware=[noting(log, "app")])
    app.include_router(outer, prefix="/x", middleware=[noting(log, "include outer")])
    await value_of(app, "/x/")
    names = ["app", "include outer", "outer", "include inner", "inner 1", "inner 2", "route"]
    assert log == [*names, "endpoint", *(f"after {name}" for name in reversed(names))]


async def test_layers_of_every_make_stand_together():
    log: list[str] = []

    class Native(Layer):
        async def respond(self, request):
            log.append("native")
            return await self._inner(request)

    class Dispatch(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            log.append("dispatch")
            return await call_next(request)

    router = APIRouter(
        middleware=[Middleware(Native), Middleware(Pure, log, "pure"), Middleware(Dispatch)]
    )
    router.get("/")(hello)
    app = Lamella()
    app.include_router(router)
    assert await value_of(app) == "hello"
    assert log == ["native", "pure", "dispatch", "after pure"]


async def test_layer_of_a_router_is_built_once_for_all_its_routes():
    """So one that counts, or limits, does so for all of them."""
    log: list[str] = []
    Pure.built.clear()
    router = APIRouter(middleware=[Middleware(Pure, log, "router")])
    router.get("/a")(lambda: "a")
    router.get("/b")(lambda: "b")
    app = Lamella()
    app.include_router(router, prefix="/1", middleware=[Middleware(Pure, log, "include")])
    app.include_router(router, prefix="/2")
    values = [await value_of(app, path) for path in ("/1/a", "/1/b", "/2/a", "/2/b")]
    assert values == ["a", "b", "a", "b"]
    assert sorted(Pure.built) == ["include", "router"]


async def test_layers_of_one_router_are_not_around_another():
    log: list[str] = []
    first, second = APIRouter(middleware=[noting(log, "first")]), APIRouter()
    second.get("/second")(hello)
    app = Lamella()
    app.include_router(first)
    app.include_router(second)
    app.get("/own")(hello)
    await value_of(app, "/second")
    await value_of(app, "/own")
    assert log == []


async def test_layer_sees_path_parameters_and_route():
    seen = []

    async def looks(request, call_next):
        seen.append((dict(request.path_params), request.scope["route"].path))
        return await call_next(request)

    router = APIRouter(middleware=[looks])

    @router.get("/{item_id}")
    async def endpoint(item_id: int): ...

    app = Lamella()
    app.include_router(router, prefix="/x")
    await value_of(app, "/x/3")
    assert seen == [({"item_id": "3"}, "/x/{item_id}")]


async def test_layer_may_answer_itself():
    async def refuses(request, call_next):
        return PlainTextResponse("no", 403)

    async def raises(request, call_next):
        raise HTTPException(401, "who?")

    app = Lamella()
    for name, layer in (("refuses", refuses), ("raises", raises)):
        router = APIRouter(middleware=[layer])
        router.get("/")(hello)
        app.include_router(router, prefix=f"/{name}")
    assert (await request(app, "/refuses/")).text == "no"
    assert (await request(app, "/raises/")).body == b'{"detail":"who?"}'


async def test_layer_sees_the_responses_of_errors():
    """Handlers answer inside of it, as inside of a layer of the application."""
    seen = []

    async def looks(request, call_next):
        response = await call_next(request)
        seen.append(response.status_code)
        return response

    router = APIRouter(middleware=[looks])

    @router.get("/{item_id}")
    async def endpoint(item_id: int):
        raise HTTPException(404)

    app = Lamella()
    app.include_router(router)
    await request(app, "/3")
    await request(app, "/x")
    assert seen == [404, 422]


async def test_layer_may_try_again():
    calls = []

    async def twice(request, call_next):
        await call_next(request)
        return await call_next(request)

    router = APIRouter(middleware=[twice])
    router.get("/")(lambda: calls.append(1))
    app = Lamella()
    app.include_router(router)
    await value_of(app)
    assert calls == [1, 1]


async def test_stream_goes_through_the_layers():
    log: list[str] = []
    router = APIRouter(middleware=[noting(log, "a"), Middleware(Pure, log, "pure")])

    @router.get("/")
    async def endpoint():
        async def stream():
            yield b"one"
            yield b"two"

        return StreamingResponse(stream())

    app = Lamella(middleware=[noting(log, "app")])
    app.include_router(router)
    assert (await request(app)).body == b"onetwo"


async def test_layers_are_around_websockets_too():
    log: list[str] = []
    inner = APIRouter(middleware=[Middleware(Pure, log, "inner")])

    @inner.websocket("/{name}", middleware=[Middleware(Pure, log, "route")])
    async def session(socket: WebSocket, name: str):
        log.append(name)
        await socket.accept()
        await socket.close()

    outer = APIRouter(middleware=[Middleware(Pure, log, "outer")])
    outer.include_router(inner, middleware=[Middleware(Pure, log, "include")])
    app = Lamella()
    app.include_router(outer, prefix="/x")
    reply = await exchange(app, websocket_scope("/x/me"), [{"type": "websocket.connect"}])
    assert reply.error is None
    names = ["outer", "include", "inner", "route"]
    assert log == [*names, "me", *(f"after {name}" for name in reversed(names))]


async def test_layers_are_around_what_is_not_typed():
    """A layer that lets only some in stands before all that the router has."""
    log: list[str] = []

    async def plain(request):
        return PlainTextResponse("plain")

    inner = Router(routes=[Route("/", plain)])
    router = APIRouter(
        middleware=[Middleware(Pure, log, "router")],
        routes=[Route("/plain", plain), Mount("/mount", inner), Host("other", app=inner)],
    )
    app = Lamella()
    app.include_router(router)
    for path, host in (("/plain", "testserver"), ("/mount/", "testserver"), ("/", "other")):
        assert (await request(app, path, headers=[("host", host)])).text == "plain"
        assert log == ["router", "after router"]
        log.clear()


async def test_routers_layers_without_being_included():
    log: list[str] = []
    router = APIRouter(middleware=[noting(log, "router")])
    router.get("/")(hello)
    assert await value_of(router) == "hello"
    assert await value_of(Lamella(routes=[Mount("/x", router)]), "/x/") == "hello"
    assert log == ["router", "after router"] * 2


async def test_requests_at_once_reach_their_own_routes():
    """One stack serves all routes of a router; what is inside is the request's own."""
    arrived, go = [], anyio.Event()

    async def waits(request, call_next):
        arrived.append(1)
        if len(arrived) == 6:
            go.set()
        await go.wait()
        return await call_next(request)

    router = APIRouter(middleware=[waits])
    for name in "abcdef":
        router.get(f"/{name}")(lambda name=name: name)
    app = Lamella()
    app.include_router(router)
    got = {}

    async def run(name):
        got[name] = await value_of(app, f"/{name}")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for name in "abcdef":
                group.start_soon(run, name)
    assert got == {name: name for name in "abcdef"}


def test_layer_that_is_none():
    with pytest.raises(StackError, match="middleware= of APIRouter"):
        APIRouter(middleware=[BaseHTTPMiddleware])
    with pytest.raises(StackError, match="middleware= of include_router"):
        APIRouter().include_router(APIRouter(), middleware=[3])


# -- the lifespan ----------------------------------------------------------------------------------


def lifespan_of(log: list[str], name: str, state: dict[str, Any] | None = None) -> Any:
    @asynccontextmanager
    async def lifespan(app):
        log.append(f"{name} entered")
        yield state
        log.append(f"{name} left")

    return lifespan


async def test_lifespans_of_included_routers_are_entered_inside():
    log: list[str] = []
    inner = APIRouter(lifespan=lifespan_of(log, "inner"))
    outer = APIRouter(lifespan=lifespan_of(log, "outer"))
    outer.include_router(inner)
    app = Lamella(lifespan=lifespan_of(log, "app"))
    app.include_router(outer)
    reply = await live(app)
    assert reply.error is None
    names = ["app", "outer", "inner"]
    assert log == [
        *(f"{name} entered" for name in names),
        *(f"{name} left" for name in reversed(names)),
    ]


async def test_lifespan_of_a_router_included_twice_is_entered_once():
    log: list[str] = []
    router = APIRouter(lifespan=lifespan_of(log, "router"))
    app = Lamella()
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    await live(app)
    assert log == ["router entered", "router left"]


async def test_lifespan_of_a_router_included_along_two_ways_is_entered_once():
    log: list[str] = []
    shared = APIRouter(lifespan=lifespan_of(log, "shared"))
    left, right = APIRouter(), APIRouter()
    left.include_router(shared)
    right.include_router(shared)
    app = Lamella()
    app.include_router(left, prefix="/a")
    app.include_router(right, prefix="/b")
    await live(app)
    assert log == ["shared entered", "shared left"]


async def test_lifespans_of_what_an_included_router_mounts():
    """Also where the layers of the router stand around it."""
    log: list[str] = []
    inner = Lamella(lifespan=lifespan_of(log, "inner"))
    router = APIRouter(middleware=[noting(log, "layer")])
    router.mount("/inner", inner)
    router.host("other", Lamella(lifespan=lifespan_of(log, "host")))
    app = Lamella(lifespan=lifespan_of(log, "app"))
    app.include_router(router)
    reply = await live(app)
    assert reply.error is None
    names = ["app", "inner", "host"]
    assert log == [
        *(f"{name} entered" for name in names),
        *(f"{name} left" for name in reversed(names)),
    ]


async def test_lifespan_context_entered_by_hand():
    """As tests do it: there is no server's lifespan around."""
    log: list[str] = []
    router = APIRouter(lifespan=lifespan_of(log, "router"))
    app = Lamella(lifespan=lifespan_of(log, "app"))
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    async with app.router.lifespan_context(app):
        assert log == ["app entered", "router entered"]
    assert log == ["app entered", "router entered", "router left", "app left"]


async def test_states_of_lifespans_are_merged():
    log: list[str] = []
    router = APIRouter(lifespan=lifespan_of(log, "router", {"router": 1, "both": "router"}))
    app = Lamella(lifespan=lifespan_of(log, "app", {"app": 2, "both": "app"}))
    app.include_router(router)
    found: dict[str, Any] = {}

    async def during(scope):
        found.update(scope["state"])

    await live(app, during)
    assert found == {"router": 1, "app": 2, "both": "app"}


async def test_events_are_called_in_order():
    log: list[str] = []

    async def of_router():
        log.append("router started")

    router = APIRouter(on_startup=[of_router], on_shutdown=[lambda: log.append("router stopped")])
    app = Lamella(
        on_startup=[lambda: log.append("app started")],
        on_shutdown=[lambda: log.append("app stopped")],
    )
    app.include_router(router)
    await live(app)
    assert log == ["app started", "router started", "router stopped", "app stopped"]


async def test_on_event_is_deprecated_and_works():
    log: list[str] = []
    app = Lamella()
    with pytest.warns(DeprecationWarning, match="lifespan") as caught:

        @app.on_event("startup")
        async def start():
            log.append("started")

        @app.on_event("shutdown")
        def stop():
            log.append("stopped")

    assert [warning.filename for warning in caught] == [__file__] * 2
    await live(app)
    assert log == ["started", "stopped"]


def test_on_event_of_a_router_names_the_users_line():
    with pytest.warns(DeprecationWarning, match="lifespan") as caught:
        APIRouter().on_event("startup")(lambda: None)
    assert [warning.filename for warning in caught] == [__file__]


def test_unknown_event():
    with (
        pytest.raises(StackError, match="'startup' or 'shutdown', got 'start'"),
        pytest.warns(DeprecationWarning),
    ):
        Lamella().on_event("start")


async def test_given_lifespan_takes_the_place_of_events():
    log: list[str] = []
    app = Lamella(lifespan=lifespan_of(log, "app"), on_startup=[lambda: log.append("never called")])
    await live(app)
    assert log == ["app entered", "app left"]


async def test_lifespan_that_fails_leaves_those_entered_before():
    log: list[str] = []

    @asynccontextmanager
    async def fails(app):
        raise LookupError
        yield

    router = APIRouter(lifespan=fails)
    app = Lamella(lifespan=lifespan_of(log, "app"))
    app.include_router(router)
    reply = await live(app)
    assert type(reply.error) is LookupError
    assert log[0] == "app entered"
