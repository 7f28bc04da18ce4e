"""The table of differences itself: each row says why, is held by a test, and stands on the page."""

import ast
import functools
import re
from pathlib import Path

import pytest

from tests.parity import (
    test_bodies,
    test_config_schemas,
    test_errors,
    test_forms,
    test_layers,
    test_policy_layers,
    test_routing,
    test_sessions_auth,
    test_single_cases,
    test_staticfiles,
    test_templating,
    test_testclient,
    test_values,
    test_websockets,
)
from tests.parity.differences import DIFFERENCES, check
from tests.parity.differences.additions import ADDITIONS
from tests.parity.differences.page import COMMAND, PAGE, line, written
from tests.parity.differences.suite import UNMET

TESTS = Path(__file__).resolve().parents[1]

CASES = [
    *(f"path {path!r}" for path in test_routing.PATHS),
    *(f"root path {path!r}" for path in test_routing.PATHS),
    *(f"catch-all path {path!r}" for path in test_routing.PATHS),
    *(f"url {name} {params}" for name, params in test_routing.URLS),
    *(
        f"layers {test_layers.stack_name(stack)} {endpoint.__name__}"
        for stack in test_layers.STACKS
        for endpoint in test_layers.ENDPOINTS
    ),
    *(
        f"errors {path} {handlers.__name__}"
        for path in test_errors.PATHS
        for handlers in test_errors.HANDLERS
    ),
    *(f"lifespan {lifespan.__name__}" for lifespan in test_errors.LIFESPANS),
    *test_bodies.CASES,
    *(f"chain {endpoint.__name__}" for endpoint in test_errors.CHAINS),
    *(f"contextvar of {setter}" for setter in test_layers.SETTERS),
    *test_single_cases.CASES,
    *test_policy_layers.CASES,
    *test_sessions_auth.CASES,
    *test_staticfiles.CASES,
    *test_forms.CASES,
    *test_templating.CASES,
    *test_config_schemas.CASES,
    *(f"client {name}" for name in test_testclient.CASES),
    *test_values.CASES,
    *test_websockets.CASES,
    *(f"lifespan {name}" for name in test_websockets.LIFESPANS),
]


@functools.cache
def names_in(file):
    """The names of the tests in a file, those of classes by `Class::name`."""
    found = set()
    for node in ast.parse((TESTS / file).read_text("utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else ()
        found |= {f"{node.name}::{each.name}" for each in inner if hasattr(each, "name")}
        found.add(getattr(node, "name", ""))
    return {name for name in found if "test_" in name}


def lost_tests(checked_by):
    """Those of the tests that a row names which there are not."""
    named = [test.partition("::") for test in checked_by.split()]
    return [
        f"{file}::{name}"
        for file, _, name in named
        if not (TESTS / file).is_file() or name not in names_in(file)
    ]


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.case)
def test_every_row_is_whole_and_held(row):
    """A row that nothing checks would stand for ever."""
    assert all(row[:4])
    assert bool(row.cases) == bool(row.holds)
    assert row.cases or row.checked_by
    assert not row.cases or any(re.fullmatch(row.cases, case) for case in CASES)
    assert [] == lost_tests(row.checked_by)


@pytest.mark.parametrize("row", ADDITIONS, ids=lambda row: row.name)
def test_every_addition_is_used_by_a_test(row):
    assert row.checked_by
    assert [] == lost_tests(row.checked_by)


@pytest.mark.parametrize(
    "named",
    ["parity/test_gone.py::test_x", "parity/test_differences.py::test_x", "parity/drive.py::ask"],
)
def test_a_test_that_there_is_not_is_found(named):
    """The check must be able to fail."""
    assert [named] == lost_tests(named)


@pytest.mark.parametrize("unmet", UNMET, ids=lambda unmet: unmet.test)
def test_every_test_of_starlettes_that_does_not_pass_has_its_row(unmet):
    assert unmet.case in {row.case for row in DIFFERENCES}


def test_cases_are_distinct():
    """Each thing stands in one place."""
    assert len(DIFFERENCES) == len({row.case for row in DIFFERENCES})


def test_the_page_is_what_the_table_gives():
    """Nobody writes the page by hand."""
    assert written() == PAGE.read_text("utf-8"), f"write docs/differences.md anew: {COMMAND}"


def test_a_cell_of_the_page_stays_one():
    """`|` would end it."""
    assert "| a \\| b | c |\n" == line(["a | b", "c"])


def test_listed_case_that_differs_no_longer_fails():
    """The table cannot grow old."""
    with pytest.raises(AssertionError, match="differs no longer"):
        check("layers aborts_in_layer plain", 1, 1)


def test_listed_case_that_differs_in_another_way_fails():
    """A row is no licence for anything else."""
    with pytest.raises(AssertionError, match="not as"):
        check("layers breaks_after background", ((500,), []), ((200,), []))


def test_unlisted_case_that_differs_fails():
    """This is the point of it all."""
    with pytest.raises(AssertionError):
        check("something else", 1, 2)
