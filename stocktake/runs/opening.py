"""From a table's row to an open source: one short read transaction, then no transaction at all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Integer, Uuid, bindparam, select
from sqlalchemy.orm import Session

from stocktake.catalog.credentials import opened_with
from stocktake.catalog.formats import format_of
from stocktake.db.models import CREDENTIALS, TABLES, Upload
from stocktake.errors import SourceNotFoundError, SupersededError
from stocktake.jobs.leases import Claim
from stocktake.parts import ProcessParts
from stocktake.readers.delta.reader import COUNT_OPTION
from stocktake.readers.source import Source
from stocktake.runs.attempt import Attempt
from stocktake.schema.columns import Column
from stocktake.storage.places.globs import escape
from stocktake.storage.places.guard import Folders, recheck
from stocktake.storage.stores.named_object import NamedObject
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential, ObjectStore

#: What a run must know of its table. Columns and no entity, which costs more than its statement.
_KNOWN: Final = (
    select(
        TABLES.c.generation,
        TABLES.c.id,
        TABLES.c.project_id,
        TABLES.c.format,
        TABLES.c.url_pattern,
        TABLES.c.credential_id,
        CREDENTIALS.c.key_id,
        CREDENTIALS.c.ciphertext,
        TABLES.c.options,
        TABLES.c.columns,
        TABLES.c.managed,
        TABLES.c.source_state,
        TABLES.c.validated_state,
        *(
            select(column).where(Upload.id == TABLES.c.upload_id).scalar_subquery().label(label)
            for column, label in (
                (Upload.object_key, "upload_key"),
                (Upload.filename, "upload_name"),
            )
        ),
    )
    .outerjoin_from(
        TABLES,
        CREDENTIALS,
        (CREDENTIALS.c.id == TABLES.c.credential_id)
        & (CREDENTIALS.c.project_id == TABLES.c.project_id),
    )
    .where(TABLES.c.deleted.is_(False))
)
_TABLE: Final = _KNOWN.where(
    TABLES.c.id == bindparam("the_table", type_=Uuid()),
    TABLES.c.generation == bindparam("generation", type_=Integer),
)
_TABLES: Final = _KNOWN.where(
    TABLES.c.id.in_(bindparam("the_tables", type_=Uuid(), expanding=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """A table as it was when the attempt began to read.

    Attributes:
        managed: whether its bytes are ours, which loads and upkeep change beside a refresh.
        stored: its columns as the row has them.
        source_state: what the last good read remembered, of whatever the table was then.
    """

    source: Source
    managed: bool
    stored: Sequence[dict[str, Any]]
    source_state: dict[str, Any] | None
    validated_state: dict[str, Any] | None

    def columns(self) -> tuple[Column, ...]:
        """Return its columns."""
        return tuple(Column.from_dict(stored) for stored in self.stored)


def open_table(attempt: Attempt) -> TableSource:
    """Read the claim's table and open its source; nothing is connected to yet.

    Raises:
        SupersededError: the table changed since the claim, or is deleted.
        CredentialUnavailableError: its credential cannot be decrypted.
        UrlRefusedError: the guard does not let its URL through (any more).
        SourceNotFoundError: a table of uploads that has accepted none yet.
    """
    with attempt.process.database.read() as session:
        table = load_table(session, attempt.claim)
    credential = credential_of(attempt.process, table)
    # Behind the transaction: none is open while a source is reached, which may take as long as it
    # likes.
    return open_loaded(attempt.process, attempt.claim, table, credential)


def open_loaded(
    process: ProcessParts,
    claim: Claim,
    table: Any,
    credential: Credential | None,
    folders: Folders | None = None,
) -> TableSource:
    """Open the source of a table of `load_table`; nothing is connected to yet.

    Args:
        folders: where the guard's are, for who opens many sources at one moment.

    Raises:
        UrlRefusedError, SourceNotFoundError: as `open_table` does.
    """
    store, path = _open(process, table, credential, folders)
    return TableSource(
        source=Source(
            store=store,
            path=path,
            format=format_of(table.format),
            options=_options(table),
            state=_usable_state(table.source_state, claim),
        ),
        managed=table.managed,
        stored=table.columns,
        source_state=table.source_state,
        validated_state=table.validated_state,
    )


def load_table(session: Session, claim: Claim) -> Any:
    """Read what a run must know of the claim's table.

    Raises:
        SupersededError: the table changed since the claim, or is deleted.
    """
    given = {"the_table": claim.table_id, "generation": claim.generation}
    table = session.connection().execute(_TABLE, given).one_or_none()
    if table is None:
        raise SupersededError("The table changed before its source was read.")
    return table


def load_tables(session: Session, claims: Iterable[Claim]) -> Mapping[UUID | None, Any]:
    """Read it for many claims, each of another table; those are left out that changed since."""
    generations = {claim.table_id: claim.generation for claim in claims}
    found = session.connection().execute(_TABLES, {"the_tables": list(generations)})
    return {row.id: row for row in found if row.generation == generations[row.id]}


def credential_of(process: ProcessParts, table: Any) -> Credential | None:
    """Return what a table of `load_table` is read with, decrypted; None where it needs nothing.

    Raises:
        CredentialUnavailableError: it is gone, or cannot be decrypted.
    """
    pair = opened_with(process.keyring, table)
    if pair is None:
        return None
    return Credential(access_key=pair.access_key, access_secret=pair.access_secret)


def _open(
    process: ProcessParts, table: Any, credential: Credential | None, folders: Folders | None
) -> tuple[ObjectStore, str]:
    if not table.managed:
        location = recheck(table.url_pattern, process.guard, folders)
        return open_source(location, credential, public=bool(table.options.get("public")))
    if format_of(table.format).facts.takes_rows:
        key = process.storage.delta_key(table.project_id, str(table.id))
        return process.storage.store(), escape(process.storage.path(key))
    if table.upload_key is None:
        raise SourceNotFoundError(
            "No upload of this table has been accepted yet.", hint="Upload a file to the table."
        )
    return open_upload(process, table.upload_key, table.upload_name)


def open_upload(process: ProcessParts, key: str, filename: str) -> tuple[ObjectStore, str]:
    """Return a store that has an upload under the name that its owner gave it, and its path
    there."""
    path = process.storage.path(key)
    return NamedObject(process.storage.store(), path, filename), escape(filename)


def _options(table: Any) -> dict[str, Any]:
    """Return how the source is read: a managed table's is counted, for its numbers are exact."""
    counts = table.managed and format_of(table.format).facts.takes_rows
    return dict(table.options) | ({COUNT_OPTION: True} if counts else {})


def _usable_state(state: dict[str, Any] | None, claim: Claim) -> dict[str, Any] | None:
    """Return what the last read remembered, unless the table was another thing then."""
    if state is None or state.get("generation") != claim.generation:
        return None
    return state
