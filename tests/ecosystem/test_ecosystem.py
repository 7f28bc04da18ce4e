"""Packages made for Starlette run on lamella: each in a pytest process of its own.

The programs in `apps/` import `starlette` and know nothing of lamella. To see one on Starlette
itself: `python -m pytest tests/ecosystem/apps/fastapi.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = sorted(path.stem for path in (ROOT / "tests/ecosystem/apps").glob("*.py"))
APPS.remove("conftest")
# Some packages take seconds to import where other work is going on.
SECONDS = 60


def run(path):
    """Run a program's tests on lamella; return the exit code and what pytest said."""
    command = [sys.executable, "-m", "lamella", "--as-starlette", "-m", "pytest", "-q", str(path)]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--tb=short", "--timeout=30"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=ROOT,
        env={**os.environ, "TESTED_ON": "lamella"},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(SECONDS + 5)
@pytest.mark.parametrize("name", APPS)
def test_a_package_runs_on_lamella(name):
    """With its main use, under four dispatch layers."""
    code, said = run(ROOT / "tests/ecosystem/apps" / f"{name}.py")
    assert 0 == code, said
    assert " passed" in said


@pytest.mark.timeout(SECONDS + 5)
def test_a_program_that_fails_is_shown(tmp_path):
    """The tests above must be able to fail, and say why."""
    path = tmp_path / "test_broken.py"
    path.write_text("def test_it():\n    import starlette.routing as r\n    assert 0, r.__name__")
    code, said = run(path)
    assert 1 == code
    assert "AssertionError: lamella.routing" in said
