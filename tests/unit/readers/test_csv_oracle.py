"""What CSV values become, held against ClickHouse on the same bytes."""

from pathlib import Path

import pytest

from stocktake.readers.source import Limits, Source, no_progress
from stocktake.readers.text.csv import reader as csv
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects
from tests.support.oracle import Case, describe

#: The values of a column, one row each, and their type.
TYPES = [
    (["1", "-7"], "Nullable(Int64)"),
    (["9223372036854775808"], "Nullable(UInt64)"),
    (["1.5"], "Nullable(Float64)"),
    (["inf"], "Nullable(Float64)"),
    (["nan"], "Nullable(Float64)"),
    (["1e10"], "Nullable(String)"),
    (["2024-01-01"], "Nullable(Date)"),
    (["2024-01-01 10:00:00"], "Nullable(DateTime)"),
    (["2024-01-01T10:00:00"], "Nullable(DateTime)"),
    (["2024-01-01T10:00:00Z"], "Nullable(DateTime)"),
    (["2024-01-01 10:00:00+02:00"], "Nullable(DateTime)"),
    (["2024-01-01 10:00:00 UTC"], "Nullable(DateTime)"),
    (["2024-01-01 10:00:00.123"], "Nullable(DateTime64(9))"),
    (["01/31/2024"], "Nullable(DateTime)"),
    (["31 Jan 2024"], "Nullable(DateTime)"),
    (["31.01.2024"], "Nullable(String)"),
    (["20240131"], "Nullable(Int64)"),
    (["2024-01-01\x0b"], "Nullable(String)"),
    (["2024-01-01\xa0"], "Nullable(String)"),
    (["2024-01-01\t"], "Nullable(Date)"),
    (["true", "false"], "Nullable(Bool)"),
    (["TRUE"], "Nullable(String)"),
    (["True"], "Nullable(String)"),
    (["yes"], "Nullable(String)"),
    (["t"], "Nullable(String)"),
    (["0", "1"], "Nullable(Int64)"),
    (['"1"'], "Nullable(String)"),
    (['"1.5"'], "Nullable(String)"),
    (['"true"'], "Nullable(String)"),
    (["\\N", "1"], "Nullable(Int64)"),
    (["1", ""], "Nullable(Int64)"),
    (["\\N", "\\N"], "Nullable(String)"),
    (["NULL"], "Nullable(String)"),
    (["NA"], "Nullable(String)"),
    (["1", "NA"], "Nullable(String)"),
    (["1", "1.5"], "Nullable(Float64)"),
    (["1", "text"], "Nullable(String)"),
    (["2024-01-01", "2024-01-01 10:00:00"], "Nullable(DateTime)"),
    (["2024-01-01 10:00:00", "2024-01-01 10:00:00.5"], "Nullable(DateTime64(9))"),
    (["true", "1"], "Nullable(String)"),
    (["2024-1-2 1:2:3"], "Nullable(DateTime)"),
    (["2024-01-02 10:00:00 MSK"], "Nullable(DateTime)"),
    (["2024-01-02 10:00:00 EST"], "Nullable(String)"),
    (["2024-02-30 10:00:00"], "Nullable(String)"),
    (["31 Feb 2024"], "Nullable(String)"),
    (['"1/2/2023, 12:33 PM"'], "Nullable(DateTime)"),
    (['"1/22/2023,12:33:05 PM"'], "Nullable(DateTime)"),
    (['"2023-01-02, 12:33"'], "Nullable(DateTime)"),
    (['"1/2/2023, 12 PM"'], "Nullable(String)"),
    (['"Jan 1, 2024, 10:00"'], "Nullable(String)"),
    (['" 2024-01-01"'], "Nullable(DateTime)"),
    (["1970-01-01 00:30:00+02:00"], "Nullable(DateTime64(9))"),
    (["5%"], "Nullable(String)"),
    (["$5"], "Nullable(String)"),
    (['"1,5"'], "Nullable(String)"),
    (["550e8400-e29b-41d4-a716-446655440000"], "Nullable(String)"),
    (["127.0.0.1"], "Nullable(String)"),
    (['"{""a"":1}"'], "Nullable(String)"),
    (['"[1,2]"'], "Array(Nullable(Int64))"),
    (["\"['a']\""], "Array(Nullable(String))"),
    (['"[1]"', '"[1.5]"'], "Array(Nullable(Float64))"),
    (["\"['2024-01-01']\""], "Array(Nullable(Date))"),
    (["\"[1,'a']\""], "Nullable(String)"),
    (['"[]"'], "Nullable(String)"),
    (["\"{'a':1}\""], "Map(String, Nullable(Int64))"),
]

#: ClickHouse dates quoted texts too; it is numbers and booleans that quotes make strings.
QUOTED_TIMES = [
    (['"2024-01-01"'], "Nullable(Date)"),
    (['"2024-01-01 10:00:00"'], "Nullable(DateTime)"),
]

#: Whole files that both read alike.
FILES = [
    b"\xef\xbb\xbfa,b\n1,2\n",
    b"a,b\r\n1,2\r\n",
    b"a\ncaf\xe9\n",
    b"a\nx\x00y\n",
    b'a\n"unclosed',
    b" a , b \n1,2\n",
    b'a,b\n"x\ny",2\n',
    b'a\nx"y"\n',
    b"a\n1\n\n2\n",
]


def column_file(values: list[str]) -> bytes:
    return "".join(["k,x\n", *(f"z,{value}\n" for value in values)]).encode()


def columns_of(data: bytes, table_format: TableFormat = TableFormat.CSV_WITH_NAMES) -> object:
    source = Source(store=MemoryObjects({"x": data}), path="x", format=table_format)
    read = csv.read(source, Limits(), no_progress)
    return [(column.name, column.clickhouse) for column in read.columns]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, object]:
    """What ClickHouse says, by the file's bytes."""
    files = [column_file(values) for values, _ in TYPES + QUOTED_TIMES]
    files += FILES
    folder: Path = tmp_path_factory.mktemp("clickhouse")
    answers = describe([Case("CSVWithNames", data) for data in files], folder)
    return dict(zip(files, answers, strict=True))


@pytest.mark.parametrize(("values", "expected"), TYPES + QUOTED_TIMES)
def test_type_is_that_of_the_table_and_of_clickhouse(
    clickhouse: dict[bytes, object], values: list[str], expected: str
) -> None:
    data = column_file(values)
    assert columns_of(data) == [("k", "Nullable(String)"), ("x", expected)] == clickhouse[data]


@pytest.mark.parametrize("data", FILES)
def test_file_is_read_as_clickhouse_reads_it(clickhouse: dict[bytes, object], data: bytes) -> None:
    assert columns_of(data) == clickhouse[data]
