"""Software made for Starlette gets lamella's modules.

The programs run in an interpreter of their own: this one imports the real Starlette to compare.
"""

import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import starlette

from lamella import _as_starlette
from lamella._as_starlette import STARLETTE_MODULES, STARLETTE_VERSION, install_as_starlette

INSTALLED = "import importlib, sys\nimport lamella\nlamella.install_as_starlette()\n"
PRESENT = sorted(
    name for name in STARLETTE_MODULES if find_spec(name.replace("starlette", "lamella", 1))
)


def run(code, *, code_of_exit=0):
    """Run a program with warnings as errors; return what it printed."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15)
    assert code_of_exit == done.returncode, done.stderr
    return done.stdout if code_of_exit == 0 else done.stderr


def run_installed(code):
    return run(INSTALLED + code)


def test_the_modules_listed_are_those_of_starlette():
    """By the list, what lamella lacks is told from what never existed."""
    root = Path(starlette.__file__).parent
    found = {
        ".".join(path.relative_to(root.parent).with_suffix("").parts) for path in root.rglob("*.py")
    }
    modules = {name.removesuffix(".__init__") for name in found} - {"starlette"}
    assert modules == STARLETTE_MODULES
    assert starlette.__version__ == STARLETTE_VERSION


def test_each_module_is_lamellas_own_and_stays_as_it_is():
    """With a second object, isinstance() would depend on where a class was imported from."""
    run_installed(f"""
for name in {PRESENT!r}:
    ours = name.replace("starlette", "lamella", 1)
    module = importlib.import_module(name)
    assert module is sys.modules[name] is importlib.import_module(ours), name
    assert (module.__name__, module.__spec__.name) == (ours, ours)
    assert module.__spec__.loader is module.__loader__
    assert not getattr(module.__spec__, "_initializing", False)
    package = sys.modules[name.rpartition(".")[0]]
    assert getattr(package, name.rpartition(".")[2]) is module
""")


@pytest.mark.parametrize(
    "statement",
    [
        "import starlette.routing; m = starlette.routing",
        "import starlette.routing as m",
        "from starlette import routing as m",
        "import starlette, starlette.applications; m = starlette.applications.Router.__module__; m = sys.modules[m]",
        "m = importlib.import_module('starlette.routing')",
        "m = importlib.import_module('.routing', 'starlette')",
        "m = __import__('starlette.routing').routing",
        "from starlette.routing import Route; m = sys.modules[Route.__module__]",
        "from pkgutil import resolve_name; m = resolve_name('starlette.routing')",
    ],
)
@pytest.mark.parametrize("first", ["", "import lamella.routing"])
def test_every_way_of_importing_leads_to_the_same_module(first, statement):
    """Whichever of the two names is imported first."""
    run_installed(f"{first}\n{statement}\nimport lamella.routing as ours\nassert m is ours")


def test_no_module_runs_twice():
    """Classes made twice are two, and registries filled twice are wrong."""
    run_installed(f"""
from importlib.machinery import SourceFileLoader
ran = []
execute = SourceFileLoader.exec_module
def counted(loader, module):
    ran.append(loader.path)
    execute(loader, module)
SourceFileLoader.exec_module = counted
for name in {PRESENT!r}:
    importlib.import_module(name)
    importlib.import_module(name.replace("starlette", "lamella", 1))
assert len(ran) == len(set(ran)) > 20, sorted(ran)
assert not [path for path in ran if "/starlette/" in path]
""")


def test_finding_a_module_imports_nothing():
    """Python finds under a lock, and a thread that imports in the meantime would wait for ever."""
    run_installed("""
import starlette
before = set(sys.modules)
finder = sys.meta_path[0]
path = [f"{part}/middleware" for part in lamella.__path__]
assert finder.find_spec("starlette.middleware.cors", path).origin.endswith("cors.py")
package = finder.find_spec("starlette.middleware", lamella.__path__)
assert list(package.submodule_search_locations) == path
assert finder.find_spec("starlette.middleware.nonsense", path) is None
assert finder.find_spec("starlette.routing", None) is None
assert before == set(sys.modules), set(sys.modules) - before
""")


def test_nothing_is_imported_before_it_is_asked_for():
    """A program pays only for what it uses."""
    run_installed("""
before = set(sys.modules)
import starlette
assert {"starlette"} == set(sys.modules) - before
import starlette.status
assert "lamella.applications" not in sys.modules
""")


def test_a_module_need_not_be_imported_by_who_uses_it():
    """With Starlette it is enough that another of its modules did, or another package."""
    run_installed("""
