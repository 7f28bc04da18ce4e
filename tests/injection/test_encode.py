"""What goes out of what an endpoint returns: the declared fields, no others, and as FastAPI has it."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import ipaddress
import json
import math
import pathlib
import subprocess
import sys
import uuid
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import attrs
import fastapi.responses
import fastapi.routing
import msgspec
import pydantic
import pytest
from fastapi.exceptions import ResponseValidationError as FastAPIValidationError
from fastapi.utils import create_model_field
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypeAliasType

from lamella.exceptions import ResponseValidationError, StackError
from lamella.injection.adapted import pydantic_json
from lamella.injection.encode import ResponseOptions, json_encoder, object_encoder
from lamella.injection.exact import exactness
from lamella.injection.outline import outline_of
from lamella.injection.projection import projector
from lamella.params import REQUIRED
from tests.test_encoders import VALUES, trees

T = TypeVar("T")


def fastapis(value, annotation=None, **options):
    """The JSON that FastAPI 0.165 makes of a value."""
    field = None
    if annotation is not None:
        field = create_model_field("response", annotation, mode="serialization")
    call = fastapi.routing.serialize_response(
        field=field, response_content=value, dump_json=field is not None, **options
    )
    try:
        call.send(None)
    except StopIteration as done:
        found = done.value
    return found if field is not None else fastapi.responses.JSONResponse(found).body


def outcome(encode, *args, **options):
    """What a call gives, as JSON; or the class of what it raises."""
    try:
        return json.loads(encode(*args, **options))
    except (ResponseValidationError, FastAPIValidationError):
        return "invalid"
    except (ValueError, TypeError) as exc:
        return type(exc)


# -- without a type ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_without_a_type_the_json_is_that_of_fastapi(value):
    assert outcome(fastapis, value) == outcome(json_encoder(REQUIRED), value)
    assert outcome(fastapis, {"a": [value]}) == outcome(json_encoder(REQUIRED), {"a": [value]})


@given(trees)
def test_without_a_type_the_json_of_any_tree_is_that_of_fastapi(value):
    assert outcome(fastapis, value) == outcome(json_encoder(REQUIRED), value)


def test_keys_of_sqlalchemys_are_dropped_as_by_fastapi():
    assert {"a": "_sa"} == json.loads(json_encoder(None)({"_sa_instance_state": 1, "a": "_sa"}))


@pytest.mark.parametrize("none", [None, REQUIRED, inspect.Parameter.empty])
def test_none_and_empty_stand_for_no_type(none):
    value = {"a": decimal.Decimal("1.5"), "b": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}
    expected = {"a": 1.5, "b": "2020-01-01T00:00:00+00:00"}
    assert expected == json.loads(json_encoder(none)(value))
    assert expected == object_encoder(none)(value)
    assert expected == json.loads(json_encoder(none, ResponseOptions(exclude={"a"}))(value))


def test_text_is_compact_utf8():
    assert b'{"a":"\xc3\xa4","b":[1,2]}' == json_encoder(None)({"a": "ä", "b": [1, 2]})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("around", [lambda n: n, lambda n: {"a": [1, n]}, lambda n: {"a": {1, n}}])
def test_without_a_type_what_is_no_number_is_refused(number, around):
    """It would go out as null, and nobody would see that data was lost."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_encoder(None)(around(number))


def test_a_lone_surrogate_goes_out_as_its_escape():
    class Named(msgspec.Struct):
        name: str

    assert {"a": "\ud800"} == json.loads(json_encoder(None)({"a": "\ud800"}))
    assert {"name": "\ud800"} == json.loads(json_encoder(Named)(Named("\ud800")))
    assert {"name": "\ud800"} == json.loads(json_encoder(Named)({"name": "\ud800"}))
    assert ["\ud800"] == json.loads(json_encoder(list[str])(["\ud800"]))


def test_a_value_that_holds_itself_is_refused():
    own: dict[str, Any] = {}
    own["own"] = own
    with pytest.raises(ValueError, match="holds itself"):
        json_encoder(None)(own)


def test_an_instance_that_holds_itself_is_refused():
    tree = Tree()
    tree.left = tree
    with pytest.raises(ValueError, match="holds itself"):
        json_encoder(Tree)(tree)
    with pytest.raises(ValueError, match="holds itself"):
        object_encoder(Tree)(tree)
    own: list[Any] = []
    own.append(own)
    with pytest.raises(ValueError, match="holds itself"):
        json_encoder(list)(own)


# -- pydantic ------------------------------------------------------------------------------------


