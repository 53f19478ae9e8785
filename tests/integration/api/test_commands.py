"""Every route has a command, or a reason why it has none."""

from pathlib import Path
from typing import Final

from typer.main import get_command

from cli import app
from tests.security.routes import ACCOUNT, PROJECT

#: By route, the command that asks it.
COMMANDS: Final = {
    "GET ": "settings",
    "PATCH ": "settings",
    "GET audit_log/": "audit-log",
    "GET jobs/": "jobs list",
    "GET jobs/{job_id}/": "jobs show",
    "GET events/": "watch",
    "POST jobs/{job_id}/cancel/": "jobs cancel",
    "POST jobs/{job_id}/retry/": "jobs retry",
    "POST warehouse_tables/file/": "upload",
    "POST warehouse_tables/check/": "tables check",
    "POST warehouse_tables/refresh/": "refresh",
    "GET batches/": "batches list",
    "POST batches/": "batches start",
    "GET batches/{batch_id}/": "batches show",
    "POST batches/{batch_id}/cancel/": "batches cancel",
    "GET schedules/": "schedules list",
    "POST schedules/": "schedules add",
    "GET schedules/{schedule_id}/upcoming/": "schedules next",
    "PATCH schedules/{schedule_id}/": "schedules edit",
    "DELETE schedules/{schedule_id}/": "schedules remove",
    "POST schedules/{schedule_id}/run/": "schedules run",
    "GET changes/": "changes list",
    "GET changes/{change_id}/": "changes show",
    "POST changes/{change_id}/decide/": "changes accept",
    "POST changes/{change_id}/undo/": "changes undo",
    "GET warehouse_tables/": "tables list",
    "GET warehouse_tables/counts/": "tables counts",
    "POST warehouse_tables/": "tables add",
    "GET warehouse_tables/{table_id}/": "tables show",
    "PATCH warehouse_tables/{table_id}/": "tables edit",
    "DELETE warehouse_tables/{table_id}/": "tables remove",
    "POST warehouse_tables/{table_id}/refresh_schema/": "refresh",
    "POST warehouse_tables/{table_id}/preview/": "preview",
    "POST warehouse_tables/{table_id}/maintain/": "tables maintain",
    "POST warehouse_tables/{table_id}/restore/": "tables restore",
    "GET warehouse_tables/{table_id}/schema/": "tables history",
    "POST warehouse_tables/{table_id}/check/": "check",
    "POST warehouse_tables/{table_id}/update_schema/": "tables types set",
    "GET warehouse_tables/{table_id}/schema_versions/": "tables history",
    "GET warehouse_tables/{table_id}/schema_versions/{number}/": "tables history",
    "GET warehouse_tables/{table_id}/schema_versions/{number}/diff/": "tables diff",
    "GET /api/projects/": "whoami",
    "GET /api/personal_api_keys/@current/": "whoami",
}
#: Without one, and why.
NONE: Final = {
    "GET keys/": "`keys list` reads the database: it is the operator's",
    "GET jobs/{job_id}/events/": "`jobs watch` asks for the job itself, by long polls",
    "POST warehouse_tables/upload_file/": "the first of two steps that `upload` does in one",
    "POST warehouse_tables/create_from_upload/": "the second of them",
    "PUT warehouse_tables/{table_id}/": "the same as PATCH, for PostHog's clients",
    "GET schedules/{schedule_id}/": "`schedules list` shows all of each",
    "GET /api/users/@me/": "for PostHog's tools: `whoami` tells of the key what it tells of a user",
}


def _commands() -> set[str]:
    found = set[str]()

    def walk(command: object, path: str) -> None:
        inner = getattr(command, "commands", None)
        if inner is None:
            found.add(path.strip())
        for name, each in (inner or {}).items():
            walk(each, f"{path} {name}")

    walk(get_command(app), "")
    return found


def test_each_route_has_a_command_or_a_reason() -> None:
    assert COMMANDS.keys() | NONE.keys() == set(PROJECT) | ACCOUNT
    assert not COMMANDS.keys() & NONE.keys()
    assert set(COMMANDS.values()) <= _commands()


def test_no_command_is_left_out_of_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs/cli.md").read_text()
    assert [each for each in _commands() if f"stocktake {each}" not in page] == []
