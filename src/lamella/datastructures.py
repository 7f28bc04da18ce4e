"""The containers that requests and responses are made of.

Floor 1. `URL`, `URLPath` and `Address` come from `_url`, the multidicts from `_multidict`, and
`check_header` from `_headers`: users find all of them here.
No container here does I/O but `UploadFile`, and that one leaves the event loop to do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from shlex import shlex
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, overload

import anyio

from lamella._headers import check_header, encode_header
from lamella._multidict import ImmutableMultiDict, MultiDict, QueryParams
from lamella._url import URL, Address, URLPath
from lamella.concurrency import run_in_threadpool
from lamella.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, MutableMapping

__all__ = [
    "URL",
    "Address",
    "CommaSeparatedStrings",
    "FormData",
    "Headers",
    "ImmutableMultiDict",
    "MultiDict",
    "MutableHeaders",
    "QueryParams",
    "Secret",
    "State",
    "URLPath",
    "UploadFile",
    "check_header",
]

_D = TypeVar("_D")
_T = TypeVar("_T")


class Secret:
    """A text that does not show in tracebacks and logs; `str(secret)` gives it.

    Source: as Starlette 1.10.
    """

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"{type(self).__name__}('**********')"

    def __str__(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)


class CommaSeparatedStrings(Sequence[str]):
    """The items of a text such as `a, "b, c"`, as it stands in an environment variable.

    Args:
        value: text, split at commas as a POSIX shell splits at blanks (quotes keep a comma, `#`
            begins a comment, blanks around an item are dropped); or the items themselves.

    Raises:
        ValueError: a quote in the text is not closed.

    Source: as Starlette 1.10.
    """

    def __init__(self, value: str | Sequence[str]) -> None:
        if not isinstance(value, str):
            self._items = list(value)
            return
        lexer = shlex(value, posix=True)
        lexer.whitespace = ","
        lexer.whitespace_split = True
        self._items = [item.strip() for item in lexer]

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int | slice) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def __str__(self) -> str:
        return ", ".join(map(repr, self._items))


class Headers(Mapping[str, str]):
    """Headers that do not change; names in any case, values decoded from Latin-1.

    A name may stand several times: `headers[name]` gives the first, `getlist` all.

    Args:
        headers: names and values as text.
        raw: pairs of lower-case name and value, Latin-1 bytes; the list itself is kept.
        scope: an ASGI scope or message; `scope["headers"]`, any iterable of pairs, becomes a list
            that is shared with this object.

    Raises:
        UsageError: more than one of the three is given.

    Source: as Starlette 1.10; ASGI HTTP specification, "Connection scope".
    """

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        raw: list[tuple[bytes, bytes]] | None = None,
        scope: MutableMapping[str, Any] | None = None,
    ) -> None:
        if (headers is not None) + (raw is not None) + (scope is not None) > 1:
            raise UsageError("Expected one of headers, raw and scope, got more; merge them first.")
        self._list: list[tuple[bytes, bytes]] = []
        if headers is not None:
            self._list = [self._encode(name, value) for name, value in headers.items()]
        elif raw is not None:
            self._list = raw
        elif scope is not None:
            self._list = scope["headers"] = list(scope.get("headers", ()))

    @staticmethod
    def _encode(name: str, value: str) -> tuple[bytes, bytes]:
        return name.lower().encode("latin-1"), value.encode("latin-1")

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """All pairs of name and value as bytes, in a list of the caller's own."""
        return list(self._list)

    def keys(self) -> list[str]:  # type: ignore[override]
        """Give the name of every header, one that stands twice twice."""
        return [name.decode("latin-1") for name, _ in self._list]

    def values(self) -> list[str]:  # type: ignore[override]
        """Give the value of every header."""
        return [value.decode("latin-1") for _, value in self._list]

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Give every header, one that stands twice twice."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._list]

    @overload
    def get(self, key: str, default: None = None) -> str | None: ...
    @overload
    def get(self, key: str, default: str) -> str: ...
    @overload
    def get(self, key: str, default: _D) -> str | _D: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Give the first value of a name, or the default."""
        wanted = _wire_name(key)
        for name, value in self._list:
            if name == wanted:
                return value.decode("latin-1")
        return default

    def getlist(self, key: str) -> list[str]:
        """Give all values of a name in order, none for an unknown one."""
        wanted = _wire_name(key)
        return [value.decode("latin-1") for name, value in self._list if name == wanted]

    def mutablecopy(self) -> MutableHeaders:
        """Give a copy that can be changed."""
        return MutableHeaders(raw=list(self._list))

    def __getitem__(self, key: str) -> str:
        # Not by way of `get`: a call costs as much as the search.
        wanted = _wire_name(key)
        for name, value in self._list:
            if name == wanted:
                return value.decode("latin-1")
        raise KeyError(key)

    def __contains__(self, key: Any) -> bool:
        wanted = _wire_name(key)
        for name, _ in self._list:  # noqa: SIM110 - PERF: `any` takes twice the time
            if name == wanted:
                return True
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._list)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return False
        return sorted(map(tuple, self._list)) == sorted(map(tuple, other._list))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        single = dict(self.items())
        if len(single) == len(self._list):
            return f"{type(self).__name__}({single!r})"
        return f"{type(self).__name__}(raw={self._list!r})"


@lru_cache(maxsize=256)
def _wire_name(key: str) -> bytes:
    """Give a name as it stands in a list; one beyond Latin-1 becomes one that no header has."""
    return key.lower().encode("latin-1", "backslashreplace")


class MutableHeaders(Headers):
    r"""Headers that can be changed; arguments as for `Headers`.

    Every way to add a name or a value as text checks it.

    Raises:
        ValueError: from all that adds; the name is not a token of RFC 9110, or the value holds
            `\r`, `\n` or `\0`, or a character beyond Latin-1.

    Source: as Starlette 1.10, which takes any text.
    """

    _encode = staticmethod(encode_header)

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The list itself, in which changes are made."""
        return self._list

    def __setitem__(self, key: str, value: str) -> None:
        """Set the one value of a name, in the place of the first there was."""
        header = encode_header(key, value)
        places = [index for index, (name, _) in enumerate(self._list) if name == header[0]]
        if not places:
            self._list.append(header)
            return
        for index in reversed(places[1:]):
            del self._list[index]
        self._list[places[0]] = header

    def __delitem__(self, key: str) -> None:
        """Remove every header of a name, if there is any."""
        unwanted = _wire_name(key)
        self._list[:] = [header for header in self._list if header[0] != unwanted]

    def __ior__(self, other: Mapping[str, str]) -> MutableHeaders:  # noqa: PYI034 - as Starlette
        self.update(_check_mapping(other))
        return self

    def __or__(self, other: Mapping[str, str]) -> MutableHeaders:
        new = self.mutablecopy()
        new.update(_check_mapping(other))
        return new

    def setdefault(self, key: str, value: str) -> str:
        """Give the first value of a name, after adding this one if there is none."""
        found = self.get(key)
        if found is not None:
            return found
        self._list.append(encode_header(key, value))
        return value

    def update(self, other: Mapping[str, str]) -> None:
        """Set each of these names to its value."""
        for key, value in other.items():
            self[key] = value

    def append(self, key: str, value: str) -> None:
        """Add a header at the end, whether or not the name is there."""
        self._list.append(encode_header(key, value))

    def add_vary_header(self, vary: str) -> None:
        """Add to the one Vary header; RFC 9110 section 12.5.5."""
        self["vary"] = ", ".join([*self.getlist("vary"), vary])


