"""Which tables a list, a count or a bulk action means, and by what they are sorted.

All of it is in columns of the tables themselves, and in indexes of its own. Who writes what only
lists ask for: `error_code` and `stale_at` whoever ends a read (`catalog.tables.REFRESHED`,
`jobs.leases.fail`), `last_change` whoever adds a version, `pending` and `has_overrides` the models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol, Self
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Session

from stocktake.db.clock import UtcDateTime, now
from stocktake.db.models import INDEXED_ORDERS, NO_TIME, Job, Project, Table
from stocktake.db.pages import Key
from stocktake.schema.diff import ChangeClass
from stocktake.schema.folding import fold
from stocktake.schema.formats import TableFormat
from stocktake.states import JobState, TableState

#: States in the order in which somebody should look at them.
URGENCY: Final = (
    TableState.FAILING,
    TableState.WAITING,
    TableState.NEVER_READ,
    TableState.STALE,
    TableState.READING,
    TableState.FRESH,
)
_RUNNING: Final = literal(JobState.RUNNING.value, literal_execute=True)


class Listed(Protocol):
    """What of a table its state is told by."""

    id: Any
    error_code: Any
    pending: Any
    last_refreshed_at: Any
    stale_at: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the states of a project's tables are told by beside their rows.

    Attributes:
        at: the database's time.
        stale_after_seconds: the project's; None: its tables are never stale.
        reading: the tables whose latest job runs: no more than the workers have children.
    """

    at: datetime
    stale_after_seconds: int | None
    reading: frozenset[UUID]

    @classmethod
    def of(cls, session: Session, project_id: int) -> Self:
        """Return it as of now."""
        at, seconds = session.execute(
            select(now(), Project.stale_after_seconds).where(Project.id == project_id)
        ).one()
        return cls(at=at, stale_after_seconds=seconds, reading=_reading(session, project_id))

    @property
    def is_stale(self) -> ColumnElement[bool]:
        """Whether a table that was read is older than it may be, as a condition; null is no."""
        stale = Table.stale_at <= literal(self.at, UtcDateTime())
        if (before := self._stale_before) is None:
            return stale
        inherited = Table.last_refreshed_at <= literal(before, UtcDateTime())
        return or_(stale, and_(Table.stale_at.is_(None), inherited))

    @property
    def _is_fresh(self) -> ColumnElement[bool]:
        # Not as "not stale", which is neither where it is null, and dearer with a coalesce.
        inherited: ColumnElement[bool] = Table.stale_at.is_(None)
        if (before := self._stale_before) is not None:
            recent = Table.last_refreshed_at > literal(before, UtcDateTime())
            inherited = and_(inherited, recent)
        return or_(inherited, Table.stale_at > literal(self.at, UtcDateTime()))

    @property
    def _stale_before(self) -> datetime | None:
        seconds = self.stale_after_seconds
        return None if seconds is None else self.at - timedelta(seconds=seconds)

    def state_of(self, table: Listed) -> TableState:
        """Return a table's state."""
        if table.id in self.reading:
            return TableState.READING
        if table.error_code is not None:
            return TableState.FAILING
        if table.pending:
            return TableState.WAITING
        if table.last_refreshed_at is None:
            return TableState.NEVER_READ
        before = self._stale_before
        own = table.stale_at is not None and table.stale_at <= self.at
        inherited = table.stale_at is None and before and table.last_refreshed_at <= before
        return TableState.STALE if own or inherited else TableState.FRESH

    def condition(self, state: TableState) -> ColumnElement[bool]:
        """Return the same as a condition of a statement."""
        reads = Table.id.in_(self.reading) if self.reading else false()
        if state is TableState.READING:
            return reads
        if state in _IS:
            return and_(_IS[state], not_(reads))
        aged = self.is_stale if state is TableState.STALE else self._is_fresh
        return and_(*_READ, aged, not_(reads))


