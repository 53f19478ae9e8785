"""Delta types to ClickHouse types, against the table of TYPES and against ClickHouse itself."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from stocktake.errors import (
    DuplicateColumnError,
    InvalidSourceError,
    JobError,
    LimitExceededError,
    UnsupportedError,
)
from stocktake.readers.delta.types import columns_of
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column
from tests.support.delta_tables import CountingFolder, HandWrittenLog, field_of, read_table


def array_of(element: Any, *, contains_null: bool = True) -> dict[str, Any]:
    return {"type": "array", "elementType": element, "containsNull": contains_null}


def map_of(key: Any, value: Any, *, contains_null: bool = True) -> dict[str, Any]:
    return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": contains_null}


def struct_of(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "fields": list(fields)}


A_AND_B = struct_of(field_of("a", "long"), field_of("b", "string", nullable=False))
OPTIONAL = struct_of(field_of("a", "long"), field_of("b", "string"))

#: As ClickHouse reads them.
READ_BY_CLICKHOUSE = [
    ("byte", "Nullable(Int8)"),
    ("short", "Nullable(Int16)"),
    ("integer", "Nullable(Int32)"),
    ("long", "Nullable(Int64)"),
    ("float", "Nullable(Float32)"),
    ("double", "Nullable(Float64)"),
    ("boolean", "Nullable(Bool)"),
    ("string", "Nullable(String)"),
    ("binary", "Nullable(String)"),
    ("date", "Nullable(Date32)"),
    ("timestamp", "Nullable(DateTime64(6))"),
    ("timestamp_ntz", "Nullable(DateTime64(6))"),
    ("decimal(10,2)", "Nullable(Decimal(10, 2))"),
    ("decimal(38,18)", "Nullable(Decimal(38, 18))"),
    (array_of("long"), "Array(Nullable(Int64))"),
    (array_of("long", contains_null=False), "Array(Int64)"),
    (array_of(array_of("string")), "Array(Array(Nullable(String)))"),
    (map_of("string", "long"), "Map(String, Nullable(Int64))"),
    (map_of("string", "long", contains_null=False), "Map(String, Int64)"),
    (map_of("integer", array_of("date")), "Map(Int32, Array(Nullable(Date32)))"),
    (OPTIONAL, "Tuple(a Nullable(Int64), b Nullable(String))"),
    (array_of(OPTIONAL), "Array(Tuple(a Nullable(Int64), b Nullable(String)))"),
    (array_of(A_AND_B, contains_null=False), "Array(Tuple(a Nullable(Int64), b String))"),
    (struct_of(field_of("o", OPTIONAL)), "Tuple(o Tuple(a Nullable(Int64), b Nullable(String)))"),
    (struct_of(field_of("zip code", "long")), "Tuple(`zip code` Nullable(Int64))"),
    (struct_of(field_of("From", "long")), "Tuple(`From` Nullable(Int64))"),
    (struct_of(field_of("1a", "long")), "Tuple(`1a` Nullable(Int64))"),
    (struct_of(field_of("index", "long")), "Tuple(index Nullable(Int64))"),
]

#: Ours: ClickHouse fails on these, or no writer puts them into a schema as they stand.
OURS = [
    ("void", "Nullable(Nothing)"),
    ("variant", "Nullable(String)"),
    ("interval", "Nullable(String)"),
    ("interval year to month", "Nullable(String)"),
    ("char(3)", "Nullable(String)"),
    ("varchar(255)", "Nullable(String)"),
    ("decimal", "Nullable(Decimal(10, 0))"),
    (array_of("variant"), "Array(Nullable(String))"),
]


def columns(*fields: dict[str, Any], **limits: int) -> tuple[Column, ...]:
    return columns_of(json.dumps(struct_of(*fields)), [], Limits(**limits))


@pytest.mark.parametrize(("kind", "clickhouse"), READ_BY_CLICKHOUSE + OURS)
def test_type_becomes_the_clickhouse_type_of_the_table(kind: Any, clickhouse: str) -> None:
    (column,) = columns(field_of("c", kind))
    assert column.clickhouse == clickhouse
    assert column.nullable


@pytest.mark.parametrize(("kind", "clickhouse"), READ_BY_CLICKHOUSE + OURS)
def test_required_field_drops_the_wrapper(kind: Any, clickhouse: str) -> None:
    (column,) = columns(field_of("c", kind, nullable=False))
    assert column.clickhouse == clickhouse.removeprefix("Nullable(").removesuffix(
        ")" if clickhouse.startswith("Nullable(") else ""
    )
    assert not column.nullable


@pytest.mark.skipif(
    importlib.util.find_spec("chdb") is None, reason="chdb is not installed; the dev extra has it"
)
def test_clickhouse_describes_the_same_types(tmp_path: Path) -> None:
    kinds = [*enumerate(kind for kind, _ in READ_BY_CLICKHOUSE)]
    fields = [field_of(f"c{i}", kind) for i, kind in kinds]
    fields += [field_of(f"r{i}", kind, nullable=False) for i, kind in kinds]
    HandWrittenLog(tmp_path).create(
        *fields,
        reader=3,
        writer=7,
        readerFeatures=["timestampNtz"],
        writerFeatures=["timestampNtz"],
    )

    described = describe(tmp_path)

    found = read_table(CountingFolder(tmp_path)).columns
    assert [[column.name, column.clickhouse] for column in found] == described


def describe(table: Path) -> list[list[str]]:
    """Names and types by ClickHouse."""
    query = "DESCRIBE TABLE deltaLakeLocal('{0}') SETTINGS print_pretty_type_names=0"
    return [row[:2] for row in asked(table, query)]


def asked(table: Path, query: str) -> list[list[Any]]:
    """The rows of a query by ClickHouse, in its own process: chdb cannot live beside a fork."""
    script = "import chdb, sys; print(chdb.query(sys.argv[1], 'JSONCompact'))"
    command = [sys.executable, "-c", script, query.format(table)]
    # ClickHouse opens local files below its working folder only.
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=table)
    return json.loads(done.stdout)["data"]  # type: ignore[no-any-return]


SOME, ALL = "Tuple(a Nullable(Int64), b String)", "Tuple(a Nullable(Int64), b Nullable(String))"
IN_REQUIRED = struct_of(field_of("o", A_AND_B, nullable=False))
LISTS = struct_of(field_of("l", array_of("long", contains_null=False), nullable=False))


@pytest.mark.parametrize(
    ("kind", "nullable", "clickhouse"),
    [
        (A_AND_B, False, SOME),
        (A_AND_B, True, ALL),
        (array_of(A_AND_B), False, f"Array({ALL})"),
        (map_of("string", A_AND_B), False, f"Map(String, {ALL})"),
        (map_of("string", A_AND_B, contains_null=False), True, f"Map(String, {SOME})"),
        (IN_REQUIRED, False, f"Tuple(o {SOME})"),
        (IN_REQUIRED, True, f"Tuple(o {ALL})"),
        (LISTS, True, "Tuple(l Array(Int64))"),
    ],
)
def test_in_a_struct_that_may_be_null_all_may(kind: Any, nullable: bool, clickhouse: str) -> None:
    (column,) = columns(field_of("c", kind, nullable=nullable))
    assert column.clickhouse == clickhouse


@pytest.mark.skipif(
    importlib.util.find_spec("chdb") is None, reason="chdb is not installed; the dev extra has it"
)
def test_a_null_struct_of_required_fields_is_given_back(tmp_path: Path) -> None:
    inner = pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.string(), nullable=False)])
    rows = pa.table(
        {
            "c": pa.array([{"a": 1, "b": "q"}, None], inner),
            "l": pa.array([[{"a": 2, "b": "r"}, None], None], pa.list_(inner)),
        }
    )
    write_deltalake(tmp_path, rows)
    found = read_table(CountingFolder(tmp_path)).columns
    structure = ", ".join(f"{column.name} {column.clickhouse}" for column in found)
    theirs = "SELECT * FROM deltaLakeLocal('{0}')"
    ours = "SELECT * FROM deltaLakeLocal('{0}', 'Parquet', '" + structure + "')"
    nothing = {"a": None, "b": None}
    assert asked(tmp_path, ours) == [
        [{"a": 1, "b": "q"}, [{"a": 2, "b": "r"}, nothing]],
        [nothing, []],
    ]
    # By its own types ClickHouse makes an empty text of a null.
    assert asked(tmp_path, theirs)[1] == [{"a": None, "b": ""}, []]


def test_variant_is_json_and_void_unknown() -> None:
    variant, void = columns(field_of("v", "variant"), field_of("n", "void"))
    assert variant.hogql == "StringJSONDatabaseField"
    assert void.hogql == "UnknownDatabaseField"


def test_column_mapping_keeps_the_logical_name_and_the_id() -> None:
    mapping = {"delta.columnMapping.id": 7, "delta.columnMapping.physicalName": "col-1"}
    (column,) = columns(field_of("Super Name", "string", **mapping))
    assert (column.name, column.field_id) == ("Super Name", 7)


def test_partition_columns_are_marked() -> None:
    schema = json.dumps(struct_of(field_of("day", "date"), field_of("id", "long")))
    found = columns_of(schema, ["day"], Limits())
    assert [column.partition for column in found] == [True, False]


def test_partition_column_that_the_schema_lacks_is_refused() -> None:
    with pytest.raises(InvalidSourceError, match="lacks the partition column 'day'"):
        columns_of(json.dumps(struct_of(field_of("id", "long"))), ["day"], Limits())


@pytest.mark.parametrize(
    "kind", ["geometry", "geography(OGC:CRS84)", "quux", "decimal(10)", None, {"type": "udt"}, 5]
)
@pytest.mark.parametrize(
    "wrap", [lambda kind: kind, array_of, lambda k: struct_of(field_of("x", k))]
)
def test_unknown_type_is_refused_by_the_columns_name(kind: Any, wrap: Any) -> None:
    with pytest.raises(UnsupportedError, match="Column 'shape'") as caught:
        columns(field_of("id", "long"), field_of("shape", wrap(kind)))
    assert caught.value.code == "unsupported_type"


def udt_of(kind: Any) -> dict[str, Any]:
    return {"type": "udt", "class": "org.example.SomeUDT", "pyClass": "x.SomeUDT", "sqlType": kind}


@pytest.mark.parametrize(
    "kind", ["long", "binary", array_of("double", contains_null=False), A_AND_B, udt_of("date")]
)
@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda kind: kind,
        array_of,
        lambda kind: map_of("string", kind),
        lambda kind: struct_of(field_of("x", kind, nullable=False)),
    ],
)
def test_class_of_sparks_is_what_it_is_stored_as(kind: Any, nullable: bool, wrap: Any) -> None:
    stored = columns(field_of("v", wrap(kind), nullable=nullable))
    assert columns(field_of("v", wrap(udt_of(kind)), nullable=nullable)) == stored


@pytest.mark.parametrize("kind", ["geometry", None, 5, {"type": "udt"}])
def test_class_of_sparks_that_is_stored_as_nothing_known_is_refused(kind: Any) -> None:
    with pytest.raises(UnsupportedError, match="Column 'v'"):
        columns(field_of("v", udt_of(kind)))


def test_classes_in_each_other_are_no_deeper_than_types_may_be() -> None:
    kind: Any = "long"
    for _ in range(101):
        kind = udt_of(kind)
    with pytest.raises(LimitExceededError, match="'v' nests deeper than 100 levels"):
        columns(field_of("v", kind))


@pytest.mark.parametrize(
    "kind", ["decimal(1,0)", "decimal(38,0)", "decimal(38,38)", "decimal( 9 , 2 )"]
)
def test_decimal_of_deltas_digits_is_read(kind: str) -> None:
    assert columns(field_of("d", kind))[0].clickhouse.startswith("Nullable(Decimal(")


@pytest.mark.parametrize(
    "kind",
    [
        *("decimal(39,2)", "decimal(76,0)", "decimal(99,99)", "decimal(0,0)", "decimal(5,6)"),
        *(
            "decimal(10,-2)",
            "decimal(1000,2)",
            "decimal(10)",
            "decimal(\u0661\u0660,2)",
            "decimal()",
        ),
    ],
)
@pytest.mark.parametrize(
    "wrap", [lambda kind: kind, array_of, lambda k: struct_of(field_of("x", k)), udt_of]
)
def test_impossible_decimal_is_refused_by_the_columns_name(kind: str, wrap: Any) -> None:
    with pytest.raises(UnsupportedError, match="Column 'price'") as caught:
        columns(field_of("price", wrap(kind)))
    assert caught.value.code == "unsupported_type"


@pytest.mark.parametrize(
    ("schema", "partitions"),
    [
        ("no JSON", []),
        ('{"fields": 1}', []),
        ("[" * 100_000, []),
        (json.dumps(struct_of(field_of("id", "long"))), ["p" * 2_000] * 50),
        (json.dumps(struct_of(field_of("n" * 900, "geometry"))), []),
        (json.dumps(struct_of(field_of("s", struct_of(*[field_of("x", "long")] * 2)))), []),
        (json.dumps(struct_of(field_of("a\0b", "long"))), []),
        (json.dumps(struct_of(field_of("n" * 2_000, "long"))), []),
    ],
    ids=range(8),
)
def test_every_refusal_names_the_file_and_is_short(schema: str, partitions: list[str]) -> None:
    with pytest.raises(JobError) as caught:
        columns_of(schema, partitions, Limits(), file="_delta_log/7.json")
    assert caught.value.file == "_delta_log/7.json"
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
@pytest.mark.parametrize("wrap", [lambda field: field, lambda f: field_of("s", struct_of(f))])
def test_name_that_cannot_be_stored_is_refused(name: str, wrap: Any) -> None:
    with pytest.raises(InvalidSourceError, match=r"named '(a\\x00b|\\ud800)', which cannot"):
        columns(wrap(field_of(name, "long")))


@pytest.mark.parametrize("fields", [("id", "ID"), ("a", "a")])
def test_names_that_differ_in_case_only_are_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(DuplicateColumnError, match=f"'{fields[0]}' and '{fields[1]}'"):
        columns(*(field_of(name, "long") for name in fields))


def test_duplicate_field_of_a_struct_names_the_column() -> None:
    with pytest.raises(DuplicateColumnError, match="column 'address'"):
        columns(field_of("address", struct_of(field_of("zip", "long"), field_of("Zip", "long"))))


def test_too_many_columns_are_refused() -> None:
    fields = [field_of(f"c{i}", "long") for i in range(11)]
    assert len(columns(*fields, max_columns=11)) == 11
    with pytest.raises(
        LimitExceededError, match="11 columns; STOCKTAKE_INFERENCE_MAX_COLUMNS allows 10"
    ):
        columns(*fields, max_columns=10)


def test_deep_nesting_is_refused_before_it_overflows_the_stack() -> None:
    kind: Any = "long"
    for _ in range(100):
        kind = array_of(kind)
    assert columns(field_of("deep", kind))[0].clickhouse.count("Array") == 100
    with pytest.raises(LimitExceededError, match="'deep' nests deeper than 100 levels"):
        columns(field_of("deep", array_of(kind)))
    nested = '{"type":"array","elementType":' * 50_000 + '"long"' + "}" * 50_000
    schema = f'{{"type":"struct","fields":[{{"name":"deep","type":{nested}}}]}}'
    with pytest.raises(LimitExceededError, match="MAX_NESTING"):
        columns_of(schema, [], Limits())


@pytest.mark.parametrize(
    "schema", ["", "{", "[]", "null", "{}", '{"fields": 1}', '{"fields": [{"type": "long"}]}']
)
def test_string_that_is_no_schema_is_refused(schema: str) -> None:
    with pytest.raises(InvalidSourceError):
        columns_of(schema, [], Limits())
