"""Products and orders in SQLite.

One connection writes, and a lock lets one transaction at a time use it; a few others read.
In WAL mode readers see the last committed state and never wait for the writer.
"""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import aiosqlite
import msgspec
from msgspec import Meta

from lamella.concurrency import run_in_threadpool

from .catalogue import seeds

PAGE_SIZE = 20
READERS = 2
LARGEST_ID = 2**63 - 1  # SQLite integers have 64 bits

SCHEMA = """
CREATE TABLE IF NOT EXISTS products (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents > 0),
    stock       INTEGER NOT NULL CHECK (stock >= 0),
    photo       TEXT
);
CREATE TABLE IF NOT EXISTS orders (
    id          TEXT PRIMARY KEY,
    customer    TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('received', 'confirmed')),
    total_cents INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS order_lines (
    order_id    TEXT NOT NULL REFERENCES orders (id),
    product_id  INTEGER NOT NULL REFERENCES products (id),
    name        TEXT NOT NULL,
    quantity    INTEGER NOT NULL CHECK (quantity > 0),
    price_cents INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS order_lines_by_order ON order_lines (order_id);
"""


class Product(msgspec.Struct, frozen=True):
    """A tea in one size. Prices are in cents."""

    id: int
    name: str
    description: str
    price_cents: int
    stock: int
    photo: str | None


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A product and how many of it a customer wants."""

    product_id: Annotated[int, Meta(ge=1, le=999_999)]
    quantity: Annotated[int, Meta(ge=1, le=99)]


class Line(msgspec.Struct, frozen=True):
    """One line of an order, with the price of one piece at that moment."""

    product_id: int
    name: str
    quantity: int
    price_cents: int


class Order(msgspec.Struct, frozen=True):
    """An order; its id cannot be guessed, so whoever has it may see it."""

    id: str
    customer: str
    state: str
    total_cents: int
    lines: list[Line]


class UnavailableError(Exception):
    """An order names what the shop does not have."""


class UnknownProductError(UnavailableError):
    """There is no such product."""


class OutOfStockError(UnavailableError):
    """There are fewer pieces of a product than an order wants."""


def create_database(path: Path) -> None:
    """Make the tables and fill in the catalogue, unless that was done before."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT EXISTS (SELECT 1 FROM products)").fetchone()[0]:
            connection.executemany(
                "INSERT INTO products (name, description, price_cents, stock) VALUES (?, ?, ?, ?)",
                seeds(),
            )
        connection.execute("COMMIT")


@asynccontextmanager
async def open_store(path: Path) -> AsyncGenerator["Store", None]:
    """Open the database at `path`, made first if there is none; close it in the end."""
    await run_in_threadpool(create_database, path)
    async with AsyncExitStack() as stack:
        writer, *readers = [
            await stack.enter_async_context(aiosqlite.connect(path, isolation_level=None))
            for _ in range(1 + READERS)
        ]
        await writer.execute_fetchall("PRAGMA foreign_keys = ON")
        for connection in (writer, *readers):
            connection.row_factory = sqlite3.Row
        yield Store(writer, readers)


