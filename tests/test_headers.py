"""What may stand in a header, and the grammar of Host."""

import itertools
import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette._utils import parse_host_header

from lamella._headers import check_header, encode_header, parse_host, values_in

TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LATIN_1 = [chr(code) for code in range(256)]


@pytest.mark.parametrize("char", LATIN_1)
def test_name_takes_the_characters_of_a_token_and_no_others(char):
    """RFC 9110 section 5.6.2 lists them; a name is text or bytes."""
    fine = char in TOKEN_CHARS
    for name in (f"x{char}", char, f"x{char}".encode("latin-1"), f"{char}x"):
        if fine:
            check_header(name, "1")
        else:
            with pytest.raises(ValueError, match="rename the header"):
                check_header(name, "1")


@pytest.mark.parametrize("char", LATIN_1)
def test_value_takes_all_but_line_breaks_and_nul(char):
    """RFC 9110 section 5.5 names the three that are dangerous; old software sends the others."""
    for value in (f"a{char}", f"{char}a", f"a{char}".encode("latin-1")):
        if char in "\r\n\0":
            with pytest.raises(ValueError, match="CR, LF and NUL"):
                check_header("x-a", value)
        else:
            check_header("x-a", value)


@pytest.mark.parametrize("name", ["", b"", "x-a\n", b"x-a\n", "x-a\r\n", "ｘ", "x\u2028"])
def test_empty_name_or_hidden_line_break_is_refused(name):
    r"""A `$` in a pattern matches before a last newline; this check does not."""
    with pytest.raises(ValueError, match="rename the header"):
        check_header(name, "1")


def test_error_tells_the_first_position_and_hides_the_value():
    """The value may be a cookie; its text must not reach a log."""
    for value in ("se\0cret\r\n", b"se\ncret\r\0"):
        with pytest.raises(ValueError, match="position 2;") as caught:
            check_header("set-cookie", value)
        assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [(1, "a"), ("a", 1), ("a", None), (None, "a"), ("a", ["b"])]
)
def test_other_types_are_refused_as_such(name, value):
    """A number as a value is the usual slip; the error shows header and value."""
    with pytest.raises(TypeError, match=re.escape(f"{name!r} to be str or bytes, got {value!r}")):
        check_header(name, value)


def test_header_is_encoded_in_lower_case_latin_1():
    """ASGI wants names in lower case and bytes throughout."""
    assert (b"x-name", b"caf\xe9") == encode_header("X-Name", "café")


def test_character_beyond_latin_1_is_refused_with_the_name_of_the_header():
    """Starlette raises UnicodeEncodeError as well, but says nothing of the header."""
    with pytest.raises(UnicodeEncodeError, match=r"value of header 'X-Name'; percent-encode"):
        encode_header("X-Name", "5 €")


@given(st.text(), st.text())
def test_encoded_header_stays_one_line_of_two_parts(name, value):
    """Whatever text comes in, what goes out cannot be split in another way."""
    try:
        raw_name, raw_value = encode_header(name, value)
    except ValueError:
        return
    line = raw_name + b": " + raw_value + b"\r\n"
    assert [raw_name, raw_value + b"\r\n"] == line.split(b": ", 1)
    assert 1 == len(re.split(rb"\r\n|\r|\n|\0", line.removesuffix(b"\r\n")))


HOSTS = [
    "example.com", "EXAMPLE.com", "example.com:8000", "example.com:", "example.com:0", "example.com:65535",
    "example.com:65536", "example.com:000080", "example.com:" + "0" * 500 + "1", "example.com:9999999999",
    "example.com:80:80", "example.com:-1", "example.com:8o", "127.0.0.1", "127.0.0.1:80", "999.0.0.1",
    "[::1]", "[::1]:80", "[::1", "::1", "[::g]", "[1]", "[]", "[127.0.0.1]", "[::ffff:127.0.0.1]", "[:::1]",
    "[v1.a]", "[V1.a]", "[v1.]", "[vx.a]", "[v1.a:b]:9", "[fe80::1%eth0]", "[fe80::1%25eth0]",
    "a_b", "a~b", "a!b", "a,b", "a;b", "a=b", "a%20b", "*", "a'b", "(a)", "",
    " example.com", "example.com ", "example.com\n", "exa mple.com", "a/b", "a?b", "a#b", "a@b", "user@a",
    "a\\b", "a\tb", "a\0b", "é.com", "ａ.com", "a\u2028", "a|b", 'a"b', "a<b", "[::1]x", "x[::1]", ":80", ".",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTS)
def test_host_is_read_as_in_starlette(text):
    """The same hosts are valid, with the same parts."""
    theirs = parse_host_header(text)
    ours = parse_host(text)
    assert (theirs is None) == (ours is None)
    for part in ("host", "port", "authority", "is_valid_port"):
        assert getattr(theirs, part, None) == getattr(ours, part, None)


@pytest.mark.parametrize(("length", "valid"), [(640, True), (641, False), (100_000, False)])
def test_port_is_no_longer_than_a_number_that_python_reads(length, valid):
    """At the lowest limit that a program can set; RFC 3986 sets none."""
    host = parse_host("a:" + "0" * length)
    assert valid == (host is not None)
    assert host is None or host.is_valid_port


@pytest.mark.parametrize("text", ["a%b", "a%2", "a%zz", "%", None])
def test_broken_percent_sign_and_no_host_are_refused(text):
    """RFC 3986 section 2.1; Starlette takes any percent sign."""
    assert parse_host(text) is None


@given(
    st.one_of(
        st.text(max_size=30),
        st.text(alphabet="aA0.:[]%vV@/?#\\-_~ \n\t", max_size=20),
        st.builds(
            "".join,
            st.lists(
                st.sampled_from(["[", "]", "::1", ":80", "a.b", "v1.", "@", "/", "%2F", ":", "?"]),
                max_size=6,
            ),
        ),
    )
)
def test_valid_host_is_the_authority_of_a_url_and_nothing_else(text):
    """What is put into a URL must come out of it as host and port, with the path untouched."""
    host = parse_host(text)
    if host is None:
        return
    parts = urlsplit(f"http://{host.authority}/path?query#fragment")
    assert (host.authority, "/path", "query", "fragment") == parts[1:]
    assert (None, None) == (parts.username, parts.password)
    if host.is_valid_port:
        assert parts.port == (None if host.port is None else int(host.port))
    assert parts.hostname.lower() == host.host.strip("[]").lower()


def test_every_text_of_three_special_characters_is_safe():
    """Small inputs, all of them: what is accepted holds nothing that ends an authority."""
    for chars in itertools.product("a:[].%0v@/?#\\ \r\n", repeat=4):
        host = parse_host("".join(chars))
        assert host is None or not set("/?#@\\ \r\n") & set(host.authority)


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_values_of_a_request_header_are_told_in_order(kind):
    """And the next reader still finds them, whatever iterable they came in."""
    pairs = [(b"host", b"a"), (b"x", b"\xfc"), (b"host", b"b")]
    scope = {"headers": kind(pairs)}
    assert ["a", "b"] == values_in(scope, b"host")
    assert ["\xfc"] == values_in(scope, b"x")
    assert [] == values_in(scope, b"none")
    assert [] == values_in({}, b"host")
    assert pairs == list(scope["headers"])
