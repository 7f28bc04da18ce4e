"""The page of the differences: the frame in `page.md`, with the tables in its places."""

from pathlib import Path

from tests.parity.differences import SECTIONS
from tests.parity.differences.additions import ADDITIONS
from tests.parity.differences.suite import UNMET

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "differences.md"
FRAME = Path(__file__).with_name("page.md")
COMMAND = "python -m tests.parity.differences"


def slug(title):
    """The anchor of a heading."""
    return title.lower().replace(",", "").replace(" ", "-")


def line(cells):
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def table(head, rows):
    """A table in Markdown."""
    return line(head) + "|" + "---|" * len(head) + "\n" + "".join(map(line, rows))


def section(part):
    """One section: heading, table, and what is said behind it."""
    rows = table(("case", "Starlette 1.10", "lamella", "why"), [row[:4] for row in part.rows])
    return f"## {part.title}\n\n{rows}" + (f"\n{part.after}" if part.after else "")


def written():
    """The text of the page."""
    links = ",\n".join(f"[{part.title}](#{slug(part.title)})" for part in SECTIONS)
    parts = {
        "links": links + ",\n",
        "sections": "\n".join(map(section, SECTIONS)),
        "suite": table(("test", "what it meets"), [(f"`{test}`", case) for test, case in UNMET]),
        "additions": table(("name", "what it is for"), [row[:2] for row in ADDITIONS]),
    }
    text = FRAME.read_text("utf-8")
    for name, part in parts.items():
        text = text.replace(f"<!-- {name} -->\n", part)
    return text