class Address(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    street: str = pydantic.Field(alias="Street")
    zip_code: int | None = None


class Guarded(Address):
    secret: str = "s3cret"


class Person(pydantic.BaseModel):
    name: str
    address: Address
    more: list[Address] = []
    born: dt.datetime | None = None
    price: decimal.Decimal = decimal.Decimal("1.10")


@dataclasses.dataclass
class WithModel:
    a: int
    address: Address


class Row:
    """As an ORM has it."""

    def __init__(self, **columns: Any) -> None:
        self.__dict__.update(columns)


GUARDED = Guarded(street="Road", zip_code=1)
PYDANTIC = {
    "model": (Person, Person(name="Ann", address=Address(street="Road"))),
    "subclass": (Address, GUARDED),
    "subclass within": (Person, Person(name="Ann", address=GUARDED, more=[GUARDED])),
    "dict": (Person, {"name": "Ann", "address": {"Street": "x", "secret": 1}, "secret": 2}),
    "object": (Person, Row(name="Ann", address=Row(Street="x", street="y", secret=1), secret=1)),
    "list": (list[Address], [GUARDED, {"Street": "x"}]),
    "generator": (list[Address], None),
    "dict of models": (dict[str, Address], {"a": GUARDED}),
    "union": (Person | Address, GUARDED),
    "optional": (Address | None, None),
    "url": (pydantic.HttpUrl, "http://a.b"),
    "constrained": (Annotated[int, pydantic.Field(gt=3)], 5),
    "constraint broken": (Annotated[int, pydantic.Field(gt=3)], 3),
    "dataclass with a model": (WithModel, WithModel(1, GUARDED)),
    "dataclass of a dict": (WithModel, {"a": "1", "address": {"Street": "x", "secret": 1}}),
    "field missing": (Person, {"name": "Ann"}),
    "not a model": (Person, 5),
    "none": (Person, None),
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exclude_none": True},
        {"exclude_unset": True},
        {"exclude_defaults": True},
        {"by_alias": False},
        {"include": {"name", "street"}},
        {"exclude": {"name": True, "address": {"zip_code"}}},
    ],
    ids=str,
)
@pytest.mark.parametrize(("annotation", "value"), PYDANTIC.values(), ids=PYDANTIC)
def test_models_of_pydantic_go_out_as_from_fastapi(annotation, value, options):
    if value is None and annotation == list[Address]:
        value = (one for one in [GUARDED])
        expected = outcome(fastapis, [GUARDED], annotation, **options)
    else:
        expected = outcome(fastapis, value, annotation, **options)
    assert expected == outcome(json_encoder(annotation, ResponseOptions(**options)), value)


@pytest.mark.parametrize("chosen", [["name"], ("name",), frozenset(("name",))])
def test_names_are_taken_in_any_collection(chosen):
    person = Person(name="Ann", address=Address(street="Road"))
    encode = json_encoder(Person, ResponseOptions(include=chosen))
    assert b'{"name":"Ann"}' == encode(person)


def test_a_misfit_is_told_as_by_fastapi():
    with pytest.raises(FastAPIValidationError) as theirs:
        fastapis({"name": 1}, Person)
    with pytest.raises(ResponseValidationError) as ours:
        json_encoder(Person)({"name": 1})
    assert theirs.value.errors() == ours.value.errors()
    assert {"name": 1} == ours.value.body
    with pytest.raises(ResponseValidationError):
        object_encoder(Person)({"name": 1})


def test_a_model_whose_types_are_defined_later_is_encoded():
    class Early(pydantic.BaseModel):
        late: "Late"  # noqa: F821

    encode = json_encoder(Early)

    class Late(pydantic.BaseModel):
        a: int

    Early.model_rebuild(_types_namespace={"Late": Late})
    assert b'{"late":{"a":1}}' == encode({"late": {"a": 1, "b": 2}})


def test_objects_of_pydantics_are_what_json_can_say():
    person = Person(name="Ann", address=GUARDED, born=dt.datetime(2020, 1, 1))
    assert json.loads(json_encoder(Person)(person)) == object_encoder(Person)(person)


# -- no field that the type lacks ----------------------------------------------------------------


class StructOut(msgspec.Struct):
    name: str
    when: dt.date | None = None


class StructIn(StructOut):
    secret: str = "s3cret"


@dataclasses.dataclass
class DataclassOut:
    name: str
    when: dt.date | None = None


@dataclasses.dataclass
class DataclassIn(DataclassOut):
    secret: str = "s3cret"


@attrs.define
class AttrsOut:
    name: str
    when: dt.date | None = None


@attrs.define
class AttrsIn(AttrsOut):
    secret: str = "s3cret"


@attrs.define(slots=False)
class DictAttrsOut:
    name: str
    when: dt.date | None = None


