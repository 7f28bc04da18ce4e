"""Every error class of the package.

Floor 0. The tree, with what each class is besides::

    Exception
    ├── HTTPException               raised to answer with a status
    │   ├── BodyTooLargeError       a request body over the limit in force: a 413
    │   ├── MalformedJSONError      (json.JSONDecodeError) a request body that is not JSON: a 400
    │   └── MultiPartException      a form that cannot be read, or is over a limit: a 400
    ├── WebSocketException          raised to close a websocket with a code
    │   └── WrongPayloadError       (RuntimeError) a message of a kind that is not read: 1003
    │       └── MalformedPayloadError  (json.JSONDecodeError) one that is not JSON: 1003 or 1007
    ├── EnvironError                the environment is changed where it was read already
    ├── ClientDisconnect            the client went away while its body was being read
    ├── ValidationException         values that do not fit their types; ``errors()`` tells all
    │   ├── RequestValidationError  in a request: a 422
    │   ├── WebSocketRequestValidationError  in a handshake: closed with 1008
    │   └── ResponseValidationError what an endpoint returned: a 500
    ├── LamellaError                what is ours alone; catch this for all of it
    │   ├── StackError              (TypeError) a stack, layer or route declared wrongly
    │   │   └── DependencyError     a signature that cannot be filled
    │   ├── SwallowedError          (RuntimeError) a dependency hid the error of the endpoint
    │   ├── UsageError              (AssertionError, ValueError) a call that contradicts itself
    │   ├── NoResponseError         (RuntimeError) an app ended without a response
    │   ├── BodyConsumedError       (RuntimeError) a body that somebody streamed away is read again
    │   ├── ProtocolError           (RuntimeError) what the ASGI specification forbids
    │   └── ResponseStartedError    (RuntimeError) messages of a response in the wrong order
    └── UserWarning
        ├── StarletteDeprecationWarning
        └── LamellaDeprecationWarning

The second base is the class that Starlette 1.10 raises in that place, so an `except` written for
it goes on working.
"""

from __future__ import annotations

from http import HTTPStatus
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, TypedDict

