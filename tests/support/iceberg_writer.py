"""Tables that pyiceberg writes, in a folder, under a catalog that nobody else looks at; its schemas
as hypothesis draws them, and its types in ClickHouse's words, told by its own classes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from pyiceberg import types as of
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema, assign_fresh_schema_ids

from stocktake.schema.types import element_name
from tests.support.iceberg_tables import metadata_of

_PLAIN = {
    of.BooleanType: "Bool",
    of.IntegerType: "Int32",
    of.LongType: "Int64",
    of.FloatType: "Float32",
    of.DoubleType: "Float64",
    of.DateType: "Date32",
    of.TimeType: "DateTime64(6, 'UTC')",
    of.TimestampType: "DateTime64(6)",
    of.TimestamptzType: "DateTime64(6, 'UTC')",
    of.TimestampNanoType: "DateTime64(9)",
    of.TimestamptzNanoType: "DateTime64(9, 'UTC')",
    of.StringType: "String",
    of.BinaryType: "String",
    of.GeometryType: "String",
    of.GeographyType: "String",
    of.UUIDType: "UUID",
    of.UnknownType: "Nothing",
}


@singledispatch
def clickhouse_of(kind: of.IcebergType, required: bool) -> str:
    """What the specification's table in docs/types.md makes of a type."""
    text = _PLAIN[type(kind)]
    return text if required else f"Nullable({text})"


@clickhouse_of.register
def _(kind: of.DecimalType, required: bool) -> str:
    text = f"Decimal({kind.precision}, {kind.scale})"
    return text if required else f"Nullable({text})"


@clickhouse_of.register
def _(kind: of.FixedType, required: bool) -> str:
    text = f"FixedString({len(kind)})"
    return text if required else f"Nullable({text})"


@clickhouse_of.register
def _(kind: of.ListType, required: bool) -> str:
    return f"Array({clickhouse_of(kind.element_type, kind.element_required)})"


@clickhouse_of.register
def _(kind: of.MapType, required: bool) -> str:
    value = clickhouse_of(kind.value_type, kind.value_required)
    return f"Map({clickhouse_of(kind.key_type, True)}, {value})"


@clickhouse_of.register
def _(kind: of.StructType, required: bool) -> str:
    parts = (
        f"{element_name(each.name)} {clickhouse_of(each.field_type, required and each.required)}"
        for each in kind.fields
    )
    return f"Tuple({', '.join(parts)})"


def columns_of(schema: Schema) -> list[tuple[str, str, bool, int]]:
    """Of each column the name, the type, whether it may be null, and the field's id."""
    return [
        (each.name, clickhouse_of(each.field_type, each.required), each.optional, each.field_id)
        for each in schema.fields
    ]


@contextmanager
def warehouse(folder: Path) -> Iterator[SqlCatalog]:
    """A catalog in SQLite; a table `n.t` of it lies in `folder/n/t`."""
    catalog = SqlCatalog(
        "tests", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
    )
    catalog.create_namespace("n")
    try:
        yield catalog
    finally:
        catalog.close()


def create(catalog: SqlCatalog, *fields: of.NestedField, version: int = 2, **more: Any) -> Any:
    """Make the table `n.t`."""
    properties = {"format-version": str(version)}
    return catalog.create_table("n.t", schema=Schema(*fields), properties=properties, **more)


#: What ClickHouse has a type of its own for.
PLAIN = st.sampled_from(
    [
        *(of.BooleanType(), of.IntegerType(), of.LongType(), of.FloatType(), of.DoubleType()),
        *(of.DateType(), of.TimestampType(), of.TimestamptzType()),
        *(of.TimestampNanoType(), of.TimestamptzNanoType()),
        *(of.StringType(), of.BinaryType(), of.UUIDType(), of.FixedType(16), of.FixedType(1)),
        *(of.DecimalType(38, 38), of.DecimalType(1, 0), of.DecimalType(10, 2)),
    ]
)
ODD = st.sampled_from(
    [
        *(of.TimeType(), of.GeometryType(), of.GeometryType("srid:4326"), of.GeographyType()),
        of.GeographyType("OGC:CRS84", "vincenty"),
    ]
)


def _struct(parts: list[tuple[of.IcebergType, bool]]) -> of.StructType:
    fields = (
        of.NestedField(0, f"f{number}", kind, required=required)
        for number, (kind, required) in enumerate(parts)
    )
    return of.StructType(*fields)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = st.tuples(inner, st.booleans())
    return st.one_of(
        parts.map(lambda one: of.ListType(0, one[0], one[1])),
        st.builds(lambda key, one: of.MapType(0, key, 0, one[0], one[1]), PLAIN, parts),
        st.lists(parts, min_size=1, max_size=3).map(_struct),
    )


def schemas(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Schema]:
    """Schemas of up to six columns of these types and of what holds them."""
    types = st.recursive(leaves, _nested, max_leaves=6)
    columns = st.lists(st.tuples(types, st.booleans()), min_size=1, max_size=6)
    return columns.map(lambda parts: assign_fresh_schema_ids(Schema(*_struct(parts).fields)))


def metadata_with(schema: Schema) -> dict[str, Any]:
    """Metadata of version 3 with this schema, as pyiceberg spells it; it writes none itself."""
    spelled = json.loads(schema.model_dump_json()) | {"schema-id": 0}
    return metadata_of([], format_version=3, schemas=[spelled])
