"""The CSV reader beside ClickHouse: dialect, header, faults, options, budgets, validation."""

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import (
    EmptySourceError,
    FormatMismatchError,
    InvalidSourceError,
    LimitExceededError,
    RaggedRowsError,
    UnsupportedError,
)
from stocktake.readers.source import (
    ColumnCheck,
    Introspection,
    Limits,
    Source,
    Validation,
    no_progress,
)
from stocktake.readers.text.csv import reader as csv
from stocktake.readers.text.csv.dialect import Dialect
from stocktake.readers.text.csv.lines import Lines
from stocktake.readers.text.decoding import Text
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.storage.stores.opening import LocalObjects
from tests.support.memory import MemoryObjects


def source_of(
    files: bytes | dict[str, bytes],
    table_format: TableFormat = TableFormat.CSV_WITH_NAMES,
    **options: Any,
) -> Source:
    named = {"a.csv": files} if isinstance(files, bytes) else files
    return Source(store=MemoryObjects(named), path="**", format=table_format, options=options)


def read(source: Source, limits: Limits | None = None) -> Introspection:
    return csv.read(source, limits or Limits(), no_progress)


def types(source: Source, limits: Limits | None = None) -> dict[str, str]:
    return {column.name: column.clickhouse for column in read(source, limits).columns}


def validate(source: Source, *columns: tuple[str, str], limits: Limits | None = None) -> Validation:
    made = tuple(Column.of(name, clickhouse) for name, clickhouse in columns)
    return csv.validate(source, made, limits or Limits(), no_progress)


# --- dialect and header -------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_delimiter_is_sniffed(delimiter: str) -> None:
    data = "a,b\n1,x\n2,y\n".replace(",", delimiter).encode()
    assert types(source_of(data)) == {"a": "Nullable(Int64)", "b": "Nullable(String)"}


def test_delimiter_inside_numbers_loses_against_the_one_between_them() -> None:
    assert [*types(source_of(b"a;b\n1,5;2\n1;2,5\n"))] == ["a", "b"]


def test_option_names_the_delimiter_against_the_sniffer() -> None:
    assert [*types(source_of(b"a;b,c\n1;2,3\n", csv_delimiter=";"))] == ["a", "b,c"]


def test_option_names_the_quote() -> None:
    data = b"a,b\n'x,y',1\n"
    assert types(source_of(data, csv_quote="'"))["b"] == "Nullable(Int64)"
    with pytest.raises(RaggedRowsError):
        read(source_of(data))


def test_quotes_may_be_switched_off() -> None:
    data = b'a,b\n"x,y"\n'
    assert types(source_of(data, csv_allow_double_quotes=False))["b"] == "Nullable(String)"


def test_null_values_of_the_option_are_nulls() -> None:
    assert types(source_of(b"a\n1\nNA\n-\n", csv_null_values=["NA", "-"])) == {
        "a": "Nullable(Int64)"
    }


def test_option_of_two_characters_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="csv_delimiter"):
        read(source_of(b"a\n1\n", csv_delimiter="::"))


def test_csv_numbers_its_columns() -> None:
    assert types(source_of(b"1,x\n2,y\n", TableFormat.CSV)) == {
        "c1": "Nullable(Int64)",
        "c2": "Nullable(String)",
    }


def test_option_says_whether_there_is_a_header() -> None:
    assert [*types(source_of(b"a\n1\n", TableFormat.CSV, csv_header=True))] == ["a"]
    assert [*types(source_of(b"a\n1\n", csv_header=False))] == ["c1"]


def test_header_names_are_trimmed_and_unquoted() -> None:
    assert [*types(source_of(b' a ,"b ""c""",\n1,2,3\n'))] == ["a", 'b "c"', "c3"]


def test_name_with_a_nul_is_refused() -> None:
    with pytest.raises(InvalidSourceError, match="cannot be stored"):
        read(source_of(b"a\x00,b\n1,2\n"))


# --- faults -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"a,b\n1,2\n1,2,3\n", 3),
        (b"a,b\n1\n", 2),
        (b'a,b\n"x\ny",2\n1\n', 4),
    ],
)
def test_ragged_row_is_named_by_file_and_line(data: bytes, line: int) -> None:
    with pytest.raises(RaggedRowsError, match=rf"a\.csv, line {line},") as caught:
        read(source_of(data))
    assert caught.value.detail.startswith(
        "The provided file has rows with different amount of values"
    )
    assert caught.value.file == "a.csv"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_file_without_a_record_is_empty(data: bytes) -> None:
    with pytest.raises(EmptySourceError, match="contains no data"):
        read(source_of(data))


