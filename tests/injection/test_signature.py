"""Reading signatures: what functions ask for, and what is said of those that cannot be filled."""

import functools
from dataclasses import dataclass
from typing import Annotated, Any, NewType, Optional

import msgspec
import pytest

from lamella._connection import HTTPConnection
from lamella.background import BackgroundTasks
from lamella.exceptions import DependencyError, StackError
from lamella.injection import provider as told
from lamella.injection.signature import read_provider, wish_for
from lamella.params import (
    REQUIRED,
    Body,
    Cookie,
    Depends,
    Header,
    Path,
    Query,
    Security,
    SecurityScopes,
)
from lamella.requests import Request
from lamella.responses import JSONResponse, Response
from lamella.websockets import WebSocket

LINES = 6


class Item(msgspec.Struct):
    name: str


class Engine:
    """A type that no request can be read into."""


def named(provider: told.Provider) -> dict[str, str]:
    """Where each parameter comes from."""
    return {one.name: one.info.source for one in provider.parameters}


def refused(call: Any, path_names: Any = (), **options: Any) -> str:
    """The text of the error, of which it holds that it is short and names the function."""
    with pytest.raises(DependencyError) as caught:
        read_provider(call, path_names, **options)
    return checked(str(caught.value), call)


def checked(text: str, call: Any) -> str:
    assert len(text.splitlines()) <= LINES
    assert f"test_signature.py:{call.__code__.co_firstlineno}" in text
    return text


# -- where a value comes from ----------------------------------------------------------------------


def test_source_follows_from_path_type_and_default():
    def endpoint(
        item_id: int,
        q: str,
        item: Item,
        tags: Annotated[list[str], Query()],
        x_token: Annotated[str, Header()],
        session: Annotated[str, Cookie()],
        size: Annotated[int, Body()],
        limit: int = 10,
    ): ...

    provider = read_provider(endpoint, ["item_id"])
    assert named(provider) == {
        "item_id": "path",
        "q": "query",
        "item": "body",
        "tags": "query",
        "x_token": "header",
        "session": "cookie",
        "size": "body",
        "limit": "query",
    }
    by_name = {one.name: one for one in provider.parameters}
    assert by_name["limit"].default == 10
    assert not by_name["limit"].required
    assert by_name["q"].required
    assert by_name["tags"].is_sequence
    assert by_name["x_token"].alias == "x-token"


def test_info_as_default_value():
    def endpoint(q: str = Query("none"), h: str = Header(default="h", convert_underscores=False)):
        return q, h

    first, second = read_provider(endpoint).parameters
    assert (first.info.source, first.default) == ("query", "none")
    assert (second.info.source, second.default) == ("header", "h")


def test_ellipsis_means_required():
    def endpoint(q: str = Query(...), r: Annotated[str, Query()] = ...):  # type: ignore[assignment]
        return q, r

    assert [one.default for one in read_provider(endpoint).parameters] == [REQUIRED, REQUIRED]


def test_parameter_infos_are_not_shared():
    """One ``Annotated`` alias serves many parameters, with a default of their own each."""
    Limit = Annotated[int, Query(gt=0)]

    def first(limit: Limit = 1): ...
    def second(limit: Limit = 2): ...
    def third(limit: Limit): ...

    defaults = [read_provider(one).parameters[0].info.default for one in (first, second, third)]
    assert defaults == [1, 2, REQUIRED]


def test_alias_and_validation_alias_name_the_value_in_the_request():
    def endpoint(
        a: Annotated[str, Query(alias="A")], b: Annotated[str, Query(validation_alias="B")]
    ): ...

    assert [one.alias for one in read_provider(endpoint).parameters] == ["A", "B"]


def test_specials_are_known_by_type():
    class MyRequest(Request): ...

    def endpoint(
        a: Request,
        b: MyRequest,
        c: WebSocket,
        d: HTTPConnection,
        e: Response,
        f: JSONResponse,
        g: BackgroundTasks,
        h: SecurityScopes,
        i: Optional[Request],  # noqa: UP045 - that spelling, too
        j: Annotated[Request, "any"],
    ): ...

    assert read_provider(endpoint).specials == {
        "a": "request",
        "b": "request",
        "c": "websocket",
        "d": "connection",
        "e": "response",
        "f": "response",
        "g": "background_tasks",
        "h": "security_scopes",
        "i": "request",
        "j": "request",
    }


def test_plain_endpoint_is_given_the_request():
    def endpoint(request): ...
    def session(websocket): ...

    assert read_provider(endpoint).specials == {"request": "request"}
    assert read_provider(session).specials == {"websocket": "websocket"}


def test_parameter_without_a_type_is_a_query_parameter():
    def endpoint(q, request): ...

    assert named(read_provider(endpoint)) == {"q": "query", "request": "query"}


