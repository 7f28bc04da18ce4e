"""The shop of `examples/shop` in a process of its own, under a real server."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "secret"
PATIENCE = 15.0  # seconds until a server that does not come up, or does not end, is a failure

# Command lines of the servers; {port} is filled in, {app} stands for the shop.
SERVERS = {
    "uvicorn-h11": "uvicorn --http h11 --ws websockets --port {port} {app}",
    "uvicorn-httptools": "uvicorn --http httptools --ws wsproto --port {port} {app}",
    "granian": "granian --interface asgi --host 127.0.0.1 --port {port} {app}",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} --graceful-timeout 1 {app}",
}
# Server and version of HTTP; what uvicorn lacks is not here.
WIRES = [(name, 1) for name in SERVERS] + [("granian", 2), ("hypercorn", 2)]


class Server(NamedTuple):
    """A server that runs.

    Attributes:
        name: a key of `SERVERS`.
        port: where it listens, on 127.0.0.1.
        log: the file of all that it prints.
        http: the version of HTTP that clients are to speak.
    """

    name: str
    port: int
    log: Path
    http: int

    @property
    def url(self) -> str:
        """The address of the shop."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        """Return a client that speaks the one version of HTTP and no other."""
        return httpx.Client(
            base_url=self.url, http1=self.http == 1, http2=self.http == 2, timeout=PATIENCE
        )


@contextmanager
def running(
    name: str, http: int, folder: Path, app: str = "examples.shop.main:app", **more: str
) -> Iterator[Server]:
    """Run the shop, or another application, under a server until the block ends.

    Args:
        name: a key of `SERVERS`.
        http: the version of HTTP for its clients.
        folder: for the database, the photos and the log.
        app: the application, as module:name.
        **more: further variables of the environment.
    """
    port = _free_port()
    words = SERVERS[name].format(port=port, app=app).split()
    environ = {
        **os.environ,
        **more,
        "SHOP_DB": str(folder / "shop.db"),
        "SHOP_PHOTOS": str(folder / "photos"),
        "SHOP_TOKEN": TOKEN,
        "SHOP_RATE": "0",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONUNBUFFERED": "1",
    }
    server = Server(name, port, folder / "server.log", http)
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], stdout=log, stderr=log, env=environ, cwd=folder
        )
        try:
            _wait_until_open(process, server)
            yield server
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_open(process: "subprocess.Popen[bytes]", server: Server) -> None:
    def is_open() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended as it started:\n{server.log.read_text()}")
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", server.port)) == 0

    wait_until(is_open, f"the server to listen on port {server.port}")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again until a condition of another process holds.

    Raises:
        TimeoutError: if it does not, within `PATIENCE`.
    """
    give_up_at = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"Waited {PATIENCE} s for {what}.")
        time.sleep(
            0.02
        )  # another process cannot be awaited; this only keeps the loop from spinning
