"""The child that asks ClickHouse (chdb) for a file's columns, or for its rows by given ones."""

import os
import tempfile
from base64 import b64decode
from functools import cache
from pathlib import Path
from typing import Any

import chdb

from tests.fuzz.watched import answer_lines
from tests.support.oracle import rows_of
from tests.support.read_back import read_query


@cache
def _connection() -> Any:
    # A table that its folder names must lie below the folder that ClickHouse was started in. Not
    # where this is imported, as pytest does that looks for examples in docstrings.
    os.chdir("/")
    connection = chdb.connect(":memory:")
    # Files of a few rows, none of which comes twice: threads only wait for each other.
    connection.query("SET max_threads = 1, schema_inference_use_cache_for_file = 0")
    return connection


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Describe a file, or read its rows by the given columns; or, by a structure, describe it and
    count its rows, all of whose values are read."""
    with tempfile.TemporaryDirectory() as folder:
        ((name, data),) = request["files"].items()
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b64decode(data))
        if "structure" in request:
            structure = request["structure"].replace("\\", "\\\\").replace("'", "\\'")
            source = f"file('{path}', '{request['format']}', '{structure}')"
            answer = _asked(f"SELECT count() FROM {source} WHERE NOT ignore(*)")
            back = answer if "error" in answer else {"rows": int(answer["rows"][0][0])}
            return {"described": serve(_without(request, "structure")), "back": back}
        where = f"file('{path}', '{request['format']}')"
        if request["format"] == "Iceberg":
            where = f"icebergLocal('{folder}/{request['path']}')"
        if columns := request.get("read_back"):
            return _asked(read_query(path, request["format"], columns))
        answer = _asked(f"DESCRIBE TABLE {where} SETTINGS print_pretty_type_names=0")
        return answer if "error" in answer else {"columns": [row[:2] for row in answer["rows"]]}


def _without(request: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != name}


def _asked(query: str) -> dict[str, Any]:
    error = ""
    # an error is told to the query after it, too: only the second failure is its own
    for _ in range(2):
        try:
            return {"rows": rows_of(_connection().query(query, "JSONCompact").bytes())}
        except Exception as exc:  # noqa: BLE001  # chdb has one class of its own, and others
            error = str(exc)[:200]
    return {"error": error}


if __name__ == "__main__":
    answer_lines(serve)
