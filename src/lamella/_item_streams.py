"""Responses made of the items that a generator yields, each sent when it comes.

Floor 3. Nothing is made ahead: the next item is asked for when the one before it was sent. A stream
that fails is broken off and not ended as if it were whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from lamella.concurrency import iterate_in_threadpool
from lamella.engine.loop import here
from lamella.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["JSON_LINES", "Encoded", "Items", "as_async", "json_lines", "raw_stream"]

Items = AsyncIterable[Any] | Iterable[Any]
JSON_LINES = "application/jsonl"


def as_async(items: Items) -> AsyncIterable[Any]:
    """Items to be awaited; those of a sync iterable are made in the thread pool."""
    return items if isinstance(items, AsyncIterable) else iterate_in_threadpool(items)


class Encoded:
    """The items of a stream, each as what is sent for it.

    The other tasks have a turn between two items, so a generator that waits for nothing can be
    cancelled, and keeps nobody waiting.

    Args:
        items: drawn from as asked for; closed with this.
        encode: from an item to what is sent.
        waits: whether other tasks have a turn in any case while an item is made.
    """

    def __init__(self, items: Items, encode: Callable[[Any], Any], *, waits: bool = False) -> None:
        self._items: Any = as_async(items)
        self._encode = encode
        self._begun = False
        self._waits = waits or not isinstance(items, AsyncIterable)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self._begun:
            self._begun = True
            self._items = aiter(self._items)
        elif not self._waits:
            await here().turn()
        return self._encode(await anext(self._items))

    async def aclose(self) -> None:
        """Close the items, if they can be closed."""
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()


def json_lines(
    items: Items,
    encode_item: Callable[[Any], bytes],
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = JSON_LINES,
) -> StreamingResponse:
    """One line of JSON an item, as FastAPI 0.165 sends what an endpoint yields.

    Args:
        items: what the endpoint yields.
        encode_item: gives an item's JSON, in one line.
        status_code: the HTTP status.
        headers: names and values.
        media_type: the content type.
    """
    lines = Encoded(items, lambda item: encode_item(item) + b"\n")
    return StreamingResponse(lines, status_code, headers, media_type)


def raw_stream(
    items: Items,
    *,
    response_class: type[StreamingResponse] = StreamingResponse,
    status_code: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> StreamingResponse:
    """What an endpoint yields, ``str`` and ``bytes``, as it is.

    Args:
        items: what the endpoint yields.
        response_class: is called with ``content=``, and with what else is given.
        status_code: the HTTP status; None for that of the class.
        headers: names and values.
    """
    return streamed(response_class, Encoded(items, _same), status_code, headers)


def streamed(
    response_class: type[StreamingResponse],
    content: AsyncIterable[Any],
    status_code: int | None,
    headers: Mapping[str, str] | None,
) -> StreamingResponse:
    """A response of a class whose `__init__` may take no more than what is given."""
    given: dict[str, Any] = {}
    if status_code is not None:
        given["status_code"] = status_code
    if headers is not None:
        given["headers"] = headers
    return response_class(content=content, **given)


def _same(item: Any) -> Any:
    return item
