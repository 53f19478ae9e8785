"""What a project has under way, queue by queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select

from stocktake.db.clock import now
from stocktake.db.models import Job
from stocktake.services.context import Context
from stocktake.states import UNDONE, JobState, Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class InQueue:
    """The jobs of a queue that have not ended.

    Attributes:
        due: queued ones whose time has come.
        later: queued ones that wait for theirs, to be tried again.
        oldest: since when the first of those that are due could run; None where none is.
    """

    queue: Queue
    due: int
    later: int
    running: int
    oldest: datetime | None


def under_way(context: Context) -> Sequence[InQueue]:
    """Return each queue with what the project has in it."""
    queued, is_due = Job.state == JobState.QUEUED, Job.next_run_at <= now()
    waits = queued & is_due
    rows = context.session.execute(
        select(
            Job.queue,
            func.count(case((waits, 1))).label("due"),
            func.count(case((queued & ~is_due, 1))).label("later"),
            func.count(case((~queued, 1))).label("running"),
            func.min(case((waits, Job.next_run_at))).label("oldest"),
        )
        .where(Job.project_id == context.caller.project_id, Job.state.in_(UNDONE))
        .group_by(Job.queue)
    )
    found = {row.queue: row for row in rows}
    return [_in_queue(queue, found.get(queue)) for queue in Queue]


def _in_queue(queue: Queue, row: object) -> InQueue:
    counts = {name: getattr(row, name, 0) for name in ("due", "later", "running")}
    return InQueue(queue=queue, oldest=getattr(row, "oldest", None), **counts)
