"""Small sources that read well: what the mutations start from."""

import io
import json
import tempfile
from functools import cache
from pathlib import Path

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


@cache
def delta_logs() -> list[Files]:
    logs = []
    for write in (_plain, _checkpointed, _upgraded):
        with tempfile.TemporaryDirectory() as folder:
            write(HandWrittenLog(Path(folder)))
            found = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
            logs.append({path.relative_to(folder).as_posix(): path.read_bytes() for path in found})
    return logs


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
    ]


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
