"""The import floors of the package: the table, and the checks that the code keeps to it.

Only the text of the modules is read; nothing of lamella is imported.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "lamella"

# A module imports only from floors below its own, and on its own floor only against an arrow of
# its own line: in "a -> b, c -> d" d may import all others, b and c only a. "x.*" stands for every
# module of package x that no other line names; a package's name stands for its __init__.
FLOORS: dict[int, list[str]] = {
    0: [
        (
            "types, _headers, _messages, _inspect -> exceptions"
            " -> status, convertors, config, middleware, _cookies, _handshake, _tracing"
        ),
        "_ranges, _json",
    ],
    1: [
        "_url -> _multidict, concurrency -> datastructures, background",
        "_paths -> _index, _route_table",
        "engine.contexts, engine.on_trio -> engine.loop -> engine.inbound -> engine.exchange, engine.interrupt",
    ],
    2: [
        "_connection, _multipart -> formparsers -> requests",
        "_file_body",
        "_keep_alive",
        "_streaming",
        "_utils",
    ],
    3: ["_response -> _file_response -> responses -> websockets, _item_streams -> sse"],
    4: ["engine.edge -> engine.service -> engine.bridge -> engine.stack -> engine"],
    5: [
        "_outcomes, _debug_page, _refusal -> _exception_handler -> middleware.base -> middleware.composition, middleware.*",
        (
            "params, injection._invalid, injection._mode, injection.outline, injection.selection"
            " -> param_functions, injection._times, injection._adapter, injection._containers, injection.adapted"
            " -> injection._durations -> injection.scalars -> injection._constraints, injection.models"
            " -> injection.explain -> injection.decode, injection.fit, injection.provider, injection.exits"
            " -> injection.projection, injection.signature, injection.shared"
            " -> encoders, injection.exact, injection.read -> injection.gather"
            " -> injection.form_unions -> injection.plan -> exception_handlers, injection.encode"
            " -> injection.body -> injection.* -> injection"
        ),
    ],
    6: [
        "authentication -> middleware.authentication",
        "security.base -> security.* -> security",
        (
            "_endpoint, _lifespan, _route -> _finder, _host, endpoints, staticfiles -> _frontend -> routing"
            " -> _layer_group, _reply, _api_lifespan, middleware.opentelemetry"
            " -> _typed_endpoint, telemetry -> _api_route -> _guarded -> _api_router -> controllers"
        ),
        "templating",
    ],
    7: [
        (
            "openapi.document, openapi._assets, openapi._policy, openapi._merge"
            " -> openapi._limits, openapi._pydantic -> openapi._types -> openapi._components"
            " -> openapi.schema -> openapi._parameters -> openapi._bodies -> openapi.generate"
            " -> openapi.utils, openapi.docs -> openapi.* -> openapi"
        ),
        "schemas",
    ],
    8: ["applications -> _lamella"],
    9: [
        (
            "_testclient.run -> _testclient.http, _testclient.websocket, _testclient.lifespan"
            " -> _testclient.http_client -> _testclient.async_client -> _testclient -> testclient"
            " -> testing.* -> testing"
        ),
        "_reexports -> _as_starlette, cli.startup.sitecustomize -> cli.* -> cli -> __main__",
    ],
    10: ["lamella"],
}

# Names that users type, or that are loaded lazily, are stated in these; what they import for types
# alone may stand above them.
UPWARD_TYPING = {"types", "middleware", "responses", "routing", "applications", "lamella"}

# The __init__ of these packages holds definitions and stands below the package's own modules.
DEFINING = {"middleware"}

# Packages that only an extra installs: these alone may be imported inside a function, at first use.
OPTIONAL = {
    "click",
    "granian",
    "httpx",
    "httpx2",
    "hypercorn",
    "itsdangerous",
    "jinja2",
    "jwt",
    "multipart",
    "opentelemetry",
    "pydantic",
    "redis",
    "rich",
    "trio",
    "uvicorn",
    "yaml",
}

ENGINE_KNOWS_NOT = ("middleware", "routing", "applications")


class Module(NamedTuple):
    """One file of the package: its name below the package's, its file and its syntax tree."""

    name: str
    file: str
    lines: list[str]
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """Whether this is the `__init__` of a package."""
        return self.file.endswith("/__init__.py")

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        parts = [PACKAGE, *self.name.split(".")] if self.name != PACKAGE else [PACKAGE]
        return ".".join(parts if self.is_package else parts[:-1])


