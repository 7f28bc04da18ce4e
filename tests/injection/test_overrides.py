"""Other functions in the place of dependencies."""

from typing import Annotated, Any

import anyio
import msgspec
import pytest

from lamella.applications import Lamella
from lamella.exceptions import DependencyError, HTTPException
from lamella.params import Depends, Header, Security, SecurityScopes
from lamella.routing import APIRouter, Mount
from lamella.testclient import TestClient
from tests.loops import gather
from tests.parity.drive import live, request

pytestmark = pytest.mark.anyio


async def dep(q: str = "own"):
    return q


async def other():
    return "other"


class Holder:
    """An object with hashable methods."""

    def dep(self):
        return "own"


async def endpoint(value: Annotated[Any, Depends(dep)]) -> Any:
    return value


def app_of(call: Any = endpoint, **options: Any) -> Lamella:
    app = Lamella()
    app.add_api_route("/", call, methods=["GET"], **options)
    return app


async def value_of(app: Any, path: str = "/", **options: Any) -> Any:
    reply = await request(app, path, **options)
    assert reply.error is None
    assert reply.status == 200, reply.text
    return msgspec.json.decode(reply.body)


# -- the dictionary of the application -------------------------------------------------------------


async def test_override_takes_the_place_of_a_dependency():
    app = app_of()
    app.dependency_overrides[dep] = other
    assert await value_of(app) == "other"


async def test_override_after_the_first_request_and_its_end():
    app = app_of()
    assert await value_of(app) == "own"
    app.dependency_overrides[dep] = other
    assert await value_of(app) == "other"
    app.dependency_overrides[dep] = lambda: "third"
    assert await value_of(app) == "third"
    del app.dependency_overrides[dep]
    assert await value_of(app) == "own"


@pytest.mark.parametrize("nothing", [None, {}])
async def test_dictionary_may_be_replaced_by_nothing(nothing):
    app = app_of()
    app.dependency_overrides = {dep: other}
    assert await value_of(app) == "other"
    app.dependency_overrides = nothing
    assert await value_of(app) == "own"


async def test_override_has_parameters_and_dependencies_of_its_own():
    async def sub(x_word: Annotated[str, Header()]):
        return x_word

    async def override(number: int, word: Annotated[str, Depends(sub)]):
        return [number, word]

    app = app_of()
    app.dependency_overrides[dep] = override
    assert await value_of(app, query=b"number=3", headers=[("x-word", "w")]) == [3, "w"]
    reply = await request(app)
    assert reply.status == 422
    locs = [error["loc"] for error in msgspec.json.decode(reply.body)["detail"]]
    assert sorted(locs) == [["header", "x-word"], ["query", "number"]]


async def test_parameters_of_what_is_overridden_are_not_read():
    async def needs(number: int): ...

    async def call(value: Annotated[Any, Depends(needs)]) -> Any:
        return value

    app = app_of(call)
    app.dependency_overrides[needs] = other
    assert await value_of(app) == "other"


async def test_dependency_of_an_override_may_be_overridden():
    async def override(value: Annotated[Any, Depends(other)]):
        return ["override", value]

    app = app_of()
    app.dependency_overrides.update({dep: override, other: lambda: "last"})
    assert await value_of(app) == ["override", "last"]


async def test_override_may_ask_for_what_it_stands_in_for():
    """To add to it; all others get the override."""

    async def override(value: Annotated[str, Depends(dep)]):
        return f"not {value}"

    async def sub(value: Annotated[str, Depends(dep)]):
        return value

    async def call(
        a: Annotated[str, Depends(dep)],
        b: Annotated[str, Depends(sub)],
        c: Annotated[str, Depends(dep)],
    ) -> Any:
        return [a, b, c]

    app = app_of(call)
    app.dependency_overrides[dep] = override
    assert await value_of(app) == ["not own"] * 3


async def test_overrides_that_ask_for_each_other_end():
    async def one(value: Annotated[Any, Depends(other)]):
        return ["one", value]

    async def two(value: Annotated[Any, Depends(dep)]):
        return ["two", value]

    app = app_of()
    app.dependency_overrides.update({dep: one, other: two})
    assert await value_of(app) == ["one", ["two", "own"]]


async def test_sub_dependency_is_overridden():
    async def outer(value: Annotated[Any, Depends(dep)]):
        return ["outer", value]

    async def call(value: Annotated[Any, Depends(outer)]) -> Any:
        return value

    app = app_of(call)
    app.dependency_overrides[dep] = other
    assert await value_of(app) == ["outer", "other"]


