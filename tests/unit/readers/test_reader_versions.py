"""Each format's reader has its own version number."""

import io
import json
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stocktake.readers import introspect
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from tests.support.iceberg_tables import as_file, field_of, metadata_of
from tests.support.memory import MemoryObjects
from tests.support.typed_files import arrow_file, arrow_stream, avro_file, avro_record, orc_file
from tests.support.workbooks import cell, ods, xlsx


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array([1], pa.int64())}), sink)
    return sink.getvalue()


def delta_log() -> bytes:
    fields = [{"name": "id", "type": "long", "nullable": True, "metadata": {}}]
    metadata = {
        "id": "0",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
    }
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
    return "\n".join(map(json.dumps, ({"protocol": protocol}, {"metaData": metadata}))).encode()


_TABLE: Final = pa.table({"id": pa.array([1], pa.int64())})

FILES: Final = {
    "ORC": {"t/x.orc": orc_file(_TABLE)},
    "Arrow": {"t/x.arrow": arrow_file(_TABLE)},
    "ArrowStream": {"t/x.arrows": arrow_stream(_TABLE)},
    "Excel": {"t/x.xlsx": xlsx([["id"], [1]])},
    "ODS": {"t/x.ods": ods(cell("string", text="id"), cell("float", "1"))},
    "Avro": {"t/x.avro": avro_file(avro_record(id="long"))},
    "CSV": {"t/x.csv": b"1\n"},
    "CSVWithNames": {"t/x.csv": b"id\n1\n"},
    "Parquet": {"t/x.parquet": parquet()},
    "JSONEachRow": {"t/x.json": b'{"id":1}\n'},
    "Delta": {"t/_delta_log/00000000000000000000.json": delta_log()},
    "DeltaS3Wrapper": {"t/_delta_log/00000000000000000000.json": delta_log()},
    "Iceberg": {"t/metadata/v1.metadata.json": as_file(metadata_of([field_of(1, "id", "long")]))},
}
#: What releases stored when all readers shared one number, which was 2 then.
SHARED_NUMBER: Final = 2
_FILES_STATE: Final = {
    "reader_version": SHARED_NUMBER,
    "options": {},
    "columns": [
        {
            "name": "id",
            "clickhouse": "Nullable(Int64)",
            "hogql": "IntegerDatabaseField",
            "valid": True,
            "nullable": True,
            "override": False,
        }
    ],
    "row_count": 1,
    "truncated": False,
    "budget": [200, 67108864, 60.0],
}
STORED: Final = {
    TableFormat.CSV_WITH_NAMES: _FILES_STATE
    | {
        "kind": "files/CSVWithNames",
        "fingerprint": "3b4e9a7339d391833c285b88926562af65c7a7d4b99dc633a835ec9fa9920f1c",
    },
    TableFormat.JSON_EACH_ROW: _FILES_STATE
    | {
        "kind": "files/JSONEachRow",
        "fingerprint": "440d8a1185496e6a7fb240620785bf9fcc6b4c172d7c08df72a6d14edcda731c",
    },
    TableFormat.DELTA: {
        "reader_version": SHARED_NUMBER,
        "version": 0,
        "etag": "fe5e11a9c2c88ea2d421e5ab77b47fce1823fc446c3bff33608bec4a72c19554",
        "protocol": {"minReaderVersion": 1, "readerFeatures": [], "writerFeatures": []},
        "metadata": {
            "schemaString": '{"type": "struct", "fields": [{"name": "id", "type": "long", '
            '"nullable": true, "metadata": {}}]}',
            "partitionColumns": [],
        },
        "row_count": None,
        "size_bytes": None,
        "file_count": None,
        "counted": False,
    },
}


def source(table_format: TableFormat, state: dict[str, Any] | None = None) -> Source:
    path = "t" if table_format.is_folder else "t/*"
    store = MemoryObjects(FILES[table_format])
    return Source(store=store, path=path, format=table_format, state=state)


def is_read(table_format: TableFormat, state: dict[str, Any]) -> bool:
    """Whether a table that did not change is read afresh."""
    found = introspect(source(table_format, state))
    assert found.coverage.unchanged is not bool(found.columns)
    assert found.coverage.unchanged is not bool(found.coverage.bytes_read)
    return not found.coverage.unchanged


@pytest.mark.parametrize("mended", TableFormat)
def test_a_mended_reader_has_its_own_tables_read_afresh_and_no_others(
    mended: TableFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {each: introspect(source(each)).state for each in TableFormat}
    assert not any(is_read(each, states[each]) for each in TableFormat)

    later = replace(mended.facts, reader_version=mended.facts.reader_version + 1)
    monkeypatch.setattr(mended, "facts", later)

    assert {each for each in TableFormat if is_read(each, states[each])} == {mended}
    # once, and what it then remembers counts
    assert not is_read(mended, introspect(source(mended)).state)


@pytest.mark.parametrize("table_format", STORED)
def test_what_was_stored_under_the_shared_number_counts_until_a_reader_raises_its_own(
    table_format: TableFormat,
) -> None:
    raised = table_format.facts.reader_version > SHARED_NUMBER
    assert is_read(table_format, STORED[table_format]) is raised
