"""Mappings with several values a key: as Starlette's, operation by operation."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import datastructures as starlette_datastructures

from lamella import datastructures
from lamella.datastructures import FormData, ImmutableMultiDict, MultiDict, QueryParams
from lamella.exceptions import UsageError

PAIRS = [("a", "123"), ("a", "456"), ("b", "789"), ("a", "0")]

SOURCES = {
    "nothing": lambda module: (),
    "empty list": lambda module: ([],),
    "None": lambda module: (None,),
    "pairs": lambda module: (PAIRS,),
    "pairs as lists": lambda module: ([["a", "1"], ["a", "2"]],),
    "iterator": lambda module: (iter(PAIRS),),
    "dict": lambda module: ({"a": "1", "b": "2"},),
    "its own kind": lambda module: (module.MultiDict(PAIRS),),
    "immutable": lambda module: (module.ImmutableMultiDict(PAIRS),),
    "query": lambda module: (module.QueryParams("a=1&a=2"),),
}


def told(multidict):
    """Everything that a multidict says of itself."""
    return {
        "multi_items": [tuple(pair) for pair in multidict.multi_items()],
        "items": list(multidict.items()),
        "keys": list(multidict.keys()),
        "values": list(multidict.values()),
        "iter": list(multidict),
        "len": len(multidict),
        "lists": {key: multidict.getlist(key) for key in multidict},
        "gets": [multidict[key] for key in multidict],
        "contains": ["a" in multidict, "nope" in multidict, 5 in multidict],
        "get": [multidict.get("a"), multidict.get("nope"), multidict.get("nope", 5)],
        "missing": multidict.getlist("nope"),
        "truth": bool(multidict),
    }


@pytest.mark.parametrize("name", ["ImmutableMultiDict", "MultiDict", "QueryParams", "FormData"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("more", [{}, {"a": "x", "z": "y"}], ids=["", "keywords"])
def test_each_kind_takes_each_source_as_in_starlette(name, source, more):
    """All classes from all that they may be made of, with and without keywords."""
    theirs = getattr(starlette_datastructures, name)
    ours = getattr(datastructures, name)
    expected = theirs(*SOURCES[source](starlette_datastructures), **more)
    assert told(expected) == told(ours(*SOURCES[source](datastructures), **more))


@pytest.mark.parametrize("cls", [ImmutableMultiDict, MultiDict, QueryParams, FormData])
def test_second_positional_argument_is_refused(cls):
    """AssertionError in Starlette, so of that kind here, under `python -O` too."""
    with pytest.raises(UsageError, match=f"Expected {cls.__name__} to get one .*, got 2"):
        cls([], [])


@pytest.mark.parametrize("name", ["ImmutableMultiDict", "MultiDict", "QueryParams", "FormData"])
def test_repr_is_that_of_starlette(name):
    """It stands in logs and in doctests."""
    theirs, ours = (
        repr(getattr(module, name)(PAIRS)) for module in (starlette_datastructures, datastructures)
    )
    assert theirs == ours


def test_lists_given_out_and_taken_are_the_callers_own():
    """A change of theirs must not reach inside."""
    pairs = list(PAIRS)
    multidict = MultiDict(pairs)
    pairs.clear()
    multidict.multi_items().clear()
    multidict.getlist("a").clear()
    assert PAIRS == multidict.multi_items()


EQUAL = [
    ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)]),
    ([("a", 1), ("b", 2), ("a", 3)], [("a", 1), ("a", 3), ("b", 2)]),
    ([], []),
    ([("a", [])], [("a", [])]),
]
UNEQUAL = [
    ([("a", 1), ("a", 2)], [("a", 2), ("a", 1)]),
    ([("a", 1)], [("a", 1), ("a", 1)]),
    ([("a", 1)], [("b", 1)]),
    ([("a", 1)], []),
]


@pytest.mark.parametrize(
    ("left", "right", "equal"), [(*p, True) for p in EQUAL] + [(*p, False) for p in UNEQUAL]
)
def test_two_are_equal_as_in_starlette(left, right, equal):
    """The order of keys does not matter, the order of the values of one key does."""
    for module in (starlette_datastructures, datastructures):
        assert equal == (module.MultiDict(left) == module.MultiDict(right))


def test_keys_that_cannot_be_sorted_can_be_compared():
    """Starlette sorts to compare, and raises TypeError here."""
    assert MultiDict([(1, 0), ("a", 0), (None, 0)]) == MultiDict([("a", 0), (None, 0), (1, 0)])


@pytest.mark.parametrize("other", [{}, [], None, "a=1", {"a": "1"}], ids=repr)
def test_one_is_not_equal_to_something_else(other):
    """As in Starlette; a dict has no order of values to compare."""
    for module in (starlette_datastructures, datastructures):
        assert module.QueryParams("a=1") != other


def test_kinds_compare_with_each_other_as_in_starlette():
    """A subclass on the right decides first, which makes this uneven; it is the same unevenness."""

    def table(module):
        kinds = [
            kind([("a", "1")])
            for kind in (module.ImmutableMultiDict, module.MultiDict, module.QueryParams)
        ]
        return [left == right for left in kinds for right in kinds]

    assert table(starlette_datastructures) == table(datastructures)


def test_multidict_is_a_mapping_without_a_hash():
    """It is told by `isinstance` in much code, and it is compared by value."""
    assert isinstance(QueryParams(), Mapping)
    assert isinstance(QueryParams(), ImmutableMultiDict)
    with pytest.raises(TypeError, match="unhashable"):
        hash(QueryParams())


def test_pattern_matching_takes_it_as_a_mapping():
    """`match request.query_params` is used."""
    match QueryParams("a=1&b=2"):
        case {"a": a, **rest}:
            assert ("1", {"b": "2"}) == (a, rest)
        case _:
            pytest.fail("not taken as a mapping")


def test_immutable_kinds_cannot_be_changed():
    """Query parameters and forms are shared by layers and endpoint."""
    for multidict in (ImmutableMultiDict(PAIRS), QueryParams(PAIRS), FormData(PAIRS)):
        for change in ("__setitem__", "__delitem__", "pop", "append", "update", "clear", "setlist"):
            assert not hasattr(multidict, change)


keys = st.sampled_from(["a", "b", "c"])
values = st.integers(0, 3)
operations = st.one_of(
    st.tuples(st.just("__setitem__"), keys, values),
    st.tuples(st.just("__delitem__"), keys),
    st.tuples(st.just("pop"), keys),
    st.tuples(st.just("pop"), keys, values),
    st.tuples(st.just("popitem")),
    st.tuples(st.just("poplist"), keys),
    st.tuples(st.just("clear")),
    st.tuples(st.just("setdefault"), keys),
    st.tuples(st.just("setdefault"), keys, values),
    st.tuples(st.just("setlist"), keys, st.lists(values, max_size=3)),
    st.tuples(st.just("append"), keys, values),
    st.tuples(st.just("update"), st.lists(st.tuples(keys, values), max_size=4)),
    st.tuples(st.just("update"), st.dictionaries(keys, values, max_size=3)),
)


def apply(multidict, operation):
    """What an operation gives or which error it raises."""
    name, *arguments = operation
    try:
        return getattr(multidict, name)(*arguments)
    except KeyError:
        return KeyError


@given(st.lists(st.tuples(keys, values), max_size=5), st.lists(operations, max_size=8))
def test_any_row_of_changes_ends_as_in_starlette(pairs, row):
    """Each result and each state between, order included."""
    theirs, ours = starlette_datastructures.MultiDict(pairs), MultiDict(pairs)
    for operation in row:
        assert apply(theirs, operation) == apply(ours, operation)
        assert told(theirs) == told(ours)


def test_update_takes_another_multidict_and_keywords_as_in_starlette():
    """All the values of the other take the place of those that were there."""

    def updated(module):
        multidict = module.MultiDict(PAIRS)
        multidict.update(module.MultiDict([("a", 1), ("a", 2), ("c", 3)]))
        multidict.update(b=5, d=6)
        multidict.update([("d", 7)], d=8)
        multidict.update(multidict)
        return told(multidict)

    assert updated(starlette_datastructures) == updated(datastructures)


QUERIES = [
    "", "a", "a=", "=a", "=", "&", "a&b", "a=1&a=2", "a=1;b=2", "a=%20+b", "a=%C3%A9", "a=%FF", "a=%", "a=%zz",
    "a==b", "a=b=c", "&&a=1&&", "a=é", "?a=1", "a=1#b", "%61=1", "a[]=1&a[]=2", "a=\r\n", "a=\0", "+=+",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_query_is_parsed_as_in_starlette(query):
    """As text, and as bytes where these are ASCII."""
    theirs = starlette_datastructures.QueryParams(query)
    assert told(theirs) == told(QueryParams(query))
    assert (str(theirs), repr(theirs)) == (str(QueryParams(query)), repr(QueryParams(query)))
    if query.isascii():
        assert told(starlette_datastructures.QueryParams(query.encode())) == told(
            QueryParams(query.encode())
        )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a=\xc3\xa9", [("a", "é")]),
        (b"a=\xff", [("a", "\ufffd")]),
        (b"a=\xc3\xa9&b=\xff&c=d", [("a", "é"), ("b", "\ufffd"), ("c", "d")]),
        (b"\xff=\xff", [("\ufffd", "\ufffd")]),
        (b"a=%C3\xa9", [("a", "é")]),
    ],
)
def test_raw_bytes_in_a_query_are_read_as_utf_8(raw, expected):
    """Browsers and curl send them so; what is no UTF-8 is marked as such, and nothing raises."""
    assert expected == QueryParams(raw).multi_items()


def test_values_that_are_no_text_become_text():
    """As in Starlette; a URL has only text."""
    theirs, ours = (
        told(module.QueryParams([("a", 1), (2, None)], b=True))
        for module in (starlette_datastructures, datastructures)
    )
    assert theirs == ours


@given(st.binary())
def test_no_query_string_raises(raw):
    """A client may send any bytes; it must be told of it by the app, not by a 500."""
    params = QueryParams(raw)
    assert len(params.multi_items()) <= raw.count(b"&") + 1
    assert params == QueryParams(str(params))


@given(st.lists(st.tuples(st.text(), st.text())))
def test_parameters_come_back_from_their_text(pairs):
    """str() gives a query string that means the same."""
    assert pairs == QueryParams(str(QueryParams(pairs))).multi_items()


@given(st.lists(st.tuples(st.text(), st.integers())))
def test_pairs_come_back_from_a_multidict(pairs):
    """Nothing is lost, order is kept, and the last value of a key is the one a mapping gives."""
    multidict = MultiDict(pairs)
    assert pairs == multidict.multi_items() == MultiDict(multidict).multi_items()
    assert dict(pairs) == dict(multidict)
