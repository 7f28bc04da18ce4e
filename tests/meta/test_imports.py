"""What an import of lamella needs, and what it loads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
MODULES = sorted(
    ".".join(part for part in path.relative_to(SOURCE).with_suffix("").parts if part != "__init__")
    for path in (SOURCE / "lamella").rglob("*.py")
    if path.name != "__main__.py"
)

# Modules whose classes build on an optional package: without it they must fail, and say what helps.
BUILT_ON = {
    "lamella._testclient.async_client": "lamella[testclient]",
    "lamella._testclient.http_client": "lamella[testclient]",
    "lamella.middleware.opentelemetry": "lamella[opentelemetry]",
    "lamella.middleware.sessions": "lamella[sessions]",
    "lamella.templating": "lamella[templates]",
    "lamella.testclient": "lamella[testclient]",
}

# Run in an interpreter of its own: a finder in front of all others refuses every package but the
# standard library, lamella, and the two that the core depends on with what these need.
ALONE = """
import importlib, json, re, sys
from importlib.metadata import requires

def closure(names):
    found, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            lines = [line for line in requires(name) or [] if "extra ==" not in line]
            todo += [re.match("[A-Za-z0-9._-]+", line)[0] for line in lines if needed(line)]
    return {name.replace("-", "_").lower() for name in found}

def needed(line):
    # Only what is installed can be imported, so a marker that does not hold does no harm here.
    try:
        requires(re.match("[A-Za-z0-9._-]+", line)[0])
    except ModuleNotFoundError:
        return False
    return True

allowed = set(sys.stdlib_module_names) | {"lamella"} | closure(["anyio", "msgspec"])

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in allowed:
            raise ModuleNotFoundError(f"No module named {name!r} (refused by the test)", name=name)

sys.meta_path.insert(0, Refusing())
results = {}
for module in json.load(sys.stdin):
    for name in [name for name in sys.modules if name.partition(".")[0] == "lamella"]:
        del sys.modules[name]
    try:
        importlib.import_module(module)
    except Exception as exc:
        results[module] = f"{type(exc).__name__}: {exc}"
json.dump(results, sys.stdout)
"""


def run(code: str, stdin: str = "") -> str:
    """Run code in a fresh interpreter with warnings as errors; return what it printed."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=15)
    assert "" == done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """What each module failed with when imported alone, optional packages absent."""
    return json.loads(run(ALONE, json.dumps(MODULES)))


@pytest.mark.parametrize("module", [name for name in MODULES if name not in BUILT_ON])
def test_a_module_imports_alone_without_optional_packages(
    module: str, failures: dict[str, str]
) -> None:
    """Any module may be the first one imported, and the core needs anyio and msgspec only."""
    assert None is failures.get(module)


@pytest.mark.parametrize("module", [name for name in BUILT_ON if name in MODULES])
def test_a_module_built_on_an_optional_package_says_what_to_install(
    module: str, failures: dict[str, str]
) -> None:
    """The error is the first thing a user sees who has not read about extras."""
    assert BUILT_ON[module] in failures.get(module, "")


def test_importing_the_package_loads_none_of_its_modules() -> None:
    """The names are offered lazily, so that a program pays only for those it uses."""
    loaded = run("import sys, lamella; print([m for m in sys.modules if m[:8] == 'lamella.'])")
    assert "[]" == loaded.strip()


def test_the_check_sees_a_package_that_is_absent() -> None:
    """A refusal that let everything through would make the tests above pass for nothing."""
    assert {"pytest"} == set(json.loads(run(ALONE, '["pytest", "msgspec", "anyio.to_thread"]')))
