"""Finding tables: one, or a page of them, each with all that its answer shows, in one query."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.orm import Session, defer, load_only, undefer
from sqlalchemy.orm.attributes import set_committed_value

from stocktake.catalog import tables
from stocktake.catalog.listing import ANY, NEWEST, Moment, TableFilter, sorting
from stocktake.catalog.selection import conditions_of, live
from stocktake.db.clock import now
from stocktake.db.models import (
    Job,
    JobRow,
    Project,
    SchemaChange,
    StoredCredential,
    Table,
    User,
)
from stocktake.db.pages import FEW, Key, Place, part_of, part_of_few, place_of
from stocktake.errors import NotFoundError
from stocktake.services.context import Context
from stocktake.states import ChangeState, JobState, TableState

#: Of stored columns on one page: some 20,000 of them, of which a page of PostHog's clients has few.
MAX_SCHEMA_BYTES: Final = 2 * 1024 * 1024
#: Columns are weighed before they are read: of a hundred tables with 10,000 each they are gigabytes
#: once parsed.
_WEIGHT: Final = func.length(cast(Table.columns, Text))
_SHOWN_OF_JOB: Final = (Job.kind, Job.state, Job.error, Job.created_at, Job.finished_at)

_SHOWN_OF_CREDENTIAL: Final = (StoredCredential.id, StoredCredential.created_at)
#: What a table may have much of, beside its origins, which come only where they are asked for.
_LARGE: Final = (Table.columns, Table.source_state, Table.validated_state, Table.rejected)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table with what its answer shows beside its own row.

    Attributes:
        state: how far its columns can be relied on.
        has_origins: whether its columns' origins were asked for; no list has them.
        place: where it stands in the list that it is of.
    """

    table: Table
    state: TableState
    credential: StoredCredential | None = None
    created_by: User | None = None
    latest_job: JobRow | None = None
    pending: SchemaChange | None = None
    has_origins: bool = False
    place: Place = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """One page of a project's live tables, and how many there are in all.

    Attributes:
        cut: whether it ends early, as its columns are many.
    """

    count: int
    views: Sequence[TableView]
    cut: bool = False


def get_view(context: Context, table_id: UUID, *, columns: bool = True) -> TableView:
    """Return one live table of the caller's project.

    Args:
        columns: False leaves the column list in the database.

    Raises:
        NotFoundError: none of this project has that id.
    """
    query = _views(context, columns=columns).where(Table.id == table_id)
    if columns:
        query = query.options(undefer(Table.origins))
    row = context.session.execute(query).one_or_none()
    if row is None:
        raise NotFoundError
    return replace(_view(*row, waiting=_pending(context, [table_id])), has_origins=columns)


