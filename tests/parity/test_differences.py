"""The table of differences itself: each row is read by a case, and says why."""

import re

import pytest

from tests.parity import (
    test_config_schemas,
    test_errors,
    test_forms,
    test_layers,
    test_policy_layers,
    test_routing,
    test_sessions_auth,
    test_staticfiles,
    test_templating,
    test_testclient,
    test_websockets,
)
from tests.parity.differences import DIFFERENCES, check

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
    *test_policy_layers.CASES,
    *test_sessions_auth.CASES,
    *test_staticfiles.CASES,
    *test_forms.CASES,
    *test_templating.CASES,
    *test_config_schemas.CASES,
    *(f"client {name}" for name in test_testclient.CASES),
    *test_websockets.CASES,
    *(f"lifespan {name}" for name in test_websockets.LIFESPANS),
]


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.name)
def test_every_row_has_a_case_and_a_reason(row):
    """A row that no case reads would stand for ever."""
    assert row.reason
    assert any(re.fullmatch(row.cases, case) for case in CASES)


def test_names_are_distinct():
    """So that docs can refer to them."""
    assert len(DIFFERENCES) == len({row.name for row in DIFFERENCES})


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
