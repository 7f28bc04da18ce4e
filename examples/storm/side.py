"""One run from start to end: warm-up, storm, settling, SIGTERM."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from . import healthy, rude
from .client import Client
from .ending import Ending, end, left_behind
from .meter import Meter
from .plan import Plan
from .process import ERROR, TRACEBACK, ShopProcess, Silent, shop_process
from .server import ENDLESS
from .wire import Lost

Say = Callable[[str], None]

SETTLE_LIMIT = 15.0  # seconds
SETTLE_STEP = 0.25


@dataclass
class Result:
    """What one run came to. Sizes are in MB, times in seconds."""

    framework: str
    meter: Meter = field(default_factory=Meter)
    elapsed: float = 0.0
    cpu: float = 0.0
    tracebacks: int = 0
    errors: list[str] = field(default_factory=list)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    rss: dict[str, float] = field(default_factory=dict)
    left_behind: int = 0
    books: str = ""
    ending: Ending | None = None
    broken: str = ""

    @property
    def leaked(self) -> dict[str, int]:
        """How much there is more than before, of each thing that must not pile up."""
        return {name: max(0, self.after.get(name, 0) - n) for name, n in self.before.items()}


async def run_side(plan: Plan, framework: str, say: Say) -> Result:
    """Run one storm; whatever the server does, this ends."""
    result = Result(framework)
    with TemporaryDirectory(prefix="storm-") as name:
        folder = Path(name)
        try:
            async with (
                asyncio.timeout(plan.limit),
                shop_process(framework, plan.port, folder) as shop,
            ):
                await weather(plan, shop, result, say)
        except (Silent, Lost, OSError) as exc:
            result.broken = str(exc) or type(exc).__name__
        log = (folder / "log").read_text(errors="replace")
        result.tracebacks = len(TRACEBACK.findall(log))
        result.errors = ERROR.findall(log)
        result.left_behind = left_behind(folder)
        if not result.broken:
            result.books = check_books(folder / "shop.db")
    return result


async def weather(plan: Plan, shop: ShopProcess, result: Result, say: Say) -> None:
    """Warm up, count, storm, settle, count again, and end."""
    if shop.framework != result.framework:
        raise Silent(f"expected a shop on {result.framework}, got one on {shop.framework}")
    await rude.prepare(shop.port)
    await storm(plan, shop, Meter(), plan.warm_up, "warm-up", say)
    result.before = await settled(shop, None)
    result.rss["before"] = shop.rss()
    started, cpu = time.perf_counter(), shop.cpu()
    peak = await storm(plan, shop, result.meter, plan.seconds, "storm", say)
    result.elapsed, result.cpu = time.perf_counter() - started, shop.cpu() - cpu
    result.after = await settled(shop, result.before)
    result.rss["after"] = shop.rss()
    result.rss["peak"] = max(peak, *result.rss.values())
    result.ending = await end(shop)


async def storm(
    plan: Plan, shop: ShopProcess, meter: Meter, seconds: float, phase: str, say: Say
) -> float:
    """Let all clients loose for some seconds; return the highest memory seen, in MB."""
    stop = asyncio.Event()
    seed = f"{plan.seed}-{phase}"
    clients = [
        Client(f"c{n}", shop.port, f"{seed}-healthy-{n}", meter) for n in range(plan.healthy)
    ]
    louts = [rude.Lout(shop.port, f"{seed}-rude-{n}") for n in range(plan.rude)]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(healthy.behave(client, stop))
        for lout in louts:
            group.create_task(rude.misbehave(lout, meter, stop))
        peak = await watch(shop, meter, seconds, phase, say)
        stop.set()
    return peak


async def watch(shop: ShopProcess, meter: Meter, seconds: float, phase: str, say: Say) -> float:
    """Report once a second, for some seconds; return the highest memory seen, in MB."""
    started = time.perf_counter()
    peak, told = 0.0, 0
    while (elapsed := time.perf_counter() - started) < seconds:
        peak = max(peak, shop.rss())
        if elapsed >= told + 1:
            told = int(elapsed)
            say(
                f"{shop.framework:9} {phase:7} {elapsed:4.0f} s  {len(meter.seconds):7} exchanges"
                f"  {meter.rude.total():6} faults  {meter.lost:4} lost"
            )
        await asyncio.sleep(min(0.25, seconds - elapsed))
    return peak


async def settled(shop: ShopProcess, goal: dict[str, int] | None) -> dict[str, int]:
    """Count until nothing is above `goal`, or, without one, until two counts are the same."""
    counts = await shop.counts()
    deadline = time.perf_counter() + SETTLE_LIMIT
    while time.perf_counter() < deadline:
        await asyncio.sleep(SETTLE_STEP)
        last, counts = counts, await shop.counts()
        if goal is None:
            if counts == last and counts["subscribers"] == counts["in_flight"] == 0:
                break
        elif all(counts[name] <= limit for name, limit in goal.items()):
            break
    return counts


def check_books(database: Path) -> str:
    """Return what does not add up in the shop's database, or nothing."""
    with closing(sqlite3.connect(database)) as connection:
        taken, ordered, waiting = connection.execute(
            "SELECT (SELECT sum(? - stock) FROM products),"
            " (SELECT sum(quantity) FROM order_lines),"
            " (SELECT count(*) FROM orders WHERE state != 'confirmed')",
            (ENDLESS,),
        ).fetchone()
    if taken != ordered:
        return f"{taken} pieces left the stock, {ordered} were ordered"
    if waiting:
        return f"{waiting} orders were never confirmed"
    return ""
