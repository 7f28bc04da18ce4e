"""Path templates such as "/users/{id:int}": made into matchers, and filled in again.

Floor 1. A template is literal text with parameters between; each parameter has a convertor, whose
`regex` says which texts may stand there. Which route a path belongs to is not decided here.

A path matches as by Starlette's regular expression for the template: the first parameter as long
as the rest allows, then the second, and so on. The time is another matter: that expression gives
characters back one by one, and with k parameters in a segment a hostile path of n characters takes
n**k steps. Here it takes a bounded number of steps for each character and each parameter, in one
of two ways, chosen when the template is compiled:

* Where it is known beforehand which end of a parameter lets the rest match, one regular expression
  that never tries a second (`_direct_regex`).
* Else a search that tries each end of each parameter at most once (`_Rest`): whether the rest of
  the template matches from there does not depend on how one came there.

So it is for the built-in convertors, and for a regex that is one set of characters with `+` or `*`
or whose texts have all one length. What another one costs is its author's choice: in a search it
is tried from each end of the parameter before it, on each place of the literal after it, and the
rest is searched once from each of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from lamella.convertors import CONVERTOR_TYPES, Convertor, StringConvertor
from lamella.exceptions import UsageError

__all__ = [
    "PARAM_FORMAT_REGEX",
    "PARAM_REGEX",
    "PathMatch",
    "PathPattern",
    "compile_path",
    "get_route_path",
    "replace_params",
]

_NAME = "[a-zA-Z_][a-zA-Z0-9_]*"
# Parameters in a template, the name of the convertor with its colon, and in a template's format.
PARAM_REGEX = re.compile(rf"\{{({_NAME})(:{_NAME})?\}}")
PARAM_FORMAT_REGEX = re.compile(rf"\{{({_NAME})\}}")

_ANYTHING = ".*"
_FLOAT = r"[0-9]+(\.[0-9]+)?"
_UUID = "-?".join(f"[0-9a-fA-F]{{{size}}}" for size in (8, 4, 4, 4, 12))

# For reading the text of a regex: a set of characters, then one without a special meaning.
_SET = r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\[dDsSwW]|\."
_LITERAL = r"\\[.+*?()|-]|[\w~@%&=:;,! -]"
_RUN = re.compile(rf"({_SET})([+*])", re.DOTALL)
_FIXED = re.compile(rf"(?:(?:{_SET}|{_LITERAL})(?:\{{[0-9]+\}})?)+", re.DOTALL)
_PLAIN = re.compile(rf"(?:{_SET}|{_LITERAL}|[|)+*?{{}}]|\((?:\?:|(?!\?)))*", re.DOTALL)
_SETS = re.compile(rf"\\[.+*?()|-]|({_SET})", re.DOTALL)


class _Kind(Enum):
    """How the ends of a parameter are found, from a given start."""

    RUN = auto()  # a run of characters of one set, longest first
    FLOAT = auto()  # a run of digits, then perhaps a point and another run, longest first
    FIXED = auto()  # at most one end
    OTHER = auto()  # not known: the regex is asked


@dataclass(frozen=True, slots=True)
class _Part:
    """One parameter of a template, with the literal text after it."""

    name: str
    regex: str  # its convertor's
    after: str  # up to the next parameter, or to the end
    last: bool
    kind: _Kind
    letters: str = ""  # of a run: regex for one character
    quantifier: str = ""  # and what that needs for all of it

    @property
    def source(self) -> str:
        """Its regex as it goes into a larger one."""
        return self.letters + self.quantifier if self.kind is _Kind.RUN else self.regex

    def holds(self, text: str, flags: int) -> bool:
        """Tell whether all characters of a text may stand in a run or float."""
        letters = "[0-9.]" if self.kind is _Kind.FLOAT else self.letters
        return re.fullmatch(f"{letters}*", text, flags) is not None

    def may_hold_slash(self) -> bool:
        """Tell whether its text might hold "/"; True in doubt."""
        if not _PLAIN.fullmatch(self.regex):
            return True
        return any(re.match(letters, "/") for letters in _SETS.findall(self.regex) if letters)

    def is_decided(self, flags: int) -> bool:
        """Tell whether, from a given start, at most one of its ends fits what follows."""
        if self.last or self.kind is _Kind.FIXED:
            return True
        if self.kind is _Kind.OTHER:
            return self.after.startswith("/") and not self.may_hold_slash()
        return not self.holds(self.after, flags)


def _part(name: str, regex: str, after: str, *, last: bool) -> _Part:
    """Make a parameter; its kind is told by the text of its regex, which programs replace."""
    if regex == _ANYTHING:
        # A decoded path may hold a newline, which a bare dot leaves out.
        return _Part(name, regex, after, last, _Kind.RUN, "(?s:.)", "*")
    if regex == _FLOAT:
        return _Part(name, regex, after, last, _Kind.FLOAT, "[0-9]", "+")
    if regex == _UUID or _FIXED.fullmatch(regex):
        return _Part(name, regex, after, last, _Kind.FIXED)
    run = _RUN.fullmatch(regex)
    if run:
        return _Part(name, regex, after, last, _Kind.RUN, run[1], run[2])
    return _Part(name, regex, after, last, _Kind.OTHER)


def _direct_regex(before: str, parts: Sequence[_Part], flags: int) -> re.Pattern[str] | None:
    """Give a regex that matches a whole path in linear time, or None if there is none.

    All parameters are decided, but for one: each of its ends costs one look at the rest, and if it
    is a run, only a few of them do.
    """
    undecided = [place for place, part in enumerate(parts) if not part.is_decided(flags)]
    if len(undecided) > 1:
        return None
    guards = [""] * len(parts)
    for place in undecided:
        if parts[place].kind is not _Kind.OTHER:
            guards[place] = _guard(*parts[place:])
            if not guards[place]:
                return None
    text = re.escape(before)
    for guard, part in zip(guards, parts, strict=True):
        text += f"{guard}(?P<{part.name}>{part.source}){re.escape(part.after)}"
    return re.compile(text, flags)


def _guard(run: _Part, second: _Part, *others: _Part) -> str:
    """Give a lookahead to set before an undecided run; "" if none is known to be enough.

    One is where the next parameter is a run of the same set, as the literal between is, since this
    one is undecided: then where the next must end does not depend on where this one does. So the
    rest is looked at once, ahead; if it matches, every end fits that leaves the next a character.
    """
    alike = run.kind is second.kind is _Kind.RUN and run.letters == second.letters
    # Groups inside a regex would be counted among those of the whole.
    grouped = any(part.kind not in (_Kind.RUN, _Kind.FIXED) for part in others)
    if grouped or not alike:
        return ""
    rest = "".join(part.source + re.escape(part.after) for part in others)
    return rf"(?={run.letters}*{re.escape(second.after)}{rest}\Z)"


def _folded(text: str, flags: int) -> str:
    """Give a text as literals are compared: in lower case, ASCII alone, if case is ignored."""
    if not flags & re.IGNORECASE:
        return text
    # Bytes have no letters beyond ASCII, while `str.lower` may even change the length.
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


class _Step:
    """What a search needs of one parameter: its regexes compiled, the text after it folded."""

    __slots__ = ("after", "first", "is_asked", "is_fixed", "is_float", "minimum", "whole")

    def __init__(self, part: _Part, flags: int) -> None:
        self.is_float = part.kind is _Kind.FLOAT
        self.is_fixed = part.kind is _Kind.FIXED
        self.is_asked = self.is_fixed or part.kind is _Kind.OTHER
        self.minimum = int(part.quantifier == "+")
        self.after = _folded(part.after, flags)
        # Of a run, what is left of it. Else the text preferred of those that fit what follows.
        fitting = f"({part.regex}){re.escape(part.after)}" + (r"\Z" if part.last else "")
        self.first = re.compile(f"{part.letters}*" if part.letters else fitting, flags).match
        self.whole = re.compile(part.regex, flags).fullmatch


class _Rest:
    """One path held against a template from one parameter on, wherever that starts.

    `folded` is the path `text` as literals are compared with it, of the same length; `rest` is for
    the template from the next parameter on.
    """

    __slots__ = ("end", "failed", "folded", "rest", "start", "step", "text", "tried")

    def __init__(self, step: _Step, text: str, folded: str, rest: _Rest | None) -> None:
        self.step = step
        self.text = text
        self.folded = folded
        self.rest = rest
        self.end = -1  # where the parameter ends, once `fits` has said yes
        self.failed: set[int] = set()  # ends that the rest refused, where the regex is asked
        self._restart()

    def _restart(self) -> None:
        self.start = len(self.text)  # the last start; runs were looked at from there on
        self.tried = len(self.text) + 1  # of the ends possible so far, those from here on failed

    def fits(self, start: int) -> bool:
        """Tell whether the template matches from this parameter at `start` to the path's end.

        A search asks with ever lower starts, unless a parameter of unknown kind stands before.
        """
        step, text = self.step, self.text
        if step.is_asked:
            return self._fits_asked(start)
        if start > self.start:
            self._restart()
        # A run that goes on beyond the last start has no untried end there.
        run = step.first(text, start, self.start)
        end = run.end() if run else start
        self.start = start
        if end - start < step.minimum:
            return False
        if step.is_float and text.startswith(".", end):
            fraction = step.first(text, end + 1)
            if fraction and self._fits_between(end + 2, fraction.end()):
                return True
        return self._fits_between(start + step.minimum, end)

    def _fits_between(self, low: int, high: int) -> bool:
        """Tell whether it fits with an end of the parameter from `high` down to `low`."""
        after, rest = self.step.after, self.rest
        # An end from `tried` on that is possible now was so from an earlier start, and failed.
        high = min(high, self.tried - 1)
        self.tried = min(low, self.tried)
        if rest is None:
            self.end = len(self.text) - len(after)
            return low <= self.end <= high and self.folded.endswith(after)
        while low <= high:
            self.end = self.folded.rfind(after, low, high + len(after))
            if self.end < 0:
                return False
            if rest.fits(self.end + len(after)):
                return True
            high = self.end - 1
        return False

    def _fits_asked(self, start: int) -> bool:
        """Do as `fits` where only the regex knows the ends: its first choice, then the longest."""
        step, after = self.step, self.step.after
        found = step.first(self.text, start)
        if found is None:
            return False
        if self._leaves(found.end(1)):
            return True
        end = -1 if step.is_fixed else len(self.text)
        while end >= start:
            end = self.folded.rfind(after, start, end + len(after))
            if end >= start and step.whole(self.text, start, end) and self._leaves(end):
                return True
            end -= 1
        return False

    def _leaves(self, end: int) -> bool:
        """Tell whether the rest fits after this end; each end is asked about once."""
        self.end = end
        if self.rest is None:
            return True
        if end not in self.failed and self.rest.fits(end + len(self.step.after)):
            return True
        self.failed.add(end)
        return False


class PathMatch:
    """A path that matched, from a search: what people use of `re.Match`.

    Group 0 is the whole path; the parameters have their names, and numbers from 1.
    """

    __slots__ = ("_spans", "string")

    def __init__(self, string: str, spans: dict[str, tuple[int, int]]) -> None:
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
        raise IndexError(f"Expected one of {list(self._spans)} or its number, got {group!r}.")

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

    def groupdict(self) -> dict[str, str]:
        """Give the texts of all parameters, by name."""
        return {name: self.string[start:end] for name, (start, end) in self._spans.items()}


class PathPattern:
    """The matcher for one template; stands where Starlette has a compiled regex.

    `pattern`, `flags`, `groups` and `groupindex` are those of Starlette's regex. What it matches
    differs in this:

    * `match` and `fullmatch` both match the whole text, where `$` lets a newline follow;
    * a parameter with the regex `.*` may hold newlines;
    * in a search (see the head of the module) a convertor with a regex of unknown kind takes its
      first choice or, if the rest does not fit then, the longest text with which it does; what
      the regex says of the text after it (a lookahead, `$`) counts for the first choice alone;
    * the case that a host ignores there is that of ASCII letters.

    `compile_path` makes it, of the literal text before the first parameter and the parameters.
    """

    def __init__(self, before: str, parts: Sequence[_Part], *, ignore_case: bool) -> None:
        flags = re.IGNORECASE if ignore_case else re.NOFLAG
        groups = "".join(f"(?P<{p.name}>{p.regex}){re.escape(p.after)}" for p in parts)
        self.pattern = f"^{re.escape(before)}{groups}$"
        direct = _direct_regex(before, parts, flags)
        whole = direct or re.compile(self.pattern, flags)
        self.flags = whole.flags
        self.groups = whole.groups
        self.groupindex = dict(whole.groupindex)
        # PERF: the regex's own method, as one around it would cost a third more.
        self.match: Callable[[str], re.Match[str] | PathMatch | None]
        self.match = self.fullmatch = direct.fullmatch if direct else self._search
        self._before = _folded(before, flags)
        self._parts = parts
        self._static = None if parts or ignore_case else before
        # Of a template that ends with its only parameter, a text, the literal before and the name.
        self._last: tuple[str, str] | None = None
        self._steps = () if direct else tuple(_Step(part, flags) for part in parts)

    convertors: Mapping[str, Convertor[Any]] | None = None
    """Those that the template came with."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.pattern!r})"

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
        if self._last is not None and convertors is self.convertors:
            # PERF: a third of the time; most parameters are a text at the end of the path.
            before, name = self._last
            text = path[len(before) :]
            if not text or "/" in text or not path.startswith(before):
                return None
            return {name: text}
        found = self.match(path)
        if found is None:
            return None
        params: dict[str, Any] = {}
        try:
            for name, convertor in convertors.items():
                params[name] = convertor.convert(found[name])
        except ValueError:
            return None
        return params

    def outline(self) -> tuple[list[str | None], bool]:
        """Tell what every path that matches looks like, segment by segment between slashes.

        Returns:
            The segments, None where there is a parameter; and whether the path goes on after them
            with one or more segments of which nothing is said.
        """
        segments: list[str | None] = list(self._before.split("/"))
        for part in self._parts:
            if part.may_hold_slash():
                return segments[:-1], True
            segments[-1] = None
            segments += part.after.split("/")[1:]
        return segments, False

    def _search(self, path: str) -> PathMatch | None:
        folded = _folded(path, self.flags)
        rest: _Rest | None = None
        for step in reversed(self._steps):
            rest = _Rest(step, path, folded, rest)
        start = len(self._before)
        if rest is None or not folded.startswith(self._before) or not rest.fits(start):
            return None
        spans: dict[str, tuple[int, int]] = {}
        for part in self._parts:
            spans[part.name] = start, rest.end
            start = rest.end + len(part.after)
            rest = rest.rest or rest
        return PathMatch(path, spans)


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
    pieces = PARAM_REGEX.split(path)
    kinds = [(kind or ":str")[1:] for kind in pieces[2::3]]
    convertors = _convertors(path, pieces[1::3], kinds)
    is_host = not path.startswith("/")
    if is_host and not pieces[-1].endswith("]"):
        pieces[-1] = pieces[-1].rsplit(":", 1)[0]
    before, *after = pieces[0::3]
    parts = [
        _part(name, convertors[name].regex, text, last=number == len(after))
        for number, (name, text) in enumerate(zip(convertors, after, strict=True), start=1)
    ]
    path_format = PARAM_REGEX.sub(r"{\1}", path)
    pattern = PathPattern(before, parts, ignore_case=is_host)
    pattern.convertors = convertors
    if not is_host and len(parts) == 1 and after == [""]:
        ((name, convertor),) = convertors.items()
        if type(convertor) is StringConvertor and convertor.regex == StringConvertor.regex:
            pattern._last = before, name
    return pattern, path_format, convertors


