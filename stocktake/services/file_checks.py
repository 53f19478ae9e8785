"""Asking what a file would do to a table before it lands there. Nothing of it is kept."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from stocktake.db.models import Table, Upload
from stocktake.errors import ValidationError, did_you_mean
from stocktake.jobs.arguments import IngestArguments, Mode, Target
from stocktake.jobs.queueing import Enqueued, JobRequest, enqueue
from stocktake.schema.formats import TAKING_ROWS, TableFormat, format_of_file
from stocktake.services import quotas, refreshes, table_views, tables
from stocktake.services.context import Context
from stocktake.services.upload_forms import options_of, refusal, uploadable
from stocktake.states import JobKind, Queue
from stocktake.storage.places import guard
from stocktake.storage.places.globs import is_glob

ONE: Final = "Send a file, or `url_pattern`, and not both."
#: Beside the file.
FIELDS: Final = ("format", "options", "url_pattern")
ELSEWHERE: Final = (
    "The file must be in the bucket that the table reads, whose key is used. Send the file itself, "
    "or copy it there first, outside of the table's own pattern."
)
#: How much of a client's own words an error repeats.
_SHOWN: Final = 100
ELSEWHERE_LOCAL: Final = (
    "The table reads a folder of the service's machine, so the file must be there, too: name it by "
    "a file:// URL, or send the file itself."
)
MANAGED: Final = "The table's files are the service's own: send the file itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToCheck:
    """What a request says of a file.

    Attributes:
        filename: the cleaned name; empty where none was sent.
        fields: ``format``, ``options`` and ``url_pattern``, where they were sent.
    """

    filename: str
    fields: dict[str, str]

    @property
    def name(self) -> str:
        """Return what the file is called, without its folders."""
        return (self.url_pattern or self.filename).rpartition("/")[2]

    @property
    def url_pattern(self) -> str:
        """Return where the file is; empty where it was sent."""
        return self.fields.get("url_pattern", "").strip()


def request(
    context: Context, table_id: UUID, asked: FileToCheck, upload: Upload | None
) -> Enqueued:
    """Queue a job that says what a file would do to a table.

    A file of a table that reads many lands beside the others; of any other table it takes the place
    of what is there; its rows are added to a managed Delta table.

    Args:
        upload: the stored file; None where it is at `url_pattern`.

    Raises:
        NotFoundError: no such live table in this project.
        ValidationError: the format or an option is wrong, or the URL is elsewhere.
    """
    table = table_views.locked(context, table_id)
    refreshes.require_linked(table)
    if (upload is None) == (not asked.url_pattern):
        raise refusal(ONE, "file")
    arguments = _arguments(table, asked)
    if upload is None:
        _check_url(context, table, arguments)
    quotas.require_room_for_check(context)
    return enqueue(
        context.session,
        JobRequest(
            project_id=context.caller.project_id,
            # Of no table: it waits for no job of it, and each of several is of another file.
            kind=JobKind.CHECK_FILE,
            queue=Queue.INTERACTIVE,
            max_attempts=context.process.settings.job_max_attempts,
            upload_id=upload.id if upload else None,
            created_by_id=context.caller.user_id,
            arguments=arguments.as_dict(),
        ),
    )


def _arguments(table: Table, asked: FileToCheck) -> IngestArguments:
    for name in asked.fields:
        if name not in FIELDS:
            raise refusal(f"This field is not known; {did_you_mean(name, FIELDS)}", name[:64])
    format_ = _format(table, asked)
    loads = table.managed and table.format in TAKING_ROWS
    return IngestArguments(
        format=format_,
        target=Target.DELTA if loads else Target.FILE,
        mode=Mode.APPEND if loads else None,
        options=options_of(asked.fields.get("options", ""), format_),
        table=table.name,
        beside=not table.managed and _reads_many(table),
        url_pattern=asked.url_pattern,
    )


def _reads_many(table: Table) -> bool:
    return tables.check_format(table.format).is_folder or is_glob(table.url_pattern)


def _format(table: Table, asked: FileToCheck) -> TableFormat:
    """Return the file's format: as it was sent; or the table's own, by which the file would be read
    there. An upload becomes a table of what its name says, so that the name tells first there.

    Raises:
        ValidationError: it is none, or the name ends as another format's files do.
    """
    if sent := asked.fields.get("format"):
        return uploadable(sent)
    own = tables.check_format(table.format)
    named = format_of_file(asked.name)
    if not own.facts.uploadable:
        return named or (TableFormat.CSV_WITH_NAMES if table.managed else TableFormat.PARQUET)
    if named is None or named.facts.title in _read_as(own, table):
        return own
    if table.managed:
        return named
    title = own.facts.title
    raise refusal(
        f"{asked.name[:_SHOWN]!r} ends as a file of {named.facts.title} does, and the table reads "
        f"its files as {title}. Check a file of {title}; or say with `format` what this one is, "
        f"{own.value} or {named.value}.",
        "format",
    )


def _read_as(own: TableFormat, table: Table) -> set[str]:
    """Return the titles of the formats that a name may tell of the table's files: where its own are
    CSV and called `.json`, so may this one be."""
    named = format_of_file(table.url_pattern)
    return {each.facts.title for each in (own, named) if each}


def _check_url(context: Context, table: Table, arguments: IngestArguments) -> None:
    if table.managed:
        raise ValidationError(MANAGED, attr="url_pattern")
    policy = context.process.guard
    location = guard.check(tables.checked_url(arguments.url_pattern), policy)
    guard.check_pattern(location, arguments.format)
    own = guard.locate(table.url_pattern, policy)
    if guard.requires_credential(own, location):
        told = ELSEWHERE_LOCAL if own.provider == "file" else ELSEWHERE
        raise ValidationError(told, attr="url_pattern")
