"""Say what a refresh would change."""

from stocktake.runs.attempt import Attempt
from stocktake.states import JobKind
from tasks.app import app
from tasks.base import JobTask


@app.task(base=JobTask, name=JobKind.PLAN_REFRESH.value)
def plan_refresh(attempt: Attempt) -> None:
    """Say what a refresh would change."""
    from stocktake.runs.plan_refresh import run  # late: the clock and Flower load no readers

    run(attempt)
