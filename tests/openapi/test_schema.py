"""The schemas of types: what FastAPI's document says of a type, lamella's does, without pydantic."""

import collections
import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import ipaddress
import pathlib
import subprocess
import sys
import typing
import uuid
import warnings
from inspect import Parameter, Signature
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar

import attrs
import fastapi
import fastapi.exceptions
import jsonschema
import msgspec
import pydantic
import pytest
from annotated_types import Ge, Gt, Interval, Len, Lt, MinLen
from typing_extensions import NotRequired, TypedDict

import lamella
from lamella.exceptions import LamellaDeprecationWarning
from lamella.openapi.schema import PREFIX, Schemas
from lamella.openapi.utils import get_openapi
from lamella.routing import APIRoute

D = decimal.Decimal
REF = PREFIX + "{}"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """How much."""

    LOW = 1


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Point(NamedTuple):
    x: int
    y: int = 0


class Address(TypedDict):
    """Where it is."""

    street: str
    zip: NotRequired[str]


@dataclasses.dataclass
class Order:
    number: int
    address: Address
    price: D = D("1.50")
    at: Point | None = None
    tags: list[str] = dataclasses.field(default_factory=list)
    colour: Colour = Colour.RED
    placed: dt.datetime = dt.datetime(2020, 1, 1)
    rates: dict[str, D] | None = None


@dataclasses.dataclass
class Tree:
    """A tree.\fNot for clients."""

    children: list["Tree"]
    name: str = "x"


Id = NewType("Id", int)

