"""Dependencies in an application: what may be one, how often it is called, and in which order."""

import functools
import inspect
import threading
from contextvars import ContextVar
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTasks
from lamella.exceptions import HTTPException, StackError
from lamella.params import Body, Depends, Header, Query, Security, SecurityScopes
from lamella.requests import HTTPConnection, Request
from lamella.responses import JSONResponse, Response
from lamella.routing import APIRouter, Mount
from tests.parity.drive import http_scope, request

pytestmark = pytest.mark.anyio

number: ContextVar[int] = ContextVar("number", default=0)


def app_of(endpoint: Any, path: str = "/", **options: Any) -> Lamella:
    app = Lamella()
    app.add_api_route(path, endpoint, methods=["GET", "POST"], **options)
    return app


async def value_of(app: Any, path: str = "/", **options: Any) -> Any:
    """The JSON that a request is answered with."""
    reply = await request(app, path, **options)
    assert reply.error is None
    assert reply.status == 200, reply.text
    return msgspec.json.decode(reply.body)


# -- what may be a dependency ----------------------------------------------------------------------


async def coroutine(q: int):
    return ["coroutine", q]


def function(q: int):
    return ["function", q]


async def async_generator(q: int):
    yield ["async generator", q]


def generator(q: int):
    yield ["generator", q]


class Reads:
    def __init__(self, q: int):
        self.q = q


class AsyncCall:
    async def __call__(self, q: int):
        return ["async call", q]


class SyncCall:
    def __call__(self, q: int):
        return ["sync call", q]


class AsyncGeneratorCall:
    async def __call__(self, q: int):
        yield ["async generator call", q]


class GeneratorCall:
    def __call__(self, q: int):
        yield ["generator call", q]


class Methods:
    def plain(self, q: int):
        return ["method", q]

    async def asynchronous(self, q: int):
        return ["async method", q]

    async def yields(self, q: int):
        yield ["generator method", q]


async def two(word: str, q: int):
    return [word, q]


def two_sync(word: str, q: int):
    yield [word, q]


def wraps(call: Any) -> Any:
    @functools.wraps(call)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (coroutine, "coroutine"),
        (function, "function"),
        (async_generator, "async generator"),
        (generator, "generator"),
        (AsyncCall(), "async call"),
        (SyncCall(), "sync call"),
        (AsyncGeneratorCall(), "async generator call"),
        (GeneratorCall(), "generator call"),
        (Methods().plain, "method"),
        (Methods().asynchronous, "async method"),
        (Methods().yields, "generator method"),
        (functools.partial(two, "partial"), "partial"),
        (functools.partial(two_sync, "sync partial"), "sync partial"),
        (functools.partial(SyncCall()), "sync call"),
        (lambda q: ["lambda", int(q)], "lambda"),
        (wraps(coroutine), "coroutine"),
        (wraps(function), "function"),
        (wraps(async_generator), "async generator"),
        (wraps(generator), "generator"),
    ],
)
async def test_whatever_can_be_called_is_a_dependency(call, word):
    async def endpoint(value: Annotated[Any, Depends(call)]) -> Any:
        return value

    assert await value_of(app_of(endpoint), query=b"q=3") == [word, 3]


async def test_class_is_a_dependency():
    async def endpoint(a: Annotated[Reads, Depends()], b: Annotated[Any, Depends(Reads)]) -> Any:
        return [a.q, a is b]

    assert await value_of(app_of(endpoint), query=b"q=3") == [3, True]


async def test_depends_as_a_default():
    async def endpoint(a: Any = Depends(function), b: Reads = Depends()) -> Any:  # noqa: B008
        return [a, b.q]

    assert await value_of(app_of(endpoint), query=b"q=3") == [["function", 3], 3]


async def test_sync_endpoint_has_dependencies():
    def endpoint(a: Annotated[Any, Depends(coroutine)]) -> Any:
        return a

    assert await value_of(app_of(endpoint), query=b"q=3") == ["coroutine", 3]


