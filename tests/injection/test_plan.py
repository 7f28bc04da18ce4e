"""Plans: which calls a request of a route makes, in which order, found out when it is built."""

import inspect
from typing import Annotated, Any

import msgspec
import pytest

from lamella.applications import Lamella
from lamella.background import BackgroundTasks
from lamella.exceptions import DependencyError
from lamella.injection.plan import Plan, compile_plan
from lamella.injection.signature import read_provider
from lamella.params import Body, Depends, Form, Header, Query, Security, SecurityScopes
from lamella.requests import HTTPConnection, Request
from lamella.responses import Response
from lamella.websockets import WebSocket
from tests.parity.drive import answer


class Item(msgspec.Struct):
    name: str


def plan_of(endpoint: Any, **options: Any) -> Plan:
    return compile_plan(read_provider(endpoint), **options)


def names(plan: Plan) -> list[str]:
    return [call.call.__name__ for call in plan.calls]


def first(): ...
def second(x: Annotated[int, Depends(first)]): ...


async def third(x: Annotated[int, Depends(second)], y: Annotated[int, Depends(first)]): ...


def test_dependencies_come_before_who_needs_them_and_once():
    def endpoint(a: Annotated[int, Depends(third)], b: Annotated[int, Depends(first)]): ...

    plan = plan_of(endpoint)
    assert names(plan) == ["first", "second", "third", "endpoint"]
    assert [call.slot for call in plan.calls] == [0, 1, 2, 3]
    assert plan.size == 4
    assert plan.endpoint is plan.calls[-1]
    assert plan.endpoint.dependencies == (("a", 2), ("b", 0))


def test_use_cache_false_has_a_slot_of_its_own():
    def endpoint(
        a: Annotated[int, Depends(first)],
        b: Annotated[int, Depends(first, use_cache=False)],
        c: Annotated[int, Depends(first)],
    ): ...

    plan = plan_of(endpoint)
    assert names(plan) == ["first", "first", "endpoint"]
    assert plan.endpoint.dependencies == (("a", 0), ("b", 1), ("c", 0))


def test_same_function_in_two_scopes_has_two_exits():
    def session():
        yield

    def endpoint(
        a: Annotated[int, Depends(session)],
        b: Annotated[int, Depends(session, scope="function")],
        c: Annotated[int, Depends(session, scope="request")],
    ): ...

    plan = plan_of(endpoint)
    assert [call.scope for call in plan.calls] == ["request", "function", None]
    assert plan.endpoint.dependencies == (("a", 0), ("b", 1), ("c", 0))


def test_scopes_of_oauth2_matter_only_where_somebody_looks():
    def plain(): ...
    def looks(scopes: SecurityScopes): ...
    def above(a: Annotated[int, Depends(looks)], b: Annotated[int, Depends(plain)]): ...

    def endpoint(
        a: Annotated[int, Security(above, scopes=["x"])],
        b: Annotated[int, Security(above, scopes=["y"])],
        c: Annotated[int, Security(above, scopes=["x"])],
    ): ...

    assert names(plan_of(endpoint)) == ["looks", "plain", "above", "looks", "above", "endpoint"]


def test_how_each_is_called():
    async def coroutine(): ...
    def function(): ...
    def inlined(): ...
    async def async_generator():
        yield

    def generator():
        yield

    def pool(): ...

    def endpoint(
        a: Annotated[int, Depends(coroutine)],
        b: Annotated[int, Depends(function)],
        c: Annotated[int, Depends(inlined, inline=True)],
        d: Annotated[int, Depends(async_generator)],
        e: Annotated[int, Depends(generator)],
        f: Annotated[int, Depends(pool, scope="app")],
    ): ...

    kinds = [call.kind for call in plan_of(endpoint).calls]
    assert kinds[:-1] == ["await", "thread", "inline", "enter", "enter", "app"]


def test_what_an_app_scope_depends_on_is_not_called_for_the_request():
    def settings(): ...
    def pool(x: Annotated[int, Depends(settings, scope="app")]): ...
    def endpoint(a: Annotated[int, Depends(pool, scope="app")]): ...

    assert names(plan_of(endpoint)) == ["pool", "endpoint"]


