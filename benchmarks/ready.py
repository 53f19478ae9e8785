"""How long `stocktake up` takes, in a folder that nobody has used, until it says it is ready."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.figures import Outcome, Target, distributed
from benchmarks.options import Options
from tests.support.processes import HOST, free_ports

_STARTS: Final = 3
_TARGET: Final = Target(bound=10.0)
_READY: Final = "ready http://"
_PATIENCE_SECONDS: Final = 60.0


def measure(options: Options) -> Iterator[Outcome]:
    """Start and stop the embedded stack, each time in a new data directory."""
    starts = 1 if options.quick else _STARTS
    yield Outcome(
        figures=[
            distributed("stocktake up, ready", [_start_once() for _ in range(starts)], "s", _TARGET)
        ],
        conditions=[
            "from the start of the process to its line `ready http://…`: secrets made, database "
            "migrated, broker, web, worker, clock and Flower running; always SQLite, files in "
            "the page cache"
        ],
    )


def _start_once() -> float:
    with tempfile.TemporaryDirectory(prefix="stocktake-bench-") as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("stocktake")), "up"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_environment(Path(folder)),
            text=True,
            start_new_session=True,
        )
        try:
            _wait_for_ready(process)
            return time.perf_counter() - started
        finally:
            _stop(process)


def _environment(folder: Path) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("STOCKTAKE_")
    }
    [port] = free_ports(1)
    return inherited | {
        "STOCKTAKE_DATA_DIR": str(folder / "data"),
        "STOCKTAKE_HOST": HOST,
        "STOCKTAKE_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }


def _wait_for_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    said: list[str] = []
    too_long = threading.Timer(_PATIENCE_SECONDS, process.kill)
    too_long.start()
    try:
        for line in process.stdout:
            said.append(line)
            if _READY in line:
                return
    finally:
        too_long.cancel()
    raise RuntimeError(f"`stocktake up` ended before it was ready; it said:\n{''.join(said[-20:])}")


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
