"""The benchmarks run: every group once, with tiny counts, and no claim about time."""

import asyncio
import json
import math
from dataclasses import fields, replace

import pytest

from benchmarks import (
    __main__,
    bridges,
    documents,
    imports,
    layers,
    memory,
    peers,
    plain,
    routes,
    streaming,
    tasks,
    typed,
    wire,
    wire_load,
)
from benchmarks.asgi import Case, bare, exchange
from benchmarks.figures import Bar, Figure, as_json, markdown, number, table
from benchmarks.frameworks import Pair, load
from benchmarks.lifespan import started
from benchmarks.measure import Effort, Spread, rotated, slopes
from tests.loops import asyncio_only

# A group collects the garbage of all the tests before it, with every allocation traced.
pytestmark = pytest.mark.timeout(120)

TINY = Effort(
    rounds=2,
    block_seconds=0.0001,
    memory_rounds=1,
    memory_requests=10,
    import_rounds=1,
    build_rounds=1,
    wire_rounds=1,
    wire_seconds=5.0,
    wire_requests=20,
    wire_connections=2,
)
IN_PROCESS = [bridges, layers, memory, plain, routes, streaming, tasks, typed]


def of(value):
    """Stand for a measurement whose rounds all agreed."""
    return Spread(value, value, value)


def figure(**changes):
    """Stand for a measured figure that meets its bar."""
    made = Figure("layers", "one more layer", "us", of(0.1), of(80.0), of(0.05), of(0.5), Bar(0.2))
    return replace(made, **changes)


@pytest.fixture(scope="module")
def pair():
    """The two frameworks under their names, as the command line takes them by default."""
    return Pair(load("lamella"), load("starlette"))


def spreads(made):
    """All measurements that a figure holds, by name."""
    named = {f.name: getattr(made, f.name) for f in fields(made)} | made.timings
    return {name: value for name, value in named.items() if isinstance(value, Spread)}


def assert_sound(figures, group):
    """Hold figures to what is true at any speed: finite, in order, and positive where timed."""
    assert figures
    for made in figures:
        assert made.group == group
        assert made.bar is None or made.met is not None
        for name, spread in spreads(made).items():
            values = (spread.minimum, spread.median, spread.maximum)
            assert all(math.isfinite(value) for value in values), (made.what, name, spread)
            assert spread.minimum <= spread.median <= spread.maximum
        assert all(spread.minimum > 0 for spread in made.timings.values()), made.timings


@pytest.mark.parametrize("module", IN_PROCESS, ids=lambda module: module.__name__)
def test_group_gives_finite_figures_from_positive_timings(module, pair):
    """A slope of two tiny rounds may be anything, what came off the clock may not."""
    said = []
    figures = module.measure(pair, TINY, said.append)
    assert_sound(figures, module.__name__.removeprefix("benchmarks."))
    assert said, "progress is printed before anything is measured"


def test_imports_are_timed_in_fresh_interpreters(pair):
    """In this process everything is imported already."""
    assert_sound(imports.measure(pair, TINY, lambda text: None), "imports")


def test_documents_are_made_of_every_route_by_every_framework(pair):
    """A framework that left routes out of its document would be quick, and is refused."""
    figures = documents.measure(pair, TINY, lambda text: None, routes=4)
    assert_sound(figures, "documents")
    assert all(spread.minimum > 0 for made in figures for spread in spreads(made).values())


def test_wire_counts_answers_of_real_servers(pair):
    """The server and the generator are processes of their own and must find each other."""
    figures = wire.measure(pair, TINY, lambda text: None, counts=(1,))
    assert_sound(figures, "wire")
    assert all(spread.minimum > 0 for made in figures for spread in spreads(made).values())


def test_every_group_of_the_command_line_is_measured_here():
    """A new group must not escape the tests above."""
    tested = {module.measure for module in [*IN_PROCESS, documents, imports, wire]}
    assert tested == set(__main__.GROUPS.values())


def test_native_layers_create_no_task_and_reference_layers_do(pair):
    """The counter has to see tasks where there are some, or its nought means nothing."""
    native = tasks.measure(pair, TINY, lambda text: None)[0]
    assert native.subject.median == 0
    assert native.reference.median == tasks.LAYERS


async def idle():
    """Do nothing, in whatever task."""