# Annotation and default of a parameter; the second takes fastapi or lamella.
PARAMETERS = {
    "str": (str, None),
    "str or None": (str | None, lambda api: None),
    "text with limits": (
        str | None,
        lambda api: api.Query(None, min_length=1, max_length=9, pattern="^a"),
    ),
    "int with limits": (int, lambda api: api.Query(gt=0, le=9, multiple_of=3)),
    "float with limits": (float, lambda api: api.Query(ge=1.5, lt=2)),
    "Decimal": (D, lambda api: D("1.50")),
    "Decimal with limits": (D | None, lambda api: api.Query(None, gt=1, max_digits=3)),
    "bool": (bool, lambda api: False),
    "bytes": (bytes, lambda api: b"abc"),
    "Any": (Any, lambda api: None),
    "object": (object, lambda api: "x"),
    "date": (dt.date, lambda api: dt.date(2020, 1, 2)),
    "datetime": (dt.datetime, lambda api: dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
    "datetime with limits": (dt.datetime, lambda api: api.Query(gt=dt.datetime(2020, 1, 1))),
    "time": (dt.time, lambda api: dt.time(3, 4)),
    "timedelta": (dt.timedelta, lambda api: dt.timedelta(days=1, seconds=3690, microseconds=5)),
    "no timedelta": (dt.timedelta, lambda api: dt.timedelta()),
    "timedelta of days": (dt.timedelta, lambda api: dt.timedelta(days=-2)),
    "timedelta of hours": (dt.timedelta, lambda api: dt.timedelta(hours=2)),
    "UUID": (uuid.UUID, lambda api: uuid.UUID(int=5)),
    "path": (pathlib.Path, lambda api: pathlib.Path("a")),
    "IPv4": (ipaddress.IPv4Address, None),
    "IPv6": (ipaddress.IPv6Address, None),
    "Enum": (Colour, lambda api: Colour.RED),
    "Enum or None": (Colour | None, lambda api: api.Query(Colour.RED, description="d")),
    "Enum with title": (Colour, lambda api: api.Query(title="T", description="d")),
    "IntEnum": (Level, lambda api: Level.LOW),
    "Enum of two types": (Mixed, None),
    "list of Enum": (list[Colour], lambda api: api.Query()),
    "Literal": (Literal["a", "b"], lambda api: "a"),
    "Literal of one": (Literal["a"] | None, lambda api: None),
    "Literal of two types": (Literal["a", 1], None),
    "Literal with limits": (Literal["a", "b"], lambda api: api.Query(max_length=3)),
    "Literal that says a thing twice": (Literal["a", Colour.RED, "red"], None),
    "Literal of None": (Literal[None, "a"], None),
    "None alone": (Literal[None], lambda api: api.Query(None)),
    "union": (int | str, None),
    "union with limits": (int | str, lambda api: api.Query(gt=3)),
    "union or None with limits": (int | float | None, lambda api: api.Query(None, gt=3)),
    "union of texts with limits": (str | int, lambda api: api.Query(max_length=3)),
    "union of UUID": (uuid.UUID | int, lambda api: api.Query()),
    "None first": (Optional[str], lambda api: None),
    "NewType": (Id, None),
    "list": (list, lambda api: api.Query()),
    "list of dates": (list[dt.date], lambda api: api.Query([dt.date(2020, 1, 1)])),
    "list with limits": (list[str], lambda api: api.Query(min_length=2, max_length=3)),
    "list or None with limits": (list[int] | None, lambda api: api.Query(None, max_length=3)),
    "list of limited": (list[Annotated[str, MinLen(3)]], lambda api: api.Query([])),
    "set": (set[int], lambda api: api.Query({1})),
    "frozenset or None": (frozenset[int] | None, lambda api: api.Query(None, min_length=1)),
    "tuple": (tuple[int, str], lambda api: api.Query()),
    "tuple of any length": (tuple[int, ...], lambda api: api.Query(min_length=2)),
    "limits in Annotated": (Annotated[int, Gt(1), Lt(9)], lambda api: 3),
    "an interval": (Annotated[float, Interval(ge=1, lt=2)], lambda api: 1.5),
    "limits in both": (lambda api: Annotated[int, Ge(1), api.Query(lt=9)], lambda api: 3),
    "all that is said": (
        str,
        lambda api: api.Query(
            "x",
            title="T",
            description="d",
            examples=["a", None],
            deprecated=True,
            json_schema_extra={"x-own": 1, "type": "odd"},
        ),
    ),
    "deprecated by a text": (int, lambda api: api.Query(3, deprecated="Use another.")),
    "not deprecated": (
        lambda api: Annotated[int, pydantic.Field(deprecated=True), api.Query(deprecated=False)],
        None,
    ),
    "an example": (str, lambda api: api.Query("x", example="e")),
    "OpenAPI examples": (
        str,
        lambda api: api.Query("x", openapi_examples={"a": {"summary": "s", "value": 3}}),
    ),
    "a default that is made": (str, lambda api: api.Query(default_factory=str)),
    "extra by a function": (int, lambda api: api.Query(json_schema_extra=lambda s: s.update(a=1))),
    "no title": (str, lambda api: api.Query(title="")),
    "no description": (str, lambda api: api.Query(description="")),
    "an infinite default": (float, lambda api: float("inf")),
    "alias": (str, lambda api: api.Query(alias="item-query")),
    "validation alias": (str, lambda api: api.Query(alias="a", validation_alias="v")),
    "hidden": (str, lambda api: api.Query("x", include_in_schema=False)),
    "header": (str, lambda api: api.Header()),
    "header with underscores": (str, lambda api: api.Header(convert_underscores=False)),
    "cookie": (str, lambda api: api.Cookie()),
    "pydantic's limits": (
        lambda api: Annotated[int, pydantic.Field(gt=3), api.Query(lt=9)],
        None,
    ),
    "pydantic's words": (
        lambda api: Annotated[
            int, pydantic.Field(title="T", description="d", deprecated=True), api.Query()
        ],
        None,
    ),
    "pydantic's own type": (pydantic.HttpUrl, lambda api: api.Query(max_length=99)),
    "pydantic's validator": (
        Annotated[str | None, pydantic.AfterValidator(str)],
        lambda api: None,
    ),
}
BODIES: dict[str, tuple[Any, Any]] = {
    "str": (str, lambda api: api.Body()),
    "list": (list[int], lambda api: [1]),
    "dict": (dict[str, int], lambda api: api.Body({"a": 1}, min_length=2)),
    "dict of lists": (dict[str, list[int] | None], None),
    "dict by int": (dict[int, float], None),
    "dict by Enum": (dict[Colour, int], None),
    "dict by UUID": (dict[uuid.UUID, Any], None),
    "dict by texts with a pattern": (
        dict[Annotated[str, pydantic.StringConstraints(pattern="^a")], int],
        None,
    ),
    "dict by Literal": (dict[Literal["a"], int], None),
    "dict of what a parameter limits": (
        lambda api: dict[Annotated[str, api.Query(pattern="^a")], Annotated[int, api.Query(gt=1)]],
        None,
    ),
    "an example": (int, lambda api: api.Body(example=1)),
    "dict of None": (dict[str, None], None),
    "bare dict": (dict, None),
    "defaultdict": (collections.defaultdict[str, int], None),
    "deque": (collections.deque[int], None),
    "Sequence": (collections.abc.Sequence[int], None),
    "dataclass": (Order, None),
    "list of dataclass": (list[Order], lambda api: api.Body(min_length=1)),
    "dataclass or None": (Order | None, lambda api: None),
    "recursive dataclass": (Tree, None),
    "TypedDict": (Address, None),
    "embedded": (Order, lambda api: api.Body(embed=True, description="d")),
    "union of dataclasses": (Order | Tree, None),
    "media type": (str, lambda api: api.Body(media_type="text/plain")),
}


def endpoint(annotation, default, api, returned=Signature.empty):
    def read(**values): ...

    annotation = annotation(api) if inspect.isfunction(annotation) else annotation
    default = Parameter.empty if default is None else default(api)
    parameter = Parameter(
        "item_name", Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )
    read.__signature__ = Signature([parameter], return_annotation=returned)
    return read


# An example is deprecated, in favour of examples.
@pytest.fixture(autouse=True)
def _let_both_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastapi.exceptions.FastAPIDeprecationWarning)
        warnings.simplefilter("ignore", LamellaDeprecationWarning)
        yield


