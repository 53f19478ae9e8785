"""Take a managed Delta table back to an earlier version."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.RESTORE_TABLE.value)
def restore_table(attempt: Attempt) -> None:
    """Take a managed Delta table back to an earlier version."""
    from stocktake.runs.restore_table import run  # late: the clock and Flower load no readers

    run(attempt)
