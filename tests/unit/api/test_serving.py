"""How the web process has uvicorn serve the app."""

import subprocess
import sys
from typing import Final

from fastapi import FastAPI

from api.__main__ import configured
from stocktake.settings import Settings

#: In a process of its own, whose collector is its own too.
STARTED: Final = """
import asyncio, gc, socket
from fastapi import FastAPI
from api.__main__ import _Server, configured
from stocktake.settings import Settings
app = FastAPI()
config = configured(Settings(), app)
config.load()
server = _Server(config, app)
server.lifespan = config.lifespan_class(config)
with socket.create_server(("127.0.0.1", 0)) as listening:
    asyncio.run(server.startup([listening]))
print(gc.get_freeze_count() > 10_000 and len(gc.get_objects()) < 10_000)
"""


def test_item_16_keep_alive_is_a_setting() -> None:
    served = configured(Settings(keep_alive_seconds=300), FastAPI())
    assert served.timeout_keep_alive == 300


def test_idle_connections_outlast_those_of_clients_and_proxies() -> None:
    """httpx keeps one for 5 s, nginx and AWS's load balancers for 60."""
    assert configured(Settings(), FastAPI()).timeout_keep_alive > 60


def test_item_7_the_collector_passes_over_what_was_there_at_the_start() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTED], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "True\n", done.stderr