from lamella._headers import check_header

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BodyConsumedError",
    "BodyTooLargeError",
    "ClientDisconnect",
    "DependencyError",
    "EndpointContext",
    "EnvironError",
    "HTTPException",
    "LamellaDeprecationWarning",
    "LamellaError",
    "MalformedJSONError",
    "MalformedPayloadError",
    "MultiPartException",
    "NoResponseError",
    "ProtocolError",
    "RequestValidationError",
    "ResponseStartedError",
    "ResponseValidationError",
    "StackError",
    "StarletteDeprecationWarning",
    "SwallowedError",
    "UsageError",
    "ValidationException",
    "WebSocketException",
    "WebSocketRequestValidationError",
    "WrongPayloadError",
]

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class HTTPException(Exception):
    """Raise it to answer with an HTTP status, from an endpoint or from a layer.

    Args:
        status_code: the status to answer with.
        detail: text of the answer, or anything that JSON can say; without it the phrase of the
            status, "" for an unknown one.
        headers: extra headers of the answer, name to value.

    Raises:
        ValueError: a header name is not a token, or a value holds CR, LF or NUL.

    Source: as Starlette 1.10, which takes any header.
    """

    def __init__(
        self,
        status_code: int,
        detail: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        for name, value in headers.items() if headers else ():
            check_header(name, value)
        self.status_code = status_code
        self.detail = _PHRASES.get(status_code, "") if detail is None else detail
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(status_code={self.status_code!r}, detail={self.detail!r})"


class BodyTooLargeError(HTTPException):
    """The request body is larger than the limit in force. Answered with 413 if nobody catches it.

    Source: RFC 9110 section 15.5.14.
    """

    def __init__(self) -> None:
        super().__init__(413, "Content Too Large")


class MalformedJSONError(HTTPException, JSONDecodeError):
    """The request body is not JSON in UTF-8 (RFC 8259). Answered with 400 if nobody catches it.

    Args:
        reason: what is wrong.
        text: the body, as far as it is text.
        position: where in the text, in characters from 0.
    """

    def __init__(self, reason: str, text: str = "", position: int = 0) -> None:
        JSONDecodeError.__init__(self, reason, text, position)
        self.status_code = 400
        # Not in `msg`, which FastAPI shows to clients as it is.
        place = f" (line {self.lineno}, column {self.colno})" if text else ""
        self.detail = f"The request body is not JSON: {reason}{place}."
        self.headers = None

    def __str__(self) -> str:
        return self.detail


class MultiPartException(HTTPException):
    """A form cannot be read, or is over a limit. Answered with 400 if nobody catches it.

    Args:
        message: what is wrong.

    Source: as Starlette 1.10, where it is found in `formparsers`, and is an HTTPException of its
    own only inside an application.
    """

    def __init__(self, message: str) -> None:
        super().__init__(400, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class WebSocketException(Exception):
    """Raise it to close a websocket.

    Args:
        code: close code of RFC 6455 section 7.4.
        reason: text for the client, "" without one.

    Source: as Starlette 1.10.
    """

    def __init__(self, code: int, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r}, reason={self.reason!r})"


class WrongPayloadError(WebSocketException, RuntimeError):
    """A client sent a message of another kind than the one that is read: text, say, for bytes.

    Closes the websocket if nobody catches it.

    Args:
        reason: what was expected and what came.
        code: close code of RFC 6455 section 7.4.
    """

    def __init__(self, reason: str, *, code: int = 1003) -> None:
        super().__init__(code, reason)


class MalformedPayloadError(WrongPayloadError, JSONDecodeError):
    """A client sent a message that is not JSON. Closes the websocket if nobody catches it.

    Args:
        reason: what is wrong.
        text: the message, as far as it is text.
        position: where in the text, in characters from 0.
        code: close code of RFC 6455 section 7.4: 1007 if the message is no UTF-8 either.
    """

    def __init__(self, reason: str, text: str = "", position: int = 0, *, code: int = 1003) -> None:
        JSONDecodeError.__init__(self, reason, text, position)
        self.code = code
        self.reason = f"Malformed JSON data received: {reason}."


class EnvironError(Exception):
    """The environment is changed where a setting of it was read already.

    Source: as Starlette 1.10, where it is found in `config`.
    """


class ClientDisconnect(Exception):
    """The client went away before its request body was complete.

    Source: as Starlette 1.10, where it is found in `requests`.
    """


class EndpointContext(TypedDict, total=False):
    """Where an endpoint stands, for the text of an error.

    Keys:
        function: its name.
        path: method and path of its route.
        file: of its source.
        line: in that file, from 1.
    """

    function: str
    path: str
    file: str
    line: int


class ValidationException(Exception):
    """Values that do not fit their types.

    Args:
        errors: one mapping each, with ``type``, ``loc``, ``msg`` and ``input``.
        endpoint_ctx: where the endpoint stands.

    Source: as FastAPI 0.165.
    """

    def __init__(
        self, errors: Sequence[Any], *, endpoint_ctx: EndpointContext | None = None
    ) -> None:
        self._errors = errors
        self.endpoint_ctx: EndpointContext = endpoint_ctx or {}

    def errors(self) -> Sequence[Any]:
        """One mapping for each, with ``type``, ``loc`` (a tuple), ``msg`` and ``input``."""
        return self._errors

    def __str__(self) -> str:
        count = len(self._errors)
        lines = [f"{count} validation error{'' if count == 1 else 's'}:"]
        lines += [f"  {error}" for error in self._errors]
        ctx = self.endpoint_ctx
        if "file" in ctx and "line" in ctx and "function" in ctx:
            lines.append(f'  File "{ctx["file"]}", line {ctx["line"]}, in {ctx["function"]}')
        if "path" in ctx:
            lines.append(f"    {ctx['path']}")
        return "\n".join(lines)


class RequestValidationError(ValidationException):
    """A request does not fit what its endpoint takes. Answered with 422 if nobody catches it.

    Args:
        errors: see ``ValidationException``.
        body: what the body was, as far as it was read.
        endpoint_ctx: where the endpoint stands.
    """

    def __init__(
        self,
        errors: Sequence[Any],
        *,
        body: Any = None,
        endpoint_ctx: EndpointContext | None = None,
    ) -> None:
        super().__init__(errors, endpoint_ctx=endpoint_ctx)
        self.body = body


class WebSocketRequestValidationError(ValidationException):
    """A handshake does not fit what its endpoint takes. The websocket is closed with 1008."""


class ResponseValidationError(ValidationException):
    """What an endpoint returned does not fit the type that it declares: an error of the server's.

    Args:
        errors: see ``ValidationException``.
        body: what it returned.
        endpoint_ctx: where the endpoint stands.
    """

    def __init__(
        self,
        errors: Sequence[Any],
        *,
        body: Any = None,
        endpoint_ctx: EndpointContext | None = None,
    ) -> None:
        super().__init__(errors, endpoint_ctx=endpoint_ctx)
        self.body = body


class LamellaError(Exception):
    """What lamella raises on its own account; the base of the classes below."""


class StackError(LamellaError, TypeError):
    """A stack, a layer or a route is declared wrongly; found when the app is built."""


class DependencyError(StackError):
    """An endpoint or a dependency asks for what nobody can give; found when the app is built."""


class SwallowedError(LamellaError, RuntimeError):
    """A dependency caught the error of the endpoint at its ``yield`` and raised none itself.

    There is no response then. It raises the error again, or another one.
    """


class UsageError(LamellaError, AssertionError, ValueError):
    """A call contradicts itself, or gives a value that can have no meaning there.

    Starlette checks these with `assert`, which vanishes under `python -O`; this does not.
    """


class NoResponseError(LamellaError, RuntimeError):
    """An app ended without sending a response, or a dispatch without returning one."""


class BodyConsumedError(LamellaError, RuntimeError):
    """A request body is asked for that somebody has streamed away; the text names the reader."""


class ProtocolError(LamellaError, RuntimeError):
    """A scope or a message that the ASGI specification forbids, as ``LintMiddleware`` found it."""


class ResponseStartedError(LamellaError, RuntimeError):
    """Messages of a response came in an order that cannot be sent.

    Two starts, a body before the start, or an exception handler whose response had begun already.
    """


class StarletteDeprecationWarning(UserWarning):
    """What is used here goes away in a later version.

    A `UserWarning`, not a `DeprecationWarning`, so that it is shown by default. The name is
    Starlette's, and filters written for it go on working.
    """


class LamellaDeprecationWarning(UserWarning):
    """What is used here goes away in a later version of lamella."""
