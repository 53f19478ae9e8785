"""Read all of a text source and hold every column to its type."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.VALIDATE_COLUMNS.value)
def validate_columns(attempt: Attempt) -> None:
    """Read all of a text source and hold every column to its type."""
    from stocktake.runs.validate_columns import (
        run,  # late: the clock and Flower load no readers
    )

    run(attempt)