def names_of(context: Context, table_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of those of the tables that are live and of this project, by id."""
    mine = live(context.caller.project_id).where(Table.id.in_(table_ids))
    rows = context.session.execute(mine.with_only_columns(Table.id, Table.name))
    return {row.id: row.name for row in rows}


def ids_named(context: Context, name: str, *, limit: int) -> Sequence[UUID]:
    """Return the live table of this name; else those that have it in theirs."""
    mine = live(context.caller.project_id).with_only_columns(Table.id)
    exact = context.session.scalars(mine.where(Table.name == name)).all()
    if exact:
        return exact
    page = list_views(
        context, TableFilter(search=name), order_by="name", limit=limit, offset=0, columns=False
    )
    return [view.table.id for view in page.views]


def view_of(context: Context, table: Table) -> TableView:
    """Return the view of a row at hand, deleted or not, as this transaction has left it."""
    context.session.flush()
    query = _joined(columns=True).where(Table.id == table.id).options(undefer(Table.origins))
    row = context.session.execute(query.execution_options(populate_existing=True)).one()
    return replace(_view(*row, waiting=_pending(context, [table.id])), has_origins=True)


def list_views(
    context: Context,
    wanted: TableFilter = ANY,
    *,
    order_by: str = NEWEST,
    limit: int,
    offset: int,
    after: Place | None = None,
    columns: bool = True,
    schema_bytes: int = MAX_SCHEMA_BYTES,
) -> TablePage:
    """Return a page of live tables; a shorter one where their columns are many.

    Args:
        order_by: see `listing.sorting`.
        schema_bytes: about how much of stored columns the page may hold; one table it always has.

    Raises:
        NotFoundError: there is no such schedule in this project.
    """
    session, project_id = context.session, context.caller.project_id
    moment = Moment.of(session, project_id)
    conditions = conditions_of(session, project_id, wanted, moment)
    keys, ascending = sorting(order_by, moment)
    found = live(project_id).where(*conditions).with_only_columns(*keys)
    # Ids first: with its columns a row is too long to be sorted among 100,000.
    count, placed = _placed(
        session,
        found,
        keys,
        counted=wanted.is_wide,
        limit=limit,
        offset=offset,
        after=after,
        ascending=ascending,
    )
    if not placed:
        return TablePage(count=count, views=[])
    places = {row[-1]: place_of(*row) for row in placed}
    query = _LISTED.where(Table.id.in_(places))
    rows = {row[0].id: row for row in session.execute(query)}
    ordered = [rows[each] for each in places if each in rows]
    if columns:
        fitting = sum(
            1 for total in accumulate(row[-1] or 0 for row in ordered) if total <= schema_bytes
        )
        ordered = ordered[: max(1, fitting)]
        _load_columns(context, [row[0] for row in ordered])
    waiting = _pending(context, [row[0].id for row in ordered if row[0].pending])
    views = [_view(*row[:-1], waiting=waiting, places=places) for row in ordered]
    return TablePage(count=count, views=views, cut=len(views) < len(rows))


def _placed(
    session: Session,
    found: Select[*tuple[Any, ...]],
    keys: Sequence[Key],
    *,
    counted: bool,
    **part: Any,
) -> tuple[int, Sequence[Sequence[Any]]]:
    """Return how many tables match, and the keys of those on a page.

    Args:
        counted: whether they are counted first, as they are many.
        part: which page, as `pages.part_of` takes it.
    """
    count = session.scalar(found.with_only_columns(func.count())) or 0 if counted else None
    if (count is None or count <= FEW) and (few := part_of_few(session, found, **part)):
        return few
    if count is None:
        count = session.scalar(found.with_only_columns(func.count())) or 0
    return count, session.execute(part_of(found, *keys, **part)).all()


def count_views(context: Context, wanted: TableFilter) -> int:
    """Return how many live tables a list of them would have.

    Raises:
        NotFoundError: there is no such schedule in this project.
    """
    session, project_id = context.session, context.caller.project_id
    conditions = conditions_of(session, project_id, wanted, Moment.of(session, project_id))
    found = live(project_id).where(*conditions)
    return session.scalar(found.with_only_columns(func.count())) or 0


def _pending(context: Context, ids: Collection[UUID]) -> Mapping[UUID, SchemaChange]:
    """Return the changes that wait for the tables, by the table's id."""
    if not ids:
        return {}
    mine = SchemaChange.table_id.in_(ids), SchemaChange.state == ChangeState.PENDING
    # Not joined to each list: few tables have one, and it may be megabytes.
    large = (SchemaChange.parts, SchemaChange.proposed, SchemaChange.undo)
    query = select(SchemaChange).where(*mine).options(*(defer(each) for each in large))
    return {change.table_id: change for change in context.session.scalars(query)}


def _load_columns(context: Context, tables: Sequence[Table]) -> None:
    query = select(Table.id, Table.columns).where(Table.id.in_([table.id for table in tables]))
    stored = {row[0]: row[1] for row in context.session.execute(query)}
    for table in tables:
        # As if it had been loaded: what is merely set would be written back.
        set_committed_value(table, "columns", stored.get(table.id, []))


def locked(context: Context, table_id: UUID) -> Table:
    """Return one live table of the caller's project, locked for a change.

    Raises:
        NotFoundError: none of this project has that id.
    """
    mine = context.caller.project_id
    table = tables.locked(context.session, mine, Table.id == table_id)
    if table is None:
        raise NotFoundError
    return table


def _joined(*, columns: bool) -> Select[*tuple[Any, ...]]:
    query = (
        select(Table, StoredCredential, User, Job, Project.stale_after_seconds, now())
        .join(Project, Project.id == Table.project_id)
        .outerjoin(StoredCredential, StoredCredential.id == Table.credential_id)
        .outerjoin(User, User.id == Table.created_by_id)
        .outerjoin(Job, Job.id == Table.latest_job_id)
        # What is shown of each: a thousand tables' results would be gigabytes, and no secret is
        # brought to where nobody uses it.
        .options(load_only(*_SHOWN_OF_JOB, raiseload=True))
        .options(load_only(*_SHOWN_OF_CREDENTIAL, raiseload=True))
    )
    if not columns:
        query = query.options(*(defer(each, raiseload=True) for each in _LARGE))
    return query


def _views(context: Context, *, columns: bool) -> Select[*tuple[Any, ...]]:
    return _joined(columns=columns).where(
        Table.project_id == context.caller.project_id, Table.deleted.is_(False)
    )


def _view(
    table: Table,
    credential: StoredCredential | None,
    created_by: User | None,
    latest_job: Job | None,
    stale_after_seconds: int | None,
    at: datetime,
    *,
    waiting: Mapping[UUID, SchemaChange],
    places: Mapping[UUID, Place] = MappingProxyType({}),
) -> TableView:
    reads = latest_job is not None and latest_job.state == JobState.RUNNING
    reading = frozenset({table.id}) if reads else frozenset[UUID]()
    moment = Moment(at=at, stale_after_seconds=stale_after_seconds, reading=reading)
    return TableView(
        table=table,
        state=moment.state_of(table),
        credential=credential,
        created_by=created_by,
        latest_job=latest_job,
        pending=waiting.get(table.id),
        place=places.get(table.id, ()),
    )


_LISTED: Final = _joined(columns=False).add_columns(_WEIGHT)
