"""The index of routes held against a plain scan."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamella._index import RouteIndex
from lamella._paths import compile_path
from lamella.convertors import CONVERTOR_TYPES, Convertor

MANY = 500


class OfRegex(Convertor[str]):
    """A convertor for one regex."""

    def __init__(self, regex: str) -> None:
        self.regex = regex  # type: ignore[misc]

    def convert(self, value: str) -> str:
        return value


@pytest.fixture(autouse=True, scope="module")
def _custom_convertors() -> Iterator[None]:
    before = dict(CONVERTOR_TYPES)
    CONVERTOR_TYPES.update(
        slug=OfRegex("[a-z]+(?:-[a-z]+)*"), deep=OfRegex("(?:a/)*b"), odd=OfRegex("(?!b)[ab]+")
    )
    yield
    CONVERTOR_TYPES.clear()
    CONVERTOR_TYPES.update(before)


def index_of(*templates: str | None) -> RouteIndex[str | None]:
    return RouteIndex([(t, None if t is None else compile_path(t)[0]) for t in templates])


def found(templates: list[str], path: str) -> list[Any]:
    return list(index_of(*templates).candidates(path))


COMMON = ["a", "b", "{%d}", "{%d}"]
ODD = ["", "ab", "{%d:int}", "{%d:slug}", "{%d:odd}", "a-{%d}", "{%d}.b", "{%d}{%d}"]
SEGMENT = st.sampled_from(COMMON) | st.sampled_from(ODD)
END = st.sampled_from(["", "", "", "/{%d:path}", "/{%d:deep}", "{%d:path}", "/{%d:path}/a"])


@st.composite
def templates(draw: st.DrawFn) -> str | None:
    """Give a template over few segments, so that many of them share paths; sometimes a host."""
    if draw(st.integers(0, 11)) == 0:
        return draw(st.sampled_from([None, "{p}.b", "a"]))
    text = "".join("/" + segment for segment in draw(st.lists(SEGMENT, max_size=3)))
    pieces = (text + draw(END)).split("%d")
    return "".join(f"{piece}p{place}" for place, piece in enumerate(pieces[:-1])) + pieces[-1]


PATHS = st.lists(
    st.sampled_from(["a", "b"]) | st.sampled_from(["a", "b", "ab", "", "1", "a-b", "a.b"]),
    max_size=5,
)


@settings(max_examples=1000)
@given(st.lists(templates(), min_size=2, max_size=14), PATHS)
def test_the_first_match_is_the_first_match_of_a_plain_scan(chosen, segments):
    """The rule that users know is kept: the first declared route that matches wins."""
    path = "".join("/" + segment for segment in segments)
    entries = [((n, t), compile_path(t)[0] if t else None) for n, t in enumerate(chosen)]
    patterns = dict(entries)
    candidates = list(RouteIndex(entries).candidates(path))
    matching = [item for item, p in entries if p is None or p.match(path)]
    assert matching == [
        item for item in candidates if patterns[item] is None or patterns[item].match(path)
    ]
    assert sorted(candidates) == candidates
    always = {item for item, p in entries if p is None or not item[1].startswith("/")}
    assert always - {(n, "") for n, t in enumerate(chosen) if t == ""} <= set(candidates)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/resource{}/list", "/resource{}/list"),
        ("/resource{}/{{item}}", "/resource{}/abc"),
        ("/{{tenant}}/resource{}", "/abc/resource{}"),
        ("/api/r{}/{{id:int}}/x/{{slug:slug}}", "/api/r{}/5/x/a-b"),
        ("/r{}/file-{{id}}.txt", "/r{}/file-1.txt"),
        ("/app{}/{{path:path}}", "/app{}/a/b/c"),
        ("/app{}/{{path:deep}}", "/app{}/a/a/b"),
    ],
)
def test_one_of_many_routes_is_the_only_candidate(template, path):
    """Then the cost of a request does not grow with the number of routes."""
    many = [template.format(number) for number in range(MANY)]
    index = index_of(*many)
    for number in (0, MANY // 2, MANY - 1):
        assert [many[number]] == list(index.candidates(path.format(number)))
    assert list(index.candidates("/nothing/of/this/kind/here")) == []


def test_a_lookup_looks_at_no_more_places_among_many_routes(monkeypatch):
    """The number of steps, counted: those of one route and those of the last of 500 are equal."""

    def steps(*templates: str) -> int:
        taken = 0

        class Counting(dict[str, Any]):
            def __contains__(self, key: object) -> bool:
                nonlocal taken
                taken += 1
                return super().__contains__(key)

        index = index_of(*templates)
        nodes = [index._root]
        while nodes:
            node = nodes.pop()
            nodes += [*node.named.values(), *([node.parameter] if node.parameter else [])]
            node.named = Counting(node.named)
        assert [templates[-1]] == list(index.candidates(f"/a/r{MANY - 1}/5/end"))
        return taken

    many = [f"/a/r{number}/{{id}}/end" for number in range(MANY)]
    assert steps(many[-1]) == steps(*many) > 0


def test_a_path_without_parameters_has_its_candidates_ready():
    """The same tuple every time, with what competes for the path in its place."""
    index = index_of("/{any}", "/a", "/b", "/{rest:path}", None, "/a")
    assert index.candidates("/a") == ("/{any}", "/a", "/{rest:path}", None, "/a")
    assert index.candidates("/a") is index.candidates("/a")


def test_a_slash_at_the_end_makes_another_path():
    """Redirects for slashes are for the router to make."""
    chosen = ["/a", "/a/", "/{x}", "/{x}/"]
    assert ["/a", "/{x}"] == found(chosen, "/a")
    assert ["/a/", "/{x}/"] == found(chosen, "/a/")
    assert ["/{x}/"] == found(chosen, "/b/")


def test_a_mount_is_a_candidate_below_its_prefix_and_not_beside_it():
    """A mount's pattern ends with "/{path:path}"."""
    chosen = ["/static/{path:path}", "/static", "/{path:path}"]
    assert ["/static", "/{path:path}"] == found(chosen, "/static")
    assert ["/static/{path:path}", "/{path:path}"] == found(chosen, "/static/")
    assert ["/static/{path:path}", "/{path:path}"] == found(chosen, "/static/a/b")
    assert ["/{path:path}"] == found(chosen, "/statics/a")