class Store:
    """What the shop asks of its database."""

    def __init__(self, writer: aiosqlite.Connection, readers: list[aiosqlite.Connection]) -> None:
        """Use `writer` for transactions and `readers`, in turn, for single questions."""
        self._writer = writer
        self._writing = asyncio.Lock()
        self._readers = itertools.cycle(readers)

    async def product(self, product_id: int) -> Product | None:
        """Return one product, or None."""
        if product_id > LARGEST_ID:
            return None
        rows = await self._read("SELECT * FROM products WHERE id = ?", product_id)
        return Product(**rows[0]) if rows else None

    async def search(self, text: str, page: int) -> tuple[list[Product], int]:
        """Return a page (from 1) of the products with `text` in the name, and how many match."""
        matching = "FROM products WHERE instr(lower(name), lower(?)) > 0"
        count = await self._read(f"SELECT count(*) {matching}", text)
        rows = await self._read(
            f"SELECT * {matching} ORDER BY id LIMIT ? OFFSET ?",
            text,
            PAGE_SIZE,
            (page - 1) * PAGE_SIZE,
        )
        return [Product(**row) for row in rows], count[0][0]

    async def every_product(self) -> AsyncIterator[list[Product]]:
        """Yield all products, a page at a time.

        No cursor stays open between two pages, so a slow reader holds up nobody.
        """
        last_id = 0
        while rows := await self._read(
            "SELECT * FROM products WHERE id > ? ORDER BY id LIMIT ?", last_id, PAGE_SIZE
        ):
            yield [Product(**row) for row in rows]
            last_id = rows[-1]["id"]

    async def set_photo(self, product_id: int, photo: str) -> None:
        """Show `photo`, an address, with a product from now on."""
        async with self._writing:
            await self._write("UPDATE products SET photo = ? WHERE id = ?", photo, product_id)

    async def place_order(self, customer: str, wanted: list[Wanted]) -> Order:
        """Take the wanted pieces out of the stock and write the order down: all or nothing.

        Raises:
            UnknownProductError: If a product does not exist.
            OutOfStockError: If there is too little of one.
        """
        order_id = str(uuid4())
        async with self._transaction():
            lines = [await self._take(want) for want in wanted]
            total_cents = sum(line.quantity * line.price_cents for line in lines)
            await self._write(
                "INSERT INTO orders VALUES (?, ?, 'received', ?)", order_id, customer, total_cents
            )
            await self._writer.executemany(
                "INSERT INTO order_lines VALUES (?, ?, ?, ?, ?)",
                [(order_id, *msgspec.structs.astuple(line)) for line in lines],
            )
        return Order(order_id, customer, "received", total_cents, lines)

    async def confirm(self, order_id: str) -> None:
        """Note that an order is confirmed."""
        async with self._writing:
            await self._write("UPDATE orders SET state = 'confirmed' WHERE id = ?", order_id)

    async def unconfirmed(self) -> list[str]:
        """Return the ids of the orders that nobody has confirmed yet."""
        rows = await self._read("SELECT id FROM orders WHERE state = 'received' ORDER BY rowid")
        return [row["id"] for row in rows]

    async def order(self, order_id: str) -> Order | None:
        """Return one order with its lines, or None."""
        orders = await self._read("SELECT * FROM orders WHERE id = ?", order_id)
        if not orders:
            return None
        lines = await self._read(
            "SELECT product_id, name, quantity, price_cents FROM order_lines"
            " WHERE order_id = ? ORDER BY rowid",
            order_id,
        )
        return Order(**orders[0], lines=[Line(**line) for line in lines])

    async def _take(self, want: Wanted) -> Line:
        """Take what is wanted of one product out of the stock."""
        rows = await self._write(
            "UPDATE products SET stock = stock - ?"
            " WHERE id = ? AND stock >= ? RETURNING name, price_cents",
            want.quantity,
            want.product_id,
            want.quantity,
        )
        if rows:
            return Line(want.product_id, rows[0]["name"], want.quantity, rows[0]["price_cents"])
        product = await self._write("SELECT stock FROM products WHERE id = ?", want.product_id)
        if not product:
            raise UnknownProductError(f"There is no product {want.product_id}.")
        stock = product[0]["stock"]
        raise OutOfStockError(
            f"Of product {want.product_id} there are {stock} left, not {want.quantity}."
        )

    async def _read(self, sql: str, *values: str | int) -> Sequence[sqlite3.Row]:
        """Ask one question outside any transaction."""
        return list(await next(self._readers).execute_fetchall(sql, values))

    async def _write(self, sql: str, *values: str | int) -> Sequence[sqlite3.Row]:
        """Run one statement on the writing connection; the caller holds the lock."""
        return list(await self._writer.execute_fetchall(sql, values))

    @asynccontextmanager
    async def _transaction(self) -> AsyncGenerator[None, None]:
        """Commit what the block writes, or, if it fails or is cancelled, none of it."""
        async with self._writing:
            try:
                await self._write("BEGIN IMMEDIATE")
                yield
                await self._writer.commit()
            except BaseException:
                # Does nothing if the commit came first; and since the connection works through
                # its statements in order, it is in time even if this await is cancelled as well.
                await self._writer.rollback()
                raise
