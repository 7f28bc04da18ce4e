"""What differs in the lifespan."""

from tests.parity.differences.table import Difference, Section


def _mounted_runs(starlette, lamella):
    return "+inner" not in starlette[0] and lamella[0][:2] == ["+outer", "+inner"]


def _not_deprecated(starlette, lamella):
    warned = starlette[-1] == ["StarletteDeprecationWarning"]
    return warned and starlette[:-1] == lamella[:-1] and lamella[-1] == []


LIFESPAN = Section(
    "The lifespan",
    (
        Difference(
            "the lifespan of an application or router of lamella that is mounted",
            "not run",
            "run: after that of the application around it, in the order of the routes, left in reverse",
            "it is not whole without",
            cases=r"lifespan mounted(, failing start)?",
            holds=_mounted_runs,
            checked_by="test_lifespan.py::test_lifespans_are_entered_from_outside_in_and_left_in_reverse",
        ),
        Difference(
            "the same, mounted twice, or entered by hand in the lifespan around it (`inner.router.lifespan_context(inner)`)",
            "as the program does it",
            "once",
            "programs written for Starlette do that",
            checked_by="test_lifespan.py::test_application_mounted_twice_or_in_itself_is_entered_once "
            "test_lifespan.py::test_lifespan_that_is_entered_by_hand_is_not_entered_again",
        ),
        Difference(
            "a generator function as a lifespan",
            "deprecated",
            "as good as one with `@asynccontextmanager`",
            "it says the same",
            cases=r"lifespan (async_)?generator",
            holds=_not_deprecated,
        ),
        Difference(
            "the state of several lifespans",
            "that of the outermost",
            "all of it, in one; two that give one key are a `StackError`",
            "one would get the other's",
            checked_by="test_lifespan.py::test_state_of_all_is_merged_and_seen_by_all "
            "test_lifespan.py::test_key_that_two_give_is_an_error_that_names_both",
        ),
        Difference(
            "a lifespan that fails at its end",
            "contexts around it see its error, and may skip their own end",
            "all are ended; the first error is raised, further ones are logged",
            "a database has to be closed all the same",
            checked_by="test_lifespan.py::test_further_errors_are_logged",
        ),
    ),
    """\
Whether a program has started a lifespan by hand is told by the router's `lifespan_context`.
One that calls its own function instead, `async with my_lifespan(inner)`, is not seen: leave that line out, or mount with `Mount(..., lifespan=False)`.
What is mounted and no application of lamella keeps its lifespan to itself, as in Starlette: whether it is run by hand cannot be seen.
With `Mount(..., lifespan=True)` it is served in a task of its own, and an app that has none is then an error.
Routes that are added after the start are not started.
""",
)
