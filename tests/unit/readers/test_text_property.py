"""Whatever the bytes are, the text readers end in columns or in a typed error, and what a sample
of a whole file infers holds for the file."""

import json as standard_json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.errors import TerminalError
from stocktake.readers import introspect, validate
from stocktake.readers.source import Source
from stocktake.schema.formats import TableFormat
from stocktake.schema.types import Type
from tests.support.memory import MemoryObjects

CELLS = st.sampled_from(
    [
        r"\N",
        r"1",
        r"-7",
        r"2.5",
        r"nan",
        r"true",
        r"2024-01-01",
        r"1950-05-05",
        r"2024-01-01T10:00:00",
        r"2024-01-01T10:00:00.5Z",
        r"31/12/2024",
        r'"[1]"',
        r'"[]"',
        r'"1"',
        r"text",
        r'"a,b"',
        r"+1",
        r"007",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**66), 2**66),
    st.floats(allow_nan=False),
    st.sampled_from(["", "x", "2024-01-01", "1950-05-05", "2024-01-01 10:00:00.5"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=8,
)


def holds_unsigned(type_: Type) -> bool:
    return type_.name == "UInt64" or any(map(holds_unsigned, type_.inner))


def source_of(data: bytes, table_format: TableFormat) -> Source:
    return Source(store=MemoryObjects({"x": data}), path="x", format=table_format)


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200) | st.text('{}[]",:\\n1ae.- \n', max_size=80).map(str.encode),
    table_format=st.sampled_from([TableFormat.CSV_WITH_NAMES, TableFormat.JSON_EACH_ROW]),
)
def test_any_bytes_end_in_columns_or_in_a_typed_error(
    data: bytes, table_format: TableFormat
) -> None:
    source = source_of(data, table_format)
    try:
        found = introspect(source)
        checked = validate(source, found.columns)
    except TerminalError:
        return
    assert found.columns
    assert checked.row_count == found.row_count


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_types_inferred_from_a_whole_csv_file_hold(rows: list[tuple[str, str]]) -> None:
    data = "".join(["a,b\n", *(",".join(row) + "\n" for row in rows)]).encode()
    source = source_of(data, TableFormat.CSV_WITH_NAMES)
    columns = introspect(source).columns
    checked = validate(source, columns)
    assert [check for check in checked.checks if not check.valid] == []


@settings(max_examples=200, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=5))
def test_types_inferred_from_a_whole_json_file_hold(values: list[Any]) -> None:
    data = "".join(standard_json.dumps({"x": value}) + "\n" for value in values).encode()
    source = source_of(data, TableFormat.JSON_EACH_ROW)
    try:
        columns = introspect(source).columns
    except TerminalError:
        return
    # a negative beside one above Int64 is UInt64 to ClickHouse, and does not fit it
    if not holds_unsigned(columns[0].type):
        assert validate(source, columns).checks[0].valid, columns
