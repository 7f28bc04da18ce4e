"""The page that is shown for an unhandled error while debugging.

Floor 0: nothing of the package is imported here. ``render_html`` makes one page
that needs no network and no script; ``render_text`` gives the standard traceback.
Neither ever raises, whatever the exception and the values around it do when they
are looked at: ``__str__`` and ``__repr__`` are foreign code, run in a thread that
is left behind when it takes too long. Size is bounded throughout, and values that
look like secrets are hidden, since such pages end up in bug reports.

Both block for up to ``PATIENCE`` seconds: call them off the event loop.
"""

from __future__ import annotations

import contextvars
import html
import linecache
import os
import queue
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

MAX_BYTES: Final = 512 * 1024
"""Most bytes of UTF-8 that a page or a text has."""

PATIENCE: Final = 2.0
"""Seconds that all foreign code of one page may take; a single value gets a quarter."""

_STYLE = """
:root{color-scheme:light dark;--bg:#f6f6f4;--card:#fff;--ink:#1b1f24;--dim:#656d76;--line:#dcdedb;
--red:#b42318;--hot:#fdecea;--mark:#f9c5bf;--code:#fbfbfa;--name:#0b5cad}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--ink:#e4e6e8;--dim:#959ca4;
--line:#30363c;--red:#ff8a80;--hot:#3b2023;--mark:#7d3336;--code:#171a1e;--name:#79b8ff}}
*{box-sizing:border-box} body{margin:0;background:var(--bg);color:var(--ink)}
body,h1,h2{font:15px/1.5 system-ui,sans-serif}
pre,code,dl,.at,.lines b{font:13px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre,dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
header>div,main,footer{max-width:1040px;margin:0 auto;padding:0 20px}
header{background:var(--card);border-top:4px solid var(--red);padding:26px 0 22px}
h1,h2{margin:0;font-size:18px;font-weight:650;color:var(--red);overflow-wrap:anywhere}
h1{font-size:25px} h1 span,h2 span{color:var(--dim);font-weight:400}
.message{font-size:15px;margin-top:8px}
.at,.gap,.cause p,footer,header p,.fold>summary,.locals summary,b{color:var(--dim)}
header p{margin:12px 0 0} .cause p{margin:0 0 2px} main{padding-top:12px}
.cause{margin:30px 0 12px;padding-top:20px;border-top:1px solid var(--line)}
section{margin-bottom:24px} .deep1{margin-left:22px} .deep2{margin-left:44px}
.deep3{margin-left:66px}
summary{cursor:pointer;padding:7px 14px;overflow-wrap:anywhere}
summary:hover,.lines,.fold>pre{background:var(--code)}
.frame,.fold{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:10px 0}
.fold .frame{margin:0;border-width:1px 0 0;border-radius:0}
.frame>summary code{font-weight:650;margin-right:10px}
.lines,.locals,.fold>pre{border-top:1px solid var(--line)} .lines{padding:6px 0}
.lines div{display:flex;padding-right:14px}
.lines b{flex:none;width:58px;padding-right:14px;text-align:right;user-select:none}
.lines .now{background:var(--hot);box-shadow:inset 3px 0 var(--red)}
mark{background:var(--mark);color:inherit;border-radius:3px}
dl{display:grid;grid-template-columns:minmax(90px,max-content) 1fr;gap:2px 18px;margin:0}
dl{padding:0 14px 10px 28px} .fold>pre{padding:10px 14px}
dt{color:var(--name);overflow-wrap:anywhere}
.locals summary,.gap,footer{font-size:13px} footer{padding:14px 20px 36px}
@media(max-width:640px){dl{display:block} dd{margin:0 0 6px 14px} section{margin-left:8px}}
"""

