"""Arrow batches as files with types give them, cast to the types that a Delta table takes.

A value is kept exactly, or refused with its place (docs/loads.md).
"""

import struct
from collections.abc import Callable, Collection
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.loading.arrow_types import LISTS
from stocktake.loading.conflicts import MisfitError, conflict
from stocktake.loading.values import is_json
from stocktake.readers.arrow_types import TEXTS, clickhouse_type
from stocktake.readers.text.values.numbers import gives_back
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
_BYTES: Final = (*TEXTS, pa.types.is_fixed_size_binary)
#: How pyarrow and we refuse a value.
_REFUSALS: Final = (pa.ArrowException, ValueError, OverflowError)
#: Up to here a float holds every integer.
_EXACT_INTEGERS: Final = {32: 2**24, 64: 2**53}


def cast_batch(
    batch: pa.RecordBatch, schema: pa.Schema, file: str, *, first_row: int = 1
) -> pa.RecordBatch:
    """Return the batch in the schema's order and types; a column that it lacks is null.

    Args:
        file: for messages.
        first_row: of the file, counted from 1, for messages.

    Raises:
        ColumnConflictError: a column's values do not fit the schema's type.
    """
    arrays = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        if index < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        column = batch.column(index)
        try:
            arrays.append(_cast(column, field.type))
        except MisfitError as exc:
            row = _first_misfit(column, partial(_cast, target=field.type))
            place = f"row {first_row + row:,}"
            raise conflict(field, exc, file=file, place=place) from exc
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def require_json(
    batch: pa.RecordBatch, names: Collection[str], file: str, *, first_row: int
) -> None:
    """Refuse texts that are no JSON in columns that are to hold it. Arguments as of `cast_batch`.

    Raises:
        ColumnConflictError: naming the first of a column.
    """
    for field in batch.schema:
        if field.name not in names:
            continue
        for row, text in enumerate(batch.column(field.name).to_pylist()):
            if text is not None and not is_json(text):
                misfit = MisfitError("it is no JSON", value=text, found="String")
                raise conflict(field, misfit, file=file, place=f"row {first_row + row:,}")


def _first_misfit(array: Any, cast: Callable[[Any], Any]) -> int:
    """Return the position of the first value that makes a cast fail, of an array that has one."""
    begin, end = 0, len(array)
    while end - begin > 1:
        middle = (begin + end) // 2
        try:
            cast(array.slice(begin, middle - begin))
            begin = middle
        except _REFUSALS:
            end = middle
    return begin


def _cast(array: Any, target: Any) -> pa.Array:
    """Cast to the type.

    Raises:
        MisfitError: the types or a value do not allow it.
    """
    if array.type == target:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), target)
    if isinstance(array.type, pa.DictionaryType):
        return _cast(array.dictionary_decode(), target)
    if isinstance(array.type, pa.BaseExtensionType):
        return _cast(_plain(array), target)
    if pa.types.is_struct(array.type) and pa.types.is_struct(target):
        return _cast_struct(array, target)
    if any(is_list(array.type) for is_list in LISTS) and pa.types.is_list(target):
        return _cast_list(array, target)
    if pa.types.is_list(array.type) and pa.types.is_map(target):
        return _cast_pairs(array, target)
    if pa.types.is_map(array.type) and pa.types.is_map(target):
        return _cast_map(array, target)
    try:
        return _cast_leaf(array, target)
    except _REFUSALS as exc:
        value = array.slice(_first_misfit(array, lambda part: _cast_leaf(part, target)), 1)
        why = exc.why if isinstance(exc, MisfitError) else ""
        raise MisfitError(why, value=_shown(value), found=str(array.type)[:80]) from exc


def _shown(one: Any) -> str:
    try:
        return str(one.cast(pa.string())[0])
    except _REFUSALS:
        return repr(one.to_pylist()[0])


def _plain(array: Any) -> pa.Array:
    if array.type.extension_name != "arrow.uuid":
        return array.storage
    # The column is a text, and the bytes of a UUID are none.
    texts = [None if raw is None else str(UUID(bytes=raw)) for raw in array.storage.to_pylist()]
    return pa.array(texts, pa.string())


def _cast_struct(array: Any, target: Any) -> pa.Array:
    # Not `array.field`: under a struct that is null there may be values.
    given = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    for name, values in given.items():
        if target.get_field_index(name) < 0 and values.null_count < len(values):
            raise MisfitError("the column has no such field", path=(name,))
    children = [_cast_field(given.get(field.name), field, len(array)) for field in target]
    return pa.StructArray.from_arrays(children, fields=list(target), mask=array.is_null())


