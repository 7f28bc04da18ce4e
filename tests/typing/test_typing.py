"""Users' code is checked by their type checker: a misspelt argument is found before it runs."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = {name: HERE / f"{name}_uses.py" for name in ("middleware", "typed")}
ROOT = HERE.parents[1]

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("mypy") is None,
        reason="mypy is of the dependency group `lint`, which is not installed",
    ),
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module", params=FILES)
def uses(request):
    """A file of uses: of layers, or of typed endpoints."""
    return FILES[request.param]


@pytest.fixture(scope="module")
def errors(uses, tmp_path_factory):
    """The lines of the file of uses that mypy --strict finds an error in, each with its text."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--config-file=",
        f"--cache-dir={tmp_path_factory.mktemp('mypy')}",
        str(uses),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    found = {}
    for line in result.stdout.splitlines():
        if match := re.match(rf".*{uses.name}:(\d+): error: (.*)", line):
            found.setdefault(int(match[1]), []).append(match[2])
    return found


def marked(uses):
    """The lines that are marked as wrong."""
    lines = uses.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def test_every_wrong_use_is_an_error(errors, uses):
    """A missing, misspelt or mistyped argument."""
    lines = uses.read_text(encoding="utf-8").splitlines()
    assert [] == [lines[number - 1] for number in sorted(marked(uses) - errors.keys())]


def test_every_right_use_passes(errors, uses):
    """No false alarm."""
    assert {} == {number: text for number, text in errors.items() if number not in marked(uses)}


def test_misspelt_argument_is_named(errors, uses):
    """The error tells which."""
    texts = " ".join(text for found in errors.values() for text in found)
    words = {"middleware": ("levle", "nmae", "dispach"), "typed": ("titel", "min_lenght", "status")}
    for word in words[uses.stem.removesuffix("_uses")]:
        assert f'"{word}"' in texts
