"""The managed Delta table that a job writes to: where it is, what it holds, and its errors as ours.

Its files are counted by what the log says of them. What it stores on top, files that replaced rows
left behind, is reckoned from the commits since the last count, so that a load costs the same
however many files there are.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from deltalake import DeltaTable
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from stocktake.catalog.tables import locked_for
from stocktake.db.models import Table
from stocktake.errors import (
    CommitConflictError,
    SchemaConflictError,
    SourceNotFoundError,
    SupersededError,
    UnsupportedError,
)
from stocktake.readers import introspect
from stocktake.readers.source import Introspection, Source
from stocktake.runs.attempt import Attempt
from stocktake.runs.refresh_schema import is_older, store_introspection, store_types
from stocktake.runs.table_log import RESTORE
from stocktake.schema.diff import Diff
from stocktake.schema.formats import MANAGED, TAKING_ROWS
from stocktake.storage.places.globs import escape
from stocktake.storage.stores import store_errors

#: How long a commit's application transactions tell that an upload was loaded. A load of one that
#: is older is refused, for nothing could tell (ADR 4).
TRANSACTION_DAYS: Final = 30
_LOG: Final = "_delta_log/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedTable:
    """The managed Delta table of an attempt's claim, which need not be there yet.

    Attributes:
        key: of its root in managed storage.
        uri: the same, as deltalake opens it with `options`.
    """

    attempt: Attempt
    key: str
    uri: str
    options: dict[str, str]

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        """Return that of the claim's table."""
        storage, claim = attempt.process.storage, attempt.claim
        uri, options = storage.delta_root(claim.project_id, str(claim.table_id))
        key = storage.delta_key(claim.project_id, str(claim.table_id))
        return cls(attempt=attempt, key=key, uri=uri, options=options)

    @property
    def properties(self) -> dict[str, str]:
        """What the table's log says of how long it keeps what is over."""
        days = self.attempt.process.settings.retain_replaced_days
        return {
            "delta.deletedFileRetentionDuration": f"interval {days} days",
            "delta.logRetentionDuration": f"interval {days} days",
            "delta.setTransactionRetentionDuration": f"interval {TRANSACTION_DAYS} days",
        }

    def open(self) -> DeltaTable | None:
        """Return the table as its log has it now; None before its first commit."""
        # Not by `is_deltatable`, which asks the store with the interpreter's lock held: neither the
        # heartbeat nor the relay that leads to the store could run meanwhile.
        try:
            return DeltaTable(self.uri, storage_options=self.options)
        except TableNotFoundError:
            return None

    def introspect(self) -> Introspection:
        """Return what the table is now, with exact numbers of its rows, files and bytes."""
        storage = self.attempt.process.storage
        source = Source(store=storage.store(), path=escape(storage.path(self.key)), format=MANAGED)
        found = introspect(source, self.attempt.limits, self.attempt.progress)
        with mapped():
            # At the version that was read above: somebody else's commit since is not in these
            # columns.
            version = int(found.source_version or 0)
            table = DeltaTable(self.uri, version=version, storage_options=self.options)
            counts = _counts(table)
        return replace(found, **counts, state=found.state | counts)

    def stored(self, version: int) -> "Stored":
        """Return how many bytes the table's data files are, replaced ones too, at a version."""
        with self.attempt.process.database.read() as session:
            since, bytes_before = session.execute(
                select(Table.stored_version, Table.stored_bytes).where(
                    Table.id == self.attempt.claim.table_id
                )
            ).one()
        if since is not None and bytes_before is not None:
            try:
                added = sum(self._added_bytes(each) for each in range(since + 1, version + 1))
            except SourceNotFoundError:
                pass  # the commits were cleaned up since
            else:
                return Stored(since=since, version=version, size_bytes=bytes_before + added)
        return Stored(since=since, version=version, size_bytes=self.listed_bytes())

    def listed_bytes(self) -> int:
        """Return the bytes of all data files that are there, whoever wrote them."""
        storage = self.attempt.process.storage
        root = storage.path(f"{self.key}/")
        return sum(
            info.size
            for info in storage.store().list(root)
            if not info.path.removeprefix(root).startswith(_LOG)
        )

    @property
    def log_key(self) -> str:
        """The key in managed storage of the log's folder."""
        return f"{self.key}/{_LOG}"

    def commit_key(self, version: int) -> str:
        """Return the key in managed storage of one of the log's commits."""
        return f"{self.log_key}{version:020d}.json"

    def commit(self, version: int) -> list[dict[str, Any]]:
        """Return the actions of one of the log's commits.

        Raises:
            SourceNotFoundError: it was cleaned up, or never was.
        """
        return [json.loads(line) for line in self.commit_text(version).splitlines()]

    def commit_text(self, version: int) -> bytes:
        """Return one of the log's commits as it is stored.

        Raises:
            SourceNotFoundError: it was cleaned up, or never was.
        """
        # Not by deltalake's history, which asks the store with the interpreter's lock held.
        storage = self.attempt.process.storage
        return storage.store().get(storage.path(self.commit_key(version))).data

    def _added_bytes(self, version: int) -> int:
        actions = self.commit(version)
        if any(each.get("commitInfo", {}).get("operation") == RESTORE for each in actions):
            return 0
        return sum(int(each["add"]["size"]) for each in actions if "add" in each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The bytes of a managed table's data files.

    Attributes:
        since: the version of the count that this one went on from; None where there was none.
        version: up to which commit they are counted.
    """

    since: int | None
    version: int
    size_bytes: int

    def write(self, table: Table) -> None:
        """Note them on the locked row. Where somebody else has counted meanwhile, the later count
        stands, and where that is not ours the number is unknown until the next upkeep."""
        if table.stored_version == self.since:
            table.stored_bytes, table.stored_version = self.size_bytes, self.version
        elif table.stored_version is not None and table.stored_version < self.version:
            table.stored_bytes = table.stored_version = None


def _counts(table: DeltaTable) -> dict[str, Any]:
    """Count exactly: every file of a managed table was written here, with its number of rows."""
    actions = table.get_add_actions(flatten=True)
    rows, sizes = (actions.column(name).to_pylist() for name in ("num_records", "size_bytes"))
    return {
        "row_count": sum(map(int, rows)),
        "size_bytes": sum(map(int, sizes)),
        "file_count": len(sizes),
    }


def require_managed(attempt: Attempt) -> None:
    """Let through the claim's table where it is a managed Delta table.

    Raises:
        SupersededError: it is not, or is deleted.
    """
    with attempt.process.database.read() as session:
        table = session.get(Table, attempt.claim.table_id)
        if table is None or table.deleted or not _is_managed(table):
            raise _not_managed()


def locked_managed(session: Session, attempt: Attempt) -> Table:
    """Return the claim's table, locked, where it is a managed Delta table still.

    Raises:
        SupersededError: it is not, or is deleted.
    """
    # Whatever was changed of it meanwhile: what was done to its files counts.
    table = locked_for(session, attempt.claim, any_generation=True)
    if not _is_managed(table):
        raise _not_managed()
    return table


def store_managed(
    session: Session, table: Table, attempt: Attempt, found: Introspection, stored: Stored
) -> Diff:
    """Write what a managed table holds now to its locked row. Where a later version of it stands
    there, that one stays, and takes only the types that were sent with an upload.

    Returns:
        the difference from the columns stored before.

    Raises:
        LimitExceededError: see `store_introspection`.
    """
    if is_older(session, table, found, attempt):
        change = store_types(session, table, found.columns, attempt)
    else:
        change = store_introspection(session, table, found, attempt)
        table.source_state = found.state | {"generation": table.generation}
    stored.write(table)
    return change


def _is_managed(table: Table) -> bool:
    return table.managed and table.format in TAKING_ROWS


def _not_managed() -> SupersededError:
    return SupersededError("The table was deleted, or is no managed Delta table any more.")


@contextmanager
def mapped() -> Iterator[None]:
    """Map deltalake's errors to ours. An unknown one is tried again: what is done is done once; but
    not where the store says no, which it would say again."""
    try:
        yield
    except CommitFailedError as exc:
        raise CommitConflictError("Another writer took the table's next version.") from exc
    except SchemaMismatchError as exc:
        raise SchemaConflictError("The upload's columns do not fit the managed table.") from exc
    except DeltaProtocolError as exc:
        raise UnsupportedError(
            "The managed Delta table asks for a feature that the writer does not have."
        ) from exc
    except (DeltaError, OSError) as exc:
        raise store_errors.from_managed(exc) from exc
