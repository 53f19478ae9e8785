"""Every route is asked by a method of the client, or there is a reason why none asks it."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from stocktake.client import AsyncClient, Client, NotFoundError, RefusedError
from tests.integration.api.conftest import Served
from tests.integration.api.playing import start_worker
from tests.integration.api.test_client import ORDERS, PUBLIC, api, change, finish, kind, open_api
from tests.security.routes import ACCOUNT, PROJECT

__all__ = ["api", "change", "finish", "kind", "open_api"]

#: By route, the method that asks it.
METHODS: Final = {
    "GET ": "project.get",
    "PATCH ": "project.edit",
    "GET audit_log/": "audit_log",
    "GET jobs/": "jobs.list",
    "GET jobs/{job_id}/": "jobs.get",
    "GET jobs/{job_id}/events/": "jobs.watch",
    "GET events/": "watch",
    "POST jobs/{job_id}/cancel/": "jobs.cancel",
    "POST jobs/{job_id}/retry/": "jobs.retry",
    "POST warehouse_tables/file/": "tables.upload",
    "POST warehouse_tables/check/": "tables.check_source",
    "POST warehouse_tables/refresh/": "batches.refresh",
    "GET batches/": "batches.list",
    "POST batches/": "batches.start",
    "GET batches/{batch_id}/": "batches.get",
    "POST batches/{batch_id}/cancel/": "batches.cancel",
    "GET schedules/": "schedules.list",
    "POST schedules/": "schedules.create",
    "GET schedules/{schedule_id}/upcoming/": "schedules.upcoming",
    "PATCH schedules/{schedule_id}/": "schedules.edit",
    "DELETE schedules/{schedule_id}/": "schedules.delete",
    "POST schedules/{schedule_id}/run/": "schedules.run_now",
    "GET changes/": "changes.list",
    "GET changes/{change_id}/": "changes.get",
    "POST changes/{change_id}/decide/": "changes.decide",
    "POST changes/{change_id}/undo/": "changes.undo",
    "GET warehouse_tables/": "tables.list",
    "GET warehouse_tables/counts/": "tables.counts",
    "POST warehouse_tables/": "tables.create",
    "GET warehouse_tables/{table_id}/": "tables.get",
    "PATCH warehouse_tables/{table_id}/": "tables.edit",
    "DELETE warehouse_tables/{table_id}/": "tables.delete",
    "POST warehouse_tables/{table_id}/refresh_schema/": "tables.refresh",
    "POST warehouse_tables/{table_id}/preview/": "tables.preview",
    "POST warehouse_tables/{table_id}/maintain/": "tables.maintain",
    "POST warehouse_tables/{table_id}/restore/": "tables.restore",
    "GET warehouse_tables/{table_id}/schema/": "tables.schema",
    "POST warehouse_tables/{table_id}/check/": "tables.check_landing",
    "POST warehouse_tables/{table_id}/update_schema/": "tables.set_types",
    "GET warehouse_tables/{table_id}/schema_versions/": "tables.history",
    "GET warehouse_tables/{table_id}/schema_versions/{number}/": "tables.version",
    "GET warehouse_tables/{table_id}/schema_versions/{number}/diff/": "tables.diff",
    "GET /api/projects/": "projects",
    "GET /api/personal_api_keys/@current/": "whoami",
}
#: Without one, and why.
NONE: Final = {
    "GET keys/": "keys are the operator's, who has `stocktake keys list` beside the database",
    "GET schedules/{schedule_id}/": "`schedules.get` takes a name, too, and so looks into the list",
    "POST warehouse_tables/upload_file/": "the first of two steps that `tables.upload` does in one",
    "POST warehouse_tables/create_from_upload/": "the second of them",
    "PUT warehouse_tables/{table_id}/": "the same as PATCH, for PostHog's clients",
    "GET /api/users/@me/": "for PostHog's tools: `whoami` tells of the key what it tells of a user",
}


def test_each_route_has_a_method_or_a_reason() -> None:
    assert METHODS.keys() | NONE.keys() == set(PROJECT) | ACCOUNT
    assert not METHODS.keys() & NONE.keys()


@pytest.mark.parametrize("made", [Client, AsyncClient])
def test_both_clients_have_each_method(made: type[Any]) -> None:
    client = made("http://127.0.0.1:1", "key")
    for name in METHODS.values():
        found = client
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found), name


def test_a_table_follows_its_project_again(api: Any) -> None:
    made = {"change_policy": "manual", "stale_after_seconds": 60}
    api.tables.create("orders", **ORDERS, **PUBLIC, **made)
    follows = api.tables.edit("orders", change_policy="project", stale_after_seconds=0)
    assert {name: follows.raw[name] for name in made} == dict.fromkeys(made)


def test_a_client_says_who_it_is_and_what_was_done(
    api: Any, project_id: int, make_table: Callable[..., UUID]
) -> None:
    made = api.schedules.create("nightly", cron="0 3 * * *", selector={"all": True})
    key = api.whoami()
    assert (key.scoped_teams, "*" in key.scopes) == ((project_id,), True)
    assert [each.id for each in api.projects()] == [project_id]
    (entry,) = api.audit_log(subject=made.id)
    assert (entry.action, entry.key_prefix) == ("schedule.create", key.mask_value.rstrip("."))
    make_table("orders")
    next_ones = api.schedules.upcoming("nightly", count=2)
    assert (len(next_ones.fires), next_ones.tables) == (2, 1)


@pytest.mark.usefixtures("change")
def test_the_schema_that_was_live(api: Any) -> None:
    with pytest.raises(NotFoundError):
        api.tables.schema("orders")
    api.changes.accept(api.changes.latest("orders"))
    assert [each.name for each in api.tables.schema("orders").columns] == ["id", "n", "note"]
    now = api.tables.schema("orders", as_of=datetime.now(UTC))
    assert (now.number, now.live_until) == (2, None)
    with pytest.raises(RefusedError, match="Nothing is known"):
        api.tables.schema("orders", as_of=date(2020, 1, 1))


def test_a_file_is_judged_before_it_lands(
    served: Served, api: Any, finish: Any, make_table: Callable[..., UUID], tmp_path: Path
) -> None:
    make_table("orders")
    start_worker(served, lambda _, job_id: finish(job_id, {"change": "breaking"}))
    file = tmp_path / "new.parquet"
    file.write_bytes(b"PAR1")
    where = "https://bucket.s3.amazonaws.com/orders/new.parquet"
    for each in (file, str(file), io.BytesIO(b"PAR1"), where):
        assert api.tables.check_landing(each, "orders").result.change == "breaking"
    with pytest.raises(RefusedError, match="bucket that the table reads"):
        api.tables.check_landing("https://other.s3.amazonaws.com/new.parquet", "orders")
