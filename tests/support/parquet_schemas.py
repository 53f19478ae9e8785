"""Parquet files spelt out element by element, as other writers leave them: what pyarrow does not
write, it still meets."""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.readers.parquet.footer import (
    Footer,
    after,
    footer_of,
    list_header,
    number,
    schema_range,
    struct_list,
)

# physical types, repetitions and converted types of parquet.thrift
BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTES, FIXED = range(8)
REQUIRED, OPTIONAL, REPEATED = range(3)
UTF8, MAP, MAP_KEY_VALUE, LIST, ENUM, DECIMAL, DATE, TIME_MILLIS, TIME_MICROS = range(9)
TIMESTAMP_MILLIS, TIMESTAMP_MICROS, UINT_8, UINT_16, UINT_32, UINT_64 = range(9, 15)
INT_8, INT_16, INT_32, INT_64, JSON, BSON, INTERVAL = range(15, 22)

Element = dict[int, Any]


def varint(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def compact(value: Any) -> tuple[int, bytes]:
    """Thrift's compact protocol: the kind of a value, and its bytes."""
    match value:
        case bool():
            return (1 if value else 2), b""
        case int():
            return 5, varint(value << 1 ^ value >> 31)
        case str():
            return 8, varint(len(value.encode())) + value.encode()
        case bytes():  # one byte as it is
            return 3, value
        case dict():
            return 12, struct(value)
    raise TypeError(value)


def struct(fields: dict[int, Any]) -> bytes:
    written, last = b"", 0
    for field_id, value in fields.items():
        kind, data = compact(value)
        step = field_id - last
        header = bytes([step << 4 | kind]) if step < 16 else bytes([kind]) + varint(field_id << 1)
        written += header + data
        last = field_id
    return written + b"\0"


def leaf(
    name: str,
    physical: int,
    converted: int | None = None,
    logical: Element | None = None,
    *,
    repetition: int = OPTIONAL,
    length: int | None = None,
    scale: int | None = None,
    precision: int | None = None,
) -> Element:
    said = {
        1: physical,
        2: length,
        3: repetition,
        4: name,
        6: converted,
        7: scale,
        8: precision,
        10: logical,
    }
    return {key: value for key, value in said.items() if value is not None}


def group(
    name: str, *children: list[Element] | Element, converted: int | None = None,
    repetition: int = OPTIONAL, logical: Element | None = None,
) -> list[Element]:  # fmt: skip
    said = {3: repetition, 4: name, 5: len(children), 6: converted, 10: logical}
    flat = [one for each in children for one in (each if isinstance(each, list) else [each])]
    return [{key: value for key, value in said.items() if value is not None}, *flat]


def elements(*columns: list[Element] | Element) -> bytes:
    """The list of a schema's elements."""
    flat = [one for each in columns for one in (each if isinstance(each, list) else [each])]
    listed = [{4: "schema", 5: len(columns)}, *flat]
    assert len(listed) < 128
    return bytes([0xFC, len(listed)]) + b"".join(map(struct, listed))


def parquet_file(*columns: list[Element] | Element, after: bytes = b"") -> bytes:
    """A file of these columns and no rows."""
    footer = b"\x15\x02\x19" + elements(*columns) + b"\x16\0\x19\x0c\0" + after
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def under(table: pa.Table, *columns: list[Element] | Element) -> bytes:
    """The pages of a table under another schema, whose levels must be the same."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", store_schema=False)
    data = sink.getvalue()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    start, end = schema_range(footer)
    changed = footer[:start] + elements(*columns) + footer[end:]
    return data[: -8 - length] + changed + len(changed).to_bytes(4, "little") + b"PAR1"


def with_row_groups(data: bytes, groups: Sequence[int], rows: int) -> bytes:
    """A file whose footer names these of its row groups, whatever bytes they share."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = Footer(data[-8 - length : -8])
    footer.column_chunks()
    named = footer.narrowed(groups)
    _, end = schema_range(named)
    forged = named[: end + 1] + number(2 * rows) + named[end + 2 :]
    return data[: -8 - length] + forged + len(forged).to_bytes(4, "little") + b"PAR1"


def with_one_chunk_more(data: bytes) -> bytes:
    """A file whose first row group, the only one that is left, has a column that no schema has."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = Footer(data[-8 - length : -8])
    footer.column_chunks()
    named = footer.narrowed([0])
    start, end = schema_range(named)
    group = named[end + 4 : -1]
    count, kind, at = list_header(group, 1)
    chunks = [group[at : (at := after(group, at, kind, 0))] for _ in range(count)]
    forged = footer_of(
        named[start:end], [group[:1] + struct_list([*chunks, chunks[-1]]) + group[at:]]
    )
    return data[: -8 - length] + forged + len(forged).to_bytes(4, "little") + b"PAR1"
