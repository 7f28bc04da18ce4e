"""The pages of Swagger UI, ReDoc and Scalar, as HTML.

Floor 7. Names, options and defaults as FastAPI 0.165, Scalar added. These functions are for pages
of one's own: they load what they are told to, from a CDN unless told otherwise, and start it by a
script in the page. The built-in pages of ``ui`` do neither.
"""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any, Final

from lamella.encoders import jsonable_encoder
from lamella.openapi._assets import own_text
from lamella.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "get_redoc_html",
    "get_scalar_html",
    "get_swagger_ui_html",
    "get_swagger_ui_oauth2_redirect_html",
    "swagger_ui_default_parameters",
]

swagger_ui_default_parameters: dict[str, Any] = {
    "dom_id": "#swagger-ui",
    "layout": "BaseLayout",
    "deepLinking": True,
    "showExtensions": True,
    "showCommonExtensions": True,
}
"""The options of Swagger UI where nothing else is said. Source: as FastAPI 0.165."""

FAVICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E"
    "%3Cpath fill=%22%230b5cad%22 d=%22M1 2h14v3H1zm0 4.5h14v3H1zM1 11h9v3H1z%22/%3E%3C/svg%3E"
)
"""The icon of every page, in itself."""

_CDN: Final = "https://cdn.jsdelivr.net/npm"
_FONTS: Final = "https://fonts.googleapis.com/css?family=Montserrat:300,400,700|Roboto:300,400,700"


def get_swagger_ui_html(
    *,
    openapi_url: str,
    title: str,
    swagger_js_url: str = f"{_CDN}/swagger-ui-dist@5/swagger-ui-bundle.js",
    swagger_css_url: str = f"{_CDN}/swagger-ui-dist@5/swagger-ui.css",
    swagger_favicon_url: str = FAVICON,
    oauth2_redirect_url: str | None = None,
    init_oauth: Mapping[str, Any] | None = None,
    swagger_ui_parameters: Mapping[str, Any] | None = None,
) -> HTMLResponse:
    """Make a page that shows a document in Swagger UI.

    Args:
        openapi_url: of the document.
        title: of the page.
        swagger_js_url: of Swagger UI's script.
        swagger_css_url: of its stylesheet.
        swagger_favicon_url: of the page's icon.
        oauth2_redirect_url: the path, on the page's own host, that an OAuth2 server sends back to.
        init_oauth: options of ``initOAuth``: client id, scopes and so on.
        swagger_ui_parameters: options of Swagger UI, over ``swagger_ui_default_parameters``. What
            ``jsonable_encoder`` takes: functions are not.

    Source: as FastAPI 0.165, which does not escape the title and the URLs.
    """
    call = swagger_call(openapi_url, oauth2_redirect_url, init_oauth, swagger_ui_parameters)
    return HTMLResponse(
        page(
            title,
            swagger_favicon_url,
            head=f'<link rel="stylesheet" href="{_attribute(swagger_css_url)}">',
            body=f"""<div id="swagger-ui"></div>
<script src="{_attribute(swagger_js_url)}"></script>
<script>
{call}
</script>""",
        )
    )


def get_redoc_html(
    *,
    openapi_url: str,
    title: str,
    redoc_js_url: str = f"{_CDN}/redoc@2/bundles/redoc.standalone.js",
    redoc_favicon_url: str = FAVICON,
    with_google_fonts: bool = True,
) -> HTMLResponse:
    """Make a page that shows a document in ReDoc.

    Args:
        openapi_url: of the document.
        title: of the page.
        redoc_js_url: of ReDoc's script.
        redoc_favicon_url: of the page's icon.
        with_google_fonts: whether the fonts that ReDoc is made for are loaded from Google.

    Source: as FastAPI 0.165, which does not escape the title and the URLs.
    """
    fonts = f'<link rel="stylesheet" href="{_attribute(_FONTS)}">\n' if with_google_fonts else ""
    return HTMLResponse(
        page(
            title,
            redoc_favicon_url,
            head=f"{fonts}<style>body {{ margin: 0; padding: 0; }}</style>",
            body=f"""<noscript>ReDoc needs JavaScript.</noscript>
<redoc spec-url="{_attribute(openapi_url)}"></redoc>
<script src="{_attribute(redoc_js_url)}"></script>""",
        )
    )


