"""What came in: ``HTTPConnection`` and ``Request``.

Floor 2. Names and behaviour as Starlette 1.10, over one owner of the body stream: every layer and
the endpoint share one ``Request``, so ``body``, ``json``, ``form`` and ``stream`` agree at every
depth. Nothing here sends a response.
"""

from __future__ import annotations

import json
import math
import sys
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from lamella._connection import HTTPConnection, StateT, cookie_parser
from lamella._headers import check_header, encode_header
from lamella._multipart import Parts
from lamella.datastructures import URL, Address, FormData, Headers, QueryParams, State, UploadFile
from lamella.engine.exchange import EDGE, Exchange
from lamella.engine.inbound import Feed, Inbound, Reader
from lamella.exceptions import (
    BodyConsumedError,
    ClientDisconnect,
    HTTPException,
    MalformedJSONError,
    UsageError,
)
from lamella.formparsers import FormParser, MultiPartException, MultiPartParser, keeping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping
    from types import FrameType, TracebackType

    from lamella.engine.exchange import Outcome
    from lamella.types import Message, Receive, Scope, Send

# With what is found in Starlette's module of this name, and imported from there.
__all__ = [
    "SERVER_PUSH_HEADERS_TO_COPY",
    "URL",
    "Address",
    "ClientDisconnect",
    "FormData",
    "FormParser",
    "HTTPConnection",
    "HTTPException",
    "Headers",
    "MultiPartException",
    "MultiPartParser",
    "QueryParams",
    "Request",
    "State",
    "StateT",
    "cookie_parser",
]

SERVER_PUSH_HEADERS_TO_COPY: Final = {
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "user-agent",
}
"""Names of the headers that a push promise takes from its request, in lower case."""

_MULTIPART: Final = "multipart/form-data"
_URLENCODED: Final = "application/x-www-form-urlencoded"
# In the place of a form that somebody is reading.
_READING: Final = object()
# What reads a stream for somebody else, whom errors are to name.
_ON_BEHALF: Final = {__name__, "lamella.formparsers"}


async def empty_receive() -> NoReturn:
    """The ``receive`` of a Request that was made without one."""
    raise RuntimeError("Receive channel has not been made available")


async def empty_send(message: Message) -> NoReturn:
    """The ``send`` of a Request that was made without one."""
    raise RuntimeError("Send channel has not been made available")


