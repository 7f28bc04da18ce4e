"""The routes of the document and of the pages that show it: Swagger UI, ReDoc and Scalar.

Floor 7. Paths, names of routes and options as FastAPI 0.165, ``/scalar`` added. What the pages load
comes from the ``docs`` extra, below the page's own path, and never from elsewhere. No page has a
script or a style in itself, so that they work under a policy that forbids both.
"""

from __future__ import annotations

import functools
import hashlib
import html
import inspect
from typing import TYPE_CHECKING, Any, Final, Protocol

from lamella._ranges import not_modified
from lamella._url import location_of
from lamella.concurrency import run_in_threadpool
from lamella.exceptions import HTTPException
from lamella.openapi._assets import find_assets
from lamella.openapi._policy import connections, pictures, policy
from lamella.openapi.docs import FAVICON, page, safe_json, swagger_call, swagger_options
from lamella.responses import FileResponse, HTMLResponse, JSONResponse, Response
from lamella.routing import Route
from lamella.staticfiles import NotModifiedResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from lamella.requests import Request
    from lamella.routing import BaseRoute

__all__ = ["Documented", "docs_routes"]

_KEPT: Final = 8  # root paths whose document is kept as bytes; a client may be able to choose them
_FOREVER: Final = "public, max-age=31536000, immutable"
# Nothing from elsewhere: no fonts, no telemetry, no assistants, no links to a service.
_SCALAR: Final = {
    "withDefaultFonts": False,
    "telemetry": False,
    "agent": {"disabled": True},
    "mcp": {"disabled": True},
    "hideClientButton": True,
    "showDeveloperTools": "never",
}


class Documented(Protocol):
    """An application with a document, as the pages see it. A path that is None or "" is off."""

    @property
    def title(self) -> str:
        """The name of the API."""
        ...

    @property
    def openapi_url(self) -> str | None:
        """The path of the document; without it there are no pages."""
        ...

    @property
    def docs_url(self) -> str | None:
        """The path of Swagger UI."""
        ...

    @property
    def redoc_url(self) -> str | None:
        """The path of ReDoc."""
        ...

    @property
    def scalar_url(self) -> str | None:
        """The path of Scalar."""
        ...

    @property
    def swagger_ui_oauth2_redirect_url(self) -> str | None:
        """The path that OAuth2 servers send back to."""
        ...

    @property
    def swagger_ui_init_oauth(self) -> Mapping[str, Any] | None:
        """Options of Swagger UI's ``initOAuth``."""
        ...

    @property
    def swagger_ui_parameters(self) -> Mapping[str, Any] | None:
        """Options of Swagger UI."""
        ...

    @property
    def root_path_in_servers(self) -> bool:
        """Whether the document names the root path as a server."""
        ...

    @property
    def openapi(self) -> Callable[[], dict[str, Any] | Awaitable[dict[str, Any]]]:
        """The document; the same dict as long as nothing in it has changed."""
        ...


def docs_routes(app: Documented) -> list[BaseRoute]:
    """Make the routes of an application's document and pages.

    Args:
        app: its paths count now; all else is read when a request comes.

    Returns:
        One for each path that is set, and one for the files of each page. They are named
        ``openapi``, ``swagger_ui_html``, ``swagger_ui_redirect``, ``redoc_html``, ``scalar_html``.
    """
    if not app.openapi_url:
        return []
    pages = _Pages(app)
    routes = [_route(app.openapi_url, pages.document, "openapi")]
    if app.docs_url:
        routes += _page_routes(app.docs_url, pages.swagger_ui, "swagger_ui_html")
        if app.swagger_ui_oauth2_redirect_url:
            path = app.swagger_ui_oauth2_redirect_url
            routes.append(_route(path, pages.oauth2_redirect, "swagger_ui_redirect"))
    if app.redoc_url:
        routes += _page_routes(app.redoc_url, pages.redoc, "redoc_html")
    if app.scalar_url:
        routes += _page_routes(app.scalar_url, pages.scalar, "scalar_html")
    return routes


