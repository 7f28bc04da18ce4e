"""The plan of a route: what is called in which order, and where each argument comes from.

Floor 5. Made once, when the application is built, from what ``signature`` read. A request walks a
tuple of calls; nothing is looked up by name that could be looked up before.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lamella._inspect import describe
from lamella.exceptions import DependencyError
from lamella.injection.decode import (
    ModelField,
    family_of,
    field_names,
    identity,
    is_sequence,
    json_decoder,
    object_decoder,
    text_decoder,
)
from lamella.injection.exits import context_maker
from lamella.injection.form_unions import form_union_decoder
from lamella.injection.provider import Parameter, Provider, Special, hashable
from lamella.injection.read import Decode, Gathered, Quick, Read
from lamella.injection.signature import union_members, wish_for
from lamella.params import REQUIRED, Body, Depends, Form, Header, Param

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from lamella.params import ExitScope

__all__ = ["BodyPlan", "Call", "Plan", "compile_plan", "is_embedded"]

_PLAIN: Final = (str, int, float, bool, bytes, type(None), Enum)


def _quick(reads: Iterable[Read]) -> tuple[Quick, ...]:
    return tuple((read.name, read.alias, read.decode, read) for read in reads)


@dataclass(slots=True, eq=False)
class Call:
    """One function of a plan.

    Attributes:
        call: the function.
        kind: "await", "thread", "inline", "limited" (one of these), "enter" (a generator) or "app"
            (made once).
        slot: where its value goes.
        dependencies: names of arguments, and the slots that they come from.
        effects: slots of dependencies that it has no argument for.
        path, query, header, cookie: arguments read from there, one value each. PERF: each with its
            name, its alias and its decoder beside it.
        body: those from the body.
        several: those of which the request may have several values, or that are models.
        reads: whether there is any of these but the body's.
        specials: names of arguments that are given the request or the like.
        given: names of arguments that a layer outside gives, and their types.
        scopes: of OAuth2.
        scope: when its exit runs.
        enter: makes the context manager of a generator.
        provider: what the call was made from.
    """

    call: Callable[..., Any]
    kind: str
    slot: int
    provider: Provider
    dependencies: tuple[tuple[str, int], ...] = ()
    effects: tuple[int, ...] = ()
    path: tuple[Quick, ...] = ()
    query: tuple[Quick, ...] = ()
    header: tuple[Quick, ...] = ()
    cookie: tuple[Quick, ...] = ()
    several: tuple[Read, ...] = ()
    body: tuple[Read, ...] = ()
    reads: bool = False
    specials: tuple[tuple[str, Special], ...] = ()
    given: tuple[tuple[str, Any], ...] = ()
    scopes: tuple[str, ...] = ()
    scope: ExitScope | None = None
    enter: Callable[..., AbstractAsyncContextManager[Any]] | None = None


class BodyPlan(NamedTuple):
    """How the body is read.

    Attributes:
        form: whether it is a form rather than JSON.
        embed: whether it is an object whose members are the parameters.
        refuses: whether bytes that are not declared as JSON are a 415.
        strict: whether JSON must be declared; else a body without a content type is JSON.
        limits: for reading a form, as ``Request.form`` takes them.
    """

    form: bool
    embed: bool
    refuses: bool
    strict: bool
    limits: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Plan:
    """All that a request of one route needs to know.

    Attributes:
        calls: the dependencies in order, and the endpoint as the last.
        endpoint: that last one.
        size: how many slots there are.
        body: how the body is read; None if nobody asks for it.
        provider: the endpoint's.
        is_quick: whether the endpoint needs nothing but single values and the request, and at most
            a whole body of JSON.
    """

    calls: tuple[Call, ...]
    endpoint: Call
    size: int
    body: BodyPlan | None
    provider: Provider
    is_quick: bool


def compile_plan(
    provider: Provider,
    *,
    is_websocket: bool = False,
    given: Collection[Any] | None = None,
    overrides: Mapping[Any, Callable[..., Any]] | None = None,
    path_names: Collection[str] = (),
    strict: bool = True,
    form_limits: Mapping[str, Any] | None = None,
) -> Plan:
    """Make the plan of an endpoint.

    Args:
        provider: what its signature says.
        is_websocket: whether it serves websockets.
        given: the types that layers around the route give; None if that is not known.
        overrides: functions to the ones that are called in their place.
        path_names: the parameters of the path.
        strict: whether a body of JSON must be declared as such.
        form_limits: for reading a form.

    Raises:
        DependencyError: a parameter that nothing can be given for.
    """
    maker = _Maker(is_websocket, given, overrides or {}, path_names)
    endpoint = maker.add(provider, is_endpoint=True)
    read = [parameter for call in maker.calls for parameter in _parameters(call)]
    in_body = [one for one in read if isinstance(one.info, Body)]
    if is_websocket and in_body:
        _refuse_body(maker.calls, in_body[0])
    body = _body_plan(in_body, strict, form_limits or {}) if in_body else None
    for call in maker.calls:
        _set_reads(call, body)
    quick = len(maker.calls) == 1 and _is_quick(endpoint, body)
    return Plan(tuple(maker.calls), endpoint, len(maker.calls), body, provider, quick)


def _is_quick(call: Call, body: BodyPlan | None) -> bool:
    if call.several or call.given:
        return False
    if any(special not in ("request", "connection") for _, special in call.specials):
        return False
    return body is None or (not body.form and not body.embed and len(call.body) == 1)


@dataclass(slots=True, eq=False)
class _Maker:
    """Puts the calls in order: what is depended on comes first, and once if it may be kept."""

    is_websocket: bool
    given: Collection[Any] | None
    overrides: Mapping[Any, Callable[..., Any]]
    path_names: Collection[str]
    calls: list[Call] = field(default_factory=list[Call])
    slots: dict[Any, int] = field(default_factory=dict[Any, int])
    replaced: tuple[Callable[..., Any], ...] = ()

    def add(self, provider: Provider, *, is_endpoint: bool = False) -> Call:
        """Add a call and, before it, those that it depends on."""
        arguments: list[tuple[str, int]] = []
        effects: list[int] = []
        if provider.scope != "app":  # what an app's depends on is made with it
            for dependency in provider.dependencies:
                slot = self._slot_of(dependency)
                if dependency.name is None:
                    effects.append(slot)
                else:
                    arguments.append((dependency.name, slot))
        call = Call(
            provider.call,
            _how(provider),
            len(self.calls),
            provider,
            dependencies=tuple(arguments),
            effects=tuple(effects),
            specials=self._specials(provider),
            given=self._wanted(provider),
            scopes=provider.scopes,
            scope=provider.scope,
        )
        if provider.yields and not is_endpoint:
            is_async = provider.kind == "async generator"
            call.enter = context_maker(provider.call, is_async=is_async, limit=provider.limit)
        self.calls.append(call)
        return call

    def _slot_of(self, provider: Provider) -> int:
        replaced = provider.call
        provider = self._overridden(provider)
        scopes = tuple(sorted(provider.scopes)) if uses_scopes(provider) else ()
        key = (hashable(provider.call), scopes, provider.scope)
        if provider.use_cache and key in self.slots:
            return self.slots[key]
        self.replaced += (replaced,)
        slot = self.add(provider).slot
        self.replaced = self.replaced[:-1]
        self.slots.setdefault(key, slot)
        return slot

    def _overridden(self, provider: Provider) -> Provider:
        """What stands in for a provider, which itself may ask for the one that it stands in for."""
        other = overriding_call(provider.call, self.overrides)
        if other is not None and not any(provider.call == one for one in self.replaced):
            wish = Depends(other, use_cache=provider.use_cache, scope=provider.scope)
            found = wish_for(wish, self.path_names, scopes=provider.scopes)
            found.name = provider.name
            found.limit = provider.limit
            return found
        if provider.scope != "app" or not self.overrides:
            return provider
        # It is made with all that it depends on, apart from any request.
        inner = [self._overridden(dependency) for dependency in provider.dependencies]
        return replace(provider, dependencies=inner)

    def _specials(self, provider: Provider) -> tuple[tuple[str, Special], ...]:
        missing = "request" if self.is_websocket else "websocket"
        kept: list[tuple[str, Special]] = []
        for name, special in provider.specials.items():
            if special != missing:
                kept.append((name, special))
            elif inspect.signature(provider.call).parameters[name].default is REQUIRED_BY_PYTHON:
                other = "websocket" if self.is_websocket else "HTTP request"
                raise DependencyError(
                    f"Expected {name!r} of {describe(provider.call)} to be what a route for a"
                    f" {other} has, got a {missing}; ask for an HTTPConnection, which both are, or"
                    " give it a default."
                )
        return tuple(kept)

    def _wanted(self, provider: Provider) -> tuple[tuple[str, Any], ...]:
        for name, kind in provider.wanted.items():
            if self.given is not None and not _gives(self.given, kind):
                raise DependencyError(
                    f"Expected somebody to give {name!r} of {describe(provider.call)}, got no"
                    f" layer around it that provides {kind.__qualname__}.\n"
                    f"Add a middleware with `provides = {kind.__qualname__}`, write `{name}:"
                    f" Annotated[{kind.__qualname__}, Depends(function)]`,\nor make it a type that"
                    " can be read from a request: a Struct, a dataclass, a pydantic model."
                )
        wanted = list(provider.wanted.items())
        if not self.given:
            return tuple(wanted)
        # A model, too, comes from the layer that gives it and not from the body.
        for one in provider.parameters:
            kinds = [kind for kind in union_members(one.type) if kind is not type(None)]
            if one.is_inferred and len(kinds) == 1 and kinds[0] in self.given:
                wanted.append((one.name, kinds[0]))
        return tuple(wanted)


def overriding_call(
    call: Callable[..., Any], overrides: Mapping[Any, Callable[..., Any]]
) -> Callable[..., Any] | None:
    """The function that is called in the place of another, if there is one."""
    try:
        return overrides.get(call)
    except TypeError:  # it has no hash, and so no override either
        return None


REQUIRED_BY_PYTHON: Final = inspect.Parameter.empty


def _gives(given: Collection[Any], kind: Any) -> bool:
    return any(isinstance(one, type) and issubclass(one, kind) for one in given)


def uses_scopes(provider: Provider) -> bool:
    """Whether the scopes of OAuth2 make a difference to what a provider gives."""
    return (
        bool(provider.own_scopes)
        or "security_scopes" in provider.specials.values()
        or any(uses_scopes(dependency) for dependency in provider.dependencies)
    )


_KINDS: Final = {"coroutine": "await", "function": "thread", "inline": "inline"}


def _how(provider: Provider) -> str:
    if provider.scope == "app":
        return "app"
    if provider.yields:
        return "enter"
    return "limited" if provider.limit is not None else _KINDS[provider.kind]


# -- what is read ----------------------------------------------------------------------------------


def _refuse_body(calls: Iterable[Call], parameter: Parameter) -> None:
    call = next(one for one in calls if parameter in one.provider.parameters)
    raise DependencyError(
        f"Expected {parameter.name!r} of {describe(call.call)} to be in the path, the query string"
        " or the headers, got a body, which the handshake of a websocket does not have; write"
        " Query(...), Header(...) or Cookie(...)."
    )


def _parameters(call: Call) -> list[Parameter]:
    """What a call takes from the request, rather than from a layer."""
    if call.kind == "app":
        return []
    given = {name for name, _ in call.given}
    return [one for one in call.provider.parameters if one.name not in given]


def _set_reads(call: Call, body: BodyPlan | None) -> None:
    reads: dict[str, list[Read]] = {}
    for parameter in _parameters(call):
        source = parameter.source
        several = parameter.is_model or parameter.is_sequence or parameter.others
        if source != "body" and several:
            source = "several"
        reads.setdefault(source, []).append(_read(parameter, body))
    call.path = _quick(reads.get("path", ()))
    call.query = _quick(reads.get("query", ()))
    call.header = _quick(reads.get("header", ()))
    call.cookie = _quick(reads.get("cookie", ()))
    call.several = tuple(reads.get("several", ()))
    call.body = tuple(reads.get("body", ()))
    call.reads = bool(call.given) or bool(reads.keys() - {"body"})


def _read(parameter: Parameter, body: BodyPlan | None) -> Read:
    info, annotation = parameter.info, parameter.annotation
    place: tuple[str, ...] = (parameter.source, parameter.alias)
    decode_json: Decode | None = None
    if parameter.is_model:
        decode, place = object_decoder(annotation, info), (parameter.source,)
    elif isinstance(info, Body) and not isinstance(info, Form):
        decode = object_decoder(annotation, info)
        if body is not None and not body.embed:
            decode_json, place = json_decoder(annotation, info), (parameter.source,)
    else:
        decode = text_decoder(annotation, info)
    read = Read(
        parameter.name,
        parameter.alias,
        None if decode is identity else decode,
        parameter.default,
        _default_maker(parameter),
        place,
        parameter,
        decode_json=decode_json,
        wants_bytes=_wants_bytes(annotation),
    )
    if parameter.is_model:
        return _gathering(read)
    others = (read._replace(alias=one, place=(*place[:1], one)) for one in parameter.others)
    return read._replace(others=tuple(others))


def _default_maker(parameter: Parameter) -> Callable[[], Any] | None:
    default, info = parameter.default, parameter.info
    make = info.default_factory
    if default is not REQUIRED:
        make = None if isinstance(default, _PLAIN) else partial(deepcopy, default)
    if not info.validate_default or (make is None and default is REQUIRED):
        return make
    decode = object_decoder(parameter.annotation, info)
    return lambda: decode(default if make is None else make())


def _gathering(read: Read) -> Read:
    """How the values of a model's fields are gathered."""
    parameter = read.parameter
    models = [one for one in union_members(parameter.type) if one is not type(None)]
    found: dict[Any, Gathered] = {}
    for one in (one for model in models for one in _gathered(model, parameter.info)):
        if one.names not in found or one.several:
            found[one.names] = one
    fields = tuple(found.values())
    if len(models) > 1 and isinstance(parameter.info, Form):
        gathered = partial(_gathered, info=parameter.info)
        decode = form_union_decoder(parameter.annotation, parameter.info, gathered)
        read = read._replace(decode=decode, is_union=True)
    return read._replace(
        fields=fields,
        may_lack=parameter.default is not REQUIRED or type(None) in union_members(parameter.type),
        takes_others=any(_minds_others(model) for model in models),
    )