@attrs.define(slots=False)
class DictAttrsIn(DictAttrsOut):
    secret: str = "s3cret"


class TypedDictOut(TypedDict):
    name: str
    when: dt.date | None


class ModelOut(pydantic.BaseModel):
    name: str
    when: dt.date | None = None


class ModelIn(ModelOut):
    secret: str = "s3cret"


CLASSES = {
    "struct": (StructOut, StructIn("Ann")),
    "dataclass": (DataclassOut, DataclassIn("Ann")),
    "attrs": (AttrsOut, AttrsIn("Ann")),
    "attrs without slots": (DictAttrsOut, DictAttrsIn("Ann")),
    "typed dict": (TypedDictOut, {"name": "Ann", "when": None, "secret": "s3cret"}),
    "pydantic": (ModelOut, ModelIn(name="Ann")),
}


def other_forms(cls, instance):
    """The value that is declared in other forms: itself, a dict, an object, another class's."""
    as_dict = {"name": "Ann", "when": None, "secret": "s3cret"}
    if cls is TypedDictOut:
        return [as_dict]
    return [instance, as_dict, Row(**as_dict), ModelIn(name="Ann")]


def holder(cls):
    """A Struct with a field of a class."""
    return msgspec.defstruct("Holder", [("held", cls), ("many", list[cls], [])])


def dataclass_holder(cls):
    return dataclasses.make_dataclass("Holder", [("held", cls), ("many", list[cls], None)])


OUT = {"name": "Ann", "when": None}
PLACES = {
    "alone": (lambda cls: cls, lambda v: v, OUT),
    "annotated": (lambda cls: Annotated[cls, "words"], lambda v: v, OUT),
    "optional": (lambda cls: cls | None, lambda v: v, OUT),
    "list": (lambda cls: list[cls], lambda v: [v, v], [OUT, OUT]),
    "generator": (lambda cls: list[cls], lambda v: (one for one in [v]), [OUT]),
    "values": (lambda cls: list[cls], lambda v: {1: v}.values(), [OUT]),
    "sequence": (lambda cls: Sequence[cls], lambda v: (v,), [OUT]),
    "iterable": (lambda cls: Iterable[cls], lambda v: [v], [OUT]),
    "tuple": (lambda cls: tuple[int, cls], lambda v: (1, v), [1, OUT]),
    "tuple of any length": (lambda cls: tuple[cls, ...], lambda v: (v,), [OUT]),
    "dict": (lambda cls: dict[str, cls], lambda v: {"a": v}, {"a": OUT}),
    "dict by number": (lambda cls: dict[int, cls], lambda v: {1: v}, {"1": OUT}),
    "deep": (
        lambda cls: dict[str, list[cls | None]],
        lambda v: {"a": [v, None]},
        {"a": [OUT, None]},
    ),
    "union": (lambda cls: int | cls | list[cls], lambda v: [v], [OUT]),
    "field": (
        lambda cls: holder(cls),
        lambda v: Row(held=v, many=[v], secret="s3cret"),
        {"held": OUT, "many": [OUT]},
    ),
    "field of a dict": (
        lambda cls: dataclass_holder(cls),
        lambda v: {"held": v, "many": [v], "secret": "s3cret"},
        {"held": OUT, "many": [OUT]},
    ),
}


