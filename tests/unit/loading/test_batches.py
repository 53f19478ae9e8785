"""Rows of CSV, JSON and Parquet as Arrow batches: values, types, conflicts, bounds."""

import datetime as dt
import io
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.errors import InvalidSourceError, SchemaConflictError
from stocktake.loading.arrow_types import arrow_type
from stocktake.loading.batches import Rows
from stocktake.loading.evolution import load_schema, merged
from stocktake.readers import introspect, read_all
from stocktake.readers.arrow_types import clickhouse_type
from stocktake.readers.parquet.reader import verify
from stocktake.readers.source import Limits, Source, no_progress
from stocktake.readers.text.values.parse_dates import instant
from stocktake.schema.columns import Column
from stocktake.schema.formats import TableFormat
from stocktake.schema.types import parse
from stocktake.storage.stores.opening import LocalObjects
from tests.support.oracle import ask

UTC_US = pa.timestamp("us", "UTC")


def source(folder: Path, data: bytes, format_: TableFormat, **options: Any) -> Source:
    (folder / "file").write_bytes(data)
    return Source(store=LocalObjects(folder), path="file", format=format_, options=options)


def load(given_: Source, schema: pa.Schema | None = None) -> pa.Table:
    """All rows, under the types that the whole file is inferred to have."""
    rows = Rows.of(given_, Limits(), no_progress)
    if schema is None:
        schema = load_schema(read_all(given_).columns, {}, rows.types)
    return pa.Table.from_batches(rows.batches(schema), schema)


def from_csv(folder: Path, text: str, schema: pa.Schema | None = None, **options: Any) -> pa.Table:
    given_ = source(folder, text.encode(), TableFormat.CSV_WITH_NAMES, **options)
    return load(given_, schema)


def from_json(folder: Path, text: str, schema: pa.Schema | None = None) -> pa.Table:
    return load(source(folder, text.encode(), TableFormat.JSON_EACH_ROW), schema)


def from_parquet(folder: Path, array: pa.Array, target: pa.DataType | None = None) -> pa.Table:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": array}), buffer)
    given_ = source(folder, buffer.getvalue(), TableFormat.PARQUET)
    schema = load_schema(introspect(given_).columns, {"x": target} if target else {}, {})
    return load(given_, schema)


# --- types --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clickhouse", "expected"),
    [
        ("Int8", pa.int8()),
        ("Nullable(UInt8)", pa.int16()),
        ("UInt32", pa.int64()),
        ("UInt64", pa.decimal128(20, 0)),
        ("Int128", pa.string()),
        ("Float32", pa.float32()),
        ("LowCardinality(Nullable(String))", pa.string()),
        ("Nullable(Decimal(18, 2))", pa.decimal128(18, 2)),
        ("Decimal64(2)", pa.decimal128(18, 2)),
        ("Decimal(76, 2)", pa.string()),
        ("Date32", pa.date32()),
        ("DateTime", UTC_US),
        ("DateTime64(9, 'UTC')", UTC_US),
        ("FixedString(3)", pa.binary()),
        ("UUID", pa.string()),
        ("Dynamic", pa.string()),
        ("Nothing", pa.string()),
        ("Array(Array(Nullable(Int64)))", pa.list_(pa.list_(pa.int64()))),
        ("Map(String, Nullable(Date))", pa.map_(pa.string(), pa.date32())),
        (
            "Nullable(Tuple(`a b` Int64, `c\\`d` Array(String)))",
            pa.struct([("a b", pa.int64()), ("c`d", pa.list_(pa.string()))]),
        ),
        ("Tuple(Int64)", pa.string()),
        (
            "Tuple(`a\\nb` Int64, `\\\\n` Date)",
            pa.struct([("a\nb", pa.int64()), ("\\n", pa.date32())]),
        ),
    ],
)
def test_every_clickhouse_type_has_one_that_delta_keeps(
    clickhouse: str, expected: pa.DataType, tmp_path: Path
) -> None:
    found = arrow_type(parse(clickhouse))

    assert found.equals(expected) or str(found).replace("element", "item") == str(expected)
    schema = pa.schema([("x", found)])
    write_deltalake(str(tmp_path / "t"), pa.Table.from_pylist([{"x": None}], schema))
    kept = pa.schema(DeltaTable(str(tmp_path / "t")).schema().to_arrow()).field("x").type
    assert clickhouse_type(pa.field("x", kept)) == clickhouse_type(pa.field("x", found))


