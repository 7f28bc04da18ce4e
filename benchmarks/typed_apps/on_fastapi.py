"""The typed programs on FastAPI: pydantic models, with the return type that is its fast path."""

from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel

from benchmarks.asgi import App
from benchmarks.typed_apps.trivial import TEN

DOCUMENT = "/openapi.json"


class Line(BaseModel):
    sku: str
    quantity: int
    price: float


class Order(BaseModel):
    number: str
    customer: str
    paid: bool
    total: float
    note: str | None
    lines: list[Line]


def query() -> App:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read(item_id: int, q: str) -> dict[str, object]:
        return {"item_id": item_id, "q": q}

    return app


def body() -> App:
    app = FastAPI()

    @app.post("/orders")
    async def place(order: Order) -> Order:
        return order

    return app


def dependencies(count: int) -> App:
    app = FastAPI()

    async def none() -> dict[str, int]:
        return {}

    async def ten(
        a: Annotated[int, Depends(TEN[0])],
        b: Annotated[int, Depends(TEN[1])],
        c: Annotated[int, Depends(TEN[2])],
        d: Annotated[int, Depends(TEN[3])],
        e: Annotated[int, Depends(TEN[4])],
        f: Annotated[int, Depends(TEN[5])],
        g: Annotated[int, Depends(TEN[6])],
        h: Annotated[int, Depends(TEN[7])],
        i: Annotated[int, Depends(TEN[8])],
        j: Annotated[int, Depends(TEN[9])],
    ) -> dict[str, int]:
        return {}

    app.get("/")(ten if count else none)
    return app


def many(count: int) -> App:
    app = FastAPI()
    for number in range(count):

        @app.put(f"/resource{number}/{{item_id}}")
        async def replace(item_id: int, order: Order, q: str | None = None) -> Order:
            return order

    return app
