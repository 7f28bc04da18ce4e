"""Headers, uploaded files, forms, state, and the two small ones for settings."""

import copy
import gc
import pickle
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from io import BytesIO

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette import datastructures as starlette_datastructures

from lamella import datastructures
from lamella._headers import check_header
from lamella.datastructures import (
    CommaSeparatedStrings,
    FormData,
    Headers,
    MutableHeaders,
    Secret,
    State,
    UploadFile,
)
from lamella.exceptions import UsageError

RAW = [(b"a", b"123"), (b"a", b"456"), (b"b", b"789"), (b"x-\xe9", b"\xfc")]


def test_public_names_are_those_of_starlette():
    """Moving is a changed import."""
    theirs = {
        name
        for name, value in vars(starlette_datastructures).items()
        if getattr(value, "__module__", None) == "starlette.datastructures"
        and not name.startswith("_")
    }
    assert theirs <= set(datastructures.__all__)
    assert datastructures.check_header is check_header


# Headers


def told(headers):
    """Everything that headers say of themselves."""
    names = ["a", "A", "b", "X-É", "nope"]
    return {
        "raw": headers.raw,
        "keys": headers.keys(),
        "values": headers.values(),
        "items": headers.items(),
        "iter": list(headers),
        "len": len(headers),
        "truth": bool(headers),
        "get": [headers.get(name) for name in names],
        "default": [headers.get(name, 5) for name in names] + [headers.get("nope", default="x")],
        "lists": [headers.getlist(name) for name in names],
        "contains": [name in headers for name in names],
        "gets": [headers[name] for name in names if name in headers],
        "repr": repr(headers),
    }


HEADERS_FROM = {
    "nothing": lambda: {},
    "mapping": lambda: {"headers": {"A": "123", "B": "456", "x-e": "ü"}},
    "raw": lambda: {"raw": list(RAW)},
    "empty raw": lambda: {"raw": []},
    "single": lambda: {"raw": [(b"a", b"1"), (b"b", b"2")]},
    "scope": lambda: {"scope": {"headers": list(RAW)}},
    "tuple in scope": lambda: {"scope": {"headers": tuple(RAW)}},
    "iterator in scope": lambda: {"scope": {"headers": iter(RAW)}},
}


@pytest.mark.parametrize("name", ["Headers", "MutableHeaders"])
@pytest.mark.parametrize("source", HEADERS_FROM)
def test_headers_are_those_of_starlette(name, source):
    """Both kinds, from all that they may be made of."""
    theirs = getattr(starlette_datastructures, name)(**HEADERS_FROM[source]())
    ours = getattr(datastructures, name)(**HEADERS_FROM[source]())
    assert told(theirs) == told(ours)


@pytest.mark.parametrize(
    "sources",
    [{"headers": {}, "raw": []}, {"headers": {}, "scope": {}}, {"raw": [], "scope": {}}],
    ids=repr,
)
def test_two_sources_of_headers_are_refused(sources):
    """AssertionError in Starlette, so of that kind here, under `python -O` too."""
    with pytest.raises(UsageError, match="one of headers, raw and scope"):
        Headers(**sources)


def test_headers_of_a_scope_share_its_list():
    """A change through one is seen through the other, as in Starlette; the server's list stays."""
    given_list = [(b"a", b"1")]
    message = {"type": "http.response.start", "headers": given_list}
    headers = MutableHeaders(scope=message)
    headers["b"] = "2"
    assert [(b"a", b"1"), (b"b", b"2")] == message["headers"]
    assert [(b"a", b"1")] == given_list


def test_headers_of_a_message_without_any_are_empty_and_can_be_added():
    """ASGI HTTP specification: headers are optional in http.response.start."""
    message = {"type": "http.response.start", "status": 200}
    MutableHeaders(scope=message).append("x-a", "1")
    assert [(b"x-a", b"1")] == message["headers"]


def test_headers_may_come_as_lists_of_two():
    """ASGI says an iterable of two-item iterables; some apps send lists."""
    headers = MutableHeaders(raw=[[b"a", b"1"], [b"b", b"2"]])
    assert "1" == headers["a"]
    headers["a"] = "3"
    del headers["b"]
    assert {"a": "3"} == dict(headers)
    assert Headers(raw=[[b"a", b"1"]]) == Headers(raw=[(b"a", b"1")])