def _convertors(path: str, names: list[str], kinds: list[str]) -> dict[str, Convertor[Any]]:
    """Look up the convertors of a template's parameters, by name of the parameter."""
    convertors: dict[str, Convertor[Any]] = {}
    for name, kind in zip(names, kinds, strict=True):
        convertor = CONVERTOR_TYPES.get(kind)
        if convertor is None:
            raise UsageError(
                f"Expected one of {', '.join(sorted(CONVERTOR_TYPES))} as path convertor, "
                f"got {kind!r} in path {path!r}; register it with register_url_convertor first."
            )
        convertors[name] = convertor
    twice = sorted(name for name in convertors if names.count(name) > 1)
    if twice:
        ending = "s" if len(twice) > 1 else ""
        raise UsageError(
            # Starlette's words first: programs look for them.
            f"Duplicated param name{ending} {', '.join(twice)} at path {path}; rename all but one."
        )
    return convertors


def replace_params(
    path: str, param_convertors: Mapping[str, Convertor[Any]], path_params: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Fill values into a template without convertors, as `compile_path` gives it.

    Returns:
        The path, where a parameter without a value still stands as "{name}"; and the values that
        have no place in it.

    Raises:
        UsageError: a path cannot hold a value; so the built-in convertors say it.

    Source: as Starlette 1.10, which takes the values it uses out of the caller's dict.
    """
    remaining = dict(path_params)

    def filled(parameter: re.Match[str]) -> str:
        name = parameter[1]
        if name not in remaining:
            return parameter[0]
        return param_convertors[name].to_string(remaining.pop(name))

    return PARAM_FORMAT_REGEX.sub(filled, path), remaining


def get_route_path(scope: Mapping[str, Any]) -> str:
    """Give the part of a request's path below its root path: what routes match.

    That is all of it if the path is not below ("/apidocs" below "/api"), "" if the two are equal.

    Source: as Starlette 1.10; ASGI HTTP spec, "HTTP Connection Scope": `path`, `root_path`.
    """
    path: str = scope["path"]
    below = path.removeprefix(scope.get("root_path") or "")
    return below if not below or below.startswith("/") else path
