"""SIGTERM while requests are in flight: each of them must be answered."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from .client import JSON, expect
from .healthy import AUTHORIZED, photo_bytes
from .process import ShopProcess, Silent
from .wire import Connection, Head, request_bytes

UPLOADS, ORDERS, LISTENERS = 10, 10, 5
PATIENCE = 15.0  # seconds


class Ending(NamedTuple):
    """How the process ended.

    Attributes:
        in_flight: Requests that were under way at SIGTERM.
        answered: How many of them were answered to the last byte.
        reasons: What became of the others.
        stopped: Whether the process then ended by itself.
    """

    in_flight: int
    answered: int
    reasons: list[str]
    stopped: bool


async def end(shop: ShopProcess) -> Ending:
    """Put requests in flight, send SIGTERM, and only then let the requests go on."""
    held: list[Held | HeldFeed] = [
        await hold_upload(shop.port, number) for number in range(UPLOADS)
    ]
    held += [await hold_order(shop.port) for _ in range(ORDERS)]
    held += [await hold_feed(shop.port) for _ in range(LISTENERS)]
    stopping = asyncio.create_task(shop.stop())
    await asyncio.sleep(0.3)  # the signal is there by now, and the server has begun to stop
    outcomes = await asyncio.gather(*(one.finish() for one in held), return_exceptions=True)
    reasons = [f"{type(one).__name__}: {one}" for one in outcomes if one is not None]
    try:
        await stopping
        stopped = True
    except Silent as exc:
        reasons.append(str(exc))
        stopped = False
    return Ending(len(held), sum(one is None for one in outcomes), reasons, stopped)


class Held:
    """A request that the server has begun to work on, and that waits for its last part."""

    def __init__(self, connection: Connection, method: str, rest: bytes, status: int) -> None:
        """Keep what is to be sent and what is to come."""
        self.connection = connection
        self.method = method
        self.rest = rest
        self.status = status

    async def finish(self) -> None:
        """Send the rest and check that the answer comes whole."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.connection.send(self.rest)
                answer = await self.connection.answer(self.method)
            expect(f"{self.method}: status", self.status, answer.status)
            if self.method == "PUT":
                kept = json.loads(answer.body)["sha256"]
                expect("PUT: digest", hashlib.sha256(self.rest).hexdigest(), kept)
        finally:
            self.connection.close()


class HeldFeed:
    """A listener to the feed: it must be let go with a proper end."""

    def __init__(self, connection: Connection, head: Head) -> None:
        """Keep the connection, on which the feed has begun."""
        self.connection = connection
        self.head = head

    async def finish(self) -> None:
        """Read the feed to its end."""
        try:
            async with asyncio.timeout(PATIENCE):
                pieces = [piece async for piece in self.connection.body("GET", self.head)]
            expect("feed: welcome", b": welcome\n\n", pieces[0])
        finally:
            self.connection.close()


async def hold_upload(port: int, number: int) -> Held:
    """Begin to upload a photo."""
    path, body = f"/api/products/{number + 1}/photo", photo_bytes(number)
    return await hold("PUT", path, "image/png", body, port, 200)


async def hold_order(port: int) -> Held:
    """Begin to send an order."""
    order = {"customer": "Last", "lines": [{"product_id": 2, "quantity": 1}]}
    return await hold("POST", "/api/orders", JSON, json.dumps(order).encode(), port, 201)


async def hold(
    method: str, path: str, media_type: str, body: bytes, port: int, status: int
) -> Held:
    """Send a head; `100 Continue` tells that the app has begun to read the body."""
    headers = {**AUTHORIZED, "Content-Type": media_type, "Expect": "100-continue"}
    headers["Content-Length"] = str(len(body))
    async with asyncio.timeout(PATIENCE):
        connection = await Connection.open(port)
        await connection.send(request_bytes(method, path, headers))
        head = await connection.head()
    expect(f"{method}: interim status", 100, head.status)
    return Held(connection, method, body, status)


async def hold_feed(port: int) -> HeldFeed:
    """Begin to listen."""
    async with asyncio.timeout(PATIENCE):
        connection = await Connection.open(port)
        await connection.send(request_bytes("GET", "/events"))
        return HeldFeed(connection, await connection.head())


def left_behind(folder: Path) -> int:
    """Return how many cut-off uploads are still in the folder."""
    return len(list((folder / "photos").glob("*.part")))