class Import(NamedTuple):
    """One imported module: who asks, for what, by which dotted name, where and when."""

    importer: Module
    target: str
    asked: str
    line: int
    for_types: bool
    in_function: bool

    def __str__(self) -> str:
        return f"{self.importer.file}:{self.line}: {self.importer.lines[self.line - 1].strip()}"


def read(package: Path) -> dict[str, Module]:
    """Read every module below a package's folder, keyed by its name below the package's."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or PACKAGE
        text, file = path.read_text(), path.relative_to(package.parent.parent).as_posix()
        modules[name] = Module(name, file, text.splitlines(), ast.parse(text, file))
    return modules


def imports_of(module: Module, modules: dict[str, Module]) -> Iterator[Import]:
    """Tell every import of a module, with `from package import submodule` taken for the latter."""
    for node, for_types, in_function in import_nodes(module.tree):
        for target, asked in targets(node, module, modules):
            yield Import(module, target, asked, node.lineno, for_types, in_function)


def import_nodes(
    node: ast.AST, *, for_types: bool = False, in_function: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """Walk a tree and tell its import statements, and whether each is typing-only or late."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, for_types, in_function
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        in_function = True
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.body:
            yield from import_nodes(child, for_types=True, in_function=in_function)
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from import_nodes(child, for_types=for_types, in_function=in_function)


def targets(
    node: ast.Import | ast.ImportFrom, module: Module, modules: dict[str, Module]
) -> Iterator[tuple[str, str]]:
    """Tell the modules that one statement imports, each with the dotted name it is asked for by."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, alias.name) for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        start = module.package.split(".")
        base = ".".join([*start[: len(start) - node.level + 1], *([base] if base else [])])
    for alias in node.names:
        longer = f"{base}.{alias.name}"
        yield (longer if below(longer) in modules else base), base


def below(target: str) -> str:
    """Return a dotted name without the package's own name, and "" for what is not ours."""
    if target == PACKAGE:
        return PACKAGE
    return target.removeprefix(f"{PACKAGE}.") if target.startswith(f"{PACKAGE}.") else ""


def parse(floors: dict[int, list[str]]) -> dict[str, tuple[int, int, int]]:
    """Return the place of each name of the table: its floor, line and step."""
    places: dict[str, tuple[int, int, int]] = {}
    for floor, lines in floors.items():
        for number, line in enumerate(lines):
            for step, names in enumerate(line.split("->")):
                for name in (part.strip() for part in names.split(",")):
                    if name in places:
                        raise ValueError(f"{name} stands twice in the table of floors")
                    places[name] = (floor, number, step)
    return places


def place(name: str, places: dict[str, tuple[int, int, int]]) -> tuple[int, int, int] | None:
    """Return the place of a module, its own or that of its package's `.*`, or None."""
    return places.get(name) or places.get(f"{name.rpartition('.')[0]}.*")


def may_import(importer: tuple[int, int, int], target: tuple[int, int, int]) -> bool:
    """Tell whether a module in one place may import one in another."""
    lower = target[0] < importer[0]
    same_line_earlier = target[:2] == importer[:2] and target[2] < importer[2]
    return lower or same_line_earlier


def upward(modules: dict[str, Module], floors: dict[int, list[str]] = FLOORS) -> list[str]:
    """Tell the imports that do not go down."""
    places, found = parse(floors), []
    for module in modules.values():
        mine = place(module.name, places)
        for item in imports_of(module, modules):
            theirs = place(below(item.target), places)
            if item.for_types and module.name in UPWARD_TYPING:
                continue
            if mine and theirs and not may_import(mine, theirs):
                words = f"{module.name} is on floor {mine[0]}, {item.target} on floor {theirs[0]}"
                found.append(f"{item}\n    {words}")
    return found


