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
from lamella.datastructures import UploadFile
from lamella.exceptions import HTTPException
from lamella.requests import Request
from lamella.responses import FileResponse, RedirectResponse, StreamingResponse
from lamella.staticfiles import StaticFiles

from .settings import Settings
from .store import Store

MANUAL = Path(__file__).parent / "manual.pdf"
STATIC = StaticFiles(directory=Path(__file__).parent / "static")

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


async def upload_photo(request: Request) -> RedirectResponse:
    """POST /staff/photo: keep a photo from a form, its file spooled to disk while it comes in."""
    store: Store = request.app.state.store
    settings: Settings = request.app.state.settings
    async with request.form(max_files=1, max_fields=4) as form:
        product_id, upload = str(form.get("product_id", "")), form.get("photo")
        if not isinstance(upload, UploadFile) or not re.fullmatch("[0-9]{1,6}", product_id):
            raise HTTPException(422, "Expected a product's number and a photo.")
        suffix = PHOTO_SUFFIXES.get(upload.content_type or "")
        if suffix is None:
            raise HTTPException(415, f"Send a photo as one of {', '.join(PHOTO_SUFFIXES)}.")
        if await store.product(int(product_id)) is None:
            raise HTTPException(404, f"There is no product {product_id}.")
        photo = await keep(chunks_of(upload), settings.photos, suffix)
    await store.set_photo(int(product_id), f"/photos/{photo.name}")
    return RedirectResponse("/", status_code=303)


async def chunks_of(upload: UploadFile) -> AsyncIterator[bytes]:
    """Yield what was uploaded, 64 KiB at a time."""
    while chunk := await upload.read(64 * 1024):
        yield chunk


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
