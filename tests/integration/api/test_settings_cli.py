"""`stocktake settings`, `whoami` and `audit-log --server`, against a server."""

import json

import httpx
import pytest

from tests.integration.api.conftest import MakeKey
from tests.integration.api.test_changes_cli import lines, run, server, silent

__all__ = ["server", "silent"]


def test_what_is_set_for_a_project_is_shown_and_set(client: httpx.Client) -> None:
    assert ["Stale after", "never"] in lines("settings")
    assert ["Stale after", "3,600 s"] in lines("settings", "--stale-after", "3600")
    assert client.get("").json()["stale_after_seconds"] == 3600
    told = json.loads(run("settings", "--json").stdout)
    assert (told["stale_after_seconds"], told["change_policy"]) == (3600, "auto")
    assert ["Stale after", "never"] in lines("settings", "--stale-after", "0")
    assert "0" in run("settings", "--stale-after", "-1", status=2).output


def test_a_key_is_told_with_its_scopes_and_projects(
    make_key: MakeKey, project_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKTAKE_API_KEY", make_key(["warehouse_table:read"]))
    shown = dict(lines("whoami"))
    assert shown["Scopes"] == "warehouse_table:read"
    assert f"({project_id})" in shown["Projects"]
    told = json.loads(run("whoami", "--json").stdout)
    assert [each["id"] for each in told["projects"]] == [project_id]
    assert told["key"]["value"] is None


def test_the_audit_log_is_read_over_the_api(
    make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = json.loads(
        run("schedules", "add", "nightly", "--cron", "0 3 * * *", "--all", "--json").stdout
    )
    run("schedules", "pause", "nightly")
    entries = json.loads(run("audit-log", "--server", "--json").stdout)
    assert [each["action"] for each in entries[:2]] == ["schedule.change", "schedule.create"]
    headings, row = lines(
        "audit-log", "--server", "--action", "schedule.create", "--subject", added["id"]
    )
    assert dict(zip(headings, row, strict=True))["SUBJECT"] == added["id"]
    assert len(lines("audit-log", "--server", "--limit", "1")) == 2
    with_project = run("audit-log", "--server", "--project", "1", status=1)
    assert "STOCKTAKE_PROJECT_ID" in str(with_project.exception)
    monkeypatch.setenv("STOCKTAKE_API_KEY", make_key(["warehouse_table:read"]))
    refused = run("audit-log", "--server", status=1)
    assert "audit_log:read" in str(refused.exception)
