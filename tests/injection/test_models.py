"""Whose types these are, and which fields they have."""

import dataclasses
import enum
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)

import annotated_types as at
import attrs
import msgspec
import pydantic.dataclasses
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    HttpUrl,
    SecretStr,
)

from lamella.datastructures import UploadFile
from lamella.exceptions import StackError
from lamella.injection.models import family_of, field_names, is_model, is_scalar, is_sequence
from lamella.params import REQUIRED


class Color(enum.Enum):
    RED = "red"


class Struct(msgspec.Struct, rename="camel"):
    first_name: str
    age: int = 3
    tags: list[str] = []


@dataclasses.dataclass
class Plain:
    size: int
    name: str = "n"
    tags: list[str] = dataclasses.field(default_factory=list)


class Model(BaseModel):
    first_name: str
    age: int = 3
    tags: list[str] = []
    item_id: Annotated[int | None, Field(alias="itemId")] = None
    either: int = Field(default=1, validation_alias=AliasChoices("one", "uno"))


class Open(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    item_id: int = Field(alias="itemId")


@pydantic.dataclasses.dataclass
class Theirs:
    size: int = 1


@attrs.define
class Item:
    size: int
    name: str = "n"


class Point(TypedDict):
    x: int
    y: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: int = 2


class Holder(msgspec.Struct):
    model: Model


@dataclasses.dataclass
class PlainHolder:
    model: Model
    children: "list[PlainHolder]"


class Node(msgspec.Struct):
    children: "list[Node]"


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    item: T


UserId = NewType("UserId", int)


@pytest.mark.parametrize(
    ("annotation", "family"),
    [
        *(
            (annotation, "scalar")
            for annotation in (str, int | None, list[int], list, Sequence[str], set[Color], Any, None, datetime, UserId,
                               Literal["a"], UploadFile, list[UploadFile] | None, Annotated[int, at.Gt(1)], deque[int],
                               tuple[int, ...], tuple[int, str], Annotated[int, msgspec.Meta(gt=1)], Optional[Color])
        ),
        *(
            (annotation, "msgspec")
            for annotation in (Struct, Plain, Item, Point, Pair, dict, dict[str, int], Mapping[str, Any], list[Struct],
                               Struct | None, Struct | Plain, Holder, list[Holder | Model], Node, Box[int], Box[Model])
        ),
        *(
            (annotation, "pydantic")
            for annotation in (Model, list[Model], Model | None, dict[str, Model], Theirs, PlainHolder, HttpUrl, EmailStr,
                               SecretStr | None, Annotated[int, Field(gt=1)], Annotated[str, AfterValidator(str.upper)],
                               list[Annotated[int, Field(gt=1)]], Model | Plain)
        ),
    ],
)  # fmt: skip
def test_the_family_of_a_type(annotation: Any, family: str) -> None:
    assert family_of(annotation) == family


class Unknown:
    pass


@pytest.mark.parametrize(
    "annotation", [Unknown, list[Unknown], 5, complex, dict[str, Unknown], Unknown | None]
)
def test_a_type_of_no_family_is_refused(annotation: Any) -> None:
    with pytest.raises(StackError, match="write a msgspec.Struct, a pydantic model, a dataclass"):
        family_of(annotation)


def test_a_model_of_pydantics_first_version_is_refused() -> None:
    base = type("BaseModel", (), {"__module__": "pydantic.v1.main"})
    with pytest.raises(StackError, match="Expected a model of pydantic 2, got Old of pydantic.v1"):
        family_of(type("Old", (base,), {}))


@pytest.mark.parametrize(
    ("annotation", "sequence"),
    [
        (list, True), (list[int], True), (Sequence[str], True), (set[int] | None, True), (tuple[int, ...], True),
        (deque[int], True), (Annotated[list[int], at.MinLen(1)], True), (int | list[int], True), (frozenset, True),
        (str, False), (bytes, False), (int, False), (Pair, False), (dict[str, int], False), (Model, False), (Any, False),
        (Struct, False), (Color, False), (str | None, False),
    ],
)  # fmt: skip
def test_which_types_take_every_value_of_a_name(annotation: Any, sequence: bool) -> None:
    assert is_sequence(annotation) is sequence


@pytest.mark.parametrize(
    ("annotation", "model", "scalar"),
    [
        *((cls, True, False) for cls in (Struct, Plain, Item, Point, Pair, Model, Theirs, Box[int], Annotated[Model, 1])),
        *((cls, False, False) for cls in (dict, dict[str, int], list[int], list[Model], Mapping[str, int], list[int] | None)),
        *((cls, False, True) for cls in (int, str | None, Color, HttpUrl, EmailStr, UserId, Any, Literal["a"])),
    ],
)  # fmt: skip
def test_which_types_have_fields_and_which_are_single_values(
    annotation: Any, model: bool, scalar: bool
) -> None:
    assert (is_model(annotation), is_scalar(annotation)) == (model, scalar)


def told(annotation: Any) -> list[tuple[Any, ...]]:
    return [(one.name, one.alias, one.required, one.default) for one in field_names(annotation)]


def test_the_fields_of_a_struct_go_by_their_names_in_json() -> None:
    assert told(Struct) == [
        ("first_name", "firstName", True, REQUIRED),
        ("age", "age", False, 3),
        ("tags", "tags", False, REQUIRED),
    ]


def test_the_fields_of_pydantics_models_go_by_their_aliases() -> None:
    assert told(Model) == [
        ("first_name", "first_name", True, REQUIRED),
        ("age", "age", False, 3),
        ("tags", "tags", False, []),
        ("item_id", "itemId", False, None),
        ("either", "one", False, 1),
    ]
    assert [one.names for one in field_names(Model)][-1] == ("one", "uno")
    assert field_names(Open)[0].names == ("itemId", "item_id")
    assert told(Theirs) == [("size", "size", False, 1)]


def test_the_fields_of_other_classes() -> None:
    assert told(Plain) == [
        ("size", "size", True, REQUIRED),
        ("name", "name", False, "n"),
        ("tags", "tags", False, REQUIRED),
    ]
    assert told(Item) == [("size", "size", True, REQUIRED), ("name", "name", False, "n")]
    assert told(Point) == [("x", "x", True, REQUIRED), ("y", "y", False, REQUIRED)]
    assert told(Pair) == [("left", "left", True, REQUIRED), ("right", "right", False, 2)]
    assert [one.annotation for one in field_names(Box[int])] == [int]


def test_the_fields_of_a_union_are_those_of_its_members() -> None:
    assert [one.alias for one in field_names(Union[Item, Point, None])] == [
        "size",
        "name",
        "x",
        "y",
    ]


def test_pydantic_is_not_imported_for_types_that_are_not_its_own() -> None:
    program = """
import sys, dataclasses, typing, msgspec
from lamella.injection.decode import json_decoder, text_decoder, object_decoder
from lamella.params import Query
class S(msgspec.Struct): a: int
@dataclasses.dataclass
class D: s: S
for annotation in (S, D, list[int], dict[str, S], int, S | None):
    json_decoder(annotation), object_decoder(annotation)
text_decoder(int, Query(gt=3))
print([name for name in ("pydantic", "annotated_types") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
