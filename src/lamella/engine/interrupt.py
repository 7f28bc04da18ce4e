"""Stop what runs when the client leaves, and only that.

Floor 1. Like ``asyncio.timeout``, but fired by the inbound instead of a clock: the block gets one
cancellation, its ``finally`` blocks may await in peace, and the cancellation ends with the block.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lamella.engine.inbound import Inbound


class Interrupt:
    """A context manager whose block is cancelled once when the client leaves.

    Attributes:
        fired: whether the client left while the block ran. The block's ``CancelledError`` has
            then been swallowed; a cancellation from anywhere else still passes.
    """

    __slots__ = ("_cancelling", "_inbound", "_task", "fired")

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self.fired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Expected to run in an asyncio task; there is no current task.")
        self._task = task
        self._cancelling = task.cancelling()
        self._inbound.subscribe(self._fire)
        self._inbound.watch()
        return self

    def _fire(self, failure: Exception | None) -> None:
        if failure is not None:
            return  # the watch failed, which does not say that the client left
        # A block that reads the disconnect itself learns of it by ClientDisconnect.
        if not self.fired and asyncio.current_task() is not self._task:
            self.fired = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._inbound.unsubscribe(self._fire)
        if not self.fired:
            return False
        return self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError
