"""Cases that stand alone, on both: each tells what it saw."""

import asyncio
import importlib
import sys
import warnings

import pytest

from tests.parity.differences import check
from tests.parity.drive import request
from tests.parity.frameworks import BOTH


class Lost(Exception):
    """An error of the tests' own."""


def background_of_a_failing_stream(fw):
    log = []

    async def after():
        log.append("after")

    async def pieces():
        yield b"one"
        raise Lost("two")

    async def endpoint(request):
        return fw.StreamingResponse(pieces(), background=fw.BackgroundTask(after))

    app = fw.Starlette(routes=[fw.Route("/", endpoint)])
    return asyncio.run(request(app)).seen(), log


def import_of_the_wsgi_layer(fw):
    name = f"{fw.package}.middleware.wsgi"
    known = sys.modules.pop(name, None)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            importlib.import_module(name)
    finally:
        if known is not None:
            sys.modules[name] = known
            setattr(sys.modules[f"{fw.package}.middleware"], "wsgi", known)
    return [warning.category.__name__ for warning in told]


SCRIPTS = {
    "background of a failing stream": background_of_a_failing_stream,
    "import of the WSGI layer": import_of_the_wsgi_layer,
}
CASES = [f"single {name}" for name in SCRIPTS]


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_in_a_case_that_stands_alone(name):
    """Where no row of cases has a place for it."""
    check(f"single {name}", *map(SCRIPTS[name], BOTH))