def homeless(modules: dict[str, Module], floors: dict[int, list[str]] = FLOORS) -> list[str]:
    """Tell the modules that the table does not name."""
    places = parse(floors)
    return [
        f"{module.file}: {name} has no floor; put it in FLOORS of tests/meta/test_floors.py, on "
        "the lowest floor from which it still sees all that it imports"
        for name, module in modules.items()
        if place(name, places) is None
    ]


def roots(modules: dict[str, Module]) -> list[str]:
    """Tell the imports from the package's root, and from a package's __init__ inside it."""
    return [
        f"{item}\n    import from the module that defines the name"
        for module in modules.values()
        for item in imports_of(module, modules)
        if module.name != PACKAGE
        and (item.asked == PACKAGE or (item.asked == module.package and not module.is_package))
        and below(item.asked) not in DEFINING
    ]


def late(modules: dict[str, Module]) -> list[str]:
    """Tell the imports inside functions that are not of an optional dependency."""
    return [
        f"{item}\n    import it at the top of the module"
        for module in modules.values()
        for item in imports_of(module, modules)
        if item.in_function and item.target.split(".")[0] not in OPTIONAL
    ]


def cycles(modules: dict[str, Module]) -> list[str]:
    """Tell the cycles of imports that run, an import of a.b being one of a's __init__ too."""
    graph = {name: run_time_edges(module, modules) for name, module in modules.items()}
    done: set[str] = set()
    found: list[str] = []

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append(" -> ".join([*trail[trail.index(name) :], name]))
        elif name not in done:
            for target in sorted(graph[name]):
                visit(target, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])
    return found


def run_time_edges(module: Module, modules: dict[str, Module]) -> set[str]:
    """Return the modules of ours whose code runs when a module is imported, itself left out."""
    edges = set()
    for item in imports_of(module, modules):
        name = below(item.target)
        if name and not item.for_types and not item.in_function:
            edges |= {name, name.rpartition(".")[0]}
    own = {module.name, module.name.rpartition(".")[0]}
    return (edges & modules.keys()) - own


def engine_knowing(modules: dict[str, Module]) -> list[str]:
    """Tell the imports by which the engine would know what stands on it."""
    return [
        str(item)
        for name, module in modules.items()
        if name.split(".")[0] == "engine"
        for item in imports_of(module, modules)
        if below(item.target).split(".")[0] in ENGINE_KNOWS_NOT
    ]


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    """The modules of the package as they are."""
    return read(ROOT / "src" / PACKAGE)


def test_every_module_has_a_floor(modules: dict[str, Module]) -> None:
    """A module without a floor would escape every other check here."""
    assert [] == homeless(modules), "\n" + "\n".join(homeless(modules))


def test_imports_go_down(modules: dict[str, Module]) -> None:
    """Whoever reads a module needs to know only what is below it."""
    assert [] == upward(modules), "\n" + "\n".join(upward(modules))


def test_there_is_no_import_cycle(modules: dict[str, Module]) -> None:
    """With a cycle, whether an import works depends on which module came first."""
    assert [] == cycles(modules), "\n" + "\n".join(cycles(modules))


def test_nobody_imports_from_a_package_root(modules: dict[str, Module]) -> None:
    """A root imports its whole package, so asking it from inside makes a cycle."""
    assert [] == roots(modules), "\n" + "\n".join(roots(modules))


def test_only_optional_dependencies_are_imported_late(modules: dict[str, Module]) -> None:
    """A late import hides an edge of the graph and costs time in a request."""
    assert [] == late(modules), "\n" + "\n".join(late(modules))


def test_the_engine_knows_nothing_that_stands_on_it(modules: dict[str, Module]) -> None:
    """The engine serves any stack, so it names no layer, no router and no application."""
    assert [] == engine_knowing(modules), "\n" + "\n".join(engine_knowing(modules))