def document_of_fastapi(function):
    app = fastapi.FastAPI()
    app.post("/")(function)
    return app.openapi()


def document(function, **options):
    route = APIRoute("/", function, methods=["POST"], **options)
    return get_openapi(title="FastAPI", version="0.1.0", routes=[route])


@pytest.mark.parametrize(
    "case", [*PARAMETERS.values(), *BODIES.values()], ids=[*PARAMETERS, *BODIES]
)
def test_what_is_taken_in_is_described_as_fastapi_does(case):
    annotation, default = case
    expected = document_of_fastapi(endpoint(annotation, default, fastapi))
    assert expected == document(endpoint(annotation, default, lamella))


@pytest.mark.parametrize(
    "returned",
    [*(kind for kind, _ in BODIES.values() if not inspect.isfunction(kind)), Point],
)
def test_what_is_given_out_is_described_as_fastapi_does(returned):
    expected = document_of_fastapi(endpoint(int, None, fastapi, returned))
    assert expected == document(endpoint(int, None, lamella, returned))


def test_input_and_output_of_a_dataclass_are_told_apart_as_fastapi_does():
    expected = document_of_fastapi(endpoint(Order, None, fastapi, list[Order]))
    found = document(endpoint(Order, None, lamella, list[Order]))
    assert {"Order-Input", "Order-Output"} < expected["components"]["schemas"].keys()
    assert expected == found


# -- what FastAPI does not have --------------------------------------------------------------------


class Cat(msgspec.Struct, tag="cat"):
    """Purrs."""

    lives: Annotated[int, msgspec.Meta(ge=0, le=9, title="Lives left", description="d")]
    toys: list[str] = []
    owner: str | msgspec.UnsetType = msgspec.UNSET


class Dog(msgspec.Struct, tag="dog", rename="camel", forbid_unknown_fields=True):
    good_boy: bool = True


class Pair(msgspec.Struct, array_like=True, tag=True):
    first: int
    second: Annotated[str, msgspec.Meta(extra_json_schema={"x-own": 1})] = "b"


T = TypeVar("T")


class Bytes(pydantic.BaseModel):
    model_config = {"val_json_bytes": "base64", "ser_json_bytes": "base64"}

    encoded: bytes
    plain: "PlainBytes | None" = None


class PlainBytes(pydantic.BaseModel):
    plain: bytes


def test_bytes_of_pydantic_are_described_as_fastapi_does():
    expected = document_of_fastapi(endpoint(Bytes, None, fastapi, Bytes))
    assert expected == document(endpoint(Bytes, None, lamella, Bytes))


class Page(msgspec.Struct, Generic[T]):
    items: list[T]
    more: "Page[T] | None" = None


def schema_of(annotation, mode="validation", **options):
    schemas = Schemas(**options)
    schema = schemas.add(annotation, mode, "name")
    return schema, schemas.complete()


def test_a_struct_is_described_by_its_fields():
    schema, components = schema_of(Cat)
    assert {"$ref": REF.format("Cat")} == schema
    assert {
        "Cat": {
            "title": "Cat",
            "description": "Purrs.",
            "type": "object",
            "properties": {
                "type": {"title": "Type", "type": "string", "const": "cat"},
                "lives": {
                    "title": "Lives left",
                    "description": "d",
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 9,
                },
                "toys": {
                    "title": "Toys",
                    "type": "array",
                    "items": {"type": "string"},
                    "default": [],
                },
                "owner": {"title": "Owner", "type": "string"},
            },
            "required": ["type", "lives"],
        }
    } == components


