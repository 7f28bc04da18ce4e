"""Path templates such as "/users/{id:int}": made into matchers, and filled in again.

Floor 1. A template is literal text with parameters between; each parameter has a convertor, whose
`regex` says which texts may stand there. Which route a path belongs to is not decided here.

What a path matches is what Starlette's regular expression for the template would match: the first
parameter as long as the rest allows, then the second, and so on. The time is another matter: that
expression gives characters back one by one, and with k parameters in one segment a hostile path
of n characters takes n**k steps. Here a path takes a bounded number of steps for each of its
characters and each parameter. One of two ways is chosen when the template is compiled:

* Where giving characters back is of no use, since what follows a parameter cannot be part of it:
  one regular expression that never does (possessive quantifiers).
* Else a search that tries each end of each parameter at most once: whether the rest of the
  template matches from there does not depend on how one came there.

That holds for the built-in convertors and for every regex that is one set of characters with a
greedy quantifier. What another regex costs is its author's choice. In the first way it is used as
it is; in a search it is tried from as many starts as the parameter before it has ends, and from
each on as many ends as the literal text after it has occurrences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from lamella.convertors import CONVERTOR_TYPES, Convertor
from lamella.exceptions import UsageError

__all__ = ["PathMatch", "PathPattern", "compile_path", "get_route_path", "replace_params"]

_NAME = "[a-zA-Z_][a-zA-Z0-9_]*"
_PARAMETER = re.compile(rf"\{{({_NAME})(?::({_NAME}))?\}}")
_FORMAT_PARAMETER = re.compile(rf"\{{({_NAME})\}}")

_ANYTHING = ".*"
_FLOAT = r"[0-9]+(\.[0-9]+)?"
_UUID = "-?".join(f"[0-9a-fA-F]{{{size}}}" for size in (8, 4, 4, 4, 12))

# A set of characters; such a set with a greedy quantifier, `low` and `high` as in {low,high}.
_SET = r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\[dDsSwW]|\."
_RUN = re.compile(
    rf"(?P<letters>{_SET})"
    r"(?P<quantifier>[+*?]|\{(?P<low>[0-9]+)(?P<comma>,?)(?P<high>[0-9]*)\})?",
    re.DOTALL,
)
# A regex made of these alone can match "/" only through one of its sets.
_ESCAPED = r"\\[.+*?()-]"
_PLAIN = re.compile(rf"(?:{_SET}|{_ESCAPED}|[\w~@%&=:;,!|()+*?{{}} -])*", re.DOTALL)
_SETS = re.compile(rf"{_ESCAPED}|({_SET})", re.DOTALL)


class _Kind(Enum):
    """How the ends of the texts that a regex matches are found, from a given start."""

    RUN = auto()  # a run of characters of one set, longest first
    FLOAT = auto()  # a run of digits, then perhaps a point and another run, longest first
    FIXED = auto()  # at most one end
    OTHER = auto()  # not known: the regex is asked


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is known of the texts that a convertor's regex matches.

    Args:
        kind: how the ends of the texts are found.
        regex: matches the texts, those preferred first.
        possessive: the same, but gives no character back where its kind allows that.
        letters: matches one character of a run; "" for other kinds.
        minimum: fewest characters of a run.
        maximum: most characters of a run, None for no limit.
        slash: whether a text may hold "/"; True if that is not known.
    """

    kind: _Kind
    regex: str
    possessive: str
    letters: str = ""
    minimum: int = 0
    maximum: int | None = None
    slash: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """One parameter of a template: its name, its convertor's regex, the literal text after it."""

    name: str
    regex: str
    shape: _Shape
    after: str
    last: bool