def test_header_alone_gives_texts_and_no_rows() -> None:
    found = read(source_of(b"a,b\n"))
    assert [column.clickhouse for column in found.columns] == ["Nullable(String)"] * 2
    assert found.row_count == 0


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b"PAR1\x15\x04", "Parquet"),
        (b"PK\x03\x04\x14\x00" + bytes(24) + b"[Content_Types].xml", "xlsx"),
        (b'{"a": 1}\n{"a": 2}\n', "JSON"),
        (b'[{"a": 1}]', "JSON"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (gzip.compress(b"PAR1\x15\x04", mtime=0), "Parquet"),
    ],
)
def test_foreign_format_is_named(data: bytes, looks_like: str) -> None:
    with pytest.raises(FormatMismatchError, match=looks_like):
        read(source_of(data))


def test_delta_folder_is_named() -> None:
    store = MemoryObjects({"t/_delta_log/00000000000000000000.json": b"{}", "t/a.parquet": b"x"})
    for path in ("t", "t/**"):
        with pytest.raises(FormatMismatchError, match="Delta"):
            read(Source(store=store, path=path, format=TableFormat.CSV))


def test_header_that_begins_like_a_magic_number_is_no_foreign_format() -> None:
    assert [*types(source_of(b"ORC,PAR1\n1,2\n"))] == ["ORC", "PAR1"]


def test_line_above_the_limit_is_refused() -> None:
    limits = Limits(max_line_bytes=1000)
    for data in (b"a\n" + b"x" * 1001 + b"\n1\n", b'a\n"' + b"x\n" * 501 + b'"\n'):
        with pytest.raises(LimitExceededError, match="line 2, is longer than 1,000 bytes"):
            read(source_of(data), limits)


def test_more_columns_than_allowed_are_refused() -> None:
    with pytest.raises(LimitExceededError, match="MAX_COLUMNS"):
        read(source_of(b"a,b,c\n"), Limits(max_columns=2))


# --- sample -------------------------------------------------------------------------------


def test_whole_file_in_the_sample_counts_its_rows() -> None:
    found = read(source_of(b'a,b\n1,"x\ny"\n2,z'))
    assert (found.row_count, found.coverage.truncated) == (2, False)


def test_cut_sample_leaves_out_the_broken_line_and_the_row_count() -> None:
    data = b"a,b\n" + b"1,2\n" * 100 + b"text,2\n"
    source = source_of(data, sample_bytes=10)
    found = read(source)
    assert [column.clickhouse for column in found.columns] == ["Nullable(Int64)"] * 2
    assert found.row_count is None
    assert found.coverage.truncated
    assert found.coverage.bytes_read == 10


def test_sample_without_a_whole_line_takes_as_much_as_a_line_may_have() -> None:
    assert [*types(source_of(b"a_long_name,b\n1,2\n", sample_bytes=4))] == ["a_long_name", "b"]


def test_known_source_is_not_opened_again() -> None:
    source = source_of(b"a\n1\n")
    first = read(source)
    again = Source(store=source.store, path=source.path, format=source.format, state=first.state)
    assert read(again).coverage.unchanged
    assert read(again).columns == ()


def test_files_are_united_by_name_and_a_column_of_nulls_takes_the_others_type() -> None:
    files = {"1.csv": b"a,b\n1,\n", "2.csv": b"b,c\n5,x\n", "3.csv": b"a\n1.5\n", "4.csv": b""}
    found = read(source_of(files))
    assert {column.name: column.clickhouse for column in found.columns} == {
        "a": "Nullable(Float64)",
        "b": "Nullable(Int64)",
        "c": "Nullable(String)",
    }
    assert (found.row_count, found.coverage.files_read) == (3, 4)


def test_partitions_of_the_path_are_columns() -> None:
    found = read(source_of({"day=2024-01-01/a.csv": b"a\n1\n"}))
    assert [(column.name, column.partition) for column in found.columns] == [
        ("a", False),
        ("day", True),
    ]


def test_type_is_found_in_the_second_block_of_rows() -> None:
    data = b"a,b\n" + b"1,\n" * 5000 + b"1.5,2024-01-01\n"
    assert types(source_of(data)) == {"a": "Nullable(Float64)", "b": "Nullable(Date)"}


def test_field_with_the_inner_separator_is_not_taken_for_two() -> None:
    assert types(source_of(b"a\n1\x1f2\n")) == {"a": "Nullable(String)"}


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r")), min_size=2,
                 max_size=2),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_quoted_rows_come_back_as_they_were_written(rows: list[list[str]]) -> None:
    text = "\n".join(
        ",".join('"' + field.replace('"', '""') + '"' for field in row) for row in rows
    )
    dialect = Dialect()
    lines = Lines(Text(path="x", chunks=iter([text]), complete=True), Limits())
    blocks = dialect.blocks(lines, path="x", limits=Limits(), complete=True)
    got = [[dialect.unquote(field)[0] for field in row] for block in blocks for row in block.rows]
    assert got == rows


