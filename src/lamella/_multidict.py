"""Mappings whose keys may have several values.

Floor 1, offered to users by `datastructures`. Plain data: nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from lamella._url import decode_query
from lamella.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView

__all__ = ["ImmutableMultiDict", "MultiDict", "QueryParams"]

_K = TypeVar("_K")
_V_co = TypeVar("_V_co", covariant=True)


class ImmutableMultiDict(Mapping[_K, _V_co], Generic[_K, _V_co]):
    """A mapping whose keys may have several values, kept in order.

    As a mapping it has one value a key, the last one; `getlist` and `multi_items` give all. Two are
    equal if each key has equal values in the same order.

    Args:
        *args: one multidict, mapping or iterable of pairs, or none.
        **kwargs: pairs to add at the end.

    Raises:
        UsageError: more than one positional argument.

    Source: as Starlette 1.10.
    """

    __module__ = "lamella.datastructures"  # where it is found

    # The truth is the list; the dict has the last value of each key.
    _list: list[tuple[Any, Any]]
    _dict: dict[Any, Any]

    def __init__(
        self,
        *args: ImmutableMultiDict[_K, _V_co] | Mapping[_K, _V_co] | Iterable[tuple[_K, _V_co]],
        **kwargs: Any,
    ) -> None:
        _check_one_argument(type(self), args)
        self._list = _pairs(args[0]) if args else []
        self._list += kwargs.items()
        self._dict = dict(self._list)

    def getlist(self, key: Any) -> list[_V_co]:
        """Give all values of a key in order, none for an unknown one."""
        return [value for name, value in self._list if name == key]

    def multi_items(self) -> list[tuple[_K, _V_co]]:
        """Give all pairs in order, in a list of the caller's own."""
        return list(self._list)

    def keys(self) -> KeysView[_K]:
        """Give each key once."""
        return self._dict.keys()

    def values(self) -> ValuesView[_V_co]:
        """Give the last value of each key."""
        return self._dict.values()

    def items(self) -> ItemsView[_K, _V_co]:
        """Give each key with its last value."""
        return self._dict.items()

    def __getitem__(self, key: _K) -> _V_co:
        value: _V_co = self._dict[key]
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._dict

    def __iter__(self) -> Iterator[_K]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return False
        return _grouped(self._list) == _grouped(other._list)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._list!r})"


def _check_one_argument(cls: type, args: tuple[Any, ...]) -> None:
    if len(args) > 1:
        raise UsageError(
            f"Expected {cls.__name__} to get one positional argument at most, got {len(args)}; "
            "give a list of pairs."
        )


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    for name in ("multi_items", "items"):
        if hasattr(value, name):
            return list(getattr(value, name)())
    return [(key, item) for key, item in value or ()]


def _grouped(pairs: list[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


class MultiDict(ImmutableMultiDict[Any, Any]):
    """A multidict that can be changed.

    Source: as Starlette 1.10.
    """

    __module__ = "lamella.datastructures"  # where it is found

    def __setitem__(self, key: Any, value: Any) -> None:
        self.setlist(key, [value])

    def __delitem__(self, key: Any) -> None:
        del self._dict[key]
        self._drop({key})

    def _drop(self, keys: Iterable[Any]) -> None:
        self._list = [pair for pair in self._list if pair[0] not in keys]

    def pop(self, key: Any, default: Any = None) -> Any:
        """Remove a key; give its last value, or the default."""
        self._drop({key})
        return self._dict.pop(key, default)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the key that came last; give it with its last value.

        Raises:
            KeyError: there is none.
        """
        key, value = self._dict.popitem()
        self._drop({key})
        return key, value

    def poplist(self, key: Any) -> list[Any]:
        """Remove a key; give all its values."""
        values = self.getlist(key)
        self.pop(key)
        return values

    def clear(self) -> None:
        """Remove all."""
        self._list.clear()
        self._dict.clear()

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Give the last value of a key, after adding the default if it has none."""
        if key not in self._dict:
            self.append(key, default)
        return self._dict[key]

    def setlist(self, key: Any, values: list[Any]) -> None:
        """Set all values of a key; an empty list removes it."""
        self._drop({key})
        self._list += [(key, value) for value in values]
        if values:
            self._dict[key] = values[-1]
        else:
            self._dict.pop(key, None)

    def append(self, key: Any, value: Any) -> None:
        """Add a value to those of a key."""
        self._list.append((key, value))
        self._dict[key] = value

    def update(
        self,
        *args: ImmutableMultiDict[Any, Any] | Mapping[Any, Any] | Iterable[tuple[Any, Any]],
        **kwargs: Any,
    ) -> None:
        """Set keys to all the values that they have in another; arguments as for the class."""
        new = MultiDict(*args, **kwargs)
        self._drop(new._dict)
        self._list += new._list
        self._dict.update(new._dict)


class QueryParams(ImmutableMultiDict[str, str]):
    """The parameters of a query string.

    Args:
        *args: a query string, as text or as the bytes of a scope, or what a multidict takes.
        **kwargs: pairs to add at the end.

    Keys and values become text by `str`. No query string raises: bytes that are not UTF-8 are
    U+FFFD in the value.

    Source: as Starlette 1.10, which reads bytes beyond ASCII as Latin-1.
    """

    __module__ = "lamella.datastructures"  # where it is found

    def __init__(
        self,
        *args: ImmutableMultiDict[Any, Any]
        | Mapping[Any, Any]
        | Iterable[tuple[Any, Any]]
        | str
        | bytes,
        **kwargs: Any,
    ) -> None:
        _check_one_argument(type(self), args)
        value = args[0] if args else ()
        if isinstance(value, bytes):
            value = decode_query(value)
        if isinstance(value, str):
            self._list = parse_qsl(value, keep_blank_values=True)
        else:
            self._list = [(str(key), str(item)) for key, item in _pairs(value)]
        self._list += [(key, str(item)) for key, item in kwargs.items()]
        self._dict = dict(self._list)

    def __str__(self) -> str:
        return urlencode(self._list)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"
