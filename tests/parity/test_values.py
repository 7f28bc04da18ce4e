"""The classes that hold values, on both: one expression, the same value, text and error."""

import collections
import importlib
import io
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.parity.differences import check
from tests.parity.values import DIFFERENT, SAME

MODULES = """
    authentication background config convertors datastructures endpoints exceptions formparsers
    middleware.body_limit requests responses routing schemas staticfiles websockets
"""
STDLIB = {"io": io, "uuid": uuid, "defaultdict": collections.defaultdict}

few = settings(max_examples=60)


def names_of(package):
    """The names of a framework's modules, as for a program that imports them all."""
    space = dict(STDLIB)
    for module in MODULES.split():
        names = vars(importlib.import_module(f"{package}.{module}"))
        space.update((name, value) for name, value in names.items() if not name.startswith("__"))
    return space


SPACES = [names_of("starlette"), names_of("lamella")]

CASES = [f"value {name}" for name in DIFFERENT]


class Raised(tuple):
    """What a call raised: the names of its classes, and its text."""

    __slots__ = ()


def shown(value):
    """A value in a form that can be compared: by kind and texts, unless it is a plain one."""
    if type(value) in (list, tuple, set, frozenset):
        return type(value).__name__, [shown(item) for item in value]
    if type(value) is dict:
        return {key: shown(item) for key, item in value.items()}
    if type(value).__module__ == "builtins" and not isinstance(value, type):
        return value
    texts = [text.partition(" at 0x")[0] for text in (repr(value), str(value))]
    return type(value).__name__, *(text.replace("lamella.", "starlette.") for text in texts)


def outcome(call):
    """What a call gives or raises."""
    try:
        return shown(call())
    except Exception as exc:
        return Raised(([kind.__name__ for kind in type(exc).__mro__], str(exc)))


def agreeing(theirs, ours):
    """Starlette's outcome in the place of lamella's error if that will do where Starlette's would.

    Its class is the same, and the text has what Starlette says; or a subclass, with a text of its own.
    """
    if not (isinstance(theirs, Raised) and isinstance(ours, Raised)):
        return ours
    (kinds, text), (our_kinds, our_text) = theirs, ours
    is_kind = kinds[0] in our_kinds
    return (
        theirs if is_kind and (kinds[0] != our_kinds[0] or text.rstrip(".") in our_text) else ours
    )


def both(call):
    """The outcomes on both, of a call that gets a framework's names."""
    theirs, ours = (outcome(lambda space=space: call(space)) for space in SPACES)
    return theirs, agreeing(theirs, ours)


def evaluated(expression):
    return both(lambda space: eval(expression, dict(space)))


EXPRESSIONS = [line.strip() for lines in SAME.values() for line in lines.strip().splitlines()]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_same_value(expression):
    """Kind, repr(), str(), items in their order, or the error."""
    theirs, ours = evaluated(expression)
    assert theirs == ours


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_listed(name):
    """With its reason."""
    check(f"value {name}", *evaluated(DIFFERENT[name]))


# -- what changes ----------------------------------------------------------------------------------

keys = st.sampled_from(["a", "b", "B", "c"])
values = st.integers(0, 3)
pairs = st.lists(st.tuples(keys, values), max_size=4)
MULTIDICT = st.one_of(
    st.tuples(st.sampled_from(["__setitem__", "append", "setdefault"]), keys, values),
    st.tuples(st.sampled_from(["__delitem__", "pop", "poplist", "getlist", "__getitem__"]), keys),
    st.tuples(st.just("pop"), keys, values),
    st.tuples(st.sampled_from(["popitem", "clear"])),
    st.tuples(st.just("setlist"), keys, st.lists(values, max_size=2)),
    st.tuples(st.just("update"), st.one_of(pairs, st.dictionaries(keys, values, max_size=3))),
)
names = st.sampled_from(["a", "A", "vary", "x-Y"])
texts = st.sampled_from(["1", "2", "\xe9", ""])
HEADERS = st.one_of(
    st.tuples(st.sampled_from(["__setitem__", "append", "setdefault"]), names, texts),
    st.tuples(st.sampled_from(["__delitem__", "getlist", "get", "__contains__"]), names),
    st.tuples(st.just("add_vary_header"), texts),
    st.tuples(
        st.sampled_from(["update", "__or__", "__ior__"]), st.dictionaries(names, texts, max_size=2)
    ),
)
STATE = st.one_of(
    st.tuples(st.sampled_from(["__setattr__", "__setitem__"]), keys, values),
    st.tuples(st.sampled_from(["__delitem__", "__getitem__"]), keys),
)


def history(make, steps, look):
    """What each step gives or raises on both, and what is there after it."""

    def lived(space):
        value = make(space)
        told = []
        for name, *given_ in steps:
            done = outcome(lambda name=name, given_=given_: getattr(value, name)(*given_))
            told.append((done, shown(look(value))))
        return told

    theirs, ours = map(lived, SPACES)
    for (said, after), (our_said, our_after) in zip(theirs, ours, strict=True):
        assert (said, after) == (agreeing(said, our_said), our_after)


