"""Parts of a list that is sorted by columns, the newest first: by a count, or by the last row seen.

Rows come and go between two pages. An offset then shows one twice, or passes over one that was
there; the place of the last row that was seen does neither. A row has its place before its
transaction is committed, so one that is committed between two pages may stand on a part that was
shown already: the next list has it. To give out no place that is younger than a transaction may
be would hide the newest rows, which are what most look for.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import CTE, BigInteger, ColumnElement, Select, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from stocktake.db.clock import UtcDateTime
from stocktake.errors import ValidationError

T = TypeVar("T")
Q = TypeVar("Q", bound=Select[*tuple[Any, ...]])

#: What a list is sorted by.
Key: TypeAlias = ColumnElement[Any] | InstrumentedAttribute[Any]

_AT_ONCE: Final = 4
#: Of so many that match all are found before any is sorted.
FEW: Final = 10_000

#: The values of the columns that a list is sorted by, as JSON has them.
Place = Sequence[Any]

WRONG_CURSOR = "This cursor is none that this list gave out."


def part_of(
    query: Q,
    *columns: Key,
    limit: int,
    offset: int = 0,
    after: Place | None = None,
    ascending: bool = False,
) -> Q:
    """Return the part of the rows, sorted by the columns, which tell each row from all others.

    Args:
        ascending: else in descending order.
        limit: most rows.
        offset: rows to leave out.
        after: where the row stands after which the part begins, as `place_of` gave it.

    Raises:
        ValidationError: `after` is no place in this list.
    """
    if after is not None:
        # As one row: the first column alone would leave out who shares its value.
        here, there = tuple_(*columns), tuple_(*_values(columns, after))
        query = query.where(here > there if ascending else here < there)
    order = (column.asc() if ascending else column.desc() for column in columns)
    return query.order_by(*order).limit(limit).offset(offset)


def found_first(query: Select[*tuple[Any, ...]]) -> tuple[Select[*tuple[Any, ...]], list[Key]]:
    """Return a statement that finds the rows and then sorts them, and their columns.

    Else a database walks an index of the order until it has found as many as were asked for: where
    few match (`FEW`), that is through all rows, one by one.
    """
    found = _at_once(query)
    return select(found), list(found.c)


def _at_once(query: Select[*tuple[Any, ...]]) -> CTE:
    return query.cte("found").prefix_with("MATERIALIZED")


def part_of_few(
    session: Session,
    query: Select[*tuple[Any, ...]],
    *,
    limit: int,
    offset: int = 0,
    after: Place | None = None,
    ascending: bool = False,
) -> tuple[int, Sequence[Sequence[Any]]] | None:
    """Return how many rows match, and a part of them sorted by all their columns; None where more
    than `FEW` match.

    It looks at each row once, where a count and then a search do so twice.

    Args:
        query: what is found, by which it is sorted: see `part_of`, as for the others.

    Raises:
        ValidationError: `after` is no place in this list.
    """
    found = _at_once(query.limit(FEW + 1))
    counted = select(func.count()).select_from(found)
    part = part_of(
        select(found), *found.c, limit=limit, offset=offset, after=after, ascending=ascending
    )
    rows = session.execute(part.add_columns(counted.scalar_subquery())).all()
    count = rows[0][-1] if rows else session.scalar(counted) or 0
    return None if count > FEW else (count, [row[:-1] for row in rows])


def one_by_one(session: Session, page: Select[T]) -> Iterator[T]:
    """Yield the rows of a page, a few at a time as they are taken: each may be megabytes."""
    with session.scalars(page.execution_options(yield_per=_AT_ONCE)) as found:
        yield from found


def place_of(*values: Any) -> Place:
    """Return where a row stands, from its values of the columns, as JSON."""
    return [value if isinstance(value, int) else str(value) for value in values]


def _values(columns: Sequence[Key], place: Place) -> list[Any]:
    try:
        return [
            literal(_read(_kind(column), text, _largest(column)), column.type)
            for column, text in zip(columns, place, strict=True)
        ]
    except (ValueError, TypeError) as exc:
        raise ValidationError(WRONG_CURSOR, attr="cursor") from exc


def _largest(column: Key) -> int:
    """Return what PostgreSQL's integer holds: more would be an error of the database's."""
    return 2**63 - 1 if isinstance(column.type, BigInteger) else 2**31 - 1


def _kind(column: Key) -> type[Any]:
    if isinstance(column.type, UtcDateTime):
        return datetime
    kind: type[Any] = column.type.python_type
    return kind


def _read(kind: type[Any], value: Any, largest: int) -> Any:
    # `type`, as a bool is an int too.
    if kind is int and type(value) is int and abs(value) <= largest:
        return value
    if kind is str and isinstance(value, str) and "\x00" not in value:
        return value
    if kind is UUID and isinstance(value, str):
        return UUID(value)
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment
    raise ValueError("of another type")
