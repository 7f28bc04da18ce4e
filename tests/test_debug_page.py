"""The page shown for an unhandled error: what is on it, and that nothing can break it."""

# ruff: noqa: F841 - local variables are what the page shows

import json
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lamella import _debug_page
from lamella._debug_page import MAX_BYTES, render_html, render_text

SCRIPT = "<script>alert('x')</script>"


def raised(function: Callable[..., Any], *args: Any) -> BaseException:
    """Give the exception that a call raises."""
    try:
        function(*args)
    except BaseException as exc:
        return exc
    raise AssertionError("it did not raise")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give foreign code so long that no busy machine makes a value late."""
    monkeypatch.setattr(_debug_page, "PATIENCE", 16.0)


class Reader(HTMLParser):
    """Reads a page strictly: which elements and attributes it has, and its text.

    Attributes:
        seen: names of the elements, in order.
        attributes: (element, attribute) pairs.
        texts: the text in each element of a kind, by `element.class`.
    """

    VOID = frozenset({"meta"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.texts: dict[str, list[str]] = {}
        self.states: list[tuple[str, bool]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kind = dict(attrs).get("class")
        self.seen.append(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        if tag == "details":
            self.states.append((kind or "", "open" in dict(attrs)))
        if tag not in self.VOID:
            self.open.append(f"{tag}.{kind}" if kind else tag)
            self.texts.setdefault(self.open[-1], []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().partition(".")[0] == tag

    def handle_data(self, data: str) -> None:
        for kind in set(self.open):
            self.texts[kind][-1] += data

    def text(self, kind: str) -> str:
        """Join the texts of all elements of a kind."""
        return "\n".join(self.texts.get(kind, []))


ELEMENTS = set(
    "html head meta title style body header div main section footer p h1 h2 span mark pre code b "
    "details summary dl dt dd".split()
)
ATTRIBUTES = {"class", "open", "title", "lang", "charset", "name", "content"}


def read(exc: BaseException, **options: Any) -> Reader:
    """Render a page and check what holds for every page."""
    page = render_html(exc, **options)
    assert len(page.encode()) <= MAX_BYTES
    reader = Reader(page)
    assert set(reader.seen) <= ELEMENTS
    assert {name for _, name in reader.attributes} <= ATTRIBUTES
    assert not re.search(r"https?:|url\(|@import|javascript:", page.split("</style>")[0])
    return reader


def fail(message: str = "no more pears") -> None:
    """Raise from a frame of the test's own."""
    basket = {"pears": 0}
    raise LookupError(message, basket) if message == "args" else LookupError(message)


# --- what is on it


def test_type_and_message_stand_on_top() -> None:
    """The first thing to know; the title is what a browser tab shows."""
    reader = read(raised(fail))
    assert reader.texts["h1"] == ["LookupError"]
    assert reader.texts["pre.message"] == ["no more pears"]
    assert reader.texts["title"] == ["LookupError: no more pears"]
    assert "in fail" in reader.text("header")


def test_class_is_named_with_its_module() -> None:
    """Two packages may have an error of the same name."""
    assert read(raised(json.loads, "{")).texts["h1"] == ["json.decoder.JSONDecodeError"]


def test_code_around_the_failing_line_is_shown_and_marked() -> None:
    """The line as it is in the file, and the part of it that was being evaluated."""

    def add(left: Any, right: Any) -> Any:
        total = "ü" + (left + right) + "ü"
        return total

    reader = read(raised(add, 1, None))
    line = reader.texts["div.now"][0]
    assert 'total = "ü" + (left + right) + "ü"' in line
    assert reader.texts["mark"][0] == "left + right"
    assert reader.texts["div.lines"][0].count("return total") == 1


@pytest.mark.parametrize(("limit", "lines"), [(0, 0), (1, 1), (3, 3), (7, 7), (-5, 0)])
def test_limit_is_the_number_of_lines_shown(limit: int, lines: int) -> None:
    """The argument of Starlette's generate_html, counted as there."""
    exc = raised(fail)
    reader = read(exc.with_traceback(exc.__traceback__.tb_next), limit=limit)  # type: ignore[union-attr]
    assert len(reader.texts.get("b", [])) == lines


