"""Ten async dependencies that only return, for the frameworks that have dependencies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


def trivial(number: int) -> Callable[[], Awaitable[int]]:
    """A dependency of its own: one function asked for twice would be run once."""

    async def dependency() -> int:
        return number

    return dependency


TEN = tuple(trivial(number) for number in range(10))
