"""One run of an app on one scope: what it raised, when it ended, how it is ended.

Floor 9. Made and used in the event loop of the app only.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from typing import Final, TypeVar, cast

import anyio

from lamella._inspect import describe, is_async_callable
from lamella.types import ASGIApp, Message, Receive, Scope, Send

ASGIInstance = Callable[[Receive, Send], Awaitable[None]]
ASGI2App = Callable[[Scope], ASGIInstance]
ASGI3App = Callable[[Scope, Receive, Send], Awaitable[None]]

_T = TypeVar("_T")
_CLIENT_LEFT: Final = "The client closed the response before its end; stop sending."


class ClientLeftError(OSError):
    """What `send` raises once the client is gone (ASGI HTTP spec 2.4); no error of the app."""

    def __init__(self) -> None:
        super().__init__(_CLIENT_LEFT)


def as_asgi3(app: ASGIApp) -> ASGI3App:
    """Return `app` itself, or for an ASGI 2 app a callable that takes all three at once.

    Raises:
        TypeError: if it is not callable.
    """
    if not callable(app):
        raise TypeError(
            "Expected an ASGI app, a callable as `async def app(scope, receive, send)`, "
            f"got {describe(app)}; give the test client the app object itself."
        )
    awaited_at_once = hasattr(app, "__await__") if inspect.isclass(app) else is_async_callable(app)
    if awaited_at_once:
        return app
    asgi2_app = cast("ASGI2App", app)

    async def call_twice(scope: Scope, receive: Receive, send: Send) -> None:
        await asgi2_app(scope)(receive, send)

    return call_twice


def require(condition: bool, text: str) -> None:
    """Refuse a message that is out of turn; as Starlette 1.10, with an AssertionError."""
    if not condition:
        raise AssertionError(text)


def given(outcome: _T | BaseException) -> _T:
    """Raise an outcome that is an error, else return it.

    A run returns errors of the app, since what is no `Exception`, such as SystemExit, would end
    the portal if it were raised in the event loop.
    """
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


class Run:
    """One run of the app; subclasses have `receive` and `send` for it.

    Attributes:
        ended: set when the app has returned or raised.
        error: what it raised; for a cancellation that was not ours, a `CancelledError` of
            `concurrent.futures`, which a test can be given.
    """

    def __init__(self, app: ASGI3App, scope: Scope) -> None:
        self.app = app
        self.scope = scope
        self.ended = anyio.Event()
        self.error: BaseException | None = None
        self.cancel_scope = anyio.CancelScope()

    async def serve(self) -> None:
        """Run the app to its end, and keep its error for whoever waits for it."""
        try:
            with self.cancel_scope:
                await self.app(self.scope, self.receive, self.send)
        except anyio.get_cancelled_exc_class():
            # Where somebody cancels it as well, ours may come out as theirs.
            if not self.cancel_scope.cancel_called:
                self.error = CancelledError("The app was cancelled, and not by the test client.")
            raise
        except BaseException as exc:
            self.error = exc
        finally:
            self.finish()
            self.ended.set()

    async def receive(self) -> Message:
        """Give the app a message."""
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        """Take a message of the app."""
        raise NotImplementedError

    def finish(self) -> None:
        """See to what waits for the app, which has ended."""

    async def wait_ended(self, grace: float = math.inf) -> None:
        """Wait for the app's end.

        Args:
            grace: seconds after which the app is cancelled.

        Cancellation: of whoever waits cancels the app, and is raised once that has ended.
        """
        try:
            with anyio.move_on_after(grace):
                await self.ended.wait()
        finally:
            if not self.ended.is_set():
                self.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self.ended.wait()

    def abandon(self) -> None:
        """Cancel an app that was perhaps not started, as its start was interrupted."""
        self.cancel_scope.cancel()

    def failure(self, wanted: bool) -> BaseException | None:
        """Tell what the test is to be given of the app's error.

        Args:
            wanted: whether it wants an `Exception`; what is none, such as SystemExit, it gets in
                any case.
        """
        if isinstance(self.error, ClientLeftError):
            return None
        return self.error if wanted or not isinstance(self.error, Exception) else None
