"""The shop's process in a storm: `python -m examples.storm.server FRAMEWORK PORT`.

It serves the shop as `python -m examples.shop` does, logs to standard error, and answers questions
on standard input with one line of JSON each on standard output: no socket of its own, so that
nothing it opens for the storm's sake is mistaken for a leak.
"""

import asyncio
import gc
import json
import logging
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import AsyncGeneratorType
from typing import Any

from .framework import use_starlette

ENDLESS = 1_000_000_000  # pieces of each product, so that no storm empties the shop


def main(framework: str, port: int) -> None:
    """Serve until SIGTERM."""
    home = "examples.shop.app"
    if framework == "starlette":
        use_starlette()
        home = "examples.storm.plain"
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")

    from examples.shop.server import Server
    from examples.shop.settings import settings_from
    from examples.shop.store import create_database

    create_app = import_module(home).create_app

    settings = settings_from()
    create_database(settings.database)
    with closing(sqlite3.connect(settings.database, isolation_level=None)) as database:
        database.execute("UPDATE products SET stock = ?", (ENDLESS,))

    class WatchedServer(Server):
        """Tells the storm when it is ready, and answers its questions from then on."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            loop = asyncio.get_running_loop()
            threading.Thread(
                target=answer_questions, args=(loop, self.app.state), daemon=True
            ).start()
            tell({"port": listener.getsockname()[1], "framework": framework_in_use()})

    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    server = WatchedServer(create_app(settings), log_config=None, access_log=False)
    server.run(sockets=[listener])


def framework_in_use() -> str:
    """Return the name of the package that the shop's app class comes from."""
    from lamella.applications import Starlette

    return Starlette.__module__.partition(".")[0]


def answer_questions(loop: asyncio.AbstractEventLoop, state: Any) -> None:
    """Answer each line on standard input with the counts, taken inside the loop."""
    for _ in sys.stdin:
        tell(asyncio.run_coroutine_threadsafe(counts(state), loop).result())


async def counts(state: Any) -> dict[str, int]:
    """Return how much there is of what must not pile up."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(list(Path("/dev/fd").iterdir())),
        "generators": sum(type(thing) is AsyncGeneratorType for thing in gc.get_objects()),
        "subscribers": len(state.feed),
        "in_flight": state.in_flight.count,
    }


def tell(answer: dict[str, Any]) -> None:
    """Write one line of JSON to the storm."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
