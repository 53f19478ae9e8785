"""Changes that wait under a policy: find them, decide their columns, take a decision back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import defer

from stocktake.catalog import changes
from stocktake.catalog.versions import add_version
from stocktake.db.clock import now
from stocktake.db.models import SchemaChange, Table, User
from stocktake.db.pages import Place, part_of
from stocktake.errors import ConflictError, NotFoundError, ValidationError, did_you_mean
from stocktake.schema.decisions import (
    ColumnChange,
    Columns,
    Verdict,
    pinned,
    with_columns,
    without,
)
from stocktake.schema.diff import ChangeClass, Diff, diff
from stocktake.schema.origin import with_origins
from stocktake.schema.stored_origins import StoredOrigins
from stocktake.services import audit, quotas, refreshes, schema_versions, table_views
from stocktake.services.context import Context
from stocktake.states import ChangeState

#: How much of a client's own words an error repeats, and columns that an audit entry names.
_SHOWN: Final = 100
NOTHING: Final = "Decide something: send `columns`, or `accept`."


class Accept(StrEnum):
    """What is accepted of the parts that a decision does not name."""

    ALL = "all"
    #: New columns, and new fields in columns.
    ADDITIVE = "additive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody decides, at once.

    Attributes:
        columns: by the name of a column, before or now.
        accept: of the parts that `columns` does not name.
    """

    columns: Mapping[str, Verdict]
    accept: Accept | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """Which changes to list; None is any."""

    state: ChangeState | None = None
    table_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """A change with what its answer shows beside its own row.

    Attributes:
        diff: from the live columns to those that still wait; None where none do, or where it is
            one of a list.
        origins: of the columns as the source has them; as `diff`.
    """

    change: SchemaChange
    table_name: str
    decided_by: User | None = None
    diff: dict[str, Any] | None = None
    origins: StoredOrigins | None = None


def list_changes(
    context: Context,
    wanted: ChangeFilter,
    *,
    limit: int,
    offset: int,
    after: Place | None = None,
) -> tuple[int, Sequence[ChangeView]]:
    """Return how many changes of live tables match, and one page of them, newest first."""
    query = _views(context)
    if wanted.state is not None:
        query = query.where(SchemaChange.state == wanted.state)
    if wanted.table_id is not None:
        query = query.where(SchemaChange.table_id == wanted.table_id)
    count = context.session.scalar(
        query.with_only_columns(func.count(), maintain_column_froms=True)
    )
    large = (SchemaChange.parts, SchemaChange.proposed, SchemaChange.undo)
    small = query.options(*(defer(each, raiseload=True) for each in large))
    page = part_of(small, SchemaChange.id, limit=limit, offset=offset, after=after)
    return count or 0, [_view(*row) for row in context.session.execute(page)]


def get_change(context: Context, change_id: UUID, *, with_diff: bool = True) -> ChangeView:
    """Return one change of a live table, with what is different.

    Args:
        with_diff: of thousands of columns it takes most of the time, and a page shows the parts.

    Raises:
        NotFoundError: no live table of this project has it.
    """
    row = context.session.execute(_views(context).where(SchemaChange.id == change_id)).one_or_none()
    if row is None:
        raise NotFoundError
    return _with_diff(context, _view(*row), with_diff)


def _views(context: Context) -> Select[SchemaChange, str, User]:
    return (
        select(SchemaChange, Table.name, User)
        .join(Table, Table.id == SchemaChange.table_id)
        .outerjoin(User, User.id == SchemaChange.decided_by_id)
        .where(
            SchemaChange.project_id == context.caller.project_id,
            Table.deleted.is_(False),
        )
        .execution_options(populate_existing=True)
    )


def _view(change: SchemaChange, table_name: str, decided_by: User | None) -> ChangeView:
    return ChangeView(change=change, table_name=table_name, decided_by=decided_by)


def _with_diff(context: Context, view: ChangeView, with_diff: bool) -> ChangeView:
    if view.change.state not in (ChangeState.PENDING, ChangeState.DECIDED):
        return view
    table = context.session.get_one(Table, view.change.table_id)
    view = replace(view, origins=StoredOrigins(table.origins))
    if not with_diff or view.change.state != ChangeState.PENDING:
        return view
    proposed, _ = changes.waiting_parts(table, view.change)
    return replace(view, diff=diff(changes.columns_of(table.columns), proposed).as_dict())


