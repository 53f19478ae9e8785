"""`check_file`: say what an upload would do to a table, and change nothing.

The same code as in a load decides which types the rows get and whether they fit; here the rows are
counted and thrown away.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa
from deltalake import DeltaTable, Schema
from sqlalchemy import select
from sqlalchemy.orm import Session

from stocktake.catalog import uploads
from stocktake.catalog.credentials import opened_for
from stocktake.db.models import Table, Upload
from stocktake.errors import (
    JobError,
    ManagedStorageRefusedError,
    SchemaConflictError,
    SupersededError,
    TerminalError,
)
from stocktake.jobs import leases
from stocktake.jobs.arguments import IngestArguments, Target
from stocktake.loading.evolution import load_schema
from stocktake.readers.delta.types import columns_of
from stocktake.readers.source import Source
from stocktake.runs.attempt import Attempt
from stocktake.runs.ingest_file import (
    Received,
    check_size,
    load_of,
    named,
    options_with,
    read_in_full,
    read_upload,
    received_of,
)
from stocktake.runs.load_plan import Load, behind, fit
from stocktake.runs.managed_table import mapped
from stocktake.schema.columns import Column
from stocktake.schema.diff import ChangeClass, Diff, apply_overrides, diff, merge_sampled
from stocktake.schema.warnings import ReadWarning
from stocktake.storage.places.globs import literal
from stocktake.storage.places.guard import locate, recheck, requires_credential
from stocktake.storage.stores.opening import open_source
from stocktake.storage.stores.protocol import Credential

Columns = tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerdict:
    """What a file would do to a table.

    Attributes:
        columns: the table's behind it.
        change: from the table's columns to these; of a refused file to its own.
        row_count: how many rows the file has; None where it was not read to its end.
        refusal: why it would be refused; None where it would not.
    """

    columns: Columns
    change: Diff
    row_count: int | None = None
    refusal: JobError | None = None
    warnings: tuple[ReadWarning, ...] = ()

    @property
    def change_class(self) -> ChangeClass | None:
        """The class of the change; None where the file cannot be read, so that nobody knows."""
        if self.refusal is None:
            return self.change.change
        is_conflict = isinstance(self.refusal, SchemaConflictError)
        return ChangeClass.BREAKING if is_conflict else None

    def as_dict(self) -> dict[str, Any]:
        """Return the job's ``result``, but for what it says of the table."""
        return {
            "change": self.change_class,
            "diff": self.change.as_dict(),
            "columns": [{"name": each.name, "type": each.clickhouse} for each in self.columns],
            "row_count": self.row_count,
            "refusal": self.refusal.as_dict() if self.refusal else None,
            "warnings": [warning.as_dict() for warning in self.warnings],
        }


def run(attempt: Attempt) -> None:
    """Judge the claim's upload, and end the job with the verdict.

    Raises:
        SourceNotFoundError: the upload's bytes are gone.
        JobError: managed storage failed; a refusal of the file is no error but the result.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    claim = attempt.claim
    name = IngestArguments.of(claim.arguments).table
    with attempt.process.database.read() as session:
        table = session.scalars(
            select(Table).where(
                Table.project_id == claim.project_id, Table.name == name, Table.deleted.is_(False)
            )
        ).one_or_none()
        received = _received(session, attempt, table)
        told = {"table": name, "exists": table is not None}
        told |= {"rows_before": table.row_count if table else None}
        # A job of no table, so that it waits for none; what it looks at is that table's.
        its = replace(attempt, claim=replace(claim, table_id=table.id)) if table else attempt
    verdict = judge_file(its, received, exists=table is not None)
    with attempt.process.database.write() as session:
        uploads.use_up(session, received.upload_id)
        leases.succeed(session, claim, told | verdict.as_dict())


def _received(session: Session, attempt: Attempt, table: Table | None) -> Received:
    """Return the file that is to be judged: an upload, or one beside the table's own files."""
    arguments = IngestArguments.of(attempt.claim.arguments)
    if not arguments.url_pattern:
        upload = session.get(Upload, attempt.claim.upload_id)
        return received_of(attempt, upload, table)
    if table is None or table.managed:
        raise SupersededError("The table was deleted, or reads from elsewhere, before the check.")
    policy = attempt.process.guard
    location = recheck(arguments.url_pattern, policy)
    if requires_credential(locate(table.url_pattern, policy), location):
        raise SupersededError("The table reads from elsewhere since the check was asked for.")
    pair = opened_for(session, attempt.process.keyring, table)
    credential = None
    if pair is not None:
        credential = Credential(access_key=pair.access_key, access_secret=pair.access_secret)
    store, path = open_source(location, credential, public=bool(table.options.get("public")))
    options = options_with(table.options, arguments.options)
    return Received(
        upload_id=None,
        arguments=arguments,
        source=Source(store=store, path=path, format=arguments.format, options=options),
        key=literal(path),
        filename=path.rpartition("/")[2],
        size_bytes=0,
        columns=tuple(Column.from_dict(stored) for stored in table.columns),
    )


