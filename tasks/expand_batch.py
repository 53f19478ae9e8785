"""Make the jobs of a bulk refresh."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.EXPAND_BATCH.value)
def expand_batch(attempt: Attempt) -> None:
    """Make the jobs of a bulk refresh."""
    from stocktake.runs.expand_batch import (
        run,  # late: the clock and Flower load no readers
    )

    run(attempt)
