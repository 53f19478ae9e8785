"""A task that does nothing, on a Celery app with the settings of ours: the yardstick for jobs.

The worker is ``celery -A benchmarks.noop worker``, told its broker as ours is.
"""

from typing import Any, Final

from celery import Celery

from stocktake.settings import Settings
from tasks.app import configure

TASK: Final = "benchmarks.noop"
_OF_OURS_ONLY: Final = {"include", "deprecated_settings"}


def _settings_of_ours() -> dict[str, Any]:
    conf = configure(Settings()).conf
    names = conf.table(with_defaults=False).keys() - _OF_OURS_ONLY
    # Read one by one: the table itself masks the broker's password.
    return {name: conf[name] for name in names}


app = Celery("noop")
app.conf.update(_settings_of_ours())


@app.task(name=TASK)
def noop(job_id: str) -> None:
    """Take an id, as a job's task does, and return."""
