"""Status and close codes by name."""

import sys
import warnings

import pytest
from starlette import status as starlette_status

import lamella.status
from lamella import status
from lamella.exceptions import StarletteDeprecationWarning

RENAMED = {
    "HTTP_413_REQUEST_ENTITY_TOO_LARGE": 413,
    "HTTP_414_REQUEST_URI_TOO_LONG": 414,
    "HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE": 416,
    "HTTP_422_UNPROCESSABLE_ENTITY": 422,
}


def test_names_and_numbers_are_those_of_starlette():
    """Moving is a changed import, so each constant is there with the same number."""
    theirs = {name: getattr(starlette_status, name) for name in starlette_status.__all__}
    ours = {name: getattr(status, name) for name in status.__all__}
    assert theirs == ours


def test_number_in_each_name_is_its_value():
    """A number mistyped in both packages would pass the comparison with Starlette."""
    assert {name: int(name.split("_")[1]) for name in status.__all__} == {
        name: getattr(status, name) for name in status.__all__
    }


@pytest.mark.parametrize("name", RENAMED)
def test_renamed_code_is_found_with_a_warning_at_the_line_that_asks(name):
    """RFC 9110 renamed these; old code goes on, and the warning leads to it."""
    with pytest.warns(StarletteDeprecationWarning, match=name) as caught:
        value = getattr(status, name)
    assert [RENAMED[name], __file__] == [value, caught[0].filename]


@pytest.mark.parametrize("name", RENAMED)
def test_renamed_codes_are_those_of_starlette(name):
    """The same four names, with the same numbers and the same kind of warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        theirs, ours = getattr(starlette_status, name), getattr(status, name)
    assert theirs == ours
    assert len({warning.category.__name__ for warning in caught}) == 1


def test_importing_a_renamed_code_warns():
    """`from lamella.status import NAME` is how most code asks."""
    with pytest.warns(StarletteDeprecationWarning, match="HTTP_422_UNPROCESSABLE_CONTENT"):
        from lamella.status import HTTP_422_UNPROCESSABLE_ENTITY
    assert 422 == HTTP_422_UNPROCESSABLE_ENTITY


def test_unknown_name_is_an_attribute_error_that_names_it():
    """A typing error in a name must not pass for a renamed code."""
    with pytest.raises(AttributeError, match=r"'lamella\.status'.*'HTTP_299_NOPE'"):
        status.HTTP_299_NOPE


def test_unknown_name_is_told_with_the_module_that_the_program_knows(monkeypatch):
    """Where lamella stands in for Starlette, that is Starlette's."""
    monkeypatch.setitem(sys.modules, "starlette.status", status)
    with pytest.raises(AttributeError, match=r"'starlette\.status'.*'HTTP_299_NOPE'"):
        status.HTTP_299_NOPE


def test_dir_shows_the_renamed_codes_too():
    """Completion in an editor or a shell shows what can be asked for."""
    assert {*status.__all__, *RENAMED} <= set(dir(lamella.status))
