"""Every Python example in docs/ and the pages beside README.md is run, and its asserts have to hold.

The examples of a page are run one after the other in one module, as a reader would type them. An
`output` block after an example is what the example prints. A block that cannot be run is `text`.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from lamella._as_starlette import STARLETTE_MODULES
from tests.meta.test_floors import FLOORS, parse

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

# What may stand behind the three backticks: what is run, what that prints, and what is only shown.
KINDS = {"python", "output", "console", "text"}
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
MODULE = re.compile(r"`([a-z_.]+)`")
FLOOR_NAME = re.compile(r"`([\w.]+\*?)`")


class Block(NamedTuple):
    """One fenced block of a page."""

    path: Path
    line: int  # of its first line of content, from 1
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    page = path.read_text("utf-8")
    return [
        Block(path, page.count("\n", 0, found.start(2)) + 1, found[1].strip(), found[2])
        for found in FENCE.finditer(page)
    ]


def run_page(path: Path) -> list[str]:
    """Run the examples of a page; return what they printed that no `output` block says, or not so.

    Raises:
        BaseException: what an example raised; its traceback has the lines of the page.
    """
    module = ModuleType("example")
    sys.modules["example"] = module  # for pickling, dataclasses and type hints
    wrong, printed, origin = [], "", None
    try:
        for block in [*blocks(path), None]:
            if block is not None and block.kind == "output":
                if block.text != printed:
                    wrong.append(f"{block}: expected {block.text!r}, printed {printed!r}")
                printed = ""
            elif block is None or block.kind == "python":
                if printed:
                    wrong.append(f"{origin}: prints {printed!r}, which no `output` block tells")
                printed, origin = "", block
                if block is not None:
                    printed = run_block(block, module)
    finally:
        del sys.modules["example"]
    return wrong


def run_block(block: Block, module: ModuleType) -> str:
    """Run one example in a module; return what it printed."""
    code = compile("\n" * (block.line - 1) + block.text, str(block.path), "exec")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, module.__dict__)
    return out.getvalue()


def slugs(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as forges make them."""
    page = FENCE.sub("", path.read_text("utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(page)
    }


def dead_links(path: Path) -> Iterator[str]:
    """Tell the links of a page to files and headings that are not there."""
    for target in LINK.findall(FENCE.sub("", path.read_text("utf-8"))):
        name, _, anchor = target.partition("#")
        if "://" in name:
            continue
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and anchor not in slugs(file)):
            yield f"{path.name}: {target}"


def marked(page: str, name: str) -> str:
    """Return what stands between `<!-- name -->` and `<!-- /name -->`, "" without them."""
    found = re.search(f"<!-- {name} -->(.*)<!-- /{name} -->", page, re.DOTALL)
    return found[1] if found else ""


def present(name: str) -> bool:
    """Whether lamella has a module of that name; nothing is imported."""
    path = ROOT / "src" / "lamella" / Path(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_examples_of_a_page_run(path: Path) -> None:
    """A reader types them in, and has to get what the page says."""
    assert [] == run_page(path)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_block_says_what_it_is(path: Path) -> None:
    """A block without a kind, or with a misspelt one, would not be run."""
    assert [] == [f"{block}: {block.kind!r}" for block in blocks(path) if block.kind not in KINDS]
    assert 2 * len(blocks(path)) == path.read_text("utf-8").count("```")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    """Pages and headings are renamed; links to them stay behind."""
    assert [] == list(dead_links(path))


def test_the_readme_calls_missing_only_what_is_missing() -> None:
    """Somebody decides by that list; take a module off it in the change that adds the module."""
    page = (ROOT / "README.md").read_text("utf-8")
    names = MODULE.findall(marked(page, "missing"))
    assert names
    assert [] == [name for name in names if present(name)]


def test_every_module_of_starlette_is_there() -> None:
    """As the README says: "every module under its name"."""
    names = {name.removeprefix("starlette.") for name in STARLETTE_MODULES}
    assert "every module under its name" in (ROOT / "README.md").read_text("utf-8")
    assert [] == sorted(name for name in names if not present(name))


def test_the_index_links_every_page() -> None:
    """What it does not link, nobody finds."""
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / name).resolve() for name in LINK.findall(index.read_text("utf-8"))}
    pages = {*index.parent.glob("*.md")} - {index}
    assert [] == sorted(page.name for page in pages - linked)


def floors(page: str) -> dict[str, int]:
    """Return the names in the table of floors, and the floor that it puts each on."""
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", page, re.MULTILINE)
    return {name: int(floor) for floor, names in rows for name in FLOOR_NAME.findall(names)}


def modules() -> set[str]:
    """Return the names of the package's modules, without the package's own in front."""
    source = ROOT / "src"
    files = [path.relative_to(source).with_suffix("") for path in source.rglob("*.py")]
    dotted = {".".join(file.parts).removesuffix(".__init__") for file in files}
    return {name.removeprefix("lamella.") for name in dotted}


def test_the_table_of_floors_is_the_one_that_is_checked() -> None:
    """`tests/meta/test_floors.py` holds the code to its own table; here it is shown."""
    shown = floors((ROOT / "ARCHITECTURE.md").read_text("utf-8"))
    checked = {name: place[0] for name, place in parse(FLOORS).items()}
    assert {name: checked.get(name) for name in shown} == shown
    families = {name.removesuffix(".*") for name in shown if name.endswith(".*")}
    missing = {name for name in modules() if not {name, name.rpartition(".")[0]} & families}
    assert [] == sorted(missing - shown.keys())
    assert [] == sorted({name for name in shown if "*" not in name} - modules())


def test_every_private_module_is_explained() -> None:
    """Its name does not tell as much as a public one, which is Starlette's."""
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    section = page.partition("## Private modules")[2].partition("\n## ")[0]
    explained = {name for name in FLOOR_NAME.findall(section) if re.match("_[a-z]", name)}
    tops = {name.split(".")[0] for name in modules()}
    assert {name for name in tops if re.match("_[a-z]", name)} == explained


def write(folder: Path, text: str) -> Path:
    """Write a page."""
    path = folder / "page.md"
    path.write_text(text, "utf-8")
    return path


def test_an_example_that_is_wrong_is_found_with_its_line(tmp_path: Path) -> None:
    """The check must be able to fail, and must say where."""
    path = write(tmp_path, "# Page\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        run_page(path)
    assert (str(path), 8) == (caught.traceback[-1].path.as_posix(), caught.traceback[-1].lineno + 1)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("```python\nprint(1)\n```\n```output\n1\n```\n", 0),
        ("```python\nprint(1)\n```\n```output\n2\n```\n", 1),
        ("```python\nprint(1)\n```\n", 1),
        ("```python\nprint(1)\n```\n```python\nx = 1\n```\n", 1),
        ("```python\nx = 1\n```\n```output\n1\n```\n", 1),
    ],
)
def test_output_is_compared(tmp_path: Path, text: str, count: int) -> None:
    """What an example prints is shown, and as it is."""
    assert count == len(run_page(write(tmp_path, text)))


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """To a file, and to a heading."""
    path = write(tmp_path, "# A b\n[x](#a-b) [y](#c) [z](none.md) [w](page.md#a-b)\n")
    assert ["page.md: #c", "page.md: none.md"] == list(dead_links(path))