def test_type_that_only_a_layer_gives_is_wanted():
    def endpoint(engine: Engine): ...

    assert read_provider(endpoint).wanted == {"engine": Engine}


def test_star_arguments_ask_for_nothing():
    def endpoint(q: str, *args: Any, **kwargs: Any): ...

    assert named(read_provider(endpoint)) == {"q": "query"}


def test_new_type_is_seen_through():
    UserId = NewType("UserId", int)

    def endpoint(user: UserId, other: Annotated[UserId, Query(gt=0)]): ...

    assert named(read_provider(endpoint)) == {"user": "query", "other": "query"}


# -- annotations that are text ---------------------------------------------------------------------


def test_annotations_written_as_text_are_evaluated():
    def endpoint(item: "Item", q: "Annotated[int, Query(gt=0)]"): ...

    provider = read_provider(endpoint)
    assert [one.type for one in provider.parameters] == [Item, int]


def test_text_annotation_may_name_what_is_local_to_the_definition():
    class Local(msgspec.Struct):
        name: str

    def endpoint(item: "Local"): ...

    assert read_provider(endpoint).parameters[0].type is Local


def test_text_annotation_of_a_class_and_of_an_instance():
    class Reads:
        def __init__(self, q: "int", item: "Item"): ...

        def __call__(self, r: "str"): ...

    assert [one.type for one in read_provider(Reads).parameters] == [int, Item]
    instance = Reads(1, Item("a"))
    assert [one.type for one in read_provider(instance).parameters] == [str]


def test_text_annotation_that_names_nothing_is_an_error():
    def endpoint(item: "Nowhere"): ...  # type: ignore[name-defined]  # noqa: F821

    text = refused(endpoint)
    assert "'Nowhere'" in text
    assert "TYPE_CHECKING" in text


# -- what may be called ----------------------------------------------------------------------------


async def coroutine(): ...


def function(): ...


async def async_generator():
    yield


def generator():
    yield


class WithInit:
    def __init__(self, q: int = 0): ...


class AsyncCall:
    async def __call__(self): ...


class SyncCall:
    def __call__(self): ...


class AsyncGeneratorCall:
    async def __call__(self):
        yield


class GeneratorCall:
    def __call__(self):
        yield


class Methods:
    def plain(self, q: int): ...

    async def asynchronous(self): ...

    @classmethod
    def of_class(cls, q: int): ...

    @staticmethod
    async def static(q: int):
        yield


@dataclass
class Keeps:
    q: int = 0


def wrapping(inner):
    @functools.wraps(inner)
    def call(*args, **kwargs):
        return inner(*args, **kwargs)

    return call


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (coroutine, "coroutine"),
        (function, "function"),
        (async_generator, "async generator"),
        (generator, "generator"),
        (WithInit, "function"),
        (AsyncCall(), "coroutine"),
        (SyncCall(), "function"),
        (AsyncGeneratorCall(), "async generator"),
        (GeneratorCall(), "generator"),
        (AsyncCall, "function"),
        (Methods().plain, "function"),
        (Methods().asynchronous, "coroutine"),
        (Methods.of_class, "function"),
        (Methods.static, "async generator"),
        (functools.partial(coroutine), "coroutine"),
        (functools.partial(functools.partial(generator)), "generator"),
        (functools.partial(AsyncCall()), "coroutine"),
        (Keeps, "inline"),
        (Item, "inline"),
        (lambda: 1, "function"),
        (wrapping(generator), "generator"),
        (wrapping(async_generator), "async generator"),
    ],
)
def test_kind_of_callable(call, kind):
    assert read_provider(call, depends=Depends(call)).kind == kind


def test_inline_is_for_sync_functions_alone():
    assert read_provider(function, depends=Depends(function, inline=True)).kind == "inline"
    assert read_provider(coroutine, depends=Depends(coroutine, inline=True)).kind == "coroutine"
    assert read_provider(generator, depends=Depends(generator, inline=True)).kind == "generator"


def test_partial_asks_only_for_what_it_was_not_given():
    def make(a: int, b: int): ...

    assert named(read_provider(functools.partial(make, b=2))) == {"a": "query", "b": "query"}
    assert named(read_provider(functools.partial(make, 1))) == {"b": "query"}


def test_bound_method_does_not_ask_for_self():
    assert named(read_provider(Methods().plain)) == {"q": "query"}
    assert named(read_provider(Methods.of_class)) == {"q": "query"}


def test_what_yields_has_the_scope_of_the_request():
    assert read_provider(generator, depends=Depends(generator)).scope == "request"
    assert read_provider(function, depends=Depends(function)).scope is None
    assert (
        read_provider(generator, depends=Depends(generator, scope="function")).scope == "function"
    )


# -- dependencies ----------------------------------------------------------------------------------


