"""One ``Set-Cookie`` line (RFC 6265 section 4.1).

Floor 0. Attributes are checked here, so that none of them can end the cookie or the header.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from email.utils import format_datetime, formatdate
from http.cookies import SimpleCookie

from lamella._headers import check_header
from lamella.exceptions import UsageError

__all__ = ["cookie_line"]

_HAS_PARTITIONED = sys.version_info >= (3, 14)


def cookie_line(
    key: str,
    value: str = "",
    *,
    max_age: int | None = None,
    expires: datetime | str | int | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = False,
    samesite: str | None = "lax",
    partitioned: bool = False,
) -> bytes:
    """Make the value of a ``Set-Cookie`` header; ``Response.set_cookie`` tells the arguments.

    Raises:
        ValueError: an attribute that could end the cookie or the header; a partitioned one before
            Python 3.14, as in Starlette 1.10.
    """
    cookie: SimpleCookie = SimpleCookie()
    cookie[key] = value
    pieces = [cookie[key].OutputString()]
    if domain:
        pieces.append(f"Domain={_attribute('domain', domain)}")
    if expires is not None and expires != "":
        pieces.append(f"expires={_attribute('expires', _date(expires))}")
    if httponly:
        pieces.append("HttpOnly")
    if max_age is not None:
        pieces.append(f"Max-Age={int(max_age)}")
    if partitioned:
        if not _HAS_PARTITIONED:
            raise ValueError(
                "Partitioned cookies are only supported in Python 3.14 and above, got"
                " partitioned=True; before it, leave that out."
            )
        pieces.append("Partitioned")
    if path:
        pieces.append(f"Path={_attribute('path', path)}")
    if samesite is not None:
        if samesite.lower() not in ("lax", "strict", "none"):
            raise UsageError(
                f"Expected samesite to be 'strict', 'lax' or 'none', got {samesite!r}."
            )
        pieces.append(f"SameSite={samesite}")
    if secure:
        pieces.append("Secure")
    line = "; ".join(pieces)
    check_header("set-cookie", line)
    return line.encode("latin-1")


def _attribute(name: str, value: str) -> str:
    if ";" in value or any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError(
            f"Expected a cookie's {name} without ';' and control characters, got {value!r}."
        )
    return value


def _date(expires: datetime | str | int) -> str:
    if isinstance(expires, datetime):
        return format_datetime(expires, usegmt=True)
    if isinstance(expires, int):
        return formatdate(time.time() + expires, usegmt=True)
    return expires