def test_local_variables_are_shown() -> None:
    """Half of all questions are what a value was."""
    reader = read(raised(fail))
    pairs = dict(zip(reader.texts["dt"], reader.texts["dd"], strict=True))
    assert pairs["message"] == "'no more pears'"
    assert pairs["basket"] == "{'pears': 0}"


def test_most_recent_call_is_first_and_open() -> None:
    """What failed is read first; the way there comes below."""
    reader = read(raised(lambda: fail()))
    places = [text.split()[0] for text in reader.texts["summary"] if ".py:" in text]
    assert [place.rpartition(".")[2] for place in places] == ["fail", "<lambda>", "raised"]
    assert reader.states[0] == ("frame", True)


def test_library_frames_are_folded_and_those_of_the_user_open() -> None:
    """Nobody looks for a mistake in json."""
    reader = read(raised(json.loads, "{"))
    assert ("fold", False) in reader.states
    assert [state for state in reader.states if state == ("frame", True)] == [("frame", True)]
    assert "3 library frames: json" in reader.texts["summary"]
    assert "in raised" in reader.text("header")


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_installed_packages_count_as_library(folder: str) -> None:
    """Wherever an environment lies, even inside the project."""
    names: dict[str, Any] = {}
    path = f"/srv/app/.venv/lib/python3/{folder}/vendor/thing.py"
    exec(compile("def call():\n    inner()\ndef inner():\n    1/0", path, "exec"), names)
    reader = read(raised(names["call"]))
    assert "2 library frames: vendor" in reader.texts["summary"]
    assert "inner vendor/thing.py:4" in reader.texts["summary"]


def test_error_inside_libraries_alone_still_has_an_open_frame() -> None:
    """A page with everything folded says nothing."""
    exc = raised(json.loads, "{")
    inner = exc.__traceback__.tb_next  # type: ignore[union-attr]
    assert read(exc.with_traceback(inner)).states[0] == ("frame", True)


def test_path_is_shown_from_the_folder_we_are_in() -> None:
    """Full paths are noise; the full one is in the tooltip."""
    here = Path(__file__)
    page = render_html(raised(fail))
    short = here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here
    assert f">{short.as_posix()}:" in page
    assert f'title="{here}"' in page


def test_folder_that_is_gone_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """os.getcwd raises then, and the page has to come nevertheless."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert read(raised(fail)).texts["h1"] == ["LookupError"]


def test_exception_that_was_never_raised_has_a_page() -> None:
    """Tests and tools render such."""
    assert read(ValueError("just made")).texts["pre.message"] == ["just made"]


def test_code_without_source_is_shown_without_lines() -> None:
    """Code from exec and templates has none on disk."""
    names: dict[str, Any] = {}
    exec("def call():\n    1/0", names)
    reader = read(raised(names["call"]))
    assert "call <string>:2" in reader.texts["summary"]


def test_notes_hints_and_syntax_are_part_of_the_message() -> None:
    """What the interpreter prints below an error is worth as much here."""
    noted = ValueError("bad")
    noted.add_note("while reading line 3")
    assert read(noted).texts["pre.message"] == ["bad\nwhile reading line 3"]
    syntax = read(raised(compile, "x = = 1", "made-up.py", "exec")).text("pre.message")
    assert "x = = 1" in syntax
    assert "^" in syntax
    misspelt = raised(lambda: "".uper())  # type: ignore[attr-defined]
    hint = "Did you mean: 'upper'?"
    assert (hint in render_text(misspelt)) == (hint in read(misspelt).text("pre.message"))


# --- chains and groups


def chain() -> None:
    """Raise an error with a cause, which has a context."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")
    except ValueError as exc:
        raise RuntimeError("third") from exc


def test_causes_and_contexts_follow() -> None:
    """The first error is most often the one to mend."""
    reader = read(raised(chain))
    assert reader.texts["h1"] == ["RuntimeError"]
    assert reader.texts["h2"] == ["ValueError", "KeyError"]
    causes = reader.texts["div.cause"]
    assert causes[0].startswith("Caused by")
    assert causes[1].startswith("Raised while handling")
    assert reader.texts["pre.message"] == ["third", "second", "'first'"]