def get_scalar_html(
    *,
    openapi_url: str,
    title: str,
    scalar_js_url: str = f"{_CDN}/@scalar/api-reference",
    scalar_favicon_url: str = FAVICON,
    scalar_parameters: Mapping[str, Any] | None = None,
) -> HTMLResponse:
    """Make a page that shows a document in Scalar.

    Args:
        openapi_url: of the document.
        title: of the page.
        scalar_js_url: of Scalar's script.
        scalar_favicon_url: of the page's icon.
        scalar_parameters: options of Scalar.
    """
    options = safe_json({"url": openapi_url, **(scalar_parameters or {})})
    return HTMLResponse(
        page(
            title,
            scalar_favicon_url,
            body=f"""<noscript>Scalar needs JavaScript.</noscript>
<div id="scalar"></div>
<script src="{_attribute(scalar_js_url)}"></script>
<script>
Scalar.createApiReference('#scalar', {options})
</script>""",
        )
    )


def get_swagger_ui_oauth2_redirect_html() -> HTMLResponse:
    """Make the page that an OAuth2 server sends back to: it tells Swagger UI, and closes itself."""
    script = own_text("oauth2-redirect.js")
    return HTMLResponse(
        page("Swagger UI: OAuth2 Redirect", FAVICON, body=f"<script>\n{script}</script>")
    )


# -- what they are made of -------------------------------------------------------------------------


def page(title: str, icon: str, *, head: str = "", body: str) -> str:
    """Write a page. The title and the icon's URL are escaped here, the rest is HTML already."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1.0">
<title>{html.escape(title)}</title>
<link rel="icon" href="{_attribute(icon)}">
{head}
</head>
<body>
{body}
</body>
</html>
"""


def swagger_call(
    openapi_url: str,
    oauth2_redirect_url: str | None,
    init_oauth: Mapping[str, Any] | None,
    parameters: Mapping[str, Any] | None,
) -> str:
    """Write the call that starts Swagger UI. It holds nothing that ends a script or a comment."""
    options = swagger_options(parameters)
    lines = ["const ui = SwaggerUIBundle({", f"url: {_quoted(openapi_url)},"]
    lines += [f"{safe_json(name)}: {safe_json(value)}," for name, value in options.items()]
    if oauth2_redirect_url:
        path = _quoted(oauth2_redirect_url)
        lines.append(f"oauth2RedirectUrl: window.location.origin + {path},")
    lines += [
        "presets: [",
        "SwaggerUIBundle.presets.apis,",
        "SwaggerUIBundle.SwaggerUIStandalonePreset",
        "],",
        "})",
    ]
    if init_oauth:
        lines.append(f"ui.initOAuth({safe_json(init_oauth)})")
    return "\n".join(lines)


def swagger_options(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of Swagger UI: those of the defaults that nobody gives, and those given."""
    return {**swagger_ui_default_parameters, **(parameters or {})}


def safe_json(value: Any) -> str:
    """Write a value as JSON that may stand in HTML, in a script and in a comment.

    Raises:
        ValueError: a value that JSON cannot hold.
    """
    # Not ASCII is escaped already, and with it the ends of lines that only JavaScript knows.
    text = json.dumps(jsonable_encoder(value))
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _quoted(text: str) -> str:
    """A text in single quotes, for JavaScript, and as harmless as ``safe_json``."""
    return "'" + safe_json(text)[1:-1].replace("'", r"\u0027") + "'"


def _attribute(text: str) -> str:
    return html.escape(text, quote=True)
