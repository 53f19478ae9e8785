"""ORC, Arrow and Avro at random: in order, our columns are ClickHouse's and read the file back;
damaged, they end in a typed error or in the columns that it sees."""

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.schema.formats import TableFormat
from tests.fuzz.children import SECONDS_FOR_ALL, Answer, agree, asked, fuzzed, read, request_of
from tests.fuzz.mutations import Edit, applied, edits
from tests.fuzz.test_generated import nested
from tests.fuzz.watched import Watched
from tests.support.typed_files import arrow_file, arrow_stream, avro_file, avro_record, orc_file

pytestmark = [pytest.mark.fuzz, pytest.mark.chdb, pytest.mark.timeout(SECONDS_FOR_ALL)]

#: What chdb itself does not take, whatever it is called: docs/types.md lists them.
UNREADABLE = re.compile(r"is prohibited by default|similar types|Native Arrow IPC reader does not")


# --- in order -----------------------------------------------------------------------------


ORC_LEAVES = st.sampled_from(
    [
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_()),
        *(pa.string(), pa.large_binary(), pa.date32(), pa.binary(7)),
        *(pa.timestamp(unit, zone) for unit in ("s", "us", "ns") for zone in (None, "UTC")),
    ]
) | st.builds(
    lambda digits, scale: pa.decimal128(digits, min(digits, scale)),
    st.integers(1, 38),
    st.integers(0, 38),
)
ARROW_LEAVES = ORC_LEAVES | st.sampled_from(
    [
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(), pa.date64()),
        *(pa.string_view(), pa.binary_view(), pa.uuid(), pa.decimal256(70, 5), pa.duration("us")),
        *(pa.time32("s"), pa.time64("ns"), pa.timestamp("ms", "Europe/Berlin")),
        *(pa.timestamp("s", "-03:30"), pa.dictionary(pa.int8(), pa.string())),
        *(pa.dictionary(pa.int8(), pa.int64()), pa.list_(pa.int8(), 2), pa.large_list(pa.bool_())),
    ]
)


def drawn(
    leaves: st.SearchStrategy[pa.DataType], *alone: pa.DataType
) -> st.SearchStrategy[pa.Schema]:
    """Schemas of these types and of what they nest in, and of some that stand alone."""
    types = st.recursive(leaves, nested, max_leaves=5)
    types = st.one_of(types, *map(st.just, alone))
    fields = st.lists(st.tuples(types, st.booleans()), min_size=1, max_size=5)
    return fields.map(
        lambda many: pa.schema(
            [
                pa.field(f"c{number}", type_, nullable or pa.types.is_null(type_))
                for number, (type_, nullable) in enumerate(many)
            ]
        )
    )


