"""Check an uploaded file and make it a table's content."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.INGEST_FILE.value)
def ingest_file(attempt: Attempt) -> None:
    """Check an uploaded file and make it a table's content."""
    from stocktake.runs import ingest  # late: the clock and Flower load tasks, never readers

    ingest.run(attempt)
