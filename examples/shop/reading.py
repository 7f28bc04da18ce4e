"""Reading what clients send."""

from lamella.requests import Request


def media_type(request: Request) -> str:
    """Return the media type of the body, in lower case and without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
