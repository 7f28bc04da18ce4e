"""What differs in websockets."""

from tests.parity.differences.table import Difference, Section


def _hostile(starlette, lamella):
    sent = starlette[0][0]["type"] == "websocket.accept" and starlette[1] is None
    return sent and lamella[0] == [] and lamella[1][0] in ("ValueError", "UsageError")


def _cut_reason(starlette, lamella):
    (theirs, ours) = (reply[0][-1]["reason"] for reply in (starlette, lamella))
    return theirs.startswith(ours) and len(ours.encode()) == 122 and theirs != ours


def _quietly_gone(starlette, lamella):
    return starlette[0] == lamella[0] and (starlette[1][0], lamella[1]) == (
        "WebSocketDisconnect",
        None,
    )


def _closed_for_payload(starlette, lamella):
    if starlette[1] is not None and starlette[1][0] == "RuntimeError":  # of a class
        return starlette[0] == lamella[0] and lamella[1] is None
    close = lamella[0][-1]
    return starlette[0][-1] != close and (close["code"], lamella[1]) == (1003, None)


def _told_of_payload(starlette, lamella):
    return "1003: Expected text" in lamella[1][1] and starlette[0] == lamella[0]


def _not_closed_again(starlette, lamella):
    return starlette[0][:-1] == lamella[0] and starlette[0][-1]["type"] == "websocket.close"


def _closed_instead(starlette, lamella):
    (theirs, _), (ours, error) = starlette, lamella
    denied = any(message["type"] == "websocket.http.response.start" for message in theirs)
    return (
        denied
        and error is None
        and (ours[-1]["type"], ours[-1]["code"])
        == (
            "websocket.close",
            1008,
        )
    )


WEBSOCKETS = Section(
    "Websockets",
    (
        Difference(
            "a client that leaves while `receive_text()` and its kin wait, if nobody catches it",
            "`WebSocketDisconnect` goes to the server, with a traceback",
            "quiet; `TestClient` raises it all the same",
            "connections end that way",
            cases=r"websocket reads_(text|bytes|json|binary_json), nothing, .*",
            holds=_quietly_gone,
            checked_by="test_testclient_websocket.py::test_an_endpoint_that_lets_the_disconnect_pass_raises_it_in_the_test",
        ),
        Difference(
            "a client that leaves while an exception is answered",
            "the response or the close is sent, and its `OSError` goes to the server",
            "nothing is sent where it is known; quiet",
            "as above",
            checked_by="test_exception_handler.py::test_client_that_leaves_while_an_exception_is_answered_is_no_error",
        ),
        Difference(
            "binary for `receive_text()`, text for `receive_bytes()`, no JSON for `receive_json()`",
            "`KeyError`, None or `JSONDecodeError`",
            "`WrongPayloadError`, or `MalformedPayloadError`, which is a `JSONDecodeError`; if nobody catches it, it closes with 1003, or 1007 for what is not UTF-8",
            "what a client sends is never an error of the server",
            cases=r"websocket (reads_text|iterates), bytes, .*"
            r"|websocket (reads_bytes|reads_binary_json), (text|both|no json), .*"
            r"|websocket reads_json, (bytes|no json), .*"
            r"|websocket iterates, both, .*",
            holds=_closed_for_payload,
            checked_by="test_websockets.py::test_message_that_is_not_utf8_has_a_code_of_its_own",
        ),
        Difference(
            "the same in a `WebSocketEndpoint`",
            "closes with 1003, and `RuntimeError` goes to the server",
            "closes; the error is a `RuntimeError` that the application answers",
            "as above",
            cases=r"websocket class of text, (bytes|both), .*|websocket class of JSON, no json, .*",
            holds=_closed_for_payload,
        ),
        Difference(
            "a message whose text is None, where the program catches what `receive_text()` raises",
            "nothing: it returns None",
            "`WrongPayloadError`",
            "text was asked for",
            cases=r"websocket catches_disconnect, both, .*",
            holds=_told_of_payload,
        ),
        Difference(
            "a message of the wrong kind that a task group reads",
            "`ExceptionGroup` goes to the server",
            "closes with 1003, if the group holds nothing else",
            "as without a task group",
            checked_by="test_exception_handler.py::test_wrong_message_in_a_task_group_closes_cleanly",
        ),
        Difference(
            "an `HTTPException` after `accept()`; it, or any response as an app, where the server offers no `websocket.http.response`",
            "messages that the server refuses",
            "closes, with 1008, or 1011 for a status from 500 on",
            "there is no HTTP to answer in",
            cases=r"websocket (HTTPException|responds), .*, plain|websocket '/raw/x'"
            r"|websocket HTTPException after accepting, .*",
            holds=_closed_instead,
        ),
        Difference(
            "an exception of a layer of the route, after `accept()`",
            "the handlers take the websocket for one that was not accepted",
            "they know",
            "the messages tell",
            checked_by="test_exception_handler.py::test_exception_of_a_routes_layer_is_answered_as_the_connection_stands",
        ),
        Difference(
            "CR, LF or NUL in headers for `accept()`, a subprotocol that is no token",
            "sent as it is",
            "`ValueError`",
            "it would split the handshake",
            cases=r"websocket accepts_hostile_\w+, .*",
            holds=_hostile,
        ),
        Difference(
            "a reason of more than 123 bytes",
            "sent as it is; servers break the connection",
            "cut, at the end of a character",
            "RFC 6455 section 5.5",
            cases=r"websocket closes_with_much_to_say, .*",
            holds=_cut_reason,
        ),
        Difference(
            "`close()` after the client left",
            "sent to the server",
            "nothing is sent",
            "nobody is there, and servers differ in what they make of it",
            cases=r"websocket closes_after_leaving, .*",
            holds=_not_closed_again,
        ),
        Difference(
            "`send` that raises `OSError` before the connection is accepted",
            "`OSError`",
            "`WebSocketDisconnect`, with 1006",
            "as afterwards",
            checked_by="test_websockets.py::test_connection_that_breaks_is_a_disconnect",
        ),
    ),
)
