"""Path templates held against Starlette's regexes, and against hostile paths."""

import copy
import pickle
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import starlette.routing
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette._utils import get_route_path as starlette_route_path

from lamella import _paths
from lamella._paths import PathMatch, compile_path, get_route_path, replace_params
from lamella.convertors import CONVERTOR_TYPES, Convertor, StringConvertor
from lamella.exceptions import UsageError


class OfRegex(Convertor[str]):
    """A convertor for one regex."""

    def __init__(self, regex: str) -> None:
        self.regex = regex  # type: ignore[misc]

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class Refusing(OfRegex):
    """A convertor whose `convert` raises what it was made with."""

    def __init__(self, error: Exception) -> None:
        super().__init__("[a-z]+")
        self.error = error

    def convert(self, value: str) -> str:
        raise self.error


CUSTOM: dict[str, Convertor[Any]] = {
    "slug": OfRegex("[a-z0-9]+(?:-[a-z0-9]+)*"),
    "one_or_two": OfRegex("a|ab"),
    "two_or_one": OfRegex("ab|a"),
    "lazy": OfRegex("[^/]+?"),
    "deep": OfRegex("(?:a/)*1"),
    "ahead": OfRegex("[a-z]+(?=-)"),
    "date": OfRegex("[0-9]{2}-[0-9]"),
    "dashes": OfRegex("[a-]*"),
    "wide": OfRegex(r"\d+"),
    "dot": OfRegex(".+"),
    "range": OfRegex("[ab-]{1,2}"),
    "broken": OfRegex("[a-z"),
    "refused": Refusing(ValueError("no such thing")),
    "faulty": Refusing(KeyError("a fault")),
}
BUILT_IN = ("str", "path", "int", "float")


@pytest.fixture(autouse=True, scope="module")
def _custom_convertors() -> Iterator[None]:
    before = dict(CONVERTOR_TYPES)
    CONVERTOR_TYPES.update(CUSTOM)
    yield
    CONVERTOR_TYPES.clear()
    CONVERTOR_TYPES.update(before)


def reference(template: str) -> re.Pattern[str]:
    """Make the regex that Starlette makes, but for the end and for newlines in a path."""
    text, *rest = re.split(r"\{(\w+):(\w+)\}", template)
    regex = re.escape(text)
    for name, kind, after in zip(rest[0::3], rest[1::3], rest[2::3], strict=True):
        convertor = CONVERTOR_TYPES[kind].regex
        inner = "(?s:.*)" if convertor == ".*" else convertor
        regex += f"(?P<{name}>{inner}){re.escape(after)}"
    return re.compile(regex + r"\Z", re.NOFLAG if template.startswith("/") else re.IGNORECASE)


def spans(match: Any, names: list[str]) -> dict[str, tuple[int, int]] | None:
    return {name: match.span(name) for name in names} if match else None


def is_searched(template: str) -> bool:
    pattern = compile_path(template)[0]
    return pattern.match == pattern._search


LITERALS = ("/", "-", ".", "", "a", "1", "/a", "a-", "-/", ".a", "1.", "--")


@st.composite
def templates_and_paths(draw: st.DrawFn, kinds: tuple[str, ...]) -> tuple[str, str]:
    """Give a template of one to five parameters, and a path that may fit it."""
    template, fitting = "/", "/"
    for number in range(draw(st.integers(1, 5))):
        literal = draw(st.sampled_from(LITERALS))
        template += f"{{p{number}:{draw(st.sampled_from(kinds))}}}{literal}"
        fitting += draw(st.text("a1-./", min_size=1, max_size=3)) + literal
    anything = st.text("//--..aab11\n", max_size=14).map("/".__add__)
    return template, draw(anything | st.just(fitting))


def check_like_re(template: str, path: str) -> None:
    pattern, _, convertors = compile_path(template)
    names = list(convertors)
    expected = reference(template).match(path)
    assert spans(expected, names) == spans(pattern.match(path), names), (template, path)


@settings(max_examples=1500)
@given(templates_and_paths(BUILT_IN))
def test_built_in_parameters_take_what_a_backtracking_regex_gives_them(case):
    """Only the time may differ from Starlette: each parameter as long as the rest allows."""
    check_like_re(*case)


