"""`preview_file`: read the first rows of one of a table's files, for somebody to look at.

The rows are sealed beside the job for some minutes (`catalog.previews`), and are in no job's row.
"""

from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import select

from stocktake.catalog import previews
from stocktake.db.models import Project, Table
from stocktake.errors import SourceNotFoundError, SupersededError
from stocktake.jobs import leases
from stocktake.jobs.arguments import PreviewArguments
from stocktake.readers.delta.paths import canonical
from stocktake.readers.preview import FirstRows, OneFile, first_rows, one_file
from stocktake.runs.attempt import Attempt
from stocktake.runs.managed_table import ManagedTable, mapped
from stocktake.runs.opening import TableSource, open_table
from stocktake.schema.formats import TableFormat
from stocktake.storage.places.globs import escape

_PARTITION: Final = "partition."


def run(attempt: Attempt) -> None:
    """Read the first rows of the file that the claim's job names, or of the newest, and end the job
    with what they are. Nothing of the table changes.

    Raises:
        SourceNotFoundError: the table has no such file.
        JobError: the read failed, as its type says.
        SupersededError: the table is gone, or the project allows no previews any more.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    asked, claim = PreviewArguments.of(attempt.claim.arguments), attempt.claim
    with attempt.process.database.read() as session:
        table = session.scalars(
            select(Table).where(
                Table.id == asked.table_id,
                Table.project_id == claim.project_id,
                Table.deleted.is_(False),
            )
        ).one_or_none()
        if table is None:
            raise SupersededError("The table was deleted before its rows were read.")
        _require_allowed(session.get_one(Project, claim.project_id))
        # A job of no table, so that it waits for none; what it looks at is that table's.
        its = replace(attempt, claim=replace(claim, table_id=table.id, generation=table.generation))
        told: dict[str, Any] = {"table_id": str(table.id), "table": table.name}
    opened = open_table(its)
    file = _file(its, opened, asked.file)
    found = first_rows(file, attempt.limits, attempt.progress)
    with attempt.process.database.write() as session:
        _require_allowed(session.get_one(Project, claim.project_id))
        previews.keep(
            session,
            attempt.process.keyring,
            claim.job_id,
            found.rows,
            project_id=claim.project_id,
        )
        leases.succeed(session, claim, told | _described(file, found))


def _require_allowed(project: Project) -> None:
    if not project.row_previews:
        raise SupersededError("The project allows no previews of rows any more.")


def _described(file: OneFile, found: FirstRows) -> dict[str, Any]:
    """Return the job's result: all but the rows."""
    return {
        "file": file.name,
        "columns": [{"name": each.name, "type": each.clickhouse} for each in found.columns],
        "omitted_columns": found.omitted_columns,
        "row_count": len(found.rows),
        "more": found.more,
        "error": None if found.fault is None else found.fault.as_dict(),
    }


def _file(attempt: Attempt, opened: TableSource, name: str | None) -> OneFile:
    if opened.managed and opened.source.format.facts.takes_rows:
        return _managed_file(attempt, opened, name)
    file = one_file(opened.source, name, attempt.limits)
    return replace(file, known=tuple(opened.columns()))


def _managed_file(attempt: Attempt, opened: TableSource, name: str | None) -> OneFile:
    """Return a data file that the log of a managed Delta table has: those of replaced rows are in
    its folder too."""
    with mapped():
        table = ManagedTable.of(attempt).open()
        actions = [] if table is None else pa.table(table.get_add_actions(flatten=True)).to_pylist()
    by_name = {canonical(each["path"]): each for each in actions if each["num_records"] != 0}
    if not by_name:
        raise SourceNotFoundError("The table has no rows yet.", hint="Upload a file to the table.")
    if name is None:
        name = max(by_name, key=lambda each: (by_name[each]["modification_time"], each))
    if name not in by_name:
        raise SourceNotFoundError(
            f'The table has no data file "{name}".',
            hint="Leave the file out for the newest one; a compaction replaces files.",
        )
    source = replace(
        opened.source,
        path=f"{opened.source.path}/{escape(name)}",
        format=TableFormat.PARQUET,
        options={},
        state=None,
    )
    values = {
        column.removeprefix(_PARTITION): value
        for column, value in by_name[name].items()
        if column.startswith(_PARTITION)
    }
    partitions = tuple(each for each in opened.columns() if each.name in values)
    return OneFile(source=source, name=name, values=values, partitions=partitions)
