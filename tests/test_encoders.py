"""``jsonable_encoder``: compared with FastAPI's on all that FastAPI knows, and what is beyond it."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import json
import pathlib
import re
import subprocess
import sys
import types
import uuid
from typing import Any, NamedTuple

import attrs
import fastapi.encoders
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticUndefined, Url

from lamella.encoders import jsonable_encoder


class Size(enum.Enum):
    SMALL = "s"
    TALL = 2.5


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    HELLO = "hello"


class Labelled(str, enum.Enum):
    """A text that its value is not."""

    ONE = "one", "uno"

    def __new__(cls, text: str, value: str) -> "Labelled":
        made = str.__new__(cls, text)
        made._value_ = value
        return made


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Point(NamedTuple):
    x: int
    y: dt.date


class Inner(pydantic.BaseModel):
    when: dt.datetime | None = None
    tags: list[str] = []


class Model(pydantic.BaseModel):
    name: str = pydantic.Field("n", alias="Name")
    inner: Inner = Inner()
    price: decimal.Decimal = decimal.Decimal("1.50")
    anything: Any = None


class Rooted(pydantic.RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Part:
    size: Size
    note: str | None = None


@dataclasses.dataclass
class Whole_:
    parts: list[Part]
    by_name: dict[str, Part]
    model: Inner | None = None
    hidden: int = dataclasses.field(default=1, repr=False)


@pydantic.dataclasses.dataclass
class Checked:
    a: int
    b: dt.date | None = None


class Plain:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Pairs:
    def __iter__(self):
        yield from [("a", 1), ("b", Size.SMALL)]


class MappingLike(collections.abc.Mapping):
    def __getitem__(self, key):
        return {"a": dt.date(2020, 1, 2)}[key]

    def __iter__(self):
        return iter(["a"])

    def __len__(self):
        return 1


class LikeUUID:
    """As the UUIDs of asyncpg are."""

    __slots__ = ()

    @property
    def __class__(self):
        return uuid.UUID

    def __str__(self):
        return "5"


@attrs.define(slots=False)
class Attributed:
    a: int
    _private: int = 2


UTC = dt.UTC
VALUES = {
    "text": "a",
    "number": 1,
    "float": 1.5,
    "true": True,
    "none": None,
    "text of its own": Text("a"),
    "number of its own": Whole(3),
    "enum": Size.TALL,
    "int enum": Level.LOW,
    "str enum": Word.HELLO,
    "enum whose text is not its value": Labelled.ONE,
    "bytes": "ä".encode(),
    "date": dt.date(2020, 1, 2),
    "datetime": dt.datetime(2020, 1, 2, 3, 4, 5, 600000),
    "datetime with a zone": dt.datetime(2020, 1, 2, tzinfo=UTC),
    "time": dt.time(1, 2, 3),
    "timedelta": dt.timedelta(days=1, microseconds=5),
    "decimal": decimal.Decimal("1.10"),
    "whole decimal": decimal.Decimal("1E+2"),
    "uuid": uuid.UUID(int=5),
    "path": pathlib.Path("/a/b"),
    "windows path": pathlib.PureWindowsPath("c:/a"),
    "pattern": re.compile("a+"),
    "ipv4": ipaddress.ip_address("127.0.0.1"),
    "ipv6 network": ipaddress.ip_network("::/64"),
    "ipv4 interface": ipaddress.ip_interface("10.0.0.1/8"),
    "deque": collections.deque([1, Size.SMALL]),
    "tuple": (1, dt.date(2020, 1, 2)),
    "named tuple": Point(1, dt.date(2020, 1, 2)),
    "frozenset": frozenset((1,)),
    "nested": {"a": [{"b": (1, {"c": decimal.Decimal("2.5")})}]},
    "keys": {1: 1, None: 2, 1.5: 3, Size.SMALL: 4, uuid.UUID(int=1): 5, b"b": 6},
    "keys of sqlalchemy": {"_sa_instance_state": object(), "_sax": 1, "a": {"_sa": 1}},
    "ordered": collections.OrderedDict(a=1),
    "defaultdict": collections.defaultdict(list, a=[1]),
    "mapping": MappingLike(),
    "proxy": types.MappingProxyType({"a": 1}),
    "pairs": Pairs(),
    "object": Plain(a=1, _b=dt.date(2020, 1, 2), _sa_x=3, c=None),
    "namespace": types.SimpleNamespace(a=Plain(b=1)),
    "function": lambda: None,
    "model": Model(Name="x", anything={"d": dt.datetime(2020, 1, 2, tzinfo=UTC), "n": None}),
    "models": [Inner(), {"k": Inner(tags=["a"])}],
    "root model": Rooted([1, 2]),
    "dataclass": Whole_([Part(Size.SMALL)], {"x": Part(Size.TALL, "n")}, Inner(tags=["t"])),
    "pydantic dataclass": Checked(1),
    "url": pydantic.AnyUrl("http://a.b/c"),
    "http url": pydantic.HttpUrl("http://a.b"),
    "core url": Url("http://a.b"),
    "secret": pydantic.SecretStr("s3cret"),
    "secret bytes": pydantic.SecretBytes(b"s3cret"),
    "undefined": PydanticUndefined,
    "attrs": Attributed(1),
    "of another class as it says": LikeUUID(),
}
OPTIONS = {
    "none": {},
    "include": {"include": {"a", "name", "parts", "inner"}},
    "include list": {"include": ["a", "name"]},
    "include nested": {"include": {"inner": {"tags"}}},
    "exclude": {"exclude": {"a", "name", "hidden"}},
    "exclude tuple": {"exclude": ("a", "model")},
    "by name": {"by_alias": False},
    "unset": {"exclude_unset": True},
    "defaults": {"exclude_defaults": True},
    "not none": {"exclude_none": True},
    "custom": {"custom_encoder": {dt.date: lambda d: d.year, str: str.upper}},
    "custom exact": {"custom_encoder": {Inner: lambda m: "inner", Size: lambda s: s.name}},
    "unsafe": {"sqlalchemy_safe": False},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_the_outcome_is_that_of_fastapi(value, options):
    def outcome(encoder):
        try:
            return encoder(value, **options)
        except (ValueError, TypeError, pydantic.PydanticUserError) as exc:
            return type(exc)

    expected, found = outcome(fastapi.encoders.jsonable_encoder), outcome(jsonable_encoder)
    assert expected == found
    assert repr(expected) == repr(found)  # 1, 1.0 and True are equal


def test_a_generator_is_read_as_by_fastapi():
    made = [encode(Size(s) for s in ("s",)) for encode in (jsonable_encoder, list)]
    assert [["s"], [Size.SMALL]] == made


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
    | st.uuids()
    | st.sampled_from([*Size, *Level, *Labelled])
    | st.builds(Inner, tags=st.lists(st.text()))
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.dates(), inner)
        | st.tuples(inner, inner)
        | st.builds(Part, size=inner, note=inner)
    ),
    max_leaves=8,
)


@given(trees)
def test_any_tree_comes_out_as_from_fastapi(value):
    expected = fastapi.encoders.jsonable_encoder(value)
    assert repr(expected) == repr(jsonable_encoder(value))


class Address(msgspec.Struct, rename="camel"):
    street_name: str
    zip_code: int | None = None


class Guarded(Address):
    secret: str = "s"


class User(msgspec.Struct, tag=True):
    name: str
    address: Address
    born: dt.date | None = None
    nick: str | msgspec.UnsetType = msgspec.UNSET


def test_a_struct_says_itself_as_msgspec_writes_it():
    user = User("Ann", Address("Road", 1), dt.date(2000, 1, 2))
    assert json.loads(msgspec.json.encode(user)) == jsonable_encoder(user)
    assert [msgspec.to_builtins(user)] == jsonable_encoder([user])


def test_a_struct_shows_no_field_of_a_subclass_that_stands_in_it():
    user = User("Ann", Guarded("Road", 1, secret="x"))
    assert {"streetName": "Road", "zipCode": 1} == jsonable_encoder(user)["address"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": {"street_name"}}, {"streetName": "Road"}),
        ({"exclude": {"street_name"}}, {"zipCode": None}),
        ({"by_alias": False}, {"street_name": "Road", "zip_code": None}),
        ({"exclude_none": True}, {"streetName": "Road"}),
        ({"exclude_defaults": True}, {"streetName": "Road"}),
        ({"exclude_unset": True}, {"streetName": "Road"}),
    ],
)
def test_the_options_hold_for_structs(options, expected):
    assert expected == jsonable_encoder(Address("Road"), **options)


def test_what_stands_in_a_struct_and_is_not_msgspecs_is_encoded_too():
    class Holder(msgspec.Struct):
        model: Any
        path: pathlib.Path
        own: Any

    held = Holder(Inner(tags=["a"]), pathlib.Path("/a"), [Text("a"), Whole(3), {1: Text("b")}])
    expected = {"model": {"when": None, "tags": ["a"]}, "path": "/a", "own": ["a", 3, {"1": "b"}]}
    assert expected == jsonable_encoder(held)


def test_a_struct_that_is_not_what_it_declares_is_a_clear_error():
    with pytest.raises(ValueError, match="Expected the fields of User to be what it declares"):
        jsonable_encoder(User("Ann", 5))


def test_an_attrs_class_with_slots_is_encoded():
    @attrs.define
    class Slotted:
        a: int
        when: dt.date

    assert {"a": 1, "when": "2020-01-02"} == jsonable_encoder(Slotted(1, dt.date(2020, 1, 2)))


def test_a_custom_encoder_holds_within_dataclasses():
    """FastAPI takes nested dataclasses apart first, and finds no encoder for them then."""
    value = Whole_([Part(Size.SMALL)], {})
    found = jsonable_encoder(value, custom_encoder={Part: lambda part: part.size.name})
    assert ["SMALL"] == found["parts"]


def test_a_value_that_holds_itself_is_a_clear_error():
    own: list[Any] = []
    own.append(own)
    parent = Plain(name="p")
    parent.children = [Plain(parent=parent)]
    for value in (own, parent):
        with pytest.raises(ValueError, match="holds itself, or is nested too deep"):
            jsonable_encoder(value)


@pytest.mark.parametrize(
    ("value", "words"), [(object(), "got object: <object"), (5j, r"got complex: 5j")]
)
def test_what_cannot_be_taken_apart_is_a_clear_error(value, words):
    with pytest.raises(ValueError, match=words):
        jsonable_encoder(value)


def test_what_raises_when_it_is_taken_apart_is_a_clear_error():
    class Closed:
        @property
        def __dict__(self):
            raise NotImplementedError

    with pytest.raises(ValueError, match="got Closed"):
        jsonable_encoder(Closed())


def test_a_forgotten_await_is_named():
    async def fetch():
        pass

    coroutine = fetch()
    with pytest.raises(ValueError, match="is an await missing"):
        jsonable_encoder(coroutine)
    coroutine.close()


def test_pydantic_is_not_imported_for_it():
    code = (
        "import sys, datetime, dataclasses; from lamella.encoders import jsonable_encoder as e;"
        "C = dataclasses.make_dataclass('C', ['a']);"
        "e([C(1), datetime.date.today(), {'a': type('T', (), {})()}]);"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
