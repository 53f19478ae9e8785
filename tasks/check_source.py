"""Try a source: whether it can be reached, listed and read."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.CHECK_SOURCE.value)
def check_source(attempt: Attempt) -> None:
    """Try a source: whether it can be reached, listed and read."""
    from stocktake.runs.check_source import run  # late: the clock and Flower load no readers

    run(attempt)
