"""Whether a value fits a type: held against what ClickHouse reads without an error."""

import json
from pathlib import Path

import pytest

from stocktake.readers.text.csv.dialect import Dialect
from stocktake.readers.text.values.checks import fits_csv, fits_json
from stocktake.schema.types import parse
from tests.support.oracle import Case, readable

UUID = "550e8400-e29b-41d4-a716-446655440000"

CSV = {
    "Nullable(Int64)": ["1", '"1"', "+1", "007", "1.0", "1e5", "x", "true"],
    "Nullable(UInt64)": ["1", "-1", "18446744073709551615"],
    "Nullable(Float64)": ["1e5", "1", "inf", "NaN", "INF", "-1.5E-3", '"1.5"', '"1,5"', "x"],
    "Nullable(Decimal)": ["1.25", "12345678901", "1e5", '"1.5"', "x"],
    "Nullable(Decimal(5, 2))": ["999.999", "1000", "-1"],
    "Nullable(String)": ["1", "x", '"[1]"'],
    "Nullable(FixedString(2))": ["ab", "abc"],
    "Nullable(Bool)": ["true", "TRUE", "1", "0", "yes", "t", "x", "2", "True"],
    "Nullable(Date)": ["2024-01-01", "2024-1-1", "20240101", "2024-01-01 10:00:00", "01/31/2024"],
    "Nullable(Date32)": ["1960-01-01", "2024-01-01", "x"],
    "Nullable(DateTime)": ["2024-01-01", "2024-01-01T10:00:00Z", "1704067200", "x",
                           "2024-01-01 10:00:00.5"],
    "Nullable(DateTime64)": ["2024-01-01", "2024-01-01 10:00:00.5", "1704067200", "31/01/2024",
                             "1900-01-01 10:00:00", "x"],
    "Nullable(UUID)": [UUID, "x"],
    "Array(Nullable(Int64))": ['"[1]"', '"[1,NULL]"', '"[1.5]"', "\"['a']\"", "x"],
    "Array(Array(Nullable(Int64)))": ['"[[1],[]]"', '"[1]"'],
    "Map(String, Nullable(Int64))": ["\"{'a':1}\"", "\"{'a':'b'}\"", '"{""a"":1}"'],
}  # fmt: skip

JSON = {
    "Nullable(Int64)": ["1", '"1"', "true", "1.5", '"x"', "[1]", "{}", "null"],
    "Nullable(Float64)": ["1", "1.5", '"1.5"', "true", '"x"', "[1]"],
    "Nullable(Decimal(5, 2))": ["1.25", '"1.25"', "1000", '"x"', "true"],
    "Nullable(String)": ["1", "true", "[1]", '{"a":1}', '"x"'],
    "Nullable(Bool)": ["true", "1", "0", '"true"', "2", "1.0"],
    "Nullable(Date)": ['"2024-01-01"', '"2024-01-01 10:00:00"', '"x"'],
    "Nullable(DateTime64)": ['"2024-01-01"', "1704067200", "1704067200.5", '"x"', "true"],
    "Nullable(UUID)": [f'"{UUID}"', "1"],
    "Array(Nullable(Int64))": ["[1,null]", '["1"]', '["x"]', "1", "null", '{"a":1}', "[1.5]"],
    "Map(String, Nullable(Int64))": ['{"a":1}', '{"a":"x"}', "[1]"],
    "Tuple(a Nullable(Int64))": ['{"a":1}', '{"b":1}', '{"a":"x"}', "1"],
    "Tuple(`a b` Nullable(Int64))": ['{"a b":1}', '{"a b":"x"}'],
}

CASES = [("CSV", type_, value) for type_, values in CSV.items() for value in values]
CASES += [("JSONEachRow", type_, value) for type_, values in JSON.items() for value in values]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], bool]:
    """Whether ClickHouse reads each case."""
    folder: Path = tmp_path_factory.mktemp("clickhouse")
    files = [
        (Case(name, (f"{value}\n" if name == "CSV" else f'{{"x":{value}}}\n').encode()), type_)
        for name, type_, value in CASES
    ]
    return dict(zip(CASES, readable(files, folder), strict=True))


@pytest.mark.parametrize(("table_format", "type_", "value"), CASES)
def test_value_fits_where_clickhouse_reads_it(
    clickhouse: dict[tuple[str, str, str], bool], table_format: str, type_: str, value: str
) -> None:
    if table_format == "CSV":
        ours = fits_csv(parse(type_))(Dialect().unquote(value)[0])
    else:
        ours = fits_json(parse(type_))(json.loads(value))
    assert ours == clickhouse[table_format, type_, value]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("Nullable(Int64)", "9223372036854775808"),
        ("Nullable(Int8)", "128"),
        ("Nullable(UInt64)", "18446744073709551616"),
        ("Nullable(Date)", "1960-01-01"),
        ("Nullable(DateTime)", "1960-01-01 10:00:00"),
    ],
)
def test_value_that_clickhouse_would_wrap_around_does_not_fit(
    tmp_path: Path, type_: str, value: str
) -> None:
    assert not fits_csv(parse(type_))(value)
    assert readable([(Case("CSV", f"{value}\n".encode()), type_)], tmp_path) == [True]


@pytest.mark.parametrize(
    ("type_", "fitting", "other"),
    [
        ("Nullable(Array)", "[1]", "x"),
        ("Nullable(Map)", '{"a": 1}', "[1]"),
        ("Nullable(Map)", "{'a': 1}", "x"),
    ],
)
def test_type_without_arguments_takes_any_of_its_kind(type_: str, fitting: str, other: str) -> None:
    assert fits_csv(parse(type_))(fitting)
    assert not fits_csv(parse(type_))(other)