# --- validation ---------------------------------------------------------------------------


def test_validation_names_the_first_line_that_breaks_a_type() -> None:
    files = {"2.csv": b"a,b\n1,x\nbad,x\n", "1.csv": b'a,b\n1,"x\ny"\n1.5,x\n1.5,x\n'}
    found = validate(source_of(files), ("a", "Nullable(Int64)"), ("b", "Nullable(String)"))
    assert found.checks == (
        ColumnCheck(name="a", valid=False, file="1.csv", line=4, found="Float64"),
        ColumnCheck(name="b", valid=True),
    )
    assert found.row_count == 5


def test_validation_reads_beyond_every_sample() -> None:
    data = b"a\n" + b"1\n" * 700_000 + b"x\n"
    found = validate(source_of(data, sample_bytes=10), ("a", "Nullable(Int64)"))
    assert (found.checks[0].line, found.row_count) == (700_002, 700_001)


def test_validation_leaves_the_state_of_the_refresh_it_follows() -> None:
    source = source_of(b"a\n1\n")
    found = validate(source, ("a", "Nullable(Int64)"))
    assert found.state["fingerprint"] == read(source).state["fingerprint"]


def test_validation_of_a_file_cut_short_fails() -> None:
    data = gzip.compress(b"a\n" + os.urandom(3000).hex().encode())
    with pytest.raises(InvalidSourceError, match="breaks off"):
        validate(source_of(data[:-100]), ("a", "Nullable(String)"))


def test_validation_of_ragged_rows_fails_with_the_line() -> None:
    with pytest.raises(RaggedRowsError, match="line 3,"):
        validate(source_of(b"a,b\n1,2\n1\n"), ("a", "Nullable(Int64)"))


def test_missing_column_and_partition_count_as_valid() -> None:
    source = source_of({"day=1/a.csv": b"a\n1\n"})
    partition = Column.of("day", "Nullable(Date)", partition=True)
    gone = Column.of("gone", "Nullable(Int64)")
    checks = csv.validate(source, (partition, gone), Limits(), no_progress).checks
    assert [check.valid for check in checks] == [True, True]


def test_validation_tells_its_progress() -> None:
    told: list[tuple[str, int, int | None]] = []
    csv.validate(
        source_of({"1.csv": b"a\n1\n", "2.csv": b"a\n1\n"}),
        (),
        Limits(),
        lambda *args: told.append(args),
    )
    assert told[0] == ("validate", 0, 2)
    assert told[-1] == ("validate", 2, 2)


CORPUS = os.environ.get("STOCKTAKE_CORPUS")


@pytest.mark.skipif(not CORPUS, reason="STOCKTAKE_CORPUS names no folder of files by others")
@pytest.mark.parametrize("name", ["airports", "seattle-weather", "stocks", "us-employment"])
def test_inferred_types_hold_over_real_files(name: str) -> None:
    store = LocalObjects(Path(str(CORPUS)) / "csv")
    source = Source(store=store, path=f"{name}.csv", format=TableFormat.CSV_WITH_NAMES)
    found = read(source)
    checked = csv.validate(source, found.columns, Limits(), no_progress)
    assert found.columns
    assert all(check.valid for check in checked.checks)
    assert checked.row_count == found.row_count


@pytest.mark.parametrize("data", [b"a,b\r1,2\n", b'"a","b"\r"1","2"\n'])
@pytest.mark.parametrize("table_format", [TableFormat.CSV, TableFormat.CSV_WITH_NAMES])
def test_lines_that_end_in_this_and_in_that_are_refused(
    table_format: TableFormat, data: bytes
) -> None:
    source = Source(store=MemoryObjects({"x": data}), path="x", format=table_format)
    with pytest.raises(InvalidSourceError, match="line 1: a carriage return without") as caught:
        csv.read(source, Limits(), no_progress)
    assert caught.value.file == "x"


def test_lines_longer_than_a_share_are_read_within_the_budget() -> None:
    line = b"x" * 100_000 + b"\n1\n"
    source = source_of({f"{number:02}.csv": line for number in range(40)})
    store = source.store
    assert isinstance(store, MemoryObjects)
    limits = Limits(max_bytes=1 << 20, max_name_length=100_000)
    found = read(source, limits)
    assert found.coverage.truncated
    assert found.coverage.bytes_read == sum(size for _, size in store.reads)
    # of one file at least the first line is read
    assert found.coverage.bytes_read < limits.max_bytes + len(line) + 65_536
    assert [column.name for column in found.columns] == ["x" * 100_000]