def test_an_existing_type_wins_and_takes_new_fields_of_structs() -> None:
    columns = [Column.of("a", "Nullable(Int64)"), Column.of("b", "Tuple(x Int64, y Array(Int64))")]
    known = {"a": pa.string(), "b": pa.struct([("y", pa.list_(pa.float64()))])}
    schema = load_schema(columns, known, {})

    assert schema.field("a").type == pa.string()
    assert schema.field("b").type == pa.struct([("y", pa.list_(pa.float64())), ("x", pa.int64())])


def test_maps_and_lists_are_merged_inside() -> None:
    inner = pa.struct([("a", pa.int8())])
    wider = pa.struct([("b", pa.string())])
    both = pa.struct([("a", pa.int8()), ("b", pa.string())])

    assert merged(pa.list_(inner), pa.list_(wider)) == pa.list_(both)
    assert merged(pa.map_(pa.string(), inner), pa.map_(pa.string(), wider)).item_type == both


def test_names_that_differ_in_case_are_one_to_delta() -> None:
    with pytest.raises(SchemaConflictError, match="'id' and 'ID'"):
        load_schema([Column.of("ID", "Int64")], {"id": pa.int64()}, {})


# --- text ---------------------------------------------------------------------------------


def test_csv_values_are_what_inference_took_them_for(tmp_path: Path) -> None:
    table = from_csv(
        tmp_path,
        "i,f,b,d,t,s,l,big\n"
        '7,1.5,true,2024-01-31,2024-01-31 10:00:00+02:00," a ""b""",'
        '"[1,2]",18446744073709551615\n'
        '\\N,inf,,,31/01/2024 1:05 PM,\\N,"[]",1\n',
    )

    assert table.to_pylist() == [
        {
            "i": 7,
            "f": 1.5,
            "b": True,
            "d": dt.date(2024, 1, 31),
            "t": dt.datetime(2024, 1, 31, 8, tzinfo=dt.UTC),
            "s": ' a "b"',
            "l": [1, 2],
            "big": Decimal(18446744073709551615),
        },
        {
            "i": None,
            "f": float("inf"),
            "b": None,
            "d": None,
            "t": dt.datetime(2024, 1, 31, 13, 5, tzinfo=dt.UTC),
            "s": None,
            "l": [],
            "big": Decimal(1),
        },
    ]


def test_options_of_the_table_hold_for_its_rows_too(tmp_path: Path) -> None:
    table = from_csv(tmp_path, "a;b\n1;NA\n", csv_delimiter=";", csv_null_values="NA")

    assert table.to_pylist() == [{"a": 1, "b": None}]


def test_json_values_of_mixed_kinds_are_loaded_as_they_are_spelled(tmp_path: Path) -> None:
    table = from_json(
        tmp_path,
        '{"a":1}\n{"a":"x"}\n{"a":1.10}\n{"a":1e3}\n{"a":12345678901234567890123}\n{"a":null}\n'
        '{"a":{"b": [1.50, "t", null]}}\n{"a":true}\n{"n":{"g":[1.0]}}\n{"n":{"g":{"h":2.50}}}\n',
    )

    assert table.column("a").to_pylist()[:8] == [
        *("1", "x", "1.10", "1e3", "12345678901234567890123", None),
        *('{"b": [1.50, "t", null]}', "true"),
    ]
    assert table.column("n").to_pylist()[8:] == [{"g": "[1.0]"}, {"g": '{"h": 2.50}'}]


def test_dates_are_loaded_in_the_order_that_an_option_says(tmp_path: Path) -> None:
    text = "a\n01/02/2024\n01/31/2024\n"
    table = from_csv(tmp_path, text, date_order="month_first")
    assert [day.date() for day in table.column("a").to_pylist()] == [
        dt.date(2024, 1, 2),
        dt.date(2024, 1, 31),
    ]
    assert from_csv(tmp_path, text).column("a").to_pylist() == ["01/02/2024", "01/31/2024"]


