"""From a table's row to an open source: one short read transaction, then no transaction at all."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from stocktake.catalog.credentials import opened_for
from stocktake.catalog.formats import format_of
from stocktake.db.models import Table, Upload
from stocktake.errors import SourceNotFoundError, SupersededError
from stocktake.readers.delta.reader import COUNT_OPTION
from stocktake.readers.source import Source
from stocktake.runs.attempt import Attempt
from stocktake.schema.columns import Column
from stocktake.storage.places.globs import escape
from stocktake.storage.places.guard import recheck
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential, ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """A table as it was when the attempt began to read."""

    source: Source
    columns: tuple[Column, ...]
    validated_state: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    table: Table
    credential: Credential | None
    upload_key: str | None


def open_table(attempt: Attempt) -> TableSource:
    """Read the claim's table and open its source; nothing is connected to yet.

    Raises:
        SupersededError: the table changed since the claim, or is deleted.
        CredentialUnavailableError: its credential cannot be decrypted.
        UrlRefusedError: the guard does not let its URL through (any more).
        SourceNotFoundError: a table of uploads that has accepted none yet.
    """
    with attempt.process.database.read() as session:
        snapshot = _load(session, attempt)
    # Behind the transaction: none is open while a source is reached, which may take as long as it
    # likes.
    store, path = _open(attempt, snapshot)
    table = snapshot.table
    return TableSource(
        source=Source(
            store=store,
            path=path,
            format=format_of(table.format),
            options=_options(table),
            state=_usable_state(table, attempt),
        ),
        columns=tuple(Column.from_dict(stored) for stored in table.columns),
        validated_state=table.validated_state,
    )


def _load(session: Session, attempt: Attempt) -> _Snapshot:
    claim = attempt.claim
    table = session.get(Table, claim.table_id)
    if table is None or table.deleted or table.generation != claim.generation:
        raise SupersededError("The table changed before its source was read.")
    upload = session.get(Upload, table.upload_id) if table.upload_id else None
    return _Snapshot(
        table=table,
        credential=_credential(session, attempt, table),
        upload_key=upload.object_key if upload else None,
    )


def _credential(session: Session, attempt: Attempt, table: Table) -> Credential | None:
    pair = opened_for(session, attempt.process.keyring, table)
    if pair is None:
        return None
    return Credential(access_key=pair.access_key, access_secret=pair.access_secret)


def _open(attempt: Attempt, snapshot: _Snapshot) -> tuple[ObjectStore, str]:
    table = snapshot.table
    if not table.managed:
        location = recheck(table.url_pattern, attempt.process.guard)
        public = bool(table.options.get("public"))
        return open_source(location, snapshot.credential, public=public)
    if format_of(table.format).facts.takes_rows:
        key = attempt.process.storage.delta_key(table.project_id, str(table.id))
    elif snapshot.upload_key is not None:
        key = snapshot.upload_key
    else:
        raise SourceNotFoundError(
            "No upload of this table has been accepted yet.", hint="Upload a file to the table."
        )
    return attempt.process.storage.store(), escape(attempt.process.storage.path(key))


def _options(table: Table) -> dict[str, Any]:
    """Return how the source is read: a managed table's is counted, for its numbers are exact."""
    counts = table.managed and format_of(table.format).facts.takes_rows
    return dict(table.options) | ({COUNT_OPTION: True} if counts else {})


def _usable_state(table: Table, attempt: Attempt) -> dict[str, Any] | None:
    """Return what the last read remembered, unless the table was another thing then."""
    state = table.source_state
    if state is None or state.get("generation") != attempt.claim.generation:
        return None
    return state
