"""Dependencies of the scope "app", and `app.resolve`."""

import inspect
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import msgspec
import pytest

from lamella.applications import Lamella
from lamella.exceptions import DependencyError
from lamella.params import Depends, Header
from lamella.requests import Request
from lamella.routing import APIRouter, Mount, Router
from lamella.websockets import WebSocket
from tests.loops import gather, never, spawn, turns, wait
from tests.parity.drive import exchange, live, request, websocket_scope

pytestmark = pytest.mark.anyio


async def value_of(app: Any, path: str = "/", **options: Any) -> Any:
    reply = await request(app, path, **options)
    assert reply.error is None
    assert reply.status == 200, reply.text
    return msgspec.json.decode(reply.body)


def traced(log: list[str], name: str, *needs: Any, kind: str = "async", fails: bool = False) -> Any:
    """A dependency that notes when it is made and closed."""
    if not needs:
        if kind == "sync":

            def in_thread():
                log.append(f"{name} made")
                yield name
                log.append(f"{name} closed")

            return in_thread

        async def in_loop():
            log.append(f"{name} made")
            if fails:
                raise LookupError(name)
            yield name
            log.append(f"{name} closed")

        return in_loop

    async def depends(a: Annotated[Any, Depends(needs[0], scope="app")]):
        log.append(f"{name} made of {a}")
        if fails:
            raise LookupError(name)
        yield name
        log.append(f"{name} closed")

    return depends


def route(app: Any, path: str, *wanted: Any) -> None:
    """Add a route that depends on these, for the whole application."""

    async def endpoint(**kwargs: Any) -> Any:
        return list(kwargs.values())

    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                f"p{index}", inspect.Parameter.KEYWORD_ONLY, default=Depends(one, scope="app")
            )
            for index, one in enumerate(wanted)
        ]
    )
    app.add_api_route(path, endpoint)


# -- in the lifespan -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_made_once_in_the_lifespan_and_closed_in_reverse(kind):
    log: list[str] = []
    settings = traced(log, "settings", kind=kind)
    pool = traced(log, "pool", settings)
    cache = traced(log, "cache", kind=kind)
    app = Lamella()
    route(app, "/", pool, cache)
    route(app, "/other", cache, settings, pool)
    made = ["settings made", "pool made of settings", "cache made"]

    async def during(scope):
        assert log == made
        for _ in range(3):
            assert await value_of(app) == ["pool", "cache"]
        assert await value_of(app, "/other") == ["cache", "settings", "pool"]
        assert log == made

    reply = await live(app, during)
    assert [message["type"] for message in reply.messages] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert log == [*made, "cache closed", "pool closed", "settings closed"]


async def test_plain_functions_and_classes_have_the_scope_too():
    made = []

    class Settings:
        def __init__(self):
            made.append("settings")

    async def client():
        made.append("client")
        return "client"

    def name():
        made.append("name")
        return "name"

    got = []
    app = Lamella()

    @app.get("/")
    async def endpoint(
        a: Annotated[Settings, Depends(scope="app")],
        b: Annotated[str, Depends(client, scope="app")],
        c: Annotated[str, Depends(name, scope="app", inline=True)],
    ):
        got.append((a, b, c))

    async def during(scope):
        assert made == ["settings", "client", "name"]
        await value_of(app)
        await value_of(app)

    await live(app, during)
    assert made == ["settings", "client", "name"]
    assert got[0] == got[1]


async def test_made_anew_in_the_next_lifespan():
    log: list[str] = []
    app = Lamella()
    route(app, "/", traced(log, "pool"))

    async def during(scope):
        await value_of(app)

    await live(app, during)
    await live(app, during)
    assert log == ["pool made", "pool closed"] * 2


async def test_made_within_the_lifespan_of_the_application():
    """Which sets up what they need, and takes it down after them."""
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(app):
        log.append("lifespan entered")
        yield
        log.append("lifespan left")

    app = Lamella(lifespan=lifespan)
    route(app, "/", traced(log, "pool"))
    await live(app)
    assert log == ["lifespan entered", "pool made", "pool closed", "lifespan left"]


async def test_one_that_fails_fails_the_start_and_the_others_are_closed():
    log: list[str] = []
    first = traced(log, "first")
    app = Lamella()
    route(app, "/", first)
    route(app, "/second", traced(log, "second", first, fails=True))
    route(app, "/third", traced(log, "third"))
    reply = await live(app)
    assert type(reply.error) is LookupError
    assert [message["type"] for message in reply.messages] == ["lifespan.startup.failed"]
    assert log == ["first made", "second made of first"]


async def test_exit_of_the_others_sees_the_error_of_the_one_that_failed():
    log: list[str] = []

    async def first():
        try:
            yield
        finally:
            log.append("first closed")

    async def second():
        raise LookupError

    app = Lamella()
    route(app, "/", first, second)
    reply = await live(app)
    assert type(reply.error) is LookupError
    assert log == ["first closed"]


