"""Warehouse tables, as PostHog's clients know them, and their schema versions."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Final, cast
from uuid import UUID

from fastapi import Path, Query, Response

from api.edge.answers import Answer
from api.edge.authentication import ReadEdge, RowsEdge, WriteEdge
from api.edge.pages import PageDep
from api.edge.routing import Router
from api.routes.jobs import accepted, ended, failed, job_url
from api.schemas.base import PageBody
from api.schemas.jobs import JobBody
from api.schemas.schema_versions import (
    FullVersionBody,
    LiveSchemaBody,
    VersionBody,
    VersionDiffBody,
    full_version_view,
    live_schema_view,
    version_view,
)
from api.schemas.tables import (
    FileToPreview,
    NewTable,
    SchemaUpdate,
    SourceToCheck,
    TableBody,
    TableChange,
    TableRestore,
    table_view,
)
from stocktake.db.models import Table
from stocktake.db.pages import place_of
from stocktake.jobs.queueing import Enqueued
from stocktake.schema.diff import completed
from stocktake.services import (
    jobs,
    live_schemas,
    maintenance,
    previews,
    refreshes,
    schema_versions,
    source_checks,
    table_changes,
    table_views,
    tables,
)
from stocktake.services.context import Context
from stocktake.services.tables import TableFields
from stocktake.states import JobState

router = Router(tags=["warehouse tables"])

IncludeColumns = Annotated[bool, Query(description="False leaves the columns out.")]
#: A time with its zone has some thirty characters; a key of S3 has up to 1,024 bytes.
MAX_MOMENT: Final = 40
MAX_FILE_NAME: Final = 1_024
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]


def fields_of(body: TableChange | SourceToCheck) -> TableFields:
    """Return what the request says about the table, and nothing that it only sends back."""
    sent = body.model_dump(exclude_unset=True)
    if sent.get("credential") is not None:
        keys = {"access_key", "access_secret"} & sent["credential"].keys()
        sent["credential"] = {key: sent["credential"][key] for key in keys}
    return cast("TableFields", sent)


def shown(context: Context, table: Table) -> Callable[[], TableBody]:
    """Return what makes the body of the table as this transaction leaves it."""
    return partial(table_view, table_views.view_of(context, table), context.caller)


@router.post("/warehouse_tables/", status_code=201, response_model=TableBody)
async def create_table(edge: WriteEdge, body: NewTable) -> Response:
    """Register a table. Its columns are read by a job: see `latest_job` and `Location`.

    With `Prefer: wait=N` the answer has the columns if the job ends in time, and a read that
    failed is a 400 that leaves no table.
    """

    def work(context: Context) -> Answer:
        table, enqueued = tables.create(context, fields_of(body))
        return _created(context, table, enqueued.job.id)

    return await edge.write(work, wait=True)


def _created(context: Context, table: Table, job_id: UUID) -> Answer:
    return Answer(
        status=201,
        body=shown(context, table),
        headers={"Location": job_url(context, job_id), "Retry-After": "1"},
        job_id=job_id,
        after_wait=lambda later: after_first_read(later, table.id, job_id),
    )


def after_first_read(context: Context, table_id: UUID, job_id: UUID) -> Answer:
    """Return the table with its columns; or the 400 of a read that failed, and no table is left."""
    if refused := undone(context, table_id, job_id):
        return refused
    table = context.session.get_one(Table, table_id, populate_existing=True)
    return Answer(
        status=201,
        body=shown(context, table),
        headers={"Location": job_url(context, job_id)},
    )


def undone(context: Context, table_id: UUID, job_id: UUID) -> Answer | None:
    """Leave no table where its first read failed, and return the 400 that says so."""
    job = jobs.get_job(context, job_id)
    if job.state == JobState.FAILED and tables.undo_create(context, table_id, job_id=job_id):
        return failed(context, job)
    return None


@router.post(
    "/warehouse_tables/check/",
    status_code=202,
    response_model=JobBody,
    responses={200: {"model": JobBody, "description": "The job has ended; it was waited for."}},
)
async def check_source(edge: WriteEdge, body: SourceToCheck) -> Response:
    """Try whether a source can be read, and make no table: the host's name, TLS, region, key, LIST,
    GET and format, each passed or failed, and the least that its key must be allowed. The keys are
    not kept. With `table` alone it is that table's source, with its own keys."""

    def work(context: Context) -> Answer:
        if body.table is not None:
            return _refreshing(context, source_checks.request_for(context, body.table))
        return _refreshing(context, source_checks.request(context, fields_of(body)))

    return await edge.write(work, wait=True)


