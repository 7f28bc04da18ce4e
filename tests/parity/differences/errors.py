"""What differs in errors."""

from tests.parity.differences.table import Difference, Section


def _named(starlette, lamella):
    return starlette[0] == "AssertionError" and lamella[0] == "UsageError"


def _no_response(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    answered = ours[0] == 500 and ours[-1][0] == "NoResponseError" and "Endpoint" in ours[-1][1]
    silent = theirs == ([], None) or theirs[-1] == ("RuntimeError", "No response returned.")
    return answered and silent and their_log == our_log


def _as_it_is(starlette, lamella):
    return starlette[:-1] == lamella[:-1] and lamella[-1][0] == "Lost"


def _started(starlette, lamella):
    text = "Caught handled exception, but response already started."
    return starlette[:-1] == lamella[:-1] and lamella[-1] == ("ResponseStartedError", text)


_INTERNALS = "EndOfStream", "ExceptionGroup"


def _told_and_bare(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    same_error = theirs[0] == ours[0] and (their_log, our_log) == ([], [("lamella.error", "ERROR")])
    return same_error and theirs[1] in _INTERNALS and ours[1] not in _INTERNALS


ERRORS = Section(
    "Errors",
    (
        Difference(
            "a client that leaves while its body is read",
            "`ClientDisconnect` goes to the server, 500",
            "quiet",
            "it is no error of the application",
            checked_by="failures/test_a_no_response.py::test_aborted_upload_is_quiet",
        ),
        Difference(
            "a foreign app that sends no response",
            "`RuntimeError: No response returned.` below a layer; without one, left to the server",
            "500 and `NoResponseError`, a `RuntimeError`, that names the app",
            "so that it is found",
            cases=r"layers (?!answers|breaks |catches\+breaks|marks\+answers|aborts_in_layer).* silent",
            holds=_no_response,
        ),
        Difference(
            "an endpoint that returns None",
            "`TypeError: 'NoneType' object is not callable`",
            "`NoResponseError` that names the endpoint",
            "so that it is found",
            checked_by="test_routing.py::test_endpoint_that_returns_no_response_is_named",
        ),
        Difference(
            "an error after the response began, for which there is a handler",
            "`RuntimeError` that hides it",
            "the error itself",
            "no handler can answer it any more",
            cases=r"errors (/stream|/inner/lost) (by_class|by_kind|by_both|failing_for_class)"
            r"|errors (/stream|/inner/lost) failing_for_500",
            holds=_as_it_is,
        ),
        Difference(
            "a pure ASGI endpoint that raises after it sent the start, with a handler",
            "`RuntimeError`",
            "`ResponseStartedError`, a `RuntimeError`",
            "it can be caught by name",
            cases=r"errors /raw .*",
            holds=_started,
        ),
        Difference(
            "an error of an endpoint below a layer",
            "has an internal error of the framework as its `__context__`",
            "has its own, or none",
            "whoever reads a traceback looks there for the cause",
            cases=r"chain raises_.*",
            holds=_told_and_bare,
            checked_by="failures/test_f_errors.py::test_cause_and_context_are_the_users_own",
        ),
        Difference(
            "a mistake of the programmer, such as a path without a slash or a wrong parameter for a URL",
            "`AssertionError`, often without text, none under `python -O`",
            "`UsageError`, an `AssertionError` and a `ValueError`, with a text",
            "`assert` vanishes under `-O`",
            cases=r"url user \{'username': 'a b/ü'\}|url int \{'n': -3\}",
            holds=_named,
            checked_by="test_routing.py::test_wrong_declarations_say_what_was_expected "
            "security/test_core.py::test_checks_do_not_vanish_under_python_O",
        ),
        Difference(
            "a wrong declaration of a layer",
            "`TypeError` at the first request",
            "`StackError`, a `TypeError`, at the declaration where it can be told there",
            "earlier, and with the name",
            checked_by="middleware/test_middleware.py::test_wrong_layer_is_told_by_name_and_file",
        ),
        Difference(
            "two routes with one path and one method in one list",
            "the second never matches",
            "`StackError`",
            "it would never be noticed",
            checked_by="test_routing.py::test_two_routes_of_one_path_and_method_are_refused_with_both_names",
        ),
        Difference(
            '`methods="GET"`',
            "the methods G, E and T",
            "`StackError`",
            "as above",
            checked_by="test_routing.py::test_wrong_declarations_say_what_was_expected",
        ),
        Difference(
            "unhandled errors",
            "raised to the server",
            "logged by `lamella.error`, and raised to the server",
            "servers differ in what they log",
            checked_by="failures/test_f_errors.py::test_unhandled_error_is_one_error_record_with_its_traceback",
        ),
    ),
)
