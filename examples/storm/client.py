"""A healthy client: it makes one exchange after another and checks what holds for all of them."""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from typing import Any

from .meter import Meter
from .wire import Answer, Connection, Lost, chunked, request_bytes

PATIENCE = 15.0  # seconds for one exchange; what takes longer is lost
JSON = "application/json"
LANGUAGES = ("en", "de", "fr")


class Client:
    """One healthy client with one connection, kept alive over many exchanges."""

    def __init__(self, name: str, port: int, seed: str, meter: Meter) -> None:
        """Make a client; the same seed makes the same choices."""
        self.name = name
        self.port = port
        self.choices = random.Random(seed)
        self.meter = meter
        self.asked = 0
        self._connection: Connection | None = None

    async def connection(self) -> Connection:
        """Return the connection, opened if there is none."""
        if self._connection is None:
            self._connection = await Connection.open(self.port)
        return self._connection

    def hang_up(self) -> None:
        """Close the connection; the next exchange opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        chunk_size: int = 0,
        expected: int = 200,
    ) -> Answer:
        """Make one exchange, time it, and check all that must hold for every answer."""
        self.asked += 1
        language = self.choices.choice(LANGUAGES)
        sent = {
            "X-Request-ID": f"{self.name}-{self.asked}",
            "Accept-Language": f"{language}, en;q=0.1",
            **(headers or {}),
        }
        if chunk_size:
            head = request_bytes(method, path, {**sent, "Transfer-Encoding": "chunked"})
            data = head + chunked(body, chunk_size)
        else:
            data = request_bytes(method, path, sent, body)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await self.connection()
                await connection.send(data)
                answer = await connection.answer(method)
        except TimeoutError:
            raise Lost(f"{method} {path}: no answer in {PATIENCE:.0f} s") from None
        except (OSError, Lost) as exc:
            raise Lost(f"{method} {path}: {exc}") from exc
        self.meter.seconds.append(time.perf_counter() - started)
        expect(f"{method} {path}: status", expected, answer.status)
        check_layers(answer, sent["X-Request-ID"], language if expected != 401 else None)
        return answer

    async def ask_json(self, method: str, path: str, **options: Any) -> Any:
        """Make one exchange whose answer is JSON, and return that."""
        answer = await self.ask(method, path, **options)
        expect(f"{method} {path}: type", JSON, answer.headers.get("content-type"))
        try:
            return json.loads(answer.body)
        except ValueError:
            raise Lost(f"{method} {path}: not JSON: {answer.body[:60]!r}") from None


def check_layers(answer: Answer, request_id: str, language: str | None) -> None:
    """Check that each layer has left its mark."""
    expect("request id", request_id, answer.headers.get("x-request-id"))
    expect("nosniff", "nosniff", answer.headers.get("x-content-type-options"))
    if not answer.headers.get("server-timing", "").startswith("app;dur="):
        raise Lost("no Server-Timing")
    if language is not None:
        expect("language", language, answer.headers.get("content-language"))


def expect(what: str, expected: object, actual: object) -> None:
    """Raise `Lost` unless both are equal."""
    if expected != actual:
        raise Lost(f"{what}: expected {str(expected)[:80]!r}, got {str(actual)[:80]!r}")
