"""A table's history of schemas, and the column types that users set themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, defer

from stocktake.catalog.changes import reconsider
from stocktake.catalog.versions import add_version
from stocktake.db.models import SchemaVersion, Table
from stocktake.db.pages import Place, part_of
from stocktake.errors import NotFoundError, ValidationError
from stocktake.schema.columns import Column, stored_size
from stocktake.schema.diff import apply_overrides, diff
from stocktake.schema.formats import TAKING_ROWS
from stocktake.schema.numbers import is_beyond_delta
from stocktake.schema.types import Type
from stocktake.schema.wire_names import database_field, override_type
from stocktake.services import audit, quotas, refreshes, table_views, words
from stocktake.services.context import Context

_Large: TypeAlias = InstrumentedAttribute[list[Any]] | InstrumentedAttribute[dict[str, Any]]
#: How much of a client's own words an error repeats.
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPage:
    """One page of a table's versions, each with how many columns it has, and how many there are
    in all."""

    count: int
    versions: Sequence[tuple[SchemaVersion, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The way from one version to another; `before` is None for the first one's own diff."""

    before: int | None
    after: int
    change: str
    diff: dict[str, Any]


def list_versions(
    context: Context, table_id: UUID, *, limit: int, offset: int, after: Place | None = None
) -> VersionPage:
    """Return a page of the table's schema versions, newest first.

    Raises:
        NotFoundError: no such live table in this project.
    """
    table = table_views.get_view(context, table_id, columns=False).table
    mine = SchemaVersion.table_id == table.id
    count = context.session.scalar(select(func.count()).where(mine))
    # Counted there: a thousand versions of 10,000 columns are gigabytes.
    large = (SchemaVersion.columns, SchemaVersion.diff)
    all_of_them = select(SchemaVersion, func.json_array_length(SchemaVersion.columns)).where(mine)
    small = all_of_them.options(*(defer(each, raiseload=True) for each in large))
    page = part_of(small, SchemaVersion.number, limit=limit, offset=offset, after=after)
    return VersionPage(count=count or 0, versions=context.session.execute(page).all())


def get_version(context: Context, table_id: UUID, number: int) -> SchemaVersion:
    """Return one version with its columns and its diff from the one before.

    Raises:
        NotFoundError: no such live table in this project, or no such version of it.
    """
    return _version(context, table_id, number)


def _version(
    context: Context, table_id: UUID, number: int, *, without: _Large | None = None
) -> SchemaVersion:
    """Return a version.

    Args:
        without: what of it is not asked for: it may be megabytes.
    """
    table = table_views.get_view(context, table_id, columns=False).table
    mine = SchemaVersion.table_id == table.id, SchemaVersion.number == number
    query = select(SchemaVersion).where(*mine)
    if without is not None:
        query = query.options(defer(without))
    version = context.session.scalars(query).one_or_none()
    if version is None:
        raise NotFoundError
    return version


def compare(
    context: Context, table_id: UUID, number: int, *, against: int | None = None
) -> Comparison:
    """Return what changed up to a version: since the one before it, or since another one.

    Raises:
        NotFoundError: no such live table in this project, or no such version of it.
    """
    if against is None:
        version = _version(context, table_id, number, without=SchemaVersion.columns)
        before = number - 1 or None
        return Comparison(
            before=before, after=number, change=version.change, diff=dict(version.diff)
        )
    version = _version(context, table_id, number, without=SchemaVersion.diff)
    older = _version(context, table_id, against, without=SchemaVersion.diff)
    changes = diff(_columns(older.columns), _columns(version.columns))
    return Comparison(
        before=against, after=number, change=changes.change.value, diff=changes.as_dict()
    )


def types_of_source(context: Context, table_id: UUID, updates: Any) -> dict[str, Column]:
    """Return how the source had the columns whose types these updates clear; for `update_types`.

    Asked before that locks anything: through 150 versions of 10,000 columns, SQLite's only write
    lock was held for two seconds.

    Raises:
        NotFoundError: no such live table in this project.
    """
    asked = updates if isinstance(updates, Mapping) else {}
    cleared = {name for name, wanted in asked.items() if wanted is None}
    table = table_views.get_view(context, table_id, columns=bool(cleared)).table
    set_now = {each["name"] for each in table.columns if each["override"]} if cleared else set()
    return _of_source(context, table, cleared & set_now)


def update_types(
    context: Context, table_id: UUID, updates: Any, known: Mapping[str, Column] | None = None
) -> Table:
    """Set column types over the source's, or clear them again.

    An override is merged again by each refresh when it writes, so this is no new generation: a
    read that is under way keeps its worth. Clearing one gives the column the type that the
    source had last, and queues a refresh to have it from the source.

    Args:
        updates: column name to type name, or to None; nothing at all changes nothing.
        known: `types_of_source` of a moment ago; what a newer version says comes by the refresh.

    Raises:
        NotFoundError: no such live table in this project.
        ValidationError: a sourced table, an unknown column or an unknown type; nothing changed.
    """
    table = table_views.locked(context, table_id)
    if updates is None or updates == {}:
        return table
    refreshes.require_linked(table)
    if not isinstance(updates, Mapping):
        raise ValidationError("Updates must be a JSON object.", attr="updates")
    old = _columns(table.columns)
    _require_known(old, updates)
    types = {name: _type_of(name, wanted) for name, wanted in updates.items()}
    if table.managed and table.format in TAKING_ROWS:
        _refuse_long_decimals(types)
    cleared = {each.name for each in old if each.override and types.get(each.name, "") is None}
    known = known or {}
    of_source = {**_of_source(context, table, cleared - known.keys()), **known}
    new = tuple(_applied(column, types, of_source) for column in old)
    if new != old:
        _store(context, table, old, new)
        audit.record(context, "table.update_schema", table.id, columns=sorted(updates)[:_SHOWN])
    return table


