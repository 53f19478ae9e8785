"""`ingest_file`: check an upload in full, and only then make it a table's content.

The table keeps its last good content until the very transaction that ends the job, so that a
bad file never breaks a good table. The upload of a failed job is kept for a day, so that the job
can be retried once its options are mended; then the clock removes it. Rows for a managed Delta
table go through `runs.load`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from stocktake.catalog import sources, uploads
from stocktake.catalog.credentials import erase
from stocktake.catalog.formats import format_of
from stocktake.catalog.tables import locked_for
from stocktake.db.clock import now
from stocktake.db.models import Table, Upload
from stocktake.errors import (
    FormatMismatchError,
    InvalidSourceError,
    JobError,
    SchemaConflictError,
    SourceNotFoundError,
    SupersededError,
    TableChangedError,
    did_you_mean,
)
from stocktake.jobs import leases
from stocktake.jobs.arguments import IngestArguments, Mode, Target
from stocktake.readers import introspect, read_all
from stocktake.readers.source import Introspection, Source
from stocktake.runs.attempt import Attempt
from stocktake.runs.load import load_rows
from stocktake.runs.load_plan import Load
from stocktake.runs.managed_table import TRANSACTION_DAYS, ManagedTable, store_managed
from stocktake.runs.opening import open_upload
from stocktake.runs.refresh_schema import result_of, store_introspection
from stocktake.runs.validate_columns import Verdict, judge
from stocktake.schema.columns import Column
from stocktake.schema.diff import apply_overrides
from stocktake.schema.formats import TableFormat
from stocktake.schema.types import Type
from stocktake.schema.warnings import bounded
from stocktake.schema.wire_names import override_type
from stocktake.states import UploadState
from stocktake.storage.places.globs import literal
from stocktake.storage.stores.exclusive import require_exclusive_put

_DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An upload, as the job found it, ready to be read.

    Attributes:
        upload_id: None of a file that is judged where it is.
        key: of the object, which is made up.
        filename: as the client called it, for messages.
        is_first: whether no upload to its table has succeeded before.
        columns: the table's, for the types that a user has set.
    """

    upload_id: UUID | None
    arguments: IngestArguments
    source: Source
    key: str
    filename: str
    size_bytes: int
    columns: tuple[Column, ...]
    is_first: bool = False

    @property
    def declared(self) -> tuple[Column, ...]:
        """The columns whose types were sent with the upload."""
        return tuple(
            Column.of(name, type_, override=True)
            for name, word in self.arguments.types.items()
            if (type_ := override_type(word)) is not None
        )

    @property
    def overrides(self) -> dict[str, Type]:
        """The types that a user has set, before or with this upload, by column."""
        held = (*(column for column in self.columns if column.override), *self.declared)
        return {column.name: column.type for column in held}


def run(attempt: Attempt) -> None:
    """Read the claim's upload in full, make it the table's content, and end the job.

    Raises:
        JobError: the upload is not what it claims to be, or could not be read.
        SupersededError: the table is deleted.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    received = _receive(attempt)
    into_delta = received.arguments.target is Target.DELTA
    if into_delta:
        # Before anything is read: a store that ignores `If-None-Match` keeps one of two commits,
        # and the rows of the other are gone without a word.
        require_exclusive_put(attempt.process.storage)
    with named(received):
        check_size(received)
        if into_delta:
            _load(attempt, received)
        else:
            _replace(attempt, received)


def _receive(attempt: Attempt) -> Received:
    claim = attempt.claim
    with attempt.process.database.read() as session:
        table = session.get(Table, claim.table_id)
        upload = session.get(Upload, claim.upload_id)
        if table is None or table.deleted:
            raise SupersededError("The table was deleted before its upload was read.")
        received = received_of(attempt, upload, table)
        if upload is not None and received.arguments.target is Target.DELTA:
            _require_young(session, upload)
        return received


def received_of(attempt: Attempt, upload: Upload | None, table: Table | None) -> Received:
    """Return a claim's upload, as its job is to read it.

    Args:
        table: what it is for; None where there is none yet.

    Raises:
        SourceNotFoundError: its bytes are gone.
    """
    if upload is None or upload.state == UploadState.REMOVED:
        raise _gone()
    format_of(attempt.claim.arguments["format"])  # which says what is missing where there is none
    arguments = IngestArguments.of(attempt.claim.arguments)
    store, path = open_upload(attempt.process, upload.object_key, upload.filename)
    source = Source(
        store=store,
        path=path,
        format=arguments.format,
        options=options_with(table.options if table else {}, arguments.options),
    )
    return Received(
        upload_id=upload.id,
        arguments=arguments,
        source=source,
        key=attempt.process.storage.path(upload.object_key),
        filename=upload.filename,
        size_bytes=upload.size_bytes or 0,
        columns=tuple(Column.from_dict(stored) for stored in (table.columns if table else ())),
        is_first=table is not None and table.managed and table.last_refreshed_at is None,
    )


def options_with(kept: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's options with those of an upload over them; null takes one away.

    >>> options_with({"encoding": "latin-1", "csv_quote": "'"}, {"encoding": None})
    {'csv_quote': "'"}
    """
    both = {**kept, **sent}
    return {name: value for name, value in both.items() if sent.get(name, value) is not None}