async def test_value_of_a_dependency_is_given_as_it_is():
    """None, false ones, and objects that no type checks."""
    odd = object()
    got = []

    async def endpoint(
        a: Annotated[int, Depends(lambda: None)],
        b: Annotated[int, Depends(lambda: odd)],
        c: Annotated[int, Depends(lambda: 0)],
    ) -> Any:
        got.extend([a, b, c])

    await value_of(app_of(endpoint))
    assert got == [None, odd, 0]


# -- sub-dependencies, and how often ---------------------------------------------------------------


async def test_dependency_is_called_once_a_request():
    calls = []

    async def shared():
        calls.append("shared")
        return len(calls)

    async def left(a: Annotated[int, Depends(shared)]):
        return a

    async def right(a: Annotated[int, Depends(shared)]):
        return a

    async def endpoint(
        a: Annotated[int, Depends(left)],
        b: Annotated[int, Depends(right)],
        c: Annotated[int, Depends(shared)],
    ) -> Any:
        return [a, b, c]

    app = app_of(endpoint, dependencies=[Depends(shared)])
    assert await value_of(app) == [1, 1, 1]
    assert await value_of(app) == [2, 2, 2]


async def test_use_cache_false_calls_it_anew():
    calls = []

    async def shared():
        calls.append(1)
        return len(calls)

    async def endpoint(
        a: Annotated[int, Depends(shared)],
        b: Annotated[int, Depends(shared, use_cache=False)],
        c: Annotated[int, Depends(shared)],
    ) -> Any:
        return [a, b, c]

    assert await value_of(app_of(endpoint)) == [1, 2, 1]


async def test_parameter_of_endpoint_and_dependency_is_read_for_both():
    async def dep(q: int):
        return q

    async def endpoint(q: str, a: Annotated[int, Depends(dep)]) -> Any:
        return [q, a]

    assert await value_of(app_of(endpoint), query=b"q=3") == ["3", 3]


async def test_dependency_reads_the_path():
    async def dep(item_id: int):
        return item_id

    async def endpoint(a: Annotated[int, Depends(dep)]) -> Any:
        return a

    assert await value_of(app_of(endpoint, "/{item_id}"), "/7") == 7


async def test_dependency_reads_headers_and_the_body():
    async def dep(x_token: Annotated[str, Header()], size: Annotated[int, Body(embed=True)]):
        return [x_token, size]

    async def endpoint(a: Annotated[Any, Depends(dep)]) -> Any:
        return a

    reply = await request(
        app_of(endpoint),
        method="POST",
        body=b'{"size":4}',
        headers=[("x-token", "t"), ("content-type", "application/json")],
    )
    assert reply.body == b'["t",4]'


async def test_bodies_of_endpoint_and_dependency_are_members_of_one_object():
    async def dep(a: Annotated[int, Body()]):
        return a

    async def endpoint(b: Annotated[int, Body()], a: Annotated[int, Depends(dep)]) -> Any:
        return [a, b]

    reply = await request(
        app_of(endpoint),
        method="POST",
        body=b'{"a":1,"b":2}',
        headers=[("content-type", "application/json")],
    )
    assert reply.body == b"[1,2]"


async def test_request_response_and_tasks_are_one_for_all():
    got = []

    async def dep(
        request: Request, conn: HTTPConnection, response: Response, tasks: BackgroundTasks
    ):
        response.headers["x-dep"] = "1"
        response.set_cookie("dep", "c")
        return request, conn, response, tasks

    async def endpoint(
        a: Annotated[Any, Depends(dep)],
        request: Request,
        response: Response,
        tasks: BackgroundTasks,
    ) -> Any:
        got.extend([a[0] is request, a[1] is request, a[2] is response, a[3] is tasks])
        response.status_code = 201

    reply = await request(app_of(endpoint))
    assert got == [True] * 4
    assert reply.status == 201
    assert reply.headers["x-dep"] == "1"
    assert reply.headers["set-cookie"].startswith("dep=c")


async def test_status_of_a_dependency_is_overruled_by_none():
    """The status that the route declares is the default, not the last word."""

    async def dep(response: Response):
        response.status_code = 202

    async def endpoint(a: Annotated[None, Depends(dep)]) -> Any:
        return 1

    assert (await request(app_of(endpoint, status_code=201))).status == 202