@pytest.mark.parametrize(("declare", "make", "expected"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("cls", "instance"), CLASSES.values(), ids=CLASSES)
def test_no_field_goes_out_that_the_type_lacks(cls, instance, declare, make, expected):
    annotation = declare(cls)
    encode, objects = json_encoder(annotation), object_encoder(annotation)
    for value in other_forms(cls, instance):
        assert expected == json.loads(encode(make(value))), value
        found = objects(make(value))
        assert expected == json.loads(json.dumps(found)), value


@pytest.mark.parametrize(("cls", "instance"), CLASSES.values(), ids=CLASSES)
@pytest.mark.parametrize("make", [holder, dataclass_holder])
def test_no_field_goes_out_from_within_an_instance_of_the_very_class(cls, instance, make):
    outer = make(cls)
    value = outer(instance, [instance])
    assert {"held": OUT, "many": [OUT]} == json.loads(json_encoder(outer)(value))
    assert [{"held": OUT, "many": [OUT]}] == json.loads(json_encoder(list[outer])([value]))


def test_an_object_of_another_class_in_a_field_shows_the_declared_fields_alone():
    """A Struct does not look at what it is made of."""
    outer = holder(StructOut)
    other = msgspec.defstruct("Other", [("name", str), ("secret", str)])("Ann", "s3cret")
    value = outer(other, [])
    assert {"held": OUT, "many": []} == json.loads(json_encoder(outer)(value))


def test_what_an_attrs_instance_was_given_later_stays_behind():
    value = DictAttrsOut("Ann")
    value.secret = "s3cret"
    assert OUT == json.loads(json_encoder(DictAttrsOut)(value))


def test_a_class_that_holds_itself_is_filtered_at_every_depth():
    class Node(msgspec.Struct):
        name: str
        children: "list[Node]" = []

    class SecretNode(Node):
        secret: str = "s3cret"

    globals()["Node"] = Node
    plain = Node("a", [Node("b", [Node("c")])])
    leaking = Node("a", [Node("b", [SecretNode("c")])])
    encode = json_encoder(Node)
    assert msgspec.json.encode(plain) == encode(plain) == encode(leaking)


def test_generic_classes_are_filtered_by_their_arguments():
    class Box(msgspec.Struct, Generic[T]):
        item: T
        items: list[T]

    @dataclasses.dataclass
    class Crate(Generic[T]):
        item: T

    class IntCrate(Crate[list[StructOut]]):
        pass

    secret = StructIn("Ann")
    box = json_encoder(Box[StructOut])(Box(secret, [secret]))
    assert {"item": OUT, "items": [OUT]} == json.loads(box)
    assert {"item": OUT} == json.loads(json_encoder(Crate[StructOut])(Crate(secret)))
    assert {"item": [OUT]} == json.loads(json_encoder(IntCrate)(IntCrate([secret])))


Outs = TypeAliasType("Outs", list[StructOut])
Either = TypeAliasType("Either", T | None, type_params=(T,))
Bound = TypeVar("Bound", bound=StructOut)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Outs, [StructIn("Ann")], [OUT]),
        (Either[StructOut], StructIn("Ann"), OUT),
        (dict[str, Either[Outs]], {"a": [StructIn("Ann")], "b": None}, {"a": [OUT], "b": None}),
        (NewType("Out", StructOut), StructIn("Ann"), OUT),
        (Bound, StructIn("Ann"), OUT),
    ],
    ids=str,
)
def test_names_that_stand_for_types_are_seen_through(annotation, value, expected):
    found = json.loads(msgspec.json.encode(projector(annotation, ResponseOptions())(value)))
    assert expected == found


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is of Python 3.12")
def test_a_type_that_holds_itself_by_its_name_is_filtered_at_every_depth():
    found = {"StructOut": StructOut, "__name__": __name__}
    exec("type Nested = list[Nested] | StructOut", found)
    exec("type AnyJSON = dict[str, AnyJSON] | list[AnyJSON] | str | int | None", found)
    Nested, AnyJSON = found["Nested"], found["AnyJSON"]  # noqa: N806
    expected = [[OUT], OUT]
    assert expected == json.loads(json_encoder(Nested)([[StructIn("Ann")], StructIn("Ann")]))
    assert expected == json.loads(json_encoder(Nested)([[StructOut("Ann")], StructOut("Ann")]))
    value = {"a": [1, "x", None, {"b": []}]}
    assert value == json.loads(json_encoder(AnyJSON)(value)) == object_encoder(AnyJSON)(value)
    assert outcome(json_encoder(AnyJSON), {"a": 1.5}) == "invalid"


def test_members_of_a_union_are_told_apart():
    class Plane(msgspec.Struct):
        name: str
        size: int

    class Car(msgspec.Struct):
        name: str

    class Van(Car):
        secret: str = "s3cret"

    encode = json_encoder(Plane | Car)
    assert {"name": "a", "size": 1} == json.loads(encode(Plane("a", 1)))
    assert {"name": "a"} == json.loads(encode(Van("a")))
    assert {"name": "a", "size": 1} == json.loads(encode({"name": "a", "size": 1, "secret": 1}))
    assert {"name": "a"} == json.loads(encode({"name": "a", "secret": 1}))
    assert outcome(encode, {"size": 1}) == "invalid"


def test_members_of_a_tagged_union_are_told_apart_by_their_tags():
    class Cat(msgspec.Struct, tag=True):
        lives: int = 9

    class Dog(msgspec.Struct, tag=True):
        lives: int = 1

    class Wolf(Dog, tag="Wolf"):
        secret: str = "s3cret"

    encode = json_encoder(list[Cat | Dog])
    value = [Cat(), Wolf(), {"type": "Dog", "lives": 3}]
    expected = [
        {"type": "Cat", "lives": 9},
        {"type": "Dog", "lives": 1},
        {"type": "Dog", "lives": 3},
    ]
    assert expected == json.loads(encode(value))
    assert outcome(encode, [{"type": "Fox"}]) == "invalid"