def _shape_of(regex: str) -> _Shape:
    """Tell what is known of a convertor's regex.

    Only its text counts, not the class of the convertor: programs replace `regex` on the built-in
    classes.
    """
    if regex == _ANYTHING:
        # A decoded path may hold a newline, which a bare dot leaves out.
        return _Shape(_Kind.RUN, "(?s:.*)", "(?s:.*+)", letters="(?s:.)", slash=True)
    if regex == _FLOAT:
        return _Shape(_Kind.FLOAT, regex, regex, letters="[0-9]", minimum=1)
    if regex == _UUID:
        return _Shape(_Kind.FIXED, regex, regex)
    run = _RUN.fullmatch(regex)
    if run is None:
        return _Shape(_Kind.OTHER, regex, regex, slash=_may_hold_slash(regex))
    minimum, maximum = _bounds(run)
    return _Shape(
        _Kind.RUN,
        regex,
        possessive=regex + "+" if run["quantifier"] else regex,
        letters=run["letters"],
        minimum=minimum,
        maximum=maximum,
        slash=re.fullmatch(run["letters"], "/") is not None,
    )


def _bounds(run: re.Match[str]) -> tuple[int, int | None]:
    """Tell the fewest and the most characters that a match of `_RUN` asks for."""
    if run["low"] is None:
        named = {None: (1, 1), "?": (0, 1), "+": (1, None), "*": (0, None)}
        return named[run["quantifier"]]
    low = int(run["low"])
    if run["high"]:
        return low, int(run["high"])
    return low, None if run["comma"] else low


def _may_hold_slash(regex: str) -> bool:
    """Tell whether a regex might match a text with "/" in it; True in doubt."""
    if not _PLAIN.fullmatch(regex):
        return True
    return any(re.fullmatch(letters, "/") for letters in _SETS.findall(regex) if letters)


def _is_decided(part: _Part, flags: int) -> bool:
    """Tell whether, from a given start, at most one end of a parameter fits what follows it."""
    shape = part.shape
    if part.last or shape.kind is _Kind.FIXED:
        return True
    if not part.after:
        return False
    following = part.after[0]
    if shape.kind is _Kind.OTHER:
        return following == "/" and not shape.slash
    if shape.kind is _Kind.FLOAT and following == ".":
        return False
    return re.fullmatch(shape.letters, following, flags) is None


def _direct_regex(before: str, parts: Sequence[_Part], flags: int) -> re.Pattern[str] | None:
    """Give a regex that matches a whole path in linear time, or None if there is none.

    One parameter may be undecided if its regex is of no known shape: as all others are decided,
    each end that it offers costs one look at the rest.
    """
    undecided = [part for part in parts if not _is_decided(part, flags)]
    if len(undecided) > 1 or any(part.shape.kind is not _Kind.OTHER for part in undecided):
        return None
    text = re.escape(before)
    for part in parts:
        # The last one has to give back the literal text after it, in one pass backwards.
        regex = part.shape.regex if part.last and part.after else part.shape.possessive
        text += f"(?P<{part.name}>{regex}){re.escape(part.after)}"
    return re.compile(text, flags)


def _folded(text: str, flags: int) -> str:
    """Give a text as literals are compared: lower case in ASCII alone if case is ignored."""
    if not flags & re.IGNORECASE:
        return text
    if text.isascii():
        return text.lower()
    # Bytes know no letters beyond ASCII; `str.lower` may even change the length.
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


class _Step:
    """What a search needs of one parameter: its regexes compiled, the text after it folded."""

    __slots__ = ("after", "first", "kind", "last", "maximum", "minimum", "whole")

    def __init__(self, part: _Part, flags: int) -> None:
        shape = part.shape
        self.kind = shape.kind
        self.minimum = shape.minimum
        self.maximum = shape.maximum
        self.after = _folded(part.after, flags)
        self.last = part.last
        # Of a run, what is left of it. Else the text preferred of those that fit what follows.
        fitting = f"({shape.regex}){re.escape(part.after)}" + (r"\Z" if part.last else "")
        self.first = re.compile(f"{shape.letters}*+" if shape.letters else fitting, flags).match
        self.whole = re.compile(shape.regex, flags).fullmatch


class _Trail:
    """How far a search has tried one parameter, as its starts fall from the end of the path."""

    __slots__ = ("failed", "run_end", "start", "tried")

    def __init__(self, size: int) -> None:
        self.failed: set[int] = set()  # for a regex of no known shape: ends that the rest refused
        self.restart(size)

    def restart(self, size: int) -> None:
        """Forget the starts; what failed for a regex of no known shape stays so."""
        self.start = size  # where the parameter was last tried to start
        self.run_end = size  # where the run of its characters from there ends
        self.tried = size + 1  # of the ends from here on, none is left to try