def test_suppressed_context_is_left_out() -> None:
    """`from None` is how an author says that it does not matter."""

    def hide() -> None:
        try:
            fail()
        except LookupError:
            raise ValueError("plain") from None

    assert "h2" not in read(raised(hide)).texts


def test_members_of_a_group_are_shown_with_their_causes() -> None:
    """A group says nothing by itself."""
    inner = ExceptionGroup("inside", [KeyError("deep")])
    exc = raised(lambda: (_ for _ in ()).throw(BaseExceptionGroup("all", [raised(chain), inner])))
    reader = read(exc)
    assert reader.texts["h1"] == ["ExceptionGroup"]
    assert reader.texts["h2"] == [
        "RuntimeError",
        "ValueError",
        "KeyError",
        "ExceptionGroup",
        "KeyError",
    ]
    assert reader.texts["div.cause"][0].startswith("Exception 1 of 2 in the group")
    assert len(reader.texts["section.deep1"]) == 4
    assert len(reader.texts["section.deep2"]) == 1


def test_circle_of_causes_ends() -> None:
    """Python allows it, and some pools raise one error object again and again."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert read(one).texts["h2"] == ["ValueError"]


def test_long_chain_and_wide_group_are_cut() -> None:
    """A retry loop can chain thousands."""
    last = ValueError("0")
    for number in range(1, 3_000):
        following = ValueError(str(number))
        following.__context__ = last
        last = following
    reader = read(last)
    assert reader.texts["pre.message"][:2] == ["2999", "2998"]
    assert len(reader.texts["h2"]) == 19
    assert "No more exceptions are shown." in reader.texts["p.gap"]
    wide = read(ExceptionGroup("wide", [ValueError(str(number)) for number in range(3_000)]))
    assert len(wide.texts["h2"]) == 19


# --- nothing gets out of its place


def test_everything_from_outside_is_escaped() -> None:
    """CVE-2016-10516 and CVE-2019-14806: scripts through the text of an exception."""
    source = f"def call(value):\n    '{SCRIPT.replace(chr(39), '')}'; raise Odd(value)  # {SCRIPT}"
    path = f"/tmp/{SCRIPT}.py"
    odd = type(f"Odd{SCRIPT}", (Exception,), {"__module__": SCRIPT})
    names: dict[str, Any] = {"Odd": odd}
    exec(compile(source, path, "exec"), names)
    import linecache

    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    call = names["call"]
    call.__code__ = call.__code__.replace(
        co_name=SCRIPT, co_qualname=SCRIPT, co_varnames=(f"v{SCRIPT}",)
    )
    exc = raised(call, [SCRIPT, {SCRIPT: SCRIPT}])
    exc.add_note(SCRIPT)
    exc.__cause__ = ExceptionGroup(SCRIPT, [ValueError(SCRIPT)])
    page = render_html(exc)
    assert "<script" not in page.lower()
    assert page.count("&lt;script&gt;") >= 8
    reader = read(exc)
    assert reader.texts["h1"] == [f"{SCRIPT}.Odd{SCRIPT}"]
    assert f"v{SCRIPT}" in reader.texts["dt"]


def test_quotes_cannot_leave_an_attribute() -> None:
    """The tooltip holds a file name, and names are free text."""
    names: dict[str, Any] = {}
    exec(compile("def call():\n    1/0", '/x" onmouseover="alert(1)', "exec"), names)
    assert ("span", "onmouseover") not in read(raised(names["call"])).attributes


def test_string_that_lies_about_itself_is_escaped() -> None:
    """A subclass of str can overrule what escaping relies on."""

    class Sly(str):  # noqa: SLOT000
        def replace(self, *args: Any) -> str:
            return self

        translate = encode = __getitem__ = __format__ = replace  # type: ignore[assignment]

    class Lying(Exception):
        def __str__(self) -> str:
            return Sly(SCRIPT)

        __repr__ = __str__

    def call() -> None:
        value = Lying()
        raise value

    assert "<script" not in render_html(raised(call))


def test_text_without_a_utf8_form_is_shown_escaped() -> None:
    """Lone surrogates come from file names, and break encode() when the page is sent."""
    exc = raised(fail, "caf\udce9")
    assert render_html(exc).encode()
    assert read(exc).texts["pre.message"] == ["caf\\udce9"]
    assert "caf\\udce9" in render_text(exc).encode().decode()
    names: dict[str, Any] = {}
    exec(compile("def call():\n    1/0", "caf\udce9.py", "exec"), names)
    assert "call caf\\udce9.py:2" in read(raised(names["call"])).texts["summary"]


# --- foreign code


class Hostile(Exception):
    """An exception whose every text raises."""

    def __str__(self) -> str:
        raise SystemExit("no text")

    def __repr__(self) -> str:
        raise KeyboardInterrupt


class NotText(Exception):
    """An exception whose texts are not texts."""

    def __str__(self) -> Any:
        return 7  # noqa: PLE0307

    __repr__ = __str__


class OddLinks(Exception):
    """An exception that cannot be asked for its cause."""

    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no cause")

    __context__ = __cause__


class OddMeta(type):
    """A class that cannot be asked for its name."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError("no name")


