"""Who may do what in the console: no more than by the API, with the same key."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from stocktake.db.models import AuditEntry
from stocktake.db.session import Database
from tests.integration.api.console.conftest import SignIn, post, text_of
from tests.security.routes import CONSOLE

MakeTable = Callable[..., UUID]


def _paths(method: str, project: int, thing: UUID) -> list[str]:
    found = [each.partition(" ")[2] for each in sorted(CONSOLE) if each.startswith(method)]
    names = {name: str(thing) for name in ("table_id", "change_id", "job_id")}
    names |= {"batch_id": str(thing), "schedule_id": str(thing), "project_id": str(project)}
    return [path.format(**names) for path in found]


def test_without_a_session_nothing_is_shown_or_done(
    anonymous: httpx.Client, client: httpx.Client, make_table: MakeTable, project_id: int
) -> None:
    """A bearer token is no session either: it is the API's."""
    table = make_table("secret_name")
    for asking in (anonymous, client):
        for method in ("GET", "POST"):
            for path in _paths(method, project_id, table):
                url = str(asking.base_url.copy_with(path=path))
                own = {"Sec-Fetch-Site": "same-origin"}
                answer = asking.request(method, url, headers=own)
                assert answer.status_code == 401, path
                assert "secret_name" not in answer.text


def test_another_tenants_things_are_not_found(
    sign_in: SignIn, make_table: MakeTable, other_project: int, project_id: int
) -> None:
    table = make_table("secret_name", other_project)
    browser = sign_in()
    named = [path for path in _paths("GET", project_id, table) if str(table) in path]
    for path in [*named, *_paths("GET", other_project, table)]:
        answer = browser.get(path)
        assert "secret_name" not in text_of(answer, 404), path
    for path in (path for path in _paths("POST", project_id, table) if str(table) in path):
        fields = {"accept": "all", "sure": "yes", "version": "0", "at": "0"}
        answer = post(browser, path, fields)
        # A check names its table in what it asks, so that is refused as the API refuses it.
        refused = 400 if path.endswith("/check") else 404
        assert answer.status_code == refused, path
        assert "secret_name" not in answer.text


def test_a_key_that_may_only_look_sees_disabled_buttons_and_can_do_nothing(
    sign_in: SignIn, make_table: MakeTable, project_id: int, database: Database
) -> None:
    table = make_table()
    browser = sign_in(["warehouse_table:read"])
    page = text_of(browser.get(f"/p/{project_id}/tables/{table}"))
    assert 'title="Your key lacks the scope warehouse_table:write"' in page
    assert page.count("disabled") == 1
    for path in _paths("POST", project_id, table):
        answer = post(browser, path, {"accept": "all", "sure": "yes"})
        scope = "read_rows" if path.endswith("/data") else "write"
        assert f"warehouse_table:{scope}" in text_of(answer, 403), path


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://e.vil"}])
def test_no_other_site_does_anything_with_a_session(
    sign_in: SignIn,
    make_table: MakeTable,
    project_id: int,
    database: Database,
    headers: dict[str, str],
) -> None:
    table = make_table()
    browser = sign_in()
    del browser.headers["Sec-Fetch-Site"]
    for path in _paths("POST", project_id, table):
        answer = browser.post(path, data={"sure": "yes"}, headers=headers)
        assert "another site" in text_of(answer, 403), path
    with database.read() as session:
        assert "table.delete" not in {row.action for row in session.query(AuditEntry)}
