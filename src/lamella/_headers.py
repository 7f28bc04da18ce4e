"""What may stand in a header: names, values, and the Host header.

Floor 0. Pure functions over text; every module that builds a header goes through `check_header` or
`encode_header`, so that no text of a user can end a header line and begin another.
"""

import re
from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any, NamedTuple

__all__ = ["ParsedHost", "check_header", "encode_header", "parse_host", "values_in"]

# RFC 9110 section 5.6.2: token = 1*tchar.
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch

# RFC 3986 section 3.2.2: reg-name (IPv4 included), or an IP literal in brackets. Possessive
# throughout: nothing that was taken could be given back, and remembering it takes 130 bytes each.
# A port is a number of any size, up to what `int` always takes.
_match_host = re.compile(
    r"(?P<host>(?:[A-Za-z0-9._~!$&'()*+,;=\-]++|%[0-9A-Fa-f]{2})++"
    r"|\[(?:(?P<ipv6>[0-9A-Fa-f:.]++)|v[0-9A-Fa-f]++\.[A-Za-z0-9._~!$&'()*+,;=:\-]++)\])"
    r"(?::(?P<port>[0-9]{1,640}+))?"
).fullmatch

_HIGHEST_PORT = 65535
_LONGEST_KEPT = 261  # a name of the DNS, a colon and a port


def check_header(name: str | bytes, value: str | bytes) -> None:
    r"""Refuse a header whose name or value could be read as something else.

    Args:
        name: one or more token characters of RFC 9110 section 5.6.2, in any case.
        value: anything without CR, LF and NUL. Never shown in the error: it may be a secret.

    Raises:
        ValueError: the name is not a token, or the value holds `\r`, `\n` or `\0`.
        TypeError: one of them is neither str nor bytes.

    Source: RFC 9110 sections 5.1 and 5.5.
    """
    try:
        name_text = name if isinstance(name, str) else str(name, "latin-1")
        text = value if isinstance(value, str) else str(value, "latin-1")
    except TypeError:
        raise TypeError(f"Expected header {name!r} to be str or bytes, got {value!r}.") from None
    if _is_token(name_text) is None:
        raise ValueError(
            "Expected a header name of one or more letters, digits and !#$%&'*+-.^_`|~ "
            f"(an RFC 9110 token), got {name!r}; rename the header."
        )
    # PERF: half the time of a regular expression.
    if "\r" in text or "\n" in text or "\0" in text:
        position = next(index for index, char in enumerate(text) if char in "\r\n\0")
        raise ValueError(
            f"Expected header {name!r} to have a value without CR, LF and NUL, got one at position "
            f"{position}; remove it, or encode the value."
        )


def encode_header(name: str, value: str) -> tuple[bytes, bytes]:
    """Check a header and give it as it goes on the wire.

    Returns:
        The lower-case name and the value, both Latin-1 bytes.

    Raises:
        ValueError: as `check_header`; for a character beyond Latin-1 it is a `UnicodeEncodeError`.
    """
    check_header(name, value)
    try:
        return name.lower().encode("latin-1"), value.encode("latin-1")
    except UnicodeEncodeError as exc:
        reason = f"{exc.reason}, in the value of header {name!r}; percent-encode it (RFC 8187)"
        raise UnicodeEncodeError(exc.encoding, exc.object, exc.start, exc.end, reason) from None


def values_in(scope: MutableMapping[str, Any], name: bytes) -> list[str]:
    """Give all values of a request header, in order, without making a `Headers` for one look.

    Args:
        scope: an ASGI scope; `headers` may be any iterable, and is a list afterwards.
        name: in lower case, as servers give it.
    """
    headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
    if not isinstance(headers, (list, tuple)):
        headers = scope["headers"] = list(headers)
    # PERF: a fifth of the time of a new `Headers`.
    return [value.decode("latin-1") for found, value in headers if found == name]


class ParsedHost(NamedTuple):
    """The parts of a valid Host header.

    Attributes:
        host: name or address as sent, an IP literal with its brackets.
        port: decimal digits as sent, at most 640, None without one.
    """

    host: str
    port: str | None

    @property
    def is_valid_port(self) -> bool:
        """Whether there is no port, or one that a server can have: 0 to 65535."""
        return self.port is None or int(self.port) <= _HIGHEST_PORT

    @property
    def authority(self) -> str:
        """The parts joined again, as they stand in a URL."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


def parse_host(text: str | None) -> ParsedHost | None:
    r"""Split a Host header by its grammar; None where it does not follow it.

    What comes back holds no character that could end the authority of a URL (`/`, `?`, `#`, `@`,
    `\\`, space), so it may be put into one. Linear in the length of the text.

    Source: RFC 9110 section 7.2, RFC 3986 section 3.2: the port is any number, as there; a URL that
    can be called needs an `is_valid_port`, too.
    """
    if text is None:
        return None
    return _parse_host(text) if len(text) <= _LONGEST_KEPT else _parse_host.__wrapped__(text)


# PERF: a server is called by few names. Bounded in number, and in length by `parse_host`, since a
# client chooses what it sends, and some servers take headers of any size.
@lru_cache(maxsize=64)
def _parse_host(text: str) -> ParsedHost | None:
    match = _match_host(text)
    if match is None:
        return None
    if match["ipv6"] is not None and not _is_ipv6(match["ipv6"]):
        return None
    return ParsedHost(match["host"], match["port"])


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
