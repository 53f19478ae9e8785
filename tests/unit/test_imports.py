"""Each process starts without what only another one needs."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from stocktake.security.encryption import make_secret_key

#: What reads a source, and what a read needs.
READING: Final = {
    "deltalake", "fastavro", "numpy", "pyarrow", "python_calamine",
    "stocktake.loading", "stocktake.readers.arrow", "stocktake.readers.arrow_types",
    "stocktake.readers.avro", "stocktake.readers.delta", "stocktake.readers.orc",
    "stocktake.readers.parquet", "stocktake.readers.sheets", "stocktake.readers.text",
    "stocktake.runs.refresh_schema",
}  # fmt: skip
WEB: Final = {"api", "fastapi", "starlette", "uvicorn"}
QUEUE: Final = {"celery", "kombu", "redis", "tasks"}
DATABASE: Final = {"alembic", "psycopg", "sqlalchemy", "stocktake.db"}

#: What a process imports before it works, a module that it has then, and what it does without.
PROCESSES: Final = {
    "web": (
        "from api.app import create_app; import api.__main__; create_app(settings)\n"
        "from tasks.doorbell import CeleryDoorbell; CeleryDoorbell(settings)",
        "api.routes.files",
        READING
        | {"alembic", "cli", "obstore", "psutil", "workers", "tasks.base"}
        | {"stocktake.clock", "stocktake.readers", "stocktake.runs"},
    ),
    "clock": ("import workers.celery, workers.beat", "stocktake.clock.ticks", READING | WEB),
    "worker": ("import workers.celery", "tasks.base", READING | WEB | {"stocktake.clock"}),
    "guard": ("import workers.guard", "psutil", READING | WEB | QUEUE | DATABASE | {"pydantic"}),
    "flower": ("import workers.flower", "flower", READING | WEB | DATABASE | {"tasks"}),
    "up": ("import workers.stack.stack", "cryptography", READING | WEB | QUEUE | DATABASE),
    "client": (
        "import stocktake.client",
        "httpx",
        READING | WEB | QUEUE | DATABASE | {"pydantic", "stocktake.schema", "stocktake.settings"},
    ),
    "stocktake": ("import cli", "typer", READING | WEB | QUEUE | DATABASE | {"httpx", "pydantic"}),
}


@pytest.mark.parametrize("process", sorted(PROCESSES))
def test_a_process_starts_without_what_only_others_need(process: str, tmp_path: Path) -> None:
    imports, needed, others = PROCESSES[process]
    script = (
        "import sys\n"
        + (
            "from stocktake.settings import Settings; settings = Settings()\n"
            * ("settings" in imports)
        )
        + imports
        + "\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            "STOCKTAKE_SECRET_KEYS": make_secret_key("test"),
            "STOCKTAKE_DATA_DIR": str(tmp_path / "data"),
        },
    )

    loaded = set(done.stdout.split())
    assert needed in loaded
    assert loaded & others == set()


@pytest.mark.parametrize("name", sorted(set().union(*(each for *_, each in PROCESSES.values()))))
def test_what_they_do_without_is_there(name: str) -> None:
    """A name that nothing has any more would be missed by nobody."""
    importlib.import_module(name)
