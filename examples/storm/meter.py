"""What the clients count while the storm blows."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Meter:
    """Counts of one phase.

    Attributes:
        seconds: Latency of each healthy exchange, from the first byte out to the last one in.
        lost: Healthy answers that did not come, or not as they should.
        reasons: Why, for the first few.
        rude: Rude exchanges by kind.
    """

    FEW = 5

    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    reasons: list[str] = field(default_factory=list)
    rude: Counter[str] = field(default_factory=Counter)

    def lose(self, reason: str) -> None:
        """Count a lost answer."""
        self.lost += 1
        if len(self.reasons) < self.FEW:
            self.reasons.append(reason)

    def percentile(self, part: float) -> float:
        """Return the latency, in seconds, that `part` of the exchanges did not exceed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0
