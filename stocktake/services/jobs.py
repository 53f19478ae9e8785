"""What a request does with jobs: list, look, cancel, try again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, extract, func, select, union_all

from stocktake.catalog import tables
from stocktake.db.clock import now
from stocktake.db.models import Job, JobAttempt, Table, Upload
from stocktake.db.pages import FEW, Key, Place, found_first, one_by_one, part_of, part_of_few
from stocktake.errors import ConflictError
from stocktake.jobs import cancelling
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.services import audit, quotas
from stocktake.services.context import Context
from stocktake.states import OF_BATCH, UNDONE, JobKind, JobState, Queue, UploadState

_ENDED: Final = tuple(state for state in JobState if state.done)
#: Kinds whose job a table shows as its latest.
_SHOWN: Final = (JobKind.REFRESH_SCHEMA, JobKind.INGEST_FILE, JobKind.RESTORE_TABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs to list; None is any.

    Attributes:
        error_code: of those that ended so, unless a state is asked for, too.
        created_after, created_before: aware; the moments themselves are in.
    """

    state: JobState | None = None
    kind: JobKind | None = None
    table_id: UUID | None = None
    batch_id: UUID | None = None
    error_code: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def list_jobs(
    context: Context,
    wanted: JobFilter,
    *,
    limit: int,
    offset: int,
    after: Place | None = None,
    oldest_first: bool = False,
) -> tuple[int, Iterator[Job]]:
    """Return how many jobs match, and one page of them, newest first unless told otherwise."""
    matching = _matching(context, wanted)
    parts = _parts(context, matching, wanted)
    page: dict[str, Any] = {
        "limit": limit,
        "offset": offset,
        "after": after,
        "ascending": oldest_first,
    }
    narrow = wanted.table_id or wanted.batch_id or wanted.error_code
    # Ids first, which an index has: a row is long.
    if narrow and (few := part_of_few(context.session, matching, **page)):
        count, ids = few[0], [row[0] for row in few[1]]
    else:
        counts = [part.with_only_columns(func.count()) for part in parts]
        count = sum(context.session.scalar(each) or 0 for each in counts)
        found: Select[Any] = matching
        keys: list[Key] = [Job.id]
        # Those that are left out stand before those that are meant.
        skips = wanted.created_after if oldest_first else wanted.created_before
        if count <= FEW or skips:
            found, keys = found_first(select(union_all(*parts).subquery()))
        ids = list(context.session.scalars(part_of(found, *keys, **page)))
    rows = select(Job).where(Job.id.in_(ids))
    ordered = rows.order_by(Job.id if oldest_first else Job.id.desc())
    return count, one_by_one(context.session, ordered)


def _parts(context: Context, matching: Select[UUID], wanted: JobFilter) -> list[Select[UUID]]:
    """Return the same jobs, those that have ended apart: they have an index of what lists ask for.
    The others are few beside a history of 100,000, and by their state an index has them."""
    by_index = wanted.table_id or wanted.batch_id or wanted.state in _ENDED or wanted.error_code
    filtered = wanted.state or wanted.kind or wanted.created_after or wanted.created_before
    if by_index or not filtered:
        return [matching]
    mine = Job.project_id == context.caller.project_id
    if context.session.get_bind().dialect.name == "sqlite":
        # Without statistics it takes the index of the project's jobs, and looks at each of them.
        mine = Job.project_id + 0 == context.caller.project_id
    unended = _of(mine, wanted).where(Job.state.in_(UNDONE))
    ended = matching.where(Job.state.in_(_ENDED), Job.finished_at.is_not(None))
    return [unended] if wanted.state is not None else [ended, unended]


def _matching(context: Context, wanted: JobFilter) -> Select[UUID]:
    # Of one table by its index, and by none of the project's, whose jobs SQLite walks one by one.
    owner = Job.project_id if wanted.table_id is None else Job.project_id + 0
    return _of(owner == context.caller.project_id, wanted)


