"""The storm notices what is wrong, says so, and ends by itself."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.shop import app as shop_app
from examples.shop.settings import Settings
from examples.storm import healthy, plain, process, report
from examples.storm.client import LANGUAGES, Client
from examples.storm.ending import Ending
from examples.storm.meter import Meter
from examples.storm.plan import Plan
from examples.storm.process import ERROR, TRACEBACK, Silent, shop_process
from examples.storm.side import Result, run_side
from examples.storm.wire import Answer, Connection, Lost, chunked, request_bytes
from lamella.testclient import TestClient

MARKS = {
    "x-request-id": "c0-1",
    "x-content-type-options": "nosniff",
    "server-timing": "app;dur=1.0",
    "content-type": "application/json",
}


@asynccontextmanager
async def server_that_says(*answers: bytes) -> AsyncIterator[int]:
    """Give the port of a server that gives these answers, whatever it is asked, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def read(raw: bytes, method: str = "GET") -> Answer:
    """Return what the client makes of an answer on the wire."""

    async def scene() -> Answer:
        async with server_that_says(raw) as port:
            connection = await Connection.open(port)
            try:
                await connection.send(request_bytes(method, "/"))
                return await connection.answer(method)
            finally:
                connection.close()

    return asyncio.run(scene())


# The client on the wire


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 \r\ncontent-length:5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ],
)
def test_a_right_answer_is_taken(raw: bytes) -> None:
    """Whatever its framing."""
    assert (200, b"hello") == (read(raw).status, read(raw).body)


def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    """RFC 9110, section 9.3.2."""
    answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD")
    assert ("5", b"") == (answer.headers["content-length"], answer.body)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "the server hung up"),
        (b"HTTP/1.1 200 OK\r\n", "the server hung up"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "1 more bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", "1 bytes after the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "twice"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", "bad Content-Length"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "without a length"),
        (b"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n", "bad header line"),
        (b"HTTP/1.1 200 OK\r\nA: 1\x00\r\n\r\n", "bad header line"),
        (b"HTTP/1.1 999 OK\r\n\r\n", "bad status line"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "bad status line"),
        (b"A" * 100_000, "in 16384 bytes"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "in one answer",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "were due"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhi\r\n", "bad chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhi\r\n", "than its size"),
        (b"HTTP/1.1 204 No\r\n\r\nhi", "2 bytes after the end"),
    ],
)
def test_a_wrong_byte_of_the_framing_is_noticed(raw: bytes, reason: str) -> None:
    """A client that believed it would count a broken answer as a good one."""
    with pytest.raises(Lost, match=reason):
        read(raw)


