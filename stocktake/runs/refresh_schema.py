"""`refresh_schema`: read the source and keep the table's cached columns true to it."""

from typing import Any, Final

from sqlalchemy import Integer, Uuid, bindparam, select, update
from sqlalchemy.orm import Session

from stocktake.catalog import changes
from stocktake.catalog.stored_bytes import stored_bytes
from stocktake.catalog.tables import REFRESHED, locked_for
from stocktake.catalog.validation import enqueue_validation
from stocktake.catalog.versions import add_first_versions, add_version
from stocktake.db.models import TABLES, JobAttempt, Table
from stocktake.errors import LimitExceededError, SupersededError
from stocktake.jobs import leases
from stocktake.jobs.leases import Claim
from stocktake.readers import introspect
from stocktake.readers.limits import check_schema
from stocktake.readers.source import Introspection
from stocktake.runs.attempt import Attempt
from stocktake.runs.blame import blame
from stocktake.runs.opening import TableSource, open_table
from stocktake.schema.columns import Column
from stocktake.schema.diff import Diff, apply_overrides, diff, merge_sampled
from stocktake.schema.warnings import bounded
from stocktake.settings import Settings


def run(attempt: Attempt) -> None:
    """Read the claim's table's source, store what it turned out to be, and end the job.

    Raises:
        JobError: the read failed, as its type says.
        SupersededError: the table changed meanwhile; nothing was written.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    opened = open_table(attempt)
    found = introspect(opened.source, attempt.limits, attempt.progress)
    if found.coverage.unchanged and nothing_is_due(attempt.claim, opened, found):
        _note_unchanged(attempt, opened, found)
    else:
        store(attempt, found)


def nothing_is_due(claim: Claim, opened: TableSource, found: Introspection) -> bool:
    """Return whether all that a read of an unchanged source leads to stands in the row already."""
    if opened.managed or _state(claim, found) != opened.source_state:
        return False
    validated = opened.validated_state == opened.source_state
    return validated or not opened.source.format.facts.inferred


def _state(claim: Claim, found: Introspection) -> dict[str, Any]:
    return found.state | {"generation": claim.generation}


_SEEN: Final = (
    update(TABLES)
    .where(
        TABLES.c.id == bindparam("the_table", type_=Uuid()),
        TABLES.c.deleted.is_(False),
        TABLES.c.generation == bindparam("of_generation", type_=Integer),
    )
    .values(**REFRESHED)
    .returning(TABLES.c.schema_version)
)


def _note_unchanged(attempt: Attempt, opened: TableSource, found: Introspection) -> None:
    """End the job of a source that is as it was: what most jobs come to, in the fewest statements.

    Raises:
        SupersededError: the table changed since the claim; nothing was written.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    claim = attempt.claim
    given = {"the_table": claim.table_id, "of_generation": claim.generation}
    with attempt.process.database.write() as session:
        version = session.connection().scalar(_SEEN, given)
        if version is None:
            raise SupersededError("The table changed while its source was being read.")
        result = unchanged_result(opened, version, found)
        leases.succeed(session, claim, result)


def store(attempt: Attempt, found: Introspection) -> None:
    """Write what a read found to the claim's table and end the job, in one transaction.

    Raises:
        SupersededError: the table changed since the claim; nothing was written.
        StaleAttemptError: the lease was lost; nothing was written.
        LimitExceededError: the project stores as much as it may; nothing was written.
    """
    with attempt.process.database.write() as session:
        table = locked_for(session, attempt.claim)
        if is_older(session, table, found, attempt):
            raise SupersededError("The table was loaded into after its log was read.")
        number, kept = table.schema_version, changes.kept_bytes(session, table.id)
        change = store_introspection(session, table, found, attempt)
        # Emptied where a type was cleared during the read, so that the refresh behind this one
        # reads afresh: to find nothing changed is no such read.
        if table.source_state is not None or not found.coverage.unchanged:
            table.source_state = _state(attempt.claim, found)
        if table.schema_version > number or changes.kept_bytes(session, table.id) > kept:
            _require_room(session, table, attempt.process.settings)
        if table.validated_state != table.source_state:
            enqueue_validation(session, attempt.process.settings, table)
        leases.succeed(session, attempt.claim, result_of(session, table, found, change))


def _require_room(session: Session, table: Table, settings: Settings) -> None:
    most = settings.max_stored_bytes_per_project
    if not most:
        return
    session.flush()
    stored = stored_bytes(session, table.project_id, max_upload_bytes=settings.max_upload_bytes)
    if stored > most:
        raise LimitExceededError(
            f"The project would store {stored} of {most} bytes with this schema.",
            hint="Remove some uploads, or have the operator raise "
            "STOCKTAKE_MAX_STORED_BYTES_PER_PROJECT.",
        )


def is_older(session: Session, table: Table, found: Introspection, attempt: Attempt) -> bool:
    """Return whether another job has written a later version of a managed table since the attempt
    began: of its loads, upkeep and refreshes, those of different kinds run at the same time."""
    known, read = table.source_version, found.source_version
    if not table.managed or not isinstance(known, int) or not isinstance(read, int):
        return False
    if read >= known or table.last_refreshed_at is None:
        return False
    # Else the log itself went back, as from a backup: what it says now counts.
    began = select(JobAttempt.started_at).where(
        JobAttempt.job_id == attempt.claim.job_id, JobAttempt.number == attempt.claim.attempt
    )
    return table.last_refreshed_at >= session.scalars(began).one()


