"""Classes of endpoints that have something in common: a prefix, options, what they depend on.

Floor 6::

    class Items(Controller):
        prefix = "/items"
        options = {"tags": ["items"]}

        def __init__(self, session: Annotated[Session, Depends(open_session)]) -> None:
            self.session = session

        @get("/{item_id}")
        async def read(self, item_id: int) -> Item:
            return await self.session.get(Item, item_id)

    app.include_router(Items.router())

The class is a dependency of each of its endpoints: one instance a request, made by what its
``__init__`` asks for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from lamella._api_router import APIRouter
from lamella._inspect import describe
from lamella.exceptions import StackError
from lamella.injection.signature import read_signature
from lamella.params import Depends

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from lamella._api_route import RouteOptions, SharedOptions

__all__ = [
    "Controller",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "trace",
    "websocket",
]

_F = TypeVar("_F", bound=Callable[..., Any])
_ROUTES: Final = "_lamella_routes"


class Controller:
    """A base of classes whose decorated methods are endpoints.

    Attributes:
        prefix: of their paths; starts with "/", or is empty.
        options: of their routes; see ``SharedOptions``.
    """

    prefix: ClassVar[str] = ""
    options: ClassVar[SharedOptions] = {}

    @classmethod
    def router(cls) -> APIRouter:
        """A router of the endpoints, in the order in which they stand in the class.

        Raises:
            StackError: a class without endpoints.
            DependencyError: a signature that cannot be filled.
        """
        router = APIRouter(prefix=cls.prefix, **cls.options)
        for function, path, options in _declared(cls):
            endpoint = _endpoint(cls, function)
            if options is None:
                router.add_api_websocket_route(path, endpoint)
            else:
                router.add_api_route(path, endpoint, **options)
        if not router.routes:
            raise StackError(
                f"Expected endpoints in the controller {describe(cls)}, got none; decorate its"
                " methods with lamella.controllers.get(path) and the like."
            )
        return router


def _declared(cls: type) -> Iterator[tuple[Any, str, RouteOptions | None]]:
    """The endpoints of a class, those of its bases first; as a subclass has them."""
    names = [name for base in reversed(cls.__mro__) for name in vars(base)]
    for name in dict.fromkeys(names):
        function: Any = inspect.getattr_static(cls, name)
        for path, options in getattr(function, _ROUTES, ()):
            yield function, path, options


def _endpoint(cls: type, function: Any) -> Callable[..., Any]:
    """A copy of a method that has the instance as a dependency in place of ``self``."""
    if not isinstance(function, FunctionType):
        raise StackError(
            f"Expected a plain method in the controller {describe(cls)}, got {function!r}; put"
            " lamella's decorator nearest to the function."
        )
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__, copy.__doc__ = function.__qualname__, function.__doc__
    copy.__module__ = function.__module__
    signature = read_signature(function)
    named = inspect.Parameter.KEYWORD_ONLY
    parameters = list(signature.parameters.values())
    if not parameters or any(one.kind is one.POSITIONAL_ONLY for one in parameters):
        raise StackError(
            f"Expected {describe(function)} to take `self`, and what can be given by name, got"
            f" {signature}; write `def {function.__name__}(self, ...)`."
        )
    own = parameters[0].replace(kind=named, annotation=cls, default=Depends(cls, inline=True))
    rest = [
        one.replace(kind=named) if one.kind is one.POSITIONAL_OR_KEYWORD else one
        for one in parameters[1:]
    ]
    in_order = sorted([own, *rest], key=lambda one: one.kind)
    cast("Any", copy).__signature__ = signature.replace(parameters=in_order)
    return copy


# -- the decorators --------------------------------------------------------------------------------


def route(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of a path, for ``methods=``; see ``RouteOptions``."""
    return _mark(path, options)


def get(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of GET and HEAD at a path."""
    return _mark(path, _of_method("GET", options))


def put(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of PUT at a path."""
    return _mark(path, _of_method("PUT", options))


def post(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of POST at a path."""
    return _mark(path, _of_method("POST", options))


def delete(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of DELETE at a path."""
    return _mark(path, _of_method("DELETE", options))


def options(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of OPTIONS at a path."""
    return _mark(path, _of_method("OPTIONS", options))


def head(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of HEAD at a path."""
    return _mark(path, _of_method("HEAD", options))


def patch(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of PATCH at a path."""
    return _mark(path, _of_method("PATCH", options))


def trace(path: str, **options: Unpack[RouteOptions]) -> Callable[[_F], _F]:
    """Make a method the endpoint of TRACE at a path."""
    return _mark(path, _of_method("TRACE", options))


def websocket(path: str) -> Callable[[_F], _F]:
    """Make a method the endpoint of websockets at a path."""
    return _mark(path, None)


def _of_method(method: str, options: RouteOptions) -> RouteOptions:
    options["methods"] = [method]  # the dict is the call's own
    return options


def _mark(path: str, options: RouteOptions | None) -> Callable[[_F], _F]:
    def mark(function: _F) -> _F:
        before: tuple[Any, ...] = getattr(function, _ROUTES, ())
        cast("Any", function).__dict__[_ROUTES] = ((path, options), *before)
        return function

    return mark