# -- in which order --------------------------------------------------------------------------------


def noting(log: list[str], name: str, *before: Any) -> Any:
    """A dependency that depends on others and notes its call."""

    async def call(**kwargs: Any):
        log.append(name)
        return name

    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(f"p{index}", inspect.Parameter.KEYWORD_ONLY, default=Depends(one))
            for index, one in enumerate(before)
        ]
    )
    return call


async def test_order_of_calls():
    """From the application inwards, in the order of the lists; then in that of the parameters."""
    log: list[str] = []
    first, second = noting(log, "first"), noting(log, "second")
    endpoint_dep = noting(log, "of the endpoint", first)
    app = Lamella(dependencies=[Depends(noting(log, "app"))])
    inner = APIRouter(dependencies=[Depends(noting(log, "router"))])

    @inner.get("/", dependencies=[Depends(noting(log, "route 1")), Depends(noting(log, "route 2"))])
    async def endpoint(
        a: Annotated[Any, Depends(endpoint_dep)], b: Annotated[Any, Depends(second)]
    ):
        log.append("endpoint")

    outer = APIRouter(dependencies=[Depends(noting(log, "outer router"))])
    outer.include_router(inner, dependencies=[Depends(noting(log, "include"))])
    app.include_router(outer, prefix="/x", dependencies=[Depends(noting(log, "app's include"))])
    await value_of(app, "/x/")
    assert log == [
        "app",
        "app's include",
        "outer router",
        "include",
        "router",
        "route 1",
        "route 2",
        "first",
        "of the endpoint",
        "second",
        "endpoint",
    ]


async def test_dependencies_of_the_application_are_for_all_its_typed_routes():
    log: list[str] = []
    app = Lamella(dependencies=[Depends(noting(log, "app"))])

    @app.get("/a")
    async def endpoint(): ...

    await value_of(app, "/a")
    assert log == ["app"]


async def test_dependencies_of_the_application_are_not_for_its_pages():
    app = Lamella(dependencies=[Depends(noting([], "app"))])

    @app.get("/a")
    async def endpoint(): ...

    def refuse():
        raise HTTPException(401)

    app.dependency_overrides[app.router.dependencies[0].dependency] = refuse
    assert (await request(app, "/a")).status == 401
    assert (await request(app, "/openapi.json")).status == 200


async def test_effect_that_is_also_wanted_as_a_value_is_made_once():
    calls = []

    async def dep():
        calls.append(1)
        return 7

    async def endpoint(a: Annotated[int, Depends(dep)]) -> Any:
        return a

    assert await value_of(app_of(endpoint, dependencies=[Depends(dep)])) == 7
    assert calls == [1]


async def test_dependency_that_raises_ends_the_request():
    called = []

    async def refuses():
        raise HTTPException(401, "no")

    async def later():
        called.append("later")

    async def endpoint(a: Annotated[None, Depends(refuses)], b: Annotated[None, Depends(later)]):
        called.append("endpoint")

    reply = await request(app_of(endpoint))
    assert (reply.status, called) == (401, [])


async def test_all_that_does_not_fit_is_told_at_once():
    called = []

    async def first(a: int):
        called.append("first")

    async def second(b: int):
        called.append("second")

    async def needs_first(x: Annotated[None, Depends(first)], c: int):
        called.append("needs first")

    async def endpoint(
        x: Annotated[None, Depends(needs_first)], y: Annotated[None, Depends(second)], d: int
    ):
        called.append("endpoint")

    reply = await request(app_of(endpoint), query=b"a=x&b=1")
    assert reply.status == 422
    detail = msgspec.json.decode(reply.body)["detail"]
    assert [(one["loc"], one["type"]) for one in detail] == [
        (["query", "a"], "int_parsing"),
        (["query", "c"], "missing"),
        (["query", "d"], "missing"),
    ]
    assert called == ["second"]


async def test_body_is_not_read_before_a_dependency_refuses():
    """Whoever must not come in is refused before a large body is taken in."""
    received = []

    async def refuses():
        raise HTTPException(401)

    async def endpoint(item: dict[str, int], a: Annotated[None, Depends(refuses)]): ...

    app = app_of(endpoint)
    sent = []

    async def receive():
        received.append(1)
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(http_scope(method="POST"), receive, send)
    assert sent[0]["status"] == 401
    assert received == []


