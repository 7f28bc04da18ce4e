"""The names that `lamella` itself offers."""

import importlib
import inspect
import types
from typing import Any

import pytest

import lamella


@pytest.mark.parametrize("name", lamella.__all__)
def test_an_exported_name_resolves(name: str) -> None:
    """A lazy name is looked up only at first use, so a wrong one would be found by a user."""
    assert getattr(lamella, name) is not None


def own_words(value: Any) -> str | None:
    """Return the docstring of a class, function or module itself, not an inherited one."""
    return inspect.cleandoc(value.__doc__) if value.__doc__ else None


def is_describable(value: Any) -> bool:
    """Tell whether a value can carry a docstring of its own; a type alias or a text cannot."""
    return isinstance(value, type | types.FunctionType | types.ModuleType)


@pytest.mark.parametrize("name", lamella.__all__)
def test_an_exported_name_is_documented(name: str) -> None:
    """Help in an editor or at the prompt is what most people read."""
    value = getattr(lamella, name)
    if is_describable(value):
        assert own_words(value), f"{name} has no docstring"
        assert own_words(value).splitlines()[0].endswith("."), f"{name}: summary is no sentence"


def test_the_exported_names_are_listed_once() -> None:
    """A list with a double entry was merged badly."""
    assert sorted(set(lamella.__all__)) == sorted(lamella.__all__)


def test_dir_lists_the_exported_names() -> None:
    """Completion at the prompt works by dir(), which does not see lazy names by itself."""
    assert set(lamella.__all__) <= set(dir(lamella))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """hasattr() and getattr() with a default rely on the class, a reader on the name."""
    with pytest.raises(AttributeError, match="lamella.*no_such_name"):
        _ = lamella.no_such_name


def test_importing_all_names_at_once_works() -> None:
    """`from lamella import *` asks for each name of __all__."""
    space: dict[str, Any] = {}
    exec("from lamella import *", space)  # the statement is allowed at module level only
    assert set(lamella.__all__) <= set(space)


def test_a_lazy_name_is_the_very_object_of_its_module() -> None:
    """With two objects for one name, isinstance() would depend on where it was imported from."""
    assert importlib.import_module("lamella.requests").Request is lamella.Request
