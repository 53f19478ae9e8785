from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from api.schemas.identity import ProjectKeyBody
from stocktake.db.models import Project
from stocktake.db.session import Database
from stocktake.services import identity
from tests.integration.api.conftest import MakeKey

Connect = Callable[..., httpx.Client]


def test_projects_are_those_of_the_key(
    connect: Connect, make_key: MakeKey, other_project: int, project_id: int
) -> None:
    page = connect(make_key()).get("/api/projects/").json()
    assert (page["count"], page["next"], page["previous"]) == (1, None, None)
    assert page["results"][0]["name"] == "Bakery"
    both = connect(make_key(["*"], project_id, other_project))
    first = both.get("/api/projects/", params={"limit": 1}).json()
    assert [one["id"] for one in first["results"]] == [project_id]
    second = both.get(first["next"]).json()
    assert [one["id"] for one in second["results"]] == [other_project]
    assert second["next"] is None


def test_a_project_answers_under_both_prefixes_and_as_current(
    connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    client = connect(make_key())
    bodies = [
        client.get(f"/api/{prefix}/{name}/").json()
        for prefix in ("projects", "environments")
        for name in (project_id, "@current")
    ]
    assert bodies[0]["id"] == project_id
    assert all(body == bodies[0] for body in bodies)


def test_me_is_whom_the_key_belongs_to(
    connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    me = connect(make_key(email="ada@example.com")).get("/api/users/@me/").json()
    assert me["email"] == "ada@example.com"
    assert me["team"]["id"] == project_id
    assert [one["id"] for one in me["organization"]["projects"]] == [project_id]


def test_the_current_key_shows_its_rights_and_not_its_value(
    connect: Connect, make_key: MakeKey, project_id: int
) -> None:
    key = make_key(["warehouse_table:read"], label="ci")
    answer = connect(key).get("/api/personal_api_keys/@current/")
    body = answer.json()
    assert (body["label"], body["value"]) == ("ci", None)
    assert (body["scopes"], body["scoped_teams"]) == (["warehouse_table:read"], [project_id])
    assert body["mask_value"].startswith(key[:10])
    assert key not in answer.text


def test_a_projects_keys_are_listed_newest_first_without_their_values(
    connect: Connect,
    make_key: MakeKey,
    database: Database,
    project_id: int,
    other_project: int,
) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    auditor = make_key(["audit_log:read"], label="audit")
    old = make_key(["warehouse_table:read"], project_id, other_project, label="old", expires=past)
    theirs = make_key(["*"], other_project, label="theirs")
    longer = int(f"{project_id}{project_id}")
    with database.write() as session:
        session.add(Project(id=longer, name="Of a number that has the project's in it"))
    make_key(["*"], longer, label="longer")
    gone = make_key(["*"], label="gone")
    with database.write() as session:
        identity.revoke_key(session, gone[:10])
    client = connect(auditor)
    client.base_url = client.base_url.join(f"/api/projects/{project_id}/")
    first = client.get("keys/", params={"limit": 2})
    second = client.get(first.json()["next"])
    found = first.json()["results"] + second.json()["results"]
    assert first.json()["count"] == 3
    assert [each["label"] for each in found] == ["gone", "old", "audit"]
    assert [bool(each["revoked_at"]) for each in found] == [True, False, False]
    assert [bool(each["expires_at"]) for each in found] == [False, True, False]
    assert found[2]["mask_value"] == f"{auditor[:10]}..."
    for key in (auditor, old, theirs, gone):
        assert key not in first.text + second.text
    assert set(found[0]) == set(ProjectKeyBody.model_fields)


@pytest.mark.parametrize("scope", ["warehouse_table:write", "warehouse_table:read_rows"])
def test_a_key_for_tables_sees_no_other(
    connect: Connect, make_key: MakeKey, project_id: int, scope: str
) -> None:
    answer = connect(make_key([scope])).get(f"/api/projects/{project_id}/keys/")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_identity_needs_a_key(anonymous: httpx.Client) -> None:
    for path in ("projects", "projects/1", "users/@me", "personal_api_keys/@current"):
        assert anonymous.get(f"/api/{path}/").status_code == 401, path
