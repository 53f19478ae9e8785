"""What is stored reads the whole file: ClickHouse gives back what the file says."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stocktake.readers import introspect
from stocktake.readers.source import Source
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from tests.support.memory import MemoryObjects
from tests.support.read_back import Stored, csv_said, json_said, losses
from tests.unit.readers import test_csv_oracle, test_json_oracle

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
    ("CSVWithNames", ["0.5", "00"], "Nullable(Float64)"),
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
    ("JSONEachRow", [r'{"\u0061":1}'], "Nullable(Tuple(a Nullable(Int64)))"),
]


def test_oracle_sees_what_is_lost(tmp_path: Path) -> None:
    cases = []
    for table_format, values, type_ in LOSSY:
        data = csv_of(values) if table_format == "CSVWithNames" else json_of(values)
        columns = Column.of("k", "String"), Column.of("x", type_)
        cases.append(said(data, TableFormat(table_format), columns))
    found = losses(cases, tmp_path)
    assert [case for case, lost in zip(LOSSY, found, strict=True) if not lost] == []


#: The values of a column, and its type.
CSV = [
    (["02139", "10001"], "Nullable(String)"),
    (["+14155550100", "0044"], "Nullable(String)"),
    (["00"], "Nullable(String)"),
    (["0", "-7", "10"], "Nullable(Int64)"),
    (["-0", "1"], "Nullable(Float64)"),
    (["1_000"], "Nullable(String)"),
    (["1e5", "12e4"], "Nullable(String)"),
    (["1e-05", "1e+05", "1.5E10", "2"], "Nullable(Float64)"),
    (["9223372036854775807", "-9223372036854775808"], "Nullable(Int64)"),
    (["9223372036854775808", "7"], "Nullable(UInt64)"),
    (["9223372036854775808", "-7"], "Nullable(Int128)"),
    (["18446744073709551616"], "Nullable(Int128)"),
    ([str(2**127 - 1), str(-(2**127))], "Nullable(Int128)"),
    ([str(2**127), str(-(2**255))], "Nullable(Int256)"),
    ([str(2**255)], "Nullable(String)"),
    (["9007199254740993", "0.5"], "Nullable(String)"),
    (["9007199254740992", "0.5"], "Nullable(Float64)"),
    (["10000000000000000", "0.5"], "Nullable(Float64)"),
    (["9223372036854775808", "0.5"], "Nullable(String)"),
    (["0.1", "0.30000000000000004", "5.", ".5", "+0.5"], "Nullable(Float64)"),
    (["-73.98215484619139", "1.10"], "Nullable(Float64)"),
    (["1.000000000000000056e-01"], "Nullable(Float64)"),
    (["0.12345678901234567890"], "Nullable(String)"),
    (["12345678901234567.5"], "Nullable(String)"),
    (["1.0e400"], "Nullable(String)"),
    (["1.0e-400"], "Nullable(String)"),
    (["0.00", "0.0e5"], "Nullable(Float64)"),
    (["007.5"], "Nullable(String)"),
    (["0", "0.0", "00"], "Nullable(String)"),
    (["inf", "-inf", "nan", "NaN", "1.5"], "Nullable(Float64)"),
    (["true", "false"], "Nullable(Bool)"),
    (["True", "FALSE"], "Nullable(String)"),
    (["true", "1"], "Nullable(String)"),
    (["x ", " y"], "Nullable(String)"),
    (["2024-02-29", "1970-01-01", "2149-06-06"], "Nullable(Date)"),
    (["2024-02-30"], "Nullable(String)"),
    (["2023-02-29 10:00:00"], "Nullable(String)"),
    (["30/02/2024"], "Nullable(String)"),
    (["31 Apr 2024"], "Nullable(String)"),
    (["1969-12-31", "2024-01-01"], "Nullable(Date32)"),
    (["0001-01-01", "9999-12-31"], "Nullable(Date32)"),
    (["1900-01-01", "2299-12-31"], "Nullable(Date32)"),
    (["1950-01-01", "1950-01-01 10:00:00"], "Nullable(DateTime64(9))"),
    (["0001-01-01", "2024-01-01 10:00:00"], "Nullable(String)"),
    (["2120-01-01", "2024-01-01 10:00:00"], "Nullable(DateTime64(9))"),
    (["2299-01-01 10:00:00"], "Nullable(String)"),
    (["1970-01-01 00:30:00+02:00"], "Nullable(DateTime64(9))"),
    (["2024-01-01 10:00:00.123456789"], "Nullable(DateTime64(9))"),
    (["2024-01-01 10:00:00.1234567891"], "Nullable(String)"),
    (["2024-01-01 24:00:00"], "Nullable(String)"),
    (["2024-01-01 10:00:60"], "Nullable(String)"),
    (["2024-01-01 10:00:00 +99:99"], "Nullable(String)"),
    (["2024-01-02 10:00:00 MSK", "2024-1-2 1:2:3"], "Nullable(DateTime)"),
    (['"1/2/2023, 12:33 PM"', '"12/2/2023, 11:57 AM"'], "Nullable(DateTime)"),
    (['"1/22/2023, 12:33:05 PM"'], "Nullable(DateTime)"),
    (["01/02/2024", "31/01/2024"], "Nullable(DateTime)"),
    (["01/31/2024", "02/28/2024"], "Nullable(DateTime)"),
    (["01/02/2024", "01/31/2024"], "Nullable(String)"),
    (["31/01/2024", "01/31/2024"], "Nullable(String)"),
    (["02/02/2024", "01/31/2024"], "Nullable(DateTime)"),
    (["01/02/24"], "Nullable(String)"),
    (['" 2024-01-01"', '"2024-01-01 "'], "Nullable(DateTime)"),
    (['"[1,2]"', '"[]"'], "Array(Nullable(Int64))"),
    (['"[1.5,0.12345678901234567890]"'], "Nullable(String)"),
    (["\"['2024-01-01']\""], "Array(Nullable(Date))"),
]

JSON = [
    (['"02139"', '"+49"'], "Nullable(String)"),
    (["1", '"x"', "1.10", "1e3", "12345678901234567890123"], "Nullable(String)"),
    (["9007199254740993", "1.5"], "Nullable(String)"),
    (["[9007199254740993,1.5]"], "Array(Nullable(String))"),
    (["18446744073709551615", "-1"], "Nullable(Int128)"),
    (["18446744073709551615", "1"], "Nullable(UInt64)"),
    (["0.12345678901234567890"], "Nullable(String)"),
    (["1e400", "1e-400"], "Nullable(String)"),
    (["0.1", "1e-7", "1", "true"], "Nullable(Float64)"),
    (["true", "2"], "Nullable(Int64)"),
    (["true", '"x"'], "Nullable(String)"),
    (['{"a":1}', '"x"', "[1]", "2.50", "null"], "Nullable(String)"),
    (['{"a":{"b":1}}', '{"a":"t"}'], "Nullable(Tuple(a Nullable(String)))"),
    (["[1.5,2]", "[[[1,2]]]"], "Array(Nullable(String))"),
    (['[{"a":1},{"a":[1]}]'], "Array(Nullable(Tuple(a Nullable(String))))"),
    (['{"a":1,"":{"b":2}}'], "Nullable(String)"),
    (['[1,"a"]'], "Array(Dynamic)"),
    (['[1,"2024-02-30"]'], "Array(Nullable(String))"),
    (["[1,0.12345678901234567890]"], "Array(Nullable(String))"),
    # in a Dynamic each value is inferred anew, at any depth, in this row and in others
    (['[[],{"a":"x"},2,[1,"b"]]'], "Array(Dynamic)"),
    *(
        ([row], "Array(Nullable(String))")
        for row in [
            '[[],{"a":"01/13/2000"}]',
            '[1,"a",{"a":["01/13/2000"]}]',
            '[1,{"a":{"b":"2024-02-30"}}]',
            '[1,"Mon Jan 02 10:00:00 2024"]',
            '[1,"10:00:00 2024-01-02"]',
            '[1,{"a":1e400}]',
            '[1,{"a":0.1234567890123456789}]',
            '[1,"a",-0]',
            "[1,[9007199254740993,1.5]]",
            '[1,{"":1}]',
            '[1,{"a":{"null":1}}]',
            '[1,[{"a":1},{"a":"x"}]]',
            '[1,[null,{"a":"x"}]]',
        ]
    ),
    *(
        (rows, "Array(Nullable(String))")
        for one in ['[{"a":"01/13/2000"}]', '[[1,"01/13/2000"]]', "[[9007199254740993,1.5]]"]
        for rows in ([one, '[1,"a"]'], ['[1,"a"]', one])
    ),
    ([r'"1\/6\/2006"'], "Nullable(String)"),
    ([r'"2024-01-01T10:00:00\u002b02:00"'], "Nullable(String)"),
    ([r'{"a":"2024\/01\/01"}'], "Nullable(Tuple(a Nullable(String)))"),
    ([r'"a\/b"', '"2024-01-01"'], "Nullable(String)"),
    (['"0001-01-01"', '"2024-01-01"'], "Nullable(Date32)"),
    (['"2024-02-30"'], "Nullable(String)"),
    (['" 2024-01-01"'], "Nullable(DateTime)"),
    (['"01/02/2024"', '"01/31/2024"'], "Nullable(String)"),
    (["null", "[1]"], "Array(Nullable(Int64))"),
    (["null", "null"], "Nullable(String)"),
    ([r'{"\u0061":1,"b":2}'], "Nullable(String)"),
    ([r'{"a":{"\u00e9":[1]}}'], "Nullable(Tuple(a Nullable(String)))"),
    ([r'[{"c":1},{"\u65e5":1}]'], "Array(Nullable(String))"),
    ([r'[1,{"\u65e5":1}]'], "Array(Nullable(String))"),
    ([r'{"g\nh\"\\\/":1}'], r'Nullable(Tuple(`g\nh"\\/` Nullable(Int64)))'),
]


@pytest.mark.parametrize(
    ("write", "table_format", "table"),
    [(csv_of, TableFormat.CSV_WITH_NAMES, CSV), (json_of, TableFormat.JSON_EACH_ROW, JSON)],
    ids=["csv", "json"],
)
def test_values_are_given_back(
    tmp_path: Path,
    write: Callable[[list[str]], bytes],
    table_format: TableFormat,
    table: list[tuple[list[str], str]],
) -> None:
    cases = [stored(write(values), table_format) for values, _ in table]
    assert [case.columns[-1].clickhouse for case in cases] == [type_ for _, type_ in table]
    lost = zip(table, losses(cases, tmp_path), strict=True)
    assert [(values, loss) for (values, _), loss in lost if loss] == []


def test_values_on_which_both_agree_are_given_back(tmp_path: Path) -> None:
    texts = [test_csv_oracle.column_file(values) for values, _ in test_csv_oracle.TYPES]
    objects = [test_json_oracle.value_file(values) for values, _ in test_json_oracle.TYPES]
    cases = [stored(data, TableFormat.CSV_WITH_NAMES) for data in texts]
    cases += [stored(data, TableFormat.JSON_EACH_ROW) for data in objects]
    lost = zip(texts + objects, losses(cases, tmp_path), strict=True)
    assert [(data, loss) for data, loss in lost if loss] == []


@pytest.mark.parametrize(
    ("values", "order", "setting"),
    [
        (["01/02/2024", "01/31/2024"], "month_first", "best_effort_us"),
        (["01/02/2024", "31/01/2024"], "day_first", "best_effort"),
    ],
)
def test_order_of_an_option_is_read_by_the_setting_that_the_page_names(
    tmp_path: Path, values: list[str], order: str, setting: str
) -> None:
    case = stored(csv_of(values), TableFormat.CSV_WITH_NAMES, date_order=order)
    assert case.columns[-1].clickhouse == "Nullable(DateTime)"
    case = replace(case, settings={"date_time_input_format": f"'{setting}'"})
    assert losses([case], tmp_path) == [None]


CORPUS = os.environ.get("STOCKTAKE_CORPUS")
FILES = sorted((*Path(CORPUS, "csv").glob("*"), *Path(CORPUS, "json").glob("*"))) if CORPUS else []


@pytest.mark.skipif(not CORPUS, reason="STOCKTAKE_CORPUS names no folder of files by others")
def test_files_of_others_are_given_back(tmp_path: Path) -> None:
    formats = {".csv": TableFormat.CSV_WITH_NAMES, ".json": TableFormat.JSON_EACH_ROW}
    cases = [stored(path.read_bytes(), formats[path.suffix]) for path in FILES]
    assert len(cases) > 3
    found = losses(cases, tmp_path)
    assert {path.name: lost for path, lost in zip(FILES, found, strict=True) if lost} == {}
