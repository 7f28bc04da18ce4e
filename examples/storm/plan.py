"""How long, how many, which seed, on which framework."""

from dataclasses import dataclass

FRAMEWORKS = ("lamella", "starlette")


@dataclass(frozen=True)
class Plan:
    """One storm.

    Attributes:
        seconds: How long it blows, after the warm-up.
        seed: Makes the clients' choices repeatable.
        port: The loopback port, or 0 for any that is free.
        healthy: How many clients behave.
        rude: How many do not.
    """

    seconds: float = 20.0
    seed: int = 1
    port: int = 0
    healthy: int = 16
    rude: int = 8

    @property
    def warm_up(self) -> float:
        """Seconds of the same storm before anything is counted."""
        return min(3.0, self.seconds / 3)

    @property
    def limit(self) -> float:
        """Seconds after which the run is broken off, whatever it is doing."""
        return self.warm_up + self.seconds + 120
