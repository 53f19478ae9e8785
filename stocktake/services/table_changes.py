"""Changing what a table is."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self
from uuid import UUID

from stocktake.catalog import changes, sources
from stocktake.db.models import StoredCredential, Table
from stocktake.errors import ValidationError
from stocktake.jobs import cancelling
from stocktake.jobs.queueing import Enqueued
from stocktake.schema.formats import TAKING_ROWS
from stocktake.security.encryption import AccessPair
from stocktake.services import (
    audit,
    credentials,
    refreshes,
    schema_versions,
    table_views,
    tables,
    words,
)
from stocktake.services.context import Context
from stocktake.services.credentials import CREDENTIAL_REQUIRED
from stocktake.services.options import check_options, is_public
from stocktake.services.tables import TableFields
from stocktake.states import JobKind
from stocktake.storage.places import guard, urls

KEYS_FOR_NEW_PLACE: Final = (
    "The URL pattern names another host, endpoint or bucket than before. "
    "Send the access key and the access secret with it."
)
MANAGED_CREDENTIAL: Final = "An uploaded table has no credential of its own."
MANAGED_URL: Final = (
    "Stocktake manages where this table reads from, so its URL can't be changed. To read from "
    "your own bucket, register another table with its URL and an access key and secret."
)
MANAGED_URL_BUT: Final = (
    "Stocktake manages where this table reads from, so its URL can't be changed, but to the one "
    "that it read before an upload took the place of that: {url}"
)
MANAGED_FORMAT: Final = (
    "The format of an uploaded table can't change between Delta and a file format. "
    "Upload to another table."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What names a table's source, besides its credential."""

    url_pattern: str
    format: str
    options: dict[str, Any]

    @classmethod
    def of(cls, table: Table) -> Self:
        return cls(url_pattern=table.url_pattern, format=table.format, options=table.options)

    def changes(self, old: Self) -> list[str]:
        """Return the names of the fields that differ."""
        fields = ("url_pattern", "format", "options")
        return [name for name in fields if getattr(self, name) != getattr(old, name)]


def change(context: Context, table_id: UUID, fields: TableFields) -> tuple[Table, Enqueued | None]:
    """Change a table: all of it, or on an error nothing.

    A value equal to the current one is no change and is not looked at: clients send back what
    they got. Where the table's source changes, its generation rises, so that a read that is
    under way counts for nothing, and a refresh is queued.

    Raises:
        NotFoundError: no such live table in this project.
        ValidationError: a field is wrong.
    """
    table = table_views.locked(context, table_id)
    if fields.get("deleted"):
        tables.delete_locked(context, table)
        return table, None
    _rename(context, table, fields)
    _set_policy(context, table, fields)
    _set_stale_after(context, table, fields)
    changed = _change_source(context, table, fields)
    if not changed:
        return table, None
    return table, _source_changed(context, table)


def _rename(context: Context, table: Table, fields: TableFields) -> None:
    if "name" not in fields or fields["name"] == table.name:
        return
    name = words.require_table_name(fields["name"])
    if name == table.name:
        return
    tables.new_name(context, name)
    audit.record(context, "table.rename", table.id, old=table.name, new=name)
    tables.rename_uniquely(context, table, name)


def _set_policy(context: Context, table: Table, fields: TableFields) -> None:
    """Set what goes live by itself of the changes to come; what waits goes on waiting."""
    if "change_policy" not in fields:
        return
    policy = tables.check_policy(fields["change_policy"])
    if policy != table.change_policy:
        audit.record(context, "table.policy", table.id, old=table.change_policy, new=policy)
        table.change_policy = policy


def _set_stale_after(context: Context, table: Table, fields: TableFields) -> None:
    """Set after which time the table is stale, from its last good read on."""
    if "stale_after_seconds" not in fields:
        return
    new, old = words.check_stale_after(fields["stale_after_seconds"]), table.stale_after_seconds
    if new == old:
        return
    audit.record(context, "table.stale_after", table.id, old=old, new=new)
    table.stale_after_seconds = new
    read = table.last_refreshed_at
    table.stale_at = read + timedelta(seconds=new) if read and new else None


