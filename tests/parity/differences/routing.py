"""What differs in routing."""

import re

from tests.parity.differences.table import Difference, Section


def _relative(starlette, lamella):
    def moved(reply):
        if reply[0] != 307:
            return reply
        headers = [(name, value.removeprefix(b"http://testserver")) for name, value in reply[1]]
        return reply[0], headers, *reply[2:]

    return {name: moved(reply) for name, reply in starlette.items()} == lamella


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

ROUTING = Section(
    "Routing",
    (
        Difference(
            "redirects for slashes",
            "absolute, with the `Host` of the request",
            "relative",
            "the client wrote that header",
            cases=rf"(path|root path) '({REDIRECTED})'"
            rf"|root path '/pre'|catch-all path '({REDIRECTED_WITH_CATCH_ALL})'",
            holds=_relative,
        ),
        Difference(
            "finding a route",
            "each is tried in turn",
            "an index; the first declared match wins all the same",
            "the cost does not grow with the number of routes",
            checked_by="test_routing.py::test_matching_does_not_ask_every_route "
            "test_index.py::test_the_first_match_is_the_first_match_of_a_plain_scan",
        ),
        Difference(
            "several parameters in one segment",
            "a hostile path takes seconds",
            "a bounded number of steps for each character",
            "one request must not stop the others",
            checked_by="security/test_core.py::test_route_match_is_not_polynomial "
            "test_paths.py::test_a_search_takes_a_bounded_number_of_steps_for_each_character",
        ),
        Difference(
            "a convertor that raises `ValueError`, such as `{n:int}` for 5,000 digits",
            "500",
            "no match, 404",
            "what a client sends is never an error of the server",
            checked_by="security/test_core.py::test_convertors_huge "
            "test_routing.py::test_parameter_that_no_convertor_can_take_is_no_match",
        ),
        Difference(
            "`{x:float}` for a number beyond the largest",
            "infinity",
            "no match",
            "`inf` is no number a client can mean",
            checked_by="test_convertors.py::test_float_that_is_not_finite_is_no_match",
        ),
    ),
)
