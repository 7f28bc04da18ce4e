"""An HTTP/1.1 client on a raw socket that believes nothing.

It takes an answer only if every byte of its framing is right (RFC 9112): one status line, clean
headers, one kind of length, no byte missing and no byte too many.
"""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import NamedTuple, Self

MAX_HEAD = 16 * 1024  # bytes
READ_SIZE = 64 * 1024  # bytes

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]*")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
LENGTH = re.compile(r"[0-9]{1,12}")


class Lost(Exception):
    """An answer that did not come, or not as it should."""


class Head(NamedTuple):
    """Status and headers of an answer; the names are in lower case."""

    status: int
    headers: dict[str, str]


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection to the server."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected, non-blocking socket."""
        self.sock = sock
        self._received = bytearray()

    @classmethod
    async def open(cls, port: int, window: int | None = None) -> Self:
        """Connect to a loopback port; `window` is the size of the receive buffer in bytes."""
        sock = socket.socket()
        sock.setblocking(False)
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def close(self) -> None:
        """Hang up in the usual way (FIN)."""
        self.sock.close()

    def reset(self) -> None:
        """Hang up at once (RST), whatever is still under way."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, size: int = READ_SIZE) -> bytes:
        """Return some bytes as they are, at most `size`; nothing when the server hung up."""
        return await asyncio.get_running_loop().sock_recv(self.sock, size)

    async def answer(self, method: str) -> Answer:
        """Read the whole answer to a request, and nothing more.

        Raises:
            Lost: If it is cut off or a byte of its framing is wrong.
        """
        head = await self.head()
        body = b"".join([piece async for piece in self.body(method, head)])
        if self._received:
            raise Lost(f"{len(self._received)} bytes after the end: {bytes(self._received[:40])!r}")
        return Answer(head.status, head.headers, body)

    async def head(self) -> Head:
        """Read a status line and headers."""
        raw = await self._until(b"\r\n\r\n", MAX_HEAD)
        first, *lines = raw.split(b"\r\n")
        status = STATUS_LINE.fullmatch(first)
        if status is None:
            raise Lost(f"bad status line {first[:60]!r}")
        headers: dict[str, str] = {}
        for line in lines:
            header = HEADER.fullmatch(line)
            if header is None:
                raise Lost(f"bad header line {line[:60]!r}")
            name = header[1].decode("ascii").lower()
            if name in headers:
                raise Lost(f"header {name} twice")
            headers[name] = header[2].decode("ascii").rstrip(" \t")
        return Head(int(status[1]), headers)

    async def body(self, method: str, head: Head) -> AsyncGenerator[bytes, None]:
        """Yield the body behind a head, piece by piece, to its last byte."""
        length = head.headers.get("content-length")
        coding = head.headers.get("transfer-encoding")
        if length is not None and coding is not None:
            raise Lost("Content-Length and Transfer-Encoding in one answer")
        if method == "HEAD" or head.status < 200 or head.status in (204, 304):
            return
        if length is not None:
            if not LENGTH.fullmatch(length):
                raise Lost(f"bad Content-Length {length!r}")
            yield await self._exactly(int(length))
        elif coding == "chunked":
            async for chunk in self._chunks():
                yield chunk
        else:
            raise Lost(f"a body without a length (Transfer-Encoding {coding!r})")

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of a body, until the last, empty one."""
        while True:
            line = await self._until(b"\r\n", 10)
            if not CHUNK_SIZE.fullmatch(line):
                raise Lost(f"bad chunk size {line!r}")
            size = int(line, 16)
            chunk = await self._exactly(size)
            if await self._exactly(2) != b"\r\n":
                raise Lost("a chunk longer than its size")
            if size == 0:
                return
            yield chunk

    async def _until(self, mark: bytes, limit: int) -> bytes:
        """Return what comes before `mark`, and drop the mark."""
        start = 0
        while (at := self._received.find(mark, start)) < 0:
            if len(self._received) > limit:
                raise Lost(f"no {mark!r} in {limit} bytes: {bytes(self._received[:40])!r}")
            start = max(0, len(self._received) - len(mark) + 1)
            await self._more(f"{mark!r}")
        taken = bytes(self._received[:at])
        del self._received[: at + len(mark)]
        return taken

    async def _exactly(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        while len(self._received) < size:
            await self._more(f"{size - len(self._received)} more bytes")
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    async def _more(self, wanted: str) -> None:
        """Take in what has arrived."""
        data = await self.receive()
        if not data:
            raise Lost(f"the server hung up, but {wanted} were due")
        self._received += data


def request_bytes(
    method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Return a request; it gets a Content-Length if it has a body."""
    lines = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


def chunked(body: bytes, size: int) -> bytes:
    """Return a body in the chunked coding, in chunks of `size` bytes."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