def test_a_dict_that_is_declared_beside_a_model_stays_whole():
    assert {"a": 1} == json.loads(json_encoder(StructOut | dict[str, int])({"a": 1}))
    assert OUT == json.loads(json_encoder(StructOut | dict[str, int])({"name": "Ann"}))


@given(
    st.recursive(
        st.sampled_from([StructOut("a"), StructIn("b"), None]),
        lambda inner: st.builds(
            lambda a, b, cls: cls(a, b),
            inner,
            st.lists(inner, max_size=2),
            st.sampled_from(["Tree", "SecretTree"]).map(lambda name: TREES[name]),
        ),
    )
)
def test_no_secret_goes_out_of_any_tree(tree):
    encode = json_encoder(Tree)
    assert b"s3cret" not in encode(Tree(tree, [tree, SecretTree(tree, [])]))


class Tree(msgspec.Struct):
    left: "Tree | StructOut | None" = None
    right: "list[Tree | StructOut | None]" = []


class SecretTree(Tree):
    secret: str = "s3cret"


TREES = {"Tree": Tree, "SecretTree": SecretTree}


# -- what msgspec writes by itself ---------------------------------------------------------------


class Line(msgspec.Struct):
    sku: str
    price: float = 0.0


class Order(msgspec.Struct, rename="camel"):
    order_id: int
    lines: list[Line]
    by_sku: dict[str, Line] = {}
    first: Line | None = None
    note: str | msgspec.UnsetType = msgspec.UNSET
    last: Line | msgspec.UnsetType = msgspec.UNSET


class Sale(Line):
    discount: int = 1


EXACT = Order(1, [Line("a")], {"a": Line("b")}, Line("c"), last=Line("d"))


def test_an_instance_of_the_very_classes_is_left_to_msgspec():
    check = exactness(Order)
    assert check is not None
    assert check(EXACT)
    assert msgspec.json.encode(EXACT) == json_encoder(Order)(EXACT)
    assert msgspec.to_builtins(EXACT) == object_encoder(Order)(EXACT)


@pytest.mark.parametrize(
    "change",
    [
        {"lines": [Line("a"), Sale("b")]},
        {"lines": (Line("a"), Sale("b"))},
        {"lines": [{"sku": "a", "secret": 1}]},
        {"by_sku": {"a": Sale("b")}},
        {"first": Sale("c")},
        {"last": Sale("d")},
    ],
    ids=str,
)
def test_an_instance_with_another_class_anywhere_is_not(change):
    check = exactness(Order)
    value = msgspec.structs.replace(EXACT, **change)
    assert check is not None
    assert not check(value)
    found = json_encoder(Order)(value)
    assert b"secret" not in found
    assert b"discount" not in found
    assert outcome(msgspec.json.Decoder(Order).decode, found) != "invalid"


@pytest.mark.parametrize(
    ("annotation", "exact", "others"),
    [
        (int, 1, [True, "1"]),
        (list[Line], [Line("a")], [(Line("a"),), [Sale("a")], None]),
        (tuple[Line, ...], (Line("a"),), [[Line("a")]]),
        (dict[str, Line], {"a": Line("a")}, [{"a": Sale("a")}]),
        (Line | None, None, [Sale("a"), 1]),
        (Line | str, "a", [Sale("a"), 1]),
        (list[list[Line]], [[Line("a")]], [[[Sale("a")]], [Line("a")]]),
    ],
)
def test_what_is_exact_is_told_for_every_type(annotation, exact, others):
    check = exactness(annotation)
    assert check is not None
    assert check(exact)
    assert [] == [other for other in others if check(other)]


@pytest.mark.parametrize(
    "annotation", [TypedDictOut, ModelOut, DictAttrsOut, list[TypedDictOut], list[int], Any]
)
def test_types_that_msgspec_would_not_filter_or_look_into_are_never_exact(annotation):
    assert exactness(annotation) is None


def test_a_class_with_a_field_that_is_never_exact_is_not_either():
    """Not even where it holds itself, and that field is found last."""

    class Loop(msgspec.Struct):
        other: "Other | None"
        typed: TypedDictOut

    class Other(msgspec.Struct):
        loop: Loop | None

    globals().update(Loop=Loop, Other=Other)
    secret = {"name": "Ann", "when": None, "secret": "s3cret"}
    assert b"s3cret" not in json_encoder(Loop | Other)(Other(Loop(None, secret)))


