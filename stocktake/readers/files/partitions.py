"""The columns that stand in folders' names, as Hive writes them: ``year=2026/``."""

import re
from collections.abc import Iterable
from datetime import date
from typing import Final
from urllib.parse import unquote

from stocktake.readers.limits import check_columns, check_names
from stocktake.readers.source import Limits
from stocktake.schema.columns import Column
from stocktake.schema.types import Type, scalar

#: What Hive, Spark and others write in the path for a null.
HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


#: Eighteen digits always fit an Int64, which loses a zero before others. Two digits are a month, a
#: day or an hour, and count all the same; more are a zip code.
_INTEGER: Final = re.compile(r"[0-9]{2}|0|-?[1-9][0-9]{0,17}")
#: The days of ClickHouse's Date; Date32 has the others.
_DATES: Final = (date(1970, 1, 1), date(2149, 6, 6))


def hive_partitions(paths: Iterable[str], limits: Limits | None = None) -> tuple[Column, ...]:
    """Return the columns that ``key=value/`` folders carry: Int64, Date or Date32 where every value
    reads as that, else String; always nullable, since a folder for null may come any day.

    Args:
        limits: `max_columns` and `max_name_length` apply; the default when None.

    Raises:
        LimitExceededError: a name is too long, or there are too many.
        InvalidSourceError: one cannot be stored.

    >>> [(c.name, c.clickhouse) for c in hive_partitions(["t/day=2024-01-31/n=7/a.csv"])]
    [('day', 'Nullable(Date)'), ('n', 'Nullable(Int64)')]
    """
    values: dict[str, set[str]] = {}
    for path in paths:
        for folder in path.split("/")[:-1]:
            key, equals, value = folder.partition("=")
            if key and equals:
                values.setdefault(unquote(key), set()).add(unquote(value))
        # At each path: a million of them may spell as many keys.
        check_columns(len(values), limits or Limits(), where="The path of the files")
    check_names(list(values), limits or Limits(), where="The path of the files")
    return tuple(
        Column.of(key, _partition_type(found - {HIVE_NULL}), partition=True)
        for key, found in values.items()
    )


def _partition_type(values: set[str]) -> Type:
    if values and all(_INTEGER.fullmatch(value) for value in values):
        return scalar("Int64", nullable=True)
    days = [*map(_day, values)]
    if not days or None in days:
        return scalar("String", nullable=True)
    first, last = _DATES
    fits = all(first <= day <= last for day in days if day)
    return scalar("Date" if fits else "Date32", nullable=True)


def _day(value: str) -> date | None:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return None
    # Python takes `20240131` and `2024-W05-3` for dates, too.
    return day if day.isoformat() == value else None


def with_partitions(
    columns: tuple[Column, ...], partitions: tuple[Column, ...]
) -> tuple[Column, ...]:
    """Append the partitions that no file has as a column; the file's own wins."""
    names = {column.name for column in columns}
    return columns + tuple(column for column in partitions if column.name not in names)
