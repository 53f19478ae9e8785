"""Read a table's source and keep its columns true."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.REFRESH_SCHEMA.value)
def refresh_schema(attempt: Attempt) -> None:
    """Read a table's source and keep its columns true."""
    from stocktake.runs.refresh_schema import (
        run,  # late: the clock and Flower load no readers
    )

    run(attempt)
