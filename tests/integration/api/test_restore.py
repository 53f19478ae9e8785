"""`restore/`: which requests to take a managed Delta table back are taken."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from stocktake.db.models import Job
from stocktake.states import JobKind
from tests.integration.api.conftest import MakeJob


@pytest.fixture
def managed(make_table: Callable[..., UUID]) -> UUID:
    return make_table(
        "ledger", format="Delta", managed=True, url_pattern="managed:///delta/1/x", source_version=7
    )


def restore(client: httpx.Client, table_id: Any, **more: Any) -> httpx.Response:
    return client.post(f"warehouse_tables/{table_id}/restore/", **more)


@pytest.mark.parametrize(("sent", "wanted"), [({}, None), ({"json": {"version": 3}}, 3)])
def test_a_restore_is_a_job_of_what_the_table_was_when_it_was_asked_for(
    client: httpx.Client,
    managed: UUID,
    job_row: Callable[[UUID], Job],
    sent: dict[str, Any],
    wanted: int | None,
) -> None:
    answer = restore(client, managed, **sent)

    assert (answer.status_code, answer.json()["kind"]) == (202, "restore_table")
    job = job_row(UUID(answer.json()["id"]))
    assert job.arguments == {"version": wanted, "as_of": 7}
    shown = client.get(f"warehouse_tables/{managed}/").json()["latest_job"]
    assert shown["id"] == answer.json()["id"]


def test_a_second_one_is_refused_until_the_first_has_ended(
    client: httpx.Client, managed: UUID
) -> None:
    assert restore(client, managed).status_code == 202
    assert restore(client, managed, json={"version": 3}).status_code == 409


def test_one_is_refused_while_an_upload_waits(
    client: httpx.Client, managed: UUID, make_job: MakeJob
) -> None:
    make_job(table_id=managed, kind=JobKind.INGEST_FILE)
    answer = restore(client, managed)

    assert (answer.status_code, "has not ended" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("version", [7, 8, -1, "seven"])
def test_a_version_that_does_not_lie_behind_is_refused(
    client: httpx.Client, managed: UUID, version: Any
) -> None:
    assert restore(client, managed, json={"version": version}).status_code == 400


def test_a_table_without_a_load_has_nothing_to_go_back_to(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    empty = make_table("empty", format="Delta", managed=True, url_pattern="managed:///delta/1/y")
    assert restore(client, empty).status_code == 400
