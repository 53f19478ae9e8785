"""What a table reads: files of the user's own, or an upload that took the place of them; and the
way back."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from stocktake.catalog import uploads
from stocktake.db.clock import now
from stocktake.db.models import Job, Table
from stocktake.jobs import cancelling
from stocktake.states import JobKind


def replace_link(session: Session, table: Table) -> None:
    """Note that an upload takes the place of what a table reads, and keep what that was.

    Args:
        table: linked, and locked by this transaction, as it is before the upload.
    """
    table.former_source = {
        "url_pattern": table.url_pattern,
        "format": table.format,
        "options": table.options,
        "schema_version": table.schema_version,
        "replaced_at": session.scalars(select(now())).one().isoformat(),
    }
    # No version need have them: a type that is set as the source has it makes none.
    table.former_overrides = [column for column in table.columns if column["override"]]
    table.managed = True
    # What is remembered is of another source.
    table.origins = None


def go_back(session: Session, table: Table) -> None:
    """Have a table read what it read before an upload took the place of that. Its uploads are
    wanted no more; columns and credential are the caller's to set.

    Args:
        table: one with a `former_source`, locked by this transaction.
    """
    former = table.former_source or {}
    let_go_of_uploads(session, table, "The table reads its own source again.")
    table.managed, table.former_source, table.former_overrides = False, None, None
    table.url_pattern, table.format = former["url_pattern"], former["format"]
    table.options = former["options"]


def let_go_of_uploads(session: Session, table: Table, detail: str) -> None:
    """End a locked table's waiting uploads, and leave the bytes that no other table wants to the
    clock.

    One that is being read is told to stop: it would point the table at itself again.

    Args:
        detail: the sentence for the jobs' `error`.
    """
    ended = end_jobs(session, table, [JobKind.INGEST_FILE], detail)
    held = [table.upload_id, *(job.upload_id for job in ended)]
    table.upload_id = None
    session.flush()
    uploads.let_go(session, held, leaving=table.id)


def end_jobs(
    session: Session, table: Table, kinds: Sequence[JobKind], detail: str
) -> Sequence[Job]:
    """End a locked table's queued jobs of these kinds, and return them; ask the running ones to
    stop.

    Args:
        detail: the sentence for the jobs' `error`.
    """
    ended = cancelling.supersede(session, table.id, kinds=kinds, detail=detail)
    cancelling.stop_running(session, table.id, kinds=kinds)
    return ended