async def test_error_of_an_exit_fails_the_shutdown_and_the_others_are_closed():
    log: list[str] = []

    async def failing():
        yield
        raise LookupError

    async def other():
        try:
            yield
        finally:
            log.append("other closed")

    app = Lamella()
    route(app, "/", other, failing)
    reply = await live(app)
    assert type(reply.error) is LookupError
    assert reply.messages[-1]["type"] == "lifespan.shutdown.failed"
    assert log == ["other closed"]


async def test_dependencies_of_all_routes_are_made():
    """Those of included routers, of websockets, of routes, of mounted routers and applications."""
    log: list[str] = []

    async def effect():
        log.append("effect")

    async def of_socket():
        log.append("socket")

    app = Lamella(dependencies=[Depends(effect, scope="app")])
    router = APIRouter()
    route(router, "/", traced(log, "included"))
    app.include_router(router, prefix="/r")

    @app.websocket("/ws")
    async def session(socket: WebSocket, a: Annotated[Any, Depends(of_socket, scope="app")]): ...

    mounted = APIRouter()
    route(mounted, "/", traced(log, "mounted"))
    app.mount("/m", mounted)
    inner = Lamella()
    route(inner, "/", traced(log, "inner"))
    app.mount("/inner", inner)

    async def during(scope):
        assert sorted(log) == sorted(
            ["effect", "included made", "socket", "mounted made", "inner made"]
        )

    reply = await live(app, during)
    assert reply.error is None
    closed = [one for one in log if one.endswith("closed")]
    assert sorted(closed) == ["included closed", "inner closed", "mounted closed"]


async def test_mounted_application_has_its_own():
    log: list[str] = []
    pool = traced(log, "pool")
    inner, app = Lamella(), Lamella()
    route(inner, "/", pool)
    route(app, "/", pool)
    app.mount("/inner", inner)

    async def during(scope):
        assert log == ["pool made", "pool made"]
        assert await value_of(app, "/inner/") == ["pool"]

    await live(app, during)
    assert log == ["pool made", "pool made", "pool closed", "pool closed"]


async def test_task_group_lives_as_long_as_the_application():
    log: list[str] = []

    async def tasks():
        async with anyio.create_task_group() as group:
            yield group
            group.cancel_scope.cancel()
        log.append("tasks ended")

    async def work():
        log.append("work begun")
        try:
            await never()
        finally:
            log.append("work ended")

    app = Lamella()

    @app.get("/")
    async def endpoint(group: Annotated[Any, Depends(tasks, scope="app")]):
        group.start_soon(work)
        await turns(3)

    async def during(scope):
        await value_of(app)
        assert log == ["work begun"]

    reply = await live(app, during)
    assert reply.error is None
    assert log == ["work begun", "work ended", "tasks ended"]


async def test_request_scope_depends_on_app_scope():
    log: list[str] = []
    pool = traced(log, "pool")

    async def session(a: Annotated[str, Depends(pool, scope="app")]):
        log.append("session made")
        yield f"session of {a}"
        log.append("session closed")

    app = Lamella()

    @app.get("/")
    async def endpoint(a: Annotated[str, Depends(session)]):
        return a

    async def during(scope):
        assert await value_of(app) == "session of pool"

    await live(app, during)
    assert log == ["pool made", "session made", "session closed", "pool closed"]


# -- without a lifespan ----------------------------------------------------------------------------


async def test_made_at_first_use_without_a_lifespan():
    log: list[str] = []
    app = Lamella()
    route(app, "/", traced(log, "pool"))
    assert await value_of(app) == ["pool"]
    assert await value_of(app) == ["pool"]
    assert log == ["pool made"]


async def test_made_once_for_requests_at_once():
    made = []
    go = anyio.Event()

    async def pool():
        made.append(1)
        await go.wait()
        return len(made)

    app = Lamella()
    route(app, "/", pool)

    async def ask():
        return await value_of(app)

    async def start():
        await turns(10)
        go.set()

    *values, _ = await gather(*(ask() for _ in range(10)), start(), timeout=5)
    assert values == [[1]] * 10


async def test_one_that_fails_at_first_use_is_tried_again():
    tries = []

    async def pool():
        tries.append(1)
        if len(tries) == 1:
            raise LookupError
        return "pool"

    app = Lamella()
    route(app, "/", pool)
    assert type((await request(app)).error) is LookupError
    assert await value_of(app) == ["pool"]


async def test_one_that_is_cancelled_is_made_by_who_waits():
    tries = []
    entered = anyio.Event()

    async def pool():
        tries.append(1)
        if len(tries) == 1:
            entered.set()
            await never()
        return "pool"

    app = Lamella()
    route(app, "/", pool)
    first = spawn(request(app))
    await entered.wait()
    second = spawn(value_of(app))
    await turns(3)
    first.cancel()
    await wait([first, second], 5)
    assert second.result() == ["pool"]


async def test_router_without_an_application_tells_that_it_needs_one():
    router = APIRouter()
    route(router, "/", traced([], "pool"))
    reply = await request(router)
    assert "application" in str(reply.error)


# -- websockets ------------------------------------------------------------------------------------


