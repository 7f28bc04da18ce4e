"""Server-sent events: a response that a browser's ``EventSource`` reads.

Floor 3. Names as FastAPI 0.165, format by the HTML standard, section 9.2. No value can begin
another field or another event: what may have lines is sent line by line, what may not is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lamella._item_streams import Encoded, Items, as_async, streamed
from lamella._json import encode
from lamella._keep_alive import SILENCE, KeptAlive, end_streams
from lamella.exceptions import UsageError
from lamella.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lamella.background import BackgroundTask

__all__ = [
    "KEEPALIVE_COMMENT",
    "EventSourceResponse",
    "ServerSentEvent",
    "end_event_streams",
    "event_source",
    "format_sse_event",
]

KEEPALIVE_COMMENT: Final = b": ping\n\n"
"""What is sent where an endpoint is silent, so that no proxy takes the connection for dead."""

_PING_INTERVAL: Final = 15.0  # seconds, as the HTML standard advises (section 9.2.7)

_line_breaks: Final = re.compile("\r\n|\r|\n")
_raw_line_breaks: Final = re.compile(b"\r\n|\r|\n")


# -- one event -------------------------------------------------------------------------------------


class ServerSentEvent(msgspec.Struct, kw_only=True):
    """One event of a stream.

    Attributes:
        data: sent as JSON, a ``str`` too; None for none.
        raw_data: text that is sent as it is, instead of ``data``.
        event: the type, one line; without it a browser takes it for a ``message``.
        id: one line; a browser that connects again sends the last one as ``Last-Event-ID``.
        retry: milliseconds that a browser is to wait before it connects again.
        comment: text that no browser shows.

    Raises:
        UsageError: (a ``ValueError``) both kinds of data, a line break in ``event`` or ``id``, a
            null character in ``id``, a negative ``retry``, or a type that does not fit.

    Source: as FastAPI 0.165, where it is a model of pydantic.
    """

    data: Any = None
    raw_data: str | None = None
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.data is not None and self.raw_data is not None:
            raise UsageError(
                "Cannot set both 'data' and 'raw_data' of a ServerSentEvent: 'data' is sent as"
                " JSON, 'raw_data' as it is; give one."
            )
        _check_text("raw_data", self.raw_data)
        _check_text("comment", self.comment)
        _check_fields(self.event, self.id, self.retry)


def format_sse_event(
    *,
    data_str: str | None = None,
    event: str | None = None,
    id: str | None = None,
    retry: int | None = None,
    comment: str | None = None,
) -> bytes:
    """One event as it is sent.

    Args:
        data_str: the data, as JSON or any text; each line of it goes out as one of data.
        event: the type, one line.
        id: one line without null characters.
        retry: milliseconds.
        comment: goes out line by line, too.

    Raises:
        UsageError: (a ``ValueError``) see ``ServerSentEvent``.

    Source: as FastAPI 0.165, which sends ``event`` and ``id`` unchecked.
    """
    _check_fields(event, id, retry)
    data = None if data_str is None else _raw(data_str)
    return _formatted(data, event, id, retry, comment)


def _formatted(
    data: bytes | None, event: str | None, id_: str | None, retry: int | None, comment: str | None
) -> bytes:
    parts: list[bytes] = []
    if comment is not None:
        parts += [b": " + _raw(line) for line in _line_breaks.split(comment)]
    if event is not None:
        parts.append(b"event: " + _raw(event))
    if data is not None:
        parts += [b"data: " + line for line in _raw_line_breaks.split(data)]
    if id_ is not None:
        parts.append(b"id: " + _raw(id_))
    if retry is not None:
        parts.append(b"retry: %d" % retry)
    parts += [b"", b""]
    return b"\n".join(parts)


def _of_data(data: bytes) -> bytes:
    """An event of data alone. PERF: most data is JSON, which has no line breaks."""
    if b"\n" in data or b"\r" in data:
        return _formatted(data, None, None, None, None)
    return b"data: " + data + b"\n\n"


def _raw(text: str) -> bytes:
    # A lone surrogate, which a client may have sent inside JSON, has no UTF-8.
    return text.encode("utf-8", "replace")


def _check_fields(event: str | None, id_: str | None, retry: int | None) -> None:
    _check_line("event", event)
    _check_line("id", id_)
    if id_ is not None and "\0" in id_:
        raise UsageError(f"SSE 'id' must not contain null characters, got {id_!r}.")
    if retry is None:
        return
    if type(retry) is not int or retry < 0:
        raise UsageError(f"Expected SSE 'retry' in milliseconds, 0 or more, got {retry!r}.")


def _check_line(name: str, value: str | None) -> None:
    _check_text(name, value)
    if value is not None and ("\n" in value or "\r" in value):
        raise UsageError(
            f"SSE '{name}' must be a single line, got {value!r}: a line break would begin another"
            " field."
        )


def _check_text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise UsageError(f"Expected SSE '{name}' to be a str, got {value!r}.")


# -- from items to events --------------------------------------------------------------------------


def _hook(value: Any) -> Any:
    dump = getattr(value, "model_dump_json", None)  # pydantic's, which need not be installed
    if dump is None:
        raise TypeError(
            f"Expected data that can be sent as JSON, got {type(value).__qualname__}; make it JSON"
            " and send it as raw_data."
        )
    return msgspec.Raw(dump().encode())


_encode: Final = msgspec.json.Encoder(enc_hook=_hook).encode


def _to_json(value: Any) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:  # a lone surrogate: no UTF-8, but an escape in JSON
        text = encode(msgspec.to_builtins(value, enc_hook=_hook))
        return text.encode("utf-8", "backslashreplace")


def _event(item: ServerSentEvent, encode_data: Callable[[Any], bytes]) -> bytes:
    # Again, since an event may have been changed after it was made.
    _check_fields(item.event, item.id, item.retry)
    data = None
    if item.raw_data is not None:
        data = _raw(item.raw_data)
    elif item.data is not None:
        data = encode_data(item.data)
    return _formatted(data, item.event, item.id, item.retry, item.comment)


def _as_given(item: Any) -> bytes | str:
    """An event of an item that an ``EventSourceResponse`` made by hand streams."""
    if item is SILENCE:
        return KEEPALIVE_COMMENT
    if isinstance(item, str | bytes):
        return item
    return _event(item, _to_json) if isinstance(item, ServerSentEvent) else _of_data(_to_json(item))


class _Events(Encoded):
    """Items that ``event_source`` has for a response, with what makes events of them.

    A response class of the user's may draw the events from it, which then has no pings between.
    """

    def __init__(self, items: Items, encode: Callable[[Any], bytes | str]) -> None:
        self.items = as_async(items)
        self.encode = encode
        super().__init__(self.items, encode)


# -- the response ----------------------------------------------------------------------------------


class EventSourceResponse(StreamingResponse):
    """A stream of server-sent events.

    With it as the ``response_class`` of an endpoint that yields, each item becomes an event: a
    ``ServerSentEvent`` as it says, anything else as data in JSON. In a response that is made by
    hand, ``str`` and ``bytes`` go out as they are.

    Where nothing comes for a while, a comment is sent to keep the connection open. The items are
    made in one task, from the first to the closing, which is cancelled when the client leaves.

    Args:
        content: the items; a sync iterable runs in the thread pool.
        status_code: the HTTP status.
        headers: names and values; ``cache-control`` and ``x-accel-buffering`` are added if missing.
        media_type: the content type.
        background: run after the response was sent.

    Attributes:
        ping_interval: seconds of silence after which a comment is sent; None for no comments. Set
            it in a subclass.

    Source: as FastAPI 0.165.
    """

    media_type = "text/event-stream"
    ping_interval: float | None = _PING_INTERVAL

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        given = content if isinstance(content, _Events) else _Events(content, _as_given)
        seconds = math.inf if self.ping_interval is None else self.ping_interval
        events = Encoded(KeptAlive(given.items, seconds), given.encode, waits=True)
        super().__init__(events, status_code, headers, media_type, background)
        self.headers.setdefault("cache-control", "no-cache")
        self.headers.setdefault("x-accel-buffering", "no")  # nginx would wait for more


def event_source(
    items: Items,
    encode_item: Callable[[Any], bytes],
    *,
    encode_data: Callable[[Any], bytes] = _to_json,
    response_class: type[EventSourceResponse] = EventSourceResponse,
    status_code: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    """The response of an endpoint that yields events.

    Args:
        items: what the endpoint yields.
        encode_item: gives the JSON of an item that is no ``ServerSentEvent``.
        encode_data: gives the JSON of the ``data`` of one that is.
        response_class: is called with ``content=``, and with what else is given.
        status_code: the HTTP status; None for that of the class.
        headers: names and values.
    """

    def encode_event(item: Any) -> bytes:
        if item is SILENCE:
            return KEEPALIVE_COMMENT
        if isinstance(item, ServerSentEvent):
            return _event(item, encode_data)
        return _of_data(encode_item(item))

    return streamed(response_class, _Events(items, encode_event), status_code, headers)


def end_event_streams() -> int:
    """End the event streams of this event loop, as when a server shuts down.

    Each ends as if its endpoint were done, which is closed, so that clients see a whole response
    and connect again. A server waits for its connections before it ends the lifespan, so call this
    where you learn of the shutdown first: in a signal handler, or in what asks the server to stop.

    Returns:
        How many there were.
    """
    return end_streams()