def test_missing_header_is_a_key_error_with_the_name_as_asked():
    """The name in lower case or as bytes would not be found in the user's code."""
    with pytest.raises(KeyError, match="'X-Nope'"):
        Headers()["X-Nope"]


def test_name_that_no_header_can_have_is_not_found():
    """A lookup asks; it has no reason to raise."""
    headers = Headers(raw=RAW)
    assert ("€" in headers, headers.get("€"), headers.getlist("€")) == (False, None, [])


@pytest.mark.parametrize("other", [{"a": "1"}, None, [], "a"], ids=repr)
def test_headers_equal_only_headers(other):
    """In any order; another mapping is not equal, as in Starlette."""
    assert Headers({"a": "1", "b": "2"}) == Headers({"b": "2", "a": "1"})
    assert Headers({"a": "1"}) == MutableHeaders({"a": "1"})
    assert Headers({"a": "1"}) != Headers({"a": "2"})
    assert Headers({"a": "1"}) != other


def test_headers_are_a_mapping_without_a_hash():
    """It is told by `isinstance` in much code."""
    assert isinstance(Headers(), Mapping)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Headers())


def test_raw_of_headers_is_a_copy_and_of_mutable_headers_the_list():
    """As in Starlette: a response's raw_headers are changed in place."""
    fixed, mutable = Headers(raw=list(RAW)), MutableHeaders(raw=list(RAW))
    fixed.raw.clear()
    mutable.raw.clear()
    assert (4, 0) == (len(fixed), len(mutable))


def test_mutable_copy_leaves_the_original():
    """A layer that adds a request header works on a copy."""
    headers = Headers(raw=list(RAW))
    changed = headers.mutablecopy()
    changed["a"] = "new"
    assert ("123", "new") == (headers["a"], changed["a"])
    assert isinstance(changed, MutableHeaders)


names = st.sampled_from(["a", "B", "X-c"])
texts = st.text(alphabet="xyé ,", max_size=4)
header_operations = st.one_of(
    st.tuples(st.just("__setitem__"), names, texts),
    st.tuples(st.just("__delitem__"), names),
    st.tuples(st.just("append"), names, texts),
    st.tuples(st.just("setdefault"), names, texts),
    st.tuples(st.just("update"), st.dictionaries(names, texts, max_size=3)),
    st.tuples(st.just("add_vary_header"), texts),
    st.tuples(st.just("__ior__"), st.dictionaries(names, texts, max_size=3)),
)


@given(st.lists(st.tuples(names, texts), max_size=4), st.lists(header_operations, max_size=8))
def test_any_row_of_changes_to_headers_ends_as_in_starlette(pairs, row):
    """Each state between, order included, and the list is changed in place."""
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    theirs = starlette_datastructures.MutableHeaders(raw=list(raw))
    ours = MutableHeaders(raw=raw)
    for name, *arguments in row:
        expected, result = (getattr(headers, name)(*arguments) for headers in (theirs, ours))
        if name == "setdefault":
            assert expected == result
        assert theirs.raw == ours.raw
        assert ours.raw is raw


def test_union_of_headers_gives_new_ones():
    """`|` copies and `|=` changes, as with dicts."""
    headers = MutableHeaders({"a": "1"})
    both = headers | {"a": "2", "b": "3"}
    assert ({"a": "1"}, {"a": "2", "b": "3"}) == (dict(headers), dict(both))
    headers |= {"c": "4"}
    assert {"a": "1", "c": "4"} == dict(headers)


@pytest.mark.parametrize("other", [[("a", "1")], None, 5, "a"], ids=repr)
def test_union_with_what_is_no_mapping_is_a_type_error(other):
    """As in Starlette."""
    headers = MutableHeaders()
    with pytest.raises(TypeError, match="Expected a mapping"):
        headers | other
    with pytest.raises(TypeError, match="Expected a mapping"):
        headers |= other


WAYS_TO_ADD = {
    "set": lambda headers, name, value: headers.__setitem__(name, value),
    "append": lambda headers, name, value: headers.append(name, value),
    "setdefault": lambda headers, name, value: headers.setdefault(name, value),
    "update": lambda headers, name, value: headers.update({name: value}),
    "|=": lambda headers, name, value: headers.__ior__({name: value}),
    "|": lambda headers, name, value: headers | {name: value},
    "class": lambda headers, name, value: MutableHeaders({name: value}),
}


