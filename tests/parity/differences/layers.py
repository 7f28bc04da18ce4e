"""What differs in layers."""

from tests.parity.differences.table import Difference, Section


def _cut_off(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    return (*theirs[:3], False, theirs[4]) == ours and theirs[3] and their_log == our_log


def _raised_to_reader(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    return (theirs[0], ours[0]) == (200, 500) and theirs[-1] == ours[-1]


def _unread(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    return theirs[:4] == ours[:4] and theirs[-1][0] == "Lost" and ours[-1] is None


def _handled(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    return theirs[0] == 500 and (ours[0], ours[2], ours[4]) == (401, b"layer", None)


def _none(starlette, lamella):
    theirs, ours = starlette[0], lamella[0]
    told = "returns_none.<locals>.dispatch" in ours[-1][1] and "returned None" in ours[-1][1]
    return theirs[:4] == ours[:4] and ours[-1][0] == "NoResponseError" and told


def _background(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    return theirs == ours and [*their_log, "after"] == our_log


def _flows_out(starlette, lamella):
    return (starlette, lamella) == (["none", "none"], ["none", "endpoint's"])


_GONE = ("BodyConsumedError", "Stream consumed")


def _gone_is_told(starlette, lamella):
    (theirs, _), (ours, _) = starlette, lamella
    in_part = theirs["inside"] in (b"", b"two") and ours["inside"] == _GONE
    return in_part and ours["before"] == theirs["before"] and ours["after"] in (None, _GONE)


def _kept_for_layers(starlette, lamella):
    theirs, reply = starlette
    told = theirs["after"] == ("RuntimeError", _GONE[1])
    return told and ({**theirs, "after": theirs["inside"]}, reply) == lamella


def _form_shared(starlette, lamella):
    return starlette[2] == b"[]" and lamella[0] == 200 and lamella[2].startswith(b"[[")


# Stacks whose outermost answer is drawn from the endpoint's stream by a dispatch layer.
DRAWN = r"(?:(?:passes|marks|reads|catches|pure)\+?)+"


def _ran_too(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    return theirs == ours and (their_log, our_log) == ([], ["after"])


LAYERS = Section(
    "Layers",
    (
        Difference(
            "an `HTTPException`, or an exception that a handler is registered for, raised in a dispatch layer of the application, or by an authentication backend",
            "500",
            "its own answer",
            "it says which answer is meant, wherever it is raised",
            cases=r"layers aborts_in_layer .*",
            holds=_handled,
            checked_by="failures/test_f_errors.py::test_registered_handlers_answer_what_a_layer_raises "
            "middleware/test_authentication.py::test_http_exception_is_answered",
        ),
        Difference(
            "the request given to `call_next`",
            "ignored",
            "the one that is passed on",
            "a layer that rewrites a path or a body means it",
            checked_by="middleware/test_base.py::test_request_given_to_call_next_is_the_one_passed_on",
        ),
        Difference(
            "`call_next` awaited again",
            "`AssertionError`",
            "the inside runs again; an unsent response is closed first",
            "retries",
            checked_by="middleware/test_base.py::test_call_next_may_be_awaited_again "
            "failures/test_g_body.py::test_dropped_response_is_closed_before_the_inside_runs_again",
        ),
        Difference(
            "a dispatch that returns None",
            "`TypeError: 'NoneType' object is not callable`",
            "`NoResponseError` that names the layer",
            "so that it is found",
            cases=r"layers returns_none (?!fails$|fails_kind$|silent$).*",
            holds=_none,
        ),
        Difference(
            "a dispatch that is not `async def` but returns an awaitable",
            "works",
            "`StackError` when it is declared",
            "nearly always a forgotten `async`",
            checked_by="middleware/test_base.py::test_dispatch_that_is_not_async_is_refused",
        ),
        Difference(
            "the response that `call_next` returns",
            "a streaming stand-in, without `body`",
            "the endpoint's own object",
            "layers can look at the body",
            checked_by="middleware/test_base.py::test_call_next_gives_the_endpoints_own_object",
        ),
        Difference(
            "a ContextVar set by the endpoint, in a thread too",
            "not seen by layers",
            "seen",
            "one task, one context",
            cases=r"contextvar of (sync )?endpoint",
            holds=_flows_out,
        ),
        Difference(
            "`is_disconnected()` below a layer",
            "False, though the client left",
            "True",
            "one owner of `receive`",
            checked_by="failures/test_c_disconnect.py::test_is_disconnected_turns_true_below_the_layers",
        ),
        Difference(
            "a form read in a layer",
            "the endpoint gets an empty one, silently",
            "the endpoint gets the same form, with the same files",
            "there is one request, and one form",
            cases=r"form in_a_layer .*",
            holds=_form_shared,
        ),
        Difference(
            "a body streamed in a layer",
            "the endpoint gets an empty body, silently",
            "`BodyConsumedError` that names who streamed it",
            "a silent loss is worse than an error",
            cases=r"body streamed, (?!unread).*",
            holds=_gone_is_told,
            checked_by="failures/test_g_body.py::test_error_for_a_streamed_body_names_the_layer",
        ),
        Difference(
            "a layer that streams a part of the body, and an endpoint or app that reads on",
            "gets the rest",
            "`BodyConsumedError`",
            "the rest looks like a whole body",
            cases=r"body begun, (?!unread).*",
            holds=_gone_is_told,
        ),
        Difference(
            "`body()` or `stream()` in a layer after an endpoint that read the body whole",
            "`RuntimeError: Stream consumed`",
            "the body that the endpoint read",
            "there is one request, and one body",
            cases=r"body unread, whole, (whole|streamed)",
            holds=_kept_for_layers,
        ),
        Difference(
            "a stream that fails, below a layer",
            "closed with a last message, so it looks whole",
            "left unfinished",
            "half a download must not look whole",
            cases=rf"layers (?!(pure|pure\+pure|catches\+breaks) ){DRAWN} fails_(early_)?in_stream",
            holds=_cut_off,
        ),
        Difference(
            "a layer that reads `body_iterator` of a failing stream",
            "gets a part, as if it were all",
            "gets the error",
            "as above",
            cases=r"layers (rewraps|marks\+rewraps\+passes) fails_(early_)?in_stream",
            holds=_raised_to_reader,
        ),
        Difference(
            "a stream that a layer drops",
            "runs on, its error included",
            "closed, or never begun",
            "nobody reads it",
            cases=r"layers replaces fails_(early_)?in_stream",
            holds=_unread,
        ),
        Difference(
            "a layer that raises after `call_next`",
            "the background task of the response is not run",
            "it is run",
            "it was given to a response that was made, and nothing may lose it",
            cases=r"layers breaks_after background",
            holds=_background,
        ),
        Difference(
            "a stream that fails",
            "its background task is not run",
            "it is run",
            "as above",
            cases=r"single background of a failing stream",
            holds=_ran_too,
        ),
        Difference(
            "the same response object returned for many requests",
            "layers' changes add up",
            "each request has its own",
            "a response is often a module's constant",
            checked_by="test_outcomes.py::test_object_made_once_is_marked_for_one_request_alone "
            "test_responses.py::test_object_returned_for_many_requests_is_the_same_for_each",
        ),
        Difference(
            "one function as a layer in `middleware=[...]`",
            "`TypeError`",
            "a layer",
            "shorter",
            checked_by="test_routing.py::test_layers_in_every_form_and_place",
        ),
        Difference(
            "what a layer costs",
            "a task group, a task and a stream a request",
            "a function call and an await",
            "see the figures in the README",
            checked_by="failures/test_j_cost.py::test_tasks_do_not_grow_with_native_layers",
        ),
    ),
)
