"""What may stand in a header: names, values, and the Host header.

Floor 0. Pure functions over text; every module that builds a header goes through `check_header` or
`encode_header`, so that no text of a user can end a header line and begin another.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

__all__ = ["ParsedHost", "check_header", "encode_header", "parse_host"]

# RFC 9110 section 5.6.2: token = 1*tchar.
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch

# RFC 3986 section 3.2.2: reg-name (IPv4 included), or an IP literal in brackets.
_match_host = re.compile(
    r"(?P<host>(?:[A-Za-z0-9._~!$&'()*+,;=\-]|%[0-9A-Fa-f]{2})+"
    r"|\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:\-]+)\])"
    r"(?::(?P<port>[0-9]+))?"
).fullmatch

_HIGHEST_PORT = 65535


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


class ParsedHost(NamedTuple):
    """The parts of a valid Host header.

    Attributes:
        host: name or address as sent, an IP literal with its brackets.
        port: decimal digits as sent, None without one.
    """

    host: str
    port: str | None

    @property
    def authority(self) -> str:
        """The parts joined again, as they stand in a URL."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


def parse_host(text: str | None) -> ParsedHost | None:
    r"""Split a Host header by its grammar; None where it does not follow it.

    What comes back holds no character that could end the authority of a URL (`/`, `?`, `#`, `@`,
    `\\`, space), so it may be put into one. Linear in the length of the text.

    Source: RFC 9110 section 7.2, RFC 3986 section 3.2; a port above 65535 is refused.
    """
    return None if text is None else _parse_host(text)


# PERF: a server is called by few names. Bounded, since a client chooses what it sends.
@lru_cache(maxsize=64)
def _parse_host(text: str) -> ParsedHost | None:
    match = _match_host(text)
    if match is None:
        return None
    host, address, port = match["host"], match["ipv6"], match["port"]
    if address is not None and not _is_ipv6(address):
        return None
    if port is not None and not _is_port(port):
        return None
    return ParsedHost(host, port)


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _is_port(digits: str) -> bool:
    significant = digits.lstrip("0")
    return len(significant) <= len(str(_HIGHEST_PORT)) and int(significant or "0") <= _HIGHEST_PORT
