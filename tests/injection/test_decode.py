"""From bytes, texts and parsed values to typed values, or to errors that a client understands."""

import base64
import dataclasses
import enum
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import annotated_types as at
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from lamella.datastructures import UploadFile
from lamella.exceptions import StackError
from lamella.injection import decode
from lamella.injection.decode import (
    Invalid,
    identity,
    json_decoder,
    object_decoder,
    read_json,
    text_decoder,
)
from lamella.params import Body, Cookie, Form, Header, Query


class Color(enum.Enum):
    RED = "red"


class Line(msgspec.Struct):
    sku: str
    amount: int = 1
    price: Decimal = Decimal(0)


class Order(msgspec.Struct):
    number: int
    lines: list[Line]
    made: datetime | None = None


class Model(BaseModel):
    number: int
    name: str | None = None


ORDER = b'{"number": 1, "lines": [{"sku": "a", "amount": 2, "price": 1.50}], "made": "2020-01-02T03:04:05Z"}'


def errors_of(decode: Any, value: Any) -> list[Any]:
    with pytest.raises(Invalid) as caught:
        decode(value)
    return [(error["type"], error["loc"]) for error in caught.value.errors]


def test_a_struct_comes_straight_from_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "read_json", None)
    expected = Order(1, [Line("a", 2, Decimal("1.50"))], datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert json_decoder(Order)(ORDER) == expected


def test_what_msgspec_refuses_is_taken_as_clients_of_pydantic_send_it() -> None:
    body = b'{"number": "1", "lines": [{"sku": "a", "amount": 2.0}], "made": 1577934245}'
    made = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert json_decoder(Order)(body) == Order(1, [Line("a", 2)], made)


def test_the_text_null_is_not_none() -> None:
    assert errors_of(json_decoder(Order), b'{"number": 1, "lines": [], "made": "null"}') == [
        ("datetime_from_date_parsing", ("made",))
    ]


def test_all_errors_of_a_body_are_told() -> None:
    body = b'{"number": "x", "lines": [{"sku": 5}, {"amount": []}, 7]}'
    assert errors_of(json_decoder(Order), body) == [
        ("int_parsing", ("number",)),
        ("string_type", ("lines", 0, "sku")),
        ("missing", ("lines", 1, "sku")),
        ("int_type", ("lines", 1, "amount")),
        ("model_attributes_type", ("lines", 2)),
    ]


@pytest.mark.parametrize("body", [b"", b"{", b"[1,]", b'{"a":1}x', b"{'a':1}", b"tru", b'{"a" 1}', b'"\x01"', b"01", b"\xef\xbb\xbf{}", b"  "])  # fmt: skip
@pytest.mark.parametrize("annotation", [Order, Model, int, Any, list[Model], dict[str, int]])
def test_malformed_json_is_told_in_the_words_of_pythons_json(annotation: Any, body: bytes) -> None:
    with pytest.raises(json.JSONDecodeError) as theirs:
        json.loads(body.decode())
    with pytest.raises(Invalid) as caught:
        json_decoder(annotation)(body)
    assert caught.value.errors == [
        {
            "type": "json_invalid",
            "loc": (theirs.value.pos,),
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": theirs.value.msg},
        }
    ]


@pytest.mark.parametrize(
    ("body", "position", "why"),
    [
        (b'{"a": NaN}', 6, "Invalid character"),
        (b"[Infinity]", 1, "Invalid character"),
        (b"[1e400]", 0, "Number out of range"),
        (b"1" * 5000, 0, "Integer value out of range"),
        (b'"\\ud800"', 0, "Unpaired surrogate"),
        (b'{"a": "\xff"}', 7, "Invalid UTF-8"),
        (b"\xff\xfe{\x00}\x00", 0, "Invalid UTF-8"),
        (b"[" * 100_000, 0, "Expected values nested less deeply"),
        (b'{"a":' * 100_000, 0, "Expected values nested less deeply"),
    ],
)
@pytest.mark.parametrize("annotation", [Any, Order, Model, list[int]])
def test_what_no_json_is_and_python_takes_for_it_is_malformed(
    annotation: Any, body: bytes, position: int, why: str
) -> None:
    with pytest.raises(Invalid) as caught:
        json_decoder(annotation)(body)
    (error,) = caught.value.errors
    assert (error["type"], error["loc"], error["ctx"]) == (
        "json_invalid",
        (position,),
        {"error": why},
    )


bodies = st.binary(max_size=30) | st.builds(
    lambda at, byte: ORDER[:at] + byte + ORDER[at + 1 :],
    st.integers(0, len(ORDER)),
    st.binary(max_size=2),
)


@given(bodies)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    for decoder in DECODERS:
        try:
            decoder(body)
        except Invalid as exc:
            assert exc.errors


DECODERS = [json_decoder(annotation) for annotation in (Order, Model, Any, list[int], int | None)]


@pytest.mark.parametrize("body", [b"5", b'"5"', b"null", b"[]", b'"x"', b"true", b"5.5", b"{}"])
@pytest.mark.parametrize(
    "annotation",
    [int, str, bool, float, int | None, list[int], Color, Literal["x"], UUID, datetime, bytes, Any],
)
def test_a_single_value_is_read_as_by_pydantic(annotation: Any, body: bytes) -> None:
    try:
        expected: Any = TypeAdapter(annotation).validate_python(json.loads(body))
    except ValidationError as exc:
        expected = [(error["type"], error["loc"]) for error in exc.errors()]
        assert errors_of(json_decoder(annotation), body) == expected
    else:
        assert json_decoder(annotation)(body) == expected


def test_what_a_body_demands_is_checked() -> None:
    assert json_decoder(int, Body(gt=3))(b"4") == 4
    assert errors_of(json_decoder(int, Body(gt=3)), b"3") == [("greater_than", ())]
    assert errors_of(json_decoder(list[Line], Body(min_length=1)), b"[]") == [("too_short", ())]


def test_metadata_that_msgspec_does_not_know_is_honoured() -> None:
    class Item(msgspec.Struct):
        size: Annotated[int, at.Gt(3)]

    assert json_decoder(Item)(b'{"size": 4}') == Item(4)
    assert errors_of(json_decoder(Item), b'{"size": 3}') == [("greater_than", ("size",))]


def test_a_client_sets_no_field_that_a_class_sets_itself() -> None:
    @dataclasses.dataclass
    class Account:
        name: str
        is_admin: bool = dataclasses.field(default=False, init=False)

    account = json_decoder(Account)(b'{"name": "a", "is_admin": true}')
    assert account.is_admin is False
    assert object_decoder(Account)({"name": "a", "is_admin": True}).is_admin is False


@pytest.mark.parametrize("price", ["NaN", "sNaN", "-Infinity", "inf", "\\u004eaN", "n\\u0061n"])
def test_a_decimal_is_a_number(price: str) -> None:
    body = f'{{"sku": "a", "price": "{price}"}}'.encode()
    assert errors_of(json_decoder(Line), body) == [("finite_number", ("price",))]
    assert errors_of(object_decoder(Line), json.loads(body)) == [("finite_number", ("price",))]


@pytest.mark.parametrize("name", ["a\\n", "a\\u000a", "a\\u000A"])
def test_a_dollar_in_a_pattern_lets_no_newline_through(name: str) -> None:
    class Named(msgspec.Struct):
        name: Annotated[str, msgspec.Meta(pattern="^a$")]

    body = f'{{"name": "{name}"}}'.encode()
    assert json_decoder(Named)(b'{"name": "a"}') == Named("a")
    assert errors_of(json_decoder(Named), body) == [("string_pattern_mismatch", ("name",))]
    assert errors_of(object_decoder(Named), json.loads(body)) == [
        ("string_pattern_mismatch", ("name",))
    ]


def test_bytes_in_json_of_models_are_base64_and_else_texts() -> None:
    class Blob(msgspec.Struct):
        data: bytes

    encoded = base64.b64encode(b"\xff\x00").decode()
    assert json_decoder(Blob)(json.dumps({"data": encoded}).encode()) == Blob(b"\xff\x00")
    assert object_decoder(Blob, Body())({"data": encoded}) == Blob(b"\xff\x00")
    assert errors_of(json_decoder(Blob), b'{"data": "!"}') == [
        ("bytes_invalid_encoding", ("data",))
    ]
    assert object_decoder(Blob, Form())({"data": "é"}) == Blob("é".encode())
    assert json_decoder(bytes)('"é"'.encode()) == "é".encode()


def test_types_that_msgspec_does_not_know_are_decoded_within_its_own() -> None:
    class Place(msgspec.Struct):
        path: Path
        model: Model

    place = json_decoder(Place)(b'{"path": "a/b", "model": {"number": "5"}}')
    assert place == Place(Path("a/b"), Model(number=5))
    assert errors_of(json_decoder(Place), b'{"path": 5, "model": {}}') == [
        ("path_type", ("path",)),
        ("missing", ("model", "number")),
    ]


def test_pydantic_validates_its_own() -> None:
    assert json_decoder(Model)(b'{"number": "5"}') == Model(number=5)
    assert errors_of(json_decoder(Model), b'{"name": 1}') == [
        ("missing", ("number",)),
        ("string_type", ("name",)),
    ]
    assert errors_of(json_decoder(Model), b"[]") == [("model_attributes_type", ())]
    assert text_decoder(Annotated[int, Field(gt=3)])("5") == 5
    assert errors_of(text_decoder(Annotated[int, Field(gt=3)], Query(lt=9)), "9") == [
        ("less_than", ())
    ]


def test_errors_of_pydantic_have_no_address_of_its_site_and_keep_the_exception() -> None:
    class Checked(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def check(cls, value: str) -> str:
            raise ValueError("never")

    with pytest.raises(Invalid) as caught:
        json_decoder(Checked)(b'{"name": "a"}')
    (error,) = caught.value.errors
    assert list(error) == ["type", "loc", "msg", "input", "ctx"]
    assert isinstance(error["ctx"]["error"], ValueError)


def test_bytes_of_a_pydantic_model_are_what_its_config_says() -> None:
    class Blob(BaseModel):
        model_config = ConfigDict(val_json_bytes="base64")
        data: bytes

    assert json_decoder(Blob)(b'{"data": "YQ=="}').data == b"a"


def test_a_discriminator_of_the_parameter_is_pydantics() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]
        size: int

    decoder = json_decoder(Cat | Dog, Body(discriminator="kind"))
    assert errors_of(decoder, b'{"kind": "dog"}') == [("missing", ("dog", "size"))]
    assert errors_of(decoder, b"{}") == [("union_tag_not_found", ())]


def test_a_type_that_pydantic_cannot_read_is_refused_at_once() -> None:
    class Odd(TypedDict):
        model: Model
        odd: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(StackError, match="Nowhere"):
        json_decoder(Odd)


class Filters(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(gt=0, le=100)] = 100
    order: Literal["a", "b"] = "a"
    tags: list[str] = []


class FiltersModel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    limit: int = Field(100, gt=0, le=100)
    order: Literal["a", "b"] = "a"
    tags: list[str] = []


@pytest.mark.parametrize("info", [Query(), Header(), Cookie(), Form()])
@pytest.mark.parametrize("model", [Filters, FiltersModel])
def test_a_model_of_parameters_is_read_from_their_texts(model: Any, info: Any) -> None:
    decoder = object_decoder(model, info)
    read = decoder({"limit": "5", "tags": ["x", "y"]})
    assert (read.limit, read.order, read.tags) == (5, "a", ["x", "y"])
    assert errors_of(decoder, {"limit": "101", "order": "c", "tool": "plumbus"}) == [
        ("less_than_equal", ("limit",)),
        ("literal_error", ("order",)),
        ("extra_forbidden", ("tool",)),
    ]


def test_a_model_of_a_form_may_hold_a_file() -> None:
    @dataclasses.dataclass
    class Upload:
        name: str
        file: UploadFile

    upload = UploadFile(BytesIO(b"x"))
    assert object_decoder(Upload, Form())({"name": "a", "file": upload}) == Upload("a", upload)
    assert errors_of(object_decoder(Upload, Form()), {"name": "a", "file": "x"}) == [
        ("value_error", ("file",))
    ]


def test_a_member_of_a_body_is_read_as_a_whole_one() -> None:
    parsed = read_json(ORDER)
    assert object_decoder(Order, Body())(parsed) == json_decoder(Order)(ORDER)
    assert object_decoder(Order)({"number": "1", "lines": []}) == Order(1, [])
    assert object_decoder(Any) is identity


def test_numbers_beyond_json_in_a_parsed_value_are_told_as_they_are() -> None:
    with pytest.raises(Invalid) as caught:
        object_decoder(int)(math.inf)
    assert caught.value.errors[0]["input"] == math.inf


def test_validator_of_an_optional_text_is_asked():
    """It stands beside the union, not beside the text."""

    def shout(value: str | None) -> str | None:
        return value and value.upper()

    decode = text_decoder(Annotated[str | None, AfterValidator(shout)])
    assert "X" == decode("x")