def decide(context: Context, change_id: UUID, decision: Decision) -> ChangeView:
    """Decide parts of a pending change; all of it goes live at once, or on an error nothing.

    The same decision once more changes nothing.

    Raises:
        NotFoundError: no live table of this project has the change.
        ConflictError: it does not wait any more, or a column was decided otherwise before.
        ValidationError: nothing is decided, a column is not one of the change, or its type cannot
            be pinned.
    """
    if not decision.columns and decision.accept is None:
        raise ValidationError(NOTHING, attr="columns")
    table, change = locked(context, change_id)
    if change.state == ChangeState.DECIDED and _is_repeated(change, decision):
        return get_change(context, change_id)
    _require_pending(context, change)
    if changes.reconsider(context.session, table) is None:
        raise ConflictError(f"Nothing of change {change.id} is left to decide: {change.reason}")
    proposed, parts = changes.waiting_parts(table, change)
    verdicts = _verdicts(change, parts, decision)
    if verdicts:
        _apply(context, table, change, proposed, parts, verdicts)
    return get_change(context, change_id)


def locked(context: Context, change_id: UUID) -> tuple[Table, SchemaChange]:
    """Return a change and its table, both as they are once nobody else can change them.

    Raises:
        NotFoundError: no live table of this project has the change.
    """
    mine = SchemaChange.project_id == context.caller.project_id
    asked = select(SchemaChange.table_id).where(SchemaChange.id == change_id, mine)
    table_id = context.session.scalar(asked)
    if table_id is None:
        raise NotFoundError
    table = table_views.locked(context, table_id)
    query = select(SchemaChange).where(SchemaChange.id == change_id)
    found = context.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if found is None:  # the oldest of a table go
        raise NotFoundError
    return table, found


def _require_pending(context: Context, change: SchemaChange) -> None:
    match change.state:
        case ChangeState.PENDING:
            return
        case ChangeState.REPLACED:
            newer = changes.pending_of(context.session, change.table_id)
            told = f"change {newer.id} waits now" if newer else "none waits any more"
            raise ConflictError(
                f"Change {change.id} was replaced by a newer read of the source; {told}.",
                code="change_replaced",
            )
        case ChangeState.DECIDED:
            raise ConflictError(f"Change {change.id} was decided already.")
    raise ConflictError(f"Change {change.id} waits no more: {change.reason}")


def _is_repeated(change: SchemaChange, decision: Decision) -> bool:
    """Return whether all that is decided was decided so already."""
    done = {name: part["decision"] for part in change.parts for name in part["names"]}
    if any(done.get(name) != verdict for name, verdict in decision.columns.items()):
        return False
    others = [part for part in change.parts if not decision.columns.keys() & set(part["names"])]
    return all(part["decision"] == Verdict.ACCEPT for part in others if _accepts(decision, part))


def _accepts(decision: Decision, part: Mapping[str, Any]) -> bool:
    if decision.accept is Accept.ADDITIVE:
        return bool(part["change"] == ChangeClass.ADDITIVE)
    return decision.accept is Accept.ALL


def _verdicts(
    change: SchemaChange, parts: Iterable[ColumnChange], decision: Decision
) -> dict[str, Verdict]:
    """Return what becomes of each part that is decided now, by its own name."""
    waiting = {name: part for part in parts for name in part.names}
    done = _done(change)
    verdicts: dict[str, Verdict] = {}
    for name, verdict in decision.columns.items():
        part = waiting.get(name)
        if part is None:
            _require_same(done, name, verdict, waiting)
            continue
        if verdicts.setdefault(part.name, verdict) is not verdict:
            raise ValidationError(
                f"Columns {', '.join(part.names)[:_SHOWN]} change together: decide them alike.",
                attr="columns",
            )
        if verdict is Verdict.PIN and not part.pinnable:
            raise ValidationError(
                f"Column {name[:_SHOWN]} has no other type than before that could be pinned; "
                "accept or reject it.",
                attr="columns",
            )
    rest = (part for part in waiting.values() if _accepts(decision, part.as_dict()))
    return {part.name: Verdict.ACCEPT for part in rest} | verdicts


def _done(change: SchemaChange) -> dict[str, str]:
    """Return what was decided already, by column: a request may repeat it for all of 10,000, while
    it keeps the table locked."""
    done: dict[str, str] = {}
    for part in change.parts:
        if part["decision"] is not None:
            for name in part["names"]:
                done.setdefault(name, part["decision"])
    return done