@settings(max_examples=1500)
@given(
    templates_and_paths(
        (*BUILT_IN, "slug", "one_or_two", "two_or_one", "date", "dashes", "wide", "dot")
    )
)
def test_parameters_of_a_users_regex_take_what_a_backtracking_regex_gives_them(case):
    """Runs, texts of one length and regexes of no known shape mix with the built-in ones."""
    check_like_re(*case)


@settings(max_examples=1000)
@given(
    st.sampled_from(["lazy", "deep", "ahead", "one_or_two", "range"]),
    st.sampled_from(["/{a:int}/{x:%s}-{b:str}", "/{x:%s}", "/{x:%s}/{a:str}", "/{x:%s}{a:path}"]),
    st.text("aab11-/", max_size=12),
)
def test_one_odd_regex_among_decided_parameters_is_matched_by_re_itself(kind, template, rest):
    """Lazy quantifiers, alternatives in any order and lookaheads then mean what they say."""
    check_like_re(template % kind, "/" + rest)


HEX = "0123456789abcdef"


@settings(max_examples=1000)
@given(
    st.sampled_from(
        [
            "/{a:path}{u:uuid}{b:path}",
            "/{a:str}-{u:uuid}-{b:str}",
            "/{u:uuid}{v:uuid}{a:int}{b:float}",
            "/{a:int}{u:uuid}{b:str}-{c:int}",
        ]
    ),
    st.text("1a-/", max_size=4),
    st.lists(st.sampled_from([HEX, HEX * 2, "-", "8", "a", str(uuid.UUID(HEX * 2))]), max_size=5),
    st.text("1a-/", max_size=4),
)
def test_uuids_are_found_between_other_parameters(template, before, middle, after):
    """A UUID has at most one end, with hyphens or without, wherever it starts."""
    check_like_re(template, "/" + before + "".join(middle) + after)


@settings(max_examples=500)
@given(
    st.sampled_from(["{a:str}.{b:str}.Example.org", "A{a:str}.{b:str}.{c:str}.X", "A{a:path}"]),
    st.lists(
        st.sampled_from(["a", "A", ".", "-", "1", "example", "EXAMPLE", ".ORG", "x", "é", "İ"])
    ),
)
def test_hosts_ignore_case_and_give_the_text_as_it_came(template, pieces):
    """Host names are case-insensitive (RFC 9110 section 4.2.3), searched or not."""
    check_like_re(template, "".join(pieces))


