"""Users' layers are checked by their type checker: a misspelt argument is found before it runs."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
USES = HERE / "middleware_uses.py"
ROOT = HERE.parents[1]

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("mypy") is None,
        reason="mypy is of the dependency group `lint`, which is not installed",
    ),
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """The lines of the file of uses that mypy --strict finds an error in, each with its text."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--config-file=",
        f"--cache-dir={tmp_path_factory.mktemp('mypy')}",
        str(USES),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    found = {}
    for line in result.stdout.splitlines():
        if match := re.match(rf".*{USES.name}:(\d+): error: (.*)", line):
            found.setdefault(int(match[1]), []).append(match[2])
    return found


def marked():
    """The lines that are marked as wrong."""
    lines = USES.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def test_every_wrong_use_is_an_error(errors):
    """A missing, misspelt or mistyped argument of a layer."""
    lines = USES.read_text(encoding="utf-8").splitlines()
    assert [] == [lines[number - 1] for number in sorted(marked() - errors.keys())]


def test_every_right_use_passes(errors):
    """No false alarm."""
    assert {} == {number: text for number, text in errors.items() if number not in marked()}


def test_misspelt_argument_is_named(errors):
    """The error tells which."""
    texts = " ".join(text for found in errors.values() for text in found)
    for word in ("levle", "nmae", "dispach"):
        assert f'"{word}"' in texts
