"""How long `stocktake up` takes, in a folder that nobody has used, until it says it is ready."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.figures import Outcome, Target, distributed
from benchmarks.options import Options
from servers.service import Up

_STARTS: Final = 3
_TARGET: Final = Target(bound=10.0)


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
        stack = Up(Path(folder))
        started = time.perf_counter()
        with stack:
            return time.perf_counter() - started