async def test_websockets_have_them():
    log: list[str] = []
    pool = traced(log, "pool")
    app = Lamella()

    @app.websocket("/")
    async def session(socket: WebSocket, a: Annotated[str, Depends(pool, scope="app")]):
        await socket.accept()
        await socket.send_text(a)
        await socket.close()

    for _ in range(2):
        reply = await exchange(app, websocket_scope(), [{"type": "websocket.connect"}])
        assert reply.error is None
        assert reply.messages[1]["text"] == "pool"
    assert log == ["pool made"]


# -- outside of a request --------------------------------------------------------------------------


async def test_resolve_gives_the_value_and_runs_the_exits():
    log: list[str] = []
    outer = traced(log, "outer")

    async def inner(a: Annotated[str, Depends(outer)]):
        yield f"inner of {a}"
        log.append("inner closed")

    app = Lamella()
    async with app.resolve(inner) as value:
        assert value == "inner of outer"
        assert log == ["outer made"]
    assert log == ["outer made", "inner closed", "outer closed"]


@pytest.mark.parametrize("kind", ["coroutine", "function", "class", "generator"])
async def test_resolve_takes_whatever_is_a_dependency(kind):
    async def coroutine():
        return "x"

    def function():
        return "x"

    def generator():
        yield "x"

    class Kind:
        def __eq__(self, other: object) -> bool:
            return other == "x"

    call = {"coroutine": coroutine, "function": function, "class": Kind, "generator": generator}
    async with Lamella().resolve(call[kind]) as value:
        assert value == "x"


async def test_exits_of_resolve_see_the_error_of_the_block():
    seen = []

    async def session():
        try:
            yield
        except LookupError as exc:
            seen.append(exc)
            raise

    error = LookupError()
    with pytest.raises(LookupError) as caught:
        async with Lamella().resolve(session):
            raise error
    assert caught.value is error
    assert seen == [error]


async def test_exit_of_resolve_may_turn_the_error_into_another():
    async def session():
        try:
            yield
        except LookupError as exc:
            raise OverflowError from exc

    with pytest.raises(OverflowError):
        async with Lamella().resolve(session):
            raise LookupError


async def test_exits_of_resolve_run_when_a_later_dependency_fails():
    log: list[str] = []

    async def closes():
        try:
            yield
        finally:
            log.append("closed")

    async def fails(a: Annotated[Any, Depends(closes)]):
        raise LookupError

    with pytest.raises(LookupError):
        async with Lamella().resolve(fails):
            raise AssertionError
    assert log == ["closed"]


async def test_resolve_shares_what_the_application_has():
    log: list[str] = []
    pool = traced(log, "pool")

    async def session(a: Annotated[str, Depends(pool, scope="app")]):
        return f"session of {a}"

    app = Lamella()
    route(app, "/", pool)

    async def during(scope):
        async with app.resolve(session) as value:
            assert value == "session of pool"
        await value_of(app)

    await live(app, during)
    assert log == ["pool made", "pool closed"]


async def test_resolve_of_a_dependency_of_scope_app_is_the_one_of_the_requests():
    """It is declared as such by the endpoints, or by `Depends(pool, scope="app")` here."""
    log: list[str] = []
    pool = traced(log, "pool")
    app = Lamella()
    route(app, "/", pool)

    async def during(scope):
        async with app.resolve(Depends(pool, scope="app")) as value:
            assert value == "pool"
        assert log == ["pool made"]

    reply = await live(app, during)
    assert reply.error is None
    assert log == ["pool made", "pool closed"]


async def test_resolve_knows_overrides():
    async def dep():
        return "own"

    app = Lamella()
    app.dependency_overrides[dep] = lambda: "other"
    async with app.resolve(dep) as value:
        assert value == "other"
    with app.override({dep: lambda: "block"}):
        async with app.resolve(dep) as value:
            assert value == "block"


async def test_override_makes_it_resolvable():
    async def dep(request: Request): ...

    app = Lamella()
    app.dependency_overrides[dep] = lambda: "other"
    async with app.resolve(dep) as value:
        assert value == "other"


@pytest.mark.parametrize("annotation", [int, Request, Annotated[str, Header()]])
@pytest.mark.parametrize("deep", [False, True])
async def test_resolve_of_what_needs_a_request(annotation, deep):
    async def dep(x: int): ...

    dep.__annotations__["x"] = annotation

    async def outer(a: Annotated[Any, Depends(dep)]): ...

    with pytest.raises(DependencyError) as caught:
        async with Lamella().resolve(outer if deep else dep):
            raise AssertionError
    text = str(caught.value)
    assert "'x'" in text
    assert f"test_shared.py:{dep.__code__.co_firstlineno}" in text
    assert len(text.splitlines()) <= 6


async def test_default_makes_it_resolvable():
    """What has a default is not needed."""

    async def dep(limit: int = 3):
        return limit

    async with Lamella().resolve(dep) as value:
        assert value == 3


async def test_plain_router_mounted_in_a_plain_router():
    log: list[str] = []
    deepest = APIRouter()
    route(deepest, "/", traced(log, "pool"))
    app = Lamella(routes=[Mount("/a", Router(routes=[Mount("/b", deepest)]))])
    await live(app)
    assert log == ["pool made", "pool closed"]