def write(folder: Path, files: dict[str, str]) -> dict[str, Module]:
    """Write a small package and read it."""
    for name, text in files.items():
        path = folder / "src" / PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read(folder / "src" / PACKAGE)


def test_an_import_upwards_is_found_with_its_line(tmp_path: Path) -> None:
    """The check must be able to fail, and must say where."""
    files = {
        "status.py": "",
        "requests.py": "\n\nfrom lamella.routing import Route",
        "routing.py": "",
    }
    (found,) = upward(write(tmp_path, files))
    assert found.startswith("src/lamella/requests.py:3: from lamella.routing import Route")
    assert "requests is on floor 2, lamella.routing on floor 6" in found


@pytest.mark.parametrize(
    ("importer", "target", "allowed"),
    [
        ("requests", "formparsers", True),
        ("formparsers", "requests", False),
        ("engine.stack", "engine.service", True),
        ("engine.bridge", "engine.stack", False),
        ("middleware.cors", "_outcomes", True),
        ("middleware.cors", "middleware.gzip", False),
        ("background", "_paths", False),
    ],
)
def test_on_one_floor_imports_go_against_an_arrow(
    importer: str, target: str, allowed: bool
) -> None:
    """Modules side by side on one floor stay apart, unless the table says otherwise."""
    places = parse(FLOORS)
    assert allowed == may_import(place(importer, places), place(target, places))


def test_an_import_for_types_counts_too(tmp_path: Path) -> None:
    """A reader follows an import for types as any other; types.py and the root are excepted."""
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lamella.routing import R"
    files = {"status.py": text, "types.py": text, "__init__.py": text, "routing.py": ""}
    (found,) = upward(write(tmp_path, files))
    assert found.startswith("src/lamella/status.py:3:")


def test_a_module_without_a_floor_is_found(tmp_path: Path) -> None:
    """A new module has to be placed by whoever adds it."""
    (found,) = homeless(write(tmp_path, {"status.py": "", "novelty.py": ""}))
    assert "novelty has no floor; put it in FLOORS" in found


def test_a_cycle_through_an_init_is_found(tmp_path: Path) -> None:
    """Importing engine.inbound runs engine/__init__ first, which no import statement shows."""
    files = {
        "requests.py": "from lamella.engine.inbound import Inbound",
        "engine/__init__.py": "from lamella.engine.service import Service",
        "engine/inbound.py": "",
        "engine/service.py": "from lamella.requests import Request",
    }
    (found,) = cycles(write(tmp_path, files))
    assert "engine -> engine.service -> requests -> engine" in f"{found} {found}"


@pytest.mark.parametrize(
    "statement",
    [
        "import lamella",
        "from lamella import status",
        "from . import stack",
        "from .. import status",
    ],
)
def test_an_import_from_a_root_is_found(tmp_path: Path, statement: str) -> None:
    """However it is spelt."""
    files = {"status.py": "", "engine/__init__.py": "", "engine/edge.py": statement}
    (found,) = roots(write(tmp_path, files))
    assert found.startswith("src/lamella/engine/edge.py:1:")


def test_a_late_import_is_found_and_an_optional_one_let_pass(tmp_path: Path) -> None:
    """The list of optional dependencies is what decides."""
    text = "async def form():\n    import json\n    from multipart import Parser\n    import jinja2"
    (found,) = late(write(tmp_path, {"requests.py": text}))
    assert found.startswith("src/lamella/requests.py:2: import json")


def test_an_engine_that_knows_a_layer_is_found(tmp_path: Path) -> None:
    """The floors alone would let it import the declarations of middleware/__init__."""
    files = {
        "engine/stack.py": "from lamella.middleware import Middleware",
        "middleware/__init__.py": "",
    }
    assert 1 == len(engine_knowing(write(tmp_path, files)))


def test_a_name_may_stand_only_once_in_the_table() -> None:
    """A second place for one module would make the verdict depend on which is read last."""
    with pytest.raises(ValueError, match="status stands twice"):
        parse({0: ["status"], 1: ["types -> status"]})
