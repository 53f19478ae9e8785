"""Uploads: a file that becomes a table's content, or rows of a managed Delta table."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import UUID

from fastapi import Response
from fastapi.responses import JSONResponse

from api.edge.answers import Answer
from api.edge.authentication import WriteEdge
from api.edge.routing import Router
from api.errors import body_of, unavailable
from api.routes.jobs import accepted, ended, job_url
from api.routes.tables import undone
from api.schemas.jobs import JobBody
from api.schemas.tables import IngestedTableBody, UploadBody, UploadedTable, ingested_view
from api.uploads import receiving
from stocktake.db.models import JobRow, Table
from stocktake.errors import (
    ManagedStorageRefusedError,
    PayloadTooLargeError,
    StorageUnavailableError,
)
from stocktake.jobs.arguments import Mode, Target
from stocktake.jobs.queueing import Enqueued
from stocktake.schema.formats import FILE_FORMATS, UPLOADABLE
from stocktake.services import file_checks, files, jobs, table_views, upload_forms
from stocktake.services.context import Context
from stocktake.services.file_checks import FileToCheck
from stocktake.services.files import Ingest

router = Router(tags=["warehouse tables"])

#: These routes count for themselves, because PostHog answers a large file with 400.
_COUNTED_HERE: Final = 2**62


def _form(*, required: bool = True, **fields: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI of a multipart body, which FastAPI must not parse for us: it would do so
    before the key is checked."""
    properties = {"file": {"type": "string", "format": "binary"}} | fields
    schema = {"type": "object", "properties": properties}
    schema |= {"required": ["file"]} if required else {}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


@router.post(
    "/warehouse_tables/file/",
    status_code=201,
    response_model=IngestedTableBody,
    responses={
        202: {"model": JobBody, "description": "With `dry_run`: the job that judges the file."},
        200: {"model": JobBody, "description": "With `dry_run`: it has ended within the wait."},
    },
    max_body_size=_COUNTED_HERE,
    openapi_extra=_form(
        name={
            "type": "string",
            "description": "The table; the file's name without its ending if left out.",
        },
        format={
            "type": "string",
            "enum": list(UPLOADABLE),
            "description": "As the file's name ends if left out, and else CSVWithNames.",
        },
        target={"type": "string", "enum": list(Target), "default": "file"},
        mode={"type": "string", "enum": list(Mode), "default": "append"},
        key={
            "type": "string",
            "description": "Of mode=merge: the columns that tell a row, with commas between them.",
        },
        partition_by={
            "type": "string",
            "description": "Of target=delta: the columns by which the table is partitioned when it "
            "is made, with commas between them. Later loads need none, or the same.",
        },
        columns={
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON object of column types, in the words of `update_schema`, such "
            'as `{"zip": "string", "price": "decimal(18, 2)"}`. The table keeps them.',
        },
        options={
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON object of options by which the file is read, as a table has "
            'them, such as `{"csv_delimiter": ";"}`: over those of the table, which keeps them '
            "for its next files when this one was read; null takes one away.",
        },
        dry_run={
            "type": "boolean",
            "default": False,
            "description": "Change nothing: the answer is a job, 202 (200 if it was waited for), "
            "whose result says what the file would do to the table.",
        },
        replace_source={
            "type": "boolean",
            "default": True,
            "description": "Of target=file: whether the file may take the place of files of your "
            "own, where the table of that name reads such. With `false` that is refused as "
            "`linked_source`.",
        },
    ),
)
async def upload_table(edge: WriteEdge) -> Response:
    """Upload a file as the content of a table, new or not.

    The table changes when a job has read the file in full; a bad file changes nothing. What it read
    before, where that were files of your own, is its `former_source`, to which it can go back. With
    `target=delta` the rows are added to (or with `mode=replace` take the place of) those of a
    managed Delta table; with `mode=merge` rows whose `key` it has are updated, and the others
    added. `job_id` and `Location` name the job of this very file.
    """
    return await _or_unavailable(lambda: _upload_table(edge))


async def _upload_table(edge: WriteEdge) -> Response:
    async with receiving(edge, upload_forms.too_large) as receiver:
        try:
            await receiver.receive()
        except PayloadTooLargeError as exc:
            raise upload_forms.too_large(edge.parts.process.settings.max_upload_bytes) from exc
        form = upload_forms.check_form(receiver.filename, receiver.fields)
        await receiver.finish()

        def work(context: Context) -> Answer:
            upload = files.store(context, receiver.upload_id, size_bytes=receiver.size_bytes)
            if form.dry_run:
                return _checking(context, files.request_check(context, upload, form))
            ingest = files.ingest(
                context, upload, form, key=edge.idempotency_key, sent=receiver.fingerprint
            )
            return _ingesting(context, ingest)

        return await edge.write(work, wait=True, fingerprint=receiver.fingerprint)


@router.post(
    "/warehouse_tables/{table_id}/check/",
    status_code=202,
    response_model=JobBody,
    responses={200: {"model": JobBody, "description": "The job has ended; it was waited for."}},
    max_body_size=_COUNTED_HERE,
    openapi_extra=_form(
        required=False,
        url_pattern={
            "type": "string",
            "description": "In the place of a file: where it is, in the bucket that the table "
            "reads, with the table's own key.",
        },
        format={
            "type": "string",
            "enum": list(UPLOADABLE),
            "description": "The table's own if left out, and the file's name must not end as "
            "another format's does; of a table of uploads, or a folder's, as the name ends.",
        },
        options={
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON object of options by which the file is read, over the table's.",
        },
    ),
)
async def check_file(edge: WriteEdge, table_id: UUID) -> Response:
    """Say what a file would do to the table's live schema before it lands there: nothing, or a
    change that is `additive`, `widening` or `breaking`. Nothing is kept.

    The file of a table that reads many is one more of these; of any other table it takes the place
    of what is there; to a managed Delta table its rows are added.
    """
    return await _or_unavailable(lambda: _check_file(edge, table_id))