async def tasking(scope, receive, send):
    """Make one task as the loop does it, and one behind the back of any task factory."""
    await asyncio.create_task(idle())
    await asyncio.Task(idle())
    await bare(scope, receive, send)


def test_counter_sees_a_task_made_past_the_task_factory():
    """A bridge makes its task by hand, to give it the context of its caller."""
    assert tasks.created(tasking) == 2


async def broken(scope, receive, send):
    """Answer with an error page's status."""
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b"oops"})


@asyncio_only("the benchmarks measure on asyncio")
@pytest.mark.anyio
async def test_wrong_answer_is_refused_before_anything_is_timed():
    """An error page is quick; a figure made of it would be praise."""
    with pytest.raises(RuntimeError, match="Expected 200 .* got 500"):
        await exchange(Case(broken))


async def echoing(scope, receive, send):
    """Send back what came, and what was asked, as JSON with spaces in it."""
    said = {"body": (await receive())["body"].decode(), "asked": scope["query_string"].decode()}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said, indent=1).encode()})


@asyncio_only("the benchmarks measure on asyncio")
@pytest.mark.anyio
async def test_query_and_body_of_a_case_are_sent_and_the_same_json_in_other_words_will_do():
    """Frameworks differ in the spaces that they put into JSON, which is no error."""
    expected = b'{"asked":"q=1","body":"[]"}'
    case = Case(echoing, "/", expected, query=b"q=1", method="POST", sent=b"[]")
    await exchange(case)
    assert (b"content-length", b"2") in case.scope()["headers"]
    with pytest.raises(RuntimeError, match="Expected 200"):
        await exchange(replace(case, query=b"q=2"))


@pytest.mark.parametrize("body", [b"oops", b"null"])
def test_what_is_no_json_must_be_the_very_same(body):
    """None is what both read as, but an error page is not the answer."""
    assert not Case(bare, body=b"Hello").answered_by(body)
    assert Case(bare, body=b"Hello").answered_by(b"Hello")


async def failing(scope, receive, send):
    """Refuse to start."""
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def raising(scope, receive, send):
    """End without an answer, as an app that knows of no lifespan."""
    raise ZeroDivisionError("on purpose")


@pytest.mark.parametrize(("app", "said"), [(failing, "no database"), (raising, "on purpose")])
def test_app_that_does_not_start_is_not_measured(app, said):
    """What is asked of it would be an error page, or lack what its start makes."""
    with pytest.raises(RuntimeError, match=said):
        started(app)


def peer(name, by_hand=False):
    """Stand for a framework's program."""
    return peers.Peer(name, lambda: bare, by_hand, "")


TAKEN = {peers.SUBJECT: [2.0], "a": [9.0], "b": [5.0], "c": [4.0]}
THREE = [peer(peers.SUBJECT), peer("a"), peer("b"), peer("c", by_hand=True)]


def bars(bar):
    """Name the rows in their order, and those that have the bar."""
    made = peers.beside(("typed", "what", "us"), THREE, TAKEN, bar, {})
    return [row.what[-1] for row in made], [row.what[-1] for row in made if row.bar]


def test_bar_on_a_ratio_is_beside_the_quickest_that_declares_what_it_does(monkeypatch):
    """What is done by hand is shown, and no framework is held to it."""
    monkeypatch.setattr(peers, "absent", list)
    assert bars(Bar(0.5, of="ratio")) == (["c", "b", "a"], ["b"])
    assert bars(Bar(15)) == (["c", "b", "a"], ["c"])


def test_without_one_of_the_frameworks_there_is_no_bar_on_a_ratio(monkeypatch):
    """The one that is missing might be the quickest: the bar would be met too easily."""
    monkeypatch.setattr(peers, "absent", lambda: ["falcon"])
    assert bars(Bar(0.5, of="ratio")) == (["c", "b", "a"], [])
    assert bars(Bar(15)) == (["c", "b", "a"], ["c"])


def test_frameworks_that_are_not_installed_are_named_in_one_line(monkeypatch):
    """A table that silently lacks the quickest framework would be praise."""
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name == "falcon" else name)
    said = []
    peers.announce(said.append, "typed")
    assert said == ["typed; not installed, so left out: falcon"]