@pytest.mark.parametrize("way", WAYS_TO_ADD)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "1\r\nset-cookie: a=b"), ("x-a", "1\n"), ("x-a", "\r"), ("x-a", "a\0"), ("x-a\r\nx-b", "1"),
        ("x a", "1"), ("", "1"), ("x-a:", "1"), ("x-a", "€"), ("é", "1"),
    ],
)  # fmt: skip
def test_header_that_could_split_a_response_is_refused_and_nothing_changes(way, name, value):
    """No way to add a header goes round the check; the error says which it was."""
    headers = MutableHeaders({"a": "1"})
    with pytest.raises(ValueError, match="header"):
        WAYS_TO_ADD[way](headers, name, value)
    assert [(b"a", b"1")] == headers.raw


def test_vary_that_could_split_a_response_is_refused():
    """It is joined from the request's or the user's words."""
    with pytest.raises(ValueError, match="'vary'"):
        MutableHeaders().add_vary_header("a\r\nb")


header_names = st.text(alphabet="abcXYZ-_09!~", min_size=1)
header_values = st.text(alphabet=st.characters(max_codepoint=255, exclude_characters="\r\n\0"))


@given(st.lists(st.tuples(header_names, header_values)))
def test_headers_come_back_from_their_bytes(pairs):
    """Nothing is lost on the way to the wire and back; order is kept."""
    headers = MutableHeaders()
    for name, value in pairs:
        headers.append(name, value)
    expected = [(name.lower(), value) for name, value in pairs]
    assert expected == Headers(raw=headers.raw).items()
    for name, _ in pairs:
        assert [value for other, value in expected if other == name.lower()] == headers.getlist(
            name
        )


# State


def test_state_has_its_values_as_attributes_and_as_items():
    """As in Starlette, both ways to write and to read."""

    def results(module):
        state = module.State({"a": 1})
        state.b = 2
        state["c"] = 3
        del state.a
        del state["c"]
        state.d = state["b"] + state.b
        return [
            state["d"],
            state.d,
            list(state),
            len(state),
            "b" in state,
            hasattr(state, "a"),
            state._state,
        ]

    assert results(starlette_datastructures) == results(datastructures)


def test_state_shares_the_dict_it_is_given():
    """scope["state"] is read by servers and by other frameworks below."""
    values = {"a": 1}
    state = State(values)
    state.b = 2
    values["c"] = 3
    assert {"a": 1, "b": 2, "c": 3} == values
    assert (3, values) == (state.c, state._state)
    assert state._state is values


def test_empty_dict_is_shared_too():
    """An empty one is the usual one."""
    values = {}
    State(values).a = 1
    assert {"a": 1} == values


def test_states_without_a_dict_share_nothing():
    """Each application has its own."""
    first, second = State(), State()
    first.a = 1
    assert not hasattr(second, "a")


def test_missing_attribute_is_an_attribute_error_that_names_it():
    """hasattr and getattr with a default depend on the class."""
    state = State()
    with pytest.raises(AttributeError, match="'State' object has no attribute 'nope'"):
        state.nope
    with pytest.raises(AttributeError, match="nope"):
        del state.nope
    with pytest.raises(KeyError, match="nope"):
        state["nope"]
    assert 5 == getattr(state, "nope", 5)


@pytest.mark.parametrize(
    "name", ["items", "get", "keys", "state", "self", "_private", "__dunder", "not valid", "é"]
)
def test_any_name_can_be_a_value(name):
    """Users choose them; none is taken."""
    state = State()
    setattr(state, name, 1)
    assert (1, 1, {name: 1}) == (getattr(state, name), state[name], state._state)


def test_subclass_of_state_may_set_the_dict_itself():
    """Subclasses written for Starlette do it in these two ways."""

    class First(State):
        def __init__(self, state):
            super().__setattr__("_state", state)

    class Second(State):
        def __init__(self, state):
            self._state = state

        def __setattr__(self, key, value):
            super().__setattr__(key, value)

    for cls in (First, Second):
        values = {"a": 1}
        state = cls(values)
        state.b = 2
        assert ({"a": 1, "b": 2}, 1) == (values, state.a)