def rows_of(schema: pa.Schema) -> pa.Table:
    """Two rows: values, and nulls where there may be some."""
    arrays = [array_of(field.type, nullable=field.nullable) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def array_of(type_: pa.DataType, *, nullable: bool) -> pa.Array:
    """Two values of a type, the second null where it may be."""
    mask = pa.array([False, nullable])
    if pa.types.is_null(type_):
        return pa.nulls(2)
    if pa.types.is_dictionary(type_):
        packed = array_of(type_.value_type, nullable=nullable).dictionary_encode()
        return packed.cast(type_)
    if isinstance(type_, pa.BaseExtensionType):
        return type_.wrap_array(array_of(type_.storage_type, nullable=nullable))
    if pa.types.is_struct(type_):
        children = [array_of(field.type, nullable=field.nullable) for field in type_]
        return pa.StructArray.from_arrays(children, fields=list(type_), mask=mask)
    if pa.types.is_map(type_):
        items = array_of(type_.item_type, nullable=type_.item_field.nullable)
        keys = pa.array(["k", "l"], type_.key_type)
        return pa.MapArray.from_arrays([0, 1, 2], keys, items, type=type_, mask=mask)
    if pa.types.is_fixed_size_list(type_):
        inner = array_of(type_.value_type, nullable=type_.value_field.nullable)
        return pa.FixedSizeListArray.from_arrays(pa.concat_arrays([inner, inner]), type=type_)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        made = pa.ListArray if pa.types.is_list(type_) else pa.LargeListArray
        inner = array_of(type_.value_type, nullable=type_.value_field.nullable)
        return made.from_arrays([0, 1, 2], inner, type=type_, mask=mask)
    return pa.array([leaf_of(type_), None if nullable else leaf_of(type_)], type_)


def leaf_of(type_: pa.DataType) -> Any:
    if pa.types.is_fixed_size_binary(type_):
        return b"x" * type_.byte_width
    if any(is_(type_) for is_ in (pa.types.is_string, pa.types.is_string_view)):
        return "é"
    if any(
        is_(type_)
        for is_ in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    ):
        return b"b"
    if pa.types.is_decimal(type_):
        return 0
    if pa.types.is_boolean(type_):
        return True
    if pa.types.is_floating(type_):
        return 1.5
    # a day of milliseconds
    return 86_400_000 if pa.types.is_date64(type_) else 1


def check(ours: Watched, clickhouse: Watched, data: bytes, table_format: TableFormat) -> None:
    """Our columns are ClickHouse's, and with them it reads all rows."""
    request = request_of({"x": data}, table_format)
    found = read(ours, request)
    if "error" in found:
        return
    structure = ", ".join(f"`{name}` {kind}" for name, kind in found["columns"])
    theirs = asked(clickhouse, request | {"structure": structure})
    # a query that crashed it tells nothing of the other one
    described = asked(clickhouse, request) if "lost" in theirs else theirs["described"]
    agree(_alike(found), _alike(described), request)
    back = theirs.get("back", theirs)
    if "lost" not in back and not UNREADABLE.search(back.get("error", "")):
        assert back.get("rows") == 2, (structure, back)


def _alike(answer: Answer) -> Answer:
    """Without what docs/types.md says is different on purpose: dictionaries of what is no text."""
    if "error" in answer:
        return answer
    packed = re.compile(r"^LowCardinality\(((?!(?:Nullable\()?(?:String|FixedString)).*)\)$")
    return {"columns": [[name, packed.sub(r"\1", kind)] for name, kind in answer["columns"]]}


@fuzzed
@given(schema=drawn(ARROW_LEAVES, pa.null(), pa.list_(pa.null())), stream=st.booleans())
def test_arrow_columns_are_those_of_clickhouse(
    ours: Watched, clickhouse: Watched, schema: pa.Schema, *, stream: bool
) -> None:
    write, table_format = (
        (arrow_stream, TableFormat.ARROW_STREAM) if stream else (arrow_file, TableFormat.ARROW)
    )
    check(ours, clickhouse, write(rows_of(schema)), table_format)


@fuzzed
@given(schema=drawn(ORC_LEAVES), compression=st.sampled_from(["uncompressed", "zlib", "zstd"]))
def test_orc_columns_are_those_of_clickhouse(
    ours: Watched, clickhouse: Watched, schema: pa.Schema, compression: str
) -> None:
    data = orc_file(rows_of(schema), compression=compression)
    check(ours, clickhouse, data, TableFormat.ORC)


def logical(type_: str, name: str, **more: Any) -> Any:
    return {"type": type_, "logicalType": name, **more}


def decimal(digits: int, scale: int) -> Any:
    return logical("bytes", "decimal", precision=digits, scale=min(digits, scale))


AVRO_LEAVES = st.sampled_from(
    [
        *("boolean", "int", "long", "float", "double", "bytes", "string"),
        *(logical("int", "date"), logical("int", "time-millis"), logical("long", "time-micros")),
        *(logical("long", f"timestamp-{unit}") for unit in ("millis", "micros")),
        *(logical("long", "local-timestamp-micros"), logical("string", "uuid")),
    ]
) | st.builds(decimal, st.integers(1, 76), st.integers(0, 76))
#: With what lies in them where a type has a name: each needs one of its own.
AVRO_TYPES = st.recursive(
    AVRO_LEAVES | st.sampled_from([{"type": "enum"}, {"type": "fixed"}]),
    lambda inner: st.one_of(
        inner.map(lambda one: {"type": "array", "items": one}),
        inner.map(lambda one: {"type": "map", "values": one}),
        inner.filter(lambda one: not isinstance(one, list)).map(lambda one: ["null", one]),
        st.lists(inner, min_size=1, max_size=3).map(lambda many: {"type": "record", "of": many}),
        st.just(["int", "string", "null"]),
    ),
    max_leaves=5,
)


def named(type_: Any, path: str) -> Any:
    """The type with names, after the way to it."""
    if isinstance(type_, list):
        return [named(each, path) for each in type_]
    if not isinstance(type_, dict) or "logicalType" in type_:
        return type_
    match type_["type"]:
        case "enum":
            return type_ | {"name": path, "symbols": ["A", "B"]}
        case "fixed":
            return type_ | {"name": path, "size": 5}
        case "record":
            fields = [
                {"name": f"f{number}", "type": named(each, f"{path}_{number}")}
                for number, each in enumerate(type_["of"])
            ]
            return {"type": "record", "name": path, "fields": fields}
    key = "items" if type_["type"] == "array" else "values"
    return {"type": type_["type"], key: named(type_[key], f"{path}_i")}


def avro_value(type_: Any) -> Any:
    if isinstance(type_, list):
        return avro_value(type_[1]) if type_[0] == "null" else 5
    if not isinstance(type_, dict) or "logicalType" in type_:
        kind = type_ if isinstance(type_, str) else type_["type"]
        uuid = "00000000-0000-0000-0000-000000000005"
        values = {"boolean": True, "bytes": b"\1", "string": uuid, "float": 1.5, "double": 1.5}
        return values.get(kind, 1)
    match type_["type"]:
        case "enum":
            return "B"
        case "fixed":
            return b"abcde"
        case "record":
            return {each["name"]: avro_value(each["type"]) for each in type_["fields"]}
        case "array":
            return [avro_value(type_["items"])]
    return {"k": avro_value(type_["values"])}


def without_logic(schema: Any) -> Any:
    if isinstance(schema, list):
        return [without_logic(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: without_logic(value) for key, value in schema.items() if key != "logicalType"}


def avro_of(schema: Any) -> bytes:
    """Two records of a schema, whose values are written as what they are stored as."""
    value, plain, sync = avro_value(schema), without_logic(schema), b"s" * 16
    blocks = avro_file(plain, [value, value], sync_marker=sync)
    return avro_file(schema, sync_marker=sync) + blocks[len(avro_file(plain, sync_marker=sync)) :]


@fuzzed
@given(types=st.lists(AVRO_TYPES, min_size=1, max_size=4))
def test_avro_columns_are_those_of_clickhouse(
    ours: Watched, clickhouse: Watched, types: list[Any]
) -> None:
    fields = {f"c{number}": named(each, f"n{number}") for number, each in enumerate(types)}
    check(ours, clickhouse, avro_of(avro_record(**fields)), TableFormat.AVRO)


# --- damaged ------------------------------------------------------------------------------

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("at", pa.timestamp("us", "UTC")),
        ("deep", pa.list_(pa.struct([("a", pa.decimal128(9, 2)), ("b", pa.list_(pa.string()))]))),
        ("m", pa.map_(pa.string(), pa.int8())),
    ]
)
AVRO_SCHEMA = avro_record(
    id="long",
    at=["null", logical("long", "timestamp-micros")],
    deep={"type": "array", "items": {"type": "record", "name": "n", "fields": [
        {"name": "a", "type": decimal(9, 2)}, {"name": "b", "type": ["null", "string"]},
    ]}},
    e={"type": "enum", "name": "e", "symbols": ["A", "B"]},
)  # fmt: skip
SEEDS = [
    (TableFormat.ARROW, arrow_file(rows_of(SCHEMA))),
    (TableFormat.ARROW_STREAM, arrow_stream(rows_of(SCHEMA))),
    (TableFormat.ORC, orc_file(rows_of(SCHEMA), compression="uncompressed")),
    (TableFormat.ORC, orc_file(rows_of(SCHEMA), compression="zlib")),
    (TableFormat.AVRO, avro_of(AVRO_SCHEMA)),
]


@fuzzed
@given(
    seed=st.sampled_from(SEEDS),
    changes=edits("flip flip flip cut repeat end insert"),
)
def test_damaged_file_that_carries_its_types(
    ours: Watched, clickhouse: Watched, seed: tuple[TableFormat, bytes], changes: list[Edit]
) -> None:
    table_format, data = seed
    request = request_of({"x": applied(data, changes)}, table_format)
    found = read(ours, request)
    # of a name that is no UTF-8 chdb gives none, and an answer carries it only in another's words
    if "error" not in found and table_format is not TableFormat.ORC:
        theirs = asked(clickhouse, request)
        if "error" not in theirs:
            assert len(theirs["columns"]) == len(found["columns"])
