"""The lifespan: that of an application, and those of the applications mounted in it.

Floor 6. Served in one task: the outermost is entered first, then each one mounted below it, in the
order of the routes; they are left in reverse. None is entered twice, however often it is mounted,
and none that a program has entered by hand inside another's: routers note it when theirs begins.
What has no lamella router is known by its ASGI face alone; its lifespan is run where the route asks
for it, since whether a program runs it by hand cannot be seen.
"""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import traceback
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from lamella._inspect import describe
from lamella.exceptions import StackError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
    from types import TracebackType

    from lamella.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

__all__ = ["LifespanContext", "NoLifespan", "goes_on", "lifespan_context", "serve_lifespan"]

_DEEPEST: Final = 100  # layers around a mounted application
_errors = logging.getLogger("lamella.error")

# The routers, by identity, whose lifespan goes on inside the one that is being served around here;
# a list that tasks share.
_running: ContextVar[list[int] | None] = ContextVar("lamella.lifespans", default=None)


class LifespanContext:
    """The lifespan of one router: as it was given, and noted while it goes on.

    Args:
        router: whose it is.
        context: the function that was given.
    """

    def __init__(self, router: object, context: Lifespan[Any]) -> None:
        self.router = router
        self.context = context

    def __call__(self, app: Any) -> AbstractAsyncContextManager[Any]:
        """The context manager for an application."""
        return _Noted(self.router, self.context(app))


class NoLifespan(LifespanContext):
    """The lifespan of a router that was given none.

    ``routing`` has it under Starlette's private name, by which programs ask for it and set it.
    """

    def __init__(self, router: object) -> None:
        super().__init__(router, _no_lifespan)


class _Noted(AbstractAsyncContextManager[Any]):
    def __init__(self, router: object, context: AbstractAsyncContextManager[Any]) -> None:
        self._router = id(router)
        self._context = context
        self._noted_in: list[int] = []

    async def __aenter__(self) -> Any:
        state = await self._context.__aenter__()
        running = _running.get()
        if running is not None:
            self._noted_in = running
            running.append(self._router)
        return state

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            return await self._context.__aexit__(kind, exc, trace)
        finally:
            if self._router in self._noted_in:
                self._noted_in.remove(self._router)


# -- serving it ------------------------------------------------------------------------------------


async def serve_lifespan(router: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the lifespan of a router and of all that is mounted in it (ASGI lifespan spec).

    Raises:
        BaseException: what a lifespan raised, as it is. Those entered before are left all the same.
    """
    before = _running.get()
    _running.set([] if before is None else before)
    lifespans = _Lifespans(scope)
    stage = "startup"
    await receive()
    try:
        await lifespans.start(router, scope.get("app"))
        try:
            await send({"type": "lifespan.startup.complete"})
            stage = "shutdown"
            await receive()
        except GeneratorExit:
            raise  # the coroutine is thrown away: nothing may be awaited any more
        except BaseException as exc:
            await lifespans.stop(exc)
        else:
            await lifespans.stop()
    except GeneratorExit:
        raise
    except BaseException:
        text = traceback.format_exc()
        await send({"type": f"lifespan.{stage}.failed", "message": text})
        raise
    finally:
        _running.set(before)
    await send({"type": "lifespan.shutdown.complete"})


class _Lifespans:
    """Lifespans that were entered, in order, and the state that they gave."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._entered: list[AbstractAsyncContextManager[Any]] = []
        self._seen: list[object] = []
        self._givers: dict[str, object] = {}

    async def start(self, router: Any, app: Any) -> None:
        """Enter that of a router, then those of what is mounted in it.

        Raises:
            BaseException: what one of them raised; those entered before are left again.
        """
        try:
            await self._enter_router(router, app)
            await self._enter_mounted(router, app)
        except GeneratorExit:
            raise
        except Exception as exc:
            await self.stop(failed=exc)
        except BaseException as exc:
            # A cancellation, perhaps by one of those that were entered: it has to see it.
            await self.stop(exc)
            raise RuntimeError(
                "Expected the start to go on, but a lifespan that was entered already ended it."
            ) from exc

    async def _enter_router(self, router: Any, app: Any) -> None:
        await self._enter(router.lifespan_context(app), router if app is None else app)
        # What the dependencies of a typed application make once for all requests.
        shared = getattr(app, "shared", None)
        if shared is not None and getattr(app, "router", None) is router:
            await self._enter(shared.opened(app), app)

    async def _enter(self, context: AbstractAsyncContextManager[Any], giver: object) -> None:
        state = await context.__aenter__()
        self._entered.append(context)
        if state is not None:
            self._share(state, giver)

    async def _enter_mounted(self, router: Any, app: Any) -> None:
        self._seen.append(router)
        for route in router.routes:
            if getattr(route, "is_mount", False) and _is_wanted(route.lifespan):
                await self._enter_mount(route, app)

    async def _enter_mount(self, route: Any, app: Any) -> None:
        inner = _application_in(route.app)
        if inner is None:
            if route.lifespan and not self._has_seen(route.app):
                self._seen.append(route.app)
                await self._enter(_foreign(route.app, self._scope), route.app)
            return
        router, application = inner
        application = app if application is None else application
        if self._has_seen(router):
            return  # mounted twice, or in itself
        if not goes_on(router):
            await self._enter_router(router, application)
        await self._enter_mounted(router, application)

    def _has_seen(self, member: object) -> bool:
        return any(seen is member for seen in self._seen)  # routers with equal routes are equal

    def _share(self, state: Mapping[str, Any], giver: object) -> None:
        if "state" not in self._scope:
            raise RuntimeError('The server does not support "state" in the lifespan scope.')
        shared = self._scope["state"]
        for key, value in state.items():
            if key in self._givers and shared[key] is not value:
                raise StackError(
                    f"Expected each key of the lifespan state from one application, got {key!r}"
                    f" from {describe(self._givers[key])} and from {describe(giver)}, which is"
                    " mounted in it; rename one, or mount it with lifespan=False."
                )
            self._givers[key] = giver
        shared.update(state)

    async def stop(
        self, exc: BaseException | None = None, *, failed: BaseException | None = None
    ) -> None:
        """Leave all of them, the last one first; each is left, whatever another one raises.

        Args:
            exc: what ended the waiting for the shutdown, if it was an error; they see it.
            failed: the error of the one that did not start; those that did do not see it.

        Raises:
            BaseException: ``failed``, else the first error of one of them, else ``exc``, unless
                one of them suppressed that. Further errors are logged.
        """
        errors = [] if failed is None else [failed]
        while self._entered:
            context = self._entered.pop()
            trace = None if exc is None else exc.__traceback__
            try:
                if await context.__aexit__(None if exc is None else type(exc), exc, trace):
                    exc = None
            except BaseException as raised:
                errors.append(raised)
                exc = None  # the others stop as they always do
        for further in errors[1:]:
            _errors.error("an error while the lifespan ended", exc_info=further)
        if errors or exc is not None:
            raise errors[0] if errors else cast("BaseException", exc)


def goes_on(router: object) -> bool:
    """Whether the lifespan of a router was entered around here, and not left yet."""
    return id(router) in (_running.get() or ())


def _is_wanted(lifespan: bool | None) -> bool:
    """Whether a route's lifespan is run. What the route does not say, the program decides.

    Software made for Starlette expects that none is, and runs what it needs by hand, also without
    the ``lifespan_context`` by which that would be seen.
    """
    if lifespan is not None:
        return lifespan
    return not hasattr(sys.modules.get("starlette"), "__provided_by__")


def _application_in(mounted: Any) -> tuple[Any, Any] | None:
    """The lamella router that was mounted, and its application if it has one; None without."""
    for app in _inwards(mounted):
        if getattr(app, "is_router", False) is True:
            return app, None
        router = getattr(app, "router", None)
        if getattr(router, "is_router", False) is True:
            return router, app
    return None


def _inwards(app: Any) -> Iterator[Any]:
    """An app and what the layers around it say that they have inside."""
    for _ in range(_DEEPEST):
        if app is None:
            return
        if hasattr(app, "inside"):  # layers of a router that was included
            _, app = app.inside
            continue
        yield app
        if getattr(app, "is_router", False) is True:
            return
        app = getattr(app, "app", None)


# -- of an app that is known by its ASGI face alone ------------------------------------------------


@asynccontextmanager
async def _foreign(app: ASGIApp, scope: Scope) -> AsyncGenerator[Mapping[str, Any], None]:
    """The lifespan of a foreign app, in a task of its own, as a server runs it."""
    run = _ForeignLifespan(app, scope)
    error: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.serve)
        await run.started.wait()
        try:
            if run.error is None:
                yield run.scope["state"]
        except Exception as exc:
            error = exc  # raised beyond the task group, which would wrap it
        finally:
            run.stopping.set()
    if run.error is not None or error is not None:
        raise run.error or cast("Exception", error)


