"""From a function to what it asks for: its signature is read here, once, and never again.

Floor 5. The rules are FastAPI 0.165's: a parameter that the path names comes from there; another
one of a scalar type from the query string, a file from the form, anything else from the body;
unless ``Annotated`` or a default of ``params`` says otherwise.
"""

from __future__ import annotations

import builtins
import copy
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union

from lamella._connection import HTTPConnection
from lamella._inspect import describe, is_async_callable
from lamella.background import BackgroundTasks
from lamella.datastructures import UploadFile
from lamella.exceptions import DependencyError, StackError
from lamella.injection.decode import (
    family_of,
    is_model,
    is_read_by_json,
    is_scalar,
    is_sequence,
)
from lamella.injection.provider import Kind, Parameter, Provider, Special
from lamella.params import (
    REQUIRED,
    Body,
    Depends,
    File,
    Form,
    Header,
    Param,
    Path,
    Query,
    SecurityScopes,
)
from lamella.requests import Request
from lamella.responses import Response
from lamella.websockets import WebSocket

if TYPE_CHECKING:
    from lamella.params import ExitScope

__all__ = ["annotation_parts", "read_provider", "read_signature", "union_members", "wish_for"]

_SPECIALS: tuple[tuple[type, Special], ...] = (
    (Request, "request"),
    (WebSocket, "websocket"),
    (HTTPConnection, "connection"),
    (Response, "response"),
    (BackgroundTasks, "background_tasks"),
    (SecurityScopes, "security_scopes"),
)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def read_provider(
    call: Callable[..., Any],
    path_names: Collection[str] = (),
    *,
    depends: Depends | None = None,
    name: str | None = None,
    scopes: Sequence[str] = (),
    above: tuple[Callable[..., Any], ...] = (),
) -> Provider:
    """Read what a function asks for, and what its dependencies ask for.

    Args:
        call: the function, class or callable.
        path_names: the parameters of the path.
        depends: the wish that led here; None for an endpoint.
        name: of the parameter that the value is for.
        scopes: scopes of OAuth2 that the wishes further out name.
        above: the functions whose wishes led here, outermost first.

    Raises:
        DependencyError: a parameter that nothing can be given for, or functions that wait for each
            other.
    """
    if any(call is other for other in above):
        raise DependencyError(_told_cycle((*above, call)))
    own = () if depends is None else tuple(depends.scopes)
    provider = Provider(
        call,
        name,
        _kind(call, inline=depends is not None and depends.inline),
        own_scopes=own,
        scopes=tuple(dict.fromkeys((*scopes, *own))),
    )
    if depends is not None:
        provider.use_cache = depends.use_cache
        provider.limit = depends.limit
        provider.scope = depends.scope
        if provider.scope is None and provider.yields:
            provider.scope = "request"
    for parameter in read_signature(call).parameters.values():
        if parameter.kind in _BY_NAME:
            _add(provider, parameter, path_names, (*above, call))
        elif parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
            raise DependencyError(
                f"Expected parameters that can be given by name in {describe(call)}, got"
                f" {parameter.name!r}; take the '/' out of its signature."
            )
    return provider


def wish_for(
    depends: Depends,
    path_names: Collection[str],
    *,
    owner: Callable[..., Any] | None = None,
    parameter: inspect.Parameter | None = None,
    scopes: Sequence[str] = (),
    above: tuple[Callable[..., Any], ...] = (),
) -> Provider:
    """The provider that a ``Depends`` names.

    Raises:
        DependencyError: it names none, or one that lives longer than what it asks for.
    """
    call = depends.dependency
    if call is None:
        where = "dependencies=" if owner is None or parameter is None else _place(owner, parameter)
        raise DependencyError(
            f"Expected a function or a class in {depends!r} of {where}; write Depends(function),"
            " or give the parameter a class as its type."
        )
    provider = read_provider(
        call,
        path_names,
        depends=depends,
        name=None if parameter is None else parameter.name,
        scopes=scopes,
        above=above,
    )
    _check_scopes(provider)
    return provider


