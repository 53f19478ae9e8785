"""What loads a file, in a process of its own: ``python -m benchmarks.loaders NAME FILE FOLDER``.

The process prints a line of JSON: the seconds of the load and those of processors in it, without
its imports, and the most memory that it took, with them. All of them write one new table, or what
is nearest to it.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.peers import forget_peak, memory_mib


class Ours:
    """What a worker does of an upload with `target=delta`: types from all of it, rows, commit."""

    def __init__(self) -> None:
        from stocktake.readers import registry

        registry.load_all()  # as a worker does before it forks
        self._load = importlib.import_module("benchmarks.managed_loads").load

    def __call__(self, file: Path, folder: Path) -> None:
        self._load(file, folder)


class Deltalake:
    """`write_deltalake` of pyarrow's own readers, streamed."""

    def __init__(self) -> None:
        self._write = importlib.import_module("deltalake").write_deltalake
        self._data = importlib.import_module("pyarrow.dataset")

    def __call__(self, file: Path, folder: Path) -> None:
        format_ = {".jsonl": "json"}.get(file.suffix, file.suffix.removeprefix("."))
        data = self._data.dataset(file, format=format_)
        self._write(str(folder / "table"), data.scanner().to_reader())


class Duckdb:
    """COPY to Parquet: its delta extension reads tables and makes none."""

    def __init__(self) -> None:
        self._connection = importlib.import_module("duckdb").connect()

    def __call__(self, file: Path, folder: Path) -> None:
        reads = {".csv": "read_csv", ".jsonl": "read_json", ".parquet": "read_parquet"}[file.suffix]
        self._connection.execute(
            f"COPY (SELECT * FROM {reads}('{file}')) TO '{folder}/table.parquet' (FORMAT parquet)"
        )


LOADERS: Final[dict[str, Callable[[], Callable[[Path, Path], None]]]] = {
    "ours": Ours,
    "write_deltalake": Deltalake,
    "DuckDB's COPY": Duckdb,
}


def main(name: str, file: str, folder: str) -> None:
    """Load once, and tell."""
    loader = LOADERS[name]()
    forget_peak()
    started, spent = time.perf_counter(), time.process_time()
    loader(Path(file), Path(folder))
    told = {
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - spent,
        "peak_mib": memory_mib("VmHWM"),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
    # some libraries hang when their threads are joined
    os._exit(0)