def _of(mine: ColumnElement[bool], wanted: JobFilter) -> Select[UUID]:
    query = select(Job.id).where(mine)
    equal = (
        (Job.state, wanted.state),
        (Job.kind, wanted.kind),
        (Job.table_id, wanted.table_id),
        (Job.batch_id, wanted.batch_id),
    )
    query = query.where(*(column == value for column, value in equal if value is not None))
    if wanted.state in _ENDED or (wanted.state is None and wanted.error_code is not None):
        query = query.where(Job.finished_at.is_not(None))  # for the index
    if wanted.error_code is not None:
        query = query.where(Job.error["code"].as_string() == wanted.error_code.replace("\x00", ""))
        if wanted.state is None:
            query = query.where(Job.state.in_((JobState.FAILED, JobState.CANCELLED)))
    if wanted.created_after is not None:
        query = query.where(Job.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        query = query.where(Job.created_at <= wanted.created_before)
    return query


def ended_by_hour(context: Context, hours: int) -> list[tuple[datetime, dict[JobState, int]]]:
    """Return how many jobs ended in each of the last hours, by state; the oldest hour first."""
    moment = context.session.scalars(select(now())).one()
    newest = moment.replace(minute=0, second=0, microsecond=0)
    first = newest - timedelta(hours=hours - 1)
    seconds = extract("epoch", Job.finished_at)
    hour = (seconds - seconds % 3600).label("hour")
    rows = context.session.execute(
        select(hour, Job.state, func.count())
        .where(Job.project_id == context.caller.project_id, Job.finished_at >= first)
        .group_by(hour, Job.state)
    )
    found: dict[int, dict[JobState, int]] = {}
    for begin, state, count in rows:
        found.setdefault(int(begin), {})[JobState(state)] = count
    each = [first + timedelta(hours=number) for number in range(hours)]
    return [(begin, found.get(int(begin.timestamp()), {})) for begin in each]


def get_job(context: Context, job_id: UUID) -> Job:
    """Return one job.

    Raises:
        NotFoundError: none of this project has that id.
    """
    return context.find(Job, job_id)


def with_attempts(context: Context, job_id: UUID) -> tuple[Job, Sequence[JobAttempt]]:
    """Return one job and each try at it, the oldest first.

    Raises:
        NotFoundError: none of this project has that id.
    """
    job = get_job(context, job_id)
    return job, context.session.scalars(
        select(JobAttempt).where(JobAttempt.job_id == job_id).order_by(JobAttempt.number)
    ).all()


def cancel_job(context: Context, job_id: UUID) -> Job:
    """End a queued job at once; ask the worker of a running one to stop.

    Raises:
        NotFoundError: none of this project has that id.
        ConflictError: it has ended already.
    """
    get_job(context, job_id)
    if not cancelling.cancel_job(context.session, job_id):
        state = get_job(context, job_id).state
        if state not in _ENDED:
            # It was claimed, or put back, between the two looks of `cancelling`.
            return cancel_job(context, job_id)
        raise ConflictError(f"The job has ended already ({state}); there is nothing to cancel.")
    audit.record(context, "job.cancel", job_id)
    return get_job(context, job_id)


def retry_job(context: Context, job_id: UUID) -> Enqueued:
    """Queue a new job that does what an ended one was to do.

    Raises:
        NotFoundError: none of this project has that id.
        ConflictError: it has not ended, or what it needs is gone.
    """
    old = get_job(context, job_id)
    if old.state not in _ENDED:
        raise ConflictError(f"The job has not ended ({old.state}); cancel it first.")
    if old.kind not in tuple(JobKind):
        raise ConflictError(
            f"This release knows no jobs of the kind {old.kind!r}; the newer one that made this "
            "job can try it again."
        )
    if old.kind == JobKind.CHECK_SOURCE and old.arguments.get("has_key"):
        raise ConflictError("The check's keys are gone: they are not kept. Ask for it again.")
    if old.kind == JobKind.PREVIEW_FILE:
        raise ConflictError("Rows are read for whoever asks: ask for the preview again.")
    table = _live_table(context, old)
    # Retention removes neither it nor its batch from here on.
    old = context.find(Job, job_id, lock=True)
    _check_upload(context, old, table)
    if old.table_id is None and old.kind in quotas.CHECKS:
        quotas.require_room_for_check(context)
    new = enqueue(context.session, _again(context, old))
    if table is not None and JobKind(old.kind) in _SHOWN:
        table.latest_job_id = new.job.id
    audit.record(context, "job.retry", new.job.id, retry_of=str(old.id))
    return new


def _again(context: Context, old: Job) -> JobRequest:
    kind = JobKind(old.kind)
    return JobRequest(
        project_id=old.project_id,
        kind=kind,
        queue=Queue.BULK if kind in OF_BATCH else Queue.INTERACTIVE,
        max_attempts=context.process.settings.job_max_attempts,
        table_id=old.table_id,
        # A batch counts the jobs that it made; one tried again by hand is not among them.
        batch_id=old.batch_id if kind in OF_BATCH else None,
        upload_id=old.upload_id,
        retry_of=old.id,
        created_by_id=context.caller.user_id,
        arguments=dict(old.arguments),
    )


def _live_table(context: Context, old: Job) -> Table | None:
    if old.table_id is None:
        return None
    # Locked before any job row, as everywhere.
    table = tables.locked(context.session, old.project_id, Table.id == old.table_id)
    if table is None:
        raise ConflictError("The job's table was deleted; there is nothing to try again.")
    return table


def _awaits(table: Table | None, upload: Upload) -> bool:
    """Return whether the bytes are there, and are not the table's content already.

    They may be another table's by now: one upload may become several."""
    elsewhere = table is not None and table.upload_id != upload.id
    return upload.state == UploadState.STORED or (upload.state == UploadState.ACTIVE and elsewhere)


def _check_upload(context: Context, old: Job, table: Table | None) -> None:
    if old.upload_id is None:
        return
    # Locked, so that it is not given up for its age meanwhile.
    upload = context.session.get(Upload, old.upload_id, with_for_update=True)
    # A load that succeeded is data already: once more would double an append.
    if old.state == JobState.SUCCEEDED or upload is None or not _awaits(table, upload):
        raise ConflictError("The job's file was loaded or removed already; upload it again.")
