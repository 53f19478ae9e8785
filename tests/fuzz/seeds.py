"""Small sources that read well: what the mutations start from."""

import io
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.delta_tables import (
    HandWrittenLog,
    add_action,
    checkpoint_name,
    field_of,
    metadata_action,
    protocol_action,
)
from tests.support.iceberg_tables import (
    as_file,
    list_of,
    map_of,
    metadata_of,
    snapshot_of,
    struct_of,
)
from tests.support.iceberg_tables import field_of as field_of_iceberg
from tests.support.parquet_schemas import (
    BYTES,
    INT32,
    LIST,
    MAP,
    REPEATED,
    UTF8,
    group,
    leaf,
    parquet_file,
)

Files = dict[str, bytes]

ID, NOTE = field_of("id", "long", nullable=False), field_of("note", "string")
DEEP = field_of(
    "deep",
    {"type": "array", "containsNull": True, "elementType": {
        "type": "struct", "fields": [field_of("a", "decimal(10,2)"), field_of("b", {
            "type": "map", "keyType": "string", "valueType": "double", "valueContainsNull": True,
        })],
    }},
)  # fmt: skip


def _plain(log: HandWrittenLog) -> None:
    log.create(ID, NOTE)
    log.appends(1, 2)
    log.commit(3, metadata_action(ID, NOTE, DEEP, partitions=["note"]))


def _checkpointed(log: HandWrittenLog) -> None:
    log.create(ID)
    log.appends(1)
    log.commit(2, metadata_action(ID, NOTE))
    log.checkpoint(checkpoint_name(2), protocol_action(), metadata_action(ID, NOTE), files=3)
    log.last_checkpoint({"version": 2, "size": 5})
    log.appends(3)


def _upgraded(log: HandWrittenLog) -> None:
    mapped = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}
    log.create(ID)
    log.commit(1, protocol_action(2, 5), metadata_action(field_of("order", "long", **mapped)))
    features = {"readerFeatures": ["columnMapping"], "writerFeatures": ["columnMapping"]}
    log.commit(2, protocol_action(3, 7, **features), add_action(stats='{"numRecords":3}'))


def _with_all_that_is_optional(log: HandWrittenLog) -> None:
    log.create(ID)
    log.commit(1, metadata_action(ID, NOTE), add_action("a", stats='{"numRecords":3}'))
    protocol, latest = protocol_action(), metadata_action(ID, NOTE, DEEP)
    log.commit(2, json.dumps(latest, indent=1))
    log.appends(3, 4)
    log.commit(5, {"commitInfo": {"txnId": "t"}}, {**add_action("b"), "remove": None})
    # None of the checkpoints has the newest schema, and so none can say it alone.
    for name in (
        checkpoint_name(1),
        f"{1:020}.checkpoint.{1:010}.{2:010}.parquet",
        f"{1:020}.checkpoint.{2:010}.{2:010}.parquet",
        f"{1:020}.checkpoint.0b2d8f2e-7d8a-4b36-9a52-6a9c2b9f0a01.parquet",
    ):
        log.checkpoint(name, protocol, metadata_action(ID, NOTE), files=3)
    log.write(f"{0:020}.{5:020}.compacted.json", protocol, latest, add_action("b"))
    log.write(f"{2:020}.{4:020}.compacted.json", latest)
    checksum = {"protocol": protocol["protocol"], "metadata": latest["metaData"], "txnId": "t"}
    log.write(f"{5:020}.crc", {"tableSizeBytes": 200, "numFiles": 2, **checksum})
    log.last_checkpoint({"version": 1, "size": 5, "parts": 2})


@cache
def delta_logs() -> list[Files]:
    return [_written(write) for write in (_plain, _checkpointed, _upgraded)]


@cache
def delta_log_with_all_that_is_optional() -> Files:
    return _written(_with_all_that_is_optional)


def _written(write: Callable[[HandWrittenLog], None]) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        write(HandWrittenLog(Path(folder)))
        found = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _dump(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@cache
def parquet_files() -> list[bytes]:
    flat = pa.table({"id": [1, 2], "name": ["a", None], "at": pa.array([1, 2], pa.timestamp("us"))})
    nested = pa.table({"l": [[{"a": 1, "b": [True]}]], "m": pa.array([[("k", 1.5)]],
                      pa.map_(pa.string(), pa.float64()))})  # fmt: skip
    return [
        _dump(flat),
        _dump(flat, store_schema=False, row_group_size=1),
        _dump(nested, store_schema=False),
        _dump(pa.table({"d": pa.array([1], pa.decimal128(9, 2)), "u": pa.array([1], pa.uint16())})),
        # what is put right before pyarrow sees it
        parquet_file(group("m", group("key_value", leaf("key", BYTES, UTF8), leaf("value", INT32),
                     repetition=REPEATED), converted=MAP)),
        parquet_file(group("l", group("array", leaf("a", INT32), repetition=REPEATED),
                     converted=LIST), leaf("r", INT32, repetition=REPEATED)),
    ]  # fmt: skip


def _iceberg() -> list[dict[str, Any]]:
    number, note = (
        field_of_iceberg(1, "id", "long", required=True),
        field_of_iceberg(2, "n", "string"),
    )
    inner = struct_of(
        field_of_iceberg(6, "a", "decimal(10, 2)"), field_of_iceberg(7, "b", "fixed[4]")
    )
    deep = field_of_iceberg(3, "deep", list_of(4, map_of(8, "string", inner, required=True)))
    snapshots = [snapshot_of(2**60 + 1), snapshot_of(2**60 + 3, schema=1)]
    spec = [{"source-id": 2, "field-id": 1000, "name": "n", "transform": "identity"}]
    older = {"schema": struct_of(number, note), "partition-spec": spec}
    return [
        metadata_of([number, note]),
        metadata_of(
            [number],
            [note, number, deep],
            snapshots=snapshots,
            current_snapshot_id=2**60 + 3,
            partition_specs=[{"spec-id": 0, "fields": spec}],
        ),
        metadata_of([number, note], format_version=1, refs=None, **older),
        metadata_of([number, field_of_iceberg(5, "at", "timestamptz_ns")], format_version=3),
    ]


ICEBERG = [as_file(each) for each in _iceberg()]

CSV = [
    b"id,name,at\n1,a,2024-01-01\n2,b,2024-01-02\n",
    b'id,"a, b",x\r\n1,"x ""y""\nz",1.5\r\n\\N,,true\r\n',
    b'k,list,map\na,"[1,2]","{\'a\':1}"\nb,"[]","{}"\n',
    b"t,u\n2024-01-01 10:00:00,31 Jan 2024\n2024-01-01T10:00:00.5Z,01/31/2024\n",
]

_RECORDS = [
    {"id": 1, "name": "a", "at": "2024-01-01", "tags": ["x"], "o": {"a": 1.5, "b": None}},
    {"id": 2, "name": None, "at": "2024-01-01 10:00:00", "tags": [], "o": {"a": 2, "c": [1]}},
]
JSON = [
    "".join(json.dumps(record) + "\n" for record in _RECORDS).encode(),
    json.dumps(_RECORDS, indent=1).encode(),
    b'{"n":18446744073709551615,"b":true}\n{"n":-1,"b":1}\n{"m":[[1],[2.5]],"e":"\\u00e9"}\n',
]