def test_copy_of_state_has_values_of_its_own():
    """As with any object."""
    state = State({"a": 1})
    for twin in (copy.copy(state), pickle.loads(pickle.dumps(state))):
        twin.b = 2
        assert ({"a": 1}, {"a": 1, "b": 2}) == (state._state, twin._state)


def test_what_state_holds_is_freed_with_it_without_the_collector():
    """A request's state holds sessions and connections; they go when the request goes."""

    class Value:
        pass

    gc.disable()
    try:
        value = Value()
        alive = weakref.ref(value)
        state = State({})
        state.value = value
        del state, value
        assert alive() is None
    finally:
        gc.enable()


# Settings


def test_secret_shows_only_when_asked():
    """In a traceback, a log or a repr of settings it must not."""
    secret = Secret("value")
    assert ("Secret('**********')", "value", True) == (repr(secret), str(secret), bool(secret))
    assert not Secret("")
    assert "value" not in f"{[secret]}{secret!r}"


LISTS = [
    "", "a", "a,b", "a, b", " a , b ", "'a','b'", "'a, b', c", '"a, b", c', "a,,b", ",", "a b, c d", "a\\,b", "a # b",
    "a#b,c", "é,ü", ["a", "b"], [], ("a, b",), "'a' 'b'", "''",
]  # fmt: skip


@pytest.mark.parametrize("value", LISTS, ids=repr)
def test_comma_separated_strings_are_those_of_starlette(value):
    """Settings must read the same after a move."""

    def results(module):
        items = module.CommaSeparatedStrings(value)
        return [
            list(items),
            len(items),
            items[:1],
            str(items),
            repr(items),
            "a" in items,
            items[-1:],
        ]

    assert results(starlette_datastructures) == results(datastructures)


def test_comma_separated_strings_are_a_sequence_and_a_bad_quote_is_an_error():
    """A setting that cannot be read must not be read in part."""
    items = CommaSeparatedStrings("a, b")
    assert isinstance(items, Sequence)
    assert ("a", "b", 1) == (items[0], items[-1], items.index("b"))
    with pytest.raises(ValueError, match="quot"):
        CommaSeparatedStrings("'a, b")


# Files and forms


class Recorder(BytesIO):
    """A file that notes in which thread it is used; it stands for one on a disk."""

    _rolled = True

    def __init__(self, content=b""):
        super().__init__(content)
        self.threads = []

    def note(self):
        self.threads.append(threading.current_thread() is threading.main_thread())

    def read(self, *args):
        self.note()
        return super().read(*args)

    def write(self, data):
        self.note()
        return super().write(data)

    def seek(self, *args):
        self.note()
        return super().seek(*args)

    def close(self):
        self.note()
        super().close()


async def use(upload):
    """All four methods, and what they give."""
    await upload.write(b"abc")
    await upload.seek(1)
    parts = [await upload.read(1), await upload.read(), await upload.read()]
    await upload.close()
    return [*parts, upload.file.closed, upload.size]


@pytest.mark.anyio
async def test_file_on_disk_is_used_in_a_thread():
    """CVE-2025-54121: a disk must not stop the event loop."""
    file = Recorder()
    assert [b"b", b"c", b"", True, 3] == await use(UploadFile(file, size=0))
    assert [False] * 6 == file.threads


@pytest.mark.anyio
@pytest.mark.parametrize(
    "make", [BytesIO, lambda: tempfile.SpooledTemporaryFile(max_size=100)], ids=["bytes", "spool"]
)
async def test_file_in_memory_is_used_at_once(make, monkeypatch):
    """A thread would cost more than the work."""
    monkeypatch.setattr(datastructures, "run_in_threadpool", None)
    assert [b"b", b"c", b"", True, None] == await use(UploadFile(make()))


@pytest.mark.anyio
@pytest.mark.parametrize(("size", "in_thread"), [(10, False), (11, True)])
async def test_write_that_moves_a_spool_to_disk_is_done_in_a_thread(size, in_thread, monkeypatch):
    """The write that goes over the limit is the one that touches the disk."""
    called = []
    in_threadpool = datastructures.run_in_threadpool

    async def counted(func, *args):
        called.append(func)
        return await in_threadpool(func, *args)

    monkeypatch.setattr(datastructures, "run_in_threadpool", counted)
    with tempfile.SpooledTemporaryFile(max_size=10) as spool:
        upload = UploadFile(spool, size=0)
        await upload.write(b"x" * size)
        assert [in_thread, in_thread, size] == [bool(called), spool._rolled, upload.size]
        await upload.seek(0)
        assert b"x" * size == await upload.read()


