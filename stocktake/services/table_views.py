"""Finding tables: one, or a page of them, each with all that its answer shows, in one query."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import defer

from stocktake.db.models import Job, StoredCredential, Table, User
from stocktake.errors import NotFoundError
from stocktake.schema.folding import fold
from stocktake.services.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """A table with what its answer shows beside its own row."""

    table: Table
    credential: StoredCredential | None = None
    created_by: User | None = None
    latest_job: Job | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """One page of a project's live tables, and how many there are in all."""

    count: int
    views: Sequence[TableView]


def get_view(context: Context, table_id: UUID, *, columns: bool = True) -> TableView:
    """One live table of the caller's project.

    Args:
        columns: False leaves the column list in the database.

    Raises:
        NotFoundError: none of this project has that id.
    """
    query = _views(context, columns=columns).where(Table.id == table_id)
    row = context.session.execute(query).one_or_none()
    if row is None:
        raise NotFoundError
    return _view(*row)


def view_of(context: Context, table: Table) -> TableView:
    """The view of a row at hand, deleted or not, as this transaction has left it."""
    context.session.flush()
    query = _joined(columns=True).where(Table.id == table.id)
    row = context.session.execute(query.execution_options(populate_existing=True)).one()
    return _view(*row)


def list_views(
    context: Context, *, search: str | None, limit: int, offset: int, columns: bool = True
) -> TablePage:
    """A page of live tables, newest first.

    Args:
        search: words, all of which the name must hold, whatever their letter case and the
            composition of their accents.
    """
    query = _views(context, columns=columns)
    for word in fold(search or "").replace("\x00", "").split():
        query = query.where(Table.folded_name.contains(word, autoescape=True))
    count = context.session.scalar(
        query.with_only_columns(func.count(), maintain_column_froms=True)
    )
    page = query.order_by(Table.created_at.desc(), Table.id.desc()).limit(limit).offset(offset)
    rows = context.session.execute(page).all()
    return TablePage(count=count or 0, views=[_view(*row) for row in rows])


def locked(context: Context, table_id: UUID) -> Table:
    """One live table of the caller's project, locked for a change.

    Raises:
        NotFoundError: none of this project has that id.
    """
    table = context.session.scalars(
        select(Table)
        .where(
            Table.id == table_id,
            Table.project_id == context.caller.project_id,
            Table.deleted.is_(False),
        )
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if table is None:
        raise NotFoundError
    return table


def locked_by_name(context: Context, name: str) -> Table | None:
    """The project's live table of that name, locked for a change, or None."""
    return context.session.scalars(
        select(Table)
        .where(
            Table.project_id == context.caller.project_id,
            Table.name == name,
            Table.deleted.is_(False),
        )
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()


def _joined(*, columns: bool) -> Select[Table, StoredCredential, User, Job]:
    query = (
        select(Table, StoredCredential, User, Job)
        .outerjoin(StoredCredential, StoredCredential.id == Table.credential_id)
        .outerjoin(User, User.id == Table.created_by_id)
        .outerjoin(Job, Job.id == Table.latest_job_id)
    )
    if not columns:
        query = query.options(defer(Table.columns, raiseload=True))
    return query


def _views(context: Context, *, columns: bool) -> Select[Table, StoredCredential, User, Job]:
    return _joined(columns=columns).where(
        Table.project_id == context.caller.project_id, Table.deleted.is_(False)
    )


def _view(
    table: Table,
    credential: StoredCredential | None,
    created_by: User | None,
    latest_job: Job | None,
) -> TableView:
    return TableView(
        table=table, credential=credential, created_by=created_by, latest_job=latest_job
    )