_FIRST_FRAMES, _LAST_FRAMES, _OPEN_FRAMES, _MAX_EXCEPTIONS = 10, 30, 10, 20
_MAX_LOCALS, _MAX_ITEMS, _MAX_VALUE, _MAX_REPR = 30, 10, 200, 10_000
_MAX_LINE, _MAX_MESSAGE, _MAX_TRACEBACK = 300, 4_000, 64 * 1024
_MARGIN = 500  # bytes for the markup between the parts that are weighed
_LATE, _HIDDEN = "<not shown: took too long>", "[hidden]"
# Patterns are left to re's cache: most processes never show a page.
_SECRET = (
    r"(?:passw|passphrase|pwd|secret|token|authori[sz]ation|(?:api|private)[_-]?key"
    r"|credential|cookie|jwt)"
)
_QUOTED = r"""b?'(?:[^'\\]|\\.)*+'?|b?"(?:[^"\\]|\\.)*+"?|[\[({][^\])}]*+[\])}]?"""
# The value after a name that looks secret, a bearer token, the password in a URL.
_SECRET_TEXT = (
    rf"""(?is)({_SECRET}[\w-]{{0,40}}+['"]?\s*+[:=,]\s*+)(?:{_QUOTED}|[^\s,'")}}\]]++)"""
    r"""|(\bbearer\s)[^\s'"]++|(://[^\s:/@'"]{0,80}+:)[^\s/@'"]++(?=@)"""
)
_BRACKETS: dict[Any, str] = {dict: "{ }", set: "{ }", frozenset: "{ }", list: "[ ]", tuple: "( )"}
_SITE = r"(?s).*[\\/](?:site|dist)-packages[\\/]"
_PACKAGE = f"{Path(__file__).parent}{os.sep}"
# Not sysconfig's: this one is spelt as the file names in frames are.
_STDLIB = f"{Path(os.__file__).parent}{os.sep}"


@dataclass
class _Frame:
    """One call on the way to the error, with at most ``_MAX_LOCALS`` of its variables."""

    call: TracebackType
    filename: str
    function: str
    line: int
    names: list[tuple[str, Any]]
    more_names: int
    folded: bool
    gap: int = 0  # frames left out between this one and the one it called
    rank: int | None = None  # among the open frames of its section
    values: list[str] = field(default_factory=list[str])


@dataclass
class _Section:
    """One exception; ``depth`` counts the groups around it, the most recent frame is first."""

    exc: BaseException
    relation: str = ""
    depth: int = 0
    frames: list[_Frame] = field(default_factory=list[_Frame])
    message: str = ""


@dataclass
class _Budget:
    """Counts the bytes of UTF-8 that are left, and drops what does not fit any more."""

    left: int
    exceeded: bool = False

    def take(self, piece: str) -> str:
        size = len(piece.encode()) + _MARGIN
        self.exceeded |= size > self.left
        self.left -= size
        return "" if self.exceeded else piece


def render_html(exc: BaseException, *, limit: int = 7) -> str:
    """Make the page for an exception: what it is, where, and with which values.

    The exception stands on top, its frames below, the most recent call first: the
    user's own open; those of this package, of installed ones and of the standard
    library folded. Causes, contexts and members of groups follow.

    Args:
        exc: need not have been raised.
        limit: lines of code shown of each frame; 0 for none.

    Returns:
        HTML of at most ``MAX_BYTES`` bytes of UTF-8. All that comes from outside this
        module is escaped; there is no script, and no address to fetch.
    """
    try:
        return _page(exc, max(limit, 0))
    except Exception:
        # The error to be shown counts, not one made in showing it.
        name = _type_name(exc)
        text = _escape(render_text(exc), _MAX_TRACEBACK)
        return _document(name, f"<main><h1>{_escape(name)}</h1><pre>{text}</pre></main>")


def render_text(exc: BaseException) -> str:
    """Give the standard traceback of an exception, with its causes.

    Returns:
        Text of at most ``MAX_BYTES`` bytes of UTF-8; a longer one loses its middle.
    """
    (text,) = _read([partial(_traceback_text, exc)])
    return f"{_type_name(exc)}: {text}\n" if text.startswith("<not shown") else text


def _sections(exc: BaseException) -> list[_Section]:
    """List an exception and all it is linked to, each once, members of groups in place."""
    found: dict[int, _Section] = {}
    waiting = [_Section(exc)]
    while waiting and len(found) < _MAX_EXCEPTIONS:
        section = waiting.pop()
        if id(section.exc) not in found:
            found[id(section.exc)] = section
            section.frames = _frames(section.exc)
            waiting.extend(reversed(_linked(section.exc, section.depth)))
    return list(found.values())


