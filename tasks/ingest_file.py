"""Check an uploaded file and make it a table's content."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.INGEST_FILE.value)
def ingest_file(attempt: Attempt) -> None:
    """Check an uploaded file and make it a table's content."""
    from stocktake.runs.ingest_file import (
        run,  # late: the clock and Flower load no readers
    )

    run(attempt)