class _Search:
    """One path held against the parameters of one template.

    Args:
        steps: the parameters, in order.
        text: the path.
        folded: the path as literals are compared with it, of the same length.
    """

    __slots__ = ("_folded", "_steps", "_text", "_trails", "ends")

    def __init__(self, steps: Sequence[_Step], text: str, folded: str) -> None:
        self._steps = steps
        self._text = text
        self._folded = folded
        self._trails = [_Trail(len(text)) for _ in steps]
        self.ends = [0] * len(steps)

    def fits(self, index: int, start: int) -> bool:
        """Tell whether the template matches from parameter `index` at `start` to the end.

        If so, `ends` holds where that parameter and those after it end.
        """
        step, trail = self._steps[index], self._trails[index]
        if step.kind in (_Kind.FIXED, _Kind.OTHER):
            return self._fits_asked(index, start)
        for low, high in self._intervals(step, trail, start):
            # Which ends from `tried` on are possible, earlier starts had too: all of them failed.
            untried = min(high, trail.tried - 1)
            trail.tried = min(low, trail.tried)
            if self._fits_between(index, low, untried):
                return True
        return False

    def _intervals(self, step: _Step, trail: _Trail, start: int) -> Iterator[tuple[int, int]]:
        """Give the ends of a run or float from a start, as (lowest, highest), falling."""
        end = self._run_end(step, trail, start)
        if end - start < step.minimum:
            return
        fraction = end + 2
        if step.kind is _Kind.FLOAT and fraction < trail.tried and self._text[end : end + 1] == ".":
            found = step.first(self._text, end + 1)
            yield fraction, found.end() if found else end
        most = end if step.maximum is None else start + step.maximum
        yield start + step.minimum, min(end, most)

    def _run_end(self, step: _Step, trail: _Trail, start: int) -> int:
        """Give the end of the run of characters from a start; falling starts share the work."""
        if start > trail.start:
            trail.restart(len(self._text))
        found = step.first(self._text, start, trail.start)
        end = found.end() if found else start
        if end < trail.start:
            trail.run_end = end
        trail.start = start
        return trail.run_end

    def _fits_between(self, index: int, low: int, high: int) -> bool:
        """Tell whether it matches with an end of the parameter from `high` down to `low`."""
        step = self._steps[index]
        if not step.last:
            return any(self._fits_after(index, end) for end in self._places(step.after, low, high))
        end = len(self._text) - len(step.after)
        return (
            low <= end <= high
            and self._folded.endswith(step.after)
            and self._fits_after(index, end)
        )

    def _places(self, literal: str, low: int, high: int) -> Iterator[int]:
        """Give the places from `high` down to `low` where a literal begins."""
        while low <= high:
            place = self._folded.rfind(literal, low, high + len(literal))
            if place < 0:
                return
            yield place
            high = place - 1

    def _fits_after(self, index: int, end: int) -> bool:
        """Tell whether the rest matches if the parameter ends here, and note the end if so."""
        step = self._steps[index]
        if not step.last and not self.fits(index + 1, end + len(step.after)):
            return False
        self.ends[index] = end
        return True

    def _fits_asked(self, index: int, start: int) -> bool:
        """Do as `fits` where only the regex knows the ends: its first choice, then the longest."""
        step, failed = self._steps[index], self._trails[index].failed
        found = step.first(self._text, start)
        if found is None:
            return False
        first = found.end(1)
        if first not in failed and self._fits_after(index, first):
            return True
        failed.add(first)
        if step.last or step.kind is _Kind.FIXED:
            return False
        for end in self._places(step.after, start, len(self._text)):
            if end not in failed and step.whole(self._text, start, end):
                if self._fits_after(index, end):
                    return True
                failed.add(end)
        return False