def _require_same(
    done: Mapping[str, str], name: str, verdict: Verdict, waiting: Mapping[str, ColumnChange]
) -> None:
    """Let a decision be repeated; refuse another one, or one of a column that is not asked for."""
    if name in done:
        if done[name] != verdict:
            raise ConflictError(
                f"Column {name[:_SHOWN]} was decided already: {done[name]}. Undo that first."
            )
        return
    raise ValidationError(
        f"Column {name[:_SHOWN]} is not one that this change asks about; "
        + did_you_mean(name, list(waiting)[:_SHOWN]),
        attr="columns",
    )


def _apply(
    context: Context,
    table: Table,
    change: SchemaChange,
    proposed: Columns,
    parts: Sequence[ColumnChange],
    verdicts: Mapping[str, Verdict],
) -> None:
    before = _state_of(table, change)
    live = changes.columns_of(table.columns)
    by_verdict = {
        verdict: [part for part in parts if verdicts.get(part.name) is verdict]
        for verdict in Verdict
    }
    waiting = [part for part in parts if part.name not in verdicts]
    proposed = with_columns(proposed, map(pinned, by_verdict[Verdict.PIN]))
    rejected = by_verdict[Verdict.REJECT]
    table.rejected = [*table.rejected, *(part.refused() for part in rejected)]
    columns = without(live, proposed, [*waiting, *rejected])
    stored = StoredOrigins(table.origins).origins((each.name for each in columns), camps=True)
    _store(context, table, columns, with_origins(diff(live, columns), stored))
    change.proposed = [column.as_dict() for column in without(live, proposed, rejected)]
    decided = [
        part if part["decision"] is not None else part | {"decision": verdicts.get(part["name"])}
        for part in change.parts
    ]
    changes.set_parts(change, decided)
    _note(context, table, change, before)
    told = {name: verdict.value for name, verdict in list(verdicts.items())[:_SHOWN]}
    audit.record(
        context,
        "change.decide",
        change.id,
        table_id=str(table.id),
        columns=told,
        schema_version=table.schema_version,
    )
    if waiting:
        context.session.flush()
        changes.reconsider(context.session, table)
    else:
        changes.close(change)


def _state_of(table: Table, change: SchemaChange) -> dict[str, Any]:
    """Return what `undo` puts back."""
    return {
        "columns": table.columns,
        "rejected": table.rejected,
        "parts": change.parts,
        "proposed": change.proposed,
        "change": change.change,
    }


def _note(context: Context, table: Table, change: SchemaChange, before: dict[str, Any]) -> None:
    change.decided_by_id = context.caller.user_id
    change.decided_at = context.session.scalar(select(now()))
    change.applied_version = table.schema_version
    change.undo = before | {"after": _compared(table)}


def _compared(table: Table) -> list[Any]:
    """Return what of a table's columns nothing but a decision, a read or a user changes."""
    return [[each["name"], each["clickhouse"], each["override"]] for each in table.columns]


def _store(context: Context, table: Table, columns: Columns, change: Diff) -> None:
    schema_versions.require_room(context, columns)
    table.columns = [column.as_dict() for column in columns]
    if not change:
        return
    quotas.require_room_for_bytes(context)
    add_version(context.session, table, change)
    # What was proved was proved of other types.
    table.validated_state = None
    context.session.flush()
    refreshes.request_validation(context, table)


def undo(context: Context, change_id: UUID) -> ChangeView:
    """Take the last decision of a change back: its columns are as before, and wait again.

    Raises:
        NotFoundError: no live table of this project has the change.
        ConflictError: nothing was decided, another change waits by now, or the table's columns have
            changed since.
    """
    table, change = locked(context, change_id)
    before = change.undo
    if before is None:
        raise ConflictError(f"There is no decision of change {change.id} that could be undone.")
    newer = changes.pending_of(context.session, table.id)
    if newer is not None and newer.id != change.id:
        raise ConflictError(
            f"A newer read of the source found change {newer.id}, which waits now.",
            code="change_replaced",
        )
    if before["after"] != _compared(table):
        raise ConflictError(
            f"The table's columns have changed since (version {table.schema_version}); set types "
            "with `update_schema`, or decide the next change."
        )
    live = changes.columns_of(table.columns)
    table.rejected = before["rejected"]
    changes.reopen(change, before["parts"])
    change.proposed, change.change = before["proposed"], before["change"]
    change.decided_by_id = change.decided_at = change.applied_version = change.undo = None
    columns = changes.columns_of(before["columns"])
    _store(context, table, columns, diff(live, columns))
    audit.record(
        context,
        "change.undo",
        change.id,
        table_id=str(table.id),
        schema_version=table.schema_version,
    )
    context.session.flush()
    return get_change(context, change_id)
