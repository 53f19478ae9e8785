"""How the web process has uvicorn serve the app."""

from fastapi import FastAPI

from api.__main__ import configured
from stocktake.settings import Settings


def test_item_16_keep_alive_is_a_setting() -> None:
    served = configured(Settings(keep_alive_seconds=75), FastAPI())
    assert served.timeout_keep_alive == 75
