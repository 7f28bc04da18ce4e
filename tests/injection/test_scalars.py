"""Single values: what is taken and what is said of the rest, compared with pydantic itself."""

import enum
import ipaddress
import math
import typing
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID

import annotated_types as at
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from lamella.datastructures import UploadFile
from lamella.exceptions import StackError
from lamella.injection.decode import Invalid, identity, text_decoder
from lamella.injection.explain import decoder
from lamella.params import Form, Query


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Number(enum.IntEnum):
    ONE = 1
    TWO = 2


class Letter(enum.StrEnum):
    A = "a"
    B = "b"
    C = "c"


class Mixed(enum.Enum):
    A = 1
    B = "x"
    C = 1.5


class Only(enum.Enum):
    A = "only"


class Alias(enum.Enum):
    A = "a"
    B = "a"
    C = "c"


class Missing(enum.Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return cls.A if value == "zz" else None


class Half(float, enum.Enum):
    A = 1.5


def outcome(decode: Any, value: Any) -> Any:
    """What comes of a value: itself with its type, or the errors."""
    try:
        found = decode(value)
    except Invalid as exc:
        return [comparable(error) for error in exc.errors]
    except ValidationError as exc:
        return [comparable(error) for error in exc.errors(include_url=False)]
    if isinstance(found, datetime | time):
        return found.replace(tzinfo=None), found.utcoffset()
    return repr(found)


def comparable(error: Any) -> str:
    assert list(error) == ["type", "loc", "msg", "input", "ctx"][: len(error)]
    return repr(dict(error))


def same(annotation: Any, value: Any) -> None:
    """Fail unless pydantic and lamella agree on a value."""
    theirs = outcome(TypeAdapter(annotation).validate_python, value)
    assert outcome(decoder(annotation), value) == theirs


NUMBERS = """1| 1 |1.0|1_000|+1|-1|--1|+-1||1.|1.00|1.5|1e3|0x1|٣|1__0|_1|1_|-0|00|007|1_0.0|1.0_0| 1_0 |
-1_0|\n1\t|\xa01|\u30001|1 0|.0|-.0|0.| 1.0 |+1.0|-0.0|１|\x1f1|1\x85|\ufeff1|\ud8001|0_0_1|0__1|0_|00_1|000_|
01_0|1_.0|+_1|+ 1|\u180e1|\u200b1|\x0b1\x0c|1\x1c|1\x00|nan|inf|-inf|infinity|1e400|1_0.5|x|1e5|0x1p3|.5|5.|+.5|
1e|NaN|iNf|+nan|1._0|1e1_0|٣.٣|infinit|+infinity|- 1|.|e5|1.e5|-.5e-3|1e+|1_000.000_1|sNaN|1e999999999|
1e9999999999999999999999""".replace("|\n", "|").split("|")  # fmt: skip
LONG = [
    "1" * 4300,
    "1" * 4301,
    "-" + "1" * 4300,
    "0" * 5000 + "1",
    "1_" * 2200 + "1",
    "1" * 5000 + ".0",
    "1." + "0" * 5000,
]
TRUTHS = (
    "true|True|TRUE|t|T|yes|y|on|ON|oN|1|0|false|off|n|no|f|tRuE| true||2|truex|İ|\ud800".split("|")
)
UUIDS = """12345678-1234-5678-1234-567812345678|12345678123456781234567812345678|x||g
{12345678-1234-5678-1234-567812345678}|urn:uuid:12345678-1234-5678-1234-567812345678|{}
12345678-1234-5678-1234-56781234567|12345678-1234-5678-1234-56781234567g|12345678-12345678-1234-567812345678
 12345678-1234-5678-1234-567812345678|1234567812345678123456781234567|123456781234567812345678123456789
12345678-1234-5678-12345678-12345678|URN:UUID:12345678-1234-5678-1234-567812345678|1234-5678
{12345678123456781234567812345678}|urn:uuid:12345678123456781234567812345678
{12345678-1234-5678-1234-567812345678|123456781234567812345678123456-78|12345678-1234-5678-1234-567812345678-
------------------------------------|gggggggggggggggggggggggggggggggg""".replace("\n", "|").split("|")  # fmt: skip
TIMES = """2020-01-02|2020-1-2|20200102|2020-01-02T00:00:00|2020-01-02T00:00:01|2020-01-02 00:00|2020-13-01|2020-02-30
2020-01-02T00:00:00Z|1577836800|1577836801|0|-1|-86400|1.0|1577836800000||x|2020-01-32|2020-00-01|0000-01-01
0001-01-01|9999-12-31|10000-01-01|2020-01-02x|2020/01/02| 2020-01-02 |2020|202a-01-01|2020-01-02T|nan|1e5
99999999999999999999|253402300800|-62135596801|20000000000|20000000001|+0|０|2020-01-02T24:00:00|2020-01-02_00:00
2020-01-02T03:04:05.123456789Z|2020-01-02t03:04:05z|2020-01-02T03:04:05+0100|2020-01-02T03:04:05+01
2020-01-02T03:04:05-23:59|2020-01-02T03:04:05+24:00|2020-01-02T03:04:05.|2020-01-02T03:04:60|2020-01-02T03:60:00
2020-01-02T3:04:05|2020-01-02T03:04:|2020-01-02T03:04:05,1|9999999999999999|-9999999999999999|.5|-1.25
0000-01-01T00:00:00|9223372036854775808|1577836800.1234567|2020-01-02T03:04:05−01:00|2020-01-02T03:04:05+23:60
03:04|03:04:05.5|03:04:05Z|3:04|24:00|23:60|23:59:60|3661|03:04:|03:04x|03:04:05+01:0|03-04|0a:00|03:04:05.x
P1D|P1DT2H|PT1.5S|P1W|P1Y2M3W|-P1D|P|PT|P1DT|1 day|1 day, 2:03:04|2:03:04|02:03|1d|-1 day 01:02:03|10|PT1H1H
P1.5D|PT1M1H|p1d|P1000000000D|P99999999999D|86400000000000000|24:00:00|100:00:00|02:03:60|1D02:03:04|1 DAYS 02:03
P1H|PT1D|1 day 2|PTT1S|P1.5W2D|1 dax|1 days,|1d123:00|12:03:04x|12:03:04.123456789|99999999999 days|\ud800""".replace("\n", "|").split("|")  # fmt: skip

TEXTS: list[tuple[Any, list[str]]] = [
    (int, NUMBERS + LONG),
    (float, NUMBERS + LONG),
    (Decimal, NUMBERS + LONG),
    (bool, TRUTHS),
    (UUID, UUIDS),
    (str, ["", "a", "é"]),
    (bytes, ["", "a", "é", "\ud800"]),
    (None, ["", "null"]),
    (Any, ["", "null"]),
    *((cls, TIMES) for cls in (date, datetime, time, timedelta)),
    *((cls, ["red", "RED", "1", "3", " 1 ", "1.0", "x", "a", "b", "z", "1.5", "1.50", "zz", "only"]) for cls in (Color, Number, Letter, Mixed, Only, Alias, Missing, Half)),
    *((kind, ["a", "b", "1", "None", "q", "True"]) for kind in (Literal["a", "b"], Literal["a"], Literal[1, 2], Literal["a", 1, None, b"x"], Literal["it's", 'say "x"', "z"])),
    *((cls, ["1.2.3.4", "::1", "1.2.3.0/24", "::/8", "x", ""]) for cls in (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network, ipaddress.IPv4Interface, ipaddress.IPv6Interface)),
    (Path, ["a/b", ""]),
    (PurePosixPath, ["a/b"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "text"), [(cls, text) for cls, texts in TEXTS for text in texts]
)
def test_a_text_is_read_as_pydantic_reads_it(annotation: Any, text: str) -> None:
    same(annotation, text)


VALUES = [
    0, 1, -1, 2, 2**70, True, False, None, 1.0, 0.0, 1.5, -1.5, 1e18, 1e30, math.inf, -math.inf, math.nan,
    1577836800, 1577836800.5, 86399.5, 86400, 86399, 20000000001, -20000000001, 10**30, 1e300, -1e300, 1e12,
    [], {}, [1], {"a": 1}, "red", "a", "1", Decimal("1.5"), Decimal("nan"),
    date(2020, 1, 2), datetime(2020, 1, 2), datetime(2020, 1, 2, 1, tzinfo=timezone.utc), time(1), timedelta(1),
    UUID(int=5),
]  # fmt: skip


@pytest.mark.parametrize("annotation", [cls for cls, _ in TEXTS], ids=repr)
def test_a_value_of_json_is_read_as_pydantic_reads_it(annotation: Any) -> None:
    address = "ipaddress" in repr(annotation)
    chosen = getattr(annotation, "__members__", None) or typing.get_origin(annotation) is Literal
    for value in VALUES:
        # Of a choice pydantic says of such a number that it is too large, whatever is chosen from.
        if not (chosen and isinstance(value, int) and value > 2**63) and not (
            address and isinstance(value, bool)  # with a warning from ipaddress
        ):
            same(annotation, value)


@pytest.mark.parametrize("annotation", [int, float, bool, UUID, date, datetime, time, timedelta])
def test_any_text_at_all_is_read_as_pydantic_reads_it(annotation: Any) -> None:
    letters = st.sampled_from("0123456789-+._:TZPDHMSWYd ays,eExé−{}\u3000\x1f")
    samples = st.sampled_from(NUMBERS + UUIDS + TIMES)
    texts = st.text(letters, max_size=12) | st.builds(mutated, samples, letters, st.integers(0, 40))

    @given(texts | st.text(max_size=6))
    @settings(max_examples=300, deadline=None, derandomize=True)
    def check(text: str) -> None:
        if annotation is UUID and not text.isascii():
            return  # pydantic takes such a letter for the ASCII one in its lower byte
        same(annotation, text)

    check()


def mutated(text: str, letter: str, at: int) -> str:
    return text[:at] + letter + text[at + 1 :]


A = Annotated
CONSTRAINED: list[tuple[Any, list[Any]]] = [
    (A[int, at.Gt(3)], ["3", "4", "x", 3]),
    (A[int, at.Interval(gt=3, lt=10)], ["3", "11", "5"]),
    (A[int, at.Ge(3), at.Le(5)], ["2", "6", "3"]),
    (A[int, at.Ge(3.0)], ["2"]),
    (A[int, at.MultipleOf(3)], ["4", "-3"]),
    (A[float, at.Gt(0)], ["0", 0, "nan", "1"]),
    (A[float, at.Lt(10.5)], ["11"]),
    (A[float, at.Gt(1e20)], ["0"]),
    (A[float, at.Gt(1e-7)], ["0"]),
    (A[float, at.MultipleOf(0.1)], ["0.3", "0.35", "nan", "inf"]),
    (A[Decimal, at.Gt(0)], ["0", "-1", "1"]),
    (A[Decimal, at.Gt(1.5)], ["1"]),
    (A[Decimal, at.MultipleOf(Decimal("0.1"))], ["0.35", "0.3"]),
    (A[str, at.MinLen(3)], ["ab", "é", "abc"]),
    (A[str, at.MinLen(1)], [""]),
    (A[str, at.MaxLen(1)], ["ab"]),
    (A[str, at.Len(1, 2)], ["", "abc", "a"]),
    (A[str, at.Gt("b")], ["a", "c"]),
    (A[bytes, at.Len(2, 3)], ["a", b"abcd", "ab"]),
    (A[date, at.Gt(date(2020, 1, 1))], ["2020-01-01", "2020-01-02"]),
    (A[datetime, at.Ge(datetime(2020, 1, 1))], ["2019-01-01T00:00:00", "2019-01-01T00:00:00Z", "2021-01-01"]),
    (A[datetime, at.Le(datetime(2020, 1, 1, tzinfo=timezone.utc))], ["2021-01-01", "2021-01-01T00:00:00Z", "2019-01-01"]),
    (A[time, at.Lt(time(1))], ["02:00", "00:30"]),
    (A[timedelta, at.Gt(timedelta(days=1, hours=2, seconds=3))], ["PT1H", "P2D"]),
    (A[int | None, at.Gt(3)], ["3", None, "4"]),
    (A[list[int], at.MinLen(2)], [[], ["1"], ["x"], ["1", "2"]]),
    (A[list[int], at.MaxLen(1)], [["1", "2"], ["x", "1", "2"], ["x"]]),
    (A[set[int], at.Len(1, 1)], [["1", "1", "2"], [], ["1", "1"]]),
    (A[frozenset[int], at.MinLen(1)], [[]]),
    (A[tuple[int, ...], at.Len(1, 2)], [[], ["1", "2", "3"]]),
    (A[Sequence[int], at.Len(1, 1)], [[], ["1", "2"]]),
    (A[list[int] | None, at.MinLen(1)], [[], None]),
    (A[int, at.Predicate(lambda number: number > 3)], ["1", "4"]),
    (A[str, at.Predicate(str.islower)], ["A", "a"]),
    (list[A[int, at.Gt(3)]], [["3", "4"]]),
    (A[Literal["a"], at.MinLen(3)], ["a"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "value"), [(cls, value) for cls, values in CONSTRAINED for value in values]
)
def test_what_annotated_types_demand_is_checked_as_by_pydantic(annotation: Any, value: Any) -> None:
    same(annotation, value)


DEMANDS: list[tuple[Any, dict[str, Any], list[Any]]] = [
    (int, {"gt": 3, "lt": 9}, ["3", "9", "5"]),
    (str, {"min_length": 3, "max_length": 5, "pattern": "^a"}, ["b", "bbbbbbbb", "bbbb", "abc"]),
    (str, {"pattern": "^a$"}, ["a", "a\n", "b"]),
    (str, {"pattern": r"^[$]\$$"}, ["$$", "$$\n", "$"]),
    (str, {"max_length": 0}, ["", "a"]),
    (float, {"ge": 0, "allow_inf_nan": False}, ["nan", "inf", "-1", "1"]),
    (Decimal, {"allow_inf_nan": True}, ["nan", "inf"]),
    (Decimal, {"max_digits": 3, "decimal_places": 1}, ["1234", "1.23", "123.4", "0.01", "1e5", "123", "99.9", "100.0", "1.10"]),
    (Decimal, {"max_digits": 3}, ["1234", "0.001", "0.0001", "1.234"]),
    (Decimal, {"decimal_places": 2}, ["1.234", "1e-5", "1.20", "1.200"]),
    (Decimal, {"max_digits": 4, "decimal_places": 3}, ["12.3", "1.2345", "12"]),
    (int, {"strict": True}, ["1", 1, True, 1.0]),
    (float, {"strict": True}, ["1", 1, 1.5]),
    (bool, {"strict": True}, ["1", 1, True]),
    (str, {"strict": True}, ["1", b"x"]),
    (list[str], {"min_length": 1, "max_length": 2}, [[], ["a", "b", "c"], ["a"]]),
    (str | None, {"min_length": 2}, ["a", None, "ab"]),
    (A[str, at.MinLen(2)] | None, {"max_length": 3}, ["a", "abcd", "abc"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "demands", "value"),
    [(cls, demands, value) for cls, demands, values in DEMANDS for value in values],
)
def test_what_a_parameter_demands_is_checked_as_by_pydantic(
    annotation: Any, demands: dict[str, Any], value: Any
) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[annotation, Field(**demands)])
    decode = text_decoder(annotation, Query(**demands))
    assert outcome(decode, value) == outcome(adapter.validate_python, value)


ARRAYS: list[tuple[Any, list[Any]]] = [
    (list[int], [["1", "x", "y"], "1", None, {}, ["1"], 5]),
    (list, [["a", 1], "x"]),
    (set[int], [["1", "1", "x"], "1", {"a": 1}, ["1", "1"]]),
    (set, [["1", [1]]]),
    (frozenset[str], [["a"], "a", 5]),
    (tuple[int, str], [["1", "a"], ["1"], ["1", "a", "b"], "x", [], {}]),
    (tuple[()], [[], [1]]),
    (tuple[int, ...], [["1", "x"], "s"]),
    (tuple, [["a", 1], "x"]),
    (Sequence[int], [["1"], ["x"]]),
    (typing.List[int], [["1"]]),
    (list[list[int]], [[["1"], ["x"]]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "value"), [(cls, value) for cls, values in ARRAYS for value in values]
)
def test_a_list_of_texts_is_read_as_by_pydantic(annotation: Any, value: Any) -> None:
    same(annotation, value)


UNIONS: list[tuple[Any, list[Any]]] = [
    (int | str, ["1", 1, None, 1.5, True, []]),
    (int | float, ["1", "1.0", "1.5", "x", 1, 1.0, True]),
    (float | int, ["1", "1.5", 1, 1.0]),
    (int | None, ["", "null", None, "x", "1"]),
    (bool | int, ["1", "true", 1, True, "2", "x"]),
    (int | bool | None, ["1", "true", "x", None]),
    (datetime | str, ["2020-01-01", "x"]),
    (date | datetime, ["2020-01-01", "2020-01-01T00:00:01", "x"]),
    (datetime | date, ["2020-01-01"]),
    (UUID | int, ["5", "x"]),
    (list[int] | int, [["1"], "1", "x", ["x"]]),
    (list[int] | list[str], [["1"], ["x"], [1]]),
    (A[int, at.Gt(3)] | A[str, at.MinLen(3)], ["3", "4", "x"]),
    (Literal["a"] | int, ["x", "a", "1"]),
    (Literal["1"] | int, ["1"]),
    (Color | int, ["x", "red", 1]),
    (Color | str, ["red"]),
    (Number | int, ["1", 1, "x"]),
    (Letter | float, ["x"]),
    (float | str, ["1", 1, True]),
    (bytes | str, ["x"]),
    (bool | float | None, ["1", "1.5"]),
    (int | list[str] | dict[str, int] | tuple[int, str] | set[int] | UUID | Decimal | bytes | time | timedelta, [object()]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "value"), [(cls, value) for cls, values in UNIONS for value in values]
)
def test_of_a_union_the_same_member_is_found_as_by_pydantic(annotation: Any, value: Any) -> None:
    same(annotation, value)


def test_what_is_demanded_of_a_union_is_demanded_of_the_members_that_know_it() -> None:
    decode = text_decoder(int | str, Query(gt=3))
    assert (decode("x"), decode("2"), decode(4)) == ("x", "2", 4)
    with pytest.raises(Invalid):
        decode(2)


def test_a_text_that_may_be_any_text_needs_no_decoder() -> None:
    for annotation in (str, str | None, Annotated[str | None, "said"]):
        assert text_decoder(annotation) is text_decoder(annotation, Query()) is identity
    for annotation in (int | None, Annotated[str | None, at.MinLen(1)], str | int):
        assert text_decoder(annotation) is not identity
    assert text_decoder(str | None, Query(min_length=1)) is not identity


def test_a_form_may_send_a_file_where_a_text_is_wanted() -> None:
    with pytest.raises(Invalid, match="string_type"):
        text_decoder(str, Form())(UploadFile(BytesIO()))


def test_a_file_is_taken_where_one_is_wanted() -> None:
    upload = UploadFile(BytesIO(b"x"))
    assert text_decoder(UploadFile)(upload) is upload
    assert text_decoder(list[UploadFile] | None)([upload]) == [upload]
    with pytest.raises(Invalid) as caught:
        text_decoder(UploadFile)("x")
    (error,) = caught.value.errors
    assert error["msg"] == "Value error, Expected UploadFile, received: <class 'str'>"
    assert isinstance(error["ctx"]["error"], ValueError)


def test_meta_of_msgspec_is_honoured() -> None:
    decode = text_decoder(Annotated[int, msgspec.Meta(gt=3)])
    assert decode("4") == 4
    with pytest.raises(Invalid, match="greater_than"):
        decode("3")


@pytest.mark.parametrize(
    ("annotation", "demands"),
    [
        (int, {"min_length": 3}),
        (str, {"multiple_of": 3}),
        (bool, {"pattern": "a"}),
        (list[int], {"gt": 3}),
        (UUID, {"min_length": 3}),
        (int | None, {"max_length": 3}),
    ],
)
def test_what_no_value_of_a_type_could_meet_is_refused_at_once(
    annotation: Any, demands: dict[str, Any]
) -> None:
    (name,) = demands
    with pytest.raises(StackError, match=f"Expected a type that {name}= can be demanded of, got"):
        text_decoder(annotation, Query(**demands))


def test_a_pattern_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(StackError, match=r"Expected a regular expression, got pattern='\('"):
        text_decoder(str, Query(pattern="("))


@pytest.mark.parametrize(
    "annotation", [int, float, Decimal, UUID, datetime, date, time, timedelta, bool]
)
@pytest.mark.parametrize("text", ["1" * 10**6, "0" * 10**6 + "x", "1_" * 10**6, "1." * 10**6, "-" * 10**6, "P1D" * 10**5, " " * 10**6])  # fmt: skip
def test_a_huge_text_takes_no_quadratic_time(annotation: Any, text: str) -> None:
    try:
        text_decoder(annotation)(text)
    except Invalid as exc:
        assert len(exc.errors) == 1
