"""How the shop is served: uvicorn, and a quick end for the live feed."""

import socket
from typing import Any

import uvicorn

from lamella.applications import Starlette


class Server(uvicorn.Server):
    """Ends the live feeds when it is told to stop, since they never end by themselves."""

    def __init__(self, app: Starlette, **options: Any) -> None:
        """Serve `app`; `options` are those of `uvicorn.Config`."""
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=10, **options))
        self.app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the feeds, then answer what is in flight and stop."""
        self.app.state.feed.close()
        self.app.state.talk.close()
        await super().shutdown(sockets)
