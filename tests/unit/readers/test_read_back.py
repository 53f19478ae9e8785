"""What is stored reads the whole file: ClickHouse gives back what the file says."""

import os
from pathlib import Path
from typing import Any

import pytest

from stocktake.readers import introspect
from stocktake.readers.source import Source
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects
from tests.support.read_back import Stored, csv_said, json_said, losses

pytestmark = pytest.mark.chdb


def stored(data: bytes, table_format: TableFormat, **options: Any) -> Stored:
    """A file with the columns that we store for it, and what it says."""
    source = Source(
        store=MemoryObjects({"x": data}), path="x", format=table_format, options=options
    )
    return said(data, table_format, introspect(source).columns)


def said(data: bytes, table_format: TableFormat, columns: tuple[Column, ...]) -> Stored:
    read = json_said if table_format is TableFormat.JSON_EACH_ROW else csv_said
    return Stored(table_format.value, data, columns, read(data, columns))


def csv_of(values: list[str]) -> bytes:
    return "".join(["k,x\n", *(f"z,{value}\n" for value in values)]).encode()


def json_of(values: list[str]) -> bytes:
    return "".join(f'{{"k":"z","x":{value}}}\n' for value in values).encode()


#: What ClickHouse reads without an error, and gives back as something else.
LOSSY = [
    ("CSVWithNames", ["007"], "Nullable(Int64)"),
    ("CSVWithNames", ["+49301234"], "Nullable(Int64)"),
    ("CSVWithNames", ["18446744073709551617"], "Nullable(Float64)"),
    ("CSVWithNames", ["9007199254740993", "0.5"], "Nullable(Float64)"),
    ("CSVWithNames", ["0.12345678901234567890"], "Nullable(Float64)"),
    ("CSVWithNames", ["1e400"], "Nullable(Float64)"),
    ("CSVWithNames", ["2024-02-30"], "Nullable(Date)"),
    ("CSVWithNames", ["1950-01-01"], "Nullable(Date)"),
    ("CSVWithNames", ["1950-01-01 10:00:00"], "Nullable(DateTime)"),
    ("CSVWithNames", ["01/02/2024", "01/31/2024"], "Nullable(DateTime)"),
    ("CSVWithNames", ["2024-01-01 25:00:00"], "Nullable(DateTime)"),
    ("CSVWithNames", ["x"], "Nullable(Int64)"),
    ("JSONEachRow", ["9007199254740993"], "Nullable(Float64)"),
    ("JSONEachRow", ['{"a":1,"b":2}'], "Nullable(Tuple(a Nullable(Int64)))"),
    ("JSONEachRow", ["[1]", "2"], "Array(Nullable(Int64))"),
    ("JSONEachRow", [r'"1\/6\/2006"'], "Nullable(DateTime)"),
]


def test_oracle_sees_what_is_lost(tmp_path: Path) -> None:
    cases = []
    for table_format, values, type_ in LOSSY:
        data = csv_of(values) if table_format == "CSVWithNames" else json_of(values)
        columns = Column.of("k", "String"), Column.of("x", type_)
        cases.append(said(data, TableFormat(table_format), columns))
    found = losses(cases, tmp_path)
    assert [case for case, lost in zip(LOSSY, found, strict=True) if not lost] == []


CORPUS = os.environ.get("STOCKTAKE_CORPUS")
FILES = sorted((*Path(CORPUS, "csv").glob("*"), *Path(CORPUS, "json").glob("*"))) if CORPUS else []


@pytest.mark.skipif(not CORPUS, reason="STOCKTAKE_CORPUS names no folder of files by others")
def test_files_of_others_are_given_back(tmp_path: Path) -> None:
    formats = {".csv": TableFormat.CSV_WITH_NAMES, ".json": TableFormat.JSON_EACH_ROW}
    cases = [stored(path.read_bytes(), formats[path.suffix]) for path in FILES]
    assert len(cases) > 3
    found = losses(cases, tmp_path)
    assert {path.name: lost for path, lost in zip(FILES, found, strict=True) if lost} == {}