def test_a_chunked_body_is_what_it_was() -> None:
    """The storm's own uploads must be right as well."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abcdefgh" * 9, 7)
    assert b"abcdefgh" * 9 == read(raw).body


# What the healthy clients check


def on_the_wire(body: bytes, status: int = 200, **changes: str | None) -> bytes:
    """Return an answer with all that the layers add, and some changes."""
    headers = {**MARKS, "content-length": str(len(body))}
    for name, value in changes.items():
        headers[name.replace("_", "-")] = value or ""
        if value is None:
            del headers[name.replace("_", "-")]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


Answering = Callable[[random.Random], bytes]


def visit(errand: Callable[[Client], Awaitable[None]], answering: Answering) -> Meter:
    """Run one errand against a server that knows what the client will choose."""
    meter = Meter()

    async def scene() -> None:
        known = Client("c0", 0, "seed", Meter()).choices
        async with server_that_says(answering(known)) as port:
            client = Client("c0", port, "seed", meter)
            try:
                await errand(client)
            finally:
                client.hang_up()

    asyncio.run(scene())
    return meter


def product_answer(choices: random.Random, **changes: object) -> bytes:
    """Return the right answer to `visit_product`, with some changes to the product."""
    number = choices.randint(1, len(healthy.SEEDS))
    name, description, price_cents, stock = healthy.SEEDS[number - 1]
    product = {
        "id": number,
        "name": name,
        "description": description,
        "price_cents": price_cents,
        "stock": stock,
        **changes,
    }
    language = choices.choice(LANGUAGES)
    return on_the_wire(json.dumps(product).encode(), content_language=language)


def test_the_right_product_is_taken_and_timed() -> None:
    """The control of the tests below."""
    assert 1 == len(visit(healthy.visit_product, product_answer).seconds)


@pytest.mark.parametrize(
    "changes",
    [{"id": 0}, {"name": "Coffee"}, {"description": ""}, {"price_cents": 1}, {"stock": -1}],
)
def test_a_wrong_product_is_lost(changes: dict[str, object]) -> None:
    """Each field is compared with the catalogue."""
    with pytest.raises(Lost):
        visit(healthy.visit_product, lambda choices: product_answer(choices, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"x_request_id": "c1-7"},
        {"x_request_id": None},
        {"server_timing": None},
        {"x_content_type_options": None},
        {"content_language": "xx"},
        {"content_type": "text/plain"},
    ],
)
def test_a_layer_that_is_missing_is_noticed(changes: dict[str, str | None]) -> None:
    """And so is the answer to somebody else's request."""

    def answer(choices: random.Random) -> bytes:
        head, _, body = product_answer(choices).partition(b"\r\n\r\n")
        language = head.rpartition(b" ")[2].decode()
        return on_the_wire(body, 200, **{"content_language": language, **changes})

    with pytest.raises(Lost):
        visit(healthy.visit_product, answer)


def test_a_wrong_status_is_lost() -> None:
    """Even with the right body."""

    def answer(choices: random.Random) -> bytes:
        return product_answer(choices).replace(b" 200 ", b" 500 ")

    with pytest.raises(Lost, match="expected '200', got '500'"):
        visit(healthy.visit_product, answer)


def test_a_changed_byte_of_a_download_is_lost() -> None:
    """One in several thousand."""
    changed = bytearray(healthy.CATALOGUE)
    changed[3000] ^= 1

    def answering(body: bytes) -> Answering:
        return lambda choices: on_the_wire(
            body,
            content_type="text/csv; charset=utf-8",
            content_language=choices.choice(LANGUAGES),
        )

    visit(healthy.visit_catalogue, answering(healthy.CATALOGUE))
    with pytest.raises(Lost, match="catalogue: bytes"):
        visit(healthy.visit_catalogue, answering(bytes(changed)))


def test_a_lost_answer_is_counted_with_its_reason_and_the_client_goes_on() -> None:
    """The first few reasons are kept."""
    meter = Meter()

    async def scene() -> None:
        stop = asyncio.Event()
        async with server_that_says(b"HTTP/1.1 200 OK\r\n\r\n") as port:
            client = Client("c0", port, "seed", meter)
            task = asyncio.create_task(healthy.behave(client, stop))
            while meter.lost <= Meter.FEW:
                await asyncio.sleep(0)
            stop.set()
            await task

    asyncio.run(scene())
    assert Meter.FEW == len(meter.reasons)
    assert all("visit_" in reason for reason in meter.reasons)


# The verdict


def good() -> Result:
    """Return a run without fault."""
    counts = {"tasks": 5, "descriptors": 12, "generators": 0}
    result = Result("lamella", elapsed=10.0, before=counts, after=dict(counts))
    result.meter.seconds = [0.001, 0.002, 0.003]
    result.ending = Ending(25, 25, [], stopped=True)
    return result


def lose(result: Result) -> None:
    """Lose an answer."""
    result.meter.lose("visit_order: gone")


def leak(name: str) -> Callable[[Result], None]:
    """Leak something."""
    return lambda result: result.after.update({name: 99})


