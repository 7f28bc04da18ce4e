"""The lifespan of an app, as a server drives it: `LifespanRun`.

Floor 9. Source: ASGI lifespan spec 2.0.
"""

from __future__ import annotations

import contextlib
import math
from typing import Any, Literal

import anyio
from anyio.streams.stapled import StapledObjectStream

from lamella._testclient.run import ASGI3App, Run
from lamella.types import Message


class LifespanRun(Run):
    """One run of the app on a lifespan scope: it starts up and shuts down in one task.

    Args:
        state: the lifespan's `state`, which the app fills.

    Attributes:
        to_client: what the app has sent; None when it has ended.
        to_app: what it is to receive.
    """

    def __init__(self, app: ASGI3App, state: dict[str, Any]) -> None:
        super().__init__(app, {"type": "lifespan", "state": state})
        to_client = anyio.create_memory_object_stream[Message | None](math.inf)
        to_app = anyio.create_memory_object_stream[Message](math.inf)
        self.to_client = StapledObjectStream(*to_client)
        self.to_app = StapledObjectStream(*to_app)
        self._last_word = to_client[0]
        self._streams = (*to_client, *to_app)

    async def receive(self) -> Message:
        """Give the app the next message; EndOfStream if there will be none."""
        return await self.to_app.receive()

    async def send(self, message: Message) -> None:
        """Take a message of the app."""
        await self.to_client.send(message)

    def finish(self) -> None:
        """Tell the client that no more messages come."""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            self._last_word.send_nowait(None)

    async def ask(self, phase: Literal["startup", "shutdown"]) -> BaseException | None:
        """Ask the app to start or to shut down, and wait until it has.

        Returns:
            None, or what is wrong: the app's own error; RuntimeError if it says that it failed,
            and raises nothing; TypeError if it returns and says nothing; AssertionError if it
            sends something else than an answer.
        """
        await self.to_app.send({"type": f"lifespan.{phase}"})
        message = await self.to_client.receive()
        expected = f"Expected lifespan.{phase}.complete or lifespan.{phase}.failed from the app, "
        if message is None:
            text = f"{expected}but it returned; it has to answer lifespan.{phase} first."
            return TypeError(text) if self.error is None else self.error
        if message["type"] == f"lifespan.{phase}.failed":
            return await self._failure_of(phase, message.get("message", ""))
        if message["type"] != f"lifespan.{phase}.complete":
            return AssertionError(f"{expected}got {message!r}.")
        return None

    async def _failure_of(self, phase: str, text: str) -> BaseException:
        """Wait for the app's end; return its error, else one with the text that it sent."""
        # If the app waits for another message, that wait ends with EndOfStream.
        await self.to_app.send_stream.aclose()
        while await self.to_client.receive() is not None:
            pass
        if self.error is None or isinstance(self.error, anyio.EndOfStream):
            reason = text or "it gave no message"
            return RuntimeError(f"The app sent lifespan.{phase}.failed: {reason}")
        return self.error

    def hang_up(self) -> None:
        """Close both ways; an app that waits for another message ends by that."""
        for stream in self._streams:
            stream.close()
