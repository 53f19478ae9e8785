"""Files of the formats that carry their types, made of schemas and tables."""

import io
from collections.abc import Iterable
from typing import Any

import fastavro
import pyarrow as pa
from pyarrow import ipc, orc

from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Limits, Source
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects


def arrow_file(table: pa.Table | pa.Schema, **options: Any) -> bytes:
    return _ipc(ipc.new_file, table, options)


def arrow_stream(table: pa.Table | pa.Schema, **options: Any) -> bytes:
    return _ipc(ipc.new_stream, table, options)


def _ipc(new: Any, table: pa.Table | pa.Schema, options: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    schema = table if isinstance(table, pa.Schema) else table.schema
    with new(sink, schema, options=ipc.IpcWriteOptions(**options)) as writer:
        if isinstance(table, pa.Table):
            writer.write_table(table)
    return sink.getvalue()


def orc_file(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    orc.write_table(table, sink, **options)
    return sink.getvalue()


def avro_file(schema: Any, records: Iterable[Any] = (), **options: Any) -> bytes:
    sink = io.BytesIO()
    fastavro.writer(sink, schema, records, **options)
    return sink.getvalue()


def avro_record(**types: Any) -> dict[str, Any]:
    """The schema of records with these fields."""
    fields = [{"name": name, "type": type_} for name, type_ in types.items()]
    return {"type": "record", "name": "row", "fields": fields}


def look(data: bytes, table_format: TableFormat, limits: Limits | None = None) -> Introspection:
    """What is read of one file, which is called x."""
    return introspect(source_of(table_format, x=data), limits)


def source_of(table_format: TableFormat, **files: bytes) -> Source:
    """The files as a source."""
    path = next(iter(files)) if len(files) == 1 else "*"
    return Source(store=MemoryObjects(files), path=path, format=table_format)


def shown(found: Introspection) -> dict[str, str]:
    return {column.name: column.clickhouse for column in found.columns}
