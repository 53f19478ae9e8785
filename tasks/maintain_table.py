"""Keep a managed Delta table small and quick to read."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.MAINTAIN_TABLE.value)
def maintain_table(attempt: Attempt) -> None:
    """Keep a managed Delta table small and quick to read."""
    from stocktake.runs.maintain_table import run  # late: the clock and Flower load no readers

    run(attempt)
