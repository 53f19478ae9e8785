"""``python -m api``: the web process, as the settings want it."""

import uvicorn

from api.protocol import protocol
from stocktake.settings import Settings

#: Requests that are under way when the process is asked to end may take this long.
_GRACE_SECONDS = 10


def main() -> None:
    """Serve until a signal ends it."""
    settings = Settings()
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        http=protocol(settings),
        ws="none",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
