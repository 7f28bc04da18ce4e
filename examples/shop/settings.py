"""What the environment may change."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the shop keeps its things, and who may write.

    Attributes:
        database: The SQLite file, made and filled at the first start.
        photos: The folder of uploaded photos, made at the first start.
        token: The API token that writing needs.
        secret: What signs the sessions.
        rate: Requests a second that one client may make; 0 for no limit.
    """

    database: Path
    photos: Path
    token: str
    secret: str
    rate: float


def settings_from(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read SHOP_DB, SHOP_PHOTOS, SHOP_TOKEN, SHOP_SECRET and SHOP_RATE.

    Without SHOP_TOKEN or SHOP_SECRET the shop makes a new one at every start.

    Raises:
        ValueError: If SHOP_RATE is not a number.
    """
    rate = environ.get("SHOP_RATE", "50")
    if not rate.replace(".", "", 1).isdecimal():
        raise ValueError(f"Expected SHOP_RATE to be a number of requests a second, got {rate!r}.")
    return Settings(
        database=Path(environ.get("SHOP_DB", "shop.db")),
        photos=Path(environ.get("SHOP_PHOTOS", "shop-photos")),
        token=environ.get("SHOP_TOKEN") or secrets.token_urlsafe(16),
        secret=environ.get("SHOP_SECRET") or secrets.token_urlsafe(32),
        rate=float(rate),
    )
