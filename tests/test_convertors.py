"""Path parameters to text and back."""

import re
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import convertors as starlette_convertors

from lamella import convertors
from lamella.convertors import CONVERTOR_TYPES, Convertor, register_url_convertor
from lamella.exceptions import UsageError

SEGMENTS = [
    "0", "1", "007", "42", "4300", "1.5", "0.0", "10.", ".5", "-1", "+1", "1e5", "nan", "inf", "1_0",
    " 1", "1 ", "1\n", "", "a", "a b", "a/b", "/", "é", "٣", "３", "١٢", "a\0b",
    "c0ffee00-1111-2222-3333-444455556666", "C0FFEE00111122223333444455556666",
    "c0ffee00-11112222-3333444455556666", "{c0ffee00-1111-2222-3333-444455556666}",
    "urn:uuid:c0ffee00-1111-2222-3333-444455556666", "c0ffee00-1111-2222-3333-44445555666",
]  # fmt: skip

VALUES = [
    ("str", "a"), ("str", "a b"), ("str", 5), ("str", ""), ("str", "a/b"), ("str", "/"),
    ("path", ""), ("path", "a/b"), ("path", 7), ("path", "/"),
    ("int", 0), ("int", 42), ("int", "42"), ("int", 4.7), ("int", -1), ("int", True),
    ("float", 0), ("float", 1.5), ("float", 100), ("float", 0.1), ("float", 1e22), ("float", "2.50"),
    ("float", 1e-30), ("float", -0.5), ("float", float("nan")), ("float", float("inf")),
    ("float", float("-inf")), ("float", 123456789.123456789),
    ("uuid", uuid.UUID("c0ffee00-1111-2222-3333-444455556666")), ("uuid", "anything"),
]  # fmt: skip


def matched(types, key, text):
    """The value that a route gives for a text; "no match" where its regex or convertor refuses."""
    convertor = types[key]
    if re.fullmatch(convertor.regex, text) is None:
        return "no match"
    try:
        return convertor.convert(text)
    except ValueError:
        return "no match"


@pytest.mark.parametrize("text", SEGMENTS)
@pytest.mark.parametrize("key", ["str", "path", "int", "float", "uuid"])
def test_text_matches_and_converts_as_in_starlette(key, text):
    """An app that moves must route the same paths to the same values."""
    assert matched(starlette_convertors.CONVERTOR_TYPES, key, text) == matched(
        CONVERTOR_TYPES, key, text
    )


@pytest.mark.parametrize(("key", "value"), VALUES)
def test_value_becomes_text_as_in_starlette(key, value):
    """Links that are stored outside must stay the same; what cannot be text is refused alike."""
    try:
        expected = starlette_convertors.CONVERTOR_TYPES[key].to_string(value)
    except AssertionError:
        with pytest.raises(UsageError, match="Expected"):
            CONVERTOR_TYPES[key].to_string(value)
    else:
        assert expected == CONVERTOR_TYPES[key].to_string(value)


def test_convertors_are_registered_under_the_names_of_starlette():
    """The five that paths use."""
    assert list(starlette_convertors.CONVERTOR_TYPES) == ["str", "path", "int", "float", "uuid"]
    for key, theirs in starlette_convertors.CONVERTOR_TYPES.items():
        assert type(theirs).__name__ == type(CONVERTOR_TYPES[key]).__name__
        assert theirs.regex == CONVERTOR_TYPES[key].regex


def test_public_names_are_those_of_starlette():
    """Each class that is imported from there is found here."""
    theirs = {name for name, value in vars(starlette_convertors).items() if name[0].isupper()}
    assert theirs - {"Any", "ClassVar", "Generic", "T", "TypeVar"} <= set(convertors.__all__)


@pytest.mark.parametrize("size", [4301, 5000, 100_000])
def test_integer_of_too_many_digits_is_no_match(size):
    """It was a 500: `int()` refuses them, and without its limit it takes quadratic time."""
    with pytest.raises(ValueError, match="4300"):
        CONVERTOR_TYPES["int"].convert("9" * size)


