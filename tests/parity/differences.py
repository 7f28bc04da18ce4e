"""Where lamella differs from Starlette 1.10.0 on purpose: the one table, and how tests read it.

A case that is listed must differ, and in the way its row says, so that a row which no longer holds
is found; a case that is not listed must not differ.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Difference(NamedTuple):
    """One difference: its name, why it is there, its cases (a regex) and what is different."""

    name: str
    reason: str
    cases: str
    holds: Callable[[Any, Any], bool]


def _relative(starlette, lamella):
    def moved(reply):
        if reply[0] != 307:
            return reply
        headers = [(name, value.removeprefix(b"http://testserver")) for name, value in reply[1]]
        return reply[0], headers, *reply[2:]

    return {name: moved(reply) for name, reply in starlette.items()} == lamella


def _named(starlette, lamella):
    return starlette[0] == "AssertionError" and lamella[0] == "UsageError"


def _no_response(starlette, lamella):
    (theirs, their_log), (ours, our_log) = starlette, lamella
    answered = ours[0] == 500 and ours[-1][0] == "NoResponseError" and "Endpoint" in ours[-1][1]
    silent = theirs == ([], None) or theirs[-1] == ("RuntimeError", "No response returned.")
    return answered and silent and their_log == our_log


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


def _as_it_is(starlette, lamella):
    return starlette[:-1] == lamella[:-1] and lamella[-1][0] == "Lost"


def _started(starlette, lamella):
    text = "Caught handled exception, but response already started."
    return starlette[:-1] == lamella[:-1] and lamella[-1] == ("ResponseStartedError", text)


REDIRECTED = "|".join(
    re.escape(path)
    for path in (
        "",
        "/users/",
        "/users/me/",
        "/users//",
        "/users/7/posts/",
        "/files",
        "/closed",
        "/open/",
        "/raw",
        "/api",
        "/api/items/",
        "/api/v1/deep/",
        "/api/v1",
        "/t/acme",
        "/t/acme/start/",
        "/sub/inside/",
        "/sub",
    )
)
REDIRECTED_WITH_CATCH_ALL = "|/api/items/|/api/v1/deep/|/api/v1|/t/acme/start/|/sub/inside/|/late/"
# Stacks whose outermost answer is drawn from the endpoint's stream by a dispatch layer.
DRAWN = r"(?:(?:passes|marks|reads|catches|pure)\+?)+"

DIFFERENCES = (
    Difference(
        "redirects for slashes are relative",
        "an absolute one reflects the Host header, which the client wrote",
        rf"(path|root path) '({REDIRECTED})'"
        rf"|root path '/pre'|catch-all path '({REDIRECTED_WITH_CATCH_ALL})'",
        _relative,
    ),
    Difference(
        "a path parameter that cannot be written tells what was expected",
        "the class is a kind of Starlette's, the text is for people",
        r"url user \{'username': 'a b/ü'\}|url int \{'n': -3\}",
        _named,
    ),
    Difference(
        "an app that sends no response is named",
        "without a layer Starlette leaves the client with no answer at all",
        r"layers (?!answers|breaks |catches\+breaks|marks\+answers|aborts_in_layer).* silent",
        _no_response,
    ),
    Difference(
        "a stream that fails is cut off",
        "a last message after an error makes a half download look whole",
        rf"layers (?!(pure|pure\+pure|catches\+breaks) ){DRAWN} fails_(early_)?in_stream",
        _cut_off,
    ),
    Difference(
        "a layer that reads a stream gets its error",
        "the layer would take a part for the whole",
        r"layers (rewraps|marks\+rewraps\+passes) fails_(early_)?in_stream",
        _raised_to_reader,
    ),
    Difference(
        "a stream that a layer dropped is not run",
        "nobody reads it, so it has no error either",
        r"layers replaces fails_(early_)?in_stream",
        _unread,
    ),
    Difference(
        "an HTTPException raised in a layer is answered",
        "it says which answer is meant, wherever it is raised",
        r"layers aborts_in_layer .*",
        _handled,
    ),
    Difference(
        "a dispatch that returns None is named",
        "'NoneType' object is not callable tells nobody where",
        r"layers returns_none (?!fails$|fails_kind$|silent$).*",
        _none,
    ),
    Difference(
        "a background task outlives an error of a layer",
        "it was given to a response that was made, and nothing may lose it",
        r"layers breaks_after background",
        _background,
    ),
    Difference(
        "an error after the response began passes on as it is",
        "no handler can answer it, and an error that hides it tells nothing",
        r"errors (/stream|/inner/lost) (by_class|by_kind|by_both|failing_for_class)"
        r"|errors (/stream|/inner/lost) failing_for_500",
        _as_it_is,
    ),
    Difference(
        "an answer too late has a class of its own",
        "it is a RuntimeError, as Starlette's, that can be caught by name",
        r"errors /raw .*",
        _started,
    ),
)


def difference_of(case):
    """The row of a case, or None."""
    rows = [row for row in DIFFERENCES if re.fullmatch(row.cases, case)]
    assert len(rows) <= 1, f"{case} stands in several rows: {[row.name for row in rows]}"
    return rows[0] if rows else None


def check(case, starlette, lamella):
    """Fail unless both are equal, or, for a listed case, unless they differ as its row says."""
    row = difference_of(case)
    if row is None:
        assert starlette == lamella
        return
    assert starlette != lamella, f"{case} differs no longer; take it out of {row.name!r}"
    assert row.holds(starlette, lamella), f"not as {row.name!r}:\n{starlette}\n{lamella}"
