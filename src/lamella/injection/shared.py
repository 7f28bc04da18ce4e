"""Values that are made once for an application: dependencies of the scope "app".

Floor 5. They are made in the lifespan, before the first request, and their exits run when it ends.
Without a lifespan, as in a test client that is not entered, each is made when first asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio

from lamella.concurrency import run_in_threadpool
from lamella.injection.exits import Exits, context_maker
from lamella.injection.provider import hashable

if TYPE_CHECKING:
    from collections.abc import Callable

    from lamella.injection.provider import Provider

__all__ = ["Shared"]

_NOTHING: Final = object()


class Shared:
    """What an application has once for all requests."""

    def __init__(self) -> None:
        self._values: dict[Any, Any] = {}
        self._exits = Exits()
        self._lock: anyio.Lock | None = None

    async def get(self, provider: Provider) -> Any:
        """The value of a dependency, made by whoever is the first to ask."""
        value = self._values.get(_made_of(provider), _NOTHING)
        if value is not _NOTHING:
            return value
        if self._lock is None:
            self._lock = anyio.Lock()
        async with self._lock:
            return await self._make(provider)

    async def _make(self, provider: Provider) -> Any:
        key = _made_of(provider)
        if key in self._values:
            return self._values[key]
        kwargs: dict[str, Any] = {}
        for dependency in provider.dependencies:
            value = await self._make(dependency)
            if dependency.name is not None:
                kwargs[dependency.name] = value
        self._values[key] = value = await self._called(provider, kwargs)
        return value

    async def _called(self, provider: Provider, kwargs: dict[str, Any]) -> Any:
        call: Callable[..., Any] = provider.call
        if provider.yields:
            enter = context_maker(call, is_async=provider.kind == "async generator")
            return await self._exits.enter(enter(**kwargs))
        if provider.kind == "coroutine":
            return await call(**kwargs)
        if provider.kind == "inline":
            return call(**kwargs)
        return await run_in_threadpool(call, **kwargs)

    @asynccontextmanager
    async def opened(self, app: Any) -> AsyncGenerator[None, None]:
        """Make what an application's endpoints depend on, and run the exits at the end."""
        error: BaseException | None = None
        try:
            for provider in app.shared_providers():
                await self.get(provider)
            yield
        except BaseException as exc:
            error = exc
            raise
        finally:
            await self.close(error)

    async def close(self, exc: BaseException | None = None) -> None:
        """Run the exits, the newest first; the values are made anew after that."""
        exits, self._exits = self._exits, Exits()
        self._values.clear()
        self._lock = None
        await exits.close(exc)


def _made_of(provider: Provider) -> Any:
    """What a value is known by: its function and those of what it depends on."""
    if not provider.dependencies:
        return hashable(provider.call)
    return hashable(provider.call), *(_made_of(one) for one in provider.dependencies)