DEFECTS: dict[str, Callable[[Result], object]] = {
    "1 healthy answers lost": lose,
    "94 tasks leaked": leak("tasks"),
    "87 descriptors leaked": leak("descriptors"),
    "99 generators leaked": leak("generators"),
    "2 tracebacks": lambda result: setattr(result, "tracebacks", 2),
    "1 ERROR lines, the first: ERROR a: b": lambda result: result.errors.append("ERROR a: b"),
    "no healthy exchange": lambda result: result.meter.seconds.clear(),
    "the run broke off: hangs": lambda result: setattr(result, "broken", "hangs"),
    "3 cut-off uploads": lambda result: setattr(result, "left_behind", 3),
    "the books do not add up": lambda result: setattr(result, "books", "1 left, 2 ordered"),
    "at SIGTERM: Lost: PUT": lambda result: setattr(
        result, "ending", Ending(25, 24, ["Lost: PUT"], stopped=True)
    ),
    "did not stop": lambda result: setattr(result, "ending", Ending(25, 25, [], stopped=False)),
}


def test_a_good_run_is_exit_code_0() -> None:
    """Nothing lost, nothing leaked, nothing logged."""
    assert ([], 0) == (report.failures(good()), report.exit_code([good()]))


@pytest.mark.parametrize("said", DEFECTS)
def test_each_defect_is_exit_code_1_and_said(said: str) -> None:
    """A run is good only if everything was."""
    result = good()
    DEFECTS[said](result)
    assert 1 == report.exit_code([result])
    assert said in report.summary([result])


def test_the_side_it_is_compared_with_does_not_decide() -> None:
    """The storm judges the first run; the other is there to compare."""
    other = good()
    lose(other)
    assert 0 == report.exit_code([good(), other])
    assert 1 == report.exit_code([other, good()])


def test_fewer_of_anything_is_no_leak() -> None:
    """What the warm-up left may go away."""
    result = good()
    result.after["tasks"] = 1
    assert 0 == report.exit_code([result])


def test_the_table_is_aligned_and_marks_the_better_value() -> None:
    """Two columns, a star at the winner, none where nobody wins."""
    slow = good()
    slow.framework, slow.elapsed = "starlette", 30.0
    slow.meter.rude["sent garbage"] = 3
    lines = report.table([good(), slow]).splitlines()
    assert {True} == {len(line.rstrip("* ")) <= 60 for line in lines}
    assert f"{'requests/s':28}{'0':>15}*{'0':>15}" in lines
    assert f"{'healthy answers lost':28}{'0':>15} {'0':>15}" in lines
    assert f"{'  sent garbage':28}{'0':>15} {'3':>15}" in lines
    assert "3.0 times as many requests/s" in report.summary([good(), slow])


@pytest.mark.parametrize(
    ("log", "tracebacks", "errors"),
    [
        ("INFO shop.access: GET / 200 x\n", 0, 0),
        ("WARNING uvicorn.error: Invalid HTTP request received.\n", 0, 0),
        ("ERROR a: b\nTraceback (most recent call last):\n  File\nE: x\n", 1, 1),
        ("  + Exception Group Traceback (most recent call last):\n", 1, 0),
        ("    | Traceback (most recent call last):\n", 1, 0),
        ("Exception ignored in: <async_generator object>\n", 1, 0),
        ("CRITICAL a: b\n", 0, 1),
    ],
)
def test_the_log_is_searched_for_tracebacks_and_errors(
    log: str, tracebacks: int, errors: int
) -> None:
    """In all the shapes they have."""
    assert (tracebacks, errors) == (len(TRACEBACK.findall(log)), len(ERROR.findall(log)))


# A server that fails


