"""Columns of texts that Arrow makes at once, where their spelling leaves no doubt.

Value by value a column of numbers took ten times as long. What is not as plain as these patterns is
left to `values`, and so is what Arrow does not take: nothing is decided here that is not decided
there alike.
"""

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.readers.text.json.spelling import SpelledFloat

_TIMES: Final = (pa.date32(), pa.timestamp("us", "UTC"))
#: What a decoded JSON value is where there is nothing to ask.
_PLAIN: Final[dict[pa.DataType, frozenset[type]]] = {
    **dict.fromkeys((pa.int8(), pa.int16(), pa.int32(), pa.int64()), frozenset({int, NoneType})),
    pa.float64(): frozenset({float, SpelledFloat, NoneType}),
    pa.bool_(): frozenset({bool, NoneType}),
    **dict.fromkeys(_TIMES, frozenset({str, NoneType})),
}
_NONE: Final[frozenset[type]] = frozenset()
_REFUSALS: Final = (pa.ArrowException, ValueError, OverflowError)
_INTEGER: Final = r"^-?(?:0|[1-9][0-9]{0,17})$"
_NUMBER: Final = r"^-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?$"
#: Fifteen digits at most: the double next to them prints them again.
_SURE_FLOAT: Final = r"^-?(?:0|[1-9][0-9]{0,6})(?:\.[0-9]{1,8})?$"
#: Years that each type of date has to ClickHouse, too.
_DATE: Final = r"(?:19[7-9][0-9]|20[0-9]{2})-[0-9]{2}-[0-9]{2}"
_MOMENT: Final = rf"^{_DATE}[ T][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,6}})?Z?$"


def sure_array(values: Sequence[Any], arrow: pa.DataType, *, csv: bool) -> pa.Array | None:
    """Return a column of an Arrow batch, as `values.to_array` makes it; None where that has to be
    asked.

    Args:
        values: fields' texts (`csv`) or decoded JSON values; None is null.

    >>> sure_array(["7", None], pa.int64(), csv=True).to_pylist(), sure_array(
    ...     ["07"], pa.int64(), csv=True
    ... )
    ([7, None], None)
    """
    try:
        if not csv and not pa.types.is_string(arrow):
            # the very types: an escaped date is none, and a boolean no number
            if not _PLAIN.get(arrow, _NONE).issuperset(map(type, values)):
                return None
            if arrow not in _TIMES:
                return pa.array(values, arrow)
        texts = pa.array(values, pa.string())
        if pa.types.is_string(arrow):
            return texts
        for is_one, make in _MAKERS:
            if is_one(arrow):
                return make(texts, arrow)
    except _REFUSALS:
        return None
    return None


def _all_match(texts: pa.Array, pattern: str) -> bool:
    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def _cast_if(pattern: str) -> Callable[[pa.Array, pa.DataType], pa.Array | None]:
    def make(texts: pa.Array, arrow: pa.DataType) -> pa.Array | None:
        return texts.cast(arrow) if _all_match(texts, pattern) else None

    return make


def _floats(texts: pa.Array, arrow: pa.DataType) -> pa.Array | None:
    if _all_match(texts, _SURE_FLOAT):
        return texts.cast(arrow)
    if not _all_match(texts, _NUMBER):
        return None
    numbers = texts.cast(arrow)
    # spelled as the double is
    same = pc.equal(numbers.cast(pa.string()), texts)
    sure = pc.or_(same, pc.match_substring_regex(texts, _SURE_FLOAT))
    return numbers if pc.all(sure).as_py() is not False else None


def _moments(texts: pa.Array, arrow: pa.DataType) -> pa.Array | None:
    if not _all_match(texts, _MOMENT):
        return None
    moments = pc.utf8_rtrim(texts, "Z").cast(pa.timestamp("us"))
    return pc.assume_timezone(moments, "UTC").cast(arrow)


_MAKERS: Final[tuple[tuple[Callable[[Any], bool], Any], ...]] = (
    (pa.types.is_integer, _cast_if(_INTEGER)),
    (pa.types.is_float64, _floats),
    (pa.types.is_timestamp, _moments),
    (pa.types.is_date, _cast_if(f"^{_DATE}$")),
    (pa.types.is_boolean, _cast_if("^(?:true|false)$")),
    (pa.types.is_decimal, _cast_if(_NUMBER)),
)
