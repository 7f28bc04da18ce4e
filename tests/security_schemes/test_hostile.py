"""What hostile clients send to a scheme: a 401 or plain text, and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamella.exceptions import HTTPException
from lamella.security import HTTPBasicCredentials
from tests.security_schemes.asking import ask, authorized, request_of, run
from tests.security_schemes.test_base import SCHEMES, every_scheme

OF_AUTHORIZATION = {
    name: scheme for name, scheme in SCHEMES.items() if name not in ("query", "header", "cookie")
}
of_authorization = pytest.mark.parametrize(
    ("cls", "options", "request_"), OF_AUTHORIZATION.values(), ids=list(OF_AUTHORIZATION)
)


@of_authorization
def test_two_authorization_headers_are_no_credentials(cls, options, request_):
    """A proxy may have checked one of them, and the application the other."""
    (value,) = request_.headers.getlist("authorization")
    scheme = cls(**options)
    assert ask(scheme, authorized(value)) == run(scheme(request_))
    assert 401 == ask(scheme, authorized(value, value))[0]
    assert 401 == ask(scheme, authorized(value, "Bearer other"))[0]
    assert 401 == ask(scheme, authorized("", value))[0]
    assert ask(cls(**options, auto_error=False), authorized(value, value)) is None


@of_authorization
@pytest.mark.parametrize("char", [*range(0x20), 0x7F])
def test_control_characters_are_no_credentials(cls, options, request_, char):
    (value,) = request_.headers.getlist("authorization")
    assert 401 == ask(cls(**options), authorized(value + chr(char)))[0]
    assert 401 == ask(cls(**options), authorized(value[:-1] + chr(char) + value[-1]))[0]


@every_scheme
def test_a_header_of_any_size_is_answered(cls, options, request_):
    size = 1_000_000
    for value in ("Basic " + "A" * size, "Bearer " + " " * size + "a", "A" * size, " " * size):
        headers = [("authorization", value), ("x-k", value)]
        answer = ask(
            cls(**options), request_of(*headers, query=b"k=" + b"%00" * size, cookie="k=" * size)
        )
        assert isinstance(answer, tuple | str | HTTPBasicCredentials) or answer.credentials


@every_scheme
@settings(max_examples=50)
@given(header=st.binary(max_size=40), more=st.binary(max_size=40))
def test_whatever_is_sent_is_answered(cls, options, request_, header, more):
    scheme = cls(**options)
    names = ("basic", "bearer", "digest")
    for value in (header, *(f"{name} ".encode() + header for name in names)):
        request = request_of(
            ("authorization", value), ("x-k", value), query=b"k=" + more, cookie=b"k=" + more
        )
        try:
            text = run(scheme(request))
        except HTTPException as exc:
            assert (401, "Not authenticated") == (exc.status_code, exc.detail)
        else:
            shown = (
                text
                if isinstance(text, str)
                else "".join(getattr(text, name) for name in text.__struct_fields__)
            )
            assert not any(char < " " or char == "\x7f" for char in shown)


@every_scheme
def test_headers_may_be_any_iterable(cls, options, request_):
    """The ASGI specification says no more of them."""
    request = request_of(query=request_.scope["query_string"])
    request.scope["headers"] = iter(request_.scope["headers"])
    scheme = cls(**options)
    assert run(scheme(request_)) == run(scheme(request))
