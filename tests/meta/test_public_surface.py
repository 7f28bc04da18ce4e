"""Every public name of Starlette is there: its modules', and its classes'."""

import ast
import functools
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys

import pytest
import starlette

from lamella._reexports import RE_EXPORTS

pytestmark = pytest.mark.filterwarnings("ignore:starlette.middleware.wsgi is deprecated")

# What is not offered: names as a regex, and why.
LEFT_OUT = {
    r"(applications\.P|middleware\.base\.T)": "type variables of one signature",
    r"middleware\.base\.(BodyStreamGenerator|AsyncContentStream)": "types of a stand-in for the"
    " response; here a layer gets the endpoint's own",
    r"middleware\.errors\.[A-Z_]+": "pieces of Starlette's debug page",
    r"requests\.AwaitableOrContextManager(Wrapper)?": "of Starlette's private _utils, for forms alone",
}
LEFT_OUT_MEMBERS = {
    r"formparsers\.\w+Parser\.on_\w+": "what python-multipart calls",
    r"middleware\.body_limit\.RequestBodyLimitResponder\.(scope|receive|send|\w+_with_limit)": "of one"
    " request; here one object serves all",
    r"middleware\.errors\.ServerErrorMiddleware\.(format_line|generate_frame_html)": "pieces of"
    " Starlette's debug page",
    r"middleware\.gzip\.GZipResponder\.compressor": "here made for each response",
    r"middleware\.wsgi\.WSGIResponder\.(sender|wsgi)": "its own threads",
    r"responses\.FileResponse\.generate_multipart": "what is sent is planned as a whole",
}
MODULES = sorted(
    module.name.removeprefix("starlette.")
    for module in pkgutil.walk_packages(starlette.__path__, "starlette.")
    if not module.name.rpartition(".")[2].startswith("_")
)

# In wide use, so they are there in any case.
ALWAYS = """
    endpoints.Request formparsers.MultiPartException formparsers.SpooledTemporaryFile
    middleware.base.ASGIApp middleware.base.DispatchFunction middleware.base.Request
    middleware.base.Response middleware.exceptions.HTTPException requests.Address
    requests.ClientDisconnect requests.FormData requests.HTTPException requests.Headers
    requests.QueryParams requests.State requests.URL responses.URL responses.guess_type
    responses.iterate_in_threadpool responses.json routing.Request routing.Response
    routing.compile_path routing.get_name routing.get_route_path routing.replace_params
    routing.request_response staticfiles.FileResponse testclient.ASGIApp testclient.Scope
"""

# Run in an interpreter of its own: this one has the real Starlette.
LENT = """
import importlib, json, sys
import lamella
lamella.install_as_starlette()
for module, name in json.load(sys.stdin):
    space = {}
    exec(f"from starlette.{module} import {name}", space)
    value = space[name]
    home = getattr(value, "__module__", None) or ""
    assert home.partition(".")[0] != "starlette", (module, name, home)
    assert value is getattr(importlib.import_module(f"lamella.{module}"), name)
print("done")
"""


@functools.cache
def surface(module):
    """The names that a module of Starlette defines, and those of Starlette that it imports."""
    space = importlib.import_module(f"starlette.{module}")
    imported = {}
    for node in ast.walk(ast.parse(inspect.getsource(space))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = getattr(node, "module", None) or ""
            for alias in node.names:
                imported[(alias.asname or alias.name).partition(".")[0]] = source
    public = [name for name in vars(space) if not name.startswith("_")]
    ours = [name for name in public if imported.get(name, "").partition(".")[0] == "starlette"]
    return {name for name in public if name not in imported}, set(ours)


def is_left_out(name, table=LEFT_OUT):
    return any(re.fullmatch(names, name) for names in table)


def members():
    """Every public member of every public class, as module, class and name."""
    for module in MODULES:
        for name in sorted(surface(module)[0]):
            cls = getattr(importlib.import_module(f"starlette.{module}"), name)
            if inspect.isclass(cls):
                yield from ((module, name, member) for member in dir(cls) if member[0] != "_")


def test_every_module_is_there():
    """None is missing any more, so none is in a list."""
    for module in MODULES:
        importlib.import_module(f"lamella.{module}")


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_defines_is_there(module):
    """Classes, functions, constants and type aliases, without install_as_starlette()."""
    ours = importlib.import_module(f"lamella.{module}")
    missing = [name for name in sorted(surface(module)[0]) if not hasattr(ours, name)]
    assert [] == [name for name in missing if not is_left_out(f"{module}.{name}")]


def test_what_a_module_imports_from_another_can_be_imported_from_it():
    """Programs do so, and linters that would tell them are few."""
    wanted = [(module, name) for module in MODULES for name in sorted(surface(module)[1])]
    wanted = [pair for pair in wanted if not is_left_out(".".join(pair))]
    assert len(wanted) > 100
    command = [sys.executable, "-W", "error", "-c", LENT]
    done = subprocess.run(
        command, input=json.dumps(wanted), capture_output=True, text=True, timeout=15
    )
    assert ("done\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize("module", MODULES)
def test_no_more_is_lent_than_is_missing(module):
    """lamella's modules are clean, and the table names nothing that never was."""
    lent = [path.rpartition(":")[2] for path in RE_EXPORTS.get(module, "").split()]
    ours = vars(importlib.import_module(f"lamella.{module}"))
    assert [] == [name for name in lent if name in ours or name not in surface(module)[1]]
    assert len(lent) == len(set(lent))


def test_lent_names_are_of_modules_that_exist():
    """A line of the table for none of them would lend nothing."""
    assert set(RE_EXPORTS) <= set(MODULES)


@pytest.mark.parametrize("name", ALWAYS.split())
def test_a_name_in_wide_use_is_always_there(name):
    """With an import changed to lamella's, nothing else need be."""
    module, _, name = name.rpartition(".")
    assert hasattr(importlib.import_module(f"starlette.{module}"), name)
    assert hasattr(importlib.import_module(f"lamella.{module}"), name)


@pytest.mark.parametrize("module", MODULES)
def test_a_class_says_that_it_is_of_a_public_module(module):
    """Pickles keep that name, and what they were made of may move to another private module."""
    values = vars(importlib.import_module(f"lamella.{module}"))
    ours = [values.get(name) for name in surface(module)[0]]
    homes = {cls.__module__ for cls in ours if inspect.isclass(cls)}
    assert [] == [home for home in homes if "._" in home]


def test_every_member_of_every_class_is_there():
    """Methods, properties and class attributes; subclasses lean on them."""
    missing = [
        f"{module}.{name}.{member}"
        for module, name, member in members()
        if not is_left_out(f"{module}.{name}")
        and not hasattr(getattr(importlib.import_module(f"lamella.{module}"), name), member)
    ]
    assert [] == [name for name in missing if not is_left_out(name, LEFT_OUT_MEMBERS)]


@pytest.mark.parametrize("names", [*LEFT_OUT, *LEFT_OUT_MEMBERS])
def test_what_is_left_out_is_missing(names):
    """The lists cannot grow old."""
    known = [f"{module}.{name}" for module in MODULES for name in set.union(*surface(module))]
    known += [".".join(path) for path in members()]
    listed = [name for name in known if re.fullmatch(names, name)]
    assert listed
    for name in listed:
        module = next(m for m in sorted(MODULES, key=len, reverse=True) if name.startswith(f"{m}."))
        value = importlib.import_module(f"lamella.{module}")
        for part in name.removeprefix(f"{module}.").split("."):
            value = getattr(value, part, None)
        assert None is value, f"{name} is there; take it off the list"
