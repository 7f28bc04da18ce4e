"""What goes out and comes in as a file."""

import csv
import hashlib
import io
import re
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from lamella.concurrency import run_in_threadpool
from lamella.exceptions import HTTPException
from lamella.requests import Request
from lamella.responses import FileResponse, JSONResponse, StreamingResponse

from .api import product_of
from .reading import media_type
from .settings import Settings
from .store import Store

MANUAL = Path(__file__).parent / "manual.pdf"
STATIC = {path.name: path for path in (Path(__file__).parent / "static").iterdir()}

MAX_PHOTO_SIZE = 2 * 1024 * 1024  # bytes
PHOTO_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
PHOTO_NAME = re.compile(r"[0-9a-f]{64}\.(jpg|png|webp)")


class Photo(NamedTuple):
    """A photo that is safely in its folder."""

    name: str
    size: int
    sha256: str


async def catalogue(request: Request) -> StreamingResponse:
    """GET /catalogue.csv: every product, a line each, sent while it is read."""
    return StreamingResponse(
        csv_lines(request.app.state.store),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="catalogue.csv"'},
    )


async def csv_lines(store: Store) -> AsyncIterator[str]:
    """Yield the catalogue as CSV, a page of products at a time."""
    yield csv_text([("id", "name", "description", "price_cents")])
    async for page in store.every_product():
        yield csv_text([(p.id, p.name, p.description, p.price_cents) for p in page])


def csv_text(rows: list[tuple[object, ...]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


async def manual(request: Request) -> FileResponse:
    """GET /manual.pdf: how to brew; with ranges, so a cut-off download can be resumed."""
    return FileResponse(MANUAL, content_disposition_type="inline", filename=MANUAL.name)


async def static(request: Request) -> FileResponse:
    """GET /static/{name}: what the page needs, by a name from a list and never as a path."""
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    return FileResponse(STATIC[name])


async def put_photo(request: Request) -> JSONResponse:
    """PUT /api/products/{id}/photo: keep the body as the product's photo."""
    store: Store = request.app.state.store
    settings: Settings = request.app.state.settings
    product = await product_of(request)
    suffix = PHOTO_SUFFIXES.get(media_type(request))
    if suffix is None:
        raise HTTPException(415, f"Send a photo as one of {', '.join(PHOTO_SUFFIXES)}.")
    photo = await keep(request.stream(), settings.photos, suffix)
    address = f"/photos/{photo.name}"
    await store.set_photo(product.id, address)
    return JSONResponse({"photo": address, "size": photo.size, "sha256": photo.sha256})


async def keep(chunks: AsyncIterable[bytes], folder: Path, suffix: str) -> Photo:
    """Write a stream into a folder, under the digest of its bytes as a name.

    A file is there whole or not at all, whatever happens in between, and never changes.
    """
    digest, size = hashlib.sha256(), 0
    part = folder / f"{uuid4().hex}.part"
    try:
        with part.open("xb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_PHOTO_SIZE:
                    raise HTTPException(413, f"A photo may have {MAX_PHOTO_SIZE} bytes at most.")
                digest.update(chunk)
                await run_in_threadpool(file.write, chunk)
        name = digest.hexdigest() + suffix
        part.replace(folder / name)
    finally:
        part.unlink(missing_ok=True)
    return Photo(name, size, digest.hexdigest())


async def photo(request: Request) -> FileResponse:
    """GET /photos/{name}: a photo; its name is its digest, so it may be kept for ever."""
    settings: Settings = request.app.state.settings
    name = request.path_params["name"]
    path = settings.photos / name
    if not (PHOTO_NAME.fullmatch(name) and path.is_file()):
        raise HTTPException(404, "There is no such photo.")
    return FileResponse(path, headers={"Cache-Control": "public, max-age=31536000, immutable"})
