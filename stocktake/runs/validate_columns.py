"""`validate_columns`: read all of a text source and hold every column to its type."""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from stocktake.catalog.tables import locked_for
from stocktake.db.models import Table
from stocktake.jobs import leases
from stocktake.readers import validate
from stocktake.readers.source import ColumnCheck, Source, Validation
from stocktake.runs.attempt import Attempt
from stocktake.runs.opening import open_table
from stocktake.schema.columns import Column

#: Columns that a result names: all are marked in the table, and a job's row stays small.
_MOST_SHOWN: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which columns hold, each for the type that it was held to.

    Attributes:
        by_column: by the column's name and ClickHouse type.
    """

    by_column: dict[tuple[str, str], ColumnCheck]

    @classmethod
    def of_typed(cls, columns: tuple[Column, ...]) -> Self:
        """Return the columns of a source that carries its own types, to which they hold."""
        checks = [ColumnCheck(name=column.name, valid=True) for column in columns]
        return cls(
            by_column={
                (c.name, c.clickhouse): check for c, check in zip(columns, checks, strict=True)
            }
        )

    def mark(self, table: Table) -> None:
        """Write `valid` to the locked table's columns. One whose type a user has set since the
        read began was not judged, and keeps what it has."""
        columns = [Column.from_dict(stored) for stored in table.columns]
        checks = [self.by_column.get((column.name, column.clickhouse)) for column in columns]
        table.columns = [
            (replace(column, valid=check.valid) if check else column).as_dict()
            for column, check in zip(columns, checks, strict=True)
        ]


def run(attempt: Attempt) -> None:
    """Read the whole source, mark each column, count the rows, and end the job.

    Validity is no part of a schema: no schema version is made.

    Raises:
        JobError: the read failed, as its type says.
        SupersededError: the table changed meanwhile; nothing was written.
        StaleAttemptError: the lease was lost; nothing was written.
    """
    opened = open_table(attempt)
    columns = opened.columns()
    validation = validate(opened.source, columns, attempt.limits, attempt.progress)
    verdict = verdict_of(validation, columns)
    with attempt.process.database.write() as session:
        table = locked_for(session, attempt.claim)
        verdict.mark(table)
        if _same_source(table, validation):
            table.row_count = validation.row_count
            table.size_bytes = validation.size_bytes
            table.validated_state = table.source_state
        leases.succeed(session, attempt.claim, _result(validation))


def judge(attempt: Attempt, source: Source, columns: tuple[Column, ...]) -> Verdict:
    """Hold the columns to all of a text source. Raises what `validate` raises."""
    return verdict_of(validate(source, columns, attempt.limits, attempt.progress), columns)


def verdict_of(validation: Validation, columns: tuple[Column, ...]) -> Verdict:
    """Return a validation's checks, by what was checked."""
    types = {column.name: column.clickhouse for column in columns}
    return Verdict(
        by_column={(check.name, types[check.name]): check for check in validation.checks}
    )


def _same_source(table: Table, validation: Validation) -> bool:
    """Return whether the files that were read in full are those that the columns were taken
    from."""
    state = table.source_state or {}
    return bool(state.get("fingerprint") == validation.state.get("fingerprint"))


def _result(validation: Validation) -> dict[str, Any]:
    invalid = [check for check in validation.checks if not check.valid]
    return {
        "columns": len(validation.checks),
        "row_count": validation.row_count,
        "size_bytes": validation.size_bytes,
        "invalid_count": len(invalid),
        "invalid": [
            {
                "name": check.name,
                "file": check.file,
                "line": check.line,
                "found": check.found,
            }
            for check in invalid[:_MOST_SHOWN]
        ],
    }
