"""Which columns hold geometry: by GeoParquet's metadata, or by Parquet's own logical types.

ClickHouse (26.9) makes points and polygons of their well-known binary. Where it would fail on what
the metadata announces, the column stays what Parquet stores: ClickHouse reads that as a String.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import pyarrow.parquet as pq

from stocktake.readers.parquet.footer import varint
from stocktake.schema.columns import Column
from stocktake.schema.types import GEOMETRIES, Type, scalar
from stocktake.schema.wire_names import database_field

#: How a field of the ids 17 and 18 in `LogicalType` begins, behind the header of the union.
_MARKS: Final = (b"\x0c\x22", b"\x0c\x24")
_LOGICAL: Final = frozenset({"GEOMETRY", "GEOGRAPHY"})
#: How the entry "geo" begins in a footer's key-value metadata: a key of three bytes, and a value.
_KEY: Final = b"\x18\x03geo\x18"
_ENCODINGS: Final = frozenset({"WKB", "WKT"})
#: What the metadata may announce and ClickHouse has a type for; it makes none of `Ring`.
_READABLE: Final = GEOMETRIES - {"Geometry", "Ring"}
_MIXED: Final = scalar("Geometry")
#: A column of one of these may be geometry; a list of them, or of fixed length, is not.
_BYTES: Final = scalar("String")

Geometries = tuple[tuple[str, Type], ...]


def marked(schema: bytes, elements: pq.ParquetSchema) -> Geometries:
    """Return the columns that Parquet's own types say to be geometry: ClickHouse reads each as a
    mixed one, and as nothing else.

    Args:
        schema: its bytes, which tell most schemas to have none.
        elements: the same, as pyarrow reads it.
    """
    if not any(mark in schema for mark in _MARKS):
        return ()
    leaves = (elements.column(at) for at in range(len(elements)))
    return tuple(
        (leaf.path, _MIXED)
        for leaf in leaves
        if leaf.logical_type.type in _LOGICAL and not leaf.max_repetition_level
    )


def described(footer: bytes) -> Geometries:
    """Return the columns that GeoParquet's metadata says to be geometry.

    Args:
        footer: the end of it. The metadata stands there behind all row groups, which it would take
            long to step over: it is looked for.
    """
    at = footer.rfind(_KEY)
    while at >= 0:
        found = _json_at(footer, at + len(_KEY))
        if isinstance(found, dict) and isinstance(columns := found.get("columns"), dict):
            kinds = ((name, _type(column)) for name, column in columns.items())
            return tuple((name, kind) for name, kind in kinds if kind is not None)
        at = footer.rfind(_KEY, 0, at)
    return ()


def _json_at(footer: bytes, at: int) -> Any:
    try:
        length, start = varint(footer, at)
        return json.loads(footer[start : start + length])
    except (IndexError, ValueError, RecursionError):
        return None


def _type(column: Any) -> Type | None:
    if not isinstance(column, Mapping) or column.get("encoding") not in _ENCODINGS:
        return None
    kinds = column.get("geometry_types")
    if not isinstance(kinds, list) or not kinds:
        return _MIXED
    # Three dimensions, and collections: ClickHouse says Geometry, and fails to read them.
    if not all(isinstance(kind, str) and kind in _READABLE for kind in kinds):
        return None
    return scalar(kinds[0]) if len(kinds) == 1 else _MIXED


@lru_cache(maxsize=8)
def with_geometries(columns: tuple[Column, ...], found: Geometries) -> tuple[Column, ...]:
    """Return the columns with these types, where the bytes are there for it. The same object for
    the same arguments, as of files of one schema."""
    types = dict(found)
    return tuple(
        replace(each, type=types[each.name], hogql=database_field(types[each.name]))
        if each.name in types and each.type.bare == _BYTES
        else each
        for each in columns
    )
