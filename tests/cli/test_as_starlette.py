"""`python -m lamella --as-starlette` runs a program as `python` would, and its children."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lamella.cli.startup import sitecustomize

TELL = """
import json, sys
import starlette.routing
if __name__ == "__main__":
    print(json.dumps([sys.argv, sys.path[0], starlette.routing.__name__, __name__]))
"""


def run(folder, *arguments, code=0, **environment):
    """Run `python -m lamella` with arguments in a folder; return what it printed."""
    command = [sys.executable, "-W", "error", "-m", "lamella", *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=15,
        cwd=folder,
        env={**os.environ, **environment},
    )
    assert code == done.returncode, done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture
def folder(tmp_path):
    """A folder with a program in it, and one in a folder below."""
    (tmp_path / "program.py").write_text(TELL)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "program.py").write_text(TELL)
    return tmp_path.resolve()


OPTIONS = ["-m", "x", "--as-starlette", "-h", "--", "--reload"]


def test_a_script_gets_its_arguments_and_its_folder(folder):
    """Whatever stands behind its name is its own, options that look like ours too."""
    argv, path, home, name = json.loads(run(folder, "--as-starlette", "below/program.py", *OPTIONS))
    assert ["below/program.py", *OPTIONS] == argv
    assert (str(folder / "below"), "lamella.routing", "__main__") == (path, home, name)


def test_a_module_gets_its_arguments_and_the_working_folder(folder):
    """As `python -m` does it."""
    argv, path, home, name = json.loads(
        run(folder, "--as-starlette", "-m", "below.program", *OPTIONS)
    )
    assert [str(folder / "below" / "program.py"), *OPTIONS] == argv
    assert (str(folder), "lamella.routing", "__main__") == (path, home, name)


def test_a_safe_path_stays_safe(folder):
    """With PYTHONSAFEPATH nothing is imported from where the program lies."""
    said = run(folder, "--as-starlette", "below/program.py", PYTHONSAFEPATH="1")
    assert str(folder / "below") != json.loads(said)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected --as-starlette and a program to run"),
        (["program.py"], "expected --as-starlette and a program to run"),
        (["--as-starlette"], "expected a program to run: `-m module ...` or `script.py ...`"),
        (["--as-starlette", "-m"], "expected a program to run"),
    ],
)
def test_a_wrong_command_line_says_what_is_expected(folder, arguments, said):
    """Code 2, as for any command."""
    assert said in run(folder, *arguments, code=2)


def test_the_exit_code_is_the_programs(folder):
    """Process managers and CI act on it."""
    (folder / "program.py").write_text("import sys; sys.exit(7)")
    run(folder, "--as-starlette", "program.py", code=7)


def test_an_error_of_the_program_is_shown_with_its_line(folder):
    """As anywhere."""
    (folder / "program.py").write_text("1 / 0")
    assert 'program.py", line 1' in run(folder, "--as-starlette", "program.py", code=1)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_of_multiprocessing_have_it_too(folder, method):
    """Workers and reloaders of servers are such, and they import the application."""
    (folder / "program.py").write_text(f"""
import multiprocessing, sys
def tell(queue):
    import starlette.routing
    queue.put(starlette.routing.__name__)
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    queue = context.Queue()
    child = context.Process(target=tell, args=(queue,))
    child.start()
    print(queue.get(timeout=10))
    child.join()
""")
    assert "lamella.routing\n" == run(folder, "--as-starlette", "program.py")


CHILD = "import starlette.routing; print(starlette.routing.__name__)"


def test_other_processes_have_it_too(folder):
    """Servers start themselves anew by a command line."""
    (folder / "program.py").write_text(f"""
import subprocess, sys
print(subprocess.check_output([sys.executable, "-c", {CHILD!r}], text=True), end="")
""")
    assert "lamella.routing\n" == run(folder, "--as-starlette", "program.py")


def test_without_it_a_program_has_the_real_starlette(folder):
    """The tests above must be able to fail."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=15, cwd=folder
    )
    assert "starlette.routing\n" == done.stdout


def test_a_sitecustomize_of_the_environment_is_run_too(folder):
    """Coverage and tracing are started that way, and Python runs only the first it finds."""
    other = folder / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import builtins; builtins.ran = True")
    (folder / "program.py").write_text(f"""
import subprocess, sys
code = {CHILD + "; print(ran)"!r}
print(subprocess.check_output([sys.executable, "-c", code], text=True), end="")
""")
    said = run(
        folder,
        "--as-starlette",
        "program.py",
        PYTHONPATH=os.pathsep.join([str(other), *sys.path[1:]]),
    )
    assert "lamella.routing\nTrue\n" == said


def test_an_interpreter_without_lamella_is_left_alone(folder):
    """A program may start another Python, and must not find a complaint in its output."""
    (folder / "sitecustomize.py").write_text(Path(sitecustomize.__file__).read_text())
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            "import sys; sys.path.append('.'); import sitecustomize",
        ],
        capture_output=True,
        text=True,
        timeout=15,
        cwd=folder,
        env={**os.environ, sitecustomize.SWITCH: "1"},
    )
    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)