def _cast_field(values: Any, field: pa.Field, length: int) -> pa.Array:
    if values is None:
        return pa.nulls(length, field.type)
    try:
        return _cast(values, field.type)
    except MisfitError as exc:
        raise exc.within(field.name) from exc


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
        raise MisfitError("a list is no map")
    flat = pc.list_flatten(pairs)
    keys, items = _cast(flat.field(0), target.key_type), _cast(flat.field(1), target.item_type)
    if keys.null_count:
        raise MisfitError("a key is null")
    return pa.MapArray.from_arrays(_offsets(pairs), keys, items, type=target, mask=pairs.is_null())


def _cast_leaf(array: Any, target: Any) -> pa.Array:
    """Cast values that hold no others. Raises one of `_REFUSALS`."""
    if array.null_count == len(array):
        return pa.nulls(len(array), target)
    if pa.types.is_nested(array.type) or pa.types.is_nested(target):
        raise MisfitError("")
    _require_alike(array.type, target)
    if pa.types.is_time(array.type) and not pa.types.is_string(target):
        array = _moments(array)
    if pa.types.is_duration(array.type):
        array = array.cast(pa.int64())
    if pa.types.is_timestamp(array.type) and pa.types.is_timestamp(target):
        return _to_timestamp(array, target)
    if pa.types.is_floating(target):
        return _to_float(array, target)
    if pa.types.is_integer(array.type) and pa.types.is_decimal(target):
        # pyarrow asks for as many digits as the integers' type has, whatever they are
        array = array.cast(pa.decimal128(38, 0))
    return array.cast(target)


def _require_alike(found: pa.DataType, target: pa.DataType) -> None:
    if pa.types.is_string(target) or (
        pa.types.is_binary(target) and any(is_bytes(found) for is_bytes in _BYTES)
    ):
        return
    one, other = (
        database_field(clickhouse_type(pa.field("value", type_))).removesuffix("DatabaseField")
        for type_ in (found, target)
    )
    if pa.types.is_binary(target) or (one != other and (one, other) not in _ALLOWED):
        raise MisfitError("")


def _moments(array: Any) -> pa.Array:
    """Return times as moments of the first day of 1970, as ClickHouse reads them. pyarrow casts no
    time to a timestamp, and a short one not to 64 bits at once."""
    ticks = pa.int32() if array.type.bit_width == 32 else pa.int64()
    return array.cast(ticks).cast(pa.int64()).cast(pa.timestamp(array.type.unit, "UTC"))


def _to_timestamp(array: Any, target: Any) -> pa.Array:
    try:
        return array.cast(target)
    except pa.ArrowInvalid as exc:
        finer = array.type.unit == "ns"
        why = "Delta keeps microseconds" if finer else "it is out of a timestamp's range"
        raise MisfitError(why) from exc


def _to_float(array: Any, target: Any) -> pa.Array:
    bits = target.bit_width
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())  # pyarrow compares none of these
    if pa.types.is_decimal(array.type):
        values = [
            None if value is None else _decimal_float(value, bits) for value in array.to_pylist()
        ]
        return pa.array(values, target)
    result = array.cast(target, safe=False)
    if pa.types.is_integer(array.type):
        kept = _keeps_integers(array, result, _EXACT_INTEGERS[bits])
    else:
        same = pc.equal(result.cast(array.type), array)
        kept = pc.all(pc.or_(same, pc.is_nan(array))).as_py() is not False
    if not kept:
        raise MisfitError(f"{bits} bits do not hold it exactly")
    return result


def _keeps_integers(array: Any, floats: Any, sure: int) -> bool:
    bounds = pc.min_max(array)
    if -sure <= bounds["min"].as_py() and bounds["max"].as_py() <= sure:
        return True
    pairs = zip(array.to_pylist(), floats.to_pylist(), strict=True)
    return all(whole is None or int(value) == whole for whole, value in pairs)


def _decimal_float(value: Decimal, bits: int) -> float:
    """Return the float that prints as the decimal does; of 32 bits, the one that is it."""
    number = float(value)
    if bits == 32:
        kept = Decimal(struct.unpack("f", struct.pack("f", number))[0]) == value
    else:
        kept = gives_back(f"{value:f}")
    if not kept:
        raise MisfitError(f"{bits} bits do not hold it exactly")
    return number
