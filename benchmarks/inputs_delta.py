"""Delta logs written by hand: thousands of appends through a library would take minutes.

Only the log is written. No reader opens a data file to tell a table's columns.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_TIME: Final = 1_700_000_000_000
_ROW_GROUP: Final = 100_000
_SIDECARS: Final = 10
#: The version of a checkpoint whose commits have expired.
_CHECKPOINT_VERSION: Final = 1_000
_COMMITS_AFTER: Final = 50
_MANIFEST: Final = UUID("3a0d65cd-4056-49b8-937b-95f9e3ee90e5")

_FIELDS: Final = {
    "event_id": "long",
    "user_id": "long",
    "happened_at": "timestamp",
    "day": "date",
    "country": "string",
    "name": "string",
    "amount": "decimal(18,2)",
    "quantity": "integer",
    "score": "double",
    "active": "boolean",
}
_STRINGS: Final = pa.map_(pa.string(), pa.string())
_NAMES: Final = pa.list_(pa.string())
_SCHEMA: Final = pa.schema(
    {
        "txn": pa.struct({"appId": pa.string(), "version": pa.int64()}),
        "add": pa.struct(
            {
                "path": pa.string(),
                "partitionValues": _STRINGS,
                "size": pa.int64(),
                "modificationTime": pa.int64(),
                "dataChange": pa.bool_(),
                "stats": pa.string(),
                "tags": _STRINGS,
            }
        ),
        "remove": pa.struct(
            {
                "path": pa.string(),
                "deletionTimestamp": pa.int64(),
                "dataChange": pa.bool_(),
            }
        ),
        "metaData": pa.struct(
            {
                "id": pa.string(),
                "name": pa.string(),
                "description": pa.string(),
                "format": pa.struct({"provider": pa.string(), "options": _STRINGS}),
                "schemaString": pa.string(),
                "partitionColumns": _NAMES,
                "createdTime": pa.int64(),
                "configuration": _STRINGS,
            }
        ),
        "protocol": pa.struct(
            {
                "minReaderVersion": pa.int32(),
                "minWriterVersion": pa.int32(),
                "readerFeatures": _NAMES,
                "writerFeatures": _NAMES,
            }
        ),
    }
)
_SIDECAR_SCHEMA: Final = pa.schema([_SCHEMA.field("add"), _SCHEMA.field("remove")])


def commits(folder: Path, count: int) -> None:
    """Write a log of `count` commits, each an append of one file, without a checkpoint."""
    log = _log(folder)
    _write(log, 0, _protocol(v2=False), _metadata())
    for version in range(1, count):
        _append(log, version)


def checkpointed(folder: Path, count: int, checkpoints: Iterable[int]) -> None:
    """Write as `commits` does, with a checkpoint at each of these versions."""
    commits(folder, count)
    log = _log(folder)
    for version in checkpoints:
        _checkpoint(log, version, files=version)


def many_files(folder: Path, files: int) -> None:
    """Write a checkpoint of that many files, whose commits have expired, and 50 commits
    after it."""
    log = _log(folder)
    _checkpoint(log, _CHECKPOINT_VERSION, files=files)
    _append_after(log)


def many_files_in_sidecars(folder: Path, files: int) -> None:
    """Write as `many_files` does, with a V2 checkpoint: a Parquet manifest and ten sidecars."""
    log = _log(folder)
    sidecars = [_sidecar(log, number, files // _SIDECARS) for number in range(_SIDECARS)]
    manifest = log / f"{_CHECKPOINT_VERSION:020}.checkpoint.{_MANIFEST}.json"
    lines = [{"checkpointMetadata": {"version": _CHECKPOINT_VERSION}}]
    lines += [_protocol(v2=True), _metadata(), *sidecars]
    manifest.write_text("".join(_line(each) for each in lines))
    _last_checkpoint(log, _CHECKPOINT_VERSION, size=files + len(lines))
    _append_after(log)


def _log(folder: Path) -> Path:
    log = folder / "_delta_log"
    log.mkdir(exist_ok=True)
    return log


def _append_after(log: Path) -> None:
    for version in range(_CHECKPOINT_VERSION + 1, _CHECKPOINT_VERSION + 1 + _COMMITS_AFTER):
        _append(log, version)


def _append(log: Path, version: int) -> None:
    information = {"timestamp": _TIME + version, "operation": "WRITE", "isBlindAppend": True}
    parameters = {"mode": "Append", "partitionBy": "[]"}
    add = {
        "path": f"part-{version:09}-c000.snappy.parquet",
        "partitionValues": {},
        "size": 100_000,
        "modificationTime": _TIME + version,
        "dataChange": True,
        "stats": _stats(version),
    }
    _write(log, version, {"commitInfo": {**information, "operationParameters": parameters}},
           {"add": add})  # fmt: skip


def _stats(number: int) -> str:
    low, high = {"event_id": number * 1000}, {"event_id": number * 1000 + 999}
    nulls = {"event_id": 0, "country": 17}
    return json.dumps({"numRecords": 1000, "minValues": low, "maxValues": high, "nullCount": nulls})


def _write(log: Path, version: int, *actions: dict[str, Any]) -> None:
    (log / f"{version:020}.json").write_text("".join(_line(each) for each in actions))


def _line(action: dict[str, Any]) -> str:
    return json.dumps(action, separators=(",", ":")) + "\n"


def _protocol(*, v2: bool) -> dict[str, Any]:
    features = {"readerFeatures": ["v2Checkpoint"], "writerFeatures": ["v2Checkpoint"]}
    versions = {"minReaderVersion": 3 if v2 else 1, "minWriterVersion": 7 if v2 else 2}
    return {"protocol": versions | (features if v2 else {})}


def _metadata() -> dict[str, Any]:
    fields = [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in _FIELDS.items()
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


def _checkpoint(log: Path, version: int, *, files: int) -> None:
    rows = [_protocol(v2=False), _metadata()]
    for row in rows:
        _maps_as_pairs(row)
    # the actions first, as Spark and delta-rs write them
    table = pa.concat_tables([pa.Table.from_pylist(rows, schema=_SCHEMA), _adds(0, files, _SCHEMA)])
    path = log / f"{version:020}.checkpoint.parquet"
    pq.write_table(table, path, row_group_size=_ROW_GROUP)
    _last_checkpoint(log, version, size=files + len(rows))


def _maps_as_pairs(row: dict[str, Any]) -> None:
    """Make lists of pairs of maps, as pyarrow takes them."""
    if metadata := row.get("metaData"):
        metadata["configuration"] = list(metadata["configuration"].items())
        metadata["format"]["options"] = []


def _last_checkpoint(log: Path, version: int, *, size: int) -> None:
    (log / "_last_checkpoint").write_text(json.dumps({"version": version, "size": size}))


def _sidecar(log: Path, number: int, files: int) -> dict[str, Any]:
    folder = log / "_sidecars"
    folder.mkdir(exist_ok=True)
    path = folder / f"{UUID(int=number + 1)}.parquet"
    pq.write_table(_adds(number * files, files, _SIDECAR_SCHEMA), path, row_group_size=_ROW_GROUP)
    sidecar = {"path": path.name, "sizeInBytes": path.stat().st_size, "modificationTime": _TIME}
    return {"sidecar": sidecar}


def _adds(first: int, count: int, schema: pa.Schema) -> pa.Table:
    numbers = pa.array(range(first, first + count), pa.int64())
    texts = pc.utf8_lpad(numbers.cast(pa.string()), 9, "0")
    paths = pc.binary_join_element_wise("part-", texts, "-c000.snappy.parquet", "")
    head, middle, tail = _stats(7).replace("7999", "{}").replace("7000", "{}").split("{}")
    low, high = (pc.add(pc.multiply(numbers, 1000), plus).cast(pa.string()) for plus in (0, 999))
    add = pa.StructArray.from_arrays(
        [
            paths,
            pa.MapArray.from_arrays(pa.array([0] * (count + 1), pa.int32()), _none(), _none()),
            pa.repeat(pa.scalar(100_000, pa.int64()), count),
            pc.add(numbers, _TIME),
            pa.repeat(False, count),
            pc.binary_join_element_wise(head, low, middle, high, tail, ""),
            pa.nulls(count, _STRINGS),
        ],
        fields=list(_SCHEMA.field("add").type),
    )
    columns = [add if field.name == "add" else pa.nulls(count, field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _none() -> pa.Array:
    return pa.array([], pa.string())
