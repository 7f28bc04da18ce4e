"""What differs in requests and responses."""

from tests.parity.differences.table import Difference, Section

_GONE = ("BodyConsumedError", "Stream consumed")


def _rest_is_no_body(starlette, lamella):
    theirs, reply = starlette
    return theirs["after"] == b"two" and ({**theirs, "after": _GONE}, reply) == lamella


def _gone_by_name(starlette, lamella):
    theirs, reply = starlette
    told = theirs["after"] == ("RuntimeError", _GONE[1])
    return told and ({**theirs, "after": _GONE}, reply) == lamella


MESSAGES = Section(
    "Requests and responses",
    (
        Difference(
            "a function that streams a part of the body, stops, and reads again",
            "gets the rest",
            "`BodyConsumedError`",
            "the rest looks like a whole body",
            cases=r"body (unread, begun|begun, unread), (whole|streamed)",
            holds=_rest_is_no_body,
            checked_by="test_requests.py::test_function_that_streams_again_for_another_run_is_told_that_it_did",
        ),
        Difference(
            "a body that was streamed, when it is asked for again",
            "`RuntimeError: Stream consumed`",
            "`BodyConsumedError`, a `RuntimeError`, that names who streamed it",
            "it can be caught by name, and is found",
            cases=r"body (unread, (streamed|received)|streamed, unread), (whole|streamed)",
            holds=_gone_by_name,
        ),
        Difference(
            "a body that is not JSON, in `request.json()`",
            "`JSONDecodeError`, and a 500 if nobody catches it",
            "`MalformedJSONError`, which is one, and a 400 if nobody catches it",
            "what a client sends is never an error of the server",
            checked_by="test_requests.py::test_what_is_no_json_is_the_error_of_the_standard_library "
            "test_requests.py::test_what_is_no_json_is_a_400_over_an_application",
        ),
        Difference(
            "JSON in UTF-16 or UTF-32",
            "read",
            "400",
            "RFC 8259 section 8.1: UTF-8",
            checked_by="test_requests.py::test_what_is_no_json_is_a_400_over_an_application",
        ),
        Difference(
            "half of a surrogate pair in what goes out as JSON, where only JSON can bring it in",
            "`UnicodeEncodeError`",
            "its escape, `\\ud800`",
            "what a client sends is never an error of the server",
            checked_by="security/test_core.py::test_json_that_came_in_goes_out "
            "security/test_core.py::test_json_that_came_in_by_a_websocket_goes_out",
        ),
        Difference(
            "CR, LF or NUL in a header, a name that is no token",
            "sent as it is",
            "`ValueError` when it is set",
            "it would split the response",
            checked_by="security/test_core.py::test_no_door_lets_a_line_end_into_a_header "
            "test_responses.py::test_header_name_that_is_no_token_is_refused",
        ),
        Difference(
            "`;` or a control character in a cookie's domain, path or expires",
            "sent as it is",
            "`ValueError`",
            "it would add attributes",
            checked_by="security/test_core.py::test_set_cookie_attribute_injection "
            "test_responses.py::test_attribute_that_could_end_itself_is_refused",
        ),
        Difference(
            "a file whose copy the client holds (`If-None-Match`, `If-Modified-Since`)",
            "sent again by `FileResponse`",
            "304",
            "as `StaticFiles` does it",
            checked_by="test_file_body.py::test_copy_that_is_still_good_is_answered_with_304",
        ),
        Difference(
            "a file that is gone, or is another of another length, when it comes to be opened",
            "a response that is cut off, or the start of the new file under the tag of the old",
            "an error, and nothing of a response",
            "a cache would keep it",
            checked_by="test_file_body.py::test_file_that_is_gone_after_it_was_looked_at_is_an_error "
            "test_file_body.py::test_file_that_was_put_in_its_place_is_not_sent_under_its_tag",
        ),
        Difference(
            "several ranges of which one can be satisfied",
            "416",
            "206 with those that can",
            "RFC 9110 section 14.1.2",
            checked_by="test_ranges.py::test_one_satisfiable_range_of_several_is_enough",
        ),
        Difference(
            "a range such as `bytes=1_0-`",
            "taken",
            "400",
            "RFC 9110 section 14.1.1: digits only",
            checked_by="test_ranges.py::test_positions_are_ascii_digits",
        ),
        Difference(
            "a suffix range of an empty file",
            "416",
            "200",
            "it is satisfied by nothing",
            checked_by="test_ranges.py::test_suffix_of_an_empty_file_is_all_of_it",
        ),
        Difference(
            "a client that left before a stream began",
            "it is begun",
            "it is not begun",
            "nobody reads it",
            checked_by="test_responses.py::test_stream_does_not_begin_for_a_client_that_has_left",
        ),
        Difference(
            "`BackgroundTask(lambda: coroutine())`",
            "the coroutine is never awaited",
            "awaited",
            "it was meant",
            checked_by="test_background.py::test_coroutine_of_a_function_in_disguise_is_awaited",
        ),
    ),
)