import starlette
assert 200 == starlette.status.HTTP_200_OK and "lamella.applications" not in sys.modules
for name in ("graphql", "nothing", "__wrapped__", "HTTP_200_OK"):
    assert not hasattr(starlette, name), name
assert starlette.routing is sys.modules["lamella.routing"]
""")


def test_a_module_whose_package_is_absent_is_no_attribute():
    """hasattr() is asked by packages that can do without; an import says what is missing."""
    run_installed("""
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "jinja2":
            raise ModuleNotFoundError("absent", name=name)
sys.meta_path.insert(0, Absent())
import starlette
assert not hasattr(starlette, "templating")
try:
    from starlette import templating
except ImportError as exc:
    assert "lamella[templates]" in str(exc)
else:
    raise SystemExit("imported")
""")


def test_names_are_found_where_starlette_imports_them():
    """As `from starlette.applications import Request`; without it the module is clean."""
    run_installed("""
import lamella.applications
assert not hasattr(lamella.applications, "Request")
from starlette.applications import Request
import starlette.requests
assert Request is starlette.requests.Request is lamella.applications.Request
""")


def test_names_can_be_patched_by_their_path():
    """FastAPI's tests patch `starlette.responses.json.dumps` by that string."""
    run_installed("""
from unittest import mock
with mock.patch("starlette.responses.json.dumps", return_value="patched"):
    from lamella.responses import JSONResponse
    assert b"patched" == JSONResponse({}).body
assert b"{}" == JSONResponse({}).body
""")


def test_the_version_is_that_of_the_names_offered():
    """Packages parse it, and switch features on by it; ours is another number."""
    run_installed(f"""
import starlette
assert {STARLETTE_VERSION!r} == starlette.__version__ != lamella.__version__
assert starlette is not lamella and "starlette" == starlette.__name__ == starlette.__spec__.name
from importlib.metadata import version
assert {version("starlette")!r} == version("starlette")
""")


def test_starlette_need_not_be_installed():
    """That is the end of the move: its package is taken off the list of dependencies."""
    run("""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        assert name.partition(".")[0] != "starlette", name
sys.meta_path.insert(0, Absent())
import lamella
lamella.install_as_starlette()
from starlette.applications import Starlette
assert Starlette is lamella.Starlette
""")


def test_a_second_call_does_nothing():
    """Two modules of one program may both make sure of it."""
    run_installed("""
import starlette.routing
finders = list(sys.meta_path)
lamella.install_as_starlette()
assert finders == sys.meta_path and starlette.routing is sys.modules["lamella.routing"]
""")


@pytest.mark.parametrize(
    ("first", "named"),
    [
        ("from starlette.applications import Starlette", "by the program itself (`__main__`);"),
        ("import starlette", "by the program itself (`__main__`);"),
        ("import wsproto, starlette.status; del starlette", "by something that kept nothing of it"),
        ("import pet", "by `pet`;"),
        ("from pet import app", "by the program itself (`__main__`), `pet`;"),
    ],
)
def test_a_starlette_already_imported_is_refused_and_its_importer_named(tmp_path, first, named):
    """Half of a program on each of the two would fail much later, in isinstance()."""
    (tmp_path / "pet.py").write_text("from starlette.applications import Starlette as app\n")
    code = f"import sys; sys.path.append({str(tmp_path)!r})\n{first}\n{INSTALLED}"
    said = run(code, code_of_exit=1)
    assert "RuntimeError: Expected install_as_starlette() before anything imports Starlette" in said
    assert f"imported already, {named}" in said


def test_a_refusal_changes_nothing():
    """The real Starlette of this process goes on being imported."""
    finders = list(sys.meta_path)
    with pytest.raises(RuntimeError, match="before anything imports Starlette"):
        install_as_starlette()
    assert finders == sys.meta_path


def test_a_refusal_stands_a_program_whose_classes_do_not_say_where_they_are_from(monkeypatch):
    """All modules are looked through for who imported Starlette."""

    class Meta(type):
        @property
        def __module__(cls):
            raise RuntimeError("no name")

    holder = ModuleType("holder")
    holder.odd = Meta("Odd", (), {})
    monkeypatch.setitem(sys.modules, "holder", holder)
    with pytest.raises(RuntimeError, match="before anything imports Starlette"):
        install_as_starlette()


@pytest.mark.parametrize(
    "name", ["starlette.graphql", "starlette.middleware.nothing", "starlette.routing.x"]
)
def test_a_module_that_neither_has_is_not_found(name):
    """Packages try imports of older or newer versions and catch this error."""
    run_installed(f"""
from importlib.util import find_spec
try:
    importlib.import_module({name!r})
except ModuleNotFoundError as exc:
    assert {name!r} == exc.name, exc.name
    assert str(exc).startswith("No module named {name!r}"), exc
else:
    raise SystemExit("found")
if {name!r} != "starlette.routing.x":
    assert find_spec({name!r}) is None
""")