def _page_routes(
    path: str, endpoint: Callable[[Request[Any]], Awaitable[Response]], name: str
) -> list[BaseRoute]:
    assets = _below(path, "assets/{digest}/{name}")
    return [_route(path, endpoint, name), _route(assets, _asset, f"{name}_assets")]


def _route(
    path: str, endpoint: Callable[[Request[Any]], Awaitable[Response]], name: str
) -> BaseRoute:
    return Route(path, endpoint, name=name, include_in_schema=False)


def _below(path: str, more: str) -> str:
    return f"{path.rstrip('/')}/{more}"


# -- the document ----------------------------------------------------------------------------------


class _Published:
    """A document as it is sent, and what the pages may do for it.

    Args:
        document: held on to, since it is told by its identity whether it still is the one.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._bodies: dict[str, tuple[bytes, str]] = {}

    @functools.cached_property
    def connect(self) -> set[str]:
        """The origins that requests may go to."""
        return connections(self.document)

    @functools.cached_property
    def images(self) -> set[str]:
        """The origins of pictures."""
        return pictures(self.document)

    def body(self, root_path: str) -> tuple[bytes, str]:
        """The document as bytes and its entity tag, with the root path, if any, as a server."""
        kept = self._bodies.get(root_path)
        if kept is None:
            body = bytes(JSONResponse(_with_server(self.document, root_path)).body)
            kept = body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            if len(self._bodies) >= _KEPT:
                self._bodies.clear()
            self._bodies[root_path] = kept
        return kept


def _with_server(document: dict[str, Any], root_path: str) -> dict[str, Any]:
    servers: list[dict[str, Any]] = document.get("servers", [])
    if not root_path or any(server.get("url") == root_path for server in servers):
        return document
    return {**document, "servers": [{"url": root_path}, *servers]}


def _root_path(request: Request[Any]) -> str:
    """The root path as it stands in a URL: no text of it leads to another host or scheme."""
    root_path: str = request.scope.get("root_path", "").rstrip("/")
    if root_path and not root_path.startswith("/"):
        root_path = f"/{root_path}"
    return location_of(root_path)


# -- the pages -------------------------------------------------------------------------------------


class _Pages:
    """The endpoints."""

    def __init__(self, app: Documented) -> None:
        self._app = app
        self._published: _Published | None = None

    async def document(self, request: Request[Any]) -> Response:
        """The document, or 304."""
        published = await self._publish()
        in_servers = self._app.root_path_in_servers
        body, etag = published.body(_root_path(request) if in_servers else "")
        headers = {"cache-control": "no-cache", "etag": etag}
        if not_modified(request.headers.get("if-none-match"), None, etag, None):
            return NotModifiedResponse(headers)
        return Response(body, headers=headers, media_type="application/json")

    async def _publish(self) -> _Published:
        found = self._app.openapi()
        document = await found if inspect.isawaitable(found) else found
        published = self._published
        if published is None or published.document is not document:
            self._published = published = _Published(document)
        return published

    async def swagger_ui(self, request: Request[Any]) -> Response:
        """Swagger UI."""
        app, url = self._app, self._document_url(request)
        files = await _files_url(request, app.docs_url)
        redirect = app.swagger_ui_oauth2_redirect_url
        redirect = f"{_root_path(request)}{redirect}" if redirect else None
        oauth, given = app.swagger_ui_init_oauth, app.swagger_ui_parameters
        options = {"url": url, **swagger_options(given)}
        settings = {"options": options, "oauth2RedirectPath": redirect, "oauth": oauth}
        return await self._page(
            request,
            "Swagger UI",
            files,
            head=f'<link rel="stylesheet" href="{files}/swagger-ui-dist.css">',
            body=f"""<div id="swagger-ui"></div>
