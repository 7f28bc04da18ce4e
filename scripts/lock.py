"""Write constraints.txt: one version of every package that any command of the Makefile installs.

The oldest Python at hand is resolved first and the newest then has to live with those versions and
adds what it alone needs, so a line holds for every Python between. pip does the work, with each
interpreter in a bare environment; nothing is installed.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "constraints.txt"
HEADER = """\
# Written by `make lock`; do not edit. One version of every package, direct or transitive, that any
# command here installs: resolved on Python {versions}. No line needs a marker, since a constraint
# holds a package back and never asks for it.
"""


def interpreters() -> list[tuple[str, str]]:
    """Return version and path of the oldest and the newest Python at hand, or of the only one."""
    found = subprocess.run(
        ["sh", ROOT / "scripts" / "find-python", "--all"],
        check=True,
        capture_output=True,
        text=True,
    )
    pairs = [tuple(line.split(" ", 1)) for line in found.stdout.splitlines()]
    ends = [pairs[0], pairs[-1]] if len(pairs) > 1 else pairs
    return [(version, path) for version, path in ends]


def resolve(path: str, pins: dict[str, str]) -> dict[str, str]:
    """Resolve every extra and group for one interpreter; return versions by normalised name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [f"--group={name}" for name in project["dependency-groups"]]
    with tempfile.TemporaryDirectory() as folder:
        venv, known, report = Path(folder, "venv"), Path(folder, "known"), Path(folder, "report")
        known.write_text(lines(pins))
        subprocess.run([path, "-m", "venv", "--without-pip", venv], check=True)
        command = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install"]
        command += ["-qq", "--dry-run", "--ignore-installed"]
        command += ["--constraint", known, "--report", report, "--editable", f"{ROOT}[all]"]
        subprocess.run([*command, *groups], check=True, cwd=ROOT)
        installs = json.loads(report.read_text())["install"]
    metadata = [item["metadata"] for item in installs]
    return {normalised(item["name"]): item["version"] for item in metadata}


def normalised(name: str) -> str:
    """Return a package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(pins: dict[str, str]) -> str:
    """Return pins as the lines of a constraints file, sorted by name."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def main() -> None:
    """Resolve, oldest Python first, and write the file."""
    pins: dict[str, str] = {}
    found = interpreters()
    for version, path in found:
        print(f"resolving on Python {version} ...", flush=True)
        pins |= resolve(path, pins)
    pins.pop("lamella", None)
    LOCK.write_text(HEADER.format(versions=" and ".join(v for v, _ in found)) + "\n" + lines(pins))
    print(f"{LOCK.name}: {len(pins)} packages")


if __name__ == "__main__":
    main()