class PathMatch:
    """A path that matched, from a search: what people use of `re.Match`.

    A group is named by its parameter, or by a number: 0 is the whole path, 1 the first parameter.
    Groups inside a convertor's regex are not there.
    """

    __slots__ = ("_spans", "re", "string")

    def __init__(
        self, pattern: PathPattern, string: str, spans: dict[str, tuple[int, int]]
    ) -> None:
        self.re = pattern
        self.string = string
        self._spans = spans

    def span(self, group: str | int = 0, /) -> tuple[int, int]:
        """Give where a group starts and ends.

        Raises:
            IndexError: there is no such group.
        """
        if group == 0:
            return 0, len(self.string)
        for number, (name, span) in enumerate(self._spans.items(), start=1):
            if group in (name, number):
                return span
        raise IndexError(
            f"Expected one of {list(self._spans)} or its number as a group of {self.re!r}, "
            f"got {group!r}."
        )

    def start(self, group: str | int = 0, /) -> int:
        """Give where a group starts; raises as `span`."""
        return self.span(group)[0]

    def end(self, group: str | int = 0, /) -> int:
        """Give where a group ends; raises as `span`."""
        return self.span(group)[1]

    def group(self, group: str | int = 0, /) -> str:
        """Give the text of a group; raises as `span`."""
        start, end = self.span(group)
        return self.string[start:end]

    __getitem__ = group

    def groups(self) -> tuple[str, ...]:
        """Give the texts of all parameters, in order."""
        return tuple(self.groupdict().values())

    def groupdict(self) -> dict[str, str]:
        """Give the texts of all parameters, by name."""
        return {name: self.string[start:end] for name, (start, end) in self._spans.items()}


class PathPattern:
    """The matcher for one template; stands where Starlette has a compiled regex.

    `pattern`, `flags`, `groups` and `groupindex` are those of Starlette's regex. What it matches
    differs in this:

    * the whole text must match, where `$` lets a newline follow;
    * a parameter of regex `.*` may hold newlines;
    * beside another parameter that could take some of the same characters, one whose regex is of
      no known shape takes the regex's first choice or, if the rest does not fit then, the longest
      text that fits;
    * the case that a host ignores is that of ASCII letters.

    Args:
        before: the literal text before the first parameter.
        parts: the parameters.
        ignore_case: whether the template is of a host.
    """

    __slots__ = (
        "_before",
        "_direct",
        "_parts",
        "_static",
        "_steps",
        "flags",
        "groupindex",
        "groups",
        "pattern",
    )

    def __init__(self, before: str, parts: Sequence[_Part], *, ignore_case: bool) -> None:
        flags = re.IGNORECASE if ignore_case else re.NOFLAG
        groups = "".join(f"(?P<{p.name}>{p.regex}){re.escape(p.after)}" for p in parts)
        self.pattern = f"^{re.escape(before)}{groups}$"
        direct = _direct_regex(before, parts, flags)
        whole = direct or re.compile(self.pattern, flags)
        self.flags = whole.flags
        self.groups = whole.groups
        self.groupindex = whole.groupindex
        self._before = _folded(before, flags)
        self._direct = direct.fullmatch if direct else None
        self._parts = parts
        self._static = None if parts or ignore_case else before
        self._steps = () if direct else tuple(_Step(part, flags) for part in parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pattern!r})"

    def match(self, string: str) -> re.Match[str] | PathMatch | None:
        """Match a whole path; what it gives is true if the path matched."""
        if self._direct is not None:
            return self._direct(string)
        return self._search(string)

    fullmatch = match

    def params(self, path: str, convertors: Mapping[str, Convertor[Any]]) -> dict[str, Any] | None:
        """Match a whole path and convert its parameters; None if it does not match.

        It does not match either if a convertor raises ValueError: say, for a number of 5,000
        digits. Any other exception of a convertor passes.

        Args:
            path: the path, below the root path.
            convertors: those of the template, as `compile_path` gives them.
        """
        if self._static is not None:
            return {} if path == self._static else None
        found = self.match(path)
        if found is None:
            return None
        try:
            return {name: convertor.convert(found[name]) for name, convertor in convertors.items()}
        except ValueError:
            return None

    def outline(self) -> tuple[list[str | None], bool]:
        """Tell what every path that matches looks like, segment by segment between slashes.

        Returns:
            The segments, None where there is a parameter; and whether the path goes on after them
            with one or more segments of which nothing is said.
        """
        segments: list[str | None] = []
        *closed, begun = self._before.split("/")
        segments.extend(closed)
        last: str | None = begun
        for part in self._parts:
            if part.shape.slash:
                return segments, True
            first, *more = part.after.split("/")
            last = None
            if more:
                segments += [None, *more[:-1]]
                last = more[-1]
        return [*segments, last], False

    def _search(self, path: str) -> PathMatch | None:
        folded = _folded(path, self.flags)
        search = _Search(self._steps, path, folded)
        start = len(self._before)
        if not (folded.startswith(self._before) and search.fits(0, start)):
            return None
        spans: dict[str, tuple[int, int]] = {}
        for part, end in zip(self._parts, search.ends, strict=True):
            spans[part.name] = start, end
            start = end + len(part.after)
        return PathMatch(self, path, spans)


