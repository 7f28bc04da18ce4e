"""What starts and stops with the shop, and what its parts share."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from lamella.applications import Starlette

from .feed import Feed
from .layers import Counter
from .models import News
from .settings import Settings
from .store import Store, open_store

log = logging.getLogger("shop")


def furnish(app: Starlette, settings: Settings, in_flight: Counter) -> None:
    """Put into a new app what its parts share; the store comes when it starts."""
    app.state.settings = settings
    app.state.in_flight = in_flight
    app.state.feed = Feed[News]()
    app.state.talk = Feed[str]()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
    """Open the database, finish what a crash left undone, and close it all in the end."""
    settings: Settings = app.state.settings
    settings.photos.mkdir(parents=True, exist_ok=True)
    async with open_store(settings.database) as store:
        app.state.store = store
        for order_id in await store.unconfirmed():
            await confirm(store, app.state.feed, order_id)
        yield


async def confirm(store: Store, feed: Feed[News], order_id: str) -> None:
    """Confirm an order and tell everybody who listens to the feed."""
    await store.confirm(order_id)
    feed.send(News(order_id, "confirmed"))
    log.info("order %s confirmed", order_id)