def _check_mapping(other: object) -> Mapping[str, str]:
    if not isinstance(other, Mapping):
        raise TypeError(f"Expected a mapping of header names to values, got {other!r}.")
    return other  # pyright: ignore[reportUnknownVariableType]


class UploadFile:
    """A file that came in a form.

    Args:
        file: where the content is; a `SpooledTemporaryFile` is used on the event loop as long as it
            is in memory, and so is a `BytesIO`. Everything else is used in a thread.
        size: bytes of content so far; None if not known.
        filename: as the client gave it, hence not to be trusted; of a form that was parsed it has
            no folders. None without one.
        headers: those of the part.

    Source: as Starlette 1.10, which uses a thread for a `BytesIO` too.
    """

    # Held while a thread works on the file: a task that is cancelled may be gone before.
    _lock: Lock | None = None

    def __init__(
        self,
        file: BinaryIO,
        *,
        size: int | None = None,
        filename: str | None = None,
        headers: Headers | None = None,
    ) -> None:
        self.filename = filename
        self.file = file
        self.size = size
        self.headers = headers or Headers()
        # 0 means that a spooled file never moves to disk by its size.
        self._max_mem_size: int = getattr(file, "_max_size", 0)

    @property
    def content_type(self) -> str | None:
        """The Content-Type of the part, as the client gave it; None without one."""
        return self.headers.get("content-type")

    @property
    def _in_memory(self) -> bool:
        return not getattr(self.file, "_rolled", not isinstance(self.file, BytesIO))

    def _will_roll(self, size_to_add: int) -> bool:
        """Tell whether writing this many bytes may touch the disk."""
        if not self._in_memory:
            return True
        return 0 < self._max_mem_size < self.file.tell() + size_to_add

    async def _in_thread(self, work: Callable[..., _T], *args: object) -> _T:
        if self._lock is None:
            self._lock = Lock()
        return await run_in_threadpool(_locked, self._lock, work, *args)

    async def write(self, data: bytes) -> None:
        """Write at the position where the file is; `size` grows by as much."""
        if self.size is not None:
            self.size += len(data)
        if self._will_roll(len(data)):
            await self._in_thread(self.file.write, data)
        else:
            self.file.write(data)

    async def read(self, size: int = -1) -> bytes:
        """Read at most this many bytes, all that is left for -1; b"" at the end."""
        if self._in_memory:
            return self.file.read(size)
        return await self._in_thread(self.file.read, size)

    async def seek(self, offset: int) -> None:
        """Go to a position, bytes from the start."""
        if self._in_memory:
            self.file.seek(offset)
        else:
            await self._in_thread(self.file.seek, offset)

    async def close(self) -> None:
        """Close the file, if it is not closed; a temporary one is gone then.

        Cancellation: goes on once the file is closed.
        """
        busy = self._lock is not None and self._lock.locked()
        if self._in_memory and not busy:
            self.file.close()
        elif getattr(self.file, "closed", False) is not True:
            with anyio.CancelScope(shield=True):
                await self._in_thread(self.file.close)

    def __repr__(self) -> str:
        facts = f"filename={self.filename!r}, size={self.size!r}, headers={self.headers!r}"
        return f"{type(self).__name__}({facts})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> dict[str, Any]:
        """Tell pydantic how a field of this type is validated: it has to be a file already."""
        return {"type": "function-plain", "function": {"type": "no-info", "function": _as_upload}}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, Any]:
        """Tell pydantic how a field of this type is documented."""
        return {"type": "string", "contentMediaType": "application/octet-stream"}