def compile_path(path: str) -> tuple[PathPattern, str, dict[str, Convertor[Any]]]:
    """Compile the template of a path or host.

    A parameter is "{name}" or "{name:convertor}", with a convertor of `CONVERTOR_TYPES` as it is
    now. A template that does not begin with "/" is of a host: it ignores case, and a port at its
    end is not matched.

    Returns:
        The matcher, the template without convertors ("/users/{id}"), and the convertors by name.

    Raises:
        UsageError: a name stands twice, or there is no such convertor.
        re.error: the regex of a convertor is not one.

    Source: as Starlette 1.10, which raises ValueError and AssertionError; UsageError is both.
    """
    pieces: list[str | None] = _PARAMETER.split(path)
    literals = [text or "" for text in pieces[0::3]]
    names = [name or "" for name in pieces[1::3]]
    convertors = _convertors_of(path, names, [kind or "str" for kind in pieces[2::3]])
    filled_in = zip(names, literals[1:], strict=True)
    path_format = literals[0] + "".join(f"{{{name}}}{after}" for name, after in filled_in)
    is_host = not path.startswith("/")
    if is_host and not literals[-1].endswith("]"):
        literals[-1] = literals[-1].rsplit(":", 1)[0]
    parts: list[_Part] = []
    for name, after in zip(names, literals[1:], strict=True):
        regex = convertors[name].regex
        parts.append(_Part(name, regex, _shape_of(regex), after, last=len(parts) == len(names) - 1))
    return PathPattern(literals[0], parts, ignore_case=is_host), path_format, convertors


def _convertors_of(path: str, names: list[str], kinds: list[str]) -> dict[str, Convertor[Any]]:
    """Look up the convertors of a template's parameters, by name of the parameter."""
    for kind in kinds:
        if kind not in CONVERTOR_TYPES:
            raise UsageError(
                f"Expected one of {', '.join(sorted(CONVERTOR_TYPES))} as path convertor, "
                f"got {kind!r} in path {path!r}; register it with register_url_convertor first."
            )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise UsageError(
            f"Expected every parameter name once in path {path!r}, "
            f"got {', '.join(map(repr, twice))} more than once; rename all but one."
        )
    return {name: CONVERTOR_TYPES[kind] for name, kind in zip(names, kinds, strict=True)}


def replace_params(
    path: str, param_convertors: Mapping[str, Convertor[Any]], path_params: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Fill values into a template without convertors, as `compile_path` gives it.

    Returns:
        The path, where a parameter without a value still stands as "{name}"; and the values that
        have no place in it.

    Raises:
        UsageError: a path cannot hold a value (whatever the convertor's `to_string` raises passes).

    Source: as Starlette 1.10, which takes the values it uses out of the caller's dict.
    """
    remaining = dict(path_params)

    def fill(parameter: re.Match[str]) -> str:
        name = parameter[1]
        if name not in remaining:
            return parameter[0]
        return param_convertors[name].to_string(remaining.pop(name))

    return _FORMAT_PARAMETER.sub(fill, path), remaining


def get_route_path(scope: Mapping[str, Any]) -> str:
    """Give the part of a request's path below its root path, which is what routes match.

    It is the whole path if there is no root path or the path is not below it: "/apidocs" is not
    below "/api". It is "" if the two are equal.

    Source: as Starlette 1.10; ASGI HTTP spec, "HTTP Connection Scope": `path`, `root_path`.
    """
    path: str = scope["path"]
    root_path: str = scope.get("root_path") or ""
    below = path.removeprefix(root_path)
    return below if not below or below.startswith("/") else path
