"""The names under which users set types, and those that clients see."""

import pytest

from stocktake.schema.types import parse
from stocktake.schema.wire_names import database_field, override_type, wire_type


@pytest.mark.parametrize(
    ("name", "clickhouse", "hogql"),
    [
        ("integer", "Nullable(Int64)", "IntegerDatabaseField"),
        ("FLOAT", "Nullable(Float64)", "FloatDatabaseField"),
        ("Decimal", "Nullable(Decimal)", "DecimalDatabaseField"),
        ("string", "Nullable(String)", "StringDatabaseField"),
        ("DateTime", "Nullable(DateTime64)", "DateTimeDatabaseField"),
        ("date", "Nullable(Date)", "DateDatabaseField"),
        ("boolean", "Nullable(Bool)", "BooleanDatabaseField"),
        ("array", "Nullable(Array)", "StringArrayDatabaseField"),
        ("json", "Nullable(Map)", "StringJSONDatabaseField"),
    ],
)
def test_user_may_set(name: str, clickhouse: str, hogql: str) -> None:
    found = override_type(name)
    assert found is not None
    assert (str(found), database_field(found)) == (clickhouse, hogql)


@pytest.mark.parametrize("name", ["uuid", "unknown", "another_type", "", "Nullable(Int64)"])
def test_user_may_not_set(name: str) -> None:
    assert override_type(name) is None


@pytest.mark.parametrize(
    ("word", "wire"),
    [
        ("String", "string"),
        ("Integer", "integer"),
        ("Float", "float"),
        ("Decimal", "decimal"),
        ("Boolean", "boolean"),
        ("Date", "date"),
        ("DateTime", "datetime"),
        ("UUID", "uuid"),
        ("StringArray", "array"),
        ("StringJSON", "json"),
        ("Unknown", "unknown"),
    ],
)
def test_class_has_a_name_on_the_wire(word: str, wire: str) -> None:
    assert wire_type(f"{word}DatabaseField") == wire


@pytest.mark.parametrize(
    ("clickhouse", "word"),
    [
        ("LowCardinality(Nullable(String))", "String"),
        ("Nullable(FixedString(4))", "String"),
        ("Enum8('Array(' = 1)", "String"),
        ("UInt256", "Integer"),
        ("Decimal64(3)", "Decimal"),
        ("DateTime64(3, 'UTC')", "DateTime"),
        ("Array(Int8)", "StringArray"),
        ("Array", "StringArray"),
        ("Nullable(Tuple(a Int8))", "StringJSON"),
        ("JSON(max_dynamic_paths=0)", "StringJSON"),
        ("Dynamic", "Unknown"),
        ("Int8Array(", "Unknown"),
        ("", "Unknown"),
    ],
)
def test_class_goes_by_the_type_without_what_wraps_it(clickhouse: str, word: str) -> None:
    assert database_field(parse(clickhouse)) == f"{word}DatabaseField"
