"""Reading parts of a Parquet footer, against what pyarrow says of sound files."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.readers.parquet.footer import (
    ColumnChunk,
    Footer,
    IncompleteError,
    footer_of,
    row_count,
    schema_range,
)


def parquet_footer(data: bytes) -> bytes:
    length = int.from_bytes(data[-8:-4], "little")
    return data[-8 - length : -8]


def schema_file(schema: bytes) -> io.BytesIO:
    footer = footer_of(schema)
    return io.BytesIO(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")


def chunks_of(data: bytes, until: Sequence[str] = ()) -> list[ColumnChunk]:
    return Footer(parquet_footer(data)).column_chunks(until)


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


TABLE = pa.table(
    {
        "number": pa.array([1, 2, None, None, None, None], pa.int32()),
        "text": pa.array([None, None, "a", "a", None, None], pa.string()),
        "list": pa.array([[], None, [True], [None], None, []], pa.list_(pa.bool_())),
        "nested": pa.array([{"x": i} for i in range(6)], pa.struct({"x": pa.float64()})),
    }
)
SOUND = written(TABLE, row_group_size=2, write_page_index=True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 2},
        {"row_group_size": 2, "use_dictionary": False, "write_page_index": True},
        {"row_group_size": 1, "write_statistics": False},
    ],
)
def test_chunks_are_the_ones_that_pyarrow_reads(options: dict[str, Any]) -> None:
    data = written(TABLE, **options)
    metadata = pq.read_metadata(io.BytesIO(data))

    found = chunks_of(data)

    expected = []
    for index in range(metadata.num_row_groups):
        for leaf in range(metadata.num_columns):
            chunk = metadata.row_group(index).column(leaf)
            starts = [chunk.data_page_offset]
            if chunk.has_dictionary_page:
                starts.append(chunk.dictionary_page_offset)
            nulls = chunk.statistics.null_count if chunk.statistics else None
            expected.append(
                (index, chunk.path_in_schema, min(starts), chunk.total_compressed_size,
                 nulls == chunk.num_values)
            )  # fmt: skip
    assert [(c.row_group, c.path, c.start, c.size, c.all_null) for c in found] == expected


def test_row_group_of_nulls_is_known_by_its_statistics() -> None:
    nulls = {(c.row_group, c.path) for c in chunks_of(SOUND) if c.all_null}
    assert {(1, "number"), (2, "number"), (0, "text"), (2, "text")} <= nulls
    assert not {(0, "number"), (1, "text")} & nulls


@pytest.mark.parametrize(
    ("until", "groups"),
    [
        (["number"], {0}),
        (["text"], {0, 1}),
        (["text", "number"], {0, 1}),
        (["absent", "number"], {0, 1, 2}),
        ([], {0, 1, 2}),
    ],
)
def test_row_groups_after_the_values_that_are_looked_for_are_left_out(
    until: list[str], groups: set[int]
) -> None:
    assert {chunk.row_group for chunk in chunks_of(SOUND, until)} == groups


def test_without_statistics_no_row_group_is_left_out() -> None:
    data = written(TABLE, row_group_size=2, write_statistics=False)
    assert {c.row_group for c in chunks_of(data, ["number"])} == {
        0,
        1,
        2,
    }


def test_schema_and_rows_are_those_of_the_whole_footer() -> None:
    footer = parquet_footer(SOUND)
    start, end = schema_range(footer)
    alone = schema_file(footer[start:end])
    with_arrow_schema = pq.read_schema(io.BytesIO(SOUND)).remove_metadata()
    assert pq.read_schema(alone).equals(with_arrow_schema)
    assert row_count(footer, end) == TABLE.num_rows


def test_schema_is_incomplete_until_its_last_byte_is_here() -> None:
    footer = parquet_footer(SOUND)
    _, end = schema_range(footer)
    for length in range(end):
        with pytest.raises(IncompleteError):
            schema_range(footer[:length])
    assert schema_range(footer[:end])[1] == end
    with pytest.raises(IncompleteError):
        row_count(footer[:end], end)


@pytest.mark.parametrize("groups", [[0], [1], [0, 2], [0, 1, 2]])
def test_narrowed_footer_reads_as_the_row_groups_it_keeps(groups: list[int]) -> None:
    whole = Footer(parquet_footer(SOUND))
    whole.column_chunks()
    footer = whole.narrowed(groups)
    sink = io.BytesIO(SOUND + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    rows = pq.ParquetFile(io.BytesIO(SOUND)).read_row_groups(groups).to_pylist()
    assert pq.ParquetFile(sink).read().to_pylist() == rows


def test_footer_narrowed_to_many_row_groups() -> None:
    data = written(pa.table({"a": range(200)}), row_group_size=1)
    whole = Footer(parquet_footer(data))
    whole.column_chunks()
    footer = whole.narrowed(range(5, 200))
    sink = io.BytesIO(data + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    assert pq.ParquetFile(sink).read()["a"].to_pylist() == list(range(5, 200))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        Footer(data).column_chunks()
    with contextlib.suppress(ValueError):
        schema_range(data)
    with contextlib.suppress(ValueError):
        row_count(data, 0)


@given(st.integers(0, len(parquet_footer(SOUND)) - 1), st.integers(0, 255))
def test_any_changed_byte_is_refused_or_read(at: int, byte: int) -> None:
    footer = bytearray(parquet_footer(SOUND))
    footer[at] = byte
    with contextlib.suppress(ValueError):
        Footer(bytes(footer)).column_chunks()
    with contextlib.suppress(ValueError):
        row_count(bytes(footer), schema_range(bytes(footer))[1])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x4c",  # field 4 is a struct and not a list
        b"\x49\xfc\xff\xff\xff\xff\x07",  # a list of two thousand million structs
        b"\x1b\xff\xff\xff\xff\x07\x11",  # a map of as many pairs of booleans
        b"\x18\xff\xff\xff\xff\x0f",  # a string of four gigabytes
        b"\x16" + b"\xff" * 20,  # a number without an end
        b"\x1c" * 5000,  # structs in structs
    ],
)
def test_forged_footer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"footer|nested|number"):
        Footer(data).column_chunks()
    with pytest.raises(ValueError, match=r"footer|nested|number"):
        schema_range(data)
