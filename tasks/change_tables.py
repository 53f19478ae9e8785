"""Change or delete the tables of a batch."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.CHANGE_TABLES.value)
def change_tables(attempt: Attempt) -> None:
    """Change or delete the tables of a batch."""
    from stocktake.runs.change_tables import (
        run,  # late: the clock and Flower load no readers
    )

    run(attempt)
