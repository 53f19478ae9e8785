"""What a person sees fits into a terminal of 80 columns, however long names are."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from cli import app, output
from cli.client import Client

ID: Final = "01a2270b-ee1e-7599-aee7-b4406f95d582"
NAME: Final = "orders_" + "of_many_" * 24 + "x"
TYPE: Final = "Nullable(Tuple(" + ", ".join(f"field_{number} String" for number in range(20)) + "))"
AT: Final = "2026-11-27T10:00:00+00:00"
FILE: Final = {
    "file": f"{NAME}.parquet",
    "version": None,
    "snapshot": None,
    "at": AT,
    "exact": True,
}
CAMPS: Final = [
    {"type": kind, "files": 11_000, "first": FILE, "newest": FILE | {"file": "z.parquet"}}
    for kind in ("Int64", "Float64")
]
ORIGIN: Final = {
    "first": FILE,
    "files": 11_000,
    "of_files": 12_000,
    "sampled": True,
    "camps": CAMPS,
}
COLUMN: Final = {"name": NAME, "type": TYPE, "clickhouse": TYPE, "schema_valid": True}
JOB: Final = {
    "id": ID,
    "kind": "validate_columns",
    "table_id": ID,
    "state": "succeeded",
    "attempt": 1,
    "max_attempts": 5,
    "created_at": AT,
    "error": {"code": "max_inference_schema_bytes_exceeded"},
    "result": None,
}
TABLE: Final = {
    "id": ID,
    "name": NAME[:128],
    "state": "failing",
    "error_code": "source_not_found",
    "format": "DeltaS3Wrapper",
    "columns": [COLUMN | {"origin": ORIGIN}],
    "row_count": 10**12,
    "file_count": 10**6,
    "size_bytes": 10**13,
    "stored_bytes": None,
    "schema_version": 10_000,
    "source_version": "f" * 64,
    "url_pattern": f"https://bucket.s3.amazonaws.com/{NAME}/*.parquet",
    "change_policy": None,
    "last_refreshed_at": AT,
    "latest_job": None,
    "warnings": [],
    "pending_change": None,
}
PART: Final = {
    "name": NAME,
    "change": "breaking",
    "before": [COLUMN],
    "after": [COLUMN | {"name": NAME[1:]}],
    "origin": ORIGIN,
    "decision": None,
}
CHANGE: Final = {
    "id": ID,
    "table_name": NAME[:128],
    "state": "pending",
    "change": "breaking",
    "undecided": 10_000,
    "decided": 10_000,
    "source_version": "f" * 64,
    "created_at": AT,
    "replaced_by": None,
    "reason": None,
    "decided_by": None,
    "decided_at": None,
    "applied_as_version": None,
    "parts": [PART, PART | {"name": "short"}],
}
BATCH: Final = {
    "id": ID,
    "action": "refresh",
    "dry_run": False,
    "state": "cancelled",
    "tables": 100_000,
    "created_at": AT,
}
SCHEDULE: Final = {
    "id": ID,
    "name": NAME[:128],
    "cron": "0 0,6,12,18 1-31 1-12 mon-fri",
    "timezone": "America/Argentina/ComodRivadavia",
    "selector": {"name_glob": NAME[:128], "format": "Parquet"},
    "paused": False,
    "last_fire_at": AT,
    "next_fire_at": AT,
}
VERSION: Final = {
    "number": 10_000,
    "change": "breaking",
    "column_count": 10_000,
    "created_at": AT,
    "source_version": "f" * 64,
    "columns": [COLUMN],
    "live_until": None,
}
PREVIEW: Final = {
    "columns": [{"name": f"{NAME}_{number}", "type": "String"} for number in range(30)],
    "rows": [["v" * 200] * 30],
    "file": f"{NAME}.parquet",
    "omitted_columns": 0,
    "more": False,
    "error": None,
}
PROJECT: Final = {
    "id": 2**31,
    "name": NAME,
    "change_policy": "additive_only",
    "stale_after_seconds": 2**31,
    "row_previews": True,
}
KEY: Final = {
    "mask_value": "stk_dzjqtr...",
    "label": NAME,
    "scopes": ["warehouse_table:read", "warehouse_table:write", "warehouse_table:read_rows"],
    "created_at": AT,
    "last_used_at": None,
}
ENTRY: Final = {
    "id": ID,
    "created_at": AT,
    "user_id": 1,
    "key_prefix": "stk_dzjqtr",
    "action": "schema_change.decide",
    "subject": ID,
    "detail": {"name": NAME, "url_pattern": TABLE["url_pattern"]},
}
LISTS: Final = {
    "audit_log/": ENTRY,
    "/api/projects/": PROJECT,
    "warehouse_tables/": TABLE,
    "jobs/": JOB,
    "batches/": BATCH,
    "changes/": CHANGE,
    "schedules/": SCHEDULE,
    f"warehouse_tables/{ID}/schema_versions/": VERSION,
}


class Server(Client):
    """Answers with long names."""

    url = f"https://{NAME[:60]}.example"

    def __init__(self) -> None:
        """Connect to nothing."""

    def __exit__(self, *_: object) -> None:
        """Nothing was opened."""

    def table(self, name: str) -> dict[str, Any]:
        return TABLE

    def all(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        return iter([LISTS[path]])

    def get(self, path: str, **query: Any) -> Any:
        if path in LISTS:
            return {"results": [LISTS[path]]}
        if path == "":
            return PROJECT
        if path.startswith("/api/personal_api_keys/"):
            return KEY
        if path.startswith("changes/"):
            return CHANGE
        return VERSION if "schema" in path else TABLE

    def post(self, path: str, body: Any, *, wait_seconds: int = 0, **query: Any) -> Any:
        return {"id": ID, "result": PREVIEW}


@pytest.mark.parametrize(
    "command",
    [
        "tables list",
        "tables show orders",
        "tables history orders",
        "tables history orders --as-of 2026-11-01",
        "changes list",
        f"changes show {ID}",
        "jobs list",
        "batches list",
        "schedules list",
        "preview orders",
        "audit-log --server",
        "settings",
        "whoami",
    ],
)
def test_a_table_fits_into_80_columns_and_its_first_column_is_there(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "from_environment", classmethod(lambda _: Server()))
    monkeypatch.setattr(
        output, "console", lambda: Console(width=80, force_terminal=True, color_system=None)
    )
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, (done.output, done.exception)
    shown = done.stdout.splitlines()
    assert [line for line in shown if cell_len(line.rstrip()) > 80] == []
    assert any(begin in done.stdout for begin in (ID, NAME[:6], "10000", AT[:10]))
