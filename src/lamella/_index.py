"""Placeholder until the trie is in: every route is a candidate."""
from typing import Any, Generic, TypeVar
_T = TypeVar("_T")
class RouteIndex(Generic[_T]):
    def __init__(self, items: Any) -> None: self._items = [item[0] for item in items]
    def candidates(self, path: str) -> Any: return self._items
