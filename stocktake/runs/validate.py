"""`validate_columns`: read all of a text source and hold every column to its type."""

from typing import Any

from stocktake.db.models import Table
from stocktake.introspection import Validation, validate
from stocktake.jobs import leases
from stocktake.runs.attempt import Attempt
from stocktake.runs.ingest import mark_validity
from stocktake.runs.sources import open_table


def run(attempt: Attempt) -> None:
    """Read the whole source, mark each column, count the rows, and end the job.

    Raises:
        JobError: the read failed, as its type says.
        SupersededError: the table changed meanwhile; nothing was written.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    opened = open_table(attempt)
    validation = validate(opened.source, opened.columns, attempt.limits, attempt.progress)
    with attempt.database.write() as session:
        table = leases.locked_table(session, attempt.claim)
        mark_validity(table, validation.checks)
        if _same_source(table, validation):
            table.row_count = validation.row_count
            table.size_bytes = validation.size_bytes
            table.validated_state = table.source_state
        leases.succeed(session, attempt.claim, _result(validation))


def _same_source(table: Table, validation: Validation) -> bool:
    """Whether the files that were read in full are those that the columns were taken from."""
    state = table.source_state or {}
    return bool(state.get("fingerprint") == validation.state.get("fingerprint"))


def _result(validation: Validation) -> dict[str, Any]:
    return {
        "columns": len(validation.checks),
        "row_count": validation.row_count,
        "size_bytes": validation.size_bytes,
        "invalid": [
            {
                "name": check.name,
                "file": check.file,
                "line": check.line,
                "found": check.found,
            }
            for check in validation.checks
            if not check.valid
        ],
    }