def test_days_outside_of_date_are_loaded_as_days(tmp_path: Path) -> None:
    table = from_csv(tmp_path, "a,b\n1969-12-31,0001-01-01\n2024-02-29,9999-12-31\n")
    assert table.to_pylist()[0] == {"a": dt.date(1969, 12, 31), "b": dt.date(1, 1, 1)}
    assert table.to_pylist()[1]["b"] == dt.date(9999, 12, 31)


def test_json_values_are_what_inference_took_them_for(tmp_path: Path) -> None:
    table = from_json(
        tmp_path,
        '{"n": 1, "o": {"a": [1.5, null], "b": {"c": "x"}}, "when": "2024-01-31T10:00:00.25Z"}\n'
        '{"n": true, "o": null, "mixed": [1, "a"], "text": "\\u00e9"}\n'
        '{"text": 12345678901234567890123, "o": {"b": {}}}\n',
    )

    assert table.to_pylist() == [
        {
            "n": 1,
            "o": {"a": [1.5, None], "b": {"c": "x"}},
            "when": dt.datetime(2024, 1, 31, 10, 0, 0, 250_000, dt.UTC),
            "mixed": None,
            "text": None,
        },
        {"n": 1, "o": None, "when": None, "mixed": ["1", "a"], "text": "é"},
        {
            "n": None,
            "o": {"a": None, "b": {"c": None}},
            "when": None,
            "mixed": None,
            "text": "12345678901234567890123",
        },
    ]


@pytest.mark.parametrize(
    ("arrow", "text", "expected"),
    [
        (pa.string(), "007", "007"),
        (pa.float64(), "1e3", 1000.0),
        (pa.float64(), "0.10000000000000001", 0.1),
        (pa.float64(), "-inf", float("-inf")),
        (pa.float32(), "1.5", 1.5),
        (UTC_US, "2024-01-31 00:00:00.000001000", dt.datetime(2024, 1, 31, 0, 0, 0, 1, dt.UTC)),
        (pa.float64(), "3", 3.0),
        (pa.decimal128(5, 2), "1.50", Decimal("1.50")),
        (pa.date32(), "1950-01-31", dt.date(1950, 1, 31)),
        (UTC_US, "2024-01-31", dt.datetime(2024, 1, 31, tzinfo=dt.UTC)),
        (pa.bool_(), "Yes", True),
        (pa.bool_(), "off", False),
        (pa.binary(), "ä", "ä".encode()),
        (pa.map_(pa.string(), pa.int64()), "\"{'a': 1}\"", [("a", 1)]),
        (pa.struct([("a", pa.int64())]), '"{""a"": 1}"', {"a": 1}),
    ],
)
def test_a_csv_field_goes_into_a_column_that_holds_it(
    tmp_path: Path, arrow: pa.DataType, text: str, expected: object
) -> None:
    table = from_csv(tmp_path, f"x\n{text}\n", pa.schema([("x", arrow)]))

    assert table["x"].to_pylist() == [expected]


@pytest.mark.parametrize(
    ("arrow", "text", "found"),
    [
        (pa.int64(), "1.0", "Float64"),
        (pa.int64(), "1_000", "String"),
        (pa.int8(), "128", "Int64"),
        (pa.float64(), "x", "String"),
        (pa.int64(), "007", "String"),
        (pa.float64(), "9007199254740993", "Int64"),
        (pa.float64(), "100000000000000000000.5", "String"),
        (pa.float64(), "1e400", "String"),
        (pa.float32(), "1.1", "Float64"),
        (pa.float32(), "1e308", "String"),
        (pa.float32(), "16777217", "Int64"),
        (UTC_US, "2024-01-31 10:00:00.0000001", r"DateTime64\(9\)"),
        (pa.decimal128(5, 2), "1.505", "Float64"),
        (pa.decimal128(5, 2), "1000", "Int64"),
        (pa.date32(), "2024-02-30", "String"),
        (pa.date32(), "2024-01-31 10:00:00", "DateTime"),
        (UTC_US, "1700000000", "Int64"),
        (UTC_US, "2024-01-31 25:00:00", "String"),
        (pa.bool_(), "2", "Int64"),
        (pa.list_(pa.int64()), "1", "Int64"),
        (pa.struct([("a", pa.int64())]), '"{""a"": ""x""}"', "String"),
    ],
)
def test_a_csv_field_that_does_not_fit_is_named_with_its_line(
    tmp_path: Path, arrow: pa.DataType, text: str, found: str
) -> None:
    with pytest.raises(
        SchemaConflictError, match=rf"line 3: column 'x.*' holds .* \({found}\), exp"
    ):
        from_csv(tmp_path, f"x\n\\N\n{text}\n", pa.schema([("x", arrow)]))


