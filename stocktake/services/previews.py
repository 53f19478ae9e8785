"""Looking at a few rows of one of a table's files. They are shown to whoever may see rows, for some
minutes, and kept by nobody."""

from typing import Any, Final
from uuid import UUID

from stocktake.catalog import previews
from stocktake.db.models import JobRow
from stocktake.errors import PermissionDeniedError, ValidationError
from stocktake.jobs.arguments import PreviewArguments
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.security.scopes import TABLE_READ_ROWS, allows
from stocktake.services import audit, identity, quotas, table_views, words
from stocktake.services.context import Context
from stocktake.states import JobKind, Queue

#: A key of S3 has up to 1,024 bytes.
MAX_FILE_NAME: Final = 1_024
OFF: Final = (
    "The project shows no rows of its tables. Whoever may change the project allows it by "
    '`{"row_previews": true}` in a PATCH of it, or by `stocktake previews --set on`.'
)


def request(context: Context, table_id: UUID, file: str | None) -> Enqueued:
    """Queue a job that reads the first rows of one of a table's files.

    Args:
        file: its name below the folders that the table's pattern begins with; None for the newest.

    Raises:
        NotFoundError: no such live table in this project.
        PermissionDeniedError: the project allows no previews.
        ValidationError: the name is no text that a file could have.
    """
    # Another project's table is not there, whatever this one allows.
    table = table_views.locked(context, table_id)
    if not identity.get_project(context).row_previews:
        raise PermissionDeniedError(OFF, code="previews_off")
    if file is not None:
        file = words.check_text(file, "file", max_length=MAX_FILE_NAME)
        if not file:
            raise ValidationError(words.BLANK, code="blank", attr="file")
    quotas.require_room_for_check(context)
    enqueued = enqueue(
        context.session,
        JobRequest(
            project_id=context.caller.project_id,
            # Of no table: two of them are of two files, and neither waits for a load.
            kind=JobKind.PREVIEW_FILE,
            queue=Queue.INTERACTIVE,
            max_attempts=context.process.settings.job_max_attempts,
            created_by_id=context.caller.user_id,
            arguments=PreviewArguments(table_id=table.id, file=file).as_dict(),
        ),
    )
    audit.record(context, "table.preview", table.id, file=file)
    return enqueued


def rows_of(context: Context, job: JobRow) -> list[list[Any]] | None:
    """Return the rows that a job has read; None where it is of another kind, their time is over,
    its table is deleted, or the caller may not see rows."""
    if job.kind != JobKind.PREVIEW_FILE or job.result is None:
        return None
    if not allows(context.caller.scopes, TABLE_READ_ROWS):
        return None
    if not table_views.names_of(context, {PreviewArguments.of(job.arguments).table_id}):
        return None
    return previews.rows_of(
        context.session, context.process.keyring, job.id, project_id=job.project_id
    )