<script type="application/json" id="settings">{safe_json(settings)}</script>
<script src="{files}/swagger-ui-dist.js"></script>
<!-- What swagger-ui-start.js does with the settings:
{swagger_call(url, redirect, oauth, given)}
-->
<script src="{files}/swagger-ui-start.js"></script>""",
            options=options,
        )

    async def redoc(self, request: Request[Any]) -> Response:
        """ReDoc."""
        files = await _files_url(request, self._app.redoc_url)
        url = html.escape(self._document_url(request))
        return await self._page(
            request,
            "ReDoc",
            files,
            head=f'<link rel="stylesheet" href="{files}/page.css">',
            body=f"""<noscript>ReDoc needs JavaScript.</noscript>
<redoc spec-url="{url}" disable-telemetry="true"></redoc>
<script src="{files}/styles.js"></script>
<script src="{files}/redoc-start.js"></script>
<script type="module" src="{files}/redoc.js"></script>""",
            style_attributes=True,
        )

    async def scalar(self, request: Request[Any]) -> Response:
        """Scalar."""
        files = await _files_url(request, self._app.scalar_url)
        options = html.escape(safe_json({"url": self._document_url(request), **_SCALAR}))
        return await self._page(
            request,
            "Scalar",
            files,
            head=f'<link rel="stylesheet" href="{files}/page.css">',
            body=f"""<noscript>Scalar needs JavaScript.</noscript>
<script src="{files}/styles.js"></script>
<script id="api-reference" data-configuration="{options}"></script>
<script src="{files}/scalar.js"></script>""",
            style_attributes=True,
        )

    async def oauth2_redirect(self, request: Request[Any]) -> Response:
        """The page that OAuth2 servers send back to."""
        files = await _files_url(request, self._app.docs_url)
        if files is None:
            return self._without_files(request, "Swagger UI")
        body = f"""<!-- It tells window.opener.swaggerUIRedirectOauth2 what the server says. -->
<script src="{files}/oauth2-redirect.js"></script>"""
        text = page("Swagger UI: OAuth2 Redirect", f"{files}/icon.svg", body=body)
        return HTMLResponse(text, headers={"content-security-policy": policy()})

    async def _page(
        self,
        request: Request[Any],
        kind: str,
        files: str | None,
        *,
        head: str,
        body: str,
        options: object = None,
        style_attributes: bool = False,
    ) -> Response:
        if files is None:
            return self._without_files(request, kind)
        published = await self._publish()
        allowed = policy(
            connect=published.connect | connections({}, options),
            images=published.images,
            style_attributes=style_attributes,
        )
        text = page(f"{self._app.title} - {kind}", f"{files}/icon.svg", head=head, body=body)
        return HTMLResponse(text, headers={"content-security-policy": allowed})

    def _without_files(self, request: Request[Any], kind: str) -> Response:
        url = html.escape(self._document_url(request))
        body = f"""<h1>{kind} is not installed</h1>
<p>It comes with an extra of lamella. Where the server runs:</p>
<pre>pip install "lamella[docs]"</pre>
<p>The document that it would show: <a href="{url}">{url}</a></p>"""
        text = page(f"{self._app.title} - {kind}", FAVICON, body=body)
        headers = {"cache-control": "no-store", "content-security-policy": policy()}
        # Not 503: waiting and asking again does not help.
        return HTMLResponse(text, status_code=501, headers=headers)

    def _document_url(self, request: Request[Any]) -> str:
        return f"{_root_path(request)}{self._app.openapi_url}"


async def _files_url(request: Request[Any], path: str | None) -> str | None:
    """The URL that the files of a page are below, as HTML; None if they are not there."""
    assets = await run_in_threadpool(find_assets)
    if assets is None:
        return None
    return html.escape(_root_path(request) + _below(path or "", f"assets/{assets.digest}"))


async def _asset(request: Request[Any]) -> Response:
    """One of the files. It may be kept for ever where the URL names its content rightly."""
    assets = await run_in_threadpool(find_assets)
    path = assets.paths.get(request.path_params["name"]) if assets else None
    if assets is None or path is None:
        raise HTTPException(404)
    is_exact = request.path_params["digest"] == assets.digest
    return FileResponse(path, headers={"cache-control": _FOREVER if is_exact else "no-cache"})