async def test_effect_is_overridden():
    async def refuses():
        raise HTTPException(401)

    app = app_of(dependencies=[Depends(refuses)])
    assert (await request(app)).status == 401
    app.dependency_overrides[refuses] = lambda: None
    assert await value_of(app) == "own"


@pytest.mark.parametrize("to", ["function", "generator"])
async def test_generator_and_function_stand_in_for_each_other(to):
    log = []

    async def generator():
        yield "generator"
        log.append("left")

    async def function():
        return "function"

    own, instead = (generator, function) if to == "function" else (function, generator)

    async def call(value: Annotated[Any, Depends(own)]) -> Any:
        return value

    app = app_of(call)
    app.dependency_overrides[own] = instead
    assert await value_of(app) == to
    assert log == (["left"] if to == "generator" else [])


async def test_override_keeps_the_scope_of_the_exit():
    log = []

    async def own():
        yield "own"

    async def instead():
        yield "instead"
        log.append("left")

    async def call(value: Annotated[Any, Depends(own, scope="function")]) -> Any:
        return value

    async def looks(request, call_next):
        response = await call_next(request)
        log.append("layer")
        return response

    app = app_of(call)
    app.add_middleware(looks)
    app.dependency_overrides[own] = instead
    await value_of(app)
    assert log == ["left", "layer"]


async def test_override_of_an_inline_dependency_by_an_async_one():
    def own():
        return "own"

    async def call(value: Annotated[Any, Depends(own, inline=True)]) -> Any:
        return value

    app = app_of(call)
    app.dependency_overrides[own] = other
    assert await value_of(app) == "other"


async def test_override_is_cached_as_what_it_stands_in_for():
    calls = []

    async def counts():
        calls.append(1)
        return len(calls)

    async def call(
        a: Annotated[int, Depends(dep)],
        b: Annotated[int, Depends(dep)],
        c: Annotated[int, Depends(dep, use_cache=False)],
    ) -> Any:
        return [a, b, c]

    app = app_of(call)
    app.dependency_overrides[dep] = counts
    assert await value_of(app) == [1, 1, 2]


async def test_override_is_given_the_scopes_of_oauth2():
    async def instead(scopes: SecurityScopes):
        return scopes.scopes

    async def call(a: Annotated[Any, Security(dep, scopes=["x"])]) -> Any:
        return a

    app = app_of(call)
    app.dependency_overrides[dep] = instead
    assert await value_of(app) == ["x"]


async def test_methods_and_instances_are_overridden():
    holder = Holder()

    async def call(value: Annotated[Any, Depends(holder.dep)]) -> Any:
        return value

    app = app_of(call)
    app.dependency_overrides[holder.dep] = other
    assert await value_of(app) == "other"


async def test_dependency_that_has_no_hash():
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self):
            return "odd"

    async def call(value: Annotated[Any, Depends(Odd())], b: Annotated[Any, Depends(dep)]) -> Any:
        return [value, b]

    app = app_of(call)
    assert await value_of(app) == ["odd", "own"]
    app.dependency_overrides[dep] = other
    assert await value_of(app) == ["odd", "other"]


async def test_override_that_has_no_hash():
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self):
            return "odd"

    app = app_of()
    app.dependency_overrides[dep] = Odd()
    assert await value_of(app) == "odd"


async def test_override_reaches_included_routers():
    router = APIRouter(prefix="/r")
    router.add_api_route("/", endpoint)
    app = Lamella()
    app.include_router(router)
    app.dependency_overrides[dep] = other
    assert await value_of(app, "/r/") == "other"


async def test_override_is_of_the_application_whose_route_it_is():
    """As with Starlette's `request.app`: a mounted application has its own."""
    inner = app_of()
    app = Lamella(routes=[Mount("/inner", inner)])
    app.dependency_overrides[dep] = lambda: "outer"
    assert await value_of(app, "/inner/") == "own"
    inner.dependency_overrides[dep] = other
    assert await value_of(app, "/inner/") == "other"


async def test_override_that_cannot_be_filled_is_told():
    async def instead(q: int, /): ...

    app = app_of()
    app.dependency_overrides[dep] = instead
    reply = await request(app)
    assert isinstance(reply.error, DependencyError)
    assert "test_overrides.py:" in str(reply.error)


