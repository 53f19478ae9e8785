"""The audit log over HTTP: only for keys that may, only the project's own."""

from collections.abc import Callable

import httpx
import pytest

from tests.integration.api.conftest import MakeKey

Connect = Callable[..., httpx.Client]
NIGHTLY = {"name": "nightly", "cron": "0 2 * * *", "selector": {"all": True}}


@pytest.fixture
def schedule(client: httpx.Client) -> str:
    """The id of a schedule that was made and deleted."""
    made: str = client.post("schedules/", json=NIGHTLY).json()["id"]
    assert client.delete(f"schedules/{made}/").status_code == 204
    return made


def test_changes_are_listed_newest_first_with_who_made_them(
    client: httpx.Client, schedule: str
) -> None:
    key = client.get(client.base_url.join("/api/personal_api_keys/@current/")).json()

    listed = client.get("audit_log/", params={"subject": schedule}).json()

    assert [each["action"] for each in listed["results"]] == ["schedule.delete", "schedule.create"]
    assert listed["count"] == 2
    for each in listed["results"]:
        assert each["key_prefix"] == key["mask_value"][: len(each["key_prefix"])]
        assert each["user_id"] == client.get(client.base_url.join("/api/users/@me/")).json()["id"]
    one = client.get("audit_log/", params={"action": "schedule.create"}).json()
    assert one["results"] == listed["results"][1:]


def test_pages_follow_each_other(client: httpx.Client, schedule: str) -> None:
    first = client.get("audit_log/", params={"limit": 1, "subject": schedule}).json()
    second = client.get(first["next"]).json()

    assert first["results"][0]["action"] == "schedule.delete"
    assert second["results"][0]["action"] == "schedule.create"
    assert second["next"] is None


def test_another_projects_entries_are_not_there(
    connect: Connect, make_key: MakeKey, other_project: int, schedule: str
) -> None:
    theirs = connect(make_key(["*"], other_project))

    listed = theirs.get(f"/api/projects/{other_project}/audit_log/", params={"subject": schedule})

    assert listed.json()["results"] == []


@pytest.mark.parametrize("scope", ["warehouse_table:read", "warehouse_table:write"])
def test_a_key_for_tables_does_not_see_it(
    connect: Connect, make_key: MakeKey, project_id: int, scope: str
) -> None:
    answer = connect(make_key(scopes=[scope])).get(f"/api/projects/{project_id}/audit_log/")

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "audit_log:read" in answer.json()["detail"]


def test_a_key_for_the_log_alone_reads_it_and_nothing_else(
    connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    auditor = connect(make_key(scopes=["audit_log:read"]))

    assert auditor.get(f"/api/projects/{project_id}/audit_log/").status_code == 200
    assert auditor.get(f"/api/projects/{project_id}/jobs/").status_code == 403


def test_a_filter_that_cannot_be_is_refused(client: httpx.Client) -> None:
    for wrong in ({"action": "a\x00b"}, {"action": "x" * 65}, {"subject": "1"}):
        assert client.get("audit_log/", params=wrong).status_code == 400, wrong
