"""What differs in sessions, authentication, WSGI and tracing."""

from tests.parity.differences.table import Difference, Section


def _without(reply, *names):
    return reply[0], [pair for pair in reply[1] if pair[0].decode() not in names], *reply[2:]


def _says_it_varies(starlette, lamella):
    theirs = [(n, v + b", Cookie" if n == b"vary" else v) for n, v in starlette[1]]
    return (starlette[0], theirs, *starlette[2:]) == lamella


def _empty_session(starlette, lamella):
    return (starlette[0], lamella[0], lamella[2:]) == (500, 200, (b"ok", True, None))


def _sent_too(starlette, lamella):
    return _without(lamella, "set-cookie") == starlette


def _replaced(starlette, lamella):
    theirs = starlette[-1][0] == "AttributeError"
    return theirs and lamella[0] == 200 and "set-cookie" in str(lamella[1])


def _sent_on_accept(starlette, lamella):
    headers = lamella[0]["headers"]
    return (
        starlette[0]["headers"] == []
        and headers[0][0] == b"set-cookie"
        and (starlette[1:] == lamella[1:])
    )


def _hyphens_alone(starlette, lamella):
    kept = {"HTTP_X_Y": "b"} if "HTTP_X_Y" in starlette else {}
    names = "HTTP_X_Y", "HTTP_PROXY"
    return {n: v for n, v in starlette.items() if n not in names} | kept == lamella


def _joined_cookies(starlette, lamella):
    return {**starlette, "HTTP_COOKIE": "a=1; b=2"} == lamella


def _any_query(starlette, lamella):
    return starlette == "UnicodeDecodeError" and lamella["QUERY_STRING"] == "\xff"


def _status_too(starlette, lamella):
    return [{**span, "http.response.status_code": 500} for span in starlette] == lamella


def _known_method(starlette, lamella):
    other = {
        "name": "HTTP /users/{name}",
        "http.request.method": "_OTHER",
        "http.request.method_original": "BREW",
    }
    return [{**span, **other} for span in starlette] == lamella


def _no_warning(starlette, lamella):
    return (starlette, lamella) == (["StarletteDeprecationWarning"], [])


