"""What is known of a user's callable: whether it is async, and its name in errors."""

import asyncio
import functools
import inspect
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from starlette._utils import is_async_callable as starlette_is_async_callable

from lamella import _inspect
from lamella._inspect import describe, is_async_callable


def plain():
    """An ordinary function."""


async def coroutine():
    """An async function."""


async def generator():
    """An async generator function."""
    yield


class Plain:
    """Objects that are called as usual."""

    def __call__(self):
        """Nothing to await."""

    def method(self):
        """Nothing to await."""

    @classmethod
    def of_class(cls):
        """Nothing to await."""


class Async:
    """Objects whose call is awaited."""

    async def __call__(self):
        """To be awaited."""

    async def method(self):
        """To be awaited."""

    @staticmethod
    async def static():
        """To be awaited."""

    @classmethod
    async def of_class(cls):
        """To be awaited."""


def wrapped(func):
    """A decorator that keeps the name, as most do."""

    @functools.wraps(func)
    def inner(*args, **kwargs):
        return func(*args, **kwargs)

    return inner


@wrapped
def decorated():
    """Found through its wrapper."""


ASYNC = [
    coroutine,
    functools.partial(coroutine),
    functools.partial(functools.partial(coroutine)),
    Async(),
    functools.partial(Async()),
    Async().method,
    Async.static,
    Async.of_class,
    mock.AsyncMock(),
]
PLAIN = [
    plain,
    generator,
    lambda: coroutine(),
    functools.partial(plain),
    Plain(),
    Plain,
    Plain().method,
    Plain.of_class,
    print,
    len,
    dict,
    mock.Mock(),
    None,
    5,
    "text",
]


@pytest.mark.parametrize("obj", ASYNC, ids=repr)
def test_async_callables_are_known_as_such(obj):
    """Each way to write one; a partial hides it at any depth."""
    assert [True, True] == [starlette_is_async_callable(obj), is_async_callable(obj)]


@pytest.mark.parametrize("obj", PLAIN, ids=repr)
def test_everything_else_is_not_async(obj):
    """It is run in a thread, or is no callable at all."""
    assert [False, False] == [starlette_is_async_callable(obj), is_async_callable(obj)]


def test_class_with_async_objects_is_not_async_itself():
    """Calling the class gives an object, which cannot be awaited."""
    assert not is_async_callable(Async)
    assert not is_async_callable(functools.partial(Async))


def test_function_marked_as_coroutine_function_is_async():
    """Decorators that give a coroutine without being `async def` mark what they give."""

    def marked():
        return coroutine()

    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(marked)
    else:
        marked._is_coroutine = asyncio.coroutines._is_coroutine
    assert is_async_callable(marked)


def line_of(func):
    """The line on which its source begins, its decorators included."""
    return inspect.unwrap(func).__code__.co_firstlineno


HERE = Path(__file__)


@pytest.mark.parametrize(
    ("obj", "name", "line"),
    [
        (plain, "plain", line_of(plain)),
        (coroutine, "coroutine", line_of(coroutine)),
        (functools.partial(functools.partial(plain, 1), b=2), "plain", line_of(plain)),
        (decorated, "decorated", line_of(decorated)),
        (Plain.method, "Plain.method", line_of(Plain.method)),
        (Plain().method, "Plain.method", line_of(Plain.method)),
        (Plain.of_class, "Plain.of_class", line_of(Plain.of_class.__func__)),
        (Async.static, "Async.static", line_of(Async.static)),
    ],
)
def test_function_is_named_with_its_place(obj, name, line, monkeypatch):
    """The reader of an error goes to that line; below the working directory the path is short."""
    monkeypatch.chdir(HERE.parent.parent)
    assert f"`{name}` (tests/test_inspect.py:{line})" == describe(obj)


def test_path_outside_the_working_directory_stays_as_in_a_traceback(monkeypatch, tmp_path):
    """A path with `..` in it is harder to read than the whole."""
    monkeypatch.chdir(tmp_path)
    assert f"`plain` ({HERE}:{line_of(plain)})" == describe(plain)


def test_class_and_object_are_named_with_the_place_of_the_class(monkeypatch):
    """An object has no name; its class has one."""
    monkeypatch.chdir(HERE.parent)
    line = inspect.getsourcelines(Plain)[1]
    assert f"`Plain` (test_inspect.py:{line})" == describe(Plain)
    assert f"a `Plain` object (test_inspect.py:{line})" == describe(Plain())


def test_local_function_is_named_with_the_function_around_it():
    """Many routes are made by a factory."""

    def local():
        pass

    assert describe(local).startswith("`test_local_function_is_named_")
    assert ".<locals>.local`" in describe(local)


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (print, "`print`"),
        (dict, "`dict`"),
        ([].append, "`list.append`"),
        (None, "`None`"),
        (5, "`5`"),
        ("text", "`'text'`"),
        ("x" * 10_000, "`'xxxxxxxxxxxx...xxxxxxxxxxxxx'`"),
    ],
)
def test_what_has_no_source_is_named_alone_and_briefly(obj, expected):
    """A value is given where a function is due: the error shows the value, not all of it."""
    assert expected == describe(obj)


def test_class_made_without_source_is_named_alone():
    """Some classes are made by a call, some in a shell."""
    assert "`Made`" == describe(type("Made", (), {"__module__": "nowhere"}))


class Hostile:
    """Every question fails."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError


class HostileText(str):
    """Says that it is a built-in, and cannot be shown."""

    __module__ = "builtins"
    __slots__ = ()

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize("make", [Hostile, HostileText, lambda: Hostile])
def test_describing_never_raises(make):
    """It words an error; an error of its own would hide that one."""
    assert "Hostile" in describe(make())


def test_function_that_wraps_itself_is_described(monkeypatch):
    """A circle of `__wrapped__` makes `inspect.unwrap` give up."""

    def circle():
        pass

    circle.__wrapped__ = circle
    assert "`" in describe(circle)


def test_working_directory_that_is_gone_does_not_matter(monkeypatch):
    """A daemon's directory may be removed under it."""
    monkeypatch.setattr(_inspect.Path, "cwd", mock.Mock(side_effect=FileNotFoundError))
    assert "function" in describe(plain)


def test_module_needs_no_third_party_package():
    """It is on the lowest floor, and typing_extensions is no dependency."""
    code = (
        "import sys; sys.modules['typing_extensions'] = None; import lamella._inspect as i; "
        "assert i.is_async_callable(int) is False"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
