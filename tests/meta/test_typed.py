"""What is in the built package: types, licence, dependencies, and nothing else."""

import email
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from importlib.resources import files
from pathlib import Path

import pytest

import lamella

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the tree as it is, built offline by the backend that the environment has."""
    pytest.importorskip("hatchling", reason="the build backend is not installed; `make test` does")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=18)
    assert 0 == done.returncode, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    """The METADATA file of the wheel."""
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def test_the_package_in_use_is_marked_as_typed() -> None:
    """Without the marker, type checkers take every name of lamella for Any (PEP 561)."""
    assert files(lamella).joinpath("py.typed").is_file()


def test_the_wheel_is_marked_as_typed(wheel: zipfile.ZipFile) -> None:
    """A marker in the tree helps nobody who installs the wheel."""
    assert "lamella/py.typed" in wheel.namelist()


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: zipfile.ZipFile) -> None:
    """Tests or examples at the top of site-packages would shadow those of other projects."""
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in (source / "lamella").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wanted == {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_the_wheel_carries_the_licence(wheel: zipfile.ZipFile) -> None:
    """The licence asks that its text goes along with copies."""
    (name,) = [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]
    assert (ROOT / "LICENSE").read_bytes() == wheel.read(name)


def test_the_core_depends_on_two_packages_only(metadata: Message) -> None:
    """Everything else is an extra, so that an upgrade of the core touches little."""
    core = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert ["anyio", "msgspec"] == sorted(re.match(r"[\w-]+", line)[0] for line in core)


def test_the_version_is_the_one_the_package_tells(metadata: Message) -> None:
    """A bug report quotes one and an installer the other."""
    assert lamella.__version__ == metadata["Version"]


def test_the_oldest_python_is_the_same_everywhere() -> None:
    """The checkers must look at the code as the oldest supported Python would."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tools = project["tool"]
    stated = {
        project["project"]["requires-python"].removeprefix(">="),
        tools["mypy"]["python_version"],
        tools["pyright"]["pythonVersion"],
        tools["ruff"]["target-version"].replace("py3", "3."),
    }
    assert {"3.11"} == stated
