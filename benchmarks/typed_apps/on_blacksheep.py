"""The typed programs on BlackSheep: its own binding, of pydantic models, which is what validates.

Its services are made by synchronous factories, so it has no program with async dependencies.
"""

from typing import Any

from blacksheep import Application, FromJSON, Response, json
from blacksheep.server.openapi.v3 import OpenAPIHandler
from blacksheep.server.routing import Router
from openapidocs.v3 import Info
from pydantic import BaseModel

from benchmarks.asgi import App

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
    app = _app()

    @app.router.get("/items/{item_id}")
    async def read(item_id: int, q: str) -> Response:
        return json({"item_id": item_id, "q": q})

    return app


def body() -> App:
    app = _app()

    @app.router.post("/orders")
    async def place(order: FromJSON[Order]) -> Response:
        return json(order.value)

    return app


def many(count: int) -> App:
    app = _app()
    OpenAPIHandler(info=Info("Orders", "1")).bind_app(app)
    for number in range(count):

        @app.router.put(f"/resource{number}/{{item_id}}")
        async def replace(item_id: int, order: FromJSON[Order], q: str | None = None) -> Order:
            return order.value

    return app


def _app() -> Any:
    """An application with a router of its own: the default one is shared by all of a process."""
    return Application(router=Router())