TEMPLATES = (
    "/",
    "",
    "/users",
    "/a.b+c/{id}",
    "/users/{id:int}/posts/{slug}",
    "/{v:float}/{u:uuid}",
    "/{a}-{b}-{c}-{d}",
    "/{v:float}.{w:float}",
    "/files/{path:path}",
    "/{not-a-parameter}/{1}/{a:b:c}/{}/{a:}",
    "example.org",
    "example.org:8000",
    "{sub}.example.org",
    "{sub}.Example.org:80",
    "{host}:{port:int}",
    "[::1]",
    "[::1]:8000",
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_pattern_attributes_and_format_are_starlettes(template):
    """Programs read them from routes; a drop-in must show the same."""
    regex, path_format, convertors = starlette.routing.compile_path(template)
    pattern, own_format, own_convertors = compile_path(template)
    assert path_format == own_format
    assert list(convertors) == list(own_convertors)
    shown = ("pattern", "flags", "groups", "groupindex")
    assert [getattr(regex, name) for name in shown] == [getattr(pattern, name) for name in shown]
    assert repr(regex.pattern) in repr(pattern)


def test_a_parameter_without_convertor_is_a_str():
    """As Starlette."""
    assert compile_path("/{a:str}")[0].pattern == compile_path("/{a}")[0].pattern
    assert compile_path("/{a}")[2] == {"a": CONVERTOR_TYPES["str"]}


def test_a_convertor_registered_anew_counts_from_the_next_template_on(monkeypatch):
    """Programs put their own over `int`; templates made before keep theirs."""
    old, _, _ = compile_path("/{a:int}")
    monkeypatch.setitem(CONVERTOR_TYPES, "int", OfRegex("-?[0-9]+"))
    new, _, _ = compile_path("/{a:int}")
    assert (None, "-1") == (old.match("/-1"), new.match("/-1")["a"])


def test_a_regex_replaced_on_the_built_in_class_counts(monkeypatch):
    """Programs replace StringConvertor.regex at run time."""
    monkeypatch.setattr(StringConvertor, "regex", "[^/.]+")
    pattern, _, _ = compile_path("/{a}-{b}-{c}")
    assert pattern.match("/x.y-z-w") is None
    assert {"a": "x-y", "b": "z", "c": "w"} == pattern.match("/x-y-z-w").groupdict()


def test_a_name_that_stands_twice_is_refused_as_starlette_refuses_it():
    """It raises ValueError there; the text says which names, and where."""
    with pytest.raises(ValueError, match="Duplicated"):
        starlette.routing.compile_path("/{id}/{id}")
    with pytest.raises(ValueError) as caught:
        compile_path("/{id}/{x}/{id:int}/{x}")
    assert isinstance(caught.value, UsageError)
    text = "Duplicated param names id, x at path /{id}/{x}/{id:int}/{x}; rename all but one."
    assert text == str(caught.value)


def test_an_unknown_convertor_is_refused_as_starlette_refuses_it():
    """It raises AssertionError there; the text names the path and the known convertors."""
    with pytest.raises(AssertionError):
        starlette.routing.compile_path("/{id:nothing}")
    with pytest.raises(AssertionError) as caught:
        compile_path("/{id:nothing}")
    assert isinstance(caught.value, UsageError)
    for word in ("'nothing'", "'/{id:nothing}'", "float", "int", "path", "slug", "str", "uuid"):
        assert word in str(caught.value)


def test_a_convertor_whose_regex_is_broken_is_refused_when_the_template_is_compiled():
    """Not at the first request."""
    for template in ("/{a:broken}", "/{a}-{b:broken}-{c}"):
        with pytest.raises(re.error):
            compile_path(template)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/admin", "/admin\n"),
        ("/int/{a:int}", "/int/1\n"),
        ("/{a:int}-{b:int}-{c:int}", "/1-2-3\n"),
        ("/{a}-{b}-{c}/x", "/1-2-3/x\n"),
        ("example.org", "example.org\n"),
    ],
)
def test_a_newline_at_the_end_does_not_match(template, path):
    """`$` would let it pass, so that "/admin%0A" were "/admin" to one and not to another."""
    assert compile_path(template)[0].match(path[:-1])
    assert compile_path(template)[0].match(path) is None


@pytest.mark.parametrize("template", ["/{a:path}", "/{a:path}-{b:path}-{c:path}"])
def test_a_path_parameter_may_hold_newlines(template):
    """A decoded path may; in Starlette, whose dot leaves newlines out, it does not match."""
    path = "/x\n-\ny-z\n"
    assert starlette.routing.compile_path(template)[0].match(path) is None
    assert path == compile_path(template)[0].match(path).group()


