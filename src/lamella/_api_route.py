"""Typed routes: a path, an endpoint whose signature says what it takes, and what documents it.

Floor 6. Names and options as FastAPI 0.165, given by keyword: see ``RouteOptions``.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, TypedDict

from lamella._endpoint import get_name, is_function, request_response, websocket_session
from lamella._inspect import describe
from lamella._layer_group import LayerGroup
from lamella._reply import reply_for
from lamella._route import OnDisconnect, check_path, wrapped
from lamella._typed_endpoint import TypedEndpoint, TypedSession
from lamella.exceptions import DependencyError, StackError
from lamella.injection.decode import family_of
from lamella.injection.encode import ResponseOptions
from lamella.injection.provider import Provider, flat_providers
from lamella.injection.signature import read_provider, wish_for
from lamella.params import REQUIRED, Depends
from lamella.routing import Route, WebSocketRoute

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lamella._reply import Reply
    from lamella.requests import Request
    from lamella.responses import Response
    from lamella.routing import BaseRoute
    from lamella.types import ASGIApp

__all__ = [
    "APIRoute",
    "APIWebSocketRoute",
    "RouteOptions",
    "SharedOptions",
    "check_options",
    "generate_unique_id",
    "given_by",
]

_STATUS = re.compile("default|[1-5]([0-9][0-9]|XX)", re.IGNORECASE)
_NAMES_IN_PATH = re.compile(r"{([a-zA-Z_][a-zA-Z0-9_]*)")


class SharedOptions(TypedDict, total=False):
    """What a route, a router and ``include_router`` may all say; the nearest to the route wins.

    Keys:
        tags: for the OpenAPI document; those of routers come first.
        dependencies: called for each request, for their effects; those of routers first.
        responses: of the document: status code to ``model``, ``description``, ``content`` ...
        callbacks: routes of the client that the document describes.
        deprecated: whether the document says so.
        include_in_schema: whether the document has it.
        generate_unique_id_function: from a route to its operation id.
        middleware: layers around the route, or once around all routes of a router.
        max_body_size: bytes; a larger request body is a 413.
        form_limits: ``max_files``, ``max_fields``, ``max_part_size`` of a form; more is a 400.
        strict_content_type: whether JSON that is not declared as such is refused.
        on_disconnect: "cancel" cancels the endpoint when the client leaves, "finish" does not.
    """

    tags: Sequence[str | Enum] | None
    dependencies: Sequence[Any] | None
    responses: Mapping[int | str, Mapping[str, Any]] | None
    callbacks: Sequence[BaseRoute] | None
    deprecated: bool | None
    include_in_schema: bool
    generate_unique_id_function: Callable[[APIRoute], str] | None
    middleware: Sequence[Any] | None
    max_body_size: int | None
    form_limits: Mapping[str, int | float | None] | None
    strict_content_type: bool | None
    on_disconnect: OnDisconnect | None


class RouteOptions(SharedOptions, total=False):
    """What a typed route may say beside its path and its endpoint; see ``SharedOptions``, too.

    Keys:
        response_model: the type of what is returned; the return annotation without it. None: none.
        status_code: of the response, 200 without it.
        response_class: of the response; JSON without it.
        response_model_include, response_model_exclude: names of fields, or a tree of them.
        response_model_by_alias: whether fields go out by their alias (true).
        response_model_exclude_unset, response_model_exclude_defaults, response_model_exclude_none:
            whether fields are left out that were not set, have their default, or are None.
        name: for ``url_path_for``; the endpoint's name without it.
        methods: of ``api_route``.
        summary, description, response_description, operation_id: for the OpenAPI document.
        openapi_extra: merged into the operation of the document.
    """

    response_model: Any
    status_code: int | None
    response_class: type[Response] | None
    response_model_include: Any
    response_model_exclude: Any
    response_model_by_alias: bool
    response_model_exclude_unset: bool
    response_model_exclude_defaults: bool
    response_model_exclude_none: bool
    name: str | None
    methods: Collection[str] | None
    summary: str | None
    description: str | None
    response_description: str
    operation_id: str | None
    openapi_extra: Mapping[str, Any] | None


_SHARED = frozenset(SharedOptions.__annotations__)
_OF_ROUTES = _SHARED | frozenset(RouteOptions.__annotations__)


def generate_unique_id(route: APIRoute) -> str:
    """The operation id of a route: its name, its path and its method, as FastAPI 0.165 has it."""
    text = re.sub(r"\W", "_", f"{route.name}{route.path_format}")
    methods = sorted(route.methods or ())
    method = next((one for one in methods if one != "HEAD"), "HEAD")
    return f"{text}_{method.lower()}"


class APIRoute(Route):
    """A path and the typed endpoint that serves it.

    Args:
        path: starts with "/"; "{name}" and "{name:convertor}" are parameters.
        endpoint: an async function, or a sync one, which runs in the thread pool; may yield.
        groups: layers of the routers that it was included from, the outermost first.
        options: see ``RouteOptions``.

    Raises:
        DependencyError: a signature that cannot be filled.
        StackError: an endpoint, an option or a layer that cannot work.
    """

    __module__ = "lamella.routing"  # where it is found
    generate_unique_id_function: Callable[[APIRoute], str] | None = None

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        groups: Sequence[LayerGroup] = (),
        **options: Unpack[RouteOptions],
    ) -> None:
        check_options(options, endpoint)
        self.options: RouteOptions = options
        self.groups = tuple(groups)
        self.path = path
        self.endpoint = endpoint
        self._document(options)
        methods = options.get("methods") or ("GET",)
        self.provider = endpoint_provider(path, endpoint, options.get("dependencies"))
        self.reply = self._make_reply(options)
        self.typed_endpoint = TypedEndpoint(
            self.provider,
            self.reply,
            path,
            _NAMES_IN_PATH.findall(path),
            strict=options.get("strict_content_type") is not False,
            form_limits=options.get("form_limits"),
        )
        super().__init__(
            path,
            endpoint if is_function(endpoint) else functools.partial(endpoint),
            methods=methods,
            name=options.get("name") or get_name(endpoint),
            include_in_schema=options.get("include_in_schema", True),
            on_disconnect=options.get("on_disconnect"),
        )
        self.endpoint = endpoint
        app = wrapped(
            request_response(self.get_route_handler()),
            options.get("middleware"),
            options.get("max_body_size"),
            f"{type(self).__name__}({path!r})",
        )
        for group in reversed(self.groups):
            app = group.around(app)
        self.app: ASGIApp = app

    def check_path(self, path: str, endpoint: object) -> None:
        """Leave it to ``bind``: callbacks and webhooks have paths that no request of ours has."""

    def _document(self, options: RouteOptions) -> None:
        """Set what the OpenAPI document reads."""
        self.tags = list(options.get("tags") or ())
        self.summary = options.get("summary")
        # A form feed ends what is for clients.
        text = options.get("description") or inspect.cleandoc(self.endpoint.__doc__ or "")
        self.description = text.split("\f")[0].strip()
        self.response_description = options.get("response_description", "Successful Response")
        self.responses = dict(options.get("responses") or {})
        _check_responses(self.responses, self.endpoint)
        self.deprecated = options.get("deprecated")
        self.operation_id = options.get("operation_id")
        self.openapi_extra = options.get("openapi_extra")
        self.callbacks = options.get("callbacks")
        self.status_code = options.get("status_code")
        self.response_class = options.get("response_class")
        self.response_model_by_alias = options.get("response_model_by_alias", True)
        self.dependencies = list(options.get("dependencies") or ())
        self.generate_unique_id_function = options.get("generate_unique_id_function")

    def _make_reply(self, options: RouteOptions) -> Reply:
        return reply_for(
            self.provider,
            response_model=options.get("response_model", REQUIRED),
            response_class=self.response_class,
            status_code=self.status_code,
            options=ResponseOptions(
                include=options.get("response_model_include"),
                exclude=options.get("response_model_exclude"),
                by_alias=self.response_model_by_alias,
                exclude_unset=options.get("response_model_exclude_unset", False),
                exclude_defaults=options.get("response_model_exclude_defaults", False),
                exclude_none=options.get("response_model_exclude_none", False),
            ),
        )

    def get_route_handler(self) -> Callable[[Request[Any]], Coroutine[Any, Any, Response]]:
        """The function of the request that runs the endpoint; subclasses may put another around.

        Source: as FastAPI 0.165.
        """
        return self.typed_endpoint.__call__

    @property
    def response_model(self) -> Any:
        """The type of what the endpoint returns, None without one."""
        return None if self.reply.model is REQUIRED else self.reply.model

    @property
    def response_annotation(self) -> Any:
        """The type of what the endpoint returns, ``REQUIRED`` without one."""
        return self.reply.model

    @property
    def stream(self) -> str | None:
        """How what the endpoint yields is sent: "jsonl", "sse" or "raw"; None if it returns."""
        return self.reply.stream

    @property
    def stream_item(self) -> Any:
        """The type of what the endpoint yields, ``REQUIRED`` without one."""
        return self.reply.item

    @property
    def unique_id(self) -> str:
        """The operation id."""
        if self.operation_id:
            return self.operation_id
        return (self.generate_unique_id_function or generate_unique_id)(self)

    @property
    def given(self) -> Collection[Any]:
        """The types that layers around it give, as far as they are known."""
        return self.typed_endpoint._given or ()

    def bind(self, given: Collection[Any]) -> None:
        """Make the plan of the endpoint, within layers that give these types.

        Raises:
            DependencyError: a parameter that nobody gives.
            UsageError: a path that no request can have.
        """
        if not self.path.startswith("/"):
            check_path(self.path, describe(self.endpoint))
        self.reply.prepare()
        own = given_by(self.options.get("middleware"))
        of_groups = [kind for group in self.groups for kind in given_by(group.layers)]
        self.typed_endpoint.bind({*given, *of_groups, *own})


class APIWebSocketRoute(WebSocketRoute):
    """A path and the typed endpoint that serves websockets there.

    Args:
        path: starts with "/"; "{name}" and "{name:convertor}" are parameters.
        endpoint: an async function.
        name: for ``url_path_for``; the endpoint's name without it.
        dependencies: called for each websocket, for their effects.
        middleware: layers around this endpoint alone, the outermost first.
        groups: layers of the routers that it was included from, the outermost first.

    Raises:
        DependencyError: a signature that cannot be filled.
        StackError: an endpoint or layer that cannot work.
    """

    __module__ = "lamella.routing"  # where it is found

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        dependencies: Sequence[Any] | None = None,
        middleware: Sequence[Any] | None = None,
        groups: Sequence[LayerGroup] = (),
    ) -> None:
        self.dependencies = list(dependencies or ())
        self.middleware = middleware
        self.groups = tuple(groups)
        self.provider = endpoint_provider(path, endpoint, dependencies)
        self.typed_session = TypedSession(self.provider, path, _NAMES_IN_PATH.findall(path))
        super().__init__(path, endpoint, name=name)
        session = websocket_session(self.typed_session.__call__)
        app = wrapped(session, middleware, None, f"APIWebSocketRoute({path!r})")
        for group in reversed(self.groups):
            app = group.around(app)
        self.app: ASGIApp = app

    def bind(self, given: Collection[Any]) -> None:
        """Make the plan of the endpoint, within layers that give these types.

        Raises:
            DependencyError: a parameter that nobody gives.
        """
        of_groups = [kind for group in self.groups for kind in given_by(group.layers)]
        self.typed_session.bind({*given, *of_groups, *given_by(self.middleware)})


def endpoint_provider(
    path: str, endpoint: Callable[..., Any], dependencies: Sequence[Any] | None
) -> Provider:
    """What an endpoint asks for, and before that its route.

    Raises:
        DependencyError: a signature that cannot be filled.
        StackError: no function.
    """
    if not callable(endpoint):
        raise StackError(f"Expected a function for {path!r}, got {endpoint!r}.")
    names = _NAMES_IN_PATH.findall(path)
    provider = read_provider(endpoint, names)
    wishes = [_wished(depends, endpoint) for depends in dependencies or ()]
    provider.dependencies[:0] = [wish_for(depends, names) for depends in wishes]
    return provider


def _check_responses(
    responses: Mapping[int | str, Mapping[str, Any]], endpoint: Callable[..., Any]
) -> None:
    """Raise unless these can be described.

    Raises:
        StackError: a status that is none, or a model of a type that nobody knows.
    """
    for status, described in responses.items():
        if not _STATUS.fullmatch(str(int(status) if isinstance(status, int) else status)):
            raise StackError(
                f"Expected a status code in responses= of {describe(endpoint)}, got {status!r};"
                ' write one like 404, "4XX" or "default".'
            )
        model = described.get("model")
        if model is not None:
            try:
                family_of(model)
            except StackError as exc:
                raise StackError(
                    f"Expected the model of {status} in responses= of {describe(endpoint)} to be a"
                    f" type that can be written as JSON, got {model!r}: {exc}"
                ) from exc


def _wished(depends: Any, endpoint: Callable[..., Any]) -> Depends:
    if not isinstance(depends, Depends):
        raise StackError(
            f"Expected Depends(...) in dependencies= of {describe(endpoint)}, got {depends!r};"
            f" write Depends({getattr(depends, '__name__', 'function')})."
        )
    return depends


def check_path_names(path: str, provider: Provider, endpoint: Callable[..., Any]) -> None:
    """Raise unless each parameter of a path is asked for, or the request as a whole is.

    Raises:
        DependencyError: one that nobody asks for.
    """
    asked: set[str] = set()
    for one in flat_providers(provider):
        if any(
            special in ("request", "connection", "websocket") for special in one.specials.values()
        ):
            return
        asked.update(parameter.alias for parameter in one.parameters)
    for name in _NAMES_IN_PATH.findall(path):
        if name not in asked:
            raise DependencyError(
                f"Expected {describe(endpoint)} to take {name!r}, a parameter of its path {path!r},"
                f" got no parameter of that name; write `{name}: str`, or another type."
            )


def given_by(layers: Sequence[Any] | None) -> list[Any]:
    """The types that layers, declared or built, say they give, by ``provides``."""
    given: list[Any] = []
    for layer in layers or ():
        given += given_by(getattr(layer, "composed", None))
        functions = [*getattr(layer, "args", ()), *getattr(layer, "kwargs", {}).values()]
        functions.append(getattr(layer, "dispatch_func", None))
        for one in (getattr(layer, "cls", layer), *functions):
            kinds = getattr(one, "provides", None) if callable(one) else None
            if kinds is not None:
                given += kinds if isinstance(kinds, tuple | list) else [kinds]
    return given


def check_options(
    options: Mapping[str, Any], where: str | Callable[..., Any], *, shared: bool = False
) -> None:
    """Raise unless these are options of a route, or those that a router may have, too.

    Args:
        options: as they were given.
        where: what they were given to, or the endpoint of the route.
        shared: whether they are a router's.

    Raises:
        StackError: one is not.
    """
    cls = SharedOptions if shared else RouteOptions
    for name in options.keys() - (_SHARED if shared else _OF_ROUTES):
        raise StackError(
            f"Expected an option of {_shown(where)}, got {name!r}; see"
            f" lamella.routing.{cls.__name__} for all there are."
        )
    if isinstance(options.get("tags"), str):
        raise StackError(f"Expected tags to be a list for {_shown(where)}, got a text.")


def _shown(where: str | Callable[..., Any]) -> str:
    return where if isinstance(where, str) else f"a route for {describe(where)}"
