"""``python -m api``: the web process, as the settings want it."""

import asyncio
import gc
import socket
import sys
from contextlib import suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.wire.protocol import protocol
from stocktake.errors import CommandError
from stocktake.logging import configure_logging
from stocktake.services.starting import settings_to_start
from stocktake.settings import Settings

#: Requests that are under way when the process is asked to end may take this long.
_GRACE_SECONDS = 10
_NOT_STARTED = 3


class _Server(uvicorn.Server):
    """Asked to end, it finishes what is under way; requests that only wait are answered at once.

    Without this, one long poll or event stream holds the process up for all of its grace, and
    is cut off at the end.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there by now stays: the collector would look through it with each large answer,
        # and hold everybody up for a tenth of a second.
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        # Python runs a signal's handler in the main thread, which is the loop's.
        if parts := getattr(self._app.state, "parts", None):
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(parts.hub.close)
            loop.call_soon_threadsafe(parts.feed.close)


def configured(settings: Settings, app: FastAPI) -> uvicorn.Config:
    """Return how uvicorn serves the app."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=protocol(settings),
        ws="none",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        access_log=False,
        log_config=None,  # its lines go through our logging, as all do
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=settings.keep_alive_seconds,
    )


def main() -> None:
    """Serve until a signal ends it."""
    try:
        settings = settings_to_start()
    except CommandError as exc:
        sys.exit(f"stocktake: {exc}")
    configure_logging(settings)
    app = create_app(settings)
    server = _Server(configured(settings, app), app)
    with suppress(KeyboardInterrupt):  # raised again by uvicorn, once it has ended in order
        server.run()
    if not server.started:
        sys.exit(_NOT_STARTED)


if __name__ == "__main__":
    main()
