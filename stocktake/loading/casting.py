"""Arrow batches as Parquet gives them, cast to the types that a Delta table takes.

Losing nanoseconds is allowed, since Delta keeps microseconds; losing anything else is not.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.errors import SchemaConflictError
from stocktake.readers.arrow_types import clickhouse_type
from stocktake.schema.wire_names import database_field

#: Which classes of types may be cast to which; all of them to a text.
_ALLOWED: Final = frozenset(
    {
        ("Integer", "Float"),
        ("Integer", "Decimal"),
        ("Decimal", "Float"),
        ("Date", "DateTime"),
    }
)
_LISTS: Final[tuple[Callable[[Any], bool], ...]] = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
)


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema, file: str) -> pa.RecordBatch:
    """Return the batch in the schema's order and types; a column that it lacks is null.

    Args:
        file: for messages.

    Raises:
        SchemaConflictError: a column's values do not fit the schema's type.
    """
    arrays = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        if index < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        try:
            arrays.append(_cast(batch.column(index), field.type))
        except (pa.ArrowException, ValueError) as exc:
            raise _conflict(batch.schema.field(index), field, file) from exc
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _conflict(found: pa.Field, field: pa.Field, file: str) -> SchemaConflictError:
    return SchemaConflictError(
        f"{file}: column {field.name!r} holds values of Arrow's type "
        f"{str(found.type)[:80]} that do not fit, expected {clickhouse_type(field).bare}.",
        file=file,
    )


def _cast(array: Any, target: Any) -> pa.Array:
    """Cast to the type.

    Raises:
        ValueError: the types or a value do not allow it; pyarrow's own errors are such, too.
    """
    if array.type == target:
        return array
    if isinstance(array.type, pa.DictionaryType):
        return _cast(array.dictionary_decode(), target)
    if isinstance(array.type, pa.BaseExtensionType):
        return _cast(_plain(array), target)
    if pa.types.is_struct(array.type) and pa.types.is_struct(target):
        return _cast_struct(array, target)
    if any(is_list(array.type) for is_list in _LISTS) and pa.types.is_list(target):
        return _cast_list(array, target)
    if pa.types.is_list(array.type) and pa.types.is_map(target):
        return _cast_pairs(array, target)
    if pa.types.is_map(array.type) and pa.types.is_map(target):
        return _cast_map(array, target)
    return _cast_leaf(array, target)


def _plain(array: Any) -> pa.Array:
    if array.type.extension_name != "arrow.uuid":
        return array.storage
    # The column is a text, and the bytes of a UUID are none.
    texts = [None if raw is None else str(UUID(bytes=raw)) for raw in array.storage.to_pylist()]
    return pa.array(texts, pa.string())


def _cast_struct(array: Any, target: Any) -> pa.Array:
    children = [
        _cast(array.field(index), field.type)
        if (index := array.type.get_field_index(field.name)) >= 0
        else pa.nulls(len(array), field.type)
        for field in target
    ]
    return pa.StructArray.from_arrays(children, fields=list(target), mask=array.is_null())


def _cast_list(array: Any, target: Any) -> pa.Array:
    # Not `array.values`: those of a slice are the whole array's, and a null list may have some.
    values = _cast(pc.list_flatten(array), target.value_type)
    offsets = _offsets(array)
    return pa.ListArray.from_arrays(offsets, values, type=target, mask=array.is_null())


def _offsets(array: Any) -> pa.Array:
    """Return offsets from zero, whatever slice of a larger array this one is."""
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(array), 0)).cast(pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), ends])


def _cast_map(array: Any, target: Any) -> pa.Array:
    # pyarrow flattens no map; as a list of pairs it can be.
    pair = pa.struct([pa.field("key", array.type.key_type, nullable=False), array.type.item_field])
    return _cast_pairs(array.cast(pa.list_(pair)), target)


def _cast_pairs(pairs: Any, target: Any) -> pa.Array:
    """Make maps of lists of a key and a value, which maps are to Parquet."""
    pair = pairs.type.value_type
    if not pa.types.is_struct(pair) or pair.num_fields != 2:
        raise ValueError("a list against a map")
    flat = pc.list_flatten(pairs)
    keys, items = _cast(flat.field(0), target.key_type), _cast(flat.field(1), target.item_type)
    if keys.null_count:
        raise ValueError("a null as a key")
    return pa.MapArray.from_arrays(_offsets(pairs), keys, items, type=target, mask=pairs.is_null())


def _cast_leaf(array: Any, target: Any) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), target)
    if pa.types.is_nested(array.type) or pa.types.is_nested(target):
        raise ValueError("a nested type against another")
    _require_alike(array.type, target)
    if pa.types.is_time(array.type):
        # To ClickHouse, and so to us, a time is one of the first day of 1970. pyarrow casts no time
        # to a timestamp, and a short one not to 64 bits at once.
        ticks = pa.int32() if array.type.bit_width == 32 else pa.int64()
        array = array.cast(ticks).cast(pa.int64()).cast(pa.timestamp(array.type.unit, "UTC"))
    if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(target):
        return pc.cast(array, options=pc.CastOptions(target, allow_time_truncate=True))
    return array.cast(target)


def _require_alike(found: pa.DataType, target: pa.DataType) -> None:
    if pa.types.is_string(target) or pa.types.is_binary(target):
        return
    one, other = (
        database_field(clickhouse_type(pa.field("value", type_))).removesuffix("DatabaseField")
        for type_ in (found, target)
    )
    if one != other and (one, other) not in _ALLOWED:
        raise ValueError(f"{one} against {other}")