def test_bare_depends_takes_the_class_that_is_the_annotation():
    def endpoint(
        a: Annotated[WithInit, Depends()],
        b: WithInit = Depends(),  # noqa: B008
    ): ...

    assert [one.call for one in read_provider(endpoint).dependencies] == [WithInit, WithInit]


def test_depends_of_an_alias_is_not_filled_in():
    """One ``Depends()`` may stand in several annotations, each of another class."""
    depends = Depends()

    def endpoint(a: Annotated[WithInit, depends], b: Annotated[Keeps, depends]): ...

    assert [one.call for one in read_provider(endpoint).dependencies] == [WithInit, Keeps]
    assert depends.dependency is None


def test_scopes_of_oauth2_gather_from_the_outermost_inwards():
    def innermost(): ...
    def inner(a: Annotated[None, Security(innermost, scopes=["c", "a"])]): ...
    def endpoint(b: Annotated[None, Security(inner, scopes=["a", "b"])]): ...

    (first,) = read_provider(endpoint).dependencies
    assert (first.own_scopes, first.scopes) == (("a", "b"), ("a", "b"))
    (second,) = first.dependencies
    assert (second.own_scopes, second.scopes) == (("c", "a"), ("a", "b", "c"))


def test_flat_providers_has_dependencies_first():
    def a(): ...
    def b(x: Annotated[int, Depends(a)]): ...
    def endpoint(x: Annotated[int, Depends(b)], y: Annotated[int, Depends(a)]): ...

    calls = [one.call for one in told.flat_providers(read_provider(endpoint))]
    assert calls == [a, b, a, endpoint]


def test_flat_parameters_has_those_of_dependencies_first():
    def a(p: int): ...
    def endpoint(q: int, x: Annotated[int, Depends(a)]): ...

    assert [one.name for one in told.flat_parameters(read_provider(endpoint))] == ["p", "q"]


# -- mistakes --------------------------------------------------------------------------------------


def test_depends_of_no_callable():
    with pytest.raises(StackError, match="Expected a function, a class or a callable.*3"):
        Depends(3)  # type: ignore[arg-type]


def test_depends_of_an_unknown_scope():
    with pytest.raises(StackError, match="'function', 'request' or 'app', got 'session'"):
        Depends(function, scope="session")  # type: ignore[arg-type]


def test_bare_depends_without_a_class():
    def endpoint(a=Depends()): ...  # noqa: B008

    assert "Depends(function)" in refused(endpoint)


def test_text_as_scopes():
    with pytest.raises(StackError, match="list of names"):
        Security(function, scopes="items")


def test_unknown_option_of_a_parameter():
    with pytest.raises(StackError, match="json_schema_extra"):
        Query(maximum=3)  # type: ignore[call-arg]


def test_positional_only_parameter():
    def endpoint(q: int, /): ...

    assert "take the '/' out" in refused(endpoint)


def test_positional_only_parameter_with_a_default_is_left_alone():
    def endpoint(q: int = 1, /, r: int = 2): ...

    assert named(read_provider(endpoint)) == {"r": "query"}


def test_default_inside_of_annotated():
    def endpoint(q: Annotated[int, Query(3)]): ...

    text = refused(endpoint)
    assert "'q'" in text
    assert "after `=`" in text


def test_parameter_that_is_described_twice():
    def endpoint(q: Annotated[int, Query()] = Query(3)): ...

    assert "once" in refused(endpoint)


def test_dependency_that_is_described_twice():
    def endpoint(q: Annotated[int, Depends(function)] = Depends(generator)): ...  # noqa: B008

    assert "once" in refused(endpoint)


def test_last_of_several_in_an_annotation_counts():
    """An alias may be refined where it is used, as in FastAPI 0.165."""
    Known = Annotated[int, Query(gt=0)]

    def endpoint(a: Annotated[Known, Query(gt=1)], b: Annotated[Known, Depends(function)]): ...

    provider = read_provider(endpoint)
    assert [one.info.gt for one in provider.parameters] == [1]
    assert [one.name for one in provider.dependencies] == ["b"]


def test_default_of_a_dependency_is_for_who_calls_the_function_by_hand():
    def endpoint(q: Annotated[int, Depends(function)] = 3): ...

    assert [one.name for one in read_provider(endpoint).dependencies] == ["q"]


def test_parameter_of_the_path_that_is_declared_as_something_else():
    def endpoint(item_id: Annotated[int, Query()]): ...

    assert "Path(...)" in refused(endpoint, ["item_id"])


def test_parameter_of_the_path_with_a_default():
    def endpoint(item_id: Annotated[int, Path()] = 3): ...

    assert "cannot have default" in refused(endpoint, ["item_id"])