def _gathered(model: Any, info: Param) -> tuple[Gathered, ...]:
    return tuple(
        Gathered(_names(one, info), is_sequence(one.annotation), _wants_bytes(one.annotation))
        for one in field_names(model)
    )


def _names(field: ModelField, info: Param) -> tuple[tuple[str, str], ...]:
    """The names of a model's field: for the model, and in the request."""
    hyphens = isinstance(info, Header) and info.convert_underscores
    own = {field.name} - set(field.choices)
    return tuple(
        # An alias is meant as it is written.
        (name, name.replace("_", "-") if hyphens and name in own else name)
        for name in field.names
    )


def _minds_others(model: Any) -> bool:
    """Whether a model takes or refuses what it has no field for."""
    config = getattr(model, "__struct_config__", None)
    if config is not None:
        return bool(config.forbid_unknown_fields)
    return getattr(model, "model_config", {}).get("extra") in ("allow", "forbid")


def _wants_bytes(annotation: Any) -> bool:
    return any(one is bytes or bytes in typing.get_args(one) for one in union_members(annotation))


def _body_plan(parameters: list[Parameter], strict: bool, limits: Mapping[str, Any]) -> BodyPlan:
    form = any(isinstance(one.info, Form) for one in parameters)
    embed = is_embedded(parameters)
    native = family_of(parameters[0].annotation) == "msgspec"
    return BodyPlan(form, embed, native and not embed, strict, limits)


def is_embedded(parameters: list[Parameter]) -> bool:
    """Whether the members of an object are the parameters, rather than the one being all of it."""
    if len({one.name for one in parameters}) > 1:
        return True
    info = parameters[0].info
    if isinstance(info, Form):
        return not parameters[0].is_model
    return isinstance(info, Body) and bool(info.embed)
