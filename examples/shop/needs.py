"""What endpoints ask for, beside what clients send: dependencies."""

from typing import Annotated

from lamella import Depends, HTTPException, Request
from lamella.security import HTTPAuthorizationCredentials, HTTPBearer, compare_secrets

from .feed import Feed
from .models import News
from .settings import Settings
from .store import Store

bearer = HTTPBearer(description="The shop's token, which it prints as it starts.")


def store_of(request: Request) -> Store:
    """Return the shop's products and orders, opened as the shop starts."""
    store: Store = request.app.state.store
    return store


def feed_of(request: Request) -> Feed[News]:
    """Return the feed of orders."""
    feed: Feed[News] = request.app.state.feed
    return feed


def settings_of(request: Request) -> Settings:
    """Return what the environment has set."""
    settings: Settings = request.app.state.settings
    return settings


# Inline, since they do not block: they need no thread.
StoreDep = Annotated[Store, Depends(store_of, inline=True)]
FeedDep = Annotated[Feed[News], Depends(feed_of, inline=True)]
SettingsDep = Annotated[Settings, Depends(settings_of, inline=True)]


async def may_write(
    given: Annotated[HTTPAuthorizationCredentials, Depends(bearer)], settings: SettingsDep
) -> None:
    """Let those pass who send `Authorization: Bearer <token>`; 401 for all others."""
    if not compare_secrets(given.credentials, settings.token):
        raise HTTPException(
            401, "That is not the shop's token.", bearer.make_authenticate_headers()
        )