def test_parameter_of_the_path_that_is_a_model():
    def endpoint(item_id: Item): ...

    assert "scalar" in refused(endpoint, ["item_id"])


def test_query_parameter_of_a_mapping():
    def endpoint(q: Annotated[dict[str, int], Query()]): ...

    assert "'q'" in refused(endpoint)


def test_info_for_what_is_given_as_it_is():
    def endpoint(request: Annotated[Request, Query()]): ...

    assert "'request'" in refused(endpoint)


def test_type_that_nobody_knows_behind_an_info():
    def endpoint(engine: Annotated[Engine, Query()]): ...

    assert "Engine" in refused(endpoint)


def test_type_that_nobody_knows_inside_of_another():
    def endpoint(engines: list[Engine]): ...

    assert "Engine" in refused(endpoint)


def test_mistake_in_a_sub_dependency_names_that_function():
    def inner(q: int, /): ...
    def endpoint(x: Annotated[int, Depends(inner)]): ...

    with pytest.raises(DependencyError) as caught:
        read_provider(endpoint)
    checked(str(caught.value), inner)


def test_circle_is_told_with_each_member():
    def first(x: int): ...
    def second(x: Annotated[int, Depends(first)]): ...

    first.__annotations__["x"] = Annotated[int, Depends(second)]

    def endpoint(x: Annotated[int, Depends(second)]): ...

    with pytest.raises(DependencyError) as caught:
        read_provider(endpoint)
    text = str(caught.value)
    checked(text, first)
    checked(text, second)
    assert text.count("needs") == 2


def test_long_circle_is_told_in_few_lines():
    calls: list[Any] = []
    for number in range(20):

        def call(x: int): ...

        call.__qualname__ = f"call{number}"
        calls.append(call)
    for call, following in zip(calls, calls[1:] + calls[:1], strict=True):
        call.__annotations__["x"] = Annotated[int, Depends(following)]
    text = refused(calls[0])
    assert "call0" in text
    assert "..." in text


def test_dependency_of_itself():
    def call(x: int): ...

    call.__annotations__["x"] = Annotated[int, Depends(call)]
    assert "circle" in refused(call)


def test_same_function_on_two_branches_is_no_circle():
    def shared(): ...
    def left(x: Annotated[int, Depends(shared)]): ...
    def right(x: Annotated[int, Depends(shared)]): ...
    def endpoint(a: Annotated[int, Depends(left)], b: Annotated[int, Depends(right)]): ...

    assert len(read_provider(endpoint).dependencies) == 2


def test_callable_without_a_signature():
    with pytest.raises(DependencyError, match="signature"):
        read_provider(type("Odd", (), {"__call__": int, "__signature__": 3})())


# -- how long a dependency lives -------------------------------------------------------------------


def test_request_scope_does_not_depend_on_function_scope():
    """Its exit runs later, when the other one is closed already."""

    def short():
        yield

    def long(x: Annotated[int, Depends(short, scope="function")]):
        yield

    def endpoint(x: Annotated[int, Depends(long, scope="request")]): ...

    text = refused_for(endpoint, long)
    assert 'scope "function"' in text


def test_function_scope_may_depend_on_request_scope():
    def long():
        yield

    def short(x: Annotated[int, Depends(long)]):
        yield

    def endpoint(x: Annotated[int, Depends(short, scope="function")]): ...

    assert read_provider(endpoint).dependencies[0].scope == "function"


def test_plain_function_may_depend_on_function_scope():
    """What it returns may well outlive that, as in FastAPI 0.165."""

    def short():
        yield

    def plain(x: Annotated[int, Depends(short, scope="function")]): ...

    def long(x: Annotated[int, Depends(plain)]):
        yield

    def endpoint(x: Annotated[int, Depends(long)]): ...

    assert read_provider(endpoint).dependencies[0].scope == "request"


@pytest.mark.parametrize("annotation", [int, Request, Engine, Annotated[str, Header()]])
def test_app_scope_needs_no_request(annotation):
    def pool(x: int): ...

    pool.__annotations__["x"] = annotation

    def endpoint(x: Annotated[int, Depends(pool, scope="app")]): ...

    assert "'x'" in refused_for(endpoint, pool)


def test_app_scope_depends_on_app_scope_alone():
    def settings(): ...
    def pool(x: Annotated[int, Depends(settings)]): ...
    def endpoint(x: Annotated[int, Depends(pool, scope="app")]): ...

    text = refused_for(endpoint, pool)
    assert 'scope="app"' in text


def test_wish_in_dependencies_without_a_function():
    with pytest.raises(DependencyError, match=r"Depends\(function\)"):
        wish_for(Depends(), ())


def refused_for(endpoint: Any, call: Any) -> str:
    with pytest.raises(DependencyError) as caught:
        read_provider(endpoint)
    return checked(str(caught.value), call)