async def test_plans_of_overrides_do_not_pile_up():
    """A test suite sets a new lambda for each of its tests."""
    app = app_of()
    for index in range(200):
        app.dependency_overrides[dep] = lambda index=index: index  # type: ignore[misc]
        await request(app)
    assert len(app.routes[0].typed_endpoint._overridden) <= 100


# -- the block -------------------------------------------------------------------------------------


async def test_block_overrides_and_ends():
    app = app_of()
    with app.override({dep: other}):
        assert await value_of(app) == "other"
    assert await value_of(app) == "own"


async def test_blocks_nest():
    app = app_of()
    app.dependency_overrides[dep] = lambda: "declared"
    with app.override({dep: other}):
        with app.override({dep: lambda: "inner"}):
            assert await value_of(app) == "inner"
        assert await value_of(app) == "other"
    assert await value_of(app) == "declared"


async def test_block_ends_with_an_error():
    app = app_of()
    with pytest.raises(LookupError), app.override({dep: other}):
        raise LookupError
    assert await value_of(app) == "own"


async def test_block_is_of_one_application():
    first, second = app_of(), app_of()
    with first.override({dep: other}):
        assert await value_of(second) == "own"
        with second.override({dep: lambda: "second"}):
            assert [await value_of(first), await value_of(second)] == ["other", "second"]


async def test_tasks_at_once_see_their_own():
    app = app_of()
    inside, checked = anyio.Event(), anyio.Event()

    async def overrides(name: str) -> Any:
        with app.override({dep: lambda: name}):
            inside.set()
            await checked.wait()
            return await value_of(app)

    async def does_not() -> Any:
        await inside.wait()
        try:
            return await value_of(app)
        finally:
            checked.set()

    found = await gather(overrides("a"), overrides("b"), does_not(), timeout=5)
    assert found == ["a", "b", "own"]


async def test_tasks_that_the_block_starts_see_it():
    app = app_of()
    found = []

    async def run():
        found.append(await value_of(app))

    with app.override({dep: other}):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
    assert found == ["other"]


def test_block_around_a_test_client():
    app = app_of()
    client = TestClient(app)
    with app.override({dep: other}):
        assert client.get("/").json() == "other"
    assert client.get("/").json() == "own"


def test_block_within_a_test_client_that_is_entered():
    """Its application runs in another thread, which was started before the block."""
    app = app_of()
    with TestClient(app) as client:
        with app.override({dep: other}):
            assert client.get("/").json() == "other"
        assert client.get("/").json() == "own"


# -- of the scope "app" ----------------------------------------------------------------------------


def pooled() -> tuple[Any, list[str], Lamella]:
    log: list[str] = []

    async def pool():
        log.append("made")
        yield "pool"
        log.append("closed")

    async def call(value: Annotated[Any, Depends(pool, scope="app")]) -> Any:
        return value

    return pool, log, app_of(call)


async def test_override_of_scope_app_is_made_in_the_lifespan():
    pool, log, app = pooled()

    async def instead():
        log.append("instead made")
        yield "instead"
        log.append("instead closed")

    app.dependency_overrides[pool] = instead
    values = []

    async def during(scope):
        assert log == ["instead made"]
        values.append(await value_of(app))

    reply = await live(app, during)
    assert reply.error is None
    assert values == ["instead"]
    assert log == ["instead made", "instead closed"]


async def test_override_of_scope_app_in_a_block():
    pool, log, app = pooled()
    values = []

    async def during(scope):
        values.append(await value_of(app))
        with app.override({pool: lambda: "instead"}):
            values.append(await value_of(app))
        values.append(await value_of(app))

    await live(app, during)
    assert values == ["pool", "instead", "pool"]
    assert log == ["made", "closed"]


async def test_dependency_of_scope_app_that_another_depends_on_is_overridden():
    async def settings():
        return "own"

    async def pool(value: Annotated[Any, Depends(settings, scope="app")]):
        return ["pool", value]

    async def call(value: Annotated[Any, Depends(pool, scope="app")]) -> Any:
        return value

    app = app_of(call)
    app.dependency_overrides[settings] = other
    assert await value_of(app) == ["pool", "other"]


async def test_override_of_scope_app_may_not_need_a_request():
    pool, _, app = pooled()

    def instead(q: int): ...

    app.dependency_overrides[pool] = instead
    reply = await request(app, query=b"q=1")
    assert isinstance(reply.error, DependencyError)
    assert "test_overrides.py:" in str(reply.error)