def test_limit_of_digits_does_not_hang_on_a_setting_of_the_interpreter():
    """An application may lift Python's limit for its own numbers, not for those of clients."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(ValueError, match="4300"):
            CONVERTOR_TYPES["int"].convert("9" * 4301)
    finally:
        sys.set_int_max_str_digits(before)


def test_integer_of_as_many_digits_as_python_takes_is_converted():
    """The limit is the one that Python has by default, not a smaller one."""
    assert 10**4300 - 1 == CONVERTOR_TYPES["int"].convert("9" * 4300)


@pytest.mark.parametrize(
    "text", ["9" * 400, "1" + "0" * 309, "9" * 400 + ".5", "nan", "inf", "1e999"]
)
def test_float_that_is_not_finite_is_no_match(text):
    """An endpoint that computes with it would fail, or answer with JSON that is none."""
    with pytest.raises(ValueError, match="finite"):
        CONVERTOR_TYPES["float"].convert(text)


@pytest.mark.parametrize("key", ["int", "float", "uuid"])
@pytest.mark.parametrize("text", ["٣" * 32, "３" * 32, " 3", "3 ", "3\n", "1_000", "\x1c3"])
def test_convert_refuses_what_only_python_reads_as_a_number(key, text):
    """A matcher may leave out the regex; digits of other scripts and blanks still do not match."""
    with pytest.raises(ValueError):
        CONVERTOR_TYPES[key].convert(text)


def test_subclass_may_widen_the_regex_of_integers():
    """Ecosystem packages allow a sign this way, and inherit the rest."""

    class Signed(convertors.IntegerConvertor):
        regex = "-?[0-9]+"

        def to_string(self, value):
            return str(value)

    assert -12 == matched({"int": Signed()}, "int", "-12")
    assert "-12" == Signed().to_string(-12)


def test_base_class_says_that_both_methods_are_to_be_written():
    """A convertor without them is a mistake of its author, shown as such."""
    with pytest.raises(NotImplementedError):
        Convertor().convert("a")
    with pytest.raises(NotImplementedError):
        Convertor().to_string("a")


def test_registered_convertor_is_found_and_may_replace_another():
    """Users register over `int` and `float` too."""
    saved = dict(CONVERTOR_TYPES)

    class Hex(Convertor[int]):
        regex = "[0-9a-f]+"

        def convert(self, value):
            return int(value, 16)

        def to_string(self, value):
            return f"{value:x}"

    try:
        register_url_convertor("hex", Hex())
        register_url_convertor("int", Hex())
        assert [255, 255] == [matched(CONVERTOR_TYPES, key, "ff") for key in ("hex", "int")]
    finally:
        CONVERTOR_TYPES.clear()
        CONVERTOR_TYPES.update(saved)


def test_usage_error_says_what_came_and_what_to_do():
    """The one who builds a link reads it, far from the declaration of the route."""
    with pytest.raises(UsageError, match=r"got 'a/b'; declare .* \{name:path\}"):
        CONVERTOR_TYPES["str"].to_string("a/b")
    with pytest.raises(UsageError, match="got -1; register a convertor"):
        CONVERTOR_TYPES["int"].to_string(-1)


@given(st.integers(min_value=0, max_value=10**50))
def test_integer_comes_back_from_its_text(number):
    """url_path_for and matching are inverse."""
    convertor = CONVERTOR_TYPES["int"]
    assert number == matched(CONVERTOR_TYPES, "int", convertor.to_string(number))


@given(st.floats(min_value=0, max_value=1e300, allow_nan=False))
def test_float_comes_back_from_its_text_as_close_as_twenty_places_allow(number):
    """Text without an exponent ends after 20 places, as Starlette's does."""
    text = CONVERTOR_TYPES["float"].to_string(number)
    assert matched(CONVERTOR_TYPES, "float", text) == pytest.approx(number, abs=1e-20, rel=1e-15)


@given(st.uuids())
def test_uuid_comes_back_from_its_text(value):
    """url_path_for and matching are inverse."""
    assert value == matched(CONVERTOR_TYPES, "uuid", CONVERTOR_TYPES["uuid"].to_string(value))


@given(st.sampled_from(sorted(CONVERTOR_TYPES)), st.text())
def test_convert_gives_a_value_or_raises_value_error(key, text):
    """Whatever a client puts into a path, the server has no error of its own."""
    try:
        CONVERTOR_TYPES[key].convert(text)
    except ValueError:
        assert key in {"int", "float", "uuid"}
