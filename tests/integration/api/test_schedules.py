"""Schedules over HTTP: what is kept, what is refused, and the run at once."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from stocktake.db.session import Ring
from stocktake.states import JobKind
from tests.integration.api.conftest import MakeKey

NIGHTLY = {"name": "nightly", "cron": "0 2 * * *", "selector": {"all": True}}


def _make(client: httpx.Client, **fields: Any) -> dict:
    answer = client.post("schedules/", json=NIGHTLY | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_schedule_comes_back_as_it_was_given_with_its_next_fire(client: httpx.Client) -> None:
    given = NIGHTLY | {
        "timezone": "Europe/Berlin",
        "jitter_seconds": 90.5,
        "selector": {"name_glob": "sales_*", "stale_for_seconds": 60},
    }
    made = _make(client, **given)
    assert {name: made[name] for name in given} == given
    assert (made["paused"], made["last_fire_at"]) == (False, None)
    planned = datetime.fromisoformat(made["next_fire_at"])
    assert timedelta() < planned - datetime.now(UTC) < timedelta(hours=26)
    assert planned.utcoffset() == timedelta()
    assert client.get(f"schedules/{made['id']}/").json() == made


def test_what_is_left_out_has_a_default(client: httpx.Client) -> None:
    made = _make(client)
    assert (made["timezone"], made["jitter_seconds"], made["paused"]) == ("UTC", 0.0, False)


def test_a_paused_schedule_has_no_next_fire(client: httpx.Client) -> None:
    assert _make(client, paused=True)["next_fire_at"] is None


def test_two_schedules_may_have_one_name(client: httpx.Client) -> None:
    assert _make(client)["id"] != _make(client)["id"]


def test_the_list_is_newest_first_and_paged(client: httpx.Client, other_project: int) -> None:
    ids = [_make(client, name=f"s{number}")["id"] for number in range(3)]
    first = client.get("schedules/", params={"limit": 2}).json()
    assert (first["count"], [each["id"] for each in first["results"]]) == (3, ids[:0:-1])
    second = client.get(first["next"]).json()
    assert [each["id"] for each in second["results"]] == [ids[0]]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"cron": "* * * *"}, "cron"),
        ({"cron": "*/5 * * * * *"}, "cron"),
        ({"cron": "0 0 30 2 *"}, "cron"),
        ({"cron": "99 * * * *"}, "cron"),
        ({"cron": "0 0 * * *" + " " * 200}, "cron"),
        ({"cron": None}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"jitter_seconds": -1}, "jitter_seconds"),
        ({"jitter_seconds": 3601}, "jitter_seconds"),
        ({"jitter_seconds": "much"}, "jitter_seconds"),
        ({"jitter_seconds": "5"}, "jitter_seconds"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": None}, "name"),
        ({"selector": {}}, "selector"),
        ({"selector": {"all": False}}, "selector__all"),
        ({"selector": {"format": "parquet"}}, "selector__format"),
        ({"selector": {"tables": [str(uuid4())]}}, "selector__tables"),
        ({"selector": {"nope": 1}}, "selector__nope"),
        ({"selector": []}, "selector"),
        ({"paused": "perhaps"}, "paused"),
        ({"paused": "true"}, "paused"),
        ({"paused": 1}, "paused"),
    ],
)
def test_a_wrong_field_is_refused_on_create_and_on_change(
    client: httpx.Client, fields: dict[str, Any], attr: str
) -> None:
    refused = client.post("schedules/", json=NIGHTLY | fields)
    assert (refused.status_code, refused.json()["attr"]) == (400, attr), refused.text
    assert client.get("schedules/").json()["count"] == 0

    made = _make(client)
    refused = client.patch(f"schedules/{made['id']}/", json=fields)
    assert (refused.status_code, refused.json()["attr"]) == (400, attr), refused.text
    assert client.get(f"schedules/{made['id']}/").json() == made


@pytest.mark.parametrize("missing", ["name", "cron", "selector"])
def test_a_required_field_is_asked_for(client: httpx.Client, missing: str) -> None:
    body = {name: value for name, value in NIGHTLY.items() if name != missing}
    answer = client.post("schedules/", json=body)
    assert (answer.status_code, answer.json()["attr"]) == (400, missing)
    assert answer.json()["code"] == "required"


def test_a_change_of_the_rule_or_the_zone_plans_the_next_fire_anew(client: httpx.Client) -> None:
    made = _make(client, cron="0 12 * * *")
    path = f"schedules/{made['id']}/"
    moved = client.patch(path, json={"timezone": "Asia/Tokyo"}).json()
    assert datetime.fromisoformat(moved["next_fire_at"]).hour == 3
    moved = client.patch(path, json={"cron": "30 13 * * *"}).json()
    planned = datetime.fromisoformat(moved["next_fire_at"])
    assert (planned.hour, planned.minute) == (4, 30)
    assert planned > datetime.now(UTC)


def test_a_change_of_something_else_leaves_the_next_fire(client: httpx.Client) -> None:
    made = _make(client)
    change = {"name": "renamed", "selector": {"format": "CSV"}, "jitter_seconds": 5}
    changed = client.patch(f"schedules/{made['id']}/", json=change).json()
    assert changed == made | change


def test_a_pause_and_its_end(client: httpx.Client) -> None:
    made = _make(client)
    path = f"schedules/{made['id']}/"
    assert client.patch(path, json={"paused": True}).json()["next_fire_at"] is None
    assert client.patch(path, json={"paused": False}).json()["next_fire_at"] == made["next_fire_at"]


def test_what_an_answer_holds_may_be_sent_back(client: httpx.Client) -> None:
    made = _make(client)
    answer = client.patch(f"schedules/{made['id']}/", json=made)
    assert (answer.status_code, answer.json()) == (200, made)


def test_a_deleted_schedule_is_gone_and_its_batches_stay(client: httpx.Client) -> None:
    made = _make(client)
    batch = client.post(f"schedules/{made['id']}/run/").json()
    answer = client.delete(f"schedules/{made['id']}/")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"schedules/{made['id']}/").status_code == 404
    assert client.delete(f"schedules/{made['id']}/").status_code == 404
    assert client.get(f"batches/{batch['id']}/").status_code == 200


@pytest.mark.parametrize("paused", [False, True])
def test_a_run_at_once_starts_a_batch_and_leaves_the_rule_alone(
    client: httpx.Client, rings: list[Ring], project_id: int, paused: bool
) -> None:
    made = _make(client, selector={"format": "CSV"}, paused=paused)
    answer = client.post(f"schedules/{made['id']}/run/")
    batch = answer.json()
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/projects/{project_id}/batches/{batch['id']}/"
    assert (batch["schedule_id"], batch["selector"]) == (made["id"], {"format": "CSV"})
    assert [ring.kind for ring in rings] == [JobKind.EXPAND_BATCH]
    assert client.get(f"schedules/{made['id']}/").json() == made


def test_a_schedule_is_seen_in_its_own_project_only(
    client: httpx.Client, make_key: MakeKey, other_project: int
) -> None:
    made = _make(client)
    theirs = {"authorization": f"Bearer {make_key(['*'], other_project)}"}
    base = client.base_url.join(f"/api/projects/{other_project}/schedules/")
    one = base.join(f"{made['id']}/")
    assert client.get(base, headers=theirs).json()["count"] == 0
    assert client.get(one, headers=theirs).status_code == 404
    assert client.patch(one, json={"name": "mine"}, headers=theirs).status_code == 404
    assert client.delete(one, headers=theirs).status_code == 404
    assert client.post(one.join("run/"), headers=theirs).status_code == 404
    assert client.get(f"schedules/{made['id']}/").json() == made


def test_another_tenants_table_is_not_taken_into_a_selector(
    client: httpx.Client, make_table: Callable[..., UUID], other_project: int
) -> None:
    theirs = make_table("theirs", other_project)
    answer = client.post("schedules/", json=NIGHTLY | {"selector": {"tables": [str(theirs)]}})
    assert answer.status_code == 400
    assert str(theirs) in answer.json()["detail"]


def test_a_key_that_may_only_read_looks_and_does_not_touch(
    client: httpx.Client, make_key: MakeKey
) -> None:
    path = f"schedules/{_make(client)['id']}/"
    reader = {"authorization": f"Bearer {make_key(['warehouse_table:read'])}"}
    assert client.get(path, headers=reader).status_code == 200
    assert client.post("schedules/", json=NIGHTLY, headers=reader).status_code == 403
    assert client.patch(path, json={"name": "x"}, headers=reader).status_code == 403
    assert client.post(f"{path}run/", headers=reader).status_code == 403
    assert client.delete(path, headers=reader).status_code == 403


@pytest.mark.parametrize(
    ("key", "told"),
    [("time_zone", "did you mean 'timezone'?"), ("jitter", "did you mean 'jitter_seconds'?")],
)
def test_a_misspelt_field_is_told(client: httpx.Client, key: str, told: str) -> None:
    refused = client.post("schedules/", json=NIGHTLY | {key: "x"})
    assert (refused.status_code, refused.json()["attr"]) == (400, key)
    assert told in refused.json()["detail"]


def test_an_answer_may_be_sent_back(client: httpx.Client) -> None:
    answer = client.post("schedules/", json=NIGHTLY).json()
    assert client.patch(f"schedules/{answer['id']}/", json=answer).status_code == 200


def test_a_schedule_tells_its_next_fires_and_how_many_tables_it_means(
    client: httpx.Client, make_table: Callable[..., UUID]
) -> None:
    ids = [str(make_table(name)) for name in ("sales_a", "sales_b", "other")]
    make_table("uploads", managed=True)  # nothing was uploaded yet
    glob = _make(client, cron="30 6 * * *", selector={"name_glob": "sales_*"}, paused=True)
    some = _make(client, name="some", selector={"tables": ids[1:]})

    coming = client.get(f"schedules/{glob['id']}/upcoming/", params={"count": 3}).json()

    fires = [datetime.fromisoformat(each) for each in coming["fires"]]
    assert [fire.strftime("%H:%M") for fire in fires] == ["06:30"] * 3
    assert [b - a for a, b in itertools.pairwise(fires)] == [timedelta(days=1)] * 2
    assert timedelta() < fires[0] - datetime.now(UTC) < timedelta(days=1, minutes=1)
    assert coming["tables"] == 2
    path = f"schedules/{some['id']}/upcoming/"
    assert client.get(path).json()["tables"] == 2
    assert len(client.get(path).json()["fires"]) == 5
    assert client.get(path, params={"count": 51}).status_code == 400
    all_of_them = _make(client, name="all")
    assert client.get(f"schedules/{all_of_them['id']}/upcoming/").json()["tables"] == 3
