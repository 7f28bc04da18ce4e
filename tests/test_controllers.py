"""Controllers: classes whose methods are endpoints."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from lamella.applications import Lamella
from lamella.controllers import (
    Controller,
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    route,
    trace,
    websocket,
)
from lamella.exceptions import DependencyError, StackError
from lamella.params import Depends, Query
from lamella.requests import Request
from lamella.responses import PlainTextResponse
from lamella.websockets import WebSocket
from tests.parity.drive import exchange, request, websocket_scope

pytestmark = pytest.mark.anyio


class Item(msgspec.Struct):
    name: str


def app_of(*controllers: type[Controller]) -> Lamella:
    app = Lamella()
    for controller in controllers:
        app.include_router(controller.router())
    return app


async def value_of(app: Any, path: str = "/", **options: Any) -> Any:
    reply = await request(app, path, **options)
    assert reply.error is None
    assert reply.status == 200, reply.text
    return msgspec.json.decode(reply.body)


JSON = [("content-type", "application/json")]


async def test_methods_are_endpoints():
    class Items(Controller):
        prefix = "/items"

        @get("/{item_id}")
        async def read(self, item_id: int, q: str = "none"):
            return [type(self).__name__, item_id, q]

        @post("/")
        def create(self, item: Item):
            return item.name

    app = app_of(Items)
    assert await value_of(app, "/items/3", query=b"q=x") == ["Items", 3, "x"]
    assert await value_of(app, "/items/", method="POST", body=b'{"name":"a"}', headers=JSON) == "a"
    assert (await request(app, "/items/x")).status == 422


async def test_every_method_has_a_decorator():
    class All(Controller):
        @get("/x")
        def get(self):
            return "get"

        @put("/x")
        def put(self):
            return "put"

        @post("/x")
        def post(self):
            return "post"

        @delete("/x")
        def delete(self):
            return "delete"

        @options("/x")
        def opts(self):
            return "options"

        @patch("/x")
        def patch(self):
            return "patch"

        @trace("/x")
        def trace(self):
            return "trace"

        @head("/head")
        def head(self): ...

        @route("/route", methods=["GET", "PUT"])
        def both(self, request: Request):
            return request.method

    app = app_of(All)
    for method in ("get", "put", "post", "delete", "options", "patch", "trace"):
        assert await value_of(app, "/x", method=method.upper()) == method
    assert (await request(app, "/head", "HEAD")).status == 200
    assert await value_of(app, "/route", method="PUT") == "PUT"


async def test_one_instance_a_request():
    made = []

    class Counts(Controller):
        def __init__(self) -> None:
            made.append(self)

        @get("/")
        async def read(self, other: Annotated[Any, Depends(lambda: None)]):
            return len(made)

    app = app_of(Counts)
    assert [await value_of(app), await value_of(app)] == [1, 2]
    assert made[0] is not made[1]


async def test_init_asks_for_what_all_endpoints_need():
    log: list[str] = []

    async def session():
        log.append("opened")
        yield "session"
        log.append("closed")

    class Items(Controller):
        def __init__(self, session: Annotated[str, Depends(session)], tenant: str = "none"):
            self.session = session
            self.tenant = tenant

        @get("/")
        async def read(self, session: Annotated[str, Depends(session)]):
            return [self.session, self.tenant, session is self.session]

    assert await value_of(app_of(Items), query=b"tenant=t") == ["session", "t", True]
    assert log == ["opened", "closed"]


async def test_parameter_of_a_prefix_for_init():
    class Items(Controller):
        prefix = "/{tenant}/items"

        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        @get("/{item_id}")
        async def read(self, item_id: int):
            return [self.tenant, item_id]

    assert await value_of(app_of(Items), "/me/items/3") == ["me", 3]


async def test_options_of_the_class_are_those_of_its_router():
    log: list[str] = []

    async def layer(request, call_next):
        log.append("layer")
        return await call_next(request)

    class Items(Controller):
        options = {  # noqa: RUF012
            "tags": ["items"],
            "dependencies": [Depends(lambda: log.append("dependency"))],
            "middleware": [layer],
        }

        @get("/", tags=["read"], summary="Read it")
        async def read(self):
            return 1

    app = app_of(Items)
    await value_of(app)
    (found,) = [one for one in app.routes if one.path == "/"]
    assert (found.tags, found.summary) == (["items", "read"], "Read it")
    assert log == ["layer", "dependency"]


async def test_router_may_be_made_twice():
    class Items(Controller):
        @get("/")
        async def read(self):
            return 1

    app = Lamella()
    app.include_router(Items.router(), prefix="/a")
    app.include_router(Items.router(), prefix="/b")
    assert [await value_of(app, "/a/"), await value_of(app, "/b/")] == [1, 1]


async def test_subclass_has_the_endpoints_of_its_bases():
    class Base(Controller):
        prefix = "/base"

        @get("/name")
        async def name(self):
            return self.word()

        @get("/other")
        async def other(self):
            return "base"

        def word(self):
            return "base"

    class Sub(Base):
        prefix = "/sub"

        @get("/own")
        async def own(self):
            return "own"

        @get("/other")
        async def other(self):
            return "sub"

        def word(self):
            return "sub"

    app = app_of(Base, Sub)
    paths = ["/base/name", "/base/other", "/sub/name", "/sub/other", "/sub/own"]
    assert [await value_of(app, path) for path in paths] == ["base", "base", "sub", "sub", "own"]


async def test_endpoint_that_a_subclass_takes_back():
    class Base(Controller):
        @get("/a")
        async def a(self): ...

        @get("/b")
        async def b(self): ...

    class Sub(Base):
        a = None  # type: ignore[assignment]

    app = app_of(Sub)
    assert (await request(app, "/a")).status == 404
    assert (await request(app, "/b")).status == 200


async def test_method_may_have_several_paths():
    class Items(Controller):
        @get("/a")
        @get("/b")
        async def read(self, request: Request):
            return request.url.path

    app = app_of(Items)
    assert [await value_of(app, path) for path in ("/a", "/b")] == ["/a", "/b"]


async def test_decorated_method_is_still_a_method():
    class Items(Controller):
        @get("/")
        async def read(self, q: int):
            return q + 1

        @get("/more")
        async def more(self, q: int):
            return await self.read(q) + 1

    assert await Items().read(1) == 2
    assert await value_of(app_of(Items), "/more", query=b"q=1") == 3


async def test_method_that_yields_is_a_stream():
    class Items(Controller):
        @get("/")
        async def read(self):
            yield 1
            yield 2

    assert (await request(app_of(Items))).body == b"1\n2\n"


async def test_super_works():
    class Base(Controller):
        @get("/")
        async def read(self):
            return ["base"]

    class Sub(Base):
        @get("/")
        async def read(self):
            return [*await super().read(), "sub"]

    assert await value_of(app_of(Sub)) == ["base", "sub"]


async def test_defaults_and_keyword_only_parameters():
    class Items(Controller):
        @get("/")
        async def read(self, a: int = 1, *, b: int, c: Annotated[int, Query(gt=0)] = 3):
            return [a, b, c]

    assert await value_of(app_of(Items), query=b"b=2") == [1, 2, 3]


async def test_websockets():
    class Chat(Controller):
        prefix = "/chat"

        def __init__(self, token: str) -> None:
            self.token = token

        @websocket("/{room}")
        async def talk(self, socket: WebSocket, room: str):
            await socket.accept()
            await socket.send_text(f"{room} {self.token}")
            await socket.close()

    reply = await exchange(
        app_of(Chat), websocket_scope("/chat/r", query=b"token=t"), [{"type": "websocket.connect"}]
    )
    assert reply.error is None
    assert reply.messages[1]["text"] == "r t"


async def test_exception_of_a_method_is_answered():
    class Items(Controller):
        @get("/")
        async def read(self):
            raise LookupError

    app = app_of(Items)

    @app.exception_handler(LookupError)
    async def handle(request, exc):
        return PlainTextResponse("handled", 404)

    assert (await request(app)).text == "handled"


async def test_override_of_what_init_asks_for():
    async def session():
        return "own"

    class Items(Controller):
        def __init__(self, session: Annotated[str, Depends(session)]) -> None:
            self.session = session

        @get("/")
        async def read(self):
            return self.session

    app = app_of(Items)
    app.dependency_overrides[session] = lambda: "other"
    assert await value_of(app) == "other"


async def test_document_names_methods_and_their_docstrings():
    class Items(Controller):
        @get("/")
        async def read(self, q: int):
            """Read all of them."""

    app = app_of(Items)
    operation = app.openapi()["paths"]["/"]["get"]
    assert operation["summary"] == "Read"
    assert operation["description"] == "Read all of them."
    assert [one["name"] for one in operation["parameters"]] == ["q"]


# -- mistakes --------------------------------------------------------------------------------------


def test_controller_without_endpoints():
    class Empty(Controller):
        def read(self): ...

    with pytest.raises(StackError, match="Empty.*test_controllers.py"):
        Empty.router()


@pytest.mark.parametrize("kind", [staticmethod, classmethod, property])
def test_decorator_around_something_else_than_a_function(kind):
    class Items(Controller):
        @kind
        @get("/")
        def read(self): ...

    with pytest.raises(StackError, match="Items"):
        Items.router()


def test_method_without_self():
    class Items(Controller):
        @get("/")
        def read(): ...  # type: ignore[misc]

    with pytest.raises(StackError, match="self") as caught:
        Items.router()
    assert "test_controllers.py" in str(caught.value)


async def test_method_may_take_any_further_arguments():
    """It is given none."""

    class Items(Controller):
        @get("/")
        async def read(self, q: int, *args: Any, **kwargs: Any):
            return [q, args, kwargs]

    assert await value_of(app_of(Items), query=b"q=1&args=2&kwargs=3") == [1, [], {}]


def test_mistake_in_a_method_names_it():
    class Items(Controller):
        @get("/{item_id}")
        def read(self, other: int): ...

    with pytest.raises(DependencyError, match="'item_id'") as caught:
        Items.router()
    text = str(caught.value)
    assert "Items.read" in text
    assert f"test_controllers.py:{Items.read.__code__.co_firstlineno}" in text


def test_mistake_in_init_names_it():
    class Items(Controller):
        def __init__(self, q: int, /) -> None: ...

        @get("/")
        def read(self): ...

    with pytest.raises(DependencyError, match="'q'") as caught:
        Items.router()
    assert "Items" in str(caught.value)
    assert "test_controllers.py" in str(caught.value)


def test_option_that_no_router_has():
    class Items(Controller):
        options = {"tag": ["x"]}  # type: ignore[typeddict-unknown-key]  # noqa: RUF012

        @get("/")
        def read(self): ...

    with pytest.raises(StackError, match="'tag'"):
        Items.router()
