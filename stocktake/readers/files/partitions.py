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


#: Eighteen digits always fit an Int64.
_INTEGER = re.compile(r"-?\d{1,18}")


def hive_partitions(paths: Iterable[str], limits: Limits | None = None) -> tuple[Column, ...]:
    """Return the columns that ``key=value/`` folders carry: Int64 or Date where every value reads
    as that, else String; always nullable, since a folder for null may come any day.

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
    is_date = values and all(map(_is_date, values))
    return scalar("Date" if is_date else "String", nullable=True)


def _is_date(value: str) -> bool:
    try:
        # Python takes `20240131` and `2024-W05-3` for dates, too.
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def with_partitions(
    columns: tuple[Column, ...], partitions: tuple[Column, ...]
) -> tuple[Column, ...]:
    """Append the partitions that no file has as a column; the file's own wins."""
    names = {column.name for column in columns}
    return columns + tuple(column for column in partitions if column.name not in names)
