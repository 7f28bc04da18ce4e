"""Stop what runs when the client leaves, and only that.

Floor 1. Like ``asyncio.timeout``, but fired by the inbound instead of a clock: the block gets one
cancellation, its ``finally`` blocks may await in peace, and the cancellation ends with the block.
On trio it is like ``trio.move_on_after``: what a ``finally`` block awaits has to be shielded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamella.engine.loop import here

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from lamella.engine.inbound import Inbound
    from lamella.engine.loop import Block


class Interrupt:
    """A context manager whose block is cancelled once when the client leaves.

    Attributes:
        fired: whether the client left while the block ran. The block's ``CancelledError`` has
            then been swallowed; a cancellation from anywhere else still passes.
    """

    __slots__ = ("_block", "_inbound", "fired")
    _block: Block

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self.fired = False

    def __enter__(self) -> Self:
        self._block = here().block()
        self._inbound.subscribe(self._fire)
        self._inbound.watch()
        return self

    def _fire(self, failure: Exception | None) -> None:
        if failure is not None:
            return  # the watch failed, which does not say that the client left
        # A block that reads the disconnect itself learns of it by ClientDisconnect.
        if not self.fired:
            self.fired = self._block.stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._inbound.unsubscribe(self._fire)
        return self._block.end(kind, exc, traceback)
