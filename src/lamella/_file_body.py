"""The bytes of a file, as a response sends them.

Floor 2. All file work is done in threads; the file is closed whatever ends the sending.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from lamella._ranges import multipart_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import IO

    from lamella._ranges import FilePlan
    from lamella.types import Message

_CHUNK: Final = 64 * 1024


async def stat_file(path: str | os.PathLike[str]) -> os.stat_result:
    """The facts of a regular file.

    Raises:
        RuntimeError: there is no such file, or it is not a regular one.
    """
    try:
        found = await anyio.to_thread.run_sync(os.stat, path)
    except FileNotFoundError:
        raise RuntimeError(f"File at path {os.fspath(path)} does not exist.") from None
    if not stat.S_ISREG(found.st_mode):
        raise RuntimeError(f"File at path {os.fspath(path)} is not a file.")
    return found


async def file_pieces(
    path: str | os.PathLike[str], plan: FilePlan, chunk_size: int, found: os.stat_result
) -> AsyncGenerator[bytes, None]:
    """The ranges of a file that a plan names, never a byte more or less.

    Args:
        path: of the file.
        plan: which ranges, and the headers between them.
        chunk_size: bytes read at once.
        found: the facts that the plan was made of.

    Raises:
        RuntimeError: the file has become shorter than it was, or there is another in its place.
    """
    if not plan.ranges:
        return
    start, end = plan.ranges[0]
    if plan.part_header is None and end - start <= chunk_size:
        yield await anyio.to_thread.run_sync(_read_at_once, path, start, end - start, found)
        return
    file = await _opened(path)
    try:
        _check_same(path, file.wrapped, found)
        for start, end in plan.ranges:
            if plan.part_header is not None:
                yield plan.part_header(start, end)
            if start:
                await file.seek(start)
            left = end - start
            while left:
                piece = await file.read(min(chunk_size, left))
                if not piece:
                    raise _ended(path, left)
                left -= len(piece)
                yield piece
            if plan.part_header is not None:
                yield b"\r\n"
        if plan.boundary is not None:
            yield multipart_end(plan.boundary)
    finally:
        # Here and not in a thread, which a task that is cancelled again might never reach; there
        # is nothing left to be written.
        file.wrapped.close()


async def message_pieces(message: Message) -> AsyncGenerator[bytes, None]:
    """The bytes that a message of a response carries, or that it names (ASGI extensions)."""
    kind = message["type"]
    if kind == "http.response.body":
        if message.get("body"):
            yield message["body"]
    elif kind == "http.response.pathsend":
        file = await _opened(message["path"])
        try:
            while piece := await file.read(_CHUNK):
                yield piece
        finally:
            file.wrapped.close()
    elif kind == "http.response.zerocopysend":
        async for piece in _zerocopy_pieces(message):
            yield piece


async def _zerocopy_pieces(message: Message) -> AsyncGenerator[bytes, None]:
    """The bytes of a file that the app has opened, and closes."""
    file = message["file"]
    descriptor = file if isinstance(file, int) else file.fileno()
    offset: int | None = message.get("offset")
    left: int | None = message.get("count")
    while left is None or left > 0:
        size = _CHUNK if left is None else min(_CHUNK, left)
        if offset is None:
            piece = await anyio.to_thread.run_sync(os.read, descriptor, size)
        else:
            piece = await anyio.to_thread.run_sync(os.pread, descriptor, size, offset)
            offset += len(piece)
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


async def _opened(path: str | os.PathLike[str]) -> anyio.AsyncFile[bytes]:
    with anyio.CancelScope(shield=True):  # or a file could be opened that nobody gets
        return await anyio.open_file(path, mode="rb")
    raise RuntimeError("A scope that is never cancelled has ended its block.")  # for type checkers


def _read_at_once(
    path: str | os.PathLike[str], start: int, size: int, found: os.stat_result
) -> bytes:
    """Read a short file or range. PERF: one visit to a thread instead of three or four."""
    with open(path, "rb") as file:  # noqa: PTH123 - a path of bytes is taken, too
        _check_same(path, file, found)
        file.seek(start)
        piece = file.read(size)
    if len(piece) < size:
        raise _ended(path, size - len(piece))
    return piece


def _check_same(path: str | os.PathLike[str], file: IO[bytes], found: os.stat_result) -> None:
    """Refuse a file that was put in the place of the one whose length is announced.

    One of the same length goes out: it is mostly the same file, written anew.
    """
    opened = os.fstat(file.fileno())
    replaced = (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino)
    if found.st_ino and replaced and opened.st_size != found.st_size:
        raise RuntimeError(
            f"File at path {os.fspath(path)} was replaced by another one before it was sent."
        )


def _ended(path: str | os.PathLike[str], missing: int) -> RuntimeError:
    return RuntimeError(
        f"File at path {os.fspath(path)} is shorter than expected. It was changed while it was"
        f" sent: {missing} bytes are missing."
    )
