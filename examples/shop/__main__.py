"""Start the shop: `python -m examples.shop [--host HOST] [--port PORT]`."""

import argparse
import logging
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec

NEEDED = ("uvicorn", "websockets", "aiosqlite", "jinja2", "itsdangerous", "multipart", "offapi")


def main() -> None:
    """Check what is needed, say what is served, and serve it until Ctrl+C."""
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description="A tea shop.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", default=8000, type=int, help="port to listen on (%(default)s)")
    options = parser.parse_args()
    if missing := [name for name in NEEDED if not find_spec(name)]:
        sys.exit(f"The shop needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    try:
        listener = socket.create_server((options.host, options.port))
    except (OSError, OverflowError) as exc:
        reason = (getattr(exc, "strerror", None) or str(exc)).partition(" (while")[0].rstrip(".")
        sys.exit(f"Cannot listen on {options.host}:{options.port}: {reason}. Try another --port.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    serve(listener)


def serve(listener: socket.socket) -> None:
    """Print where the shop is, what it is made of and how to order; then serve."""
    from .app import create_app
    from .server import Server
    from .settings import settings_from

    settings = settings_from()
    app = create_app(settings)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(f"""The tea shop is open at {address}  (Ctrl+C closes it)

The stack, outermost first:
{app.explain()}

Its API, to read and to try: {address}/docs

To order:
  curl {address}/api/orders -H 'Authorization: Bearer {settings.token}' \\
    --json '{{"customer": "Ada", "lines": [{{"product_id": 1, "quantity": 2}}]}}'
""")
    with suppress(KeyboardInterrupt):  # Ctrl-C, after which everything is closed
        Server(app, log_config=None, access_log=False).run(sockets=[listener])


if __name__ == "__main__":
    main()
