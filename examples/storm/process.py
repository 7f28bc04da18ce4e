"""The storm's end of the shop's process."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TOKEN = "storm"  # guards nothing but the storm's own shop, on loopback

START_LIMIT = 30.0  # seconds
ASK_LIMIT = 10.0
STOP_LIMIT = 20.0

TRACEBACK = re.compile(
    r"^[ |+]*(?:Exception Group )?Traceback \(most recent call last\)|^Exception ignored in",
    re.MULTILINE,
)
ERROR = re.compile(r"^(?:ERROR|CRITICAL) .*", re.MULTILINE)


class Silent(Exception):
    """The process did not answer in time, or is gone."""


class ShopProcess:
    """A shop that runs in a process of its own, in a folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        """Take over a process that was just started."""
        self.process = process
        self.folder = folder
        self.port = 0
        self.framework = ""

    async def ready(self) -> None:
        """Wait until the shop listens."""
        told = await self._told(START_LIMIT)
        self.port, self.framework = told["port"], told["framework"]

    async def counts(self) -> dict[str, int]:
        """Ask for the counts of what must not pile up.

        Raises:
            Silent: If the process hangs or is gone.
        """
        if self.process.stdin is None or self.process.returncode is not None:
            raise Silent(f"the server is gone (exit code {self.process.returncode})")
        self.process.stdin.write(b"counts\n")
        return await self._told(ASK_LIMIT)

    async def stop(self) -> int:
        """Send SIGTERM and return the exit code.

        Raises:
            Silent: If the process does not stop in time.
        """
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.process.wait(), STOP_LIMIT)
        except TimeoutError:
            raise Silent(f"the server did not stop within {STOP_LIMIT:.0f} s of SIGTERM") from None

    def rss(self) -> float:
        """Return the resident memory in MB, or 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def cpu(self) -> float:
        """Return the processor seconds used so far, or 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        user, system = int(fields[11]), int(fields[12])
        return (user + system) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """Return what the process has logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    async def _told(self, limit: float) -> dict[str, Any]:
        """Read one line of JSON."""
        if self.process.stdout is None:
            raise Silent("the server has no output")
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), limit)
        except TimeoutError:
            raise Silent(f"the server hangs: no answer in {limit:.0f} s") from None
        if not line:
            last = self.log().strip().splitlines()[-1:]
            raise Silent(f"the server is gone: {' '.join(last)}")
        told: dict[str, Any] = json.loads(line)
        return told


@asynccontextmanager
async def shop_process(framework: str, port: int, folder: Path) -> AsyncIterator[ShopProcess]:
    """Start the shop on a framework; kill it in the end if it still runs.

    Raises:
        Silent: If it does not start.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "SHOP_DB": str(folder / "shop.db"),
        "SHOP_PHOTOS": str(folder / "photos"),
        "SHOP_TOKEN": TOKEN,
        "SHOP_RATE": "0",
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "examples.storm.server", framework, str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
        )
    try:
        shop = ShopProcess(process, folder)
        await shop.ready()
        yield shop
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