def test_quick_plan_has_no_dependencies_and_single_values():
    def values(request: Request, q: int, h: Annotated[str, Header()]): ...
    def with_body(item: Item): ...
    def with_dependency(a: Annotated[int, Depends(first)]): ...
    def with_list(q: Annotated[list[int], Query()]): ...
    def with_form(a: Annotated[str, Form()]): ...
    def with_members(a: Annotated[str, Body()], b: Annotated[str, Body()]): ...
    def with_tasks(tasks: BackgroundTasks): ...
    def with_response(response: Response): ...
    def with_scopes(scopes: SecurityScopes): ...

    assert plan_of(values).is_quick
    assert plan_of(with_body).is_quick
    others = with_dependency, with_list, with_form, with_members, with_tasks, with_response
    assert not any(plan_of(endpoint).is_quick for endpoint in (*others, with_scopes))


def test_one_body_is_all_of_it_and_two_are_members():
    def one(item: Item): ...
    def embedded(item: Annotated[Item, Body(embed=True)]): ...
    def two(item: Item, size: Annotated[int, Body()]): ...
    def scalar(size: Annotated[int, Body()]): ...

    assert [plan_of(each).body.embed for each in (one, embedded, two, scalar)] == [
        False,
        True,
        True,
        False,
    ]


def test_same_body_in_a_dependency_is_one():
    """As FastAPI 0.165: by its name."""

    def dep(item: Item): ...
    def endpoint(item: Item, a: Annotated[None, Depends(dep)]): ...

    assert not plan_of(endpoint).body.embed


def test_form_is_read_as_one():
    def endpoint(a: Annotated[str, Form()], b: Annotated[str, Form()]): ...

    assert plan_of(endpoint).body.form


def test_no_body_is_read_where_nobody_asks():
    def endpoint(q: int): ...

    assert plan_of(endpoint).body is None


def test_default_that_could_be_changed_is_made_anew():
    def endpoint(a: Annotated[list[str], Query()] = ["x"]): ...  # noqa: B006

    (read,) = plan_of(endpoint).endpoint.several
    first_made, second_made = read.make_default(), read.make_default()
    assert first_made == ["x"]
    assert first_made is not second_made


def test_effects_have_no_argument():
    def endpoint(): ...

    provider = read_provider(endpoint)
    effect = read_provider(first, depends=Depends(first))
    provider.dependencies.append(effect)
    plan = compile_plan(provider)
    assert plan.endpoint.dependencies == ()
    assert plan.endpoint.effects == (0,)


# -- what does not go together ---------------------------------------------------------------------


def checked(caught: pytest.ExceptionInfo[DependencyError], call: Any) -> str:
    text = str(caught.value)
    assert len(text.splitlines()) <= 6
    assert f"test_plan.py:{call.__code__.co_firstlineno}" in text
    return text


def test_websocket_in_a_route_for_requests():
    def endpoint(socket: WebSocket): ...

    with pytest.raises(DependencyError) as caught:
        plan_of(endpoint)
    assert "HTTPConnection" in checked(caught, endpoint)


def test_request_in_a_dependency_of_a_websocket():
    def dep(request: Request): ...
    async def endpoint(socket: WebSocket, a: Annotated[None, Depends(dep)]): ...

    with pytest.raises(DependencyError) as caught:
        plan_of(endpoint, is_websocket=True)
    assert "'request'" in checked(caught, dep)


def test_connection_and_optional_ones_go_with_both():
    def endpoint(
        conn: HTTPConnection, request: Request | None = None, socket: WebSocket | None = None
    ): ...

    assert dict(plan_of(endpoint).endpoint.specials) == {
        "conn": "connection",
        "request": "request",
    }
    assert dict(plan_of(endpoint, is_websocket=True).endpoint.specials) == {
        "conn": "connection",
        "socket": "websocket",
    }


def test_body_of_a_websocket():
    """A handshake has none."""

    async def endpoint(socket: WebSocket, item: Item): ...

    with pytest.raises(DependencyError) as caught:
        plan_of(endpoint, is_websocket=True)
    assert "'item'" in checked(caught, endpoint)


def test_plan_is_made_once_when_the_application_is_built(monkeypatch):
    """No signature is read during a request."""

    def dep(q: int):
        return q

    app = Lamella()

    @app.get("/{item_id}")
    def endpoint(item_id: int, a: Annotated[int, Depends(dep)]):
        return [item_id, a]

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a signature was read")

    app.middleware_stack = app.build_middleware_stack()
    monkeypatch.setattr(inspect, "signature", refuse)
    assert answer(app, "/3", query=b"q=4").body == b"[3,4]"