@router.get("/warehouse_tables/{table_id}/", response_model=TableBody)
async def get_table(
    edge: ReadEdge, table_id: UUID, include_columns: IncludeColumns = True
) -> Response:
    """Show one table."""

    def work(context: Context) -> TableBody:
        view = table_views.get_view(context, table_id, columns=include_columns)
        return table_view(view, context.caller, columns=include_columns)

    return await edge.show(work)


async def _change(edge: WriteEdge, table_id: UUID, body: TableChange) -> Response:
    def work(context: Context) -> Answer:
        table, enqueued = table_changes.change(context, table_id, fields_of(body))
        return _changed(context, table, enqueued)

    return await edge.write(work, wait=True)


def _changed(context: Context, table: Table, enqueued: Enqueued | None) -> Answer:
    if enqueued is None:
        return Answer(body=shown(context, table))

    def after_wait(later: Context) -> Answer:
        fresh = later.session.get_one(Table, table.id, populate_existing=True)
        return Answer(body=shown(later, fresh))

    return Answer(
        body=shown(context, table),
        headers={"Location": job_url(context, enqueued.job.id)},
        job_id=enqueued.job.id,
        after_wait=after_wait,
    )


@router.patch("/warehouse_tables/{table_id}/", response_model=TableBody)
async def change_table(edge: WriteEdge, table_id: UUID, body: TableChange) -> Response:
    """Change any of a table's fields; a change of its source queues a refresh."""
    return await _change(edge, table_id, body)


@router.put("/warehouse_tables/{table_id}/", response_model=TableBody)
async def put_table(edge: WriteEdge, table_id: UUID, body: TableChange) -> Response:
    """Change a table, as PATCH does: a field that is left out stays as it is, since secrets are
    never sent back.
    """
    return await _change(edge, table_id, body)


@router.delete("/warehouse_tables/{table_id}/", status_code=204)
async def delete_table(edge: WriteEdge, table_id: UUID) -> Response:
    """Delete a table. Its name is free again, its credential is erased, its jobs end."""

    def work(context: Context) -> Answer:
        tables.delete(context, table_id)
        return Answer(status=204)

    return await edge.write(work)


@router.post(
    "/warehouse_tables/{table_id}/refresh_schema/",
    status_code=202,
    response_model=JobBody,
    responses={200: {"model": JobBody, "description": "The job has ended; it was waited for."}},
)
async def refresh_schema(
    edge: WriteEdge,
    table_id: UUID,
    dry_run: Annotated[
        bool, Query(description="Say what would change (`plan_refresh`), and store nothing.")
    ] = False,
) -> Response:
    """Read the table's source anew. Any body is ignored. With `Prefer: wait=N` a read that failed
    is a 400, with the job beside its sentence."""

    def work(context: Context) -> Answer:
        if dry_run:
            table = table_views.locked(context, table_id)
            return _refreshing(context, refreshes.request_plan(context, table))
        return _refreshing(context, refreshes.request_alone(context, table_id))

    return await edge.write(work, wait=True)


@router.post(
    "/warehouse_tables/{table_id}/maintain/",
    status_code=202,
    response_model=JobBody,
    responses={200: {"model": JobBody, "description": "The job has ended; it was waited for."}},
)
async def maintain_table(edge: WriteEdge, table_id: UUID) -> Response:
    """Optimize and vacuum a managed Delta table: put small files together, remove replaced files
    and log entries past their retention, count what is left. Any body is ignored."""

    def work(context: Context) -> Answer:
        return _refreshing(context, maintenance.request(context, table_id))

    return await edge.write(work, wait=True)


@router.post(
    "/warehouse_tables/{table_id}/restore/",
    status_code=202,
    response_model=JobBody,
    responses={200: {"model": JobBody, "description": "The job has ended; it was waited for."}},
)
async def restore_table(
    edge: WriteEdge, table_id: UUID, body: TableRestore | None = None
) -> Response:
    """Undo the last load into a managed Delta table, or go back to a version of it. 409 while an
    upload has not ended; what is loaded after this was asked for is not dropped."""
    version = None if body is None else body.version

    def work(context: Context) -> Answer:
        enqueued = maintenance.request_restore(context, table_id, version=version)
        return _refreshing(context, enqueued)

    return await edge.write(work, wait=True)


