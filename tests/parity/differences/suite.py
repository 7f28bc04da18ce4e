"""Which of Starlette's own tests do not pass with lamella in its place, and the row of each."""

from typing import NamedTuple


class Unmet(NamedTuple):
    """A test of Starlette's suite, and the case of the row that tells what it meets instead."""

    test: str
    case: str


STREAMED = "a body streamed in a layer"
CREDENTIALS = '`allow_origins=["*"]` with `allow_credentials=True`'

UNMET = (
    Unmet(
        "middleware/test_base.py::test_read_request_stream_in_app_after_middleware_calls_stream",
        STREAMED,
    ),
    Unmet(
        "middleware/test_base.py::test_read_request_body_in_app_after_middleware_calls_stream",
        STREAMED,
    ),
    Unmet(
        "middleware/test_base.py::test_read_request_stream_in_dispatch_wrapping_app_calls_body",
        "a layer that streams a part of the body, and an endpoint or app that reads on",
    ),
    Unmet(
        "middleware/test_base.py::test_read_request_stream_in_dispatch_after_app_calls_body",
        "`body()` or `stream()` in a layer after an endpoint that read the body whole",
    ),
    Unmet(
        "middleware/test_base.py::test_error_context_propagation",
        "an error of an endpoint below a layer",
    ),
    Unmet(
        "middleware/test_base.py::test_contextvars",
        "a ContextVar set by the endpoint, in a thread too",
    ),
    Unmet("middleware/test_cors.py::test_cors_allow_all", CREDENTIALS),
    Unmet(
        "middleware/test_cors.py::test_preflight_allows_request_origin_if_origins_wildcard_and_credentials_allowed",
        CREDENTIALS,
    ),
)
