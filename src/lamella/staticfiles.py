"""``StaticFiles``: the files of a directory, as an app to be mounted.

Floor 6. Names and behaviour as Starlette 1.10. A path is checked by its components before the disk
is touched, and what it leads to is checked again after links are resolved. Every file has one URL,
and everything outside of the directories answers as if it were not there. All work on the disk is
done in threads; ``FileResponse`` sends the file.
"""

from __future__ import annotations

import errno
import importlib.util
import mimetypes
import os
import re
import stat
from collections.abc import Coroutine, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from lamella._endpoint import Endpoint
from lamella._paths import get_route_path
from lamella._ranges import NOT_MODIFIED_HEADERS, not_modified
from lamella._url import location_of
from lamella.concurrency import run_in_threadpool
from lamella.datastructures import Headers
from lamella.engine.service import Service
from lamella.exceptions import HTTPException, UsageError
from lamella.responses import FileResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamella.requests import Request
    from lamella.types import Receive, Scope, Send

__all__ = ["NotModifiedResponse", "PathLike", "StaticFiles"]

PathLike = str | os.PathLike[str]

_METHODS: Final = ("GET", "HEAD")
_INDEX: Final = "index.html"
_NOT_FOUND: Final = "404.html"
_WINDOWS: Final = os.name == "nt"

# What a file system says of a name that none of its files can have.
_NO_SUCH_NAME: Final = frozenset((errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL))

_UNSAFE: Final = frozenset("/\\\0")

# Windows opens a device for these, whatever follows the first dot, and in every directory.
_is_device = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\..*)?", re.IGNORECASE
).fullmatch


class NotModifiedResponse(Response):
    """304, with those of a response's headers that a 304 may have (RFC 9110 section 15.4.5)."""

    NOT_MODIFIED_HEADERS = tuple(sorted(NOT_MODIFIED_HEADERS))

    def __init__(self, headers: Mapping[str, str]) -> None:
        names = self.NOT_MODIFIED_HEADERS
        kept = {name: value for name, value in headers.items() if name in names}
        super().__init__(status_code=304, headers=kept)


class _Found(NamedTuple):
    """A file that is there: where, what the disk says of it, and whether it is a folder's index."""

    path: str
    stat: os.stat_result
    is_index: bool


