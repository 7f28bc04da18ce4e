"""A bounded load generator: raw asyncio connections, kept alive, one request at a time on each.

``python -m benchmarks.wire_load PORT CONNECTIONS SECONDS REQUESTS`` prints ``{"requests": ...,
"seconds": ..., "all": ...}``: requests and seconds after a warm-up of a tenth of SECONDS, and the
requests with those of the warm-up. It ends after SECONDS or REQUESTS, whichever is first.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import math
import sys
from time import perf_counter
from typing import cast

REQUEST = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: benchmarks\r\naccept: */*\r\n\r\n"
WARM_SHARE = 0.1


class Tally:
    """Requests answered so far, and the end of it all."""

    def __init__(self) -> None:
        """Count without a limit until one is set."""
        self.answered = 0
        self.limit = math.inf
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, text: str) -> None:
        """End with an error that says what came."""
        if not self.over.done():
            self.over.set_exception(RuntimeError(text))

    def count(self) -> bool:
        """Note one answer; False when no further request is due."""
        self.answered += 1
        if self.answered >= self.limit and not self.over.done():
            self.over.set_result(None)
        return not self.over.done()


class Connection(asyncio.Protocol):
    """One kept-alive connection that asks again as soon as it was answered.

    The length of an answer is read from the first one; all later ones are equal to it.
    """

    def __init__(self, tally: Tally) -> None:
        """Count into ``tally``."""
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._expected = 0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        # Not asked by isinstance: uvloop's transport is none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; when it is whole, count it and ask again."""
        self._received += data
        if not self._expected:
            self._expected = answer_length(self._received)
        if not self._expected or len(self._received) < self._expected:
            return
        if not self._received.startswith(b"HTTP/1.1 200 "):
            self._tally.fail(f"Expected 200, got {self._received[:80]!r}.")
            return
        self._received = b""
        if self._tally.count() and self._transport is not None:
            self._transport.write(REQUEST)

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up before the end is an error."""
        self._tally.fail(f"Expected the connection to stay, got {exc!r}.")


def answer_length(received: bytes) -> int:
    """Bytes of head and body of the answer that ``received`` begins with; 0 if not yet known."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if not end:
        return 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + len(end) + int(line.partition(b":")[2])
    raise ValueError(f"Expected a content-length in the answer, got {head!r}.")


async def load(port: int, connections: int, seconds: float, requests: int) -> dict[str, float]:
    """Ask on all connections until the time or the requests are used up."""
    loop = asyncio.get_running_loop()
    tally = Tally()
    transports = [
        (await loop.create_connection(lambda: Connection(tally), "127.0.0.1", port))[0]
        for _ in range(connections)
    ]
    await asyncio.wait([tally.over], timeout=seconds * WARM_SHARE)
    warm, started = tally.answered, perf_counter()
    tally.limit = warm + requests
    await asyncio.wait([tally.over], timeout=seconds)
    answered, took = tally.answered - warm, perf_counter() - started
    if tally.over.done():
        tally.over.result()
    else:
        tally.over.set_result(None)
    if not answered:
        raise RuntimeError(f"Expected answers within {seconds} s, got none; allow more time.")
    for transport in transports:
        transport.close()
    return {"requests": answered, "seconds": took, "all": tally.answered}


def main(arguments: list[str]) -> None:
    """Run with uvloop where it is installed: the generator must not be the bottleneck."""
    port, connections, seconds, requests = arguments
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        result = runner.run(load(int(port), int(connections), float(seconds), int(requests)))
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
