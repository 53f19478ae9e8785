"""What JSON values become, held against ClickHouse on the same bytes."""

from pathlib import Path

import pytest

from stocktake.errors import InvalidSourceError
from stocktake.readers.source import Limits, Source, no_progress
from stocktake.readers.text.json import reader as json
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects
from tests.support.oracle import Case, describe

#: The values of key x, one object each, and their type.
TYPES = [
    (["1"], "Nullable(Int64)"),
    (["1.5"], "Nullable(Float64)"),
    (["1e10"], "Nullable(Float64)"),
    (["true"], "Nullable(Bool)"),
    (["9223372036854775808"], "Nullable(UInt64)"),
    (["36893488147419103232"], "Nullable(String)"),
    (['"text"'], "Nullable(String)"),
    (['"123"'], "Nullable(String)"),
    (['"true"'], "Nullable(String)"),
    (["null", "null"], "Nullable(String)"),
    (["{}"], "Nullable(String)"),
    (['"2024-01-01"'], "Nullable(Date)"),
    (['"2024-01-01 10:00:00"'], "Nullable(DateTime)"),
    (['"2024-01-01T10:00:00.5Z"'], "Nullable(DateTime64(9))"),
    (
        ['{"a":1,"b":{"c":"x"}}'],
        "Nullable(Tuple(a Nullable(Int64), b Nullable(Tuple(c Nullable(String)))))",
    ),
    (
        ['{"b":1,"A":1,"select":1,"x y":1}'],
        "Nullable(Tuple(A Nullable(Int64), b Nullable(Int64), `select` Nullable(Int64), "
        "`x y` Nullable(Int64)))",
    ),
    (["[1,2]"], "Array(Nullable(Int64))"),
    (['["a"]'], "Array(Nullable(String))"),
    (["[]"], "Array(Nullable(String))"),
    (["[1,2.5]"], "Array(Nullable(Float64))"),
    (["[[1]]"], "Array(Array(Nullable(Int64)))"),
    (['[1,"a"]'], "Array(Dynamic)"),
    (['[1,"a"]', "[1]"], "Array(Nullable(String))"),
    (['[true,"a"]'], "Array(Nullable(String))"),
    (["[1]", '["a"]'], "Array(Nullable(String))"),
    (["[]", "[1]"], "Array(Nullable(Int64))"),
    (['[{"a":1},{"b":"x"}]'], "Array(Nullable(Tuple(a Nullable(Int64), b Nullable(String))))"),
    (["true", "1"], "Nullable(Int64)"),
    (["null", "5"], "Nullable(Int64)"),
    (["1", "1.5"], "Nullable(Float64)"),
    (["1", '"a"'], "Nullable(String)"),
    (['"2024-01-01"', '"2024-01-01 10:00:00"'], "Nullable(DateTime)"),
    (['"2024-01-01"', '"x"'], "Nullable(String)"),
    (['{"a":1}', '{"b":1}'], "Nullable(Tuple(a Nullable(Int64), b Nullable(Int64)))"),
    (['" 2024-01-01"'], "Nullable(DateTime)"),
]

FILES = [
    b'[{"x":1},{"x":2}]',
    b'[\n  {\n    "x": 1\n  },\n  {\n    "x": 2\n  }\n]\n',
    b'{"x":\n1}\n{"x":2}',
    b'{"x":1}{"x":2}',
    b'{"x":1},{"x":2}',
    b'{"x":1}\n\n\n{"y":"a"}\n',
    b'\xef\xbb\xbf{"x":1}\r\n{"x":2}\r\n',
    b'{"b":1,"a":1}\n{"c":1,"a":1}\n',
    b'{"x":NaN}\n',
    b'{"x":1}\n;\n',
    b'{"x":1,"X":"a"}\n',
    b'{"x":1,"":4}\n',
]

#: Both fail.
REFUSED = [
    b'{"x":1}\n5\n',
    b"5\n",
    b'"a"\n',
    b"null\n",
    b'{"x":1,}\n',
    b'{"x":1\n',
    b"[[1]]",
    b'[{"x":1},]',
    b'[{"x":1}] [{"x":2}]',
]


def value_file(values: list[str]) -> bytes:
    return "".join(f'{{"x":{value}}}\n' for value in values).encode()


def columns_of(data: bytes) -> list[tuple[str, str]]:
    source = Source(store=MemoryObjects({"x": data}), path="x", format=TableFormat.JSON_EACH_ROW)
    read = json.read(source, Limits(), no_progress)
    return [(column.name, column.clickhouse) for column in read.columns]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, object]:
    """What ClickHouse says, by the file's bytes."""
    files = [value_file(values) for values, _ in TYPES]
    files += [*FILES, *REFUSED]
    folder: Path = tmp_path_factory.mktemp("clickhouse")
    answers = describe([Case("JSONEachRow", data) for data in files], folder)
    return dict(zip(files, answers, strict=True))


@pytest.mark.parametrize(("values", "expected"), TYPES)
def test_type_is_that_of_the_table_and_of_clickhouse(
    clickhouse: dict[bytes, object], values: list[str], expected: str
) -> None:
    data = value_file(values)
    assert columns_of(data) == [("x", expected)] == clickhouse[data]


@pytest.mark.parametrize("data", FILES)
def test_file_is_read_as_clickhouse_reads_it(clickhouse: dict[bytes, object], data: bytes) -> None:
    assert columns_of(data) == clickhouse[data]


@pytest.mark.parametrize("data", REFUSED)
def test_what_clickhouse_refuses_is_an_invalid_source(
    clickhouse: dict[bytes, object], data: bytes
) -> None:
    with pytest.raises(InvalidSourceError):
        columns_of(data)
    assert clickhouse[data] is None