def test_the_tag_and_the_array_form_of_a_struct_are_kept():
    class Tagged(msgspec.Struct, tag_field="kind", tag=5, rename="upper"):
        name: str

    class Pair(msgspec.Struct, array_like=True, tag="p"):
        a: int
        b: list[Line]

    class Both(Pair):
        c: int = 3

    class NamedPair(NamedTuple):
        a: int
        b: Line

    class SecretTagged(Tagged, tag=6):
        secret: int = 1

    assert b'{"kind":5,"NAME":"x"}' == json_encoder(Tagged)(SecretTagged("x"))
    assert b'["p",1,[{"sku":"s","price":0.0}]]' == json_encoder(Pair)(Both(1, [Sale("s")]))
    assert b'[1,{"sku":"s","price":0.0}]' == json_encoder(NamedPair)(NamedPair(1, Sale("s")))
    assert b'[1,{"sku":"s","price":0.0}]' == json_encoder(NamedPair)([1, {"sku": "s", "x": 1}])


def test_fields_that_omit_their_defaults_are_omitted_in_every_form():
    class Short(msgspec.Struct, omit_defaults=True):
        a: int = 1
        tags: list[str] = []
        lines: list[Line] = []
        b: int = 2

    class Longer(Short):
        secret: int = 1

    assert b'{"b":3}' == json_encoder(Short)(Short(b=3)) == json_encoder(Short)(Longer(b=3))


def test_unset_fields_are_left_out_of_a_subclass_too():
    class More(Order):
        secret: int = 1

    expected = {"orderId": 1, "lines": [], "bySku": {}, "first": None}
    assert expected == json.loads(json_encoder(Order)(More(1, [])))


def test_what_msgspec_does_not_know_is_written_as_fastapi_does():
    class Odd(msgspec.Struct):
        path: pathlib.Path
        address: ipaddress.IPv4Address
        anything: Any
        model: ModelOut

    odd = Odd(
        pathlib.Path("/a"),
        ipaddress.ip_address("127.0.0.1"),
        Address(street="x"),
        ModelIn(name="n"),
    )
    expected = {
        "path": "/a",
        "address": "127.0.0.1",
        "anything": {"Street": "x", "zip_code": None},
        "model": {"name": "n", "when": None},
    }
    assert expected == json.loads(json_encoder(Odd)(odd))
    assert expected == object_encoder(Odd)(odd)
    text = {"path": "/a", "address": "127.0.0.1", "anything": 1, "model": {"name": "n"}}
    assert {**expected, "anything": 1} == json.loads(json_encoder(Odd)(text))


# -- single values and containers ----------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


