"""The clients that do not behave. Nothing they get is checked; it is what they leave behind."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

from .healthy import AUTHORIZED, photo_bytes, sha256
from .meter import Meter
from .wire import Connection, Lost, chunked, request_bytes

SMALL_WINDOW = 4096  # bytes; the server's own buffers fill up soon
PATIENCE = 5.0  # seconds; a rude client does not wait for ever either
BIG_PHOTO = max((photo_bytes(number) for number in range(64)), key=len)
BIG_PHOTO_PATH = f"/photos/{sha256(BIG_PHOTO)}.png"

PATHS = ["/", "/api/products", "/api/products/7", "/catalogue.csv", "/manual.pdf", "/events"]
ORDER = json.dumps({"customer": "Rude", "lines": [{"product_id": 1, "quantity": 1}]}).encode()
JSON_HEADERS = {"Content-Type": "application/json", **AUTHORIZED}
PNG_HEADERS = {"Content-Type": "image/png", **AUTHORIZED}


class Lout:
    """One rude client."""

    def __init__(self, port: int, seed: str) -> None:
        """Make a client; the same seed makes the same choices."""
        self.port = port
        self.choices = random.Random(seed)

    def leave(self, connection: Connection) -> None:
        """Hang up, politely or not."""
        self.choices.choice([connection.close, connection.reset])()

    async def linger(self) -> None:
        """Wait a moment, or not at all."""
        await asyncio.sleep(self.choices.choice([0, 0.001, 0.01, 0.05]))

    def request(self) -> bytes:
        """Return some request that is right in itself."""
        if self.choices.random() < 0.3:
            return request_bytes("POST", "/api/orders", JSON_HEADERS, ORDER)
        return request_bytes("GET", self.choices.choice(PATHS))


async def leave_before_the_answer(lout: Lout, connection: Connection) -> None:
    """Ask, and close."""
    await connection.send(lout.request())
    connection.close()


async def reset_before_the_answer(lout: Lout, connection: Connection) -> None:
    """Ask, and reset."""
    await connection.send(lout.request())
    await lout.linger()
    connection.reset()


async def leave_the_feed(lout: Lout, connection: Connection) -> None:
    """Listen for a while, and hang up."""
    await connection.send(request_bytes("GET", "/events"))
    await connection.receive(lout.choices.choice([1, 100, 1000]))
    await lout.linger()
    lout.leave(connection)


async def leave_a_download(lout: Lout, connection: Connection) -> None:
    """Take the first bytes of something big, and hang up."""
    await connection.send(request_bytes("GET", BIG_PHOTO_PATH))
    await connection.receive(lout.choices.choice([1, 1000, 10_000]))
    await lout.linger()
    lout.leave(connection)


async def leave_an_upload(lout: Lout, connection: Connection) -> None:
    """Send a part of a photo, and hang up."""
    path = f"/api/products/{lout.choices.randint(1, 80)}/photo"
    if lout.choices.random() < 0.5:
        data = request_bytes("PUT", path, PNG_HEADERS, BIG_PHOTO)
    else:
        head = request_bytes("PUT", path, {**PNG_HEADERS, "Transfer-Encoding": "chunked"})
        data = head + chunked(BIG_PHOTO, 5000)
    await connection.send(data[: lout.choices.randrange(1000, len(data) - 10)])
    await lout.linger()
    lout.leave(connection)


async def read_slowly(lout: Lout, connection: Connection) -> None:
    """Take something big in sips, and hang up when bored."""
    await connection.send(request_bytes("GET", BIG_PHOTO_PATH))
    for _ in range(lout.choices.randint(5, 40)):
        await connection.receive(2000)
        await asyncio.sleep(0.02)
    lout.leave(connection)


async def send_half_a_header(lout: Lout, connection: Connection) -> None:
    """Stop in the middle of a header."""
    request = lout.request()
    await connection.send(request[: lout.choices.randrange(1, request.index(b"\r\n\r\n"))])
    await lout.linger()
    lout.leave(connection)


async def send_half_a_body(lout: Lout, connection: Connection) -> None:
    """Stop in the middle of an order."""
    request = request_bytes("POST", "/api/orders", JSON_HEADERS, ORDER)
    await connection.send(request[: -lout.choices.randrange(1, len(ORDER))])
    await lout.linger()
    lout.leave(connection)


async def connect_and_close(lout: Lout, connection: Connection) -> None:
    """Say nothing at all."""
    await lout.linger()
    lout.leave(connection)


async def send_garbage(lout: Lout, connection: Connection) -> None:
    """Send what is not HTTP, and look at what comes back."""
    noise = lout.choices.choice(
        [
            lout.choices.randbytes(200),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + lout.choices.randbytes(100),
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
            b"GET /\xff\xfe HTTP/9.9\r\n\r\n",
            b"POST /api/orders HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"\r\n\r\n\r\n",
        ]
    )
    await connection.send(noise)
    await lout.linger()
    lout.leave(connection)


KINDS: dict[str, Callable[[Lout, Connection], Awaitable[None]]] = {
    "left before the answer": leave_before_the_answer,
    "reset before the answer": reset_before_the_answer,
    "left the feed": leave_the_feed,
    "left a download": leave_a_download,
    "left an upload": leave_an_upload,
    "read slowly": read_slowly,
    "sent half a header": send_half_a_header,
    "sent half a body": send_half_a_body,
    "connected and closed": connect_and_close,
    "sent garbage": send_garbage,
}


async def prepare(port: int) -> None:
    """Put the photo there that some of them download."""
    connection = await Connection.open(port)
    try:
        async with asyncio.timeout(PATIENCE):
            request = request_bytes("PUT", "/api/products/1/photo", PNG_HEADERS, BIG_PHOTO)
            await connection.send(request)
            await connection.answer("PUT")
    finally:
        connection.close()


async def misbehave(lout: Lout, meter: Meter, stop: asyncio.Event) -> None:
    """Be rude in one way after another until `stop`."""
    while not stop.is_set():
        kind = lout.choices.choice(list(KINDS))
        await be_rude(kind, lout)
        meter.rude[kind] += 1
        await lout.linger()


async def be_rude(kind: str, lout: Lout) -> None:
    """Be rude once. What happens to the client itself does not matter."""
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await Connection.open(lout.port, SMALL_WINDOW)
    except OSError:
        return
    try:
        async with asyncio.timeout(PATIENCE):
            await KINDS[kind](lout, connection)
    except (OSError, Lost, TimeoutError, ValueError, KeyError):
        pass
    finally:
        connection.close()