# -- threads and ContextVars -----------------------------------------------------------------------


async def test_sync_dependency_runs_in_another_thread():
    def ident():
        return threading.get_ident()

    async def own(a: Annotated[int, Depends(ident)]) -> Any:
        return a == threading.get_ident()

    assert await value_of(app_of(own)) is False


async def test_inline_dependency_runs_in_the_thread_of_the_loop():
    def ident():
        return threading.get_ident()

    async def endpoint(a: Annotated[int, Depends(ident, inline=True)]) -> Any:
        return a == threading.get_ident()

    assert await value_of(app_of(endpoint)) is True


async def test_struct_is_made_without_a_thread():
    """It only keeps its arguments; a thread would cost more than all the rest."""
    threads = []

    class Filters(msgspec.Struct):
        q: int = 1
        r: str = "r"

        def __post_init__(self):
            threads.append(threading.get_ident())

    async def endpoint(a: Annotated[Filters, Depends()]) -> Any:
        return [a.q, a.r]

    assert await value_of(app_of(endpoint), query=b"q=4") == [4, "r"]


@pytest.mark.parametrize("inline", [False, True])
async def test_variable_that_a_sync_dependency_sets_is_seen(inline):
    def sets():
        number.set(4)

    async def later():
        return number.get()

    async def endpoint(
        a: Annotated[None, Depends(sets, inline=inline)], b: Annotated[int, Depends(later)]
    ) -> Any:
        return [b, number.get()]

    assert await value_of(app_of(endpoint)) == [4, 4]


async def test_variable_that_a_sync_generator_sets_is_seen():
    def sets():
        number.set(4)
        yield

    def endpoint(a: Annotated[None, Depends(sets)]) -> Any:
        return number.get()

    assert await value_of(app_of(endpoint)) == 4


async def test_requests_at_once_do_not_mix():
    arrived, go = [], anyio.Event()

    async def dep(q: int):
        arrived.append(q)
        if len(arrived) == 10:
            go.set()
        await go.wait()
        return q

    async def endpoint(q: int, a: Annotated[int, Depends(dep)]) -> Any:
        return [q, a]

    app = app_of(endpoint)
    got = {}

    async def run(index):
        got[index] = await value_of(app, query=f"q={index}".encode())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for index in range(10):
                group.start_soon(run, index)
    assert got == {index: [index, index] for index in range(10)}


# -- scopes of OAuth2 ------------------------------------------------------------------------------


async def test_security_scopes_gather_along_the_way():
    async def user(scopes: SecurityScopes):
        return scopes.scopes

    async def active(a: Annotated[list[str], Security(user, scopes=["me"])]):
        return a

    async def endpoint(a: Annotated[Any, Security(active, scopes=["items"])]) -> Any:
        return a

    assert await value_of(app_of(endpoint)) == ["items", "me"]


async def test_same_dependency_with_other_scopes_is_called_anew():
    """It has another answer then; the same scopes in another order are the same."""
    calls = []

    async def user(scopes: SecurityScopes):
        calls.append(scopes.scope_str)
        return scopes.scope_str

    async def endpoint(
        a: Annotated[str, Security(user, scopes=["x"])],
        b: Annotated[str, Security(user, scopes=["y"])],
        c: Annotated[str, Security(user, scopes=["x"])],
    ) -> Any:
        return [a, b, c]

    assert await value_of(app_of(endpoint)) == ["x", "y", "x"]
    assert calls == ["x", "y"]


async def test_endpoint_may_ask_for_the_scopes():
    async def endpoint(scopes: SecurityScopes) -> Any:
        return scopes.scopes

    assert await value_of(app_of(endpoint)) == []


# -- mistakes, when the route is added -------------------------------------------------------------


def test_dependencies_that_are_no_depends():
    def call(): ...

    def endpoint(): ...

    with pytest.raises(StackError, match=r"write Depends\(call\)") as caught:
        app_of(endpoint, dependencies=[call])
    assert "test_dependencies.py:" in str(caught.value)


