"""The files that the documentation pages load: those of the ``docs`` extra, and a few of ours.

Floor 7. Nothing is fetched, and the package that brings the files is never imported: its folder is
all that is needed of it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Assets", "find_assets", "own_text"]

_PACKAGE: Final = "offapi"  # which the extra installs
# Its files, by the names that their URLs end in.
_FILES: Final[Mapping[str, str]] = {
    "swagger-ui-dist.js": "swagger_bundle.js",
    "swagger-ui-dist.css": "swagger_style.css",
    "redoc.js": "redoc.js",
    "scalar.js": "scalar.js",
}
_OURS: Final = Path(__file__).with_name("pages")


class Assets(NamedTuple):
    """All files.

    Attributes:
        paths: by the names that their URLs end in.
        digest: of all together, hexadecimal; other files have another one.
    """

    paths: Mapping[str, Path]
    digest: str


@functools.cache
def find_assets() -> Assets | None:
    """Look for the files, and read them once for the digest. It blocks: they have 9 MB.

    Returns:
        None if the extra is not installed, or is too old to have them all.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        return None
    paths = {name: Path(folders[0]) / file for name, file in _FILES.items()}
    if not all(path.is_file() for path in paths.values()):
        return None
    paths |= {path.name: path for path in sorted(_OURS.iterdir()) if path.is_file()}
    digest = hashlib.sha256()
    for path in paths.values():
        digest.update(path.read_bytes())
    return Assets(paths, digest.hexdigest()[:16])


def own_text(name: str) -> str:
    """The text of a file that comes with lamella."""
    return (_OURS / name).read_text(encoding="utf-8")
