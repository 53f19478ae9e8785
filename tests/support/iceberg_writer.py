"""Tables that pyiceberg writes, in a folder, under a catalog that nobody else looks at; and its
types in ClickHouse's words, told by its own classes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch
from pathlib import Path
from typing import Any

from pyiceberg import types as of
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema

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
    parts = (f"{each.name} {clickhouse_of(each.field_type, each.required)}" for each in kind.fields)
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