def judge_file(attempt: Attempt, received: Received, *, exists: bool) -> FileVerdict:
    """Return what a file, read by its options, would do to the claim's table. Changes nothing.

    Args:
        exists: whether the table is there.

    Raises:
        JobError: managed storage failed.
    """
    trial = _Trial.of(received)
    try:
        with named(received), mapped():
            if received.upload_id is not None:
                check_size(received)
            if received.arguments.beside:
                trial.land_beside(attempt, received)
            elif received.arguments.target is Target.DELTA:
                trial.load(attempt, received, exists=exists)
            else:
                trial.replace_file(attempt, received)
    except ManagedStorageRefusedError:
        raise
    except TerminalError as exc:
        return trial.verdict(refusal=exc)
    return trial.verdict()


class _Trial:
    """What has become of a file so far.

    Args:
        before: the table's columns.
        set_types: columns with types that a user has set.
    """

    def __init__(self, before: Columns, set_types: Columns) -> None:
        self._before = before
        self._set_types = set_types
        self._after: Columns = before
        self._row_count: int | None = None
        self._warnings: tuple[ReadWarning, ...] = ()

    @classmethod
    def of(cls, received: Received) -> Self:
        """Begin, with the columns as the registry has them."""
        kept = (column for column in received.columns if column.override)
        declared = received.declared
        names = {column.name for column in declared}
        both = (*(column for column in kept if column.name not in names), *declared)
        return cls(received.columns, both)

    def verdict(self, refusal: JobError | None = None) -> FileVerdict:
        """Return what came of it."""
        after = apply_overrides(self._set_types, self._after)
        return FileVerdict(
            columns=self._before if refusal else after,
            change=diff(self._before, after),
            row_count=self._row_count,
            refusal=refusal,
            warnings=self._warnings,
        )

    def replace_file(self, attempt: Attempt, received: Received) -> None:
        """Read the file as it would become the table's content."""
        found, _ = read_in_full(attempt, received)
        self._after, self._row_count = found.columns, found.row_count
        self._warnings = found.warnings

    def land_beside(self, attempt: Attempt, received: Received) -> None:
        """Read the file as one more of those that the table has."""
        found, _ = read_in_full(attempt, received)
        names = {column.name for column in found.columns}
        # A value in the path is in no file.
        paths = (each for each in self._before if each.partition and each.name not in names)
        self._after = merge_sampled(self._before, (*found.columns, *paths))
        self._row_count, self._warnings = found.row_count, found.warnings

    def load(self, attempt: Attempt, received: Received, *, exists: bool) -> None:
        """Read the file as its rows would be loaded."""
        upload = read_upload(attempt, received)
        self._warnings = upload.warnings
        load = load_of(attempt, received, upload)
        table = load.managed.open() if exists else None
        known = load.known(table)
        # of a file that is refused: its own types, in the place of those that it has
        own = {column.name: column for column in _as_stored(load, upload.columns)}
        known_names = set(known.names)
        news = tuple(own[name] for name in own if name not in known_names)
        self._after = (*(own.get(each.name, each) for each in self._before), *news)

        def write(schema: pa.Schema, replaces: bool, given: Iterator[pa.RecordBatch]) -> None:
            rows = sum(batch.num_rows for batch in given)
            if replaces and table is not None and not load.replaces:
                # those that the table has came first, to be written anew
                rows -= sum(table.get_add_actions().column("num_records").to_pylist())
            self._after = _columns_behind(load, table, schema)
            self._row_count = rows

        fit(load, table, write)


def _as_stored(load: Load, columns: Columns) -> Columns:
    """Return a file's columns in the types that a managed table of it would have: what differs from
    a table's own is then the file, and not how Delta spells a date."""
    schema = load_schema(columns, {}, load.rows().types)
    return columns_of(Schema.from_arrow(schema).to_json(), [], load.attempt.limits)


def _columns_behind(load: Load, table: DeltaTable | None, schema: pa.Schema) -> Columns:
    """Return the table's columns behind a load, as its log would have them."""
    after = behind(load.known(table), schema)
    if table is not None and load.replaces:
        before = pa.schema(table.schema().to_arrow())
        # A log takes no new schema for the sake of another order.
        if {field.name: field.type for field in before} == dict(
            zip(schema.names, schema.types, strict=True)
        ):
            after = before
    partitions = [*load.partitions(table)]
    return columns_of(Schema.from_arrow(after).to_json(), partitions, load.attempt.limits)
