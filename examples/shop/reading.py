"""Reading what clients send."""

from lamella.exceptions import HTTPException
from lamella.requests import Request


def media_type(request: Request) -> str:
    """Return the media type of the body, in lower case and without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def page_number(request: Request) -> int:
    """Return `page` of the query, 1 if there is none, or answer 422."""
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise HTTPException(422, f"Expected a page from 1 to 999999, got {text[:20]!r}.")
    return int(text)
