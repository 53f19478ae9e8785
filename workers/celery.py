"""The entry of ``celery -A workers worker|beat``."""

import sys
from typing import Any

from stocktake.errors import CommandError
from stocktake.logging import configure_logging
from tasks.app import configure
from workers.lifecycle import process_settings

try:
    # Celery sets logging up later, and warns before that.
    configure_logging(process_settings())
    app = configure(process_settings())
except CommandError as exc:
    sys.exit(f"stocktake: {exc}")


class _Beat(app.Beat):  # type: ignore[misc,name-defined]  # a class that Celery makes for this app
    """Celery's beat without its banner, which is no line of a log."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given | {"quiet": True})


app.Beat = _Beat  # type: ignore[misc]  # a cached property, made to be replaced