def store_introspection(
    session: Session, table: Table, found: Introspection, attempt: Attempt
) -> Diff:
    """Write what was found to the locked table; a schema version only where something changed.

    The overrides are read again here, from the locked row: a user may have set one while the
    source was being read.

    Returns:
        the difference from the columns stored before.

    Raises:
        LimitExceededError: with what earlier samples found, the columns are too many or too large.
    """
    if found.coverage.unchanged:
        _note_refreshed(table)
        return Diff()
    stored = tuple(Column.from_dict(column) for column in table.columns)
    known = changes.source_columns(session, table)
    told = blame(table, known, columns_of_source(stored, known, found), found)
    if told.columns != found.columns:
        # a sample only ever adds to what is known, all of which a policy may hold back
        check_schema(told.columns, attempt.limits)
    fresh = _live_columns(session, table, told.columns, found, attempt)
    change = told.told(diff(stored, fresh))
    if fresh != told.columns:
        # what was held back, or rejected, stands beside what went live
        check_schema(fresh, attempt.limits)
    # All that is set at once here, before anything is asked, is one UPDATE.
    _note_refreshed(table)
    table.columns = [column.as_dict() for column in fresh]
    table.source_version = found.source_version
    table.row_count = found.row_count
    table.origins = told.stored
    table.warnings = [warning.as_dict() for warning in bounded((*told.warnings, *found.warnings))]
    table.size_bytes = found.size_bytes
    table.file_count = found.file_count
    if table.schema_version == 0 and found.history:
        add_first_versions(session, table, found.history, job_id=attempt.claim.job_id)
    # The first read makes version 1 whatever it found, a source without columns too.
    elif change.change != "none" or table.schema_version == 0:
        add_version(session, table, change, job_id=attempt.claim.job_id)
    return change


def _note_refreshed(table: Table) -> None:
    for name, value in REFRESHED.items():
        setattr(table, name, value)


def store_types(
    session: Session, table: Table, found: tuple[Column, ...], attempt: Attempt
) -> Diff:
    """Set the types that a user gave some of these columns on the locked row, and no more of them.

    Returns:
        the difference from the columns stored before.
    """
    stored = tuple(Column.from_dict(column) for column in table.columns)
    fresh = apply_overrides(tuple(each for each in found if each.override), stored)
    change = diff(stored, fresh)
    table.columns = [column.as_dict() for column in fresh]
    if change.change != "none":
        add_version(session, table, change, job_id=attempt.claim.job_id)
    return change


def _live_columns(
    session: Session,
    table: Table,
    fresh: tuple[Column, ...],
    found: Introspection,
    attempt: Attempt,
) -> tuple[Column, ...]:
    """Return what goes live of what was found; the rest waits, where the table's policy says so."""
    return changes.settle(
        session,
        table,
        fresh,
        sampled=found.coverage.truncated,
        source_version=found.source_version,
        job_id=attempt.claim.job_id,
    )


def columns_of_source(
    stored: tuple[Column, ...], known: tuple[Column, ...], found: Introspection
) -> tuple[Column, ...]:
    """Return what a read says the columns are, with the types that users have set.

    Args:
        stored: the table's columns now.
        known: what earlier reads saw: a sample adds to it, and removes no column, as the file that
            has it may not have been looked at.
    """
    read = merge_sampled(known, found.columns) if found.coverage.truncated else found.columns
    return apply_overrides(stored, read)


def result_of(session: Session, table: Table, found: Introspection, change: Diff) -> dict[str, Any]:
    """Return the job's ``result``, as the API shows it."""
    result = _result(len(table.columns), table.schema_version, found, _told(change))
    # Those of columns that swing are told by more than one read.
    if not found.coverage.unchanged:
        result["warnings"] = table.warnings
    return result | {"pending_change": changes.shown(session, table)}


def unchanged_result(
    opened: TableSource, schema_version: int, found: Introspection
) -> dict[str, Any]:
    """Return it for a source that is as it was."""
    return _result(len(opened.stored), schema_version, found, _NO_CHANGE)


def _told(change: Diff) -> dict[str, Any]:
    return {"change": change.change, "diff": change.as_dict()}


#: Built once, for most reads find it.
_NO_CHANGE: Final = _told(Diff())


def _result(
    columns: int, schema_version: int, found: Introspection, change: dict[str, Any]
) -> dict[str, Any]:
    return {
        "columns": columns,
        "schema_version": schema_version,
        **change,
        "source_version": found.source_version,
        "row_count": found.row_count,
        "size_bytes": found.size_bytes,
        "file_count": found.file_count,
        "coverage": found.coverage.as_dict()
        | ({} if found.origins is None else found.origins.coverage()),
        "warnings": [warning.as_dict() for warning in found.warnings],
        "pending_change": None,
    }