def test_the_path_of_the_root_itself_may_be_empty():
    """So it is where the path is the root path: "/" is below it, "" is not."""
    chosen = ["/", "/{name}", "/{path:path}"]
    assert [] == found(chosen, "")
    assert chosen == found(chosen, "/")


def test_what_has_no_pattern_is_a_candidate_for_every_path():
    """Hosts, and routes of a class that nobody here knows."""
    index = index_of("/a", None, "{sub}.example.org", "/b/{c}")
    assert ["/a", None, "{sub}.example.org"] == list(index.candidates("/a"))
    assert [None, "{sub}.example.org", "/b/{c}"] == list(index.candidates("/b/x"))
    assert [None, "{sub}.example.org"] == list(index.candidates("/nothing"))


def test_an_index_of_nothing_finds_nothing():
    """An app may be asked before it has a route."""
    for path in ("", "/", "/a/b"):
        assert [] == found([], path)


@pytest.mark.parametrize("path", ["/" * 64_000, "/a" * 32_000, "/a/" + "b" * 64_000])
def test_a_long_path_is_cut_no_deeper_than_the_templates(path):
    """The work is bounded by the table of routes, not by the client."""
    cuts = []

    class Watched(str):
        __slots__ = ()

        def split(self, sep: str | None = None, maxsplit: Any = -1) -> list[str]:
            cuts.append(maxsplit)
            return super().split(sep, maxsplit)

    chosen = ["/a", "/{x}", "/a/{y}", "/{x}/a", "/a/{rest:path}", "/{x}/{y}/a"]
    expected = [t for t in chosen if compile_path(t)[0].match(path)]
    candidates = found(chosen, Watched(path))
    assert [4] == cuts or cuts == []  # the latter where a dict knew all
    assert set(expected) <= set(candidates)
    assert "/{x}/{y}/a" not in candidates
