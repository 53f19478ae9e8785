"""Registering tables, changing what they are, and deleting them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypedDict
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError

from stocktake.catalog import deletion
from stocktake.catalog.tables import locked
from stocktake.db.models import Table
from stocktake.errors import ValidationError, did_you_mean
from stocktake.jobs.queueing import Enqueued
from stocktake.schema.decisions import Policy
from stocktake.schema.formats import TableFormat
from stocktake.services import audit, credentials, quotas, refreshes, table_views, words
from stocktake.services.context import Context
from stocktake.services.credentials import CredentialFields
from stocktake.services.options import check_options, is_public
from stocktake.storage.places import guard
from stocktake.storage.places.urls import Location


class TableFields(TypedDict, total=False):
    """A table as a request holds it; a field that is absent was not sent."""

    name: str | None
    format: str | None
    url_pattern: str | None
    options: Any
    credential: CredentialFields | None
    deleted: bool | None
    change_policy: str | None
    stale_after_seconds: Any


def create(context: Context, fields: TableFields) -> tuple[Table, Enqueued]:
    """Register a table and queue its first refresh. Nothing is read here.

    Raises:
        ValidationError: a field is wrong; the first one in PostHog's order.
        QuotaExceededError: the project has as many tables as it may.
    """
    name = new_name(context, required("name", fields))
    format_ = check_format(required("format", fields))
    url_pattern = checked_url(required("url_pattern", fields))
    location = guard.check(url_pattern, context.process.guard)
    options = check_options(fields.get("options", {}))
    pair = credentials.new_pair(fields.get("credential"))
    guard.check_pattern(location, format_)
    if pair is None and needs_credential(location, options):
        raise ValidationError(credentials.REQUIRED, attr="credential")
    if pair is not None and needs_credential(location, options):
        credentials.check_kind(pair, location)
    policy = check_policy(fields.get("change_policy"))
    stale_after = words.check_stale_after(fields.get("stale_after_seconds"))
    quotas.require_room_for_table(context)
    table = new_table(context, name=name, format_=format_, url_pattern=url_pattern, options=options)
    table.change_policy, table.stale_after_seconds = policy, stale_after
    add_uniquely(context, table)
    if pair is not None:
        credentials.store(context, table, pair)
    audit.record(context, "table.create", table.id, name=name)
    return table, refreshes.request(context, table)


def delete(context: Context, table_id: UUID) -> Table:
    """Delete a table softly: the row stays for its history, its name is free, its keys are gone.

    Raises:
        NotFoundError: no such live table in this project.
        ValidationError: the table is sourced.
    """
    table = table_views.locked(context, table_id)
    delete_locked(context, table)
    return table


def undo_create(context: Context, table_id: UUID, *, job_id: UUID) -> bool:
    """Take back a registration whose first read failed while its client waited.

    The row is deleted softly, as by `delete`: the name is free, the credential is erased and the
    API shows no table, while the failed job keeps its history and its foreign key.

    Returns:
        False where the table is not as it was made any more (changed, refreshed again or deleted
        meanwhile): then it is somebody's and stays.
    """
    as_made = Table.id == table_id, Table.generation == 1, Table.latest_job_id == job_id
    table = locked(context.session, context.caller.project_id, *as_made)
    if table is None:
        return False
    delete_locked(context, table)
    return True


def new_table(
    context: Context,
    *,
    name: str,
    format_: TableFormat,
    url_pattern: str,
    options: dict[str, Any] | None = None,
    managed: bool = False,
) -> Table:
    """Return a row of the caller's project, not yet added to the session."""
    return Table(
        project_id=context.caller.project_id,
        name=name,
        format=format_.value,
        url_pattern=url_pattern,
        options=options or {},
        columns=[],
        managed=managed,
        created_by_id=context.caller.user_id,
    )


def add_uniquely(context: Context, table: Table) -> None:
    """Insert the row.

    Raises:
        ValidationError: another request took the name first.
    """
    with _taking(context, table.name):
        context.session.add(table)


def rename_uniquely(context: Context, table: Table, name: str) -> None:
    """Write the row's new name.

    Raises:
        ValidationError: another request took the name first.
    """
    with _taking(context, name):
        table.name = name


@contextmanager
def _taking(context: Context, name: str) -> Iterator[None]:
    """Let a row take a name within; without it the transaction stands as it was before.

    What stands in the session already is written first. A change made before `begin_nested()` is
    written ahead of the savepoint, and where it breaks the index the whole transaction is lost.
    """
    context.session.flush()
    try:
        with context.session.begin_nested():
            yield
    except IntegrityError as exc:
        if not name_is_taken(context, name):
            raise
        raise _name_taken() from exc


def check_format(value: str | None) -> TableFormat:
    """Return a format by PostHog's spelling.

    Raises:
        ValidationError: null, blank or unknown.
    """
    if value is None:
        raise ValidationError(words.NOT_NULL, code="null", attr="format")
    try:
        return TableFormat(value)
    except ValueError as exc:
        shown = words.check_text(value, "format", max_length=words.MAX_NAME_LENGTH)
        raise ValidationError(f'"{shown}" is not a valid choice.', attr="format") from exc


def check_policy(value: str | None) -> Policy | None:
    """Return a policy of changes by its name; None for the project's.

    Raises:
        ValidationError: there is no such policy.
    """
    if value is None or value in tuple(Policy):
        return None if value is None else Policy(value)
    raise ValidationError(
        f"There is no policy {str(value)[:100]!r}; " + did_you_mean(str(value), map(str, Policy)),
        attr="change_policy",
    )


def name_is_taken(context: Context, name: str) -> bool:
    """Return whether a live table of the project has this name."""
    return bool(
        context.session.scalar(
            select(
                exists().where(
                    Table.project_id == context.caller.project_id,
                    Table.name == name,
                    Table.deleted.is_(False),
                )
            )
        )
    )


def required(field: Literal["name", "format", "url_pattern"], fields: TableFields) -> str | None:
    """Return a field that must have been sent.

    Raises:
        ValidationError: it was not.
    """
    if field not in fields:
        raise ValidationError(words.REQUIRED, code="required", attr=field)
    return fields[field]


def new_name(context: Context, value: str | None) -> str:
    """Return a name that no live table of the project has.

    Raises:
        ValidationError: null, blank, too long or taken.
    """
    name = words.require_table_name(value)
    if name_is_taken(context, name):
        raise _name_taken()
    return name


def _name_taken() -> ValidationError:
    return ValidationError(words.NAME_TAKEN, attr="name")


def checked_url(value: str | None) -> str:
    """Return a URL pattern's text; whether it may be opened is the guard's to say.

    Raises:
        ValidationError: null, blank or too long.
    """
    return words.require_text(value, "url_pattern", max_length=words.MAX_URL_LENGTH)


def needs_credential(location: Location, options: dict[str, Any]) -> bool:
    """Return whether the source cannot be read unsigned, and is no local file."""
    return location.provider != "file" and not is_public(options)


def delete_locked(context: Context, table: Table) -> None:
    """Delete as `delete` does, a row that this transaction has locked.

    Raises:
        ValidationError: the table is sourced.
    """
    if table.external_data_source is not None:
        raise ValidationError(words.NO_DELETE, legacy_message=True)
    deletion.delete_locked(context.session, table)
    audit.record(context, "table.delete", table.id, name=table.name)