class StaticFiles(Service):
    """Serves files: ``Mount("/static", StaticFiles(directory="static"), name="static")``.

    GET and HEAD, with entity tags, conditions and ranges. What is not a regular file, or lies
    outside, is a 404. Any method may be overridden.

    Args:
        directory: where the files are; or several, of which the first that has a file gives it.
        packages: Python packages that bring files: the name of one with a folder `statics`, or
            that name and the folder's.
        html: whether a directory is answered with its `index.html`, and a miss with `404.html`.
        check_dir: whether the directory has to be there already.
        follow_symlink: whether links that lead out of the directory are followed.

    Attributes:
        all_directories: the directories, and after them those of the packages.
        config_checked: whether `check_config` has run, as it does before the first request.

    Raises:
        RuntimeError: a directory that is not there, when this is made or at the first request.
        UsageError: a package, or the folder in it, that is not there.

    Source: as Starlette 1.10, which takes one directory.
    """

    def __init__(
        self,
        *,
        directory: PathLike | Sequence[PathLike] | None = None,
        packages: list[str | tuple[str, str]] | None = None,
        html: bool = False,
        check_dir: bool = True,
        follow_symlink: bool = False,
    ) -> None:
        self.directory = directory
        self.packages = packages
        self.all_directories = self.get_directories(directory, packages)
        self.html = html
        self.config_checked = False
        self.follow_symlink = follow_symlink
        # What it raises goes on to whoever it is mounted in, as Starlette's does.
        self._endpoint = Endpoint(self._answer, handles=False)
        self._endpoint.func = cast("Any", self.get_response)  # what an error names
        for each in _several(directory) if check_dir else ():
            if not Path(each).is_dir():
                raise RuntimeError(_missing(each))
        if not mimetypes.inited:
            mimetypes.init()  # it reads files, so not during a request

    def get_directories(
        self,
        directory: PathLike | Sequence[PathLike] | None = None,
        packages: list[str | tuple[str, str]] | None = None,
    ) -> list[PathLike]:
        """All directories to look in, in that order; the arguments are those of the class."""
        return [*_several(directory), *(_statics_of(package) for package in packages or ())]

    # -- the faces -----------------------------------------------------------------------------

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face: `get_response` for the path of the request."""
        return self._endpoint.respond(request)

    async def _answer(self, request: Request[Any]) -> Response:
        if not self.config_checked:
            await self.check_config()
            self.config_checked = True
        scope = request.scope
        return await self.get_response(self.get_path(scope), scope)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a websocket."""
        if scope["type"] != "websocket":
            await super().connect(scope, receive, send)
        await send({"type": "websocket.close", "code": 1000, "reason": ""})

    async def check_config(self) -> None:
        """See that the directories are there, before the first request is answered.

        Raises:
            RuntimeError: one is not, so every answer would be a 404.
        """
        for directory in _several(self.directory):
            try:
                found = await run_in_threadpool(os.stat, directory)
            except FileNotFoundError:
                raise RuntimeError(_missing(directory)) from None
            if not stat.S_ISDIR(found.st_mode):
                raise RuntimeError(
                    f"Expected a directory for StaticFiles, but '{os.fspath(directory)}' is not a"
                    " directory."
                )

    # -- from a request to a file --------------------------------------------------------------

    def get_path(self, scope: Scope) -> str:
        """The path to look up, relative to the directories, with the system's separators.

        "." is the directory itself. A path with empty, "." or ".." segments is no file's URL; it
        is given as one that leads out, which is not found.
        """
        return relative(get_route_path(scope))

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer for a path that `get_path` gave, or another one to be served instead.

        Raises:
            HTTPException: 404 without such a file, 401 for one that may not be read, 405 for a
                method other than GET and HEAD.
        """
        if scope["method"] not in _METHODS:
            raise HTTPException(status_code=405, headers={"Allow": ", ".join(_METHODS)})
        found = await self._found(path, scope)
        if found is not None:
            return self._response_of(found, scope)
        page = await run_in_threadpool(self._find, _NOT_FOUND) if self.html else None
        if page is not None:
            return FileResponse(page.path, stat_result=page.stat, status_code=404)
        raise HTTPException(status_code=404)

    async def _found(self, path: str, scope: Scope) -> _Found | None:
        found = await run_in_threadpool(self._find, path)
        if found is None or found.is_index or not _as_directory(scope.get("path", ""), path):
            return found
        return None

    def _response_of(self, found: _Found, scope: Scope) -> Response:
        asked: str = scope.get("path", "")
        if found.is_index and not asked.endswith("/"):
            # So that relative links in it work.
            return RedirectResponse(location_of(asked + "/", scope.get("query_string", b"")))
        return self.file_response(found.path, found.stat, scope)

    def _find(self, path: str) -> _Found | None:
        """Look a file up, in a thread: a regular one that may be read, or nothing."""
        try:
            full_path, found = self.lookup_path(path)
            is_index = found is not None and self.html and stat.S_ISDIR(found.st_mode)
            if is_index:
                full_path, found = self.lookup_path(os.path.join(path, _INDEX))  # noqa: PTH118
        except PermissionError:
            raise HTTPException(status_code=401) from None
        except ValueError:
            return None  # a name that cannot be encoded
        except OSError as exc:
            if exc.errno in _NO_SUCH_NAME:
                return None
            raise
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        if not os.access(full_path, os.R_OK):
            raise HTTPException(status_code=401)
        return _Found(full_path, found, is_index)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Find what a path leads to, in the first directory that has it. Called in a thread.

        Args:
            path: relative, with the system's separators; "." in front does no harm.

        Returns:
            The full path and what `os.stat` says of it; "" and None if there is nothing, and if
            it lies outside of the directory.
        """
        if not _is_inside(path):
            return "", None
        for directory in self.all_directories:
            full_path, root = os.path.join(directory, path), os.fspath(directory)  # noqa: PTH118
            if self.follow_symlink:
                full_path, root = os.path.abspath(full_path), os.path.abspath(root)  # noqa: PTH100
            else:
                full_path, root = os.path.realpath(full_path), os.path.realpath(root)
            if not PurePath(full_path).is_relative_to(root):
                continue
            try:
                return full_path, os.stat(full_path)  # noqa: PTH116
            except (FileNotFoundError, NotADirectoryError):
                continue
        return "", None

    # -- from a file to a response -------------------------------------------------------------

    def file_response(
        self,
        full_path: PathLike,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, or with 304 where `is_not_modified` says so.

        Args:
            full_path: of the file.
            stat_result: what `os.stat` says of it.
            scope: of the request, for its conditions and ranges.
            status_code: the HTTP status; conditions count for 200 alone (RFC 9110 section 13.2.1).
        """
        response = FileResponse(full_path, status_code=status_code, stat_result=stat_result)
        response._conditions = False  # `is_not_modified` has decided
        if status_code == 200 and self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    def is_not_modified(
        self, response_headers: Mapping[str, str], request_headers: Mapping[str, str]
    ) -> bool:
        """Whether the client's copy is still good (RFC 9110 sections 13.1.2 and 13.1.3)."""
        return not_modified(
            request_headers.get("if-none-match"),
            request_headers.get("if-modified-since"),
            response_headers.get("etag"),
            response_headers.get("last-modified"),
        )


def _several(directory: PathLike | Sequence[PathLike] | None) -> Sequence[PathLike]:
    if directory is None:
        return ()
    return (directory,) if isinstance(directory, str | os.PathLike) else directory


def _missing(directory: PathLike) -> str:
    return (
        f"Expected a directory for StaticFiles, but '{os.fspath(directory)}' does not exist;"
        " make it, or give the right path, which counts from the working directory."
    )


def _statics_of(package: str | tuple[str, str]) -> str:
    """The folder of a package that has its files."""
    name, folder = package if isinstance(package, tuple) else (package, "statics")
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise UsageError(f"Expected an installed package, but {name!r} could not be found.")
    directory = os.path.normpath(Path(spec.origin).parent / folder)
    if not Path(directory).is_dir():
        raise UsageError(f"Directory {folder!r} in package {name!r} could not be found.")
    return directory


def relative(path: str) -> str:
    """A path of a URL as `StaticFiles.get_path` gives it."""
    names = path.split("/")
    if names[0] == "":
        del names[0]
    if names and names[-1] == "":
        del names[-1]
    if not all(map(_is_plain, names)):
        names.insert(0, os.pardir)
    return os.sep.join(names) or os.curdir  # noqa: PTH118 - a Path would drop what is odd


def _as_directory(asked: str, path: str) -> bool:
    """Whether a URL has a slash after this very path; a path served instead has none."""
    return asked.endswith("/" + path.replace(os.sep, "/") + "/")


def _is_inside(path: str) -> bool:
    """Whether a path goes down from where it starts, as far as one can tell without the disk."""
    first, *names = path.replace(os.sep, "/").split("/")
    return (first == os.curdir or _is_plain(first) or path == "") and all(map(_is_plain, names))


def _is_plain(name: str, *, windows: bool = _WINDOWS) -> bool:
    """Whether a segment of a path can only be the name of something in a directory.

    Args:
        name: one segment. A backslash in it is refused everywhere: it separates names somewhere.
        windows: whether the rules of Windows apply: there a colon names a drive or a stream,
            blanks and dots at the end are dropped, and some names are those of devices.
    """
    if name in {"", os.curdir, os.pardir} or not _UNSAFE.isdisjoint(name):
        return False
    return not windows or not (":" in name or name[-1] in ". " or _is_device(name))
