"""What one project may have, so that it can't take the service from the others.

Asked before something is added, without a lock: requests at the same moment may each be let in.
"""

from typing import Final

from sqlalchemy import ColumnElement, false, func, literal, select, union_all

from stocktake.catalog.stored_bytes import stored_bytes
from stocktake.db.models import IdempotencyKey, Job, Schedule, Table
from stocktake.errors import QuotaExceededError
from stocktake.services.context import Context
from stocktake.states import JobKind, JobState, Queue

#: Kinds whose jobs are of no table.
CHECKS: Final = (JobKind.CHECK_FILE, JobKind.CHECK_SOURCE, JobKind.PREVIEW_FILE)


def require_room_for_table(context: Context) -> None:
    """Refuse a table that is one too many.

    Raises:
        QuotaExceededError: it is.
    """
    # As the index of live names has it: `is_(False)` would not use that.
    live = Table.project_id == context.caller.project_id, Table.deleted == false()
    most = context.process.settings.max_tables_per_project
    _require_fewer(context, Table, live, most, "tables")


def require_room_for_schedule(context: Context) -> None:
    """Refuse a schedule that is one too many.

    Raises:
        QuotaExceededError: it is.
    """
    mine = (Schedule.project_id == context.caller.project_id,)
    most = context.process.settings.max_schedules_per_project
    _require_fewer(context, Schedule, mine, most, "schedules")


def require_room_for_check(context: Context) -> None:
    """Refuse a check or a preview while as many of the project's wait or run as may: jobs of a
    table are one of a kind at a time, and these are of none.

    Raises:
        QuotaExceededError: they do.
    """
    most = context.process.settings.max_checks_per_project
    if not most:
        return
    mine = (
        Job.project_id == context.caller.project_id,
        # As an index of jobs that have not ended begins: beside a batch of a million.
        Job.queue == Queue.INTERACTIVE,
        Job.table_id.is_(None),
        Job.kind.in_(CHECKS),
    )
    under_way = union_all(
        select(Job.id).where(Job.state == JobState.QUEUED, Job.rung_at.is_(None), *mine),
        select(Job.id).where(Job.state == JobState.QUEUED, Job.rung_at.is_not(None), *mine),
        select(Job.id).where(Job.state == JobState.RUNNING, *mine),
    )
    some = under_way.limit(most).subquery()
    if (context.session.scalar(select(func.count()).select_from(some)) or 0) >= most:
        raise QuotaExceededError(
            f"{most} checks and previews of the project wait or run, which is as many as may. Ask "
            "again when one has ended, or have the operator raise "
            "STOCKTAKE_MAX_CHECKS_PER_PROJECT."
        )


def require_room_for_bytes(context: Context) -> None:
    """Refuse an upload, or another schema version, where uploads, managed Delta tables and schema
    versions are as large as they may be.

    One that is still coming in counts as large as an upload can be.

    Raises:
        QuotaExceededError: they are.
    """
    most = context.process.settings.max_stored_bytes_per_project
    if not most:
        return
    stored = stored_bytes(
        context.session,
        context.caller.project_id,
        max_upload_bytes=context.process.settings.max_upload_bytes,
    )
    if stored >= most:
        raise _exceeded(f"stores {stored} of {most} bytes", "stored_bytes")


def require_room_for_answers(context: Context) -> None:
    """Refuse what was kept under an Idempotency-Key just now, if it was too much: a table of 10,000
    columns is 3.5 MB, and each key keeps it for a day.

    Raises:
        QuotaExceededError: it was.
    """
    most = context.process.settings.max_kept_answer_bytes_per_project
    mine = IdempotencyKey.project_id == context.caller.project_id
    kept = context.session.scalar(select(func.sum(IdempotencyKey.size_bytes)).where(mine)) or 0
    if most and kept > most:
        raise QuotaExceededError(
            f"The project keeps {kept} of {most} bytes of answers under Idempotency-Keys, each for "
            "24 hours. Send large changes without a key, or have the operator raise "
            "STOCKTAKE_MAX_KEPT_ANSWER_BYTES_PER_PROJECT."
        )


def _require_fewer(
    context: Context,
    counted: type[Table] | type[Schedule],
    where: tuple[ColumnElement[bool], ...],
    most: int,
    things: str,
) -> None:
    if not most:
        return
    # No column is asked for, so that an index answers alone.
    some = select(literal(1)).select_from(counted).where(*where).limit(most).subquery()
    if (context.session.scalar(select(func.count()).select_from(some)) or 0) >= most:
        raise _exceeded(f"has {most} {things}, which is as many as it may", things)


def _exceeded(what: str, things: str) -> QuotaExceededError:
    return QuotaExceededError(
        f"The project {what}. Remove some, or have the operator raise "
        f"STOCKTAKE_MAX_{things.upper()}_PER_PROJECT."
    )
