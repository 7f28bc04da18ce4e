"""What differs in the test client."""

from tests.parity.differences.table import Difference, Section


def _told_of_refusal(starlette, lamella):
    *theirs, cancelled = starlette["app"]
    told = {"type": "websocket.disconnect", "code": 1006, "reason": None}
    same_to_the_test = {**starlette, "app": None} == {**lamella, "app": None}
    return same_to_the_test and cancelled is not None and [*theirs, told] == lamella["app"]


def _not_accepted(starlette, lamella):
    return "result" in starlette and lamella["raised"]["kinds"][0] == "AssertionError"


CLIENT = Section(
    "The test client",
    (
        Difference(
            "a test that waits for a message of a websocket app that has ended",
            "hangs",
            "gets the app's error, or `WebSocketDisconnect`, with 1006 if the app did not close",
            "a hang tells nothing",
            checked_by="test_testclient_websocket.py::test_a_test_that_waits_for_an_app_that_has_ended_gets_an_error",
        ),
        Difference(
            "an app that returns without accepting a websocket",
            "hangs",
            "`AssertionError` that names the path",
            "as above",
            checked_by="test_testclient_websocket.py::test_an_app_that_returns_without_accepting_is_named_by_its_path",
        ),
        Difference(
            "an app that refused a websocket",
            "is cancelled",
            "reads the disconnect, and is cancelled if it does not end by that",
            "as with a server, where nothing cancels it in what it does after that",
            cases=r"client websocket, (refused|denied).*",
            holds=_told_of_refusal,
        ),
        Difference(
            "a websocket app that sends before it accepts",
            "counts as accepted",
            "`AssertionError`",
            "a server would refuse that",
            cases=r"client websocket, sent to before it accepts",
            holds=_not_accepted,
        ),
        Difference(
            "`receive_text()` for bytes, `receive_bytes()` for text",
            "`KeyError: 'text'`",
            "a `KeyError` that says what came",
            "so that it is understood",
            checked_by="test_testclient_websocket.py::test_a_message_of_the_other_kind_is_told",
        ),
        Difference(
            'another word than "text" or "binary" as the mode of JSON',
            'taken for "binary"',
            "`UsageError`",
            "as above",
            checked_by="test_testclient_websocket.py::test_a_mode_of_json_is_text_or_binary",
        ),
        Difference(
            "the dict given as `headers=` of a websocket",
            "is added to; a list of pairs fails",
            "stays as it is; whatever httpx takes",
            "it is the caller's",
            checked_by="test_testclient_websocket.py::test_the_headers_given_for_a_websocket_stay_as_they_are",
        ),
        Difference(
            "a lifespan that reports a failure, and raises nothing",
            "passed over; a failed startup hangs",
            "`RuntimeError` with its message",
            "the application has not started",
            checked_by="test_testclient.py::test_a_failed_startup_without_an_error_raises_its_message "
            "test_testclient.py::test_a_failed_shutdown_without_an_error_raises_its_message",
        ),
        Difference(
            "response headers that are not UTF-8",
            "`UnicodeDecodeError`",
            "the bytes that were sent",
            "HTTP allows them, and servers send them",
            checked_by="test_testclient.py::test_response_headers_stay_the_bytes_that_were_sent",
        ),
        Difference(
            "httpx in place of httpx2",
            "a warning",
            "none",
            "it works",
            checked_by="test_testclient.py::test_httpx2_is_taken_first_and_httpx_without_it",
        ),
    ),
)