def test_a_struct_is_described_as_it_is_written():
    """By its names in JSON, closed if it refuses others, and as an array if it is one."""
    _, components = schema_of(Dog | Pair)
    dog, pair = components["Dog"], components["Pair"]
    assert {"type", "goodBoy"} == dog["properties"].keys()
    assert dog["additionalProperties"] is False
    assert ("array", 2, 3) == (pair["type"], pair["minItems"], pair["maxItems"])
    assert {"title": "Second", "type": "string", "default": "b", "x-own": 1} == pair["prefixItems"][
        2
    ]


@pytest.mark.parametrize("kind", [Cat | Dog, list[Cat | Dog], dict[str, Cat | Dog | None]])
def test_a_union_of_tagged_structs_has_a_discriminator(kind):
    schema, components = schema_of(kind)
    union = schema.get("items") or schema.get("additionalProperties", schema)
    union = union["anyOf"][0] if "anyOf" in union else union
    assert {
        "propertyName": "type",
        "mapping": {"cat": REF.format("Cat"), "dog": REF.format("Dog")},
    } == union["discriminator"]
    assert [{"$ref": REF.format("Cat")}, {"$ref": REF.format("Dog")}] == union["oneOf"]
    assert {"Cat", "Dog"} == components.keys()


def test_a_generic_struct_is_named_by_its_types():
    schema, components = schema_of(Page[int])
    assert {"$ref": REF.format("Page_int_")} == schema
    assert {"$ref": REF.format("Page_int_")} == schema_of(Page[Annotated[int, Ge(1)]])[0]
    assert {} == schema_of(Page)[1]["Page"]["properties"]["items"]["items"]
    assert "Page[int]" == components["Page_int_"]["title"]
    assert {"type": "integer"} == components["Page_int_"]["properties"]["items"]["items"]
    assert [{"$ref": REF.format("Page_int_")}, {"type": "null"}] == components["Page_int_"][
        "properties"
    ]["more"]["anyOf"]


def test_classes_of_attrs_are_described():
    @attrs.define
    class Car:
        wheels: int
        name: str = "x"
        seats: list[int] = attrs.Factory(list)

    _, components = schema_of(Car)
    assert ["wheels"] == components["Car"]["required"]
    assert {"wheels", "name", "seats"} == components["Car"]["properties"].keys()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with Python 3.12")
def test_a_type_statement_has_a_name():
    names = {"__name__": "names"}
    exec("type Ids = list[int]\ntype Pairs[T] = dict[str, T]", names)
    ids, pairs = names["Ids"], names["Pairs"]
    schema, components = schema_of(dict[str, ids | pairs[int]])
    assert {
        "Ids": {"type": "array", "items": {"type": "integer"}},
        "Pairs_int_": {"type": "object", "additionalProperties": {"type": "integer"}},
    } == components
    assert [{"$ref": REF.format("Ids")}, {"$ref": REF.format("Pairs_int_")}] == schema[
        "additionalProperties"
    ]["anyOf"]


VALUES = [
    (Order(1, {"street": "s"}, rates={"a": D(2)}), Order),
    (Cat(3, ["ball"]), Cat | Dog),
    (Pair(1), Pair),
    (Page([1], Page([])), Page[int]),
    ({Colour.RED: {1, 2}}, dict[Colour, set[int]]),
    ((1, "a"), tuple[int, str]),
    ([dt.date(2020, 1, 1), uuid.UUID(int=1), None], list[dt.date | uuid.UUID | None]),
]


@pytest.mark.parametrize(("value", "kind"), VALUES, ids=lambda one: getattr(one, "__name__", None))
def test_what_msgspec_writes_fits_the_schema(value, kind):
    schema, components = schema_of(kind, "serialization")
    whole = {**schema, "components": {"schemas": components}}
    written = msgspec.json.decode(msgspec.json.encode(value))
    jsonschema.Draft202012Validator(whole).validate(written)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(whole).validate({"": object()})


# -- names -----------------------------------------------------------------------------------------


def named(name, module, base=msgspec.Struct, **fields):
    if base is msgspec.Struct:
        return msgspec.defstruct(name, list(fields.items()), module=module)
    return pydantic.create_model(
        name, __module__=module, **{key: (kind, ...) for key, kind in fields.items()}
    )


def test_two_classes_of_one_name_have_their_modules_in_front():
    """Whichever comes first, so that a client's names do not depend on the order of routes."""
    one, other = named("Item", "a.b", x=int), named("Item", "c", x=str)
    for kinds in ((one, other), (other, one)):
        schemas = Schemas()
        found = [schemas.add(kind, "validation", "n") for kind in kinds]
        components = schemas.complete()
        assert {"a__b__Item", "c__Item"} == components.keys()
        places = ["a__b" if kind is one else "c" for kind in kinds]
        assert [{"$ref": REF.format(f"{place}__Item")} for place in places] == found


