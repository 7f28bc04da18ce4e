"""The tree of errors, and what each of them says."""

import copy
import json
import pickle

import pytest
from starlette import exceptions as starlette_exceptions
from starlette.datastructures import Headers as StarletteHeaders

from lamella import exceptions
from lamella.exceptions import HTTPException, WebSocketException

BASES = [
    (exceptions.LamellaError, Exception),
    (exceptions.StackError, exceptions.LamellaError),
    (exceptions.StackError, TypeError),
    (exceptions.UsageError, exceptions.LamellaError),
    (exceptions.UsageError, AssertionError),
    (exceptions.UsageError, ValueError),
    (exceptions.NoResponseError, exceptions.LamellaError),
    (exceptions.NoResponseError, RuntimeError),
    (exceptions.BodyConsumedError, exceptions.LamellaError),
    (exceptions.BodyConsumedError, RuntimeError),
    (exceptions.ProtocolError, exceptions.LamellaError),
    (exceptions.ProtocolError, RuntimeError),
    (exceptions.ResponseStartedError, exceptions.LamellaError),
    (exceptions.ResponseStartedError, RuntimeError),
    (exceptions.DependencyError, exceptions.StackError),
    (exceptions.SwallowedError, exceptions.LamellaError),
    (exceptions.SwallowedError, RuntimeError),
    (exceptions.ValidationException, Exception),
    (exceptions.RequestValidationError, exceptions.ValidationException),
    (exceptions.WebSocketRequestValidationError, exceptions.ValidationException),
    (exceptions.ResponseValidationError, exceptions.ValidationException),
    (exceptions.LamellaDeprecationWarning, UserWarning),
    (exceptions.ClientDisconnect, Exception),
    (exceptions.HTTPException, Exception),
    (exceptions.BodyTooLargeError, exceptions.HTTPException),
    (exceptions.MalformedJSONError, exceptions.HTTPException),
    (exceptions.MalformedJSONError, json.JSONDecodeError),
    (exceptions.MultiPartException, exceptions.HTTPException),
    (exceptions.WebSocketException, Exception),
    (exceptions.WrongPayloadError, exceptions.WebSocketException),
    (exceptions.WrongPayloadError, RuntimeError),
    (exceptions.MalformedPayloadError, exceptions.WrongPayloadError),
    (exceptions.MalformedPayloadError, json.JSONDecodeError),
    (exceptions.EnvironError, Exception),
    (exceptions.StarletteDeprecationWarning, UserWarning),
]


@pytest.mark.parametrize(("cls", "base"), BASES)
def test_each_error_is_caught_as_its_base(cls, base):
    """The second base is what Starlette raises there, so an old `except` goes on working."""
    assert issubclass(cls, base)


def test_every_public_error_stands_in_the_table_and_in_the_tree():
    """The tree at the head of the module is what people read; none may be missing there."""
    assert {*exceptions.__all__} - {"EndpointContext"} == {cls.__name__ for cls, _ in BASES}
    assert [] == [name for cls, _ in BASES if (name := cls.__name__) not in exceptions.__doc__]


def test_errors_of_starlettes_own_are_no_lamella_errors():
    """Catching LamellaError must not swallow an HTTPException that is on its way to a handler."""
    for cls in (HTTPException, WebSocketException, exceptions.ClientDisconnect):
        assert not issubclass(cls, exceptions.LamellaError)


@pytest.mark.parametrize("status_code", [*range(100, 600), 0, 799, 1000])
def test_http_exception_reads_as_starlettes(status_code):
    """Detail, str and repr end up in responses and logs."""
    theirs = starlette_exceptions.HTTPException(status_code)
    ours = HTTPException(status_code)
    assert (theirs.status_code, theirs.detail, theirs.headers) == (
        ours.status_code,
        ours.detail,
        ours.headers,
    )
    assert (str(theirs), repr(theirs)) == (str(ours), repr(ours))


@pytest.mark.parametrize("detail", ["", "gone", {"code": 5}, ["a"], 0])
def test_detail_that_is_given_is_kept(detail):
    """FastAPI passes any JSON value; only None asks for the phrase."""
    assert detail == HTTPException(404, detail).detail


def test_headers_are_kept_as_the_same_object():
    """A handler may look for what was raised, not for a copy."""
    headers = {"WWW-Authenticate": "Basic"}
    assert HTTPException(401, headers=headers).headers is headers


def test_headers_may_be_any_mapping():
    """Headers objects are mappings; they need not be dicts."""
    assert HTTPException(401, headers=StarletteHeaders({"a": "b"})).headers["A"] == "b"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "1\r\nset-cookie: a=b"},
        {"x-a": "1\nb"},
        {"x-a": "1\rb"},
        {"x-a": "\0"},
        {"x-fine": "1", "x-a": "tail\n"},
        {"x-a\r\nx-b": "1"},
        {"x a": "1"},
        {"": "1"},
        {"x:a": "1"},
        {"é": "1"},
    ],
)
def test_header_that_could_split_a_response_is_refused(headers):
    """What an exception carries goes on the wire, and it often quotes the client."""
    with pytest.raises(ValueError, match="Expected"):
        HTTPException(400, headers=headers)


def test_refused_header_is_named_but_its_value_is_not_shown():
    """The value may be a secret and the error goes to a log."""
    with pytest.raises(ValueError, match="'x-key'") as caught:
        HTTPException(400, headers={"x-key": "s3cret\n"})
    assert "s3cret" not in str(caught.value)


def test_header_value_of_another_type_is_refused_where_it_is_given():
    """A number would fail only later, where nobody sees who gave it."""
    with pytest.raises(TypeError, match=r"'Retry-After'.*30"):
        HTTPException(429, headers={"Retry-After": 30})


def test_subclass_shows_its_own_name():
    """As a log shows it."""

    class Teapot(HTTPException):
        def __init__(self):
            super().__init__(418, detail="short")

    assert "Teapot(status_code=418, detail='short')" == repr(Teapot())


@pytest.mark.parametrize("exc", [HTTPException(404, "gone"), WebSocketException(1008, "no")])
def test_exception_raised_with_positional_arguments_survives_pickle_and_copy(exc):
    """Errors cross processes in test runners and workers."""
    assert repr(exc) == repr(pickle.loads(pickle.dumps(exc))) == repr(copy.copy(exc))


@pytest.mark.parametrize(("code", "reason"), [(1000, None), (1008, ""), (4000, "bye")])
def test_websocket_exception_reads_as_starlettes(code, reason):
    """Code and reason go into the close frame."""
    theirs = starlette_exceptions.WebSocketException(code, reason)
    ours = WebSocketException(code, reason)
    assert (theirs.code, theirs.reason, str(theirs), repr(theirs)) == (
        ours.code,
        ours.reason,
        str(ours),
        repr(ours),
    )


def test_malformed_json_tells_where_and_keeps_the_librarys_words():
    """FastAPI shows `msg` to its clients, and the place on its own."""
    exc = exceptions.MalformedJSONError("Expecting value", '{"a":\n x}', 7)
    assert "The request body is not JSON: Expecting value (line 2, column 2)." == str(exc)
    assert ("Expecting value", 7) == (exc.msg, exc.pos)
    assert "The request body is not JSON: byte 3 is not UTF-8." == str(
        exceptions.MalformedJSONError("byte 3 is not UTF-8")
    )
