"""Files for tables to name: small Delta tables."""

import json
from pathlib import Path
from typing import Any, Final

_COLUMNS: Final = 20
_TIME: Final = 1_700_000_000_000
_PROTOCOL: Final = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}
_ADD: Final = {
    "add": {
        "path": "part-0.parquet",
        "partitionValues": {},
        "size": 100,
        "modificationTime": _TIME,
        "dataChange": True,
    }
}


def delta_tables(folder: Path, count: int) -> list[str]:
    """Write that many Delta tables of one commit and twenty columns; their URLs."""
    commit = _lines([_PROTOCOL, _metadata(_COLUMNS), _ADD])
    return [_delta_table(folder / f"delta_{number}", commit) for number in range(count)]


def change_tables(folder: Path, version: int) -> None:
    """Write the next commit of each of these tables, which has one column more."""
    commit = _lines([_metadata(_COLUMNS + version)])
    for log in folder.glob("delta_*/_delta_log"):
        (log / f"{version:020}.json").write_text(commit)


def _delta_table(root: Path, commit: str) -> str:
    log = root / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    (log / f"{0:020}.json").write_text(commit)
    return f"file://{root}"


def _lines(actions: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(action) + "\n" for action in actions)


def _metadata(columns: int) -> dict[str, Any]:
    fields = [
        {"name": f"column_{number}", "type": "string", "nullable": True, "metadata": {}}
        for number in range(columns)
    ]
    return {
        "metaData": {
            "id": "8f1f3b2c-0f4e-4a39-a3a5-0d8c1f1c0001",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": [],
            "configuration": {},
            "createdTime": _TIME,
        }
    }