@pytest.mark.parametrize(
    ("arrow", "value"),
    [
        (pa.int64(), "1.5"),
        (pa.int64(), '"x"'),
        (pa.bool_(), '"true"'),
        (UTC_US, "1700000000"),
        (pa.list_(pa.int64()), "[[1]]"),
        (pa.list_(pa.int64()), "{}"),
        (pa.struct([("a", pa.int64())]), '{"a": "x"}'),
        (pa.map_(pa.string(), pa.int64()), "[1]"),
        (pa.int8(), "128"),
        (pa.float64(), "9007199254740993"),
        (pa.float64(), "1e400"),
        (pa.float32(), "1.1"),
        (pa.string(), '"\\ud800"'),
        (pa.decimal128(20, 2), "1.105"),
        (pa.struct([("a", pa.struct([("b", pa.int64())]))]), '{"a": {"b": 1, "c": 2}}'),
    ],
)
def test_a_json_value_that_does_not_fit_is_named_with_its_line(
    tmp_path: Path, arrow: pa.DataType, value: str
) -> None:
    text = f'{{"x": null}}\n\n{{"x": {value}}}\n'
    with pytest.raises(SchemaConflictError, match=r"file, line 3: column 'x.*' holds"):
        from_json(tmp_path, text, pa.schema([("x", arrow)]))


def test_a_refusal_names_a_nested_field_by_its_path_and_shows_the_value(tmp_path: Path) -> None:
    arrow = pa.struct([("a", pa.list_(pa.struct([("b", pa.int64())])))])
    schema = pa.schema([("x", arrow)])
    sentence = "line 1: column 'x.a.b' holds 1.5 \\(Float64\\), expected Int64"
    with pytest.raises(SchemaConflictError, match=sentence):
        from_json(tmp_path, '{"x": {"a": [{"b": 1}, {"b": 1.5}]}}', schema)

    sentence = "row 2: column 'x.a.b' holds 1.5 \\(double\\), expected Int64"
    with pytest.raises(SchemaConflictError, match=sentence):
        from_parquet(tmp_path, pa.array([None, {"a": [{"b": 1.5}]}]), arrow)


def test_a_long_value_is_shortened_in_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(SchemaConflictError) as caught:
        from_csv(tmp_path, f"x\n{'v' * 5_000}\n", pa.schema([("x", pa.int64())]))

    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    ("arrow", "spelled", "kept"),
    [
        (pa.string(), "1.10", "1.10"),
        (pa.string(), "100000000000000000000.5", "100000000000000000000.5"),
        (pa.string(), '{"a": [1.10, true]}', '{"a": [1.10, true]}'),
        (pa.decimal128(30, 10), "0.1234567891", Decimal("0.1234567891")),
        (pa.decimal128(25, 1), "100000000000000000000.5", Decimal("100000000000000000000.5")),
        (pa.binary(), "1.10", b"1.10"),
    ],
)
def test_a_json_number_keeps_its_digits(
    tmp_path: Path, arrow: pa.DataType, spelled: str, kept: object
) -> None:
    table = from_json(tmp_path, f'{{"x": {spelled}}}', pa.schema([("x", arrow)]))

    assert table["x"].to_pylist() == [kept]


def test_batches_are_bounded_whatever_the_file_holds(tmp_path: Path) -> None:
    text = "n,s\n" + "".join(f"{n},{'x' * 50}\n" for n in range(50_000))
    given_ = source(tmp_path, text.encode(), TableFormat.CSV_WITH_NAMES)
    schema = pa.schema([("n", pa.int64()), ("s", pa.string())])
    batches = list(Rows.of(given_, Limits(), no_progress).batches(schema))

    assert max(batch.num_rows for batch in batches) <= 4_096
    assert sum(batch.num_rows for batch in batches) == 50_000