def _refreshing(context: Context, enqueued: Enqueued) -> Answer:
    context.session.flush()
    job_id, shared = enqueued.job.id, enqueued.deduplicated
    submitted = accepted(context, enqueued.job, shared)
    return replace(submitted, after_wait=lambda later: ended(later, job_id, shared))


@router.post(
    "/warehouse_tables/{table_id}/preview/",
    status_code=202,
    response_model=JobBody,
    responses={200: {"model": JobBody, "description": "The job has ended; it was waited for."}},
)
async def preview_file(
    edge: RowsEdge, table_id: UUID, body: FileToPreview | None = None
) -> Response:
    """Read the first rows of one of the table's files, the newest if none is named. The key needs
    the scope `warehouse_table:read_rows`, and the project must allow it (`row_previews`). The rows
    stand in the job's result for ten minutes, and are kept nowhere else."""
    file = None if body is None else body.file

    def work(context: Context) -> Answer:
        return _refreshing(context, previews.request(context, table_id, file))

    return await edge.write(work, wait=True)


@router.post("/warehouse_tables/{table_id}/update_schema/", response_model=TableBody)
async def update_schema(
    edge: WriteEdge, table_id: UUID, body: SchemaUpdate | None = None
) -> Response:
    """Set column types over the source's; they survive every refresh until they are cleared."""
    updates = None if body is None else body.updates
    known = await edge.read(lambda it: schema_versions.types_of_source(it, table_id, updates))

    def work(context: Context) -> Answer:
        table = schema_versions.update_types(context, table_id, updates, known)
        return Answer(body=shown(context, table))

    return await edge.write(work)


@router.get("/warehouse_tables/{table_id}/schema/", response_model=LiveSchemaBody)
async def get_live_schema(
    edge: ReadEdge,
    table_id: UUID,
    as_of: Annotated[
        str | None,
        Query(
            max_length=MAX_MOMENT,
            description="A date, whose first moment in UTC counts, or a time with its zone.",
        ),
    ] = None,
    for_file: Annotated[
        str | None,
        Query(max_length=MAX_FILE_NAME, description="A file's name, as `origin` tells it."),
    ] = None,
) -> Response:
    """Show the schema that was live at a time, or when a file was first seen; without a question
    the present one. Answered from what is stored: no file is read."""

    def work(context: Context) -> LiveSchemaBody:
        found = live_schemas.live_schema(context, table_id, as_of=as_of, for_file=for_file)
        return live_schema_view(found)

    return await edge.show(work)


@router.get("/warehouse_tables/{table_id}/schema_versions/", response_model=PageBody[VersionBody])
async def list_schema_versions(edge: ReadEdge, table_id: UUID, page: PageDep) -> Response:
    """List a table's schema versions, newest first."""

    def work(context: Context) -> bytes:
        found = schema_versions.list_versions(context, table_id, **page.part)
        return page.body(
            found.count,
            found.versions,
            lambda row: version_view(*row),
            lambda row: place_of(row[0].number),
        )

    return await edge.show(work)


@router.get(
    "/warehouse_tables/{table_id}/schema_versions/{number}/", response_model=FullVersionBody
)
async def get_schema_version(edge: ReadEdge, table_id: UUID, number: VersionNumber) -> Response:
    """Show one schema version with its columns."""
    return await edge.show(
        lambda context: full_version_view(schema_versions.get_version(context, table_id, number))
    )


@router.get(
    "/warehouse_tables/{table_id}/schema_versions/{number}/diff/", response_model=VersionDiffBody
)
async def diff_schema_version(
    edge: ReadEdge,
    table_id: UUID,
    number: VersionNumber,
    against: Annotated[
        int | None,
        Query(ge=1, le=2**31 - 1, description="Another version; the one before if left out."),
    ] = None,
) -> Response:
    """Show what changed up to this version: `none`, `additive`, `widening` or `breaking`."""

    def work(context: Context) -> VersionDiffBody:
        found = schema_versions.compare(context, table_id, number, against=against)
        return VersionDiffBody(
            from_version=found.before,
            to_version=found.after,
            change=found.change,
            diff=completed(found.diff),
        )

    return await edge.show(work)