def _reading(session: Session, project_id: int) -> frozenset[UUID]:
    """Return the tables whose latest job runs, from the jobs on: in one statement SQLite would look
    at each table."""
    mine = Job.project_id == project_id, Job.state == _RUNNING, Job.table_id.is_not(None)
    running = {
        row.id: row.table_id for row in session.execute(select(Job.id, Job.table_id).where(*mine))
    }
    if not running:
        return frozenset()
    latest = select(Table.id, Table.latest_job_id).where(Table.id.in_(set(running.values())))
    return frozenset(row.id for row in session.execute(latest) if row.latest_job_id in running)


_READ: Final = (
    Table.error_code.is_(None),
    Table.pending.is_(False),
    Table.last_refreshed_at.is_not(None),
)
#: Whether a table that is not being read is in one of the states that ask for no time.
_IS: Final[Mapping[TableState, ColumnElement[bool]]] = MappingProxyType(
    {
        TableState.FAILING: Table.error_code.is_not(None),
        TableState.WAITING: and_(Table.error_code.is_(None), Table.pending.is_(True)),
        TableState.NEVER_READ: and_(*_READ[:2], Table.last_refreshed_at.is_(None)),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFilter:
    """Which tables; None is any.

    Attributes:
        search: words, all of which the name must hold, whatever their letter case and the
            composition of their accents.
        schedule: id of one that would refresh them.
        error_code: of the read that failed last.
        last_change: class of the newest schema version after the first; `none` of those that have
            no other.
    """

    search: str | None = None
    state: TableState | None = None
    format: TableFormat | None = None
    error_code: str | None = None
    last_change: ChangeClass | None = None
    has_overrides: bool | None = None
    schedule: UUID | None = None

    @property
    def is_wide(self) -> bool:
        """Whether it matches a good part of a project's tables as a rule."""
        return self == TableFilter(state=self.state, format=self.format) and (
            self.state in {None, TableState.FRESH}
        )

    def conditions(self, moment: Moment) -> list[ColumnElement[bool]]:
        """Return what a statement over `Table` asks, but for the schedule
        (`selection.conditions_of`)."""
        # No name has a null character, and PostgreSQL takes none in a question.
        words = fold(self.search or "").replace("\x00", "").split()
        found: list[ColumnElement[bool]] = [
            Table.folded_name.contains(word, autoescape=True) for word in words
        ]
        if self.state is not None:
            found.append(moment.condition(self.state))
        if self.format is not None:
            found.append(Table.format == self.format.value)
        if self.error_code is not None:
            found.append(Table.error_code == self.error_code.replace("\x00", ""))
        if self.last_change is not None:
            found.append(Table.last_change == self.last_change.value)
        if self.has_overrides is not None:
            found.append(Table.has_overrides.is_(self.has_overrides))
        return found


ANY: Final = TableFilter()
NEWEST: Final = "-created_at"
SORTED_BY: Final[Mapping[str, Key]] = MappingProxyType(
    {
        "created_at": Table.created_at,
        "name": Table.folded_name,
        # Of an index of its own, as the others have one, each read would pay for the place.
        "last_refreshed_at": func.coalesce(Table.last_refreshed_at, NO_TIME),
        **INDEXED_ORDERS,
    }
)


def sorting(order_by: str, moment: Moment) -> tuple[Sequence[Key], bool]:
    """Return the columns of an order, which tell each table from all others, and whether it
    ascends.

    Args:
        order_by: a key of `SORTED_BY`, or `state`; behind a hyphen where it descends.
    """
    name = order_by.removeprefix("-")
    key = _urgency(moment) if name == "state" else SORTED_BY[name]
    return (key, Table.id), name == order_by


def _urgency(moment: Moment) -> ColumnElement[int]:
    # The first that holds, as in `Moment.state_of`: each as short as it can be, for it is asked of
    # each table.
    states = {
        TableState.READING: moment.condition(TableState.READING),
        TableState.FAILING: Table.error_code.is_not(None),
        TableState.WAITING: Table.pending.is_(True),
        TableState.NEVER_READ: Table.last_refreshed_at.is_(None),
        TableState.STALE: moment.is_stale,
    }
    if not moment.reading:
        del states[TableState.READING]
    ranks = [(holds, _rank(state)) for state, holds in states.items()]
    return case(*ranks, else_=_rank(TableState.FRESH))


def _rank(state: TableState) -> ColumnElement[int]:
    return literal(URGENCY.index(state), literal_execute=True)