def test_json_of_many_columns_comes_in_blocks_of_few_rows(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(5_000)]
    given_ = source(tmp_path, b"{}\n" * 500 + b'{"c0":1}', TableFormat.JSON_EACH_ROW)
    schema = pa.schema([(name, pa.int64()) for name in names])
    batches = list(Rows.of(given_, Limits(), no_progress).batches(schema))

    assert max(batch.num_rows for batch in batches) < 100
    assert sum(batch.num_rows for batch in batches) == 501


_CELLS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False).map(str),
    st.sampled_from(["true", "false", "", "\\N", "2024-01-31", "1/2/24", "2024-01-31 10:00:00.5"]),
    st.sampled_from(
        ["31 Jan 2024", '"[1,2]"', "\"{'a':1}\"", '"[]"', "inf", '"1"', " x ", '"q""q"']
    ),
    st.text("abc,\n\" '[]{}:1é", max_size=8).map(lambda text: '"' + text.replace('"', '""') + '"'),
)


@settings(max_examples=150, deadline=None)
@given(cells=st.lists(_CELLS, min_size=1, max_size=6))
def test_what_is_inferred_from_a_whole_csv_file_can_be_loaded(
    cells: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    table = from_csv(folder, "id,x\n" + "".join(f"1,{cell}\n" for cell in cells))

    assert table.num_rows == len(cells)


_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["2024-01-31", "2024-01-31T10:00:00Z", "x"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(values=st.lists(_JSON, min_size=1, max_size=4))
def test_what_is_inferred_from_a_whole_json_file_can_be_loaded(
    values: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import json

    text = "\n".join(json.dumps({"x": value}) for value in values)
    folder = tmp_path_factory.mktemp("json")
    try:
        table = from_json(folder, text)
    except InvalidSourceError:
        return  # no type holds them all, and inference said so
    assert table.num_rows == len(values)


# --- dates --------------------------------------------------------------------------------


_DATES = (
    *("2024-01-05", "2024/1/5", "01/31/2024", "31/01/2024", "01/02/2024", "1/2/24"),
    *("31 Jan 2024", "Mon, 29 Jan 2024 10:00:00 GMT", "Jan 5, 2024", "5-Mar-69", "5-Mar-71"),
    *("2024-01-31 10:00:00.123456789", "2024-01-31T10:00:00+02:30", "2024-01-31 12:30 AM"),
    *("2024-01-31 12:30:05 PM", "2024-01-31 1:05", "1950-01-31", "2024-01-31 10:00:00 -0330"),
    *("31 January 2024 10:00", "2024-01-31 10", "31-01-2024 10:00:00 +05"),
)


def test_a_date_in_a_text_is_the_one_that_clickhouse_reads() -> None:
    texts = ", ".join(f"'{text}'" for text in _DATES)
    query = f"select toString(parseDateTime64BestEffort(arrayJoin([{texts}]), 6, 'UTC'))"
    [answer] = ask([query])

    assert answer is not None
    assert [instant(text).strftime("%Y-%m-%d %H:%M:%S.%f") for text in _DATES] == [
        row[0] for row in answer
    ]


@pytest.mark.parametrize("text", ["2024-02-30", "2024-01-31 25:00:00", "31.01.2024", "x", ""])
def test_a_text_that_names_no_moment_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|day|hour"):
        instant(text)


# --- Parquet ------------------------------------------------------------------------------

_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")
_STRUCTS = pa.array([{"a": 1, "b": [1]}, None, {"a": None, "b": None}])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([2**64 - 1], pa.uint64()), [Decimal(2**64 - 1)]),
        (pa.array([7], pa.time32("s")), [dt.datetime(1970, 1, 1, 0, 0, 7, tzinfo=dt.UTC)]),
        (pa.array([1_000], pa.timestamp("ns")), [dt.datetime(1970, 1, 1, 0, 0, 0, 1, dt.UTC)]),
        (pa.array([1, None], pa.duration("us")), [1, None]),
        (pa.array([None], pa.null()), [None]),
        (pa.array([b"ab"], pa.binary(2)), [b"ab"]),
        (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
        (pa.array([_UUID.bytes], pa.uuid()), [str(_UUID)]),
        (pa.array([Decimal("1.5")], pa.decimal256(50, 2)), ["1.50"]),
        (_STRUCTS, _STRUCTS.to_pylist()),
        (pa.array([[1], None, [], [2, None]], pa.list_(pa.uint8())), [[1], None, [], [2, None]]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], None]),
        (
            pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.uint8())),
            [[("k", 1)], None, []],
        ),
    ],
)
def test_parquet_values_are_cast_to_what_delta_keeps(
    tmp_path: Path, array: pa.Array, expected: list[Any]
) -> None:
    assert from_parquet(tmp_path, array)["x"].to_pylist() == expected


