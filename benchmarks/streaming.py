"""A streamed response through dispatch layers: by the endpoint, and by a mounted ASGI app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from benchmarks.asgi import CHUNK, CHUNKS, App, Case, bare_stream, wrapped
from benchmarks.figures import Figure
from benchmarks.frameworks import Framework, Pair
from benchmarks.measure import Effort, Say, Spread, interleaved, ratios
from benchmarks.stacks import idle_layer, layered

LAYERS = 8


async def chunks() -> AsyncIterator[bytes]:
    """The chunks of one answer."""
    for _ in range(CHUNKS):
        yield CHUNK


def streaming(framework: Framework) -> App:
    """The endpoint returns the framework's own StreamingResponse."""

    async def endpoint(request: Any) -> Any:
        return framework.streaming_response(chunks(), media_type="text/plain")

    return layered(framework, LAYERS, endpoint)


def mounted(framework: Framework) -> App:
    """A pure ASGI app that streams, mounted below the layers: it has no other face."""
    idle = idle_layer(framework)
    app: App = framework.application(
        routes=[framework.mount("/", app=bare_stream)],
        middleware=[framework.middleware(idle) for _ in range(LAYERS)],
    )
    return app


def measure(pair: Pair, effort: Effort, say: Say) -> list[Figure]:
    """Microseconds of the whole response, in process, the client staying to the end."""
    figures: list[Figure] = []
    kinds = (("its own StreamingResponse", streaming), ("a mounted ASGI app", mounted))
    for name, build in kinds:
        say(f"streaming: {CHUNKS} chunks through {LAYERS} layers, {name}")
        apps = {
            "subject": build(pair.subject),
            "reference": build(pair.reference),
            "bare": wrapped(bare_stream, LAYERS),
        }
        times = interleaved({r: Case(a, body=CHUNK * CHUNKS) for r, a in apps.items()}, effort)
        spreads = {role: Spread.of(values) for role, values in times.items()}
        figures.append(
            Figure(
                "streaming",
                f"{CHUNKS} chunks through {LAYERS} layers, {name}",
                "us",
                subject=spreads["subject"],
                reference=spreads["reference"],
                bare=spreads["bare"],
                ratio=Spread.of(ratios(times["subject"], times["reference"])),
                timings=spreads,
            )
        )
    return figures