UserId = NewType("UserId", int)
SIMPLE = {
    "int": (int, [1, "1", 1.0, 1.5, "x", None, [1]]),
    "float": (float, [1, 1.5, "1.5", "x", math.nan]),
    "bool": (bool, [True, "true", "on", 1, 2, "x"]),
    "str": (str, ["a", 1, None]),
    "none": (int | None, [None, 1, "x"]),
    "either": (int | str, [1, "1", 1.5, None]),
    "literal": (Literal["a", 1], ["a", 1, "b"]),
    "enum": (Colour, [Colour.RED, "red", "blue"]),
    "new type": (UserId, [UserId(1), "x"]),
    "datetime": (dt.datetime, [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "2020-01-01T00:00:00", "x"]),
    "date": (dt.date, [dt.date(2020, 1, 1), "2020-01-01", "x"]),
    "decimal": (decimal.Decimal, [decimal.Decimal("1.50"), 1, "1.5", "x"]),
    "uuid": (uuid.UUID, [uuid.UUID(int=1), str(uuid.UUID(int=1)), "x"]),
    "bytes": (bytes, [b"abc", "\u00e4".encode()]),
    "list": (list[int], [[1], ["1", 2], (1,), [None], "ab", {"a": 1}, 5, range(2)]),
    "list of bytes": (list[bytes], [[b"abc"]]),
    "any list": (list, [[1, b"x", Colour.RED], (1,)]),
    "set": (set[int], [{1}, [1, 1], "x"]),
    "tuple": (tuple[int, str], [(1, "a"), [1, "a"], (1,), (1, 2)]),
    "dict": (dict[str, float], [{"a": 1}, {"a": "1.5"}, {"a": "x"}, {1: 1.0}, [1]]),
    "dict by number": (dict[int, float], [{1: 1}, {"1": 1.5}, {"x": 1}]),
    "any dict": (dict, [{"a": 1}, {"a": [b"x", dt.date(2020, 1, 1)]}, {"a": GUARDED}, [1]]),
    "dict of any": (
        dict[str, Any],
        [{"a": 1, "b": None}, {"a": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, {"a": {"b": b"x"}}],
    ),
    "any": (Any, [1, b"x", {"a": decimal.Decimal("1.50")}, GUARDED, [GUARDED], Colour.RED, {1}]),
    "list of any": (list[dict[str, Any]], [[{"a": math.nan}], [{"a": (1, {2})}], [1]]),
    "path": (pathlib.Path, [pathlib.Path("/a"), "/b", 5]),
    "address": (ipaddress.IPv4Address, [ipaddress.ip_address("127.0.0.1"), "127.0.0.1", "x"]),
    "iterable": (Iterable[int], [[1], range(2), 5]),
    "path or address": (
        pathlib.Path | ipaddress.IPv4Address,
        [pathlib.Path("/a"), ipaddress.ip_address("127.0.0.1")],
    ),
    "deque": (collections.deque[int], [[1], collections.deque([1])]),
}


@pytest.mark.parametrize(("annotation", "values"), SIMPLE.values(), ids=SIMPLE)
def test_simple_types_go_out_as_from_fastapi(annotation, values):
    encode = json_encoder(annotation)
    expected = [outcome(fastapis, value, annotation) for value in values]
    assert expected == [outcome(encode, value) for value in values]


def test_objects_of_simple_types_are_what_json_can_say():
    assert ["2020-01-01", 1] == object_encoder(list[dt.date | int])([dt.date(2020, 1, 1), 1])
    assert {"a": "x"} == object_encoder(dict[str, Any])({"a": b"x"})
    assert math.isnan(object_encoder(float)(math.nan))


def test_bytes_that_are_declared_within_a_model_are_base64_as_they_are_read():
    class Blob(msgspec.Struct):
        data: bytes

    assert b'{"data":"YWJj"}' == json_encoder(Blob)(Blob(b"abc"))


# -- what is left out ----------------------------------------------------------------------------


class Item(msgspec.Struct, rename={"unit_price": "price"}):
    name: str
    unit_price: float | None = None
    tags: list[str] = []
    line: Line | None = None


ITEM = Item("a", 1.5, line=Line("s", 2.0))
FULL = {"name": "a", "price": 1.5, "tags": [], "line": {"sku": "s", "price": 2.0}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": {"name", "unit_price"}}, {"name": "a", "price": 1.5}),
        ({"include": {"name": True, "line": {"sku"}}}, {"name": "a", "line": {"sku": "s"}}),
        ({"include": set()}, {}),
        ({"exclude": {"line", "tags"}}, {"name": "a", "price": 1.5}),
        ({"exclude": {"line": {"price"}}}, {**FULL, "line": {"sku": "s"}}),
        ({"exclude": {"line": ...}}, {key: FULL[key] for key in ("name", "price", "tags")}),
        ({"exclude": set()}, FULL),
        (
            {"by_alias": False},
            {**{k: FULL[k] for k in ("name", "tags", "line")}, "unit_price": 1.5},
        ),
        ({"exclude_defaults": True}, {key: FULL[key] for key in ("name", "price", "line")}),
        ({"exclude_unset": True}, {key: FULL[key] for key in ("name", "price", "line")}),
    ],
    ids=str,
)
def test_fields_are_left_out_as_the_options_say(options, expected):
    options = ResponseOptions(**options)
    assert expected == json.loads(json_encoder(Item, options)(ITEM))
    assert expected == object_encoder(Item, options)(ITEM)
    items = ResponseOptions(
        **{
            **options._asdict(),
            "include": None if options.include is None else {"__all__": options.include},
            "exclude": None if options.exclude is None else {"__all__": options.exclude},
        }
    )
    assert [expected] == json.loads(json_encoder(list[Item], items)([ITEM]))
    assert {"k": expected} == json.loads(json_encoder(dict[str, Item], items)({"k": ITEM}))


def test_none_is_left_out_at_every_depth():
    options = ResponseOptions(exclude_none=True)
    value = Item("a", None, line=Line("s"))
    expected = {"name": "a", "tags": [], "line": {"sku": "s", "price": 0.0}}
    assert expected == json.loads(json_encoder(Item, options)(value))


def test_two_reasons_to_leave_a_field_out_hold_both():
    options = ResponseOptions(exclude_none=True, exclude_defaults=True)
    assert {"name": "a"} == json.loads(json_encoder(Item, options)(Item("a")))
    value = {"name": "a", "when": None}
    assert {"name": "a"} == json.loads(json_encoder(TypedDictOut, options)(value))


