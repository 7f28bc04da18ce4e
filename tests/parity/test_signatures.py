"""What is called in the same way on both: every public class, function and method."""

import enum
import importlib
import inspect
import re

import pytest

from tests.meta.test_public_surface import MODULES, is_left_out, surface

pytestmark = pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")

# What lamella takes besides, at the end, by keyword or with a default. docs/differences.md lists it.
MORE = {
    "applications.Starlette": ["on_disconnect", "error_responses"],
    "applications.Starlette.host": ["lifespan"],
    "applications.Starlette.mount": ["lifespan"],
    "middleware.exceptions.ExceptionMiddleware": ["server_error"],
    "middleware.opentelemetry.OpenTelemetryMiddleware": ["websockets", "operation_spans"],
    "middleware.wsgi.WSGIMiddleware": ["workers"],
    "middleware.wsgi.WSGIResponder": ["limiter"],
    "routing.Host": ["lifespan"],
    "routing.Mount": ["lifespan"],
    "routing.Route": ["on_disconnect"],
    "routing.Router": ["on_disconnect"],
    "routing.Router.host": ["lifespan"],
    "routing.Router.mount": ["lifespan"],
    "testclient.WebSocketTestSession.receive": ["timeout"],
    "testclient.WebSocketTestSession.receive_bytes": ["timeout"],
    "testclient.WebSocketTestSession.receive_json": ["timeout"],
    "testclient.WebSocketTestSession.receive_text": ["timeout"],
}
# A mapping's, whose further arguments have no name that a caller could use.
RENAMED = {"middleware.sessions.Session.pop": {"args": "default"}}


def defined(module):
    """The classes and functions of a module, as pairs of Starlette's and ours, and their methods."""
    theirs, ours = (importlib.import_module(f"{fw}.{module}") for fw in ("starlette", "lamella"))
    for name in sorted(surface(module)[0]):
        value = getattr(theirs, name)
        is_here = getattr(value, "__module__", None) == f"starlette.{module}"
        if is_left_out(f"{module}.{name}") or not is_here or not callable(value):
            continue
        yield name, value, getattr(ours, name)
        for member in sorted(vars(value)) if inspect.isclass(value) else ():
            is_called = inspect.isroutine(getattr(value, member))
            if is_called and hasattr(getattr(ours, name), member) and is_public(member):
                yield (
                    f"{name}.{member}",
                    getattr(value, member),
                    getattr(getattr(ours, name), member),
                )


def is_public(member):
    """Whether programs call it; what Python calls has a signature of Python's."""
    return member in ("__call__", "dispatch") or not member.startswith("_")


def parameters(called):
    """Name, kind and default of each, or None for what Python cannot tell, or tells of its own."""
    if isinstance(called, enum.EnumType):
        return None
    try:
        found = inspect.signature(called).parameters.values()
    except ValueError:
        return None
    return [(p.name, p.kind.name, default_of(p)) for p in found]


def default_of(parameter):
    text = re.sub(r" at 0x\w+", "", repr(parameter.default))
    return text.replace("lamella.", "starlette.")


PAIRS = [
    pytest.param(module, name, theirs, ours, id=f"{module}.{name}")
    for module in MODULES
    if module != "middleware.wsgi"
    for name, theirs, ours in defined(module)
]


def compare(case, theirs, ours):
    expected, found = parameters(theirs), parameters(ours)
    if expected is None:
        return
    renamed = RENAMED.get(case, {})
    expected = [(renamed.get(name, name), *others) for name, *others in expected]
    more = found[len(expected) :]
    assert expected == found[: len(expected)]
    assert MORE.get(case, []) == [name for name, *_ in more]
    assert all(default != "<class 'inspect._empty'>" for _, _, default in more)
    assert inspect.iscoroutinefunction(theirs) == inspect.iscoroutinefunction(ours)


@pytest.mark.parametrize(("module", "name", "theirs", "ours"), PAIRS)
def test_same_parameters(module, name, theirs, ours):
    """Names, order, kinds and defaults; and whether the call is awaited."""
    compare(f"{module}.{name}", theirs, ours)


def test_same_parameters_of_a_module_that_warns():
    """Starlette's module for WSGI does, when it is imported."""
    for name, theirs, ours in defined("middleware.wsgi"):
        compare(f"middleware.wsgi.{name}", theirs, ours)


def test_what_is_taken_besides_is_of_something_that_is_there():
    """A line for what was renamed would let nothing through, but stand for ever."""
    known = {f"{module}.{name}" for module in MODULES for name, *_ in defined(module)}
    assert {*MORE, *RENAMED} <= known