def test_what_is_measured_alone_has_its_row():
    """With nothing installed beside it, a bar on the value holds all the same."""
    made = peers.beside(("typed", "what", "us"), THREE[:1], TAKEN, Bar(15), {})
    assert [(row.what, row.reference, row.verdict) for row in made] == [("what", None, "ok")]


def test_crash_of_a_group_is_told_and_the_others_go_on(monkeypatch, capsys):
    """One broken group must not cost the figures of all others."""

    def crash(pair, effort, say):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(__main__, "GROUPS", {"a": crash, "b": lambda pair, effort, say: [figure()]})
    figures, crashed = __main__.run(["a", "b"], None, TINY, lambda text: None)
    assert [made.what for made in figures] == ["one more layer"]
    assert crashed
    assert "on purpose" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "crashed", "check", "expected"),
    [
        (0.1, False, False, 0),
        (0.1, False, True, 0),
        (0.3, False, False, 0),
        (0.3, False, True, __main__.MISSED),
        (0.3, True, True, __main__.CRASHED),
        (0.1, True, False, __main__.CRASHED),
    ],
)
def test_exit_code_tells_a_miss_only_when_asked(value, crashed, check, expected):
    """Figures are read, not asserted, unless --check asks for it."""
    assert __main__.exit_code([figure(subject=of(value))], crashed, check) == expected


@pytest.mark.parametrize(
    ("bar", "expected"),
    [(Bar(0.1), "ok"), (Bar(0.09), "miss"), (Bar(0.5, of="ratio"), "ok"), (None, "")],
)
def test_bar_holds_up_to_its_limit_and_on_what_it_names(bar, expected):
    """A bar is the most that will do, of the value or of the ratio."""
    assert figure(bar=bar).verdict == expected


def test_bar_on_a_ratio_that_is_absent_is_an_error():
    """Silence would read as a bar that is met."""
    with pytest.raises(ValueError, match="Expected a ratio"):
        _ = figure(ratio=None, bar=Bar(0.5, of="ratio")).met


def test_table_and_markdown_show_value_bar_verdict_and_command():
    """Each figure stands beside the command that makes it."""
    for text in (table([figure()]), markdown([figure()])):
        for shown in ("one more layer", "0.10", "80", "<= 0.2 us", "ok"):
            assert shown in text
        assert "python -m benchmarks layers" in text


def test_json_holds_what_the_table_shows():
    """The file is for machines: it must survive a round trip with the timings in it."""
    made = figure(timings={"subject, 0": of(7.0)})
    back = json.loads(json.dumps(as_json([made], "a machine")))
    assert back["machine"] == "a machine"
    assert back["figures"][0]["subject"] == {"minimum": 0.1, "median": 0.1, "maximum": 0.1}
    assert back["figures"][0]["timings"]["subject, 0"]["median"] == 7.0
    assert back["figures"][0]["met"] is True


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (0.1234, "0.12"), (0.0123, "0.012"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_numbers_show_three_digits_that_tell(value, expected):
    """A table of mixed sizes is read by eye."""
    assert number(value) == expected


def test_slope_is_what_one_more_costs_in_each_round():
    """Both rounds below lie on a line; the second is slower as a whole but not per layer."""
    assert slopes({0: [5.0, 9.0], 1: [7.0, 11.0], 4: [13.0, 17.0]}) == [2.0, 2.0]


def test_rounds_start_at_another_case_each_time():
    """Nobody may always run after the same neighbour's first block."""
    assert [rotated("abc", by) for by in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_answer_length_waits_for_the_head():
    """The generator must not count half an answer as one."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert wire_load.answer_length(answer[:-3]) == 0
    assert wire_load.answer_length(answer) == len(answer)


def test_answer_of_unknown_length_is_refused():
    """Without a length the generator could not tell where an answer ends."""
    with pytest.raises(ValueError, match="Expected a content-length"):
        wire_load.answer_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")


def test_unknown_framework_is_named():
    """A name mistyped on the command line is answered with those there are."""
    with pytest.raises(SystemExit, match="lamella, starlette, got 'starlet'"):
        load("starlet")


def test_unknown_group_is_refused_by_the_command_line(capsys):
    """Measuring nothing would look like success."""
    with pytest.raises(SystemExit) as raised:
        __main__.main(["nothing"])
    assert raised.value.code == 2
    assert "no group nothing" in capsys.readouterr().err
