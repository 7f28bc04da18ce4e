"""The last of many routes against the only route."""

from __future__ import annotations

from benchmarks.asgi import App, Case
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Framework, Pair
from benchmarks.measure import Effort, Say, Spread, interleaved, ratios
from benchmarks.stacks import json_endpoint

ROUTES = 500
BAR = Bar(1.15)

# Name, path of route n, a path that the last route answers, and the bar if there is one.
KINDS = (
    ("static paths", "/resource{n}/list", f"/resource{ROUTES - 1}/list", BAR),
    ("a path parameter", "/resource{n}/{{item}}", f"/resource{ROUTES - 1}/abc", BAR),
    ("a parameter first", "/{{tenant}}/resource{n}", f"/abc/resource{ROUTES - 1}", None),
)


def routed(framework: Framework, template: str, numbers: range) -> App:
    """An app with one JSON route for each number."""
    endpoint = json_endpoint(framework)
    routes = [framework.route(template.format(n=n), endpoint) for n in numbers]
    app: App = framework.application(routes=routes)
    return app


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """How many times the request to the only route the same request takes among many."""
    figures: list[Figure] = []
    for name, template, path, bar in KINDS:
        say(f"routes: the last of {ROUTES}, {name}")
        cases: dict[tuple[str, str], Case] = {}
        for role, framework in zip(("subject", "reference"), pair.both, strict=True):
            last = range(ROUTES - 1, ROUTES)
            cases[role, "only"] = Case(routed(framework, template, last), path)
            cases[role, "last"] = Case(routed(framework, template, range(ROUTES)), path)
        times = interleaved(cases, effort)
        subject = ratios(times["subject", "last"], times["subject", "only"])
        reference = ratios(times["reference", "last"], times["reference", "only"])
        figures.append(
            Figure(
                "routes",
                f"the last of {ROUTES} routes against the only one, {name}",
                "times",
                subject=Spread.of(subject),
                reference=Spread.of(reference),
                ratio=Spread.of(ratios(subject, reference)),
                bar=bar,
                timings={f"{r}, {p}": Spread.of(v) for (r, p), v in times.items()},
            )
        )
    return figures
