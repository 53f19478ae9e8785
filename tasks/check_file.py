"""Say what an upload would do to a table."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.CHECK_FILE.value)
def check_file(attempt: Attempt) -> None:
    """Say what an upload would do to a table."""
    from stocktake.runs.check_file import run  # late: the clock and Flower load no readers

    run(attempt)