def _gone() -> SourceNotFoundError:
    return SourceNotFoundError(
        "The uploaded file is gone.", hint="Upload the file to the table again."
    )


def _require_young(session: Session, upload: Upload) -> None:
    """Refuse one so old that the table's log may have forgotten that it was loaded (ADR 4)."""
    oldest = session.scalars(select(now(-(TRANSACTION_DAYS - 1) * _DAY_SECONDS))).one()
    if upload.created_at < oldest:
        raise InvalidSourceError(
            f"The upload is older than {TRANSACTION_DAYS - 1} days; whether its rows were loaded "
            "cannot be told any more.",
            hint="See whether the table has its rows, and upload the file again if it has not.",
        )


def check_size(received: Received) -> None:
    """Refuse an upload of which managed storage has more or less than was received."""
    stored = received.source.store.get(literal(received.source.path), length=0).info.size
    if stored != received.size_bytes:
        raise InvalidSourceError(
            f"The stored upload holds {stored:,} bytes; {received.size_bytes:,} were received.",
            hint="Upload the file again.",
        )


# --- a file in the place of the one before ------------------------------------------------


def _replace(attempt: Attempt, received: Received) -> None:
    found, verdict = read_in_full(attempt, received)
    with attempt.process.database.write() as session:
        table = _locked(session, attempt)
        if not table.managed:
            _replace_link(session, table, received.arguments)
        found = _keep_form(table, received, found)
        change = store_introspection(session, table, found, attempt)
        verdict.mark(table)
        _point_at_upload(session, attempt, table, received.arguments.format)
        # After the switch, which raises the generation: the state is that of the table from here
        # on.
        table.source_state = found.state | {"generation": table.generation}
        # All of it was read and judged just now: no validation needs to follow.
        table.validated_state = table.source_state
        leases.succeed(session, attempt.claim, result_of(session, table, found, change))


def read_in_full(attempt: Attempt, received: Received) -> tuple[Introspection, Verdict]:
    """Return what the whole upload holds, and whether the types that a user has set hold for it."""
    found = read_all(received.source, attempt.limits, attempt.progress)
    require_declared(received, found.columns)
    columns = apply_overrides(received.columns, found.columns)
    columns = apply_overrides(received.declared, columns)
    if not received.source.format.facts.inferred:
        return found, Verdict.of_typed(found.columns)
    return found, judge(attempt, received.source, columns)


def _locked(session: Session, attempt: Attempt) -> Table:
    table = locked_for(session, attempt.claim, any_generation=True)
    # Not `SupersededError`: an upload is data and never void. This error is tried again, and reads
    # the file under the new options (ADR 3).
    if table.generation != attempt.claim.generation:
        raise TableChangedError("The table was changed while its upload was read.")
    return table


def _replace_link(session: Session, table: Table, arguments: IngestArguments) -> None:
    """Take the place of files of the user's own, which the table may have gone back to since the
    upload was sent."""
    if not arguments.replace_source:
        raise SupersededError("The table reads its own source again.")
    sources.replace_link(session, table)