def start_instead(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let the storm start a program that is no shop."""
    start = asyncio.create_subprocess_exec

    async def other(*_command: str, **options: object) -> asyncio.subprocess.Process:
        return await start(sys.executable, "-c", program, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", other)


def test_a_server_that_does_not_start_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the last line of its log."""
    start_instead(monkeypatch, "raise SystemExit('no such thing')")

    async def scene() -> None:
        async with shop_process("lamella", 0, tmp_path):
            pass

    with pytest.raises(Silent, match="the server is gone: no such thing"):
        asyncio.run(scene())


def test_a_server_that_hangs_is_said_and_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It starts, and then neither answers nor stops."""
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        'print(\'{"port": 1, "framework": "lamella"}\', flush=True);'
        "time.sleep(600)"
    )
    start_instead(monkeypatch, program)
    monkeypatch.setattr(process, "ASK_LIMIT", 0.05)
    monkeypatch.setattr(process, "STOP_LIMIT", 0.05)

    async def scene() -> int | None:
        async with shop_process("lamella", 0, tmp_path) as shop:
            with pytest.raises(Silent, match="hangs"):
                await shop.counts()
            with pytest.raises(Silent, match="did not stop"):
                await shop.stop()
        return shop.process.returncode

    assert -9 == asyncio.run(scene())


# The shop for Starlette


def answers_of(create_app: Callable[[Settings], Any], folder: Path) -> list[tuple[Any, ...]]:
    """Ask a shop for all that its API does; what differs from run to run is left out."""
    settings = Settings(folder / "db", folder / "photos", token="t", secret="s", rate=0)
    order = {"customer": "Ada", "lines": [{"product_id": 3, "quantity": 2}]}
    may, png = {"Authorization": "Bearer t"}, {"Content-Type": "image/png"}
    seen: list[tuple[Any, ...]] = []
    with TestClient(create_app(settings)) as client:
        for method, path, options in [
            ("GET", "/api/products?q=mint&page=1", {}),
            ("GET", "/api/products?page=0", {}),
            ("GET", "/api/products/1", {}),
            ("HEAD", "/api/products/1", {}),
            ("GET", "/api/products/999", {}),
            ("PUT", "/api/products/1/photo", {"content": b"1", "headers": {**may, **png}}),
            ("PUT", "/api/products/1/photo", {"content": b"1", "headers": png}),
            ("PUT", "/api/products/1/photo", {"content": b"1", "headers": may}),
            ("POST", "/api/orders", {"json": order}),
            ("POST", "/api/orders", {"json": {**order, "customer": ""}, "headers": may}),
            ("GET", "/api/orders/00000000-0000-4000-8000-000000000000", {}),
            ("DELETE", "/api/orders", {}),
            ("GET", "/healthz", {}),
            ("GET", "/nowhere", {}),
        ]:
            answer = client.request(method, path, **options)
            body = answer.text if answer.status_code < 300 else sorted(answer.json())
            seen.append((method, path, answer.status_code, sorted(answer.headers), body))
        placed = client.post("/api/orders", json=order, headers=may)
        found = client.get(placed.headers["location"]).json()
        seen.append((placed.status_code, found.pop("id") == placed.json()["id"], found))
    return seen


def test_its_plain_endpoints_answer_as_the_typed_ones(tmp_path: Path) -> None:
    """Otherwise the storm would compare two shops."""
    folders = [tmp_path / "typed", tmp_path / "plain"]
    for folder in folders:
        folder.mkdir()
    assert answers_of(shop_app.create_app, folders[0]) == answers_of(plain.create_app, folders[1])


@pytest.mark.timeout(60)
def test_it_starts_on_starlette(tmp_path: Path) -> None:
    """Whatever of lamella the shop uses there, Starlette has, too."""

    async def scene() -> str:
        async with shop_process("starlette", 0, tmp_path) as shop:
            client = Client("c0", shop.port, "seed", Meter())
            await healthy.place_order(client)
            client.hang_up()
            return shop.framework

    assert "starlette" == asyncio.run(scene())


# The whole thing


@pytest.mark.timeout(120)
def test_a_short_storm_leaves_the_shop_as_it_was() -> None:
    """Real sockets, a real server: nothing lost, nothing leaked, nothing logged."""
    told: list[str] = []
    result = asyncio.run(run_side(Plan(seconds=3, seed=7), "lamella", told.append))
    assert [] == report.failures(result), report.summary([result])
    assert any("storm" in line and "0 lost" in line for line in told)
    assert result.meter.rude.total() > 0
