"""How a project's tables stand, in numbers: one look at one index, however many there are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func

from stocktake.catalog.listing import Moment
from stocktake.catalog.selection import live
from stocktake.db.models import Table
from stocktake.errors import hint_for
from stocktake.services.context import Context
from stocktake.states import TableState


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """The tables whose last read failed in one way, and what is to be done about it."""

    error_code: str
    hint: str
    tables: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCounts:
    """A project's live tables.

    Attributes:
        waiting: for a decision, whatever their state.
        by_state: every state present.
        failing: most tables first; of those of the state.
        last_refreshed_at: of the newest good read.
    """

    total: int
    waiting: int
    by_state: Mapping[TableState, int]
    by_format: Mapping[str, int]
    failing: Sequence[Failing]
    last_refreshed_at: datetime | None


def count_tables(context: Context) -> TableCounts:
    """Count the project's live tables by state, by format and by what failed."""
    session, project_id = context.session, context.caller.project_id
    moment = Moment.of(session, project_id)
    # In the order of the index: no group is sorted for.
    groups = Table.error_code, Table.pending, Table.format
    rows = session.execute(
        live(project_id)
        .with_only_columns(
            *groups,
            func.count().label("tables"),
            func.count(Table.last_refreshed_at).label("were_read"),
            func.count().filter(moment.is_stale).label("stale"),
            func.max(Table.last_refreshed_at).label("newest"),
        )
        .group_by(*groups)
    ).all()
    states, formats, codes = Counter[TableState](), Counter[str](), Counter[str]()
    for row in rows:
        formats[row.format] += row.tables
        if row.error_code is not None:
            states[TableState.FAILING] += row.tables
            codes[row.error_code] += row.tables
        elif row.pending:
            states[TableState.WAITING] += row.tables
        else:
            states[TableState.NEVER_READ] += row.tables - row.were_read
            states[TableState.STALE] += row.stale
            states[TableState.FRESH] += row.were_read - row.stale
    _move_reading(context, moment, states, codes)
    return TableCounts(
        total=formats.total(),
        waiting=sum(row.tables for row in rows if row.pending),
        by_state={state: states[state] for state in TableState},
        by_format=dict(sorted(formats.items())),
        failing=[
            Failing(error_code=code, hint=hint_for(code), tables=tables)
            for code, tables in codes.most_common()
            if tables
        ],
        last_refreshed_at=max((row.newest for row in rows if row.newest), default=None),
    )


def _move_reading(
    context: Context, moment: Moment, states: Counter[TableState], codes: Counter[str]
) -> None:
    """Count those that are being read as such, and not as what they are otherwise."""
    if not moment.reading:
        return
    told = Table.id, Table.error_code, Table.pending, Table.last_refreshed_at, Table.stale_at
    mine = live(context.caller.project_id).where(Table.id.in_(moment.reading))
    resting = Moment(
        at=moment.at, stale_after_seconds=moment.stale_after_seconds, reading=frozenset()
    )
    for row in context.session.execute(mine.with_only_columns(*told)):
        states[resting.state_of(row)] -= 1
        states[TableState.READING] += 1
        if row.error_code is not None:
            codes[row.error_code] -= 1