class Nameless(Exception, metaclass=OddMeta):
    """An exception of such a class."""


class OddGroup(ExceptionGroup[Exception]):
    """A group that has no members to show."""

    exceptions = 5  # type: ignore[assignment]


class OddNotes(Exception):
    """An exception whose notes are none."""

    @property
    def __notes__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no notes")


@pytest.mark.parametrize(
    "exc",
    [
        Hostile(),
        NotText(),
        OddLinks("x"),
        Nameless("x"),
        OddGroup("x", [ValueError()]),
        OddNotes("x"),
        ExceptionGroup("x", [Hostile(), OddLinks()]),
        SystemExit(3),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
    ids=lambda exc: type.__repr__(type(exc)),
)
def test_no_exception_makes_the_page_raise(exc: BaseException) -> None:
    """An error in showing an error would hide both."""

    def call() -> None:
        value = exc
        values = [exc]
        raise value

    error = raised(call)
    assert read(error).text("h1")
    assert render_text(error)
    assert len(render_text(error).encode()) <= MAX_BYTES


def test_repr_that_raises_costs_its_own_value_alone() -> None:
    """The rest of the page is there."""

    class Broken:
        def __repr__(self) -> str:
            raise SystemExit("never")

    def call() -> None:
        broken, nested, fine = Broken(), [Broken()], 7
        fail()

    reader = read(raised(call))
    pairs = dict(zip(reader.texts["dt"], reader.texts["dd"], strict=True))
    assert pairs["broken"] == "<not shown: raised SystemExit>"
    assert pairs["nested"] == "<not shown: raised SystemExit>"
    assert pairs["fine"] == "7"


def page_threads() -> list[threading.Thread]:
    """List the threads that read foreign values."""
    return [thread for thread in threading.enumerate() if thread.name == "lamella debug page"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, patience: None) -> Iterator[threading.Event]:
    """Shorten the patience; what waits for the event is stuck, and let go at the end."""
    monkeypatch.setattr(_debug_page, "PATIENCE", 0.4)
    let_go = threading.Event()
    yield let_go
    let_go.set()
    for thread in page_threads():
        thread.join()


def test_repr_that_is_stuck_costs_its_own_value_alone(
    impatient: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lazy object that waits for a lock must not keep the answer."""
    monkeypatch.setattr(_debug_page, "PATIENCE", 6.0)

    asked: list[str] = []

    class Stuck:
        def __repr__(self) -> str:
            impatient.wait()
            return "too late"

    class After:
        def __repr__(self) -> str:
            asked.append("after")
            return "2"

    def call() -> None:
        before, stuck, after = 1, Stuck(), After()
        fail()

    reader = read(raised(call))
    pairs = dict(zip(reader.texts["dt"], reader.texts["dd"], strict=True))
    assert pairs["stuck"] == "<not shown: took too long>"
    assert (pairs["before"], pairs["after"]) == ("1", "2")
    impatient.set()
    for thread in page_threads():
        thread.join()
    assert asked == ["after"], "a thread that was given up went on"


def test_values_of_the_user_are_read_before_those_of_libraries(
    impatient: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When patience ends, it is the folded frames that lack values."""
    monkeypatch.setattr(_debug_page, "PATIENCE", 2.0)

    class Stuck:
        def __repr__(self) -> str:
            impatient.wait()
            return "too late"

    names: dict[str, Any] = {}
    path = "/srv/site-packages/vendor.py"
    exec(compile("def inner(a, b, c, d, e):\n    1/0", path, "exec"), names)

    def call() -> None:
        mine = "seen"
        names["inner"](*(Stuck() for _ in range(5)))

    assert "'seen'" in read(raised(call)).texts["dd"]


def test_patience_has_an_end(impatient: threading.Event) -> None:
    """Many stuck values cost no more than the whole patience, and few threads."""

    class Stuck:
        def __repr__(self) -> str:
            impatient.wait()
            return "too late"

    def call() -> None:
        one, two, three, four, five, six, seven, eight = [Stuck() for _ in range(8)]
        fail()

    reader = read(raised(call))
    assert reader.texts["dd"].count("<not shown: took too long>") >= 8
    assert len(page_threads()) <= 5


def test_text_that_is_stuck_is_left_out(impatient: threading.Event) -> None:
    """The message may be foreign code as well."""

    class StuckError(Exception):
        def __str__(self) -> str:
            impatient.wait()
            return "too late"

    exc = StuckError()
    assert "took too long" in render_text(exc)
    assert "StuckError" in render_text(exc)
    assert "took too long" in read(exc).text("pre.message")


def test_no_thread_is_left_behind() -> None:
    """Only a value that never comes leaves one."""
    read(raised(chain))
    render_text(raised(chain))
    assert page_threads() == []


def test_page_comes_without_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some platforms have none, and a machine may be out of them."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    exc = raised(fail)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert "{'pears': 0}" in read(exc).texts["dd"]
    assert "LookupError: no more pears" in render_text(exc)


def test_context_variables_are_seen_by_reprs() -> None:
    """A lazy translation, say, asks for the language of the request."""
    from contextvars import ContextVar

    language = ContextVar("language", default="none")

    class Lazy:
        def __repr__(self) -> str:
            return language.get()

    def call() -> None:
        language.set("fr")
        text = Lazy()
        fail()

    assert "fr" in read(raised(call)).texts["dd"]


def test_names_that_cannot_be_listed_are_left_out() -> None:
    """A metaclass may give a class body any mapping at all."""

    class Names(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("no items")

    class Meta(type):
        @classmethod
        def __prepare__(cls, *args: Any, **options: Any) -> Any:
            return Names()

    def call() -> None:
        class Made(metaclass=Meta):
            fail()

    assert read(raised(call)).texts["h1"] == ["LookupError"]


def test_loader_that_raises_costs_the_lines_alone() -> None:
    """linecache asks it for the source."""

    class Loader:
        def get_source(self, name: str) -> str:
            raise ZeroDivisionError

    names: dict[str, Any] = {"__name__": "made_up", "__loader__": Loader()}
    exec(compile("def call():\n    fail()", "made_up_file", "exec"), {**names, "fail": fail}, names)
    assert "call made_up_file:2" in read(raised(names["call"])).texts["summary"]


# --- secrets


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "user_passwd",
        "SECRET_KEY",
        "access_token",
        "authorization",
        "api_key",
        "cookies",
    ],
)
def test_local_variables_named_like_secrets_are_hidden(name: str) -> None:
    """Pages are pasted into bug reports; the repr is not even asked for."""
    names: dict[str, Any] = {}
    exec(f"def call(value):\n    {name} = value\n    raise ValueError", names)
    reader = read(raised(names["call"], ["geheim"]))
    pairs = dict(zip(reader.texts["dt"], reader.texts["dd"], strict=True))
    assert pairs[name] == "[hidden]"


def test_secret_that_is_none_is_told() -> None:
    """That it is missing is what one looks for, and gives nothing away."""

    def call() -> None:
        token = None
        fail()

    reader = read(raised(call))
    assert dict(zip(reader.texts["dt"], reader.texts["dd"], strict=True))["token"] == "None"


class Account:
    """Has a repr in the usual style."""

    def __repr__(self) -> str:
        return "Account(name='ann', password='geheim', api_key=geheim, note='it\\'s')"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"token": "geheim", "n": 1}, "{'token': [hidden], 'n': 1}"),
        ({"x-api-key": [{"a": ["geheim"], "b": "geheim"}]}, "{'x-api-key': [hidden]}"),
        ({b"Authorization": b"geheim", "token": None}, None),
        ([("cookie", ["geheim"]), ("n", [1])], "[('cookie', [hidden]), ('n', [1])]"),
        ([(b"authorization", b"Bearer geheim"), (b"a", b"b")], None),
        ([(b"cookie", b"sid=geheim; b=geheim")], "[(b'cookie', [hidden])]"),
        (Account(), "Account(name='ann', password=[hidden], api_key=[hidden], note='it\\'s')"),
        ("Bearer geheim.geheim", "'Bearer [hidden]'"),
        ("postgresql://shop:geheim@db/shop", "'postgresql://shop:[hidden]@db/shop'"),
        ("a=1&password=geheim", None),
        ({"password": "geheim" + "x" * 500}, None),
        ({"password": "it's \"geheim", "n": 1}, None),
        ("key: token='" + "\\'" * 90 + "geheim'", None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_secrets_inside_values_are_hidden(value: Any, shown: str | None) -> None:
    """Headers and settings are where most of them are."""

    def call(data: Any) -> None:
        raise ValueError

    reader = read(raised(call, value))
    text = dict(zip(reader.texts["dt"], reader.texts["dd"], strict=True))["data"]
    assert "geheim" not in text
    if shown is not None:
        assert shown == text


@pytest.mark.parametrize(
    "unit", ["token", "token'", "token='", "a://b:", "bearer ", "\\'", "token:"]
)
def test_search_for_secrets_takes_linear_time(unit: str) -> None:
    """A value is foreign text: no pattern may backtrack over it within the time limit."""

    class Long:
        def __repr__(self) -> str:
            return unit * 200_000

    def call() -> None:
        values = [Long() for _ in range(10)]
        a = b = c = d = e = f = g = h = Long()
        fail()

    reader = read(raised(call))
    assert "<not shown: took too long>" not in reader.texts["dd"]


# --- bounds


def test_values_are_bounded() -> None:
    """At most 200 characters each, and what is big is not written out first."""

    def call() -> None:
        text = "é" * 10_000_000
        body = bytes(10_000_000)
        rows = [[list(range(1_000))] * 1_000] * 1_000
        table = dict.fromkeys(range(1_000), "x" * 1_000)
        number = 7**100_000
        nested: list[Any] = []
        nested.append(nested)
        fail()

    reader = read(raised(call))
    assert max(map(len, reader.texts["dd"])) <= 200
    assert "<int of 280,736 bits>" in reader.texts["dd"]
    assert not [text for text in reader.texts["dd"] if "not shown" in text]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ((), "()"),
        ((1,), "(1,)"),
        ((1, 2), "(1, 2)"),
        ([], "[]"),
        ({}, "{}"),
        (set(), "set()"),
        ({3}, "{3}"),
        (list(range(10)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"),
        (list(range(11)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]"),
        ({"a": {"b": [1]}}, "{'a': {'b': [1]}}"),
        ([[[[1]]]], "[[[[...]]]]"),
        ([[[[]]]], "[[[[]]]]"),
        (True, "True"),
        (None, "None"),
    ],
    ids=repr,
)
def test_values_are_shown_as_python_writes_them(value: Any, shown: str) -> None:
    """Short containers are whole, long and deep ones say that something is left out."""

    def call(data: Any) -> None:
        raise ValueError

    assert shown in read(raised(call, value)).texts["dd"]


def test_number_of_local_variables_is_bounded() -> None:
    """Thirty, and how many more there are."""
    lines = "".join(f"    v{number} = {number}\n" for number in range(75))
    names: dict[str, Any] = {}
    exec(f"def call():\n{lines}    1/0", names)
    reader = read(raised(names["call"]))
    assert "v29" in reader.texts["dt"]
    assert "v30" not in reader.texts["dt"]
    assert "45 more" in reader.texts["dd"]


def test_deep_recursion_shows_the_first_and_the_last_frames() -> None:
    """A thousand equal frames say no more than ten."""

    def deeper(depth: int) -> None:
        deeper(depth + 1)

    reader = read(raised(deeper, 0))
    assert reader.texts["h1"] == ["RecursionError"]
    assert len(reader.texts["details.frame"]) == 40
    (gap,) = reader.texts["p.gap"]
    assert re.fullmatch(r"\d{3},?\d* frames are left out here\.", gap)
    depths = [int(value) for value in reader.texts["dd"] if value.isdigit()]
    assert depths == sorted(depths, reverse=True)
    assert depths[-1] == 0
    assert reader.states.count(("frame", True)) == 10


def test_page_is_bounded_whatever_is_in_it() -> None:
    """Escaped text is up to six times as long; what is too much is left out, and told."""
    heavy = "".join(f"    v{number} = '\"' * 300\n" for number in range(30))
    names: dict[str, Any] = {}
    exec(f"def call(depth):\n{heavy}    call(depth - 1) if depth else 1/0", names)
    errors: list[Exception] = []
    for _ in range(8):
        exc = raised(names["call"], 50)
        assert isinstance(exc, Exception)
        exc.add_note("\U0001f525&" * 100_000)
        errors.append(exc)
    page = render_html(ExceptionGroup("<" * 1_000_000, errors))
    assert MAX_BYTES // 2 < len(page.encode()) <= MAX_BYTES
    assert "left out" in Reader(page).text("p.gap")


def test_long_message_and_long_lines_are_cut() -> None:
    """A validation error may hold a whole document, a bundled file is one line."""
    reader = read(raised(fail, "x" * 1_000_000))
    assert len(reader.texts["pre.message"][0]) < 5_000
    assert "1,000,000 characters in all" in reader.texts["pre.message"][0]
    assert len(reader.texts["title"][0]) <= 200


def test_long_line_of_code_is_cut(tmp_path: Path) -> None:
    """Generated code has lines of a megabyte."""
    path = tmp_path / "wide.py"
    path.write_text(f"def call():\n    'short'; '{'<' * 1_000_000}', 1/0")
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    reader = read(raised(names["call"]))
    assert max(map(len, reader.texts["div.lines"])) < 1_500


# --- plain text


@pytest.mark.parametrize("function", [fail, chain], ids=["one", "chain"])
def test_text_is_the_standard_traceback(function: Callable[[], None]) -> None:
    """What everyone and every tool can read, as in Starlette."""
    exc = raised(function)
    assert "".join(traceback.format_exception(exc)) == render_text(exc)
    assert render_text(exc).rstrip() in read(exc).texts["details.fold"][-1]


def test_long_text_loses_its_middle() -> None:
    """The beginning and the end are what tells."""
    exc = raised(fail, "start" + "\U0001f525" * 1_000_000 + "end of it")
    text = render_text(exc)
    assert MAX_BYTES * 0.9 < len(text.encode()) <= MAX_BYTES
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("end of it\n")
    assert "bytes are left out here" in text


def test_text_of_a_recursion_is_bounded() -> None:
    """Mutual recursion is not shortened by the standard library."""

    def ping(depth: int) -> None:
        pong(depth + 1)

    def pong(depth: int) -> None:
        ping(depth + 1)

    before = sys.getrecursionlimit()
    sys.setrecursionlimit(6_000)
    try:
        exc = raised(ping, 0)
    finally:
        sys.setrecursionlimit(before)
    assert len(render_text(exc).encode()) <= MAX_BYTES
    assert read(exc).texts["h1"] == ["RecursionError"]


def test_module_frames_hide_what_every_module_has() -> None:
    """`__builtins__` and its like fill the list of an import that fails."""
    names: dict[str, Any] = {"__name__": "m", "setting": 5}
    exc = raised(exec, compile("1/0", f"{os.sep}app{os.sep}m.py", "exec"), names)
    reader = read(exc)
    assert "setting" in reader.texts["dt"]
    assert not [name for name in reader.texts["dt"] if name.startswith("__")]
