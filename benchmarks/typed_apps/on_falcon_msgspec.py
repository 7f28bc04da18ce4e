"""The typed programs on Falcon with msgspec, which reads, validates and writes the JSON."""

from typing import Any

import falcon
import falcon.asgi
import falcon.media
import msgspec

from benchmarks.asgi import App
from benchmarks.typed_apps.on_falcon import Items

BY_HAND = frozenset({"query", "body"})


class Line(msgspec.Struct):
    sku: str
    quantity: int
    price: float


class Order(msgspec.Struct):
    number: str
    customer: str
    paid: bool
    total: float
    note: str | None
    lines: list[Line]


class Orders:
    async def on_post(self, request: Any, response: Any) -> None:
        response.media = msgspec.convert(await request.get_media(), Order)


def query() -> App:
    app = _app()
    app.add_route("/items/{item_id:int}", Items())
    return app


def body() -> App:
    app = _app()
    app.add_route("/orders", Orders())
    return app


def _app() -> Any:
    app = falcon.asgi.App()
    handler = falcon.media.JSONHandler(dumps=msgspec.json.encode, loads=msgspec.json.decode)
    app.req_options.media_handlers[falcon.MEDIA_JSON] = handler
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = handler
    return app
