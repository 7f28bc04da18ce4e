"""The typed programs on Falcon as it comes: a converter in the path, ``get_param`` and media.

It leaves the validation of bodies to others, so it has no program for them.
"""

from typing import Any

import falcon.asgi

from benchmarks.asgi import App


class Items:
    async def on_get(self, request: Any, response: Any, item_id: int) -> None:
        response.media = {"item_id": item_id, "q": request.get_param("q", required=True)}


def query() -> App:
    app: Any = falcon.asgi.App()
    app.add_route("/items/{item_id:int}", Items())
    return app
