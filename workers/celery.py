"""The entry of ``celery -A workers worker|beat|flower``."""

from tasks.app import configure
from workers.lifecycle import process_settings

app = configure(process_settings())
