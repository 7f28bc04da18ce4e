"""Typed endpoints beside those of other frameworks: parameters, a body, dependencies."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable

from benchmarks.asgi import App, Case, Receive, Scope, Send
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Pair
from benchmarks.lifespan import started
from benchmarks.measure import Effort, LoopFactory, Say, Spread, differences, interleaved
from benchmarks.peers import Taken, announce, beside, having
from benchmarks.typed_apps import order

DEPENDENCIES = 10
ITEM = json.dumps(order.ITEM, separators=(",", ":")).encode()
QUERY_BAR = Bar(0.55, of="ratio")
BODY_BAR = Bar(0.5, of="ratio")
DEPENDENCIES_BAR = Bar(15)
BARE = "bare"

# What a program is asked, as a case of the app that it made.
Ask = Callable[[App], Case]


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """A request with typed parameters, one with a typed body, and what dependencies add to one."""
    announce(say, "typed: parameters in the path and in the query")
    what = "an int in the path and a str in the query, to JSON"
    figures = _above_bare(("query", what), _item, QUERY_BAR, pair, effort)
    say("typed: a JSON body")
    what = "a JSON body of 6 fields and 5 lines, validated and sent back"
    figures += _above_bare(("body", what), _order, BODY_BAR, pair, effort)
    say(f"typed: {DEPENDENCIES} dependencies")
    return figures + _dependencies(pair, effort)


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """The floor: the body that came, or the ready JSON, as two messages."""
    body = (await receive())["body"] if scope["method"] == "POST" else ITEM
    length = (b"content-length", str(len(body)).encode())
    head = [length, (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _item(app: App) -> Case:
    return Case(app, "/items/42", ITEM, query=b"q=hello")


def _order(app: App) -> Case:
    return Case(app, "/orders", order.BODY, method="POST", sent=order.BODY)


def _above_bare(
    program: tuple[str, str], ask: Ask, bar: Bar, pair: Pair, effort: Effort
) -> list[Figure]:
    """What the program of each framework takes, less the bare app that gives the same answer."""
    name, what = program
    peers = having(name, pair)
    if not peers:
        return []
    cases = {peer.name: ask(started(peer.make())) for peer in peers} | {BARE: ask(bare)}
    times = interleaved(cases, effort, loop_factory())
    above = {peer.name: differences(times[peer.name], times[BARE]) for peer in peers}
    return beside(("typed", f"{what}, above the bare app", "us"), peers, above, bar, read(times))


def _dependencies(pair: Pair, effort: Effort) -> list[Figure]:
    """What a request with dependencies takes, less the same one without any."""
    peers = having("dependencies", pair)
    if not peers:
        return []
    cases = {
        f"{peer.name}, {count}": Case(started(peer.make(count)), body=b"{}")
        for peer in peers
        for count in (0, DEPENDENCIES)
    }
    times = interleaved(cases, effort, loop_factory())
    added = {
        p.name: differences(times[f"{p.name}, {DEPENDENCIES}"], times[f"{p.name}, 0"])
        for p in peers
    }
    what = f"added by {DEPENDENCIES} trivial async dependencies"
    return beside(("typed", what, "us"), peers, added, DEPENDENCIES_BAR, read(times))


def read(times: Taken) -> dict[str, Spread]:
    """What came off the clock, for the JSON file."""
    return {name: Spread.of(values) for name, values in times.items()}


def loop_factory() -> LoopFactory | None:
    """That of uvloop where it is installed, as under a server; else asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: LoopFactory = importlib.import_module("uvloop").new_event_loop
    return factory
