"""A typed endpoint: its plan is run, the function called, what it returns made a response.

Floor 6. ``TypedEndpoint`` is a function of the request, and ``TypedSession`` one of the websocket;
what routes make of such functions is in ``_endpoint``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final, cast

from lamella._inspect import describe
from lamella._tracing import TRACED_SCOPE_KEY, operation_of
from lamella.concurrency import run_in_threadpool
from lamella.engine.edge import note_places
from lamella.exceptions import UsageError, ValidationException
from lamella.injection.body import read_whole
from lamella.injection.exits import close_after
from lamella.injection.overrides import overrides_in
from lamella.injection.plan import Plan, compile_plan
from lamella.injection.provider import hashable
from lamella.injection.resolve import Solved, read_quickly, solve
from lamella.responses import Response

if TYPE_CHECKING:
    from lamella._connection import HTTPConnection
    from lamella._reply import Reply
    from lamella._tracing import Operation
    from lamella.exceptions import EndpointContext
    from lamella.injection.exits import Exits
    from lamella.injection.provider import Provider
    from lamella.requests import Request
    from lamella.websockets import WebSocket

__all__ = ["TypedEndpoint", "TypedSession"]

_MOST_OVERRIDDEN: Final = 32  # plans of a route; each test may set a function of its own

_NOTHING: Final = nullcontext()


class _Planned:
    """A function with its plan, and the plans that others stand in for some dependencies in.

    Args:
        provider: what its signature says.
        path: of its route, for errors.
        path_names: the parameters of the path.
        options: what else ``compile_plan`` takes.
    """

    is_websocket = False

    def __init__(
        self, provider: Provider, path: str, path_names: Collection[str], **options: Any
    ) -> None:
        self.provider = provider
        self.call: Callable[..., Any] = provider.call
        self._path = path
        self._path_names = path_names
        self._options = options
        self._given: Collection[Any] | None = None
        self._plan: Plan | None = None
        self._overridden: dict[Any, tuple[Plan, Mapping[Any, Any]]] = {}

    def bind(self, given: Collection[Any] | None) -> None:
        """Make the plan, now that the layers outside are known.

        Raises:
            DependencyError: a parameter that nobody gives.
        """
        self._given = given
        self._overridden.clear()
        self._plan = self._compile(None)

    def _compile(self, overrides: Mapping[Any, Callable[..., Any]] | None) -> Plan:
        plan = compile_plan(
            self.provider,
            is_websocket=self.is_websocket,
            given=self._given,
            overrides=overrides,
            path_names=self._path_names,
            **self._options,
        )
        if any(call.kind == "enter" for call in plan.calls):
            note_places()
        return plan

    def plan_for(self, conn: HTTPConnection) -> Plan:
        """The plan, with the dependencies that others stand in for just now."""
        overrides = overrides_in(conn.scope)
        if not overrides:
            plan = self._plan
            if plan is None:
                self._plan = plan = self._compile(None)
            return plan
        key = tuple((hashable(one), hashable(other)) for one, other in overrides.items())
        found = self._overridden.get(key)
        if found is None:
            if len(self._overridden) >= _MOST_OVERRIDDEN:
                self._overridden.clear()
            # With what is overridden: as long as that lives, no other has its identity.
            found = self._compile(overrides), dict(overrides)
            self._overridden[key] = found
        return found[0]

    def place(self, conn: HTTPConnection) -> EndpointContext:
        """Where the endpoint stands, for the text of an error."""
        method = conn.scope.get("method", "WS")
        root_path = conn.scope.get("root_path", "").rstrip("/")
        context: EndpointContext = {"path": f"{method} {root_path}{self._path}"}
        function = inspect.unwrap(self.call)
        code = getattr(function, "__code__", None)
        if code is not None:
            context["function"] = getattr(function, "__name__", "")
            context["file"], context["line"] = code.co_filename, code.co_firstlineno
        return context


class TypedEndpoint(_Planned):
    """A typed endpoint as a function of the request.

    Args:
        provider: what its signature says.
        reply: how its response is made.
        path: of its route, for errors.
        path_names: the parameters of the path.
        options: what else ``compile_plan`` takes.
    """

    def __init__(
        self,
        provider: Provider,
        reply: Reply,
        path: str,
        path_names: Collection[str],
        **options: Any,
    ) -> None:
        super().__init__(provider, path, path_names, **options)
        self.reply = reply
        self._in_thread = provider.kind == "function"
        self._returns_soon = provider.kind == "coroutine"

    async def __call__(self, request: Request[Any]) -> Response:
        """Answer a request."""
        plan = self.plan_for(request)
        try:
            if plan.is_quick and self._returns_soon and TRACED_SCOPE_KEY not in request.scope:
                # PERF: the way of most requests.
                call = plan.endpoint
                kwargs = read_quickly(call, request)
                if kwargs is not None and (
                    not call.body or await read_whole(call.body[0], request, kwargs)
                ):
                    value = await self.call(**kwargs)
                    return value if isinstance(value, Response) else self.reply.make(value, None)
            return await self._solved(plan, request)
        except ValidationException as exc:
            if not exc.endpoint_ctx:
                exc.endpoint_ctx = self.place(request)
            raise

    async def _solved(self, plan: Plan, request: Request[Any]) -> Response:
        """Answer with dependencies, a body, or traces."""
        part = operation_of(request.scope) or _untraced
        solved = Solved()
        try:
            with part("dependencies", self.call):
                shared = getattr(request.scope.get("app"), "shared", None)
                await solve(plan, request, solved, shared)
            response = await self._answer(solved, part)
            if solved.background is not None and response.background is not solved.background:
                _add_background(response, solved, request)
            if solved.for_function is not None:
                await solved.for_function.close(None)
            if solved.for_request is not None:
                await self._end_or_keep(solved.for_request, request)
        except BaseException as exc:
            if solved.for_function is not None or solved.for_request is not None:
                await close_after(exc, solved.for_function, solved.for_request)
            raise
        return response

    async def _end_or_keep(self, exits: Exits, request: Request[Any]) -> None:
        """Leave exits to the end of the exchange; run them now if they cannot wait for that."""
        exchange = request.exchange
        if exchange is None or exchange.over or not exits.can_wait(request):
            await exits.close(None)
        else:
            exits.leave()
            exchange.exits += (exits,)

    async def _answer(self, solved: Solved, part: Operation) -> Response:
        kwargs = solved.kwargs
        if self.reply.stream is not None:
            return self.reply.open_stream(self.call(**kwargs), solved)
        with part("endpoint", self.call):
            if self._in_thread:
                value = await run_in_threadpool(self.call, **kwargs)
            else:
                value = await self.call(**kwargs)
        if isinstance(value, Response):
            return value
        with part("serialization", self.call):
            return self.reply.make(value, solved)


def _untraced(name: str, function: Callable[..., Any] | None) -> AbstractContextManager[object]:
    return _NOTHING


def _add_background(response: Response, solved: Solved, request: Request[Any]) -> None:
    """Run the tasks that were added, too, when the endpoint returned a response itself."""
    exchange = request.exchange
    if exchange is not None:
        exchange.run_later(cast("Any", solved.background))
    elif response.background is None:
        response.background = solved.background


class TypedSession(_Planned):
    """A typed endpoint as a function of the websocket."""

    is_websocket = True

    async def __call__(self, websocket: WebSocket[Any]) -> None:
        """Serve a websocket."""
        plan = self.plan_for(websocket)
        part = operation_of(websocket.scope) or _untraced
        solved = Solved()
        try:
            with part("dependencies", self.call):
                shared = getattr(websocket.scope.get("app"), "shared", None)
                await solve(plan, websocket, solved, shared)
            with part("endpoint", self.call):
                await self._awaited(solved.kwargs)
            if solved.background is not None:
                await solved.background()
            for exits in (solved.for_function, solved.for_request):
                if exits is not None:
                    await exits.close(None)
        except BaseException as exc:
            if isinstance(exc, ValidationException) and not exc.endpoint_ctx:
                exc.endpoint_ctx = self.place(websocket)
            await close_after(exc, solved.for_function, solved.for_request)
            raise

    async def _awaited(self, kwargs: dict[str, Any]) -> None:
        running: object = self.call(**kwargs)
        if not inspect.isawaitable(running):
            raise UsageError(
                f"Expected the websocket endpoint {describe(self.call)} to be async, got"
                f" {running!r} from it; write `async def`."
            )
        await running
