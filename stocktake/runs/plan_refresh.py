"""`plan_refresh`: say what a refresh would change, by the same read, and store nothing."""

from typing import Any

from sqlalchemy.orm import Session

from stocktake.catalog import changes
from stocktake.catalog.tables import locked_for
from stocktake.db.models import Table
from stocktake.jobs import leases
from stocktake.readers import introspect
from stocktake.readers.limits import check_schema
from stocktake.readers.source import Introspection
from stocktake.runs.attempt import Attempt
from stocktake.runs.blame import blame
from stocktake.runs.opening import open_table
from stocktake.runs.refresh_schema import columns_of_source
from stocktake.schema.decisions import Columns, worst
from stocktake.schema.diff import apply_overrides, diff


def run(attempt: Attempt) -> None:
    """Read the claim's table's source, and end the job with the difference.

    Raises:
        JobError: the read failed, as its type says.
        SupersededError: the table changed meanwhile.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    opened = open_table(attempt)
    found = introspect(opened.source, attempt.limits, attempt.progress)
    with attempt.process.database.write() as session:
        table = locked_for(session, attempt.claim)
        leases.succeed(session, attempt.claim, _result(session, table, found, attempt))


def _result(
    session: Session, table: Table, found: Introspection, attempt: Attempt
) -> dict[str, Any]:
    fresh = _fresh(session, table, found)
    check_schema(fresh, attempt.limits)
    sorted_out = changes.sort_out(session, table, fresh)
    change = diff(sorted_out.live, sorted_out.asked)
    return {
        "columns": len(sorted_out.asked),
        "schema_version": table.schema_version,
        "change": change.change,
        "diff": change.as_dict(),
        "policy": sorted_out.policy,
        "waits": worst(part.change for part in sorted_out.waiting),
        "source_version": found.source_version,
        "coverage": found.coverage.as_dict(),
        "warnings": [warning.as_dict() for warning in found.warnings],
    }


def _fresh(session: Session, table: Table, found: Introspection) -> Columns:
    """Return the columns as the source has them."""
    live, known = changes.columns_of(table.columns), changes.source_columns(session, table)
    if found.coverage.unchanged:
        # As it was read last, of which some may wait.
        return apply_overrides(live, known)
    # With columns that swing as a refresh would store them.
    return blame(table, known, columns_of_source(live, known, found), found).columns
