"""Make the jobs of a bulk refresh."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.EXPAND_BATCH.value)
def expand_batch(attempt: Attempt) -> None:
    """Make the jobs of a bulk refresh."""
    from stocktake.runs import expand  # late: the clock and Flower load tasks, never readers

    expand.run(attempt)
