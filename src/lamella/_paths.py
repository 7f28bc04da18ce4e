"""Path templates such as "/users/{id:int}": made into matchers, and filled in again.

Floor 1. A template is literal text with parameters between; each parameter has a convertor, whose
`regex` says which texts may stand there. Which route a path belongs to is not decided here.

What a path matches is what Starlette's regular expression for the template would match: the first
parameter as long as the rest allows, then the second, and so on. The time is another matter: that
expression gives characters back one by one, and with k parameters in one segment a hostile path
of n characters takes n**k steps. Here a path takes a bounded number of steps for each of its
characters and each parameter. One of two ways is chosen when the template is compiled:

* Where it is known beforehand which end of a parameter lets the rest match, one regular expression
  that never tries a second (`_direct_regex`).
* Else a search that tries each end of each parameter at most once (`_Rest`): whether the rest of
  the template matches from there does not depend on how one came there.

That holds for the built-in convertors, and for every regex that is one set of characters with `+`
or `*` or that matches texts of one length only. What another regex costs is its author's choice.
In the first way it is used as it is; in a search it is tried from each end of the parameter before
it, from there on each place of the literal after it, and the rest is searched once from each place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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

# The text of a regex is read with these: a set of characters, one without a special meaning.
_SET = r"\[\^?\]?(?:\\.|[^\]\\])*\]|\\[dDsSwW]|\."
_LITERAL = r"\\[.+*?()|-]|[\w~@%&=:;,! -]"
_RUN = re.compile(rf"({_SET})([+*])", re.DOTALL)
_FIXED = re.compile(rf"(?:(?:{_SET}|{_LITERAL})(?:\{{[0-9]+\}})?)+", re.DOTALL)
_PLAIN = re.compile(rf"(?:{_SET}|{_LITERAL}|[|()+*?{{}}])*", re.DOTALL)
_SETS = re.compile(rf"\\[.+*?()|-]|({_SET})", re.DOTALL)


class _Kind(Enum):
    """How the ends of a parameter are found, from a given start."""

    RUN = auto()  # a run of characters of one set, longest first
    FLOAT = auto()  # a run of digits, then perhaps a point and another run, longest first
    FIXED = auto()  # at most one end
    OTHER = auto()  # not known: the regex is asked


@dataclass(frozen=True, slots=True)
class _Part:
    """One parameter of a template, with the literal text after it.

    Args:
        name: its name.
        regex: its convertor's regex.
        after: the literal text up to the next parameter, or to the end.
        last: whether it is the last parameter.
        kind: how its ends are found.
        letters: regex for one character of a run; "" for other kinds.
        quantifier: what `letters` needs to match a run.
    """

    name: str
    regex: str
    after: str
    last: bool
    kind: _Kind
    letters: str = ""
    quantifier: str = ""

    @property
    def greedy(self) -> str:
        """Its regex as it goes into a larger one."""
        return self.letters + self.quantifier if self.kind is _Kind.RUN else self.regex

    @property
    def possessive(self) -> str:
        """The same, for where it need not give characters back."""
        return self.greedy + "+" if self.kind is _Kind.RUN else self.regex

    def holds(self, text: str, flags: int) -> bool:
        """Tell whether a run or float may go on with the first character of a text."""
        letters = "[0-9.]" if self.kind is _Kind.FLOAT else self.letters
        return re.match(letters, text, flags) is not None

    def may_hold_slash(self) -> bool:
        """Tell whether its text might hold "/"; True in doubt."""
        if not _PLAIN.fullmatch(self.regex):
            return True
        return any(re.match(letters, "/") for letters in _SETS.findall(self.regex) if letters)

    def is_decided(self, flags: int) -> bool:
        """Tell whether, from a given start, at most one of its ends fits what follows."""
        if self.last or self.kind is _Kind.FIXED:
            return True
        if not self.after:
            return False
        if self.kind is _Kind.OTHER:
            return self.after.startswith("/") and not self.may_hold_slash()
        return not self.holds(self.after, flags)


def _part(name: str, regex: str, after: str, *, last: bool) -> _Part:
    """Make a parameter; its kind is told by the text of the convertor's regex alone.

    The class of the convertor says nothing: programs replace `regex` on the built-in ones.
    """
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

    One parameter may be undecided. As all others are decided, each end that it offers costs one
    look at the rest: of no known number if its kind is not known, and one at most after `_guard`.
    """
    undecided = [place for place, part in enumerate(parts) if not part.is_decided(flags)]
    guards = [""] * len(parts)
    if undecided and parts[undecided[0]].kind is not _Kind.OTHER:
        guards[undecided[0]] = _guard(parts[undecided[0] :], flags)
    if len(undecided) > 1 or (undecided and not any(guards) and ...):
        return None
    text = re.escape(before)
    for guard, part in zip(guards, parts, strict=True):
        # The last one has to give back the literal text after it, in one pass.
        regex = part.greedy if part.last and part.after else part.possessive
        text += f"{guard}(?P<{part.name}>{regex}){re.escape(part.after)}"
    return re.compile(text, flags)


def _guard(parts: Sequence[_Part], flags: int) -> str | None:
    """Give a lookahead for before an undecided parameter; None if none is known to be enough.

    It is enough where a second run of the same set comes next and goes as far as the first could
    have gone, so that whether the rest matches does not depend on where the first ends.
    """
    first, second, *others = parts
    alike = first.kind is second.kind is _Kind.RUN and first.letters == second.letters
    joined = re.fullmatch(f"{first.letters}*", first.after, flags)
    if not (alike and joined) or (second.after and second.holds(second.after, flags)):
        return None
    # Groups inside a regex would be counted among those of the whole.
    if any(part.kind not in (_Kind.RUN, _Kind.FIXED) for part in others):
        return None
    rest = "".join(part.greedy + re.escape(part.after) for part in others)
    return rf"(?={first.letters}*+{re.escape(second.after)}{rest}\Z)"