class _ForeignLifespan:
    """What a foreign app says about its lifespan."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._app = app
        self.scope: dict[str, Any] = {"type": "lifespan", "asgi": scope.get("asgi"), "state": {}}
        self.started = anyio.Event()
        self.stopping = anyio.Event()
        self.error: Exception | None = None
        self._complete = False
        self._told = 0
        self._running = anyio.CancelScope()

    async def serve(self) -> None:
        """Run the app until it has stopped, or asks for more than there is."""
        try:
            with self._running:
                await self._app(self.scope, self._receive, self._send)
        except Exception as exc:
            self.error = exc
        if not self._complete and self.error is None:
            self.error = StackError(
                f"Expected {describe(self._app)} to answer lifespan.startup, but it ended without;"
                " it has no lifespan, so mount it without lifespan=True."
            )
        self.started.set()

    async def _receive(self) -> Message:
        self._told += 1
        if self._told == 1:
            return {"type": "lifespan.startup"}
        await self.stopping.wait()
        if self._told > 2 or self.error is not None:
            self._running.cancel()
            await anyio.sleep_forever()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._complete = True
            self.started.set()
        elif kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self.error = RuntimeError(message.get("message", "") or kind)
            self.started.set()
        elif kind != "lifespan.shutdown.complete":
            raise RuntimeError(f"Expected a message of the lifespan, got {kind!r}.")


# -- the forms that a lifespan is given in ---------------------------------------------------------


@asynccontextmanager
async def _no_lifespan(app: object) -> AsyncGenerator[None, None]:
    yield


def lifespan_context(lifespan: Any) -> Lifespan[Any]:
    """A lifespan in any of the forms that Starlette takes, as a context manager's factory.

    A generator function, async or not, is as good as one with ``@asynccontextmanager``.

    Raises:
        StackError: something else.
    """
    if inspect.isasyncgenfunction(lifespan):
        return asynccontextmanager(lifespan)
    if inspect.isgeneratorfunction(lifespan):
        return functools.partial(_lifted, contextmanager(lifespan))
    if not callable(lifespan):
        raise StackError(
            f"Expected lifespan= to be an @asynccontextmanager function, got {lifespan!r}."
        )
    return cast("Lifespan[Any]", lifespan)


@asynccontextmanager
async def _lifted(context: Callable[[Any], Any], app: Any) -> AsyncGenerator[Any, None]:
    with context(app) as state:
        yield state
