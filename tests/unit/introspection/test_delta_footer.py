"""Reading column chunks off a Parquet footer, against what pyarrow says of sound files."""

import contextlib
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.introspection.delta_footer import column_chunks


def footer_of(data: bytes) -> bytes:
    length = int.from_bytes(data[-8:-4], "little")
    return data[-8 - length : -8]


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

    found = column_chunks(footer_of(data))

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
    nulls = {(c.row_group, c.path) for c in column_chunks(footer_of(SOUND)) if c.all_null}
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
    assert {chunk.row_group for chunk in column_chunks(footer_of(SOUND), until)} == groups


def test_without_statistics_no_row_group_is_left_out() -> None:
    data = written(TABLE, row_group_size=2, write_statistics=False)
    assert {c.row_group for c in column_chunks(footer_of(data), ["number"])} == {0, 1, 2}


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        column_chunks(data)


@given(st.integers(0, len(footer_of(SOUND)) - 1), st.integers(0, 255))
def test_any_changed_byte_is_refused_or_read(at: int, byte: int) -> None:
    footer = bytearray(footer_of(SOUND))
    footer[at] = byte
    with contextlib.suppress(ValueError):
        column_chunks(bytes(footer))


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
        column_chunks(data)