@pytest.mark.parametrize("path", ["/x/٣", "/x/３", "/x/1_0", "/x/+1", "/x/-1", "/x/ 1", "/x/1.٣"])
def test_numbers_are_ascii_digits(path):
    """What `int` and `float` would take beyond that is not in a path."""
    assert compile_path("/x/{a:int}")[0].match(path) is None
    assert compile_path("/x/{a:float}")[0].match(path) is None


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("/users", "/users", {}),
        ("/users", "/users/", None),
        ("/users/{id:int}/posts/{slug}", "/users/7/posts/x-y", {"id": 7, "slug": "x-y"}),
        ("/users/{id:int}/posts/{slug}", "/users/x/posts/x-y", None),
        ("/{a:int}-{b:float}-{c}", "/1-2.50-3-4", {"a": 1, "b": 2.5, "c": "3-4"}),
        ("/{a}-{b}-{c:path}", "/1-2", None),
        ("/{v:float}.{w:float}-{x}", "/1.25.2.5-6", {"v": 1.25, "w": 2.5, "x": "6"}),
        ("/{v:float}.{w:float}{x}", "/1.25.2", {"v": 1.0, "w": 25.0, "x": ".2"}),
        ("/{name}.{ext}", "/archive.tar.gz", {"name": "archive.tar", "ext": "gz"}),
        ("/{name:path}.{ext:one_or_two}", "/x/y.z.ab", {"name": "x/y.z", "ext": "ab"}),
        ("/{u:uuid}", f"/{uuid.UUID(HEX * 2)}", {"u": uuid.UUID(HEX * 2)}),
        ("{sub}.example.org:8000", "API.EXAMPLE.ORG", {"sub": "API"}),
        ("example.org", "EXAMPLE.org", {}),
        ("A{a}.{b}.{c}X.Org:80", "aB.C.dx.ORG", {"a": "B", "b": "C", "c": "d"}),
        ("A{a}.{b}.{c}X.Org", "AİB.É.dx.oRG", {"a": "İB", "b": "É", "c": "d"}),
    ],
)
def test_params_matches_and_converts(template, path, expected):
    """The one call that routing makes for a candidate."""
    pattern, _, convertors = compile_path(template)
    assert expected == pattern.params(path, convertors)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/{a:int}", "/" + "1" * 5000),
        ("/{a:float}", "/" + "1" * 5000),
        ("/{a:int}-{b:int}-{c:int}", f"/1-{'1' * 5000}-1"),
        ("/{a:refused}", "/a"),
    ],
)
def test_a_value_that_its_convertor_refuses_is_no_match(template, path):
    """A client's text is never the server's error: in Starlette this ValueError is a 500."""
    pattern, _, convertors = compile_path(template)
    assert pattern.match(path)
    assert pattern.params(path, convertors) is None


def test_an_error_of_a_convertor_that_is_no_value_error_passes():
    """It is a fault of the program, and to be seen."""
    pattern, _, convertors = compile_path("/{a:faulty}")
    with pytest.raises(KeyError, match="a fault"):
        pattern.params("/a", convertors)


@pytest.mark.parametrize(
    "template", ["/{a}/{b}-x/{c}", "/{a}/{b}-{c}-{d}", "/{a}/{b:slug}-{c}-{d}"]
)
@pytest.mark.parametrize("method", ["match", "fullmatch"])
def test_a_match_has_the_methods_of_a_regex_match(template, method):
    """Programs call them on `route.path_regex.match(path)`."""
    path = "/one/two-x/three" if template.endswith("/{c}") else "/one/two-x-three"
    expected = re.compile(compile_path(template)[0].pattern).match(path)
    match = getattr(compile_path(template)[0], method)(path)
    assert bool(match) is True
    assert path == match.string
    assert expected.groupdict() == match.groupdict()
    assert expected.group() == match.group() == match[0]
    for group in (0, 1, 2, 3, *expected.groupdict()):
        assert expected[group] == match[group] == match.group(group)
        assert expected.span(group) == match.span(group)
        assert (expected.start(group), expected.end(group)) == (
            match.start(group),
            match.end(group),
        )
    assert (expected.start(), expected.end(), expected.span()) == (0, match.end(), match.span())
    for group in ("z", 9, -1):
        with pytest.raises(IndexError):
            match.group(group)


def test_a_searched_match_names_the_groups_it_has():
    """The error is read by a person."""
    match = compile_path("/{a}-{b}-{c}")[0].match("/1-2-3")
    assert isinstance(match, PathMatch)
    with pytest.raises(IndexError, match=r"Expected one of \['a', 'b', 'c'\].*got 'z'"):
        match.span("z")


@pytest.mark.parametrize("template", ["/users/{id:int}", "/{a}-{b}-{c}", "/static", "{sub}.org"])
def test_a_pattern_can_be_copied_and_pickled(template):
    """A compiled regex can be, and programs copy routes."""
    pattern, _, convertors = compile_path(template)
    path = template.replace("{id:int}", "5").replace("{sub}", "a").translate({123: None, 125: None})
    expected = pattern.params(path, convertors)
    assert expected is not None
    for other in (copy.copy(pattern), copy.deepcopy(pattern), pickle.loads(pickle.dumps(pattern))):
        assert expected == other.params(path, convertors)


