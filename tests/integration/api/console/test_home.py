"""The first page: what needs somebody, and what does not."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx

from stocktake.db.models import Batch, Schedule, ScheduleFire
from stocktake.db.session import Database
from tests.integration.api.conftest import FinishJob, MakeJob
from tests.integration.api.console.conftest import text_of

AT = datetime(2026, 11, 2, 6, tzinfo=UTC)


def test_schedules_that_are_paused_or_fail_are_named(
    browser: httpx.Client,
    database: Database,
    project_id: int,
    make_table: Callable[..., UUID],
    make_job: MakeJob,
    finish_job: FinishJob,
    fail_job: Any,
) -> None:
    make_table()
    batches = {name: _fired(database, project_id, name) for name in ("good", "bad", "old")}
    _fired(database, project_id, "idle", paused=True)
    finish_job(make_job(batch_id=batches["good"]))
    fail_job(make_job(batch_id=batches["bad"]))
    fail_job(make_job(batch_id=batches["old"]))
    with database.write() as session:
        # It has fired again since, and that was well.
        old = session.query(Schedule).filter_by(name="old").one()
        old.last_fire_at = AT.replace(hour=7)
    page = text_of(browser.get(""))
    assert "Schedules that fail" in page
    assert f"/batches/{batches['bad']}" in page
    assert "1 job of the last run" in page
    assert f"/batches/{batches['good']}" not in page
    assert f"/batches/{batches['old']}" not in page
    assert "Paused schedules" in page
    assert ">idle</a>" in page


def _fired(database: Database, project_id: int, name: str, *, paused: bool = False) -> UUID:
    """Add a schedule that has fired once: the id of its batch."""
    rule: dict[str, Any] = {"cron": "0 6 * * *", "selector": {"all": True}, "paused": paused}
    with database.write() as session:
        schedule = Schedule(project_id=project_id, name=name, last_fire_at=AT, **rule)
        session.add(schedule)
        session.flush()
        batch = Batch(project_id=project_id, selector={"all": True}, schedule_id=schedule.id)
        session.add(batch)
        session.flush()
        session.add(ScheduleFire(schedule_id=schedule.id, fire_at=AT, batch_id=batch.id))
        return batch.id