@pytest.mark.parametrize(
    ("array", "target"),
    [
        (pa.array([1]), pa.float64()),
        (pa.array([1]), pa.int8()),
        (pa.array([1]), pa.decimal128(5, 2)),
        (pa.array([2**60]), pa.float64()),
        (pa.array([1.5, float("nan"), None, float("inf")]), pa.float32()),
        (pa.array([Decimal("0.10")]), pa.float64()),
        (pa.array(["x"]), pa.binary()),
        (pa.array([None], pa.string()), pa.int64()),
        (pa.array([None, [None]], pa.list_(pa.string())), pa.list_(pa.int64())),
        (pa.array([1]), pa.string()),
        (pa.array([dt.date(2024, 1, 31)]), UTC_US),
        (pa.array([[1]]), pa.list_(pa.float64())),
        (pa.array([{"a": 1}]), pa.struct([("b", pa.string()), ("a", pa.int8())])),
    ],
)
def test_parquet_values_that_fit_an_existing_type_are_taken(
    tmp_path: Path, array: pa.Array, target: pa.DataType
) -> None:
    assert from_parquet(tmp_path, array, target).schema.field("x").type == target


@pytest.mark.parametrize(
    ("array", "target"),
    [
        (pa.array([128]), pa.int8()),
        (pa.array([1.0]), pa.int64()),
        (pa.array(["1"]), pa.int64()),
        (pa.array([1]), UTC_US),
        (pa.array([1]), pa.bool_()),
        (pa.array([2**60 + 1]), pa.float64()),
        (pa.array([2**24 + 1]), pa.float32()),
        (pa.array([1.1]), pa.float32()),
        (pa.array([1e308]), pa.float32()),
        (pa.array([Decimal("9007199254740993.0")]), pa.float64()),
        (pa.array([Decimal("1.1")]), pa.float32()),
        (pa.array([1_500], pa.timestamp("ns")), UTC_US),
        (pa.array([5], pa.time64("ns")), UTC_US),
        (pa.array([1]), pa.binary()),
        (pa.array([[{"a": 1.5}]]), pa.list_(pa.struct([("a", pa.int64())]))),
        (pa.array([Decimal("1.505")]), pa.decimal128(5, 2)),
        (pa.array([dt.datetime(2024, 1, 31, 10, tzinfo=dt.UTC)]), pa.date32()),
        (pa.array([[1]]), pa.int64()),
        (pa.array([{"a": "x"}]), pa.struct([("a", pa.int64())])),
        (pa.array([b"\xff"]), pa.string()),
    ],
)
def test_parquet_values_that_do_not_fit_are_shown_with_column_and_row(
    tmp_path: Path, array: pa.Array, target: pa.DataType
) -> None:
    with pytest.raises(SchemaConflictError, match=r"file, row 1: column 'x.*' holds .*, expected"):
        from_parquet(tmp_path, array, target)


def test_verify_decodes_every_page(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": [f"{n:>20}" for n in range(5_000)]}), buffer)
    data = bytearray(buffer.getvalue())

    assert verify(source(tmp_path, bytes(data), TableFormat.PARQUET), Limits(), no_progress) == 5000
    data[100:3_000] = b"\xff" * 2_900
    with pytest.raises(InvalidSourceError, match="corrupt"):
        verify(source(tmp_path, bytes(data), TableFormat.PARQUET), Limits(), no_progress)
