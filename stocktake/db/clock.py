"""The database's clock, which is the only one that decides about leases and due times.

One construct for both databases: ``now()`` is the moment of the statement, ``now(seconds=30)``
half a minute later. SQLite has ``unixepoch('subsec')`` only since 3.42, so the
text form with milliseconds is built by ``strftime``, in the very layout in which SQLAlchemy
stores a DateTime, so that comparisons of text are comparisons of time.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement


def as_utc(moment: datetime) -> datetime:
    """Return the same moment as aware UTC; a naive one is taken to be UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite stores it without a zone, with microseconds."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time has no place in the database")
        return as_utc(value) if dialect.name != "sqlite" else as_utc(value).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read it back as aware UTC."""
        return None if value is None else as_utc(value)


class now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's time, moved by a number of seconds.

    Args:
        seconds: how far to move; a number, or a SQL expression that gives one.
    """

    type = UtcDateTime()
    inherit_cache = True
    name = "stocktake_now"

    def __init__(self, seconds: float | ColumnElement[Any] | None = None) -> None:
        super().__init__(*(() if seconds is None else (seconds,)))


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **kwargs: Any) -> str:
    moved = compiler.process(element.clauses, **kwargs)
    modifier = f", ({moved}) || ' seconds'" if moved else ""
    # `%f` has three digits behind the point, and SQLAlchemy writes six.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now'{modifier}) || '000')"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: Any, **kwargs: Any) -> str:
    moved = compiler.process(element.clauses, **kwargs)
    # clock_timestamp, not now(): a transaction that waited for a lock must not live in the past.
    return f"(clock_timestamp() + make_interval(secs => {moved}))" if moved else "clock_timestamp()"
