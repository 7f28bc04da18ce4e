"""The typed programs on Starlette, which has no typed endpoints: they ask for what they need."""

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.asgi import App

BY_HAND = frozenset({"body"})


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


async def read(request: Request) -> Response:
    return JSONResponse({"item_id": request.path_params["item_id"], "q": request.query_params["q"]})


async def place(request: Request) -> Response:
    order = Order.model_validate_json(await request.body())
    return Response(order.model_dump_json(), media_type="application/json")


def query() -> App:
    return Starlette(routes=[Route("/items/{item_id:int}", read)])


def body() -> App:
    return Starlette(routes=[Route("/orders", place, methods=["POST"])])
