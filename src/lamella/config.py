"""Settings from the environment and from a file.

Floor 0. Names and behaviour as Starlette 1.10. An error tells the name of a setting, where it was
found and what was expected, and never its value, which may be a secret.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from lamella.exceptions import EnvironError

__all__ = ["Config", "Environ", "EnvironError", "environ", "undefined"]

T = TypeVar("T")

_BOOLS: Final = {"true": True, "1": True, "false": False, "0": False}


class undefined:  # noqa: N801 - Starlette's name
    """What a default is that was not given."""


class Environ(MutableMapping[str, str]):
    """The environment, in which nothing can be set any more that was read already.

    Args:
        environ: what it stands for.

    Raises:
        EnvironError: what was read, or asked for by `in`, is set or deleted.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._read: set[str] = set()

    def __getitem__(self, key: str) -> str:
        self._read.add(key)
        return self._environ[key]

    def __setitem__(self, key: str, value: str) -> None:
        self._check_unread(key, "set")
        self._environ[key] = value

    def __delitem__(self, key: str) -> None:
        self._check_unread(key, "delete")
        del self._environ[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def _check_unread(self, key: str, verb: str) -> None:
        if key in self._read:
            raise EnvironError(
                f"Expected to {verb} environ[{key!r}] before it is read, but it has been read"
                f" already; {verb} it before the settings are imported."
            )


environ: Final = Environ()
"""The process's own environment."""


class Config:
    """Looks settings up: in the environment, then in a file, then the default.

    Args:
        env_file: lines `KEY=value`; blank ones and those that begin with `#` do not count, and one
            pair of quotes around a value is dropped. A file that is not there is a warning.
        environ: what counts as the environment.
        env_prefix: put before every key.
        encoding: of the file.
    """

    def __init__(
        self,
        env_file: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] = environ,
        env_prefix: str = "",
        encoding: str = "utf-8",
    ) -> None:
        self.environ = environ
        self.env_prefix = env_prefix
        self.file_values: dict[str, str] = {}
        self._env_file = env_file
        if env_file is None:
            return
        if Path(env_file).is_file():
            self.file_values = _read_file(Path(env_file), encoding)
        else:
            warnings.warn(f"Config file '{os.fspath(env_file)}' not found.", stacklevel=2)

    @overload
    def __call__(self, key: str, *, default: None) -> str | None: ...
    @overload
    def __call__(self, key: str, cast: type[T], default: T = ...) -> T: ...
    @overload
    def __call__(self, key: str, cast: type[str] = ..., default: str = ...) -> str: ...
    @overload
    def __call__(self, key: str, cast: Callable[[Any], T], default: Any = ...) -> T: ...
    @overload
    def __call__(self, key: str, cast: type[str] = ..., default: T = ...) -> T | str: ...
    def __call__(
        self, key: str, cast: Callable[[Any], Any] | None = None, default: Any = undefined
    ) -> Any:
        """The same as `get`."""
        return self.get(key, cast, default)

    def get(
        self, key: str, cast: Callable[[Any], Any] | None = None, default: Any = undefined
    ) -> Any:
        """Look a setting up.

        Args:
            key: its name, without the prefix.
            cast: makes a value of the text, and of the default unless that is None; `bool` takes
                true, false, 1 and 0 in upper or lower case.
            default: for a setting that is nowhere.

        Raises:
            KeyError: it is nowhere, and there is no default.
            ValueError: `cast` does not take it.
        """
        key = self.env_prefix + key
        if key in self.environ:
            return _cast(key, self.environ[key], cast, "the environment")
        if key in self.file_values:
            return _cast(key, self.file_values[key], cast, f"'{self._env_file}'")
        if default is undefined:
            places = "the environment"
            if self._env_file is not None:
                places += f" or in '{self._env_file}'"
            raise KeyError(f"Config {key!r} is missing, and has no default; set it in {places}.")
        return _cast(key, default, cast, "its default")


def _read_file(path: Path, encoding: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in path.read_text(encoding).split("\n"):
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            values[key.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] in "\"'" and value[0] == value[-1]
    return value[1:-1] if quoted else value


def _cast(key: str, value: Any, cast: Callable[[Any], Any] | None, place: str) -> Any:
    if cast is None or value is None:
        return value
    if cast is bool and isinstance(value, str):
        if value.lower() not in _BOOLS:
            raise ValueError(
                f"Config {key!r} in {place} is not a valid bool; write true, false, 1 or 0."
            )
        return _BOOLS[value.lower()]
    try:
        return cast(value)
    except (TypeError, ValueError):
        # Neither the value nor the error of `cast`, which tends to repeat it.
        name = getattr(cast, "__name__", None) or repr(type(cast).__name__)
        raise ValueError(f"Config {key!r} in {place} is not a valid {name}.") from None