SESSIONS = Section(
    "Sessions, authentication, WSGI and tracing",
    (
        Difference(
            "an empty `secret_key`, or None",
            "taken; None is the text `None`",
            "`UsageError`",
            "anybody could write sessions",
            checked_by="security/test_sessions.py::test_empty_key_is_refused_when_the_stack_is_built",
        ),
        Difference(
            "a session cookie that is signed and holds something else",
            "500",
            "an empty session",
            "a 500 would lock that browser out for as long as it keeps the cookie",
            cases=r"session .* junk .*",
            holds=_empty_session,
        ),
        Difference(
            '`request.scope["session"]`, looked at',
            "no `Vary`",
            "`Vary: Cookie`",
            "a cache would give one user's page to another",
            cases=r"session look by the scope (?!junk).*"
            r"|session pop by the scope (none|nested|emptied|forged|unsigned) .*",
            holds=_says_it_varies,
        ),
        Difference(
            '`session["cart"].append(1)`',
            "lost",
            "kept",
            "it was meant",
            cases=r"session change inside nested .*",
            holds=_sent_too,
        ),
        Difference(
            "a dict put in the place of the session",
            "`AttributeError`",
            "it replaces the session",
            "it was meant",
            cases=r"session replace (?!junk).*",
            holds=_replaced,
        ),
        Difference(
            "a session changed before a websocket is accepted",
            "lost",
            "sent with the acceptance",
            "there is no other place",
            cases=r"session websocket set before .*",
            holds=_sent_on_accept,
        ),
        Difference(
            "a session changed when the response has begun",
            "lost",
            "lost, and logged",
            "so that it is found",
            checked_by="middleware/test_sessions.py::test_change_while_the_response_streams_is_lost_and_logged_once",
        ),
        Difference(
            "a session of more than 4,096 bytes",
            "sent",
            "sent, and logged",
            "browsers lose it",
            checked_by="security/test_sessions.py::test_session_too_big_for_a_browser_is_logged",
        ),
        Difference(
            "a name, path or domain that no cookie can have; `__Host-` without what it demands",
            "sent as it is",
            "`UsageError` when the stack is built",
            "browsers refuse it, or read something else",
            checked_by="security/test_sessions.py::test_name_that_no_cookie_can_have_is_refused_when_the_stack_is_built "
            "security/test_sessions.py::test_attribute_that_could_end_the_cookie_is_refused_when_the_stack_is_built "
            "security/test_sessions.py::test_prefixed_name_demands_what_the_prefix_promises",
        ),
        Difference(
            "a class, or something without `authenticate`, as the backend; an async `on_error`",
            "fails at the first request",
            "`StackError` when the stack is built",
            "earlier, and with the name",
            checked_by="middleware/test_authentication.py::test_backend_that_is_none_is_refused_when_the_stack_is_built "
            "middleware/test_authentication.py::test_async_on_error_is_refused_when_the_stack_is_built",
        ),
        Difference(
            "the connection given to a backend",
            "an `HTTPConnection`",
            "of a request, the `Request`",
            "a backend may read the body, which the endpoint gets too",
            checked_by="middleware/test_authentication.py::test_backend_reads_the_body_without_taking_it_away",
        ),
        Difference(
            "`middleware.wsgi`",
            "deprecated",
            "is there to stay",
            "old applications stay, too",
            cases=r"single import of the WSGI layer",
            holds=_no_warning,
        ),
        Difference(
            "a WSGI app and a client that reads slowly",
            "all of the response is made at once and kept",
            "a piece at a time",
            "memory",
            checked_by="security/test_wsgi.py::test_slow_client_is_not_sent_ahead_of",
        ),
        Difference(
            "a WSGI app and a client that leaves in mid-upload",
            "runs with a part of the body",
            "does not run",
            "half a file would be stored",
            checked_by="security/test_wsgi.py::test_cut_off_upload_does_not_reach_the_app",
        ),
        Difference(
            "a WSGI app whose client left",
            "runs to its end",
            "is closed before its next piece",
            "a thread would be lost",
            checked_by="security/test_wsgi.py::test_app_ends_when_its_client_left_and_the_server_says_so "
            "security/test_wsgi.py::test_app_ends_when_its_client_left_and_the_server_says_nothing",
        ),
        Difference(
            "`close()` of a WSGI response",
            "not called",
            "called",
            "PEP 3333",
            checked_by="middleware/test_wsgi.py::test_iterable_is_closed",
        ),
        Difference(
            "the `write` that `start_response` returns",
            "missing",
            "there",
            "PEP 3333",
            checked_by="middleware/test_wsgi.py::test_body_is_sent_piece_by_piece",
        ),
        Difference(
            "a header `x_real_ip`, or `proxy`, for a WSGI app",
            "passed on as `HTTP_X_REAL_IP`, `HTTP_PROXY`",
            "left out",
            "it takes the name of another",
            cases=r"environ (underscore|proxy)",
            holds=_hyphens_alone,
        ),
        Difference(
            "several `Cookie` headers for a WSGI app",
            "joined by `,`",
            "joined by `; `",
            "RFC 9113 section 8.2.3",
            cases=r"environ cookies",
            holds=_joined_cookies,
        ),
        Difference(
            "a query that is not ASCII, for a WSGI app",
            "500",
            "passed on",
            "a client chooses it",
            cases=r"environ query",
            holds=_any_query,
        ),
        Difference(
            "the span of an unhandled error",
            "has no status",
            "500",
            "it was sent",
            cases=r"span fails",
            holds=_status_too,
        ),
        Difference(
            "the span of a client that left",
            "an error, or nothing",
            "`lamella.client_left`",
            "it is no error of the application",
            checked_by="middleware/test_opentelemetry.py::test_client_that_left_is_no_error "
            "middleware/test_opentelemetry.py::test_client_that_left_in_mid_stream_is_no_error",
        ),
        Difference(
            "the span of a method that a client made up",
            "is named by it",
            "`HTTP`, and `_OTHER`",
            "the semantic conventions; each would be a series of its own",
            cases=r"span made-up method",
            holds=_known_method,
        ),
        Difference(
            "a span and background tasks",
            "ends after them",
            "ends when the response was sent",
            "it is what the client waited",
            checked_by="middleware/test_opentelemetry.py::test_span_ends_when_the_response_was_sent",
        ),
    ),
)