def read_signature(call: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, with annotations that were written as text evaluated.

    That of the return value stays a text if it names what is not there when it runs.

    Raises:
        DependencyError: it has none, or a parameter names a type that is not there.
    """
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError) as exc:
        raise DependencyError(f"Expected a signature of {describe(call)}, got: {exc}.") from exc
    parameters = signature.parameters.values()
    annotations = [parameter.annotation for parameter in parameters]
    if not any(isinstance(one, str) for one in (*annotations, signature.return_annotation)):
        return signature
    names = _names_of(call)
    returned = signature.return_annotation
    with suppress(NameError):
        returned = _evaluated(returned, names)
    try:
        read = [one.replace(annotation=_evaluated(one.annotation, names)) for one in parameters]
    except NameError as exc:
        raise DependencyError(
            f"Expected the types of {describe(call)} to be there when it is read, got: {exc};"
            " import them outside of `if TYPE_CHECKING`, or define them at the top of the module."
        ) from exc
    return signature.replace(parameters=read, return_annotation=returned)


def _evaluated(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, names)  # noqa: S307 - the user's own annotation, as `typing` does


def _names_of(call: Callable[..., Any]) -> dict[str, Any]:
    """The names that the annotations of a function may use."""
    function: Any = inspect.unwrap(_bare(call))
    if not inspect.isroutine(function):
        method = getattr(function, "__init__" if isinstance(function, type) else "__call__")
        owner = function if isinstance(function, type) else type(function)
        module = vars(sys.modules[owner.__module__])
        function = inspect.unwrap(method)
    else:
        module = {}
    return {
        **vars(builtins),
        **module,
        **getattr(function, "__globals__", {}),
        **_locals_of_definition(function),
        **_closure_of(function),
    }


def _closure_of(function: Any) -> dict[str, Any]:
    cells = getattr(function, "__closure__", None) or ()
    names = function.__code__.co_freevars if cells else ()
    found: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        with suppress(ValueError):  # not set yet
            found[name] = cell.cell_contents
    return found


def _locals_of_definition(function: Any) -> Mapping[str, Any]:
    """The local names of the function that is running right now and that defined this one."""
    qualname: str = getattr(function, "__qualname__", "")
    outer, _, _ = qualname.rpartition(".<locals>.")
    code = getattr(function, "__code__", None)
    frame = sys._getframe()
    while outer and code is not None and frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_qualname == outer and frame.f_code.co_filename == code.co_filename:
            return frame.f_locals
    return {}


# -- one parameter ---------------------------------------------------------------------------------


class _Said(NamedTuple):
    """What annotation and default of a parameter say.

    Attributes:
        annotation: with ``Annotated``.
        type: without.
        info: where it comes from, if that is said.
        depends: the dependency, if it is one.
        default: ``REQUIRED`` without one.
    """

    annotation: Any
    type: Any
    info: Param | None
    depends: Depends | None
    default: Any


def _add(
    provider: Provider,
    parameter: inspect.Parameter,
    path_names: Collection[str],
    above: tuple[Callable[..., Any], ...],
) -> None:
    """Add one parameter of the function to what its provider asks for."""
    said = _read(provider.call, parameter)
    if said.depends is not None:
        provider.dependencies.append(
            wish_for(
                said.depends,
                path_names,
                owner=provider.call,
                parameter=parameter,
                scopes=provider.scopes,
                above=above,
            )
        )
        return
    special = _special(said.type)
    if special is None and said.annotation is inspect.Parameter.empty and _alone(provider.call):
        special = "websocket" if parameter.name == "websocket" else "request"
    if special is not None:
        _check_special(provider.call, parameter, said)
        provider.specials[parameter.name] = special
        return
    _add_value(provider, parameter, said, path_names)


def _add_value(
    provider: Provider, parameter: inspect.Parameter, said: _Said, path_names: Collection[str]
) -> None:
    annotation = Any if said.annotation is inspect.Parameter.empty else said.annotation
    in_path = parameter.name in path_names
    info = copy.copy(said.info)
    try:
        family_of(annotation)
        if info is None:
            info = Path() if in_path else _inferred(said.type)
        is_list = is_sequence(annotation)
        members = [one for one in union_members(said.type) if one is not type(None)]
        is_fields = bool(members) and all(is_model(one) for one in members)
        is_fields = is_fields and not is_read_by_json(annotation)
    except StackError as exc:
        kinds = [one for one in union_members(said.type) if one is not type(None)]
        if said.info is None and len(kinds) == 1 and isinstance(kinds[0], type):
            provider.wanted[parameter.name] = kinds[0]
            if said.default is not REQUIRED:
                provider.optional.add(parameter.name)
            return
        raise DependencyError(
            "Expected a type that can be read from a request for"
            f" {_place(provider.call, parameter)}, got {said.type!r}: {exc}"
        ) from exc
    _add_what_fields_say(info, annotation)
    _check_value(provider.call, parameter, said, info, in_path)
    info.default = REQUIRED if in_path else said.default
    if in_path or info.default is not REQUIRED:
        info.default_factory = None
    alias, *others = _names(info, parameter.name, path_names)
    body = isinstance(info, Body) and not isinstance(info, Form)
    provider.parameters.append(
        Parameter(
            parameter.name,
            alias,
            annotation,
            said.type,
            info,
            info.default,
            is_model=is_fields and not in_path and not body,
            is_sequence=is_list,
            is_inferred=said.info is None and not in_path,
            others=tuple(others),
        )
    )


def _names(info: Param, name: str, path_names: Collection[str]) -> Sequence[str]:
    """The names that the request may have a parameter under, the best first."""
    found = info.names_in_request
    if isinstance(info, Path):
        candidates = [one for one in (*found, info.alias, name) if one is not None]
        in_path = [one for one in candidates if one in path_names]
        return in_path[:1] or candidates[:1]
    if not found and isinstance(info, Header) and info.convert_underscores:
        return (name.replace("_", "-"),)
    return found or (name,)


_SAID_BY_FIELDS = (
    "alias",
    "validation_alias",
    "default_factory",
    "validate_default",
    "title",
    "description",
    "examples",
    "deprecated",
    "json_schema_extra",
)


def _add_what_fields_say(info: Param, annotation: Any) -> None:
    """Add what pydantic's ``Field(...)`` in ``Annotated`` says and the parameter does not."""
    explicit = set(vars(info))
    if "alias" in explicit:  # which Field takes for both
        explicit.add("validation_alias")
    for one in annotation_parts(annotation)[1]:
        if type(one).__module__ != "pydantic.fields":
            continue
        for name in _SAID_BY_FIELDS:
            value = getattr(one, name, None)
            if value is not None and name not in explicit:
                setattr(info, name, value)


def _read(call: Callable[..., Any], parameter: inspect.Parameter) -> _Said:
    annotation = parameter.annotation
    kind, metadata = annotation_parts(annotation)
    default = REQUIRED if parameter.default in (inspect.Parameter.empty, ...) else parameter.default
    infos = [said for said in metadata if isinstance(said, Param | Depends)]
    said = infos[-1] if infos else None
    if isinstance(default, Param | Depends):
        if said is not None:
            raise DependencyError(
                f"Expected {_place(call, parameter)} to be described once, got {said!r} in"
                f" Annotated and {default!r} as its default; write one of them."
            )
        said = default
        default = said.default if isinstance(said, Param) else REQUIRED
    elif isinstance(said, Param) and said.default is not REQUIRED:
        raise DependencyError(
            f"Expected no default inside of Annotated for {_place(call, parameter)}, got"
            f" {said!r}; write it after `=`."
        )
    if isinstance(said, Depends):
        nameless = kind is inspect.Parameter.empty
        if said.dependency is None and not nameless and isinstance(kind, type | Callable):
            said = copy.copy(said)
            said.dependency = kind
        return _Said(annotation, kind, None, said, default)
    return _Said(annotation, kind, said, None, default)


def annotation_parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type in ``Annotated``, and what stands beside it; also behind a ``type`` statement."""
    metadata: tuple[Any, ...] = ()
    while True:
        if hasattr(annotation, "__value__"):
            annotation = annotation.__value__
        elif typing.get_origin(annotation) is Annotated:
            metadata = (*annotation.__metadata__, *metadata)
            annotation = annotation.__origin__
        else:
            return annotation, metadata


def _inferred(kind: Any) -> Param:
    """Where a value comes from if nobody says so."""
    members = union_members(kind)
    if any(_is_file(member) for member in members):
        return File()
    if not any(_is_structured(member) for member in members):
        return Query()
    return Body()


def union_members(kind: Any) -> Sequence[Any]:
    """The members of a union, or the type itself; without None and ``Annotated``."""
    kind, _ = annotation_parts(kind)
    if typing.get_origin(kind) in (Union, UnionType):
        return [
            member
            for one in typing.get_args(kind)
            for member in union_members(one)
            if one is not None
        ]
    return [kind]


def _is_flat(kind: Any) -> bool:
    """Whether a type is a list of scalars."""
    return is_sequence(kind) and all(one is ... or is_scalar(one) for one in typing.get_args(kind))


def _is_file(kind: Any) -> bool:
    arguments = typing.get_args(kind) if is_sequence(kind) else (kind,)
    return any(isinstance(one, type) and issubclass(one, UploadFile) for one in arguments)


def _is_structured(kind: Any) -> bool:
    """Whether a value is an object or a list in JSON."""
    if is_model(kind) or is_sequence(kind):
        return True
    origin = typing.get_origin(kind) or kind
    if not isinstance(origin, type) or issubclass(origin, str | bytes | Enum):
        return False
    return issubclass(origin, Mapping | Iterable)  # pyright: ignore[reportUnknownArgumentType]


def _special(kind: Any) -> Special | None:
    if not isinstance(kind, type):
        # `Response | None` and the like are as good as the class.
        members = [one for one in union_members(kind) if one is not type(None)]
        origin = typing.get_origin(members[0]) if len(members) == 1 else None
        kind = origin or (members[0] if len(members) == 1 else kind)
    if not isinstance(kind, type):
        return None
    for cls, special in _SPECIALS:
        if issubclass(kind, cls):
            return special
    return None


def _alone(call: Callable[..., Any]) -> bool:
    """Whether this is a plain endpoint: one parameter, without a type, named as it is."""
    names = list(inspect.signature(call).parameters)
    return names in (["request"], ["websocket"])


# -- checks ----------------------------------------------------------------------------------------


def _check_special(call: Callable[..., Any], parameter: inspect.Parameter, said: _Said) -> None:
    if said.info is not None:
        raise DependencyError(
            f"Expected no {said.info!r} for {_place(call, parameter)}, since a"
            f" {getattr(said.type, '__name__', said.type)} is given as it is; take it out."
        )


def _check_value(
    call: Callable[..., Any],
    parameter: inspect.Parameter,
    said: _Said,
    info: Param,
    in_path: bool,
) -> None:
    if in_path and not isinstance(info, Path):
        raise DependencyError(
            f"Cannot use `{type(info).__name__}` for path param {parameter.name!r}: the path names"
            f" {_place(call, parameter)}; write Path(...), or take it out of the path."
        )
    if in_path and said.info is not None and said.default is not REQUIRED:
        raise DependencyError(
            f"Path parameters cannot have default values, got {said.default!r} for"
            f" {_place(call, parameter)}."
        )
    if isinstance(info, Path) and not in_path and said.info is not None:
        # The same function may serve another path that has it.
        return
    members = union_members(said.type)
    structured = any(_is_structured(member) for member in members)
    if is_read_by_json(said.annotation):
        return  # which has any type from one text
    if in_path and structured:
        raise DependencyError(
            f"Path params must be of one of the supported types, got {said.type!r} for"
            f" {_place(call, parameter)}; write a scalar type."
        )
    if isinstance(info, Query) and structured:
        models = all(is_model(one) or one is type(None) for one in members)
        if not models and not all(is_scalar(one) or _is_flat(one) for one in members):
            raise DependencyError(
                f"Query parameter {parameter.name!r} must be one of the supported types: a scalar,"
                f" a list of scalars or a model; got {said.type!r} for {_place(call, parameter)}."
            )


def _check_scopes(provider: Provider) -> None:
    """Raise if a provider outlives what it depends on."""
    order: dict[ExitScope | None, int] = {None: 0, "function": 0, "request": 1, "app": 2}
    for dependency in provider.dependencies:
        if dependency.scope == "function" and provider.yields and order[provider.scope] > 0:
            raise DependencyError(
                f'The dependency "{_name(provider.call)}" has a scope of "{provider.scope}", it'
                ' cannot depend on dependencies with scope "function":'
                f" {describe(dependency.call)} ends before {describe(provider.call)} does."
            )
    if provider.scope == "app":
        _check_app_scope(provider)


def _check_app_scope(provider: Provider) -> None:
    asked = [*(one.name for one in provider.parameters), *provider.specials, *provider.wanted]
    if asked:
        raise DependencyError(
            f'Expected a dependency of scope "app" to need no request, got {asked[0]!r} in'
            f" {describe(provider.call)}; it is made once, when the application starts."
        )
    for dependency in provider.dependencies:
        if dependency.scope != "app":
            raise DependencyError(
                f'Expected a dependency of scope "app" to depend on such alone, got'
                f" {describe(dependency.call)} in {describe(provider.call)}; give it"
                ' scope="app", too.'
            )


# -- what a callable is ----------------------------------------------------------------------------


def _kind(call: Callable[..., Any], *, inline: bool) -> Kind:
    for function in _around(call):
        if inspect.isasyncgenfunction(function):
            return "async generator"
        if inspect.isgeneratorfunction(function):
            return "generator"
        if not isinstance(call, type) and is_async_callable(function):
            return "coroutine"
    return "inline" if inline or _only_keeps(call) else "function"


def _around(call: Any) -> list[Any]:
    """What is called, and what that is wrapped around; the outermost decides how it is called."""
    chain = [_bare(call)]
    while True:
        last = chain[-1]
        inner = getattr(last, "__wrapped__", None)
        if inner is None and not inspect.isroutine(last) and not isinstance(last, type):
            inner = type(last).__call__
        if inner is None or any(inner is one for one in chain):
            return chain
        chain.append(_bare(inner))


def _only_keeps(call: Callable[..., Any]) -> bool:
    """Whether it is a class that merely keeps its arguments, which needs no thread."""
    cls: Any = call
    if not isinstance(cls, type) or hasattr(cls, "__post_init__"):
        return False
    return hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__struct_fields__")


def _bare(call: Any) -> Any:
    while isinstance(call, functools.partial):
        call = call.func  # pyright: ignore[reportUnknownMemberType]
    return call


def _name(call: Any) -> str:
    bare = _bare(call)
    return str(getattr(bare, "__name__", type(bare).__name__))


def _place(call: Callable[..., Any], parameter: inspect.Parameter) -> str:
    return f"{parameter.name!r} of {describe(call)}"


def _told_cycle(chain: tuple[Callable[..., Any], ...]) -> str:
    calls = chain[next(i for i, call in enumerate(chain) if call is chain[-1]) :]
    shown = [describe(call) for call in calls]
    if len(shown) > 5:
        shown[2:-2] = ["..."]
    return "Expected dependencies that end, got a circle:\n" + "\n".join(
        f"  {'' if i == 0 else 'needs '}{one}" for i, one in enumerate(shown)
    )