def _point_at_upload(
    session: Session, attempt: Attempt, table: Table, format_: TableFormat
) -> None:
    """Switch: from here on the table is the new upload, and the old one may go."""
    upload = session.get_one(Upload, attempt.claim.upload_id, with_for_update=True)
    if upload.state == UploadState.REMOVED:
        raise _gone()
    before, table.upload_id = table.upload_id, upload.id
    uploads.activate(session, upload.id)
    table.format = format_.value
    table.url_pattern = attempt.process.storage.url_pattern(upload.object_key)
    table.generation += 1
    if before != upload.id:
        session.flush()
        uploads.let_go(session, [before])
    # A table that lived in a customer's bucket needs its keys no more.
    erase(session, table)


# --- what was sent with the file ----------------------------------------------------------


def require_declared(received: Received, columns: Iterable[Column]) -> None:
    """Refuse types of columns that neither the file nor the table has: a name was misspelt.

    Raises:
        SchemaConflictError: naming the first.
    """
    known = {column.name for column in (*columns, *received.columns)}
    for name in received.arguments.types:
        if name not in known:
            raise SchemaConflictError(
                f"The file has no column {name!r}, of which `columns` tells a type; "
                + did_you_mean(name, known),
                hint="Correct the name in `columns`, and upload the file again.",
            )


def _keep_form(table: Table, received: Received, found: Introspection) -> Introspection:
    """Note on the locked row what was sent with the upload, for the files to come: its options, and
    its types as a user's own. Returns what was found, with these types."""
    table.options = options_with(table.options, received.arguments.options)
    declared = received.declared
    names = {column.name for column in declared}
    table.columns = [
        stored | {"override": False} if stored["name"] in names else stored
        for stored in table.columns
    ]
    return replace(found, columns=apply_overrides(declared, found.columns))


# --- rows for a managed Delta table -------------------------------------------------------


def _load(attempt: Attempt, received: Received) -> None:
    upload = read_upload(attempt, received)
    found = load_rows(load_of(attempt, received, upload))
    # What there is to say of the file is said of the load.
    found = replace(found, warnings=bounded([*upload.warnings, *found.warnings]))
    stored = ManagedTable.of(attempt).stored(int(found.source_version or 0))
    with attempt.process.database.write() as session:
        # The rows are committed to the Delta log: whatever was changed meanwhile, they count.
        table = locked_for(session, attempt.claim, any_generation=True)
        found = _keep_form(table, received, found)
        change = store_managed(session, table, attempt, found, stored)
        table.loads_since_upkeep += 1
        uploads.use_up(session, received.upload_id)
        leases.succeed(session, attempt.claim, result_of(session, table, found, change))


def read_upload(attempt: Attempt, received: Received) -> Introspection:
    """Return what an upload is of itself, as a load wants to know it.

    Raises:
        JobError: it breaks its format, or a type was sent of a column that nobody has.
    """
    # What carries its types tells them at once, and the load itself reads the rest.
    read = read_all if received.source.format.facts.inferred else introspect
    upload = read(received.source, attempt.limits, attempt.progress)
    require_declared(received, upload.columns)
    return upload


def load_of(attempt: Attempt, received: Received, upload: Introspection) -> Load:
    """Return the load of an upload into the claim's table."""
    return Load(
        attempt=attempt,
        source=received.source,
        columns=upload.columns,
        month_first=upload.month_first,
        managed=ManagedTable.of(attempt),
        replaces=received.arguments.mode is Mode.REPLACE,
        key=received.arguments.key,
        partition_by=received.arguments.partition_by,
        overrides=received.overrides,
        declared=frozenset(received.arguments.types),
    )


# --- failures -----------------------------------------------------------------------------


#: What is to be done about a table's source, and what about a file that was sent.
_HINTS: Final = {
    FormatMismatchError.default_hint: "Upload the file again, with `format` saying what it is.",
    "then refresh again": "and upload the file again",
}
_EMPTY: Final = "Nothing was ever loaded into the table."


@contextmanager
def named(received: Received) -> Iterator[None]:
    """Speak in messages of a file that was sent, and by its owner's name for it instead of the key
    that was made up for it."""
    try:
        yield
    except JobError as exc:
        # The whole key first: the name is its end.
        for known in (received.key, received.key.rpartition("/")[2]):
            exc.detail = exc.detail.replace(known, received.filename)
        exc.file = received.filename if exc.file else None
        for of_table, of_upload in _HINTS.items():
            exc.hint = exc.hint.replace(of_table, of_upload)
        if received.is_first:
            exc.hint = f"{exc.hint} {_EMPTY}".strip()
        raise
