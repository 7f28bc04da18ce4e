"""The project speaks of itself alone: no path of the machine it was written on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".ci", ".github", "benchmarks", "docs", "examples", "scripts", "src", "tests")
SUFFIXES = {
    "",
    ".cfg",
    ".css",
    ".html",
    ".js",
    ".json",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".txt",
    ".yml",
}

# Built from parts, so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(
    "|".join(f"/{name}/" for name in ("root", "home", "work", "tmp/v3[0-9]+"))
)


def texts(root: Path) -> Iterator[Path]:
    """Tell the text files of the project, generated and installed ones left out."""
    places = [path for name in FOLDERS for path in (root / name).rglob("*")]
    for path in [*root.iterdir(), *places]:
        if path.is_file() and path.suffix in SUFFIXES and "__pycache__" not in path.parts:
            yield path


def machine_paths(root: Path) -> list[str]:
    """Tell the lines that hold a path of somebody's machine."""
    return [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in texts(root)
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]


def test_no_file_holds_a_path_of_a_machine() -> None:
    """Such a path works for one person and misleads all others."""
    found = machine_paths(ROOT)
    assert [] == found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", ["README.md", "Makefile", "src/lamella/x.py", "docs/a/b.md"])
def test_a_machine_path_is_found(tmp_path: Path, name: str) -> None:
    """The check must be able to fail, at every depth."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("first\nsee /" + "work/notes.md\n")
    assert [f"{name}:2: see /" + "work/notes.md"] == machine_paths(tmp_path)
