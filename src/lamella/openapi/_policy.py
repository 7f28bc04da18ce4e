"""What a documentation page may do in a browser: its ``Content-Security-Policy``.

Floor 7. Nothing that the page need not do for the document that it shows: where the document names
other servers, requests may go there, and where it shows foreign pictures, they may be loaded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["connections", "pictures", "policy"]

# In Markdown, and in HTML inside of it.
_PICTURE: Final = re.compile(
    r"!\[[^\]]{0,200}\]\(\s{0,20}<?([^\s)>]{1,2000})|<img\s[^>]{0,500}?src=[\"']?([^\s>\"']{1,2000})"
)
_ORIGIN: Final = re.compile(r"(https?|wss?)://([^/?#\\]*)", re.IGNORECASE)
_ANY_WEB: Final = re.compile(r"\{[^{}]*\}://")  # a scheme for the reader to choose
_is_plain = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?").fullmatch


def policy(
    *, connect: Iterable[str] = (), images: Iterable[str] = (), style_attributes: bool = False
) -> str:
    """Write a policy.

    Args:
        connect: origins, besides the page's own, that requests may go to.
        images: origins, besides the page's own, of pictures.
        style_attributes: whether ``style="..."`` is taken from HTML that scripts insert.
    """
    styles = " style-src-attr 'unsafe-inline';" if style_attributes else ""
    servers = "".join(f" {origin}" for origin in sorted(set(connect)))
    foreign = "".join(f" {origin}" for origin in sorted({*connect, *images}))
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self';{styles}"
        f" connect-src 'self'{servers}; img-src 'self' data: blob:{foreign};"
        f" media-src 'self' blob:{servers}; font-src 'self' data:;"
        f" base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def connections(document: Mapping[str, Any], options: object = None) -> set[str]:
    """The origins that trying out the operations of a document leads to.

    Args:
        document: OpenAPI; its servers, and where its OAuth2 tokens and OpenID descriptions are.
        options: of the page; URLs of further documents.
    """
    return set(_origins([*_server_urls(document), *_auth_urls(document), *_texts(options)]))


def pictures(document: Mapping[str, Any]) -> set[str]:
    """The origins of the pictures that a document shows: in its texts, and ReDoc's logo."""
    logo = _dict(_dict(document.get("info")).get("x-logo")).get("url")
    urls = [str(logo)] if logo else []
    for text in _texts(document):
        urls += [first or second for first, second in _PICTURE.findall(text)]
    return set(_origins(urls))


def _server_urls(document: Mapping[str, Any]) -> Iterator[Any]:
    for where in _with_servers(document):
        for server in _dicts(where.get("servers")):
            yield server.get("url")


def _with_servers(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield document
    for path in _dicts(document.get("paths")):
        yield path
        yield from _dicts(path)


def _auth_urls(document: Mapping[str, Any]) -> Iterator[Any]:
    for scheme in _dicts(_dict(document.get("components")).get("securitySchemes")):
        yield scheme.get("openIdConnectUrl")
        for flow in _dicts(scheme.get("flows")):
            yield flow.get("tokenUrl")
            yield flow.get("refreshUrl")


# -- a document may be anybody's, so nothing is taken for granted ----------------------------------


def _dict(value: object) -> Mapping[str, Any]:
    """The value, or an empty dict if it is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _dicts(among: object) -> list[Mapping[str, Any]]:
    """The dicts in a list, or in the values of a dict; none in anything else."""
    items: Iterable[object] = ()
    if isinstance(among, dict):
        items = cast("dict[str, object]", among).values()
    elif isinstance(among, list | tuple):
        items = cast("list[object]", among)
    return [cast("Mapping[str, Any]", item) for item in items if isinstance(item, dict)]


def _texts(value: object) -> Iterator[str]:
    """All texts within a value that is made of dicts and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in cast("dict[str, object]", value).values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            yield from _texts(item)


def _origins(urls: Iterable[object]) -> Iterator[str]:
    """The origins of the absolute URLs among these, as a policy names them."""
    for url in urls:
        if not isinstance(url, str):
            continue
        found = _ORIGIN.match(url)
        if found:
            scheme, authority = found[1].lower(), found[2]
            # A host that a policy cannot name (with variables, or in other letters): any host.
            yield f"{scheme}://{authority}" if _is_plain(authority) else f"{scheme}:"
        elif _ANY_WEB.match(url):
            yield from ("http:", "https:")
