"""What layers give to dependencies: `provides`, and `request.provide`."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from lamella.applications import Lamella
from lamella.engine.stack import Layer
from lamella.exceptions import DependencyError, UsageError
from lamella.middleware import Middleware, compose
from lamella.middleware.base import BaseHTTPMiddleware
from lamella.params import Body, Depends
from lamella.requests import HTTPConnection, Request
from lamella.responses import PlainTextResponse
from lamella.routing import APIRouter, Host, Mount, Route, Router
from lamella.websockets import WebSocket
from tests.parity.drive import exchange, live, request, websocket_scope

pytestmark = pytest.mark.anyio


class User:
    """A type that no request can be read into."""

    def __init__(self, name: str) -> None:
        self.name = name


class Admin(User): ...


class UserLayer(BaseHTTPMiddleware):
    provides = User

    async def dispatch(self, request, call_next):
        request.provide(User("of a class"))
        return await call_next(request)


async def user_layer(request, call_next):
    request.provide(User("of a function"))
    return await call_next(request)


user_layer.provides = User  # type: ignore[attr-defined]


class PureLayer:
    provides = User

    def __init__(self, app: Any, name: str = "of a pure layer") -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope, receive, send):
        if scope["type"] != "lifespan":
            HTTPConnection(scope).provide(User(self.name))
        await self.app(scope, receive, send)


class NativeLayer(Layer):
    provides = User

    async def respond(self, request):
        request.provide(User("of a native layer"))
        return await self._inner(request)


async def passes(request, call_next):
    return await call_next(request)


class PassesPure:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


LAYERS = {
    "class": Middleware(UserLayer),
    "function": user_layer,
    "pure": Middleware(PureLayer),
    "native": Middleware(NativeLayer),
}
EACH = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)


async def endpoint(user: User) -> Any:
    return user.name


async def text_of(app: Any, path: str = "/", **options: Any) -> str:
    reply = await request(app, path, **options)
    assert reply.error is None
    assert reply.status == 200, reply.text
    return msgspec.json.decode(reply.body)


def refused(app: Any) -> str:
    with pytest.raises(DependencyError) as caught:
        app.build_middleware_stack()
    return checked(str(caught.value))


def checked(text: str, call: Any = endpoint) -> str:
    assert len(text.splitlines()) <= 6
    assert f"test_provides.py:{call.__code__.co_firstlineno}" in text
    assert "'user'" in text
    assert "provides = User" in text
    return text


# -- at every level --------------------------------------------------------------------------------


@EACH
async def test_layer_of_the_application_gives(layer):
    app = Lamella(middleware=[layer])
    app.get("/")(endpoint)
    assert (await text_of(app)).startswith("of a")


async def test_add_middleware_and_its_decorator():
    app = Lamella()
    app.get("/")(endpoint)
    app.add_middleware(UserLayer)
    assert await text_of(app) == "of a class"
    app = Lamella()
    app.get("/")(endpoint)
    app.middleware("http")(user_layer)
    assert await text_of(app) == "of a function"


@EACH
async def test_layer_of_a_route_gives(layer):
    app = Lamella()
    app.get("/", middleware=[layer])(endpoint)
    assert (await text_of(app)).startswith("of a")


@EACH
async def test_layer_of_a_router_gives(layer):
    router = APIRouter(middleware=[layer])
    router.get("/")(endpoint)
    app = Lamella()
    app.include_router(router)
    assert (await text_of(app)).startswith("of a")


@EACH
async def test_layer_of_include_router_gives(layer):
    router = APIRouter()
    router.get("/")(endpoint)
    outer = APIRouter()
    outer.include_router(router, middleware=[layer])
    app = Lamella()
    app.include_router(outer)
    assert (await text_of(app)).startswith("of a")


@EACH
async def test_layer_of_the_application_gives_to_what_is_mounted(layer):
    inner = Lamella()
    inner.get("/")(endpoint)
    router = APIRouter()
    router.get("/")(endpoint)
    app = Lamella(
        routes=[Mount("/app", inner), Mount("/router", router), Host("other", app=inner)],
        middleware=[layer],
    )
    assert (await text_of(app, "/app/")).startswith("of a")
    assert (await text_of(app, "/router/")).startswith("of a")
    assert (await text_of(app, "/", headers=[("host", "other")])).startswith("of a")


@EACH
async def test_layer_of_a_mount_gives(layer):
    inner = Lamella()
    inner.get("/")(endpoint)
    app = Lamella(routes=[Mount("/x", inner, middleware=[layer])])
    assert (await text_of(app, "/x/")).startswith("of a")


async def test_layer_of_a_mounted_router_gives():
    router = APIRouter(middleware=[user_layer])
    router.get("/")(endpoint)
    app = Lamella(routes=[Mount("/x", router)])
    assert await text_of(app, "/x/") == "of a function"


async def test_dispatch_that_is_given_to_the_base_class_gives():
    for layer in (
        Middleware(BaseHTTPMiddleware, user_layer),
        Middleware(BaseHTTPMiddleware, dispatch=user_layer),
    ):
        app = Lamella(middleware=[layer])
        app.get("/")(endpoint)
        assert await text_of(app) == "of a function"


async def test_layer_that_was_built_by_hand_gives_to_what_is_mounted():
    inner = Lamella()
    inner.get("/")(endpoint)
    router = APIRouter()
    router.get("/")(endpoint)
    app = Lamella(
        routes=[Mount("/a", PureLayer(inner)), Mount("/b", PassesPure(UserLayer(router)))]
    )
    assert await text_of(app, "/a/") == "of a pure layer"
    assert await text_of(app, "/b/") == "of a class"


async def test_layer_of_a_plain_router_gives():
    inner = APIRouter()
    inner.get("/")(endpoint)
    app = Lamella(
        routes=[Mount("/x", Router(routes=[Mount("/y", inner)], middleware=[user_layer]))]
    )
    assert await text_of(app, "/x/y/") == "of a function"


async def test_layer_of_a_router_gives_to_a_mount_in_it():
    inner = APIRouter()
    inner.get("/")(endpoint)
    router = APIRouter(middleware=[user_layer], routes=[Mount("/y", inner)])
    app = Lamella()
    app.include_router(router, prefix="/x")
    assert await text_of(app, "/x/y/") == "of a function"


async def test_composed_layers_give():
    app = Lamella(middleware=[compose(passes, compose(user_layer, passes))])
    app.get("/")(endpoint)
    assert await text_of(app) == "of a function"


async def test_pure_layers_between_do_not_matter():
    between = [passes, Middleware(PassesPure), passes, Middleware(PassesPure)]
    app = Lamella(middleware=[user_layer, *between])
    app.get("/")(endpoint)
    assert await text_of(app) == "of a function"


async def test_innermost_of_several_wins():
    app = Lamella(middleware=[user_layer])
    app.get("/", middleware=[Middleware(PureLayer, name="inner")])(endpoint)
    assert await text_of(app) == "inner"


async def test_several_types_of_one_layer():
    class Tenant:
        name = "tenant"

    async def both(request, call_next):
        request.provide(User("user"))
        request.provide(Tenant())
        return await call_next(request)

    both.provides = (User, Tenant)  # type: ignore[attr-defined]

    app = Lamella(middleware=[both])

    @app.get("/")
    async def call(user: User, tenant: Tenant):
        return [user.name, tenant.name]

    assert await text_of(app) == ["user", "tenant"]


async def test_dependency_at_any_depth_is_given_it():
    async def deep(user: User):
        return user.name

    def middle(name: Annotated[str, Depends(deep)], user: User):
        yield f"{name} {user.name}"

    app = Lamella(middleware=[user_layer])

    @app.get("/")
    async def call(a: Annotated[str, Depends(middle)]):
        return a

    assert await text_of(app) == "of a function of a function"


async def test_subclass_is_given_for_its_base():
    async def admins(request, call_next):
        request.provide(Admin("admin"))
        return await call_next(request)

    admins.provides = Admin  # type: ignore[attr-defined]
    app = Lamella(middleware=[admins])
    app.get("/")(endpoint)
    assert await text_of(app) == "admin"


async def test_base_is_not_given_for_its_subclass():
    app = Lamella(middleware=[user_layer])

    @app.get("/")
    async def call(user: Admin): ...

    with pytest.raises(DependencyError):
        app.build_middleware_stack()


async def test_value_may_be_given_for_another_type():
    async def layer(request, call_next):
        request.provide(Admin("x"), User)
        return await call_next(request)

    layer.provides = User  # type: ignore[attr-defined]
    app = Lamella(middleware=[layer])
    app.get("/")(endpoint)
    assert await text_of(app) == "x"


async def test_subclass_declared_as_its_base_is_given():
    """A layer that provides users may find an admin."""

    async def layer(request, call_next):
        request.provide(Admin("x"))
        return await call_next(request)

    layer.provides = User  # type: ignore[attr-defined]
    app = Lamella(middleware=[layer])
    app.get("/")(endpoint)
    assert await text_of(app) == "x"


async def test_layer_around_one_route_gives_nothing_to_another():
    app = Lamella()
    app.get("/a", middleware=[user_layer])(endpoint)
    app.get("/b")(endpoint)
    refused(app)


# -- models ----------------------------------------------------------------------------------------


class StructUser(msgspec.Struct):
    name: str


@dataclass
class DataUser:
    name: str


class PydanticUser(pydantic.BaseModel):
    name: str


MODELS = pytest.mark.parametrize("model", [StructUser, DataUser, PydanticUser])


@MODELS
async def test_model_that_a_layer_gives_comes_from_the_layer(model):
    async def layer(request, call_next):
        request.provide(model(name="layer"))
        return await call_next(request)

    layer.provides = model
    app = Lamella(middleware=[layer])

    async def call(user: Any) -> Any:
        return user.name

    call.__annotations__["user"] = model
    app.post("/")(call)
    reply = await request(
        app,
        method="POST",
        body=b'{"name":"body"}',
        headers=[("content-type", "application/json")],
    )
    assert reply.body == b'"layer"'


@MODELS
async def test_body_beside_it_is_all_of_the_body(model):
    class Item(msgspec.Struct):
        size: int

    async def layer(request, call_next):
        request.provide(model(name="layer"))
        return await call_next(request)

    layer.provides = model
    app = Lamella(middleware=[layer])

    async def call(user: Any, item: Item) -> Any:
        return [user.name, item.size]

    call.__annotations__["user"] = model
    app.post("/")(call)
    reply = await request(
        app, method="POST", body=b'{"size":3}', headers=[("content-type", "application/json")]
    )
    assert reply.body == b'["layer",3]'


@MODELS
async def test_model_that_a_layer_gives_is_not_in_the_document(model):
    async def layer(request, call_next):
        request.provide(model(name="layer"))
        return await call_next(request)

    layer.provides = model
    app = Lamella(middleware=[layer])

    async def call(user: Any) -> Any:
        return user.name

    call.__annotations__["user"] = model
    app.post("/")(call)
    app.build_middleware_stack()
    assert "requestBody" not in app.openapi()["paths"]["/"]["post"]


@MODELS
async def test_model_that_says_where_it_comes_from_comes_from_there(model):
    async def layer(request, call_next):
        request.provide(model(name="layer"))
        return await call_next(request)

    layer.provides = model
    app = Lamella(middleware=[layer])

    async def call(user: Any) -> Any:
        return user.name

    call.__annotations__["user"] = Annotated[model, Body()]
    app.post("/")(call)
    reply = await request(
        app,
        method="POST",
        body=b'{"name":"body"}',
        headers=[("content-type", "application/json")],
    )
    assert reply.body == b'"body"'


# -- websockets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["app", "route", "router"])
async def test_pure_layer_gives_to_websockets(level):
    async def session(socket: WebSocket, user: User):
        await socket.accept()
        await socket.send_text(user.name)
        await socket.close()

    layers = [Middleware(PureLayer)]
    app = Lamella(middleware=layers if level == "app" else None)
    router = APIRouter(middleware=layers if level == "router" else None)
    router.websocket("/", middleware=layers if level == "route" else None)(session)
    app.include_router(router)
    reply = await exchange(app, websocket_scope(), [{"type": "websocket.connect"}])
    assert reply.error is None
    assert reply.messages[1]["text"] == "of a pure layer"


async def test_websocket_that_needs_what_nobody_gives():
    app = Lamella()

    @app.websocket("/")
    async def session(socket: WebSocket, user: User): ...

    with pytest.raises(DependencyError) as caught:
        app.build_middleware_stack()
    checked(str(caught.value), session)


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["build", "request", "lifespan"])
async def test_missing_one_is_found_when_the_application_is_built(how):
    app = Lamella()
    app.get("/other")(lambda: None)
    app.get("/")(endpoint)
    if how == "build":
        refused(app)
        return
    reply = await (request(app, "/other") if how == "request" else live(app))
    assert isinstance(reply.error, DependencyError)
    checked(str(reply.error))


@pytest.mark.parametrize("how", ["included", "mounted", "mounted app"])
async def test_missing_one_below(how):
    inner: Any = Lamella() if how == "mounted app" else APIRouter()
    inner.get("/")(endpoint)
    app = Lamella()
    if how == "included":
        app.include_router(inner, prefix="/x")
    else:
        app.mount("/x", inner)
    refused(app)


async def test_missing_one_of_a_dependency_names_that_function():
    async def dep(user: User): ...

    app = Lamella()

    @app.get("/")
    async def call(a: Annotated[None, Depends(dep)]): ...

    with pytest.raises(DependencyError) as caught:
        app.build_middleware_stack()
    checked(str(caught.value), dep)


async def test_layer_that_forgets_to_give_is_told():
    async def forgets(request, call_next):
        return await call_next(request)

    forgets.provides = User  # type: ignore[attr-defined]
    app = Lamella(middleware=[forgets])
    app.get("/")(endpoint)
    reply = await request(app)
    assert isinstance(reply.error, UsageError)
    text = str(reply.error)
    assert "request.provide(" in text
    assert f"test_provides.py:{endpoint.__code__.co_firstlineno}" in text
    assert len(text.splitlines()) <= 6


async def test_default_is_no_excuse_where_nobody_gives():
    """It would hide a type that no request can be read into."""
    app = Lamella()

    @app.get("/")
    async def call(user: User | None = None): ...

    with pytest.raises(DependencyError) as caught:
        app.build_middleware_stack()
    checked(str(caught.value), call)


async def test_default_is_taken_where_the_layer_gave_none():
    async def forgets(request, call_next):
        return await call_next(request)

    forgets.provides = User  # type: ignore[attr-defined]

    async def call(user: User | None = None) -> Any:
        return None if user is None else user.name

    app = Lamella(middleware=[forgets])
    app.get("/")(call)
    assert await text_of(app) is None
    app = Lamella(middleware=[user_layer])
    app.get("/")(call)
    assert await text_of(app) == "of a function"


@MODELS
async def test_model_that_may_be_lacking(model):
    async def layer(request, call_next):
        if request.url.query:
            request.provide(model(name="layer"))
        return await call_next(request)

    layer.provides = model

    async def call(user: Any = None) -> Any:
        return None if user is None else user.name

    call.__annotations__["user"] = model | None
    app = Lamella(middleware=[layer])
    app.get("/")(call)
    assert await text_of(app) is None
    assert await text_of(app, query=b"q") == "layer"


async def test_values_of_requests_do_not_mix():
    async def named(request, call_next):
        request.provide(User(request.url.query))
        return await call_next(request)

    named.provides = User  # type: ignore[attr-defined]
    app = Lamella(middleware=[named])
    app.get("/")(endpoint)
    assert [await text_of(app, query=q) for q in (b"a", b"b")] == ["a", "b"]


async def test_plain_endpoint_below_may_look_at_nothing():
    """What is given is for who declares it; a plain route goes on as it is."""

    async def plain(request: Request):
        return PlainTextResponse("plain")

    app = Lamella(routes=[Mount("/x", Router(routes=[Route("/", plain)]))], middleware=[user_layer])
    assert (await request(app, "/x/")).text == "plain"
