"""Many typed routes beside other frameworks: until the first answer, and the OpenAPI document."""

from __future__ import annotations

import asyncio
import gc
import json

from benchmarks.asgi import Case, answer, exchange
from benchmarks.figures import Bar, Figure
from benchmarks.frameworks import Pair
from benchmarks.lifespan import running
from benchmarks.measure import Effort, Say, clock_ns, rotated
from benchmarks.peers import Peer, announce, beside, having
from benchmarks.typed_apps import order

ROUTES = 500
BUILD_BAR = Bar(150)
DOCUMENT_BAR = Bar(250)


def measure(pair: Pair, effort: Effort, say: Say, routes: int = ROUTES) -> list[Figure]:
    """Milliseconds from the declaration of the routes to the first answer, and of the document."""
    announce(say, f"documents: {routes} typed routes")
    peers = having("many", pair)
    if not peers:
        return []
    builds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    documents: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for number in range(effort.build_rounds):
        for peer in rotated(peers, number):
            gc.collect()
            build, document = asyncio.run(_once(peer, routes))
            builds[peer.name].append(build)
            documents[peer.name].append(document)
    built = f"{routes} typed routes: declared, started, the first request answered"
    told = f"{routes} typed routes: the first OpenAPI document, over ASGI"
    return [
        *beside(("documents", built, "ms"), peers, builds, BUILD_BAR, {}),
        *beside(("documents", told, "ms"), peers, documents, DOCUMENT_BAR, {}),
    ]


async def _once(peer: Peer, routes: int) -> tuple[float, float]:
    """Milliseconds of the one and of the other, of an app made anew.

    Raises:
        RuntimeError: an answer is another than expected, or a route is not in the document.
    """
    path = f"/resource{routes - 1}/42"
    begun = clock_ns()
    app = peer.make(routes)
    async with running(app):
        await exchange(Case(app, path, order.BODY, method="PUT", sent=order.BODY))
        built = clock_ns()
        status, document = await answer(Case(app, peer.document))
        told = clock_ns()
    described = len(json.loads(document)["paths"]) if status == 200 else 0
    if described != routes:
        raise RuntimeError(f"Expected {routes} paths, got {described} ({status}) from {peer.name}.")
    return (built - begun) / 1e6, (told - built) / 1e6
