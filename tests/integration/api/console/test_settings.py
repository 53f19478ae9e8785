"""The pages of settings: the project's defaults, the key of the session, and the audit log."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from stocktake.db.models import AuditEntry
from stocktake.db.session import Database
from stocktake.services import identity
from tests.integration.api.console.conftest import SignIn, post, text_of

EVIL = "<script>alert(1)</script>"
MakeTable = Callable[..., UUID]


def test_the_key_and_what_it_may_are_shown(
    sign_in: SignIn, make_key: Callable[..., str], project_id: int
) -> None:
    key = make_key(["warehouse_table:read"])
    page = text_of(sign_in(key=key).get(f"/p/{project_id}/settings"))
    assert "operator@stocktake.invalid" in page
    assert re.findall(r'aria-label="(yes|no)"', page) == ["no", "no", "yes", "no", "no"]
    assert "stocktake keys create" in page
    assert key not in page


def test_the_projects_defaults_are_set(browser: httpx.Client, client: httpx.Client) -> None:
    fields = {"policy": "additive_only", "stale_after_hours": "1.5"}
    assert post(browser, "settings", fields).status_code == 303
    project = client.get("").json()
    assert (project["change_policy"], project["stale_after_seconds"]) == ("additive_only", 5400)
    page = text_of(browser.get("settings"))
    assert 'value="1.5"' in page
    assert '<option value="additive_only" selected>' in page
    fields = {"policy": "auto", "stale_after_hours": ""}
    assert post(browser, "settings", fields).status_code == 303
    assert client.get("").json()["stale_after_seconds"] is None


@pytest.mark.parametrize(
    "wrong", [{"stale_after_hours": "soon"}, {"stale_after_hours": "inf"}, {"policy": "none"}]
)
def test_what_is_no_setting_is_refused(
    browser: httpx.Client, client: httpx.Client, wrong: dict[str, str]
) -> None:
    text_of(post(browser, "settings", {"policy": "manual"} | wrong), 400)
    assert client.get("").json()["change_policy"] == "auto"


def test_the_audit_log_is_filtered_and_paged(
    browser: httpx.Client,
    client: httpx.Client,
    make_table: MakeTable,
    database: Database,
    project_id: int,
) -> None:
    table = make_table()
    client.patch(f"warehouse_tables/{table}/", json={"name": "renamed"})
    with database.write() as session:
        session.add_all(
            AuditEntry(project_id=project_id, action="job.retry", detail={"why": EVIL})
            for _ in range(55)
        )
    page = text_of(browser.get("settings/audit"))
    assert 'rel="next"' in page
    assert "<script>alert" not in page
    assert "the command line" in page
    assert "of 55</span>" in text_of(browser.get("settings/audit?action=job.retry&offset=50"))
    page = text_of(browser.get("settings/audit?action=table.rename"))
    assert f"/tables/{table}" in page
    assert "job.retry" not in page
    page = text_of(browser.get(f"settings/audit?subject={table}"))
    assert "table.rename" in page
    assert "No such entries" in text_of(browser.get("settings/audit?action=table.delete"))


def test_the_projects_keys_are_listed_and_never_shown(
    sign_in: SignIn, make_key: Callable[..., str], database: Database, project_id: int
) -> None:
    key = make_key(["audit_log:read"], label=f"mine {EVIL}")
    gone = make_key(["warehouse_table:read"], label="gone")
    with database.write() as session:
        identity.revoke_key(session, gone[:10])
    make_key(["*"], label="past", expires=datetime.now(UTC) - timedelta(hours=1))
    make_key(["*"], label="later", expires=datetime.now(UTC) + timedelta(days=2, hours=1))
    page = text_of(sign_in(key=key).get(f"/p/{project_id}/settings/keys"))
    rows = re.findall(r"<tr><th scope=.*?</tr>", page, re.DOTALL)
    assert ["in 2 d" in rows[0], "ended" in rows[1], "revoked" in rows[2]] == [True] * 3
    assert "yours" in rows[3]
    assert ["<code>audit_log:read</code>" in row for row in rows] == [False, False, False, True]
    assert key not in page
    assert gone not in page
    assert "<script>alert" not in page
    assert "stocktake keys revoke" in page


def test_the_audit_log_is_for_few_eyes(
    sign_in: SignIn, project_id: int, make_table: MakeTable
) -> None:
    looker = sign_in(["warehouse_table:write"])
    page = text_of(looker.get(f"/p/{project_id}/settings/audit"), 403)
    assert "audit_log:read" in page
    text_of(looker.get(f"/p/{project_id}/settings/keys"), 403)
    auditor = sign_in(["audit_log:read"])
    text_of(auditor.get(f"/p/{project_id}/settings/audit"))
    text_of(auditor.get(f"/p/{project_id}/settings"), 403)