def test_defaults_of_every_kind_of_class_are_known():
    @attrs.define
    class Defaulted:
        a: int = 1
        b: list = attrs.Factory(list)
        c: int = attrs.Factory(lambda self: self.a, takes_self=True)
        d: Any = None

    @dataclasses.dataclass
    class Dataclass:
        a: int = 1
        b: list = dataclasses.field(default_factory=list)

    class Struct(msgspec.Struct, omit_defaults=True):
        a: int = 1
        b: list = []
        c: list = msgspec.field(default_factory=lambda: [1])

    options = ResponseOptions(exclude_defaults=True)
    assert {"c": 1} == json.loads(json_encoder(Defaulted, options)(Defaulted()))
    assert {} == json.loads(json_encoder(Dataclass, options)(Dataclass()))
    assert {} == json.loads(json_encoder(Struct, options)(Struct()))
    only_none = ResponseOptions(exclude_none=True)
    assert {"c": [1]} == json.loads(json_encoder(Struct, only_none)(Struct()))


def test_keys_of_a_returned_dict_count_as_set_even_if_they_have_their_default():
    options = ResponseOptions(exclude_unset=True)
    value = {"name": "a", "tags": [], "secret": 1}
    assert {"name": "a", "tags": []} == json.loads(json_encoder(Item, options)(value))
    assert {"name": "a"} == json.loads(json_encoder(Item, options)(Item("a")))


def test_keys_of_a_dict_are_left_out():
    options = ResponseOptions(exclude={"a": True, "b": {"name"}})
    value = {"a": ITEM, "b": ITEM}
    expected = {"b": {key: FULL[key] for key in ("price", "tags", "line")}}
    assert expected == json.loads(json_encoder(dict[str, Item], options)(value))
    plain = json_encoder(dict[str, int], ResponseOptions(include={"a"}))
    assert {"a": 1} == json.loads(plain({"a": 1, "b": 2}))


def test_names_for_a_list_itself_are_an_error_when_the_app_is_built():
    """pydantic lets them pass, and the fields go out."""
    with pytest.raises(StackError, match="__all__"):
        json_encoder(list[Item], ResponseOptions(exclude={"name"}))


def test_names_for_a_struct_that_is_an_array_are_an_error_when_the_app_is_built():
    class Pair(msgspec.Struct, array_like=True):
        a: int

    with pytest.raises(StackError, match="written as an array"):
        json_encoder(Pair, ResponseOptions(exclude={"a"}))


# -- what does not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "loc", "kind"),
    [
        (Item, {}, ("response", "name"), "missing"),
        (Item, Row(name="a", tags=5), ("response", "tags"), "value_error"),
        (Item, Row(), ("response", "name"), "missing"),
        (Item, Row(name="a", line={"sku": 5}), ("response", "line", "sku"), "value_error"),
        (Item, Row(name="a", tags=["a", 5]), ("response", "tags", 1), "value_error"),
        (list[Item], [{"name": "a"}, {"name": 5}], ("response", 1, "name"), "string_type"),
        (list[Item], 5, ("response",), "list_type"),
        (list[Item], "ab", ("response",), "list_type"),
        (dict[str, Item], {"a": {}}, ("response", "a", "name"), "missing"),
        (dict[str, Item], [1], ("response",), "dict_type"),
        (tuple[int, Item], (1,), ("response",), "tuple_type"),
        (Item, Item("a", line=5), ("response", "line"), "model_attributes_type"),
        (Item, None, ("response",), "model_attributes_type"),
        (int, "x", ("response",), "int_parsing"),
    ],
)
def test_a_misfit_says_where_and_what(annotation, value, loc, kind):
    with pytest.raises(ResponseValidationError) as caught:
        json_encoder(annotation)(value)
    found = [(error["loc"], error["type"]) for error in caught.value.errors()]
    assert (loc, kind) in found
    assert value is caught.value.body


def test_a_type_that_cannot_be_written_is_an_error_when_the_app_is_built():
    class Nothing:
        pass

    with pytest.raises(StackError):
        json_encoder(Nothing)
    with pytest.raises(StackError):
        json_encoder(list[Nothing])


def test_a_type_that_pydantic_does_not_know_is_an_error_when_the_app_is_built():
    class Nothing:
        pass

    with pytest.raises(StackError, match="a type that pydantic knows"):
        pydantic_json(Nothing, ResponseOptions())


def test_what_is_no_class_with_fields_has_no_outline():
    with pytest.raises(StackError, match="Expected a class with fields"):
        outline_of(list[int])


def test_a_type_that_is_only_there_for_type_checkers_is_an_error_when_the_app_is_built():
    class Early(msgspec.Struct):
        late: "Missing"  # noqa: F821

    with pytest.raises(StackError, match="'Missing'"):
        json_encoder(Early)


def test_pydantic_is_not_imported_for_other_types():
    code = (
        "import sys, msgspec; from lamella.injection.encode import json_encoder as e;"
        "S = msgspec.defstruct('S', [('a', int)]);"
        "e(list[S])([{'a': 1}]); e(dict[str, int])({'a': '1'}); e(None)({'a': {1}});"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
