"""A frontend: the files that a build tool made, served where no route of the program's is.

Floor 6. Behaviour as FastAPI 0.165. A ``Frontend`` answers below a path; ``Frontends`` is what a
router has for its default, so that each route, and each redirect to one, comes first.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from lamella._endpoint import Endpoint
from lamella._paths import get_route_path
from lamella.concurrency import run_in_threadpool
from lamella.datastructures import Headers
from lamella.engine.service import Service
from lamella.engine.stack import link
from lamella.exceptions import HTTPException, UsageError
from lamella.staticfiles import PathLike, StaticFiles, relative

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from lamella.engine.service import Respond
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.types import ASGIApp, Receive, Scope, Send

__all__ = ["Fallback", "Frontend", "FrontendFiles", "Frontends", "frontend"]

Fallback = Literal["auto", "index.html", "404.html"] | None

_FALLBACKS: Final = ("auto", "index.html", "404.html", None)
_INDEX: Final = "index.html"
_NOT_FOUND: Final = "404.html"
_METHODS: Final = ("GET", "HEAD")
_PAGES: Final = frozenset(("text/html", "application/xhtml+xml"))
_ENVIRONMENT: Final = "LAMELLA_ENV"


class FrontendFiles(StaticFiles):
    """The files of a frontend.

    A directory is answered with its ``index.html``. What is missing gets the fallback: "404.html"
    as a 404, "index.html" as a 200, for pages that are made in the browser, and only if a page is
    asked for. "auto" takes the first of these that is there. None: a plain 404.

    Args:
        directory: where they are.
        fallback: see above.
        check_dir: whether the directory, and the fallback that is named, have to be there already.

    Raises:
        UsageError: another fallback.
        RuntimeError: the directory or the fallback is not there.
    """

    def __init__(self, directory: PathLike, *, fallback: Fallback, check_dir: bool) -> None:
        if fallback not in _FALLBACKS:
            raise UsageError(
                "Expected the fallback of a frontend to be 'auto', 'index.html', '404.html' or"
                f" None, got {fallback!r}."
            )
        self.fallback = fallback
        if check_dir and not Path(directory).is_dir():
            raise RuntimeError(_missing(directory))
        super().__init__(directory=directory, html=True, check_dir=False)
        if check_dir and fallback in (_INDEX, _NOT_FOUND):
            self._fallback(is_page=True)

    async def answer(self, path: str, scope: Scope) -> Response:
        """Answer for a path of a URL below that of the frontend."""
        if not self.config_checked:
            await self.check_config()
            self.config_checked = True
        return await self.get_response(relative(path), scope)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """As that of ``StaticFiles``; 405 for files alone, since nothing else has a method."""
        found = await self._found(path, scope)
        if scope["method"] not in _METHODS:
            if found is None:
                raise HTTPException(status_code=404)
            raise HTTPException(status_code=405, headers={"Allow": ", ".join(_METHODS)})
        if found is not None:
            return self._response_of(found, scope)
        page = await run_in_threadpool(self._fallback, is_page=_wants_page(scope))
        if page is None:
            raise HTTPException(status_code=404)
        return self.file_response(page.path, page.stat, scope, page.status)

    def _fallback(self, *, is_page: bool) -> _Page | None:
        """Look up what is sent for what is missing, in a thread.

        Args:
            is_page: whether a page is asked for.
        """
        for name, status, is_wanted in ((_NOT_FOUND, 404, True), (_INDEX, 200, is_page)):
            if not is_wanted or self.fallback not in ("auto", name):
                continue
            found = self._find(name)
            if found is not None:
                return _Page(found.path, found.stat, status)
            if self.fallback == name:
                place = os.path.realpath(str(self.directory))
                raise RuntimeError(
                    f"Expected the fallback file '{name}' in directory '{self.directory}'"
                    f" ({place}), but it does not exist; build the frontend, or choose another"
                    " fallback."
                )
        return None


class _Page(NamedTuple):
    """A fallback: where it is, what the disk says of it, and the status that it goes out with."""

    path: str
    stat: os.stat_result
    status: int


class Frontend(Service):
    """A frontend below a path.

    Args:
        path: without a slash at its end: "" or "/app".
        files: what is served.
    """

    def __init__(self, path: str, files: FrontendFiles) -> None:
        self.path = path
        self.files = files
        self._endpoint = Endpoint(self.answer, handles=False)

    @property
    def path_format(self) -> str:
        """The path as traces show it."""
        return self.path + "/{path}"

    def below(self, prefix: str) -> Frontend:
        """The same frontend further down, for a router that is included with a prefix."""
        return Frontend(prefix + self.path, self.files)

    def covers(self, route_path: str) -> bool:
        """Whether a path is this one's or below it."""
        return route_path == self.path or route_path.startswith(self.path + "/")

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face."""
        return self._endpoint.respond(request)

    async def answer(self, request: Request[Any]) -> Response:
        """The file of a request, before it is anybody's response."""
        scope = request.scope
        return await self.files.answer(get_route_path(scope)[len(self.path) :], scope)


