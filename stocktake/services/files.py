"""Uploads: the row before the bytes, and the table that the bytes are for.

An upload changes nothing about a table that exists: its job reads the file in full, and only
then points the table at it, so that a bad file never breaks a good table.
"""

from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select

from stocktake.catalog import uploads
from stocktake.catalog.tables import locked
from stocktake.db.models import Job, Table, Upload, new_id
from stocktake.errors import ValidationError
from stocktake.jobs import cancelling
from stocktake.jobs.arguments import Mode, Target, is_for_file
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.schema.formats import FILE_FORMATS, MANAGED, TAKING_ROWS
from stocktake.services import audit, idempotency, quotas, refreshes, tables, words
from stocktake.services.context import Context
from stocktake.services.upload_forms import (
    FileForm,
    check_file_options,
    check_types,
    clean_filename,
    known_format,
    refusal,
)
from stocktake.states import JobKind, JobState, Queue, UploadState

#: How often it is touched while its bytes come.
TOUCH_SECONDS: Final = uploads.ABANDONED_SECONDS / 6
NO_UPLOAD: Final = "Uploaded file not found. Please upload the file again."
IS_DELTA: Final = (
    "This table is a managed Delta table. Send target=delta with mode=append to add the rows, "
    "mode=merge and a key to update by it, or mode=replace to remove all rows that it has and put "
    "these in their place."
)
IS_FILES: Final = (
    "This table is not a managed Delta table, so rows can't be loaded into it. "
    "Upload under another name, or without target=delta: this file takes the place of the table's."
)
#: The code of the refusal below.
LINKED_SOURCE: Final = "linked_source"
IS_LINKED: Final = (
    "The table {name!r} reads {url} ({format}), and the file would take the place of that. Say "
    "that it may (replace_source), or upload under another name."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """The table that an upload is for, and the job that reads it."""

    table: Table
    enqueued: Enqueued


def begin(context: Context, filename: str) -> Upload:
    """Note an upload before its first byte is stored, so that whatever is stored has an owner.

    Raises:
        QuotaExceededError: the project's storage is full.
    """
    quotas.require_room_for_bytes(context)
    upload_id = new_id()
    project_id = context.caller.project_id
    return uploads.begin(
        context.session,
        upload_id,
        project_id=project_id,
        filename=filename or "unnamed",
        object_key=context.process.storage.upload_key(project_id, str(upload_id)),
        created_by_id=context.caller.user_id,
    )


def discard(context: Context, upload_id: UUID) -> bool:
    """Give an upload up, unless all of it was stored and somebody owns it by now.

    Returns:
        True where it is given up, so that its bytes are to be removed.
    """
    return uploads.discard(context.session, context.caller.project_id, upload_id)


def touch(context: Context, upload_id: UUID) -> None:
    """Note that bytes of an upload are still coming.

    Raises:
        ValidationError: the upload was given up meanwhile.
    """
    if not uploads.touch(context.session, context.caller.project_id, upload_id):
        raise refusal(NO_UPLOAD, "upload_id")


def store(
    context: Context, upload_id: UUID, *, size_bytes: int, file_format: str | None = None
) -> Upload:
    """Note that all bytes of an upload are stored.

    Raises:
        ValidationError: the upload was given up meanwhile.
    """
    upload = uploads.store(
        context.session,
        context.caller.project_id,
        upload_id,
        size_bytes=size_bytes,
        file_format=file_format,
    )
    if upload is None:
        raise refusal(NO_UPLOAD, "upload_id")
    audit.record(context, "upload.store", upload_id, size_bytes=size_bytes)
    return upload


def ingest(
    context: Context, upload: Upload, form: FileForm, *, key: str | None = None, sent: bytes = b""
) -> Ingest:
    """Queue the reading of a stored upload into the table of that name, made where it is new.

    Args:
        key: the request's Idempotency-Key, if it had one.
        sent: the fingerprint of the request's form; empty where nobody could send it again.

    Raises:
        ValidationError: the table of that name takes no such upload.
    """
    # Without a key only an append needs a name: the others, done again, leave the same rows.
    named = sent and form.target is Target.DELTA and (key is not None or form.mode is Mode.APPEND)
    request = idempotency.digest(context.caller.project_id, key, sent) if named else ""
    return _queue(context, _table_for(context, upload, form), upload, form, request)


def request_check(context: Context, upload: Upload, form: FileForm) -> Enqueued:
    """Queue a dry run: a job that says what a stored upload would do to the table of that name.

    Raises:
        ValidationError: the table of that name takes no such upload.
    """
    quotas.require_room_for_check(context)
    table = _locked_by_name(context, form.name)
    if table is not None:
        _require_taking(table, form)
    return enqueue(
        context.session,
        JobRequest(
            project_id=context.caller.project_id,
            # Of no table: it waits for no job of it, and each of several is of another file.
            kind=JobKind.CHECK_FILE,
            queue=Queue.INTERACTIVE,
            max_attempts=context.process.settings.job_max_attempts,
            upload_id=upload.id,
            created_by_id=context.caller.user_id,
            arguments=replace(form.arguments, table=form.name).as_dict(),
        ),
    )


def _queue(
    context: Context, table: Table, upload: Upload, form: FileForm, request: str = ""
) -> Ingest:
    # Before the new one is queued, which it would find, too.
    if form.target is Target.FILE:
        _supersede_waiting(context, table)
    arguments = replace(form.arguments, request=request)
    if table.latest_job_id is None:
        # The table has just been made with these options: should its first file not be read by
        # them, they can be mended there and the job tried again.
        arguments = replace(arguments, options={})
    enqueued = enqueue(
        context.session,
        JobRequest(
            project_id=table.project_id,
            kind=JobKind.INGEST_FILE,
            queue=Queue.INTERACTIVE,
            max_attempts=context.process.settings.job_max_attempts,
            table_id=table.id,
            upload_id=upload.id,
            created_by_id=context.caller.user_id,
            arguments=arguments.as_dict(),
        ),
    )
    table.latest_job_id = enqueued.job.id
    told: dict[str, Any] = {"upload_id": str(upload.id), "target": form.target}
    if not table.managed:
        told["replaces"] = {"url_pattern": table.url_pattern, "format": table.format}
    audit.record(context, "table.upload", table.id, **told)
    return Ingest(table=table, enqueued=enqueued)


def create_from_upload(
    context: Context,
    *,
    upload_id: UUID | str,
    filename: str,
    file_format: str,
    table_name: str,
    options: Any = None,
    types: Any = None,
) -> Ingest:
    """Make a new table of a file that `upload_file/` stored. One upload may become several tables.

    Args:
        options, types: as the form of `file/` has them; None for none.

    Raises:
        ValidationError: a name that is taken or no identifier; an unknown format; an unknown
            upload (another project's looks the same), or one whose last table was deleted; options
            or types that are none.
    """
    named = known_format(file_format)
    name = words.require_identifier(table_name, "table_name")
    if tables.name_is_taken(context, name):
        raise refusal(words.NAME_TAKEN, "table_name")
    upload = _stored_upload(context, upload_id, clean_filename(filename))
    format_ = FILE_FORMATS[named]
    form = FileForm(
        name=name,
        format=format_,
        options={} if options is None else check_file_options(options, format_),
        types={} if types is None else check_types(types, Target.FILE),
    )
    try:
        table = _new_table(context, upload, form)
    except ValidationError as exc:
        raise refusal(exc.detail, "table_name") from exc
    return _queue(context, table, upload, form)


def _table_for(context: Context, upload: Upload, form: FileForm) -> Table:
    table = _locked_by_name(context, form.name)
    if table is None:
        try:
            return _new_table(context, upload, form)
        except ValidationError:
            # Another request made it since.
            table = _locked_by_name(context, form.name)
            if table is None:
                raise
    _require_taking(table, form)
    return table


def _require_taking(table: Table, form: FileForm) -> None:
    refreshes.require_linked(table)
    is_managed_delta = table.managed and table.format in TAKING_ROWS
    if is_managed_delta and form.target is Target.FILE:
        raise refusal(IS_DELTA, "target")
    if form.target is Target.DELTA and not is_managed_delta:
        raise refusal(IS_FILES, "target")
    if not (table.managed or form.replace_source):
        told = IS_LINKED.format(name=table.name, url=table.url_pattern, format=table.format)
        raise ValidationError(told, code=LINKED_SOURCE, attr="replace_source", legacy_message=True)


def _locked_by_name(context: Context, name: str) -> Table | None:
    return locked(context.session, context.caller.project_id, Table.name == name)


def _new_table(context: Context, upload: Upload, form: FileForm) -> Table:
    quotas.require_room_for_table(context)
    table = tables.new_table(
        context,
        name=form.name,
        format_=form.format,
        url_pattern=context.process.storage.url_pattern(upload.object_key),
        managed=True,
        options={name: value for name, value in form.options.items() if value is not None},
    )
    # Drawn now: the folder of a managed Delta table has it in its name.
    table.id = new_id()
    if form.target is Target.DELTA:
        key = context.process.storage.delta_key(context.caller.project_id, str(table.id))
        table.format = MANAGED.value
        table.url_pattern = context.process.storage.url_pattern(key)
    tables.add_uniquely(context, table)
    audit.record(context, "table.create", table.id, name=form.name)
    return table


def _supersede_waiting(context: Context, table: Table) -> None:
    """Let a newer file replace one that waits and that no worker has looked at yet.

    Loads into a Delta table are data, each of them, and are never left out.
    """
    waiting = context.session.scalars(
        select(Job)
        .where(
            Job.table_id == table.id,
            Job.kind == JobKind.INGEST_FILE,
            Job.state == JobState.QUEUED,
            Job.attempt == 0,
        )
        .order_by(Job.id)
        .with_for_update()
    ).all()
    ended = cancelling.supersede_jobs(
        context.session,
        [job.id for job in waiting if is_for_file(job.arguments)],
        detail="A newer file was uploaded to the table.",
    )
    uploads.let_go(context.session, [job.upload_id for job in ended])


def _stored_upload(context: Context, upload_id: UUID | str, filename: str) -> Upload:
    upload = context.session.scalars(
        select(Upload)
        .where(
            Upload.id == _upload_id(upload_id),
            Upload.project_id == context.caller.project_id,
            Upload.state.in_((UploadState.STORED, UploadState.ACTIVE)),
            Upload.filename == filename,
            # What `file/` received is its table's alone.
            Upload.file_format.is_not(None),
        )
        # So that it is not given up for its age before its job is queued (`uploads.give_up`).
        .with_for_update()
    ).one_or_none()
    if upload is None:
        raise refusal(NO_UPLOAD, "upload_id")
    return upload


def _upload_id(raw: UUID | str) -> UUID:
    try:
        return raw if isinstance(raw, UUID) else UUID(raw)
    except ValueError as exc:
        raise refusal(NO_UPLOAD, "upload_id") from exc
