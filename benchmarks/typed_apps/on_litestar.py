"""The typed programs on Litestar: msgspec Structs, its fast path."""

from typing import Any

from litestar import Litestar, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from benchmarks.asgi import App
from benchmarks.typed_apps.trivial import TEN

DOCUMENT = "/schema/openapi.json"


class Line(Struct):
    sku: str
    quantity: int
    price: float


class Order(Struct):
    number: str
    customer: str
    paid: bool
    total: float
    note: str | None
    lines: list[Line]


def query() -> App:
    @get("/items/{item_id:int}")
    async def read(item_id: FromPath[int], q: FromQuery[str]) -> dict[str, object]:
        return {"item_id": item_id, "q": q}

    return _app(read)


def body() -> App:
    @post("/orders", status_code=200)
    async def place(data: JSONBody[Order]) -> Order:
        return data

    return _app(place)


def dependencies(count: int) -> App:
    @get("/")
    async def none() -> dict[str, int]:
        return {}

    @get("/", dependencies={name: Provide(f) for name, f in zip("abcdefghij", TEN, strict=True)})
    async def ten(
        a: NamedDependency[int],
        b: NamedDependency[int],
        c: NamedDependency[int],
        d: NamedDependency[int],
        e: NamedDependency[int],
        f: NamedDependency[int],
        g: NamedDependency[int],
        h: NamedDependency[int],
        i: NamedDependency[int],
        j: NamedDependency[int],
    ) -> dict[str, int]:
        return {}

    return _app(ten if count else none)


def many(count: int) -> App:
    return _app(*(_replace(number) for number in range(count)))


def _replace(number: int) -> Any:
    @put(f"/resource{number}/{{item_id:int}}")
    async def replace(
        item_id: FromPath[int], data: JSONBody[Order], q: FromQuery[str | None] = None
    ) -> Order:
        return data

    return replace


def _app(*handlers: Any) -> App:
    app: Any = Litestar(handlers)
    return app
