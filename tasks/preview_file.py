"""Show the first rows of one file of a table."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.PREVIEW_FILE.value)
def preview_file(attempt: Attempt) -> None:
    """Show the first rows of one file of a table."""
    from stocktake.runs.preview_file import run  # late: the clock and Flower load no readers

    run(attempt)
