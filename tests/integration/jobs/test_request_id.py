"""A job remembers the request that led to it, and hands it on to the jobs that it makes."""

import structlog

from stocktake.db.models import Table
from stocktake.db.session import Database
from tests.support.rows import claimed, enqueue, job, refresh_of


def test_a_job_made_in_a_request_carries_its_id_into_the_claim(
    database: Database, table: Table
) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        job_id = enqueue(database, refresh_of(table))
    assert job(database, job_id).request_id == "r-1"
    fields = claimed(database, job_id).log_fields()
    assert fields == {
        "job_id": str(job_id),
        "table_id": str(table.id),
        "request_id": "r-1",
        "attempt": 1,
    }


def test_a_job_of_the_clock_has_none(database: Database, table: Table) -> None:
    job_id = enqueue(database, refresh_of(table))
    assert "request_id" not in claimed(database, job_id).log_fields()
