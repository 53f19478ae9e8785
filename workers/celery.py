"""The entry of ``celery -A workers worker|beat``."""

import sys

from stocktake.errors import CommandError
from tasks.app import configure
from workers.lifecycle import process_settings

try:
    app = configure(process_settings())
except CommandError as exc:
    sys.exit(f"stocktake: {exc}")