@pytest.mark.parametrize(
    ("template", "searched"),
    [
        ("/users/{id:int}/posts/{slug}", False),
        ("/{v:float}/{u:uuid}/{p:path}", False),
        ("/{name}.txt", False),
        ("/{p:path}.txt", False),
        ("/{a}-{b}", False),
        ("/{a}-{b}/{c:int}/x{d}.txt", False),
        ("/{a:path}/edit/{b:path}", False),
        ("/{lang:one_or_two}/{slug:slug}/{c}", False),
        ("/{day:date}-{n:int}-{slug:slug}", False),
        ("/{a:lazy}{b}", False),
        ("/{a}-{b}.txt", False),
        ("/{a:float}.json", False),
        ("/{a:float}.x{b}", False),
        ("/{a}-{b}-{c}", True),
        ("/{a}-{b:int}", True),
        ("/{a}-/{b}", False),
        ("/{a:path}-/{b}", True),
        ("/{a}-{b}/{v:float}", True),
        ("/{v:float}.{w:float}", True),
        ("/{x:slug}-{a}-{b}", True),
        ("/{x:deep}/{y:deep}/{a}", True),
    ],
)
def test_a_search_is_made_only_where_a_regex_would_give_characters_back(template, searched):
    """One parameter a segment, and the usual two, are as fast as `re`."""
    assert searched == is_searched(template)


SIZE = 64_000