@pytest.mark.anyio
async def test_spool_without_a_limit_stays_in_memory(monkeypatch):
    """0 means unlimited in SpooledTemporaryFile."""
    monkeypatch.setattr(datastructures, "run_in_threadpool", None)
    upload = UploadFile(tempfile.SpooledTemporaryFile(max_size=0))
    await upload.write(b"x" * 100_000)
    await upload.close()
    assert upload.file.closed


@pytest.mark.anyio
async def test_rolled_file_is_closed_although_the_task_is_cancelled():
    """Closing is what a `finally` does, and the file is on the disk till then."""
    file = Recorder()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await UploadFile(file).close()
    assert file.closed


@pytest.mark.anyio
async def test_closed_file_is_not_closed_again():
    """A form is closed when its exchange is over, and may have been closed before."""
    file = Recorder()
    await UploadFile(file).close()
    threads = list(file.threads)
    await UploadFile(file).close()
    assert threads == file.threads


@pytest.mark.anyio
async def test_file_that_a_thread_is_working_on_is_closed_after_it(monkeypatch):
    """A task may be cancelled and gone while its thread still moves the file to disk."""
    running, go_on = threading.Event(), threading.Event()
    spool = tempfile.SpooledTemporaryFile(max_size=10)
    rollover = spool.rollover

    def slow():
        running.set()
        assert go_on.wait(10)
        rollover()

    monkeypatch.setattr(spool, "rollover", slow)
    upload = UploadFile(spool)
    async with anyio.create_task_group() as group:
        group.start_soon(upload.write, b"x" * 11)
        await anyio.to_thread.run_sync(running.wait)
        group.start_soon(upload.close)
        await anyio.lowlevel.checkpoint()
        assert not spool.closed
        go_on.set()
    assert [True, True] == [spool._rolled, spool.closed]


def test_upload_in_memory_can_be_copied():
    """It holds no lock before a thread is needed."""
    assert b"abc" == copy.deepcopy(UploadFile(BytesIO(b"abc"))).file.read()


def test_upload_says_what_it_is_as_in_starlette():
    """Attributes, content type and repr."""

    def results(module):
        headers = module.Headers({"Content-Type": "text/plain"})
        uploads = [
            module.UploadFile(BytesIO(), size=3, filename="a.txt", headers=headers),
            module.UploadFile(BytesIO()),
        ]
        return [(u.filename, u.size, u.content_type, dict(u.headers), repr(u)) for u in uploads]

    assert results(starlette_datastructures) == results(datastructures)


@pytest.mark.anyio
async def test_form_closes_its_files_and_leaves_its_texts():
    """A file may be there several times under one name."""
    files = [Recorder() for _ in range(3)]
    first, second, third = map(UploadFile, files)
    form = FormData([("a", first), ("a", second), ("b", "text"), ("c", third)])
    await form.close()
    assert [True] * 3 == [file.closed for file in files]
    assert (second, "text", [first, second]) == (form["a"], form["b"], form.getlist("a"))


@pytest.mark.anyio
async def test_form_closes_the_other_files_when_one_cannot_be_closed():
    """The first error is told once all is done."""

    class Broken(Recorder):
        def close(self):
            if not self.threads:  # once: the interpreter closes it again when it is freed
                self.note()
                raise OSError("disk gone")

    last = Recorder()
    form = FormData(
        [("a", UploadFile(Broken())), ("b", UploadFile(Broken())), ("c", UploadFile(last))]
    )
    with pytest.raises(OSError, match="disk gone"):
        await form.close()
    assert last.closed


def test_init_of_form_data_can_be_replaced_on_the_class(monkeypatch):
    """Tests of other frameworks count forms this way."""
    made = []
    original = FormData.__init__

    def counted(self, *args, **kwargs):
        made.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(FormData, "__init__", counted)
    assert "1" == FormData([("a", "1")])["a"]
    assert 1 == len(made)


def test_two_lists_of_pairs_give_equal_forms():
    """Forms compare by value, files by identity."""
    upload = UploadFile(BytesIO())
    assert FormData([("a", upload)]) == FormData({"a": upload})
    assert FormData([("a", upload)]) != FormData([("a", UploadFile(BytesIO()))])
