"""`lamella openapi main:app` prints the document of an application, and nothing else."""

import json
import os
import subprocess
import sys

import pytest
import yaml

PROGRAM = """
print("imported")

class App:
    def __init__(self, title):
        self.title = title

    def openapi(self):
        print("asked")
        return {"openapi": "3.1.0", "info": {"title": self.title, "version": "1"}, "paths": {}}

class Asked(App):
    async def openapi(self):
        return super().openapi()

class Odd:
    def openapi(self):
        return "text"

class Space:
    app = App("Inner")

app = App("Tées")
asked = Asked("Asked")
odd = Odd()
"""


def run(folder, *arguments, code=0, module="lamella", **environment):
    """Run `python -m lamella openapi` in a folder; return what it printed where it matters."""
    command = [sys.executable, "-W", "error", "-m", module, "openapi", *arguments]
    done = subprocess.run(
        command, capture_output=True, timeout=15, cwd=folder, env={**os.environ, **environment}
    )
    assert code == done.returncode, done.stderr.decode()
    return (done.stderr if code else done.stdout).decode()


@pytest.fixture
def folder(tmp_path):
    """A folder with a program in it."""
    (tmp_path / "main.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import lamella_has_no_such_module")
    return tmp_path


def test_the_document_is_printed_as_json(folder):
    """Indented by two, and what the program itself prints is no part of it."""
    said = run(folder, "main:app", PYTHONIOENCODING="ascii")
    document = json.loads(said)
    assert {"title": "Tées", "version": "1"} == document["info"]
    assert json.dumps(document, indent=2, ensure_ascii=False) + "\n" == said


@pytest.mark.parametrize(("name", "title"), [("asked", "Asked"), ("Space.app", "Inner")])
def test_a_document_may_be_awaited_and_an_application_stand_deeper(folder, name, title):
    assert title == json.loads(run(folder, f"main:{name}"))["info"]["title"]


def test_the_document_is_printed_as_yaml(folder):
    said = run(folder, "main:app", "--format", "yaml")
    assert said.startswith("openapi: 3.1.0\ninfo:\n  title: Tées\n")
    assert json.loads(run(folder, "main:app")) == yaml.safe_load(said)


def test_the_document_is_written_to_a_file(folder):
    assert "" == run(folder, "main:app", "--output", "openapi.json")
    assert "Tées" == json.loads((folder / "openapi.json").read_bytes())["info"]["title"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["main"], "Expected module:name, such as main:app, got 'main'."),
        ([":app"], "Expected module:name, such as main:app, got ':app'."),
        (["mian:app"], "Expected a module 'mian' here or in the path of Python, found none."),
        (["main.x:app"], "Expected a module 'main.x' here or in the path of Python, found none."),
        (["main:ap"], "Expected 'ap' in module 'main', found no such name."),
        (["main:App"], "Expected a Lamella application at main:App, got the class App."),
        (["main:__doc__"], "Expected a Lamella application at main:__doc__, got NoneType."),
        (["main:odd"], "Expected openapi() of main:odd to return a dict, got str."),
        (["main:app", "--output", "no/such"], "Expected to write to 'no/such': No such file"),
    ],
)
def test_a_mistake_is_one_line(folder, arguments, said):
    lines = run(folder, *arguments, code=1).splitlines()
    assert ["lamella openapi: "] == [
        line[:17] for line in lines if line not in ("imported", "asked")
    ]
    assert said in lines[-1]


@pytest.mark.parametrize("arguments", [[], ["main:app", "--format", "xml"]])
def test_a_wrong_command_line_says_what_is_expected(folder, arguments):
    assert "usage: lamella openapi" in run(folder, *arguments, code=2)


def test_without_pyyaml_the_error_says_what_to_install(folder):
    (folder / "yaml.py").write_text("raise ModuleNotFoundError(name='yaml')")
    lines = run(folder, "main:app", "--format", "yaml", code=1).splitlines()
    expected = "lamella openapi: --format yaml needs PyYAML; install it with:"
    assert f'{expected} pip install "lamella[schemas]"' == lines[-1]


def test_an_error_of_the_program_is_shown_with_its_line(folder):
    """As anywhere: one line would hide where it comes from."""
    said = run(folder, "broken:app", code=1)
    assert 'broken.py", line 1' in said
    assert "lamella_has_no_such_module" in said


def test_with_a_safe_path_nothing_is_imported_from_the_folder(folder):
    said = run(folder, "main:app", code=1, PYTHONSAFEPATH="1")
    assert "Expected a module 'main'" in said