def _as_upload(value: object) -> UploadFile:
    if isinstance(value, UploadFile):
        return value
    raise ValueError(f"Expected UploadFile, received: {type(value)}")


def _locked(lock: Lock, work: Callable[..., _T], *args: object) -> _T:
    with lock:
        return work(*args)


class FormData(ImmutableMultiDict[str, UploadFile | str]):
    """The fields of a form, texts and files.

    Source: as Starlette 1.10.
    """

    # How many layers have it; and when it was asked for last, see `Request._passages`.
    _holders = 0
    _asked_at = 0

    def __init__(
        self,
        *args: FormData | Mapping[str, str | UploadFile] | Iterable[tuple[str, str | UploadFile]],
        **kwargs: str | UploadFile,
    ) -> None:
        super().__init__(*args, **kwargs)

    async def close(self) -> None:
        """Close every file; if one cannot be closed, the others are, then its error is raised."""
        failure: Exception | None = None
        for _, value in self._list:
            if isinstance(value, UploadFile):
                try:
                    await value.close()
                except Exception as exc:
                    failure = failure or exc
        if failure is not None:
            raise failure


class State:
    """Room for values of one's own, as attributes or as items: `app.state`, `request.state`.

    Args:
        state: the dict that holds the values, shared, not copied; without it a new one.

    Source: as Starlette 1.10.
    """

    # PERF: the shared dict is the instance's own `__dict__`, so an attribute costs what it costs
    # anywhere; a `__getattr__` in Python would be some ten times slower.
    def __init__(self, state: dict[str, Any] | None = None) -> None:
        if state is not None:
            self._state = state

    if TYPE_CHECKING:

        def __getattr__(self, key: str) -> Any: ...
        def __setattr__(self, key: str, value: Any) -> None: ...

    @property
    def _state(self) -> dict[str, Any]:
        return self.__dict__

    @_state.setter
    def _state(self, state: dict[str, Any]) -> None:
        self.__dict__ = state

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.__dict__[key] = value

    def __delitem__(self, key: str) -> None:
        del self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)
