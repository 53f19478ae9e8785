"""What a Delta log says of a data file's values, taken from the file's own footer.

Readers skip files by these, so a bound that is not sure is left out (Delta protocol, "Per-file
Statistics").
"""

import json
import math
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: Of the table's first leaves, as `delta.dataSkippingNumIndexedCols` has it by default; of the
#: others only that they hold nothing is told, where it is so.
_INDEXED_LEAVES: Final = 32
_LONGEST_TEXT: Final = 32
_LAST_CHARACTER: Final = "\U0010ffff"
#: Digits of a decimal that a reader surely gets out of a JSON number.
_SURE_DIGITS: Final = 15


class _Leaf(NamedTuple):
    """One column of a Parquet file.

    Attributes:
        path: the names of a column and of the structs' fields down to the value.
        repeated: whether it is in a list or a map; these have no bounds.
    """

    path: tuple[str, ...]
    type: pa.DataType
    repeated: bool


def statistics(footer: pq.FileMetaData, schema: pa.Schema, unbounded: Collection[int]) -> str:
    """Return a file's `stats`: its rows, and the bounds and nulls of its columns.

    Args:
        footer: as it was written, with the statistics of all row groups.
        schema: what the file was written with.
        unbounded: the leaves that hold a NaN, which a footer leaves out of its bounds and some
            readers take for the largest number of all (`with_nan`).
    """
    stats: dict[str, Any] = {
        "numRecords": footer.num_rows,
        "minValues": {},
        "maxValues": {},
        "nullCount": {},
    }
    for number, leaf in enumerate(leaves(schema)):
        if leaf.repeated:
            continue
        chunks = [
            footer.row_group(group).column(number).statistics
            for group in range(footer.num_row_groups)
        ]
        if any(chunk is None or not chunk.has_null_count for chunk in chunks):
            continue
        nulls = sum(chunk.null_count for chunk in chunks)
        if number < _INDEXED_LEAVES or nulls == footer.num_rows:
            _put(stats["nullCount"], leaf.path, nulls)
        if number < _INDEXED_LEAVES and number not in unbounded:
            _put_bounds(stats, leaf, [chunk for chunk in chunks if chunk.has_min_max])
    return json.dumps(stats)


def with_nan(table: pa.Table) -> set[int]:
    """Return which of the leaves that get bounds hold a NaN."""
    return {
        number
        for number, leaf in enumerate(islice(leaves(table.schema), _INDEXED_LEAVES))
        if pa.types.is_floating(leaf.type) and not leaf.repeated
        if pc.any(pc.is_nan(_values(table, leaf.path))).as_py()
    }


def _values(table: pa.Table, path: tuple[str, ...]) -> pa.ChunkedArray:
    column = table.column(path[0])
    return pc.struct_field(column, list(path[1:])) if path[1:] else column


def leaves(schema: pa.Schema) -> Iterator[_Leaf]:
    """Yield the columns of the Parquet file that a schema makes, in its order."""
    for field in schema:
        yield from _below(field.type, (field.name,), repeated=False)


def _below(arrow: Any, path: tuple[str, ...], *, repeated: bool) -> Iterator[_Leaf]:
    if pa.types.is_struct(arrow):
        for field in arrow:
            yield from _below(field.type, (*path, field.name), repeated=repeated)
    elif pa.types.is_map(arrow):
        yield from _below(arrow.key_type, path, repeated=True)
        yield from _below(arrow.item_type, path, repeated=True)
    elif pa.types.is_list(arrow):
        yield from _below(arrow.value_type, path, repeated=True)
    else:
        yield _Leaf(path, arrow, repeated)


def _put_bounds(stats: dict[str, Any], leaf: _Leaf, chunks: list[Any]) -> None:
    if not chunks:
        return
    try:
        least = _json(min(chunk.min for chunk in chunks))
        most = _json(max(chunk.max for chunk in chunks), upper=True)
    except (ValueError, OverflowError):
        return  # a moment that Python has no date for
    if least is not None and most is not None:
        _put(stats["minValues"], leaf.path, least)
        _put(stats["maxValues"], leaf.path, most)


def _put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _json(bound: Any, *, upper: bool = False) -> Any:
    """Return a bound as the log spells it; None where it cannot be told for sure."""
    if isinstance(bound, bool | bytes):
        return None
    if isinstance(bound, int):
        return bound
    if isinstance(bound, float):
        return bound if math.isfinite(bound) else None
    if isinstance(bound, str):
        return _text(bound, upper=upper)
    if isinstance(bound, datetime):
        return bound.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(bound, date):
        return bound.isoformat()
    if isinstance(bound, Decimal) and len(bound.as_tuple().digits) <= _SURE_DIGITS:
        return float(bound)
    return None


def _text(bound: str, *, upper: bool) -> str | None:
    if len(bound) <= _LONGEST_TEXT:
        return bound
    if not upper:
        return bound[:_LONGEST_TEXT]
    # above whatever begins with these characters, but for the last character of all
    return (
        None if bound[_LONGEST_TEXT] == _LAST_CHARACTER else bound[:_LONGEST_TEXT] + _LAST_CHARACTER
    )
