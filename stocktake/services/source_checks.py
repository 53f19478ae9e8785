"""Asking whether a source can be read, before it is registered and afterwards."""

from uuid import UUID

from stocktake.catalog import credentials as catalog
from stocktake.db.models import Table
from stocktake.errors import CredentialUnavailableError, NotFoundError, ValidationError
from stocktake.jobs.arguments import SourceArguments
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.schema.formats import TableFormat
from stocktake.security.encryption import AccessPair
from stocktake.services import audit, credentials, quotas, table_views, tables
from stocktake.services.context import Context
from stocktake.services.options import check_options
from stocktake.services.tables import TableFields
from stocktake.states import JobKind, Queue
from stocktake.storage.places import guard

MANAGED = "The bytes of this table are the service's own: there is nothing of yours to check."


def request(context: Context, fields: TableFields) -> Enqueued:
    """Queue a job that tries a source of which no table is made. The keys are kept, sealed, until
    the job begins.

    Raises:
        ValidationError: a field is wrong.
    """
    url_pattern = tables.checked_url(tables.required("url_pattern", fields))
    location = guard.check(url_pattern, context.process.guard)
    table_format = _format(fields)
    options = check_options(fields.get("options", {}))
    pair = credentials.new_pair(fields.get("credential"))
    # A pattern has no more wildcards than of files, whatever they turn out to be.
    guard.check_pattern(location, table_format or TableFormat.CSV)
    if not tables.needs_credential(location, options):
        pair = None
    elif pair is None:
        raise ValidationError(credentials.REQUIRED, attr="credential")
    else:
        credentials.check_kind(pair, location)
    arguments = SourceArguments(
        url_pattern=url_pattern, format=table_format, options=options, has_key=pair is not None
    )
    quotas.require_room_for_check(context)
    # Once: its keys are gone when it has begun.
    enqueued = _enqueue(context, max_attempts=1, arguments=arguments)
    if pair is not None:
        _seal(context, enqueued, pair)
    audit.record(context, "source.check", enqueued.job.id)
    return enqueued


def request_for(context: Context, table_id: UUID) -> Enqueued:
    """Queue a job that tries the source of a table, with the table's own keys.

    Raises:
        ValidationError: this project has no such live table, or its bytes are the service's own.
    """
    try:
        table = table_views.locked(context, table_id)
    except NotFoundError as exc:
        raise ValidationError(
            f"Table {table_id} does not exist in this project.", attr="table"
        ) from exc
    if table.managed:
        raise ValidationError(MANAGED, attr="table")
    return _enqueue(context, max_attempts=context.process.settings.job_max_attempts, table=table)


def _format(fields: TableFields) -> TableFormat | None:
    given = fields.get("format")
    return None if given is None else tables.check_format(given)


def _enqueue(
    context: Context,
    *,
    max_attempts: int,
    arguments: SourceArguments | None = None,
    table: Table | None = None,
) -> Enqueued:
    return enqueue(
        context.session,
        JobRequest(
            project_id=context.caller.project_id,
            kind=JobKind.CHECK_SOURCE,
            queue=Queue.INTERACTIVE,
            max_attempts=max_attempts,
            table_id=table.id if table else None,
            created_by_id=context.caller.user_id,
            arguments=arguments.as_dict() if arguments else {},
        ),
    )


def _seal(context: Context, enqueued: Enqueued, pair: AccessPair) -> None:
    try:
        catalog.store_for_job(context.session, context.process.keyring, enqueued.job, pair)
    except CredentialUnavailableError as exc:
        raise ValidationError(exc.detail, code=exc.code, attr="credential") from exc
