"""An index over path patterns: which of many routes a path might belong to.

Floor 1, above `_paths`. It narrows, it never decides: `candidates` gives every item whose pattern
may match the path, in the order in which they were declared, and perhaps some that do not match.
Whoever asks, asks each candidate itself, and the first declared match wins, as in a plain scan.

Paths without parameters stand in a dict, each with all its candidates found beforehand. The others
stand in a tree with a level for each segment of the path, the text between two slashes. A lookup
follows, at each level, the branch of that very text and the branch of the parameters; patterns
that may swallow slashes, mounts among them, hang on the node after which they say nothing more.
So its cost grows with the number of segments and of candidates, not with the number of routes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Generic, TypeVar

from lamella._paths import PathPattern

__all__ = ["RouteIndex"]

T = TypeVar("T")

_FEW = 8  # candidates that are asked sooner than the tree


class _Node:
    """A place in the tree: the patterns that begin with the same segments.

    `exact` and `open` hold the places, in the order of declaration, of the patterns that end with
    these segments and of those that go on, nobody knows how, for one segment or more.
    """

    __slots__ = ("exact", "named", "open", "parameter")

    def __init__(self) -> None:
        self.exact: list[int] = []
        self.open: list[int] = []
        self.named: dict[str, _Node] = {}
        self.parameter: _Node | None = None

    def child(self, segment: str | None) -> _Node:
        """Give the node below for a segment, None for a parameter; make it if it is missing."""
        if segment is not None:
            return self.named.setdefault(segment, _Node())
        if self.parameter is None:
            self.parameter = _Node()
        return self.parameter


class RouteIndex(Generic[T]):
    """Finds candidates among items, say routes, each with the pattern of its paths.

    The index knows the patterns as they are when it is made. Whoever changes them, or the items,
    makes a new one.

    Args:
        entries: the items in order of declaration, each with its pattern. The pattern of a mount
            ends with a parameter that may hold "/". None, as well as the pattern of a host, makes
            an item a candidate for every path.
    """

    __slots__ = ("_depth", "_ending", "_items", "_root", "_static")

    def __init__(self, entries: Iterable[tuple[T, PathPattern | None]]) -> None:
        self._items: list[T] = []
        self._root = _Node()
        self._depth = 0  # most segments that any pattern names
        static: dict[str, list[int]] = {}
        ending: set[str] = set()
        for place, (item, pattern) in enumerate(entries):
            self._items.append(item)
            if pattern is None or pattern.flags & re.IGNORECASE:
                self._root.open.append(place)
                continue
            segments, is_open = pattern.outline()
            texts = [segment for segment in segments if segment is not None]
            if is_open or len(texts) < len(segments):
                self._insert(place, segments, is_open=is_open)
                if not is_open and len(texts) == len(segments) - 1 and segments[-1] is None:
                    ending.add("/".join([*texts, ""]))
            else:
                static.setdefault("/".join(texts), []).append(place)
        self._static = {
            path: tuple(self._sorted([places, *self._matching(path)]))
            for path, places in static.items()
        }
        found = {before: self._after(before) for before in ending}
        self._ending = {
            before: tuple(self._sorted(groups))
            for before, groups in found.items()
            if sum(map(len, groups)) <= _FEW
        }

    def candidates(self, route_path: str) -> Sequence[T]:
        """Give the items that may match a path, in order of declaration.

        Args:
            route_path: the path below the root path.
        """
        known = self._static.get(route_path)
        if known is not None:
            return known
        # PERF: most paths end with a parameter, after a text that says all the rest.
        known = self._ending.get(route_path[: route_path.rfind("/") + 1])
        return self._sorted(self._matching(route_path)) if known is None else known

    def _insert(self, place: int, segments: list[str | None], *, is_open: bool) -> None:
        node = self._root
        for segment in segments:
            node = node.child(segment)
        (node.open if is_open else node.exact).append(place)
        self._depth = max(self._depth, len(segments))

    def _matching(self, path: str) -> list[list[int]]:
        """Give the places of the patterns in the tree that may match, grouped by node."""
        found: list[list[int]] = []
        nodes = [self._root]
        # What a path has beyond the depth stays in one piece: it is of no interest here.
        for segment in path.split("/", self._depth):
            below: list[_Node] = []
            for node in nodes:
                if node.open:
                    found.append(node.open)
                if segment in node.named:
                    below.append(node.named[segment])
                if node.parameter is not None:
                    below.append(node.parameter)
            nodes = below
        found += [node.exact for node in nodes if node.exact]
        return found

    def _after(self, before: str) -> list[list[int]]:
        """Give the places of the patterns that may match a text with any one segment after it."""
        found: list[list[int]] = []
        nodes = [self._root]
        for segment in before.removesuffix("/").split("/"):
            found += [node.open for node in nodes if node.open]
            nodes = [
                below
                for node in nodes
                for below in (node.named.get(segment), node.parameter)
                if below is not None
            ]
        for node in nodes:
            found.append(node.open)
            below = [*node.named.values()]
            if node.parameter is not None:
                below.append(node.parameter)
            found += [one.exact for one in below]
        return [places for places in found if places]

    def _sorted(self, groups: list[list[int]]) -> list[T]:
        """Give the items at all these places, in order; within a group they are in order."""
        places = groups[0] if len(groups) == 1 else sorted(chain.from_iterable(groups))
        return [self._items[place] for place in places]
