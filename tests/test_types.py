"""The aliases of ASGI."""

from starlette import types as starlette_types

from lamella import types


def test_aliases_are_those_of_starlette():
    """Annotations written for it mean the same; `==` compares what an alias stands for."""
    names = [name for name in types.__all__ if name != "AppType" and "Lifespan" not in name]
    assert {name: getattr(starlette_types, name) for name in names} == {
        name: getattr(types, name) for name in names
    }


def test_lifespans_take_the_class_of_the_app():
    """They are generic in it, so their type variables differ and nothing else."""
    for name in ("StatelessLifespan", "StatefulLifespan", "Lifespan"):
        assert getattr(starlette_types, name)[int] == getattr(types, name)[int]


def test_every_name_is_there():
    """Moving is a changed import."""
    theirs = {name for name in vars(starlette_types) if name[0].isupper()}
    borrowed = {"Any", "TypeVar", "TYPE_CHECKING", "Awaitable", "Callable", "Mapping"}
    borrowed |= {"MutableMapping", "AbstractAsyncContextManager"}
    assert theirs - borrowed == set(types.__all__)
