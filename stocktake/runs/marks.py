"""The application transactions of a load's commit, by which its rows are found to be there.

A job and an upload are found by their ids (ADR 4). A request that was sent again after the database
went back in time has other ids than the first: it is found by what the client sent (ADR 21).
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from deltalake import DeltaTable
from sqlalchemy import select
from sqlalchemy.orm import Session

from stocktake.db.models import Job
from stocktake.jobs.arguments import Mode
from stocktake.jobs.leases import Claim
from stocktake.runs.attempt import Attempt
from stocktake.runs.managed_table import ManagedTable
from stocktake.runs.own_commits import commit, transaction
from stocktake.runs.table_log import TRANSACTION_VERSION, job_transaction, upload_transaction
from stocktake.schema.warnings import ReadWarning, WarningCode
from stocktake.states import JobKind, JobState

REPEATED: Final = ReadWarning(
    code=WarningCode.LOADED_BEFORE,
    sentence="The table had these rows already, from the same request within a day, of which the "
    "database knows no job that loaded them; they were not added again. Where they are wanted "
    "twice, upload the file once more.",
)
#: A request that is sent again later is another one, as its Idempotency-Key is.
_REPEATED_WITHIN_SECONDS: Final = 86_400.0
#: The version of a mark whose rows somebody took away: no load's. Its first half of an id is older
#: than any.
_UNDONE: Final = 0
_UNSUCCESSFUL: Final = (JobState.FAILED, JobState.CANCELLED)


def marks_of(claim: Claim) -> dict[str, int]:
    """Return a load's application transactions with their versions."""
    marks = dict.fromkeys(_own(claim), TRANSACTION_VERSION)
    if (name := _request(claim)) and claim.upload_id is not None:
        marks[name] = first_half(claim.upload_id)
    return marks


def is_loaded(table: DeltaTable, claim: Claim) -> bool:
    """Return whether the job, or another one of its upload whose rows nobody took away since, has
    loaded the rows."""
    job, upload = _own(claim)
    # The job's own mark stays: an attempt of it that comes late brings nothing back.
    return table.transaction_version(job) is not None or bool(table.transaction_version(upload))


def marks_behind(
    attempt: Attempt, table: DeltaTable, older: DeltaTable | None = None
) -> dict[str, int]:
    """Return the marks that are others behind a commit that takes rows away: those of loads that
    the database knows for unsuccessful. Who tries one again, or sends it again, wants its rows.

    A restore's commit, or a replacement's, is to carry them.

    Args:
        older: the version that is gone back to; None where all rows are replaced.
    """
    known = select(Job.upload_id, Job.arguments).where(
        Job.table_id == attempt.claim.table_id,
        Job.kind == JobKind.INGEST_FILE,
        Job.state.in_(_UNSUCCESSFUL),
        Job.upload_id.is_not(None),
    )
    with attempt.process.database.read() as session:
        found = session.execute(known).all()
    names = {upload_transaction(upload_id) for upload_id, _ in found}
    names |= {name for _, arguments in found if (name := _request_of(arguments))}
    marks = {}
    for name in sorted(names):
        before = (older.transaction_version(name) or _UNDONE) if older else _UNDONE
        if (table.transaction_version(name) or _UNDONE) != before:
            marks[name] = before
    return marks


def is_repeated(attempt: Attempt, table: DeltaTable) -> bool:
    """Return whether the rows were loaded by the same request, of which the database knows nothing
    or at least no success, and are there: then this is the client's repetition of it."""
    name, upload_id = _request(attempt.claim), attempt.claim.upload_id
    earlier = table.transaction_version(name) if name else None
    if not earlier or upload_id is None or is_loaded(table, attempt.claim):
        return False
    if seconds_between(earlier, first_half(upload_id)) >= _REPEATED_WITHIN_SECONDS:
        return False
    known = select(Job).where(Job.upload_id.between(*ids_of(earlier)))
    with attempt.process.database.read() as session:
        jobs = session.scalars(known).all()
        if any(job.state not in _UNSUCCESSFUL for job in jobs):
            return False
        return not any(_is_undone(session, job) for job in jobs)


def _is_undone(session: Session, load: Job) -> bool:
    """Return whether somebody took away since what an unsuccessful job may have loaded."""
    later = select(Job.kind, Job.arguments).where(
        Job.table_id == load.table_id,
        Job.kind.in_((JobKind.INGEST_FILE, JobKind.RESTORE_TABLE)),
        Job.state == JobState.SUCCEEDED,
        Job.finished_at >= load.started_at,
    )
    return any(
        kind == JobKind.RESTORE_TABLE or arguments.get("mode") == Mode.REPLACE
        for kind, arguments in session.execute(later)
    )


def take_over(managed: ManagedTable, table: DeltaTable) -> None:
    """Commit that the rows are this load's from now on, so that only one repetition has them.

    Raises:
        CommitConflictError: another writer was faster.
    """
    marks = marks_of(managed.attempt.claim)
    actions = [transaction(name, version) for name, version in marks.items()]
    commit(managed, table.version(), "LOADED BEFORE", {}, actions)


def first_half(upload_id: UUID) -> int:
    """Return what a request's transaction says of its upload: half of its id, which begins with the
    milliseconds at which it was made. An id's first bit is 0, and the version's a sign.

    >>> first_half(UUID("01a22919-5876-7509-87a7-f24ed487c8c2"))
    117701729100133641
    """
    return upload_id.int >> 64


def ids_of(half: int) -> tuple[UUID, UUID]:
    """Return the first and the last of the ids that begin so.

    >>> [str(each) for each in ids_of(117701729100133641)]
    ['01a22919-5876-7509-0000-000000000000', '01a22919-5876-7509-ffff-ffffffffffff']
    """
    return UUID(int=half << 64), UUID(int=(half + 1 << 64) - 1)


def seconds_between(half: int, other: int) -> float:
    """Return the time between the making of two ids.

    >>> seconds_between(117701729100133641, 117701729100133641 + (1500 << 16))
    1.5
    """
    return abs((half >> 16) - (other >> 16)) / 1000


def _own(claim: Claim) -> tuple[str, str]:
    return job_transaction(claim.job_id), upload_transaction(claim.upload_id)


def _request(claim: Claim) -> str:
    return _request_of(claim.arguments)


def _request_of(arguments: Mapping[str, Any]) -> str:
    request = arguments.get("request", "")
    return f"stocktake-request:{request}" if request else ""