def test_a_module_of_starlette_that_lamella_lacks_says_so(monkeypatch):
    """ "No module named" would be taken for a broken installation."""
    monkeypatch.setattr(_as_starlette, "STARLETTE_MODULES", {"starlette.novelty"})
    with pytest.raises(
        ModuleNotFoundError, match=r"lamella .* no module for 'starlette.novelty'"
    ) as caught:
        _as_starlette._Finder().find_spec("starlette.novelty", [])
    assert "starlette.novelty" == caught.value.name


def test_other_packages_are_left_to_others():
    """Names that only begin alike, too."""
    finder = _as_starlette._Finder()
    assert [None, None] == [finder.find_spec(name, None) for name in ("starlettes", "json")]


def test_a_spec_can_be_asked_for_without_importing():
    """Packages look whether a module is there before they use it."""
    run_installed("""
from importlib.util import find_spec
spec = find_spec("starlette.routing")
assert spec.name == "starlette.routing" and spec.origin.endswith("routing.py")
assert "lamella.routing" not in sys.modules
assert find_spec("starlette") is not None
assert find_spec("starlette.middleware").submodule_search_locations is not None
""")


def test_the_root_says_where_the_files_are():
    """Tools list a package's modules, or watch its files, by `__path__`."""
    run_installed("""
import starlette, pkgutil
assert (starlette.__file__, starlette.__path__) == (lamella.__file__, lamella.__path__)
assert "starlette.routing" in [m.name for m in pkgutil.iter_modules(starlette.__path__, "starlette.")]
""")


def test_objects_can_be_pickled():
    """They name lamella's modules; what was pickled by Starlette's names is found, too."""
    run_installed("""
import pickle
from starlette.datastructures import URLPath, Address
for value in (Address("h", 1), URLPath):
    assert value == pickle.loads(pickle.dumps(value))
assert b"lamella." in pickle.dumps(Address) and b"starlette" not in pickle.dumps(Address)
assert Address is pickle.loads(b"cstarlette.datastructures\\nAddress\\n.")
""")


def test_a_module_can_be_reloaded():
    """A reload runs the same module object again, under either name; the root, too."""
    run_installed("""
import starlette, starlette.status
status = starlette.status
status.HTTP_200_OK = 0
assert importlib.reload(status) is status is sys.modules["lamella.status"]
assert 200 == status.HTTP_200_OK and "lamella.status" == status.__name__
starlette.__version__ = "0"
assert importlib.reload(starlette) is starlette and "1.10.0" == starlette.__version__
assert starlette.status is status
""")


def test_threads_that_import_at_once_get_one_module():
    """Servers import applications in threads."""
    run_installed("""
import threading
names = ["starlette.applications", "lamella.applications", "starlette.routing", "lamella.routing"]
start, got = threading.Barrier(8), []
def work(name):
    start.wait()
    got.append(importlib.import_module(name))
threads = [threading.Thread(target=work, args=(name,)) for name in names * 2]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert 8 == len(got) and 2 == len(set(map(id, got)))
""")


def test_a_module_that_fails_to_import_fails_under_both_names():
    """The error is the module's own, and nothing half made is left behind."""
    run_installed("""
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "httpx2" or name == "httpx":
            raise ModuleNotFoundError("absent", name=name)
sys.meta_path.insert(0, Broken())
for name in ("starlette.testclient", "lamella.testclient"):
    try:
        importlib.import_module(name)
    except ImportError as exc:
        assert "lamella[testclient]" in str(exc), exc
    else:
        raise SystemExit("imported")
    assert name not in sys.modules
""")


LIFESPANS = """
from contextlib import asynccontextmanager
log = []
@asynccontextmanager
async def lifespan(app):
    log.append("inner")
    yield
from {name}.applications import Starlette
from {name}.routing import Mount
from lamella.testclient import TestClient
for option in (None, True, False):
    inner = Starlette(lifespan=lifespan)
    with TestClient(Starlette(routes=[Mount("/", inner, lifespan=option)])):
        log.append(option)
print(log)
"""


def test_lifespans_of_mounted_applications_are_run_only_where_asked_for():
    """Software made for Starlette runs them by hand; some objects refuse a second run."""
    said = run_installed(LIFESPANS.format(name="starlette"))
    assert "[None, 'inner', True, False]\n" == said


def test_without_it_they_are_run():
    """As lamella does it."""
    said = run(LIFESPANS.format(name="lamella"))
    assert "['inner', None, 'inner', True, False]\n" == said
