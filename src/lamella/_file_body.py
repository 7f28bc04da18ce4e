"""The bytes of a file, as a response sends them.

Floor 1. All file work is done in threads; the file is closed whatever ends the sending.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from lamella._ranges import multipart_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from lamella._ranges import FilePlan


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
    path: str | os.PathLike[str], plan: FilePlan, chunk_size: int
) -> AsyncGenerator[bytes, None]:
    """The ranges of a file that a plan names, never a byte more or less.

    Args:
        path: of the file.
        plan: which ranges, and the headers between them.
        chunk_size: bytes read at once.

    Raises:
        RuntimeError: the file has become shorter than it was.
    """
    if not plan.ranges:
        return
    file = await anyio.open_file(path, "rb")
    try:
        for start, end in plan.ranges:
            if plan.part_header is not None:
                yield plan.part_header(start, end)
            await file.seek(start)
            left = end - start
            while left:
                piece = await file.read(min(chunk_size, left))
                if not piece:
                    raise RuntimeError(
                        f"Expected {left} more bytes of {os.fspath(path)}, but the file ended;"
                        " it was changed while it was sent."
                    )
                left -= len(piece)
                yield piece
            if plan.part_header is not None:
                yield b"\r\n"
        if plan.boundary is not None:
            yield multipart_end(plan.boundary)
    finally:
        with anyio.CancelScope(shield=True):
            await file.aclose()
