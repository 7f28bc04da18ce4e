"""Where lamella differs from Starlette 1.10 on purpose: the one table, and how tests read it.

A parity case that is listed must differ, and in the way its row says, so that a row which no longer
holds is found; a case that is not listed must not differ. What no parity case shows is shown by the
tests that the row names. `docs/differences.md` is made of the table: to add a row, put it into the
module of its section and run `python -m tests.parity.differences`.
"""

import re

from tests.parity.differences.client import CLIENT
from tests.parity.differences.errors import ERRORS
from tests.parity.differences.files import FILES
from tests.parity.differences.forms import FORMS
from tests.parity.differences.layers import LAYERS
from tests.parity.differences.lifespan import LIFESPAN
from tests.parity.differences.messages import MESSAGES
from tests.parity.differences.policies import POLICIES
from tests.parity.differences.routing import ROUTING
from tests.parity.differences.sessions import SESSIONS
from tests.parity.differences.values import VALUES
from tests.parity.differences.websockets import WEBSOCKETS

SECTIONS = (
    LAYERS,
    ERRORS,
    ROUTING,
    WEBSOCKETS,
    LIFESPAN,
    MESSAGES,
    VALUES,
    FORMS,
    POLICIES,
    SESSIONS,
    FILES,
    CLIENT,
)
DIFFERENCES = tuple(row for section in SECTIONS for row in section.rows)


def difference_of(case):
    """The row of a parity case, or None."""
    rows = [row for row in DIFFERENCES if row.cases and re.fullmatch(row.cases, case)]
    assert len(rows) <= 1, f"{case} stands in several rows: {[row.case for row in rows]}"
    return rows[0] if rows else None


def check(case, starlette, lamella):
    """Fail unless both are equal, or, for a listed case, unless they differ as its row says."""
    row = difference_of(case)
    if row is None:
        assert starlette == lamella
        return
    assert starlette != lamella, f"{case} differs no longer; take it out of {row.case!r}"
    assert row.holds(starlette, lamella), f"not as {row.case!r}:\n{starlette}\n{lamella}"