@few
@given(pairs, st.lists(MULTIDICT, max_size=8))
def test_same_multidict_after_any_steps(start, steps):
    """Its items, their order and the last value of each key."""
    history(
        lambda space: space["MultiDict"](start),
        steps,
        lambda found: [found, found.multi_items(), dict(found), len(found), [*found.values()]],
    )


@few
@given(st.lists(st.tuples(names, texts), max_size=3), st.lists(HEADERS, max_size=8))
def test_same_headers_after_any_steps(start, steps):
    """The raw ones, in their order."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in start]
    history(
        lambda space: space["MutableHeaders"](raw=[*raw]),
        steps,
        lambda found: [found, found.raw, found.items(), len(found)],
    )


@few
@given(st.dictionaries(keys, values, max_size=2), st.lists(STATE, max_size=8))
def test_same_state_after_any_steps(start, steps):
    """By attribute and by item; the dict that was given is the one that changes."""

    def make(space):
        given_ = dict(start)
        state = space["State"](given_)
        vars(make)[id(state)] = given_  # kept beside it, to be looked at
        return state

    history(make, steps, lambda found: [[*found], len(found), vars(make)[id(found)]])


def test_state_without_a_dict_has_one_of_its_own():
    """Two states share nothing."""

    def two(space):
        first, second = space["State"](), space["State"]()
        first.x = 1
        del first.x
        first.y = 2
        return [*first], [*second]

    theirs, ours = both(two)
    assert theirs == ours


# -- what is parsed and written --------------------------------------------------------------------


def same_for_any(strategy, max_examples=100):
    """A test that an expression of `x` gives the same for any value."""

    def test(expression):
        @settings(max_examples=max_examples)
        @given(strategy)
        def run(x):
            theirs, ours = both(lambda space: eval(expression, {**space, "x": x}))
            assert theirs == ours

        run()

    return test


ANY_TEXT = {
    "[*CommaSeparatedStrings(x)]": " ab,\"'\\#",
    "QueryParams(x), QueryParams(x).multi_items()": "ab=&;%+C3A9\xe9 ",
    "cookie_parser(x)": 'ab=; ,"\\0123\xe9',
    "FloatConvertor().convert(x)": "0123.",
    "IntegerConvertor().convert(x)": "0123-",
    "UUIDConvertor().convert(x)": "0aF-",
    "StringConvertor().to_string(x)": "ab/ \xe9",
    "compile_path(x)[1:]": "/{}:aint",
    "PARAM_REGEX.findall(x), PARAM_FORMAT_REGEX.split(x)": "{}:ab1_/",
    "[getattr(URL('http://h/' + x), n) for n in ('path', 'query', 'fragment', 'port')]": "/?#&=a%:@",
    "URL('//h/a?' + x).include_query_params(b=x)": "ab=&;%+ \xe9",
    "URL('//h/a?' + x).remove_query_params(x)": "ab=&;%+ ",
    "URLPath(x).make_absolute_url('http://h/a')": "/\\a%\xe9",
    "URL(scope={'path': '/' + x, 'headers': [], 'server': ('h', 80)})": "/?#\\a% \xe9",
    "URL(scope={'path': '/' + x, 'headers': [(b'host', x.encode())]})": "ab.:1[]@-",
}


@pytest.mark.parametrize("expression", ANY_TEXT)
def test_same_for_any_text(expression):
    """Of the characters that mean something there."""
    same_for_any(st.text(ANY_TEXT[expression], max_size=12))(expression)


ANY_NUMBER = {
    "FloatConvertor().to_string(x)": st.floats(),
    "IntegerConvertor().to_string(x)": st.integers(),
    "FloatConvertor().to_string(float(x))": st.integers(0, 10**18),
    "UUIDConvertor().to_string(x)": st.uuids(),
}


@pytest.mark.parametrize("expression", ANY_NUMBER)
def test_same_for_any_number(expression):
    """As it goes into a path, or the error."""
    same_for_any(ANY_NUMBER[expression])(expression)


hosts = st.sampled_from(["", "h", "h:8", "u@h", "u:p@h:8", "[::1]", "u:p@[::1]:8", ":p@h"])
CHANGES = {
    "scheme": st.sampled_from(["", "http", "wss"]),
    "hostname": st.sampled_from([None, "x", "::1", "[::1]", "", "x:1"]),
    "port": st.sampled_from([None, 9, "9"]),
    "username": st.sampled_from([None, "v", ""]),
    "password": st.sampled_from([None, "q", ""]),
    "path": st.sampled_from(["", "/b", "b"]),
    "query": st.sampled_from(["", "a=1"]),
}


@few
@given(hosts, st.fixed_dictionaries({}, optional=CHANGES))
def test_same_url_after_any_change(host, changes):
    """Its text, and what is hidden where it is shown."""
    url = f"https://{host}/a?b#c"
    theirs, ours = both(lambda space: space["URL"](url).replace(**changes))
    assert theirs == ours
