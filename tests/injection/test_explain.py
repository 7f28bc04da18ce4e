"""What is said of values that do not fit, and how lax the rest is: compared with pydantic itself."""

import dataclasses
import enum
import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID

import annotated_types as at
import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict  # that of Python 3.11 is refused by pydantic

from lamella.exceptions import StackError
from lamella.injection._invalid import MOST_ERRORS
from lamella.injection.decode import Invalid, json_decoder, object_decoder
from lamella.injection.explain import decoder
from lamella.params import Body


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Line:
    sku: str
    amount: Annotated[int, at.Gt(0)] = 1
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Order:
    number: int
    lines: list[Line]
    color: Color | None = None
    made: date | datetime | None = None
    extra: dict[str, int | str] = dataclasses.field(default_factory=dict)
    pair: tuple[int, bool] = (1, True)
    first: "Line | None" = None
    paid: bool = False
    total: float | Decimal = 0.0
    kind: Literal["a", "b"] = "a"
    seen: int = dataclasses.field(default=0, init=False)


class LineStruct(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    sku_code: str
    how_many: Annotated[int, msgspec.Meta(gt=0)] = 1
    note: str | None = None


class LineModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")
    sku_code: str
    how_many: Annotated[int, Field(gt=0)] = 1
    note: str | None = None


class Point(TypedDict):
    x: int
    y: NotRequired[float]


class Pair(NamedTuple):
    left: int
    right: str = "r"


def said(decode: Any, value: Any) -> Any:
    """The value, or the errors."""
    try:
        return repr(decode(value))
    except Invalid as exc:
        errors = exc.errors
    except ValidationError as exc:
        errors = exc.errors(include_url=False)  # type: ignore[assignment]
    return [repr(dict(error)) for error in errors]


leaves = st.sampled_from(
    ["a", "b", "red", "1", "x", "", "true", "2020-01-02", "2020-01-02T03:04:05", 0, 1, -1, 5, 1.0, 1.5, True, False, None, "sku"]
)  # fmt: skip


def objects(**fields: Any) -> Any:
    return st.fixed_dictionaries({}, optional=fields)


some_line = st.one_of(
    leaves, objects(sku=leaves, amount=leaves, tags=st.lists(leaves, max_size=2) | leaves, other=leaves)
)  # fmt: skip
some_order = objects(
    number=leaves,
    lines=st.lists(some_line, max_size=2) | leaves,
    color=leaves,
    made=leaves,
    extra=st.dictionaries(st.sampled_from("ab"), leaves, max_size=2) | leaves,
    pair=st.lists(leaves, max_size=3) | leaves,
    first=some_line,
    paid=leaves,
    total=leaves,
    kind=leaves,
    seen=leaves,
    other=leaves,
)


@given(some_order | leaves)
@settings(max_examples=600, deadline=None, derandomize=True)
def test_a_dataclass_is_read_as_by_pydantic(value: Any) -> None:
    assert said(DECODE_ORDER, value) == said(VALIDATE_ORDER, value)


DECODE_ORDER, VALIDATE_ORDER = decoder(Order), TypeAdapter(Order).validate_python


@given(objects(skuCode=leaves, howMany=leaves, note=leaves, other=leaves, sku_code=leaves) | leaves)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_struct_is_read_as_by_pydantic_a_model_like_it(value: Any) -> None:
    theirs = said(lambda one: VALIDATE_LINE(one, from_attributes=True), value)
    if isinstance(theirs, str):
        theirs = theirs.replace("LineModel", "LineStruct")
    assert said(DECODE_LINE, value) == theirs


DECODE_LINE, VALIDATE_LINE = decoder(LineStruct), TypeAdapter(LineModel).validate_python


@pytest.mark.parametrize(
    ("annotation", "values"),
    [
        (Point, [{"x": "1", "q": 1}, [], {}, "x", {"x": 1, "y": "2"}, {"y": "z"}]),
        (Pair, [["1"], {"left": 1}, {}, [], [1, "a", 3], "x", {"left": 1, "q": 2}, ["a"], None]),
        (dict[int, float], [{"1": "2", "x": "y"}, [], None, "x"]),
        (dict, [{"a": 1}, []]),
        (Mapping[str, int], [{"a": "1"}, [], {"a": "x"}]),
        (dict[Literal["a"], int], [{"b": 1}]),
        (Annotated[dict[str, int], at.Len(1, 1)], [{}, {"a": 1, "b": 2}, {"a": 1}]),
        (Line | Point, [{}, {"sku": "a"}, {"x": "1"}, {"x": "1", "y": 2, "sku": "s"}, [], "x"]),
        (list[Line] | Line, [[{"sku": "a"}], {"sku": "a"}, [{}], 5]),
        (int | Line, ["1", {"sku": 1}, "x"]),
        (dict[str, Line] | list[int], [{"a": 1}, {"a": {"sku": "x"}}, ["1"], 7]),
        (list[Line | None], [[None, {"sku": "x"}, 5]]),
    ],
)  # fmt: skip
def test_other_objects_are_read_as_by_pydantic(annotation: Any, values: list[Any]) -> None:
    decode, validate = decoder(annotation), TypeAdapter(annotation).validate_python
    for value in values:
        assert said(decode, value) == said(validate, value)


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    friend: "Cat | Dog | None" = None


class CatModel(BaseModel):
    type: Literal["cat"]
    lives: int


class DogModel(BaseModel):
    type: Literal["dog"]
    friend: "Annotated[CatModel | DogModel, Field(discriminator='type')] | None" = None


@pytest.mark.parametrize(
    "value",
    [
        {"type": "cat"}, {"type": "cat", "lives": "x"}, {"type": "x"}, {}, [], None, {"type": 1}, {"type": []},
        {"type": "dog", "friend": {"type": "cat"}}, {"type": "dog", "friend": {"type": "q"}}, {"type": "dog", "friend": 5},
    ],
)  # fmt: skip
def test_a_union_of_tagged_structs_is_read_as_by_pydantic_one_with_a_discriminator(
    value: Any,
) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(
        Annotated[CatModel | DogModel, Field(discriminator="type")]
    )
    theirs = said(lambda one: adapter.validate_python(one, from_attributes=True), value)
    assert said(decoder(Cat | Dog), value) == theirs


def test_a_tag_that_is_another_class_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        decoder(Cat)({"type": "dog", "lives": 1})
    (error,) = caught.value.errors
    assert (error["type"], error["loc"], error["input"]) == ("literal_error", ("type",), "dog")
    assert decoder(Cat)({"lives": "9"}) == Cat(9)


@dataclasses.dataclass
class Person:
    kind: Literal["person"]
    age: int


@dataclasses.dataclass
class Firm:
    kind: Literal["firm", "company"]


def test_a_discriminator_chooses_among_dataclasses() -> None:
    decode = decoder(Person | Firm, Body(discriminator="kind"))
    assert decode({"kind": "company"}) == Firm("company")
    with pytest.raises(Invalid) as caught:
        decode({"kind": "person", "age": "x"})
    assert [error["loc"] for error in caught.value.errors] == [("person", "age")]


def test_what_a_class_refuses_itself_is_said_in_its_words() -> None:
    class Even(msgspec.Struct):
        number: int

        def __post_init__(self) -> None:
            if self.number % 2:
                raise ValueError("it must be even")
            assert self.number < 10, "it must be small"

    assert decoder(Even)({"number": "2"}) == Even(2)
    for number, type_, msg in [
        (3, "value_error", "Value error, it must be even"),
        (12, "assertion_error", "Assertion failed, it must be small"),
    ]:
        with pytest.raises(Invalid) as caught:
            json_decoder(Even)(f'{{"number": {number}}}'.encode())
        (error,) = caught.value.errors
        assert (error["type"], error["loc"], error["input"]) == (type_, (), {"number": number})
        assert error["msg"].startswith(msg)
        assert isinstance(error["ctx"]["error"], Exception)


def test_an_error_that_is_no_refusal_is_the_servers() -> None:
    class Broken(msgspec.Struct):
        number: int

        def __post_init__(self) -> None:
            raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        json_decoder(Broken)(b'{"number": 1}')


def test_attrs_classes_convert_and_validate() -> None:
    @attrs.define
    class Item:
        size: int = attrs.field(validator=attrs.validators.gt(3))
        name: str = attrs.field(default="n", converter=str.upper)
        made: int = attrs.field(default=7, init=False)
        _hidden: int = 5

    decode = json_decoder(Item)
    item = decode(b'{"size": "4", "name": "a", "made": 1, "_hidden": 1, "hidden": 1}')
    assert (item.size, item.name, item.made, item._hidden) == (4, "A", 7, 5)
    with pytest.raises(Invalid, match="must be > 3"):
        decode(b'{"size": 1}')


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    item: T
    more: list[T] = []


def test_type_arguments_of_a_class_are_put_in() -> None:
    assert decoder(Box[int])({"item": "5", "more": ["6"]}) == Box(5, [6])
    with pytest.raises(Invalid) as caught:
        decoder(Box[Box[int]])({"item": {"item": "x"}})
    assert [error["loc"] for error in caught.value.errors] == [("item", "item")]


class Row(msgspec.Struct, array_like=True, tag="row"):
    number: int
    name: str = "n"


def test_a_struct_that_is_an_array_is_read_from_one() -> None:
    assert decoder(Row)(["row", "5"]) == Row(5)
    for value, type_, loc in [
        (["other", 5], "literal_error", (0,)),
        (["row", "x"], "int_parsing", (1,)),
        ({}, "list_type", ()),
    ]:
        with pytest.raises(Invalid) as caught:
            decoder(Row)(value)
        assert (caught.value.errors[0]["type"], caught.value.errors[0]["loc"]) == (type_, loc)


class WithUnset(msgspec.Struct):
    name: str | msgspec.UnsetType = msgspec.UNSET


def test_a_field_that_may_be_unset_is() -> None:
    assert decoder(WithUnset)({}).name is msgspec.UNSET
    assert decoder(WithUnset)({"name": "a"}).name == "a"


class Link(BaseModel):
    number: int


class Page(msgspec.Struct):
    link: Link
    title: Annotated[str, AfterValidator(str.upper)] = ""
    size: Annotated[int, at.Gt(3)] = 4


def test_types_of_pydantic_within_a_struct_are_validated_by_it() -> None:
    decode = json_decoder(Page)
    page = decode(b'{"link": {"number": "5"}, "title": "a"}')
    assert (page.link.number, page.title) == (5, "A")
    with pytest.raises(Invalid) as caught:
        decode(b'{"link": {"number": "x"}, "size": 1}')
    found = [(error["type"], error["loc"]) for error in caught.value.errors]
    assert found == [("int_parsing", ("link", "number")), ("greater_than", ("size",))]


class Node(msgspec.Struct):
    child: "Node | None" = None
    number: int = 0


@dataclasses.dataclass
class Left:
    child: "Left | Right | None" = None
    left: int = 0


@dataclasses.dataclass
class Right:
    child: "Left | Right | None" = None
    right: int = 0


def nested(depth: int, leaf: str) -> bytes:
    return ('{"child":' * depth + leaf + "}" * depth).encode()


def test_the_errors_of_a_deep_value_have_their_places() -> None:
    with pytest.raises(Invalid) as caught:
        json_decoder(Node)(nested(150, '{"number": "x"}'))
    (error,) = caught.value.errors
    assert error["loc"] == ("child",) * 150 + ("number",)


@pytest.mark.parametrize("depth", [205, 1_000, 100_000])
def test_a_value_nested_without_end_is_refused(depth: int) -> None:
    with pytest.raises(Invalid) as caught:
        json_decoder(Node)(nested(depth, '{"number": "x"}'))
    (error,) = caught.value.errors
    assert (error["type"], error["input"]) == ("json_invalid", {})
    assert error["ctx"] == {"error": "Expected values nested less deeply"}


def test_a_deep_value_of_untagged_models_takes_no_exponential_time() -> None:
    with pytest.raises(Invalid) as caught:
        json_decoder(Left | Right)(nested(100, '{"left": "x", "right": "x"}'))
    assert len(caught.value.errors) <= MOST_ERRORS
    assert isinstance(json_decoder(Left | Right)(nested(100, '{"right": "5"}')), Left)


def test_of_models_the_one_with_the_most_keys_is_meant() -> None:
    decode = decoder(Left | Right)
    assert decode({"right": "1"}) == Right(right=1)
    assert decode({"left": "1"}) == Left(left=1)


def test_a_long_list_of_wrong_items_tells_a_bounded_number_of_errors() -> None:
    wrong = ["x"] * 10 * MOST_ERRORS
    for annotation, value in [
        (list[int], wrong),
        (dict[str, int], {str(number): "x" for number in range(10 * MOST_ERRORS)}),
        (LineStruct, {str(number): "x" for number in range(10 * MOST_ERRORS)}),
        (list[Link], wrong),
    ]:
        with pytest.raises(Invalid) as caught:
            object_decoder(annotation)(value)
        assert len(caught.value.errors) == MOST_ERRORS


def test_errors_keep_what_json_cannot_say_as_it_was() -> None:
    for value in (math.inf, b"\xff", UUID(int=1)):
        with pytest.raises(Invalid) as caught:
            decoder(bool)(value)
        assert caught.value.errors[0]["input"] is value


class Unknown:
    pass


@dataclasses.dataclass
class Holder:
    unknown: Unknown


@pytest.mark.parametrize(
    "annotation", [Unknown, list[Unknown], Holder, dict[str, Unknown], 5, Unknown | None]
)
def test_a_type_that_nobody_can_read_is_refused_at_once(annotation: Any) -> None:
    with pytest.raises(StackError, match="Expected a type that can be read from JSON, got"):
        decoder(annotation)


def test_a_name_that_means_nothing_is_refused_at_once() -> None:
    @dataclasses.dataclass
    class Lost:
        other: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(StackError, match="Nowhere"):
        decoder(Lost)