class Frontends(Service):
    """What a router does with what none of its routes matches.

    The frontend with the longest path that fits serves it, of equal ones the first.

    Args:
        default: what serves the rest, and websockets.
    """

    def __init__(self, default: ASGIApp) -> None:
        self.default = default
        self._served: list[tuple[Frontend, Respond]] = []

    def add(self, frontend: Frontend, respond: Respond | None = None) -> None:
        """Serve a frontend.

        Args:
            frontend: what is served.
            respond: what answers, with dependencies around the frontend's own; that without it.
        """
        self._served.append((frontend, respond or frontend.respond))
        self._served.sort(key=lambda served: -len(served[0].path))

    def __iter__(self) -> Iterator[Frontend]:
        return (frontend for frontend, _ in self._served)

    def respond(self, request: Request[Any]) -> Coroutine[Any, Any, Response]:
        """The service face."""
        scope = request.scope
        path = get_route_path(scope)
        for frontend, respond in self._served:
            if frontend.covers(path):
                scope["route"] = frontend
                return respond(request)
        return link(self.default)(request)

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Frontends have no websockets."""
        await self.default(scope, receive, send)


def frontend(
    path: str,
    *,
    directory: PathLike,
    fallback: Fallback = "auto",
    check_dir: bool | Literal["auto"] = "auto",
    stacklevel: int = 1,
) -> Frontend:
    """What ``app.frontend(...)`` and ``router.frontend(...)`` declare.

    Args:
        path: starts with "/".
        directory: where the files are.
        fallback: what is sent for what is missing; see ``FrontendFiles``.
        check_dir: whether the directory, and a fallback that is named, have to be there already;
            "auto": unless the environment variable ``LAMELLA_ENV`` is "development", where a
            directory that is missing is warned of.
        stacklevel: whose line that warning names: 1 for the caller's, 2 for the one above, as in
            the module `warnings`.

    Raises:
        UsageError: a path or a fallback that cannot work.
        RuntimeError: the directory or the fallback is not there.

    Source: as FastAPI 0.165, whose variable is ``FASTAPI_ENV``.
    """
    if not path.startswith("/"):
        raise UsageError(f"Expected the path of a frontend to start with '/', got {path!r}.")
    if check_dir == "auto":
        check_dir = os.environ.get(_ENVIRONMENT) != "development"
        if not check_dir and not Path(directory).is_dir():
            warnings.warn(_missing(directory), stacklevel=stacklevel + 1)
    files = FrontendFiles(directory, fallback=fallback, check_dir=check_dir)
    return Frontend(path.rstrip("/"), files)


def _missing(directory: PathLike) -> str:
    place = os.path.realpath(directory)
    return (
        f"Expected a frontend in directory '{os.fspath(directory)}' ({place}), but it does not"
        " exist; build it, or give check_dir=False."
    )


def _wants_page(scope: Scope) -> bool:
    """Whether a request is a browser's for a page, and not for a script, an image or data."""
    accept = ",".join(Headers(scope=scope).getlist("accept"))
    return any(
        part.partition(";")[0].strip().lower() in _PAGES and not _is_refused(part)
        for part in accept.split(",")
    )


def _is_refused(part: str) -> bool:
    """Whether a media range has the weight zero (RFC 9110 section 12.4.2)."""
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return value.strip().rstrip("0") in ("", "0.") and "0" in value
    return False
