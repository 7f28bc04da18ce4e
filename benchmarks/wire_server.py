"""One app under uvicorn in a process of its own.

``python -m benchmarks.wire_server lamella 8 60`` serves the JSON route under eight idle layers for
at most sixty seconds; ``bare`` as a name serves the bare app. The port is the only line it prints.
"""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading

import uvicorn

from benchmarks.asgi import App, bare
from benchmarks.frameworks import load
from benchmarks.stacks import layered


def app_for(name: str, layers: int) -> App:
    """The app of that name under that many layers."""
    return bare if name == "bare" else layered(load(name), layers)


def serve(app: App, seconds: float) -> None:
    """Serve on a free loopback port until told to end, or until the time is over."""
    config = uvicorn.Config(
        app,
        http="httptools" if importlib.util.find_spec("httptools") else "h11",
        loop="uvloop" if importlib.util.find_spec("uvloop") else "asyncio",
        ws="none",
        access_log=False,
        log_level="warning",
    )
    server = uvicorn.Server(config)

    def end() -> None:
        server.should_exit = True

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # Listening already: whoever reads the port may connect at once.
        print(listener.getsockname()[1], flush=True)
        server.run(sockets=[listener])


if __name__ == "__main__":
    serve(app_for(sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))