async def _check_file(edge: WriteEdge, table_id: UUID) -> Response:
    async with receiving(edge, upload_forms.upload_too_large) as receiver:
        await receiver.receive()
        asked = FileToCheck(filename=receiver.filename or "", fields=receiver.fields)
        await receiver.finish()

        def work(context: Context) -> Answer:
            upload = None
            if receiver.upload is not None:
                upload = files.store(context, receiver.upload_id, size_bytes=receiver.size_bytes)
            return _checking(context, file_checks.request(context, table_id, asked, upload))

        return await edge.write(work, wait=True, fingerprint=receiver.fingerprint)


def _checking(context: Context, enqueued: Enqueued) -> Answer:
    context.session.flush()
    job_id = enqueued.job.id
    return replace(accepted(context, enqueued.job), after_wait=lambda later: ended(later, job_id))


def _ingesting(context: Context, ingest: Ingest) -> Answer:
    table, job = ingest.table, ingest.enqueued.job
    # By their ids: the request's transaction, and what it loaded, is over by then.
    table_id, job_id = table.id, job.id
    answer = _sent(context, table, job)
    return replace(
        answer,
        headers={**answer.headers, "Retry-After": "1"},
        job_id=job_id,
        after_wait=lambda later: _read(later, table_id, job_id),
    )


def _read(context: Context, table_id: UUID, job_id: UUID) -> Answer:
    table = context.session.get_one(Table, table_id, populate_existing=True)
    return _sent(context, table, jobs.get_job(context, job_id))


def _sent(context: Context, table: Table, job: JobRow) -> Answer:
    """Return the 201 of a file, with its own job: the table's latest may be that of another."""
    view = table_views.view_of(context, table)
    return Answer(
        status=201,
        body=partial(ingested_view, view, context.caller, job),
        headers={"Location": job_url(context, job.id)},
    )


#: The OpenAPI of what follows an upload.
_NEXT: Final[dict[str, Any]] = {
    "operationId": "create_from_upload",
    "requestBody": {
        name: f"$response.body#/{name}" for name in ("upload_id", "filename", "file_format")
    }
    | {"table_name": "uploaded"},
}


@router.post(
    "/warehouse_tables/upload_file/",
    status_code=201,
    response_model=UploadBody,
    max_body_size=_COUNTED_HERE,
    responses={201: {"links": {"create_from_upload": _NEXT}}},
    openapi_extra=_form(
        file_format={
            "type": "string",
            "enum": list(FILE_FORMATS),
            "description": "As the file's name ends, if left out.",
        }
    ),
)
async def upload_file(edge: WriteEdge) -> Response:
    """Upload a file that `create_from_upload` makes a table of."""
    return await _or_unavailable(lambda: _upload_file(edge))


async def _upload_file(edge: WriteEdge) -> Response:
    async with receiving(edge, upload_forms.upload_too_large) as receiver:
        await receiver.receive()
        named = upload_forms.check_upload(receiver.filename, receiver.fields)
        await receiver.finish()

        def work(context: Context) -> Answer:
            return _stored(context, receiver.upload_id, receiver.size_bytes, named)

        return await edge.write(work, fingerprint=receiver.fingerprint)


def _stored(context: Context, upload_id: UUID, size_bytes: int, file_format: str) -> Answer:
    upload = files.store(context, upload_id, size_bytes=size_bytes, file_format=file_format)
    body = UploadBody(
        upload_id=upload.id,
        filename=upload.filename,
        file_format=file_format,
        size_bytes=size_bytes,
    )
    return Answer(status=201, body=body)


@router.post(
    "/warehouse_tables/create_from_upload/",
    status_code=201,
    response_model=IngestedTableBody,
)
async def create_from_upload(edge: WriteEdge, body: UploadedTable) -> Response:
    """Make a new table of an uploaded file. With `Prefer: wait=N` a file that cannot be read is a
    400 that leaves no table."""

    def work(context: Context) -> Answer:
        ingest = files.create_from_upload(
            context,
            upload_id=body.upload_id,
            filename=body.filename,
            file_format=body.file_format,
            table_name=body.table_name,
            options=body.options,
            types=body.columns,
        )
        answer, job_id = _ingesting(context, ingest), ingest.enqueued.job.id
        table_id = ingest.table.id
        return replace(answer, after_wait=lambda later: _first_read(later, table_id, job_id))

    return await edge.write(work, wait=True)


def _first_read(context: Context, table_id: UUID, job_id: UUID) -> Answer:
    return undone(context, table_id, job_id) or _read(context, table_id, job_id)


async def _or_unavailable(respond: Callable[[], Awaitable[Response]]) -> Response:
    """Return 503 where managed storage is away or full: the client may send the file again; 500
    where it says no, and would say it again."""
    try:
        return await respond()
    except StorageUnavailableError:
        return unavailable()
    except ManagedStorageRefusedError as exc:
        return JSONResponse(body_of("server_error", exc.code, f"{exc.detail} {exc.hint}"), 500)
