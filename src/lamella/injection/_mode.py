"""How much a decoder converts: what a client may write otherwise than the type itself is written.

Floor 5, below all of ``injection``. A decoder is ``decode(value, mode=LAX)``; it returns the value
of the type or raises ``Invalid``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["EXACT", "LAX", "STRICT", "Decode", "ShapeOf"]

Decode = Callable[..., Any]

ShapeOf = Callable[[Any], Callable[[Any], Any]]
"""From one model of a union to what brings a value, a dict, into the form that this one takes."""

LAX: Final = 0
"""Texts are read, numbers converted: what comes from a request."""
STRICT: Final = 1
"""What is the type already, and a whole number for a float: ``strict=True``."""
EXACT: Final = 2
"""The very type alone: how a union finds the member that a value belongs to."""
