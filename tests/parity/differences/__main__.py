"""Write `docs/differences.md`: `python -m tests.parity.differences`."""

from tests.parity.differences.page import PAGE, written

PAGE.write_text(written(), "utf-8")