def _change_source(context: Context, table: Table, fields: TableFields) -> list[str]:
    """Apply what names the source; the names of the fields that changed."""
    old = _Source.of(table)
    if table.former_source and fields.get("url_pattern") == table.former_source["url_pattern"]:
        _go_back(context, table, table.former_source)
    stored = _stored_credential(context, table)
    # First applied and then checked, as the checks are of the whole table: what this request sends
    # must fit what it leaves as it is. A refusal rolls all of it back.
    _apply_source(context, table, fields)
    pair = _changed_keys(context, stored, fields)
    changed = _Source.of(table).changes(old)
    if not changed and pair is None:
        return []
    refreshes.require_linked(table)
    if table.managed:
        _check_managed(table, old, pair)
    else:
        _check_linked(table, old, pair, has_credential=stored is not None)
        if "url_pattern" in changed and stored is not None:
            _check_recipient(context, table, old, fields)
        location = guard.locate(table.url_pattern, context.process.guard)
        if pair is not None and tables.needs_credential(location, table.options):
            credentials.check_kind(pair, location)
    if pair is not None:
        credentials.store(context, table, pair)
        changed.append("credential")
    before = {name: getattr(old, name) for name in changed if name in ("url_pattern", "format")}
    audit.record(context, "table.change", table.id, fields=changed, before=before)
    return changed


def _go_back(context: Context, table: Table, former: dict[str, Any]) -> None:
    """Have an uploaded table read its own source again, with the format, the options and the
    columns that it had then; what else the request sends is applied over them."""
    guard.check(former["url_pattern"], context.process.guard)
    overrides = table.former_overrides or []
    sources.go_back(context.session, table)
    schema_versions.go_back(context, table, former["schema_version"], overrides)


def _apply_source(context: Context, table: Table, fields: TableFields) -> None:
    """Set format, URL and options where they differ."""
    if "format" in fields and fields["format"] != table.format:
        table.format = tables.check_format(fields["format"]).value
    if "url_pattern" in fields and fields["url_pattern"] != table.url_pattern:
        _move(context, table, tables.checked_url(fields["url_pattern"]))
    if "options" in fields and fields["options"] != table.options:
        table.options = check_options(fields["options"])


def _move(context: Context, table: Table, url_pattern: str) -> None:
    if url_pattern == table.url_pattern:
        return
    guard.check(url_pattern, context.process.guard)
    if table.managed:
        former = table.former_source
        told = MANAGED_URL_BUT.format(url=former["url_pattern"]) if former else MANAGED_URL
        raise ValidationError(told, attr="url_pattern")
    table.url_pattern = url_pattern


def _stored_credential(context: Context, table: Table) -> StoredCredential | None:
    if table.credential_id is None:
        return None
    return context.session.get(StoredCredential, table.credential_id)


def _changed_keys(
    context: Context, stored: StoredCredential | None, fields: TableFields
) -> AccessPair | None:
    if "credential" not in fields:
        return None
    sent = fields["credential"]
    if sent is None:
        if stored is not None:
            raise ValidationError(words.NOT_NULL, code="null", attr="credential")
        return None
    return credentials.changed_pair(context, stored, sent)


def _takes_rows(format_: str) -> bool:
    return format_ in TAKING_ROWS


def _check_managed(table: Table, old: _Source, pair: AccessPair | None) -> None:
    if _takes_rows(table.format) != _takes_rows(old.format):
        raise ValidationError(MANAGED_FORMAT, attr="format")
    if pair is not None:
        raise ValidationError(MANAGED_CREDENTIAL, attr="credential")


def _check_linked(
    table: Table, old: _Source, pair: AccessPair | None, *, has_credential: bool
) -> None:
    location = urls.parse(table.url_pattern)
    guard.check_pattern(location, tables.check_format(table.format))
    # An imported table may lack a credential; it needs one only when its source is set anew.
    set_anew = table.url_pattern != old.url_pattern or is_public(old.options)
    lacks_one = not has_credential and pair is None
    if set_anew and lacks_one and tables.needs_credential(location, table.options):
        raise ValidationError(credentials.REQUIRED, code=CREDENTIAL_REQUIRED, attr="credential")


def _check_recipient(context: Context, table: Table, old: _Source, fields: TableFields) -> None:
    """Refuse to send a stored key to a stranger who was named later."""
    before = guard.locate(old.url_pattern, context.process.guard)
    after = guard.locate(table.url_pattern, context.process.guard)
    sent = fields.get("credential") or {}
    both = {"access_key", "access_secret"} <= sent.keys()
    if guard.requires_credential(before, after) and not both:
        raise ValidationError(KEYS_FOR_NEW_PLACE, code=CREDENTIAL_REQUIRED, attr="credential")


def _source_changed(context: Context, table: Table) -> Enqueued:
    table.generation += 1
    table.source_state = None
    # of the columns as they were; and another source is no swing
    table.origins = None
    table.validated_state = None
    changes.withdraw(context.session, table, changes.SOURCE_CHANGED)
    # A refresh that waits stays, and reads the new source (ADR 2). A validation would hold it to
    # the old columns; the refresh queues another.
    validations = [JobKind.VALIDATE_COLUMNS]
    detail = "The table was changed."
    cancelling.supersede(context.session, table.id, kinds=validations, detail=detail)
    return refreshes.request(context, table)