def _linked(exc: BaseException, depth: int) -> list[_Section]:
    """List the members of a group, then the cause or context."""
    links: list[_Section] = []
    if isinstance(exc, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", exc).exceptions
        for number, member in enumerate(members[:_MAX_EXCEPTIONS], start=1):
            relation = f"Exception {number} of {len(members)} in the group"
            links.append(_Section(member, relation, depth + 1))
    if exc.__cause__ is not None:
        links.append(_Section(exc.__cause__, "Caused by", depth))
    elif exc.__context__ is not None and not exc.__suppress_context__:
        links.append(_Section(exc.__context__, "Raised while handling", depth))
    return links


def _frames(exc: BaseException) -> list[_Frame]:
    """List the calls of one traceback: the first and the last when there are many."""
    calls: list[TracebackType] = []
    following = exc.__traceback__
    while following is not None:
        calls.append(following)
        following = following.tb_next
    left_out = max(len(calls) - _FIRST_FRAMES - _LAST_FRAMES, 0)
    if left_out:
        calls[_FIRST_FRAMES:-_LAST_FRAMES] = []
    frames = [_frame(call) for call in reversed(calls)]
    if left_out:
        frames[_LAST_FRAMES].gap = left_out
    if frames and all(frame.folded for frame in frames):
        frames[0].folded = False
    for rank, frame in enumerate([frame for frame in frames if not frame.folded][:_OPEN_FRAMES]):
        frame.rank = rank
    return frames


def _frame(call: TracebackType) -> _Frame:
    """Take one call from a traceback, with its local variables but nothing of them read."""
    code = call.tb_frame.f_code
    names: list[tuple[str, Any]] = []
    with suppress(Exception):  # a class body may have any mapping for its names
        names = [
            (name, value)
            for name, value in call.tb_frame.f_locals.items()
            if not (name.startswith("__") and code.co_name == "<module>")
        ]
    filename = code.co_filename
    folded = filename.startswith(("<frozen ", _PACKAGE, _STDLIB)) or bool(re.match(_SITE, filename))
    more, line = max(len(names) - _MAX_LOCALS, 0), call.tb_lineno or 0
    return _Frame(call, filename, code.co_qualname, line, names[:_MAX_LOCALS], more, folded)


def _lines(frame: _Frame, limit: int) -> list[tuple[int, str]]:
    """Give the lines of code around a call, numbered; none when they are not to be had."""
    lines: list[str] = []
    with suppress(Exception):  # a loader is foreign code
        linecache.checkcache(frame.filename)
        lines = linecache.getlines(frame.filename, frame.call.tb_frame.f_globals)
    first = max(min(frame.line - 1 - limit // 2, len(lines) - limit), 0)
    shown = lines[first : first + limit]
    return [(number, line.rstrip("\r\n")) for number, line in enumerate(shown, start=first + 1)]


def _columns(frame: _Frame, text: str) -> tuple[int, int]:
    """Find the characters of a line that were being evaluated; (0, 0) for all or unknown."""
    positions = frame.call.tb_frame.f_code.co_positions()
    position = next(islice(positions, frame.call.tb_lasti // 2, None), (None,) * 4)
    line, end_line, column, end_column = position
    if line != frame.line or column is None or end_column is None:
        return 0, 0
    raw = text.encode("utf-8", "replace")
    start = len(raw[:column].decode("utf-8", "replace"))
    end = len(raw[:end_column].decode("utf-8", "replace")) if line == end_line else len(text)
    return (0, 0) if text[start:end] == text.strip() else (start, end)


def _read(jobs: Sequence[Callable[[], str]]) -> list[str]:
    """Run foreign code in threads; one that is stuck is left behind, and so is its value."""
    texts = [_LATE] * len(jobs)
    deadline = time.monotonic() + PATIENCE
    position = 0
    try:
        while position < len(jobs) and time.monotonic() < deadline:
            position = _read_until_stuck(jobs, texts, position, deadline)
    except RuntimeError:  # a platform or moment without threads
        return [_quiet(job) for job in jobs]
    return texts


def _read_until_stuck(
    jobs: Sequence[Callable[[], str]], texts: list[str], position: int, deadline: float
) -> int:
    """Fill in texts from one thread; return where the next one is to begin."""
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        for job in jobs[position:]:
            if not stop.is_set():
                done.put(_quiet(job))

    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(work,), daemon=True, name="lamella debug page")
    thread.start()
    for index in range(position, len(jobs)):
        patience = min(PATIENCE / 4, deadline - time.monotonic())
        try:
            texts[index] = done.get(timeout=max(patience, 0))
        except queue.Empty:
            stop.set()
            return index + 1
    thread.join()
    return len(jobs)


def _quiet(job: Callable[[], str]) -> str:
    """Run foreign code that shall give a text; tell what it raised, if so."""
    try:
        return _exact(job())
    except BaseException as exc:  # the thread is ours: nothing has to pass through it
        return f"<not shown: raised {_type_name(exc)}>"


def _exact(text: str) -> str:
    """Make a plain string that has a UTF-8 form; a subclass might lie about itself."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def _type_name(exc: BaseException) -> str:
    """Name the class of an exception as tracebacks do."""
    try:
        module, name = type(exc).__module__, type(exc).__qualname__
        text = name if module in ("builtins", "__main__") else f"{module}.{name}"
        return _exact(text)[:_MAX_VALUE]
    except BaseException:  # a metaclass is foreign code too
        return "Exception"


def _message(exc: BaseException) -> str:
    """Give the text of an exception with its notes, hints and marked syntax."""
    summary = traceback.TracebackException(
        type(exc), exc, exc.__traceback__, limit=0, compact=True
    ).format_exception_only()
    text = "".join(summary).strip("\n")
    return text.removeprefix(_type_name(exc)).removeprefix(": ")


def _traceback_text(exc: BaseException) -> str:
    """Give the standard traceback, without its middle when it is too long."""
    text = _exact("".join(traceback.format_exception(exc)))
    raw, half = text.encode(), MAX_BYTES // 2 - _MARGIN
    if len(raw) <= MAX_BYTES:
        return text
    head, tail = raw[:half].decode(errors="ignore"), raw[-half:].decode(errors="ignore")
    return f"{head}\n\n  [{len(raw) - 2 * half:,} bytes are left out here]\n\n{tail}"


def _value(name: str, value: Any, depth: int = 3) -> str:
    """Give a bounded text for what has a name, with what looks secret hidden."""
    if value is not None and re.search(_SECRET, name, re.IGNORECASE):
        return _HIDDEN
    text = _shown(value, depth)[:_MAX_REPR]
    text = re.sub(_SECRET_TEXT, lambda seen: f"{seen[1] or seen[2] or seen[3]}{_HIDDEN}", text)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."


def _shown(value: Any, depth: int) -> str:
    """Give a repr whose cost is bounded for the built-in types, however big they are."""
    kind = cast("Any", type(value))
    if kind in (str, bytes, bytearray):
        return repr(value[:_MAX_VALUE])
    if kind is int and value.bit_length() > _MAX_VALUE:
        return f"<int of {value.bit_length():,} bits>"
    if kind in _BRACKETS and value:
        opening, closing = _BRACKETS[kind].split()
        shown = [_shown(item, depth - 1) for item in islice(value, _MAX_ITEMS if depth else 0)]
        if kind is dict:
            pairs = zip(shown, value.values(), strict=False)
            shown = [f"{key}: {_value(key, item, depth - 1)}" for key, item in pairs]
        if len(shown) < len(value):
            shown.append("...")
        comma = "," if kind is tuple and len(value) == 1 else ""
        return f"{opening}{', '.join(shown)}{comma}{closing}"
    return _exact(repr(value)[:_MAX_REPR])


def _page(exc: BaseException, limit: int) -> str:
    """Make the whole page; raises when an exception is odd beyond its texts."""
    sections = _sections(exc)
    frames = [frame for section in sections for frame in section.frames]
    # The user's own first, as patience may run out.
    frames.sort(key=lambda frame: frame.folded)
    messages = [partial(_message, section.exc) for section in sections]
    values = [partial(_value, name, value) for frame in frames for name, value in frame.names]
    texts = iter(_read([*messages, partial(_traceback_text, exc), *values]))
    for section in sections:
        section.message = next(texts)
    plain = next(texts)
    for frame in frames:
        frame.values = list(islice(texts, len(frame.names)))
    summary = sections[0].message.partition("\n")[0]
    title = f"{_type_name(exc)}: {summary}"[:_MAX_VALUE]
    return _document(title, _body(sections, plain, limit))


def _body(sections: list[_Section], plain: str, limit: int) -> str:
    """Put header, frames, causes and traceback below each other while there is room."""
    budget = _Budget(MAX_BYTES - len(_document("", "").encode()) - 20 * _MARGIN)
    first, *others = sections
    at = next((frame for frame in first.frames if frame.rank is not None), None)
    where = f"<p>in {_place(at)}</p>" if at else ""
    header = budget.take(f"<header><div>{_heading(first, 'h1')}{where}</div></header>")
    parts = [header, "<main>", _frames_html(first, limit, budget)]
    for section in others:
        heading = budget.take(f'<div class="cause">{_heading(section, "h2")}</div>')
        content = f"{heading}{_frames_html(section, limit, budget)}"
        parts.append(f'<section class="deep{min(section.depth, 3)}">{content}</section>')
    text = f"<pre>{_escape(plain, _MAX_TRACEBACK)}</pre>"
    summary = "<summary>The whole traceback as text</summary>"
    parts.append(budget.take(f'<details class="fold">{summary}{text}</details>'))
    if len(sections) == _MAX_EXCEPTIONS:
        parts.append('<p class="gap">No more exceptions are shown.</p>')
    if budget.exceeded:
        parts.append('<p class="gap">The rest is left out, as it is too big.</p>')
    return "".join([*parts, "</main>"])


def _heading(section: _Section, tag: str) -> str:
    """Show what an exception is and says."""
    module, dot, name = _type_name(section.exc).rpartition(".")
    relation = f"<p>{_escape(section.relation)}</p>" if section.relation else ""
    message = f'<pre class="message">{_escape(section.message, _MAX_MESSAGE)}</pre>'
    return f"{relation}<{tag}><span>{_escape(module + dot)}</span>{_escape(name)}</{tag}>{message}"


def _frames_html(section: _Section, limit: int, budget: _Budget) -> str:
    """Show the frames of one exception, those of libraries in one fold where they touch."""
    parts: list[str] = []
    for (folded, gap), run in groupby(section.frames, key=lambda frame: (frame.folded, frame.gap)):
        calls = list(run)
        shown = "".join(budget.take(_frame_html(frame, limit)) for frame in calls)
        if folded and len(calls) > 1 and shown:
            packages = dict.fromkeys(_short_path(call.filename).split("/")[0] for call in calls)
            names = _escape(", ".join(packages)[:_MAX_VALUE])
            summary = f"<summary>{len(calls)} library frames: {names}</summary>"
            shown = f'<details class="fold">{summary}{shown}</details>'
        parts += [f'<p class="gap">{gap:,} frames are left out here.</p>' if gap else "", shown]
    return "".join(parts)


def _frame_html(frame: _Frame, limit: int) -> str:
    """Show one call: where it is, its code and its local variables."""
    lines = _lines(frame, limit) if limit else []
    rows = "".join(_line_html(frame, number, text) for number, text in lines)
    code = f'<div class="lines">{rows}</div>' if rows else ""
    names = [name for name, _ in frame.names]
    pairs = [*zip(names, frame.values, strict=True)]
    if frame.more_names:
        pairs.append(("...", f"{frame.more_names:,} more"))
    items = "".join(f"<dt>{_escape(n, _MAX_VALUE)}</dt><dd>{_escape(v)}</dd>" for n, v in pairs)
    values = f"<summary>Local variables</summary><dl>{items}</dl>"
    values = f'<details class="locals"{" open" * (frame.rank == 0)}>{values}</details>'
    summary = f"<summary>{_place(frame)}</summary>{code}{values if pairs else ''}"
    return f'<details class="frame"{" open" * (frame.rank is not None)}>{summary}</details>'


def _place(frame: _Frame) -> str:
    """Name a function, its file and line."""
    path = f"{_escape(_short_path(frame.filename), _MAX_VALUE)}:{frame.line}"
    full = _escape(frame.filename, _MAX_LINE)
    function = _escape(frame.function, _MAX_VALUE)
    return f'<code>{function}</code> <span class="at" title="{full}">{path}</span>'


def _line_html(frame: _Frame, number: int, text: str) -> str:
    """Show one line of code, with what was being evaluated marked."""
    code, mark = _escape(text, _MAX_LINE), ""
    if number == frame.line:
        mark = ' class="now"'
        start, end = _columns(frame, text)
        if start < end <= _MAX_LINE:
            head, hot, tail = _escape(text[:start]), _escape(text[start:end]), text[end:]
            code = f"{head}<mark>{hot}</mark>{_escape(tail, _MAX_LINE)}"
    return f"<div{mark}><b>{number}</b><pre>{code}</pre></div>"


def _short_path(filename: str) -> str:
    """Give a file name without what says nothing: where packages are, where we are."""
    roots = [f"{Path(_PACKAGE).parent}{os.sep}", _STDLIB]
    with suppress(OSError):  # the folder we are in may be gone
        roots.append(f"{Path.cwd()}{os.sep}")
    site = re.match(_SITE, filename)
    root = site[0] if site else next((root for root in roots if filename.startswith(root)), "")
    return filename.removeprefix(root).replace(os.sep, "/")


def _escape(text: str, size: int | None = None) -> str:
    """Make text safe inside elements and quoted attributes, cut to a number of characters."""
    text = _exact(text)
    if size is not None and len(text) > size:
        text = f"{text[:size]}... ({len(text):,} characters in all)"
    return html.escape(text)


def _document(title: str, body: str) -> str:
    """Put a body of HTML into a page of its own."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex">'
        f"<title>{_escape(title)}</title><style>{_STYLE}</style></head><body>{body}"
        f"<footer>Python {sys.version.split()[0]}. This page is shown because debug is on; "
        "it tells of the code and its values, so keep it off the open network.</footer>"
        "</body></html>"
    )