def test_two_classes_that_are_called_and_made_alike_share_a_name():
    schemas = Schemas()
    for module in ("a", "b"):
        schemas.add(named("Item", module, x=int), "validation", "n")
    assert {"Item"} == schemas.complete().keys()


def test_two_classes_of_one_name_and_one_module_are_numbered():
    schemas = Schemas()
    found = [
        schemas.add(named("Item", "a", x=kind), "validation", "n") for kind in (int, str, bool)
    ]
    components = schemas.complete()
    assert 3 == len(components) == len({schema["$ref"] for schema in found})
    shown = [components[schema["$ref"].removeprefix(PREFIX)] for schema in found]
    types = [schema["properties"]["x"]["type"] for schema in shown]
    assert ["integer", "string", "boolean"] == types


def test_a_struct_gives_way_to_a_model_of_pydantic():
    """Which pydantic names by itself, and FastAPI's clients know by that."""
    schemas = Schemas()
    struct = schemas.add(named("Item", "a", x=int), "validation", "n")
    model = schemas.add(named("Item", "a", base=pydantic.BaseModel, y=int), "validation", "n")
    assert {"Item", "a__Item"} == schemas.complete().keys()
    assert [REF.format("a__Item"), REF.format("Item")] == [struct["$ref"], model["$ref"]]


def test_families_in_one_another_refer_to_each_other():
    class Inner(pydantic.BaseModel):
        url: pydantic.HttpUrl
        price: D

    class Outer(msgspec.Struct):
        inner: dict[str, Inner]
        url: pydantic.HttpUrl | None = None
        text: Annotated[str, pydantic.StringConstraints(max_length=3)] = ""

    for mode, suffix in (("validation", "-Input"), ("serialization", "-Output")):
        schemas = Schemas()
        first = schemas.add(Outer, mode, "n")
        schemas.add(Outer, "serialization" if mode == "validation" else "validation", "n")
        components = schemas.complete()
        assert {f"{n}{s}" for n in ("Inner", "Outer") for s in ("-Input", "-Output")} == set(
            components
        )
        assert REF.format(f"Outer{suffix}") == first["$ref"]
        properties = components[f"Outer{suffix}"]["properties"]
        assert REF.format(f"Inner{suffix}") == properties["inner"]["additionalProperties"]["$ref"]
        assert "uri" == properties["url"]["anyOf"][0]["format"]
        assert 3 == properties["text"]["maxLength"]


def test_input_and_output_are_one_if_that_is_asked_for():
    class Computing(pydantic.BaseModel):
        price: D

        @pydantic.computed_field
        def double(self) -> int:
            return 2

    schemas = Schemas(separate=False)

    class Nested(pydantic.BaseModel):
        more: "list[Nested]"

    for kind in (Order, Computing, list[Nested | None]):
        for mode in ("validation", "serialization"):
            schemas.add(kind, mode, "n")
    # What is computed is not taken in, whatever is asked for.
    assert {
        "Order",
        "Address",
        "Colour",
        "Point",
        "Computing-Input",
        "Computing-Output",
        "Nested",
    } == schemas.complete().keys()


def test_unions_are_shown_in_the_order_they_are_written():
    """Though Python takes them for equal."""
    schemas = Schemas()
    one = schemas.add(dict[str, int | str], "validation", "n")
    other = schemas.add(typing.Union[str, int], "validation", "n")
    schemas.complete()
    assert {"additionalProperties": [{"type": "integer"}, {"type": "string"}]} == {
        "additionalProperties": one["additionalProperties"]["anyOf"]
    }
    assert [{"type": "string"}, {"type": "integer"}] == other["anyOf"]


def test_what_cannot_be_hashed_may_stand_in_annotated():
    schema, _ = schema_of(Annotated[list[int], {"a": []}, Len(1)])
    assert {"title": "Name", "type": "array", "items": {"type": "integer"}, "minItems": 1} == schema


def test_a_document_without_pydantics_types_does_not_import_it():
    program = """
import sys, enum, dataclasses, msgspec
from lamella import Lamella, Query
app = Lamella()
class Item(msgspec.Struct):
    name: str
class Colour(enum.Enum):
    RED = "red"
@app.post("/items/{item_id}")
async def save(item_id: int, item: Item, q: Colour | None = Query(None, description="d")) -> list[Item]: ...
assert {"Item", "Colour"} < app.openapi()["components"]["schemas"].keys()
print(sorted(name for name in sys.modules if name.startswith("pydantic")))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "[]" == ran.stdout.strip()