def test_parameter_of_the_path_that_the_function_lacks():
    async def endpoint(other: int): ...

    with pytest.raises(StackError) as caught:
        Lamella().get("/items/{item_id}")(endpoint)
    text = str(caught.value)
    assert "'item_id'" in text
    assert f"test_dependencies.py:{endpoint.__code__.co_firstlineno}" in text
    assert "item_id: str" in text
    assert len(text.splitlines()) <= 6


async def test_parameter_of_a_prefix_need_not_be_taken():
    """It is there for other routes of the router."""
    router = APIRouter(prefix="/{tenant}")

    @router.get("/x")
    async def endpoint():
        return 1

    app = Lamella()
    app.include_router(router, prefix="/{region}")
    assert await value_of(app, "/eu/me/x") == 1


def test_parameter_of_the_path_that_a_dependency_takes():
    async def dep(item_id: int): ...
    async def endpoint(a: Annotated[None, Depends(dep)]): ...

    Lamella().get("/items/{item_id}")(endpoint)


def test_parameter_of_the_path_that_the_request_has():
    async def endpoint(request: Request): ...

    Lamella().get("/items/{item_id}")(endpoint)


def test_mistakes_are_found_when_the_route_is_added():
    def endpoint(q: Annotated[int, Query(3)]): ...

    with pytest.raises(StackError):
        Lamella().get("/")(endpoint)


async def test_dependencies_below_a_mount():
    async def dep(q: int):
        return q

    async def endpoint(a: Annotated[int, Depends(dep)]) -> Any:
        return a

    app = Lamella(routes=[Mount("/inner", app_of(endpoint))])
    assert await value_of(app, "/inner/", query=b"q=2") == 2


async def test_router_without_an_application_serves():
    router = APIRouter()

    @router.get("/")
    async def endpoint(a: Annotated[Any, Depends(function)]):
        return JSONResponse(a)

    assert await value_of(router, query=b"q=1") == ["function", 1]


# -- how many at once ------------------------------------------------------------------------------


def limited_kinds(running: list[int], most: list[int], gate: anyio.Event) -> dict[str, Any]:
    """Dependencies that note how many of them there are, and wait for a gate."""

    def enter() -> None:
        running[0] += 1
        most.append(running[0])

    async def coroutine() -> None:
        enter()
        await gate.wait()
        running[0] -= 1

    async def generator():
        enter()
        await gate.wait()
        yield
        running[0] -= 1

    return {"coroutine": coroutine, "generator": generator}


@pytest.mark.parametrize("kind", ["coroutine", "generator"])
async def test_no_more_of_it_at_once_than_allowed(kind):
    """The others wait, and come when one is behind its `yield`."""
    running, most, gate = [0], [], anyio.Event()
    depends = Depends(limited_kinds(running, most, gate)[kind], max_concurrency=2)

    async def endpoint(value: Annotated[None, depends]) -> int:
        return 1

    app = app_of(endpoint)
    answers = []

    async def ask() -> None:
        answers.append(await value_of(app))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
        while len(most) < 2:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        assert [1, 2] == most
        gate.set()
    assert ([1] * 5, 2, 0) == (answers, max(most), running[0])


def test_limit_below_one_is_refused():
    with pytest.raises(StackError, match="max_concurrency to be 1 or more, got 0"):
        Depends(function, max_concurrency=0)


async def test_exit_of_a_sync_generator_needs_no_thread_of_the_pool():
    """All of them may be waiting for what it gives back."""
    limiter = anyio.to_thread.current_default_thread_limiter()
    log = []

    def dependency():
        yield
        log.append("exit")

    async def endpoint(value: Annotated[None, Depends(dependency, scope="function")]) -> int:
        limiter.total_tokens, before = 1, limiter.total_tokens
        await limiter.acquire_on_behalf_of(limiter)
        log.append(before)
        return 1

    assert 1 == await value_of(app_of(endpoint))
    limiter.release_on_behalf_of(limiter)
    before, *rest = log
    limiter.total_tokens = before
    assert ["exit"] == rest