def go_back(
    context: Context, table: Table, number: int, overrides: Iterable[dict[str, Any]]
) -> None:
    """Give a locked table the columns of an earlier version again, as a new version; none where
    there is no such version, as nothing is known of what it reads then.

    Args:
        overrides: stored columns with the types that a user had set.

    Raises:
        QuotaExceededError: the project's storage is full.
    """
    mine = SchemaVersion.table_id == table.id, SchemaVersion.number == number
    known = context.session.scalars(select(SchemaVersion.columns).where(*mine)).one_or_none()
    old = _columns(table.columns)
    new = apply_overrides(_columns(overrides), _columns(known or ()))
    table.columns = [column.as_dict() for column in new]
    if change := diff(old, new):
        quotas.require_room_for_bytes(context)
        add_version(context.session, table, change)


def _columns(stored: Iterable[dict[str, Any]]) -> tuple[Column, ...]:
    return tuple(Column.from_dict(column) for column in stored)


def _require_known(columns: tuple[Column, ...], updates: Mapping[str, Any]) -> None:
    known = {column.name for column in columns}
    for name in updates:
        if name not in known:
            raise ValidationError(
                f"Column {name[:_SHOWN]} does not exist on table", legacy_message=True
            )


def _type_of(name: str, wanted: Any) -> Type | None:
    if wanted is None:
        return None
    known = override_type(wanted) if isinstance(wanted, str) else None
    if known is None:
        raise ValidationError(
            f"Can not parse type {str(wanted)[:_SHOWN]} for column {name[:_SHOWN]}"
            " - type does not exist",
            legacy_message=True,
        )
    return known


def _refuse_long_decimals(types: Mapping[str, Type | None]) -> None:
    for name, type_ in types.items():
        if type_ is not None and is_beyond_delta(type_):
            raise ValidationError(
                f"Column {name[:_SHOWN]} cannot be {type_.bare}: {words.LONG_DECIMAL}",
                attr="updates",
                legacy_message=True,
            )


def _applied(
    column: Column,
    types: Mapping[str, Type | None],
    of_source: Mapping[str, Column],
) -> Column:
    if column.name not in types:
        return column
    wanted = types[column.name]
    if wanted is None:
        plain = replace(column, override=False)
        return of_source.get(column.name, plain) if column.override else column
    hogql = database_field(wanted)
    if column.override and (column.type, column.hogql) == (wanted, hogql):
        return column
    return replace(column, type=wanted, hogql=hogql, override=True, valid=True)


def _of_source(context: Context, table: Table, names: set[str]) -> dict[str, Column]:
    """Return these columns as the source had them last: of the newest version in which nobody had
    set them. One look at the versions for all of them, since each may be large."""
    found: dict[str, Column] = {}
    if not names:
        return found
    versions = context.session.scalars(
        select(SchemaVersion.columns)
        .where(SchemaVersion.table_id == table.id)
        .order_by(SchemaVersion.number.desc())
        .execution_options(yield_per=4)
    )
    for columns in versions:
        for stored in columns:
            if stored["name"] in names and not stored["override"]:
                found.setdefault(stored["name"], Column.from_dict(stored))
        if len(found) == len(names):
            break
    versions.close()
    return found


def require_room(context: Context, columns: tuple[Column, ...]) -> None:
    """Refuse more than the bound to which a refresh holds (`readers.limits.check_schema`).

    Raises:
        ValidationError: they take more.
    """
    size, most = stored_size(columns), context.process.settings.inference_max_schema_bytes
    if size > most:
        raise ValidationError(
            f"The schema would take {size:,} bytes; STOCKTAKE_INFERENCE_MAX_SCHEMA_BYTES allows "
            f"{most:,}. Clear other types that were set, or let the operator raise it.",
            attr="updates",
        )


def _store(
    context: Context, table: Table, old: tuple[Column, ...], new: tuple[Column, ...]
) -> None:
    require_room(context, new)
    table.columns = [column.as_dict() for column in new]
    # What was proved was proved of other types.
    table.validated_state = None
    change = diff(old, new)
    if change:
        quotas.require_room_for_bytes(context)
        add_version(context.session, table, change)
    context.session.flush()
    reconsider(context.session, table)
    if any(before.override and not after.override for before, after in zip(old, new, strict=True)):
        # The readers' memory would say that nothing changed at the source, and it is right.
        table.source_state = None
        refreshes.request(context, table)
    else:
        refreshes.request_validation(context, table)
