"""The entry of ``celery -A workers worker|beat``."""

from tasks.app import configure
from workers.lifecycle import process_settings

app = configure(process_settings())
