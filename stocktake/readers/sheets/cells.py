"""What a column of cells is: the one type that all of them fit, and its values in Arrow."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import pyarrow as pa

from stocktake.schema.types import Type, scalar

#: What an empty cell is to python-calamine, and one that holds an error.
EMPTY: Final = ""

#: Beyond these not every whole number is one of Excel's, which are floats.
_MOST_WHOLE: Final = 1 << 53
_TEXT: Final = scalar("String", nullable=True)
_WHOLE: Final = scalar("Int64", nullable=True)
_NUMBER: Final = scalar("Float64", nullable=True)
_DAY: Final = scalar("Date32", nullable=True)
_MOMENT: Final = scalar("DateTime64", "6", nullable=True)
_FLAG: Final = scalar("Bool", nullable=True)
#: Days that ClickHouse's Date32 and DateTime64 hold.
_FIRST, _LAST = date(1900, 1, 1), date(2299, 12, 31)

_ARROW: Final[dict[Type, pa.DataType]] = {
    _TEXT: pa.string(),
    _WHOLE: pa.int64(),
    _NUMBER: pa.float64(),
    _DAY: pa.date32(),
    _MOMENT: pa.timestamp("us"),
    _FLAG: pa.bool_(),
}


def type_of(cells: Sequence[Any]) -> Type:
    """Return the type of a column: a number is whole where all are, and what is mixed is a text.

    >>> str(type_of([1.0, "", 2.0])), str(type_of([1.0, 2.5])), str(type_of([1.0, "a"]))
    ('Nullable(Int64)', 'Nullable(Float64)', 'Nullable(String)')
    """
    filled = [cell for cell in cells if cell != EMPTY]
    classes = set(map(type, filled))
    # Exactly these classes: a flag is a number to Python, and a moment is a day.
    if classes <= {float, int} and classes:
        return _WHOLE if all(map(_is_whole, filled)) else _NUMBER
    if classes <= {date, datetime} and classes:
        days = [cell.date() if isinstance(cell, datetime) else cell for cell in filled]
        if min(days) < _FIRST or max(days) > _LAST:
            return _TEXT
        return _DAY if classes == {date} else _MOMENT
    return _FLAG if classes == {bool} else _TEXT


def array_of(cells: Sequence[Any], type_: Type) -> pa.Array:
    """Return the cells of a column as its type's values; an empty one is null."""
    convert = _CONVERT.get(type_, _same)
    values = [None if cell == EMPTY else convert(cell) for cell in cells]
    return pa.array(values, _ARROW[type_])


def _is_whole(cell: float) -> bool:
    return float(cell).is_integer() and abs(cell) <= _MOST_WHOLE


def spelled(cell: Any) -> str:
    """Return a cell as a text: a number without the point that only floats have, a length of time
    in hours.

    >>> spelled(7.0), spelled(timedelta(days=1, minutes=5)), spelled(True)
    ('7', '24:05:00', 'true')
    """
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= _MOST_WHOLE:
        return str(int(cell))
    if isinstance(cell, timedelta):
        seconds, micros = divmod(cell // timedelta(microseconds=1), 1_000_000)
        shown = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{shown}.{micros:06}" if micros else shown
    if isinstance(cell, datetime):
        return cell.isoformat(" ")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _same(cell: Any) -> Any:
    return cell


def _moment(cell: date) -> datetime:
    return cell if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001  # a sheet knows no zone


_CONVERT: Final[dict[Type, Callable[[Any], Any]]] = {
    _TEXT: spelled,
    _WHOLE: int,
    _NUMBER: float,
    _MOMENT: _moment,
}
