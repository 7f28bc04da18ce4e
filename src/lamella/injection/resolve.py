"""Running a plan for one request: values are read, dependencies called, exits kept for later.

Floor 5. What does not fit is gathered, so that a client hears of all of it at once; a dependency
that lacks something is not called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from lamella._inspect import describe
from lamella.background import BackgroundTasks
from lamella.concurrency import run_in_threadpool
from lamella.exceptions import (
    RequestValidationError,
    UsageError,
    WebSocketRequestValidationError,
)
from lamella.injection.body import UNREAD, body_value, read_body, shown
from lamella.injection.decode import Invalid
from lamella.injection.exits import Exits
from lamella.injection.gather import (
    ABSENT,
    field_value,
    gathered_fields,
    is_absent,
    under_its_name,
)
from lamella.injection.read import decode_absent
from lamella.params import SecurityScopes
from lamella.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamella._connection import HTTPConnection
    from lamella.concurrency import Limit
    from lamella.injection.plan import BodyPlan, Call, Plan
    from lamella.injection.read import Quick, Read
    from lamella.injection.shared import Shared

__all__ = ["PROVIDED", "Solved", "read_quickly", "solve"]

PROVIDED: Final = "lamella.provided"
"""The scope key of what layers gave to dependencies: type to value."""

_SOURCES: Final = {
    "query": "query_params",
    "header": "headers",
    "cookie": "cookies",
    "path": "path_params",
}
Errors = list[dict[str, Any]]


class Solved:
    """What came of a plan beside the endpoint's arguments.

    Attributes:
        kwargs: the endpoint's arguments.
        response: that dependencies and the endpoint set headers, cookies and the status on.
        background: the tasks that they added.
        for_request: exits that run after the response has been sent.
        for_function: exits that run before.
    """

    __slots__ = ("background", "for_function", "for_request", "kwargs", "response")

    def __init__(self) -> None:
        self.kwargs: dict[str, Any] = {}
        self.response: Response | None = None
        self.background: BackgroundTasks | None = None
        self.for_request: Exits | None = None
        self.for_function: Exits | None = None

    def special(self, kind: str, conn: HTTPConnection, call: Call) -> Any:
        """What is given to a parameter for what it is rather than for what the request says."""
        if kind in ("request", "websocket", "connection"):
            return conn
        if kind == "response":
            if self.response is None:
                self.response = Response()
                self.response.status_code = cast("int", None)  # until somebody sets one
                del self.response.headers["content-length"]
            return self.response
        if kind == "background_tasks":
            if self.background is None:
                self.background = BackgroundTasks()
            return self.background
        return SecurityScopes(call.scopes)

    def exits(self, call: Call) -> Exits:
        """Where the exit of a call is kept."""
        if call.scope == "function":
            if self.for_function is None:
                self.for_function = Exits()
            return self.for_function
        if self.for_request is None:
            self.for_request = Exits()
        return self.for_request


def read_quickly(call: Call, conn: HTTPConnection) -> dict[str, Any] | None:
    """The arguments of an endpoint that asks for single values, of anywhere but the body.

    PERF: the way of most requests, with nothing to await.

    Returns:
        None if one is missing, or does not fit: then ``solve`` tells all that is wrong.
    """
    kwargs: dict[str, Any] = {}
    scope = conn.scope
    try:
        if call.path:
            path_params = scope["path_params"]
            for name, alias, decode, _ in call.path:
                raw = path_params[alias]
                if type(raw) is not str:
                    raw = str(raw)  # converted by the path already
                kwargs[name] = raw if decode is None else decode(raw)
        if call.query:
            _add_quickly(call.query, _last_of_each(scope["query_string"]), kwargs)
        if call.header:
            _add_quickly(call.header, conn.headers, kwargs)
        if call.cookie:
            _add_quickly(call.cookie, conn.cookies, kwargs)
    except (Invalid, KeyError):
        return None
    for name, _ in call.specials:
        kwargs[name] = conn
    return kwargs


def _add_quickly(
    quick: tuple[Quick, ...], source: Mapping[str, str], kwargs: dict[str, Any]
) -> None:
    for name, alias, decode, read in quick:
        raw = source.get(alias)
        if raw is None:
            kwargs[name] = decode_absent(read)
        else:
            kwargs[name] = raw if decode is None else decode(raw)


async def solve(plan: Plan, conn: HTTPConnection, solved: Solved, shared: Shared | None) -> None:
    """Call the dependencies of a plan and gather the endpoint's arguments.

    Args:
        plan: of the route.
        conn: the request, or the websocket.
        solved: is filled; its exits are due whatever comes of this.
        shared: what the application has once for all requests.

    Raises:
        RequestValidationError: values that are missing, or do not fit; all of them at once.
        WebSocketRequestValidationError: the same, of a websocket's handshake.
        HTTPException: a body that is not read (415), or cannot be (400, 413).
        BaseException: what a dependency raised.
    """
    values: list[Any] = [None] * plan.size
    errors: Errors = []
    failed: set[int] | None = None
    body: Any = UNREAD
    for call in plan.calls:
        count = len(errors)
        kwargs = {name: values[slot] for name, slot in call.dependencies}
        if failed is not None and _lacks(call, failed):
            failed.add(call.slot)  # it is not called, yet what does not fit in it is told
        if call.reads:
            _fill(call, conn, kwargs, errors)
        if call.body:
            body = await _fill_body(call, plan, conn, body, kwargs, errors)
        for name, kind in call.specials:
            kwargs[name] = solved.special(kind, conn, call)
        if len(errors) > count:
            failed = failed or set()
            failed.add(call.slot)
        if failed is not None and call.slot in failed:
            pass
        elif call is plan.endpoint:
            solved.kwargs = kwargs
        elif call.kind == "await":  # PERF: a coroutine less
            values[call.slot] = await call.call(**kwargs)
        else:
            values[call.slot] = await _called(call, kwargs, solved, shared)
    if errors:
        raise _refusal(conn, errors, body)


def _lacks(call: Call, failed: set[int]) -> bool:
    return any(slot in failed for _, slot in call.dependencies) or any(
        slot in failed for slot in call.effects
    )


async def _called(call: Call, kwargs: dict[str, Any], solved: Solved, shared: Shared | None) -> Any:
    kind = call.kind
    if kind == "inline":
        return call.call(**kwargs)
    if kind == "thread":
        return await run_in_threadpool(call.call, **kwargs)
    if kind == "limited":
        return await _limited(call, kwargs)
    if kind == "enter" and call.enter is not None:
        return await solved.exits(call).enter(call.enter(**kwargs))
    if shared is None:
        raise UsageError(
            'Expected an application around a dependency of scope "app", got none; mount the'
            " router in one."
        )
    return await shared.get(call.provider)


async def _limited(call: Call, kwargs: dict[str, Any]) -> Any:
    provider = call.provider
    async with cast("Limit", provider.limit).semaphore():
        if provider.kind == "coroutine":
            return await call.call(**kwargs)
        if provider.kind == "inline":
            return call.call(**kwargs)
        return await run_in_threadpool(call.call, **kwargs)


# -- path, query, headers, cookies -----------------------------------------------------------------


def _fill(call: Call, conn: HTTPConnection, kwargs: dict[str, Any], errors: Errors) -> None:
    """Read the arguments of a call that do not come from the body."""
    scope = conn.scope
    if call.path:
        path_params = scope["path_params"]
        for name, alias, decode, read in call.path:
            raw = path_params.get(alias)
            if type(raw) is not str:
                # Absent, or converted by the path already.
                _take(read, raw if raw is None else str(raw), kwargs, errors)
            elif decode is None:
                kwargs[name] = raw
            else:
                try:  # PERF: here rather than in a function of its own, 0.1 us
                    kwargs[name] = decode(raw)
                except Invalid as exc:
                    errors += _placed(exc, read.place)
    if call.query:
        _fill_one_each(call.query, _last_of_each(scope["query_string"]), kwargs, errors)
    if call.header:
        _fill_one_each(call.header, conn.headers, kwargs, errors)
    if call.cookie:
        _fill_one_each(call.cookie, conn.cookies, kwargs, errors)
    for read in call.several:
        _take_several(read, conn, kwargs, errors)
    if call.given:
        _fill_given(call, scope.get(PROVIDED, {}), kwargs)


def _fill_one_each(
    quick: tuple[Quick, ...], source: Mapping[str, str], kwargs: dict[str, Any], errors: Errors
) -> None:
    for name, alias, decode, read in quick:
        raw = source.get(alias)
        if raw is None:
            _take(read, raw, kwargs, errors)
        elif decode is None:
            kwargs[name] = raw
        else:
            try:
                kwargs[name] = decode(raw)
            except Invalid as exc:
                errors += _placed(exc, read.place)


def _take(read: Read, raw: Any, kwargs: dict[str, Any], errors: Errors) -> None:
    """Add one argument, or the errors that it gives; None stands for what is absent."""
    try:
        if raw is None:
            kwargs[read.name] = decode_absent(read)
        elif read.decode is None:
            kwargs[read.name] = raw
        else:
            kwargs[read.name] = read.decode(raw)
    except Invalid as exc:
        errors += _placed(exc, read.place)


def _placed(exc: Invalid, place: tuple[Any, ...]) -> Errors:
    """The errors of a value, with the place of the value in front of theirs."""
    return [{**error, "loc": (*place, *error["loc"])} for error in exc.errors]


def _last_of_each(raw: bytes) -> dict[str, str]:
    """The last value of each name in a query string."""
    if not raw:
        return {}
    text = raw.decode("latin-1")
    if "%" in text or "+" in text:
        return dict(parse_qsl(text, keep_blank_values=True))
    # PERF: a quarter of what parse_qsl takes.
    if "&" not in text:
        name, _, value = text.partition("=")
        return {name: value}
    pairs: dict[str, str] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if pair:
            pairs[name] = value
    return pairs


def _take_several(read: Read, conn: HTTPConnection, kwargs: dict[str, Any], errors: Errors) -> None:
    source: Any = getattr(conn, _SOURCES[read.place[0]])
    if not read.parameter.is_model:
        read = under_its_name(read, source)
        value = field_value(source, read.alias, several=read.parameter.is_sequence)
        _take(read, None if value is ABSENT else value, kwargs, errors)
        return
    if is_absent(read, source):
        _take(read, None, kwargs, errors)
        return
    gathered, renamed = gathered_fields(read.fields, source)
    count = len(errors)
    _take(read, gathered, kwargs, errors)
    for error in errors[count:]:
        loc = error["loc"]
        if len(loc) > 1 and loc[1] in renamed:
            error["loc"] = (loc[0], renamed[loc[1]], *loc[2:])


def _fill_given(call: Call, given: dict[Any, Any], kwargs: dict[str, Any]) -> None:
    """Take the arguments of a call that layers give."""
    for name, kind in call.given:
        fits = [one for one in given if one is kind] or [
            one for one in given if issubclass(one, kind)
        ]
        if fits:
            kwargs[name] = given[fits[-1]]
        elif not call.provider.has_default(name):
            raise UsageError(
                f"Expected a layer to have given a {kind.__qualname__} for {name!r} of"
                f" {describe(call.call)}, got none; call request.provide(value) in the layer"
                " before `await call_next(request)`."
            )


async def _fill_body(
    call: Call,
    plan: Plan,
    conn: HTTPConnection,
    body: Any,
    kwargs: dict[str, Any],
    errors: Errors,
) -> Any:
    """Read the arguments of a call that come from the body, and the body if nobody has done it.

    Returns:
        The body.
    """
    how = cast("BodyPlan", plan.body)
    if body is UNREAD:
        try:
            body = await read_body(how, cast("Any", conn))
        except Invalid as exc:
            raise _refusal(conn, _placed(exc, ("body",))) from None
    for one in call.body:
        read = under_its_name(one, body) if one.others else one
        try:
            kwargs[read.name] = await body_value(read, how, body)
        except Invalid as exc:
            errors += _placed(exc, read.place)
    return body


# -- what is told to the client --------------------------------------------------------------------


def _refusal(conn: HTTPConnection, errors: Errors, body: Any = UNREAD) -> Exception:
    """The error that tells a client what is wrong with its request."""
    if conn.scope["type"] == "websocket":
        return WebSocketRequestValidationError(errors)
    return RequestValidationError(errors, body=shown(body))
