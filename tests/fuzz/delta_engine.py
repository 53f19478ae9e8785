"""The child that reads mutated Delta logs with deltalake."""

import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from stocktake.errors import JobError
from stocktake.readers.delta.types import columns_of
from stocktake.readers.source import Limits
from tests.fuzz.watched import answer_lines


def serve(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in request["files"].items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b64decode(data))
        try:
            return _read(folder)
        except JobError as error:
            return {"error": error.code}
        except BaseException as error:  # noqa: BLE001  # a panic of Rust is no Exception
            return {"error": str(error)[:200]}


def _read(folder: str) -> dict[str, Any]:
    table = DeltaTable(folder)
    found = columns_of(table.schema().to_json(), table.metadata().partition_columns, Limits())
    return {
        "version": table.version(),
        "columns": [[column.name, column.clickhouse] for column in found],
    }


if __name__ == "__main__":
    answer_lines(serve)