def hostile(size: int) -> dict[str, str]:
    """Give paths of about some size that leave many ways to share them among parameters."""
    return {
        "hyphens": "/" + "-" * size,
        "hyphens, then a slash": "/" + "-" * size + "/",
        "hyphens, then a newline": "/" + "-" * size + "\n",
        "letters and hyphens": "/" + "a-" * (size // 2),
        "digits": "/" + "1" * size,
        "digits and hyphens": "/" + "1-" * (size // 2),
        "points": "/" + "1." * (size // 2),
        "one point": "/" + "1" * (size // 2) + "." + "1" * (size // 2),
        "slashes": "/" + "/" * size,
        "edits": "/" + "a/edit/" * (size // 7),
        "hex": "/" + (HEX + "-") * (size // 17),
        "mixture": "/" + "a-1.b-2.3/" * (size // 10),
    }


HARD = (
    "/{a}-{b}-{c}-{d}",
    "/{a}-{b}-{c}-{d}/end",
    "/{a}{b}{c}{d}",
    "/{a}-{b:int}-{c}-{d:int}",
    "/{a:int}{b:int}{c:int}{d:int}x",
    "/{a:float}{b:float}{c:float}{d:float}x",
    "/{a:float}.{b:float}.{c:float}.{d:float}x",
    "/{a:path}-{b:path}-{c:path}-{d:path}x",
    "/{a:path}/edit/{b:path}/edit/{c:path}/edit/{d:path}/end",
    "/{a:path}{b:uuid}{c:path}{d:uuid}x",
    "/{a:dashes}-{b:dashes}-{c:dashes}-{d:dashes}x",
)


@pytest.mark.parametrize("template", HARD)
def test_a_hostile_path_is_matched_in_no_time(template):
    """Starlette's regex takes over half a minute for 1,000 of these characters."""
    pattern, _, convertors = compile_path(template)
    found = {name: pattern.match(path) is not None for name, path in hostile(SIZE).items()}
    assert False in found.values()
    assert set(convertors) == set("abcd")


@pytest.mark.parametrize("template", HARD)
@pytest.mark.parametrize("name", hostile(0))
def test_a_search_takes_a_bounded_number_of_steps_for_each_character(template, name, monkeypatch):
    """The bound itself: what is asked and looked at, where a regex takes n**4 steps."""
    size = 1000
    starts = characters = 0
    fits = _paths._Rest.fits

    def counting_fits(self: Any, start: int) -> bool:
        nonlocal starts
        starts += 1
        return fits(self, start)

    def counting_first(first: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            nonlocal characters
            found = first(*args)
            characters += found.end() - found.start() if found else 0
            return found

        return wrapped

    pattern, _, _ = compile_path(template)
    monkeypatch.setattr(_paths._Rest, "fits", counting_fits)
    for step in pattern._steps:
        step.first = counting_first(step.first)
    path = hostile(size)[name]
    pattern.match(path)
    assert 1 <= starts <= 4 * (len(path) + 1)
    # A fraction may be looked at twice; a UUID is from each start, but has 36 characters at most.
    assert characters <= 4 * len(path) * (36 if "uuid" in template else 2)


@pytest.mark.parametrize(
    "template",
    [
        "/{a}/{b}/{c}/{d}",
        "/{a}-{b}",
        "/{a}-{b}/{c}/{d:int}",
        "/{a:int}-{b:int}",
        "/{a:path}/edit/{b:path}",
        "/{a:path}.txt",
        "/{a}.txt",
        "/{a:float}/{b:float}x",
        "/{a:path}{b:path}",
        "/{a:int}{b:int}/x",
        "{sub}.example.org",
    ],
)
def test_a_regex_that_is_used_takes_linear_time(template):
    """At a million characters a regex that gives characters back would not end in an hour."""
    pattern, _, _ = compile_path(template)
    assert not is_searched(template)
    for path in hostile(1_000_000).values():
        pattern.match(path)
        pattern.match(path + "/!")


@pytest.mark.parametrize(
    ("template", "most"),
    # In the first the search after it has one thing to do; in the second, something at each place.
    [("/{a}-{x:slug}-{b:int}-{c}.{d}", 4 * 240), ("/{x:slug}-{a}-{b}-{c}/x", 3 * 120 * 120)],
)
def test_after_a_users_regex_the_rest_is_searched_once_from_each_place(template, most, monkeypatch):
    """The bound that holds then: places times what a search takes, not a power of the places."""
    starts = 0
    fits = _paths._Rest.fits

    def counting_fits(self: Any, start: int) -> bool:
        nonlocal starts
        starts += 1
        return fits(self, start)

    pattern, _, _ = compile_path(template)
    monkeypatch.setattr(_paths._Rest, "fits", counting_fits)
    assert pattern.match("/" + "a-1-" * 60 + "_/y") is None
    assert 120 <= starts <= most


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        # The first choice of the lazy regex fits.
        ("/{x:lazy}-{a}-{b:int}", "/p-q-1-2", {"x": "p", "a": "q-1", "b": "2"}),
        # It does not, and of the other ends that do the last is taken.
        (
            "/{x:lazy}-{a:int}-{b}.{c:int}",
            "/p-q-1-2-3-z.4",
            {"x": "p-q-1-2", "a": "3", "b": "z", "c": "4"},
        ),
        ("/{x:one_or_two}{a}-{b}.c", "/ab-d.c", {"x": "a", "a": "b", "b": "d"}),
        ("/{x:two_or_one}{a}-{b}.c", "/ab-d.c", {"x": "a", "a": "b", "b": "d"}),
        ("/{x:one_or_two}{a:int}{b:int}", "/ab11", {"x": "ab", "a": "1", "b": "1"}),
    ],
)
def test_in_a_search_a_users_regex_takes_its_first_choice_or_the_longest(template, path, expected):
    """The one place where a lazy regex gets another share than in Starlette, as documented."""
    assert is_searched(template)
    assert expected == compile_path(template)[0].match(path).groupdict()


@pytest.mark.parametrize(
    ("regex", "slash"),
    [
        ("[^/]+", False),
        ("[a-z0-9]+(?:-[a-z0-9]+)*", False),
        ("en|de|pt-BR", False),
        (r"[0-9]{4}-[0-9]{2}", False),
        (r"\d+\.\w*", False),
        (r"(\(x\)|\+)?", False),
        ("", False),
        ("[^a]+", True),
        ("[--9]", True),
        ("[]/]", True),
        (r"[\W]", True),
        (r"\S+", True),
        (".+", True),
        ("a.c", True),
        ("a/b", True),
        (r"a\/b", True),
        (r"\x2f", True),
        # Not known, which counts as a slash.
        ("(?!x)[a-z]+", True),
        ("(?P<y>a)(?P=y)", True),
        ("(?i:a)", True),
        ("^a$", True),
    ],
)
def test_a_regex_is_known_to_hold_no_slash_or_is_taken_to_hold_one(regex, slash, monkeypatch):
    """The index relies on it: a wrong "no" would hide a route."""
    monkeypatch.setitem(CONVERTOR_TYPES, "this", OfRegex(regex))
    pattern, _, _ = compile_path("/a/{x:this}/b")
    assert ((["", "a"], True) if slash else (["", "a", None, "b"], False)) == pattern.outline()


@pytest.mark.parametrize(
    ("template", "outline"),
    [
        ("", ([""], False)),
        ("/", (["", ""], False)),
        ("/a/b/", (["", "a", "b", ""], False)),
        ("/a/{b}", (["", "a", None], False)),
        ("/a/x{b}-{c}.txt/d/e", (["", "a", None, "d", "e"], False)),
        ("/{a}/{b}{c}/", (["", None, None, ""], False)),
        ("/a/{b:path}", (["", "a"], True)),
        ("/a/x{b:path}/c", (["", "a"], True)),
        ("/{a}/b/{c:path}/{d}", (["", None, "b"], True)),
    ],
)
def test_an_outline_tells_the_segments_of_every_path_that_matches(template, outline):
    """None for a segment with a parameter; the end is open after a path parameter."""
    assert outline == compile_path(template)[0].outline()


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("/users/{id:int}/{name}", {"id": 5, "name": "x"}),
        ("/users/{id:int}/{name}", {"id": 5}),
        ("/users/{id:int}/{name}", {"id": 5, "name": "x", "more": 1}),
        ("/users/{id:int}/{name}", {}),
        ("/users", {"more": 1}),
        ("{sub}.example.org", {"sub": "api"}),
        ("/{v:float}/{p:path}", {"v": 1.50, "p": "a/b"}),
        ("/{a}{b}", {"a": "{b}", "b": "{a}"}),
    ],
)
def test_replace_params_fills_in_as_starlette(template, values):
    """The values it has no place for come back; a parameter without value stays."""
    _, path_format, convertors = compile_path(template)
    expected = starlette.routing.replace_params(path_format, convertors, dict(values))
    given_values = dict(values)
    assert expected == replace_params(path_format, convertors, given_values)
    assert values == given_values


def test_replace_params_passes_the_error_of_a_convertor():
    """A value that cannot stand in a path is the caller's mistake, told by the convertor."""
    _, path_format, convertors = compile_path("/{name}")
    with pytest.raises(UsageError, match="'a/b'"):
        replace_params(path_format, convertors, {"name": "a/b"})


@pytest.mark.parametrize(
    ("path", "root_path", "expected"),
    [
        ("/a/b", "", "/a/b"),
        ("/a/b", None, "/a/b"),
        ("/a/b", "/a", "/b"),
        ("/a", "/a", ""),
        ("/a/", "/a", "/"),
        ("/ab", "/a", "/ab"),
        ("/b/a", "/a", "/b/a"),
        ("/a", "/a/b", "/a"),
        ("/a", "/", "/a"),
        ("/", "/", ""),
        ("//a", "/", "/a"),
        ("/a/b", "/a/", "/a/b"),
        ("/a/a/b", "/a", "/a/b"),
        ("", "", ""),
    ],
)
def test_the_route_path_is_the_path_below_the_root_path(path, root_path, expected):
    """A root path ends where a segment ends, and what is not below it is left alone."""
    assert expected == get_route_path({"path": path, "root_path": root_path})


def test_the_route_path_is_the_path_if_there_is_no_root_path():
    """ASGI: `root_path` is optional."""
    assert get_route_path({"path": "/a"}) == "/a"


@given(st.text("/ab", max_size=6), st.text("/ab", max_size=4))
def test_the_route_path_is_starlettes(path, root_path):
    """Mounts and URLs are computed from it on both sides."""
    scope = {"path": path, "root_path": root_path}
    assert starlette_route_path(scope) == get_route_path(scope)
