"""`preview_file`: read the first rows of one of a table's files, for somebody to look at.

The rows are sealed beside the job for some minutes (`catalog.previews`), and are in no job's row.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import select

from stocktake.catalog import previews
from stocktake.db.models import Project, Table
from stocktake.errors import SupersededError
from stocktake.jobs import leases
from stocktake.jobs.arguments import PreviewArguments
from stocktake.readers.preview import FirstRows, OneFile, first_rows, one_file, within
from stocktake.runs.attempt import Attempt
from stocktake.runs.opening import open_table


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
    limits, progress = within(attempt.limits, attempt.progress)
    file = replace(
        one_file(opened.source, asked.file, limits, progress), known=tuple(opened.columns())
    )
    found = first_rows(file, limits, progress)
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
        "has_deleted_rows": file.has_deleted_rows,
        "error": None if found.fault is None else found.fault.as_dict(),
    }
