"""The shop as `app`, for any ASGI server: `uvicorn examples.shop.main:app`."""

from .app import create_app
from .settings import settings_from

app = create_app(settings_from())
