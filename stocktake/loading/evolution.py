"""What a managed table's schema becomes as loads add to it: kept, grown, widened, or refused.

The rules are those of a diff (`schema/widening.py`): what a diff calls additive or widening
a load may do, and what it calls breaking it may not (docs/loads.md).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from stocktake.errors import SchemaConflictError
from stocktake.loading.arrow_types import arrow_type
from stocktake.readers.arrow_types import clickhouse_type
from stocktake.schema.columns import Column
from stocktake.schema.types import Type
from stocktake.schema.widening import is_widening, widen

ArrowTypes = Mapping[str, pa.DataType]
#: Joins the table's type of a value with the upload's.
Join = Callable[[Any, Any], pa.DataType]


def load_schema(columns: Sequence[Column], existing: ArrowTypes, given: ArrowTypes) -> pa.Schema:
    """Return the schema with which an upload's rows are loaded: a type that exists wins.

    Args:
        columns: the upload's.
        existing: the Delta table's; none where it is new or replaced.
        given: the types that the upload has of itself, if it has some.

    Raises:
        SchemaConflictError: two columns, or two fields of a struct, differ in the case of their
            letters only, which Delta takes for one name.
    """
    refuse_same_names([*existing, *(column.name for column in columns)])
    fields = []
    for column in columns:
        wanted = arrow_type(column.type, given.get(column.name))
        known = existing.get(column.name)
        fields.append(pa.field(column.name, wanted if known is None else merged(known, wanted)))
    for field in fields:
        _refuse_same_fields(field.type, field.name)
    return pa.schema(fields)


def refuse_same_names(names: Iterable[str], *, within: str = "") -> None:
    """Refuse names that are one to Delta.

    Args:
        within: the path of the struct that they are in.

    Raises:
        SchemaConflictError: two differ in the case of their letters only.
    """
    seen: dict[str, str] = {}
    what = f"The fields of {within!r}" if within else "The columns"
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise SchemaConflictError(
                f"{what} {other!r} and {name!r} are one name to Delta, which ignores case.",
                hint="Rename one of them.",
            )


def _refuse_same_fields(arrow: Any, path: str) -> None:
    if pa.types.is_struct(arrow):
        refuse_same_names([field.name for field in arrow], within=path)
        for field in arrow:
            _refuse_same_fields(field.type, f"{path}.{field.name}")
    elif pa.types.is_list(arrow):
        _refuse_same_fields(arrow.value_type, path)
    elif pa.types.is_map(arrow):
        _refuse_same_fields(arrow.item_type, path)


def merged(known: Any, wanted: Any) -> pa.DataType:
    """Return the existing type, with the fields that an upload's struct adds to it.

    >>> merged(pa.struct([("a", pa.int8())]), pa.struct([("a", pa.int64()), ("b", pa.string())]))
    StructType(struct<a: int8, b: string>)
    """
    return _join(known, wanted, lambda known, _: known)


def widened(known: Any, wanted: Any) -> pa.DataType:
    """Return the type that holds the values of both, as far as a diff would call it widening; what
    it would call breaking stays as it is.

    >>> widened(pa.int64(), pa.float64()), widened(pa.int64(), pa.string())
    (DataType(double), DataType(int64))
    """
    return _join(known, wanted, _wider)


def _join(known: Any, wanted: Any, join: Join) -> pa.DataType:
    if pa.types.is_struct(known) and pa.types.is_struct(wanted):
        news = {field.name: field for field in wanted}
        fields = [
            field.with_type(_join(field.type, news.pop(field.name).type, join))
            if field.name in news
            else field
            for field in known
        ]
        return pa.struct([*fields, *news.values()])
    if pa.types.is_list(known) and pa.types.is_list(wanted):
        element = known.value_field
        return pa.list_(element.with_type(_join(element.type, wanted.value_type, join)))
    if pa.types.is_map(known) and pa.types.is_map(wanted):
        return pa.map_(known.key_type, _join(known.item_type, wanted.item_type, join))
    # The files that are there keep their type: the upload's values have to fit it.
    return join(known, wanted)


def _wider(known: pa.DataType, wanted: pa.DataType) -> pa.DataType:
    if pa.types.is_string(known) and pa.types.is_binary(wanted):
        return wanted  # to ClickHouse, and so to a diff, both are String
    if pa.types.is_nested(known) or pa.types.is_nested(wanted):
        return known
    old, new = _bare(known), _bare(wanted)
    both = widen(old, new)
    found = arrow_type(both)
    # a decimal of so many digits that Delta has none
    too_wide = pa.types.is_string(found) and not pa.types.is_string(known)
    grown = is_widening(old, both) and is_widening(new, both) and not too_wide
    return found if grown else known


def _bare(arrow: pa.DataType) -> Type:
    return clickhouse_type(pa.field("value", arrow)).bare


def set_type(override: Type, own: Any) -> pa.DataType:
    """Return the type that a user's word makes of a column. What the word leaves open, the digits
    of a decimal, the elements of an array and the fields of an object, the column's own type says.

    Args:
        own: the table's, else the file's.

    >>> from stocktake.schema.types import scalar
    >>> set_type(scalar("Array"), pa.list_(pa.int64())), set_type(scalar("Decimal"), pa.float64())
    (ListType(list<item: int64>), Decimal128Type(decimal128(38, 9)))
    """
    if not override.fields and not override.parameters:
        for name, is_one, otherwise in _OPEN:
            if override.name == name:
                return own if is_one(own) else otherwise
    return arrow_type(override.bare)


def _is_object(arrow: Any) -> bool:
    return bool(pa.types.is_struct(arrow) or pa.types.is_map(arrow))


#: Of the words that leave something open: which types they are said of, and what they make of
#: another. An object without fields is kept as its text.
_OPEN: Final[tuple[tuple[str, Callable[[Any], bool], pa.DataType], ...]] = (
    ("Decimal", pa.types.is_decimal, pa.decimal128(38, 9)),
    ("Array", pa.types.is_list, pa.list_(pa.field("element", pa.string()))),
    ("Map", _is_object, pa.string()),
)


def changed(known: pa.Schema, schema: pa.Schema) -> list[str]:
    """Return the columns of a table whose values a schema keeps in another type, so that they have
    to be written anew; fields and columns that are merely new count not."""
    types = {field.name: field.type for field in schema}
    return [
        field.name
        for field in known
        if field.name in types and merged(field.type, types[field.name]) != types[field.name]
    ]
