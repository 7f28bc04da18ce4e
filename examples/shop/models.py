"""What comes in and goes out as JSON, beside the products and orders of store.py.

lamella checks what comes in against these types, and /docs shows them.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from .store import Product, Wanted


class Search(msgspec.Struct):
    """The query of the list of products."""

    q: Annotated[str, Meta(max_length=80, description="A part of the name.")] = ""
    page: Annotated[int, Meta(ge=1, le=999_999)] = 1


class ProductPage(msgspec.Struct):
    """A page of the products that were found."""

    products: list[Product]
    page: int
    pages: int
    total: int


class NewOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends to order."""

    customer: Annotated[str, Meta(min_length=1, max_length=80, examples=["Ada"])]
    lines: Annotated[list[Wanted], Meta(min_length=1, max_length=20)]


class News(msgspec.Struct, frozen=True):
    """What the feed tells of an order."""

    id: str
    state: str


class KeptPhoto(msgspec.Struct):
    """Where a photo is shown from now on."""

    photo: str
    size: int
    sha256: str


class Health(msgspec.Struct):
    """That the shop works, how many requests it answers, and how many listen."""

    status: str
    in_flight: int
    listening: int


class Refusal(msgspec.Struct):
    """Why there is no other answer."""

    detail: str