class Request(HTTPConnection[StateT]):
    """One HTTP request, shared by all layers and the endpoint.

    Args:
        scope: the ASGI scope, of type ``http``.
        receive: the ASGI ``receive``. A ``Request`` made of another one's ``scope`` and
            ``receive`` shares its body.
        send: the ASGI ``send``, used for push promises and early hints only.
    """

    _given_inbound: Inbound | None = None
    _body_limit: tuple[int, int] | None = None
    _given_feed: Feed | None = None
    _exchange: Exchange | None = None
    # When the edge made this request, by `time.perf_counter`; None for one made by hand.
    _started_at: float | None = None
    _place: tuple[int, int] | None = None  # of its edge, if that noted it
    # Whether no dispatch layer stands between the edge and whoever has this request, so that a
    # foreign app may send its messages straight.
    _direct = False
    # Whether the edge is done with this request; a task may have outlived that.
    _over = False
    # How often the endpoint was entered or left: odd inside of it, even in the layers.
    _passages = 0
    _streamed_at = 0
    # The response of the endpoint, to be given back as it was.
    _claimed: Any = None
    # Who is told of errors that come when the response is under way or sent.
    _error_handlers: tuple[Callable[[Request[Any], Exception], Awaitable[None]], ...] = ()

    def __init__(
        self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send
    ) -> None:
        if scope["type"] != "http":
            raise UsageError(f"Expected a scope of type 'http', got {scope['type']!r}.")
        self.scope = scope
        self._raw_receive = receive
        self._raw_send = send
        # The request of the edge that this one was made in or below.
        self._around: Request[Any] | None = scope.get(EDGE)

    @property
    def exchange(self) -> Exchange | None:
        """What this request and its response hold; None outside of any edge."""
        if self._exchange is None:
            outer = None if self._around is None else self._around.exchange
            if self._started_at is None:
                return outer
            self._exchange = Exchange(self._raw_send, outer, self._started_at)
            self._exchange.over = self._over
        return self._exchange

    @property
    def _send(self) -> Send:
        if self._started_at is None:
            around = self._around if self._raw_send is empty_send else None
            return self._raw_send if around is None else around._send
        exchange = self.exchange
        return self._raw_send if exchange is None else exchange.send

    @property
    def method(self) -> str:
        """The HTTP method in upper case."""
        return cast("str", self.scope["method"])

    # -- the inbound ---------------------------------------------------------------------------

    @property
    def inbound(self) -> Inbound:
        """The one owner of this request's ``receive``."""
        if self._given_inbound is None:
            self._given_inbound = self._own(self._raw_receive, self._feed_around())
            if self._body_limit is not None:
                self.limit_body(*self._body_limit)
        return self._given_inbound

    def limit_body(self, size: int, announced: int) -> None:
        """Accept so many bytes of body at most, of a request that announced so many.

        PERF: kept for the inbound, which most requests without a body never need.
        """
        self._body_limit = size, announced
        inbound = self._given_inbound
        if inbound is not None:
            inbound.limit, inbound.content_length = size, announced

    @property
    def exceeds_body_limit(self) -> bool:
        """Whether it announced more, or sent more, than ``limit_body`` allows."""
        if self._given_inbound is not None:
            return self._given_inbound.exceeds_limit
        size, announced = self._body_limit or (0, 0)
        return announced > size

    def _feed_around(self) -> Feed | None:
        """What the ``receive`` of this request draws from, if foreign code stands in between."""
        around = self._around
        if around is None:
            return None
        if self._started_at is None:
            return around.feed
        exchange = around.exchange
        return None if exchange is None else exchange.feed

    def _own(self, receive: Receive, feed: Feed | None) -> Inbound:
        """The inbound that owns ``receive``: the one it belongs to already, or a new one."""
        own = getattr(receive, "__self__", None)
        if isinstance(own, Feed):
            if own.shared:
                return own.inbound
            feed = own
        inbound = Inbound(receive, feed)
        exchange = self.exchange
        if exchange is not None:
            exchange.own(inbound)
        return inbound

    @property
    def feed(self) -> Feed:
        """The inbound as this request's own ``receive``."""
        if self._given_feed is None:
            self._given_feed = Feed(self.inbound, None, shared=True)
        return self._given_feed

    def rewind(self) -> None:
        """Have ``receive`` begin anew, with a body that was read whole: the endpoint begins."""
        self._given_feed = None
        if self._given_inbound is not None and self._given_inbound.body is not None:
            self.feed.replays = True

    def _pass_over(self) -> None:
        """Have ``receive`` go on behind what the endpoint reads of the body by other means."""
        if self._passages % 2 or self._started_at is None:
            self.feed.replays = self.feed.claims = False

    @property
    def listen(self) -> Receive:
        """The ASGI ``receive`` for a response: it goes on behind whatever was read of the body."""
        self.feed.replays = self.feed.claims = False
        return self.feed.receive

    @property
    def receive(self) -> Receive:
        """The ASGI ``receive`` of this request, going on where the body stands."""
        return self.feed.receive

    @property
    def _receive(self) -> Receive:
        return self.feed.receive

    @_receive.setter
    def _receive(self, receive: Receive) -> None:
        # A replay of the body made by hand: its messages come first, and the client's leaving is
        # still known from the inbound it replaces.
        self._given_inbound = self._own(receive, Feed(self.inbound, None, shared=True))
        self._given_feed = None

    @property
    def _stream_consumed(self) -> bool:
        return self.inbound.consumed

    @_stream_consumed.setter
    def _stream_consumed(self, consumed: bool) -> None:
        """For those who set it along with ``_receive``: a replay is unread by itself."""

    # -- the body ------------------------------------------------------------------------------

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the body as it comes in; the last item is ``b""``.

        A body read whole before is one item. What is streamed is not kept: whoever reads later
        gets ``BodyConsumedError``, a ``RuntimeError``, which names the function that streamed.

        Raises:
            ClientDisconnect: the client left before the last byte.
        """
        inbound = self.inbound
        if inbound.body is not None:
            self._pass_over()
            yield inbound.body
            yield b""
            return
        caller = _reader(sys._getframe(1))
        # It may go on where it stopped, but a second run of an endpoint begins anew.
        inbound.claim(caller.f_code if self._streamed_at == self._passages else None)
        self._pass_over()
        self._streamed_at = self._passages
        reader = Reader(caller.f_code, caller.f_lineno)
        while (chunk := await inbound.take(reader)) is not None:
            yield chunk
        yield b""

    async def body(self) -> bytes:
        """The whole body; kept, so that every later reader gets it too.

        Raises:
            ClientDisconnect: the client left before the last byte.
            BodyConsumedError: a part of the body was streamed away before.
        """
        if self._given_feed is not None:
            self._given_feed.replays = False
        return await self.inbound.read()

    async def json(self) -> Any:
        """The body parsed as JSON; parsed once.

        Raises:
            MalformedJSONError: the body is not JSON in UTF-8. It is a ``json.JSONDecodeError``,
                and a 400 if nobody catches it.
        """
        if not hasattr(self, "_json"):
            self._json = _parsed(await self.body())
        return self._json

    # -- forms ---------------------------------------------------------------------------------

    def form(
        self,
        *,
        max_files: float = 1000,
        max_fields: float = 1000,
        max_part_size: int = 1024 * 1024,
    ) -> _Form:
        """The body parsed as a form, empty for a body of another type; ``await`` it.

        Parsed once: every layer and the endpoint get the same form, files included. They are closed
        when the exchange is over, if ``form.close()`` did not do it before, or the end of an
        ``async with`` in the endpoint; that of a layer does not, nor does one while a layer has the
        form, or which fails. The endpoint finds the files at their beginning.

        Args:
            max_files: the most files accepted.
            max_fields: the most fields accepted that are no files.
            max_part_size: the largest of these fields, in bytes.

        Raises:
            MultiPartException: the form cannot be read, is cut off, or is over a limit. It is an
                ``HTTPException``: 400 if nobody catches it.
            ClientDisconnect, BodyConsumedError: as ``body``.
        """
        limits = {"max_files": max_files, "max_fields": max_fields, "max_part_size": max_part_size}
        return _Form(self, limits)

    @property
    def _form(self) -> FormData | None:
        form = self.inbound.form
        return None if form is _READING or isinstance(form, str) else cast("FormData | None", form)

    @_form.setter
    def _form(self, form: FormData | None) -> None:
        self.inbound.form = form

    async def _get_form(
        self,
        *,
        max_files: float = 1000,
        max_fields: float = 1000,
        max_part_size: int = 1024 * 1024,
    ) -> FormData:
        inbound = self.inbound
        while inbound.form is _READING:
            await inbound._news()
        if isinstance(inbound.form, str):  # why it could not be read the first time
            raise MultiPartException(inbound.form)
        if inbound.form is not None:
            return cast("FormData", inbound.form)
        outcome: FormData | str | None = None
        inbound.form = _READING
        try:
            outcome = form = await self._read_form(
                max_files, max_fields=max_fields, max_part_size=max_part_size
            )
            self._close_later(form)
        except MultiPartException as exc:
            outcome = exc.message
            raise
        except BodyConsumedError:
            around = self._form_around()
            if around is None:
                raise
            outcome = form = around
        finally:
            inbound.form = outcome
            inbound._wake()
        return form

    async def _read_form(self, max_files: float, **limits: Any) -> FormData:
        kind = self._media_type
        if kind not in (_MULTIPART, _URLENCODED):
            return FormData()
        inbound = self.inbound
        inbound.claim()
        async with aclosing(self.stream()) as stream:
            if kind == _MULTIPART:
                multipart = MultiPartParser(self.headers, stream, max_files=max_files, **limits)
                return await multipart.parse()
            kept: list[bytes] = []
            async with aclosing(keeping(stream, kept)) as chunks:
                form = await FormParser(self.headers, chunks, **limits).parse()
        inbound.restore(b"".join(kept))
        return form

    @property
    def _media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def _form_around(self) -> FormData | None:
        """The form that a layer outside of foreign code has read, so that nothing came through."""
        feed = self.inbound._feed
        while feed is not None:
            if isinstance(feed.inbound.form, FormData):
                return feed.inbound.form
            feed = feed.inbound._feed
        return None

    def _close_later(self, form: FormData) -> None:
        exchange = self.exchange
        if exchange is not None and any(_files_of(form)):
            exchange.forms += (form,)

    async def _shares(self, form: FormData) -> bool:
        """Whether others may want a form that this request was asked for, since a layer asked.

        The files are at their beginning then, if somebody else was at them.
        """
        edge = self._around if self._started_at is None else self
        if edge is None or edge._over:
            return False
        if form._asked_at != edge._passages:
            form._asked_at = edge._passages
            for upload in _files_of(form):
                await upload.seek(0)
        in_a_layer = edge._passages % 2 == 0
        return in_a_layer and (self.inbound is edge.inbound or form is self._form_around())

    def parts(self, *, max_parts: float = 1000, max_part_size: float = math.inf) -> Parts:
        """The parts of a multipart body, one after the other as they come in; none is spooled.

        Use it as ``async for part in request.parts()``; see ``Part``. No more is read than is asked
        for, and nothing is kept.

        Args:
            max_parts: the most parts accepted, files and others.
            max_part_size: the largest part accepted, in bytes.

        Raises:
            HTTPException: 415 for a body of another type.
            MultiPartException, ClientDisconnect, BodyConsumedError: as ``form``.
        """
        kind = self._media_type
        if kind != _MULTIPART:
            raise HTTPException(415, f"Expected {_MULTIPART}, got {kind[:80]!a}.")
        inbound = self.inbound
        inbound.claim()
        caller = sys._getframe(1)
        pull = partial(inbound.take, Reader(caller.f_code, caller.f_lineno))
        if inbound.body is not None:
            pull = partial(_next_of, iter((inbound.body,)))
        return Parts(
            self.headers["content-type"], pull, max_parts=max_parts, max_part_size=max_part_size
        )

    async def close(self) -> None:
        """Close the files of the form, if it was read."""
        form = self._form
        if form is not None:
            await form.close()

    # -- the client ----------------------------------------------------------------------------

    async def is_disconnected(self) -> bool:
        """Whether the client left. Does not wait, and never loses a piece of the body."""
        if self.exchange is not None:
            return await self.inbound.is_disconnected()
        try:
            return await self.inbound.is_disconnected()
        finally:
            await self.inbound.close()  # made by hand: there is no edge to end the watch

    async def disconnected(self) -> None:
        """Wait until the client left."""
        await self.inbound.wait_disconnected()

    def after_response(self, callback: Callable[[Outcome], Awaitable[None] | None]) -> None:
        """Call ``callback(outcome)`` once this exchange is over, however it ended.

        Args:
            callback: sync or async; gets an ``Outcome`` (status, body_size in bytes, seconds,
                client_left, exception). An error in it is logged and changes nothing.

        Raises:
            RuntimeError: this Request is not being served by an application.
        """
        exchange = self.exchange
        if exchange is None:
            raise RuntimeError(
                "Expected a request that an application serves; this one was made by hand, so"
                " there is no response to wait for."
            )
        exchange.call_after(callback)

    async def send_push_promise(self, path: str) -> None:
        """Promise a resource (ASGI extension ``http.response.push``); nothing without it.

        Raises:
            ValueError: the path holds CR, LF or NUL, which could end its line.
        """
        check_header("path", path)
        if "http.response.push" in self._extensions:
            headers = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name in sorted(SERVER_PUSH_HEADERS_TO_COPY)
                for value in self.headers.getlist(name)
            ]
            await self._send({"type": "http.response.push", "path": path, "headers": headers})

    async def send_early_hints(self, link: str, /, *additional_links: str) -> None:
        """Send 103 Early Hints (RFC 8297) where the server offers it; nothing otherwise.

        Args:
            link: the value of a ``Link`` header.
            additional_links: more of them.

        Raises:
            ValueError: a value holds CR, LF or NUL, or a character beyond Latin-1.
        """
        links = [encode_header("link", value)[1] for value in (link, *additional_links)]
        if "http.response.early_hint" in self._extensions:
            await self._send({"type": "http.response.early_hint", "links": links})

    @property
    def _extensions(self) -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", self.scope.get("extensions") or {})


class _Form:
    """What ``Request.form`` gives: awaitable, and an async context manager."""

    __slots__ = ("_form", "_held", "_limits", "_request")
    _form: FormData
    _held: bool

    def __init__(self, request: Request[Any], limits: dict[str, Any]) -> None:
        self._request = request
        self._limits = limits

    def __await__(self) -> Generator[Any, None, FormData]:
        return self._get().__await__()

    async def _get(self) -> FormData:
        self._form = form = await self._request._get_form(**self._limits)
        self._held = await self._request._shares(form)
        form._holders += self._held
        return form

    async def __aenter__(self) -> FormData:
        return await self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        form, exchange = self._form, self._request.exchange
        form._holders -= self._held
        closed_later = exchange is not None and not exchange.over
        # What fails may be run again.
        if not closed_later or not (self._held or form._holders or exc is not None):
            await form.close()


def _files_of(form: FormData) -> Iterator[UploadFile]:
    """The files that are not closed yet."""
    for _, value in form.multi_items():
        if isinstance(value, UploadFile) and not value.file.closed:
            yield value


async def _next_of(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)


def _reader(frame: FrameType) -> FrameType:
    """The frame of whoever reads a stream, itself or by a parser."""
    while frame.f_back is not None and frame.f_globals.get("__name__") in _ON_BEHALF:
        frame = frame.f_back
    return frame


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise MalformedJSONError(f"byte {exc.start} is not UTF-8") from None
    except json.JSONDecodeError as exc:
        raise MalformedJSONError(exc.msg, exc.doc, exc.pos) from None
    except (RecursionError, ValueError):
        # Thousands of brackets, or of digits: a client's doing, and not one of ours.
        reason = "it is nested too deeply, or a number is too long"
        raise MalformedJSONError(reason) from None
